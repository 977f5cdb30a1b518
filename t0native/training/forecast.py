"""What a training takes, before it begins: memory, operations, time.

    memory      weights + gradients (of lots some sets more: lots.py) + optimiser states + activations of the largest piece of a batch
                (csrc/t5/shard.c) + this process as it is
    operations  2 a multiplication with its addition; backward counts twice forward, and recompute forward once more
    hours       steps x (operations of a step / operations of the probe x its seconds + seconds of the optimiser)

The probe is a real step of some of the recipe's examples, where the model fits into the memory that there is and the step takes
seconds; else the speed of one matrix product is measured and operations are counted, which tells the least a step takes."""

import time

import numpy as np

from t0native import _core
from t0native.base import kernels as kernel_sets
from t0native.base.memory import available_memory
from t0native.base.progress import duration
from t0native.base.threads import get_num_threads
from t0native.checkpoints.sizes import training_bytes
from t0native.models.model import FLAT, Model
from t0native.text.tokenizer import Ragged
from t0native.training.adaptertrainer import adapter_bytes
from t0native.training.batches import examples_of, make_batch
from t0native.training.exchange import room_of, share_out
from t0native.training.lots import count_blocks
from t0native.training.ranks import LOTS, started_ranks
from t0native.training.trainer import Trainer, match_names

__all__ = [
    "count_steps",
    "format_bytes",
    "forecast",
    "forecast_lines",
    "make_ragged",
    "make_trainer",
    "measure_lengths",
    "memory_of",
    "operations",
    "operations_by_part",
    "product_outputs",
]

SAMPLE = 512  # examples whose lengths are measured
PROBE_SECONDS, PROBE_MOST = 1.0, 10.0  # what the probing step aims at; what loading and it may take at most
READ_RATE = 5e8  # bytes of weights a second whose memory is taken and filled, at least
PRODUCT_ROWS, PRODUCT_FLOATS, PRODUCT_SECONDS = 256, 1 << 24, 0.3
PRODUCT_INPUTS, PRODUCT_OUTPUTS = 1 << 16, 1 << 20  # at most


def forecast(recipe, settings):
    """What a run of the recipe under these Settings takes, as a dict of plain values.

    memory: bytes by what they are for, and their sum, total; available: bytes that the system can give, or None; fits;
    lengths, speed: how lengths and speed are known; missing: what a real run would still need."""
    config = recipe.config()
    lengths, source = measure_lengths(recipe, settings)
    memory = memory_of(config, lengths, settings, dtype=recipe.dtype)
    free = available_memory()
    mean = sum(map(sum, lengths)) / len(lengths)
    if settings.batch_tokens is None:
        examples = settings.batch_size * settings.accumulate
        tokens = round(mean * examples)
    else:
        tokens = settings.batch_tokens * settings.accumulate
        examples = max(1, round(tokens / mean))
    fits = free is None or memory["total"] - memory["this process"] <= free
    steps, n_examples = count_steps(recipe, settings, examples)
    work = operations(config, lengths, settings.recompute) / len(lengths) * examples
    seconds, speed = _measure_seconds(config, lengths, settings, work, fits)
    return {
        "model": recipe.model_name(),
        "parameters": config.parameters,
        "memory": memory,
        "available": free,
        "fits": fits,
        "helps": _remedies(settings),
        "steps": steps,
        "examples": n_examples,
        "tokens a step": tokens,
        "tokens are": "about" if settings.batch_tokens is None else "at most",
        "tokens": None if steps is None else tokens * steps,
        "lengths": source,
        "operations a step": work,
        "seconds a step": seconds,
        "hours": None if steps is None else seconds * steps / 3600,
        "speed": speed,
        "missing": list(dict.fromkeys(recipe.missing)),
        "out": None if settings.out is None else str(settings.out),
    }


def count_steps(recipe, settings, examples):
    """(steps, examples) of the run, of so many examples a step; None each where epochs are of rows that are not here."""
    if settings.epochs is None:
        return settings.steps, settings.steps * examples
    if recipe.mixture is None:
        return None, None
    epochs, steps = examples_of(recipe.mixture, settings)
    return steps, len(epochs)


