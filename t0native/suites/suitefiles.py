"""A suite described by a YAML file, for t0.suite("mine.yaml").

    name: mine                       # the file's, unless given
    data: DATA/                      # the folder of data; the argument `data` goes before it
    templates: P3/                   # a folder of prompts; the installed promptsource unless given, and `prompts` goes before it
    shots: 2                         # examples before each row; 0 unless given
    seed: 7                          # of their drawing; 0 unless given
    tasks:
      - dataset: super_glue/rte      # DATA/super_glue/rte/validation.jsonl, under each of its prompts
      - {dataset: anli, split: dev_r1, name: anli r1, prompts: original}
      - {dataset: super_glue/copa, prompts: [best_option, choose], metrics: [accuracy], shots: 4, train: validation}
      - {dataset: hellaswag, prompts: instruction-free}
      - {dataset: mine, file: rows.csv, templates: my/prompts}
      - bigbench: winowhy            # DATA/bigbench/winowhy/task.json, under its authors' prompt

    prompts    "*"                all of the dataset's: the default, for none is selected
               original           those that the paper evaluates: of the original task, with answer choices
               instruction-free   our own, without instructions, of hellaswag and winogrande/winogrande_xl
               [name, ...]        these
    metrics    a name, or a list of them, as Task's `metric`
    train      the split that shots are drawn from: that of the dataset's training rows unless given

Names of files and folders are relative to the file's folder. Unknown keys are refused with the nearest known one, values of
another kind with what they must be. Only plain YAML is read, and nothing in it is executed."""

import re
from contextlib import contextmanager
from pathlib import Path

from t0native.base.arguments import SEED, TEXT, Kind, check_keys, shown
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.yamltext import parse_yaml
from t0native.data.datafolder import find_rows
from t0native.data.diskrows import rows_at
from t0native.prompts.collection import PromptCollection
from t0native.suites.parts import bigbench_task, instruction_free_prompts, with_shots
from t0native.tasks.fewshot import SHOTS
from t0native.tasks.t0mixtures import AbsentTask
from t0native.tasks.task import Task

__all__ = ["read_suite"]

KEYWORDS = ("*", "original", "instruction-free")


def _is_names(value):
    return isinstance(value, list) and value != [] and all(isinstance(name, str) for name in value)


_FILE, _FOLDER = Kind(TEXT.fits, "the name of a file"), Kind(TEXT.fits, "the name of a folder")
_DATASET = Kind(TEXT.fits, "the name of a dataset, as super_glue/rte")
_BIGBENCH = Kind(lambda value: isinstance(value, str) and re.fullmatch(r"[\w-]+", value) is not None, "the name of a task, as winowhy")
_TASKS = Kind(lambda value: isinstance(value, list) and value != [], "a list of tasks")
_PROMPTS = Kind(lambda value: value in KEYWORDS or _is_names(value), f"{', '.join(map(repr, KEYWORDS))} or a list of names")
_METRICS = Kind(lambda value: isinstance(value, str) or _is_names(value), "a name or a list of names")
TOP = {"name": TEXT, "data": _FOLDER, "templates": _FOLDER, "shots": SHOTS, "seed": SEED, "tasks": _TASKS}
ENTRY = {
    "dataset": _DATASET, "bigbench": _BIGBENCH, "name": TEXT, "split": TEXT, "file": _FILE, "templates": _FOLDER,
    "prompts": _PROMPTS, "metrics": _METRICS, "shots": SHOTS, "train": TEXT,
}  # fmt: skip
OF_DATASETS = ("split", "file", "templates", "prompts", "train")


def read_suite(path, data=None, prompts=None, shots=None, seed=None):
    """(name, tasks, data) of a file: Tasks, and AbsentTasks where `data` lacks rows. What is given goes before what the file says.
    ConfigError with file, key and value; DataError for broken rows; OSError where the file cannot be opened."""
    path = Path(path)
    with open(path, "rb") as file:
        given = parse_yaml(path, file)
    with _named(path):
        return _Reader(path, _mapping("the file", given), data, prompts, shots, seed).read()


