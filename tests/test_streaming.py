"""Rows left on the disk, and batches that do not depend on how many threads prepare them."""

import csv
import datetime
import hashlib
import json
import os
import threading
import time

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.data import arrowrows, diskrows
from t0native.data.datafolder import find_rows
from t0native.training.batches import CHUNK, Batches, TokenBatches, make_batch


def _file(tmp_path, text, name="a.jsonl"):
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def _rows(n):
    return "".join(json.dumps({"n": i, "text": "é" * (i % 5)}) + "\n" for i in range(n))


@pytest.mark.parametrize(
    "text",
    [_rows(100), _rows(3).rstrip("\n"), "\ufeff" + _rows(3), "\n \n" + _rows(2) + "\n\n" + _rows(2) + " \r\n", '{"a": 1}\r\n{"a": 2}\r\n'],
    ids=["plain", "no last line end", "byte order mark", "blank lines", "carriage returns"],
)
def test_rows_on_the_disk_are_those_in_memory(tmp_path, text):
    path = _file(tmp_path, text)
    expected = t0.read_jsonl(path)
    for _ in range(2):  # the index made, and found
        rows = t0.open_rows(path)
        assert [rows[i] for i in range(len(rows))] == expected == list(rows)
        assert rows[-1] == expected[-1]
    for i in (len(rows), -len(rows) - 1):
        with pytest.raises(IndexError, match=f"row {i} of"):
            rows[i]


CSV = {
    "plain": "a,b,c\n1,x,1.5\n2,y,2.5\n",
    "no last line end": "a,b\n1,x\n2,y",
    "byte order mark": "\ufeffa,b\n1,\u00e9\n",
    "blank lines": "a,b\n\n1,x\n\r\n\n2,y\n\n",
    "carriage returns": 'a,b\r\n1,"x\r\ny"\r\n2,z\r\n',
    "quotes": 'a,b\n"1","x ""and"", y"\n"2",\n',
    "line ends in cells and in a name": 'a,"b\nc"\n1,"x\n\ny\n"\n"2\n",z\n',
    "separators that end no line": 'a,b\n1,"x\r\u2028\x0b\x85y"\n2,\x0c\u2029\n',
    "numbers that are none": "a,b,c\n01,1,1\n2,1e3,2.0\n",
    "a number late": "a,b\n" + "7,1\n" * 9 + "x,0.5\n",
    "long cells": 'a,b\n1,"' + "x\n" * 100_000 + '"\n2,y\n',
}


@pytest.mark.parametrize("text", CSV.values(), ids=CSV)
def test_rows_of_a_csv_file_on_the_disk_are_those_in_memory(tmp_path, text):
    path = _file(tmp_path, text, "a.csv")
    expected = t0.read_rows(path)
    for _ in range(2):  # the index made, and found
        rows = t0.open_rows(path)
        found = [rows[i] for i in range(-len(rows), 0)]
        assert found == expected and [[type(value) for value in row.values()] for row in found] == [
            [type(v) for v in row.values()] for row in expected
        ]
    path = _file(tmp_path, 'a\tb\n1\t"x\n2\ty"\n', "a.tsv")
    assert list(t0.open_rows(path)) == t0.read_rows(path) == [{"a": 1, "b": '"x'}, {"a": 2, "b": 'y"'}]


@pytest.mark.parametrize(
    "text", ["", "a,b\n", "a,a\n1,2\n", "a,b\n1\n", 'a,b\n1,"x\n2,y\n', 'a,b\n1,"x"y\n', "a,b\n1,x\ry\n", b"a,b\n1,\xff\n"]
)
def test_a_broken_csv_file_is_told_at_once(tmp_path, text):
    path = _file(tmp_path, text, "a.csv")
    with pytest.raises(t0.DataError) as expected:
        t0.read_csv(path)
    with pytest.raises(t0.DataError) as told:
        t0.open_rows(path)
    assert str(told.value) == str(expected.value) and not (tmp_path / ".a.csv.rows").exists()
    assert csv.field_size_limit() == 131072


