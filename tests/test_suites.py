"""Suites: the paper's cells, those that have data, and what is told of the others."""

import json
import logging

import numpy as np
import pytest

import t0native as t0
from t0native.cli.main import main
from t0native.data.datafolder import dataset_facts
from t0native.data.rows import read_rows
from t0native.suites.parts import instruction_free_prompts
from t0native.tasks.bigbench import T0_TASKS


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
    special = {
        "answer_right_ending": i % 2 + 1,
        "answer": str(i % 2 + 1),
        "endings": [f"ending {n} of {i}" for n in range(4)],
        "tokens": f"The cook of house {i} paid the guest because she had to .".split(),
        "coreference_clusters": ["0", "4", "9", "9"],
    }
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


def made_rows(public_data, evaluate, n=8):
    """{(dataset, subset): {split: n rows}} of the evaluation's datasets, out of the schemas of the hub."""
    infos = json.loads((public_data / "data" / "t0-mixture" / "t0_dataset_infos.json").read_text(encoding="utf-8"))
    data = {}
    for key, fact in dataset_facts().items():
        if fact["evaluate"] == evaluate and fact["prompts"]:
            features = infos["/".join(filter(None, key))]["features"]
            rows = [{name: made_value(feature, name, i) for name, feature in features.items()} for i in range(n)]
            data[key] = dict.fromkeys(fact["splits"], rows)
    return data


@pytest.fixture(scope="module")
def tiny(public_data):
    """A random T5 1.1 with T5's own vocabulary, as small as it may be."""
    tokenizer = t0.Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    config = t0.Config(vocab_size=32128, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    return t0.Model.init(config, tokenizer=tokenizer, seed=5)


def test_all_116_cells_run(public_data, promptsource_folder, tiny):
    data = made_rows(public_data, "BASE")
    for i, row in enumerate(data["super_glue", "copa"]["validation"]):
        row["question"] = ("cause", "effect")[i % 2]
    suite = t0.suite("t0", data)
    assert (suite.cells, len(suite), suite.missing) == (116, 11, [])
    report = t0.evaluate(tiny, suite, progress=False)
    assert [(cell["status"], cell["metric"]) for cell in report.cells] == [("ok", "accuracy")] * 116
    assert {cell["prompt"]: cell["n"] for cell in report.cells if cell["n"] != 8} == {  # prompts for causes, or effects, alone
        "…As a result, C1 or C2?": 4,
        "…What could happen next, C1 or C2?": 4,
        "…which may be caused by": 4,
        "…why? C1 or C2": 4,
    }


def test_all_44_bias_cells_run(public_data, promptsource_folder, tiny):
    suite = t0.suite("bias", made_rows(public_data, "BIAS", 4))
    assert (suite.cells, len(suite), suite.missing) == (44, 6, [])
    report = t0.evaluate(tiny, suite, progress=False)
    assert [cell["status"] for cell in report.cells] == ["ok"] * 44
    assert [cell["metric"] for cell in report.cells] == ["accuracy"] * 16 + ["target_in_prediction"] * 28


def test_all_14_big_bench_cells_run(public_data, tiny, tmp_path):
    for number, name in enumerate(T0_TASKS):
        scores = {f"answer {n} of {name}": float(n == 1) for n in range(2 + number % 3)}
        examples = [{"input": f"question {i}", "target_scores": scores} for i in range(4)]
        file = tmp_path / "bigbench" / name / "task.json"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({"examples": examples}), encoding="utf-8")
    suite = t0.suite("bigbench-t0", tmp_path, shots=2)
    assert (suite.cells, suite.missing) == (14, [])
    report = t0.evaluate(tiny, suite, progress=False)
    assert [cell["status"] for cell in report.cells] == ["ok"] * 14


def test_public_data_go_the_whole_way(public_data, promptsource_folder, tiny, tmp_path):
    """Raw files, converted into a folder, through a suite of one's own: prompts of promptsource, BIG-bench's and ours, some with shots."""
    data = public_data / "data"
    for dataset, raw in {
        "super_glue/copa": "superglue-val/COPA.val.jsonl", "super_glue/wsc.fixed": "superglue-val/WSC.val.jsonl",
        "super_glue/wic": "superglue-val/WiC.val.jsonl", "piqa": "piqa-val/valid.jsonl",
    }.items():  # fmt: skip
        t0.convert_data(dataset, data / raw, tmp_path)
    t0.convert_data("cos_e/v1.0", data / "cos-e-v1.0/dev_rand_split.jsonl", tmp_path).parent.rename(tmp_path / "cos_e/v1.11")
    (tmp_path / "bigbench").mkdir()
    (tmp_path / "bigbench/winowhy.json").symlink_to(data / "bigbench-winowhy/task.json")
    for name in ("conceptual_combinations", "novel_concepts", "logical_deduction"):
        (tmp_path / f"bigbench/{name}.jsonl").symlink_to(data / f"bigbench-mosaic-a/{name}.jsonl")
    for dataset, raw in {"hellaswag": "h-swag/20_shot", "winogrande/winogrande_xl": "winogrande/50_shot"}.items():
        (tmp_path / dataset).mkdir(parents=True)
        for split, seed in (("validation", 0), ("train", 42)):
            (tmp_path / dataset / f"{split}.jsonl").symlink_to(data / f"tfew-fewshot/{raw}/{seed}_seed.jsonl")
    (tmp_path / "all.yaml").write_text(
        """
        data: .
        tasks:
          - {dataset: super_glue/copa, prompts: original}
          - {dataset: super_glue/wsc.fixed, prompts: original}
          - {dataset: super_glue/wic, prompts: original}
          - {dataset: piqa, prompts: original}
          - {dataset: cos_e/v1.11, prompts: original}
          - {bigbench: winowhy, shots: 2}
          - {bigbench: conceptual_combinations}
          - {bigbench: logical_deduction}
          - {bigbench: novel_concepts}
          - {dataset: hellaswag, prompts: instruction-free}
          - {dataset: winogrande/winogrande_xl, prompts: instruction-free, shots: 3}
        """,
        encoding="utf-8",
    )
    suite = t0.suite(tmp_path / "all.yaml")
    assert [len(task.prompts) for task in suite] == [12, 10, 10, 5, 6, 1, 1, 1, 1, 3, 3]  # the first five as in the paper's table
    report = t0.evaluate(tiny, suite, limit=6, progress=False)
    assert [cell["status"] for cell in report.cells] == ["ok"] * 53
    assert {cell["n"] + cell["dropped"] for cell in report.cells} == {6}


