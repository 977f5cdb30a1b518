"""From a checkpoint's place to what a model is made of: weights in the core, tokenizer, and what its files say of use."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from t0native.base.showing import shown
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.endtoken import EndToken, decide_end_token
from t0native.checkpoints.hub import locate
from t0native.checkpoints.modelcard import Card, card_of
from t0native.checkpoints.packedfile import PackedFile
from t0native.checkpoints.sentences import Sentence, read_sentence
from t0native.models.cores import check_kernels, new_core
from t0native.models.generationfile import read_generation
from t0native.models.pickling import FileWeights
from t0native.models.tokenizing import load_tokenizer

if TYPE_CHECKING:  # of annotations alone
    from t0native import _core
    from t0native.checkpoints.config import Config
    from t0native.text.tokenizer import Tokenizer

__all__ = ["Loaded", "load"]
_log = logging.getLogger("t0native")


class Loaded(NamedTuple):
    """files: the place of the weights' files, or None (pickling.py)."""

    core: _core.Model
    config: Config
    tokenizer: Tokenizer | None
    name: Any
    generation: dict[str, Any]
    files: FileWeights | None
    sentence: Sentence | None
    card: Card
    end: EndToken


def load(path, dtype, config, tokenizer, revision, kernels, threads, allow_nonfinite, verify, add_eos_to_inputs, part):
    """What Model.from_pretrained says, with its keywords and errors; all are checked but for those that only their users can."""
    place = locate(path, revision)
    name = place.resolve().name if Path(path).exists() else path
    sentence = read_sentence(place)
    if sentence is not None:
        place = place / sentence.path
    checkpoint = open_checkpoint(place, config, dtype == "int8", part)
    tokenizer = load_tokenizer(checkpoint.folder, checkpoint.config, tokenizer)
    generation = read_generation(checkpoint)
    checkpoint.check()
    checkpoint.tell()
    if sentence is not None and sentence.prompt:
        _log.warning("%s: sentence-transformers puts %s before every text; here it is yours to put", place, shown(sentence.prompt))
    files = FileWeights.of(place, checkpoint, dtype, check_kernels(kernels))
    if isinstance(checkpoint, PackedFile):
        core = checkpoint.open(check_kernels(kernels), verify)
    else:
        core = new_core(checkpoint.config, kernels, dtype)
        checkpoint.load(core, allow_nonfinite=allow_nonfinite, threads=threads)
    end = decide_end_token(path, checkpoint.folder, checkpoint.config, add_eos_to_inputs, tell=tokenizer is not None)
    return Loaded(core, checkpoint.config, tokenizer, name, generation, files, sentence, card_of(path, checkpoint.folder), end)
