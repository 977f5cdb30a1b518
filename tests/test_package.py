"""The package as a whole: what importing it costs, what it says when it is not built, and files that are never half-written."""

import io
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from fakes import Terminal

import t0native as t0
from t0native.base import files
from t0native.base.progress import Progress

PACKAGE = Path(t0.__file__).parent


def python(code, folder, *options):
    environment = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}
    return subprocess.run([sys.executable, "-P", *options, "-c", code], capture_output=True, text=True, env=environment, cwd=folder)


def test_import_brings_only_what_is_needed():
    code = "import sys, numpy; before = set(sys.modules); import t0native; print(*sorted(set(sys.modules) - before))"
    done = python(code, PACKAGE.parent)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) - {"copy"} == {"t0native", "t0native._core"}  # templates copy containers by copy.copy


def test_every_public_name_is_there():
    for name in t0.__all__:
        assert getattr(t0, name) is not None
    assert set(t0.__all__) <= set(dir(t0))
    for name in t0._MODULES:
        assert hasattr(t0, name), name
    with pytest.raises(AttributeError, match="module 't0native' has no attribute 'Mixtur'; did you mean 'Mixture'?"):
        t0.Mixtur


def test_train_and_evaluate_stay_functions():
    code = "import t0native.cli.main, t0native.training.train, t0native.evaluation.evaluate, t0native as t0; print(callable(t0.train), callable(t0.evaluate))"
    assert python(code, PACKAGE.parent).stdout == "True True\n"


def test_a_package_that_is_not_built_says_how(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "t0native", ignore=shutil.ignore_patterns("*.so", "__pycache__", "mini"))
    done = python("import t0native", tmp_path, "-S")  # without site-packages, whose editable install would lend its _core
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: t0native is not built: ") and "pip install ." in last


def test_a_core_of_other_sources_says_how_to_build_it_again():
    old = "import sys, types; core = types.ModuleType('t0native._core'); core.__file__ = 'old.so'; sys.modules[core.__name__] = core; import t0native; t0native.Model"
    last = python(old, PACKAGE.parent).stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: old.so was built from other sources than") and "pip install -e ." in last


def test_sources_that_hide_the_installed_package_say_so(tmp_path):
    ignored = shutil.ignore_patterns("*.so", "__pycache__", "mini")
    for folder in ("sources", "site"):
        shutil.copytree(PACKAGE, tmp_path / folder / "t0native", ignore=ignored)
    for folder, info in (("sources", "t0native.egg-info/PKG-INFO"), ("site", "t0native-0.1.0.dist-info/METADATA")):
        (tmp_path / folder / info).parent.mkdir()
        (tmp_path / folder / info).write_text("Metadata-Version: 2.1\nName: t0native\nVersion: 0.1.0\n")
    done = python(f"import sys; sys.path.append({str(tmp_path / 'site')!r}); import t0native", tmp_path / "sources", "-S")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(
        f"ImportError: t0native is installed, but the sources in {tmp_path / 'sources'} hide it: start Python in another folder"
    )
    assert "During handling" not in done.stderr and "direct cause" not in done.stderr


def test_files_are_old_or_new_never_half(tmp_path, monkeypatch):
    path = tmp_path / "deep/a.json"
    files.write_json(path, {"é": [1.5, None]})
    assert path.read_text(encoding="utf-8") == '{\n "é": [\n  1.5,\n  null\n ]\n}\n'
    with pytest.raises(ZeroDivisionError):
        with files.replacing(path) as file:
            file.write("half")
            1 / 0
    with pytest.raises(t0.NumericError):
        files.write_json(path, float("nan"))
    for call in ("fsync", "replace"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files.os, call, _no_space)
            with pytest.raises(OSError, match="cannot write: no space left on the disk"):
                files.write_text(path, "new")
    assert path.read_text(encoding="utf-8").startswith('{\n "é"') and os.listdir(path.parent) == ["a.json"]


def _no_space(*arguments):
    raise OSError(28, "No space left on device")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_a_really_full_device():
    with open("/dev/full", "ab", buffering=0) as full, pytest.raises(OSError) as error:
        files.append_line(full, "x" * 10)
    assert error.value.errno == 28 and str(error.value).endswith("what was there before is unchanged: '/dev/full'")


