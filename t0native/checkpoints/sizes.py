"""Sizes: bytes of a model's weights by number type, and what scoring and training take beside them."""

import math

from t0native import _core

__all__ = ["DTYPES", "activation_bytes", "gradient_sets", "scoring_bytes", "training_bytes", "weights_bytes"]

DTYPES = ("float32", "bfloat16", "int8")  # what a model's weights can be held in
MIN_FACTORED = 128  # Adafactor keeps rows and columns of matrices from this size on
SHARDS, SHARDED_BELOW = 4, 4_000_000  # csrc/t5/trainer.c: sets of gradients of a model with fewer weights than this
WIDE_ROWS, SHARDED_ROWS = 768, 256  # the same: tokens of a piece of a batch
LOGIT_FLOATS, ATTENTION_ROWS = 1 << 22, 64  # csrc/t5/groups.h, csrc/nn/gemm.h


def weights_bytes(config, dtype):
    """Bytes of a model's weights in the core.

    >>> from t0native.config import Config
    >>> [round(weights_bytes(Config.t5_v1_1("xl"), dtype) / 1e9, 2) for dtype in DTYPES]
    [11.4, 5.7, 2.93]
    """
    return _core.model_bytes(config.core(), dtype)


def scoring_bytes(config, tokens):
    """About the bytes that a call of the core takes to score `tokens` tokens, inputs and choices together."""
    inner, widest = config.num_heads * config.d_kv, max(config.d_model, config.num_heads * config.d_kv, config.d_ff)
    layer = 2 * config.d_model + max(4 * inner, 2 * config.d_ff) + widest
    keys_and_values = 2 * inner * config.num_decoder_layers  # of cross-attention, for all layers
    return 4 * tokens * (layer + keys_and_values)


def training_bytes(shapes, optimizer, *, momentum=0.0, frozen=()):
    """Bytes of gradients and optimiser state beside weights of these shapes, activations aside.

    AdamW: two floats a weight. SGD: one with momentum, none without. Adafactor: rows + columns of matrices with both at least
    128, else a float a weight. frozen: those of the shapes that are not trained; they have gradients, but no state.

    >>> training_bytes([(256, 1000), (256,)], "adafactor") // 4 == 256 * 1000 + 256 + (256 + 1000) + 256
    True
    """

    def state(shape):
        if optimizer == "adafactor":
            return sum(shape) if len(shape) == 2 and min(shape) >= MIN_FACTORED else math.prod(shape)
        return math.prod(shape) * (2 if optimizer == "adamw" else momentum > 0)

    return 4 * (sum(map(math.prod, shapes)) + sum(map(state, shapes)) - sum(map(state, frozen)))


def gradient_sets(config):
    """How many copies of the gradients a trainer holds."""
    return SHARDS if config.parameters < SHARDED_BELOW else 1


def activation_bytes(config, lengths, *, dropout, recompute, threads):
    """Bytes that a trainer holds for batches of examples with these lengths [(tokens of the input, tokens of the target)], as
    csrc/t5/shard.c lays them out: those of the largest run of examples that is worked on at once, for each set of gradients.

    >>> from t0native.config import Config
    >>> how = {"dropout": 0.1, "threads": 1}
    >>> [round(activation_bytes(Config.t5_v1_1("xl"), [(1024, 256)], recompute=keep, **how) / 1e9, 1) for keep in (False, True)]
    [7.7, 1.1]
    """
    sets = gradient_sets(config)
    most, piece = 0, []
    for pair in [*lengths, None]:
        if piece and (pair is None or sum(map(sum, piece)) + sum(pair) > (WIDE_ROWS if sets == 1 else SHARDED_ROWS)):
            most = max(most, _piece_floats(config, piece, dropout > 0, recompute, threads if sets == 1 else 1))
            piece = []
        piece.append(pair)
    return 4 * sets * most


def _piece_floats(config, piece, dropped, recompute, threads):
    """Of examples that are worked on at once; csrc/t5/forward.c, backward.c and shard.c have the same in C."""
    d, inner, f = config.d_model, config.num_heads * config.d_kv, config.d_ff
    hidden = 2 * f if config.feed_forward_proj == "gated-gelu" else f
    squares = {name: config.num_heads * sum(a * b for a, b in zip(*pairs)) for name, pairs in _pairs(piece).items()}
    sources, targets = zip(*piece)

    def stack(lengths, layers, bias, p, crossed=0):
        """(floats of the forward pass, of the backward pass)."""
        n, tables = sum(lengths), config.num_heads * bias
        block = n * (2 + 4 * inner + d + hidden) + p + (n * (1 + d + 2 * inner) + crossed if crossed else 0)
        forward = n * (1 + (2 + dropped) * d + f) + tables + layers * n * d + (1 if recompute else layers) * block
        scratch = 2 * threads * ATTENTION_ROWS * max(sources if crossed else lengths) + len(lengths) * tables
        return forward, n * ((2 + dropped) * d + max(3 * inner, hidden) + max(inner, f)) + tables + scratch

    encoder, encoder_back = stack(sources, config.num_layers, 2 * max(sources) - 1, squares["self"])
    decoder, decoder_back = stack(targets, config.num_decoder_layers, max(targets), squares["decoder"], squares["cross"])
    s, t = sum(sources), sum(targets)
    between = s * (2 * d + 2 * inner * (config.num_decoder_layers + 1)) + 2 * t * d
    logits = min(max(1, LOGIT_FLOATS // config.vocab_size), t) * (config.vocab_size + 1)
    return encoder + max(decoder + decoder_back, encoder_back) + between + logits


def _pairs(piece):
    """Queries and keys of the attentions of a piece: ([queries of each example], [keys])."""
    sources, targets = zip(*piece)
    return {"self": (sources, sources), "decoder": (targets, targets), "cross": (targets, sources)}
