"""The house rules that a machine can check: dependency law, sizes, names, banned calls."""

import ast
import io
import re
import subprocess
import tokenize
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
from c_sources import calls, circles, code_of, comments_of
from code_links import PAGE, checked
from python_imports import imports_of, modules_in

ROOT = Path(__file__).parent.parent
C_FILES = sorted(ROOT.glob("csrc/*/*.[ch]"))
C_TESTS = sorted(ROOT.glob("tests/c/*.[ch]"))
PYTHON_FILES = sorted((ROOT / "t0native").rglob("*.py"))
PYTHON_TESTS = sorted((ROOT / "tests").rglob("*.py"))
SOURCE_PATHS = [
    f"/{file.relative_to(ROOT)}"
    for file in [*C_FILES, *C_TESTS, *PYTHON_FILES, *PYTHON_TESTS, *ROOT.glob("*.py"), *ROOT.glob("benchmarks/**/*.[chp]*")]
]
CORE = {"base", "text", "nn", "t5"}
MAY_INCLUDE = {
    "base": {"base"},
    "text": {"base", "text"},
    "nn": {"base", "nn"},
    "t5": {"base", "nn", "t5"},
    "template": {"base", "template"},
    "py": {"base", "text", "nn", "t5", "template", "py"},
}
PYTHON = modules_in(ROOT / "t0native")
# What each room of t0native/ may import besides itself and the core. A room is a folder, or a file that stands in the hall.
# To come: tokenizers of other kinds go into text; GGUF and CTranslate2 files into checkpoints;
# the frameworks that people use into a room above training; MPI into training, Dask into evaluation; a server beside studio.
MAY_IMPORT = {
    "base": set(),
    "text": {"base"},
    "data": {"base"},
    "checkpoints": {"base", "text"},
    "adapters": {"base", "checkpoints"},
    "prompts": {"base", "data"},
    "promptsource": {"base", "prompts"},
    "generation": {"base", "text"},
    "models": {"base", "text", "checkpoints", "adapters", "generation"},
    "tasks": {"base", "data", "prompts"},
    "mini": {"base", "text", "data", "checkpoints", "prompts", "models", "tasks"},
    "suites": {"base", "data", "prompts", "tasks", "mini"},
    "reports": {"base", "tasks"},
    "evaluation": {"base", "generation", "models", "tasks", "suites", "reports"},
    "prediction": {"base", "data", "prompts", "generation", "reports"},
    "training": set("base text data checkpoints adapters prompts generation models tasks mini suites reports evaluation".split()),
    "experiments": {"base", "models", "tasks", "mini", "reports", "evaluation", "training"},
    "frameworks": {"base", "generation", "models"},
    "classification": {"base", "text", "data", "prompts", "reports", "prediction"},
    "studio": {"base", "text", "data", "prompts", "promptsource", "models"},
}
MAY_IMPORT["cli"] = set(MAY_IMPORT)
MAY_IMPORT["__main__"] = {"cli"}
MAY_CALL_IN_CIRCLES = {  # the files of each circle of calls that there may be
    "evaluator": {"evaluate.c", "execute.c", "functions.c", "lazy.c", "lookup.c", "loop.c", "macro.c", "methods.c"}
}
FOREIGN = {"evaluation/run_eval.py", "network.py"}  # files of other projects that comments name: of t-zero, of T5X
FILE_NAME = re.compile(r"(?<![\w.<-])((?:[\w-]+/)*[\w*]+\.(?:c|h|py))\b(?![\w.(/])")


def test_there_is_something_to_check():
    assert len(C_FILES) > 20 and len(C_TESTS) > 5 and len(PYTHON_FILES) > 10


@pytest.mark.parametrize("file", C_FILES, ids=lambda file: file.name)
def test_includes_follow_the_dependency_law(file):
    part = file.parent.name
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', file.read_text(), flags=re.M):
        assert "/" in name, f"{file.name} includes {name}: write the folder too"
        assert name.split("/")[0] in MAY_INCLUDE[part], f"{part}/{file.name} may not include {name}"
    system = re.findall(r"^\s*#\s*include\s+<([^>]+)>", file.read_text(), flags=re.M)
    if part not in {"template", "py"}:
        assert not [name for name in system if name.startswith("Python") or "structmember" in name]
    if part != "py":
        assert not [name for name in system if name.startswith("numpy")]


def room_of(module):
    """The room of t0native.ROOM.module; of the hall's own __init__, "hall"."""
    return (module.split(".") + ["hall"])[1]


@pytest.mark.parametrize("module", PYTHON)
def test_imports_follow_the_law_of_the_rooms(module):
    if module == "t0native":  # whose names are loaded when they are asked for
        return
    room = room_of(module)
    for name, line, _ in imports_of(PYTHON[module], PYTHON):
        assert room_of(name) in MAY_IMPORT[room] | {room}, f"{module}, line {line}: {room} may not import {name}"


