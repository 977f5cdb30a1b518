"""Lines: text files read line by line, packed ones too, and the JSON values that lines hold. Errors are DataError with file, line
and column. A name that stands twice in a row is an error wherever rows are read: the last value would hide the first."""

from __future__ import annotations

import codecs
import io
import json
import shlex
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError, DataError
from t0native.base.jsontext import MAX_DEPTH, is_too_deep
from t0native.base.showing import printable, shown
from t0native.data.unpacking import TEXT_ENDINGS, ending_of, open_unpacked, rows_ending

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator
    from typing import Any

    from t0native.base.annotations import PathName

__all__ = ["kind_of", "lines_of", "parse_example", "parse_object", "read_jsonl", "require_distinct", "require_rows", "text_lines"]


def read_jsonl(path: PathName, *, encoding: str = "utf-8") -> list[dict[str, Any]]:
    """The objects of a JSON Lines file, a list of dicts. Blank lines are passed over. encoding: as `read_csv`'s. DataError with file, line
    and column for what is no JSON object, and for an empty file; OSError where it cannot be opened.

    >>> rows = t0.read_jsonl(Path(t0.__file__).parent / "mini/heldout/rows/inference.jsonl")
    >>> len(rows), sorted(rows[0])
    (500, ['hypothesis', 'label', 'premise'])
    """
    rows = []
    for number, line in lines_of(path, encoding):
        if line.strip():
            rows.append(parse_object(path, number, line))
    return require_rows(path, rows)


def parse_example(text: str, path: PathName, line: int | None = None) -> Any:
    """The value of a JSON text. path: the file, or the option, that it came from; line: where it is one line of a file.

    >>> parse_example("{'a': 1}", "--example")
    Traceback (most recent call last):
    t0native.DataError: --example, line 1, column 2: not JSON (Expecting property name enclosed in double quotes): "{'a': 1}"
    """
    place = f"{path}, line {line}" if line else path
    try:
        value = _DECODER.decode(text)
        if is_too_deep(text, value):
            raise RecursionError
        return value
    except _Repeated as error:
        raise DataError(f"{place}: {error}") from None
    except json.JSONDecodeError as error:
        where, line_text = f"line {line or error.lineno}, column {error.colno}", text.split("\n")[error.lineno - 1]
        raise DataError(f"{path}, {where}: not JSON ({error.msg}): {_shorten(line_text)}") from None
    except RecursionError:
        raise DataError(f"{place}: nested too deeply: more than {MAX_DEPTH} levels") from None
    except ValueError:
        raise DataError(f"{place}: a number of more than {sys.get_int_max_str_digits()} digits; write it as a text") from None


class _Repeated(ValueError):
    """A name stands twice."""


def _object_of(pairs):
    """What JSON's decoder makes of an object."""
    values = dict(pairs)
    if len(values) < len(pairs):
        require_distinct("", [name for name, _ in pairs], _Repeated)
    return values


_DECODER = json.JSONDecoder(object_pairs_hook=_object_of)


def require_distinct(place, names, error=DataError):
    """An error that names the place, where a name stands twice among the names of fields."""
    if len(set(names)) < len(names):
        name = next(name for name, times in Counter(names).items() if times > 1)
        raise error(f"{place}{': ' if place else ''}the field {shown(name)} stands twice")


def parse_object(path, number, line):
    """The row that a line of a JSON Lines file is."""
    row = parse_example(line.rstrip("\r\n"), path, number)
    if not isinstance(row, dict):
        raise DataError(f"{path}, line {number}: a row must be an object {{...}}, this is {kind_of(row)}: {_shorten(line)}")
    return row


def lines_of(path: PathName, encoding: str = "utf-8") -> Iterator[tuple[int, str]]:
    """(number from 1, text with its end) of each line; a leading byte order mark is dropped, what is no text in this encoding is told.
    ConfigError for an encoding that Python has not."""
    is_utf8 = _codec(encoding) == "utf-8"
    with open_unpacked(path) as file:
        yield from text_lines(path, file) if is_utf8 else _decoded_lines(path, file, encoding)


def _codec(encoding):
    """Python's own name of an encoding of texts."""
    try:
        codec = codecs.lookup(encoding)
    except (LookupError, TypeError, ValueError):
        codec = None
    if codec is None or not getattr(codec, "_is_text_encoding", True):
        raise ConfigError(f"encoding {shown(encoding)}: must be one that Python has, as 'utf-8', 'cp1252', 'latin-1' or 'utf-16'")
    return "utf-8" if codec.name == "utf-8-sig" else codec.name


def _decoded_lines(path, file, encoding):
    number = 0
    try:
        with io.TextIOWrapper(file, encoding, newline="\n") as texts:
            for number, text in enumerate(texts, 1):
                yield number, text.removeprefix("\ufeff") if number == 1 else text
    except UnicodeError as error:
        what = printable(str(error))
        raise DataError(f"{path}, behind line {number}: not {encoding} ({what}); name the encoding that it is written in") from None


def text_lines(path, lines, first=1, at=0):
    """(number, text) of an iterable of a file's lines as bytes, from line `first` on, which begins at byte `at`; as `lines_of`."""
    for number, line in enumerate(lines, first):
        if number == 1 and (line.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in line):
            raise DataError(f"{path}, line 1: UTF-16, or no text; write it as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > NEW")
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            place = f"{path}, line {number}, byte {error.start + 1} (offset {at + error.start:,} of the file)"
            raise DataError(f"{place}: not UTF-8 (0x{line[error.start]:02x}){_as_excel_has_it(path, line, error.start)}") from None
        at += len(line)
        yield number, text.removeprefix("\ufeff") if number == 1 else text


def _as_excel_has_it(path, line, at):
    """The end of the message about a line that is no UTF-8: what it would be in the encoding of Western Windows, where it can be that, and
    the remedy."""
    is_file = str(path) != "standard input" and not ending_of(path)[1]
    old, new = (shlex.quote(str(name)) for name in (path, f"{Path(path).stem}.utf8{Path(path).suffix}")) if is_file else ("FILE", "NEW")
    try:
        around = line[max(0, at - 12) : at + 12].decode("cp1252").strip()
    except UnicodeDecodeError:
        return f"; write it as UTF-8: iconv -f ENCODING -t UTF-8 {old} > {new}"
    told = f"; in Windows-1252 it would be {shown(around)}: iconv -f WINDOWS-1252 -t UTF-8 {old} > {new}"
    return told + (", or in Python read_rows(..., encoding='cp1252')" if rows_ending(path) in TEXT_ENDINGS else "") if is_file else told


def require_rows(path, rows):
    """The rows of a file; DataError where there are none."""
    if not len(rows):
        raise DataError(f"{path}: no rows")
    return rows


def _shorten(text, limit=60):
    text = text.strip()
    return shown(text if len(text) <= limit else text[:limit] + "...")


def kind_of(value):
    """What a value of JSON is called in a message: "a list", "null"."""
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return "null" if value is None else kinds.get(type(value), f"a {type(value).__name__}")
