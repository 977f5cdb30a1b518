"""The stub of the extension agrees with the extension."""

import subprocess
import sys
from pathlib import Path

from conftest import needed

needed("mypy", "pip install '.[test]'", module_level=True)


def test_stub_matches_the_extension(tmp_path):
    import t0native

    package = Path(t0native.__file__).parent
    assert (package / "py.typed").is_file() and (package / "_core.pyi").is_file()
    command = [sys.executable, "-m", "mypy.stubtest", "t0native._core", "--ignore-disjoint-bases"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(package.parent), "PATH": ""})
    assert done.returncode == 0, done.stdout + done.stderr
