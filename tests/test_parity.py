"""Inference against transformers: its stored results on every case of golden_models.py, and itself where it is installed.

Allowed: golden.TOLERANCE (1e-4), absolute and relative, on encoder states, logits and log-likelihoods."""

import ctypes
import subprocess
from pathlib import Path

import engine_models as engine
import numpy as np
import pytest
from engine_models import golden

import t0native as t0

ROOT = Path(__file__).parent.parent
COMPARED = ("states", "logits", "scores")


@pytest.fixture(scope="module")
def stored():
    return engine.stored()


def here(kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")


def ours(case, kernels, dtype="float32"):
    model = engine.build(case, kernels, dtype)
    assert (model.core.kernels, model.core.dtype) == (kernels, "float32")
    return engine.inference(model, *golden.batch(case), golden.choices(case))


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("case", golden.CASES)
def test_states_logits_and_scores_are_those_of_transformers(stored, case, kernels):
    here(kernels)
    found, flat = ours(case, kernels), ours(case, kernels, "float32-flat")
    for what in COMPARED:
        assert np.array_equal(found[what], flat[what]), f"{what}: packed weights and those laid out for training give different bits"
    found["logits"] = found["logits"][:, golden.columns(golden.CASES[case][0]["vocab_size"])]
    for what in COMPARED:
        assert golden.error(found[what], stored[f"{case}/{what}"]) <= golden.TOLERANCE, what


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("case", golden.CASES)
def test_a_decoder_that_takes_token_by_token(stored, case, kernels):
    here(kernels)
    model, (sources, targets) = engine.build(case, kernels, "float32"), golden.batch(case)
    found = engine.decoded(model.core, sources, engine.shifted(targets, model.config.decoder_start_token_id))
    found = np.concatenate(found)[:, golden.columns(model.config.vocab_size)]
    assert golden.error(found, stored[f"{case}/logits"]) <= golden.TOLERANCE


def test_the_cases_cover_what_t5_checkpoints_vary_in():
    configs = [shape for shape, *_ in golden.CASES.values()]
    assert len(configs) >= 12
    kinds = {(c["feed_forward_proj"], c["tie_word_embeddings"]) for c in configs}
    assert kinds == {(proj, tied) for proj in ("gated-gelu", "relu") for tied in (True, False)}
    wanted = {
        "unequal depths": lambda c: c["num_layers"] != c["num_decoder_layers"],
        "one layer": lambda c: c["num_layers"] == c["num_decoder_layers"] == 1,
        "heads wider than the model": lambda c: c["num_heads"] * c["d_kv"] > c["d_model"],
        "heads narrower than the model": lambda c: c["num_heads"] * c["d_kv"] < c["d_model"],
        "one head": lambda c: c["num_heads"] == 1,
        "primes": lambda c: (c["vocab_size"], c["d_model"], c["d_kv"], c["d_ff"]) == (211, 37, 7, 53),
        "mT0's vocabulary": lambda c: c["vocab_size"] == 250112,
        "another start": lambda c: c["decoder_start_token_id"] != c["pad_token_id"],
        "the fewest buckets": lambda c: c["relative_attention_num_buckets"] == 4,
        "odd buckets": lambda c: c["relative_attention_num_buckets"] % 2 == 1,
        "the least distance": lambda c: c["relative_attention_max_distance"] == c["relative_attention_num_buckets"] // 2 + 1,
    }
    assert [name for name, fits in wanted.items() if not any(map(fits, configs))] == []
    assert any(max(lengths) > 4 * shape["relative_attention_max_distance"] for shape, _, lengths, _ in golden.CASES.values())


# ---- transformers itself -------------------------------------------------------------------------


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", golden.CASES)
def test_transformers_in_float32(stored, case):
    """All columns of the logits; and the stored results are what their script makes."""
    import make_golden
    import torch

    theirs = make_golden.inference(case, torch.float32)
    for kernels in t0.kernels.available():
        found = ours(case, kernels)
        for what in COMPARED:
            assert golden.error(found[what], theirs[what]) <= golden.TOLERANCE, (kernels, what)
    theirs["logits"] = theirs["logits"][:, golden.columns(golden.CASES[case][0]["vocab_size"])]
    for what in COMPARED:
        assert golden.error(theirs[what], stored[f"{case}/{what}"]) <= golden.TOLERANCE / 2, what


def random_case(number):
    """(configuration, source lengths, target lengths): every size at random, small."""
    rng = np.random.default_rng(number)
    buckets = int(rng.integers(4, 40))
    shape = golden.config(
        *(int(rng.integers(low, high)) for low, high in ((9, 150), (1, 70), (1, 6), (1, 20), (1, 90), (1, 4), (1, 4))),
        buckets, int(buckets // 2 + rng.integers(1, 90)), ("gated-gelu", "relu")[rng.integers(2)], bool(rng.integers(2)),
    )  # fmt: skip
    shape |= dict(zip(("pad_token_id", "eos_token_id", "decoder_start_token_id"), map(int, rng.permutation(9)[:3])))
    lengths = [[int(n) for n in rng.integers(1, high, 3)] for high in (120, 40)]
    return shape, *lengths


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("number", range(24))
def test_random_configurations(number, monkeypatch):
    import make_golden
    import torch

    shape, *lengths = random_case(number)
    monkeypatch.setitem(golden.CASES, "random", (shape, 100 + number, *lengths))
    exact, rounded = make_golden.inference("random"), make_golden.inference("random", torch.float32)
    weights = golden.weights("random", t0.Config(**shape).tensors().items())
    for kernels in t0.kernels.available():
        model = t0.Model(engine.core_with(shape, weights, kernels, "float32"), t0.Config(**shape))
        found = engine.inference(model, *golden.batch("random"), golden.choices("random"))
        for what in COMPARED:  # a random model may magnify rounding; then ours does no better than transformers' own
            allowed = max(golden.TOLERANCE, 4 * golden.error(rounded[what], exact[what]))
            assert golden.error(found[what], exact[what]) <= allowed, (kernels, what)


# ---- buckets of distances ------------------------------------------------------------------------


@pytest.mark.parity
def test_buckets_are_those_of_transformers(tmp_path):
    """Every distance up to 1,200, whose logarithms lie on the edges of buckets for many of these sizes."""
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention

    library = tmp_path / "buckets.so"
    source = ROOT / "csrc/nn/relative_bias.c"
    subprocess.run(["cc", "-std=c11", "-O2", "-shared", "-fPIC", f"-I{ROOT / 'csrc'}", source, "-o", library, "-lm"], check=True)
    ours = ctypes.CDLL(str(library)).t0_relative_bucket
    ours.argtypes = [ctypes.c_int64, ctypes.c_bool, ctypes.c_int, ctypes.c_int]
    distances = np.r_[-1200:-260:7, -260:261, 261:1200:7, 1 << 20, -(1 << 20)]
    for buckets in (4, 5, 6, 7, 8, 9, 12, 13, 16, 31, 32, 33, 64, 128, 255):
        for most in sorted({buckets // 2 + 1, buckets, 2 * buckets, 4 * buckets, 20 + buckets, 128 + buckets, 1000}):
            for both_ways in (True, False):
                expected = T5Attention._relative_position_bucket(torch.from_numpy(distances), both_ways, buckets, most).tolist()
                assert [ours(int(d), both_ways, buckets, most) for d in distances] == expected, (buckets, most, both_ways)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("buckets", [1, 2, 3])
def test_fewer_buckets_than_four_are_refused_where_transformers_divides_by_zero(buckets):
    from make_golden import build, states

    shape = golden.config(29, 8, 2, 4, 8, 1, 1, buckets)
    with pytest.raises(ZeroDivisionError):
        states(build(shape, 1), [[3, 4]])
    with pytest.raises(t0.ConfigError, match=f"num_buckets {buckets}: must be .*with fewer the buckets' formula divides by zero"):
        t0.Config(**shape)
