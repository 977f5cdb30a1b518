"""The loss curve of a run, in text, as a picture and for TensorBoard."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import needed
from fakes import FakeModel, FakeTrainer, rows_of, yes_no

import t0native as t0


@pytest.fixture(autouse=True)
def fake_trainer(monkeypatch):
    monkeypatch.setattr("t0native.training.train.Trainer", FakeTrainer)


def run(**options):
    mixture = t0.Mixture([t0.Task("a", rows_of(40), {"p": yes_no("p")})])
    return t0.train(FakeModel(), mixture, **{"steps": 20, "batch_size": 4, "log_every": 2, "progress": False} | options)


def test_the_curve_in_text_falls_from_the_largest_loss_to_the_smallest(tmp_path):
    lines = [{"step": step, "loss": 1.0 + 2.0 * (10 - step)} for step in range(1, 11)]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"step": 11, "lo')
    rows = t0.loss_curve(tmp_path, text=True).splitlines()
    assert (
        rows[0] == "   19.000 |*" and rows[7] == "    1.000 |         *" and rows[8].strip() == "step 1 to 10, loss in nats a target token"
    )
    assert "".join(row[11:] for row in rows[:8]).count("*") == 10
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(t0.ConfigError, match="log.jsonl: no step is logged yet"):
        t0.loss_curve(tmp_path, text=True)


def test_the_curve_as_a_picture(tmp_path):
    needed("matplotlib", "pip install '.[plot]'")
    done = run(out=tmp_path / "run")
    t0.loss_curve(tmp_path / "run", tmp_path / "loss.png")
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    assert t0.loss_curve(done, ax=ax) is ax
    assert ax.lines[0].get_xdata().tolist() == [entry["step"] for entry in done.log] and ax.lines[0].get_ydata()[0] == done.log[0]["loss"]


def test_tensorboard_needs_its_package_and_a_folder(tmp_path, monkeypatch):
    with pytest.raises(t0.ConfigError, match="tensorboard: needs a folder"):
        run(tensorboard=True)
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"pip install tensorboardX"):
        run(tensorboard=True, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def events(folder):
    """[(tag, step, value)] of all event files: records of length (8 bytes), checksum (4), content, checksum (4)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    for file in sorted(folder.glob("events*")):
        data, at = file.read_bytes(), 0
        while at < len(data):
            size = int.from_bytes(data[at : at + 8], "little")
            event = Event.FromString(data[at + 12 : at + 12 + size])
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
            at += size + 16
    return found


def test_tensorboard_has_each_logged_step_once_after_a_resume(tmp_path):
    needed("tensorboardX", "pip install '.[tensorboard]'")
    run(out=tmp_path, tensorboard=True)
    done = run(out=tmp_path, tensorboard=True, steps=30)
    losses = [(step, value) for tag, step, value in events(tmp_path / "tensorboard") if tag == "train/loss"]
    assert [step for step, _ in losses] == [entry["step"] for entry in done.log] == list(range(2, 31, 2))
    assert [value for _, value in losses] == pytest.approx([entry["loss"] for entry in done.log], rel=1e-6)


def axes():
    needed("matplotlib", "pip install '.[plot]'")
    from matplotlib.figure import Figure

    return Figure().subplots()


@pytest.mark.parametrize("n", [1, 2, 5, 7, 30, 200])
def test_the_mean_neither_lags_nor_runs_ahead(n):
    """On a straight line the centred mean is the line; a running mean of the past lies above a falling one."""
    log = [{"step": 3 * i, "loss": 9.0 - i / 25} for i in range(1, n + 1)]
    ax = t0.loss_curve(SimpleNamespace(log=log), ax=axes())
    points, mean = ax.lines[:2]
    places = np.isin(points.get_xdata(), mean.get_xdata())
    np.testing.assert_allclose(mean.get_ydata(), np.asarray(points.get_ydata())[places], rtol=1e-12)
    assert len(mean.get_xdata()) == max(n - 6, 2 - n % 2 if n > 1 else 1, 1)


def test_the_mean_is_that_of_the_steps_around():
    losses = np.random.default_rng(0).normal(3, 1, 60)
    log = [{"step": i, "loss": float(loss)} for i, loss in enumerate(losses)]
    ax = t0.loss_curve(SimpleNamespace(log=log), ax=axes())
    mean = dict(zip(ax.lines[1].get_xdata(), ax.lines[1].get_ydata()))
    assert set(mean) == set(range(3, 57)) and "centred mean of 21 logged steps" in ax.get_legend().get_texts()[0].get_text()
    for i in (3, 9, 10, 30, 49, 56):
        reach = min(10, i, 59 - i)
        assert mean[i] == pytest.approx(losses[i - reach : i + reach + 1].mean())


def test_validations_are_named_for_what_they_are_and_the_best_is_marked(tmp_path):
    losses = [{"step": i, "loss": 3.0 - i / 100} for i in range(1, 41)]
    medians = [{"step": step, "validation": {"a": a, "b": 0.5}} for step, a in ((20, 0.5), (40, 0.7))]
    ax = t0.loss_curve(SimpleNamespace(log=losses + medians), ax=axes())
    (right,) = [other for other in ax.figure.axes if other is not ax]
    assert right.lines[0].get_ydata() == pytest.approx([50, 60]) and "median over prompts" in right.get_ylabel() and len(right.lines) == 1
    selecting = [entry | {"mean": mean} for entry, mean in zip(medians, (0.65, 0.55))]
    ax = t0.loss_curve(SimpleNamespace(log=losses + selecting), tmp_path / "loss.svg")
    (right,) = [other for other in ax.figure.axes if other is not ax]
    assert right.lines[0].get_ydata() == pytest.approx([65, 55]) and right.get_ylabel().endswith("(mean over tasks and prompts)")
    assert right.lines[1].get_xydata().tolist() == [[20, 65]] and "best: 65.0 at step 20" in ax.get_legend().get_texts()[-1].get_text()
    assert "lowest 2.600 at step 40. Validation, percent: 65.0 at step 20; 55.0" in (tmp_path / "loss.svg").read_text()
