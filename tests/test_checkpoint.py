"""Checkpoints: what is read is what was written, bad files are refused with the reason, a failed write leaves nothing."""

import copy
import errno
import json
import os
import struct

import numpy as np
import pytest
from conftest import needed
from fuzz_checkpoints import fuzz

import t0native as t0
from t0native.checkpoints.checkpoint import Checkpoint
from t0native.checkpoints.safetensorfiles import read_header

hypothesis = needed("hypothesis", "pip install '.[test]'", module_level=True)
safetensors = needed("safetensors.numpy", "pip install '.[test]'", module_level=True)
st = hypothesis.strategies

UNTIED = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3, num_decoder_layers=2)
TIED = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3, feed_forward_proj="relu", tie_word_embeddings=True)


@pytest.fixture(params=[UNTIED, TIED], ids=["untied", "tied"])
def saved(request, tmp_path):
    """(model, folder it was saved to)."""
    model = t0.Model.init(request.param, seed=3)
    model.save(tmp_path / "m")
    return model, tmp_path / "m"


def weights_of(model):
    return {name: model.core.tensor(name).copy() for name, _ in model.core.tensors()}


def rewrite(folder, change, **options):
    """Writes the folder's weights again with safetensors itself, after `change` of their dict."""
    tensors = dict(safetensors.load_file(folder / "model.safetensors"))
    safetensors.save_file(change(tensors) or tensors, folder / "model.safetensors", **options)


def load(folder, **options):
    return t0.Model.from_pretrained(folder, **options)


def test_round_trip_keeps_every_bit(saved):
    model, folder = saved
    again = load(folder)
    assert again.config == model.config and again.name == "m"
    for name, value in weights_of(model).items():
        assert np.array_equal(again.core.tensor(name).view(np.uint32), value.view(np.uint32)), name


def test_safetensors_reads_what_we_write(saved):
    model, folder = saved
    read = safetensors.load_file(folder / "model.safetensors")
    ours = weights_of(model)
    assert read.keys() == ours.keys()
    assert all(np.array_equal(read[name], ours[name]) for name in ours)


def test_files_of_a_saved_folder(saved):
    _, folder = saved
    assert sorted(os.listdir(folder)) == ["README.md", "config.json", "generation_config.json", "model.safetensors"]
    data = json.loads((folder / "config.json").read_text())
    assert data["model_type"] == "t5" and data["architectures"] == ["T5ForConditionalGeneration"] and data["is_encoder_decoder"] is True


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_widened(tmp_path, dtype):
    model = t0.Model.init(UNTIED, seed=3)
    model.save(tmp_path)
    header, data, expected = {}, b"", {}
    for name, value in weights_of(model).items():
        if dtype == "float16":
            raw = value.astype(np.float16)
            expected[name] = raw.astype(np.float32)
        else:
            raw = (value.view(np.uint32) >> 16).astype(np.uint16)
            expected[name] = (raw.astype(np.uint32) << 16).view(np.float32)
        header[name] = {
            "dtype": {"float16": "F16", "bfloat16": "BF16"}[dtype],
            "shape": list(value.shape),
            "data_offsets": [len(data), len(data) + raw.nbytes],
        }
        data += raw.tobytes()
    write_raw(tmp_path / "model.safetensors", header, data)
    again = load(tmp_path)
    assert all(np.array_equal(again.core.tensor(name), expected[name]) for name in expected)


