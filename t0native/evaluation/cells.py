"""Cells of an evaluation: one prompt of one task rendered, answered by a model, judged.

    task, prompt --plan--> Cell with its rows --answer--> rankings, texts --judge--> values

Cells of a task that share inputs are answered together, so that the model encodes each of them once, and small ones too, until
they fill a call of the model. What a model says of a row does not depend on its company, so neither do the cells."""

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import shown
from t0native.evaluation.judging import FAILURES, Answers, judge, judge_or_find, unjudgeable, unsound
from t0native.evaluation.t0_2021 import choices_ranked_in_2021
from t0native.models.scoring import usual_batch_tokens
from t0native.reports.cell import CellRecord
from t0native.tasks.metrics import METRICS
from t0native.tasks.sifting import sift

__all__ = ["FAILURES", "NO_TOKENIZER", "Cell", "RenderedRow", "RenderedRows", "answer", "group_cells", "plan"]

ROWS_AT_ONCE = 128
LONGEST = 256  # tokens generated where a whole answer is judged: T0's longest target
SLACK = 4  # tokens generated beyond a target
CHARACTERS = 4  # of a token, about
NO_TOKENIZER = (
    "the model has no tokenizer, and tasks are texts: put its spiece.model or tokenizer.json into its folder, or name "
    "it: from_pretrained(..., tokenizer=FILE)"
)


@dataclass(slots=True)
class RenderedRow:
    """A row that a prompt kept: its number in the task, what the prompt made of it, and the choices that are ranked: all of them, but
    where `compat` leaves some out."""

    index: int
    input: str
    target: str
    choices: list | None
    ranked: list | None


@dataclass
class RenderedRows:
    """What a prompt made of a task's first n rows: those kept, in order, and why the others were dropped. told: the reasons that are worth
    a warning.  later: (row, reason, detail) of those that were kept at first."""

    n: int
    kept: list = field(default_factory=list)  # of RenderedRow
    truncate: object = True  # as Model.rank's
    cut: int = 0  # of those kept, rows with a value that was cut at 2,048 characters
    dropped: dict = field(default_factory=dict)  # reason -> [rows, the first of them in words]
    told: set = field(default_factory=set)
    later: list = field(default_factory=list)

    def drop(self, index, reason, detail="", told=True):
        """Counts a row that is left out."""
        self.dropped.setdefault(reason, [0, f"first row {index}" + (f": {detail}" if detail else "")])[0] += 1
        if told:
            self.told.add(reason)

    def leave_out(self, later, answers=None):
        """Drops rows that were kept, [(row, reason, detail)]; the Answers of the others."""
        rows, gone = self.kept, {index for index, _, _ in later}
        self.kept = [row for row in rows if row.index not in gone]
        self.later += later
        for index, reason, detail in later:
            self.drop(index, reason, detail)
        return None if answers is None else answers.of_rows([i for i, row in enumerate(rows) if row.index not in gone])

    @property
    def inputs(self):
        return [row.input for row in self.kept]

    @property
    def n_dropped(self):
        return sum(count for count, _ in self.dropped.values())

    @property
    def reason(self):
        """Why rows were dropped, in words, or None."""
        return self._tell(self.dropped)

    @property
    def warning(self):
        """Those of the reasons that are worth a warning, or None."""
        return self._tell(reason for reason in self.dropped if reason in self.told)

    def _tell(self, reasons):
        counts = ((reason, *self.dropped[reason]) for reason in reasons)
        return "; ".join(f"{n} row{'s' * (n != 1)} dropped: {reason} ({first})" for reason, n, first in counts) or None


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


def plan(task, prompt, label, seed, n, compat):
    """The Cell of a prompt with the task's first n rows rendered, or failed with its reason.

    label: the model's name in the report.  seed: of randomness inside templates."""
    record = CellRecord(
        model=label,
        task=task.name,
        dataset=task.dataset,
        subset=task.subset,
        split=task.split,
        prompt=prompt,
        prompt_id=getattr(task.prompts[prompt], "id", None),
        metric=task.metric or "accuracy",
    )
    cell = Cell(task, record)
    try:
        if prompt in task.problems:
            raise task.problems[prompt]
        cell.rows = rows = _render_rows(task, prompt, seed, n, compat)
        cell.count()
        if compat is not None:
            for row, choices in zip(rows.kept, choices_ranked_in_2021(rows)):
                row.ranked = choices
        cell.metrics = _choose_metrics(task, rows)
        record.metric = cell.metrics[0].name
        _keep_judgeable(cell.metrics, task.rows, rows)
        cell.require_rows()
    except FAILURES as error:
        cell.fail(error)
    return cell


def _render_rows(task, prompt, seed, n, compat):
    rows = RenderedRows(n, truncate=getattr(task.prompts[prompt], "truncate", True))
    own_targets = bool(task.metrics) and all(metric.targets is not None for metric in task.metrics)  # then the prompt's is not asked for
    for index in range(n):
        sifted = sift(task, prompt, index, seed, answers=compat is None and not own_targets, choices=True)
        if sifted.reason is not None:
            rows.drop(index, sifted.reason, sifted.detail, sifted.told)
            continue
        text, target, choices = sifted.rendering.example
        rows.kept.append(RenderedRow(index, text, target, choices, choices))
        rows.cut += sifted.rendering.cut
    return rows


def _have_choices(rows):
    return all(row.choices is not None for row in rows.kept)


