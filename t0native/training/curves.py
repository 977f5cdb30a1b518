"""The loss over the steps of a run, and what validation found, from its log: by matplotlib, or in text without it.

A point of the text is the mean loss of the logged steps in its column; the picture shows each logged step, and the mean of the logged steps
around it, as many before as behind: 10 of each, towards the ends fewer, and 3 at least. It is where the loss is, neither ahead nor late.
Under the text a line tells the best validation and the last."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from t0native.base.errors import ConfigError
from t0native.reports.alttext import curve_in_words
from t0native.reports.plot import check_picture, legend_above, new_axes, save_figure
from t0native.training.validations import best_validation, validations_of

if TYPE_CHECKING:  # of annotations alone
    from typing import Literal

    from matplotlib.axes import Axes

    from t0native.base.annotations import PathName
    from t0native.training.train import Run

__all__ = ["centred_mean", "loss_curve", "read_points"]

LOG = "log.jsonl"
WIDTH, HEIGHT = 64, 8  # characters
AROUND, LEAST = 10, 3  # logged steps on either side of one, whose mean is drawn: most, and fewest


@overload
def loss_curve(run: Run | PathName, path: PathName | None = ..., ax: Axes | None = ..., text: Literal[False] = ...) -> Axes: ...
@overload
def loss_curve(run: Run | PathName, path: PathName | None = ..., ax: Axes | None = ..., *, text: Literal[True]) -> str: ...
def loss_curve(run: Run | PathName, path: PathName | None = None, ax: Axes | None = None, text: bool = False) -> Axes | str:
    """The loss of each logged step, and the mean around it; where the run was validated, the mean over tasks, %, on an axis of its own: of
    their means over prompts, whose best step is marked, where the run selected by them, else of their medians. Returns the Axes, or a str
    with text=True; never shows a window.

    run: the folder of a run, or a Run.  path: a file (.png, .svg, .pdf), written whole or not at all.  ax: an Axes to draw on.
    ConfigError where nothing is logged, ImportError without matplotlib, unless text=True.

    >>> run = t0.train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=2, log_every=1, batch_size=4, progress=False)
    >>> len(loss_curve(run, text=True).splitlines())
    9
    """
    log, name = _read_log(run)
    steps, losses = _points(log, "loss", name)
    if text:
        return "\n".join([_draw_text(steps, losses), *_validation_in_text(validations_of(log)[0])])
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (7, 4)) if ax is None else ax
    ax.plot(steps, losses, ".", color="C0", alpha=0.3, markersize=3)
    inner = slice(least := min(LEAST, (len(losses) - 1) // 2), len(losses) - least)
    ax.plot(
        steps[inner],
        centred_mean(losses)[inner],
        color="C0",
        label=f"loss, centred mean of {min(2 * AROUND + 1, len(losses))} logged steps",
    )
    ax.set_xlabel("step")
    ax.set_ylabel("loss, nats a target token")
    points, selected = validations_of(log)
    _draw_validation(ax, points, selected)
    legend_above(ax)
    if path is not None:
        save_figure(ax.figure, Path(path), curve_in_words(steps.tolist(), losses, points))
    return ax


def centred_mean(values, around=AROUND):
    """Each value's mean with its neighbours, `around` of them before it and as many behind it, or fewer, where an end is nearer.

    values: float64 [n].  Gives [n].

    >>> centred_mean(np.array([0.0, 3.0, 6.0, 0.0]), around=1).tolist()
    [0.0, 3.0, 3.0, 0.0]
    """
    sums, at = np.concatenate([[0.0], np.cumsum(values)]), np.arange(len(values))
    reach = np.minimum(around, np.minimum(at, len(values) - 1 - at))
    return (sums[at + reach + 1] - sums[at - reach]) / (2 * reach + 1)


def _draw_validation(ax, points, selected):
    if not points:
        return
    right = ax.twinx()
    right.plot(*zip(*points), "s-", color="C1", markersize=4)
    right.set_ylabel("validation, %\n(mean over tasks " + ("and prompts)" if selected else "of the median over prompts)"))
    ax.plot([], [], "s-", color="C1", label="validation")
    if selected:
        step, value = best_validation(points)
        right.plot([step], [value], "*", color="C1", markersize=12)
        ax.plot([], [], "*", color="C1", markersize=9, linestyle="none", label=f"best: {value:.1f} at step {step:,}")


def read_points(run):
    """(steps int64 [n], losses float64 [n]) of what a Run has logged; empty where nothing is.

    >>> read_points(t0.train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=2, batch_size=4, progress=False))[0].tolist()
    [2]
    """
    points = [(entry["step"], entry["loss"]) for entry in run.log if isinstance(entry.get("loss"), float)]
    return np.array([step for step, _ in points], np.int64), np.array([loss for _, loss in points], np.float64)


def _read_log(run):
    """(entries, what they are the log of)."""
    if hasattr(run, "log"):
        return run.log, "the run"
    path = Path(run) / LOG
    entries = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:  # the line that a crash cut
                continue
            if isinstance(entry, dict) and isinstance(entry.get("step"), int):
                entries.append(entry)
    return entries, path


def _points(log, key, name):
    points = [(entry["step"], entry[key]) for entry in log if isinstance(entry.get(key), float)]
    if not points:
        raise ConfigError(f"{name}: no step is logged yet; there is a line every log_every steps")
    return tuple(np.array(values) for values in zip(*points))


def _validation_in_text(points):
    """The line under the curve, where the run was validated."""
    if not points:
        return []
    (best, value), (last, latest) = best_validation(points), points[-1]
    return [f"{'':9}  validation, %: best {value:.1f} at step {best:,}, last {latest:.1f} at step {last:,}"]


def _draw_text(steps, losses):
    """Rows of characters, the largest loss above."""
    width = min(WIDTH, len(losses))
    values = [part.mean() for part in np.array_split(losses, width)]
    low, high = min(values), max(values)
    rows = [round((value - low) / (high - low) * (HEIGHT - 1)) if high > low else 0 for value in values]
    lines = []
    for row in reversed(range(HEIGHT)):
        mark = f"{high:.3f}" if row == HEIGHT - 1 else f"{low:.3f}" if row == 0 else ""
        lines.append(f"{mark:>9} |" + "".join("*" if at == row else " " for at in rows).rstrip())
    return "\n".join([*lines, f"{'':9}  step {steps[0]:,} to {steps[-1]:,}, loss in nats a target token"])
