"""Sizes: bytes of a model's weights by number type, and what scoring and training take beside them."""

from t0native import _core
from t0native.base.errors import ConfigError

__all__ = ["DTYPES", "scoring_bytes", "training_bytes", "weights_bytes"]

DTYPES = ("float32", "bfloat16", "int8")  # what a model's weights can be held in


def weights_bytes(config, dtype):
    """Bytes of a model's weights in the core.

    >>> from t0native.checkpoints.config import Config
    >>> [round(weights_bytes(Config.t5_v1_1("xl"), dtype) / 1e9, 2) for dtype in DTYPES]
    [11.4, 5.7, 2.93]
    """
    return _core.model_bytes(config.core(), dtype)


def scoring_bytes(config, tokens):
    """About the bytes that a call of the core takes to score `tokens` tokens, inputs and choices together."""
    inner, widest = config.num_heads * config.d_kv, max(config.d_model, config.num_heads * config.d_kv, config.d_ff)
    layer = 2 * config.d_model + max(4 * inner, 2 * config.d_ff) + widest
    keys_and_values = 0 if config.encoder_only else 2 * inner * config.num_decoder_layers  # of cross-attention, for all layers
    return 4 * tokens * (layer + keys_and_values)


def training_bytes(config, lengths=(), *, optimizer="adafactor", momentum=0.0, freeze=(), dropout=0.0, recompute=False, threads=1):
    """Bytes that a training takes beside the weights, as the core lays it out: {"gradients", "states" (of the optimiser), "activations"},
    and "tokens", how many are worked on at once.

    lengths: [(tokens of the input, tokens of the target)] of the examples of a batch; activations are those of its largest run of examples
    that is worked on at once, for each set of gradients (models of fewer than 4 million weights have four). freeze: names of tensors that
    are not trained; they have gradients, but no states. ConfigError for what the core refuses.

    >>> from t0native.checkpoints.config import Config
    >>> how = {"dropout": 0.1, "lengths": [(1024, 256)]}
    >>> taken = [training_bytes(Config.t5_v1_1("xl"), recompute=recompute, **how) for recompute in (False, True)]
    >>> [round(sizes["activations"] / 1e9, 1) for sizes in taken], round(taken[0]["gradients"] / 1e9, 1)
    ([7.7, 1.1], 11.4)
    """
    sources, targets = zip(*lengths) if len(lengths) else ((), ())
    how = {"optimizer": optimizer, "momentum": momentum, "freeze": freeze, "dropout": dropout, "recompute": recompute, "threads": threads}
    try:
        return _core.training_bytes(config.core(), sources, targets, **how)
    except ValueError as error:
        raise ConfigError(str(error)) from None
