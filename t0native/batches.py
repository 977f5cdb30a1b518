"""Training batches: drawn, prompted and tokenized on background threads while the step before runs in C.

    batch of step s = examples s B .. s B + B - 1 of the mixture, a pure function of (mixture, seed, B, s)
    inputs: no EOS, at most max_source tokens;  targets: EOS appended, then trimmed to max_target (so a longer one loses it);
    those of an objective (objectives.py) are made of the text's tokens, then trimmed in the same way; a switch for each EOS

Rows whose input or target has no token at all are drawn anew, as rows that the prompt drops are."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np

from t0native.errors import DataError
from t0native.objectives import Objective
from t0native.tokenizer import Ragged

__all__ = ["TEXT_RULES", "Batch", "Batches", "make_batch"]

TEXT_RULES = ("max_source", "max_target", "add_eos_to_inputs", "add_eos_to_targets")  # keywords of train and make_batch

AHEAD = 2  # batches kept ready, beside those being made


@dataclass(frozen=True)
class Batch:
    """sources, targets: Ragged (ids int32 [N], offsets int64 [B+1]); components: name of each example's component [B].
    dropped: {component name: rows that were drawn for the batch and that its prompt drops, or that have no token}."""

    step: int
    sources: object
    targets: object
    components: list
    dropped: dict

    @property
    def n_tokens(self):
        return len(self.sources.ids) + len(self.targets.ids)

    def composition(self, limit=6):
        """'a/x (3), b/y (1)': the components by frequency, for messages."""
        counts = {}
        for name in self.components:
            counts[name] = counts.get(name, 0) + 1
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        more = f" and {len(ranked) - limit} more" if len(ranked) > limit else ""
        return ", ".join(f"{name} ({count})" for name, count in ranked[:limit]) + more


def make_batch(mixture, tokenizer, step, *, seed, batch_size, max_source, max_target, add_eos_to_inputs=False, add_eos_to_targets=True):
    """The batch of a step (from 0)."""
    drawn = mixture.examples(seed, step * batch_size, batch_size)
    for what in ("input", "target"):
        _check_texts(drawn, what)
    how = {"seed": seed, "source": (add_eos_to_inputs, max_source), "target": (add_eos_to_targets, max_target)}
    sources, targets = _encoded(drawn, step * batch_size, tokenizer, **how)
    while (empty := np.flatnonzero((np.diff(sources.offsets) == 0) | (np.diff(targets.offsets) == 0))).size:
        for i in empty:
            drawn[i] = mixture.example(seed, step * batch_size + int(i), drawn[i].attempt + 1)
        sources, targets = _encoded(drawn, step * batch_size, tokenizer, **how)
    dropped = {}
    for d in drawn:
        if d.attempt:
            dropped[d.component.name] = dropped.get(d.component.name, 0) + d.attempt
    return Batch(step, sources, targets, [d.component.name for d in drawn], dropped)


def _encoded(drawn, first, tokenizer, *, seed, source, target):
    """(sources, targets), Ragged, of examples first, first + 1, ...; one is empty where there is nothing to learn from.
    source, target: (whether EOS is appended, the most tokens, EOS among them)."""
    sources = tokenizer.encode_batch([d.input for d in drawn], add_eos=source[0], max_length=source[1])
    targets = tokenizer.encode_batch([d.target for d in drawn], add_eos=target[0], max_length=target[1])
    prompts = [d.component.task.prompts[d.component.prompt] for d in drawn]
    if not any(isinstance(prompt, Objective) for prompt in prompts):
        return sources, targets
    sources, targets = list(sources), list(targets)
    for i, prompt in enumerate(prompts):
        if isinstance(prompt, Objective):
            pair = prompt.pair(tokenizer.encode_batch([drawn[i].input])[0], tokenizer, seed, first + i)
            ends = ((*ids, tokenizer.eos_id)[:most] if eos else ids[:most] for ids, (eos, most) in zip(pair or (), (source, target)))
            sources[i], targets[i] = ends if pair else ((), ())
    return Ragged.of(sources), Ragged.of(targets)


def _check_texts(drawn, what):
    """Half of a character pair is no text that can be tokenized: told with the prompt that made it."""
    for d in drawn:
        try:
            getattr(d, what).encode()
        except UnicodeEncodeError as error:
            place = f"{d.component.name}, row {d.row}: {what}"
            raise DataError(f"{place}: lone surrogate U+{ord(error.object[error.start]):04x} at index {error.start}; repair the row's text") from None


class Batches:
    """with Batches(make, first, last) as batches: batches.next(check) gives make(first), make(first + 1), ... make(last - 1)

    make: step -> Batch, called on `workers` threads ahead of time; its exception is raised by `next` in its turn, so that what is
    given depends on neither workers nor timing."""

    def __init__(self, make, first, last, workers=1):
        self._make, self._steps = make, iter(range(first, last))
        self._pool = ThreadPoolExecutor(workers, "t0native batches")
        self._ahead = AHEAD + workers
        self._pending = deque()

    def __enter__(self):
        self._fill()
        return self

    def __exit__(self, *unused):
        self._pool.shutdown(cancel_futures=True)

    def next(self, check=lambda: None):
        """The next Batch. check: called while waiting; what it raises ends the wait."""
        check()
        while not wait([self._pending[0]], timeout=0.1).done:
            check()
        batch = self._pending.popleft().result()
        self._fill()
        return batch

    def _fill(self):
        while len(self._pending) < self._ahead and (step := next(self._steps, None)) is not None:
            self._pending.append(self._pool.submit(self._make, step))
