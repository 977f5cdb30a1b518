"""Pairs of ids (input, target): the log-likelihood of the target, and whether it is what greedy search would say.

    score   sum_t log p(y[t] | y[<t], x)
    greedy  y[t] = argmax_v p(v | y[<t], x) for every t: each token of the target, given those before it (teacher forcing)

Most answers to the second follow from the first: a token of more than half of the probability is the greatest; one of less than 1 / V, or
less than another pair's token at the same place, is not. The logits of the others are computed once more, and looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from t0native.models.model import Model

    Ids = NDArray[np.int32]

__all__ = ["score_pairs_greedily"]

SLACK = 1e-3  # nats: what rounding may move a token's log-likelihood by, with room to spare
LOGITS_AT_ONCE = 8_000_000


def score_pairs_greedily(model: Model, pairs: Sequence[tuple[Ids, Ids]]) -> list[tuple[float, bool]]:
    """(log-likelihood in nats, whether greedy) of each pair of ids; none of them empty.

    >>> model = t0.Model.mini()
    >>> x, y = (np.array(model.tokenizer.encode(text), np.int32) for text in ("Anna keeps a cat. Who keeps the cat?", "Anna"))
    >>> [greedy for _, greedy in score_pairs_greedily(model, [(x, y), (x, y[::-1].copy())])][0]
    True
    """
    if not pairs:
        return []
    longest = [max(len(pair[side]) for pair in pairs) for side in (0, 1)]
    scores, tokens = model.score(
        [source for source, _ in pairs],
        [target for _, target in pairs],
        token_scores=True,
        max_input_length=longest[0],
        max_target_length=longest[1],
    )
    known = _known(pairs, tokens, model.config.vocab_size)
    open_ones = [i for i, greedy in enumerate(known) if greedy is None]
    known_by_logits = dict(zip(open_ones, _greedy_by_logits(model, [pairs[i] for i in open_ones])))
    return [(float(score), bool(known_by_logits.get(i, known[i]))) for i, score in enumerate(scores)]


def _known(pairs, tokens, vocabulary):
    """Of each pair True, False, or None where the log-likelihoods [T] of its tokens do not tell."""
    best = {}
    for (source, target), own in zip(pairs, tokens):
        for place, value in _places(source, target, own):
            best[place] = max(value, best.get(place, -np.inf))
    return [_known_one(_places(source, target, own), best, own, vocabulary) for (source, target), own in zip(pairs, tokens)]


def _places(source, target, of_tokens):
    """((input, target so far), log-likelihood of the next token), one a token."""
    return [((source.tobytes(), target[:t].tobytes()), float(value)) for t, value in enumerate(of_tokens)]


def _known_one(places, best, own, vocabulary):
    if (own > np.log(0.5) + SLACK).all():
        return True
    if (own < -np.log(vocabulary) - SLACK).any() or any(value < best[place] for place, value in places):
        return False
    return None


def _greedy_by_logits(model, pairs):
    """Whether each token is the first greatest of its logits, a list of bool."""
    start, found, group = np.array([model.config.decoder_start_token_id], np.int32), [], []
    most = max(1, LOGITS_AT_ONCE // model.config.vocab_size)
    for pair in pairs:
        if group and sum(len(target) for _, target in group) + len(pair[1]) > most:
            found += _judge(model, start, group)
            group = []
        group.append(pair)
    return found + (_judge(model, start, group) if group else [])


def _judge(model, start, group):
    sources, targets = [source for source, _ in group], [target for _, target in group]
    inputs = [np.concatenate([start, target[:-1]]) for target in targets]
    offsets = [np.cumsum([0, *map(len, ids)]) for ids in (sources, targets)]
    logits = model.core.logits(np.concatenate(sources), offsets[0], np.concatenate(inputs), offsets[1], model.threads)
    right = logits.argmax(axis=1) == np.concatenate(targets)
    return [bool(part.all()) for part in np.split(right, offsets[1][1:-1])]
