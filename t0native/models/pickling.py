"""Weights through pickle: to processes that are spawned, joblib, Spark.

    a model that came from files        their place: they are read there again, if they have the size and the time that they had
    any other, and where they changed   the weights: packed as the core holds them, or tensor by tensor where they can be trained

So a pool of processes does not send gigabytes to and fro, and a trained model is the one that was trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from t0native import _core
from t0native.base.errors import FormatError
from t0native.base.kernels import available, default
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.packedfile import PackedFile
from t0native.models.cores import new_core

__all__ = ["FileWeights", "HeldWeights", "Pickled"]

ALIGNMENT = 64  # csrc/nn/packed.h
REMEDY = "load the model where it is used, or pickle model.to(model.dtype), which carries its weights"


@dataclass(frozen=True)
class FileWeights:
    """Weights by the place of their files.

    place: absolute, as open_checkpoint takes it.  files: (path, bytes, time of the last change in ns) of each.
    """

    place: Path
    files: tuple[tuple[Path, int, int], ...]
    dtype: str
    kernels: str

    @classmethod
    def of(cls, place, checkpoint, dtype, kernels):
        """Of a checkpoint that is about to be loaded; None where some are folders of chunks (zarr), which no size and time tells."""
        paths = [checkpoint.path] if isinstance(checkpoint, PackedFile) else {entry.path for entry in checkpoint.entries.values()}
        facts = [_facts(Path(path).resolve()) for path in paths]
        return None if None in facts else cls(place.resolve(), tuple(sorted(facts)), dtype, kernels)

    def changed(self):
        """The first file that is not what it was, or None."""
        return next((path for path, *about in self.files if _facts(path) != (path, *about)), None)

    def open(self, config, new_core, threads, unchanged=True):
        """The core again. FileNotFoundError where the files are not, FormatError where they changed, with what helps.

        new_core(config, kernels, dtype): an empty core.  unchanged: False where the caller judges the weights by what they hold."""
        if (path := self.changed()) is not None and (unchanged or not path.exists()):
            if not path.exists():
                raise FileNotFoundError(f"{path}: not here, but a model was pickled by this place of its weights; {REMEDY}")
            raise FormatError(f"{path}: changed since a model was pickled by this place of its weights; {REMEDY}")
        checkpoint = open_checkpoint(self.place, config, self.dtype == "int8")
        checkpoint.check()
        if isinstance(checkpoint, PackedFile):
            return checkpoint.open(_kernels_here(self.kernels))
        core = new_core(config, _kernels_here(self.kernels), self.dtype)
        checkpoint.load(core, allow_nonfinite=True, threads=threads)  # they were judged when they were loaded first
        return core


@dataclass(frozen=True)
class HeldWeights:
    """Weights as they are.

    arrays: {"": the packed block, uint8}, or {tensor name: float32 array} of weights that can be trained.
    """

    arrays: dict[str, np.ndarray]
    dtype: str
    kernels: str

    @classmethod
    def of(cls, core):
        arrays = {"": core.panels()} if core.packed else {name: core.tensor(name) for name, _ in core.tensors()}
        return cls(arrays, core.dtype, core.kernels)

    def open(self, config, new_core, threads):
        """The core again, as FileWeights.open; the block or the tensors are copied, so that nobody else holds them."""
        kernels = _kernels_here(self.kernels)
        if "" in self.arrays:
            return _core.Model(config.core(), kernels, self.dtype, _aligned(self.arrays[""]))
        core = new_core(config, kernels, f"{self.dtype}-flat")
        for name, array in self.arrays.items():
            core.put(name, 0, array)
        return core


def weights_to_pickle(core, origin):
    """FileWeights or HeldWeights of a core. origin: (core, FileWeights or None) of the model when it was made: what is trained is another
    core."""
    loaded, files = origin
    return files if loaded is core and files is not None and files.changed() is None else HeldWeights.of(core)


class Pickled:
    """How a Model is pickled and copied."""

    def __getstate__(self):
        """For pickle: its files' place where they have the size and time they had, else its weights."""
        return {**self.__dict__, "core": weights_to_pickle(self.core, self._origin), "_origin": None}

    def __setstate__(self, state):
        """FileNotFoundError or FormatError where the files are not there, or not the same, when a pickled model is read."""
        weights = state["core"]
        self.__dict__.update(state)
        self.core = weights.open(self.config, new_core, self.threads)
        self._origin = self.core, weights if isinstance(weights, FileWeights) else None

    def __copy__(self):
        """A model of its own facts with the same weights, not copied."""
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.adapters = dict(self.adapters)
        return other

    def __deepcopy__(self, memo):
        """The model itself: whoever copies what holds one, as scikit-learn's clone does, means no second one of gigabytes.
        `Model.to(dtype)` copies it."""
        return self


def _facts(path):
    """(path, bytes, time) of a file; None where there is none."""
    if not path.is_file():
        return None
    about = path.stat()
    return path, about.st_size, about.st_mtime_ns


def _kernels_here(name):
    return name if name in available() else default()


def _aligned(block):
    room = np.empty(len(block) + ALIGNMENT, np.uint8)
    begin = -room.ctypes.data % ALIGNMENT
    room[begin : begin + len(block)] = block
    return room[begin : begin + len(block)]
