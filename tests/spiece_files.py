"""Models and texts to try tokenizers with: model files written by hand, models that sentencepiece trains, odd texts."""

import random
import struct

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6

# ---------------------------------------------------------------------------------------------- model files of our own


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def field(number, value):
    """One protobuf field: bytes or str (wire type 2), float (5), int or bool (0)."""
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3) + varint(int(value))


def piece(text, score=0.0, kind=NORMAL):
    return field(1, field(1, text) + field(2, float(score)) + field(3, kind))


SPECIAL = [("<pad>", 0, CONTROL), ("</s>", 0, CONTROL), ("<unk>", 0, UNKNOWN)]
BYTES = [(f"<0x{b:02X}>", 0, BYTE) for b in range(256)]
ABSENT = ("\uf8ff" * 5, -9, NORMAL)  # in no text: beside BYTES, for a model of bytes alone is none


def model_file(pieces, trainer=b"", normalizer=b"", special=SPECIAL):
    return b"".join(piece(*p) for p in [*special, *pieces]) + field(2, trainer) + field(3, normalizer)


SWITCHES = {"add_dummy_prefix": 3, "remove_extra_whitespaces": 4, "escape_whitespaces": 5}

SENTENCES = [
    "the cat sat on the mat and looked at the rain",
    "a dog that sits on a mat is not a cat",
    "rain falls on the roof of the house, and the cat listens",
    "she said: the dog and the cat are friends of the house",
    "12 cats and 345 dogs walked 6 miles in 1 day",
    "naïve café owners über alles, señor Ångström met Čapek in Łódź",
    "THE SAME WORDS IN CAPITALS: CAT, DOG, MAT AND RAIN",
    "привет мир, это кот и дом",
    "日本語の文章も少しだけ",
]


def train_model(prefix, **options):
    """The bytes of a unigram model that sentencepiece makes from SENTENCES. prefix: path without ending of what it writes."""
    import sentencepiece

    text = prefix.with_suffix(".txt")
    text.write_text("\n".join(SENTENCES * 8), encoding="utf-8")
    options = {"vocab_size": 150, "model_type": "unigram", "character_coverage": 1.0, "minloglevel": 5, **options}
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(prefix), pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        hard_vocab_limit=False, num_threads=1, **options,
    )  # fmt: skip
    return prefix.with_suffix(".model").read_bytes()


ODD = [
    " ", "  ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "▁", "▁▁", "a", "the", " the", "cat", "é", "e\u0301", "①", "ﬁ", "㌔", "한국",
    "日本", "😀", "👨‍👩‍👧", "\x01", "\x7f", "\x00", "\u200b", "\ufeff", "<pad>", "</s>", "<extra_id_0>", "<unk>", "<0x41>", "A", "THE", "zz",
    "ſ", "Ａ", "ｶﾞ", "\u0300", "\u1e9b\u0323", "\ufffd", "\ue000", "\u0378", "𝔘", "ﷺ", "½", "™", "[SEP]", "user sym", "1", "345", ",", "я",
]  # fmt: skip


def odd_texts(n, seed=0):
    """Random texts rich in what breaks tokenizers."""
    rng = random.Random(seed)
    ranges = [(32, 127), (0, 0x300), (0x300, 0x370), (0, 0x10000), (0, 0x110000)]

    def one():
        length = rng.randrange(30)
        if rng.random() < 0.6:
            return "".join(rng.choice(ODD) for _ in range(length))
        kinds = [rng.choice(ranges)] if rng.random() < 0.5 else ranges
        codes = (rng.randrange(*rng.choice(kinds)) for _ in range(length))
        return "".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000)

    return [one() for _ in range(n)]
