"""Cells of an evaluation: one prompt of one task rendered, answered by a model, judged.

    task, prompt --plan--> Cell with its rows --answer--> rankings, texts --judge--> values

Cells of a task that share inputs are answered together, so that the model encodes each of them once, and small ones too, until
they fill a call of the model. What a model says of a row does not depend on its company, so neither do the cells."""

from contextlib import contextmanager
from dataclasses import dataclass, field

from t0native.base.arguments import shown
from t0native.base.errors import ConfigError, DataError, Error
from t0native.evaluation.judging import Answers, judge
from t0native.evaluation.t0_2021 import asked_choices
from t0native.models.scoring import usual_batch_tokens
from t0native.tasks.metrics import METRICS

__all__ = ["FAILURES", "NO_TOKENIZER", "Cell", "Rows", "answer", "grouped", "plan"]

FAILURES = (Error, ValueError, ArithmeticError)  # what makes a cell fail; the others go on
ROWS_AT_ONCE = 128
LONGEST = 256  # tokens generated where a whole answer is judged: T0's longest target
SLACK = 4  # tokens generated beyond a target
CHARACTERS = 4  # of a token, about
NO_TOKENIZER = (
    "the model has no tokenizer, and tasks are texts: put spiece.model into its folder, or give it one: Model.init(config, tokenizer=...)"
)


@dataclass
class Rows:
    """What a prompt made of a task's first n rows: those kept, in order, and why the others were dropped."""

    n: int
    indices: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    choices: list = field(default_factory=list)
    truncate: object = True  # as Model.rank's
    asked: list = field(default_factory=list)  # the choices that are ranked, or their beginning
    dropped: dict = field(default_factory=dict)  # reason -> [rows, the first of them in words]

    def drop(self, index, reason, first=""):
        """Counts a row that is left out."""
        self.dropped.setdefault(reason, [0, f"first row {index}{first}"])[0] += 1

    @property
    def n_dropped(self):
        return sum(count for count, _ in self.dropped.values())

    @property
    def reason(self):
        """Why rows were dropped, in words, or None."""
        told = (f"{n} row{'s' * (n != 1)} dropped: {reason} ({first})" for reason, (n, first) in self.dropped.items())
        return "; ".join(told) or None


@dataclass
class Cell:
    """about: the cell's dict in a report, as far as it is known.  rows, metrics: until it is judged.  judged: a Judged."""

    task: object
    prompt: str
    about: dict
    rows: Rows | None = None
    metrics: tuple = ()
    judged: object = None
    key: str | None = None  # in the journal

    @property
    def failed(self):
        return self.about["status"] != "ok"

    def fail(self, error):
        """The cell has failed with this error."""
        self.about |= {"status": "failed", "reason": f"{type(error).__name__}: {error}"}

    def judge(self, answers, seed):
        """Fills in what the answers are worth; the cell fails where they cannot be judged."""
        try:
            self.judged = judge(self.metrics, self.task.rows, self.rows, answers, seed)
            self.about |= {"metrics": self.judged.metrics, "normalized": self.judged.normalized}
        except FAILURES as error:
            self.fail(error)

    @property
    def columns(self):
        """(about, correct, chance, draws) for Report.of_cells."""
        found = self.judged
        return (self.about, None, None, None) if self.failed else (self.about, found.values, found.chance, found.draws)


def plan(task, prompt, label, seed, n, compat):
    """The Cell of a prompt with the task's first n rows rendered, or failed with its reason."""
    chosen = task.prompts[prompt]
    about = {
        "model": label,
        "task": task.name,
        "dataset": task.dataset,
        "subset": task.subset,
        "split": task.split,
        "prompt": prompt,
        "prompt_id": getattr(chosen, "id", None),
        "metric": task.metric or "accuracy",
        "dropped": 0,
        "status": "ok",
        "reason": None,
    }
    cell = Cell(task, prompt, about)
    try:
        if prompt in task.problems:
            raise task.problems[prompt]
        cell.rows = rows = _rendered(task, prompt, seed, n)
        about["dropped"], about["reason"] = rows.n_dropped, rows.reason
        rows.asked = rows.choices if compat is None else asked_choices(rows)
        by_choices = all(choices is not None for choices in rows.choices)
        cell.metrics = metrics = task.metrics or (METRICS["accuracy" if by_choices else "exact_match"],)
        about["metric"] = metrics[0].name
        if not by_choices and any(metric.by_choices for metric in metrics):
            asking = next(metric.name for metric in metrics if metric.by_choices)
            raise DataError(f"{asking} needs answer choices, and this prompt has none; use metric='exact_match'")
        if not rows.inputs:
            raise DataError(f"no row is left of {rows.n}" + (f" ({about['reason']})" if about["reason"] else ""))
    except FAILURES as error:
        cell.fail(error)
    return cell


