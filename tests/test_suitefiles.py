"""Suites of your own: YAML files, what they say, and what is told of those that cannot be."""

import json

import pytest
from test_bigbench import put, task_json

import t0native as t0

RTE = [{"premise": f"p{i}", "hypothesis": f"h{i}", "label": i % 2, "idx": i} for i in range(6)]
TEMPLATES = """
dataset: mine
templates:
  1: !Template
    name: ask
    jinja: "{{ text }}? ||| {{ answer_choices[label] }}"
    answer_choices: no ||| yes
    metadata: !TemplateMetadata {original_task: true}
  2: !Template {name: tell, jinja: "{{ text }}! ||| {{ text }}", metadata: !TemplateMetadata {original_task: false}}
"""


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    put(tmp_path, "DATA/mine/validation.jsonl", lines({"text": f"t{i}", "label": i % 2} for i in range(6)))
    put(tmp_path, "DATA/mine/train.jsonl", lines({"text": f"s{i}", "label": i % 2} for i in range(6)))
    put(tmp_path, "P/mine/templates.yaml", TEMPLATES)
    put(tmp_path, "DATA/bigbench/sums/task.json", task_json(append_choices_to_input=False))
    return tmp_path


def suite_of(folder, text, **options):
    return t0.suite(put(folder, "my.yaml", text), **options)


def test_a_whole_one(folder):
    suite = suite_of(
        folder,
        """
        name: mine too
        data: DATA
        templates: P
        tasks:
          - dataset: mine
          - {dataset: mine, name: asked, prompts: original, metrics: accuracy}
          - {dataset: mine, name: told, prompts: [tell], metrics: exact_match}
          - {dataset: mine, name: shots, prompts: [ask], shots: 2}
          - {dataset: mine, name: other shots, prompts: [ask], shots: 1, train: validation}
          - {dataset: mine, name: of a file, file: DATA/mine/train.jsonl, split: train}
          - bigbench: sums
          - {bigbench: sums, name: more sums, shots: 2}
        """,
    )
    assert repr(suite) == "Suite('mine too', 10 of 10 cells, 8 tasks)"
    assert [(task.name, task.metric, task.split, list(task.prompts)) for task in suite][:3] == [
        ("mine", None, "validation", ["ask", "tell"]), ("asked", "accuracy", "validation", ["ask"]), ("told", "exact_match", "validation", ["tell"])
    ]  # fmt: skip
    shots, own = (suite[i].render("ask", 0).input.split("\n\n") for i in (3, 4))
    assert len(shots) == 3 and all(shot.startswith("s") for shot in shots[:2]) and shots[2] == "t0?"
    assert len(own) == 2 and own[0].startswith("t") and not own[0].startswith("t0")
    assert (suite[5].split, suite[5].rows[0]["text"]) == ("train", "s0")
    assert suite[7].render("the authors' prompt", 0).input.count("Q: ") == 3


def test_arguments_go_before_the_file(folder):
    text = "{data: nowhere, templates: nowhere, shots: 1, seed: 4, tasks: [{dataset: mine, prompts: [ask]}]}"
    suite = suite_of(folder, text, data=folder / "DATA", prompts=t0.PromptCollection.load(folder / "P"), shots=2, seed=9)
    prompt = suite[0].prompts["ask"]
    assert prompt.jinja.startswith("{# 2 shots, seed 9, of rows ")
    assert suite_of(folder, text, data=folder / "DATA", prompts=folder / "P", shots=0)[0].render("ask", 0).input == "t0?"


def test_public_prompts_and_ours(promptsource_folder, tmp_path):
    put(tmp_path, "super_glue/rte/validation.jsonl", lines(RTE))
    row = {"ctx": "c d", "ctx_a": "c", "ctx_b": "d", "endings": ["e", "f"], "label": "1", "activity_label": "Tea"}
    put(tmp_path, "hellaswag/validation.jsonl", lines([row]))
    put(
        tmp_path,
        "my.yaml",
        "{data: ., tasks: [{dataset: super_glue/rte}, {dataset: hellaswag, prompts: instruction-free}, {dataset: hellaswag, prompts: original, name: h}]}",
    )
    suite = t0.suite(str(tmp_path / "my.yaml"))
    assert [len(task.prompts) for task in suite] == [10, 3, 4]
    assert [suite[1].render(name, 0)[:] for name in suite[1].prompts] == [
        ("c d", "f", ["e", "f"]), ("Tea: c d", "f", ["e", "f"]), ("c", "d f", ["d e", "d f"])
    ]  # fmt: skip


def test_what_lacks_data_is_told_and_the_rest_runs(folder, caplog):
    suite = suite_of(
        folder, "{data: DATA, templates: P, tasks: [{dataset: mine}, {dataset: mine, split: dev, name: b}, {bigbench: winowhy}]}"
    )
    assert repr(suite) == "Suite('my', 2 of 5 cells, 1 tasks)"
    assert suite.missing == [("mine", None, "dev"), ("bigbench", "winowhy", "task.json")]
    assert "suite 'my', 2 of 5 cells have data: 2 splits of datasets are missing" in caplog.text
    suite = suite_of(
        folder, "{data: DATA, templates: P, shots: 1, tasks: [{dataset: mine, name: a, train: more}, {dataset: mine, shots: 0}]}"
    )
    assert suite.missing == [("mine", None, "more")] and len(suite) == 1
    with pytest.raises(
        t0.DataError,
        match="^suite 'my', 0 of 2 cells have data: 1 split of a dataset is missing \\(no data was given: data= names its folder\\)",
    ):
        suite_of(folder, "{templates: P, tasks: [{dataset: mine}]}")
