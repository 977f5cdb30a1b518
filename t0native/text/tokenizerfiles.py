"""Which files make a tokenizer, and what a folder's files say together.

    spiece.model, tokenizer.model, ...      a SentencePiece model: pieces and their ids; the first that is there is read
    tokenizer.json                          the same as transformers 5 keeps it, read where none of them is there; its added tokens always
    vocab.json, merges.txt                  byte-level BPE, where none of the above is there
    tokenizer_config.json                   extra_ids, added tokens, names of special tokens; ByT5Tokenizer, which needs no other file
    added_tokens.json, special_tokens_map.json   added tokens as transformers 4 kept them

This list is the only one: saving, converting and fetching from the hub keep these files.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from t0native import _core
from t0native.base.arguments import whole
from t0native.base.errors import FormatError
from t0native.base.jsontext import parse_json
from t0native.base.placeholders import stand_in
from t0native.text.addedtokens import SENTINEL_NAME, AddedToken, has_piece, merged, stated
from t0native.text.spiecefile import byte_model
from t0native.text.tokenizerbpe import MASK, OtherTokenizer, Roles, read_vocabulary, stands_between
from t0native.text.tokenizerjson import LARGEST, looks_like_json, read_tokenizer_json

__all__ = ["BYTES_EXTRA_IDS", "SPIECE_FILES", "TOKENIZER_FILES", "TokenizerParts", "read_file", "read_folder", "tokenizer_in"]

SPIECE_FILES = ("spiece.model", "tokenizer.model", "sentencepiece.model", "sentencepiece.bpe.model", "spm.model")
JSON_FILE, CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
VOCAB_FILES = ("vocab.json", "merges.txt")
BYTES_CLASS, BYTES_EXTRA_IDS = "ByT5Tokenizer", 125  # of ByT5; its sentinels
_SMALL = (CONFIG_FILE, "special_tokens_map.json", "added_tokens.json")
TOKENIZER_FILES = (*SPIECE_FILES, JSON_FILE, *VOCAB_FILES, *_SMALL)
USUAL_EXTRA_IDS, MOST_SENTINELS = 100, 1 << 20  # T5's sentinels; those of any tokenizer
MAX_FILE = 256 << 20
_FOREIGN = {  # files of tokenizers that are not read here
    "vocab.txt": "WordPiece",
    "tekken.json": "tekken",
    "tokenizer.tiktoken": "tiktoken",
}


class TokenizerParts(NamedTuple):
    """What a Tokenizer is made of.  plain: a tokenizer without added tokens.  added: AddedTokens.  files: {name: bytes} of those beside the
    model.  notes: what is to be told, a sentence each."""

    plain: _core.Tokenizer
    added: list[AddedToken]
    files: dict[str, bytes]
    notes: list[str]


def tokenizer_in(folder):
    """Name of the file from which a folder's tokenizer is read, or None.

    >>> tokenizer_in(Path("nowhere")) is None
    True
    """
    folder = Path(folder)
    name = next((name for name in (*SPIECE_FILES, JSON_FILE) if (folder / name).is_file()), None)
    if name is None and all((folder / name).is_file() for name in VOCAB_FILES):
        return VOCAB_FILES[0]
    return CONFIG_FILE if name is None and _is_of_bytes(folder) else name


def _is_of_bytes(folder):
    """Whether tokenizer_config.json names ByT5's tokenizer, which has no file of pieces."""
    path = folder / CONFIG_FILE
    try:
        return path.is_file() and _mapping(path, _read(path)).get("tokenizer_class") == BYTES_CLASS
    except FormatError:  # whoever reads the folder's tokenizer says so
        return False


def _read(path):
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE:
            raise FormatError(f"{os.fspath(path)}: more than {MAX_FILE} bytes, too large for a tokenizer's file")
        return file.read()


def _plain(path, data, extra_ids, make):
    """A tokenizer of a model file, without added tokens."""
    try:
        return make(data, extra_ids)
    except FormatError as error:
        raise FormatError(f"{os.fspath(path)}: {stand_in(data) or _named(path, data) or error}") from None


def _named(path, data):
    """What a file is that is no SentencePiece model, where that can be told, with the file to give."""
    kind = _FOREIGN.get(Path(path).name)
    if kind:
        return f"a file of a {kind} tokenizer, not a SentencePiece model; a spiece.model or a tokenizer.json is read"
    if data[:2] == b"PK" or (
        len(data) > 8 and data[8:9] == b"{" and data[:8] != data[:1] * 8 and int.from_bytes(data[:8], "little") < len(data)
    ):
        return "weights, not a SentencePiece model; a tokenizer is in spiece.model or tokenizer.json"
    return None


