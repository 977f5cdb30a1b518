"""The saved form of a report: JSON with cells, summary, about, and per cell the rows as bits.

    {"cells": [{...}], "summary": [{...}], "about": {...}, "rows": [{"rows": n, "kept": base64, "right": base64} or null]}

What is read is checked key by key, so that whoever shows or merges a report need not."""

import base64
import binascii

import numpy as np

from t0native.arguments import MAPPING, NUMBER, TEXT, Kind, number, whole
from t0native.errors import FormatError
from t0native.files import write_json
from t0native.jsontext import parse_json

__all__ = ["CELL", "ENTRY", "read_report", "write_report"]

_LIST = Kind(lambda value: isinstance(value, list), "a list")
_SHARE = number(lambda value: 0 <= value <= 1, "a number from 0 to 1").or_none()
_NAME, _COUNT = TEXT.or_none(), whole(0)
CELL = {
    "model": TEXT, "task": TEXT, "dataset": _NAME, "subset": _NAME, "split": _NAME, "prompt": TEXT, "prompt_id": _NAME,
    "metric": TEXT, "value": _SHARE, "low": _SHARE, "high": _SHARE, "n": _COUNT.or_none(), "dropped": _COUNT.or_none(),
    "status": TEXT, "reason": _NAME,
}  # fmt: skip
_DISTRIBUTION = ("median", "q1", "q3", "low", "high", "mean", "min", "max")
ENTRY = {"model": TEXT, "task": TEXT, "chance": _SHARE, **dict.fromkeys(_DISTRIBUTION, _SHARE), "prompts": _COUNT}
_ABOUT = {"models": _LIST, "seconds": NUMBER}  # where they are there


def write_report(path, report):
    """OSError leaves what was there before."""
    rows = [_packed(values) for values in report.correct]
    write_json(path, {"cells": report.cells, "summary": report.summary, "about": report.about, "rows": rows})


def read_report(path):
    """(cells, summary, about, correct) of a file; FormatError with the file and the place that is wrong."""
    data = parse_json(path, path.read_bytes())
    for part, kinds in (("cells", CELL), ("summary", ENTRY)):
        if not isinstance(data, dict) or not isinstance(data.get(part), list):
            raise FormatError(f"{path}: no list {part!r}: this is not a saved report")
        for i, entry in enumerate(data[part]):
            _check_keys(f"{path}: {part}[{i}]", kinds, entry)
    cells, about = data["cells"], data.get("about", {})
    _check_about(path, about)
    _check_together(path, cells, data["summary"])
    rows = data.get("rows")
    rows = [None] * len(cells) if rows is None else rows
    if not isinstance(rows, list) or len(rows) != len(cells):
        raise FormatError(f"{path}: 'rows' must be a list of {len(cells)}, one for each cell")
    return cells, data["summary"], about, [_unpacked(packed, f"{path}: rows[{i}]") for i, packed in enumerate(rows)]


def _check_keys(place, kinds, entry):
    for key, kind in kinds.items():
        if not isinstance(entry, dict) or key not in entry:
            raise FormatError(f"{place} has no {key!r}")
        _check(place, kind, key, entry[key])


def _check(place, kind, key, value):
    if problem := kind.problem(key, value):
        raise FormatError(f"{place}: {problem}")


def _check_about(path, about):
    _check(path, MAPPING, "about", about)
    for key, kind in _ABOUT.items():
        if key in about:
            _check(f"{path}: about", kind, key, about[key])


def _check_together(path, cells, summary):
    """Numbers that belong together are there together."""
    for i, cell in enumerate(cells):
        if cell["status"] == "ok" and None in (cell["value"], cell["low"], cell["high"]):
            raise FormatError(f"{path}: cells[{i}] is ok, but one of value, low and high is null")
    judged = {(cell["model"], cell["task"]) for cell in cells if cell["status"] == "ok"}
    for i, entry in enumerate(summary):
        known = [key for key in _DISTRIBUTION if entry[key] is not None]
        if known and len(known) < len(_DISTRIBUTION):
            raise FormatError(f"{path}: summary[{i}]: some of {', '.join(_DISTRIBUTION)} are null, others not")
        if known and (entry["model"], entry["task"]) not in judged:
            raise FormatError(f"{path}: summary[{i}] has a median, but no cell of its model and task is ok")


def _packed(values):
    if values is None:
        return None
    kept = ~np.isnan(values)
    bits = {"kept": kept, "right": np.where(kept, values, 0) > 0.5}
    return {"rows": len(values), **{key: base64.b64encode(np.packbits(flags).tobytes()).decode() for key, flags in bits.items()}}


def _unpacked(packed, place):
    """float64 [rows]: 1 right, 0 wrong, NaN dropped; None for null."""
    if packed is None:
        return None
    _check_keys(place, {"rows": _COUNT, "kept": TEXT, "right": TEXT}, packed)
    flags = {key: _bits(packed[key], packed["rows"], f"{place}: {key}") for key in ("kept", "right")}
    return np.where(flags["kept"], flags["right"].astype(np.float64), np.nan)


def _bits(text, n, place):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"{place} is not base64 ({error})") from None
    if len(data) != -(-n // 8):
        raise FormatError(f"{place} holds {len(data)} bytes, but {n} rows take {-(-n // 8)}")
    return np.unpackbits(np.frombuffer(data, np.uint8), count=n).astype(bool)
