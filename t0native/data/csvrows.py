"""Rows of CSV files: the first line has the field names, a row is a line, or several where a cell in quotation marks holds line ends.

What divides the cells, and what quotation marks are, dialects.py decides; what the columns are, columns.py."""

from __future__ import annotations

import csv
import functools
import itertools
import os
from typing import TYPE_CHECKING

from t0native.base.errors import DataError
from t0native.base.foreign import hint_keywords
from t0native.base.showing import listed, printable, shown
from t0native.data.columns import Columns
from t0native.data.dialects import csv_cells, find_dialect, long_cells, other_delimiter, presumed_delimiter
from t0native.data.lines import lines_of, require_distinct, require_rows
from t0native.data.types import types_of_rows

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Mapping
    from typing import Any

    from t0native.base.annotations import PathName

__all__ = ["BLOCK", "blocks_of", "count_csv_rows", "csv_records", "dialect_of", "look_through", "read_csv", "read_csv_files"]

BLOCK = 1024  # rows whose cells are looked at together


@hint_keywords
def read_csv(
    path: PathName, delimiter: str | None = None, types: Mapping[str, Any] | str | None = None, *, encoding: str = "utf-8"
) -> list[dict[str, Any]]:
    """The rows of a CSV file (first line: field names), a list of dicts. A packed file (.gz, .zip, ...) is unpacked.

    delimiter: what divides the fields; unless given, a comma, in a .tsv a tab, or what the file says otherwise: a first line "sep=;", or
    field names without a comma that ; a tab or | divides, and the rows alike (the head of dialects.py), which a line of the logger
    "t0native" tells. With a tab a quotation mark is a character like any other, but for files that are quoted throughout.
    types: what the columns are (the head of types.py); unless it says so, numbers and True, False are those where every cell is written
    as Python writes them, and a blank cell is None (columns.py). The same line tells what was converted.
    encoding: what the file is written in, as "cp1252" for what Excel saves as CSV in Western Europe.
    DataError and OSError as `read_jsonl`'s, and for a cell that is not of the type that it must be; ConfigError for arguments.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.csv")
    ...     _ = path.write_text("text,label\\nI loved it.,1\\n")
    ...     t0.read_csv(path), t0.read_csv(path, types={"label": str})
    ([{'text': 'I loved it.', 'label': 1}], [{'text': 'I loved it.', 'label': '1'}])
    """
    return read_csv_files([path], delimiter, types, encoding=encoding)


def read_csv_files(paths, delimiter=None, types=None, dataset=None, encoding="utf-8"):
    """As `read_csv`, of a table that lies in several files, each with the field names; what the columns are, all of them decide.
    dataset: whose types are those of the fields that `types` does not name."""
    parts = []
    columns, converters, _ = look_through(paths, delimiter, types, dataset, parts.extend, encoding)
    for i, convert in converters:
        for cells in parts:
            cells[i] = convert(cells[i])
    return [dict(zip(columns.names, cells)) for cells in parts]


def look_through(paths, delimiter, types, dataset, take, encoding="utf-8", presumed=None):
    """(the Columns of a table that lies in several files, their converters, the Dialect of each file), decided by all cells and told.
    take: a function that is given each block of rows.  presumed: the delimiter that a name of the form says, where the ending does not."""
    columns, openers = None, [_opener(path, encoding) for path in paths]
    dialects = [dialect_of(path, delimiter, presumed, open_lines) for path, open_lines in zip(paths, openers)]
    for path, dialect, open_lines in zip(paths, dialects, openers):
        with long_cells():
            records = csv_records(path, open_lines(), dialect)
            _, names = next(records)
            for rows, lines in blocks_of(records):
                if columns is None:
                    columns = Columns(paths[0], names, types_of_rows(types, dataset, dict(zip(names, rows[0]))), dialect.said)
                columns.place = path
                _check_names(paths[0], columns.names, path, names)
                columns.look(rows, lines)
                take(rows)
    if columns is None:
        require_rows(paths[0], ())
    columns.place, decided = paths[0], columns.decide()
    columns.tell(decided)
    return columns, columns.converters(decided), dialects


