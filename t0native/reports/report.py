"""Reports: every cell of an evaluation, and per model and task the distribution over prompts, never one selected prompt.

    cells     a dict a (model, task, prompt): value, 95 % interval, n, dropped rows, status, reason
    summary   a dict a (model, task): median, quartiles (linear interpolation), interval of the median, mean, min, max
    about     versions, models, seed, kernels, threads, time
    correct   per cell the rows' values (1 right, 0 wrong, an F1, ...), NaN where dropped (float64 [rows]); None for a failed cell
    draws     per cell None, or the replicates of a metric that is no mean over rows (float64 [replicates], judging.py)

Values are fractions of 1 (correlations from -1); tables and pictures show percent. A saved report is JSON with these parts.
A summary covers the cells of one metric: accuracy where the task has any, else the metric of its cells."""

from pathlib import Path

import numpy as np

from t0native.base.arguments import SEED, check
from t0native.base.errors import ConfigError
from t0native.reports.bootstrap import bootstrap_means, intervals, quartiles
from t0native.reports.reportfiles import CELL, ENTRY, read_report, write_report

__all__ = ["Report"]

CELL_KEYS, SUMMARY_KEYS = tuple(CELL), tuple(ENTRY)
_GUESSED = ("accuracy", "multiple_choice_grade")  # metrics that have a chance level


