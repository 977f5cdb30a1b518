"""Cells of an evaluation: one prompt of one task rendered, answered by a model, judged.

task, prompt --plan--> Cell with its rows --answering.py--> Answers --judge--> values"""

from dataclasses import dataclass

from t0native.base.errors import DataError
from t0native.evaluation.judging import FAILURES, judge, judge_or_find, unjudgeable, unsound
from t0native.evaluation.rendered import KeptRows, RenderedRow, RenderedRows, make_renderer
from t0native.evaluation.t0_2021 import count_ranked_in_2021
from t0native.reports.cell import CellRecord
from t0native.tasks.metrics import METRICS
from t0native.tasks.sifting import sift

__all__ = ["FAILURES", "Cell", "plan"]

SHOWN_EVERY = 1000  # rows rendered


@dataclass
class Cell:
    """A cell that is being evaluated: its record for the report (reports/cell.py says which stage fills in what), and what is needed until
    it is judged.

    task: the Task.  rows, metrics: as `plan` finds them; rows are let go once the cell is judged.  key: in the journal, where there is
    one.  warning: what is to be said of rows that are dropped, or None."""

    task: object
    record: CellRecord
    rows: RenderedRows | None = None
    metrics: tuple = ()
    key: str | None = None
    warning: str | None = None

    @property
    def prompt(self):
        return self.record.prompt

    @property
    def failed(self):
        return not self.record.ok

    @property
    def generates(self):
        """Whether a metric judges what the model writes."""
        return not all(metric.by_choices for metric in self.metrics)

    @property
    def judged(self):
        return self.record.correct is not None

    def fail(self, error):
        """The cell has failed with this error."""
        self.record.fail(f"{type(error).__name__}: {error}")

    def judge(self, answers, seed):
        """Fills in what the answers are worth, and gives the Answers that count: rows that cannot be scored are dropped. The cell fails
        where none is left, or where they cannot be judged together; then None."""
        rows, source = self.rows, self.task.rows
        try:
            rows.leave_out(answers.dropped)
            answers = rows.leave_out(unsound(rows.kept, answers), answers)
            self.require_rows()
            judged, bad = judge_or_find(self.metrics, source, rows, answers, seed)
            if bad:
                answers = rows.leave_out(bad, answers)
                self.require_rows()
                judged = judge(self.metrics, source, rows, answers, seed)
        except FAILURES as error:
            self.fail(error)
            return None
        record = self.record
        record.metrics, record.normalized = judged.metrics, judged.normalized
        record.correct, record.chance, record.draws = judged.values, judged.chance, judged.draws
        return answers

    def count(self):
        """Tells the record which rows are dropped, and why."""
        record, rows = self.record, self.rows
        record.dropped, record.cut, record.reason, self.warning = rows.n_dropped, rows.cut, rows.reason, rows.warning

    def require_rows(self):
        """Counts rows; DataError where none is left."""
        self.count()
        if not self.rows.kept:
            raise DataError(f"no row is left of {self.rows.n}" + (f" ({self.rows.reason})" if self.rows.reason else ""))


def plan(task, prompt, label, seed, n, compat, show_progress=None):
    """The Cell of a prompt with the task's first n rows rendered, or failed with its reason.

    label: the model's name in the report.  seed: of randomness inside templates.  show_progress(i): now and then, with the number of rows
    rendered."""
    record = CellRecord(
        model=label,
        task=task.name,
        dataset=task.dataset,
        subset=task.subset,
        split=task.split,
        prompt=prompt,
        prompt_id=getattr(task.prompts[prompt], "id", None),
        metric=task.metric or "accuracy",
        factors=getattr(getattr(task.prompts[prompt], "metadata", None), "factors", None),
    )
    cell = Cell(task, record)
    try:
        if prompt in task.problems:
            raise task.problems[prompt]
        cell.rows = rows = _render_rows(task, prompt, seed, n, compat, show_progress or (lambda i: None))
        cell.count()
        if compat is not None:
            rows.kept.rank_first(count_ranked_in_2021(rows))
        cell.metrics = _choose_metrics(task, rows)
        record.metric = cell.metrics[0].name
        _keep_judgeable(cell.metrics, task.rows, rows)
        cell.require_rows()
    except FAILURES as error:
        cell.fail(error)
    return cell


def _render_rows(task, prompt, seed, n, compat, show_progress):
    rows = RenderedRows(n, KeptRows(make_renderer(task, prompt, seed)), truncate=getattr(task.prompts[prompt], "truncate", True))
    own_targets = bool(task.metrics) and all(metric.targets is not None for metric in task.metrics)  # then the prompt's is not asked for
    for index in range(n):
        if index % SHOWN_EVERY == SHOWN_EVERY - 1:
            show_progress(index + 1)
        sifted = sift(task, prompt, index, seed, answers=compat is None and not own_targets, choices=True)
        if sifted.reason is not None:
            rows.drop(index, sifted.reason, sifted.detail, sifted.told)
            continue
        text, target, choices = sifted.rendering.example
        rows.keep(RenderedRow(index, text, target, choices, choices), sifted.rendering.cut)
    return rows


def _choose_metrics(task, rows):
    """The metrics that the task names, else the one that the rows allow."""
    return task.metrics or (METRICS["exact_match" if rows.bare else "accuracy"],)


def _keep_judgeable(metrics, source, rows):
    """Drops the rows that a metric cannot judge: they have no choices, where others have, or name nothing that is right. DataError where
    none has choices and a metric asks for them."""
    by_choices = next((metric for metric in metrics if metric.by_choices), None)
    if by_choices and rows.bare:
        if rows.bare == len(rows.kept):
            raise DataError(f"{by_choices.name} needs answer choices, and this prompt has none; use metric='exact_match'")
        rows.leave_out([(row.index, "it has no answer choices", "") for row in rows.kept if row.choices is None])
    rows.leave_out(unjudgeable(metrics, source, rows.kept))
    rows.later.clear()  # these are found again, where answers come from a journal
