"""Rows that stay on the disk: a file of any size as a sequence, 8 bytes of memory a row, through an index of offsets.

    DATA.jsonl         one object a line; blank lines are passed over
    DATA.csv, .tsv     the first line has the field names; a row may have quoted line ends; blank lines are passed over
    .DATA.jsonl.rows   "T0ROWS4\n", then int64 little-endian: size and time (ns) of DATA.jsonl, n, k, CRC-32 of what follows; k times
                       eight bytes, of a CSV file what its columns are, by all rows, under which types, and how it is written:
                       JSON, filled up with spaces; and n + 1 offsets: where each row begins, and the end of the file
    DATA.parquet       arrowrows.py
    several of them    shards of one table, one after the other

The index is made once, beside the data or in a folder of its own, and anew when size or time of the file differ or when it is
damaged. Where it cannot be written it is kept in memory. A file that changes while it is open is told when a row is asked for."""

from __future__ import annotations

import array
import bisect
import contextlib
import csv
import io
import json
import mmap
import os
import threading
import weakref
import zlib
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from t0native.base.errors import ConfigError, DataError
from t0native.base.files import make_folder, replacing
from t0native.base.foreign import hint_keywords
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import named, shown
from t0native.data.arrowrows import ParquetRows, parquet_bytes
from t0native.data.columns import Columns
from t0native.data.csvrows import blocks_of, csv_records, dialect_of
from t0native.data.dialects import TABLES, Dialect, csv_cells, long_cells
from t0native.data.distributed import BESIDE, convert_row, holds_many
from t0native.data.lines import parse_object, text_lines
from t0native.data.numbered import NumberedRows
from t0native.data.rows import files_at, read_files
from t0native.data.types import read_types, types_of_rows
from t0native.data.unpacking import ending_of

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Mapping
    from typing import Any

    from t0native.base.annotations import PathName, RowSequence

__all__ = ["DiskRows", "JoinedRows", "open_rows", "rows_at"]

MAGIC = b"T0ROWS4\n"
HEADER = len(MAGIC) + 5 * 8
BIG = 16 << 20  # bytes of a file
_RUN = 1 << 20  # offsets compared at once
_ON_DISK = (".jsonl", ".ndjson", ".parquet", *TABLES)
_CHANGED = "{}: changed since it was opened, so its rows are not those that were promised; open it again"


class _JsonLines:
    """How a JSON Lines file is cut into rows, and how one is read."""

    key = None  # of what is in `about`

    def __init__(self, path, types):
        self.path, self._told = path, types.explicit

    def scan(self, file):
        """(offset of each row and the end, array of int64; what is to be known of the file besides, or None)."""
        offsets, at = array.array("q"), 0
        for line in file:
            if line.strip():
                offsets.append(at)
            at += len(line)
        offsets.append(at)
        return offsets, None

    def prepare(self, file, about):
        """Before rows are read. about: as scan gave it."""

    def row(self, data, number=None, at=0):
        """The row at the beginning of these bytes; DataError where it is none. number, at: of its line and first byte, where known."""
        line = data[: data.find(b"\n") + 1 or len(data)]  # blank lines may follow
        ((number, text),) = text_lines(self.path, [line], number or 2, at)  # of the first one the byte order mark is gone already
        row = parse_object(self.path, number, text)
        for name, told in self._told.items():
            try:
                row[name] = told.convert(row[name])
            except KeyError:
                raise DataError(f"{self.path}, line {number}: no field {shown(name)}, whose type was told") from None
            except ValueError:
                raise DataError(f"{self.path}, line {number}: {named(name)} is {shown(row[name])}, must be {told}, as types says") from None
        return row


class _CsvRows:
    """As _JsonLines, of a CSV file."""

    def __init__(self, path, types, delimiter, dataset):
        self.path, self._delimiter, self._types, self._dataset = path, delimiter, types, dataset
        self.key = types.key if delimiter is None else [*types.key, delimiter]

    def _records(self, lines, dialect):
        return csv_records(self.path, text_lines(self.path, lines), dialect)

    def scan(self, file):
        offsets, at = array.array("q"), 0
        dialect = dialect_of(self.path, self._delimiter)

        def lines():
            nonlocal at
            for line in file:
                at += len(line)
                yield line

        def placed(records):
            begin = at
            for line, cells in records:
                if cells:
                    offsets.append(begin)
                yield line, cells
                begin = at

        columns = None
        with long_cells():
            records = self._records(lines(), dialect)
            _, names = next(records)
            for rows, numbers in blocks_of(placed(records)):
                if columns is None:
                    types = types_of_rows(self._types, self._dataset, dict(zip(names, rows[0])))
                    columns = Columns(self.path, names, types)
                columns.look(rows, numbers)
        offsets.append(at)
        is_raw = columns is not None and columns.types is not self._types
        return offsets, {"dialect": list(dialect), "raw": is_raw, "types": self.key, "columns": columns.decide() if columns else []}

    def prepare(self, file, about):
        file.seek(0)
        self._dialect = dialect = Dialect(*about["dialect"])
        with long_cells():
            _, self._names = next(self._records(file, dialect))
        columns = Columns(self.path, self._names, self._types.of_raw_form() if about["raw"] else self._types, dialect.said)
        columns.tell(about["columns"])
        self._converters = columns.converters(about["columns"])

    def row(self, data, number=None, at=0):
        try:
            with long_cells():
                cells = next(csv_cells(io.StringIO(data.decode("utf-8"), newline="\n"), self._dialect.delimiter, self._dialect.quoted))
            for i, convert in self._converters:
                cells[i] = convert(cells[i])
            return dict(zip(self._names, cells, strict=True))
        except (csv.Error, IndexError, StopIteration, ValueError):  # the whole file was read, so all its rows were sound
            raise DataError(_CHANGED.format(self.path)) from None


