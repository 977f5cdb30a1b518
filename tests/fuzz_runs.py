"""Runs under kills and failing disks: whatever happens, a run ends with the weights and the log of one that nothing happened to.

    python tests/fuzz_runs.py [--kinds plain,accumulated,mixed,tokens,selected] [--threads 1,2] [--kills 20] [--steps 200] [--writing 200] [--faults] [--seed 0]

    kills     SIGKILL at random moments of a run of so many steps, which then goes on; each hits a process that trains or makes ready to
    writing   SIGKILL while a checkpoint is being written (its temporary folder is there): each folder of a step must be whole
    faults    ENOSPC and EIO at every write, fsync (of folders too) and rename, one after the other: the last checkpoint stays, the error
              says so

Exit code 1 where anything differs. test_runs.py runs a slice."""

import argparse
import errno
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from fakes import FakePrompt, rows_of, yes_no
from test_runs import bytes_of, log_of, mixture, model, run

import t0native as t0
from t0native.base import files
from t0native.training import runfolder
from t0native.training.runfolder import BEST
from t0native.training.stepfolders import check_files, read_manifest, step_folder, steps_in

CHILD = (
    "import sys; sys.path.insert(0, {tests!r}); from fuzz_runs import *; die({out!r}, *{end!r}); trained({out!r}, {kind!r}, **{options!r})"
)
PART = "checkpoints/.step-*.tmp"
TOLD = re.compile("cannot write: .*what was there before is unchanged|written, but may not outlast a power cut: syncing the folder failed")
KINDS = {
    "plain": {"dropout": 0.0},
    "accumulated": {"accumulate": 2, "dropout": 0.1, "optimizer": "adamw"},
    "mixed": {"accumulate": 2, "dropout": 0.1, "recompute": True, "workers": 2},  # of prompts and all three objectives
    "tokens": {"batch_size": None, "batch_tokens": 150, "dropout": 0.1},  # of a prompt that drops rows, which the log tells
    "selected": {
        "validate": t0.Task("a", rows_of(69)[60:], {"p": yes_no("is it")}),
        "validate_every": 9,
        "select": True,
        "optimizer": "sgd",
    },
}
COMMON = {"checkpoint_every": 7, "log_every": 5, "batch_size": 16}


def objectives():
    texts = [{"text": f"{row['text']} and some more words, of which a few are left out here"} for row in rows_of(30)]
    kinds = {"spans": t0.SpanCorruption("text"), "prefix": t0.PrefixLM("text"), "lm": t0.LM("text")}
    return [t0.Task(name, texts, objective) for name, objective in kinds.items()]


def trained(out, kind, **options):
    """(model, Run) of a run of this kind, begun or gone on with."""
    begun = model(extra_ids=20 if kind == "mixed" else 0)
    drops = t0.Task("drops", rows_of(40), {"some": FakePrompt("some", lambda row: None if row["label"] else (row["text"], "no", ["no"]))})
    mixed = {"mixed": lambda: t0.Mixture([mixture(), *objectives()]), "tokens": lambda: t0.Mixture([mixture(), drops])}.get(kind, mixture)()
    return begun, run(begun, out, mixed, **COMMON | KINDS[kind] | options)


def started(out, kind, options, end=()):
    code = CHILD.format(tests=str(Path(__file__).parent), out=str(out), kind=kind, options=options, end=end)
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    return subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, stderr=subprocess.DEVNULL)


def killed(process):
    """Whether SIGKILL ended it, rather than its end; AssertionError where it ended with an error of its own."""
    process.kill()
    code = process.wait()
    assert code in (0, -signal.SIGKILL), f"a run that goes on ended with exit code {code}"
    return code == -signal.SIGKILL


def wait_for(process, reached):
    """Until reached() or the process's end; AssertionError after two minutes, which only a hang takes."""
    deadline = time.monotonic() + 120
    while process.poll() is None and not reached():
        assert time.monotonic() < deadline, "a run hangs"
        time.sleep(0.0005)


