"""What a folder of sentence-transformers makes of an encoder's states: one vector a text.

    modules.json                Transformer, Pooling, then any number of Dense and Normalize, each with the folder of its files
    N_Pooling/config.json       the mean over tokens is what is read
    N_Dense/config.json         in_features, out_features, bias, activation_function; its weights beside it: linear.weight, linear.bias
    sentence_bert_config.json   max_seq_length: longer texts are cut there; without it, as version 6 writes, at the model_max_length of
    tokenizer_config.json
    config_sentence_transformers.json   default_prompt_name: of `prompts`, which goes before every text there, and is told here

    mean -> Dense: f(x W^T + b), f the identity or tanh -> Normalize: x / max(|x|, 1e-12)

Computed in float32, as there; a vector does not depend on its company."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import named, shown
from t0native.checkpoints.safetensorfiles import header_of, read_header
from t0native.checkpoints.tensorfiles import as_float32
from t0native.checkpoints.torchfiles import read_torch
from t0native.text.tokenizerfiles import CONFIG_FILE

__all__ = ["MODULES", "SENTENCE_FILES", "Dense", "Sentence", "read_sentence"]

MODULES, LENGTH_FILE, PROMPT_FILE = "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"
SENTENCE_FILES = (MODULES, LENGTH_FILE, PROMPT_FILE)
OF_A_MODULE = re.compile(r"\d+_\w+/(config\.json|model\.safetensors|pytorch_model\.bin)")  # names of a module's files in its folder
_LARGEST_FILE, _LEAST_NORM = 1 << 20, np.float32(1e-12)
_ACTIVATIONS = {"Identity": None, "Tanh": np.tanh}
_CLASS = "sentence_transformers.models."


@dataclass(frozen=True)
class Dense:
    """A layer: weight [out, in] and bias [out] (or None), float32; activation: "Identity" or "Tanh"."""

    weight: np.ndarray
    bias: np.ndarray | None
    activation: str

    def apply(self, vectors):
        """[B, in] -> [B, out], row by row, so that no vector depends on another."""
        out = np.stack([self.weight @ vector for vector in vectors]) if len(vectors) else np.empty((0, len(self.weight)), np.float32)
        out = out if self.bias is None else out + self.bias
        function = _ACTIVATIONS[self.activation]
        return out if function is None else function(out)


@dataclass(frozen=True)
class Sentence:
    """path: of the encoder's folder within the model's.  layers: Dense, or "Normalize", in order.  max_length: tokens of a text, or
    None.  width: of the vectors that come out.  prompt: what that program puts before each text unasked."""

    path: str
    layers: tuple[Dense | str, ...]
    max_length: int | None
    width: int | None = None
    prompt: str = ""

    def shortened(self, length):
        """The most tokens of a text, where `length` are allowed."""
        return length if self.max_length is None else min(length, self.max_length)

    def apply(self, means):
        """Vectors [B, E] of means [B, D], float32."""
        for layer in self.layers:
            if isinstance(layer, Dense):
                means = layer.apply(means)
            else:
                norms = np.sqrt((means * means).sum(axis=1, keepdims=True))
                means = means / np.maximum(norms, _LEAST_NORM)
        return means

    def files_to_save(self):
        """(name, content) of the files of such a folder, with the encoder at its root."""
        kinds = ["Transformer", "Pooling", *("Dense" if isinstance(layer, Dense) else layer for layer in self.layers)]
        places = ["", *(f"{i}_{kind}" for i, kind in enumerate(kinds) if i)]
        modules = [{"idx": i, "name": str(i), "path": place, "type": _CLASS + kinds[i]} for i, place in enumerate(places)]
        pooling = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False, "pooling_mode_max_tokens": False}
        files = [(MODULES, _json(modules))]
        if self.max_length is not None:
            files.append((LENGTH_FILE, _json({"max_seq_length": self.max_length, "do_lower_case": False})))
        first = next((layer.weight.shape[1] for layer in self.layers if isinstance(layer, Dense)), self.width)
        files.append((f"{places[1]}/config.json", _json({"word_embedding_dimension": first, **pooling})))
        for place, layer in zip(places[2:], self.layers):
            if isinstance(layer, Dense):
                files += [(f"{place}/config.json", _json(_about(layer))), (f"{place}/model.safetensors", _tensors(layer))]
        return files


def read_sentence(folder):
    """The Sentence of a folder, or None where it has no modules.json. FormatError for what is broken, and for modules of other kinds."""
    folder = Path(folder)
    file = folder / MODULES
    if not folder.is_dir() or not file.is_file():
        return None
    modules = _object(file, list)
    paths = {}
    for module in modules:
        kind = module.get("type") if isinstance(module, dict) else None
        place = module.get("path", "") if isinstance(module, dict) else None
        if not isinstance(kind, str) or not _is_inside(place):
            raise FormatError(f"{file}: {shown(module)}: a module has a type and the path of a folder beside this file")
        paths[len(paths)] = (kind.rpartition(".")[2], place)
    kinds = [kind for kind, _ in paths.values()]
    if kinds[:2] != ["Transformer", "Pooling"] or set(kinds[2:]) - {"Dense", "Normalize"}:
        raise FormatError(f"{file}: modules {shown(kinds)}: a Transformer, a Pooling, then Dense and Normalize are read")
    width = _read_pooling(folder / paths[1][1] / "config.json")
    layers = tuple(_read_dense(folder / place) if kind == "Dense" else kind for kind, place in list(paths.values())[2:])
    for layer in layers:
        if isinstance(layer, Dense):
            if layer.weight.shape[1] != width:
                raise FormatError(f"{file}: a Dense takes {layer.weight.shape[1]} numbers, but {width} come to it")
            width = len(layer.weight)
    return Sentence(paths[0][1], layers, _read_length(folder / paths[0][1]), width, _read_prompt(folder / PROMPT_FILE))


def _is_inside(path):
    return isinstance(path, str) and not path.startswith("/") and ".." not in path.split("/") and "\0" not in path and "\\" not in path


def _object(file, kind=dict):
    with open(file, "rb") as opened:
        text = opened.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise FormatError(f"{file}: more than {_LARGEST_FILE} bytes")
    content = parse_json(file, text)
    if not isinstance(content, kind):
        raise FormatError(f"{file}: must hold {'an object {...}' if kind is dict else 'a list [...]'}")
    return content


def _read_prompt(file):
    about = _object(file) if file.is_file() else {}
    name, prompts = about.get("default_prompt_name"), about.get("prompts") or {}
    if name is None:
        return ""
    prompt = prompts.get(name) if isinstance(prompts, dict) and isinstance(name, str) else None
    if not isinstance(prompt, str):
        raise FormatError(f"{file}: default_prompt_name {shown(name)}: must be the name of a text in `prompts`, or null")
    return prompt


def _read_length(folder):
    """Tokens that a text of the encoder in this folder is cut to, or None."""
    file, tokenizer = folder / LENGTH_FILE, folder / CONFIG_FILE
    about = _object(file) if file.is_file() else {}
    if about.get("do_lower_case"):
        raise FormatError(f"{file}: do_lower_case {shown(about['do_lower_case'])}: texts are read as they stand; only false is read")
    length = about.get("max_seq_length")
    if length is None and tokenizer.is_file():
        length = _object(tokenizer).get("model_max_length")
        return length if type(length) is int and 1 <= length < 2**31 else None  # transformers' word for none is 10**30
    if length is not None and (isinstance(length, bool) or not isinstance(length, int) or not 1 <= length < 2**31):
        raise FormatError(f"{file}: max_seq_length {shown(length)}: must be a whole number from 1 to 2147483647")
    return length


def _read_pooling(file):
    """The width of what is pooled."""
    about = _object(file)
    modes = {key for key, value in about.items() if key.startswith("pooling_mode_") and value is True}
    named_mode = about.get("pooling_mode")
    if (modes or {f"pooling_mode_{named_mode}_tokens"}) != {"pooling_mode_mean_tokens"}:
        raise FormatError(f"{file}: {shown(sorted(modes) or named_mode)}: only the mean over tokens is read (pooling_mode_mean_tokens)")
    width = about.get("word_embedding_dimension", about.get("embedding_dimension"))
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise FormatError(f"{file}: word_embedding_dimension {shown(width)}: must be a whole number, at least 1")
    return width


def _read_dense(folder):
    about = _object(folder / "config.json")
    activation = about.get("activation_function", "torch.nn.modules.activation.Tanh")
    kind = activation.rpartition(".")[2] if isinstance(activation, str) else None
    if kind not in _ACTIVATIONS:
        raise FormatError(f"{folder / 'config.json'}: activation_function {shown(activation)}: Identity and Tanh are read")
    file = next((folder / name for name in ("model.safetensors", "pytorch_model.bin") if (folder / name).is_file()), None)
    if file is None:
        raise FormatError(f"{folder}: a Dense has its weights in model.safetensors or pytorch_model.bin, and neither is here")
    read = read_header if file.suffix == ".safetensors" else read_torch
    entries = {entry.name.removeprefix("linear."): entry for entry in read(file)}
    wanted = {"weight": (about.get("out_features"), about.get("in_features"))}
    if about.get("bias", True):
        wanted["bias"] = (about.get("out_features"),)
    if set(entries) != set(wanted):
        raise FormatError(f"{file}: tensors {', '.join(map(named, entries))}: expected linear.{' and linear.'.join(wanted)}")
    return Dense(*(_tensor(file, entries.get(name), wanted.get(name)) for name in ("weight", "bias")), kind)


def _tensor(file, entry, shape):
    if entry is None:
        return None
    if entry.shape != shape or not entry.holds_weights:
        raise FormatError(
            f"{file}, tensor {named(entry.name)}: expected floats of shape {shown(list(shape))}, found {entry.dtype} {list(entry.shape)}"
        )
    values = np.concatenate([as_float32(chunk) for chunk in entry])
    if not np.isfinite(values).all():
        raise FormatError(f"{file}, tensor {named(entry.name)}: holds what is not finite")
    return np.ascontiguousarray(values, np.float32).reshape(shape)


def _about(layer):
    module = "torch.nn.modules.linear.Identity" if layer.activation == "Identity" else "torch.nn.modules.activation.Tanh"
    out, width = layer.weight.shape
    return {"in_features": width, "out_features": out, "bias": layer.bias is not None, "activation_function": module}


def _tensors(layer):
    arrays = {"linear.weight": layer.weight, **({} if layer.bias is None else {"linear.bias": layer.bias})}
    return header_of({name: ("F32", array.shape) for name, array in arrays.items()}) + b"".join(a.tobytes() for a in arrays.values())


def _json(value):
    return (json_text(value, "keep", indent=2) + "\n").encode()
