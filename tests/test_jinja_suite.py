"""Jinja2's own suite, by jinja_suite.py: every rendering of a default environment is equal here, or refused for a written reason."""

import os
from collections import Counter
from pathlib import Path

import jinja2
import pytest
from conftest import ROOT, lacking
from jinja_suite import REASONS, judge, run_suite, summary

from t0native.base.errors import TemplateError


@pytest.fixture(scope="module")
def suite():
    """(what came of every rendering, pytest's words)"""
    folder = Path(os.environ.get("T0NATIVE_JINJA_TESTS", ROOT.parent / "shared" / f"jinja2-{jinja2.__version__}" / "tests"))
    if not (folder / "test_filters.py").is_file():
        lacking(
            f"Jinja2's tests are not here: pip download --no-binary :all: --no-deps jinja2=={jinja2.__version__}, unpack it, "
            "and name its folder tests in T0NATIVE_JINJA_TESTS"
        )
    return run_suite(folder.resolve())


def test_every_rendering_is_equal_or_refused_for_a_written_reason(suite):
    found, _ = suite
    print(*summary(found), sep="\n")
    assert [entry for entry in found if entry["outcome"] == "unexplained"] == []
    counts = Counter(entry["outcome"] for entry in found)
    assert counts["equal"] >= 350 and counts["refused by both"] >= 20 and counts["drawn"] <= 20


def test_jinjas_tests_pass_with_the_bridge_in_place(suite):
    last = suite[1].strip().rpartition("\n")[2]
    assert " passed" in last and "failed" not in last


def test_every_reason_stands_in_the_documentation():
    text = (ROOT / "docs" / "reference" / "templates.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS.values() if reason not in text] == []


@pytest.mark.parametrize("expected, got, outcome", [
    ("a", "a", "equal"), ("a", "b", "unexplained"), (ValueError(), TemplateError(""), "refused by both"), (ValueError(), "a", "unexplained"),
    ("a", TemplateError("filter 'pprint' is not supported here"), "refused here"), ("a", TemplateError("no such words"), "unexplained"),
    ("a", KeyError("filter 'pprint' is not supported here"), "unexplained"), (ValueError(), KeyError("a"), "unexplained"),
])  # fmt: skip
def test_outcomes_are_judged_so(expected, got, outcome):
    assert judge("{{ x }}", expected, got)[0] == outcome
    assert judge("{{ x|random }}", "3", "7")[0] == "drawn" and judge("{{ x|random }}", "3", "77")[0] == "unexplained"
