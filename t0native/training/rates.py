"""Rates of this machine that the time of a training follows from: measured in seconds, on shapes of the model's width.

A batch is worked on in pieces, runs of examples of so many rows (csrc/t5/shard.c). What gradients take is, part by part,

    seconds = operations / rate + pieces x weights x cost        for the layers and for what stands around them (embedding, head, loss)

since each piece reads all weights and adds to all gradients. Two lengths of two small models, of n and of 3 n layers, give the four
unknowns: their differences are 2 n layers alone. The models have the width that is asked about, cut where it would take long; rates of
products hardly change beyond. One thread works, and its processor time counts, so that other work on the machine hardly does."""

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np

from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.checkpoints.config import Config
from t0native.checkpoints.sizes import training_bytes
from t0native.models.model import FLAT
from t0native.training.forecast import make_ragged, make_trainer, operations_by_part, product_outputs

__all__ = ["Rates", "measure_rates"]

WIDEST, WIDEST_INNER, WIDEST_VOCABULARY = 1024, 4096, 32768  # d_model; d_ff and all heads; of the models that are measured
REPEATS = 3
LARGE = 3  # times the layers of the small model that the large one has
SHORT = 8  # parts of the long examples' tokens that the short ones have
PRODUCT_ROWS, PRODUCT_FLOATS, PRODUCT_SECONDS = 256, 1 << 24, 0.1
SUM_FLOATS = 1 << 24
SMALLEST = Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_decoder_layers=1, num_heads=2)  # whose trainer adds


@dataclass(frozen=True)
class Rates:
    """What was measured, of one thread.

    kernels; precision; product: operations a second of products, as `bench` measures them; layers, around: operations a second of
    gradients; layers_weight, around_weight: seconds a weight and piece; optimizer: seconds a weight; sum: seconds a weight of adding two
    gradients; rounding: of rounding one to what goes over the wire, 0 where nothing is; copy: bytes a second of a copy; width: d_model of
    the models that were measured."""

    kernels: str
    precision: str
    product: float
    layers: float
    layers_weight: float
    around: float
    around_weight: float
    optimizer: float
    sum: float
    rounding: float
    copy: float
    width: int


