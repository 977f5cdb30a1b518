"""Adapters in inference: what they compute on every number type, in any company, and how they are chosen."""

import copy
import pickle
import time

import adapter_folders as made
import numpy as np
import pytest
from checkpoint_files import save_torch

import t0native as t0
from t0native.adapters.peftfolder import read_folder
from t0native.adapters.sites import sites_of
from t0native.adapters.tfewfile import read_tfew

DTYPES = ("float32", "bfloat16", "int8")
SOURCE, OTHER, INPUTS = [5, 6, 7, 8, 1], [33, 2, 71, 4, 4, 60, 1], [0, 11, 12, 13]
HALVES = {"avx512-vnni"}


def several(tmp_path, config):
    """Folders of adapters of every kind."""
    first = "wi_0" if config.gated else "wi"
    every = ("q", "k", "v", "o", "wo", *(["wi_0", "wi_1"] if config.gated else ["wi"]))
    kinds = {
        "lora": made.lora(config),
        "wide": made.lora(config, every, rank=5, seed=3),
        "ia3": made.ia3(config),
        "inputs": made.ia3(config, ("q", "k", "v", first, "o", "wo"), ("q", "k", first), seed=2),
        "prompts": made.prompts(config),
        "encoder-prompts": made.prompts(config, 2, 1, seed=5),
        "head": made.lora(config, ("lm_head", "v"), rank=2, seed=6),
    }
    return {name: made.write(tmp_path / name, *about) for name, about in kinds.items()}


def loaded(tmp_path, kind="v1.1", dtype="float32", **more):
    model = made.small_model(kind, dtype, **more)
    for name, folder in several(tmp_path, model.config).items():
        model.load_adapter(folder, name)
    return model


@pytest.mark.parametrize("kind", made.KINDS)
@pytest.mark.parametrize("about", ["lora", "rank 1", "all", "ia3", "ia3 of outputs", "ia3 of inputs"])
def test_an_adapter_computes_what_changed_weights_do(tmp_path, kind, about):
    model = made.small_model(kind)
    first = "wi_0" if model.config.gated else "wi"
    keys, tensors = {
        "lora": lambda c: made.lora(c),
        "rank 1": lambda c: made.lora(c, ("k", "o"), rank=1),
        "all": lambda c: made.lora(c, ("q", "k", "v", "o", first, "wo"), rank=3),
        "ia3": lambda c: made.ia3(c),
        "ia3 of outputs": lambda c: made.ia3(c, ("k", "v", "o", first, "wo"), ()),
        "ia3 of inputs": lambda c: made.ia3(c, ("q", "v", "o", first, "wo"), ("q", "v", first, "wo", "o")),
    }[about](model.config)
    if about == "ia3 of inputs":
        keys["feedforward_modules"] = ["q", "v", first, "o"]
    model.load_adapter(made.write(tmp_path / "a", keys, tensors), "a")
    merged = made.with_weights(model, made.changed_weights(model, tensors, 8 / keys.get("r", 1)))
    wanted, plain = merged.logits(SOURCE, INPUTS), model.logits(SOURCE, INPUTS)
    found = model.logits(SOURCE, INPUTS, adapter="a")
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max() < np.abs(wanted - plain).max()
    np.testing.assert_allclose(model.encode(SOURCE, adapter="a"), merged.encode(SOURCE), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.score(SOURCE, [9, 8, 1], adapter="a"), merged.score(SOURCE, [9, 8, 1]), rtol=1e-5)
    assert model.generate(SOURCE, adapter="a", max_new_tokens=6).tolist() == merged.generate(SOURCE, max_new_tokens=6).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("about", ["lora", "all", "ia3", "ia3 of inputs"])
