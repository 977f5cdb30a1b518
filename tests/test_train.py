"""The training loop around a model: order, text rules, log, resume, interruption. The model here is computed by hand."""

import dataclasses
import errno
import hashlib
import inspect
import json
import os
import re
import signal
import subprocess
import sys
import typing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fakes import FakeModel, FakePrompt, FakeTokenizer, FakeTrainer, Terminal, change_manifest, last_step, rows_of, yes_no

import t0native as t0
from t0native.base import files
from t0native.base.digests import digest_of_value
from t0native.base.interrupts import Interrupts, ended_by_signals
from t0native.checkpoints.safetensorfiles import header_of
from t0native.tasks.epochs import Epochs
from t0native.training.batches import make_batch
from t0native.training.plan import complete_plan, plan_of
from t0native.training.schedules import rate_at
from t0native.training.settings import KINDS, SETTINGS, Settings
from t0native.training.stepfolders import check_files, read_manifest, step_folder, steps_in
from t0native.training.train import _tell_start


@pytest.fixture(autouse=True)
def fake_trainer(monkeypatch):
    monkeypatch.setattr("t0native.training.train.Trainer", FakeTrainer)


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


def test_the_end_token_has_a_switch_for_each_side(tmp_path):
    how = {"seed": 1, "batch_size": 8, "max_source": 40, "max_target": 3}
    usual = make_batch(mixture(), FakeTokenizer(), 3, **how)
    other = make_batch(mixture(), FakeTokenizer(), 3, **how, add_eos_to_inputs=True, add_eos_to_targets=False)
    for i, d in enumerate(mixture().examples(1, 24, 8)):
        source, target = ([3 + byte for byte in text.encode()] for text in (d.input, d.target))
        for batch, wanted in ((usual, (source, [*target, 1])), (other, ([*source, 1], target))):
            for part, ids, most in zip((batch.sources, batch.targets), wanted, (40, 3)):
                assert part.ids[part.offsets[i] : part.offsets[i + 1]].tolist() == ids[:most]
    run(out=tmp_path)
    assert run(out=tmp_path, add_eos_to_targets=True).steps == 20
    with pytest.raises(t0.ConfigError, match="another plan: add_eos_to_inputs was False, is True; add_eos_to_targets was True, is False"):
        run(out=tmp_path, add_eos_to_inputs=True, add_eos_to_targets=False)


def test_targets_without_tokens_are_drawn_anew():
    empty = FakePrompt("e", lambda row: (row["text"], "x" if row["label"] else "", None))
    some = t0.Mixture([t0.Task("t", rows_of(10), {"e": empty})])
    batch = make_batch(some, FakeTokenizer(), 0, seed=0, batch_size=32, max_source=9, max_target=9, add_eos_to_targets=False)
    assert (np.diff(batch.targets.offsets) == 1).all()


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
    _plan_as_constant(tmp_path / "part")
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


def _plan_as_constant(folder):
    def change(manifest):
        manifest["plan"]["schedule"] = "constant"
        del manifest["plan"]["steps"]

    change_manifest(folder, change)


def without_time(path):
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize(
    "batch", [{"batch_size": 4}, {"batch_size": None, "batch_tokens": 90}, {"batch_size": None, "batch_tokens": 30, "accumulate": 3}]
)
def test_a_run_with_dropped_rows_goes_on_from_any_step_and_counts_them(tmp_path, batch):
    odd = FakePrompt("odd", lambda row: yes_no().render(row) if row["label"] else None)
    some = t0.Mixture([t0.Task("a", rows_of(40), {"p": yes_no("p" * 9), "odd": odd})])
    whole = run(mixture=some, log_every=6, **batch)
    assert 20 < whole.examples < 200 and sum(whole.losses) > 0
    counted = {}
    for k in range(whole.examples):
        drawn = some.example(0, k)
        counted[drawn.component.name] = counted.get(drawn.component.name, 0) + drawn.attempt
    assert counted["a/p"] == 0 < counted["a/odd"] == whole.dropped["a/odd"] and set(whole.dropped) == {"a/odd"}
    assert counted["a/odd"] == sum(entry.get("dropped", {}).get("a/odd", 0) for entry in whole.log) and all(
        whole.log[0]["dropped"].values()
    )
    for steps in (1, 5, 8, 9, 20):
        part = run(FakeModel(), mixture=some, log_every=6, steps=steps, out=tmp_path, **batch)
    assert (part.losses, part.examples, part.dropped, part.tokens) == (whole.losses, whole.examples, whole.dropped, whole.tokens)
    tokens = whole.tokens / whole.steps
    assert batch["batch_size"] or 60 < tokens <= 90


def _two_tasks(**options):
    tasks = [t0.Task("a", rows_of(10), {"p": yes_no("p"), "q": yes_no("q")}), t0.Task("b", rows_of(7), {"r": yes_no("r")})]
    return t0.Mixture(tasks, **options)


def test_epochs_have_every_row_so_often_in_an_order_by_the_seed_under_drawn_prompts():
    drawn = Epochs(_two_tasks(), 3).examples(5, 0, 1000)
    assert len(drawn) == 51
    orders = [[(d.component.task_name, d.row) for d in drawn[first : first + 17]] for first in (0, 17, 34)]
    wanted = {("a", i) for i in range(10)} | {("b", i) for i in range(7)}
    assert all(set(order) == wanted for order in orders) and orders[0] != orders[1] != orders[2]
    assert [(d.component.task_name, d.row) for d in Epochs(_two_tasks(), 1).examples(6, 0, 17)] != orders[0]
    prompts = {row: {d.component.prompt for d in drawn if (d.component.task_name, d.row) == ("a", row)} for row in range(10)}
    assert {"p", "q"} in prompts.values() and set.union(*prompts.values()) == {"p", "q"}
    one_by_one = [Epochs(_two_tasks(), 3).example(5, k) for k in (50, 16, 17, 0)]
    assert one_by_one == [drawn[k] for k in (50, 16, 17, 0)]


