"""Evaluation: which rows count, which cells fail, and what the report then says."""

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, rows_of, yes_no

import t0native as t0


def by_words(words):
    """Answers with the first of these words that is a choice."""
    return lambda text, choices: next(choices.index(word) for word in words if word in choices)


def test_accuracy_of_every_prompt():
    rows = rows_of(12, period=3)  # a third is label 1
    prompts = {"a": yes_no("a"), "b": yes_no("b", ("false", "true"))}
    task = t0.Task("t", rows, prompts, dataset="d/s", split="validation")
    report = t0.evaluate(FakeModel(by_words(["no", "true"])), task, progress=False, label="m")
    assert [cell["prompt"] for cell in report.cells] == ["a", "b"]
    assert [cell["value"] for cell in report.cells] == pytest.approx([8 / 12, 4 / 12])
    assert report.cells[0] | {"low": None, "high": None} == {
        "model": "m", "task": "t", "dataset": "d", "subset": "s", "split": "validation", "prompt": "a", "prompt_id": "id of a",
        "metric": "accuracy", "value": 8 / 12, "low": None, "high": None, "n": 12, "dropped": 0, "cut": 0, "status": "ok", "reason": None,
        "metrics": {"accuracy": 8 / 12}, "normalized": None, "examples": None,
    }  # fmt: skip
    assert report.correct[1].tolist() == [1.0, 0, 0] * 4
    assert report.summary[0]["chance"] == 0.5 and report.summary[0]["prompts"] == 2


def test_a_label_that_is_no_text_can_be_saved(tmp_path):
    task = t0.Task("t", rows_of(3), {"a": yes_no("a")})
    report = t0.evaluate(
        FakeModel(by_words(["no"])), task, progress=False, label="m\udcff"
    )  # as the command line gives a byte that is no UTF-8
    assert t0.Report.load(report.save(tmp_path)).cells[0]["model"] == "m?"


def test_dropped_rows_are_counted_with_their_reason():
    def render(row):
        number = int(row["text"].split()[1])
        return None if number < 2 else (row["text"], "maybe" if number == 5 else "yes", ["yes", "no"])

    report = t0.evaluate(FakeModel(), t0.Task("t", rows_of(10), {"p": FakePrompt("p", render)}), progress=False)
    cell = report.cells[0]
    assert (cell["n"], cell["dropped"], cell["value"], cell["status"]) == (7, 3, 1.0, "ok")
    assert cell["reason"] == (
        "2 rows dropped: the template gives an empty input (first row 0); 1 row dropped: the target is not among the choices "
        "(first row 5: target 'maybe', choices ['yes', 'no']; label is 0 (int))"
    )
    assert np.isnan(report.correct[0][[0, 1, 5]]).all() and np.nansum(report.correct[0]) == 7


def test_chance_follows_the_number_of_choices():
    prompt = FakePrompt("p", lambda row: (row["text"], "a", ["a", "b", "c", "d"][: 2 + 2 * row["label"]]))
    report = t0.evaluate(FakeModel(), t0.Task("t", rows_of(4), {"p": prompt}), progress=False)
    assert report.summary[0]["chance"] == (0.25 + 0.5) / 2


def test_prompts_without_choices_are_generated():
    prompts = {"free": FakePrompt("free", lambda row: (row["text"], ["no", "yes"][row["label"]], None)), "ranked": yes_no("ranked")}
    report = t0.evaluate(FakeModel(), t0.Task("t", rows_of(6, period=3), prompts), progress=False)
    assert [(c["metric"], c["value"]) for c in report.cells] == [("exact_match", pytest.approx(1 / 3)), ("accuracy", pytest.approx(2 / 3))]
    assert report.summary[0]["prompts"] == 1 and report.summary[0]["median"] == pytest.approx(2 / 3)  # of one metric, the first of choice


def test_numpys_limit_is_a_number_and_a_name_is_no_model(tmp_path):
    report = t0.evaluate(FakeModel(), t0.Task("t", rows_of(6), yes_no()), limit=np.int64(2), seed=np.int64(1), progress=False)
    assert t0.Report.load(report.save(tmp_path)).about["limit"] == 2
    with pytest.raises(t0.ConfigError, match="model 'm': must be a Model, as t0native.Model.from_pretrained"):
        t0.evaluate("m", t0.Task("t", rows_of(6), yes_no()))


def test_a_metric_other_than_accuracy_is_shown():
    free = FakePrompt("free", lambda row: (row["text"], "yes", None))
    report = t0.evaluate(FakeModel(), [t0.Task("f", rows_of(6), free), t0.Task("r", rows_of(6), yes_no())], progress=False)
    assert "f: exact_match of generated text" in str(report).splitlines() and "r: " not in str(report)