def test_sets_of_files_appear_together_or_not_at_all(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with files.FileSet(tmp_path / "new") as together:
            together.add("a", b"one")
            1 / 0
    assert os.listdir(tmp_path) == []
    with files.FileSet(tmp_path / "new") as together:
        together.add("a", b"one", memoryview(b"two"))
        together.add("b", b"")
        assert not (tmp_path / "new/a").exists()
    assert (tmp_path / "new/a").read_bytes() == b"onetwo" and sorted(os.listdir(tmp_path / "new")) == ["a", "b"]


def test_progress_on_a_terminal_renews_its_line(monkeypatch):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    now = [100.0]
    monkeypatch.setattr("t0native.base.progress.time.monotonic", lambda: now[0])
    stream = Terminal()
    with Progress("train", 1000, stream=stream) as bar:
        for done in (1, 250, 1000):
            now[0] += 25
            bar.update(done, "loss 1.5")
    parts = stream.getvalue().split("\r")
    assert parts[2].rstrip() == "train  [#####---------------]  250/1,000  loss 1.5  2:30 left"
    assert parts[3].startswith("train  [####################]  1,000/1,000  loss 1.5") and parts[-1].endswith("\n")


def test_progress_elsewhere_is_a_line_now_and_then(monkeypatch):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    now = [0.0]
    monkeypatch.setattr("t0native.base.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress("train", 100, stream=stream) as bar:
        for done in range(1, 101):
            now[0] += 0.25
            bar.update(done)
    assert stream.getvalue().splitlines() == ["train  40/100  0:15 left", "train  80/100  0:05 left"]


@pytest.mark.parametrize("second, told", [(0.25, ["evaluate: 95 rows, about 0:23 in all"]), (0.05, [])])
def test_progress_estimates_what_lasts_after_the_first_moments(monkeypatch, second, told):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    now = [0.0]
    monkeypatch.setattr("t0native.base.progress.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    with Progress("evaluate", 100, done=5, estimate="rows", stream=stream) as bar:
        for done in range(6, 30):
            now[0] += second
            bar.update(done)
    assert stream.getvalue().splitlines() == told


def test_an_evaluation_tells_its_time(monkeypatch, capsys):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr("t0native.base.progress.MEASURED", 0.0)
    monkeypatch.setattr("t0native.base.progress.WORTH_TELLING", 0.0)
    task = t0.mini.held_out_tasks()[0]
    t0.evaluate(t0.mini.new_model(0), task, limit=4)
    line = rf"evaluate: {4 * len(task.prompts)} rows under their prompts, about 0:\d\d in all"
    assert re.fullmatch(line, capsys.readouterr().err.splitlines()[0])


def test_progress_can_be_switched_off(monkeypatch):
    for variable, on in (("0", True), ("1", False)):
        monkeypatch.setenv("T0NATIVE_PROGRESS", variable)
        stream = Terminal()
        with Progress("train", 10, on=on, stream=stream) as bar:
            bar.update(10)
        assert stream.getvalue() == ""


SUBINTERPRETERS = """
import sys, warnings
try:
    import _interpreters as interpreters  # CPython 3.13 and later
    kinds = [("isolated",), ("legacy",)]
    fails = lambda made, code: interpreters.exec(made, code)
except ImportError:
    import _xxsubinterpreters as interpreters
    kinds = [(), ()]
    def fails(made, code):
        try:
            interpreters.run_string(made, code)
        except interpreters.RunFailedError as error:
            return error
if sys.argv[1:]:
    import t0native
code = "import warnings; warnings.simplefilter('ignore')\\nimport t0native"
for number, kind in enumerate(kinds):
    made = interpreters.create(*kind) if kind else interpreters.create(isolated=not number)
    print(getattr(error := fails(made, code), "formatted", error))
    interpreters.destroy(made)
"""


@pytest.mark.parametrize("before", [[], ["loaded"]])
def test_subinterpreters_are_refused_by_a_sentence(before):
    """Those with a lock of their own and those that share one, whether or not the main interpreter has loaded the package."""
    environment = {"PYTHONPATH": str(PACKAGE.parent), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-P", "-c", SUBINTERPRETERS, *before], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    told = "t0native works in the main interpreter alone, and so does NumPy: in place of subinterpreters use threads or processes"
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all(told in line and "ImportError" in line for line in lines), done.stdout


def test_free_threaded_builds_run_with_their_lock():
    """CPython says so, in a warning of its own; ordinary builds have nothing to say."""
    free = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    done = python("import sys, numpy, t0native; print(getattr(sys, '_is_gil_enabled', lambda: True)())", PACKAGE.parent)
    assert done.stdout == "True\n" and ("has been enabled to load module 't0native._core'" in done.stderr) == free, done.stderr
