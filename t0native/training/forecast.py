"""What a training takes, told before it begins: memory, operations, hours.

    memory      weights + gradients + optimiser states + activations of the largest piece of a batch (csrc/t5/shard.c)
                + what writing a checkpoint copies + this process as it is
    operations  2 a multiplication with its addition; backward counts twice forward, and recompute forward once more
    hours       steps x (operations of a step / operations of the probe x its seconds + seconds of the optimiser)

The probe is a real step of some of the recipe's examples, where the model fits into the memory that there is and the step takes
seconds; else the speed of one matrix product is measured and operations are counted, which tells the least a step takes."""

import time

import numpy as np

from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.base.memory import available_memory
from t0native.base.threads import get_num_threads
from t0native.checkpoints.sizes import training_bytes
from t0native.models.model import FLAT, Model
from t0native.training.batches import TEXT_RULES, make_batch
from t0native.training.trainer import Trainer, matching

__all__ = ["forecast", "forecast_lines", "operations"]

SAMPLE = 512  # examples whose lengths are measured
PROBE_SECONDS, PROBE_MOST = 1.0, 10.0  # what the probing step aims at; what loading and it may take at most
READ_RATE = 5e8  # bytes of weights a second whose memory is taken and filled, at least
PRODUCT_ROWS, PRODUCT_FLOATS, PRODUCT_SECONDS = 256, 1 << 24, 0.3


def forecast(recipe, given):
    """The plan of a recipe as a dict of plain values. given: all keywords of `train`, checked.

    memory: bytes by what they are for, and their sum, total; available: bytes that the system can give, or None; fits;
    lengths, speed: how lengths and speed are known; missing: what a real run would still need."""
    config = recipe.config()
    lengths, how_known = _lengths(recipe, given)
    memory = memory_of(config, lengths, given)
    free = available_memory()
    mean = sum(map(sum, lengths)) / len(lengths)
    if given["batch_tokens"] is None:
        examples = given["batch_size"] * given["accumulate"]
        tokens = round(mean * examples)
    else:
        tokens = given["batch_tokens"] * given["accumulate"]
        examples = max(1, round(tokens / mean))
    fits = free is None or memory["total"] - memory["this process"] <= free
    work = operations(config, lengths, given["recompute"]) / len(lengths) * examples
    seconds, speed = _seconds(config, lengths, given, work, fits)
    return {
        "model": recipe.model_name(),
        "parameters": config.parameters,
        "memory": memory,
        "available": free,
        "fits": fits,
        "helps": _remedies(given),
        "steps": given["steps"],
        "examples": given["steps"] * examples,
        "tokens a step": tokens,
        "tokens": tokens * given["steps"],
        "lengths": how_known,
        "operations a step": work,
        "seconds a step": seconds,
        "hours": seconds * given["steps"] / 3600,
        "speed": speed,
        "missing": list(dict.fromkeys(recipe.missing)),
        "out": None if given["out"] is None else str(given["out"]),
    }


def forecast_lines(plan):
    """The plan as text, a line a fact."""
    memory = {name: size for name, size in plan["memory"].items() if name != "total"}
    total, free = plan["memory"]["total"], plan["available"]
    parts = ", ".join(f"{name} {_size(size)}" for name, size in memory.items())
    told = {name: plan[name] for name in ("model", "parameters")} | {"memory": f"{_size(total)}: {parts}"}
    if free is not None:
        more, least = total - memory["this process"], f"{_size(free)} available"
        told["fits"] = f"yes: {_size(more)} more needed, {least}" if plan["fits"] else _refusal(plan, more, least)
    told |= {name: plan[name] for name in ("steps", "examples", "tokens a step", "tokens", "lengths")}
    told["seconds a step"] = f"{plan['seconds a step']:,.3g}"
    told["hours"] = f"{plan['hours']:,.3g} ({plan['speed']}; validation and checkpoints aside)"
    told |= {f"missing {i}" if len(plan["missing"]) > 1 else "missing": what for i, what in enumerate(plan["missing"], 1)}
    told["out"] = plan["out"] or "nowhere: the trained model would be lost; name a folder with out or --out"
    return [f"{key:<18} {value:,}" if isinstance(value, int) else f"{key:<18} {value}" for key, value in told.items()]


def _refusal(plan, more, least):
    return f"no, by {_size(more - plan['available'])}: {_size(more)} more needed, {least}; what helps: {', '.join(plan['helps'])}"


def _remedies(given):
    """What takes less memory and is not in the recipe yet."""
    other = {"optimizer: adafactor": given["optimizer"] == "adamw", "recompute: true": not given["recompute"]}
    return [name for name, helps in other.items() if helps] + ["a smaller model"]


def _size(n):
    return f"{n / 1e9:,.1f} GB" if n >= 1e9 else f"{n / 1e6:,.1f} MB"


# ---- lengths and memory ----------------------------------------------------------------------------------------------


def _lengths(recipe, given):
    """([(tokens of the input, tokens of the target)] of the first examples, or of one as long as may be; how they are known)."""
    longest = (given["max_source"], given["max_target"])
    tokenizer = None if recipe.missing else recipe.tokenizer()
    if tokenizer is None:
        return [longest] * SAMPLE, f"taken as {longest[0]} + {longest[1]} tokens an example, the most: not all is here to measure them"
    batch = make_batch(recipe.mixture, tokenizer, 0, batch_size=SAMPLE, **{name: given[name] for name in ("seed", *TEXT_RULES)})
    lengths = [tuple(map(int, pair)) for pair in zip(np.diff(batch.sources.offsets), np.diff(batch.targets.offsets))]
    means = np.mean(lengths, axis=0)
    return lengths, f"{means[0]:.1f} + {means[1]:.1f} tokens an example, the mean of the first {SAMPLE}"