def measure_rates(config, lengths, settings, repeats=REPEATS):
    """The Rates of gradients of a model of this Config for examples of these lengths [(source, target)], under these Settings.

    repeats: of each measurement, whose median counts."""
    small, large = _choose_models(config)
    options = settings.trainer_options | {"threads": 1, "freeze": None}  # whose patterns may fit none of these layers
    sample = _choose_sample(small, lengths)
    short = [(max(1, source // SHORT), max(1, target // SHORT)) for source, target in sample]
    measured = [_measure_gradients(shape, options, (short, sample), repeats) for shape in (small, large)]
    kernels, d_model = kernel_sets.default() or kernel_sets.available()[-1], small.d_model
    outputs = product_outputs(d_model, PRODUCT_FLOATS)
    product = _core.probe_product(settings.precision, PRODUCT_ROWS, d_model, outputs, kernels, PRODUCT_SECONDS)
    layers, around = _solve(small, large, (short, sample), settings.recompute, [times for times, _ in measured], product)
    sum_, rounding = _measure_sums(settings.wire, repeats)
    copy = _measure_copy(repeats)
    return Rates(
        kernels, settings.precision, product, layers[0], layers[1], around[0], around[1], measured[1][1], sum_, rounding, copy, d_model
    )


def _choose_models(config):
    """Two Configs of n and 3 n layers, of this one's width or of the widest that is measured; n is 1, or as many as make the small one be
    cut into shards, or not, as this one is."""
    heads = min(config.num_heads, max(1, min(WIDEST_INNER, config.num_heads * config.d_kv) // config.d_kv))
    narrow = min(1.0, WIDEST / config.d_model)
    shape = replace(
        config,
        d_model=min(config.d_model, WIDEST),
        d_ff=max(1, min(WIDEST_INNER, round(config.d_ff * narrow))),
        num_heads=max(1, round(heads * narrow)),
        vocab_size=min(config.vocab_size, WIDEST_VOCABULARY),
        num_layers=1,
        num_decoder_layers=1,
    )
    n = 1
    while _rows(replace(shape, num_layers=n, num_decoder_layers=n)) != _rows(config) and n < min(config.num_layers, 8):
        n += 1
    return tuple(replace(shape, num_layers=k * n, num_decoder_layers=k * n) for k in (1, LARGE))


def _rows(config):
    """Tokens of a piece at most."""
    return training_bytes(config)["tokens"]


def _choose_sample(config, lengths):
    """The first of the lengths that fill a piece; one at least."""
    ends = np.cumsum([sum(pair) for pair in lengths])
    return lengths[: max(1, int(np.searchsorted(ends, _rows(config), "right")))]


def _measure_gradients(config, options, samples, repeats):
    """(seconds of the gradients of each of the samples, seconds a weight of the optimiser): medians, the samples in turn."""
    trainer, clock = make_trainer(config, options), time.process_time
    batches = [[make_ragged([pair[i] for pair in sample], config.vocab_size) for i in (0, 1)] for sample in samples]
    times, updates = [[] for _ in samples], []
    for turn in range(repeats + 1):  # the first meets memory that nothing has touched
        for batch, seconds in zip(batches, times):
            began = clock()
            trainer.gradients(*batch, 1)
            between = clock()
            trainer.apply(0.0, 1)
            if turn:
                seconds.append(between - began)
                updates.append(clock() - between)
    return [statistics.median(seconds) for seconds in times], statistics.median(updates) / config.parameters


def _solve(small, large, samples, recompute, measured, most):
    """((operations a second, seconds a weight and piece) of the layers, the same of what stands around them).

    measured: seconds of the gradients of each of the samples, by each of the models; most: operations a second of products alone."""
    seconds, more = (np.array(times) for times in measured)
    work = [{part: values.sum() for part, values in _work(small, sample, recompute).items()} for sample in samples]
    of_layers = np.array([parts["encoder"] + parts["decoder"] for parts in work])
    of_head = np.array([parts["head"] for parts in work])
    weights = (large.parameters - small.parameters) // (LARGE - 1)
    around = np.maximum(seconds - (more - seconds) / (LARGE - 1), of_head / most)  # noise aside, nothing is faster than products
    layers = np.maximum((more - around) / LARGE, of_layers / most)
    return _fit(of_layers, layers, weights, most), _fit(of_head, around, small.parameters - weights, most)


def _work(config, sample, recompute):
    return operations_by_part(config, *np.array(sample, np.float64).T, recompute)


def _fit(work, seconds, weights, most):
    """(rate, cost) of seconds = work / rate + weights x cost, for a short and a long work [2], of which the long one's seconds are kept.
    A cost is not below 0, and a rate not above that of products.

    >>> [round(value, 3) for value in _fit(np.array([10.0, 100.0]), np.array([3.0, 12.0]), 4, most=20.0)]
    [10.0, 0.5]
    >>> _fit(np.array([10.0, 10.0]), np.array([3.0, 2.0]), 4, most=20.0)
    (5.0, 0.0)
    """
    share = work[0] / work[1]
    fixed = max(0.0, (seconds[0] - share * seconds[1]) / (1 - share)) if share < 1 else 0.0  # of one token there is nothing shorter
    fixed = max(0.0, min(fixed, seconds[1] - work[1] / most))
    return float(work[1] / (seconds[1] - fixed)), float(fixed / weights)


def _measure_sums(wire, repeats):
    """Seconds a weight of (adding two gradients, rounding one), as LotTrainer does both."""
    core = _core.Trainer(_core.Model(SMALLEST.core(), kernel_sets.default(), FLAT), threads=1)
    arrays, rounded = [np.ones(SUM_FLOATS, np.float32) for _ in range(2)], wire == "bfloat16"
    one, two = (_measure(lambda n=n: core.sum(arrays[:n], rounded, False), repeats) / SUM_FLOATS for n in (1, 2))
    return (two - one, one) if rounded else (two, 0.0)


def _measure_copy(repeats):
    """Bytes a second."""
    source, target = (np.ones(SUM_FLOATS, np.float32) for _ in range(2))
    return 4 * SUM_FLOATS / _measure(lambda: np.copyto(target, source), repeats)


def _measure(work, repeats):
    """Median seconds, after one time that does not count."""
    seconds = []
    for _ in range(repeats + 1):
        began = time.process_time()
        work()
        seconds.append(time.process_time() - began)
    return max(1e-9, statistics.median(seconds[1:]))
