"""The distribution over many wordings from a part of the cells: some rows of each wording are evaluated, a model of all says the rest.

task, share --sample_cells--> rows of each wording --evaluate--> right or wrong, 5 to 10 % of the grid --rasch.py--> draws --> quantiles"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.arguments import SEED, check, number, whole
from t0native.base.errors import ConfigError, DataError
from t0native.evaluation.evaluate import evaluate
from t0native.reports.rasch import Estimate, estimate_accuracies, one_hot, sample_cells
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

    from t0native.base.annotations import Ranks

__all__ = ["WordingsEstimate", "estimate_wordings"]

_log = logging.getLogger("t0native")

SHARE = number(lambda value: 0 < value <= 1, "a share above 0, at most 1")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


class WordingsEstimate:
    """What a part of the cells says of all wordings of a task; it prints itself.

    prompts: their names.  asked: how many cells were, of `cells`.  estimate: an Estimate (reports/rasch.py) with the draws.

    >>> task = t0.mini.held_out_tasks()[0]
    >>> found = t0.estimate_wordings(t0.Model.mini(), task, share=0.1, limit=100, progress=False)
    >>> found.asked, found.cells, len(found.accuracies)
    (120, 1200, 12)
    """

    prompts: list[str]
    asked: int
    cells: int
    estimate: Estimate

    def __init__(self, task: str, prompts: list[str], cells: int, estimate: Estimate) -> None:
        self.task, self.prompts, self.cells, self.estimate = task, prompts, cells, estimate
        self.asked = estimate.seen

    def quantile(self, q: float) -> tuple[float, float, float]:
        """(estimate, low, high) of a quantile of accuracy over the wordings, fractions of 1.  q: from 0 to 1; ConfigError otherwise."""
        return self.estimate.quantile(check(number(lambda value: 0 <= value <= 1, "a number from 0 to 1"), "q", q))

    def mean(self) -> tuple[float, float, float]:
        """(estimate, low, high) of the mean over the wordings."""
        return self.estimate.mean()

    @property
    def accuracies(self) -> NDArray[np.float64]:
        """float64 [prompts]: of each wording, the median of its draws. Of a few cells it says little: the distribution is what is known."""
        return np.median(self.estimate.accuracies, axis=0)

    def __repr__(self) -> str:
        lines = [f"{self.task}: accuracy over {len(self.prompts)} wordings, by {self.asked:,} of {self.cells:,} cells"]
        for q in QUANTILES:
            middle, low, high = self.quantile(q)
            lines.append(f"  {q:>4.0%} of the wordings are below {middle:6.1%}   ({low:.1%} to {high:.1%})")
        return "\n".join(lines)


def estimate_wordings(
    model: Ranks, task: Task, *, share: float = 0.1, limit: int | None = None, seed: int = 0, **keywords: Any
) -> WordingsEstimate:
    """The distribution of accuracy over a task's wordings, hundreds of them, from a share of the cells (wording x row): quantiles with
    their error. Each wording is asked on as many rows, each row by about as many wordings; levels of the prompts' factors (t0.vary), where
    they have some, help to say what was not asked.

    share: of the cells, above 0 to 1; 0.05 and 0.1 are measured (benchmarks/RESULTS.md).  limit: rows of the task at most.  seed: of the
    sample, the draws and randomness inside templates.  keywords: others of `evaluate`; with out= what is finished is kept. A template that
    draws at random draws for a row by its number among those that its wording is asked on.
    A wording that failed is left out, and told. ConfigError for a task with one wording; DataError where values are not 0 and 1, as an
    F1, or all cells of all wordings failed. A row that a prompt drops counts as not asked. Method: PromptEval (Maia Polo et al. 2024), as
    reports/rasch.py has it.

    >>> task = t0.mini.held_out_tasks()[0]
    >>> found = t0.estimate_wordings(t0.Model.mini(), task, share=0.1, limit=100, progress=False)
    >>> middle, low, high = found.quantile(0.5)
    >>> low <= middle <= high
    True
    """
    if not isinstance(task, Task) or len(task.prompts) < 2:
        raise ConfigError("estimate_wordings: takes one Task with several wordings; t0.vary makes them")
    check(SHARE, "share", share), check(SEED, "seed", seed)
    n_rows = len(task.rows) if check(whole(1).or_none(), "limit", limit) is None else min(limit or 0, len(task.rows))
    names = list(task.prompts)
    cells = sample_cells(len(names), n_rows, share, seed)
    parts = [_part(task, name, np.flatnonzero(cells[p])) for p, name in enumerate(names)]
    report = evaluate(model, parts, seed=seed, **keywords)
    answers = np.full(cells.shape, np.nan)
    for p, correct in enumerate(report.correct):
        if correct is not None:
            answers[p, cells[p]] = correct
    known = answers[~np.isnan(answers)]
    if not len(known):
        raise DataError(
            f"estimate_wordings: no cell was answered: {report.failed[0]['reason'] if report.failed else 'all rows were dropped'}"
        )
    if not np.isin(known, (0, 1)).all():
        raise DataError(
            f"estimate_wordings: values of {report.cells[0]['metric']} are not right or wrong alone; it takes accuracy or exact match"
        )
    kept = [p for p, correct in enumerate(report.correct) if correct is not None]
    for cell in report.failed:
        _log.warning("estimate_wordings: %s failed, and is left out: %s", cell["task"], cell["reason"])
    prompts = [task.prompts[names[p]] for p in kept]
    factors = [getattr(getattr(prompt, "metadata", None), "factors", None) or {} for prompt in prompts]
    estimate = estimate_accuracies(answers[kept], one_hot(factors), seed)
    return WordingsEstimate(task.name, [names[p] for p in kept], len(kept) * n_rows, estimate)


def _part(task, name, numbers):
    """The task of one wording on these rows."""
    rows = [task.rows[int(i)] for i in numbers]
    facts = {"metric": list(task.metrics) or None, "dataset": task.full_dataset, "split": task.split, "truncate": task.truncate}
    return Task(f"{task.name}: {name}", rows, {name: task.prompts[name]}, strict=False, **facts)
