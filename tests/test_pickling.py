"""Models through pickle: by the place of their files, or with their weights; to spawned processes, joblib and copies."""

import copy
import multiprocessing
import os
import pickle

import numpy as np
import pytest

import t0native as t0

QUESTION, CHOICES = "Does Anna drink tea?", ["Yes", "No"]


def scores(model):
    return model.score([QUESTION] * 2, CHOICES)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pickling") / "m"
    t0.mini.new_model(3).save(folder)
    return folder


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("loaded", [True, False], ids=["from files", "made here"])
def test_a_model_comes_back_with_the_same_numbers(saved, dtype, loaded):
    model = t0.Model.from_pretrained(saved, dtype, threads=2) if loaded else t0.mini.new_model(3).to(dtype)
    model.generation, model.mark = {"num_beams": 2}, "mine"
    data = pickle.dumps(model)
    again = pickle.loads(data)
    assert (len(data) < 200_000) == loaded
    assert (scores(again) == scores(model)).all() and repr(again) == repr(model) and again.core is not model.core
    for name in ("dtype", "threads", "generation", "add_eos_to_inputs", "end_token_assumed", "mark"):
        assert getattr(again, name) == getattr(model, name)
    assert again.tokenizer.fingerprint == model.tokenizer.fingerprint
    twice = pickle.dumps(again)
    assert (len(twice) < 200_000) == loaded and (scores(pickle.loads(twice)) == scores(model)).all()


@pytest.mark.parametrize("how", ["other size", "other time", "gone"])
def test_files_that_changed_are_told_or_not_used(tmp_path, how):
    model = t0.mini.new_model(1)
    model.save(tmp_path / "m")
    model = t0.Model.from_pretrained(tmp_path / "m")
    data, file, before = pickle.dumps(model), tmp_path / "m" / "model.safetensors", scores(model)
    if how == "gone":
        file.unlink()
    elif how == "other size":
        file.write_bytes(file.read_bytes() + b" ")
    else:
        t0.mini.new_model(2).save(tmp_path / "m")
        os.utime(file, ns=(5, 5))
    error, told = (FileNotFoundError, "not here") if how == "gone" else (t0.FormatError, "changed since a model was pickled")
    with pytest.raises(error, match=f"model.safetensors: {told}.*pickle model.to"):
        pickle.loads(data)
    assert (scores(pickle.loads(pickle.dumps(model))) == before).all()  # with its weights
    assert (scores(pickle.loads(pickle.dumps(model.to("float32")))) == before).all()


def test_a_model_that_was_trained_is_pickled_as_trained(saved):
    model = t0.Model.from_pretrained(saved)
    task = t0.Task(
        "d", [{"text": "x", "label": i % 2} for i in range(4)], [t0.Prompt("p", "{{ text }} ||| {{ answer_choices[label] }}", "a ||| b")]
    )
    before = scores(model)
    t0.train(model, t0.Mixture([task]), steps=1, batch_size=2, learning_rate=0.1, progress=False)
    again = pickle.loads(pickle.dumps(model))
    assert (scores(again) == scores(model)).all() and not (scores(again) == before).all()
    t0.train(again, t0.Mixture([task]), steps=1, batch_size=2, progress=False)  # it can be trained on


def test_a_packed_file_and_shards_are_pickled_by_place(tmp_path, saved):
    t0.mini.new_model(3).to("int8").save(tmp_path / "p")
    model = t0.Model.from_pretrained(tmp_path / "p", "int8")
    data = pickle.dumps(model)
    assert len(data) < 200_000 and (scores(pickle.loads(data)) == scores(model)).all()


def test_copies_deep_and_shallow(saved):
    for model in (t0.Model.from_pretrained(saved), t0.mini.new_model(3)):
        deep, shallow = copy.deepcopy(model), copy.copy(model)
        assert deep is model and shallow.core is model.core and model.to(model.dtype).core is not model.core
        shallow.name = "other"
        assert model.name != "other" and (scores(deep) == scores(model)).all()
        assert len(pickle.dumps(shallow)) == pytest.approx(len(pickle.dumps(model)), abs=100)


def test_a_subclass_stays_one(saved):
    model = Named.from_pretrained(saved)
    assert type(pickle.loads(pickle.dumps(model))) is Named


class Named(t0.Model):
    pass


def test_out_of_band_buffers_are_copied(saved):
    """As joblib maps them, read-only and anywhere."""
    buffers = []
    data = pickle.dumps(t0.mini.new_model(3).to("int8"), protocol=5, buffer_callback=buffers.append)
    held = [bytes(1) + bytes(buffer.raw()) for buffer in buffers]
    again = pickle.loads(data, buffers=[memoryview(block)[1:] for block in held])
    before = scores(again)
    del held
    assert buffers and (scores(again) == before).all() and np.isfinite(before).all()


def rank_in_process(model):
    return model.rank(QUESTION, CHOICES).scores


def test_spawned_processes_take_models(saved):
    models = [t0.Model.from_pretrained(saved), t0.mini.new_model(3)]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        results = pool.map(rank_in_process, models)
    assert all((theirs == rank_in_process(ours)).all() for theirs, ours in zip(results, models, strict=True))


def test_clone_and_joblib(saved, tmp_path):
    joblib, base = pytest.importorskip("joblib"), pytest.importorskip("sklearn.base")
    model = t0.mini.new_model(3)
    joblib.dump(model, tmp_path / "m.joblib")
    assert (scores(joblib.load(tmp_path / "m.joblib")) == scores(model)).all()
    assert (scores(base.clone(model, safe=False)) == scores(model)).all()