class Report:
    """What an evaluation found; print it. Made by `evaluate`, `Report.load` and `Report.merge`.

    cells, summary: lists of dicts (above).  about: dict.  correct: a float64 array [rows] a cell; draws: None or float64
    [replicates] a cell; folders: that of its evaluation, or None, a cell. Values are fractions of 1.

    >>> cell = dict.fromkeys(CELL_KEYS) | {"model": "m", "task": "t", "prompt": "p", "status": "ok", "metric": "accuracy"}
    >>> report = Report.of_cells([cell], [np.array([1.0, 1.0, 0.0, 1.0])], [0.5], seed=0, about={})
    >>> report.summary[0]["median"], report.cells[0]["n"]
    (0.75, 4)
    """

    def __init__(self, cells, summary, about, correct=None, draws=None, folders=None):
        self.cells, self.summary, self.about = list(cells), list(summary), dict(about)
        nothing = [None] * len(self.cells)
        self.correct, self.draws, self.folders = (nothing[:] if part is None else list(part) for part in (correct, draws, folders))

    @classmethod
    def of_cells(cls, cells, correct, chances, draws=None, *, seed, about):
        """Fills in values, intervals and the summary. cells: dicts with all but value, low, high, n, where a cell with draws has
        its value in `metrics`; correct, draws: see above; chances: a cell's chance level, or None where there is none.

        >>> Report.of_cells([], [], [], seed=0, about={}).summary
        []
        """
        seed = check(SEED, "seed", seed)
        cells = [dict(cell) for cell in cells]
        draws = [None] * len(cells) if draws is None else draws
        summary = []
        for (model, task), group in _groups(cells).items():
            summary.append({"model": model, "task": task, **_summarised(cells, group, correct, chances, draws, seed)})
        return cls([{key: cell.get(key) for key in CELL_KEYS} for cell in cells], summary, about, correct, draws)

    @staticmethod
    def merge(reports):
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
        cells = [dict(cell) for report in reports for cell in report.cells]
        seen = set()
        for cell in cells:
            key = (cell["model"], cell["task"], cell["prompt"])
            if key in seen:
                raise ConfigError(
                    f"Report.merge: model {key[0]!r}, task {key[1]!r}, prompt {key[2]!r} stands in two reports; label the models apart"
                )
            seen.add(key)
        correct, draws, folders = (
            [found for report in reports for found in getattr(report, part)] for part in ("correct", "draws", "folders")
        )
        about = {**reports[0].about, "models": [m for report in reports for m in report.about.get("models", [])]}
        if all("seconds" in report.about for report in reports):
            about["seconds"] = sum(report.about["seconds"] for report in reports)
        return Report(cells, _merged_summary(reports, cells, correct, draws), about, correct, draws, folders)

    # ---- files ------------------------------------------------------------------------------------------------------

    def save(self, path):
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
    def load(cls, path):
        """Reads what `save` wrote (a file, or a folder with report.json in it). FormatError tells what is missing, OSError where it cannot
        be opened.

        >>> Report.load("nowhere.json")
        Traceback (most recent call last):
        FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.json'
        """
        path = Path(path)
        path = path / "report.json" if path.is_dir() else path
        found = read_report(path)
        return cls(*found, folders=[path.parent.absolute()] * len(found[0]))

    def examples(self, cell):
        """What the model said of each row of a cell (one of `cells`): a list of dicts with row, target, choices, scores, lengths,
        prediction
        (a choice's number, or a text) and value, read from the folder that evaluate(out=) wrote; None where there is none.

        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, out=folder, progress=False)
        ...     len(report.examples(report.cells[0])), sorted(report.examples(report.cells[0])[1])[-2:]
        (2, ['target', 'value'])
        """
        from t0native.reports.examples import read_examples

        return read_examples(self.folders[self.cells.index(cell)], cell)

    # ---- showing ----------------------------------------------------------------------------------------------------

    @property
    def failed(self):
        """The cells that failed, a list of dicts with status and reason.

        >>> t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False).failed
        []
        """
        return [cell for cell in self.cells if cell["status"] != "ok"]

    def statistics(self):
        """What the prompts of each model and task tell together, a list of dicts: the summary's numbers, `iqr` (q3 - q1), `cells` (prompt,
        value, low, high, n of each), and, from analysis.py,

        rank_stability  how far half of the rows orders the prompts as the other half does: mean tau-b, -1 to 1
        agreement, kappa  how often two prompts judge a row alike, and how far beyond chance (Fleiss' kappa)
        ece             median over prompts of the calibration error, where the task names the metric "ece", or the report has examples

        None stands where a number is not defined.

        >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=20, progress=False)
        >>> found = report.statistics()[0]
        >>> found["task"], found["prompts"], len(found["cells"]), 0 <= found["agreement"] <= 1
        ('inference', 12, 12, True)
        """
        from t0native.reports.analysis import describe

        return describe(self)

    def compare(self, model_a, model_b):
        """Two models on the tasks and prompts that both have (see `merge`), a list of dicts, one a task: `a` and `b` (medians over
        prompts), `difference` (b - a) with its 95 % `interval` by the paired bootstrap over rows and prompts, and `over_rows` and
        `over_prompts` alone; `p` of the paired permutation test; `better`: prompts of `prompts` on which b is above a; `tau`:
        how alike the models order the prompts (tau-b). ConfigError for a model that is not there, and rows that do not fit.

        >>> task = t0.mini.held_out_tasks()[0]
        >>> runs = [t0.evaluate(t0.mini.new_model(seed), task, limit=20, label=str(seed), progress=False) for seed in (0, 1)]
        >>> found = Report.merge(runs).compare("0", "1")[0]
        >>> found["prompts"], found["interval"][0] <= found["difference"] <= found["interval"][1], 0 < found["p"] <= 1
        (12, True, True)
        """
        from t0native.reports.analysis import compare

        return compare(self, model_a, model_b)

    def published(self, model=None):
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
        from t0native.reports.published import beside

        return beside(self, model)

    def __str__(self):
        from t0native.reports.tables import summary_table

        return summary_table(self)

    __repr__ = __str__

    def _repr_html_(self):
        from t0native.reports.tables import html_table

        return html_table(self)

    def to_markdown(self):
        """Both tables in Markdown: the summary, then every cell.

        >>> print(Report([], [], {}).to_markdown().splitlines()[0])
        | task | model | prompts | chance | median | 95 % interval | quartiles | mean | min | max |
        """
        from t0native.reports.tables import markdown

        return markdown(self)

    def to_latex(self):
        """The summary as a LaTeX tabular (package booktabs), every text escaped.

        >>> print(Report([], [], {}).to_latex().splitlines()[0])
        \\begin{tabular}{llrrrrrrrr}
        """
        from t0native.reports.tables import latex

        return latex(self)

    def to_pandas(self):
        """The cells as a pandas DataFrame, a row a cell. ImportError where pandas is not installed: `cells` is the same without it."""
        try:
            import pandas
        except ImportError:
            raise ImportError("to_pandas needs pandas: pip install pandas (report.cells holds the same as dicts)") from None
        return pandas.DataFrame(self.cells)

    def to_html(self, path=None, published=False):
        """One page with tables and pictures that needs no network; returns its text. path: where to save it.
        published: with published figures on the same datasets.

        >>> Report([], [], {}).to_html()[:15]
        '<!doctype html>'
        """
        from t0native.base.files import write_text
        from t0native.reports.htmlpage import html_page

        page = html_page(self, published)
        if path is not None:
            write_text(path, page)
        return page

    def boxes(self, width=72):
        """Box plots drawn in text, one a task and model, `width` characters wide.

        >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False)
        >>> print(report.boxes().splitlines()[0])
        inference
        """
        from t0native.reports.plot import text_boxes

        return text_boxes(self, width)

    def plot(self, path=None, ax=None):
        """Box plots over prompts, a point a prompt (as Figure 4 of Sanh et al. 2022), by matplotlib; returns the Axes.
        path: where to save it (.png, .svg, .pdf).  ImportError where matplotlib is not installed."""
        from t0native.reports.plot import draw_boxes

        return draw_boxes(self, path, ax)


