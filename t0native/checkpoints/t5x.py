"""Checkpoints of T5X: one msgpack file (the older form), or a folder of a msgpack file `checkpoint` and a zarr array a tensor.

    file:    {"version": 3, "optimizer": {"target": {"encoder": {"layers_0": {...}}}, "state": ...}}
    folder:  the same tree, with {"driver": "zarr", "kvstore": {"path": "target.encoder..."}, ...} or a text PLACEHOLDER://target...
             in the place of an array that lies in the folder of that name

Kernels are stored [in, out] and position tables [heads, buckets]; the hub has both the other way round, so they are read by
columns. The optimiser's state is not looked at. T5X's layers: its network.py; scaling of queries is part of their weights
there and here. What no tensor tells about a configuration comes from the run's config.gin, or must be given."""

from __future__ import annotations

import re

from t0native.base.errors import ConfigError, FormatError
from t0native.base.showing import named, shown
from t0native.checkpoints.config import Config
from t0native.checkpoints.foreign import MODEL
from t0native.checkpoints.msgpackfiles import Array, read_msgpack
from t0native.checkpoints.shapes import from_shapes
from t0native.checkpoints.tensorfiles import Entry, Problems
from t0native.checkpoints.zarrfiles import read_zarr

__all__ = ["derive_config", "find_t5x", "read_t5x"]

TREE, GIN = "checkpoint", "config.gin"
_STEP = re.compile(r".*checkpoint_(\d+)")
_NEEDED = ("feed_forward_proj", "relative_attention_max_distance")  # which no tensor tells
_ACTIVATIONS = {  # Flax's gelu is the tanh form
    ("relu",): "relu",
    ("gelu",): "gelu_new",
    ("silu",): "silu",
    ("swish",): "silu",
    ("relu", "linear"): "gated-relu",
    ("gelu", "linear"): "gated-gelu",
    ("silu", "linear"): "gated-silu",
    ("swish", "linear"): "gated-silu",
}
_DENSE = r"(wi|wi_0|wi_1|wo)\.kernel"
_LETTERS = {"query": "q", "key": "k", "value": "v", "out": "o"}
# (pattern of T5X's name, form of the hub's, stored the other way round)
_NAMES = [
    (r"token_embedder\.embedding", "shared.weight", False),
    (r"decoder\.logits_dense\.kernel", "lm_head.weight", True),
    (r"(encoder|decoder)\.\1_norm\.scale", "{0}.final_layer_norm.weight", False),
    (r"(encoder|decoder)\.relpos_bias\.rel_embedding", "{0}.block.0.layer.0.SelfAttention.relative_attention_bias.weight", True),
    (r"encoder\.layers_(\d+)\.pre_attention_layer_norm\.scale", "encoder.block.{0}.layer.0.layer_norm.weight", False),
    (r"encoder\.layers_(\d+)\.attention\.(query|key|value|out)\.kernel", "encoder.block.{0}.layer.0.SelfAttention.{1}.weight", True),
    (r"encoder\.layers_(\d+)\.pre_mlp_layer_norm\.scale", "encoder.block.{0}.layer.1.layer_norm.weight", False),
    (rf"encoder\.layers_(\d+)\.mlp\.{_DENSE}", "encoder.block.{0}.layer.1.DenseReluDense.{1}.weight", True),
    (r"decoder\.layers_(\d+)\.pre_self_attention_layer_norm\.scale", "decoder.block.{0}.layer.0.layer_norm.weight", False),
    (r"decoder\.layers_(\d+)\.self_attention\.(query|key|value|out)\.kernel", "decoder.block.{0}.layer.0.SelfAttention.{1}.weight", True),
    (r"decoder\.layers_(\d+)\.pre_cross_attention_layer_norm\.scale", "decoder.block.{0}.layer.1.layer_norm.weight", False),
    (
        r"decoder\.layers_(\d+)\.encoder_decoder_attention\.(query|key|value|out)\.kernel",
        "decoder.block.{0}.layer.1.EncDecAttention.{1}.weight",
        True,
    ),
    (r"decoder\.layers_(\d+)\.pre_mlp_layer_norm\.scale", "decoder.block.{0}.layer.2.layer_norm.weight", False),
    (rf"decoder\.layers_(\d+)\.mlp\.{_DENSE}", "decoder.block.{0}.layer.2.DenseReluDense.{1}.weight", True),
]  # fmt: skip
_PATTERNS = [(re.compile(pattern), form, turned) for pattern, form, turned in _NAMES]


