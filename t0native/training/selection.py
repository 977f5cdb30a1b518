"""Whether a model may be selected by some tasks: by other rows of what the mixture trains on, never by what is held out.

Rows are the same where their SHA-256 is (base/digests.py). Splits of some datasets share a few: a warning tells them, up to a tenth of
the validated rows; more are refused. Where nothing is selected, a warning tells them, however many."""

import logging

from t0native.base.digests import digest_of_value
from t0native.base.errors import ConfigError
from t0native.base.progress import BAR_DELAY, Progress
from t0native.base.showing import shown

__all__ = ["check_selection", "tell_shared_rows"]

_log = logging.getLogger("t0native")
MOST_SHARED = 0.1  # of the rows of a validated task
COMPARED = 500_000  # rows that are trained on, at most, where nothing is selected: some seconds' work
_REFUSED = (
    "select: validate {}: {} that the mixture trains on as {}, and by them the model is best that knows them by heart; validate on the "
    "dataset's validation split, or leave select out"
)


def check_selection(mixture, settings):
    """ConfigError where settings.validate cannot serve to select a model that is trained on the mixture."""
    for name, what, pronoun in (("validate", "tasks to choose by", "them"), ("out", "a folder that keeps the best model", "it")):
        if not getattr(settings, name):
            raise ConfigError(f"select: needs {what}; name {pronoun} with {name}={'TASKS' if name == 'validate' else 'FOLDER'}")
    trained = _trained_tasks(mixture)
    for task in settings.validate:
        if _dataset_of(task) not in trained:
            raise ConfigError(
                f"select: validate {shown(task.name)}: the mixture does not train on its dataset, and a model chosen by held-out tasks has "
                "seen them; validate on the trained datasets' validation splits, or leave select out"
            )
        others = trained[_dataset_of(task)]
        for other in others:
            if None not in (task.split, other.split) and task.split == other.split:
                raise ConfigError(_REFUSED.format(shown(task.name), "its rows are those", shown(other.name)))
        both, names = _compare_rows(task, others, settings.progress)
        if both > MOST_SHARED * len(task.rows):
            raise ConfigError(_REFUSED.format(shown(task.name), f"{both:,} of its {len(task.rows):,} rows are among those", names))
        if both:
            _log.warning("select: %s", _shared_text(task, both))


def tell_shared_rows(mixture, settings):
    """A warning for each validated task whose rows, or some of them, are trained on."""
    trained = _trained_tasks(mixture)
    for task in settings.validate or ():
        others = trained.get(_dataset_of(task), [])
        if others and sum(len(other.rows) for other in others) <= COMPARED and (both := _compare_rows(task, others, settings.progress)[0]):
            _log.warning("%s: the values are better than those of new rows would be", _shared_text(task, both))


def _trained_tasks(mixture):
    """{dataset: [its tasks]} of a mixture."""
    trained = {}
    for component in mixture.components:
        trained.setdefault(_dataset_of(component.task), {})[id(component.task)] = component.task
    return {dataset: list(tasks.values()) for dataset, tasks in trained.items()}


def _shared_text(task, both):
    return f"validate {shown(task.name)}: {both:,} of its {len(task.rows):,} rows are among those that the mixture trains on"


def _dataset_of(task):
    return (task.dataset, task.subset) if task.dataset else task.name


def _compare_rows(task, others, progress):
    """(how many of a validated task's rows stand among those of the tasks that are trained on, the names of these tasks)."""
    rows = [digest_of_value(task.rows[i]) for i in range(len(task.rows))]
    wanted, met = set(rows), {}  # digest -> name of the first task that has it
    with Progress("compare rows", sum(len(other.rows) for other in others), on=progress, delay=BAR_DELAY) as bar:
        for at, (other, i) in enumerate((other, i) for other in others for i in range(len(other.rows))):
            if (digest := digest_of_value(other.rows[i])) in wanted:
                met.setdefault(digest, other.name)
            bar.update(at + 1)
    both = sum(row in met for row in rows)
    return both, " and ".join(map(shown, dict.fromkeys(met.values())))
