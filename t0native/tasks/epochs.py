"""Every row of a mixture's tasks so many times: examples of a training that counts in epochs.

    rows     those of all tasks, one after the other: N
    order    of epoch e: rows sorted by bits(seed, ORDER, (e << 40) + row)
    row      of example k: the (k mod N)th of epoch k // N
    prompt   of example k: drawn among its task's, by their rates and bits(seed, MIXTURE, k)

Example k is a pure function of (seed, k), as a mixture's. A row that the prompt cannot serve (sifting.py) gets the other prompts of its
task, one after the other; where none serves, rows are drawn in its place."""

import threading
from functools import lru_cache

import numpy as np

from t0native._core import RANDOM_MIXTURE, RANDOM_ROW, random_bits
from t0native.base.errors import ConfigError
from t0native.tasks.mixture import ATTEMPT_SHIFT, MAX_ATTEMPTS, take_example

__all__ = ["Epochs"]

_ORDER, _EPOCH_SHIFT = RANDOM_ROW + (10 << 8), 40  # the stream of the order; index (epoch << 40) + row
_MOST = 6  # components that an error names


class Epochs:
    """The examples of `epochs` epochs of a Mixture: of one task, or of several of whose rows none is to come more often than another.
    len: their number.

    ConfigError where the mixture has rates by which rows come more often than others: it says how often.

    >>> task = t0.Task("demo", [{"n": i} for i in range(3)], [t0.Prompt("a", "{{ n }} ||| x"), t0.Prompt("b", "{{ n }}? ||| x")])
    >>> drawn = Epochs(t0.Mixture(task), 2).examples(seed=0, first=0, n=99)
    >>> sorted(d.row for d in drawn[:3]), sorted(d.row for d in drawn[3:])
    ([0, 1, 2], [0, 1, 2])
    """

    def __init__(self, mixture, epochs):
        self.epochs = epochs
        tasks = {}
        for component in mixture.components:
            tasks.setdefault(id(component.task), []).append(component)
        self._tasks = list(tasks.values())
        self._rate_ends = [np.cumsum([float(component.rate) for component in components]) for components in self._tasks]
        self._row_ends = np.cumsum([components[0].size for components in self._tasks])
        self.rows = int(self._row_ends[-1])
        self._lock, self._find_order = threading.Lock(), lru_cache(2)(self._sort_rows)
        self._check_rates(mixture.components)

    def __len__(self):
        return self.epochs * self.rows

    def count_steps(self, batch):
        """Steps of `batch` examples each; the last may have fewer."""
        return -(-len(self) // batch)

    def example(self, seed, k, attempt=0, *, answers=True):
        """As Mixture.example."""
        (number,), (unit,) = self._draw(seed, k, 1)
        return self._take(seed, k, int(number), float(unit), attempt, answers)

    def examples(self, seed, first, n, *, answers=True):
        """As Mixture.examples; fewer than n at the end of the last epoch."""
        numbers, units = self._draw(seed, first, min(n, len(self) - first))
        return [self._take(seed, first + i, int(numbers[i]), float(units[i]), 0, answers) for i in range(len(numbers))]

    def _draw(self, seed, first, n):
        """(number of the row among all, int64 [n], what chooses the prompt, float64 [n] from 0 to 1) of examples first, first + 1, ..."""
        k = np.arange(first, first + n)
        numbers = np.empty(n, np.int64)
        for epoch in np.unique(k // self.rows):
            of_epoch = k // self.rows == epoch
            with self._lock:  # one thread sorts, others wait for it
                order = self._find_order(int(seed), int(epoch))
            numbers[of_epoch] = order[k[of_epoch] % self.rows]
        bits = random_bits(int(seed), RANDOM_MIXTURE, first, n)
        return numbers, (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def _sort_rows(self, seed, epoch):
        """int64 [rows]: the order of an epoch."""
        return np.argsort(random_bits(seed, _ORDER, epoch << _EPOCH_SHIFT, self.rows), kind="stable")

    def _take(self, seed, k, number, unit, attempt, answers):
        def candidate(attempt):
            task, row = self._find_row(number)
            tried = min(len(self._tasks[task]), MAX_ATTEMPTS // 2)
            if attempt >= tried:
                bits = random_bits(int(seed), RANDOM_ROW, k + (attempt << ATTEMPT_SHIFT), 1)
                task, row = self._find_row(int(bits[0] % np.uint64(self.rows)))
            components, ends = self._tasks[task], self._rate_ends[task]
            prompt = min(int(np.searchsorted(ends, unit * ends[-1], side="right")), len(components) - 1)
            return components[(prompt + attempt) % len(components)], row

        return take_example(candidate, seed, k, attempt, answers)

    def _find_row(self, number):
        """(number of the task, of the row in it)."""
        task = int(np.searchsorted(self._row_ends, number, side="right"))
        return task, number - int(self._row_ends[task - 1] if task else 0)

    def _check_rates(self, components):
        rates = [component.rate / component.size for component in components]
        if len(self._tasks) == 1 or max(rates) <= min(rates) * (1 + 1e-9):
            return
        epochs = [component.share * len(self) / component.size for component in components]
        expected = [f"{component.name} {n:,.0f}" if n >= 100 else f"{component.name} {n:.3g}" for component, n in zip(components, epochs)]
        more = f" and {len(expected) - _MOST} more" if len(expected) > _MOST else ""
        raise ConfigError(
            f"epochs {self.epochs}: the mixture has rates, by which rows of one component come more often than those of another; give "
            f"steps. {len(self):,} examples, {self.epochs} x {self.rows:,} rows, would be epochs of {', '.join(expected[:_MOST])}{more}"
        )
