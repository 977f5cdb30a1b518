"""What the shapes of a T5's tensors tell of it, where no config.json does."""

from __future__ import annotations

import re

from t0native.base.errors import FormatError
from t0native.checkpoints.tensorfiles import Problems

__all__ = ["from_shapes"]


def from_shapes(file, entries):
    """Keys of a Config that the shapes of a checkpoint's tensors tell, under the hub's names. FormatError where they are no T5's."""
    problems = Problems(file)

    def shape(name):
        entry = entries.get(name)
        if entry is None or len(entry.shape) != 2:
            problems.add(f"tensor {name}: " + ("missing" if entry is None else f"expected two dimensions, found {list(entry.shape)}"))
        return entry.shape if entry is not None and len(entry.shape) == 2 else (1, 1)

    first = "encoder.block.0.layer.0.SelfAttention."
    gated = "encoder.block.0.layer.1.DenseReluDense.wi_0.weight" in entries
    vocab_size, d_model = shape("shared.weight")
    buckets, heads = shape(first + "relative_attention_bias.weight")
    inner, _ = shape(first + "q.weight")
    d_ff, _ = shape(f"encoder.block.0.layer.1.DenseReluDense.{'wi_0' if gated else 'wi'}.weight")
    problems.check()
    if not heads or inner % heads:
        raise FormatError(f"{file}: queries of {inner} columns for {heads} heads: the sizes must divide")
    layers = {stack: _layers(entries, stack) for stack in ("encoder", "decoder")}
    return {
        "vocab_size": vocab_size,
        "d_model": d_model,
        "d_ff": d_ff,
        "num_heads": heads,
        "d_kv": inner // heads,
        "num_layers": layers["encoder"],
        "num_decoder_layers": layers["decoder"],
        "relative_attention_num_buckets": buckets,
        "tie_word_embeddings": "lm_head.weight" not in entries,
    }


def _layers(entries, stack):
    return 1 + max((int(match[1]) for name in entries if (match := re.match(rf"{stack}\.block\.(\d{{1,4}})\.", name))), default=0)
