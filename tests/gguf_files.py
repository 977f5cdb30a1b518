"""Files of llama.cpp, written by hand as its converter writes a T5, and by the package gguf: names, keys and types as there."""

import math
import re
import struct

import numpy as np

FLAG, TEXT, LIST = 7, 8, 9
TYPES = {"F32": 0, "F16": 1, "Q8_0": 8, "BF16": 30}
_HUB = [
    (r"shared\.weight", "token_embd.weight"),
    (r"lm_head\.weight", "output.weight"),
    (r"(en|de)coder\.final_layer_norm\.weight", r"\1c.output_norm.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.0\.layer_norm\.weight", r"\1c.blk.\2.attn_norm.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.0\.SelfAttention\.(\w)\.weight", r"\1c.blk.\2.attn_\3.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.0\.SelfAttention\.relative_attention_bias\.weight", r"\1c.blk.\2.attn_rel_b.weight"),
    (r"decoder\.block\.(\d+)\.layer\.1\.layer_norm\.weight", r"dec.blk.\1.cross_attn_norm.weight"),
    (r"decoder\.block\.(\d+)\.layer\.1\.EncDecAttention\.(\w)\.weight", r"dec.blk.\1.cross_attn_\2.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.\d\.layer_norm\.weight", r"\1c.blk.\2.ffn_norm.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.\d\.DenseReluDense\.wi_0\.weight", r"\1c.blk.\2.ffn_gate.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.\d\.DenseReluDense\.wi(_1)?\.weight", r"\1c.blk.\2.ffn_up.weight"),
    (r"(en|de)coder\.block\.(\d+)\.layer\.\d\.DenseReluDense\.wo\.weight", r"\1c.blk.\2.ffn_down.weight"),
]


def name_of(hub):
    """llama.cpp's name of a tensor."""
    return next(re.sub(pattern, form, hub) for pattern, form in _HUB if re.fullmatch(pattern, hub))


def keys_of(config, tokenizer=None, rows=None):
    """The keys that the converter writes, of a Config and its Tokenizer; rows of the embedding."""
    kind = "t5encoder" if config.encoder_only else "t5"
    keys = {
        "general.architecture": kind, "general.name": "made for a test", f"{kind}.context_length": 512,
        f"{kind}.embedding_length": config.d_model, f"{kind}.feed_forward_length": config.d_ff, f"{kind}.block_count": config.num_layers,
        f"{kind}.attention.head_count": config.num_heads, f"{kind}.attention.key_length": config.d_kv,
        f"{kind}.attention.value_length": config.d_kv, f"{kind}.attention.layer_norm_epsilon": config.layer_norm_epsilon,
        f"{kind}.attention.relative_buckets_count": config.relative_attention_num_buckets,
        f"{kind}.attention.layer_norm_rms_epsilon": config.layer_norm_epsilon,
        f"{kind}.decoder_start_token_id": config.decoder_start_token_id, "general.file_type": 7,
        "tokenizer.ggml.eos_token_id": config.eos_token_id, "tokenizer.ggml.padding_token_id": config.pad_token_id,
    }  # fmt: skip
    if not config.encoder_only:
        keys[f"{kind}.decoder_block_count"] = config.num_decoder_layers
    return keys if tokenizer is None else keys | tokenizer_keys(tokenizer, rows or config.vocab_size)