def test_on_every_number_type_it_is_the_float64_statement(tmp_path, dtype, about):
    """Base products as this number type has them, the adapter's of numbers that are not rounded."""
    tiny = {"d_model": 8, "d_kv": 4, "d_ff": 12, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    model = made.small_model("v1.1", dtype, **tiny)
    keys, tensors = {
        "lora": lambda c: made.lora(c),
        "all": lambda c: made.lora(c, ("q", "k", "v", "o", "wi_0", "wi_1", "wo"), rank=3, size=0.1),
        "ia3": lambda c: made.ia3(c),
        "ia3 of inputs": lambda c: made.ia3(c, ("q", "v", "wi_1", "o"), ("q", "wi_1", "v"), seed=4),
    }[about](model.config)
    model.load_adapter(made.write(tmp_path / "a", keys, tensors), "a")
    weights = {name: made.small_model("v1.1", **tiny).core.tensor(name) for name, _ in model.core.tensors()}
    halves = model.core.kernels in HALVES
    oracle = made.AdaptedT5(model.config.core(), weights, dtype, halves, tensors=tensors, scale=8 / keys.get("r", 1))
    errors = []
    for token in range(2, 62):
        wanted = oracle.score([token], [1]).sum()
        errors.append(abs(model.score([token], [1], adapter="a") - wanted) / max(1.0, abs(wanted)))
    assert np.quantile(errors, 0.9) <= 1e-5 and max(errors) <= 0.02  # the rest: numbers that went to the other neighbour


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["v1.1", "v1.0"])
def test_rows_have_the_same_bits_in_any_company(tmp_path, dtype, kind):
    model = loaded(tmp_path, kind, dtype)
    names, random = [None, *model.adapters], np.random.default_rng(7)
    inputs = [random.integers(2, 90, random.integers(1, 30)).tolist() for _ in range(24)]
    choices = [[random.integers(2, 90, random.integers(1, 6)).tolist() for _ in range(3)] for _ in inputs]
    chosen = [names[i] for i in random.integers(0, len(names), len(inputs))]
    together = model.rank(inputs, choices, adapter=chosen, token_scores=True)
    states = model.encode(inputs, adapter=chosen)
    answers = model.generate(inputs, adapter=chosen, max_new_tokens=4, output_scores=True)
    beams = model.generate(inputs[:6], adapter=chosen[:6], max_new_tokens=3, num_beams=2, output_scores=True)
    for i, name in enumerate(chosen):
        alone = model.rank(inputs[i], choices[i], adapter=name, token_scores=True)
        assert alone.scores.tobytes() == together[i].scores.tobytes()
        assert model.encode(inputs[i], adapter=name).tobytes() == states[i].tobytes()
        answer = model.generate(inputs[i], adapter=name, max_new_tokens=4, output_scores=True)
        assert (answer.ids.tolist(), answer.score) == (answers[i].ids.tolist(), answers[i].score)
        if i < 6:
            beam = model.generate(inputs[i], adapter=name, max_new_tokens=3, num_beams=2, output_scores=True)
            assert (beam.ids.tolist(), beam.score) == (beams[i].ids.tolist(), beams[i].score)


@pytest.mark.parametrize("kernels", t0.kernels.available())
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_without_an_adapter_have_the_bits_of_a_model_without(tmp_path, dtype, kernels):
    plain = made.small_model("v1.1").to(dtype) if dtype != "float32" else made.small_model("v1.1")
    plain = t0.Model(t0.Model.init(plain.config, dtype=dtype, kernels=kernels).core, plain.config)
    wanted = plain.rank([SOURCE, OTHER], [[[9, 1], [10, 4, 1]]] * 2)
    for name, folder in several(tmp_path, plain.config).items():
        plain.load_adapter(folder, name)
    for name in plain.adapters:
        found = plain.rank([SOURCE, OTHER, SOURCE], [[[9, 1], [10, 4, 1]]] * 3, adapter=[None, None, name])
        assert [one.scores.tobytes() for one in found[:2]] == [one.scores.tobytes() for one in wanted], name
        assert found[2].scores.tobytes() != wanted[0].scores.tobytes(), name


