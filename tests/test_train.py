"""The training loop around a model: order, text rules, log, resume, interruption. The model here is computed by hand."""

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, FakeTokenizer, FakeTrainer, rows_of, yes_no

import t0native as t0
from t0native import files
from t0native.batches import make_batch
from t0native.schedules import rate_at


@pytest.fixture(autouse=True)
def fake_trainer(monkeypatch):
    monkeypatch.setattr(sys.modules["t0native.train"], "Trainer", FakeTrainer)


def mixture(n=40):
    return t0.Mixture([t0.Task("a", rows_of(n), {"p": yes_no("p"), "q": yes_no("q", ("false", "true"))})])


def run(model=None, **options):
    return t0.train(model or FakeModel(), options.pop("mixture", mixture()), **{"steps": 20, "batch_size": 4, "progress": False} | options)


def test_a_run_learns_and_tells():
    model = FakeModel()
    done = run(model, steps=60, learning_rate=0.05)
    assert done.steps == 60 == len(done.losses) and done.stopped is None and done.path is None
    assert done.losses[0] == 1.0 and max(done.losses[-5:]) < 0.2
    assert [entry["step"] for entry in done.log] == [10, 20, 30, 40, 50, 60]
    assert set(done.log[0]) == {"step", "loss", "grad_norm", "tokens", "seconds", "lr"}
    assert done.tokens == done.log[-1]["tokens"] > 60 * 4 * 10


def test_text_rules_are_t0s():
    """No EOS on inputs; EOS on targets before trimming; both trimmed."""
    batch = make_batch(mixture(), FakeTokenizer(), 3, seed=1, batch_size=8, max_source=6, max_target=4)
    drawn = mixture().examples(1, 24, 8)
    for i, d in enumerate(drawn):
        source = batch.sources.ids[batch.sources.offsets[i] : batch.sources.offsets[i + 1]]
        target = batch.targets.ids[batch.targets.offsets[i] : batch.targets.offsets[i + 1]]
        assert source.tolist() == [3 + byte for byte in d.input.encode()][:6]
        assert target.tolist() == ([3 + byte for byte in d.target.encode()] + [1])[:4]
    assert {d.target for d in drawn} >= {"no", "true"}  # with and without room for EOS
    assert batch.components == [d.component.name for d in drawn]


def test_rows_without_tokens_are_drawn_anew():
    empty = FakePrompt("e", lambda row: (row["text"] if row["label"] else "", "x", None))
    some = t0.Mixture([t0.Task("t", rows_of(10), {"e": empty})])
    batch = make_batch(some, FakeTokenizer(), 0, seed=0, batch_size=32, max_source=9, max_target=9)
    assert (np.diff(batch.sources.offsets) == 5).all()


def test_same_seed_same_run_and_another_seed_another():
    a, b, c = run(seed=1), run(seed=1), run(seed=2)
    assert a.losses == b.losses != c.losses


@pytest.mark.parametrize("stop_at", [1, 7, 19])
def test_a_resumed_run_is_the_uninterrupted_one(tmp_path, stop_at):
    whole, part = FakeModel(), FakeModel()
    uninterrupted = run(whole, out=tmp_path / "whole", log_every=2, checkpoint_every=3)
    with pytest.raises(OSError, match="pulled"):
        run(part, out=tmp_path / "part", log_every=2, checkpoint_every=1, mixture_at=None, schedule=_pull(stop_at))
    # the same plan apart from the function that failed
    _plan_as_constant(tmp_path / "part/checkpoint.npz")
    fresh = FakeModel()
    resumed = run(fresh, out=tmp_path / "part", log_every=2, checkpoint_every=1)
    assert resumed.losses == uninterrupted.losses
    assert fresh.w.tobytes() == whole.w.tobytes()
    assert without_time(tmp_path / "part/log.jsonl") == without_time(tmp_path / "whole/log.jsonl")
    assert resumed.tokens == uninterrupted.tokens


def _pull(stop_at):
    def schedule(step, steps):
        if step == stop_at:
            raise OSError("pulled")
        return 1.0

    return schedule


def _plan_as_constant(path):
    with np.load(path) as file:
        arrays = dict(file)
    about = json.loads(arrays["about"].tobytes())
    about["plan"]["schedule"] = "constant"
    del about["plan"]["steps"]
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(path, **arrays)


