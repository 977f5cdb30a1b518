"""The demo's story: its verdict on made-up reports, and the whole of it with a training too short to show anything."""

import json
import re

import numpy as np
import pytest

import t0native as t0
from t0native.base.errors import ConfigError
from t0native.experiments import demo, study
from t0native.experiments.baselines import BASELINES
from t0native.mini import curriculum
from t0native.mini import tasks as mini_tasks
from t0native.mini.world import stream
from t0native.reports.report import CELL_KEYS, Report


def made_up(label: str, levels: dict[str, float], prompts: int = 12, rows: int = 300) -> Report:
    """A report whose cells lie around the levels."""
    rng = np.random.default_rng(len(label))
    cells, correct = [], []
    for task, level in levels.items():
        for number in range(prompts):
            cell = dict.fromkeys(CELL_KEYS) | {"model": label, "task": task, "prompt": str(number), "metric": "accuracy", "status": "ok"}
            cells.append(cell)
            correct.append((rng.random(rows) < level).astype(float))
    return Report.of_cells(cells, correct, [0.5] * len(cells), seed=0, about={"models": [label]})


LEVELS = {"inference": 0.9, "pronouns": 0.9, "blanks": 0.95, "completion": 0.5, "sense": 0.5}
CHANCE = dict.fromkeys(LEVELS, 0.5)


def test_the_verdict_counts_tasks_whose_intervals_stand_apart():
    report = Report.merge([made_up(demo.UNTRAINED, CHANCE), made_up(demo.BARE, CHANCE), made_up(demo.ALL, LEVELS)])
    verdict = demo.judge(report)
    assert verdict.shown and verdict.counting == ["inference", "pronouns", "blanks"]
    assert set(verdict.failing) == {"completion", "sense"} and "chance (50.0)" in verdict.failing["sense"]


@pytest.mark.parametrize("rival", [demo.UNTRAINED, demo.BARE])
def test_a_rival_that_can_do_it_too_spoils_the_claim(rival):
    others = {demo.UNTRAINED: CHANCE, demo.BARE: CHANCE} | {rival: LEVELS}
    report = Report.merge([*(made_up(label, levels) for label, levels in others.items()), made_up(demo.ALL, LEVELS)])
    verdict = demo.judge(report)
    assert not verdict.shown and f"the {rival} model" in verdict.failing["blanks"]


def test_the_rate_waits_for_the_trained_tasks():
    rate = curriculum.Rate(1000)
    passing = made_up("m", {"yes_no": 1.0})
    failing = made_up("m", {"yes_no": 0.6})
    assert rate(0, 2000) == rate(700, 2000) == 1.0
    assert rate.check(failing, [{"step": 700}]) is None and rate.passed is None and rate.expected == 1000
    assert rate.check(passing, [{"step": 800}]) is None and (rate.passed, rate.end, rate.expected) == (800, 1200, 1200)
    assert rate(800, 2000) == 1.0 and rate(1000, 2000) == pytest.approx(0.515) and rate(1200, 2000) == pytest.approx(0.03)
    assert rate.check(passing, [{"step": 1199}]) is None
    assert "passed by step 800" in rate.check(passing, [{"step": 1200}])
    early = curriculum.Rate(1000)
    early.check(passing, [{"step": 100}])
    assert early.end == 1000
    never = curriculum.Rate(1000)
    assert never.longest == 2000 and never.check(failing, [{"step": 2000}]) == "the most steps"
    assert curriculum.Rate(1000, prompts=0).longest == 1000


def test_the_curriculum_mixes_training_datasets_only():
    stages = curriculum.Curriculum(steps=100)
    names = {component.task_name for stage in stages.stages for component in stage.components}
    assert names == {*mini_tasks.DATASETS, "denoising"} and not names & set(mini_tasks.HELDOUT) and not names & set(mini_tasks.DEVELOPMENT)
    assert [stages(step).name for step in (0, 17, 18, 34, 35, 99, 500)] == ["level 1"] * 2 + ["both levels"] * 2 + ["level 2"] * 3
    for stage in stages.stages:
        total = sum(component.share for component in stage.components if component.task_name == "denoising")
        assert total == pytest.approx(0.1)
    with pytest.raises(ValueError, match="inference"):
        mini_tasks.training_tasks(2, datasets=("values", "inference"))
    bare = curriculum.Curriculum(prompts=0).stages[-1]
    assert {component.task_name for component in bare.components} == {"denoising"}


def test_our_templates_give_jinja2s_text():
    """Every prompt of the miniature, trained and held out, over rows."""
    jinja2 = pytest.importorskip("jinja2")
    env = jinja2.Environment()
    tasks = [*mini_tasks.training_tasks(2), *mini_tasks.heldout_tasks(), *mini_tasks.development_tasks()]
    for task in tasks:
        for name, prompt in task.prompts.items():
            template = env.from_string(prompt.jinja)
            choices_template = env.from_string(prompt.answer_choices) if prompt.answer_choices else None
            for index in range(20):
                row = task.rows[index]
                choices = [c.strip() for c in choices_template.render(**row).split("|||")] if choices_template else None
                text, target = (part.strip() for part in template.render(answer_choices=choices, **row).split("|||"))
                assert tuple(prompt.render(row)) == (text, target, choices), (task.name, name)
                assert choices is None or target in choices