def write_raw(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def shard(folder, parts=2):
    """Splits model.safetensors into shards with an index; returns the index's path."""
    tensors = safetensors.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for part in range(parts):
        name = f"model-{part + 1:05}-of-{parts:05}.safetensors"
        mine = {key: tensors[key] for key in sorted(tensors)[part::parts]}
        safetensors.save_file(mine, folder / name)
        weight_map |= dict.fromkeys(mine, name)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": weight_map}))
    return index


def test_shards(saved):
    model, folder = saved
    shard(folder, 3)
    again = load(folder)
    assert all(np.array_equal(again.core.tensor(name), value) for name, value in weights_of(model).items())


def test_a_shard_name_may_not_leave_the_folder(saved, tmp_path):
    _, folder = saved
    index = shard(folder)
    text = index.read_text()
    for name in ("../model-00001-of-00002.safetensors", "/etc/passwd", "a/b.safetensors", "..", ""):
        index.write_text(text.replace("model-00001-of-00002.safetensors", name))
        with pytest.raises(t0.FormatError, match="plain name"):
            load(folder)


def test_index_and_shards_must_agree(saved):
    _, folder = saved
    index = shard(folder)
    data = json.loads(index.read_text())
    data["weight_map"]["no.such.weight"] = "model-00001-of-00002.safetensors"
    data["weight_map"]["shared.weight"] = "missing.safetensors"
    index.write_text(json.dumps(data))
    with pytest.raises(t0.FormatError) as caught:
        load(folder)
    assert "missing.safetensors: not here" in str(caught.value) and "no.such.weight: promised by the index, not found" in str(caught.value)


def test_embedding_copies_are_accepted_only_when_equal(saved):
    _, folder = saved

    def copies(tensors):
        tensors["encoder.embed_tokens.weight"] = tensors["shared.weight"].copy()
        tensors["decoder.embed_tokens.weight"] = tensors["shared.weight"].copy()

    rewrite(folder, copies)
    load(folder)

    def differ(tensors):
        tensors["decoder.embed_tokens.weight"][3, 2] += 1e-6

    rewrite(folder, differ)
    with pytest.raises(t0.FormatError, match=r"decoder\.embed_tokens\.weight: expected the same values as shared\.weight"):
        load(folder)


def test_a_missing_untied_head_is_not_tied_in_silence(tmp_path):
    t0.Model.init(UNTIED).save(tmp_path)
    rewrite(tmp_path, lambda tensors: {name: tensors[name] for name in tensors if name != "lm_head.weight"})
    with pytest.raises(t0.FormatError, match=r"lm_head\.weight: missing, expected shape \[19, 6\].*tie_word_embeddings"):
        load(tmp_path)


def test_a_head_beside_a_tied_one_must_equal_it(tmp_path):
    t0.Model.init(TIED).save(tmp_path)
    rewrite(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["shared.weight"].copy()}))
    load(tmp_path)
    rewrite(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["shared.weight"] * 2}))
    with pytest.raises(t0.FormatError, match="ties the head"):
        load(tmp_path)


def test_a_head_that_took_the_embedding_is_an_error(tmp_path):
    """What a library leaves that tied the head of an untied model and saved it."""
    t0.Model.init(UNTIED).save(tmp_path)
    rewrite(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["shared.weight"].copy()}))
    with pytest.raises(t0.FormatError, match=r"the head holds the values of shared\.weight.*they were lost when this was saved"):
        load(tmp_path)
    assert load(tmp_path, config={"tie_word_embeddings": True}).config.tie_word_embeddings


def test_every_wrong_tensor_is_listed_up_to_ten(saved):
    _, folder = saved

    def break_all(tensors):
        broken = {}
        for name, value in tensors.items():
            broken[name] = value[..., :-1].copy()
        broken["extra.weight"] = np.zeros(3, np.float32)
        return broken

    rewrite(folder, break_all)
    with pytest.raises(t0.FormatError) as caught:
        load(folder)
    lines = str(caught.value).splitlines()
    assert len(lines) == 12 and lines[-1].strip().startswith("and ") and "expected shape [6, 6], found [6, 5]" in str(caught.value)


def test_integer_weights_are_refused(saved):
    _, folder = saved
    rewrite(folder, lambda tensors: tensors.update({"shared.weight": tensors["shared.weight"].astype(np.int32)}))
    with pytest.raises(t0.FormatError, match=r"shared\.weight: expected F32, F16, BF16 or F64, found I32"):
        load(folder)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
