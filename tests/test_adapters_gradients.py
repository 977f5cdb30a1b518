"""Gradients of adapters in the core: against torch, against the model's own gradients, and on packed models."""

import adapter_folders as made
import numpy as np
import pytest

from t0native import _core
from t0native.adapters.adapter import name_of

SOURCES = [[5, 6, 7, 8, 1], [33, 2, 71, 4, 4, 60, 1], [9, 1]]
TARGETS = [[11, 12, 1], [13, 1], [40, 41, 42, 43, 1]]
ABOUT = {
    "lora": lambda c: made.lora(c),
    "everywhere": lambda c: made.lora(c, ("q", "k", "v", "o", *(["wi_0", "wi_1"] if c.gated else ["wi"]), "wo", "lm_head"), rank=3),
    "ia3": lambda c: made.ia3(c),
    "ia3 of outputs": lambda c: made.ia3(c, ("q", "k", "v", "wi_1" if c.gated else "wi", "o"), ("o",)),
    "prompts": lambda c: made.prompts(c),
    "encoder prompts": lambda c: made.prompts(c, 2, 1),
}


def ragged(rows):
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)]).astype(np.int64)


def trainer_of(model, adapter, **options):
    return _core.Trainer(model.core, adapter=adapter.core, **options)


def gradients(model, adapter, step=1, **options):
    trainer = trainer_of(model, adapter, **options)
    loss = trainer.gradients(*ragged(SOURCES), *ragged(TARGETS), step)[0]
    return loss, {name: trainer.gradient(name).copy() for name, _ in adapter.core.tensors()}


def numeric(model, adapter, name, place, size, loss):
    """(loss(w + size) - loss(w - size)) / 2 size of one number."""
    values = adapter.core._writable(name).reshape(-1)
    kept, found = values[place], []
    for step in (size, -size):
        values[place] = kept + step
        found.append(loss())
    values[place] = kept
    return (found[0] - found[1]) / (2 * size)


