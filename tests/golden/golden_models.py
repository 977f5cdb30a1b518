"""The models, batches and gradients of the golden files, made from integer arithmetic alone: the same on any machine.

A weight is  scale * (uniform in [-1, 1)) with  uniform = splitmix64(hash of the name + index),  so only results are stored.
"""

import zlib

import numpy as np

BASE = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1, "layer_norm_epsilon": 1e-6, "dropout_rate": 0.0}


def config(vocab, d_model, heads, d_kv, d_ff, layers, decoder_layers, buckets=32, distance=128, proj="gated-gelu", tied=False):
    return {
        "vocab_size": vocab,
        "d_model": d_model,
        "num_heads": heads,
        "d_kv": d_kv,
        "d_ff": d_ff,
        "num_layers": layers,
        "num_decoder_layers": decoder_layers,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": distance,
        "feed_forward_proj": proj,
        "relative_attention_every_layer": False,
        "encoder_only": False,
        "tie_word_embeddings": tied,
        "scale_decoder_outputs": tied,
        **BASE,
    }


# name -> (configuration, seed, source lengths, target lengths). Between them: gated and relu, tied and untied, unequal
# depths, prime sizes, one head, odd and few buckets, sequences beyond the largest distance. Gradients are stored too.
MODELS = {
    "gated-untied": (config(41, 16, 2, 8, 24, 2, 2), 1, (7, 1, 12), (5, 3, 1)),
    "prime-unequal-depths": (config(37, 13, 3, 5, 17, 1, 3, 7, 20), 2, (9, 4, 17, 2), (4, 6, 2, 1)),
    "relu-tied": (config(43, 16, 4, 4, 32, 2, 1, proj="relu", tied=True), 3, (11, 5), (7, 2)),
    "relu-untied-one-head": (config(31, 11, 1, 11, 19, 1, 2, proj="relu"), 14, (6, 8, 3), (3, 3, 9)),
    "gated-tied-few-buckets": (config(29, 12, 3, 4, 16, 2, 2, 6, 9, tied=True), 5, (40, 13), (21, 4)),
    "beyond-the-distance": (config(29, 8, 2, 4, 8, 1, 1), 6, (150, 3), (140, 2)),
}
# Inference alone: sizes that no panel divides, the fewest buckets there can be, more buckets than tokens, the least distance
# for its buckets, heads wider and narrower than the model, sums longer than a block of the products, mT0's vocabulary, other
# special ids, many layers, inputs of several times the distance.
INFERENCE = {
    "primes": (config(211, 37, 5, 7, 53, 2, 3, 7, 11), 21, (13, 1, 31), (5, 1, 11)),
    "primes-relu-tied": (config(211, 37, 3, 7, 53, 3, 1, 13, 29, "relu", True), 22, (17, 61), (7, 2)),
    "one-of-each": (config(23, 5, 1, 3, 7, 1, 1, 4, 3), 23, (19, 1), (6, 1)),
    "five-buckets": (config(47, 20, 2, 6, 31, 2, 2, 5, 40), 24, (71, 2), (45, 1)),
    "least-distance": (config(47, 11, 2, 5, 13, 2, 1, 9, 5, "relu"), 25, (37, 8), (23, 3)),
    "more-buckets-than-tokens": (config(47, 12, 2, 8, 20, 1, 1, 200, 150), 26, (90, 7), (80, 2)),
    "heads-wider-than-the-model": (config(61, 10, 4, 16, 14, 2, 2, tied=True), 27, (9, 33), (4, 8)),
    "heads-narrower-than-the-model": (config(61, 64, 2, 3, 48, 1, 2, 31, 127, "relu"), 28, (9, 33), (4, 8)),
    "long-sums": (config(67, 9, 2, 301, 1031, 1, 1), 29, (14, 3), (6, 2)),
    "wide": (config(331, 261, 4, 67, 515, 1, 1, tied=True), 30, (21, 4), (5, 3)),
    "mt0-vocabulary": (config(250112, 4, 2, 3, 6, 1, 1), 31, (11, 3), (4, 2)),
    "other-special-ids": (
        config(53, 16, 2, 8, 24, 2, 2) | {"decoder_start_token_id": 9, "pad_token_id": 4, "eos_token_id": 7}, 32, (12, 5, 1), (4, 6, 2),
    ),
    "many-layers": (config(41, 12, 2, 6, 18, 9, 7, 10, 30), 33, (26, 5), (12, 3)),
    "long-inputs": (config(43, 8, 2, 4, 12, 2, 1), 36, (700, 257, 1), (300, 9, 2)),
    "large-values": (config(59, 24, 3, 8, 40, 2, 2), 36, (15, 6), (8, 3)),
}  # fmt: skip
CASES = {**MODELS, **INFERENCE}
# Weights of a case that are larger or smaller than the others': part of the name -> factor. Queries shrink where norms grow,
# so that attention does not become a choice of one key, which rounding would decide. Logits reach 200, beyond what exp can bear.
FACTORS = {"large-values": {"layer_norm": 30.0, ".q.": 1 / 900, "shared": 300.0, ".wo.": 10.0, ".o.": 5.0}}
TOLERANCE = 1e-4  # of float32, absolute and relative
COLUMNS = 400  # of a large vocabulary that are stored
GENERATED_TOKENS = 10
CHOICE_LENGTHS = (1, 2, 3, 2, 5)  # choices of every source, for rank classification

