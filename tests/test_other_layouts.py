"""Folders as other programs leave them: what loads all the same, and one sentence for what does not."""

import json
import logging
import re
import shutil

import numpy as np
import pytest
from checkpoint_files import save_t5x, save_t5x_folder, save_torch

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.models.inspection import describe_model

SHAPE = {"vocab_size": 19, "d_model": 6, "d_ff": 10, "num_layers": 1, "num_heads": 2, "d_kv": 3}
UNTIED, TIED = t0.Config(**SHAPE), t0.Config(**SHAPE, feed_forward_proj="relu", tie_word_embeddings=True)
IDS, INPUTS = [5, 6, 7, 1], [0, 9, 10]
COPIES = ("decoder.embed_tokens.weight", "encoder.embed_tokens.weight")


def load(folder, **options):
    return t0.Model.from_pretrained(folder, tokenizer=False, **options)


def tensors_of(model):
    return {name: model.core.tensor(name).copy() for name, _ in model.core.tensors()}


def write(folder, tensors, config, form="safetensors"):
    """The folder with these tensors {name: array} in one file, or, form being {name: shard}, with the shards that it names."""
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    if form == "torch":
        save_torch(folder / "pytorch_model.bin", tensors)
    elif form == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    else:
        for shard in set(form.values()):
            save_file({name: value for name, value in tensors.items() if form.get(name) == shard}, folder / shard)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": form}))
    return folder


@pytest.fixture(params=[UNTIED, TIED], ids=["untied", "tied"])
def model(request):
    return t0.Model.init(request.param, seed=5)


def same(folder, model, **options):
    return np.array_equal(load(folder, **options).logits(IDS, INPUTS), model.logits(IDS, INPUTS))


# ---- names -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "torch"])
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "model.", "transformer.t5-"])
def test_one_prefix_before_all_names(model, tmp_path, caplog, prefix, form):
    folder = write(tmp_path / "m", {prefix + name: value for name, value in tensors_of(model).items()}, model.config, form)
    assert same(folder, model)
    assert f"every tensor's name begins with {prefix!r}, which is taken away" in caplog.text
    convert(open_checkpoint(folder), tmp_path / "out", "float32")
    assert same(tmp_path / "out", model) and not open_checkpoint(tmp_path / "out").notes


@pytest.mark.parametrize(
    "change",
    [
        lambda name: f"module.{name}" if name != "shared.weight" else name,
        lambda name: f"module.{name}" if name.startswith("encoder") else f"other.{name}",
        lambda name: name.replace("encoder.", "module.encoder."),
    ],
)
def test_a_prefix_before_some_names_is_not_taken_away(model, tmp_path, change):
    folder = write(tmp_path / "m", {change(name): value for name, value in tensors_of(model).items()}, model.config)
    with pytest.raises(t0.FormatError, match="unexpected, this configuration has no such tensor|missing, expected shape"):
        load(folder)


@pytest.mark.parametrize("names", [COPIES[:1], COPIES[1:], COPIES])
def test_the_embedding_under_another_name(model, tmp_path, caplog, names):
    tensors = tensors_of(model)
    table = tensors.pop("shared.weight")
    folder = write(tmp_path / "m", tensors | {name: table.copy() for name in names}, model.config)
    assert same(folder, model) and caplog.text == ""
    assert describe_model(folder)["notes"] == f"{names[0]} is taken for shared.weight, which is not there"


def test_two_embeddings_that_differ_and_none(model, tmp_path):
    tensors = tensors_of(model)
    table = tensors.pop("shared.weight")
    folder = write(tmp_path / "m", tensors | {COPIES[0]: table, COPIES[1]: table + 1}, model.config)
    with pytest.raises(t0.FormatError, match=r"encoder\.embed_tokens\.weight: expected the same values as shared\.weight, found others"):
        load(folder)
    with pytest.raises(t0.FormatError, match=r"tensor shared\.weight: missing, expected shape \[19, 6\]"):
        load(write(tmp_path / "m", tensors, model.config))


@pytest.mark.parametrize(
    "names",
    [
        ["encoder.block.0.layer.0.layer_norm.bias"],
        ["decoder.final_layer_norm.bias", "encoder.final_layer_norm.bias"],
        ["decoder.block.0.layer.2.layer_norm.bias", "encoder.block.0.layer.1.layer_norm.bias", "encoder.final_layer_norm.bias"],
    ],
)
def test_biases_of_norms_are_left_out(model, tmp_path, caplog, names):
    folder = write(tmp_path / "m", tensors_of(model) | {name: np.ones(6, np.float32) for name in names}, model.config)
    assert same(folder, model)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    assert f"{names[0]}{more}: left out, for T5's norms have no bias" in caplog.text