@pytest.mark.parametrize(
    "name, text, other", [("a.jsonl", _rows(9), _rows(8)), ("a.csv", "a\n1\n2\n", "a\n1\n3\n"), ("a.csv", "a\n1\n2\n", "a\n1\nx\n")]
)
def test_a_file_that_changes_while_it_is_open_is_told(tmp_path, name, text, other):
    path = _file(tmp_path, text, name)
    rows = t0.open_rows(path)
    assert rows[1]
    _file(tmp_path, other, name)
    os.utime(path, ns=(1, 1))  # whatever the clock says
    with pytest.raises(t0.DataError, match=f"^{path}: changed since it was opened"):
        rows[1]
    assert t0.open_rows(path)[1] == t0.read_rows(path)[1]


def _parquet(path, n, group):
    pyarrow = needed("pyarrow", "pip install pyarrow")
    from pyarrow import parquet

    rows = [{"n": i, "text": f"row {i}", "at": datetime.date(2000, 1, 1 + i % 28), "parts": {"label": ["A"] * (i % 3)}} for i in range(n)]
    table = pyarrow.Table.from_pylist(rows)
    kinds = pyarrow.chunked_array([pyarrow.array([f"kind {i % 7}" for i in range(n)]).dictionary_encode()])
    parquet.write_table(table.append_column("kind", kinds), path, row_group_size=group)
    return [row | {"kind": f"kind {i % 7}"} for i, row in enumerate(rows)]


def test_rows_of_a_parquet_file_on_the_disk_are_those_in_memory(tmp_path, monkeypatch):
    path, copy = tmp_path / "a.parquet", tmp_path / ".a.parquet.rows"
    monkeypatch.setattr(arrowrows, "READ_BYTES", 20_000)  # several reads a group
    expected = _parquet(path, 3000, 1100)
    for _ in range(2):  # the copy made, and found
        rows = t0.open_rows(path)
        assert rows[2999] == rows[-1] == expected[-1] and rows[0] == expected[0]
        assert list(rows) == expected == list(t0.read_rows(path))
        with pytest.raises(IndexError, match="row 3000 of 3000"):
            rows[3000]
        time_of_it = copy.stat().st_mtime_ns
    assert t0.open_rows(path)[7] == expected[7] and copy.stat().st_mtime_ns == time_of_it
    sound = copy.read_bytes()
    for damaged in (sound[:100], sound[:-30], b"", sound.replace(b"t0rows", b"t0r0ws"), sound.replace(b"t0every", b"t0ewery")):
        copy.write_bytes(damaged)
        assert list(t0.open_rows(path)) == expected and copy.read_bytes() == sound
    rows, before = t0.open_rows(path), list(t0.open_rows(path))
    expected = _parquet(path, 50, 20)
    assert list(t0.open_rows(path)) == expected and list(rows) == before != expected  # its own copy stays
    copy.write_bytes(b"")
    rows = t0.open_rows(path)
    copy.write_bytes(b"")
    with pytest.raises(t0.DataError, match=f"^{copy}: changed since it was opened"):
        rows[0]


def test_a_parquet_file_whose_copy_cannot_be_written_beside_it(tmp_path):
    expected = _parquet(tmp_path / "a.parquet", 100, 30)
    assert list(t0.open_rows(tmp_path / "a.parquet", index=tmp_path / "made" / "here")) == expected
    assert (tmp_path / "made/here/.a.parquet.rows").exists() and not (tmp_path / ".a.parquet.rows").exists()
    (tmp_path / "file").write_text("")
    assert list(t0.open_rows(tmp_path / "a.parquet", index=tmp_path / "file")) == expected
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:300])
    with pytest.raises(t0.DataError, match="b.parquet: not a parquet file that pyarrow can read"):
        t0.open_rows(tmp_path / "b.parquet")
    _parquet(tmp_path / "c.parquet", 2000, 2000)
    data = bytearray((tmp_path / "c.parquet").read_bytes())
    data[4:3000] = bytes(2996)  # the pages; the facts at the end are sound
    (tmp_path / "c.parquet").write_bytes(data)
    with pytest.raises(t0.DataError, match="c.parquet: not a parquet file that pyarrow can read"):
        t0.open_rows(tmp_path / "c.parquet")
    assert not (tmp_path / ".c.parquet.rows").exists()


