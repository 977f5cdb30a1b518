"""Calls made elsewhere, by processes of this host or of many.

    concurrent.futures.Executor    or what has its submit(function, *arguments), whose futures have result(), cancel() and
                                   add_done_callback(function)
    dask.distributed.Client        of a cluster whose workers come and go; a call whose worker is lost is made again by another
    "tcp://HOST:PORT"              the scheduler of a Dask cluster (tls:// too)
    "local:N"                      N worker processes of this host, started by Dask for the call and ended with it

A Pool is what the rest of the package sees of any of them. As many calls are under way as there are workers to make them, and none waits
at a worker: one that is lost takes the call that it was making with it, and no other."""

import contextlib
import itertools
import logging
import os
import re
import tempfile
import uuid
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.base.threads import chosen_threads

__all__ = ["Pool", "opened", "parse_executor"]

_log = logging.getLogger("t0native")
MOST_LOCAL = 256  # processes of local:N
SMALL = 1 << 20  # bytes that go with each call
_WIDTHS = ("max_workers", "_max_workers", "num_workers")  # of executors: calls that they make at once
ANSWERING = 10.0  # seconds that a scheduler has to answer at first
_CLOSING = 5.0  # seconds that a cluster has to answer while it is left


class Pool:
    """The workers of an executor of Python's kind. threads: of a call's own work, or None for what each process takes to be right."""

    where = "executor"

    def __init__(self, executor, threads=None):
        self._executor, self.threads, self._file = executor, threads, None

    def slots(self):
        """Calls that can be made at once, now."""
        return next((n for name in _WIDTHS if isinstance(n := getattr(self._executor, name, None), int) and n > 0), os.cpu_count() or 1)

    def carry(self, name, data):
        """What goes with each call that needs these bytes: they, or a file that holds them; None where the workers of a cluster are given
        them once, and look them up by name."""
        if len(data) <= SMALL:
            return data
        descriptor, place = tempfile.mkstemp(prefix=f"{name}-")
        self._file = Path(place)
        try:
            with open(descriptor, "wb") as file:
                file.write(data)
        except BaseException:
            self.forget(name)
            raise
        return self._file

    def submit(self, function, *arguments):
        """The future of function(*arguments)."""
        return self._executor.submit(function, *arguments)

    def run_everywhere(self, function, *arguments):
        """Has every process that can be reached call function(*arguments), as far as that is soon done: here this one."""
        function(*arguments)

    def forget(self, name):
        """No call needs any more what was carried under this name."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def lost(self, future):
        """Why a call will never end, or None."""
        return None


class _DaskPool(Pool):
    """The workers of a Dask cluster."""

    def __init__(self, client, threads):
        self._client, self.threads, self._numbers = client, threads, itertools.count()
        self.where = f"Dask cluster at {client.scheduler.address if client.scheduler else 'an unknown place'}"

    def slots(self):
        try:
            return sum(self._client.nthreads().values())
        except (OSError, ValueError) as error:
            raise ConnectionError(f"{self.where}: the scheduler does not answer: {error}") from None

    def carry(self, name, data):
        from t0native.base.daskworkers import Carrier

        self._client.register_plugin(Carrier(name, data), name=name)

    def submit(self, function, *arguments):
        key = f"{function.__name__}-{uuid.uuid4().hex}-{next(self._numbers)}"
        return self._client.submit(function, *arguments, key=key, pure=False)

    def run_everywhere(self, function, *arguments):
        with contextlib.suppress(Exception):  # nobody waits for it
            self._client.run(function, *arguments, wait=False)

    def forget(self, name):
        with contextlib.suppress(Exception):  # the scheduler has gone: so have its workers
            self._client.sync(self._client._unregister_worker_plugin, name, callback_timeout=_CLOSING)

    def lost(self, future):
        if self._client.status in ("running", "connecting") and future.status not in ("lost", "cancelled"):
            return None
        return f"{self.where}: the scheduler is gone, or has forgotten its calls"


def parse_executor(text):
    """(address or None, processes of this host or None) of "tcp://HOST:PORT" or "local:N"; ConfigError for anything else.

    >>> parse_executor("local:2"), parse_executor("tcp://10.0.0.1:8786")
    ((None, 2), ('tcp://10.0.0.1:8786', None))
    """
    if re.fullmatch(r"(tcp|tls|ucx|ws|wss)://\S+", text):
        return text, None
    local = re.fullmatch(r"local:([0-9]{1,4})", text)
    if not local or not 1 <= int(local[1]) <= MOST_LOCAL:
        raise ConfigError(f"executor {shown(text)}: must be tcp://HOST:PORT of a Dask scheduler, or local:N, N from 1 to {MOST_LOCAL}")
    return None, int(local[1])


@contextlib.contextmanager
def opened(executor):
    """The Pool of an executor, as the head of this file names them; None for None. What was started for it ends with the block.

    ConfigError for what is no executor, for a Dask that is not installed, and for a scheduler that does not answer.

    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor(3) as threads, opened(threads) as pool:
    ...     pool.slots(), pool.submit(max, 1, 2).result()
    (3, 2)
    """
    if executor is None:
        yield None
    elif isinstance(executor, str):
        with _started(*parse_executor(executor)) as pool:
            yield pool
    elif type(executor).__module__.partition(".")[0] == "distributed" and hasattr(executor, "register_plugin"):
        if executor.asynchronous:
            raise ConfigError("executor: a Client with asynchronous=True cannot be waited for here; give one without")
        yield _DaskPool(executor, chosen_threads() or 1)
    elif hasattr(executor, "submit"):
        yield Pool(executor, chosen_threads() or 1)
    else:
        raise ConfigError(
            f"executor {shown(executor)}: must have submit(), as those of concurrent.futures, or be a Client of Dask, "
            "tcp://HOST:PORT or local:N"
        )


@contextlib.contextmanager
def _started(address, processes):
    """The Pool of a Dask cluster at an address, or of this many processes, started for it."""
    distributed, threads = _import_dask(), chosen_threads()
    ours = address is None
    with contextlib.ExitStack() as stack:
        if ours:
            pages = {"dashboard_address": "127.0.0.1:0", "worker_dashboard_address": "127.0.0.1:0"}  # for nobody else
            cluster = distributed.LocalCluster(n_workers=processes, threads_per_worker=1, silence_logs="CRITICAL", **pages)
            stack.callback(_close, cluster)
            address, threads = cluster.scheduler_address, threads or max(1, len(os.sched_getaffinity(0)) // processes)
        try:
            client = distributed.Client(address, set_as_default=False, timeout=ANSWERING)
        except (
            Exception
        ) as error:  # of a host that is not there AssertionError, of tls without keys TypeError, of a lacking port ValueError
            why = str(error) or type(error).__name__
            raise ConfigError(f"executor {shown(address)}: no Dask scheduler answers there: {why}; give the address it prints") from None
        stack.callback(_close, client)
        if ours:
            from t0native.base.daskworkers import Unheard

            client.register_plugin(Unheard())
        yield _DaskPool(client, threads or 1)


def _close(thing):
    """Ends a client or a cluster; what it meets on the way (a worker that was killed, a scheduler that has gone) changes no result."""
    try:
        thing.close(timeout=_CLOSING)
    except Exception as error:
        _log.debug("executor: while it was closed: %s: %s", type(error).__name__, error)


def _import_dask():
    try:
        import distributed
    except ImportError as error:
        raise ConfigError(f"Dask cannot be imported ({error}): pip install dask distributed") from None
    return distributed
