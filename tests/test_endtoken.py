"""The end token behind inputs as a property of the checkpoint: how it is decided, kept, recorded, and that the hub reads alike."""

import hashlib
import json
import logging
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from table_models import ASKED, small_t5

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.models.inspection import describe_model
from t0native.training.stepfolders import MANIFEST, _manifest, read_manifest, step_folder, steps_in

OLD = json.loads((Path(__file__).parent / "golden/journals_0_1.json").read_text())
OF_0_1 = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "extra_ids": 0, "legacy": True}
OF_THE_HUB = {"tokenizer_class": "T5Tokenizer", "extra_ids": 0, "model_max_length": 512}


def folder_of(path, model, tokenizer_config=OF_THE_HUB, **keys):
    """The model as somebody else wrote it: without our key unless given, beside this tokenizer_config.json (None: beside none)."""
    model.save(path)
    file = path / "config.json"
    config = json.loads(file.read_text())
    assert config.pop("add_eos_to_inputs") in (True, False)
    file.write_text(json.dumps(config | keys))
    (path / "tokenizer_config.json").unlink()
    if tokenizer_config is not None:
        (path / "tokenizer_config.json").write_text(json.dumps(tokenizer_config))
    return path


@pytest.fixture(scope="module")
def small():
    return small_t5()


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, "t0native")
    return lambda: [record.getMessage() for record in caplog.records if "end token" in record.getMessage()]


# ---- how it is decided ---------------------------------------------------------------------------------------------------

T0_PLACES = ("bigscience/T0_3B", "bigscience/T0pp", "models/bigscience/T0", "hub/models--bigscience--T0_3B/snapshots/0123")
OTHERS = ("mine", "bigscience/mt0-small", "google/T0_3B", "other-bigscience/T0", "T0")


@pytest.mark.parametrize("key", [True, False])
def test_the_folders_key_counts_before_where_it_is_from(key, small, tmp_path, told):
    for i, (place, config) in enumerate({"mine": OF_0_1, T0_PLACES[0]: OF_THE_HUB, "plain": None}.items()):
        model = t0.Model.from_pretrained(folder_of(tmp_path / str(i) / place, small, config, add_eos_to_inputs=key))
        assert (model.add_eos_to_inputs, model.end_token_assumed) == (key, False)
        turned = t0.Model.from_pretrained(tmp_path / str(i) / place, add_eos_to_inputs=not key)
        assert (turned.add_eos_to_inputs, turned.end_token_assumed) == (not key, False)
    assert told() == []


def test_info_tells_what_counts_and_why_and_warns_of_nothing(small, tmp_path, told):
    cases = [
        ("keyed", OF_0_1, {"add_eos_to_inputs": True}, "with it (add_eos_to_inputs in config.json)"),
        ("keyless", OF_0_1, {}, "without it (written by version 0.1 of this program, which trained without)"),
        (T0_PLACES[0], OF_THE_HUB, {}, "without it (T0 was trained without)"),
        ("other", OF_THE_HUB, {}, "with it (no key tells how it was trained, and transformers adds it)"),
    ]
    for place, config, keys, expected in cases:
        folder = folder_of(tmp_path / place, small, config, **keys)
        assert describe_model(folder)["end_token"] == "inputs are read " + expected
    assert told() == []


@pytest.mark.parametrize("place", T0_PLACES + OTHERS)
def test_without_a_key_the_name_counts_and_one_line_tells(place, small, tmp_path, told, monkeypatch):
    folder_of(tmp_path / place, small)
    monkeypatch.chdir(tmp_path)
    for given in (place, tmp_path / place):
        model = t0.Model.from_pretrained(given)
        assert (model.add_eos_to_inputs, model.end_token_assumed) == ((False, False) if place in T0_PLACES else (True, True))
    why = "T0 was trained without" if place in T0_PLACES else "no key tells how it was trained, and transformers adds it"
    how = "without" if place in T0_PLACES else "with"
    assert len(told()) == 2
    assert told()[0].startswith(f"{place}: {why}, so inputs are read {how} the end token; add_eos_to_inputs={place in T0_PLACES} is the")


