"""The settings of a training: every keyword of `train` once, with its kind, its default and a line of help.

    Settings --> keys of a recipe (recipe.py), options of the command line (cli/train.py), the plan of a run (plan.py)

`train` writes its signature out, for editors and type checkers, and docs/reference/training.md its table; tests hold them to the
fields here. Values are checked for their kinds; what the core takes of the optimiser and its options, of clip, dropout and
precision, it judges itself, before anything is loaded."""

from __future__ import annotations

import argparse
import os
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

from t0native import _core
from t0native.adapters.methods import IA3, LoRA, PromptTuning, method_of
from t0native.base.arguments import FLAG, FOLDER, MAPPING, NAMES, NUMBER, SEED, TEXT, WHOLE, Kind, check, number, one_of, whole
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.base.threads import THREADS
from t0native.training.lots import MOST as MOST_LOTS
from t0native.training.schedules import SCHEDULE

if TYPE_CHECKING:  # of annotations alone: the command line reads this module before it knows whether it trains
    from collections.abc import Callable, Sequence
    from typing import Literal

    from t0native.reports.report import Report
    from t0native.tasks.mixture import Mixture
    from t0native.tasks.task import Task

__all__ = ["KINDS", "OPTIMIZER_OPTIONS", "SETTINGS", "Settings", "check_settings"]

COUNT = whole(1)
LENGTH = Kind(COUNT.or_none().fits, COUNT.wanted)  # of a training, which is told in steps or in epochs
LOTS = Kind(
    lambda value: WHOLE.fits(value) and 1 <= value <= MOST_LOTS and value & (value - 1) == 0, f"a power of two, at most {MOST_LOTS}"
)
RESUME = ("auto", "must", "never")
RESUME_KIND = Kind(one_of(*RESUME, True, False).fits, one_of(*RESUME).wanted)  # true is "must", false "never"
BATCH_SIZE = 64  # where neither batch_size nor batch_tokens is given
OF_CORE = ("optimizer", "clip", "dropout", "precision")  # settings that are options of the core's trainer too
ADAPTER = Kind(lambda value: method_of(value) is not None, "t0.LoRA(...), t0.IA3(...), t0.PromptTuning(...), or the name of one")
FLAG_OPTION = {"action": argparse.BooleanOptionalAction, "default": None}
INTEGER_OPTION = {"type": int, "metavar": "N"}


class Setting(NamedTuple):
    """What stands behind a field of Settings.

    kind: what a value must be, or None for objects of Python, which no recipe has.  help: a line, with `names` marked.
    plan: the version of the plan that first names it, 0 where a changed value is no other run.  option: keywords of
    ArgumentParser.add_argument where the command line has it, or None."""

    kind: Kind | None
    help: str
    plan: int = 0
    option: dict[str, Any] | None = None


