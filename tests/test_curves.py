"""The loss curve of a run, in text, as a picture and for TensorBoard."""

import json
import sys

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
    with pytest.raises(ImportError, match=r"pip install 't0native\[tensorboard\]'"):
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
