"""Files that a verb writes: one that is there already is replaced by --force alone, or where the same verb wrote it."""

import re
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.cli.verbs import note

__all__ = ["PICTURE_MARK", "check_dashes", "check_folder", "check_target", "force_option", "tell_written"]

PICTURE_MARK = b"t0native"  # which reports/plot.py writes into a picture where its kind has room for it
_PLACE = re.compile(r"FILE|DIR|PATH|MODEL|RUN|RECIPE")  # of what an argument is called that names a file or a folder
_OF_FILES = (".json", ".jsonl", ".csv", ".tsv", ".txt", ".html", ".md", ".png", ".safetensors", ".bin", ".pt", ".yaml")
LOOKED_AT = 1 << 16  # bytes at the beginning and at the end of a file


def force_option(parser, what="a file that is there already is replaced, whoever wrote it"):
    parser.add_argument("--force", action="store_true", help=what)


def check_dashes(args, actions):
    """ConfigError where a file or a folder must be named, and is not, or is "-". actions: of the verb's parser; those that read standard
    input or print have an attribute dash."""
    for action in actions:
        if _PLACE.search(str(action.metavar)) and getattr(args, action.dest) != action.default:
            values = getattr(args, action.dest)
            values = values if isinstance(values, list) else [values]
            name = action.option_strings[0] if action.option_strings else action.metavar
            if "" in values:
                raise ConfigError(f"{name} '': must be a name")
            if "-" in values and not getattr(action, "dash", False):
                raise ConfigError(f"{name} -: there is no standard stream here; give a name (./- where that is it)")


def check_target(path, force=False, mark=None):
    """ConfigError where something else is there. mark: bytes that are near the beginning or the end of each file that the verb writes; None
    where there are none."""
    place = Path(path)
    if place.is_dir():
        raise ConfigError(f"{path}: a folder; name a file")
    if force or not place.is_file() or place.stat().st_size == 0:
        return
    with open(place, "rb") as file:
        head = file.read(LOOKED_AT)
        file.seek(max(0, place.stat().st_size - LOOKED_AT))
        tail = file.read(LOOKED_AT)
    if mark is None or (mark not in head and mark not in tail):
        raise ConfigError(f"{path}: is there already{'' if mark is None else ', and another program wrote it'}; --force replaces it")


def check_folder(path):
    """ConfigError where a folder is to be made that is called like a file."""
    ending = Path(path).suffix.lower()
    if ending in _OF_FILES and not Path(path).is_dir():
        raise ConfigError(f"{path}: called like a file, and a folder is written; name one without {ending}")


def tell_written(*paths):
    """A line for each file that was written."""
    for path in paths:
        if path is not None and Path(path).is_file():
            note(f"{path}: written, {Path(path).stat().st_size:,} bytes")
