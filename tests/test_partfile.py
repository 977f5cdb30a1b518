"""Files that grow while they are made, and rows as bytes."""

import json

import pytest

import t0native as t0
from t0native.base.partfile import PartFile
from t0native.data.rowwriter import RowWriter


def test_what_was_written_is_kept_and_gone_on_with(tmp_path):
    path, job = tmp_path / "deep/a.jsonl", {"model": "m", "rows": 3}
    with pytest.raises(KeyboardInterrupt):
        with PartFile(path, job) as file:
            file.write(b"one\ntwo\n", 2)
            raise KeyboardInterrupt
    part = tmp_path / "deep/a.jsonl.part"
    assert part.read_bytes() == b"one\ntwo\n" and not path.exists()
    part.write_bytes(b"one\ntwo\nthr")  # a kill tore a line
    with pytest.raises(
        t0.ConfigError, match=r"a.jsonl.part: is a part of another command's results \(model differs\); finish that, or begin"
    ):
        PartFile(path, job | {"model": "n"})
    with PartFile(path, job) as file:
        assert file.rows == 2
        file.write(b"three\n", 1)
        file.finish()
    assert path.read_bytes() == b"one\ntwo\nthree\n" and [one.name for one in path.parent.iterdir()] == ["a.jsonl"]
    with pytest.raises(t0.ConfigError, match="a.jsonl: is there already; --force replaces it"):
        PartFile(path, job)
    with PartFile(path, job, force=True) as file:
        assert file.rows == 0
        file.finish()
    assert path.read_bytes() == b""


def test_parts_of_which_nothing_is_known_are_left_alone(tmp_path):
    (tmp_path / "a.csv.part").write_text("mine")
    with pytest.raises(t0.ConfigError, match="a.csv.part: is there, and nothing tells what it is a part of; remove it"):
        PartFile(tmp_path / "a.csv", {})
    assert (tmp_path / "a.csv.part").read_text() == "mine"
    (tmp_path / "a.csv.part.json").write_text(json.dumps({"job": {}, "rows": 9, "bytes": 99}))
    with PartFile(tmp_path / "a.csv", {}) as file:  # a power cut lost bytes that were promised
        assert file.rows == 0


def test_one_process_at_a_time_writes_it(tmp_path):
    with PartFile(tmp_path / "a.csv", {}) as file:
        file.write(b"one\n", 1)
        for force in (False, True):
            with pytest.raises(t0.ConfigError, match="a.csv.part: another process writes there"):
                PartFile(tmp_path / "a.csv", {}, force)
        file.finish()
    assert (tmp_path / "a.csv").read_bytes() == b"one\n"


def test_nothing_is_left_where_nothing_was_made(tmp_path):
    with pytest.raises(ZeroDivisionError):
        with PartFile(tmp_path / "a.csv", {}):
            1 / 0
    assert list(tmp_path.iterdir()) == []


def test_rows_are_written_as_they_are_read(tmp_path):
    rows = [
        {"text": 'a "b", c\nd', "n": -3, "x": 0.1, "yes": True, "gap": None, "é": "ß"},
        {"text": "", "n": 10**20, "x": -2.5, "yes": False, "gap": 1, "é": "\t"},
    ]
    for form in ("jsonl", "csv", "tsv"):
        writer = RowWriter(form, rows[0])
        (tmp_path / f"a.{form}").write_bytes(writer.head + writer.encode(rows))
    assert t0.read_rows(tmp_path / "a.jsonl") == rows
    as_table = [row | {"text": row["text"] or None} for row in rows]  # a blank cell is None
    assert t0.read_rows(tmp_path / "a.csv") == as_table
    assert RowWriter("text", ["a"]).encode([{"a": "two\nlines"}, {"a": None}, {"a": ["x"]}]) == b'two lines\n\n["x"]\n'
    assert json.loads(RowWriter("jsonl", ["a"]).encode([{"a": float("nan")}])) == {"a": None}
    with pytest.raises(t0.DataError, match="a row has the field 'b', which the first had not"):
        RowWriter("csv", ["a"]).encode([{"a": 1}, {"b": 1}])
