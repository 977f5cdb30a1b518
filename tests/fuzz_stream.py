"""The stream of training examples is one stream: with any number of workers, from the first step or a later one, in batches of 64
examples or cut by tokens, its tokens have one SHA-256; and memory stays within a bound.

    python tests/fuzz_stream.py [--examples 1000000] [--workers 1 2 4] [--batch-tokens 4096] [--most-mb 500]

Examples are the miniature's training mixture with its prompts, and rows of a JSONL file that is read from the disk as they are drawn.
Behind nine tenths of them the stream is begun anew, at the step that it has reached there: the last tenth must have one digest too.
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
from t0native.batches import CHUNK, Batches, TokenBatches, make_batch

BATCH = 64
SETTINGS = {"seed": 3, "max_source": 256, "max_target": 64}


def mixture_of(folder, rows):
    path = Path(folder, "rows.jsonl")
    with open(path, "w") as file:
        for i in range(rows):
            file.write(json.dumps({"number": i, "text": f"row {i} of a long file"}) + "\n")
    prompts = [t0.Prompt("number", "{{ text }}. Which? ||| {{ number }}"), t0.Prompt("even", "{% if number % 2 == 0 %}{{ text }}{% endif %} ||| even")]
    return t0.Mixture([*t0.mini.training_tasks(), t0.Task("disk", t0.open_rows(path), prompts)])


class Digest:
    """SHA-256 of the tokens, and of the length of each, of batches that come one after the other."""

    def __init__(self):
        self._all = [hashlib.sha256() for _ in range(4)]

    def add(self, batch):
        parts = (batch.sources.ids, batch.sources.lengths, batch.targets.ids, batch.targets.lengths)
        for sha, part in zip(self._all, parts):
            sha.update(part)

    def told(self):
        return hashlib.sha256(b"".join(sha.digest() for sha in self._all)).hexdigest()


def streamed(batches, later, end):
    """(digest of the examples from the stream's first to `end`, of those from `later` on, (step, first example) of later's batch)"""
    whole, rest, begins = Digest(), Digest(), None
    with batches:
        while True:
            batch = batches.next()
            batch = batch.part(0, min(len(batch), end - batch.first))
            whole.add(batch)
            if batch.first + len(batch) > later:
                begins = begins or (batch.step, batch.first)
                rest.add(batch.part(max(0, later - batch.first), len(batch)))
            if batch.first + len(batch) == end:
                return whole.told(), rest.told(), begins


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=1_000_000)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--most-mb", type=float, default=500.0)
    options = parser.parse_args()
    end = options.examples
    wholes, rests = set(), set()
    with tempfile.TemporaryDirectory() as folder:
        mixture, tokenizer = mixture_of(folder, 200_000), t0.mini.new_model(0).tokenizer

        def made(number, size):
            return make_batch(mixture, tokenizer, number, batch_size=size, **SETTINGS)

        def by_examples(step, example, workers):
            return Batches(lambda number: made(number, BATCH), step, None, workers)

        def by_tokens(step, example, workers):
            return TokenBatches(lambda number: made(number, CHUNK), step, example, options.batch_tokens, workers)

        for batches in (by_examples, by_tokens):
            for workers in options.workers:
                start = 0, 0
                for again in (False, True):
                    began = time.perf_counter()
                    whole, rest, found = streamed(batches(*start, workers), end - end // 10, end)
                    seconds = time.perf_counter() - began
                    rests.add(rest)
                    if not again:
                        wholes.add(whole)
                    told = f"{batches.__name__}, {workers} workers, examples {start[1]:,} to {end:,}"
                    print(f"{told}: {whole[:16]} {rest[:16]}, {(end - start[1]) / seconds:,.0f} examples/s", flush=True)
                    start = found
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"{end:,} examples; peak {peak:.0f} MB")
    return 0 if len(wholes) == len(rests) == 1 and peak <= options.most_mb else 1


if __name__ == "__main__":
    sys.exit(main())
