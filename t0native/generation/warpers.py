"""What changes the scores of the next token before one is chosen, with the hub's arithmetic and in the hub's order.

    rules      hold in every search:  repetition_penalty, no_repeat_ngram_size, bad_words_ids, min_new_tokens,
               prefix_allowed_tokens_fn
    warpers    shape what is drawn:   temperature, top_k, top_p, min_p, typical_p

Scores are float32 [V]: logits where a token is chosen or drawn, log p in a beam search. A token of -inf cannot be taken.
The ids of a sequence begin with the start token, which rules see as they see any token.

Methods: Keskar et al. 2019, section 4.1 (penalty); Fan et al. 2018 (top k); Holtzman et al. 2020 (top p); Nguyen et al.
2024 (min p); Meister et al. 2022 (typical)."""

from __future__ import annotations

import numpy as np

from t0native.base.errors import ConfigError

__all__ = ["Rules", "best", "log_softmax", "softmax", "warp"]

NEVER = np.float32(-np.inf)
BLOCK = 64


def best(scores, k):
    """Indices of the k largest of scores [n], the largest first, of equal ones the first.

    >>> best(np.array([1.0, 3.0, 2.0, 3.0]), 3).tolist()
    [1, 3, 2]
    """
    left = np.arange(len(scores))
    if len(scores) >= 4 * BLOCK * k:  # k blocks have maxima above the bound, so none of the k best is below it
        maxima = scores[: len(scores) // BLOCK * BLOCK].reshape(-1, BLOCK).max(axis=1)
        left = np.flatnonzero(scores >= np.partition(maxima, len(maxima) - k)[len(maxima) - k])
    values = scores[left]
    least = np.partition(values, len(values) - k)[len(values) - k]
    above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    places = np.sort(np.concatenate([above, equal[: k - len(above)]]))
    return left[places[np.argsort(-values[places], kind="stable")]]


def log_softmax(rows):
    """float32 [n, V] of float32 [n, V].

    >>> log_softmax(np.zeros((1, 2), np.float32)).round(4).tolist()
    [[-0.6930999755859375, -0.6930999755859375]]
    """
    shifted = rows - rows.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True, dtype=np.float64)).astype(np.float32)
    return shifted


def softmax(scores):
    """float64 [n] of scores [n], of which one at least is finite.

    >>> softmax(np.array([0.0, -np.inf, 0.0], np.float32)).tolist()
    [0.5, 0.0, 0.5]
    """
    powers = np.exp(scores.astype(np.float64) - float(scores.max()))
    return powers / powers.sum()


class Rules:
    """The rules of one answer to one input. number: the input's.  beginning: how many ids stand before the new tokens.
    least: new tokens before the end.  Without any rule the object is false.

    >>> from t0native.generation.options import Options
    >>> scores, ids = np.ones((1, 6), np.float32), np.array([[0, 5, 4, 5]], np.int32)
    >>> Rules(Options(no_repeat_ngram_size=2, eos_token_id=(1,)), 0, 1, 4).apply(ids, scores)
    >>> scores.tolist()
    [[1.0, -inf, 1.0, 1.0, -inf, 1.0]]
    """

    def __init__(self, options, number, beginning, least):
        self.number, self.beginning, self.least, self.ends = number, beginning, least, list(options.eos_token_id)
        self.penalty, self.ngram = np.float32(options.repetition_penalty), options.no_repeat_ngram_size
        words = [word for word in options.bad_words_ids if len(word) > 1 or word[0] not in options.eos_token_id]
        self.bad = np.array(sorted({word[0] for word in words if len(word) == 1}), np.intp)
        self.bad_endings = [(np.array(word[:-1], np.int32), word[-1]) for word in words if len(word) > 1]
        self.allowed = options.prefix_allowed_tokens_fn
        self.any = bool(self.penalty != 1 or self.ngram or words or least or self.allowed)

    def __bool__(self):
        return self.any

    def apply(self, ids, scores):
        """Changes scores [n, V], in place, of the n sequences ids [n, t] that stand for one answer's beams."""
        for sequence, row in zip(ids, scores):
            if self.penalty != 1:
                seen = np.unique(sequence)
                row[seen] = np.where(row[seen] < 0, row[seen] * self.penalty, row[seen] / self.penalty)
            if self.ngram:
                row[_completions(sequence, self.ngram)] = NEVER
            row[self.bad] = NEVER
            for before, last in self.bad_endings:
                if len(before) <= len(sequence) and np.array_equal(sequence[-len(before) :], before):
                    row[last] = NEVER
            if len(sequence) - self.beginning < self.least:
                row[self.ends] = NEVER
        if self.allowed is not None:
            self._allow(ids, scores)

    def _allow(self, ids, scores):
        """Leaves what the caller's function allows; where the other rules forbid all of that in every beam, it wins."""
        mask = np.full_like(scores, NEVER)
        for sequence, free in zip(ids, mask):
            free[self._allowed_ids(sequence, len(free))] = 0
        scores += mask
        if scores.max() == NEVER:
            scores[...] = mask

    def _allowed_ids(self, sequence, vocabulary):
        ids = np.asarray(list(self.allowed(self.number, sequence.copy())))
        message = f"prefix_allowed_tokens_fn gave {{}} for input {self.number} behind {len(sequence)} ids"
        if not len(ids):
            raise ConfigError(message.format("no id") + "; allow the end token where an answer may end")
        if ids.ndim != 1 or ids.dtype.kind not in "iu" or ids.min() < 0 or ids.max() >= vocabulary:
            raise ConfigError(message.format(f"something else than ids from 0 to {vocabulary - 1}"))
        return ids


