"""tokenizer.json, the one file that transformers 5 leaves of a tokenizer, read as the SentencePiece model that it was made from.

    model           Unigram: vocab [[piece, score], ...], unk_id          pieces and scores; trailing <extra_id_k> are sentinels
    normalizer      Precompiled, and replacements of spaces               the character map; whether spaces are merged
    pre_tokenizer   WhitespaceSplit, Metaspace                            whether a text begins with U+2581
    added_tokens    [{id, content, special, ...}]                         control pieces, user-defined symbols; tokens of its own
    post_processor  the end token behind a text                           its name

What the file does not say is told by what SentencePiece writes: control pieces and user-defined symbols have the score 0 and are added
tokens, special or not; a piece of score 0 that is none is user-defined, but for <s>; where all of <0x00> to <0xFF> are pieces, they stand
for bytes. transformers 5 writes unk_id 2 whatever the model, so a special <unk> comes before it. Byte-pair encoding is read in
tokenizerbpe.py. Any other tokenizer (WordPiece, a Unigram one with another normaliser) is an OtherTokenizer, told by what it is.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.jsontext import parse_json
from t0native.base.showing import named, shown
from t0native.text.addedtokens import SENTINEL_NAME, AddedToken, check_tokens, token_of
from t0native.text.spiecefile import BYTE, BYTES, CONTROL, NORMAL, UNKNOWN, USER, Rules, model_bytes
from t0native.text.tokenizerbpe import REMEDY, OtherTokenizer, Roles, read_bpe_json, steps_of

__all__ = ["JsonModel", "OtherTokenizer", "looks_like_json", "read_tokenizer_json"]

LARGEST = 64 << 20  # bytes; mT5's has 16 MB
_MARK = "\u2581"


class JsonModel(NamedTuple):
    """What a tokenizer.json holds. spiece: the bytes of a SentencePiece model of these pieces.  added: AddedTokens of the file, pieces
    among them."""

    spiece: bytes
    pieces: list[str]
    extra_ids: int
    added: list[AddedToken]
    notes: list[str]


def looks_like_json(data):
    """Whether these first bytes of a file open a JSON object, as no SentencePiece model does.

    >>> looks_like_json(b' {"version": "1.0"'), looks_like_json(b"\\n\\x0e\\n\\x05<pad>")
    (True, False)
    """
    return bytes(data[:64]).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_tokenizer_json(path, data, roles=None):
    """The JsonModel of the bytes of a tokenizer.json.  roles: Roles of the files beside it. FormatError with the file and the place in it;
    OtherTokenizer."""
    content = _parsed(path, data)
    model = _object(path, content, "model")
    if _kind(model) == "BPE":
        added = _added(path, content.get("added_tokens") or [])
        spiece, pieces = read_bpe_json(path, content, added, roles or Roles())
        return JsonModel(spiece, pieces.texts, pieces.extra_ids, added, [])
    if not isinstance(vocab := model.get("vocab"), list) or model.get("type", "Unigram") != "Unigram":
        raise OtherTokenizer(f"{path}: a tokenizer of the kind {_kind(model)}, and only Unigram and BPE ones are read: {REMEDY}")
    pieces, scores = _vocabulary(path, vocab)
    added = _added(path, content.get("added_tokens") or [])
    spaces, charsmap = _spaces(path, content)
    extra = _sentinels(pieces, scores, added)
    behind = _sentinels_behind(pieces, added) if not extra else 0
    del pieces[len(pieces) - extra :]
    types, notes = _types(path, model, pieces, scores, added)
    _check_split(path, content, [piece for piece, kind in zip(pieces, types, strict=True) if kind == USER])
    if _prefix(content) == "first" and any(token.id >= len(pieces) + extra + behind for token in added):
        notes.append(
            "prepend_scheme first: behind an added token a text begins with U+2581 all the same, as in transformers 5's T5Tokenizer"
        )
    rules = Rules(**spaces, charsmap=charsmap, byte_fallback=BYTE in types, end=_end_token(path, content.get("post_processor")))
    spiece = model_bytes("unigram", pieces, scores, types, rules, f"{path}: model.vocab")
    return JsonModel(spiece, pieces, extra + behind, added, notes)


# ---- parts of the file -----------------------------------------------------------------------------------------------


def _parsed(path, data):
    if len(data) > LARGEST:
        raise FormatError(f"{path}: {len(data)} bytes, at most {LARGEST} for a tokenizer.json")

    def refuse(name):
        raise ValueError(f"{name} is no number of JSON")

    content = parse_json(path, bytes(data), parse_constant=refuse)
    if not isinstance(content, dict) or "model" not in content:
        raise FormatError(f"{path}: JSON, but no tokenizer.json: that is an object with a `model`")
    return content


def _object(path, content, key):
    if not isinstance(value := content.get(key), dict):
        raise FormatError(f"{path}: {key} {shown(value)}; must be an object")
    return value


def _kind(model):
    kind = model.get("type") or ("BPE" if "merges" in model else "of no type")
    return named(kind)


def _vocabulary(path, vocab):
    """(texts, scores float64 [n]) of the pieces."""
    for i, entry in enumerate(vocab):
        fits = type(entry) is list and len(entry) == 2 and type(entry[0]) is str and type(entry[1]) in (float, int)
        if not fits or not entry[0]:
            raise FormatError(f"{path}: model.vocab[{i}] {shown(entry)}; must be [piece, score], a text that is not empty and a number")
    try:
        scores = np.array([score for _, score in vocab], np.float64)
    except OverflowError:
        scores = np.array([float(score) if abs(score) < 1 << 64 else np.inf for _, score in vocab])
    if (outside := np.flatnonzero(~(np.abs(scores) <= 1e30))).size:
        i = int(outside[0])
        raise FormatError(
            f"{path}: model.vocab[{i}], {shown(vocab[i][0])}: the score {shown(vocab[i][1])}; must be a number from -1e30 to 1e30"
        )
    return [piece for piece, _ in vocab], scores


def _added(path, entries):
    if not isinstance(entries, list):
        raise FormatError(f"{path}: added_tokens {shown(entries)}; must be a list")
    where = f"{path}: added_tokens"
    tokens = [token_of(f"{where}[{i}]", entry, entry.get("id") if isinstance(entry, dict) else None) for i, entry in enumerate(entries)]
    check_tokens(where, tokens)
    return tokens


def _sentinels(pieces, scores, added):
    """How many pieces at the end are T5's sentinels: <extra_id_0> last, each of them special where it is an added token."""
    plain, n = {token.text for token in added if not token.special}, 0
    while n < len(pieces) and pieces[-1 - n] == f"<extra_id_{n}>" and scores[-1 - n] == 0 and pieces[-1 - n] not in plain:
        n += 1
    return n


