"""What the validations of a run found, from its log: a value each, in percent.

    of a run that selects      the mean over tasks of the mean over prompts, by which it selects
    of any other               the mean over tasks of the median over prompts
    where a task has no value  none

The best is the highest; of equal ones the first, as `select` keeps."""

__all__ = ["best_validation", "tell_best", "tell_validation", "validations_of"]

_MOST = 6  # tasks that a line names


def validations_of(log):
    """([(step, percent)], whether a model was selected by them). log: the entries of a run's.

    >>> validations_of([{"step": 5, "loss": 1.0}, {"step": 5, "validation": {"rte": 0.5, "cb": 0.75}}])
    ([(5, 62.5)], False)
    """
    entries = [entry for entry in log if entry.get("validation")]
    if any(entry.get("mean") is not None for entry in entries):
        return [(entry["step"], 100 * entry["mean"]) for entry in entries if entry.get("mean") is not None], True
    values = [(entry["step"], list(entry["validation"].values())) for entry in entries]
    return [(step, 100 * sum(them) / len(them)) for step, them in values if None not in them], False


def best_validation(points):
    """The (step, percent) with the highest value, the first of equal ones; None where there is none.

    >>> best_validation([(2, 50.0), (4, 75.0), (6, 75.0)])
    (4, 75.0)
    """
    return max(points, key=lambda point: point[1], default=None)


def tell_best(log):
    """The best validation in words, or None where nothing was validated.

    >>> tell_best([{"step": 5, "validation": {"rte": 0.5}}])
    'best validation 50.0 % at step 5'
    """
    best = best_validation(validations_of(log)[0])
    return None if best is None else f"best validation {best[1]:.1f} % at step {best[0]:,}"


def tell_validation(step, values, log):
    """A line about the validation of a step. values: {task: its value, or None}.  log: which has it already.

    >>> log = [{"step": 5, "validation": {"rte": 0.5}}, {"step": 9, "validation": {"rte": 0.75}}]
    >>> tell_validation(9, {"rte": 0.75}, log)
    'step 9: validation 75.0 % (rte 75.0), the best so far'
    >>> tell_validation(5, {"rte": 0.5}, log)
    'step 5: validation 50.0 % (rte 50.0); best validation 75.0 % at step 9'
    """
    parts = [f"{task} {'failed' if value is None else f'{100 * value:.1f}'}" for task, value in list(values.items())[:_MOST]]
    named = ", ".join([*parts, *([f"and {len(values) - _MOST} more tasks"] if len(values) > _MOST else [])])
    points = validations_of(log)[0]
    mean, best = dict(points).get(step), best_validation(points)
    if mean is None:
        return f"step {step:,}: validation has no mean ({named})"
    rank = ", the best so far" if best[0] == step else f"; {tell_best(log)}"
    return f"step {step:,}: validation {mean:.1f} % ({named}){rank}"
