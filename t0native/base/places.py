"""What lies at a path, in words: for messages where something else was wanted there, as a file of rows where a model is.

Looked at are names and some kilobytes of a text; what nothing is known of is None, and is told by whoever tried to read it."""

import re
from pathlib import Path

__all__ = ["ROWS", "what_is"]

ROWS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".txt")  # endings of rows and of nothing else
_PACKINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_LOOKED_AT = 1 << 14  # bytes
_YAML = (  # (pattern of a line, what the file is), the surest first
    (r"^templates:\s*([{#&\[].*)?$", "a file of prompts"),
    (r"^(model|steps|epochs|mixture|validate):", "a recipe of a training"),
    (r"^tasks:", "a suite of tasks"),
)
_JSON = ((r'\A\{\s*"cells":', "a saved report"), (r"\A\s*\[\s*\{", "a file of rows"))


def what_is(path):
    """
    >>> what_is("no/such/file"), what_is(Path(t0.__file__).parent / "mini/heldout/prompts")
    (None, 'a folder of prompts')
    """
    try:
        path = Path(path)
        return _what_folder(path) if path.is_dir() else _what_file(path) if path.is_file() else None
    except (OSError, TypeError, ValueError):
        return None


def _what_folder(path):
    if any(path.glob("checkpoints/step-*")):
        return "the folder of a training"
    weights = ("*.safetensors*", "pytorch_model*", "*.t0packed")
    if (path / "config.json").is_file() and any(any(path.glob(name)) for name in weights):
        return "a model's folder"
    if (path / "journal.sqlite").is_file() or (path / "report.json").is_file():
        return "the folder of an evaluation"
    if any(path.glob("*/templates.yaml")) or any(path.glob("*/*/templates.yaml")):
        return "a folder of prompts"
    if any(_ending(file) in ROWS for file in path.iterdir() if file.is_file()):
        return "a folder of rows"
    return None


def _what_file(path):
    ending = _ending(path)
    if ending in ROWS:
        return "a file of rows"
    patterns = {".yaml": _YAML, ".yml": _YAML, ".json": _JSON}.get(ending, ())
    if not patterns:
        return None
    with open(path, "rb") as file:
        text = file.read(_LOOKED_AT).decode("utf-8", "replace")
    return next((what for pattern, what in patterns if re.search(pattern, text, flags=re.M)), None)


def _ending(path):
    ending = path.suffix.lower()
    return Path(path.stem).suffix.lower() if ending in _PACKINGS else ending