@pytest.mark.parametrize("bad", [b"{broken}\n", b"[1]\n", b'{"a": "\xff"}\n'])
def test_a_broken_row_is_told_as_read_jsonl_tells_it(tmp_path, bad):
    path = _file(tmp_path, b'{"a": 1}\n\n\n' + bad + b'{"a": 3}\n')
    with pytest.raises(t0.DataError) as expected:
        t0.read_jsonl(path)
    rows = t0.open_rows(path)
    assert rows[0] == {"a": 1} and rows[2] == {"a": 3}
    with pytest.raises(t0.DataError) as told:
        rows[1]
    assert str(told.value) == str(expected.value) and "line 4" in str(told.value)


def test_files_without_rows_and_missing_files(tmp_path):
    with pytest.raises(t0.DataError, match="no rows"):
        t0.open_rows(_file(tmp_path, "\n \n"))
    with pytest.raises(OSError):
        t0.open_rows(tmp_path / "none.jsonl")
    for dataset in ("piqa", "cos_e/v1.11"):
        with pytest.raises(t0.DataError, match=dataset):
            t0.open_rows(_file(tmp_path, _rows(1)), dataset)


def test_rows_are_converted_one_by_one(tmp_path):
    assert t0.open_rows(_file(tmp_path, '{"label": true, "version": 1}\n'), "super_glue/wic")[0] == {"label": 1}


def test_a_changed_file_or_a_damaged_index_is_indexed_anew(tmp_path):
    path = _file(tmp_path, _rows(50))
    assert len(t0.open_rows(path)) == 50
    index = tmp_path / ".a.jsonl.rows"
    sound = index.read_bytes()
    for damaged in (sound[:20], sound[:-8], sound[:60] + b"\x01" + sound[61:], b"X" + sound[1:], b""):
        index.write_bytes(damaged)
        assert [row["n"] for row in t0.open_rows(path)] == list(range(50))
        assert index.read_bytes() == sound
    _file(tmp_path, _rows(51))
    assert len(t0.open_rows(path)) == 51 and index.read_bytes() != sound


def test_an_index_that_is_cut_while_it_is_mapped(tmp_path):
    path = _file(tmp_path, b"".join(b'{"n": %d}\n' % i for i in range(9)))
    rows = t0.open_rows(path)
    os.truncate(tmp_path / ".a.jsonl.rows", 60)
    with pytest.raises(t0.DataError, match=f"^{path}: its index was cut since it was opened; open it again"):
        rows[8]
    assert t0.open_rows(path)[8] == {"n": 8}


def test_the_index_has_a_folder_of_its_own_or_stays_in_memory(tmp_path):
    path = _file(tmp_path, _rows(4))
    assert len(t0.open_rows(path, index=tmp_path / "made" / "here")) == 4
    assert (tmp_path / "made/here/.a.jsonl.rows").exists() and not (tmp_path / ".a.jsonl.rows").exists()
    (tmp_path / "file").write_text("")
    assert [row["n"] for row in t0.open_rows(path, index=tmp_path / "file")] == [0, 1, 2, 3]


def test_large_files_stay_on_the_disk(tmp_path, monkeypatch):
    path = _file(tmp_path, _rows(4))
    assert isinstance(diskrows.rows_at(path), list)
    monkeypatch.setattr(diskrows, "BIG", 10)
    assert isinstance(diskrows.rows_at(path), diskrows.DiskRows)
    assert list(diskrows.rows_at(path)) == t0.read_rows(path)
    path = _file(tmp_path, "a\n1\n2\n3\n4\n5\n", "a.csv")
    assert isinstance(diskrows.rows_at(path), diskrows.DiskRows) and list(diskrows.rows_at(path)) == t0.read_rows(path)
    path = tmp_path / "DATA" / "mine" / "train.parquet"
    path.parent.mkdir(parents=True)
    _parquet(path, 9, 3)
    rows = find_rows(tmp_path / "DATA", "mine")()
    assert isinstance(rows, arrowrows.ParquetRows) and list(rows) == list(t0.read_rows(path))


LENGTHS = {"max_source": 64, "max_target": 16}


def _mixture(path):
    prompts = [
        t0.Prompt("a", '{{ ["x", "y", "z"] | choice }} {{ n }} {{ text }} ||| {{ n }}'),
        t0.Prompt("odd", "{% if n % 2 %}{{ n }}?{% endif %} ||| yes"),
    ]
    return t0.Mixture(t0.Task("disk", t0.open_rows(path), prompts))


