"""T5 checkpoints: which files hold the weights of a folder, and how they get into the core.

Nothing is executed from a file. Every expected tensor is loaded once and every tensor of the files is used once; otherwise
FormatError lists up to ten problems, each with file, tensor, what was expected and what was found. Shapes are compared
before memory for weights is asked for, and weights go into the core chunk by chunk (tensorfiles.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from t0native.base.errors import ConfigError, FormatError, NumericError
from t0native.base.jsontext import json_text, parse_json
from t0native.base.progress import BAR_DELAY, Progress
from t0native.base.showing import named, shown
from t0native.checkpoints.config import Config, read_keys, stays_float32
from t0native.checkpoints.foreign import ADAPTER, describe_adapter, describe_file, describe_folder
from t0native.checkpoints.head import decide_head, describe_head, is_unclear, needs_copy, portable_head
from t0native.checkpoints.llamacpp import find_gguf, open_gguf
from t0native.checkpoints.names import COPIES, HEAD, SHARED, Note, is_ignored, set_names_right
from t0native.checkpoints.packedfile import PACKED, add_packed, read_packed
from t0native.checkpoints.safetensorfiles import header_of, read_header
from t0native.checkpoints.t5x import TREE, derive_config, find_t5x, read_t5x
from t0native.checkpoints.tensorfiles import Entry, Problems, as_bfloat16, as_float32, check_plain_names
from t0native.checkpoints.torchfiles import read_torch
from t0native.text.tokenizerfiles import tokenizer_in

__all__ = [
    "READERS",
    "TOKENIZER",
    "WEIGHTS",
    "Checkpoint",
    "add_files",
    "add_weights",
    "check_place_of_weights",
    "config_json",
    "open_checkpoint",
]

WEIGHTS, PICKLED, TOKENIZER = "model.safetensors", "pytorch_model.bin", "spiece.model"
_MAY_BE_LOST = (SHARED, *COPIES, HEAD)  # names of one tensor, of which a conversion may have left one
READERS = {WEIGHTS: read_header, PICKLED: read_torch}  # the first that is there is read; NAME.index.json stands for shards
MEGA = 10**6
_MOST_PACKERS = 16  # each may have two chunks waiting
_log = logging.getLogger("t0native")


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on the disk, of which only headers were read.

    folder: where its tokenizer lies; a GGUF file, which holds all itself.  entries: {tensor name: Entry} of all its files.  why: what
    decided about its head.
    notes: what else was decided.
    """

    folder: Path
    config: Config
    entries: dict[str, Entry]
    why: str = "as the configuration says that was given"
    notes: tuple[Note, ...] = ()

    @property
    def head(self):
        """Its head, and why it is taken for that, in words."""
        if self.config.encoder_only:
            return "none (an encoder alone)"
        return f"{describe_head(self.config.tie_word_embeddings, self.config.scaled)} ({self.why})"

    def tell(self):
        """Logs what whoever loads it is to know."""
        for note in self.notes:
            _log.log(logging.WARNING if note.loud else logging.INFO, "%s: %s", self.folder, note.text)

    def copies(self):
        """Names of tensors that may be there and only repeat shared.weight."""
        head = [HEAD] if self.config.tie_word_embeddings and not self.config.encoder_only else []
        return [name for name in (*COPIES, *head) if name in self.entries]

    def check(self):
        """Every expected tensor is there with its shape and a float type; nothing else is. FormatError where not."""
        problems, expected, copies = Problems(self.folder), self.config.tensors(), self.copies()
        for name, shape in expected.items():
            if name not in self.entries:
                hint = f" (the head is a tensor of its own: {self.why})" if name == HEAD else ""
                problems.add(f"tensor {name}: missing, expected shape {list(shape)}{hint}")
        for name, entry in self.entries.items():
            wanted = expected.get(name, expected["shared.weight"] if name in copies else None)
            if wanted is None:
                if not is_ignored(name):
                    problems.add(f"{named(entry.path.name)}, tensor {named(name)}: unexpected, this configuration has no such tensor")
            elif entry.shape != wanted:
                problems.add(f"{named(entry.path.name)}, tensor {named(name)}: expected shape {list(wanted)}, found {list(entry.shape)}")
            elif not entry.holds_weights:
                problems.add(f"{named(entry.path.name)}, tensor {named(name)}: expected F32, F16, BF16 or F64, found {entry.dtype}")
        problems.check()

    def chunks(self, name, allow_nonfinite=False):
        """(first row, chunk of rows) of a tensor. NumericError for a weight that is not finite, FormatError for a file
        that changed since."""
        row = 0
        for chunk in self.entries[name]:
            if not allow_nonfinite and not _all_finite(chunk):
                _raise_nonfinite(self.entries[name], row, chunk)
            yield row, chunk
            row += len(chunk)

    def load(self, core, *, allow_nonfinite=False, threads=1):
        """Fills the tensors of the core model, which is of this configuration: files are read in their own order, while
        `threads` others pack what was read. Errors as those of `chunks`."""
        order = sorted(self.config.tensors(), key=lambda name: (self.entries[name].path, self.entries[name].places))
        chunks = ((name, row, chunk) for name in order for row, chunk in self.chunks(name, allow_nonfinite=True))
        waiting, total, done = deque(), sum(self.entries[name].size for name in order), 0

        def finish():
            nonlocal done
            (name, row, chunk), packing = waiting.popleft()
            if packing.result() is not None and not allow_nonfinite:
                _raise_nonfinite(self.entries[name], row, chunk)
            done += chunk.nbytes
            bar.update(done // MEGA, "MB")

        threads = min(threads, _MOST_PACKERS)
        with (
            Progress("load", total // MEGA, delay=BAR_DELAY) as bar,
            ThreadPoolExecutor(threads) as pool,  # rows may be put in any order, by several threads at once
        ):
            for chunk in chunks:
                waiting.append((chunk, pool.submit(core.put, *chunk)))
                if len(waiting) > 2 * threads:
                    finish()
            while waiting:
                finish()
        self.check_copies()

    def check_copies(self):
        """Second copies of shared.weight are accepted only when they are copies, and a head of its own only when it is none."""
        shared = self.entries[SHARED]
        for name in self.copies():
            if not _same_values(shared, self.entries[name]):
                why = (
                    f", and the configuration ties the head to it ({self.why}), found others; {_OWN_HEAD}"
                    if name == HEAD
                    else ", found others"
                )
                raise FormatError(f"{self.entries[name].what}: expected the same values as shared.weight{why}")
        if not self.config.tie_word_embeddings and not self.config.encoder_only and _same_values(shared, self.entries[HEAD]):
            raise FormatError(
                f"{self.entries[HEAD].what}: the head holds the values of shared.weight, though the configuration gives it weights of "
                f"its own ({self.why}): they were lost when this was saved; {_LOST_HEAD}"
            )


_OWN_HEAD = 'config={"tie_word_embeddings": False} takes it as a head of its own, with "scale_decoder_outputs": True as a scaled one'
_LOST_HEAD = (
    'if it was trained so, give config={"tie_word_embeddings": True}, with "scale_decoder_outputs": False where it was not scaled, '
    "as transformers computes it"
)


def _same_values(one, other):
    """Whether two entries of one shape hold the same bits, once in float32. PyTorch's files hold tied weights in one place."""
    if one.places and (one.path, one.places, one.strides, one.dtype) == (other.path, other.places, other.strides, other.dtype):
        return True
    others, rest = iter(other), None
    for chunk in one:
        while len(chunk):
            rest = next(others) if rest is None or not len(rest) else rest
            count = min(len(chunk), len(rest))
            if not np.array_equal(as_float32(chunk[:count]).view(np.uint32), as_float32(rest[:count]).view(np.uint32)):
                return False
            chunk, rest = chunk[count:], rest[count:]
    return True


# ---- finding and opening ---------------------------------------------------------------------------------------------


def open_checkpoint(path, config=None, packed=None, part=None):
    """The Checkpoint at `path`: a folder in the hub's layout, a checkpoint of T5X (t5x.py), a file of llama.cpp (llamacpp.py) or the
    folder of one; or the PackedFile there. Only
    headers are read.

    config: a Config in the place of the files' own, or a mapping of keys that replace theirs.  packed: whether a packed file
    is wanted where there is one; None: only where there is nothing else.  part: "encoder" for a checkpoint without its decoder's
    tensors, of which nothing but the headers is read then. FormatError for what is broken,
    FileNotFoundError for what is missing, ConfigError for a configuration that must be given."""
    if config is not None and not isinstance(config, (Config, Mapping)):
        raise ConfigError(f"config {shown(config)}: must be a Config, or a mapping of the keys of a config.json")
    of_hub = weights_in(path)
    if not of_hub and (gguf := find_gguf(path)) is not None:
        return _part_of(_open_gguf(path, gguf, config), part)
    if path.is_file() and (what := describe_file(path)):
        raise NotADirectoryError(f"{path}: {what}")
    file = path / PACKED if path.is_dir() else path
    if file.suffix == Path(PACKED).suffix and file.is_file() and (packed or not of_hub):
        if packed is False:
            message = f"{path}: holds int8 weights, from which no others can be made"
            raise ConfigError(f'{message}; load it with dtype="int8", or take the model that it was made from')
        return _part_of_packed(_with_config(read_packed(file), config), part)
    checkpoint = _part_of(_open_files(path, config, None if of_hub else find_t5x(path)), part)
    if (path / ADAPTER).is_file():
        without = Note(f"the weights beside it are loaded without {describe_adapter(path)}", loud=True)
        return replace(checkpoint, notes=(*checkpoint.notes, without))
    return checkpoint


def _part_of(checkpoint, part):
    """The checkpoint, without what its encoder does not need where that is asked for, or all there is."""
    if part != "encoder" and not checkpoint.config.encoder_only:
        return checkpoint
    kept = {name: entry for name, entry in checkpoint.entries.items() if name != HEAD and not name.startswith("decoder.")}
    left = len(checkpoint.entries) - len(kept)
    notes = [Note(f"{left} tensors of a decoder and its head are not read", loud=False)] if left else []
    return replace(checkpoint, config=replace(checkpoint.config, encoder_only=True), entries=kept, notes=(*checkpoint.notes, *notes))


def _part_of_packed(packed, part):
    if part is None or packed.config.encoder_only:
        return packed
    remedy = (
        "load it whole, for its pages are read only where they are used, or convert the encoder (Model.save) from the model it was made of"
    )
    raise ConfigError(f"{packed.path}: part {shown(part)}: holds a whole model, packed as one; {remedy}")


def _open_files(path, config, t5x, entries=None):
    """The Checkpoint of a folder in the hub's layout, or, t5x being its msgpack file, of T5X. entries: of its tensors, where they were
    read."""
    entries, notes, lost, why = (read_t5x(t5x) if t5x else entries), [], [], "an encoder alone has none"
    folders = [path] if t5x is None else [t5x.parent, t5x.parent.parent] if t5x.name == TREE else [t5x.parent]
    file = next((folder / "config.json" for folder in folders if (folder / "config.json").is_file()), None)
    changes = {} if config is None else config
    if isinstance(config, Config):
        resolved, why = config, "as the configuration says that was given"
    elif file is not None:
        resolved = Config.from_file(file, changes)
    elif t5x is not None:
        resolved, why = derive_config(t5x, entries, folders, changes), "as T5X's tensors are"
    else:
        raise FileNotFoundError(f"{path}: no config.json here; {_describe_instead(path)}")
    if entries is None:
        entries, notes, lost = entries_of(path)
    if file is not None and not isinstance(config, Config) and not resolved.encoder_only:
        head = _head_of(read_keys(file, changes), changes, entries, lost)
        resolved, why = replace(resolved, **head.keys), head.why
        if head.against:
            notes.append(Note(f"the head is {describe_head(head.tied, head.scaled)}: {why}; {head.against}", loud=True))
    home = next((folder for folder in folders if tokenizer_in(folder)), folders[0])
    return Checkpoint(home, resolved, entries, why, tuple(notes))


def _open_gguf(path, file, config):
    """The Checkpoint of a file of llama.cpp, which tells all itself; but in a folder that was named config.json counts, and a tokenizer."""
    entries, resolved = open_gguf(file, {} if config is None or isinstance(config, Config) else config)
    if path.is_dir() and (path / "config.json").is_file():
        found = _open_files(path, config, None, entries)
        return found if tokenizer_in(path) else replace(found, folder=file)
    if isinstance(config, Config):
        return Checkpoint(file, config, entries)
    told = 'the gate of its feed-forwards is taken for GELU\'s, as llama.cpp does; UL2\'s is config={"feed_forward_proj": "gated-silu"}'
    unsure = resolved.feed_forward_proj.startswith("gated") and "feed_forward_proj" not in (config or {})
    notes = (Note(told, loud=False),) if unsure else ()
    if resolved.encoder_only:
        return Checkpoint(file, resolved, entries, "an encoder alone has none", notes)
    given, why = config or {}, "as the configuration says that was given"
    if "tie_word_embeddings" not in given:
        own = _has_own_head(entries, there=HEAD in entries)
        resolved = replace(resolved, tie_word_embeddings=not own, scale_decoder_outputs=given.get("scale_decoder_outputs"))
        why = (
            f"output.weight holds {'other values than' if own else 'the values of'} the embedding"
            if HEAD in entries
            else "no output.weight"
        )
    return Checkpoint(file, resolved, entries, why, notes)


def _describe_instead(path):
    """What the folder, which is no model's, holds instead, or what a model's holds."""
    steps = sorted(path.glob("checkpoints/step-*"))
    if steps:
        return f"the last checkpoint of this run is {steps[-1]}"
    return describe_folder(path) or f"a model folder has config.json, {WEIGHTS} and {TOKENIZER}"


def _head_of(data, given, entries, lost):
    """The Head of a configuration beside these tensors, whose values are compared only where no key decides. lost: names of tensors
    that should be there."""
    own = None
    if is_unclear(data, given):
        own = _has_own_head(entries, there=HEAD in entries or HEAD in lost or data.get("tie_word_embeddings") is False)
    return decide_head(data, given, own)


def _has_own_head(entries, there):
    """Whether lm_head.weight holds other values than the embedding; `there` where the two cannot be compared."""
    shared, head = entries.get(SHARED), entries.get(HEAD)
    comparable = shared is not None and head is not None and shared.shape == head.shape and shared.holds_weights and head.holds_weights
    return not _same_values(shared, head) if comparable else there


def _with_config(packed, config):
    """A packed file with another configuration of the same shapes."""
    if config is None:
        return packed
    changed = config if isinstance(config, Config) else Config.from_dict({**packed.config.to_dict(), **config}, config)
    if changed.tensors() != packed.config.tensors():
        raise ConfigError(f"{packed.path}: config asks for tensors of other shapes than the packed ones")
    return replace(packed, config=changed)


def weights_in(folder):
    """Name of the file that holds or lists a folder's weights in the hub's layout, or None."""
    names = (f"{name}{end}" for name in READERS for end in ("", ".index.json"))
    return next((name for name in names if (folder / name).is_file()), None)


def entries_of(folder):
    """({tensor name: Entry} of all files of the folder, Notes of what was decided about them, names of what no shard holds, though
    the index says so: of the embedding's copies)."""
    for name, read in READERS.items():
        if (folder / name).is_file():
            return (*set_names_right(folder / name, {entry.name: entry for entry in read(folder / name)}), [])
        if (index := folder / f"{name}.index.json").is_file():
            entries, lost = _entries_of_shards(index, read)
            entries, notes = set_names_right(index, entries)
            if lost:
                notes.append(
                    Note(f"{index.name} promises {' and '.join(map(named, lost))}, which no shard holds; they would be copies", loud=False)
                )
            return entries, notes, [name for name in (SHARED, *COPIES, HEAD) if any(told.endswith(name) for told in lost)]
    instead = describe_folder(folder)
    message = f"{folder}: neither {WEIGHTS} nor {PICKLED} nor the index of their shards is here"
    raise FileNotFoundError(f"{message}; {instead}" if instead else message)


def _entries_of_shards(index, read):
    """({tensor name: Entry}, names of copies of the embedding that no shard holds, though the index says so)."""
    data = parse_json(index, index.read_bytes())
    weight_map = data.get("weight_map") if isinstance(data, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise FormatError(f"{index}: no weight_map, which names the file of each tensor")
    problems = Problems(index)
    check_plain_names(problems, ((f"tensor {named(name)}", shard) for name, shard in weight_map.items()))
    entries, missing = {}, set()
    for shard in sorted(set(weight_map.values())):
        if not (index.parent / shard).is_file():
            missing.add(shard)
            problems.add(f"file {named(shard)}: not here, though the index lists it; get this shard again, into {index.parent}")
            continue
        for entry in read(index.parent / shard):
            if weight_map.get(entry.name) != shard:
                elsewhere = named(weight_map.get(entry.name, "no file"))
                problems.add(f"file {named(shard)}, tensor {named(entry.name)}: the index places it in {elsewhere}")
            entries[entry.name] = entry
    lost = [name for name in weight_map if name not in entries and weight_map[name] not in missing]
    copies = [name for name in lost if name.endswith(_MAY_BE_LOST)] if any(name.endswith((SHARED, *COPIES)) for name in entries) else []
    may_be = set(copies)
    for name in lost:
        if name not in may_be:
            problems.add(f"file {named(weight_map[name])}, tensor {named(name)}: promised by the index, not found")
    problems.check()
    return entries, copies


# ---- into the core ---------------------------------------------------------------------------------------------------


_EXPONENT = {"float32": (np.uint32, 0x7F800000), "float16": (np.uint16, 0x7C00), "uint16": (np.uint16, 0x7F80)}


def _all_finite(chunk):
    """Whether no value is NaN or infinite: none has all bits of its exponent set."""
    kind, exponent = _EXPONENT[chunk.dtype.name]
    return chunk.size == 0 or int((chunk.view(kind) & kind(exponent)).max()) != exponent


def _raise_nonfinite(entry, row, chunk):
    values = as_float32(chunk).reshape(-1)
    place = int(np.flatnonzero(~np.isfinite(values))[0])
    index = row * (chunk.size // len(chunk)) + place
    raise NumericError(f"{entry.what}, element {index} is {values[place]}; allow_nonfinite=True loads such weights all the same")


# ---- writing ---------------------------------------------------------------------------------------------------------


def add_files(files, core, config, others=()):
    """Adds config.json, `others` (name, bytes) and the weights to a FileSet, the weights last: where they are, all is.

    model.safetensors in float32 or bfloat16, as the core has them, or the packed file of an int8 core."""
    for name, content in [("config.json", config_json(config, core.dtype)), *others]:
        files.add(name, content)
    if core.dtype == "int8":
        add_packed(files, core, config)
    else:
        add_weights(files, config, core.dtype, lambda name: [core.tensor(name)])


def check_place_of_weights(folder, dtype):
    """ConfigError where weights of the other form would lie beside those to be written, and could be taken for the same."""
    other = weights_in(Path(folder)) if dtype == "int8" else PACKED if (Path(folder) / PACKED).is_file() else None
    if other is not None:
        raise ConfigError(f"{folder}: holds {other}, which may be another model's: remove it, or choose another folder")


def config_json(config, dtype):
    """Content of config.json. Where the hub's keys for the number type are there, they tell that of the file beside it; those of the
    head are such that transformers 4 and 5 compute what this program does."""
    dtypes = {key: dtype for key in ("dtype", "torch_dtype") if key in config.extra and dtype != "int8"}
    keys = config.to_dict() | dtypes
    if not config.encoder_only:
        keys = portable_head(keys, config.tie_word_embeddings, config.scaled)
    if config.scaled and not config.tie_word_embeddings and not config.encoder_only:
        _log.warning("a scaled head of its own is saved: transformers 5 computes it so, transformers 4 has none and leaves the scale away")
    return (json_text(keys, "keep", indent=2, sort_keys=True) + "\n").encode()


def add_weights(files, config, dtype, chunks_of):
    """Adds model.safetensors to a FileSet. dtype: "float32", or "bfloat16" for all but what stays float32.  chunks_of(name):
    arrays that make the tensor. The head of a tied and unscaled model is there too, a copy of the embedding (head.py)."""
    shapes, half = config.tensors(), dtype == "bfloat16"
    if needs_copy(config.tie_word_embeddings, config.scaled) and not config.encoder_only:
        shapes[HEAD] = shapes[SHARED]
    stored = {name: "BF16" if half and not stays_float32(name) else "F32" for name in shapes}
    with files.opened(WEIGHTS) as file:
        file.write(header_of({name: (stored[name], shape) for name, shape in shapes.items()}))
        for name in shapes:
            for chunk in chunks_of(name if name != HEAD or not config.tie_word_embeddings else SHARED):
                turned = as_bfloat16(chunk) if stored[name] == "BF16" else as_float32(chunk)
                file.write(memoryview(turned).cast("B"))
