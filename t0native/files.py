"""The one module that writes files: a temporary name in the same folder, fsync, rename, fsync of the folder.

Whoever reads finds the old file or the new one, never a part: not after an exception, a full disk or kill -9.
A failed write removes its temporary files and raises OSError with the path, the cause and the room that is left."""

import contextlib
import errno
import json
import os
from pathlib import Path

__all__ = ["FileSet", "append_line", "check_place", "make_folder", "remove_leftovers", "replacing", "sync_log", "write_bytes", "write_json", "write_text"]


class FileSet:
    """Several files of one folder, all written before the first is renamed.

    >>> import tempfile; folder = tempfile.mkdtemp()
    >>> with FileSet(folder) as files:
    ...     files.add("a.txt", b"one")
    ...     files.add("b.txt", b"two")
    >>> sorted(os.listdir(folder))
    ['a.txt', 'b.txt']

    Renamed in the order of `add`: a reader that waits for the last one sees them all. On any error the temporary files
    go, and a folder that was made for them goes too."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self._written = []  # (temporary path, final path), not yet renamed
        self._made_folder = False

    def __enter__(self):
        with _told(self.folder):
            self._made_folder = not self.folder.exists()
            self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, name, *chunks):
        """Writes chunks (bytes, memoryviews, C-contiguous arrays) as the future file `name`."""
        with self.opened(name, "wb") as file:
            for chunk in chunks:
                file.write(chunk)

    @contextlib.contextmanager
    def opened(self, name, mode="wb"):
        """The future file `name`, open for writing while the block lasts. mode "w": UTF-8 text, lines end in \\n."""
        temporary = self.folder / f".{name}.{os.getpid()}.tmp"
        self._written.append((temporary, self.folder / name))
        text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
        with _told(self.folder / name), open(temporary, mode, **text) as file:
            yield file
            _sync_file(file)

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                with _told(self.folder):
                    while self._written:
                        os.replace(*self._written[0])
                        del self._written[0]
                _sync_folder(self.folder)
        finally:
            for temporary, _ in self._written:
                with contextlib.suppress(OSError):
                    temporary.unlink()
            if self._made_folder:
                with contextlib.suppress(OSError):
                    self.folder.rmdir()  # succeeds only where nothing was written


def make_folder(path):
    """The folder is there afterwards; OSError says why it cannot be."""
    with _told(Path(path)):
        Path(path).mkdir(parents=True, exist_ok=True)


def remove_leftovers(folder):
    """Temporary files that a killed program left there; only for who knows that nobody else writes into the folder."""
    for path in Path(folder).glob(".*.tmp"):
        if path.suffixes[-2:-1] and path.suffixes[-2][1:].isdecimal():
            with contextlib.suppress(OSError):
                path.unlink()


def check_place(path):
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
def replacing(path, mode="w"):
    """An open file that becomes `path` when the block ends well; otherwise `path` stays as it was."""
    path = Path(path)
    with FileSet(path.parent) as files, files.opened(path.name, mode) as file:
        yield file


def write_bytes(path, *chunks):
    with replacing(path, "wb") as file:
        for chunk in chunks:
            file.write(chunk)


def write_text(path, text):
    with replacing(path) as file:
        file.write(text)


def write_json(path, value, indent=1):
    """Strict JSON (no NaN), UTF-8, one final newline."""
    write_text(path, json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(file, text):
    """Adds one line to a log opened with mode "ab" and buffering=0, so that nothing of a failed write is kept for later."""
    data = memoryview((text + "\n").encode())
    with _told(Path(file.name)):
        while len(data):
            data = data[file.write(data) :]


def sync_log(file):
    """Returns when the disk has it: for a log that append_line writes."""
    with _told(Path(file.name)):
        _sync_file(file)


def _sync_file(file):
    """Returns when the system says that the file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder):
    """Makes the renames last through a power cut, where the system can sync a folder."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def _told(path):
    """Adds to a system error of writing `path`: its name, the room left, and that the old file is untouched."""
    try:
        yield
    except OSError as error:
        about = Path(error.filename) if isinstance(error.filename, str) else path
        if getattr(error, "told", False) or not (about.parent == path.parent or path.is_relative_to(about) or about.parent == path):
            raise  # told already, or about another file
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            why = f"no space left on the disk ({_free(path)} free); free some or choose another folder"
        else:
            why = os.strerror(error.errno) if error.errno else str(error)
        told = OSError(error.errno, f"cannot write: {why}; what was there before is unchanged", str(path))
        told.told = True
        raise told from error


def _free(path):
    import shutil

    folder = path.absolute().parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return f"{shutil.disk_usage(folder).free / 1e6:,.1f} MB"
    except OSError:
        return "unknown room"
