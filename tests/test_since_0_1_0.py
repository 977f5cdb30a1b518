"""What version 0.1.0 left on a disk, today: folders and packed files give the same scores, runs go on with the same bits, evaluations repeat
no finished cell; or they are refused with the reason. The fixtures were made by 0.1.0 (golden/make_0_1_0.py)."""

import json
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import t0native as t0

GOLDEN = Path(__file__).parent / "golden"
sys.path.append(str(GOLDEN))

import cases_0_1_0 as cases  # noqa: E402  beside the golden files

EXACT = platform.machine() == "x86_64"  # where the fixtures were made; other machines' compilers may fuse products and sums


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory):
    return cases.open_folder(GOLDEN / "0.1.0.tar.xz", tmp_path_factory.mktemp("of-0.1.0"))


@pytest.fixture
def folder(unpacked, tmp_path):
    """What 0.1.0 left, to be changed."""
    return Path(shutil.copytree(unpacked, tmp_path / "left"))


@pytest.fixture(scope="session")
def expected(unpacked):
    found = json.loads((unpacked / "expected.json").read_text())
    assert found["version"] == "0.1.0"
    return found


def same(found, wanted):
    if EXACT:
        np.testing.assert_array_equal(found, wanted)
    else:
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def same_weights(found, path):
    """The folder of a run's model, or a model, has the weights of the file."""
    from safetensors.numpy import load_file

    wanted = load_file(path)
    found = cases.weights_of(found) if isinstance(found, t0.Model) else load_file(Path(found) / "model.safetensors")
    assert set(found) == set(wanted)
    for name in wanted:
        same(found[name], wanted[name])


# ---- models ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_a_saved_or_converted_model_has_the_same_scores(unpacked, expected, dtype):
    """Inputs without the end token, as 0.1.0 read them, though nothing is said of it today."""
    path = unpacked / ("model" if dtype == "float32" else f"model-{dtype}")
    found, wanted = cases.scores(cases.load(path, dtype)), expected["scores"][dtype]
    same(found["rank"], wanted["rank"])
    assert found["generate"] == wanted["generate"]


def test_saved_again_it_is_the_same_model(unpacked, expected, tmp_path):
    cases.load(unpacked / "model").save(tmp_path / "again")
    same(cases.scores(cases.load(tmp_path / "again"))["rank"], expected["scores"]["float32"]["rank"])
    same_weights(tmp_path / "again", unpacked / "model/model.safetensors")


def test_a_checkpoint_of_a_run_loads(unpacked):
    for name in (*cases.RUNS, "recipe"):
        model = cases.load(step_of(unpacked, name))
        assert model.tokenizer.vocab_size == model.config.vocab_size and np.isfinite(cases.scores(model)["rank"]).all()


def step_of(folder, name):
    return folder / f"runs/{name}/checkpoints/step-{cases.CUT:06d}"


# ---- runs --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("began_with", ["the script's model", "the folder's model", "the run's last model"])
@pytest.mark.parametrize("name", ["adafactor", "adamw", "ended"])
def test_a_run_goes_on_with_the_same_bits(folder, expected, name, began_with):
    """Rows of a CSV file with whole numbers and of JSON Lines. The model may be made as the script makes it, or be read from what 0.1.0
    saved, before the run or at its cut; nothing is said of the end token but in the run that said it."""
    models = {
        "the script's model": lambda: cases.new_model(folder),
        "the folder's model": lambda: cases.load(folder / "model"),
        "the run's last model": lambda: cases.load(folder / "runs" / name),
    }
    out = folder / "runs" / name
    run, model = cases.train(folder, name, out, models[began_with](), resume="must")
    assert run.steps == cases.STEPS
    same(run.losses, expected["runs"][name]["losses"])
    same_weights(model, folder / f"expected/{name}.safetensors")
    same_weights(out, folder / f"expected/{name}.safetensors")


def test_a_run_of_another_plan_is_refused_with_what_changed(folder):
    """0.1.0 read no end token behind inputs where nothing was said: to ask for it now is another run."""
    with pytest.raises(t0.ConfigError, match="add_eos_to_inputs"):
        cases.train(folder, "adafactor", folder / "runs/adafactor", add_eos_to_inputs=True)
    with pytest.raises(t0.ConfigError, match="seed"):
        cases.train(folder, "adafactor", folder / "runs/adafactor", seed=6)