def test_generation_goes_a_little_further_than_the_targets():
    asked = []

    class Echo(FakeModel):
        def generate(self, inputs, max_new_tokens, truncate, progress):
            asked.append((len(inputs), max_new_tokens))
            progress(len(inputs), len(inputs))
            return [text.upper()[:max_new_tokens] for text in inputs]

    rows = [{"text": "a" * (1 + i * 7 % 300), "label": i % 2} for i in range(300)]
    prompt = FakePrompt("p", lambda row: (row["text"], row["text"].upper() if row["label"] else "b", None))
    report = t0.evaluate(Echo(), t0.Task("t", rows, {"p": prompt}), progress=False)
    assert report.correct[0].tolist() == [float(row["label"]) for row in rows]  # in the order of rows
    assert [n for n, _ in asked] == [128, 128, 44] and asked[0][1] == 1 + 4 and asked[2][1] == 300 + 4


def test_a_failing_cell_does_not_stop_the_others():
    def breaks(row):
        raise t0.TemplateError("line 1, column 9: no such filter")

    prompts = {"bad": FakePrompt("bad", breaks), "none": FakePrompt("none", lambda row: None), "good": yes_no("good")}
    report = t0.evaluate(FakeModel(), t0.Task("t", rows_of(5), prompts), progress=False)
    assert [cell["status"] for cell in report.cells] == ["failed", "failed", "ok"]
    assert report.cells[0]["reason"] == (
        "DataError: no row is left of 5 (5 rows dropped: it cannot be rendered (first row 0: line 1, column 9: no such filter))"
    )
    assert report.cells[1]["reason"].startswith("DataError: no row is left of 5 (5 rows dropped")
    assert report.cells[0]["value"] is None and report.summary[0]["prompts"] == 1
    assert "FAILED fake, t, bad: DataError" in str(report)


def test_a_model_that_fails_is_a_failed_cell():
    def fails(text, choices):
        raise t0.NumericError("score of input 0 is nan")

    report = t0.evaluate(FakeModel(fails), t0.Task("t", rows_of(5), {"p": yes_no()}), progress=False)
    assert report.cells[0]["reason"] == "NumericError: score of input 0 is nan" and report.summary[0]["median"] is None
    assert "t" in str(report) and report.boxes() == "nothing to draw: no cell has a value"


def test_a_model_without_a_tokenizer_is_refused_with_the_remedy():
    model, task = FakeModel(), t0.Task("t", rows_of(5), {"p": yes_no(), "free": FakePrompt("free", lambda row: (row["text"], "yes", None))})
    model.tokenizer = None
    with pytest.raises(
        t0.ConfigError, match="the model has no tokenizer, and tasks are texts: put its spiece.model or tokenizer.json into its folder"
    ):
        t0.evaluate(model, task, progress=False)
    del model.tokenizer  # what only ranks needs none, what generates does
    report = t0.evaluate(model, task, progress=False)
    assert [cell["status"] for cell in report.cells] == ["ok", "failed"]
    assert report.cells[1]["reason"].startswith("ConfigError: the model has no tokenizer, and tasks are texts: put its spiece.model")


def test_limit_seed_and_order():
    tasks = [t0.Task("a", rows_of(30), {"p": yes_no("p"), "q": yes_no("q")}), t0.Task("b", rows_of(20, 3), {"p": yes_no()})]
    model = FakeModel()
    report = t0.evaluate(model, tasks, limit=9, progress=False)
    assert {cell["n"] for cell in report.cells} == {9}
    whole, turned = t0.evaluate(model, tasks, progress=False), t0.evaluate(model, tasks[::-1], progress=False)
    assert whole.cells == turned.cells[1:] + turned.cells[:1] and whole.summary == turned.summary[::-1]
    other = t0.evaluate(model, tasks, seed=1, progress=False)
    assert [c["value"] for c in other.cells] == [c["value"] for c in whole.cells] and other.cells != whole.cells


@pytest.mark.parametrize(
    "tasks, options, message",
    [
        ([], {}, "evaluate: no tasks"),
        (["t", "t"], {}, "two tasks are called 't'; give them different names"),
        (["t"], {"limit": 0}, "limit 0: must be a whole number, at least 1, or None"),
        (["t"], {"limit": "9"}, "limit '9': must be a whole number, at least 1, or None"),
    ],
)
def test_arguments_out_of_range(tasks, options, message):
    with pytest.raises(t0.ConfigError) as error:
        t0.evaluate(FakeModel(), [t0.Task(name, rows_of(2), {"p": yes_no()}) for name in tasks], **options)
    assert str(error.value) == message


def test_accuracy_without_choices_is_refused_in_its_cell():
    task = t0.Task("t", rows_of(2), {"p": FakePrompt("p", lambda row: ("a", "b", None))}, metric="accuracy")
    report = t0.evaluate(FakeModel(), task, progress=False)
    assert report.cells[0]["reason"] == "DataError: accuracy needs answer choices, and this prompt has none; use metric='exact_match'"
