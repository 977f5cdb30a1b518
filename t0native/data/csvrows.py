"""Rows of CSV files: the first line has the field names, a row is a line, or several where a cell in quotation marks holds line ends.

    ,   a cell that holds the delimiter, a line end or a quotation mark stands in quotation marks, and those in it are doubled
    \\t  the same where the file is quoted; else a quotation mark is a character like any other, and a line is a row.

A file with tabs is quoted where every quotation mark in it begins, ends or is doubled in such a cell, and either all field names stand
in quotation marks, or each such cell needs them: it holds a tab, a line end or a doubled mark (an empty one may be so written too).
Where a cell would hold line ends though every line has as many cells as there are names, it is not quoted. So pandas and R write tables;
a mark in the midst of a text, as in raw tables of texts, is never taken for more.

What the columns are, columns.py decides."""

from __future__ import annotations

import csv
import re
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from t0native.base.errors import DataError
from t0native.base.foreign import hint_keywords
from t0native.base.showing import listed, printable
from t0native.data.columns import Columns
from t0native.data.lines import lines_of, require_distinct, require_rows
from t0native.data.types import types_of_rows

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Mapping
    from typing import Any

    from t0native.base.annotations import PathName

__all__ = [
    "BLOCK",
    "blocks_of",
    "count_csv_rows",
    "csv_cells",
    "csv_records",
    "is_quoted",
    "long_cells",
    "look_through",
    "read_csv",
    "read_csv_files",
]

BLOCK = 1024  # rows whose cells are looked at together
_LIMIT = threading.RLock()
_INSIDE = re.compile(r'(?:[^"]|"")*')  # of a cell in quotation marks


@hint_keywords
def read_csv(path: PathName, delimiter: str = ",", types: Mapping[str, str] | str | None = None) -> list[dict[str, Any]]:
    """The rows of a CSV file (first line: field names), a list of dicts. With a tab as delimiter a quotation mark is a character like
    any other, but for files that are quoted throughout (the head of csvrows.py). A packed file (.gz, .zip, ...) is unpacked.

    types: what the columns are (the head of types.py); unless it says so, numbers and True, False are those where every cell is written
    as Python writes them, and a blank cell is None (columns.py). A line of the logger "t0native" tells what was converted.
    DataError and OSError as `read_jsonl`'s, and for a cell that is not of the type that it must be.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.csv")
    ...     _ = path.write_text("text,label\\nI loved it.,1\\n")
    ...     t0.read_csv(path), t0.read_csv(path, types={"label": str})
    ([{'text': 'I loved it.', 'label': 1}], [{'text': 'I loved it.', 'label': '1'}])
    """
    return read_csv_files([path], delimiter, types)


def read_csv_files(paths, delimiter=",", types=None, dataset=None):
    """As `read_csv`, of a table that lies in several files, each with the field names; what the columns are, all of them decide.
    dataset: whose types are those of the fields that `types` does not name."""
    parts = []
    columns, converters, _ = look_through(paths, delimiter, types, dataset, parts.extend)
    for i, convert in converters:
        for cells in parts:
            cells[i] = convert(cells[i])
    return [dict(zip(columns.names, cells)) for cells in parts]


def look_through(paths, delimiter, types, dataset, take):
    """(the Columns of a table that lies in several files, their converters, whether each file is quoted), decided by all cells and told.
    take: a function that is given each block of rows."""
    columns, quoted = None, [_is_quoted_file(path, delimiter) for path in paths]
    for path, marks in zip(paths, quoted):
        with long_cells():
            records = csv_records(path, lines_of(path), delimiter, marks)
            _, names = next(records)
            for rows, lines in blocks_of(records):
                if columns is None:
                    columns = Columns(paths[0], names, types_of_rows(types, dataset, dict(zip(names, rows[0]))))
                columns.place = path
                _check_names(paths[0], columns.names, path, names)
                columns.look(rows, lines)
                take(rows)
    if columns is None:
        require_rows(paths[0], ())
    columns.place, decided = paths[0], columns.decide()
    columns.tell(decided)
    return columns, columns.converters(decided), quoted


def count_csv_rows(path, delimiter=","):
    """How many rows `read_csv` would give; DataError and OSError as its, but for what the cells hold."""
    with long_cells():
        records = csv_records(path, lines_of(path), delimiter, _is_quoted_file(path, delimiter))
        next(records)
        return sum(bool(cells) for _, cells in records)


