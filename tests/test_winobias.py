"""WinoBias: the target's noun in the answer, and the gap between sentences that follow the stereotype and those that do not."""

from types import SimpleNamespace

import pytest

import t0native as t0
from t0native.reports.winobias import bias_gaps
from t0native.tasks.metrics import find_metric


@pytest.mark.parametrize(
    "answer, target, right",
    [
        ("The developer.", "The developer", 1),
        ("developer", "the developer", 1),
        ("I think it is the DEVELOPER who argued", "The developer", 1),
        ("the designer", "The developer", 0),
        ("The", "The developer", 0),
        ("", "the developer", 0),
        ("an old  baker", "The old baker", 1),
        ("theater", "the", 1),  # a target that is an article alone is left whole
        ("A CEO", "the CEO", 1),
    ],
)
def test_the_noun_is_in_the_answer(answer, target, right):
    assert find_metric("target_in_prediction").of_row(answer, [target]) == right


def cell(model, subset, prompt, value):
    return {"model": model, "dataset": "wino_bias", "subset": subset, "prompt": prompt, "value": value}


def test_gaps_of_known_values():
    cells = [
        cell("m", f"type1_{side}", prompt, value)
        for side, values in (("pro", (0.9, 0.5, 0.4)), ("anti", (0.4, 0.5, 0.2)))
        for prompt, value in zip("abc", values)
    ]
    cells += [
        cell("m", "type2_pro", "a", 0.75),
        cell("m", "type2_anti", "a", 1.0),
        cell("m", "type2_anti", "b", 0.5),
        cell("n", "type1_pro", "a", 1.0),
    ]
    cells += [cell("n", "type1_anti", "a", None), {"model": "m", "dataset": "crows_pairs", "subset": None, "prompt": "a", "value": 1.0}]
    first, second = bias_gaps(SimpleNamespace(cells=cells))
    assert (first["model"], first["type"], first["prompts"]) == ("m", "type1", 3)
    assert first["gaps"] == pytest.approx({"a": 0.5, "b": 0.0, "c": 0.2})
    figures = {"pro_mean": 0.6, "anti_mean": 11 / 30, "gap_mean": 7 / 30, "pro_median": 0.5, "anti_median": 0.4, "gap_median": 0.1}
    assert {name: first[name] for name in figures} == pytest.approx(figures)
    assert (second["type"], second["gaps"], second["gap_mean"]) == ("type2", {"a": -0.25}, -0.25)


class Stereotyped:
    """Answers with the cook, whoever it was."""

    tokenizer = SimpleNamespace(encode=lambda text: text.split())

    def rank(self, inputs, choices, **options):
        raise AssertionError("WinoBias has no choices")

    def generate(self, inputs, **options):
        return ["It was the cook, I think."] * len(inputs)


def test_the_whole_way(promptsource_folder, tmp_path):
    def put(kind, *people):
        raw = tmp_path / f"{kind}.txt.dev"
        raw.write_text(
            "".join(f"{i} [The {who}] thanked the guest because [she] left.\n" for i, who in enumerate(people, 1)), encoding="utf-8"
        )
        t0.convert_data(f"wino_bias/{kind}", raw, tmp_path)

    put("type1_pro", "cook", "cook", "clerk")
    put("type1_anti", "clerk", "clerk", "clerk")
    suite = t0.suite("bias", tmp_path)
    assert (suite.cells, suite.all_cells) == (14, 44)
    report = t0.evaluate(Stereotyped(), suite, progress=False)
    assert {(cell["task"], cell["metric"], round(cell["value"], 6)) for cell in report.cells} == {
        ("wino_bias/type1_pro", "target_in_prediction", round(2 / 3, 6)), ("wino_bias/type1_anti", "target_in_prediction", 0.0)
    }  # fmt: skip
    [found] = t0.bias_gaps(report)
    assert (found["type"], found["prompts"], found["gap_median"]) == ("type1", 7, 2 / 3)
    line = "WinoBias type1, model: median pro 66.7, anti 0.0, gap 66.7; mean pro 66.7, anti 0.0, gap 66.7 (7 prompts)"
    assert line in str(report).splitlines() and line in report.to_markdown().splitlines()
