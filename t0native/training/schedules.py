"""Learning rates over a run: rate(step) = learning_rate x warm-up(step) x factor(step), steps from 0.

warm-up   min(1, (step + 1) / warmup)
constant  1                                                     (T0's: 1e-3 throughout, for Adafactor)
linear    1 - (step - warmup) / (steps - warmup)                from the end of the warm-up to 0
cosine    (1 + cos(pi (step - warmup) / (steps - warmup))) / 2
rsqrt     sqrt(max(warmup, 1) / max(step + 1, warmup, 1))       inverse square root, 1 at the end of the warm-up"""

import math

from t0native.base.arguments import Kind, one_of

__all__ = ["SCHEDULE", "SCHEDULES", "rate_at"]


def _fraction(step, steps, warmup):
    return min(1.0, max(0, step - warmup) / max(1, steps - warmup))


SCHEDULES = {
    "constant": lambda step, steps, warmup: 1.0,
    "linear": lambda step, steps, warmup: 1.0 - _fraction(step, steps, warmup),
    "cosine": lambda step, steps, warmup: 0.5 * (1.0 + math.cos(math.pi * _fraction(step, steps, warmup))),
    "rsqrt": lambda step, steps, warmup: math.sqrt(max(warmup, 1) / max(step + 1, warmup, 1)),
}


_named = one_of(*SCHEDULES)
SCHEDULE = Kind(lambda value: callable(value) or _named.fits(value), f"{_named.wanted}, or a callable (step, steps) -> factor")


def rate_at(step, steps, learning_rate, schedule, warmup):
    """
    >>> [rate_at(step, 4, 1.0, "linear", 2) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warm = min(1.0, (step + 1) / warmup) if warmup else 1.0
    factor = schedule(step, steps) if callable(schedule) else SCHEDULES[schedule](step, steps, warmup)
    return learning_rate * warm * float(factor)