def test_a_run_on_rows_that_are_read_otherwise_now(folder, expected):
    """0.1.0 left True and False of a CSV file as texts. As the truth values that they are now, they are other rows, and the run is refused
    with the reason; read as 0.1.0 read them, it goes on with the same bits."""
    out = folder / "runs/flags"
    with pytest.raises(t0.ConfigError, match="mixture"):
        cases.train(folder, "flags", out, resume="must")
    run, model = cases.train(folder, "flags", out, reading={"types": "0.1.0"}, resume="must")
    same(run.losses, expected["runs"]["flags"]["losses"])
    same_weights(model, folder / "expected/flags.safetensors")


def test_a_run_of_a_recipe_goes_on_with_the_same_bits(folder):
    command = [sys.executable, "-m", "t0native", "train", "recipe.yaml", "--steps", str(cases.STEPS)]
    environment = os.environ | {"T0NATIVE_KERNELS": cases.KERNELS}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    steps = [json.loads(line)["step"] for line in (folder / "runs/recipe/log.jsonl").read_text().splitlines()]
    assert steps[-1] == cases.STEPS and steps == sorted(set(steps))
    same_weights(folder / "runs/recipe", folder / "expected/recipe.safetensors")


# ---- evaluations ---------------------------------------------------------------------------------------------------------------


def cells_in(out):
    """[(task, prompt, key, when it was finished, how often)] of a journal, in the order in which they came."""
    opened = sqlite3.connect(out / "journal.sqlite")
    found = opened.execute("SELECT task, prompt, key, finished, runs FROM cells ORDER BY rowid").fetchall()
    opened.close()
    return found


def check_report(report, expected, out):
    """The cells have what those of 0.1.0 have, and what the model said of each row is the same."""
    assert len(report.cells) == len(expected["cells"])
    for cell, wanted in zip(report.cells, expected["cells"]):
        assert {key: cell[key] for key in wanted} == wanted | {"examples": cell["examples"]}
        answers = [json.loads(line) for line in (out / cell["examples"]).read_text().splitlines()]
        for answer, before in zip(answers, expected["answers"][f"{cell['task']}/{cell['prompt']}"], strict=True):
            assert {key: answer[key] for key in before if key != "scores"} == {key: before[key] for key in before if key != "scores"}
            if before["scores"] is not None:
                same(answer["scores"], before["scores"])


def test_an_evaluation_goes_on_and_repeats_no_finished_cell(folder, expected):
    out = folder / "evaluation"
    before = cells_in(out)
    assert [f"{task}/{prompt}" for task, prompt, *_ in before] == expected["finished"] and len(before) == 3
    report = cases.evaluate(folder, out)
    assert cells_in(out)[:3] == before
    assert [f"{task}/{prompt}" for task, prompt, *_ in cells_in(out)] == [f"{cell['task']}/{cell['prompt']}" for cell in expected["cells"]]
    check_report(report, expected, out)


def test_an_evaluation_that_ended_is_not_done_again(folder, expected):
    out = folder / "finished"
    before = cells_in(out)
    report = cases.evaluate(folder, out)
    assert cells_in(out) == before and len(before) == len(report.cells)
    check_report(report, expected, out)


def test_what_is_asked_otherwise_is_another_evaluation(folder, expected):
    """The end token behind inputs, which 0.1.0 did not ask for."""
    cases.evaluate(folder, folder / "finished", add_eos_to_inputs=True)
    assert len(cells_in(folder / "finished")) == 2 * len(expected["cells"])


def test_a_report_loads(unpacked, expected):
    report = t0.Report.load(unpacked / "finished/report.json")
    for cell, wanted in zip(report.cells, expected["cells"], strict=True):
        assert {key: cell[key] for key in wanted} == wanted
        assert all(cell[key] is None for key in cell.keys() - wanted.keys())  # what is counted since then
    assert report.about["versions"]["t0native"] == "0.1.0"
    text = re.sub(r"\nintervals of no width: 1 cell, all of whose .*\n", "", report.to_markdown())  # told since then
    assert text == (unpacked / "finished/report.md").read_text()
