"""Files of llama.cpp: written by its own package where it is installed, and by hand; scores, tokens, and what is refused."""

import dataclasses
import pickle
import struct

import engine_models  # noqa: F401  finds golden_models
import gguf_files as gguf
import numpy as np
import pytest
from conftest import needed
from engine_models import golden

import t0native as t0
from t0native.checkpoints.gguffile import read_gguf

SIZES = dict(vocab_size=70, d_model=64, d_kv=8, d_ff=96, num_layers=2, num_decoder_layers=3, num_heads=4)
MODELS = {
    "T5 1.1": t0.Config(**SIZES),
    "T5 1.0": t0.Config(**SIZES, feed_forward_proj="relu", tie_word_embeddings=True),
    "awkward": t0.Config(vocab_size=41, d_model=33, d_kv=5, d_ff=32, num_layers=1, num_heads=3, pad_token_id=1, eos_token_id=2, decoder_start_token_id=0),
    "umT5": t0.Config(**SIZES, relative_attention_every_layer=True, relative_attention_num_buckets=16),
    "one layer": t0.Config(vocab_size=64, d_model=32, d_kv=32, d_ff=32, num_layers=1, num_heads=1, layer_norm_epsilon=1e-5),
    "encoder": t0.Config(**SIZES | {"num_decoder_layers": 2}, encoder_only=True),
}  # fmt: skip
KINDS = ("F32", "F16", "BF16", "Q8_0")
TEXTS = ["Tom drinks tea.", "  two  spaces\nand a line", "naïve café Ångström", "<extra_id_0> and <extra_id_99>", ""]


def tensors_of(config, seed=0):
    return {name: golden.weight(name, tuple(shape), seed) for name, shape in config.tensors().items()}


def model_of(config, tensors, folder, dtype="float32"):
    """The same by a safetensors file."""
    model = t0.Model.init(config, seed=0)
    for name, array in tensors.items():
        model.core.put(name, 0, np.ascontiguousarray(array))
    model.save(folder)
    return t0.Model.from_pretrained(folder, dtype, tokenizer=False)


