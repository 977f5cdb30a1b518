"""Which module of the package imports which, read from the sources: at load, and inside functions."""

import ast
from pathlib import Path


def module_of(file, root):
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules_in(package):
    """name -> file of every module of a package folder."""
    return {module_of(file, package.parent): file for file in sorted(Path(package).rglob("*.py"))}


def imports_of(file, modules):
    """(module, line, at_load) of each import of one of `modules` that the file has. `from package import name` counts for the module
    package.name where there is one, else for the package. What stands under `if TYPE_CHECKING:` is no import."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {node for outer in ast.walk(tree) if isinstance(outer, (ast.FunctionDef, ast.Lambda)) for node in ast.walk(outer)}
    typing = {
        node
        for outer in ast.walk(tree)
        if isinstance(outer, ast.If) and ast.unparse(outer.test) == "TYPE_CHECKING"
        for node in ast.walk(outer)
    }
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in modules else node.module for alias in node.names]
        else:
            continue
        for name in dict.fromkeys(names):
            if name in modules and (name, getattr(node, "names", [None])[0].name) != ("t0native", "_core"):  # the core is under them all
                yield name, node.lineno, node not in inside
