"""A model that is asked elsewhere: what AskedModel and answering.py call, answered by the workers of a Pool.

    rank, generate      one call of a worker (workers.py); the answer has the bits that the model itself would give
    anything else       the model's own, which is here too

A call whose process ends before the answer is made once more, for what ended it may have been another's fault; then it is CellLost."""

import pickle
import threading
from concurrent.futures import CancelledError
from contextlib import contextmanager
from uuid import uuid4

from t0native.base.errors import ConfigError
from t0native.base.version import __version__
from t0native.evaluation.workers import answer_call, end_children
from t0native.models.sharing import SharedModel

__all__ = ["CellLost", "Refused", "RemoteModel"]

LOOKS = 0.5  # seconds between two looks whether the evaluation is stopped
MOST_CARRIED = 1 << 30  # bytes of a model without files, which go over the wire to each worker


class CellLost(Exception):
    """What was asked for ends the process that answers it, or takes more memory than there is. No fault of a single row's."""


class Refused(Exception):
    """A worker that cannot answer for this model at all; no fault of a cell's."""


class RemoteModel:
    """model: as evaluate's.  pool: a Pool.

    rates: what each worker has done: {worker: [rows, seconds]}."""

    def __init__(self, model, pool):
        self._model, self._pool, self._name = model, pool, f"t0native-{uuid4().hex}"
        self._asked, self._stopped, self._lock = threading.local(), threading.Event(), threading.Lock()
        self._waiting, self.rates = set(), {}
        self._carried = pool.carry(self._name, _dump(model))

    def __getattr__(self, name):
        return getattr(self._model, name)

    def rank(self, inputs, choices, *, progress, **options):
        return self._ask("rank", (inputs, choices), options, progress)

    def generate(self, inputs, *, progress, **options):
        return self._ask("generate", (inputs,), options, progress)

    @contextmanager
    def asking(self, once):
        """Calls of this thread inside the block. once: none is made again after its process ended."""
        self._asked.once = once
        yield

    def _ask(self, method, arguments, options, progress):
        question, rows = pickle.dumps((method, arguments, options)), len(arguments[0])
        reply = self._reply(question)
        if reply.kind == "lost" and not getattr(self._asked, "once", False):
            reply = self._reply(question)
        if reply.kind in ("lost", "full"):
            raise CellLost(reply.value)
        if reply.kind == "refused":
            raise Refused(f"executor: worker {reply.worker}: {reply.value}")
        if reply.kind == "error":
            raise reply.value
        self._count(reply, rows)
        progress(rows, rows)
        return reply.value

    def _reply(self, question):
        """What a worker replies. KeyboardInterrupt once the evaluation is stopped, which answering.py takes as one."""
        threads, done = getattr(self._model, "_threads", None) or self._pool.threads, threading.Event()
        future = self._pool.submit(answer_call, __version__, self._name, self._carried, threads, question)
        with self._lock:
            self._waiting.add(future)
        try:
            future.add_done_callback(lambda future: done.set())
            while not done.wait(LOOKS) and not self._stopped.is_set():
                self._check_pool(future)
            if self._stopped.is_set():
                raise KeyboardInterrupt
            return future.result()
        except CancelledError:
            self._check_pool(future)
            raise
        finally:
            with self._lock:
                self._waiting.discard(future)

    def _check_pool(self, future):
        if self._stopped.is_set():
            raise KeyboardInterrupt
        if why := self._pool.lost(future):
            raise ConnectionError(f"{why}; the cells that are finished are kept")

    def _count(self, reply, rows):
        with self._lock:
            done = self.rates.setdefault(reply.worker, [0, 0.0])
            done[0], done[1] = done[0] + rows, done[1] + reply.seconds

    def close(self, stop):
        """No more calls. stop: those that are being answered end too."""
        if stop:
            self._stopped.set()
            with self._lock:
                waiting = list(self._waiting)
            for future in waiting:
                future.cancel()
            self._pool.run_everywhere(end_children, self._name)
        self._pool.forget(self._name)
        end_children(self._name)  # where they are this process's own

    def tell_rates(self):
        """Rows a second of each worker, in words; of many, of all of them.

        >>> from t0native.base.executors import Pool
        >>> remote = RemoteModel(t0.Model.mini(), Pool(None)); remote.rates = {"a": [60, 5.0], "b": [30, 10.0]}
        >>> remote.tell_rates()
        '2 workers: 12 + 3 rows/s'
        """
        with self._lock:
            rates = [rows / seconds for rows, seconds in self.rates.values() if seconds]
        each = " + ".join(f"{rate:.3g}" for rate in rates) if len(rates) <= 4 else f"{sum(rates):,.0f}"
        return f"{len(rates)} worker{'s' * (len(rates) != 1)}: {each} rows/s" if rates else "no answer yet"


def _dump(model):
    """The bytes of which child.py makes the model. ConfigError for one that does not pickle, or is too large to be sent about."""
    try:
        from cloudpickle import dumps  # Dask brings it: it takes what a notebook defines
    except ImportError:
        dumps = pickle.dumps
    try:
        data = dumps(SharedModel(model) if hasattr(getattr(model, "core", None), "packed") else model)
    except Exception as error:
        raise ConfigError(f"executor: the model cannot be sent to other processes: {type(error).__name__}: {error}") from None
    if len(data) > MOST_CARRIED:
        raise ConfigError(
            f"the model takes {len(data) / 1e9:.1f} GB and has no files, or its files have changed since: save it where the workers can "
            "read it, and evaluate Model.from_pretrained of that"
        )
    return data
