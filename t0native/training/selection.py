"""Whether a model may be selected by some tasks: by other rows of what the mixture trains on, never by what is held out."""

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.tasks.mixture import sample_of

__all__ = ["check_selection"]


def check_selection(mixture, settings):
    """ConfigError where settings.validate cannot serve to select a model that is trained on the mixture."""
    for name, what, pronoun in (("validate", "tasks to choose by", "them"), ("out", "a folder that keeps the best model", "it")):
        if not getattr(settings, name):
            raise ConfigError(f"select: needs {what}; name {pronoun} with {name}=")
    trained = {}
    for component in mixture.components:
        trained.setdefault(_dataset_of(component.task), {})[id(component.task)] = component.task
    for task in settings.validate:
        if _dataset_of(task) not in trained:
            raise ConfigError(
                f"select: validate {shown(task.name)}: the mixture does not train on its dataset, and a model chosen by held-out tasks has "
                "seen them; validate on the trained datasets' validation splits, or leave select out"
            )
        for other in trained[_dataset_of(task)].values():
            if _have_same_rows(task, other):
                raise ConfigError(
                    f"select: validate {shown(task.name)}: its rows are those that the mixture trains on as {shown(other.name)}, and by "
                    "them the model is best that knows them by heart; validate on the dataset's validation split, or leave select out"
                )


def _dataset_of(task):
    return (task.dataset, task.subset) if task.dataset else task.name


def _have_same_rows(task, other):
    """Whether two tasks of one dataset are of one split: by its name, or by what the rows say."""
    if None not in (task.split, other.split) and task.split == other.split:
        return True
    return len(task.rows) == len(other.rows) and sample_of(task) == sample_of(other)
