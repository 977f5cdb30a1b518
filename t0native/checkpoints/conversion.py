"""From any checkpoint to a folder in the hub's layout, or with a packed int8 file: chunk by chunk, whatever the size."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from t0native import _core
from t0native.base.arguments import check, one_of
from t0native.base.errors import ConfigError, FormatError, NumericError
from t0native.base.files import FileSet
from t0native.base.memory import check_room
from t0native.base.threads import get_num_threads
from t0native.checkpoints.checkpoint import add_weights, check_place_of_weights, config_json
from t0native.checkpoints.config import stays_float32
from t0native.checkpoints.endtoken import decide_end_token, with_end_token
from t0native.checkpoints.llamacpp import tokenizer_of
from t0native.checkpoints.modelcard import CARD, add_card, card_of, card_text, has_foreign_card
from t0native.checkpoints.packedfile import PackedFile, add_packed
from t0native.checkpoints.sentences import read_sentence
from t0native.checkpoints.sizes import weights_bytes
from t0native.checkpoints.tensorfiles import as_bfloat16
from t0native.text.tokenizerfiles import TOKENIZER_FILES

__all__ = ["convert"]

DTYPE = one_of("float32", "bfloat16", "int8")
_log = logging.getLogger("t0native")
_ALONG = (*TOKENIZER_FILES, "generation_config.json")


def convert(checkpoint, folder, dtype, name=None):
    """Writes a Checkpoint as config.json and weights of one number type, with the tokenizer's files beside them.

    "float32" and "bfloat16": model.safetensors, from file to file; float32 becomes bfloat16 by rounding to the nearest, ties
    to even, but for norms and position biases, which stay float32 as in the core. NumericError for a weight that is beyond
    bfloat16's range. "int8": a packed file (packedfile.py), for which the weights are held once in that form. Everything is
    checked as loading checks it, and where something is wrong nothing is written. The folder may be the checkpoint's own.
    name: by which the checkpoint was asked for, from which it may follow whether its inputs end in the end token (endtoken.py). README.md
    is a card of the new model (modelcard.py), with what the old one's tells of its trainings where that is as this program wrote it."""
    check(DTYPE, "dtype", dtype)
    if isinstance(checkpoint, PackedFile):
        raise ConfigError(
            f"{checkpoint.path}: holds int8 weights, from which no others can be made; convert the model that it was made from"
        )
    checkpoint.check()
    checkpoint.tell()
    if Path(folder).resolve() != checkpoint.folder.resolve():
        check_place_of_weights(folder, dtype)
    end = decide_end_token(name or checkpoint.folder, checkpoint.folder, checkpoint.config)
    config = with_end_token(checkpoint.config, end.added)
    along = _along(checkpoint)
    sentence = read_sentence(checkpoint.folder)
    along += [] if sentence is None else sentence.files_to_save()
    card = card_of(name or checkpoint.folder, checkpoint.folder)
    if has_foreign_card(checkpoint.folder) and not has_foreign_card(folder):
        _log.warning("%s: is not copied, for it tells of that model; copy what holds of the new one too", checkpoint.folder / CARD)
    with FileSet(folder) as files:
        add_card(files, card_text(card, config, dtype, _reads_texts(checkpoint)))
        for name, content in [("config.json", config_json(config, dtype)), *along]:
            files.add(name, content)
        if dtype == "int8":
            add_packed(files, _pack(checkpoint), config)
        else:
            _add_floats(files, checkpoint, dtype)


def _along(checkpoint):
    """(name, content) of the tokenizer's files, and of what tells of generation."""
    if checkpoint.folder.is_file():
        return tokenizer_of(checkpoint.folder, checkpoint.config.vocab_size).files_to_save() if _reads_texts(checkpoint) else []
    return [(name, (checkpoint.folder / name).read_bytes()) for name in _ALONG if (checkpoint.folder / name).is_file()]


def _reads_texts(checkpoint):
    """Whether loading will find a tokenizer in the folder that this program reads."""
    try:
        return tokenizer_of(checkpoint.folder, checkpoint.config.vocab_size).vocab_size <= checkpoint.config.vocab_size
    except (OSError, FormatError, ConfigError):
        return False


def _pack(checkpoint):
    check_room(weights_bytes(checkpoint.config, "int8"), "the weights take {} in int8", "close other programs")
    core = _core.Model(checkpoint.config.core(), None, "int8")
    checkpoint.load(core, threads=get_num_threads())
    return core


def _add_floats(files, checkpoint, dtype):
    def chunks_of(name):
        for row, chunk in checkpoint.chunks(name):
            if dtype == "bfloat16" and not stays_float32(name):
                halves = as_bfloat16(chunk)
                if (halves & 0x7FFF).max() == 0x7F80:  # infinite, which the chunk is not
                    most = f"a weight of {np.abs(chunk).max():.4g} is beyond bfloat16"
                    raise NumericError(f"{checkpoint.entries[name].what}, rows from {row} on: {most}; take float32")
                chunk = halves
            yield chunk

    add_weights(files, checkpoint.config, dtype, chunks_of)
    checkpoint.check_copies()
