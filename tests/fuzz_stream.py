"""The stream of training examples is one stream: with any number of workers, from the first step or a later one, from rows in memory
or on the disk, its tokens have one SHA-256; and memory stays within a bound.

    python tests/fuzz_stream.py [--examples 1000000] [--workers 1 2 4] [--most-mb 500]

Examples are the miniature's training mixture with its prompts, and rows of a JSONL file that is read from the disk as they are drawn.
Exit code 1 where a digest or the bound is missed. test_streaming.py runs a slice."""

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import t0native as t0
from t0native.batches import Batches, make_batch

BATCH = 64
SETTINGS = {"seed": 3, "batch_size": BATCH, "max_source": 256, "max_target": 64}


def mixture_of(folder, rows):
    path = Path(folder, "rows.jsonl")
    with open(path, "w") as file:
        for i in range(rows):
            file.write(json.dumps({"number": i, "text": f"row {i} of a long file"}) + "\n")
    prompts = [t0.Prompt("number", "{{ text }}. Which? ||| {{ number }}"), t0.Prompt("even", "{% if number % 2 == 0 %}{{ text }}{% endif %} ||| even")]
    return t0.Mixture([*t0.mini.training_tasks(), t0.Task("disk", t0.open_rows(path), prompts)])


def digest(make, first, last, workers):
    """SHA-256 of the tokens of steps first .. last - 1, and seconds."""
    sha, start = hashlib.sha256(), time.perf_counter()
    with Batches(make, first, last, workers) as batches:
        for _ in range(first, last):
            batch = batches.next()
            for part in (batch.sources.ids, batch.sources.offsets, batch.targets.ids, batch.targets.offsets):
                sha.update(part)
    return sha.hexdigest(), time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--most-mb", type=float, default=500.0)
    options = parser.parse_args()
    steps = options.examples // BATCH
    later = steps - steps // 10
    found = {"whole": set(), "resumed": set()}
    with tempfile.TemporaryDirectory() as folder:
        mixture, tokenizer = mixture_of(folder, 200_000), t0.mini.new_model(0).tokenizer

        def make(step):
            return make_batch(mixture, tokenizer, step, **SETTINGS)

        for workers in options.workers:
            for name, first in (("whole", 0), ("resumed", later)):
                sha, seconds = digest(make, first, steps, workers)
                found[name].add(sha)
                print(f"{workers} workers, steps {first:,} to {steps:,}: {sha[:16]}, {(steps - first) * BATCH / seconds:,.0f} examples/s", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{options.examples:,} examples; peak {peak:.0f} MB")
    return 0 if all(len(digests) == 1 for digests in found.values()) and peak <= options.most_mb else 1


if __name__ == "__main__":
    sys.exit(main())
