"""What probabilities are worth, by texts with known labels, before and after calibration.

    ece        sum over 15 equal bins of confidence of |sum of (right - confidence)| / rows, confidence: the largest probability
               (Guo et al. 2017; the metric "ece" of evaluations)
    brier      mean over texts of sum_c (q[c] - [c is right])^2, from 0 to 2                          (Brier 1950)
    log_loss   mean of -log q of the right label, nats; below log 1e-15 counts as that
    coverage   share of the texts that get a label;  accuracy: of all texts, whether they would get one;  accuracy_given: of those

Of several labels a text, each text and label is a row, confidence is max(q, 1 - q), and brier its (q - [right])^2, from 0 to 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.reports.reliability import Bins, bins_of, draw_reliability, text_reliability

if TYPE_CHECKING:  # of annotations alone
    from matplotlib.axes import Axes

    from t0native.base.annotations import PathName

__all__ = ["ClassifierReport", "Judged"]

SMALLEST = 1e-15


class Judged(NamedTuple):
    """A stage of a classifier on texts with labels.  stage: its name.  probabilities: float64 [B, C].  right: bool [B, C].
    given: bool [B], whether a text gets a label.  apart: several labels a text."""

    stage: str
    probabilities: NDArray[np.float64]
    right: NDArray[np.bool_]
    given: NDArray[np.bool_]
    apart: bool = False

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Of the answer of each row."""
        q = self.probabilities
        return np.maximum(q, 1 - q).ravel() if self.apart else q.max(axis=1)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Whether the answer of each row is right."""
        if self.apart:
            return ((self.probabilities >= 0.5) == self.right).ravel()
        return self.right[np.arange(len(self.right)), self.probabilities.argmax(axis=1)]

    @property
    def bins(self) -> Bins:
        return bins_of(self.confidence, self.hits)

    def numbers(self) -> dict[str, Any]:
        """The dict of `ClassifierReport.statistics`."""
        q, right, hits = self.probabilities, self.right, self.hits
        given = np.repeat(self.given, right.shape[1]) if self.apart else self.given
        of_right = np.where(right, q, 1 - q) if self.apart else q[right]
        return {
            "stage": self.stage,
            "n": len(right),
            "accuracy": float(hits.mean()),
            "ece": self.bins.ece,
            "brier": float(((q - right) ** 2).mean() if self.apart else ((q - right) ** 2).sum(axis=1).mean()),
            "log_loss": float(np.log(1 / np.clip(of_right, SMALLEST, 1)).mean()),
            "coverage": float(given.mean()),
            "accuracy_given": float(hits[given].mean()) if given.any() else None,
        }


class ClassifierReport:
    """How right a classifier is, and how far its probabilities can be believed; print it. Made by `Classifier.report`.

    stages: a list of Judged: before calibration, and after it where there is any."""

    stages: list[Judged]

    def __init__(self, stages: list[Judged]) -> None:
        self.stages = list(stages)

    def statistics(self) -> list[dict[str, Any]]:
        """A list of dicts, one a stage ("before", "after"): n (texts), accuracy, ece, brier, log_loss, coverage, accuracy_given (None where
        no text gets a label).

        >>> report = ClassifierReport([Judged("before", np.array([[0.9, 0.1], [0.6, 0.4]]), np.eye(2, dtype=bool), np.ones(2, bool))])
        >>> {name: round(value, 3) for name, value in report.statistics()[0].items() if name != "stage"}
        {'n': 2, 'accuracy': 0.5, 'ece': 0.35, 'brier': 0.37, 'log_loss': 0.511, 'coverage': 1.0, 'accuracy_given': 0.5}
        """
        return [stage.numbers() for stage in self.stages]

    def plot(self, path: PathName | None = None, ax: Axes | None = None) -> Axes:
        """Accuracy against confidence, before and after, by matplotlib; returns the Axes.  path: where to save it (.png, .svg, .pdf).
        ImportError where matplotlib is not installed."""
        return draw_reliability([(stage.stage, stage.bins) for stage in self.stages], path, ax)

    def reliability(self, width: int = 72) -> str:
        """The same picture in text, a line a bin.

        >>> report = ClassifierReport([Judged("before", np.array([[0.9, 0.1], [0.6, 0.4]]), np.eye(2, dtype=bool), np.ones(2, bool))])
        >>> print(report.reliability(40).splitlines()[0])
        before: accuracy of 2 rows by confidence
        """
        return text_reliability([(stage.stage, stage.bins) for stage in self.stages], width)

    def to_markdown(self) -> str:
        """The numbers as a table in Markdown.

        >>> report = ClassifierReport([Judged("before", np.array([[0.9, 0.1], [0.6, 0.4]]), np.eye(2, dtype=bool), np.ones(2, bool))])
        >>> print(report.to_markdown().splitlines()[0])
        | stage | n | accuracy | ece | brier | log_loss | coverage | accuracy_given |
        """
        rows = [[_cell(value) for value in numbers.values()] for numbers in self.statistics()]
        names = list(self.statistics()[0])
        return "\n".join(f"| {' | '.join(row)} |" for row in [names, ["---"] * len(names), *rows])

    def __str__(self) -> str:
        rows = [["", *list(self.statistics()[0])[1:]], *([_cell(value) for value in numbers.values()] for numbers in self.statistics())]
        wide = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
        return "\n".join("  ".join(cell.rjust(w) if i else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, wide))) for row in rows)

    __repr__ = __str__


def _cell(value):
    return value if isinstance(value, str) else "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
