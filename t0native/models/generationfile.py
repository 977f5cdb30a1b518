"""generation_config.json: what a model's files say of generation, and what is written beside its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from t0native.base.errors import FormatError
from t0native.base.jsontext import json_text, parse_json
from t0native.generation.options import GENERATION_FILE, options_in_config

if TYPE_CHECKING:  # of annotations alone
    from t0native.models.model import Model

__all__ = ["read_generation", "write_generation"]

_IDS = ("decoder_start_token_id", "eos_token_id", "pad_token_id")


def read_generation(checkpoint) -> dict[str, Any]:
    """What the file says, or where there is none what config.json has of it. FormatError for what is no object."""
    file = checkpoint.folder / GENERATION_FILE
    if not file.is_file():
        return options_in_config(checkpoint.config.extra)
    content = parse_json(file, file.read_bytes())
    if not isinstance(content, dict):
        raise FormatError(f"{file}: must hold an object {{...}}")
    return content


def write_generation(model: Model) -> tuple[str, bytes]:
    """(name, content) of a model's file: its ids, then what model.generation says."""
    content = {name: getattr(model.config, name) for name in _IDS} | model.generation
    return GENERATION_FILE, (json_text(content, "keep", indent=2) + "\n").encode()