def memory_of(config, lengths, given):
    """{what for: bytes} of a run, with their sum as "total"."""
    how = {name: given[name] for name in ("optimizer", "recompute")}
    how["momentum"] = (given["optimizer_options"] or {}).get("momentum", 0.0)
    how["freeze"] = matching(given["freeze"] or (), config.tensors())
    how["dropout"] = config.dropout_rate if given["dropout"] is None else given["dropout"]
    taken = training_bytes(config, lengths, threads=given["threads"] or get_num_threads(), **how)
    memory = {"weights": 4 * config.parameters, "gradients": taken["gradients"], "optimiser states": taken["states"]}
    memory["activations"] = taken["activations"]
    if given["out"] is not None:
        memory["a checkpoint's copy of the states"] = taken["states"]
    memory["this process"] = _resident()
    return memory | {"total": sum(memory.values())}


def _resident():
    """Bytes of memory that this process has, or 0 where the system does not say."""
    try:
        with open("/proc/self/status") as file:
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    except (OSError, StopIteration):
        return 0


# ---- operations and speed --------------------------------------------------------------------------------------------


def operations(config, lengths, recompute=False):
    """Operations of forward and backward for examples of these lengths [(source, target)].

    >>> config = t0.Config.t5_v1_1("base")
    >>> round(operations(config, [(256, 64)] * 4) / 1e12, 1)
    0.8
    """
    d, inner, f = config.d_model, config.num_heads * config.d_kv, config.d_ff
    feed_forward = d * f * (3 if config.feed_forward_proj == "gated-gelu" else 2)
    rows, answers = (sum(pair[i] for pair in lengths) for i in (0, 1))
    squares, triangles, crossed = (sum(weight) for weight in zip(*((s * s, t * t / 2, s * t) for s, t in lengths)))
    encoder = rows * (4 * d * inner + feed_forward) + 2 * inner * squares
    decoder = answers * (6 * d * inner + feed_forward) + rows * 2 * d * inner + 2 * inner * (triangles + crossed)
    stacks = config.num_layers * encoder + config.num_decoder_layers * decoder
    return 2 * ((4 if recompute else 3) * stacks + 3 * answers * d * config.vocab_size)


def _seconds(config, lengths, given, work, fits):
    """(seconds of a step, how they are known)."""
    threads = given["threads"] or get_num_threads()
    rate = threads * _core.probe_product(
        given["precision"], PRODUCT_ROWS, config.d_model, max(64, PRODUCT_FLOATS // config.d_model), kernel_sets.default(), PRODUCT_SECONDS
    )
    some, piece = _some(config, lengths, given["recompute"], rate)
    if not fits or 4 * config.parameters / READ_RATE + 2 * piece / rate > PROBE_MOST:
        told = (
            f"at least, by counted operations at the {rate / 1e9:,.0f} G op/s of one measured matrix product on {threads} "
            f"thread{'s' * (threads > 1)}"
        )
        return work / rate, told
    gradients, applying = _measured_step(config, given, some)
    told = (
        f"by one measured step of {len(some)} example{'s' * (len(some) > 1)}, {sum(map(sum, some)):,} tokens, on {threads} "
        f"thread{'s' * (threads > 1)}"
    )
    return work / piece * gradients + applying, told


def _some(config, lengths, recompute, rate):
    """(the first of the lengths: those that take PROBE_SECONDS at this rate, or fill a piece of a batch; their operations)."""
    costs = np.cumsum([operations(config, [pair], recompute) for pair in lengths])
    filled = int(np.searchsorted(np.cumsum([sum(pair) for pair in lengths]), training_bytes(config)["tokens"], "right"))
    n = min(len(costs), max(1, int(np.searchsorted(costs, PROBE_SECONDS * rate)), filled))
    return lengths[:n], float(costs[n - 1])


def _measured_step(config, given, lengths):
    """(seconds of the gradients of examples of these lengths, of the optimiser). Weights and tokens are arbitrary: work does not
    depend on them."""
    model = Model(_core.Model(config.core(), kernel_sets.default(), FLAT), config)
    for name, _ in model.core.tensors():
        model.core._writable(name)[...] = 0.01
    names = ("optimizer", "dropout", "broadcast_dropout", "freeze", "recompute", "seed", "threads", "precision")
    trainer = Trainer(model, clip_norm=given["clip"], options=given["optimizer_options"] or {}, **{name: given[name] for name in names})
    for some in ([min(lengths)], lengths):  # the first meets memory that nothing has touched
        batch = [_ragged([pair[i] for pair in some], config.vocab_size) for i in (0, 1)]
        began = time.perf_counter()
        trainer.gradients(*batch, 1)
        between = time.perf_counter()
        trainer.apply(0.0, 1)
        ended = time.perf_counter()
    return between - began, ended - between


def _ragged(lengths, vocab_size):
    from t0native.text.tokenizer import Ragged

    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged((np.arange(offsets[-1]) % (vocab_size // 2) + vocab_size // 3).astype(np.int32), offsets)