def test_instruction_free(promptsource_folder, tmp_path):
    sentence = {"sentence": "Anna gave Ben a pen because _ had two.", "option1": "Anna", "option2": "Ben", "answer": "1"}
    suite = t0.suite("instruction-free", {"winogrande/winogrande_xl": [sentence]})
    assert repr(suite) == "Suite('instruction-free', 3 of 6 cells, 1 tasks)" and suite.missing == [("hellaswag", None, "validation")]
    task = suite[0]
    assert [task.render(name, 0)[:] for name in task.prompts] == [
        ("Anna gave Ben a pen because", "Anna had two.", ["Anna had two.", "Ben had two."]),
        (
            sentence["sentence"],
            "Anna gave Ben a pen because Anna had two.",
            [f"Anna gave Ben a pen because {name} had two." for name in ("Anna", "Ben")],
        ),
        ("Anna gave Ben a pen because ... had two.", "Anna", ["Anna", "Ben"]),
    ]
    assert main(["prompt", "check", "--prompts", str(instruction_free_prompts().folder)]) == 0


def test_shots_come_from_the_train_split(promptsource_folder):
    rows = [{"premise": f"p{i}.", "hypothesis": f"h{i}.", "label": i % 2, "idx": i} for i in range(6)]
    train = [row | {"premise": f"train {row['premise']}"} for row in rows]
    rounds = {"dev_r1": rows, "train_r1": train, "dev_r2": rows}
    suite = t0.suite(
        "t0", {"super_glue/rte": {"validation": rows, "train": train}, "anli": rounds, "super_glue/cb": {"validation": rows}}, shots=2
    )
    assert [task.name for task in suite] == ["super_glue/rte", "anli_r1"]
    assert {("anli", None, "train_r2"), ("super_glue", "cb", "train"), ("anli", None, "dev_r3")} <= set(suite.missing)
    for task in suite:
        for name in task.prompts:
            text = task.render(name, 3).input
            assert text.count("train p") == 2 and text.count("p3.") >= 1
    own = t0.suite("bias", {"super_glue/axg": rows}, shots=2)[0]  # AX-g has no train split
    assert own.render("must be true", 3).input.count("\n\n") == 2


@pytest.mark.parametrize(
    "call, message", [(lambda: t0.suite("t0-mini"), "no suite 't0-mini'; did you mean "), (lambda: t0.suite(7), "no suite 7; ")]
)
def test_suites_that_cannot_be(call, message):
    with pytest.raises(t0.ConfigError) as error:
        call()
    assert message in str(error.value)


def test_a_broken_file_is_told(promptsource_folder, tmp_path):
    (tmp_path / "hellaswag").mkdir()
    (tmp_path / "hellaswag" / "validation.jsonl").write_text(json.dumps({"ctx": "a"}) + "\n")
    (task,) = t0.suite("t0", tmp_path)  # and the other tasks, had they data, would be there
    assert len(task.problems) == len(task.prompts) == 4
    with pytest.raises(t0.DataError, match="^task 'hellaswag', prompt .*, row 0: no field "):
        task.check()


def test_the_end_token_behind_inputs(public_data, promptsource_folder, tiny):
    rows = read_rows(public_data / "data/superglue-val/COPA.val.jsonl", "super_glue/copa")
    task = t0.Task(
        "copa",
        rows,
        [prompt for prompt in t0.PromptCollection.load(promptsource_folder)["super_glue", "copa"].values()],
        dataset="super_glue/copa",
    )
    plain, ended = (t0.evaluate(tiny, task, limit=40, progress=False, add_eos_to_inputs=eos) for eos in (False, True))
    examples = [task.render("best_option", i) for i in range(40)]
    found = tiny.rank([e.input for e in examples], [e.choices for e in examples], add_eos_to_inputs=True)
    number = [cell["prompt"] for cell in ended.cells].index("best_option")
    assert ended.correct[number].tolist() == [ranking.choice == e.target for ranking, e in zip(found, examples)]
    assert not all(np.array_equal(*pair, equal_nan=True) for pair in zip(plain.correct, ended.correct))
    assert (plain.about["add_eos_to_inputs"], ended.about["add_eos_to_inputs"]) == (False, True)
    with pytest.raises(t0.ConfigError, match="^add_eos_to_inputs 1: must be true or false, or None$"):
        t0.evaluate(tiny, task, add_eos_to_inputs=1)
