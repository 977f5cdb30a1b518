"""A training described by a YAML file.

    model: my-t5                     # a folder in the hub's layout, or, for random weights:
    # model: {size: small, tokenizer: spiece.model, seed: 0, initializer: t5}      sizes of T5 1.1
    # model: {config: config.json, tokenizer: spiece.model}
    tasks:
      - {dataset: super_glue/rte, data: rte.jsonl}
      - {name: mine, dataset: mine, data: rows.csv, prompts: my/templates, rate: 500, types: {label: int}}
    # mixture: t0_train              instead of tasks: T0's own (docs/reference/mixtures.md)
    # data: DATA/                    its rows, DATA/<dataset>/<subset>/<split>.jsonl
    # prompts: P3/                   promptsource 0.1.0's prompts, where that is not the installed one
    validate:                        # evaluated after every validate_every steps
      - {dataset: super_glue/cb, data: cb.jsonl}
    # validate: t0_train_score_eval  instead of tasks: a T0 mixture's, or a suite's (docs/reference/suites.md), of the same data and prompts
    steps: 1000                      # or epochs: 3; and any other keyword of t0native.train
    out: run/

Names of files are relative to the recipe's folder. A task's prompts are those of the installed promptsource unless a templates.yaml or a
folder of them is named; its rate is T0's unless one is given. Unknown keys are refused with the nearest known one, values of another kind
with what they must be; 1e-3 is a number here, though not in YAML 1.1."""

import re
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from t0native.base.arguments import SEED, TEXT, Kind, check_keys, number, one_of
from t0native.base.errors import ConfigError, DataError
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.base.yamltext import parse_yaml
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.config import T5_V1_1_SIZE, Config
from t0native.checkpoints.endtoken import decide_end_token
from t0native.checkpoints.hub import locate
from t0native.checkpoints.llamacpp import tokenizer_of
from t0native.data.diskrows import rows_at
from t0native.data.types import TYPES
from t0native.mini import curriculum
from t0native.mini import tasks as mini_tasks
from t0native.models.model import INITIALIZER, Model
from t0native.prompts.collection import choose_prompts
from t0native.suites.suite import suite
from t0native.tasks.mixture import Mixture
from t0native.tasks.objectives import OBJECTIVES
from t0native.tasks.t0mixtures import is_t0_mixture, t0_tasks
from t0native.tasks.task import Task
from t0native.text.tokenizer import Tokenizer
from t0native.training.batches import examples_of, make_batch
from t0native.training.forecast import forecast
from t0native.training.settings import KINDS, Settings, check_settings

__all__ = ["Recipe", "read_recipe", "recipe_of"]

_FILE, _FOLDER = Kind(TEXT.fits, "the name of a file"), Kind(TEXT.fits, "the name of a folder")
_DATASET = Kind(TEXT.fits, "the name of a dataset, as super_glue/rte")
_PROMPTS = Kind(TEXT.fits, "the name of a templates.yaml, or of a folder of them")
_RATE = number(lambda value: value > 0, "a positive number")
TASK = {"name": TEXT, "dataset": _DATASET, "data": _FILE, "prompts": _PROMPTS, "rate": _RATE, "split": TEXT, "metric": TEXT}
TASK |= {"objective": one_of(*OBJECTIVES), "field": TEXT, "types": TYPES}
MODEL = {"size": T5_V1_1_SIZE, "config": _FILE, "tokenizer": _FILE, "seed": SEED, "initializer": INITIALIZER}
T0_MIXTURE = {"mixture": TEXT, "data": _FOLDER, "prompts": _FOLDER}
_TASKS = Kind(lambda value: isinstance(value, list) and value != [], "a list of tasks")
_VALIDATE = Kind(lambda value: _TASKS.fits(value) or TEXT.fits(value), "a list of tasks, or the name of a T0 mixture or of a suite")
_DTYPE = one_of("float32", "bfloat16", "int8")  # of a model beside which an adapter is trained
_MODEL = Kind(lambda value: isinstance(value, (str, dict)), "a folder, or have 'tokenizer' and either 'size' or 'config'")
MINI, MINI_SELECTION = "mini", "mini-train-selection"  # the miniature's model and mixture; fresh rows of what it trains on
_OF_SIZE = re.compile(r"google/t5-(?:v1_1-(\w+)|(\w+)-lm-adapt)")  # models of the hub whose shape is known without them


