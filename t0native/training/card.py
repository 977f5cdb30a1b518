"""What a training adds to the model's card (checkpoints/modelcard.py): a section of README.md.

    ## Training
    steps, examples, tokens, last loss, what the weights were before, the plan's number
    ### Mixture        a line a task: its dataset, split, rows, prompts with their names, share of the examples
    ### Settings       those that decide the run's numbers
    ### Validation     of each task the median over its prompts, after the last validation and the best

Whatever would differ between a run and the same one broken off and gone on with (seconds, threads, places) is left out. The plan's
number is by what a run that goes on knows its own section: that is replaced, every other stays."""

import re
from dataclasses import replace

from t0native.base.digests import digest_of_value
from t0native.base.jsontext import json_text
from t0native.checkpoints.modelcard import code, is_hub_name, markdown_rows
from t0native.data.datasetfacts import dataset_facts, hub_name
from t0native.training.validations import best_validation, validations_of

__all__ = ["CardOfRun"]

_OF_NO_READER = ("mixture", "model", "tokenizer", "weights", "curriculum")  # parts of a plan that are digests
_MOST_TASKS, _MOST_NAMES = 200, 12


class CardOfRun:
    """Keeps the card of a model that is trained. goes_on: whether the run has steps already."""

    def __init__(self, model, mixture, plan, goes_on):
        self.model, self.mixture, self.plan = model, mixture, {key: value for key, value in plan.items() if key != "weights"}
        self.before, self.origin = getattr(model, "card", None), None
        if self.before is not None:
            self._find_origin(goes_on)

    def _find_origin(self, goes_on):
        """What the weights were, and the card without this run's own section, where an earlier call or another process wrote one."""
        trainings = self.before.trainings
        self.origin = "the model of the training above" if trainings else self.before.origin
        if goes_on and trainings and f"| plan | {self._number()} |" in trainings[-1]:
            began = re.search(r"^\| weights from \| (.*) \|$", trainings[-1], flags=re.M)
            self.origin = began[1] if began else ""
            self.before = replace(self.before, trainings=trainings[:-1])

    def _number(self):
        return digest_of_value(self.plan)[:16]

    def write(self, state, log):
        """The model's card is that of this state from now on. log: the run's entries."""
        if self.before is not None:
            self.model.card = self.before.with_training(self._section(state, log), _hub_datasets(self.mixture))

    def _section(self, state, log):
        return "\n\n".join(["## Training", self._facts(state), *_mixture(self.mixture, self.plan), self._settings(), *_validation(log)])

    def _facts(self, state):
        facts = [("steps", f"{state.step:,}"), ("examples", f"{state.examples:,}"), ("tokens", f"{state.tokens:,}")]
        facts += [("last loss", f"{state.losses[-1]:.4f}")] if state.losses else []
        facts += [("stopped", code(state.stopped))] if state.stopped is not None else []
        facts += [("weights from", self.origin)] if self.origin else []
        return markdown_rows(["what", ""], [*facts, ("plan", self._number())])

    def _settings(self):
        rows = [(name, code(json_text(value))) for name, value in self.plan.items() if name not in _OF_NO_READER]
        return "### Settings\n\n" + markdown_rows(["setting", "value"], rows)


def _mixture(mixture, plan):
    tasks = {}
    for component in mixture.components:
        tasks.setdefault(component.task_name, []).append(component)
    rows = [_task_row(name, components) for name, components in list(tasks.items())[:_MOST_TASKS]]
    more = [f"And {len(tasks) - _MOST_TASKS:,} more tasks."] if len(tasks) > _MOST_TASKS else []
    changes = ["It changed while the run went on; this is the one that it was given."] if plan.get("curriculum") else []
    prompts = f"{_counted(len(tasks), 'task')}, {_counted(len(mixture.components), 'prompt')} of {'it' if len(tasks) == 1 else 'them'}."
    table = markdown_rows(["task", "dataset", "split", "rows", "share", "prompts", "their names"], rows)
    return ["### Mixture", prompts, *changes, table, *more]


def _counted(number, noun):
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _task_row(name, components):
    first, task = components[0], components[0].task
    dataset = "/".join(str(part) for part in (first.dataset, first.subset) if part)
    names = ", ".join(code(component.prompt) for component in components[:_MOST_NAMES]) + ", ..." * (len(components) > _MOST_NAMES)
    cells = [code(name), code(dataset) if dataset else "", code(task.split) if getattr(task, "split", None) else ""]
    share = sum(component.share for component in components)
    return [*cells, f"{first.size:,}", f"{share:.2%}", f"{len(components):,}", names]


def _hub_datasets(mixture):
    """Names on the hub of the datasets that it is known to have: T0's, and those with an owner in their name. A name of one's own
    that somebody else's dataset has there as well would be a false link."""
    known = {dataset for dataset, _ in dataset_facts()}
    names = {component.dataset for component in mixture.components if component.dataset}
    return {hub_name(name) for name in names if name in known or "/" in str(name) and is_hub_name(name)}


def _validation(log):
    """The last validation and the best; nothing where there was none."""
    entries = {entry["step"]: entry["validation"] for entry in log if entry.get("validation")}
    if not entries:
        return []
    points, selected = validations_of(log)
    best, last = best_validation(points), max(entries)
    steps = sorted({last} | ({best[0]} if best else set()))
    rows = [[code(task), *(_percent(entries[step].get(task)) for step in steps)] for task in entries[last]]
    means = [["mean of the prompts' means" if selected else "mean", *(_percent(value, 1) for value in map(dict(points).get, steps))]]
    head = ["task", *(f"step {step:,}" + ", the best" * (best is not None and step == best[0]) for step in steps)]
    return ["### Validation", "Median over a task's prompts, %.", markdown_rows(head, rows + (means if len(rows) > 1 or selected else []))]


def _percent(value, times=100):
    return "no value" if value is None else f"{times * value:.1f}"
