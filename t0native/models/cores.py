"""The core's models, which hold the weights: made where there is memory for them, and copied."""

from __future__ import annotations

from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.base.arguments import Kind, check, one_of
from t0native.base.memory import check_room
from t0native.checkpoints.config import Config

__all__ = ["FLAT", "check_kernels", "copy_weights", "new_core"]

FLAT = "float32-flat"  # the core's name for weights that can be trained
_KERNELS = Kind(one_of(*kernel_sets.available()).fits, f"a set that this processor runs: {', '.join(kernel_sets.available())}").or_none()


def new_core(config: Config, kernels: str | None, dtype: str) -> _core.Model:
    """A core model with room for the weights; refused where the machine has no such memory, before it is asked for."""
    needed = _core.model_bytes(config.core(), dtype)
    check_room(
        needed, f"the weights take {{}} in {dtype.removesuffix('-flat')}", "close other programs, or take a smaller model or number type"
    )
    return _core.Model(config.core(), check_kernels(kernels), dtype)


def check_kernels(kernels: str | None) -> str | None:
    """The kernel set of this name, or for None the process's."""
    return check(_KERNELS, "kernels" if kernels is not None else "T0NATIVE_KERNELS", kernels or kernel_sets.default())


def copy_weights(to: _core.Model, core: _core.Model) -> None:
    """Tensor by tensor: at most one is held beside the two models."""
    for name, _ in core.tensors():
        to.put(name, 0, core.tensor(name))
