"""The examples of a cell, read back from a report's folder."""

from pathlib import Path

from t0native.base.jsontext import parse_json

__all__ = ["EXAMPLES", "read_examples"]

EXAMPLES = "examples"  # the folder of an evaluation in which each cell has a file


def read_examples(folder, cell):
    """What a model said of each row of a cell, a list of dicts (evaluation/journal.py has their fields), from the folder of the evaluation
    that the cell is of; None where the cell has no file there. FormatError for a broken one.

    >>> read_examples("run", {"examples": None})
    """
    if folder is None or cell.get("examples") is None:
        return None
    path = Path(folder) / cell["examples"]
    if path.parent != Path(folder) / EXAMPLES or not path.is_file():
        return None
    records = [parse_json(f"{path}, line {i + 1}", line) for i, line in enumerate(path.read_bytes().splitlines())]
    return [record for record in records if "dropped" not in record]
