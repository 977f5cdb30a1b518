"""A run's folder: everything that is needed to go on bit for bit after any interruption.

    checkpoints/     the last `keep` checkpoints, a folder each (stepfolders.py): plan, state, losses, weights and optimiser states
    log.jsonl        a line a logged step {step, loss, grad_norm, tokens, seconds, lr}, and where prompts dropped rows since the line
                     before, dropped {component: rows}, and where examples were cut at 2,048 characters, cut, their number; a line a
                     validation; taken back to the checkpoint's step when a run goes on, so that no step stands in it twice
    best/            the model with the best mean validation, in the hub's layout, where the run selects one
    README.md, config.json, model.safetensors, spiece.model ...   the model in the hub's layout, written when the run ends and when it is
                     stopped, by `stop` or by Ctrl-C; after kill -9 they are an older state or absent, until it has gone on

    .lock            while a run goes on, where the file system has no locks: who writes there (base/locks.py)

A checkpoint that is damaged is told and left out, and the one before it is taken. One that is refused changes nothing."""

import errno
import json
import logging
import os
from pathlib import Path

from t0native.base.errors import ConfigError, FormatError
from t0native.base.files import append_line, make_folder, remove_folder, remove_leftovers, sync_log, write_text
from t0native.base.jsontext import json_text
from t0native.base.locks import FolderLock
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.training.plan import complete_plan
from t0native.training.stepfolders import FOLDER, change_state, load_step, read_manifest, same_weights, step_folder, steps_in, write_step

__all__ = ["BEST", "RunFolder", "State", "planned"]

_log = logging.getLogger("t0native")
LOG, BEST = "log.jsonl", "best"
OLD_CHECKPOINT = "checkpoint.npz"  # of a run of before there were folders of steps


def planned(path, name):
    """What the plan of the run in a folder says of a setting; None where no checkpoint can be read."""
    for step in reversed(steps_in(path)):
        try:
            return complete_plan(read_manifest(step_folder(path, step))["plan"]).get(name)
        except (FormatError, OSError):  # which is told when the run goes on
            continue
    return None


class State:
    """What changes while a run goes on. step: steps done; losses: of each step; examples, tokens, seconds: so far.
    dropped: {component: rows drawn in vain since the log's last line}; cut: examples since then with a value that was cut."""

    def __init__(self, step=0, losses=(), examples=0, tokens=0, seconds=0.0, dropped=(), validated=0, stopped=None, cut=0):
        self.step, self.losses, self.examples, self.tokens, self.seconds = step, list(losses), examples, tokens, seconds
        self.dropped, self.cut = dict(dropped), cut
        self.validated = validated  # the last step after which validation ran
        self.stopped = stopped


