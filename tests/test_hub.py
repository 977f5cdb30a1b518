"""Models by their names on the hub, by the hub's own client against a hub on loopback (hub_server.py): what is fetched, what goes on after
it broke off, and what is told without network, cache, package, permission or model."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needed
from hub_server import TOKEN, serving

import t0native as t0

TOKENIZER = t0.mini.tokenizer()
CONFIG = t0.Config(vocab_size=TOKENIZER.vocab_size, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3)
TEMPLATES = """\
dataset: mine
templates:
  11111111-1111-1111-1111-111111111111: !Template
    answer_choices: no ||| yes
    id: 11111111-1111-1111-1111-111111111111
    jinja: 'Is it so that {{text}}? ||| {{answer_choices[label]}}'
    metadata: !TemplateMetadata
      choices_in_prompt: false
      metrics: [Accuracy]
      original_task: true
    name: is it so
    reference: ''
"""
BESIDE = {
    "README.md": b"# small",
    "flax_model.msgpack": b"\x80",
    "tf_model.h5": b"\x89HDF",
    "onnx/model.safetensors": b"?",
    "rust_model.ot": b"?",
}
SCORE = (
    "import t0native as t0; model = t0.Model.from_pretrained({}); print(model.name, model.rank('the rain', ['yes', 'no']).scores.tolist())"
)


def files_of(folder):
    """Of a saved model, but for its card, which is not read from the hub."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "README.md"}


def scores_of(model):
    return model.rank("the rain", ["yes", "no"]).scores.tolist()


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """[(model, files of its folder)], of two seeds."""
    made = []
    for seed in (3, 4):
        model, folder = t0.Model.init(CONFIG, TOKENIZER, seed=seed), tmp_path_factory.mktemp("saved")
        model.save(folder)
        made.append((model, files_of(folder)))
    return made


@pytest.fixture(scope="session")
def sharded(models):
    """The first model's files with its weights in two shards and their index."""
    from safetensors.numpy import load, save

    files = dict(models[0][1])
    tensors = load(files.pop("model.safetensors"))
    places = {name: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, name in enumerate(sorted(tensors))}
    for shard in set(places.values()):
        files[shard] = save({name: tensors[name] for name in places if places[name] == shard})
    return files | {"model.safetensors.index.json": json.dumps({"metadata": {}, "weight_map": places}).encode()}


@pytest.fixture
def hub():
    needed("huggingface_hub", "pip install '.[hub]'")
    with serving() as hub:
        yield hub


