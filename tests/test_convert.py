"""Conversion of checkpoints, and what `info` says of every kind before anything is loaded."""

import json
import os
from fractions import Fraction

import numpy as np
import pytest
from checkpoint_files import save_t5x, save_t5x_folder, save_torch
from conftest import needed

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.checkpoints.sizes import weights_bytes
from t0native.checkpoints.tensorfiles import as_bfloat16
from t0native.cli.main import main
from t0native.models.inspection import describe_model

CONFIG = t0.Config(
    vocab_size=19,
    d_model=6,
    d_ff=10,
    num_layers=1,
    num_heads=2,
    d_kv=3,
    num_decoder_layers=2,
    extra={"torch_dtype": "float32", "n_positions": 512},
)
TIED = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3, feed_forward_proj="relu", tie_word_embeddings=True)


def weights_of(model):
    return {name: model.core.tensor(name).copy() for name in model.config.tensors()}


@pytest.fixture(params=[CONFIG, TIED], ids=["untied", "tied"])
def places(request, tmp_path):
    """(model, {kind: path}) of one model in four layouts."""
    model = t0.Model.init(request.param, seed=3)
    about = json.dumps(model.config.to_dict())
    found = {kind: tmp_path / kind for kind in ("safetensors", "bin", "msgpack", "zarr")}
    model.save(found["safetensors"])
    for kind in ("bin", "msgpack"):
        found[kind].mkdir()
    save_torch(found["bin"] / "pytorch_model.bin", weights_of(model))
    save_t5x(found["msgpack"] / "checkpoint_7", weights_of(model))
    save_t5x_folder(found["zarr"] / "checkpoint_8", weights_of(model))
    for kind in ("bin", "msgpack", "zarr"):
        (found[kind] / "config.json").write_text(about)
        (found[kind] / "generation_config.json").write_text('{"eos_token_id": 1}')
    return model, found


def nearest_bfloat16(value):
    """By exact arithmetic: the nearer of the two bfloat16 about a value, the even one between them."""
    bits = int(np.float32(value).view(np.uint32))
    below, above = bits >> 16, (bits >> 16) + 1
    low, high = (Fraction(float(np.uint32(half << 16).view(np.float32))) for half in (below, above))
    distance = abs(Fraction(float(value)) - low) - abs(high - Fraction(float(value)))
    return below if distance < 0 or (distance == 0 and below % 2 == 0) else above


def test_rounding_to_bfloat16_is_to_the_nearest_even():
    bits = np.random.default_rng(0).integers(0, 0x7F000000, 2000, dtype=np.uint32)
    ties = (bits & 0xFFFF0000) | np.uint32(0x8000)
    values = np.concatenate([bits, ties, ties + 1, ties - 1, [0, 1, 0x7F7E8000]]).astype(np.uint32).view(np.float32)
    assert as_bfloat16(values).tolist() == [nearest_bfloat16(value) for value in values]
    assert as_bfloat16(-values).tolist() == [nearest_bfloat16(value) | 0x8000 for value in values]
    special = np.array([np.inf, -np.inf, np.nan], np.float32)
    assert as_bfloat16(special).tolist() == [0x7F80, 0xFF80, 0x7FC0]


def test_every_kind_becomes_safetensors(places, tmp_path):
    safetensors = needed("safetensors.numpy", "pip install '.[test]'")
    model, found = places
    for kind, path in found.items():
        convert(open_checkpoint(path), tmp_path / "out" / kind, "float32")
        assert safetensors.load_file(tmp_path / "out" / kind / "model.safetensors").keys() == model.config.tensors().keys()
        again = t0.Model.from_pretrained(tmp_path / "out" / kind)
        assert again.config == model.config, kind
        for name, value in weights_of(model).items():
            assert np.array_equal(again.core.tensor(name).view(np.uint32), value.view(np.uint32)), (kind, name)
    assert (tmp_path / "out/bin/generation_config.json").read_text() == '{"eos_token_id": 1}'


def test_bfloat16_halves_the_file_and_is_read_back(places, tmp_path):
    model, found = places
    convert(open_checkpoint(found["bin"]), tmp_path / "half", "bfloat16")
    assert json.loads((tmp_path / "half/config.json").read_text()).get("torch_dtype", "bfloat16") == "bfloat16"
    entries = open_checkpoint(tmp_path / "half").entries
    assert {name for name, entry in entries.items() if entry.dtype == "F32"} == {
        name for name in entries if "norm" in name or "bias" in name
    }
    again, direct = (t0.Model.from_pretrained(path, "bfloat16") for path in (tmp_path / "half", found["bin"]))
    for name, value in weights_of(model).items():
        expected = value if entries[name].dtype == "F32" else (as_bfloat16(value).astype(np.uint32) << 16).view(np.float32)
        assert np.array_equal(again.core.tensor(name), expected) and np.array_equal(direct.core.tensor(name), expected), name
    convert(open_checkpoint(tmp_path / "half"), tmp_path / "again", "bfloat16")
    assert (tmp_path / "again/model.safetensors").read_bytes() == (tmp_path / "half/model.safetensors").read_bytes()


