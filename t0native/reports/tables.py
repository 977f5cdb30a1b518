"""A report as tables: plain text, Markdown, LaTeX, CSV, HTML. Values in percent, one decimal."""

import csv
import io
from html import escape

from t0native.base.htmltext import html_rows
from t0native.base.jsontext import json_text
from t0native.reports.cell import CELL
from t0native.reports.winobias import gap_lines
from t0native.tasks.metrics import METRICS

__all__ = [
    "cell_rows", "csv_text", "html_table", "latex", "latex_table", "markdown", "markdown_table", "notes", "percent",
    "summary_table", "text_table",
]  # fmt: skip

_COLUMNS = ("task", "model", "prompts", "chance", "median", "95 % interval", "quartiles", "mean", "min", "max")


def percent(value):
    """A fraction of 1 as text, "-" for None.

    >>> percent(0.5), percent(None)
    ('50.0', '-')
    """
    return "-" if value is None else f"{100 * value:.1f}"


def _format_range(low, high):
    return "-" if low is None else f"{percent(low)} to {percent(high)}"


def summary_rows(report):
    """The summary as lists of text, grouped by task in order of appearance."""
    tasks = dict.fromkeys(entry["task"] for entry in report.summary)
    for task in tasks:
        for e in (entry for entry in report.summary if entry["task"] == task):
            middle = [percent(e["chance"]), percent(e["median"]), _format_range(e["low"], e["high"]), _format_range(e["q1"], e["q3"])]
            yield [str(task), str(e["model"]), str(e["prompts"]), *middle, percent(e["mean"]), percent(e["min"]), percent(e["max"])]


def text_table(table, left=2):
    """Lines of a list of rows of texts, columns aligned, the first `left` of them to the left.

    >>> list(text_table([["class", "F1"], ["yes", "87.5"]], left=1))
    ['class    F1', 'yes    87.5']
    """
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        cells = [text.ljust(w) if i < left else text.rjust(w) for i, (text, w) in enumerate(zip(row, widths))]
        yield "  ".join(cells).rstrip()


def summary_table(report):
    """The summary for a terminal; failed cells are listed below it."""
    rows = list(summary_rows(report))
    for i in range(len(rows) - 1, 0, -1):
        if rows[i][0] == rows[i - 1][0]:
            rows[i][0] = ""
    lines = list(text_table([list(_COLUMNS), *rows]))
    lines.insert(1, "-" * max(map(len, lines)))
    lines += notes(report) + [f"FAILED {cell['model']}, {cell['task']}, {cell['prompt']}: {cell['reason']}" for cell in report.failed]
    return "\n".join(lines)


def notes(report):
    """What stands below a summary, a list of lines: metrics that are not accuracy, WinoBias' gaps, dropped rows, intervals of no width."""
    lines = [f"{task}: {metric}" for task, metric in _find_other_metrics(report)] + gap_lines(report)
    dropped = sum(cell["dropped"] or 0 for cell in report.cells)
    if dropped:
        cells = sum(bool(cell["dropped"]) for cell in report.cells)
        lines.append(f"rows dropped by prompts: {dropped} in {cells} cell{'' if cells == 1 else 's'}; no value counts them")
    return lines + _tell_no_width(report.cells)


def _tell_no_width(cells):
    """A line, where the interval of a cell has no width because all of its rows are right, or all wrong."""
    rows = [cell["n"] for cell in cells if cell["status"] == "ok" and cell["low"] == cell["high"] and cell["value"] in (0, 1) and cell["n"]]
    if not rows:
        return []
    most = min(100.0, 300 / min(rows))
    told = f"of rows like them up to {most:.{int(most < 10)}f} % may be otherwise (3 / n, 95 %)"
    return [f"intervals of no width: {len(rows)} cell{'s' * (len(rows) > 1)}, all of whose rows are right, or all wrong; {told}"]


def _find_other_metrics(report):
    """(task, metric in words) of the tasks whose summary is not of accuracy."""
    metrics_of = {}
    for cell in report.cells:
        if cell["status"] == "ok":
            metrics_of.setdefault(cell["task"], {})[cell["metric"]] = True
    named = [(task, next(iter(metrics))) for task, metrics in metrics_of.items() if "accuracy" not in metrics]
    return [(task, f"{name} of generated text" if _is_of_text(name) else name) for task, name in named]