class _Reader:
    def __init__(self, path, given, data, prompts, shots, seed):
        check_keys("", given, TOP)
        if "tasks" not in given:
            raise ConfigError("no 'tasks'; it must name the tasks to evaluate on")
        self.path, self.folder, self.given = path, path.parent, given
        self.data = data if data is not None else self.folder / given["data"] if "data" in given else None
        self.prompts = prompts if prompts is not None else self.folder / given["templates"] if "templates" in given else None
        self.shots, self.seed = shots if shots is not None else given.get("shots", 0), seed if seed is not None else given.get("seed", 0)
        check_keys("", {"shots": self.shots, "seed": self.seed}, TOP)
        self._collections = {}

    def read(self):
        tasks = [self._task(f"tasks[{i}]", entry) for i, entry in enumerate(self.given["tasks"])]
        names = [task.name for task in tasks]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ConfigError(f"tasks[{i}]: another task is called {name!r} too; give it a 'name'")
        return self.given.get("name", self.path.stem), tasks, self.data

    def _task(self, place, entry):
        check_keys(place + ".", _mapping(place, entry), ENTRY)
        if ("dataset" in entry) == ("bigbench" in entry):
            raise ConfigError(f"{place}: must have either 'dataset' or 'bigbench'")
        with _named(place):
            task = self._of_dataset(entry) if "dataset" in entry else self._of_bigbench(entry)
            return with_shots(task, self.data, entry.get("shots", self.shots), self.seed, entry.get("train"))

    def _of_bigbench(self, entry):
        odd = next((key for key in OF_DATASETS if key in entry), None)
        if odd is not None:
            raise ConfigError(f"{odd!r} beside 'bigbench', whose tasks have one split and their authors' prompt; leave it out")
        task = bigbench_task(entry["bigbench"], self.data)
        name, prompts = entry.get("name", task.name), task.prompts
        if isinstance(task, AbsentTask):
            return AbsentTask(name, prompts, task.dataset, task.subset, task.split)
        return Task(name, task.rows, prompts, entry.get("metrics", task.metrics), (task.dataset, task.subset), task.split, strict=False)

    def _of_dataset(self, entry):
        dataset, split = entry["dataset"], entry.get("split", "validation")
        name, prompts = entry.get("name", dataset), self._prompts(entry)
        first, _, rest = dataset.partition("/")
        if "file" in entry:
            rows = rows_at(self.folder / entry["file"], dataset)
        else:
            reader = find_rows(self.data, first, rest or None, split) if self.data is not None else None
            if reader is None:
                return AbsentTask(name, prompts, first, rest or None, split)
            rows = reader()
        return Task(name, rows, prompts, entry.get("metrics"), dataset, split, strict=len(self.given["tasks"]) == 1)

    def _prompts(self, entry):
        """The chosen prompts, a mapping name -> Prompt."""
        wanted, dataset = entry.get("prompts", "*"), entry["dataset"]
        collection = self._collection("instruction-free" if wanted == "instruction-free" else entry.get("templates"))
        if dataset not in collection:
            known = ["/".join(filter(None, key)) for key in collection]
            raise ConfigError(f"no prompts for {dataset!r} in {collection.folder}; {suggest(dataset, known)}")
        found = collection[dataset]
        if wanted == "original":
            chosen = {name: found[name] for name in found if found[name].metadata.original_task and found[name].answer_choices}
            if not chosen:
                raise ConfigError(f"prompts 'original': {dataset} has no prompt of the original task with answer choices")
            return chosen
        if wanted in KEYWORDS:
            return dict(found)
        unknown = next((name for name in wanted if name not in found), None)
        if unknown is not None:
            raise ConfigError(f"prompts: {dataset} has no {unknown!r}; {suggest(unknown, found)}")
        return {name: found[name] for name in wanted}

    def _collection(self, where):
        """The prompts of an entry's folder, the suite's, or ours; each read once."""
        if where not in self._collections:
            if where == "instruction-free":
                made = instruction_free_prompts()
            elif where is not None:
                made = PromptCollection.load(self.folder / where)
            else:
                made = self.prompts if isinstance(self.prompts, PromptCollection) else PromptCollection.promptsource(self.prompts)
            self._collections[where] = made
        return self._collections[where]


@contextmanager
def _named(place):
    """Errors inside are told with the place."""
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(f"{place}: {error}") from None


def _mapping(place, value):
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: must be a mapping of keys to values, is {shown(value)}")
    return value