def tokenizer_keys(spiece, rows, added=()):
    """As the converter takes them from a SentencePiece model (its bytes), with added tokens {id: text}."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto.FromString(spiece)
    pieces = sentencepiece.SentencePieceProcessor(model_proto=spiece)
    texts, scores, types = [f"[PAD{i}]" for i in range(rows)], [-10000.0] * rows, [5] * rows
    for i in range(pieces.vocab_size()):
        texts[i], scores[i], types[i] = pieces.id_to_piece(i), pieces.get_score(i), model.pieces[i].type
    for i, text in dict(added).items():
        texts[i], scores[i], types[i] = text, -1000.0, 4
    keys = {
        "tokenizer.ggml.model": "t5" if model.trainer_spec.model_type == 1 else "llama", "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": texts, "tokenizer.ggml.scores": np.array(scores, np.float32),
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.add_space_prefix": model.normalizer_spec.add_dummy_prefix,
        "tokenizer.ggml.remove_extra_whitespaces": model.normalizer_spec.remove_extra_whitespaces,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_eos_token": True,
    }  # fmt: skip
    charsmap = model.normalizer_spec.precompiled_charsmap
    return keys | ({"tokenizer.ggml.precompiled_charsmap": np.frombuffer(charsmap, np.int8)} if charsmap else {})


def stored(array, kind):
    """(bytes of a float32 array as the kind has them, the values that they stand for); vectors, and rows that are no whole blocks, in
    float32."""
    if kind == "Q8_0" and array.ndim == 2 and array.shape[-1] % 32 == 0:
        blocks = array.reshape(-1, 32)
        scale = np.abs(blocks).max(1, keepdims=True) / np.float32(127)
        with np.errstate(divide="ignore", invalid="ignore"):
            quotients = blocks * np.where(scale == 0, np.float32(0), np.float32(1) / scale)
        numbers = (np.sign(quotients) * np.floor(np.abs(quotients) + np.float32(0.5))).astype(np.int8)
        half = scale.astype("<f2")
        return (
            kind,
            np.concatenate([half.view(np.uint8), numbers.view(np.uint8)], 1).tobytes(),
            (numbers * half.astype(np.float32)).reshape(array.shape),
        )
    if kind == "F16" and array.ndim == 2:
        return kind, array.astype("<f2").tobytes(), array.astype(np.float16).astype(np.float32)
    if kind == "BF16" and array.ndim == 2:
        bits = array.view(np.uint32)
        half = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype("<u2")
        return kind, half.tobytes(), (half.astype(np.uint32) << 16).view(np.float32)
    return "F32", array.astype("<f4").tobytes(), array


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<Q", len(data)) + data


def value(content):
    """A key's value with its kind."""
    if isinstance(content, bool):
        return struct.pack("<IB", FLAG, content)
    if isinstance(content, (int, float)):
        return struct.pack("<If", 6, content) if isinstance(content, float) else struct.pack("<II", 4, content)
    if isinstance(content, str):
        return struct.pack("<I", TEXT) + text(content)
    if isinstance(content, list):
        return struct.pack("<IIQ", LIST, TEXT, len(content)) + b"".join(map(text, content))
    kind = {"f4": 6, "i4": 5, "i1": 1, "u1": 0}[content.dtype.str[1:]]
    return struct.pack("<IIQ", LIST, kind, len(content)) + content.tobytes()


def gguf_bytes(keys, tensors, kind="F32", version=3, align=32):
    """A file of keys and tensors {the hub's name: float32 array}."""
    data, told = bytearray(), b""
    for hub, array in tensors.items():
        dtype, content, _ = stored(array, kind)
        sizes = array.shape[::-1]
        told += text(name_of(hub)) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, TYPES[dtype], len(data))
        data += content + bytes(-len(content) % align)
    head = (
        b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(keys)) + b"".join(text(name) + value(keys[name]) for name in keys) + told
    )
    return head + bytes(-len(head) % align) + bytes(data)


