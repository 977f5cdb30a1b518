"""Added tokens, in encoding and decoding and in the files that tell of them, against transformers and tokenizers."""

import json
import pickle
import random
import shutil

import pytest
from conftest import needed
from spiece_files import ODD, SPECIAL, USER, model_file, train_model

import t0native as t0
from t0native import FormatError, Tokenizer, _core
from t0native.text.addedtokens import AddedToken

needed("sentencepiece", "pip install '.[test]'", module_level=True)
needed("transformers", "pip install '.[test]'", module_level=True)
tokenizers = needed("tokenizers", "pip install '.[test]'", module_level=True)
FLAGS = ("special", "normalized", "lstrip", "rstrip", "single_word")
CLASS = {"tokenizer_class": "T5Tokenizer"}


@pytest.fixture(scope="module")
def spiece(tmp_path_factory):
    return train_model(tmp_path_factory.mktemp("spiece") / "m")


@pytest.fixture(scope="module")
def size(spiece):
    """The first id behind pieces and sentinels."""
    return Tokenizer.from_bytes(spiece).vocab_size


def write(folder, spiece, files):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "spiece.model").write_bytes(spiece)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    return folder


def theirs_of(folder):
    import logging

    from transformers import AutoTokenizer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    return AutoTokenizer.from_pretrained(str(folder))


def entry(text, **flags):
    return {"content": text, **dict.fromkeys(FLAGS, False), **flags}


TEXTS = [
    "the cat <sep> sat", "a {cat} on{", "{{}}", "<sep><sep>", " <sep> ", "the cat<sep>", "", " ", "wd the wd, awd wd_ é wd", "<l> the  <l>cat", "<r> the\n<r>  cat",
    "fix the ﬁx suﬁx", "<S>the <S> cat", "<extra_id_0> cat <extra_id_12><sep><extra_id_99>", "cat cats scatter", "wdlonger wd wdlonge", "THE naïve café, 345",
    "日本<sep>語", "two  spaces\t<sep>\ttab", "<q> <cls> <sp> <mask> <extra_id_100>", "<sep", "sep>", "<se<sep>p>",
]  # fmt: skip


def check_alike(folder, texts=TEXTS, decoded=True):
    """Ours of a folder gives transformers' ids, texts and number of tokens; a text without U+0085 and names of control pieces."""
    ours, theirs = Tokenizer.from_folder(folder), theirs_of(folder)
    wanted = theirs(list(texts), add_special_tokens=False)["input_ids"]
    assert [ours.encode(text, sentinels=True) for text in texts] == wanted
    assert [ids.tolist() for ids in ours.encode_batch(texts, threads=2, sentinels=True)] == wanted
    for ids in wanted:
        if decoded and ours.unk_id not in ids:
            assert ours.decode(ids) == theirs.decode(ids, skip_special_tokens=True)
            assert ours.decode([*ids, 1], skip_special=False) == theirs.decode([*ids, 1])
    return ours, theirs


