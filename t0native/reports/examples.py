"""The examples of a cell: what a model read and said, row by row; from the evaluation just made, or read back from a report's folder.

in memory               the evaluation/texts.py of the call that made the report: with inputs
RUN/examples/KEY.jsonl  evaluation/journal.py: without inputs
RUN/examples/MODEL/TASK/PROMPT.jsonl    evaluation/texts.py, where the evaluation was asked for it: with inputs"""

from pathlib import Path, PurePosixPath

from t0native.base.errors import ConfigError, FormatError, suggest
from t0native.base.jsontext import parse_json
from t0native.base.showing import shown
from t0native.tasks.metrics import METRICS

__all__ = ["EXAMPLES", "best_value", "examples_in_words", "in_words", "read_examples", "select_cells"]

EXAMPLES = "examples"  # the folder of an evaluation in which each cell has a file
_OURS = {"row", "target", "choices", "scores", "lengths", "prediction", "value"}  # keys of every line
_WORDS = ("model", "task", "prompt", "right", "index")  # further ones of lines in words


def read_examples(folder, cell, answers=None):
    """What a model said of each row of a cell, a list of dicts (evaluation/journal.py has their fields; `input` beside, where it is known),
    from the folder of the evaluation that the cell is of, else from memory (`answers`, as Report.answers has them); None where there is
    neither. FormatError for a broken file.

    >>> read_examples("run", {"examples": None})
    """
    path = _find_file(folder, cell)
    if path is None:
        return None if answers is None else [_as_numbers(record) for record in answers.examples()]
    return [_as_numbers(record) for record in _read_lines(path)]


def examples_in_words(report, i, rows=None):
    """Dicts of the rows of cell i in words, as `in_words` gives: from memory, else from the cell's file; None where there is neither.
    rows: a set of row numbers; None: all."""
    cell, answers = report.cells[i], report.answers[i]
    if answers is not None:
        return answers.examples(rows)
    path = _find_file(report.folders[i], cell)
    if path is None:
        return None
    records = (record for record in _read_lines(path) if rows is None or record["row"] in rows)
    return (in_words(_as_numbers(record), record.get("input"), cell["metric"]) for record in records)


def in_words(record, text, metric):
    """An example in words: row, right, value, input, choices, target, prediction, index, scores, lengths (evaluation/texts.py says what
    each is).

    record: as evaluation/texts.py's example_records gives.  text: the input, or None where it is not known.  metric: the cell's.

    >>> record = {"row": 3, "target": "Yes", "choices": ["Yes", "No"], "scores": None, "lengths": None, "prediction": 1, "value": 0.0}
    >>> found = in_words(record, "Is it tea?", "accuracy")
    >>> found["prediction"], found["index"], found["right"]
    ('No', 1, False)
    """
    ranked = record["choices"] is not None
    index, value = record["prediction"] if ranked else None, record["value"]
    written = record.get("text") if _judges_text(metric) else None
    said = record["prediction"] if not ranked else record["choices"][index] if written is None else written
    return {
        "row": record["row"],
        "right": None if value is None else value == best_value(metric),
        "value": value,
        "input": text,
        "choices": record["choices"],
        "target": record["target"],
        "prediction": said,
        "index": index,
        "scores": record["scores"],
        "lengths": record["lengths"],
    } | ({"text": record["text"]} if "text" in record else {})


def best_value(metric):
    """The value of a row that is answered right, by the metric of that name.

    >>> best_value("squad_f1:answers.text"), best_value("edit_distance")
    (1.0, 0.0)
    """
    return 0.0 if metric.partition(":")[0] == "edit_distance" else 1.0


def select_cells(report, task=None, prompt=None, model=None):
    """Numbers of the cells that have rows, of these names; None: of all. ConfigError for a name that no cell has.

    >>> select_cells(t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, progress=False), prompt="can we infr")
    Traceback (most recent call last):
    t0native.ConfigError: no prompt 'can we infr' in the report; did you mean 'can we infer'?
    """
    wanted = {key: name for key, name in (("task", task), ("prompt", prompt), ("model", model)) if name is not None}
    for key, name in wanted.items():
        known = list(dict.fromkeys(cell[key] for cell in report.cells))
        if name not in known:
            raise ConfigError(f"no {key} {shown(name)} in the report; {suggest(str(name), known)}")
    return [i for i, cell in enumerate(report.cells) if cell["status"] == "ok" and all(cell[key] == name for key, name in wanted.items())]


def _judges_text(metric):
    known = METRICS.get(metric.partition(":")[0])
    return known is not None and not known.by_choices


def _find_file(folder, cell):
    """The path of a cell's file, or None. A name that leads out of the folder of examples is none of ours."""
    name = cell.get("examples")
    if folder is None or name is None:
        return None
    parts = PurePosixPath(name).parts
    path = Path(folder, *parts)
    return path if len(parts) in (2, 4) and parts[0] == EXAMPLES and ".." not in parts and path.is_file() else None


def _read_lines(path):
    """The records of the rows that were judged, one after the other."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            record = parse_json(f"{path}, line {number}", line)
            if not isinstance(record, dict) or not (_OURS <= record.keys() or "dropped" in record):
                lacking = sorted(_OURS - record.keys()) if isinstance(record, dict) else sorted(_OURS)
                raise FormatError(f"{path}, line {number}: no {shown(lacking[0])}: this is no line of an evaluation's examples")
            if "dropped" not in record:
                yield record


def _as_numbers(record):
    """A line of either kind of file as the journal has it: the prediction a choice's number, where there are choices."""
    if "right" not in record:
        return record
    prediction = record["prediction"] if record["choices"] is None else record["index"]
    return {key: value for key, value in record.items() if key not in _WORDS} | {"prediction": prediction}
