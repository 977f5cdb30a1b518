"""Box plots over prompts: in text always, by matplotlib where it is installed.

    copa   all prompts   |      :     |-----[==|====]---|    |        | median   [ ] quartiles   | | min, max   : chance

The boxes show the values of the cells that the summary covers."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError
from t0native.base.files import check_place, write_bytes
from t0native.base.showing import shown
from t0native.reports.alttext import summary_in_words

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator, Sequence
    from typing import Any

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from t0native.base.annotations import PathName
    from t0native.reports.report import Report

__all__ = [
    "axis_in_text", "chances", "check_picture", "draw_boxes", "label_of", "legend_above", "metric_of", "new_axes", "drawable",
    "save_figure", "text_boxes", "value_range",
]  # fmt: skip


def text_boxes(report: Report, width: int = 72) -> str:
    """One line a task and model on an axis from 0 to 100 %."""
    entries = [entry for entry in report.summary if entry["median"] is not None]
    if not entries:
        return "nothing to draw: no cell has a value"
    tasks = list(dict.fromkeys(entry["task"] for entry in entries))
    wide = max(len(str(entry["model"])) for entry in entries) + 2
    size = max(20, width - wide - 6)
    ticks = axis_in_text(size)
    lines = []
    for task in tasks:
        lines.append(str(task))
        lines += [f"  {str(e['model']):<{wide}}{_draw_box(e, size)}  {100 * e['median']:5.1f}" for e in entries if e["task"] == task]
    return "\n".join([*lines, " " * (wide + 2) + ticks, " " * (wide + 2) + "%: |min [q1 M median q3] max|, : chance"])


def axis_in_text(size: int) -> str:
    """The numbers below a line of `size` characters from 0 to 100.

    >>> axis_in_text(21)
    '0    25   50   75   100'
    """
    marks = [" "] * (size + 3)
    for value in (0, 25, 50, 75, 100):
        at = round(value / 100 * (size - 1))
        for i, character in enumerate(str(value)):
            marks[at + i] = character
    return "".join(marks).rstrip()


def _draw_box(entry, size):
    def at(value):
        return min(size - 1, max(0, round(value * (size - 1))))

    line = [" "] * size
    for i in range(at(entry["min"]), at(entry["max"]) + 1):
        line[i] = "-"
    for i in range(at(entry["q1"]), at(entry["q3"]) + 1):
        line[i] = "="
    line[at(entry["min"])] = line[at(entry["max"])] = "|"
    line[at(entry["q1"])], line[at(entry["q3"])] = "[", "]"
    if entry["chance"] is not None and line[at(entry["chance"])] in " -=":
        line[at(entry["chance"])] = ":"
    line[at(entry["median"])] = "M"
    return "".join(line)


def draw_boxes(report: Report, path: PathName | None = None, ax: Axes | None = None) -> Axes:
    """One box a task and model, a point a prompt, a dashed line at chance. Returns the Axes; never shows a window."""
    if path is not None:
        check_picture(path)
    entries = [entry for entry in report.summary if entry["median"] is not None]
    if not entries:
        raise ConfigError("nothing to draw: no cell has a value")
    tasks = list(dict.fromkeys(entry["task"] for entry in entries))
    models = list(dict.fromkeys(entry["model"] for entry in entries))
    ax = new_axes(path, (max(4, 1.2 + 0.45 * len(tasks) * (len(models) + 1)), 4)) if ax is None else ax
    step = 0.8 / len(models)
    for m, model in enumerate(models):
        places, values = [], []
        for t, task in enumerate(tasks):
            task_values = _select_values(report, model, task)
            if task_values:
                places.append(t + (m - (len(models) - 1) / 2) * step)
                values.append([100 * value for value in task_values])
        color = f"C{m}"
        boxes = ax.boxplot(values, positions=places, widths=0.8 * step, showfliers=False, patch_artist=True, medianprops={"color": "black"})
        for part in sum(boxes.values(), []):
            part.set_clip_on(False)  # a median of 100 is not half hidden by the frame
        for box in boxes["boxes"]:
            box.set(facecolor=color, alpha=0.35, edgecolor=color)
        for place, points in zip(places, values):
            ax.plot(_spread(place, points, 0.6 * step), points, ".", color=color, markersize=3, clip_on=False)
        ax.plot([], [], "s", color=color, label=label_of(model))
    _finish(ax, entries, tasks)
    ax.set_ylabel(f"{metric_of(report)}, %\n(a point a prompt; dashed: chance)")
    if path is not None:
        save_figure(ax.figure, Path(path), summary_in_words(report))
    return ax


def _spread(place, points, width):
    """Where points of a column stand: beside one another where their values are within one of a hundred, at most `width` apart."""
    places, alike = [], {}
    for i, value in enumerate(points):
        alike.setdefault(round(value), []).append(i)
    for i, value in enumerate(points):
        row = alike[round(value)]
        places.append(place + width * (row.index(i) - (len(row) - 1) / 2) / max(5, len(row)))
    return places


def _select_values(report, model, task):
    cells = [c for c in report.cells if c["model"] == model and c["task"] == task and c["status"] == "ok"]
    accuracy = [c["value"] for c in cells if c["metric"] == "accuracy"]
    return accuracy or [c["value"] for c in cells if c["metric"] == cells[0]["metric"]]


def _finish(ax, entries, tasks):
    for t, chance in chances(entries, tasks):
        ax.plot([t - 0.45, t + 0.45], [chance] * 2, "--", color="gray", linewidth=1)
    slanted = {"rotation": 30, "ha": "right"} if max(len(str(task)) for task in tasks) > 14 and len(tasks) > 3 else {}
    ax.set_xticks(range(len(tasks)), [label_of(task) for task in tasks], **slanted)
    ax.set_xlim(-0.6, len(tasks) - 0.4)
    ax.set_ylim(*value_range(entries))
    legend_above(ax)


def legend_above(ax: Axes) -> None:
    """A legend above the frame, where it hides nothing; inside, where that has no room for it."""
    names, style = ax.get_legend_handles_labels()[1], {"frameon": False, "fontsize": "small"}
    room = 0.8 * ax.figure.get_figwidth()  # inches, about, of which a sign takes 0.075 and a mark 0.6
    columns = min(4, len(names), int(room / (0.6 + 0.075 * max(map(len, names), default=1))))
    if columns < 1 or -(-len(names) // columns) > 3:
        ax.legend(**style)
    else:
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.3, **style)


def metric_of(report: Report) -> str:
    """The metric of the summaries where they have one, else "value"."""
    of_tasks = {}
    for cell in report.cells:
        if cell["status"] == "ok":
            of_tasks.setdefault((cell["model"], cell["task"]), []).append(cell["metric"])
    names = {"accuracy" if "accuracy" in metrics else metrics[0] for metrics in of_tasks.values()}
    return label_of(names.pop()) if len(names) == 1 else "value"


def chances(entries: Sequence[dict[str, Any]], tasks: Sequence[str]) -> Iterator[tuple[int, float]]:
    """(place, chance in percent) of the tasks that have a chance level."""
    for t, task in enumerate(tasks):
        chance = next((e["chance"] for e in entries if e["task"] == task and e["chance"] is not None), None)
        if chance is not None:
            yield t, 100 * chance


def value_range(entries: Sequence[dict[str, Any]]) -> tuple[int, int]:
    """The axis' ends in percent: from 0, or from -100 where a value is negative, as correlations may be."""
    return (-100 if min(entry["min"] for entry in entries) < 0 else 0), 100