def test_the_folders_of_0_1_are_read_as_they_were_trained(small, tmp_path, told):
    old = t0.Model.from_pretrained(folder_of(tmp_path / "old", small, OF_0_1))
    assert (old.add_eos_to_inputs, old.end_token_assumed) == (False, False)
    assert len(told()) == 1 and "written by version 0.1 of this program, which trained without" in told()[0]
    for other in (OF_0_1 | {"model_max_length": 512}, {key: OF_0_1[key] for key in list(OF_0_1)[:5]}, {}, None):
        model = t0.Model.from_pretrained(folder_of(tmp_path / "other", small, other))
        assert (model.add_eos_to_inputs, model.end_token_assumed) == (True, True)
        shutil.rmtree(tmp_path / "other")


def test_models_that_are_made_begin_without_and_carried_ones_say_so(small, told):
    assert not small.add_eos_to_inputs and not t0.mini.new_model(0).add_eos_to_inputs
    config = t0.Config.from_dict(small.config.to_dict() | {"add_eos_to_inputs": True})  # of a file
    made = t0.Model.init(config)
    assert not made.add_eos_to_inputs and made.config == small.config
    for label in ("all prompts", "one prompt", "unprompted"):
        model = t0.Model.mini(label)
        assert not model.add_eos_to_inputs and not model.end_token_assumed and "add_eos_to_inputs" not in model.config.extra
    assert told() == []


def test_a_key_that_is_none_and_a_model_without_tokenizer(small, tmp_path, told):
    folder_of(tmp_path, small, add_eos_to_inputs="yes")
    with pytest.raises(t0.FormatError, match=r"config\.json: add_eos_to_inputs 'yes': must be true or false, or None"):
        t0.Model.from_pretrained(tmp_path)
    assert t0.Model.from_pretrained(tmp_path, config={"add_eos_to_inputs": False}).add_eos_to_inputs is False
    with pytest.raises(t0.ConfigError, match="^add_eos_to_inputs 1: must be true or false, or None$"):
        t0.Model.from_pretrained(tmp_path, add_eos_to_inputs=1)
    (tmp_path / "config.json").write_text(json.dumps(small.config.to_dict() | {"add_eos_to_inputs": None}))
    assert t0.Model.from_pretrained(tmp_path).end_token_assumed and len(told()) == 1
    (tmp_path / "spiece.model").unlink()
    assert t0.Model.from_pretrained(tmp_path).add_eos_to_inputs and len(told()) == 1  # who gives ids is told nothing


# ---- what it does and where it is kept -----------------------------------------------------------------------------------


def test_none_means_the_models_in_every_method_and_ids_are_taken_as_they_are(small):
    model = t0.Model(small.core, small.config, small.tokenizer, add_eos_to_inputs=True)
    ids = [[*small.tokenizer.encode(text), 1] for text in ASKED]
    choices = ["Anna", "tea"]
    for method, more in (
        (lambda m, given, **o: [r.scores.tolist() for r in m.rank(given, [choices] * len(given), **o)], {}),
        (lambda m, given, **o: m.score(given, ["tea"] * len(given), **o).tolist(), {}),
        (lambda m, given, **o: m.generate(given, max_new_tokens=5, **o), {}),
        (lambda m, given, **o: [s.tobytes() for s in m.encode(given, **o)], {}),
        (lambda m, given, **o: ["".join(m.stream(one, max_new_tokens=5, **o)) for one in given], {}),
    ):
        ended, bare = method(small, ids, **more), method(small, [one[:-1] for one in ids], **more)
        assert ended != bare
        assert method(model, ASKED) == method(model, ids) == method(small, ASKED, add_eos_to_inputs=True) == ended
        assert method(small, ASKED) == method(model, ASKED, add_eos_to_inputs=False) == bare
        with pytest.raises(t0.ConfigError, match="^add_eos_to_inputs 'no': must be true or false, or None$"):
            method(model, ASKED, add_eos_to_inputs="no")


