"""SHA-256 of a model's weights, taken once and remembered until they change: some 0.6 s a GB, which every evaluation would pay.

    of cells (the journal of an evaluation)   bytes of each tensor in the table's order; of a packed model, of its block
    of runs (the plan of a training)          name, NUL and bytes of each tensor

Of a model that uses an adapter, the digest of cells is of both.

`changes` of the core counts what is written into it, a training's steps too."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from t0native.adapters.adapter import name_of
from t0native.base.digests import digest_of_value

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator, Mapping
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from t0native import _core
    from t0native.adapters.adapter import Adapter
    from t0native.models.model import Model

__all__ = ["digest_for_cells", "digest_for_runs", "digest_of_adapter", "digest_of_weights"]

CHUNK = 1 << 24  # bytes hashed between two looks for Ctrl-C
_known: WeakKeyDictionary[Model, tuple[_core.Model, int, dict[str, str]]] = WeakKeyDictionary()  # core, its changes then, digests


def digest_for_cells(model: Model) -> str:
    """64 hexadecimal digits.

    >>> one, same, other = (t0.mini.new_model(seed) for seed in (0, 0, 1))
    >>> digest_for_cells(one) == digest_for_cells(same), digest_for_cells(one) == digest_for_cells(other)
    (True, False)
    """
    weights = digest_of_weights(model)
    adapter = model.adapters.get(model.adapter) if getattr(model, "adapter", None) is not None else None
    return weights if adapter is None else digest_of_value([weights, *digest_of_adapter(adapter)])


def digest_of_weights(model: Model) -> str:
    """64 hexadecimal digits of the model's own weights, whatever adapter it uses."""
    return _remembered(model, "cells", _blocks(model.core))


def digest_of_adapter(adapter: Adapter) -> list[str]:
    """What an adapter computes: the digest of its numbers, and the places and factors of each tensor."""
    numbers = hashlib.sha256(memoryview(adapter.core.block()).cast("B")).hexdigest()
    return [numbers, *(f"{name_of(part)} {part.role} {part.values.shape} {part.scale:.9g}" for part in adapter.parts)]


def digest_for_runs(model: Model, weights: Mapping[str, NDArray[np.float32]]) -> str:
    """64 hexadecimal digits. weights: the model's, by name."""
    return _remembered(model, "runs", (part for name, array in weights.items() for part in (name.encode() + b"\0", array)))


def _remembered(model, use, parts):
    """parts: bytes and arrays, read only where the digest is not known."""
    core = getattr(model, "core", None)
    changes = getattr(core, "changes", None)  # before anything is read: what is written meanwhile makes this digest old
    known = _known.get(model)
    digests = known[2] if known is not None and known[0] is core and known[1] == changes else {}
    if use not in digests:
        digest = hashlib.sha256()
        for part in parts:
            block = memoryview(part).cast("B")
            for at in range(0, len(block), CHUNK):
                digest.update(block[at : at + CHUNK])
        digests[use] = digest.hexdigest()
        if changes is not None:
            _known[model] = core, changes, digests
    return digests[use]


def _blocks(core: _core.Model) -> Iterator[NDArray[Any]]:
    return iter([core.panels()]) if core.packed else (core.tensor(name) for name, _ in core.tensors())
