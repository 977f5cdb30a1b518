"""What stands at the end of a T5: two facts, of which a config.json tells by many keys and no key for sure.

    tied     the head is the embedding (no lm_head.weight)         scaled    its input is multiplied by d_model^-0.5

    T5 1.0       tied, scaled              tie_word_embeddings true or absent
    T5 1.1, T0, mT5 as first published     a head of its own, unscaled      tie_word_embeddings false

Programs since:

- transformers up to 4 scales whatever is tied, mT5 too, and knows no key scale_decoder_outputs (it keeps it where it came along).
- transformers 5 writes tie_word_embeddings true always and scale_decoder_outputs for T5 (not for mT5, which it never scales); a head of
  other values than the embedding is a head of its own, whatever the key says; all that it makes anew is tied.
- t0native 0.1.0 scaled what was tied, wrote tie_word_embeddings as it was and none of the keys that transformers derives.

So the tensors say what is tied, where the key is known not to; and the program that wrote the file says what its keys mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from t0native.base.showing import named, shown

__all__ = ["HEAD_KEYS", "Head", "decide_head", "is_unclear", "keep_head", "describe_head", "needs_copy", "portable_head"]

TIE, SCALE = HEAD_KEYS = ("tie_word_embeddings", "scale_decoder_outputs")
_VERSION = "transformers_version"


@dataclass(frozen=True)
class Head:
    """tied, scaled: the two facts.  why: what decided.  against: a sentence where a key says another thing, or None."""

    tied: bool
    scaled: bool
    why: str
    against: str | None = None

    @property
    def keys(self):
        return {TIE: self.tied, SCALE: self.scaled}


def is_unclear(data, given=()):
    """Whether only the values of lm_head.weight, where there is one, tell if the head is tied."""
    if TIE in given:
        return False
    tie, scale, major = data.get(TIE), data.get(SCALE), _major(data)
    if tie is False:
        return scale is False  # as `portable_head` writes a tied and unscaled one
    of_five = major is not None and major >= 5 and not _is_of_0_1_0(data)
    if _is_mt5(data):
        return of_five or tie is None
    return scale is not None and not (scale and major is not None and major < 5)


def decide_head(data, given=(), own=None):
    """The Head that a config.json means.

    data: its content, with the keys that a user gave in their place.  given: those keys; they count as they are.  own: where
    `is_unclear`, whether the files hold an lm_head.weight of other values than the embedding's (None: no file is known)."""
    tied, why_tied, against_tie = _decide_tied(data, given, own)
    scaled, why_scaled, against_scale = _decide_scaled(data, given, tied)
    why = "; ".join(dict.fromkeys(filter(None, (why_tied, why_scaled))))
    return Head(tied, scaled, why, "; ".join(filter(None, (against_tie, against_scale))) or None)


def _decide_tied(data, given, own):
    """(tied, why, what it is decided against)"""
    tie = data.get(TIE)
    if is_unclear(data, given) and own is not None:
        if tie is False:
            return not own, f"lm_head.weight holds {'other values than' if own else 'the values of'} the embedding", None
        if own:
            against = f"{TIE} {shown(tie)} counts for nothing beside it" if tie else None
            return False, "lm_head.weight holds other values than the embedding", against
        return True, "there is no lm_head.weight of other values than the embedding's", None
    if tie is None:
        return True, f"there is no key {TIE}, and the hub's T5 is tied", None
    return tie, f"{TIE} {_json(tie)}", None


def _decide_scaled(data, given, tied):
    """(scaled, why, what it is decided against)"""
    scale, major, by_four = data.get(SCALE), _major(data), tied and data.get(TIE) is not False
    wrote = f"transformers {named(data.get(_VERSION))} wrote this"
    if SCALE in given and scale is not None:
        return scale, f"{SCALE} {_json(scale)}", None
    if _is_mt5(data):
        if major is not None and major >= 5 and not _is_of_0_1_0(data):
            return False, f"{wrote}, which never scales mT5", None
        if major is not None and major >= 5:
            remedy = f'where it was only converted, config={{"{SCALE}": false}} gives the numbers of its source'
            return tied, f"t0native 0.1.0 wrote this, which scaled what is tied; {remedy}", "transformers 5 does not scale mT5"
        if scale is False and major is None:
            return False, f"{SCALE} false", None
        if data.get(TIE) is None and major is None and tied:
            return False, f"neither {TIE} nor {_VERSION} is there, and transformers 5 never scales mT5", None
        return by_four, "transformers up to 4 scales what is tied" if by_four else None, None
    if scale is None:
        return tied, None, None
    if major is not None and major < 5 and scale is not by_four:
        remedy = f'config={{"{SCALE}": {_json(scale)}}} takes the key as it is'
        return (
            by_four,
            f"{wrote}, which does not know {SCALE} and scales what is tied",
            f"{SCALE} {_json(scale)} was there before; {remedy}",
        )
    return scale, f"{SCALE} {_json(scale)}", None


def describe_head(tied, scaled):
    """The two facts in words.

    >>> describe_head(True, False)
    'the embedding, unscaled'
    """
    return ("the embedding" if tied else "a tensor of its own") + (", scaled by d_model^-0.5" if scaled else ", unscaled")


def keep_head(data):
    """A configuration whose two facts are its keys, in words from which `decide_head` takes the same: nothing else may contradict."""
    kept = {key: value for key, value in data.items() if key != _VERSION or (_major(data) or 5) >= 5}
    return _as_t5(kept) if data[SCALE] else kept


def portable_head(data, tied, scaled):
    """The content of a config.json by which transformers 4 and 5 and this program compute the same.

    A tied and unscaled head is written as one of its own, with a copy of the embedding; an mT5's that is scaled as a T5's. For a
    scaled head of its own transformers 4 has no words."""
    if needs_copy(tied, scaled):
        return data | {TIE: False, SCALE: False}
    return _as_t5(data) if scaled else data


def needs_copy(tied, scaled):
    """Whether a file of weights holds the embedding again as lm_head.weight."""
    return tied and not scaled


def _as_t5(data):
    """An mT5's configuration as a T5's, which is the same model but for the scale."""
    return data | {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]} if _is_mt5(data) else data


def _is_mt5(data):
    names = data.get("architectures") or [""]
    return data.get("model_type", "mt5" if names[0].startswith("MT5") else "t5") == "mt5"


def _is_of_0_1_0(data):
    """Whether t0native 0.1.0 wrote an mT5 with a tied head: transformers 5 never leaves the derived keys away."""
    return data.get(TIE) is True and data.get(SCALE) is None and not {"dense_act_fn", "is_gated_act"} & set(data)


def _major(data):
    """The first number of transformers_version, or None."""
    match = re.match(r"\d{1,4}(?=\.)", data.get(_VERSION) if isinstance(data.get(_VERSION), str) else "")
    return int(match[0]) if match else None


def _json(value):
    return {True: "true", False: "false", None: "null"}[value]
