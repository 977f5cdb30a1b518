"""The keys of PEFT's adapter_config.json: what is read, what is kept, and what is refused, by name.

A key that changes what is computed and that is not computed here may have one value, the one that means "not". A key that is not known
may have a value that says nothing: null, false, or an empty list, object or text."""

from __future__ import annotations

from t0native.adapters.adapter import METHODS
from t0native.adapters.matching import check_pattern, is_simple
from t0native.base.arguments import FLAG, TEXT, Kind, number, whole
from t0native.base.errors import ConfigError, FormatError
from t0native.base.jsontext import parse_json
from t0native.base.showing import listed, shown

__all__ = ["CONFIG", "check_keys_of", "default_keys", "read_keys"]

CONFIG = "adapter_config.json"
_LARGEST_FILE = 1 << 20
_MERGE = "merge it into its model with peft, merge_and_unload(), and load the model"
_LIST = Kind(
    lambda value: isinstance(value, list) and len(value) > 0 and all(isinstance(name, str) and name for name in value), "a list of names"
)
_NAMES = Kind(lambda value: _LIST.fits(value) or (isinstance(value, str) and value != ""), "a list of names, or a regular expression")
_RANK = whole(1, 1 << 14)
_ALPHA = number(lambda value: value > 0, "a number above 0")
_RATE = number(lambda value: 0 <= value < 1, "a number from 0 to below 1")
_MOST_PATTERNS = 10_000

# Values that mean "not": other values change what is computed, or which weights of the model are meant, and are not read here.
_NOT = (None, False, [], {}, "")
_REFUSED = {
    "COMMON": ("modules_to_save",),
    "LORA": (
        "use_dora", "use_bdlora", "use_qalora", "layer_replication", "layers_to_transform", "layers_pattern", "target_parameters",
        "trainable_token_indices", "lora_bias", "megatron_config", "velora_config", "kasa_config", "monteclora_config", "arrow_config",
        "eva_config", "corda_config", "lora_ga_config", "loftq_config", "alora_invocation_tokens", "ensure_weight_tying",
    ),
    "IA3": (),
    "PROMPT_TUNING": (),
}  # fmt: skip
_KEPT = {  # that only say how it was made, or what it is called
    "COMMON": ("auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type", "fan_in_fan_out"),
    "LORA": ("megatron_core", "qalora_group_size", "runtime_config"),
    "IA3": ("init_ia3_weights",),
    "PROMPT_TUNING": (
        "num_attention_heads", "num_layers", "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_kwargs", "tokenizer_name_or_path",
    ),
}  # fmt: skip
_READ = {
    "COMMON": {"peft_type": TEXT},
    "LORA": {
        "r": _RANK,
        "lora_alpha": _ALPHA,
        "lora_dropout": _RATE,
        "use_rslora": FLAG,
        "target_modules": _NAMES,
        "exclude_modules": _NAMES.or_none(),
        "rank_pattern": Kind(lambda value: _is_pattern(value, _RANK), "an object of names and ranks").or_none(),
        "alpha_pattern": Kind(lambda value: _is_pattern(value, _ALPHA), "an object of names and numbers above 0").or_none(),
        "bias": Kind(lambda value: value == "none", "'none': T5 has no biases"),
        "init_lora_weights": Kind(
            lambda value: isinstance(value, bool) or value in ("gaussian", "orthogonal", "eva"),
            "true, false, 'gaussian', 'orthogonal' or 'eva': others change the model's own weights",
        ),
    },
    "IA3": {
        "target_modules": _NAMES,
        "exclude_modules": _NAMES.or_none(),
        "feedforward_modules": Kind(lambda value: value == [] or _NAMES.fits(value), _NAMES.wanted).or_none(),
    },
    "PROMPT_TUNING": {
        "num_virtual_tokens": whole(1, 1 << 13),
        "num_transformer_submodules": whole(1, 2).or_none(),
        "token_dim": whole(1).or_none(),
    },
}
_DEFAULTS = {
    "LORA": {"r": 8, "lora_alpha": 8, "use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}},
    "IA3": {"feedforward_modules": []},
    "PROMPT_TUNING": {"num_transformer_submodules": 2},
}
_NEEDED = {"LORA": ("target_modules",), "IA3": ("target_modules",), "PROMPT_TUNING": ("num_virtual_tokens",)}


def _is_pattern(value, kind):
    return isinstance(value, dict) and len(value) <= _MOST_PATTERNS and all(kind.fits(one) for one in value.values())


def read_keys(path):
    """The keys of a file, judged. FormatError for a broken file, ConfigError naming the key for one that is not computed here."""
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise FormatError(f"{path}: {size} bytes; at most {_LARGEST_FILE} are read")
    keys = parse_json(path, path.read_bytes())
    if not isinstance(keys, dict):
        raise FormatError(f"{path}: {shown(keys)}: must be an object of PEFT's keys")
    check_keys_of(path, keys)
    return keys


def check_keys_of(path, keys):
    """ConfigError, which begins with `path`, for what is not computed here."""
    method = keys.get("peft_type")
    if not isinstance(method, str) or method not in METHODS:
        raise ConfigError(f"{path}: peft_type {shown(method)}: not computed here; there are: {listed([*METHODS])}; {_MERGE}")
    refused = {*_REFUSED["COMMON"], *_REFUSED[method]}
    kinds = {**_READ["COMMON"], **_READ[method]}
    known = {*kinds, *_KEPT["COMMON"], *_KEPT[method]}
    for key, value in keys.items():
        if key in kinds:
            if value is not None and (problem := kinds[key].problem(key, value)):
                raise ConfigError(f"{path}: {problem}")
        elif key in refused or key not in known:
            if not any(value is none or (value == none and type(value) is type(none)) for none in _NOT):
                what = "not computed here" if key in refused else "not known, so perhaps it changes what is computed"
                raise ConfigError(f"{path}: {shown(key)[1:-1]} {shown(value)}: {what}; {_MERGE}")
    for key in _NEEDED[method]:
        if keys.get(key) is None:
            raise ConfigError(f"{path}: no {key}, which says where the adapter stands")
    _check_patterns(path, keys)


def _check_patterns(path, keys):
    """Those that must be run are simple; target_modules and exclude_modules need not be, for the tensors say what they meant."""
    for key in ("rank_pattern", "alpha_pattern"):
        for pattern in keys.get(key) or {}:
            if not is_simple(pattern):
                check_pattern(f"{path}: {key}", pattern)


def default_keys(keys):
    """The keys with PEFT's defaults where there is none.

    >>> default_keys({"peft_type": "LORA", "r": 4})["lora_alpha"]
    8
    """
    return {**_DEFAULTS[keys["peft_type"]], **{key: value for key, value in keys.items() if value is not None}}
