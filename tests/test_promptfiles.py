"""Prompt files that were written by hand: slips that YAML itself lets pass."""

import logging

import pytest

import t0native as t0

FILE = """dataset: d
templates:
  a: !Template
    id: a
    name: one
    jinja: "{{ text }} ||| {{ label }}"
    answer_choices: yes ||| no
"""


def read(folder, text):
    (folder / "templates.yaml").write_text(text)
    return t0.PromptSet.read(folder / "templates.yaml")


def test_a_misspelt_field_is_told_with_its_line_and_the_nearest_name(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        assert read(tmp_path, FILE.replace("answer_choices", "answer_choises"))["one"].answer_choices is None
        read(tmp_path, FILE.replace("answer_choices", "answer_choises"))
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.endswith("templates.yaml: line 3: unknown field 'answer_choises'; did you mean 'answer_choices'?")


@pytest.mark.parametrize("twice, lines", [
    ("    name: two\n", "line 8: 'name' stands twice, first in line 5"),
    ("  a: !Template\n    id: b\n    name: two\n    jinja: x ||| y\n", "line 8: 'a' stands twice, first in line 3"),
    ("dataset: e\n", "line 8: 'dataset' stands twice, first in line 1"),
])  # fmt: skip
def test_a_key_that_stands_twice_is_refused(tmp_path, twice, lines):
    with pytest.raises(t0.FormatError, match=f"templates.yaml: {lines}"):
        read(tmp_path, FILE + twice)
