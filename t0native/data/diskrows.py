"""Rows that stay on the disk: a file of any size as a sequence, 8 bytes of memory a row, through an index of offsets.

    DATA.jsonl         one object a line; blank lines are passed over
    DATA.csv, .tsv     the first line has the field names; a row may have quoted line ends; blank lines are passed over
    .DATA.jsonl.rows   "T0ROWS2\n", then int64 little-endian: size and time (ns) of DATA.jsonl, n, k, CRC-32 of what follows; of the k
                       fields of a CSV file what each is (0 text, 1 int, 2 float), by all rows; and n + 1 offsets: where each row
                       begins, and the end of the file
    DATA.parquet       arrowrows.py

The index is made once, beside the data or in a folder of its own, and anew when size or time of the file differ or when it is
damaged. Where it cannot be written it is kept in memory. A file that changes while it is open is told when a row is asked for."""

import array
import contextlib
import csv
import io
import os
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

from t0native.base.errors import DataError
from t0native.base.files import make_folder, replacing
from t0native.data.arrowrows import ParquetRows, parquet_bytes, read_arrow
from t0native.data.distributed import BESIDE, convert_row, convert_rows, holds_many
from t0native.data.lines import parse_object, text_lines
from t0native.data.rows import csv_cells, csv_records, is_written_as, long_cells, number_kind, read_rows

__all__ = ["DiskRows", "open_rows", "rows_at"]

MAGIC = b"T0ROWS2\n"
HEADER = len(MAGIC) + 5 * 8
BIG = 64 << 20  # bytes of a file
_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_CHANGED = "{}: changed since it was opened, so its rows are not those that were promised; open it again"
KINDS = (None, int, float)  # of a CSV file's fields; None: text


class _JsonLines:
    """How a JSON Lines file is cut into rows, and how one is read."""

    def __init__(self, path):
        self.path = path

    def scan(self, file):
        """(offset of each row and the end, array of int64; number of the kind of each field)."""
        offsets, at = array.array("q"), 0
        for line in file:
            if line.strip():
                offsets.append(at)
            at += len(line)
        offsets.append(at)
        return offsets, []

    def prepare(self, file, kinds):
        """Before rows are read. kinds: as scan gave them."""

    def row(self, data, number=None):
        """The row at the beginning of these bytes; DataError where it is none. number: of its line, where that is known."""
        line = data[: data.find(b"\n") + 1 or len(data)]  # blank lines may follow
        ((number, text),) = text_lines(self.path, [line], number or 2)  # of the first one the byte order mark is gone already
        return parse_object(self.path, number, text)


class _CsvRows:
    """As _Lines, of a CSV file."""

    def __init__(self, path, delimiter):
        self.path, self.delimiter = path, delimiter

    def _records(self, lines):
        return csv_records(self.path, text_lines(self.path, lines), self.delimiter)

    def scan(self, file):
        offsets, at, numeric = array.array("q"), 0, None

        def lines():
            nonlocal at
            for line in file:
                at += len(line)
                yield line

        with long_cells():
            records = self._records(lines())
            fields, begin = len(next(records)), at
            for cells in records:
                if cells:
                    offsets.append(begin)
                    if numeric is None:
                        numeric = {i: kind for i, text in enumerate(cells) if (kind := number_kind(text)) is not None}
                    for i in [i for i, kind in numeric.items() if not is_written_as(kind, cells[i])]:
                        del numeric[i]
                begin = at
        offsets.append(at)
        return offsets, [KINDS.index((numeric or {}).get(i)) for i in range(fields)]

    def prepare(self, file, kinds):
        file.seek(0)
        with long_cells():
            self._names = next(self._records(file))
        self._numeric = [(name, KINDS[kind]) for name, kind in zip(self._names, kinds, strict=True) if kind]

    def row(self, data, number=None):
        try:
            with long_cells():
                cells = next(csv_cells(io.StringIO(data.decode("utf-8"), newline="\n"), self.delimiter))
            row = dict(zip(self._names, cells, strict=True))
            for name, kind in self._numeric:
                row[name] = kind(row[name])
        except (csv.Error, StopIteration, ValueError):  # the whole file was read, so all its rows were sound
            raise DataError(_CHANGED.format(self.path)) from None
        return row


