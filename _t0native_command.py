"""The command `t0native`, before anything large is loaded: Ctrl-C meanwhile is told as it is later, without a traceback.

It stands outside of the package, because importing that loads NumPy and the core, which take most of the time."""

import os
import signal

__all__ = ["main"]


def main():
    """Runs the command line; returns its exit code."""
    handled = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not where a shell ignores it
    if handled:
        signal.signal(signal.SIGINT, _stop)
    from t0native.cli.main import main as run

    if handled:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return run()


def _stop(number, frame):
    os.write(2, b"t0native: stopped\n")
    os._exit(130)  # an exception would get lost, or be told as another, inside the modules that are being loaded
