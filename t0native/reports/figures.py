"""The paper's pictures (Sanh et al. 2022) from one's own reports, one call each; by matplotlib, or in text without it.

    figure4(reports)        box plots: a dataset a place, a model a box, a prompt a point; published figures as marks on request
    figure5(reports)        bars: a BIG-bench task a line, a model a bar, its median and the median's 95 % interval
    figure6({p: reports})   box plots: a dataset a place, a number p of training prompts a box
    figure7({d: reports})   the same by the number d of training datasets
    heatmap(report, task)   prompts by examples, the best and the easiest first: right, wrong, dropped
    by_prompt(reports)      each prompt's value with its 95 % interval, the best first, a model a colour

reports: a Report or several, which are shown side by side. ax=: an Axes to draw on; path=: a file (.png, .svg, .pdf), written
whole or not at all, with what it shows in words (alttext.py); text=True: a str instead of a picture. Nothing is ever shown on a
screen. Values in percent."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.reports.alttext import by_prompt_in_words, heatmap_in_words, summary_in_words
from t0native.reports.examples import select_cells
from t0native.reports.plot import (
    axis_in_text,
    chances,
    check_picture,
    draw_boxes,
    label_of,
    legend_above,
    metric_of,
    new_axes,
    save_figure,
    text_boxes,
    value_range,
)  # fmt: skip

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable
    from typing import Literal

    from matplotlib.axes import Axes

    from t0native.base.annotations import PathName
    from t0native.reports.report import Report

__all__ = ["by_prompt", "by_prompt_words", "figure4", "figure5", "figure6", "figure7", "heatmap", "heatmap_words", "pooled"]

_MARKS = "xD^vP*+s"
_SHADES = ".:-=+*%#"  # from wrong to right


@overload
def figure4(
    reports: Report | Iterable[Report],
    path: PathName | None = ...,
    ax: Axes | None = ...,
    published: bool | str | Iterable[str] | Mapping[str, Mapping[str, float]] | None = ...,
    text: Literal[False] = ...,
) -> Axes: ...
@overload
def figure4(
    reports: Report | Iterable[Report],
    path: PathName | None = ...,
    ax: Axes | None = ...,
    published: bool | str | Iterable[str] | Mapping[str, Mapping[str, float]] | None = ...,
    *,
    text: Literal[True],
) -> str: ...
def figure4(
    reports: Report | Iterable[Report],
    path: PathName | None = None,
    ax: Axes | None = None,
    published: bool | str | Iterable[str] | Mapping[str, Mapping[str, float]] | None = False,
    text: bool = False,
) -> Axes | str:
    """Box plots over prompts. Returns the Axes, or a str with text=True.

    published: True for marks at the medians published on the same datasets, a name or names of models that t0.published() knows for
    theirs (medians, else the first figure on a dataset), or a mapping of one's own, {task or dataset: {label: fraction}}. What was measured
    otherwise, report.published() says.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure4(report, text=True).splitlines()[0])
    inference
    """
    report = _join_reports(reports)
    marks = _find_marks(report, published)
    if text:
        lines = [f"  {label} on {task}: {100 * value:.1f}" for (label, task), value in marks.items()]
        return "\n".join([text_boxes(report), *(["published:"] if lines else []), *lines])
    return _save(_draw_marks(draw_boxes(report, None, _make_axes(report, path, ax)), report, marks), path, summary_in_words(report))


@overload
def figure5(reports: Report | Iterable[Report], path: PathName | None = ..., ax: Axes | None = ..., text: Literal[False] = ...) -> Axes: ...
@overload
def figure5(reports: Report | Iterable[Report], path: PathName | None = ..., ax: Axes | None = ..., *, text: Literal[True]) -> str: ...
def figure5(reports: Report | Iterable[Report], path: PathName | None = None, ax: Axes | None = None, text: bool = False) -> Axes | str:
    """Bars, a model's median on each task with its 95 % interval; a line at chance. Returns as figure4.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure5(report, text=True).splitlines()[0])
    inference
    """
    report = _join_reports(reports)
    entries = _list_entries(report)
    if text:
        return _write_bars(entries)
    tasks, models = _distinct_names(entries, "task"), _distinct_names(entries, "model")
    ax = _make_axes(report, path, ax, (7, 1 + 0.25 * len(tasks) * (len(models) + 0.6)))
    width = 0.8 / len(models)
    for m, model in enumerate(models):
        own = [entry for entry in entries if entry["model"] == model]
        places = [tasks.index(entry["task"]) + (m - (len(models) - 1) / 2) * width for entry in own]
        lengths = np.array([100 * entry["median"] for entry in own])
        reach = [[max(0.0, at - 100 * e["low"]), max(0.0, 100 * e["high"] - at)] for at, e in zip(lengths, own)]
        bars = {"label": label_of(model), "color": f"C{m}", "alpha": 0.7, "capsize": 2, "error_kw": {"clip_on": False}}
        ax.barh(places, lengths, width * 0.9, xerr=np.array(reach).T, **bars)
    for t, chance in chances(entries, tasks):
        ax.plot([chance] * 2, [t - 0.45, t + 0.45], "--", color="gray", linewidth=1)
    ax.set_yticks(range(len(tasks)), [label_of(task) for task in tasks])
    ax.set_ylim(len(tasks) - 0.4, -0.6)  # the first task above
    ax.set_xlim(*value_range(entries))
    ax.set_xlabel(f"{metric_of(report)}, median over prompts and its 95 % interval, % (dashed: chance)")
    legend_above(ax)
    return _save(ax, path, summary_in_words(report, "Bars"))


@overload
def figure6(
    reports_by_prompts: Mapping[int, Report | Iterable[Report]],
    path: PathName | None = ...,
    ax: Axes | None = ...,
    text: Literal[False] = ...,
) -> Axes: ...
@overload
def figure6(
    reports_by_prompts: Mapping[int, Report | Iterable[Report]], path: PathName | None = ..., ax: Axes | None = ..., *, text: Literal[True]
) -> str: ...
def figure6(
    reports_by_prompts: Mapping[int, Report | Iterable[Report]], path: PathName | None = None, ax: Axes | None = None, text: bool = False
) -> Axes | str:
    """Box plots by the number of prompts a dataset was trained with, medians joined: {0: report, 1: report, 5.7: report}. A value may be
    several reports of one kind (seeds), whose prompts then stand in one box. Returns as figure4.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure6({0: report, 1: [report, report]}, text=True).splitlines()[1].split("  ")[1])
    0 prompts
    """
    return _draw_by_number(_pool_by_number(reports_by_prompts, "prompt"), path, ax, text)


@overload
def figure7(
    reports_by_datasets: Mapping[int, Report | Iterable[Report]],
    path: PathName | None = ...,
    ax: Axes | None = ...,
    text: Literal[False] = ...,
) -> Axes: ...
@overload
def figure7(
    reports_by_datasets: Mapping[int, Report | Iterable[Report]], path: PathName | None = ..., ax: Axes | None = ..., *, text: Literal[True]
) -> str: ...
def figure7(
    reports_by_datasets: Mapping[int, Report | Iterable[Report]], path: PathName | None = None, ax: Axes | None = None, text: bool = False
) -> Axes | str:
    """The same by the number of training datasets: {39: report, 49: report, 55: report}.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> print(t0.figures.figure7({1: report}, text=True).splitlines()[1].split("  ")[1])
    1 dataset
    """
    return _draw_by_number(_pool_by_number(reports_by_datasets, "dataset"), path, ax, text)


@overload
def heatmap(
    report: Report | Iterable[Report],
    task: str | None = ...,
    model: str | None = ...,
    path: PathName | None = ...,
    ax: Axes | None = ...,
    text: Literal[False] = ...,
    width: int = ...,
) -> Axes: ...
@overload
def heatmap(
    report: Report | Iterable[Report],
    task: str | None = ...,
    model: str | None = ...,
    path: PathName | None = ...,
    ax: Axes | None = ...,
    *,
    text: Literal[True],
    width: int = ...,
) -> str: ...
def heatmap(
    report: Report | Iterable[Report],
    task: str | None = None,
    model: str | None = None,
    path: PathName | None = None,
    ax: Axes | None = None,
    text: bool = False,
    width: int = 72,
) -> Axes | str:
    """Which prompt is right on which example: prompts down, the best first; examples across, those that most prompts get right first;
    dark right, light wrong, white dropped. In text # right, . wrong, several to a sign where they are more than `width` allows.

    report: one or several, as figure4's. task, model: needed where there are several. ConfigError for one that is not there, and
    where no cell has rows.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=5, progress=False)
    >>> len(t0.figures.heatmap(report, text=True).splitlines()[0].split("|")[1])
    5
    """
    report = _join_reports(report)
    task, model = _choose(report, "task", task), _choose(report, "model", model)
    prompts, rows = _sort_rows(*_select_rows(report, task, model))
    if text:
        return _write_heatmap(prompts, rows, width)
    if path is not None:
        check_picture(path)
    ax = new_axes(path, (8, 1.2 + 0.25 * len(prompts))) if ax is None else ax
    ax.imshow(np.ma.masked_invalid(rows), aspect="auto", interpolation="nearest", cmap="Blues", vmin=-0.15, vmax=1.0)
    ax.set_yticks(range(len(prompts)), [label_of(prompt) for prompt in prompts], fontsize="small")
    ax.set_xlabel(f"{rows.shape[1]} examples, the easiest first (dark: right, light: wrong, white: dropped)")
    return _save(ax, path, heatmap_words(report, task, model))


def heatmap_words(report: Report, task: str, model: str) -> str:
    """What the heat map of a task and model shows, in words.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=5, label="new", progress=False)
    >>> heatmap_words(report, "inference", "new")[:80]
    'Prompts by examples: which prompt is right on which of 5 examples of inference, '
    """
    return heatmap_in_words(task, model, *_sort_rows(*_select_rows(report, task, model)))


@overload
def by_prompt(
    reports: Report | Iterable[Report],
    task: str | None = ...,
    model: str | None = ...,
    path: PathName | None = ...,
    ax: Axes | None = ...,
    text: Literal[False] = ...,
    width: int = ...,
) -> Axes: ...
@overload
def by_prompt(
    reports: Report | Iterable[Report],
    task: str | None = ...,
    model: str | None = ...,
    path: PathName | None = ...,
    ax: Axes | None = ...,
    *,
    text: Literal[True],
    width: int = ...,
) -> str: ...
def by_prompt(
    reports: Report | Iterable[Report],
    task: str | None = None,
    model: str | None = None,
    path: PathName | None = None,
    ax: Axes | None = None,
    text: bool = False,
    width: int = 72,
) -> Axes | str:
    """Each prompt's value with its 95 % interval over rows: a point and a line; the best prompt of a task first, a colour a model; a thin
    line at the model's median, dashed at chance. Returns as figure4.

    task, model: a name; None: all.  width: of the text.  ConfigError for one that is not there, and where no cell has a value.

    >>> report = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=20, progress=False)
    >>> print(t0.figures.by_prompt(report, text=True, width=60).splitlines()[1])
      take as given                         :           o  100.0
    """
    report = _join_reports(reports)
    places = _order_by_prompt(report, task, model)
    entries = [entry for entry in _list_entries(report) if (task in (None, entry["task"])) and model in (None, entry["model"])]
    if text:
        return _write_by_prompt(places, entries, width)
    if path is not None:
        check_picture(path)
    models, last = _distinct_names(entries, "model"), max(place for place, _, _ in places)
    ax = new_axes(path, (8, 1.2 + 0.25 * (last + 1) * (1 + 0.35 * (len(models) - 1)))) if ax is None else ax
    for m, name in enumerate(models):
        _draw_intervals(ax, [(at, cell) for at, _, cells in places for cell in cells if str(cell["model"]) == name], m, len(models))
    for entry in entries:
        _draw_levels(ax, entry, [at for at, of, cells in places if cells and of == entry["task"]], models.index(str(entry["model"])))
    _label_prompts(ax, places)
    ax.set_xlim(*value_range(entries))
    ax.set_xlabel(f"{metric_of(report)} and its 95 % interval, % (thin: median, dashed: chance)")
    legend_above(ax)
    return _save(ax, path, by_prompt_words(report, task, model))


def by_prompt_words(report: Report, task: str | None = None, model: str | None = None) -> str:
    """What `by_prompt` shows, in words.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=5, label="new", progress=False)
    >>> by_prompt_words(report)[:60]
    'Values by prompt with 95 % intervals, in percent. inference,'
    """
    return by_prompt_in_words([cell for _, _, cells in _order_by_prompt(report, task, model) for cell in cells])


def _order_by_prompt(report, task, model):
    """[(place from above, task, its cells)] of the prompts, the best of a task first; before each task one with no cells, its heading."""
    places, tasks = [], {}
    for cell in (report.cells[i] for i in select_cells(report, task, None, model)):
        if cell["value"] is not None:
            tasks.setdefault(cell["task"], {}).setdefault(cell["prompt"], []).append(cell)
    if not tasks:
        raise ConfigError("nothing to draw: no cell has a value")
    for task, prompts in tasks.items():
        places.append((len(places), task, []))
        for of_prompt in sorted(prompts.values(), key=lambda them: -float(np.mean([cell["value"] for cell in them]))):
            places.append((len(places), task, of_prompt))
    return places


def _draw_intervals(ax, points, m, n_models):
    """Points and lines of one model, the m-th of n_models."""
    values = np.array([100 * cell["value"] for _, cell in points])
    reach = [[max(0.0, at - 100 * cell["low"]), max(0.0, 100 * cell["high"] - at)] for at, (_, cell) in zip(values, points)]
    places = [place + 0.6 * (m - (n_models - 1) / 2) / n_models for place, _ in points]
    style = {"fmt": "o", "markersize": 4, "capsize": 2, "linewidth": 1, "color": f"C{m}", "clip_on": False}
    drawn = ax.errorbar(values, places, xerr=np.array(reach).T, label=label_of(points[0][1]["model"]), **style)
    for line in (*drawn[1], *drawn[2]):
        line.set_clip_on(False)


def _draw_levels(ax, entry, places, m):
    """The median of a task's prompts, and chance, as far as the task's places reach."""
    ends = [min(places) - 0.5, max(places) + 0.5]
    ax.plot([100 * entry["median"]] * 2, ends, "-", color=f"C{m}", linewidth=0.8, alpha=0.5, zorder=0)
    if entry["chance"] is not None:
        ax.plot([100 * entry["chance"]] * 2, ends, "--", color="gray", linewidth=1, zorder=0)


def _label_prompts(ax, places):
    ax.set_yticks([place for place, _, _ in places], [label_of(cells[0]["prompt"] if cells else task) for _, task, cells in places])
    for label, (_, _, cells) in zip(ax.get_yticklabels(), places):
        label.set(fontsize="small", fontweight="normal" if cells else "bold")
    for line, (_, _, cells) in zip(ax.yaxis.get_ticklines()[::2], places):
        line.set_visible(bool(cells))
    ax.set_ylim(len(places) - 0.4, -0.6)  # the first above


def _write_by_prompt(places, entries, width):
    """Lines of prompts; of several models, one each below the prompt's name."""
    models = _distinct_names(entries, "model")
    names = [_one_line(name) for name in (models if len(models) > 1 else (cells[0]["prompt"] for _, _, cells in places if cells))]
    wide = max(map(len, names))
    size, lines = max(20, width - wide - 11 - 2 * (len(models) > 1)), []
    of = {(entry["task"], entry["model"]): entry for entry in entries}
    for _, task, cells in places:
        if not cells:
            lines.append(_one_line(task))
            continue
        if len(models) > 1:
            lines.append(f"  {_one_line(cells[0]['prompt'])}")
        for cell in cells:
            name = _one_line(cell["model"] if len(models) > 1 else cell["prompt"])
            line = _write_interval(cell, of[task, cell["model"]], size)
            lines.append(f"  {'  ' * (len(models) > 1)}{name:<{wide}}  {line}  {100 * cell['value']:5.1f}")
    indent = " " * (wide + 4 + 2 * (len(models) > 1))
    return "\n".join([*lines, indent + axis_in_text(size), indent + "%: |-- o --| 95 % interval, : chance"])


