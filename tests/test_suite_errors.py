"""Suites, data files and task.json files that cannot be: each is told in one line, with its place, value and remedy."""

from pathlib import Path

import pytest
from test_bigbench import put, task_json
from test_suitefiles import TEMPLATES, lines

import t0native as t0

MINE = [{"text": f"t{i}", "label": i % 2} for i in range(6)]


def told(tmp_path, call):
    """What `call` says, without the folder's name and the errors' own types."""
    with pytest.raises((t0.ConfigError, t0.DataError, t0.FormatError)) as error:
        call()
    return str(error.value).replace(f"{tmp_path}/", "")


SUITES = [
    ("", "my.yaml: the file: must be a mapping of keys to values, is None"),
    ("- a\n- b\n", "my.yaml: the file: must be a mapping of keys to values, is ['a', 'b']"),
    ("tasks: [", "my.yaml, line 2, column 1: not YAML: did not find expected node content"),
    ("tasks: !!python/object/apply:os.system [echo]", "my.yaml, line 1, column 8: not YAML: could not determine a constructor for the tag 'tag:yaml.org,2002:python/object/apply:os.system'"),
    ("name: a\nname: b\n", "my.yaml, line 2, column 1: not YAML: 'name' stands twice, first in line 1"),
    ("data: DATA", "my.yaml: no 'tasks'; it must name the tasks to evaluate on"),
    ("task: [{dataset: mine}]", "my.yaml: unknown key task; did you mean 'tasks'?"),
    ("tasks: {dataset: mine}", "my.yaml: tasks {'dataset': 'mine'}: must be a list of tasks"),
    ("tasks: []", "my.yaml: tasks []: must be a list of tasks"),
    ("tasks: [mine]", "my.yaml: tasks[0]: must be a mapping of keys to values, is 'mine'"),
    ("tasks: [{name: a}]", "my.yaml: tasks[0]: must have either 'dataset' or 'bigbench'"),
    ("tasks: [{dataset: mine, bigbench: winowhy}]", "my.yaml: tasks[0]: must have either 'dataset' or 'bigbench'"),
    ("tasks: [{dataset: mine, prompt: [ask]}]", "my.yaml: unknown key tasks[0].prompt; did you mean 'prompts'?"),
    ("tasks: [{dataset: 7}]", "my.yaml: tasks[0].dataset 7: must be the name of a dataset, as super_glue/rte"),
    ("{templates: P, tasks: [{dataset: mime}]}", "my.yaml: tasks[0]: no prompts for 'mime' in P; did you mean 'mine'?"),
    ("{templates: P, tasks: [{dataset: mine, prompts: [aks]}]}", "my.yaml: tasks[0]: prompts: mine has no 'aks'; did you mean 'ask'?"),
    ("{templates: P, tasks: [{dataset: mine, prompts: ask}]}", "my.yaml: tasks[0].prompts 'ask': must be '*', 'original', 'instruction-free' or a list of names"),
    ("{templates: P, tasks: [{dataset: mine, prompts: []}]}", "my.yaml: tasks[0].prompts []: must be '*', 'original', 'instruction-free' or a list of names"),
    ("{templates: P, tasks: [{dataset: mine, prompts: instruction-free}]}", "my.yaml: tasks[0]: no prompts for 'mine' in instruction_free; there are: hellaswag, winogrande/winogrande_xl"),
    ("{templates: Q, tasks: [{dataset: mine}]}", "my.yaml: tasks[0]: Q: no such folder of prompts"),
    ("{data: nowhere, templates: P, tasks: [{dataset: mine}]}", "my.yaml: tasks[0]: nowhere: no such folder of data; expected nowhere/<dataset>/<subset>/<split>.jsonl below it"),
    ("{data: DATA, templates: P, tasks: [{dataset: mine, metrics: accuracee}]}", "my.yaml: tasks[0]: task 'mine': unknown metric 'accuracee'; did you mean 'accuracy'?"),
    ("{data: DATA, templates: P, tasks: [{dataset: mine, metrics: {a: 1}}]}", "my.yaml: tasks[0].metrics {'a': 1}: must be a name or a list of names"),
    ("{data: DATA, templates: P, tasks: [{dataset: mine}, {dataset: mine}]}", "my.yaml: tasks[1]: another task is called 'mine' too; give it a 'name'"),
    ("{data: DATA, templates: P, shots: -1, tasks: [{dataset: mine}]}", "my.yaml: shots -1: must be a whole number from 0 to 1000"),
    ("{data: DATA, templates: P, tasks: [{dataset: mine, shots: 1.5}]}", "my.yaml: tasks[0].shots 1.5: must be a whole number from 0 to 1000"),
    ("{data: DATA, seed: x, tasks: [{dataset: mine}]}", "my.yaml: seed 'x': must be a whole number from 0 to 18446744073709551615"),
    ("tasks: [{bigbench: a/b}]", "my.yaml: tasks[0].bigbench 'a/b': must be the name of a task, as winowhy"),
    ("{data: DATA, tasks: [{bigbench: sums, split: test}]}", "my.yaml: tasks[0]: 'split' beside 'bigbench', whose tasks have one split and their authors' prompt; leave it out"),
    ("{data: DATA, templates: P, tasks: [{dataset: mine, file: a.txt}]}", "my.yaml: tasks[0]: a.txt: unknown kind of file '.txt'; known are .jsonl, .ndjson, .json, .csv, .tsv, .parquet, .arrow, .feather, and .gz, .bz2, .xz, .zst, .zip behind them"),
]  # fmt: skip