class DiskRows(NumberedRows):
    """Rows of a JSON Lines or CSV file by number, each read and parsed when asked for, from any thread; see `open_rows`."""

    def __init__(self, path, dataset=None, index=None, types=None, delimiter=None):
        self.path, self.dataset = Path(path), dataset
        types, is_table = read_types(types, dataset), self.path.suffix.lower() in TABLES
        self._form = _CsvRows(path, types, delimiter, dataset) if is_table else _JsonLines(path, types)
        self._file = open(path, "rb")
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._facts = self._facts_now()
        self._offsets, about, self._index = _index_of(
            self._file, self._form, self._facts, self.path.parent if index is None else Path(index)
        )
        self._form.prepare(self._file, about)

    def __repr__(self):
        return f"DiskRows({str(self.path)!r}, {len(self):,} rows)"

    def __len__(self):
        return len(self._offsets) - 1

    def _row(self, i):
        if self._index is not None and self._index.size() != len(self._index):
            raise DataError(f"{self.path}: its index was cut since it was opened; open it again")
        start, end = (int(offset) for offset in self._offsets[i : i + 2])
        with self._lock:
            self._file.seek(start)
            data = self._file.read(end - start)
        if self._facts_now() != self._facts:
            raise DataError(_CHANGED.format(self.path))
        data = data if start else data.removeprefix(b"\xef\xbb\xbf")
        try:
            row = self._form.row(data)
        except DataError:
            row = self._form.row(data, self._line_at(start), start)  # which tells it with the line, that is counted only now
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


class JoinedRows(NumberedRows):
    """The rows of several sequences, one after the other."""

    def __init__(self, parts):
        self._parts, self._ends = parts, list(accumulate(map(len, parts)))

    def __repr__(self):
        return f"JoinedRows({self._parts[0]!r} and {len(self._parts) - 1} more, {len(self):,} rows)"

    def __len__(self):
        return self._ends[-1]

    def _row(self, i):
        part = bisect.bisect_right(self._ends, i)
        return self._parts[part][i - (self._ends[part - 1] if part else 0)]


@hint_keywords
def open_rows(
    path: PathName,
    dataset: str | None = None,
    index: PathName | None = None,
    types: Mapping[str, Any] | str | None = None,
    *,
    delimiter: str | None = None,
) -> RowSequence:
    """The rows of a file, left on the disk: a sequence of dicts, for files that do not fit in memory. By the ending: CSV (.csv, .tsv),
    Parquet, Arrow and Feather (.parquet, .arrow, .feather: by pyarrow), else JSON Lines.

    dataset, types, delimiter: as `read_rows`'; piqa and cos_e, of which a part stands in another file, are refused, and packed files.
    index: folder of the index, or of a Parquet file's copy; beside the data unless given. A broken row is a DataError with file and
    line, of JSON Lines when it is asked for, else at once; so is an empty file; OSError where the file cannot be opened.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     rows = open_rows(Path(t0.__file__).parent / "mini/heldout/rows/inference.jsonl", index=folder)
    >>> len(rows), sorted(rows[-1])
    (500, ['hypothesis', 'label', 'premise'])
    """
    if dataset in BESIDE:
        raise DataError(f"{path}: a part of {dataset} stands in a file of its own; read it by read_rows")
    ending, packing = ending_of(path)
    if packing:
        raise DataError(f"{path}: packed, so its rows cannot be left on the disk: unpack it, or read it into memory by read_rows")
    if delimiter is not None and ending not in TABLES:
        raise ConfigError(f"delimiter {shown(delimiter)}: of CSV and TSV files alone, {path} is {ending or 'another'}")
    if ending in (".arrow", ".feather"):  # mapped
        return read_files([path], dataset, types)
    return ParquetRows(path, dataset, index, types) if ending == ".parquet" else DiskRows(path, dataset, index, types, delimiter)


