"""Training adapters: what moves, what stays, what a run keeps, and how it goes on."""

import hashlib
import json

import numpy as np
import pytest

import t0native as t0
from t0native.checkpoints.sizes import weights_bytes
from t0native.cli.main import main

METHODS = {"lora": lambda: t0.LoRA(r=4, alpha=8, dropout=0.1), "ia3": lambda: t0.IA3(), "prompts": lambda: t0.PromptTuning(tokens=4)}
ASK = "Anna keeps a cat. Ben keeps a dog. Who keeps the dog?"


def numbers(adapter):
    return hashlib.sha256(adapter.core.block().tobytes()).hexdigest()


def weights(model):
    parts = [model.core.panels()] if model.core.packed else [model.core.tensor(name) for name, _ in model.core.tensors()]
    return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


def trained(model, steps, method, **options):
    tasks = t0.mini.training_tasks(["values"])
    options = {"batch_size": 4, "learning_rate": 3e-3, "optimizer": "adamw", "progress": False, "log_every": 1} | options
    return t0.train(model, tasks, steps=steps, adapter=method, **options)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", METHODS)
def test_the_loss_falls_and_the_model_keeps_its_bits(tmp_path, dtype, name):
    model = t0.mini.new_model(3) if dtype == "float32" else t0.mini.new_model(3).to(dtype)
    before, plain = weights(model), model.score(ASK, "Ben")
    run = trained(model, 40, METHODS[name](), out=tmp_path / "run", learning_rate=0.03 if name != "lora" else 0.01)
    assert np.mean(run.losses[-5:]) < np.mean(run.losses[:5]) - 0.2
    assert weights(model) == before and model.score(ASK, "Ben", adapter=None) == plain
    assert model.adapter == "default" and model.score(ASK, "Ben") != plain
    other = t0.mini.new_model(3).to(dtype)
    other.load_adapter(tmp_path / "run")  # a folder of PEFT
    assert numbers(other.adapters["default"]) == numbers(model.adapters["default"])
    assert other.score(ASK, "Ben", adapter="default") == pytest.approx(model.score(ASK, "Ben"), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("name", METHODS)
def test_a_run_that_is_broken_off_goes_on_bit_for_bit(tmp_path, dtype, name):
    def model():
        return t0.mini.new_model(3).to(dtype) if dtype != "float32" else t0.mini.new_model(3)

    whole, parts = model(), None
    trained(whole, 9, METHODS[name](), out=tmp_path / "whole")
    for steps in (2, 3, 6, 9):
        parts = model()
        trained(parts, steps, METHODS[name](), out=tmp_path / "parts", checkpoint_every=1)
    assert numbers(parts.adapters["default"]) == numbers(whole.adapters["default"])
    for file in ("adapter_model.safetensors", "checkpoints/step-000009/trainer.safetensors"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    manifest = json.loads((tmp_path / "whole/checkpoints/step-000009/manifest.json").read_text())
    assert manifest["plan"]["adapter"]["method"] == name and len(manifest["plan"]["weights"]) == 64
    assert "model.safetensors" not in manifest["files"]


def test_another_base_or_another_adapter_is_another_run(tmp_path):
    trained(t0.mini.new_model(3), 2, t0.LoRA(r=2), out=tmp_path / "run")
    with pytest.raises(t0.ConfigError, match="adapter was"):
        trained(t0.mini.new_model(3), 3, t0.LoRA(r=3), out=tmp_path / "run")
    with pytest.raises(t0.ConfigError, match="began with other weights"):
        trained(t0.mini.new_model(4), 3, t0.LoRA(r=2), out=tmp_path / "run")
    with pytest.raises(t0.ConfigError, match="another plan"):
        t0.train(t0.mini.new_model(3), t0.mini.training_tasks(["values"]), steps=3, batch_size=4, out=tmp_path / "run", progress=False)


def test_validation_and_selection_use_the_adapter(tmp_path):
    model = t0.mini.new_model(3)
    own = t0.mini.training_tasks(["values"])[0]
    others = [own.rows[i] | {"other": i} for i in range(5000, 5006)]  # no rows that are trained on
    held_out = t0.Task("few", others, dict(list(own.prompts.items())[:1]), dataset=own.dataset, split="other")
    run = trained(model, 4, t0.LoRA(r=2), out=tmp_path / "run", validate=held_out, validate_every=2, select=True)
    assert len(run.reports) == 2 and run.best is not None
    assert (tmp_path / "run/best/adapter_config.json").is_file()


def test_accumulated_and_recomputed_steps_are_the_same(tmp_path):
    found = []
    for options in ({"batch_size": 4}, {"batch_size": 2, "accumulate": 2}, {"batch_size": 4, "recompute": True}):
        model = t0.mini.new_model(3)
        trained(model, 3, t0.LoRA(r=2, dropout=0.2), **options)
        found.append(numbers(model.adapters["default"]))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"adapter": t0.LoRA(), "freeze": ["shared.*"]}, "freeze: beside adapter="),
        ({"adapter": t0.LoRA(), "lots": 2}, "by one process, without lots"),
        ({"adapter": "lorra"}, "adapter 'lorra': must be"),
        ({"adapter": {"method": "lora", "rank": 3}}, "unknown key adapter.rank"),
        ({"adapter": t0.LoRA(targets=["query"])}, "'query' is no layer"),
        ({"adapter": t0.IA3(targets=["o"])}, "computed, but not trained"),
        ({"adapter": t0.LoRA(targets="(a+)+b")}, "simple regular expression"),
    ],
)
def test_what_cannot_be_is_refused(keywords, message):
    with pytest.raises(t0.ConfigError, match=message):
        t0.train(t0.mini.new_model(3), t0.mini.training_tasks(["values"]), steps=1, batch_size=2, progress=False, **keywords)