def test_prompts_of_epochs_keep_their_rates():
    task = t0.Task("a", rows_of(3000), {"p": yes_no("p"), "q": yes_no("q")})
    drawn = Epochs(t0.Mixture(task, rates={("a", "p"): 9, ("a", "q"): 1}), 1).examples(0, 0, 3000)
    assert 0.87 < sum(d.component.prompt == "p" for d in drawn) / 3000 < 0.93


def test_a_run_of_epochs_ends_with_a_smaller_batch_and_goes_on_bit_for_bit(tmp_path):
    whole, model = FakeModel(), FakeModel()
    options = {"mixture": _two_tasks(), "steps": None, "epochs": 3, "batch_size": 4, "accumulate": 2, "log_every": 1}
    done = run(whole, **options)
    assert (done.steps, done.examples) == (7, 51)
    with pytest.raises(OSError, match="pulled"):
        run(model, **options, out=tmp_path, checkpoint_every=1, schedule=_pull(4))
    change_manifest(tmp_path, lambda manifest: manifest["plan"].update(schedule="constant"))
    model = FakeModel()
    again = run(model, **options, out=tmp_path, workers=3)
    assert again.losses == done.losses and model.w.tobytes() == whole.w.tobytes() and again.examples == 51
    with pytest.raises(t0.ConfigError, match="another plan: epochs was 3, is 4"):
        run(**options | {"epochs": 4}, out=tmp_path)
    with pytest.raises(t0.ConfigError, match="another plan: epochs was 3, is None"):
        run(**options | {"epochs": None, "steps": 9}, out=tmp_path)


def test_a_row_that_one_prompt_drops_gets_another_and_one_that_none_serves_is_replaced():
    odd = FakePrompt("odd", lambda row: yes_no().render(row) if row["label"] else None)
    task = t0.Task("a", rows_of(20), {"p": yes_no("p"), "odd": odd})
    done = run(mixture=task, steps=None, epochs=4)
    drawn = Epochs(t0.Mixture(task), 4).examples(0, 0, 80)
    assert sorted(d.row for d in drawn) == sorted(list(range(20)) * 4)
    assert done.dropped == {"a/odd": sum(d.attempt for d in drawn)} and 10 < done.dropped["a/odd"] < 35
    alone = Epochs(t0.Mixture(t0.Task("a", rows_of(20), {"odd": odd})), 4).examples(0, 0, 80)
    assert len(alone) == 80 and {d.row for d in alone} == set(range(0, 20, 2))
    assert all(sum(d.row == row for d in alone) >= 4 for row in range(0, 20, 2))


def test_a_mixture_with_rates_says_steps_and_what_epochs_would_be():
    with pytest.raises(t0.ConfigError) as error:
        run(mixture=_two_tasks(rates={"b": 14}), steps=None, epochs=2)
    assert str(error.value) == (
        "epochs 2: the mixture has rates, by which rows of one component come more often than those of another; give steps. 34 examples, "
        "2 x 17 rows, would be epochs of a/p 1, a/q 1, b/r 2"
    )


def test_a_batch_is_64_examples_unless_told():
    assert run(batch_size=None, steps=2).examples == 128


def test_a_longer_run_goes_on(tmp_path):
    model, other = FakeModel(), FakeModel()
    run(model, out=tmp_path, steps=12)
    longer = run(model, out=tmp_path, steps=20)
    assert longer.losses == run(other).losses and model.w.tobytes() == other.w.tobytes()
    assert model.saved == [tmp_path, tmp_path]
    again = run(FakeModel(), out=tmp_path, steps=20)  # finished: nothing is left to do
    assert again.losses == longer.losses and [entry["step"] for entry in again.log] == [10, 12, 20]


def test_a_plan_of_before_a_keyword_was_planned_goes_on_with_its_usual_value(tmp_path):
    model, other = FakeModel(), FakeModel()
    run(model, out=tmp_path, steps=12)
    since = [name for name, setting in SETTINGS.items() if setting.plan > 1]
    dropped = {}
    change_manifest(tmp_path, lambda manifest: dropped.update((name, manifest["plan"].pop(name, None)) for name in since))
    assert dropped == complete_plan({}) | {"unanswered": "drop"} and len(dropped) == 11
    with pytest.raises(t0.ConfigError, match="another plan: accumulate was 1, is 2"):
        run(model, out=tmp_path, steps=20, accumulate=2)
    assert run(model, out=tmp_path, steps=20).losses == run(other).losses


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
    other = FakeModel()
    other.tokenizer.fingerprint = "other"
    with pytest.raises(t0.ConfigError, match="another plan: tokenizer was 'bytes', is 'other'. Go on"):
        run(other, out=tmp_path)
    assert run(out=tmp_path, batch_size=8, resume="never").steps == 20
    with pytest.raises(t0.ConfigError, match="there is no checkpoint to go on from"):
        run(out=tmp_path / "none", resume="must")


def test_one_process_at_a_time_trains_in_a_folder(tmp_path):
    fcntl = pytest.importorskip("fcntl")
    folder = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    with pytest.raises(t0.ConfigError, match="another process is training there; wait for it, stop it, or name another folder"):
        run(out=tmp_path)
    os.close(folder)
    for left in (tmp_path, tmp_path / "best", tmp_path / "checkpoints/.step-000003.4711.tmp"):
        left.mkdir(parents=True, exist_ok=True)
        (left / ".model.safetensors.4711.tmp").write_bytes(b"what kill -9 left")
    (tmp_path / ".mine.tmp").write_bytes(b"")
    run(out=tmp_path)
    assert [path.name for path in tmp_path.rglob(".*")] == [".mine.tmp"]


def test_fewer_steps_than_there_are_are_told(tmp_path, caplog):
    run(out=tmp_path)
    assert not caplog.records and run(out=tmp_path, steps=5).steps == 20
    assert caplog.records[0].getMessage() == f"{tmp_path}: the run has 20 steps already, more than the 5 asked for: nothing is done"


