"""Statistics against numpy and scipy, the saved form, tables and pictures."""

import json

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.reports.bootstrap import bootstrap, quartiles, row_counts
from t0native.reports.cell import CellRecord
from t0native.reports.report import CELL_KEYS, SUMMARY_KEYS


def report_of(models=("untrained", "all prompts"), tasks=("copa", "wic"), prompts=6, rows=200, seed=0):
    random = np.random.default_rng(seed)
    cells, correct = [], []
    for m, model in enumerate(models):
        for task in tasks:
            for p in range(prompts):
                fixed = {"model": model, "task": task, "prompt": f"p{p}", "metric": "accuracy", "dropped": 0, "status": "ok"}
                cells.append(dict.fromkeys(CELL_KEYS) | fixed)
                correct.append((random.random(rows) < 0.5 + 0.05 * p * m).astype(float))
    return t0.Report.of_cells(cells, correct, [0.5] * len(cells), seed=3, about={"models": list(models), "seconds": 1.0})


def test_quartiles_are_numpys():
    for n in (1, 2, 3, 4, 7, 12, 15):
        values = np.random.default_rng(n).random(n)
        expected = [np.median(values), *np.quantile(values, [0.25, 0.75], method="linear")]
        np.testing.assert_allclose(quartiles(values), expected, rtol=0, atol=1e-12)


def test_summary_is_the_distribution_over_prompts():
    report = report_of()
    for entry in report.summary:
        values = [c["value"] for c in report.cells if (c["model"], c["task"]) == (entry["model"], entry["task"])]
        oracle = {"median": np.median(values), "mean": np.mean(values), "min": min(values), "max": max(values)}
        oracle |= dict(zip(("q1", "q3"), np.percentile(values, [25, 75])))
        for key, value in oracle.items():
            assert entry[key] == pytest.approx(value, abs=1e-12), key
        assert entry["low"] <= entry["median"] <= entry["high"] and entry["prompts"] == 6
    for cell, correct in zip(report.cells, report.correct):
        assert cell["value"] == pytest.approx(correct.mean(), abs=1e-12) and cell["n"] == 200


def test_bootstrap_equals_a_plain_loop():
    """The same draws, resampled one replicate at a time with numpy's own median and percentile."""
    from t0native._core import random_bits

    random = np.random.default_rng(5)
    correct = (random.random((5, 40)) < [[0.3], [0.5], [0.6], [0.8], [0.9]]).astype(float)
    correct[2, :7] = np.nan
    lows, highs, low, high = bootstrap(correct, seed=11, replicates=300)
    means, medians = [], []
    for r in range(300):
        rows = [int(b) % 40 for b in random_bits(11, 9, r * 40, 40)]
        mean = np.nanmean(correct[:, rows], axis=1)
        means.append(mean)
        medians.append(np.median([mean[int(b) % 5] for b in random_bits(11, 9, (1 << 60) + r * 5, 5)]))
    np.testing.assert_allclose(lows, np.percentile(means, 2.5, axis=0), atol=1e-12)
    np.testing.assert_allclose(highs, np.percentile(means, 97.5, axis=0), atol=1e-12)
    np.testing.assert_allclose([low, high], np.percentile(medians, [2.5, 97.5]), atol=1e-12)


def test_interval_of_a_cell_agrees_with_scipy():
    from scipy.stats import bootstrap as scipy_bootstrap

    correct = (np.random.default_rng(1).random(300) < 0.7).astype(float)
    lows, highs, _, _ = bootstrap(correct[None], seed=0, replicates=4000)
    oracle = scipy_bootstrap((correct,), np.mean, n_resamples=4000, method="percentile", random_state=0).confidence_interval
    assert (lows[0], highs[0]) == pytest.approx((oracle.low, oracle.high), abs=0.005)


def test_replicates_are_drawn_in_any_portion():
    counts = row_counts(4, 0, 10, 33)
    assert (counts.sum(axis=1) == 33).all()
    np.testing.assert_array_equal(counts[6:], row_counts(4, 6, 4, 33))


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(9)
    inside = 0
    for trial in range(200):
        lows, highs, _, _ = bootstrap((random.random((1, 150)) < 0.6).astype(float), seed=trial, replicates=400)
        inside += lows[0] <= 0.6 <= highs[0]
    assert 178 <= inside <= 199  # 95 % of 200 is 190, standard deviation 3.1


