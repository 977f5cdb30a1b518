"""The miniature's public face, and the models that the package carries for it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import t0native as t0
from t0native.models import model as model_module


def test_importing_the_miniature_loads_nothing_more(tmp_path):
    code = (
        "import sys, t0native; before = set(sys.modules); import t0native.mini; new = set(sys.modules) - before;"
        "print(*sorted(new)); assert t0native.mini.held_out_tasks"
    )
    folder = Path(t0.__file__).parent.parent
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(folder)}, cwd=tmp_path)
    assert (done.returncode, set(done.stdout.split()) - {"__future__"}) == (0, {"t0native.mini"}), done.stderr


def test_wordings_of_one_s_own(tmp_path):
    """The held-out rows under other prompts."""
    mini = Path(t0.mini.__file__).parent
    shutil.copytree(mini / "heldout/prompts", tmp_path / "own")
    file = tmp_path / "own/inference/templates.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("name: does it follow", "name: of my own"), encoding="utf-8")
    (task,) = (task for task in t0.mini.held_out_tasks(tmp_path / "own") if task.name == "inference")
    assert "of my own" in task.prompts and task.rows == t0.mini.held_out_tasks()[0].rows
    with pytest.raises(t0.DataError, match="no such folder"):
        t0.mini.held_out_tasks(tmp_path / "absent")


def test_training_tasks_are_what_was_asked_for():
    assert len(t0.mini.training_tasks()) == 12
    assert [len(task.prompts) for task in t0.mini.training_tasks(["values", "yes_no"], prompts=2)] == [2, 2, 1]
    assert [task.name for task in t0.mini.training_tasks(prompts=0)] == ["denoising"]
    one, two = (t0.mini.training_tasks(["values"], level=level)[0].rows[0]["text"].count(".") for level in (1, 2))
    assert one == 1 and two >= 2
    for wrong in ({"datasets": ["inference"]}, {"level": 3}):
        with pytest.raises(ValueError, match="inference|level 3: must be 1"):
            t0.mini.training_tasks(**wrong)


def test_carried_models_go_by_their_labels(tmp_path, monkeypatch):
    monkeypatch.setattr(model_module, "MINI", tmp_path)
    with pytest.raises(t0.ConfigError, match="no carried model 'all prompts'; there are none"):
        t0.Model.mini()
    for seed, folder in enumerate(("all-prompts", "one-prompt", "unprompted")):
        t0.mini.new_model(seed).save(tmp_path / folder)
    model = t0.Model.mini("one prompt", threads=1)
    assert model.name == "one prompt" and model.threads == 1
    text, choices = "Tom drinks tea. Who drinks tea?", ["Tom", "Anna"]
    assert (model.rank(text, choices).scores == t0.mini.new_model(1).rank(text, choices).scores).all()
    assert t0.Model.mini().name == "all prompts"
    with pytest.raises(t0.ConfigError, match="no carried model 'all prompt'; did you mean 'all prompts'?"):
        t0.Model.mini("all prompt")
    with pytest.raises(t0.ConfigError, match="'T0'; there are: all prompts, one prompt, unprompted"):
        t0.Model.mini("T0")
