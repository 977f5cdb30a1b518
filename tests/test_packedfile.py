"""Packed int8 files: the same bits as packing at load time, nothing read until it is used, every lie of a header told."""

import json
import struct

import numpy as np
import pytest

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.cli.main import main
from t0native.models.inspection import describe_model

UNTIED = t0.Config(vocab_size=67, d_model=9, d_ff=37, num_layers=1, num_heads=2, d_kv=3, num_decoder_layers=2)
TIED = t0.Config(vocab_size=67, d_model=9, d_ff=37, num_layers=2, num_heads=3, d_kv=4, feed_forward_proj="relu", tie_word_embeddings=True)
FILE = "model.t0packed"


@pytest.fixture(params=[UNTIED, TIED], ids=["untied", "tied"])
def places(request, tmp_path):
    """(folder of a model in float32, folder of its packed form)."""
    t0.Model.init(request.param, seed=3).save(tmp_path / "m")
    convert(open_checkpoint(tmp_path / "m"), tmp_path / "packed", "int8")
    return tmp_path / "m", tmp_path / "packed"


def load(path, dtype="int8", **options):
    return t0.Model.from_pretrained(path, dtype, **options)


def scores(model):
    return [ranking.scores.tolist() for ranking in model.rank([[3, 4, 5, 6], [7]], [[[8], [9, 10]], [[11, 2], [4]]])]


def test_the_same_bits_as_packing_at_load_time(places):
    folder, packed = places
    expected, found = load(folder), load(packed, verify=True)
    assert (packed / FILE).stat().st_size % 4096 == found.core.nbytes % 4096
    assert np.array_equal(expected.core.panels(), found.core.panels())
    assert expected.config == found.config and scores(expected) == scores(found) == scores(load(packed / FILE))


def test_the_layout_is_that_of_older_files(tmp_path):
    """A file of this version must be read by every later one: a changed layout needs a new version in packedfile.py."""
    config = t0.Config(vocab_size=5, d_model=3, d_ff=2, num_layers=1, num_heads=1, d_kv=2)
    model = t0.Model.init(config)
    for i, (name, shape) in enumerate(config.tensors().items()):
        values = ((np.arange(np.prod(shape)) * 37 + i * 11) % 255 - 127).reshape(shape)
        values[..., 0] = 127  # so that the integers of a row are these, and its scale 1 / 64
        model.core._writable(name)[...] = values / 64
    model.save(tmp_path / "m")
    convert(open_checkpoint(tmp_path / "m"), tmp_path / "p", "int8")
    file = open_checkpoint(tmp_path / "p")
    assert (file.begin, file.size, file.sha256) == LAYOUT


LAYOUT = (4096, 5824, "d108ea68c71e9bd3445a35dc88f972be8c27c0150c12ff0607c46e505769e825")


def test_opening_reads_the_header_alone(places, monkeypatch):
    """What lies in the block is not looked at, so a changed byte is found by verify=True and by nothing else."""
    _, packed = places
    data = (packed / FILE).read_bytes()
    (packed / FILE).write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    load(packed)
    with pytest.raises(t0.FormatError, match="SHA-256 differs"):
        load(packed, verify=True)


def test_saved_again_and_over_itself(places, tmp_path):
    _, packed = places
    model = load(packed)
    before = (packed / FILE).read_bytes()
    model.save(tmp_path / "again")
    model.save(packed)
    assert (tmp_path / "again" / FILE).read_bytes() == (packed / FILE).read_bytes() == before
    assert scores(model) == scores(load(tmp_path / "again"))


def test_other_number_types_are_refused_with_the_remedy(places):
    folder, packed = places
    for dtype in ("float32", "bfloat16"):
        with pytest.raises(t0.ConfigError, match='packed: holds int8 weights, from which no others can be made; load it with dtype="int8"'):
            load(packed, dtype)
    with pytest.raises(t0.ConfigError, match="convert the model that it was made from"):
        convert(open_checkpoint(packed), folder.parent / "x", "float32")


def test_two_forms_in_one_folder(places):
    folder, packed = places
    with pytest.raises(t0.ConfigError, match=r"holds model\.safetensors, which may be another model's: remove it"):
        load(packed).save(folder)
    with pytest.raises(t0.ConfigError, match=r"holds model\.t0packed, which may be another model's"):
        load(folder, "float32").save(packed)
    convert(open_checkpoint(folder), folder, "int8")
    assert scores(load(folder)) == scores(load(packed)) != scores(load(folder, "float32"))
    (folder / "model.safetensors").unlink()
    assert scores(load(folder)) == scores(load(packed))