def by_their_package(path, keys, tensors, kind="F32"):
    """The same by the package gguf: its writer, its names, its quantisers. {the hub's name: values that the file stands for}."""
    import gguf

    arch = keys["general.architecture"]
    writer, values = gguf.GGUFWriter(path, arch), {}
    for name, content in keys.items():
        if name == "general.architecture":
            continue
        if isinstance(content, bool):
            writer.add_bool(name, content)
        elif isinstance(content, (int, float)):
            (writer.add_float32 if isinstance(content, float) else writer.add_uint32)(name, content)
        elif isinstance(content, str):
            writer.add_string(name, content)
        else:
            writer.add_array(name, content if isinstance(content, list) else content.tolist())
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.T5 if arch == "t5" else gguf.MODEL_ARCH.T5ENCODER, 64)
    for hub, array in tensors.items():
        fits = array.ndim == 2 and (kind != "Q8_0" or array.shape[-1] % 32 == 0)
        dtype = gguf.GGMLQuantizationType[kind if fits else "F32"]
        quantised = gguf.quants.quantize(array, dtype)
        name = names.get_name(hub, try_suffixes=(".weight",))
        raw = dtype if dtype.name not in ("F32", "F16") else None
        writer.add_tensor(name, quantised, raw_dtype=raw)
        values[hub] = gguf.quants.dequantize(quantised, dtype).reshape(array.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    assert all(math.prod(array.shape) == values[hub].size for hub, array in tensors.items())
    return values


# ---- changes that know the structure -------------------------------------------------------------------------------------

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, FLAG: 1, 10: 8, 11: 8, 12: 8}
_ODD = [0, 1, 2, 3, 7, 8, 9, 12, 13, 28, 30, 31, 32, 33, 64, 255, 1 << 16, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 62) - 1,
        1 << 62, 1 << 63, (1 << 64) - 32, (1 << 64) - 1]  # fmt: skip


def fields(data):
    """((offset, bytes) of each number of a file's header, (begin, end) of each key, of each tensor). ValueError where they lead outside."""
    numbers, at = [(4, 4), (8, 8), (16, 8)], 24

    def number(size):
        nonlocal at
        if at + size > len(data):
            raise ValueError
        numbers.append((at, size))
        at += size
        return int.from_bytes(data[at - size : at], "little")

    def skip(kind):
        nonlocal at
        if kind == TEXT:
            at += number(8)
        elif kind == LIST:
            kind, count = number(4), number(8)
            for _ in range(count):
                skip(kind)
        else:
            number(_SIZES[kind])

    tensors, keys, spans = int.from_bytes(data[8:16], "little"), int.from_bytes(data[16:24], "little"), ([], [])
    for _ in range(keys):
        begin = at
        skip(TEXT)
        skip(number(4))
        spans[0].append((begin, at))
    for _ in range(tensors):
        begin = at
        skip(TEXT)
        for _ in range(number(4)):
            number(8)
        number(4), number(8)
        spans[1].append((begin, at))
    return numbers, *spans


def change_gguf(rng, data):
    """A number of the header is another, a key or a tensor's description is taken away, doubled or put elsewhere, or the file is cut."""
    numbers, keys, tensors = fields(data)
    how = rng.random()
    if how < 0.6:
        at, size = rng.choice(numbers)
        old = int.from_bytes(data[at : at + size], "little")
        new = rng.choice([rng.choice(_ODD), old + rng.choice([-8, -1, 1, 8, 32]), old << rng.randrange(1, 9), 1 << rng.randrange(64)])
        return data[:at] + (new % (1 << 8 * size)).to_bytes(size, "little") + data[at + size :]
    if how < 0.7:
        return data[: rng.randrange(len(data))]
    which, count_at = rng.choice([(keys, 16), (tensors, 8)])
    (begin, end), (other, _) = rng.choice(which), rng.choice(which)
    count, taken = len(which), data[begin:end]
    kind = rng.randrange(3)
    if kind == 0:
        data, count = data[:begin] + data[end:], count - 1
    elif kind == 1:
        data, count = data[:other] + taken + data[other:], count + 1
    else:
        data = data[:begin] + data[end:]
        other = min(other, len(data))
        data = data[:other] + taken + data[other:]
    if rng.random() < 0.8:
        data = data[:count_at] + count.to_bytes(8, "little") + data[count_at + 8 :]
    return data
