"""Reliability: how often answers of one confidence are right, as numbers, in text, and by matplotlib.

    bin k of 15      confidences in (k / 15, (k + 1) / 15]; 0 lies in the first
    accuracy[k]      share of its rows that are right;  confidence[k]: their mean confidence
    ece              sum_k n[k] |accuracy[k] - confidence[k]| / n                         (Naeini et al. 2015; Guo et al. 2017)

On the diagonal of the picture an answer of 80 % confidence is right in 80 of 100 cases; below it the model is too sure of itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.reports.plot import check_picture, new_axes, save_figure

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from t0native.base.annotations import PathName

__all__ = ["BINS", "Bins", "bins_of", "draw_reliability", "text_reliability"]

BINS = 15
STYLES = ("o--", "s-", "^:", "d-.")


class Bins(NamedTuple):
    """Arrays [15]: rows, and their mean confidence and accuracy (NaN where there are none)."""

    n: NDArray[np.int64]
    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]

    @property
    def ece(self) -> float:
        """Expected calibration error, a fraction of 1."""
        held = self.n > 0
        return float((self.n[held] * np.abs(self.accuracy[held] - self.confidence[held])).sum() / self.n.sum())


def bins_of(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Bins:
    """
    >>> bins = bins_of(np.array([0.9, 0.9, 0.6]), np.array([True, False, True]))
    >>> bins.n.nonzero()[0].tolist(), round(bins.ece, 3)
    ([8, 13], 0.4)
    """
    of_row = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    n = np.bincount(of_row, minlength=BINS)
    with np.errstate(invalid="ignore"):
        sums = (np.bincount(of_row, weights=values, minlength=BINS) / n for values in (confidence, right.astype(np.float64)))
        return Bins(n, *sums)


def text_reliability(stages: Sequence[tuple[str, Bins]], width: int = 72) -> str:
    """Lines of text: of each bin with rows a bar as long as it is right, and a | at its confidence."""
    lines = []
    for name, bins in stages:
        lines.append(f"{name}: accuracy of {int(bins.n.sum()):,} rows by confidence")
        size = max(10, width - 26)
        for k in np.flatnonzero(bins.n):
            bar = ["#" if i < round(bins.accuracy[k] * size) else " " for i in range(size + 1)]
            bar[min(size, round(bins.confidence[k] * size))] = "|"
            lines.append(f"  {k / BINS:.2f} {''.join(bar)} {100 * bins.accuracy[k]:5.1f} {int(bins.n[k]):>8,}")
        lines.append(f"  ece {bins.ece:.4f}   # accuracy, % and rows behind it, | confidence")
    return "\n".join(lines)


def draw_reliability(stages: Sequence[tuple[str, Bins]], path: PathName | None = None, ax: Axes | None = None) -> Axes:
    """A line a stage, each bin a point as large as it has rows, and the diagonal. Returns the Axes; never shows a window."""
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (5.0, 4.6)) if ax is None else ax
    ax.plot([0, 1], [0, 1], color="0.6", linewidth=1, label="as sure as right")
    for (name, bins), style in zip(stages, STYLES * len(stages)):
        held = bins.n > 0
        (line,) = ax.plot(bins.confidence[held], bins.accuracy[held], style, markersize=3, label=f"{name}: ECE {bins.ece:.3f}")
        ax.scatter(bins.confidence[held], bins.accuracy[held], s=8 + 200 * bins.n[held] / bins.n.sum(), color=line.get_color(), alpha=0.4)
    ax.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1.02), ylim=(0, 1.02), title="Reliability")
    ax.legend(loc="upper left", frameon=False)
    if path is not None:
        save_figure(ax.figure, Path(path), "Reliability: " + "; ".join(f"{name}: ECE {bins.ece:.3f}" for name, bins in stages))
    return ax