# All dimensions >= 128, so that Adafactor factors the same tensors everywhere; one layer, to keep it small.
LARGE = config(131, 128, 128, 1, 129, 1, 1, 128, 256)
OPTIMIZER_STEPS = 20
SAMPLED = 64  # weights kept of each tensor


def bits(name, n, seed):
    """splitmix64 of consecutive numbers behind a hash of name and seed: uint64 [n]."""
    start = np.uint64((zlib.crc32(name.encode()) << 32) + seed * 1_000_003)
    with np.errstate(over="ignore"):
        z = start + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(name, shape, seed, scale):
    """float32 in [-scale, scale)."""
    n = int(np.prod(shape))
    unit = (bits(name, n, seed) >> np.uint64(40)).astype(np.float64) / 2**23 - 1.0
    return (unit * scale).astype(np.float32).reshape(shape)


def weight(name, shape, seed, factors=None):
    """Norms around 1; matrices of a size that keeps activations alive and the answers undecided by rounding."""
    value = plain_weight(name, shape, seed)
    for part, factor in (factors or {}).items():
        if part in name:
            value = value * np.float32(factor)
    return value


def weights(case, tensors):
    """{name: weight} of a case; tensors: (name, shape) of each."""
    return {name: weight(name, tuple(shape), CASES[case][1], FACTORS.get(case)) for name, shape in tensors}


def plain_weight(name, shape, seed):
    if len(shape) == 1:
        return 1.0 + uniform(name, shape, seed, 0.3)
    if "relative_attention_bias" in name:
        return uniform(name, shape, seed, 1.5)
    value = uniform(name, shape, seed, 1.7 if name == "shared.weight" else 2.2 / shape[1] ** 0.5)
    if name in ("shared.weight", "lm_head.weight"):
        value[1] *= np.float32(2.5)  # the end token is generated now and then
    return value


def sequences(name, lengths, vocab, seed):
    """Lists of ids from 2 on (neither pad nor end)."""
    ids = (bits(name, sum(lengths), seed) % np.uint64(vocab - 2)).astype(np.int32) + 2
    return [part.tolist() for part in np.split(ids, np.cumsum(lengths)[:-1])]


def batch(case):
    """(sources, targets) of a case; targets end with the end token where they are longer than one."""
    shape, seed, source_lengths, target_lengths = CASES[case]
    sources = sequences("sources", source_lengths, shape["vocab_size"], seed)
    targets = sequences("targets", target_lengths, shape["vocab_size"], seed)
    for target in targets:
        if len(target) > 1:
            target[-1] = shape["eos_token_id"]
    return sources, targets


def choices(case):
    """For every source the same choices, each closed by the end token."""
    shape, seed, _, _ = CASES[case]
    return [[*part, shape["eos_token_id"]] for part in sequences("choices", CHOICE_LENGTHS, shape["vocab_size"], seed)]


def columns(vocab):
    """Columns of the logits that are stored: all, or some of a large vocabulary."""
    return np.arange(vocab) if vocab <= COLUMNS else np.unique(bits("columns", COLUMNS, 0) % np.uint64(vocab)).astype(np.int64)


def error(found, expected):
    """Largest difference of two arrays of rows, absolute where numbers are below 1, else relative; where a row holds large numbers,
    the small ones among them are sums that cancel, and count as a tenth of the largest."""
    size = np.abs(expected)
    return (np.abs(found - expected) / np.maximum(np.maximum(size, size.max(-1, keepdims=True) / 10), 1.0)).max()


def sampled(name, size):
    """Places of the weights of a tensor that the optimiser's golden file keeps."""
    return np.sort(bits(name + " sample", min(SAMPLED, size), 0) % np.uint64(size)).astype(np.int64)
