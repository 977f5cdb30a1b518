"""Rows: where examples come from. A row is a mapping of field names to values; rows are any sequence of them.

    read_rows(path)      a file by its ending, packed or not (unpacking.py), shards, a folder (layouts.py), in memory:
                         .jsonl .ndjson (lines.py), .json (jsonrows.py), .csv .tsv (csvrows.py), .parquet .arrow .feather (arrowrows.py)
    sequence_of(object)  what Python holds (frames.py)
    lines_of(path)       the lines of a text, for other readers

Errors are DataError with the file and the line; a file that cannot be opened is an OSError."""

from __future__ import annotations

import errno
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError, DataError
from t0native.base.foreign import hint_keywords
from t0native.base.places import what_is
from t0native.base.showing import printable, shown
from t0native.data.arrowrows import read_arrow
from t0native.data.csvrows import read_csv, read_csv_files
from t0native.data.dialects import TABLES
from t0native.data.distributed import convert_rows
from t0native.data.frames import columns_of, convert_told, row_remedy, rows_of, sequence_of, why_no_row
from t0native.data.jsonrows import read_json
from t0native.data.layouts import files_in, find_split
from t0native.data.lines import kind_of, lines_of, parse_example, read_jsonl, require_rows
from t0native.data.types import read_types
from t0native.data.unpacking import ARROW_ENDINGS, PACKINGS, ROW_ENDINGS, rows_ending

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Mapping
    from typing import Any

    from t0native.base.annotations import PathName, Rows, RowSequence

__all__ = [
    "columns_of", "files_at", "lines_of", "parse_example", "read_csv", "read_files", "read_json", "read_jsonl", "read_rows",
    "row_remedy", "rows_of", "sequence_of", "why_no_row",
]  # fmt: skip


@hint_keywords
def read_rows(
    path: PathName | Rows,
    dataset: str | None = None,
    types: Mapping[str, Any] | str | None = None,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> RowSequence:
    """The rows of a file, read by its ending, or of a folder with one table in it, as the hub or `save_to_disk` leave them; in a folder of
    several, "FOLDER/validation" names one. Of a data frame, a table, columns or other rows that Python holds: those, as Task takes them.

    dataset: "super_glue/wsc.fixed", ...: rows in its distributed form are converted to its public columns, and its features have
    their types.  types: what fields are, {"label": "int"}, "text" or "0.1.0" (the head of types.py); a line of the logger "t0native" tells
    what a CSV file's columns, or a data frame's gaps, were converted into.
    delimiter: what divides the fields of CSV files, as `read_csv`'s.  encoding: what CSV and JSON files are written in; UTF-8 unless given.
    DataError for an unknown ending, for a folder that is not one table, and as `read_jsonl` and `read_csv`.

    >>> len(t0.read_rows(Path(t0.__file__).parent / "mini/heldout/rows/sense.jsonl")), t0.read_rows({"text": ["Tea."], "label": [1]})
    (500, [{'text': 'Tea.', 'label': 1}])
    """
    if isinstance(path, (str, PathLike)):
        return read_files(files_at(path), dataset, types, delimiter, encoding)
    for name, value in (("delimiter", delimiter), ("encoding", encoding)):
        if value is not None:
            raise ConfigError(f"{name} {shown(value)}: of files alone; these rows are {kind_of(path)}")
    rows = require_rows("rows", sequence_of(path, "rows", dataset, types))
    if (why := why_no_row(rows[0])) is not None:
        raise DataError(f"rows, row 0: {why}")
    return rows if dataset is None else convert_rows(dataset, rows, "rows")


def files_at(path: PathName, split: str | None = None) -> list[Path]:
    """The files of the table that a path names: itself, the shards in it, or those whose name without numbers it is. split: of a folder
    with several tables that one. DataError where they are none or several tables."""
    path = Path(path)
    if _is_folder(path):
        if split is not None and (ways := find_split(path, split)):
            return _one_of(path, split, ways)
        return files_in(path)
    if not path.exists() and (ways := find_split(path.parent, path.name)):
        return _one_of(path.parent, path.name, ways)
    return [path]


def _is_folder(path):
    """DataError for a name that no system takes."""
    try:
        return path.is_dir()
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise DataError(f"{printable(str(path))}: {error.strerror}") from None


def _one_of(folder, split, ways):
    if len(ways) > 1:
        raise DataError(f"{ways[0][0]} and {ways[1][0]} are both {split} of {folder}; leave one, or name the file")
    return ways[0]


def read_files(
    files: Iterable[PathName],
    dataset: str | None = None,
    types: Mapping[str, Any] | str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
) -> RowSequence:
    """The rows of the files of one table, all of one kind, as `read_rows`."""
    files, types = list(map(Path, files)), read_types(types, dataset)
    kinds = {_ending(path) for path in files}
    if len(kinds) > 1:
        raise DataError(f"{files[0]} and {files[1]}: files of one table must be of one kind, these are {', '.join(sorted(kinds))}")
    kind, read_as = kinds.pop(), {} if encoding is None else {"encoding": encoding}
    if delimiter is not None and kind not in TABLES:
        raise ConfigError(f"delimiter {shown(delimiter)}: of CSV and TSV files alone, {files[0]} is {kind}")
    if read_as and kind in ARROW_ENDINGS:
        raise ConfigError(f"encoding {shown(encoding)}: of files of text alone, {files[0]} is {kind}")
    if kind in TABLES:
        rows = read_csv_files(files, delimiter, types, dataset, **read_as)
    elif kind in ARROW_ENDINGS:
        rows = read_arrow(files, types, dataset)
    else:
        read = read_json if kind == ".json" else read_jsonl
        rows = convert_told(files[0], [row for path in files for row in read(path, **read_as)], types)
    return rows if dataset is None else convert_rows(dataset, rows, files[0])


def _ending(path):
    """The ending of a file's rows. OSError where there is no file, DataError for another kind of file."""
    if not path.exists():
        open(path, "rb").close()
    ending = rows_ending(path)
    if ending not in ROW_ENDINGS:
        known = f"known are {', '.join(ROW_ENDINGS)}, and {', '.join(PACKINGS)} behind them"
        known_as = what_is(path)
        what = f"unknown kind of file {shown(path.suffix)}" if known_as in (None, "a file of rows") else f"{known_as}, which holds no rows"
        raise DataError(f"{path}: {what}; {known}")
    return ending
