"""Files that somebody sends are read by a process of their own (intake.py), a few at once: rows that are uploaded, prompts that are
imported. Others wait for their turn, and are sent away where many do, so that no request for a page waits for them."""

import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

from t0native.base.errors import DataError
from t0native.studio.children import Failed, command, environment, how_it_ended
from t0native.studio.workers import Busy

__all__ = ["read_confined"]

AT_ONCE, MAY_WAIT, PATIENCE, SECONDS = 2, 4, 30.0, 120
TOO_MUCH = "the file cannot be read: it needs too much time or memory, or is broken"


class _Turns:
    """At most `at_once` hold a turn, and `may_wait` wait for one, `patience` seconds at most; Busy for the next.

    >>> turns = _Turns(1, 0, 1.0)
    >>> with turns.turn():
    ...     with turns.turn():
    ...         pass
    Traceback (most recent call last):
    t0native.studio.workers.Busy: many files are being read: send this one again in a minute
    """

    def __init__(self, at_once, may_wait, patience):
        self._free, self._places = threading.BoundedSemaphore(at_once), threading.BoundedSemaphore(at_once + may_wait)
        self._patience = patience

    @contextmanager
    def turn(self):
        with self._hold(self._places, 0), self._hold(self._free, self._patience):
            yield

    @contextmanager
    def _hold(self, semaphore, patience):
        if not semaphore.acquire(timeout=patience):
            raise Busy("many files are being read: send this one again in a minute")
        try:
            yield
        finally:
            semaphore.release()


_turns = _Turns(AT_ONCE, MAY_WAIT, PATIENCE)


def read_confined(kind, source, target, most, dataset=None):
    """What intake.py says of the file `source`, of which it has written `target`: how many rows, or files. most: of them.
    dataset: whose rows they are. DataError with its sentence, Busy where too many files are being read, Failed where the process could
    not be started or has ended for no fault of the file."""
    source = Path(source).absolute()
    line = command("intake", kind, source, Path(target), str(most), *filter(None, [dataset]))
    with _turns.turn():
        try:
            done = subprocess.run(line, capture_output=True, env=environment(), cwd="/", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            raise DataError(f"the file took more than {SECONDS} s to read: send it in parts") from None
        except OSError as error:
            raise Failed(f"The process that reads files cannot be started: {error}") from None
    output = _without_place(done.stdout.decode("utf-8", "replace").strip(), str(source))
    if done.returncode == 0:
        return int(output)
    if done.returncode == 2 and output:
        raise DataError(output)
    if done.returncode < 0:  # the limits of intake.py, or a reader that the file broke
        raise DataError(f"{TOO_MUCH} (its reader {how_it_ended(done.returncode)})")
    raise Failed(f"The process that reads files {how_it_ended(done.returncode, done.stderr)}")


def _without_place(sentence, source):
    return sentence.replace(f"{source}, ", "").replace(f"{source}: ", "").replace(source, "the file")
