"""The stream of training examples is one stream: with any number of workers, from the first step or a later one, in batches of 64
examples or cut by tokens, its tokens have one SHA-256; and memory stays within a bound.

    python tests/fuzz_stream.py [--examples 1000000] [--workers 1 2 4] [--batch-tokens 4096] [--most-mb 500] [--kind jsonl] [--rows 200000]

Examples are the miniature's training mixture with its prompts, and rows of a file, JSON Lines, CSV or Parquet (needs pyarrow), that is read
from the disk as they are drawn; `--alone` leaves the miniature out.
Behind nine tenths of them the stream is begun anew, at the step that it has reached there: the last tenth must have one digest too.
Exit code 1 where a digest or the bound is missed. test_streaming.py runs a slice."""

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import time
from itertools import chain
from pathlib import Path

import t0native as t0
from t0native.training.batches import CHUNK, Batches, TokenBatches, make_batch

BATCH, PIECE = 64, 1 << 18
SETTINGS = {"seed": 3, "max_source": 256, "max_target": 64}


def file_of(folder, kind, n):
    """A file of n rows {number, text}, written in pieces."""
    path = Path(folder, f"rows.{kind}")
    pieces = ([(i, f"row {i} of a long file") for i in range(begin, min(n, begin + PIECE))] for begin in range(0, n, PIECE))
    if kind == "parquet":
        import pyarrow
        from pyarrow import parquet

        schema = pyarrow.schema([("number", pyarrow.int64()), ("text", pyarrow.string())])
        with parquet.ParquetWriter(path, schema) as sink:
            for piece in pieces:
                sink.write_table(pyarrow.table([[row[i] for row in piece] for i in (0, 1)], schema=schema))
        return path
    with open(path, "w") as file:
        if kind == "csv":
            file.write("number,text\n")
        for number, text in chain.from_iterable(pieces):
            file.write(f'{number},"{text}"\n' if kind == "csv" else json.dumps({"number": number, "text": text}) + "\n")
    return path


def mixture_of(path, alone):
    prompts = [
        t0.Prompt("number", "{{ text }}. Which? ||| {{ number }}"),
        t0.Prompt("even", "{% if number % 2 == 0 %}{{ text }}{% endif %} ||| even"),
    ]
    began = time.perf_counter()
    rows = t0.open_rows(path)
    print(f"{rows}, {path.stat().st_size / 1e6:,.0f} MB, opened in {time.perf_counter() - began:.1f} s; peak {peak():.0f} MB", flush=True)
    return t0.Mixture([*([] if alone else t0.mini.training_tasks()), t0.Task("disk", rows, prompts)])


def peak():
    """MB that this process has had in memory at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


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
    parser.add_argument("--kind", choices=("jsonl", "csv", "parquet"), default="jsonl")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--alone", action="store_true")
    options = parser.parse_args()
    end = options.examples
    wholes, rests = set(), set()
    with tempfile.TemporaryDirectory() as folder:
        mixture = mixture_of(file_of(folder, options.kind, options.rows), options.alone)
        tokenizer = t0.mini.new_model(0).tokenizer

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
    print(f"{end:,} examples; peak {peak():.0f} MB")
    return 0 if len(wholes) == len(rests) == 1 and peak() <= options.most_mb else 1


if __name__ == "__main__":
    sys.exit(main())
