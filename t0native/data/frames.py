"""Rows out of what Python holds: data frames, tables, streams of Arrow, objects of `datasets`, columns, lists.

    pandas             a list of dicts; gaps (NaN, NaT, NA) are None
    polars, pyarrow,   by __arrow_c_stream__ (needs pyarrow), polars without: a list of dicts
      duckdb, ...
    NumPy              an array of records: a list of dicts
    `datasets`         the object itself, or behind functions of its values where some become others
    columns            a mapping of equally long lists: a list of dicts
    lists, iterators   as they are, as lists

What columns become is arrowcolumns.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import listed, named, printable, shown
from t0native.data.arrowchecks import check_table, naming_errors, rows_of_batch
from t0native.data.arrowcolumns import ArrowColumns, mend_columns
from t0native.data.lines import kind_of, require_distinct
from t0native.data.numbered import NumberedRows
from t0native.data.types import read_types

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable
    from typing import Any

    from t0native.base.annotations import Row, Rows

__all__ = ["TypedRows", "are_columns", "columns_of", "convert_told", "row_remedy", "rows_of", "sequence_of", "why_no_row"]


def sequence_of(rows: Rows, what: str = "rows", dataset: str | None = None, types: Mapping[str, Any] | str | None = None) -> Sequence[Row]:
    """`rows` as something with a length and rows by number: lists and `datasets` objects as they are, data frames, tables, streams of
    Arrow, columns and iterators as lists. A mapping of splits is refused with the names of the splits.

    dataset, types: what the fields are, as `read_csv`'s; a dataset's types are those of data frames and tables, lists keep what they
    hold unless `types` names a field.

    >>> sequence_of({"text": ["a", "b"], "label": [1.0, float("nan")]})
    [{'text': 'a', 'label': 1}, {'text': 'b', 'label': None}]
    """
    if isinstance(rows, (str, Path)):
        raise DataError(f"{what}: {shown(str(rows))} is a name; read the file first: t0native.read_rows({shown(str(rows))})")
    types = read_types(types, dataset)
    if isinstance(rows, Mapping):
        if not are_columns(rows):
            raise DataError(f"{what}: {_why_no_columns(rows)}")
        return _rows_of_columns(what, _listed(rows), types)
    if getattr(getattr(rows, "dtype", None), "names", None):  # an array of records
        return _rows_of_columns(what, {name: rows[name].tolist() for name in rows.dtype.names}, types)
    if _is_column(rows):
        return convert_told(what, _values_of_column(what, rows), types)
    if hasattr(rows, "to_dict") and hasattr(rows, "iloc"):
        return _rows_of_pandas(what, rows, types)
    if _is_of_datasets(rows):
        return _typed_dataset(what, rows, types)
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "to_pylist"):
        return _rows_of_arrow(what, rows, types)
    if hasattr(rows, "__len__") and hasattr(rows, "__getitem__"):
        return convert_told(what, _by_number(what, rows), types)
    if hasattr(rows, "__iter__"):
        return convert_told(what, list(rows), types)
    remedy = f"; {type(rows).__name__}.collect() gives a data frame" if hasattr(rows, "collect") else ""
    raise DataError(f"{what}: {kind_of(rows)} is no sequence of rows{remedy}")


def why_no_row(row: Any) -> str | None:
    """Why what stands in the place of a row is none, in words with the remedy; None for a mapping.

    >>> why_no_row({"text": "Tea."}), why_no_row(("Tea.", 1))
    (None, 'a row must be a mapping of fields, is tuple; dict(zip(names, row)) names its values')
    """
    if isinstance(row, Mapping):
        return None
    return f"a row must be a mapping of fields, is {type(row).__name__}{row_remedy(row)}"


def row_remedy(row: Any) -> str:
    """How what is no row becomes one, as the end of a sentence, or ""."""
    if isinstance(row, str):
        return '; texts are rows under the name of their field: {"text": [...]}'
    if isinstance(row, PathLike):
        return "; read the file first: t0native.read_rows(name)"
    if isinstance(row, tuple) and len(row) == 2 and hasattr(row[1], "to_dict"):
        return "; the data frame itself serves as rows"
    remedies = {
        "_asdict": "row._asdict()",
        "to_dict": "row.to_dict()",
        "__dataclass_fields__": "dataclasses.asdict(row)",
        "keys": "dict(row)",
    }
    remedy = next((words for name, words in remedies.items() if hasattr(row, name)), None)
    if remedy is not None:
        return f"; {remedy} is one"
    return "; dict(zip(names, row)) names its values" if isinstance(row, Sequence) or hasattr(row, "tolist") else ""


def rows_of(data: Rows) -> Iterable[Row]:
    """An iterable of rows out of what `sequence_of` takes, or out of columns: a mapping of equally long sequences.

    >>> list(rows_of({"a": [1, 2], "b": ["x", "y"]}))
    [{'a': 1, 'b': 'x'}, {'a': 2, 'b': 'y'}]
    """
    if not isinstance(data, Mapping):
        return sequence_of(data)
    lengths = {}
    for name, column in data.items():
        if _is_table(column):
            raise DataError(f"rows: {_why_no_columns(data)}")
        if isinstance(column, str) or not hasattr(column, "__len__"):
            raise DataError(f"column {shown(name)}: {kind_of(column)}, must be a list of values (rows may also be a list of mappings)")
        lengths[name] = len(column)
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different lengths: {', '.join(f'{shown(name)} {length}' for name, length in lengths.items())}")
    return (dict(zip(data, values)) for values in zip(*data.values()))


def columns_of(rows: Any) -> list[str] | None:
    """Field names that all rows share by construction (`datasets` objects), or None where rows may differ."""
    names = getattr(rows, "column_names", None)
    return list(names) if isinstance(names, Sequence) and not isinstance(names, str) else None


def are_columns(data):
    """Whether a mapping is of columns, equally long lists of values, and not of splits, whose lists are of rows.

    >>> are_columns({"text": ["a"], "label": [1]}), are_columns({"train": [{"text": "a"}]}), are_columns({"train": []})
    (True, False, False)
    """
    columns = list(data.values())
    if not all(
        hasattr(column, "__len__") and not isinstance(column, (str, bytes, Mapping)) and not _is_table(column) for column in columns
    ):
        return False
    lengths = set(map(len, columns))
    if len(lengths) != 1 or lengths == {0}:
        return False
    return not all(isinstance(next(iter(column)), Mapping) for column in columns)


def convert_told(what, rows, types):
    """Rows whose fields that `types` names are of their types; the rows themselves where it names none."""
    if not types.explicit:
        return rows
    types.check_fields(what, dict.fromkeys(chain.from_iterable(row for row in islice(rows, 100) if isinstance(row, Mapping))))
    return [_convert_row(f"{what}, row {i}", row, types.explicit) for i, row in enumerate(rows)]


class TypedRows(NumberedRows):
    """Rows by number of which some values become others. functions: {field: function of a value}.  column_names: its fields."""

    def __init__(self, rows, functions):
        self._rows, self._functions = rows, functions
        self.column_names = columns_of(rows)

    def __len__(self):
        return len(self._rows)

    def _row(self, i):
        row = dict(self._rows[i])
        for name, function in self._functions.items():
            row[name] = function(row[name])
        return row


# ---- inside ---------------------------------------------------------------------------------------------------------


def _convert_row(place, row, told):
    if not isinstance(row, Mapping):
        return row
    row = dict(row)
    for name in told.keys() & row.keys():
        try:
            row[name] = told[name].convert(row[name])
        except ValueError:
            raise DataError(f"{place}: {named(name)} is {shown(row[name])}, must be {told[name]}, as types says") from None
    return row


def _rows_of_columns(what, columns, types):
    columns = mend_columns(what, columns, types)
    return [dict(zip(columns, values)) for values in zip(*columns.values())]


def _listed(columns):
    """The columns as lists of Python's own values."""
    return {name: column.tolist() if hasattr(column, "tolist") else list(column) for name, column in columns.items()}


