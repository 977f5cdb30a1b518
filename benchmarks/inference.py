"""Inference against CTranslate2 and transformers: random weights of T5-large's and T0-3B's (xl) shape, one pinned thread, paired
runs, medians, as Markdown.

    python benchmarks/inference.py [--part score encode decode threads memory load] [--size large xl] [--work rte ag hs]
        [--dtype int8 float32 bfloat16] [--rival ct2 hf reused ours] [--repeats 7] [--kernels SET] [--cache DIR]

Needs torch, transformers and ctranslate2 for what it compares with (sides.py). Every engine has a process of its own. Runs take
turns (ours, a rival, the next, ours again); the machine's peak is probed between them, and a pair around which it moved
more than 5 % is dropped and another is run. One-thread times are of the processor, so that other work beside them does not count. Where two
engines do not fit memory together, one does all its runs before the next. With kernels avx2, the rivals' libraries are told to keep to
AVX2 too. Models are made in --cache (default: a folder that is removed): 4 GB for large, 15 GB for xl.

Shares of peak count the operations that the work needs (2 a multiplication with its addition), done the short way."""

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import sidebyside  # sets the thread variables
from sides import CTranslate2, Ours, Side, Transformers, Work, make_models

import t0native as t0
from t0native import _core
from t0native.base.memory import available_memory

WORKS = {"rte": Work("RTE-like", 80, 2, 2, 8), "ag": Work("AG-News-like", 100, 3, 4, 4), "hs": Work("HellaSwag-like", 200, 25, 4, 1)}
BYTES = {"float32": 4, "bfloat16": 2, "int8": 1}
MOVED = 1.05
FAST, SLOW = "avx512-vnni", "avx2"

# What is to be reached, of the issue: RTE-, AG-News-, HellaSwag-like.
SCORE_REACH = {
    ("int8", "ct2"): {SLOW: (1.9, 3.5, 2.8), FAST: (2.4, 4.6, 3.4)},
    ("float32", "ct2"): {SLOW: (2.4, 4.6, 3.6), FAST: (1.9, 3.5, 2.9)},
    ("float32", "hf"): {SLOW: (3, 5.3, 4), FAST: (2.1, 4, 3.2)},
    ("float32", "reused"): {SLOW: (1.55, 2, 1.85), FAST: (1.2, 1.2, 1.2)},
    ("bfloat16", "hf"): {FAST: (2.1, 4.5, 3.3)},
    ("bfloat16", "ours"): {SLOW: (0.95, 0.95, 0.95)},
}
ENCODE_REACH = {SLOW: {"float32": 88, "int8": 85}, FAST: {"float32": 88, "bfloat16": 85, "int8": 80}}
DECODE_REACH = {1: 2.5, 8: 1.7}
MEMORY_REACH = {"int8": 3.3, "bfloat16": 6.2}
FORMS = {"t0native": "safetensors in bfloat16", "packed": "packed file"}


# ---- the machine ----------------------------------------------------------------------------------------------------


