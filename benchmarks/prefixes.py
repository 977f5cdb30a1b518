"""Many labels of one text, those that begin alike sharing the decoder's work, against each by itself: time, memory and bits.

    python benchmarks/prefixes.py [--shape mini small base] [--dtype float32 int8] [--repeats 7] [--part time apart memory]

time: 10,000 labels of 8 tokens, 100 beginnings of 6 tokens with 100 endings each, of a text of 64 tokens.  apart: 1,000 labels of 8
tokens of which no two have their first one in common (in a vocabulary of fewer: as many as there are): what the order costs.
memory: the peak of a process that ranks the 10,000 against one that ranks 100.  Runs are paired, ours and each by itself in turn, one
pinned thread, processor time, medians of ratios; the bits are compared every time."""

import argparse
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import sidebyside  # sets the thread variables

import t0native as t0

SHAPES = {  # of flan-t5
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_decoder_layers": 8, "num_heads": 6},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12},
}
TEXT, LENGTH, BEGINNINGS, ENDINGS = 64, 8, 100, 100


class Apart:
    """A model's core of which every label is scored by itself."""

    def __init__(self, core):
        self.core = core

    def __getattr__(self, name):
        return getattr(self.core, name)

    def score(self, *arguments):
        return self.core.score(*arguments, apart=True)


def model_of(shape, dtype, apart=False):
    if shape == "mini":
        model = t0.Model.mini(threads=1).to(dtype)
    else:
        config = t0.Config(vocab_size=32128, **SHAPES[shape])
        model = t0.Model.init(config, dtype=dtype, threads=1)
    if apart:
        model.core = Apart(model.core)
    return model


def text_of(model):
    return np.random.default_rng(0).integers(3, model.config.vocab_size, TEXT).astype(np.int32)


def sharing_labels(model, beginnings=BEGINNINGS, endings=ENDINGS):
    """int32 [beginnings x endings, 8], in an order that is none."""
    rng = np.random.default_rng(1)
    first = rng.integers(3, model.config.vocab_size, (beginnings, LENGTH - 2))
    last = rng.integers(3, model.config.vocab_size, (beginnings, endings, 2))
    labels = np.concatenate([np.repeat(first[:, None], endings, axis=1), last], axis=2).reshape(-1, LENGTH)
    return list(rng.permutation(labels).astype(np.int32))


def labels_apart(model):
    rng = np.random.default_rng(2)
    first = rng.permutation(np.arange(3, model.config.vocab_size))[:1000]
    return list(
        np.concatenate([first[:, None], rng.integers(3, model.config.vocab_size, (len(first), LENGTH - 1))], axis=1).astype(np.int32)
    )


def run(model, text, labels):
    """(processor seconds, scores)."""
    start = time.process_time()
    scores = model.rank(text, labels).scores
    return time.process_time() - start, scores


def compare(shape, dtype, labels_of, repeats):
    ours, apart = model_of(shape, dtype), model_of(shape, dtype, apart=True)
    text, labels = text_of(ours), labels_of(ours)
    run(ours, text, labels[:50])
    run(apart, text, labels[:50])
    found = []
    for _ in range(repeats):
        (together, scores), (alone, of_each) = run(ours, text, labels), run(apart, text, labels)
        if scores.tobytes() != of_each.tobytes():
            raise SystemExit(f"{shape} {dtype}: other bits")
        found.append((together, alone))
    ratios = sorted(alone / together for together, alone in found)
    middle = [statistics.median(side) for side in zip(*found)]
    return (
        f"| {shape} | {dtype} | {len(labels):,} | {middle[0]:.3f} | {middle[1]:.3f} | {statistics.median(ratios):.2f} x"
        f" ({ratios[0]:.2f} to {ratios[-1]:.2f}) | {repeats} |"
    )


def peak(shape, dtype, count):
    """MB at most of a process that ranks so many labels (this one, called by itself)."""
    out = subprocess.run([sys.executable, __file__, "--peak", shape, dtype, str(count)], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)


def print_peak(shape, dtype, count):
    model = model_of(shape, dtype)
    labels = sharing_labels(model, 100, int(count) // 100)
    model.rank(text_of(model), labels)
    with open("/proc/self/status") as status:
        print(next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--shape", nargs="+", default=["mini", "small"])
    parser.add_argument("--dtype", nargs="+", default=["float32", "int8"])
    parser.add_argument("--part", nargs="+", default=["time", "apart", "memory"])
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return print_peak(*options.peak)
    sidebyside.pin()
    print(sidebyside.machine())
    for part, labels in (("time", sharing_labels), ("apart", labels_apart)):
        if part in options.part:
            print(
                f"\n{part}\n\n| shape | numbers | labels | sharing, s | each by itself, s | ratio | pairs |\n|---|---|---|---|---|---|---|"
            )
            for shape in options.shape:
                for dtype in options.dtype:
                    print(compare(shape, dtype, labels, options.repeats), flush=True)
    if "memory" in options.part:
        print("\nmemory\n\n| shape | numbers | 100 labels, MB | 10,000 labels, MB | at most |\n|---|---|---|---|---|")
        for shape in options.shape:
            for dtype in options.dtype:
                few, many = peak(shape, dtype, 100), peak(shape, dtype, 10000)
                print(f"| {shape} | {dtype} | {few:,.0f} | {many:,.0f} | {1.5 * few + 500:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
