"""JSON read strictly: UTF-8, no name twice in one object, at most MAX_DEPTH levels; rows of users, which may be lines, are read in
data/lines.py. JSON written strictly: JSON has no NaN and no Infinity, and programs other than Python refuse a file that has them.

What is nested deeper is read by Python's decoder as far as its stack reaches, and fails wherever it is compared, written or walked."""

import json
import math
import sys

from t0native.base.errors import FormatError, NumericError
from t0native.base.placeholders import stand_in
from t0native.base.showing import shown

__all__ = ["MAX_DEPTH", "is_too_deep", "json_text", "no_duplicates", "parse_json"]

MAX_DEPTH = 100


def parse_json(path, content, parse_constant=None):
    """The value that bytes from the file `path` hold; FormatError names the file.  parse_constant: as json.loads'.

    >>> parse_json("config.json", b'{"d_model": 8, "d_model": 16}')
    Traceback (most recent call last):
    t0native.FormatError: config.json: its JSON is broken: the name 'd_model' stands twice
    """
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=no_duplicates, parse_constant=parse_constant)
        if is_too_deep(text, value):
            raise RecursionError
        return value
    except RecursionError:
        problem = f"nested deeper than {MAX_DEPTH} levels"
    except ValueError as error:
        problem = str(error)
        if "integer string conversion" in problem:
            problem = f"a number of more than {sys.get_int_max_str_digits()} digits"
    raise FormatError(f"{path}: {stand_in(content) or f'its JSON is broken: {problem}'}")


def is_too_deep(text, value):
    """Whether a value of JSON, which this text stands for, is nested deeper than MAX_DEPTH levels. Few texts have so many brackets that
    the value must be looked at.

    >>> is_too_deep("[[1]]", [[1]]), is_too_deep("[" * 101 + "]" * 101, json.loads("[" * 101 + "]" * 101))
    (False, True)
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    level = [value]
    for _ in range(MAX_DEPTH):
        outer = [inner.values() if isinstance(inner, dict) else inner for inner in level if isinstance(inner, (dict, list))]
        level = [inner for values in outer for inner in values]
    return any(isinstance(inner, (dict, list)) for inner in level)


def no_duplicates(pairs):
    """The dict of an object's pairs, as object_pairs_hook of json; ValueError for a name that stands twice."""
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))
        raise ValueError(f"the name {shown(twice)} stands twice")
    return seen


def json_text(value, nonfinite="refuse", **options):
    """A value as JSON text. nonfinite: what becomes of numbers that are not finite: "refuse" (NumericError), "null", or "keep", as Python
    writes them, for texts that are hashed or looked at, and for what a file of others had.  options: those of json.dumps.

    >>> json_text({"loss": float("nan")}, nonfinite="null")
    '{"loss": null}'
    >>> json_text({"loss": float("nan")})
    Traceback (most recent call last):
    t0native.NumericError: a number that is not finite cannot be written as JSON
    """
    if nonfinite == "keep":
        return json.dumps(value, **options)
    try:
        return json.dumps(value, allow_nan=False, **options)
    except ValueError as error:
        if "JSON compliant" not in str(error):  # a circle, or a number of thousands of digits
            raise
        if nonfinite == "refuse":
            raise NumericError("a number that is not finite cannot be written as JSON") from None
    return json.dumps(_without_nonfinite(value), allow_nan=False, **options)


def _without_nonfinite(value):
    if isinstance(value, dict):
        return {_without_nonfinite(key): _without_nonfinite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nonfinite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
