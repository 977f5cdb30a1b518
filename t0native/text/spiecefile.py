"""The bytes of a model file, written from pieces in memory: SentencePiece's own form (csrc/text/spiece.c), and with field 200 what it has
no field for, the merges of the hub's tokenizers. Readers of other files (tokenizer.json, vocab.json, GGUF) make their tokenizers of it.

    kind      unigram   BPE   merges   byte-level BPE   bytes
    pieces    text, score and type of each; its place is its id"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.showing import shown

__all__ = ["BYTE", "BYTES", "CONTROL", "NORMAL", "UNKNOWN", "UNUSED", "USER", "Rules", "byte_model", "model_bytes"]

NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_TYPES = {"unigram": 1, "BPE": 2}  # SentencePiece's
_HUB = {"merges": 3, "byte-level BPE": 4, "bytes": 5}
_SPLITS = {"none": 0, "marks": 1, "words": 2}


class Rules(NamedTuple):
    """How a model treats a text. The first five are SentencePiece's, the rest the hub's (csrc/text/spiece.h says what each does).

    merges: uint32 [n, 3], ids of left, right and both.  start: id that add_eos puts before a text, or None."""

    add_dummy_prefix: bool = True
    remove_extra_whitespaces: bool = True
    escape_whitespaces: bool = True
    charsmap: bytes = b""
    byte_fallback: bool = False
    end: str | None = None
    pad: str | None = None
    merges: np.ndarray | None = None
    split: str = "none"
    ignore_merges: bool = False
    fuse_unknown: bool = False
    prefix_once: bool = False
    prefix_first: bool = False
    strip_first: bool = False
    drop_unknown: bool = False
    start: int | None = None


def model_bytes(kind, pieces, scores, types, rules, where="pieces"):
    """The bytes of a model file.

    kind: a key of the head's list.  pieces: texts.  scores: float [n].  types: SentencePiece's type of each piece.  where: for messages.
    FormatError for a piece that is no text of characters. What else is wrong the core finds when it reads the bytes."""
    floats = np.ascontiguousarray(scores[: len(pieces)], "<f4").tobytes()
    kinds = {kind: b"" if kind == NORMAL else _field(3, kind) for kind in set(types)}
    lengths = [_varint(n) for n in range(256)]
    parts = []
    for i, (piece, type_) in enumerate(zip(pieces, types, strict=True)):
        try:
            text = piece.encode()
        except UnicodeEncodeError:
            raise FormatError(f"{where}[{i}] {shown(piece)}: half a surrogate pair is no character") from None
        n = len(text)
        content = b"\n%b%b\x15%b%b" % (lengths[n] if n < 256 else _varint(n), text, floats[4 * i : 4 * i + 4], kinds[type_])
        n = len(content)
        parts.append(b"\n%b%b" % (lengths[n] if n < 256 else _varint(n), content))
    return b"".join(parts) + _trainer(kind, rules) + _normalizer(rules) + _hub(kind, rules)


def byte_model():
    """The model file of ByT5: <pad> 0, </s> 1, <unk> 2, then 256 bytes.

    >>> t0.Tokenizer.from_bytes(byte_model(), extra_ids=125).vocab_size
    384
    """
    pieces, types = ["<pad>", "</s>", "<unk>", *BYTES], [CONTROL, CONTROL, UNKNOWN, *[BYTE] * 256]
    rules = Rules(False, False, False, byte_fallback=True, end="</s>", pad="<pad>")
    return model_bytes("bytes", pieces, np.zeros(len(pieces)), types, rules)


def _trainer(kind, rules):
    names = ((47, rules.end), (48, rules.pad))
    texts = b"".join(_field(number, text.encode(errors="replace")) for number, text in names if text)
    return _field(2, _field(3, _TYPES.get(kind, 1)) + (_field(35, 1) if rules.byte_fallback else b"") + texts)


def _normalizer(rules):
    switches = (rules.add_dummy_prefix, rules.remove_extra_whitespaces, rules.escape_whitespaces)
    flags = b"".join(_field(number, flag) for number, flag in enumerate(switches, 3))
    return _field(3, (_field(2, rules.charsmap) if rules.charsmap else b"") + flags)


def _hub(kind, rules):
    if kind not in _HUB:
        return b""
    merges = b"" if rules.merges is None else np.ascontiguousarray(rules.merges, "<u4").tobytes()
    flags = (rules.ignore_merges, rules.fuse_unknown, rules.prefix_once, rules.prefix_first, rules.strip_first)
    switches = b"".join(_field(number, flag) for number, flag in enumerate(flags, 4) if flag)
    switches += _field(10, True) if rules.drop_unknown else b""
    start = b"" if rules.start is None else _field(9, rules.start + 1)
    return _field(200, _field(1, _HUB[kind]) + _field(2, merges) + _field(3, _SPLITS[rules.split]) + switches + start)


def _varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def _field(number, content):
    """A field of protobuf: bytes, or a number."""
    if isinstance(content, bytes):
        return _varint(number << 3 | 2) + _varint(len(content)) + content
    return _varint(number << 3) + _varint(int(content))