def label_of(name: object, most: int = 40) -> str:
    """A name as matplotlib shows it as it is: one line, no formula between dollars, not left out of legends for its underscore; what
    cannot be printed (SVG allows no control characters) as a replacement character.

    >>> print(label_of("costs $5 to $6"))
    costs \\$5 to \\$6
    """
    text = drawable(" ".join(str(name).split()))
    text = text if len(text) <= most else text[: most - 3] + "..."
    return ("\u200b" if text.startswith("_") or not text else "") + text.replace("$", "\\$")


def drawable(text: str) -> str:
    """A text whose signs can be printed, and stand in an SVG."""
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text)


def check_picture(path: PathName) -> None:
    """Whether a picture could be saved there, asked before the work; ImportError, ConfigError or OSError where not."""
    with _requiring_matplotlib():
        from matplotlib.backend_bases import FigureCanvasBase
    kind, known = Path(path).suffix[1:].lower(), FigureCanvasBase.get_supported_filetypes()
    if kind not in known:
        names = ", ".join("." + name for name in sorted(known))
        raise ConfigError(f"{path}: unknown kind of picture {shown(Path(path).suffix)}; known are {names}")
    check_place(path)


@contextmanager
def _requiring_matplotlib():
    try:
        yield
    except ImportError:
        raise ImportError("pictures need matplotlib: pip install matplotlib (report.boxes() draws in text without it)") from None


def new_axes(path: PathName | None, size: tuple[float, float]) -> Axes:
    """Axes of a figure of that size in inches; without pyplot where it goes to a file."""
    with _requiring_matplotlib():
        if path is not None:  # no pyplot: nothing global is touched
            from matplotlib.figure import Figure

            return Figure(figsize=size, layout="constrained").subplots()
        import matplotlib.pyplot as plt

        return plt.subplots(figsize=size, layout="constrained")[1]


def save_figure(figure: Figure, path: Path, words: str | None = None) -> None:
    """By the ending of the name; to a temporary name first. Where the kind of picture has room for it, it says who made it, and in `words`
    what it shows."""
    buffer, kind = io.BytesIO(), path.suffix[1:].lower()
    maker, place = {"png": ("Software", "Description"), "svg": ("Creator", "Description"), "pdf": ("Creator", "Subject")}.get(
        kind, ("", "")
    )
    about = {"Creator": "t0native"} if kind in ("ps", "eps") else {maker: "t0native"} if maker else {}
    about |= {} if words is None or not place else {place: drawable(words)}
    figure.savefig(buffer, format=kind, dpi=150, metadata=about or None)
    write_bytes(path, buffer.getvalue())
