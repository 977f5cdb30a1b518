"""(IA)3 in the files of T-Few (r-three/t-few): a .pt or .bin file of torch, a state dict of vectors, read without unpickling.

    <module>.multi_lora_b [out, 1]    factors of what comes out; multi_lora_a [1, in], where it is there, of what goes in

That form on k, v and wi_1 is the function of PEFT's on k, v and wo: gelu(wi_0 x) (l wi_1 x) = l (gelu(wi_0 x) wi_1 x)."""

from __future__ import annotations

import re
import struct
import zipfile
from pathlib import Path

from t0native.adapters.adapter import Adapter, Part
from t0native.adapters.matching import names_of
from t0native.adapters.peftfolder import values_of
from t0native.adapters.sites import HEAD, sites_of
from t0native.base.errors import ConfigError, FormatError
from t0native.base.files import replacing
from t0native.base.showing import listed, named
from t0native.checkpoints.tensorfiles import Problems
from t0native.checkpoints.torchfiles import read_torch

__all__ = ["read_tfew", "tfew_keys", "tfew_tensors", "write_tfew"]

_NAME = re.compile(r"(?:model\.|base_model\.model\.)?(.+)\.multi_lora_([ab])")


def read_tfew(path, config):
    """The Adapter of a file. FormatError for a tensor that is none of T-Few's (IA)3, or does not fit."""
    path, sites, problems = Path(path), sites_of(config), Problems(path)
    parts = []
    for entry in read_torch(path):
        found = _NAME.fullmatch(entry.name)
        site = sites.get(found[1]) if found else None
        if found is None:
            problems.add(f"tensor {named(entry.name)}: unexpected; (IA)3 of T-Few is <layer>.multi_lora_b alone")
        elif site is None or site.module == HEAD:
            problems.add(f"tensor {named(entry.name)}: this model has no layer {named(found[1])}; there are: {listed(_kinds(sites), 20)}")
        else:
            role, wanted = ("in", (1, site.columns)) if found[2] == "a" else ("out", (site.rows, 1))
            if entry.shape == wanted:
                parts.append(Part(site, role, values_of(entry).reshape(1, -1)))
            else:
                problems.add(f"tensor {named(entry.name)}: shape {list(entry.shape)}, expected {list(wanted)}")
    problems.check()
    parts = [part for part in parts if part.role == "out" or not (part.values == 1).all()]
    if not parts:
        raise FormatError(f"{path}: no tensors")
    return Adapter.of(config, "IA3", tfew_keys(parts, sites), parts, str(path))


def tfew_keys(parts, sites):
    """adapter_config.json of these vectors."""
    modules = [*dict.fromkeys(part.site.module for part in parts)]
    inputs = [part.site.module for part in parts if part.role == "in"]
    return {
        "peft_type": "IA3",
        "task_type": "SEQ_2_SEQ_LM",
        "target_modules": names_of(modules, sites),
        "feedforward_modules": inputs,
        "inference_mode": True,
        "base_model_name_or_path": None,
    }


# ---- writing ---------------------------------------------------------------------------------------------------------


def tfew_tensors(adapter):
    """{T-Few's name: vector [out, 1]} of an (IA)3. What scales the input of a gated wo scales the output of wi_1. ConfigError for what has
    no such form."""
    if adapter.method != "IA3":
        raise ConfigError("T-Few's files hold (IA)3 alone; write a folder of PEFT")
    tensors = {}
    for part in adapter.parts:
        module = part.site.module
        if part.role == "in":
            if part.site.part != "wo" or not adapter.config.gated:
                raise ConfigError(
                    f"{module}: factors of what goes in, which in T-Few's form come out of a layer before it, and there is none"
                )
            module = module.removesuffix("wo") + "wi_1"
        name = f"{module}.multi_lora_b"
        if name in tensors:
            raise ConfigError(f"{module}: factors of wo's input and of wi_1's output, which T-Few's form has one place for")
        tensors[name] = part.values.reshape(-1, 1)
    return tensors


def write_tfew(path, adapter):
    """Writes the file, as torch.save would a dict of these tensors."""
    tensors = tfew_tensors(adapter)
    with replacing(path, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", _program(tensors))
        archive.writestr("archive/byteorder", "little")
        for key, values in enumerate(tensors.values()):
            archive.writestr(f"archive/data/{key}", values.astype("<f4").tobytes())
        archive.writestr("archive/version", "3\n")


def _program(tensors):
    """The pickle of {name: tensor}, in the opcodes of protocol 2 (Python's pickletools)."""
    items = b""
    for key, (name, values) in enumerate(tensors.items()):
        rows = struct.pack("<i", len(values))
        storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text(str(key)) + _text("cpu") + b"J" + rows + b"tQ"
        shape = b"(J" + rows + b"K\x01t(K\x01K\x01t"
        items += _text(name) + b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\0" + shape + b"\x89ccollections\nOrderedDict\n)RtR"
    return b"\x80\x02}(" + items + b"u."


def _text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def _kinds(sites):
    return sorted({module.rsplit(".", 1)[-1] for module in sites})
