"""What notebooks and prompts show of models, rankings, runs and progress: short, true, escaped; a widget where there can be one."""

import re
import sys
from html.parser import HTMLParser
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from fakes import FakeModel, FakeTrainer, Terminal, rows_of, yes_no

import t0native as t0
from t0native.base import progress
from t0native.base.progress import Progress

EVIL = "<script>alert(1)</script> & 'x' \"y\""


class Cells(HTMLParser):
    """The texts of a table's cells, row by row; every tag is closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.rows, self.tags = [], [], set()
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


def test_a_ranking_shows_every_choice_with_its_score_and_share():
    model = t0.mini.new_model(0)
    ranking = model.rank("Is it tea?", ["Yes", "No", EVIL[:20]])
    assert ranking.choices == ["Yes", "No", EVIL[:20]] and repr(ranking).startswith(
        f"Ranking(choice={ranking.choice!r}, index={ranking.index}, "
    )
    for choice, score in zip(ranking.choices, ranking.scores):
        assert f"{choice!r}: {score:.4f}" in repr(ranking)
    shown = Cells(ranking._repr_html_())
    assert [row[0] for row in shown.rows[1:]] == ranking.choices and "script" not in shown.tags
    shares = np.exp(ranking.scores) / np.exp(ranking.scores).sum()
    assert [row[1:] for row in shown.rows[1:]] == [
        [f"{score:.4f}", str(length), f"{100 * share:.1f}"] for score, length, share in zip(ranking.scores, ranking.lengths, shares)
    ]
    assert ranking._repr_html_().count("bold") == 1


def test_rankings_of_ids_and_of_long_choices_stay_short():
    by_ids = t0.mini.new_model(0).rank([5, 6], [[7, 8], [9]])
    assert "[7, 8]: -" in repr(by_ids) and Cells(by_ids._repr_html_()).rows[1][0] == "[7, 8]"
    long = t0.Ranking("a" * 1000, 0, np.array([-800.0, -2000.0]), np.array([1, 1]), choices=["a" * 1000, "b"])
    assert len(repr(long)) < 300 and Cells(long._repr_html_()).rows[1][3] == "100.0"  # no exponential is 0 / 0
    bare = t0.Ranking("a", 0, np.array([-1.0, -2.0]), np.array([1, 1]))
    assert repr(bare) == "Ranking(choice='a', index=0, scores=[-1.0000, -2.0000])" and Cells(bare._repr_html_()).rows[2][0] == "1"


def test_a_model_shows_what_it_is():
    model = t0.mini.new_model(0)
    model.name = EVIL
    shown = dict(Cells(model._repr_html_()).rows)
    assert shown["model"] == EVIL and shown["weights"].startswith(f"{model.parameters:,} in float32, kernels ")
    assert shown["inputs end"] == "without the end token" and "pieces" in shown["tokenizer"]
    without = t0.Model.init(model.config, seed=0)
    assert "ids" in dict(Cells(without._repr_html_()).rows)["tokenizer"]
    assert f"{model.parameters:,} weights" in repr(model)


def test_a_run_shows_its_facts_its_validation_and_its_loss(monkeypatch, tmp_path):
    monkeypatch.setattr("t0native.training.train.Trainer", FakeTrainer)
    task = t0.Task("a", rows_of(40), {"p": yes_no("p")})
    run = t0.train(FakeModel(), task, steps=20, batch_size=4, log_every=2, validate=task, validate_every=10, progress=False, out=tmp_path)
    html = run._repr_html_()
    shown = Cells(html)
    facts = dict(row for row in shown.rows if len(row) == 2)
    assert facts["steps"] == "20" and facts["examples"].startswith("80, ") and facts["folder"] == str(tmp_path)
    assert facts["loss of the last"] == f"{run.losses[-1]:.4f} nats a target token"
    assert "Validation, step 20:" in html and ["a", "step 20", "1", "50.0"] in [row[:4] for row in shown.rows]
    (words,) = re.findall('<pre role="img" aria-label="([^"]*)">', html)
    assert words.startswith(f"Loss over steps: {run.log[0]['loss']:.3f} at step 2") and "step 2 to 20, loss in nats" in html
    best = t0.Run(
        steps=2, losses=[3.5, 3.25], stopped=EVIL, seconds=0.5, tokens=1200, log=[{"step": 1, "validation": {"a": 0.625}}]
    )._repr_html_()
    assert "step 1, mean 62.5 %" in best and "<script" not in best and "<pre" not in best


def test_of_a_training_the_last_validation_alone_holds_its_rows(monkeypatch):
    monkeypatch.setattr("t0native.training.train.Trainer", FakeTrainer)
    task = t0.Task("a", rows_of(40), {"p": yes_no("p")})
    run = t0.train(FakeModel(), task, steps=20, batch_size=4, validate=task, validate_every=5, progress=False)
    assert [report.answers[0] is None for report in run.reports] == [True, True, True, False]
    assert run.reports[-1].errors().total == 20


# ---- progress ---------------------------------------------------------------------------------------------------------


class Widget:
    """In the place of tqdm.notebook.tqdm: what is shown of it."""

    made = []

    def __init__(self, total, initial, desc, **options):
        self.total, self.initial, self.desc, self.start_t, self.shown, self.closed = total, initial, desc, 0.0, [], False
        Widget.made.append(self)

    def set_postfix_str(self, text, refresh=True):
        self.facts = text

    def refresh(self):
        self.shown.append((self.n, self.facts))

    def close(self):
        self.closed = True


@pytest.fixture
def notebook(monkeypatch):
    """A notebook's kernel with tqdm and ipywidgets, all of them pretended."""
    Widget.made = []
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr(progress, "TERMINAL_INTERVAL", 0.0)
    modules = {name: ModuleType(name) for name in ("IPython", "ipywidgets", "tqdm", "tqdm.notebook")}
    modules["IPython"].get_ipython = lambda: SimpleNamespace(kernel=object())
    modules["tqdm.notebook"].tqdm = Widget
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return modules


