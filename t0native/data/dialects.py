"""How a table of texts is written: what divides its cells, whether it is quoted, and in which line its field names stand.

    delimiter   told by who reads it; else a first line "sep=;", as Excel writes and obeys it, and the field names stand in the second;
                else the comma of a .csv, the tab of a .tsv; else, where the field names hold none of these outside quotation marks,
                the first of  ;  tab  |  ,  that divides them and the rows behind them into equally many cells, two at least
    quoted      ,   a cell that holds the delimiter, a line end or a quotation mark stands in quotation marks, and those in it are doubled
                \\t  the same where the file is quoted; else a quotation mark is a character like any other, and a line is a row

A file with tabs is quoted where every quotation mark in it begins, ends or is doubled in such a cell, and either all field names stand
in quotation marks, or each such cell needs them: it holds a tab, a line end or a doubled mark (an empty one may be so written too).
Where a cell would hold line ends though every line has as many cells as there are names, it is not quoted. So pandas and R write tables;
a mark in the midst of a text, as in raw tables of texts, is never taken for more."""

from __future__ import annotations

import contextlib
import csv
import itertools
import os
import re
import sys
import threading
from typing import NamedTuple

from t0native.base.arguments import Kind, check
from t0native.base.showing import shown
from t0native.data.unpacking import rows_ending

__all__ = ["TABLES", "Dialect", "csv_cells", "find_dialect", "is_quoted", "long_cells", "other_delimiter", "presumed_delimiter"]

TABLES = {".csv": ",", ".tsv": "\t"}
LOOKED_AT, MOST_LINES, LONGEST = 100, 10_000, 1 << 20  # rows that are looked at, lines that they may take, characters of the first
_CANDIDATES = ";\t|,"
_NAMES = {"\t": "a tab", ",": "a comma"}
_SEP = re.compile(r'"?sep=([^\w"\r\n])"?', re.IGNORECASE)
_QUOTED = re.compile(r'"(?:[^"]|"")*("|\Z)')
_INSIDE = re.compile(r'(?:[^"]|"")*')  # of a cell in quotation marks
_LIMIT = threading.RLock()
_DELIMITER = Kind(
    lambda value: isinstance(value, str) and len(value) == 1 and value not in '"\r\n\0', "one character, as ';', and no quotation mark"
).or_none()


class Dialect(NamedTuple):
    """delimiter: one character.  quoted: whether cells may stand in quotation marks.  header: the line of the field names.  said: what is
    told of it, "" where it is what the file's ending says."""

    delimiter: str = ","
    quoted: bool = True
    header: int = 1
    said: str = ""


def presumed_delimiter(path):
    """That of a file by its ending.

    >>> presumed_delimiter("rows.csv.gz"), presumed_delimiter("rows.tsv")
    (',', '\\t')
    """
    return TABLES.get(rows_ending(path), ",") if isinstance(path, (str, os.PathLike)) else ","


def find_dialect(open_lines, presumed, delimiter=None):
    """The Dialect of a table. open_lines: a function that gives its lines, texts, from the first on.  presumed: the delimiter that its name
    says.  delimiter: the one that was told, or None. ConfigError where that is none.

    >>> find_dialect(lambda: ["text;label", "Tea, please.;1"], ","), find_dialect(lambda: ["text", "Tea; please."], ",").delimiter
    (Dialect(delimiter=';', quoted=True, header=1, said="fields divided by ';'"), ',')
    """
    check(_DELIMITER, "delimiter", delimiter)
    first = next(iter(open_lines()), "")[:LONGEST]
    told = _SEP.fullmatch(first.strip(" \r\n"))
    header = 2 if told else 1
    chosen = delimiter or (told[1] if told else _sniff(open_lines, first, presumed))
    quoted = is_quoted(itertools.islice(open_lines(), header - 1, None)) if chosen == "\t" else True
    return Dialect(chosen, quoted, header, "" if chosen == delimiter else _said(chosen, presumed, first))


def _said(chosen, presumed, first):
    if chosen != presumed:
        return f"fields divided by {_NAMES.get(chosen, repr(chosen))}"
    other = other_delimiter(first, chosen)
    if other is None or chosen in _QUOTED.sub("", first):
        return ""
    return f"one field, {shown(first.strip())}, for {_NAMES.get(other, repr(other))} does not divide all rows alike"


def other_delimiter(header, delimiter):
    """What else may divide the field names of this line; None where nothing does.

    >>> other_delimiter("id;text, long;label", ","), other_delimiter("text,label", ",")
    (';', None)
    """
    outside = _QUOTED.sub("", header)
    return next((other for other in _CANDIDATES if other != delimiter and outside.count(other) > outside.count(delimiter)), None)


def csv_cells(lines, delimiter, quoted=True):
    """csv's reader of an iterable of lines, under our rules."""
    return csv.reader(lines, delimiter=delimiter, strict=True, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)


@contextlib.contextmanager
def long_cells():
    """Cells of any length while the block lasts: csv's limit is the process's, so one thread at a time raises it and sets it back."""
    with _LIMIT:
        limit = csv.field_size_limit(sys.maxsize)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def _sniff(open_lines, first, presumed):
    """The delimiter of a table of which this is the first line."""
    outside = _QUOTED.sub("", first)
    if presumed in outside:
        return presumed
    return next((other for other in _CANDIDATES if other in outside and _divides(open_lines(), other)), presumed)


def _divides(lines, delimiter):
    """Whether the first rows all have as many cells as there are field names."""
    lines = list(itertools.islice(lines, MOST_LINES))
    for quoted in (True, False) if delimiter == "\t" else (True,):
        counts = []
        with long_cells(), contextlib.suppress(csv.Error):
            for cells in itertools.islice(csv_cells(lines, delimiter, quoted), LOOKED_AT):
                if cells:
                    counts.append(len(cells))
            if len(counts) > 1 and counts[0] > 1 and len(set(counts)) == 1:
                return True
    return False


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
