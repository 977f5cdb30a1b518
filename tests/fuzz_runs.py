"""Runs under kills and failing disks: whatever happens, a run ends with the weights and the log of one that nothing happened to.

    python tests/fuzz_runs.py [--kills 20] [--steps 200] [--threads 1,2] [--writing 200] [--faults] [--seed 0]

    kills     SIGKILL at random moments of a run of so many steps, with dropout and accumulation, which then goes on
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
import time
from pathlib import Path

import numpy as np
import pytest
from test_runs import bytes_of, log_of, model, run

import t0native as t0
from t0native import files, runs
from t0native.stepfolders import check_files, read_manifest, step_folder, steps_in

CHILD = "import sys; sys.path.insert(0, {tests!r}); from test_runs import *; run(model(), {out!r}, **{options!r})"
PART = "checkpoints/.step-*.tmp"
TOLD = re.compile("cannot write: .*what was there before is unchanged|written, but may not outlast a power cut: syncing the folder failed")
OPTIONS = {"checkpoint_every": 7, "log_every": 5, "batch_size": 8, "accumulate": 2}


def started(out, options):
    code = CHILD.format(tests=str(Path(__file__).parent), out=str(out), options=options)
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    return subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, stderr=subprocess.DEVNULL)


def killed(process, after=0.0):
    """Whether SIGKILL ended it, rather than its end or an error of its own."""
    time.sleep(after)
    process.kill()
    code = process.wait()
    if code not in (0, -signal.SIGKILL):
        raise AssertionError(f"a run that goes on ended with exit code {code}")
    return code == -signal.SIGKILL


def seconds_of(out, options):
    """(of a whole run's process, until its log begins)"""
    began = time.monotonic()
    process = started(out, options)
    log = Path(out) / "log.jsonl"
    while process.poll() is None and not log.exists():
        time.sleep(0.005)
    ready = time.monotonic() - began
    if process.wait():
        raise AssertionError(f"the uninterrupted run ended with exit code {process.returncode}")
    return time.monotonic() - began, ready


def killed_at_random(folder, kills, steps, threads, random):
    """Number of kills that hit; AssertionError where the run's bytes or log differ in the end."""
    options = OPTIONS | {"steps": steps, "threads": threads}
    whole, part = Path(folder) / f"whole{threads}", Path(folder) / f"part{threads}"
    all_seconds, ready = seconds_of(whole, options)
    hit = 0
    for _ in range(kills):  # a moment that grows with the number of kills would end the run before the last of them
        hit += killed(started(part, options), random.uniform(0.5 * ready, ready + 1.5 * (all_seconds - ready) / kills))
    same_in_the_end(whole, part, options)
    return hit


def same_in_the_end(whole, part, options):
    trained = model()
    run(trained, part, **options)
    assert bytes_of(trained) == bytes_of(t0.Model.from_pretrained(part)) == bytes_of(t0.Model.from_pretrained(whole)), "other weights"
    assert log_of(part) == log_of(whole), "another log"


def killed_while_writing(folder, kills):
    """Number of kills that left a checkpoint half written; the run is looked at after each, and goes on after each."""
    out, torn, step = Path(folder) / "writing", 0, 0
    options = {"checkpoint_every": 1, "log_every": 1, "batch_size": 1, "steps": 1_000_000}
    for _ in range(kills):
        process = started(out, options)
        begun, deadline = time.time_ns(), time.monotonic() + 60
        while process.poll() is None and time.monotonic() < deadline and not any(_newer(out, begun)):
            pass
        killed(process)
        torn += any(out.glob(PART))
        reached = whole_steps(out)
        assert not reached or reached[-1] >= step, "a checkpoint went back"
        step = max([step, *reached])
    trained, fresh = model(), model()
    done = run(trained, out, **options | {"steps": step + 3})
    assert done.losses == run(fresh, None, batch_size=1, steps=step + 3).losses and bytes_of(trained) == bytes_of(fresh), "another run"
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


class Disk:
    """Fails the n-th write, fsync or rename of a run with `code`; counts them."""

    def __init__(self, fails_at, code):
        self.fails_at, self.code, self.count = fails_at, code, 0

    def next(self):
        self.count += 1
        if self.count == self.fails_at:
            raise OSError(self.code, os.strerror(self.code))

    def __enter__(self):
        self.patch = pytest.MonkeyPatch()
        fsync, replace = os.fsync, os.replace

        def sync(descriptor):
            self.next()
            return fsync(descriptor)

        def rename(old, new):
            self.next()
            return replace(old, new)

        def opened(path, mode="r", **how):
            file = open(path, mode, **how)
            return file if mode.startswith("r") else Failing(file, self)

        self.patch.setattr(files.os, "fsync", sync)
        self.patch.setattr(files.os, "replace", rename)
        for module in (files, runs):
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
    """Number of faults injected, one a run that goes on from step 4 to 6; each must be told and leave what was there."""
    out, at = Path(folder) / f"faults{code}", 1
    expected = run(model(), None, steps=6)
    injected = 0
    while True:
        run(model(), out, steps=4, resume="never")
        whole = _contents(out, 4)
        try:
            with Disk(at, code) as disk:
                run(model(), out, steps=6)
        except OSError as error:
            assert error.errno == code and TOLD.search(str(error)), error
        else:
            assert disk.count < at, f"fault {at} was not told"
            return injected
        injected += 1
        assert set(whole_steps(out)) - {6} == {4} and _contents(out, 4) == whole, f"fault {at}: another checkpoint"
        assert not list(out.rglob(".*.tmp")), f"fault {at}: temporary files are left"
        assert run(model(), out, steps=6).losses == expected.losses, f"fault {at}: another run"
        at += every


def _contents(out, step):
    return {path.name: path.read_bytes() for path in step_folder(out, step).iterdir()}


def main():
    import tempfile

    parser = argparse.ArgumentParser()
    for name, default in (("kills", 20), ("steps", 200), ("writing", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    random = np.random.default_rng(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        for threads in map(int, args.threads.split(",")) if args.kills else ():
            hit = killed_at_random(folder, args.kills, args.steps, threads, random)
            print(f"{threads} threads: {hit} kills of {args.kills} hit a run of {args.steps} steps; the same weights and log", flush=True)
        if args.writing:
            print(f"writing: {killed_while_writing(folder, args.writing)} of {args.writing} kills left a part of a checkpoint; all went on", flush=True)
        for code in (errno.ENOSPC, errno.EIO) if args.faults else ():
            print(f"{errno.errorcode[code]}: {faults(folder, code)} faults, each told, none lost a checkpoint", flush=True)


if __name__ == "__main__":
    main()
