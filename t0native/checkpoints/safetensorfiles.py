"""safetensors files: 8 bytes header length (little-endian) | that many bytes of JSON | the tensors' bytes, end to end.

    header = {name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}, "__metadata__": {text: text}}

What the format's own library refuses is refused here, with every problem of a file at once."""

import math
import os
import struct
from pathlib import Path

from t0native.base.errors import FormatError
from t0native.base.jsontext import json_text, parse_json
from t0native.base.placeholders import stand_in
from t0native.base.showing import named, shown
from t0native.checkpoints.tensorfiles import DTYPE_BYTES, SHAPE, Entry, Problems, is_count, is_shape

__all__ = ["header_of", "read_header"]

_HEADER_LIMIT = 100_000_000  # the format's own


def read_header(path):
    """The entries of a safetensors file, in the order of their bytes. Raises FormatError naming file and tensor."""
    path = Path(path)
    with open(path, "rb") as file:
        file_size = os.fstat(file.fileno()).st_size
        prefix = file.read(8)
        if len(prefix) < 8:
            raise FormatError(f"{path}: {file_size} bytes: not a safetensors file, whose header alone has more")
        (length,) = struct.unpack("<Q", prefix)
        if other := stand_in(prefix + file.read(64)):
            raise FormatError(f"{path}: {other}")
        file.seek(8)
        if length > min(_HEADER_LIMIT, file_size - 8):
            raise FormatError(f"{path}: header of {length} bytes in a file of {file_size}; at most {_HEADER_LIMIT} are read")
        text = file.read(length)
    if len(text) != length or not text.startswith(b"{"):
        raise FormatError(f"{path}: offset 8: no JSON object of {length} bytes")
    header = parse_json(path, text)
    problems = Problems(path)
    metadata = header.pop("__metadata__", None)  # absent and null are the same to the format
    if metadata is not None and not (isinstance(metadata, dict) and all(isinstance(text, str) for text in metadata.values())):
        problems.add("__metadata__: must be an object of texts")
    data_size = file_size - 8 - length
    entries = [_entry(path, name, value, 8 + length, data_size, problems) for name, value in header.items()]
    problems.check()
    entries.sort(key=lambda entry: (entry.begin, entry.size))
    _check_no_gap(entries, 8 + length, file_size, problems)
    return entries


def _entry(path, name, value, data_start, data_size, problems):
    """One header entry, or None after noting what is wrong with it."""

    def wrong(text):
        problems.add(f"tensor {named(name)}: {text}")

    if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= set(value):
        return wrong("its entry must have dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPE_BYTES:
        return wrong(f"dtype {shown(dtype)} is unknown")
    if not isinstance(shape, list) or not is_shape(shape):
        return wrong(f"shape {shown(shape)}: must be {SHAPE}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(map(is_count, offsets)):
        return wrong(f"data_offsets {shown(offsets)}: must be two numbers, none negative, below 2**63")
    begin, end = offsets
    size = DTYPE_BYTES[dtype] * math.prod(shape)
    if end - begin != size:
        return wrong(f"data_offsets {offsets}: {end - begin} bytes, but {dtype} {shape} takes {size}")
    if end > data_size:
        return wrong(f"ends at byte {end}, but the file has {data_size} bytes of data (was it cut off?)")
    return Entry(path, name, dtype, tuple(shape), ((data_start + begin, size),))


def _check_no_gap(entries, start, file_size, problems):
    at = start
    for entry in entries:
        if entry.begin != at:
            kind = "overlaps the one before" if entry.begin < at else "leaves a hole before it"
            problems.add(f"tensor {named(entry.name)}: begins at offset {entry.begin}, expected {at}: it {kind}")
        at = max(at, entry.begin + entry.size)
    if at != file_size:
        problems.add(f"{file_size - at} bytes behind the last tensor belong to none")
    problems.check()


def header_of(tensors):
    """The bytes before the data of tensors {name: (dtype, shape)} in this order; padded so that the data is 8-aligned."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, shape) in tensors.items():
        size = DTYPE_BYTES[dtype] * math.prod(shape)
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json_text(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