def without_time(path):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_longer_run_goes_on(tmp_path):
    model, other = FakeModel(), FakeModel()
    run(model, out=tmp_path, steps=12)
    longer = run(model, out=tmp_path, steps=20)
    assert longer.losses == run(other).losses and model.w.tobytes() == other.w.tobytes()
    assert model.saved == [tmp_path, tmp_path]
    again = run(FakeModel(), out=tmp_path, steps=20)  # finished: nothing is left to do
    assert again.losses == longer.losses and [entry["step"] for entry in again.log] == [10, 12, 20]


def test_a_changed_plan_is_refused_with_what_changed(tmp_path):
    run(out=tmp_path)
    with pytest.raises(t0.ConfigError) as error:
        run(out=tmp_path, batch_size=8, seed=3)
    assert str(error.value) == (
        f"{tmp_path}: holds a run with another plan: batch_size was 4, is 8; seed was 0, is 3. Go on with the old plan, name "
        "another folder, or use resume='never' to begin anew"
    )
    with pytest.raises(t0.ConfigError, match="another plan: mixture was '[0-9a-f]{64}', is"):
        run(out=tmp_path, mixture=mixture(41))
    assert run(out=tmp_path, batch_size=8, resume="never").steps == 20
    with pytest.raises(t0.ConfigError, match="there is no checkpoint.npz to go on from"):
        run(out=tmp_path / "none", resume="must")


def test_a_broken_checkpoint_is_told(tmp_path):
    run(out=tmp_path)
    path = tmp_path / "checkpoint.npz"
    content = bytearray(path.read_bytes())
    content[200] ^= 1  # inside the first member's data
    path.write_bytes(content)
    with pytest.raises(t0.FormatError, match="checkpoint.npz: broken .*; remove it or use resume='never'"):
        run(out=tmp_path)
    path.write_bytes(content[:100])
    with pytest.raises(t0.FormatError, match="checkpoint.npz: broken"):
        run(out=tmp_path)


def test_validation_may_end_a_run(tmp_path):
    held = t0.Task("held", rows_of(6), {"p": yes_no()})
    asked = []

    def stop(report, log):
        asked.append(report.summary[0]["task"])
        return "passed" if len(asked) == 3 else None

    done = run(out=tmp_path, validate=held, validate_every=4, stop=stop, log_every=5)
    assert (done.steps, done.stopped, asked) == (12, "passed", ["held"] * 3)
    lines = without_time(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines if "validation" in line] == [4, 8, 12]
    assert lines[1] if "validation" in lines[1] else lines[0] == {"step": 4, "validation": {"held": 0.5}}
    assert run(out=tmp_path, validate=held, validate_every=4, stop=stop).steps == 12  # stays stopped


def test_a_number_that_is_not_finite_names_step_and_components(tmp_path):
    model = FakeModel(fail_at=8)
    with pytest.raises(t0.NumericError) as error:
        run(model, out=tmp_path)
    names = sorted({d.component.name for d in mixture().examples(0, 28, 4)})
    text = str(error.value)
    assert text.startswith("step 8: tensor w: gradient is not finite; the batch: ") and all(name in text for name in names)
    assert text.endswith(f"; the state after step 7 is kept in {tmp_path}")
    assert run(FakeModel(), out=tmp_path).losses == run().losses


