"""A small progress bar on stderr: a line that renews itself on a terminal, plain lines now and then elsewhere.

    train  [#########-----------]  1,234/3,000  loss 1.832  81,204 tokens/s  1:12 left

In a notebook it is a widget, where tqdm and ipywidgets are installed. Nothing is shown where T0NATIVE_PROGRESS=0, or where the caller
says progress=False."""

import os
import sys
import time

__all__ = ["BAR_DELAY", "Progress", "clock", "duration"]

TERMINAL_INTERVAL, PLAIN_INTERVAL = 0.1, 10.0  # seconds
WIDTH = 20
MEASURED, WORTH_TELLING = 1.0, 10.0  # seconds: what an estimate rests on at least, and what it must be to be told
BAR_DELAY = 2.0  # seconds that a call lasts before it shows how far it is


class Progress:
    """with Progress("train", total) as bar: bar.update(done, loss="1.83", tokens_done=...)

    delay: seconds before anything is shown, for what is mostly done sooner.  estimate: what is counted, in words: after the first moments
    a line that stays tells how long all of it takes."""

    def __init__(self, what, total, *, on=True, done=0, delay=0.0, estimate=None, stream=None):
        self.stream = sys.stderr if stream is None else stream
        self.on = bool(on) and os.environ.get("T0NATIVE_PROGRESS") != "0"
        self.terminal = bool(getattr(self.stream, "isatty", lambda: False)())
        self.what, self.total, self.first, self.estimate = what, total, done, estimate
        self.started = time.monotonic()
        self.drawn_at = self.started if not self.terminal else 0.0
        self.silent_until = self.started + delay
        self.line = ""
        self.shown, self.begun = 0, False
        self.widgets = _find_widgets() if self.on and stream is None else None  # the class of a notebook's bars
        self.widget = None

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if self.widget is not None:
            self.widget.close()
        if self.on and self.terminal and self.shown:
            self.stream.write("\r" + self.line.ljust(self.shown) + "\n")
            self.stream.flush()

    def begin(self, done):
        """What is counted begins now, where nothing is counted yet: how long it takes is reckoned from here."""
        if not self.begun and done < self.total:
            self.begun, self.first, self.started = True, done, time.monotonic()

    def update(self, done, *facts):
        """facts: short texts shown behind the count. Costs next to nothing between two drawings."""
        if not self.on:
            return
        now = time.monotonic()
        self._tell_estimate(done, now - self.started)
        renews = self.terminal or self.widgets is not None
        interval = TERMINAL_INTERVAL if renews else PLAIN_INTERVAL
        if now < self.silent_until or now - self.drawn_at < interval and not (renews and done == self.total):
            return
        self.drawn_at = now
        if self.widgets is not None:
            self._show_widget(done, facts)
            return
        self.line = self._line(done, facts, now)
        if self.terminal:
            self.stream.write("\r" + self.line.ljust(self.shown))
            self.shown = len(self.line)
        else:
            self.stream.write(self.line + "\n")
        self.stream.flush()

    def tell(self, text):
        """A line that stays, above the bar."""
        if not self.on:
            return
        drawn = self.terminal and self.shown
        self.stream.write(("\r" + " " * self.shown + "\r" if drawn else "") + text + "\n" + (self.line if drawn else ""))
        self.shown = len(self.line) if drawn else self.shown
        self.stream.flush()

    def _tell_estimate(self, done, seconds):
        """Once, as soon as there is something to go by, where it lasts."""
        if self.estimate is None or seconds < MEASURED or done <= self.first:
            return
        total = (self.total - self.first) * seconds / (done - self.first)
        if total >= WORTH_TELLING:
            self.tell(f"{self.what}: {self.total - self.first:,} {self.estimate}, about {clock(total)} in all")
        self.estimate = None

    def _show_widget(self, done, facts):
        if self.widget is None:
            self.widget = self.widgets(total=self.total, initial=self.first, desc=self.what, dynamic_ncols=True)
            self.widget.start_t -= time.monotonic() - self.started
        self.widget.initial, self.widget.n = self.first, done
        self.widget.set_postfix_str("  ".join(facts), refresh=False)
        self.widget.refresh()

    def _line(self, done, facts, now):
        filled = WIDTH * done // max(1, self.total)
        bar = f"[{'#' * filled}{'-' * (WIDTH - filled)}]  " if self.terminal else ""
        rate = (done - self.first) / max(1e-9, now - self.started)
        left = [f"{clock((self.total - done) / rate)} left"] if rate > 0 and done < self.total else []
        return "  ".join([f"{self.what}  {bar}{done:,}/{self.total:,}", *facts, *left])


def _find_widgets():
    """tqdm's bar of notebooks, where this is one and tqdm and ipywidgets are installed; else None. IPython is not imported for it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:  # no IPython, or one in a terminal
        return None
    try:
        import ipywidgets  # noqa: F401  tqdm's would fail without it
        from tqdm.notebook import tqdm
    except ImportError:
        return None
    return tqdm


_UNITS = ((31_557_600, "years"), (2 * 86_400, "days"), (2 * 3600, "hours"), (120, "minutes"), (0.1, "s"), (0, "ms"))
_SECONDS = {"years": 31_557_600, "days": 86_400, "hours": 3600, "minutes": 60, "s": 1, "ms": 1e-3}


def duration(seconds):
    """A time in the unit that fits it, three digits of it.

    >>> [duration(seconds) for seconds in (0.0187, 3.25, 90, 222, 59_400, 1e6, 1e9, 1e13)]
    ['18.7 ms', '3.25 s', '90 s', '3.7 minutes', '16.5 hours', '11.6 days', '31.7 years', '316,881 years']
    """
    unit = next(unit for least, unit in _UNITS if seconds >= least)
    amount = seconds / _SECONDS[unit]
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"


def clock(seconds):
    """
    >>> clock(71.6), clock(3723)
    ('1:11', '1:02:03')
    """
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
