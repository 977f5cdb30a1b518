"""Encoder states of many inputs, and one vector an input.

    states   [S, D] of an input of S tokens, the end token among them where it is appended
    mean     (1/S) sum_s states[s], in float32, s in order: to the bit what states.mean(axis=0) gives, in any company

Nothing is padded, so every token counts. Inputs go in calls of about a second's work, so that of pooled ones no more than a call's states
are in memory; equal ones are encoded once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from t0native.base.arguments import one_of
from t0native.models.scoring import usual_batch_tokens
from t0native.text.tokenizer import Ragged

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from t0native.models.model import Model
    from t0native.text.sequences import Sequences

__all__ = ["POOLING", "encode_means", "encode_states"]

POOLING = one_of("mean").or_none()


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
        states = model.core.encode(batch.ids, batch.offsets, model.threads)
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
