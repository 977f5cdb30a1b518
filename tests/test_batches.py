"""Batch invariance: a slice of fuzz_batches.py in each number type and kernel set."""

import numpy as np
import pytest
from fuzz_batches import DTYPES, FAMILIES, MODELS, Bits, fuzz

import t0native as t0


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_the_batch_or_the_threads(dtype, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    kinds, different = fuzz(12, dtype, kernels, seed=6, inputs=12)
    assert different == [] and len(kinds) == 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_nor_in_any_family(dtype):
    kinds, different = fuzz(21, dtype, None, seed=7, inputs=8, configs=FAMILIES)
    assert different == [] and len(kinds) >= 4


def test_the_fuzzer_sees_one_bit():
    bits = Bits(MODELS["primes"], "float32", None, inputs=20)
    for scores in bits.scores:
        scores[:] = np.nextafter(scores, 0.0)
    found = [bits.check(np.random.default_rng(seed)) for seed in range(8)]
    assert all(equal == (what.split(",")[0] not in ("rank", "one token")) for what, equal in found)
