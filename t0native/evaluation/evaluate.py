"""Zero-shot evaluation as T0 did it (Sanh et al. 2022, section 4): every prompt of every task, none selected.

    row --prompt--> input, choices, target --model.rank--> choice of highest summed log-likelihood --> right or wrong
    a cell      = one prompt of one task under one model: accuracy over its rows
    a summary   = one model and task: median, quartiles and intervals over its cells

A prompt without answer choices is evaluated by greedy generation and exact match, whatever the model's generation_config.json says of
sampling, beams or penalties; a task may name other metrics. Scores are not normalised by length; the accuracy that they would give if
they were stands beside, as `normalized`."""

from __future__ import annotations

import logging
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from t0native.base.arguments import FLAG, FOLDER, SEED, check, whole
from t0native.base.digests import digest_of_rows
from t0native.base.errors import ConfigError
from t0native.base.executors import opened
from t0native.base.files import check_place, write_json, write_text
from t0native.base.foreign import hint_keywords
from t0native.base.interrupts import Terminated
from t0native.base.progress import Progress
from t0native.base.showing import shown
from t0native.base.version import __version__
from t0native.evaluation.answering import NO_TOKENIZER, answer, group_cells
from t0native.evaluation.asked import AskedModel
from t0native.evaluation.cells import plan
from t0native.evaluation.journal import Journal, cell_keys, model_fingerprints
from t0native.evaluation.t0_2021 import COMPAT
from t0native.evaluation.texts import CellAnswers, TextFiles
from t0native.reports.report import Report
from t0native.suites.suite import suite
from t0native.tasks.objectives import Objective
from t0native.tasks.sifting import warn_once
from t0native.tasks.task import Task, cut_sentence

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Mapping
    from typing import Any, Literal

    from t0native.base.annotations import PathName, Ranks
    from t0native.prompts.collection import PromptCollection

__all__ = ["check_out", "check_scorable", "evaluate"]

_log = logging.getLogger("t0native")
REPORT, TABLES, TIMES = "report.json", "report.md", "times.json"
_TIMES = ("time", "seconds")  # of `about`, which differ between two runs that find the same


