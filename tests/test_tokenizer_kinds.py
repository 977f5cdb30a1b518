"""Tokenizers beside unigram: ids of their libraries, folders that models come with, broken files, time.

fuzz_tokenizer_kinds.py compares 1,000,000 texts of each kind; here is a slice."""

import json
import pickle
import time

import conftest
import numpy as np
import pytest
from spiece_files import SENTENCES
from tokenizer_kinds import BPE, KINDS, code_folder, train_bpe

import t0native as t0
from t0native import Tokenizer
from t0native.cli.main import main
from t0native.models.inspection import describe_model
from t0native.tasks.objectives import SpanCorruption
from t0native.text.tokenizerbpe import OtherTokenizer


def needed(*names):
    """The last of these packages, which are tests' alone."""
    return [conftest.needed(name, f"pip install {name}") for name in names][-1]


CASES = {"BPE": 6, "byte-level BPE": 6, "merges": 11, "bytes": 1}  # texts of a slice are shared by a kind's cases


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_of_the_comparison_with_the_libraries(kind, tmp_path):
    needed("sentencepiece", "tokenizers", "transformers")
    import fuzz_tokenizer_kinds

    corpus, seen = [sentence.split() for sentence in SENTENCES], 0
    for case in KINDS[kind](tmp_path):
        kinds, found = fuzz_tokenizer_kinds.fuzz(case, corpus, 60, 5)
        assert not found, (case.name, found[:3])
        seen += kinds.total()
    assert seen == 60 * CASES[kind]


# ---- characters ---------------------------------------------------------------------------------------------------------