@pytest.mark.parametrize("name", ["encoder.block.0.layer.0.SelfAttention.q.bias", "lm_head.bias", "encoder.layer_norm.bias", "shared.bias"])
def test_other_biases_are_refused(model, tmp_path, name):
    folder = write(tmp_path / "m", tensors_of(model) | {name: np.zeros(6, np.float32)}, model.config)
    with pytest.raises(t0.FormatError, match=f"{re.escape(name)}: unexpected"):
        load(folder)


@pytest.mark.parametrize(
    "name",
    [
        "base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.default.weight",
        "encoder.block.0.layer.0.SelfAttention.q.base_layer.weight",
        "encoder.block.0.layer.1.DenseReluDense.wo.ia3_l",
        "lm_head.modules_to_save.default.weight",
    ],
)
def test_weights_with_an_adapter_in_them(model, tmp_path, name):
    folder = write(tmp_path / "m", tensors_of(model) | {name: np.zeros((2, 6), np.float32)}, model.config)
    with pytest.raises(t0.FormatError) as error:
        load(folder)
    remedy = "merge it into the model with peft, `model.merge_and_unload().save_pretrained(DIR)`, and load that"
    assert str(error.value) == (
        f"{folder}/model.safetensors: tensor {name}: the weights of a model with an adapter of peft beside its own; {remedy}"
    )


# ---- number types ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["safetensors", "torch"])
def test_float64_is_rounded_to_float32(model, tmp_path, form):
    tensors = {name: value.astype(np.float64) * (1 + 2.0**-40) for name, value in tensors_of(model).items()}
    folder = write(tmp_path / "m", tensors, model.config, form)
    assert same(folder, model)
    assert {dtype for _, dtype, _ in describe_model(folder)["tensors"]} == {"F64"}
    for dtype in ("float32", "bfloat16"):
        convert(open_checkpoint(folder), tmp_path / dtype, dtype)
    assert same(tmp_path / "float32", model)
    assert np.array_equal(load(tmp_path / "bfloat16", dtype="bfloat16").logits(IDS, INPUTS), model.to("bfloat16").logits(IDS, INPUTS))


@pytest.mark.parametrize(
    "write_t5x",
    [lambda path, tensors: save_t5x(path / "checkpoint_1", tensors), lambda path, tensors: save_t5x_folder(path / "checkpoint_1", tensors)],
)
def test_float64_of_t5x(tmp_path, write_t5x):
    model = t0.Model.init(UNTIED, seed=5)
    tmp_path.joinpath("run").mkdir()
    write_t5x(tmp_path / "run", {name: value.astype(np.float64) for name, value in tensors_of(model).items()})
    assert same(tmp_path / "run", model, config=UNTIED)


@pytest.mark.parametrize(
    "bad, error",
    [
        (1e300, "a weight of 1e+300 is beyond float32"),
        (-1e39, "a weight of -1e+39 is beyond float32"),
        (np.nan, "is nan"),
        (np.inf, "is inf"),
    ],
)
def test_a_float64_beyond_float32(model, tmp_path, bad, error):
    tensors = {name: value.astype(np.float64) for name, value in tensors_of(model).items()}
    tensors["encoder.final_layer_norm.weight"][3] = bad
    folder = write(tmp_path / "m", tensors, model.config)
    with pytest.raises(t0.NumericError, match=f"encoder.final_layer_norm.weight.*{re.escape(error)}"):
        load(folder)


# ---- shards ------------------------------------------------------------------------------------------------------------------


def shards_of(tensors):
    return {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(tensors))}


@pytest.mark.parametrize("kept", ["shared.weight", *COPIES])
def test_an_index_that_promises_copies(model, tmp_path, caplog, kept):
    """As a conversion leaves it that keeps one name of several: the others stand in the index alone."""
    tensors = tensors_of(model)
    table = tensors.pop("shared.weight")
    tensors[kept] = table
    copies = ["shared.weight", *COPIES] + (["lm_head.weight"] if model.config.tie_word_embeddings else [])
    first = "model-00001-of-00002.safetensors"
    folder = write(
        tmp_path / "m", tensors, model.config, shards_of(tensors) | dict.fromkeys(copies, first) | {kept: shards_of(tensors)[kept]}
    )
    assert same(folder, model) and caplog.text == ""
    notes = describe_model(folder)["notes"]
    assert "promises" in notes and "which no shard holds" in notes and (kept == "shared.weight") is ("is taken for" not in notes)


