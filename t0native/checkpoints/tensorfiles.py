"""The common form of every checkpoint: {tensor name of the hub: Entry}.

An Entry says which file holds a tensor, with its dtype and shape; going through it reads the tensor in chunks of whole
rows, so that nobody ever holds more than a few megabytes of a file:

    row = 0
    for chunk in entry:                     # float32 (what is float64 rounded), float16, or uint16 that holds bfloat16;
                                            # [rows, columns], or a whole vector
        core.put(name, row, chunk)
        row += len(chunk)

Bytes are read, never mapped: a file that shrinks meanwhile is an error, not a crash.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from t0native.base.errors import FormatError, NumericError
from t0native.base.showing import named, shown

__all__ = [
    "CHUNK",
    "DTYPE_BYTES",
    "FLOATS",
    "SHAPE",
    "Entry",
    "Problems",
    "as_bfloat16",
    "check_plain_names",
    "is_count",
    "is_shape",
    "read_exactly",
    "as_float32",
]

CHUNK = 1 << 20  # bytes of a chunk at most, except of a single row and of a vector
AHEAD = 16 << 20  # bytes behind a chunk that the system is asked to read on
STRIP = 32 << 20  # bytes gathered at once where a file holds a matrix by columns
DTYPE_BYTES = {
    "F64": 8,
    "F32": 4,
    "F16": 2,
    "BF16": 2,
    "I64": 8,
    "I32": 4,
    "I16": 2,
    "I8": 1,
    "U64": 8,
    "U32": 4,
    "U16": 2,
    "U8": 1,
    "BOOL": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
}
FLOATS = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "BF16": np.dtype("<u2"), "F64": np.dtype("<f8")}  # what weights may be
LARGEST_SIZE, MOST_DIMENSIONS = 1 << 63, 8  # of what files say of tensors: nothing beyond is multiplied
SHAPE = f"a list of at most {MOST_DIMENSIONS} numbers, none negative, of fewer than 2**63 bytes in all"
_PROBLEMS_SHOWN = 10


class Problems:
    """Collects what is wrong, to report it at once."""

    def __init__(self, where):
        self.where, self.count, self.first = where, 0, []

    def add(self, text):
        self.count += 1
        if self.count <= _PROBLEMS_SHOWN:
            self.first.append(text)

    def check(self):
        if self.count:
            more = self.count - _PROBLEMS_SHOWN
            lines = self.first + ([f"and {more} more"] if more > 0 else [])
            raise FormatError(f"{self.where}: {self.count} problem(s):\n  " + "\n  ".join(lines))


@dataclass(frozen=True)
class Entry:
    """A tensor in a file. Its elements are numbered in the file's order; `places` says where their bytes lie.

    strides: elements from one index to the next, as in NumPy (but not in bytes); None: rows end to end.
    """

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    places: tuple[tuple[int, int], ...]  # (offset in the file, bytes), end to end the elements
    strides: tuple[int, ...] | None = None

    @property
    def begin(self):
        """Offset of the first element."""
        return self.places[0][0]

    @property
    def size(self):
        """Bytes of the tensor's elements."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]

    @property
    def holds_weights(self):
        """Whether its elements can be weights: they can be gone through."""
        return self.dtype in FLOATS

    @property
    def what(self):
        """For messages: file and tensor."""
        return f"{self.path}: tensor {named(self.name)}"

    def __iter__(self):
        """Chunks of whole rows; a vector comes whole; none of a tensor without elements. Only for the dtypes in FLOATS and one or two
        dimensions."""
        if not self.size:
            return
        step = self.rows_of_a_chunk()
        with open(self.path, "rb", buffering=0) as file:
            by_columns = self.strides is not None and self.strides[-1] != 1
            read = self._strip_of_columns if by_columns else self._rows
            at_once = max(step, STRIP // self.row_bytes) if by_columns else step
            for first in range(0, self.shape[0], at_once):
                rows = read(file, first, min(at_once, self.shape[0] - first))
                for at in range(0, len(rows), step):
                    yield self.as_chunk(rows[at : at + step])

    def as_chunk(self, rows):
        """Rows of the file as they are given away. NumericError for a float64 that is beyond float32."""
        chunk = np.ascontiguousarray(rows)
        if self.dtype != "F64":
            return chunk.astype(chunk.dtype.newbyteorder("="), copy=False)
        with np.errstate(over="ignore"):
            rounded = chunk.astype(np.float32)
        if lost := np.flatnonzero(np.isinf(rounded) & np.isfinite(chunk)).tolist():
            raise NumericError(f"{self.what}: a weight of {chunk.reshape(-1)[lost[0]]:.4g} is beyond float32, to which float64 is rounded")
        return rounded

    def rows_of_a_chunk(self):
        return self.shape[0] if len(self.shape) == 1 else max(1, CHUNK // self.row_bytes)

    @property
    def row_bytes(self):
        return max(1, math.prod(self.shape[1:])) * DTYPE_BYTES[self.dtype]

    def _rows(self, file, first, count):
        rows = np.empty((count, *self.shape[1:]), FLOATS[self.dtype])
        if self.strides is None:
            self._read(file, first * math.prod(self.shape[1:]), rows)
        else:
            for i in range(count):
                self._read(file, (first + i) * self.strides[0], rows[i : i + 1])
        return rows

    def _strip_of_columns(self, file, first, count):
        """The same rows of a matrix whose columns lie end to end: a piece of each column is read."""
        columns = np.empty((self.shape[1], count), FLOATS[self.dtype])
        for i, column in enumerate(columns):
            self._read(file, first + i * self.strides[1], column)
        return columns.T

    def _read(self, file, element, out):
        """Fills the array from the elements numbered from `element` on."""
        self._read_bytes(file, element * DTYPE_BYTES[self.dtype], out)

    def _read_bytes(self, file, at, out):
        """Fills the array from the tensor's bytes from `at` on."""
        view = memoryview(out).cast("B")
        for offset, size in self.places:
            if at < size and len(view):
                part = view[: size - at]
                read_exactly(file, offset + at, part, self.what)
                view, at = view[len(part) :], size
            at -= size


def as_float32(chunk):
    """A chunk's values in float32. uint16 holds bfloat16, the upper half of a float32."""
    if chunk.dtype == np.uint16:
        return (chunk.astype(np.uint32) << 16).view(np.float32)
    return chunk.astype(np.float32, copy=False)


def as_bfloat16(chunk):
    """A chunk's values as bfloat16 in uint16: the nearest, ties to even. NaN stays NaN."""
    if chunk.dtype == np.uint16:
        return chunk
    values = as_float32(chunk)
    bits = values.view(np.uint32)
    rounded = ((bits + (np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1)))) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded)