def letters():
    """The letters of all bytes, by byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(others)) for byte in range(256)]


def level(tmp_path, vocab, merges):
    """A byte-level tokenizer of vocab.json and merges.txt."""
    (tmp_path / "vocab.json").write_text(json.dumps(vocab))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges), encoding="utf-8")
    return Tokenizer.from_folder(tmp_path)


def test_letters_and_numbers_are_those_of_the_tokenizers_package(tmp_path):
    """Every character below U+34000, and some of those above, behind a letter and behind a digit: it is joined to its like alone."""
    tokenizers = needed("tokenizers")
    of = letters()
    merges = [(first, letter) for first in "a1" for letter in of]
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*of, *(a + b for a, b in merges)]))}
    tok = level(tmp_path, vocab, merges)
    characters = [chr(c) for c in (*range(0xD800), *range(0xE000, 0x34000), *range(0x34000, 0x110000, 101))]

    def members(pattern):
        split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "removed")
        blocks = ("".join(characters[at : at + 4096]) for at in range(0, len(characters), 4096))
        return {*characters} - {c for block in blocks for part, _ in split.pre_tokenize_str(block) for c in part}

    joined = np.array([len(piece) == 2 for piece in vocab])
    for first, pattern in (("a", r"\p{L}"), ("1", r"\p{N}")):
        batch = tok.encode_batch([first + c for c in characters])
        found = {c for c, yes in zip(characters, joined[batch.ids[batch.offsets[:-1]]], strict=True) if yes}
        assert found == members(pattern)


def test_words_are_cut_as_gpt2s_regular_expression_does(tmp_path):
    regex = needed("regex")
    pattern = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
    of = letters()
    parts = [
        "'",
        "s",
        "'s",
        "'re",
        "'ll",
        "'LL",
        " ",
        "  ",
        "\t",
        "\n",
        "\u3000",
        "a",
        "é",
        "日",
        "1",
        "½",
        "!",
        "…",
        "\u0301",
        "'t'd",
        " 've",
    ]
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(parts, rng.integers(1, 9))) for _ in range(3000)]
    words = [pattern.findall(text) for text in texts]
    assert ["".join(row) for row in words] == texts
    named = {word: "".join(of[byte] for byte in word.encode()) for row in words for word in row}
    vocab = {piece: i for i, piece in enumerate(dict.fromkeys([*of, *sorted(named.values())]))}
    content = {
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "ignore_merges": True},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False},
        "decoder": {"type": "ByteLevel"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tok = Tokenizer.from_file(tmp_path / "tokenizer.json")
    for text, row in zip(texts, words, strict=True):
        assert tok.encode(text) == [vocab[named[word]] for word in row], text


# ---- folders and models --------------------------------------------------------------------------------------------------


def save_model(folder, rows, **options):
    config = t0.Config(vocab_size=rows, d_model=8, d_ff=12, num_layers=1, num_heads=2, d_kv=4, **options)
    t0.Model.init(config, seed=3).save(folder)
    return folder


def alike(a, b):
    texts = [*SENTENCES, "", " a  b ", "naïve 日本 😀 <extra_id_3> x"]
    same = all(np.array_equal(x, y) for x, y in zip(a.encode_batch(texts), b.encode_batch(texts), strict=True))
    return same and a.fingerprint == b.fingerprint and a.kind == b.kind and a.vocab_size == b.vocab_size


def round_trip(folder, tmp_path):
    """The model of a folder; saved, converted and pickled its tokenizer is the same."""
    model = t0.Model.from_pretrained(folder)
    model.save(tmp_path / "again")
    assert main(["convert", str(folder), str(tmp_path / "converted"), "--dtype", "bfloat16"]) == 0
    for place in ("again", "converted"):
        assert alike(Tokenizer.from_folder(tmp_path / place, model.config.vocab_size), model.tokenizer)
    assert alike(pickle.loads(pickle.dumps(model.tokenizer)), model.tokenizer)
    assert alike(Tokenizer.from_bytes(model.tokenizer.model_bytes, model.tokenizer.extra_ids), model.tokenizer) or model.tokenizer.added
    return model


def test_a_folder_of_byt5(tmp_path):
    folder = save_model(tmp_path / "byt5", 384)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    model = round_trip(folder, tmp_path)
    tok = model.tokenizer
    assert (tok.kind, tok.vocab_size, tok.n_pieces, tok.extra_ids, tok.pad_id, tok.eos_id, tok.unk_id) == ("bytes", 384, 259, 125, 0, 1, 2)
    assert tok.encode("aé", add_eos=True) == [100, 198, 172, 1] and tok.sentinel(0) == 259 and tok.id_to_piece(383) == "<extra_id_124>"
    assert describe_model(folder)["tokenizer"] == "tokenizer_config.json, bytes" and describe_model(folder)["loads"] == "yes"
    assert isinstance(model.generate("a cat", max_new_tokens=2), str) and model.score("a", "b") < 0
    assert tok.decode([198, 172, 100, 198]) == "éa" and tok.decode([259, 100], skip_special=False) == "<extra_id_0>a"
    explained = tok.explain("é")
    assert [(piece.piece, piece.begin, piece.end) for piece in explained.pieces] == [("<0xC3>", 0, 0), ("<0xA9>", 0, 1)]
    assert Tokenizer.from_folder(folder, 300).extra_ids == 41 and Tokenizer.from_file(folder / "tokenizer_config.json").extra_ids == 125


def test_bytes_are_chosen_by_name(tmp_path):
    folder = save_model(tmp_path / "m", 384)
    assert t0.Model.from_pretrained(folder).tokenizer is None
    assert alike(t0.Model.from_pretrained(folder, tokenizer="bytes").tokenizer, Tokenizer.of_bytes())
    with pytest.raises(t0.FormatError, match="vocab_size is 300"):
        t0.Model.from_pretrained(save_model(tmp_path / "small", 300), tokenizer="bytes")


@pytest.mark.parametrize("extra_ids", [0, 10, 200])
def test_sentinels_of_bytes_are_kept_by_saving(tmp_path, extra_ids):
    for name, content in Tokenizer.of_bytes(extra_ids).files_to_save():
        (tmp_path / name).write_bytes(content)
    for again in (Tokenizer.from_folder(tmp_path), Tokenizer.from_file(tmp_path / "tokenizer_config.json")):
        assert again.extra_ids == extra_ids
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer", "extra_ids": -1}')
    with pytest.raises(t0.FormatError, match="tokenizer_config.json: extra_ids -1"):
        Tokenizer.from_folder(tmp_path)


def test_what_is_saved_of_bytes_transformers_reads(tmp_path):
    transformers = needed("transformers")
    for name, content in Tokenizer.of_bytes().files_to_save():
        (tmp_path / name).write_bytes(content)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert type(theirs).__name__ == "ByT5Tokenizer"
    assert theirs("aé <extra_id_7>")["input_ids"] == Tokenizer.of_bytes().encode("aé <extra_id_7>", add_eos=True, sentinels=True)


def test_spans_of_bytes_are_marked_by_the_last_bytes():
    """As ByT5 was pre-trained: 258, 257, ... and not by the sentinels of its tokenizer."""
    tok = Tokenizer.of_bytes()
    ids = np.array(tok.encode("a cat sat on a mat and looked at the rain " * 4), np.int32)
    source, target = SpanCorruption(mean=8.0).pair(ids, tok, seed=1, key=2)
    marks = [number for number in target.tolist() if number > 200]
    assert len(marks) > 1 and marks == [258 - k for k in range(len(marks))] and [n for n in source.tolist() if n > 200] == marks
    kept, gone = np.split(source, np.flatnonzero(source > 200)), np.split(target, np.flatnonzero(target > 200))[1:]
    text = [*kept[0], *(n for k, part in enumerate(kept[1:]) for n in [*gone[k][1:], *part[1:]])]
    assert tok.decode(text) == tok.decode(ids)


def test_byt5_trains_on_span_corruption(tmp_path):
    (tmp_path / "text.jsonl").write_text("".join(json.dumps({"text": sentence}) + "\n" for sentence in SENTENCES))
    folder = save_model(tmp_path / "byt5", 384)
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "ByT5Tokenizer"}')
    recipe = f"""