def test_a_head_that_an_index_promises_is_no_copy_where_no_key_says_so(tmp_path):
    model = t0.Model.init(TIED, seed=5)
    tensors = tensors_of(model)
    folder = write(tmp_path / "m", tensors, TIED, shards_of(tensors) | {"lm_head.weight": "model-00001-of-00002.safetensors"})
    assert same(folder, model)
    for keys in (
        {"scale_decoder_outputs": True},
        {"scale_decoder_outputs": False},
        {"model_type": "mt5", "transformers_version": "5.24.0", "is_gated_act": False},
        {"tie_word_embeddings": False},
    ):
        (folder / "config.json").write_text(json.dumps(TIED.to_dict() | keys))
        with pytest.raises(t0.FormatError, match=r"lm_head\.weight: missing, expected shape \[19, 6\] \(the head is a tensor of its own"):
            load(folder)


def test_what_an_index_promises_beyond_copies(model, tmp_path):
    tensors = tensors_of(model)
    for name in ("encoder.final_layer_norm.weight", "other.weight"):
        promised = shards_of(tensors) | {name: "model-00001-of-00002.safetensors"}
        folder = write(tmp_path / "m", {key: value for key, value in tensors.items() if key != name}, model.config, promised)
        with pytest.raises(
            t0.FormatError, match=f"1 problem.*\n  file model-00001-of-00002.safetensors, tensor {name}: promised by the index, not found$"
        ):
            load(folder)
    left = {name: value for name, value in tensors.items() if name != "shared.weight"}
    folder = write(tmp_path / "m", left, model.config, shards_of(tensors))
    with pytest.raises(t0.FormatError, match=r"tensor shared\.weight: promised by the index, not found"):
        load(folder)


def test_a_missing_shard_is_one_sentence(model, tmp_path):
    tensors = tensors_of(model)
    folder = write(tmp_path / "m", tensors, model.config, shards_of(tensors))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(t0.FormatError) as error:
        load(folder)
    assert str(error.value) == (
        f"{folder}/model.safetensors.index.json: 1 problem(s):\n  file model-00002-of-00002.safetensors: not here, though the index lists it; "
        f"get this shard again, into {folder}"
    )
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"model-00001-of-00002\.safetensors: shards of weights without their index, not read here; get model\.safetensors\.index\.json",
    ):
        load(folder)


# ---- what other programs leave -----------------------------------------------------------------------------------------------


FOREIGN = {
    "flax_model.msgpack": "weights of Flax",
    "flax_model-00001-of-00002.msgpack": "weights of Flax",
    "tf_model.h5": "weights of TensorFlow",
    "tf_model-00001-of-00002.h5": "weights of TensorFlow",
    "decoder_model_merged.onnx": "a graph of ONNX",
    "encoder_model.onnx_data": "a graph of ONNX",
    "shared_vocabulary.json": "a model of CTranslate2",
    "openvino_encoder_model.xml": "a graph of OpenVINO",
    "_CHECKPOINT_METADATA": "a checkpoint of Orbax",
    "manifest.ocdbt": "a checkpoint of Orbax",
    "rust_model.ot": "weights of rust-bert",
    "zero_to_fp32.py": "the parts of a training by DeepSpeed",
    "__0_0.distcp": "the parts of a training by FSDP",
    "model.ckpt-1000.index": "a checkpoint of TensorFlow",
    "epoch=3.ckpt": "a checkpoint of Lightning",
    "trainer_state.json": "the state of a training",
    "t5.tflite": "a compiled model",
    "model.fp16.safetensors": "tensors under another name",
    "consolidated.00.pth": "a file of torch under another name",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("with_config", [True, False])
def test_another_programs_files_are_named(tmp_path, name, with_config):
    if with_config:
        (tmp_path / "config.json").write_text(json.dumps(UNTIED.to_dict()))
    (tmp_path / name).write_bytes(b"\0" * 100)
    with pytest.raises(FileNotFoundError) as error:
        load(tmp_path)
    missing = (
        "neither model.safetensors nor pytorch_model.bin nor the index of their shards is here" if with_config else "no config.json here"
    )
    told = re.fullmatch(f"{re.escape(str(tmp_path))}: {missing}; {re.escape(name)}: (.+), not read here; (.+)", str(error.value))
    assert told and told[1].startswith(FOREIGN[name]) and len(told[2]) > 20, error.value


@pytest.mark.parametrize("name", [name for name in FOREIGN if name not in ("trainer_state.json", "_CHECKPOINT_METADATA")])
def test_beside_weights_they_do_not_matter(model, tmp_path, caplog, name):
    folder = write(tmp_path / "m", tensors_of(model), model.config)
    (folder / name).write_bytes(b"\0" * 100)
    assert same(folder, model) and caplog.text == ""


FACTS = [
    ({"peft_type": "LORA", "base_model_name_or_path": "bigscience/T0_3B"}, " (LORA)", " bigscience/T0_3B"),
    ({"peft_type": 5, "base_model_name_or_path": None}, "", ""),
    ({"peft_type": "PREFIX_TUNING", "base_model_name_or_path": "a\nb"}, " (PREFIX_TUNING)", ""),
    ([1], "", ""),
    (None, "", ""),
]


@pytest.mark.parametrize("facts, kind, base", FACTS)
def test_the_folder_of_an_adapter(model, tmp_path, caplog, facts, kind, base):
    content = "{" * 50_000 if facts is None else json.dumps(facts)
    (tmp_path / "adapter_config.json").write_text(content)
    sentence = f"adapter_config.json: an adapter of peft{kind}, which is no model; load its model{base} with adapter=DIR"
    with pytest.raises(FileNotFoundError) as error:
        load(tmp_path)
    assert str(error.value) == f"{tmp_path}: no config.json here; {sentence}"
    write(tmp_path, tensors_of(model), model.config)
    assert same(tmp_path, model)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.WARNING, f"{tmp_path}: the weights beside it are loaded without {sentence}")
    ]


