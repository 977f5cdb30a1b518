"""Ranks at count, by hand: equal bits of any number of them, and faults, with the MPI whose mpiexec lies beside this Python.

    python tests/ranks_at_size.py [--parts bits resume kills errors signals folder] [--ranks 1 2 3 4 5 6 8] [--steps 100] [--count 20]
        [--cases mixed ...] [--seed 0]

    bits     each case by so many ranks: one SHA-256 of weights, optimiser state, losses and the log without its seconds
    resume   a run that 4 ranks begin goes on with 3 and ends with 1: the SHA of a run of one
    kills    SIGKILL of a random rank at random moments of one run, which goes on each time; every checkpoint is read whole in between
    errors   an exception in a random rank at a random step, likewise
    signals  SIGTERM to all ranks, or to one, at random moments: exit code 143, saved, goes on
    folder   a second job on the folder of a running one is refused

Ranks are more than processors here and spin: nothing is timed but that each end comes within LIMIT seconds. Exit code 1 where anything
differs. test_ranks.py has 1, 2 and 3 ranks, and each fault once. Open MPI needs a Python of its own: a wheel of it and that of MPICH
write one mpiexec."""

import argparse
import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from test_ranks import ranks_of, start

from t0native.training.stepfolders import check_files, read_manifest, step_folder, steps_in

LIMIT = 90.0  # seconds, of a loaded machine: within which a job whose rank was killed, failed or told to end must have ended
PATIENCE = 1800.0  # of a whole run
COMMON = {"lots": 8, "batch_size": 16, "log_every": 10}
CASES = {
    "mixed": {"kind": "mixed", "accumulate": 2},
    "tokens": {"batch_size": None, "batch_tokens": 300, "accumulate": 2, "optimizer": "adamw", "broadcast_dropout": True},
    "bfloat16": {"kind": "mixed", "precision": "bfloat16"},
    "wire": {"kind": "mixed", "wire": "bfloat16"},
    "wide": {"kind": "wide"},
    "wide-bfloat16": {"kind": "wide", "precision": "bfloat16", "wire": "bfloat16", "accumulate": 2},
    "wire-tokens": {"batch_size": None, "batch_tokens": 300, "wire": "bfloat16", "precision": "bfloat16", "optimizer": "sgd"},
}
FAULTED = {"kind": "mixed", "checkpoint_every": 2, "log_every": 5}


def ended(process, limit):
    """(exit code, stderr, seconds) of a job; SystemExit where it has not ended within these."""
    began = time.monotonic()
    try:
        errors = process.communicate(timeout=limit)[1]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        sys.exit(f"a job of {process.args} hangs: not at its end after {limit:.0f} s")
    return process.returncode, errors, time.monotonic() - began


def whole_run(ranks, out, options, fault=""):
    code, errors, seconds = ended(start(ranks, out, options, *([fault] if fault else [])), PATIENCE)
    if code:
        sys.exit(f"{ranks} ranks, {options}: exit code {code}\n{errors}")
    return seconds


def digest(out, step, log=True):
    """SHA-256 of what a run has left. log: with its log, which differs in the tokens and seconds of lines where a run was stopped."""
    folder = step_folder(out, step)
    parts = [(folder / name).read_bytes() for name in ("model.safetensors", "trainer.safetensors")]
    parts += [re.sub(r'"seconds": [0-9.e+-]+', "", (out / "log.jsonl").read_text()).encode()] if log else []
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


class Checks:
    def __init__(self):
        self.failures = 0

    def say(self, good, text):
        self.failures += not good
        print(f"{'ok ' if good else 'BAD'} {text}", flush=True)


def check_bits(args, work, checks):
    for name in args.cases:
        shas = {}
        for ranks in args.ranks:
            out = work / f"{name}-{ranks}"
            seconds = whole_run(ranks, out, COMMON | CASES[name] | {"steps": args.steps})
            shas[ranks] = digest(out, args.steps)
            print(f"    {name}, {ranks} ranks: {shas[ranks]} ({seconds:.0f} s)", flush=True)
        checks.say(len(set(shas.values())) == 1, f"{name}, {args.steps} steps, ranks {' '.join(map(str, shas))}: {shas[args.ranks[0]]}")