def _is_table(value):
    """Asked of the type: a lazy frame would compute them."""
    return any(hasattr(type(value), name) or name in getattr(value, "__dict__", ()) for name in ("columns", "column_names"))


def _why_no_columns(mapping):
    """What a mapping is that is not of columns, and the remedy."""
    values = list(mapping.values())
    if values and all(isinstance(key, str) for key in mapping) and all(_is_value(value) for value in values):
        return f"one row, with the fields {listed(mapping, 8)}; put it into a list: [row]"
    if values and all(isinstance(value, Mapping) for value in values) and not all(isinstance(key, str) for key in mapping):
        return "a mapping of rows; list(rows.values()) is a list of them"
    lengths = [len(value) for value in values if hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping))]
    if len(set(lengths)) > 1 and len(lengths) == len(values) and not any(_is_table(value) or _holds_rows(value) for value in values):
        return f"columns of different lengths: {', '.join(f'{shown(name)} {n}' for name, n in zip(mapping, lengths))}"
    return f"a mapping, not rows; choose one of its parts: {listed(mapping, 8)}"


def _is_value(value):
    return value is None or isinstance(value, (str, bytes, int, float))


def _holds_rows(values):
    return isinstance(next(iter(values), None), Mapping)


def _is_column(rows):
    """Whether it is one column of a data frame or a table, or an array: values of one kind, by no name."""
    if _is_table(rows) or isinstance(rows, (list, tuple)):
        return False
    of_pandas, of_arrow = hasattr(rows, "iloc") and hasattr(rows, "tolist"), hasattr(rows, "type") and hasattr(rows, "to_pylist")
    of_polars = hasattr(rows, "dtype") and hasattr(rows, "to_list")
    return of_pandas or of_arrow or of_polars or (hasattr(rows, "dtype") and hasattr(rows, "ndim"))


