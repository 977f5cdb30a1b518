"""The end of a T5, tied or not and scaled or not: what transformers 5 writes is read with its numbers, and what is saved is read there."""

import json

import numpy as np
import pytest
from conftest import needed
from numpy_t5 import NumpyT5

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.models.inspection import describe_model

SHAPE = {"vocab_size": 31, "d_model": 12, "d_kv": 4, "d_ff": 20, "num_layers": 2, "num_decoder_layers": 1, "num_heads": 3}
IDS, INPUTS = [5, 6, 7, 20, 30, 1], [0, 9, 10, 11]
HEADS = [(tied, scaled) for tied in (False, True) for scaled in (False, True)]


def model_of(tied, scaled, **changes):
    """A model whose decoder's outputs and head are of a size to be told apart."""
    model = t0.Model.init(t0.Config(**SHAPE, tie_word_embeddings=tied, scale_decoder_outputs=scaled, **changes), seed=3)
    if not tied:
        model.core._writable("lm_head.weight")[...] *= 7
    return model


def weights_of(model):
    return {name: model.core.tensor(name) for name, _ in model.core.tensors()}


def rewrite(folder, config=None, **tensors):
    """The folder with other keys in config.json and other tensors (None: without)."""
    from safetensors.numpy import load_file, save_file

    if config:
        keys = json.loads((folder / "config.json").read_text()) | config
        (folder / "config.json").write_text(json.dumps({key: value for key, value in keys.items() if value is not None}))
    if tensors:
        found = load_file(folder / "model.safetensors") | {name.replace("__", "."): value for name, value in tensors.items()}
        save_file({name: np.ascontiguousarray(value) for name, value in found.items() if value is not None}, folder / "model.safetensors")


def load(folder, **options):
    return t0.Model.from_pretrained(folder, tokenizer=False, **options)


@pytest.mark.parametrize("tied, scaled", HEADS)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_the_core_computes_each_of_the_four(tied, scaled, dtype):
    model = model_of(tied, scaled)
    wanted = NumpyT5(model.config.core(), weights_of(model), dtype).logits(IDS, INPUTS)
    found = (model if dtype == "float32" else model.to(dtype)).logits(IDS, INPUTS)
    assert np.abs(found - wanted).max() <= {"float32": 1e-5, "bfloat16": 0.05, "int8": 0.05}[dtype] * np.abs(wanted).max()
    if dtype == "float32":
        loose = load_other_scale(model).logits(IDS, INPUTS)
        assert np.abs(loose - found * 12 ** (0.5 if scaled else -0.5)).max() <= 1e-5 * np.abs(loose).max()


def load_other_scale(model):
    """The same weights, scaled where they are not."""
    from dataclasses import replace

    other = t0.Model.init(replace(model.config, scale_decoder_outputs=not model.config.scaled))
    for name, value in weights_of(model).items():
        other.core._writable(name)[...] = value
    return other


@pytest.mark.parametrize("tied, scaled", HEADS)
@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_what_is_saved_is_read_as_the_same(tmp_path, tied, scaled, kind):
    model = model_of(tied, scaled, extra={"model_type": kind, "transformers_version": "4.30.0"})
    model.save(tmp_path / "saved")
    convert(open_checkpoint(tmp_path / "saved"), tmp_path / "converted", "float32")
    convert(open_checkpoint(tmp_path / "saved"), tmp_path / "packed", "int8")
    for name in ("saved", "converted", "packed"):
        again = load(tmp_path / name, dtype="int8" if name == "packed" else "float32")
        assert (again.config.tie_word_embeddings, again.config.scaled) == (tied, scaled), name
        assert np.array_equal(again.logits(IDS, INPUTS), (model.to("int8") if name == "packed" else model).logits(IDS, INPUTS)), name
        facts = describe_model(tmp_path / name)
        assert facts["head"].startswith(("the embedding, " if tied else "a tensor of its own, ") + ("scaled by" if scaled else "unscaled"))
        assert facts["config"]["scale_decoder_outputs"] is scaled


def test_a_run_of_a_tied_and_unscaled_model_goes_on(tmp_path):
    """Its checkpoints hold the embedding twice."""
    tokenizer = t0.mini.tokenizer()
    rows = [{"x": "Anna keeps a cat.", "y": "Anna"}, {"x": "Ben keeps a dog.", "y": "Ben"}]
    task = t0.Task("mine", rows, [t0.Prompt("keeps", "{{x}} ||| {{y}}")])
    shape = SHAPE | {"vocab_size": tokenizer.vocab_size}

    def trained(out, steps):
        config = t0.Config(**shape, tie_word_embeddings=True, scale_decoder_outputs=False)
        t0.train(
            t0.Model.init(config, tokenizer, seed=1),
            task,
            steps=steps,
            batch_size=2,
            out=tmp_path / out,
            checkpoint_every=2,
            progress=False,
        )
        return t0.Model.from_pretrained(tmp_path / out)

    trained("parts", 2)
    parts, whole = trained("parts", 4), trained("whole", 4)
    assert all(np.array_equal(value, weights_of(whole)[name]) for name, value in weights_of(parts).items())
    assert parts.config.tie_word_embeddings and not parts.config.scaled