def _setting(default, *facts, **more):
    return field(default=default, metadata={"setting": Setting(*facts, **more)})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The keywords of `train` but for model and mixture, checked; what they do is told there.

    Numbers are Python's own, batch_size is 64 where neither it nor batch_tokens is given, and resume one of three words.
    ConfigError names the first value that is not acceptable, and what would be.

    >>> settings = Settings(steps=np.int64(10), resume=True)
    >>> settings.steps, settings.batch_size, settings.resume, settings.optimizer
    (10, 64, 'must', 'adafactor')
    >>> Settings(steps=0)
    Traceback (most recent call last):
    t0native.ConfigError: steps 0: must be a whole number, at least 1
    """

    steps: int | None = _setting(
        None, LENGTH, "steps of the optimiser; they or `epochs` are needed, in the recipe or as `--steps`", option=INTEGER_OPTION
    )
    epochs: int | None = _setting(
        None, LENGTH, "instead of `steps`: how often every row is trained on", option=INTEGER_OPTION
    )  # see plan.py
    out: str | os.PathLike[str] | None = _setting(None, FOLDER.or_none(), "folder of the run", option={"metavar": "DIR"})
    resume: Literal["auto", "must", "never"] | bool = _setting(
        "auto",
        RESUME_KIND,
        "`auto` goes on from a checkpoint where there is one, `must` demands one, `never` begins anew",
        option={"choices": RESUME},
    )
    batch_size: int | None = _setting(None, COUNT.or_none(), "examples of a batch", plan=1, option=INTEGER_OPTION)
    accumulate: int = _setting(1, COUNT, "batches whose gradients make one step", plan=2)
    batch_tokens: int | None = _setting(
        None, COUNT.or_none(), "instead of `batch_size`: tokens of a batch at most, inputs and targets", plan=2
    )
    lots: int | None = _setting(
        None,
        LOTS.or_none(),
        "parts of a batch, a power of two, whose gradients are summed on a tree: the same bits by 1 to so many processes (MPI)",
        plan=4,
        option=INTEGER_OPTION,
    )
    wire: Literal["float32", "bfloat16"] = _setting(
        "float32", one_of("float32", "bfloat16"), "of `lots`: `bfloat16` rounds sums of gradients, and halves what processes send", plan=4
    )
    optimizer: Literal["adafactor", "adamw", "sgd"] = _setting("adafactor", TEXT, "`adafactor`, `adamw` or `sgd`", plan=1)
    optimizer_options: dict[str, Any] | None = _setting(None, MAPPING.or_none(), "options of the optimiser and the loss, a mapping", plan=1)
    learning_rate: float = _setting(
        1e-3,
        number(lambda value: value > 0, "a positive number"),
        "learning rate; for Adafactor relative to each tensor's root mean square",
        plan=1,
        option={"type": float, "metavar": "X"},
    )
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] | Callable[[int, int], float] = _setting(
        "constant", SCHEDULE, "`constant`, `linear`, `cosine`, `rsqrt`"
    )  # see plan.py
    warmup: float = _setting(
        0, number(lambda value: value >= 0, "a number, at least 0"), "steps of the warm-up, in which the rate grows", plan=1
    )
    clip: float = _setting(1.0, NUMBER, "global norm of the gradients; 0: none", plan=1)
    seed: int = _setting(0, SEED, "seed of examples, their order and dropout", plan=1, option=INTEGER_OPTION)
    dropout: float | None = _setting(None, NUMBER.or_none(), "rate of dropout; a T5's own is 0.1", plan=1)
    broadcast_dropout: bool = _setting(False, FLAG, "one mask for all tokens of a sequence, as T5's code", plan=2)
    freeze: list[str] | tuple[str, ...] | None = _setting(
        None, NAMES.or_none(), 'patterns of tensors that keep their bits: `["shared.*"]`', plan=2
    )
    adapter: LoRA | IA3 | PromptTuning | None = _setting(
        None,
        ADAPTER.or_none(),
        "train this beside the frozen model: `lora`, `ia3`, `prompts`, or a mapping, `{method: lora, r: 4}`",
        plan=5,
        option={"metavar": "METHOD"},
    )
    recompute: bool = _setting(False, FLAG, "a fraction of the activations' memory, a fifth more time, the same bits")
    precision: Literal["float32", "bfloat16"] = _setting(
        "float32", TEXT, "`bfloat16` products where the processor has them (AVX-512 BF16); weights stay float32", plan=2
    )
    max_source: int = _setting(1024, COUNT, "tokens of an input; longer ones are cut", plan=1)
    max_target: int = _setting(256, COUNT, "tokens of a target", plan=1)
    add_eos_to_inputs: bool | None = _setting(
        None, FLAG.or_none(), "the end token behind inputs; unless given, as the model has it", plan=2, option=FLAG_OPTION
    )
    add_eos_to_targets: bool = _setting(
        True, FLAG, "the end token behind targets, before they are trimmed; the default is T0's choice", plan=2
    )
    truncate: bool = _setting(
        True,
        FLAG,
        "values that prompts print are cut at 2,048 characters, as T0's were (`--no-truncate`)",
        option={"action": "store_false", "default": None},
    )
    unanswered: Literal["drop", "keep"] | None = _setting(
        None,
        one_of("drop", "keep").or_none(),
        "rows whose target is no answer, as of a label -1: `drop`, or `keep` as promptsource prints them; unless given, `drop`",
        plan=3,
        option={"choices": ("drop", "keep")},
    )
    threads: int | None = _setting(None, THREADS.or_none(), "threads of the matrix products", option=INTEGER_OPTION)
    workers: int = _setting(1, COUNT, "threads that prepare batches; any number gives the same batches")
    log_every: int = _setting(10, COUNT, "steps between lines of the log")
    checkpoint_every: int | None = _setting(None, COUNT.or_none(), "steps between checkpoints")
    keep: int = _setting(2, COUNT, "checkpoints that stay")
    validate: Task | Sequence[Task] | None = _setting(None, None, "tasks to evaluate while training")
    validate_every: int | None = _setting(None, COUNT.or_none(), "steps between validations")
    select: bool = _setting(False, FLAG, "keep the model with the best mean validation in `out/best`")
    stop: Callable[[Report | None, list[dict[str, Any]]], object] | None = _setting(None, None, "(report, log) -> reason to end, or None")
    progress: bool = _setting(True, FLAG, "a progress bar")
    tensorboard: bool = _setting(
        False,
        FLAG,
        "scalars for TensorBoard in `out/tensorboard` too (`pip install tensorboardX`)",
        option={"action": "store_true", "default": None},
    )
    mixture_at: Callable[[int], Mixture] | None = _setting(None, None, "step -> Mixture, for curricula")

    def __post_init__(self):
        values = check_settings(vars(self))
        if self.steps is None and self.epochs is None:
            raise ConfigError("neither steps nor epochs: one of them says how long to train")
        values["adapter"] = None if self.adapter is None else method_of(self.adapter)
        values["resume"] = {True: "must", False: "never"}.get(self.resume, self.resume)
        if self.batch_size is None and self.batch_tokens is None:
            values["batch_size"] = BATCH_SIZE
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def batch_options(self):
        """The keywords of make_batch but for batch_size."""
        names = ("seed", "max_source", "max_target", "add_eos_to_inputs", "add_eos_to_targets", "unanswered")
        return {name: getattr(self, name) for name in names}

    @property
    def trainer_options(self):
        """The keywords of Trainer."""
        names = ("optimizer", "dropout", "broadcast_dropout", "freeze", "recompute", "seed", "threads", "precision")
        return {"clip_norm": self.clip, "options": self.optimizer_options or {}} | {name: getattr(self, name) for name in names}


SETTINGS: dict[str, Setting] = {entry.name: entry.metadata["setting"] for entry in fields(Settings)}
KINDS = {name: setting.kind for name, setting in SETTINGS.items() if setting.kind is not None}  # of a recipe's keys


class OptimizerOption(NamedTuple):
    """kind: what its value must be.  owners: the optimisers that have it; none where it is the loss's."""

    kind: Kind
    owners: tuple[str, ...] = ()


