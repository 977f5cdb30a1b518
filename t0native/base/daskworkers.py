"""What a worker of a Dask cluster is given once, whenever it joins: a value under a name, which calls look up.

Loaded where Dask is used, and nowhere else."""

import contextlib
import signal

from distributed import WorkerPlugin, get_worker

__all__ = ["Carrier", "Unheard", "about_worker", "find_carried"]

_values = {}  # of this process: name -> value
_endings = []  # functions of a name, called where its value is no longer needed


class Carrier(WorkerPlugin):
    """Has `value` ready under `name` in every worker's process, before it is given a call. value: what pickles."""

    def __init__(self, name, value):
        self.name, self.value = name, value

    def setup(self, worker):
        _values[self.name] = self.value

    def teardown(self, worker):
        _values.pop(self.name, None)
        for ending in _endings:
            ending(self.name)


class Unheard(WorkerPlugin):
    """Of workers that the program which asks has started: Ctrl-C in its terminal comes to them too, and is for that program alone."""

    def setup(self, worker):
        with contextlib.suppress(ValueError):  # a worker on another thread than the main one
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def find_carried(name, at_end):
    """The value. at_end(name): called in this process once no call needs it."""
    if at_end not in _endings:
        _endings.append(at_end)
    return _values[name]


def about_worker():
    """(name of the worker that makes this call, bytes of memory that each of its calls may take, or None)."""
    worker = get_worker()
    limit = getattr(getattr(worker, "memory_manager", None), "memory_limit", None)
    return f"{worker.name} ({worker.address})", int(limit) // max(1, worker.state.nthreads) if limit else None
