"""Models of the kinds of tokenizers beside unigram, made by the libraries that are their oracles, and what those libraries say of texts.

Case(name, ours, encode(texts) -> ids of each, decode(ids of each, skip_special) -> texts, options of our encode_batch)"""

import json
from pathlib import Path
from typing import NamedTuple

from spiece_files import SENTENCES, train_model

from t0native import Tokenizer

SILENT = ("<pad>", "<s>", "</s>", "<unk>")
BPE = {
    "as Llama's": {
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True, "vocab_size": 420,
        "character_coverage": 0.98, "allow_whitespace_only_pieces": True, "split_digits": True,
    },
    "as Gemma's": {
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "add_dummy_prefix": False, "byte_fallback": True,
        "vocab_size": 500, "user_defined_symbols": ["[SEP]", "user sym", "▁▁", "cat", "\n\n"], "control_symbols": ["<2en>"],
    },
    "nmt_nfkc": {"vocab_size": 200},
    "across words, nmt_nfkc_cf": {"vocab_size": 220, "split_by_whitespace": False, "normalization_rule_name": "nmt_nfkc_cf"},
    "U+2581 behind": {"vocab_size": 200, "treat_whitespace_as_suffix": True},
    "unused pieces": {"vocab_size": 260, "normalization_rule_name": "nfkc"},
}  # fmt: skip


class Case(NamedTuple):
    name: str
    ours: Tokenizer
    encode: object
    decode: object
    options: dict


def train_bpe(path, name):
    """The bytes of the SentencePiece BPE model of this name."""
    data = train_model(Path(path), model_type="bpe", **BPE[name])
    if name != "unused pieces":
        return data
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto.FromString(data)
    for piece in [piece for piece in proto.pieces if piece.type == 1 and len(piece.piece) > 1][::3]:
        piece.type = 5
    return proto.SerializeToString()


def bpe_cases(folder):
    import sentencepiece

    for i, name in enumerate(BPE):
        data = train_bpe(folder / f"bpe{i}", name)
        oracle = sentencepiece.SentencePieceProcessor(model_proto=data)
        yield Case(f"BPE, {name}", Tokenizer.from_bytes(data), oracle.encode, lambda ids, skip, oracle=oracle: oracle.decode(ids), {})


# ---- the hub's ----------------------------------------------------------------------------------------------------------