def read_file(path, extra_ids=None, make=_core.Tokenizer):
    """TokenizerParts of one file, a SentencePiece model or a tokenizer.json, and of nothing beside it.

    extra_ids: sentinels behind the pieces; None: 100 behind a SentencePiece model, as many as a tokenizer.json has.  make: the tokenizer's
    class. OSError where it cannot be opened, FormatError where it is broken or something else."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder; Tokenizer.from_folder reads what lies in one")
    data = _read(path)
    if path.name in VOCAB_FILES and (other := next((name for name in VOCAB_FILES if not (path.parent / name).is_file()), None)):
        raise FormatError(f"{path}: half of a byte-level BPE tokenizer, and {other} is not beside it")
    if path.name in VOCAB_FILES:
        return _of_vocabulary(path.parent, Roles(), make)
    if not looks_like_json(data):
        return TokenizerParts(_plain(path, data, USUAL_EXTRA_IDS if extra_ids is None else extra_ids, make), [], {}, [])
    if path.name == CONFIG_FILE and _is_of_bytes(path.parent):
        if extra_ids is None:
            extra_ids = _extra_ids_of_bytes(path, _mapping(path, data), (), None)
        return TokenizerParts(make(byte_model(), extra_ids), [], {}, [])
    if path.name in _SMALL:
        raise FormatError(
            f"{path}: only settings of a tokenizer; its pieces are in spiece.model or tokenizer.json: give that, or the folder"
        )
    if path.name in _FOREIGN:
        raise OtherTokenizer(f"{path}: {_named(path, data)}")
    found = read_tokenizer_json(path, data)
    if extra_ids not in (None, found.extra_ids):
        raise FormatError(f"{path}: extra_ids {extra_ids}, but the file has {found.extra_ids} sentinels: leave extra_ids away")
    plain = _plain(path, found.spiece, found.extra_ids, make)
    added = merged(path, plain, {}, {}, {}, found.added)
    return TokenizerParts(plain, added, {JSON_FILE: data}, [f"{path}: {note}" for note in found.notes])


def read_folder(folder, rows=None, make=_core.Tokenizer):
    """TokenizerParts of a folder's files together.

    rows: of the model's embedding; None: not known.  make: the tokenizer's class. FileNotFoundError where no such
    file is there, OtherTokenizer for a kind that is not read, FormatError for what is broken or contradicts another file."""
    folder = Path(folder)
    if (name := tokenizer_in(folder)) is None:
        raise FileNotFoundError(f"{folder}: {_nothing(folder)}")
    small = {file: _read(folder / file) for file in _SMALL if (folder / file).is_file()}
    settings = [_mapping(folder / file, small.get(file, b"{}")) for file in _SMALL]
    if name in (CONFIG_FILE, VOCAB_FILES[0]):
        return _without_model(folder, name, settings, small, rows, make)
    of_json, files, notes = None, dict(small), []
    if (folder / JSON_FILE).is_file():
        files[JSON_FILE] = _read(folder / JSON_FILE)
        try:
            of_json = read_tokenizer_json(folder / JSON_FILE, files[JSON_FILE], _roles(folder, settings))
        except OtherTokenizer as error:
            if name == JSON_FILE:
                raise
            notes.append(f"{error}; {name} is read in its place")
    if name == JSON_FILE:
        plain = _plain(folder / name, of_json.spiece, of_json.extra_ids, make)
        notes += [f"{folder / JSON_FILE}: {note}" for note in of_json.notes]
    else:
        model = _read(folder / name)
        if looks_like_json(model):
            raise FormatError(f"{folder / name}: JSON, not a SentencePiece model; a tokenizer.json is read under that name")
        plain = _plain(folder / name, model, USUAL_EXTRA_IDS, make)
        usual = of_json.extra_ids if of_json else USUAL_EXTRA_IDS
        extra = _extra_ids(folder / CONFIG_FILE, settings[0], usual, None if rows is None else rows - plain.n_pieces)
        if extra != plain.extra_ids:
            plain = _plain(folder / name, model, extra, make)
        notes += _disagreement(folder, name, plain, of_json)
    plain, lost = _within(folder / name, plain, rows, of_json.added if of_json else [], make)
    left_out = {f"<extra_id_{k}>" for k in range(of_json.extra_ids)} if of_json and not plain.extra_ids else set()
    added = merged(folder, plain, *settings, of_json.added if of_json else [], left_out)
    return TokenizerParts(plain, added, files, notes + lost)


def _within(path, plain, rows, others, make):
    """(the tokenizer, without its sentinels where the embedding has no rows for them, [what is told of it]). others: AddedTokens of
    tokenizer.json."""
    end = plain.n_pieces + plain.extra_ids
    if not plain.extra_ids or rows is None or end <= rows or any(token.id >= end for token in others):
        return plain, []
    note = f"{path}: its {plain.extra_ids} sentinels have no rows in the embedding, of {rows}: they are left out"
    return _plain(path, plain.model_bytes, 0, make), [note]


def _roles(folder, settings):
    """The Roles of a folder's small files."""
    config, special_map, added = settings
    names, tokens = stated(folder, config, special_map, added)
    kind = config.get("tokenizer_class")
    return Roles(names, kind if isinstance(kind, str) else None, tokens, config.get("add_prefix_space") is True)


