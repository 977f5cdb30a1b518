"""The loss over the steps of a run, and what validation found, from its log: by matplotlib, or in text without it.

A point of the text is the mean loss of the logged steps in its column; the picture shows each logged step and their running mean."""

import json
from pathlib import Path

import numpy as np

from t0native.base.errors import ConfigError
from t0native.reports.plot import check_picture, new_axes, save_figure

__all__ = ["loss_curve"]

LOG = "log.jsonl"
WIDTH, HEIGHT = 64, 8  # characters
SMOOTH = 20  # logged steps, of the running mean


def loss_curve(run, path=None, ax=None, text=False):
    """The loss of each logged step; where the run was validated, the mean over the tasks' medians, %, on an axis of its own.
    Returns the Axes, or a str with text=True; never shows a window.

    run: the folder of a run, or a Run.  path: a file (.png, .svg, .pdf), written whole or not at all.  ax: an Axes to draw on.
    ConfigError where nothing is logged, ImportError without matplotlib, unless text=True.

    >>> run = t0.train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=2, log_every=1, batch_size=4, progress=False)
    >>> len(loss_curve(run, text=True).splitlines())
    9
    """
    log, name = _read_log(run)
    steps, losses = _points(log, "loss", name)
    if text:
        return _draw_text(steps, losses)
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (7, 4)) if ax is None else ax
    ax.plot(steps, losses, ".", color="C0", alpha=0.3, markersize=3)
    window = min(SMOOTH, len(losses))
    ax.plot(steps[window - 1 :], np.convolve(losses, np.ones(window) / window, "valid"), color="C0", label="loss")
    ax.set_xlabel("step")
    ax.set_ylabel("loss, nats a target token")
    _draw_validation(ax, log)
    ax.legend(frameon=False, fontsize="small")
    if path is not None:
        save_figure(ax.figure, Path(path))
    return ax


def _draw_validation(ax, log):
    validations = [(entry["step"], list(entry["validation"].values())) for entry in log if entry.get("validation")]
    points = [(step, 100 * np.mean(values)) for step, values in validations if None not in values]
    if points:
        right = ax.twinx()
        right.plot(*zip(*points), "s-", color="C1", markersize=4)
        right.set_ylabel("validation, mean over tasks, %")
        ax.plot([], [], "s-", color="C1", label="validation")


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