@pytest.mark.parametrize("kind", ["v1.1", "v1.0"])
@pytest.mark.parametrize("about", ABOUT)
def test_loss_is_that_of_scores_and_gradients_its_differences(tmp_path, kind, about):
    """In float32, by differences of the float64 sums of scores."""
    model = made.small_model(kind)
    model.make_trainable()
    adapter = model.load_adapter(made.write(tmp_path / "a", *ABOUT[about](model.config)), "a")
    tokens = sum(map(len, TARGETS))

    def loss():
        return -float(model.score(SOURCES, TARGETS, adapter="a").sum()) / tokens

    value, found = gradients(model, adapter)
    assert value == pytest.approx(loss(), rel=2e-6)
    random = np.random.default_rng(0)
    for name in [*found][:: max(1, len(found) // 12)]:
        places = random.integers(0, found[name].size, 2)
        for place in places:
            wanted = numeric(model, adapter, name, place, 0.004, loss)
            assert found[name].reshape(-1)[place] == pytest.approx(wanted, rel=0.02, abs=5e-4), name


@pytest.mark.parametrize("about", ["lora", "everywhere"])
def test_lora_has_the_gradient_that_the_weights_of_a_whole_training_have(tmp_path, about):
    """dB = s dW A^T, dA = s B^T dW, of the model's own trainer at the merged weights."""
    model = made.small_model()
    keys, tensors = ABOUT[about](model.config)
    adapter = model.load_adapter(made.write(tmp_path / "a", keys, tensors), "a")
    merged = model.merge_adapter("a")
    merged.make_trainable()
    whole = _core.Trainer(merged.core)
    loss = whole.gradients(*ragged(SOURCES), *ragged(TARGETS), 1)[0]
    value, found = gradients(model, adapter)
    assert value == pytest.approx(loss, rel=1e-5)
    for part in adapter.parts:
        scale, d = 8 / keys["r"], whole.gradient(f"{part.site.module}.weight").astype(np.float64)
        other = {p.role: p.values.astype(np.float64) for p in adapter.parts if p.site == part.site}
        wanted = scale * (other["lora_B"].T @ d if part.role == "lora_A" else d @ other["lora_A"].T)
        np.testing.assert_allclose(found[name_of(part)], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max(), err_msg=name_of(part))


@pytest.mark.parametrize("about", ["ia3", "ia3 of outputs"])
def test_ia3_has_the_gradient_that_the_weights_of_a_whole_training_have(tmp_path, about):
    model = made.small_model()
    adapter = model.load_adapter(made.write(tmp_path / "a", *ABOUT[about](model.config)), "a")
    merged = model.merge_adapter("a")
    merged.make_trainable()
    whole = _core.Trainer(merged.core)
    whole.gradients(*ragged(SOURCES), *ragged(TARGETS), 1)
    found = gradients(model, adapter)[1]
    for part in adapter.parts:
        name = f"{name_of(part)}.{part.role}"
        d = whole.gradient(f"{part.site.module}.weight").astype(np.float64) * model.core.tensor(f"{part.site.module}.weight")
        wanted = d.sum(axis=0 if part.role == "in" else 1)
        np.testing.assert_allclose(found[name][0], wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max(), err_msg=name)


@pytest.mark.parametrize("kind", ["v1.1", "v1.0"])
@pytest.mark.parametrize("about", ABOUT)
def test_a_packed_float32_model_has_the_gradients_of_a_flat_one(tmp_path, kind, about):
    model, adapters = made.small_model(kind), []
    folder = made.write(tmp_path / "a", *ABOUT[about](model.config))
    flat, packed = model, model.to("float32")
    flat.make_trainable()
    assert packed.core.packed and not flat.core.packed
    for one in (flat, packed):
        adapters.append(one.load_adapter(folder, "a"))
    (loss, wanted), (other, found) = (gradients(m, a) for m, a in zip((flat, packed), adapters))
    assert other == pytest.approx(loss, rel=1e-6)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5 * np.abs(values).max(), err_msg=name)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
@pytest.mark.parametrize("about", ABOUT)
def test_a_packed_model_computes_the_loss_that_inference_does(tmp_path, dtype, about):
    model = made.small_model(dtype=dtype)
    before = model.core.panels().tobytes()
    adapter = model.load_adapter(made.write(tmp_path / "a", *ABOUT[about](model.config)), "a")
    loss, found = gradients(model, adapter)
    wanted = -float(model.score(SOURCES, TARGETS, adapter="a").sum()) / sum(map(len, TARGETS))
    assert loss == pytest.approx(
        wanted, rel=2e-2
    )  # whose attention rounds queries, keys and values where the processor multiplies bfloat16
    assert model.core.panels().tobytes() == before
    exact = model.to("float32")  # of the numbers that the panels mean
    _, near = gradients(exact, exact.load_adapter(tmp_path / "a", "a"))
    for name, values in near.items():
        error = np.linalg.norm(found[name] - values) / np.linalg.norm(values)
        assert error < (0.25 if dtype == "int8" else 0.06), name


@pytest.mark.parametrize("about", ["lora", "everywhere", "ia3"])
def test_an_int8_models_loss_is_the_float64_statement(tmp_path, about):
    """Rows rounded as inference rounds them; attention rounds nothing."""
    tiny = {"d_model": 8, "d_kv": 4, "d_ff": 12, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    model, exact = made.small_model(dtype="int8", **tiny), made.small_model(**tiny)
    keys, tensors = ABOUT[about](model.config)
    adapter = model.load_adapter(made.write(tmp_path / "a", keys, tensors), "a")
    weights = {name: exact.core.tensor(name) for name, _ in exact.core.tensors()}
    oracle = made.AdaptedT5(model.config.core(), weights, "int8", False, tensors=tensors, scale=8 / keys.get("r", 1))
    trainer, errors = trainer_of(model, adapter), []
    for token in range(2, 62):
        wanted = -oracle.score([token], [1]).sum()
        errors.append(abs(trainer.gradients(*ragged([[token]]), *ragged([[1]]), 1)[0] - wanted) / max(1.0, wanted))
    assert np.quantile(errors, 0.9) <= 1e-5 and max(errors) <= 0.02


@pytest.mark.parametrize("about", ABOUT)
def test_recomputing_and_shards_change_nothing(tmp_path, about):
    model = made.small_model(dtype="int8")
    adapter = model.load_adapter(made.write(tmp_path / "a", *ABOUT[about](model.config)), "a")
    options = {"dropout": 0.1, "adapter_dropout": 0.2 if "lora" in about else 0.0}
    one, other = (gradients(model, adapter, recompute=again, threads=n, **options) for again, n in ((False, 1), (True, 3)))
    assert one[0] == other[0]
    assert all(one[1][name].tobytes() == other[1][name].tobytes() for name in one[1])


def test_masks_of_lora_are_those_of_the_step_and_of_the_examples_places(tmp_path):
    model = made.small_model()
    adapter = model.load_adapter(made.write(tmp_path / "a", *made.lora(model.config)), "a")
    trainer = trainer_of(model, adapter, adapter_dropout=0.3, seed=5)
    batch = (*ragged(SOURCES), *ragged(TARGETS))
    losses = [trainer.gradients(*batch, step)[0] for step in (1, 2, 1)]
    assert losses[0] == losses[2] != losses[1]
    shares = sum(trainer.share(*batch, 1, i, i + 1) for i in range(3))
    assert shares == pytest.approx(losses[0], rel=1e-5)


def test_what_is_computed_and_not_trained_is_refused(tmp_path):
    model = made.small_model()
    adapter = model.load_adapter(made.write(tmp_path / "a", *made.ia3(model.config, ("q", "wo"), ("q", "wo"))), "a")
    with pytest.raises(ValueError, match="computed, but not trained"):
        trainer_of(model, adapter)
    lora = model.load_adapter(made.write(tmp_path / "b", *made.lora(model.config)), "b")
    with pytest.raises(ValueError, match="beside an adapter the model's tensors are frozen"):
        trainer_of(model, lora, freeze=["shared.weight"])


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("about", ["lora", "everywhere", "ia3", "prompts"])
def test_gradients_are_those_of_torch(tmp_path, about):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    peft = pytest.importorskip("peft")
    model = made.small_model()
    folder = made.write(tmp_path / "a", *ABOUT[about](model.config))
    model.save(tmp_path / "base")
    base = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "base", dropout_rate=0.0)
    reference = peft.PeftModel.from_pretrained(base, folder, is_trainable=about != "prompts")
    if about == "prompts":
        reference.prompt_encoder.requires_grad_(True)
    total, tokens = 0.0, sum(map(len, TARGETS))
    for source, target in zip(SOURCES, TARGETS):
        out = reference(input_ids=torch.tensor([source]), attention_mask=torch.ones(1, len(source)), labels=torch.tensor([target]))
        total = total + out.loss * len(target)
    (total / tokens).backward()
    adapter = model.load_adapter(folder, "a")
    loss, found = gradients(model, adapter)
    assert loss == pytest.approx(float(total) / tokens, rel=1e-5)
    theirs = {name: p.grad.numpy() for name, p in reference.named_parameters() if p.grad is not None}
    for part in adapter.parts:
        name = name_of(part)
        own = next(
            value[: len(part.values)] if part.site is None else value
            for key, value in theirs.items()
            if name.removesuffix(".weight") in key or part.site is None and "prompt" in key
        )
        name += f".{part.role}" if part.role in ("in", "out") else ""
        np.testing.assert_allclose(found[name], own.reshape(found[name].shape), rtol=1e-4, atol=1e-4 * np.abs(own).max(), err_msg=name)
