"""The paper's pictures (Sanh et al. 2022) from one's own reports, one call each; by matplotlib, or in text without it.

    figure4(reports)        box plots: a dataset a place, a model a box, a prompt a point; published figures as marks on request
    figure5(reports)        bars: a BIG-bench task a place, a model a bar, its median and the median's 95 % interval
    figure6({p: reports})   box plots: a dataset a place, a number p of training prompts a box
    figure7({d: reports})   the same by the number d of training datasets
    heatmap(report, task)   prompts by rows of the data: right, wrong, dropped

reports: a Report or several, which are shown side by side. ax=: an Axes to draw on; path=: a file (.png, .svg, .pdf), written
whole or not at all; text=True: a str instead of a picture. Nothing is ever shown on a screen. Values in percent."""

from pathlib import Path

import numpy as np

from t0native.arguments import shown
from t0native.errors import ConfigError, suggest
from t0native.plot import check_picture, draw_boxes, new_axes, save_figure, text_boxes
from t0native.report import Report

__all__ = ["figure4", "figure5", "figure6", "figure7", "heatmap", "pooled"]

_MARKS = "xD^vP*+s"
_RIGHT, _WRONG, _DROPPED = "#", ".", " "


def figure4(reports, path=None, ax=None, published=False, text=False):
    """Box plots over prompts. published: the medians of data/published.json on the same datasets as marks (the rest of what
    was measured otherwise: report.published()). Returns the Axes, or a str with text=True.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure4(report, text=True).splitlines()[0])
    inference
    """
    report = _one(reports)
    marks = _published_medians(report) if published else {}
    if text:
        told = [f"  {label} on {task}: {100 * value:.1f}" for (label, task), value in marks.items()]
        return "\n".join([text_boxes(report), *(["published:"] if told else []), *told])
    return _saved(_marked(draw_boxes(report, None, _axes_for(report, path, ax)), report, marks), path)


def figure5(reports, path=None, ax=None, text=False):
    """Bars, a model's median on each task with its 95 % interval; a line at chance. Returns as figure4.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure5(report, text=True).splitlines()[0])
    inference
    """
    report = _one(reports)
    entries = _entries(report)
    if text:
        return _text_bars(entries)
    ax = _axes_for(report, path, ax)
    tasks, models = _names(entries, "task"), _names(entries, "model")
    width = 0.8 / len(models)
    for m, model in enumerate(models):
        own = [entry for entry in entries if entry["model"] == model]
        places = [tasks.index(entry["task"]) + (m - (len(models) - 1) / 2) * width for entry in own]
        heights = np.array([100 * entry["median"] for entry in own])
        reach = [[max(0.0, h - 100 * e["low"]), max(0.0, 100 * e["high"] - h)] for h, e in zip(heights, own)]
        ax.bar(places, heights, width * 0.9, yerr=np.array(reach).T, label=str(model), color=f"C{m}", capsize=2)
    for t, task in enumerate(tasks):
        chance = next((entry["chance"] for entry in entries if entry["task"] == task), None)
        if chance is not None:
            ax.plot([t - 0.45, t + 0.45], [100 * chance] * 2, "--", color="gray", linewidth=1)
    ax.set_xticks(range(len(tasks)), tasks, rotation=30 if len(tasks) > 4 else 0, ha="right" if len(tasks) > 4 else "center")
    ax.set_ylim(0, 100)
    ax.set_ylabel("median over prompts, % (dashed: chance)")
    ax.legend(frameon=False, fontsize="small")
    return _saved(ax, path)


def figure6(reports_by_prompts, path=None, ax=None, text=False):
    """Box plots by the number of prompts a dataset was trained with: {0: report, 1: report, 5.7: report}. A value may be
    several reports of one kind (seeds), whose prompts then stand in one box. Returns as figure4.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure6({0: report, 1: [report, report]}, text=True).splitlines()[1].split("  ")[1])
    0 prompts
    """
    return figure4(_by_number(reports_by_prompts, "prompt"), path, ax, text=text)


def figure7(reports_by_datasets, path=None, ax=None, text=False):
    """The same by the number of training datasets: {39: report, 49: report, 55: report}.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure7({1: report}, text=True).splitlines()[1].split("  ")[1])
    1 dataset
    """
    return figure4(_by_number(reports_by_datasets, "dataset"), path, ax, text=text)


