"""Cells of many rows: what is held as numbers and rendered again, answered part by part, and gone on with after an interruption."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fakes import FakeModel, FakePrompt, rows_of, yes_no
from million_rows import TEMPLATES

import t0native as t0
from t0native.base import partfile
from t0native.evaluation import answering, answers, cellpart, journal, judging, rendered

SMALL = {
    rendered: {"HELD": 2, "_IN_MEMORY": 10},
    answering: {"HELD": 3, "FIRST": 3, "CALLS": 0.01, "LEAST": 1, "ROWS_AT_ONCE": 4},
    answers: {"_PART": 2},
    judging: {"AT_ONCE": 3},
    journal: {"_AT_ONCE": 3},
    cellpart: {"_AT_ONCE": 2, "EVERY": 0.0},
}


@pytest.fixture
def small(monkeypatch):
    """A function after which a few rows are as many."""

    def make():
        for module, values in SMALL.items():
            for name, value in values.items():
                monkeypatch.setattr(module, name, value)

    return make


def files_of(run):
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.suffix in (".json", ".jsonl", ".md")}


class Speaker(FakeModel):
    """Says " yes " and ranks by the length of the text; fails on row 5; is interrupted at some call."""

    def __init__(self, interrupted_at=None):
        super().__init__(lambda text, choices: len(text) % len(choices))
        self.fingerprint, self.interrupted_at, self.inputs = "speaker", interrupted_at, []

    def rank(self, inputs, choices, **options):
        self._hear(inputs)
        return super().rank(inputs, choices, **options)

    def generate(self, inputs, **options):
        self._hear(inputs)
        return super().generate(inputs, **options)

    def _hear(self, inputs):
        if any("row 5" in text for text in inputs):
            raise ValueError("no row 5 today")
        self.interrupted_at = None if self.interrupted_at is None else self.interrupted_at - 1
        if self.interrupted_at == 0:
            raise KeyboardInterrupt
        self.inputs += inputs


def tasks():
    def free(row):
        return None if row["text"] == "row 7" else (row["text"], "yes" if row["label"] else "a long answer", None)

    prompts = {"is it": yes_no("is it"), "three": yes_no("three", ("no", "yes", "so"))}
    return [
        t0.Task("ranked", rows_of(20), prompts, ["accuracy", "f1_macro"]),
        t0.Task("written", rows_of(20), {"free": FakePrompt("free", free)}),
        t0.Task("both", rows_of(20), {"is it": yes_no("is it")}, ["accuracy", "squad_f1"]),
    ]


def test_many_rows_are_as_few(small, tmp_path):
    mini, of_mini = t0.mini.new_model(0), [t0.Task("inference", task.rows[:20], task.prompts) for task in t0.mini.held_out_tasks()[:1]]

    def run(folder):
        t0.evaluate(Speaker(), tasks(), out=folder / "a", progress=False, write_examples=True)
        t0.evaluate(mini, of_mini, out=folder / "b", progress=False, seed=3)
        return files_of(folder)

    few = run(tmp_path / "few")
    small()
    many = run(tmp_path / "many")
    times = [name for name in few if name.endswith("times.json")]
    assert few.keys() == many.keys() and len(few) > 20
    assert [name for name in few if few[name] != many[name] and name not in times] == []
    found = t0.Report.load(tmp_path / "many/a").cells[0]
    assert found["n"] == 19 and "no row 5 today" in found["reason"]


@pytest.mark.parametrize("at", [3, 7, 20, 30])
def test_an_interrupted_cell_goes_on_in_its_middle(small, tmp_path, at):
    small()
    whole = Speaker()
    t0.evaluate(whole, tasks(), out=tmp_path / "whole", progress=False)
    first, second = Speaker(at), Speaker()
    with pytest.raises(KeyboardInterrupt) as stopped:
        t0.evaluate(first, tasks(), out=tmp_path / "run", progress=False)
    assert "cells are kept in" in stopped.value.told and "goes on from there" in stopped.value.told
    t0.evaluate(second, tasks(), out=tmp_path / "run", progress=False)
    assert len(whole.inputs) <= len(first.inputs + second.inputs) <= len(whole.inputs) + 4  # a part at most is asked again
    assert list((tmp_path / "run/examples").glob("*.part*")) == []
    same = files_of(tmp_path / "whole")
    assert {name for name, data in files_of(tmp_path / "run").items() if same[name] != data} <= {"times.json"}


@pytest.mark.parametrize("where", ["append_line", "write_json"])
@pytest.mark.parametrize("before", [True, False], ids=["before", "behind"])
def test_an_interruption_while_answers_are_noted_tells_none_twice(small, tmp_path, monkeypatch, where, before):
    small()
    t0.evaluate(Speaker(), tasks()[:1], out=tmp_path / "whole", progress=False)
    write, calls = getattr(partfile, where), []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) != 5:
            return write(*arguments)
        if where == "append_line" and before:
            arguments[0].write(arguments[1][:3].encode())  # a part of a line
        elif not before:
            write(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(partfile, where, interrupted)
    with pytest.raises(KeyboardInterrupt):
        t0.evaluate(Speaker(), tasks()[:1], out=tmp_path / "run", progress=False)
    kept = [json.loads(about.read_text()) for about in (tmp_path / "run/examples").glob("*.part.json")]
    assert len(calls) >= 5 and sum(about["rows"] for about in kept) > 0
    t0.evaluate(Speaker(), tasks()[:1], out=tmp_path / "run", progress=False)
    same = files_of(tmp_path / "whole")
    assert {name for name, data in files_of(tmp_path / "run").items() if same[name] != data} <= {"times.json"}


def test_rankings_without_scores_go_on_as_they_are(small, tmp_path):
    class Bare(Speaker):
        def rank(self, inputs, choices, **options):
            return [SimpleNamespace(index=ranking.index, scores=None, lengths=None) for ranking in super().rank(inputs, choices, **options)]

    assert [cell["n"] for cell in t0.evaluate(Bare(), tasks()[:1], progress=False).cells] == [19, 19]
    small()
    with pytest.raises(KeyboardInterrupt):
        t0.evaluate(Bare(4), tasks()[:1], out=tmp_path, progress=False)
    report = t0.evaluate(Bare(), tasks()[:1], out=tmp_path, progress=False)
    assert [cell["n"] for cell in report.cells] == [19, 19]


def test_a_damaged_part_is_begun_anew(small, tmp_path):
    small()
    with pytest.raises(KeyboardInterrupt):
        t0.evaluate(Speaker(4), tasks()[:1], out=tmp_path, progress=False)
    for part in (tmp_path / "examples").glob("*.part"):
        part.write_bytes(b"\0" * part.stat().st_size)
    t0.evaluate(Speaker(), tasks()[:1], out=tmp_path, progress=False)
    assert [cell["n"] for cell in t0.Report.load(tmp_path).cells] == [19, 19]


COMMAND = """
import os, signal, sys
from t0native.cli.main import main
from t0native.evaluation import answering
from t0native.models.model import Model
answering.HELD = 8
answering.CALLS = 0.001
rank, calls = Model.rank, []
def counted(self, *arguments, **options):
    calls.append(1)
    if len(calls) == 3 and os.environ.get("STOP"):
        os.kill(os.getpid(), signal.SIGINT)
    return rank(self, *arguments, **options)