@pytest.mark.parametrize("added", [True, False])
def test_the_key_is_kept_by_save_copies_and_conversion(added, small, tmp_path, told):
    model = t0.Model(small.core, small.config, small.tokenizer, add_eos_to_inputs=added)
    for dtype in ("float32", "bfloat16", "int8"):
        folder = tmp_path / dtype
        model.to(dtype).save(folder)
        assert json.loads((folder / "config.json").read_text())["add_eos_to_inputs"] is added
        again = t0.Model.from_pretrained(folder, dtype)
        assert (again.add_eos_to_inputs, again.end_token_assumed, again.config) == (added, False, small.config)
    packed = t0.Model.from_pretrained(tmp_path / "int8/model.t0packed", "int8")  # its header says it, whatever lies beside it
    (tmp_path / "int8/config.json").unlink()
    assert t0.Model.from_pretrained(tmp_path / "int8", "int8").add_eos_to_inputs is packed.add_eos_to_inputs is added
    for dtype in ("bfloat16", "int8"):
        convert(open_checkpoint(tmp_path / "float32"), tmp_path / f"to {dtype}", dtype)
        assert t0.Model.from_pretrained(tmp_path / f"to {dtype}", dtype).add_eos_to_inputs is added
    assert told() == []


def test_conversion_keeps_what_the_name_said(small, tmp_path, told):
    """In the new folder nothing but the key can tell it."""
    for place, added in ((T0_PLACES[0], False), (T0_PLACES[3], False), ("flan", True)):
        folder_of(tmp_path / place, small)
        convert(open_checkpoint(tmp_path / place), tmp_path / "new", "float32", place)
        assert t0.Model.from_pretrained(tmp_path / "new").add_eos_to_inputs is added
        shutil.rmtree(tmp_path / "new")
    assert len(told()) == 3


@pytest.mark.parametrize("given, own, used", [(None, False, False), (None, True, True), (True, False, True), (False, True, False)])
def test_training_reads_as_the_model_does_and_writes_what_it_did(given, own, used, tmp_path):
    model = t0.mini.new_model(0)
    model.add_eos_to_inputs = own
    seen, rank = [], model.rank
    model.rank = lambda inputs, choices, **options: seen.append((model.add_eos_to_inputs, options)) or rank(inputs, choices, **options)
    held = t0.mini.held_out_tasks()[0]
    held = t0.Task("held", held.rows[:4], dict(list(held.prompts.items())[:1]))
    how = {"steps": 2, "batch_size": 4, "progress": False, "validate": held, "validate_every": 2, "out": tmp_path / "run"}
    run = t0.train(model, t0.mini.training_tasks(["values"]), add_eos_to_inputs=given, **how)
    assert model.add_eos_to_inputs is used and run.reports[0].about["add_eos_to_inputs"] is used
    assert [(ended, "add_eos_to_inputs" in options) for ended, options in seen] == [(used, False)]
    step = step_folder(tmp_path / "run", 2)
    assert read_manifest(step)["plan"]["add_eos_to_inputs"] is used
    for folder in (tmp_path / "run", step):
        assert t0.Model.from_pretrained(folder).add_eos_to_inputs is used
    same = t0.mini.new_model(0)
    t0.train(same, t0.mini.training_tasks(["values"]), add_eos_to_inputs=used, **how | {"out": None, "validate": None})
    assert np.array_equal(same.core.tensor("shared.weight"), model.core.tensor("shared.weight"))


# ---- what version 0.1 began ----------------------------------------------------------------------------------------------


def old_tasks():
    """Those of golden/journals_0_1.json."""
    rows = [{"text": f"row {i}", "label": i % 2} for i in range(6)]
    ranked = t0.Prompt("rank", "{{ text }}? ||| {{ answer_choices[label] }}", "no ||| yes", id="a")
    return t0.Task("t", rows, [ranked, t0.Prompt("write", "Say {{ text }} ||| {{ text }}", id="b")])


def old_model(name, folder):
    """The models of golden/journals_0_1.json: as 0.1 saved the carried one, as the hub has it, without a file of generation, with beams."""
    mini = t0.Model.mini(kernels="portable")
    if name == "mini":
        return mini
    folder_of(folder, mini, OF_0_1 if name == "saved" else OF_THE_HUB)
    file = folder / "generation_config.json"
    ids = json.loads(file.read_text())
    more = {"hub": {"_from_model_config": True, "transformers_version": "4.30.0"}, "beams": {"num_beams": 3}}.get(name, {})
    file.write_text(json.dumps(ids | more))
    if name == "bare":
        file.unlink()
    return t0.Model.from_pretrained(folder, kernels="portable")


