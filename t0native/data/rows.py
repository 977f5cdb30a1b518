"""Rows: where examples come from. A row is a mapping of field names to values; rows are any sequence of them.

    read_rows(path)      by the ending: .jsonl / .ndjson, .json (a list), .csv, .tsv, .parquet and .arrow (arrowrows.py)
    sequence_of(object)  lists, `datasets` objects, data frames: anything with a length and rows by number
    lines_of(path)       the lines of a text, for other readers

Errors are DataError with the file and the line; a file that cannot be opened is an OSError."""

import csv
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from t0native.base.arguments import shown
from t0native.base.errors import DataError
from t0native.data.arrowrows import read_arrow
from t0native.data.distributed import convert_rows
from t0native.data.lines import kind_of, lines_of, parse_example, read_jsonl, require_rows

__all__ = [
    "columns_of", "csv_cells", "csv_records", "is_written_as", "lines_of", "long_cells", "number_kind", "parse_example",
    "read_csv", "read_json", "read_jsonl", "read_rows", "rows_of", "sequence_of",
]  # fmt: skip
_LIMIT = threading.RLock()


def read_csv(path, delimiter=","):
    """The rows of a CSV file (first line: field names), a list of dicts. With a tab as delimiter a quotation mark is a
    character like any other, and a line is a row. A column becomes numbers where that loses nothing:
    where every cell is written as Python writes that number. DataError and OSError as `read_jsonl`'s.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "rows.csv")
    ...     _ = path.write_text("text,label\\nI loved it.,1\\n")
    ...     t0.read_csv(path)
    [{'text': 'I loved it.', 'label': 1}]
    """
    with long_cells():
        records = csv_records(path, lines_of(path), delimiter)
        names = next(records)
        rows = [dict(zip(names, cells)) for cells in records if cells]
    return _parse_numbers(require_rows(path, rows))


@contextmanager
def long_cells():
    """Cells of any length while the block lasts: csv's limit is the process's, so one thread at a time raises it and sets it back."""
    with _LIMIT:
        limit = csv.field_size_limit(sys.maxsize)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def csv_cells(lines, delimiter):
    """csv's reader of an iterable of lines, under our rules."""
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    return csv.reader(lines, delimiter=delimiter, strict=True, quoting=quoting)


def csv_records(path, lines, delimiter):
    """Lists of texts out of the (number, line)s of a CSV file: the field names, then the cells of each row; of a blank line none.
    Not a line is asked for before it is needed. DataError as `read_csv`'s."""
    reader = csv_cells((line for _, line in lines), delimiter)
    started = 1  # the line in which the row being read begins
    try:
        names = next(reader, None)
        if not names:
            raise DataError(f"{path}: empty; the first line must hold the field names")
        repeated = [name for name in names if names.count(name) > 1]
        if repeated:
            raise DataError(f"{path}, line 1: the field {repeated[0]!r} stands twice")
        yield names
        started = reader.line_num + 1
        for cells in reader:
            if len(cells) != len(names) and cells:
                raise DataError(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but line 1 names {len(names)} fields; "
                    "quote cells that hold the delimiter or a line end"
                )
            yield cells
            started = reader.line_num + 1
    except csv.Error as error:
        if "unexpected end of data" in str(error):
            raise DataError(f"{path}: a quotation mark opens in the row of line {started} and is never closed") from None
        if "new-line character seen in unquoted field" in str(error):
            raise DataError(
                f"{path}, line {reader.line_num}: a carriage return alone ends no line; write line ends as \\n or \\r\\n"
            ) from None
        raise DataError(f"{path}, line {reader.line_num}: {error}") from None


def _parse_numbers(rows):
    for name, text in rows[0].items():
        kind = number_kind(text)
        if kind is not None and all(is_written_as(kind, row[name]) for row in rows):
            for row in rows:
                row[name] = kind(row[name])
    return rows


def number_kind(text):
    """int or float where the text is as Python writes one, else None; no text is both.

    >>> [number_kind(text) for text in ("12", "-0.5", "012", "1e3", "")]
    [<class 'int'>, <class 'float'>, None, None, None]
    """
    return next((kind for kind in (int, float) if is_written_as(kind, text)), None)


def is_written_as(kind, text):
    """Whether the text is what Python writes for a number of this kind."""
    try:
        return text[-1:].isdigit() and repr(kind(text)) == text
    except ValueError:
        return False


def read_json(path):
    """The rows of a JSON file that is a list of objects."""
    rows = parse_example("".join(line for _, line in lines_of(path)), path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: must be a list of objects, is {kind_of(rows)}; for one object a line name the file .jsonl")
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"{path}, element {i}: a row must be an object, this is {kind_of(row)}")
    return require_rows(path, rows)


_READERS = {
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": lambda path: read_csv(path, "\t"),
    ".parquet": read_arrow,
    ".arrow": read_arrow,
}


def read_rows(path, dataset=None):
    """The rows of a file, read by its ending; with dataset ("super_glue/wsc.fixed"), converted to its public columns.
    DataError for an unknown ending and as `read_jsonl`.

    >>> len(t0.read_rows(Path(t0.__file__).parent / "mini/heldout/rows/sense.jsonl"))
    500
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if path.is_dir():
        inside = sorted(p.name for p in path.iterdir() if p.suffix.lower() in _READERS)
        raise DataError(f"{path}: a folder; name a file of rows in it" + (f" ({', '.join(inside[:8])})" if inside else ""))
    if reader is None:
        raise DataError(f"{path}: unknown kind of file {path.suffix!r}; known are {', '.join(_READERS)}")
    rows = reader(path)
    return rows if dataset is None else convert_rows(dataset, rows, path)


def sequence_of(rows, what="rows"):
    """`rows` as something with a length and rows by number: lists and `datasets` objects as they are, data frames and
    iterators as lists. A mapping of splits is refused with the names of the splits."""
    if isinstance(rows, (str, Path)):
        raise DataError(f"{what}: {str(rows)!r} is a name; read the file first: t0native.read_rows({str(rows)!r})")
    if isinstance(rows, Mapping):
        raise DataError(f"{what}: a mapping, not rows; choose one of its parts: {', '.join(map(str, list(rows)[:8]))}")
    if hasattr(rows, "to_dict") and hasattr(rows, "iloc"):
        return rows.to_dict("records")
    if hasattr(rows, "to_pylist"):  # a table of pyarrow
        return rows.to_pylist()
    if hasattr(rows, "__len__") and hasattr(rows, "__getitem__"):
        return rows
    if hasattr(rows, "__iter__"):
        return list(rows)
    raise DataError(f"{what}: {kind_of(rows)} is no sequence of rows")


def rows_of(data):
    """An iterable of rows out of what `sequence_of` takes, or out of columns: a mapping of equally long sequences.

    >>> list(rows_of({"a": [1, 2], "b": ["x", "y"]}))
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    if not isinstance(data, Mapping):
        return sequence_of(data)
    lengths = {}
    for name, column in data.items():
        if isinstance(column, str) or not hasattr(column, "__len__"):
            raise DataError(f"column {shown(name)}: {kind_of(column)}, must be a list of values (rows may also be a list of mappings)")
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different lengths: {', '.join(f'{shown(name)} {length}' for name, length in lengths.items())}")
    return (dict(zip(data, values)) for values in zip(*data.values()))


def columns_of(rows):
    """Field names that all rows share by construction (`datasets` objects), or None where rows may differ."""
    names = getattr(rows, "column_names", None)
    return list(names) if isinstance(names, Sequence) and not isinstance(names, str) else None
