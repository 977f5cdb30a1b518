"""A run's folder: everything that is needed to go on bit for bit after any interruption.

    checkpoint.npz   plan, step, losses, weights and optimiser states after `step` steps: one file, replaced as a whole
    log.jsonl        a line a logged step {step, loss, grad_norm, tokens, seconds, lr}, a line a validation; cut back to the
                     checkpoint's step when a run goes on, so that no step stands in it twice
    best/            the model with the best mean validation, in the hub's layout, where the run selects one
    config.json, model.safetensors, spiece.model ...   the model in the hub's layout, written when the run ends and when it is
                     stopped, by `stop` or by Ctrl-C; after kill -9 they are an older state or absent, until it has gone on

The npz is read without pickle; each of its members carries a CRC-32. A checkpoint that is refused changes nothing."""

import errno
import fcntl
import json
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from t0native.arguments import MAPPING, TEXT, number, shown, whole
from t0native.errors import ConfigError, FormatError
from t0native.files import append_line, make_folder, remove_leftovers, replacing, sync_log, write_text
from t0native.plans import ADDED

__all__ = ["BEST", "RunFolder", "State"]

CHECKPOINT, LOG, BEST = "checkpoint.npz", "log.jsonl", "best"


class State:
    """What changes while a run goes on. step: steps done; losses: of each step; tokens, seconds: so far."""

    def __init__(self, step=0, losses=(), tokens=0, seconds=0.0, validated=0, stopped=None):
        self.step, self.losses, self.tokens, self.seconds = step, list(losses), tokens, seconds
        self.validated = validated  # the last step after which validation ran
        self.stopped = stopped


