"""The planner's predictions beside measured steps: random weights, random tokens, as a Markdown table.

    python benchmarks/planner.py [--only 0 1 ...] [--steps 9] [--repeats 5] [--busy]

Each configuration is a model's size, examples, lengths, ranks, lots, number type of products and of the wire. One rank is timed by its
processor time, so that other work on the machine does not count; two ranks, started by MPI on this host with a thread each, by the
wall clock, so that it does: let nothing else run, or say --busy. Medians of the steps behind the first; rates are measured anew for
each. `--step FILE` is what a rank runs. Two hosts with a link between: benchmarks/twohosts.py."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sidebyside  # sets the thread variables before NumPy is loaded

import t0native as t0
from t0native.training import ranks as ranks_of_mpi
from t0native.training.cluster import Cluster, Work, forecast_cluster
from t0native.training.forecast import make_ragged, make_trainer
from t0native.training.lottrainer import LotTrainer
from t0native.training.rates import measure_rates
from t0native.training.settings import Settings
from t0native.training.trainer import Trainer

WITHIN = 0.15
HEAD = (
    "| model | batch | ranks | lots | products | wire | link | predicted s | measured s (range) | off | parts of the prediction |\n"
    "|---|---|---|---|---|---|---|---|---|---|---|"
)
CASES = [  # size, examples, tokens of the input, of the target, ranks, lots, products, wire
    ("small", 16, 256, 64, 1, None, "float32", "float32"),
    ("small", 16, 256, 64, 1, 8, "float32", "float32"),
    ("small", 32, 64, 16, 1, None, "bfloat16", "float32"),
    ("base", 8, 256, 64, 1, None, "float32", "float32"),
    ("base", 8, 256, 64, 1, 8, "bfloat16", "float32"),
    ("base", 4, 512, 128, 1, None, "bfloat16", "float32"),
    ("small", 16, 256, 64, 2, 8, "float32", "float32"),
    ("small", 16, 256, 64, 2, 8, "bfloat16", "bfloat16"),
    ("base", 8, 256, 64, 2, 8, "float32", "float32"),
    ("base", 8, 256, 64, 2, 8, "bfloat16", "bfloat16"),
]


def settings_of(case):
    size, examples, source, target, ranks, lots, products, wire = case
    return Settings(steps=1, batch_size=examples, lots=lots, wire=wire, precision=products, dropout=0.1, threads=1)


class Parted(LotTrainer):
    """A LotTrainer of a busy machine: nothing sets out before the backward pass has ended, and ranks wait for each other before they
    exchange anything, which alone is timed by the wall clock, all else by the processor's. away: seconds of the exchanges, and those of
    the processor that they and the waiting took."""

    def __init__(self, model, *, ranks, **options):
        self.away, self._all_meet, self._adds = [0.0, 0.0], ranks.most, ranks.add
        ranks.add, ranks.threads = lambda array: self._apart(lambda: self._adds(array)), False
        super().__init__(model, ranks=ranks, **options)

    def _send(self, *arguments):
        self._apart(lambda: super(Parted, self)._send(*arguments))

    def _finish_sums(self, sent):
        self._apart(lambda: super(Parted, self)._finish_sums(sent))

    def _add_aside(self, parts, level):
        began, busy = time.perf_counter(), time.process_time()
        super()._add_aside(parts, level)
        self.away[0] += time.process_time() - busy - (time.perf_counter() - began)

    def _spread_weights(self):
        self._apart(super()._spread_weights)

    def _apart(self, exchange):
        waited = time.process_time()
        self._all_meet(0)
        began = time.perf_counter()
        result = exchange()
        self.away[0] += time.perf_counter() - began
        self.away[1] += time.process_time() - waited
        return result


def measure_step(case, steps, busy):
    """Seconds of each of the steps, in this rank."""
    size, examples, source, target, n_ranks, lots, products, wire = case
    config, options, kind = t0.Config.t5_v1_1(size), settings_of(case).trainer_options, Trainer
    ranks = ranks_of_mpi.started_ranks()
    if lots is not None:
        options |= {"lots": lots, "ranks": ranks, "wire": wire}
        kind = Parted if busy and ranks.size > 1 else LotTrainer
    trainer = make_trainer(config, options, kind)
    batch = [make_ragged([length] * examples, config.vocab_size) for length in (source, target)]
    clock = time.process_time if ranks.size == 1 or busy else time.perf_counter
    seconds = []
    for step in range(1, steps + 2):
        trainer.away = [0.0, 0.0]
        began = clock()
        trainer.gradients(*batch, step)
        trainer.apply(0.0, step)
        taken = clock() - began
        seconds.append(taken + trainer.away[0] - trainer.away[1])
    return seconds[1:]


def step_words(out, case, steps, busy):
    """The arguments of what a rank runs."""
    return "--step", str(out), json.dumps(case), str(steps), str(int(busy))


def read_seconds(out):
    return json.loads(Path(out).read_text())


def run_case(case, steps, busy):
    """Seconds of the steps, of one process or of several of this host."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "seconds.json")
        launcher = ("mpiexec", "-n", str(case[4]), "-bind-to", "core") if case[4] > 1 else ()
        subprocess.run([*launcher, sys.executable, __file__, *step_words(out, case, steps, busy)], check=True)
        return read_seconds(out)


