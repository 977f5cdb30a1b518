"""Models of the Hugging Face hub, by its own package huggingface_hub (the extra [hub]): its cache, its offline rules, its tokens.

Only the files that loading reads are fetched. Without network, or with HF_HUB_OFFLINE=1, what the cache has is taken."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.checkpoints.checkpoint import READERS, TOKENIZER

__all__ = ["locate"]

_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_SMALL = ("config.json", "generation_config.json", TOKENIZER, "tokenizer_config.json")


def locate(path, revision=None, offline=None):
    """The folder or file that `path` names: one that is here, or else a model of the hub ("owner/name"), fetched.

    revision: of the hub's model, a branch, tag or commit.  offline: why nothing may be fetched, or None. FileNotFoundError says what
    would help."""
    here = Path(path)
    if here.exists():
        if revision is not None:
            raise ConfigError(f"revision {revision!r}: {path} is a place on this disk; only models of the hub have revisions")
        return here
    if not isinstance(path, str) or not _ID.fullmatch(path):
        raise FileNotFoundError(f"{path}: no such folder; a model is a folder with config.json, {next(iter(READERS))} and {TOKENIZER}")
    try:
        from huggingface_hub import constants
    except ImportError:
        raise FileNotFoundError(
            f"{path}: no such folder. If it is a model of the Hugging Face hub, `pip install 't0native[hub]'` lets it be fetched by "
            "this name; "
            f"or download it, `hf download {path} --local-dir {here.name}`, and give that folder"
        ) from None
    return Path(_fetch(path, revision, offline or ("HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else None)))


def _fetch(name, revision, offline):
    """Folder of the model's snapshot in the hub's cache."""
    from huggingface_hub import HfApi, errors, snapshot_download

    names, why = None, offline
    if not offline:
        try:
            names = [file.rfilename for file in HfApi().model_info(name, revision=revision).siblings]
        except errors.RevisionNotFoundError:
            raise FileNotFoundError(f"{name}: the hub has no revision {revision!r} of it") from None
        except errors.RepositoryNotFoundError:
            raise FileNotFoundError(
                f"{name}: neither a folder here nor a model of the hub that you may read (`hf auth login` where it is private or gated)"
            ) from None
        except Exception as error:  # of the network, whichever library met it
            why = f"the hub cannot be reached ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    if names is not None:
        return snapshot_download(name, revision=revision, allow_patterns=_needed(name, names))
    try:
        return snapshot_download(name, revision=revision, allow_patterns=[*_SMALL, *_patterns()], local_files_only=True)
    except Exception:
        raise FileNotFoundError(
            f"{name}: no such folder, and as a model of the hub it is not in the cache, while {why}; "
            f"`hf download {name}` where there is network, or name a folder"
        ) from None


def _shards(weights):
    stem, end = weights.rsplit(".", 1)
    return [f"{weights}.index.json", f"{stem}-*-of-*.{end}"]


def _patterns():
    return [pattern for weights in READERS for pattern in (weights, *_shards(weights))]


def _needed(name, names):
    """Of the files of a model, those that loading it reads: weights in one form only."""
    for weights in READERS:
        for chosen in ([weights], _shards(weights)):
            if chosen[0] in names:
                return [file for file in names if file in _SMALL or any(fnmatch(file, pattern) for pattern in chosen)]
    raise FileNotFoundError(f"{name}: this model of the hub has neither {' nor '.join(READERS)}; it has {', '.join(sorted(names)[:12])}")