@pytest.mark.parametrize("written_before", [0, 1])  # the log's new beginning, then the checkpoint
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, written_before):
    run(out=tmp_path, steps=10)
    before = (tmp_path / "checkpoint.npz").read_bytes()
    real, written = os.fsync, []

    def full(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".tmp"):
            if len(written) >= written_before:
                raise OSError(errno.ENOSPC, "No space left on device")
            written.append(descriptor)
        return real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files.os, "fsync", full)
        with pytest.raises(OSError) as error:
            run(FakeModel(), out=tmp_path, steps=20)
    assert error.value.errno == errno.ENOSPC and "cannot write: no space left on the disk (" in str(error.value)
    assert "what was there before is unchanged" in str(error.value)
    assert (tmp_path / "checkpoint.npz").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.npz", "log.jsonl"]
    assert run(FakeModel(), out=tmp_path, steps=20).losses == run().losses
    assert [line["step"] for line in without_time(tmp_path / "log.jsonl")] == [10, 20]


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from test_train import *
sys.modules["t0native.train"].Trainer = FakeTrainer
model = FakeModel(delay=0.02)
print("ready", flush=True)
run(model, steps=10_000, out={out!r})
"""


@pytest.mark.parametrize("after", [0.15, 0.4])
def test_ctrl_c_saves_the_run(tmp_path, after):
    import time

    code = SCRIPT.format(tests=str(Path(__file__).parent), out=str(tmp_path))
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, **pipes)
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)
    assert "KeyboardInterrupt" in stderr and process.returncode != 0
    with np.load(tmp_path / "checkpoint.npz") as file:
        about, losses = json.loads(file["about"].tobytes()), file["losses"]
    assert about["step"] == len(losses)
    model = FakeModel()
    done = run(model, out=tmp_path, steps=about["step"] + 5)
    fresh = FakeModel()
    assert done.losses == run(fresh, steps=about["step"] + 5).losses and model.w.tobytes() == fresh.w.tobytes()


def test_curricula_choose_the_mixture_by_step():
    easy, hard = mixture(4), t0.Mixture([t0.Task("hard", rows_of(4), {"h": yes_no("h", ("zag", "zig"))})])
    early, late = FakeModel(), FakeModel()
    run(early, mixture_at=lambda step: easy if step < 10 else hard, steps=10)
    run(late, mixture_at=lambda step: easy if step < 10 else hard, steps=11)
    assert early.w[3 + ord("z")] == 0 != late.w[3 + ord("z")]
    assert early.w[3 + ord("n")] != 0


@pytest.mark.parametrize(
    "options, message",
    [
        ({"steps": 0}, "steps 0: must be a whole number, at least 1"),
        ({"batch_size": 2.5}, "batch_size 2.5: must be a whole number, at least 1"),
        ({"learning_rate": -1}, "learning_rate -1: must be a positive number"),
        ({"clip": float("nan")}, "clip nan: must be a number, at least 0"),
        ({"dropout": 1.0}, "dropout 1.0: must be at least 0 and below 1, or None"),
        ({"optimizer": "adamv"}, "optimizer 'adamv': did you mean 'adamw'?"),
        ({"schedule": "cosin"}, "schedule 'cosin': did you mean 'cosine'? (or a callable (step, steps) -> factor)"),
        ({"resume": "yes"}, "resume 'yes': must be 'auto', 'must' or 'never'"),
        ({"checkpoint_every": 0}, "checkpoint_every 0: must be a whole number, at least 1, or None"),
    ],
)
def test_arguments_out_of_range(options, message):
    with pytest.raises(t0.ConfigError) as error:
        run(**options)
    assert str(error.value) == message


def test_models_that_cannot_be_trained():
    model = FakeModel()
    model.dtype = "int8"
    with pytest.raises(t0.ConfigError, match="a int8 model cannot be trained; load it with dtype='float32'"):
        run(model)
    model = FakeModel()
    model.tokenizer = None
    with pytest.raises(t0.ConfigError, match="the model has no tokenizer"):
        run(model)


def test_an_error_in_a_row_reaches_the_caller():
    broken = FakePrompt("b", lambda row: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(mixture=t0.Mixture([t0.Task("t", rows_of(4), {"b": broken})]))


def test_schedules():
    def at(name, warmup, steps=10):
        return [rate_at(step, steps, 2.0, name, warmup) for step in range(steps)]

    assert at("constant", 0) == [2.0] * 10 and at("constant", 4)[:5] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert at("linear", 0)[5] == 1.0 and at("linear", 2)[6] == 1.0
    assert at("cosine", 0)[5] == pytest.approx(1.0) and at("cosine", 0)[0] == 2.0
    assert at("rsqrt", 4)[3] == 2.0 and at("rsqrt", 4, 16)[15] == 1.0  # sqrt(4 / 16)
    assert at(lambda step, steps: step / steps, 0)[5] == 1.0


def test_progress_is_quiet_where_told(capsys, monkeypatch):
    monkeypatch.setenv("T0NATIVE_PROGRESS", "0")
    run(progress=True)
    assert capsys.readouterr().err == ""
