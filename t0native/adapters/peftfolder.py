"""Adapters in the files of PEFT: a folder with adapter_config.json and adapter_model.safetensors (or .bin).

    base_model.model. | a module's name | .lora_A.weight [r, in], .lora_B.weight [out, r], .ia3_l [out, 1] or [1, in]
    prompt_embeddings [2 n, D]       n rows before the encoder's embeddings; of the others PEFT 0.21 computes nothing; [n, D]: without them

Nothing is executed from a file. Every tensor is used once, every layer that the configuration means has its tensors, and a name of it that
means none is refused; a copy of a weight of the model, as PEFT keeps one of a head or an embedding, must be equal to the model's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from t0native.adapters.adapter import METHODS, PROMPTS, Adapter, Part, name_of
from t0native.adapters.matching import ends_with, is_simple, matched, of_pattern
from t0native.adapters.peftkeys import CONFIG, default_keys, read_keys
from t0native.adapters.sites import HEAD, sites_of
from t0native.base.errors import ConfigError, FormatError, NumericError
from t0native.base.files import FileSet
from t0native.base.jsontext import json_text
from t0native.base.showing import listed, named, shown
from t0native.checkpoints.safetensorfiles import header_of, read_header
from t0native.checkpoints.tensorfiles import FLOATS, Problems, as_bfloat16, as_float32
from t0native.checkpoints.torchfiles import read_torch

__all__ = ["CONFIG", "WEIGHTS", "add_adapter_files", "read_folder", "values_of", "write_folder"]

WEIGHTS, PICKLED = "adapter_model.safetensors", "adapter_model.bin"
_PREFIX = "base_model.model."
_ROLES = {"lora_A.weight": "lora_A", "lora_B.weight": "lora_B", "ia3_l": "ia3"}
_EMBEDDINGS = ("lora_embedding_A", "lora_embedding_B")
_COPIES = {
    "shared.weight": "shared.weight",
    "encoder.embed_tokens.weight": "shared.weight",
    "decoder.embed_tokens.weight": "shared.weight",
    "lm_head.weight": "lm_head.weight",
    "lm_head.base_layer.weight": "lm_head.weight",
}  # names without the prefix: the tensor of the model
_LARGEST = 1 << 31  # bytes of all tensors of an adapter


def read_folder(folder, config, core=None):
    """The Adapter of a folder. config: of the model that it is for; core: that model's, to compare copies of its weights with."""
    folder = Path(folder)
    if not (folder / CONFIG).is_file():
        raise FileNotFoundError(f"{folder}: no {CONFIG} here; an adapter of PEFT is a folder with {CONFIG} and {WEIGHTS}")
    keys = read_keys(folder / CONFIG)
    entries = _entries(folder)
    full = default_keys(keys)
    if keys["peft_type"] == "PROMPT_TUNING":
        parts, unused = _prompts(folder, entries, config, full)
    else:
        parts, unused = _layers(folder, entries, config, full, core), None
    return Adapter.of(config, keys["peft_type"], keys, parts, str(folder), unused)


def _entries(folder):
    """[Entry] of the folder's tensors, small enough."""
    for name, read in ((WEIGHTS, read_header), (PICKLED, read_torch)):
        if (folder / name).is_file():
            entries = read(folder / name)
            if (size := sum(entry.size for entry in entries)) > _LARGEST:
                raise FormatError(f"{folder / name}: tensors of {size} bytes; of an adapter at most {_LARGEST} are read")
            return entries
    raise FileNotFoundError(f"{folder}: neither {WEIGHTS} nor {PICKLED} is here")


def values_of(entry):
    """float32 [rows, columns] of a tensor of a file. FormatError for another type or form, NumericError for what is not finite."""
    if entry.dtype not in FLOATS:
        raise FormatError(f"{entry.what}: expected F32, F16, BF16 or F64, found {entry.dtype}")
    if len(entry.shape) not in (1, 2) or 0 in entry.shape:
        raise FormatError(f"{entry.what}: shape {list(entry.shape)}: expected a matrix or a vector")
    values = np.concatenate([as_float32(chunk) for chunk in entry])
    values = values.reshape(entry.shape if len(entry.shape) == 2 else (1, -1))
    if not np.isfinite(values).all():
        place = int(np.flatnonzero(~np.isfinite(values.reshape(-1)))[0])
        raise NumericError(f"{entry.what}, element {place} is {values.reshape(-1)[place]}: it must be finite")
    return np.ascontiguousarray(values)