def test_a_notebook_gets_a_widget(notebook, capsys):
    with Progress("train", 30, done=10) as bar:
        bar.update(11, "loss 3.2", "900 tokens/s")
        bar.first += 5
        bar.update(30, "loss 3.0")
    (widget,) = Widget.made
    assert (widget.desc, widget.total, widget.initial, widget.closed) == ("train", 30, 15, True)
    assert widget.shown == [(11, "loss 3.2  900 tokens/s"), (30, "loss 3.0")] and capsys.readouterr().err == ""


def test_calls_of_the_package_show_it(notebook):
    t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=5)
    assert [(widget.desc, widget.shown[-1][0], widget.closed) for widget in Widget.made] == [("evaluate", 60, True)]


def test_what_is_done_soon_shows_none_and_silence_is_silence(notebook, monkeypatch):
    with Progress("score", 3, delay=60.0) as bar:
        bar.update(3)
    with Progress("score", 3, on=False) as bar:
        bar.update(3)
    monkeypatch.setenv("T0NATIVE_PROGRESS", "0")
    with Progress("score", 3) as bar:
        bar.update(3)
    assert Widget.made == []


@pytest.mark.parametrize("lacking", ["ipywidgets", "tqdm.notebook", "kernel", "IPython", "stream"])
def test_without_any_of_them_lines_are_printed_as_ever(notebook, monkeypatch, lacking, capsys):
    stream = None
    if lacking == "kernel":
        notebook["IPython"].get_ipython = lambda: SimpleNamespace()  # a terminal's
    elif lacking == "IPython":
        monkeypatch.delitem(sys.modules, "IPython")
    elif lacking == "stream":
        stream = Terminal()
    else:
        monkeypatch.setitem(sys.modules, lacking, None)
    monkeypatch.setattr(progress, "PLAIN_INTERVAL", 0.0)
    with Progress("train", 3, stream=stream) as bar:
        bar.update(2, "loss 1.0")
    shown = capsys.readouterr().err if stream is None else stream.getvalue()
    assert Widget.made == [] and "2/3  loss 1.0" in shown