Model.rank = counted
sys.exit(main())
"""


def test_ctrl_c_of_the_command_says_what_is_kept(tmp_path, monkeypatch):
    t0.mini.new_model(0).save(tmp_path / "model")
    (tmp_path / "prompts/mine").mkdir(parents=True)
    (tmp_path / "prompts/mine/templates.yaml").write_text(TEMPLATES.replace("dataset: made", "dataset: mine"))
    (tmp_path / "rows.csv").write_text("text,label\n" + "".join(f"Anna has {i} cats.,{i % 2}\n" for i in range(60)))
    monkeypatch.setenv("PYTHONPATH", str(Path(t0.__file__).parent.parent))

    def evaluate(**environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        command = ["evaluate", "--model", "model", "--prompts", "prompts", "--dataset", "mine", "--data", "rows.csv", "--out", "run"]
        return subprocess.run([sys.executable, "-P", "-c", COMMAND, *command], cwd=tmp_path, capture_output=True, text=True)

    stopped = evaluate(STOP="1")
    assert stopped.returncode == 130 and "Traceback" not in stopped.stderr
    assert "stopped: 0 of 1 cells are kept in run, and 16 of 60 answers of the next; the same again goes on from there" in stopped.stderr
    done = evaluate(STOP="")
    assert done.returncode == 0, done.stderr
    lines = [path.read_text().splitlines() for path in (tmp_path / "run/examples").iterdir()]
    assert [len(found) for found in lines] == [60]