@hint_keywords
def evaluate(
    model: Ranks,
    tasks: Task | Iterable[Task] | PathName,
    *,
    data: PathName | Mapping[Any, Any] | None = None,
    prompts: PromptCollection | PathName | None = None,
    out: PathName | None = None,
    force: bool = False,
    write_examples: bool = False,
    compat: Literal["t0-2021"] | None = None,
    seed: int = 0,
    limit: int | None = None,
    batch_tokens: int | None = None,
    progress: bool = True,
    label: str | None = None,
    add_eos_to_inputs: bool | None = None,
    truncate: bool = True,
    generation: Mapping[str, Any] | None = None,
    executor: Any = None,
) -> Report:
    """Evaluate a model on every prompt of every task; returns a Report.

    model: a Model with its tokenizer, or anything with rank(inputs, choices, truncate=, progress=) and, for prompts without
        choices, generate(inputs, max_new_tokens=, truncate=, progress=) and a tokenizer. Inputs are cut at 1024 tokens, as T0's;
        of few-shot prompts the beginning is. Of several answers the first is judged.
    tasks: a Task or several, a Suite, or the name of a suite ("t0", ..., "my.yaml"), then of `data` under `prompts` (suites/suite.py):
        what has no data is named in a warning with its source, and the other cells run.
    out: a folder that keeps every finished cell (journal.py): the same call again repeats none of them, and a changed prompt
        or row only its own cells; report.json, report.md and times.json are written there at the end, the first two with the same
        bytes however often the run was interrupted.  force: do all cells again.
    write_examples: every row in words, too: input, choices, target, prediction, scores, and whether it is right, in a file a cell,
        OUT/examples/MODEL/TASK/PROMPT.jsonl (evaluation/texts.py); of cells that were finished before as well.
    truncate: values that prompts print are cut at 2,048 characters, as T0's were; a warning counts the rows. False: of no task.
    add_eos_to_inputs: whether inputs end in the end token; None: as the model has it. A folder whose cells were evaluated without goes
        on without, where nothing else tells it (a line says so).
    generation: options of `generate` in the place of greedy search, a dict as {"num_beams": 4}. Of the model's own file only the start,
        end and pad tokens count.
    compat: "t0-2021" for the errors of t-zero's script (t0_2021.py).
    seed (0 to 2**64 - 1): of randomness inside templates and of the bootstrap.  limit: rows a task at most.
    batch_tokens: tokens of one call of the core at most (None: about a second's work).  label: the model's name in the report (else
        model.name, or "model"). Neither batches nor threads nor workers nor the order of tasks change a cell.
    executor: who answers: a Client of Dask, "tcp://HOST:PORT" of its scheduler, "local:N" for N processes of this host, or what has
        submit() as the executors of concurrent.futures; None: this process (docs/how-to/cluster-dask.md). A cell that ends the process
        which answers it, or takes more memory than there is, is failed then.
    A cell that fails (a template that does not compile, a field that no row has, a model that answers nothing, no row left) has status
    "failed" and the reason; the others go on. One row never fails a cell: a row that a prompt drops, whose target is no answer (a label
    out of range, -1, None or nan) or not among the choices, or that cannot be rendered, tokenized or scored is counted as `dropped`, and
    its reason stands in the cell and, once a task, in a warning.
    ConfigError for no tasks, two of one name, an objective in a prompt's place, a model without tokenizer, an argument out of
    range, or a folder that another process evaluates into; OSError where `out` cannot be written, with what is finished kept.
    Method: Sanh et al. 2022, section 4.

    >>> class Guess:
    ...     def rank(self, inputs, choices, **options): return [type("Ranking", (), {"index": 0}) for _ in inputs]
    >>> evaluate(Guess(), t0.mini.held_out_tasks()[0], progress=False).summary[0]["median"]
    0.5
    """
    seed, limit = check(SEED, "seed", seed), check(whole(1).or_none(), "limit", limit)
    compat, force = check(COMPAT, "compat", compat), check(FLAG, "force", force)
    if check(FLAG, "write_examples", write_examples) and out is None:
        raise ConfigError("write_examples: needs out=, the folder that they go to (without it report.errors() has them in memory)")
    batch_tokens = check(whole(1).or_none(), "batch_tokens", batch_tokens)
    _check_model(model)
    tasks, missing = _resolve_tasks(tasks, data, prompts)
    label = str(getattr(model, "name", None) or "model") if label is None else str(label)
    label = label.encode("utf-8", "replace").decode()  # an argument that is no UTF-8 could not be saved
    tasks = tasks if check(FLAG, "truncate", truncate) else [task.uncut() for task in tasks]
    asked = AskedModel(model, check(FLAG.or_none(), "add_eos_to_inputs", add_eos_to_inputs), generation)
    run = _Run(asked, label, {"seed": seed, "limit": limit, "compat": compat}, batch_tokens, force)
    started = time.monotonic()
    if out is not None:
        check_out(out)
        run.fingerprints = model_fingerprints(model)
    total = sum(run.n_rows(task) * len(task.prompts) for task in tasks)
    bar = Progress("evaluate", total, on=progress, estimate="rows under their prompts")
    with opened(executor) as pool, Journal(out) as journal, bar:
        run.texts = TextFiles(out, label, tasks) if write_examples else None
        try:
            cells = run.evaluate(tasks, journal, bar, pool)
        except (KeyboardInterrupt, Terminated) as error:
            error.told = run.tell_kept(out, sum(len(task.prompts) for task in tasks))
            raise
        _warn_of_cuts(cells, total)
        about = _describe(model, label, run.settings | asked.settings | {"truncate": truncate}, missing, time.monotonic() - started)
        report = Report.of_records([cell.record for cell in cells], seed=seed, about=about)
        if out is not None:
            journal.check_place()
            _write_files(report, Path(out))
            report.folders = [Path(out).absolute()] * len(cells)
    return report


def _warn_of_cuts(cells, rows):
    cut = sum(cell.record.cut for cell in cells)
    if cut:
        _log.warning("%s", cut_sentence(cut, rows))


def check_out(out):
    """ConfigError where `out` names no folder, OSError where an evaluation could not write into it: asked before the work."""
    check(FOLDER, "out", out)
    if Path(out).is_file():
        raise ConfigError(f"{out}: a file; out must name a folder")
    for name in (REPORT, TABLES, TIMES):
        check_place(Path(out) / name)