def write_old_journal(folder, name, version="0.1.0"):
    """The journal that 0.1 left, with the keys that it made."""
    (folder / "examples").mkdir(parents=True)
    database = sqlite3.connect(folder / "journal.sqlite")
    database.execute(
        "CREATE TABLE cells (key TEXT PRIMARY KEY, task TEXT NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, file TEXT NOT NULL, "
        "sha256 TEXT NOT NULL, rows INTEGER NOT NULL, seconds REAL NOT NULL, finished TEXT NOT NULL, runs INTEGER NOT NULL)"
    )
    for prompt, key in OLD["keys"][name].items():
        content = "\n".join(OLD["examples"][prompt]) + "\n"
        (folder / f"examples/{key}.jsonl").write_text(content)
        row = (key, "t", prompt, "m", f"examples/{key}.jsonl", hashlib.sha256(content.encode()).hexdigest(), 6, 1.0, "", 1)
        database.execute(f"INSERT INTO cells VALUES ({', '.join('?' * len(row))})", row)
    database.execute("PRAGMA user_version = 1")
    database.commit()
    database.close()


def finished(folder):
    """[(prompt, how often it was done)] of a journal's cells."""
    database = sqlite3.connect(folder / "journal.sqlite")
    try:
        return sorted(database.execute("SELECT prompt, runs FROM cells"))
    finally:
        database.close()


@pytest.mark.parametrize("name", OLD["keys"])
def test_a_journal_of_0_1_goes_on(name, tmp_path, told):
    write_old_journal(tmp_path / "run", name)
    model = old_model(name, tmp_path / "model")
    del told()[:]
    report = t0.evaluate(model, old_tasks(), out=tmp_path / "run", progress=False)
    assert report.about["add_eos_to_inputs"] is False
    again = [("write", 1)] if name == "beams" else []  # which 0.1 generated by beams, unrecorded
    assert finished(tmp_path / "run") == sorted([("rank", 1), ("write", 1), *again])
    went_on = [line for line in told() if line.startswith("evaluate: goes on without the end token")]
    assert len(went_on) == (name in ("hub", "bare", "beams"))
    key = OLD["keys"][name]["rank"]
    assert report.cells[0]["examples"] == f"examples/{key}.jsonl" and report.cells[0]["value"] == 0.5
    for given, cells in ((True, 4 + len(again)), (False, 4 + len(again)), (None, 4 + len(again))):  # both are there now
        report = t0.evaluate(model, old_tasks(), out=tmp_path / "run", progress=False, add_eos_to_inputs=given)
        assert len(finished(tmp_path / "run")) == cells
        assert report.about["add_eos_to_inputs"] is (model.add_eos_to_inputs if given is None else given)


def test_a_new_folder_and_one_of_before_a_change_are_not_taken_for_old_ones(tmp_path, told):
    model = old_model("hub", tmp_path / "model")
    report = t0.evaluate(model, old_tasks(), out=tmp_path / "new", progress=False)
    assert report.about["add_eos_to_inputs"] is True and not [line for line in told() if "goes on" in line]
    write_old_journal(tmp_path / "run", "hub")
    other = t0.Model.mini("one prompt", kernels="portable")
    t0.evaluate(other, old_tasks(), out=tmp_path / "run", progress=False)
    assert finished(tmp_path / "run") == [("rank", 1), ("rank", 1), ("write", 1), ("write", 1)]


@pytest.mark.parametrize("written_by", ["0.1", "the hub"])
def test_a_run_of_0_1_goes_on_with_the_same_bits(written_by, tmp_path, told):
    """Both as 0.1 left it: no key in any config.json, and the plan that it wrote; the model's folder as it wrote it, or the hub."""
    first = folder_of(tmp_path / "model", t0.mini.new_model(3), OF_0_1 if written_by == "0.1" else OF_THE_HUB)
    how = {"batch_size": 4, "progress": False, "checkpoint_every": 2}
    whole = t0.train(t0.Model.from_pretrained(first), mixture(), steps=4, add_eos_to_inputs=False, **how)
    t0.train(t0.Model.from_pretrained(first), mixture(), steps=2, add_eos_to_inputs=False, out=tmp_path / "run", **how)
    forget_key(tmp_path / "run")
    del told()[:]
    run = t0.train(t0.Model.from_pretrained(first), mixture(), steps=4, out=tmp_path / "run", **how)
    assert run.losses == whole.losses and steps_in(tmp_path / "run") == [2, 4]
    assert len([line for line in told() if "the run goes on without the end token behind inputs" in line]) == (written_by == "the hub")
    assert t0.Model.from_pretrained(tmp_path / "run").add_eos_to_inputs is False
    with pytest.raises(t0.ConfigError, match="another plan: add_eos_to_inputs was False, is True"):
        t0.train(t0.Model.from_pretrained(first), mixture(), steps=4, add_eos_to_inputs=True, out=tmp_path / "run", **how)
    model = t0.Model.from_pretrained(first)
    model.add_eos_to_inputs, model.end_token_assumed = True, False
    with pytest.raises(t0.ConfigError, match="another plan: add_eos_to_inputs was False, is True"):  # what a key tells is not given up
        t0.train(model, mixture(), steps=4, out=tmp_path / "run", **how)


