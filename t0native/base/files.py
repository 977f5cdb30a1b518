"""The one module that writes files: a temporary name in the same folder, fsync, rename, fsync of the folder.

Whoever reads finds the old file or the new one, never a part: not after an exception, a full disk or kill -9.
A failed write removes its temporary files and raises OSError with the path, the cause and the room that is left."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.interrupts import answering_signals
from t0native.base.jsontext import json_text

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator
    from types import TracebackType
    from typing import IO, Any, Self

    from t0native.base.annotations import PathName

__all__ = [
    "PIECE", "FileSet", "append_line", "check_place", "make_folder", "new_folder", "remove_folder", "remove_leftovers", "replacing",
    "sync_log", "write_bytes", "write_json", "write_text",
]  # fmt: skip

PIECE = 1 << 22  # bytes written between two looks for signals
_LARGE = 1 << 24  # bytes: what takes the system a while
_NO_SYNC = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)  # of systems that sync no folder; any other error is one of the disk


class FileSet:
    """Several files of one folder, all written before the first is renamed.

    >>> import tempfile; folder = tempfile.mkdtemp()
    >>> with FileSet(folder) as files:
    ...     files.add("a.txt", b"one")
    ...     files.add("b.txt", b"two")
    >>> sorted(os.listdir(folder))
    ['a.txt', 'b.txt']

    Renamed in the order of `add`: a reader that waits for the last one sees them all. On any error the temporary files
    go, and a folder that was made for them goes too.  digests: a dict that gets {name: {"bytes", "sha256"}} of what was written."""

    def __init__(self, folder: PathName, digests: dict[str, Any] | None = None) -> None:
        self.folder, self._digests = Path(folder), digests
        self._written = []  # (temporary path, final path), not yet renamed
        self._made_folders = []

    def __enter__(self) -> Self:
        self._make(self.folder)
        return self

    def _make(self, folder):
        if not folder.exists():
            self._made_folders.append(folder)
        make_folder(folder)

    def add(self, name: str, *chunks: Any) -> None:
        """Writes chunks (bytes, memoryviews, C-contiguous arrays) as the future file `name`."""
        with self.opened(name, "wb") as file:
            for chunk in chunks:
                file.write(chunk)

    @contextlib.contextmanager
    def opened(self, name: str, mode: str = "wb") -> Iterator[Any]:
        """The future file `name`, open for writing while the block lasts; "folder/file" makes that folder. mode "w": UTF-8 text, lines
        end in \\n."""
        if "/" in name:
            self._make((self.folder / name).parent)
        temporary = _temporary(self.folder / name)
        self._written.append((temporary, self.folder / name))
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with _naming_errors(self.folder / name), open(temporary, mode, **text) as file:
            written = _Pieces(file, hashlib.sha256() if self._digests is not None else None) if "b" in mode else file
            yield written
            _sync_file(file)
        if self._digests is not None:
            self._digests[name] = written.digest()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                with _naming_errors(self.folder):
                    while self._written:
                        os.replace(*self._written[0])
                        del self._written[0]
                _sync_renamed(self.folder)
        finally:
            for temporary, _ in self._written:
                with contextlib.suppress(OSError):
                    temporary.unlink()
            for folder in reversed(self._made_folders):
                with contextlib.suppress(OSError):
                    folder.rmdir()  # succeeds only where nothing was written


class _Pieces:
    """A file being written in binary, piece by piece, so that signals are answered in between; and, where asked for, its SHA-256."""

    def __init__(self, file, sha256):
        self._file, self._bytes, self._sha256 = file, 0, sha256

    def write(self, data):
        view = memoryview(data)
        view = view.cast("B") if view.nbytes else view
        for at in range(0, view.nbytes, PIECE):
            piece = view[at : at + PIECE]
            if self._sha256 is not None:
                self._sha256.update(piece)
            self._file.write(piece)
        self._bytes += view.nbytes
        return view.nbytes

    def digest(self):
        return {"bytes": self._bytes, "sha256": self._sha256.hexdigest()}

    def __getattr__(self, name):
        return getattr(self._file, name)


def make_folder(path: PathName) -> None:
    """The folder is there afterwards, and lasts; OSError says why it cannot be."""
    path = Path(path)
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    with _naming_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        try:
            for folder in missing:
                _sync_folder(folder.parent)
        except OSError:
            for folder in missing:
                folder.rmdir()
            raise


@contextlib.contextmanager
def new_folder(path: PathName, digests: dict[str, Any] | None = None) -> Iterator[FileSet]:
    """A FileSet, whose files become the folder `path`, which is not there yet, all at once when the block ends well."""
    path = Path(path)
    temporary = _temporary(path)
    make_folder(path.parent)
    try:
        with _naming_errors(path):
            temporary.mkdir()
        with FileSet(temporary, digests) as files:
            yield files
        with _naming_errors(path):
            os.replace(temporary, path)
        _sync_renamed(path.parent)
    except BaseException as error:
        if isinstance(error, OSError) and isinstance(error.filename, str):
            error.filename = error.filename.replace(temporary.name, path.name)
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_folder(path: Path) -> None:
    """Removes a folder and what is in it; whoever reads finds all of it or nothing."""
    temporary = _temporary(path.with_name(path.name + ".old"))  # not that of a new one
    with _naming_errors(path):
        os.replace(path, temporary)
    answering_signals(shutil.rmtree, temporary, True)


def _temporary(path):
    return path.parent / f".{path.name}.{os.getpid()}.tmp"


def remove_leftovers(folder: PathName) -> None:
    """Temporary files and folders that a killed program left there; only for who knows that nobody else writes into the folder."""
    for path in Path(folder).glob(".*.tmp"):
        if path.suffixes[-2:-1] and path.suffixes[-2][1:].isdecimal():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
                continue
            with contextlib.suppress(OSError):
                path.unlink()


def check_place(path: PathName) -> None:
    """Whether a file could be written at `path`, asked before the work whose result it is to hold; OSError where not.

    >>> check_place("/dev/null/report.json")
    Traceback (most recent call last):
    NotADirectoryError: [Errno 20] cannot write: Not a directory: '/dev/null/report.json'
    """
    path = Path(path)
    folder = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    code = errno.EISDIR if path.is_dir() else 0 if folder.is_dir() else errno.ENOTDIR
    if not code and not os.access(folder, os.W_OK | os.X_OK):
        code = errno.EACCES
    if code:
        raise OSError(code, f"cannot write: {os.strerror(code)}", str(path))


@contextlib.contextmanager
def replacing(path: PathName, mode: str = "w") -> Iterator[Any]:
    """An open file that becomes `path` when the block ends well; otherwise `path` stays as it was."""
    path = Path(path)
    with FileSet(path.parent) as files, files.opened(path.name, mode) as file:
        yield file


def write_bytes(path: PathName, *chunks: Any) -> None:
    with replacing(path, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def write_text(path: PathName, text: str) -> None:
    with replacing(path) as file:
        file.write(text)


def write_json(path: PathName, value: Any, indent: int | None = 1) -> None:
    """Strict JSON (no NaN), UTF-8, one final newline."""
    write_text(path, json_text(value, indent=indent, ensure_ascii=False) + "\n")


def append_line(file: IO[bytes], text: str) -> None:
    """Adds one line to a log opened with mode "ab" and buffering=0, so that nothing of a failed write is kept for later."""
    data = memoryview((text + "\n").encode())
    with _naming_errors(Path(file.name)):
        while len(data):
            data = data[file.write(data) :]


def sync_log(file: IO[bytes]) -> None:
    """Returns when the disk has it: for a log that append_line writes."""
    with _naming_errors(Path(file.name)):
        _sync_file(file)


def _sync_file(file):
    """Returns when the system says that the file's bytes are on the disk."""
    file.flush()
    if os.fstat(file.fileno()).st_size < _LARGE:
        os.fsync(file.fileno())
    else:
        answering_signals(_sync_and_close, os.dup(file.fileno()))


