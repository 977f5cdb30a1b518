"""What files say is bounded by values, not by bytes, and what messages say of it is short and printable, whoever wrote the file."""

import json
import re
import struct
import time
import zlib

import numpy as np
import pytest
from checkpoint_files import pack, save_torch, t5x_tree
from reader_inputs import change_bytes, seeded, zipped

import t0native as t0
from t0native.base.errors import nearest, suggest
from t0native.base.jsontext import MAX_DEPTH, parse_json
from t0native.base.showing import listed, named, printable, shown
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.packedfile import read_packed
from t0native.checkpoints.safetensorfiles import read_header
from t0native.checkpoints.t5x import read_t5x
from t0native.checkpoints.torchfiles import read_torch
from t0native.data.diskrows import open_rows
from t0native.prompts.check import check_file
from t0native.suites.suitefiles import read_suite

ESCAPES = "\x1b[2J\u202e\x07"
CONFIG = t0.Config(vocab_size=5, d_model=3, d_ff=2, num_layers=1, num_heads=1, d_kv=2)
SIZES = "must be a list of at most 8 numbers, none negative, of fewer than 2**63 bytes in all"


def refused(read, kind=t0.FormatError, seconds=1.0):
    """The message of an error that comes at once."""
    started = time.process_time()
    with pytest.raises(kind) as caught:
        read()
    told = str(caught.value)
    assert time.process_time() - started < seconds
    assert len(told) < 2500 and all(line.isprintable() for line in told.split("\n"))
    return told


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def safetensors(folder, header):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return write(folder / "a.safetensors", struct.pack("<Q", len(text)) + text + bytes(4))


# ---- values in messages ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [
    10**5000, -(10**5000), "x" * 10**7, b"x" * 10**7, ESCAPES, "\ud800", [[["x" * 99] * 99] * 99], {ESCAPES * 99: {"a": [1] * 10**6}}, {i: i for i in range(10**6)},
    np.zeros(10**6), {1: 2}.keys(), type("Odd", (), {"__repr__": lambda self: ESCAPES})(), type("Worse", (), {"__repr__": lambda self: 1 / 0})(), float("nan"), True, None,
], ids=range(16))  # fmt: skip
def test_every_value_is_shown_short_and_printable(value):
    started = time.process_time()
    for text in (shown(value), named(value), listed([value] * 99)[: 13 * 310]):
        assert text.isprintable() and len(text) <= 13 * 310
    assert len(shown(value)) <= 300 and time.process_time() - started < 0.5


def test_what_is_short_is_shown_as_python_writes_it():
    values = ["a", 'it\'s "so"', 12, -1.5, None, True, [1, "a"], {"b": 1, "a": 2}, (1,), b"a", {1}, range(3)]
    assert list(map(shown, values)) == list(map(repr, values))
    assert [named(name) for name in ("shared.weight", "a b", " a", "", 7)] == ["shared.weight", "a b", "' a'", "''", "7"]
    assert printable("a\nb") == "a\\nb" and listed([]) == ""


def test_names_that_are_long_are_compared_with_none():
    started = time.process_time()
    assert nearest("ab" * 10**6, ["ba" * 10**6, "x"]) is None and nearest("acuracy", ["accuracy", "y" * 10**7]) == "accuracy"
    assert len(suggest("zz", ["y" * 10**7] * 20)) < 1300 and time.process_time() - started < 1


# ---- JSON -----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content, told", [
    ("[" * 101 + "]" * 101, "nested deeper than 100 levels"),
    ("[" * 10**6, "nested deeper than 100 levels"),
    ('{"a":' * 101 + "1" + "}" * 101, "nested deeper than 100 levels"),
    ("9" * 5000, "a number of more than 4300 digits"),
    (json.dumps({ESCAPES * 10**5: 1})[:-1] + "," + json.dumps({ESCAPES * 10**5: 1})[1:], "the name '\\x1b[2J"),
], ids=range(5))  # fmt: skip
def test_json_is_bounded(content, told):
    assert refused(lambda: parse_json("a.json", content.encode())).startswith(f"a.json: its JSON is broken: {told}")


def test_json_as_deep_as_may_be_is_read():
    for opening, closing in (("[", "]"), ('{"a":[', "]}")):
        depth = MAX_DEPTH // len(closing)
        value = parse_json("a.json", (opening * depth + closing * depth).encode())
        assert json.loads(opening * depth + closing * depth) == value


