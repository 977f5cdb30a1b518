"""The shape of a T5 and the hub's config.json.

Keys are the hub's. What would change the numbers and is not supported is refused by name; what does not touch them is
kept and written back. Facts: Raffel et al. 2020; T5 1.1 and T0 as Sanh et al. 2022 use them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from t0native import _core
from t0native.base.arguments import FLAG, NUMBER, TEXT, WHOLE, check, one_of
from t0native.base.errors import ConfigError, FormatError
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import shown
from t0native.checkpoints.head import decide_head, keep_head

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable
    from typing import Any, Literal, Self

    from t0native.base.annotations import PathName

__all__ = ["Config", "read_keys", "stays_float32"]

# The sizes of T5 1.1: d_model, d_ff, heads, layers of each stack.
_T5_V1_1 = {
    "small": (512, 1024, 6, 8),
    "base": (768, 2048, 12, 12),
    "large": (1024, 2816, 16, 24),
    "xl": (2048, 5120, 32, 24),
    "xxl": (4096, 10240, 64, 24),
}
T5_V1_1_SIZE = one_of(*_T5_V1_1)
_IDS = ("pad_token_id", "eos_token_id", "decoder_start_token_id")
_SIZES = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads")
_BUCKETS = ("relative_attention_num_buckets", "relative_attention_max_distance")
_KINDS = {  # what a value is; its range is the core's to judge
    **dict.fromkeys((*_SIZES, *_BUCKETS, *_IDS), WHOLE),
    **dict.fromkeys(("dropout_rate", "layer_norm_epsilon"), NUMBER),
    "feed_forward_proj": TEXT,
    **dict.fromkeys(("tie_word_embeddings", "relative_attention_every_layer", "encoder_only"), FLAG),
    "scale_decoder_outputs": FLAG.or_none(),
}
_REQUIRED = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")  # no sane default stands in for a shape
_DERIVED = {"dense_act_fn": TEXT.or_none(), "is_gated_act": FLAG.or_none()}  # of feed_forward_proj, which a file's own replace
_OWN_KINDS = ("relative_attention_every_layer", "encoder_only")  # fields that model_type and architectures tell
_LARGEST_FILE = 1 << 20

# Keys that change what is computed, in the hub's T5 or in its relatives, and the only values that this model computes. Of
# all other keys the hub's T5 reads none when it computes logits, so they are kept and written back.
_ONLY = {
    "model_type": ("t5", "mt5", "umt5"),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
    "tie_encoder_decoder": (False,),
    "chunk_size_feed_forward": (0,),
    "cross_attention_hidden_size": (None,),
    "quantization_config": (None,),
    "pruned_heads": (None, {}),
    "encoder_attention_type": (None,),
    "rope_scaling": (None,),
    "num_experts": (None,),
    "torchscript": (False,),
    "auto_map": (None, {}),  # code of the checkpoint's own
    "encoder": (None,),  # T5Gemma: a configuration for each stack
    "decoder": (None,),
    "local_radius": (None,),  # LongT5
    "global_block_size": (None,),
    "num_sparse_encoder_layers": (None, 0),  # Switch
    "num_sparse_decoder_layers": (None, 0),
}
_RELATIVES = {  # model_type: what it is, and does that no T5 does
    "longt5": "LongT5, whose encoder attends to neighbours alone",
    "switch_transformers": "Switch Transformers, whose feed-forwards are experts",
    "t5gemma": "T5Gemma, which is made of Gemma's layers",
    "t5gemma2": "T5Gemma 2, which is made of Gemma's layers",
}
# Other names that the hub has for a size; where a file has both, they must agree.
_ALIASES = {"hidden_size": "d_model", "num_attention_heads": "num_heads", "num_hidden_layers": "num_layers", "head_dim": "d_kv"}


@dataclass(frozen=True)
class Config:
    """A T5's shape (Raffel et al. 2020; T5 1.1 as Sanh et al. 2022 use it). Frozen; `dataclasses.replace` makes a changed one.

    Fields are the hub's keys. ConfigError lists every value of another kind, or else every one that is out of range, with the range.

    >>> Config.t5_v1_1("small").d_model
    512
    """

    vocab_size: int
    d_model: int
    d_ff: int
    num_layers: int
    num_heads: int
    d_kv: int = 64
    num_decoder_layers: int | None = None  # None: as many as the encoder's
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    relative_attention_every_layer: bool = False  # a bias table in each layer (umT5, Pile-T5), not one a stack
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    feed_forward_proj: str = "gated-gelu"  # or "relu" (T5 1.0), "gated-silu" (UL2); also "gelu", "gelu_new", "silu", "gated-relu"
    tie_word_embeddings: bool = False  # the head is the embedding
    pad_token_id: int = 0
    eos_token_id: int = 1
    decoder_start_token_id: int | None = None  # None: pad_token_id
    scale_decoder_outputs: bool | None = None  # by d_model^-0.5, before the head; None, in which what it means is kept: where it is tied
    encoder_only: bool = False  # neither decoder nor head, whatever the keys say of them
    extra: Mapping[str, object] = field(default_factory=dict)  # keys of config.json that change no number

    def __post_init__(self) -> None:
        if self.num_decoder_layers is None:
            object.__setattr__(self, "num_decoder_layers", self.num_layers)
        if self.decoder_start_token_id is None:
            object.__setattr__(self, "decoder_start_token_id", self.pad_token_id)
        if isinstance(self.scale_decoder_outputs, bool) and self.scale_decoder_outputs is self.tie_word_embeddings:
            object.__setattr__(self, "scale_decoder_outputs", None)
        problems = [problem for name, kind in _KINDS.items() if (problem := kind.problem(name, getattr(self, name)))]
        if problems:
            raise ConfigError("configuration: " + "; ".join(problems))
        try:
            _core.check_config(self.core())
        except ValueError as error:
            raise ConfigError(str(error)) from None

    @classmethod
    def t5_v1_1(cls, size: Literal["small", "base", "large", "xl", "xxl"], **changes: Any) -> Self:
        """T5 1.1 as T0 uses it: "small", "base", "large", "xl" (T0 3B) or "xxl" (T0 11B); keywords change single keys.

        >>> Config.t5_v1_1("xxl", dropout_rate=0.0).parameters
        11135332352
        """
        d_model, d_ff, heads, layers = _T5_V1_1[check(T5_V1_1_SIZE, "size", size)]
        shape = dict(vocab_size=32128, d_model=d_model, d_ff=d_ff, num_heads=heads, num_layers=layers)
        return cls(**{**shape, **changes})

    @classmethod
    def from_file(cls, path: PathName, changes: Mapping[str, Any] = MappingProxyType({})) -> Self:
        """Reads a config.json; `changes` replace keys of it. FormatError naming the file and the key, OSError where it
        cannot be opened.

        >>> Config.from_file("nowhere/config.json")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'nowhere/config.json'
        """
        try:
            return cls.from_dict(read_keys(path, changes), changes)
        except ConfigError as error:
            raise FormatError(f"{path}: {error}") from None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], given: Iterable[str] = ()) -> Self:
        """From the content of a hub config.json. Absent keys take the hub's defaults, but never a shape; what stands at the end is
        decided as docs/reference/checkpoints.md says, and of `given`, names of keys, it is taken as they say. ConfigError for what is
        missing, out of range, or would change the numbers and is not supported.

        >>> Config.from_dict({"vocab_size": 100, "d_model": 8})
        Traceback (most recent call last):
        t0native.ConfigError: configuration: missing d_kv, d_ff, num_layers, num_heads
        """
        if not isinstance(data, Mapping):
            raise ConfigError(f"configuration: an object with keys is needed, not {type(data).__name__}")
        _refuse_relatives(data)
        missing = [name for name in _REQUIRED if name not in data]
        if missing:
            raise ConfigError(f"configuration: missing {', '.join(missing)}")
        _refuse_what_matters(data)
        own = {f.name for f in fields(cls)} - {"extra", *_OWN_KINDS}
        values = {"feed_forward_proj": _projection_where_none(data), "tie_word_embeddings": True}  # the hub's defaults
        values |= _kinds(data)
        values |= {key: value for key, value in data.items() if key in own and not (value is None and key in _IDS)}
        ends = values.get("eos_token_id")
        if isinstance(ends, list) and ends:  # the first is the tokenizer's; generation ends at any
            values["eos_token_id"] = ends[0]
        if isinstance(values["tie_word_embeddings"], bool) and values.get("scale_decoder_outputs") in (None, True, False):
            values |= decide_head(data, given).keys  # other values are refused with the other fields
        values["feed_forward_proj"] = _decide_projection(data, values["feed_forward_proj"], given)
        told = _kind_keys(None, values)
        extra = {key: value for key, value in data.items() if key not in own and key not in _DERIVED and value != told.get(key, told)}
        if isinstance(ends, list) and len(ends) > 1:
            extra["eos_token_id"] = ends
        return cls(**values, extra=extra)

    def to_dict(self) -> dict[str, Any]:
        """The content of a hub config.json, ready for json.dump.

        >>> config = Config.t5_v1_1("small")
        >>> config.to_dict()["model_type"], Config.from_dict(config.to_dict()) == config
        ('t5', True)
        """
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("extra", *_OWN_KINDS)}
        kinds = {name: getattr(self, name) for name in _OWN_KINDS}
        head = _kind_keys(self.extra.get("model_type"), kinds)
        head = {**self.extra, **head} if any(kinds.values()) else {**head, **self.extra}
        if isinstance(self.extra.get("eos_token_id"), list):  # of several, where a file says so
            own["eos_token_id"] = [own["eos_token_id"], *self.extra["eos_token_id"][1:]]
        if self.scale_decoder_outputs is None:
            del own["scale_decoder_outputs"]
            return {**head, **own}
        return keep_head({**head, **own})

    @property
    def scaled(self) -> bool:
        """Whether the decoder's outputs are multiplied by d_model^-0.5 before the head.

        >>> Config.t5_v1_1("small").scaled, Config.t5_v1_1("small", tie_word_embeddings=True).scaled
        (False, True)
        """
        return self.tie_word_embeddings if self.scale_decoder_outputs is None else self.scale_decoder_outputs

    @property
    def gated(self) -> bool:
        """Whether the feed-forward has a gate: two products of its input instead of one.

        >>> Config.t5_v1_1("small").gated, Config.t5_v1_1("small", feed_forward_proj="relu").gated
        (True, False)
        """
        return self.feed_forward_proj.startswith("gated-")

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(map(math.prod, self.tensors().values()))

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """{the hub's name of each tensor: its shape}, in the order in which the core has them and files are written.

        >>> Config.t5_v1_1("small").tensors()["encoder.block.0.layer.0.SelfAttention.q.weight"]
        (384, 512)
        """
        table = {"shared.weight": (self.vocab_size, self.d_model)}
        table |= self._stack("encoder", self.num_layers, ("SelfAttention",))
        if self.encoder_only:
            return table
        table |= self._stack("decoder", self.num_decoder_layers, ("SelfAttention", "EncDecAttention"))
        if not self.tie_word_embeddings:
            table["lm_head.weight"] = (self.vocab_size, self.d_model)
        return table

    def _stack(self, stack, layers, attentions):
        width, inner, norm = self.d_model, self.num_heads * self.d_kv, {"layer_norm.weight": (self.d_model,)}
        entering = ("wi_0", "wi_1") if self.gated else ("wi",)
        feed_forward = {f"DenseReluDense.{wi}.weight": (self.d_ff, width) for wi in entering}
        feed_forward["DenseReluDense.wo.weight"] = (width, self.d_ff)
        parts = [{f"{name}.{x}.weight": (inner, width) for x in "qkv"} | {f"{name}.o.weight": (width, inner)} for name in attentions]
        bias = {"SelfAttention.relative_attention_bias.weight": (self.relative_attention_num_buckets, self.num_heads)}
        table = {}
        for block in range(layers):
            for i, part in enumerate([*parts, feed_forward]):
                biased = i == 0 and (block == 0 or self.relative_attention_every_layer)
                part = part | (bias if biased else {}) | norm
                table |= {f"{stack}.block.{block}.layer.{i}.{name}": shape for name, shape in part.items()}
        return table | {f"{stack}.final_layer_norm.weight": (width,)}

    def core(self) -> dict[str, Any]:
        """The dict that the C core's Model takes."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "extra"}
        return own | {"scale_decoder_outputs": self.scaled}


def read_keys(path: PathName, changes: Mapping[str, Any] = MappingProxyType({})) -> dict[str, Any]:
    """The content of a config.json with `changes` in the place of its keys, none of them judged. Errors as Config.from_file's."""
    path = Path(path)
    with open(path, "rb") as file:
        text = file.read(_LARGEST_FILE + 1)
    if len(text) > _LARGEST_FILE:
        raise FormatError(f"{path}: more than {_LARGEST_FILE} bytes; a config.json has a few thousand")
    data = parse_json(path, text)
    return {**data, **changes} if isinstance(data, dict) else data


def stays_float32(name: str) -> bool:
    """Whether a tensor is a norm or a table of position biases, which are float32 in a model of any number type.

    >>> stays_float32("encoder.final_layer_norm.weight"), stays_float32("shared.weight")
    (True, False)
    """
    return name.endswith(("layer_norm.weight", "relative_attention_bias.weight"))


def _refuse_what_matters(data):
    _refuse_architectures(data)
    for key, allowed in _ONLY.items():
        if key in data and data[key] not in allowed:
            wanted = " or ".join(json_text(value) for value in allowed)
            raise ConfigError(f"configuration: {key} {shown(data[key])} is not supported; it must be {wanted}")
    for alias, key in _ALIASES.items():
        if alias in data and data[alias] != data[key]:
            raise ConfigError(f"configuration: {alias} {shown(data[alias])} contradicts {key} {shown(data[key])}, which means the same")


def _refuse_architectures(data):
    names = _architectures(data)
    for name in names:
        if not name.endswith(("ForConditionalGeneration", "WithLMHeadModel", "EncoderModel")):
            raise ConfigError(
                f"configuration: architectures {shown(name)} is not supported; T5ForConditionalGeneration is, and T5EncoderModel"
            )
    if data.get("is_encoder_decoder", True) is not True and not any(map(_is_encoder, names)):
        told = shown(data["is_encoder_decoder"])
        raise ConfigError(
            f"configuration: is_encoder_decoder {told} is not supported; it must be true, but for an encoder alone (architectures "
            "T5EncoderModel)"
        )


def _refuse_relatives(data):
    """ConfigError for the families of which nothing is read, before a key is missed that they do not have."""
    kind = data.get("model_type")
    if isinstance(kind, str) and kind in _RELATIVES:
        raise ConfigError(f"configuration: model_type {shown(kind)} is not supported: {_RELATIVES[kind]}; T5, mT5 and umT5 are read")


def _architectures(data):
    names = data.get("architectures") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"configuration: architectures {shown(names)}: must be a list of names")
    return names


