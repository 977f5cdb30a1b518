"""Beam search over one input: the hub's, number for number.

Each of the B beams has a score, the sum of log p of its tokens after the rules. A step makes B V candidates, of which the
best K = max(2, 1 + end tokens) B are looked at (or K are drawn by their probability):

    those that end and are among the first B    compete for the B answers by  score / length ^ length_penalty
    the best B of those that do not end         are the next beams

It goes on until there are B answers, and then, unless early_stopping is True, while a beam may still overtake the worst of
them: while  best beam / length ^ length_penalty  is above it, length being the present one, or the most there may be where
early_stopping is "never" and length_penalty above 0. Of equal scores the first wins.

The hub gives beams that do not exist (all but one, at first) a score of -1e9, so they are taken where rules leave too few
others. Here too, for they may end a search; but what such a beam says is never given as an answer."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from t0native.base.errors import ConfigError
from t0native.generation.search import Answer, Search, uniform
from t0native.generation.warpers import best, log_softmax, softmax, warp

__all__ = ["Beams"]

ABSENT = np.float32(-1e9)
ALIVE = -5e8  # sums of log p are far above it, those of beams that do not exist below


class Beams(Search):
    """The search for one job; `Search` tells how it is fed."""

    def begin(self, number):
        n = self.options.num_beams
        self.rows = np.full(n, number)
        self.ids = np.tile(self.beginning, (n, 1))
        self.scores = np.full(n, ABSENT)
        self.scores[0] = 0
        self.sums = np.zeros(n)  # of log p under the model itself
        self.over = np.zeros(n, bool)  # beams that have ended, and only fill a place
        self.made = 0
        self.answers = [_Ended(ABSENT, False, False)] * n
        return n

    def choose(self, logits):
        tokens = self._candidates(logits)
        self._end(*tokens)
        self._go_on(*tokens)

    def _candidates(self, logits):
        """The K candidates: (scores, beams, ids [K, t + 1], sums, which of them end)."""
        options, n = self.options, self.options.num_beams
        log_p = log_softmax(logits)
        scores = (self._apply_rules(log_p.copy()) if self.rules or options.do_sample else log_p) + self.scores[:, None]
        k = min(max(2, 1 + len(options.eos_token_id)) * n, scores.size)
        flat = scores.reshape(-1)
        taken = self._draw(flat, k) if options.do_sample else best(flat, k)
        beams, tokens = np.divmod(taken, logits.shape[1])
        ids = np.concatenate([self.ids[beams], tokens[:, None].astype(np.int32)], axis=1)
        self.made += 1
        return flat[taken], beams, ids, self.sums[beams] + log_p[beams, tokens], self.ended(ids)

    def _apply_rules(self, scores):
        """Rules and warpers on log p [B, V]. Beams that are over or break a rule are left out: no rule sees them again."""
        real = ~self.over & (self.scores > -np.inf)
        if self.rules and real.any():
            ruled = scores[real]
            self.rules.apply(self.ids[real], ruled)
            scores[real] = ruled
        if self.options.do_sample:
            for row in scores:
                warp(row, self.options, 1 + len(self.options.eos_token_id))
        return scores

    def _draw(self, scores, k):
        """k different indices drawn by softmax(scores), the best of them first; when no probability is left, the best of the rest."""
        left, taken = softmax(scores) if scores.max() > -np.inf else np.zeros(len(scores)), []
        for draw in range(k):
            total = np.cumsum(left)
            if total[-1] < np.finfo(np.float64).tiny:
                rest = np.setdiff1d(np.arange(len(scores)), taken, assume_unique=True)
                taken += rest[best(scores[rest], k - draw)].tolist()
                break
            taken.append(int(np.searchsorted(total, uniform(self.options.seed, self.number, draw, self.made) * total[-1], side="right")))
            left[taken[-1]] = 0
        taken = np.array(sorted(taken))
        return taken[np.argsort(-scores[taken], kind="stable")]

    def _end(self, scores, beams, ids, sums, ended):
        """Lets the candidates that end, of the first B, compete with the answers there are; real ones go before others."""
        n = self.options.num_beams
        ranks = self._by_length(scores, self.made)
        candidates = self.answers + [_Ended(ranks[i], True, scores[i] > ALIVE, ids[i], sums[i]) for i in np.flatnonzero(ended[:n])]
        order = np.lexsort(([-answer.rank for answer in candidates], [not answer.real for answer in candidates]))
        self.answers = [candidates[i] for i in order[:n]]

    def _by_length(self, scores, length):
        """scores / length ^ length_penalty, float32; a power beyond its range counts as the largest, or smallest, within."""
        limits = np.finfo(np.float32)
        try:
            power = length**self.options.length_penalty
        except OverflowError:
            power = float(limits.max)
        with np.errstate(over="ignore"):
            return scores / np.float32(min(max(power, float(limits.tiny)), float(limits.max)))

    def _go_on(self, scores, beams, ids, sums, ended):
        """The next beams, and whether there is anything to hope for from them."""
        n, options = self.options.num_beams, self.options
        running, over = scores + ABSENT * ended, ended | self.over[beams]
        kept = best(running, n)
        self.scores, self.ids, self.sums, self.rows, self.over = running[kept], ids[kept], sums[kept], self.rows[beams[kept]], over[kept]
        length = self.most if options.early_stopping == "never" and options.length_penalty > 0 else self.made
        reach = self._by_length(self.scores[0], length)
        full = all(answer.ended for answer in self.answers)
        hopeful = not full or options.early_stopping is not True and reach > min(answer.rank for answer in self.answers)
        self.done = not hopeful or self.scores[0] < ALIVE

    def results(self):
        """The answers, the best first: num_return_sequences, or fewer where rules leave fewer."""
        real = [answer for answer in self.answers if answer.real]
        if not real:
            raise ConfigError(f"input {self.number}: {self.FORBIDDEN}")
        return [Answer(one.ids, float(one.sum), self.complete(one.ids)) for one in real[: self.options.num_return_sequences]]


class _Ended(NamedTuple):
    """A place among the answers."""

    rank: np.float32
    ended: bool  # false: nobody's place yet
    real: bool  # false: of a beam that does not exist
    ids: np.ndarray | None = None
    sum: float = 0.0