def code_folder(folder, size=600, corpus=SENTENCES * 8, sentinels=100):
    """A folder of vocab.json, merges.txt and small files as CodeT5's."""
    from tokenizers import ByteLevelBPETokenizer

    trainer = ByteLevelBPETokenizer()
    special = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
    trainer.train_from_iterator(corpus, vocab_size=size, min_frequency=2, special_tokens=special, show_progress=False)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_model(str(folder))
    n = len(json.loads((folder / "vocab.json").read_text()))
    names = [f"<extra_id_{k}>" for k in range(sentinels - 1, -1, -1)]
    tokens = {n + i: {"content": name, "lstrip": True, "normalized": True, "special": True} for i, name in enumerate(names)}
    tokens[4] = {"content": "<mask>", "lstrip": True, "normalized": False, "special": True}
    tokens |= {i: {"content": name, "normalized": False, "special": True} for i, name in enumerate(special[:4])}
    flags = {"rstrip": False, "single_word": False, "lstrip": False}
    config = {"tokenizer_class": "RobertaTokenizer", "added_tokens_decoder": {str(i): flags | tokens[i] for i in sorted(tokens)}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder


def without(content, names):
    """The tokenizer of a parsed tokenizer.json, without these added tokens: they are texts like others."""
    from tokenizers import Tokenizer as Hub

    kept = [token for token in content["added_tokens"] if token["content"] not in names]
    return Hub.from_str(json.dumps(content | {"added_tokens": kept}))


def hub_case(name, ours, content, options):
    """Against the tokenizers package, of which the tokenizer.json is `content`."""
    whole, plain = without(content, ()), without(content, SILENT)

    def encode(texts):
        return [encoding.ids for encoding in plain.encode_batch_fast(texts, add_special_tokens=options.get("add_eos", False))]

    return Case(name, ours, encode, lambda ids, skip: whole.decode_batch(ids, skip_special_tokens=skip), options)


def byte_level_cases(folder):
    from transformers import RobertaTokenizer

    theirs = RobertaTokenizer.from_pretrained(str(code_folder(folder / "code")))
    content = json.loads(theirs.backend_tokenizer.to_str())
    whole = {"add_eos": True, "sentinels": True}
    yield hub_case("byte-level BPE, vocab.json and merges.txt", Tokenizer.from_folder(folder / "code"), content, whole)
    theirs.save_pretrained(str(folder / "saved"))
    yield hub_case("byte-level BPE, tokenizer.json", Tokenizer.from_folder(folder / "saved"), content, whole)
    level = content["pre_tokenizer"]
    for name, changes in {
        "a space in front": {"pre_tokenizer": level | {"add_prefix_space": True}},
        "without the regular expression": {"pre_tokenizer": level | {"use_regex": False}},
        "ignore_merges": {"model": content["model"] | {"ignore_merges": True}},
        "bytes that are no pieces": {"model": _without_letters(content["model"])},
    }.items():
        yield hub_case(f"byte-level BPE, {name}", *_written(folder, name, content | changes), {"sentinels": True})


def _without_letters(model):
    """A model without the letters of some bytes, and unk_token in their place."""
    gone = {letter: f"gone{i}" for i, letter in enumerate("ÐÑzqX")}
    vocab = {gone.get(piece, piece): number for piece, number in model["vocab"].items()}
    merges = [pair for pair in model["merges"] if not gone.keys() & {*pair}]
    return model | {"vocab": vocab, "merges": merges, "unk_token": "<unk>"}


def _written(folder, name, content):
    path = folder / f"{name}.json"
    path.write_text(json.dumps(content))
    return Tokenizer.from_file(path), content


def merges_cases(folder):
    from transformers import LlamaTokenizer

    (folder / "llama").mkdir()
    train_model(folder / "llama/tokenizer", model_type="bpe", **BPE["as Llama's"])
    theirs = LlamaTokenizer.from_pretrained(str(folder / "llama"))
    theirs.save_pretrained(str(folder / "llama/saved"))
    content = json.loads((folder / "llama/saved/tokenizer.json").read_text())
    for name, changes in merges_variants(content).items():
        yield hub_case(f"merges, {name}", *_written(folder, name, content | changes), {})


def merges_variants(content):
    """{name: what is changed} of a Llama tokenizer.json."""
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    pretty = {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False}
    model = content["model"] | {"byte_fallback": False, "unk_token": "<unk>"}
    vocab = {f"byte {piece[3:5]}" if piece.startswith("<0x") else piece: number for piece, number in model["vocab"].items()}
    steps = [step for step in content["decoder"]["decoders"] if step["type"] != "ByteFallback"]
    plain = {"model": model | {"vocab": vocab}, "decoder": {"type": "Sequence", "decoders": steps}}
    n, base = len(vocab), [token for token in content["added_tokens"] if token["id"] < len(vocab)]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = [*base, {**flags, "id": n, "content": "[SEP]", "lstrip": True, "special": True}]
    added += [{**flags, "id": n + 1, "content": "cat", "single_word": True, "rstrip": True, "normalized": True}]

    def space(scheme, split):
        return {"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split}}

    return {
        "as transformers 5 writes Llama's": {},
        "as transformers 4 wrote it": {
            "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, spaces]}, "pre_tokenizer": None,
        },
        "as Gemma's": {"normalizer": spaces, "pre_tokenizer": pretty},
        "always, split": space("always", True),
        "never": space("never", False),
        "ignore_merges": {"model": content["model"] | {"ignore_merges": True}, **space("always", True)},
        "unknown, fused": {**plain, "model": plain["model"] | {"fuse_unk": True}},
        "unknown, each": {**plain, "model": plain["model"] | {"fuse_unk": False}, **space("first", True)},
        "unknown, left out": {**plain, "model": plain["model"] | {"unk_token": None}},
        "added tokens": {"added_tokens": added},
        "added tokens, always": {"added_tokens": added, **space("always", False)},
    }  # fmt: skip


def bytes_cases(folder):
    from transformers import ByT5Tokenizer

    theirs = ByT5Tokenizer()
    theirs.save_pretrained(str(folder / "byt5"))

    def encode(texts):
        """transformers', but where a text has the name of a special token, which is a text like others here."""
        named = [any(name in text for name in SILENT) for text in texts]
        return [
            [byte + 3 for byte in text.encode()] + [1]
            if odd and "<extra_id_" not in text
            else theirs(text)["input_ids"]
            if not odd
            else None
            for text, odd in zip(texts, named, strict=True)
        ]

    def decode(ids, skip):
        return [theirs.decode(one, skip_special_tokens=skip) for one in ids]

    yield Case("bytes", Tokenizer.from_folder(folder / "byt5"), encode, decode, {"add_eos": True, "sentinels": True})


KINDS = {"BPE": bpe_cases, "byte-level BPE": byte_level_cases, "merges": merges_cases, "bytes": bytes_cases}
