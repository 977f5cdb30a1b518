"""Damaged Arrow and Parquet files: each is read, or is a DataError; no process ends.

    python tests/fuzz_arrow_files.py [--kinds arrow parquet copy] [--inputs 50000] [--from 0] [--seconds S]

    arrow      files and streams, compressed or not, mapped, read by read_rows           parquet    by read_rows and by open_rows
    copy       the copy beside a sound Parquet file that open_rows reads from

The sound files hold columns of some twenty types, nested, dictionary-encoded, with gaps, in several batches, pages and encodings. Damage is
of one to four steps: bits, numbers of 4 and 8 bytes that look like lengths or offsets, cut, doubled, moved, blanked and strange pieces.
Input i of a kind is the same wherever a run begins, with the same version of pyarrow. Inputs are read in a child process, that begins
anew behind one that ended it, or that took more than 30 seconds. Exit code 1 where there was one, or another exception than DataError.
test_arrow_files.py runs a slice."""

import argparse
import datetime
import decimal
import io
import logging
import mmap
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import t0native as t0

KINDS = ("arrow", "parquet", "copy")
MEMORY, PATIENCE = 6 << 30, 30
SEEN = 300  # rows that are read of each
NUMBERS = [0, 1, 2, -1, -2, 7, 8, 255, 1 << 15, 1 << 24, (1 << 31) - 1, 1 << 31, 1 << 32, 1 << 40, (1 << 63) - 1, -(1 << 63)]


# ---- sound files ----------------------------------------------------------------------------------------------------


