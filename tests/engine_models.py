"""Models of the golden cases in the core, and arrays as it takes them."""

import functools
import sys
from pathlib import Path

import numpy as np

import t0native as t0
from t0native import _core

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import golden_models as golden  # noqa: E402


@functools.cache
def golden_weights(case):
    """{name: float32 array} of a case; not to be written to."""
    return golden.weights(case, t0.Config(**golden.CASES[case][0]).tensors().items())


def build(case, kernels=None, dtype="float32-flat"):
    """t0.Model of a golden case."""
    shape = golden.CASES[case][0]
    return t0.Model(core_with(shape, golden_weights(case), kernels, dtype), t0.Config(**shape))


def core_with(shape, weights, kernels=None, dtype="float32-flat"):
    """The core's model, its weights put in whole; each tensor's first weight that is not finite is told."""
    core = _core.Model(shape, kernels, dtype)
    for name, _ in core.tensors():
        bad = np.flatnonzero(~np.isfinite(weights[name]))
        found = core.put(name, 0, np.atleast_2d(weights[name]))
        assert (found is None) if bad.size == 0 else (found[0] == bad[0])
    return core


def stored():
    """{"case/what": array} of golden/models.npz."""
    with np.load(GOLDEN / "models.npz") as file:
        return dict(file)


def ragged(rows):
    """(ids int32 [N], offsets int64 [B + 1])"""
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)])


def shifted(targets, start=0):
    """Decoder inputs of targets."""
    return [[start, *target[:-1]] for target in targets]


def inference(model, sources, targets, choices):
    """What make_golden.inference computes with transformers: {"states" [N, D], "logits" [M, V], "scores" [sources, choices]}.
    choices: the same for every source."""
    core, start = model.core, model.config.decoder_start_token_id
    scores, tokens = core.score(*ragged(sources), *ragged(choices * len(sources)), np.repeat(np.arange(len(sources)), len(choices)))
    assert abs(tokens.astype(np.float64).sum() - scores.sum()) <= 1e-6 * abs(scores.sum()) and (tokens <= 0).all()
    return {
        "states": core.encode(*ragged(sources)),
        "logits": core.logits(*ragged(sources), *ragged(shifted(targets, start))),
        "scores": scores.reshape(len(sources), -1),
    }


def decoded(core, sources, inputs, threads=1, rng=None):
    """Logits [T, V] of each source's decoder inputs, by a decoder that takes them token by token: all sequences abreast, or with
    rng some of them at a time, in any order."""
    decoder = core.decoder(*ragged(sources), threads)
    rows, logits = [[-1] for _ in inputs], [[] for _ in inputs]
    while left := [b for b, ids in enumerate(inputs) if len(logits[b]) < len(ids)]:
        if rng is not None:
            left = rng.permutation(left)[: rng.integers(1, len(left) + 1)].tolist()
        new, found = decoder.step([inputs[b][len(logits[b])] for b in left], left, [rows[b][-1] for b in left])
        for b, row, z in zip(left, new, found):
            rows[b].append(row)
            logits[b].append(z)
    return [np.array(part) for part in logits]
