"""Models by their names on the hub: which files are asked for, and what is told without network, cache, package or model."""

import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest
from conftest import needed

import t0native as t0

CONFIG = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3)
NAMES = [
    "README.md",
    "config.json",
    "spiece.model",
    "tokenizer.json",
    "model.safetensors",
    "pytorch_model.bin",
    "flax_model.msgpack",
    "tf_model.h5",
]


class RepositoryNotFoundError(Exception):
    pass


class RevisionNotFoundError(Exception):
    pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A package huggingface_hub with one model, acme/small, and a log of what was asked."""
    t0.Model.init(CONFIG, seed=3).save(tmp_path / "snapshot")
    fake = ModuleType("huggingface_hub")
    fake.asked, fake.names, fake.fails, fake.cached = [], NAMES, None, True

    def model_info(name, revision=None):
        fake.asked.append(("list", name, revision))
        if fake.fails:
            raise fake.fails
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in fake.names])

    def snapshot_download(name, revision=None, allow_patterns=None, local_files_only=False):
        fake.asked.append(("local" if local_files_only else "download", name, revision, sorted(allow_patterns)))
        if not fake.cached:
            raise FileNotFoundError("nothing is cached")
        return str(tmp_path / "snapshot")

    fake.HfApi = lambda: SimpleNamespace(model_info=model_info)
    fake.snapshot_download, fake.constants = snapshot_download, SimpleNamespace(HF_HUB_OFFLINE=False)
    fake.errors = SimpleNamespace(RepositoryNotFoundError=RepositoryNotFoundError, RevisionNotFoundError=RevisionNotFoundError)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    monkeypatch.chdir(tmp_path)
    return fake


def load(*arguments, **options):
    return t0.Model.from_pretrained(*arguments, **options)


def test_only_what_is_read_is_fetched(hub):
    model = load("acme/small", revision="v2")
    assert model.name == "acme/small" and model.config == CONFIG
    assert hub.asked == [
        ("list", "acme/small", "v2"),
        ("download", "acme/small", "v2", ["config.json", "model.safetensors", "spiece.model"]),
    ]


@pytest.mark.parametrize(
    "names, wanted",
    [
        (["config.json", "pytorch_model.bin", "tf_model.h5"], ["config.json", "pytorch_model.bin"]),
        (["a.txt", "pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"], slice(1, None)),
        (["model.safetensors.index.json", "model-00001-of-00001.safetensors", "pytorch_model.bin", "tokenizer_config.json"], [0, 1, 3]),
    ],
)
def test_weights_come_in_one_form(hub, names, wanted):
    hub.names = names
    load("acme/small")
    expected = names[wanted] if isinstance(wanted, slice) else [name if isinstance(name, str) else names[name] for name in wanted]
    assert hub.asked[1][3] == sorted(expected)


def test_a_folder_here_is_never_asked_for(hub, tmp_path):
    t0.Model.init(CONFIG).save(tmp_path / "acme/small")
    assert load("acme/small").name == "small" and not hub.asked
    with pytest.raises(t0.ConfigError, match="revision 'v2': acme/small is a place on this disk"):
        load("acme/small", revision="v2")


@pytest.mark.parametrize("path", ["small", "../acme/small", "a/b/c", "/acme/small", "acme/", "acme/..", "ac me/small", "acme\\small"])
def test_other_paths_are_never_asked_for(hub, path):
    with pytest.raises((FileNotFoundError, t0.FormatError), match="no such folder; a model is a folder|no config.json here"):
        load(path)
    assert not hub.asked


def test_without_network_the_cache_serves(hub):
    hub.fails = ConnectionError("name resolution failed")
    assert load("acme/small").config == CONFIG
    assert [what[0] for what in hub.asked] == ["list", "local"] and {"model.safetensors", "pytorch_model-*-of-*.bin"} <= set(
        hub.asked[1][3]
    )
    hub.cached = False
    with pytest.raises(
        FileNotFoundError,
        match=r"not in the cache, while the hub cannot be reached \(ConnectionError: name resolution failed\); `hf download",
    ):
        load("acme/small")


def test_offline_nothing_is_listed(hub):
    hub.constants.HF_HUB_OFFLINE = True
    assert load("acme/small").config == CONFIG
    assert [what[0] for what in hub.asked] == ["local"]
    hub.cached = False
    with pytest.raises(FileNotFoundError, match="not in the cache, while HF_HUB_OFFLINE is set"):
        load("acme/small")


def test_what_the_hub_does_not_have(hub, monkeypatch):
    hub.fails = RepositoryNotFoundError()
    with pytest.raises(FileNotFoundError, match="neither a folder here nor a model of the hub that you may read"):
        load("acme/small")
    hub.fails = RevisionNotFoundError()
    with pytest.raises(FileNotFoundError, match="the hub has no revision 'v9'"):
        load("acme/small", revision="v9")
    hub.fails, hub.names = None, ["README.md", "gpt.gguf"]
    with pytest.raises(FileNotFoundError, match=r"neither model.safetensors nor pytorch_model.bin; it has README.md, gpt.gguf"):
        load("acme/small")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match=r"pip install 't0native\[hub\]'.*hf download acme/small --local-dir small"):
        load("acme/small")


def test_the_real_package_reads_its_cache(tmp_path):
    """The layout that huggingface_hub keeps: refs, snapshots, and links to blobs."""
    needed("huggingface_hub", "pip install '.[hub]'")
    t0.Model.init(CONFIG, seed=3).save(tmp_path / "saved")
    cache, commit = tmp_path / "cache/models--acme--small", "0123456789abcdef0123456789abcdef01234567"
    for folder in ("refs", "blobs", f"snapshots/{commit}"):
        (cache / folder).mkdir(parents=True)
    (cache / "refs/main").write_text(commit)
    for i, file in enumerate(sorted((tmp_path / "saved").iterdir())):
        (cache / f"blobs/{i}").write_bytes(file.read_bytes())
        os.symlink(f"../../blobs/{i}", cache / f"snapshots/{commit}" / file.name)
    code = "import t0native as t0; print(t0.Model.from_pretrained('acme/small')); t0.Model.from_pretrained('acme/other')"
    environment = os.environ | {"HF_HUB_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout.startswith("<Model 'acme/small': "), done.stderr
    assert "FileNotFoundError: acme/other: no such folder, and as a model of the hub it is not in the cache" in done.stderr
