"""What lies where a checkpoint should be, when no weights that are read do: one sentence that names it, and what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path

from t0native.base.placeholders import stand_in
from t0native.base.places import what_is
from t0native.base.showing import listed, named

__all__ = ["ADAPTER", "MODEL", "describe_adapter", "describe_file", "describe_folder", "describe_names"]

ADAPTER = "adapter_config.json"
MODEL = "a model is a folder with config.json, model.safetensors and spiece.model, or a name on the hub, owner/name"
_LARGEST_FILE = 1 << 20
_BY_TRANSFORMERS_4 = (
    "with transformers 4 and {0}, T5ForConditionalGeneration.from_pretrained(DIR, {1}).save_pretrained(DIR) makes them such as are read"
)
_FROM_SOURCE = "they cannot be turned back: take the model that they were made from, in the hub's layout"

# (pattern of a file's or folder's name, what it holds, what to do), the surest first
_PROGRAMS = [
    (r"flax_model.*\.msgpack(\.index\.json)?", "weights of Flax", _BY_TRANSFORMERS_4.format("flax", "from_flax=True")),
    (r"tf_model.*\.h5(\.index\.json)?", "weights of TensorFlow", _BY_TRANSFORMERS_4.format("tensorflow", "from_tf=True")),
    (r".*\.onnx(_data)?", "a graph of ONNX", _FROM_SOURCE),
    (r"(shared|source|target)_vocabulary\.(json|txt)", "a model of CTranslate2 (model.bin)", _FROM_SOURCE),
    (r"openvino_.*\.(xml|bin)", "a graph of OpenVINO", _FROM_SOURCE),
    (r".*\.(tflite|mlmodel|mlpackage|engine|plan)", "a compiled model", _FROM_SOURCE),
    (
        r"_CHECKPOINT_METADATA|_METADATA|_sharding|manifest\.ocdbt|ocdbt\.process_\d+",
        "a checkpoint of Orbax",
        "restore it in JAX and save it as T5X does (a msgpack file and zarr arrays), or in the hub's layout",
    ),
    (r"rust_model\.ot", "weights of rust-bert", "take the pytorch_model.bin or model.safetensors that they were made from"),
    (
        r"zero_to_fp32\.py|global_step\d+|mp_rank_\d+_model_states\.pt",
        "the parts of a training by DeepSpeed",
        "`python zero_to_fp32.py DIR DIR/pytorch_model.bin`, in that folder, puts them together",
    ),
    (
        r".*\.distcp|pytorch_model_fsdp_\d+",
        "the parts of a training by FSDP",
        "`accelerate merge-weights PARTS DIR` puts them together as model.safetensors",
    ),
    (r".*\.ckpt-\d+\.(index|meta|data-.*)", "a checkpoint of TensorFlow", "load the model's converted form of the hub"),
    (
        r".*\.ckpt",
        "a checkpoint of Lightning",
        'its "state_dict" alone is read: torch.save(torch.load(file, weights_only=True)["state_dict"], "pytorch_model.bin")',
    ),
    (r"optimizer\.pt|trainer_state\.json|training_args\.bin", "the state of a training", "name the folder that has its weights"),
    (
        r"(pytorch_)?model-\d+-of-\d+\.(safetensors|bin)",
        "shards of weights without their index",
        "get model.safetensors.index.json, or pytorch_model.bin.index.json, that belongs to them",
    ),
    (r".*\.safetensors", "tensors under another name", "where they are the model's weights, name them model.safetensors"),
    (r".*\.(bin|pt|pth)", "a file of torch under another name", "where it is the model's state dict, name it pytorch_model.bin"),
]  # fmt: skip
_OF_OTHERS = -3  # those before are no names that a folder in the hub's layout has
# (first bytes of a file, what it is, what to do)
_FOLDER = "name the folder that holds it, with config.json, model.safetensors and spiece.model"
_STARTS = [
    (b"\x89HDF", "weights of TensorFlow (HDF5)", _BY_TRANSFORMERS_4.format("tensorflow", "from_tf=True")),
    (b"PK\3\4", "a file of torch (or another zip)", _FOLDER),
    (b"\x80\2", "a pickle, as torch wrote it before 1.6", _FOLDER),
    (b"\x80\4", "a pickle", "only a state dict that torch saved is read"),
    (b"\x80\5", "a pickle", "only a state dict that torch saved is read"),
    (b"\x93NUMPY", "an array of NumPy", "a model is a folder; a checkpoint of T5X is msgpack"),
    (b"\x1f\x8b", "compressed by gzip", "unpack it, and name the folder"),
    (b"{", "a text of JSON", _FOLDER),
]
_TOKENIZERS = (
    "spiece.model",
    "tokenizer.model",
    "sentencepiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.json",
    "tokenizer_config.json",
)


def describe_adapter(folder):
    """What the adapter of peft in this folder is, and what to do, or None where there is none."""
    file = folder / ADAPTER
    if not file.is_file():
        return None
    base, kind = _adapter_facts(file)
    return f"{ADAPTER}: an adapter of peft{kind}, which is no model; load its model{base} with adapter=DIR"


def _adapter_facts(file):
    """(" X" for the model that it belongs to, " (LORA)" for its kind); empty where it does not tell."""
    try:
        facts = json.loads(file.read_bytes()[:_LARGEST_FILE])
    except (ValueError, RecursionError):
        facts = None
    told = [facts.get(key) if isinstance(facts, dict) else None for key in ("base_model_name_or_path", "peft_type")]
    base, kind = (text[:100] if isinstance(text, str) and text.isprintable() else "" for text in told)
    return base and f" {base}", kind and f" ({kind})"


def describe_folder(folder):
    """What a folder without weights that are read holds instead, and what to do; None where nothing is known."""
    if not folder.is_dir():
        return None
    if adapter := describe_adapter(folder):
        return adapter
    names = sorted(path.name for path in folder.iterdir())
    if found := describe_names(names) or _describe_below(folder, names):
        return found
    return f"{what}, which holds no model; {MODEL}" if (what := what_is(folder)) else None


def describe_names(names):
    """What files of these names are whose weights are not read, and what to do; None where nothing is known."""
    for pattern, what, remedy in _PROGRAMS:
        if found := [name for name in names if re.fullmatch(pattern, name)]:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            return f"{named(found[0])}{more}: {what}, not read here; {remedy}"
    return None


def _describe_below(folder, names):
    """A folder of models, which is not one itself."""
    inside = [name for name in names if (folder / name / "config.json").is_file() or (folder / name / ADAPTER).is_file()]
    if not inside:
        return None
    steps = [name for name in inside if re.fullmatch(r"checkpoint-\d{1,12}", name)]
    if steps:
        return f"the last checkpoint of this training is {folder / max(steps, key=lambda name: int(name.split('-')[1]))}"
    return f"models lie in folders of it: {listed(inside, 5)}; name one of them"


def describe_file(path):
    """What a file given by name is that is no checkpoint by itself, and what to do; None where it may be one."""
    path = Path(path)
    if path.name in _TOKENIZERS:
        return f"the file of a tokenizer; {_FOLDER}"
    for pattern, what, remedy in _PROGRAMS[:_OF_OTHERS]:
        if re.fullmatch(pattern, path.name):
            return f"{what}, not read here; {remedy}"
    with open(path, "rb") as file:
        start = file.read(64)
    if other := stand_in(start):
        return other
    if what := what_is(path):
        return f"{what}, which holds no model; {MODEL}"
    if path.suffix in (".safetensors", ".bin", ".pt", ".pth", ".json", ".model", ".txt", ".gin", ".yaml"):
        return f"a file; {_FOLDER}"
    return next((f"{what}; {remedy}" for first, what, remedy in _STARTS if start.startswith(first)), None)
