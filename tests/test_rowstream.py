"""Rows of files one after the other: those that read_rows gives, in memory of a few."""

import gzip
import io
import json
import sys
import tracemalloc

import pytest

import t0native as t0
from t0native.data.rowstream import stream_rows

ROWS = [{"text": f"Anna drinks tea, {i}", "label": i % 2, "share": None if i == 3 else i / 2} for i in range(40)]


def table(delimiter):
    cell = '"Anna drinks tea, {}"' if delimiter == "," else "Anna drinks tea, {}"
    lines = [delimiter.join([cell.format(i), str(i % 2), "" if i == 3 else str(i / 2)]) for i in range(40)]
    return "\n".join([delimiter.join(ROWS[0]), *lines, ""])


@pytest.fixture
def files(tmp_path):
    """{ending: a file of ROWS}, and a .json."""
    lines = "".join(json.dumps(row) + "\n\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "rows.csv").write_text(table(","))
    (tmp_path / "rows.tsv").write_text(table("\t"))
    return {path.name.removeprefix("rows"): path for path in tmp_path.iterdir()}


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".json", ".csv", ".tsv"])
def test_streams_give_what_read_rows_gives(files, ending):
    stream = stream_rows(files[ending])
    assert list(stream) == list(stream) == list(t0.read_rows(files[ending])) == ROWS
    assert stream.total == (None if ending == ".jsonl.gz" else 40)
    told = list(stream_rows(files[ending], types={"label": "text"}))
    assert told == list(t0.read_rows(files[ending], types={"label": "text"})) and told[1]["label"] == "1"


def test_a_streamed_parquet_file_has_its_types(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    rows = ROWS * 200
    whole = pa.table({"text": [row["text"] for row in rows], "count": [None if i == 5 else float(i) for i in range(len(rows))]})
    parquet.write_table(whole, tmp_path / "rows.parquet", row_group_size=700)
    stream, read = stream_rows(tmp_path / "rows.parquet"), t0.read_rows(tmp_path / "rows.parquet")
    assert stream.total == 8000 and list(stream) == [read[i] for i in range(8000)]
    assert next(iter(stream))["count"] == 0 and type(next(iter(stream))["count"]) is int


def test_text_and_standard_input(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")
    (tmp_path / "a.log").write_text("one\n\ntwo")
    assert list(stream_rows(tmp_path / "a.txt")) == list(stream_rows(tmp_path / "a.log", form="text")) == [{"text": "one"}, {"text": "two"}]
    with pytest.raises(
        t0.DataError, match=r"a.log: unknown kind of file '.log'; known are .*, .txt; another one's form can be told: jsonl, "
    ):
        stream_rows(tmp_path / "a.log")
    for form, text, rows in (
        (None, "one\ntwo\n", [{"text": "one"}, {"text": "two"}]),
        ("jsonl", '{"a": 1}\n', [{"a": 1}]),
        ("csv", "a,b\n1,x\n", [{"a": 1, "b": "x"}]),
        ("json", '[{"a": 1}]', [{"a": 1}]),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        assert list(stream_rows("-", form=form)) == rows


def test_broken_rows_are_told_where_they_stand(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\noops\n')
    rows = iter(stream_rows(tmp_path / "a.jsonl"))
    assert next(rows) == {"a": 1}
    with pytest.raises(t0.DataError, match="a.jsonl, line 2, column 1: not JSON"):
        next(rows)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n1\n")
    with pytest.raises(t0.DataError, match="a.csv, line 3: 1 cells, but line 1 names 2 fields"):
        stream_rows(tmp_path / "a.csv")
    with pytest.raises(FileNotFoundError):
        stream_rows(tmp_path / "none.jsonl")
    with pytest.raises(t0.DataError, match="a.jsonl, line 1: no field 'b', whose type was told"):
        list(stream_rows(tmp_path / "a.jsonl", types={"b": "int"}))


@pytest.mark.parametrize("ending", [".jsonl", ".csv", ".txt"])
def test_memory_does_not_grow_with_the_rows(tmp_path, ending):
    line = {".jsonl": '{"text": "Anna drinks tea"}\n', ".csv": "Anna drinks tea\n", ".txt": "Anna drinks tea\n"}[ending]
    (tmp_path / f"a{ending}").write_text(("text\n" if ending == ".csv" else "") + line * 30_000)
    tracemalloc.start()
    try:
        stream = stream_rows(tmp_path / f"a{ending}")
        assert stream.total == 30_000 and sum(row["text"] == "Anna drinks tea" for row in stream) == 30_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000  # the rows at once would take more than ten times that
    finally:
        tracemalloc.stop()