def _write_interval(cell, entry, size):
    line = [" "] * size

    def at(value):
        return min(size - 1, max(0, round(value * (size - 1))))

    for i in range(at(cell["low"]), at(cell["high"]) + 1):
        line[i] = "-"
    line[at(cell["low"])] = line[at(cell["high"])] = "|"
    if entry["chance"] is not None and line[at(entry["chance"])] in " -":
        line[at(entry["chance"])] = ":"
    line[at(cell["value"])] = "o"
    return "".join(line)


def _one_line(name, most=24):
    text = " ".join(str(name).split())
    return text if len(text) <= most else text[: most - 3] + "..."


# ---- what is drawn ---------------------------------------------------------------------------------------------------


def _is_report(value):
    return hasattr(value, "cells") and hasattr(value, "summary")


def _join_reports(reports):
    """The report; of several, all in one."""
    return reports if _is_report(reports) else _merge(reports)


def _merge(reports):
    """Several reports in one, by their own class: report.py draws by this module, which does not import it back."""
    reports = list(reports)
    wrong = next((report for report in reports if not _is_report(report)), None)
    if wrong is not None or not reports:
        raise ConfigError(f"{shown(wrong)}: must be a report" if reports else "nothing to draw: no reports")
    return type(reports[0]).merge(reports)


