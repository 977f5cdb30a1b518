"""--set KEY=VALUE: every keyword that has no option of its own, from the table that the library checks it by.

A value is what JSON says (4, 0.5, true, null, ["a"]), or Python's True, False and None; else it is the text that it is."""

import json

from t0native.base.arguments import check
from t0native.base.errors import ConfigError, nearest, suggest
from t0native.base.showing import shown

__all__ = ["parse_sets", "set_option"]

_OF_PYTHON = {"True": True, "False": False, "None": None}


def set_option(parser, what, names):
    """what: whose keywords they are, and where they are told.  names: a function that gives the keywords, for hints."""
    option = parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="sets", help=f"another keyword {what}; may be given again"
    )
    option.names = names


def parse_sets(texts, kinds, judge=None):
    """{key: value} of KEY=VALUE texts, checked. kinds: {key: Kind}.  judge: a function of {key: value} for keys that are not among them,
    which refuses those that nobody knows. ConfigError with the nearest key for an unknown one, and for a key that stands twice.

    >>> from t0native.base.arguments import NUMBER
    >>> parse_sets(["length_penalty=0.6"], {"length_penalty": NUMBER})
    {'length_penalty': 0.6}
    >>> parse_sets(["length_penalti=0.6"], {"length_penalty": NUMBER})
    Traceback (most recent call last):
    t0native.ConfigError: --set length_penalti=0.6: no keyword 'length_penalti' here; did you mean 'length_penalty'?
    """
    values = {}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not key or not equals:
            raise ConfigError(f"--set {shown(text)}: must be KEY=VALUE, as in {next(iter(kinds), 'key')}=...")
        if key in values:
            raise ConfigError(f"--set {key}: stands twice")
        values[key] = _value_of(value)
        if key not in kinds and judge is None:
            raise ConfigError(f"--set {text}: no keyword {shown(key)} here; {suggest(key, kinds)}")
        if key in kinds:
            values[key] = check(kinds[key], f"--set {key}", values[key])
        else:
            try:
                values |= judge({key: values[key]})
            except ConfigError as error:
                near, told = nearest(key, kinds), str(error).removeprefix("generation")
                told = (
                    f"{text}: no keyword {shown(key)} here; did you mean {shown(near)}?"
                    if near
                    else told.lstrip(".")
                    if told[0] == "."
                    else text + told
                )
                raise ConfigError(f"--set {told}") from None
    return values


def _value_of(text):
    if text in _OF_PYTHON:
        return _OF_PYTHON[text]
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text