# ---- what decides ------------------------------------------------------------------------------------------------------------


V5 = {"transformers_version": "5.24.0", "dense_act_fn": "gelu_new", "is_gated_act": True}


def test_the_tensors_decide_where_transformers_5_wrote_the_key(tmp_path, caplog):
    model = model_of(False, False)
    model.save(tmp_path)
    for kind in ({"model_type": "t5", "scale_decoder_outputs": False}, {"model_type": "mt5"}):
        rewrite(tmp_path, V5 | kind | {"tie_word_embeddings": True})
        caplog.clear()
        assert np.array_equal(load(tmp_path).logits(IDS, INPUTS), model.logits(IDS, INPUTS))
        assert (
            "lm_head.weight holds other values than the embedding" in caplog.text
            and "tie_word_embeddings True counts for nothing" in caplog.text
        )
    rewrite(tmp_path, {"model_type": "t5", "scale_decoder_outputs": True})
    assert np.abs(load(tmp_path).logits(IDS, INPUTS) - model.logits(IDS, INPUTS) * 12**-0.5).max() < 1e-5


def test_a_head_that_transformers_4_would_not_have_is_refused_with_the_remedies(tmp_path):
    model = model_of(False, False)
    model.save(tmp_path)
    for keys in (
        {"transformers_version": "4.30.0"},
        {"transformers_version": None},
        {"scale_decoder_outputs": True, "transformers_version": "4.49.0"},
    ):
        rewrite(tmp_path, {"tie_word_embeddings": True, "scale_decoder_outputs": None} | keys)
        with pytest.raises(
            t0.FormatError,
            match='the configuration ties the head to it .*config={"tie_word_embeddings": False} takes it as a head of its own',
        ):
            load(tmp_path)
    assert np.array_equal(
        load(tmp_path, config={"tie_word_embeddings": False, "scale_decoder_outputs": False}).logits(IDS, INPUTS), model.logits(IDS, INPUTS)
    )


def test_a_key_that_transformers_4_carried_along(tmp_path, caplog):
    model = model_of(True, True)
    model.save(tmp_path)
    rewrite(tmp_path, {"scale_decoder_outputs": False, "transformers_version": "4.49.0"})
    assert np.array_equal(load(tmp_path).logits(IDS, INPUTS), model.logits(IDS, INPUTS))
    assert "does not know scale_decoder_outputs and scales what is tied" in caplog.text
    given = load(tmp_path, config={"scale_decoder_outputs": False})
    assert np.array_equal(given.logits(IDS, INPUTS), model_of(True, False).logits(IDS, INPUTS))


def test_a_tied_mt5_of_0_1_0_is_scaled_as_it_was(tmp_path, caplog):
    model = model_of(True, True)
    model.save(tmp_path)
    rewrite(tmp_path, {"model_type": "mt5", "transformers_version": "5.24.0"})
    assert np.array_equal(load(tmp_path).logits(IDS, INPUTS), model.logits(IDS, INPUTS))
    assert "t0native 0.1.0 wrote this" in caplog.text and 'config={"scale_decoder_outputs": false}' in caplog.text
    assert not load(tmp_path, config={"scale_decoder_outputs": False}).config.scaled


def test_a_head_that_was_lost(tmp_path):
    """Values of the embedding beside keys of a head of its own, unless they are those that are written of a tied and unscaled one."""
    model_of(False, False).save(tmp_path)
    table = load(tmp_path).core.tensor("shared.weight").copy()
    rewrite(tmp_path, lm_head__weight=table)
    with pytest.raises(
        t0.FormatError, match='they were lost when this was saved; .*"scale_decoder_outputs": False where it was not scaled'
    ):
        load(tmp_path)
    assert load(tmp_path, config={"tie_word_embeddings": True}).config.scaled
    assert not load(tmp_path, config={"tie_word_embeddings": True, "scale_decoder_outputs": False}).config.scaled
    rewrite(tmp_path, {"scale_decoder_outputs": False})
    assert load(tmp_path).config.tie_word_embeddings
    rewrite(tmp_path, lm_head__weight=None)
    with pytest.raises(t0.FormatError, match=r"lm_head\.weight: missing, expected shape \[31, 12\] \(the head is a tensor of its own"):
        load(tmp_path)
    assert describe_model(tmp_path)["loads"].startswith("no: tensor lm_head.weight: missing")