@pytest.mark.parametrize("values", [{"r": 0}, {"alpha": -1}, {"dropout": 1.0}, {"targets": []}, {"rank_pattern": {"(": 2}}])
def test_a_method_judges_its_keywords(values):
    with pytest.raises(t0.ConfigError, match=next(iter(values))):
        t0.LoRA(**values)


def test_a_recipe_and_the_command_line_name_it(tmp_path, capsys):
    t0.mini.new_model(3).save(tmp_path / "base")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": f"number {i}", "label": i % 2}) + "\n" for i in range(8)))
    (tmp_path / "prompts.yaml").write_text(
        "dataset: mine\ntemplates:\n  a: !Template\n    answer_choices: a ||| b\n    id: a\n    jinja: '{{text}} ||| {{answer_choices[label]}}'\n"
        "    metadata: !TemplateMetadata {}\n    name: a\n    reference: ''\n"
    )
    files = ["--data", str(tmp_path / "rows.jsonl"), "--prompts", str(tmp_path / "prompts.yaml"), "--model", str(tmp_path / "base")]
    out = tmp_path / "run"
    assert main(["train", *files, "--steps", "2", "--batch-size", "2", "--adapter", "lora", "--out", str(out), "-q"]) == 0, (
        capsys.readouterr()
    )
    assert json.loads((out / "adapter_config.json").read_text())["r"] == 8
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        f"model: {tmp_path / 'base'}\nsteps: 2\nbatch_size: 2\nadapter: {{method: lora, r: 2, targets: [q, wo]}}\nout: {tmp_path / 'two'}\n"
        f"dtype: int8\ntasks:\n- {{dataset: mine, data: {tmp_path / 'rows.jsonl'}, prompts: {tmp_path / 'prompts.yaml'}}}\n"
    )
    assert main(["train", str(recipe), "-q"]) == 0, capsys.readouterr()
    keys = json.loads((tmp_path / "two/adapter_config.json").read_text())
    assert (keys["r"], keys["target_modules"]) == (2, ["q", "wo"])
    assert main(["train", str(recipe), "--dry-run", "--out", str(tmp_path / "three")]) == 0
    told = capsys.readouterr().out
    assert f"weights {weights_bytes(t0.mini.config(), 'int8') / 1e6:,.1f} MB" in told and "gradients 0." in told