def rows_at(path, dataset=None, types=None, split=None):
    """The rows of a file, of a folder or of the files of one table, as `read_rows` gives them; those of a large file stay on the disk:
    above 16 MiB, of Parquet unfolded. CSV in shards, whose columns all of them decide, and packed files do not, nor files each of whose
    rows becomes several.  split: of a folder with several tables that one."""
    files = list(map(Path, path)) if isinstance(path, (list, tuple)) else files_at(path, split)
    files = [file for file in files if not file.is_file() or file.stat().st_size] or files  # a shard may hold no row
    endings = {ending_of(file) for file in files}
    ending, packing = endings.pop()
    on_disk = not endings and not packing and ending in _ON_DISK and (len(files) == 1 or ending not in TABLES)
    if dataset in BESIDE or not on_disk or not all(file.is_file() for file in files):
        return read_files(files, dataset, types)
    size = sum(parquet_bytes(file) if ending == ".parquet" else file.stat().st_size for file in files)
    if size <= BIG or holds_many(dataset, open_rows(files[0])[0]):
        return read_files(files, dataset, types)
    parts = [open_rows(file, dataset, types=types) for file in files]
    return parts[0] if len(parts) == 1 else JoinedRows(parts)


def _index_of(file, form, facts, folder):
    """(offsets, int64 [n + 1], mapped from the index file where there is one that fits, else made; what else the form knows; the mapping,
    or None)."""
    place = folder / f".{Path(file.name).name}.rows"
    with contextlib.suppress(OSError, ValueError):
        return _map_index(place, facts, form.key)
    offsets, about = form.scan(file)
    if len(offsets) == 1:
        raise DataError(f"{file.name}: no rows")
    made = np.frombuffer(offsets, np.int64).astype("<i8", copy=False)
    text = b"" if about is None else json_text(about, "keep").encode()
    text += b" " * (-len(text) % 8)
    with contextlib.suppress(OSError, ValueError):
        make_folder(folder)
        with replacing(place, "wb") as out:
            out.write(MAGIC + np.array([*facts, len(made) - 1, len(text) // 8, zlib.crc32(made, zlib.crc32(text))], "<i8").tobytes())
            out.write(text)
            out.write(made)
        return _map_index(place, facts, form.key)
    return made, about, None


def _map_index(place, facts, key):
    """As _index_of, of an index file; ValueError where it is another file's, one under other types, an older one's, or damaged."""
    with open(place, "rb") as file:
        header = file.read(HEADER)
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    numbers = np.frombuffer(header[len(MAGIC) :], "<i8")
    if header[: len(MAGIC)] != MAGIC or numbers[:2].tolist() != facts:
        raise ValueError(place)
    n, k, crc = numbers[2:].tolist()
    values = np.frombuffer(mapped, "<i8", offset=HEADER)
    if k < 0 or n < 1 or len(values) != k + n + 1 or zlib.crc32(values) != crc or not _are_offsets(values[k:], facts[0]):
        raise ValueError(place)
    about = parse_json(place, values[:k].tobytes()) if k else None
    if not _is_about(about) or (about["types"] if about else None) != json.loads(json_text(key, "keep")):
        raise ValueError(place)
    return values[k:], about, mapped


def _are_offsets(offsets, size):
    """Whether these are places in a file of `size` bytes, each behind the one before: a file that lies beside data may be anybody's."""
    n = len(offsets) - 1
    ascending = all((offsets[i : min(i + _RUN, n)] < offsets[i + 1 : i + 1 + _RUN]).all() for i in range(0, n, _RUN))
    return ascending and 0 <= offsets[0] and offsets[-1] <= size


_OF_A_COLUMN = {"as": str, "said": (str, type(None)), "blank": (str, type(None)), "blanks": int, "note": (str, type(None))}


def _is_about(about):
    """Whether a value is such as `scan` gives."""
    if about is None:
        return True
    told = isinstance(about, dict) and _is_dialect(about.get("dialect")) and type(about.get("raw")) is bool and "types" in about
    columns = about.get("columns") if told else None
    return isinstance(columns, list) and all(
        isinstance(column, dict) and all(isinstance(column.get(name, ...), kinds) for name, kinds in _OF_A_COLUMN.items())
        for column in columns
    )


def _is_dialect(values):
    if not isinstance(values, list) or [type(value) for value in values] != [str, bool, int, str]:
        return False
    delimiter, _, header, said = values
    return len(delimiter) == 1 and delimiter not in '"\r\n\0' and header in (1, 2) and said.isprintable() and len(said) <= 300