class RunFolder:
    """The folder `path` of a run with this plan (a flat dict of JSON values), or nowhere when path is None. keep: checkpoints kept."""

    def __init__(self, path, plan, keep=2):
        self.path = None if path is None else Path(path)
        self.plan, self.keep = plan, keep
        self.log = []
        self._steps = []  # of the checkpoints that are this run's, ascending
        self._file = self._held = None
        self.scalars = None  # scalars.Scalars: who else is told of every line of the log

    def open(self, resume, trainer):
        """Restores trainer and model in place where there is something to go on from. Returns the State.

        resume: "auto" (go on if there is a checkpoint), "must", or "never". A checkpoint of another plan is refused."""
        if self.path is None:
            return State()
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: a file; out must name a folder")
        self._check_checkpoints(resume)
        if not steps_in(self.path) and not (self.path / LOG).exists() and what_is(self.path) == "a model's folder":
            raise ConfigError(f"{self.path}: holds a model that is of no run, and the trained one would replace it; name another folder")
        self._lock()
        try:
            state = State() if resume == "never" else self._restore(trainer)
            for folder in (self.path, self.path / FOLDER, self.path / BEST):
                remove_leftovers(folder)
            self._open_log(state)
        except BaseException:
            self.close()
            raise
        return state

    def _check_checkpoints(self, resume):
        if resume == "never" or steps_in(self.path):
            return
        if (self.path / OLD_CHECKPOINT).exists():
            raise ConfigError(
                f"{self.path / OLD_CHECKPOINT}: a checkpoint of before 0.1, from which this version cannot go on: finish the run with the "
                "version that began it, name another folder, or use resume='never' to begin anew"
            )
        if resume == "must":
            raise ConfigError(f"{self.path}: there is no checkpoint to go on from")

    def _lock(self):
        """Holds the folder until `close`, or until the process ends in whatever way."""
        make_folder(self.path)
        self._held = FolderLock(self.path, "is training")

    def close(self):
        if self.scalars is not None:
            self.scalars.close()
            self.scalars = None
        if self._held is not None:
            self._held.release()
            self._held = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, **entry):
        """Adds a line to the log."""
        self.log.append(entry)
        if self.scalars is not None:
            self.scalars.add(entry)
        if self._file is not None:
            append_line(self._file, json_text(entry, "null", ensure_ascii=False))

    @property
    def saved_step(self):
        """The step of the last checkpoint, from which the run would go on; None where there is none."""
        return self._steps[-1] if self._steps else None

    def best(self):
        """(step, mean) of the first of the best validations that the log tells of, or None."""
        means = [(entry["step"], entry["mean"]) for entry in self.log if isinstance(entry.get("mean"), float)]
        return max(means, key=lambda entry: entry[1], default=None)

    def save(self, state, model, trainer):
        """Writes a checkpoint, then removes those that are too many."""
        if self.path is None:
            return
        self._held.check_place()
        if self._file is not None:
            sync_log(self._file)
        facts = {key: value for key, value in vars(state).items() if key != "losses"}
        folder = step_folder(self.path, state.step)
        if self._steps and self._steps[-1] == state.step:
            change_state(folder, self.plan, facts, model)
            return
        write_step(folder, self.plan, facts, state.losses, model, trainer, written=self._remove_others)
        self._steps.append(state.step)
        while len(self._steps) > self.keep:
            remove_folder(step_folder(self.path, self._steps.pop(0)))

    def save_model(self, model, name="."):
        """Writes the model in the hub's layout, into the run's folder or one in it."""
        if self.path is None:
            return
        self._held.check_place()
        model.save(self.path / name)

    def _remove_others(self):
        """Damaged ones, and those of a run that this one takes the place of: only now is there something better."""
        for step in steps_in(self.path):
            if step not in self._steps:
                remove_folder(step_folder(self.path, step))

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _restore(self, trainer):
        """The State of the last whole checkpoint, or a new one where there is none at all."""
        steps = steps_in(self.path)
        while steps:
            try:
                state = self._restore_step(step_folder(self.path, steps[-1]), trainer)
                self._steps = steps
                return state
            except FormatError as error:
                message = str(error)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.EIO):
                    raise
                message = f"{error.filename}: {os.strerror(error.errno)}"
            if len(steps) == 1:
                raise FormatError(f"{message}; no checkpoint of the run is whole: use resume='never' to begin anew")
            _log.warning("%s; the checkpoint of step %d is left out and that of step %d taken", message, steps[-1], steps[-2])
            steps.pop()
        return State()

    def _restore_step(self, folder, trainer):
        manifest = read_manifest(folder)
        plan = complete_plan(manifest["plan"])
        self._check_plan(plan)
        first_weights = plan.get("weights")
        if first_weights != self.plan["weights"]:
            self._check_weights(folder, trainer)
        losses = load_step(folder, manifest, trainer)
        self.plan = self.plan | {"weights": first_weights}
        return State(losses=losses, **manifest["state"])

    def _check_plan(self, old):
        keys = [key for key in {**old, **self.plan} if key != "weights" and old.get(key) != self.plan.get(key)]
        changed = [f"{key} was {shown(old.get(key))}, is {shown(self.plan.get(key))}" for key in keys]
        if changed:
            rows = ' (its prompts, rates or rows; types: "0.1.0" reads CSV files as that version did)' if "mixture" in keys else ""
            raise ConfigError(
                f"{self.path}: holds a run with another plan: {'; '.join(changed)}{rows}. Go on with the old plan, name another folder, "
                "or use resume='never' to begin anew"
            )

    def _check_weights(self, folder, trainer):
        """A run goes on from the weights that it began with or from the checkpoint's own; its plan keeps the former."""
        if not same_weights(folder, trainer.weights()):
            raise ConfigError(
                f"{self.path}: holds a run that began with other weights than this model has, and they would be lost. Give the model "
                "that the run began with, name another folder, or use resume='never' to begin anew"
            )

    def _open_log(self, state):
        """Lines up to the state stay; the rest belongs to steps, or to a validation, that the checkpoint does not have."""
        path = self.path / LOG
        entries = []
        if state.step and path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                entry = _parse_line(line)
                if entry is not None and entry["step"] <= (state.validated if "validation" in entry else state.step):
                    entries.append(entry)
        self.log = entries
        write_text(path, "".join(json_text(entry, "null", ensure_ascii=False) + "\n" for entry in entries))
        self._file = open(path, "ab", buffering=0)


def _parse_line(line):
    """The object of a log line, or None for a line cut short by a crash."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("step"), int) else None