def read_recipe(path, dry_run=False):
    """A Recipe; ConfigError names the file, the key, its value and what it must be. dry_run: what is not here yet, rows, prompts, a
    tokenizer and a model of known size, is left out and listed in Recipe.missing."""
    path = Path(path)
    what = what_is(path)
    if path.is_dir() or what not in (None, "a recipe of a training", "a suite of tasks"):
        raise ConfigError(f"{path}: {what or 'a folder'}, no recipe; a recipe is a YAML file (docs/reference/training.md)")
    with open(path, "rb") as file:
        content = parse_yaml(path, file)
    with _naming_errors(path):
        return Recipe(path, _check_mapping("the file", content), dry_run)


def recipe_of(model, data, prompts=None, dataset=None, types=None, validate=None, dry_run=False):
    """The Recipe of one task, without a file: `model` trained on the rows `data` under the prompts of a templates.yaml or a folder of them
    (None: the installed promptsource), and validated on the rows `validate` under the same. dataset: whose prompts, where there are
    several's. Places are relative to where the process is."""
    if dataset is None or prompts is None:
        dataset = choose_prompts(prompts, dataset).full_name
    task = (
        {"dataset": dataset, "data": data} | ({} if prompts is None else {"prompts": prompts}) | ({} if types is None else {"types": types})
    )
    content = {"model": model, "tasks": [task]}
    return Recipe(Path("train"), content if validate is None else content | {"validate": [task | {"data": validate}]}, dry_run)


