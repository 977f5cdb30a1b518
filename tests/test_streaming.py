"""Rows left on the disk, and batches that do not depend on how many threads prepare them."""

import hashlib
import json
import threading
import time

import numpy as np
import pytest

import t0native as t0
from t0native import diskrows
from t0native.batches import CHUNK, Batches, TokenBatches, make_batch


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
    with pytest.raises(t0.DataError, match="piqa"):
        t0.open_rows(_file(tmp_path, _rows(1)), "piqa")


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


LENGTHS = {"max_source": 64, "max_target": 16}


def _mixture(path):
    prompts = [
        t0.Prompt("a", '{{ ["x", "y", "z"] | choice }} {{ n }} {{ text }} ||| {{ n }}'),
        t0.Prompt("odd", "{% if n % 2 %}{{ n }}?{% endif %} ||| yes"),
    ]
    return t0.Mixture(t0.Task("disk", t0.open_rows(path), prompts))


def _hash(batch):
    return hashlib.sha256(b"".join(part.tobytes() for ragged in (batch.sources, batch.targets) for part in (ragged.ids, ragged.offsets))).hexdigest()


def _stream(mixture, tokenizer, first, last, workers):
    """SHA-256 of each batch of the steps."""

    def make(step):
        return make_batch(mixture, tokenizer, step, seed=3, batch_size=8, **LENGTHS)

    with Batches(make, first, last, workers) as batches:
        made = [batches.next() for _ in range(first, last)]
    assert [batch.step for batch in made] == list(range(first, last)) and [batch.first for batch in made] == [8 * step for step in range(first, last)]
    return [_hash(batch) for batch in made]


def test_the_stream_is_the_same_with_any_number_of_workers_and_from_any_step(tmp_path):
    mixture, tokenizer = _mixture(_file(tmp_path, _rows(200))), t0.mini.new_model(0).tokenizer
    whole = _stream(mixture, tokenizer, 0, 40, workers=1)
    assert len(set(whole)) == 40
    for workers in (2, 4):
        assert _stream(mixture, tokenizer, 0, 40, workers) == whole
        assert _stream(mixture, tokenizer, 17, 40, workers) == whole[17:]


@pytest.mark.parametrize("budget", [1, 100, 1000, 5000])
def test_batches_cut_by_tokens_hold_every_example_once_and_as_many_as_fit(tmp_path, budget):
    mixture, tokenizer = _mixture(_file(tmp_path, _rows(200))), t0.mini.new_model(0).tokenizer

    def make(chunk):
        return make_batch(mixture, tokenizer, chunk, seed=3, batch_size=CHUNK, **LENGTHS)

    def cut(step, example, workers):
        with TokenBatches(make, step, example, budget, workers) as batches:
            return [batches.next() for _ in range(step, 30)]

    whole = cut(0, 0, workers=1)
    assert [batch.step for batch in whole] == list(range(30))
    end, lengths = 0, []
    for batch in whole:
        assert batch.first == end and len(batch) == len(batch.components) == len(batch.attempts) == len(batch.sources) == len(batch.targets)
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
    assert sum(apart.dropped.values()) == total == sum(apart.attempts) and set(apart.dropped) <= {"disk/odd"}
    hashes = [_hash(batch) for batch in whole]
    assert len(set(hashes)) > 25
    for step, workers in ((0, 2), (0, 4), (11, 1), (23, 4)):
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