def _sync_and_close(descriptor):
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_renamed(folder):
    """As _sync_folder; its error says that the files are there under their names."""
    try:
        _sync_folder(folder)
    except OSError as error:
        failure = OSError(
            error.errno, f"written, but may not outlast a power cut: syncing the folder failed ({os.strerror(error.errno)})", str(folder)
        )
        failure.explained = True
        raise failure from error


def _sync_folder(folder):
    """Makes names last through a power cut, where the system can sync a folder and this one may be read. OSError where the disk fails."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:
        return  # a folder that may be written but not listed
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _naming_errors(path):
    """Adds to a system error of writing `path`: its name, the room left, and that the old file is untouched."""
    try:
        yield
    except OSError as error:
        about = Path(error.filename) if isinstance(error.filename, str) else path
        if getattr(error, "explained", False) or not (about.parent == path.parent or path.is_relative_to(about) or about.parent == path):
            raise  # explained already, or about another file
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"no space left on the disk ({_free_space(path)} free); free some or choose another folder"
        else:
            why = os.strerror(error.errno) if error.errno else str(error)
        failure = OSError(error.errno, f"cannot write: {why}; what was there before is unchanged", str(path))
        failure.explained = True
        raise failure from error


def _free_space(path):
    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB"
    except OSError:
        return "unknown room"
