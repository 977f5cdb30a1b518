"""Evaluations that a folder keeps: nothing is lost, nothing is done twice, and what was interrupted ends with the same bytes."""

import errno
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, ctrl_c, rows_of, yes_no

import t0native as t0
from t0native.base import files
from t0native.evaluation import answering, journal
from t0native.evaluation import cells as cells_of_a_run
from t0native.evaluation import evaluate as evaluation
from t0native.prompts.prompt import prompt_as_written
from t0native.reports.examples import read_examples


def tiny():
    return t0.mini.new_model(0)


def suite(n_prompts=3):
    """Two tasks of the miniature, a few prompts each."""
    tasks = t0.mini.held_out_tasks()[:2]
    return [t0.Task(task.name, task.rows[:12], {name: task.prompts[name] for name in list(task.prompts)[:n_prompts]}) for task in tasks]


def files_of(run):
    return {name: (run / name).read_bytes() for name in ("report.json", "report.md")}


def runs_of(run):
    """{(task, prompt): times that the cell was done}."""
    opened = sqlite3.connect(run / "journal.sqlite")
    found = {(task, prompt): runs for task, prompt, runs in opened.execute("SELECT task, prompt, runs FROM cells ORDER BY rowid")}
    opened.close()
    return found


@pytest.fixture
def asked(monkeypatch):
    """(task, prompt) of every cell that a model is asked about."""
    found, answer = [], answering.answer

    def noted(model, cells, *rest):
        found.extend((cell.task.name, cell.prompt) for cell in cells)
        return answer(model, cells, *rest)

    monkeypatch.setattr(evaluation, "answer", noted)
    return found


def test_a_second_call_repeats_nothing_and_finds_the_same(tmp_path, asked):
    whole = t0.evaluate(tiny(), suite(), progress=False)
    first = t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    before, done = files_of(tmp_path), len(asked)
    again = t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    assert len(asked) == done == 12 and files_of(tmp_path) == before and again.cells == first.cells
    assert [cell | {"examples": None} for cell in first.cells] == whole.cells and first.summary == whole.summary
    assert t0.Report.load(tmp_path).cells == first.cells
    assert set(json.loads((tmp_path / "times.json").read_text())) == {"time", "seconds"} and first.about["seconds"] > 0
    t0.evaluate(tiny(), suite(), progress=False, out=tmp_path, force=True)
    assert len(asked) == done + 6 and set(runs_of(tmp_path).values()) == {2} and files_of(tmp_path) == before


def test_what_changes_is_done_again_and_nothing_else(tmp_path, asked):
    rows = [{"text": f"row {i}", "label": i % 2} for i in range(8)]
    words = {"a": "{{ text }}? ||| {{ answer_choices[label] }}", "b": "Is it {{ text }}? ||| {{ answer_choices[label] }}"}

    def run(rows=rows, choices="no ||| yes", model=None, **options):
        del asked[:]
        prompts = [t0.Prompt(name, text, choices, id=name) for name, text in words.items()]
        report = t0.evaluate(model or tiny(), t0.Task("t", rows, prompts), progress=False, out=tmp_path, **options)
        return [prompt for _, prompt in asked], report

    assert run()[0] == ["a", "b"] and run()[0] == []
    words["b"] = "It is {{ text }}, is it not? ||| {{ answer_choices[label] }}"
    assert run()[0] == ["b"]
    assert run(choices="nope ||| yes")[0] == ["a", "b"]
    assert run(rows[:-1] + [{"text": "row 7", "label": 0}])[0] == ["a", "b"]
    assert run(rows[:-1] + [{"text": "row 7", "label": 0}])[1].correct[0][7] != run()[1].correct[0][7]  # and back: nothing is done
    assert run()[0] == [] and run(limit=3)[0] == ["a", "b"] and run(seed=1)[0] == ["a", "b"]
    assert run(model=t0.mini.new_model(1))[0] == ["a", "b"] and run(model=tiny().to("int8"))[0] == ["a", "b"]
    assert run(label="another name", batch_tokens=7)[0] == []


def test_a_key_does_not_change_with_the_program():
    """Else a newer version would repeat what an older one has finished; but for the version, which the model's fingerprint has."""
    rows = [{"text": f"row {i}", "label": i % 2} for i in range(12)]
    text = "{% if label or text != 'row 4' %}{{ text }}?{% endif %} ||| {{ ['no', 'yes'][label] }}"
    cell = cells_of_a_run.plan(t0.Task("t", rows, [t0.Prompt("p", text, "no ||| yes")]), "p", "m", 0, 10, None)
    settings = {"seed": 0, "limit": None, "compat": None, "add_eos_to_inputs": False}
    key = journal.cell_keys([["0.1.0", "a"]], settings, cell, "0" * 64)
    assert key == ["ae37c3d9233c1aed13ad608d8cfa30f4c4416b25ad4d247afb384580a85bf385"]


