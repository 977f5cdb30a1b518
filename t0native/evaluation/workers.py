"""Answers of a model, asked for by an evaluation elsewhere and made in children of this process (child.py).

A child holds one model and answers call after call; one that ends is replaced when the next call comes. Children are of one model at a
time: those of another end when a call for the next comes."""

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from collections import namedtuple
from multiprocessing import Pipe

from t0native.base.children import TAIL, environment, how_it_ended
from t0native.base.version import __version__
from t0native.models.sharing import remove_unused

__all__ = ["Reply", "answer_call", "end_children"]

Reply = namedtuple("Reply", "kind value worker seconds")  # kind: answer, error, full, refused (child.py), or lost: the child ended
GENTLE = 1.0  # seconds that a child has to end by itself
_lock = threading.Lock()
_idle, _busy = [], set()  # children


def answer_call(version, name, carried, threads, question):
    """The Reply of a child that has the model.

    version: of the package that asks.  name: of the model, and carried: it itself, pickled, or the path of a file that holds it, or None
    where a Dask worker was given it.  threads: of the child.  question: bytes, for child.py."""
    worker, memory, began = f"process {os.getpid()}", None, time.monotonic()
    if carried is None:
        from t0native.base.daskworkers import about_worker, find_carried

        (worker, memory), carried = about_worker(), find_carried(name, end_children)
    if version != __version__:
        return Reply("refused", f"it has t0native {__version__}, and the evaluation is one of {version}", worker, 0.0)
    try:
        child = _take(name) or _Child(name, carried if isinstance(carried, bytes) else carried.read_bytes(), threads, memory)
        with child:
            kind, value = child.ask(question)
        return Reply(kind, value, worker, time.monotonic() - began)
    except _Ended as ended:
        return Reply(*ended.args, worker, time.monotonic() - began)


def end_children(name=None):
    """Ends the children of a model, and the calls that they are answering; of all models where it is None."""
    with _lock:
        busy = [child for child in _busy if name in (None, child.name)]
        idle = [child for child in _idle if name in (None, child.name)]
        _idle[:] = [child for child in _idle if child not in idle]
    for child in busy:  # whoever waits for its answer ends it
        child.kill()
    for child in idle:
        child.end()
    if busy or idle:
        remove_unused()


def _take(name):
    """An idle child of this model, or None."""
    with _lock:
        others = [child for child in _idle if child.name != name]
        _idle[:] = [child for child in _idle if child.name == name]
        found = _idle.pop() if _idle else None
        if found is not None:
            _busy.add(found)
    for child in others:
        child.end()
    return found


class _Ended(Exception):
    """A child that gives no answer: the kind of the Reply, and why."""


class _Child:
    """with child: ... child.ask(question): it is free for others behind the block, unless it has ended."""

    def __init__(self, name, model, threads, memory):
        self.name = name
        self._ours, theirs = Pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "t0native.evaluation.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env=environment(),
                start_new_session=True,  # Ctrl-C in a terminal is for the evaluation
            )
        with _lock:
            _busy.add(self)
        about = {"path": [os.path.abspath(place) for place in sys.path], "threads": threads, "memory": memory}
        try:
            kind, why = self._exchange(pickle.dumps(about), model)
        except BaseException:
            self.end()
            raise
        if kind != "ready":
            self.end()
            raise _Ended("refused", why)

    def ask(self, question):
        """(kind, value) of the answer; _Ended where the child ends before it."""
        return self._exchange(question)

    def _exchange(self, *messages):
        try:
            for data in messages:
                self._ours.send_bytes(data)
            return self._ours.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            self._said.seek(max(0, self._said.seek(0, os.SEEK_END) - TAIL))
            raise _Ended("lost", f"the process that answered it {how_it_ended(code, self._said.read())}") from None

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        with _lock:
            _busy.discard(self)
            if kind is None:
                _idle.append(self)
        if kind is not None:
            self.end()

    def kill(self):
        self._process.kill()

    def end(self):
        """The process has ended, and is waited for."""
        with _lock:
            _busy.discard(self)
        self._ours.close()  # which tells it
        try:
            self._process.wait(GENTLE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
