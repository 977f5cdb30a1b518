"""Tensors under the hub's names: what programs add to names, and what they leave out, set right.

    module.shared.weight, _orig_mod.shared.weight    one prefix before all names (DataParallel, torch.compile), taken away
    decoder.embed_tokens.weight alone                the embedding: libraries that keep one of several names of a tensor keep any
    ....layer_norm.bias                              of 2020, in no T5: left out, as the hub's T5 leaves it

Each is told in a note."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from t0native.base.errors import FormatError
from t0native.base.showing import named, shown

__all__ = ["COPIES", "HEAD", "SHARED", "Note", "is_ignored", "set_names_right"]

SHARED, HEAD = "shared.weight", "lm_head.weight"
COPIES = ("decoder.embed_tokens.weight", "encoder.embed_tokens.weight")  # under which the hub may store shared.weight, too or instead
_ANCHOR = "encoder.block.0.layer.0.layer_norm.weight"  # which every T5 has, once
_OF_ADAPTERS = re.compile(r"\.(lora_\w+|ia3_\w+|base_layer|modules_to_save|prompt_embeddings)\b")
_IGNORED = re.compile(
    r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"  # of 2020, never used by any T5
    r"|(encoder|decoder)\.(block\.\d+\.layer\.\d+\.layer_norm|final_layer_norm)\.bias"
)


class Note(NamedTuple):
    """What was decided about a checkpoint.  loud: whether whoever loads it is to be told, not only who asks."""

    text: str
    loud: bool


def is_ignored(name):
    """Whether a tensor may be there and is not read.

    >>> is_ignored("encoder.final_layer_norm.bias"), is_ignored("encoder.final_layer_norm.weight")
    (True, False)
    """
    return _IGNORED.fullmatch(name) is not None


def set_names_right(place, entries):
    """({the hub's name: Entry}, Notes of what was done) of entries under the names of their files.

    FormatError for the tensors of an adapter, which only its own library can add to the model's."""
    adapted = next((name for name in entries if _OF_ADAPTERS.search(name)), None)
    if adapted is not None:
        remedy = "merge it into the model with peft, `model.merge_and_unload().save_pretrained(DIR)`, and load that"
        raise FormatError(f"{place}: tensor {named(adapted)}: the weights of a model with an adapter of peft beside its own; {remedy}")
    notes = []
    prefix = _common_prefix(entries)
    if prefix:
        entries = {name.removeprefix(prefix): replace(entry, name=name.removeprefix(prefix)) for name, entry in entries.items()}
        notes.append(Note(f"every tensor's name begins with {shown(prefix)}, which is taken away", loud=True))
    alias = next((name for name in COPIES if name in entries), None)
    if SHARED not in entries and alias is not None:
        entries = {SHARED if name == alias else name: entry for name, entry in entries.items()}
        notes.append(Note(f"{alias} is taken for {SHARED}, which is not there", loud=False))
    if left_out := sorted(name for name in entries if name.endswith(".bias") and is_ignored(name)):
        more = f" and {len(left_out) - 1} more" if len(left_out) > 1 else ""
        notes.append(Note(f"{named(left_out[0])}{more}: left out, for T5's norms have no bias; the hub's T5 leaves it out too", loud=True))
    return entries, notes


def _common_prefix(names):
    """What stands before all names of a T5, where it is one and the same."""
    prefixes = {name[: -len(_ANCHOR)] for name in names if name.endswith(_ANCHOR)}
    if len(prefixes) != 1:
        return ""
    (prefix,) = prefixes
    return prefix if all(name.startswith(prefix) for name in names) else ""
