"""Previews in processes of their own: a few renderers, each serving one request at a time.

An author has one preview at a time; the next ones queue, a few at most. Who has just met a limit shares one renderer with
the others who have, so that their bombs wait for each other and for nobody else."""

import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

from t0native.base.jsontext import json_text
from t0native.studio.renderer import MAX_ANSWER, read_frame, write_frame

__all__ = ["Busy", "Workers"]

MAX_REQUEST, QUEUE, PATIENCE, PROBATION = 8 << 20, 6, 10.0, 10.0


class Busy(Exception):
    """Too many previews wait."""


class Workers:
    """count: renderers.  tokenizer: path of a tokenizer's file or folder whose view of a text is shown, or None.

    >>> workers = Workers(count=1)
    >>> workers.render("anna", {"content": {"name": "p", "jinja": "{{ a }}? ||| b"}, "rows": [{"a": "x"}]})["warnings"]
    []
    >>> workers.render("anna", {"content": {"name": "p", "jinja": "{{ a | sort(" }})["column"]
    13
    >>> workers.close()
    """

    def __init__(self, count=3, tokenizer=None):
        self._free = queue.Queue()
        self._renderers = [_Renderer(tokenizer) for _ in range(count)]
        for renderer in self._renderers:
            self._free.put(renderer)
        self._lock, self._authors = threading.Lock(), {}
        self._probation = threading.BoundedSemaphore(1)
        self._bombed = {}  # author -> when a limit was met

    def render(self, author, request):
        """The renderer's answer to a request (renderer.work), or {"limit": sentence}. Busy where too many wait."""
        data = json_text(request, "null").encode()
        if len(data) > MAX_REQUEST:
            return {"limit": f"the rows are {len(data):,} bytes, at most {MAX_REQUEST:,} are tried at once: choose other rows"}
        with self._turn(author):
            if time.monotonic() - self._bombed.get(author, -PROBATION) < PROBATION:
                if not self._probation.acquire(timeout=PATIENCE):
                    raise Busy("many previews that met a limit wait: try again in a few seconds")
                try:
                    return self._render(author, data)
                finally:
                    self._probation.release()
            return self._render(author, data)

    def _render(self, author, data):
        try:
            renderer = self._free.get(timeout=PATIENCE)
        except queue.Empty:
            raise Busy("many previews wait: try again in a few seconds") from None
        try:
            answer = renderer.ask(data)
        finally:
            self._free.put(renderer)
        if "limit" in answer:
            with self._lock:
                self._bombed[author] = time.monotonic()
        return answer

    def _turn(self, author):
        with self._lock:
            if len(self._authors) > 1000:
                self._authors = {name: turn for name, turn in self._authors.items() if turn.waiting}
                self._bombed = {name: at for name, at in self._bombed.items() if time.monotonic() - at < PROBATION}
            turn = self._authors.setdefault(author, _Turn(self._lock))
            if turn.waiting >= QUEUE:
                raise Busy("your earlier previews are not finished: try again in a moment")
            turn.waiting += 1
        return turn

    def close(self):
        for renderer in self._renderers:
            renderer.close()


class _Turn:
    """One author's place: a lock, and how many hold it or wait for it (which changes under `counting`)."""

    def __init__(self, counting):
        self.lock, self.waiting, self._counting = threading.Lock(), 0, counting

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()
        with self._counting:
            self.waiting -= 1


class _Renderer:
    def __init__(self, tokenizer):
        self._command = [sys.executable, "-P", "-m", "t0native.studio.renderer", *([str(tokenizer)] if tokenizer else [])]
        self._start()

    def _start(self):
        here = str(Path(__file__).parents[2])
        keep = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "LANG") if name in os.environ}
        environment = {
            **keep,
            "PYTHONPATH": os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH")))),
            "OPENBLAS_NUM_THREADS": "1",
        }
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
        self._process = subprocess.Popen(self._command, env=environment, cwd="/", **pipes)

    def ask(self, data):
        """A renderer that does not answer is replaced."""
        try:
            write_frame(self._process.stdin.fileno(), data)
            if select.select([self._process.stdout], [], [], PATIENCE)[0] and (answer := read_frame(self._process.stdout.fileno())):
                return (
                    json.loads(answer)
                    if len(answer) <= MAX_ANSWER
                    else {"limit": f"more than {MAX_ANSWER:,} bytes come out: choose other rows"}
                )
        except OSError:
            pass
        self.close()
        self._start()
        return {"limit": "the preview failed: try again"}

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()