def _list_entries(report):
    entries = [entry for entry in report.summary if entry["median"] is not None]
    if not entries:
        raise ConfigError("nothing to draw: no cell has a value")
    return entries


def _distinct_names(entries, key):
    return list(dict.fromkeys(str(entry[key]) for entry in entries))


def _make_axes(report, path, ax, size=None):
    if path is not None:
        check_picture(path)
    if ax is not None:
        return ax
    entries = _list_entries(report)
    return new_axes(
        path, size or (max(4, 1.2 + 0.45 * len(_distinct_names(entries, "task")) * (len(_distinct_names(entries, "model")) + 1)), 4)
    )


def _save(ax, path, words):
    if path is not None:
        save_figure(ax.figure, Path(path), words)
    return ax


def _pool_by_number(reports, noun):
    if not isinstance(reports, Mapping) or not all(isinstance(number, Real) for number in reports):
        raise ConfigError(f"{shown(reports)}: must be a mapping of numbers of {noun}s to reports, as in {{1: report, 8: [report, report]}}")
    if not reports:
        raise ConfigError(f"nothing to draw: no numbers of {noun}s")
    return _merge(pooled(of_number, f"{number:g} {noun}{'' if number == 1 else 's'}") for number, of_number in sorted(reports.items()))


def _draw_by_number(report, path, ax, text):
    """Figure 4 whose boxes of a task stand in the order of their numbers, their medians joined by a line."""
    if text:
        return figure4(report, text=True)
    ax = figure4(report, None, _make_axes(report, path, ax))
    entries = _list_entries(report)
    models = _distinct_names(entries, "model")
    for t, task in enumerate(_distinct_names(entries, "task")):
        own = [entry for entry in entries if str(entry["task"]) == task]
        places = [t + (models.index(str(entry["model"])) - (len(models) - 1) / 2) * 0.8 / len(models) for entry in own]
        ax.plot(places, [100 * entry["median"] for entry in own], color="black", linewidth=1, alpha=0.5)
    return _save(ax, path, summary_in_words(report))


