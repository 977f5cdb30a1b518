"""Models of the Hugging Face hub, by its own package huggingface_hub, where it is installed: its cache, its offline rules, its tokens.

Only the files that loading reads are fetched: configurations, every file of a tokenizer, and weights in one form. Without network,
or with HF_HUB_OFFLINE=1, what the cache has is taken, where it is whole. What broke off goes on with the files that are not whole."""

from __future__ import annotations

import re
from glob import escape
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.jsontext import parse_json
from t0native.base.showing import named, printable, shown
from t0native.checkpoints.checkpoint import READERS, TOKENIZER, weights_in
from t0native.checkpoints.foreign import describe_names
from t0native.checkpoints.sentences import MODULES, OF_A_MODULE, SENTENCE_FILES
from t0native.text.tokenizerfiles import TOKENIZER_FILES

__all__ = ["hub_model", "locate"]

_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_OF_OLD = {name: f"google-t5/{name}" for name in ("t5-small", "t5-base", "t5-large", "t5-3b", "t5-11b")}  # names without an owner
_OWNERS = {
    "t5": "google-t5",
    "flan": "google",
    "mt5": "google",
    "t0": "bigscience",
    "t0p": "bigscience",
    "t0pp": "bigscience",
    "mt0": "bigscience",
}
_SMALL = ("config.json", "generation_config.json", *TOKENIZER_FILES, *SENTENCE_FILES)


