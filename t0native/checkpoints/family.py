"""Which family of T5 a configuration is of, in words: its form tells most, and its name where several families have one form."""

from __future__ import annotations

import re

__all__ = ["describe_family"]

_PILE_T5_VOCABULARY, _BYT5_VOCABULARY, _MT5_VOCABULARY, _MADLAD_VOCABULARY = 32128, 384, 250112, 256000
# (pattern of a name, the family): names of the hub's models, in which these stand between other words
_NAMES = [
    (r"flan[-_]?ul2", "flan-UL2"),
    (r"flan[-_]?t5", "flan-T5"),
    (r"lm[-_]adapt", "LM-adapted"),
    (r"t0(pp|p|_3b|_single_prompt|_original_task_only)?", "T0"),
    (r"mt0", "mT0"),
    (r"aya[-_]101", "Aya-101"),
    (r"codet5p?", "CodeT5"),
    (r"gtr", "GTR"),
    (r"sentence[-_]t5", "sentence-T5"),
]


def describe_family(config, name=""):
    """name: by which the checkpoint was asked for; the name in its own configuration counts too.

    >>> from t0native.checkpoints.config import Config
    >>> describe_family(Config.t5_v1_1("xl")), describe_family(Config.t5_v1_1("xl"), "google/flan-t5-xl")
    ('T5 1.1 (the form of LM-adapted, T0 and flan-T5 too)', 'T5 1.1 (flan-T5, by its name)')
    """
    family = _by_form(config)
    known = next((known for pattern, known in _NAMES for given in (name, config.extra.get("_name_or_path")) if _has(given, pattern)), None)
    if known is not None:
        family = f"{family.partition(' (')[0]} ({known}, by its name)"
    return f"the encoder alone of {family}" if config.encoder_only else family


def _has(name, pattern):
    return re.search(rf"(?<![a-z0-9]){pattern}(?![a-z0-9])", str(name or "").lower()) is not None


def _by_form(config):
    if config.relative_attention_every_layer:
        return "Pile-T5" if config.vocab_size == _PILE_T5_VOCABULARY else "umT5"
    if config.feed_forward_proj in ("gated-silu", "gated-swish"):
        return "UL2"
    if config.extra.get("model_type") == "mt5":
        return "mT5"
    if config.feed_forward_proj in ("gated-gelu", "gated-gelu_new"):
        by_vocabulary = {_BYT5_VOCABULARY: "ByT5", _MT5_VOCABULARY: "mT5", _MADLAD_VOCABULARY: "MADLAD-400"}
        return by_vocabulary.get(config.vocab_size, "T5 1.1 (the form of LM-adapted, T0 and flan-T5 too)")
    if config.feed_forward_proj == "relu":
        return "T5 1.0"
    return f"T5 with {config.feed_forward_proj} in its feed-forwards"
