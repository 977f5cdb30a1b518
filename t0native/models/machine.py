"""How fast this machine is, and a model on it: the peaks of one core, the rate of products, tokens a second.

One thread's work is measured by its processor time, so that other work on the machine does not count; several threads' by the
wall clock."""

import statistics
import time

import numpy as np

from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.checkpoints.sizes import DTYPES

__all__ = ["ROWS", "measure_machine", "measure_model"]

SECONDS = 0.05  # of a measurement
ROWS = (1, 4, 12, 64, 256)  # of the products
INPUTS, MATRIX_BYTES = 2048, 1 << 27  # a matrix that no cache holds, as those of a large model
SOURCE, TARGET, CHOICES, INPUTS_AT_ONCE, TOKENS = 80, 2, 2, 8, 32  # of the model's work


def measure_machine(kernels=None, dtypes=DTYPES, seconds=None):
    """Facts, as a dict: peaks (G op/s of one core, 2 a multiplication with its addition, None where a set has no instruction of
    its own) of every kernel set, read_gb (GB/s), and of the set `kernels` (None: the one in use) for each number type the rates
    (G op/s) of products of ROWS rows with a packed matrix read from memory, and their share of the peak.

    seconds: of each measurement (None: SECONDS). The portable set has no rates: it is no fast one.

    >>> facts = measure_machine(seconds=0.001, dtypes=())
    >>> facts["peaks"]["portable"]["float32"] > 0.01
    True
    """
    seconds = SECONDS if seconds is None else seconds
    chosen = kernels or kernel_sets.default() or kernel_sets.available()[-1]
    peaks = {name: {dtype: _peak(dtype, name, seconds) for dtype in DTYPES} for name in kernel_sets.available()}
    facts = {"kernels": chosen, "peaks": peaks, "read_gb": _core.probe_read(np.ones(MATRIX_BYTES, np.uint8), chosen, seconds) / 1e9}
    facts["products"] = {dtype: _products(dtype, chosen, peaks[chosen], seconds) for dtype in dtypes if chosen != "portable"}
    return facts


def _peak(dtype, kernels, seconds):
    rate = _core.probe(dtype, kernels, seconds)
    return None if rate is None else rate / 1e9


def _products(dtype, kernels, peaks, seconds):
    """Rates by rows. A type without an instruction of its own is computed in float32."""
    size = {"float32": 4, "bfloat16": 2, "int8": 1}[dtype]
    outputs = MATRIX_BYTES // size // INPUTS
    peak = peaks[dtype] or peaks["float32"]
    rates = {rows: _core.probe_product(dtype, rows, INPUTS, outputs, kernels, seconds) / 1e9 for rows in ROWS}
    return {rows: {"rate": rate, "share": rate / peak} for rows, rate in rates.items()}


def measure_model(model, repeats=3):
    """What the model does in a second, medians of `repeats`: encoded tokens (inputs of 80), scored examples (2 choices of 2 tokens
    each), and tokens of greedy decoding for one input and for 8, encoding left aside.

    >>> sorted(measure_model(t0.mini.new_model(0), repeats=1))[:2]
    ['decoded_tokens', 'decoded_tokens_8']
    """
    rng = np.random.default_rng(0)
    ids = rng.integers(model.config.vocab_size // 2, model.config.vocab_size, (INPUTS_AT_ONCE, SOURCE)).astype(np.int32)
    inputs = list(ids)
    choices = [[row[: TARGET - 1].tolist() + [model.config.eos_token_id] for row in ids[:CHOICES]]] * INPUTS_AT_ONCE
    clock = time.process_time if model.threads == 1 else time.perf_counter
    encode = _seconds(lambda: model.encode(inputs), repeats, clock)
    facts = {
        "parameters": model.parameters,
        "kernels": model.core.kernels,
        "dtype": model.dtype,
        "threads": model.threads,
        "encoded_tokens": INPUTS_AT_ONCE * SOURCE / encode,
        "scored_examples": INPUTS_AT_ONCE / _seconds(lambda: model.rank(inputs, choices), repeats, clock),
    }
    for count, name in ((1, "decoded_tokens"), (INPUTS_AT_ONCE, "decoded_tokens_8")):
        long, short = (_seconds(lambda n=n, count=count: _decode(model, inputs[:count], n), repeats, clock) for n in (TOKENS, 1))
        facts[name] = count * (TOKENS - 1) / (long - short) if long > short else float("nan")
    return facts


def _decode(model, inputs, tokens):
    """Greedily, by the core: what the search in Python costs is not the model's."""
    offsets = np.arange(len(inputs) + 1) * SOURCE
    model.core.generate(np.concatenate(inputs), offsets, tokens, tokens, model.threads)


def _seconds(work, repeats, clock):
    work()
    times = []
    for _ in range(repeats):
        began = clock()
        work()
        times.append(clock() - began)
    return statistics.median(times)
