"""The probes of the machine and the verb `bench`. Rates are only held against what no processor can do: tests do not time."""

import numpy as np
import pytest

import t0native as t0
from t0native import _core

DTYPES = ("float32", "bfloat16", "int8")


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
        (lambda: _core.probe("int8", seconds=0.0), "above 0"),
        (lambda: _core.probe("int8", seconds=float("nan")), "above 0"),
        (lambda: _core.probe_read(b"x" * 500), "at least 1024"),
        (lambda: _core.probe_read(b"x" * 5000, None, 61.0), "at most 60"),
    ],
)
def test_wrong_arguments_are_told(call, told):
    with pytest.raises(ValueError, match=told):
        call()
