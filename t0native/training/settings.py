"""The arguments of a training, checked; and its plan: those of them that decide a number, as JSON values.

Here values are checked for their kinds; what the core takes of the optimiser and its options, of clip, dropout and precision, it judges
itself, before anything is loaded."""

import hashlib
import json
import os

from t0native import _core
from t0native.base.arguments import FLAG, MAPPING, NAMES, NUMBER, SEED, TEXT, WHOLE, Kind, check, number, one_of, whole
from t0native.base.digests import digest_of_value
from t0native.base.errors import ConfigError, suggest
from t0native.base.threads import THREADS
from t0native.tasks.mixture import sample_of
from t0native.training.schedules import SCHEDULE

__all__ = ["ADDED", "OPTIONS", "SETTINGS", "check_selection", "check_settings", "digest_of", "plan_of"]

_COUNT = whole(1)
BATCH_SIZE = 64  # where neither batch_size nor batch_tokens is given
SETTINGS = {  # keyword of train -> what it must be
    **dict.fromkeys(("steps", "accumulate", "workers", "max_source", "max_target", "log_every", "keep"), _COUNT),
    **dict.fromkeys(("batch_size", "batch_tokens", "checkpoint_every", "validate_every"), _COUNT.or_none()),
    "out": Kind(lambda value: isinstance(value, (str, os.PathLike)), "the name of a folder").or_none(),
    "resume": Kind(one_of("auto", "must", "never", True, False).fits, "'auto', 'must' or 'never'"),
    "optimizer": TEXT,
    "optimizer_options": MAPPING.or_none(),
    "learning_rate": number(lambda value: value > 0, "a positive number"),
    "schedule": SCHEDULE,
    "warmup": number(lambda value: value >= 0, "a number, at least 0"),
    "clip": NUMBER,
    "seed": SEED,
    "dropout": NUMBER.or_none(),
    "freeze": NAMES.or_none(),
    **dict.fromkeys(("broadcast_dropout", "recompute", "select", "add_eos_to_inputs", "add_eos_to_targets", "tensorboard"), FLAG),
    "precision": TEXT,
    "threads": THREADS.or_none(),
    "progress": FLAG,
}
OPTIONS = {  # keyword of the optimiser, or of the loss -> what it must be
    **dict.fromkeys(("beta1", "beta2", "epsilon", "weight_decay", "momentum", "label_smoothing", "z_loss"), NUMBER),
    "scale_parameter": FLAG,
    "step_offset": WHOLE,
}
OPTIMIZERS = {  # which of them each optimiser has; the rest are of the loss
    "adafactor": ("scale_parameter", "step_offset"),
    "adamw": ("beta1", "beta2", "epsilon", "weight_decay"),
    "sgd": ("momentum", "weight_decay"),
}
_JUDGED = ("optimizer", "clip", "dropout", "precision")  # settings that are the core's options
_PLANNED = (
    "batch_size", "optimizer", "optimizer_options", "learning_rate", "warmup", "clip", "seed", "dropout", "max_source", "max_target",
)  # fmt: skip
ADDED = {  # planned too, since a later version: what they were in a plan that does not name them
    "accumulate": 1, "batch_tokens": None, "broadcast_dropout": False, "freeze": None, "precision": "float32",
    "add_eos_to_inputs": False, "add_eos_to_targets": True,
}  # fmt: skip


def check_settings(given):
    """given: keywords of `train`, all or some. Returns them with plain numbers and with batch_size or batch_tokens; ConfigError names
    the first that is not acceptable, and what would be.

    >>> check_settings({"steps": 10, "optimizer_options": {"beta1": "x"}})
    Traceback (most recent call last):
    t0native.ConfigError: optimizer_options.beta1 'x': must be a number
    """
    plain = {name: check(kind, name, given[name]) for name, kind in SETTINGS.items() if name in given}
    _judge("", {name: plain[name] for name in _JUDGED if plain.get(name) is not None})
    options = plain.get("optimizer_options") or {}
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(f"optimizer_options: unknown name {name!r}; {suggest(name, OPTIONS)}")
    if options:
        plain["optimizer_options"] = {name: check(OPTIONS[name], f"optimizer_options.{name}", value) for name, value in options.items()}
    _check_owners(options, given.get("optimizer", "adafactor"))
    _judge("optimizer_options.", plain.get("optimizer_options") or {})
    return _with_batch({**given, **plain})


