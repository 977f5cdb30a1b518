"""Suites: the tasks that a model is evaluated on, with the wordings that the paper evaluated.

    t0                   Figure 4 of Sanh et al. 2022: eleven held-out datasets, 116 cells (a cell is one prompt of one task)
    t0-train-selection   validation rows of what T0 trains on, by which a checkpoint is selected: 87 cells
    bias                 CrowS-Pairs and WinoGender (super_glue/axg), 16 cells, and WinoBias (reports/winobias.py), 28
    bigbench-t0          Figure 5: 14 tasks of BIG-bench, each under its authors' prompt (tasks/bigbench.py): 14 cells
    instruction-free     HellaSwag and Winogrande without instructions, as FLAN and GPT-3 are measured: 6 cells, our own wording
    mini                 the five held-out tasks of the miniature, whose data are carried
    NAME.yaml            your own (suitefiles.py)

The first three are made of mixtures of tasks/t0mixtures.py; data lie as data/datafolder.py and tasks/bigbench.py say. Any of them can
be few-shot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.arguments import SEED, check
from t0native.base.errors import ConfigError, suggest
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.data.datafolder import find_rows
from t0native.mini import held_out_tasks
from t0native.suites.parts import SPLIT, bigbench_task, instruction_free_prompts, make_suite, with_shots
from t0native.suites.suitefiles import read_suite
from t0native.tasks.bigbench import T0_TASKS
from t0native.tasks.fewshot import SHOTS
from t0native.tasks.t0mixtures import AbsentTask, t0_tasks
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Mapping
    from typing import Any

    from t0native.base.annotations import PathName
    from t0native.prompts.collection import PromptCollection
    from t0native.suites.parts import Suite

__all__ = ["bigbench_task", "instruction_free_prompts", "suite", "with_shots"]

_MIXTURES_OF = {"t0": ("t0_eval",), "t0-train-selection": ("t0_train_score_eval",), "bias": ("bias", "wino_bias")}


def suite(
    name: PathName,
    data: PathName | Mapping[Any, Any] | None = None,
    prompts: PromptCollection | PathName | None = None,
    *,
    shots: int | None = None,
    seed: int | None = None,
) -> Suite:
    """The Suite of that name, for `evaluate`: "t0", "t0-train-selection", "bias", "bigbench-t0", "instruction-free" or "mini"; or
    that of a YAML file, "my/suite.yaml" (docs/reference/suites.md).

    data: a folder DATA/<dataset>/<subset>/<split>.jsonl, or a mapping (t0native/data/datafolder.py); "mini" needs none. What it
        lacks is named once, by a warning of the logger "t0native", with its source, and the other tasks are there.
    prompts: promptsource 0.1.0's, a PromptCollection or the folder of an unpacked one; None is the installed promptsource,
        whose version 0.2.3 has the same prompts for "t0" and "bias".
    shots: examples with their answers before each row (t0native/tasks/fewshot.py), of the train split, or where the dataset has none of the
        evaluated rows, the row itself left out.  seed: of their drawing.  Both 0 unless a YAML file says else.
    Raises ConfigError for another name and other prompts, DataError where no task has data, and for broken files.

    >>> t0.suite("mini")
    Suite('mini', 60 of 60 cells, 5 tasks)
    """
    if isinstance(name, Path) or (isinstance(name, str) and name.lower().endswith((".yaml", ".yml"))):
        return make_suite(*read_suite(name, data, prompts, shots, seed))
    if name not in _SUITES:
        what, near = f", {what}" if (what := what_is(name)) else "", suggest(str(name), _SUITES)
        raise ConfigError(f"no suite {shown(name)}{what}; {near}{'' if near.endswith('?') else ', or a YAML file'}")
    shots, seed = check(SHOTS, "shots", shots or 0), check(SEED, "seed", seed or 0)
    tasks = [with_shots(task, data, shots, seed) for task in _SUITES[name](name, data, prompts)]
    return make_suite(name, tasks, data)


# ---- the suites that there are: functions of (name, data, prompts) that give tasks, some of them absent --------------


def _mixture_tasks(name, data, prompts):
    return [task for mixture in _MIXTURES_OF[name] for task, _, _ in t0_tasks(mixture, prompts, data, partial=True)]


def _bigbench_tasks(name, data, prompts):
    return [bigbench_task(task, data) for task in T0_TASKS]


def _instruction_free_tasks(name, data, prompts):
    tasks = []
    for (dataset, subset), chosen in instruction_free_prompts().items():
        full, reader = chosen.full_name, find_rows(data, dataset, subset, SPLIT) if data is not None else None
        tasks.append(
            Task(full, reader(), chosen, split=SPLIT, strict=False) if reader else AbsentTask(full, chosen, dataset, subset, SPLIT)
        )
    return tasks


def _mini_tasks(name, data, prompts):
    return held_out_tasks()


_SUITES = dict.fromkeys(_MIXTURES_OF, _mixture_tasks) | {
    "bigbench-t0": _bigbench_tasks,
    "instruction-free": _instruction_free_tasks,
    "mini": _mini_tasks,
}
SUITES = tuple(_SUITES)
