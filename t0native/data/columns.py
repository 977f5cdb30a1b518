"""What the columns of a table of texts are, decided by all of their cells in one pass, and what is told of it.

    told      a type that somebody told (types.py), where every cell is of it
    int       else, where every cell is a whole number as Python writes it (-8; not 08, +8, 8e3), or, beside blank cells, 8.0: a data
              frame writes whole numbers so where one is missing
    float     every cell is a decimal as Python writes it, without an exponent (-0.5; not .5, 0.50, 5e-1)
    bool      every cell is True or False, or every cell true or false
    text      else

A blank cell is None, and never changes what a column is; in a column that is told to be text it is the empty text. One line of the
logger "t0native" tells what was converted into what, what looks like numbers and stays text, and how many cells are None."""

import logging
import re

from t0native.base.errors import DataError
from t0native.base.showing import named, shown

__all__ = ["Columns", "note_of", "tell"]

_log = logging.getLogger("t0native")
_INT = re.compile(r"-?[1-9][0-9]{0,3999}|0", re.ASCII)
_FLOAT = re.compile(r"-?[0-9]+\.[0-9]+", re.ASCII)
_NUMBERLIKE = re.compile(r"\s*[+-]?(?:[0-9][0-9,]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*", re.ASCII)
SHOWN = 8


def _is_float(text):
    return _FLOAT.fullmatch(text) is not None and repr(float(text)) == text


def _is_old_float(text):
    """As version 0.1.0 had it."""
    try:
        return text[-1:].isdigit() and repr(float(text)) == text
    except ValueError:
        return False


RULES = {
    "int": lambda text: _INT.fullmatch(text) is not None,
    "float": _is_float,
    "whole": lambda text: text.endswith(".0") and _is_float(text),
    "True": lambda text: text in ("True", "False"),
    "true": lambda text: text in ("true", "false"),
    "old float": _is_old_float,
    "number": lambda text: _NUMBERLIKE.fullmatch(text) is not None,
    "truth": lambda text: text.strip().lower() in ("true", "false"),
}
CONVERTERS = {"int": int, "float": float, "whole": lambda text: int(text[:-2]), "bool": lambda text: text in ("True", "true")}


class _Column:
    """The cells of one column, seen block by block."""

    def __init__(self, name, told):
        self.name, self.told = name, told
        self.cells, self.blanks, self.may, self.against = 0, 0, dict.fromkeys(RULES), {}
        self.unfit = None  # (line, text) of the first cell that is not what was told

    def look(self, cells, lines):
        self.cells += len(cells)
        blanks = cells.count("")
        self.blanks += blanks
        if self.told is not None and self.unfit is None and not self.told.nested and self.told.kind != "text":
            self._look_as_told(cells, lines)
        if self.may and (full := [text for text in cells if text] if blanks else cells):
            for rule in list(self.may):
                odd = next((text for text in full if not RULES[rule](text)), None)
                if odd is not None:
                    del self.may[rule]
                    self.against[rule] = odd

    def _look_as_told(self, cells, lines):
        for text, line in zip(cells, lines):
            if text:
                try:
                    self.told.convert(text)
                except ValueError:
                    self.unfit = line, text
                    return

    def decide(self, mode):
        """{"as": a kind, "said": what is told of it or None, "blank": what a blank cell is, "blanks": how many, "note": a sentence}."""
        told = self.told if mode is None else None
        if mode == "0.1.0":
            rules = () if self.blanks else (("int", "int"), ("old float", "float"))
            kind = next((kind for rule, kind in rules if rule in self.may), "text")
            return {"as": kind, "said": None, "blank": "", "blanks": 0, "note": None}
        if mode == "text" or (told is not None and told.kind == "text" and not told.nested):
            return {"as": "text", "said": None, "blank": "", "blanks": 0, "note": None}
        if told is not None and not told.nested and self.unfit is None:
            by_name = told.names is not None and self.cells > self.blanks and "int" not in self.may
            said = f"{told.kind} (by name)" if by_name else told.kind
            return {"as": "told", "said": said, "blank": None, "blanks": self.blanks, "note": None}
        kind = self._find_kind()
        said = None if kind == "text" else kind.replace("whole", "int")
        return {"as": kind, "said": said, "blank": None, "blanks": self.blanks, "note": self._find_note(kind)}

    def _find_kind(self):
        if self.cells > self.blanks:
            for rule, kind in (("int", "int"), ("whole", "whole"), ("float", "float"), ("True", "bool"), ("true", "bool")):
                if rule in self.may and (rule != "whole" or self.blanks):
                    return kind
        return "text"

    def _find_note(self, kind):
        if self.unfit is not None:
            line, text = self.unfit
            return f"{named(self.name)} is not {self.told.whose}'s {self.told} (line {line} has {shown(text)})"
        if kind != "text" or self.cells == self.blanks:
            return None
        if self.told is not None:
            return f"{named(self.name)} stays text, in {self.told.whose} it is no flat value: use JSON Lines or Parquet"
        if "truth" in self.may:
            return f"{named(self.name)} stays text ({shown(self.against['True'])})"
        if "number" in self.may:  # no number as Python writes it, or whole ones among decimals
            odd = [text for rule in ("int", "float") if not any(RULES[other](text := self.against[rule]) for other in ("int", "float"))]
            return f"{named(self.name)} stays text ({shown(odd[0]) if odd else 'whole numbers and decimals'})"
        return None


