"""Arrays in zarr's second format: a folder with .zarray (JSON) and a file for each chunk, stored as they are or compressed by gzip or zlib.

    .zarray = {"zarr_format": 2, "shape": [a, b], "chunks": [p, q], "dtype": "<f4", "compressor": null | {"id": "gzip"}, "order": "C", ...}
    the file "i.j" holds elements [i p, i p + p) x [j q, j q + q), in row order, filled up beyond the shape

A chunk is decompressed piece by piece; no more of it is kept than one strip of rows needs, and it ends where its shape
says, whatever the file holds. Format: zarr's specification, version 2."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from itertools import product

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.jsontext import parse_json
from t0native.base.showing import shown
from t0native.checkpoints.tensorfiles import FLOATS, Entry, is_shape

__all__ = ["ZarrEntry", "read_zarr"]

_STRIP = 64 << 20  # bytes of rows put together at once; T5X writes chunks of at most this
_PIECE = 1 << 20  # bytes decompressed at once
_LARGEST_JSON, _MOST_CHUNKS = 1 << 16, 1_000_000
_DTYPES = {"<f4": "F32", "<f2": "F16", "bfloat16": "BF16", "<f8": "F64", "<i4": "I32", "<i8": "I64"}
_CODECS = {None: None, "gzip": 31, "zlib": 15}  # wbits of zlib


def read_zarr(folder, name, transposed=False):
    """The entry of the array in `folder`. transposed: it is another matrix's columns."""
    path = folder / ".zarray"
    with open(path, "rb") as file:
        metadata = parse_json(path, file.read(_LARGEST_JSON))
    compressor = metadata.get("compressor") if isinstance(metadata, dict) else None
    codec = compressor.get("id") if isinstance(compressor, dict) else compressor
    shape, grid = (metadata.get(key) if isinstance(metadata, dict) else None for key in ("shape", "chunks"))
    good = all(isinstance(value, list) and 1 <= len(value) <= 2 and is_shape(value) for value in (shape, grid))
    if not good or len(shape) != len(grid) or not all(grid) or not all(shape):
        raise FormatError(f"{path}: shape and chunks must be lists of one or two numbers above 0")
    wanted = {"zarr_format": (2,), "order": ("C",), "filters": (None, [])}
    for key, values in wanted.items():
        if metadata.get(key) not in values:
            raise FormatError(f"{path}: {key} {shown(metadata.get(key))}: only {shown(values[0])} is read")
    if not isinstance(metadata.get("dtype"), str) or metadata["dtype"] not in _DTYPES:
        raise FormatError(f"{path}: dtype {shown(metadata.get('dtype'))}: must be one of {', '.join(_DTYPES)}")
    if not (codec is None or isinstance(codec, str)) or codec not in _CODECS:
        raise FormatError(f"{path}: compressor {shown(codec)}: only gzip, zlib and none are read")
    if metadata.get("dimension_separator", ".") not in (".", "/"):
        raise FormatError(f"{path}: dimension_separator {shown(metadata['dimension_separator'])}: must be '.' or '/'")
    if math.prod(-(-size // step) for size, step in zip(shape, grid)) > _MOST_CHUNKS:
        raise FormatError(f"{path}: more than {_MOST_CHUNKS} chunks")
    if any(step > size for step, size in zip(grid, shape)):
        raise FormatError(f"{path}: chunks of {grid} in an array of {shape}: none may be larger")
    hub_shape = tuple(reversed(shape)) if transposed else tuple(shape)
    grid, separator = tuple(grid), metadata.get("dimension_separator", ".")
    return ZarrEntry(folder, name, _DTYPES[metadata["dtype"]], hub_shape, (), None, transposed, grid, _CODECS[codec], separator)


@dataclass(frozen=True)
class ZarrEntry(Entry):
    """shape: as the tensor is used. transposed: the array is stored the other way round."""

    transposed: bool = False
    grid: tuple[int, ...] = ()  # the stored shape of a chunk
    codec: int | None = None
    separator: str = "."

    def __iter__(self):
        along = -1 if self.transposed else 0  # the axis of the stored array that counts our rows
        at_once = self.shape[0] if len(self.shape) == 1 else max(1, min(self.grid[along], _STRIP // self.row_bytes))
        step = self.rows_of_a_chunk()
        for first in range(0, self.shape[0], at_once):
            strip = self._strip(along, first, min(first + at_once, self.shape[0]))
            for at in range(0, len(strip), step):
                yield self.as_chunk(strip[at : at + step])

    def _strip(self, along, first, last):
        """Our rows first .. last - 1, put together from all chunks that have a part in them."""
        stored = self.shape[::-1] if self.transposed else self.shape
        low, high = [0] * len(stored), list(stored)
        low[along], high[along] = first, last
        out = np.empty([b - a for a, b in zip(low, high)], FLOATS[self.dtype])
        for index in product(*(range(a // step, -(-b // step)) for a, b, step in zip(low, high, self.grid))):
            self._add_chunk(out, index, low, high, stored)
        return out.T if self.transposed else out

    def _add_chunk(self, out, index, low, high, stored):
        """Copies what the window low .. high has of one chunk; both are told in places of the stored array."""
        origin = [i * step for i, step in zip(index, self.grid)]
        begin = [max(a, o) for a, o in zip(low, origin)]
        end = [min(b, o + step) for b, o, step in zip(high, origin, self.grid)]
        there = [slice(a - o, b - o) for a, b, o in zip(begin[1:], end[1:], origin[1:])]
        here = [slice(a - first, b - first) for a, b, first in zip(begin[1:], end[1:], low[1:])]
        path = self.path / self.separator.join(map(str, index))
        with _Chunk(path, self.what, self.codec) as chunk:
            whole = end[0] == min(stored[0], origin[0] + self.grid[0])
            rows = self.grid[0] if whole else end[0] - origin[0]  # of the last strip, all that the file holds
            for row, block in chunk.blocks(rows, self.grid[1:], FLOATS[self.dtype]):
                first, last = max(begin[0] - origin[0], row), min(end[0] - origin[0], row + len(block))
                if first < last:
                    to = slice(origin[0] + first - low[0], origin[0] + last - low[0])
                    out[(to, *here)] = block[(slice(first - row, last - row), *there)]
            if whole:
                chunk.check_end()


class _Chunk:
    """The bytes of a chunk's file, decompressed as they are asked for."""

    def __init__(self, path, what, codec):
        self.path, self.what, self.codec = path, what, codec

    def __enter__(self):
        try:
            self.file = open(self.path, "rb", buffering=0)
        except FileNotFoundError:
            raise FormatError(f"{self.what}: its chunk {self.path.name} is not there") from None
        self.inflate = zlib.decompressobj(self.codec) if self.codec else None
        return self

    def __exit__(self, *error):
        self.file.close()

    def blocks(self, rows, rest, dtype):
        """(first row, array of whole rows) of the chunk's first `rows` rows."""
        row_bytes = math.prod(rest) * dtype.itemsize
        step = max(1, _PIECE // row_bytes)
        for row in range(0, rows, step):
            data = self.read(min(step, rows - row) * row_bytes)
            yield row, np.frombuffer(data, dtype).reshape(-1, *rest)

    def read(self, count):
        """Exactly `count` bytes."""
        parts = []
        while count:
            part = self.some(count)
            if not part:
                raise FormatError(f"{self.what}: its chunk {self.path.name} ends {count} bytes too early")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def some(self, count):
        """From one to `count` bytes, none at the end."""
        if not self.inflate:
            return self.file.read(count)
        try:
            while not self.inflate.eof:
                packed = self.inflate.unconsumed_tail or self.file.read(_PIECE)
                part = self.inflate.decompress(packed, count)
                if part or not packed:
                    return part
        except zlib.error as error:
            raise FormatError(f"{self.what}: its chunk {self.path.name} is not what its compressor writes: {error}") from None
        return b""

    def check_end(self):
        if self.some(1) or (self.inflate and (not self.inflate.eof or self.inflate.unused_data)) or self.file.read(1):
            raise FormatError(f"{self.what}: its chunk {self.path.name} is longer than its shape says, or was cut off at its end")
