"""The exceptions of t0native, and the one way in which messages suggest a name.

    Error                 base of all that t0native defines
    +- DataError          rows, files of rows, tasks (also a ValueError)
    +- ConfigError        arguments, configuration files, plans of a run (also a ValueError)
    +- FormatError        the content of a file is broken (also a ValueError)
    +- TemplateError      a template cannot be compiled or rendered; has line and column (also a ValueError)
    +- NumericError       a number is not finite (also an ArithmeticError)

Files that cannot be opened or written raise OSError, as everywhere in Python.

>>> issubclass(DataError, ValueError), issubclass(NumericError, ArithmeticError)
(True, True)
"""

from t0native._core import Error, FormatError, NumericError, TemplateError
from t0native.base.showing import listed, shown

__all__ = ["ConfigError", "DataError", "Error", "FormatError", "NumericError", "TemplateError", "nearest", "suggest", "with_place"]

_LONGEST = 200  # characters of a name that is compared with others


class DataError(Error, ValueError):
    """Rows, a file of rows or a task cannot serve; the message names the place and the remedy."""


class ConfigError(Error, ValueError):
    """An argument, a configuration file or a plan is not acceptable; the message names it and what would be."""


DataError.__module__ = ConfigError.__module__ = "t0native"


def nearest(name, names):
    """The one of `names` that is most like `name`, or None when none is. Names longer than 200 characters are like none: comparing
    takes the product of two lengths."""
    import difflib  # here: it takes longer to load than all else of this module, and few errors need it

    name = str(name)
    if len(name) > _LONGEST:
        return None
    matches = difflib.get_close_matches(name, [text for n in names if len(text := str(n)) <= _LONGEST], n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggest(name, names):
    """The end of a message about an unknown name: the nearest one, else all of them (cut at twelve)."""
    names = [n if isinstance(n, str) else str(n) for n in names]
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {shown(near)}?"
    return f"there are: {listed(names)}" if names else "there are none"


def with_place(error, text):
    """The error with another text; a TemplateError keeps its line and column."""
    copy = type(error)(text)
    if isinstance(error, TemplateError):
        copy.line, copy.column = getattr(error, "line", 0), getattr(error, "column", 0)
    return copy
