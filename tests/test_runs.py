"""Runs with the real core: stopped anywhere and by anything, they end with the bytes of the uninterrupted run."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from fakes import ctrl_c, rows_of, yes_no

import t0native as t0
from t0native.base import files
from t0native.training.stepfolders import step_folder, steps_in

STEPS = 24


def model(seed=1, extra_ids=0):
    tokenizer = t0.Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model", extra_ids=extra_ids)
    config = t0.Config(vocab_size=tokenizer.vocab_size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, dropout_rate=0.1)
    return t0.Model.init(config, tokenizer, seed=seed)


def mixture():
    return t0.Mixture([t0.Task("a", rows_of(60), {"p": yes_no("is it"), "q": yes_no("q", ("false", "true"))})])


def run(trained, out, mixed=None, **options):
    given = {"steps": STEPS, "batch_size": 8, "learning_rate": 0.01, "warmup": 3, "log_every": 4, "progress": False, "out": out}
    return t0.train(trained, mixed or mixture(), **given | options)


def bytes_of(trained):
    return b"".join(trained.core.tensor(name).tobytes() for name, _ in trained.core.tensors())


def log_of(folder):
    lines = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


OPTIMIZERS = {
    "adafactor": {"optimizer": "adafactor"},
    "adamw": {"optimizer": "adamw", "accumulate": 2, "freeze": ["*.layer_norm.weight", "decoder.block.0.*"]},
    "sgd": {
        "optimizer": "sgd",
        "optimizer_options": {"momentum": 0.9, "label_smoothing": 0.1},
        "learning_rate": 0.1,
        "broadcast_dropout": True,
        "batch_size": None,
        "batch_tokens": 150,
    },  # fmt: skip
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_in_parts_is_the_whole_run(tmp_path, optimizer, threads):
    whole, part = model(), model()
    options = OPTIMIZERS[optimizer] | {"threads": threads}
    expected = run(whole, tmp_path / "whole", **options)
    assert expected.losses[-1] < expected.losses[0] - 1  # it learns
    for steps in (5, 6, 17, STEPS):
        part = model() if steps != 17 else part  # the model that the run began with, or the one it has made
        done = run(part, tmp_path / "part", steps=steps, **options)
    assert done.losses == expected.losses and bytes_of(part) == bytes_of(whole)
    losses = {line["step"]: line["loss"] for line in log_of(tmp_path / "part")}
    assert all(losses[line["step"]] == line["loss"] for line in log_of(tmp_path / "whole"))
    reloaded = t0.Model.from_pretrained(tmp_path / "part")
    assert bytes_of(reloaded) == bytes_of(whole)


@pytest.mark.slow
def test_a_run_killed_again_and_again_is_the_whole_run(tmp_path):
    from fuzz_runs import killed_at_random

    hit, _ = killed_at_random(tmp_path, "mixed", 3, 60, 1, np.random.default_rng(0))
    assert hit >= 2  # a slice; python tests/fuzz_runs.py does all


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_disks_that_fail_at_any_write_lose_no_checkpoint(tmp_path, code):
    from fuzz_runs import faults

    assert faults(tmp_path, code, every=71) >= 3  # a slice; python tests/fuzz_runs.py --faults does all


@pytest.mark.slow
def test_kills_while_a_checkpoint_is_written_leave_a_whole_one(tmp_path):
    from fuzz_runs import killed_while_writing

    assert killed_while_writing(tmp_path, 2, np.random.default_rng(0)).total() >= 1


@pytest.mark.parity
def test_each_checkpoint_loads_in_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    trained = model()
    run(trained, tmp_path, steps=9, checkpoint_every=7)
    for step in steps_in(tmp_path):
        loaded, told = transformers.T5ForConditionalGeneration.from_pretrained(step_folder(tmp_path, step), output_loading_info=True)
        assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    assert steps_in(tmp_path) == [7, 9] and np.array_equal(loaded.shared.weight.detach().numpy(), trained.core.tensor("shared.weight"))


@pytest.mark.parametrize("what", ["renamed", "removed", "replaced"])
def test_a_folder_that_is_renamed_while_a_run_writes_there_is_told(tmp_path, what):
    out, moved = tmp_path / "run", tmp_path / "moved"

    def stop(report, log):
        if log[-1]["step"] == 8:
            out.rename(moved)
            if what == "removed":
                shutil.rmtree(moved)
            if what == "replaced":
                out.mkdir()

    options = {"steps": 14, "checkpoint_every": 5, "log_every": 1}
    with pytest.raises(FileNotFoundError, match="cannot write: the folder was renamed while this process is training there: it ") as caught:
        run(model(), out, stop=stop, **options)
    assert caught.value.filename == str(out)
    assert (f"it is {moved} now" in str(caught.value)) == (what != "removed")
    assert not out.exists() or what == "replaced" and not list(out.iterdir())
    if what != "removed":
        assert run(model(), moved, **options).losses == run(model(), None, **options).losses


def test_a_log_that_cannot_be_synced_is_told(tmp_path):
    real = os.fsync

    def failing(descriptor):
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("log.jsonl"):
            raise OSError(errno.EIO, "Input/output error")
        return real(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match=r"cannot write: Input/output error; what was there before is unchanged: '.*log\.jsonl'"):
            run(model(), tmp_path, steps=2)
    assert run(model(), tmp_path).losses == run(model(), None).losses


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EIO, errno.ENOSPC])
def test_a_folder_that_cannot_be_synced_is_told_unless_the_system_syncs_none(tmp_path, code):
    real = os.fsync

    def failing(descriptor):
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            raise OSError(code, os.strerror(code))
        return real(descriptor)

    run(model(), tmp_path, steps=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", failing)
        if code in (errno.EINVAL, errno.EBADF, errno.ENOTSUP):
            run(model(), tmp_path, steps=4)
            run(model(), tmp_path / "new", steps=4)
        else:
            with pytest.raises(OSError, match="written, but may not outlast a power cut: syncing the folder failed") as error:
                run(model(), tmp_path, steps=4)
            assert error.value.errno == code and error.value.filename == str(tmp_path)
            with pytest.raises(OSError, match=f"cannot write: .*; what was there before is unchanged: '{tmp_path / 'new'}'"):
                run(model(), tmp_path / "new", steps=4)
            assert not (tmp_path / "new").exists()
    assert run(model(), tmp_path, steps=4).losses == run(model(), None, steps=4).losses


def test_a_folder_that_cannot_be_listed_is_written(tmp_path, monkeypatch):
    real = os.open

    def opened(path, flags, *mode):
        if path == tmp_path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, flags, *mode)

    monkeypatch.setattr(os, "open", opened)  # as for a user who may enter and write, but not list it
    files.write_text(tmp_path / "a", "b")
    assert (tmp_path / "a").read_text() == "b"


def test_ctrl_c_in_the_core_undoes_the_step(tmp_path):
    trained, whole = model(), model()
    log = tmp_path / "log.jsonl"
    with pytest.raises(KeyboardInterrupt), ctrl_c(after=0.1, reached=lambda: log.exists() and log.stat().st_size > 0):
        run(trained, tmp_path, steps=100_000)
    (steps,) = steps_in(tmp_path)
    assert steps > 0
    run(whole, None, steps=steps)
    assert bytes_of(trained) == bytes_of(whole) == bytes_of(t0.Model.from_pretrained(tmp_path))


def test_numbers_that_are_not_finite_stop_the_run(tmp_path):
    trained = model()
    trained.core._writable("encoder.final_layer_norm.weight")[3] = np.nan
    with pytest.raises(t0.NumericError, match=r"^step 1: (?!step).*; the batch: a/p \(\d\), a/q \(\d\); the state after step 0 is kept in"):
        run(trained, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoints", "log.jsonl"]
    assert steps_in(tmp_path) == [0]
    with pytest.raises(FileNotFoundError, match=f"no config.json here; the last checkpoint of this run is {step_folder(tmp_path, 0)}"):
        t0.Model.from_pretrained(tmp_path)


def test_a_loss_that_overflows_stops_the_run_at_the_last_good_step(tmp_path):
    kept, options = (
        tmp_path / "run",
        {"optimizer": "sgd", "clip": 0, "steps": 50, "checkpoint_every": 2, "schedule": _rises_at_5, "dropout": 0.0},
    )
    trained = model()
    with pytest.raises(t0.NumericError, match=r"^step (\d+): .*; the state after step \d+ is kept in") as error:
        run(trained, kept, **options)
    stopped = int(re.match(r"step (\d+)", str(error.value))[1])
    assert 6 <= stopped < 50 and steps_in(kept)[-1] == stopped - 1
    assert bytes_of(t0.Model.from_pretrained(step_folder(kept, stopped - 1))) == bytes_of(trained)
    last = (kept / "log.jsonl").read_text()
    with pytest.raises(t0.NumericError, match=re.escape(str(error.value))):  # again, at once
        run(model(), kept, **options)
    assert (kept / "log.jsonl").read_text() == last and steps_in(kept)[-1] == stopped - 1


def _rises_at_5(step, steps):
    return 1.0 if step < 5 else 1e30


def test_dropout_is_the_configurations_unless_given():
    default = run(model(), None, steps=2).losses
    assert model().config.dropout_rate == 0.1 and default == run(model(), None, steps=2, dropout=0.1).losses
    assert default != run(model(), None, steps=2, dropout=0.0).losses


@pytest.mark.parametrize("options", [{"dropout": 1.0}, {"clip": -0.0, "optimizer": "adamw", "optimizer_options": {"beta2": 1}}])
def test_ranges_that_the_core_knows(options):
    with pytest.raises(t0.ConfigError, match="(dropout|optimizer_options.beta2) 1: must be at least 0 and less than 1"):
        run(model(), None, **options)


def test_frozen_tensors_keep_their_bits(tmp_path):
    begun, trained = model(), model()
    freeze = ["shared.*", "*.layer_norm.weight", "encoder.block.0.layer.0.SelfAttention.[qk].weight"]
    run(trained, tmp_path, steps=3, freeze=freeze)
    same = [name for name, _ in begun.core.tensors() if np.array_equal(begun.core.tensor(name), trained.core.tensor(name))]
    norms = [name for name, _ in begun.core.tensors() if name.endswith(".layer_norm.weight")]
    assert len(norms) == 5 and set(same) == {"shared.weight", *norms, *(f"encoder.block.0.layer.0.SelfAttention.{x}.weight" for x in "qk")}
    with pytest.raises(t0.ConfigError, match="another plan: freeze was .*, is None"):
        run(trained, tmp_path, steps=5)


def test_frozen_names_that_are_none():
    with pytest.raises(t0.ConfigError, match=r"freeze: no tensor of this model fits 'shared\.weights'; did you mean 'shared\.weight'\?"):
        run(model(), None, freeze=["shared.weights"])
    with pytest.raises(t0.ConfigError, match="all [0-9]+ tensors are frozen: leave at least one to train"):
        run(model(), None, freeze=["*"])


@pytest.mark.parametrize("optimizer", ["adafactor", "adamw", "sgd"])
def test_memory_that_training_takes_is_asked_for_first(monkeypatch, tmp_path, optimizer):
    from t0native.training.trainer import Trainer, needed_bytes

    large = t0.Model.init(t0.Config(vocab_size=200, d_model=128, d_ff=160, num_layers=1, num_heads=2))
    options = {"clip_norm": 0.0, "dropout": None, "seed": 0, "threads": 1, "freeze": ["shared.*"], "options": {}}
    if optimizer == "sgd":
        options["options"] = {"momentum": 0.5}
    state = Trainer(large, optimizer=optimizer, **options).state()
    needed = needed_bytes(large.config, optimizer=optimizer, options=options["options"], freeze=options["freeze"])
    assert needed == 4 * 4 * large.parameters + state.nbytes  # four sets of gradients
    for free, fits in ((needed, True), (needed - 1, False)):
        monkeypatch.setattr("t0native.base.memory.available_memory", lambda: free)
        if fits:
            Trainer(large, optimizer=optimizer, **options)
            continue
        remedy = "train a smaller model" if optimizer == "adafactor" else "use optimizer='adafactor', which needs less"
        with pytest.raises(MemoryError, match=f"gradients and optimiser state take 0.0 GB, but 0.0 GB of .*, or {remedy}"):
            Trainer(large, optimizer=optimizer, **options)
    monkeypatch.setattr("t0native.base.memory.available_memory", lambda: 1000)
    with pytest.raises(MemoryError):
        run(model(), tmp_path / "run", optimizer=optimizer)
    assert not (tmp_path / "run").exists()


def test_accumulated_batches_are_one_large_batch(tmp_path):
    large, parts = model(), model()
    expected = run(large, None, batch_size=24, steps=6)
    done = run(parts, tmp_path, batch_size=8, accumulate=3, steps=6)
    assert done.losses == expected.losses and done.tokens == expected.tokens and bytes_of(parts) == bytes_of(large)
    with pytest.raises(t0.ConfigError, match="another plan: accumulate was 3, is 2"):
        run(parts, tmp_path, batch_size=8, accumulate=2)


def test_recomputed_activations_change_no_bit():
    kept, again = model(), model()
    assert run(again, None, recompute=True).losses == run(kept, None).losses and bytes_of(again) == bytes_of(kept)


def test_options_of_the_optimiser():
    assert run(model(), None, optimizer_options={"step_offset": 1000}).losses != run(model(), None).losses


def test_texts_longer_than_asked_are_cut():
    done = run(model(), None, max_source=3, max_target=1, steps=2)
    assert done.tokens == 2 * 8 * (3 + 1)