def _is_of_text(name):
    metric = METRICS.get(name.partition(":")[0])
    return metric is not None and not metric.by_choices


_MARKDOWN = {"\n": " ", "\r": " "} | {sign: "\\" + sign for sign in "\\|<"}  # no cell ends, and no HTML begins, inside a text


def markdown_table(head, rows):
    """A table in Markdown, every text escaped.

    >>> print(markdown_table(["a"], [["x|y"]]).splitlines()[-1])
    | x\\|y |
    """

    def line(cells):
        return "| " + " | ".join("".join(_MARKDOWN.get(sign, sign) for sign in str(cell)) for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *map(line, rows)])


def cell_rows(report):
    """(head, rows): every cell, as text; a column for what else was measured where anything was."""
    head = ["model", "task", "prompt", "metric", "value", "95 % interval", "n", "dropped", "status"]
    rows = [
        [c["model"], c["task"], c["prompt"], c["metric"], percent(c["value"]), _format_range(c["low"], c["high"]), c["n"], c["dropped"],
         c["status"] if c["status"] == "ok" else f"{c['status']}: {c['reason']}"]
        for c in report.cells
    ]  # fmt: skip
    others = [_list_others(cell) for cell in report.cells]
    if any(others):
        head.append("others")
        rows = [[*row, text] for row, text in zip(rows, others)]
    return head, rows


def _list_others(cell):
    """The metrics beside the first, and accuracy by scores a token."""
    texts = [f"{name} {percent(value)}" for name, value in (cell.get("metrics") or {}).items() if name != cell["metric"]]
    return ", ".join(texts + ([f"normalized {percent(cell['normalized'])}"] if cell.get("normalized") is not None else []))


def markdown(report):
    """Two tables: the summary, and every cell."""
    return "\n\n".join([markdown_table(_COLUMNS, summary_rows(report)), *notes(report), markdown_table(*cell_rows(report))]) + "\n"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {sign: "\\" + sign for sign in "&%$#_{}"}
_LATEX |= {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "\n": " ", "\r": " "}
_LATEX |= {sign: "{" + sign + "}" for sign in "[*"}  # a row's end would read them at the beginning of the next as its own


def latex(report):
    """The summary as a tabular of booktabs; every text escaped."""
    return latex_table(_COLUMNS, list(summary_rows(report)), "ll" + "r" * (len(_COLUMNS) - 2))


def latex_table(head, rows, columns, title=None):
    """A tabular of booktabs, every text escaped. columns: its column types.  title: a line above the head, over all columns.

    >>> print(latex_table(["class"], [["50 %"]], "l").splitlines()[4])
    50 \\% \\\\
    """

    def line(cells):
        return " & ".join(map(_latex_text, cells)) + r" \\"

    above = [] if title is None else [rf"\multicolumn{{{len(head)}}}{{l}}{{{_latex_text(title)}}} \\"]
    body = [*above, line(head), r"\midrule", *map(line, rows)]
    return "\n".join([rf"\begin{{tabular}}{{{columns}}}", r"\toprule", *body, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _latex_text(value):
    return "".join(_LATEX.get(sign, sign) for sign in str(value))


def csv_text(report):
    """The cells as CSV, a line each; `metrics` as JSON, what is None as nothing."""
    with io.StringIO(newline="") as text:
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CELL)
        for cell in report.cells:
            values = (cell.get(name) for name in CELL)
            writer.writerow([json_text(value, "null", ensure_ascii=False) if isinstance(value, dict) else value for value in values])
        return text.getvalue()


def html_table(report):
    """The summary for a notebook; every text is escaped."""
    failed = "".join(f"<li>{escape(str(c['task']))}, {escape(str(c['prompt']))}: {escape(str(c['reason']))}</li>" for c in report.failed)
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in notes(report))
    return html_rows(_COLUMNS, list(summary_rows(report))) + paragraphs + (f"<p>Failed:</p><ul>{failed}</ul>" if failed else "")
