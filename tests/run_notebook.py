"""Runs a notebook as a user would, top to bottom in one namespace, without Jupyter: python tests/run_notebook.py NOTEBOOK

    cell --parse--> statements, executed; the last one, where it is an expression, is shown: its _repr_html_ and its repr

The first cell that fails ends the run with status 1; the last line on stderr tells notebook, cell, line and error:
NOTEBOOK, cell N (code cell K), line L: ValueError: ..."""

import ast
import json
import linecache
import signal
import sys
import time
import traceback
from pathlib import Path


def code_cells(path):
    """(number among all cells, source) of a notebook's code cells, in order; cells are counted from 1."""
    cells = json.loads(Path(path).read_text(encoding="utf-8"))["cells"]
    return [(number, "".join(cell["source"])) for number, cell in enumerate(cells, 1) if cell["cell_type"] == "code"]


def run_cell(source, name, names):
    """Executes a cell in `names`, and shows its last value as Jupyter would."""
    linecache.cache[name] = (len(source), None, source.splitlines(True), name)  # tracebacks show the cell's lines
    body = ast.parse(source, name).body
    shown = body.pop().value if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    exec(compile(ast.Module(body, []), name, "exec"), names)
    if shown is None:
        return
    value = eval(compile(ast.Expression(shown), name, "eval"), names)
    if value is not None:
        getattr(value, "_repr_html_", lambda: None)()
        print(repr(value))


def place_of(error, name):
    """The line of the cell of that name where the error came from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name]
    return lines[-1] if lines else getattr(error, "lineno", None)


def run(path):
    """Runs all cells; returns the exit status."""
    path, names = Path(path), {"__name__": "__main__"}
    for count, (number, source) in enumerate(code_cells(path), 1):
        name, began = f"<{path.name}, cell {number}>", time.monotonic()
        try:
            run_cell(source, name, names)
        except BaseException as error:  # Ctrl-C and SystemExit fail a cell too
            traceback.print_exc()
            print(
                f"{path.name}, cell {number} (code cell {count}), line {place_of(error, name)}: {type(error).__name__}: {error}",
                file=sys.stderr,
            )
            return 1
        print(f"-- cell {number}: {time.monotonic() - began:.2f} s", flush=True)
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with SIGINT ignored
    sys.exit(run(sys.argv[1]))
