"""Files of tokenizers: tokenizer.json as transformers writes it, other names, what is refused and what is kept."""

import base64
import copy
import json
import shutil

import numpy as np
import pytest
from conftest import needed
from fuzz_tokenizer import corpus_of
from fuzz_tokenizer_json import folder_of, run, vocabularies
from spiece_files import CONTROL, SENTENCES, SPECIAL, USER, field, model_file, odd_texts, train_model

import t0native as t0
from t0native import ConfigError, FormatError, Tokenizer
from t0native.checkpoints.hub import _SMALL
from t0native.cli.main import main
from t0native.models.inspection import describe_model
from t0native.text.tokenizerfiles import SPIECE_FILES, TOKENIZER_FILES, tokenizer_in

needed("sentencepiece", "pip install '.[test]'", module_level=True)
needed("transformers", "pip install '.[test]'", module_level=True)
TEXTS = [*SENTENCES, *odd_texts(200), "a <extra_id_0> cat<extra_id_99>", "two  spaces ", "\x85 \u3000▁x", "</s> <pad> <unk> <s>", "<0x41>é"]


@pytest.fixture(scope="module")
def spiece(tmp_path_factory):
    return train_model(tmp_path_factory.mktemp("spiece") / "m")


@pytest.fixture(scope="module")
def saved(spiece, tmp_path_factory):
    """A folder that transformers 5 wrote: tokenizer.json and tokenizer_config.json."""
    return folder_of(spiece, tmp_path_factory.mktemp("saved"))[0]


@pytest.fixture(scope="module")
def content(saved):
    return json.loads((saved / "tokenizer.json").read_text())


def alike(one, other, texts=TEXTS):
    for sentinels in (False, True):
        a, b = (tok.encode_batch(texts, sentinels=sentinels) for tok in (one, other))
        assert a.ids.tolist() == b.ids.tolist() and a.offsets.tolist() == b.offsets.tolist()
    assert [one.decode(ids) for ids in a] == [other.decode(ids) for ids in b]
    assert (one.vocab_size, one.extra_ids, one.unk_id, one.eos_id, one.pad_id) == (
        other.vocab_size,
        other.extra_ids,
        other.unk_id,
        other.eos_id,
        other.pad_id,
    )
    assert [one.kind_of(i) for i in range(one.n_pieces)] == [other.kind_of(i) for i in range(other.n_pieces)]
    return True


# ---- the same ids ------------------------------------------------------------------------------------------------------


def test_a_slice_of_the_fuzzing(public_data, tmp_path, capsys):
    """tests/fuzz_tokenizer_json.py does 200,000 texts of each vocabulary."""
    for n, (name, model) in enumerate(vocabularies(tmp_path, public_data)):
        assert run(name, model, tmp_path / str(n), 2000, n, corpus_of(public_data)) == (0, False), capsys.readouterr().out


@pytest.mark.parametrize(
    "options",
    [
        {"byte_fallback": True, "vocab_size": 400, "character_coverage": 0.98},
        {"normalization_rule_name": "nfkc_cf"},
        {"normalization_rule_name": "identity"},
        {"user_defined_symbols": ["[SEP]", "cat", "user sym"], "control_symbols": ["<2en>", "<s>"]},
        {"split_by_whitespace": False, "vocab_size": 200},
    ],
)
def test_a_file_gives_the_model_that_it_was_made_from(tmp_path, options):
    model = train_model(tmp_path / "m", **options)
    folder, _ = folder_of(model, tmp_path / "t")
    read = Tokenizer.from_file(folder / "tokenizer.json")
    assert alike(read, Tokenizer.from_bytes(model)) and read.added_tokens == ()
    assert alike(Tokenizer.from_folder(folder), read)


@pytest.mark.parametrize("extra", [0, 1, 37])
def test_the_number_of_sentinels_is_the_file_s_own(spiece, tmp_path, extra):
    folder, _ = folder_of(spiece, tmp_path, extra_ids=extra)
    assert alike(Tokenizer.from_file(folder / "tokenizer.json"), Tokenizer.from_bytes(spiece, extra_ids=extra))
    assert Tokenizer.from_file(folder / "tokenizer.json", extra_ids=extra).extra_ids == extra
    with pytest.raises(FormatError, match=f"extra_ids 5, but the file has {extra} sentinels"):
        Tokenizer.from_file(folder / "tokenizer.json", extra_ids=5)


