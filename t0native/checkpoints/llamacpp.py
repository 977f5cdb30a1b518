"""T5 in llama.cpp's files (GGUF): its names of tensors, what its keys say of the model, and the tokenizer that is inside.

    general.architecture     t5, t5encoder
    token_embd.weight        shared.weight                         output.weight        lm_head.weight
    enc.blk.N.attn_q.weight  encoder.block.N.layer.0.SelfAttention.q.weight             enc.output_norm.weight, dec. alike
    tokenizer.ggml.model     t5, llama: SentencePiece, Unigram and BPE  .tokens, .scores, .token_type: a piece a row of the embedding

The shapes tell the sizes, and the keys must not say others. A feed-forward with a gate is GELU's and one without is ReLU's, as llama.cpp
computes them; buckets end at a distance of 128, as there. No key tells whether the head is the embedding: where there is no
output.weight, or one of the same values, it is, and scaled as that of T5 1.0. A row without a piece is called [PADn]: T5's sentinels are
such rows where the model was converted without added_tokens.json, so the first 100 are taken for them where there are as many."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from t0native.base.errors import ConfigError, FormatError
from t0native.base.showing import named, shown
from t0native.checkpoints.config import Config
from t0native.checkpoints.gguffile import MAGIC, read_gguf, single
from t0native.checkpoints.shapes import from_shapes
from t0native.checkpoints.tensorfiles import Problems
from t0native.text.addedtokens import AddedToken
from t0native.text.spiecefile import Rules, model_bytes
from t0native.text.tokenizer import Tokenizer, tokenizer_of_parts
from t0native.text.tokenizerbpe import OtherTokenizer
from t0native.text.tokenizerfiles import USUAL_EXTRA_IDS, TokenizerParts

__all__ = ["find_gguf", "open_gguf", "tokenizer_of"]

SUFFIX = ".gguf"
_ARCHITECTURES = ("t5", "t5encoder")
_STACKS = {"enc": "encoder", "dec": "decoder"}
_FIRST, _CROSS = "block.{0}.layer.0", "block.{0}.layer.1"
_NAMES = {  # of a block: the hub's, where {1} is the layer of its feed-forward
    "attn_norm": _FIRST + ".layer_norm",
    "attn_rel_b": _FIRST + ".SelfAttention.relative_attention_bias",
    **{f"attn_{letter}": f"{_FIRST}.SelfAttention.{letter}" for letter in "qkvo"},
    "cross_attn_norm": _CROSS + ".layer_norm",
    "cross_attn_rel_b": _CROSS + ".EncDecAttention.relative_attention_bias",
    **{f"cross_attn_{letter}": f"{_CROSS}.EncDecAttention.{letter}" for letter in "qkvo"},
    "ffn_norm": "block.{0}.layer.{1}.layer_norm",
    "ffn_gate": "block.{0}.layer.{1}.DenseReluDense.wi_0",
    "ffn_down": "block.{0}.layer.{1}.DenseReluDense.wo",
}
_WHOLE = {"token_embd.weight": "shared.weight", "output.weight": "lm_head.weight"}
_BLOCK = re.compile(r"(enc|dec)\.blk\.(\d{1,4})\.(\w+)\.weight")
_PAD = re.compile(r"\[PAD\d+\]")
_KINDS = {"t5": "unigram", "llama": "BPE"}  # tokenizer.ggml.model: Tokenizer.kind
_NORMAL, _UNKNOWN, _CONTROL, _USER, _UNUSED, _BYTE = range(1, 7)  # token_type, numbered as SentencePiece's types
_BEHIND = -1000.0  # scores of what is no piece are this or less


def find_gguf(path):
    """The GGUF file that `path` is, or the only one in the folder that it is; None where there is none. FormatError where a folder has
    several."""
    if path.is_file():
        with open(path, "rb") as file:
            return path if path.suffix == SUFFIX or file.read(4) == MAGIC else None
    files = sorted(file for file in path.iterdir() if file.suffix == SUFFIX) if path.is_dir() else []
    if len(files) > 1:
        raise FormatError(f"{path}: {len(files)} files of llama.cpp ({named(files[0].name)}, ...): name the one to load")
    return files[0] if files else None


def open_gguf(path, overrides):
    """({the hub's tensor name: Entry}, Config) of a file, the Config with `overrides` (a mapping of its keys) in their place, and with a
    head of its own where the file has one. FormatError, ConfigError."""
    found = read_gguf(path)
    kind = single(path, found.keys, "general.architecture")
    if kind not in _ARCHITECTURES:
        raise FormatError(f"{path}: general.architecture {shown(kind)}: models of t5 and t5encoder are read")
    gated = any(entry.name.endswith(".ffn_gate.weight") for entry in found.entries)
    entries = {_hub_name(entry.name, gated): entry for entry in found.entries}
    values = from_shapes(path, entries)
    if kind == "t5encoder":
        values = {name: value for name, value in values.items() if name not in ("num_decoder_layers", "tie_word_embeddings")}
        values["encoder_only"] = True
    values["feed_forward_proj"] = "gated-gelu" if gated else "relu"
    values["relative_attention_every_layer"] = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight" in entries
    values |= _from_keys(path, found.keys, kind, values)
    try:
        return entries, Config(**(values | dict(overrides)))
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def _hub_name(name, gated):
    """The hub's name of a tensor, or its own where the hub has none."""
    if name in _WHOLE:
        return _WHOLE[name]
    if name in ("enc.output_norm.weight", "dec.output_norm.weight"):
        return f"{_STACKS[name[:3]]}.final_layer_norm.weight"
    match = _BLOCK.fullmatch(name)
    if match is None or (match[1] == "enc" and match[3].startswith("cross")):
        return name
    names = _NAMES | {"ffn_up": "block.{0}.layer.{1}.DenseReluDense." + ("wi_1" if gated else "wi")}
    form = names.get(match[3])
    return f"{_STACKS[match[1]]}.{form.format(match[2], 1 if match[1] == 'enc' else 2)}.weight" if form else name


def _from_keys(path, keys, kind, shapes):
    """What keys say beyond the shapes, which they must not contradict."""
    problems, values = Problems(path), {}
    told = {
        "embedding_length": "d_model", "feed_forward_length": "d_ff", "attention.head_count": "num_heads", "attention.key_length": "d_kv",
        "attention.value_length": "d_kv", "attention.relative_buckets_count": "relative_attention_num_buckets", "block_count": "num_layers",
    }  # fmt: skip
    if not shapes.get("encoder_only"):
        told["decoder_block_count"] = "num_decoder_layers"
    for key, name in told.items():
        if (value := single(path, keys, f"{kind}.{key}", shapes[name])) != shapes[name]:
            problems.add(f"{kind}.{key} {shown(value)}: the tensors have {shapes[name]}")
    ids = {"tokenizer.ggml.eos_token_id": "eos_token_id", "tokenizer.ggml.padding_token_id": "pad_token_id"}
    for key, name in (ids | {f"{kind}.decoder_start_token_id": "decoder_start_token_id"}).items():
        if key in keys:
            values[name] = single(path, keys, key)
    for key in ("attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"):
        if (value := keys.get(f"{kind}.{key}")) is None:
            continue
        if not isinstance(value, float):
            problems.add(f"{kind}.{key} {shown(value)}: must be a number of a float type")
        else:
            values["layer_norm_epsilon"] = float(np.format_float_positional(np.float32(value), trim="-"))  # 1e-6, as it was before float32
    problems.check()
    return values


# ---- the tokenizer ---------------------------------------------------------------------------------------------------


def tokenizer_of(place, rows=None):
    """The Tokenizer of a model's folder, or of a GGUF file. rows: of its embedding. Errors of Tokenizer.from_folder."""
    place = Path(place)
    if not place.is_file():
        return Tokenizer.from_folder(place, rows)
    return tokenizer_of_parts(place, _parts(place, read_gguf(place).keys, Tokenizer))


def _parts(path, keys, make):
    """TokenizerParts of a file's keys."""
    kind = single(path, keys, "tokenizer.ggml.model")
    if kind not in _KINDS:
        what = "it has no tokenizer" if kind is None else f"tokenizer.ggml.model {shown(kind)}: kinds t5 and llama are read"
        raise OtherTokenizer(f"{path}: {what}; give the model's spiece.model with tokenizer=FILE")
    texts, scores, types = _rows(path, keys)
    n = _pieces(texts, scores, types)
    added = {i: texts[i] for i in range(n, len(texts)) if types[i] != _UNUSED}
    extra, notes = _sentinels(added, n, len(texts)), []
    if not extra and not added and len(texts) - n >= USUAL_EXTRA_IDS:
        extra = USUAL_EXTRA_IDS
        notes.append(f"{path}: {len(texts) - n} rows have no piece; the first {extra} are taken for T5's sentinels")
    spaces = {
        "add_dummy_prefix": _flag(path, keys, "tokenizer.ggml.add_space_prefix", True),
        "remove_extra_whitespaces": _flag(path, keys, "tokenizer.ggml.remove_extra_whitespaces", False),
    }
    charsmap = _charsmap(path, keys.get("tokenizer.ggml.precompiled_charsmap"))
    end = keys.get("tokenizer.ggml.eos_token_id")
    name = texts[end] if type(end) is int and 0 <= end < n else None
    own = types[:n].tolist()
    rules = Rules(**spaces, charsmap=charsmap, byte_fallback=_BYTE in own, end=name)
    spiece = model_bytes(_KINDS[kind], texts[:n], scores, own, rules, f"{path}: tokenizer.ggml.tokens")
    try:
        plain = make(spiece, extra)
    except FormatError as error:
        raise FormatError(f"{path}: its tokenizer: {error}") from None
    tokens = [AddedToken(text, i, special=types[i] == _CONTROL) for i, text in added.items() if i >= n + extra]
    return TokenizerParts(plain, tokens, {}, notes)


def _rows(path, keys):
    """(texts, scores float32 [n], types int32 [n])"""
    texts, scores, types = (keys.get(f"tokenizer.ggml.{name}") for name in ("tokens", "scores", "token_type"))
    if not isinstance(texts, list) or not texts:
        raise FormatError(f"{path}: tokenizer.ggml.tokens {shown(texts)}; must be a list of texts")
    for name, found, kinds in (("scores", scores, "f"), ("token_type", types, "iu")):
        if not isinstance(found, np.ndarray) or found.dtype.kind not in kinds or len(found) != len(texts):
            length = f"{len(found)} values" if isinstance(found, (np.ndarray, list)) else shown(found)
            raise FormatError(f"{path}: tokenizer.ggml.{name} {length}; must be a number for each of the {len(texts)} tokens")
    if (outside := np.flatnonzero(~(np.abs(scores) <= 1e30))).size:
        raise FormatError(f"{path}: tokenizer.ggml.scores[{outside[0]}] {scores[outside[0]]}; must be a number from -1e30 to 1e30")
    if (outside := np.flatnonzero((types < _NORMAL) | (types > _BYTE))).size:
        raise FormatError(f"{path}: tokenizer.ggml.token_type[{outside[0]}] {types[outside[0]]}; types are 1 to 6")
    return texts, scores.astype(np.float64), types.astype(np.int32)


def _pieces(texts, scores, types):
    """How many rows are pieces: what stands behind the last of them was added, or fills the embedding up."""
    n = len(texts)
    while n and ((types[n - 1] == _UNUSED and _PAD.fullmatch(texts[n - 1])) or (types[n - 1] != _UNUSED and scores[n - 1] <= _BEHIND)):
        n -= 1
    return n


def _sentinels(added, n, rows):
    """How many of the added tokens are T5's sentinels: directly behind the pieces, the last of them <extra_id_0>."""
    count = next((i for i in range(n, rows) if added.get(i) == "<extra_id_0>"), n - 1) - n + 1
    return count if all(added.get(n + count - 1 - k) == f"<extra_id_{k}>" for k in range(count)) else 0


def _charsmap(path, value):
    """The bytes of the normaliser's map, int8 or uint8 in the file."""
    if value is None or (isinstance(value, list | np.ndarray) and len(value) == 0):
        return b""
    if not isinstance(value, np.ndarray) or value.dtype.itemsize != 1:
        raise FormatError(f"{path}: tokenizer.ggml.precompiled_charsmap {shown(value)}; must be a list of bytes")
    return value.tobytes()


def _flag(path, keys, name, usual):
    if not isinstance(value := keys.get(name, usual), bool):
        raise FormatError(f"{path}: {name} {shown(value)}; must be true or false")
    return value
