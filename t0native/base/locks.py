"""A folder that one process at a time writes into, and which stays where it is meanwhile.

    flock of the folder       held until the process ends, in whatever way
    FOLDER/.lock              where the file system has no such locks (some that several machines share): made by O_EXCL, with who made it

A file outlives a process that is killed: one of this machine whose process has ended is taken over, one of another machine is told."""

import contextlib
import errno
import fcntl
import os
import socket
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.showing import shown

__all__ = ["FolderLock", "HeldFolder"]

FILE, GUARD = ".lock", ".lock.taken"


class HeldFolder:
    """An open folder, until `release`. what: what this process does there, for messages.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     held = HeldFolder(folder, "is training")
    ...     held.check_place()
    ...     held.release()
    """

    _opened = getattr(os, "O_PATH", os.O_RDONLY)  # one that may not be listed too

    def __init__(self, folder, what):
        self._folder, self._what = Path(folder), what
        self._descriptor = os.open(folder, self._opened)

    def check_place(self):
        """FileNotFoundError where the folder is not at its path any more: it was renamed or removed since."""
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.fstat(self._descriptor), os.stat(self._folder)):
                return
        now = _path_of(self._descriptor)
        where = f"it is {now} now, with all that was written there" if now else "it was removed, or where it is now cannot be told"
        raise FileNotFoundError(
            errno.ENOENT,
            f"cannot write: the folder was renamed while this process {self._what} there: {where}; nothing is written under the old name",
            str(self._folder),
        )

    def release(self):
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class FolderLock(HeldFolder):
    """Held from the call until `release`. ConfigError where another holds the folder; what: what it does there, for the message.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     lock = FolderLock(folder, "is training")
    ...     lock.release()
    """

    _opened = os.O_RDONLY

    def __init__(self, folder, what):
        super().__init__(folder, what)
        self._file = None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise ConfigError(f"{folder}: another process {what} there; wait for it, stop it, or name another folder") from None
        except OSError:  # ENOLCK, EOPNOTSUPP ...: a file system without locks
            try:
                self._lock_by_file()
            except BaseException:
                self.release()
                raise

    def release(self):
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()
            self._file = None
        super().release()

    def _lock_by_file(self):
        path = self._folder / FILE
        if _made(path):
            self._file = path
            return
        guard = self._folder / GUARD  # of two who find the file of one who has ended, one takes it over
        if not _has_ended(_read(path)) or not _made(guard):
            self._refuse(path)
        try:
            if not _has_ended(_read(path)):  # somebody was quicker
                self._refuse(path)
            path.unlink()
            if not _made(path):
                self._refuse(path)
            self._file = path
        finally:
            guard.unlink()

    def _refuse(self, path):
        raise ConfigError(
            f"{self._folder}: another process {self._what} there, which {path} says of {shown(_read(path))}; wait for it, stop it, or "
            f"name another folder; where it has ended without removing that file, remove it and {GUARD}"
        )


def _path_of(descriptor):
    """Where an open folder lies now; None where it is removed, or the system does not tell."""
    try:
        path = os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return None
    return path if os.path.isdir(path) and os.path.samestat(os.stat(path), os.fstat(descriptor)) else None


def _made(path):
    """Whether the file was made now, by this process, whose name is in it."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return False
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(f"{socket.gethostname()} {os.getpid()} {_born(os.getpid())}")
    return True


def _read(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:300].strip()
    except FileNotFoundError:
        return ""


def _has_ended(holder):
    """Whether a process of this machine made the lock, and is no more: there is none of its number, or one that began at another time."""
    host, number, born = (holder.split(" ") + ["", ""])[:3]
    return host == socket.gethostname() and number.isdecimal() and _born(number) != born


def _born(number):
    """When a process began, in the system's ticks; "" where there is none, "?" where the system does not tell."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[19]
    except FileNotFoundError:
        return "" if Path("/proc/self/stat").exists() else "?"
    except (OSError, IndexError):
        return "?"