class _Run:
    """What all cells of an evaluation share."""

    def __init__(self, model, label, settings, batch_tokens, force):
        self.model, self.label, self.settings, self.batch_tokens, self.force = model, label, settings, batch_tokens, force
        self.fingerprints = None  # what the model's answers hang on, where there is a journal
        self.texts = None  # the TextFiles of examples in words, where they are asked for
        self.done = 0  # rows
        self.finished, self.parts = 0, []  # cells; of those that are being answered, (CellPart, rows)

    def n_rows(self, task):
        limit = self.settings["limit"]
        return len(task.rows) if limit is None else min(limit, len(task.rows))

    def evaluate(self, tasks, journal, bar, pool=None):
        """All cells, in the order of tasks and of their prompts. pool: of workers that answer them, or None."""
        if pool is None:
            return [cell for task in tasks for cell in self.evaluate_task(task, journal, bar)]
        from t0native.evaluation.dispatch import Dispatch
        from t0native.evaluation.remote import RemoteModel

        remote = self.model.ask_through(lambda model: RemoteModel(model, pool))
        return Dispatch(self, pool, remote, journal, bar).evaluate(tasks)

    def evaluate_task(self, task, journal, bar):
        """The task's cells, all of them judged or failed, in the order of its prompts."""
        cells, waiting = self.begin(task, journal, bar)
        for group in group_cells(waiting, self.model):
            self._answer(group, journal, bar)
            self.done += self.n_rows(task) * len(group)
        self.end(task, cells)
        return cells

    def begin(self, task, journal, bar):
        """(the task's cells, those of them that are neither failed nor found in the journal)."""
        n = self.n_rows(task)
        cells = [self._plan(task, prompt, n, bar) for prompt in task.prompts]
        waiting = [cell for cell in cells if not cell.failed]
        if self.fingerprints is not None:
            rows = digest_of_rows(task.rows, n)
            self.model.settle(
                lambda asked: any(journal.has(key) for cell in waiting for key in self._keys(cell, rows, asked)), len(waiting)
            )
            for cell in waiting:
                self._recall(cell, journal, self._keys(cell, rows, self.model))
            waiting = [cell for cell in waiting if not cell.judged and not cell.failed]
        bar.first += n * (len(cells) - len(waiting))  # rows that take no time
        self.done += n * (len(cells) - len(waiting))
        if waiting:
            bar.begin(self.done)
        return cells, waiting

    def end(self, task, cells):
        """All cells of the task are judged, or failed."""
        _warn_of_drops(task, cells)

    def _plan(self, task, prompt, n, bar):
        def show_progress(rows):
            bar.update(self.done, f"{task.name}: {rows:,} of {n:,} rows rendered")

        return plan(task, prompt, self.label, self.settings["seed"], n, self.settings["compat"], show_progress)

    def _keys(self, cell, rows, asked):
        """The keys of a cell whose model is asked so: that of now, and those of earlier versions."""
        return cell_keys(self.fingerprints[cell.generates], self.settings | asked.settings_of(cell), cell, rows)

    def _recall(self, cell, journal, keys):
        """Judges a cell of which the journal has the answers."""
        cell.key = next((key for key in keys if journal.has(key)), keys[0])
        answers = None if self.force else journal.find(cell.key)
        if answers is not None:
            answers = cell.judge(answers, self.settings["seed"])
            if not cell.failed:
                self._keep(cell, answers, journal.file_of(cell), journal)
            cell.rows = None

    def _keep(self, cell, answers, examples, journal):
        """What can be said of a judged cell's rows: in memory, and in the file `examples`, or one in words."""
        cell.record.answers = CellAnswers(cell, answers, self.settings["seed"])
        cell.record.examples = examples
        self.finished += 1
        if self.texts is not None:
            journal.check_place()
            cell.record.examples = self.texts.write(cell, answers)

    def _answer(self, group, journal, bar):
        """Answers, judges and keeps cells that are answered together."""
        started, name, keys = time.monotonic(), group[0].task.name, [cell.key for cell in group]
        parts = [None if key in keys[:i] else journal.part_of(cell, self.force) for i, (cell, key) in enumerate(zip(group, keys))]
        self.parts = [(part, len(cell.rows.kept)) for part, cell in zip(parts, group) if part is not None]
        bar.first += sum(part.noted for part, _ in self.parts)
        try:
            answers_of_cells = answer(self.model, group, self.batch_tokens, lambda rows: bar.update(self.done + rows, name), parts)
            for cell, answers in zip(group, answers_of_cells):
                self.finish(cell, answers, journal, (time.monotonic() - started) / len(group))
        finally:
            for part, _ in self.parts:
                part.close()
        for part, _ in self.parts:
            part.remove()
        self.parts = []

    def finish(self, cell, answers, journal, seconds):
        """Judges and keeps a cell. answers: its Answers, or why it fails."""
        if isinstance(answers, Exception):
            cell.fail(answers)
        else:
            answers = cell.judge(answers, self.settings["seed"])
            if not cell.failed:
                self._keep(cell, answers, journal.finish(cell, answers, seconds), journal)
        cell.rows = None

    def tell_kept(self, out, total):
        """What an evaluation that is interrupted leaves, in words. total: cells."""
        if out is None:
            return (
                f"{self.finished:,} of {total:,} cells were finished, and none is kept: out= names a folder that keeps them, to go on from"
            )
        rows, of = sum(part.noted for part, _ in self.parts), sum(n for part, n in self.parts if part.noted)
        more = f", and {rows:,} of {of:,} answers of the next" if rows else ""
        again = "the same without force goes on from there" if self.force else "the same again goes on from there"
        return f"{self.finished:,} of {total:,} cells are kept in {out}{more}; {again}"


