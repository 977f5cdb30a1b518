"""Memory: what the system can still give, and what a model and a training take. Asked before memory is taken, so that a model that is
too large is an error with numbers in it, not a machine that swaps or a process that is killed."""

import math
from pathlib import Path

from t0native import _core

__all__ = ["DTYPES", "available_memory", "check_room", "scoring_bytes", "training_bytes", "weights_bytes"]

DTYPES = ("float32", "bfloat16", "int8")  # what a model's weights can be held in
MIN_FACTORED = 128  # Adafactor keeps rows and columns of matrices from this size on


def available_memory():
    """Bytes that the system can still give to this process, or None where it does not say."""
    try:
        with open("/proc/meminfo") as file:
            facts = dict(line.split(":", 1) for line in file)
        free = sum(int(facts[key].split()[0]) * 1024 for key in ("MemAvailable", "SwapFree"))
        limit = Path("/sys/fs/cgroup/memory.max")
        if limit.is_file() and (text := limit.read_text().strip()) != "max":
            used = dict(line.split() for line in Path("/sys/fs/cgroup/memory.stat").read_text().splitlines())["anon"]
            free = min(free, int(text) - int(used))  # cached files do not count: they give way
        return free
    except (OSError, KeyError, ValueError):
        return None


def check_room(needed, what, remedy):
    """MemoryError where `needed` bytes are more than there are. what: a sentence with {} for the gigabytes."""
    free = available_memory()
    if free is not None and needed > free:
        raise MemoryError(f"{what.format(f'{needed / 1e9:,.1f} GB')}, but {free / 1e9:,.1f} GB of memory are available: {remedy}")


def weights_bytes(config, dtype):
    """Bytes of a model's weights in the core.

    >>> from t0native.config import Config
    >>> [round(weights_bytes(Config.t5_v1_1("xl"), dtype) / 1e9, 2) for dtype in DTYPES]
    [11.4, 5.7, 2.93]
    """
    return _core.model_bytes(config.core(), dtype)


def scoring_bytes(config, tokens):
    """About the bytes that a call of the core takes to score `tokens` tokens, inputs and choices together."""
    inner, widest = config.num_heads * config.d_kv, max(config.d_model, config.num_heads * config.d_kv, config.d_ff)
    layer = 2 * config.d_model + max(4 * inner, 2 * config.d_ff) + widest
    keys_and_values = 2 * inner * config.num_decoder_layers  # of cross-attention, for all layers
    return 4 * tokens * (layer + keys_and_values)


def training_bytes(shapes, optimizer, *, momentum=0.0, frozen=()):
    """Bytes of gradients and optimiser state beside weights of these shapes, activations aside.

    AdamW: two floats a weight. SGD: one with momentum, none without. Adafactor: rows + columns of matrices with both at least
    128, else a float a weight. frozen: those of the shapes that are not trained; they have gradients, but no state.

    >>> training_bytes([(256, 1000), (256,)], "adafactor") // 4 == 256 * 1000 + 256 + (256 + 1000) + 256
    True
    """

    def state(shape):
        if optimizer == "adafactor":
            return sum(shape) if len(shape) == 2 and min(shape) >= MIN_FACTORED else math.prod(shape)
        return math.prod(shape) * (2 if optimizer == "adamw" else momentum > 0)

    return 4 * (sum(map(math.prod, shapes)) + sum(map(state, shapes)) - sum(map(state, frozen)))