def table_of(pyarrow, n, plain=False):
    """n rows of many types. plain: of those alone that every version of Parquet's formats has."""
    pa, at = pyarrow, datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    texts = [None if i % 5 == 3 else f"row {i} " + "é日😀"[i % 3] * (i % 4) + "x" * (i % 17) for i in range(n)]
    columns = {
        "text": pa.array(texts), "large": pa.array(texts, pa.large_string()), "bytes": pa.array([b"\xff" * (i % 3) for i in range(n)]),
        "n": pa.array(range(n)), "small": pa.array([i % 100 - 50 for i in range(n)], pa.int8()), "flag": pa.array([i % 2 == 0 for i in range(n)]),
        "x": pa.array([None if i % 4 == 1 else i / 2 for i in range(n)]), "whole": pa.array([float("nan") if i == 2 else float(i) for i in range(n)]),
        "day": pa.array([datetime.date(2000, 1, 1 + i % 28) for i in range(n)]), "at": pa.array([at] * n, pa.timestamp("us", "UTC")),
        "took": pa.array([i * 1000 for i in range(n)], pa.duration("ms")), "time": pa.array([i for i in range(n)], pa.time32("s")),
        "price": pa.array([decimal.Decimal(i) / 4 for i in range(n)], pa.decimal128(9, 2)), "nothing": pa.nulls(n),
        "kind": pa.array([f"kind {i % 3}" for i in range(n)]).dictionary_encode(), "key": pa.array([b"0123456789abcdef"] * n, pa.binary(16)),
        "list": pa.array([[f"a{k}" for k in range(i % 4)] for i in range(n)]), "fixed": pa.array([[i, None] for i in range(n)], pa.list_(pa.int32(), 2)),
        "parts": pa.array([{"label": ["A"] * (i % 3), "at": i} if i % 6 else None for i in range(n)]),
        "map": pa.array([[("a", i), ("b", None)][: i % 3] for i in range(n)], pa.map_(pa.string(), pa.int64())),
    }  # fmt: skip
    if not plain:
        columns |= {
            "view": pa.array(texts, pa.string_view()), "ends": pa.RunEndEncodedArray.from_arrays(pa.array([n // 2, n], pa.int32()), pa.array(["u", None])),
            "list view": pa.array([[i] * (i % 3) for i in range(n)], pa.list_view(pa.int16())), "half": pa.array([i / 2 for i in range(n)], pa.float16()),
            "union": pa.UnionArray.from_sparse(pa.array([i % 2 for i in range(n)], pa.int8()), [pa.array(texts), pa.array(range(n))]),
            "dense": pa.UnionArray.from_dense(pa.array([i % 2 for i in range(n)], pa.int8()), pa.array([i // 2 for i in range(n)], pa.int32()), [pa.array(range(n)), pa.array(texts)]),
        }  # fmt: skip
    return pa.table(columns)


def arrow_files(pyarrow):
    """Bytes of sound files and streams."""
    from pyarrow import feather, ipc

    table = table_of(pyarrow, 24)
    narrow = [
        table.select(names)
        for names in (["text", "n"], ["kind", "list"], ["parts", "map", "x"], ["view", "dense", "ends"], ["large", "union", "flag"])
    ]
    for one in [table, *narrow]:
        for new in (ipc.new_stream, ipc.new_file):
            for compression in (None, "zstd"):
                sink = io.BytesIO()
                with new(sink, one.schema, options=ipc.IpcWriteOptions(compression=compression)) as out:
                    out.write_table(one, max_chunksize=9)
                yield sink.getvalue()
    sink = io.BytesIO()
    schema = pyarrow.schema([("kind", pyarrow.dictionary(pyarrow.int32(), pyarrow.string()))])
    with ipc.new_stream(sink, schema, options=ipc.IpcWriteOptions(emit_dictionary_deltas=True)) as out:
        for kinds in (["a", "b"], ["a", "b", "c"], ["d"]):
            out.write_batch(pyarrow.record_batch([pyarrow.array(kinds).dictionary_encode()], schema=schema))
    yield sink.getvalue()
    for compression in ("lz4", "uncompressed"):
        sink = io.BytesIO()
        feather.write_feather(table_of(pyarrow, 24, plain=True), sink, compression=compression)
        yield sink.getvalue()


def parquet_files(pyarrow):
    from pyarrow import parquet

    table = table_of(pyarrow, 24, plain=True).drop_columns(["took"])
    narrow = [table.select(names) for names in (["text", "n"], ["kind", "list"], ["parts", "map", "x"], ["bytes", "day", "flag"])]
    plain = {"use_dictionary": False, "compression": "none"}
    for one in [table, *narrow]:
        for settings in (
            {}, plain, plain | {"data_page_version": "2.0"}, {"compression": "zstd", "row_group_size": 9}, {"compression": "none", "data_page_size": 40},
            plain | {"write_page_checksum": True, "write_page_index": True},
        ):  # fmt: skip
            sink = io.BytesIO()
            parquet.write_table(one, sink, **settings)
            yield sink.getvalue()
    encodings = {"text": "DELTA_BYTE_ARRAY", "large": "DELTA_LENGTH_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED", "x": "BYTE_STREAM_SPLIT"}
    sink = io.BytesIO()
    parquet.write_table(table.select(list(encodings)), sink, column_encoding=encodings, **plain)
    yield sink.getvalue()


# ---- damage ---------------------------------------------------------------------------------------------------------


def damaged(data, others, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        if len(data) > 16:
            rng.choice([_bits, _bits, _number, _number, _number, _near, _cut, _blank, _double, _move, _strange])(data, others, rng)
    return bytes(data)


def _place(data, rng, align=1):
    """Somewhere; the ends, where metadata are, as often as all the rest."""
    at = rng.choice([rng.randrange(len(data)), len(data) - 1 - rng.randrange(min(len(data), 900)), rng.randrange(min(len(data), 500))])
    return min(at, len(data) - 8) // align * align


def _bits(data, others, rng):
    data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _number(data, others, rng):
    """A number that looks like a length or an offset becomes another."""
    code, size = rng.choice([("<i", 4), ("<i", 4), ("<q", 8)])
    for _ in range(20):
        at = _place(data, rng, 4)
        (value,) = struct.unpack_from(code, data, at)
        if 0 <= value <= 4 * len(data):
            break
    value = rng.choice([value + 1, value - 1, value * 2, -value, value ^ 1 << rng.randrange(31), *NUMBERS])
    data[at : at + size] = (value & (1 << 8 * size) - 1).to_bytes(size, "little")


def _near(data, others, rng):
    at = _place(data, rng)
    data[at] = (data[at] + rng.choice([-2, -1, 1, 2])) % 256


def _cut(data, others, rng):
    if rng.random() < 0.3:
        at = _place(data, rng)
        del data[at : at + rng.choice([1, 4, 8, 64, len(data)])]


def _blank(data, others, rng):
    at, n = _place(data, rng), rng.choice([1, 4, 8, 32])
    data[at : at + n] = rng.choice([b"\0", b"\xff", b"\x80"]) * len(data[at : at + n])


def _double(data, others, rng):
    at, n = _place(data, rng, 4), rng.choice([4, 8, 64, 200])
    data[at:at] = data[at : at + n]


def _move(data, others, rng):
    one, other, n = _place(data, rng, 8), _place(data, rng, 8), rng.choice([4, 8, 16, 64])
    piece = bytes(data[one : one + n])
    data[other : other + len(piece)] = piece


def _strange(data, others, rng):
    other = rng.choice(others)
    at, start, n = _place(data, rng, 8), rng.randrange(len(other)), rng.choice([8, 32, 128])
    data[at : at + n] = other[start : start + n]


# ---- reading --------------------------------------------------------------------------------------------------------


class Reader:
    """Reads input i of a kind in a folder: "read", "DataError", or a fault in words."""

    def __init__(self, kind, folder):
        import pyarrow

        self.kind, self.folder = kind, Path(folder)
        self.sound = list((arrow_files if kind == "arrow" else parquet_files)(pyarrow))
        if kind == "copy":
            self.copies = [self._copy_of(k, data) for k, data in enumerate(self.sound)]

    def _copy_of(self, k, data):
        path = self.folder / f"{k}.parquet"
        path.write_bytes(data)
        t0.open_rows(path)
        return path.with_name(f".{k}.parquet.rows").read_bytes()

    def read(self, i):
        rng = random.Random(f"{self.kind} {i}")
        k = rng.randrange(len(self.sound))
        if self.kind == "copy":
            path = self.folder / f"{k}.parquet"
            path.with_name(f".{k}.parquet.rows").write_bytes(damaged(self.copies[k], self.copies, rng))
            openers = [t0.open_rows]
        else:
            path = self.folder / f"input.{'parquet' if self.kind == 'parquet' else rng.choice(['arrow', 'feather'])}"
            path.write_bytes(damaged(self.sound[k], self.sound, rng))
            openers = (
                [t0.read_rows, lambda path: t0.open_rows(path, index=self.folder / "made")] if self.kind == "parquet" else [t0.read_rows]
            )
        ends = [self._rows(opener, path) for opener in openers]
        return next((end for end in ends if end != "read"), "read")

    def _rows(self, opener, path):
        try:
            rows = opener(path)
            for at in [*range(min(len(rows), SEEN)), len(rows) - 1]:
                if set(rows[at]) - {None} and not all(isinstance(name, str) for name in rows[at]):
                    return f"{path}, row {at}: strange names"
            return "read"
        except t0.DataError as error:
            return (
                "DataError"
                if str(error).startswith(str(self.folder)) and str(error).isprintable()
                else f"DataError without a place: {error!r}"
            )
        except Exception:
            return traceback.format_exc(limit=-3)


def child(kind, first, last, folder, state):
    """Reads inputs first ... last - 1. state: a file of int64: the input that is being read, and how many were "read"."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(state, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 16)
    logging.getLogger("t0native").setLevel(logging.CRITICAL)  # what was converted into what
    reader, counts = Reader(kind, folder), Counter()
    for i in range(first, last):
        shared[:16] = struct.pack("<qq", i, counts["read"])
        end = reader.read(i)
        counts[end if end in ("read", "DataError") else "fault"] += 1
        if end not in ("read", "DataError"):
            print(f"{kind} {i}: {end}", flush=True)
    shared[:16] = struct.pack("<qq", last, counts["read"])


def fuzz(kind, first, last, seconds=float("inf"), tell=print):
    """(inputs read in children, how many of them were sound enough, [what went wrong])."""
    wrong, began, sound, at = [], time.monotonic(), 0, first
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        state, log = Path(folder, "state"), Path(folder, "log")
        while at < last and time.monotonic() - began < seconds:
            state.write_bytes(struct.pack("<qq", at, 0))
            Path(folder, "files").mkdir(exist_ok=True)
            arguments = [
                sys.executable,
                "-X",
                "faulthandler",
                __file__,
                "--child",
                kind,
                str(at),
                str(last),
                str(Path(folder, "files")),
                str(state),
            ]
            with open(log, "wb") as out:
                process = subprocess.Popen(arguments, stdout=out, stderr=subprocess.STDOUT)
                code, stopped_at = _watch(process, state, began + seconds)
            number, read = struct.unpack("<qq", state.read_bytes())
            text, sound = log.read_text(errors="replace"), sound + read
            at = number if stopped_at else number + (code != 0)
            if code != 0 and not stopped_at:
                wrong.append(f"{kind} {number}: ended its process ({code})\n{text[-1500:]}")
                tell(wrong[-1])
            elif text:
                wrong += [f"{kind} {part}" for part in text.split(f"{kind} ") if part]
                tell(text)
    return at - first, sound, wrong


def _watch(process, state, end):
    """(exit code, whether it was stopped for want of time). A child that stays at one input for long is ended."""
    last, since = None, time.monotonic()
    while True:
        try:
            return process.wait(0.5), False
        except subprocess.TimeoutExpired:
            now, number = time.monotonic(), state.read_bytes()[:8]
            if number != last:
                last, since = number, now
            if now > end or now - since > PATIENCE:
                process.kill()
                process.wait()
                return (0, True) if now > end else ("no end", False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--inputs", type=int, default=50_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options, faults = parser.parse_args(), 0
    for kind in options.kinds:
        began = time.monotonic()
        n, sound, wrong = fuzz(kind, options.first, options.first + options.inputs, options.seconds)
        seconds = time.monotonic() - began
        print(f"{kind}: {n:,} inputs, {sound:,} of them could be read, {n / seconds:,.0f} a second; {len(wrong)} faults", flush=True)
        faults += len(wrong)
    return faults > 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
    else:
        sys.exit(main())