def _hash(batch):
    return hashlib.sha256(
        b"".join(part.tobytes() for ragged in (batch.sources, batch.targets) for part in (ragged.ids, ragged.offsets))
    ).hexdigest()


def _stream(mixture, tokenizer, first, last, workers):
    """SHA-256 of each batch of the steps."""

    def make(step):
        return make_batch(mixture, tokenizer, step, seed=3, batch_size=8, **LENGTHS)

    with Batches(make, first, last, workers) as batches:
        made = [batches.next() for _ in range(first, last)]
    assert [batch.step for batch in made] == list(range(first, last)) and [batch.first for batch in made] == [
        8 * step for step in range(first, last)
    ]
    return [_hash(batch) for batch in made]


def test_the_stream_is_the_same_with_any_number_of_workers_and_from_any_step(tmp_path):
    mixture, tokenizer = _mixture(_file(tmp_path, _rows(200))), t0.mini.new_model(0).tokenizer
    whole = _stream(mixture, tokenizer, 0, 40, workers=1)
    assert len(set(whole)) == 40
    for workers in (2, 4):
        assert _stream(mixture, tokenizer, 0, 40, workers) == whole
        assert _stream(mixture, tokenizer, 17, 40, workers) == whole[17:]


@pytest.mark.parametrize("budget", [1, 100, 1000])
def test_batches_cut_by_tokens_hold_every_example_once_and_as_many_as_fit(tmp_path, budget):
    mixture, tokenizer = _mixture(_file(tmp_path, _rows(200))), t0.mini.new_model(0).tokenizer

    def make(chunk):
        return make_batch(mixture, tokenizer, chunk, seed=3, batch_size=CHUNK, **LENGTHS)

    def cut(step, example, workers):
        with TokenBatches(make, step, example, budget, workers) as batches:
            return [batches.next() for _ in range(step, 12)]

    whole = cut(0, 0, workers=1)
    assert [batch.step for batch in whole] == list(range(12))
    end, lengths = 0, []
    for batch in whole:
        assert batch.first == end and len(batch) == len(batch.components) == len(batch.passed) == len(batch.sources) == len(batch.targets)
        end += len(batch)
        lengths.append(batch.lengths)
    for these, then in zip(lengths, lengths[1:]):
        assert len(these) == 1 or these.sum() <= budget
        assert these.sum() + then[0] > budget
    apart = make_batch(mixture, tokenizer, 0, seed=3, batch_size=end, **LENGTHS)  # all of them, in one
    assert np.concatenate(lengths).tolist() == apart.lengths.tolist() and [c for b in whole for c in b.components] == apart.components
    assert np.concatenate([batch.sources.ids for batch in whole]).tolist() == apart.sources.ids.tolist()
    assert np.concatenate([batch.targets.ids for batch in whole]).tolist() == apart.targets.ids.tolist()
    total = sum(sum(batch.dropped.values()) for batch in whole)
    assert sum(apart.dropped.values()) == total == sum(map(len, apart.passed)) and set(apart.dropped) <= {"disk/odd"}
    hashes = [_hash(batch) for batch in whole]
    assert len(set(hashes)) > 10
    for step, workers in ((0, 4), (5, 1), (7, 2)):
        assert [_hash(batch) for batch in cut(step, whole[step].first, workers)] == hashes[step:]


def test_batches_come_in_order_whoever_is_first():
    def make(step):
        time.sleep(0.02 if step % 4 == 0 else 0)
        return step

    with Batches(make, 0, 12, workers=4) as batches:
        assert [batches.next() for _ in range(12)] == list(range(12))


def test_an_error_comes_in_its_turn_and_threads_end():
    def make(step):
        if step == 3:
            raise t0.DataError("step 3")
        return step

    before = threading.active_count()
    with Batches(make, 0, 100, workers=3) as batches:
        assert [batches.next() for _ in range(3)] == [0, 1, 2]
        with pytest.raises(t0.DataError, match="step 3"):
            batches.next()
    assert threading.active_count() == before


def test_training_with_workers_gives_the_same_losses():
    def losses(workers):
        how = {"steps": 3, "batch_size": 4, "progress": False, "threads": 1}
        return t0.train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), workers=workers, **how).losses

    assert losses(1) == losses(4)
    with pytest.raises(t0.ConfigError, match="workers"):
        losses(0)
