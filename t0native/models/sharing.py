"""A model for several processes of a host, which hold its weights once.

    TMP/t0native-UID/DIGEST.block    the packed block (csrc/nn/packed.h) as the core holds it, read by nobody but through memory

The first process that opens the model loads it, checks that its block has the SHA-256 that is told, writes the file and maps it; the
others wait and map the same pages. Who uses the file has a shared lock on it; who leaves it last removes it, and what a kill has left goes
when the folder is used next. A packed file of `t0native convert` is mapped as it lies."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import hashlib
import mmap
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from t0native import _core
from t0native.base.errors import ConfigError, FormatError
from t0native.base.files import write_bytes
from t0native.base.kernels import available
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.packedfile import PackedFile
from t0native.models.digests import digest_for_cells
from t0native.models.pickling import FileWeights, HeldWeights

__all__ = ["SharedModel", "SharedWeights", "leave_shared", "remove_unused"]

_held = {}  # path -> open file with a shared lock, of this process


class SharedModel:
    """What pickles in the place of a model that is read on this host, or on one that has its files: a Model comes out.

    Unpickled: ConfigError where the processor has not the kernels by which the model computes, for others give other last bits;
    FormatError where its files are others; FileNotFoundError where they are not there."""

    def __init__(self, model):
        self._model = model

    def __reduce__(self):
        state = self._model.__getstate__()
        if self._model.core.packed:
            state["core"] = SharedWeights(state["core"], digest_for_cells(self._model), self._model.dtype, str(self._model.core.kernels))
        return _open_model, (type(self._model), state)


def _open_model(kind, state):
    model = kind.__new__(kind)
    model.__setstate__(state)
    return model


@dataclass(frozen=True)
class SharedWeights:
    """weights: FileWeights or HeldWeights.  digest: SHA-256 of the packed block.  dtype, kernels: as the core has them."""

    weights: FileWeights | HeldWeights
    digest: str
    dtype: str
    kernels: str

    def open(self, config, new_core, threads):
        """The core, whose weights are the pages of a file."""
        if self.kernels not in available():
            raise ConfigError(
                f"this processor has no kernels {self.kernels} (it has {', '.join(available())}), and others give other last bits: load "
                "the model by kernels that all hosts have, as T0NATIVE_KERNELS names them"
            )
        if isinstance(self.weights, FileWeights) and self.weights.place.is_file() and self.weights.changed() is None:
            checkpoint = open_checkpoint(self.weights.place, config, self.dtype == "int8")
            if isinstance(checkpoint, PackedFile):
                return checkpoint.open(self.kernels)
        path = _folder() / f"{self.digest}.block"
        file = _opened(path) or self._write(path, config, new_core, threads)
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return _core.Model(config.core(), self.kernels, self.dtype, memoryview(pages))

    def _write(self, path, config, new_core, threads):
        """The open file, made by this process, or by another meanwhile. FormatError where the weights are not those that are told."""
        with _turn(path) as making:
            if (file := _opened(path)) is not None:
                return file
            remove_unused()
            _remove_torn(path)
            judged = {"unchanged": False} if isinstance(self.weights, FileWeights) else {}  # by what they hold, not by their time
            core = self.weights.open(config, new_core, threads, **judged)
            block = memoryview(core.panels())
            if hashlib.sha256(block).hexdigest() != self.digest:
                raise FormatError("the model's files here hold other weights than those that are to be used: the SHA-256 differs")
            while (file := _opened(path)) is None:  # who removes what nobody holds may be faster
                write_bytes(path, block)
            with contextlib.suppress(FileNotFoundError):
                making.unlink()
            return file


@contextlib.contextmanager
def _turn(path, wait=True):
    """Inside, no other process makes this block: the path of a file with a lock. BlockingIOError where one does, and wait is false."""
    making = path.with_suffix(".making")
    while True:
        with open(making, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_at(file, making):
                yield making
                return


def _is_at(file, path):
    """Whether an open file is still the one of that name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _folder():
    """The folder of this user's blocks. PermissionError where somebody else could write into it."""
    folder = Path(tempfile.gettempdir(), f"t0native-{os.getuid()}")
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o022:
        raise PermissionError(f"{folder}: must be a folder that its owner alone writes into")
    return folder


def _opened(path):
    """The file with a shared lock until this process ends, or None where it is not there."""
    if path in _held:
        return _held[path]
    while True:
        try:
            file = open(path, "rb")  # noqa: SIM115 - held
        except FileNotFoundError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        if _is_at(file, path):
            _held[path] = file
            return file
        file.close()  # it was removed before the lock was there


def remove_unused():
    """Removes the blocks of this user that no process holds, and what is left of those whose making was ended."""
    for path in _folder().glob("*.block"):
        _remove_unheld(path)
    for making in _folder().glob("*.making"):
        path = making.with_suffix(".block")
        with contextlib.suppress(OSError), _turn(path, wait=False):
            _remove_torn(path)
            making.unlink()


def _remove_torn(path):
    """Of a block: the files under temporary names; for who makes it."""
    for torn in path.parent.glob(f".{path.name}.*.tmp"):
        torn.unlink(missing_ok=True)


def leave_shared():
    """This process opens no shared block any more; files that no other holds go. Models that were opened keep their pages."""
    for path, file in list(_held.items()):
        del _held[path]
        file.close()
        _remove_unheld(path)


def _remove_unheld(path):
    with contextlib.suppress(OSError), open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(file.fileno()), path.stat()):
            path.unlink()


atexit.register(leave_shared)
