"""Reports: every cell of an evaluation, and per model and task the distribution over prompts, never one selected prompt.

    cells     a dict a (model, task, prompt): value, 95 % interval, n, dropped rows, status, reason (all its keys: cell.py)
    summary   a dict a (model, task): median, quartiles (linear interpolation), interval of the median, mean, min, max
    about     versions, models, seed, kernels, threads, time
    correct   per cell the rows' values (1 right, 0 wrong, an F1, ...), NaN where dropped (float64 [rows]); None for a failed cell
    draws     per cell None, or the replicates of a metric that is no mean over rows (float64 [replicates])

Values are fractions of 1 (correlations from -1); tables and pictures show percent. A saved report is JSON with these parts.
A summary covers the cells of one metric (summary.py)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.arguments import SEED, check
from t0native.base.errors import ConfigError
from t0native.base.files import write_text
from t0native.base.foreign import Hinting
from t0native.base.showing import shown
from t0native.reports import analysis, plot, tables
from t0native.reports.cell import CELL, CellRecord
from t0native.reports.confusion import Confusions, find_confusions
from t0native.reports.errors import Errors, find_errors
from t0native.reports.examples import read_examples
from t0native.reports.factors import FactorSplit, split_by_factors
from t0native.reports.htmlpage import html_page
from t0native.reports.published import beside
from t0native.reports.reportfiles import find_report, read_report, write_report
from t0native.reports.summary import ENTRY, merge_summaries, summarize
from t0native.reports.unlabeled import judge_without_labels

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, Self

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from pandas import DataFrame

    from t0native.base.annotations import PathName

__all__ = ["Report"]

CELL_KEYS, SUMMARY_KEYS = tuple(key for key in CELL if key != "factors"), tuple(ENTRY)


class Report(Hinting):
    """What an evaluation found; print it. Made by `evaluate`, `Report.load` and `Report.merge`.

    cells, summary: lists of dicts (above).  about: dict.  correct: a float64 array [rows] a cell; draws: None or float64
    [replicates] a cell; folders: that of its evaluation, or None, a cell; answers: what the model said of its rows, while the program that
    evaluated runs, or None, a cell (a copy and a pickled report have none). Values are fractions of 1.

    >>> cell = dict.fromkeys(CELL_KEYS) | {"model": "m", "task": "t", "prompt": "p", "status": "ok", "metric": "accuracy"}
    >>> report = Report.of_cells([cell], [np.array([1.0, 1.0, 0.0, 1.0])], [0.5], seed=0, about={})
    >>> report.summary[0]["median"], report.cells[0]["n"]
    (0.75, 4)
    """

    cells: list[dict[str, Any]]
    summary: list[dict[str, Any]]
    about: dict[str, Any]
    correct: list[NDArray[np.float64] | None]
    draws: list[NDArray[np.float64] | None]
    folders: list[Path | None]
    answers: list[Any]

    def __init__(
        self,
        cells: Iterable[dict[str, Any]],
        summary: Iterable[dict[str, Any]],
        about: Mapping[str, Any],
        correct: Iterable[NDArray[np.float64] | None] | None = None,
        draws: Iterable[NDArray[np.float64] | None] | None = None,
        folders: Iterable[Path | None] | None = None,
        answers: Iterable[Any] | None = None,
    ) -> None:
        self.cells, self.summary, self.about = list(cells), list(summary), dict(about)
        nothing = [None] * len(self.cells)
        parts = (nothing[:] if part is None else list(part) for part in (correct, draws, folders, answers))
        self.correct, self.draws, self.folders, self.answers = parts

    def __getstate__(self):
        return self.__dict__ | {"answers": [None] * len(self.cells)}  # they hold tasks, whose rows may be anything

    @classmethod
    def of_cells(
        cls,
        cells: Sequence[dict[str, Any]],
        correct: Sequence[NDArray[np.float64] | None],
        chances: Sequence[float | None],
        draws: Sequence[NDArray[np.float64] | None] | None = None,
        *,
        seed: int,
        about: Mapping[str, Any],
    ) -> Self:
        """Fills in values, intervals and the summary. cells: dicts with all but value, low, high, n, where a cell with draws has
        its value in `metrics`; correct, draws: see above; chances: a cell's chance level, or None where there is none.

        >>> Report.of_cells([], [], [], seed=0, about={}).summary
        []
        """
        draws = [None] * len(cells) if draws is None else draws
        return cls.of_records([CellRecord.from_dict(*parts) for parts in zip(cells, correct, chances, draws)], seed=seed, about=about)

    @classmethod
    def of_records(cls, records: Sequence[CellRecord], *, seed: int, about: Mapping[str, Any]) -> Self:
        """The same of CellRecords (cell.py), judged or failed; fills in their value, low, high and n.

        >>> Report.of_records([], seed=0, about={}).cells
        []
        """
        summary = summarize(records, check(SEED, "seed", seed))
        correct, draws = [record.correct for record in records], [record.draws for record in records]
        answers = [record.answers for record in records]
        return cls([record.to_dict() for record in records], summary, about, correct, draws, answers=answers)

    @staticmethod
    def merge(reports: Iterable[Report]) -> Report:
        """One report of several, for models side by side. A model and task of which several reports have prompts is
        summarised anew, from the rows of all. ConfigError for a (model, task, prompt) that two of them have, for rows that
        do not fit together, and for no reports.

        >>> task, model = t0.mini.held_out_tasks()[0], t0.mini.new_model(0)
        >>> both = Report.merge(t0.evaluate(model, task, limit=2, label=label, progress=False) for label in ("a", "b"))
        >>> [(entry["model"], entry["prompts"]) for entry in both.summary]
        [('a', 12), ('b', 12)]
        """
        reports = list(reports)
        if not reports:
            raise ConfigError("Report.merge: no reports")
        _check_different(reports)
        records, summary = merge_summaries(reports)
        cells = [cell | record.measured() for cell, record in zip(_join(reports, "cells"), records)]
        about = {**reports[0].about, "models": [m for report in reports for m in report.about.get("models", [])]}
        if all("seconds" in report.about for report in reports):
            about["seconds"] = sum(report.about["seconds"] for report in reports)
        return Report(cells, summary, about, *(_join(reports, part) for part in ("correct", "draws", "folders", "answers")))

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self, path: PathName) -> Path:
        """Writes JSON; a folder, or a name that ends in /, gets a report.json. Returns the path. OSError leaves what was there before.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     path = Report([], [], {"seed": 0}).save(folder)
        ...     path.name, Report.load(path).about
        ('report.json', {'seed': 0})
        """
        as_folder = str(path).endswith("/") or Path(path).is_dir()
        path = Path(path) / "report.json" if as_folder else Path(path)
        write_report(path, self)
        return path

    @classmethod
    def load(cls, path: PathName) -> Self:
        """Reads what `save` wrote (a file, or a folder with report.json in it). FormatError tells what is missing, OSError where it cannot
        be opened.

        >>> Report.load("nowhere.json")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.json'
        """
        path = find_report(path)
        cells, *others = read_report(path)
        return cls(cells, *others, folders=[path.parent.absolute()] * len(cells))

    def examples(self, cell: dict[str, Any]) -> list[dict[str, Any]] | None:
        """What the model said of each row of a cell (one of `cells`): a list of dicts with row, target, choices, scores, lengths,
        prediction (a choice's number, or a text), value, and input where it is known, read from the folder that evaluate(out=) wrote, else
        from memory; None where there is neither, as in a report loaded without its folder.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, out=folder, progress=False)
        ...     len(report.examples(report.cells[0])), sorted(report.examples(report.cells[0])[1])[-2:]
        (2, ['target', 'value'])
        """
        i = self.cells.index(cell)
        return read_examples(self.folders[i], cell, self.answers[i])

    def errors(self, task: str | None = None, prompt: str | None = None, model: str | None = None, limit: int | None = 20) -> Errors:
        """The rows that were answered wrong, with their texts: a list of dicts with model, task, prompt, row, value, input, choices,
        target, prediction, scores; it prints itself, and `to_latex` and `to_markdown` give tables. From the evaluation just made, or of a
        report loaded from the folder of evaluate(out=), where inputs are known after write_examples=True.

        task, prompt, model: names; None: all.  limit: rows of a cell at most, the first; None: all. `counts` and `total` count all.
        ConfigError for a name that the report lacks, and where no row is at hand.

        >>> errors = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=20, progress=False).errors(limit=1)
        >>> [(error["prompt"], error["row"], error["target"], error["prediction"]) for error in errors[:1]]
        [('can we infer', 16, 'No', 'Yes')]
        """
        return find_errors(self, task, prompt, model, limit)

    def confusion(self, task: str | None = None, prompt: str | None = None, model: str | None = None) -> Confusions:
        """Which choice was taken for which: a list of Confusion, one a cell whose choices are the same set for every row, with labels,
        matrix (int64 [right, predicted]), accuracy, macro_f1 and classes (precision, recall, f1, support of each); it prints itself, and
        `to_latex` and `to_markdown` give tables. `left_out` says why other cells have none.  Arguments, errors and where rows come from: as
        `errors`.

        >>> report = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=20, progress=False)
        >>> found = report.confusion(prompt="can we infer")[0]
        >>> found.matrix.shape, found.n, found.labels
        ((2, 2), 20, ['Yes', 'No'])
        """
        return find_confusions(self, task, prompt, model)

    # ---- showing ----------------------------------------------------------------------------------------------------

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The cells that failed, a list of dicts with status and reason.

        >>> t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False).failed
        []
        """
        return [cell for cell in self.cells if cell["status"] != "ok"]

    def statistics(self) -> list[dict[str, Any]]:
        """What the prompts of each model and task tell together, a list of dicts: the summary's numbers, `iqr` (q3 - q1), `cells` (prompt,
        value, low, high, n of each), and, from analysis.py,

        rank_stability  how far half of the rows orders the prompts as the other half does: mean tau-b, -1 to 1
        agreement, kappa  how often two prompts judge a row alike, and how far beyond chance (Fleiss' kappa)
        ece, brier      medians over prompts of the calibration error and of the Brier score of the choices' shares of the likelihood, where
                        the report has examples (ece also where the task names that metric)

        None stands where a number is not defined.

        >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=20, progress=False)
        >>> found = report.statistics()[0]
        >>> found["task"], found["prompts"], len(found["cells"]), 0 <= found["agreement"] <= 1
        ('inference', 12, 12, True)
        """
        return analysis.describe(self)

    def factors(self, task: str | None = None, model: str | None = None) -> list[FactorSplit]:
        """The variance over wordings that `t0.vary` made, split by their factors: a FactorSplit a model and task (of all, unless one is
        named), which prints itself; the definition, and what it says of designs that are not balanced: docs/reference/metrics.md.
        ConfigError for a name that the report lacks, and where no prompts have factors.

        >>> task = t0.mini.held_out_tasks()[0]
        >>> varied = t0.Task("inference", task.rows[:20], t0.vary(task.prompts["does it follow"]))
        >>> split = t0.evaluate(t0.Model.mini(), varied, progress=False).factors()[0]
        >>> split.wordings, sorted(one["factor"] for one in split.factors)
        (90, ['instruction', 'options', 'punctuation', 'question', 'words'])
        >>> abs(sum(one["share"] for one in split.factors) + split.rest - 1) < 1e-9
        True
        """
        return split_by_factors(self, task, model)

    def unlabeled(self, task: str | None = None, model: str | None = None) -> list[dict[str, Any]]:
        """How each wording would be judged without labels, by the scores of its choices alone: a list of dicts, one a model and task, with
        `wordings` (a list, the best agreement first: prompt, agreement, mutual_information, value), `tau_agreement` and
        `tau_information` (how they order the wordings as the values do: tau-b, None where it is not defined), and `rows`, those that every
        wording kept with as many choices. Definitions: t0.choose_wordings. Arguments and where rows come from: as `errors`.

        >>> report = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=50, progress=False)
        >>> found = report.unlabeled()[0]
        >>> len(found["wordings"]), found["rows"], sorted(found["wordings"][0])
        (12, 50, ['agreement', 'mutual_information', 'prompt', 'value'])
        """
        return judge_without_labels(self, task, model)

    def compare(self, model_a: str, model_b: str) -> list[dict[str, Any]]:
        """Two models on the tasks and prompts that both have (see `merge`), a list of dicts, one a task: `a` and `b` (medians over
        prompts), `difference` (b - a) with its 95 % `interval` by the paired bootstrap over rows and prompts, and `over_rows` and
        `over_prompts` alone; `p` of the paired permutation test, which holds rows and prompts as they are; `better`: prompts
        of `prompts` on which b is above a; `tau`: how alike the models order the prompts (tau-b). ConfigError for a model that is
        not there, and rows that do not fit.

        >>> task = t0.mini.held_out_tasks()[0]
        >>> runs = [t0.evaluate(t0.mini.new_model(seed), task, limit=20, label=str(seed), progress=False) for seed in (0, 1)]
        >>> found = Report.merge(runs).compare("0", "1")[0]
        >>> found["prompts"], found["interval"][0] <= found["difference"] <= found["interval"][1], 0 < found["p"] <= 1
        (12, True, True)
        """
        return analysis.compare(self, model_a, model_b)

    def published(self, model: str | None = None) -> list[dict[str, Any]]:
        """Published figures (of one model, or of all) beside one's own, a list of dicts, a summary and figure: task, model, `own` (of the
        same
        statistic over prompts where there is one, else the median), `published` (as t0.published gives), `differs`: what was measured
        otherwise (statistic, prompts, split, rows, metric), in words.

        >>> rows = [{"premise": "Rain fell.", "hypothesis": "It was wet.", "label": 0}]
        >>> prompt = t0.Prompt("p", "{{premise}} {{hypothesis}} ||| Yes", "Yes ||| No")
        >>> rte = t0.Task("rte", rows, [prompt], dataset="super_glue/rte", split="validation")
        >>> found = t0.evaluate(t0.mini.new_model(0), rte, progress=False).published("T0 11B")[0]
        >>> found["published"]["value"], found["differs"]
        (0.812, ['10 prompts; yours 1', '277 rows; yours 1'])
        """
        return beside(self, model)

    def __str__(self):
        return tables.summary_table(self)

    __repr__ = __str__

    def _repr_html_(self):
        return tables.html_table(self)

    def to_markdown(self) -> str:
        """Both tables in Markdown: the summary, then every cell.

        >>> print(Report([], [], {}).to_markdown().splitlines()[0])
        | task | model | prompts | chance | median | 95 % interval | quartiles | mean | min | max |
        """
        return tables.markdown(self)

    def to_latex(self) -> str:
        """The summary as a LaTeX tabular (package booktabs), every text escaped.

        >>> print(Report([], [], {}).to_latex().splitlines()[0])
        \\begin{tabular}{llrrrrrrrr}
        """
        return tables.latex(self)

    def to_pandas(self) -> DataFrame:
        """The cells as a pandas DataFrame, a row a cell. ImportError where pandas is not installed: `cells` is the same without it."""
        try:
            import pandas  # optional
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas (report.cells holds the same as dicts)") from None
        return pandas.DataFrame(self.cells)

    def to_html(self, path: PathName | None = None, published: bool = False) -> str:
        """One page with tables and pictures that needs no network; returns its text. path: where to save it.
        published: with published figures on the same datasets.

        >>> Report([], [], {}).to_html()[:15]
        '<!doctype html>'
        """
        page = html_page(self, published)
        if path is not None:
            write_text(path, page)
        return page

    def boxes(self, width: int = 72) -> str:
        """Box plots drawn in text, one a task and model, `width` characters wide.

        >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
        >>> print(report.boxes().splitlines()[0])
        inference
        """
        return plot.text_boxes(self, width)

    def plot(self, path: PathName | None = None, ax: Axes | None = None) -> Axes:
        """Box plots over prompts, a point a prompt (as Figure 4 of Sanh et al. 2022), by matplotlib; returns the Axes.
        path: where to save it (.png, .svg, .pdf).  ImportError where matplotlib is not installed."""
        return plot.draw_boxes(self, path, ax)


def _join(reports, part):
    """The lists of this name of all reports, as one."""
    return [value for report in reports for value in getattr(report, part)]


def _check_different(reports):
    """ConfigError for a (model, task, prompt) that two of the reports have."""
    seen = set()
    for cell in _join(reports, "cells"):
        key = (cell["model"], cell["task"], cell["prompt"])
        if key in seen:
            raise ConfigError(
                f"Report.merge: model {shown(key[0])}, task {shown(key[1])}, prompt {shown(key[2])} stands in two reports; evaluate one of "
                "them again with another name for its model, label=NAME"
            )
        seen.add(key)