FOLDERS = {
    "no tokens": lambda n: {"tokenizer_config.json": CLASS},
    "decoder": lambda n: {"tokenizer_config.json": CLASS | {"added_tokens_decoder": {str(n): entry("<sep>"), str(n + 1): entry("{")}}},
    "every flag": lambda n: {
        "tokenizer_config.json": CLASS | {"added_tokens_decoder": {
            str(n): entry("<l>", lstrip=True), str(n + 1): entry("<r>", rstrip=True), str(n + 2): entry("wd", single_word=True),
            str(n + 3): entry("ﬁx", normalized=True), str(n + 4): entry("<S>", special=True), str(n + 5): entry("wdlonger"),
            str(n + 6): entry(" the ", normalized=True), str(n + 7): entry("<sep>", lstrip=True, rstrip=True, normalized=True),
        }}
    },
    "added_tokens.json": lambda n: {"tokenizer_config.json": CLASS, "added_tokens.json": {"<sep>": n, "}": n + 2, "{": n + 1}},
    "with a map": lambda n: {
        "tokenizer_config.json": CLASS,
        "added_tokens.json": {"<sp>": n, "<sep>": n + 1},
        "special_tokens_map.json": {"additional_special_tokens": ["<sp>"], "eos_token": "</s>", "mask_token": entry("<mask>", lstrip=True)},
    },
    "named without an id": lambda n: {
        "tokenizer_config.json": CLASS | {"extra_special_tokens": ["<sp>", "<sep>"], "bos_token": "<start>", "cls_token": "<cls>", "query_token": "<q>"}
    },
    "a piece": lambda n: {"tokenizer_config.json": CLASS | {"added_tokens_decoder": {str(n): entry("<sep>"), "CAT": entry("e")}}},
    "fewer sentinels": lambda n: {"tokenizer_config.json": CLASS | {"extra_ids": 7, "added_tokens_decoder": {str(n - 93): entry("<sep>")}}},
    "sentinels told": lambda n: {
        "tokenizer_config.json": CLASS
        | {"added_tokens_decoder": {str(n - 1 - k): entry(f"<extra_id_{k}>", special=True, lstrip=True, rstrip=True) for k in range(100)} | {str(n): entry("{")}}
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", FOLDERS)
def test_folders_of_every_kind_give_the_ids_of_transformers(spiece, size, tmp_path, kind):
    files = FOLDERS[kind](size)
    decoder = files["tokenizer_config.json"].get("added_tokens_decoder", {})
    if "CAT" in decoder:
        decoder[str(Tokenizer.from_bytes(spiece).piece_to_id("e"))] = decoder.pop("CAT")
    texts = [text for text in TEXTS if "extra_id" not in text] if kind == "named without an id" else TEXTS  # which takes the sentinels away
    ours, theirs = check_alike(write(tmp_path / "m", spiece, files), texts)
    theirs.save_pretrained(str(tmp_path / "saved"))  # tokenizer.json alone
    again, _ = check_alike(tmp_path / "saved", texts)
    assert again.encode_batch(TEXTS, sentinels=True).ids.tolist() == ours.encode_batch(TEXTS, sentinels=True).ids.tolist()


def random_tokens(rng, first):
    alphabet = ["a", "b", "c", " ", "[", "]", "the", "cat", "ﬁ", "é", "_", "\n"]
    texts = {"".join(rng.choices(alphabet, k=rng.randrange(1, 5))) for _ in range(rng.randrange(1, 7))}
    tokens, patterns = [], set()
    for text in sorted(texts):
        normalized = rng.random() < 0.4
        pattern = (normalized, text.replace("ﬁ", "fi").replace("\n", " ") if normalized else text)
        if pattern not in patterns:
            patterns.add(pattern)
            flags = {name: rng.random() < 0.3 for name in FLAGS if name != "normalized"}
            tokens.append(AddedToken(text, first + len(tokens), normalized=normalized, **flags))
    return alphabet, tokens


def ids_of(theirs, text):
    """None where the package itself breaks down: where a token would begin in white space that the one before took."""
    try:
        return theirs.encode(text, add_special_tokens=False).ids
    except BaseException as error:
        if "bad split" not in str(error):
            raise
        return None


def check_random(spiece, folder, seeds):
    """Random sets of tokens with random flags on random texts; returns how many texts were compared."""
    from transformers import AddedToken as Theirs

    theirs_file = theirs_of(write(folder, spiece, {"tokenizer_config.json": CLASS}))
    plain, count = Tokenizer.from_folder(folder), 0
    whole = json.loads(theirs_file.backend_tokenizer.to_str())
    for seed in seeds:
        rng = random.Random(seed)
        alphabet, tokens = random_tokens(rng, plain.vocab_size)
        tokens = [
            token._replace(id=plain.vocab_size + i)
            for i, token in enumerate(t for t in tokens if plain.piece_to_id(t.text) == plain.unk_id)
        ]
        theirs = tokenizers.Tokenizer.from_str(json.dumps(whole))
        for token in tokens:
            flags = {name: getattr(token, name) for name in FLAGS}
            assert theirs.add_tokens([Theirs(token.text, **flags)]) == 1
        ours = Tokenizer(plain.model_bytes, plain.extra_ids, tuple((token.text, token.id, token.flags) for token in tokens))
        texts = ["".join(rng.choices([*alphabet, *(t.text for t in tokens), "<extra_id_3>", "  "], k=rng.randrange(12))) for _ in range(60)]
        for text in texts:
            if (wanted := ids_of(theirs, text)) is None:
                continue
            assert ours.encode(text, sentinels=True) == wanted, (seed, text, tokens)
            assert [span[1] for span in ours.spans(text)[1]] == ours.encode(text), (seed, text, tokens)
            count += 1
    return count


def test_random_tokens_and_flags_give_the_ids_of_tokenizers(spiece, tmp_path):
    assert check_random(spiece, tmp_path / "m", range(150)) > 8000


def test_characters_of_words_and_spaces_are_those_of_tokenizers():
    """All of Unicode, behind a token that is a single word and one that takes white space along."""
    from tokenizers.models import WordLevel

    theirs = tokenizers.Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    theirs.add_tokens(
        [tokenizers.AddedToken("xq", single_word=True, normalized=False), tokenizers.AddedToken("yq", rstrip=True, normalized=False)]
    )
    file = model_file([("a", -1.0)])
    ours = Tokenizer(file, 0, (("xq", 4, AddedToken("", 0, single_word=True).flags), ("yq", 5, AddedToken("", 0, rstrip=True).flags)))
    codes = [code for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for at in range(0, len(codes), 100_000):
        letters = [chr(code) for code in codes[at : at + 100_000]]
        wanted = [1 in found.ids for found in theirs.encode_batch(["xq" + c for c in letters])]
        assert [4 in ids for ids in ours.encode_batch(["xq" + c for c in letters])] == wanted
        assert [4 in ids for ids in ours.encode_batch([c + "xq" for c in letters])] == wanted
        wanted = [found.ids == [2] for found in theirs.encode_batch(["yq" + c for c in letters if c != "\u2581"])]
        assert [ids.tolist() == [5] for ids in ours.encode_batch(["yq" + c for c in letters if c != "\u2581"])] == wanted


# ---- our own promises --------------------------------------------------------------------------------------------------


def made(spiece, *tokens):
    return Tokenizer(spiece, 100, tuple((token.text, token.id, token.flags) for token in tokens))


def test_places_and_pieces_of_a_text_with_tokens(spiece, size):
    tok = made(
        spiece,
        AddedToken("<sep>", size, rstrip=True),
        AddedToken("ﬁx", size + 1, normalized=True),
        AddedToken("<S>", size + 2, special=True),
    )
    for text in ["the cat <sep>  sat", "ﬁx fix <sep>\u3000 x", "é<S>é", *ODD, "<sep>" * 20, " ".join(ODD)]:
        normal, spans = tok.spans(text)
        raw = text.encode()
        assert all(0 <= begin <= end <= len(raw) for _, _, begin, end in spans)
        assert all(spans[i][3] <= spans[i + 1][3] for i in range(len(spans) - 1))
        for piece, number, begin, end in spans:
            if number == size:
                assert raw[begin:end].decode().startswith("<sep>") and piece.startswith("<sep>") and piece in normal
            if number == size + 1:
                assert raw[begin:end].decode() in ("ﬁx", "fix") and piece == "fix"
    told = tok.explain("a <S> cat")
    assert [piece.piece for piece in told.pieces][-1] == "▁cat" and told.decoded == "a cat"


def test_batches_threads_and_copies_are_alike(spiece, size):
    tok = made(spiece, AddedToken("<sep>", size), AddedToken("cat", size + 1, normalized=True, single_word=True))
    texts = [" ".join(random.Random(i).choices([*ODD, "<sep>", "cat", "the"], k=30)) for i in range(2000)]
    one = tok.encode_batch(texts, sentinels=True, add_eos=True, max_length=25)
    for other in (tok, pickle.loads(pickle.dumps(tok))):
        many = other.encode_batch(texts, sentinels=True, add_eos=True, max_length=25, threads=4)
        assert many.ids.tolist() == one.ids.tolist() and many.offsets.tolist() == one.offsets.tolist()
    assert size in one.ids and size + 1 in one.ids
    again = pickle.loads(pickle.dumps(tok))
    assert again.added_tokens == tok.added_tokens and again.fingerprint == tok.fingerprint and repr(again) == repr(tok)


def test_a_fingerprint_changes_only_with_tokens_that_are_found(spiece, size, tmp_path):
    plain = Tokenizer.from_bytes(spiece)
    told = FOLDERS["sentinels told"](size)
    del told["tokenizer_config.json"]["added_tokens_decoder"][str(size)]
    sentinels = Tokenizer.from_folder(write(tmp_path / "s", spiece, told))
    assert sentinels.added_tokens and sentinels.fingerprint == plain.fingerprint
    prints = {plain.fingerprint}
    for tokens in ([AddedToken("<sep>", size)], [AddedToken("<sep>", size, special=True)], [AddedToken("<seq>", size)]):
        prints.add(made(spiece, *tokens).fingerprint)
    assert len(prints) == 4
    assert made(spiece, AddedToken("<pad2>", size, control=True)).fingerprint == plain.fingerprint


def test_names_and_ids_of_tokens(spiece, size):
    tok = made(spiece, AddedToken("<sep>", size), AddedToken("<go>", size + 1, control=True, special=True))
    assert tok.vocab_size == size + 2 and tok.id_to_piece(size) == "<sep>" and tok.piece_to_id("<sep>") == size
    assert tok.piece_to_id("<go>") == size + 1 not in tok.encode("the <go> cat")
    assert tok.decode([size, size + 1]) == "<sep>" and tok.decode([size + 1], skip_special=False) == "<go>"
    with pytest.raises(ValueError, match=f"id {size + 2}"):
        tok.id_to_piece(size + 2)
    assert tok.kind_of(0) == "control" and tok.kind_of(2) == "unknown"


@pytest.mark.parametrize("length", [1, 3, 1000])
def test_a_long_text_of_tokens_takes_linear_time(spiece, size, length):
    """White space that tokens take along is gone through once."""
    import time

    tok = made(spiece, AddedToken(" ", size, rstrip=True, lstrip=True), AddedToken("a" * length, size + 1, lstrip=True, single_word=True))
    begun = time.process_time()
    for text in (" " * 1_000_000, "a" * 1_000_000, "a " * 500_000):
        assert len(tok.encode(text)) > 0
    assert time.process_time() - begun < 10


BROKEN = {
    "a gap": ({"tokenizer_config.json": {"added_tokens_decoder": {"999": entry("<x>")}}}, "'<x>' has the id 999; the next one"),
    "an id of a piece": ({"tokenizer_config.json": {"added_tokens_decoder": {"5": entry("<x>")}}}, "'<x>' has the id 5, which is '"),
    "a piece elsewhere": ({"added_tokens.json": {"e": 999}}, "'e' has the id 999, but the vocabulary has this text at"),
    "an id twice": ({"added_tokens.json": {"<x>": 250, "<y>": 250}}, "'<y>', id 250: this text or this id stands there twice"),
    "no id": ({"special_tokens_map.json": {"additional_special_tokens": ["<x>"]}}, "'<x>' is a special token, but no file gives it an id"),
    "two files": (
        {"tokenizer_config.json": {"added_tokens_decoder": {"250": entry("<x>")}}, "added_tokens.json": {"<x>": 251}},
        "'<x>' has the id 251, but 250 in",
    ),
    "an empty one": ({"added_tokens.json": {"": 250}}, "the added token 250 is empty"),
    "no text": ({"tokenizer_config.json": {"added_tokens_decoder": {"250": {"content": 7}}}}, "a token is an object with a text"),
    "no flag": (
        {"tokenizer_config.json": {"added_tokens_decoder": {"250": entry("<x>", lstrip="yes")}}},
        "lstrip 'yes'; must be true or false",
    ),
    "no number": ({"added_tokens.json": {"<x>": "250"}}, "id '250'; must be a whole number"),
    "a huge number": ({"added_tokens.json": {"<x>": 10**30}}, "must be a whole number"),
    "no keys": ({"tokenizer_config.json": {"added_tokens_decoder": {"x": entry("<x>")}}}, "with ids as its keys"),
    "a list": ({"added_tokens.json": ["<x>"]}, "must hold an object"),
    "a name of a list": ({"tokenizer_config.json": {"mask_token": ["<x>"]}}, "mask_token: .*a token is a text, or an object"),
    "negative sentinels": ({"tokenizer_config.json": {"extra_ids": -1}}, "extra_ids -1"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_contradicts_is_refused_by_name(spiece, size, tmp_path, kind):
    files, message = BROKEN[kind]
    text = json.dumps(files).replace("250", str(size)).replace("251", str(size + 1))
    folder = write(tmp_path / "m", spiece, json.loads(text))
    with pytest.raises(FormatError, match=message.replace("250", str(size)).replace("251", str(size + 1))) as told:
        Tokenizer.from_folder(folder)
    assert str(folder) in str(told.value)


@pytest.mark.parametrize(
    "added, message",
    [
        ((("", 200, 0),), "0 bytes, must be 1"),
        ((("x" * 1025, 200, 0),), "1025 bytes"),
        ((("x", -1, 0),), "at least 0"),
        ((("x", 200, 0), ("y", 200, 0)), "two added tokens have the id 200"),
        ((("x", 200, 0), ("x", 201, 0)), "the added tokens 200 and 201 are the same text"),
        ((("fix", 200, 2), ("ﬁx", 201, 2)), "are the same text"),
        ((("\x01", 200, 2),), "nothing is left"),
        ((("x", 200, 128),), "flags 128"),
        ((("x", 200, -1),), "flags -1"),
    ],
)
def test_the_core_refuses_what_cannot_be_told_apart(spiece, added, message):
    with pytest.raises(ValueError, match=message):
        _core.Tokenizer(spiece, 0, added)


def test_the_core_refuses_what_is_no_tuple(spiece):
    for wrong in ([("x", 200, 0)], (["x", 200, 0],), (("x", 200),), ((7, 200, 0),), (("x", "200", 0),)):
        with pytest.raises(TypeError):
            _core.Tokenizer(spiece, 0, wrong)


# ---- models ------------------------------------------------------------------------------------------------------------


def model_folder(folder, spiece, rows, files):
    config = t0.Config(vocab_size=rows, d_model=8, d_ff=16, num_layers=1, num_heads=2, d_kv=4)
    t0.Model.init(config, seed=1).save(folder)
    return write(folder, spiece, files)


def test_a_saved_model_gives_the_same_ids_here_and_in_transformers(spiece, size, tmp_path):
    for kind in FOLDERS:
        files = FOLDERS[kind](size)
        if kind == "a piece":
            continue
        model = t0.Model.from_pretrained(model_folder(tmp_path / kind / "m", spiece, size + 10, files))
        model.save(tmp_path / kind / "again")
        again, _ = check_alike(tmp_path / kind / "again", [text for text in TEXTS if "extra_id" not in text])
        assert again.added_tokens == model.tokenizer.added_tokens and again.fingerprint == model.tokenizer.fingerprint
        saved = {path.name for path in (tmp_path / kind / "again").iterdir()}
        assert {*files, "spiece.model"} <= saved


def test_a_tokenizer_made_in_memory_is_saved_with_its_tokens(spiece, size, tmp_path):
    tok = made(spiece, AddedToken("<sep>", size, normalized=True), AddedToken("<S>", size + 1, special=True))
    config = t0.Config(vocab_size=size + 2, d_model=8, d_ff=16, num_layers=1, num_heads=2, d_kv=4)
    t0.Model.init(config, tok).save(tmp_path / "m")
    again, _ = check_alike(tmp_path / "m")
    assert again.added_tokens == tok.added_tokens


def test_an_embedding_without_rows_for_a_token_is_told(spiece, size, tmp_path):
    folder = model_folder(tmp_path / "m", spiece, size + 1, FOLDERS["decoder"](size))
    with pytest.raises(
        FormatError, match=rf"spiece.model: .*'\{{' has the id {size + 1}, but vocab_size is {size + 1}: the embedding was not resized"
    ):
        t0.Model.from_pretrained(folder)
    shutil.rmtree(folder)
    assert t0.Model.from_pretrained(model_folder(folder, spiece, size + 2, FOLDERS["decoder"](size))).tokenizer.encode("{") == [size + 1]


def test_user_defined_symbols_stay_those_of_the_model(tmp_path):
    """A file of transformers names them as added tokens; SentencePiece's ids are ours."""
    file = model_file([("▁", -2.0), ("a", -1.0), ("▁a", -1.5), ("[X]", 0.0, USER)], special=SPECIAL)
    number = Tokenizer.from_bytes(file).piece_to_id("[X]")
    folder = write(tmp_path / "m", file, {"tokenizer_config.json": CLASS | {"added_tokens_decoder": {str(number): entry("[X]")}}})
    tok = Tokenizer.from_folder(folder)
    assert tok.added_tokens == () and tok.encode("a[X]a") == Tokenizer.from_bytes(file).encode("a[X]a")