class Recipe:
    """mixture: Mixture, or None in a dry run for which not all of it is here; validate: list of tasks, or None; options: keywords for
    train; model(): makes or loads the model.
    missing: sentences about what a forecast could do without, and a run could not."""

    def __init__(self, path, content, dry_run=False):
        self.path, self.folder, self.missing = path, path.parent, []
        self._dry_run = dry_run
        self._offline = "nothing is fetched for a dry run" if dry_run else None
        check_keys("", content, {"model": _MODEL, "tasks": _TASKS, **T0_MIXTURE, "validate": _VALIDATE, "dtype": _DTYPE, **KINDS})
        if "model" not in content:
            raise ConfigError("no 'model'; it must name the model")
        self.options = {name: content[name] for name in KINDS if name in content}
        check_settings(self.options)
        if self.options.get("out") is not None:
            self.options["out"] = self.folder / self.options["out"]
        self._model, self.dtype = content["model"], content.get("dtype", "float32")
        if isinstance(self._model, dict):
            check_keys("model.", self._model, MODEL)
        self.mixture = self._make_mixture(content)
        self.validate = self._unless_missing(lambda: self._make_validation(content)) if "validate" in content else None

    def _make_mixture(self, content):
        if "mixture" not in content:
            alone = next((name for name in ("data", "prompts") if name in content), None)
            if alone is not None and not isinstance(content.get("validate"), str):
                raise ConfigError(f"{shown(alone)} without 'mixture'; it belongs to one of T0's mixtures, or into an entry of 'tasks'")
            if "tasks" not in content:
                raise ConfigError("no 'tasks'; it must name the tasks to train on")
            tasks = self._make_tasks("tasks", content["tasks"])
            if None in tasks:
                return None
            rates = {task.name: entry["rate"] for task, entry in zip(tasks, content["tasks"]) if "rate" in entry}
            return Mixture(tasks, rates=rates or None)
        if "tasks" in content:
            raise ConfigError("'mixture' and 'tasks'; give one of them")
        name = content["mixture"]
        if name == MINI:
            return curriculum.Curriculum(seed=self.options.get("seed", 0)).stages[1]
        if "data" not in content:
            raise ConfigError("'mixture' without 'data'; it must name the folder of its rows, DATA/<dataset>/<subset>/<split>.jsonl")
        data, prompts = self._locate_data_and_prompts(content)
        mixture = self._unless_missing(lambda: Mixture.t0(name, prompts))  # which needs no rows
        return mixture and (self._unless_missing(lambda: Mixture.t0(name, prompts, data)) or mixture)

    def _unless_missing(self, make, errors=(DataError, FileNotFoundError)):
        """What `make` makes of files; None, with a sentence in `missing`, where a dry run can do without them."""
        try:
            return make()
        except errors as error:
            if not self._dry_run:
                raise
            name = getattr(error, "filename", None)
            self.missing.append(str(error) if name is None else f"{name}: not here yet")

    def _make_validation(self, content):
        name = content["validate"]
        if not isinstance(name, str):
            tasks = self._make_tasks("validate", name)
            return None if None in tasks else tasks
        if name == MINI_SELECTION:
            return curriculum.validation_tasks(mini_tasks.tokenizer(), seed=self.options.get("seed", 0))
        data, prompts = self._locate_data_and_prompts(content)
        if not is_t0_mixture(name):
            return list(suite(self.folder / name if Path(name).suffix in (".yaml", ".yml") else name, data, prompts))
        if data is None:
            raise ConfigError(
                f"validate {shown(name)} without 'data'; it must name the folder of its rows, DATA/<dataset>/<subset>/<split>.jsonl"
            )
        return [task for task, _, _ in t0_tasks(name, prompts, data)]

    def _locate_data_and_prompts(self, content):
        """The folders 'data' and 'prompts', or None."""
        return (self.folder / content[name] if name in content else None for name in ("data", "prompts"))

    def model(self):
        """The model, loaded, or made with random weights."""
        model = self._model
        if model == MINI:
            model = mini_tasks.new_model(self.options.get("seed", 0))
            return model if self.dtype == "float32" else model.to(self.dtype)
        if isinstance(model, str):
            return Model.from_pretrained(self._locate_model(), self.dtype)
        config, tokenizer = self.config(), self.tokenizer()
        with _naming_errors(self.path):
            return Model.init(config, tokenizer=tokenizer, **{name: model[name] for name in ("seed", "initializer") if name in model})

    def config(self):
        """The model's Config, without its weights. In a dry run, one of known size, or a tokenizer, that is not here is noted in
        `missing`."""
        model = self._model
        if model == MINI:
            return mini_tasks.config(self.tokenizer().vocab_size)
        if isinstance(model, dict):
            with _naming_errors(self.path):
                if ("size" in model) == ("config" in model) or "tokenizer" not in model:
                    raise ConfigError(f"model: must be {_MODEL.wanted}")
                self._unless_missing(self.tokenizer, FileNotFoundError)
                return Config.t5_v1_1(model["size"]) if "size" in model else Config.from_file(self.folder / model["config"])
        try:
            return open_checkpoint(locate(self._locate_model(), offline=self._offline)).config
        except FileNotFoundError:
            size = _OF_SIZE.fullmatch(model)
            if not size or not self._dry_run:
                raise
            self.missing.append(f"model {model}: not here yet; a run fetches it from the hub")
            return Config.t5_v1_1(size[1] or size[2])

    def tokenizer(self):
        """The model's Tokenizer, without its weights."""
        if self._model == MINI:
            return mini_tasks.tokenizer()
        if isinstance(self._model, dict):
            with _naming_errors(self.path):
                name = self._model["tokenizer"]  # "bytes": ByT5's, which has no file
                return Tokenizer.of_bytes() if name == "bytes" else Tokenizer.from_file(self.folder / name)
        found = open_checkpoint(locate(self._locate_model(), offline=self._offline))
        return tokenizer_of(found.folder, found.config.vocab_size)

    def model_name(self):
        """The model as the recipe names it."""
        model = self._model
        if isinstance(model, str):
            return model
        return f"random weights, T5 v1.1 {model['size']}" if "size" in model else f"random weights, {model['config']}"

    def _locate_model(self):
        """A folder beside the recipe, or else a name of the hub."""
        here = self.folder / self._model
        return self._model if "/" in self._model and not here.exists() and not self._model.startswith((".", "/")) else here

    def override(self, options):
        """Takes options in the place of the recipe's; steps also in the place of its epochs, and the reverse."""
        for name, other in (("steps", "epochs"), ("epochs", "steps")):
            if options.get(name) is not None:
                self.options.pop(other, None)
        self.options.update(options)

    def settings(self):
        """The Settings of a run; ConfigError where the recipe has no number of steps or epochs."""
        if self.options.get("steps") is None and self.options.get("epochs") is None:
            raise ConfigError(f"{self.path}: no 'steps' and no 'epochs'; add one of them, or give --steps or --epochs")
        return Settings(**self.options)

    def settled(self):
        """The Settings with the model's add_eos_to_inputs where the recipe has none, found without its weights."""
        settings = self.settings()
        return settings if settings.add_eos_to_inputs is not None else replace(settings, add_eos_to_inputs=self._adds_end_token())

    def _adds_end_token(self):
        """Whether the model's inputs end in the end token."""
        if isinstance(self._model, dict) or self._model == MINI:
            return False
        place = self._locate_model()
        try:
            checkpoint = open_checkpoint(locate(place, offline=self._offline))
        except FileNotFoundError:  # a dry run's, noted in `missing`
            return True
        return decide_end_token(place, checkpoint.folder, checkpoint.config).added

    def forecast(self):
        """What a run would do and take, without doing it; see forecast.py."""
        return forecast(self, self.settled())

    def render_examples(self, n):
        """The first n examples of the run as the model will see them, cut to their lengths: a text each, </s> where the target ends."""
        tokenizer = self.tokenizer()
        settings = self.settled()
        batch = make_batch(examples_of(self.mixture, settings)[0], tokenizer, 0, batch_size=n, **settings.batch_options)
        texts = []
        for i, component in enumerate(batch.components):
            source, target = (part.ids[part.offsets[i] : part.offsets[i + 1]].tolist() for part in (batch.sources, batch.targets))
            end = "</s>" if target[-1:] == [tokenizer.eos_id] else ""
            texts.append(
                f"example {i}: {component}\n  input ({len(source)} tokens):  {tokenizer.decode(source)}\n"
                f"  target ({len(target)} tokens): {tokenizer.decode(target)}{end}"
            )
        return texts

    def _make_tasks(self, key, entries):
        """Tasks, None for one of which a dry run lacks something."""
        return [self._make_task(f"{key}[{i}]", entry) for i, entry in enumerate(entries)]

    def _make_task(self, place, entry):
        check_keys(place + ".", _check_mapping(place, entry), TASK)
        for name in ("data",) if "objective" in entry else ("dataset", "data"):
            if name not in entry:
                raise ConfigError(f"{place}: no {shown(name)}")
        data, dataset = self.folder / entry["data"], entry.get("dataset")
        prompts = self._read_prompts(place, entry)
        rows = self._unless_missing(lambda: rows_at(data, dataset, entry.get("types"), entry.get("split")), FileNotFoundError)
        if None in (prompts, rows):
            return None
        return Task(entry.get("name", dataset or data.stem), rows, prompts, entry.get("metric"), dataset, entry.get("split"))

    def _read_prompts(self, place, entry):
        """An entry's prompts or objective; None where they are missing."""
        if "objective" in entry:
            if "prompts" in entry:
                raise ConfigError(f"{place}: must name prompts or an objective, not both")
            return OBJECTIVES[entry["objective"]](entry.get("field", "text"))
        where = entry.get("prompts", "promptsource")
        where = None if where == "promptsource" else self.folder / where
        return self._unless_missing(lambda: choose_prompts(where, entry["dataset"], "'prompts: FILE'"))


@contextmanager
def _naming_errors(path):
    """ConfigError from within names the recipe."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def _check_mapping(place, value):
    if not isinstance(value, dict):
        raise ConfigError(f"{place}: must be a mapping of keys to values")
    return value