def test_the_law_of_the_rooms_is_a_ladder():
    """Each room only imports rooms that stand above it in the table, so that no two can need each other."""
    order = list(MAY_IMPORT)
    for room, below in MAY_IMPORT.items():
        assert below <= set(order[: order.index(room)]), room
    assert set(order) == {room_of(module) for module in PYTHON} - {"hall"}


def test_no_two_modules_import_each_other():
    """Not even by imports inside functions."""
    assert circles({module: {name for name, _, _ in imports_of(file, PYTHON)} for module, file in PYTHON.items()}) == []


@pytest.mark.parametrize("module", PYTHON)
def test_no_module_imports_what_is_private_to_another(module):
    """A name that begins with an underscore is its module's own; the core, which is all of ours, aside."""
    private = [
        f"line {node.lineno}: {alias.name} of {node.module}"
        for node in ast.walk(ast.parse(PYTHON[module].read_text()))
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "t0native"
        for alias in node.names
        if alias.name.startswith("_") and alias.name not in ("_core", "__version__")
    ]
    assert private == []


def test_the_hall_is_small():
    """Stubs aside: one of the core, and one of each public module, for type checkers."""
    skipped = (".", "_core.c", "lib")
    assert (
        len(
            [
                path
                for path in (ROOT / "t0native").iterdir()
                if path.is_file() and path.suffix != ".pyi" and not path.name.startswith(skipped)
            ]
        )
        <= 7
    )


@pytest.mark.parametrize("file", [file for file in C_FILES if file.parent.name in CORE], ids=lambda file: file.name)
def test_the_core_neither_prints_nor_exits(file):
    found = re.findall(r"\b(?:printf|fprintf|puts|exit|abort|system|popen)\s*\(", code_of(file))
    assert not found, f"{file.name}: {found}"


def test_no_circle_of_calls_but_the_known_ones():
    """Of files: one calls a function of another, and that one, through any others, a function of the first."""
    found = [{file.name for file in circle} for circle in circles(calls(C_FILES))]
    known = list(MAY_CALL_IN_CIRCLES.values())
    assert not [sorted(circle) for circle in found if circle not in known], "new circles, or known ones that have grown or shrunk"
    assert not [name for name, circle in MAY_CALL_IN_CIRCLES.items() if circle not in found], (
        "circles that are gone: take them out of the table"
    )


def test_circles_of_calls_are_found(tmp_path):
    """Through a function of a macro and through an inline one of a header; a static function of the same name does not count."""
    sources = {
        "a.c": '#include "m.h"\nint first(void) {\n    return run_second();\n}\n',
        "b.c": '#include "m.h"\nRUN(second) { return through(); }\n',
        "c.c": "static int first(void) { return 1; }\nint third(void) { return run_second(); }\n/* third() */\n",
        "m.h": "#define RUN(name) int run_##name(void)\nint first(void);\nstatic inline int through(void) {\n    return first();\n}\n",
    }
    for name, text in sources.items():
        (tmp_path / name).write_text(text)
    graph = calls(sorted(tmp_path.iterdir()))
    assert {file.name: {other.name for other in others} for file, others in graph.items()} == {
        "a.c": {"b.c"},
        "b.c": {"a.c"},
        "c.c": {"b.c"},
    }
    assert circles(graph) == [{tmp_path / "a.c", tmp_path / "b.c"}]