@pytest.mark.parametrize("text, message", SUITES, ids=range(len(SUITES)))
def test_suites(text, message, tmp_path, monkeypatch):
    put(tmp_path, "DATA/mine/validation.jsonl", lines(MINE))
    put(tmp_path, "P/mine/templates.yaml", TEMPLATES)
    put(tmp_path, "a.txt", "a")
    path = put(tmp_path, "my.yaml", text)
    ours = f"{Path(t0.__file__).parent}/data/"
    assert told(tmp_path, lambda: t0.suite(path)).replace(ours, "") == message


DATA = [
    ("mine/validation.jsonl", '{"text": "a", "label": 0}\n{"text": \n', "my.yaml: tasks[0]: DATA/mine/validation.jsonl, line 2, column 10: not JSON (Expecting value): '{\"text\":'"),
    ("mine/validation.jsonl", "[1]\n", "my.yaml: tasks[0]: DATA/mine/validation.jsonl, line 1: a row must be an object {...}, this is a list: '[1]'"),
    ("mine/validation.jsonl", "\n", "my.yaml: tasks[0]: DATA/mine/validation.jsonl: no rows"),
    ("mine/validation.jsonl", b'{"text": "\xff"}\n', "my.yaml: tasks[0]: DATA/mine/validation.jsonl, line 1, byte 11 (offset 10 of the file): not UTF-8 (0xff); in Windows-1252 it would be '{\"text\": \"ÿ\"}': iconv -f WINDOWS-1252 -t UTF-8 DATA/mine/validation.jsonl > validation.utf8.jsonl, or in Python read_rows(..., encoding='cp1252')"),
    ("mine/validation.jsonl", '{"id": "a"}\n', "my.yaml: tasks[0]: task 'mine', prompt 'ask', row 0: no field 'label' (the row has: id)"),
    ("mine/validation.jsonl", '{"texts": "a", "label": 0}\n', "my.yaml: tasks[0]: task 'mine', prompt 'ask', row 0: no field 'text'; nearest is 'texts' (the row has: texts, label)"),
    ("mine/validation.csv", "text,label\na,0,1\n", "my.yaml: tasks[0]: DATA/mine/validation.csv, line 2: 3 cells, but line 1 names 2 fields; quote cells that hold the delimiter or a line end"),
    ("mine/validation.json", {"text": "a"}, "my.yaml: tasks[0]: DATA/mine/validation.json: must be a list of objects, is an object with text (a string); or {\"data\": [objects]}, or columns {\"text\": [\"a\"], \"label\": [0]}; for one object a line name the file .jsonl"),
]  # fmt: skip


@pytest.mark.parametrize("name, content, message", DATA, ids=range(len(DATA)))
def test_data_files(name, content, message, tmp_path):
    put(tmp_path, "P/mine/templates.yaml", TEMPLATES)
    path = put(tmp_path, f"DATA/{name}", "" if isinstance(content, bytes) else content)
    if isinstance(content, bytes):
        path.write_bytes(content)
    suite = put(tmp_path, "my.yaml", "{data: DATA, templates: P, tasks: [{dataset: mine}]}")
    assert told(tmp_path, lambda: t0.suite(suite)) == message