def test_examples_of_a_cell(tmp_path):
    report = t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    for cell, correct in zip(report.cells, report.correct):
        examples = read_examples(tmp_path, cell)
        assert [e["value"] for e in examples] == correct.tolist() and [e["row"] for e in examples] == list(range(12))
        for example in examples:
            assert set(example) == {"row", "input_sha256", "target", "choices", "scores", "lengths", "prediction", "value"}
            assert int(np.argmax(example["scores"])) == example["prediction"] and len(example["lengths"]) == len(example["choices"])
    assert read_examples(tmp_path, {"examples": "../other.jsonl"}) is None and read_examples(None, report.cells[0]) is None


def test_generated_answers_are_kept_too(tmp_path, asked):
    free = FakePrompt("free", lambda row: (row["text"], "yes", None))
    model = FakeModel()
    model.fingerprint = "one"
    first = t0.evaluate(model, t0.Task("t", rows_of(3), {"free": free}), progress=False, out=tmp_path)
    again = t0.evaluate(model, t0.Task("t", rows_of(3), {"free": free}), progress=False, out=tmp_path)
    assert again.cells == first.cells and len(asked) == 1
    assert read_examples(tmp_path, first.cells[0])[0]["prediction"] == " yes "
    model.fingerprint = "two"
    t0.evaluate(model, t0.Task("t", rows_of(3), {"free": free}), progress=False, out=tmp_path)
    assert len(asked) == 2
    with pytest.raises(t0.ConfigError, match="give it a text `fingerprint`"):
        t0.evaluate(FakeModel(), t0.Task("t", rows_of(3), {"free": free}), progress=False, out=tmp_path)


def test_failed_cells_are_tried_again(tmp_path, asked):
    prompts = {
        "good": yes_no("good"),
        "bad": prompt_as_written("bad", "{{ text | nothing }} ||| a"),
        "lost": t0.Prompt("lost", "{{ txt }} ||| a ||| b"),
    }
    model = FakeModel()
    model.fingerprint = "one"
    task = t0.Task("t", rows_of(4), prompts)
    for _ in range(2):
        report = t0.evaluate(model, task, progress=False, out=tmp_path)
        assert [cell["status"] for cell in report.cells] == ["ok", "failed", "failed"]
        assert report.cells[1]["reason"].startswith("TemplateError: task 't', prompt 'bad', line 1, column 11: filter 'nothing'")
        assert report.cells[2]["reason"].startswith("DataError: task 't', prompt 'lost', row 0: no field 'txt'; nearest is 'text'")
    assert len(asked) == 1 and len(runs_of(tmp_path)) == 1


def test_damaged_examples_are_done_again(tmp_path, asked):
    report = t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    before = files_of(tmp_path)
    broken, lost = (tmp_path / report.cells[i]["examples"] for i in (1, 4))
    broken.write_bytes(broken.read_bytes().replace(b'"prediction": 0', b'"prediction": 1').replace(b'"row": 0', b'"row": 9'))
    lost.unlink()
    del asked[:]
    t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    assert len(asked) == 2 and files_of(tmp_path) == before


