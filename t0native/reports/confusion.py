"""Which class a model takes for which: a matrix a cell whose choices are the same set for every row, and what it says of each class.

    n[i, j]    rows whose right choice is i and whose predicted choice is j
    precision  n[c, c] / sum_i n[i, c]      of the rows predicted c, those that are c
    recall     n[c, c] / sum_j n[c, j]      of the rows that are c, those predicted c
    F1         2 n[c, c] / (sum_i n[i, c] + sum_j n[c, j])
    support    sum_j n[c, j]
    macro F1   mean of the classes' F1, of those that are right or predicted anywhere

A quotient by 0 is not defined: None, shown as "-"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from t0native.base.errors import ConfigError
from t0native.base.htmltext import html_rows
from t0native.base.showing import printable
from t0native.reports.errors import NOT_AT_HAND
from t0native.reports.examples import examples_in_words, select_cells
from t0native.reports.tables import latex_table, markdown_table, percent, text_table

__all__ = ["Confusion", "Confusions", "find_confusions"]

_CLASSES = 12  # beyond these a matrix is not shown, but the commonest confusions
_COMMONEST = 10
_FIGURES = ("precision", "recall", "F1", "support")


class Confusion:
    """A cell's matrix. model, task, prompt: the cell.  labels: the C choices, in the first row's order.  matrix: int64 [C, C], rows
    right, columns predicted. Print it; in a notebook it shows itself.

    >>> confusion = Confusion("m", "t", "p", ["no", "yes"], np.array([[8, 2], [3, 7]]))
    >>> confusion.n, confusion.accuracy, confusion.classes[1]["recall"]
    (20, 0.75, 0.7)
    >>> print(confusion)
    t, p, m: 20 rows, accuracy 75.0, macro F1 74.9
    right \\ predicted  no  yes  precision  recall    F1  support
    no                  8    2       72.7    80.0  76.2       10
    yes                 3    7       77.8    70.0  73.7       10
    """

    labels: list[str]
    matrix: NDArray[np.int64]

    def __init__(self, model: str, task: str, prompt: str, labels: Iterable[str], matrix: ArrayLike) -> None:
        self.model, self.task, self.prompt, self.labels, self.matrix = model, task, prompt, list(labels), np.asarray(matrix, np.int64)

    @property
    def n(self) -> int:
        """Rows.

        >>> Confusion("m", "t", "p", ["a"], [[3]]).n
        3
        """
        return int(self.matrix.sum())

    @property
    def accuracy(self) -> float | None:
        """The share of rows whose right choice was predicted.

        >>> Confusion("m", "t", "p", ["a", "b"], [[3, 1], [0, 0]]).accuracy
        0.75
        """
        return _quotient(np.trace(self.matrix), self.n)

    @property
    def classes(self) -> list[dict[str, Any]]:
        """A dict a class: label, precision, recall, f1 (None where not defined), support, predicted (rows).

        >>> Confusion("m", "t", "p", ["a", "b"], [[3, 0], [1, 0]]).classes[1]
        {'label': 'b', 'precision': None, 'recall': 0.0, 'f1': 0.0, 'support': 1, 'predicted': 0}
        """
        right, predicted, hits = self.matrix.sum(axis=1), self.matrix.sum(axis=0), np.diagonal(self.matrix)
        return [
            {
                "label": label,
                "precision": _quotient(hits[c], predicted[c]),
                "recall": _quotient(hits[c], right[c]),
                "f1": _quotient(2 * hits[c], right[c] + predicted[c]),
                "support": int(right[c]),
                "predicted": int(predicted[c]),
            }
            for c, label in enumerate(self.labels)
        ]

    @property
    def macro_f1(self) -> float | None:
        """The mean of the classes' F1; None without rows.

        >>> Confusion("m", "t", "p", ["a", "b", "never"], [[3, 1, 0], [0, 4, 0], [0, 0, 0]]).macro_f1
        0.873015873015873
        """
        known = [one["f1"] for one in self.classes if one["f1"] is not None]
        return float(np.mean(known)) if known else None

    def to_dict(self) -> dict[str, Any]:
        """All of it as values that JSON has.

        >>> sorted(Confusion("m", "t", "p", ["a"], [[3]]).to_dict())
        ['accuracy', 'classes', 'labels', 'macro_f1', 'matrix', 'model', 'n', 'prompt', 'task']
        """
        own = {name: getattr(self, name) for name in ("model", "task", "prompt", "labels", "n", "accuracy", "macro_f1", "classes")}
        return own | {"matrix": self.matrix.tolist()}

    @property
    def title(self) -> str:
        """What it is of, in one line."""
        figures = f"accuracy {percent(self.accuracy)}, macro F1 {percent(self.macro_f1)}"
        return f"{self.task}, {self.prompt}, {self.model}: {self.n:,} rows, {figures}"

    def __str__(self):
        lines = [printable(self.title), *text_table([*map(list, self._table())], left=1)]
        return "\n".join([*lines, *self._commonest()])

    __repr__ = __str__

    def _repr_html_(self):
        head, *rows = self._table()
        table = html_rows(head, rows).replace("<table>", f"<table><caption>{escape(self.title)}</caption>", 1)
        return table + "".join(f"<p>{escape(line)}</p>" for line in self._commonest())

    def to_markdown(self) -> str:
        """The matrix and the classes' figures as a table in Markdown.

        >>> print(Confusion("m", "t", "p", ["a"], [[3]]).to_markdown().splitlines()[-1])
        | a | 3 | 100.0 | 100.0 | 100.0 | 3 |
        """
        head, *rows = self._table()
        return "\n".join([self.title, "", markdown_table(head, rows), *self._commonest()]) + "\n"

    def to_latex(self) -> str:
        """The same as a tabular of booktabs, every text escaped.

        >>> print(Confusion("m", "t", "p", ["a"], [[3]]).to_latex().splitlines()[0])
        \\begin{tabular}{lrrrrr}
        """
        head, *rows = self._table()
        return latex_table(head, rows, "l" + "r" * (len(head) - 1), self.title)

    def _table(self):
        """Rows of texts, the head first."""
        shown = len(self.labels) <= _CLASSES
        labels = [_one_line(label) for label in self.labels]
        yield [r"right \ predicted" if shown else "class", *(labels if shown else []), *_FIGURES]
        for label, counts, one in zip(labels, self.matrix.tolist(), self.classes):
            figures = [percent(one[key]) for key in ("precision", "recall", "f1")]
            yield [label, *(map(str, counts) if shown else []), *figures, str(one["support"])]

    def _commonest(self):
        """Lines that stand for a matrix that is too large to show."""
        if len(self.labels) <= _CLASSES:
            return []
        pairs = [(-count, i, j) for (i, j), count in np.ndenumerate(self.matrix) if i != j and count]
        lines = [f"{_one_line(self.labels[i])} taken for {_one_line(self.labels[j])}: {-count}" for count, i, j in sorted(pairs)]
        return lines[:_COMMONEST]


class Confusions(list[Confusion]):
    """A Confusion a cell. left_out: {(model, task, prompt): why it has none}.

    >>> report = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=20, progress=False)
    >>> report.confusion(prompt="can we infer")[0].labels
    ['Yes', 'No']
    """

    left_out: dict[tuple[str, str, str], str]

    def __init__(self, confusions: Iterable[Confusion], left_out: Mapping[tuple[str, str, str], str]) -> None:
        super().__init__(confusions)
        self.left_out = dict(left_out)

    def __str__(self):
        return "\n\n".join([*map(str, self), *self._notes()])

    __repr__ = __str__

    def _repr_html_(self):
        return "".join([*(one._repr_html_() for one in self), *(f"<p>{escape(line)}</p>" for line in self._notes())])

    def to_markdown(self) -> str:
        """All of them in Markdown.

        >>> Confusions([], {}).to_markdown()
        ''
        """
        return "\n".join([*(one.to_markdown() for one in self), *self._notes()])

    def to_latex(self) -> str:
        """A tabular a cell.

        >>> Confusions([], {}).to_latex()
        ''
        """
        return "\n".join(one.to_latex() for one in self)

    def _notes(self):
        """Lines on the cells that are left out, one a model, task and reason."""
        prompts = {}
        for (model, task, prompt), why in self.left_out.items():
            prompts.setdefault((model, task, why), []).append(str(prompt))
        lines = (f"{task}, {model}: no matrix of {', '.join(them)}: {why}" for (model, task, why), them in prompts.items())
        return list(map(printable, lines))


def find_confusions(report, task=None, prompt=None, model=None):
    """See Report.confusion."""
    confusions, left_out, at_hand = [], {}, False
    cells = select_cells(report, task, prompt, model)
    for i in cells:
        key = tuple(report.cells[i][name] for name in ("model", "task", "prompt"))
        examples = examples_in_words(report, i)
        at_hand |= examples is not None
        labels, matrix, why = _count(report.cells[i]["metric"], examples)
        if why is None:
            confusions.append(Confusion(*key, labels, matrix))
        else:
            left_out[key] = why
    if cells and not at_hand:
        raise ConfigError(NOT_AT_HAND)
    return Confusions(confusions, left_out)


def _count(metric, examples):
    """(labels, matrix, None), or (None, None, why there is none)."""
    if examples is None:
        return None, None, "its rows are not at hand"
    if ":" in metric:
        return None, None, f"it is judged by a field of the row ({metric})"
    numbers, pairs = {}, {}
    for one in examples:
        if one["choices"] is None:
            return None, None, "its answers are written, not chosen"
        if not numbers:
            numbers = {label: i for i, label in enumerate(dict.fromkeys(one["choices"]))}
        if numbers.keys() != set(one["choices"]) or one["target"] not in numbers:
            return None, None, f"its choices are not the same for every row (row {one['row']})"
        pair = numbers[one["target"]], numbers[one["choices"][one["index"]]]
        pairs[pair] = pairs.get(pair, 0) + 1
    matrix = np.zeros((len(numbers), len(numbers)), np.int64)
    for pair, count in pairs.items():
        matrix[pair] = count
    return list(numbers), matrix, None


def _quotient(part, whole):
    return float(part / whole) if whole else None


def _one_line(text):
    return printable(" ".join(text.split())) or '""'
