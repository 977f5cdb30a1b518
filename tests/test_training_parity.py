"""Gradients, optimisers and whole steps beside torch and transformers, live, on models of random and awkward sizes.

Kept results of theirs, for where they are not installed, stand in tests/golden (test_training_core.py)."""

import sys
from pathlib import Path

import numpy as np
import pytest

from t0native import _core

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import golden_models as golden  # noqa: E402

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]
SEEDS = range(10)


def random_model(seed):
    """(shape, sources, targets): relu and gated, tied and untied by turns; every size drawn, few of them even."""
    rng = np.random.default_rng(seed)
    size = lambda low, high: int(rng.integers(low, high))  # noqa: E731
    buckets = size(4, 40)
    shape = golden.config(
        size(17, 130), size(5, 70), size(1, 6), size(1, 20), size(3, 90), size(1, 4), size(1, 4), buckets, buckets // 2 + size(1, 80),
        ("gated-gelu", "relu")[seed % 2], seed // 2 % 2 == 1,
    )  # fmt: skip
    rows = [golden.sequences(what, rng.integers(1, most, 5).tolist(), shape["vocab_size"], seed) for what, most in (("s", 40), ("t", 15))]
    return shape, *rows


def ours(shape, seed):
    core = _core.Model(shape)
    for name, dims in core.tensors():
        core._writable(name)[...] = golden.weight(name, dims, seed)
    return core


def ragged(rows):
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)])


def loss_of(model, sources, targets, smoothing=0.0, z_loss=0.0):
    """The mean loss over target tokens by torch's own cross-entropy, and z_loss times the squared log-sum-exp."""
    import make_golden
    import torch

    labels = make_golden.padded(targets, -100)
    out, _ = make_golden.forward(model, sources, targets)
    logits, wanted = out.logits[labels != -100], labels[labels != -100]
    entropy = torch.nn.functional.cross_entropy(logits, wanted, label_smoothing=smoothing)
    return entropy + z_loss * (logits.logsumexp(-1) ** 2).mean()


def relative(got, expected):
    return np.linalg.norm((got - expected).astype(np.float64)) / np.linalg.norm(expected.astype(np.float64))


@pytest.mark.parametrize("seed", SEEDS)
def test_gradients_of_random_models(seed):
    """Every other model with label smoothing and z-loss."""
    import make_golden

    shape, sources, targets = random_model(seed)
    terms = {"label_smoothing": 0.1, "z_loss": 0.01} if seed // 4 % 2 else {}
    trainer = _core.Trainer(ours(shape, seed), **terms)
    loss = trainer.gradients(*ragged(sources), *ragged(targets), 1)[0]
    theirs = make_golden.build(shape, seed)
    expected = loss_of(theirs, sources, targets, *terms.values())
    expected.backward()
    assert abs(loss - expected.item()) <= 1e-5 * abs(expected.item())
    for name, parameter in theirs.named_parameters():
        assert relative(trainer.gradient(name), parameter.grad.numpy()) <= 1e-4, name


def adafactor(parameters):
    from transformers.optimization import Adafactor

    return Adafactor(parameters, lr=1e-3, scale_parameter=True, relative_step=False, warmup_init=False)


def adamw(parameters):
    import torch

    return torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.01)


def sgd(parameters):
    import torch

    return torch.optim.SGD(parameters, lr=1e-3, momentum=0.9, weight_decay=0.01)


OPTIMIZERS = {
    "adafactor": (adafactor, {"optimizer": "adafactor"}),
    "adamw": (adamw, {"optimizer": "adamw", "beta2": 0.98, "weight_decay": 0.01}),
    "sgd": (sgd, {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01}),
}
# transformers' Adafactor factors smaller tensors than T5's: there, all dimensions are at least 128.
TRAJECTORIES = [*((name, golden.LARGE, 7) for name in OPTIMIZERS), *(("adamw", random_model(seed)[0], seed) for seed in (1, 2))]


@pytest.mark.parametrize("optimizer, shape, seed", TRAJECTORIES, ids=[f"{name}-{seed}" for name, _, seed in TRAJECTORIES])
def test_twenty_whole_steps(optimizer, shape, seed):
    """Another batch each step, clipped. What each tensor has moved by then agrees within 1e-3 of its length."""
    import make_golden
    import torch

    core, theirs = ours(shape, seed), make_golden.build(shape, seed, torch.float32)
    start = {name: core.tensor(name).copy() for name, _ in core.tensors()}
    make, options = OPTIMIZERS[optimizer]
    trainer, other = _core.Trainer(core, clip=1.0, **options), make(theirs.parameters())
    for step in range(1, 21):
        sources, targets = (
            golden.sequences(what, lengths, shape["vocab_size"], step) for what, lengths in (("s", (9, 17, 4)), ("t", (5, 3, 8)))
        )
        loss, norm = trainer.step(*ragged(sources), *ragged(targets), 1e-3, step)
        other.zero_grad()
        expected = loss_of(theirs, sources, targets)
        expected.backward()
        assert torch.nn.utils.clip_grad_norm_(theirs.parameters(), 1.0).item() == pytest.approx(norm, rel=1e-3)
        other.step()
        assert loss == pytest.approx(expected.item(), rel=1e-5)
    for name, parameter in theirs.named_parameters():
        assert relative(core.tensor(name) - start[name], parameter.detach().numpy() - start[name]) <= 1e-3, name