class Machine:
    """Probes of the kernel set in use."""

    def __init__(self, kernels):
        self.kernels = kernels
        self.data = np.ones(1 << 28, np.uint8)  # larger than the caches

    def peak(self, dtype, seconds=0.05):
        found = _core.probe(dtype, self.kernels, seconds)
        return found if found is not None else _core.probe("float32", self.kernels, seconds)

    def read(self, seconds=0.05):
        return _core.probe_read(self.data, self.kernels, seconds)

    def cores(self):
        """What two threads reach together, in one thread's peaks."""
        alone, rates = self.peak("float32", 0.2), []
        threads = [threading.Thread(target=lambda: rates.append(self.peak("float32", 0.2))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(rates) / alone

    def __str__(self):
        peaks = ", ".join(f"{dtype} {self.peak(dtype) / 1e9:.0f}" for dtype in BYTES)
        return f"kernels {self.kernels}; one core's peak, G op/s: {peaks}; read {self.read() / 1e9:.1f} GB/s"


class Run(NamedTuple):
    seconds: float
    peaks: tuple  # before and after
    read: float


def measure(calls, machine, dtype, repeats, apart):
    """{name: [Run, ...]} of calls {name: (side, call)}; each is called once before. Rounds go on until `repeats` pairs of each
    rival with the first hold, twice as many at most. apart: no two sides at once."""
    runs = {name: [] for name in calls}
    if apart:
        for name, (side, call) in calls.items():
            side.start().call(*call)
            for _ in range(repeats):
                runs[name].append(one_run(side, call, machine, dtype))
            side.close()
        return runs
    for side, call in calls.values():
        side.call(*call)
    ours = next(iter(calls))
    for round in range(2 * repeats):
        if round >= repeats and all(len(pairs(runs, ours, name)) >= repeats for name in calls):
            break
        for name, (side, call) in calls.items():
            runs[name].append(one_run(side, call, machine, dtype))
    return runs


def one_run(side, call, machine, dtype):
    before, read = machine.peak(dtype), machine.read()
    seconds, _ = side.call(*call)
    return Run(seconds, (before, machine.peak(dtype)), (read + machine.read()) / 2)


def pairs(runs, ours, name):
    """Pairs of runs around which the peak stood still."""
    kept = []
    for a, b in zip(runs[ours], runs[name]):
        peaks = a.peaks + b.peaks
        if max(peaks) <= MOVED * min(peaks):
            kept.append((a, b))
    return kept


def compared(runs, ours, name):
    """(our seconds, theirs, 'ratio (least to most)', 'pairs kept of all'), medians of the pairs that hold."""
    kept = pairs(runs, ours, name)
    count = f"{len(kept)} of {len(runs[name])}"
    if not kept:
        return float("nan"), float("nan"), "-", count
    ratios = [b.seconds / a.seconds for a, b in kept]
    ratio = f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"
    return statistics.median(a.seconds for a, _ in kept), statistics.median(b.seconds for _, b in kept), ratio, count


# ---- what the work needs --------------------------------------------------------------------------------------------


def encoder_operations(c, work):
    inner, gates = c.num_heads * c.d_kv, 3 if c.gated else 2
    return 2 * work.B * work.S * c.num_layers * (4 * c.d_model * inner + gates * c.d_model * c.d_ff + 2 * work.S * inner)


def operations(c, work):
    """Encoder and cross keys and values once an input, the start row shared by the choices."""
    inner, rows = c.num_heads * c.d_kv, 1 + work.C * (work.T - 1)
    cross = work.S * c.num_decoder_layers * 2 * c.d_model * inner
    attention = c.num_decoder_layers * 2 * (work.S + work.T / 2) * inner
    return encoder_operations(c, work) + 2 * work.B * (cross + rows * (step_weights(c) + attention))


def step_weights(c):
    """Weights that a step of decoding reads."""
    inner, gates = c.num_heads * c.d_kv, 3 if c.gated else 2
    return c.num_decoder_layers * (6 * c.d_model * inner + gates * c.d_model * c.d_ff) + c.d_model * c.vocab_size


# ---- parts ----------------------------------------------------------------------------------------------------------


class Bench:
    def __init__(self, options, cache):
        self.options, self.cache = options, cache
        self.machine = Machine(options.kernels)

    def folder(self, size, others=()):
        folder = self.cache / size
        make_models(folder, size, others)
        return folder.with_name(f"{size}-packed") if "packed" in others else folder

    def config(self, size):
        return t0.Config.t5_v1_1(size)

    def side(self, name, size, dtype, **more):
        engine, keywords = {
            "t0native": (Ours, {}), "packed": (Ours, {}), "ours": (Ours, {}), "ct2": (CTranslate2, {}), "hf": (Transformers, {}),
            "reused": (Transformers, {"reuse": True}),
        }[name]  # fmt: skip
        keywords |= {"kernels": self.options.kernels, "avx2_only": self.options.kernels == SLOW} | more
        label = {"ct2": f"CTranslate2 {dtype}", "hf": f"transformers {dtype}", "reused": f"transformers {dtype}, encoder reused by hand"}
        return Side(label.get(name, f"t0native {dtype}"), engine, self.folder(size, [name]), dtype, **keywords)

    def apart(self, size, dtypes):
        """Whether models of these number types do not fit memory together."""
        needed = sum(1.2 * BYTES[dtype] * self.config(size).parameters + 5e8 for dtype in dtypes)
        return needed > (available_memory() or 0)

    def works(self):
        for name in self.options.work:
            work = WORKS[name]
            yield name, work._replace(B=min(work.B, self.options.examples or work.B))

    # ---- rank classification

    def score(self):
        columns = ("shape", "work", "ours", "s an example", "share of peak", "rival", "s an example", "ratio", "reach", "pairs")
        yield columns
        for size in self.options.size:
            for dtype in self.options.dtype:
                rivals = [name for name in self.options.rival if (dtype, name) in SCORE_REACH or (dtype, name) == ("bfloat16", "reused")]
                yield from self._score(size, dtype, rivals)

    def _score(self, size, dtype, rivals):
        sides = {"t0native": self.side("t0native", size, dtype)}
        sides |= {name: self.side(name, size, "float32" if name == "ours" else dtype) for name in rivals}
        apart = self.apart(size, ["float32" if name == "ours" else dtype for name in sides])
        if not apart:
            self._start(sides, dtype)
        for key, work in self.works():
            calls = {name: (side, ("rank", work)) for name, side in sides.items()}
            runs = measure(calls, self.machine, dtype, self.options.repeats, apart)
            share = statistics.median(
                operations(self.config(size), work) / run.seconds / statistics.mean(run.peaks) for run in runs["t0native"]
            )
            for name in rivals:
                ours, theirs, ratio, count = compared(runs, "t0native", name)
                reach = SCORE_REACH.get((dtype, name), {}).get(self.machine.kernels)
                told = f"{reach[list(WORKS).index(key)]} x" if reach else "-"
                label = sides[name].name + (", not interleaved" if apart else "")
                yield size, str(work), dtype, f"{ours / work.B:.4g}", f"{share:.0%}", label, f"{theirs / work.B:.4g}", ratio, told, count
        for side in sides.values():
            side.close()

    def _start(self, sides, dtype):
        """Starts them and holds their answers against ours: what computes something else is no rival."""
        small, answers = Work("", 20, 2, 2, 2), {}
        for name, side in sides.items():
            _, answers[name] = side.start().call("rank", small)
        for name, found in answers.items():
            difference = np.abs(found - answers["t0native"]).max()
            if difference > small.T * (1e-3 if dtype == "float32" else 0.25):
                raise SystemExit(f"{sides[name].name}: scores differ from ours by {difference:.3g}")

    # ---- the encoder alone

    def encode(self):
        yield "shape", "sources", "ours", "s an example", "G op/s", "share of peak (least to most)", "reach"
        for size in self.options.size:
            for dtype in self.options.dtype:
                side = self.side("t0native", size, dtype).start()
                for work in (Work("", 80, 0, 0, 8), Work("", 200, 0, 0, 4)):
                    runs = measure({"ours": (side, ("encode", work))}, self.machine, dtype, self.options.repeats, False)["ours"]
                    runs = [run for run in runs if max(run.peaks) <= MOVED * min(run.peaks)] or runs
                    rates = [encoder_operations(self.config(size), work) / run.seconds for run in runs]
                    shares = [rate / statistics.mean(run.peaks) for rate, run in zip(rates, runs)]
                    seconds = statistics.median(run.seconds for run in runs) / work.B
                    told = f"{statistics.median(shares):.0%} ({min(shares):.0%} to {max(shares):.0%})"
                    reach = ENCODE_REACH.get(self.machine.kernels, {}).get(dtype)
                    yield (
                        size,
                        str(work),
                        dtype,
                        f"{seconds:.4g}",
                        f"{statistics.median(rates) / 1e9:.0f}",
                        told,
                        f"{reach} %" if reach else "-",
                    )
                side.close()

    # ---- greedy decoding

    def decode(self, tokens=32):
        yield (
            "shape",
            "work",
            "ours",
            "tokens/s",
            "ms a step, decoding alone",
            "share of read bandwidth",
            "rival",
            "tokens/s",
            "ratio",
            "reach",
            "pairs",
        )
        for size in self.options.size:
            for dtype in self.options.dtype:
                rivals = [
                    name
                    for name in self.options.rival
                    if (dtype, name) in (("int8", "ct2"), ("float32", "ct2"), ("float32", "hf"), ("bfloat16", "hf"))
                ]
                sides = {name: self.side(name, size, dtype) for name in ("t0native", *rivals)}
                apart = self.apart(size, [dtype] * len(sides))
                if not apart:
                    self._start(sides, dtype)
                for examples in (1, 8):
                    yield from self._decode(size, dtype, sides, Work("", 80, 0, 0, examples), tokens, apart)
                for side in sides.values():
                    side.close()

    def _decode(self, size, dtype, sides, work, tokens, apart):
        calls = {name: (side, ("generate", work, tokens)) for name, side in sides.items()}
        calls["first"] = (sides["t0native"], ("generate", work, 1))
        runs = measure(calls, self.machine, dtype, self.options.repeats, apart)
        steps = [(a.seconds - b.seconds) / (tokens - 1) for a, b in zip(runs["t0native"], runs["first"])]
        weights = BYTES[dtype] * step_weights(self.config(size))
        share = statistics.median(weights / step / run.read for step, run in zip(steps, runs["t0native"]))
        reach = "70 %, " if (size, dtype, work.B) == ("xl", "int8", 1) else ""
        for name in [name for name in sides if name != "t0native"] or ["t0native"]:
            ours, theirs, ratio, count = compared(runs, "t0native", name)
            told = f"{reach}{DECODE_REACH[work.B]} x" if (size, dtype, name) == ("xl", "int8", "ct2") else "-"
            rates = [f"{tokens * work.B / seconds:.3g}" for seconds in (ours, theirs)]
            label = sides[name].name + (", not interleaved" if apart else "")
            yield (
                size,
                f"{work}, {tokens} tokens",
                dtype,
                rates[0],
                f"{statistics.median(steps) * 1e3:.3g}",
                f"{share:.0%}",
                label,
                rates[1],
                ratio,
                told,
                count,
            )

    # ---- two threads

    def threads(self):
        yield "shape", "work", "ours", "one thread, s an example", "two threads", "ratio", "two cores by the probe", "reach"
        os.sched_setaffinity(0, self.options.cores)
        for size in self.options.size:
            for dtype in self.options.dtype:
                if self.apart(size, [dtype] * 2):
                    print(f"\n{size} {dtype}: two such models do not fit memory\n")
                    continue
                sides = {n: self.side("t0native", size, dtype, threads=n, wall=True).start() for n in (1, 2)}
                for _, work in self.works():
                    cores = [self.machine.cores()]
                    runs = measure(
                        {n: (side, ("rank", work)) for n, side in sides.items()}, self.machine, dtype, self.options.repeats, False
                    )
                    cores.append(self.machine.cores())
                    two, one, _, _ = (
                        compared(runs, 2, 1)
                        if pairs(runs, 2, 1)
                        else (*(statistics.median(r.seconds for r in runs[n]) for n in (2, 1)), 0, 0)
                    )
                    told = " and ".join(f"{value:.2f}" for value in cores)
                    yield size, str(work), dtype, f"{one / work.B:.4g}", f"{two / work.B:.4g}", f"{one / two:.2f} x", f"{told} x", "1.85 x"
                for side in sides.values():
                    side.close()
        sidebyside.pin()

    # ---- memory and loading

    def memory(self):
        yield "shape", "ours", "from", "weights, GB", "peak of the process, GB, loading and scoring", "resident after", "reach"
        for size, dtype, name in self._forms():
            side = self.side(name, size, dtype).start()
            for _, work in self.works():
                side.call("rank", work)
            reach = MEMORY_REACH.get(dtype) if size == "xl" else None
            told = (f"{value / 1e9:.2f}" for value in (side.facts["bytes"], *side.memory()))
            yield size, dtype, FORMS[name], *told, f"{reach} GB" if reach else "-"
            side.close()

    def load(self):
        yield "shape", "from", "into", "file, GB", "reading it, s", "loading, s", "of the processor, s", "ratio", "reach"
        os.sched_setaffinity(0, self.options.cores)  # files are read beside the packing
        for size, dtype, name in self._forms():
            for warm in (True, False):
                yield self._load(size, dtype, name, warm)
        sidebyside.pin()

    def _forms(self):
        for size in self.options.size:
            for dtype in self.options.dtype:
                yield size, dtype, "t0native"
                if dtype == "int8":
                    yield size, dtype, "packed"

    def _load(self, size, dtype, name, warm):
        file = next(self.folder(size, [name]).glob("model.*"))
        times = []
        for _ in range(3):
            prepare(file, warm)
            read = read_file(file)
            prepare(file, warm)
            side = self.side(name, size, dtype).start()
            times.append((read, *side.load_seconds))
            side.close()
        read, processor, loaded = (statistics.median(column) for column in zip(*times))
        kind = f"{FORMS[name]}, {'cached by the system' if warm else 'not cached'}"
        reach = "1 s" if name == "packed" else "1.3 x"
        return (
            size,
            kind,
            dtype,
            f"{file.stat().st_size / 1e9:.2f}",
            f"{read:.2f}",
            f"{loaded:.2f}",
            f"{processor:.2f}",
            f"{loaded / read:.2f} x",
            reach,
        )


def prepare(file, warm):
    """The file in the system's cache, or out of it."""
    if warm:
        read_file(file)
        return
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_file(file):
    """Seconds to read it through, 4 MB at a time."""
    block = bytearray(1 << 22)
    began = time.perf_counter()
    with open(file, "rb", buffering=0) as opened:
        while opened.readinto(block):
            pass
    return time.perf_counter() - began


# ---- the command ----------------------------------------------------------------------------------------------------

PARTS = ("score", "encode", "decode", "threads", "memory", "load")


def show(rows):
    for number, row in enumerate(rows):
        print("| " + " | ".join(row) + " |" + ("\n" + "|---" * len(row) + "|" if number == 0 else ""), flush=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    several = {
        "part": (PARTS, PARTS),
        "size": (("small", "base", "large", "xl"), ["large"]),
        "work": (tuple(WORKS), list(WORKS)),
        "dtype": (tuple(BYTES), ["int8", "float32", "bfloat16"]),
        "rival": (("ct2", "hf", "reused", "ours"), ["ct2", "hf", "reused"]),
    }
    for name, (choices, default) in several.items():
        parser.add_argument(f"--{name}", nargs="+", choices=choices, default=default)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--examples", type=int, help="examples of a work at most")
    parser.add_argument("--kernels", choices=t0.kernels.available(), default=t0.kernels.available()[-1])
    parser.add_argument("--cache", type=Path, metavar="DIR")
    options = parser.parse_args()
    options.cores = os.sched_getaffinity(0)
    return options


def main():
    options = arguments()
    sidebyside.pin()
    print(sidebyside.machine())
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options, options.cache or Path(temporary))
        print(bench.machine, flush=True)
        for part in options.part:
            print(f"\n{part}, load {os.getloadavg()[0]:.2f}\n")
            show(getattr(bench, part)())
    print(f"\nat the end: {bench.machine}, load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    sys.exit(main())