def heatmap(report, task=None, model=None, path=None, ax=None, text=False):
    """Which prompt is right on which row: prompts down, rows across, dark right, light wrong, white dropped.

    task, model: as in the report, needed where it has several. ConfigError for one that it has not, and where no cell has rows.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=5, progress=False)
    >>> len(t0.figures.heatmap(report, text=True).splitlines()[0].split("|")[1])
    5
    """
    prompts, rows = _rows_of(report, _chosen(report, "task", task), _chosen(report, "model", model))
    if text:
        wide = max(map(len, prompts))
        signs = [[_DROPPED if np.isnan(v) else _RIGHT if v > 0.5 else _WRONG for v in values] for values in rows]
        return "\n".join(f"{prompt:<{wide}} |{''.join(line)}|" for prompt, line in zip(prompts, signs))
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (8, 1.2 + 0.25 * len(prompts))) if ax is None else ax
    ax.imshow(np.ma.masked_invalid(rows), aspect="auto", interpolation="nearest", cmap="Blues", vmin=-0.5, vmax=1.2)
    ax.set_yticks(range(len(prompts)), prompts, fontsize="small")
    ax.set_xlabel("row (dark: right, light: wrong, white: dropped)")
    return _saved(ax, path)


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def _one(reports):
    return reports if isinstance(reports, Report) else Report.merge(reports)


def _entries(report):
    entries = [entry for entry in report.summary if entry["median"] is not None]
    if not entries:
        raise ConfigError("nothing to draw: no cell has a value")
    return entries


def _names(entries, key):
    return list(dict.fromkeys(str(entry[key]) for entry in entries))


def _axes_for(report, path, ax):
    if path is not None:
        check_picture(path)
    if ax is not None:
        return ax
    entries = _entries(report)
    return new_axes(path, (max(4, 1.2 + 0.45 * len(_names(entries, "task")) * (len(_names(entries, "model")) + 1)), 4))


def _saved(ax, path):
    if path is not None:
        save_figure(ax.figure, Path(path))
    return ax


def _by_number(reports, noun):
    if not reports:
        raise ConfigError(f"nothing to draw: no numbers of {noun}s")
    return Report.merge(pooled(found, f"{number:g} {noun}{'s' * (number != 1)}") for number, found in sorted(reports.items()))


def pooled(reports, label):
    """One report, of a model called `label`, of the prompts of all these: those of several stand in it once for each.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> t0.figures.pooled([report, report], "two").summary[0]["prompts"]
    24
    """
    reports = [reports] if isinstance(reports, Report) else list(reports)
    cells, correct, chances, draws = [], [], [], []
    for number, report in enumerate(reports):
        chance = {(entry["model"], entry["task"]): entry["chance"] for entry in report.summary}
        for cell, rows, drawn in zip(report.cells, report.correct, report.draws):
            name = f"{cell['prompt']}, report {number + 1}" if len(reports) > 1 else cell["prompt"]
            cells.append(cell | {"model": label, "prompt": name})
            correct.append(rows)
            draws.append(drawn)
            chances.append(chance.get((cell["model"], cell["task"])))
    return Report.of_cells(cells, correct, chances, draws, seed=0, about={"models": [label]})


def _published_medians(report):
    """{(label, task): value} of medians on the report's datasets, once each."""
    from t0native.publications import beside

    marks = {}
    for found in beside(report):
        fact = found["published"]
        if fact["statistic"] == "median":
            marks.setdefault((f"{fact['model']}, published", found["task"]), fact["value"])
    return marks


def _marked(ax, report, marks):
    tasks = _names(_entries(report), "task")
    for i, label in enumerate(dict.fromkeys(label for label, _ in marks)):
        points = [(tasks.index(task), 100 * value) for (name, task), value in marks.items() if name == label and task in tasks]
        ax.plot(*zip(*points), _MARKS[i % len(_MARKS)], color="black", markersize=6, label=label)
    if marks:
        ax.legend(frameon=False, fontsize="small")
    return ax


def _text_bars(entries, width=50):
    lines, wide = [], max(len(str(entry["model"])) for entry in entries)
    for task in _names(entries, "task"):
        lines.append(task)
        for entry in (entry for entry in entries if str(entry["task"]) == task):
            bar = list("=" * round(width * entry["median"]) + " " * (width - round(width * entry["median"])))
            if entry["chance"] is not None:
                bar[min(width - 1, round(width * entry["chance"]))] = ":"
            lines.append(f"  {str(entry['model']):<{wide}} |{''.join(bar)}| {100 * entry['median']:5.1f}")
    return "\n".join(lines)


def _chosen(report, key, name):
    known = list(dict.fromkeys(cell[key] for cell in report.cells))
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        raise ConfigError(f"heatmap: {key} {shown(name)}: must be one of the report's; {suggest(str(name), known)}")
    return name


def _rows_of(report, task, model):
    found = [(cell["prompt"], rows) for cell, rows in zip(report.cells, report.correct) if (cell["task"], cell["model"]) == (task, model) and rows is not None]
    if not found:
        raise ConfigError(f"heatmap: no cell of task {task!r} and model {model!r} has rows")
    return [str(prompt) for prompt, _ in found], np.stack([rows for _, rows in found])
