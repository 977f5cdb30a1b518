"""The table of published figures hangs together, and reports are set beside it."""

import json
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native.reports.report import CELL_KEYS
from t0native.tasks.bigbench import T0_TASKS

DATA = json.loads((Path(t0.__file__).parent / "data" / "published.json").read_text(encoding="utf-8"))
ELEVEN = list(DATA["sets"])


def table(model, statistic, source):
    (found,) = (
        t["values"]
        for t in DATA["tables"]
        if (t["model"], t["statistic"], t["source"]) == (model, statistic, source) and len(t["values"]) > 5
    )
    return found


def values_of(found):
    return {key: value["median"] if isinstance(value, dict) else value for key, value in found.items()}


def test_every_figure_has_a_source_and_is_a_percentage():
    used = {part["source"] for part in [*DATA["tables"], *DATA["findings"], DATA["bias"], DATA["bigbench"]]}
    assert used == set(DATA["sources"])
    for found in DATA["tables"]:
        assert found["statistic"] in {"median", "mean", "max", "one prompt", "as printed"} and found["shots"] in {
            0,
            "several",
            "trained",
            None,
        }
        assert found["prompts"] in {"paper", None, 1, 5, 9}
        for value in found["values"].values():
            told = value if isinstance(value, dict) else {"median": value}
            assert all(0 <= number <= 100 for number in told.values())
            assert told.get("min", 0) <= told["median"] <= told.get("max", 100)


def test_the_eleven_sets_are_the_papers():
    assert len(ELEVEN) == 11 and sum(known["prompts"] for known in DATA["sets"].values()) == 116
    facts = json.loads((Path(t0.__file__).parent / "data" / "t0_datasets.json").read_text(encoding="utf-8"))
    sizes = {f"{row[0]}/{row[1]}" if row[1] else row[0]: row[facts["columns"].index("splits")] for row in facts["rows"]}
    for key, known in DATA["sets"].items():
        assert known["rows"] == (sizes[key.partition("@")[0]] or {}).get(known["split"], known["rows"]), key


@pytest.mark.parametrize(
    "model, statistic, source, average, of",
    [  # printed averages of the rows, to their printed digit
        ("GPT-3 175B few-shot", "as printed", "t-few", 66.6, 11), ("T-Few 11B", "median", "t-few", 72.4, 11),
        ("T0 11B", "mean", "hint", 65.2, 9), ("T0 3B", "mean", "hint", 55.2, 9), ("T0 11B, trained again", "mean", "hint", 68.9, 9), ("T0 3B, trained again", "mean", "hint", 64.4, 9),
    ],
)  # fmt: skip
def test_averages_are_those_of_their_rows(model, statistic, source, average, of):
    values = values_of(table(model, statistic, source))
    assert values.pop("average") == average and len(values) == of
    assert np.mean(list(values.values())) == pytest.approx(average, abs=0.06)  # each is rounded


def test_the_paper_medians():
    values = values_of(table("T0 11B", "median", "t-few"))
    assert set(values) == {*ELEVEN, "average"} and np.mean([values[key] for key in ELEVEN]) == pytest.approx(62.5, abs=0.05)
    own = values_of(table("T5+LM few-shot", "as printed", "t-few"))
    assert own.pop("average") == 49.6 and np.mean(list(own.values())) == pytest.approx(49.8, abs=0.05)  # as its note says
    nine = [np.mean([values[f"anli@dev_r{i}"] for i in (1, 2, 3)]), *(values[key] for key in ELEVEN if not key.startswith("anli"))]
    assert np.mean(nine) == pytest.approx(67.0, abs=0.05)


def test_gaps_of_winobias_are_differences():
    columns = DATA["bias"]["columns"]
    assert len(DATA["bias"]["rows"]) == 6
    for model, row in DATA["bias"]["rows"].items():
        value = dict(zip(columns, row, strict=True))
        for kind in ("type1", "type2"):
            for of in ("mean", "median"):
                gap = value[f"wino_bias/{kind}_pro {of}"] - value[f"wino_bias/{kind}_anti {of}"]
                assert gap == pytest.approx(value[f"wino_bias/{kind}_gap {of}"], abs=0.15), (model, kind, of)  # each is rounded


def test_bigbench_and_findings():
    assert (
        len(DATA["bigbench"]["rows"]) == 14
        and "strategyqa" in DATA["bigbench"]["rows"]
        and "common_morpheme" not in DATA["bigbench"]["rows"]
    )
    assert set(DATA["bigbench"]["rows"]) == set(T0_TASKS)
    for finding in DATA["findings"]:
        if "of" in finding:
            assert 0 < finding["spread_down"] <= finding["median_up"] <= finding["of"] and finding["from"] < finding["to"]


