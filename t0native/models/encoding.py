"""Encoder states of many inputs, and one vector an input.

    states   [S, D] of an input of S tokens, the end token among them where it is appended
    mean     (1/S) sum_s states[s], in float32, s in order: to the bit what states.mean(axis=0) gives, in any company
    pads     behind the input up to a length that all have: tokens like others (attend), or zeros in the place of states (zeros)

Else nothing is padded, so every token counts. Inputs go in calls of about a second's work, so that of pooled ones no more than a
call's states are in memory; equal ones are encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.arguments import check, one_of
from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.models.scoring import usual_batch_tokens
from t0native.text.sequences import KEEP_END
from t0native.text.tokenizer import Ragged

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from t0native.models.model import Model
    from t0native.text.sequences import Sequences

__all__ = ["PAD", "POOLING", "encode"]

POOLING, PAD = one_of("mean", "sentence").or_none(), one_of("attend", "zeros").or_none()


def encode(model: Model, inputs: list[Any], pooling: str | None, pad: str | None, reading: tuple[Any, ...]) -> Any:
    """What Model.encode gives of a list. reading: (add_eos_to_inputs, max_input_length, truncate, sentinels, adapter)."""
    check(POOLING, "pooling", pooling), check(PAD, "pad", pad)
    if pooling is not None and pad is not None:
        raise ConfigError(f"pooling {shown(pooling)} beside pad {shown(pad)}: a vector an input has no pads; give one of the two")
    add_eos, length, *others = reading
    if pooling == "sentence":
        if model.sentence is None:
            raise ConfigError("pooling 'sentence': this model's folder has no modules.json of sentence-transformers; pooling='mean' does")
        length = model.sentence.shortened(length)
    if (pooling == "sentence" or pad is not None) and others[0] is True:  # as the programs cut that these stand for
        others[0] = KEEP_END
    sources = model._sources(inputs, add_eos, length, *others)
    if pad is not None:
        return encode_padded(model, sources, length, pad)
    if pooling is None:
        return encode_states(model, sources)
    means = encode_means(model, sources)
    return means if pooling == "mean" else model.sentence.apply(means)


def encode_padded(model: Model, sources: Sequences, length: int, pad: str) -> NDArray[np.float32]:
    """float32 [B, length, D]."""
    if pad == "attend":
        pads = np.full(length, model.config.pad_token_id, np.int32)
        sources.entries = [np.concatenate([entry, pads[len(entry) :]]) for entry in sources.entries]
    states = np.zeros((len(sources.entries), length, model.config.d_model), np.float32)
    for n, found in _encode(model, sources):
        states[n, : len(found)] = found
    return states[sources.number]


def encode_states(model: Model, sources: Sequences) -> list[NDArray[np.float32]]:
    """float32 [S, D] of each input, each an array of its own."""
    states = dict(_encode(model, sources))
    places = {n: i for i, n in reversed([*enumerate(sources.number.tolist())])}  # of an entry's first input
    return [states[n] if places[n] == i else states[n].copy() for i, n in enumerate(sources.number.tolist())]


def encode_means(model: Model, sources: Sequences) -> NDArray[np.float32]:
    """float32 [B, D]: of each input the mean over its tokens."""
    means = np.empty((len(sources.entries), model.config.d_model), np.float32)
    for n, states in _encode(model, sources):
        means[n] = states.mean(axis=0)
    return means[sources.number]


def _encode(model: Model, sources: Sequences) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """(number of an entry, its states [S, D]) of each entry."""
    for group in _groups([len(entry) for entry in sources.entries], usual_batch_tokens(model.config)):
        batch = Ragged.of(sources.entries[n] for n in group)
        states = model.core.encode(batch.ids, batch.offsets, model.threads, sources.keys_of(group))
        yield from zip(group, np.split(states, batch.offsets[1:-1]))


def _groups(lengths: list[int], most: int) -> Iterator[range]:
    """Ranges of entries of at most so many tokens, or of one entry."""
    first, tokens = 0, 0
    for n, length in enumerate(lengths):
        if n > first and tokens + length > most:
            yield range(first, n)
            first, tokens = n, 0
        tokens += length
    if lengths:
        yield range(first, len(lengths))
