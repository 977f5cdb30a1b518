"""Types of the public face: everything is annotated, and type checkers take right scripts and find the mistakes of wrong ones."""

import importlib
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from conftest import lacking as not_here
from conftest import needed

import t0native as t0
from t0native import promptsource
from t0native.generation import options
from t0native.models import keywords
from t0native.prompts import preview
from t0native.text import addedtokens

PACKAGE = Path(t0.__file__).parent
SCRIPTS = Path(__file__).parent / "typing"
CALLED_BY_SIGNS = ("__init__", "__len__", "__getitem__", "__iter__", "__contains__", "__call__", "__enter__", "__exit__")


def public_callables():
    """{name: function} of the public names and modules, and of the classes that they give."""
    found = {}
    modules = [getattr(t0, name) for name in t0._MODULES]
    modules += [
        importlib.import_module(f"t0native.{name}") for name in ("promptsource", "text.tokenizer", "prompts.notes", "tasks.mixture")
    ]
    values = [getattr(t0, name) for name in t0.__all__] + [getattr(module, name) for module in modules for name in module.__all__]
    values += [addedtokens.AddedToken, preview.Preview, promptsource.Template.Metadata]
    for value in values:
        if inspect.isfunction(value):
            found[f"{value.__module__}.{value.__qualname__}"] = value
        for kind in value.__mro__ if inspect.isclass(value) else ():
            if kind.__module__.startswith("t0native.") and kind.__module__ != "t0native._core":
                found |= {f"{kind.__module__}.{kind.__qualname__}.{name}": member for name, member in members_of(kind)}
    return found


def members_of(kind):
    for name, value in vars(kind).items():
        value = value.fget if isinstance(value, property) else value
        value = getattr(value, "__func__", value)
        if inspect.isfunction(value) and (not name.startswith("_") or name in CALLED_BY_SIGNS):
            if value.__code__.co_filename != "<string>":  # which a dataclass has written
                yield name, value


def lacking(function):
    """Parameters without an annotation; "return"."""
    signature = inspect.signature(function)
    names = [name for name, parameter in signature.parameters.items() if parameter.annotation is parameter.empty]
    return [name for name in names if name not in ("self", "cls")] + ["return"] * (signature.return_annotation is signature.empty)


def test_the_public_face_is_annotated():
    found = public_callables()
    assert len(found) > 150 and {"t0native.models.model.Model.rank", "t0native.training.train.train"} <= set(found)
    assert {name: missing for name, function in found.items() if (missing := lacking(function))} == {}


def test_lacking_annotations_are_found():
    def half(self, a: int, b, *more: str, **others) -> None: ...

    assert lacking(half) == ["b", "others"] and lacking(lambda x: x) == ["x", "return"]


def test_names_for_type_checkers_are_the_names_there_are():
    """`__getattr__` gives what stands under TYPE_CHECKING, and each public module has its stub."""
    text = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    block = text[text.index("if TYPE_CHECKING:") : text.index("_HOME = {")]
    given = set(re.findall(r"import (?:\w+ as )?(\w+)$", block, flags=re.M))
    assert given == {*t0._HOME, *t0._MODULES}
    stubs = {path.stem: path.read_text() for path in PACKAGE.glob("*.pyi") if path.stem != "_core"}
    assert stubs == {name: f"from t0native.{home} import *\n" for name, home in t0._MODULES.items() if name != home}


def test_tables_of_keywords_are_the_keywords_there_are():
    def names(function):
        return set(inspect.signature(function).parameters)

    reading, judging = set(keywords.Reading.__annotations__), set(keywords.Judging.__annotations__)
    assert reading < set(keywords.Encoding.__annotations__)
    assert set(keywords.Encoding.__annotations__) | {"self", "inputs", "pooling"} == names(t0.Model.encode)
    assert judging | {"self", "inputs", "choices", "token_scores"} == names(t0.Model.rank)
    assert judging | {"self", "inputs", "targets", "token_scores"} == names(t0.Model.score)
    form, idle = {"num_return_sequences", "output_scores"}, {"pad_token_id", "use_cache"}
    generating, streaming = set(keywords.Generating.__annotations__), set(keywords.Streaming.__annotations__)
    assert generating | form == set(options._KINDS) | idle | names(t0.Model.generate) - {"self", "inputs", "options"}
    assert streaming == generating - {"num_beams", "length_penalty", "early_stopping", "places", "progress"}


# ---- type checkers -------------------------------------------------------------------------------------------------------


def marked():
    """Numbers of the lines of wrong.py that are marked."""
    lines = (SCRIPTS / "wrong.py").read_text().splitlines()
    return {number for number, line in enumerate(lines, 1) if "  # error: " in line}


def found(errors):
    """{file name: {line: first error}} of (path, line, message)."""
    files = {"right.py": {}, "wrong.py": {}}
    for path, line, message in errors:
        files.setdefault(Path(path).name, {}).setdefault(int(line), message)
    return files


def run_mypy(folder, cache):
    """In a process whose sys.path has the package, which mypy does not take from PYTHONPATH."""
    search = {} if PACKAGE.parent.name == "site-packages" else {"MYPYPATH": str(PACKAGE.parent)}
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--no-error-summary",
        "--hide-error-context",
        "--cache-dir",
        str(cache),
    ]
    scripts = [str(SCRIPTS / name) for name in ("right.py", "wrong.py")]
    done = subprocess.run([*command, *scripts], capture_output=True, text=True, cwd=folder, env=os.environ | search)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return [match.groups() for match in re.finditer(r"^(.*\.pyi?):(\d+): error: (.*)$", done.stdout, flags=re.M)]


def run_pyright(folder):
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable]
    scripts = [str(SCRIPTS / name) for name in ("right.py", "wrong.py")]
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONSAFEPATH": "1"}
    done = subprocess.run([*command, *scripts], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    seen = [one for one in json.loads(done.stdout)["generalDiagnostics"] if one["severity"] == "error"]
    return [(one["file"], one["range"]["start"]["line"] + 1, one["message"]) for one in seen]


def test_mypy_takes_what_is_right_and_finds_what_is_wrong(tmp_path, request):
    needed("mypy", "pip install '.[test]'")
    errors = found(run_mypy(tmp_path, kept.mkdir("mypy") if (kept := getattr(request.config, "cache", None)) else tmp_path / "cache"))
    assert errors.pop("right.py") == {} and set(errors.pop("wrong.py")) == marked() and errors == {}


def test_pyright_takes_what_is_right_and_finds_what_is_wrong(tmp_path):
    if shutil.which("pyright") is None:
        not_here("pyright is not installed: pip install '.[types]'")
    needed("matplotlib", "pip install matplotlib (pyright --strict reports a parameter whose type it cannot find)")
    errors = found(run_pyright(tmp_path))
    assert errors.pop("right.py") == {} and set(errors.pop("wrong.py")) == marked() and errors == {}