def forecast_lines(facts):
    """What `forecast` gives as text, a line a fact."""
    texts = {name: facts[name] for name in ("model", "parameters")} | {"memory": _describe_memory(facts["memory"])}
    if facts["available"] is not None:
        texts["fits"] = _describe_fit(facts)
    unknown = "cannot be told before the rows are here, which epochs count"
    facts = facts | {name: unknown for name in ("steps", "examples", "tokens") if facts[name] is None}
    texts |= {name: facts[name] for name in ("steps", "examples", "tokens a step", "tokens", "lengths")}
    texts |= {name: f"{facts['tokens are']} {texts[name]:,}" for name in ("tokens a step", "tokens") if isinstance(texts[name], int)}
    texts["a step takes"] = duration(facts["seconds a step"])
    all_of_it = unknown if facts["hours"] is None else duration(3600 * facts["hours"])
    texts["all steps take"] = f"{all_of_it} ({facts['speed']}; validation and checkpoints aside)"
    texts |= {f"missing {i}" if len(facts["missing"]) > 1 else "missing": what for i, what in enumerate(facts["missing"], 1)}
    texts["out"] = facts["out"] or "nowhere: the trained model would be lost; name a folder with out or --out"
    return [f"{name:<18} {text:,}" if isinstance(text, int) else f"{name:<18} {text}" for name, text in texts.items()]


def _describe_memory(memory):
    parts = ", ".join(f"{name} {format_bytes(size)}" for name, size in memory.items() if name != "total")
    return f"{format_bytes(memory['total'])}: {parts}"


def _describe_fit(facts):
    needed = facts["memory"]["total"] - facts["memory"]["this process"]
    sizes = f"{format_bytes(needed)} more needed, {format_bytes(facts['available'])} available"
    if facts["fits"]:
        return f"yes: {sizes}"
    return f"no, by {format_bytes(needed - facts['available'])}: {sizes}; what helps: {', '.join(facts['helps'])}"


def _remedies(settings):
    """What takes less memory and is not in the recipe yet."""
    remedies = {"optimizer: adafactor": settings.optimizer == "adamw", "recompute: true": not settings.recompute}
    return [name for name, helps in remedies.items() if helps] + ["a smaller model"]


def format_bytes(n):
    return f"{n / 1e9:,.1f} GB" if n >= 1e9 else f"{n / 1e6:,.1f} MB"


# ---- lengths and memory ----------------------------------------------------------------------------------------------


def measure_lengths(recipe, settings):
    """([(tokens of the input, tokens of the target)] of the first examples, or of one as long as may be; how they are known)."""
    longest = (settings.max_source, settings.max_target)
    tokenizer = None if recipe.missing else recipe.tokenizer()
    if tokenizer is None:
        fewest = "; so examples and epochs are the fewest that there can be" if settings.batch_tokens else ""
        source = f"taken as {longest[0]} + {longest[1]} tokens an example, the most: not all is here to measure them{fewest}"
        return [longest] * SAMPLE, source
    batch = make_batch(recipe.mixture, tokenizer, 0, batch_size=SAMPLE, **settings.batch_options)
    lengths = [tuple(map(int, pair)) for pair in zip(np.diff(batch.sources.offsets), np.diff(batch.targets.offsets))]
    means = np.mean(lengths, axis=0)
    return lengths, f"{means[0]:.1f} + {means[1]:.1f} tokens an example, the mean of the first {SAMPLE}"


def memory_of(config, lengths, settings, ranks=None, dtype="float32"):
    """{what for: bytes} of a run, with their sum as "total"; of several ranks (None: as many as MPI started), those of each.
    dtype: of the weights, where an adapter is trained beside them."""
    ranks = started_ranks().size if ranks is None else ranks
    lots = settings.lots or (LOTS if ranks > 1 else None)
    more = 0 if lots is None else 4 * config.parameters * count_blocks(lots, min(ranks, lots))
    options = {
        "optimizer": settings.optimizer,
        "momentum": (settings.optimizer_options or {}).get("momentum", 0.0),
        "dropout": config.dropout_rate if settings.dropout is None else settings.dropout,
        "recompute": settings.recompute,
        "threads": settings.threads or get_num_threads(),
    }
    frozen = match_names(settings.freeze or (), config.tensors())
    beside = training_bytes(config, lengths, freeze=frozen, **options)
    states = beside["states"] if ranks == 1 else _most_states(config, frozen, ranks, options)
    memory = {"weights": 4 * config.parameters, "gradients": beside["gradients"] + more, "optimiser states": states}
    if ranks > 1:
        memory["on their way"] = room_of(_sizes(config), lots, ranks, settings.wire)
    memory["activations"] = beside["activations"]
    if settings.adapter is not None:
        memory = adapter_bytes(config, settings.adapter, dtype, settings, beside)
    memory["this process"] = _resident_bytes()
    return memory | {"total": sum(memory.values())}


def _sizes(config):
    """Numbers of each tensor."""
    return [int(np.prod(shape)) for shape in config.tensors().values()]


def _most_states(config, frozen, ranks, options):
    """Bytes of the optimiser's state in the rank that has most of it."""
    names, owners = list(config.tensors()), share_out(_sizes(config), ranks)
    stateless = [{*frozen, *(name for name, owner in zip(names, owners) if owner != rank)} for rank in range(ranks)]
    return max(training_bytes(config, freeze=list(names), **options)["states"] if len(names) < len(owners) else 0 for names in stateless)


