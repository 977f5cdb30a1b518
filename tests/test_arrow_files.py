"""Damaged Arrow and Parquet files, producers that lie, files that change while they are mapped: DataError, and no process ends."""

import datetime
import io
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from arrow_arrays import Column
from conftest import needed

import t0native as t0
from t0native.studio.confined import read_confined
from t0native.studio.rowfiles import _WholeFile
from t0native.text.sequences import as_list

pyarrow = needed("pyarrow", "pip install 't0native[data]'", module_level=True)
from fuzz_arrow_files import KINDS, fuzz, table_of  # noqa: E402
from pyarrow import feather, ipc, parquet  # noqa: E402

TABLE = {"a": [1, 2, 3], "t": ["x", "y", "z"]}


def stream_of(table, new=ipc.new_stream, **settings):
    sink = io.BytesIO()
    with new(sink, table.schema) as out:
        out.write_table(table, **settings)
    return sink.getvalue()


def write(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def with_offset(data, value=0x7FFFFFFF, ends=(0, 1, 2, 3)):
    """The bytes of a file with column t of TABLE, the second offset of which is another."""
    at = data.rindex(struct.pack(f"<{len(ends)}i", *ends))
    return data[: at + 4] + struct.pack("<i", value) + data[at + 8 :]


def list_in_child(tmp_path, code, *arguments):
    """What a process of its own printed, that may be ended by what it reads."""
    code = f"import sys; from pathlib import Path; import t0native as t0\n{code}"
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    run = subprocess.run(
        [sys.executable, "-P", "-c", code, *map(str, arguments)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert run.returncode == 0, (run.returncode, run.stderr[-2000:])
    return run.stdout


READ = """
for path in sys.argv[1:]:
    try:
        print(len(list(t0.read_rows(path))))
    except t0.DataError as error:
        print(error)
"""


def test_offsets_that_point_out_of_the_file(tmp_path):
    """Of an Arrow stream, an Arrow file, a Feather file, a folder as the hub has it, one that save_to_disk left."""
    table = pyarrow.table(TABLE)
    sound, file = stream_of(table), stream_of(table, ipc.new_file)
    feather.write_feather(table, tmp_path / "f.feather", compression="uncompressed")
    written = {
        "x.arrow": sound, "y.arrow": file, "f.feather": (tmp_path / "f.feather").read_bytes(), "hub/train-00000-of-00001.arrow": sound,
        "saved/data-00000-of-00001.arrow": sound,
    }  # fmt: skip
    for name, data in written.items():
        write(tmp_path / name, with_offset(data))
    write(tmp_path / "saved/state.json", b'{"_data_files": [{"filename": "data-00000-of-00001.arrow"}], "_split": "train"}')
    paths = [*(tmp_path / name for name in written), tmp_path / "hub", tmp_path / "saved"]
    files = [*paths[:5], paths[3], paths[4]]
    for line, path in zip(list_in_child(tmp_path, READ, *paths).splitlines(), files, strict=True):
        assert line.startswith(f"{path}, rows 0 to 2: 't': broken (") and line.endswith("); fetch or write it again"), line
    assert [len(list(t0.read_rows(write(tmp_path / "sound" / Path(name).name, data)))) for name, data in written.items()] == [3] * 5


def test_the_rows_of_a_broken_batch_are_named(tmp_path):
    table = pyarrow.table({"t": [f"text {i}" for i in range(10)]})
    data = stream_of(table, max_chunksize=4)
    at = data.rindex(b"text 5")  # in front the first batch has the texts of all
    write(tmp_path / "a.arrow", data[:at] + b"\xff" + data[at + 1 :])
    with pytest.raises(t0.DataError, match=r"a.arrow, rows 4 to 7: 't': broken \(Invalid UTF8 sequence at string index 1"):
        t0.read_rows(tmp_path / "a.arrow")
    write(tmp_path / "b-00000-of-00002.arrow", stream_of(table))
    write(tmp_path / "b-00001-of-00002.arrow", data[:at] + b"\xff" + data[at + 1 :])
    with pytest.raises(t0.DataError, match=r"b-00001-of-00002.arrow, rows 4 to 7: 't'"):
        t0.read_rows(tmp_path / "b")


def broken_parquet(path, n=200):
    """A Parquet file one of whose texts, in row 150, is no UTF-8."""
    table = pyarrow.table({"n": range(n), "t": [f"text {i:04}" for i in range(n)]})
    sink = io.BytesIO()
    parquet.write_table(table, sink, use_dictionary=False, compression="none")
    data = sink.getvalue()
    assert data.count(b"text 0150") == 1
    write(path, data.replace(b"text 0150", b"text \xff150"))
    return table, data


@pytest.mark.parametrize("opener", [t0.read_rows, t0.open_rows])
def test_texts_of_a_parquet_file_that_are_no_utf8(tmp_path, opener):
    broken_parquet(tmp_path / "a.parquet")
    with pytest.raises(t0.DataError, match=r"a.parquet, rows \d+ to \d+: 't': broken \(Invalid UTF8 sequence at string index 150"):
        opener(tmp_path / "a.parquet")
    assert not (tmp_path / ".a.parquet.rows").exists()


def test_the_studio_tells_such_a_file(tmp_path):
    """One that is sent, and one of its folder."""
    broken_parquet(tmp_path / "sent.parquet")
    path = write(tmp_path / "data/mine/train.parquet", (tmp_path / "sent.parquet").read_bytes())
    with pytest.raises(t0.DataError, match=r"'t': broken \(Invalid UTF8 sequence"):
        read_confined("parquet", tmp_path / "sent.parquet", tmp_path / "out", 1000)
    with pytest.raises(t0.DataError, match=r"train.parquet, rows 0 to 199: 't': broken \(Invalid UTF8 sequence"):
        _WholeFile(path, "mine")


def test_a_copy_that_is_damaged_where_its_rows_are(tmp_path):
    _, data = broken_parquet(tmp_path / "a.parquet")
    path, copy = write(tmp_path / "a.parquet", data), tmp_path / ".a.parquet.rows"
    rows, sound = list(t0.open_rows(path)), copy.read_bytes()
    at = sound.index(b"text 0150")
    remedy = f"delete it and open {path} again, which makes it anew"
    for damaged in (
        sound[:at] + b"\xff" + sound[at + 1 :],
        sound.replace(struct.pack("<3i", 0, 9, 18), struct.pack("<3i", 0, 1 << 30, 18)),
    ):
        assert damaged != sound
        copy.write_bytes(damaged)
        opened = t0.open_rows(path)
        with pytest.raises(t0.DataError, match=rf"^{copy}: changed since it was opened \(rows from 0: .*\); {remedy}"):
            list(opened)
    for old, new in ((b'"columns"', b'"c0lumns"'), (b'"note"', b'"n0te"'), (b"[[null", b"[[[[[["), (b"t0every", b"t0every")):
        copy.write_bytes(sound.replace(old, new))  # what it says of its columns: it is made anew
        assert list(t0.open_rows(path)) == rows and copy.read_bytes() == sound
    copy.unlink()
    assert list(t0.open_rows(path)) == rows


def test_values_that_python_has_not(tmp_path):
    """A date beyond the year 9999 is told when its row is asked for, with row and field; the others are there."""
    table = pyarrow.table({"n": [1, 2, 3], "day": pyarrow.array([0, 1 << 30, 1], pyarrow.date32())})
    write(tmp_path / "a.arrow", stream_of(table))
    parquet.write_table(table, tmp_path / "a.parquet")
    for rows, name in ((t0.read_rows(tmp_path / "a.arrow"), "a.arrow"), (t0.open_rows(tmp_path / "a.parquet"), "a.parquet")):
        assert rows[0] == {"n": 1, "day": datetime.date(1970, 1, 1)} and rows[2]["n"] == 3
        with pytest.raises(
            t0.DataError, match=rf"{name}, row 1: 'day': no value of Python \(.*\); leave the field out, or write it as text"
        ):
            rows[1]
    with pytest.raises(t0.DataError, match="^task 'claims', row 1: 'day': no value of Python"):
        t0.Task("claims", table, [t0.Prompt("p", "{{ n }} ||| {{ n }}")])


CHANGE = """
import os
path = sys.argv[1]
rows = t0.read_rows(path)
assert rows[0]["n"] == 0 and rows[len(rows) - 1]["n"] == len(rows) - 1
if sys.argv[2] == "cut":
    os.truncate(path, 1000)
else:
    with open(path, "r+b") as file:
        file.seek(-4000, 2)
        file.write(b"\\xff" * 2000)
    os.utime(path, ns=(1, 1))
for i in (0, len(rows) - 1):
    try:
        print(rows[i])
    except t0.DataError as error:
        print(error)
"""


@pytest.mark.parametrize("how", ["cut", "written"])
def test_a_mapped_file_that_changes(tmp_path, how):
    path = write(tmp_path / "a.arrow", stream_of(pyarrow.table({"n": range(20_000), "t": ["some text"] * 20_000}), max_chunksize=5000))
    told = list_in_child(tmp_path, CHANGE, path, how).splitlines()
    assert told == [f"{path}: changed since it was opened, so its rows are not those that were promised; open it again"] * 2


def test_a_mapped_file_that_another_replaces_stays(tmp_path):
    path = write(tmp_path / "a.arrow", stream_of(pyarrow.table(TABLE)))
    rows = t0.read_rows(path)
    os.replace(write(tmp_path / "b", b"another"), path)
    assert rows[2] == {"a": 3, "t": "z"}
    path.unlink()
    assert list(rows) == [{"a": a, "t": t} for a, t in zip(*TABLE.values())]


def test_mapped_files_do_not_fill_the_memory(tmp_path):
    """80 MB are checked, and stay out of it."""
    table = pyarrow.table({"t": ["x" * 10_000] * 1000})
    with ipc.new_stream(tmp_path / "a.arrow", table.schema) as out:
        for _ in range(8):
            out.write_table(table, max_chunksize=100)
    code = """
from t0native.data import arrowchecks, arrowrows
arrowrows.RELEASE = 4 << 20
def held():
    return sum(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssFile")) / 1e3
t0.read_rows(sys.argv[2])
before = held()
rows = t0.read_rows(sys.argv[1])
assert len(rows) == 8000
print(held() - before)
"""
    if not os.path.exists("/proc/self/status"):
        pytest.skip("/proc is not here, which tells what of a mapped file is in memory")
    small = write(tmp_path / "small.arrow", stream_of(table.slice(0, 10)))
    assert float(list_in_child(tmp_path, code, tmp_path / "a.arrow", small)) < 20


# ---- what others hand over ------------------------------------------------------------------------------------------


class Table:
    """One column "t" as a table's stream: pyarrow reads it by its capsule."""

    def __init__(self, column):
        self.column = column

    def __arrow_c_stream__(self, requested_schema=None):
        return pyarrow.table({"t": self.column}).__arrow_c_stream__()


def lying():
    """Texts of which the first ends behind the last."""
    return pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(struct.pack("<3i", 0, 5, 1)), pyarrow.py_buffer(b"abcdef")]
    )


def test_tables_of_others_are_checked():
    for table in (Table(lying()), pyarrow.table({"t": lying()})):
        with pytest.raises(t0.DataError, match=r"^task 'mine', rows 0 to 1: 't': broken \(.*\); fetch or write it again"):
            t0.Task("mine", table, [t0.Prompt("p", "{{ t }} ||| x")])


def test_columns_of_others_are_checked():
    class Known:
        def __arrow_c_array__(self, requested_schema=None):
            return lying().__arrow_c_array__()

    for column in (lying(), pyarrow.chunked_array([lying()]), Known()):
        with pytest.raises(t0.ConfigError, match="^inputs: .*; give a column of texts, or a list"):
            as_list("inputs", column)
    column = Column(["a", "b"])
    assert as_list("inputs", column) == ["a", "b"]
    with pytest.raises(t0.ConfigError, match="^inputs: .*; give a column of texts, or a list"):
        as_list("inputs", column)  # consumed


def test_names_that_are_no_utf8(tmp_path):
    data = stream_of(pyarrow.table({"name": [1]}))
    write(tmp_path / "a.arrow", data.replace(b"name", b"n\xffme"))
    with pytest.raises(t0.DataError, match="a.arrow: not a arrow file that pyarrow can read .'utf-8' codec can't decode"):
        t0.read_rows(tmp_path / "a.arrow")


def test_a_promise_of_rows_that_are_not_there(tmp_path, monkeypatch):
    parquet.write_table(pyarrow.table(TABLE), tmp_path / "a.parquet")
    monkeypatch.setattr(parquet.ParquetFile, "iter_batches", lambda *_, **__: iter(()))
    with pytest.raises(t0.DataError, match="a.parquet: 0 rows in it, though it promises 3; fetch or write it again"):
        t0.open_rows(tmp_path / "a.parquet")


def test_every_type_is_read_as_it_was_written(tmp_path):
    table = table_of(pyarrow, 24)
    write(tmp_path / "a.arrow", stream_of(table, max_chunksize=7))
    assert list(t0.read_rows(tmp_path / "a.arrow", types="0.1.0"))[3:] == table.to_pylist()[3:]  # NaN in row 2


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_files_from_the_fuzz(kind):
    """A slice; python tests/fuzz_arrow_files.py does 50,000 of each kind."""
    n, _, wrong = fuzz(kind, 0, 80)
    assert wrong == [] and n == 80