model: {folder}
tasks: [{{name: t, data: text.jsonl, objective: span_corruption}}]
steps: 2
batch_size: 2
"""
    (tmp_path / "recipe.yaml").write_text(recipe)
    assert main(["train", str(tmp_path / "recipe.yaml"), "--out", str(tmp_path / "run")]) == 0
    assert alike(t0.Model.from_pretrained(tmp_path / "run").tokenizer, Tokenizer.of_bytes())


def test_a_folder_of_codet5(tmp_path):
    needed("tokenizers")
    transformers = needed("transformers")
    folder = save_model(code_folder(tmp_path / "code"), 700, eos_token_id=2)
    model = round_trip(folder, tmp_path)
    tok = model.tokenizer
    assert (tok.kind, tok.start_id, tok.eos_id, tok.pad_id, tok.unk_id) == ("byte-level BPE", 1, 2, 0, 3)
    assert tok.extra_ids == 100 and tok.sentinel(0) == tok.n_pieces + 99
    assert describe_model(folder)["tokenizer"].startswith("vocab.json, byte-level BPE")
    theirs = transformers.AutoTokenizer.from_pretrained(str(folder))
    for place in (folder, tmp_path / "again"):
        theirs = transformers.AutoTokenizer.from_pretrained(str(place))
        wanted = theirs(SENTENCES)["input_ids"]
        assert [ids.tolist() for ids in tok.encode_batch(SENTENCES, add_eos=True)] == wanted
    ended = model.score(tok.encode("the cat", add_eos=True), tok.encode("a dog", add_eos=True))
    assert model.score("the cat", "a dog", add_eos_to_inputs=True) == ended
    piece = tok.explain("naïve").pieces[-1]
    assert "naïve"[piece.begin : piece.end] in "naïve" and not tok.explain("naïve  cat\n").lost


@pytest.mark.parametrize("config", [
    None,
    {"tokenizer_class": "RobertaTokenizer"},
    {"tokenizer_class": "RobertaTokenizer", "mask_token": {"content": "<mask>", "lstrip": True, "__type": "AddedToken"}},
    {"tokenizer_class": "RobertaTokenizer", "mask_token": "<mask>", "add_prefix_space": True},
])  # fmt: skip
def test_the_mask_of_codet5_is_found_though_no_file_gives_its_id(tmp_path, config):
    needed("tokenizers")
    theirs = needed("transformers").RobertaTokenizer
    folder = code_folder(tmp_path / "code", sentinels=0)
    (folder / "tokenizer_config.json").unlink()
    if config:
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    ours, wanted = Tokenizer.from_folder(folder), theirs.from_pretrained(str(folder))
    for text in ("the <mask> cat", "a <mask>cat", "<mask>"):
        assert ours.encode(text, add_eos=True) == wanted(text)["input_ids"], text


def test_first_tokens_and_vocabularies_without_an_unknown_piece(tmp_path):
    needed("tokenizers")
    folder = code_folder(tmp_path, sentinels=0)
    config = folder / "tokenizer_config.json"
    config.write_text('{"tokenizer_class": "RobertaTokenizer", "cls_token": "[CLS]"}')
    with pytest.raises(t0.FormatError, match=r"vocab.json: cls_token '\[CLS\]' goes before a text, and is no piece"):
        Tokenizer.from_folder(folder)
    vocab = json.loads((folder / "vocab.json").read_text())
    vocab = {{"<unk>": "<|endoftext|>"}.get(piece, piece): number for piece, number in vocab.items()}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    added = {str(len(vocab)): {"content": "[X]", "special": True}}
    config.write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer", "eos_token": "<|endoftext|>", "added_tokens_decoder": added}))
    ours = Tokenizer.from_folder(folder)
    assert ours.unk_id is None and ours.piece_to_id("no such piece") is None and len(vocab) in ours.encode("the[X]cat")


def test_a_folder_of_piles_t5(tmp_path):
    """BPE of SentencePiece, as spiece.model and as the tokenizer.json that transformers 5 makes of it."""
    needed("sentencepiece")
    transformers = needed("transformers")
    folder = save_model(tmp_path / "pile", 600)
    data = train_bpe(tmp_path / "bpe", "as Llama's")
    (folder / "tokenizer.model").write_bytes(data)
    model = round_trip(folder, tmp_path)
    assert model.tokenizer.kind == "BPE" and model.tokenizer.extra_ids == 100
    assert describe_model(folder)["tokenizer"] == "tokenizer.model, BPE"
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path / "again"))
    plain = [sentence for sentence in SENTENCES if sentence.isascii()]
    wanted = theirs(plain, add_special_tokens=False)["input_ids"]
    assert [ids.tolist() for ids in model.tokenizer.encode_batch(plain)] == wanted
    theirs.save_pretrained(str(tmp_path / "hub"))
    saved = Tokenizer.from_folder(tmp_path / "hub")
    assert saved.kind == "merges" and [ids.tolist() for ids in saved.encode_batch(plain)] == wanted
    assert sorted(name for name, _ in saved.files_to_save()) == ["tokenizer.json", "tokenizer_config.json"]


def test_a_tokenizer_of_pieces_in_memory():
    """What another file's reader makes its tokenizer of."""
    needed("sentencepiece")
    pieces, types = ["<pad>", "</s>", "<unk>", "▁", "a", "b", "▁a", "ab"], [3, 3, 2, 1, 1, 1, 1, 1]
    bpe = Tokenizer.from_pieces(pieces, [0, 0, 0, -4, -4, -4, -2, -1], types, kind="BPE", extra_ids=0)
    unigram = Tokenizer.from_pieces(pieces, [0, 0, 0, -4, -4, -4, -2, -9], types, extra_ids=0)
    assert bpe.pieces("ab") == ["▁", "ab"] and unigram.pieces("ab") == ["▁a", "b"] and bpe.eos_id == 1
    with pytest.raises(t0.FormatError, match="half a surrogate pair"):
        Tokenizer.from_pieces(["\ud800"], [0], [2])


