"""Ctrl-C, and the signals by which others end a program (SIGTERM of a batch system, SIGHUP of a terminal that has gone), at the
places where a run may stop, and nowhere else.

    SIGINT    KeyboardInterrupt       exit code 130 of the command line
    SIGTERM   Terminated              143
    SIGHUP    Terminated              129

Only a signal with which nobody else does anything is handled: a program that ignores SIGHUP (nohup) goes on."""

import signal
import sys
import threading
from contextlib import contextmanager

__all__ = ["Interrupts", "Terminated", "ended_by_signals"]

ENDING = (signal.SIGTERM, signal.SIGHUP)


class Terminated(SystemExit):
    """The program is to end, by SIGTERM or SIGHUP. A SystemExit: what does not catch it ends with its code, 128 + number of the signal.

    >>> Terminated(signal.SIGTERM).code, str(Terminated(signal.SIGHUP))
    (143, 'ended by SIGHUP')
    """

    def __init__(self, number):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number, self.code = number, 128 + number


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


class Interrupts:
    """The signals act inside `allowed()` and at `check()`; elsewhere they are kept until then, so that a step's bookkeeping and
    the writing of a checkpoint are never torn. Where signals cannot be handled (not the main thread), it does nothing.

    finishing: where that takes long, what is done before the end: a line on stderr tells it, and a second Ctrl-C does not wait:
    KeyboardInterrupt at once, and `at_once` is true. What is being written then is lost; what was written before is whole."""

    def __init__(self, finishing=None):
        self.finishing, self.pending, self.open, self.at_once = finishing, None, False, False
        self._old, self._received = {}, False

    def __enter__(self):
        self.pending, self.open, self.at_once, self._received = None, False, False, False
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
        if self._received and number == signal.SIGINT and self.finishing is not None:
            self.at_once = True
            raise KeyboardInterrupt
        if self._received:  # a batch system may send it again; it has time until it kills
            return
        self._received, self.pending = True, number
        if self.open:
            self.check()
        if self.finishing is not None:
            self._tell(number)

    def _tell(self, number):
        try:
            sys.stderr.write(f"\n{signal.Signals(number).name}: {self.finishing}; Ctrl-C once more ends at once\n")
            sys.stderr.flush()
        except (AttributeError, OSError, RuntimeError, ValueError):  # no stderr, or a line on it that is half written
            pass

    def check(self):
        """Raises what a signal that was kept stands for."""
        number, self.pending = self.pending, None
        if number is not None:
            self.open = False
            raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    @contextmanager
    def allowed(self):
        self.open = True
        try:
            self.check()
            yield
        finally:
            self.open = False
