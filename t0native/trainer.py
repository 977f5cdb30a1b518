"""The core's trainer as the training loop sees it: gradients, then apply, and everything that a checkpoint must hold."""

from t0native import _core
from t0native.errors import ConfigError
from t0native.memory import check_room, training_bytes

__all__ = ["Trainer"]


class Trainer:
    """Trains a model's weights in place. Steps are numbered from 1; one thread may use it at a time.

    options: of the optimiser (plans.OPTIONS); dropout: None for the rate of the model's configuration. ConfigError for a
    value that the core refuses, MemoryError where gradients and optimiser state do not fit."""

    def __init__(self, model, *, optimizer, clip_norm, dropout, seed, threads, options):
        rate = model.config.dropout_rate if dropout is None else dropout
        threads = model.threads if threads is None else threads
        fixed = {"optimizer": optimizer, "clip_norm": clip_norm, "dropout": rate, "seed": seed, "threads": threads}
        model.make_trainable()
        self._model = model.core
        needed = training_bytes([shape for _, shape in model.core.tensors()], optimizer)
        smaller = "train a smaller model" if optimizer == "adafactor" else "use optimizer='adafactor', which needs less"
        check_room(needed, "gradients and optimiser state take {}", f"close other programs, or {smaller}")
        try:
            self._core = _core.Trainer(model.core, **fixed, **options)
        except ValueError as error:
            raise ConfigError(str(error)) from None

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