def find_t5x(path):
    """The msgpack file of the T5X checkpoint at `path` (that file, a checkpoint's folder, or a run's: then its last one), or None."""
    if path.is_file():
        return path
    if (path / TREE).is_file():
        return path / TREE
    steps = {int(match[1]): file for file in path.iterdir() if (match := _STEP.fullmatch(file.name))}
    if not steps:
        return None
    last = steps[max(steps)]
    if not last.is_dir():
        return last
    return last / TREE if (last / TREE).is_file() else None


def read_t5x(file):
    """{the hub's tensor name: Entry} of a T5X checkpoint, whose msgpack file is `file`."""
    with open(file, "rb") as opened:
        start = opened.read(23)
    if start.startswith((b"model_checkpoint_path:", b"\n\x16model")):
        raise FormatError(f"{file}: a checkpoint of TensorFlow, not of T5X; load the model's converted form of the hub")
    if not start or start[0] < 0x80:  # nothing, or as texts begin: in msgpack a small number
        raise FormatError(f"{file}: {'holds no model' if start else 'empty'}; {MODEL}")
    tree = read_msgpack(file)
    optimizer = tree.get("optimizer") if isinstance(tree, dict) else None
    target = optimizer.get("target") if isinstance(optimizer, dict) else None
    if not isinstance(target, dict) or not target:
        raise FormatError(f"{file}: no optimizer.target in it: not a checkpoint of T5X with its weights")
    problems, entries = Problems(file), {}
    for name, leaf in _leaves(target):
        hub, turned = _hub_name(name)
        entry = _entry(file, name, hub, turned, leaf, problems)
        if entry is not None:
            entries[hub] = entry
    if file.name == TREE:
        known = {f"target.{name}" for name, _ in _leaves(target)}
        for folder in sorted(file.parent.glob("target.*")):
            if folder.name not in known:
                problems.add(f"folder {named(folder.name)}: {named(file.name)} does not name it")
    problems.check()
    return entries


def _leaves(tree, prefix=""):
    """(dotted name, value) of all that is no mapping, and of the mappings that are places of arrays."""
    for key, value in tree.items():
        if isinstance(value, dict) and "driver" not in value:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _hub_name(name):
    """(the hub's name of a tensor, whether it is stored the other way round); T5X's own where the hub has none."""
    for pattern, form, turned in _PATTERNS:
        if match := pattern.fullmatch(name):
            return form.format(*(_LETTERS.get(part, part) for part in match.groups())), turned
    return name, False


def _entry(file, name, hub, turned, leaf, problems):
    """The entry of a leaf, or None after noting what is wrong with it."""
    if isinstance(leaf, Array):
        if len(leaf.shape) != 2:
            turned = False
        strides = (1, leaf.shape[1]) if turned else None
        return Entry(file, hub, leaf.dtype, leaf.shape[::-1] if turned else leaf.shape, leaf.places, strides)
    folder = _folder_of(leaf)
    if folder is None:
        return problems.add(f"tensor {named(name)}: neither an array nor the place of one")
    if folder != f"target.{name}":
        return problems.add(f"tensor {named(name)}: its place is {shown(folder)}, expected {shown(f'target.{name}')}")
    if not (file.parent / folder / ".zarray").is_file():
        return problems.add(f"tensor {named(name)}: folder {named(folder)} with its .zarray is not here")
    return read_zarr(file.parent / folder, hub, turned)


def _folder_of(leaf):
    """The folder that a leaf names, or None."""
    if isinstance(leaf, str) and leaf.startswith("PLACEHOLDER://"):
        return leaf.removeprefix("PLACEHOLDER://")
    if isinstance(leaf, dict) and leaf.get("driver") == "zarr":
        store = leaf.get("kvstore")
        place = leaf.get("path") or (store.get("path") if isinstance(store, dict) else None)
        return place.rstrip("/") if isinstance(place, str) else None
    return None