def changed(content, **parts):
    return {**copy.deepcopy(content), **parts}


def precompiled(content):
    return content["normalizer"]


SPACES = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
FORMS = {  # of the same pipeline in other versions
    "2020": lambda c: {"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, {"type": "Metaspace", "replacement": "▁", "add_prefix_space": True}]}},
    "2021": lambda c: {
        "normalizer": {"type": "Sequence", "normalizers": [precompiled(c), {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "str_rep": "▁", "add_prefix_space": True},
    },
    "2024": lambda c: {
        "normalizer": {"type": "Sequence", "normalizers": [
            precompiled(c), {"type": "Strip", "strip_left": False, "strip_right": True}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
        ]},
        "pre_tokenizer": SPACES,
    },
    "general": lambda c: {
        "normalizer": {"type": "Sequence", "normalizers": [
            precompiled(c), {"type": "Replace", "pattern": {"Regex": r"\A +| +\z"}, "content": ""}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, {"type": "Replace", "pattern": {"Regex": "\\A▁"}, "content": "▁▁"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{**SPACES, "split": False}]}, "post_processor": None,
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_other_versions_write_the_same_otherwise(spiece, content, tmp_path, form):
    file = tmp_path / "tokenizer.json"
    file.write_text(json.dumps(changed(content, **FORMS[form](content))))
    assert alike(Tokenizer.from_file(file), Tokenizer.from_bytes(spiece))


def test_spaces_that_are_kept_and_a_missing_prefix(content, tmp_path):
    """Of a model with other switches, as a general tokenizer of transformers 5 writes it."""
    pieces = [("▁", -2.0), ("a", -1.0), ("▁a", -1.5)]
    model = model_file(pieces, normalizer=field(3, 0) + field(4, 0))
    escape = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    vocab = [[name, 0.0] for name, _, _ in SPECIAL] + [list(piece) for piece in pieces]
    file = tmp_path / "tokenizer.json"
    file.write_text(
        json.dumps(
            changed(
                content,
                normalizer=escape,
                pre_tokenizer=None,
                model={"type": "Unigram", "unk_id": 2, "vocab": vocab},
                added_tokens=content["added_tokens"][:3],
            )
        )
    )
    assert alike(Tokenizer.from_file(file), Tokenizer.from_bytes(model, extra_ids=0), ["a  a", " a ", "a", "", "  "])


def test_an_unk_id_that_is_not_the_model_s_is_told(tmp_path, caplog):
    """transformers writes unk_id 2 for every T5Tokenizer."""
    model = model_file([("▁", -2.0), ("a", -1.0)], special=[("<unk>", 0, 2), ("<pad>", 0, CONTROL), ("</s>", 0, CONTROL)])
    folder, theirs = folder_of(model, tmp_path)
    tok = Tokenizer.from_file(folder / "tokenizer.json")
    assert (
        tok.unk_id == 0
        and tok.encode("ab") == Tokenizer.from_bytes(model).encode("ab")
        and theirs("b", add_special_tokens=False)["input_ids"][-1] == 2
    )
    assert "unk_id 2 is '</s>'; what no piece covers is <unk>, 0" in caplog.text


# ---- what is refused ---------------------------------------------------------------------------------------------------


def write(tmp_path, value):
    file = tmp_path / "tokenizer.json"
    file.write_text(value if isinstance(value, str) else json.dumps(value))
    return file


def with_model(content, **parts):
    return changed(content, model={**content["model"], **parts})


def with_piece(content, piece):
    vocab = list(content["model"]["vocab"])
    vocab[5] = piece
    return with_model(content, vocab=vocab)


def normal(content, *steps):
    return changed(content, normalizer={"type": "Sequence", "normalizers": [precompiled(content), *steps]})


OTHERS = {
    "BPE": (lambda c: with_model(c, type="BPE", vocab={"a": 0}, merges=[]), "normalizer has the step Precompiled, which a BPE"),
    "BPE of old": (lambda c: changed(c, model={"vocab": {"a": 0}, "merges": []}), "normalizer has the step Precompiled, which a BPE"),
    "WordPiece": (lambda c: with_model(c, type="WordPiece", vocab={"a": 0}), "of the kind WordPiece"),
    "WordLevel": (lambda c: with_model(c, type="WordLevel", vocab={"a": 0}), "of the kind WordLevel"),
    "NFKC": (
        lambda c: changed(c, normalizer={"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}]}),
        "normalizer has the step Nmt",
    ),
    "lower case": (lambda c: normal(c, {"type": "Lowercase"}), "normalizer has the step Lowercase"),
    "a replacement": (
        lambda c: normal(c, {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}),
        "normalizer has the step Replace",
    ),
    "digits": (
        lambda c: changed(c, pre_tokenizer={"type": "Sequence", "pretokenizers": [SPACES, {"type": "Digits"}]}),
        "pre_tokenizer has the step Digits",
    ),
    "a split": (
        lambda c: changed(
            c,
            pre_tokenizer={
                "type": "Sequence",
                "pretokenizers": [SPACES, {"type": "Split", "pattern": {"Regex": r"\d"}, "behavior": "Isolated"}],
            },
        ),
        "pre_tokenizer splits at",
    ),
    "another mark": (lambda c: changed(c, pre_tokenizer={**SPACES, "replacement": "_"}), "pre_tokenizer has the step Metaspace"),
    "no mark": (lambda c: changed(c, pre_tokenizer={"type": "WhitespaceSplit"}), "no Metaspace"),
    "a start token": (
        lambda c: changed(
            c, post_processor={"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}
        ),
        "post_processor, 'TemplateProcessing', adds more than an end token",
    ),
    "another processor": (lambda c: changed(c, post_processor={"type": "BertProcessing"}), "post_processor, 'BertProcessing'"),
}


def small_model(folder, spiece, rows=None):
    config = t0.Config(vocab_size=rows or Tokenizer.from_bytes(spiece).vocab_size, d_model=8, d_ff=16, num_layers=1, num_heads=2, d_kv=4)
    t0.Model.init(config, seed=1).save(folder)
    return folder


@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_are_told_by_name_with_a_remedy(spiece, content, tmp_path, caplog, kind):
    make, message = OTHERS[kind]
    file = write(tmp_path, make(content))
    with pytest.raises(FormatError, match=message) as told:
        Tokenizer.from_file(file)
    assert str(file) in str(told.value) and "tokenizer=False" in str(told.value)
    folder = small_model(tmp_path / "m", spiece)
    shutil.copy(file, folder / "tokenizer.json")
    model = t0.Model.from_pretrained(folder)
    assert message in caplog.text and "this model takes and gives ids, not texts" in caplog.text and model.tokenizer is None
    assert describe_model(folder)["loads"].startswith("for ids alone, not for texts")
    caplog.clear()
    assert len(t0.Model.from_pretrained(folder, tokenizer=False).generate([5, 6], max_new_tokens=2)) <= 2  # the first remedy
    assert "not texts" not in caplog.text
    (tmp_path / "other.model").write_bytes(spiece)
    assert t0.Model.from_pretrained(folder, tokenizer=tmp_path / "other.model").score("a cat", "the dog") < 0  # the second


HOSTILE = {
    "cut off": (lambda c: json.dumps(c)[:-100], "its JSON is broken"),
    "a name twice": (lambda c: '{"model": 1, "model": 2}', "'model' stands twice"),
    "depth": (lambda c: '{"model": ' + "[" * 100_000 + "]" * 100_000 + "}", "its JSON is broken"),
    "NaN": (lambda c: json.dumps(with_piece(c, ["x", float("nan")])), "NaN is no number of JSON"),
    "Infinity": (lambda c: json.dumps(with_piece(c, ["x", float("-inf")])), "Infinity is no number of JSON"),
    "a huge exponent": (lambda c: json.dumps(with_piece(c, ["x", 0.125])).replace("0.125", "-1e999"), r"model.vocab\[5\], 'x': the score -inf; must be a number from -1e30 to 1e30"),
    "a huge double": (lambda c: with_piece(c, ["x", -1e39]), "must be a number from -1e30"),
    "a huge whole number": (lambda c: with_piece(c, ["x", -(10**400)]), "must be a number from -1e30"),
    "many digits": (lambda c: json.dumps(with_piece(c, ["x", 0.125])).replace("0.125", "9" * 5000), "its JSON is broken|must be a number"),
    "no score": (lambda c: with_piece(c, ["x"]), r"model.vocab\[5\]"),
    "a score that is text": (lambda c: with_piece(c, ["x", "-1"]), r"model.vocab\[5\]"),
    "a score that is true": (lambda c: with_piece(c, ["x", True]), r"model.vocab\[5\]"),
    "a piece that is a number": (lambda c: with_piece(c, [7, -1.0]), r"model.vocab\[5\]"),
    "an empty piece": (lambda c: with_piece(c, ["", -1.0]), r"model.vocab\[5\].*not empty"),
    "a piece twice": (lambda c: with_piece(c, ["▁", -1.0]), r"model.vocab\[\d+\] and \[\d+\] are both '▁'"),
    "half a character": (lambda c: with_piece(c, ["\ud800", -1.0]), r"model.vocab\[5\].*half a surrogate pair"),
    "a long piece": (lambda c: with_piece(c, ["x" * 70_000, -1.0]), "a piece of 70000 bytes"),
    "no pieces": (lambda c: with_model(c, vocab=[]), "unk_id 2; must be the number of one of the 0 pieces"),
    "no unknown": (lambda c: with_model(c, unk_id=None), "unk_id None"),
    "an unknown beyond": (lambda c: with_model(c, unk_id=10**20), "unk_id 100000000000000000000"),
    "a map that is no base64": (lambda c: changed(c, normalizer={"type": "Precompiled", "precompiled_charsmap": "!!!!"}), "is no base64"),
    "a map that is a number": (lambda c: changed(c, normalizer={"type": "Precompiled", "precompiled_charsmap": 7}), "must be a text in base64"),
    "a map that is cut off": (
        lambda c: changed(c, normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(b"\xff\xff\0\0abc").decode()}),
        "character map",
    ),
    "a scheme": (lambda c: changed(c, pre_tokenizer={**SPACES, "prepend_scheme": "often"}), "prepend_scheme 'often'"),
    "no model": (lambda c: {"version": "1.0"}, "no tokenizer.json"),
    "a model of text": (lambda c: changed(c, model="Unigram"), "model 'Unigram'; must be an object"),
    "tokens of text": (lambda c: changed(c, added_tokens="x"), "added_tokens 'x'; must be a list"),
    "a token of text": (lambda c: changed(c, added_tokens=["x"]), r"added_tokens\[0\]"),
    "a token twice": (lambda c: changed(c, added_tokens=[*c["added_tokens"], c["added_tokens"][0]]), "stands there twice"),
    "a token elsewhere": (lambda c: changed(c, added_tokens=[{**c["added_tokens"][1], "id": 7}]), "'</s>' has the id 7, but the vocabulary has this text at 1"),
    "a token far away": (lambda c: changed(c, added_tokens=[{**c["added_tokens"][1], "content": "<x>", "id": 10**6}]), "'<x>' has the id 1000000; the next one"),
    "a pointer": (lambda c: "version https://git-lfs.github.com/spec/v1\noid sha256:00", "Git LFS"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_broken_and_hostile_files_are_refused_with_the_place(content, tmp_path, kind):
    make, message = HOSTILE[kind]
    file = write(tmp_path, make(content))
    with pytest.raises(FormatError, match=message) as told:
        Tokenizer.from_file(file)
    assert str(file) in str(told.value) and len(str(told.value)) < 600
    with pytest.raises(FormatError, match=message):
        Tokenizer.from_folder(tmp_path)


def test_any_change_of_a_file_is_read_or_refused(content, tmp_path):
    """Values of every part replaced, removed or doubled."""
    rng = np.random.default_rng(0)
    small = with_model(content, vocab=content["model"]["vocab"][:9])
    small["added_tokens"] = small["added_tokens"][:3]
    wrong = [None, True, -1, 0, 1e30, "", "x", [], {}, [[]], {"type": "x"}, "▁" * 5, 2**70, ["a", "b"], {"id": 0, "content": "<pad>"}]
    outcomes = {"read": 0, "refused": 0}

    def mutated(value, depth=0):
        if rng.random() < 0.08 * depth or not isinstance(value, dict | list) or not value:
            return wrong[rng.integers(len(wrong))]
        if isinstance(value, list):
            at = int(rng.integers(len(value)))
            return [*value[:at], mutated(value[at], depth + 1), *value[at + int(rng.integers(2)) :]]
        key = list(value)[rng.integers(len(value))]
        if rng.random() < 0.1:
            return {k: v for k, v in value.items() if k != key}
        return {**value, key: mutated(value[key], depth + 1)}

    for _ in range(3000):
        try:
            tok = Tokenizer.from_file(write(tmp_path, mutated(small)))
            tok.decode(tok.encode("the cat </s> é", sentinels=True))
            outcomes["read"] += 1
        except FormatError as error:
            assert "tokenizer.json" in str(error)
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100, outcomes


@pytest.mark.parametrize(
    "name, data, message",
    [
        ("model.safetensors", b"\x10\0\0\0\0\0\0\0" + b'{"a":{"dtype":1}' + bytes(20), "weights, not a SentencePiece model"),
        ("pytorch_model.bin", b"PK\x03\x04" + bytes(50), "weights, not a SentencePiece model"),
        ("vocab.txt", b"[PAD]\n[UNK]\nthe\n", "a file of a WordPiece tokenizer"),
        ("merges.txt", b"#version: 0.2\nt h\n", "half of a byte-level BPE tokenizer, and vocab.json is not beside it"),
        ("vocab.json", b'{"a": 0}', "half of a byte-level BPE tokenizer, and merges.txt is not beside it"),
        ("tokenizer_config.json", b'{"extra_ids": 0}', "only settings of a tokenizer"),
        ("special_tokens_map.json", b"{}", "only settings of a tokenizer"),
        ("added_tokens.json", b'{"<x>": 7}', "only settings of a tokenizer"),
        ("config.json", b'{"d_model": 8}', "JSON, but no tokenizer.json"),
        ("spiece.model", b"<!DOCTYPE html><html>", "a web page"),
        ("spiece.model", b"", "no pieces: not a SentencePiece model"),
    ],
)
def test_files_given_by_mistake_are_named_for_what_they_are(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FormatError, match=message) as told:
        Tokenizer.from_file(tmp_path / name)
    assert str(tmp_path / name) in str(told.value)


def test_folders_and_files_are_told_apart(saved, tmp_path):
    with pytest.raises(IsADirectoryError, match="a folder; Tokenizer.from_folder"):
        Tokenizer.from_file(saved)
    with pytest.raises(FileNotFoundError):
        Tokenizer.from_file(tmp_path / "nothing.json")
    with pytest.raises(FileNotFoundError, match="neither spiece.model nor tokenizer.json is here: put"):
        Tokenizer.from_folder(tmp_path)
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "my.model").write_bytes(b"x")
    with pytest.raises(FileNotFoundError, match=r"vocab.json \(half of a byte-level BPE tokenizer\), my.model, is not read: put"):
        Tokenizer.from_folder(tmp_path)


# ---- names, folders and models -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SPIECE_FILES)
def test_a_model_file_has_other_names(spiece, tmp_path, name):
    folder = small_model(tmp_path / "m", spiece)
    (folder / name).write_bytes(spiece)
    model = t0.Model.from_pretrained(folder)
    assert (
        alike(model.tokenizer, Tokenizer.from_bytes(spiece))
        and describe_model(folder)["tokenizer"] == f"{name}, unigram"
        and name == tokenizer_in(folder)
    )


def test_a_folder_with_tokenizer_json_alone_serves_texts_and_is_saved(spiece, saved, tmp_path, caplog):
    from transformers import AutoTokenizer

    folder = small_model(tmp_path / "m", spiece)
    for file in saved.iterdir():
        shutil.copy(file, folder)
    model = t0.Model.from_pretrained(folder)
    assert alike(model.tokenizer, Tokenizer.from_bytes(spiece)) and model.score("the cat", "a dog") < 0
    facts = describe_model(folder)
    assert facts["loads"] == "yes" and facts["tokenizer"] == "tokenizer.json, unigram"
    model.save(tmp_path / "again")
    assert main(["convert", str(folder), str(tmp_path / "converted"), "--dtype", "bfloat16"]) == 0
    theirs = AutoTokenizer.from_pretrained(str(folder))
    for place in (tmp_path / "again", tmp_path / "converted"):
        assert (place / "tokenizer.json").read_bytes() == (saved / "tokenizer.json").read_bytes()
        again = t0.Model.from_pretrained(place)
        assert alike(again.tokenizer, model.tokenizer) and again.tokenizer.fingerprint == model.tokenizer.fingerprint
        assert AutoTokenizer.from_pretrained(str(place))(TEXTS)["input_ids"] == theirs(TEXTS)["input_ids"]
    (tmp_path / "again/tokenizer.json").unlink()  # the SentencePiece model beside it is the same
    assert alike(Tokenizer.from_folder(tmp_path / "again"), model.tokenizer)
    assert AutoTokenizer.from_pretrained(str(tmp_path / "again"))(SENTENCES)["input_ids"] == theirs(SENTENCES)["input_ids"]


def test_every_file_of_a_tokenizer_is_kept(spiece, tmp_path):
    """By save and convert, byte for byte; the hub's download asks for the same."""
    folder, n = small_model(tmp_path / "m", spiece, 300), Tokenizer.from_bytes(spiece).vocab_size
    files = {
        "added_tokens.json": {"<sep>": n},
        "special_tokens_map.json": {"mask_token": "<sep>"},
        "tokenizer_config.json": {"tokenizer_class": "T5Tokenizer", "model_max_length": 512, "extra_ids": 100},
    }
    (folder / "spiece.model").write_bytes(spiece)
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value))
    t0.Model.from_pretrained(folder).save(tmp_path / "saved")
    assert main(["convert", str(folder), str(tmp_path / "converted"), "--dtype", "float32"]) == 0
    for place in ("saved", "converted"):
        for name in ["spiece.model", *files]:
            assert (tmp_path / place / name).read_bytes() == (folder / name).read_bytes(), (place, name)
    assert set(TOKENIZER_FILES) <= set(_SMALL)


def test_a_tokenizer_can_be_given(spiece, saved, tmp_path, caplog):
    folder = small_model(tmp_path / "m", spiece)
    (tmp_path / "x.model").write_bytes(spiece)
    plain = Tokenizer.from_bytes(spiece)
    for given in (plain, tmp_path / "x.model", str(tmp_path / "x.model"), saved, saved / "tokenizer.json"):
        assert alike(t0.Model.from_pretrained(folder, tokenizer=given).tokenizer, plain)
    assert t0.Model.from_pretrained(folder, tokenizer=False).tokenizer is None and not caplog.records[1:]
    small = small_model(tmp_path / "small", spiece, plain.n_pieces + 5)  # without rows for sentinels
    assert t0.Model.from_pretrained(small, tokenizer=tmp_path / "x.model").tokenizer.extra_ids == 0
    with pytest.raises(FileNotFoundError, match="tokenizer nowhere: no such file or folder"):
        t0.Model.from_pretrained(folder, tokenizer="nowhere")
    for wrong in (7, True, [plain], b"x"):
        with pytest.raises(ConfigError, match="must be a Tokenizer, the path of a file or folder, 'bytes', or False"):
            t0.Model.from_pretrained(folder, tokenizer=wrong)
    with pytest.raises(FormatError, match="x.model: it does not fit config.json: it has .* pieces, but vocab_size is 20"):
        t0.Model.from_pretrained(small_model(tmp_path / "tiny", spiece, 20), tokenizer=tmp_path / "x.model")
    with pytest.raises(FileNotFoundError, match="neither spiece.model nor tokenizer.json"):
        t0.Model.from_pretrained(folder, tokenizer=tmp_path / "small")
    with pytest.raises(ConfigError, match="its end token is 2, but eos_token_id is 1"):
        other = model_file([("a", -1.0)], special=[("<unk>", 0, 2), ("<pad>", 0, CONTROL), ("</s>", 0, CONTROL)])
        t0.Model.from_pretrained(folder, tokenizer=Tokenizer.from_bytes(other))


def test_a_model_without_tokenizer_tells_what_helps(spiece, tmp_path, caplog):
    folder = small_model(tmp_path / "m", spiece)
    model = t0.Model.from_pretrained(folder)
    assert "neither spiece.model nor tokenizer.json is here" in caplog.text and "Model.init" not in caplog.text
    with pytest.raises(ConfigError, match="the model has no tokenizer: give ids, or load it with tokenizer=FILE"):
        model.score("a", "b")
    facts = describe_model(folder)
    assert facts["tokenizer"] == "none" and facts["loads"].startswith("for ids alone, not for texts: ")
    assert main(["info", str(folder)]) == 0


def test_info_names_a_tokenizer_that_breaks_loading(spiece, tmp_path, capsys):
    folder = small_model(tmp_path / "m", spiece)
    (folder / "spiece.model").write_bytes(spiece[:-5])
    facts = describe_model(folder)
    assert facts["loads"].startswith("no: ") and "spiece.model" in facts["loads"] and main(["info", str(folder)]) == 1


def test_sentinels_without_rows_are_left_out_and_told(spiece, saved, tmp_path, caplog):
    plain = Tokenizer.from_bytes(spiece, extra_ids=0)
    folder = small_model(tmp_path / "m", spiece, plain.n_pieces + 2)
    for file in saved.iterdir():
        shutil.copy(file, folder)
    model = t0.Model.from_pretrained(folder)
    assert "its 100 sentinels have no rows in the embedding" in caplog.text and alike(model.tokenizer, plain)
    model.save(tmp_path / "again")
    assert alike(t0.Model.from_pretrained(tmp_path / "again").tokenizer, plain)


def test_two_files_that_disagree_are_told(spiece, content, tmp_path, caplog):
    (tmp_path / "spiece.model").write_bytes(spiece)
    write(tmp_path, content)
    Tokenizer.from_folder(tmp_path)
    assert not caplog.records
    write(tmp_path, with_piece(content, ["other", -3.0]))
    assert alike(Tokenizer.from_folder(tmp_path), Tokenizer.from_bytes(spiece))
    assert "spiece.model is read, and tokenizer.json has other pieces" in caplog.text
    caplog.clear()
    write(tmp_path, OTHERS["NFKC"][0](content))
    assert alike(Tokenizer.from_folder(tmp_path), Tokenizer.from_bytes(spiece)) and "spiece.model is read in its place" in caplog.text
    (tmp_path / "spiece.model").write_text(json.dumps(content))
    with pytest.raises(FormatError, match="JSON, not a SentencePiece model"):
        Tokenizer.from_folder(tmp_path)


def test_a_prefix_for_the_first_part_alone_is_told_where_it_matters(content, saved, tmp_path, caplog):
    first = changed(content, pre_tokenizer={**SPACES, "prepend_scheme": "first"})
    Tokenizer.from_file(write(tmp_path, first))
    assert not caplog.records
    number = len(content["model"]["vocab"])
    first["added_tokens"].append({**first["added_tokens"][0], "content": "<sep>", "id": number, "special": False})
    tok = Tokenizer.from_file(write(tmp_path, first))
    assert number in tok.encode("a <sep>the")
    assert "prepend_scheme first" in caplog.text


def test_a_whole_vocabulary_is_read_soon(public_data, tmp_path):
    import time

    folder, _ = folder_of((public_data / "data/t5-spiece/spiece.model").read_bytes(), tmp_path)
    taken = []
    for _ in range(5):
        begun = time.process_time()
        tok = Tokenizer.from_folder(folder)
        taken.append(time.process_time() - begun)
    assert tok.vocab_size == 32100 and min(taken) < 0.5


def test_user_symbols_of_a_general_file(tmp_path, content):
    """Split at the symbols, as a general tokenizer of transformers 5 writes them."""
    pieces = [("▁", -2.0), ("a", -1.0), ("▁a", -1.5), ("[X]", 0.0, USER), ("b[", 0.0, USER)]
    vocab = [[name, 0.0] for name, _, _ in SPECIAL] + [list(piece[:2]) for piece in pieces]
    split = {"type": "Split", "pattern": {"Regex": r"\[X\]|b\["}, "behavior": "Isolated", "invert": False}
    steps = {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, SPACES, split]}
    file = write(
        tmp_path,
        changed(
            content,
            normalizer=None,
            pre_tokenizer=steps,
            model={"type": "Unigram", "unk_id": 2, "vocab": vocab},
            added_tokens=content["added_tokens"][:3],
        ),
    )
    assert alike(Tokenizer.from_file(file), Tokenizer.from_bytes(model_file(pieces), extra_ids=0), ["a[X]a", "b[a [X]", "a a"])