def _warn_of_drops(task, cells):
    """One warning of a task: rows that are left out, under the first prompt that has such, and how many more have."""
    told = [cell for cell in cells if cell.warning and not cell.failed]
    if told:
        more = f"; so it is under {len(told) - 1} more of its prompts, see report.cells" if len(told) > 1 else ""
        warn_once(task, f"prompt {shown(told[0].prompt)}: {told[0].warning}{more}")


def _check_model(model):
    if not hasattr(model, "rank"):
        raise ConfigError(f"model {shown(model)}: must be a Model, as t0native.Model.from_pretrained(folder) gives")
    if getattr(model, "tokenizer", model) is None:
        raise ConfigError(NO_TOKENIZER)


def _resolve_tasks(tasks, data, prompts):
    """([Task], what of a suite has no data, as in a report's about)."""
    if isinstance(tasks, (str, Path)):
        tasks = suite(tasks, data, prompts)
    elif data is not None or prompts is not None:
        raise ConfigError("evaluate: data= and prompts= go with the name of a suite; tasks have their own")
    missing = ["/".join(filter(None, key)) for key in getattr(tasks, "missing", ())]
    tasks = [tasks] if isinstance(tasks, Task) else list(tasks)
    names = [task.name for task in tasks]
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None or not tasks:
        raise ConfigError(f"two tasks are called {shown(repeated)}; give them different names" if tasks else "evaluate: no tasks")
    check_scorable(tasks)
    return tasks, missing


def check_scorable(tasks):
    """An objective on plain text has neither choices nor an answer to compare with."""
    for task in tasks:
        for name, prompt in task.prompts.items():
            if isinstance(prompt, Objective):
                raise ConfigError(
                    f"task {shown(task.name)}: {shown(name)} is an objective, which can be trained on but not evaluated; give a prompt "
                    "with answer choices, or one without them and metric='exact_match'"
                )


def _describe(model, label, settings, missing, seconds):
    facts = {"label": label, "name": _text_or_none(getattr(model, "name", None)), "parameters": getattr(model, "parameters", None)}
    about = {
        "versions": {"t0native": __version__, "python": platform.python_version(), "numpy": np.__version__},
        "models": [facts],
        **settings,
        "kernels": _text_or_none(getattr(getattr(model, "core", None), "kernels", None)),
        "threads": getattr(model, "threads", None),
        "machine": platform.machine(),
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "seconds": round(seconds, 3),
    }
    return about | ({"missing": missing} if missing else {})


def _text_or_none(value):
    return None if value is None else str(value)


def _write_files(report, out):
    """The report's files. What differs between two runs that find the same, its times, stands in a file of its own."""
    about = report.about | {"time": f"in {TIMES}"}
    del about["seconds"]
    write_json(out / TIMES, {key: report.about[key] for key in _TIMES})
    Report(report.cells, report.summary, about, report.correct, report.draws).save(out / REPORT)
    write_text(out / TABLES, report.to_markdown())
