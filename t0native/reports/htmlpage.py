"""A report as one HTML page that needs nothing else: no network, no script; every text escaped, pictures inside.

    title, models | the summary | box plots, and each prompt with its interval, a picture a task | prompts by examples, a picture a
    model and task | confusion matrices and errors, a cell each, where the rows are at hand | every cell | published figures | about

Pictures are SVG by matplotlib where it is installed, with what they show in words; else text. The page is the same for the same report."""

import base64
import io
from html import escape

from t0native.base.errors import ConfigError
from t0native.base.htmltext import html_rows
from t0native.base.jsontext import json_text
from t0native.reports.alttext import summary_in_words
from t0native.reports.confusion import find_confusions
from t0native.reports.errors import Errors, find_errors
from t0native.reports.figures import by_prompt, by_prompt_words, figure4, heatmap, heatmap_words
from t0native.reports.published import beside_text
from t0native.reports.tables import cell_rows, html_table

__all__ = ["html_page"]

STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#222;background:#fff}"
    "div.table{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin:.6rem 0}th,td{border-bottom:1px solid #ddd;"
    "padding:.2rem .6rem;text-align:left;vertical-align:top;max-width:30rem;overflow-wrap:break-word;unicode-bidi:isolate}"
    "th{border-bottom:2px solid #888}caption{text-align:left;white-space:nowrap;font-weight:600}"
    "img{max-width:100%}pre{overflow-x:auto;font-size:12px}tr.failed td{background:#fbe9e7}details{margin:.6rem 0}summary{cursor:pointer}"
)
MOST_HEATMAPS = 60  # pictures of a page, lest it grow beyond what a browser likes
MOST_CELLS, MOST_ERRORS = 100, 5  # whose matrices and errors a page shows; errors of each


def html_page(report, published=False, title="Evaluation"):
    """The page as text. published: with the figures of data/published.json on the same datasets.

    >>> page = html_page(t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, label="<b>", progress=False))
    >>> "<b>" in page, "&lt;b&gt;" in page
    (False, True)
    """
    models = ", ".join(dict.fromkeys(str(cell["model"]) for cell in report.cells)) or "no model"
    failed = len(report.failed)
    subtitle = f"{models}: {len(report.cells)} cells" + (f", {failed} of them failed" if failed else "")
    parts = [
        f"<h1>{escape(title)}</h1><p>{escape(subtitle)}. Values in percent; intervals are of 95 %.</p>",
        "<h2>Summary</h2>" + _wrap_table(html_table(report)),
        "<h2>Prompts</h2>" + _draw_boxes(report, published) + _draw_by_prompt(report),
        "<h2>Examples</h2>" + _draw_heatmaps(report),
        *_show_rows(report),
        "<h2>Cells</h2>" + _tabulate_cells(report),
    ]
    if published:
        parts.append(f"<h2>Published figures</h2><pre>{escape(beside_text(report))}</pre>")
    parts.append(
        "<h2>About</h2>" + _wrap_table(html_rows(("what", "value"), [[key, _format_value(value)] for key, value in report.about.items()]))
    )
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{escape(title)}</title><style>{STYLE}</style>'
    page = f'<!doctype html>\n<html lang="en"><head>{head}</head><body>\n' + "\n".join(parts) + "\n</body></html>\n"
    return page.encode("utf-8", "replace").decode("utf-8")  # half a surrogate pair has no bytes


def _draw_boxes(report, published):
    if not any(entry["median"] is not None for entry in report.summary):
        return "<p>No cell has a value.</p>"
    return _embed_picture(lambda **options: figure4(report, published=published, **options), summary_in_words(report))


def _draw_by_prompt(report):
    """A picture a task: each of its prompts with its interval."""
    tasks = list(dict.fromkeys(entry["task"] for entry in report.summary if entry["median"] is not None))
    pictures = []
    for task in tasks[:MOST_HEATMAPS]:
        cells = [cell for cell in report.cells if cell["task"] == task]
        lines = len({cell["prompt"] for cell in cells}) * (1 + 0.35 * (len({cell["model"] for cell in cells}) - 1))
        picture = _embed_picture(
            lambda ax=None, **options: by_prompt(report, task, ax=ax, **options), by_prompt_words(report, task), 1.5 + 0.25 * lines
        )
        pictures.append(f"<details><summary>{escape(str(task))}, by prompt</summary>{picture}</details>")
    return "".join(pictures)


def _draw_heatmaps(report):
    pairs = list(dict.fromkeys((entry["task"], entry["model"]) for entry in report.summary))
    pictures = []
    for task, model in pairs[:MOST_HEATMAPS]:
        name = f"{task}, {model}"
        try:
            picture = _embed_picture(
                lambda ax=None, **options: heatmap(report, task, model, ax=ax, **options),
                heatmap_words(report, task, model),
                _height(report, task, model),
            )
        except ConfigError:  # no cell of it has rows
            continue
        pictures.append(f"<details><summary>{escape(name)}</summary>{picture}</details>")
    left = len(pairs) - MOST_HEATMAPS
    return "".join(pictures) + (f"<p>{left} more are left out: draw them by t0native.figures.heatmap.</p>" if left > 0 else "")


def _height(report, task, model):
    """Inches of a heat map, as its prompts are many."""
    return 1.2 + 0.25 * sum((cell["task"], cell["model"]) == (task, model) for cell in report.cells)


def _embed_picture(draw, what, height=4):
    """draw(ax=) as SVG in the page, or draw(text=True) without matplotlib."""
    try:
        from matplotlib import rc_context  # optional
        from matplotlib.figure import Figure
    except ImportError:
        return f"<pre>{escape(draw(text=True))}</pre>"
    with rc_context({"svg.hashsalt": "t0native"}):  # the same ids each time
        figure = Figure(figsize=(11, height), layout="constrained")
        draw(ax=figure.subplots())
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<p><img alt="{escape(what)}" src="data:image/svg+xml;base64,{data}"></p>'


def _show_rows(report):
    """Sections of what needs the rows: which class was taken for which, and the first errors of each cell."""
    try:
        confusions = [_wrap_table(one._repr_html_()) for one in find_confusions(report)]
        errors = find_errors(report, limit=MOST_ERRORS)
    except ConfigError:  # rows are not at hand
        return
    for title, parts in (("Confusion", confusions), ("Errors", list(_fold_errors(errors)))):
        left = len(parts) - MOST_CELLS
        if parts:
            more = f"<p>{left} more cells are left out: report.{title.lower()}() has them.</p>" if left > 0 else ""
            yield f"<h2>{title}</h2>" + "".join(parts[:MOST_CELLS]) + more


def _fold_errors(errors):
    """A part of the page a cell: its first errors."""
    for key, (wrong, judged) in errors.counts.items():
        model, task, prompt = key
        own = Errors([one for one in errors if (one["model"], one["task"], one["prompt"]) == key], {})
        if own:
            title = f"{task}, {prompt}, {model}: {wrong:,} of {judged:,} rows wrong" + (
                f"; the first {len(own)}" if len(own) < wrong else ""
            )
            table = _wrap_table(own.html_rows(["row", "input", "choices", "target", "prediction"]))
            yield f"<details><summary>{escape(title)}</summary>{table}</details>"


def _tabulate_cells(report):
    return _wrap_table(html_rows(*cell_rows(report), ["failed" if cell["status"] != "ok" else "" for cell in report.cells]))


def _wrap_table(table):
    """A table that is moved aside by itself where the window is narrower."""
    return f'<div class="table" tabindex="0">{table}</div>'


def _format_value(value):
    return value if isinstance(value, str) else json_text(value, "keep", ensure_ascii=False, default=str)