def test_a_changed_configuration_must_fit(places):
    _, packed = places
    assert load(packed, config={"relative_attention_max_distance": 60}).config.relative_attention_max_distance == 60
    with pytest.raises(t0.ConfigError, match="tensors of other shapes"):
        load(packed, config={"d_ff": 38})


def test_what_is_not_finite_is_found_when_it_is_written(tmp_path):
    model = t0.Model.init(UNTIED)
    model.core._writable("lm_head.weight")[66, 8] = np.nan
    model.save(tmp_path / "m")
    with pytest.raises(t0.NumericError, match="lm_head.weight, element 602 is nan"):
        convert(open_checkpoint(tmp_path / "m"), tmp_path / "p", "int8")
    assert not (tmp_path / "p").exists()


def test_info_and_the_command(places, capsys):
    folder, packed = places
    assert main(["convert", str(folder), str(packed / "new"), "--dtype", "int8"]) == 0
    assert (packed / "new" / FILE).read_bytes() == (packed / FILE).read_bytes()
    facts = describe_model(packed)
    assert facts["loads"].startswith("for ids alone") and facts["files"].startswith(FILE) and facts["parameters"] == load(packed).parameters
    assert main(["info", str(packed / FILE)]) == 0 and "I8" in capsys.readouterr().out
    assert main(["rank", "--model", str(packed), "a", "b"]) == 2 and "load it with --dtype int8" in capsys.readouterr().err
    assert main(["rank", "--model", str(packed), "--dtype", "int8", "a", "b"]) == 2 and "no tokenizer" in capsys.readouterr().err


def header_of(data):
    (length,) = struct.unpack("<Q", data[8:16])
    return json.loads(data[16 : 16 + length])


def with_header(data, header):
    text = json.dumps(header).encode()
    return (data[:8] + struct.pack("<Q", len(text)) + text).ljust(4096, b"\0") + data[4096:]


BAD = {
    "empty": (lambda data: b"", "not a packed model"),
    "another file": (lambda data: b"PK\3\4" + data[4:], "not a packed model"),
    "a header longer than the file": (lambda data: data[:8] + struct.pack("<Q", 1 << 60) + data[16:], "header of 1152921504606846976 bytes"),
    "a header that is no JSON": (lambda data: data[:16] + b"x" + data[17:], "JSON is broken"),
    "a list": (lambda data: with_header(data, [1]), "only version 1 with int8 is read"),
    "another version": (lambda data: with_header(data, header_of(data) | {"version": 2}), "'version': 2.*convert the model again"),
    "another dtype": (lambda data: with_header(data, header_of(data) | {"dtype": "int4"}), "'dtype': 'int4'"),
    "no configuration": (lambda data: with_header(data, header_of(data) | {"config": None}), "its header lacks config"),
    "a wrong configuration": (lambda data: with_header(data, header_of(data) | {"config": header_of(data)["config"] | {"d_model": -1}}), "d_model -1: must be"),
    "another configuration": (lambda data: with_header(data, header_of(data) | {"config": header_of(data)["config"] | {"d_ff": 77}}), "packed weights: "),
    "no sum": (lambda data: with_header(data, {key: value for key, value in header_of(data).items() if key != "sha256"}), "its header lacks sha256"),
    "a size that is a flag": (lambda data: with_header(data, header_of(data) | {"bytes": True}), "its header lacks bytes"),
    "another size": (lambda data: with_header(data, header_of(data) | {"bytes": 64}), "but its header tells 4160"),
    "cut off": (lambda data: data[:-1], r"was it cut off\?"),
    "bytes behind": (lambda data: data + b"\0", r"was it cut off\?"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_broken_files(tmp_path, name):
    t0.Model.init(UNTIED).save(tmp_path / "m")
    convert(open_checkpoint(tmp_path / "m"), tmp_path / "p", "int8")
    change, message = BAD[name]
    (tmp_path / "p" / FILE).write_bytes(change((tmp_path / "p" / FILE).read_bytes()))
    with pytest.raises(t0.FormatError, match=message):
        load(tmp_path / "p")
