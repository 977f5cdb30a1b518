"""How long files and functions are, what `import t0native` loads and takes, and which files call or import each other in circles.

python tests/measure_sources.py [FOLDER] [--runs 15]          FOLDER: a checkout, by default this one; Markdown on stdout

functions   C: a brace counter over the text without comments, strings and directives, from the line of the name (or of its
            type) to the closing brace; macros do not count. Python: the syntax tree, nested ones and docstrings included;
            parameters without self and cls
comments    share of lines that hold a comment or a part of one or, in Python, of a docstring
90 %        the smallest value that nine tenths do not exceed
circles     strongly connected groups of files. Python: of imports when a module is loaded, then with those inside functions
            too (not those for type checkers alone, nor of `_core` and `__version__`). C: of calls from one .c file into another."""

import argparse
import ast
import io
import os
import re
import statistics
import subprocess
import sys
import tokenize
from collections import defaultdict
from pathlib import Path

from c_sources import calls, circles
from python_imports import imports_of, modules_in

ROOT = Path(__file__).resolve().parent.parent
LONG = 60  # lines
COLUMNS = (
    "", "files", "lines", "file median / 90 % / max", "functions", "function median / 90 % / max", f"> {LONG} lines",
    "parameters 90 % / max", "comments",
)  # fmt: skip


# ---- C --------------------------------------------------------------------------------------------------------------------


def blanked(text, pattern):
    """The text with every match of the pattern made of spaces; lines stay lines."""
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found.group()), text, flags=re.DOTALL)


NOT_CODE = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\''


def c_code(text):
    """The text without comments, literals and preprocessor directives."""
    return blanked(blanked(text, NOT_CODE), r"(?:(?<=\n)|\A)[ \t]*#(?:\\\n|[^\n])*")


def outer_blocks(code):
    """(head, begin, end) of each block in braces at depth 0: head is what stands before it since the last block or semicolon."""
    depth, since, opened = 0, 0, 0
    for place in re.finditer(r"[{};]", code):
        at, mark = place.start(), place.group()
        if mark == "{":
            if depth == 0:
                opened = at
            depth += 1
        elif mark == "}":
            depth -= 1
            if depth == 0:
                yield code[since:opened], since, opened, at
                since = at + 1
        elif depth == 0:
            since = at + 1


def c_functions(code):
    """(name, whether static, number of parameters, lines, body) of each function."""
    for head, since, opened, closed in outer_blocks(code):
        found = re.search(r"(\w+)\s*\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\s*$", head)
        if not found or "=" in head[: found.start()] or re.match(r"\s*(?:typedef|enum)\b", head):
            continue
        first = code.count("\n", 0, since + len(head) - len(head.lstrip()))
        inner = found.group(2)
        while "(" in inner:
            inner = re.sub(r"\([^()]*\)", "", inner)
        parameters = 0 if inner.strip() in ("", "void") else inner.count(",") + 1
        lines = code.count("\n", 0, closed) - first + 1
        yield found.group(1), bool(re.search(r"\bstatic\b", head)), parameters, lines, code[opened:closed]


def c_comment_lines(text):
    found = set()
    for place in re.finditer(NOT_CODE, text, flags=re.DOTALL):
        if place.group().startswith("/"):
            first = text.count("\n", 0, place.start())
            found.update(range(first, first + place.group().count("\n") + 1))
    return len(found)


def measure_c(path):
    text = path.read_text(encoding="utf-8")
    return text, [(name, parameters, lines) for name, _, parameters, lines, _ in c_functions(c_code(text))], c_comment_lines(text)


# ---- Python ---------------------------------------------------------------------------------------------------------------

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def parameters_of(arguments):
    names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")]) + bool(arguments.vararg) + bool(arguments.kwarg)


def python_comment_lines(text, tree):
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    found = {token.start[0] for token in tokens if token.type == tokenize.COMMENT}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS)) and ast.get_docstring(node, clean=False) is not None:
            found.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(found)