def _sentinels_behind(pieces, added):
    """The same of added tokens behind the pieces, where their ids are T5's."""
    own = {token.id: token.text for token in added if SENTINEL_NAME.fullmatch(token.text) and token.id >= len(pieces)}
    return len(own) if all(own.get(len(pieces) + len(own) - 1 - k) == f"<extra_id_{k}>" for k in range(len(own))) else 0


def _types(path, model, pieces, scores, added):
    """SentencePiece's type of each piece, and what is to be told."""
    number = {piece: i for i, piece in enumerate(pieces)}
    if len(number) < len(pieces):
        i = next(i for i, piece in enumerate(pieces) if number[piece] != i)
        raise FormatError(f"{path}: model.vocab[{i}] and [{number[pieces[i]]}] are both {shown(pieces[i])}")
    tokens, notes = {token.text: token for token in added}, []
    types = [NORMAL] * len(pieces)
    for i in np.flatnonzero(scores[: len(pieces)] == 0).tolist():
        token = tokens.get(pieces[i])
        if token is None:
            types[i] = CONTROL if pieces[i] == "<s>" else USER
        elif token.special or token.plain:
            types[i] = CONTROL if token.special else USER
    if all(name in number for name in BYTES):
        for name in BYTES:
            types[number[name]] = BYTE
    unk = model.get("unk_id")
    if isinstance(unk, bool) or not isinstance(unk, int) or not 0 <= unk < len(pieces):
        raise FormatError(f"{path}: model.unk_id {shown(unk)}; must be the number of one of the {len(pieces)} pieces")
    named = number.get("<unk>", unk)
    if named != unk and types[named] == CONTROL:
        notes.append(f"unk_id {unk} is {shown(pieces[unk])}; what no piece covers is <unk>, {named}")
        unk = named
    types[unk] = UNKNOWN
    return types, notes


# ---- normaliser and pre-tokenizer ------------------------------------------------------------------------------------