# ---- broken files --------------------------------------------------------------------------------------------------------

CODE = {
    "a hole": (lambda v, m: ({**v, "zz": len(v) + 3}, m), r"vocab.json: 'zz' has the id \d+; of \d+ pieces the ids are 0 to"),
    "an id twice": (lambda v, m: ({**v, [*v][-1]: 3}, m), "have the id 3"),
    "a huge id": (lambda v, m: ({**v, "zz": 1 << 40}, m), "vocab.json: 'zz' has the id 1099511627776"),
    "an id that is none": (lambda v, m: ({**v, "zz": True}, m), "'zz' has the id True"),
    "no object": (lambda v, m: ([1, 2], m), "must be an object of pieces"),
    "no pieces": (lambda v, m: ({}, m), "must be an object of pieces"),
    "a merge of three": (lambda v, m: (v, m + "a b c\n"), r"merges.txt: line \d+: 'a b c'; a merge is two pieces"),
    "a merge of what is none": (lambda v, m: (v, m + "a zqzq\n"), r"merges.txt: line \d+: 'a' and 'zqzq', but 'zqzq' is no piece"),
    "a merge to what is none": (lambda v, m: (v, m + "# #\n"), "'#' and '#', but '##' is no piece"),
    "half a surrogate pair": (lambda v, m: ({**v, "\ud800": len(v)}, m), "half a surrogate pair"),
}


