"""Byte-pair encoding as the hub keeps it: vocab.json and merges.txt, or the tokenizer.json of such a tokenizer.

    byte-level (GPT-2, RoBERTa, CodeT5)     pieces are made of letters that stand for bytes; a regular expression cuts words out
    merges     (Llama, Gemma, Pile-T5)      pieces are made of characters, U+2581 for a space; unknown characters become bytes

    vocab.json       {piece: id}                       ids from 0 on, none left out
    merges.txt       "left right", a merge a line      the first is tried first; a line that begins with #version is passed over
    tokenizer.json   model {type BPE, vocab, merges, unk_token, fuse_unk, byte_fallback, ignore_merges}
                     normalizer      none; Prepend and Replace of a space by U+2581
                     pre_tokenizer   ByteLevel; none, Metaspace, or Split at a space that is there no more
                     decoder         ByteLevel; Replace, ByteFallback, Fuse, Strip
                     post_processor  none, ByteLevel, RobertaProcessing, BertProcessing or TemplateProcessing around one text

Anything else (dropout, affixes of subwords, other steps) is an OtherTokenizer, told by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from t0native.base.errors import FormatError
from t0native.base.jsontext import parse_json
from t0native.base.showing import named, shown
from t0native.text.addedtokens import SENTINEL_NAME
from t0native.text.spiecefile import BYTE, BYTES, CONTROL, NORMAL, UNKNOWN, Rules, model_bytes

__all__ = ["MASK", "OtherTokenizer", "Roles", "read_bpe_json", "read_vocabulary", "stands_between", "steps_of"]

_MARK = "\u2581"
REMEDY = "give the model ids that its own library makes, with tokenizer=False, or the spiece.model, with tokenizer=FILE"
_AROUND = ("Roberta", "Bart", "Longformer", "LED")  # classes whose texts stand between the first and the last token
MASK = "<mask>"  # their mask_token, where no file names another


class OtherTokenizer(FormatError):
    """A tokenizer that is whole, but of a kind that is not read here."""


class Roles(NamedTuple):
    """What a folder's small files say of special tokens.

    names: {role: text} such as eos_token.  kind: the tokenizer's class, or None.  tokens: the AddedTokens that have an id there.
    add_prefix_space: of tokenizer_config.json."""

    names: Mapping = {}
    kind: str | None = None
    tokens: tuple = ()
    add_prefix_space: bool = False

    @property
    def silent(self):
        """Texts that are never made from text."""
        named = {text for role, text in self.names.items() if role in ("bos_token", "eos_token", "unk_token", "pad_token")}
        return named or {"<pad>", "</s>", "<unk>", "<s>"}


class Pieces(NamedTuple):
    """A vocabulary without its sentinels. number: {piece: id}; extra_ids: sentinels at its end or behind it."""

    texts: list[str]
    number: dict[str, int]
    extra_ids: int


def read_vocabulary(vocab_file, vocab, merges_file, merges, roles):
    """(model file, Pieces) of vocab.json and merges.txt.  vocab, merges: their bytes.  FormatError with file and place."""
    pieces = _pieces(vocab_file, parse_json(vocab_file, vocab), "", roles.tokens)
    _refuse_affixes(vocab_file, pieces.texts)
    table = _merges(merges_file, _lines(merges_file, merges), pieces.number, "line")
    first, last = roles.names.get("cls_token", "<s>"), roles.names.get("sep_token", "</s>")
    around = stands_between(roles.kind) and last in pieces.number
    if around and "cls_token" in roles.names and first not in pieces.number:
        raise FormatError(f"{vocab_file}: cls_token {shown(first)} goes before a text, and is no piece: name the one that the model has")
    end = roles.names.get("eos_token", last)
    rules = Rules(
        roles.add_prefix_space, False, False, end=end, pad=roles.names.get("pad_token"), merges=table, split="words", drop_unknown=True,
        start=pieces.number.get(first) if around else None,
    )  # fmt: skip
    unknown = roles.names.get("unk_token", "<unk>")
    return _model(f"{vocab_file}: pieces", "byte-level BPE", pieces, unknown, roles.silent | {end}, rules), pieces


def _refuse_affixes(path, texts):
    """GPT's, CLIP's and fairseq's BPE have the same two files, but end words with </w>, or what goes on in @@."""
    for affix in ("</w>", "@@"):
        if 10 * sum(text.endswith(affix) for text in texts) > len(texts):
            raise OtherTokenizer(f"{path}: pieces that end in {affix}, as of a BPE that is not byte-level, which is not read: {REMEDY}")