def test_saved_form(tmp_path):
    report = report_of()
    report.correct[0][:3] = np.nan
    path = report.save(tmp_path)
    assert path == tmp_path / "report.json"
    data = json.loads(path.read_text())
    assert set(data["cells"][0]) == set(CELL_KEYS) and set(data["summary"][0]) == set(SUMMARY_KEYS)
    assert data["cells"] == report.cells and data["summary"] == report.summary
    again = t0.Report.load(tmp_path)
    assert (again.cells, again.summary, again.about) == (report.cells, report.summary, report.about)
    for a, b in zip(report.correct, again.correct):
        np.testing.assert_array_equal(a, b)
    assert path.stat().st_size < 24 * 560


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "its JSON is broken"),
        ("[" * 100_000, "its JSON is broken"),
        ('{"cells": [], "cells": []}', "its JSON is broken: the name 'cells' stands twice"),
        ("[]", "no list 'cells': this is not a saved report"),
        ('{"cells": [{}], "summary": []}', "cells[0] has no 'model'"),
        ('{"cells": [], "summary": [3]}', "summary[0] has no 'model'"),
    ],
)
def test_files_that_are_no_reports(tmp_path, content, message):
    path = tmp_path / "r.json"
    path.write_text(content)
    with pytest.raises(t0.FormatError) as error:
        t0.Report.load(path)
    assert str(error.value).startswith(f"{path}: {message}")


WRONG = [  # where in a saved report, what stands there instead, and what is then said
    (["about"], [1], "about [1]: must be a mapping of names to values"),
    (["about", "models"], 5, "about: models 5: must be a list"),
    (["about", "seconds"], "1", "about: seconds '1': must be a number"),
    (["cells", 2, "task"], ["a"], "cells[2]: task ['a']: must be text"),
    (["cells", 0, "value"], None, "cells[0] is ok, but one of value, low and high is null"),
    (["cells", 0, "dropped"], -1, "cells[0]: dropped -1: must be a whole number, at least 0, or None"),
    (["cells", 0, "status"], True, "cells[0]: status True: must be text"),
    (["summary", 1, "median"], "0.5", "summary[1]: median '0.5': must be a number from -1 to 1, or None"),
    (["summary", 1, "q3"], 1.5, "summary[1]: q3 1.5: must be a number from -1 to 1, or None"),
    (["summary", 1, "max"], None, "summary[1]: some of median, q1, q3, low, high, mean, min, max are null, others not"),
    (["summary", 0, "task"], "other", "summary[0] has a median, but no cell of its model and task is ok"),
    (["summary", 0, "prompts"], 1.5, "summary[0]: prompts 1.5: must be a whole number, at least 0"),
    (["rows"], 5, "'rows' must be a list of 24, one for each cell"),
    (["rows", 3], [], "rows[3] has no 'rows'"),
    (["rows", 3, "rows"], 10**12, "rows[3]: kept holds 25 bytes, but 1000000000000 rows take 125000000000"),
    (["rows", 3, "right"], "?", "rows[3]: right is not base64 ("),
]


@pytest.mark.parametrize("place, value, message", WRONG, ids=[message for _, _, message in WRONG])
def test_values_of_the_wrong_kind_name_file_and_place(tmp_path, place, value, message):
    path = report_of().save(tmp_path)
    data = json.loads(path.read_text())
    inner = data
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    path.write_text(json.dumps(data))
    with pytest.raises(t0.FormatError) as error:
        t0.Report.load(path)
    assert str(error.value).startswith(f"{path}: {message}")


@pytest.mark.parametrize("part, told", [
    ("summary", "cells[6] is of 'a' on 'wic', and no entry of 'summary' is"),
    ("cells", "summary[1] is of 'a' on 'wic', and no cell is"),
])  # fmt: skip
def test_a_report_whose_summary_and_cells_are_of_different_tasks(tmp_path, part, told):
    """Its statistics had no summary to begin with."""
    path = report_of(models=("a",), tasks=("copa", "wic")).save(tmp_path)
    data = json.loads(path.read_text())
    if part == "cells":
        data["rows"] = [rows for rows, cell in zip(data["rows"], data["cells"]) if cell["task"] != "wic"]
        data["summary"][1] |= dict.fromkeys(("median", "q1", "q3", "low", "high", "mean", "min", "max"))  # as of cells that all failed
    data[part] = [entry for entry in data[part] if entry["task"] != "wic"]
    path.write_text(json.dumps(data))
    with pytest.raises(t0.FormatError) as error:
        t0.Report.load(path)
    assert str(error.value).startswith(f"{path}: {told}")


