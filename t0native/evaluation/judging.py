"""A cell judged: what a model said to its rows, by each metric that the task names.

    rankings, texts --Metric.of_row, of_group, weigh--> value of the cell, values of its rows, replicates for intervals

The first metric is the cell's own. Its rows hold the values whose mean the cell's value is: of a metric of groups (questions of
MultiRC), the group's value at its first row. A metric that is no mean has draws, its values in the replicates of bootstrap.py,
and its rows tell which answers are right (choices), or equal to a target (text)."""

import operator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from t0native.base.errors import DataError, Error
from t0native.base.showing import listed, shown
from t0native.reports.bootstrap import corpus_draws
from t0native.tasks.metrics import METRICS
from t0native.tasks.sifting import NO_LABEL

__all__ = ["FAILURES", "Judged", "judge", "judge_or_find", "unjudgeable", "unsound"]

AT_ONCE = 8192  # rows judged
_GUESSED = (METRICS["accuracy"].of_row, METRICS["multiple_choice_grade"].of_row)  # of metrics that have a chance level
FAILURES = (Error, ValueError, ArithmeticError)  # what makes a row, or a cell, fail; the others go on


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

    metrics: one or more Metric.  source: the task's rows.  rows: RenderedRows: n, how many there were, and those kept.  answers:
    Answers.  DataError for a row that lacks the field that a metric names, and for a metric that gives what is no fraction of 1."""
    judgements, per_token = [_Judgement(metric, source, rows, answers) for metric in metrics], _PerToken(answers.rankings)
    for row in rows.kept:
        for judgement in judgements:
            judgement.add(row)
        per_token.add(row)
    first = judgements[0]
    values = {metric.name: judgement.value for metric, judgement in zip(metrics, judgements)}
    wrong = next((f"metric {shown(name)} gives {value}" for name, value in values.items() if not -1 <= value <= 1), None)
    if wrong:
        raise DataError(f"{wrong}: must be a fraction of 1 (a correlation from -1)")
    return Judged(values=first.rows, metrics=values, draws=first.draws(seed), chance=first.chance(), normalized=per_token.accuracy)


# ---- rows that cannot be judged: lists of (row, reason, detail) -------------------------------------------------------


def unjudgeable(metrics, source, kept):
    """Rows of which a metric cannot say what is right, whatever the model says. kept: KeptRows."""
    found = []
    if not kept.held and not any(metric.targets or metric.group or metric.check_target for metric in metrics):
        return found  # what the prompt gives is right, and it is looked at already
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
    for place, ranking in enumerate(answers.rankings or ()):
        scores = getattr(ranking, "scores", None)
        if scores is not None and not np.isfinite(np.asarray(scores, np.float64)).all():
            row = kept[place]
            found.append((row.index, "the model's scores are not finite", f"{shown(np.asarray(scores).tolist())} of {shown(row.ranked)}"))
        elif not 0 <= operator.index(ranking.index) < kept.n_ranked[place]:
            row = kept[place]
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
    if metrics[0].mean_over == "rows" and np.isnan(judged.values[np.asarray(rows.kept.indices)]).any():
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
    """What the metric's functions get of each row, one after the other."""
    if metric.by_choices:
        return ((ranking.scores if metric.needs == "scores" else ranking.index) for ranking in answers.rankings)
    return iter(answers.texts)


# ---- one metric -------------------------------------------------------------------------------------------------------


class _Judgement:
    """One metric of one cell; each row that is kept is added once, in their order. Of a mean over rows a number a row is held, else what
    was said and what is right."""

    def __init__(self, metric, source, rows, answers):
        self.metric, self.n, self.indices, self._source = metric, rows.n, rows.kept.indices, source
        self.predictions, self.targets = [], []
        self.plain = metric if metric.mean_over else METRICS["accuracy" if metric.by_choices else "exact_match"]
        self._said = _predictions(metric, answers)
        self._values, self._chances, self._done = np.full(rows.n, np.nan), [] if metric.of_row in _GUESSED else None, 0

    def add(self, row):
        target = _read_target(self.metric, self._source, row)
        self.targets.append(target)
        self.predictions.append(next(self._said))
        if self.metric.mean_over == "rows" and len(self.targets) == AT_ONCE:
            self._judge_rows()

    def _judge_rows(self):
        """The values of the rows that were added since."""
        numbers = np.asarray(self.indices[self._done : self._done + len(self.targets)])
        self._values[numbers] = list(map(self.metric.of_row, self.predictions, self.targets))
        if self._chances is not None:
            self._chances.append(np.array([np.mean(worth) for worth in self.targets], np.float64))
        self._done += len(self.targets)
        self.predictions, self.targets = [], []

    @cached_property
    def weigh(self):
        return self.metric.weigh(self.predictions, self.targets) if self.metric.weigh else None

    @cached_property
    def value(self):
        if self.metric.mean_over:
            return float(np.nanmean(self.rows))
        return float(self.weigh(np.ones((1, len(self.targets))))[0] if self.weigh else self.metric.of_rows(self.predictions, self.targets))

    @cached_property
    def rows(self):
        if self.metric.mean_over == "rows":
            self._judge_rows()
            return self._values
        values = self._values
        if self.metric.mean_over == "groups":
            for places in _group(self.metric, self._source, self.indices):
                values[self.indices[places[0]]] = self.metric.of_group(
                    *([them[i] for i in places] for them in (self.predictions, self.targets))
                )
            return values
        predictions = self.predictions
        if self.metric.needs == "scores":
            predictions = [int(np.argmax(scores)) for scores in predictions]
        values[np.asarray(self.indices)] = list(map(self.plain.of_row, predictions, self.targets))
        return values

    def draws(self, seed):
        if self.metric.mean_over:
            return None
        return corpus_draws(self.weigh or self._weigh_by_repeating, np.asarray(self.indices, np.int64), self.n, self.value, seed)

    def _weigh_by_repeating(self, weights):
        """of_rows, a replicate at a time."""
        values = []
        for counts in weights.astype(np.int64):
            drawn = np.repeat(np.arange(len(counts)), counts)
            values.append(self.metric.of_rows([self.predictions[i] for i in drawn], [self.targets[i] for i in drawn]))
        return np.array(values, np.float64)

    def chance(self):
        """Of the mean of the choices' worth, where that is what the metric gives."""
        return None if self._chances is None else float(np.mean(np.concatenate(self._chances)))


class _PerToken:
    """Accuracy of the choice whose score a token of its length is highest; None where the model gave no scores."""

    def __init__(self, rankings):
        self._said, self._right = iter(rankings or ()), bytearray() if rankings else None

    def add(self, row):
        if self._right is None:
            return
        ranking = next(self._said)
        if getattr(ranking, "lengths", None) is None or getattr(ranking, "scores", None) is None:
            self._right = None
            return
        best = int(np.argmax(np.asarray(ranking.scores) / ranking.lengths))
        self._right.append(bool(row.choices[best] == row.target))

    @property
    def accuracy(self):
        return None if self._right is None else float(np.mean(np.frombuffer(self._right, bool)))


def _group(metric, source, indices):
    """[groups] of lists of places in indices, in the order of their first rows."""
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
