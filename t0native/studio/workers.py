"""Previews in processes of their own: a few renderers, each serving one request at a time.

An author has one preview at a time; the next ones queue, a few at most. Who has just met a limit shares one renderer with
the others who have, so that their bombs wait for each other and for nobody else.

An answer is what renderer.work gives, or one of
    {"limit": phrase}            what the template used up
    {"rows_error": sentence}     these rows are too large, or what comes out of them
    {"failed": sentence}         the studio's own fault: a process that cannot be started or has ended, with the reason; it is logged too"""

import json
import logging
import queue
import select
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from t0native.base.jsontext import json_text
from t0native.studio.children import TAIL, command, environment, how_it_ended
from t0native.studio.renderer import MAX_ANSWER, read_frame, write_frame

__all__ = ["Busy", "Workers"]

MAX_REQUEST, QUEUE, PATIENCE, PROBATION = 8 << 20, 6, 10.0, 10.0
KEPT = ("PATH", "LANG")  # of the variables: what a template could never read must not lie beside it either
_log = logging.getLogger("t0native")


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
        """The answer to a request (the head of this file). Busy where too many wait."""
        data = json_text(request, "null").encode()
        if len(data) > MAX_REQUEST:
            return {"rows_error": f"the rows are {len(data):,} bytes, at most {MAX_REQUEST:,} are tried at once: choose other rows"}
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
        if "limit" in answer or "failed" in answer:  # who knows what made it fail: it keeps nobody else waiting
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
    """One renderer; `_process` is None where it could not be started, for the reason `_reason`."""

    def __init__(self, tokenizer):
        self._command = command("renderer", *([Path(tokenizer)] if tokenizer else []))
        self._start()

    def _start(self):
        self._process, self._reason, self._said = None, None, tempfile.TemporaryFile("a+b")  # noqa: SIM115 - as long as the process
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._said, "bufsize": 0}
        try:
            self._process = subprocess.Popen(self._command, env=environment(KEPT), cwd="/", **pipes)
        except OSError as error:
            self._reason = f"cannot be started: {error}"

    def ask(self, data):
        """The answer to a request's bytes. A renderer that has ended is replaced first; one that gives no answer, afterwards."""
        if self._process is None or self._process.poll() is not None:
            _log.error("studio: a process of previews %s; it is started anew", self._end())
            self._start()
        answer = self._answer(data)
        if answer is None:
            reason = self._end()
            self._start()
            answer = {"failed": f"The process that renders previews {reason}"}
        if "failed" in answer:
            _log.error("studio: %s", answer["failed"])
        return answer

    def _answer(self, data):
        """None where there is none in time."""
        if self._process is None:
            return None
        try:
            write_frame(self._process.stdin.fileno(), data)
        except OSError:
            return None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self._reason = f"gave no answer within {PATIENCE:.0f} s: try again"
            return None
        answer = read_frame(self._process.stdout.fileno())
        if answer is None or len(answer) <= MAX_ANSWER:
            return answer and json.loads(answer)
        return {"rows_error": f"more than {MAX_ANSWER:,} bytes come out of these rows: choose other rows"}

    def _end(self):
        """Ends the process; why there was no answer."""
        if self._process is not None and self._reason is None:
            try:
                code = self._process.wait(1.0)  # it has closed its end of a pipe, so it is ending
                self._reason = how_it_ended(code, self._last_words())
            except subprocess.TimeoutExpired:
                self._reason = "closed its output"
        self.close()
        return self._reason

    def _last_words(self):
        self._said.seek(max(0, self._said.seek(0, 2) - TAIL))
        return self._said.read()

    def close(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdin.close()
            self._process.stdout.close()
        self._said.close()