OPTIMIZER_OPTIONS = {
    "scale_parameter": OptimizerOption(FLAG, ("adafactor",)),
    "step_offset": OptimizerOption(WHOLE, ("adafactor",)),
    "beta1": OptimizerOption(NUMBER, ("adamw",)),
    "beta2": OptimizerOption(NUMBER, ("adamw",)),
    "epsilon": OptimizerOption(NUMBER, ("adamw",)),
    "weight_decay": OptimizerOption(NUMBER, ("adamw", "sgd")),
    "momentum": OptimizerOption(NUMBER, ("sgd",)),
    "label_smoothing": OptimizerOption(NUMBER),
    "z_loss": OptimizerOption(NUMBER),
}


def check_settings(keywords):
    """keywords: those of `train`, all or some. Returns those that have a kind, with Python's own numbers; ConfigError names the first that
    is not acceptable, and what would be.

    >>> check_settings({"optimizer_options": {"beta1": "x"}})
    Traceback (most recent call last):
    t0native.ConfigError: optimizer_options.beta1 'x': must be a number
    """
    values = {name: check(kind, name, keywords[name]) for name, kind in KINDS.items() if name in keywords}
    _check_by_core("", {name: values[name] for name in OF_CORE if values.get(name) is not None})
    if values.get("optimizer_options"):
        values["optimizer_options"] = _check_optimizer_options(values["optimizer_options"], values.get("optimizer", "adafactor"))
    _check_length(keywords)
    _check_batch(keywords)
    return values


def _check_optimizer_options(options, optimizer):
    """An option of another optimiser would change nothing: a mistake that is told."""
    for name in options:
        if name not in OPTIMIZER_OPTIONS:
            raise ConfigError(f"optimizer_options: unknown name {shown(name)}; {suggest(name, OPTIMIZER_OPTIONS)}")
    values = {name: check(OPTIMIZER_OPTIONS[name].kind, f"optimizer_options.{name}", value) for name, value in options.items()}
    for name in options:
        owners = OPTIMIZER_OPTIONS[name].owners
        if owners and optimizer not in owners:
            raise ConfigError(f"optimizer_options.{name}: {optimizer} has none; it is an option of {' and '.join(owners)}")
    _check_by_core("optimizer_options.", values)
    return values


def _check_by_core(place, options):
    """ConfigError, by the option's name behind `place`, where the core takes no such value."""
    try:
        _core.check_options(**options)
    except ValueError as error:
        raise ConfigError(f"{place}{error}") from None


def _check_length(keywords):
    """A training has so many steps or so many epochs."""
    epochs = keywords.get("epochs")
    if epochs is None:
        return
    if keywords.get("steps") is not None:
        raise ConfigError(
            f"steps {keywords['steps']} and epochs {epochs}: a training has so many steps or so many epochs; give one of them"
        )
    if keywords.get("batch_tokens") is not None:
        raise ConfigError(
            f"epochs {epochs} and batch_tokens {keywords['batch_tokens']}: how many steps that is, is known only when all batches are "
            "cut; give batch_size"
        )
    if keywords.get("mixture_at") is not None:
        raise ConfigError(f"epochs {epochs}: mixture_at chooses by the step, and epochs are those of one mixture; give steps")


def _check_batch(keywords):
    """A batch is a number of examples or of tokens."""
    size, tokens = keywords.get("batch_size"), keywords.get("batch_tokens")
    if tokens is not None and size is not None:
        raise ConfigError(f"batch_size {size} and batch_tokens {tokens}: a batch is so many examples or so many tokens; give one of them")
    if tokens is not None and keywords.get("mixture_at") is not None:
        raise ConfigError(
            f"batch_tokens {tokens}: mixture_at chooses by the step, which an example has only after batches are cut; give batch_size"
        )
