"""Types of fields: those that somebody told, and how a value becomes one of its type.

    types=None                           the types of T0's 66 datasets where the dataset is one, for the rest the rule of columns.py
    types={"label": "int", "id": "text"}  these fields, the rest as above: "text" "int" "float" "bool", or str int float bool
    types={"label": ["no", "yes"]}        a number that has names: a text that is one of them becomes its place
    types=a `datasets.Features`           its flat fields
    types="text"                          every cell of a CSV file is the text that it is
    types="0.1.0"                         as version 0.1.0 took them: columns of which all cells are numbers, blank ones included

    as text on a command line             label=int,id=text    label=no|yes    text    0.1.0

What is told in `types` must fit every row: DataError names the row that does not. What a dataset's own types say of a file that does not
fit them is left to the rule, and told."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from t0native.base.arguments import Kind
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.showing import shown
from t0native.data.datasetfacts import types_of
from t0native.data.distributed import ROW_FORMS

__all__ = ["TYPES", "Told", "Types", "parse_types", "read_types", "types_of_rows"]

KINDS = ("text", "int", "float", "bool")
MODES = ("text", "0.1.0")
_WANTED = "'text', '0.1.0', or a mapping of fields to 'text', 'int', 'float', 'bool' or a list of names"
_OF_PYTHON = {str: "text", int: "int", float: "float", bool: "bool"}
_WHOLE = re.compile(r"[+-]?[0-9]{1,4000}(?:\.0*)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_TRUTH = {"true": True, "false": False, "1": True, "0": False}


class Told(NamedTuple):
    """The type that somebody told a field to have. kind: of KINDS.  names: those of its numbers, or None.  whose: "types", or the
    dataset whose type it is.  nested: whether it is no flat value there, so that a table of texts cannot hold it."""

    kind: str
    names: tuple | None = None
    whose: str = "types"
    nested: bool = False

    @property
    def must_fit(self):
        return self.whose == "types"

    def convert(self, value):
        """The value as one of this type, a gap (None, NaN) as None; ValueError where it is none of them.

        >>> Told("int").convert("7.0"), Told("int", ("no", "yes")).convert("yes"), Told("text").convert(3), Told("bool").convert("FALSE")
        (7, 1, '3', False)
        """
        if value is None or value != value:
            return None
        if self.names is not None:
            return self._number_of(value)
        return _CONVERTERS[self.kind](value)

    def _number_of(self, value):
        """As `datasets` does: a name, or a number of one; -1 is no label."""
        if isinstance(value, str):
            for text in (value, value.strip()):
                if text in self.names:
                    return self.names.index(text)
        number = _as_int(value)
        if not -1 <= number < len(self.names):
            raise ValueError(value)
        return number

    def __str__(self):
        if self.names is None:
            return self.kind
        return "one of " + ", ".join(map(repr, self.names[:4])) + (", ..." if len(self.names) > 4 else "") + " or its number"


def _as_text(value):
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return repr(value)
    raise ValueError(value)


def _as_int(value):
    if isinstance(value, str):
        text = value.strip()
        if not _WHOLE.fullmatch(text):
            raise ValueError(value)
        return int(text.partition(".")[0])
    if isinstance(value, (bool, int)) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise ValueError(value)


def _as_float(value):
    if isinstance(value, str):
        if not _NUMBER.fullmatch(value.strip()):
            raise ValueError(value)
        return float(value)
    if isinstance(value, (int, float)):
        return float(value)
    raise ValueError(value)


def _as_bool(value):
    if isinstance(value, bool):
        return value
    if not isinstance(value, (str, int, float)):
        raise ValueError(value)
    text = value.strip().lower() if isinstance(value, str) else f"{value:g}"
    if text not in _TRUTH:
        raise ValueError(value)
    return _TRUTH[text]


_CONVERTERS = {"text": _as_text, "int": _as_int, "float": _as_float, "bool": _as_bool}


class Types:
    """What is told of the fields of rows. mode: None, or one of MODES.  told: {field: Told}.  explicit: those of `types` alone."""

    def __init__(self, mode=None, told=()):
        self.mode, self.told = mode, dict(told)
        self.explicit = {name: of for name, of in self.told.items() if of.must_fit}

    @property
    def key(self):
        """A value of JSON that is another for other types: an index of a file is made for one."""
        return [self.mode, [[name, *of] for name, of in sorted(self.told.items())]]

    def of_raw_form(self):
        """For rows in the form that a dataset's authors distribute: its labels, and what is no flat value, are not told."""
        return Types(self.mode, {name: of for name, of in self.told.items() if of.must_fit or not (of.names or of.nested)})

    def check_fields(self, place, fields):
        """DataError where `types` names a field that is not there."""
        for name in self.explicit:
            if name not in fields:
                raise DataError(f"{place}: types has {shown(name)}, no field of these rows; {suggest(name, list(fields))}")