def _groups(cells):
    """{(model, task): numbers of its cells}, in the order of their first cells."""
    groups = {}
    for i, cell in enumerate(cells):
        groups.setdefault((cell["model"], cell["task"]), []).append(i)
    return groups


def _merged_summary(reports, cells, correct, draws):
    """The reports' own entries, and one for each (model, task) that several of them have, made from all its rows."""
    entries, chances = {}, []
    for report in reports:
        own = {(entry["model"], entry["task"]): entry for entry in report.summary}
        chances += [
            own.get((cell["model"], cell["task"]), {}).get("chance") if cell["metric"] in _GUESSED else None for cell in report.cells
        ]
        for key, entry in own.items():
            entries.setdefault(key, []).append(entry)
    seed, groups = reports[0].about.get("seed"), _groups(cells)
    summary = []
    for (model, task), found in entries.items():
        if len(found) > 1:
            group = groups.get((model, task), [])
            _check_rows(model, task, [correct[i] for i in group if cells[i]["status"] == "ok"])
            entry = _summarised(cells, group, correct, chances, draws, seed if SEED.fits(seed) else 0)
            found = [{"model": model, "task": task, **entry}]
        summary += found
    return summary


def _check_rows(model, task, rows):
    lengths = sorted({None if values is None else len(values) for values in rows}, key=str)
    if len(lengths) > 1 or None in lengths:
        told = " and ".join("no rows" if n is None else f"{n} rows" for n in lengths)
        raise ConfigError(
            f"Report.merge: model {model!r}, task {task!r}: its prompts were judged on {told}, saved in several reports; evaluate "
            "them alike"
        )


def _summarised(cells, group, correct, chances, draws, seed):
    """Fills the group's cells in place and returns its summary entry, but for model and task."""
    for i in group:
        cells[i] |= {"value": None, "low": None, "high": None, "n": 0}
    fine = [i for i in group if cells[i]["status"] == "ok"]
    by_metric = {metric: [i for i in fine if cells[i]["metric"] == metric] for metric in dict.fromkeys(cells[i]["metric"] for i in fine)}
    entry = dict.fromkeys(SUMMARY_KEYS[2:]) | {"prompts": 0}
    main = "accuracy" if "accuracy" in by_metric else next(iter(by_metric), None)
    for metric, indices in by_metric.items():
        for i in indices:
            kept = correct[i][~np.isnan(correct[i])]
            cells[i] |= {"value": float(kept.mean()) if draws[i] is None else cells[i]["metrics"][metric], "n": len(kept)}
        lows, highs, low, high = intervals(_replicates(indices, correct, draws, seed), seed)
        for i, cell_low, cell_high in zip(indices, lows, highs):
            cells[i] |= {"low": float(cell_low), "high": float(cell_high)}
        if metric == main:
            values = [cells[i]["value"] for i in indices]
            known = [chances[i] for i in indices if chances[i] is not None]
            median, q1, q3 = quartiles(values)
            entry |= {"chance": float(np.mean(known)) if known else None, "median": median, "q1": q1, "q3": q3, "low": low, "high": high}
            entry |= {"mean": float(np.mean(values)), "min": min(values), "max": max(values), "prompts": len(values)}
    return entry


def _replicates(indices, correct, draws, seed):
    """[replicates, cells] of cells of one metric."""
    if draws[indices[0]] is not None:
        return np.stack([draws[i] for i in indices], axis=1)
    return bootstrap_means(np.stack([correct[i] for i in indices]), seed)