def _rendered(task, prompt, seed, n):
    rows = Rows(n, truncate=getattr(task.prompts[prompt], "truncate", True))
    for index in range(n):
        example = task.render(prompt, index, seed=seed)
        if example is None:
            rows.drop(index, task.why_dropped(prompt, index, seed))
            continue
        text, target, choices = example
        if choices is not None and target not in choices:
            rows.drop(index, "the target is not among the choices", f": target {shown(target)}, choices {shown(choices)}")
            continue
        rows.indices.append(index)
        rows.inputs.append(text)
        rows.targets.append(target)
        rows.choices.append(choices)
    return rows


# ---- answering ------------------------------------------------------------------------------------------------------


def grouped(cells, model):
    """Lists of cells to be answered together: those that share an input, and small ones until they fill a call of the model."""
    full = CHARACTERS * usual_batch_tokens(model.config) if hasattr(getattr(model, "config", None), "d_model") else 0
    for truncate in dict.fromkeys(cell.rows.truncate for cell in cells):
        yield from _filled(_sharing([cell for cell in cells if cell.rows.truncate == truncate]), full)


def _sharing(cells):
    """[(cells, their inputs)], no input in two of them."""
    parts = []
    for cell in cells:
        inputs = set(cell.rows.inputs)
        sharing = [part for part in parts if not inputs.isdisjoint(part[1])]
        parts = [part for part in parts if part not in sharing]
        parts.append(([c for part in sharing for c in part[0]] + [cell], inputs.union(*(part[1] for part in sharing))))
    return parts


def _filled(parts, full):
    """Lists of the cells of parts, each of `full` characters or more, but the last."""
    group, size = [], 0
    for members, inputs in parts:
        group, size = group + members, size + sum(map(len, inputs))
        if size >= full:
            yield group
            group, size = [], 0
    if group:
        yield group


def answer(model, cells, batch_tokens, tell):
    """The Answers of cells, in their order. tell(n): rows answered so far."""
    asked, done = [Answers() for _ in cells], 0
    ranking = [i for i, cell in enumerate(cells) if any(metric.by_choices for metric in cell.metrics)]
    if ranking:
        done = sum(len(cells[i].rows.inputs) for i in ranking)
        for i, rankings in zip(ranking, _ranked(model, [cells[i].rows for i in ranking], batch_tokens, tell)):
            asked[i].rankings = rankings
    for cell, answers in zip(cells, asked):
        texts = [metric for metric in cell.metrics if not metric.by_choices]
        if texts:
            answers.texts = _generated(model, cell.rows, all(metric.short for metric in texts), lambda n, at=done: tell(at + n))
            done += len(cell.rows.inputs)
    return asked


def _ranked(model, parts, batch_tokens, tell):
    """The rankings of the rows of each of `parts`; each different (input, choices) is ranked once."""
    numbers = {}
    for rows in parts:
        for text, choices in zip(rows.inputs, rows.asked):
            numbers.setdefault((text, *choices), len(numbers))
    share = sum(len(rows.inputs) for rows in parts) / max(1, len(numbers))
    options = {} if batch_tokens is None else {"batch_tokens": batch_tokens}
    inputs, choices = [key[0] for key in numbers], [list(key[1:]) for key in numbers]
    found = model.rank(inputs, choices, truncate=parts[0].truncate, progress=lambda done, total: tell(int(done * share)), **options)
    return [[found[numbers[text, *choices]] for text, choices in zip(rows.inputs, rows.asked)] for rows in parts]


def _generated(model, rows, short, tell):
    """A text a row. short: answers are generated a little further than the target, for a longer one is wrong anyway; rows of like
    targets together."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        raise ConfigError(NO_TOKENIZER)
    lengths = {target: len(tokenizer.encode(target)) for target in set(rows.targets)}
    order = sorted(range(len(rows.targets)), key=lambda i: lengths[rows.targets[i]])
    answers = [""] * len(order)
    with _without_warnings():
        for first in range(0, len(order), ROWS_AT_ONCE):
            part = order[first : first + ROWS_AT_ONCE]
            longest = lengths[rows.targets[part[-1]]] + SLACK if short else LONGEST
            options = {"max_new_tokens": longest, "truncate": rows.truncate, "progress": lambda done, total, at=first: tell(at + done)}
            for i, text in zip(part, model.generate([rows.inputs[i] for i in part], **options)):
                answers[i] = text
    return answers


@contextmanager
def _without_warnings():
    """Silences the warning about answers that were cut, which are simply wrong here."""
    import logging

    logger = logging.getLogger("t0native")

    def refuse(record):
        return record.levelno != logging.WARNING

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
