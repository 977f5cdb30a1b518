"""A small progress bar on stderr: a line that renews itself on a terminal, plain lines now and then elsewhere.

    train  [#########-----------]  1,234/3,000  loss 1.832  81,204 tokens/s  1:12 left

Nothing is printed where T0NATIVE_PROGRESS=0, or where the caller says progress=False."""

import os
import sys
import time

__all__ = ["BAR_DELAY", "Progress"]

TERMINAL_INTERVAL, PLAIN_INTERVAL = 0.1, 10.0  # seconds
WIDTH = 20
BAR_DELAY = 2.0  # seconds that a call lasts before it shows how far it is


class Progress:
    """with Progress("train", total) as bar: bar.update(done, loss="1.83", tokens_done=...)

    delay: seconds before anything is shown, for what is mostly done sooner."""

    def __init__(self, what, total, *, on=True, done=0, delay=0.0, stream=None):
        self.stream = sys.stderr if stream is None else stream
        self.on = bool(on) and os.environ.get("T0NATIVE_PROGRESS") != "0"
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self.what, self.total, self.first = what, total, done
        self.started = time.monotonic()
        self.drawn_at = self.started if not self.terminal else 0.0
        self.silent_until = self.started + delay
        self.line = ""
        self.shown = 0

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.on and self.terminal and self.shown:
            self.stream.write("\r" + self.line.ljust(self.shown) + "\n")
            self.stream.flush()

    def update(self, done, *facts):
        """facts: short texts shown behind the count. Costs next to nothing between two drawings."""
        if not self.on:
            return
        now = time.monotonic()
        interval = TERMINAL_INTERVAL if self.terminal else PLAIN_INTERVAL
        if now < self.silent_until or now - self.drawn_at < interval and not (self.terminal and done == self.total):
            return
        self.drawn_at = now
        self.line = self._line(done, facts, now)
        if self.terminal:
            self.stream.write("\r" + self.line.ljust(self.shown))
            self.shown = len(self.line)
        else:
            self.stream.write(self.line + "\n")
        self.stream.flush()

    def _line(self, done, facts, now):
        filled = WIDTH * done // max(1, self.total)
        bar = f"[{'#' * filled}{'-' * (WIDTH - filled)}]  " if self.terminal else ""
        rate = (done - self.first) / max(1e-9, now - self.started)
        left = [f"{clock((self.total - done) / rate)} left"] if rate > 0 and done < self.total else []
        return "  ".join([f"{self.what}  {bar}{done:,}/{self.total:,}", *facts, *left])


def clock(seconds):
    """
    >>> clock(71.6), clock(3723)
    ('1:11', '1:02:03')
    """
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
