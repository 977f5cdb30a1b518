"""Jinja2's own test suite through a bridge: whatever its tests render by a default environment is rendered here too, and compared.

    python tests/jinja_suite.py FOLDER [--each]

FOLDER: the tests/ of Jinja2's source distribution, of the version that is installed:

    pip download --no-binary :all: --no-deps jinja2==3.1.6 && tar xzf jinja2-3.1.6.tar.gz        FOLDER: jinja2-3.1.6/tests

An environment is default where all its settings are (a loader apart); what its from_string or its loader compiles counts. Iterators
among a rendering's fields are made lists for both, since one reader uses them up. Outcomes:

    equal               the same text
    refused by both     at compiling or rendering
    refused here        for a reason of docs/reference/templates.md (REASONS): the count of each is printed
    drawn               random and lipsum draw by other numbers: the text differs, its length does not
    unexplained         anything else: the run fails"""

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import jinja2
from jinja2.loaders import BaseLoader

import t0native
from t0native._core import Template
from t0native.base.errors import TemplateError

REASONS = {  # what the refusal says: the reason, in the words of docs/reference/templates.md
    "is not supported in a prompt": "a prompt is one template",
    "filter 'pprint' is not supported here": "a help for debugging",
    "is not supported here": "Markup is for HTML",
    "see the documentation for the list": "a name is known when the template is compiled, or refused",
    "does not exist or is not supported": "a name is known when the template is compiled, or refused",
    "cannot be used like this": "of a value only items and methods can be reached",
    "are not supported in a macro": "what is called is known when the template is compiled",
    "* and ** arguments": "what is called is known when the template is compiled",
    "its own macros": "what is called is known when the template is compiled",
    "can be called, by their names": "what is called is known when the template is compiled",
    "is a function here: call it": "functions are no values",
    "more than 400 elif branches": "400 nested blocks and branches of `elif`",
}
SETTINGS = [
    "block_start_string", "block_end_string", "variable_start_string", "variable_end_string", "comment_start_string", "comment_end_string",
    "line_statement_prefix", "line_comment_prefix", "trim_blocks", "lstrip_blocks", "newline_sequence", "keep_trailing_newline",
    "extensions", "undefined", "finalize", "autoescape", "is_async", "sandboxed", "policies", "filters", "tests", "globals",
]  # fmt: skip
_from_string, _load, _render = jinja2.Environment.from_string, BaseLoader.load, jinja2.Template.render


def is_default(environment):
    fresh = jinja2.Environment()
    return type(environment) is jinja2.Environment and all(getattr(environment, name) == getattr(fresh, name) for name in SETTINGS)


def answer(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return error


def read_all(value):
    """An iterator as a list, and those that it gives."""
    if hasattr(type(value), "__next__"):
        return [read_all(item) for item in value]
    return tuple(map(read_all, value)) if type(value) is tuple else value


def judge(source, expected, got):
    """(outcome, reason)"""
    if isinstance(expected, Exception):
        return ("refused by both", "") if isinstance(got, TemplateError) else ("unexplained", "printed here alone")
    if not isinstance(got, Exception):
        if got == expected:
            return "equal", ""
        drawn = ("|random" in source or "lipsum" in source) and len(got) == len(expected)
        return ("drawn", "") if drawn else ("unexplained", "different")
    reasons = [reason for words, reason in REASONS.items() if words in str(got)] if isinstance(got, TemplateError) else []
    return ("refused here", reasons[0]) if reasons else ("unexplained", f"refused here: {got}")


class Bridge:
    """A plugin of pytest: takes the place of Jinja's compiling and rendering, keeps what came of each."""

    def __init__(self):
        self.test, self.found, self.sources = "", [], {}

    def note(self, source, fields, expected, got):
        outcome, reason = judge(source, expected, got)
        told = {"test": self.test, "source": source, "fields": repr(fields), "expected": repr(expected), "got": repr(got)}
        self.found.append({"outcome": outcome, "reason": reason, **told})

    def from_string(self, environment, source, *arguments, **keywords):
        try:
            template = _from_string(environment, source, *arguments, **keywords)
        except jinja2.TemplateSyntaxError as error:
            if is_default(environment):
                self.note(source, {}, error, answer(Template, source))
            raise
        template.source_here = source
        return template

    def load(self, loader, environment, name, *arguments):
        template = _load(loader, environment, name, *arguments)
        template.source_here = loader.get_source(environment, name)[0]
        return template

    def render(self, template, *arguments, **keywords):
        source = getattr(template, "source_here", None)
        if not isinstance(source, str) or not is_default(template.environment):
            return _render(template, *arguments, **keywords)
        given = {name: read_all(value) for name, value in dict(*arguments, **keywords).items()}
        own = {name: value for name, value in dict(template.globals).items() if name not in jinja2.defaults.DEFAULT_NAMESPACE}
        fields = answer(copy.deepcopy, {**own, **given})
        fields = {**own, **given} if isinstance(fields, Exception) else fields
        got = answer(lambda: Template(source).render(fields))
        expected = answer(lambda: _render(template, given))
        self.note(source, given, expected, got)
        if isinstance(expected, Exception):
            raise expected
        return expected

    def pytest_runtest_setup(self, item):
        self.test = item.nodeid

    def pytest_sessionfinish(self):
        Path(os.environ["JINJA_SUITE_FOUND"]).write_text(json.dumps(self.found))


def run_bridged(folder):
    """In a child: Jinja's tests with the bridge in place. Returns pytest's status."""
    import pytest

    bridge = Bridge()
    jinja2.Environment.from_string = lambda *arguments, **keywords: bridge.from_string(*arguments, **keywords)
    BaseLoader.load = lambda *arguments: bridge.load(*arguments)
    jinja2.Template.render = lambda *arguments, **keywords: bridge.render(*arguments, **keywords)
    return pytest.main(["-q", "--no-header", "-p", "no:cacheprovider", "--continue-on-collection-errors", str(folder)], plugins=[bridge])


def run_suite(folder):
    """What came of every rendering: a list of dicts with outcome, reason, test, source, fields, expected, got; and pytest's words."""
    with tempfile.TemporaryDirectory() as place:
        found = Path(place, "found.json")
        places = [str(Path(t0native.__file__).parent.parent), str(Path(__file__).resolve().parent)]
        environment = {**os.environ, "JINJA_SUITE_FOUND": str(found), "PYTHONPATH": os.pathsep.join(places)}
        environment.pop("PYTEST_ADDOPTS", None)
        code = f"import sys, jinja_suite; sys.exit(jinja_suite.run_bridged({str(folder)!r}))"
        child = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
        if not found.exists():
            raise RuntimeError(child.stdout + child.stderr)
        return json.loads(found.read_text()), child.stdout


def summary(found):
    """The counts as lines."""
    lines = [f"{count:5} {outcome}" for outcome, count in Counter(entry["outcome"] for entry in found).most_common()]
    reasons = Counter(entry["reason"] for entry in found if entry["outcome"] == "refused here")
    return [f"{len(found)} renderings and compilings", *lines, *(f"{count:12} {reason}" for reason, count in reasons.most_common())]


def main(folder, *options):
    found, words = run_suite(Path(folder).resolve())
    print(words.strip().rpartition("\n")[2], *summary(found), sep="\n")
    bad = [entry for entry in found if entry["outcome"] == "unexplained" or options]
    for entry in bad:
        print("", *(f"{key}: {value}" for key, value in entry.items()), sep="\n")
    return 1 if bad or not found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
