"""JSON read strictly: UTF-8, and no name twice in one object. Rows of users, which may be lines, are read in rows.py."""

import json

from t0native.base.errors import FormatError
from t0native.base.placeholders import stand_in

__all__ = ["no_duplicates", "parse_json"]


def parse_json(path, content):
    """The value that bytes from the file `path` hold; FormatError names the file.

    >>> parse_json("config.json", b'{"d_model": 8, "d_model": 16}')
    Traceback (most recent call last):
    t0native.FormatError: config.json: its JSON is broken: the name 'd_model' stands twice
    """
    try:
        return json.loads(content.decode("utf-8-sig"), object_pairs_hook=no_duplicates)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: {stand_in(content) or f'its JSON is broken: {error}'}") from None


def no_duplicates(pairs):
    """The dict of an object's pairs, as object_pairs_hook of json; ValueError for a name that stands twice."""
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = set()
        twice = next(name for name, _ in pairs if name in names or names.add(name))
        raise ValueError(f"the name {twice!r} stands twice")
    return seen
