"""Where in a folder the rows of a split are. E is the ending of a kind of rows (unpacking.py), packed or not; N numbers.

    <split>.E                              one file
    <split>-NNNNN-of-NNNNN.E               shards, as the hub has them, a fingerprint behind them or not
    NAME-<split>.arrow, NAME-<split>-NNNNN-of-NNNNN.arrow      the cache of `datasets`
    <split>/*.E                            a folder of its own: shards by their names, or what save_to_disk left
    data/..., default/..., plain_text/...  any of these one level deeper, as the hub has sets without subsets
    state.json                             what Dataset.save_to_disk left: one split

Shards are one table, in the order of their numbers; one that is missing is told."""

import json
import re
from itertools import islice
from pathlib import Path

from t0native.base.errors import DataError
from t0native.base.places import what_is
from t0native.base.showing import listed, named, shown
from t0native.data.unpacking import ROW_ENDINGS, ending_of, is_rows

__all__ = ["FORMS", "INNER_FOLDERS", "files_in", "find_split", "name_of", "seen_in"]

INNER_FOLDERS = ("data", "default", "plain_text")
FORMS = "<split>.jsonl, .csv, .tsv, .parquet, .arrow, ... (.gz, .zst, .zip too), <split>-00000-of-00001.parquet, or a folder <split>"
SEEN = 6
_SHARD = re.compile(r"(.+)-(\d{4,6})-of-(\d{4,6})(?:-[0-9a-f]{16})?")
_ABOUT = ("dataset_info.json", "state.json", "dataset_dict.json", "dataset_infos.json")


def find_split(folder, split):
    """[files] of each way in which a split lies in a folder: none, one, or several, of which its reader must say that they are too many.
    DataError where a shard is missing."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    ways, names = [], {}
    for path in _rows_files(folder):
        name, shard = _split_name(path)
        if name == split or (path.suffix == ".arrow" and name.endswith(f"-{split}")):
            names.setdefault((name, ending_of(path), shard is None), []).append(path)
    for (_, _, is_whole), paths in names.items():
        ways += [[path] for path in paths] if is_whole else [_in_order(paths)]
    if (state := _state_of(folder)) is not None:
        ways = [_saved_files(folder, state)] if state.get("_split") == split else []
    inside = folder / split
    if inside.is_dir() and (files := _try_files(inside)):
        ways.append(files)
    return ways


def files_in(folder):
    """The files of the one table that lies in a folder; DataError where there is none, or several."""
    folder = Path(folder)
    if (state := _state_of(folder)) is not None:
        return _saved_files(folder, state)
    groups = {}
    for path in _rows_files(folder):
        name, shard = _split_name(path)
        groups.setdefault((name, ending_of(path), shard is None), []).append(path)
    if len(groups) == 1:
        ((_, _, is_whole), paths) = next(iter(groups.items()))
        return paths if is_whole else _in_order(paths)
    inside = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")] if folder.is_dir() else []
    splits = sorted({name for name, _, _ in groups} | {path.name for path in inside if _rows_files(path) or _state_of(path) is not None})
    if not groups and len(splits) == 1:
        return files_in(folder / splits[0])
    if (what := what_is(folder)) not in (None, "a folder of rows"):
        raise DataError(f"{folder}: {what}, which holds no rows; name a file of rows, or a folder of one table")
    if splits:
        raise DataError(f"{folder}: a folder of several tables; name one of them: {', '.join(str(folder / name) for name in splits[:8])}")
    raise DataError(f"{folder}: a folder without rows{seen_in(folder)}; expected {FORMS}")


def name_of(files):
    """How a message calls the files of one table.

    >>> name_of([Path("a/train-00000-of-00002.parquet"), Path("a/train-00001-of-00002.parquet")])
    'a/train-00000-of-00002.parquet and 1 more'
    """
    return str(files[0]) + (f" and {len(files) - 1} more" if len(files) > 1 else "")


def seen_in(folder):
    """The end of a message: what lies in a folder.

    >>> seen_in("no/such/folder")
    ''
    """
    folder = Path(folder)
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
    more = f" and {len(names) - SEEN} more" if len(names) > SEEN else ""
    return f" (there are {', '.join(map(named, names[:SEEN]))}{more})" if names else ""


# ---- inside ---------------------------------------------------------------------------------------------------------


def _rows_files(folder):
    return [
        path
        for path in sorted(folder.iterdir())
        if is_rows(path) and not path.name.startswith(".") and path.name not in _ABOUT and path.is_file()
    ]


def _try_files(folder):
    """The files of a folder that is one split, by their names, or []."""
    if (state := _state_of(folder)) is not None:
        return _saved_files(folder, state)
    files = _rows_files(folder)
    return _in_order(files) if files and len({ending_of(path) for path in files}) == 1 else []


def _split_name(path):
    """(name of the split, (number, of how many) or None) of a file."""
    name = path.name.lower().removesuffix(ending_of(path)[1])
    stem = path.name[: len(name) - len(ending_of(path)[0])] if ending_of(path)[0] in ROW_ENDINGS else path.name[: len(name)]
    shard = _SHARD.fullmatch(stem)
    return (shard[1], (int(shard[2]), int(shard[3]))) if shard else (stem, None)


def _in_order(paths):
    """Shards by their numbers; DataError where one is missing or there twice. Files without numbers by their names."""
    shards = [_split_name(path)[1] for path in paths]
    if None in shards:
        return sorted(paths)
    n = shards[0][1]
    numbers = sorted(number for number, _ in shards)
    there = set(numbers)
    if {of for _, of in shards} != {n} or numbers != list(range(n)):
        missing = list(islice((number for number in range(n) if number not in there), SEEN))
        what = f"shard {listed(missing)} of {n} is missing" if missing else "shards of different sets lie together"
        raise DataError(f"{paths[0].parent}: {what}{seen_in(paths[0].parent)}")
    return [path for _, path in sorted(zip(shards, paths))]


def _state_of(folder):
    """The content of the state.json of a folder that save_to_disk made, or None."""
    try:
        content = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("_data_files"), list) else None


def _saved_files(folder, state):
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise DataError(
            f"{folder}: saved with a choice of rows beside its data; save it again: dataset.flatten_indices().save_to_disk(...)"
        )
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in state["_data_files"]]
    files = [folder / name for name in names if isinstance(name, str) and Path(name).name == name]
    absent = next((file for file in files if not file.is_file()), None)
    if absent is not None or len(files) != len(names) or not files:
        promised = named(absent.name) if absent else shown(names)
        raise DataError(f"{folder}: state.json promises {promised}, which is not there{seen_in(folder)}")
    return files
