"""Encoder states of many inputs in calls of bounded size, and the mean over an input's tokens."""

import numpy as np
import pytest

import t0native as t0

TEXTS = ["Anna keeps a cat.", "tea", "Who keeps the cat? Anna keeps a cat and Ben keeps a dog.", "tea", "Ben drinks milk."]


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


@pytest.mark.parametrize("dtype", ["float32", "int8"])
def test_the_mean_is_that_of_the_input_alone_to_the_bit(model, dtype):
    model = model.to(dtype)
    together = model.encode(TEXTS, pooling="mean")
    assert together.shape == (len(TEXTS), model.config.d_model) and together.dtype == np.float32
    for vector, text in zip(together, TEXTS):
        alone = model.encode(text)
        assert (vector == alone.mean(axis=0)).all() and (vector == model.encode(text, pooling="mean")).all()
        exact = alone.astype(np.float64).mean(axis=0)
        assert np.allclose(vector, exact, rtol=1e-6, atol=1e-6)


def test_neither_company_nor_calls_nor_threads_change_a_vector(model, monkeypatch):
    whole = model.encode(TEXTS, pooling="mean")
    assert (model.encode(TEXTS[::-1], pooling="mean")[::-1] == whole).all()
    states = model.encode(TEXTS)
    sizes, core = [], model.core.encode

    class Counted:
        def encode(self, ids, offsets, threads, adapters):
            sizes.append(len(ids))
            return core(ids, offsets, threads, adapters)

    monkeypatch.setattr("t0native.models.encoding.usual_batch_tokens", lambda config: 8)
    cut = t0.Model(model.core, model.config, model.tokenizer, threads=2)
    cut.core = Counted()
    assert (cut.encode(TEXTS, pooling="mean") == whole).all()
    assert len(sizes) > 2 and sum(sizes) == sum(map(len, {part.tobytes(): part for part in states}.values()))  # equal inputs once
    assert all((one == other).all() for one, other in zip(cut.encode(TEXTS), states, strict=True))


def test_states_of_equal_inputs_are_arrays_of_their_own(model):
    first, second = model.encode(["tea", "tea"])
    first[:] = 0
    assert second.any()


def test_no_inputs_ids_and_the_end_token(model):
    assert model.encode([]) == [] and model.encode([], pooling="mean").shape == (0, model.config.d_model)
    ids = model.tokenizer.encode(TEXTS[0])
    assert (model.encode(ids, pooling="mean") == model.encode(TEXTS[0], pooling="mean")).all()
    ended = model.encode(TEXTS[0], pooling="mean", add_eos_to_inputs=True)
    assert (ended == model.encode([*ids, model.tokenizer.eos_id], pooling="mean")).all()
    assert model.encode(np.array([ids, ids]), pooling="mean").shape == (2, model.config.d_model)


@pytest.mark.parametrize("word", ["max", "cls", "", 1, True])
def test_other_words_are_refused(model, word):
    with pytest.raises(t0.ConfigError, match=r"^pooling .*: must be 'mean' or 'sentence', or None$"):
        model.encode("tea", pooling=word)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pad", ["attend", "zeros"])
def test_texts_are_cut_and_padded_as_the_pipelines_do(tmp_path, pad):
    """The tokenizer's padding="max_length", truncation=True, of a text that is longer and of one that is shorter."""
    import torch
    import transformers

    t0.mini.new_model(0).save(tmp_path)
    encoder = transformers.T5EncoderModel.from_pretrained(tmp_path).eval()
    texts = ["Anna keeps a cat and a dog in the garden.", "tea", ""]
    given = transformers.AutoTokenizer.from_pretrained(tmp_path)(
        texts, padding="max_length", truncation=True, max_length=7, return_tensors="pt"
    )
    with torch.no_grad():
        expected = encoder(given.input_ids, attention_mask=given.attention_mask if pad == "zeros" else None).last_hidden_state.numpy()
    if pad == "zeros":
        expected = expected * given.attention_mask.numpy()[:, :, None]
    model = t0.Model.from_pretrained(tmp_path, add_eos_to_inputs=True)
    found = model.encode(texts, pad=pad, max_input_length=7, truncate=True)
    assert np.abs(found - expected).max() <= 1e-4
