"""A process that answers for a model, so that what ends it (a segmentation fault, no memory left) ends one cell and nothing else.

    python -P -m t0native.evaluation.child DESCRIPTOR          of a socket that the process which starts it has the other end of
    <-  {"path", "threads", "memory"}              folders of modules; threads; bytes that a call may take, or None
    <-  the model
    ->  ("ready", None) or ("refused", why)
    <-  (method of the model, arguments, options)
    ->  ("answer", what it gives) | ("full", why: no memory is left) | ("error", exception)

Where memory runs out the system ends this process before others. It ends when the one that started it does."""

import os
import resource
import sys
import threading
import time
from multiprocessing.connection import Connection

from t0native.base.errors import DataError
from t0native.base.threads import set_num_threads
from t0native.evaluation.answers import pack_rankings
from t0native.evaluation.judging import FAILURES
from t0native.models.sharing import leave_shared

__all__ = ["serve"]

LOOKS = 0.5  # seconds between two looks for the process that started this one


def serve(connection):
    """Answers until the other end is closed."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    _die_first()
    about = connection.recv()
    sys.path += [place for place in about["path"] if place not in sys.path]
    set_num_threads(about["threads"])
    try:
        model = connection.recv()
    except Exception as error:
        connection.send(("refused", f"{type(error).__name__}: {error}"))
        return
    _limit_memory(about["memory"])
    connection.send(("ready", None))
    while True:
        try:
            question = connection.recv()
        except EOFError:
            return
        connection.send(_answer(model, *question))


def _answer(model, method, arguments, options):
    try:
        value = getattr(model, method)(*arguments, progress=_show_nothing, **options)
        return "answer", pack_rankings(value) if method == "rank" else value
    except MemoryError as error:
        return "full", f"MemoryError: {error}"
    except Exception as error:
        return "error", _sendable(error)


def _show_nothing(done, total):
    """The progress of a call, which nobody here shows."""


def _sendable(error):
    """The error itself, if it is one of ours or Python's, which pickle; another as one of these, with its words."""
    if type(error).__module__ in ("t0native", "t0native._core", "builtins") and error.args and all(isinstance(x, str) for x in error.args):
        return error
    text = f"{type(error).__name__}: {error}"
    return DataError(text) if isinstance(error, FAILURES) else RuntimeError(text)


def _die_first():
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:  # no such system, or not allowed
        pass


def _limit_memory(most):
    """At most so many bytes more than now: what asks for them gets a MemoryError."""
    if most is None:
        return
    with open("/proc/self/status") as file:
        now = next((int(line.split()[1]) << 10 for line in file if line.startswith("VmData:")), 0)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or now + most < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (now + most, hard))


def _end_with(parent):
    while os.getppid() == parent:
        time.sleep(LOOKS)
    leave_shared()
    os._exit(0)


if __name__ == "__main__":
    serve(Connection(int(sys.argv[1])))
