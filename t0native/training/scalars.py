"""A run's log as TensorBoard reads it, RUN/tensorboard: the same numbers under the same steps, each once.

Event files only grow, so a run that goes on writes its log, which ends at the checkpoint, into a new one in the place of the old."""

import shutil

from t0native.base.errors import ConfigError

__all__ = ["FOLDER", "Scalars", "check_tensorboard"]

FOLDER = "tensorboard"
NAMES = {
    "loss": "train/loss",
    "grad_norm": "train/gradient norm",
    "lr": "train/learning rate",
    "tokens": "train/tokens",
    "mean": "validation/mean",
}


def check_tensorboard(out):
    """Whether scalars could be written, asked before the work; ImportError or ConfigError where not."""
    if out is None:
        raise ConfigError("tensorboard: needs a folder to write to; name it with out=")
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise ImportError("tensorboard=True needs tensorboardX: pip install tensorboardX") from None


class Scalars:
    """add(entry) for each entry of a run's log, those that are there first; close() at the end."""

    def __init__(self, path, log):
        from tensorboardX import SummaryWriter

        shutil.rmtree(path / FOLDER, ignore_errors=True)
        self._writer = SummaryWriter(str(path / FOLDER))
        for entry in log:
            self.add(entry)

    def add(self, entry):
        """entry: a line of the log."""
        for name, tag in NAMES.items():
            if name in entry:
                self._writer.add_scalar(tag, entry[name], entry["step"])
        for task, value in entry.get("validation", {}).items():
            if value is not None:
                self._writer.add_scalar(f"validation/{task}", value, entry["step"])

    def close(self):
        self._writer.close()