@pytest.mark.parity
def test_transformers_loads_what_was_converted(places, tmp_path):
    import torch
    from transformers import T5ForConditionalGeneration

    model, found = places
    convert(open_checkpoint(found["zarr"]), tmp_path / "half", "bfloat16")
    theirs, told = T5ForConditionalGeneration.from_pretrained(tmp_path / "half", output_loading_info=True, dtype=torch.float32)
    assert not told["missing_keys"] and not told["unexpected_keys"] and not told["mismatched_keys"]
    again = t0.Model.from_pretrained(tmp_path / "half")
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([[5, 6, 7]]), decoder_input_ids=torch.tensor([[0, 4]])).logits[0].numpy()
    np.testing.assert_allclose(again.logits([5, 6, 7], [0, 4]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3.4e38])
def test_nothing_is_written_where_a_weight_is_wrong(tmp_path, bad):
    tensors = weights_of(t0.Model.init(CONFIG))
    tensors["lm_head.weight"][18, 5] = bad
    (tmp_path / "m").mkdir()
    (tmp_path / "m/config.json").write_text(json.dumps(CONFIG.to_dict()))
    save_torch(tmp_path / "m/pytorch_model.bin", tensors)
    message = (
        "lm_head.weight, rows from 0 on: a weight of 3.4e\\+38 is beyond bfloat16"
        if np.isfinite(bad)
        else f"lm_head.weight, element 113 is {bad}"
    )
    with pytest.raises(t0.NumericError, match=message):
        convert(open_checkpoint(tmp_path / "m"), tmp_path / "out", "bfloat16")
    assert sorted(os.listdir(tmp_path)) == ["m"]


def test_the_command(places, tmp_path, capsys, monkeypatch):
    model, found = places
    monkeypatch.chdir(tmp_path)
    given = json.dumps({name: getattr(model.config, name) for name in ("feed_forward_proj", "relative_attention_max_distance")})
    (found["msgpack"] / "config.json").unlink()
    assert main(["convert", str(found["msgpack"]), "out", "--config", given, "--dtype", "float32"]) == 0
    assert t0.Model.from_pretrained("out").config.tensors() == model.config.tensors()
    assert main(["convert", str(found["msgpack"]), "out2"]) == 2
    assert "do not tell feed_forward_proj and relative_attention_max_distance" in capsys.readouterr().err
    assert main(["convert", str(found["bin"]), "out2", "--dtype", "float64"]) == 2
    assert "dtype 'float64': must be" in capsys.readouterr().err
    assert main(["convert", "nowhere", "out2"]) == 2 and not (tmp_path / "out2").exists()


def test_info_of_every_kind(places, capsys):
    model, found = places
    for kind, path in found.items():
        facts = describe_model(path)
        assert facts["loads"].startswith("for ids alone, not for texts: ") and facts["parameters"] == model.parameters, kind
        assert {name for name, _, _ in facts["tensors"]} == set(model.config.tensors())
        assert main(["info", str(path), "--tensors"]) == 0
        out = capsys.readouterr().out
        assert "memory float32" in out and "memory int8" in out and "of weights" in out and "shared.weight" in out


def test_memory_is_told_and_compared_with_what_there_is(tmp_path, monkeypatch, capsys):
    import t0native.models.inspection

    model = t0.Model.init(CONFIG)
    model.save(tmp_path / "m")
    memory = describe_model(tmp_path / "m")["memory"]
    for dtype in ("float32", "bfloat16", "int8"):
        assert memory[dtype]["weights"] == t0.Model.from_pretrained(tmp_path / "m", dtype).core.nbytes
    assert memory["training_adamw"] > memory["training_adafactor"] > memory["float32"]["weights"]
    for free, fits in ((10**12, "fits now"), (1000, "does not fit now")):
        monkeypatch.setattr(t0native.models.inspection, "available_memory", lambda free=free: free)
        assert describe_model(tmp_path / "m")["memory"]["int8"]["fits"] is (free > 1000)
        main(["info", str(tmp_path / "m")])
        assert capsys.readouterr().out.count(f": {fits}\n") == 3
    xl = t0.Config.t5_v1_1("xl")
    assert (
        weights_bytes(xl, "float32") == pytest.approx(4 * xl.parameters, rel=0.01)
        and 1.02 < weights_bytes(xl, "int8") / xl.parameters < 1.03
    )