# ---- prompts ---------------------------------------------------------------------------------------------------------


def _prompts(folder, entries, config, keys):
    """([Part], rows that are not used, or None): the first n are the encoder's, in PEFT's forward and in its generate."""
    others = [entry.name for entry in entries if entry.name != PROMPTS]
    if len(entries) != 1 or others:
        raise FormatError(f"{folder}: prompt tuning has one tensor, {PROMPTS}; there are: {listed([entry.name for entry in entries])}")
    n, submodules = keys["num_virtual_tokens"], 1 if config.encoder_only else keys["num_transformer_submodules"]
    wanted = (n * submodules, config.d_model)
    if entries[0].shape != wanted:
        raise FormatError(f"{entries[0].what}: shape {list(entries[0].shape)}, expected {list(wanted)}: {submodules} times {n} rows")
    values = values_of(entries[0])
    return [Part(None, "prompt", values[:n])], values[n:].copy() if submodules == 2 else None


# ---- layers ----------------------------------------------------------------------------------------------------------


def _layers(folder, entries, config, keys, core):
    sites, problems, found = sites_of(config), Problems(folder), {}
    for entry in entries:
        name = entry.name.removeprefix(_PREFIX)
        module, role = _split(name)
        if name in _COPIES and role is None:
            _check_copy(entry, _COPIES[name], core, config)
        elif name.endswith(_EMBEDDINGS):
            _refuse_embedding(folder, entry)
        elif role is None:
            problems.add(f"tensor {named(entry.name)}: unexpected, {METHODS[keys['peft_type']]} has no such tensor")
        elif module not in sites:
            problems.add(f"tensor {named(entry.name)}: this model has no layer {named(module)}")
        elif (role == "ia3") != (keys["peft_type"] == "IA3"):
            problems.add(f"tensor {named(entry.name)}: of another method than peft_type {keys['peft_type']}")
        elif (module, role) in found:
            problems.add(f"tensor {named(entry.name)}: stands twice")
        else:
            found[module, role] = entry
    problems.check()
    _check_targets(folder, keys, sites, {module for module, _ in found})
    parts = [_part(sites[module], role, found[module, role], keys, problems) for module, role in sorted(found, key=_order(sites))]
    problems.check()
    if not parts:
        raise FormatError(f"{folder}: no tensors of {METHODS[keys['peft_type']]}")
    return parts


def _order(sites):
    places = {module: i for i, module in enumerate(sites)}
    return lambda pair: (places[pair[0]], pair[1])


def _split(name):
    """(module, role) of a tensor's name; role None where it is none of an adapter."""
    for end, role in _ROLES.items():
        if name.endswith(f".{end}"):
            return name.removesuffix(f".{end}"), role
    return name, None


def _refuse_embedding(folder, entry):
    raise ConfigError(
        f"{folder}: tensor {named(entry.name)}: LoRA of a table is not computed here (of 'shared', PEFT 0.21 itself computes nothing: the "
        "stacks hold the embedding under other names); train it on linear layers, or merge it with peft, merge_and_unload()"
    )


def _part(site, role, entry, keys, problems):
    """The Part of an entry, or None after noting what is wrong with its shape."""
    values = values_of(entry)
    if role == "ia3":
        of_input = _is_feedforward(site.module, keys["feedforward_modules"])
        wanted = (1, site.columns) if of_input else (site.rows, 1)
        if entry.shape != wanted:
            form = "what goes in" if of_input else "what comes out"
            return problems.add(f"tensor {named(entry.name)}: shape {list(entry.shape)}, expected {list(wanted)}: factors of {form}")
        return Part(site, "in" if of_input else "out", values.reshape(1, -1))
    rank = of_pattern(keys["rank_pattern"], site.module, keys["r"])
    alpha = of_pattern(keys["alpha_pattern"], site.module, keys["lora_alpha"])
    wanted = (rank, site.columns) if role == "lora_A" else (site.rows, rank)
    if entry.shape != wanted:
        return problems.add(f"tensor {named(entry.name)}: shape {list(entry.shape)}, expected {list(wanted)}")
    return Part(site, role, values, float(alpha / (rank**0.5 if keys["use_rslora"] else rank)))


