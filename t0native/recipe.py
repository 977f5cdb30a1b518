"""A training described by a YAML file.

    model: my-t5                     # a folder in the hub's layout, or, for random weights:
    # model: {size: small, tokenizer: spiece.model, seed: 0, initializer: t5}      sizes of T5 1.1
    # model: {config: config.json, tokenizer: spiece.model}
    tasks:
      - {dataset: super_glue/rte, data: rte.jsonl}
      - {name: mine, dataset: mine, data: rows.csv, prompts: my/templates, rate: 500}
    validate:                        # evaluated after every validate_every steps
      - {dataset: super_glue/cb, data: cb.jsonl}
    steps: 1000                      # and any other keyword of t0native.train
    out: run/

Names of files are relative to the recipe's folder. A task's prompts are those of the installed promptsource unless a folder
is named; its rate is T0's unless one is given. Unknown keys are refused with the nearest known one."""

import inspect
from pathlib import Path

from t0native.errors import ConfigError, suggest
from t0native.mixture import Mixture
from t0native.rows import read_rows
from t0native.tasks import Task
from t0native.train import train

__all__ = ["Recipe", "dataset_name", "load_prompts", "prompts_of", "read_recipe"]

TASK_KEYS = ("name", "dataset", "data", "prompts", "rate", "split", "metric")
MODEL_KEYS = ("size", "config", "tokenizer", "seed", "initializer")
NOT_IN_FILES = ("model", "mixture", "mixture_at", "stop", "validate")  # of train's arguments
PLAN_SAMPLE = 256  # examples whose length is measured for a plan


def read_recipe(path):
    """A Recipe; ConfigError names the file, the key and the nearest known one."""
    path = Path(path)
    return Recipe(path, _mapping(path, _read_yaml(path)))


class Recipe:
    """mixture: Mixture; validate: list of tasks, or None; options: keywords for train; model(): makes or loads the model."""

    def __init__(self, path, given):
        self.path, self.folder = path, path.parent
        known = [name for name in inspect.signature(train).parameters if name not in NOT_IN_FILES]
        _check_keys(path, "", given, ["model", "tasks", "validate", *known])
        for name in ("model", "tasks"):
            if name not in given:
                raise ConfigError(f"{path}: no {name!r}; it must name {'the model' if name == 'model' else 'the tasks to train on'}")
        self.options = {name: given[name] for name in known if name in given}
        if "out" in self.options:
            self.options["out"] = self.folder / str(self.options["out"])
        self._model = given["model"]
        tasks = self._tasks("tasks", given["tasks"])
        rates = {task.name: entry["rate"] for task, entry in zip(tasks, given["tasks"]) if "rate" in entry}
        self.mixture = Mixture(tasks, rates=rates or None)
        self.validate = self._tasks("validate", given["validate"]) if "validate" in given else None

    def model(self):
        """The model, loaded, or made with random weights."""
        from t0native.config import Config
        from t0native.model import Model
        from t0native.tokenizer import Tokenizer

        given = self._model
        if isinstance(given, str):
            return Model.from_pretrained(self.folder / given)
        given = _mapping(self.path, given, "model")
        _check_keys(self.path, "model.", given, MODEL_KEYS)
        if ("size" in given) == ("config" in given) or "tokenizer" not in given:
            raise ConfigError(f"{self.path}: model: must be a folder, or have 'tokenizer' and either 'size' or 'config'")
        tokenizer = Tokenizer.from_file(self.folder / given["tokenizer"])
        config = Config.t5_v1_1(given["size"]) if "size" in given else Config.from_file(self.folder / given["config"])
        return Model.init(config, tokenizer=tokenizer, seed=given.get("seed", 0), initializer=given.get("initializer", "t5"))

    def plan(self):
        """What a run would do, without doing it: examples, tokens, parameters, memory."""
        from t0native.batches import make_batch
        from t0native.memory import training_bytes

        model, o = self.model(), self.options
        batch_size, steps = o.get("batch_size", 64), o["steps"]
        lengths = {"max_source": o.get("max_source", 1024), "max_target": o.get("max_target", 256)}
        sample = make_batch(self.mixture, model.tokenizer, 0, seed=o.get("seed", 0), batch_size=PLAN_SAMPLE, **lengths)
        shapes = [shape for _, shape in model.core.tensors()]
        needed = 4 * model.parameters + training_bytes(shapes, o.get("optimizer", "adafactor"))
        tokens = round(sample.n_tokens / PLAN_SAMPLE * batch_size)
        return {
            "model": repr(model),
            "parameters": model.parameters,
            "memory": f"{needed / 1e6:,.1f} MB of weights, gradients and optimiser state, activations aside",
            "steps": steps,
            "examples": steps * batch_size,
            "tokens a step": tokens,
            "tokens": tokens * steps,
            "out": str(o.get("out", "nowhere: the trained model would be lost; name a folder with out or --out")),
        }

    def _tasks(self, key, entries):
        if not isinstance(entries, list) or not entries:
            raise ConfigError(f"{self.path}: {key}: must be a list of tasks")
        return [self._task(f"{key}[{i}]", entry) for i, entry in enumerate(entries)]

    def _task(self, place, entry):
        entry = _mapping(self.path, entry, place)
        _check_keys(self.path, place + ".", entry, TASK_KEYS)
        for name in ("dataset", "data"):
            if name not in entry:
                raise ConfigError(f"{self.path}: {place}: no {name!r}")
        dataset, where = entry["dataset"], entry.get("prompts", "promptsource")
        prompts = prompts_of(load_prompts(where if where == "promptsource" else self.folder / where), dataset)
        rows = read_rows(self.folder / entry["data"], dataset)
        return Task(entry.get("name", dataset), rows, prompts, entry.get("metric"), dataset, entry.get("split"))


def load_prompts(where):
    """The PromptCollection of a folder, or of the installed promptsource."""
    from t0native.prompts import PromptCollection

    return PromptCollection.promptsource() if where == "promptsource" else PromptCollection.load(where)


def prompts_of(collection, dataset):
    """The prompts of "dataset" or "dataset/subset"; ConfigError with the nearest name where there are none."""
    try:
        return collection[dataset]
    except KeyError:
        raise ConfigError(f"no prompts for {dataset!r}; {suggest(dataset, map(dataset_name, collection))}") from None


def dataset_name(key):
    """A collection's key as "dataset" or "dataset/subset"."""
    return key if isinstance(key, str) else "/".join(part for part in key if part)


def _read_yaml(path):
    import yaml

    with open(path, "rb") as file:
        try:
            return getattr(yaml, "CSafeLoader", yaml.SafeLoader)(file).get_single_data()
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            raise ConfigError(f"{path}{place}: not YAML: {getattr(error, 'problem', None) or error}") from None


def _mapping(path, value, place="the file"):
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: {place}: must be a mapping of keys to values")
    return value


def _check_keys(path, place, given, known):
    for key in given:
        if key not in known:
            raise ConfigError(f"{path}: unknown key {place}{key}; {suggest(key, known)}")
