"""What the columns of a table with types become: those of Arrow, Parquet, `datasets` and data frames say what they are, but for two things.

    float with gaps, all else whole   int: a data frame writes whole numbers so where one is missing (1.0 beside NaN)
    NaN                               None, as a gap is

and a type that somebody told (types.py) goes before the table's. Lists and structures stay as they are."""

from collections.abc import Mapping

from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.data.arrowchecks import naming_errors
from t0native.data.columns import tell

__all__ = ["ArrowColumns", "mend_columns"]

EXACT = 1 << 53  # whole numbers below it are exact as float


def _int_of(value):
    return None if value is None or value != value else int(value)


def _gap_of(value):
    return None if value != value else value


class _Column:
    """What is known of a column. kind: of its values, as types.KINDS, or None where they are no flat ones."""

    def __init__(self, name, kind, told):
        self.name, self.kind = name, kind
        self.told = None if told is None or (not told.must_fit and (kind is None or kind == "bool" or told.nested)) else told
        self.gaps, self.whole, self.unfit = 0, True, None

    @property
    def is_open(self):
        """Whether its values decide what becomes of it."""
        return self.kind == "float" or (self.told is not None and (self.told.kind != self.kind or self.told.names is not None))

    def look(self, values, first):
        """values: a list; first: the row of the first. DataError for one that is not what `types` tells."""
        if self.kind == "float":
            numbers = [value for value in values if value is not None and value == value]
            self.gaps += len(values) - len(numbers)
            self.whole = self.whole and all(value.is_integer() and abs(value) <= EXACT for value in numbers)
        if self.told is not None and self.unfit is None:
            for i, value in enumerate(values, first):
                try:
                    self.told.convert(value)
                except ValueError:
                    self.unfit = i, value
                    return

    def decide(self):
        """What its values become: "int", "gap" (NaN is None), "told", or None: they stay."""
        if self.told is not None and self.unfit is None and self.is_open:
            return "told" if self.told.kind != "float" or self.kind != "float" else "gap" if self.gaps else None
        if self.kind == "float" and self.gaps:
            return "int" if self.whole else "gap"
        return None


class ArrowColumns:
    """The columns of a table. place: the file or the argument, for errors.  kinds: {field: its kind as types.KINDS, or None}.  names: its
    fields."""

    def __init__(self, place, kinds, types):
        types.check_fields(place, kinds)
        self.place, self.names, self.gaps = place, list(kinds), 0  # gaps: those that are None already
        self._columns = [_Column(name, kind, types.told.get(name)) for name, kind in kinds.items() if types.mode != "0.1.0"]

    @classmethod
    def of_schema(cls, pyarrow, place, schema, types):
        return cls(place, {field.name: _kind_of(pyarrow.types, field.type) for field in schema}, types)

    @property
    def open_names(self):
        """The fields whose values have to be looked at."""
        return [column.name for column in self._columns if column.is_open]

    def look(self, table, first=0):
        """table: a part of the table with Arrow's columns, or a mapping of lists.  first: the number of its first row."""
        get = table.__getitem__ if isinstance(table, Mapping) else lambda name: table.column(name).to_pylist()
        for column in self._columns:
            if column.is_open:
                with naming_errors(f"{self.place}, rows from {first}: {shown(column.name)}"):
                    values = get(column.name)
                column.look(values, first)
                if column.unfit is not None and column.told.must_fit:
                    row, value = column.unfit
                    raise DataError(f"{self.place}, row {row}: {column.name} is {shown(value)}, must be {column.told}, as types says")

    def decide(self):
        """What becomes of the columns, as JSON can hold it: {"columns": {field: "int", "gap" or "told"}, "note": what to tell of it}."""
        decided, made, gaps, notes = {}, [], self.gaps, []
        for column in self._columns:
            what = column.decide()
            if what is not None:
                decided[column.name] = what
                gaps += column.gaps
            if what in ("int", "told") and (what == "int" or column.told.kind != column.kind):
                made.append(f"{column.name} is {'int' if what == 'int' else column.told.kind}")
            if column.unfit is not None:
                row, value = column.unfit
                notes.append(f"{column.name} is not {column.told.whose}'s {column.told} (row {row} has {shown(value)})")
        return {"columns": decided, "note": [made, gaps, notes]}

    def functions(self, decided):
        """{field: function of a value} of what `decide` gave, which is told."""
        tell(self.place, *decided["note"], "gap")
        decided = decided["columns"]
        functions = {"int": _int_of, "gap": _gap_of}
        return {
            column.name: functions.get(decided[column.name]) or column.told.convert for column in self._columns if column.name in decided
        }


def _kind_of(types, of):
    """The kind of a type of Arrow, or None."""
    if types.is_dictionary(of):
        of = of.value_type
    if types.is_string(of) or types.is_large_string(of) or types.is_string_view(of):
        return "text"
    if types.is_boolean(of):
        return "bool"
    return "int" if types.is_integer(of) else "float" if types.is_floating(of) else None


def mend_columns(place, columns, types):
    """Columns of Python's values, a mapping of lists, with what is told of them and the two rules. A column is of a kind where all of its
    values are that are there; pandas' own gaps are gaps too."""
    if types.mode == "0.1.0":
        return columns
    columns, kinds, gaps = dict(columns), {}, 0
    for name, values in columns.items():
        if not all(type(value) is float or value is None for value in values):
            columns[name] = [None if _is_gap(value) else value for value in values]
        kinds[name] = _kind_of_values(columns[name])
        gaps += 0 if kinds[name] == "float" else sum(map(_is_gap, values))
    about = ArrowColumns(place, kinds, types)
    about.gaps = gaps
    about.look(columns)
    functions = about.functions(about.decide())
    return {name: list(map(functions[name], values)) if name in functions else values for name, values in columns.items()}


def _is_gap(value):
    """A gap that is not None."""
    return value != value if type(value) is float else type(value).__name__ in ("NaTType", "NAType")


def _kind_of_values(values):
    kinds = {type(value) for value in values if value is not None}
    return {float: "float", str: "text", bool: "bool", int: "int"}.get(kinds.pop()) if len(kinds) == 1 else None