@pytest.mark.parametrize("name", CODE)
def test_broken_vocabularies_are_told_with_place_and_value(tmp_path, name):
    needed("tokenizers")
    change, message = CODE[name]
    folder = code_folder(tmp_path)
    vocab, merges = change(json.loads((folder / "vocab.json").read_text()), (folder / "merges.txt").read_text())
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "merges.txt").write_text(merges)
    with pytest.raises(t0.FormatError, match=message) as told:
        Tokenizer.from_folder(folder)
    assert str(folder) in str(told.value)


def test_pieces_that_make_too_many_pairs():
    pieces, n = ["<unk>", *("a" * size for size in range(1, 3000))], 3000
    with pytest.raises(t0.FormatError, match="pieces that make more than 4194304 pairs"):
        Tokenizer.from_pieces(pieces, np.zeros(n), [2, *[1] * (n - 1)], kind="BPE")


@pytest.mark.parametrize("affix", ["</w>", "@@"])
def test_files_of_a_bpe_that_is_not_byte_level_are_told(tmp_path, affix):
    pieces = ["<unk>", *"abcdefgh", *(letter + affix for letter in "abcdefgh"), "ab" + affix]
    (tmp_path / "vocab.json").write_text(json.dumps({piece: i for i, piece in enumerate(pieces)}))
    (tmp_path / "merges.txt").write_text(f"a b{affix}\n")
    with pytest.raises(OtherTokenizer, match=f"vocab.json: pieces that end in {affix}, as of a BPE that is not byte-level"):
        Tokenizer.from_folder(tmp_path)


def test_merges_that_are_not_utf8(tmp_path):
    needed("tokenizers")
    folder = code_folder(tmp_path)
    (folder / "merges.txt").write_bytes(b"#version: 0.2\na \xff\n")
    with pytest.raises(t0.FormatError, match="merges.txt: byte 0xff at 16 is not UTF-8"):
        Tokenizer.from_folder(folder)


MODEL = {"type": "BPE", "vocab": {"<unk>": 0, "a": 1, "b": 2, "ab": 3, "▁": 4}, "merges": [["a", "b"]], "unk_token": "<unk>"}
SPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
DECODER = {
    "type": "Sequence",
    "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}],
}
SOUND = {"model": MODEL, "pre_tokenizer": SPACE, "decoder": DECODER}
OTHERS = {  # each with what it is called
    "dropout": ({"model": MODEL | {"dropout": 0.1}}, "with dropout 0.1"),
    "suffix": ({"model": MODEL | {"end_of_word_suffix": "</w>"}}, "with end_of_word_suffix '</w>'"),
    "prefix": ({"model": MODEL | {"continuing_subword_prefix": "##"}}, "with continuing_subword_prefix '##'"),
    "NFC": ({"normalizer": {"type": "NFC"}}, "normalizer has the step NFC"),
    "digits": ({"pre_tokenizer": {"type": "Digits"}}, "pre_tokenizer has the step Digits"),
    "a regex": (
        {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "x"}}, {"type": "ByteLevel"}]}},
        "pre_tokenizer has the step Split",
    ),
    "no spaces": ({"pre_tokenizer": None}, "puts U.2581 for a space"),
    "decoder": ({"decoder": {"type": "WordPiece"}}, "decoder has the step WordPiece"),
    "no decoder": ({"decoder": None}, "decoder has the step none"),
    "template": ({"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {}}, {"SpecialToken": {"id": "a"}},
                                                                             {"SpecialToken": {"id": "b"}}]}}, "more than one token"),
    "post": ({"post_processor": {"type": "Other"}}, "post_processor has the step Other"),
}  # fmt: skip
BROKEN = {
    "merge": ({"model": MODEL | {"merges": [["a", "b"], ["a"]]}}, r"model.merges 1: \['a'\]; a merge is two pieces"),
    "merge no piece": ({"model": MODEL | {"merges": ["b a"]}}, "'b' and 'a', but 'ba' is no piece"),
    "merges no list": ({"model": MODEL | {"merges": {"a": 1}}}, "merges .*must be a list"),
    "unk": ({"model": MODEL | {"unk_token": "zz"}}, "unk_token 'zz' is no piece"),
    "fuse": ({"model": MODEL | {"fuse_unk": 3}}, "model.fuse_unk 3; must be true or false"),
    "bytes": ({"model": MODEL | {"byte_fallback": True}}, "the piece <0x00> is missing"),
    "scheme": ({"pre_tokenizer": SPACE | {"prepend_scheme": "now"}}, "prepend_scheme 'now'; must be always, first or never"),
    "cls": ({"post_processor": {"type": "RobertaProcessing", "cls": 3}}, r"cls 3, sep None; must be \[text, id\]"),
    "start": ({"post_processor": {"type": "RobertaProcessing", "cls": ["zz", 9], "sep": ["a", 1]}}, "'zz' goes before a text"),
    "vocab": ({"model": MODEL | {"vocab": {"a": -1}, "merges": [], "unk_token": None}}, "'a' has the id -1"),
}


