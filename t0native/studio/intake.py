"""The process that reads a file that somebody sent: python -m t0native.studio.intake KIND IN OUT MOST [DATASET].

Rows (jsonl, json, csv, tsv, parquet; MOST of them) become JSON Lines; a zip of prompts (prompts; MOST files) becomes JSON, as
exchange.py reads a folder. What is wrong is a sentence on standard output and exit code 2. A reader that the file misleads can do
no more than end this process: its memory, time and output are limited."""

import errno
import math
import resource
import sys

from t0native.base.jsontext import json_text
from t0native.data.arrowchecks import check_batch, rows_of_batch
from t0native.data.lines import read_jsonl
from t0native.data.rows import read_csv, read_json
from t0native.data.types import read_types

__all__ = ["main", "plain"]

CPU, MEMORY, OUTPUT, MAX_DEPTH = 60, 3 << 30, 512 << 20, 32
OF_PROMPTS = {"cpu": 20, "memory": 1 << 30, "output": 64 << 20}


def main(kind, source, target, most, dataset=None):
    """Returns the exit code. dataset: whose rows they are; a CSV file of one of T0's has the types of its features."""
    _confine(**(OF_PROMPTS if kind == "prompts" else {"cpu": CPU, "memory": MEMORY, "output": OUTPUT}))
    try:
        count = (_write_prompts if kind == "prompts" else _write_rows)(kind, source, target, int(most), dataset)
    except MemoryError:
        return _fail("it needs too much memory: upload it in parts")
    except OSError as error:
        return _fail("too much comes out of it: send it in parts" if error.errno == errno.EFBIG else str(error))
    except Exception as error:  # whatever a reader raises is about the file
        return _fail(str(error) or type(error).__name__)
    print(count)
    return 0


def _confine(cpu, memory, output):
    for limit, value in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _write_rows(kind, source, target, most, dataset):
    count = 0
    with open(target, "w", encoding="utf-8", newline="\n") as file:
        for row in _rows(kind, source, read_types(None, dataset)):
            count += 1
            if count > most:
                raise ValueError(f"more than {most:,} rows: upload fewer")
            file.write(json_text(plain(row)) + "\n")
    if not count:
        raise ValueError("no rows in it")
    return count


def _write_prompts(kind, source, target, most, dataset):
    from t0native.studio.exchange import read_zip  # here: rows need none of it

    files = read_zip(source, most)
    with open(target, "w", encoding="utf-8") as file:
        file.write(json_text(files))
    return len(files)


def _rows(kind, source, types):
    if kind == "parquet":
        try:
            import pyarrow.parquet
        except ImportError:
            raise ValueError("Parquet needs pyarrow on the server: `pip install pyarrow`, or upload .jsonl") from None
        first = 0
        for batch in pyarrow.parquet.ParquetFile(source).iter_batches(1000):
            yield from rows_of_batch("the file", check_batch("the file", batch, first), first)
            first += len(batch)
        return
    if kind in ("csv", "tsv"):
        yield from read_csv(source, None if kind == "csv" else "\t", types)
    else:
        yield from {"jsonl": read_jsonl, "json": read_json}[kind](source)


def plain(value, depth=0):
    """A value as JSON has it: bytes and dates become text, what is no number becomes null, lone surrogates U+FFFD.

    >>> plain({"a": (1, float("nan"), b"x")})
    {'a': [1, None, 'x']}
    """
    if depth > MAX_DEPTH:
        raise ValueError(f"a row is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        return {plain(str(key)): plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner, depth + 1) for inner in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if not value.isascii() else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (int, bool, type(None))) else str(value)


def _fail(sentence):
    print(sentence.replace("\n", " ")[:500])
    return 2


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
