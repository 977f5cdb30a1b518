"""Changed files of every kind that is read in Python: each is read, or refused with a documented error that names it, at once.

    python tests/fuzz_readers.py [--reader NAME] [--inputs 50000] [--seed 0] [--corpus FOLDER] [--again FILE]

Each reader has a maker of small sound files and changes that know their structure (reader_inputs.py). Lines of the package that an input
is the first to reach, and messages that no other gave, put it into the corpus, from which half of the inputs are taken; on Python 3.12 and
later a line costs nothing once it was met (sys.monitoring). A corpus folder is gone on from, and written at the end. Faults are

    any exception but the documented ones       a message of more than MESSAGE characters, or that a terminal would not only print,
    more than SECONDS of processor time         or that names neither the file nor the task
    more than MEMORY more bytes than before     an event by which foreign code could run, a file opened outside of the case's folder
    an end of the process

and are written to FOLDER/faults as they are; --again reads one of them. Exit code 1 where there was one. test_fuzz_readers.py runs a slice."""

import argparse
import base64
import builtins
import contextlib
import faulthandler
import hashlib
import json
import logging
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from fuzzed_readers import READERS
from reader_inputs import changed, seeded

import t0native as t0

SECONDS, MEMORY, MESSAGE = 2.0, 300 << 20, 4000
HANG = 10  # seconds of processor time after which an input is ended
PACKAGE = Path(t0.__file__).parent
DOCUMENTED = (t0.Error, OSError)  # OSError: of what cannot be opened; FormatError, DataError and ConfigError are Error
FOREIGN = {
    "pickle.find_class",
    "os.system",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "ctypes.dlopen",
    "compile",
}
NOW = 1_600_000_000_000_000_000  # the time of every file, in ns: indices name it


class Fault(NamedTuple):
    kind: str
    told: str


class _Hang(BaseException):
    pass


class Lines:
    """Which lines of the package were run."""

    TOOL = 4

    def __init__(self):
        self.met, self.new = set(), 0
        self.monitoring = getattr(sys, "monitoring", None)

    def __enter__(self):
        if self.monitoring:
            self.monitoring.use_tool_id(self.TOOL, "fuzz_readers")
            self.monitoring.register_callback(self.TOOL, self.monitoring.events.LINE, self._line)
            self.monitoring.set_events(self.TOOL, self.monitoring.events.LINE)
            self.monitoring.restart_events()  # lines that a reader before met count anew
        else:
            sys.settrace(self._trace)
        return self

    def __exit__(self, *error):
        if self.monitoring:
            self.monitoring.set_events(self.TOOL, 0)
            self.monitoring.free_tool_id(self.TOOL)
        else:
            sys.settrace(None)

    def _line(self, code, line):
        if code.co_filename.startswith(str(PACKAGE)) and (code, line) not in self.met:
            self.met.add((code, line))
            self.new += 1
        return self.monitoring.DISABLE

    def _trace(self, frame, event, arg):
        return self._trace_line if frame.f_code.co_filename.startswith(str(PACKAGE)) else None

    def _trace_line(self, frame, event, arg):
        if event == "line" and (frame.f_code, frame.f_lineno) not in self.met:
            self.met.add((frame.f_code, frame.f_lineno))
            self.new += 1
        return self._trace_line

    def take(self):
        new, self.new = self.new, 0
        return new


class Guard:
    """What Python tells of itself while a file is read: nothing may run that the file brought, or open what lies elsewhere."""

    def __init__(self):
        self.folder, self.seen = None, []
        sys.addaudithook(self._hook)
        self._own = tuple(map(str, {PACKAGE, sys.prefix, sys.base_prefix, *filter(None, sys.path), "/dev/", "/proc/", "/sys/"}))

    def _hook(self, event, arguments):
        if self.folder is None:
            return
        if event in FOREIGN and not (event == "compile" and _in_standard_library()):
            self.seen.append(event)
        elif event == "open" and isinstance(arguments[0], (str, bytes)):
            path = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(arguments[0])))
            if not path.startswith((self.folder, *self._own)):
                self.seen.append(f"open {path}")

    @contextlib.contextmanager
    def on(self, folder):
        self.folder, self.seen = str(folder), []
        try:
            yield
        finally:
            self.folder = None