class DiskRows:
    """Rows of a JSON Lines or CSV file by number, each read and parsed when asked for, from any thread; see `open_rows`."""

    def __init__(self, path, dataset=None, index=None):
        self.path, self.dataset = Path(path), dataset
        delimiter = _DELIMITERS.get(self.path.suffix.lower())
        self._form = _JsonLines(path) if delimiter is None else _CsvRows(path, delimiter)
        self._file = open(path, "rb")
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._facts = self._facts_now()
        self._offsets, kinds = _index_of(self._file, self._form, self._facts, self.path.parent if index is None else Path(index))
        self._form.prepare(self._file, kinds)

    def __repr__(self):
        return f"DiskRows({str(self.path)!r}, {len(self):,} rows)"

    def __len__(self):
        return len(self._offsets) - 1

    def __getitem__(self, i):
        i = int(i)
        if not -len(self) <= i < len(self):
            raise IndexError(f"row {i} of {len(self)}")
        start, end = (int(offset) for offset in self._offsets[i % len(self) :][:2])
        with self._lock:
            self._file.seek(start)
            data = self._file.read(end - start)
        if self._facts_now() != self._facts:
            raise DataError(_CHANGED.format(self.path))
        data = data if start else data.removeprefix(b"\xef\xbb\xbf")
        try:
            row = self._form.row(data)
        except DataError:
            row = self._form.row(data, self._line_at(start))  # which tells it with the line, that is counted only now
        return convert_row(self.dataset, row, self.path)

    def _facts_now(self):
        """[bytes, time of the last change in ns] of the open file."""
        stat = os.fstat(self._file.fileno())
        return [stat.st_size, stat.st_mtime_ns]

    def _line_at(self, start):
        """Number of the line that begins at this byte, from 1."""
        with self._lock:
            self._file.seek(0)
            number = 1
            while chunk := self._file.read(min(start - self._file.tell(), 1 << 20)):
                number += chunk.count(b"\n")
        return number


def open_rows(path, dataset=None, index=None):
    """The rows of a file, left on the disk: a sequence of dicts, for files that do not fit in memory. By the ending: CSV (.csv, .tsv),
    Parquet and Arrow (.parquet, .arrow; the extra [data]), else JSON Lines.

    dataset: as `read_rows`'; piqa and cos_e, of which a part stands in another file, are refused.  index: folder of the index, or of a
    Parquet file's copy; beside the data unless given. A broken row is a DataError with file and line, of JSON Lines when it is asked
    for, else at once; so is an empty file; OSError where the file cannot be opened.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     rows = open_rows(Path(t0.__file__).parent / "mini/heldout/rows/inference.jsonl", index=folder)
    >>> len(rows), sorted(rows[-1])
    (500, ['hypothesis', 'label', 'premise'])
    """
    if dataset in BESIDE:
        raise DataError(f"{path}: a part of {dataset} stands in a file of its own; read it by read_rows")
    ending = Path(path).suffix.lower()
    if ending == ".arrow":
        return convert_rows(dataset, read_arrow(path), path)
    return (ParquetRows if ending == ".parquet" else DiskRows)(path, dataset, index)


def rows_at(path, dataset=None):
    """The rows of a file as `read_rows` gives them; those of a large file stay on the disk: above 64 MiB, of Parquet unfolded;
    but for a file each of whose rows becomes several."""
    path = Path(path)
    ending = path.suffix.lower()
    if dataset in BESIDE or not path.is_file() or ending not in (".jsonl", ".ndjson", ".parquet", *_DELIMITERS):
        return read_rows(path, dataset)
    size = parquet_bytes(path) if ending == ".parquet" else path.stat().st_size
    if size <= BIG or holds_many(dataset, open_rows(path)[0]):
        return read_rows(path, dataset)
    return open_rows(path, dataset)


def _index_of(file, form, facts, folder):
    """(offsets, int64 [n + 1], mapped from the index file where there is one that fits, else made; kinds of the fields)."""
    place = folder / f".{Path(file.name).name}.rows"
    with contextlib.suppress(OSError, ValueError):
        return _map_index(place, facts)
    offsets, kinds = form.scan(file)
    if len(offsets) == 1:
        raise DataError(f"{file.name}: no rows")
    made = np.frombuffer(offsets, np.int64).astype("<i8", copy=False)
    kinds = np.array(kinds, "<i8")
    with contextlib.suppress(OSError, ValueError):
        make_folder(folder)
        with replacing(place, "wb") as out:
            out.write(MAGIC + np.array([*facts, len(made) - 1, len(kinds), zlib.crc32(made, zlib.crc32(kinds))], "<i8").tobytes())
            out.write(kinds)
            out.write(made)
        return _map_index(place, facts)
    return made, kinds


def _map_index(place, facts):
    """As _index_of, of an index file; ValueError where it is another file's, an older one's, or damaged."""
    with open(place, "rb") as file:
        header = file.read(HEADER)
    numbers = np.frombuffer(header[len(MAGIC) :], "<i8")
    if header[: len(MAGIC)] != MAGIC or numbers[:2].tolist() != facts:
        raise ValueError(place)
    n, k, crc = numbers[2:].tolist()
    values = np.memmap(place, "<i8", mode="r", offset=HEADER)
    if len(values) != k + n + 1 or zlib.crc32(values) != crc:
        raise ValueError(place)
    return values[k:], values[:k].tolist()