def test_kernel_sets_agree(tmp_path):
    config = made.small_model().config
    scores = {}
    for kernels in t0.kernels.available():
        model = t0.Model.init(config, kernels=kernels)
        for name, folder in several(tmp_path, config).items():
            model.load_adapter(folder, name)
            scores.setdefault(name, []).append(model.score(SOURCE, [9, 8, 1], adapter=name))
    for name, found in scores.items():
        np.testing.assert_allclose(found, found[0], rtol=1e-5, err_msg=name)


def test_threads_do_not_change_bits(tmp_path):
    model = loaded(tmp_path)
    for name in model.adapters:
        model._threads = 1
        one = model.score([SOURCE, OTHER], [[9, 8, 1]] * 2, adapter=name)
        model._threads = 3
        assert model.score([SOURCE, OTHER], [[9, 8, 1]] * 2, adapter=name).tobytes() == one.tobytes()


def test_the_one_in_use_is_taken_where_a_call_does_not_say(tmp_path):
    folder = made.write(tmp_path / "a", *made.lora(made.small_model().config))
    made.small_model().save(tmp_path / "base")
    model = t0.Model.from_pretrained(tmp_path / "base", adapter=folder, tokenizer=False)
    assert model.adapter == "default" and [*model.adapters] == ["default"]
    assert model.score(SOURCE, [9, 1]) == model.score(SOURCE, [9, 1], adapter="default") != model.score(SOURCE, [9, 1], adapter=None)
    assert model.score(SOURCE, [9, 1], adapter=None) == made.small_model().score(SOURCE, [9, 1])
    assert model.to("float32").score(SOURCE, [9, 1]) == model.score(SOURCE, [9, 1])
    for other in (pickle.loads(pickle.dumps(model)), copy.copy(model)):
        assert other.score(SOURCE, [9, 1]) == model.score(SOURCE, [9, 1])
    del model.adapters["default"]
    with pytest.raises(t0.ConfigError, match="adapter 'default': no adapter of this name; none is loaded"):
        model.score(SOURCE, [9, 1])


def test_streams_and_answers_that_begin_with_something_use_it_too(tmp_path):
    model = loaded(tmp_path)
    for name in model.adapters:
        whole = model.generate(SOURCE, adapter=name, max_new_tokens=5)
        assert [*model.stream(SOURCE, adapter=name, max_new_tokens=5)] == whole.tolist()
        if len(whole) > 2:
            rest = model.generate(SOURCE, adapter=name, decoder_input=whole[:2].tolist(), max_new_tokens=3)
            assert rest.tolist() == whole.tolist()


def test_an_answer_has_the_score_that_score_gives(tmp_path):
    model = loaded(tmp_path)
    for name in model.adapters:
        answer = model.generate(SOURCE, adapter=name, max_new_tokens=5, output_scores=True)
        assert answer.score == pytest.approx(model.score(SOURCE, answer.ids, adapter=name), rel=1e-5)


def test_an_encoder_alone_has_its_part_of_an_adapter(tmp_path):
    model = loaded(tmp_path)
    alone = t0.Model.init(t0.Config(**made.SHAPE, tie_word_embeddings=False, encoder_only=True))
    for name, shape in alone.core.tensors():
        alone.core.put(name, 0, model.core.tensor(name).reshape(shape))
    keys, tensors = made.lora(alone.config)
    both = {name: values for name, values in made.lora(model.config)[1].items() if "decoder" not in name}
    assert both.keys() == tensors.keys()
    alone.load_adapter(made.write(tmp_path / "encoder", keys, tensors), "a")
    model.load_adapter(
        made.write(tmp_path / "whole", keys, tensors | {n: v for n, v in made.lora(model.config)[1].items() if "decoder" in n})
    )
    assert alone.encode(SOURCE, adapter="a").tobytes() == model.encode(SOURCE, adapter="default").tobytes()