def read_exactly(file, offset, view, what):
    """Fills the byte view from the file; the file may have shrunk since its header was read."""
    done = 0
    while done < len(view):
        count = os.preadv(file.fileno(), [view[done:]], offset + done)
        if not count:
            raise FormatError(f"{what}: the file ends {len(view) - done} bytes too early")
        done += count
    if done > CHUNK // 2 and hasattr(os, "posix_fadvise"):  # while the chunk is used
        os.posix_fadvise(file.fileno(), offset + done, AHEAD, os.POSIX_FADV_WILLNEED)


def is_count(value):
    """Whether a value of a file can be a size or an offset.

    >>> [is_count(value) for value in (0, 2**63 - 1, 2**63, -1, True, 1.0)]
    [True, True, False, False, False, False]
    """
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_SIZE


def is_shape(value):
    """Whether a list or tuple of a file can be a shape: at most MOST_DIMENSIONS counts, whose product, sizes of 0 left out, is that
    of elements whose bytes can be numbered.

    >>> [is_shape(value) for value in ([], [2**59, 1], [2**59, 2], [2**40, 2**40, 0], [1] * 9, [-1])]
    [True, True, False, False, False, False]
    """
    if len(value) > MOST_DIMENSIONS or not all(map(is_count, value)):
        return False
    return math.prod(size for size in value if size) * max(DTYPE_BYTES.values()) < LARGEST_SIZE


_LONGEST_NAME = 255  # bytes, of any file system in use


def check_plain_names(problems, named):
    """named: (what for, file name) of files that a checkpoint names; they must lie beside the file that names them."""
    for what, name in named:
        plain = isinstance(name, str) and name not in ("", ".", "..") and not any(c in name for c in "/\\\0")
        if not plain or len(name.encode("utf-8", "surrogatepass")) > _LONGEST_NAME:
            problems.add(f"{what}: file {shown(name)}: must be the plain name of a file in the same folder")
    problems.check()
