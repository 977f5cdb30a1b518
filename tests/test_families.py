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
            ids = other.generate(torch.tensor([source]), attention_mask=mask, max_new_tokens=9, use_cache=False, **options)[0].tolist()[1:]
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


def in_fewer_bits(family, number, dtype):
    """(the model in float32, in fewer bits, the same arithmetic in NumPy)"""
    model = families.ours(family, number)
    small = model.to(dtype)
    weights = {name: model.core.tensor(name) for name, _ in model.core.tensors()}
    return model, small, NumpyT5(model.config.core(), weights, dtype, halves=small.core.kernels == "avx512-vnni")


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@EACH
def test_scores_in_fewer_bits(family, number, dtype):
    """As the same arithmetic in NumPy where no rounding is nearly a tie, and the choice of float32 wherever that is clear."""
    model, small, oracle = in_fewer_bits(family, number, dtype)
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
    for found, wanted in zip(
        states_and_logits(other.eval(), sources, targets), states_and_logits(families.theirs(family, number), sources, targets)
    ):
        assert difference(found, wanted) <= 1e-5
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


# ---- encoders alone --------------------------------------------------------------------------------------------------------------

ENCODER = pytest.mark.parametrize("family, number", families.ENCODER_MODELS, ids=families.ENCODER_IDS)
MOST = 19  # tokens of padded inputs


def encoded(model, rows, mask=None):
    """transformers' states [B, S, D] of rows of one length."""
    import torch

    with torch.no_grad():
        given = {} if mask is None else {"attention_mask": torch.tensor(mask)}
        return model(input_ids=torch.tensor(rows), **given).last_hidden_state.numpy()


@ENCODER
def test_encoders_on_every_kernel_set_and_padded_as_pipelines_have_them(family, number):
    rows = families.sequences(family, number, "inputs", (1, 13, 7, MOST + 4))
    pad = families.shape(family, number)["pad_token_id"]
    cut = [row[:MOST] for row in rows]
    padded = [row + [pad] * (MOST - len(row)) for row in cut]
    mask = [[1] * len(row) + [0] * (MOST - len(row)) for row in cut]
    rounded, exact = families.theirs(family, number), families.exact(family, number)
    wanted = {"attend": encoded(exact, padded), "zeros": encoded(exact, padded, mask) * np.array(mask)[:, :, None]}
    least = difference(encoded(rounded, padded), wanted["attend"])
    for kernels in t0.kernels.available():
        model = families.ours(family, number, kernels=kernels)
        for pads, expected in wanted.items():
            found = model.encode(rows, max_input_length=MOST, truncate=True, pad=pads)
            assert found.shape == (4, MOST, model.config.d_model) and difference(found, expected) <= max(1e-5, 4 * least)
            if pads == "zeros":
                assert (found[np.array(mask) == 0] == 0).all()
        alone = model.encode(cut)
        means = model.encode(cut, pooling="mean")
        for row, states, mean in zip(cut, alone, means):
            assert difference(states, encoded(exact, [row])[0]) <= max(1e-5, 4 * least) and (mean == states.mean(axis=0)).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@ENCODER
def test_encoders_in_fewer_bits(family, number, dtype):
    model, small, oracle = in_fewer_bits(family, number, dtype)
    for row in families.sequences(family, number, "few", (1, 1, 1, 2, 9)):
        oracle.clear = np.inf
        expected = oracle.encode(row)
        found, exact = small.encode(row), model.encode(row)
        assert difference(found, expected) <= (golden.TOLERANCE / 10 if oracle.clear > CLEAR else difference(exact, expected))


@ENCODER
def test_encoders_saved_packed_and_loaded_back(family, number, tmp_path):
    import json

    import transformers

    model = families.ours(family, number)
    model.save(tmp_path / "floats")
    name = json.loads((tmp_path / "floats/config.json").read_text())["architectures"][0]
    assert name == families.ENCODERS[family].cls
    other, told = getattr(transformers, name).from_pretrained(tmp_path / "floats", output_loading_info=True)
    assert not any(told[what] for what in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    row = families.sequences(family, number, "inputs", (9,))
    assert difference(encoded(other, row), encoded(families.theirs(family, number), row)) <= 1e-5
    small = model.to("int8")
    small.save(tmp_path / "bytes")
    mapped = t0.Model.from_pretrained(tmp_path / "bytes", "int8", verify=True)
    assert mapped.config.encoder_only and (mapped.encode(row[0]) == small.encode(row[0])).all()


@pytest.mark.parametrize("family", ["feed-forward", "umT5"])
def test_the_encoder_of_a_whole_model_reads_nothing_else(family, tmp_path):
    """Its decoder's bytes are not there: the file ends before them, and reads beyond would fail."""
    import json
    import struct

    model, folder = families.ours(family, 0), families.folder(family, 0)
    data = (folder / "model.safetensors").read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    begin = len(data) - max(about["data_offsets"][1] for name, about in header.items() if name != "__metadata__")
    content = bytearray(data)
    for name, about in header.items():
        if name.startswith(("decoder.", "lm_head.")):
            first, end = about["data_offsets"]
            content[begin + first : begin + end] = b"\xff" * (end - first)  # not a number, which whoever reads it refuses
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(t0.NumericError):
        t0.Model.from_pretrained(tmp_path)
    for dtype in ("float32", "bfloat16", "int8"):
        encoder = t0.Model.from_pretrained(tmp_path, dtype, part="encoder")
        assert encoder.config.encoder_only and encoder.parameters < model.parameters
        assert not any(name.startswith(("decoder", "lm_head")) for name, _ in encoder.core.tensors())
        row = families.sequences(family, 0, "inputs", (9,))[0]
        assert (encoder.encode(row) == model.to(dtype).encode(row)).all()