# ---- the configuration -----------------------------------------------------------------------------------------------


def derive_config(file, entries, folders, overrides):
    """Config of what the tensors' shapes tell, config.gin in one of the folders, and `overrides` (a mapping, which wins).

    FormatError where the shapes are no T5's, ConfigError naming what must be given."""
    values = from_shapes(file, entries)
    gin = next((folder / GIN for folder in folders if (folder / GIN).is_file()), None)
    values |= _from_gin(gin, values) if gin else {}
    values |= overrides
    if missing := [name for name in _NEEDED if name not in values]:
        gated = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in entries
        usual = {"feed_forward_proj": "gated-gelu" if gated else "relu", "relative_attention_max_distance": 128}
        example = {name: usual[name] for name in missing}
        raise ConfigError(
            f"{file}: no config.json and no {GIN} beside it, and its tensors do not tell {' and '.join(missing)}; "
            f"give what the model was trained with, as in config={example}, which is what T5 has"
        )
    try:
        return Config(**values)
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"{file}: {error}") from None


def _from_gin(path, shapes):
    """What a run's config.gin tells of T5Config beyond the shapes, which it must not contradict."""
    values, number = _gin_values(path), {"emb_dim": "d_model", "mlp_dim": "d_ff", "head_dim": "d_kv", "num_encoder_layers": "num_layers"}
    problems = Problems(path)
    for name in ("vocab_size", "emb_dim", "mlp_dim", "num_heads", "head_dim", "num_encoder_layers", "num_decoder_layers"):
        expected, value = shapes[number.get(name, name)], values.get(name)
        if value is not None and value != expected:
            problems.add(f"T5Config.{name} = {shown(value)}: the tensors have {expected}")
    if values.get("logits_via_embedding", shapes["tie_word_embeddings"]) != shapes["tie_word_embeddings"]:
        there = "not here" if shapes["tie_word_embeddings"] else "here"
        problems.add(f"T5Config.logits_via_embedding = {shown(values['logits_via_embedding'])}, but decoder.logits_dense is {there}")
    activations = values.get("mlp_activations", ("relu",))  # T5X's default
    proj = _ACTIVATIONS.get(tuple(activations) if isinstance(activations, (list, tuple)) else None)
    if proj is None:
        problems.add(f"T5Config.mlp_activations = {shown(activations)} are not supported; relu, gelu and silu are, alone or with 'linear'")
    problems.check()
    rate = values.get("dropout_rate")
    dropout = {"dropout_rate": float(rate)} if isinstance(rate, (int, float)) and 0 <= rate < 1 else {}
    return {"feed_forward_proj": proj, "relative_attention_max_distance": values.get("max_distance", 128), **dropout}


def _gin_values(path):
    """{name: value} of T5Config's lines in a gin file: numbers, flags, texts and tuples of them, or macros that stand for such."""
    text = path.read_bytes()[: 1 << 20].decode(errors="replace").replace("\\\n", " ")
    values, macros, inside = {}, {}, False
    for line in text.splitlines():
        code = line.split("#")[0].rstrip()
        if re.fullmatch(r"(?:[\w./]*\.)?T5Config:", code):
            inside = True
            continue
        inside = inside and (not code or code[0].isspace())
        match = re.fullmatch(r"\s*(?:(?P<scope>[\w./]*T5Config)\.)?(?P<name>\w+)\s*=\s*(?P<value>.+)", code)
        if match and (inside or match["scope"]):
            values[match["name"]] = match["value"]
        elif match and not code[0].isspace():
            macros[match["name"]] = match["value"]
    values = {name: macros.get(value[1:], "None") if value.startswith("%") else value for name, value in values.items()}
    return {name: _literal(value) for name, value in values.items() if len(value) < 200}


def _literal(text):
    """The value of a number, a flag or a tuple of names, else None."""
    text = text.strip()
    if text in ("True", "False"):
        return text == "True"
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if re.fullmatch(r"-?\d{0,18}\.\d{0,18}(e-?\d{1,3})?", text) and re.search(r"\d", text):
        return float(text)
    if re.fullmatch(r"""[(\[](\s*['"]\w+['"]\s*,?)*\s*[)\]]""", text):
        return tuple(re.findall(r"\w+", text))
    return None
