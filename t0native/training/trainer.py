"""The core's trainer as the training loop sees it: gradients, then apply, and everything that a checkpoint must hold."""

from fnmatch import fnmatchcase

from t0native import _core
from t0native.base.errors import ConfigError, suggest
from t0native.base.memory import check_room
from t0native.base.showing import shown
from t0native.checkpoints.sizes import training_bytes

__all__ = ["Trainer", "match_names", "needed_bytes"]


def match_names(patterns, names):
    """Those of the names that a pattern of `freeze` fits ("*": any text); ConfigError for one that fits none.

    >>> match_names(["shared.*", "*.bias"], ["shared.weight", "a.bias", "b.bias", "c.weight"])
    ['shared.weight', 'a.bias', 'b.bias']
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ConfigError(f"freeze: no tensor of this model fits {shown(pattern)}; {suggest(pattern, names)}")
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]


def needed_bytes(config, *, optimizer, options, freeze):
    """Bytes of gradients and optimiser state for a model of this configuration, under these keywords of `train`."""
    momentum, frozen = (options or {}).get("momentum", 0.0), match_names(freeze or (), config.tensors())
    sizes = training_bytes(config, optimizer=optimizer, momentum=momentum, freeze=frozen)
    return sizes["gradients"] + sizes["states"]


class Trainer:
    """Trains a model's weights in place. Steps are numbered from 1; one thread may use it at a time.

    options: of the optimiser (settings.OPTIMIZER_OPTIONS); dropout: None for the rate of the model's configuration; freeze: patterns of
    names of tensors that keep their bits; elsewhere: names of those that another process applies; switches: broadcast_dropout,
    recompute, precision. ConfigError for a value that the core refuses and for a pattern that fits no tensor, MemoryError where gradients
    and optimiser state do not fit."""

    def __init__(self, model, *, optimizer, clip_norm, dropout, seed, threads, options, freeze=None, elsewhere=(), **switches):
        rate = model.config.dropout_rate if dropout is None else dropout
        threads = model.threads if threads is None else threads
        model.make_trainable()
        self._model = model.core
        shapes = dict(model.core.tensors())
        needed, least = (needed_bytes(model.config, optimizer=kind, options=options, freeze=freeze) for kind in (optimizer, "adafactor"))
        smaller = "use optimizer='adafactor', which needs less" if needed > least else "train a smaller model"
        check_room(needed, "gradients and optimiser state take {}", f"close other programs, or {smaller}")
        fixed = {"optimizer": optimizer, "clip": clip_norm, "dropout": rate, "seed": seed, "threads": threads, **switches}
        try:
            self._core = _core.Trainer(model.core, **fixed, freeze=match_names(freeze or (), shapes), elsewhere=elsewhere, **options)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def gradients(self, sources, targets, step):
        """Mean loss of the batch (two Ragged). Changes no weight; Ctrl-C may stop it."""
        return self._core.gradients(sources.ids, sources.offsets, targets.ids, targets.offsets, step)[0]

    def apply(self, learning_rate, step):
        """Norm of the gradients before clipping. The weights change as a whole or, after NumericError, not at all; after what a signal's
        handler raises they are those of no step."""
        return self._core.apply(learning_rate, step, abandon=True)

    def weights(self):
        """{name: read-only float32 array} of the model, in the order of its tensor table."""
        return {name: self._model.tensor(name) for name, _ in self._model.tensors()}

    def writable_weights(self):
        """The same arrays, to be written at once."""
        return {name: self._model._writable(name) for name, _ in self._model.tensors()}

    def numbers(self):
        """{name: float32 array} that a checkpoint keeps beside the weights: none."""
        return {}

    def load_numbers(self, numbers):
        """Takes what numbers() gave."""

    def state(self):
        """The optimiser's state, float32 [n]: a view, which the next step changes."""
        return self._core.state()

    def load_state(self, state):
        self._core.load_state(state)

    def state_size(self):
        """Numbers of the state."""
        return len(self._core.state())

    def state_parts(self):
        """The state in parts, one behind another, as a checkpoint has it."""
        yield self._core.state()

    def send_parts(self):
        """What the others do while one of several ranks takes state_parts."""

    def spread(self):
        """After one was read: nobody else is to be told."""
