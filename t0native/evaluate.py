"""Zero-shot evaluation as T0 did it (Sanh et al. 2022, section 4): every prompt of every task, none selected.

    row --prompt--> input, choices, target --model.rank--> choice of highest summed log-likelihood --> right or wrong
    a cell      = one prompt of one task under one model: accuracy over its rows
    a summary   = one model and task: median, quartiles and intervals over its cells

A prompt without answer choices is evaluated by greedy generation and exact match; a task may name other metrics. Scores are
not normalised by length; the accuracy that they would give if they were stands beside, as `normalized`."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from t0native.arguments import FLAG, SEED, check, shown, whole
from t0native.errors import ConfigError, DataError, Error
from t0native.judging import Answers, judge
from t0native.metrics import METRICS
from t0native.objectives import Objective
from t0native.progress import Progress
from t0native.report import Report
from t0native.tasks import Task

__all__ = ["check_scorable", "evaluate"]

ROWS_AT_ONCE = 128
LONGEST = 256  # tokens generated where a whole answer is judged: T0's longest target
SLACK = 4  # tokens generated beyond a target
NO_TOKENIZER = (
    "the model has no tokenizer, and tasks are texts: put spiece.model into its folder, or give it one: Model.init(config, tokenizer=...)"
)


def evaluate(model, tasks, *, seed=0, limit=None, progress=True, label=None, add_eos_to_inputs=False):
    """Evaluate a model on every prompt of every task; returns a Report.

    model: a Model with its tokenizer, or anything with rank(inputs, choices, truncate=, progress=) and, for prompts without
        choices, generate(inputs, max_new_tokens=, truncate=, progress=) and a tokenizer. Inputs are cut at 1024 tokens, as T0's;
        of few-shot prompts the beginning is.
    tasks: a Task or several.  seed (0 to 2**64 - 1): of randomness inside templates and of the bootstrap.
    limit: rows a task at most.
    label: the model's name in the report (else model.name, or "model").
    add_eos_to_inputs: whether inputs end in the end token; T0's do not, T5's do.
    A cell that fails (a template error, a number that is not finite, no row left) has status "failed" and the reason; the
    others go on. Rows that a prompt drops, and rows whose target is not among the choices, are counted as `dropped`.
    ConfigError for no tasks, two of one name, an objective in a prompt's place, a model without tokenizer, or a seed or limit
    out of range. Method: Sanh et al. 2022, section 4.

    >>> class Guess:
    ...     def rank(self, inputs, choices, **options): return [type("Ranking", (), {"index": 0}) for _ in inputs]
    >>> evaluate(Guess(), t0.mini.held_out_tasks()[0], progress=False).summary[0]["median"]
    0.5
    """
    tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
    names = [task.name for task in tasks]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None or not tasks:
        raise ConfigError(f"two tasks are called {repeated!r}; give them different names" if tasks else "evaluate: no tasks")
    check_scorable(tasks)
    if not hasattr(model, "rank"):
        raise ConfigError(f"model {shown(model)}: must be a Model, as t0native.Model.from_pretrained(folder) gives")
    seed, limit = check(SEED, "seed", seed), check(whole(1).or_none(), "limit", limit)
    if getattr(model, "tokenizer", model) is None:
        raise ConfigError(NO_TOKENIZER)
    label = str(getattr(model, "name", None) or "model") if label is None else str(label)
    started, asked = time.monotonic(), _EndedInputs(model) if check(FLAG, "add_eos_to_inputs", add_eos_to_inputs) else model
    cells = []
    total = sum(_n_rows(task, limit) * len(task.prompts) for task in tasks)
    with Progress("evaluate", total, on=progress) as bar:
        done = 0
        for task in tasks:
            for prompt in task.prompts:
                cell = _cell(asked, label, task, prompt, seed, limit, lambda n, at=done, t=task: bar.update(at + n, t.name))
                done += _n_rows(task, limit)
                cells.append(cell)
    about = _about(model, label, seed, limit, time.monotonic() - started) | {"add_eos_to_inputs": add_eos_to_inputs}
    columns = ([getattr(cell, name) for cell in cells] for name in ("about", "correct", "chance", "draws"))
    return Report.of_cells(*columns, seed=seed, about=about)


def check_scorable(tasks):
    """An objective on plain text has neither choices nor an answer to compare with."""
    for task in tasks:
        for name, prompt in task.prompts.items():
            if isinstance(prompt, Objective):
                raise ConfigError(
                    f"task {task.name!r}: {name!r} is an objective, which can be trained on but not evaluated; give a prompt with answer "
                    "choices, or one without them and metric='exact_match'"
                )


class _EndedInputs:
    """A model that is asked with the end token behind each input."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def rank(self, inputs, choices, **options):
        return self._model.rank(inputs, choices, add_eos_to_inputs=True, **options)

    def generate(self, inputs, **options):
        return self._model.generate(inputs, add_eos_to_inputs=True, **options)


