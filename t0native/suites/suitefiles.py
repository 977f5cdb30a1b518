"""A suite described by a YAML file, for t0.suite("mine.yaml").

    name: mine                       # the file's, unless given
    data: DATA/                      # the folder of data; the argument `data` goes before it
    templates: P3/                   # a folder of prompts; the installed promptsource unless given, and `prompts` goes before it
    shots: 2                         # examples before each row; 0 unless given
    seed: 7                          # of their drawing; 0 unless given
    truncate: false                  # values longer than 2,048 characters stay whole; they are cut unless given
    tasks:
      - dataset: super_glue/rte      # DATA/super_glue/rte/validation.jsonl, under each of its prompts
      - {dataset: anli, split: dev_r1, name: anli r1, prompts: original}
      - {dataset: super_glue/copa, prompts: [best_option, choose], metrics: [accuracy], shots: 4, train: validation}
      - {dataset: hellaswag, prompts: instruction-free}
      - {dataset: mine, file: rows.csv, templates: my/prompts, types: {label: int, id: text}}
      - bigbench: winowhy            # DATA/bigbench/winowhy/task.json, under its authors' prompt

    prompts    "*"                all of the dataset's: the default, for none is selected
               original           those that the paper evaluates: of the original task, with answer choices
               instruction-free   our own, without instructions, of hellaswag and winogrande/winogrande_xl
               [name, ...]        these
    metrics    a name, or a list of them, as Task's `metric`
    types      what fields are: {label: int}, {label: [bad, good]}, text or 0.1.0 (docs/reference/rows.md)
    train      the split that shots are drawn from: that of the dataset's training rows unless given

Names of files and folders are relative to the file's folder. Unknown keys are refused with the nearest known one, values of
another kind with what they must be. Only plain YAML is read, and nothing in it is executed."""

import re
from contextlib import contextmanager
from pathlib import Path

from t0native.base.arguments import FLAG, SEED, TEXT, Kind, check_keys
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.base.yamltext import parse_yaml
from t0native.data.datafolder import find_rows
from t0native.data.diskrows import rows_at
from t0native.data.types import TYPES
from t0native.prompts.collection import PromptCollection
from t0native.suites.parts import bigbench_task, instruction_free_prompts, with_shots
from t0native.tasks.fewshot import SHOTS
from t0native.tasks.t0mixtures import AbsentTask
from t0native.tasks.task import Task

__all__ = ["read_suite"]

KEYWORDS = ("*", "original", "instruction-free")


def _is_list_of_names(value):
    return isinstance(value, list) and value != [] and all(isinstance(name, str) for name in value)


_FILE, _FOLDER = Kind(TEXT.fits, "the name of a file"), Kind(TEXT.fits, "the name of a folder")
_DATASET = Kind(TEXT.fits, "the name of a dataset, as super_glue/rte")
_BIGBENCH = Kind(lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value) is not None, "the name of a task, as winowhy")
_TASKS = Kind(lambda value: isinstance(value, list) and value != [], "a list of tasks")
_PROMPTS = Kind(lambda value: value in KEYWORDS or _is_list_of_names(value), f"{', '.join(map(repr, KEYWORDS))} or a list of names")
_METRICS = Kind(lambda value: isinstance(value, str) or _is_list_of_names(value), "a name or a list of names")
TOP = {"name": TEXT, "data": _FOLDER, "templates": _FOLDER, "shots": SHOTS, "seed": SEED, "truncate": FLAG, "tasks": _TASKS}
ENTRY = {
    "dataset": _DATASET, "bigbench": _BIGBENCH, "name": TEXT, "split": TEXT, "file": _FILE, "templates": _FOLDER,
    "prompts": _PROMPTS, "metrics": _METRICS, "shots": SHOTS, "train": TEXT, "truncate": FLAG, "types": TYPES,
}  # fmt: skip
OF_DATASETS = ("split", "file", "templates", "prompts", "train", "types")


def read_suite(path, data=None, prompts=None, shots=None, seed=None):
    """(name, tasks, data) of a file: Tasks, and AbsentTasks where `data` lacks rows. What is given goes before what the file says.
    ConfigError with file, key and value; DataError for broken rows; OSError where the file cannot be opened."""
    path = Path(path)
    if (what := what_is(path)) not in (None, "a suite of tasks", "a recipe of a training"):
        raise ConfigError(f"{path}: {what}, no suite; a suite is a YAML file (docs/reference/suites.md)")
    with open(path, "rb") as file:
        settings = parse_yaml(path, file)
    with _naming_errors(path):
        return _Reader(path, _check_mapping("the file", settings), data, prompts, shots, seed).read()


