"""Rows that stay on the disk: a JSON Lines file of any size as a sequence, 8 bytes of memory a row, through an index of offsets.

    DATA.jsonl         one object a line; blank lines are passed over
    .DATA.jsonl.rows   "T0ROWS1\\n", then int64 little-endian: size and time (ns) of DATA.jsonl, n, CRC-32 of what follows,
                       and n + 1 offsets: where each row's line begins, and the end of the file

The index is made once, beside the data or in a folder of its own, and anew when size or time of the file differ or when it is
damaged. Where it cannot be written it is kept in memory."""

import array
import contextlib
import os
import threading
import weakref
import zlib
from pathlib import Path

import numpy as np

from t0native.converters import converted
from t0native.errors import DataError
from t0native.files import make_folder, replacing
from t0native.rows import parse_object, read_rows

__all__ = ["DiskRows", "open_rows", "rows_at"]

MAGIC = b"T0ROWS1\n"
HEADER = len(MAGIC) + 4 * 8
BIG = 64 << 20  # bytes of a file


class DiskRows:
    """Rows of a JSON Lines file by number, each read and parsed when asked for, from any thread; see `open_rows`."""

    def __init__(self, path, dataset=None, index=None):
        self.path, self.dataset = Path(path), dataset
        self._file = open(path, "rb")
        weakref.finalize(self, self._file.close)
        self._lock = threading.Lock()
        self._offsets = _offsets_of(self._file, self.path, self.path.parent if index is None else Path(index))
        if len(self) == 0:
            raise DataError(f"{path}: no rows")

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
        line = data[: data.find(b"\n") + 1 or len(data)]  # blank lines may follow
        if start == 0:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            row = parse_object(self.path, None, line.decode("utf-8"))
        except (DataError, UnicodeDecodeError):
            row = self._told(start, line)
        return converted(self.dataset, [row], self.path)[0]

    def _told(self, start, line):
        """The error of a broken row, with its line, which is counted only now."""
        with self._lock:
            self._file.seek(0)
            number = 1
            while (left := start - self._file.tell()) > 0:
                chunk = self._file.read(min(left, 1 << 20))
                if not chunk:
                    raise DataError(f"{self.path}: shorter than when it was opened; open it again")
                number += chunk.count(b"\n")
        try:
            return parse_object(self.path, number, line.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}, line {number}, byte {error.start + 1}: not UTF-8 (0x{line[error.start]:02x})") from None


def open_rows(path, dataset=None, index=None):
    """The rows of a JSON Lines file, left on the disk: a sequence of dicts, for files that do not fit in memory.

    dataset: as `read_rows`'; piqa, whose labels stand in another file, is refused.  index: folder of the index; beside the data
    unless given. A broken row is a DataError with file and line when it is asked for, an empty file at once; OSError where the
    file cannot be opened.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     rows = open_rows(Path(t0.__file__).parent / "mini/heldout/rows/inference.jsonl", index=folder)
    >>> len(rows), sorted(rows[-1])
    (500, ['hypothesis', 'label', 'premise'])
    """
    if dataset == "piqa":
        raise DataError(f"{path}: piqa's labels stand in a file of their own; read it by read_rows")
    return DiskRows(path, dataset, index)


def rows_at(path, dataset=None):
    """The rows of a file as `read_rows` gives them; those of a JSON Lines file above 64 MiB stay on the disk."""
    path = Path(path)
    big = path.suffix.lower() in (".jsonl", ".ndjson") and dataset != "piqa" and path.is_file() and path.stat().st_size > BIG
    return open_rows(path, dataset) if big else read_rows(path, dataset)


def _offsets_of(file, path, folder):
    """int64 [n + 1], mapped from the index file where there is one that fits, else made."""
    place = folder / f".{path.name}.rows"
    stat = os.fstat(file.fileno())
    facts = [stat.st_size, stat.st_mtime_ns]
    with contextlib.suppress(OSError, ValueError):
        return _mapped(place, facts)
    offsets = array.array("q")
    at = 0
    for line in file:
        if line.strip():
            offsets.append(at)
        at += len(line)
    offsets.append(at)
    made = np.frombuffer(offsets, np.int64).astype("<i8", copy=False)
    with contextlib.suppress(OSError, ValueError):
        make_folder(folder)
        with replacing(place, "wb") as out:
            out.write(MAGIC + np.array([*facts, len(made) - 1, zlib.crc32(made)], "<i8").tobytes())
            out.write(made)
        return _mapped(place, facts)
    return made


def _mapped(place, facts):
    """The offsets of an index file; ValueError where it is another file's, an older one's, or damaged."""
    with open(place, "rb") as file:
        header = file.read(HEADER)
    numbers = np.frombuffer(header[len(MAGIC) :], "<i8")
    if header[: len(MAGIC)] != MAGIC or numbers[:2].tolist() != facts:
        raise ValueError(place)
    offsets = np.memmap(place, "<i8", mode="r", offset=HEADER)
    if len(offsets) != numbers[2] + 1 or zlib.crc32(offsets) != numbers[3]:
        raise ValueError(place)
    return offsets