@dataclass
class _Cell:
    about: dict
    correct: np.ndarray | None = None
    chance: float | None = None
    draws: np.ndarray | None = None


@dataclass
class _Rows:
    """What a prompt made of a task's rows: those kept, in order, and why the others were dropped."""

    n: int
    indices: list = field(default_factory=list)
    inputs: list = field(default_factory=list)
    targets: list = field(default_factory=list)
    choices: list = field(default_factory=list)
    truncate: object = True  # as Model.rank's
    dropped: dict = field(default_factory=dict)  # reason -> [rows, the first of them in words]

    def drop(self, index, reason, first=""):
        self.dropped.setdefault(reason, [0, f"first row {index}{first}"])[0] += 1

    @property
    def n_dropped(self):
        return sum(count for count, _ in self.dropped.values())

    @property
    def reason(self):
        told = (f"{n} row{'s' * (n != 1)} dropped: {reason} ({first})" for reason, (n, first) in self.dropped.items())
        return "; ".join(told) or None


def _n_rows(task, limit):
    return len(task.rows) if limit is None else min(limit, len(task.rows))


def _cell(model, label, task, prompt, seed, limit, tell):
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
    try:
        rows = _rendered(task, prompt, seed, _n_rows(task, limit))
        about["dropped"], about["reason"] = rows.n_dropped, rows.reason
        by_choices = all(choices is not None for choices in rows.choices)
        metrics = task.metrics or (METRICS["accuracy" if by_choices else "exact_match"],)
        about["metric"] = metrics[0].name
        if not by_choices and any(metric.by_choices for metric in metrics):
            asking = next(metric.name for metric in metrics if metric.by_choices)
            raise DataError(f"{asking} needs answer choices, and this prompt has none; use metric='exact_match'")
        if not rows.inputs:
            raise DataError(f"no row is left of {rows.n}" + (f" ({about['reason']})" if about["reason"] else ""))
        judged = judge(metrics, task.rows, rows, _answers(model, rows, metrics, tell), seed)
    except (Error, ValueError, ArithmeticError) as error:
        return _Cell(about | {"status": "failed", "reason": f"{type(error).__name__}: {error}"})
    about |= {"metrics": judged.metrics, "normalized": judged.normalized}
    return _Cell(about, judged.values, judged.chance, judged.draws)


def _rendered(task, prompt, seed, n):
    rows = _Rows(n, truncate=getattr(task.prompts[prompt], "truncate", True))
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


def _answers(model, rows, metrics, tell):
    asked = Answers()
    if any(metric.by_choices for metric in metrics):
        asked.rankings = model.rank(rows.inputs, rows.choices, truncate=rows.truncate, progress=lambda done, total: tell(done))
    if not all(metric.by_choices for metric in metrics):
        asked.texts = _generated(model, rows, all(metric.short for metric in metrics if not metric.by_choices), tell)
    return asked


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


def _about(model, label, seed, limit, seconds):
    import platform

    from t0native import __version__

    facts = {"label": label, "name": _text(getattr(model, "name", None)), "parameters": getattr(model, "parameters", None)}
    return {
        "versions": {"t0native": __version__, "python": platform.python_version(), "numpy": np.__version__},
        "models": [facts],
        "seed": seed,
        "limit": limit,
        "kernels": _text(getattr(getattr(model, "core", None), "kernels", None)),
        "threads": getattr(model, "threads", None),
        "machine": platform.machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 3),
    }


def _text(value):
    return None if value is None else str(value)