def _in_standard_library():
    """dataclasses and named tuples are compiled where they are defined."""
    return any(
        "importlib" in frame.filename or "dataclasses" in frame.filename or "collections" in frame.filename
        for frame in traceback.extract_stack(limit=12)
    )


class Reading:
    """One reader, its corpus and what was met."""

    def __init__(self, reader, seed, folder, guard, lines):
        self.reader, self.folder, self.guard, self.lines = reader, folder, guard, lines
        self.rng, self.corpus, self.messages = seeded(reader.name, seed), [], set()
        self.met, self.faults, self.slowest, self.largest = Counter(), {}, 0.0, 0

    def write(self, case):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        for name, content in case.items():
            (self.folder / name).parent.mkdir(exist_ok=True, parents=True)
            (self.folder / name).write_bytes(content)
            os.utime(self.folder / name, ns=(NOW, NOW))

    def read(self, case):
        """The Fault of a case, or None."""
        self.write(case)
        before, started, seen = _forget_most(), time.process_time(), None
        signal.setitimer(signal.ITIMER_PROF, HANG)
        try:
            with self.guard.on(self.folder):
                self.reader.read(self.folder)
            self.met["read"] += 1
        except DOCUMENTED as error:
            self.met[type(error).__name__] += 1
            seen = self._look_at(error, case)
        except _Hang:
            seen = Fault("hang", f"not done after {HANG} s")
        except BaseException as error:  # a fault whatever it is
            seen = Fault(type(error).__name__, "".join(traceback.format_exception(error)[-6:]))
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        seconds, grown = time.process_time() - started, _memory("VmHWM") - before
        self.slowest, self.largest = max(self.slowest, seconds), max(self.largest, grown)
        if self.guard.seen:
            seen = Fault("foreign", "; ".join(self.guard.seen[:5]))
        if seen is None and seconds > SECONDS:
            seen = Fault("slow", f"{seconds:.1f} s")
        if seen is None and grown > MEMORY:
            seen = Fault("memory", f"{grown >> 20} MB")
        return seen

    def _look_at(self, error, case):
        told = str(error)
        template = re.sub(r"'[^']*'|\"[^\"]*\"|[0-9]+|/\S+", "#", told)[:100]
        self.lines.new += (type(error), template) not in self.messages and len(self.messages) < 3000
        self.messages.add((type(error), template))
        if len(told) > MESSAGE or not all(line.isprintable() for line in told.split("\n")):
            return Fault("message", f"{type(error).__name__}, {len(told)} characters: {told[:400]!r} ... {told[-200:]!r}")
        places = (str(self.folder), *(Path(name).name for name in case))
        if not any(place in told for place in places) and not told.startswith("task '"):
            return Fault("message", f"{type(error).__name__} names no file: {told[:600]!r}")
        return None

    def keep(self, case):
        self.corpus.append(case)

    def one(self):
        if self.corpus and self.rng.random() < 0.6:
            start = self.corpus[int(len(self.corpus) * self.rng.random() ** 0.7)]  # later ones more often
        else:
            start = self.reader.make(self.rng)
        case = changed(self.rng, start, self.corpus[-50:])
        fault = self.read(case)
        new = self.lines.take()
        if fault is not None:
            place = (
                fault.told.strip().splitlines()[-1]
                if fault.kind not in ("message", "slow", "memory")
                else re.sub(r"[0-9]+|'[^']*'", "#", fault.told)[:60]
            )
            self.faults.setdefault((fault.kind, place[:120]), (case, fault))
        elif new and sum(map(len, case.values())) < 1 << 16:
            self.keep(case)

    def run(self, inputs):
        for case in [self.reader.make(self.rng) for _ in range(12)]:
            self.write(case)
            self.reader.read(self.folder)  # is sound
            if self.read(case) is None and self.lines.take():
                self.keep(case)
        for _ in range(inputs):
            self.one()
        return self


def _memory(name):
    """Bytes of this process: VmSize, of addresses; VmHWM, the most that it had in memory."""
    with builtins.open("/proc/self/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith(name + ":"))


def _forget_most():
    """The bytes in memory now, from which on the most is counted anew, where the system lets a process do so."""
    with contextlib.suppress(OSError), builtins.open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    return _memory("VmHWM")


def save_case(path, case):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({name: base64.b64encode(content).decode() for name, content in case.items()}, indent=1))


