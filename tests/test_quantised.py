"""bfloat16 and int8 models against the same arithmetic written once more in NumPy (numpy_t5.py), on every golden case.

A score must be the restatement's to float32's tolerance wherever no rounding of it is nearly a tie (numpy_t5.CLEAR): then the
core has rounded every number to the same neighbour, and the rest is float32. Elsewhere one number may have gone to the other
neighbour; that cannot do more than all the roundings together have done, the largest error of the case against float64."""

import functools

import engine_models as engine
import numpy as np
import pytest
from engine_models import golden
from numpy_t5 import CLEAR, NumpyT5

import t0native as t0

DTYPES = ("bfloat16", "int8")
CASES = [case for case in golden.CASES if case != "long-inputs"]  # slow in NumPy; "beyond-the-distance" has 150 tokens
HALVES = {"avx512-vnni"}  # kernel sets that multiply bfloat16s
KERNELS = [
    pytest.param(name, marks=[] if name in t0.kernels.available() else pytest.mark.skip(f"no {name} on this machine"))
    for name in t0.kernels.all()
]


@pytest.fixture(scope="module")
def stored():
    return engine.stored()


def pairs(case):
    """(source, target) of the golden scores, then of some of one token each, whose few roundings are more often clear."""
    end = golden.CASES[case][0]["eos_token_id"]
    long = [(source, choice) for source in golden.batch(case)[0] for choice in golden.choices(case)]
    return long + [([token], [end]) for token in range(2, 12)]


@functools.cache
def restated(case, dtype, halves):
    """(score of each pair, whether it is clear)"""
    oracle = NumpyT5(golden.CASES[case][0], engine.golden_weights(case), dtype, halves)
    scores, clear = [], []
    for source, target in pairs(case):
        oracle.clear = np.inf
        scores.append(oracle.score(source, target).sum())
        clear.append(oracle.clear > CLEAR)
    return np.array(scores), np.array(clear)


@functools.cache
def computed(case, dtype, kernels):
    model = engine.build(case, kernels, dtype)
    assert (model.core.kernels, model.core.dtype) == (kernels, dtype)
    sources, targets = zip(*pairs(case))
    return model.core.score(*engine.ragged(sources), *engine.ragged(targets), np.arange(len(sources)))[0]


def compared(case, dtype, kernels):
    """(relative error of each score, whether it is clear)"""
    expected, clear = restated(case, dtype, kernels in HALVES)
    return np.abs(computed(case, dtype, kernels) - expected) / np.maximum(1.0, np.abs(expected)), clear


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_scores_are_those_of_the_restatement(stored, case, dtype, kernels):
    error, clear = compared(case, dtype, kernels)
    assert error[clear].max(initial=0.0) <= golden.TOLERANCE / 10
    exact, expected = stored[f"{case}/scores"].reshape(-1), restated(case, dtype, kernels in HALVES)[0]
    assert np.abs(computed(case, dtype, kernels) - expected).max() <= np.abs(expected[: len(exact)] - exact).max()


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype, least", [("bfloat16", 30), ("int8", 100)])
def test_many_scores_are_clear_and_most_others_agree_as_well(dtype, least, kernels):
    error, clear = (
        np.concatenate([part.reshape(-1) for part in parts]) for parts in zip(*(compared(case, dtype, kernels) for case in CASES))
    )
    assert clear.sum() >= least
    assert (error <= golden.TOLERANCE / 10).mean() >= 0.75  # near ties are many, but few of them are decided the other way


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ("gated-untied", "gated-tied-few-buckets", "one-of-each", "least-distance"))
def test_a_decoder_that_takes_token_by_token(case, dtype, kernels):
    """Rows of logits that are clear up to there, as above."""
    model, oracle = (
        engine.build(case, kernels, dtype),
        NumpyT5(golden.CASES[case][0], engine.golden_weights(case), dtype, kernels in HALVES),
    )
    oracle.by_token, n_clear = True, 0
    inputs = [[0, 3 + token % 5] for token in range(2, 18)]
    sources = [[token] for token in range(2, 18)]
    for source, ids, found in zip(sources, inputs, engine.decoded(model.core, sources, inputs)):
        for length in (1, 2):
            oracle.clear = np.inf
            expected = oracle.logits(source, ids[:length])[-1]
            if oracle.clear > CLEAR:
                assert golden.error(found[length - 1], expected) <= golden.TOLERANCE / 10
                n_clear += 1
    assert n_clear >= 1


@pytest.mark.parametrize("case", ("primes", "relu-tied"))
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_read_back_are_the_restatements(case, dtype):
    core, oracle = engine.build(case, None, dtype).core, NumpyT5(golden.CASES[case][0], engine.golden_weights(case), dtype)
    for name, _ in core.tensors():
        expected = oracle.table if name == "shared.weight" else oracle.weights[name]
        largest = np.abs(expected).max()
        assert np.abs(core.tensor(name) - expected).max() <= (2e-7 * largest if dtype == "int8" else 0.0), name


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("d_model, d_ff", ((5, 67), (515, 67), (2049, 67), (3, 65536)))
def test_int8_sums_are_exact_at_the_extremes(kernels, d_model, d_ff):
    """Without attention every integer of the feed-forward's first product is 127 or -127, rows of weights differing in how many
    are negative: sums that wrap or saturate would bend the line on which the results lie (odd sums: nothing is a tie). Sums have at
    most 65536 terms."""
    shape = golden.config(8, d_model, 1, 4, d_ff, 1, 1, proj="relu")
    weights = {}
    for name, dims in t0.Config(**shape).tensors().items():
        row, column = np.indices(dims[-2:] if len(dims) == 2 else (1, *dims))
        weights[name] = np.where(column * (dims[0] + 3) < row * dims[-1], -1.0, 1.0).astype(np.float32).reshape(dims)
        if name.endswith(("norm.weight", "relative_attention_bias.weight", "shared.weight")):
            weights[name][...] = 1.0
        if name.endswith("Attention.o.weight"):
            weights[name][...] = 0.0
    for sign in (1.0, -1.0):
        weights["encoder.block.0.layer.1.DenseReluDense.wi.weight"] *= np.float32(sign)
        core = engine.core_with(shape, weights, kernels, "int8")
        expected = NumpyT5(shape, weights, "int8").encode([3])
        assert np.abs(core.encode([3], [0, 1]) - expected).max() <= 1e-5