def read_types(types, dataset=None):
    """The Types of an argument `types` (the head of this file) and the name of a dataset. ConfigError where it is none.

    >>> read_types({"label": int}, "super_glue/rte").told["label"], read_types(None, "winogrande/winogrande_xl").told["answer"].kind
    (Told(kind='int', names=None, whose='types', nested=False), 'text')
    """
    if isinstance(types, Types):
        return types
    if isinstance(types, str):
        if types not in MODES:
            raise ConfigError(f"types {shown(types)}: must be {_WANTED}")
        return Types(types)
    if types is not None and not isinstance(types, Mapping):
        raise ConfigError(f"types {shown(types)}: must be {_WANTED}")
    told = {name: _told_of_table(of, dataset) for name, of in types_of(dataset).items()}
    for name, of in (types or {}).items():
        told[name] = _told_of(name, of)
    return Types(None, {name: of for name, of in told.items() if of is not None})


def types_of_rows(types, dataset, row):
    """As `read_types`, for rows of which this is the first: labels of a dataset in the form that its authors distribute are left to its
    converter (distributed.py)."""
    types = read_types(types, dataset)
    form = ROW_FORMS.get(dataset)
    if form is None or not form.is_raw({name: _number_or_text(types.told.get(name), value) for name, value in row.items()}):
        return types
    return types.of_raw_form()


def _number_or_text(told, value):
    """A cell of a label that is a number, or blank, is no label in words."""
    if told is None or told.names is None or not isinstance(value, str):
        return value
    try:
        return _as_int(value) if value else None
    except ValueError:
        return value


def _told_of_table(of, dataset):
    if isinstance(of, str):
        return Told(of, whose=dataset)
    return Told("int", tuple(of["names"]), dataset) if "names" in of else Told("text", whose=dataset, nested=True)


def _told_of(name, of):
    """Of a value of the mapping `types`; None of a feature of `datasets` that is no flat one."""
    if not isinstance(name, str):
        raise ConfigError(f"types: field {shown(name)}: must be text")
    if isinstance(of, str) and of in KINDS:
        return Told(of)
    if isinstance(of, type) and of in _OF_PYTHON:
        return Told(_OF_PYTHON[of])
    names = getattr(of, "names", of)
    if isinstance(names, (list, tuple)) and names and all(isinstance(text, str) for text in names) and len(set(names)) == len(names):
        return Told("int", tuple(names))
    dtype = getattr(of, "dtype", None)
    if isinstance(dtype, str):
        kind = "text" if "string" in dtype else dtype.rstrip("0123456789").lstrip("u")
        return Told(kind) if kind in KINDS else None
    if hasattr(of, "feature") or isinstance(of, Mapping) or (isinstance(of, list) and of and hasattr(of[0], "dtype")):
        return None
    near = f"; {suggest(of, KINDS)}" if isinstance(of, str) else ""
    raise ConfigError(f"types: {shown(name)} is {shown(of)}, must be 'text', 'int', 'float', 'bool' or a list of different names{near}")


def parse_types(text):
    """The value of `types` that a text of the command line has, or None of None.

    >>> parse_types("label=int,mood=bad|good"), parse_types("text")
    ({'label': 'int', 'mood': ['bad', 'good']}, 'text')
    """
    if text is None or text in MODES:
        return text
    types = {}
    for part in text.split(","):
        name, equals, of = part.strip().partition("=")
        if not name or not equals or not of:
            raise ConfigError(f"--types {shown(text)}: must be FIELD=TYPE,... as in label=int,id=text,mood=bad|good, or text, or 0.1.0")
        if name in types:
            raise ConfigError(f"--types {shown(text)}: {shown(name)} stands twice")
        types[name] = of.split("|") if "|" in of else of
    read_types(types)
    return types


def _is_types(value):
    try:
        read_types(value)
    except ConfigError:
        return False
    return value is not None


TYPES = Kind(_is_types, _WANTED)  # of a key in a YAML file