@pytest.mark.parametrize(
    "name, more",
    [("nobody", "did you mean|there are"), (3, "must be the name of an adapter"), (["lora"], "1 names for 2 inputs"), ({"a"}, "order")],
)
def test_names_that_are_none_are_refused(tmp_path, name, more):
    with pytest.raises(t0.ConfigError, match=more):
        loaded(tmp_path).rank([SOURCE, OTHER], [[9, 1], [8, 1]], adapter=name)


def test_what_was_loaded_is_saved_the_same(tmp_path):
    model = loaded(tmp_path)
    for name, adapter in model.adapters.items():
        model.save_adapter(tmp_path / f"{name}-again", name)
        again = made.small_model().load_adapter(tmp_path / f"{name}-again")
        assert again.keys == adapter.keys
        for one, other in zip(again.parts, adapter.parts):
            assert one.site == other.site and one.values.tobytes() == other.values.tobytes()


def test_ten_megabytes_load_in_a_moment(tmp_path):
    config = t0.Config.t5_v1_1("base", vocab_size=128)
    folder = made.write(tmp_path / "a", *made.lora(config, ("q", "k", "v"), rank=16))
    size = (folder / "adapter_model.safetensors").stat().st_size
    assert 10e6 < size < 12e6
    times = []
    for _ in range(5):
        begin = time.process_time()
        read_folder(folder, config)
        times.append(time.process_time() - begin)
    assert min(times) <= 0.05


def tfew_vectors(config, seed=0):
    """T-Few's (IA)3 of a model: k and v of every attention, and wi_1."""
    random = np.random.default_rng(seed)
    rows = {name: site.rows for name, site in sites_of(config).items() if name.endswith((".k", ".v", ".wi_1"))}
    return {f"{name}.multi_lora_b": random.normal(1, 0.3, (n, 1)).astype(np.float32) for name, n in rows.items()}


def test_a_file_of_tfew_at_the_shape_of_t0_3b_has_all_its_tensors(tmp_path):
    vectors = tfew_vectors(t0.Config.t5_v1_1("xl"))
    save_torch(tmp_path / "finish.pt", vectors)
    adapter = read_tfew(tmp_path / "finish.pt", t0.Config.t5_v1_1("xl"))
    assert len(vectors) == len(adapter.parts) == 24 * 3 + 24 * 5 == 192
    for part in adapter.parts:
        assert part.values.tobytes() == vectors[f"{part.site.module}.multi_lora_b"].tobytes()


def test_tfews_vectors_compute_what_changed_weights_do(tmp_path):
    model = made.small_model()
    vectors = tfew_vectors(model.config)
    save_torch(tmp_path / "a.bin", vectors)
    model.load_adapter(tmp_path / "a.bin", "a")
    weights = {f"{name.removesuffix('.multi_lora_b')}.weight": values for name, values in vectors.items()}
    merged = made.with_weights(model, {name: model.core.tensor(name) * values for name, values in weights.items()})
    wanted = merged.logits(SOURCE, INPUTS)
    assert np.abs(model.logits(SOURCE, INPUTS, adapter="a") - wanted).max() <= 1e-5 * np.abs(wanted).max()
    model.save_adapter(tmp_path / "peft", "a")
    model.load_adapter(tmp_path / "peft", "again")
    assert model.logits(SOURCE, INPUTS, adapter="again").tobytes() == model.logits(SOURCE, INPUTS, adapter="a").tobytes()
    some = {name: values for name, values in vectors.items() if "block.1" in name or name.endswith("wi_1.multi_lora_b")}
    save_torch(tmp_path / "some.pt", some)
    model.load_adapter(tmp_path / "some.pt", "some")
    model.save_adapter(tmp_path / "some", "some")  # names that mean these layers and no others
    assert made.small_model().load_adapter(tmp_path / "some").modules == model.adapters["some"].modules