def pooled(reports: Report | Iterable[Report], label: str) -> Report:
    """One report, of a model called `label`, of the prompts of all these: those of several stand in it once for each. ConfigError for
    a report of several models.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
    >>> t0.figures.pooled([report, report], "two").summary[0]["prompts"]
    24
    """
    reports = [reports] if _is_report(reports) else list(reports)
    if not reports:
        raise ConfigError(f"{label}: no reports to pool")
    cells, correct, chances, draws = [], [], [], []
    for number, report in enumerate(reports):
        models = list(dict.fromkeys(cell["model"] for cell in report.cells))
        if len(models) > 1:
            raise ConfigError(f"{label}: a report of {len(models)} models ({', '.join(map(str, models[:4]))}); must be of one")
        chance = {(entry["model"], entry["task"]): entry["chance"] for entry in report.summary}
        for cell, rows, drawn in zip(report.cells, report.correct, report.draws):
            name = f"{cell['prompt']}, report {number + 1}" if len(reports) > 1 else cell["prompt"]
            cells.append(cell | {"model": label, "prompt": name})
            correct.append(rows)
            draws.append(drawn)
            chances.append(chance.get((cell["model"], cell["task"])))
    return type(reports[0]).of_cells(cells, correct, chances, draws, seed=0, about={"models": [label]})


