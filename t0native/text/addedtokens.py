"""Added tokens: texts beside a vocabulary's pieces that are one token each, and the files of the hub that tell of them.

    tokenizer_config.json     added_tokens_decoder {id: token}; names of special tokens; extra_special_tokens
    added_tokens.json         {text: id}                    with special_tokens_map.json, where there is no added_tokens_decoder
    tokenizer.json            added_tokens [token]          token: content, id, special, normalized, lstrip, rstrip, single_word

They get the ids that transformers 5 gives them: that of the piece of the same text, else the next one behind pieces and sentinels, in the
order of their ids in the files. Where a file says another id, it is refused: whose rows of the embedding were meant, nobody can tell.
Pieces of a SentencePiece model that files name as added tokens (control pieces, user-defined symbols) stay what they are there; a piece of
byte-level BPE that is named as a special token, as <mask>, is found in texts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from t0native.base.errors import FormatError
from t0native.base.showing import named, shown

__all__ = ["SENTINEL_NAME", "AddedToken", "check_tokens", "has_piece", "merged", "stated", "token_of"]

_FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")  # bits 0 to 4 of the core's; 5: sentinel, 6: control
_SENTINEL, _CONTROL = 32, 64
SENTINEL_NAME = re.compile(r"<extra_id_(0|[1-9][0-9]*)>")
_NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
_SILENT = ("bos_token", "eos_token", "unk_token", "pad_token")  # never made from text, as control pieces
_LISTS = ("extra_special_tokens", "additional_special_tokens")
_MOST = 1 << 16


class AddedToken(NamedTuple):
    """A text that is one token. The flags are the hub's.

    special: left out of decoded texts.  normalized: looked for in the normalised text, else in the text as it is given.  lstrip,
    rstrip: takes the white space at that side along.  single_word: not within a word.  sentinel: found only where sentinels are asked
    for.  control: never found in a text, as </s> and <pad>; it has an id and a name.

    >>> AddedToken("<sep>", 32100).flags
    0
    """

    text: str
    id: int
    special: bool = False
    normalized: bool = False
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    sentinel: bool = False
    control: bool = False

    @property
    def flags(self) -> int:
        """The core's bits."""
        return sum(1 << bit for bit, flag in enumerate(self[2:]) if flag)

    @property
    def plain(self) -> bool:
        """Whether none of the four flags that change where it is found is set."""
        return not (self.normalized or self.lstrip or self.rstrip or self.single_word)

    @classmethod
    def of_core(cls, text: str, number: int, flags: int) -> AddedToken:
        """From the core's triple.

        >>> AddedToken.of_core("<sep>", 32100, 1).special
        True
        """
        return cls(text, number, *(bool(flags >> bit & 1) for bit in range(7)))

    def to_dict(self) -> dict[str, object]:
        """As the hub's files have it, without the id."""
        return {"content": self.text, **{name: getattr(self, name) for name in _FLAGS}}


def token_of(where, entry, number):
    """An AddedToken of an object of a file; FormatError names `where`."""
    if not isinstance(entry, Mapping) or not isinstance(text := entry.get("content"), str):
        raise FormatError(f"{where}: {shown(entry)}; a token is an object with a text `content`")
    _check_text(where, text)
    flags = {name: entry.get(name, False) for name in _FLAGS}
    flags["normalized"] = entry.get("normalized", not flags["special"])  # the hub's default
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise FormatError(f"{where}, {shown(text)}: {name} {shown(flag)}; must be true or false")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < 1 << 30:
        raise FormatError(f"{where}, {shown(text)}: id {shown(number)}; must be a whole number from 0 on")
    return AddedToken(text, number, **flags)


def _check_text(where, text):
    """The text, whose every character is one: JSON can have halves of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise FormatError(f"{where}: the token {shown(text)}: half a surrogate pair is no character") from None
    return text


def check_tokens(where, tokens):
    """FormatError where two tokens of one file have one text or one id, a text is empty, or they are too many."""
    if len(tokens) > _MOST:
        raise FormatError(f"{where}: {len(tokens)} added tokens, at most {_MOST}")
    texts, numbers = {}, {}
    for token in tokens:
        if not token.text:
            raise FormatError(f"{where}: the added token {token.id} is empty")
        if token.text in texts or token.id in numbers:
            raise FormatError(f"{where}: {shown(token.text)}, id {token.id}: this text or this id stands there twice")
        texts[token.text] = numbers[token.id] = token


class _Settings(NamedTuple):
    """What a folder's small files say of special tokens."""

    names: dict[str, str]  # role: text
    entries: dict[str, Mapping]  # flags of those that are given as objects, by text
    lists: list[str]  # special tokens without a role
    unplaced: list[str]  # those of special_tokens_map.json


def _settings(folder, config, special_map):
    names, entries, lists, unplaced = {}, {}, [], []

    def text_of(where, value):
        if isinstance(value, Mapping):
            entries[token_of(where, value, 0).text] = value
            return value["content"]
        if not isinstance(value, str):
            raise FormatError(f"{where}: {shown(value)}; a token is a text, or an object with a text `content`")
        return _check_text(where, value)

    sources = [("tokenizer_config.json", config, lists)]
    if "added_tokens_decoder" not in config:
        sources.append(("special_tokens_map.json", special_map, unplaced))
    for file, content, listed in sources:
        for key, value in content.items():
            where = f"{folder / file}: {named(key)}"
            if key.endswith("_token") and (key in _NAMED or isinstance(value, str | Mapping)) and value is not None:
                names[key] = text_of(where, value)
            elif key in _LISTS and isinstance(value, list | Mapping):
                listed += [text_of(where, one) for one in (value.values() if isinstance(value, Mapping) else value)]
    order = [*(key for key in _NAMED if key in names), *(key for key in names if key not in _NAMED)]
    return _Settings({key: names[key] for key in order}, entries, lists, unplaced)


