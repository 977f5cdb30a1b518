"""Processes that this one starts for work of its own: with which variables, and how one ended."""

import os
import signal
from pathlib import Path

from t0native.base.showing import printable

__all__ = ["TAIL", "environment", "how_it_ended"]

PLACES = ("PYTHONPATH", "LD_LIBRARY_PATH")
TAIL = 4096  # bytes of what a child wrote to stderr that are looked at


def environment(names=None):
    """The variables of a child: those of this process (names: these alone, and PLACES), and where this package lies.

    >>> os.pathsep in environment(["PATH"])["PYTHONPATH"] or environment(["PATH"])["PYTHONPATH"] == str(Path(__file__).resolve().parents[2])
    True
    """
    kept = {name: value for name, value in os.environ.items() if names is None or name in (*names, *PLACES)}
    places = {name: [os.path.abspath(place) for place in kept[name].split(os.pathsep) if place] for name in PLACES if name in kept}
    places["PYTHONPATH"] = [str(Path(__file__).resolve().parents[2]), *places.get("PYTHONPATH", [])]
    return {**kept, **{name: os.pathsep.join(found) for name, found in places.items()}, "OPENBLAS_NUM_THREADS": "1"}


def how_it_ended(code, said=b""):
    """A phrase: the signal or exit status of a child, and the last line of what it wrote to stderr, bytes.

    >>> how_it_ended(1, b"Traceback ...\\nFileNotFoundError: no such file\\n"), how_it_ended(-9), how_it_ended(0)
    ('ended with status 1: FileNotFoundError: no such file', 'was ended by SIGKILL', 'ended with status 0')
    """
    try:
        how = f"ended with status {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        how = f"was ended by signal {-code}"
    lines = [line.strip() for line in said[-TAIL:].decode("utf-8", "replace").splitlines() if line.strip()]
    return f"{how}: {printable(lines[-1])}" if lines else how