def test_a_scaled_head_of_its_own_says_who_cannot_read_it(tmp_path, caplog):
    model_of(False, True).save(tmp_path)
    assert "transformers 4 has none and leaves the scale away" in caplog.text
    caplog.clear()
    for tied, scaled in HEADS:
        if tied or not scaled:
            model_of(tied, scaled).save(tmp_path)
    assert caplog.text == ""


def test_a_packed_file_with_another_scale(tmp_path):
    model_of(True, True, extra={"transformers_version": "4.30.0"}).save(tmp_path / "m")
    convert(open_checkpoint(tmp_path / "m"), tmp_path / "p", "int8")
    found = load(tmp_path / "p", dtype="int8", config={"scale_decoder_outputs": False})
    assert np.array_equal(found.logits(IDS, INPUTS), model_of(True, False).to("int8").logits(IDS, INPUTS))


# ---- transformers itself -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub_models():
    needed("torch", "pip install '.[parity]'")
    return needed("transformers", "pip install '.[parity]'")


def made(transformers, kind, tied, folder):
    """(class, folder) of a model that transformers makes: with a head of its own as the hub has it, for all that it makes is tied."""
    import torch

    family = "MT5" if kind == "mT5" else "T5"
    config, cls = getattr(transformers, f"{family}Config"), getattr(transformers, f"{family}ForConditionalGeneration")
    projection = "relu" if kind == "T5 1.0" else "gated-gelu"
    torch.manual_seed(len(kind) + tied)
    model = cls(config(**SHAPE, feed_forward_proj=projection, tie_word_embeddings=tied, decoder_start_token_id=0))
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.copy_(torch.randn_like(value) * (1 if "shared" in name else 0.4))
    model.save_pretrained(folder)
    return cls, model


def both(model, folder, tmp_path, cls):
    """Logits and answers of transformers, ours, and those of transformers of what we saved."""
    import torch

    def of(theirs):
        with torch.no_grad():
            ids = torch.tensor([IDS])
            logits = theirs.eval()(input_ids=ids, decoder_input_ids=torch.tensor([INPUTS])).logits[0].numpy()
            return logits, theirs.generate(ids, max_new_tokens=8, do_sample=False)[0].tolist()

    ours = load(folder)
    wanted, answer = of(model)
    assert np.abs(ours.logits(IDS, INPUTS) - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max())
    found = [0, *map(int, ours.generate(IDS, max_new_tokens=8))]
    assert found == answer[: len(found)] and set(answer[len(found) :]) <= {0, 1}
    ours.save(tmp_path / "back")
    theirs, told = cls.from_pretrained(tmp_path / "back", output_loading_info=True)
    assert not told["missing_keys"] and not told["unexpected_keys"]
    back, answer_of_back = of(theirs)
    assert np.abs(back - wanted).max() <= 1e-5 * max(1, np.abs(wanted).max()) and answer_of_back == answer


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("state", ["fresh", "loaded and saved", "resized"])
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", ["T5 1.0", "T5 1.1", "mT5"])
def test_folders_of_transformers_5(hub_models, tmp_path, kind, tied, state):
    cls, model = made(hub_models, kind, tied, tmp_path / "fresh")
    folder = tmp_path / "fresh"
    if state != "fresh":
        if not tied:
            head = np.random.default_rng(5).normal(size=(31, 12)).astype(np.float32)
            rewrite(
                folder,
                {"tie_word_embeddings": False, "scale_decoder_outputs": None, "transformers_version": "4.30.0"},
                lm_head__weight=head,
            )
        model = cls.from_pretrained(folder)
        if state == "resized":
            model.resize_token_embeddings(38)
        folder = tmp_path / "again"
        model.save_pretrained(folder)
    both(
        model,
        folder,
        tmp_path,
        cls if json.loads((folder / "config.json").read_text())["model_type"] != "mt5" else hub_models.MT5ForConditionalGeneration,
    )


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("tied, scaled", HEADS)
@pytest.mark.parametrize("kind", ["t5", "mt5"])
def test_transformers_5_reads_each_of_the_four(hub_models, tmp_path, tied, scaled, kind):
    model = model_of(tied, scaled, extra={"model_type": kind})
    model.save(tmp_path)
    import torch

    found = hub_models.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        logits = found(input_ids=torch.tensor([IDS]), decoder_input_ids=torch.tensor([INPUTS])).logits[0].numpy()
    assert np.abs(logits - model.logits(IDS, INPUTS)).max() <= 1e-5
    found.save_pretrained(tmp_path / "theirs")
    assert np.array_equal(load(tmp_path / "theirs").logits(IDS, INPUTS), model.logits(IDS, INPUTS))
