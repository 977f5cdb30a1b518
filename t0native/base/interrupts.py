"""Ctrl-C, and the signals by which others end a program (SIGTERM of a batch system, SIGHUP of a terminal that has gone), at the
places where a run may stop, and nowhere else.

    SIGINT    KeyboardInterrupt       exit code 130 of the command line
    SIGTERM   Terminated              143
    SIGHUP    Terminated              129

Only a signal with which nobody else does anything is handled: a program that ignores SIGHUP (nohup) goes on. Python runs handlers
between two steps of the main thread's own code: calls of the core ask for them (csrc/py/support.c), and calls of the system that take
long are made `answering_signals`."""

import signal
import sys
import threading
import time
from contextlib import contextmanager

__all__ = ["Interrupts", "Terminated", "answering_signals", "code_of", "ended_by_signals", "write_to_stderr"]

ENDING = (signal.SIGTERM, signal.SIGHUP)
REPEATED = 1.0  # seconds within which another SIGTERM or SIGHUP is the same one: a terminal and its shell both tell


class Terminated(SystemExit):
    """The program is to end, by SIGTERM or SIGHUP. A SystemExit: what does not catch it ends with its code, 128 + number of the signal.

    >>> Terminated(signal.SIGTERM).code, str(Terminated(signal.SIGHUP))
    (143, 'ended by SIGHUP')
    """

    def __init__(self, number):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number, self.code = number, 128 + number


def code_of(error, other=1):
    """The exit code of a program that an error ends; other: where it is no signal and no SystemExit.

    >>> code_of(KeyboardInterrupt()), code_of(Terminated(signal.SIGTERM)), code_of(OSError())
    (130, 143, 1)
    """
    return error.code if isinstance(error, SystemExit) else 130 if isinstance(error, KeyboardInterrupt) else other


def _meaning(number):
    return KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)


def _raise_terminated(number, frame):
    raise Terminated(number)


@contextmanager
def ended_by_signals():
    """SIGTERM and SIGHUP raise Terminated inside, where they would have ended the process without a word. In the main thread alone."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, _raise_terminated) for number in ENDING if signal.getsignal(number) is signal.SIG_DFL}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def answering_signals(call, *arguments):
    """The result of a call of the system that signals do not interrupt (fsync, the removal of large files): made on another thread, so
    that the main one runs their handlers meanwhile. What a handler raises leaves it, and the call goes on by itself.

    >>> answering_signals(max, 1, 2)
    2
    """
    if threading.current_thread() is not threading.main_thread():
        return call(*arguments)
    outcome, done = {}, threading.Event()

    def run():
        try:
            outcome["result"] = call(*arguments)
        except BaseException as error:
            outcome["error"] = error
        done.set()

    threading.Thread(target=run, daemon=True).start()
    done.wait()
    if "error" in outcome:
        raise outcome["error"]
    return outcome["result"]


def write_to_stderr(line):
    """Says a line, where that can be."""
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (AttributeError, OSError, RuntimeError, ValueError):  # no stderr, or a line on it that is half written
        pass


class Interrupts:
    """The signals act inside `allowed()` and at `check()`; elsewhere they are kept until then, so that a step's bookkeeping and
    the writing of a checkpoint are never torn. Where signals cannot be handled (not the main thread), it does nothing.

    finishing: where that takes long, what is done before the end: a line on stderr tells it, and a second signal does not wait:
    KeyboardInterrupt or Terminated at once, and `at_once` is true, of it and of the error. What is being written then is lost; what was
    written before is whole."""

    def __init__(self, finishing=None):
        self.finishing, self.pending, self.open, self.at_once = finishing, None, False, False
        self._old, self._received = {}, None  # when the first one came, on the monotonic clock

    def __enter__(self):
        self.pending, self.open, self.at_once, self._received = None, False, False, None
        if threading.current_thread() is threading.main_thread():
            ours = {signal.SIGINT: (signal.default_int_handler,)} | dict.fromkeys(ENDING, (signal.SIG_DFL, _raise_terminated))
            self._old = {number: signal.getsignal(number) for number, handlers in ours.items() if signal.getsignal(number) in handlers}
            for number in self._old:
                signal.signal(number, self._handle)
        return self

    def __exit__(self, kind, error, trace):
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._old = {}
        if kind is None:
            self.check()

    def _handle(self, number, frame):
        if self._received is not None:
            again = number == signal.SIGINT or time.monotonic() - self._received > REPEATED
            if again and self.finishing is not None:
                self.at_once, error = True, _meaning(number)
                error.at_once = True
                raise error
            return
        self._received, self.pending = time.monotonic(), number
        if self.finishing is not None:
            self._tell(number)
        if self.open:
            self.check()

    def _tell(self, number):
        write_to_stderr(f"\n{signal.Signals(number).name}: {self.finishing}; once more ends at once")

    def check(self):
        """Raises what a signal that was kept stands for."""
        number, self.pending = self.pending, None
        if number is not None:
            self.open = False
            raise _meaning(number)

    def keep(self, number):
        """As if this signal had come, and no other than this: what `check` raises."""
        self.pending = number

    @contextmanager
    def allowed(self):
        self.open = True
        try:
            self.check()
            yield
        finally:
            self.open = False