# ---- tensors --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [
    f"[{10**4000}, {10**4000}]", "[" + "3," * 399_999 + "3]", "[1,1,1,1,1,1,1,1,1]", "[-1]", "[true]", "[1.0]", "[9223372036854775808]", "[4294967296, 4294967296]",
    "[0, 4611686018427387904, 4]", "[null]", "3", '["\\u001b[2J"]',
], ids=range(12))  # fmt: skip
def test_shapes_of_safetensors_are_judged_before_they_are_multiplied(tmp_path, shape):
    path = safetensors(tmp_path, f'{{"a": {{"dtype": "F32", "shape": {shape}, "data_offsets": [0, 4]}}}}')
    told = refused(lambda: read_header(path))
    assert told.startswith(f"{path}: 1 problem(s):\n  tensor a: shape ") and SIZES in told


def test_offsets_names_and_dtypes_of_safetensors(tmp_path):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    for changed, told in (
        ({"dtype": ESCAPES * 10**5}, "dtype '\\x1b[2J"), ({"data_offsets": [0, 10**4000]}, "data_offsets [0, a number of 13,288 bits]: must be two numbers"),
        ({"data_offsets": [0, 2**62]}, "4611686018427387904 bytes, but F32 [1] takes 4"), ({"dtype": None}, "dtype None is unknown"),
    ):  # fmt: skip
        path = safetensors(tmp_path, {ESCAPES * 10**5: entry | changed})
        assert told in refused(lambda: read_header(path))
    path = safetensors(tmp_path, {"a": entry, ESCAPES: entry})
    assert "tensor '\\x1b[2J\\u202e\\x07': begins at offset" in refused(lambda: read_header(path))


def test_names_of_other_files_of_tensors(tmp_path):
    save_torch(tmp_path / "a.bin", {ESCAPES: np.zeros(3, np.float32)})
    content = zipped({"a/data.pkl": (tmp_path / "a.bin").read_bytes().partition(b"data.pkl")[2].partition(b"PK\3\4")[0]})
    assert "tensor '\\x1b[2J\\u202e\\x07': its storage data/0 is not" in refused(lambda: read_torch(write(tmp_path / "a.bin", content)))
    path = write(tmp_path / "a", pack(t5x_tree({ESCAPES: 1, "y" * 4000: 2})))
    told = refused(lambda: read_t5x(path))
    assert "tensor '\\x1b[2J\\u202e\\x07': neither an array" in told and "tensor 'yyy" in told
    safetensors(tmp_path / "m", {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    write(tmp_path / "m/config.json", json.dumps(CONFIG.to_dict()))
    weight_map = {"a": "a.safetensors", ESCAPES: "a.safetensors", "b": ESCAPES}
    write(tmp_path / "m/model.safetensors.index.json", json.dumps({"weight_map": weight_map}))
    told = refused(lambda: open_checkpoint(tmp_path / "m"))
    assert "file '\\x1b[2J\\u202e\\x07': not here" in told and "tensor '\\x1b[2J\\u202e\\x07': promised" in told


def test_a_header_of_a_packed_file(tmp_path):
    for header, told in (
        (json.dumps(ESCAPES), "'\\x1b[2J\\u202e\\x07': only version 1"),
        ('{"version": 1, "dtype": "int8", "config": {}, "sha256": "", "bytes": %s}', "its header lacks bytes"),
    ):
        header = (header.replace("%s", "9" * 4000)).encode()
        path = write(tmp_path / "a.t0packed", b"t0packed" + struct.pack("<Q", len(header)) + header)
        assert told in refused(lambda: read_packed(path))


def test_tensors_without_elements_are_read_as_none(tmp_path):
    for shape in ((0,), (0, 3), (3, 0)):
        save_torch(tmp_path / "a.bin", {"a": np.zeros(shape, np.float32)})
        (entry,) = read_torch(tmp_path / "a.bin")
        assert entry.shape == shape and list(entry) == []


def test_an_index_of_many_shards_takes_linear_time(tmp_path):
    t0.Model.init(CONFIG, seed=1).save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    write(tmp_path / "model.safetensors.index.json", json.dumps({"weight_map": {f"t{i}": f"s{i}" for i in range(30_000)}}))
    assert "30000 problem(s)" in refused(lambda: open_checkpoint(tmp_path), seconds=5)


def test_a_zip_of_many_members_takes_linear_time(tmp_path):
    save_torch(tmp_path / "a.bin", {})
    program = (tmp_path / "a.bin").read_bytes().partition(b"data.pkl")[2].partition(b"PK\3\4")[0]
    path = write(tmp_path / "a.bin", zipped({"a/data.pkl": program, **{f"a/{i}": b"" for i in range(20_000)}}))
    started = time.process_time()
    assert read_torch(path) == [] and time.process_time() - started < 2


# ---- tokenizers, prompts, suites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [-1, 2**31, 2**64, 10**4000, True, 1.5, "2"], ids=range(7))
def test_numbers_of_sentinels(tmp_path, number):
    write(tmp_path / "spiece.model", t0.mini.tokenizer().model_bytes)
    write(tmp_path / "tokenizer_config.json", json.dumps({"extra_ids": number}))
    assert "extra_ids " in refused(lambda: t0.Tokenizer.from_folder(tmp_path))


@pytest.mark.parametrize("settings", [
    {"eos_token": "\ud800"}, {"eos_token": {"content": "a\udfff"}}, {"extra_special_tokens": ["\ud800"]}, {"added_tokens_decoder": {"32100": {"content": "\ud800"}}},
], ids=range(4))  # fmt: skip
def test_halves_of_surrogate_pairs_in_tokens(tmp_path, settings):
    write(tmp_path / "spiece.model", t0.mini.tokenizer().model_bytes)
    write(tmp_path / "tokenizer_config.json", json.dumps(settings))
    assert "half a surrogate pair is no character" in refused(lambda: t0.Tokenizer.from_folder(tmp_path))


def test_steps_in_steps_of_a_tokenizer(tmp_path):
    model = {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0]]}
    deep = '{"type":"Sequence","normalizers":[' * 400 + "]}" * 400
    path = write(tmp_path / "tokenizer.json", json.dumps({"model": model})[:-1] + f', "normalizer": {deep}}}')
    assert refused(lambda: t0.Tokenizer.from_file(path)).endswith("nested deeper than 100 levels")
    write(path, json.dumps({"model": {"type": ESCAPES * 10**5, "vocab": []}}))
    assert "of the kind '\\x1b[2J" in refused(lambda: t0.Tokenizer.from_file(path))


