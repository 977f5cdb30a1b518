"""The record of a cell: one prompt of one task under one model, and what a report says of it.

    stage            in                       fills in
    plan             evaluation/cells.py      what it is of (model ... prompt_id), metric; dropped, cut, reason of its rows
    judge            evaluation/cells.py      metrics, normalized; correct, chance, draws
    keep             evaluation/evaluate.py   answers; examples, where a journal keeps them
    summarize        summary.py               value, low, high, n
    plan, judge or what answers in between    status "failed" and its reason

A report's `cells` are dicts of the fields that have a kind, in the order in which they stand below; `to_dict` alone makes them. The
last fields are what the numbers are made of: a report holds them beside its cells, and saves the rows."""

from dataclasses import dataclass, field, fields

import numpy as np

from t0native.base.arguments import MAPPING, TEXT, number, whole

__all__ = ["CELL", "COUNT", "SHARE", "CellRecord"]

SHARE = number(lambda value: -1 <= value <= 1, "a number from -1 to 1").or_none()  # correlations can be below 0
COUNT = whole(0)
_NAME = TEXT.or_none()


def _required(kind):
    return field(metadata={"kind": kind})


def _optional(kind, default=None):
    return field(default=default, metadata={"kind": kind})


@dataclass(kw_only=True)
class CellRecord:
    """One cell; the table above says which stage fills in which field.

    >>> record = CellRecord(model="m", task="t", prompt="p", metric="accuracy")
    >>> record.ok, list(record.to_dict())[:3], CellRecord.from_dict(record.to_dict()) == record
    (True, ['model', 'task', 'dataset'], True)
    """

    model: str = _required(TEXT)
    task: str = _required(TEXT)
    dataset: str | None = _optional(_NAME)
    subset: str | None = _optional(_NAME)
    split: str | None = _optional(_NAME)
    prompt: str = _required(TEXT)
    prompt_id: str | None = _optional(_NAME)
    metric: str = _required(TEXT)  # by which the cell has its value: the first of `metrics`
    value: float | None = _optional(SHARE)
    low: float | None = _optional(SHARE)  # to high: 95 % interval of the value
    high: float | None = _optional(SHARE)
    n: int | None = _optional(COUNT.or_none())  # rows that the value is of
    dropped: int | None = _optional(COUNT.or_none(), 0)  # rows left out by the prompt
    cut: int | None = _optional(COUNT.or_none(), 0)  # rows kept of which a value was cut at 2,048 characters
    status: str = _optional(TEXT, "ok")  # or "failed"
    reason: str | None = _optional(_NAME)  # why it failed, or why rows were dropped
    metrics: dict | None = _optional(MAPPING.or_none())  # name -> value, of all that the task names
    normalized: float | None = _optional(SHARE)  # accuracy by scores a token
    examples: str | None = _optional(_NAME)  # name of the file of its rows in the evaluation's folder
    factors: dict | None = _optional(MAPPING.or_none())  # factor -> level, of a wording that vary made; other cells' dicts lack the key

    correct: np.ndarray | None = field(
        default=None, repr=False, compare=False
    )  # float64 [rows], a row's value, NaN where dropped; None of a failed cell
    chance: float | None = field(default=None, compare=False)  # what guessing gives, where the metric has a chance level
    draws: np.ndarray | None = field(default=None, repr=False, compare=False)  # float64 [replicates], of a metric that is no mean over rows
    answers: object = field(
        default=None, repr=False, compare=False
    )  # evaluation/texts.py's CellAnswers: what was said of the rows, or None

    @property
    def ok(self):
        return self.status == "ok"

    def fail(self, reason):
        """The cell has failed for this reason, a text."""
        self.status, self.reason = "failed", reason

    def to_dict(self):
        """The cell as it stands in Report.cells."""
        return {name: getattr(self, name) for name in CELL if name != "factors" or self.factors is not None}

    def measured(self):
        """The part of that dict which `summarize` fills in."""
        return {"value": self.value, "low": self.low, "high": self.high, "n": self.n}

    @classmethod
    def from_dict(cls, cell, correct=None, chance=None, draws=None):
        """The record of one of Report.cells. Keys that a cell lacks count as None, but model, task, prompt and metric (KeyError); others
        than a cell's are left out."""
        named = {name: cell[name] for name in ("model", "task", "prompt", "metric")}
        values = {name: cell.get(name) for name in CELL} | named
        return cls(**values, correct=correct, chance=chance, draws=draws)


CELL = {part.name: part.metadata["kind"] for part in fields(CellRecord) if "kind" in part.metadata}  # key of a cell's dict -> its Kind
