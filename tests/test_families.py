"""Every family of T5 beside transformers' own class: random models of awkward sizes, saved by it and loaded here, and back."""

import engine_models as engine
import family_models as families
import numpy as np
import pytest
from engine_models import golden
from family_models import IDS, MODELS
from numpy_t5 import CLEAR, NumpyT5

import t0native as t0
from t0native import _core

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
EACH = pytest.mark.parametrize("family, number", MODELS, ids=IDS)
LENGTHS = (1, 23, 7, 40)  # of inputs; of the targets beside them
TARGETS = (6, 1, 13, 4)


def batch(family, number):
    return families.sequences(family, number, "inputs", LENGTHS), families.sequences(family, number, "targets", TARGETS)


def difference(found, expected):
    """Largest difference, beside the largest number."""
    return np.abs(found - expected).max() / np.abs(expected).max()


def states_and_logits(model, sources, targets):
    import torch

    states, logits = [], []
    with torch.no_grad():
        for source, target in zip(sources, targets):
            out = model(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([target]))
            states.append(out.encoder_last_hidden_state[0].numpy())
            logits.append(out.logits[0].numpy())
    return np.concatenate(states), np.concatenate(logits)


@EACH
def test_states_and_logits_on_every_kernel_set(family, number):
    sources, targets = batch(family, number)
    rounded, exact = (states_and_logits(each(family, number), sources, targets) for each in (families.theirs, families.exact))
    for kernels in t0.kernels.available():
        core = families.ours(family, number, kernels=kernels).core
        found = core.encode(*engine.ragged(sources)), core.logits(*engine.ragged(sources), *engine.ragged(targets))
        for ours, theirs, expected in zip(found, rounded, exact):  # a random model may magnify rounding, transformers' own too
            assert difference(ours, expected) <= max(1e-5, 4 * difference(theirs, expected)), kernels


@EACH
def test_generation_is_equal_token_by_token(family, number):
    import torch

    model, other = families.ours(family, number), families.exact(family, number)
    sources, _ = batch(family, number)
    for options in ({}, {"num_beams": 3}):
        answers = model.generate(sources, max_new_tokens=9, **options)
        for source, answer in zip(sources, answers):
            mask, end = torch.ones(1, len(source)), other.config.eos_token_id
            ids = other.generate(torch.tensor([source]), attention_mask=mask, max_new_tokens=9, **options)[0].tolist()[1:]
            assert list(answer) == ids[: ids.index(end) if end in ids else None]


@EACH
def test_gradients(family, number):
    import torch
    from make_golden import forward, padded

    model, other = families.ours(family, number), families.exact(family, number)
    sources, targets = batch(family, number)
    flat = engine.core_with(model.config.core(), {name: model.core.tensor(name) for name, _ in model.core.tensors()})
    trainer = _core.Trainer(flat)
    loss = trainer.gradients(*engine.ragged(sources), *engine.ragged(targets), 1)[0]
    out, _ = forward(other, sources, targets)
    labels = padded(targets, -100)
    expected = torch.nn.functional.cross_entropy(out.logits[labels != -100], labels[labels != -100])
    other.zero_grad()
    expected.backward()
    assert abs(loss - expected.item()) <= 1e-5 * abs(expected.item())
    for name, parameter in other.named_parameters():
        found, wanted = trainer.gradient(name).astype(np.float64), parameter.grad.numpy().astype(np.float64)
        assert np.linalg.norm(found - wanted) <= 1e-4 * np.linalg.norm(wanted), name
    other.zero_grad()


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@EACH
def test_scores_in_fewer_bits(family, number, dtype):
    """As the same arithmetic in NumPy where no rounding is nearly a tie, and the choice of float32 wherever that is clear."""
    model = families.ours(family, number)
    small = model.to(dtype)
    weights = {name: model.core.tensor(name) for name, _ in model.core.tensors()}
    oracle = NumpyT5(model.config.core(), weights, dtype, halves=small.core.kernels == "avx512-vnni")
    sources = families.sequences(family, number, "few", (1, 2, 9, 4, 11, 3))
    choices = [[*ids, model.config.eos_token_id] for ids in families.sequences(family, number, "choices", (1, 2, 4))]
    exact, found = ([ranking.scores for ranking in each.rank(sources, choices)] for each in (model, small))
    expected, clear = np.empty((len(sources), len(choices))), np.empty((len(sources), len(choices)), bool)
    for place in np.ndindex(expected.shape):
        oracle.clear = np.inf
        expected[place] = oracle.score(sources[place[0]], choices[place[1]]).sum()
        clear[place] = oracle.clear > CLEAR
    error = np.abs(np.array(found) - expected) / np.maximum(1.0, np.abs(expected))
    assert error[clear].max(initial=0.0) <= golden.TOLERANCE / 10
    moved = np.abs(expected - exact).max()
    assert np.abs(np.array(found) - expected).max() <= moved
    for one, other in zip(exact, found):
        best, second = np.sort(one)[-1:-3:-1]
        assert np.argmax(one) == np.argmax(other) or best - second <= 2 * moved


@EACH
def test_saved_and_loaded_by_transformers(family, number, tmp_path):
    import json

    import transformers

    model = families.ours(family, number)
    model.save(tmp_path)
    cls = getattr(transformers, json.loads((tmp_path / "config.json").read_text())["architectures"][0])
    other, told = cls.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    sources, targets = batch(family, number)
    for found, wanted in zip(states_and_logits(other.eval(), sources, targets), states_and_logits(families.theirs(family, number), sources, targets)):
        assert (found == wanted).all()
    again = t0.Model.from_pretrained(tmp_path)
    assert again.config.tensors() == model.config.tensors() and again.config.core() == model.config.core()


@EACH
def test_packed_files(family, number, tmp_path):
    """An int8 model's file, mapped: the bits of the model in memory."""
    small = families.ours(family, number).to("int8")
    small.save(tmp_path)
    mapped = t0.Model.from_pretrained(tmp_path, "int8", verify=True)
    assert mapped.config.core() == small.config.core()
    sources, targets = batch(family, number)
    assert (mapped.score(sources, targets) == small.score(sources, targets)).all()
