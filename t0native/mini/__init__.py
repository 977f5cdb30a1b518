"""The miniature: T0's experiment small enough for a laptop, carried whole by the package (docs/miniature/experiment.md).

    training        eleven generated datasets in seven groups, each in several wordings, and text with holes ("denoising")
    held out        five tasks of 500 rows, each in ten or more wordings, whose forms training never sees
    development     five more such tasks, for tuning; never reported
    vocabulary      a SentencePiece model of its own;  configuration: a T5 1.1 that trains in minutes

Its trained models are t0native.Model.mini(label). Everything is read, and every module loaded, when a function is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable

    from t0native.base.annotations import PathName
    from t0native.checkpoints.config import Config
    from t0native.models.model import Model
    from t0native.tasks.task import Task
    from t0native.text.tokenizer import Tokenizer

__all__ = ["config", "development_tasks", "held_out_tasks", "new_model", "tokenizer", "training_tasks"]


def held_out_tasks(wordings: PathName | None = None) -> list[Task]:
    """The five held-out tasks, a list of Task; their rows and prompts are fixed.

    wordings: folder with other prompts for them, in promptsource's layout: <task>/templates.yaml.  Raises DataError where
    there is no such folder, or a prompt reads a field that the rows lack.

    >>> [(task.name, len(task.rows)) for task in t0.mini.held_out_tasks()][:2]
    [('inference', 500), ('pronouns', 500)]
    """
    from t0native.mini import tasks

    return tasks.heldout_tasks(wordings)


def development_tasks() -> list[Task]:
    """Five tasks that training never sees either, for choosing settings; a list of Task.

    >>> [task.name for task in t0.mini.development_tasks()]
    ['claims', 'riddles', 'summaries', 'gaps', 'pointers']
    """
    from t0native.mini import tasks

    return tasks.development_tasks()


def training_tasks(datasets: Iterable[str] | None = None, *, level: int = 2, prompts: int | None = None, seed: int = 0) -> list[Task]:
    """Prompted tasks of the training datasets, a list of Task; the last is denoising. Each has a million rows, generated
    when they are read, the same for one seed on every machine.

    datasets: names, None for all eleven.  level: 1 for texts of one fact, 2 for texts of two or three.
    prompts: so many of each dataset's prompts, drawn by the seed; None for all, 0 for denoising alone.
    ValueError for an unknown dataset or level.

    >>> t0.mini.training_tasks(["yes_no"], level=1)
    [Task('yes_no', 1000000 rows, 16 prompts), Task('denoising', 1000000 rows, 1 prompts)]
    """
    from t0native.base.errors import ConfigError
    from t0native.base.showing import shown
    from t0native.mini import tasks

    if level not in (1, 2):
        raise ConfigError(f"level {shown(level)}: must be 1 (texts of one fact) or 2 (of two or three)")
    return tasks.training_tasks(level, prompts, seed, tasks.DATASETS if datasets is None else tuple(datasets))


def tokenizer() -> Tokenizer:
    """The miniature's Tokenizer. It folds capitals; sentinels are pieces of its file.

    >>> t0.mini.tokenizer().pieces("Anna keeps a cat.")
    ['▁anna', '▁keeps', '▁a', '▁cat', '.']
    """
    from t0native.mini import tasks

    return tasks.tokenizer()


def config() -> Config:
    """The shape of the miniature's models, a Config.

    >>> t0.mini.config().d_model, t0.mini.config().num_layers, t0.mini.config().num_decoder_layers
    (64, 3, 2)
    """
    from t0native.mini import tasks

    return tasks.config(tokenizer().vocab_size)


def new_model(seed: int = 0) -> Model:
    """An untrained Model with the miniature's vocabulary and shape; the same weights for one seed on every machine.

    >>> model = t0.mini.new_model(0)
    >>> model.parameters == t0.mini.config().parameters
    True
    """
    from t0native.mini import tasks

    return tasks.new_model(seed)