@pytest.fixture
def environment(hub, tmp_path):
    """Of a child whose hub is that one, and whose cache is empty."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING", "TRANSFORMERS_"))}
    return kept | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "hf"),
        "NO_PROXY": "127.0.0.1,localhost",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


@pytest.fixture
def run(environment, tmp_path):
    """run(code or list of the command's words, **environment) -> the finished child."""

    def run(what, **more):
        words = ["-c", what] if isinstance(what, str) else ["-m", "t0native", *what]
        return subprocess.run([sys.executable, *words], cwd=tmp_path, env=environment | more, capture_output=True, text=True, timeout=100)

    return run


def load(run, arguments="'acme/small'", **environment):
    """What the child prints: the model's name and its scores. Its last line of error where it fails."""
    done = run(SCORE.format(arguments), **environment)
    return done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


def expected(model, name="acme/small"):
    return f"{name} {scores_of(model)}"


# ---- what is fetched ---------------------------------------------------------------------------------------------------------


def test_only_what_is_read_is_fetched(hub, run, models):
    model, files = models[0]
    hub.add("acme/small", files | BESIDE | {"pytorch_model.bin": b"none of these", "model.fp16.safetensors": b"nor these"})
    assert load(run) == expected(model)
    assert hub.fetched() == sorted(files) and "model.safetensors" in files


def test_shards_are_those_of_the_index(hub, run, models, sharded):
    """Not those of another count that lie beside, nor the same weights in PyTorch's form."""
    strays = {f"model-0000{i}-of-00003.safetensors": b"of an earlier upload" for i in (1, 2, 3)}
    others = {"pytorch_model.bin.index.json": b"{}", "pytorch_model-00001-of-00001.bin": b"PK"}
    hub.add("acme/small", sharded | strays | others | BESIDE)
    assert load(run) == expected(models[0][0])
    assert hub.fetched() == sorted(sharded)


def test_weights_of_pytorch_where_there_are_no_others(hub, run, models, tmp_path):
    torch = needed("torch", "pip install '.[parity]'")
    from safetensors.torch import load as read

    files = dict(models[0][1])
    torch.save(read(files.pop("model.safetensors")), tmp_path / "weights")
    files["pytorch_model.bin"] = (tmp_path / "weights").read_bytes()
    hub.add("acme/small", files | BESIDE)
    assert load(run) == expected(models[0][0]) and hub.fetched() == sorted(files)


def test_every_file_of_a_tokenizer_is_kept(hub, run, models, tmp_path):
    more = {"tokenizer.json": b"{}", "special_tokens_map.json": b"{}", "generation_config.json": b'{"max_new_tokens": 7}'}
    other_names = ("tokenizer.model", "sentencepiece.model", "sentencepiece.bpe.model", "spm.model")
    files = models[0][1] | more | dict.fromkeys(other_names, models[0][1]["spiece.model"])
    hub.add("acme/small", files | BESIDE)
    done = run("import t0native as t0; from t0native.checkpoints.hub import locate; print(locate('acme/small'))")
    assert sorted(os.listdir(done.stdout.strip())) == sorted(files), done.stderr


def test_a_revision_is_a_branch_a_tag_or_a_commit(hub, run, models):
    for revision, (_, files) in zip(("main", "v2"), models):
        hub.add("acme/small", files, revision)
    hub.add("acme/small", models[1][1], "refs/pr/1")
    commit = hub.repositories["acme/small"].commit("v2")
    assert load(run) == expected(models[0][0])
    for revision in ("v2", commit, "refs/pr/1"):
        assert load(run, f"'acme/small', revision={revision!r}") == expected(models[1][0])
    assert load(run, "'acme/small', revision='v9'") == "FileNotFoundError: acme/small: the hub has no revision 'v9' of it"


# ---- the commands ------------------------------------------------------------------------------------------------------------


def test_the_commands_take_names_of_the_hub(hub, run, models, tmp_path):
    (first, files), (second, others) = models
    hub.add("acme/small", files)
    hub.add("acme/small", others, "v2")
    facts = json.loads(run(["info", "acme/small", "--json"]).stdout)
    assert facts["loads"] == "yes" and facts["parameters"] == CONFIG.parameters and "models--acme--small" in facts["folder"]
    done = run(["convert", "acme/small", "mine", "--dtype", "float32", "--revision", "v2"])
    assert done.returncode == 0 and scores_of(t0.Model.from_pretrained(tmp_path / "mine")) == scores_of(second), done.stderr
    done = run(["rank", "--model", "acme/small", "--revision", "v2", "the rain", "yes", "no", "--json"])
    assert done.returncode == 0 and json.loads(done.stdout)["scores"] == pytest.approx(scores_of(second), abs=1e-6), done.stderr


def test_evaluation_of_a_model_of_the_hub(hub, run, models, tmp_path):
    hub.add("acme/small", models[0][1])
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": text, "label": i % 2}) + "\n" for i, text in enumerate("abcd")))
    (tmp_path / "prompts/mine").mkdir(parents=True)
    (tmp_path / "prompts/mine/templates.yaml").write_text(TEMPLATES)
    words = ["--prompts", "prompts", "--dataset", "mine", "--data", "rows.jsonl", "--json"]
    by_name = run(["evaluate", "--model", "acme/small", *words])
    models[0][0].save(tmp_path / "here")
    by_folder = run(["evaluate", "--model", "here", *words])
    assert by_name.returncode == 0, by_name.stderr
    reports = [json.loads(done.stdout) for done in (by_name, by_folder)]
    assert reports[0]["cells"][0]["metrics"] == reports[1]["cells"][0]["metrics"] and reports[0]["cells"][0]["model"] == "acme/small"


# ---- what the hub does not give -----------------------------------------------------------------------------------------------


def test_a_model_that_is_missing_or_private(hub, run, models):
    hub.add("acme/secret", models[0][1], private=True)
    for name in ("acme/none", "acme/secret"):
        told = load(run, repr(name))
        assert told.startswith(
            f"FileNotFoundError: {name}: neither a folder here nor a model of the hub that you may read (`hf auth login`"
        )
    assert not hub.asked
    assert load(run, "'acme/secret'", HF_TOKEN=TOKEN) == expected(models[0][0], "acme/secret")
    assert "neither a folder here nor a model" in load(run, "'acme/none'", HF_TOKEN=TOKEN)


def test_a_token_that_the_hub_refuses(hub, run, models):
    hub.add("acme/small", models[0][1])
    told = load(run, HF_TOKEN="hf_of_last_year")
    assert told.startswith("FileNotFoundError: acme/small: the hub refuses your token") and "`hf auth login` anew" in told


def test_a_gated_model(hub, run, models):
    hub.add("acme/small", models[0][1], gated=True)
    told = load(run)
    assert told.startswith(f"FileNotFoundError: acme/small: a gated model of the hub: accept its terms on the page {hub.url}/acme/small")
    assert "`hf auth login`" in told
    assert load(run, HF_TOKEN=TOKEN) == expected(models[0][0])


def test_a_model_without_weights_that_are_read(hub, run, models):
    hub.add("acme/small", BESIDE | {"gpt.gguf": b"GGUF"})
    told = load(run)
    assert (
        "acme/small: this model of the hub has neither model.safetensors nor pytorch_model.bin; it has flax_model.msgpack: weights of Flax"
        in told
    )
    assert told.endswith("; a file of llama.cpp is loaded by itself: `hf download acme/small gpt.gguf --local-dir DIR`, then DIR/gpt.gguf")
    assert not hub.asked
    hub.add("acme/none", {"README.md": b"# none", "vocab.txt": b"a"})
    assert load(run, "'acme/none'").endswith("neither model.safetensors nor pytorch_model.bin; it has README.md, vocab.txt")


@pytest.mark.parametrize("name", ["t5-small", "t5-11b"])
def test_names_of_old_that_have_no_owner(hub, run, models, name):
    hub.add(f"google-t5/{name}", models[0][1])
    assert load(run, repr(name)) == expected(models[0][0], name)


@pytest.mark.parametrize(
    "name, whole",
    [
        ("flan-t5-xl", "google/flan-t5-xl"),
        ("T0_3B", "bigscience/T0_3B"),
        ("mt0-small", "bigscience/mt0-small"),
        ("t5-tiny", "google-t5/t5-tiny"),
    ],
)
def test_a_name_without_its_owner(monkeypatch, tmp_path, name, whole):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError) as error:
        t0.Model.from_pretrained(name)
    assert str(error.value).endswith(f"model.safetensors and spiece.model; a model of the hub has an owner: {whole}?")


