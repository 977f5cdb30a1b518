"""Rows of JSON files, in the forms that there are:

[{"text": "a"}, ...]                            a list of rows
{"text": "a"} NEWLINE {"text": "b"}             JSON Lines, under .json too
{"version": 1, "data": [{"text": "a"}, ...]}    rows inside: data, rows, examples, instances, items, in capitals or not
{"text": ["a", "b"], "label": [0, 1]}           columns: equally long lists
{"text": {"0": "a", "1": "b"}, ...}             columns of a data frame, by the numbers of its rows
{"0": {"text": "a"}, "1": ...}                  rows by their numbers
{"columns": ["text"], "data": [["a"], ["b"]]}   a data frame that was split"""

from __future__ import annotations

from typing import TYPE_CHECKING

from t0native.base.errors import DataError
from t0native.base.showing import named, shown
from t0native.data.lines import kind_of, lines_of, parse_example, parse_object, require_distinct, require_rows

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

    from t0native.base.annotations import PathName

__all__ = ["read_json"]

INSIDE = ("data", "rows", "examples", "instances", "items")
_FORMS = 'or {"data": [objects]}, or columns {"text": ["a"], "label": [0]}; for one object a line name the file .jsonl'


def read_json(path: PathName, *, encoding: str = "utf-8") -> list[dict[str, Any]]:
    """The rows of a JSON file, in one of the forms above, a list of dicts. encoding: as `read_csv`'s. DataError names file and element."""
    lines = list(lines_of(path, encoding))
    if _are_json_lines(path, lines):
        return require_rows(path, [parse_object(path, number, line) for number, line in lines if line.strip()])
    content = parse_example("".join(line for _, line in lines), path)
    rows = content if isinstance(content, list) else _rows_inside(path, content)
    for i, row in enumerate(rows):
        if not isinstance(row, dict):
            raise DataError(f"{path}, element {i}: a row must be an object, this is {kind_of(row)}")
    return require_rows(path, rows)


def _are_json_lines(path, lines):
    """Whether the first line with anything on it is a whole object, and others come behind it."""
    full = [line for _, line in lines if line.strip()][:2]
    if len(full) < 2 or not full[0].lstrip().startswith("{") or not full[1].lstrip().startswith("{"):
        return False
    try:
        return isinstance(parse_example(full[0].rstrip("\r\n"), path), dict)
    except DataError:
        return False


def _rows_inside(path, content):
    """The rows in what is no list."""
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be a list of objects, is {kind_of(content)}; {_FORMS}")
    names, cells = content.get("columns"), content.get("data")
    if isinstance(names, list) and isinstance(cells, list) and all(isinstance(row, list) and len(row) == len(names) for row in cells):
        if odd := [name for name in names if not isinstance(name, (str, int, float))]:
            raise DataError(f"{path}: the column {shown(odd[0])}: must be a text, is {kind_of(odd[0])}")
        require_distinct(path, names)
        return [dict(zip(names, row)) for row in cells]
    inside = [key for key, value in content.items() if key.lower() in INSIDE and _is_list_of(dict, value)]
    if len(inside) == 1:
        return content[inside[0]]
    values = list(content.values())
    if _are_columns(values) and not inside:
        return [dict(zip(content, row)) for row in zip(*values)]
    if values and all(isinstance(value, dict) for value in values):
        if all(key.isdecimal() for key in content):
            return values
        numbers = list(values[0])
        if numbers and all(key.isdecimal() for key in numbers) and all(list(value) == numbers for value in values):
            return [{name: column[number] for name, column in content.items()} for number in numbers]
    keys = ", ".join(f"{named(key)} ({kind_of(value)})" for key, value in list(content.items())[:6])
    raise DataError(f"{path}: must be a list of objects, is an object with {keys or 'nothing in it'}; {_FORMS}")


def _are_columns(values):
    """Equally long lists, and not the rows of several splits."""
    lists = values != [] and all(isinstance(value, list) for value in values) and len(set(map(len, values))) == 1
    return lists and not all(_is_list_of(dict, value) for value in values)


def _is_list_of(kind, value):
    return isinstance(value, list) and value != [] and all(isinstance(inner, kind) for inner in value)