@pytest.fixture
def short(monkeypatch):
    """Trainings of a few steps."""
    monkeypatch.setattr(curriculum, "QUICK_STEPS", 6)
    monkeypatch.setattr(curriculum, "STEPS", 6)
    monkeypatch.setattr(curriculum, "VALIDATION_ROWS", 4)
    monkeypatch.setattr(demo, "QUICK_ROWS", 10)
    monkeypatch.setenv("T0NATIVE_PROGRESS", "0")


def test_a_training_too_short_is_told_and_exits_with_1(short, tmp_path, capsys):
    assert demo.run(out=tmp_path, quick=True) == 1
    told = capsys.readouterr().out
    assert "NOT SHOWN" in told and "were not solved" in told and "Three questions" in told
    saved = json.loads((tmp_path / "report.json").read_bytes())
    assert {entry["model"] for entry in saved["summary"]} == {demo.UNTRAINED, demo.ALL}
    assert saved["about"]["shown"] is False and saved["about"]["demo"]["seed"] == demo.SEED
    assert t0.Model.from_pretrained(tmp_path / "model").rank("Yes or no?", ["Yes", "No"]).choice in ("Yes", "No")


def test_other_peoples_wordings_and_json(short, tmp_path, capsys):
    place = tmp_path / "mine" / "blanks"
    place.mkdir(parents=True)
    text = (mini_tasks.FOLDER / "heldout" / "prompts" / "blanks" / "templates.yaml").read_text()
    (place / "templates.yaml").write_text(text)
    assert demo.run(quick=True, wordings=tmp_path / "mine", json=True) == 1
    printed = capsys.readouterr()
    assert {cell["task"] for cell in json.loads(printed.out)["cells"]} == {"blanks"} and "NOT SHOWN" in printed.err
    (tmp_path / "none" / "other").mkdir(parents=True)
    (tmp_path / "none" / "other" / "templates.yaml").write_text(text)
    with pytest.raises(ConfigError, match="no prompts for any of inference"):
        demo.run(quick=True, wordings=tmp_path / "none")
    with pytest.raises(ConfigError, match="choose one"):
        demo.run(quick=True, full=True)


def test_wordings_without_choices_and_a_place_that_cannot_be_written(short, tmp_path, capsys):
    place = tmp_path / "mine" / "blanks"
    place.mkdir(parents=True)
    text = (mini_tasks.FOLDER / "heldout" / "prompts" / "blanks" / "templates.yaml").read_text()
    text = re.sub(r"answer_choices: .*", "answer_choices: null", text)
    (place / "templates.yaml").write_text(re.sub(r"answer_choices\s*\[.*?\]|answer_choices\[answer\s+- 1\]", "option1", text, flags=re.S))
    assert demo.run(quick=True, wordings=tmp_path / "mine", out=tmp_path / "out") == 1
    assert "not on blanks: none of its prompts has answer choices" in capsys.readouterr().out
    assert (tmp_path / "out/model/model.safetensors").is_file() and (tmp_path / "out/report.json").is_file()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        demo.run(quick=True, out=tmp_path / "file")
    assert "Trained on" not in capsys.readouterr().out


def test_a_study_writes_every_model_and_goes_on_where_it_stopped(short, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "DATASETS", {"5 datasets": 5})
    monkeypatch.setattr(study, "PROMPTS", {demo.BARE: 0, demo.ONE: 1, demo.ALL: None})
    heldout = mini_tasks.heldout_tasks
    monkeypatch.setattr(mini_tasks, "heldout_tasks", lambda wordings=None: [smaller(task) for task in heldout(wordings)])
    told = []
    assert study.run_study(tmp_path, 0, None, told.append, seeds=1) == 1
    assert "NOT shown" in (tmp_path / "results.md").read_text()
    assert sorted(path.name for path in (tmp_path / "seed-0").iterdir()) == [
        "5-datasets",
        "all-prompts",
        "one-prompt",
        "unprompted",
        "untrained",
    ]
    first = [line for line in told if line.startswith("seed 0")]
    assert len(first) == 5
    assert study.run_study(tmp_path, 0, None, told.append, seeds=1) == 1
    assert [line for line in told if line.startswith("seed 0")] == first
    assert any("- not on blanks: the interval begins at" in text for text in told)
    assert study.run_study(tmp_path, 0, None, told.append, seeds=1, json=True) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["shown"] is False and set(printed["reports"]["0"]) == {demo.UNTRAINED, *study.PROMPTS, *study.DATASETS}
    monkeypatch.setattr(curriculum, "LEARNING_RATE", 0.5)
    with pytest.raises(ConfigError, match="its report is of another recipe"):
        study.run_study(tmp_path, 0, None, told.append, seeds=1)


def smaller(task):
    task.rows = task.rows[:6]
    return task


def test_carried_baselines_say_how_they_were_made():
    for label in (demo.BARE, demo.ONE):
        folder = BASELINES / label.replace(" ", "-")
        about = json.loads((folder / "about.json").read_text())
        assert about["label"] == label and about["steps"] > 0 and "study baselines" in about["command"] and about["seed"] is not None
        assert (folder / "model.safetensors").stat().st_size <= 1_500_000
        assert demo.load_baseline(label).rank("Is this so? Yes or no?", ["Yes", "No"]).choice in ("Yes", "No")
        if label == demo.ONE:
            assert all(about["solved"][name] >= 0.97 for name in (*curriculum.EXTRACTIVE, *curriculum.YES_NO))


def test_draws_differ_by_seed():
    assert stream(0, "a", 0).random() != stream(1, "a", 0).random() != stream(0, "b", 0).random()
