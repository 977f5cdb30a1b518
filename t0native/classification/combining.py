"""From scores to decisions: the wordings of a text are combined, label by label. Of one text, with W wordings and C labels:

    l[w, c] = s[w, c] - log sum_k exp s[w, k]                             log-probability of a label in a wording, of the labels alone
    mean      log q[c] = sum_w a[w] l[w, c] / sum_w a[w] - log z          a: weights of the wordings; z: so that probabilities sum to 1
    median    log q[c] = median_w l[w, c] - log z                         of the wordings that have a weight
    vote          q[c] = sum_w a[w] [l[w, c] is the largest] / sum_w a[w] equal labels share a wording's vote

    probability = largest q;   margin = it less the second largest;   abstained = probability < threshold or margin < margin asked for

Labels stand in their sorted order, and all sums go over the labels or the wordings of one text: neither the order of the labels nor the
company of a text changes a bit. Of equal labels the first is chosen. (Mean of log-probabilities: Heskes 1998.)"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from t0native.base.arguments import one_of

__all__ = ["COMBINE", "combine", "decide", "log_normalize"]

Floats = NDArray[np.float64]
COMBINE = one_of("mean", "median", "vote")


def log_normalize(scores: Floats) -> Floats:
    """s less the log of the sum of its exponentials along the last axis.

    >>> np.exp(log_normalize(np.array([0.0, 0.0]))).tolist()
    [0.5, 0.5]
    """
    scores = np.ascontiguousarray(scores, np.float64)
    top = scores.max(axis=-1, keepdims=True)
    return scores - (top + np.log(np.exp(scores - top).sum(axis=-1, keepdims=True)))


def combine(logs: Floats, how: str, weights: Floats) -> Floats:
    """log q [..., C] of log-probabilities [..., W, C]. Wordings are added one after the other.

    >>> np.exp(combine(np.log([[0.5, 0.5], [0.8, 0.2]]), "mean", np.ones(2))).round(3).tolist()
    [0.667, 0.333]
    """
    if how == "median":
        return log_normalize(np.median(logs[..., weights > 0, :], axis=-2))
    total = np.zeros((*logs.shape[:-2], logs.shape[-1]))
    for w in np.flatnonzero(weights):
        of_one = logs[..., w, :]
        if how == "vote":
            best = of_one == of_one.max(axis=-1, keepdims=True)
            of_one = best / best.sum(axis=-1, keepdims=True)
        total = total + of_one * weights[w]
    if how == "mean":
        return log_normalize(total / weights.sum())
    with np.errstate(divide="ignore"):
        return np.log(total / weights.sum())


def decide(probabilities: Floats, threshold: float | None, margin: float | None) -> tuple[NDArray[np.int64], Floats, Floats, NDArray[Any]]:
    """(number of the label, its probability, its lead over the second, whether it is too doubtful to be given), arrays [B].

    >>> [array.tolist() for array in decide(np.array([[0.25, 0.75], [0.5, 0.5]]), 0.6, None)]
    [[1, 0], [0.75, 0.5], [0.5, 0.0], [False, True]]
    """
    rows = np.arange(len(probabilities))
    best = probabilities.argmax(axis=1) if len(probabilities) else np.empty(0, np.int64)
    top, rest = probabilities[rows, best], probabilities.copy()
    rest[rows, best] = 0.0
    lead = top - rest.max(axis=1, initial=0.0)
    abstained = np.zeros(len(rows), bool)
    if threshold is not None:
        abstained |= top < threshold
    if margin is not None:
        abstained |= lead < margin
    return best.astype(np.int64), top, lead, abstained