def test_a_text_that_is_none_is_dropped_and_told_with_task_and_row(caplog):
    rows = [{"text": "a", "label": 1}, {"text": "b\udce9", "label": 1}]
    done = run(mixture=t0.Mixture([t0.Task("a", rows, yes_no("p"))]))
    assert done.dropped["a/p"] > 0
    assert [record.getMessage() for record in caplog.records] == [
        "task 'a', prompt 'p', row 1: half a character is no text: input: lone surrogate U+dce9 at index 4; repair the row's text; another "
        "row is drawn for each such, and Run.dropped counts them"
    ]
    with pytest.raises(
        t0.DataError, match="100 rows drawn .* gave no example \\(the last, row 0: half a character is no text: input: lone"
    ):
        run(mixture=t0.Mixture([t0.Task("a", rows[1:], yes_no("p"))]))


def test_a_name_is_no_model():
    with pytest.raises(t0.ConfigError, match="model 'm': must be a Model, as t0native.Model.from_pretrained"):
        run("m", steps=np.int64(2))


def test_another_model_is_not_overwritten_by_a_run(tmp_path):
    run(out=tmp_path, steps=5)
    other = FakeModel()
    other.w[7] = 0.5
    for _ in range(2):
        with pytest.raises(t0.ConfigError, match="holds a run that began with other weights than this model has, and they would be lost"):
            run(other, out=tmp_path)
        assert other.w[7] == 0.5
        run(out=tmp_path, steps=10)
    trained = FakeModel()
    run(trained, out=tmp_path, steps=10)
    run(trained, out=tmp_path)  # what the run itself has made may go on too, and it stays the same run
    assert run(out=tmp_path).steps == 20
    assert run(other, out=tmp_path, resume="never").steps == 20


