"""T5 weights in the hub's layout: one model.safetensors, or shards behind model.safetensors.index.json.

A safetensors file is:  8 bytes header length (little-endian) | that many bytes of JSON | the tensors' bytes, end to end.
    header = {name: {"dtype": "F32", "shape": [rows, columns], "data_offsets": [begin, end]}, "__metadata__": {text: text}}
Nothing is executed from a file. Every expected tensor is loaded once and every tensor of the file is used once; otherwise
FormatError lists up to ten problems, each with file, tensor, what was expected and what was found. Bytes are read straight
into the core's memory; a file that shrinks meanwhile is an error, not a crash.
"""

from __future__ import annotations

import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from t0native.errors import FormatError, NumericError
from t0native.files import FileSet
from t0native.jsontext import parse_json
from t0native.standins import stand_in

__all__ = ["entries_of", "load_weights", "own_shapes", "read_header", "save_files"]

WEIGHTS, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
_HEADER_LIMIT = 100_000_000  # the format's own
_PROBLEMS_SHOWN = 10
_CHUNK = 1 << 20  # elements converted at a time
_DTYPE_BYTES = {
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
_FLOATS = ("F32", "F16", "BF16")
_COPIES = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")  # the hub may store shared.weight again
_IGNORED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)  # of 2020, never used by any T5