def measure_python(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
    measured = [(node.name, parameters_of(node.args), node.end_lineno - node.lineno + 1) for node in functions]
    return text, measured, python_comment_lines(text, tree)


def python_imports(folder):
    """({module: modules imported when it is loaded}, the same with imports inside functions) of the package in a folder."""
    modules = modules_in(folder / "t0native")
    loaded, ever = ({name: set() for name in modules} for _ in range(2))
    for name, path in modules.items():
        for other, _, at_load in imports_of(path, modules):
            for graph in (ever, loaded) if at_load else (ever,):
                graph[name].add(other)
    return tuple({name: others - {name} for name, others in graph.items()} for graph in (loaded, ever))


# ---- circles --------------------------------------------------------------------------------------------------------------


def gathered(graph, room):
    """The graph of rooms: room(node) -> name."""
    rooms = defaultdict(set)
    for node, others in graph.items():
        rooms[room(node)] |= {room(other) for other in others} - {room(node)}
    return rooms


def arrows(graph):
    return sum(map(len, graph.values()))


def show_circles(title, groups, write=str):
    print(f"\n{title}: {len(groups)}")
    for group in groups:
        print(f"- {len(group)}: {', '.join(sorted(map(write, group)))}")


# ---- tables ---------------------------------------------------------------------------------------------------------------


def spread(values):
    """'median / 90 % / max'."""
    values = sorted(values)
    return f"{statistics.median(values):.0f} / {values[-(-len(values) * 9 // 10) - 1]} / {values[-1]}" if values else "-"


def row(name, files, measure):
    measured = [measure(path) for path in files]
    lengths = [len(text.splitlines()) for text, _, _ in measured]
    functions = [one for _, found, _ in measured for one in found]
    lines, parameters = [one[2] for one in functions], [one[1] for one in functions]
    long = sum(length > LONG for length in lines)
    comments = sum(comment for *_, comment in measured) / max(1, sum(lengths))
    facts = (len(files), f"{sum(lengths):,}", spread(lengths), f"{len(functions):,}", spread(lines), long)
    return (name, *facts, spread(parameters).partition(" / ")[2] or "-", f"{comments:.0%}")


def rooms_of(files, top):
    """{name of the folder under top: its files}, those of top itself first."""
    rooms = defaultdict(list)
    for path in files:
        inner = path.relative_to(top).parts[:-1]
        rooms[inner[0] if inner else ""].append(path)
    return dict(sorted(rooms.items()))


def show_sizes(folder):
    print("|" + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for top, pattern, measure in (
        ("csrc", "*/*.[ch]", measure_c), ("t0native", "**/*.py", measure_python), ("tests", "**/*.py", measure_python),
        ("tests/c", "*.[ch]", measure_c), ("benchmarks", "**/*.py", measure_python), ("benchmarks/c", "*.[ch]", measure_c),
    ):  # fmt: skip
        files = sorted((folder / top).glob(pattern))
        if not files:
            continue
        print("| " + " | ".join(map(str, row(f"**{top}**", files, measure))) + " |")
        rooms = rooms_of(files, folder / top)
        for name, own in rooms.items() if len(rooms) > 1 else ():
            print("| " + " | ".join(map(str, row(f"{top}/{name}", own, measure))) + " |")


def longest(folder, n=5):
    found = [(lines, name, path) for path in folder.glob("csrc/*/*.[ch]") for name, _, lines in measure_c(path)[1]]
    found += [(lines, name, path) for path in folder.glob("t0native/**/*.py") for name, _, lines in measure_python(path)[1]]
    told = [f"{name} {lines} ({path.relative_to(folder)})" for lines, name, path in sorted(found, key=lambda one: -one[0])[:n]]
    print(f"\nLongest functions of csrc and t0native: {', '.join(told)}")


# ---- the import, timed ----------------------------------------------------------------------------------------------------

CHILD = """
import sys, time
before = len(sys.modules)
wall, own = time.perf_counter(), time.process_time()
import {name}
wall, own = time.perf_counter() - wall, time.process_time() - own
ours = [name for name in sys.modules if name.split(".")[0] == "t0native"]
print(wall, own, len(sys.modules) - before, len(ours))
"""


def import_once(folder, name):
    """(wall seconds, processor seconds, modules loaded, those of t0native) of an import in a fresh process; None where it fails."""
    command = [sys.executable, "-c", CHILD.format(name=name)]
    done = subprocess.run(command, check=False, cwd="/", env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True)
    if done.returncode:
        print(f"\nimport {name}: {done.stderr.strip().splitlines()[-1]}")
        return None
    return [float(word) for word in done.stdout.split()]


def show_import(folder, runs):
    numpy, ours = [], []
    for _ in range(runs):
        for name, found in (("numpy", numpy), ("t0native", ours)):
            found.append(import_once(folder, name))
            if found[-1] is None:
                return
    (_, _, theirs, _), (_, _, every, own) = numpy[0], ours[0]
    print(f"\n`import t0native`: {own:.0f} modules of ours, {every - theirs:.0f} more than `import numpy` in all ({theirs:.0f})")
    for what, column in (("wall", 0), ("processor", 1)):
        beyond = statistics.median(b[column] - a[column] for a, b in zip(numpy, ours))
        first, second = (statistics.median(one[column] for one in found) for found in (numpy, ours))
        medians = f"{second * 1e3:.1f} ms, NumPy alone {first * 1e3:.1f} ms"
        print(f"- {what} time, median of {runs} pairs: {beyond * 1e3:.1f} ms beyond NumPy's ({medians})")


def show_graphs(folder):
    loaded, ever = python_imports(folder)
    print(f"\nPython: {len(ever)} modules, {arrows(loaded)} imports when loaded, {arrows(ever) - arrows(loaded)} more inside functions")
    show_circles("Circles of Python modules when loaded", circles(loaded))
    show_circles("Circles of Python modules with imports inside functions", circles(ever))

    def room(module):
        """The package, for the package's own modules its name; what begins a program stands for itself."""
        parts = module.split(".")
        return module if parts[-1] == "__main__" or module in packages else ".".join(parts[:2]) if len(parts) > 2 else parts[0]

    packages = {".".join(module.split(".")[:2]) for module in ever if module.count(".") > 1}
    show_circles("Circles of Python packages", circles(gathered(ever, room)))
    graph = calls(sorted(folder.glob("csrc/*/*.[ch]")))
    print(f"\nC: {len(graph)} .c files, {arrows(graph)} of files that call into another")
    show_circles("Circles of .c files by call", circles(graph), lambda path: str(path.relative_to(folder / "csrc")))
    show_circles("Circles of folders of csrc by call", circles(gathered(graph, lambda path: path.parent.name)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--runs", type=int, default=15)
    args = parser.parse_args()
    folder = args.folder.resolve()
    show_sizes(folder)
    longest(folder)
    show_import(folder, args.runs)
    show_graphs(folder)


if __name__ == "__main__":
    main()
