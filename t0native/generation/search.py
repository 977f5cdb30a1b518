"""The search for the answer to one input, fed with logits from outside: greedy and sampling here, beams in beams.py.

    pending() -> the tokens that are to be decoded next, each with the row of the token before it
    take(numbers, logits) <- the rows they became, and what may follow them

A search is first fed its beginning, the start token and what the answer shall start with, token by token. Then it has a
row for each sequence or beam. It never touches the model, so many searches go through one decoder together, and what one
finds does not depend on the others.

Sampling takes the token at which the cumulated probability passes u, a random number in [0, 1) that is a function of
(seed, input, sequence, token number): the same on any machine and in any company."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from t0native._core import RANDOM_SAMPLE, random_bits
from t0native.base.errors import ConfigError
from t0native.generation.warpers import Rules, log_softmax, softmax, warp

__all__ = ["Answer", "Chains", "Ends", "Job", "Search", "uniform"]


def uniform(seed, number, sequence, token):
    """A random number in [0, 1), of 52 bits.

    >>> uniform(0, 3, 1, 0) == uniform(0, 3, 1, 0) != uniform(0, 3, 0, 0)
    True
    """
    return int(random_bits(seed, RANDOM_SAMPLE + (number << 8), (sequence << 32) + token, 1)[0] >> np.uint64(12)) * 2.0**-52


@dataclass(frozen=True, eq=False)
class Job:
    """What is to be answered. number: the input's.  source: which of the sources it is.  beginning: int32, the start token
    and what follows it.  least, most: new tokens."""

    number: int
    source: int
    beginning: np.ndarray
    least: int
    most: int


@dataclass(frozen=True, eq=False)
class Answer:
    """ids: int32, with the beginning and the end token.  score: sum of log p of the new ones, the model's own.
    complete: whether it ended by itself."""

    ids: np.ndarray
    score: float
    complete: bool


class Ends:
    """Where an answer ends: behind one of the ids, or where one of the stop strings is complete in its text."""

    def __init__(self, options, tokenizer):
        self.ids, self.strings, self.tokenizer = np.array(options.eos_token_id), options.stop_strings, tokenizer
        if self.strings and tokenizer is None:
            raise ConfigError(
                "stop_strings: the model has no tokenizer, so its answers are no texts; give one to the model, or bad_words_ids"
            )

    def after(self, ids):
        """bool [n]: which of the sequences ids [n, t] end with their last token."""
        ends = np.isin(ids[:, -1], self.ids)
        if self.strings:
            ends |= [self._spells(sequence) for sequence in ids]
        return ends

    def _spells(self, sequence):
        text = self.tokenizer.decode(sequence[1:])
        before = len(self.tokenizer.decode(sequence[1:-1]).rstrip("\ufffd"))  # which the bytes of a character may still change
        return any(text.find(string, max(0, before - len(string) + 1)) >= 0 for string in self.strings)


class Search:
    """What greedy search, sampling and beam search have in common. Their own: begin, choose, results."""

    FORBIDDEN = (
        "the rules of this call (bad_words_ids, no_repeat_ngram_size, prefix_allowed_tokens_fn, min_new_tokens) allow no token at all"
    )

    def __init__(self, job, options, ends):
        self.number, self.source, self.options, self.ends = job.number, job.source, options, ends
        self.beginning, self.least, self.most = job.beginning, job.least, job.most
        self.rules = Rules(options, job.number, len(job.beginning), job.least)
        self.fed, self.done = 0, False
        self.rows = np.array([-1])

    def pending(self):
        """(ids [n], rows [n] of the tokens before them)."""
        if self.fed < len(self.beginning):
            return self.beginning[self.fed : self.fed + 1], self.rows
        return self.ids[:, -1], self.rows

    def take(self, numbers, logits):
        """numbers [n] and logits [n, V], which may be changed, of what was pending."""
        if self.fed < len(self.beginning):
            self.fed, self.rows = self.fed + 1, numbers
            if self.fed == len(self.beginning):
                self.choose(np.repeat(logits, self.begin(numbers[0]), axis=0))
        else:
            self.rows = numbers
            self.choose(logits)

    def ended(self, ids):
        """bool [n]: which of these sequences can have no further token."""
        return self.ends.after(ids) | (ids.shape[1] - len(self.beginning) >= self.most)

    def complete(self, ids):
        return bool(self.ends.after(ids[None, :])[0])


class Chains(Search):
    """Greedy search, or as many samples as num_return_sequences."""

    def begin(self, number):
        n = self.options.num_return_sequences
        self.rows = np.full(n, number)
        self.ids = np.tile(self.beginning, (n, 1))
        self.which = np.arange(n)
        self.sums = np.zeros(n)
        self.answers = [None] * n
        return n

    def choose(self, logits):
        tokens, gained = self._tokens(logits)
        self.sums += gained
        self.ids = np.concatenate([self.ids, tokens[:, None]], axis=1)
        ended = self.ended(self.ids)
        for i in np.flatnonzero(ended):
            self.answers[self.which[i]] = Answer(self.ids[i], float(self.sums[i]), self.complete(self.ids[i]))
        stay = ~ended
        self.rows, self.ids, self.which, self.sums = self.rows[stay], self.ids[stay], self.which[stay], self.sums[stay]
        self.done = not stay.any()

    def _tokens(self, logits):
        """(int32 [n], the log p of each where scores are asked for, else zeros)."""
        options = self.options
        own = log_softmax(logits) if options.output_scores else None
        if self.rules:
            for i in range(len(logits)):
                self.rules.apply(self.ids[i : i + 1], logits[i : i + 1])
        if options.do_sample:
            tokens = [self._draw(row, which) for row, which in zip(logits, self.which)]
        else:
            tokens = logits.argmax(axis=1)
        tokens = np.asarray(tokens, np.int32)
        each = np.arange(len(tokens))
        if (logits[each, tokens] == -np.inf).any():
            raise ConfigError(f"input {self.number}, token {self.ids.shape[1] - len(self.beginning)}: {self.FORBIDDEN}")
        return tokens, np.zeros(len(tokens)) if own is None else own[each, tokens]

    def _draw(self, scores, sequence):
        if scores.max() == -np.inf:
            return 0
        warp(scores, self.options, 1)
        left = np.flatnonzero(scores > -np.inf)
        total = np.cumsum(softmax(scores[left]))
        u = uniform(self.options.seed, self.number, int(sequence), self.ids.shape[1] - len(self.beginning))
        return left[np.searchsorted(total, u * total[-1], side="right")]

    def results(self):
        return self.answers