def _without_model(folder, name, settings, small, rows, make):
    """TokenizerParts of a folder whose tokenizer is of bytes, or in vocab.json and merges.txt."""
    roles = _roles(folder, settings)
    if name == CONFIG_FILE:
        extra = _extra_ids_of_bytes(folder / name, settings[0], roles.tokens, rows)
        parts = TokenizerParts(_plain(folder / name, byte_model(), extra, make), [], {}, [])
    else:
        parts = _of_vocabulary(folder, roles, make)
        if stands_between(roles.kind) and "mask_token" not in roles.names and has_piece(parts.plain, MASK):
            settings[0] = {"mask_token": MASK} | settings[0]
    plain, lost = _within(folder / name, parts.plain, rows, [], make)
    left_out = {f"<extra_id_{k}>" for k in range(parts.plain.extra_ids)} if not plain.extra_ids else set()
    return TokenizerParts(plain, merged(folder, plain, *settings, [], left_out), {**parts.files, **small}, parts.notes + lost)


def _extra_ids_of_bytes(path, config, tokens, rows):
    """How many sentinels ByT5's tokenizer has: those that have ids, else what tokenizer_config.json says, else as many as fit."""
    numbers = [token for token in tokens if SENTINEL_NAME.fullmatch(token.text)]
    value = len(numbers) or config.get("extra_ids", BYTES_EXTRA_IDS if rows is None else min(max(rows - 259, 0), BYTES_EXTRA_IDS))
    if problem := whole(0, MOST_SENTINELS).problem("extra_ids", value):
        raise FormatError(f"{path}: {problem}")
    return value


def _of_vocabulary(folder, roles, make):
    """TokenizerParts of vocab.json and merges.txt."""
    vocab_file, merges_file = (folder / name for name in VOCAB_FILES)
    files = {path.name: _read(path) for path in (vocab_file, merges_file)}
    if path := next((path for path in (vocab_file, merges_file) if len(files[path.name]) > LARGEST), None):
        raise FormatError(f"{path}: {len(files[path.name])} bytes, at most {LARGEST}")
    spiece, pieces = read_vocabulary(vocab_file, files[VOCAB_FILES[0]], merges_file, files[VOCAB_FILES[1]], roles)
    return TokenizerParts(_plain(vocab_file, spiece, pieces.extra_ids, make), [], files, [])


def _mapping(path, data):
    content = parse_json(path, data)
    if not isinstance(content, dict):
        raise FormatError(f"{path}: must hold an object {{...}}")
    return content


def _extra_ids(path, config, usual, room):
    """How many sentinels stand behind the pieces: what tokenizer_config.json says, else the usual number where they fit."""
    value = config.get("extra_ids", usual if room is None or room >= usual else 0)
    limit = whole(0, MOST_SENTINELS if room is None else min(max(room, 0), MOST_SENTINELS))
    if problem := limit.problem("extra_ids", value):
        raise FormatError(f"{path}: {problem}, the rows of the vocabulary behind the pieces")
    return value


def _disagreement(folder, name, vocabulary, of_json):
    """A sentence where tokenizer.json has other pieces than the model beside it, of which transformers 5 takes the first."""
    if of_json is None:
        return []
    if [vocabulary.id_to_piece(i) for i in range(vocabulary.n_pieces)] == of_json.pieces:
        return []
    return [f"{folder}: {name} is read, and {JSON_FILE} has other pieces, which transformers 5 takes; remove the one that is wrong"]


def _nothing(folder):
    """That no tokenizer lies there, what does, and what would help."""
    told = [f"{name} ({kind})" for name, kind in _FOREIGN.items() if (folder / name).is_file()]
    told += [f"{name} (half of a byte-level BPE tokenizer)" for name in VOCAB_FILES if (folder / name).is_file()]
    told += sorted(path.name for path in folder.glob("*.model") if path.is_file())[:3]
    lies = f", and what lies there, {', '.join(told)}, is not read" if told else ""
    return (
        f"neither {SPIECE_FILES[0]} nor {JSON_FILE} is here{lies}: put the one that the model was trained with there, or name it with "
        "tokenizer=FILE"
    )