HOLD = """
import sys, time, t0native as t0
from t0native.evaluation.journal import Journal
with Journal(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_serves_one_process_at_a_time(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    holder = subprocess.Popen([sys.executable, "-P", "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, env=environment)
    try:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(t0.ConfigError, match="another process is evaluating into this folder; wait for it, stop it, or name another"):
            t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    finally:
        holder.kill()
        holder.communicate()
    assert not t0.evaluate(tiny(), suite(1), progress=False, out=tmp_path).failed  # its lock has died with it


def test_ctrl_c_keeps_what_is_finished(tmp_path, monkeypatch):
    whole = tmp_path / "whole"
    t0.evaluate(tiny(), suite(), progress=False, out=whole)
    run, finish = tmp_path / "run", journal.Journal.finish
    monkeypatch.setattr(evaluation, "group_cells", lambda cells, model: [[cell] for cell in cells])
    done = []

    def slowly(self, *arguments):
        done.append(finish(self, *arguments))
        return done[-1]

    monkeypatch.setattr(journal.Journal, "finish", slowly)
    with pytest.raises(KeyboardInterrupt), ctrl_c(0.0, reached=lambda: len(done) > 1):
        while True:
            t0.evaluate(tiny(), suite(), progress=False, out=run, force=True)
    assert len(runs_of(run)) >= 2
    t0.evaluate(tiny(), suite(), progress=False, out=run)
    assert files_of(run) == files_of(whole)


def test_a_full_disk_is_told_and_the_journal_stays(tmp_path, monkeypatch, asked):
    monkeypatch.setattr(evaluation, "group_cells", lambda cells, model: [[cell] for cell in cells])
    writes, sync = [], os.fsync

    def full(descriptor):
        writes.append(descriptor)
        if len(writes) > 9:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr(files.os, "fsync", full)
        with pytest.raises(OSError, match="cannot write: no space left on the disk") as error:
            t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    assert error.value.errno == errno.ENOSPC
    kept = len(runs_of(tmp_path))
    assert 0 < kept < 6
    del asked[:]
    assert len(t0.evaluate(tiny(), suite(), progress=False, out=tmp_path).cells) == 6 and len(asked) == 6 - kept


def test_a_folder_that_is_renamed_while_an_evaluation_writes_there_is_told(tmp_path, monkeypatch):
    answer, calls, out, moved = answering.answer, [], tmp_path / "run", tmp_path / "moved"

    def renaming(*arguments):
        calls.append(len(calls))
        if len(calls) == 2:
            out.rename(moved)
        return answer(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "answer", renaming)
        with pytest.raises(FileNotFoundError, match=f"cannot write: the folder was renamed .* evaluating there: it is {moved} now"):
            t0.evaluate(tiny(), suite(), progress=False, out=out, batch_tokens=1)
    assert not out.exists()
    kept = len(runs_of(moved))
    assert 0 < kept < 6 and len(t0.evaluate(tiny(), suite(), progress=False, out=moved).cells) == 6
    assert set(runs_of(moved).values()) == {1}


def test_a_full_database_is_told(tmp_path):
    with journal.Journal(tmp_path) as opened:
        (pages,) = opened._database.execute("PRAGMA page_count").fetchone()
        opened._database.execute(f"PRAGMA max_page_count = {pages}")
        cell = t0.Task("t" * 9000, [{}], [t0.Prompt("p", "a ||| b", "b ||| c")])
        made = cells_of_a_run.plan(cell, "p", "m", 0, 1, None)
        made.key = "k"
        made.judge(answering.answer(tiny(), [made], None, lambda n: None, [None])[0], 0)
        with pytest.raises(OSError, match="cannot write: database or disk is full; the cells that are finished are kept"):
            opened.finish(made, answering.answer(tiny(), [made], None, lambda n: None, [None])[0], 0.0)


def test_what_is_no_journal_is_told(tmp_path):
    (tmp_path / "file").write_text("a")
    with pytest.raises(t0.ConfigError, match="file: a file; out must name a folder|Not a directory"):
        journal.Journal(tmp_path / "file").__enter__()
    (tmp_path / "journal.sqlite").write_text("no database at all, " * 100)
    with pytest.raises(t0.FormatError, match="journal.sqlite: not a journal of evaluations"):
        t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)
    (tmp_path / "journal.sqlite").unlink()
    opened = sqlite3.connect(tmp_path / "journal.sqlite")
    opened.execute("PRAGMA user_version = 7")
    opened.close()
    with pytest.raises(t0.FormatError, match="a journal of format 7, this version knows 1; name another folder"):
        t0.evaluate(tiny(), suite(), progress=False, out=tmp_path)


def test_batches_threads_and_order_change_no_cell():
    found = []
    for threads, options, step in [(1, {}, 1), (2, {"batch_tokens": 16}, -1), (1, {"batch_tokens": 100000}, 1)]:
        model = t0.Model(tiny().core, tiny().config, tiny().tokenizer, threads=threads)
        report = t0.evaluate(model, suite()[::step], progress=False, label="m", **options)
        found.append([sorted(part, key=lambda entry: (entry["task"], entry.get("prompt", ""))) for part in (report.cells, report.summary)])
    assert found[0] == found[1] == found[2]


def test_cells_that_share_inputs_are_asked_together():
    calls = []

    class Counting(FakeModel):
        def rank(self, inputs, choices, **options):
            calls.append((len(inputs), len(set(inputs))))
            return super().rank(inputs, choices)

    same = [FakePrompt(f"same {i}", lambda row, i=i: (row["text"], "a", ["a", "b" * (i + 1)])) for i in range(3)]
    twice = FakePrompt("twice", lambda row: ("once", "a", ["a", "b"]))
    report = t0.evaluate(Counting(), t0.Task("t", rows_of(5), {p.name: p for p in [same[0], twice, *same[1:]]}), progress=False)
    assert sorted(calls) == [(1, 1), (15, 5)] and [cell["value"] for cell in report.cells] == [1.0] * 4


@pytest.mark.parametrize("options, message", [
    ({"compat": "t0"}, "compat 't0': must be 't0-2021', or None"),
    ({"force": 1}, "force 1: must be true or false"),
    ({"batch_tokens": 0}, "batch_tokens 0: must be a whole number, at least 1, or None"),
    ({"data": "x"}, "evaluate: data= and prompts= go with the name of a suite; tasks have their own"),
])  # fmt: skip
def test_arguments(options, message):
    with pytest.raises(t0.ConfigError) as error:
        t0.evaluate(FakeModel(), t0.Task("t", rows_of(2), {"p": yes_no()}), progress=False, **options)
    assert message in str(error.value)


def test_kills_lose_no_finished_cell(tmp_path):
    from fuzz_evaluation import fuzz

    killed, ended, advanced, problems = fuzz(tmp_path, 2, seed=0)
    assert (killed, problems) == (2, []) and advanced >= 1  # a slice; python tests/fuzz_evaluation.py does all
