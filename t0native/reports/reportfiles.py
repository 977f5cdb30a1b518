"""The saved form of a report: JSON with cells, summary, about, and per cell its rows: bits where all are 0 or 1, else numbers.

    {"cells": [{...}], "summary": [{...}], "about": {...}, "rows": [ROWS or null]}
    ROWS    {"rows": n, "kept": bits, "right": bits}  or  {"rows": n, "kept": bits, "values": float64}, in base64; with
            "draws": float64 [replicates] where the metric is no mean over rows

What is read is checked key by key, so that whoever shows or merges a report need not."""

import base64
import binascii
from pathlib import Path

import numpy as np

from t0native.base.arguments import MAPPING, NUMBER, TEXT, Kind
from t0native.base.errors import FormatError
from t0native.base.files import write_json
from t0native.base.jsontext import parse_json
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.reports.bootstrap import REPLICATES
from t0native.reports.cell import CELL, COUNT
from t0native.reports.summary import DISTRIBUTION, ENTRY

__all__ = ["find_report", "read_report", "write_report"]

_LIST = Kind(lambda value: isinstance(value, list), "a list")
LATER = ("cut", "metrics", "normalized", "examples")  # keys that reports of version 0.1 before them lack
_REPORT = "a report is the folder into which evaluate wrote, or the report.json in it"
_ABOUT = {"models": _LIST, "seconds": NUMBER}  # where they are there


def write_report(path, report):
    """OSError leaves what was there before."""
    rows = [_pack_rows(values, draws) for values, draws in zip(report.correct, report.draws)]
    write_json(path, {"cells": report.cells, "summary": report.summary, "about": report.about, "rows": rows})


def find_report(path):
    """The file of a report, or of the folder of an evaluation. FormatError where it is known to be something else."""
    path = Path(path)
    file, what = (path / "report.json" if path.is_dir() else path), what_is(path)
    if path.is_dir() and not file.exists():
        if what == "the folder of an evaluation":
            raise FormatError(
                f"{path}: no report.json yet: this evaluation has not come to its end; the same call or command goes on with it"
            )
        raise FormatError(f"{path}: {what or 'a folder'}, which holds no report; {_REPORT}")
    if path.is_file() and what != "a saved report" and (what or path.suffix.lower() != ".json"):
        with open(path, "rb") as opened:
            if what or not opened.read(64).lstrip().startswith(b"{"):
                raise FormatError(f"{path}: {what or 'a file'}, which holds no report; {_REPORT}")
    return file


def read_report(path):
    """(cells, summary, about, correct, draws) of a file; FormatError with the file and the place that is wrong."""
    data = parse_json(path, path.read_bytes())
    for part, kinds in (("cells", CELL), ("summary", ENTRY)):
        if not isinstance(data, dict) or not isinstance(data.get(part), list):
            raise FormatError(f"{path}: no list {shown(part)}: this is not a saved report")
        for i, entry in enumerate(data[part]):
            if part == "cells" and isinstance(entry, dict):
                data[part][i] = entry = dict.fromkeys(LATER) | entry
            there = kinds if isinstance(entry, dict) and "factors" in entry else {key: kinds[key] for key in kinds if key != "factors"}
            _check_keys(f"{path}: {part}[{i}]", there, entry)
    cells, about = data["cells"], data.get("about", {})
    _check_about(path, about)
    _check_together(path, cells, data["summary"])
    rows = data.get("rows")
    rows = [None] * len(cells) if rows is None else rows
    if not isinstance(rows, list) or len(rows) != len(cells):
        raise FormatError(f"{path}: 'rows' must be a list of {len(cells)}, one for each cell")
    unpacked = [_unpack_rows(packed, f"{path}: rows[{i}]") for i, packed in enumerate(rows)]
    return cells, data["summary"], about, [values for values, _ in unpacked], [draws for _, draws in unpacked]


def _check_keys(place, kinds, entry):
    for key, kind in kinds.items():
        if not isinstance(entry, dict) or key not in entry:
            raise FormatError(f"{place} has no {shown(key)}")
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
        known = [key for key in DISTRIBUTION if entry[key] is not None]
        if known and len(known) < len(DISTRIBUTION):
            raise FormatError(f"{path}: summary[{i}]: some of {', '.join(DISTRIBUTION)} are null, others not")
        if known and (entry["model"], entry["task"]) not in judged:
            raise FormatError(f"{path}: summary[{i}] has a median, but no cell of its model and task is ok")
    told, summed = ({(entry["model"], entry["task"]) for entry in entries} for entries in (cells, summary))
    for part, entries, others in (("cells", cells, summed), ("summary", summary, told)):
        for i, entry in enumerate(entries):
            if (entry["model"], entry["task"]) not in others:
                of, other = f"{shown(entry['model'])} on {shown(entry['task'])}", "entry of 'summary'" if part == "cells" else "cell"
                raise FormatError(f"{path}: {part}[{i}] is of {of}, and no {other} is")


def _pack_rows(values, draws):
    if values is None:
        return None
    kept = ~np.isnan(values)
    packed = {"rows": len(values), "kept": _encode(np.packbits(kept))}
    if np.isin(values[kept], (0, 1)).all():
        packed["right"] = _encode(np.packbits(kept & (values == 1)))
    else:
        packed["values"] = _encode(np.where(kept, values, 0).astype("<f8"))
    return packed if draws is None else packed | {"draws": _encode(np.asarray(draws, "<f8"))}


def _encode(array):
    return base64.b64encode(array.tobytes()).decode()


def _unpack_rows(packed, place):
    """(float64 [rows], NaN where dropped; float64 [replicates] or None); (None, None) for null."""
    if packed is None:
        return None, None
    form = "values" if isinstance(packed, dict) and "values" in packed else "right"
    _check_keys(place, {"rows": COUNT, "kept": TEXT, form: TEXT}, packed)
    n = packed["rows"]
    kept = _read_bits(packed["kept"], n, f"{place}: kept")
    if form == "right":
        values = _read_bits(packed["right"], n, f"{place}: right").astype(np.float64)
    else:
        values = _read_numbers(packed["values"], n, f"{place}: values")
    draws = None
    if "draws" in packed:
        _check(place, TEXT, "draws", packed["draws"])
        draws = _read_numbers(packed["draws"], REPLICATES, f"{place}: draws")
    return np.where(kept, values, np.nan), draws


def _read_numbers(text, n, place):
    values = np.frombuffer(_decode(text, 8 * n, f"{n} numbers", place), "<f8").astype(np.float64)
    if not (np.abs(values) <= 1).all():
        raise FormatError(f"{place} hold {values[~(np.abs(values) <= 1)][0]}: must be numbers from -1 to 1")
    return values


def _read_bits(text, n, place):
    return np.unpackbits(np.frombuffer(_decode(text, -(-n // 8), f"{n} rows", place), np.uint8), count=n).astype(bool)


def _decode(text, size, what, place):
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FormatError(f"{place} is not base64 ({error})") from None
    if len(data) != size:
        raise FormatError(f"{place} holds {len(data)} bytes, but {what} take {size}")
    return data