def _completions(sequence, n):
    """The ids that would complete, at the end of the sequence, n ids that it has already."""
    if len(sequence) < n:
        return np.empty(0, np.int32)
    windows = np.lib.stride_tricks.sliding_window_view(sequence, n)
    return windows[(windows[:, :-1] == sequence[len(sequence) + 1 - n :]).all(axis=1), -1]


def warp(scores, options, keep):
    """Scores [V] as sampling takes them: at least `keep` tokens are left where there are so many. The argument is changed.

    >>> from t0native.generation.options import Options
    >>> warp(np.array([4.0, 2.0, 3.0, 1.0], np.float32), Options(temperature=0.5, top_k=2), 1).tolist()
    [8.0, -inf, 6.0, -inf]
    """
    if options.temperature != 1:
        scores /= np.float32(options.temperature)
    if options.top_k:
        k = min(max(options.top_k, keep), len(scores))
        scores[scores < scores[best(scores, k)[-1]]] = NEVER
    for value, off, removed in ((options.top_p, 1, _beyond_top_p), (options.min_p, 0, _below_min_p), (options.typical_p, 1, _untypical)):
        left = np.flatnonzero(scores > NEVER)
        if value != off and len(left) > keep:
            scores[left[removed(scores[left], value, keep)]] = NEVER
    return scores


def _until(ranks, probability, share):
    """(indices by falling rank, their cumulated probability): as many as have the share, and some more."""
    k = BLOCK
    while True:
        order = best(ranks, min(k, len(ranks)))
        sums = np.cumsum(probability[order])
        if sums[-1] >= share or k >= len(ranks):
            return order, sums
        k *= 64


def _beyond_top_p(scores, share, keep):
    """All but the most likely, as few as have this share of the probability."""
    probability, remove = softmax(scores), np.ones(len(scores), bool)
    order, sums = _until(scores, probability, share)
    remove[order[sums - probability[order] < share]] = False
    remove[order[:keep]] = False
    return np.flatnonzero(remove)


def _below_min_p(scores, share, keep):
    """Those whose probability is below this share of the highest."""
    probability = softmax(scores)
    remove = probability < share * probability.max()
    remove[best(scores, keep)] = False
    return np.flatnonzero(remove)


def _untypical(scores, share, keep):
    """All but those whose information is nearest to the entropy, as few as have this share of the probability."""
    probability = softmax(scores)
    information = -np.log(np.maximum(probability, np.finfo(np.float64).tiny))
    distance = np.abs(information - (probability * information).sum())
    order, sums = _until(-distance, probability, share)
    remove = distance > distance[order[min(int((sums < share).sum()), len(order) - 1)]]
    remove[order[:keep]] = False
    return np.flatnonzero(remove)