def mixture():
    return t0.mini.training_tasks(["values"])


def forget_key(run):
    """What 0.1 wrote has no key; the manifest has the digests of the files."""
    for step in steps_in(run):
        folder = step_folder(run, step)
        manifest, file = read_manifest(folder), folder / "config.json"
        config = json.loads(file.read_text())
        del config["add_eos_to_inputs"]
        file.write_text(json.dumps(config))
        manifest["files"]["config.json"] = {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        (folder / MANIFEST).write_bytes(_manifest(manifest["plan"], manifest["state"], manifest["files"]))
    config = json.loads((run / "config.json").read_text())
    del config["add_eos_to_inputs"]
    (run / "config.json").write_text(json.dumps(config))


# ---- the hub reads alike -------------------------------------------------------------------------------------------------

FAMILIES = {
    "T5 1.0": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "T5 1.1": {"feed_forward_proj": "gated-gelu"},
    "mT5": {"feed_forward_proj": "gated-gelu", "extra": {"model_type": "mt5", "architectures": ["MT5ForConditionalGeneration"]}},
}
TEXTS = [*ASKED, "Say <extra_id_0>.", "  two   spaces ", "Is it\ntea?", "a" * 300]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("key", [None, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_folder_gives_the_hubs_answers_by_default(family, key, tmp_path, public_data):
    """Text in, text out, by nothing but the folder: without a key, and with ours, which the hub keeps and ignores."""
    import torch
    from transformers import AutoModelForSeq2SeqLM, T5Tokenizer

    vocabulary = t0.Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    shape = dict(vocab_size=32128, d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8)
    model = t0.Model.init(t0.Config(**shape | FAMILIES[family]), vocabulary, seed=5)
    for name, _ in model.core.tensors():  # so that answers hang on the input
        model.core._writable(name)[...] *= 6 if "EncDecAttention" in name else 3 if name == "lm_head.weight" else 1
    folder = folder_of(tmp_path / "model", model, None, **({} if key is None else {"add_eos_to_inputs": key}))
    tokenizer, theirs = T5Tokenizer.from_pretrained(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    ours, bare, answers = t0.Model.from_pretrained(folder), [], set()
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            row = theirs.generate(**ids, max_new_tokens=12)[0].tolist()
        answer = ours.generate(text, max_new_tokens=12, output_scores=True, sentinels=True)
        assert [0, *answer.ids.tolist()] == row
        assert answer.text == tokenizer.decode(row, skip_special_tokens=True)
        answers.add(answer.text)
        bare.append(ours.generate(text, max_new_tokens=12, sentinels=True, add_eos_to_inputs=False) == answer.text)
    assert len(answers) > 3 and not all(bare)  # the token changes answers
    theirs.save_pretrained(tmp_path / "again")
    tokenizer.save_pretrained(tmp_path / "again")
    kept = json.loads((tmp_path / "again/config.json").read_text())
    assert kept.get("add_eos_to_inputs") == key


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_t0_is_the_exception(tmp_path):
    """The hub's tokenizer adds the token for T0 too, which T0 was trained and evaluated without."""
    from transformers import T5Tokenizer

    model = small_t5()
    folder = folder_of(tmp_path / "bigscience/T0_3B", model, None)
    ours = t0.Model.from_pretrained(folder)
    ids = T5Tokenizer.from_pretrained(folder, extra_ids=0)(ASKED[0])["input_ids"]
    assert ids[-1] == 1 and ours.encode(ASKED[0]).tobytes() == ours.encode(ids[:-1]).tobytes() != ours.encode(ids).tobytes()