def test_keys_and_tags_of_prompts(tmp_path):
    path = tmp_path / "templates.yaml"
    for text, told in (
        ("dataset: d\ntemplates:\n  ? [a]\n  : {jinja: a}\n", "found unhashable key"),
        ("dataset: d\ntemplates: {? {a: 1} : {jinja: a}}\n", "found unhashable key"),
        (f"dataset: d\ntemplates: !{'t' * 10**5} {{}}\n", "could not determine a constructor for the tag"),
        ("dataset: !!int x\ntemplates: {}\n", "'x' is no tag:yaml.org,2002:int"),
    ):
        write(path, text)
        assert told in refused(lambda: t0.PromptSet.read(path)) and len(check_file(path)) == 1


def test_tasks_of_one_name_in_a_suite(tmp_path):
    write(tmp_path / "rows.jsonl", '{"text": "a", "label": 0}\n')
    write(
        tmp_path / "p/d/templates.yaml",
        "dataset: d\ntemplates: {n: !Template {id: n, name: n, jinja: '{{ text }}|||b', answer_choices: a ||| b}}\n",
    )
    task = "- {dataset: d, file: rows.jsonl}\n"
    path = write(tmp_path / "s.yaml", f"templates: p\ntasks:\n{task}{task}")
    assert refused(lambda: read_suite(path), t0.ConfigError) == f"{path}: tasks[1]: another task is called 'd' too; give it a 'name'"


# ---- rows -----------------------------------------------------------------------------------------------------------------------------


def test_a_header_of_many_columns_takes_linear_time(tmp_path):
    names = ",".join(f"c{i}" for i in range(20_000))
    path, other = write(tmp_path / "a-00000-of-00002.csv", f"{names}\n{names}\n"), f"{names},c0\n"
    write(tmp_path / "a-00001-of-00002.csv", names.replace("c", "d") + f"\n{names}\n")
    started = time.process_time()
    assert len(t0.read_rows(path)[0]) == 20_000 and len(open_rows(path)[0]) == 20_000 and time.process_time() - started < 3
    told = refused(lambda: t0.read_rows(tmp_path / "a"), t0.DataError)
    assert told.endswith("its fields are not those of " + str(path) + ": " + ", ".join(f"c{i}" for i in range(12)) + ", ...")
    assert refused(lambda: t0.read_rows(write(path, other)), t0.DataError).endswith("the field 'c0' stands twice")


