"""What an argument, or a value in a file, must be: told in one form wherever it is wrong.

    NAME VALUE: must be WANTED            learning_rate 'fast': must be a number above 0

NumPy's numbers are numbers; true and false are not. Values are shown short, however large or deep they are."""

import numbers
import os
from collections.abc import Callable
from typing import NamedTuple

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import named, shown

__all__ = [
    "FLAG",
    "FOLDER",
    "MAPPING",
    "NAMES",
    "NUMBER",
    "SEED",
    "TEXT",
    "WHOLE",
    "Kind",
    "check",
    "check_keys",
    "number",
    "one_of",
    "whole",
]


class Kind(NamedTuple):
    """fits: whether a value is of the kind; wanted: what it must be, in words."""

    fits: Callable[[object], bool]
    wanted: str

    def or_none(self):
        """
        >>> whole(1).or_none().wanted
        'a whole number, at least 1, or None'
        """
        return Kind(lambda value: value is None or self.fits(value), f"{self.wanted}, or None")

    def problem(self, name, value):
        """The sentence about a value that does not fit, else None.

        >>> whole(1, 8).problem("threads", 9), whole(1, 8).problem("threads", 8)
        ('threads 9: must be a whole number from 1 to 8', None)
        """
        return None if self.fits(value) else f"{name} {shown(value)}: must be {self.wanted}"


def check(kind, name, value):
    """The value, where it is of the kind, NumPy's numbers as Python's own; else ConfigError."""
    if not kind.fits(value):
        raise ConfigError(kind.problem(name, value))
    return value.item() if isinstance(value, numbers.Number) and hasattr(value, "item") else value


def check_keys(place, mapping, kinds):
    """ConfigError where a key of the mapping is not among `kinds`, with the nearest, or its value not of its kind.

    >>> check_keys("tasks[0].", {"shot": 2}, {"shots": whole(0)})
    Traceback (most recent call last):
    t0native.ConfigError: unknown key tasks[0].shot; did you mean 'shots'?
    """
    for key, value in mapping.items():
        if key not in kinds:
            raise ConfigError(f"unknown key {place}{named(key)}; {suggest(key, kinds)}")
        check(kinds[key], f"{place}{key}", value)


def _is_number(value, of=numbers.Real):
    return isinstance(value, of) and not isinstance(value, bool)


def whole(least, most=None):
    """Whole numbers from `least` to `most`, or without an end."""
    if most is None:
        return Kind(lambda value: _is_number(value, numbers.Integral) and value >= least, f"a whole number, at least {least}")
    return Kind(lambda value: _is_number(value, numbers.Integral) and least <= value <= most, f"a whole number from {least} to {most}")


def number(fits, wanted):
    """Finite numbers for which fits(value) is true.

    >>> rate = number(lambda value: value > 0, "a number above 0")
    >>> [rate.fits(value) for value in (1, 0.0, float("inf"), "1")]
    [True, False, False, False]
    """
    return Kind(lambda value: _is_number(value) and float("-inf") < value < float("inf") and fits(value), wanted)


def one_of(*values):
    """
    >>> check(one_of("auto", "must"), "resume", "yes")
    Traceback (most recent call last):
    t0native.ConfigError: resume 'yes': must be 'auto' or 'must'
    """
    *most, last = map(repr, values)
    return Kind(lambda value: value in values, f"{', '.join(most)} or {last}" if most else last)


TEXT = Kind(lambda value: isinstance(value, str), "text")
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
NUMBER = number(lambda value: True, "a number")
WHOLE = Kind(lambda value: _is_number(value, numbers.Integral), "a whole number")
NAMES = Kind(lambda value: isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value), "a list of names")
FOLDER = Kind(lambda value: isinstance(value, (str, os.PathLike)) and str(value) and "\0" not in str(value), "the name of a folder")
MAPPING = Kind(lambda value: isinstance(value, dict), "a mapping of names to values")
SEED = whole(0, 2**64 - 1)  # what the counter-based generator takes