@dataclass(frozen=True)
class Entry:
    """A tensor in a file: where its bytes lie."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int  # absolute offset in the file
    size: int  # bytes


class Problems:
    """Collects what is wrong, to report it at once."""

    def __init__(self, where):
        self.where, self.found = where, []

    def add(self, text):
        self.found.append(text)

    def check(self):
        if self.found:
            more = len(self.found) - _PROBLEMS_SHOWN
            lines = self.found[:_PROBLEMS_SHOWN] + ([f"and {more} more"] if more > 0 else [])
            raise FormatError(f"{self.where}: {len(self.found)} problem(s):\n  " + "\n  ".join(lines))


# ---- reading -------------------------------------------------------------------------------------


def load_weights(folder, core, *, allow_nonfinite=False):
    """Fills the core model's tensors from a folder.

    core: _core.Model, whose config is the folder's. Raises FormatError (see above), NumericError for a weight that is not
    finite, FileNotFoundError where there are no weights.
    """
    folder = Path(folder)
    entries = entries_of(folder)
    expected = {name: shape for name, shape in core.tensors()}
    tied = "lm_head.weight" not in expected
    copies = _copies_in(entries, tied)
    _compare(folder, expected, entries, copies)
    for name in expected:
        _read_into(entries[name], core._writable(name))
    for name in copies:
        _check_copy(entries[name], core.tensor("shared.weight"), tied)
    if not allow_nonfinite and (place := core.find_nonfinite()) is not None:
        name, index, value = place
        raise NumericError(
            f"{entries[name].path}: tensor {name}, element {index} is {value}; allow_nonfinite=True loads such weights all the same"
        )


def _copies_in(entries, tied):
    """Names of tensors that may be there and only repeat shared.weight."""
    return [name for name in (*_COPIES, *(["lm_head.weight"] if tied else [])) if name in entries]


def own_shapes(entries, tied):
    """Shapes of the tensors that hold weights of their own. tied: the head is shared.weight."""
    left_out = {*_copies_in(entries, tied), *_IGNORED}
    return [entry.shape for name, entry in entries.items() if name not in left_out]


def entries_of(folder):
    """{tensor name: Entry} of all files of the folder."""
    if (folder / WEIGHTS).is_file():
        return {entry.name: entry for entry in read_header(folder / WEIGHTS)}
    if (folder / INDEX).is_file():
        return _entries_of_shards(folder / INDEX)
    if (folder / PICKLED).is_file() or list(folder.glob("pytorch_model*.bin")):
        raise FormatError(
            f"{folder}: only {PICKLED} is here, a pickle, which can run code when it is read. Convert it once where torch and "
            f"transformers are installed: T5ForConditionalGeneration.from_pretrained({str(folder)!r}).save_pretrained('new folder')"
        )
    raise FileNotFoundError(f"{folder}: neither {WEIGHTS} nor {INDEX} is here")


def _entries_of_shards(index):
    data = parse_json(index, index.read_bytes())
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError(f"{index}: no weight_map, which names the file of each tensor")
    problems = Problems(index)
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or not _is_plain_name(shard):
            problems.add(f"tensor {name}: file {shard!r}: must be the plain name of a file in the same folder")
    problems.check()
    entries = {}
    for shard in sorted(set(weight_map.values())):
        if not (index.parent / shard).is_file():
            problems.add(f"file {shard}: not here, expected in {index.parent}")
            continue
        for entry in read_header(index.parent / shard):
            if weight_map.get(entry.name) != shard:
                problems.add(
                    f"file {shard}, tensor {entry.name}: the index places it in {weight_map.get(entry.name, 'no file')}"
                )
            entries[entry.name] = entry
    for name in weight_map:
        if name not in entries:
            problems.add(f"file {weight_map[name]}, tensor {name}: promised by the index, not found")
    problems.check()
    return entries


def _is_plain_name(name):
    return name not in ("", ".", "..") and not any(c in name for c in "/\\\0") and not os.path.isabs(name)


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
            raise FormatError(
                f"{path}: header of {length} bytes in a file of {file_size}; at most {_HEADER_LIMIT} are read"
            )
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
        problems.add(f"tensor {name}: {text}")

    if not isinstance(value, dict) or not {"dtype", "shape", "data_offsets"} <= set(value):
        return wrong("its entry must have dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPE_BYTES:
        return wrong(f"dtype {dtype!r} is unknown")
    if not isinstance(shape, list) or not all(_is_count(size) for size in shape):
        return wrong(f"shape {shape!r}: must be a list of numbers, none negative")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(_is_count(place) for place in offsets):
        return wrong(f"data_offsets {offsets!r}: must be two numbers, none negative")
    begin, end = offsets
    size = _DTYPE_BYTES[dtype]
    for dim in shape:
        size *= dim
    if end - begin != size:
        return wrong(f"data_offsets {offsets}: {end - begin} bytes, but {dtype} {shape} takes {size}")
    if end > data_size:
        return wrong(f"ends at byte {end}, but the file has {data_size} bytes of data (was it cut off?)")
    return Entry(path, name, dtype, tuple(shape), data_start + begin, size)


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_no_gap(entries, start, file_size, problems):
    at = start
    for entry in entries:
        if entry.begin != at:
            kind = "overlaps the one before" if entry.begin < at else "leaves a hole before it"
            problems.add(f"tensor {entry.name}: begins at offset {entry.begin}, expected {at}: it {kind}")
        at = max(at, entry.begin + entry.size)
    if at != file_size:
        problems.add(f"{file_size - at} bytes behind the last tensor belong to none")
    problems.check()


def _compare(folder, expected, entries, copies):
    """Every expected tensor is there with its shape and a float type; nothing else is."""
    problems = Problems(folder)
    for name, shape in expected.items():
        if name not in entries:
            hint = ""
            if name == "lm_head.weight":
                hint = ' (config.json says "tie_word_embeddings": false, so the head is a tensor of its own)'
            problems.add(f"tensor {name}: missing, expected shape {list(shape)}{hint}")
    shared = expected["shared.weight"]
    for name, entry in entries.items():
        wanted = expected.get(name, shared if name in copies else None)
        if wanted is None:
            if name not in _IGNORED:
                problems.add(f"{entry.path.name}, tensor {name}: unexpected, this configuration has no such tensor")
        elif entry.shape != tuple(wanted):
            problems.add(f"{entry.path.name}, tensor {name}: expected shape {list(wanted)}, found {list(entry.shape)}")
        elif entry.dtype not in _FLOATS:
            problems.add(f"{entry.path.name}, tensor {name}: expected F32, F16 or BF16, found {entry.dtype}")
    problems.check()


def _read_exactly(file, entry, view):
    """Fills the byte view from the file; the file may have shrunk since its header was read."""
    done = 0
    while done < len(view):
        count = file.readinto(view[done:])
        if not count:
            raise FormatError(f"{entry.path}: tensor {entry.name}: the file ends {len(view) - done} bytes too early")
        done += count


def _chunks_of(entry):
    """The tensor as float32 arrays of at most _CHUNK elements."""
    count = entry.size // _DTYPE_BYTES[entry.dtype]
    with open(entry.path, "rb", buffering=0) as file:
        file.seek(entry.begin)
        for at in range(0, count, _CHUNK):
            raw = np.empty(min(_CHUNK, count - at), {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry.dtype])
            _read_exactly(file, entry, memoryview(raw).cast("B"))
            if entry.dtype == "BF16":  # the upper half of a float32
                yield (raw.astype(np.uint32) << 16).view(np.float32)
            else:
                yield raw.astype(np.float32, copy=False)


def _read_into(entry, tensor):
    """tensor: the core's memory, float32, C-contiguous."""
    flat = tensor.reshape(-1)
    if entry.dtype == "F32" and np.little_endian:
        with open(entry.path, "rb", buffering=0) as file:
            file.seek(entry.begin)
            _read_exactly(file, entry, memoryview(flat).cast("B"))
        return
    at = 0
    for chunk in _chunks_of(entry):
        flat[at : at + len(chunk)] = chunk
        at += len(chunk)


def _check_copy(entry, shared, tied):
    """A second copy of shared.weight is accepted only when it is one."""
    flat, at = shared.reshape(-1), 0
    for chunk in _chunks_of(entry):
        if not np.array_equal(chunk.view(np.uint32), flat[at : at + len(chunk)].view(np.uint32)):
            why = ", and the configuration ties the head to it" if tied and entry.name == "lm_head.weight" else ""
            raise FormatError(
                f"{entry.path}: tensor {entry.name}: expected the same values as shared.weight{why}, found others"
            )
        at += len(chunk)


# ---- writing -------------------------------------------------------------------------------------


def save_files(folder, core, config, others=()):
    """Writes config.json, `others` (name, bytes) and model.safetensors, which is renamed last: where it is, all is."""
    names = [(name, tuple(shape)) for name, shape in core.tensors()]
    with FileSet(folder) as files:
        files.add("config.json", (json.dumps(config.to_dict(), indent=2, sort_keys=True) + "\n").encode())
        for name, content in others:
            files.add(name, content)
        files.add(WEIGHTS, _header(names), *(memoryview(core.tensor(name)).cast("B") for name, _ in names))


def _header(names):
    """Header of float32 tensors in this order; padded with spaces so that the data is 8-aligned."""
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in names:
        size = 4 * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text