def _find_marks(report, published):
    """{(label, task): value} of what figure4 is asked to mark."""
    if published is None or published is False:
        return {}
    if isinstance(published, Mapping):
        marks = {}
        for cell in report.cells:
            for name in (cell["task"], cell["dataset"], f"{cell['dataset']}/{cell['subset']}"):
                marks |= {(label, cell["task"]): value for label, value in published.get(name, {}).items()}
        return marks
    medians, others = {}, {}
    for name in [None] if published is True else [published] if isinstance(published, str) else published:
        for comparison in report.published(name):
            fact = comparison["published"]
            kind = medians if fact["statistic"] == "median" else others
            kind.setdefault((f"{fact['model']}, published", comparison["task"]), fact["value"])
    return medians if published is True else others | medians


def _draw_marks(ax, report, marks):
    tasks = _distinct_names(_list_entries(report), "task")
    for i, label in enumerate(dict.fromkeys(label for label, _ in marks)):
        points = [(tasks.index(task), 100 * value) for (name, task), value in marks.items() if name == label and task in tasks]
        if points:
            ax.plot(*zip(*points), _MARKS[i % len(_MARKS)], color="black", markerfacecolor="white", markersize=6, label=label_of(label))
    if marks:
        legend_above(ax)
    return ax


def _write_bars(entries, width=50):
    lines, wide = [], max(len(str(entry["model"])) for entry in entries)
    for task in _distinct_names(entries, "task"):
        lines.append(task)
        for entry in (entry for entry in entries if str(entry["task"]) == task):
            bar = list("=" * round(width * entry["median"]) + " " * (width - round(width * entry["median"])))
            if entry["chance"] is not None:
                bar[min(width - 1, round(width * entry["chance"]))] = ":"
            lines.append(f"  {str(entry['model']):<{wide}} |{''.join(bar)}| {100 * entry['median']:5.1f}")
    return "\n".join(lines)


