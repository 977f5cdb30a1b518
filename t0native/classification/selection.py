"""Which wordings to keep, by texts with labels, and what the choice is worth on texts that it has not seen.

    order      wordings by the mean log-probability of the right label, best first, equal ones as they were given
    k          the number of first wordings whose combination gives the right label most, by THREE parts in turn: order by two, judge by one
    kept       the first k in the order by all rows: weight 1, the others 0
    honest     accuracy by FIVE parts in turn: all of that by four, judged by the fifth, whose rows took no part; `same` is the accuracy of
               the kept ones on the rows by which they were kept, which is too good: selection is training (Cawley & Talbot 2010)

Where the scores lose a prior that is learned of rows (batch calibration), it is learned anew of the same rows as the order, never of
those that judge. Parts are dealt out label by label in the order of the rows, so the same rows give the same parts. Log-probabilities
below log 1e-6 count as that: a vote of nobody is not the end of a wording."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.base.errors import DataError
from t0native.classification.combining import combine

__all__ = ["Selection", "choose_weights", "select_wordings"]

Floats = NDArray[np.float64]
THREE, FIVE, LEAST = 3, 5, np.log(1e-6)
Shares = Callable[[Floats, Floats], Floats]


class Selection(NamedTuple):
    """weights: float64 [W], 1 or 0.  honest, same: accuracies, fractions of 1.  rows: how many."""

    weights: Floats
    honest: float
    same: float
    rows: int


def _as_they_are(learned, scores):
    return scores


def select_wordings(scores: Floats, right: NDArray[np.int64], how: str, shares: Shares = _as_they_are) -> Selection:
    """scores: [B, W, C]; shares(scores of the rows that are learned of, other scores) makes log-probabilities of the others, unless they
    are that.  right: the number of each text's label [B].  how: of combining. DataError for fewer than ten texts.

    >>> good, bad = np.log([0.9, 0.1]), np.log([0.4, 0.6])
    >>> select_wordings(np.array([[bad, good]] * 10), np.zeros(10, np.int64), "mean").weights.tolist()
    [0.0, 1.0]
    """
    if len(right) < 2 * FIVE:
        raise DataError(f"tune='wordings': {len(right)} texts with labels; an honest split needs {2 * FIVE}, and more are better")
    parts, hits = _deal(right, FIVE), 0
    for part in range(FIVE):
        out = parts == part
        weights = choose_weights(scores[~out], right[~out], how, shares)
        hits += _hits(shares(scores[~out], scores[out]), right[out], how, weights)
    weights = choose_weights(scores, right, how, shares)
    same = _hits(shares(scores, scores), right, how, weights) / len(right)
    return Selection(weights, hits / len(right), same, len(right))


def _hits(logs, right, how, weights):
    return int((combine(logs, how, weights).argmax(axis=1) == right).sum())


def choose_weights(scores: Floats, right: NDArray[np.int64], how: str, shares: Shares = _as_they_are) -> Floats:
    """The weights [W] of the wordings that are kept by these rows; arguments as select_wordings'."""
    n_wordings, parts = scores.shape[1], _deal(right, THREE)
    values = np.zeros(n_wordings)
    for part in range(THREE if n_wordings > 1 else 0):
        out = parts == part
        learned, others = shares(scores[~out], scores[~out]), shares(scores[~out], scores[out])
        order = _order(learned, right[~out])
        for k in range(n_wordings):
            values[k] += _worth(combine(others, how, _first(order, k + 1)), right[out])
    return _first(_order(shares(scores, scores), right), int(np.argmax(values)) + 1)


def _worth(logs, right):
    return float(np.maximum(logs[np.arange(len(right)), right], LEAST).sum())


def _order(logs, right):
    of_right = np.maximum(logs[np.arange(len(right)), :, right], LEAST).sum(axis=0)
    return np.argsort(-of_right, kind="stable")


def _first(order, k):
    weights = np.zeros(len(order))
    weights[order[:k]] = 1.0
    return weights


def _deal(right, n):
    """The part of each row."""
    part = np.empty(len(right), np.int64)
    part[np.argsort(right, kind="stable")] = np.arange(len(right)) % n
    return part