def die(out, step=None, after=0.0):
    """Kills this process so many seconds after the log that it opens tells of the step; at once where the step is 0."""
    log = Path(out) / "log.jsonl"
    before = log.stat().st_ino if log.exists() else None

    def end():
        while step and not (log.exists() and log.stat().st_ino != before and last_logged(log) >= step):
            time.sleep(0.0005)
        time.sleep(after)
        os.kill(os.getpid(), signal.SIGKILL)

    if step is not None:
        threading.Thread(target=end, daemon=True).start()


def last_logged(log):
    steps = re.findall(rb'^\{"step": (\d+)', log.read_bytes(), re.M) if log.exists() else ()
    return int(steps[-1]) if steps else 0


# ---- kills ----------------------------------------------------------------------------------------------------------


def killed_at_random(folder, kind, kills, steps, threads, random):
    """(kills that hit a run under way, steps that were done again); AssertionError where the run's bytes or log differ in the end.

    Each of the kills has a step of its own, in ascending order, and comes up to 10 ms, or some steps, after the log tells of it; one in
    five comes while the process makes ready. The process kills itself, by a thread: from outside, a busy machine would be too late."""
    options, again, hit = {"steps": steps, "threads": threads}, 0, 0
    whole, part = Path(folder) / f"{kind}{threads}", Path(folder) / f"{kind}{threads}-killed"
    expected, done = trained(whole, kind, **options)
    for step in sorted(random.choice(int(0.75 * steps), kills, replace=False)):
        early = random.random() < 0.2
        process = started(part, kind, options, (0, random.uniform(0, 0.1)) if early else (int(step) + 1, random.uniform(0, 0.01)))
        code = process.wait(timeout=300)
        assert code in (0, -signal.SIGKILL), f"a run that goes on ended with exit code {code}"
        hit += code == -signal.SIGKILL
        again += max(0, last_logged(part / "log.jsonl") - max([0, *steps_in(part)]))
    same_in_the_end(part, kind, options, expected, done)
    assert log_of(part) == log_of(whole), "another log"
    if (whole / BEST).exists():
        assert bytes_of(t0.Model.from_pretrained(part / BEST)) == bytes_of(t0.Model.from_pretrained(whole / BEST)), "another best model"
    return hit, again


def same_in_the_end(out, kind, options, expected, done):
    again, other = trained(out, kind, **options)
    assert bytes_of(again) == bytes_of(expected) == bytes_of(t0.Model.from_pretrained(out)), "other weights"
    assert bytes_of(again) == bytes_of(t0.Model.from_pretrained(step_folder(out, other.steps))), "another checkpoint"
    assert other.losses == done.losses and not list(out.rglob(".*.tmp")), "other losses, or temporary files are left"


# ---- kills while a checkpoint is written ----------------------------------------------------------------------------


def killed_while_writing(folder, kills, random):
    """Counter {files in the torn folder: kills} of so many kills that each tore a checkpoint; the run is looked at after each, and goes on."""
    out, torn, step = Path(folder) / "writing", Counter(), 0
    options = {"checkpoint_every": 1, "log_every": 1, "batch_size": 1, "steps": 1_000_000}
    for _ in range(4 * kills):
        if torn.total() == kills:
            break
        begun, process = time.time_ns(), started(out, "plain", options)
        for _ in range(random.integers(1, 4)):
            wait_for(process, lambda: any(_newer(out, begun)))
            begun = time.time_ns()
        time.sleep(random.uniform(0, 0.003))
        killed(process)
        for part in out.glob(PART):
            torn[len(list(part.iterdir()))] += 1
        reached = whole_steps(out)
        assert not reached or reached[-1] >= step, "a checkpoint went back"
        step = max([step, *reached])
    expected, done = trained(None, "plain", **options | {"steps": step + 3})
    same_in_the_end(out, "plain", options | {"steps": step + 3}, expected, done)
    return torn


def whole_steps(out):
    """Steps of the checkpoints there; AssertionError where one is not whole, as its manifest has it and as a model."""
    steps = steps_in(out)
    for folder in (step_folder(out, step) for step in steps):
        check_files(folder, read_manifest(folder)["files"])
        assert np.isfinite(np.frombuffer(bytes_of(t0.Model.from_pretrained(folder)), np.float32)).all(), folder
    return steps