def test_a_folder_of_models(model, tmp_path):
    for step in (500, 1500, 1000):
        write(tmp_path / f"checkpoint-{step}", tensors_of(model), model.config)
    with pytest.raises(
        FileNotFoundError, match=f"no config.json here; the last checkpoint of this training is {tmp_path}/checkpoint-1500$"
    ):
        load(tmp_path)
    for step in (500, 1500, 1000):
        shutil.move(tmp_path / f"checkpoint-{step}", tmp_path / f"seed-{step}")
    with pytest.raises(
        FileNotFoundError, match="no config.json here; models lie in folders of it: seed-1000, seed-1500, seed-500; name one of them$"
    ):
        load(tmp_path)


FILES = {
    "model.pt": (b"PK\3\4", "a file; name the folder"),
    "weights": (b"PK\3\4", r"a file of torch \(or another zip\); name the folder"),
    "old": (b"\x80\2\x8a", "a pickle, as torch wrote it before 1.6; name the folder"),
    "pickled": (b"\x80\4\x95", "a pickle; only a state dict"),
    "spiece.model": (b"\n\x0e", "the file of a tokenizer; name the folder"),
    "tokenizer.json": (b"{}", "the file of a tokenizer; name the folder"),
    "tf_model.h5": (b"\x89HDF", "weights of TensorFlow, not read here"),
    "encoder.onnx": (b"\x08\x07", "a graph of ONNX, not read here"),
    "weights.npy": (b"\x93NUMPY", "an array of NumPy; a model is a folder"),
    "m.tar.gz": (b"\x1f\x8b\x08", "compressed by gzip; unpack it"),
    "page": (b"<!DOCTYPE html>", "a web page, not the file itself"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_given_by_name(tmp_path, name):
    start, message = FILES[name]
    (tmp_path / name).write_bytes(start + bytes(200))
    with pytest.raises(NotADirectoryError, match=f"{re.escape(name)}: {message}"):
        load(tmp_path / name)


# ---- architectures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys, message",
    [
        ({"feed_forward_proj": "gated-tanh"}, "feed_forward_proj 'gated-tanh': must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these behind 'gated-', as 'gated-gelu'"),
        ({"dense_act_fn": "mish"}, "feed_forward_proj 'gated-mish': must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these"),
        ({"architectures": ["T5Model"], "is_encoder_decoder": False}, "architectures 'T5Model' is not supported; T5ForConditionalGeneration is, and T5EncoderModel"),
        ({"is_encoder_decoder": False}, "is_encoder_decoder False is not supported; it must be true, but for an encoder alone"),
        ({"model_type": "longt5"}, "model_type 'longt5' is not supported: LongT5, whose encoder attends to neighbours alone"),
        ({"architectures": ["T5ForSequenceClassification"]}, "architectures 'T5ForSequenceClassification' is not supported"),
    ],
)  # fmt: skip
def test_relatives_are_refused_by_name(model, tmp_path, keys, message):
    folder = write(tmp_path / "m", tensors_of(model), model.config)
    (folder / "config.json").write_text(json.dumps(UNTIED.to_dict() | keys))
    with pytest.raises(t0.FormatError) as error:
        load(folder)
    assert str(error.value).startswith(f"{folder}/config.json: configuration: {message}")
