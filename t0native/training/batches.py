"""Training batches: drawn, prompted and tokenized on background threads while the step before runs in C.

    batch_size B     the batch of step s is examples s B .. s B + B - 1 of the mixture, a pure function of (mixture, seed, B, s);
                     of epochs the last batch has what is left
    batch_tokens T   batches are cut off the examples in their order, each as many as have at most T tokens together, inputs and
                     targets, and one at least: a pure function of (mixture, seed, T, number of the first example)
    inputs: EOS appended where it is asked for, then trimmed to max_source;  targets: EOS appended, then trimmed to max_target (so a
    longer one loses it);
    those of an objective (objectives.py) are made of the text's tokens, then trimmed in the same way; a switch for each EOS

Rows whose input or target has no token at all are drawn anew, as rows that the prompt drops are."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import chain, count

import numpy as np

from t0native.tasks.epochs import Epochs
from t0native.tasks.objectives import Objective
from t0native.text.tokenizer import Ragged

__all__ = ["CHUNK", "Batch", "Batches", "TokenBatches", "add_counts", "examples_of", "make_batch"]

AHEAD = 2  # batches kept ready, beside those being made
_LISTS = ("components", "passed", "cuts")  # of Batch, an item each example
CHUNK = 32  # examples that are made at once where batches are cut by tokens


@dataclass(frozen=True)
class Batch:
    """Examples first, first + 1, ... of a run. sources, targets: Ragged (ids int32 [N], offsets int64 [B+1]); components: name of each
    example's component [B]; passed: of each example, the components' names of rows drawn before its own, which their prompt drops or which
    have no token [B];
    cuts: whether a value of it was cut at 2,048 characters [B]."""

    step: int
    first: int
    sources: object
    targets: object
    components: list
    passed: list
    cuts: list

    def __len__(self):
        return len(self.components)

    @property
    def n_tokens(self):
        return len(self.sources.ids) + len(self.targets.ids)

    @property
    def lengths(self):
        """Tokens of each example, int64 [B]."""
        return self.sources.lengths + self.targets.lengths

    @property
    def dropped(self):
        """{component name: rows that were drawn for the batch in vain}, of those that have any."""
        return add_counts({}, ((name, 1) for names in self.passed for name in names))

    def part(self, begin, end):
        """Its examples begin .. end - 1 as a Batch; tokens are not copied."""
        sources, targets = (_slice(ragged, begin, end) for ragged in (self.sources, self.targets))
        lists = (getattr(self, name)[begin:end] for name in _LISTS)
        return Batch(self.step, self.first + begin, sources, targets, *lists)

    def composition(self, limit=6):
        """'a/x (3), b/y (1)': the components by frequency, for messages."""
        counts = add_counts({}, ((name, 1) for name in self.components))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        more = f" and {len(ranked) - limit} more" if len(ranked) > limit else ""
        return ", ".join(f"{name} ({count})" for name, count in ranked[:limit]) + more


def add_counts(counts, more):
    """The mapping `counts` with the pairs (name, number) added to it."""
    for name, number in more:
        counts[name] = counts.get(name, 0) + number
    return counts


def _slice(ragged, begin, end):
    offsets = ragged.offsets[begin : end + 1]
    return Ragged(ragged.ids[offsets[0] : offsets[-1]], offsets - offsets[0])


def _join(step, parts):
    """The Batch of a step from those of consecutive examples."""
    if len(parts) == 1:
        return replace(parts[0], step=step)
    sources, targets = (Ragged.of(ids for part in parts for ids in getattr(part, name)) for name in ("sources", "targets"))
    lists = (list(chain.from_iterable(getattr(part, name) for part in parts)) for name in _LISTS)
    return Batch(step, parts[0].first, sources, targets, *lists)


def examples_of(mixture, settings):
    """(what a run's examples come from, the Mixture or its Epochs; steps of the run)."""
    if settings.epochs is None:
        return mixture, settings.steps
    epochs = Epochs(mixture, settings.epochs)
    return epochs, epochs.count_steps(settings.batch_size * settings.accumulate)


def make_batch(
    mixture, tokenizer, step, *, seed, batch_size, max_source, max_target,
    add_eos_to_inputs=False, add_eos_to_targets=True, unanswered="drop",
):  # fmt: skip
    """The batch of a step (from 0). mixture: a Mixture, or Epochs, whose last batch may be smaller.  unanswered: "drop" or "keep" rows
    whose target is no answer."""
    first = step * batch_size
    answers = unanswered != "keep"
    drawn = mixture.examples(seed, first, batch_size, answers=answers)
    rules = {"source": (add_eos_to_inputs, max_source), "target": (add_eos_to_targets, max_target)}
    sources, targets = _encode(drawn, first, tokenizer, seed, **rules)
    while (empty := np.flatnonzero((np.diff(sources.offsets) == 0) | (np.diff(targets.offsets) == 0))).size:
        for i in empty:
            drawn[i] = mixture.example(seed, first + int(i), drawn[i].attempt + 1, answers=answers)
        sources, targets = _encode(drawn, first, tokenizer, seed, **rules)
    return Batch(step, first, sources, targets, [d.component.name for d in drawn], [d.passed for d in drawn], [d.cut for d in drawn])


def _encode(drawn, first, tokenizer, seed, *, source, target):
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
            ends = (tokenizer.ended(ids)[:most] if eos else ids[:most] for ids, (eos, most) in zip(pair or (), (source, target)))
            sources[i], targets[i] = ends if pair else ((), ())
    return Ragged.of(sources), Ragged.of(targets)


class Batches:
    """with Batches(make, first, last) as batches: batches.next(check) gives make(first), make(first + 1), ... make(last - 1), or
    without end where last is None

    make: step -> Batch, called on `workers` threads ahead of time; its exception is raised by `next` in its turn, so that what is
    given depends on neither workers nor timing."""

    def __init__(self, make, first, last, workers=1):
        self._make, self._steps = make, count(first) if last is None else iter(range(first, last))
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


class TokenBatches(Batches):
    """with TokenBatches(make, step, example, tokens) as batches: batches.next(check) gives the Batch of this step, which begins with
    this example, the Batch of the step after, and so on

    make: number -> Batch of examples number x CHUNK .. number x CHUNK + CHUNK - 1.  tokens: of a batch at most."""

    def __init__(self, make, step, example, tokens, workers=1):
        super().__init__(make, example // CHUNK, None, workers)
        self._step, self._skip, self._tokens, self._workers = step, example % CHUNK, tokens, workers
        self._rest = None  # of the last chunk, the examples that no batch has yet

    def next(self, check=lambda: None):
        """The next Batch; as Batches'."""
        parts, room = [], self._tokens
        while True:
            rest, self._rest = self._rest or self._chunk(check), None
            ends = np.cumsum(rest.lengths)
            n = max(int(np.searchsorted(ends, room, "right")), not parts)
            if n:
                parts.append(rest.part(0, n))
            if n < len(rest):
                self._rest = rest.part(n, len(rest))
                break
            room -= int(ends[-1])
        self._ahead = AHEAD * len(parts) + self._workers
        batch = _join(self._step, parts)
        self._step += 1
        return batch

    def _chunk(self, check):
        chunk, skip = super().next(check), self._skip
        self._skip = 0
        return chunk.part(skip, CHUNK)