class RunFolder:
    """The folder `path` of a run with this plan (a flat dict of JSON values), or nowhere when path is None."""

    def __init__(self, path, plan):
        self.path = None if path is None else Path(path)
        self.plan = plan
        self.log = []
        self._file = self._locked = None

    def open(self, resume, trainer):
        """Restores trainer and model in place where there is something to go on from. Returns the State.

        resume: "auto" (go on if there is a checkpoint), "must", or "never". A checkpoint of another plan is refused."""
        if self.path is None:
            return State()
        checkpoint = self.path / CHECKPOINT
        if not checkpoint.exists():
            if resume == "must":
                raise ConfigError(f"{self.path}: there is no {CHECKPOINT} to go on from")
            if self.path.exists() and not self.path.is_dir():
                raise ConfigError(f"{self.path}: a file; out must name a folder")
        self._lock()
        try:
            fresh = resume == "never" or not checkpoint.exists()
            state = State() if fresh else self._restore(checkpoint, trainer)
            remove_leftovers(self.path)
            self._open_log(state.step)
        except BaseException:
            self.close()
            raise
        return state

    def _lock(self):
        """Holds the folder until `close`, or until the process ends in whatever way."""
        make_folder(self.path)
        self._locked = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise ConfigError(f"{self.path}: another process is training there; wait for it, stop it, or name another folder") from None
        except OSError:
            pass  # a file system without locks

    def close(self):
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, **entry):
        """Adds a line to the log."""
        self.log.append(entry)
        if self._file is not None:
            append_line(self._file, json.dumps(entry, ensure_ascii=False))

    def best(self):
        """(step, mean) of the first of the best validations that the log tells of, or None."""
        told = [(entry["step"], entry["mean"]) for entry in self.log if isinstance(entry.get("mean"), float)]
        return max(told, key=lambda entry: entry[1], default=None)

    def save(self, state, trainer):
        """Replaces the checkpoint."""
        if self.path is None:
            return
        about = {"plan": self.plan, **{key: value for key, value in vars(state).items() if key != "losses"}}
        arrays = {f"model/{name}": array for name, array in trainer.weights().items()}
        arrays["optimizer"] = trainer.state()
        arrays["losses"] = np.asarray(state.losses, np.float64)
        arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
        if self._file is not None:
            sync_log(self._file)
        with replacing(self.path / CHECKPOINT, "wb") as file:
            np.savez(file, **arrays)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _restore(self, checkpoint, trainer):
        """The State; weights and optimiser are written only once all of the file is known to be good."""
        try:
            with open(checkpoint, "rb") as opened, _npz(opened) as file:
                about, losses = _about(file), _member(file, "losses")
                old = {name: value for name, value in ADDED.items() if name in self.plan} | about.pop("plan")
                self._compare(old)
                expected = {f"model/{name}": array for name, array in trainer.weights().items()}
                if losses.shape != (about["step"],) or losses.dtype != np.float64:
                    raise ValueError(f"{about['step']} steps, but losses is {losses.dtype}{list(losses.shape)}")
                same = True
                for name, array in {**expected, "optimizer": trainer.state()}.items():
                    values = _member(file, name)  # one at a time: a model may fill half of the memory
                    _check_like(name, array, values)
                    same = same and (name == "optimizer" or values.tobytes() == array.tobytes())
                self._check_beginning(old, same)
                trainer.load_state(file["optimizer"])
                for name, array in expected.items():
                    array[...] = file[name]
        except (ValueError, EOFError, OSError, RuntimeError, zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error) as error:
            if isinstance(error, ConfigError) or (isinstance(error, OSError) and error.errno != errno.EINVAL):
                raise  # EINVAL: a place before the file's beginning, as its directory has it
            raise FormatError(f"{checkpoint}: broken ({error}); remove it or use resume='never' to begin anew") from None
        return State(losses=losses.tolist(), **about)

    def _compare(self, old):
        keys = [key for key in {**old, **self.plan} if key != "weights" and old.get(key) != self.plan.get(key)]
        changed = [f"{key} was {shown(old.get(key))}, is {shown(self.plan.get(key))}" for key in keys]
        if changed:
            raise ConfigError(
                f"{self.path}: holds a run with another plan: {'; '.join(changed)}. Go on with the old plan, name another folder, "
                "or use resume='never' to begin anew"
            )

    def _check_beginning(self, old, same):
        """The run goes on from the weights it began with or, same, from the checkpoint's own; its plan keeps the former."""
        began = old.get("weights", self.plan.get("weights"))  # a checkpoint of before 0.1 has none
        if began != self.plan.get("weights") and not same:
            raise ConfigError(
                f"{self.path}: holds a run that began with other weights than this model has, and they would be lost. Give the model "
                "that the run began with, name another folder, or use resume='never' to begin anew"
            )
        self.plan = self.plan | {"weights": began}

    def _open_log(self, step):
        """Lines up to `step` stay; the rest belongs to steps that the checkpoint does not have."""
        path = self.path / LOG
        kept = []
        if step and path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                entry = _entry(line)
                if entry is not None and entry["step"] <= step:
                    kept.append(entry)
        self.log = kept
        write_text(path, "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in kept))
        self._file = open(path, "ab", buffering=0)


def _entry(line):
    """The object of a log line, or None for a line cut short by a crash."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("step"), int) else None


_ABOUT = {  # what a checkpoint says beside its arrays: the plan, and State but for losses
    "plan": MAPPING,
    "step": whole(0),
    "tokens": whole(0),
    "seconds": number(lambda value: value >= 0, "a number, at least 0"),
    "validated": whole(0),
    "stopped": TEXT.or_none(),
}


def _npz(opened):
    file = np.load(opened, allow_pickle=False)
    if not isinstance(file, np.lib.npyio.NpzFile):
        raise ValueError("it is a single array, not an archive")
    return file


def _member(file, name):
    """An array of the archive; np.load gives the bytes of a member that is none."""
    member = file[name] if name in file.files else None
    if not isinstance(member, np.ndarray):
        raise ValueError(f"there is no array {name!r} in it")
    return member


def _about(file):
    about = json.loads(_member(file, "about").tobytes())
    for key, kind in _ABOUT.items():
        if not isinstance(about, dict) or key not in about:
            raise ValueError(f"its 'about' has no {key!r}")
        if problem := kind.problem(key, about[key]):
            raise ValueError(problem)
    return {key: about[key] for key in _ABOUT}


def _check_like(name, array, values):
    if values.shape != array.shape or values.dtype != array.dtype:
        raise ValueError(f"{name} is {values.dtype}{list(values.shape)}, expected is {array.dtype}{list(array.shape)}")
