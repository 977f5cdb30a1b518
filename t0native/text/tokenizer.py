"""Text to ids and back, with the ids of the library that a model was made with.

    kind              read from                                              ids equal
    unigram           SentencePiece's file (T5's spiece.model)               SentencePiece's
    BPE               the same (Pile-T5's, Llama's, Gemma's)                 SentencePiece's
    merges            tokenizer.json of such a tokenizer                     the tokenizers package's
    byte-level BPE    vocab.json and merges.txt (CodeT5's); tokenizer.json   the tokenizers package's
    bytes             nothing: ByT5's class in tokenizer_config.json         byte + 3

The work is done in C (csrc/text); what lies here is pickling and `explain`. Files are read in tokenizerfiles.py, tokenizerjson.py and
tokenizerbpe.py.

T5's ids: the pieces of the file, then 100 sentinels, <extra_id_0> last: sentinel k = n_pieces + extra_ids - 1 - k. A
model's config decides how many: Model.from_pretrained takes the 100 where vocab_size has room for them behind the pieces,
none where it has not, and what `extra_ids` in tokenizer_config.json says where it is given.

Text that looks like a special piece ("</s>", "<extra_id_0>") is text: encode never makes control pieces of it, as
SentencePiece itself, on which T5 and T0 were trained. With sentinels=True, <extra_id_k> in a text becomes that sentinel as
in the hub's T5 tokenizers, and what lies between them is encoded as texts of their own. The hub has had two rules for the
text behind a sentinel:

    legacy   it begins with U+2581 like any text:  "Hello <extra_id_0>."  8774 32099 3 5      the hub's to this day; ours
    new      it has the U+2581 of its own space only:                     8774 32099 5        `legacy=False` of transformers 4
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from t0native import _core
from t0native.base.errors import FormatError
from t0native.base.foreign import Hinting, hint_keywords
from t0native.base.jsontext import json_text
from t0native.text.addedtokens import AddedToken
from t0native.text.spiecefile import Rules, byte_model, model_bytes
from t0native.text.tokenizerfiles import (
    BYTES_EXTRA_IDS,
    CONFIG_FILE,
    JSON_FILE,
    SPIECE_FILES,
    USUAL_EXTRA_IDS,
    VOCAB_FILES,
    read_file,
    read_folder,
)

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Literal, Self

    from numpy.typing import ArrayLike, NDArray

    from t0native.base.annotations import Column, PathName
    from t0native.text.tokenizerfiles import TokenizerParts

__all__ = ["Explanation", "Piece", "Ragged", "Tokenizer", "tokenizer_of_parts"]

_log = logging.getLogger("t0native")


class Ragged:
    """B sequences of ids, one behind the other: sequence i is ids[offsets[i]:offsets[i + 1]].

    ids: int32 [N].  offsets: int64 [B + 1].  Indexing and iterating give views, nothing is copied; IndexError beyond B.

    >>> batch = Ragged.of([[5, 6], [], [7]])
    >>> len(batch), batch[0].tolist(), batch.lengths.tolist()
    (3, [5, 6], [2, 0, 1])
    """

    __slots__ = ("ids", "offsets")
    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    def __init__(self, ids: NDArray[np.int32], offsets: NDArray[np.int64]) -> None:
        self.ids = ids
        self.offsets = offsets

    @classmethod
    def of(cls, sequences: Iterable[Any]) -> Self:
        """From an iterable of sequences of ids.

        >>> Ragged.of([[5, 6], []]).offsets.tolist()
        [0, 2, 2]
        """
        parts = [np.asarray(sequence, dtype=np.int32) for sequence in sequences]
        offsets = np.zeros(len(parts) + 1, dtype=np.int64)
        np.cumsum([part.size for part in parts], out=offsets[1:])
        return cls(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32), offsets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [B]."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[np.int32]:
        i = index + len(self) if index < 0 else index
        if not 0 <= i < len(self):
            raise IndexError(f"sequence {index} of {len(self)}")
        return self.ids[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[i] for i in range(len(self)))

    def __repr__(self):
        return f"Ragged({len(self)} sequences, {len(self.ids)} ids)"

    def __reduce__(self):
        return Ragged, (self.ids, self.offsets)


class Piece(NamedTuple):
    """One piece of an encoded text; text[begin:end] is what it came from."""

    piece: str
    id: int
    begin: int
    end: int


class Explanation:
    """What encoding did to a text, and what the ids no longer tell. Print it.

    normalized: the text after the model's normaliser, U+2581 for a space.  pieces: list of Piece.
    lost: list of sentences, empty when decoding gives the text back.
    """

    __slots__ = ("decoded", "lost", "normalized", "pieces", "text")
    text: str
    normalized: str
    pieces: list[Piece]
    decoded: str
    lost: list[str]

    def __init__(self, text: str, normalized: str, pieces: list[Piece], decoded: str, lost: list[str]) -> None:
        self.text, self.normalized, self.pieces, self.decoded, self.lost = text, normalized, pieces, decoded, lost

    def __repr__(self):
        pieces = " ".join(f"{p.piece}:{p.id}" for p in self.pieces)
        lines = [f"text        {self.text!r}", f"normalised  {self.normalized}", f"pieces      {pieces}"]
        lines += [f"decoded     {self.decoded!r}"] if self.decoded != self.text else []
        return "\n".join(lines + [f"lost        {loss}" for loss in self.lost or ["nothing"]])


class Tokenizer(_core.Tokenizer, Hinting):
    """A tokenizer. Never changes; threads may share it; it can be pickled.

    Attributes: kind ("unigram", "BPE", "merges", "byte-level BPE" or "bytes"), vocab_size (pieces, sentinels, added tokens), n_pieces,
    extra_ids, pad_id, eos_id, unk_id (None where the model has none), start_id (what add_eos puts before a text, or None), model_bytes (a
    SentencePiece model; of the last three kinds in its form), added_tokens, files (those read beside the model), fingerprint (SHA-256).
    Methods: Kudo 2018, section 3.2 (unigram model); Sennrich et al. 2016, section 3.2 (BPE); Kudo & Richardson 2018 (SentencePiece);
    Radford et al. 2019, section 2.2 (byte-level BPE); Xue et al. 2022, section 3 (bytes).

    >>> tok = t0.mini.tokenizer()
    >>> tok.vocab_size == tok.n_pieces + tok.extra_ids, tok.pad_id, tok.eos_id, tok.unk_id
    (True, 0, 1, 2)
    """

    __slots__ = ("_files",)

    @classmethod
    def from_file(cls, path: PathName, extra_ids: int | None = None) -> Self:
        """Reads a SentencePiece model file, or a tokenizer.json that was made from one. OSError when it cannot be opened, FormatError
        with path and place when it is broken or something else, which is named.

        extra_ids: sentinels behind the file's pieces; None: T5's and T0's 100, and those that a tokenizer.json has.

        >>> tok = Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model", extra_ids=0)
        >>> tok.decode(tok.encode("Tom drinks tea."))
        'tom drinks tea.'
        """
        return cls._of(path, read_file(path, extra_ids, cls))

    @classmethod
    def from_folder(cls, folder: PathName, vocab_size: int | None = None) -> Self:
        """Reads what a model's folder says of its tokenizer: pieces from spiece.model, tokenizer.model or tokenizer.json, added tokens
        and the number of sentinels from the files beside it.

        vocab_size: the rows of the model's embedding, which tell whether T5's 100 sentinels are there where no file does; None: they are.
        FileNotFoundError where no tokenizer is there, FormatError where a file is broken, contradicts another, or is of another kind.

        >>> Tokenizer.from_folder(Path(t0.__file__).parent / "mini/baselines/all-prompts").fingerprint == t0.mini.tokenizer().fingerprint
        True
        """
        return cls._of(folder, read_folder(folder, vocab_size, cls))

    @classmethod
    def _of(cls, place, parts):
        for note in parts.notes:
            _log.warning("%s", note)
        made, added = parts.plain, tuple((token.text, token.id, token.flags) for token in parts.added)
        try:
            made = cls(made.model_bytes, made.extra_ids, added) if added else made
        except FormatError as error:
            raise FormatError(f"{os.fspath(place)}: {error}") from None
        made._files = dict(parts.files)
        return made

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, extra_ids: int = 100) -> Self:
        """From the bytes of a model file. FormatError with the offset when they are broken.

        >>> tok = t0.mini.tokenizer()
        >>> Tokenizer.from_bytes(tok.model_bytes, extra_ids=0).fingerprint == tok.fingerprint
        True
        """
        return cls(bytes(data), extra_ids)

    @classmethod
    def of_bytes(cls, extra_ids: int = BYTES_EXTRA_IDS) -> Self:
        """ByT5's tokenizer, which needs no file: <pad> 0, </s> 1, <unk> 2, byte + 3, and sentinel k at 259 + k (Xue et al. 2022).

        >>> Tokenizer.of_bytes().encode("a cat", add_eos=True)
        [100, 35, 102, 100, 119, 1]
        """
        return cls(byte_model(), extra_ids)

    @classmethod
    def from_pieces(
        cls,
        pieces: Sequence[str],
        scores: ArrayLike,
        types: Sequence[int],
        kind: Literal["unigram", "BPE"] = "unigram",
        extra_ids: int = 100,
        *,
        charsmap: bytes = b"",
        add_dummy_prefix: bool = True,
        remove_extra_whitespaces: bool = True,
        end: str | None = None,
    ) -> Self:
        """A SentencePiece tokenizer of pieces in memory, such as another file's: piece i has the id i.

        pieces: N texts.  scores: float [N].  types: of each, 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
        extra_ids: sentinels behind them.  charsmap: rules of the normaliser, as SentencePiece compiles them.  end: name of the end token;
        None: </s>.  The other two are SentencePiece's switches.  FormatError where the pieces make no model.

        >>> tok = Tokenizer.from_pieces(["<pad>", "</s>", "<unk>", "▁a", "▁cat"], [0, 0, 0, -1, -2], [3, 3, 2, 1, 1], extra_ids=0)
        >>> tok.pieces("a cat")
        ['▁a', '▁cat']
        """
        fallback = 6 in types
        rules = Rules(add_dummy_prefix, remove_extra_whitespaces, charsmap=charsmap, byte_fallback=fallback, end=end)
        return cls(model_bytes(kind, pieces, np.asarray(scores, np.float64), types, rules), extra_ids)

    @property
    def added_tokens(self) -> tuple[AddedToken, ...]:
        """The tokens beside pieces and sentinels, a tuple of AddedToken by id.

        >>> t0.mini.tokenizer().added_tokens
        ()
        """
        return tuple(sorted((AddedToken.of_core(*token) for token in self.added), key=lambda token: token.id))

    @property
    def files(self) -> dict[str, bytes]:
        """{name: bytes} of the files that were read beside the model, such as tokenizer.json.

        >>> list(Tokenizer.from_folder(Path(t0.__file__).parent / "mini/baselines/all-prompts").files)
        ['tokenizer_config.json']
        """
        return dict(getattr(self, "_files", {}))

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the model file, in hexadecimal; with added tokens that can be found in a text, of the model and of these."""
        digest = hashlib.sha256(self.model_bytes)
        found = [token for token in self.added_tokens if not token.control and not (token.sentinel and token.id < self._end)]
        if found:
            digest.update(json_text(found, "keep", ensure_ascii=False).encode())
        return digest.hexdigest()

    @property
    def _end(self):
        return self.n_pieces + self.extra_ids

    def files_to_save(self) -> list[tuple[str, bytes]]:
        """[(name, bytes)] that make this tokenizer again, here and in transformers: those it was read from, else those it needs.

        >>> [name for name, content in t0.mini.tokenizer().files_to_save()]
        ['spiece.model', 'tokenizer_config.json']
        """
        files = self.files
        if self.kind == "bytes" or {JSON_FILE, VOCAB_FILES[0]} & {*files} and self.kind in ("merges", "byte-level BPE"):
            files.setdefault(CONFIG_FILE, _config_file(self._usual_config()))
            return list(files.items())
        config = json.loads(files[CONFIG_FILE].decode("utf-8-sig")) if CONFIG_FILE in files else self._usual_config()
        if CONFIG_FILE not in files or config.get("extra_ids", USUAL_EXTRA_IDS) != self.extra_ids:
            files[CONFIG_FILE] = _config_file(config | {"extra_ids": self.extra_ids})
        return [(SPIECE_FILES[self._is_llamas(config)], self.model_bytes), *files.items()]

    def _is_llamas(self, config):
        """Whether transformers looks for this SentencePiece model under the name tokenizer.model, as LlamaTokenizer does."""
        return self.kind == "BPE" and not str(config.get("tokenizer_class", "")).startswith("T5")

    def _usual_config(self):
        config = {
            "tokenizer_class": _CLASSES.get(self.kind, "T5Tokenizer"),
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "pad_token": "<pad>",
        }
        config |= {"extra_ids": self.extra_ids, "legacy": True}
        if self.added_tokens and not self.files:
            config["added_tokens_decoder"] = {str(token.id): token.to_dict() for token in self.added_tokens}
        return config

    @hint_keywords
    def encode(
        self, text: str | bytes, add_eos: bool = False, errors: Literal["strict", "replace"] = "strict", sentinels: bool = False
    ) -> list[int]:
        """The ids of a text, as a list: of a unigram model those of the likeliest pieces (Kudo 2018, section 3.2), else those that its
        pairs make (Sennrich et al. 2016, section 3.2), or its bytes'.

        text: str, or bytes of UTF-8.  add_eos: the end token's id behind them, and start_id before them.  errors, sentinels and what is
        raised: as `encode_batch`'s.

        >>> tok = t0.mini.tokenizer()
        >>> [tok.id_to_piece(id) for id in tok.encode("a cat", add_eos=True)]
        ['▁a', '▁cat', '</s>']
        """
        return super().encode(text, add_eos, errors, sentinels)

    @hint_keywords
    def decode(self, ids: ArrayLike, skip_special: bool = True) -> str:
        """The text of a sequence of ids. Pad, the end token, other control pieces, sentinels and ids beyond the vocabulary (a model's table
        may be larger) are left out; with skip_special=False they appear by name, the last kind as <id_N>. ValueError for a negative id.

        >>> tok = t0.mini.tokenizer()
        >>> tok.decode(tok.encode("tea", add_eos=True)), tok.decode(tok.encode("tea", add_eos=True), skip_special=False)
        ('tea', 'tea</s>')
        """
        return super().decode(ids, skip_special)

    @hint_keywords
    def encode_batch(
        self,
        texts: Sequence[str | bytes] | Column,
        add_eos: bool = False,
        max_length: int | None = None,
        threads: int = 1,
        errors: Literal["strict", "replace"] = "strict",
        sentinels: bool = False,
    ) -> Ragged:
        """The ids of many texts, as a Ragged.

        texts: a sequence of str or bytes (UTF-8), or a column of strings that speaks Arrow's PyCapsule interface, as
        pyarrow's and polars' do, which is read in place.  max_length: ids kept of each text; the end-of-sequence id is added
        before this cut, as T0 did, so a cut text has none.  threads: the ids are the same for any number; the GIL is
        released.  sentinels: take <extra_id_k> in a text for the sentinel; otherwise it is text like any other.
        ValueError for a null, a lone surrogate or malformed bytes, naming text and place (errors="replace" takes U+FFFD for
        the last two), and for an Arrow array that is broken or was consumed already; TypeError for one of another type.

        >>> batch = t0.mini.tokenizer().encode_batch(["Anna keeps a cat.", "tea"], add_eos=True)
        >>> batch, batch.lengths.tolist()
        (Ragged(2 sequences, 8 ids), [6, 2])
        """
        return Ragged(*self.encode_arrays(texts, add_eos, max_length, threads, errors, sentinels))

    def ended(self, ids: ArrayLike) -> NDArray[np.int32]:
        """int32 ids of a text, as add_eos makes them: start_id, where there is one, the ids, and eos_id.

        >>> t0.mini.tokenizer().ended([7, 8]).tolist()
        [7, 8, 1]
        """
        return np.array([*([] if self.start_id is None else [self.start_id]), *ids, self.eos_id], np.int32)

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text, as SentencePiece writes them.

        >>> t0.mini.tokenizer().pieces("Anna keeps a cat.")
        ['▁anna', '▁keeps', '▁a', '▁cat', '.']
        """
        return [span[0] for span in self.spans(text)[1]]

    def explain(self, text: str) -> Explanation:
        """What becomes of a text: an Explanation with its pieces and their places, and what is lost.

        >>> t0.mini.tokenizer().explain("a\\nb")
        text        'a\\nb'
        normalised  ▁a▁b
        pieces      ▁a:... ▁b:...
        decoded     'a b'
        lost        1 line break: became a space
        """
        normalized, spans = self.spans(text)
        place = _characters(text)
        pieces = [Piece(piece, number, place[begin], place[end]) for piece, number, begin, end in spans]
        decoded = self.decode([piece.id for piece in pieces])
        lost = [] if decoded == text else self._losses(text, normalized, pieces, decoded)
        return Explanation(text, normalized, pieces, decoded, lost)

    def _losses(self, text, normalized, pieces, decoded):
        """What explains that decoding does not give the text back."""
        losses = []

        def note(count, one, many, fate):
            if count:
                losses.append(f"{count} {one if count == 1 else many}: {fate}")

        note(len(re.findall(r"\r\n|[\n\r]", text)) * ("\n" not in normalized), "line break", "line breaks", "became a space")
        note(text.count("\t") * ("\t" not in normalized), "tab", "tabs", "became a space")
        note(len(re.findall(r" {2,}", text)) * (not re.search("▁▁|  ", normalized)), "run of spaces", "runs of spaces", "became one space")
        note(len(re.findall(r"^[ \n\t]+|[ \n\t]+$", text)) * (decoded == decoded.strip()), "end", "ends", "lost its spaces")
        unknown = [text[p.begin : p.end] for p in pieces if p.id == self.unk_id]
        note(len(unknown), "unknown run", "unknown runs", f"no piece covers {', '.join(map(repr, unknown[:5]))}")
        return losses or ["characters that the model's normaliser rewrites; compare text and decoded"]

    def __reduce__(self):
        return _again, (type(self), self.model_bytes, self.extra_ids, self.added, self.files)

    def __repr__(self):
        added = f", {len(self.added)} added tokens" if self.added else ""
        return f"Tokenizer({self.n_pieces} pieces, {self.extra_ids} extra ids{added}, {self.fingerprint[:8]})"


def tokenizer_of_parts(place: PathName, parts: TokenizerParts) -> Tokenizer:
    """The Tokenizer of TokenizerParts that were read at `place`, a path for messages."""
    return Tokenizer._of(place, parts)


_CLASSES = {"BPE": "LlamaTokenizer", "byte-level BPE": "RobertaTokenizer", "bytes": "ByT5Tokenizer", "merges": "PreTrainedTokenizerFast"}


def _config_file(config):
    return (json_text(config, "keep", indent=2, ensure_ascii=False) + "\n").encode()


def _again(kind, model_bytes, extra_ids, added, files):
    made = kind(model_bytes, extra_ids, added)
    made._files = files
    return made


def _characters(text):
    """[bytes of the text's UTF-8 + 1]: the index of the character that each byte belongs to."""
    place = []
    for index, character in enumerate(text):
        place += [index] * len(character.encode("utf-8"))
    return [*place, len(text)]
