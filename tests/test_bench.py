"""The probes of the machine and the verb `bench`. Rates are only held against what no processor can do: tests do not time."""

import json

import numpy as np
import pytest

import t0native as t0
from t0native import _core
from t0native.checkpoints.sizes import DTYPES
from t0native.cli.main import main
from t0native.models import machine


@pytest.mark.parametrize("kernels", t0.kernels.all())
def test_probes_give_rates(kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    rates = {what: _core.probe(what, kernels, 0.002) for what in DTYPES}
    assert rates["float32"] is not None and all(1e7 < rate < 1e14 for rate in rates.values() if rate is not None)
    assert (rates["int8"] is None) == (kernels == "portable")
    assert (rates["bfloat16"] is None) == (kernels != "avx512-vnni")


def test_reading_gives_a_rate():
    data = np.ones(1 << 20, np.uint8)
    rates = [_core.probe_read(data[1:], kernels, 0.002) for kernels in t0.kernels.available()]
    assert all(1e7 < rate < 1e13 for rate in rates)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: _core.probe("float16"), "must be 'float32', 'bfloat16' or 'int8'"),
        (lambda: _core.probe("int8", "mmx"), "there is no such set"),
        (lambda: _core.probe_product("int8", 0, 8, 8), "rows 0, inputs 8, outputs 8: from 1"),
        (lambda: _core.probe_product("int4", 1, 8, 8), "must be 'float32', 'bfloat16' or 'int8'"),
        (lambda: _core.probe("int8", seconds=0.0), "above 0"),
        (lambda: _core.probe("int8", seconds=float("nan")), "above 0"),
        (lambda: _core.probe_read(b"x" * 500), "at least 1024"),
        (lambda: _core.probe_read(b"x" * 5000, None, 61.0), "at most 60"),
    ],
)
def test_wrong_arguments_are_told(call, told):
    with pytest.raises(ValueError, match=told):
        call()


@pytest.mark.parametrize("dtype", DTYPES)
def test_products_run_at_a_rate(dtype):
    for kernels in t0.kernels.available():
        assert 1e5 < _core.probe_product(dtype, 3, 37, 41, kernels, 0.001) < 1e14


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench") / "tiny"
    config = t0.Config(vocab_size=64, d_model=16, d_kv=4, d_ff=24, num_layers=1, num_decoder_layers=1, num_heads=2)
    t0.Model.init(config, seed=1).save(folder)
    return folder


def test_the_verb_measures_machine_and_model(tiny, monkeypatch, capsys):
    monkeypatch.setattr(machine, "MATRIX_BYTES", 1 << 16)
    monkeypatch.setattr(machine, "SECONDS", 0.001)
    command = ["bench", "--model", str(tiny), "--threads", "1", "--dtype", "int8", "float32"]
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rates = found["machine"]
    assert set(rates["peaks"]) == set(t0.kernels.available()) and rates["read_gb"] > 0.01
    assert set(rates["products"]) == {"int8", "float32"}
    assert all(0 < entry["share"] < 10 for products in rates["products"].values() for entry in products.values())
    assert [model["dtype"] for model in found["models"]] == ["int8", "float32"]
    assert all(model["encoded_tokens"] > 0 and model["scored_examples"] > 0 and model["threads"] == 1 for model in found["models"])
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "one core reads" in told and all(name in told for name in t0.kernels.available())
    assert told.count("scores ") == 2 and ", int8, " in told


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--model", "x", "--size", "small"], "give one of them"),
        (["--dtype", "int4"], "--dtype 'int4'"),
        (["--kernels", "mmx"], "--kernels 'mmx'"),
        (["--size", "huge"], "size 'huge'"),
        (["--model", "nowhere/at/all"], "no such folder"),
    ],
)
def test_the_verb_refuses_before_it_measures(given, told, monkeypatch, capsys):
    monkeypatch.setattr(machine, "measure_machine", lambda *_: pytest.fail("measured"))
    assert main(["bench", *given]) == 2
    assert told in capsys.readouterr().err
