"""A file that grows while it is made, for results of hours: what is there when the work is interrupted is kept, and the work goes on.

    FILE.part        what is written so far: whole rows alone are counted
    FILE.part.json   {"job": what is being made, "rows": n, "bytes": b}: the first b bytes of FILE.part are the first n rows
    FILE             at the end, by renaming

The same job goes on behind the first b bytes, whatever stands behind them after a kill or a power cut; another job does not touch it."""

import contextlib
import fcntl
import json
import os
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.files import append_line, check_place, make_folder, sync_log, write_json
from t0native.base.jsontext import json_text

__all__ = ["PartFile"]


class PartFile:
    """with PartFile("answers.jsonl", job) as file: ... file.write(lines, rows) ... file.finish()

    job: a value of JSON that is another for other results.  rows: how many there are already.  force: whether FILE, and another job's
    parts, are replaced. ConfigError for a FILE that is there, for another job's part, and where another process writes it;
    OSError where it cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with PartFile(Path(folder) / "a.txt", {"of": "this"}) as file:
    ...         file.write(b"one\\n", 1)
    ...     with PartFile(Path(folder) / "a.txt", {"of": "this"}) as file:
    ...         began = file.rows
    ...         file.write(b"two\\n", 1)
    ...         file.finish()
    ...     began, (Path(folder) / "a.txt").read_text(), os.listdir(folder)
    (1, 'one\\ntwo\\n', ['a.txt'])
    """

    def __init__(self, path, job, force=False):
        self.path = Path(path)
        self.part, self._about = self.path.with_name(self.path.name + ".part"), self.path.with_name(self.path.name + ".part.json")
        check_place(self.path)
        if self.path.exists() and not force:
            raise ConfigError(f"{self.path}: is there already; --force replaces it")
        self._job = json.loads(json_text(job, "keep"))
        self.rows, self._bytes = (0, 0) if force else self._read_about()
        make_folder(self.path.parent)
        self._file = open(self.part, "ab", buffering=0)  # noqa: SIM115 - closed by __exit__
        try:
            self._lock()
        except BaseException:
            self._file.close()
            raise
        try:
            if os.fstat(self._file.fileno()).st_size < self._bytes:  # a power cut lost what was promised, or it is another file meanwhile
                self.rows = self._bytes = 0
            self._file.truncate(self._bytes)
            self._note()
        except BaseException:
            self._leave()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self._file.close()
        if kind is not None:
            self._leave()

    def _leave(self):
        """What can be gone on from stays."""
        self._file.close()
        if self.rows == 0:
            self.remove()

    def write(self, lines, rows):
        """Adds UTF-8 that ends in a line end, of so many whole rows. Interrupted, it has added all of them, or none: `rows` says which."""
        if lines:
            self._file.truncate(self._bytes)  # what an interrupted call has left
            append_line(self._file, lines.decode().removesuffix("\n"))
        self.rows, self._bytes = self.rows + rows, self._bytes + len(lines)
        self._note()

    def finish(self):
        """The file is there, and lasts."""
        sync_log(self._file)
        os.replace(self.part, self.path)
        with contextlib.suppress(OSError):
            self._about.unlink()

    def lines(self):
        """The lines that are there, bytes with their line ends, one after the other."""
        with open(self.part, "rb") as file:
            left = self._bytes
            while left > 0 and (line := file.readline()):
                left -= len(line)
                yield line

    def remove(self):
        """Nothing is to be gone on from."""
        self._file.close()
        for path in (self._about, self.part):
            with contextlib.suppress(OSError):
                path.unlink()

    def close(self):
        """What is there stays, to be gone on from."""
        self._file.close()

    def _lock(self):
        """Until the file is closed; a file system without locks has none."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{self.part}: another process writes there; wait for it, stop it, or name another file") from None
        except OSError:
            return

    def _note(self):
        write_json(self._about, {"job": self._job, "rows": self.rows, "bytes": self._bytes})

    def _read_about(self):
        """(rows, bytes) of what is to go on. ConfigError where it is another job's."""
        if not self.part.exists():
            return 0, 0
        try:
            about = json.loads(self._about.read_text(encoding="utf-8"))
            job, rows, size = about["job"], int(about["rows"]), int(about["bytes"])
        except (OSError, ValueError, KeyError, TypeError):
            raise ConfigError(
                f"{self.part}: is there, and nothing tells what it is a part of; remove it, or begin anew by --force"
            ) from None
        if job != self._job:
            odd = [name for name in {**job, **self._job} if job.get(name) != self._job.get(name)] if isinstance(job, dict) else []
            what = f" ({', '.join(odd)} differ{'s' * (len(odd) == 1)})" if odd else ""
            raise ConfigError(f"{self.part}: is a part of another command's results{what}; finish that, or begin anew by --force")
        return rows, size
