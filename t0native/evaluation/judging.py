"""A cell judged: what a model said to its rows, by each metric that the task names.

    rankings, texts --Metric.of_row, of_group, weigh--> value of the cell, values of its rows, replicates for intervals

The first metric is the cell's own. Its rows hold the values whose mean the cell's value is: of a metric of groups (questions of
MultiRC), the group's value at its first row. A metric that is no mean has draws, its values in the replicates of bootstrap.py,
and its rows tell which answers are right (choices), or equal to a target (text)."""

import operator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from t0native.base.errors import DataError, Error
from t0native.base.showing import listed, shown
from t0native.reports.bootstrap import corpus_draws
from t0native.tasks.metrics import METRICS
from t0native.tasks.sifting import NO_LABEL

__all__ = ["FAILURES", "Answers", "Judged", "judge", "judge_or_find", "unjudgeable", "unsound"]

FAILURES = (Error, ValueError, ArithmeticError)  # what makes a row, or a cell, fail; the others go on


@dataclass
class Answers:
    """What a model said to the n rows that a prompt kept; None where no metric asks for it.

    rankings: [n], each with index (and scores and lengths, which only some metrics need).  texts: [n] of str.
    dropped: (row, reason, detail) of rows that the prompt kept and that have no answer here."""

    rankings: list | None = None
    texts: list | None = None
    dropped: list = field(default_factory=list)

    def of_rows(self, places):
        """Those of some rows alone, by their places here."""
        rankings, texts = (None if them is None else [them[i] for i in places] for them in (self.rankings, self.texts))
        return Answers(rankings, texts, self.dropped)


@dataclass
class Judged:
    """values: float64 [rows of the task], NaN where dropped.  metrics: {name: value}.  draws: float64 [replicates] or None.
    chance: what guessing gives, or None.  normalized: accuracy by scores divided by tokens, the end token counted, or None."""

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
    wrong = next((f"metric {shown(name)} gives {value}" for name, value in values.items() if not -1 <= value <= 1), None)
    if wrong:
        raise DataError(f"{wrong}: must be a fraction of 1 (a correlation from -1)")
    return Judged(
        values=first.rows,
        metrics=values,
        draws=first.draws(seed),
        chance=first.chance(),
        normalized=_accuracy_per_token(rows, answers.rankings),
    )


# ---- rows that cannot be judged: lists of (row, reason, detail) -------------------------------------------------------


def unjudgeable(metrics, source, kept):
    """Rows of which a metric cannot say what is right, whatever the model says. kept: of cells.RenderedRow."""
    found = []
    for row in kept:
        try:
            for metric in metrics:
                _read_target(metric, source, row)
                for path in metric.group:
                    _read_field(metric, source[row.index], row.index, path)
        except FAILURES as error:
            found.append((row.index, "what is right cannot be told", str(error)))
    return found


def unsound(kept, answers):
    """Rows whose ranking is none: scores that are not finite, or a number that is no choice's."""
    found = []
    for row, ranking in zip(kept, answers.rankings or ()):
        scores = getattr(ranking, "scores", None)
        if scores is not None and not np.isfinite(np.asarray(scores, np.float64)).all():
            found.append((row.index, "the model's scores are not finite", f"{shown(np.asarray(scores).tolist())} of {shown(row.ranked)}"))
        elif not 0 <= operator.index(ranking.index) < len(row.ranked):
            found.append((row.index, "the model takes none of the choices", f"number {ranking.index} of {len(row.ranked)}"))
    return found


def judge_or_find(metrics, source, rows, answers, seed):
    """(Judged, []), or (None, the rows to which a metric gives no number, or one that is no fraction of 1). Errors as judge's, where it
    is no row's fault."""
    try:
        judged = judge(metrics, source, rows, answers, seed)
    except FAILURES:
        bad = _unscored(metrics, source, rows.kept, answers)
        if not bad:
            raise
        return None, bad
    if metrics[0].mean_over == "rows" and np.isnan(judged.values[[row.index for row in rows.kept]]).any():
        return None, _unscored(metrics, source, rows.kept, answers)
    return judged, []


def _unscored(metrics, source, kept, answers):
    found = {}
    for metric in metrics:
        if metric.of_row is None:
            continue
        predictions = _predictions(metric, answers)
        for row, prediction in zip(kept, predictions):
            try:
                value = float(metric.of_row(prediction, _read_target(metric, source, row)))
                problem = None if -1 <= value <= 1 else f"metric {shown(metric.name)} gives {value}: must be a fraction of 1"
            except FAILURES as error:
                problem = f"metric {shown(metric.name)}: {type(error).__name__}: {error}"
            if problem:
                found.setdefault(row.index, (row.index, "it cannot be scored", problem))
    return list(found.values())


def _predictions(metric, answers):
    """What the metric's functions get of each row."""
    if metric.by_choices:
        return [ranking.scores if metric.needs == "scores" else ranking.index for ranking in answers.rankings]
    return answers.texts


# ---- one metric -------------------------------------------------------------------------------------------------------


class _Judgement:
    """One metric of one cell."""

    def __init__(self, metric, source, rows, answers):
        self.metric, self.n, self.indices = metric, rows.n, [row.index for row in rows.kept]
        self.targets = [_read_target(metric, source, row) for row in rows.kept]
        self.predictions = _predictions(metric, answers)
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
        if metric.no_answer and isinstance(right, (list, tuple, np.ndarray)) and len(right) == 0:
            return ["", row.target] if row.target != NO_LABEL else [""]  # SQuAD 2.0: nothing is right, or the prompt's words for it
        texts = _check_texts(metric, index, right)
        if metric.check_target is not None:
            metric.check_target(texts[0])
        return texts
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
        raise DataError(f"metric {shown(metric.name)}, row {index}: {shown(right)} names no right one of the choices {shown(choices)}")
    if metric.check_target is not None:
        metric.check_target(worth)
    return worth


def _check_texts(metric, index, right):
    texts = [right] if isinstance(right, str) else list(right) if isinstance(right, (list, tuple, np.ndarray)) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise DataError(f"metric {shown(metric.name)}, row {index}: its target is {shown(right)}, must be a text or a list of texts")
    return texts


def _read_field(metric, row, index, path):
    """The row's value at "field.inner"."""
    value = row
    for name in path.split("."):
        if not hasattr(value, "keys") or name not in value:
            raise DataError(
                f"metric {shown(metric.name)}, row {index}: no field {shown(name)} of {shown(path)}; the row has: {listed(row)}"
            )
        value = value[name]
    return value