_REPLACED = {  # of spaces: what becomes of them
    ("Regex", " {2,}", " "): "merged",
    ("Regex", " {2,}", _MARK): "merged",
    ("Regex", r"\A +| +\z", ""): "merged",
    ("String", " ", _MARK): "escaped",
    ("Regex", rf"\A{_MARK}", _MARK * 2): "kept",
}


def _replaced(step):
    pattern = step.get("pattern")
    if not isinstance(pattern, Mapping) or len(pattern) != 1:
        return None
    ((kind, text),) = pattern.items()
    key = (kind, text, step.get("content"))
    return _REPLACED.get(key) if all(isinstance(part, str) for part in key) else None


def _prefix(content):
    """When the pre-tokenizer puts U+2581 in front: "always", "first" or "never"; None without a Metaspace."""
    for step in steps_of(content.get("pre_tokenizer"), "pretokenizers"):
        if step["type"] == "Metaspace":
            return step.get("prepend_scheme", "always" if step.get("add_prefix_space", True) else "never")
    return None


def _spaces(path, content):
    """({flag of the model's normaliser: bool}, character map)."""
    merged = escaped = False
    charsmap = b""
    for i, step in enumerate(steps_of(content.get("normalizer"), "normalizers")):
        fate = _replaced(step) if step["type"] == "Replace" else None
        if step["type"] == "Precompiled" and i == 0:
            charsmap = _charsmap(path, step.get("precompiled_charsmap"))
        elif step["type"] == "Strip" or fate == "merged":
            merged = True
        elif fate == "escaped":
            escaped = True
        elif fate is None:
            raise OtherTokenizer(
                f"{path}: its normalizer has the step {named(step['type'])}, which no SentencePiece model of T5's kind has: {REMEDY}"
            )
    for step in steps_of(content.get("pre_tokenizer"), "pretokenizers"):
        known = step["type"] in ("WhitespaceSplit", "Split") or (step["type"] == "Metaspace" and step.get("replacement") == _MARK)
        if not known:
            raise OtherTokenizer(
                f"{path}: its pre_tokenizer has the step {named(step['type'])}, which no SentencePiece model has: {REMEDY}"
            )
        merged |= step["type"] == "WhitespaceSplit"
    prefix = _prefix(content)
    if prefix not in ("always", "first", "never", None):
        raise FormatError(f"{path}: pre_tokenizer: prepend_scheme {shown(prefix)}; must be always, first or never")
    if prefix is None and not escaped:
        raise OtherTokenizer(f"{path}: it has no Metaspace, so its pieces have no U+2581 for a space: {REMEDY}")
    return {"add_dummy_prefix": prefix in ("always", "first"), "remove_extra_whitespaces": merged}, charsmap


def _charsmap(path, text):
    where = f"{path}: normalizer: precompiled_charsmap"
    if text is None:
        return b""
    if not isinstance(text, str):
        raise FormatError(f"{where} {shown(text)}; must be a text in base64")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"{where} is no base64: {error}") from None


def _check_split(path, content, user):
    """A Split by user-defined symbols is what SentencePiece does with them; any other would cut elsewhere."""
    wanted = {"Regex": "|".join(re.escape(piece) for piece in sorted(user, key=len, reverse=True))}
    for step in steps_of(content.get("pre_tokenizer"), "pretokenizers"):
        if step["type"] == "Split" and not (user and step.get("pattern") == wanted and step.get("behavior") == "Isolated"):
            raise OtherTokenizer(
                f"{path}: its pre_tokenizer splits at {shown(step.get('pattern'))}, which no SentencePiece model does: {REMEDY}"
            )


def _end_token(path, post):
    """The name of the token that is put behind a text, or None."""
    if post is None:
        return None
    single = post.get("single") if isinstance(post, Mapping) and post.get("type") == "TemplateProcessing" else None
    parts = [next(iter(part.items()), None) for part in single if isinstance(part, Mapping)] if isinstance(single, list) else []
    if [part and part[0] for part in parts] not in (["Sequence"], ["Sequence", "SpecialToken"]):
        kind = post.get("type") if isinstance(post, Mapping) else post
        raise OtherTokenizer(f"{path}: its post_processor, {shown(kind)}, adds more than an end token to a text: {REMEDY}")
    name = parts[1][1].get("id") if len(parts) == 2 and isinstance(parts[1][1], Mapping) else None
    return name if isinstance(name, str) else None