ONE = {"input": "1 + 1", "target_scores": {"2": 1, "3": 0}}
TASKS = [
    ('{"examples": [', "task.json, line 1, column 15: not JSON (Expecting value): '{\"examples\": ['"),
    ('"text"', "task.json: must be an object with 'examples', as BIG-bench's task.json, or a list of rows"),
    ([], "task.json: no rows"),
    ({"example": [ONE]}, "task.json: 'examples' must be a list of at least one example; did you mean 'example'?"),
    (task_json(examples=[]), "task.json: 'examples' must be a list of at least one example"),
    (task_json(examples=[ONE, "a"]), "task.json, example 1: must be an object with input and target or target_scores, is 'a'"),
    (task_json(examples=[{"target_scores": {"2": 1}}]), "task.json, example 0: input None: must be text"),
    (task_json(examples=[ONE, {"input": 5, "target_scores": {"2": 1}}]), "task.json, example 1: input 5: must be text"),
    (task_json(examples=[{"input": "a"}]), "task.json, example 0: target None: must be text or a list of texts, or target_scores be there"),
    (task_json(examples=[{"input": "a", "target": []}]), "task.json, example 0: target []: must be text or a list of texts, or target_scores be there"),
    (task_json(examples=[{"input": "a", "target_scores": ["b"]}]), "task.json, example 0: target_scores ['b']: must be an object of choices and their numbers"),
    (task_json(examples=[{"input": "a", "target_scores": {}}]), "task.json, example 0: target_scores {}: must be an object of choices and their numbers"),
    (task_json(examples=[{"input": "a", "target_scores": {"b": "1"}}]), "task.json, example 0: target_scores {'b': '1'}: must be an object of choices and their numbers"),
    ('{"examples": [{"input": "a", "target_scores": {"b": NaN}}]}', "task.json, example 0: target_scores {'b': nan}: must be an object of choices and their numbers"),
    (task_json(examples=[ONE, {"input": "a", "target": "b"}]), "task.json, example 1: no target_scores, which multiple_choice_grade needs"),
    (task_json(task_prefix=1), "task.json: task_prefix 1: must be text"),
    (task_json(append_choices_to_input="no"), "task.json: append_choices_to_input 'no': must be true or false"),
    (task_json(stop_string=["."]), "task.json: stop_string ['.']: must be text, or None"),
    (task_json(metrics="bleu"), "task.json: metrics 'bleu': must be a list of names"),
    (task_json(preferred_score="bleu"), "task.json: preferred_score 'bleu': must be multiple_choice_grade or exact_str_match; others are not computed here"),
    (task_json(preferred_score="exact_str_match", output_regex="(a+)+b"), "task.json: output_regex '(a+)+b': must be null; answers are cut by stop_string alone"),
    ([{"query": "a", "choices": ["b", "c"], "gold": 2}], "task.json, row 0: gold 2: must be the number of a choice, from 0 to 1"),
    ([{"query": "a", "choices": ["b", "c"], "gold": True}], "task.json, row 0: gold True: must be the number of a choice, from 0 to 1"),
    ([{"query": "a", "choices": "bc", "gold": 0}], "task.json, row 0: choices 'bc': must be a list of texts"),
    ([{"query": ["a"], "choices": ["b"], "gold": 0}], "task.json, row 0: query ['a']: must be text"),
    ([{"question": "a"}], "task.json, row 0: neither query, choices, gold nor inputs, targets, multiple_choice_targets; it has: question"),
    ([{"inputs": "a", "multiple_choice_targets": ["b", "c"], "multiple_choice_scores": [1]}], "task.json, row 0: 2 multiple_choice_targets and 1 multiple_choice_scores; each needs one"),
    ([{"inputs": "a", "multiple_choice_targets": [["b"]]}], "task.json, row 0: multiple_choice_targets [['b']]: must be a list of texts"),
    ([{"inputs": "a", "targets": [], "multiple_choice_targets": []}], "task.json, row 0: targets []: must be text or a list of texts, or multiple_choice_scores be there"),
]  # fmt: skip


@pytest.mark.parametrize("content, message", TASKS, ids=range(len(TASKS)))
def test_task_files(content, message, tmp_path):
    put(tmp_path, "bigbench/winowhy/task.json", content)
    assert told(tmp_path, lambda: t0.suite("bigbench-t0", tmp_path)) == f"bigbench/winowhy/{message}"


def test_two_files_of_one_task(tmp_path):
    put(tmp_path, "bigbench/winowhy/task.json", task_json())
    put(tmp_path, "bigbench/winowhy.jsonl", "{}")
    assert told(tmp_path, lambda: t0.suite("bigbench-t0", tmp_path)) == (
        "bigbench: winowhy is there more than once (winowhy/task.json, winowhy.jsonl); leave one"
    )
    (tmp_path / "bigbench/winowhy.jsonl").unlink()
    put(tmp_path, "bigbench/winowhy/validation.jsonl", "{}")
    assert (
        told(tmp_path, lambda: t0.suite("bigbench-t0", tmp_path))
        == "bigbench: winowhy is there more than once (winowhy/task.json, rows in splits); leave one"
    )
    (tmp_path / "bigbench/winowhy/validation.jsonl").unlink()
    put(tmp_path, "bigbench/winowhy/part/task.json", task_json(preferred_score="exact_str_match", stop_string="##"))
    assert told(tmp_path, lambda: t0.suite("bigbench-t0", tmp_path)) == (
        "the parts of one task are judged differently, by preferred_score and stop_string (winowhy by multiple_choice_grade; "
        "part by exact_str_match until '##'); evaluate them apart"
    )


def test_a_suite_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        t0.suite(tmp_path / "my.yaml")
