"""Evaluation against loops with transformers: P3's prompts on public rows, and t-zero's script with its errors."""

import numpy as np
import pytest
from fakes import FakePrompt

import t0native as t0

evaluation_parity = pytest.importorskip("evaluation_parity", reason="needs jinja2")


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_a_slice_of_the_public_sets(public_data, promptsource_folder, tmp_path):
    examples, differ, worst = evaluation_parity.compare(public_data, promptsource_folder, tmp_path, limit=4)
    assert differ == 0 and worst <= evaluation_parity.TOLERANCE and examples >= 100  # python tests/evaluation_parity.py does all


WORDS = ["a cup of tea", "Anna and Ben", "tea", "no", "yes"]  # short ones are likelier, and they are cut off


def example_of(row):
    """Rows of 2 to 5 choices; of every 8 the first has the fewest."""
    count = 2 + (row["i"] % 8 + row["i"] // 8) % 4 if row["i"] % 8 else 2
    return " ".join([f"row {row['i']}:", *(["What do they drink?"] * row["long"])]), WORDS[(row["i"] * 7) % count], WORDS[:count]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_compat_is_the_script(public_data, tmp_path):
    model = evaluation_parity.tiny_model(public_data, tmp_path)
    rows = [{"i": i, "long": 400 if i == 11 else i % 5} for i in range(30)]  # one input of 2,000 tokens and more
    task = t0.Task("t", rows, {"p": FakePrompt("p", example_of, fields=("i",))})
    report = t0.evaluate(model, task, compat="t0-2021", progress=False)
    expected = evaluation_parity.ScriptLoop(tmp_path).right([example_of(row) for row in rows])
    assert report.correct[0].tolist() == expected and report.about["compat"] == "t0-2021"
    usual = t0.evaluate(model, task, progress=False)
    assert usual.about["compat"] is None and not np.array_equal(usual.correct[0], report.correct[0])
    cut = [len(example_of(row)[2]) > 2 and example_of(row)[1] not in WORDS[:2] for row in rows]
    assert any(cut) and not any(right for right, gone in zip(report.correct[0], cut) if gone)


@pytest.mark.parametrize(
    "render, reason",
    [
        (
            lambda row: ("a?", "b", ["b", "c", "d"] if row["i"] == 8 else ["b", "c"]),
            "stops at row 9: it has 2 choices, the first row of its batch, 8, has 3",
        ),
        (
            lambda row: ("a?", "b" if row["i"] else "x", ["b", "c"]),
            "stops at such rows: 1 row dropped: the target is not among the choices (first row 0",
        ),
        (lambda row: ("a?", "b", None), "stops at row 0: the prompt has no answer choices"),
        (
            lambda row: None if row["i"] == 3 else ("a?", "b", ["b"]),
            "stops at such rows: 1 row dropped: the template gives an empty input (first row 3)",
        ),
    ],
    ids=["fewer choices", "no choice", "no choices", "no input"],
)
def test_where_the_script_stops_the_cell_fails(render, reason):
    task = t0.Task("t", [{"i": i} for i in range(12)], {"p": FakePrompt("p", render, fields=("i",))})
    (cell,) = t0.evaluate(t0.mini.new_model(0), task, compat="t0-2021", progress=False).cells
    assert cell["status"] == "failed" and cell["reason"].startswith(f"DataError: compat='t0-2021': t-zero's script {reason}")
    if reason.startswith("stops at row 9"):
        with pytest.raises(IndexError):
            [[choices[i] for i in range(3)] for choices in [render(row)[2] for row in task.rows[8:]]]