def _choose_metrics(task, rows):
    """The metrics that the task names, else the one that the rows allow."""
    return task.metrics or (METRICS["accuracy" if _have_choices(rows) else "exact_match"],)


def _keep_judgeable(metrics, source, rows):
    """Drops the rows that a metric cannot judge: they have no choices, where others have, or name nothing that is right. DataError where
    none has choices and a metric asks for them."""
    by_choices = next((metric for metric in metrics if metric.by_choices), None)
    bare = [row for row in rows.kept if row.choices is None]
    if by_choices and bare:
        if len(bare) == len(rows.kept):
            raise DataError(f"{by_choices.name} needs answer choices, and this prompt has none; use metric='exact_match'")
        rows.leave_out([(row.index, "it has no answer choices", "") for row in bare])
    rows.leave_out(unjudgeable(metrics, source, rows.kept))
    rows.later.clear()  # these are found again, where answers come from a journal


# ---- answering ------------------------------------------------------------------------------------------------------


def group_cells(cells, model):
    """Lists of cells to be answered together: those that share an input, and small ones until they fill a call of the model."""
    full = CHARACTERS * usual_batch_tokens(model.config) if hasattr(getattr(model, "config", None), "d_model") else 0
    for truncate in dict.fromkeys(cell.rows.truncate for cell in cells):
        yield from _fill_calls(_join_sharing([cell for cell in cells if cell.rows.truncate == truncate]), full)


def _join_sharing(cells):
    """[(cells, their inputs)], no input in two of them."""
    parts = []
    for cell in cells:
        inputs = set(cell.rows.inputs)
        sharing = [part for part in parts if not inputs.isdisjoint(part[1])]
        parts = [part for part in parts if part not in sharing]
        parts.append(([c for part in sharing for c in part[0]] + [cell], inputs.union(*(part[1] for part in sharing))))
    return parts


def _fill_calls(parts, full):
    """Lists of the cells of parts, each of `full` characters or more, but the last."""
    group, size = [], 0
    for members, inputs in parts:
        group, size = group + members, size + sum(map(len, inputs))
        if size >= full:
            yield group
            group, size = [], 0
    if group:
        yield group


def answer(model, cells, batch_tokens, show_progress):
    """The Answers of cells, in their order. show_progress(n): called with the number of rows answered so far."""
    answers, done = [Answers() for _ in cells], 0
    ranking = [i for i, cell in enumerate(cells) if any(metric.by_choices for metric in cell.metrics)]
    if ranking:
        done = sum(len(cells[i].rows.kept) for i in ranking)
        for i, rankings in zip(ranking, _rank(model, [cells[i].rows for i in ranking], batch_tokens, show_progress)):
            answers[i].rankings = rankings
    for cell, cell_answers in zip(cells, answers):
        texts = [metric for metric in cell.metrics if not metric.by_choices]
        if texts:
            cell_answers.texts = _generate(
                model, cell.rows, all(metric.short for metric in texts), lambda n, at=done: show_progress(at + n)
            )
            done += len(cell.rows.kept)
    return answers


def _rank(model, parts, batch_tokens, show_progress):
    """The rankings of the rows of each of `parts`, RenderedRows; each different (input, choices) is ranked once."""
    numbers = {}  # (input, *choices) -> its number among those that are ranked
    for rows in parts:
        for row in rows.kept:
            numbers.setdefault((row.input, *row.ranked), len(numbers))
    share = sum(len(rows.kept) for rows in parts) / max(1, len(numbers))
    options = {} if batch_tokens is None else {"batch_tokens": batch_tokens}
    inputs, choices = [key[0] for key in numbers], [list(key[1:]) for key in numbers]
    rankings = model.rank(
        inputs, choices, truncate=parts[0].truncate, progress=lambda done, total: show_progress(int(done * share)), **options
    )
    return [[rankings[numbers[row.input, *row.ranked]] for row in rows.kept] for rows in parts]


def _generate(model, rows, short, show_progress):
    """A text a row. short: answers are generated a little further than the target, for a longer one is wrong anyway; rows of like
    targets together."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(NO_TOKENIZER)
    kept = rows.kept
    lengths = {target: len(tokenizer.encode(target)) for target in {row.target for row in kept}}
    order = sorted(range(len(kept)), key=lambda i: lengths[kept[i].target])
    texts = [""] * len(order)
    with _silencing_warnings():
        for first in range(0, len(order), ROWS_AT_ONCE):
            part = order[first : first + ROWS_AT_ONCE]
            longest = lengths[kept[part[-1]].target] + SLACK if short else LONGEST
            options = {
                "max_new_tokens": longest,
                "truncate": rows.truncate,
                "progress": lambda done, total, at=first: show_progress(at + done),
            }
            for i, answers in zip(part, model.generate([kept[i].input for i in part], **options)):
                texts[i] = _first_text(answers, kept[i].index)
    return texts


def _first_text(answers, row):
    """The answer of a row, the first where a model gives several."""
    first = answers[0] if isinstance(answers, (list, tuple)) and answers else answers
    if not isinstance(first, str):
        raise DataError(f"row {row}: the model's answer is {shown(answers)}: must be a text")
    return first


@contextmanager
def _silencing_warnings():
    """Silences the warning about answers that were cut, which are simply wrong here."""
    logger = logging.getLogger("t0native")

    def refuse(record):
        return record.levelno != logging.WARNING

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