def _declared(folder, config, added, of_json, settings):
    """{text: AddedToken} of the tokens to which some file gives an id."""
    special = {*settings.names.values(), *settings.lists, *settings.unplaced}
    in_file = [token_of(folder / "added_tokens.json", {"content": text, "special": text in special}, n) for text, n in added.items()]
    check_tokens(folder / "added_tokens.json", in_file)
    tokens, where = in_file, folder / "added_tokens.json"
    if "added_tokens_decoder" in config:
        decoder, where = config["added_tokens_decoder"], f"{folder / 'tokenizer_config.json'}: added_tokens_decoder"
        if not isinstance(decoder, Mapping) or not all(str(key).isascii() and str(key).isdecimal() and len(key) < 10 for key in decoder):
            raise FormatError(f"{where}: must be an object with ids as its keys")
        tokens = [token_of(where, entry, int(key)) for key, entry in decoder.items()]
        check_tokens(where, tokens)
    found = {token.text: token for token in tokens}
    for other, others in ((folder / "added_tokens.json", in_file), (folder / "tokenizer.json", of_json)):
        for token in others:
            if (known := found.setdefault(token.text, token)).id != token.id:
                raise FormatError(f"{other}: {shown(token.text)} has the id {token.id}, but {known.id} in {where}")
    return found


def stated(folder, config, special_map, added, of_json=()):
    """({role: text} of special tokens, tuple of the AddedTokens that have an id) by a folder's small files and tokenizer.json."""
    settings = _settings(folder, config, special_map)
    return settings.names, tuple(_declared(folder, config, added, of_json, settings).values())


def merged(folder, vocabulary, config, special_map, added, of_json, left_out=frozenset()):
    """The AddedTokens beside the pieces of `vocabulary`, a tokenizer of the core with its sentinels and without added tokens.

    folder: for messages.  config, special_map, added: the content of tokenizer_config.json, special_tokens_map.json and
    added_tokens.json, each a mapping.  of_json: the AddedTokens of tokenizer.json, a list.  left_out: texts that are none. FormatError
    as the head says."""
    settings = _settings(folder, config, special_map)
    declared = _declared(folder, config, added, of_json, settings)
    end = vocabulary.n_pieces + vocabulary.extra_ids
    silent = {text for role, text in settings.names.items() if role in _SILENT} or {"<pad>", "</s>", "<unk>", "<s>"}
    kept = []
    for token in sorted(declared.values(), key=lambda token: token.id):
        if token.text in left_out:
            continue
        own = _own_id(vocabulary, token.text)
        if token.id != (end if own is None else own):
            raise FormatError(_misplaced(folder, vocabulary, token, own, end))
        token = token._replace(
            special=token.special or token.text in settings.names.values(),
            sentinel=SENTINEL_NAME.fullmatch(token.text) is not None,
            control=own is None and token.text in silent,
        )
        end += own is None
        if own is None or _counts(vocabulary, own, token):
            kept.append(token)
    for role, text in [*settings.names.items(), *((None, text) for text in settings.lists)]:
        own = _own_id(vocabulary, text)
        if text in declared or text in left_out:
            continue
        token = token_of(folder, {"content": text, **settings.entries.get(text, {}), "special": True}, end if own is None else own)
        if own is not None:
            if vocabulary.kind == "byte-level BPE" and text not in silent and _counts(vocabulary, own, token):
                declared[text] = token
                kept.append(token._replace(sentinel=SENTINEL_NAME.fullmatch(text) is not None))
            continue
        if role not in _SILENT:
            kept.append(token._replace(sentinel=SENTINEL_NAME.fullmatch(text) is not None))
        declared[text], end = token, end + 1
    for text in settings.unplaced:
        if text not in declared and _own_id(vocabulary, text) is None:
            raise FormatError(
                f"{folder / 'special_tokens_map.json'}: {shown(text)} is a special token, but no file gives it an id: name it with its id "
                f"in added_tokens_decoder of tokenizer_config.json, or take it out"
            )
    return kept


def has_piece(vocabulary, text):
    """Whether a piece or sentinel of the tokenizer, of the core, has this text."""
    return _own_id(vocabulary, text) is not None


def _own_id(vocabulary, text):
    """The id of a piece or sentinel of this text, or None."""
    if (number := vocabulary.piece_to_id(text)) is None:
        return None
    return number if number != vocabulary.unk_id or vocabulary.id_to_piece(number) == text else None


def _counts(vocabulary, own, token):
    """Whether a piece or sentinel that a file names as an added token is found otherwise for it."""
    if own >= vocabulary.n_pieces:
        return not token.plain
    return vocabulary.kind_of(own) in ("normal", "unused")


def _misplaced(folder, vocabulary, token, own, end):
    if own is not None:
        return f"{folder}: the added token {shown(token.text)} has the id {token.id}, but the vocabulary has this text at {own}"
    taken = f", which is {shown(vocabulary.id_to_piece(token.id))}" if token.id < vocabulary.n_pieces + vocabulary.extra_ids else ""
    return (
        f"{folder}: the added token {shown(token.text)} has the id {token.id}{taken}; the next one behind {vocabulary.n_pieces} pieces and "
        f"{vocabulary.extra_ids} sentinels is {end}, which transformers would give it: put the id right that the model was trained with"
    )
