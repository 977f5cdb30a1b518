"""What a classifier is given: texts, or rows with the fields that its prompts read.

    list, tuple, column, array [B] or [B, 1] of texts         each is a text
    list of mappings, data frame, table                       each is a row

A text that is missing or blank has no label, and is refused by its number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from t0native.base.errors import ConfigError, DataError, nearest
from t0native.base.showing import listed, shown
from t0native.classification.labels import is_missing
from t0native.data.frames import are_columns, sequence_of
from t0native.text.sequences import as_list

__all__ = ["problem_of", "read_texts", "row_of"]


def read_texts(X: Any, wordings: Any) -> list[Any]:
    """A list of texts and rows. ConfigError for what is neither; DataError for one that no wording can be put to.

    >>> read_texts(np.array([["a"], ["b"]]), [])
    ['a', 'b']
    """
    if isinstance(X, str):
        raise ConfigError(f"X {shown(X)}: one text; give a list of them, as [{shown(X)}]")
    items = _items_of(X)
    for i, item in enumerate(items):
        if (problem := problem_of(item, wordings)) is not None:
            raise DataError(f"text {i}: {problem}")
    return items


def _items_of(X):
    if isinstance(X, Mapping):
        if not are_columns(X):
            raise ConfigError("X: one row; give a list of them")
        return list(sequence_of(X, "X"))
    if hasattr(X, "columns") or hasattr(X, "column_names"):
        rows = sequence_of(X, "X")
        return [rows[i] for i in range(len(rows))]
    if isinstance(X, np.ndarray):
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        if X.ndim != 1 or X.dtype.kind not in "OUT" and X.size:
            raise ConfigError(f"X: an array of {X.dtype} of shape {list(X.shape)}; texts are needed: a list, or an array [B] of them")
        return X.tolist()
    kind = type(X).__module__.partition(".")[0]
    return X.tolist() if kind == "pandas" and hasattr(X, "tolist") else list(as_list("X", X))


def problem_of(item: Any, wordings: Any) -> str | None:
    """Why a text or a row cannot be asked, or None."""
    if isinstance(item, str):
        several = next((wording for wording in wordings if wording.text is None), None)
        if several is not None:
            return f"the prompt {shown(several.name)} reads {listed(several.fields)}: rows with these fields are needed, not texts"
        return _problem_of_text("it", item)
    if not isinstance(item, Mapping):
        return "is missing" if is_missing(item) else f"{shown(item)} is {type(item).__name__}; a text or a row is needed"
    for wording in wordings:
        for field in wording.fields:
            if field not in item:
                near = nearest(field, item)
                return f"no field {shown(field)}; {f'nearest is {shown(near)} ' if near else ''}(the row has: {listed(item)})"
            value = item[field]
            if is_missing(value):
                return f"{field} is missing"
            if isinstance(value, str) and (problem := _problem_of_text(field, value)) is not None:
                return problem
    return None


def _problem_of_text(name, text):
    if not text.strip():
        return f"{name} is blank"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"lone surrogate U+{ord(text[error.start]):04x} at index {error.start}; repair the text"
    return None


def row_of(item: Any, wording: Any) -> Mapping[str, Any]:
    """A text or a row as the row that a wording reads."""
    return {wording.text: item} if isinstance(item, str) else item
