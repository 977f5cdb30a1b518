"""Errors with their texts, and confusion matrices: against scikit-learn and plain loops, in every form that they are shown in."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, rows_of

import t0native as t0
from t0native.cli.main import main
from t0native.reports.confusion import Confusion

WORDS = ["red", "green", "blue", "none"]


def colours(n=60, seed=0):
    """(task, model): rows of four classes, the last never right, under two prompts; a model that is wrong at random."""
    random = np.random.default_rng(seed)
    rows = [{"text": f"row {i}", "label": int(label)} for i, label in enumerate(random.integers(0, 3, n))]
    said = {f"{name}: row {i}": int(random.choice(3, p=[0.6, 0.2, 0.2])) for name in "ab" for i in range(n)}
    prompts = {name: FakePrompt(name, lambda row, name=name: (f"{name}: {row['text']}", WORDS[row["label"]], list(WORDS))) for name in "ab"}
    model = FakeModel(answer=lambda text, choices: said[text])
    model.fingerprint = str(seed)
    return t0.Task("colours", rows, prompts), model, said


@pytest.mark.parametrize("seed", range(5))
def test_matrices_and_figures_of_classes_are_scikit_learns(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    task, model, said = colours(20 + 10 * seed, seed)
    found = t0.evaluate(model, task, progress=False).confusion()
    assert [one.prompt for one in found] == ["a", "b"] and found.left_out == {}
    for one in found:
        right = [WORDS[row["label"]] for row in task.rows]
        predicted = [WORDS[said[f"{one.prompt}: {row['text']}"]] for row in task.rows]
        assert one.matrix.tolist() == metrics.confusion_matrix(right, predicted, labels=WORDS).tolist() and one.labels == WORDS
        assert one.accuracy == metrics.accuracy_score(right, predicted)
        assert one.macro_f1 == pytest.approx(metrics.f1_score(right, predicted, average="macro"), abs=1e-12)
        with np.errstate(invalid="ignore"):
            figures = metrics.precision_recall_fscore_support(right, predicted, labels=WORDS, zero_division=np.nan)
        for key, of_classes in zip(("precision", "recall", "f1", "support"), figures):
            ours = [np.nan if figure[key] is None else figure[key] for figure in one.classes]
            np.testing.assert_allclose(ours, of_classes, rtol=0, atol=1e-12, err_msg=key)


def test_errors_are_the_rows_that_are_wrong(tmp_path):
    task, model, said = colours()
    report = t0.evaluate(model, task, out=tmp_path, write_examples=True, progress=False)
    wanted = [(name, i) for name in "ab" for i, row in enumerate(task.rows) if said[f"{name}: row {i}"] != row["label"]]
    for source in (report, t0.Report.load(tmp_path)):
        errors = source.errors(limit=None)
        assert [(error["prompt"], error["row"]) for error in errors] == wanted and errors.total == len(wanted)
        for error in errors:
            text = f"{error['prompt']}: row {error['row']}"
            assert (error["input"], error["target"]) == (text, WORDS[task.rows[error["row"]]["label"]])
            assert error["prediction"] == WORDS[said[text]] != error["target"] and error["right"] is False
        assert [error["row"] for error in source.errors("colours", "b", "fake", limit=3)] == [i for name, i in wanted if name == "b"][:3]
        assert source.errors(limit=1).counts == {("fake", "colours", name): (sum(n == name for n, _ in wanted), 60) for name in "ab"}


def test_names_and_limits_are_checked():
    task, model, _ = colours()
    report = t0.evaluate(model, task, progress=False)
    for method in (report.errors, report.confusion):
        with pytest.raises(t0.ConfigError, match="no prompt 'c' in the report; there are: a, b"):
            method(prompt="c")
        with pytest.raises(t0.ConfigError, match="no task 'colour' in the report; did you mean 'colours'?"):
            method("colour")
        with pytest.raises(t0.ConfigError, match="no model 'fak' in the report; did you mean 'fake'?"):
            method(model="fak")
    for limit in (0, -1, 2.5):
        with pytest.raises(t0.ConfigError, match="limit"):
            report.errors(limit=limit)


def test_a_report_without_its_rows_says_where_they_are(tmp_path):
    task, model, said = colours()
    report = t0.evaluate(model, task, out=tmp_path / "run", progress=False)
    wrong = report.errors(limit=None)
    loaded = t0.Report.load(tmp_path / "run")
    assert loaded.errors(limit=None) == [error | {"input": None} for error in wrong]
    assert "inputs are kept by write_examples=True" in str(loaded.errors()) and "inputs" not in str(wrong).splitlines()[0]
    assert str(loaded.confusion()) == str(report.confusion())
    alone = t0.Report.load(report.save(tmp_path / "alone.json"))
    for method in (alone.errors, alone.confusion):
        with pytest.raises(t0.ConfigError, match="write_examples=True"):
            method()
    assert "Confusion" not in alone.to_html() and t0.Report([], [], {}).errors() == t0.Report([], [], {}).confusion() == []


def test_cells_without_a_fixed_set_of_choices_have_no_matrix():
    rows = [{"text": f"row {i}", "label": i % 2, "words": ["b", "a"] if i < 3 else ["a", "c"], "answers": "a"} for i in range(5)]
    turned = FakePrompt("turned", lambda row: (row["text"], "ab"[row["label"]], ["a", "b"] if row["label"] else ["b", "a"]))
    differ = FakePrompt("differ", lambda row: (row["text"], "a", row["words"]))
    written = FakePrompt("written", lambda row: (row["text"], "yes", None))
    tasks = [
        t0.Task("t", rows, {prompt.name: prompt for prompt in (turned, differ, written)}),
        t0.Task("own", rows, {"turned": turned}, metric="accuracy:answers"),
    ]
    found = t0.evaluate(FakeModel(), tasks, progress=False).confusion()
    assert [(one.task, one.prompt, one.labels) for one in found] == [("t", "turned", ["b", "a"])]  # the same set in another order
    assert found[0].matrix.tolist() == [[0, 2], [3, 0]]
    assert found.left_out == {
        ("fake", "t", "differ"): "its choices are not the same for every row (row 3)",
        ("fake", "t", "written"): "its answers are written, not chosen",
        ("fake", "own", "turned"): "it is judged by a field of the row (accuracy:answers)",
    }
    assert "own, fake: no matrix of turned: it is judged by a field" in str(found)


def test_graded_answers_and_failed_cells():
    rows = [{"text": "a b", "label": 0}, {"text": "c", "label": 0}]
    prompt = FakePrompt("p", lambda row: (row["text"], "yes yes" if row["text"] == "c" else "yes", None))
    bad = t0.Prompt("bad", "{{ text }} ||| {{ nothing.here }}")
    errors = t0.evaluate(FakeModel(), t0.Task("t", rows, {"p": prompt, "bad": bad}, metric="squad_f1"), progress=False).errors()
    assert [(error["row"], error["prediction"], round(error["value"], 2)) for error in errors] == [(1, " yes ", 0.67)]
    assert list(errors.counts.values()) == [(1, 2)]


HOSTILE = "<b>&_$%|\\n~^{}"


def hostile():
    """A report whose every text is hostile."""
    prompt = FakePrompt(HOSTILE, lambda row: (f"{HOSTILE} {row['text']}", HOSTILE + "no", [HOSTILE, HOSTILE + "no"]))
    return t0.evaluate(FakeModel(), t0.Task(HOSTILE, rows_of(3), {HOSTILE: prompt}), label=HOSTILE, progress=False)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_form_escapes_every_text():
    report = hostile()
    for them in (report.errors(), report.confusion()):
        assert len(them) in (1, 3)
        html = them._repr_html_()
        assert Tags(html).seen <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "p"} and "&lt;b&gt;" in html
        latex = them.to_latex()
        assert (
            not re.search(r"(?<!\\)[_$%#]", latex)
            and "<" not in latex
            and latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
        )
        for line in them.to_markdown().splitlines():
            if line.startswith("|"):
                assert len(re.findall(r"(?<!\\)\|", line)) == len(re.findall(r"(?<!\\)\|", them.to_markdown().splitlines()[-1]))
    page = report.to_html()
    assert "<h2>Confusion</h2>" in page and "<h2>Errors</h2>" in page and "<b>" not in page


def test_errors_in_text_show_what_was_read_and_said():
    model = t0.Model.mini()
    lines = str(
        t0.evaluate(model, t0.mini.held_out_tasks()[0], limit=40, progress=False).errors(prompt="logic lesson", limit=1)
    ).splitlines()
    assert lines[0] == "7 of 40 rows wrong; 1 shown" and lines[2] == "inference, logic lesson, all prompts: 7 of 40 rows wrong"
    assert [line.split()[0] for line in lines[3:]] == ["row", "input", "choices", "target", "prediction"]
    assert re.fullmatch(r"    choices     Yes \(-\d\.\d\d\) \| No \(-\d\.\d\d\)", lines[5])


def test_many_classes_are_told_by_their_commonest_confusions():
    matrix = np.diag(np.arange(20)) + np.eye(20, k=1, dtype=int) * 3
    matrix[4, 9] = 50
    lines = str(Confusion("m", "t", "p", [f"class {i}" for i in range(20)], matrix)).splitlines()
    assert lines[1].split() == ["class", "precision", "recall", "F1", "support"] and len(lines) == 2 + 20 + 10
    assert lines[22:24] == ["class 4 taken for class 9: 50", "class 0 taken for class 1: 3"]


def test_the_command_shows_both(tmp_path, capsys):
    task, model, said = colours()
    t0.evaluate(model, task, out=tmp_path, write_examples=True, progress=False)
    assert main(["report", str(tmp_path), "--errors", "2", "--confusion", "--prompt", "a"]) == 0
    out = capsys.readouterr().out
    assert "colours, a, fake: 60 rows, accuracy" in out and out.count("    input       a: row") == 2 and "b: row" not in out
    assert main(["report", str(tmp_path), "--errors", "--confusion", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["errors"]) == 10 and [one["labels"] for one in found["confusion"]] == [WORDS, WORDS]
    assert main(["report", str(tmp_path), "--errors", "--confusion", "--latex", str(tmp_path / "r.tex"), "--markdown"]) == 0
    assert (tmp_path / "r.tex").read_text().count(r"\begin{tabular}") == 4 and "| right \\\\ predicted |" in capsys.readouterr().out
    assert main(["report", str(tmp_path), "--prompt", "a"]) == 2 and "--errors" in capsys.readouterr().err
    (tmp_path / "alone").mkdir()
    t0.Report.load(tmp_path).save(tmp_path / "alone" / "report.json")
    assert main(["report", str(tmp_path / "alone"), "--errors"]) == 2
    assert "--write-examples" in capsys.readouterr().err


def test_a_prompt_of_the_miniature_agrees_with_its_cell():
    report = t0.evaluate(t0.Model.mini(), t0.mini.held_out_tasks()[0], limit=30, progress=False)
    for cell, one in zip(report.cells, report.confusion()):
        assert one.accuracy == pytest.approx(cell["value"]) and one.n == cell["n"]


def test_no_text_of_a_row_commands_a_terminal():
    prompt = FakePrompt("p\x1b[2J", lambda row: ("\x1b]0;title\x07" + "x" * 2000 + " Which?", "a\x1b[0m", ["b\x9b", "a\x1b[0m"]))
    report = t0.evaluate(FakeModel(), t0.Task("t\x1b", rows_of(2), {prompt.name: prompt}), progress=False)
    for them in (report.errors(), report.confusion()):
        assert len(them) > 0 and all(line.isprintable() for line in str(them).splitlines())
    assert "\\x1b]0;title" in str(report.errors()) and str(report.errors()).count(" Which?") == 2 and len(str(report.errors())) < 1500
    assert report.errors()[0]["input"].startswith("\x1b]0;title")


def test_the_verb_evaluate_shows_them_at_once(tmp_path, capsys):
    t0.Model.mini().save(tmp_path / "model")
    arguments = ["evaluate", "--model", str(tmp_path / "model"), "--suite", "mini", "--limit", "20"]
    assert main([*arguments, "--errors", "1", "--confusion"]) == 0
    out = capsys.readouterr().out
    assert "    input       Suppose we read the following" in out and "inference, can we infer, model: 20 rows, accuracy" in out
    with pytest.raises(SystemExit):
        main(["evaluate", "--model", "nowhere", "--suite", "mini", "--errors", "0"])
    assert "--errors: '0': must be a whole number from 1" in capsys.readouterr().err