def _is_quoted_file(path, delimiter):
    return is_quoted(text for _, text in lines_of(path)) if delimiter == "\t" else True


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


@contextmanager
def long_cells():
    """Cells of any length while the block lasts: csv's limit is the process's, so one thread at a time raises it and sets it back."""
    with _LIMIT:
        limit = csv.field_size_limit(sys.maxsize)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def csv_cells(lines, delimiter, quoted=True):
    """csv's reader of an iterable of lines, under our rules."""
    return csv.reader(lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


def csv_records(path, lines, delimiter, quoted=True):
    """(line in which it begins, texts) out of the (number, line)s of a CSV file: of the field names, then of each row; of a blank line no
    texts. Not a line is asked for before it is needed. DataError as `read_csv`'s."""
    reader = csv_cells((line for _, line in lines), delimiter, quoted)
    started = 1  # the line in which the row being read begins
    try:
        names = next(reader, None)
        if not names:
            raise DataError(f"{path}: empty; the first line must hold the field names")
        require_distinct(f"{path}, line 1", names)
        yield started, names
        started = reader.line_num + 1
        for cells in reader:
            if len(cells) != len(names) and cells:
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but line 1 names {len(names)} fields; "
                    "quote cells that hold the delimiter or a line end"
                )
            yield started, cells
            started = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(f"{path}: a quotation mark opens in the row of line {started} and is never closed") from None
        if "new-line character seen in unquoted field" in str(error):
            raise DataError(
                f"{path}, line {reader.line_num}: a carriage return alone ends no line; write line ends as \\n or \\r\\n"
            ) from None
        raise DataError(f"{path}, line {reader.line_num}: {printable(str(error))}") from None


# ---- whether a table with tabs is quoted ----------------------------------------------------------------------------


def is_quoted(lines):
    """Whether the texts of these lines are of a quoted table with tabs. It stops at the first line that says no.

    >>> is_quoted(["text\\tlabel", '"a\\tb"\\t1']), is_quoted(["text\\tlabel", '"Hello" she said.\\t1']), is_quoted(["a", '"b"'])
    (True, False, False)
    """
    state = _Quotes()
    for line in lines:
        line = line.rstrip("\r\n")
        state.count(line)
        if (state.inside or '"' in line or not state.in_rows) and not state.read(line):
            return False
    return state.are_quotes


class _Quotes:
    """Where in a table a line begins, and what the lines before it said."""

    def __init__(self):
        self.inside = False  # a cell in quotation marks
        self.in_rows = False  # behind the field names
        self.all_names = True  # so far, all field names stand in quotation marks
        self.needed = self.unneeded = False  # some cell needs its marks, some does not
        self.spans = False  # some cell holds line ends
        self.tabs = None  # in each line so far; -1: not as many in each

    @property
    def are_quotes(self):
        if self.inside or not self.in_rows or self.all_names:
            return self.in_rows and not self.inside
        return self.needed and not self.unneeded and not (self.spans and self.tabs >= 0)

    def count(self, line):
        if self.tabs != -1 and (line or self.inside):
            tabs = line.count("\t")
            self.tabs = tabs if self.tabs in (None, tabs) else -1

    def read(self, line):
        """Whether the table may be quoted still."""
        at = 0
        if self.inside:
            self.spans = self.needed = True
            at = self._close(line, 0)
        while at is not None and not self.inside and at < len(line):
            if line[at] == '"':
                at = self._close(line, at + 1)
            else:
                end = line.find("\t", at)
                end = len(line) if end < 0 else end
                if '"' in line[at:end]:
                    return False
                self.all_names &= self.in_rows
                at = end + 1
        self.in_rows |= not self.inside
        return at is not None and not (self.in_rows and self.unneeded and not self.all_names)

    def _close(self, line, at):
        """Where the cell behind one in quotation marks begins; None where no table is quoted so. at: behind its opening mark."""
        spans, text = self.inside, _INSIDE.match(line, at)[0]
        end = at + len(text)
        self.inside = end == len(line)
        if self.inside:
            return end
        needs = spans or "\t" in text or '""' in text
        self.needed |= needs
        self.unneeded |= bool(text) and not needs
        return end + 2 if line[end + 1 : end + 2] in ("", "\t") else None