def _write_heatmap(prompts, rows, width):
    names = [_one_line(prompt) for prompt in prompts]
    wide = max(map(len, names))
    parts = np.array_split(np.arange(rows.shape[1]), min(rows.shape[1], max(20, width - wide - 3)))
    return "\n".join(f"{name:<{wide}} |{''.join(_shade(values[part]) for part in parts)}|" for name, values in zip(names, rows))


def _shade(values):
    kept = values[~np.isnan(values)]
    return _SHADES[round(min(1.0, max(0.0, float(kept.mean()))) * (len(_SHADES) - 1))] if len(kept) else " "


def _choose(report, key, name):
    known = list(dict.fromkeys(cell[key] for cell in report.cells))
    if name is None and len(known) == 1:
        return known[0]
    if name not in known:
        raise ConfigError(f"heatmap: {key} {shown(name)}: must be one of the report's; {suggest(str(name), known)}")
    return name


def _select_rows(report, task, model):
    named_rows = [
        (cell["prompt"], rows)
        for cell, rows in zip(report.cells, report.correct)
        if (cell["task"], cell["model"]) == (task, model) and rows is not None
    ]
    if not named_rows:
        raise ConfigError(f"heatmap: no cell of task {shown(task)} and model {shown(model)} has rows")
    return [str(prompt) for prompt, _ in named_rows], np.stack([rows for _, rows in named_rows])


def _sort_rows(prompts, rows):
    """By the share that is right, the highest first: (prompts, rows [P, N])."""
    kept, right = ~np.isnan(rows), np.nan_to_num(rows)
    of_prompts, of_examples = (-right.sum(axis=axis) / np.maximum(1, kept.sum(axis=axis)) for axis in (1, 0))
    order = np.argsort(of_prompts, kind="stable")
    return [prompts[i] for i in order], rows[order][:, np.argsort(of_examples, kind="stable")]
