"""Suites: the tasks that a model is evaluated on, with the wordings that the paper evaluated.

    t0                   Figure 4 of Sanh et al. 2022: eleven held-out datasets, 116 cells (a cell is one prompt of one task)
    t0-train-selection   validation rows of what T0 trains on, by which a checkpoint is selected: 87 cells
    bias                 CrowS-Pairs and WinoGender (super_glue/axg): 16 cells
    mini                 the five held-out tasks of the miniature, whose data are carried

The first three are the mixtures t0_eval, t0_train_score_eval and bias of t0mixtures.py; their data lie as datafolder.py says."""

import logging
from collections.abc import Sequence

from t0native.datafolder import missing_text
from t0native.errors import ConfigError, DataError, suggest
from t0native.t0mixtures import AbsentTask, t0_tasks

__all__ = ["Suite", "suite"]

_MIXTURE_OF = {"t0": "t0_eval", "t0-train-selection": "t0_train_score_eval", "bias": "bias"}
SUITES = (*_MIXTURE_OF, "mini")
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


def suite(name, data=None, prompts=None):
    """The Suite of that name: "t0", "t0-train-selection", "bias" or "mini", for `evaluate`.

    data: a folder DATA/<dataset>/<subset>/<split>.jsonl, or a mapping (t0native/datafolder.py); "mini" needs none. What it
        lacks is told once by a warning of the logger "t0native", with its source, and the other tasks are there.
    prompts: promptsource 0.1.0's, a PromptCollection or the folder of an unpacked one; None is the installed promptsource,
        whose version 0.2.3 has the same prompts for "t0" and "bias".
    Raises ConfigError for another name and other prompts, DataError where no task has data, and for broken files.

    >>> t0.suite("mini")
    Suite('mini', 60 of 60 cells, 5 tasks)
    """
    if name == "mini":
        from t0native.mini import held_out_tasks

        return Suite(name, held_out_tasks())
    if name not in SUITES:
        raise ConfigError(f"no suite {name!r}; {suggest(str(name), SUITES)}")
    tasks = [task for task, _, _ in t0_tasks(_MIXTURE_OF[name], prompts, data, partial=True)]
    absent = [task for task in tasks if isinstance(task, AbsentTask)]
    made = Suite(name, [task for task in tasks if task not in absent], absent)
    if absent:
        told = f"suite {name!r}, {made.cells} of {made.all_cells} cells have data: {missing_text(made.missing, data)}"
        if not made.cells:
            raise DataError(told)
        _log.warning("%s", told)
    return made
