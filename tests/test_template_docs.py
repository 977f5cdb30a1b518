"""docs/reference/templates.md says what the compiler takes: its lists against the core's, its differences against Jinja2."""

import re
from pathlib import Path

import pytest
from jinja_oracle import ENV
from jinja_oracle import render as jinja

import t0native as t0
from t0native._core import Template
from t0native.base.errors import TemplateError

TEXT = (Path(__file__).parent.parent / "docs" / "reference" / "templates.md").read_text(encoding="utf-8")
METHODS = {name for kind in (str, list, dict, tuple, int, float, bytes, set) for name in dir(kind) if not name.startswith("_")}
FUNCTIONS = {*ENV.globals, "print", "open", "len", "str"}


def listed(kind):
    return set(re.search(rf"<!-- {kind} -->\n(.*?)<!-- end -->", TEXT, re.DOTALL)[1].split())


def takes(*sources):
    """Whether one of the sources compiles, or fails only for the number of its arguments."""
    for source in sources:
        try:
            Template(source)
        except TemplateError as error:
            if not re.search("lacks an argument|wrong number of arguments|needs a name|needs the name", str(error)):
                continue
        return True
    return False


@pytest.mark.parametrize("kind, candidates, source", [
    ("filters", {*ENV.filters}, "{{ x|NAME }}"), ("tests", {name for name in ENV.tests if name.isalpha()}, "{{ x is NAME }}"),
    ("functions", FUNCTIONS, "{{ NAME() }}"), ("methods", METHODS, "{{ x.NAME() }}"),
])  # fmt: skip
def test_the_lists_are_those_of_the_compiler(kind, candidates, source):
    assert {name for name in candidates | listed(kind) if takes(source.replace("NAME", name))} == listed(kind)


@pytest.mark.parametrize(
    "tag",
    [
        "include 'a'",
        "import 'a' as b",
        "from 'a' import b",
        "extends 'a'",
        "block a",
        "call a()",
        "autoescape true",
        "do a",
        "trans",
        "break",
        "continue",
    ],
)
def test_refused_tags_are_refused(tag):
    with pytest.raises(TemplateError, match="is not supported in a prompt"):
        Template(f"{{% for x in y %}}{{% {tag} %}}{{% endfor %}}")
    assert tag.split()[0] in TEXT or tag in ("break", "continue")  # loop controls


ROWS = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in TEXT.split("|---|---|---|---|\n")[1].splitlines()]
FIELDS = {"xs": [0], "n": 1, "name": "abs"}


def code(cell):
    """The text between the first two back ticks."""
    return cell.split("`")[1].replace("\\|", "|")


@pytest.mark.parametrize("what, theirs, ours, why", ROWS)
def test_differences_are_as_the_table_says(what, theirs, ours, why):
    source = code(what)
    expected = jinja(source, dict(FIELDS, xs=[0]))
    assert " at 0x" in expected if theirs == "prints an address" else expected == code(theirs)
    if ours.startswith("prints"):
        assert Template(source).render(FIELDS) == code(ours) != expected
    else:
        assert ours.startswith("refused") and why
        with pytest.raises(TemplateError):
            Template(source).render(FIELDS)


def test_the_table_is_short():
    assert 15 <= len(ROWS) <= 25 and all(len(row) == 4 for row in ROWS)


def test_an_object_of_a_row_prints_what_its_class_says():
    thing = object()
    assert t0.Prompt("p", "{{ f }} {{ [f] }} ||| x").apply({"f": thing}) == [f"{thing} [{thing}]", "x"]
    assert t0.Prompt("p", "{{ f }} {{ [f] }} ||| x").apply({"f": open})[0] == "<built-in function open> [<built-in function open>]"