@pytest.mark.parametrize("name", ["ac--me/small", "acme/small.git", "acme/sm..all"])
def test_names_that_the_hub_cannot_have(hub, run, name):
    assert load(run, repr(name)).startswith(
        f"FileNotFoundError: {name}: no such folder, and no name of a model of the hub (HFValidationError"
    )


def test_a_folder_here_is_never_asked_for(hub, run, models, tmp_path):
    models[0][0].save(tmp_path / "acme/small")
    assert load(run) == expected(models[0][0], "small")
    told = load(run, "'acme/small', revision='v2'")
    assert told.endswith("ConfigError: revision 'v2': acme/small is a place on this disk; only models of the hub have revisions")
    assert not hub.listed


@pytest.mark.parametrize("path", ["small", "../acme/small", "a/b/c", "/acme/small", "acme/", "acme/..", "ac me/small", "acme\\small"])
def test_other_paths_are_never_asked_for(monkeypatch, tmp_path, path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("t0native.checkpoints.hub._fetch", lambda *unused: pytest.fail("the hub was asked"))
    with pytest.raises(FileNotFoundError, match="no such folder; a model is a folder|no config.json here"):
        t0.Model.from_pretrained(path)


def test_without_the_package(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match=r"pip install huggingface_hub.*hf download acme/small --local-dir small"):
        t0.Model.from_pretrained("acme/small")


# ---- broken off ---------------------------------------------------------------------------------------------------------------


def test_a_connection_that_drops_goes_on_where_it_was(hub, run, models):
    hub.add("acme/small", models[0][1])
    hub.breaks["model.safetensors"] = "drop"
    small_pieces = "from huggingface_hub import constants; constants.DOWNLOAD_CHUNK_SIZE = 1024; "
    done = run(small_pieces + SCORE.format("'acme/small'"))
    assert done.stdout.strip() == expected(models[0][0]), done.stderr
    half = len(models[0][1]["model.safetensors"]) // 2
    starts = [start for method, file, start in hub.asked if (method, file) == ("GET", "model.safetensors")]
    assert starts == [0, half // 1024 * 1024] and starts[1] > 0


def test_a_file_that_the_hub_fails_to_give(hub, run, models, sharded):
    """What is whole stays: only the rest is asked for again."""
    hub.add("acme/small", sharded)
    last = "model-00002-of-00002.safetensors"
    hub.breaks[last] = 500
    told = load(run)
    assert told.startswith("ConnectionError: acme/small: fetching it from the hub broke off (") and "again, and it goes on" in told
    assert "500" in told
    offline = load(run, HF_HUB_OFFLINE="1")
    assert "FileNotFoundError: acme/small: the hub's cache has this model only in part (without model-0000" in offline
    assert last in offline and "while HF_HUB_OFFLINE is set; load it where there is network" in offline
    hub.breaks.clear()
    hub.asked.clear()
    assert load(run) == expected(models[0][0])
    assert last in hub.fetched() and not {"config.json", "spiece.model", "model.safetensors.index.json"} & set(hub.fetched())


def test_a_process_that_ends_half_way(hub, run, environment, models, tmp_path):
    hub.add("acme/small", models[0][1])
    hub.breaks["model.safetensors"] = "hang"
    with subprocess.Popen([sys.executable, "-c", SCORE.format("'acme/small'")], cwd=tmp_path, env=environment) as child:
        assert hub.hanging.wait(60)
        child.send_signal(signal.SIGKILL)
    hub.breaks.clear()
    assert "only in part" in load(run, HF_HUB_OFFLINE="1")
    assert load(run) == expected(models[0][0])


# ---- without network ----------------------------------------------------------------------------------------------------------


def test_the_cache_serves_without_network(hub, run, models):
    """Also where the hub has weights in forms that are not read, which the cache lacks."""
    hub.add("acme/small", models[0][1] | BESIDE | {"pytorch_model.bin": b"PK", "pytorch_model-00001-of-00001.bin": b"PK"})
    assert load(run) == expected(models[0][0])
    hub.listed.clear()
    assert load(run, HF_HUB_OFFLINE="1") == expected(models[0][0]) and not hub.listed
    nowhere = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert load(run, **nowhere) == expected(models[0][0])
    told = load(run, "'acme/other'", **nowhere)
    assert told.startswith(
        "FileNotFoundError: acme/other: no such folder, and as a model of the hub it is not in the cache, while the hub cannot be"
    )
    assert "while HF_HUB_OFFLINE is set" in load(run, "'acme/small', revision='v2'", HF_HUB_OFFLINE="1")


def test_the_cache_serves_shards_and_revisions(hub, run, models, sharded):
    hub.add("acme/small", models[1][1])
    hub.add("acme/small", sharded, "v2")
    assert load(run, "'acme/small', revision='v2'") == expected(models[0][0])
    assert load(run, "'acme/small', revision='v2'", HF_HUB_OFFLINE="1") == expected(models[0][0])
    commit = hub.repositories["acme/small"].commit("v2")
    assert load(run, f"'acme/small', revision={commit!r}", HF_HUB_OFFLINE="1") == expected(models[0][0])


def test_a_cache_in_which_a_file_is_missing(hub, run, models, tmp_path):
    hub.add("acme/small", models[0][1])
    assert load(run) == expected(models[0][0])
    (found,) = (tmp_path / "hf").rglob("spiece.model")
    found.unlink()
    told = load(run, HF_HUB_OFFLINE="1")
    assert "only in part (IncompleteSnapshotError: " in told and "spiece.model" in told
    assert load(run) == expected(models[0][0])


def test_a_cache_of_an_earlier_client(environment, run, models, tmp_path):
    """Its layout: refs, snapshots, and links to blobs; no list of what the snapshot should hold."""
    cache, commit = tmp_path / "hf/hub/models--acme--small", "0123456789abcdef0123456789abcdef01234567"
    for folder in ("refs", "blobs", f"snapshots/{commit}"):
        (cache / folder).mkdir(parents=True)
    (cache / "refs/main").write_text(commit)
    for i, (file, content) in enumerate(models[0][1].items()):
        (cache / f"blobs/{i}").write_bytes(content)
        os.symlink(f"../../blobs/{i}", cache / f"snapshots/{commit}" / file)
    assert load(run, HF_HUB_OFFLINE="1") == expected(models[0][0])
    Path(cache / f"snapshots/{commit}/model.safetensors").unlink()
    assert "only in part (without model.safetensors or pytorch_model.bin), while HF_HUB_OFFLINE" in load(run, HF_HUB_OFFLINE="1")
