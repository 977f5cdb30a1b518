"""An extension of Griffe: docstrings of this package as Markdown.

name: what it is.  other: what that is     ->  a list, where every name is a parameter, a field or a word before a colon
>>> example                                ->  a block of Python
indented after a blank line                ->  a block of text, as Markdown has it"""

import re

import griffe

_NAMES = r"[A-Za-z_][\w.]*(?:(?:, | and |, or | or )[A-Za-z_][\w.]*)*: "
_ITEM = re.compile(_NAMES)
_NEXT = re.compile(rf"(?<=[.;)])  +(?={_NAMES})")


def as_markdown(text):
    """The docstring with its lists of names and its examples in Markdown."""
    parts = re.split(r"\n\s*\n", text.strip("\n"))
    return "\n\n".join(_part(part) for part in parts)


def _part(part):
    lines = part.split("\n")
    start = next((number for number, line in enumerate(lines) if line.startswith(">>> ")), None)
    if start is not None:
        example = "```python\n" + "\n".join(lines[start:]) + "\n```"
        return example if start == 0 else _part("\n".join(lines[:start])) + "\n\n" + example
    if lines[0].startswith("    "):
        return "```text\n" + "\n".join(line.removeprefix("    ") for line in lines) + "\n```"
    return _items(lines)


def _items(lines):
    """A paragraph, or from the first line that begins with `name: ` on a list."""
    joined, first = [], next((number for number, line in enumerate(lines) if _ITEM.match(line)), None)
    if first is None:
        return "\n".join(lines)
    for line in lines[first:]:
        if _ITEM.match(line) or not joined:
            joined.append(line)
        else:
            joined[-1] += " " + line.strip()
    items = [piece for line in joined for piece in _NEXT.split(line)]
    listed = "\n".join(f"- {_ITEM.sub(lambda found: f'**{found[0][:-2]}**: ', item, count=1)}" for item in items)
    before = "\n".join(lines[:first])
    return f"{before}\n\n{listed}" if before else listed


class Docstrings(griffe.Extension):
    def on_object(self, *, obj, **_):
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)

    def on_package(self, *, pkg, **_):
        """A public module is a stub, `from t0native.reports.figures import *`: it has that module's docstring."""
        for module in pkg.modules.values():
            found = module.docstring is None and re.search(r"^from t0native\.([\w.]+) import \*", "\n".join(module.lines), flags=re.M)
            if found:
                module.docstring = pkg[found[1]].docstring