def numbers(model):
    """Logits, or the states of an encoder."""
    rng = np.random.default_rng(1)
    sources, targets = ([rng.integers(3, model.config.vocab_size, n).tolist() for n in lengths] for lengths in ((5, 1, 17), (3, 4, 1)))
    if model.config.encoder_only:
        return model.core.encode(*engine_models.ragged(sources))
    return model.core.logits(*engine_models.ragged(sources), *engine_models.ragged(targets))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_file_of_their_package_has_the_dequantised_numbers(tmp_path, name, kind):
    needed("gguf", "pip install gguf")
    config, file = MODELS[name], tmp_path / "model.gguf"
    values = gguf.by_their_package(file, gguf.keys_of(config), tensors_of(config), kind)
    assert {entry.dtype for entry in read_gguf(file).entries} <= {"F32", kind}
    found = t0.Model.from_pretrained(file, tokenizer=False)
    facts = dataclasses.replace(found.config, extra=config.extra)
    assert facts == config
    for dtype in ("float32", "bfloat16", "int8"):
        expected = model_of(config, values, tmp_path / dtype, dtype)
        assert np.array_equal(numbers(t0.Model.from_pretrained(file, dtype, tokenizer=False)), numbers(expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MODELS)
def test_a_file_written_by_hand_has_the_same(tmp_path, name, kind):
    config, tensors = MODELS[name], tensors_of(MODELS[name])
    (tmp_path / "model.gguf").write_bytes(gguf.gguf_bytes(gguf.keys_of(config), tensors, kind))
    values = {hub: gguf.stored(array, kind)[2] for hub, array in tensors.items()}
    expected = model_of(config, values, tmp_path / "m")
    assert np.array_equal(numbers(t0.Model.from_pretrained(tmp_path / "model.gguf", tokenizer=False)), numbers(expected))


# ---- head, configuration, place ------------------------------------------------------------------------------------------


def write(path, config, tensors=None, keys=(), **options):
    path.write_bytes(gguf.gguf_bytes(gguf.keys_of(config) | dict(keys), tensors or tensors_of(config), **options))
    return path


def test_a_head_of_the_embeddings_values_is_the_embedding(tmp_path):
    config = MODELS["T5 1.0"]
    tensors = tensors_of(config)
    plain = t0.Model.from_pretrained(write(tmp_path / "a.gguf", config, tensors), tokenizer=False)
    copied = write(tmp_path / "b.gguf", config, tensors | {"lm_head.weight": tensors["shared.weight"]})
    twice = t0.Model.from_pretrained(copied, tokenizer=False)
    assert twice.config.tie_word_embeddings and twice.config.scaled and np.array_equal(numbers(plain), numbers(twice))
    unscaled = t0.Model.from_pretrained(copied, tokenizer=False, config={"scale_decoder_outputs": False})
    assert not unscaled.config.scaled and not np.array_equal(numbers(plain), numbers(unscaled))


def test_a_folder_with_a_configuration_is_read_by_it(tmp_path):
    """As UL2's, whose gate llama.cpp does not tell."""
    config = dataclasses.replace(MODELS["T5 1.1"], feed_forward_proj="gated-silu")
    tensors = tensors_of(config)
    folder = tmp_path / "ul2"
    folder.mkdir()
    file = write(folder / "ul2-q8_0.gguf", config, tensors)
    expected = numbers(model_of(config, tensors, tmp_path / "m"))
    assert t0.Model.from_pretrained(folder, tokenizer=False).config.feed_forward_proj == "gated-gelu"
    (folder / "config.json").write_bytes((tmp_path / "m/config.json").read_bytes())
    assert np.array_equal(numbers(t0.Model.from_pretrained(folder, tokenizer=False)), expected)
    given = t0.Model.from_pretrained(file, tokenizer=False, config={"feed_forward_proj": "gated-silu"})
    assert np.array_equal(numbers(given), expected)
    write(folder / "ul2-f16.gguf", config, tensors, kind="F16")
    with pytest.raises(t0.FormatError, match=r"ul2: 2 files of llama\.cpp \(ul2-f16\.gguf, \.\.\.\): name the one to load"):
        t0.Model.from_pretrained(folder, tokenizer=False)


def test_the_encoder_of_a_whole_file(tmp_path):
    config = MODELS["T5 1.1"]
    file = write(tmp_path / "m.gguf", config, kind="Q8_0")
    whole, part = (t0.Model.from_pretrained(file, tokenizer=False, part=part) for part in (None, "encoder"))
    ids = [[5, 6, 7], [9]]
    assert part.config.encoder_only
    assert np.array_equal(*(model.core.encode(*engine_models.ragged(ids)) for model in (whole, part)))


def test_saved_converted_and_pickled(tmp_path, capsys):
    from t0native.cli.main import main

    tokenizer = t0.mini.tokenizer()
    config = dataclasses.replace(MODELS["T5 1.1"], vocab_size=tokenizer.n_pieces + 128)
    keys = spoken(tokenizer, config)
    file = write(tmp_path / "m.gguf", config, keys=keys, kind="Q8_0")
    model = t0.Model.from_pretrained(file)
    answer = model.score("Tom drinks tea.", "yes")
    assert model.tokenizer.extra_ids == 100
    model.save(tmp_path / "saved")
    assert main(["convert", str(file), str(tmp_path / "converted"), "--dtype", "float32"]) == 0
    again = pickle.loads(pickle.dumps(model))
    for other in (again, *(t0.Model.from_pretrained(tmp_path / name) for name in ("saved", "converted"))):
        assert other.score("Tom drinks tea.", "yes") == answer
        assert other.tokenizer.fingerprint == model.tokenizer.fingerprint
    capsys.readouterr()
    assert main(["info", str(file)]) == 0
    told = capsys.readouterr().out
    assert "m.gguf" in told and "T5 1.1" in told and "loads" in told and "the gate of its feed-forwards is taken for GELU's" in told


# ---- the tokenizer -----------------------------------------------------------------------------------------------------


def spoken(tokenizer, config, added=()):
    needed("sentencepiece", "pip install sentencepiece protobuf")
    needed("google.protobuf", "pip install protobuf")
    return gguf.tokenizer_keys(tokenizer.model_bytes, config.vocab_size, added)


@pytest.mark.parametrize("rows, sentinels", [(0, 0), (28, 0), (99, 0), (100, 100), (128, 100)])
def test_the_tokenizer_inside(tmp_path, rows, sentinels, caplog):
    spiece = t0.mini.tokenizer().model_bytes
    expected = t0.Tokenizer.from_bytes(spiece, extra_ids=sentinels)
    config = dataclasses.replace(MODELS["T5 1.1"], vocab_size=expected.n_pieces + rows)
    model = t0.Model.from_pretrained(write(tmp_path / "m.gguf", config, keys=spoken(expected, config)))
    assert model.tokenizer.extra_ids == sentinels
    assert ("taken for T5's sentinels" in caplog.text) == bool(sentinels)
    for text in TEXTS:
        assert np.array_equal(model.tokenizer.encode(text), expected.encode(text)), text
    assert model.tokenizer.eos_id == expected.eos_id and model.tokenizer.unk_id == expected.unk_id


def test_sentinels_and_other_added_tokens_that_are_told(tmp_path):
    plain = t0.Tokenizer.from_bytes(t0.mini.tokenizer().model_bytes, extra_ids=0)
    n = plain.n_pieces
    added = {n + 99 - k: f"<extra_id_{k}>" for k in range(100)} | {n + 100: "<sep>"}
    config = dataclasses.replace(MODELS["T5 1.1"], vocab_size=n + 128)
    model = t0.Model.from_pretrained(write(tmp_path / "m.gguf", config, keys=spoken(plain, config, added)))
    assert model.tokenizer.extra_ids == 100 and [token.text for token in model.tokenizer.added_tokens] == ["<sep>"]
    assert n + 100 in model.tokenizer.encode("a <sep> b")
    other = t0.Model.from_pretrained(tmp_path / "m.gguf", tokenizer=tmp_path / "m.gguf").tokenizer
    assert other.fingerprint == model.tokenizer.fingerprint


@pytest.mark.parametrize("normalizer", ["nmt_nfkc", "identity", "nfkc_cf"])
@pytest.mark.parametrize(
    "options", [{}, {"byte_fallback": True, "vocab_size": 400}, {"add_dummy_prefix": False, "remove_extra_whitespaces": False},
                {"model_type": "bpe"}, {"model_type": "bpe", "byte_fallback": True, "vocab_size": 400, "remove_extra_whitespaces": False}],
)  # fmt: skip
def test_models_of_sentencepiece(tmp_path, normalizer, options):
    needed("sentencepiece", "pip install sentencepiece")
    from spiece_files import SENTENCES, train_model

    spiece = train_model(tmp_path / "spm", normalization_rule_name=normalizer, **options)
    expected = t0.Tokenizer.from_bytes(spiece, extra_ids=0)
    config = dataclasses.replace(MODELS["T5 1.1"], vocab_size=expected.n_pieces)
    keys = spoken(expected, config) | {"tokenizer.ggml.eos_token_id": expected.eos_id}
    found = t0.Model.from_pretrained(write(tmp_path / "m.gguf", config, keys=keys)).tokenizer
    for text in [*TEXTS, *SENTENCES]:
        assert np.array_equal(found.encode(text), expected.encode(text)), text


@pytest.mark.parametrize("keys, told", [
    ({}, "it has no tokenizer"), ({"tokenizer.ggml.model": "gpt2"}, "tokenizer.ggml.model 'gpt2': kinds t5 and llama are read"),
])  # fmt: skip
def test_a_file_without_a_tokenizer_that_is_read_is_of_ids(tmp_path, caplog, keys, told):
    model = t0.Model.from_pretrained(write(tmp_path / "m.gguf", MODELS["T5 1.1"], keys=keys))
    assert model.tokenizer is None and told in caplog.text and "takes and gives ids" in caplog.text


# ---- what is refused ---------------------------------------------------------------------------------------------------

TENSOR = struct.Struct("<IQQIQ")


def header(version=3, tensors=0, keys=0, magic=b"GGUF"):
    return magic + struct.pack("<IQQ", version, tensors, keys)


def one_key(name="k", content=struct.pack("<II", 4, 1), count=1):
    return header(keys=count) + (gguf.text(name) + content) * count


def tensor(name="token_embd.weight", sizes=(32, 4), kind=0, offset=0):
    return gguf.text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


def with_tensors(*told, data=bytes(4096), keys=b"", count=0):
    head = header(tensors=len(told), keys=count) + keys + b"".join(told)
    return head + bytes(-len(head) % 32) + data


ALIGN = gguf.text("general.alignment")
SPLIT = gguf.text("split.count") + struct.pack("<II", 4, 3)
BROKEN = {
    "empty": (b"", "offset 0: not a GGUF file"),
    "short": (b"GG", "offset 0: not a GGUF file"),
    "other": (b"GGML" + bytes(40), "offset 0: not a GGUF file"),
    "no version": (b"GGUF", "offset 4: the version of 4 bytes, but the file ends 0 bytes on"),
    "version 1": (header(1), "offset 4: version 1; versions 2 and 3"),
    "version 4": (header(4), "offset 4: version 4; versions 2 and 3"),
    "big-endian": (header(3 << 24), "offset 4: version 50331648, written in big-endian order; .*convert the model anew"),
    "no counts": (header()[:8], "offset 8: the number of tensors of 8 bytes"),
    "no second count": (header()[:20], "offset 16: the number of keys of 8 bytes, but the file ends 4 bytes on"),
    "many tensors": (header(tensors=1 << 63), f"offset 8: {1 << 63} tensors; at most 65536"),
    "many keys": (header(keys=1 << 40), f"offset 16: {1 << 40} keys; at most 65536"),
    "no key": (header(keys=1), "offset 24: a key's name of 8 bytes"),
    "a long key": (header(keys=1) + struct.pack("<Q", 1 << 62), f"offset 24: a key's name has {1 << 62} bytes; at most 65535"),
    "half a key": (header(keys=1) + struct.pack("<Q", 9) + b"gen", "offset 32: a key's name of 9 bytes, but the file ends 3 bytes on"),
    "no UTF-8": (one_key(b"\xff\xfe"), "offset 24: a key's name is no UTF-8: b'.xff.xfe'"),
    "no kind": (header(keys=1) + gguf.text("k"), "offset 33: the kind of a value of 4 bytes"),
    "a kind of 13": (one_key(content=struct.pack("<II", 13, 1)), "offset 33: the key k is of the kind 13; kinds are 0 to 12"),
    "no value": (one_key(content=struct.pack("<I", 10)), "offset 37: the key k of 8 bytes, but the file ends 0 bytes on"),
    "a long text": (one_key(content=struct.pack("<IQ", 8, 1 << 40)), f"offset 37: the key k has {1 << 40} bytes; at most"),
    "half a text": (one_key(content=struct.pack("<IQ", 8, 100) + b"abc"), "offset 45: the key k of 100 bytes, but the file ends 3 bytes on"),
    "a text that is none": (one_key(content=struct.pack("<IQ", 8, 2) + b"\xff\xff"), "offset 37: the key k is no UTF-8"),
    "a list of lists": (one_key(content=struct.pack("<IIQ", 9, 9, 1)), "offset 37: the key k is a list of the kind 9"),
    "a list of kind 99": (one_key(content=struct.pack("<IIQ", 9, 99, 1)), "offset 37: the key k is a list of the kind 99"),
    "a long list": (one_key(content=struct.pack("<IIQ", 9, 4, 1 << 62)), f"offset 49: the key k of {1 << 64} bytes"),
    "a long list of texts": (one_key(content=struct.pack("<IIQ", 9, 8, 1 << 62)), f"offset 37: the key k is a list of {1 << 62} texts"),
    "a list cut off": (one_key(content=struct.pack("<IIQI", 9, 4, 2, 0)), "offset 49: the key k of 8 bytes, but the file ends 4 bytes on"),
    "texts cut off": (one_key(content=struct.pack("<IIQQ", 9, 8, 1, 5)), "offset 57: the key k of 5 bytes, but the file ends 0 bytes on"),
    "a key twice": (one_key(count=2), "the key k is there twice"),
    "one part of three": (header(keys=1) + SPLIT, "one of 3 parts of a model; llama.cpp's `llama-gguf-split --merge`"),
    "alignment 0": (header(keys=1) + ALIGN + struct.pack("<II", 4, 0), "general.alignment 0; must be a multiple of 8"),
    "alignment 12": (header(keys=1) + ALIGN + struct.pack("<II", 4, 12), "general.alignment 12; must be a multiple of 8"),
    "alignment -8": (header(keys=1) + ALIGN + struct.pack("<Ii", 5, -8), "general.alignment -8; must be a multiple of 8"),
    "alignment large": (header(keys=1) + ALIGN + struct.pack("<II", 4, 1 << 30), "general.alignment 1073741824; must be"),
    "alignment a flag": (header(keys=1) + ALIGN + struct.pack("<IB", 7, 1), "general.alignment True; must be"),
    "alignment a text": (header(keys=1) + ALIGN + gguf.value("32"), "general.alignment '32'; must be"),
    "no tensor": (header(tensors=1), "offset 24: a tensor's name of 8 bytes"),
    "no dimension": (with_tensors(tensor(sizes=())), "offset 24: tensor token_embd.weight has 0 dimensions; 1 to 4"),
    "many dimensions": (with_tensors(tensor(sizes=(1,) * 5)), "offset 24: tensor token_embd.weight has 5 dimensions; 1 to 4"),
    "more dimensions": (header(tensors=1) + gguf.text("a") + struct.pack("<I", 1 << 31), "has 2147483648 dimensions"),
    "sizes cut off": (header(tensors=1) + gguf.text("a") + struct.pack("<IQ", 2, 3), "offset 37: sizes of 16 bytes"),
    "no type": (header(tensors=1) + gguf.text("a") + struct.pack("<IQ", 1, 3), "offset 45: a tensor's type of 4 bytes"),
    "no offset": (header(tensors=1) + gguf.text("a") + struct.pack("<IQI", 1, 3, 0), "offset 49: a tensor's offset of 8 bytes"),
    "a tensor twice": (with_tensors(tensor(), tensor(offset=512)), "the tensor token_embd.weight is there twice"),
    "Q4_K": (with_tensors(tensor(kind=12)), r"offset 24, tensor token_embd.weight: Q4_K is not read; F32, F16, BF16 and Q8_0 are"),
    "Q4_0": (with_tensors(tensor(kind=2)), "Q4_0 is not read"),
    "Q6_K": (with_tensors(tensor(kind=14)), "Q6_K is not read"),
    "Q5_1": (with_tensors(tensor(kind=7)), "Q5_1 is not read"),
    "IQ4_XS": (with_tensors(tensor(kind=23)), "IQ4_XS is not read"),
    "type 77": (with_tensors(tensor(kind=77)), "a type numbered 77 is not read"),
    "huge": (with_tensors(tensor(sizes=(1 << 62, 1 << 62))), "must be a list of at most 8 numbers"),
    "larger than the file": (with_tensors(tensor(sizes=(1 << 20, 4))), r"ends at byte 16777312, but the file has \d+ \(was it cut off"),
    "behind the file": (with_tensors(tensor(offset=1 << 50)), "ends at byte"),
    "an offset beyond numbers": (with_tensors(tensor(offset=(1 << 64) - 32)), "ends at byte"),
    "not aligned": (with_tensors(tensor(offset=4)), "begins at 4 behind the header, which is no multiple of 32"),
    "rows of 33 in Q8_0": (with_tensors(tensor(sizes=(33, 4), kind=8)), "rows of 33 weights in Q8_0, whose blocks have 32"),
    "overlapping": (with_tensors(tensor(), tensor("output.weight", offset=256)), "tensor output.weight: begins at offset 416, inside the one"),
    "another architecture": (one_key("general.architecture", gguf.value("llama")), "general.architecture 'llama': models of t5 and t5encoder"),
    "no architecture": (one_key(), "general.architecture None: models of t5"),
    "an architecture in numbers": (one_key("general.architecture"), "general.architecture 1: models of t5"),
    "a T5 of nothing": (one_key("general.architecture", gguf.value("t5")), "tensor shared.weight: missing"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file(tmp_path, name):
    content, message = BROKEN[name]
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(t0.FormatError, match=message) as error:
        t0.Model.from_pretrained(file)
    assert str(error.value).startswith(str(file)) and len(str(error.value)) < 1000


def told_by(tmp_path, keys=(), drop=(), **tensors):
    """The message for the T5 1.1 with other keys, without some tensors."""
    config = MODELS["T5 1.1"]
    kept = {name: array for name, array in tensors_of(config).items() if name not in drop}
    file = write(tmp_path / "m.gguf", config, kept | tensors, keys)
    with pytest.raises((t0.FormatError, t0.ConfigError)) as error:
        t0.Model.from_pretrained(file)
    assert str(error.value).startswith(str(file))
    return str(error.value).removeprefix(f"{file}: ")


@pytest.mark.parametrize("keys, message", [
    ({"t5.embedding_length": 65}, "t5.embedding_length 65: the tensors have 64"),
    ({"t5.block_count": 3}, "t5.block_count 3: the tensors have 2"),
    ({"t5.decoder_block_count": "3"}, "t5.decoder_block_count '3': the tensors have 3"),
    ({"t5.attention.head_count": ["a"]}, "t5.attention.head_count is a list of 1 values; must be one"),
    ({"t5.embedding_length": np.array([64], np.int32)}, "t5.embedding_length is a list of 1 values; must be one"),
    ({"general.architecture": np.array([1, 2], np.int32)}, "general.architecture is a list of 2 values; must be one"),
    ({"split.count": np.array([1, 1], np.int32)}, "split.count is a list of 2 values; must be one"),
    ({"tokenizer.ggml.eos_token_id": np.array([1, 1], np.int32)}, "tokenizer.ggml.eos_token_id is a list of 2 values; must be one"),
    ({"t5.attention.layer_norm_epsilon": 1}, "t5.attention.layer_norm_epsilon 1: must be a number of a float type"),
    ({"tokenizer.ggml.eos_token_id": 70}, "eos_token_id 70"),
    ({"tokenizer.ggml.padding_token_id": "x"}, "pad_token_id 'x'"),
    ({"t5.attention.layer_norm_epsilon": float("nan"), "t5.attention.layer_norm_rms_epsilon": float("nan")}, "layer_norm_epsilon nan"),
])  # fmt: skip
def test_a_key_that_contradicts_or_is_out_of_range(tmp_path, keys, message):
    assert message in told_by(tmp_path, keys)


def test_tensors_that_are_missing_or_too_many(tmp_path):
    assert "tensor decoder.block.1.layer.2.DenseReluDense.wo.weight: missing" in told_by(
        tmp_path, drop=["decoder.block.1.layer.2.DenseReluDense.wo.weight"]
    )


def test_weights_that_are_not_finite(tmp_path):
    config, tensors = MODELS["T5 1.1"], tensors_of(MODELS["T5 1.1"])
    name = "encoder.block.0.layer.0.SelfAttention.q.weight"
    tensors[name][0, 0] = np.inf
    with pytest.raises(t0.NumericError, match="is inf"):
        t0.Model.from_pretrained(write(tmp_path / "m.gguf", config, tensors), tokenizer=False)


TOKENS = {"tokenizer.ggml.model": "t5", "tokenizer.ggml.tokens": ["<pad>", "</s>", "<unk>", "a"], "tokenizer.ggml.scores": np.zeros(4, np.float32),
          "tokenizer.ggml.token_type": np.array([3, 3, 2, 1], np.int32)}  # fmt: skip


@pytest.mark.parametrize("keys, message", [
    ({"tokens": "a"}, "tokenizer.ggml.tokens 'a'; must be a list of texts"),
    ({"tokens": []}, "tokenizer.ggml.tokens []; must be a list of texts"),
    ({"scores": np.zeros(3, np.float32)}, "tokenizer.ggml.scores 3 values; must be a number for each of the 4 tokens"),
    ({"scores": 1}, "tokenizer.ggml.scores 1; must be a number for each"),
    ({"scores": np.array([0, 0, 0, np.nan], np.float32)}, "tokenizer.ggml.scores[3] nan; must be a number from -1e30 to 1e30"),
    ({"token_type": np.array([3, 3, 2, 9], np.int32)}, "tokenizer.ggml.token_type[3] 9; types are 1 to 6"),
    ({"token_type": np.array([3, 3, 1, 1], np.int32)}, "its tokenizer: "),
    ({"model": np.array([1, 2], np.int32)}, "tokenizer.ggml.model is a list of 2 values; must be one"),
    ({"model": ["t5"]}, "tokenizer.ggml.model is a list of 1 values; must be one"),
    ({"precompiled_charsmap": "abc"}, "tokenizer.ggml.precompiled_charsmap 'abc'; must be a list of bytes"),
    ({"precompiled_charsmap": np.array([1, 2], np.int32)}, "; must be a list of bytes"),
    ({"add_space_prefix": 2}, "tokenizer.ggml.add_space_prefix 2; must be true or false"),
    ({"precompiled_charsmap": np.frombuffer(b"\xff" * 40, np.int8)}, "its tokenizer: "),
])  # fmt: skip
def test_a_tokenizer_that_is_broken(tmp_path, keys, message):
    found = told_by(tmp_path, TOKENS | {f"tokenizer.ggml.{name}": content for name, content in keys.items()})
    assert message in found
