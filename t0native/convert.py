"""From any checkpoint to a folder in the hub's layout: weights go from file to file, chunk by chunk, and no model is made."""

from __future__ import annotations

import numpy as np

from t0native.arguments import check, one_of
from t0native.checkpoint import TOKENIZER, add_weights, config_json
from t0native.entries import as_bfloat16
from t0native.errors import NumericError
from t0native.files import FileSet

__all__ = ["convert"]

DTYPE = one_of("float32", "bfloat16")
_ALONG = (TOKENIZER, "tokenizer_config.json", "generation_config.json")


def convert(found, folder, dtype):
    """Writes a Checkpoint as config.json and model.safetensors of one number type, with the tokenizer's files beside them.

    Everything is checked as loading checks it, and where something is wrong nothing is written. float32 becomes bfloat16
    by rounding to the nearest, ties to even; NumericError for a weight that is beyond bfloat16's range."""
    check(DTYPE, "dtype", dtype)
    found.check()
    along = [(name, (found.folder / name).read_bytes()) for name in _ALONG if (found.folder / name).is_file()]

    def chunks_of(name):
        for row, chunk in found.chunks(name):
            if dtype == "bfloat16":
                halves = as_bfloat16(chunk)
                if (halves & 0x7FFF).max() == 0x7F80:  # infinite, which the chunk is not
                    raise NumericError(f"{found.entries[name].what}, rows from {row} on: a weight of {np.abs(chunk).max():.4g} is beyond bfloat16; take float32")
                chunk = halves
            yield chunk

    with FileSet(folder) as files:
        for name, content in [("config.json", config_json(found.config, dtype)), *along]:
            files.add(name, content)
        add_weights(files, found.config, dtype, chunks_of)
        found.check_copies()
