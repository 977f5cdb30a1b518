"""Labels that begin alike share the decoder's rows: the bits are those of each label by itself."""

import numpy as np
import pytest

import t0native as t0
from t0native import _core

CONFIG = t0.Config(vocab_size=61, d_model=24, d_kv=5, d_ff=32, num_layers=1, num_decoder_layers=2, num_heads=3)


class Apart:
    """A core that shares nothing between labels."""

    def __init__(self, core):
        self.core = core

    def __getattr__(self, name):
        return getattr(self.core, name)

    def score(self, *arguments):
        return self.core.score(*arguments, apart=True)


def apart(model):
    return t0.Model(Apart(model.core), model.config, model.tokenizer, threads=model.threads)


def random_labels(rng, count, longest, letters):
    """Label lists with duplicates and labels that others begin with."""
    return [rng.integers(2, 2 + letters, rng.integers(1, longest + 1)).astype(np.int32) for _ in range(count)]


def equal(ranking, other):
    return (
        ranking.scores.tobytes() == other.scores.tobytes()
        and ranking.index == other.index
        and all(a.tobytes() == b.tobytes() for a, b in zip(ranking.token_scores, other.token_scores))
    )


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_random_label_sets_have_the_bits_of_each_label_by_itself(dtype, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    model = t0.Model.init(CONFIG, seed=3, dtype=dtype, kernels=kernels, threads=1)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        inputs = [rng.integers(2, 61, rng.integers(1, 9)).astype(np.int32) for _ in range(3)]
        labels = [random_labels(rng, int(rng.integers(1, 60)), 1 + seed, 1 + seed % 5) for _ in inputs]
        together = model.rank(inputs, labels, token_scores=True)
        by_itself = apart(model).rank(inputs, labels, token_scores=True)
        assert all(map(equal, together, by_itself))


def test_the_order_of_labels_batches_and_threads_change_no_bit():
    model, two = t0.Model.mini(threads=1), t0.Model.mini(threads=2)
    labels = [f"{a} {b} {c}" for a in ("Anna", "Ben", "Tom") for b in ("keeps", "has") for c in ("a cat", "a dog", "a dog and a cat")]
    inputs = ["Anna keeps a cat. Who?", "Ben has a dog."]
    first = model.rank(inputs, labels)
    order = np.random.default_rng(0).permutation(len(labels))
    shuffled = model.rank(inputs, [labels[i] for i in order], batch_tokens=1)
    for ranking, other, parallel in zip(first, shuffled, two.rank(inputs, labels)):
        assert ranking.scores[order].tobytes() == other.scores.tobytes() and ranking.scores.tobytes() == parallel.scores.tobytes()
    alone = [model.rank(inputs[0], [label]).scores[0] for label in labels]
    assert first[0].scores.tolist() == alone


def test_one_label_a_label_twice_and_a_label_that_others_begin_with():
    model = t0.Model.init(CONFIG, seed=3, threads=1)
    scores = model.rank([5, 6], [[7, 8], [7], [7, 8], [7, 8, 9], [9]]).scores
    assert scores[0] == scores[2] and scores.tolist() == apart(model).rank([5, 6], [[7, 8], [7], [7, 8], [7, 8, 9], [9]]).scores.tolist()
    assert model.rank([5, 6], [[7, 8]]).scores[0] == scores[0] and model.rank([5, 6], [[9]]).scores[0] == scores[4]


def test_ten_thousand_labels_with_a_hundred_beginnings():
    model = t0.Model.mini(threads=1).to("int8")
    rng = np.random.default_rng(1)
    beginnings, endings = rng.integers(3, model.config.vocab_size, (100, 6)), rng.integers(3, model.config.vocab_size, (100, 100, 2))
    labels = np.concatenate([np.repeat(beginnings[:, None], 100, axis=1), endings], axis=2).reshape(-1, 8)
    labels = list(rng.permutation(labels).astype(np.int32))
    text = rng.integers(3, model.config.vocab_size, 20).astype(np.int32)
    together, by_itself = model.rank(text, labels, token_scores=True), apart(model).rank(text, labels, token_scores=True)
    assert equal(together, by_itself)


def test_the_core_takes_targets_of_sources_in_any_order():
    core = _core.Model(CONFIG.core(), dtype="int8")
    core.init("t5", 1)
    rng = np.random.default_rng(2)
    labels = random_labels(rng, 200, 6, 3)
    ids, offsets = np.concatenate(labels), np.cumsum([0, *map(len, labels)])
    owners = rng.integers(0, 4, 200).astype(np.int32)
    sources = rng.integers(2, 61, 12).astype(np.int32), np.array([0, 3, 4, 9, 12])
    found, expected = (core.score(*sources, ids, offsets, owners, 1, apart=flag) for flag in (False, True))
    assert found[0].tobytes() == expected[0].tobytes() and found[1].tobytes() == expected[1].tobytes()