def _judge(place, options):
    """ConfigError, by the option's name behind `place`, where the core takes no such value."""
    try:
        _core.check_options(**options)
    except ValueError as error:
        raise ConfigError(f"{place}{error}") from None


def _with_batch(given):
    """A batch is a number of examples or of tokens."""
    size, tokens = given.get("batch_size"), given.get("batch_tokens")
    if tokens is None:
        return given | {"batch_size": size or BATCH_SIZE}
    if size is not None:
        raise ConfigError(f"batch_size {size} and batch_tokens {tokens}: a batch is so many examples or so many tokens; give one of them")
    if given.get("mixture_at") is not None:
        raise ConfigError(
            f"batch_tokens {tokens}: mixture_at chooses by the step, which an example has only after batches are cut; give batch_size"
        )
    return given


def _check_owners(options, optimizer):
    """An option of another optimiser would change nothing: a mistake that is told."""
    for name in options:
        owners = [owner for owner, has in OPTIMIZERS.items() if name in has]
        if owners and optimizer not in owners:
            raise ConfigError(f"optimizer_options.{name}: {optimizer} has none; it is an option of {' and '.join(owners)}")


def check_selection(given):
    """given: keywords of `train`. A model is selected by other rows of what the mixture trains on, never by what is held out."""
    for name, what in (("validate", "tasks to choose by"), ("out", "a folder that keeps the best model")):
        if not given[name]:
            raise ConfigError(f"select: needs {what}; name {'them' if name == 'validate' else 'it'} with {name}=")
    trained = {}
    for component in given["mixture"].components:
        trained.setdefault(_dataset_of(component.task), {})[id(component.task)] = component.task
    for task in given["validate"]:
        if _dataset_of(task) not in trained:
            raise ConfigError(
                f"select: validate {task.name!r}: the mixture does not train on its dataset, and a model chosen by held-out tasks has seen "
                "them; validate on the trained datasets' validation splits, or leave select out"
            )
        for other in trained[_dataset_of(task)].values():
            if _same_rows(task, other):
                raise ConfigError(
                    f"select: validate {task.name!r}: its rows are those that the mixture trains on as {other.name!r}, and by them the "
                    "model is best "
                    "that knows them by heart; validate on the dataset's validation split, or leave select out"
                )


def _dataset_of(task):
    return (task.dataset, task.subset) if task.dataset else task.name


def _same_rows(task, other):
    """Whether two tasks of one dataset are of one split: by its name, or by what the rows say."""
    if None not in (task.split, other.split) and task.split == other.split:
        return True
    return len(task.rows) == len(other.rows) and sample_of(task) == sample_of(other)


def plan_of(model, mixture, given):
    """given: all keywords of `train`. A longer run is the same plan while the rate is constant."""
    schedule = given["schedule"]
    plan = {name: given[name] for name in (*_PLANNED, *ADDED)}
    plan["schedule"] = "a function" if callable(schedule) else schedule
    if schedule != "constant":
        plan["steps"] = given["steps"]
    plan["mixture"] = mixture.digest()
    plan["curriculum"] = given["mixture_at"] is not None
    plan["model"] = _digest(model.config)
    plan["tokenizer"] = model.tokenizer.fingerprint
    return json.loads(json.dumps(plan))


def digest_of(weights):
    """SHA-256 of the weights {name: array} that a run begins with."""
    digest = hashlib.sha256()
    for name, array in weights.items():
        digest.update(name.encode() + b"\0")
        digest.update(memoryview(array).cast("B"))
    return digest.hexdigest()


def _digest(config):
    return digest_of_value(config.to_dict() if hasattr(config, "to_dict") else config)
