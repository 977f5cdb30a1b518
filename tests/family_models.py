"""Random models of every family of T5, as transformers' own classes make and save them: awkward sizes, weights lively enough that
every part counts."""

import copy
import functools
import tempfile
from pathlib import Path
from typing import NamedTuple

import engine_models  # noqa: F401  finds golden_models
import numpy as np
from engine_models import golden

import t0native as t0


class Family(NamedTuple):
    """cls: transformers' class; config: its configuration's.  keys: what the family's config.json has beyond sizes, by the number of a
    model.  head: whether the model has a head of its own, by its number."""

    cls: str
    config: str
    keys: list
    heads: tuple = (True, False)


PROJECTIONS = ("relu", "gelu", "gelu_new", "silu", "gated-relu", "gated-gelu", "gated-silu", "gated-gelu_python")
T5 = "T5ForConditionalGeneration", "T5Config"
FAMILIES = {
    "feed-forward": Family(*T5, [{"feed_forward_proj": proj} for proj in PROJECTIONS]),
    "UL2": Family(*T5, [{"feed_forward_proj": "gated-silu", "dense_act_fn": "silu", "is_gated_act": True}] * 4),
    "derived keys": Family(
        *T5,
        [
            {"feed_forward_proj": "gated-gelu", "dense_act_fn": "gelu", "is_gated_act": True},
            {"feed_forward_proj": "relu", "dense_act_fn": "gelu_new", "is_gated_act": True},
            {"feed_forward_proj": "gated-gelu", "dense_act_fn": "silu"},
            {"feed_forward_proj": "gated-relu", "is_gated_act": False},
        ],
    ),
}
UMT5 = {"feed_forward_proj": "gated-gelu"}, {"scalable_attention": True}, {"feed_forward_proj": "gated-silu"}, {"feed_forward_proj": "relu"}
FAMILIES["umT5"] = Family("UMT5ForConditionalGeneration", "UMT5Config", list(UMT5))
MODELS = [(family, number) for family, facts in FAMILIES.items() for number in range(len(facts.keys))]
ENCODERS = {
    "T5 encoder": Family(
        "T5EncoderModel", "T5Config", [{"feed_forward_proj": proj} for proj in ("gated-gelu", "relu", "gated-silu", "gelu")]
    ),
    "mT5 encoder": Family("MT5EncoderModel", "MT5Config", [{}] * 4),
    "umT5 encoder": Family("UMT5EncoderModel", "UMT5Config", list(UMT5)),
}
ENCODER_MODELS = [(family, number) for family in ENCODERS for number in range(4)]
ENCODER_IDS = [f"{family}-{number}" for family, number in ENCODER_MODELS]
IDS = [f"{family}-{number}" for family, number in MODELS]


def shape(family, number):
    """Keys of the configuration: every size drawn, few of them even."""
    rng = np.random.default_rng([number, *family.encode()])
    low = {"vocab_size": 41, "d_model": 9, "d_kv": 2, "d_ff": 7, "num_layers": 1, "num_decoder_layers": 1, "num_heads": 1}
    high = {"vocab_size": 170, "d_model": 75, "d_kv": 19, "d_ff": 90, "num_layers": 4, "num_decoder_layers": 4, "num_heads": 6}
    sizes = {name: int(rng.integers(low[name], high[name])) for name in low}
    buckets = int(rng.integers(4, 33))
    distance = buckets // 2 + int(rng.integers(1, 60))
    ids = dict(zip(("pad_token_id", "eos_token_id", "decoder_start_token_id"), map(int, rng.permutation(5)[:3])))
    return sizes | ids | {"relative_attention_num_buckets": buckets, "relative_attention_max_distance": distance}


@functools.cache
def theirs(family, number):
    """transformers' model, in float32."""
    import torch
    import transformers

    torch.set_num_threads(1)
    facts = (FAMILIES | ENCODERS)[family]
    own = facts.heads[number % len(facts.heads)]
    config = getattr(transformers, facts.config)(**shape(family, number), **facts.keys[number], tie_word_embeddings=not own)
    model = getattr(transformers, facts.cls)(config).eval()
    if own and hasattr(model, "lm_head"):  # which transformers would tie
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(golden.weight(name, tuple(parameter.shape), number)))
    return model


@functools.cache
def exact(family, number):
    """The same in float64."""
    return copy.deepcopy(theirs(family, number)).double()


_folders = tempfile.TemporaryDirectory()


@functools.cache
def folder(family, number):
    """Where transformers has saved it."""
    place = Path(_folders.name, f"{family}-{number}")
    theirs(family, number).save_pretrained(place)
    return place


@functools.cache
def ours(family, number, dtype="float32", kernels=None):
    """The same folder, loaded here."""
    return t0.Model.from_pretrained(folder(family, number), dtype, kernels=kernels)


def sequences(family, number, what, lengths):
    return golden.sequences(what, lengths, shape(family, number)["vocab_size"], number)