def _is_encoder(name):
    return name.endswith("EncoderModel")


def _kinds(data):
    """The fields of _OWN_KINDS that a file's model_type and architectures tell."""
    names = _architectures(data)
    kind = data.get("model_type") or ("umt5" if any(name.startswith("UMT5") for name in names) else "t5")
    return {"relative_attention_every_layer": kind == "umt5", "encoder_only": any(map(_is_encoder, names))}


def _kind_keys(kind, values):
    """The keys by which the hub knows a model of these _OWN_KINDS, and, of a T5 in form, of this model_type."""
    every, alone = (values[name] for name in _OWN_KINDS)
    kind = "umt5" if every else "mt5" if kind == "mt5" and alone else "t5"
    name = {"t5": "T5", "mt5": "MT5", "umt5": "UMT5"}[kind] + ("EncoderModel" if alone else "ForConditionalGeneration")
    return {"architectures": [name], "model_type": kind, "is_encoder_decoder": not alone}


def _projection_where_none(data):
    """The feed_forward_proj of a file that has no such key, as the hub's class of its model_type has it."""
    return "gated-gelu" if data.get("model_type") in ("mt5", "umt5") else "relu"


def _decide_projection(data, proj, given):
    """feed_forward_proj, with the two keys that the hub derives of it in the place of what it says, where a file has them: what the hub's
    program computes. The core judges the name.  given: names of keys that a user gave, beside whose proj a file's two say nothing."""
    if not isinstance(proj, str):
        return proj  # which is refused with the other fields
    if problems := [problem for key, kind in _DERIVED.items() if (problem := kind.problem(key, data.get(key)))]:
        raise ConfigError("configuration: " + "; ".join(problems))
    gated = proj.startswith("gated-")
    meant = ("gelu_new" if proj == "gated-gelu" else proj.split("-")[-1]), gated
    keys = (None if "feed_forward_proj" in given and key not in given else data.get(key) for key in _DERIVED)
    activation, gated = (given if given is not None else derived for given, derived in zip(keys, meant))
    if (activation, gated) == meant:
        return proj
    exact = {"gelu": "gelu_python"} if gated else {}  # "gated-gelu" means gelu_new
    return ("gated-" if gated else "") + exact.get(activation, activation)