def locate(path, revision=None, offline=None):
    """The folder or file that `path` names: one that is here, or else a model of the hub ("owner/name", or "t5-small" and its like,
    which the hub has without an owner), fetched.

    revision: of the hub's model, a branch, tag or commit.  offline: why nothing may be fetched, or None. FileNotFoundError says what
    would help; ConnectionError where the network fails half-way."""
    here = Path(path)
    if _is_here(here):
        if revision is not None:
            raise ConfigError(f"revision {shown(revision)}: {path} is a place on this disk; only models of the hub have revisions")
        return here
    name = hub_model(path)
    if not isinstance(name, str) or not _ID.fullmatch(name):
        message = f"{printable(str(path))}: no such folder; a model is a folder with config.json, {next(iter(READERS))} and {TOKENIZER}"
        raise FileNotFoundError(message + _suggest_owner(path))
    try:
        from huggingface_hub import constants
    except ImportError:
        raise FileNotFoundError(
            f"{path}: no such folder. If it is a model of the Hugging Face hub, `pip install huggingface_hub` lets it be fetched by "
            "this name; "
            f"or download it, `hf download {name} --local-dir {here.name}`, and give that folder"
        ) from None
    return Path(_fetch(name, revision, offline or ("HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else None)))


def hub_model(path):
    """The name under which the hub has a model today.

    >>> hub_model("t5-small"), hub_model("google/flan-t5-base")
    ('google-t5/t5-small', 'google/flan-t5-base')
    """
    return _OF_OLD.get(path, path) if isinstance(path, str) else path


def _is_here(place):
    """Whether it is on this disk; what no file can be called, a text of thousands of letters, is not."""
    try:
        return place.exists()
    except (OSError, ValueError):
        return False


def _suggest_owner(path):
    """What a model's name on the hub may be of which only the last part was given."""
    family = re.match(r"(mt5|mt0|t5|flan|t0(?:pp|p)?)(?=[-_]|$)", str(path).lower())
    if family is None or not _ID.fullmatch(f"owner/{path}"):
        return ""
    return f"; a model of the hub has an owner: {_OWNERS[family[1]]}/{path}?"


def _fetch(name, revision, offline):
    """Folder of the model's snapshot in the hub's cache."""
    from huggingface_hub import HfApi

    if offline:
        return _find_cached(name, revision, offline)
    try:
        names = [file.rfilename for file in HfApi().model_info(name, revision=revision).siblings]
    except Exception as error:  # of the network, whichever library met it
        _raise_refusal(name, revision, error)
        return _find_cached(name, revision, f"the hub cannot be reached ({_shortened(error)})")
    small, weights = _choose(name, names)
    try:
        return _download(name, revision, small, weights)
    except Exception as error:
        _raise_refusal(name, revision, error)
        if isinstance(error, OSError) and error.errno is not None:  # of this disk
            raise
        raise ConnectionError(
            f"{name}: fetching it from the hub broke off ({_shortened(error)}); the files that are whole stay in the hub's cache: again, "
            "and it goes on with the others"
        ) from None


def _choose(name, names):
    """Of the files of a model, those that loading reads: (the small ones, the file or the index of its weights in one form)."""
    for weights in READERS:
        for chosen in (weights, f"{weights}.index.json"):
            if chosen in names:
                modules = [file for file in names if MODULES in names and OF_A_MODULE.fullmatch(file)]
                return [*(file for file in _SMALL if file in names), *modules], chosen
    has = describe_names(sorted(names)) or ", ".join(sorted(names)[:12])
    gguf = next((file for file in sorted(names) if file.endswith(".gguf")), None)
    alone = (
        f"; a file of llama.cpp is loaded by itself: `hf download {name} {named(gguf)} --local-dir DIR`, then DIR/{named(gguf)}"
        if gguf
        else ""
    )
    raise FileNotFoundError(f"{name}: this model of the hub has neither {' nor '.join(READERS)}; it has {has}{alone}")


def _download(name, revision, small, weights):
    """Folder of the snapshot with these files, and with the shards that an index names."""
    from huggingface_hub import snapshot_download

    files = [*small, weights]
    folder = snapshot_download(name, revision=revision, allow_patterns=list(map(escape, files)))
    shards = _shards_of(Path(folder, weights))
    if shards:  # of the same commit, whatever has come since
        snapshot_download(name, revision=Path(folder).name, allow_patterns=list(map(escape, [*files, *shards])))
    return folder


def _shards_of(weights):
    """Names of the files that an index names; none of what is no index. What is wrong with one is told when it is loaded."""
    if weights.suffix != ".json":
        return []
    data = parse_json(weights, weights.read_bytes())
    places = data.get("weight_map") if isinstance(data, dict) else None
    return sorted({file for file in places.values() if isinstance(file, str)}) if isinstance(places, dict) else []


def _find_cached(name, revision, why):
    """Folder of the snapshot in the cache, with weights in one form; FileNotFoundError where it is not whole."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=list(_SMALL), local_files_only=True))
    except Exception as error:
        if hasattr(error, "snapshot_path"):
            lacking = _shortened(error)
        else:
            raise FileNotFoundError(
                f"{name}: no such folder, and as a model of the hub it is not in the cache, while {why}; "
                f"`hf download {name}` where there is network, or name a folder"
            ) from None
    else:
        weights = weights_in(folder)
        missing = [file for file in _shards_of(folder / weights) if not (folder / file).is_file()] if weights else [" or ".join(READERS)]
        if not missing:
            return folder
        lacking = f"without {', '.join(missing[:4])}"
    raise FileNotFoundError(f"{name}: the hub's cache has this model only in part ({lacking}), while {why}; load it where there is network")


def _raise_refusal(name, revision, error):
    """FileNotFoundError where the hub answered that it does not give this; nothing where it could not be asked."""
    from huggingface_hub import errors

    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.RevisionNotFoundError):
        message = f"the hub has no revision {shown(revision)} of it"
    elif isinstance(error, errors.GatedRepoError):
        message = f"a gated model of the hub: accept its terms on the page {_page(name)}, then `hf auth login` (or HF_TOKEN) tells who asks"
    elif isinstance(error, errors.RepositoryNotFoundError):
        message = "neither a folder here nor a model of the hub that you may read (`hf auth login` where it is private or gated)"
    elif isinstance(error, errors.HFValidationError):
        message = f"no such folder, and no name of a model of the hub ({_shortened(error)})"
    elif status in (401, 403):
        message = f"the hub refuses your token ({_shortened(error)}): `hf auth login` anew, or another HF_TOKEN"
    else:
        return
    raise FileNotFoundError(f"{name}: {message}") from None


def _page(name):
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{name}"


def _shortened(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