def _resident_bytes():
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
    sources, targets = np.array(lengths, np.float64).T
    return sum(float(part.sum()) for part in operations_by_part(config, sources, targets, recompute).values())


def operations_by_part(config, sources, targets, recompute=False):
    """{"encoder", "decoder", "head": float64 [n]}: operations of forward and backward for each of n examples. A token of the input passes
    the encoder and the decoder's keys and values of it, one of the target the decoder and the head.

    sources, targets: float64 [n], the examples' tokens."""
    d, inner, f = config.d_model, config.num_heads * config.d_kv, config.d_ff
    feed_forward, times = d * f * (3 if config.gated else 2), 8 if recompute else 6
    encoder = sources * (4 * d * inner + feed_forward) + 2 * inner * sources**2
    decoder = targets * (6 * d * inner + feed_forward) + sources * 2 * d * inner + 2 * inner * (targets**2 / 2 + sources * targets)
    parts = {"encoder": times * config.num_layers * encoder, "decoder": times * config.num_decoder_layers * decoder}
    return parts | {"head": 6 * targets * d * config.vocab_size}


def _measure_seconds(config, lengths, settings, work, fits):
    """(seconds of a step, how they are known)."""
    threads = settings.threads or get_num_threads()
    on_threads = f"on {threads} thread{'s' * (threads > 1)}"
    inputs, outputs = min(config.d_model, PRODUCT_INPUTS), product_outputs(config.d_model, PRODUCT_FLOATS)
    rate = threads * _core.probe_product(settings.precision, PRODUCT_ROWS, inputs, outputs, kernel_sets.default(), PRODUCT_SECONDS)
    if settings.adapter is not None:  # the products of the weights' gradients are left out
        return 2 / 3 * work / rate, f"at least, by counted operations at the {rate / 1e9:,.0f} G op/s of one matrix product {on_threads}"
    probe, probe_work = _choose_probe(config, lengths, settings.recompute, rate)
    if not fits or 4 * config.parameters / READ_RATE + 2 * probe_work / rate > PROBE_MOST:
        return work / rate, f"at least, by counted operations at the {rate / 1e9:,.0f} G op/s of one measured matrix product {on_threads}"
    gradients, update = _measure_step(config, settings, probe)
    source = f"by one measured step of {len(probe)} example{'s' * (len(probe) > 1)}, {sum(map(sum, probe)):,} tokens, {on_threads}"
    return work / probe_work * gradients + update, source


def product_outputs(inputs, floats):
    """Outputs of the product that is measured: as many as make so many floats, within what the core measures.

    >>> product_outputs(512, 1 << 24), product_outputs(8, 1 << 24), product_outputs(1 << 20, 1 << 24)
    (32768, 1048576, 64)
    """
    return min(PRODUCT_OUTPUTS, max(64, floats // inputs))


def _choose_probe(config, lengths, recompute, rate):
    """(the first of the lengths: those that take PROBE_SECONDS at this rate, or fill a piece of a batch; their operations)."""
    costs = np.cumsum([operations(config, [pair], recompute) for pair in lengths])
    in_a_piece = int(np.searchsorted(np.cumsum([sum(pair) for pair in lengths]), training_bytes(config)["tokens"], "right"))
    n = min(len(costs), max(1, int(np.searchsorted(costs, PROBE_SECONDS * rate)), in_a_piece))
    return lengths[:n], float(costs[n - 1])


def _measure_step(config, settings, lengths):
    """(seconds of the gradients of examples of these lengths, of the optimiser)."""
    trainer = make_trainer(config, settings.trainer_options)
    for some in ([min(lengths)], lengths):  # the first meets memory that nothing has touched
        batch = [make_ragged([pair[i] for pair in some], config.vocab_size) for i in (0, 1)]
        began = time.perf_counter()
        trainer.gradients(*batch, 1)
        between = time.perf_counter()
        trainer.apply(0.0, 1)
        ended = time.perf_counter()
    return between - began, ended - between


def make_trainer(config, options, kind=Trainer):
    """A Trainer, or another kind of it, of a model of this configuration. Weights are arbitrary: work does not depend on them."""
    model = Model(_core.Model(config.core(), kernel_sets.default(), FLAT), config)
    for name, _ in model.core.tensors():
        model.core._writable(name)[...] = 0.01
    return kind(model, **options)


def make_ragged(lengths, vocab_size):
    """Sequences of these lengths, of arbitrary tokens."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Ragged((np.arange(offsets[-1]) % (vocab_size // 2) + vocab_size // 3).astype(np.int32), offsets)