@pytest.mark.parametrize("content, told", [
    ('{"columns": [["a"], "b"], "data": [[1, 2]]}', "the column ['a']: must be a text, is a list"),
    ('{"columns": [{}], "data": [[1]]}', "the column {}: must be a text, is an object"),
    (json.dumps({ESCAPES: 1, "x" * 10**6: 2}), "is an object with '\\x1b[2J\\u202e\\x07' (a number), 'xxx"),
    ("[" * 101 + "]" * 101, "nested too deeply: more than 100 levels"),
    ('[{"a": 1, "a": 2}]', "the field 'a' stands twice"),
], ids=range(5))  # fmt: skip
def test_odd_json_of_rows(tmp_path, content, told):
    path = write(tmp_path / "rows.json", content)
    assert told in refused(lambda: t0.read_rows(path), t0.DataError)


def test_a_zip_that_points_outside_of_itself(tmp_path):
    """What zipfile raises then is an OSError without a file, a struct.error, or worse."""
    path, content = tmp_path / "rows.zip", zipped({"rows.jsonl": b'{"a": 1}\n'})
    told = set()
    for at in range(len(content)):
        for value in (0, 0xFF):
            write(path, content[:at] + bytes([value]) + content[at + 1 :])
            try:
                t0.read_rows(path)
            except t0.DataError as error:
                assert str(path) in str(error)
                told.add(re.sub(r"[0-9]+|'.*'", "", str(error).removeprefix(str(path))))
    assert len(told) >= 5


def test_an_index_that_lies_beside_rows_is_not_believed(tmp_path):
    """Its sum is right, its content is somebody else's: it is made anew."""
    for name, content in (("a.jsonl", '{"a": 1}\n{"a": 2}\n'), ("a.csv", "a\n1\n2\n")):
        path = write(tmp_path / name, content)
        expected = list(open_rows(path))
        index = tmp_path / f".{name}.rows"
        sound = np.frombuffer(index.read_bytes()[8:], "<i8")
        k = int(sound[3])
        for numbers in (
            [*sound[:-1], 2**62], [*sound[:-1], -1], [*sound[:-3], *sound[-1:-4:-1]], [*sound[:2], 0, *sound[3:]], [*sound[:3], -1, *sound[4:]],
            *([[*sound[:3], len(text) // 8, 0, *np.frombuffer(text, "<i8"), *sound[5 + k :]] for text in map(filled, ("[]", "1", "{}", '{"types": [null, []]}', "[" * 2000, '{"quoted": 1}'))] if k else ()),
        ):  # fmt: skip
            changed = np.array(numbers, "<i8")
            changed[4] = zlib.crc32(changed[5:])
            index.write_bytes(b"T0ROWS4\n" + changed.tobytes())
            assert list(open_rows(path)) == expected
        rng = seeded(name)
        for _ in range(30):
            index.write_bytes(change_bytes(rng, b"T0ROWS4\n" + sound.tobytes()))
            assert list(open_rows(path)) == expected


def filled(text):
    return text.encode() + b" " * (-len(text) % 8)


def test_places_that_no_file_can_have_are_told_short_and_printable(tmp_path):
    """Names in an index, a recipe or a suite."""
    long = "nine " * 2000
    t0.mini.new_model(0).save(tmp_path / "model")
    (tmp_path / "model/model.safetensors").unlink()
    (tmp_path / "model/model.safetensors.index.json").write_text(json.dumps({"weight_map": {"shared.weight": long}}))
    for ask, kind, words in (
        (lambda: t0.Model.from_pretrained(tmp_path / "model"), t0.FormatError, "must be the plain name of a file in the same folder"),
        (lambda: t0.Model.from_pretrained(long), FileNotFoundError, "no such folder; a model is a folder"),
        (lambda: t0.Model.from_pretrained("\x1b[2J"), FileNotFoundError, "\\x1b[2J: no such folder"),
        (lambda: t0.PromptCollection.load("\x1b[2J"), t0.DataError, "\\x1b[2J: no such folder of prompts"),
    ):
        with pytest.raises(kind) as caught:
            ask()
        message = str(caught.value)
        assert words in message and len(message) < 1000 and message.replace("\n", "").isprintable()
