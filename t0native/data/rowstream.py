"""Rows of a file one after the other, in memory of a few of them, whatever its size: for what goes through a file once.

    .jsonl .ndjson            line by line; blank lines are passed over
    .csv .tsv                 twice: what the columns are, all cells decide (columns.py), then row by row
    .parquet                  batch by batch; columns that their values decide are read once before
    .arrow .feather           mapped
    .json                     in memory
    .txt .text                a row a line, {"text": line}; blank lines are passed over
    "-"                       standard input: lines of text unless `form` says else; CSV and others are laid down in a temporary file

Packed ones, shards and folders as everywhere (unpacking.py, layouts.py). The rows, their types and the errors are those of `read_rows`."""

import io
import itertools
import shutil
import sys
import tempfile
from pathlib import Path

from t0native.base.arguments import check, one_of
from t0native.base.errors import DataError
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.data.arrowrows import iter_parquet
from t0native.data.csvrows import blocks_of, csv_records, look_through
from t0native.data.dialects import TABLES, long_cells
from t0native.data.distributed import BESIDE, COLUMNS
from t0native.data.forms import FORMS
from t0native.data.lines import lines_of, parse_object, text_lines
from t0native.data.rows import files_at, read_files
from t0native.data.types import read_types
from t0native.data.unpacking import ROW_ENDINGS, ending_of, rows_ending

__all__ = ["RowStream", "stream_rows"]

LINES = (".txt", ".text")
COUNTED = 1 << 30  # bytes of a file whose lines are counted before: a second's work


class RowStream:
    """Rows to go through once or again: iterate.  name: of the file, or the first of them.  total: how many rows there are, where that is
    known before.  files: all that are read; none of standard input."""

    files = ()

    def __init__(self, name, total, start):
        self.name, self.total, self._start = name, total, start

    def __iter__(self):
        return self._start()

    def __repr__(self):
        return f"RowStream({self.name!r}, {'?' if self.total is None else format(self.total, ',')} rows)"


def stream_rows(path, dataset=None, types=None, form=None):
    """The rows of a file as a RowStream.

    path: a file, a folder of one table, or "-" for standard input.  form: one of FORMS, where the ending does not say it; unless given,
    standard input is text.  dataset, types: as `read_rows`'. DataError for an unknown ending, at once; for a broken row, with its
    line, when it is reached; OSError where a file cannot be opened."""
    check(one_of(*FORMS).or_none(), "form", form)
    if str(path) == "-":
        return _stream_stdin(form or "text", dataset, types)
    files = files_at(path)
    endings = {FORMS[form] if form is not None else _ending(file) for file in files}
    ending = endings.pop()
    if endings:
        raise DataError(f"{path}: files of one table must be of one kind, these are {', '.join(sorted({ending, *endings}))}")
    for file in files:
        open(file, "rb").close()  # an OSError that names it
    stream = _stream_files(files, ending, dataset, types)
    stream.files = tuple(files)
    return stream


def _ending(file):
    plain, _ = ending_of(file)
    if plain in LINES or Path(file.stem).suffix.lower() in LINES:
        return ".txt"
    if plain not in ROW_ENDINGS and file.exists() and file.suffix != ".zip":
        known = ", ".join((*ROW_ENDINGS, ".txt"))
        known_as = what_is(file)
        what = f"unknown kind of file {shown(file.suffix)}" if known_as in (None, "a file of rows") else f"{known_as}, which holds no rows"
        raise DataError(f"{file}: {what}; known are {known}; another one's form can be told: {', '.join(FORMS)}")
    return plain or rows_ending(file)


def _stream_files(files, ending, dataset, types):
    told = read_types(types, dataset)
    simple = dataset not in COLUMNS and dataset not in BESIDE  # else rows may be in the form of the authors, which takes all of them
    if ending == ".txt":
        return RowStream(str(files[0]), _count(files), lambda: _text_rows(files))
    if simple and ending in (".jsonl", ".ndjson"):
        return RowStream(str(files[0]), _count(files), lambda: _json_rows(files, told))
    if simple and ending in TABLES:
        return _stream_csv(files, TABLES[ending], told)
    if simple and ending == ".parquet" and len(files) == 1 and not ending_of(files[0])[1]:
        total, start = iter_parquet(files[0], told)
        return RowStream(str(files[0]), total, start)
    rows = read_files(files, dataset, types)
    return RowStream(str(files[0]), len(rows), lambda: (rows[i] for i in range(len(rows))))


def _stream_stdin(form, dataset, types):
    told = read_types(types, dataset)
    if form in ("text", "jsonl"):
        lines = text_lines("standard input", _stdin())
        rows = _rows_of_text(lines) if form == "text" else _rows_of_json("standard input", lines, told)
        return RowStream("standard input", None, lambda: rows)
    copy = tempfile.NamedTemporaryFile(suffix=FORMS[form])  # noqa: SIM115 - it goes with the stream that reads it
    shutil.copyfileobj(_stdin(), copy)
    copy.flush()
    stream = _stream_files([Path(copy.name)], FORMS[form], dataset, types)

    def start(copy=copy):
        yield from stream

    return RowStream("standard input", stream.total, start)


def _stdin():
    """Standard input as a binary file; what stands in its place may have texts alone."""
    return sys.stdin.buffer if hasattr(sys.stdin, "buffer") else io.BytesIO(sys.stdin.read().encode("utf-8", "surrogateescape"))


# ---- lines ------------------------------------------------------------------------------------------------------------


def _count(files):
    """How many lines with anything on them the files have; None where they are packed or too large to count."""
    if any(ending_of(file)[1] or not file.is_file() for file in files) or sum(file.stat().st_size for file in files) > COUNTED:
        return None
    total = 0
    for file in files:
        with open(file, "rb") as lines:
            total += sum(1 for line in lines if line.strip())
    return total


def _text_rows(files):
    for file in files:
        yield from _rows_of_text(lines_of(file))


def _rows_of_text(lines):
    return ({"text": line.rstrip("\r\n")} for _, line in lines if line.strip())


def _json_rows(files, types):
    for file in files:
        yield from _rows_of_json(file, lines_of(file), types)


def _rows_of_json(path, lines, types):
    for number, line in lines:
        if line.strip():
            row = parse_object(path, number, line)
            for name, told in types.explicit.items():
                row[name] = _told_value(path, number, row, name, told)
            yield row


def _told_value(path, number, row, name, told):
    try:
        return told.convert(row[name])
    except KeyError:
        raise DataError(f"{path}, line {number}: no field {shown(name)}, whose type was told") from None
    except ValueError:
        raise DataError(f"{path}, line {number}: {name} is {shown(row[name])}, must be {told}, as types says") from None


# ---- tables -----------------------------------------------------------------------------------------------------------


def _stream_csv(files, presumed, types):
    total = 0

    def count(rows):
        nonlocal total
        total += len(rows)

    columns, converters, dialects = look_through(files, None, types, None, count, presumed=presumed)

    def start():
        for file, dialect in zip(files, dialects):
            for rows in _blocks(file, dialect):
                for cells in rows:
                    for i, convert in converters:
                        cells[i] = convert(cells[i])
                    yield dict(zip(columns.names, cells))

    return RowStream(str(files[0]), total, start)


def _blocks(file, dialect):
    """Blocks of rows; csv's limit of a cell, which is the process's, is raised only while one is read."""
    records = csv_records(file, lines_of(file), dialect)
    blocks = blocks_of(itertools.islice(records, 1, None))
    while True:
        with long_cells():
            block = next(blocks, None)
        if block is None:
            return
        yield block[0]
