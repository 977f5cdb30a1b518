"""A cell judged: what a model said to its rows, by each metric that the task names.

    rankings, texts --Metric.of_row, of_group, weigh--> value of the cell, values of its rows, replicates for intervals

The first metric is the cell's own. Its rows hold the values whose mean the cell's value is: of a metric of groups (questions of
MultiRC), the group's value at its first row. A metric that is no mean has draws, its values in the replicates of bootstrap.py,
and its rows tell which answers are right (choices), or equal to a target (text)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from t0native.base.arguments import shown
from t0native.base.errors import DataError
from t0native.reports.bootstrap import corpus_draws
from t0native.tasks.metrics import METRICS

__all__ = ["Answers", "Judged", "judge"]


@dataclass
class Answers:
    """What a model said to the n rows that a prompt kept; None where no metric asks for it.

    rankings: [n], each with index (and scores and lengths, which only some metrics need).  texts: [n] of str."""

    rankings: list | None = None
    texts: list | None = None


@dataclass
class Judged:
    """values: float64 [rows of the task], NaN where dropped.  metrics: {name: value}.  draws: float64 [replicates] or None.
    chance: what guessing gives, or None.  normalized: accuracy by scores divided by lengths, or None."""

    values: np.ndarray
    metrics: dict
    draws: np.ndarray | None = None
    chance: float | None = None
    normalized: float | None = None


def judge(metrics, source, rows, answers, seed):
    """Judged, of the rows that a prompt kept.

    metrics: one or more Metric.  source: the task's rows.  rows: cells.RenderedRows: n, how many there were, and those kept.  answers:
    Answers.  DataError for a row that lacks the field that a metric names, and for a metric that gives what is no fraction of 1."""
    judgements = [_Judgement(metric, source, rows, answers) for metric in metrics]
    first = judgements[0]
    values = {metric.name: judgement.value for metric, judgement in zip(metrics, judgements)}
    wrong = next((f"metric {name!r} gives {value}" for name, value in values.items() if not -1 <= value <= 1), None)
    if wrong:
        raise DataError(f"{wrong}: must be a fraction of 1 (a correlation from -1)")
    return Judged(
        values=first.rows,
        metrics=values,
        draws=first.draws(seed),
        chance=first.chance(),
        normalized=_accuracy_per_token(rows, answers.rankings),
    )


class _Judgement:
    """One metric of one cell."""

    def __init__(self, metric, source, rows, answers):
        self.metric, self.n, self.indices = metric, rows.n, [row.index for row in rows.kept]
        self.targets = [_read_target(metric, source, row) for row in rows.kept]
        if metric.by_choices:
            self.predictions = [ranking.scores if metric.needs == "scores" else ranking.index for ranking in answers.rankings]
        else:
            self.predictions = answers.texts
        self.groups = _group(metric, source, self.indices)
        self.weigh = metric.weigh(self.predictions, self.targets) if metric.weigh else None
        self.plain = metric if metric.mean_over else METRICS["accuracy" if metric.by_choices else "exact_match"]

    @cached_property
    def value(self):
        if self.metric.mean_over:
            return float(np.nanmean(self.rows))
        return float(self.weigh(np.ones((1, len(self.targets))))[0] if self.weigh else self.metric.of_rows(self.predictions, self.targets))

    @cached_property
    def rows(self):
        values = np.full(self.n, np.nan)
        if self.groups is not None:
            for places in self.groups:
                values[self.indices[places[0]]] = self.metric.of_group(
                    *([them[i] for i in places] for them in (self.predictions, self.targets))
                )
            return values
        predictions = self.predictions
        if self.metric.needs == "scores" and self.plain is not self.metric:
            predictions = [int(np.argmax(scores)) for scores in predictions]
        values[self.indices] = list(map(self.plain.of_row, predictions, self.targets))
        return values

    def draws(self, seed):
        if self.metric.mean_over:
            return None
        return corpus_draws(self.weigh or self._weigh_by_repeating, self.indices, self.n, self.value, seed)

    def _weigh_by_repeating(self, weights):
        """of_rows, a replicate at a time."""
        values = []
        for counts in weights.astype(np.int64):
            drawn = np.repeat(np.arange(len(counts)), counts)
            values.append(self.metric.of_rows([self.predictions[i] for i in drawn], [self.targets[i] for i in drawn]))
        return np.array(values, np.float64)

    def chance(self):
        """Of the mean of the choices' worth, where that is what the metric gives."""
        if self.metric.of_row not in (METRICS["accuracy"].of_row, METRICS["multiple_choice_grade"].of_row):
            return None
        return float(np.mean([np.mean(worth) for worth in self.targets]))


def _accuracy_per_token(rows, rankings):
    """Accuracy of the choice whose score a token of its length is highest; None where the model gave no scores."""
    if not rankings or not all(hasattr(ranking, "lengths") and hasattr(ranking, "scores") for ranking in rankings):
        return None
    best = [int(np.argmax(np.asarray(ranking.scores) / ranking.lengths)) for ranking in rankings]
    return float(np.mean([row.choices[i] == row.target for i, row in zip(best, rows.kept)]))


def _group(metric, source, indices):
    """[groups] of lists of places in indices, in the order of their first rows; None where the metric has none."""
    if not metric.group:
        return None
    groups = {}
    for place, index in enumerate(indices):
        groups.setdefault(tuple(str(_read_field(metric, source[index], index, path)) for path in metric.group), []).append(place)
    return list(groups.values())


def _read_target(metric, source, row):
    """What is right in a RenderedRow: for text, a list of texts; for choices, their worth, float64 [choices]."""
    index, choices = row.index, row.choices
    right = row.target if metric.targets is None else _read_field(metric, source[index], index, metric.targets)
    if not metric.by_choices:
        return _check_texts(metric, index, right)
    if isinstance(right, dict):
        worth = [right.get(choice, 0) for choice in choices]
    elif isinstance(right, (list, tuple, np.ndarray)) and len(right) and not isinstance(right[0], str):
        worth = right
    else:
        texts = _check_texts(metric, index, right)
        worth = [choice in texts for choice in choices]
    try:
        worth = np.array(worth, np.float64)
    except (TypeError, ValueError):
        worth = np.full(0, np.nan)
    if worth.shape != (len(choices),) or not worth.max() > 0:
        raise DataError(f"metric {metric.name!r}, row {index}: {shown(right)} names no right one of the choices {shown(choices)}")
    return worth


def _check_texts(metric, index, right):
    texts = [right] if isinstance(right, str) else list(right) if isinstance(right, (list, tuple, np.ndarray)) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"metric {metric.name!r}, row {index}: its target is {shown(right)}, must be a text or a list of texts")
    return texts


def _read_field(metric, row, index, path):
    """The row's value at "field.inner"."""
    value = row
    for name in path.split("."):
        if not hasattr(value, "keys") or name not in value:
            raise DataError(f"metric {metric.name!r}, row {index}: no field {name!r} of {path!r}; the row has: {', '.join(map(str, row))}")
        value = value[name]
    return value
