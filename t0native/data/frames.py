"""Rows out of what Python holds: data frames, tables, streams of Arrow, objects of `datasets`, columns, lists.

    pandas             a list of dicts; gaps (NaN, NaT, NA) are None
    polars, pyarrow,   by __arrow_c_stream__ (needs pyarrow), polars without: a list of dicts
      duckdb, ...
    `datasets`         the object itself, or behind functions of its values where some become others
    columns            a mapping of equally long lists: a list of dicts
    lists, iterators   as they are, as lists

What columns become is arrowcolumns.py's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import listed, named, shown
from t0native.data.arrowchecks import check_table, naming_errors, rows_of_batch
from t0native.data.arrowcolumns import ArrowColumns, mend_columns
from t0native.data.lines import kind_of, require_distinct
from t0native.data.types import read_types

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable
    from typing import Any

    from t0native.base.annotations import Row, Rows

__all__ = ["TypedRows", "are_columns", "columns_of", "convert_told", "rows_of", "sequence_of"]


def sequence_of(rows: Rows, what: str = "rows", dataset: str | None = None, types: Mapping[str, str] | str | None = None) -> Sequence[Row]:
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
            raise DataError(f"{what}: a mapping, not rows; choose one of its parts: {listed(rows, 8)}")
        return _rows_of_columns(what, _listed(rows), types)
    if hasattr(rows, "to_dict") and hasattr(rows, "iloc"):
        return _rows_of_pandas(what, rows, types)
    if _is_of_datasets(rows):
        return _typed_dataset(what, rows, types)
    if hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "to_pylist"):
        return _rows_of_arrow(what, rows, types)
    if hasattr(rows, "__len__") and hasattr(rows, "__getitem__"):
        return convert_told(what, rows, types)
    if hasattr(rows, "__iter__"):
        return convert_told(what, list(rows), types)
    raise DataError(f"{what}: {kind_of(rows)} is no sequence of rows")


def rows_of(data: Rows) -> Iterable[Row]:
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


class TypedRows:
    """Rows by number of which some values become others. functions: {field: function of a value}.  column_names: its fields."""

    def __init__(self, rows, functions):
        self._rows, self._functions = rows, functions
        self.column_names = columns_of(rows)

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, i):
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
    return hasattr(value, "columns") or hasattr(value, "column_names")


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
    return columns_of(rows) is not None and isinstance(getattr(rows, "features", None), Mapping) and hasattr(rows, "with_format")


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
