"""Ctrl-C at the places where a run may stop, and nowhere else."""

import signal
import threading
from contextlib import contextmanager

__all__ = ["Interrupts"]


class Interrupts:
    """Ctrl-C acts inside `allowed()` and at `check()`; elsewhere it is kept until then, so that a step's bookkeeping and
    the writing of a checkpoint are never torn. Where signals cannot be handled (not the main thread), it does nothing."""

    def __enter__(self):
        self.pending, self.open, self.old = False, False, None
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.old = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind, error, trace):
        if self.old is not None:
            signal.signal(signal.SIGINT, self.old)
            if self.pending and kind is None:
                raise KeyboardInterrupt

    def _handle(self, number, frame):
        self.pending = True
        if self.open:
            self.check()

    def check(self):
        if self.pending:
            self.pending = self.open = False
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self):
        self.open = True
        try:
            self.check()
            yield
        finally:
            self.open = False
