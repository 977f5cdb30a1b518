"""Sampling's distribution, what decides a sample, and the rules and warpers by themselves."""

import itertools

import numpy as np
import pytest
from conftest import needed
from table_models import ASKED, ids_of, model_of, small_t5

from t0native.generation.options import Options
from t0native.generation.search import uniform
from t0native.generation.warpers import Rules, best, log_softmax, softmax, warp


@pytest.fixture(scope="module")
def model():
    return small_t5()


SPREAD = np.log(np.array([0.30, 0.02, 0.20, 0.15, 0.13, 0.09, 0.06, 0.05]))
DRAWS = 2000


def kept(order, share):
    """The first of `order` that together have the share, as a set."""
    sums = np.cumsum(np.exp(SPREAD)[order])
    return set(order[: int(np.searchsorted(sums, share - 1e-9)) + 1].tolist())


LIKELIEST = np.argsort(-SPREAD)
ENTROPY = -(np.exp(SPREAD) * SPREAD).sum()
WARPED = {  # keywords, and from which tokens they draw, by what temperature
    "nothing": ({"top_k": 0}, set(range(8)), 1.0),
    "temperature": ({"top_k": 0, "temperature": 2.5}, set(range(8)), 2.5),
    "a low temperature": ({"temperature": 0.5}, set(range(8)), 0.5),
    "top_k": ({"top_k": 3}, {0, 2, 3}, 1.0),
    "top_p": ({"top_p": 0.7}, kept(LIKELIEST, 0.7), 1.0),
    "min_p": ({"min_p": 0.4}, {0, 2, 3, 4}, 1.0),  # at least 0.4 x 0.30
    "typical_p": ({"typical_p": 0.6}, kept(np.argsort(np.abs(-SPREAD - ENTROPY), kind="stable"), 0.6), 1.0),
    "all": ({"temperature": 1.5, "top_k": 6, "top_p": 0.9, "min_p": 0.5}, {0, 2, 3, 4}, 1.5),  # 1 and 7, then 6, then 5 are removed
}


def p_value(counts, expected):
    """Of Pearson's chi-square; 0 where something was drawn that cannot be."""
    stats = needed("scipy.stats", "pip install '.[test]'")
    if counts[expected == 0].any():
        return 0.0
    return stats.chisquare(counts[expected > 0], expected[expected > 0] * counts.sum()).pvalue


@pytest.mark.parametrize("name", WARPED)
def test_samples_follow_the_distribution(name):
    options, tokens, temperature = WARPED[name]
    model = model_of(np.tile(SPREAD, (8, 1)))
    found = model.generate(
        [[3], [3]], do_sample=True, max_new_tokens=1, num_return_sequences=DRAWS // 2, seed=1, output_scores=True, **options
    )
    found = [*found[0], *found[1]]
    counts = np.bincount([one.ids[0] for one in found], minlength=8)
    expected = np.where([token in tokens for token in range(8)], np.exp(SPREAD / temperature), 0)
    assert p_value(counts, expected / expected.sum()) > 1e-4
    assert {one.ids[0]: one.score for one in found} == pytest.approx({token: SPREAD[token] for token in np.flatnonzero(counts)}, abs=1e-5)


def test_a_wrong_distribution_is_noticed():
    """The test above can fail."""
    counts = np.round(np.exp(SPREAD) * DRAWS).astype(int)
    assert p_value(counts, np.exp(SPREAD)) > 0.99
    wrong = np.exp(SPREAD / 1.3)
    assert p_value(counts, wrong / wrong.sum()) < 1e-4


def test_samples_of_beams_follow_the_distribution():
    """Of 2 x 2 candidates drawn without putting back, the best is the answer."""
    p = np.exp(SPREAD[:6] - np.log(np.exp(SPREAD[:6]).sum()))
    expected = np.zeros(6)
    for drawn in itertools.permutations(range(6), 4):
        left = 1 - np.concatenate([[0], np.cumsum(p[list(drawn[:3])])])
        expected[max(drawn, key=lambda token: p[token])] += np.prod(p[list(drawn)] / left)
    model = model_of(np.tile(np.log(p), (6, 1)))
    found = model.generate([[3]] * DRAWS, do_sample=True, num_beams=2, max_new_tokens=1, top_k=0)
    counts = np.bincount([one[0] if len(one) else 1 for one in found], minlength=6)
    assert p_value(counts, expected) > 1e-4


def test_beams_that_are_drawn_have_two_tokens_to_go_on_with():
    found = model_of(np.tile(SPREAD, (8, 1))).generate([3], do_sample=True, num_beams=2, num_return_sequences=2, top_k=1, max_new_tokens=1)
    assert sorted(ids_of(found)) == [[0], [2]]


def test_each_of_several_samples_keeps_to_the_rules_by_itself():
    options = dict(do_sample=True, top_k=0, temperature=9.0, num_return_sequences=9, no_repeat_ngram_size=1, max_new_tokens=6)
    for answer in model_of(np.tile(SPREAD, (8, 1))).generate([3], **options):
        assert len(set(answer.tolist())) == len(answer) and 0 not in answer