def load_case(path):
    return {name: base64.b64decode(content) for name, content in json.loads(path.read_text()).items()}


def prepare():
    """Before the first Reading: what Python loads when it is first needed is loaded, and what is logged is not shown."""
    logging.getLogger("t0native").setLevel(logging.CRITICAL)
    os.environ["T0NATIVE_PROGRESS"] = "0"
    import difflib  # noqa: F401
    import encodings.idna  # noqa: F401

    def ended(signal, frame):
        raise _Hang

    signal.signal(signal.SIGPROF, ended)
    resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + (2 << 30), resource.RLIM_INFINITY))


def fuzz(reader, inputs, seed, folder, corpus=None):
    """A Reading after so many inputs. folder: an empty one of its own.  corpus: a folder of cases to go on from, and to add to."""
    with Lines() as lines:
        reading = Reading(reader, seed, folder / "case", _guard(), lines)
        for file in sorted((corpus / reader.name).glob("*.json")) if corpus else ():
            case = load_case(file)
            fault = reading.read(case)
            if fault is not None:
                reading.faults[fault.kind, file.name] = (case, fault)
            elif lines.take():
                reading.keep(case)
        return reading.run(inputs)


_guards = []


def _guard():
    """The one Guard of the process: an audit hook stays."""
    if not _guards:
        _guards.append(Guard())
    return _guards[0]


def report(reading, seconds, place):
    n = reading.met.total()
    met = ", ".join(f"{count:,} {what}" for what, count in reading.met.most_common())
    print(
        f"{reading.reader.name}: {n:,} inputs in {seconds:.0f} s of processor time, {n / max(seconds, 1e-9):.0f} a second: {met}; ", end=""
    )
    print(
        f"{len(reading.lines.met):,} lines, {len(reading.corpus)} cases; slowest {reading.slowest:.2f} s, {reading.largest >> 20} MB at most",
        flush=True,
    )
    for (kind, what), (case, fault) in reading.faults.items():
        file = place / "faults" / f"{reading.reader.name}-{kind}-{hashlib.sha256(what.encode()).hexdigest()[:8]}.json"
        save_case(file, case)
        print(f"  {kind}: {what}\n    {file}\n    " + "\n    ".join(fault.told.splitlines()[-14:]), flush=True)
    for case in reading.corpus:
        name = hashlib.sha256(repr(sorted(case.items())).encode()).hexdigest()[:16]
        if not (file := place / reading.reader.name / f"{name}.json").exists():
            save_case(file, case)


def in_child(reader, given, place):
    """Whether a reader's run, in a process of its own, ended without a fault."""
    with tempfile.TemporaryDirectory() as folder:
        child = os.fork()
        if not child:
            started = time.process_time()
            try:
                reading = fuzz(reader, given.inputs, given.seed, Path(folder), place)
                report(reading, time.process_time() - started, place)
                os._exit(bool(reading.faults))
            except BaseException:
                traceback.print_exc()
                os._exit(3)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            left = {
                str(path.relative_to(Path(folder) / "case")): path.read_bytes()
                for path in (Path(folder) / "case").rglob("*")
                if path.is_file()
            }
            save_case(place / "faults" / f"{reader.name}-ended.json", left)
            print(f"{reader.name}: ended by signal {-status}: {place}/faults/{reader.name}-ended.json", flush=True)
        return status == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", action="append", choices=[reader.name for reader in READERS])
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=Path("fuzz-readers"))
    parser.add_argument("--again", type=Path)
    given = parser.parse_args()
    faulthandler.enable()
    prepare()
    chosen = [reader for reader in READERS if not given.reader or reader.name in given.reader]
    if given.again:
        (reader,) = [reader for reader in READERS if given.again.name.startswith(f"{reader.name}-")]
        with tempfile.TemporaryDirectory() as folder, Lines() as lines:
            fault = Reading(reader, 0, Path(folder) / "case", _guard(), lines).read(load_case(given.again))
        print(fault.told if fault else "read, or refused as documented")
        return fault is not None
    return not all([in_child(reader, given, given.corpus) for reader in chosen])


if __name__ == "__main__":
    sys.exit(main())