BAD_FILES = {
    "empty": (b"", "not a safetensors file"),
    "header longer than the file": (struct.pack("<Q", 1 << 40) + b"{}", "header of 1099511627776 bytes"),
    "header over the limit": (struct.pack("<Q", 100_000_001) + b"{}", "header of 100000001"),
    "not JSON": (struct.pack("<Q", 4) + b"{,,}", "JSON is broken"),
    "not an object": (struct.pack("<Q", 4) + b"[12]", "no JSON object"),
    "not UTF-8": (struct.pack("<Q", 7) + b'{"\xff":1}', "JSON is broken"),
    "depth bomb": (struct.pack("<Q", 200_005) + b'{"a":' + b"[" * 100_000 + b"]" * 100_000, "JSON is broken"),
}
BAD_HEADERS = {
    "twice": (
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}',
        8,
        "'a' stands twice",
    ),
    "overlap": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [4, 12]}}, 12, "b: begins at offset .*overlaps"),
    "hole": ({"a": ENTRY, "b": {**ENTRY, "data_offsets": [12, 20]}}, 20, "b: begins at offset .*hole"),
    "bytes behind": ({"a": ENTRY}, 12, "4 bytes behind the last tensor"),
    "cut off": ({"a": ENTRY}, 7, "cut off"),
    "size differs": ({"a": {**ENTRY, "shape": [3]}}, 8, "8 bytes, but F32 \\[3\\] takes 12"),
    "negative": ({"a": {**ENTRY, "shape": [-2]}}, 8, "none negative"),
    "true is no number": ({"a": {**ENTRY, "shape": [True, 2]}}, 8, "none negative"),
    "overflow": ({"a": {**ENTRY, "shape": [1 << 62, 1 << 62]}}, 8, r"must be a list of at most 8 numbers, .* fewer than 2\*\*63 bytes"),
    "unknown type": ({"a": {**ENTRY, "dtype": "F7"}}, 8, "'F7' is unknown"),
    "no offsets": ({"a": {"dtype": "F32", "shape": [2]}}, 8, "must have dtype, shape"),
    "no entry": ({"a": 5}, 8, "must have dtype, shape"),
    "metadata": ({"a": ENTRY, "__metadata__": {"format": 1}}, 8, "__metadata__: must be an object of texts"),
    **{f"metadata {value!r}": ({"a": ENTRY, "__metadata__": value}, 8, "__metadata__: must be") for value in (0, [], "", False)},
    "backwards": ({"a": {**ENTRY, "data_offsets": [8, 0]}}, 8, "-8 bytes"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_broken_files(tmp_path, name):
    content, message = BAD_FILES[name]
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(t0.FormatError, match=message):
        read_header(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_broken_headers(tmp_path, name):
    header, size, message = BAD_HEADERS[name]
    write_raw(tmp_path / "x.safetensors", header, bytes(size))
    with pytest.raises(t0.FormatError, match=message):
        read_header(tmp_path / "x.safetensors")


HEADER = {
    "__metadata__": {"format": "pt"},
    "a": {**ENTRY, "shape": [2, 1]},
    "b": {"dtype": "F16", "shape": [3], "data_offsets": [8, 14]},
    "c": {"dtype": "BF16", "shape": [], "data_offsets": [14, 16]},
}
VALUES = [
    0, 1, -1, 2, 8, 14, 16, 2**64, 1.0, True, False, None, "", "F32", "I64", "BF16", [], [2], [1, 2], [0, 8], [8, 0], [14, 14], {},
    {"format": 1}, {"format": None}, {"a": "b"}, ENTRY,
]  # fmt: skip
PLACES = [(name, key) for name, entry in HEADER.items() for key in (None, *entry)]
PIECES = [b"0", b"-1", b"8", b"{}", b"null", b"true", b",", b'"', b"}", b" ", b"1.0", b"1e1", b"9" * 20, b"\xff", b"\\u0061", b""]


@st.composite
def changed_headers(draw):
    """HEADER with some values replaced, then, as text, some bytes."""
    header = {name: dict(entry) for name, entry in HEADER.items()}
    for name, key in draw(st.lists(st.sampled_from(PLACES), max_size=2)):
        value = copy.deepcopy(draw(st.sampled_from(VALUES)))
        if key is None:
            header[name] = value
        elif isinstance(header[name], dict):
            header[name][key] = value
    text = json.dumps(header).encode()
    for at in draw(st.lists(st.integers(0, len(text) - 1), max_size=2)):
        text = text[:at] + draw(st.sampled_from(PIECES)) + text[at + draw(st.integers(0, 4)) :]
    return text


@hypothesis.settings(max_examples=400, deadline=None, derandomize=True, database=None)
@hypothesis.given(header=changed_headers(), size=st.sampled_from([16, 16, 16, 0, 8, 14, 17]))
def test_headers_are_accepted_where_safetensors_accepts_them(tmp_path_factory, header, size):
    from safetensors import safe_open

    hypothesis.assume(header.startswith(b"{"))  # the format demands it, the library does not look
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    write_raw(path, header, bytes(size))
    try:
        with safe_open(path, "np") as file:
            expected = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}
    except Exception:
        expected = None
    try:
        found = {entry.name: entry.shape for entry in read_header(path)}
    except t0.FormatError:
        found = None
    assert found == expected, header


def test_every_truncation_of_a_file_is_an_error(tmp_path):
    model = t0.Model.init(UNTIED)
    model.save(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    for size in [*range(0, 64), *range(64, len(whole), 97), len(whole) - 1]:
        (tmp_path / "model.safetensors").write_bytes(whole[:size])
        with pytest.raises(t0.FormatError):
            load(tmp_path)


def test_a_file_that_shrinks_while_it_is_read(saved, monkeypatch):
    _, folder = saved
    real = Checkpoint.check

    def cut_then_check(self):
        os.truncate(folder / "model.safetensors", (folder / "model.safetensors").stat().st_size - 10)
        real(self)

    monkeypatch.setattr(Checkpoint, "check", cut_then_check)
    with pytest.raises(t0.FormatError, match="ends 10 bytes too early"):
        load(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(saved, value):
    model, folder = saved
    for name, shape in model.core.tensors():
        place = int(np.prod(shape)) - 1

        def plant(tensors, name=name, place=place):
            tensors[name].reshape(-1)[place] = value

        original = (folder / "model.safetensors").read_bytes()
        rewrite(folder, plant)
        with pytest.raises(t0.NumericError, match=f"tensor {name}, element {place} is {value}"):
            load(folder)
        assert not np.isfinite(load(folder, allow_nonfinite=True).core.tensor(name)).all()
        (folder / "model.safetensors").write_bytes(original)


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder; a model is a folder with"):
        load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(UNTIED.to_dict()))
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load(tmp_path)


@pytest.mark.parametrize("call, at", [("fsync", 0), ("fsync", 1), ("fsync", 2), ("replace", 0)])
def test_a_failed_write_leaves_the_old_folder(saved, monkeypatch, call, at):
    model, folder = saved
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    model.core.init("t5", 99)
    real, calls = getattr(os, call), []

    def failing(*arguments):
        calls.append(arguments)
        if len(calls) == at + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*arguments)

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="o space left"):
        model.save(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_a_failed_first_save_leaves_no_folder(tmp_path, monkeypatch):
    model = t0.Model.init(UNTIED)
    monkeypatch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device")))
    with pytest.raises(OSError, match="o space left"):
        model.save(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_shapes_are_compared_before_memory_is_asked_for(saved):
    """A configuration of 2^48 weights beside a small file is told as what it is, not as a lack of memory."""
    _, folder = saved
    config = json.loads((folder / "config.json").read_text()) | {"vocab_size": 2**28, "d_model": 2**20}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(t0.FormatError, match=r"shared\.weight: expected shape \[268435456, 1048576\], found \[19, 6\]"):
        load(folder)


def test_a_model_is_saved_in_its_own_float_type(saved, tmp_path):
    _, folder = saved
    load(folder).save(tmp_path / "float")
    assert (tmp_path / "float/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    half = load(folder, dtype="bfloat16")
    half.save(tmp_path / "half")
    assert {entry.dtype for entry in read_header(tmp_path / "half/model.safetensors")} == {"BF16", "F32"}
    again = load(tmp_path / "half", dtype="bfloat16")
    assert all(np.array_equal(again.core.tensor(name), value) for name, value in weights_of(half).items())


def test_changed_files_are_read_or_refused(tmp_path):
    """tests/fuzz_checkpoints.py changes 200,000."""
    met = fuzz(tmp_path, 700, 1)
    assert {kind for kind, what in met if what == "FormatError"} == {
        "state dict",
        "torch",
        "msgpack",
        "safetensors",
        "packed",
        "zarray",
        "chunk",
    }
