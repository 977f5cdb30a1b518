"""A run's folder: everything that is needed to go on bit for bit after any interruption.

    checkpoint.npz   plan, step, losses, weights and optimiser states after `step` steps: one file, replaced as a whole
    log.jsonl        a line a logged step {step, loss, grad_norm, tokens, seconds, lr}, a line a validation; cut back to the
                     checkpoint's step when a run goes on, so that no step stands in it twice
    config.json, model.safetensors, spiece.model ...   the model in the hub's layout, written when the run ends or stops

The npz is read without pickle; each of its members carries a CRC-32."""

import json
from pathlib import Path

import numpy as np

from t0native.errors import ConfigError, FormatError
from t0native.files import append_line, replacing, sync_file, write_text

__all__ = ["RunFolder", "State"]

CHECKPOINT, LOG = "checkpoint.npz", "log.jsonl"


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
        self._file = None

    def open(self, resume, trainer):
        """Restores trainer and model in place where there is something to go on from. Returns the State.

        resume: "auto" (go on if there is a checkpoint), "must", or "never". A checkpoint of another plan is refused."""
        if resume not in ("auto", "must", "never"):
            raise ConfigError(f"resume {resume!r}: must be 'auto', 'must' or 'never'")
        if self.path is None:
            return State()
        checkpoint = self.path / CHECKPOINT
        if not checkpoint.exists():
            if resume == "must":
                raise ConfigError(f"{self.path}: there is no {CHECKPOINT} to go on from")
            if self.path.exists() and not self.path.is_dir():
                raise ConfigError(f"{self.path}: a file; out must name a folder")
            state = State()
        else:
            state = State() if resume == "never" else self._restore(checkpoint, trainer)
        self._open_log(state.step)
        return state

    def close(self):
        if self._file is not None:
            self._file.close()
            self._file = None

    def note(self, **entry):
        """Adds a line to the log."""
        self.log.append(entry)
        if self._file is not None:
            append_line(self._file, json.dumps(entry, ensure_ascii=False))

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
            sync_file(self._file)
        with replacing(self.path / CHECKPOINT, "wb") as file:
            np.savez(file, **arrays)

    # ---- inside -----------------------------------------------------------------------------------------------------

    def _restore(self, checkpoint, trainer):
        import zipfile

        try:
            with open(checkpoint, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                self._compare(about["plan"])
                optimizer = file["optimizer"]
                _check_like(checkpoint, "the optimiser's state", trainer.state(), optimizer)
                for name, array in trainer.weights().items():
                    values = file[f"model/{name}"]
                    _check_like(checkpoint, name, array, values)
                    array[...] = values
                trainer.load_state(optimizer)
                losses = file["losses"].tolist()
        except (KeyError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
            if isinstance(error, (ConfigError, FormatError)):
                raise
            raise FormatError(f"{checkpoint}: broken ({error}); remove it or use resume='never' to begin anew") from None
        return State(about["step"], losses, about["tokens"], about["seconds"], about["validated"], about["stopped"])

    def _compare(self, old):
        changed = [f"{key} was {old.get(key)!r}, is {self.plan.get(key)!r}" for key in {**old, **self.plan} if old.get(key) != self.plan.get(key)]
        if changed:
            raise ConfigError(
                f"{self.path}: holds a run with another plan: {'; '.join(changed)}. Go on with the old plan, name another folder, "
                "or use resume='never' to begin anew"
            )

    def _open_log(self, step):
        """Lines up to `step` stay; the rest belongs to steps that the checkpoint does not have."""
        path = self.path / LOG
        kept = []
        if step and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
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
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and isinstance(entry.get("step"), int) else None


def _check_like(checkpoint, name, array, values):
    if values.shape != array.shape or values.dtype != array.dtype:
        raise FormatError(f"{checkpoint}: {name} is {values.dtype}{list(values.shape)}, this model has {array.dtype}{list(array.shape)}")
