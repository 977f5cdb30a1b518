"""Metrics of many rows at once: not a mean over rows. Each takes predictions and targets once and gives a function of weights
W [R, N], how often each of the N rows counts in each of R replicates, to values [R]: W = 1 gives the metric, drawn counts
give its bootstrap.

    f1            2 tp / (said + true) of choice 1; macro_f1: its mean over the choices that are said or true
    auc           P(score of a positive row > score of a negative one) + P(equal) / 2        (Mann & Whitney 1947)
    ece           sum over 15 equal bins of confidence of |sum of (right - confidence)| / rows; confidence: softmax's share of
                  the choice, from its scores; 0 is best                                       (Guo et al. 2017)
    pearson       cov(x, y) / sqrt(var(x) var(y)); 0 where a side does not vary
    spearman      pearson of the ranks, ties at the mean of their places
    bleu          sacrebleu's, from the n-gram counts of the rows, summed; its tokenizer "intl", as in T5

A choice's target is its worth (1 right, 0 wrong); the true choice of a row is the one of greatest worth."""

import numpy as np

from t0native.base.errors import DataError
from t0native.tasks.textmetrics import number_in, number_of_target

__all__ = ["auc", "bleu", "check_pair", "ece", "f1", "macro_f1", "pearson", "spearman"]


def _weigh_f1(predicted, true, classes):
    """A function W -> (F1 [R, classes], whether said or true [R, classes])."""
    predicted, true = np.asarray(predicted)[:, None] == classes, np.asarray(true)[:, None] == classes
    both, either = (predicted & true).astype(np.float64), predicted.astype(np.float64) + true

    def of(weights):
        total = weights @ either
        return 2 * (weights @ both) / np.where(total > 0, total, 1), total > 0

    return of


def f1(predictions, targets):
    of = _weigh_f1(predictions, [int(np.argmax(worth)) for worth in targets], np.array([1]))
    return lambda weights: of(weights)[0][:, 0]


def macro_f1(predictions, targets):
    true = [int(np.argmax(worth)) for worth in targets]
    of = _weigh_f1(predictions, true, np.unique([*predictions, *true]))

    def mean(weights):
        scores, occurs = of(weights)
        return scores.sum(axis=1) / occurs.sum(axis=1)

    return mean


def check_pair(worth):
    """DataError for a row that has not two choices."""
    if len(worth) != 2:
        raise DataError("auc needs exactly two answer choices a row")


def auc(predictions, targets):
    """predictions: the scores of a row's two choices; the second is the positive one."""
    if any(len(scores) != 2 for scores in predictions):
        raise DataError("auc needs exactly two answer choices a row")
    scores = np.array([second - first for first, second in predictions])  # grows with softmax's share of the second
    positive = np.array([float(np.argmax(worth)) for worth in targets])
    if positive.min() == positive.max():
        raise DataError("auc needs rows of both choices, and the target of all is the same")
    _, group = np.unique(scores, return_inverse=True)

    def area(weights):
        good, bad = _sum_groups(weights * positive, group), _sum_groups(weights * (1 - positive), group)
        with np.errstate(invalid="ignore"):
            return (good * (np.cumsum(bad, axis=1) - bad / 2)).sum(axis=1) / (good.sum(axis=1) * bad.sum(axis=1))

    return area


def ece(predictions, targets, bins=15):
    apart, of_bin = np.empty(len(predictions)), np.empty(len(predictions), np.int64)
    for i, (scores, worth) in enumerate(zip(predictions, targets)):
        scores = np.asarray(scores, np.float64)
        best = int(np.argmax(scores))
        confidence = 1 / np.exp(scores - scores[best]).sum()
        apart[i], of_bin[i] = (worth[best] > 0) - confidence, max(int(np.ceil(confidence * bins)) - 1, 0)
    sums = apart[:, None] * (of_bin[:, None] == np.arange(bins))
    return lambda weights: np.abs(weights @ sums).sum(axis=1) / weights.sum(axis=1)


def _sum_groups(weights, group):
    """Sums of columns of equal group: [R, N] -> [R, groups]."""
    order = np.argsort(group, kind="stable")
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    return np.add.reduceat(weights[:, order], starts, axis=1)


def _read_numbers(predictions, targets):
    """x, y [N]: what was predicted, and what is right (a row's first target)."""
    return np.array([number_in(text) for text in predictions]), np.array([number_of_target(texts[0]) for texts in targets])


def pearson(predictions, targets):
    x, y = _read_numbers(predictions, targets)
    x, y = x - x[0], y - y[0]
    return lambda weights: _correlate(weights, np.broadcast_to(x, weights.shape), np.broadcast_to(y, weights.shape))


def spearman(predictions, targets):
    groups = [np.unique(values, return_inverse=True)[1] for values in _read_numbers(predictions, targets)]
    return lambda weights: _correlate(weights, *(_rank(weights, group) for group in groups))


def _rank(weights, group):
    count = _sum_groups(weights, group)
    return (np.cumsum(count, axis=1) - (count - 1) / 2)[:, group]


def _correlate(weights, x, y):
    """[R], of x, y [R, N] under weights [R, N]."""
    total = weights.sum(axis=1, keepdims=True)
    x, y = x - (weights * x).sum(axis=1, keepdims=True) / total, y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy, xy = ((weights * product).sum(axis=1) for product in (x * x, y * y, x * y))
    varies = (xx > _noise(x)) & (yy > _noise(y))
    return np.where(varies, xy / np.sqrt(np.where(varies, xx * yy, 1)), 0.0)


def _noise(values):
    """What rounding alone may leave of the squares of equal values."""
    return (1e-12 * np.abs(values).max(initial=0)) ** 2


def bleu(predictions, targets):
    from sacrebleu.metrics import BLEU  # which is optional

    rows = BLEU(tokenize="intl", effective_order=True)  # the order matters to a sentence's score, not to its counts
    scores = [rows.sentence_score(text, list(references)) for text, references in zip(predictions, targets)]
    counts = np.array([[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores], np.float64)

    def of(weights):
        sums = np.rint(weights @ counts).astype(np.int64).tolist()
        return np.array([BLEU.compute_bleu(row[:4], row[4:8], *row[8:], smooth_method="exp").score / 100 for row in sums])

    return of
