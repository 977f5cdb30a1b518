"""Suites: the paper's cells, those that have data, and what is told of the others."""

import json
import logging

import pytest

import t0native as t0
from t0native.datafolder import dataset_facts


class Guess:
    """Ranks the first choice first."""

    def rank(self, inputs, choices, **options):
        return [type("Ranking", (), {"index": 0}) for _ in inputs]


def test_the_sets_that_there_are(public_data, promptsource_folder, tmp_path, caplog):
    for subset, name in (("copa", "COPA"), ("wsc.fixed", "WSC"), ("wic", "WiC")):
        folder = tmp_path / "super_glue" / subset
        folder.mkdir(parents=True)
        (folder / "validation.jsonl").symlink_to(public_data / "data" / "superglue-val" / f"{name}.val.jsonl")
    with caplog.at_level(logging.WARNING, "t0native"):
        suite = t0.suite("t0", tmp_path)
    assert repr(suite) == "Suite('t0', 32 of 116 cells, 3 tasks)"
    assert [(task.name, task.split, len(task.rows), len(task.prompts)) for task in suite] == [
        ("super_glue/wsc.fixed", "validation", 104, 10),
        ("super_glue/copa", "validation", 100, 12),
        ("super_glue/wic", "validation", 638, 10),
    ]
    assert len(suite.missing) == 8 and ("anli", None, "dev_r2") in suite.missing
    [told] = caplog.messages
    assert told.startswith(f"suite 't0', 32 of 116 cells have data: 8 splits of datasets are missing in {tmp_path}:\n")
    assert "\n  super_glue/rte/validation.jsonl: hub id aps/super_glue, config rte; https://" in told and told.count("\n") == 8
    report = t0.evaluate(Guess(), suite, limit=10, progress=False)
    assert len(report.cells) == 32 and {cell["status"] for cell in report.cells} == {"ok"}


def test_mini():
    assert [task.name for task in t0.suite("mini")] == [task.name for task in t0.mini.held_out_tasks()]


def test_counts(promptsource_0_1_0, promptsource_folder):
    sizes = {"t0": 116, "t0-train-selection": 87, "bias": 44, "bigbench-t0": 14, "instruction-free": 6}
    for name, cells in sizes.items():
        with pytest.raises(t0.DataError, match=f"^suite '{name}', 0 of {cells} cells have data: .*no data was given"):
            t0.suite(name, prompts=promptsource_0_1_0)
    with pytest.raises(t0.ConfigError, match="others for 1 of its 23 datasets"):
        t0.suite("t0-train-selection")


def made_value(feature, field, i):
    """A value of a field of the hub's schema."""
    special = {"answer_right_ending": i % 2 + 1, "answer": str(i % 2 + 1), "endings": [f"ending {n} of {i}" for n in range(4)]}
    if field in special:
        return special[field]
    if isinstance(feature, list):
        return [made_value(feature[0], "", n) for n in range(2)]
    kind = feature.get("_type") if isinstance(feature.get("_type"), str) else None
    if kind is None:
        return {name: made_value(part, name, i) for name, part in feature.items()}
    if kind == "ClassLabel":
        return i % len(feature["names"])
    if kind == "Sequence":
        inner = feature["feature"]
        parts = {name: [made_value(part, name, n) for n in range(2)] for name, part in inner.items()} if "_type" not in inner else None
        return parts or [made_value(inner, "", n) for n in range(2)]
    if feature["dtype"] == "string":
        return str(i % 4) if field == "label" else f"{field} {i}"
    return i


def test_all_116_cells_run(public_data, promptsource_folder):
    infos = json.loads((public_data / "data" / "t0-mixture" / "t0_dataset_infos.json").read_text(encoding="utf-8"))
    data = {}
    for key, fact in dataset_facts().items():
        if fact["evaluate"] == "BASE":
            features = infos["/".join(filter(None, key))]["features"]
            rows = [{name: made_value(feature, name, i) for name, feature in features.items()} for i in range(8)]
            data[key] = dict.fromkeys(fact["splits"], rows)
    for i, row in enumerate(data["super_glue", "copa"]["validation"]):
        row["question"] = ("cause", "effect")[i % 2]
    suite = t0.suite("t0", data)
    assert (suite.cells, len(suite), suite.missing) == (116, 11, [])
    report = t0.evaluate(Guess(), suite, progress=False)
    assert [cell["status"] for cell in report.cells] == ["ok"] * 116
    assert {cell["prompt"]: cell["n"] for cell in report.cells if cell["n"] != 8} == {  # prompts for causes, or effects, alone
        "…As a result, C1 or C2?": 4,
        "…What could happen next, C1 or C2?": 4,
        "…which may be caused by": 4,
        "…why? C1 or C2": 4,
    }


def test_instruction_free(promptsource_folder, tmp_path):
    sentence = {"sentence": "Anna gave Ben a pen because _ had two.", "option1": "Anna", "option2": "Ben", "answer": "1"}
    suite = t0.suite("instruction-free", {"winogrande/winogrande_xl": [sentence]})
    assert repr(suite) == "Suite('instruction-free', 3 of 6 cells, 1 tasks)" and suite.missing == [("hellaswag", None, "validation")]
    task = suite[0]
    assert [task.render(name, 0)[:] for name in task.prompts] == [
        ("Anna gave Ben a pen because", "Anna had two.", ["Anna had two.", "Ben had two."]),
        (sentence["sentence"], "Anna gave Ben a pen because Anna had two.", [f"Anna gave Ben a pen because {name} had two." for name in ("Anna", "Ben")]),
        (sentence["sentence"], "Anna", ["Anna", "Ben"]),
    ]


def test_shots_come_from_the_train_split(promptsource_folder):
    rows = [{"premise": f"p{i}.", "hypothesis": f"h{i}.", "label": i % 2, "idx": i} for i in range(6)]
    train = [row | {"premise": f"train {row['premise']}"} for row in rows]
    rounds = {"dev_r1": rows, "train_r1": train, "dev_r2": rows}
    suite = t0.suite("t0", {"super_glue/rte": {"validation": rows, "train": train}, "anli": rounds, "super_glue/cb": {"validation": rows}}, shots=2)
    assert [task.name for task in suite] == ["super_glue/rte", "anli_r1"]
    assert {("anli", None, "train_r2"), ("super_glue", "cb", "train"), ("anli", None, "dev_r3")} <= set(suite.missing)
    for task in suite:
        for name in task.prompts:
            text = task.render(name, 3).input
            assert text.count("train p") == 2 and text.count("p3.") >= 1
    own = t0.suite("bias", {"super_glue/axg": rows}, shots=2)[0]  # AX-g has no train split
    assert own.render("must be true", 3).input.count("\n\n") == 2


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: t0.suite("t0-mini"), "no suite 't0-mini'; did you mean "),
        (lambda: t0.suite(7), "no suite 7; "),
    ],
)
def test_suites_that_cannot_be(call, message):
    with pytest.raises(t0.ConfigError) as error:
        call()
    assert message in str(error.value)


def test_a_broken_file_is_told(promptsource_folder, tmp_path):
    (tmp_path / "hellaswag").mkdir()
    (tmp_path / "hellaswag" / "validation.jsonl").write_text(json.dumps({"ctx": "a"}) + "\n")
    with pytest.raises(t0.DataError, match="^task 'hellaswag', prompt .*, row 0: no field "):
        t0.suite("t0", tmp_path)