def read_changed(tmp_path, changes):
    (tmp_path / "tokenizer.json").write_text(json.dumps(SOUND | changes))
    return Tokenizer.from_file(tmp_path / "tokenizer.json")


def test_the_sound_file_is_sound(tmp_path):
    tok = read_changed(tmp_path, {})
    assert tok.kind == "merges" and tok.pieces("ab ba") == ["▁", "ab", "▁", "b", "a"] and tok.decode(tok.encode("ab ba")) == " ab ba"


@pytest.mark.parametrize("name", [*OTHERS, *BROKEN])
def test_what_is_not_read_of_tokenizer_json_is_told(tmp_path, name):
    changes, message = {**OTHERS, **BROKEN}[name]
    with pytest.raises(t0.FormatError, match=message) as told:
        read_changed(tmp_path, changes)
    assert str(tmp_path / "tokenizer.json") in str(told.value) and ("tokenizer=False" in str(told.value)) == (name in OTHERS)


# ---- time and memory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["BPE", "byte-level BPE", "bytes"])
def test_a_long_word_takes_no_quadratic_time(tmp_path, kind):
    needed("sentencepiece", "tokenizers")
    if kind == "BPE":
        tok = Tokenizer.from_bytes(train_bpe(tmp_path / "m", next(iter(BPE))))
    else:
        tok = Tokenizer.of_bytes() if kind == "bytes" else Tokenizer.from_folder(code_folder(tmp_path / "code"))
    for unit in ("a", "the", "the"[::-1], "日"):
        start = time.process_time()
        assert tok.decode(tok.encode(unit * 300_000)) == unit * 300_000
        assert time.process_time() - start < 5


@pytest.mark.parametrize("split", [False, True])
def test_a_piece_that_no_merge_makes_is_taken_whole_only_where_it_is_all(tmp_path, split):
    """ignore_merges is of what the pre-tokenizer leaves whole: without a split the text, and not the words of it."""
    hub = needed("tokenizers")
    vocab = {piece: i for i, piece in enumerate(["<pad>", "</s>", "<unk>", "▁", "a", "b", "▁ab"])}
    content = {
        "version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": split},
        "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "unk_token": "<unk>", "fuse_unk": True, "ignore_merges": True},
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    ours, theirs = Tokenizer.from_file(tmp_path / "tokenizer.json"), hub.Tokenizer.from_str(json.dumps(content))
    for text in ("ab", "ab ab", "a ab b"):
        assert ours.encode(text) == theirs.encode(text).ids, text
    assert (ours.pieces("ab ab") == ["▁ab", "▁ab"]) == split


def test_threads_give_the_same_ids(tmp_path):
    needed("tokenizers")
    tok = Tokenizer.from_folder(code_folder(tmp_path))
    texts = [f"{sentence} {i}" for i in range(400) for sentence in SENTENCES]
    one, three = tok.encode_batch(texts, add_eos=True), tok.encode_batch(texts, add_eos=True, threads=3)
    assert one.ids.tobytes() == three.ids.tobytes() and one.offsets.tobytes() == three.offsets.tobytes()
    cut = tok.encode_batch(texts, add_eos=True, max_length=3)
    assert all(ids[0] == tok.start_id and len(ids) == 3 for ids in cut)
