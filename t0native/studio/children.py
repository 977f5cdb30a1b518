"""Processes of the studio's own: renderers of previews (workers.py), readers of files that are sent (confined.py).

    python -P -m t0native.studio.MODULE ARGUMENT ...        with "/" as its folder

A child stands in another folder than the server, so a path goes to it as a Path, and is made absolute on the way; so are the paths
in the environment that say where modules and libraries lie (base/children.py). What a child writes to stderr is kept, and its last line
is the reason where it ends without an answer: that is a fault of the studio, never of what the child was given."""

import sys
from pathlib import Path

from t0native.base.children import TAIL, environment, how_it_ended

__all__ = ["TAIL", "Failed", "command", "environment", "how_it_ended"]


class Failed(Exception):
    """A child that cannot be started, or ended without an answer; its text says why."""


def command(module, *arguments):
    """The command line of a child. module: of this package.  arguments: str, or Path, which becomes absolute.

    >>> command("intake", "csv", Path("/rows.csv"))[1:]
    ['-P', '-m', 't0native.studio.intake', 'csv', '/rows.csv']
    """
    absolute = [str(argument.absolute()) if isinstance(argument, Path) else argument for argument in arguments]
    return [sys.executable, "-P", "-m", f"t0native.studio.{module}", *absolute]
