"""The notebooks run as they stand, each in a process of its own, and are stored clean.

Here with T0NATIVE_NOTEBOOK_BUDGET=small (tests/run_notebook.py, without Jupyter); whole, and by Jupyter, in .ci/run."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import t0native as t0

ROOT = Path(__file__).parent.parent
RUNNER = ROOT / "tests" / "run_notebook.py"
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def cells_of(path, kind):
    """The sources of a notebook's cells of that kind, in order."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def run(path, folder):
    """Runs a notebook in `folder`; the finished process. A warning is an error there."""
    package = str(Path(t0.__file__).parent.parent)
    environment = os.environ | {"PYTHONPATH": package, "T0NATIVE_NOTEBOOK_BUDGET": "small", "MPLBACKEND": "Agg", "TMPDIR": str(folder)}
    command = [sys.executable, "-P", "-W", "error", RUNNER, path]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)


def test_there_are_notebooks():
    numbers = [path.name[:2] for path in NOTEBOOKS]
    assert numbers == [f"{n:02}" for n in range(1, 7)]


@pytest.mark.slow
@each
def test_notebook(path, tmp_path):
    done = run(path, tmp_path)
    assert done.returncode == 0, f"{done.stderr}\n{done.stderr.rstrip().splitlines()[-1]}"


@each
def test_notebooks_are_stored_without_outputs(path):
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert cells and not any(cell["outputs"] or cell["execution_count"] for cell in cells)


@each
def test_cells_compile_and_claims_are_asserted(path):
    trees = [ast.parse(source, f"{path.name}, code cell {number}") for number, source in enumerate(cells_of(path, "code"), 1)]
    claims = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert len(claims) >= 8
    assert not [ast.unparse(claim) for claim in claims if not any(isinstance(node, ast.Name) for node in ast.walk(claim.test))]


@each
def test_prose_is_there_and_leads(path):
    prose = cells_of(path, "markdown")
    assert prose[0].startswith(f"# {int(path.name[:2])}. ") and all(text.strip() for text in prose)
    assert len(prose) * 3 >= len(cells_of(path, "code"))  # no long stretch of code without a word


@each
def test_nothing_of_a_machine_is_stored(path):
    text = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.:/])/(?:home|root|tmp|usr|work|Users|mnt|opt)\b", text)
    assert not re.findall(r"https?://|!pip|%\w+ ", text.replace("%% ", ""))  # no network, no magic


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        (["x = 1", "x", "y = x\nassert x == 2, 'two'"], "bad.ipynb, cell 4 (code cell 3), line 2: AssertionError: two"),
        (["def f():\n    return 1 / 0", "\nf()"], "bad.ipynb, cell 3 (code cell 2), line 2: ZeroDivisionError: division by zero"),
        (["a = 1", "a +"], "bad.ipynb, cell 3 (code cell 2), line 1: SyntaxError: invalid syntax"),
        (["class Bad:\n    def _repr_html_(self):\n        raise ValueError('no table')", "Bad()"], "bad.ipynb, cell 3 (code cell 2)"),
        (["import warnings", "warnings.warn('old')"], "bad.ipynb, cell 3 (code cell 2), line 1: UserWarning: old"),
    ],
)
def test_a_cell_that_fails_is_told(sources, told, tmp_path):
    cells = [{"cell_type": "markdown", "source": ["# Bad"]}, *({"cell_type": "code", "source": [text]} for text in sources)]
    (tmp_path / "bad.ipynb").write_text(json.dumps({"cells": cells}))
    done = run(tmp_path / "bad.ipynb", tmp_path)
    assert done.returncode == 1 and told in done.stderr.splitlines()[-1]


def test_the_last_value_of_a_cell_is_shown(tmp_path):
    cells = [{"cell_type": "code", "source": ["x = 'a text'\n", "x"]}, {"cell_type": "code", "source": ["'hidden';"]}]
    (tmp_path / "good.ipynb").write_text(json.dumps({"cells": cells}))
    done = run(tmp_path / "good.ipynb", tmp_path)
    assert done.returncode == 0 and "'a text'" in done.stdout and "hidden" not in done.stdout
