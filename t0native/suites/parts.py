"""Parts that suites are made of, the carried ones and those of YAML files alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.data.datafolder import dataset_facts, find_rows, missing_text
from t0native.prompts.collection import PromptCollection
from t0native.tasks.bigbench import PLAIN, BigBenchPrompt, find_task
from t0native.tasks.fewshot import few_shot
from t0native.tasks.t0mixtures import AbsentTask
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable


__all__ = ["Suite", "bigbench_task", "instruction_free_prompts", "make_suite", "with_shots"]

log = logging.getLogger("t0native")
SPLIT = "validation"
OWN_PROMPT = "the authors' prompt"


class Suite(Sequence[Task]):
    """The tasks of a suite that have data, a sequence of Task for `evaluate`.

    name; cells: prompts of these tasks; missing: what has no data, a list of (dataset, subset or None, split); all_cells:
    cells of the whole suite.

    >>> Suite("demo", [t0.Task("a", [{}], [t0.Prompt("p", "1 ||| 2")])])
    Suite('demo', 1 of 1 cells, 1 tasks)
    """

    name: str
    missing: list[tuple[str | None, str | None, str | None]]
    cells: int
    all_cells: int

    def __init__(self, name: str, tasks: Iterable[Task], absent: Sequence[AbsentTask] = ()) -> None:
        self.name, self._tasks = name, list(tasks)
        self.missing = [(task.dataset, task.subset, task.split) for task in absent]
        self.cells = sum(len(task.prompts) for task in self._tasks)
        self.all_cells = self.cells + sum(len(task.prompts) for task in absent)

    @overload
    def __getitem__(self, i: int) -> Task: ...
    @overload
    def __getitem__(self, i: slice) -> list[Task]: ...
    def __getitem__(self, i: int | slice) -> Task | list[Task]:
        return self._tasks[i]

    def __len__(self) -> int:
        return len(self._tasks)

    def __repr__(self):
        return f"Suite({self.name!r}, {self.cells} of {self.all_cells} cells, {len(self)} tasks)"


def make_suite(name, tasks, data):
    """The Suite of these tasks. A warning, or DataError where all of them are, names the absent ones and the source of their rows."""
    absent = [task for task in tasks if isinstance(task, AbsentTask)]
    suite = Suite(name, [task for task in tasks if not isinstance(task, AbsentTask)], absent)
    if absent:
        message = f"suite {shown(name)}, {suite.cells} of {suite.all_cells} cells have data: {missing_text(suite.missing, data)}"
        if not suite.cells:
            raise DataError(message)
        log.warning("%s", message)
    return suite


def with_shots(task, data, shots, seed, split=None, types=None):
    """The task with so many shots before each row; absent where the split to draw them from is. types: of that split's fields."""
    if not shots or isinstance(task, AbsentTask):
        return task
    split = split or _find_train_split(task, data)
    if split is None:
        return few_shot(task, shots, seed=seed)
    reader = find_rows(data, task.dataset, task.subset, split, types) if data is not None else None
    if reader is None:
        return AbsentTask(task.name, task.prompts, task.dataset, task.subset, split)
    return few_shot(task, shots, reader(), seed)


def _find_train_split(task, data):
    """The split of a task's training rows; None where the dataset has none, and of one that T0 does not know where `data` has none."""
    if task.dataset in (None, "bigbench"):
        return None
    usual = f"train{task.split.removeprefix('dev')}" if str(task.split).startswith("dev_r") else "train"
    fact = dataset_facts().get((task.dataset, task.subset))
    if fact is None:
        return usual if data is not None and find_rows(data, task.dataset, task.subset, usual) else None
    return usual if usual in fact["splits"] else None


def bigbench_task(name, data):
    """A task of BIG-bench under its authors' prompt; absent where `data` lacks it."""
    reader = find_task(data, name) if data is not None else None
    if reader is None:
        return AbsentTask(f"bigbench/{name}", {OWN_PROMPT: BigBenchPrompt(OWN_PROMPT, {"": PLAIN})}, "bigbench", name, "task.json")
    rows, forms, metric = reader()
    return Task(f"bigbench/{name}", rows, [BigBenchPrompt(OWN_PROMPT, forms)], metric, ("bigbench", name), "task.json")


def instruction_free_prompts():
    """Our own prompts without instructions, a PromptCollection.

    >>> [len(prompts) for prompts in instruction_free_prompts().values()]
    [3, 3]
    """
    return PromptCollection.load(Path(__file__).parents[1] / "data" / "instruction_free")