def _flip(path, at=-1):
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGES = {  # what happened to the last checkpoint -> what is said of it
    "model.safetensors: not as it was written: its SHA-256 differs": lambda folder: _flip(folder / "model.safetensors"),
    "trainer.safetensors: not as it was written: its SHA-256 differs": lambda folder: _flip(folder / "trainer.safetensors"),
    "model.safetensors: 100 bytes, expected": lambda folder: os.truncate(folder / "model.safetensors", 100),
    "manifest.json: it is not as it was written: its own SHA-256 differs": lambda folder: (folder / "manifest.json").write_bytes(
        (folder / "manifest.json").read_bytes().replace(b'"tokens": ', b'"tokens": 1')
    ),
    "manifest.json: its JSON is broken: ": lambda folder: os.truncate(folder / "manifest.json", 50),
    "trainer.safetensors: No such file or directory": lambda folder: (folder / "trainer.safetensors").unlink(),
    "manifest.json: No such file or directory": lambda folder: (folder / "manifest.json").unlink(),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_taken(tmp_path, caplog, message):
    expected = run(out=tmp_path, checkpoint_every=4, keep=3)
    assert steps_in(tmp_path) == [12, 16, 20]
    DAMAGES[message](step_folder(tmp_path, 20))
    model, fresh = FakeModel(), FakeModel()
    done = run(model, out=tmp_path, steps=18)
    told = [record.getMessage() for record in caplog.records]
    assert (
        len(told) == 1
        and re.search(message, told[0])
        and told[0].endswith("the checkpoint of step 20 is left out and that of step 16 taken")
    )
    assert done.losses == expected.losses[:18] and run(fresh, steps=18).losses == done.losses and model.w.tobytes() == fresh.w.tobytes()
    assert steps_in(tmp_path) == [16, 18]  # the damaged one has gone, since there is a whole one later than it was
    for step in (16, 18):
        DAMAGES[message](step_folder(tmp_path, step))
    log = (tmp_path / "log.jsonl").read_bytes()
    with pytest.raises(t0.FormatError, match=f"{message}.*; no checkpoint of the run is whole: use resume='never' to begin anew"):
        run(out=tmp_path)
    assert (tmp_path / "log.jsonl").read_bytes() == log and steps_in(tmp_path) == [16, 18]
    assert run(out=tmp_path, resume="never").losses == expected.losses and steps_in(tmp_path) == [20]


def test_every_flipped_bit_is_found(tmp_path):
    run(out=tmp_path)
    folder, manifest = last_step(tmp_path)
    check_files(folder, manifest["files"])
    random = np.random.default_rng(0)
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for place in random.choice(8 * len(whole), 100, replace=False):
            damaged = bytearray(whole)
            damaged[place // 8] ^= 1 << place % 8
            path.write_bytes(damaged)
            try:
                check_files(folder, read_manifest(folder)["files"])
            except t0.FormatError:
                continue
            assert read_manifest(folder) == manifest and path.name == "manifest.json"  # 1e-05 may become 1E-05
        path.write_bytes(whole)


def test_so_many_checkpoints_are_kept(tmp_path):
    run(out=tmp_path, checkpoint_every=3, keep=1)
    assert steps_in(tmp_path) == [20]
    assert run(out=tmp_path, steps=31, checkpoint_every=3).steps == 31 and steps_in(tmp_path) == [30, 31]
    assert sorted(path.name for path in last_step(tmp_path)[0].iterdir()) == ["manifest.json", "model.safetensors", "trainer.safetensors"]
    run(out=tmp_path, steps=9, resume="never")  # another run, whose steps are fewer
    assert steps_in(tmp_path) == [9] and run(out=tmp_path, steps=9).steps == 9


def test_a_run_of_before_is_refused(tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"")
    with pytest.raises(t0.ConfigError, match=r"checkpoint.npz: a checkpoint of before 0.1, .* use resume='never' to begin anew"):
        run(out=tmp_path)
    assert run(out=tmp_path, resume="never").losses == run(out=tmp_path).losses


def _state(**changes):
    def change(manifest):
        state = manifest["state"] | changes
        manifest["state"] = {key: value for key, value in state.items() if value is not ...}

    return change


REFUSED = {  # what a manifest says instead -> what is said of it
    "manifest.json: there is no 'step'": _state(step=...),
    "manifest.json: step '10': must be a whole number, at least 0": _state(step="10"),
    "manifest.json: plan [1]: must be a mapping of names to values": lambda manifest: manifest.update(plan=[1]),
    "manifest.json: seconds -1: must be a number, at least 0": _state(seconds=-1),
    "manifest.json: stopped 5: must be text, or None": _state(stopped=5),
    "manifest.json: file '../w': its size and SHA-256 must be there, under a plain name": lambda manifest: manifest["files"].update(
        {"../w": {}}
    ),
    "manifest.json: file 'model.safetensors': its size and SHA-256 must be there, under a plain name": lambda manifest: manifest.update(
        files={}
    ),
    "trainer.safetensors: tensor losses: expected F64 [1000000000000], found F64 [10]": _state(step=10**12),
}


@pytest.mark.parametrize("message", REFUSED)
def test_a_refused_checkpoint_changes_nothing(tmp_path, message):
    run(out=tmp_path, steps=10)
    change_manifest(tmp_path, REFUSED[message])
    _is_refused(tmp_path, message)


@pytest.mark.parametrize("name, array", [("w", np.zeros(3, np.float32)), ("w", np.zeros(300)), ("v", np.zeros(300, np.float32))])
def test_weights_of_another_shape_change_nothing(tmp_path, name, array):
    run(out=tmp_path, steps=10)
    file = last_step(tmp_path)[0] / "model.safetensors"
    kind = f"F{8 * array.itemsize}"
    file.write_bytes(header_of({name: (kind, array.shape)}) + array.tobytes())
    digest = {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    change_manifest(tmp_path, lambda manifest: manifest["files"].update({"model.safetensors": digest}))
    _is_refused(
        tmp_path, f"model.safetensors: tensor w: expected F32 [300], found {f'{kind} {list(array.shape)}' if name == 'w' else 'nothing'}"
    )


def _is_refused(run_folder, message):
    model, log = FakeModel(), (run_folder / "log.jsonl").read_bytes()
    with pytest.raises(t0.FormatError) as error:
        run(model, out=run_folder)
    told = "; no checkpoint of the run is whole: use resume='never' to begin anew"
    assert str(error.value) == f"{step_folder(run_folder, 10)}/{message}{told}"
    assert (model.w == 0).all() and model.saved == [] and (run_folder / "log.jsonl").read_bytes() == log


def test_a_log_with_torn_lines_is_read(tmp_path):
    run(out=tmp_path, steps=10)
    with open(tmp_path / "log.jsonl", "ab") as file:
        file.write(b'\xff\x00{"st\n' + b"[" * 100_000 + b'\n{"step": 7, "name": "a\xe2\x80\xa8b"}\n{"ste')
    assert [entry["step"] for entry in run(out=tmp_path).log] == [10, 7, 20]


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
    assert {"step": 4, "validation": {"held": 0.5}} in lines
    assert run(out=tmp_path, validate=held, validate_every=4, stop=stop).steps == 12  # stays stopped


def test_a_validation_that_no_checkpoint_has_is_told_once(tmp_path):
    def pulled(report, log):
        raise OSError("pulled")

    held = {"validate": t0.Task("held", rows_of(6), {"p": yes_no()}), "validate_every": 4, "out": tmp_path}
    run(out=tmp_path, steps=8)
    with pytest.raises(OSError, match="pulled"):
        run(**held, stop=pulled)
    assert [line["step"] for line in without_time(tmp_path / "log.jsonl") if "validation" in line] == [8]
    run(**held)
    assert [line["step"] for line in without_time(tmp_path / "log.jsonl") if "validation" in line] == [8, 12, 16, 20]


def test_a_number_that_is_not_finite_names_step_and_components(tmp_path):
    model = FakeModel(fail_at=8)
    with pytest.raises(t0.NumericError) as error:
        run(model, out=tmp_path)
    names = sorted({d.component.name for d in mixture().examples(0, 28, 4)})
    text = str(error.value)
    assert text.startswith("step 8: tensor w: gradient is not finite; the batch: ") and all(name in text for name in names)
    assert text.endswith(f"; the state after step 7 is kept in {tmp_path}")
    assert run(FakeModel(), out=tmp_path).losses == run().losses


@pytest.mark.parametrize("written_before", [0, 1, 2, 3])  # the log's new beginning, then the checkpoint's files
def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, written_before):
    run(out=tmp_path, steps=10)
    before = {path: path.read_bytes() for path in step_folder(tmp_path, 10).iterdir()}
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
    assert str(error.value).endswith(f"unchanged: '{tmp_path / 'log.jsonl'}'") or str(step_folder(tmp_path, 20)) in str(error.value)
    assert before == {path: path.read_bytes() for path in step_folder(tmp_path, 10).iterdir()}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000010"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "log.jsonl"]
    assert run(FakeModel(), out=tmp_path, steps=20).losses == run().losses
    assert [line["step"] for line in without_time(tmp_path / "log.jsonl")] == [10, 20]


SCRIPT = """
import sys; sys.path.insert(0, {tests!r})
from test_train import *
from t0native.training import train as train_module
class Telling(FakeTrainer):
    def gradients(self, sources, targets, step):
        if step == {step}:
            print("reached", flush=True)
        return super().gradients(sources, targets, step)
train_module.Trainer = Telling
run(FakeModel(delay=0.02), steps=10_000, out={out!r})
"""


@pytest.mark.parametrize("step, number, ends, told", [
    (1, signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"), (2, signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),
    (15, signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"), (2, signal.SIGTERM, 143, ""), (15, signal.SIGHUP, 129, ""),
])  # fmt: skip
def test_a_signal_saves_the_run(tmp_path, step, number, ends, told):
    code = SCRIPT.format(tests=str(Path(__file__).parent), out=str(tmp_path), step=step)
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-P", "-c", code], env=environment, **pipes)
    assert process.stdout.readline() == "reached\n"
    process.send_signal(number)
    _, stderr = process.communicate(timeout=120)  # met by a hang alone
    assert told in stderr and process.returncode == ends
    (reached,) = steps_in(tmp_path)
    assert reached >= step - 1
    model = FakeModel()
    done = run(model, out=tmp_path, steps=reached + 5)
    fresh = FakeModel()
    assert done.losses == run(fresh, steps=reached + 5).losses and model.w.tobytes() == fresh.w.tobytes()


class Signalling(FakeTrainer):
    """Sends signals after a step's bookkeeping has begun."""

    sent = ()

    def apply(self, rate, step):
        if step == 7:
            for number in self.sent:
                os.kill(os.getpid(), number)
        return super().apply(rate, step)


@pytest.mark.parametrize("numbers, error, told, kept", [
    ([signal.SIGINT], KeyboardInterrupt, "SIGINT", 7),
    ([signal.SIGTERM], SystemExit, "SIGTERM", 7),
    ([signal.SIGHUP, signal.SIGHUP, signal.SIGTERM], SystemExit, "SIGHUP", 7),  # a terminal and its shell both tell
    ([signal.SIGINT, signal.SIGINT], KeyboardInterrupt, "SIGINT", 5),
    ([signal.SIGTERM, signal.SIGINT], KeyboardInterrupt, "SIGTERM", 5),
])  # fmt: skip
def test_a_second_ctrl_c_ends_at_once_with_the_last_checkpoint(tmp_path, monkeypatch, capsys, numbers, error, told, kept):
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with monkeypatch.context() as patch, pytest.raises(error) as caught:
        patch.setattr("t0native.training.train.Trainer", Signalling)
        patch.setattr(Signalling, "sent", numbers)
        run(FakeModel(), out=tmp_path, checkpoint_every=5)
    assert getattr(caught.value, "code", None) == ({"SIGTERM": 143, "SIGHUP": 129}[told] if error is SystemExit else None)
    assert steps_in(tmp_path)[-1] == kept
    lines = capsys.readouterr().err.splitlines()
    assert lines.count(f"{told}: the run is saved first; once more ends at once") == 1
    place = f"saved in {tmp_path}" if kept == 7 else f"{tmp_path} has the checkpoint of step 5"
    assert lines[-1] == f"stopped after step {7 if kept == 7 else 6} of 20; {place}: the same call goes on from there"
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == handlers
    model, fresh = FakeModel(), FakeModel()
    assert run(model, out=tmp_path).losses == run(fresh).losses and model.w.tobytes() == fresh.w.tobytes()


class Stopped(FakeTrainer):
    """Ctrl-C in step 4."""

    def gradients(self, sources, targets, step):
        if step == 4:
            raise KeyboardInterrupt
        return super().gradients(sources, targets, step)


@pytest.mark.parametrize("options, told", [
    ({}, "; nothing is saved: out= names a folder that keeps a run"),
    ({"out": "run"}, "; saved in run: the same call goes on from there"),
    ({"out": "run", "resume": "never"}, "; saved in run: the same call with resume='auto' goes on from there"),
])  # fmt: skip
def test_what_goes_on_after_ctrl_c_is_told(tmp_path, monkeypatch, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("t0native.training.train.Trainer", Stopped)
    with pytest.raises(KeyboardInterrupt):
        run(**options)
    assert capsys.readouterr().err == f"stopped after step 3 of 20{told}\n"


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_another_signal_a_while_later_ends_at_once(tmp_path, monkeypatch, number, code):
    monkeypatch.setattr("t0native.base.interrupts.REPEATED", 0.0)
    monkeypatch.setattr("t0native.training.train.Trainer", Signalling)
    monkeypatch.setattr(Signalling, "sent", [signal.SIGTERM, number])
    with pytest.raises(SystemExit) as caught:
        run(FakeModel(), out=tmp_path, checkpoint_every=5)
    assert caught.value.code == code and steps_in(tmp_path)[-1] == 5


def test_a_step_torn_by_a_handler_of_somebody_else_is_not_saved(tmp_path, monkeypatch):
    class Torn(FakeTrainer):
        def apply(self, rate, step):
            if step == 7:
                self.model.w[:5] += 1
                raise KeyboardInterrupt
            return super().apply(rate, step)

    monkeypatch.setattr("t0native.training.train.Trainer", Torn)
    with pytest.raises(KeyboardInterrupt):
        run(FakeModel(), out=tmp_path, checkpoint_every=5)
    assert steps_in(tmp_path)[-1] == 5


def test_signals_that_somebody_else_handles_are_left_alone(tmp_path):
    seen, before = [], signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    ignored = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        with Interrupts(), ended_by_signals():
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGHUP)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, ignored)


def test_ctrl_c_while_a_run_is_restored_finds_a_whole_model(tmp_path, monkeypatch):
    whole, model = FakeModel(), FakeModel()
    expected = run(whole, out=tmp_path)

    class Signalled(FakeTrainer):
        def load_state(self, state):
            os.kill(os.getpid(), signal.SIGINT)
            super().load_state(state)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("t0native.training.train.Trainer", Signalled)
        run(model, out=tmp_path)
    assert model.w.tobytes() == whole.w.tobytes() and run(model, out=tmp_path).losses == expected.losses


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
        ({"steps": None}, "neither steps nor epochs: one of them says how long to train"),
        ({"epochs": 2}, "steps 20 and epochs 2: a training has so many steps or so many epochs; give one of them"),
        ({"steps": 0}, "steps 0: must be a whole number, at least 1"),
        ({"batch_tokens": 9}, "batch_size 4 and batch_tokens 9: a batch is so many examples or so many tokens; give one of them"),
        ({"batch_size": None, "batch_tokens": 0}, "batch_tokens 0: must be a whole number, at least 1, or None"),
        (
            {"batch_size": None, "batch_tokens": 9, "mixture_at": mixture},
            "batch_tokens 9: mixture_at chooses by the step, which an example has only after batches are cut; give batch_size",
        ),
        ({"batch_size": 2.5}, "batch_size 2.5: must be a whole number, at least 1, or None"),
        ({"learning_rate": -1}, "learning_rate -1: must be a positive number"),
        ({"clip": float("nan")}, "clip nan: must be a number"),
        ({"clip": -0.5}, "clip -0.5: must be at least 0 and less than 1000000000"),
        ({"dropout": 1.5}, "dropout 1.5: must be at least 0 and less than 1"),
        ({"precision": "half"}, "precision 'half': must be 'float32' or 'bfloat16'"),
        ({"threads": 257}, "threads 257: must be a whole number from 1 to 256, or None"),
        ({"optimizer": "adamw", "optimizer_options": {"beta2": 1}}, "optimizer_options.beta2 1: must be at least 0 and less than 1"),
        ({"optimizer_options": {"z_loss": -1}}, "optimizer_options.z_loss -1: must be at least 0 and less than 1000000000"),
        (
            {"optimizer_options": {"step_offset": 2**63}},
            "optimizer_options.step_offset 9223372036854775808: must be a whole number from 0 to 9223372036854775807",
        ),
        ({"optimizer_options": {"step_offset": -1}}, "optimizer_options.step_offset -1: must be a whole number of 64 bits, at least 0"),
        ({"dropout": "x"}, "dropout 'x': must be a number, or None"),
        ({"threads": "two"}, "threads 'two': must be a whole number from 1 to 256, or None"),
        ({"out": [1]}, "out [1]: must be the name of a folder, or None"),
        ({"out": ""}, "out '': must be the name of a folder, or None"),  # an unset variable of a shell
        ({"out": "a\0b"}, "out 'a\\x00b': must be the name of a folder, or None"),
        ({"optimizer": "adamv"}, "optimizer 'adamv': must be 'adafactor', 'adamw' or 'sgd'"),
        ({"freeze": "shared.*"}, "freeze 'shared.*': must be a list of names, or None"),
        ({"optimizer_options": 3}, "optimizer_options 3: must be a mapping of names to values, or None"),
        ({"optimizer_options": {"beta1": "x"}}, "optimizer_options.beta1 'x': must be a number"),
        (
            {"optimizer_options": {"weight_decay": 0.1}},
            "optimizer_options.weight_decay: adafactor has none; it is an option of adamw and sgd",
        ),
        ({"optimizer": "sgd", "optimizer_options": {"beta1": 0.1}}, "optimizer_options.beta1: sgd has none; it is an option of adamw"),
        ({"optimizer_options": {"betas2": 1}}, "optimizer_options: unknown name 'betas2'; did you mean 'beta2'?"),
        ({"schedule": ["a"]}, "schedule ['a']: must be 'constant', 'linear', 'cosine' or 'rsqrt', or a callable (step, steps) -> factor"),
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
    with pytest.raises(t0.ConfigError, match="a model in int8 cannot be trained; load it with dtype='float32'"):
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


def test_numpys_numbers_are_numbers(tmp_path):
    done = run(steps=np.int64(20), learning_rate=np.float32(0.5), seed=np.uint64(3), clip=np.float64(0.5), out=tmp_path)
    assert run(learning_rate=0.5, seed=3, clip=0.5, out=tmp_path).losses == done.losses


def test_settings_are_the_keywords_of_train():
    """Names, order, defaults and annotations; and each reaches the field of its own name."""
    model, mixture, *keywords = inspect.signature(t0.train).parameters.values()
    assert (model.name, mixture.name) == ("model", "mixture") and all(word.annotation is not word.empty for word in (model, mixture))
    written = [(word.name, word.annotation, word.default) for word in keywords]
    missing = {dataclasses.MISSING: inspect.Parameter.empty}
    assert written == [(entry.name, entry.type, missing.get(entry.default, entry.default)) for entry in dataclasses.fields(Settings)]
    assert {word.kind for word in keywords} == {inspect.Parameter.KEYWORD_ONLY}


def test_each_keyword_of_train_reaches_its_setting(monkeypatch):
    class Reached(Exception):
        pass

    def refuse(**keywords):
        raise Reached(keywords)

    monkeypatch.setattr("t0native.training.train.Settings", refuse)
    values = {name: object() for name in SETTINGS}
    with pytest.raises(Reached) as reached:
        t0.train(FakeModel(), mixture(), **values)
    assert reached.value.args[0] == values


def test_annotations_of_settings_are_types():
    """Those that stand under `if TYPE_CHECKING` too."""
    from collections.abc import Callable, Iterable, Sequence

    names = {
        "Callable": Callable,
        "Sequence": Sequence,
        "Iterable": Iterable,
        "Literal": typing.Literal,
        "Report": t0.Report,
        "Mixture": t0.Mixture,
        "Task": t0.Task,
        "Model": t0.Model,
        "LoRA": t0.LoRA,
        "IA3": t0.IA3,
        "PromptTuning": t0.PromptTuning,
    }
    of_settings = typing.get_type_hints(Settings, localns=names)
    of_train = typing.get_type_hints(t0.train, localns=names | {"os": os})
    assert of_train == of_settings | {name: of_train[name] for name in ("model", "mixture", "return")} and of_train["return"] is t0.Run


def test_settings_cannot_be_changed_and_are_checked_when_made():
    settings = Settings(steps=3, batch_tokens=50, resume=False, learning_rate=np.float32(0.5))
    assert (settings.batch_size, settings.resume, type(settings.learning_rate)) == (None, "never", float)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.steps = 4
    with pytest.raises(t0.ConfigError, match="^keep 0: must be a whole number, at least 1$"):
        dataclasses.replace(settings, keep=0)
    assert set(SETTINGS) - set(KINDS) == {"validate", "stop", "mixture_at"}


PLANS = {  # keywords of train -> the plan as it stood in the manifests of 0.1.0, to the byte
    "constant": (
        {},
        '{"batch_size": 4, "optimizer": "adafactor", "optimizer_options": null, "learning_rate": 0.001, "warmup": 0, "clip": 1.0, "seed": 0, '
        '"dropout": null, "max_source": 1024, "max_target": 256, "accumulate": 1, "batch_tokens": null, "broadcast_dropout": false, '
        '"freeze": null, "precision": "float32", "add_eos_to_inputs": false, "add_eos_to_targets": true, "schedule": "constant", '
        '"mixture": "M", "curriculum": false, "model": "C", "tokenizer": "bytes"}',
    ),
    "everything": (
        {
            "batch_size": None, "batch_tokens": 200, "accumulate": 2, "optimizer": "adamw", "learning_rate": np.float64(2e-3),
            "optimizer_options": {"beta1": 0.8, "weight_decay": 0.01, "z_loss": 1e-4}, "schedule": "cosine", "warmup": 2, "clip": 0.5,
            "seed": np.uint64(7), "dropout": 0.05, "broadcast_dropout": True, "freeze": ("shared.*",), "max_source": 64, "max_target": 16,
            "add_eos_to_inputs": True, "add_eos_to_targets": False, "recompute": True, "threads": 2, "workers": 3, "log_every": 1,
            "checkpoint_every": 1, "keep": 50,
        },
        '{"batch_size": null, "optimizer": "adamw", "optimizer_options": {"beta1": 0.8, "weight_decay": 0.01, "z_loss": 0.0001}, '
        '"learning_rate": 0.002, "warmup": 2, "clip": 0.5, "seed": 7, "dropout": 0.05, "max_source": 64, "max_target": 16, '
        '"accumulate": 2, "batch_tokens": 200, "broadcast_dropout": true, "freeze": ["shared.*"], "precision": "float32", '
        '"add_eos_to_inputs": true, "add_eos_to_targets": false, "schedule": "cosine", "steps": 6, "mixture": "M", "curriculum": false, '
        '"model": "C", "tokenizer": "bytes"}',
    ),
    "functions": (
        {"mixture_at": lambda step: None, "schedule": lambda step, steps: 1.0, "seed": 3},
        '{"batch_size": 4, "optimizer": "adafactor", "optimizer_options": null, "learning_rate": 0.001, "warmup": 0, "clip": 1.0, "seed": 3, '
        '"dropout": null, "max_source": 1024, "max_target": 256, "accumulate": 1, "batch_tokens": null, "broadcast_dropout": false, '
        '"freeze": null, "precision": "float32", "add_eos_to_inputs": false, "add_eos_to_targets": true, "schedule": "a function", '
        '"steps": 6, "mixture": "M", "curriculum": true, "model": "C", "tokenizer": "bytes"}',
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANS)
def test_the_plan_has_the_bytes_that_it_always_had(name):
    """A run that an earlier version began goes on only where its plan is the same."""
    keywords, text = PLANS[name]
    some, model = mixture(), FakeModel()
    text = text.replace('"M"', f'"{some.digest()}"').replace('"C"', f'"{digest_of_value(model.config)}"')
    text = text.replace('"schedule"', '"unanswered": "drop", "schedule"')  # planned since 0.1.0, where rows without an answer were kept
    assert json.dumps(plan_of(model, some, Settings(**{"steps": 6, "batch_size": 4} | keywords))) == text


def test_progress_shows_loss_speed_and_time_left(monkeypatch):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr("t0native.base.progress.TERMINAL_INTERVAL", 0.0)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    done = run(progress=True, log_every=1)
    lines = [line.rstrip() for line in stream.getvalue().split("\r")][1:]
    shown = re.fullmatch(r"train  \[#+-+\]  2/20  loss (\d\.\d{3})  ([\d,]+) tokens/s  \d+:\d\d left", lines[1])
    assert shown and float(shown[1]) == pytest.approx(0.95 * done.losses[0] + 0.05 * done.losses[1], abs=6e-4)
    assert int(shown[2].replace(",", "")) > 0
    assert re.fullmatch(r"train  \[#+\]  20/20  loss \d\.\d{3}  [\d,]+ tokens/s", lines[19])


def test_progress_counts_to_where_the_schedule_expects_to_end(monkeypatch):
    class Planned:
        expected = 8

        def __call__(self, step, steps):
            return 1.0

    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr("t0native.base.progress.TERMINAL_INTERVAL", 0.0)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    run(progress=True, steps=10, schedule=Planned())
    assert {"7/8", "8/8", "9/9", "10/10"} <= set(re.findall(r"  (\d+/\d+)  ", stream.getvalue()))


def test_progress_is_quiet_where_told(capsys, monkeypatch):
    monkeypatch.setenv("T0NATIVE_PROGRESS", "0")
    run(progress=True)
    assert capsys.readouterr().err == ""


def _trained(rows=40):
    """A mixture of the dataset that `_validation` validates on, of other rows."""
    others = [{"text": f"other {row['text']}", "label": row["label"]} for row in rows_of(rows)]
    return t0.Mixture([t0.Task("a", others, {"p": yes_no("p")}, dataset="d")])


def _validation(accuracies, dataset="d"):
    """A model that is right on so many of ten validated rows, a count a validation; and the task it is asked."""
    model, wanted = FakeModel(), iter(accuracies)

    def rank(inputs, choices, **_):
        right = next(wanted)
        picks = [(i % 2 == 0) == (i < right) for i in range(len(choices))]  # even rows are "yes", the second choice
        return [SimpleNamespace(choice=c[pick], index=int(pick)) for c, pick in zip(choices, picks)]

    model.rank = rank
    return model, t0.Task("held", rows_of(10), {"p": yes_no()}, dataset=dataset)


def test_the_best_model_is_kept(tmp_path):
    trained = _trained()
    model, held = _validation([3, 7, 7, 5, 9])
    options = {"mixture": trained, "validate": held, "validate_every": 4, "select": True, "out": tmp_path}
    done = run(model, **options, steps=16)
    assert [line["mean"] for line in without_time(tmp_path / "log.jsonl") if "mean" in line] == [0.3, 0.7, 0.7, 0.5]
    assert done.best == (8, 0.7) and model.saved == [tmp_path / "best"] * 2 + [tmp_path]
    again, _ = _validation([9])
    assert run(again, **options, steps=20).best == (20, 0.9) and again.saved == [tmp_path / "best", tmp_path]


@pytest.mark.parametrize("select", [False, True])
def test_each_validation_is_told_and_the_best_at_the_end(tmp_path, monkeypatch, select):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    trained = _trained()
    model, held = _validation([3, 7, 5])
    done = run(model, mixture=trained, validate=held, validate_every=4, steps=12, select=select, out=tmp_path, progress=True)
    lines = [line.split("\r")[-1] for line in stream.getvalue().splitlines()]
    assert [line for line in lines if "validation" in line] == [
        "step 4: validation 30.0 % (held 30.0), the best so far",
        "step 8: validation 70.0 % (held 70.0), the best so far",
        "step 12: validation 50.0 % (held 50.0); best validation 70.0 % at step 8",
        f"best validation 70.0 % at step 8; {f'its model is in {tmp_path}/best' if select else 'that model is not kept: `select: true` keeps it'}",
    ]
    assert ", best validation 70.0 % at step 8, " in repr(done)
    assert t0.loss_curve(done, text=True).endswith("\n           validation, %: best 70.0 at step 8, last 50.0 at step 12")
    assert "step 8, mean 70.0 %" in done._repr_html_()


def test_where_a_run_goes_on_is_told(tmp_path, monkeypatch):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    told = {}
    for begins, options in {"new": {"steps": 6}, "on": {}, "done": {}}.items():
        monkeypatch.setattr(sys, "stderr", stream := Terminal())
        run(out=tmp_path, progress=True, **options)
        told[begins] = [line.split("\r")[-1] for line in stream.getvalue().splitlines() if str(tmp_path) in line]
    assert told["new"] == []
    assert told["on"] == [f"{tmp_path}: goes on after step 6 of 20"]
    assert told["done"] == [f"{tmp_path}: has all of its 20 steps already; nothing is trained"]


@pytest.mark.parametrize("epochs, few", [(1, True), (40, False)])
def test_few_steps_are_told_where_epochs_make_them(epochs, few, monkeypatch):
    """Three epochs of forty rows are two steps of 64 examples, from which no model learns: a table would not tell why."""
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    done = run(steps=None, epochs=epochs, batch_size=1 if not few else 1000, progress=True)
    assert (done.steps < 20) == few
    assert ("1 step of at most 1,000 examples: few to learn from; a smaller batch_size gives more" in stream.getvalue()) == few


def test_few_steps_of_one_example_want_more_epochs():
    told = _tell_start(0, 4, Settings(epochs=2, batch_size=1), None)
    assert told == "4 steps of one example: few to learn from; more epochs give more"


def test_a_validation_whose_cells_fail_selects_nothing(tmp_path, caplog):
    trained = _trained()
    model, held = _validation([])
    model.rank = lambda inputs, choices, **_: [SimpleNamespace(choice=None, index=99) for _ in inputs]
    done = run(model, mixture=trained, validate=held, steps=2, select=True, out=tmp_path)
    assert done.best is None and "best validation" not in repr(done) and not (tmp_path / "best").exists()


@pytest.mark.parametrize("eos", [False, True])
def test_validation_ends_inputs_as_training_does(eos):
    model, held = _validation([3])
    asked, rank = [], model.rank
    model.rank = lambda inputs, choices, **_: asked.append(model.add_eos_to_inputs) or rank(inputs, choices)
    run(model, validate=held, validate_every=4, steps=4, add_eos_to_inputs=eos)
    assert asked == [eos]


def test_a_model_is_not_selected_by_what_is_held_out(tmp_path):
    _, held = _validation([])
    trained = t0.Mixture([t0.Task("a", rows_of(40), {"p": yes_no("p")}, dataset="d/other")])
    with pytest.raises(t0.ConfigError, match="select: validate 'held': the mixture does not train on its dataset, and a model chosen by"):
        run(mixture=trained, validate=held, select=True, out=tmp_path / "run")
    for other in (
        t0.Task("b", rows_of(10), {"p": yes_no("p")}, dataset="d"),
        t0.Task("b", rows_of(9), {"p": yes_no("p")}, dataset="d", split="train"),
    ):
        held.split = "train"
        with pytest.raises(
            t0.ConfigError,
            match="select: validate 'held': (10 of its 10 rows are among|its rows are) those that the mixture trains on as 'b'",
        ):
            run(mixture=t0.Mixture(other), validate=held, select=True, out=tmp_path / "run")
    with pytest.raises(t0.ConfigError, match="select: needs tasks to choose by; name them with validate="):
        run(mixture=trained, select=True, out=tmp_path / "run")
    with pytest.raises(t0.ConfigError, match="select: needs a folder that keeps the best model; name it with out="):
        run(mixture=trained, validate=held, select=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("shared", [0, 2, 3])
def test_rows_that_validation_shares_with_training_are_told_and_many_refused(tmp_path, caplog, shared):
    """Whatever the splits are called, and however many rows there are."""
    model, _ = _validation([3])
    held = t0.Task("held", rows_of(20), {"p": yes_no()}, dataset="d", split="validation")
    model.rank = lambda inputs, choices, **_: [SimpleNamespace(choice=c[0], index=0) for c in choices]
    rows = [*_trained().components[0].task.rows, *rows_of(shared)]
    trained = t0.Task("a", rows, {"p": yes_no("p")}, dataset="d", split="train")
    options = {"mixture": trained, "validate": held, "steps": 2, "select": True, "out": tmp_path / "run"}
    if shared == 3:
        with pytest.raises(
            t0.ConfigError, match="validate 'held': 3 of its 20 rows are among those that the mixture trains on as 'a', and by"
        ):
            run(model, **options)
        return
    run(model, **options)
    told = "select: validate 'held': 2 of its 20 rows are among those that the mixture trains on"
    assert [record.getMessage() for record in caplog.records] == ([told] if shared else [])
