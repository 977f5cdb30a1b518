"""JSON is written as JSON: what is not finite is refused, or null, each where that is right."""

import json
import math

import numpy as np
import pytest

import t0native as t0
from t0native.base.jsontext import json_text

BAD = {"a": [1.5, math.nan, {"b": -math.inf}], "c": "NaN"}


def strict(text):
    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_the_three_ways():
    with pytest.raises(t0.NumericError, match="not finite cannot be written as JSON"):
        json_text(BAD)
    assert strict(json_text(BAD, "null")) == {"a": [1.5, None, {"b": None}], "c": "NaN"}
    assert strict(json_text({math.inf: (math.nan,)}, "null")) == {"null": [None]}
    assert json_text(BAD, "keep") == json.dumps(BAD)
    with pytest.raises(ValueError, match="4300 digits"):
        json_text(10**5000)
    circle = []
    circle.append(circle)
    with pytest.raises(ValueError, match="Circular"):
        json_text(circle)


def test_a_log_line_is_json(tmp_path):
    from t0native.training.runfolder import RunFolder

    folder = RunFolder(tmp_path, {"weights": "w"})
    folder.open("auto", None)
    folder.note(step=1, loss=math.nan, lr=1e-3)
    folder.close()
    assert strict((tmp_path / "log.jsonl").read_text()) == {"step": 1, "loss": None, "lr": 1e-3}


def test_a_journal_is_json_whatever_the_scores(tmp_path):
    class Model:
        fingerprint = "one that knows"

        def rank(self, inputs, choices, **options):
            return [t0.Ranking("a", 0, np.array([0.0, -np.inf if text == "x" else -1.0]), np.array([1, 1])) for text in inputs]

    task = t0.Task("d", [{"text": "x"}, {"text": "y"}], [t0.Prompt("p", "{{ text }} ||| a", "a ||| b")])
    first = t0.evaluate(Model(), [task], out=tmp_path, progress=False)
    (file,) = (tmp_path / "examples").iterdir()
    lines = [strict(line) for line in file.read_text().splitlines()]
    assert [line.get("scores") for line in lines] == [[0.0, -1.0], None] and "not finite" in lines[1]["dropped"]
    assert t0.evaluate(Model(), [task], out=tmp_path, progress=False).cells == first.cells
