"""Rows as bytes of a file, some at a time, each a line that is whole.

jsonl     an object a line; numbers that JSON has not are null
csv tsv   the field names first; a cell is a text as it stands, a number as Python writes it, empty for None, JSON for a list or a
          mapping, and stands in quotation marks where it must (csvrows.py reads it so)
text      the value of one field a line; line ends in it become spaces"""

import csv
import io
from pathlib import Path

from t0native.base.arguments import check, one_of
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.jsontext import json_text
from t0native.base.showing import shown
from t0native.data.forms import OUT_FORMS

__all__ = ["RowWriter", "form_of"]

_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv", ".txt": "text"}


def form_of(path):
    """The form of a file that is to be written, by its ending. ConfigError for an unknown one.

    >>> form_of("out/answers.csv")
    'csv'
    """
    ending = Path(path).suffix.lower()
    if ending not in _ENDINGS:
        raise ConfigError(f"{path}: unknown kind of file {shown(ending)} to write; {suggest(ending, _ENDINGS)}")
    return _ENDINGS[ending]


class RowWriter:
    """form: one of OUT_FORMS.  names: the fields of a table; the one field of a text.

    >>> RowWriter("csv", ["text", "scores"]).encode([{"text": "a, b", "scores": [1, 0.5]}])
    b'"a, b","[1, 0.5]"\\n'
    """

    def __init__(self, form, names):
        self.form, self.names = check(one_of(*OUT_FORMS), "format", form), list(names)

    @property
    def head(self):
        """What stands before the first row: bytes."""
        return self._lines([self.names]) if self.form in ("csv", "tsv") else b""

    def encode(self, rows):
        """The bytes of rows (mappings). DataError for a field that a table has no column for."""
        if self.form == "jsonl":
            return "".join(json_text(row, "null", ensure_ascii=False, default=str) + "\n" for row in rows).encode("utf-8", "replace")
        if self.form == "text":
            return "".join(_one_line(row[self.names[0]]) + "\n" for row in rows).encode("utf-8", "replace")
        known = set(self.names)
        for row in rows:
            if not known.issuperset(row):
                odd = next(name for name in row if name not in known)
                raise DataError(
                    f"a row has the field {shown(odd)}, which the first had not, and a table has no column for it: write .jsonl"
                )
        return self._lines([[_cell(row.get(name)) for name in self.names] for row in rows])

    def _lines(self, rows):
        text = io.StringIO()
        csv.writer(text, delimiter="\t" if self.form == "tsv" else ",", lineterminator="\n").writerows(rows)
        return text.getvalue().encode("utf-8", "replace")


def _one_line(value):
    text = "" if value is None else value if isinstance(value, str) else json_text(value, "null", ensure_ascii=False)
    return " ".join(text.splitlines())


def _cell(value):
    if value is None or isinstance(value, str):
        return value or ""
    return repr(value) if isinstance(value, (bool, int, float)) else json_text(value, "null", ensure_ascii=False, default=str)
