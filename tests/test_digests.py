"""The digest of a model's weights: taken once, and anew when they have changed."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pytest

import t0native as t0
from t0native.models import digests


def weights_of(model):
    return {name: model.core.tensor(name) for name, _ in model.core.tensors()}


@pytest.fixture
def hashed(monkeypatch):
    """Bytes that went through SHA-256 since it was emptied, a list of numbers."""
    sizes = []

    class Counted:
        def __init__(self):
            self._digest = hashlib.sha256()

        def update(self, block):
            sizes.append(len(block))
            self._digest.update(block)

        def hexdigest(self):
            return self._digest.hexdigest()

    monkeypatch.setattr(digests, "hashlib", SimpleNamespace(sha256=Counted))
    return sizes


def test_it_is_taken_once_a_model(hashed, tmp_path):
    """The second time nothing is read."""
    model, task = t0.mini.new_model(0), t0.mini.held_out_tasks()[0]
    first = digests.digest_for_cells(model)
    assert sum(hashed) == 4 * model.parameters
    assert digests.digest_for_cells(model) == first
    assert digests.digest_for_runs(model, weights_of(model)) == digests.digest_for_runs(model, {}) != first
    hashed.clear()
    for out in ("a", "b"):
        t0.evaluate(model, task, limit=2, out=tmp_path / out, progress=False)
    assert sum(hashed) < 4 * model.parameters


def test_it_is_the_digest_of_the_bytes():
    model = t0.mini.new_model(0)
    tensors = list(weights_of(model).items())
    assert digests.digest_for_cells(model) == hashlib.sha256(b"".join(array.tobytes() for _, array in tensors)).hexdigest()
    named = b"".join(name.encode() + b"\0" + array.tobytes() for name, array in tensors)
    assert digests.digest_for_runs(model, dict(tensors)) == hashlib.sha256(named).hexdigest()
    packed = model.to("int8")
    assert digests.digest_for_cells(packed) == hashlib.sha256(packed.core.panels().tobytes()).hexdigest()


def test_training_takes_it_anew():
    model, tasks = t0.mini.new_model(0), t0.mini.training_tasks(["values"])
    seen = {digests.digest_for_cells(model)}
    for _ in range(2):
        t0.train(model, tasks, steps=1, batch_size=2, progress=False)
        seen.add(digests.digest_for_cells(model))
    assert len(seen) == 3


def rewrite(core, trainer):
    name, _ = core.tensors()[0]
    core.put(name, 0, np.ones_like(core.tensor(name)[:1]))


def write(core, trainer):
    core._writable(core.tensors()[0][0])[0, 0] += 1


def step(core, trainer):
    ids, offsets = np.array([5, 6, 7], np.int32), np.array([0, 3])
    trainer.step(ids, offsets, ids, offsets, 0.5, 1)


def apply(core, trainer):
    ids, offsets = np.array([5, 6, 7], np.int32), np.array([0, 3])
    trainer.gradients(ids, offsets, ids, offsets, 1)
    assert core.changes == 1  # by init: gradients change no weight
    trainer.apply(0.5, 1)


@pytest.mark.parametrize("change", [rewrite, write, step, apply, lambda core, trainer: core.init("t5", 7)])
def test_whatever_changes_a_weight_is_counted(change):
    from t0native import _core

    model = t0.mini.new_model(0)
    before, changes = digests.digest_for_cells(model), model.core.changes
    change(model.core, _core.Trainer(model.core))
    assert model.core.changes == changes + 1 and digests.digest_for_cells(model) != before


def test_reading_changes_nothing():
    model = t0.mini.new_model(0)
    changes = model.core.changes
    model.rank("Is it tea?", ["Yes", "No"]), model.generate("tea", max_new_tokens=2), model.encode("tea"), model.to("int8")
    assert model.core.changes == changes and t0.Model.mini().core.changes > 0