def check_resume(args, work, checks):
    for name in args.cases:
        options, third = COMMON | CASES[name], args.steps // 3
        for ranks, steps in ((4, third), (3, 2 * third), (1, args.steps)):
            whole_run(ranks, work / "parts", options | {"steps": steps})
        whole_run(1, work / "whole", options | {"steps": args.steps})
        parts, whole = (digest(work / each, args.steps, log=False) for each in ("parts", "whole"))
        checks.say(parts == whole, f"{name}: 4 ranks, then 3, then 1: {parts}, in one: {whole}")
        for each in ("parts", "whole"):
            (work / each).rename(work / f"{each}-{name}")


def damaged(out):
    """The checkpoints of a run that are not whole."""
    bad = []
    for step in steps_in(out):
        try:
            check_files(step_folder(out, step), read_manifest(step_folder(out, step))["files"])
        except Exception as error:
            bad.append(f"{step}: {error}")
    return bad


def last_step(out):
    return max(steps_in(out), default=0) if out.exists() else 0


def wait_for(condition, process):
    until = time.monotonic() + PATIENCE
    while not condition() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)


def check_faults(args, work, checks, kind, fault):
    """fault(random, process, out, step): makes the job end; its exit code, or None for any but 0."""
    out, options = work / kind, COMMON | FAULTED | {"steps": 100_000}
    draw, slowest, done = random.Random(args.seed), 0.0, 0
    while done < args.count:
        ranks, step = draw.choice(args.some), last_step(out)
        process, wanted = fault(draw, ranks, out, options, step)
        code, errors, seconds = ended(process, LIMIT)
        bad = damaged(out)
        if (code != wanted if wanted is not None else code == 0) or bad:
            checks.say(False, f"{kind} of {ranks} ranks behind step {step}: exit code {code}, damaged: {bad}\n{errors[-2000:]}")
        slowest, done = max(slowest, seconds), done + 1
    steps = last_step(out) + 4
    whole_run(2, out, options | {"steps": steps})
    whole_run(1, work / f"{kind}-never", options | {"steps": steps})
    ended_as, wanted = (digest(each, steps) for each in (out, work / f"{kind}-never"))
    checks.say(ended_as == wanted, f"{done} {kind}, {steps} steps: {ended_as}, of a run without: {wanted}; the slowest end {slowest:.1f} s")


def killed(draw, ranks, out, options, step):
    process = start(ranks, out, options)
    wait_for(lambda: last_step(out) > step, process)
    time.sleep(draw.uniform(0, 0.5))
    os.kill(draw.choice(ranks_of(process.pid)), signal.SIGKILL)
    return process, None


def failed(draw, ranks, out, options, step):
    return start(ranks, out, options, f"error:{draw.randrange(ranks)}:{step + draw.randint(1, 6)}"), None


def signalled(draw, ranks, out, options, step):
    process = start(ranks, out, options)
    wait_for(lambda: last_step(out) > step, process)
    time.sleep(draw.uniform(0, 0.5))
    found = ranks_of(process.pid)
    for pid in found if draw.random() < 0.5 else [draw.choice(found)]:
        os.kill(pid, signal.SIGTERM)
    return process, 143


def check_folder(args, work, checks):
    out, options = work / "folder", COMMON | FAULTED | {"steps": 100_000}
    first = start(2, out, options)
    wait_for(lambda: last_step(out), first)
    code, errors, seconds = ended(start(2, out, options), LIMIT)
    checks.say(code != 0 and "another process is training there" in errors, f"two jobs on one folder: exit code {code} in {seconds:.1f} s")
    for pid in ranks_of(first.pid):
        os.kill(pid, signal.SIGTERM)
    checks.say(ended(first, LIMIT)[0] == 143, "and the first goes on until it is told to end")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parts = {
        "bits": check_bits,
        "resume": check_resume,
        "kills": lambda *args: check_faults(*args, "kills", killed),
        "errors": lambda *args: check_faults(*args, "errors", failed),
        "signals": lambda *args: check_faults(*args, "signals", signalled),
        "folder": check_folder,
    }
    parser.add_argument("--parts", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2, 3, 4, 5, 6, 8])
    parser.add_argument("--some", nargs="+", type=int, default=[2, 3], help="numbers of ranks that faults meet")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as work:
        for part in args.parts:
            parts[part](args, Path(work), checks)
    sys.exit(1 if checks.failures else 0)


if __name__ == "__main__":
    main()
