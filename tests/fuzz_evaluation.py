"""Kills evaluations of 60 cells by SIGKILL, at random moments and at random writes, and lets them go on until they end.

    python tests/fuzz_evaluation.py [--kills 100] [--seed 0]

The command says what it found and exits with 1 where a run did not end with the bytes of an uninterrupted one (report.json, report.md
and every file of examples, those in words too), or where a cell of the journal was done twice. test_journal.py runs a few kills of it."""

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

ROWS = 8  # a cell


def evaluate_and_die(run, after, at_write):
    """The run in this process, which kills itself so many seconds after it begins to write its first cell, or at that write (a sync or a
    rename, the beginning or end of a cell); never where both are 0."""
    import t0native as t0
    from t0native.base import files
    from t0native.evaluation.journal import Journal

    writes = 0

    def count():
        nonlocal writes
        writes += 1
        if writes == at_write:
            os.kill(os.getpid(), signal.SIGKILL)

    def counted(call):
        def counting(*arguments, **options):
            count()
            return call(*arguments, **options)

        return counting

    def finish(self, *arguments, timers=[], finishing=Journal.finish):
        if after and not timers:
            timers.append(threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)))
            timers[0].start()
        count()
        found = finishing(self, *arguments)
        count()
        return found

    files.os.fsync, files.os.replace, Journal.finish = counted(os.fsync), counted(os.replace), finish
    t0.evaluate(t0.mini.new_model(0), "mini", limit=ROWS, progress=False, out=run, write_examples=True)


def go_on(run, after=0.0, at_write=0):
    """Whether the run, going on in a process of its own, was killed."""
    done = subprocess.run([sys.executable, "-P", __file__, "--child", str(run), str(after), str(at_write)], env=_environment(), timeout=300)
    if done.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a run that went on ended with {done.returncode}")
    return done.returncode != 0


def _environment():
    import t0native

    return {**os.environ, "PYTHONPATH": str(Path(t0native.__file__).parent.parent)}


def bytes_of(run):
    """{name: bytes} of what a run leaves, but for its times and its journal."""
    names = [run / "report.json", run / "report.md", *sorted(path for path in (run / "examples").rglob("*") if path.is_file())]
    return {str(path.relative_to(run)): path.read_bytes() for path in names}


def problems_of(run, whole):
    """What is wrong with a run that has ended, a list of texts."""
    opened = sqlite3.connect(run / "journal.sqlite")
    runs = [row[0] for row in opened.execute("SELECT runs FROM cells")]
    opened.close()
    found, wanted = bytes_of(run), bytes_of(whole)
    problems = [f"{name} differs" for name in sorted(found.keys() | wanted.keys()) if found.get(name) != wanted.get(name)]
    return (
        problems + [f"{sum(n != 1 for n in runs)} cells were done twice"] * any(n != 1 for n in runs) + ["not 60 cells"] * (len(runs) != 60)
    )


def fuzz(folder, kills, seed):
    """(kills, runs that ended, kills that found a cell finished since the one before, problems)."""
    chance, whole = random.Random(seed), folder / "whole"
    go_on(whole)
    killed = ended = advanced = 0
    problems = []
    while killed < kills:
        run, before = folder / f"run-{ended}", 0
        while True:
            by_time = chance.random() < 0.5
            after = chance.uniform(0.0001, 0.05) if by_time else 0.0
            at_write = 3 * before + chance.randrange(1, 60)  # of each finished cell the examples in words are written again
            hit = killed < kills and go_on(run, after, 0 if by_time else at_write)
            if not hit:
                go_on(run)
                break
            killed += 1
            now = len(list((run / "examples").glob("*.jsonl"))) if (run / "examples").is_dir() else 0
            advanced, before = advanced + (now > before), now
        ended += 1
        problems += [f"run {ended}: {problem}" for problem in problems_of(run, whole)]
    return killed, ended, advanced, problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        killed, ended, advanced, problems = fuzz(Path(folder), args.kills, args.seed)
    print(
        f"{killed} SIGKILLs, {advanced} of them after a further cell, of {ended} runs of 60 cells that went on to their end: {len(problems)} problems"
    )
    print("\n".join(problems), end="")
    return 1 if problems else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        evaluate_and_die(sys.argv[2], float(sys.argv[3]), int(sys.argv[4]))
    else:
        sys.exit(main())