def _newer(out, begun):
    for path in out.glob(PART):
        try:
            yield path.stat().st_mtime_ns >= begun
        except FileNotFoundError:
            yield False


# ---- disks that fail ------------------------------------------------------------------------------------------------


class Disk:
    """Fails the n-th write, fsync or rename of a run with `code`, none where n is 0; counts them."""

    def __init__(self, fails_at, code):
        self.fails_at, self.code, self.count = fails_at, code, 0

    def next(self):
        self.count += 1
        if self.count == self.fails_at:
            raise OSError(self.code, os.strerror(self.code))

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        replace = os.replace

        def sync(descriptor):
            self.next()  # no power is cut here: the disk need not be waited for

        def rename(old, new):
            self.next()
            return replace(old, new)

        def opened(path, mode="r", **how):
            file = open(path, mode, **how)
            return file if mode.startswith("r") else Failing(file, self)

        self.patch.setattr(files.os, "fsync", sync)
        self.patch.setattr(files.os, "replace", rename)
        for module in (files, runfolder):
            self.patch.setattr(module, "open", opened, raising=False)
        return self

    def __exit__(self, *_):
        self.patch.undo()


class Failing:
    """A file whose writes may fail."""

    def __init__(self, file, disk):
        self._file, self._disk = file, disk

    def write(self, data):
        self._disk.next()
        return self._file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def faults(folder, code, every=1):
    """Number of faults injected, one a run that goes on from step 4 to 6; each must be told and leave what was there.

    The run validates and keeps its best model too; of its checkpoints one is kept, so that old ones are removed."""
    out, at, injected = Path(folder) / f"faults{code}", 1, 0
    validated = t0.Task("a", rows_of(64)[60:], {"p": yes_no("is it")})
    options = {"validate": validated, "validate_every": 1, "select": True, "checkpoint_every": 1, "keep": 2}
    expected = run(model(), None, steps=6)
    while True:
        with Disk(0, code):
            run(model(), out, steps=4, resume="never", **options)
        whole = _contents(out, 4)
        try:
            with Disk(at, code) as disk:
                run(model(), out, steps=6, **options)
        except OSError as error:
            assert error.errno == code and TOLD.search(str(error)), error
        else:
            assert disk.count < at, f"fault {at} was not told"
            return injected
        injected += 1
        reached = whole_steps(out)
        assert reached[-1] == 6 or reached[-1] == 5 or _contents(out, 4) == whole, f"fault {at}: another checkpoint"
        assert not list(out.rglob(".*.tmp")), f"fault {at}: temporary files are left"
        t0.Model.from_pretrained(out / "best")
        with Disk(0, code):
            assert run(model(), out, steps=6, **options).losses == expected.losses, f"fault {at}: another run"
        at += every


def _contents(out, step):
    return {path.name: path.read_bytes() for path in step_folder(out, step).iterdir()}


def main():
    import tempfile

    parser = argparse.ArgumentParser()
    for name, default in (("kills", 20), ("steps", 200), ("writing", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        for kind in args.kinds.split(",") if args.kills else ():
            for threads in map(int, args.threads.split(",")):
                hit, again = killed_at_random(folder, kind, args.kills, args.steps, threads, random)
                assert hit == args.kills, f"{hit} of {args.kills} kills hit"
                print(
                    f"{kind}, {threads} threads: {hit} kills, {again} of {args.steps} steps done again; the same weights and log",
                    flush=True,
                )
        if args.writing:
            torn = killed_while_writing(folder, args.writing, random)
            told = ", ".join(f"{count} with {files} files" for files, count in sorted(torn.items()))
            print(f"writing: {torn.total()} kills left a part of a checkpoint ({told}); all others whole, all went on", flush=True)
        for code in (errno.ENOSPC, errno.EIO) if args.faults else ():
            print(f"{errno.errorcode[code]}: {faults(folder, code)} faults, each told, none lost a checkpoint", flush=True)


if __name__ == "__main__":
    main()