def test_prompts_of_one_task_from_several_reports_are_summarised_together():
    """As one evaluation of all of them would be."""
    whole = report_of(models=("a",), tasks=("copa", "wic"))

    def part(prompts):
        kept = [i for i, cell in enumerate(whole.cells) if cell["prompt"] in prompts]
        cells, correct = [whole.cells[i] for i in kept], [whole.correct[i] for i in kept]
        return t0.Report.of_cells(cells, correct, [0.5 if "p0" in prompts else 0.25] * len(kept), seed=3, about={"seed": 3})

    one, two = part({"p0", "p1"}), part({"p2", "p3", "p4", "p5"})
    both = t0.Report.merge([one, two])
    assert [entry["prompts"] for entry in both.summary] == [6, 6]
    for merged, entry in zip(both.summary, whole.summary):
        assert {**merged, "chance": None} == {**entry, "chance": None}
        assert merged["chance"] == pytest.approx((2 * 0.5 + 4 * 0.25) / 6)
    assert [entry["prompts"] for entry in one.summary] == [2, 2]  # the reports themselves stay as they are
    two.correct[0] = two.correct[0][:50]
    with pytest.raises(t0.ConfigError, match="model 'a', task 'copa': its prompts were judged on 200 rows and 50 rows, saved in"):
        t0.Report.merge([one, two])
    two.correct[0] = None
    with pytest.raises(t0.ConfigError, match="judged on 200 rows and no rows"):
        t0.Report.merge([one, two])


def test_reports_merge():
    a, b = report_of(models=("a",)), report_of(models=("b",), seed=1)
    both = t0.Report.merge([a, b])
    assert both.cells == a.cells + b.cells and both.summary == a.summary + b.summary
    assert both.about["models"] == ["a", "b"] and both.about["seconds"] == 2.0 and len(both.correct) == 24
    with pytest.raises(
        t0.ConfigError, match="model 'a', task 'copa', prompt 'p0' stands in two reports; evaluate one of them again with .* label=NAME"
    ):
        t0.Report.merge([a, a])


def test_tables_show_percent():
    report = report_of()
    lines = str(report).splitlines()
    assert lines[0].split() == ["task", "model", "prompts", "chance", "median", "95", "%", "interval", "quartiles", "mean", "min", "max"]
    assert f"{100 * report.summary[0]['median']:.1f}" in lines[2] and "50.0" in lines[2]
    assert [line.split()[0] for line in lines[2:]] == ["copa", "all", "wic", "all"]  # a task is named once
    markdown = report.to_markdown()
    assert markdown.count("\n| ") == 4 + 24 + 2 + 1 and "| copa | untrained | 6 | 50.0 |" in markdown
    html = report_of(models=("<script>",))._repr_html_()
    assert "&lt;script&gt;" in html and "<script>" not in html and html.count("<tr>") == 3


def test_boxes_in_text():
    cell = dict.fromkeys(CELL_KEYS) | {"model": "m", "task": "t", "metric": "accuracy", "status": "ok"}
    values = [0.0, 0.25, 0.5, 0.75, 1.0]
    correct = [np.array([1.0] * int(100 * v) + [0.0] * int(100 - 100 * v)) for v in values]
    report = t0.Report.of_cells([cell | {"prompt": str(v)} for v in values], correct, [0.5] * 5, seed=0, about={})
    line = report.boxes(width=50).splitlines()[1]
    drawing = line[5 : 5 + 41]
    assert drawing == "|---------[=========M=========]---------|"
    assert line.endswith("50.0")


def test_picture(tmp_path):
    needed("matplotlib", "pip install '.[plot]'")
    report = report_of()
    ax = report.plot(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["copa", "wic"]
    medians = [line.get_ydata()[0] for line in ax.lines if line.get_color() == "black" and len(set(line.get_ydata())) == 1]
    for entry in report.summary:
        assert any(value == pytest.approx(100 * entry["median"]) for value in medians)
    with pytest.raises(t0.ConfigError, match="unknown kind of picture '.xyz'; known are"):
        report.plot(tmp_path / "a.xyz")
    assert not (tmp_path / "a.xyz").exists()
    from matplotlib.figure import Figure

    own = Figure().subplots()
    assert report.plot(ax=own) is own


def test_a_name_that_ends_in_a_slash_is_a_folder(tmp_path):
    assert t0.Report([], [], {}).save(f"{tmp_path}/new/") == tmp_path / "new/report.json"


def test_records_and_dicts_of_cells_make_the_same_report():
    correct = np.array([1.0, 0.0, np.nan, 1.0])
    judged = CellRecord(model="m", task="t", prompt="p", metric="accuracy", dropped=1, correct=correct, chance=0.5)
    failed = CellRecord(model="m", task="t", prompt="q", metric="accuracy")
    failed.fail("DataError: no row is left")
    cells = [record.to_dict() for record in (judged, failed)]
    of_records = t0.Report.of_records([judged, failed], seed=1, about={})
    of_cells = t0.Report.of_cells(cells, [correct, None], [0.5, None], seed=1, about={})
    assert of_records.cells == of_cells.cells and of_records.summary == of_cells.summary
    assert list(of_records.cells[0]) == list(CELL_KEYS) and cells[0]["value"] is None  # what is given stays as it was
    assert (judged.value, judged.n, failed.value, failed.n) == (2 / 3, 3, None, 0)
    assert [CellRecord.from_dict(cell) for cell in of_records.cells] == [judged, failed]
    with pytest.raises(KeyError, match="task"):
        CellRecord.from_dict({"model": "m"})
