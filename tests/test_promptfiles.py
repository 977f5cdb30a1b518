"""Prompt files that were written by hand: slips that YAML itself lets pass."""

import logging

import pytest

import t0native as t0
from t0native.data.datafolder import find_rows
from t0native.prompts import promptfile
from t0native.prompts.check import check_collection, check_file
from t0native.promptsource import INCLUDED_USERS, DatasetTemplates, TemplateCollection

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
    ("dataset: e\n", "line 8: 'dataset' stands twice, first in line 1"),
])  # fmt: skip
def test_a_field_that_stands_twice_is_refused(tmp_path, twice, lines):
    with pytest.raises(t0.FormatError, match=f"templates.yaml: {lines}"):
        read(tmp_path, FILE + twice)


TWICE = [  # what is added to FILE; names and texts of its prompts; what is told
    (
        "  a: !Template\n    id: a\n    name: one\n    jinja: x ||| y\n", [("one", "x ||| y")],
        ["line 8: entry 'a' stands twice, first in line 3; the last one counts, as in promptsource"],
    ),
    (
        "  b: !Template\n    id: b\n    name: two\n    jinja: v ||| w\n  a: !Template\n    id: a\n    name: three\n    jinja: x ||| y\n",
        [("three", "x ||| y"), ("two", "v ||| w")],
        ["line 12: entry 'a' stands twice, first in line 3; the last one counts, as in promptsource"],
    ),
    (
        "  b: !Template\n    id: b\n    name: one\n    jinja: v ||| w\n", [("one", "v ||| w")],
        ["prompt 'one' stands twice; the last one counts, as in promptsource"],
    ),
    (
        "  b: !Template\n    id: b\n    name: one\n    jinja: v ||| w\n" * 2, [("one", "v ||| w")],
        [
            "line 12: entry 'b' stands twice, first in line 8; the last one counts, as in promptsource",
            "prompt 'one' stands twice; the last one counts, as in promptsource",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize("more, prompts, told", TWICE)
def test_of_prompts_that_stand_twice_the_last_counts(tmp_path, caplog, monkeypatch, more, prompts, told):
    monkeypatch.setattr(promptfile, "_warned", set())
    folder = tmp_path / "d"
    folder.mkdir()
    found = read(folder, FILE + more)
    assert [(prompt.name, prompt.jinja) for prompt in found.values()] == prompts
    assert [record.getMessage() for record in caplog.records] == [f"{folder}/templates.yaml: {what}" for what in told]
    reference = DatasetTemplates("d", folder=tmp_path)  # keeps both of one name in `templates`, and finds the last by its name
    assert {name: reference[name].jinja for name in reference.all_template_names} == dict(prompts)
    problems = [problem.what for problem in check_collection(t0.PromptCollection.load(tmp_path))]
    assert all(
        any(what.split(";")[0] in problem or "another prompt of the file has its name" == problem for problem in problems) for what in told
    )


ENTRY = 'jinja: "{{ text }}! ||| {{ answer_choices[label] }}", answer_choices: no ||| yes'
BY_HAND = [  # files as people write them; names
    (f"templates:\n  a: !Template {{name: shout, {ENTRY}}}\n", ["shout"]),
    (f"templates:\n  a: {{name: shout, {ENTRY}}}\n  b: {{id: 7, name: cry, {ENTRY}, metadata: {{metrics: [Accuracy]}}}}\n", ["shout", "cry"]),
    (f"dataset: d\ntemplates:\n  - {{name: shout, {ENTRY}}}\n  - !Template {{name: cry, {ENTRY}}}\n", ["shout", "cry"]),
    (f"templates:\n  shout: {{{ENTRY}}}\n  cry it out: !Template {{{ENTRY}}}\n", ["shout", "cry it out"]),
]  # fmt: skip


@pytest.mark.parametrize("text, names", BY_HAND)
def test_files_without_tags_or_ids_are_read(tmp_path, caplog, text, names):
    prompts = read(tmp_path, text)
    assert list(prompts) == names and not caplog.records
    assert prompts["shout"].render({"text": "Tea", "label": 1}) == ("Tea!", "yes", ["no", "yes"])
    ids = [prompt.id for prompt in prompts.values()]
    assert ids == [prompt.id for prompt in read(tmp_path, "# moved\n" + text).values()]  # of the content, so they stay
    assert len(set(ids)) == len(ids) and all(len(id) == 36 or id == "7" for id in ids)
    told = [problem.what for problem in check_file(tmp_path / "templates.yaml")]
    assert any(what == f"no id: write a UUID that stays, such as `id: {ids[0]}`, and the same as the entry's key" for what in told)
    assert not any(what.startswith("its key is") for what in told if "'7'" not in what)
    assert any(what.startswith("not tagged") for what in told) == (
        "{name: shout" in text.replace("!Template {", "") or "  shout: {" in text
    )


def test_a_prompt_s_metadata_may_lack_its_tag(tmp_path):
    prompt = read(tmp_path, BY_HAND[1][0])["cry"]
    assert prompt.metadata.metrics == ["Accuracy"] and prompt.id == "7"


def test_a_pair_and_its_joined_name_are_one_key(tmp_path, promptsource_folder):
    for parts, header in [("a/b", "a"), ("c/d", "c/d"), ("e/f/g", "e/f"), ("h", "h")]:
        place = tmp_path / parts
        place.mkdir(parents=True)
        (place / "templates.yaml").write_text(FILE.replace("dataset: d", f"dataset: {header}"))
    p3 = t0.PromptCollection.load(tmp_path)
    for key in ("a/b", "c/d", "e/f/g"):
        first, rest = key.split("/", 1)
        for same in (key, (first, rest), [first, rest], (key, None), (key,), tuple(key.split("/")), (key, "")):
            assert same in p3 and p3[same] is p3[key] and p3.path(same) == tmp_path / key / "templates.yaml"
    assert p3["h", None] is p3["h"] and ("h", "x") not in p3 and 3 not in p3 and (3, "h") not in p3
    public = t0.PromptCollection.load(promptsource_folder)
    assert public["subjqa", "electronics"] is public["subjqa/electronics"]
    assert len({public[key].full_name for key in public}) == len(public)


def test_promptsource_s_own_classes_keep_its_keys(promptsource_folder):
    keys = TemplateCollection(promptsource_folder).keys
    assert {("subjqa", "electronics"), ("subjqa", "books"), ("Zaid/coqa_expanded", None), ("craffel/openai_lambada", None)} <= set(keys)
    assert not [key for key in keys if "/" in key[0] and key[0].split("/")[0] not in INCLUDED_USERS]


def test_what_is_not_known_in_an_installed_promptsource_is_not_told(promptsource_folder, caplog, monkeypatch):
    monkeypatch.setattr(promptfile, "_warned", set())
    collection = t0.PromptCollection.promptsource()
    for key in ("head_qa/en", "sem_eval_2014_task_1"):
        assert len(collection[key])
    DatasetTemplates("sem_eval_2014_task_1")
    assert not caplog.records
    t0.PromptCollection.load(promptsource_folder)["sem_eval_2014_task_1"]  # a folder of one's own
    assert len(caplog.records) == 3


def test_rows_in_a_mapping_are_found_by_either_form_of_a_name():
    for key in ("subjqa/movies", ("subjqa", "movies"), ("subjqa/movies", None)):
        for dataset, subset in (("subjqa", "movies"), ("subjqa/movies", None)):
            assert find_rows({key: [{"a": 1}]}, dataset, subset)() == [{"a": 1}]
    assert find_rows({("super_glue", "rte"): [{"a": 1}]}, "aps/super_glue", "rte") is None
