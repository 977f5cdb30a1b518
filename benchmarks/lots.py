"""A batch in lots, by one process and by two: what it costs, what two ranks on two give, and memory, told and taken, as Markdown.

    python benchmarks/lots.py [--parts lots ranks memory] [--precision float32 bfloat16] [--size base] [--batch 16] [--repeats 7]
        [--cores 0 1] [--optimizers adafactor adamw]

    lots     one rank with 8 lots against the step without lots; one pinned thread, pairs in one process
    ranks    two ranks, each pinned to a processor with one thread, against one rank on the first; pairs in one job of mpiexec, whose
             second process sleeps while one rank works
    memory   peak of a process with 8 lots, of each of two ranks: as --dry-run tells it, and as the system has seen it

A step is forward, backward and the optimiser (Adafactor, but in `memory`), of examples of 256 tokens to 64. Medians, with the median of
the ratios of pairs. The processor's time stands beside the wall's: where it is less, others had the processor. MPI waits by spinning: its
time is the processor's too."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import t0native as t0
from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.models.model import FLAT, Model
from t0native.training.forecast import memory_of
from t0native.training.lottrainer import LotTrainer
from t0native.training.ranks import ALONE, started_ranks
from t0native.training.settings import Settings
from t0native.training.trainer import Trainer

LOTS, SOURCE, TARGET, RATE = 8, 256, 64, 1e-6


def begun(args, **options):
    """(model, options of its trainers)"""
    config = t0.Config.t5_v1_1(args.size)
    model, rng = Model(_core.Model(config.core(), kernel_sets.default(), FLAT), config), np.random.default_rng(0)
    for name, shape in model.core.tensors():
        model.core._writable(name)[...] = rng.standard_normal(shape, np.float32) * np.float32(0.02)
    settings = Settings(steps=1, batch_size=args.batch, dropout=0.1, threads=1, lots=LOTS, **options)
    return model, settings


def batch(args, vocab_size):
    rng = np.random.default_rng(1)
    return [
        t0.Ragged(rng.integers(2, vocab_size, args.batch * n).astype(np.int32), np.arange(args.batch + 1) * n) for n in (SOURCE, TARGET)
    ]


def step_of(trainer, texts, number):
    """(wall, processor) seconds of a step."""
    wall, own = time.perf_counter(), time.process_time()
    trainer.gradients(*texts, number)
    trainer.apply(RATE, number)
    return time.perf_counter() - wall, time.process_time() - own


def paired(one, other, repeats):
    """Seconds of both [repeats] x (wall, processor), by turns, the first of each left out."""
    pairs = [(one(number), other(number)) for number in range(1, repeats + 2)]
    return [[pair[side] for pair in pairs[1:]] for side in (0, 1)]


def row(what, precision, one, other):
    """Ratios are of what the first takes and the other one."""
    cells = []
    for kind in (0, 1):
        ratios = sorted(a[kind] / b[kind] for a, b in zip(one, other))
        first, second = (statistics.median(times[kind] for times in side) for side in (one, other))
        cells += [f"{first:.2f} s", f"{second:.2f} s", f"{statistics.median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f})"]
    print(f"| {what} | {precision} | {' | '.join(cells)} |", flush=True)


# ---- one rank --------------------------------------------------------------------------------------------------------


def measure_lots(args):
    for precision in args.precision:
        model, settings = begun(args, precision=precision)
        texts = batch(args, model.config.vocab_size)
        trainers = Trainer(model, **settings.trainer_options), LotTrainer(model, lots=LOTS, **settings.trainer_options)
        plain, lots = paired(*((lambda number, each=each: step_of(each, texts, number)) for each in trainers), args.repeats)
        row("without lots, with 8", precision, plain, lots)


# ---- two ranks -------------------------------------------------------------------------------------------------------


def in_ranks(part, args, ranks):
    """This script once more, as so many ranks."""
    words = [sys.executable, __file__, "--parts", part, "--inside", json.dumps(vars(args))]
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [str(mpiexec), "-n", str(ranks), *words] if ranks > 1 else words
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PMI", "OMPI", "HYDI"))}
    environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "PRTE_MCA_hwloc_default_binding_policy": "none"}
    subprocess.run(command, env=environment, check=True)


def wait_asleep(ranks):
    """Waits for the other ranks without spinning."""
    request = ranks._comm.Ibarrier()
    while not request.Test():
        time.sleep(0.002)


def measure_ranks(args):
    ranks = started_ranks()
    os.sched_setaffinity(0, {args.cores[ranks.rank]})
    for precision in args.precision:
        one, both = pairs_of_ranks(args, ranks, precision)
        if ranks.rank == 0:
            row("one rank, two", precision, one, both)


def pairs_of_ranks(args, ranks, precision):
    model, settings = begun(args, precision=precision)
    texts = batch(args, model.config.vocab_size)
    shared = LotTrainer(model, lots=LOTS, ranks=ranks, **settings.trainer_options)
    alone = LotTrainer(model, lots=LOTS, ranks=ALONE, **settings.trainer_options) if ranks.rank == 0 else None

    def by(trainer):
        def step(number):
            taken = step_of(trainer, texts, number) if trainer else (0.0, 0.0)
            wait_asleep(ranks)
            return taken

        return step

    return paired(by(alone), by(shared), args.repeats)


# ---- memory ----------------------------------------------------------------------------------------------------------


def measure_memory(args):
    """One line of this rank: the peak after two steps."""
    ranks, (optimizer,), config = started_ranks(), args.optimizers, t0.Config.t5_v1_1(args.size)
    settings = Settings(steps=1, batch_size=args.batch, dropout=0.1, threads=1, lots=LOTS, optimizer=optimizer)
    told = memory_of(config, [(SOURCE, TARGET)] * args.batch, settings)
    model, settings = begun(args, optimizer=optimizer)
    trainer = LotTrainer(model, lots=LOTS, ranks=ranks, **settings.trainer_options)
    for number in (1, 2):
        step_of(trainer, batch(args, config.vocab_size), number)
    with open("/proc/self/status") as file:
        peak = next(1024 * int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    sizes = told["total"] / 1e9, peak / 1e9, told["optimiser states"] / 1e6, 4 * len(trainer.state()) / 1e6
    ratio = told["total"] / peak
    sys.stdout.write(
        f"| {optimizer} | {ranks.rank + 1} of {ranks.size} | {sizes[0]:.2f} GB | {sizes[1]:.2f} GB | {ratio:.3f} | {sizes[2]:,.1f} MB | "
        f"{sizes[3]:,.1f} MB |\n"
    )
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--parts", nargs="+", choices=("lots", "ranks", "memory"), default=["lots", "ranks", "memory"])
    parser.add_argument("--precision", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--optimizers", nargs="+", default=["adafactor", "adamw"])
    parser.add_argument("--size", default="base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cores", nargs=2, type=int, default=[0, 1])
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        inside = argparse.Namespace(**json.loads(args.inside))
        {"lots": measure_lots, "ranks": measure_ranks, "memory": measure_memory}[args.parts[0]](inside)
        return
    shape = f"{args.size}, {args.batch} examples of {SOURCE} + {TARGET} tokens, {LOTS} lots"
    print(f"{shape}, kernels {kernel_sets.available()[-1]}; load {os.getloadavg()[0]:.1f}\n")
    if {"lots", "ranks"} & set(args.parts):
        print(
            "| a, b | products | wall a | wall b | a / b | processor a | processor b | a / b |\n|---|---|---|---|---|---|---|---|",
            flush=True,
        )
    if "lots" in args.parts:
        os.sched_setaffinity(0, {args.cores[-1]})
        measure_lots(args)
        os.sched_setaffinity(0, range(os.cpu_count()))
    if "ranks" in args.parts:
        in_ranks("ranks", args, 2)
    if "memory" in args.parts:
        print("\n| optimiser | rank | told | peak | told / peak | states told | states |\n|---|---|---|---|---|---|---|", flush=True)
        for optimizer in args.optimizers:
            for ranks in (1, 2):
                in_ranks("memory", argparse.Namespace(**vars(args) | {"optimizers": [optimizer]}), ranks)


if __name__ == "__main__":
    main()