def run_rank(out, case, steps, busy):
    """What each process of a case does; rank 0 writes."""
    if case[4] == 1:
        sidebyside.pin()
    seconds = measure_step(case, steps, busy)
    if ranks_of_mpi.started_ranks().rank == 0:
        Path(out).write_text(json.dumps(seconds))


def predict(case, repeats, busy, hosts=1, gbit=10.0, latency=5e-5):
    """(seconds of a step, its parts, bytes that a host sends), of ranks with a thread each, on one host or one on each; busy: as if nothing
    of the wire were hidden."""
    size, examples, source, target, ranks, lots, products, wire = case
    config, settings, lengths = t0.Config.t5_v1_1(size), settings_of(case), [(source, target)] * examples
    cores = ranks if hosts == 1 else 1
    rates = measure_rates(config, lengths, settings, repeats)
    cluster = Cluster(hosts, cores, gbit, ranks=cores, latency=latency, wire=wire)
    row = forecast_cluster(config, lengths, Work.of(lengths, settings), cluster, rates)[-1]
    parts = row["seconds"] if busy else row["seconds"] | {"hidden": -row["hidden"]}
    return sum(parts.values()), parts, row["sent"]


def describe(case):
    size, examples, source, target, ranks, lots, products, wire = case
    return f"{size} | {examples} x ({source} + {target}) | {ranks} | {lots or '-'} | {products} | {wire if ranks > 1 else '-'}"


def print_case(case, predicted, parts, seconds, link="-"):
    measured = statistics.median(seconds)
    off = predicted / measured - 1
    told = ", ".join(f"{name} {value:.3f}" for name, value in parts.items() if value)
    print(
        f"| {describe(case)} | {link} | {predicted:.3f} | {measured:.3f} ({min(seconds):.3f} to {max(seconds):.3f}) | {off:+.1%} "
        f"{'' if abs(off) <= WITHIN else 'MISSED'}| {told} |",
        flush=True,
    )


def main():
    if sys.argv[1:2] == ["--step"]:
        return run_rank(sys.argv[2], json.loads(sys.argv[3]), int(sys.argv[4]), sys.argv[5] == "1")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", type=int, default=range(len(CASES)), choices=range(len(CASES)), metavar="N")
    parser.add_argument("--steps", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument(
        "--busy", action="store_true", help="other work goes on: two ranks' work by the processor's time, the rest by the wall's"
    )
    options = parser.parse_args()
    print(f"{sidebyside.machine()}\n")
    print(HEAD)
    for number in options.only:
        case = CASES[number]
        predicted, parts, _ = predict(case, options.repeats, options.busy)
        print_case(case, predicted, parts, run_case(case, options.steps, options.busy))
    print(f"\nload {os.getloadavg()[0]:.2f} at the end")


if __name__ == "__main__":
    main()