class _Reader:
    def __init__(self, path, settings, data, prompts, shots, seed):
        check_keys("", settings, TOP)
        if "tasks" not in settings:
            raise ConfigError("no 'tasks'; it must name the tasks to evaluate on")
        self.path, self.folder, self.settings = path, path.parent, settings
        self.data = data if data is not None else self.folder / settings["data"] if "data" in settings else None
        self.prompts = prompts if prompts is not None else self.folder / settings["templates"] if "templates" in settings else None
        self.shots, self.seed = (
            shots if shots is not None else settings.get("shots", 0),
            seed if seed is not None else settings.get("seed", 0),
        )
        check_keys("", {"shots": self.shots, "seed": self.seed}, TOP)
        self._collections = {}

    def read(self):
        tasks = [self._read_task(f"tasks[{i}]", entry) for i, entry in enumerate(self.settings["tasks"])]
        names = set()
        for i, name in enumerate(task.name for task in tasks):
            if name in names or names.add(name):
                raise ConfigError(f"tasks[{i}]: another task is called {shown(name)} too; give it a 'name'")
        return self.settings.get("name", self.path.stem), tasks, self.data

    def _read_task(self, place, entry):
        check_keys(place + ".", _check_mapping(place, entry), ENTRY)
        if ("dataset" in entry) == ("bigbench" in entry):
            raise ConfigError(f"{place}: must have either 'dataset' or 'bigbench'")
        with _naming_errors(place):
            task = self._read_dataset(entry) if "dataset" in entry else self._read_bigbench(entry)
            task = task if entry.get("truncate", self.settings.get("truncate", True)) else task.uncut()
            return with_shots(task, self.data, entry.get("shots", self.shots), self.seed, entry.get("train"), entry.get("types"))

    def _read_bigbench(self, entry):
        odd = next((key for key in OF_DATASETS if key in entry), None)
        if odd is not None:
            raise ConfigError(f"{shown(odd)} beside 'bigbench', whose tasks have one split and their authors' prompt; leave it out")
        task = bigbench_task(entry["bigbench"], self.data)
        name, prompts = entry.get("name", task.name), task.prompts
        if isinstance(task, AbsentTask):
            return AbsentTask(name, prompts, task.dataset, task.subset, task.split)
        return Task(name, task.rows, prompts, entry.get("metrics", task.metrics), (task.dataset, task.subset), task.split, strict=False)

    def _read_dataset(self, entry):
        dataset, split = entry["dataset"], entry.get("split", "validation")
        name, prompts = entry.get("name", dataset), self._choose_prompts(entry)
        first, _, rest = dataset.partition("/")
        if "file" in entry:
            rows = rows_at(self.folder / entry["file"], dataset, entry.get("types"), split)
        else:
            reader = find_rows(self.data, first, rest or None, split, entry.get("types")) if self.data is not None else None
            if reader is None:
                return AbsentTask(name, prompts, first, rest or None, split)
            rows = reader()
        return Task(name, rows, prompts, entry.get("metrics"), dataset, split, strict=len(self.settings["tasks"]) == 1)

    def _choose_prompts(self, entry):
        """The chosen prompts, a mapping name -> Prompt."""
        wanted, dataset = entry.get("prompts", "*"), entry["dataset"]
        collection = self._find_collection("instruction-free" if wanted == "instruction-free" else entry.get("templates"))
        if dataset not in collection:
            known = ["/".join(filter(None, key)) for key in collection]
            raise ConfigError(f"no prompts for {shown(dataset)} in {collection.folder}; {suggest(dataset, known)}")
        prompts = collection[dataset]
        if wanted == "original":
            chosen = {name: prompts[name] for name in prompts if prompts[name].metadata.original_task and prompts[name].answer_choices}
            if not chosen:
                raise ConfigError(f"prompts 'original': {dataset} has no prompt of the original task with answer choices")
            return chosen
        if wanted in KEYWORDS:
            return dict(prompts)
        unknown = next((name for name in wanted if name not in prompts), None)
        if unknown is not None:
            raise ConfigError(f"prompts: {dataset} has no {shown(unknown)}; {suggest(unknown, prompts)}")
        return {name: prompts[name] for name in wanted}

    def _find_collection(self, where):
        """The prompts of an entry's folder, the suite's, or ours; each read once."""
        if where not in self._collections:
            if where == "instruction-free":
                collection = instruction_free_prompts()
            elif where is not None:
                collection = PromptCollection.load(self.folder / where)
            else:
                collection = self.prompts if isinstance(self.prompts, PromptCollection) else PromptCollection.promptsource(self.prompts)
            self._collections[where] = collection
        return self._collections[where]


@contextmanager
def _naming_errors(place):
    """Errors inside are told with the place."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(f"{place}: {error}") from None


def _check_mapping(place, value):
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: must be a mapping of keys to values, is {shown(value)}")
    return value
