"""The kernel sets: how the innermost loops are written for one instruction set or another. All give the same model;
"portable" runs anywhere and is the oracle of the others.

T0NATIVE_KERNELS names the set of a process, Model.from_pretrained(..., kernels=...) that of one model."""

import os

from t0native import _core

__all__ = ["all", "available", "default"]


def all() -> list[str]:
    """Names of every set in this build, the portable one first.

    >>> t0.kernels.all()[0]
    'portable'
    """
    return [name for name, _ in _core.kernels()]


def available() -> list[str]:
    """Names of the sets that this processor can run.

    >>> set(t0.kernels.available()) <= set(t0.kernels.all())
    True
    """
    return [name for name, here in _core.kernels() if here]


def default() -> str | None:
    """The set used where none is asked for: T0NATIVE_KERNELS, else None, by which the core means its best.

    >>> t0.kernels.default() in [None, *t0.kernels.all()]
    True
    """
    return os.environ.get("T0NATIVE_KERNELS") or None