class Columns:
    """The columns of a table of texts under some Types (types.py). place: the file, for errors.  said: of it besides, or ""."""

    def __init__(self, place, names, types, said=""):
        types.check_fields(place, names)
        self.place, self.names, self.types, self._said = place, list(names), types, [said] if said else []
        self._columns = [_Column(name, types.told.get(name)) for name in names]

    def look(self, rows, lines):
        """rows: lists of texts, as many in each as there are names; lines: in which each begins. DataError for a cell that is not what
        `types` tells."""
        for column, cells in zip(self._columns, zip(*rows)):
            column.look(cells, lines)
            if column.unfit is not None and column.told.must_fit:
                line, text = column.unfit
                raise DataError(f"{self.place}, line {line}: {named(column.name)} is {shown(text)}, must be {column.told}, as types says")

    def decide(self):
        """What each column is, a list of dicts that JSON can hold; see _Column.decide."""
        return [column.decide(self.types.mode) for column in self._columns]

    def converters(self, decided):
        """[(place in a row, function of a text)] of the columns that are not texts as they stand."""
        functions = []
        for i, (column, about) in enumerate(zip(self._columns, decided)):
            convert = column.told.convert if about["as"] == "told" and column.told else CONVERTERS.get(about["as"])
            if convert is not None or about["blank"] is None:
                functions.append((i, _with_blank(convert)))
        return functions

    def tell(self, decided):
        """Logs the line about what was converted; nothing where nothing was."""
        made = self._said + [f"{named(column.name)} is {about['said']}" for column, about in zip(self._columns, decided) if about["said"]]
        tell(self.place, made, sum(about["blanks"] for about in decided), [about["note"] for about in decided if about["note"]])


def _with_blank(convert):
    if convert is None:
        return lambda text: text or None
    return lambda text: convert(text) if text else None


def note_of(made, gaps, notes, what="blank cell"):
    """The sentence about what became of columns, or "".

    >>> note_of(["label is int", "score is float"], 3, ["zip stays text ('01234')"])
    "label is int, score is float; 3 blank cells are None; zip stays text ('01234')"
    """
    first = ", ".join(made[:SHOWN]) + (f" and {len(made) - SHOWN} more" if len(made) > SHOWN else "")
    blank = f"{gaps} {what}{'s are' if gaps != 1 else ' is'} None" if gaps else ""
    return "; ".join(filter(None, [first, blank, *notes[:SHOWN]]))


def tell(place, made, gaps, notes, what="blank cell"):
    """Logs note_of, where there is something to tell."""
    sentence = note_of(made, gaps, notes, what)
    if sentence:
        _log.warning("%s: %s", place, sentence)
