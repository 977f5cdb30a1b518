"""Forecasts of trainings: memory against what the core holds and what a run really takes, operations, verdicts; the recipes in configs/."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native import _core
from t0native.base.yamltext import parse_yaml
from t0native.checkpoints.sizes import training_bytes
from t0native.training import forecast
from t0native.training.recipe import read_recipe
from t0native.training.settings import KINDS, OPTIMIZER_OPTIONS, SETTINGS, Settings, check_settings

ROOT = Path(__file__).parent.parent
SMALL = dict(vocab_size=3000, d_model=48, d_kv=8, d_ff=96, num_layers=3, num_decoder_layers=2, num_heads=4)
WIDE = dict(vocab_size=12000, d_model=192, d_kv=16, d_ff=256, num_layers=2, num_decoder_layers=3, num_heads=6)
RELU = {"feed_forward_proj": "relu", "tie_word_embeddings": False}
LENGTHS = [(150, 20), (5, 200), (40, 3), (400, 380), (1, 1), (90, 10), (170, 80)]


def ragged(lengths):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return np.full(offsets[-1], 7, np.int32), offsets


@pytest.mark.parametrize("recompute, dropout, changes", [(False, 0.1, {}), (False, 0.0, RELU), (True, 0.1, {})])
@pytest.mark.parametrize("shape", [SMALL, WIDE], ids=["sharded", "wide"])
def test_activations_are_what_the_core_holds(shape, recompute, dropout, changes):
    config = t0.Config(**shape | changes)
    model = t0.Model.init(config)
    trainer = _core.Trainer(model.core, dropout=dropout, recompute=recompute, threads=2)
    lengths = LENGTHS * (4 if config.parameters < 4_000_000 else 1)  # each of four sets of gradients meets each length
    trainer.gradients(*ragged([pair[0] for pair in lengths]), *ragged([pair[1] for pair in lengths]), 1)
    plan = training_bytes(config, lengths, dropout=dropout, recompute=recompute, threads=2)
    sets = 4 if config.parameters < 4_000_000 else 1
    assert plan["activations"] == trainer.workspace_bytes and plan["states"] == trainer.state().nbytes
    assert plan["gradients"] == 4 * sets * config.parameters and plan["tokens"] == {1: 768, 4: 1024}[sets]


def test_what_cannot_be_planned_is_refused():
    config = t0.Config(**SMALL)
    for lengths, message in (
        ([(3, 0)], r"target_lengths: example 0 has 0 tokens: must be from 1 to"),
        ([(2, 2), (2**31, 1)], r"source_lengths: example 1 has 2147483648 tokens"),
        ([(2**21, 1)], r"a sequence of 2097152 tokens: no memory holds its attention weights; cut it, to 1048576 tokens at most"),
    ):
        with pytest.raises(t0.ConfigError, match=message):
            training_bytes(config, lengths)
    with pytest.raises(t0.ConfigError, match="freeze: there is no tensor 'no'"):
        training_bytes(config, freeze=["no"])
    with pytest.raises(t0.ConfigError, match="all [0-9]+ tensors are frozen"):
        training_bytes(config, freeze=list(config.tensors()))
    with pytest.raises(t0.ConfigError, match="dropout"):
        training_bytes(config, dropout=1.0)
    assert training_bytes(config)["activations"] == 0


def test_operations_are_six_a_weight_and_token_and_those_of_attention():
    config = t0.Config(**WIDE | {"num_layers": 1, "num_decoder_layers": 1})
    blocks = {
        name: np.prod(shape) for name, shape in config.tensors().items() if "block" in name and len(shape) == 2 and "bias" not in name
    }
    of_source = sum(
        size for name, size in blocks.items() if name.startswith("encoder") or "EncDecAttention.k" in name or "EncDecAttention.v" in name
    )
    of_target = sum(blocks.values()) - of_source + config.vocab_size * config.d_model
    inner = config.num_heads * config.d_kv
    attention = 2 * inner * (100 * 100 + 20 * 20 / 2 + 20 * 100)  # scores and sums
    assert forecast.operations(config, [(100, 20)]) == 6 * (100 * of_source + 20 * of_target + attention)


RUN = """\
import json, re, sys
from pathlib import Path
from t0native.training import forecast
from t0native.training.recipe import read_recipe
from t0native.training.train import train
forecast.PROBE_SECONDS = forecast.PRODUCT_SECONDS = 0.05
recipe = read_recipe(sys.argv[1])
facts = recipe.forecast() if sys.argv[2] == "forecast" else train(recipe.model(), recipe.mixture, **recipe.options)
# Not ru_maxrss, which begins with that of the process that started this one.
peak = 1024 * int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps(facts if sys.argv[2] == "forecast" else {"peak": peak}))
"""


@pytest.mark.parametrize("optimizer", ["adafactor", "adamw"])
def test_the_memory_of_a_forecast_is_that_of_a_run(tmp_path, optimizer):
    config = t0.Config(vocab_size=24000, d_model=256, d_kv=32, d_ff=512, num_layers=1, num_decoder_layers=1, num_heads=8)
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    shutil.copy(Path(t0.__file__).parent / "mini/spiece.model", tmp_path)
    rows = [{"text": " ".join(["tea and milk"] * 150)}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(
        "model: {config: config.json, tokenizer: spiece.model}\nout: run\n"
        "tasks: [{dataset: tea, data: rows.jsonl, objective: span_corruption}]\n"
        f"optimizer: {optimizer}\nsteps: 1\nbatch_size: 1\nprogress: false\nthreads: 1\n"
    )

    def run(what):
        command = [sys.executable, "-c", RUN, str(tmp_path / "recipe.yaml"), what]
        env = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env=env, cwd=tmp_path).stdout)

    facts, peak = run("forecast"), run("train")["peak"]
    assert facts["fits"] and facts["speed"].startswith("by one measured step") and facts["hours"] > 0
    assert facts["memory"]["total"] == pytest.approx(peak, rel=0.10)


def options_of(name):
    with open(ROOT / "configs" / name, "rb") as file:
        return parse_yaml(name, file)


def test_the_reference_recipe_is_the_papers():
    given = options_of("t0_3b.yaml")
    assert given["model"] == "google/t5-xl-lm-adapt" and given["mixture"] == "t0_train" and given["validate"] == "t0_train_score_eval"
    facts = {
        "max_source": 1024, "max_target": 256, "steps": 12_200, "optimizer": "adafactor", "learning_rate": 1e-3, "schedule": "constant",
        "warmup": 0, "dropout": 0.1, "select": True, "batch_tokens": 1024 * (1024 + 256),
        "optimizer_options": {"z_loss": 1e-4, "step_offset": 1_100_000},
    }  # fmt: skip
    settings = check_settings(
        {name: value for name, value in given.items() if name not in ("model", "mixture", "data", "prompts", "validate")}
    )
    assert {name: settings[name] for name in facts} == facts
    assert given["add_eos_to_inputs"] is False and "add_eos_to_targets" not in given  # of which the default is T0's


def test_t0_3b_tells_by_how_much_it_does_not_fit(promptsource_0_1_0, tmp_path, monkeypatch, capsys):
    from t0native.cli.main import main

    text = (ROOT / "configs/t0_3b.yaml").read_text().replace("prompts: P3", f"prompts: {promptsource_0_1_0}")
    (tmp_path / "t0.yaml").write_text(text)
    monkeypatch.setattr(forecast, "available_memory", lambda: 16 * 10**9)
    monkeypatch.setattr(t0.Model, "__init__", None)  # no model is made
    assert main(["train", str(tmp_path / "t0.yaml"), "--dry-run"]) == 0
    told = capsys.readouterr().out
    assert "313 components, sum of rates 17,277,798" in told and "\nparameters         2,849,757,184\n" in told
    assert re.search(
        r"\nfits               no, by [78]\.\d GB: 2[34]\.\d GB more needed, 16\.0 GB available", told
    )  # 8 bytes a weight and activations
    assert "counted operations" in told and "missing" in told
    assert main(["train", str(tmp_path / "t0.yaml")]) == 2
    assert "no such folder of data" in capsys.readouterr().err


def test_the_laptop_recipe_runs(tmp_path, monkeypatch):
    shutil.copy(ROOT / "configs/mini.yaml", tmp_path)
    monkeypatch.setattr(forecast, "PROBE_SECONDS", 0.05)
    recipe = read_recipe(tmp_path / "mini.yaml")
    facts = recipe.forecast()
    assert facts["parameters"] == t0.mini.config().parameters and facts["fits"] and facts["missing"] == []
    recipe.validate = [t0.Task(task.name, task.rows[:2], task.prompts, None, task.dataset, task.split) for task in recipe.validate[:1]]
    options = recipe.options | {"steps": 3, "batch_size": 8, "validate_every": 3, "progress": False}
    run = t0.train(recipe.model(), recipe.mixture, validate=recipe.validate, **options)
    assert run.steps == 3 and run.best[0] == 3 and t0.Model.from_pretrained(tmp_path / "mini/best").parameters == facts["parameters"]


def test_the_small_recipe_plans(promptsource_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(forecast, "PROBE_MOST", 0.0)  # operations are counted
    shutil.copy(ROOT / "configs/t5_small.yaml", tmp_path)
    copa = {"premise": "It rained.", "choice1": "Wet.", "choice2": "Dry.", "question": "effect", "idx": 0, "label": 0}
    boolq = {"question": "is tea hot", "passage": "Tea is hot.", "idx": 0, "label": 1}
    for name, row in (("copa", copa), ("boolq", boolq)):
        for split in ("train", "validation"):
            file = tmp_path / f"DATA/super_glue/{name}/{split}.jsonl"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(row | {"idx": int(split == "train")}) + "\n")
    from t0native.cli.main import main

    other = (tmp_path / "t5_small.yaml").read_text().replace("google/t5-small-lm-adapt", "nobody/nothing")
    (tmp_path / "other.yaml").write_text(other)
    assert main(["train", str(tmp_path / "other.yaml"), "--dry-run"]) == 2  # whose size nobody knows
    facts = read_recipe(tmp_path / "t5_small.yaml", dry_run=True).forecast()
    assert facts["parameters"] == 76_961_152 and facts["tokens a step"] == 16_384 and len(facts["missing"]) == 1
    lines = "\n".join(forecast.forecast_lines(facts))
    assert "tokens a step      at most 16,384" in lines and "examples and epochs are the fewest that there can be" in lines


def test_every_key_of_a_recipe_is_documented():
    """docs/reference/training.md: a table a mapping, a row a key, no more and no fewer."""
    from t0native.training.recipe import MODEL, T0_MIXTURE, TASK

    text = (ROOT / "docs/reference/training.md").read_text(encoding="utf-8")
    tables = {part.splitlines()[0]: re.findall(r"^\| `(\w+)` \|", part, flags=re.M) for part in re.split(r"^#+ ", text, flags=re.M)[1:]}
    wanted = {
        "What is trained on what": {"model", "tasks", "validate", *T0_MIXTURE},
        "A model with random weights": set(MODEL),
        "A task": set(TASK),
        "How": set(KINDS),
        "Options of the optimiser and the loss": set(OPTIMIZER_OPTIONS),
    }
    for title, keys in wanted.items():
        assert sorted(tables[title]) == sorted(keys), title


def test_the_table_of_settings_is_that_of_the_code():
    text = (ROOT / "docs/reference/training.md").read_text(encoding="utf-8").partition("### How")[2].partition("###")[0]
    rows = [[cell.strip() for cell in row] for row in re.findall(r"^\| `(\w+)` \|([^|]*)\|(.*)\|$", text, flags=re.M)]
    assert [(name, told) for name, _, told in rows] == [(name, SETTINGS[name].help) for name in KINDS]
    defaults = {entry.name: entry.default for entry in dataclasses.fields(Settings)}
    for name, told, _ in rows:
        default = defaults[name]
        if isinstance(default, bool):
            assert told == str(default).lower(), name
        elif default not in (None, dataclasses.MISSING):
            assert told == str(default) or float(told) == default, name