def stands_between(kind):
    """Whether texts stand between a first and a last token, by the name of the tokenizer's class; None, no name: they do."""
    return kind is None or kind.removesuffix("Fast").removesuffix("Tokenizer") in _AROUND


def read_bpe_json(path, content, added, roles):
    """(model file, Pieces) of a parsed tokenizer.json whose model is BPE.  added: its AddedTokens.  FormatError; OtherTokenizer."""
    model = content["model"]
    _refuse_variants(path, model)
    pieces = _pieces(path, model.get("vocab"), "model.vocab: ", added)
    table = _merges(path, enumerate(model.get("merges") or [], 0), pieces.number, "model.merges")
    before = steps_of(content.get("pre_tokenizer"), "pretokenizers")
    levels = [step for step in before if step["type"] == "ByteLevel"]
    kind = "byte-level BPE" if levels else "merges"
    spaces = _byte_level(path, content, levels, before) if levels else _marked(path, content, before, added)
    start, end = _around(path, content.get("post_processor"))
    end = end or roles.names.get("eos_token", "</s>")
    if start is not None and start not in pieces.number:
        raise FormatError(f"{path}: post_processor: {shown(start)} goes before a text, and is no piece")
    rules = Rules(
        **spaces, remove_extra_whitespaces=False, end=end, pad=roles.names.get("pad_token", "<pad>"), merges=table,
        byte_fallback=_flag(path, model, "byte_fallback"), ignore_merges=_flag(path, model, "ignore_merges"),
        fuse_unknown=_flag(path, model, "fuse_unk"), drop_unknown=not model.get("unk_token"),
        start=None if start is None else pieces.number[start],
    )  # fmt: skip
    unknown = model.get("unk_token") or roles.names.get("unk_token", "<unk>")
    silent = roles.silent | {end, *([start] if start else [])}
    return _model(f"{path}: model.vocab: pieces", kind, pieces, unknown, silent, rules), pieces


def steps_of(value, key):
    """The steps of a normaliser, pre-tokenizer or decoder, sequences laid flat."""
    if value is None:
        return []
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str):
        return [{"type": shown(value)}]
    if value["type"] != "Sequence":
        return [value]
    inner = value.get(key)
    return [step for part in inner for step in steps_of(part, key)] if isinstance(inner, list) else [{"type": "Sequence without parts"}]


# ---- pieces and merges ------------------------------------------------------------------------------------------------


def _pieces(path, vocab, where, tokens):
    if not isinstance(vocab, Mapping) or not vocab:
        raise FormatError(f"{path}: {where}{shown(vocab)}; must be an object of pieces and their ids")
    texts = [None] * len(vocab)
    for piece, number in vocab.items():
        if type(number) is not int or not 0 <= number < len(texts):
            raise FormatError(
                f"{path}: {where}{shown(piece)} has the id {shown(number)}; of {len(texts)} pieces the ids are 0 to {len(texts) - 1}, "
                "none left out"
            )
        if not piece or texts[number] is not None:
            raise FormatError(
                f"{path}: {where}{shown(texts[number])} and {shown(piece)} have the id {number}; a piece is a text, with its own id"
            )
        texts[number] = piece
    extra = _sentinels_at_end(texts, tokens)
    del texts[len(texts) - extra :]
    behind = {token.id: token.text for token in tokens if SENTINEL_NAME.fullmatch(token.text) and token.id >= len(vocab)}
    if not extra and all(behind.get(len(texts) + len(behind) - 1 - k) == f"<extra_id_{k}>" for k in range(len(behind))):
        extra = len(behind)
    return Pieces(texts, {text: i for i, text in enumerate(texts)}, extra)


def _sentinels_at_end(texts, tokens):
    """How many pieces at the end are T5's sentinels, added tokens among them."""
    own, n = {token.text for token in tokens}, 0
    while n < len(texts) and texts[-1 - n] == f"<extra_id_{n}>" and texts[-1 - n] in own:
        n += 1
    return n


