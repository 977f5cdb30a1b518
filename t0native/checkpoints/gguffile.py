"""GGUF files, llama.cpp's: what they say of themselves, and where their tensors lie. Version 2 and 3, little-endian.

    "GGUF" | u32 version | u64 tensors | u64 keys | keys | tensors | zeros up to a multiple of general.alignment (32) | the tensors' bytes
    key     text name, u32 kind, value        text    u64 bytes, UTF-8        list    u32 kind, u64 items, items
    tensor  text name, u32 dimensions, u64 sizes (the innermost first), u32 type, u64 offset behind the header

    F32, F16, BF16     as everywhere
    Q8_0               rows of blocks of 32 weights, 34 bytes each: a scale d in float16, 32 int8 q; a weight is d q in float32

Source: the specification that ggml keeps (docs/gguf.md), and the package gguf, which the tests write files with. What is held of a file
is at most MOST_HEADER bytes of it, and never its tensors."""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.showing import named, shown
from t0native.checkpoints.tensorfiles import DTYPE_BYTES, SHAPE, Entry, Problems, is_shape

__all__ = ["MAGIC", "GgufFile", "QuantisedEntry", "read_gguf", "single"]

MAGIC = b"GGUF"
MOST_HEADER, MOST_NAMED, MOST_TEXTS = 256 << 20, 1 << 16, 1 << 20  # bytes; keys, and tensors; texts of a list
_LONGEST_NAME = (1 << 16) - 1  # bytes of a key, and of a tensor's name
_NUMBERS = dict(enumerate("BbHhIif", 0)) | {10: "Q", 11: "q", 12: "d"}  # kind of a value: its form for struct and NumPy
_FLAG, _TEXT, _LIST = 7, 8, 9
_BLOCK, _BLOCK_BYTES = 32, 34  # of Q8_0
_Q8_0 = 8
_TYPES = {0: "F32", 1: "F16", _Q8_0: "Q8_0", 28: "F64", 30: "BF16"}
_OTHERS = dict(
    enumerate("Q4_0 Q4_1 Q4_2 Q4_3 Q5_0 Q5_1 Q8_0 Q8_1 Q2_K Q3_K Q4_K Q5_K Q6_K Q8_K IQ2_XXS IQ2_XS IQ3_XXS IQ1_S IQ4_NL IQ3_S".split(), 2)
) | dict(enumerate("IQ2_S IQ4_XS I8 I16 I32 I64 F64 IQ1_M BF16".split(), 22)) | {34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4"}  # fmt: skip


class GgufFile(NamedTuple):
    """keys: {name: number, flag, text, array of numbers or flags, list of texts}.  entries: of its tensors, in the order of their bytes."""

    path: Path
    keys: dict[str, Any]
    entries: list[Entry]


@dataclass(frozen=True)
class QuantisedEntry(Entry):
    """A tensor in blocks of Q8_0: its chunks are float32. dtype: "Q8_0"."""

    @property
    def size(self):
        return math.prod(self.shape) // _BLOCK * _BLOCK_BYTES

    @property
    def holds_weights(self):
        return True

    @property
    def row_bytes(self):
        return max(1, self.shape[-1]) * 4  # of a chunk's row

    def _rows(self, file, first, count):
        per_row = self.shape[-1] // _BLOCK
        blocks = np.empty((count * per_row, _BLOCK_BYTES), np.uint8)
        self._read_bytes(file, first * per_row * _BLOCK_BYTES, blocks)
        scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
        return (blocks[:, 2:].view(np.int8).astype(np.float32) * scales).reshape(count, *self.shape[1:])


def read_gguf(path):
    """The GgufFile of a file's header. FormatError with file, offset and value for what is broken, lies, or is not read."""
    path = Path(path)
    with open(path, "rb") as file:
        header = _Header(path, file, os.fstat(file.fileno()).st_size)
        tensors, count = header.start()
        keys: dict[str, Any] = {}
        for _ in range(count):
            name = header.text("a key's name", _LONGEST_NAME)
            if name in keys:
                header.fail(f"the key {named(name)} is there twice")
            keys[name] = header.value(name)
        _check_whole(path, keys)
        problems, places = Problems(path), {}
        for _ in range(tensors):
            name, *about = header.tensor()
            if name in places:
                header.fail(f"the tensor {named(name)} is there twice")
            places[name] = about
        start = -(-header.at // (alignment := _alignment(path, keys))) * alignment
        entries = [
            entry for name, about in places.items() if (entry := _entry(path, name, *about, start, alignment, header.size, problems))
        ]
    problems.check()
    entries.sort(key=lambda entry: (entry.begin, entry.size))
    _check_apart(entries, problems)
    return GgufFile(path, keys, entries)


class _Header:
    """The bytes before the tensors, read from the front. at: offset of the next."""

    def __init__(self, path, file, size):
        self.path, self.file, self.size, self.at = path, file, size, 0

    def fail(self, text, at=None):
        raise FormatError(f"{self.path}: offset {self.at if at is None else at}: {text}")

    def take(self, count, what):
        if count > self.size - self.at:
            self.fail(f"{what} of {count} bytes, but the file ends {self.size - self.at} bytes on (was it cut off?)")
        if self.at + count > MOST_HEADER:
            self.fail(f"{what} of {count} bytes: at most {MOST_HEADER} bytes of a header are read")
        data = self.file.read(count)
        if len(data) != count:
            self.fail(f"{what}: the file ends {count - len(data)} bytes too early")
        self.at += count
        return data

    def number(self, form, what):
        return struct.unpack("<" + form, self.take(struct.calcsize("<" + form), what))[0]

    def text(self, what, most=MOST_HEADER):
        at, length = self.at, self.number("Q", what)
        if length > most:
            self.fail(f"{what} has {length} bytes; at most {most}", at)
        data = self.take(length, what)
        try:
            return data.decode()
        except UnicodeDecodeError:
            return self.fail(f"{what} is no UTF-8: {shown(data[:40])}", at)

    def start(self):
        """(number of tensors, of keys)"""
        if self.take(min(4, self.size), "the format's name") != MAGIC:
            self.fail("not a GGUF file, which begins with GGUF", 0)
        version = self.number("I", "the version")
        if version not in (2, 3):
            swapped = int.from_bytes(version.to_bytes(4, "little"), "big")
            order = ", written in big-endian order" if swapped in (1, 2, 3) else ""
            self.fail(f"version {version}{order}; versions 2 and 3 in little-endian order are read: convert the model anew", 4)
        counts = self.number("Q", "the number of tensors"), self.number("Q", "the number of keys")
        for count, at, what in zip(counts, (8, 16), ("tensors", "keys"), strict=True):
            if count > MOST_NAMED:
                self.fail(f"{count} {what}; at most {MOST_NAMED}", at)
        return counts

    def value(self, name):
        """The value of a key."""
        what, at, kind = f"the key {named(name)}", self.at, self.number("I", "the kind of a value")
        if kind in _NUMBERS:
            return self.number(_NUMBERS[kind], what)
        if kind == _FLAG:
            return bool(self.number("B", what))
        if kind == _TEXT:
            return self.text(what)
        if kind != _LIST:
            self.fail(f"{what} is of the kind {kind}; kinds are 0 to 12", at)
        at, kind, count = self.at, self.number("I", what), self.number("Q", what)
        if kind in _NUMBERS or kind == _FLAG:
            dtype = np.dtype("?" if kind == _FLAG else "<" + _NUMBERS[kind])
            return np.frombuffer(self.take(count * dtype.itemsize, what), np.uint8 if kind == _FLAG else dtype)
        if kind != _TEXT:
            self.fail(f"{what} is a list of the kind {kind}; lists of numbers, flags and texts are read", at)
        if count > min(MOST_TEXTS, (self.size - self.at) // 8):
            self.fail(f"{what} is a list of {count} texts; at most {MOST_TEXTS}, and {self.size - self.at} bytes of the file are left", at)
        return [self.text(what) for _ in range(count)]

    def tensor(self):
        """(name, offset of its description, sizes outermost first, number of its type, offset behind the header)"""
        at, name = self.at, self.text("a tensor's name", _LONGEST_NAME)
        if not 1 <= (dimensions := self.number("I", "the number of dimensions")) <= 4:
            self.fail(f"tensor {named(name)} has {dimensions} dimensions; 1 to 4", at)
        sizes = struct.unpack(f"<{dimensions}Q", self.take(8 * dimensions, "sizes"))
        return name, at, sizes[::-1], self.number("I", "a tensor's type"), self.number("Q", "a tensor's offset")


def single(path, keys, name, usual=None):
    """The value of a key that is one number, flag or text. FormatError for a list."""
    if isinstance(value := keys.get(name, usual), list | np.ndarray):
        raise FormatError(f"{path}: {name} is a list of {len(value)} values; must be one")
    return value


def _check_whole(path, keys):
    parts = single(path, keys, "split.count", 1)
    if parts != 1 and parts != 0:
        raise FormatError(f"{path}: one of {shown(parts)} parts of a model; llama.cpp's `llama-gguf-split --merge` makes one file of them")


def _alignment(path, keys):
    value = keys.get("general.alignment", 32)
    if isinstance(value, bool) or not isinstance(value, int) or not 8 <= value <= 1 << 20 or value % 8:
        raise FormatError(f"{path}: general.alignment {shown(value)}; must be a multiple of 8, at most {1 << 20}")
    return value


def _entry(path, name, at, shape, number, offset, start, alignment, file_size, problems):
    """The entry of a tensor, or None after noting what is wrong with it."""

    def wrong(text):
        problems.add(f"offset {at}, tensor {named(name)}: {text}")

    if (dtype := _TYPES.get(number)) is None:
        kind = _OTHERS.get(number, f"a type numbered {number}")
        return wrong(f"{kind} is not read; F32, F16, BF16 and Q8_0 are: take the model's file in Q8_0 or F16, or what it was made from")
    if not is_shape(shape):
        return wrong(f"shape {shown(list(shape))}: must be {SHAPE}")
    if number == _Q8_0 and shape[-1] % _BLOCK:
        return wrong(f"rows of {shape[-1]} weights in Q8_0, whose blocks have {_BLOCK}")
    if offset % alignment:
        return wrong(f"begins at {offset} behind the header, which is no multiple of {alignment}")
    size = math.prod(shape) // _BLOCK * _BLOCK_BYTES if number == _Q8_0 else math.prod(shape) * DTYPE_BYTES[dtype]
    if start + offset + size > file_size:
        return wrong(f"ends at byte {start + offset + size}, but the file has {file_size} (was it cut off?)")
    return (QuantisedEntry if number == _Q8_0 else Entry)(path, name, dtype, tuple(shape), ((start + offset, size),))


def _check_apart(entries, problems):
    end = 0
    for entry in entries:
        if entry.begin < end and entry.size:
            problems.add(f"tensor {named(entry.name)}: begins at offset {entry.begin}, inside the one before, which ends at {end}")
        end = max(end, entry.begin + entry.size)
    problems.check()
