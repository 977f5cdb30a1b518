"""The core's trainer as the training loop sees it: gradients, then apply, and everything that a checkpoint must hold."""

from t0native import _core
from t0native.errors import ConfigError, suggest

__all__ = ["Trainer"]

OPTIONS = ("beta1", "beta2", "epsilon", "weight_decay", "scale_parameter", "step_offset", "label_smoothing", "z_loss")


class Trainer:
    """Trains a model's weights in place. Steps are numbered from 1; one thread may use it at a time.

    options: of the optimiser (OPTIONS); dropout: None for the rate of the model's configuration."""

    def __init__(self, model, *, optimizer, clip_norm, dropout, seed, threads, options):
        for name in options:
            if name not in OPTIONS:
                raise ConfigError(f"optimizer_options: unknown name {name!r}; {suggest(name, OPTIONS)}")
        rate = model.config.dropout_rate if dropout is None else dropout
        threads = model.threads if threads is None else threads
        fixed = {"optimizer": optimizer, "clip_norm": clip_norm, "dropout": rate, "seed": seed, "threads": threads}
        self._model = model.core
        self._core = _core.Trainer(model.core, **fixed, **options)

    def gradients(self, sources, targets, step):
        """Mean loss of the batch (two Ragged). Changes no weight; Ctrl-C may stop it."""
        return self._core.gradients(sources.ids, sources.offsets, targets.ids, targets.offsets, step)[0]

    def apply(self, learning_rate, step):
        """Norm of the gradients before clipping. The weights change as a whole or, after NumericError, not at all."""
        return self._core.apply(learning_rate, step)

    def weights(self):
        """{name: writable float32 array} of the model, in the order of its tensor table."""
        return {name: self._model._writable(name) for name, _ in self._model.tensors()}

    def state(self):
        """The optimiser's state, float32 [n]."""
        return self._core.state()

    def load_state(self, state):
        self._core.load_state(state)