def dialect_of(path, delimiter=None, presumed=None, open_lines=None):
    """The Dialect of a file. delimiter: as `read_csv`'s.  open_lines: as _opener gives it. DataError, ConfigError and OSError as its."""
    open_lines = open_lines or _opener(path)
    return find_dialect(lambda: (text for _, text in open_lines()), presumed or presumed_delimiter(path), delimiter)


def _opener(path, encoding="utf-8"):
    """A function that gives the (number, line)s of a file from the first on, whenever it is called; those of a pipe, which are there once
    alone, stay in memory."""
    if isinstance(path, (str, os.PathLike)) and os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
        lines = list(lines_of(path, encoding))
        return lambda: iter(lines)
    return functools.partial(lines_of, path, encoding)


def count_csv_rows(path):
    """How many rows `read_csv` would give; DataError and OSError as its, but for what the cells hold."""
    with long_cells():
        records = csv_records(path, lines_of(path), dialect_of(path))
        next(records)
        return sum(bool(cells) for _, cells in records)


def _check_names(first, names, path, others):
    """DataError where the fields of a further file of one table are others than those of its first."""
    if others != names:
        mine, theirs = set(names), set(others)
        odd = [name for name in (*names, *others) if (name in mine) != (name in theirs)]
        raise DataError(f"{path}: its fields are not those of {first}: {listed(odd) or 'another order'}")


def blocks_of(records):
    """(lists of texts, lines in which they begin) of at most BLOCK rows of csv_records; blank lines are left out."""
    rows, lines = [], []
    for line, cells in records:
        if cells:
            rows.append(cells)
            lines.append(line)
            if len(rows) == BLOCK:
                yield rows, lines
                rows, lines = [], []
    if rows:
        yield rows, lines


def csv_records(path, lines, dialect):
    """(line in which it begins, texts) out of the (number, line)s of a CSV file: of the field names, then of each row; of a blank line no
    texts. Not a line is asked for before it is needed. DataError as `read_csv`'s."""
    skipped = [line for _, line in itertools.islice(lines, dialect.header - 1)]
    reader = csv_cells((line for _, line in lines), dialect.delimiter, dialect.quoted)
    started = 1 + len(skipped)  # the line in which the row being read begins
    try:
        names = next(reader, None)
        if not names:
            raise DataError(f"{path}: empty; the first line must hold the field names")
        require_distinct(f"{path}, line {started}", names)
        yield started, names
        started = reader.line_num + len(skipped) + 1
        for cells in reader:
            number = reader.line_num + len(skipped)
            if len(cells) != len(names) and cells:
                raise DataError(f"{path}, line {number}: {_other_count(len(cells), names, dialect)}")
            yield started, cells
            started = number + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(f"{path}: a quotation mark opens in the row of line {started} and is never closed") from None
        if "new-line character seen in unquoted field" in str(error):
            raise DataError(
                f"{path}, line {reader.line_num + len(skipped)}: a carriage return alone ends no line; write line ends as \\n or \\r\\n"
            ) from None
        raise DataError(f"{path}, line {reader.line_num + len(skipped)}: {printable(str(error))}") from None


def _other_count(count, names, dialect):
    """What is wrong with a row of so many cells."""
    told = f"{count} cells, but line {dialect.header} names {len(names)} fields; quote cells that hold the delimiter or a line end"
    other = other_delimiter(dialect.delimiter.join(names), dialect.delimiter)
    if other is not None:
        return f"{told}, or tell what divides the fields: delimiter={shown(other)}"
    return told if dialect.delimiter in ",\t" else f"{told} (the delimiter is {shown(dialect.delimiter)})"
