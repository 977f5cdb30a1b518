"""SHA-256 of values as JSON with sorted keys: by what runs, mixtures, cells and shots are told apart.

    value --JSON--> ASCII bytes --SHA-256--> 64 hexadecimal digits

Arrays count with all their elements and mappings with all their keys; what JSON does not know counts as its text."""

import hashlib
from pathlib import Path

from t0native.base.jsontext import json_text

__all__ = ["digest_of_package", "digest_of_rows", "digest_of_value", "json_bytes"]


def digest_of_value(value):
    """64 hexadecimal digits.

    >>> digest_of_value({"a": 1, "b": [2]}) == digest_of_value({"b": np.array([2]), "a": 1})
    True
    """
    return hashlib.sha256(json_bytes(value)).hexdigest()


def digest_of_rows(rows, n=None):
    """Of the first n rows, or of all, one after the other; 64 hexadecimal digits.

    >>> digest_of_rows([{"a": 1}, {"a": 2}], 1) == digest_of_rows([{"a": 1}])
    True
    """
    digest = hashlib.sha256()
    for i in range(len(rows) if n is None else n):
        digest.update(json_bytes(rows[i]) + b"\n")
    return digest.hexdigest()


def digest_of_package():
    """Of the sources and the extension module of this package, by which programs on several machines know that they are the same.

    >>> len(digest_of_package())
    64
    """
    digest, package = hashlib.sha256(), Path(__file__).parent.parent
    for path in sorted(path for kind in ("*.py", "*.so") for path in package.rglob(kind)):
        digest.update(f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def json_bytes(value):
    """What is digested of a value.

    >>> json_bytes({"b": np.array([2]), "a": 1})
    b'{"a": 1, "b": [2]}'
    """
    return json_text(value, "keep", sort_keys=True, default=_plain).encode()


def _plain(value):
    return value.tolist() if hasattr(value, "tolist") else dict(value) if hasattr(value, "keys") else str(value)