def python_comments_of(file):
    """Comments and docstrings."""
    text = file.read_text()
    yield from (token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""


@pytest.mark.parametrize("file", C_FILES + C_TESTS + PYTHON_FILES + PYTHON_TESTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_comments_name_files_that_exist(file):
    """By name or by the end of the path; filter_*.c and kernels_NAME.c stand for one at least."""
    comments = comments_of(file) if file.suffix in {".c", ".h"} else python_comments_of(file)
    named = {name for comment in comments for name in FILE_NAME.findall(comment)} - FOREIGN
    assert not {name for name in named if not any(fnmatch(path, f"*/{name.replace('NAME', '*')}") for path in SOURCE_PATHS)}


@pytest.mark.parametrize("file", C_FILES + C_TESTS + PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_are_short(file):
    limit = 900 if re.search(r"kernels_(avx|neon)", file.name) else 600
    lines = len(file.read_text().splitlines())
    assert lines <= limit, f"{file.name}: {lines} lines, at most {limit}"


@pytest.mark.parametrize("file", C_FILES + C_TESTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_c_files_open_with_what_they_hold(file):
    assert file.read_text().startswith("/* "), f"{file.name}: its first line must open a comment"


def function_lengths(text):
    """(name, lines) of each C function: a line that ends in '{' at column 0's block, up to '}' at column 0."""
    start = name = None
    for number, line in enumerate(text.splitlines()):
        if start is None and re.match(r"[A-Za-z_].*", line) and not line.startswith(("typedef", "struct", "enum", "union", "#")):
            match = re.search(r"\b(\w+)\s*\(", line)
            if match and not line.rstrip().endswith(";"):
                start, name = number, match.group(1)
        elif start is not None and line.startswith("}"):
            yield name, number - start + 1
            start = None
        elif start is not None and line.rstrip().endswith(";") and not line.startswith((" ", "\t")):
            start = None


@pytest.mark.parametrize(
    "file", [file for file in C_FILES + C_TESTS if file.suffix == ".c" and not file.name.startswith("kernels_")], ids=lambda file: file.name
)
def test_functions_are_short(file):
    long = [(name, lines) for name, lines in function_lengths(file.read_text()) if lines > 60]
    assert not long, long


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_python_functions_are_short(file):
    """Lines of the body, without signature and docstring."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef):
            body = node.body[ast.get_docstring(node) is not None :]
            lines = node.end_lineno - body[0].lineno + 1 if body else 0
            assert lines <= 60, f"{node.name}: {lines} lines, at most 60"


def test_file_names_are_unique():
    seen = {}
    for file in C_FILES + sorted(ROOT.glob("tests/**/*.[chp]*")):
        if file.suffix in {".c", ".h", ".py"} and file.name not in {"__init__.py", "__main__.py"}:
            assert file.name not in seen, f"{file} and {seen[file.name]}"
            seen[file.name] = file


def test_asserts_are_in_sanitized_builds_alone():
    from t0native import _core

    code = Path(_core.__file__).read_bytes()
    assert (b"__assert_fail" in code) == (b"__asan_init" in code or b"__tsan_init" in code)


def test_no_flag_changes_the_arithmetic():
    for file in [ROOT / "setup.py", *C_FILES]:
        assert not re.search(r"-?ffast-math|march=native|-Ofast", file.read_text()), file.name


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_python_executes_nothing_from_data(file):
    banned = r"\bpickle\.loads?\(|\bmarshal\b|\bdill\b|yaml\.(?:full_|unsafe_)?load\(|\beval\(|\bexec\(|shell=True|\bos\.system\("
    assert not re.findall(banned, file.read_text()), file.name


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_json_is_written_in_one_place(file):
    """By json_text, which says what becomes of numbers that JSON does not have."""
    if file == ROOT / "t0native/base/jsontext.py":
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {
        f"json.{name.name}" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "json" for name in node.names
    }
    assert not names & {"json.dump", "json.dumps", "json.JSONEncoder"}, "write it by base/jsontext.py's json_text"


@pytest.mark.parametrize("file", PYTHON_FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_values_stand_in_messages_by_shown_alone(file):
    """Never by {value!r} or by repr, but where a class says what it is: a value may be megabytes long, hold a terminal's escapes, or have
    more digits than Python turns into text (base/showing.py)."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    own = {
        id(node) for inner in ast.walk(tree) if isinstance(inner, ast.FunctionDef) and inner.name == "__repr__" for node in ast.walk(inner)
    }
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.FormattedValue) and node.conversion in (ord("r"), ord("a")) and id(node) not in own
    ]
    assert file.name == "showing.py" or found == [], "show it by base/showing.py's shown, or name it by its named"


def test_nothing_is_left_unfinished():
    marks = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|NotImplementedError)\b")
    for file in C_FILES + PYTHON_FILES:
        assert not marks.search(file.read_text()), file.name


def test_hints_name_packages_and_no_extra_of_an_index():
    """The package is on no index: `pip install 't0native[plot]'` would bring whatever a stranger puts there."""
    files = [*PYTHON_FILES, *C_FILES, ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("notebooks/*.ipynb")]
    named = re.compile(r"(?:t0native\[|pip install (?:-\S+ )*['\"]?t0native\b)")
    assert [file.name for file in files if named.search(file.read_text(encoding="utf-8"))] == []


def test_pure_core_compiles_without_python_headers(tmp_path):
    """The core is C11 with POSIX alone, and clean under strict warnings."""
    for file in C_FILES:
        if file.suffix == ".c" and file.parent.name in CORE:
            command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Wshadow", "-Werror", "-fsyntax-only", f"-I{ROOT / 'csrc'}", str(file)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_the_page_about_the_code_leads_to_the_lines_it_means():
    text = PAGE.read_text(encoding="utf-8")
    assert checked(text)[1] == [], "python tests/code_links.py --write"
    assert len(text.splitlines()) <= 200


def test_every_room_is_a_package_that_is_installed():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = [f"t0native.{folder.name}" for folder in (ROOT / "t0native").iterdir() if list(folder.glob("*.py"))]
    assert sorted(listed) == sorted(["t0native", *rooms])
