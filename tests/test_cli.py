"""The command line: what each verb prints, exit codes, one-line errors."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.cli.main import main
from t0native.experiments.demo import run as run_demo

TEMPLATES = """\
dataset: mine
templates:
  11111111-1111-1111-1111-111111111111: !Template
    answer_choices: no ||| yes
    id: 11111111-1111-1111-1111-111111111111
    jinja: 'Is it so that {{text}}? ||| {{answer_choices[label]}}'
    metadata: !TemplateMetadata
      choices_in_prompt: false
      metrics: [Accuracy]
      original_task: true
    name: is it so
    reference: ''
  22222222-2222-2222-2222-222222222222: !Template
    answer_choices: false ||| true
    id: 22222222-2222-2222-2222-222222222222
    jinja: '{{text}}. True or false? ||| {{answer_choices[label]}}'
    metadata: !TemplateMetadata
      choices_in_prompt: true
      metrics: [Accuracy]
      original_task: true
    name: true or false
    reference: ''
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with templates, rows and a small random model."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "templates/mine").mkdir(parents=True)
    (folder / "templates/mine/templates.yaml").write_text(TEMPLATES)
    rows = [{"text": f"Anna drinks {drink}", "label": i % 2} for i, drink in enumerate(["tea", "milk", "juice", "water"] * 3)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tokenizer = t0.Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model")
    config = t0.Config(vocab_size=tokenizer.vocab_size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    t0.Model.init(config, tokenizer=tokenizer, seed=1).save(folder / "model")
    return folder


@pytest.fixture
def run(capsys, place):
    """run(*arguments) -> (exit code, stdout, stderr), inside the folder."""

    def call(*arguments):
        old = os.getcwd()
        os.chdir(place)
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
        finally:
            os.chdir(old)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


MINE = ("--prompts", "templates")


def test_prompt_list_show_apply(run, place):
    assert run("prompt", "list", *MINE) == (0, "   2  mine\n2 prompts for 1 datasets\n", "")
    assert run("prompt", "list", "mine", *MINE) == (0, "is it so\ntrue or false\n", "")
    code, out, _ = run("prompt", "show", "mine", "is it so", *MINE)
    assert code == 0 and out.startswith("== is it so\nIs it so that {{text}}? ||| {{answer_choices[label]}}\n-- id: 1111")
    code, out, _ = run("prompt", "apply", "mine", "is it so", *MINE, "--data", "rows.jsonl", "--row", 1)
    assert (code, out) == (0, "== is it so\nIs it so that Anna drinks milk?\n-- target: yes\n-- choices: no | yes\n\n")
    (place / "bare/mine").mkdir(parents=True)
    (place / "bare/mine/templates.yaml").write_text(TEMPLATES.replace("|||", "||"))
    code, out, _ = run("prompt", "apply", "mine", "is it so", "--prompts", "bare", "--data", "rows.jsonl")
    assert (code, out) == (0, "== is it so\n(this row is dropped: the template gives 1 part; 2, separated by |||, are needed)\n\n")
    code, out, _ = run("evaluate", "--model", "model", "--task", "mine=rows.jsonl", "--prompts", "bare")
    assert (
        code == 1
        and "no row is left of 12 (12 rows dropped: the template gives 1 part; 2, separated by |||, are needed (first row 0))" in out
    )
    code, out, _ = run("prompt", "apply", "mine", *MINE, "--example", '{"text": "a", "label": 0}', "--json")
    assert [entry["target"] for entry in json.loads(out)] == ["no", "false"]


def test_data_convert(run, place):
    (place / "val.jsonl").write_text('{"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment", "idx": 0}\n')
    assert run("data", "convert", "super_glue/rte", "val.jsonl", "--data", "DATA") == (
        0,
        "DATA/super_glue/rte/validation.jsonl: 1 row\n",
        "",
    )
    row = json.loads((place / "DATA/super_glue/rte/validation.jsonl").read_text())
    assert row == {"premise": "It rains.", "hypothesis": "It is wet.", "label": 0, "idx": 0}
    code, out, _ = run("data", "convert", "super_glue/axg", "val.jsonl", "--data", "DATA", "--split", "mine", "--json")
    assert (code, json.loads(out)) == (0, {"path": "DATA/super_glue/axg/mine.jsonl", "rows": 1})
    code, out, err = run("data", "convert", "super_glue/copa", "val.jsonl", "--data", "OTHER")
    assert code == 2 and out == "" and not (place / "OTHER").exists()
    assert err == (
        "t0native: error: val.jsonl, row 0: neither super_glue/copa as its authors distribute it nor in the hub's columns: no field "
        "'choice1' (it has: premise, hypothesis, label, idx)\n"
    )
    assert run("data", "convert", "super_glue/rtf", "val.jsonl", "--data", "DATA")[2].endswith("did you mean 'super_glue/rte'?\n")
    assert "no --data DIR; as in t0native data convert" in run("data", "convert", "super_glue/rte", "val.jsonl")[2]
    code, out, _ = run("data", "list")
    assert code == 0 and "super_glue/multirc       paragraph, question, answer, idx, label\n" in out
    assert "piqa" in json.loads(run("data", "list", "--json")[1])


def test_rank_and_generate(run, place):
    code, out, _ = run("rank", "--model", "model", "Does Anna drink tea?", "yes", "no", "--json")
    found = json.loads(out)
    model = t0.Model.from_pretrained(place / "model")
    ranking = model.rank("Does Anna drink tea?", ["yes", "no"])
    assert code == 0 and found["choice"] == ranking.choice and found["scores"] == ranking.scores.tolist()
    code, out, _ = run("rank", "--model", "model", "Does Anna drink tea?", "yes", "no")
    assert [line.split()[1] for line in out.splitlines()] == [["yes", "no"][i] for i in np.argsort(-ranking.scores)]
    code, out, _ = run("generate", "--model", "model", "Does Anna drink tea?", "--max-new-tokens", 3)
    assert (code, out) == (0, model.generate("Does Anna drink tea?", max_new_tokens=3) + "\n")
    given = ("--max-new-tokens", 4, "--num-beams", 2, "--sample", "--temperature", 2.5, "--top-k", 9, "--top-p", 0.8, "--seed", 3)
    wanted = dict(max_new_tokens=4, num_beams=2, do_sample=True, temperature=2.5, top_k=9, top_p=0.8, seed=3)
    code, out, _ = run("generate", "--model", "model", "Does Anna drink tea?", *given)
    assert (code, out) == (0, model.generate("Does Anna drink tea?", **wanted) + "\n")


def test_long_inputs_can_be_cut_or_allowed(run):
    long, refused = "tea " * 1100, run("rank", "--model", "model", "tea " * 1100, "yes", "no")
    assert refused[0] == 2 and "max_input_length is 1024: raise it, or cut with --truncate" in refused[2]
    for options in (["--truncate"], ["--max-input-length", 5000]):
        assert run("rank", "--model", "model", long, "yes", "no", *options)[0] == 0
        assert run("generate", "--model", "model", long, "--max-new-tokens", 1, *options)[0] == 0


def test_evaluate_and_report(run, place):
    options = ["--model", "model", "--dataset", "mine", "--data", "rows.jsonl", *MINE]
    code, out, _ = run("evaluate", *options, "--label", "a", "--out", "run-a")
    assert code == 0 and out.startswith("task  model") and "[" in out
    report = t0.Report.load(place / "run-a")
    assert [(c["prompt"], c["n"], c["status"]) for c in report.cells] == [("is it so", 12, "ok"), ("true or false", 12, "ok")]
    assert (place / "run-a/report.md").read_text() == report.to_markdown()
    code, out, _ = run("evaluate", *options, "--label", "b", "--out", "run-b", "--json", "--limit", 5)
    assert code == 0 and {cell["n"] for cell in json.loads(out)["cells"]} == {5}
    code, out, _ = run("report", "run-a", "run-b/report.json", "--json")
    assert code == 0 and [entry["model"] for entry in json.loads(out)["summary"]] == ["a", "b"]
    code, out, _ = run("report", "run-a", "--markdown")
    assert code == 0 and out == report.to_markdown()
    task = f"mine={place / 'rows.jsonl'}"
    assert run("evaluate", "--model", "model", "--task", task, *MINE, "--label", "a", "--json")[1].count('"prompt_id"') == 2


def test_data_in_folders_and_pictures(run, place):
    (place / "data/mine").mkdir(parents=True)
    (place / "data/mine/val.csv").write_text("text,label\na,0\nb,1\n")
    options = ["--model", "model", "--dataset", "mine", "--data", "data", *MINE]
    code, _, err = run("evaluate", *options)
    assert code == 2 and err.startswith(
        "t0native: error: data/mine: no validation.jsonl there; rows lie in data/mine/val.csv: --data data/mine/val.csv reads them"
    )
    needed("matplotlib", "pip install '.[plot]'")
    code, out, _ = run("evaluate", *options, "--split", "val", "--plot", "boxes.svg")
    assert code == 0 and (place / "boxes.svg").read_text().startswith("<?xml")
    assert run("report", "run-a", "--plot", "again.png", "--markdown", "again.md")[0] == 0
    assert (place / "again.png").read_bytes().startswith(b"\x89PNG") and (place / "again.md").read_text().startswith("| task |")


def test_a_failed_cell_exits_with_1(run, place):
    folder = place / "broken/mine"
    folder.mkdir(parents=True)
    (folder / "templates.yaml").write_text(TEMPLATES.replace("{{text}}. True", "{{text.nothing.more}}. True"))
    code, out, _ = run("evaluate", "--model", "model", "--task", "mine=rows.jsonl", "--prompts", "broken")
    assert code == 1 and "FAILED model, mine, true or false: DataError: no row is left of 12 (12 rows dropped: it cannot be rendered" in out


def test_train_from_a_recipe(run, place):
    (place / "recipe.yaml").write_text(
        "model: model\n"
        "tasks:\n  - {dataset: mine, data: rows.jsonl, prompts: templates, rate: 3}\n"
        "validate:\n  - {name: check, dataset: mine, data: rows.jsonl, prompts: templates}\n"
        "steps: 4\nbatch_size: 8\nvalidate_every: 2\nlog_every: 1\nout: trained\n"
    )
    code, out, _ = run("train", "recipe.yaml", "--dry-run")
    assert code == 0 and "2 components, sum of rates 6" in out and "examples           32" in out and not (place / "trained").exists()
    code, out, _ = run("train", "recipe.yaml", "--show", 3)
    told = re.findall(r"example \d: mine/.+\n  input \(\d+ tokens\):  .+ .+\n  target \(\d+ tokens\): \w+</s>", out)
    assert code == 0 and len(told) == 3 and not (place / "trained").exists()
    assert run("train", "recipe.yaml", "--show", 0)[2] == "t0native: error: --show 0: must be a whole number, at least 1\n"
    code, out, _ = run("train", "recipe.yaml")
    assert code == 0 and out.startswith("Run(4 steps")
    log = [json.loads(line) for line in (place / "trained/log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2, 2, 3, 4, 4] and set(log[2]["validation"]) == {"check"}
    assert run("rank", "--model", "trained", "a", "yes", "no")[0] == 0
    code, out, _ = run("train", "recipe.yaml", "--steps", 6, "--json")
    assert code == 0 and json.loads(out)["steps"] == 6


@pytest.mark.parametrize("more, missing", [
    ("tasks: [{dataset: mine, data: soon.jsonl, prompts: soon}]", ["soon: no such file or folder of prompts", "soon.jsonl: not here yet"]),
    ("tasks: [{data: soon.jsonl, objective: lm}]\nvalidate: [{dataset: mine, data: later.csv, prompts: templates}]",
     ["soon.jsonl: not here yet", "later.csv: not here yet"]),
    ("mixture: t0_train\ndata: DATA\nprompts: P3", ["P3: no such folder of prompts; T0's mixtures need 0.1.0's prompts: pip"]),
])  # fmt: skip
def test_a_dry_run_needs_neither_rows_nor_prompts_nor_a_tokenizer(run, place, monkeypatch, more, missing):
    monkeypatch.setattr("t0native.training.forecast.PROBE_MOST", 0.0)
    (place / "config.json").write_text((place / "model/config.json").read_text())
    (place / "dry.yaml").write_text("model: {config: config.json, tokenizer: soon.model}\nsteps: 3\n" + more)
    code, out, err = run("train", "dry.yaml", "--dry-run")
    assert (code, err) == (0, "") and "\nsteps              3\n" in out
    assert out.startswith("components         cannot be told before all of their rows and prompts are here\n")
    told = [line[19:] for line in out.splitlines() if line.startswith("missing")]
    assert len(told) == len(missing) + 1 and told[-1] == "soon.model: not here yet"
    assert all(line.startswith(what) for line, what in zip(told, missing))
    assert run("train", "dry.yaml", "--out", "run")[0] == run("train", "dry.yaml", "--dry-run", "--show", 1)[0] == 2


def test_epochs_in_a_recipe_and_on_the_command_line(run, place, monkeypatch):
    monkeypatch.setattr("t0native.training.forecast.PROBE_MOST", 0.0)
    text = "model: model\ntasks: [{dataset: mine, data: rows.jsonl, prompts: templates}]\nbatch_size: 5\nepochs: 2\nout: epochs\n"
    (place / "epochs.yaml").write_text(text)
    out = run("train", "epochs.yaml", "--dry-run")[1]
    assert "\nsteps              5\n" in out and "\nexamples           24\n" in out
    assert "\nsteps              9\n" in run("train", "epochs.yaml", "--dry-run", "--steps", 9)[1]
    assert len(run("train", "epochs.yaml", "--show", 99)[1].split("example ")) == 25
    assert run("train", "epochs.yaml")[1].startswith("Run(5 steps, last loss")
    assert run("train", "epochs.yaml", "--epochs", 2, "--steps", 4)[2] == (
        "t0native: error: steps 4 and epochs 2: a training has so many steps or so many epochs; give one of them\n"
    )
    (place / "epochs.yaml").write_text(text.replace("rows.jsonl", "soon.jsonl"))
    out = run("train", "epochs.yaml", "--dry-run")[1]
    assert "\nsteps              cannot be told before the rows are here, which epochs count\n" in out
    assert json.loads(run("train", "epochs.yaml", "--dry-run", "--json")[1])["hours"] is None
    (place / "epochs.yaml").write_text(text.replace("epochs: 2\n", ""))
    assert run("train", "epochs.yaml")[2] == (
        "t0native: error: epochs.yaml: no 'steps' and no 'epochs'; add one of them, or give --steps or --epochs\n"
    )


def test_an_objective_needs_no_dataset(run, place):
    (place / "lm.yaml").write_text("model: model\ntasks: [{data: rows.jsonl, objective: lm}]\nsteps: 1\n")
    assert run("train", "lm.yaml", "--show", 1)[1].startswith("example 0: rows/lm\n")


def test_a_training_that_is_stopped_names_the_command_that_goes_on(run, place, monkeypatch):
    from t0native.training.trainer import Trainer

    (place / "stop it.yaml").write_text(
        "model: model\ntasks: [{dataset: mine, data: rows.jsonl, prompts: templates}]\nsteps: 4\nbatch_size: 2\nout: stopped\n"
    )

    def stopped(self, sources, targets, step):
        if step == 3:
            raise KeyboardInterrupt
        return gradients(self, sources, targets, step)

    gradients = Trainer.gradients
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "gradients", stopped)
        code, out, err = run("train", "stop it.yaml", "--seed", 3, "--resume", "never")
    command = "t0native train 'stop it.yaml' --seed 3 --resume never --resume auto"
    assert (code, out) == (130, "")
    assert err.splitlines()[-2:] == [f"stopped after step 2 of 4; saved in stopped: {command} goes on from there", "t0native: stopped"]
    assert run("train", "stop it.yaml", "--seed", 3, "--resume", "never", "--resume", "auto")[1].startswith("Run(4 steps")


def test_train_by_tokens_tells_what_prompts_dropped(run, place):
    (place / "some/mine").mkdir(parents=True)
    (place / "some/mine/templates.yaml").write_text(
        TEMPLATES.replace("Is it so that {{text}}?", "{% if label %}Is it so that {{text}}?{% endif %}")
    )
    (place / "tokens.yaml").write_text(
        "model: model\ntasks:\n  - {dataset: mine, data: rows.jsonl, prompts: some}\nsteps: 4\nbatch_tokens: 99\naccumulate: 2\nout: by-tokens\n"
    )
    code, out, _ = run("train", "tokens.yaml", "--dry-run", "--json")
    plan = json.loads(out)
    assert code == 0 and plan["tokens a step"] == 198 and plan["tokens"] == 4 * 198 and 4 * 4 < plan["examples"] < 4 * 30
    code, out, _ = run("train", "tokens.yaml", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["examples"] > 4 and 2 * 198 < facts["tokens"] <= 4 * 198 and set(facts["dropped"]) == {"mine/is it so"}
    rows = facts["dropped"]["mine/is it so"]
    code, out, _ = run("train", "tokens.yaml")  # again: nothing is left to do
    assert code == 0 and f", {rows} rows dropped, " in out and out.endswith(f"\ndropped {rows:>8,} rows of mine/is it so\n")


def test_info(run, place):
    code, out, _ = run("info", "model", "--json")
    facts = json.loads(out)
    model = t0.Model.from_pretrained(place / "model")
    assert code == 0 and facts["parameters"] == model.parameters and facts["config"]["d_model"] == 16
    assert {name for name, _, _ in facts["tensors"]} == {name for name, _ in model.core.tensors()}
    assert "shared.weight" in run("info", "model", "--tensors")[1]


def _facts(out):
    """Lines of `info` behind the folder's name and files, but for the memory that the machine has left just now."""
    return [line for line in out.splitlines()[2:] if not line.startswith("memory available")]


def test_info_says_what_would_not_load(run, place):
    import shutil

    def changed(name, change):
        shutil.copytree(place / "model", place / name)
        change(place / name)
        return run("info", name)

    def widen(folder):
        config = json.loads((folder / "config.json").read_text()) | {"d_ff": 48}
        (folder / "config.json").write_text(json.dumps(config))

    def shard(folder):
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors.index.json").write_text('{"weight_map": {"shared.weight": "one.safetensors"}}')

    code, out, _ = changed("wide", widen)
    assert (
        code == 1
        and "loads                no: model.safetensors, tensor encoder.block.0.layer.1.DenseReluDense.wi_0.weight: expected shape [48, 16]"
        in out
    )
    code, out, err = changed("shard", shard)
    assert (code, out) == (2, "") and "file one.safetensors: not here, though the index lists it; get this shard again, into shard" in err
    code, out, _ = changed("beside", lambda folder: shutil.copy(folder / "model.safetensors", folder / "other.safetensors"))
    plain = run("info", "model")[1]
    assert code == 0 and "other" not in out and _facts(out) == _facts(plain)


@pytest.mark.parametrize("name", ["model.safetensors", "spiece.model", "config.json"])
def test_pointers_and_pages_in_the_place_of_files_are_told(run, place, name, tmp_path):
    import shutil

    shutil.copytree(place / "model", tmp_path / "m")
    for content, told in (
        (
            "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "a pointer of Git LFS, not the file itself: `git lfs pull` in",
        ),
        ("\n<!DOCTYPE html>\n<html><body>Sign in</body></html>\n", "a web page, not the file itself: download it again"),
    ):
        (tmp_path / "m" / name).write_text(content)
        code, _, err = run("rank", "--model", tmp_path / "m", "a", "b")
        assert code == 2 and err.startswith(f"t0native: error: {tmp_path}/m/{name}: {told}")


def test_demo_passes_its_options_on_and_its_exit_code_back(run, monkeypatch):
    import t0native.experiments.demo as demo

    given = []
    monkeypatch.setattr(demo, "run", lambda **options: given.append(options) or 1)
    assert run("demo", "--quick", "--seed", 4, "--out", "d", "--wordings", "w", "--json")[0] == 1
    assert given == [{"out": "d", "seed": 4, "quick": True, "full": False, "word_rules": False, "wordings": "w", "json": True}]
    monkeypatch.undo()
    assert run("demo", "--quick", "--full") == (2, "", "t0native: error: --quick, --full and --word-rules: choose one\n")


DIGITS, SEEDS = "9" * 5000, "must be a whole number from 0 to 18446744073709551615"
BAD = [
    (
        ["rank", "--model", "nowhere", "a", "b"],
        "nowhere: no such folder; a model is a folder with config.json, model.safetensors and spiece.model",
    ),
    (["evaluate", "--model", "model"], "evaluate: no rows; give --data FILE and --prompts FILE, --task DATASET=FILE, or --suite NAME"),
    (
        ["evaluate", "--model", "model", "--task", "mine=rows.jsonl", "--shots", "2"],
        "evaluate: --shots goes with --suite, whose tasks know their train split",
    ),
    (["evaluate", "--model", "model", "--suite", "mini", "--shots", "-1"], "--shots -1: must be a whole number from 0 to 1000"),
    (
        ["evaluate", "--model", "model", "--data", "rows.jsonl"],
        "no prompts: name your own by --prompts FILE, a templates.yaml or a folder of them (`t0native prompt new` writes a first one), or "
        "a dataset of the installed promptsource",
    ),
    (
        ["evaluate", "--model", "model", "--task", "mine", *MINE],
        "--task 'mine': must be DATASET=FILE or DATASET/SUBSET=FILE, as in super_glue/copa=rows.jsonl",
    ),
    (["evaluate", "--model", "model", "--task", "mime=rows.jsonl", *MINE], "no prompts for 'mime'; did you mean 'mine'?"),
    (["evaluate", "--model", "model", "--task", "mine=none.jsonl", *MINE], "none.jsonl: No such file or directory"),
    (["evaluate", "--model", "model", "--task", "mine=empty.jsonl", *MINE], "empty.jsonl: no rows"),
    (
        ["evaluate", "--model", "model", "--task", "mine=broken.jsonl", *MINE],
        "broken.jsonl, line 2, column 1: not JSON (Expecting value): 'oops'",
    ),
    (
        ["evaluate", "--model", "model", "--task", "mine=other.jsonl", *MINE],
        "task 'mine', prompt 'is it so', row 0: no field 'text'; nearest is 'texts' (the row has: texts, label)",
    ),
    (["prompt", "show", "mine", "is it", *MINE], "mine has no prompt 'is it'; did you mean 'is it so'?"),
    (["prompt", "apply", "mine", *MINE], "prompt apply: give a row by --data FILE or by --example JSON"),
    (["prompt", "apply", "mine", *MINE, "--example", "[]"], "--example: must be an object {...}"),
    (["prompt", "apply", "mine", *MINE, "--example", "[" * 100_000], "--example: nested too deeply: more than 100 levels"),
    (["prompt", "apply", "mine", *MINE, "--example", DIGITS], "--example: a number of more than 4300 digits; write it as a text"),
    (["prompt", "apply", "mine", *MINE, "--example", "{1: 2}"], None),
    (["prompt", "apply", "mine", *MINE, "--data", "rows.jsonl", "--seed", "-1"], f"--seed -1: {SEEDS}"),
    (["evaluate", "--model", "model", "--task", "mine=rows.jsonl", *MINE, "--seed", str(2**64)], f"--seed {2**64}: {SEEDS}"),
    (["evaluate", "--model", "model", "--task", "mine=rows.jsonl", *MINE, "--limit", "0"], "--limit 0: must be a whole number, at least 1"),
    (["evaluate", "--model", "model", "--task", "mine=deep.json", *MINE], "deep.json: nested too deeply: more than 100 levels"),
    (
        ["evaluate", "--model", "model", "--task", "mine=digits.jsonl", *MINE],
        "digits.jsonl, line 2: a number of more than 4300 digits; write it as a text",
    ),
    (
        ["evaluate", "--model", "bare", "--task", "mine=rows.jsonl", *MINE],
        "the model has no tokenizer, and tasks are texts: put its spiece.model or tokenizer.json into its folder, or name it: --tokenizer FILE",
    ),
    (
        ["generate", "--model", "model", "--max-new-tokens", "99999999999", "a"],
        "--max-new-tokens 99999999999: must be a whole number from 1 to 1048576",
    ),
    (["train", "good.yaml", "--seed", str(2**70)], f"--seed {2**70}: {SEEDS}"),
    (["train", "good.yaml"], "good.yaml: no 'out': the trained model would be lost; name a folder with 'out' or --out"),
    (["rank", "--model", "model", "--threads", "257", "a", "b"], "--threads 257: must be a whole number from 1 to 256"),
    (["train", "good.yaml", "--steps", "0", "--dry-run"], "--steps 0: must be a whole number, at least 1"),
    (["report", "wrong.json"], "wrong.json: about 5: must be a mapping of names to values"),
    (
        ["rank", "--model", "buckets", "a", "b"],
        "buckets/config.json: configuration: relative_attention_num_buckets 2: must be a whole number from 4 to 65536 (with fewer the buckets' formula divides by zero)",
    ),
    (["prompt", "apply", "mine", *MINE, "--data", "rows.jsonl", "--row", "99"], "rows.jsonl: --row 99: it has rows 0 to 11"),
    (
        ["rank", "--model", "model/config.json", "a", "b"],
        "model/config.json: a file; name the folder that holds it, with config.json, model.safetensors and spiece.model",
    ),
    (["prompt", "list", "--prompts", "nowhere"], None),
    (["report", "nowhere"], "nowhere: no such report; a report is the folder into which evaluate wrote, or the report.json in it"),
    (["report", "rows.jsonl"], None),
    (["info", "nowhere"], "nowhere: no such folder; a model is a folder with config.json, model.safetensors and spiece.model"),
    (["train", "unknown.yaml"], "unknown.yaml: unknown key stepz; did you mean 'steps'?"),
    (["train", "task.yaml"], "task.yaml: unknown key tasks[0].datas; did you mean 'data'?"),
    (["train", "list.yaml"], "list.yaml: the file: must be a mapping of keys to values"),
    (["train", "torn.yaml"], None),
    (["train", "twice.yaml"], "twice.yaml, line 4, column 1: not YAML: 'steps' stands twice, first in line 3"),
    (["prompt", "apply", "mine", *MINE, "--example", "{}"], "task 'mine', prompt 'is it so', row 0: no field 'label' (the row has: )"),
    (["train", "no-model.yaml"], "no-model.yaml: no 'model'; it must name the model"),
    (
        ["rank", "--model", "model", "--threads", "many", "a", "b"],
        "argument --threads: invalid int value: 'many' (see t0native rank --help)",
    ),
    (["rank", "--model", "model", "a " * 3000, "b"], None),
    (["trian"], None),
]


@pytest.fixture(scope="module")
def bad_files(place):
    files = {
        "empty.jsonl": "",
        "broken.jsonl": '{"text": "a", "label": 1}\noops\n',
        "other.jsonl": '{"texts": "b", "label": 1}\n{"texts": "a", "label": 1}\n',
        "unknown.yaml": "stepz: 3\n",
        "task.yaml": "model: model\ntasks: [{dataset: mine, datas: x}]\n",
        "list.yaml": "- a\n",
        "torn.yaml": "model: [a\n",
        "no-model.yaml": "steps: 3\n",
        "good.yaml": RECIPE,
        "twice.yaml": RECIPE + "steps: 4\n",
        "deep.json": "[" * 100_000,
        "digits.jsonl": '{"text": "a", "label": 1}\n{"text": ' + DIGITS + "}\n",
        "wrong.json": '{"cells": [], "summary": [], "about": 5}',
    }
    for name, content in files.items():
        (place / name).write_text(content)
    model = t0.Model.from_pretrained(place / "model")
    t0.Model.init(model.config).save(place / "bare")
    model.save(place / "buckets")
    config = json.loads((place / "buckets/config.json").read_text()) | {"relative_attention_num_buckets": 2}
    (place / "buckets/config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("arguments, message", BAD, ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "")
def test_bad_input_is_told_in_one_line(run, bad_files, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2 and out == ""
    *warnings, last = err.splitlines()
    assert last.startswith("t0native: error: ") and "Traceback" not in err
    assert len(warnings) == ("bare" in arguments)  # of a folder without a tokenizer, which the library tells before
    if message is not None:
        assert last == f"t0native: error: {message}"


RECIPE = "model: model\ntasks: [{dataset: mine, data: rows.jsonl, prompts: templates}]\nsteps: 3\n"
WRONG = [  # a line of a recipe, which takes the place of the same key above, and what is said of it
    ("model: 5", "model 5: must be a folder, or have 'tokenizer' and either 'size' or 'config'"),
    ("model: {size: small}", "model: must be a folder, or have 'tokenizer' and either 'size' or 'config'"),
    ("model: {size: [1], tokenizer: t}", "model.size [1]: must be 'small', 'base', 'large', 'xl' or 'xxl'"),
    ("model: {size: small, tokenizer: 5}", "model.tokenizer 5: must be the name of a file"),
    ("model: {size: small, tokenizer: t, seed: x}", f"model.seed 'x': {SEEDS}"),
    ("model: {size: small, tokenizer: t, initializer: [a]}", "model.initializer ['a']: must be 't5' or 'matching'"),
    ("tasks: 5", "tasks 5: must be a list of tasks"),
    ("tasks: [a]", "tasks[0]: must be a mapping of keys to values"),
    ("tasks: [{dataset: mine, data: 5}]", "tasks[0].data 5: must be the name of a file"),
    ("tasks: [{dataset: 5, data: rows.jsonl}]", "tasks[0].dataset 5: must be the name of a dataset, as super_glue/rte"),
    (
        "tasks: [{dataset: mine, data: rows.jsonl, prompts: 5}]",
        "tasks[0].prompts 5: must be the name of a templates.yaml, or of a folder of them",
    ),
    ("tasks: [{dataset: mine, data: rows.jsonl, prompts: templates, rate: x}]", "tasks[0].rate 'x': must be a positive number"),
    ("tasks: [{dataset: mime, data: rows.jsonl, prompts: templates}]", "no prompts for 'mime'; did you mean 'mine'?"),
    ("validate: null", "validate None: must be a list of tasks, or the name of a T0 mixture or of a suite"),
    ("seed: abc", f"seed 'abc': {SEEDS}"),
    ("seed: 1.5", f"seed 1.5: {SEEDS}"),
    ("threads: two", "threads 'two': must be a whole number from 1 to 256, or None"),
    ("schedule: [a]", "schedule ['a']: must be 'constant', 'linear', 'cosine' or 'rsqrt', or a callable (step, steps) -> factor"),
    ("threads: 257", "threads 257: must be a whole number from 1 to 256, or None"),
    ("dropout: x", "dropout 'x': must be a number, or None"),
    ("dropout: 1.5", "dropout 1.5: must be at least 0 and less than 1"),
    ("clip: -1", "clip -1: must be at least 0 and less than 1000000000"),
    ("optimizer: adam", "optimizer 'adam': must be 'adafactor', 'adamw' or 'sgd'"),
    ("optimizer_options: 3", "optimizer_options 3: must be a mapping of names to values, or None"),
    ("optimizer_options: {label_smoothing: 1}", "optimizer_options.label_smoothing 1: must be at least 0 and less than 1"),
    ("optimizer_options: {beta1: x}", "optimizer_options.beta1 'x': must be a number"),
    ("learning_rate: '1e-3'", "learning_rate '1e-3': must be a positive number"),
    ("out: [1]", "out [1]: must be the name of a folder, or None"),
    ("resume: [1]", "resume [1]: must be 'auto', 'must' or 'never'"),
    ("steps: abc", "steps 'abc': must be a whole number, at least 1"),
    ("steps: 2024-13-45", "steps '2024-13-45': must be a whole number, at least 1"),
    ("steps: [[[[1, 2], 3], 4], 5]", "steps [[[...], 4], 5]: must be a whole number, at least 1"),
]


@pytest.mark.parametrize("line, message", WRONG, ids=[line for line, _ in WRONG])
def test_a_recipes_wrong_values_are_told_with_file_and_key(run, bad_files, place, line, message):
    key = line.partition(":")[0]
    kept = [other for other in RECIPE.splitlines() if not other.startswith(f"{key}:")]
    (place / "wrong.yaml").write_text("\n".join([*kept, line]) + "\n")
    assert run("train", "wrong.yaml", "--dry-run") == (2, "", f"t0native: error: wrong.yaml: {message}\n")


@pytest.mark.parametrize("value", ["!!int x", "!!timestamp x", "[1", "9" * 5000, "*nobody", "1\nseed: 2", "!!map x", "!!set [a]"])
def test_what_is_no_yaml_is_told_with_its_line(run, place, value):
    (place / "wrong.yaml").write_text(f"{RECIPE}seed: {value}\n")
    code, out, err = run("train", "wrong.yaml")
    assert (
        (code, out) == (2, "") and err.startswith("t0native: error: wrong.yaml, line ") and ": not YAML: " in err and err.count("\n") == 1
    )


def test_numbers_with_an_exponent_are_numbers(place):
    from t0native.training.recipe import read_recipe

    (place / "exponent.yaml").write_text(
        RECIPE + "learning_rate: 1e-3\noptimizer: adamw\noptimizer_options: {epsilon: 1E-8}\nout: 2024-01-31\n"
    )
    options = read_recipe(place / "exponent.yaml").options
    assert (options["learning_rate"], options["optimizer_options"]) == (0.001, {"epsilon": 1e-8})
    assert options["out"] == place / "2024-01-31"


@pytest.mark.parametrize("verb", ["demo", "prompt", "rank", "generate", "train", "evaluate", "report", "info"])
def test_help_has_examples(run, verb):
    code, out, _ = run(verb, "--help")
    assert code == 0 and f"examples:\n  t0native {verb}" in out


def test_no_space_left_is_bad_input(run, monkeypatch, place):
    import errno

    from t0native.base import files

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    code, out, err = run("evaluate", "--model", "model", "--task", "mine=rows.jsonl", *MINE, "--out", "full")
    assert code == 2 and err.startswith("t0native: error: full/examples: cannot write: no space left on the disk (")
    assert not (place / "full").exists() and "is it so" not in err and out == ""


def test_closed_streams_are_told(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", None)
    assert run("generate", "--model", "model") == (
        2,
        "",
        "t0native: error: generate: no input; give it as an argument or on stdin, one a line\n",
    )
    monkeypatch.setattr(sys, "stdout", None)
    assert main(["info", "model"]) == 2 and "standard output is closed" in capsys.readouterr().err


def test_a_fault_is_one_line_and_its_trace_can_be_had(run, monkeypatch):
    import t0native.models.inspection

    monkeypatch.setattr(t0native.models.inspection, "describe_model", lambda path, config: {}["gone"])
    code, out, err = run("info", "model")
    assert (code, out) == (2, "") and err.startswith("t0native: error: KeyError: 'gone'; this should not happen: T0NATIVE_TRACE=1")
    monkeypatch.setenv("T0NATIVE_TRACE", "1")
    with pytest.raises(KeyError):
        run("info", "model")


def test_places_of_results_are_checked_before_the_work(run, place):
    (place / "a file").write_text("")
    common = ["evaluate", "--model", "nowhere", "--task", "mine=rows.jsonl", *MINE]
    assert run(*common, "--out", "a file") == (2, "", "t0native: error: a file: a file; out must name a folder\n")
    (place / "taken/report.md").mkdir(parents=True)
    assert run(*common, "--out", "taken") == (2, "", "t0native: error: taken/report.md: cannot write: Is a directory\n")
    needed("matplotlib", "pip install '.[plot]'")
    code, _, err = run(*common, "--plot", "boxes.foo")
    assert code == 2 and err.startswith("t0native: error: boxes.foo: unknown kind of picture '.foo'; known are ")


@pytest.mark.parametrize("number, code, told", [
    (signal.SIGINT, 130, "stopped"), (signal.SIGTERM, 143, "ended by SIGTERM"), (signal.SIGHUP, 129, "ended by SIGHUP"),
])  # fmt: skip
def test_a_run_that_a_signal_ends_is_saved(place, number, code, told):
    name = f"long{code}"
    (place / "long.yaml").write_text(
        "model: model\ntasks:\n  - {dataset: mine, data: rows.jsonl, prompts: templates}\nsteps: 1000000\nlog_every: 1\nout: " + name + "\n"
    )
    command = [sys.executable, "-P", "-m", "t0native", "train", "long.yaml"]
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=place, env=environment, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            log = place / name / "log.jsonl"
            deadline = time.monotonic() + 120  # met by a hang alone
            while not (log.exists() and log.read_text().count("\n") > 3) and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(number)
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert (process.returncode, out, err.splitlines()[-1]) == (code, "", f"t0native: {told}")
    (step,) = (place / name / "checkpoints").iterdir()
    assert int(step.name.removeprefix("step-")) > 3
    kept, saved = (t0.Model.from_pretrained(folder).core.tensor("shared.weight") for folder in (step, place / name))
    assert np.array_equal(kept, saved)


def test_the_end_token_and_sentinels_reach_every_verb(run, place, caplog):
    """A folder without a key is read with the end token; the option goes before it, and a model that is trained keeps it."""
    model = t0.mini.new_model(0)
    model.save(place / "tiny")
    (place / "tiny/tokenizer_config.json").unlink()
    file = place / "tiny/config.json"
    file.write_text(json.dumps({name: value for name, value in json.loads(file.read_text()).items() if name != "add_eos_to_inputs"}))
    text, sentinel = "Is it tea?", "Is it <extra_id_0>?"
    for options, added in (((), True), (("--add-eos-to-inputs",), True), (("--no-add-eos-to-inputs",), False)):
        caplog.clear()
        code, out, _ = run("rank", "--model", "tiny", *options, "--json", text, "Yes", "No")
        assert code == 0 and json.loads(out)["scores"] == model.rank(text, ["Yes", "No"], add_eos_to_inputs=added).scores.tolist()
        assert ("no key tells how it was trained" in caplog.text) is (not options)
        code, out, _ = run("generate", "--model", "tiny", *options, "--max-new-tokens", 4, text)
        assert (code, out.rstrip("\n")) == (0, model.generate(text, max_new_tokens=4, add_eos_to_inputs=added))
        assert run("evaluate", "--model", "tiny", "--suite", "mini", "--limit", 1, "--out", f"e{added}", *options)[0] == 0
        assert t0.Report.load(place / f"e{added}").about["add_eos_to_inputs"] is added
    code, out, _ = run("rank", "--model", "tiny", "--sentinels", "--no-add-eos-to-inputs", "--json", sentinel, "Yes", "No")
    assert code == 0 and json.loads(out)["scores"] == model.rank(sentinel, ["Yes", "No"], sentinels=True).scores.tolist()
    (place / "rows.jsonl").write_text("".join(json.dumps({"text": f"row {i}"}) + "\n" for i in range(9)))
    recipe = "model: tiny\nsteps: 1\nbatch_size: 2\ntasks:\n  - {dataset: mine, data: rows.jsonl, objective: prefix_lm}\n"
    (place / "plain.yaml").write_text(recipe)
    (place / "without.yaml").write_text(recipe + "add_eos_to_inputs: false\n")
    for file, options, added in (
        ("plain.yaml", (), True),
        ("plain.yaml", ("--no-add-eos-to-inputs",), False),
        ("without.yaml", (), False),
        ("without.yaml", ("--add-eos-to-inputs",), True),
    ):
        length = re.search(r"input \((\d+) tokens\)", run("train", file, "--show", 1, *options)[1])[1]
        assert run("train", file, "--out", f"run-{file}-{added}", *options)[0] == 0
        assert t0.Model.from_pretrained(place / f"run-{file}-{added}").add_eos_to_inputs is added
        bare = re.search(r"input \((\d+) tokens\)", run("train", file, "--show", 1, "--no-add-eos-to-inputs")[1])[1]
        assert int(length) == int(bare) + added


def test_options_of_generation_reach_an_evaluation(run, place):
    t0.mini.new_model(0).save(place / "tiny")
    options = ["--generation", "num_beams=2", "--generation", "early_stopping=never", "--generation", "length_penalty=0.5"]
    assert run("evaluate", "--model", "tiny", "--suite", "mini", "--limit", 1, "--out", "beams", *options)[0] == 0
    told = t0.Report.load(place / "beams").about["generation"]
    assert (told["num_beams"], told["early_stopping"], told["length_penalty"]) == (2, "never", 0.5)
    for text, message in (
        ("num_beams", "--generation 'num_beams': must be KEY=VALUE, each key once, as in num_beams=4"),
        ("=2", "--generation '=2': must be KEY=VALUE"),
        ("num_beams=many", "generation.num_beams 'many': must be a whole number from 1 to 1024"),
        ("beams=2", "generation: no option 'beams' here; did you mean 'num_beams'"),
    ):
        code, _, err = run("evaluate", "--model", "nowhere", "--suite", "mini", "--generation", text)
        assert code == 2 and message in err
    assert "each key once" in run("evaluate", "--model", "nowhere", "--suite", "mini", *["--generation", "seed=1"] * 2)[2]


def test_shots_and_the_end_token_reach_an_evaluation(run, place):
    t0.mini.new_model(0).save(place / "tiny")
    told = {}
    for name, options in {"plain": [], "shots": ["--shots", 2], "ended": ["--add-eos-to-inputs"]}.items():
        assert run("evaluate", "--model", "tiny", "--suite", "mini", "--limit", 1, "--out", name, *options)[0] == 0
        report = t0.Report.load(place / name)
        told[name] = report.about["add_eos_to_inputs"], report.examples(report.cells[0])[0]["input_sha256"]
    assert [ended for ended, _ in told.values()] == [False, False, True]
    assert told["plain"][1] == told["ended"][1] != told["shots"][1]


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_folder_without_a_name_is_refused_before_any_work(name):
    """An unset variable of a shell would have meant the current folder."""
    task, model = t0.Task("d", [{"text": "x"}], [t0.Prompt("p", "{{ text }} ||| a", "a ||| b")]), t0.mini.new_model(0)
    told = re.escape(f"{name!r}: must be the name of a folder")
    with pytest.raises(t0.ConfigError, match=f"^out {told}"):
        t0.evaluate(model, [task], out=name, progress=False)
    with pytest.raises(t0.ConfigError, match=f"^folder {told}"):
        model.save(name)
    with pytest.raises(t0.ConfigError, match=f"^out {told}"):
        run_demo(out=name)