def _values_of_column(what, column):
    """The rows that a column holds, a list; DataError where its values are none."""
    turn = next(name for name in ("to_pylist", "to_list", "tolist") if hasattr(column, name))
    with naming_errors(what):
        values = getattr(column, turn)()
    first = values[0] if isinstance(values, list) and values else {}
    if isinstance(first, list) and len(getattr(column, "shape", ())) > 1:
        raise DataError(
            f"{what}: an array of shape {shown(column.shape)}, and no rows; its columns need names: {{'text': values[:, 0], ...}}"
        )
    if not isinstance(values, list) or why_no_row(first):
        own = getattr(column, "name", None) or getattr(column, "_name", None)
        name = shown(own if isinstance(own, str) else "text")
        kind = f"{type(column).__name__} of {type(first).__name__}"
        raise DataError(f"{what}: one column, {kind}, and no rows; the field needs its name: {{{name}: values}}, or give the whole table")
    return values


def _by_number(what, rows):
    """Rows that have a length and numbers, as they are. DataError where the first cannot be had by its number."""
    if not isinstance(rows, (list, tuple, NumberedRows)) and len(rows):
        try:
            rows[0]
        except (KeyError, TypeError) as error:
            why = f"{type(error).__name__}: {printable(str(error))}"
            raise DataError(f"{what}: {kind_of(rows)} is no sequence of rows: rows[0] fails ({why})") from None
    return rows


def _rows_of_pandas(what, frame, types):
    names = list(frame.columns)
    require_distinct(what, names)
    if not names:
        return [{} for _ in range(len(frame))]
    with naming_errors(what):
        columns = {name: frame[name].tolist() for name in names}
    return _rows_of_columns(what, columns, types)


def _is_of_datasets(rows):
    """A `datasets.Dataset`, or what is like one: rows by number, with names of columns and features."""
    known = columns_of(rows) is not None and isinstance(getattr(rows, "features", None), Mapping)
    return known and hasattr(rows, "with_format") and hasattr(rows, "__len__")


def _typed_dataset(what, rows, types):
    import pyarrow  # which the library datasets is made of

    about = ArrowColumns.of_schema(pyarrow, what, rows.features.arrow_schema, types)
    if about.open_names:
        with naming_errors(what):
            table = check_table(what, rows.select_columns(about.open_names).with_format("arrow")[:])
        about.look(table)
    functions = about.functions(about.decide())
    return TypedRows(rows, functions) if functions else rows


def _rows_of_arrow(what, rows, types):
    if not hasattr(rows, "__arrow_c_stream__"):
        with naming_errors(what):
            return rows.to_pylist()
    try:
        import pyarrow
    except ImportError:
        if hasattr(rows, "get_columns") and hasattr(rows, "to_dict"):  # polars can without
            with naming_errors(what):
                columns = rows.to_dict(as_series=False)
            return _rows_of_columns(what, columns, types)
        raise ConfigError(f"{what}: {type(rows).__name__} needs pyarrow: pip install pyarrow") from None
    with naming_errors(what):
        table = check_table(what, pyarrow.table(rows))  # whoever made it may be wrong about it
        require_distinct(what, table.column_names)
    if not table.column_names:
        raise DataError(f"{what}: a table without columns")
    about = ArrowColumns.of_schema(pyarrow, what, table.schema, types)
    columns = {name: [row[name] for row in rows_of_batch(what, table.select([name]))] for name in table.column_names}
    about.look(columns)
    for name, function in about.functions(about.decide()).items():
        columns[name] = list(map(function, columns[name]))
    return [dict(zip(columns, values)) for values in zip(*columns.values())]