def test_a_sample_is_decided_by_seed_place_and_number_alone(model):
    options = dict(do_sample=True, max_new_tokens=8, temperature=2.0, top_k=0)
    first = model.generate(ASKED, num_return_sequences=3, seed=5, **options)
    assert first == model.generate(ASKED, num_return_sequences=3, seed=5, **options)
    assert len(set(first[0] + first[4])) == 6  # equal inputs at other places have answers of their own
    for number in (1, 2, 5):
        assert [row[:number] for row in first][0][0] == model.generate(ASKED[0], seed=5, **options)
    company = model.generate([ASKED[0], "Who?", "Anna " * 30], num_return_sequences=3, seed=5, **options)
    assert company[0] == first[0] and [len(row) for row in company] == [3, 3, 3]
    assert model.generate(ASKED, num_return_sequences=3, seed=6, **options) != first
    beams = dict(options, num_beams=3, num_return_sequences=2)
    assert model.generate(ASKED, **beams)[0] == model.generate(ASKED[:1], **beams)[0]


def test_uniform_numbers_keep_their_values():
    """They decide what a seed gives, on every machine and in every version."""
    assert [uniform(0, 0, 0, 0), uniform(1, 2, 3, 4)] == [0.5778082314447996, 0.9752827439147451]


# ---- rules and warpers by themselves -------------------------------------------------------------------------------------


def test_warpers_keep_what_beams_need():
    for options in ({"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}, {"typical_p": 0.01}):
        for keep in (1, 2, 3):
            assert np.isfinite(warp(SPREAD.astype(np.float32), Options(**options), keep)).sum() == keep
    nothing = np.full(4, -np.inf, np.float32)
    assert np.isneginf(warp(nothing, Options(top_k=2, top_p=0.5, min_p=0.5, typical_p=0.5), 1)).all()


@pytest.mark.parametrize("n", [1, 7, 1000, 20_000])
def test_the_best_of_many_are_those_of_a_sort(n):
    random = np.random.default_rng(n)
    for scores in (
        random.normal(size=n),
        random.integers(0, 5, size=n) * 1.0,
        np.where(random.random(n) < 0.999, -np.inf, 1.0),
        np.zeros(n),
    ):
        scores = scores.astype(np.float32)
        for k in {1, min(5, n), min(60, n), n}:
            assert best(scores, k).tolist() == np.argsort(-scores, kind="stable")[:k].tolist()


def test_log_softmax_of_large_numbers():
    rows = np.array([[1e4, 1e4 - 1, -1e4], [-50, -50, -50]], np.float32)
    assert log_softmax(rows) == pytest.approx(np.array([[-0.313262, -1.313262, -20000.313262], [-1.098612] * 3]), rel=1e-5)
    assert softmax(rows[0]).tolist() == pytest.approx([0.731059, 0.268941, 0.0], abs=1e-6)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_the_hubs_rules_and_warpers_on_random_scores():
    import torch
    from transformers.generation import logits_process as hub

    for seed in range(100):
        random = np.random.default_rng(seed)
        size = random.choice([40, 900])
        scores = (random.normal(size=size) * random.choice([0.3, 2.0, 6.0])).astype(np.float32)
        keep, share = int(random.integers(1, 4)), float(random.uniform(0.05, 0.95))
        for options, theirs in (
            ({"temperature": share}, hub.TemperatureLogitsWarper(share)),
            ({"top_k": int(40 * share)}, hub.TopKLogitsWarper(int(40 * share), min_tokens_to_keep=keep)),
            ({"top_p": share}, hub.TopPLogitsWarper(share, min_tokens_to_keep=keep)),
            ({"min_p": share}, hub.MinPLogitsWarper(share, min_tokens_to_keep=keep)),
            ({"typical_p": share}, hub.TypicalLogitsWarper(share, min_tokens_to_keep=keep)),
        ):
            expected = theirs(None, torch.tensor(scores[None]))[0].numpy()
            assert np.allclose(warp(scores.copy(), Options(**options), keep), expected, rtol=1e-6), options
        ids = random.integers(0, 8, size=(2, 9)).astype(np.int32)
        for options, theirs in (
            ({"repetition_penalty": 1.5}, hub.RepetitionPenaltyLogitsProcessor(1.5)),
            ({"no_repeat_ngram_size": 2}, hub.NoRepeatNGramLogitsProcessor(2)),
            ({"bad_words_ids": ((3,), (1,), (2, 5), (4, 4))}, hub.NoBadWordsLogitsProcessor([[3], [1], [2, 5], [4, 4]], eos_token_id=1)),
        ):
            found = np.stack([scores, scores])
            Rules(Options(eos_token_id=(1,), **options), 0, 1, 0).apply(ids, found)
            expected = theirs(torch.tensor(ids).long(), torch.tensor(np.stack([scores, scores]))).numpy()
            assert np.allclose(found, expected, rtol=1e-6), options
