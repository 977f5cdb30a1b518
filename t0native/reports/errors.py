"""The rows that a model answered wrong, with their texts: what to read before believing a number.

wrong   a row whose value is not the best that its metric gives (examples.py); of a metric of groups (MultiRC's questions), the group's
        first row

Texts come from the evaluation just made, or from its folder where it was asked for write_examples; else inputs are unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from t0native.base.arguments import check, whole
from t0native.base.errors import ConfigError
from t0native.base.htmltext import html_rows
from t0native.base.showing import printable
from t0native.reports.examples import best_value, examples_in_words, select_cells
from t0native.reports.tables import latex_table, markdown_table

__all__ = ["Errors", "NOT_AT_HAND", "find_errors"]

NOT_AT_HAND = (
    "the rows of this report are not at hand: an evaluation keeps them in its folder (out=, --out), with their inputs where it is asked "
    "for them (write_examples=True, --write-examples); load the report from that folder"
)
_LIMIT = whole(1).or_none()
_SHORT, _LONG = 400, 4000  # characters of a text that are shown


class Errors(list[dict[str, Any]]):
    """Dicts, one a row that was answered wrong: model, task, prompt, row, value, input (None where it is not known), choices, target,
    prediction, index, scores, lengths (evaluation/texts.py says what each is). Print it; in a notebook it shows itself.

    counts: {(model, task, prompt): (rows answered wrong, rows judged)} of the cells that were looked at, shown or not.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=4, progress=False)
    >>> errors = report.errors(prompt="can we infer")
    >>> len(errors) == sum(wrong for wrong, _ in errors.counts.values()), {error["right"] for error in errors} <= {False}
    (True, True)
    """

    counts: dict[tuple[str, str, str], tuple[int, int]]

    def __init__(self, errors: Iterable[dict[str, Any]], counts: Mapping[tuple[str, str, str], tuple[int, int]]) -> None:
        super().__init__(errors)
        self.counts = dict(counts)

    @property
    def total(self) -> int:
        """Rows answered wrong, whether they are in the list or not.

        >>> t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=4, progress=False).errors(limit=1).total
        5
        """
        return sum(wrong for wrong, _ in self.counts.values())

    def __str__(self):
        lines = [self._title()]
        for (model, task, prompt), (wrong, judged) in self.counts.items():
            own = [error for error in self if (error["model"], error["task"], error["prompt"]) == (model, task, prompt)]
            if own:
                lines += ["", printable(f"{task}, {prompt}, {model}: {wrong:,} of {judged:,} rows wrong")]
                lines += [line for error in own for line in _write_row(error)]
        return "\n".join(lines)

    __repr__ = __str__

    def _title(self):
        judged = sum(judged for _, judged in self.counts.values())
        shown = "" if len(self) == self.total else f"; {len(self):,} shown"
        unknown = any(error["input"] is None for error in self)
        return f"{self.total:,} of {judged:,} rows wrong{shown}" + (
            "; inputs are kept by write_examples=True, --write-examples" if unknown else ""
        )

    def _repr_html_(self):
        return f"<p>{escape(self._title())}</p>" + (self.html_rows() if self else "")

    def html_rows(self, columns: Sequence[str] = ("model", "task", "prompt", "row", "input", "choices", "target", "prediction")) -> str:
        """A table in HTML, every text escaped, its white space as it is.

        >>> Errors([], {}).html_rows(["row"])
        '<table><thead><tr><th>row</th></tr></thead><tbody></tbody></table>'
        """
        table = html_rows(columns, [[_clip(str(_shown(error, name)), _LONG) for name in columns] for error in self])
        return table.replace("<td>", '<td style="text-align:left;white-space:pre-wrap">')

    def to_markdown(self) -> str:
        """A table in Markdown, a line a row.

        >>> print(t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=1, progress=False).errors().to_markdown().splitlines()[0])
        | model | task | prompt | row | input | target | prediction |
        """
        return markdown_table(_HEAD, self._rows()) + "\n"

    def to_latex(self) -> str:
        """A tabular of booktabs, every text escaped and cut at 400 characters; inputs in a column that breaks lines.

        >>> print(Errors([], {}).to_latex().splitlines()[0])
        \\begin{tabular}{lllrp{0.4\\linewidth}ll}
        """
        rows = [[*row[:4], *(_clip(text, _SHORT) for text in row[4:])] for row in self._rows()]
        return latex_table(_HEAD, rows, r"lllrp{0.4\linewidth}ll")

    def _rows(self):
        return [[_shown(error, name) for name in _HEAD] for error in self]


_HEAD = ("model", "task", "prompt", "row", "input", "target", "prediction")


def find_errors(report, task=None, prompt=None, model=None, limit=20):
    """See Report.errors."""
    limit = check(_LIMIT, "limit", limit)
    found, counts, at_hand = [], {}, False
    cells = select_cells(report, task, prompt, model)
    for i in cells:
        cell = report.cells[i]
        of = {key: cell[key] for key in ("model", "task", "prompt")}
        wrong, judged = _wrong_rows(report, i)
        counts[tuple(of.values())] = len(wrong), judged
        chosen = set(wrong[:limit])
        examples = examples_in_words(report, i, chosen)
        at_hand |= examples is not None
        found += [of | example for example in examples or ()]
    if cells and not at_hand:
        raise ConfigError(NOT_AT_HAND)
    return Errors(found, counts)


def _wrong_rows(report, i):
    """(numbers of the rows that are not answered best, how many were judged)."""
    values, best = report.correct[i], best_value(report.cells[i]["metric"])
    if values is None:  # of a report that was saved without them
        examples = list(examples_in_words(report, i) or ())
        return [one["row"] for one in examples if one["right"] is False], sum(one["right"] is not None for one in examples)
    judged = values == values  # not NaN, which a dropped row has
    return (judged & (values != best)).nonzero()[0].tolist(), int(judged.sum())


def _write_row(error):
    yield f"  row {error['row']}"
    for name in ("input", "choices", "target", "prediction"):
        if error[name] is not None:
            yield f"    {name:<10}  {printable(' '.join(_shown(error, name).split()))}"


def _shown(error, name):
    """One of an error's values as it is shown: choices with their scores, "-" for None."""
    value, scores = error[name], error["scores"]
    if name != "choices" or value is None:
        return "-" if value is None else value
    return " | ".join(value if scores is None else (f"{choice} ({score:.2f})" for choice, score in zip(value, scores)))


def _clip(text, most):
    return text if len(text) <= most else f"{text[: most - 3]}..."