def _lines(path, data):
    """(number, line) of each merge of a merges.txt."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte 0x{data[error.start]:02x} at {error.start} is not UTF-8") from None
    lines = enumerate(text.split("\n"), 1)
    return ((number, line.removesuffix("\r")) for number, line in lines if line.strip() and not line.startswith("#version"))


def _merges(path, entries, number, where):
    """uint32 [n, 3] of merges: a text "left right" each, or a list of two."""
    table = []
    for place, entry in entries:
        pair = entry.split(" ") if isinstance(entry, str) else entry
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(half, str) for half in pair):
            raise FormatError(f"{path}: {where} {place}: {shown(entry)}; a merge is two pieces")
        left, right = pair
        try:
            table.append((number[left], number[right], number[left + right]))
        except KeyError as error:
            raise FormatError(
                f"{path}: {where} {place}: {shown(left)} and {shown(right)}, but {shown(error.args[0])} is no piece"
            ) from None
    return np.array(table, np.uint32).reshape(-1, 3)


def _model(where, kind, pieces, unknown, silent, rules):
    types = [NORMAL] * len(pieces.texts)
    for text in silent:
        if text in pieces.number:
            types[pieces.number[text]] = CONTROL
    if rules.byte_fallback:
        for name in BYTES:
            if name in pieces.number:
                types[pieces.number[name]] = BYTE
    if isinstance(unknown, str) and unknown in pieces.number and unknown not in (rules.end, rules.pad):
        types[pieces.number[unknown]] = UNKNOWN
    return model_bytes(kind, pieces.texts, np.zeros(len(pieces.texts)), types, rules, where)


# ---- the parts of a tokenizer.json ------------------------------------------------------------------------------------


def _flag(path, model, name):
    value = model.get(name, False)
    if value is not None and not isinstance(value, bool):
        raise FormatError(f"{path}: model.{name} {shown(value)}; must be true or false")
    return bool(value)


def _refuse_variants(path, model):
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise OtherTokenizer(f"{path}: a BPE tokenizer with {name} {shown(model[name])}, which is not read: {REMEDY}")
    unknown, vocab = model.get("unk_token"), model.get("vocab")
    if unknown is not None and not (isinstance(unknown, str) and isinstance(vocab, Mapping) and unknown in vocab):
        raise FormatError(f"{path}: model.unk_token {shown(unknown)} is no piece")
    if not isinstance(model.get("merges") or [], list):
        raise FormatError(f"{path}: model.merges {shown(model['merges'])}; must be a list")


def _other(path, part, step):
    return OtherTokenizer(f"{path}: its {part} has the step {named(step['type'])}, which a BPE tokenizer of T5's family has not: {REMEDY}")


def _kinds(steps):
    return [step["type"] for step in steps]


def _byte_level(path, content, levels, before):
    """Rules of a ByteLevel tokenizer."""
    if other := next((step for step in before if step["type"] != "ByteLevel"), None) or (levels[1] if len(levels) > 1 else None):
        raise _other(path, "pre_tokenizer", other)
    if normal := steps_of(content.get("normalizer"), "normalizers"):
        raise _other(path, "normalizer", normal[0])
    decoder = steps_of(content.get("decoder"), "decoders")
    if _kinds(decoder) != ["ByteLevel"]:
        raise _other(path, "decoder", next((step for step in decoder if step["type"] != "ByteLevel"), {"type": "none"}))
    step = levels[0]
    flags = {name: step.get(name, True) for name in ("add_prefix_space", "use_regex")}
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise FormatError(f"{path}: pre_tokenizer: {name} {shown(flag)}; must be true or false")
    return {"add_dummy_prefix": flags["add_prefix_space"], "escape_whitespaces": False, "split": "words" if flags["use_regex"] else "none"}


def _replaces(step, of, by):
    return step["type"] == "Replace" and step.get("pattern") == {"String": of} and step.get("content") == by


def _marked(path, content, before, added):
    """Rules of a tokenizer whose pieces have U+2581 for a space."""
    prepends = escapes = False
    normal = steps_of(content.get("normalizer"), "normalizers")
    for step in normal:
        if step["type"] == "Prepend" and step.get("prepend") == _MARK and not prepends and not escapes:
            prepends = True
        elif _replaces(step, " ", _MARK):
            escapes = True
        else:
            raise _other(path, "normalizer", step)
    if normal and (token := next((t for t in added if t.normalized and t.text not in ("<s>", "</s>", "<unk>", "<pad>")), None)):
        raise OtherTokenizer(
            f"{path}: its added token {shown(token.text)} is looked for in the normalised text, which is not read: {REMEDY}"
        )
    space = None
    for step in before:
        if step["type"] == "Metaspace" and step.get("replacement") == _MARK and space is None and not prepends:
            space = step
        elif not (escapes and step["type"] == "Split" and step.get("pattern") == {"String": " "}):
            raise _other(path, "pre_tokenizer", step)
    if space is None and not escapes:
        raise OtherTokenizer(f"{path}: neither its normalizer nor its pre_tokenizer puts U+2581 for a space: {REMEDY}")
    prefix = _prefix_scheme(path, space)
    split = space is not None and space.get("split", True)
    return {
        "add_dummy_prefix": prepends or prefix in ("always", "first"), "prefix_once": space is not None, "prefix_first": prefix == "first",
        "split": "marks" if split else "none", "strip_first": _strips(path, content),
    }  # fmt: skip


def _prefix_scheme(path, space):
    if space is None:
        return None
    prefix = space.get("prepend_scheme", "always" if space.get("add_prefix_space", True) else "never")
    if prefix not in ("always", "first", "never"):
        raise FormatError(f"{path}: pre_tokenizer: prepend_scheme {shown(prefix)}; must be always, first or never")
    return prefix


def _strips(path, content):
    """Whether a decoded text loses the space in front."""
    model = content["model"]
    fallback = _flag(path, model, "byte_fallback")
    steps = steps_of(content.get("decoder"), "decoders")
    strips = bool(steps) and steps[-1]["type"] == "Strip"
    if strips and (steps[-1].get("content"), steps[-1].get("start"), steps[-1].get("stop")) != (" ", 1, 0):
        raise _other(path, "decoder", steps[-1])
    kinds = _kinds(steps[: len(steps) - strips])
    wanted = ["Replace", "ByteFallback", "Fuse"] if fallback else ["Replace", "Fuse"]
    if kinds == ["Replace", "ByteFallback", "Fuse"] and not {*BYTES} & {*model["vocab"]}:
        kinds = wanted  # without a byte piece there is nothing to fall back to
    if kinds != wanted or not _replaces(steps[0], _MARK, " "):
        raise _other(path, "decoder", next((s for s in steps if s["type"] not in wanted), {"type": " and ".join(kinds) or "none"}))
    return strips


def _around(path, post):
    """(text put before a text, text put behind it), either None."""
    found = (None, None)
    for step in steps_of(post, "processors"):
        if step["type"] in ("RobertaProcessing", "BertProcessing"):
            found = tuple(entry[0] if isinstance(entry, list) and entry else None for entry in (step.get("cls"), step.get("sep")))
            if not all(isinstance(text, str) for text in found):
                raise FormatError(f"{path}: post_processor: cls {shown(step.get('cls'))}, sep {shown(step.get('sep'))}; must be [text, id]")
        elif step["type"] == "TemplateProcessing":
            found = _template(path, step.get("single"))
        elif step["type"] != "ByteLevel":
            raise _other(path, "post_processor", step)
    return found


def _template(path, single):
    if not isinstance(single, list):
        raise FormatError(f"{path}: post_processor: single {shown(single)}; must be a list")
    parts = [next(iter(part.items()), (None, None)) if isinstance(part, Mapping) else (None, None) for part in single]
    kinds = [kind for kind, _ in parts]
    if kinds.count("Sequence") != 1 or len(kinds) > 3 or not {*kinds} <= {"Sequence", "SpecialToken"}:
        raise OtherTokenizer(f"{path}: its post_processor, {shown(single)}, puts more than one token at an end of a text: {REMEDY}")
    at = kinds.index("Sequence")
    if at > 1 or len(kinds) - at > 2:
        raise OtherTokenizer(f"{path}: its post_processor, {shown(single)}, puts more than one token at an end of a text: {REMEDY}")
    names = [value.get("id") if isinstance(value, Mapping) else None for _, value in parts]
    for name in names[:at] + names[at + 1 :]:
        if not isinstance(name, str):
            raise FormatError(f"{path}: post_processor: a token {shown(name)}; must be a text")
    return (names[0] if at else None, names[at + 1] if len(names) > at + 1 else None)
