"""Gradients and optimisers against transformers and torch (golden files), small cases by hand, exactness of a step."""

import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native import _core

GOLDEN = Path(__file__).parent / "golden"
sys.path.insert(0, str(GOLDEN))
import golden_models as golden  # noqa: E402


@pytest.fixture(scope="module")
def models():
    with np.load(GOLDEN / "models.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def optimizers():
    with np.load(GOLDEN / "optimizers.npz") as file:
        return dict(file)


def build(shape, seed, kernels=None):
    core = _core.Model(shape, kernels)
    for name, dims in core.tensors():
        core._writable(name)[...] = golden.weight(name, dims, seed)
    return core


def ragged(rows):
    return np.concatenate(rows).astype(np.int32), np.cumsum([0, *map(len, rows)])


def batch(case):
    sources, targets = golden.batch(case)
    return (*ragged(sources), *ragged(targets))


def relative(got, expected):
    return np.linalg.norm((got - expected).astype(np.float64)) / np.linalg.norm(expected.astype(np.float64))


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("case", golden.MODELS)
def test_gradients_equal_those_of_transformers(models, case, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    core = build(*golden.MODELS[case][:2], kernels)
    trainer = _core.Trainer(core)
    loss, source_tokens, target_tokens = trainer.gradients(*batch(case), 1)
    assert abs(loss - models[f"{case}/loss"]) <= 1e-5 * models[f"{case}/loss"]
    assert (source_tokens, target_tokens) == (sum(golden.MODELS[case][2]), sum(golden.MODELS[case][3]))
    expected, at = models[f"{case}/gradients"], 0
    for name, dims in sorted(core.tensors()):
        size = int(np.prod(dims))
        assert relative(trainer.gradient(name).reshape(-1), expected[at : at + size]) <= 1e-4, name
        at += size
    assert at == len(expected)


SHAPES = {
    "sharded": golden.MODELS["prime-unequal-depths"][0],
    "wide": golden.config(8192, 256, 4, 64, 128, 1, 1),  # 4 million weights and more: every layer on all threads
}

HALF = "avx512-vnni"  # the set that multiplies bfloat16s


@pytest.mark.skipif(HALF not in t0.kernels.available(), reason=f"no {HALF} on this machine")
@pytest.mark.parametrize("way", ["sharded", "wide"])
def test_gradients_in_bfloat16_are_near(way):
    """Operands hold 8 bits: relative errors of some 2**-7. On such models PyTorch's autocast is off by 1.1 % to 1.2 %."""
    core = _core.Model(SHAPES[way], HALF)
    core.init("t5", 2)
    losses, gradients = [], []
    for precision in ("float32", "bfloat16"):
        trainer = _core.Trainer(core, precision=precision)
        losses.append(trainer.gradients(*batch("prime-unequal-depths"), 1)[0])
        gradients.append(np.concatenate([trainer.gradient(name).reshape(-1) for name, _ in core.tensors()]))
    assert 0 < abs(losses[1] - losses[0]) <= 2e-3 * losses[0]
    assert 1e-4 < relative(gradients[1], gradients[0]) <= 0.012


def test_bfloat16_is_refused_where_it_is_not_multiplied():
    core = build(*golden.MODELS["prime-unequal-depths"][:2], "portable")
    with pytest.raises(ValueError, match="precision 'bfloat16': the kernels portable do not multiply it; take 'float32'"):
        _core.Trainer(core, precision="bfloat16")
    with pytest.raises(ValueError, match="precision 'half': must be 'float32' or 'bfloat16'"):
        _core.Trainer(core, precision="half")


# Not here: wide products of the portable kernels, which go to OpenBLAS, whose threads may change last bits.
STEPS = [(way, kernels) for way in SHAPES for kernels in t0.kernels.all() if (way, kernels) != ("wide", "portable")]


@pytest.mark.parametrize("way, kernels", STEPS)
def test_threads_do_not_change_a_bit_of_a_step(way, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")

    def step(threads):
        core = _core.Model(SHAPES[way], kernels)
        core.init("t5", 2)
        trainer = _core.Trainer(core, dropout=0.1, seed=5, threads=threads)
        return trainer.step(*batch("prime-unequal-depths"), 1e-3, 1), core

    result, one = step(1)
    for threads in (2, 3):
        again, more = step(threads)
        assert again == result
        for name, _ in one.tensors():
            assert np.array_equal(more.tensor(name), one.tensor(name)), (threads, name)


OPTIMIZERS = {
    "adafactor": {"optimizer": "adafactor"},
    "adafactor-absolute": {"optimizer": "adafactor", "scale_parameter": False},
    "adamw": {"optimizer": "adamw", "beta2": 0.98, "weight_decay": 0.01},
    "sgd": {"optimizer": "sgd"},
    "sgd-momentum": {"optimizer": "sgd", "momentum": 0.9, "weight_decay": 0.01},
}


@pytest.mark.parametrize("run", OPTIMIZERS)
def test_optimizers_fed_the_same_gradients(optimizers, run):
    """All dimensions are at least 128, where T5's Adafactor and transformers' factor the same tensors."""
    core = build(golden.LARGE, 7)
    trainer = _core.Trainer(core, **OPTIMIZERS[run])
    for step in range(1, golden.OPTIMIZER_STEPS + 1):
        for name, dims in core.tensors():
            trainer._writable_gradient(name)[...] = golden.uniform(f"gradient {name}", dims, step, 0.01 * step)
        trainer.apply(1e-3, step)
    expected, at = optimizers[run], 0
    for name, dims in sorted(core.tensors()):
        places = golden.sampled(name, int(np.prod(dims)))
        got = core.tensor(name).reshape(-1)[places]
        assert np.abs(got - expected[at : at + len(places)]).max() <= 1e-6, name
        at += len(places)
    assert at == len(expected)


def adafactor_by_hand(w, gradients, learning_rate, scale, offset=0):
    """Adafactor without factoring, in float64, as T5 runs it on a tensor with a dimension below 128."""
    w, v = w.astype(np.float64), 0.0
    for t, g in enumerate(gradients, 1):
        b = 1 - (t + offset) ** -0.8
        v = b * v + (1 - b) * (g.astype(np.float64) ** 2 + 1e-30)
        u = g / np.sqrt(v)
        u /= max(1.0, np.sqrt((u**2).mean()))
        w = w - learning_rate * (max(1e-3, np.sqrt((w**2).mean())) if scale else 1.0) * u
    return w


@pytest.mark.parametrize("scale, offset, size", [(True, 0, 1), (False, 0, 1), (True, 1000, 1), (True, 0, 1e-5), (True, 0, 0)])
def test_adafactor_of_small_tensors_by_hand(scale, offset, size):
    """size: of the weights. Below rms 1e-3 T5 takes steps as if it were 1e-3, so that weights near 0 still move."""
    shape, seed = golden.MODELS["gated-untied"][:2]
    core = build(shape, seed)
    for name, _ in core.tensors():
        core._writable(name)[...] *= size
    trainer = _core.Trainer(core, scale_parameter=scale, step_offset=offset)
    start = {name: core.tensor(name).copy() for name, _ in core.tensors()}
    gradients = [{name: golden.uniform(name, dims, step, 0.02) for name, dims in core.tensors()} for step in (1, 2, 3)]
    for step, given in enumerate(gradients, 1):
        for name, value in given.items():
            trainer._writable_gradient(name)[...] = value
        trainer.apply(0.01, step)
    for name, w in start.items():
        expected = adafactor_by_hand(w, [given[name] for given in gradients], 0.01, scale, offset)
        assert np.abs(core.tensor(name) - expected).max() <= 1e-6 * np.abs(expected).max(), name


def test_clipping_scales_all_gradients_by_one_factor():
    core = build(*golden.MODELS["gated-untied"][:2])
    trainer = _core.Trainer(core, optimizer="adamw", beta1=0.0, beta2=0.0, epsilon=0.5, clip=0.1)  # lr g / (|g| + 0.5)
    start = {name: core.tensor(name).copy() for name, _ in core.tensors()}
    gradients = {name: golden.uniform(name, dims, 9, 0.02) for name, dims in core.tensors()}
    for name, value in gradients.items():
        trainer._writable_gradient(name)[...] = value
    norm = np.sqrt(sum((value.astype(np.float64) ** 2).sum() for value in gradients.values()))
    assert norm > 0.1 and trainer.apply(1.0, 1) == pytest.approx(norm, rel=1e-6)
    for name, value in gradients.items():
        g = value * (0.1 / norm)
        assert np.allclose(core.tensor(name), start[name] - g / (np.abs(g) + 0.5), atol=1e-6), name


def test_dropout_is_a_function_of_seed_and_step():
    core = build(*golden.MODELS["gated-untied"][:2])

    def losses(seed, step):
        return _core.Trainer(core, dropout=0.3, seed=seed).gradients(*batch("gated-untied"), step)[0]

    assert losses(1, 1) == losses(1, 1)
    assert len({losses(1, 1), losses(1, 2), losses(2, 1)}) == 3


def random_words(seed, purpose, n):
    """The first n 32-bit words of csrc/base/random.h's generator (Philox4x32-10), four a counter."""
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    index = np.arange((n + 3) // 4, dtype=np.uint64)
    c = [index & low, index >> shift, np.full_like(index, purpose) & low, np.full_like(index, purpose) >> shift]
    k = [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [q >> shift ^ c[1] ^ np.uint64(k[0]), q & low, p >> shift ^ c[3] ^ np.uint64(k[1]), p & low]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return np.stack(c, axis=1).reshape(-1)[:n]


def dropout_sites(shape):
    """Sites of our masks (csrc/t5/forward.h) in the order in which transformers' T5 asks for them."""
    for decoder, layers in enumerate((shape["num_layers"], shape["num_decoder_layers"])):
        embedding, self_p, self_out, cross_p, cross_out, inner, ffn, final = (decoder << 3 | place for place in range(8))
        cross = (cross_p, cross_out) if decoder else ()
        yield embedding
        for block in range(layers):
            yield from (block << 4 | place for place in (self_p, self_out, *cross, inner, ffn))
        yield layers << 4 | final


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_the_golden_gradients_are_what_their_script_makes(models):
    import make_golden

    for case in ("gated-untied", "relu-tied"):
        _, loss, gradients = make_golden.forward_and_gradients(make_golden.build_case(case), *golden.batch(case))
        together = np.concatenate([gradients[name].reshape(-1) for name in sorted(gradients)])
        assert np.abs(together - models[f"{case}/gradients"]).max() <= 1e-5 and abs(loss - models[f"{case}/loss"]) <= 1e-6


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case, broadcast", [("prime-unequal-depths", False), ("relu-tied", False), ("prime-unequal-depths", True)])
def test_dropout_stands_where_transformers_has_it(case, broadcast, monkeypatch):
    """transformers in training mode, given our masks one after the other: the same loss and gradients of one example.

    broadcast: the masks of rows, and in attention of queries, are all those of the first, as T5X draws them."""
    import make_golden
    import torch

    rate, seed, step = 0.3, 5, 7
    shape, weights_seed = golden.MODELS[case][:2]
    sources, targets = (rows[:1] for rows in golden.batch(case))
    core = build(shape, weights_seed)
    trainer = _core.Trainer(core, dropout=rate, seed=seed, broadcast_dropout=broadcast)
    loss = trainer.gradients(*ragged(sources), *ragged(targets), step)[0]

    sites, step_seed = dropout_sites(shape), int(_core.random_bits(seed, 2, step, 1)[0])

    def dropout(x, p, training, inplace=False):
        assert training and p == rate
        units = (random_words(step_seed, 2 + (next(sites) << 8), x.numel()) >> np.uint64(8)) * 2.0**-24
        kept = torch.from_numpy(units >= np.float32(rate)).reshape(x.shape)
        return x * (kept[..., :1, :] if broadcast else kept) / (1 - rate)

    monkeypatch.setattr(torch.nn.functional, "dropout", dropout)
    theirs = make_golden.build({**shape, "dropout_rate": rate}, weights_seed).train()
    theirs.set_attn_implementation("eager")
    _, expected, gradients = make_golden.forward_and_gradients(theirs, sources, targets)
    assert next(sites, None) is None
    assert abs(loss - expected) <= 1e-5 * expected
    for name, gradient in gradients.items():
        assert relative(trainer.gradient(name), gradient) <= 1e-4, name


def test_activations_of_large_batches_take_no_more_memory():
    """A batch runs in pieces, so that gradients of any number of examples are accumulated in the room of a few."""

    def room(n, **options):
        trainer = _core.Trainer(core, **options)
        assert trainer.workspace_bytes == 0
        rows = [[2, 3, 4, 5, 6, 7, 8, 9]] * n, [[2, 3, 4, 1]] * n
        trainer.gradients(*ragged(rows[0]), *ragged(rows[1]), 1)
        return trainer.workspace_bytes

    core = build(*golden.MODELS["prime-unequal-depths"][:2])
    assert room(100) == room(2000) > room(4) > 0
    assert room(100, recompute=True) < room(100)


def test_a_resumed_run_continues_bit_for_bit():
    def run(core, trainer, steps):
        for step in steps:
            trainer.step(*batch("prime-unequal-depths"), 1e-2, step)

    options = {"dropout": 0.1, "seed": 3, "clip": 1.0}
    for optimizer in ("adafactor", "adamw"):
        whole = build(*golden.MODELS["prime-unequal-depths"][:2])
        run(whole, _core.Trainer(whole, optimizer=optimizer, **options), range(1, 7))
        first = build(*golden.MODELS["prime-unequal-depths"][:2])
        trainer = _core.Trainer(first, optimizer=optimizer, **options)
        run(first, trainer, range(1, 4))
        state = trainer.state().tobytes()
        second = _core.Model(golden.MODELS["prime-unequal-depths"][0])
        for name, _ in first.tensors():
            second._writable(name)[...] = first.tensor(name)
        resumed = _core.Trainer(second, optimizer=optimizer, **options)
        resumed.load_state(state)
        run(second, resumed, range(4, 7))
        for name, _ in whole.tensors():
            assert np.array_equal(second.tensor(name), whole.tensor(name)), (optimizer, name)


def test_gradients_that_are_not_finite_change_nothing():
    core = build(*golden.MODELS["gated-untied"][:2])
    trainer = _core.Trainer(core)
    before, state = core.tensor("shared.weight").copy(), trainer.state().copy()
    for name, _ in core.tensors():
        trainer._writable_gradient(name)[...] = 0.1
    trainer._writable_gradient("encoder.final_layer_norm.weight")[2] = np.nan
    with pytest.raises(t0.NumericError, match=r"encoder\.final_layer_norm\.weight"):
        trainer.apply(1e-3, 1)
    assert np.array_equal(core.tensor("shared.weight"), before) and np.array_equal(trainer.state(), state)


def test_training_learns_to_copy_the_first_token():
    shape = golden.config(24, 32, 4, 8, 64, 1, 1)
    core = _core.Model(shape)
    core.init("t5", 1)
    trainer = _core.Trainer(core, optimizer="adamw")
    rows = [[int(i), 5, 6] for i in range(2, 24)]
    data = (*ragged(rows), *ragged([[row[0], 1] for row in rows]))
    losses = [trainer.step(*data, 3e-3, step)[0] for step in range(1, 201)]
    assert losses[0] > 2.0 and losses[-1] < 0.05
    found = core.generate(*ragged(rows), 3)[0]
    assert (found[:, 0] == [row[0] for row in rows]).all()


BAD = [
    ({"step": 0}, "step 0"),
    ({"source_offsets": [0, 3]}, "offsets"),
    ({"source_offsets": [0, 9]}, "offsets"),
    ({"source_ids": [1, 2, 99, 4]}, "id 99"),
    ({"source_ids": [1, 2, -1, 4]}, "id -1"),
    ({"source_offsets": [0, 0, 4], "target_offsets": [0, 1, 2]}, "at least one token"),
    ({"target_offsets": [0, 1, 2]}, "one for each"),
]


@pytest.mark.parametrize("change, message", BAD, ids=[message for _, message in BAD])
def test_bad_batches(change, message):
    trainer = _core.Trainer(build(*golden.MODELS["gated-untied"][:2]))
    good = {"source_ids": [1, 2, 3, 4], "source_offsets": [0, 4], "target_ids": [5, 1], "target_offsets": [0, 2], "step": 1}
    trainer.gradients(**good)
    with pytest.raises(ValueError, match=message):
        trainer.gradients(**{**good, **change})


def test_bad_options():
    core = build(*golden.MODELS["gated-untied"][:2])
    for options in (
        {"optimizer": "adagrad"},
        {"momentum": 1.0},
        {"freeze": ["shared"]},
        {"dropout": 1.0},
        {"beta1": -0.1},
        {"threads": 0},
        {"clip": float("nan")},
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            _core.Trainer(core, **options)
    with pytest.raises(TypeError):
        _core.Trainer(core, learning_rate=1.0)
    with pytest.raises(ValueError, match="bytes"):
        _core.Trainer(core).load_state(b"1234")


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"optimizer": "adagrad"}, ValueError, "optimizer 'adagrad': must be 'adafactor', 'adamw' or 'sgd'"),
        ({"beta1": "x"}, TypeError, "beta1 'x': must be a number"),
        ({"beta1": True}, TypeError, "beta1 True: must be a number"),
        ({"epsilon": 10**400}, ValueError, "epsilon inf: must be at least 0 and less than 1"),
        ({"clip": float("nan")}, ValueError, "clip nan: must be at least 0 and less than 1000000000"),
        ({"seed": 2**64}, ValueError, "seed 18446744073709551616: must be a whole number of 64 bits, at least 0"),
        ({"step_offset": 1.5}, TypeError, "step_offset 1.5: must be a whole number"),
        ({"precision": None}, TypeError, "precision None: must be text"),
        ({"betta1": 0.5}, TypeError, "'betta1' is not an option of a training"),
    ],
)
def test_options_are_judged_without_a_model_as_with_one(options, error, message):
    core = build(*golden.MODELS["gated-untied"][:2])
    for judge in (_core.check_options, lambda **options: _core.Trainer(core, **options)):
        with pytest.raises(error) as told:
            judge(**options)
        assert str(told.value) == message


def test_a_trainer_has_one_model():
    core = build(*golden.MODELS["gated-untied"][:2])
    assert _core.Trainer(model=core).model is core
    for arguments, keywords in (((), {}), ((core, core), {}), ((core,), {"model": core}), ((3,), {})):
        with pytest.raises(TypeError, match="model"):
            _core.Trainer(*arguments, **keywords)


def test_threads_have_one_limit():
    core, most = build(*golden.MODELS["gated-untied"][:2]), _core.MAX_THREADS
    tokenizer = t0.mini.tokenizer()
    ids, offsets = np.array([1], np.int32), np.array([0, 1])
    for wrong in (0, most + 1, -1):
        for call in (
            lambda: _core.Trainer(core, threads=wrong),
            lambda: core.encode(ids, offsets, threads=wrong),
            lambda: tokenizer.encode_arrays(["a"], threads=wrong),
        ):
            with pytest.raises(ValueError, match=f"^threads {wrong}: must be a whole number from 1 to {most}$"):
                call()
        with pytest.raises(t0.ConfigError, match=f"^threads {wrong}: must be a whole number from 1 to {most}$"):
            t0.set_num_threads(wrong)


def test_one_trainer_called_from_many_threads():
    core = build(*golden.MODELS["gated-untied"][:2])
    trainer = _core.Trainer(core)
    alone = trainer.gradients(*batch("gated-untied"), 1)[0]
    found = []
    threads = [threading.Thread(target=lambda: found.append(trainer.gradients(*batch("gated-untied"), 1)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 8
