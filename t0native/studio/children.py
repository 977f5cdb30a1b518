"""Processes of the studio's own: renderers of previews (workers.py), readers of files that are sent (confined.py).

    python -P -m t0native.studio.MODULE ARGUMENT ...        with "/" as its folder

A child stands in another folder than the server, so a path goes to it as a Path, and is made absolute on the way; so are the paths
in the environment that say where modules and libraries lie. What a child writes to stderr is kept, and its last line is the reason
where it ends without an answer: that is a fault of the studio, never of what the child was given."""

import os
import signal
import sys
from pathlib import Path

from t0native.base.showing import printable

__all__ = ["Failed", "command", "environment", "how_it_ended"]

PLACES = ("PYTHONPATH", "LD_LIBRARY_PATH")
TAIL = 4096


class Failed(Exception):
    """A child that cannot be started, or ended without an answer; its text says why."""


def command(module, *arguments):
    """The command line of a child. module: of this package.  arguments: str, or Path, which becomes absolute.

    >>> command("intake", "csv", Path("/rows.csv"))[1:]
    ['-P', '-m', 't0native.studio.intake', 'csv', '/rows.csv']
    """
    absolute = [str(argument.absolute()) if isinstance(argument, Path) else argument for argument in arguments]
    return [sys.executable, "-P", "-m", f"t0native.studio.{module}", *absolute]


def environment(names=None):
    """The variables of a child: those of the server (names: these alone, and PLACES), and where this package lies.

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
