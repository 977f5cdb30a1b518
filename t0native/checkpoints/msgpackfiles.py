"""MessagePack files of Flax, read strictly and without their arrays, of which only the places are noted.

    value = nil | bool | int | float | text | [value*] | {text: value} | ext 1 (array) | ext 2 (complex) | ext 3 (scalar)
    array, scalar = [[size*], "dtype name", bytes in row order]

Each length is compared with what is left of the file before anything of that length is read or made. An array of more
than 1 GB is written in pieces: {"__msgpack_chunked_array__": true, "shape": {"0": size, ...}, "chunks": {"0": array, ...}}.
Format: msgpack.org's specification; Flax's serialization."""

from __future__ import annotations

import math
import os
import struct
from typing import NamedTuple

from t0native.base.errors import FormatError
from t0native.base.showing import named, shown
from t0native.checkpoints.tensorfiles import DTYPE_BYTES, SHAPE, is_shape

__all__ = ["Array", "read_msgpack"]

_DEEPEST, _MOST_VALUES, _LONGEST_TEXT = 32, 1_000_000, 4096
_PIECES = "__msgpack_chunked_array__"
_DTYPES = {
    "float64": "F64",
    "float32": "F32",
    "float16": "F16",
    "bfloat16": "BF16",
    **{f"{u}int{bits}": f"{u or 'i'}{bits}".upper() for u in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
}
_NUMBERS = {0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"}
_LENGTHS = {  # code: (kind, form of its length)
    **dict(zip((0xC4, 0xC5, 0xC6), zip(["bytes"] * 3, (">B", ">H", ">I")))),
    **dict(zip((0xC7, 0xC8, 0xC9), zip(["ext"] * 3, (">B", ">H", ">I")))),
    **dict(zip((0xD9, 0xDA, 0xDB), zip(["text"] * 3, (">B", ">H", ">I")))),
    **dict(zip((0xDC, 0xDD), zip(["array"] * 2, (">H", ">I")))),
    **dict(zip((0xDE, 0xDF), zip(["map"] * 2, (">H", ">I")))),
}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


class Array(NamedTuple):
    dtype: str
    shape: tuple[int, ...]
    places: tuple[tuple[int, int], ...]  # (offset in the file, bytes), end to end the elements


def read_msgpack(path):
    """The value that the file holds, Array in the place of each array. FormatError naming file and offset."""
    with open(path, "rb") as file:
        reader = _Reader(path, file)
        value = reader.value(0, reader.end)
        if reader.at != reader.end:
            reader.fail(f"{reader.end - reader.at} bytes behind the value belong to none")
    return value


class _Reader:
    def __init__(self, path, file):
        self.path, self.file, self.at, self.n_values = path, file, 0, 0
        self.end = os.fstat(file.fileno()).st_size

    def fail(self, what):
        raise FormatError(f"{self.path}: offset {self.at}: {what}")

    def take(self, count, limit):
        if count > limit - self.at:
            self.fail(f"{count} bytes are announced, {limit - self.at} are left (was the file cut off?)")
        data = self.file.read(count)
        if len(data) != count:
            self.fail("the file ends while it is read")
        self.at += count
        return data

    def number(self, form, limit):
        return struct.unpack(form, self.take(struct.calcsize(form), limit))[0]

    def head(self, limit):
        """(kind, number, constant or length) of the next value."""
        code = self.take(1, limit)[0]
        if code < 0x80 or code >= 0xE0:
            return "value", code - 256 * (code >= 0xE0)
        if code < 0xC0:
            return ("map", code & 15) if code < 0x90 else ("array", code & 15) if code < 0xA0 else ("text", code & 31)
        if code in _CONSTANTS:
            return "value", _CONSTANTS[code]
        if code in _NUMBERS:
            return "value", self.number(_NUMBERS[code], limit)
        if code in _LENGTHS:
            kind, form = _LENGTHS[code]
            return kind, self.number(form, limit)
        if 0xD4 <= code <= 0xD8:
            return "ext", 1 << (code - 0xD4)
        self.fail(f"byte {code:#x} begins no value")

    def value(self, depth, limit):
        """The value that ends before `limit`."""
        self.n_values += 1
        if self.n_values > _MOST_VALUES or depth > _DEEPEST:
            self.fail(f"more than {_MOST_VALUES} values, or nested deeper than {_DEEPEST}")
        kind, length = self.head(limit)
        if kind == "value":
            return length
        if kind == "text":
            return self.text(length, limit)
        if kind == "array":
            return [self.value(depth + 1, limit) for _ in range(length)]
        if kind == "map":
            return self.map(length, depth, limit)
        if kind == "ext":
            return self.ext(length, limit)
        self.fail("bytes that belong to no array")

    def text(self, length, limit):
        if length > _LONGEST_TEXT:
            self.fail(f"a text of {length} bytes; at most {_LONGEST_TEXT} are read")
        try:
            return self.take(length, limit).decode()
        except UnicodeDecodeError:
            self.fail("a text that is not UTF-8")

    def map(self, length, depth, limit):
        mapping = {}
        for _ in range(length):
            key = self.value(depth + 1, limit)
            if not isinstance(key, str) or key in mapping:
                self.fail(f"key {shown(key)} stands twice" if isinstance(key, str) else "a key that is no text")
            mapping[key] = self.value(depth + 1, limit)
        return self.join_pieces(mapping) if _PIECES in mapping else mapping

    def ext(self, length, limit):
        kind = self.number(">b", limit)
        end = self.at + length
        if end > limit:
            self.fail(f"{length} bytes are announced, {limit - self.at} are left (was the file cut off?)")
        if kind == 2:  # a complex number
            self.take(length, end)
            return None
        if kind not in (1, 3):
            self.fail(f"extension type {kind} is none of Flax's")
        array = self.array(end)
        if self.at != end:
            self.fail("an array does not fill its place")
        return array

    def array(self, end):
        if self.head(end) != ("array", 3):
            self.fail("an array must be a list of shape, dtype and bytes")
        shape, dtype = self.value(_DEEPEST - 1, end), self.value(_DEEPEST, end)
        self.check_shape(shape)
        if not isinstance(dtype, str) or dtype not in _DTYPES:
            self.fail(f"dtype {named(dtype) if isinstance(dtype, str) else type(dtype).__name__} is unknown")
        kind, size = self.head(end)
        wanted = math.prod(shape) * DTYPE_BYTES[_DTYPES[dtype]]
        if kind != "bytes" or size != wanted or size > end - self.at:
            self.fail(f"an array of {dtype} {shape} takes {wanted} bytes, found {kind} of {size}, and {end - self.at} are left")
        place = (self.at, size)
        self.at = self.file.seek(self.at + size)
        return Array(_DTYPES[dtype], tuple(shape), (place,))

    def check_shape(self, shape):
        if not isinstance(shape, list) or not is_shape(shape):
            self.fail(f"a shape must be {SHAPE}")

    def join_pieces(self, mapping):
        """One array of pieces."""
        shape, pieces = (_list_of(mapping.get(key)) for key in ("shape", "chunks"))
        self.check_shape(shape)
        if not pieces or not all(isinstance(piece, Array) and piece.dtype == pieces[0].dtype for piece in pieces):
            self.fail("an array in pieces must have pieces of one dtype")
        if sum(math.prod(piece.shape) for piece in pieces) != math.prod(shape):
            self.fail(f"the pieces of an array do not make its shape {shape}")
        return Array(pieces[0].dtype, tuple(shape), tuple(place for piece in pieces for place in piece.places))


def _list_of(value):
    """The list that Flax writes as {"0": first, "1": second, ...}, or None."""
    if not isinstance(value, dict) or set(value) != {str(i) for i in range(len(value))}:
        return None
    return [value[str(i)] for i in range(len(value))]