def _is_feedforward(module, feedforward):
    """Whether its input is what is scaled. A name of the list is any end of the module's, as PEFT has it: "o" means "wo" too."""
    if isinstance(feedforward, str):
        return is_simple(feedforward) and module in matched(feedforward, [module])
    return any(module.endswith(name) for name in feedforward)


def _check_targets(folder, keys, sites, there):
    """The configuration means the layers that have tensors, and each of its names some."""
    target, exclude = keys["target_modules"], keys.get("exclude_modules")
    every = {*(module.rsplit(".", 1)[-1] for module in sites)}
    for key, means in (("target_modules", ends_with), ("feedforward_modules", str.endswith)):
        for name in keys[key] if isinstance(keys.get(key), list) else []:
            if not any(means(module, name) for module in sites):
                raise ConfigError(f"{folder}: {key}: {shown(name)} is no layer of this model; there are: {listed(sorted(every), 20)}")
    if any(isinstance(one, str) and not is_simple(one) for one in (target, exclude)):
        return  # the tensors say what it meant
    meant = matched(target, sites, exclude)
    if not meant:
        raise ConfigError(f"{folder}: target_modules {shown(target)} means no layer of this model; there are: {listed(sorted(every), 20)}")
    problems = Problems(folder)
    for module in meant:
        if module not in there:
            problems.add(f"{module}: target_modules means it, but it has no tensor here")
    for module in sorted(there - {*meant}):
        problems.add(f"{module}: has a tensor here, but target_modules does not mean it")
    problems.check()


def _check_copy(entry, name, core, config):
    """FormatError where the file's copy of a weight of the model is another."""
    if core is None:
        return
    source = "shared.weight" if name == f"{HEAD}.weight" and config.tie_word_embeddings else name
    own = core.tensor(source)
    if entry.shape != own.shape:
        raise FormatError(f"{entry.what}: shape {list(entry.shape)}, but the model's {source} has {list(own.shape)}; {_OTHER_BASE}")
    row = 0
    for chunk in entry:
        values, mine = as_float32(chunk), own[row : row + len(chunk)]
        if core.dtype == "bfloat16":
            values = as_float32(as_bfloat16(values))
        near = 0.51 * np.abs(values).max(axis=1, keepdims=True) / 127 if core.dtype == "int8" and source != "shared.weight" else 0.0
        near = near + np.abs(mine) * 2.0**-7 if core.dtype == "int8" else near
        if not (np.abs(values - mine) <= near).all():
            raise FormatError(f"{entry.what}: is not the model's {source}; {_OTHER_BASE}")
        row += len(chunk)


_OTHER_BASE = "the adapter was made on another model, or trains this weight, which is not computed here"


# ---- writing ---------------------------------------------------------------------------------------------------------


def add_adapter_files(files, adapter):
    """Adds the folder's files to a FileSet, adapter_config.json last."""
    tensors = {}
    for part in adapter.parts:
        name = name_of(part) if part.site is None else _PREFIX + name_of(part)
        if name in tensors:
            raise ConfigError(f"{name}: factors of what goes in and of what comes out of one layer, which PEFT has no form for")
        tensors[name] = part.values.T if part.role == "out" else part.values
        if part.site is None and adapter.unused is not None:
            tensors[name] = np.concatenate([part.values, adapter.unused])
    with files.opened(WEIGHTS) as file:
        file.write(header_of({name: ("F32", values.shape) for name, values in sorted(tensors.items())}))
        for _, values in sorted(tensors.items()):
            file.write(memoryview(np.ascontiguousarray(values)).cast("B"))
    files.add(CONFIG, (json_text(adapter.keys, "keep", indent=2, sort_keys=True) + "\n").encode())


def write_folder(folder, adapter):
    """Writes the adapter as PEFT does, whole or not at all."""
    with FileSet(folder) as files:
        add_adapter_files(files, adapter)