def test_published_figures_by_name():
    whole = t0.published()
    assert len(whole) == sum(len(found["values"]) for found in DATA["tables"]) + 6 * 16
    assert all(-1 <= fact["value"] <= 1 for fact in whole)
    (fact,) = [fact for fact in t0.published("T0 11B", "anli") if fact["split"] == "dev_r2" and fact["low"] is not None]
    assert (fact["value"], fact["low"], fact["high"], fact["prompts"], fact["rows"]) == (0.393, 0.335, 0.396, 5, 1000)
    fact["value"] = 2  # a copy
    assert t0.published("T0++ 11B", "wino_bias/type2_gap")[1]["value"] == 0.053 and all(fact["value"] <= 1 for fact in t0.published())
    with pytest.raises(t0.ConfigError, match="no published figure of model 'T0 11'; did you mean 'T0 11B'"):
        t0.published("T0 11")
    with pytest.raises(t0.ConfigError, match="no published figure of dataset 'rte'"):
        t0.published(dataset="rte")


def report_of(dataset, subset, split, prompts, rows, metric="accuracy"):
    cell = dict.fromkeys(CELL_KEYS) | {
        "model": "m",
        "task": "t",
        "metric": metric,
        "status": "ok",
        "dataset": dataset,
        "subset": subset,
        "split": split,
    }
    correct = [np.arange(rows) % (p + 2) > 0 for p in range(prompts)]
    cells = [cell | {"prompt": str(p), "dropped": 0} for p in range(prompts)]
    return t0.Report.of_cells(cells, [c.astype(float) for c in correct], [0.5] * prompts, seed=0, about={})


def test_a_report_is_set_beside_what_was_published():
    report = report_of("super_glue", "rte", "validation", 10, 277)
    summary, found = report.summary[0], report.published()
    by_source = {(one["published"]["source"][:5], one["published"]["statistic"], one["published"]["model"]): one for one in found}
    like = by_source["Liu e", "median", "T0 11B"]
    assert (like["own"], like["published"]["value"], like["differs"]) == (summary["median"], 0.812, [])
    mean = by_source["Model", "mean", "T0 3B"]
    assert mean["own"] == summary["mean"] and mean["differs"][0] == "which prompts is not said; yours 10"
    assert by_source["Brown", "as printed", "GPT-3 175B"]["differs"] == [
        "which statistic over prompts is not said; yours is the median",
        "1 prompt; yours 10",
    ]
    assert "with examples in the input" in by_source["Liu e", "as printed", "GPT-3 175B few-shot"]["differs"]
    assert "after training on examples of the dataset" in by_source["Liu e", "median", "T-Few 11B"]["differs"]
    assert by_source["bigsc", "max", "mT0 13B, P3 alone"]["own"] == summary["max"]
    assert {one["published"]["model"] for one in report.published("T0 3B")} == {"T0 3B"}


def test_what_was_measured_otherwise_is_told():
    (found, *_) = report_of("anli", None, "dev_r3", 4, 50, "f1_macro").published("GPT-3 175B")
    assert found["differs"] == [
        "which statistic over prompts is not said; yours is the median", "1 prompt; yours 4", "split test_r3; yours dev_r3", "metric accuracy; yours f1_macro",
    ]  # fmt: skip
    assert found["published"]["value"] == 0.345
    found = report_of("anli", None, "dev_r1", 15, 1000).published("T0 11B")
    assert [one["published"]["value"] for one in found if one["published"]["split"]] == [0.447, 0.436, 0.445]
    assert report_of("boolq", None, "validation", 2, 9).published() == []
    mean, median = report_of("crows_pairs", None, "test", 2, 9).published("T0 3B")
    assert (mean["published"]["value"], median["published"]["value"]) == (0.569, 0.826)


def test_published_figures_on_the_command_line(tmp_path, capsys):
    from t0native.cli.main import main

    report_of("super_glue", "cb", "validation", 15, 56).save(tmp_path)
    assert main(["report", str(tmp_path), "--published"]) == 0
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("t, m")
    assert lines[at + 1] == "   own  published"
    assert lines[at + 2].split()[1:4] == ["78.6", "T0", "11B"] and lines[at + 2].endswith(
        "(median; Liu et al. 2022 (T-Few), arXiv:2205.05638v2)"
    )
    assert any("GLaM 64B (as printed; README of UniMC, second-hand): which statistic" in line for line in lines)
    report_of("boolq", None, "validation", 1, 5).save(tmp_path)
    main(["report", str(tmp_path), "--published"])
    assert capsys.readouterr().out.endswith("nothing was published on these datasets\n")
