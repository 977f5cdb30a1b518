"""The tokenizer of a model: of its folder, or the one that is given; and whether it fits."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from t0native.base.errors import ConfigError, FormatError
from t0native.base.showing import shown
from t0native.checkpoints.llamacpp import find_gguf, tokenizer_of
from t0native.text.tokenizer import Tokenizer
from t0native.text.tokenizerfiles import tokenizer_in
from t0native.text.tokenizerjson import OtherTokenizer

__all__ = ["describe_tokenizer", "load_tokenizer", "mismatch"]
_log = logging.getLogger("t0native")

BYTES = "bytes"  # the name of a tokenizer without a file
UNUSED_ROWS = 128  # vocabularies are rounded up to a multiple of this, so fewer rows are unused


def load_tokenizer(folder, config, given=None):
    """The Tokenizer of a model, or None for a model that takes and gives ids.

    given: None for the one of the model's folder, where a warning says that none can be read; a Tokenizer; the path of a file (which
    is read alone) or of a folder; "bytes" for ByT5's; False for none. FormatError where it is broken or does not fit, ConfigError for
    anything else."""
    if given is False or isinstance(given, Tokenizer):
        return given or None
    if given is None:
        try:
            return _checked(folder, tokenizer_of(folder, config.vocab_size), config)
        except (FileNotFoundError, OtherTokenizer) as error:
            _log.warning("%s; this model takes and gives ids, not texts", error)
            return None
    if given == BYTES:
        return _checked(given, Tokenizer.of_bytes(), config)
    if not isinstance(given, str | os.PathLike):
        raise ConfigError(f"tokenizer {shown(given)}: must be a Tokenizer, the path of a file or folder, 'bytes', or False for none")
    place = Path(given)
    if not place.exists():
        raise FileNotFoundError(f"tokenizer {place}: no such file or folder")
    if place.is_dir() or find_gguf(place) is not None:
        return _checked(place, tokenizer_of(place, config.vocab_size), config)
    tokenizer = Tokenizer.from_file(place)
    if tokenizer.vocab_size > config.vocab_size and not tokenizer.files:
        tokenizer = Tokenizer.from_file(place, extra_ids=0)  # a model without T5's sentinels
    return _checked(place, tokenizer, config)


def _checked(place, tokenizer, config):
    if problem := mismatch(tokenizer, config):
        raise FormatError(f"{_file_of(place)}: it does not fit config.json: {problem}")
    if (unused := config.vocab_size - tokenizer.vocab_size) >= UNUSED_ROWS:
        pieces = tokenizer.n_pieces
        _log.warning(
            "%s: its %d pieces leave %d rows of the vocabulary without one: was the file cut off?", _file_of(place), pieces, unused
        )
    return tokenizer


def _file_of(place):
    return Path(place) / (tokenizer_in(place) or "") if Path(place).is_dir() else place


def mismatch(tokenizer, config):
    """Why this tokenizer cannot serve a model of this configuration, or None."""
    if tokenizer.vocab_size > config.vocab_size:
        if tokenizer.n_pieces + tokenizer.extra_ids > config.vocab_size:
            return f"it has {tokenizer.n_pieces + tokenizer.extra_ids} pieces, but vocab_size is {config.vocab_size}"
        last = max(tokenizer.added_tokens, key=lambda token: token.id)
        return (
            f"its added token {shown(last.text)} has the id {last.id}, but vocab_size is {config.vocab_size}: the embedding was not "
            "resized for it; where the model was made, resize_token_embeddings(len(tokenizer)) does that before training"
        )
    if tokenizer.eos_id not in (None, config.eos_token_id):
        return f"its end token is {tokenizer.eos_id}, but eos_token_id is {config.eos_token_id}"
    return None


def describe_tokenizer(folder, config):
    """(what a folder's tokenizer is, whether the model loads for texts: "yes", else why not)."""
    try:
        tokenizer = _checked(folder, tokenizer_of(folder, config.vocab_size), config)
    except FileNotFoundError as error:
        return "none", f"for ids alone, not for texts: {error}"
    except OtherTokenizer as error:
        return "none that is read", f"for ids alone, not for texts: {error}"
    except FormatError as error:
        return "broken", f"no: {error}"
    added = f", {len(tokenizer.added_tokens)} added tokens" if tokenizer.added_tokens else ""
    return f"{tokenizer_in(folder) or folder.name}, {tokenizer.kind}{added}", "yes"
