"""The examples of a cell in words: files that a person finds, of every row, whatever happened on the way; and the same from memory."""

import copy
import json
import pickle
from pathlib import Path

import pytest
from fakes import FakeModel, FakePrompt, rows_of, yes_no

import t0native as t0
from t0native.cli.main import main
from t0native.evaluation import evaluate as evaluation
from t0native.evaluation.texts import MOST_BYTES, safe_names
from t0native.reports.examples import examples_in_words, in_words


def suite(limit=12):
    """Two tasks of the miniature, three prompts each."""
    tasks = t0.mini.held_out_tasks()[:2]
    return [t0.Task(task.name, task.rows[:limit], {name: task.prompts[name] for name in list(task.prompts)[:3]}) for task in tasks]


def told(folder):
    """{name below examples: its bytes} of the files in words."""
    return {str(path.relative_to(folder / "examples")): path.read_bytes() for path in (folder / "examples").glob("*/*/*.jsonl")}


def lines(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


@pytest.fixture(scope="module")
def model():
    return t0.mini.new_model(0)


def test_every_row_stands_in_a_file_of_its_cell_in_words(tmp_path, model):
    tasks = suite()
    report = t0.evaluate(model, tasks, out=tmp_path, write_examples=True, label="a/model", progress=False)
    assert len(told(tmp_path)) == len(report.cells) == 6
    for cell, correct in zip(report.cells, report.correct):
        assert cell["examples"] == f"examples/a_model/{cell['task']}/{cell['prompt'].replace(' ', '_')}.jsonl"
        (task,) = [task for task in tasks if task.name == cell["task"]]
        for index, line in enumerate(lines(tmp_path / cell["examples"])):
            text, target, choices = task.render(cell["prompt"], index)
            assert [line[key] for key in ("model", "task", "prompt", "row")] == ["a/model", cell["task"], cell["prompt"], index]
            assert (line["input"], line["target"], line["choices"]) == (text, target, choices)
            assert line["prediction"] == choices[line["index"]] and line["right"] is bool(correct[index]) is (line["prediction"] == target)
            ranking = model.rank(text, choices, truncate=True)
            assert line["scores"] == ranking.scores.tolist() and line["lengths"] == ranking.lengths.tolist()
        assert index == 11


def test_an_interrupted_run_has_them_all_in_the_end(tmp_path, model, monkeypatch):
    t0.evaluate(model, suite(), out=tmp_path / "whole", write_examples=True, progress=False)
    answer = evaluation.answer

    def interrupted(asked, cells, *rest):
        if cells[0].task.name == suite()[1].name:
            raise KeyboardInterrupt
        return answer(asked, cells, *rest)

    monkeypatch.setattr(evaluation, "answer", interrupted)
    with pytest.raises(KeyboardInterrupt):
        t0.evaluate(model, suite(), out=tmp_path / "run", write_examples=True, progress=False)
    assert len(told(tmp_path / "run")) == 3
    first = next(iter(told(tmp_path / "run")))
    (tmp_path / "run/examples" / first).unlink()  # killed before it was written
    monkeypatch.undo()
    t0.evaluate(model, suite(), out=tmp_path / "run", write_examples=True, progress=False)
    assert told(tmp_path / "run") == told(tmp_path / "whole") and len(told(tmp_path / "whole")) == 6


def test_cells_that_were_finished_without_get_theirs_and_nobody_is_asked_again(tmp_path, model, monkeypatch):
    plain = t0.evaluate(model, suite(), out=tmp_path, progress=False)
    assert told(tmp_path) == {}
    monkeypatch.setattr(evaluation, "answer", None)
    report = t0.evaluate(model, suite(), out=tmp_path, write_examples=True, progress=False)
    assert len(told(tmp_path)) == 6 and report.correct[0].tolist() == plain.correct[0].tolist()
    assert all(list(map(str, lines(tmp_path / cell["examples"]))) for cell in report.cells)


def test_memory_files_in_words_and_those_of_the_journal_tell_the_same(tmp_path, model):
    plain = t0.evaluate(model, suite(), out=tmp_path / "plain", progress=False)
    words = t0.evaluate(model, suite(), out=tmp_path / "words", write_examples=True, progress=False)
    in_memory = t0.evaluate(model, suite(), progress=False)
    for i in range(6):
        wanted = list(examples_in_words(in_memory, i))
        assert all(one["input"] for one in wanted) and len(wanted) == 12
        for report in (plain, words, t0.Report.load(tmp_path / "words"), t0.Report.merge([words])):
            assert list(examples_in_words(report, i)) == wanted
        assert [one | {"input": None} for one in wanted] == list(examples_in_words(t0.Report.load(tmp_path / "plain"), i))
        assert list(examples_in_words(in_memory, i, {3, 7})) == [wanted[3], wanted[7]]
        numbers = [report.examples(report.cells[i]) for report in (t0.Report.load(tmp_path / "words"), in_memory)]
        stored = t0.Report.load(tmp_path / "plain")
        without = [{k: v for k, v in one.items() if k != "input_sha256"} for one in stored.examples(stored.cells[i])]
        assert [[{k: v for k, v in one.items() if k != "input"} for one in found] for found in numbers] == [without, without]


def test_what_is_written_and_judged_both_ways(tmp_path):
    rows = rows_of(6)
    written = FakePrompt("w", lambda row: (row["text"], "yes" if row["label"] else "no", None))
    tasks = [
        t0.Task("written", rows, {"w": written}),
        t0.Task("both", rows, {"p": yes_no("p")}, metric=["exact_match", "accuracy"]),
        t0.Task("ranked", rows, {"p": yes_no("p")}, metric=["accuracy", "exact_match"]),
    ]
    model = FakeModel()
    model.fingerprint = "a"
    report = t0.evaluate(model, tasks, out=tmp_path, write_examples=True, progress=False)
    first = {cell["task"]: lines(tmp_path / cell["examples"])[0] for cell in report.cells}  # the target is yes
    keys = ("prediction", "index", "right", "choices")
    assert [first["written"][key] for key in keys] == [" yes ", None, True, None]
    assert [first["both"][key] for key in keys] == [" yes ", 0, True, ["no", "yes"]]
    assert [first["ranked"][key] for key in keys] == ["no", 0, False, ["no", "yes"]] and first["ranked"]["text"] == " yes "
    for i, cell in enumerate(report.cells):
        assert list(examples_in_words(report, i)) == list(examples_in_words(t0.Report.load(tmp_path), i))
        assert report.examples(cell)[0]["prediction"] == {"written": " yes ", "both": 0, "ranked": 0}[cell["task"]]


def test_rows_without_an_answer_are_told_and_not_counted(tmp_path):
    class Fails(FakeModel):
        fingerprint = "f"

        def rank(self, inputs, choices, **options):
            if any("row 3" in text for text in inputs):
                raise ValueError("no row 3 today")
            return super().rank(inputs, choices, **options)

    task = t0.Task("t", rows_of(6), {"p": yes_no("p")})
    for _ in range(2):  # the second from the journal
        report = t0.evaluate(Fails(), task, out=tmp_path, write_examples=True, progress=False)
        found = lines(tmp_path / "examples/fake/t/p.jsonl")
        assert [one["row"] for one in found] == [0, 1, 2, 4, 5, 3] and "no row 3 today" in found[-1]["detail"]
        assert [one["row"] for one in examples_in_words(report, 0)] == [0, 1, 2, 4, 5]


NAMES = [
    "a/b",
    "a\\b",
    "a b",
    "../..",
    "",
    ".",
    "..",
    "\x00",
    "x" * 500,
    "é" * 90,
    "é" * 91,
    "GPT-3 style",
    "gpt-3 style",
    "-rf",
    "a\nb",
    "\ud800",
    "~",
]


def test_names_are_safe_and_different():
    found = safe_names(NAMES)
    assert len({name.casefold() for name in found.values()}) == len(NAMES)
    for name in found.values():
        assert 0 < len(name.encode()) <= MOST_BYTES + 9 and not set(name) & set("/\\ \n\0~") and name[0] not in ".-"
    assert safe_names(["can we infer", "super_glue/rte"]) == {"can we infer": "can_we_infer", "super_glue/rte": "super_glue_rte"}
    assert safe_names(reversed(NAMES)) == found


def test_odd_names_stay_in_the_folder(tmp_path):
    names = [name for name in NAMES if name != "\ud800"]
    tasks = [t0.Task(name, rows_of(2), {prompt: yes_no("p") for prompt in ("../../x", "..")}) for name in names]
    model = FakeModel()
    model.fingerprint = "a"
    report = t0.evaluate(model, tasks, label="../up", out=tmp_path / "run", write_examples=True, progress=False)
    assert len(told(tmp_path / "run")) == 2 * len(names) and sorted(path.name for path in tmp_path.iterdir()) == ["run"]
    for cell in t0.Report.load(tmp_path / "run").cells:
        assert {(one["task"], one["prompt"]) for one in lines(tmp_path / "run" / cell["examples"])} == {(cell["task"], cell["prompt"])}
    assert report.failed == []


def test_a_report_reads_no_file_but_those_of_its_examples(tmp_path, model):
    report = t0.evaluate(model, suite(2), out=tmp_path / "run", write_examples=True, progress=False)
    (tmp_path / "secret.jsonl").write_bytes(next(iter(told(tmp_path / "run").values())))
    for name in (
        "../secret.jsonl",
        str(tmp_path / "secret.jsonl"),
        "examples/../../secret.jsonl",
        "examples/../../../secret.jsonl",
        "report.json",
    ):
        report.cells[0]["examples"] = name
        report.save(tmp_path / "run")
        assert examples_in_words(t0.Report.load(tmp_path / "run"), 0) is None


def test_a_broken_line_is_told_with_its_place(tmp_path, model):
    report = t0.evaluate(model, suite(3), out=tmp_path, write_examples=True, progress=False)
    path = tmp_path / report.cells[0]["examples"]
    whole = path.read_text().splitlines()
    for line, message in (('{"row": 1}', "line 2: no 'choices'"), ("[", "line 2: its JSON is broken"), ("[1]", "line 2: no 'choices'")):
        path.write_text("\n".join([whole[0], line]))
        with pytest.raises(t0.FormatError, match=message):
            list(examples_in_words(t0.Report.load(tmp_path), 0))


def test_a_report_can_be_pickled_whatever_its_rows_are(model):
    report = t0.evaluate(
        FakeModel(), t0.Task("t", rows_of(3), {"p": FakePrompt("p", lambda row: (row["text"], "a", ["a", "b"]))}), progress=False
    )
    for again in (pickle.loads(pickle.dumps(report)), copy.deepcopy(report)):
        assert again.cells == report.cells and examples_in_words(again, 0) is None


def test_they_need_a_folder(tmp_path, model, capsys):
    with pytest.raises(t0.ConfigError, match="write_examples: needs out="):
        t0.evaluate(model, suite(), write_examples=True)
    for option in ("--write-examples", "--log-samples"):
        assert main(["evaluate", "--model", str(tmp_path), "--suite", "mini", option]) == 2
        assert "--write-examples needs --out" in capsys.readouterr().err


def test_the_command_writes_them(tmp_path, model, capsys):
    model.save(tmp_path / "model")
    arguments = ["evaluate", "--model", str(tmp_path / "model"), "--suite", "mini", "--limit", "2", "--out", str(tmp_path / "run")]
    assert main([*arguments, "--write-examples"]) == 0
    report = t0.Report.load(tmp_path / "run")
    assert len(told(tmp_path / "run")) == len(report.cells) > 20 and report.cells[0]["examples"].startswith("examples/model/inference/")


def test_right_is_the_best_value_of_the_metric():
    record = {"row": 0, "target": "a", "choices": None, "scores": None, "lengths": None, "prediction": "b"}
    values = {"squad_f1:answers.text": [True, False, False], "edit_distance": [False, False, True], "mine": [True, False, False]}
    for metric, wanted in values.items():
        assert [in_words(record | {"value": value}, None, metric)["right"] for value in (1.0, 0.5, 0.0)] == wanted
    assert in_words(record | {"value": None}, None, "accuracy")["right"] is None


def test_a_folder_that_is_moved_away_is_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluation.Journal, "finish", lambda self, cell, *rest: (tmp_path / "run").rename(tmp_path / "moved") and "a name")
    model = FakeModel()
    model.fingerprint = "a"
    with pytest.raises(FileNotFoundError):
        t0.evaluate(model, t0.Task("t", rows_of(3), {"p": yes_no("p")}), out=tmp_path / "run", write_examples=True, progress=False)
    assert [path.name for path in tmp_path.iterdir()] == ["moved"]
