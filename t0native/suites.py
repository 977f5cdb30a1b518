"""Suites: the tasks that a model is evaluated on, with the wordings that the paper evaluated.

    t0                   Figure 4 of Sanh et al. 2022: eleven held-out datasets, 116 cells (a cell is one prompt of one task)
    t0-train-selection   validation rows of what T0 trains on, by which a checkpoint is selected: 87 cells
    bias                 CrowS-Pairs and WinoGender (super_glue/axg), 16 cells, and WinoBias (winobias.py), 28
    bigbench-t0          Figure 5: 14 tasks of BIG-bench, each under its authors' prompt (bigbench.py): 14 cells
    instruction-free     HellaSwag and Winogrande without instructions, as FLAN and GPT-3 are measured: 6 cells, our own wording
    mini                 the five held-out tasks of the miniature, whose data are carried
    NAME.yaml            your own (suitefiles.py)

The first three are made of mixtures of t0mixtures.py; data lie as datafolder.py and bigbench.py say. Any of them can be few-shot."""

import logging
from collections.abc import Sequence
from pathlib import Path

from t0native.arguments import SEED, check
from t0native.datafolder import dataset_facts, find_rows, missing_text
from t0native.errors import ConfigError, DataError, suggest
from t0native.fewshot import SHOTS, few_shot
from t0native.t0mixtures import AbsentTask, t0_tasks
from t0native.tasks import Task

__all__ = ["Suite", "bigbench_task", "instruction_free_prompts", "suite", "with_shots"]

_MIXTURES_OF = {"t0": ("t0_eval",), "t0-train-selection": ("t0_train_score_eval",), "bias": ("bias", "wino_bias")}
_SPLIT = "validation"
OWN_PROMPT = "the authors' prompt"
_log = logging.getLogger("t0native")


class Suite(Sequence):
    """The tasks of a suite that have data, a sequence of Task for `evaluate`.

    name; cells: prompts of these tasks; missing: what has no data, a list of (dataset, subset or None, split); all_cells:
    cells of the whole suite.

    >>> Suite("demo", [t0.Task("a", [{}], [t0.Prompt("p", "1 ||| 2")])])
    Suite('demo', 1 of 1 cells, 1 tasks)
    """

    def __init__(self, name, tasks, absent=()):
        self.name, self._tasks = name, list(tasks)
        self.missing = [(task.dataset, task.subset, task.split) for task in absent]
        self.cells = sum(len(task.prompts) for task in self._tasks)
        self.all_cells = self.cells + sum(len(task.prompts) for task in absent)

    def __getitem__(self, i):
        return self._tasks[i]

    def __len__(self):
        return len(self._tasks)

    def __repr__(self):
        return f"Suite({self.name!r}, {self.cells} of {self.all_cells} cells, {len(self)} tasks)"


def suite(name, data=None, prompts=None, *, shots=None, seed=None):
    """The Suite of that name, for `evaluate`: "t0", "t0-train-selection", "bias", "bigbench-t0", "instruction-free" or "mini"; or
    that of a YAML file, "my/suite.yaml" (docs/suites.md).

    data: a folder DATA/<dataset>/<subset>/<split>.jsonl, or a mapping (t0native/datafolder.py); "mini" needs none. What it
        lacks is told once by a warning of the logger "t0native", with its source, and the other tasks are there.
    prompts: promptsource 0.1.0's, a PromptCollection or the folder of an unpacked one; None is the installed promptsource,
        whose version 0.2.3 has the same prompts for "t0" and "bias".
    shots: examples with their answers before each row (t0native/fewshot.py), of the train split, or where the dataset has none of the
        evaluated rows, the row itself left out.  seed: of their drawing.  Both 0 unless a YAML file says else.
    Raises ConfigError for another name and other prompts, DataError where no task has data, and for broken files.

    >>> t0.suite("mini")
    Suite('mini', 60 of 60 cells, 5 tasks)
    """
    if isinstance(name, Path) or (isinstance(name, str) and name.lower().endswith((".yaml", ".yml"))):
        from t0native.suitefiles import read_suite

        return _told(*read_suite(name, data, prompts, shots, seed))
    if name not in _SUITES:
        raise ConfigError(f"no suite {name!r}; {suggest(str(name), _SUITES)}")
    shots, seed = check(SHOTS, "shots", shots or 0), check(SEED, "seed", seed or 0)
    tasks = [with_shots(task, data, shots, seed) for task in _SUITES[name](name, data, prompts)]
    return _told(name, tasks, data)


def _told(name, tasks, data):
    """The Suite of these tasks, some of them absent, which is told."""
    absent = [task for task in tasks if isinstance(task, AbsentTask)]
    made = Suite(name, [task for task in tasks if not isinstance(task, AbsentTask)], absent)
    if absent:
        told = f"suite {name!r}, {made.cells} of {made.all_cells} cells have data: {missing_text(made.missing, data)}"
        if not made.cells:
            raise DataError(told)
        _log.warning("%s", told)
    return made


def with_shots(task, data, shots, seed, split=None):
    """The task with so many shots before each row; absent where the split to draw them from is."""
    if not shots or isinstance(task, AbsentTask):
        return task
    split = split or _train_split(task, data)
    if split is None:
        return few_shot(task, shots, seed=seed)
    reader = find_rows(data, task.dataset, task.subset, split) if data is not None else None
    if reader is None:
        return AbsentTask(task.name, task.prompts, task.dataset, task.subset, split)
    return few_shot(task, shots, reader(), seed)


def _train_split(task, data):
    """The split of a task's training rows; None where the dataset has none, and of one that T0 does not know where `data` has none."""
    if task.dataset in (None, "bigbench"):
        return None
    usual = f"train{task.split.removeprefix('dev')}" if str(task.split).startswith("dev_r") else "train"
    fact = dataset_facts().get((task.dataset, task.subset))
    if fact is None:
        return usual if data is not None and find_rows(data, task.dataset, task.subset, usual) else None
    return usual if usual in fact["splits"] else None


# ---- the suites that there are: functions of (name, data, prompts) that give tasks, some of them absent --------------


def _mixed(name, data, prompts):
    return [task for mixture in _MIXTURES_OF[name] for task, _, _ in t0_tasks(mixture, prompts, data, partial=True)]


def _bigbench(name, data, prompts):
    from t0native.bigbench import T0_TASKS

    return [bigbench_task(task, data) for task in T0_TASKS]


def bigbench_task(name, data):
    """A task of BIG-bench under its authors' prompt; absent where `data` lacks it."""
    from t0native.bigbench import PLAIN, BigBenchPrompt, find_task

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
    from t0native.prompts import PromptCollection

    return PromptCollection.load(Path(__file__).parent / "data" / "instruction_free")


def _instruction_free(name, data, prompts):
    tasks = []
    for (dataset, subset), chosen in instruction_free_prompts().items():
        full, reader = chosen.full_name, find_rows(data, dataset, subset, _SPLIT) if data is not None else None
        tasks.append(Task(full, reader(), chosen, split=_SPLIT, strict=False) if reader else AbsentTask(full, chosen, dataset, subset, _SPLIT))
    return tasks


def _mini(name, data, prompts):
    from t0native.mini import held_out_tasks

    return held_out_tasks()


_SUITES = dict.fromkeys(_MIXTURES_OF, _mixed) | {"bigbench-t0": _bigbench, "instruction-free": _instruction_free, "mini": _mini}
SUITES = tuple(_SUITES)
