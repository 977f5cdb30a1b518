"""Adapters to be trained: what is to be made, in the field's words, and the Adapter with its first numbers.

    LoRA           A uniform in +-1/sqrt(in), B zero: at first the model itself
    IA3            ones: at first the model itself
    PromptTuning   rows of the vocabulary's embedding, drawn at random

Numbers are counter-based: of (seed, tensor, place), the same on any machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from t0native import _core
from t0native.adapters.adapter import Adapter, Part
from t0native.adapters.matching import ALL_LINEAR, check_pattern, ends_with, matched, of_pattern
from t0native.adapters.sites import sites_of
from t0native.base.arguments import FLAG, MAPPING, Kind, check, number, whole
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import listed, shown

if TYPE_CHECKING:  # of annotations alone
    from t0native.checkpoints.config import Config

__all__ = ["IA3", "LoRA", "PromptTuning", "method_of", "plan_of_method"]

_RANK = whole(1, 1 << 14)
_ALPHA = number(lambda value: value > 0, "a number above 0")
_RATE = number(lambda value: 0 <= value < 1, "a number from 0 to below 1")
_TARGETS = Kind(
    lambda value: (
        (isinstance(value, str) and value != "")
        or (isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(name, str) and name for name in value))
    ),
    "a list of layers' names, 'all-linear' or a regular expression",
)
_LAYERS = Kind(lambda value: isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value), "a list of names")


@dataclass(frozen=True, kw_only=True)
class LoRA:
    """LoRA (Hu et al. 2021) to be trained: W x + s B (A x), s = alpha / r.

    r: rank.  alpha: None for r, so that s is 1.  dropout: of what goes into A.  targets: names of layers (their ends: "q", "wo",
    "EncDecAttention.v"), "all-linear" for all but the head, or a regular expression.  rslora: s = alpha / sqrt(r).  rank_pattern,
    alpha_pattern: {regular expression of a layer's name or its end: rank, alpha}, as PEFT's.

    >>> LoRA(r=4).scale, LoRA(r=4, alpha=8, rslora=True).scale
    (1.0, 4.0)
    """

    r: int = 8
    alpha: float | None = None
    dropout: float = 0.0
    targets: Sequence[str] | str = ("q", "v")
    rslora: bool = False
    rank_pattern: dict[str, int] | None = None
    alpha_pattern: dict[str, float] | None = None

    def __post_init__(self) -> None:
        check(_RANK, "r", self.r), check(_ALPHA.or_none(), "alpha", self.alpha), check(_RATE, "dropout", self.dropout)
        check(_TARGETS, "targets", self.targets), check(FLAG, "rslora", self.rslora)
        for name, kind in (("rank_pattern", _RANK), ("alpha_pattern", _ALPHA)):
            for pattern, value in check(MAPPING, name, getattr(self, name) or {}).items():
                check_pattern(name, pattern), check(kind, f"{name}.{pattern}", value)

    @property
    def scale(self) -> float:
        """s, where no pattern says else.

        >>> t0.LoRA(r=8, alpha=16).scale
        2.0
        """
        alpha = self.r if self.alpha is None else self.alpha
        return float(alpha / (math.sqrt(self.r) if self.rslora else self.r))

    def make(self, config: Config, seed: int, core: _core.Model | None = None) -> Adapter:
        """The Adapter before its first step.

        >>> adapter = t0.LoRA(r=2).make(t0.Model.mini().config, seed=0)
        >>> type(adapter).__name__
        'Adapter'
        """
        parts = []
        ranks, alphas = dict(self.rank_pattern or {}), dict(self.alpha_pattern or {})
        for i, site in enumerate(_targeted(self.targets, config)):
            rank = of_pattern(ranks, site.module, self.r)
            alpha = of_pattern(alphas, site.module, self.r if self.alpha is None else self.alpha)
            scale = float(alpha / (math.sqrt(rank) if self.rslora else rank))
            a = (2 * _uniform(seed, i, rank * site.columns) - 1) / math.sqrt(site.columns)
            parts.append(Part(site, "lora_A", a.reshape(rank, site.columns).astype(np.float32), scale))
            parts.append(Part(site, "lora_B", np.zeros((site.rows, rank), np.float32), scale))
        keys = {
            "r": self.r,
            "lora_alpha": self.r if self.alpha is None else self.alpha,
            "lora_dropout": self.dropout,
            "use_rslora": self.rslora,
            "rank_pattern": ranks,
            "alpha_pattern": alphas,
            "bias": "none",
            "target_modules": _names(self.targets),
        }
        return Adapter.of(config, "LORA", _keys("LORA", keys), parts, "")


@dataclass(frozen=True, kw_only=True)
class IA3:
    """(IA)3 (Liu et al. 2022) to be trained: l (W x), or of the layers in `feedforward` W (l x).

    The default is T-Few's, on k, v and what comes out of wi_1 (of a model that is not gated, what goes into wo), which is the function
    of PEFT's.  targets, feedforward: names of layers.

    >>> IA3().targets
    """

    targets: Sequence[str] | str | None = None
    feedforward: Sequence[str] = ()

    def __post_init__(self) -> None:
        check(_TARGETS.or_none(), "targets", self.targets), check(_LAYERS, "feedforward", self.feedforward)

    def make(self, config: Config, seed: int, core: _core.Model | None = None) -> Adapter:
        """The Adapter before its first step.

        >>> adapter = t0.IA3().make(t0.Model.mini().config, seed=0)
        >>> type(adapter).__name__
        'Adapter'
        """
        targets, feedforward = self.targets, list(self.feedforward)
        if targets is None:
            targets, feedforward = (("k", "v", "wi_1"), []) if config.gated else (("k", "v", "wo"), ["wo"])
        parts = []
        for site in _targeted(targets, config):
            of_input = any(site.module.endswith(name) for name in feedforward)
            parts.append(Part(site, "in" if of_input else "out", np.ones((1, site.columns if of_input else site.rows), np.float32)))
        return Adapter.of(config, "IA3", _keys("IA3", {"target_modules": _names(targets), "feedforward_modules": feedforward}), parts, "")


@dataclass(frozen=True, kw_only=True)
class PromptTuning:
    """Prompt tuning (Lester et al. 2021) to be trained: so many rows before the encoder's embeddings.

    tokens: rows, which begin as rows of the vocabulary's embedding, drawn at random.

    >>> PromptTuning(tokens=8).tokens
    8
    """

    tokens: int = 20

    def __post_init__(self) -> None:
        check(whole(1, 1 << 13), "tokens", self.tokens)

    def make(self, config: Config, seed: int, core: _core.Model | None = None) -> Adapter:
        """The Adapter before its first step.

        >>> adapter = t0.PromptTuning().make(t0.Model.mini().config, seed=0)
        >>> type(adapter).__name__
        'Adapter'
        """
        table = np.zeros((config.vocab_size, config.d_model), np.float32) if core is None else core.tensor("shared.weight")
        rows = table[(_uniform(seed, 0, self.tokens) * config.vocab_size).astype(np.int64)]
        keys = {"num_virtual_tokens": self.tokens, "num_transformer_submodules": 1, "token_dim": config.d_model}
        keys |= {"num_layers": config.num_layers, "num_attention_heads": config.num_heads, "prompt_tuning_init": "RANDOM"}
        return Adapter.of(config, "PROMPT_TUNING", _keys("PROMPT_TUNING", keys), [Part(None, "prompt", np.ascontiguousarray(rows))], "")


METHODS = {"lora": LoRA, "ia3": IA3, "prompts": PromptTuning}


def method_of(value: Any) -> LoRA | IA3 | PromptTuning:
    """What `adapter` of a recipe or of the command line says: a method's name, or a mapping {method: ..., keywords}; a method itself is
    given back. ConfigError for anything else.

    >>> method_of("lora").r, method_of({"method": "lora", "r": 2}).r
    (8, 2)
    """
    if isinstance(value, tuple(METHODS.values())):
        return value
    name = value.get("method") if isinstance(value, dict) else value
    if not isinstance(name, str) or name not in METHODS:
        raise ConfigError(
            f"adapter {shown(value)}: must be t0.LoRA(...), t0.IA3(...), t0.PromptTuning(...), or a name: {listed([*METHODS])}"
        )
    options = {key: entry for key, entry in value.items() if key != "method"} if isinstance(value, dict) else {}
    known = [entry.name for entry in fields(METHODS[name])]
    for key in options:
        if key not in known:
            raise ConfigError(f"unknown key adapter.{key}; {suggest(key, known)}")
    return METHODS[name](**options)


def plan_of_method(method: LoRA | IA3 | PromptTuning | None) -> dict[str, Any] | None:
    """The method as JSON values, by which a run that goes on knows that it is the same."""
    if method is None:
        return None
    name = next(name for name, kind in METHODS.items() if isinstance(method, kind))
    return {"method": name, **{key: list(value) if isinstance(value, tuple) else value for key, value in asdict(method).items()}}


def _names(targets):
    return targets if isinstance(targets, str) else [*targets]


def _targeted(targets, config):
    """The sites that the words mean, each of which means some."""
    sites = sites_of(config)
    ends = sorted({module.rsplit(".", 1)[-1] for module in sites})
    if isinstance(targets, str) and targets.lower() != ALL_LINEAR:
        check_pattern("targets", targets)
    for name in targets if not isinstance(targets, str) else ():
        if not any(ends_with(module, name) for module in sites):
            raise ConfigError(f"targets: {shown(name)} is no layer of this model; there are: {listed(ends, 20)}")
    found = matched(targets, sites)
    if not found:
        raise ConfigError(f"targets {shown(targets)}: means no layer of this model; there are: {listed(ends, 20)}")
    return [sites[module] for module in found]


def _keys(method, keys):
    about = {"peft_type": method, "task_type": "SEQ_2_SEQ_LM", "inference_mode": True, "base_model_name_or_path": None}
    return about | keys


def _uniform(seed, tensor, n):
    """n numbers in [0, 1), of 24 bits."""
    bits = _core.random_bits(seed, _core.RANDOM_INIT + (tensor << 8), 0, n)
    return (bits >> np.uint64(40)).astype(np.float64) * 2.0**-24
