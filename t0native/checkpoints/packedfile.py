"""A model's int8 weights as the core holds them, in one file that is mapped into memory instead of read.

    "t0packed" | length of the header, 8 bytes | header, JSON | zeros up to a multiple of 4096 | the packed block (csrc/nn/packed.h)
    header = {"version": 1, "dtype": "int8", "config": {...}, "bytes": size of the block, "sha256": of the block}

Numbers are little-endian. Everything is checked once, when the file is written: every tensor there, every weight finite. Opening
compares the header with the file's size and with the configuration, and touches none of the block's pages; verify=True
goes through the block and repeats the checks. While a model is in use its file must not be changed in place or cut off:
the pages are the file's own, and the system ends a process that reads where there is no file any more (SIGBUS).
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from t0native import _core
from t0native.base.errors import FormatError, NumericError
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import shown
from t0native.checkpoints.config import Config, stays_float32
from t0native.checkpoints.head import describe_head
from t0native.checkpoints.tensorfiles import Entry, is_count

__all__ = ["PACKED", "PackedFile", "add_packed", "read_packed"]

PACKED = "model.t0packed"
_MAGIC, _VERSION, _PAGE, _LONGEST_HEADER = b"t0packed", 1, 4096, 1 << 20
_PIECE = 1 << 24  # bytes hashed at once


@dataclass(frozen=True)
class PackedFile:
    """A packed file of which only the header was read."""

    path: Path
    config: Config
    begin: int  # offset of the block
    size: int  # its bytes
    sha256: str
    dtype = "int8"

    @property
    def folder(self):
        return self.path.parent

    @property
    def entries(self):
        """{tensor name: Entry}, for what is told of a model: nothing is read through them."""

        def dtype(name):
            table = name == "shared.weight" and (self.config.encoder_only or not self.config.tie_word_embeddings)
            return "F32" if stays_float32(name) else "BF16" if table else "I8"

        return {name: Entry(self.path, name, dtype(name), shape, ()) for name, shape in self.config.tensors().items()}

    @property
    def head(self):
        """Its head in words."""
        if self.config.encoder_only:
            return "none (an encoder alone)"
        return f"{describe_head(self.config.tie_word_embeddings, self.config.scaled)} (as it was packed)"

    notes = ()

    def check(self):
        """Nothing is left to check: the core compares the block's size with the configuration."""

    def tell(self):
        """Nothing is left to tell: it was told when the file was written."""

    def open(self, kernels=None, verify=False):
        """The core model, whose weights are the file's pages. FormatError where the file does not fit its configuration,
        and, with verify, where its content is not what was written; NumericError for what is not finite."""
        with open(self.path, "rb") as file:
            pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        if len(pages) != self.begin + self.size:
            raise FormatError(f"{self.path}: {len(pages)} bytes, but {self.begin + self.size} when its header was read")
        block = memoryview(pages)[self.begin :]
        if verify and _digest(block) != self.sha256:
            raise FormatError(
                f"{self.path}: its weights are not those that were written (SHA-256 differs): get the file again, or convert again"
            )
        try:
            core = _core.Model(self.config.core(), kernels, self.dtype, block)
        except ValueError as error:
            raise FormatError(f"{self.path}: {error}") from None
        for name in self.config.tensors() if verify else ():
            if not np.isfinite(core.tensor(name)).all():
                raise NumericError(f"{self.path}: tensor {name} holds what is not finite")
        return core


def read_packed(path):
    """The PackedFile at `path`. FormatError naming what is wrong with its header."""
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(16)
        if len(start) < 16 or start[:8] != _MAGIC:
            raise FormatError(f"{path}: not a packed model, which begins with {_MAGIC.decode()}")
        (length,) = struct.unpack("<Q", start[8:])
        if length > min(_LONGEST_HEADER, size - 16):
            raise FormatError(f"{path}: header of {length} bytes in a file of {size}; at most {_LONGEST_HEADER} are read")
        header = parse_json(path, file.read(length))
    keys = {"version": int, "dtype": str, "config": dict, "bytes": int, "sha256": str}
    if not isinstance(header, dict) or header.get("version") != _VERSION or header.get("dtype") != PackedFile.dtype:
        facts = {key: header.get(key) for key in ("version", "dtype")} if isinstance(header, dict) else header
        raise FormatError(
            f"{path}: {shown(facts)}: only version {_VERSION} with {PackedFile.dtype} is read; convert the model again with this version"
        )
    fit = {"bytes": is_count(header.get("bytes"))}
    if wrong := [key for key, kind in keys.items() if type(header.get(key)) is not kind or not fit.get(key, True)]:
        raise FormatError(f"{path}: its header lacks {', '.join(wrong)}")
    begin = _begin(length)
    if size != begin + header["bytes"]:
        raise FormatError(f"{path}: {size} bytes, but its header tells {begin + header['bytes']} (was it cut off?)")
    try:
        config = Config.from_dict(header["config"])
    except ValueError as error:
        raise FormatError(f"{path}: {error}") from None
    return PackedFile(Path(path), config, begin, header["bytes"], header["sha256"])


def add_packed(files, core, config):
    """Adds the file of an int8 core model, of which every tensor was put, to a FileSet."""
    block = memoryview(core.panels())
    about = {"version": _VERSION, "dtype": core.dtype, "config": config.to_dict(), "bytes": len(block), "sha256": _digest(block)}
    header = json_text(about, "keep").encode()
    padding = bytes(_begin(len(header)) - 16 - len(header))
    files.add(PACKED, _MAGIC, struct.pack("<Q", len(header)), header, padding, block)


def _begin(length):
    return -(-(16 + length) // _PAGE) * _PAGE


def _digest(block):
    digest = hashlib.sha256()
    for at in range(0, len(block), _PIECE):
        digest.update(block[at : at + _PIECE])
    return digest.hexdigest()
