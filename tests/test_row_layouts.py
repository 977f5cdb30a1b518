"""Where rows lie and how they are packed: files that pandas, polars, pyarrow, `datasets` and the standard library wrote, read back."""

import bz2
import gzip
import json
import lzma
import shutil
import zipfile

import pytest
from conftest import needed

import t0native as t0
from t0native.data import diskrows
from t0native.data.datafolder import find_rows, missing_text
from t0native.data.rows import files_at, read_rows

ROWS = [{"text": f"row {i}", "label": i % 2} for i in range(7)]
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)
CSV = "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS)
HAVE = "pip install pyarrow pandas polars datasets"


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parquet(path, rows=ROWS):
    pyarrow = needed("pyarrow", HAVE)
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_", "."), content)
    return path


def zst(content):
    pyarrow = needed("pyarrow", HAVE)
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as out:
        out.write(content)
    return sink.getvalue().to_pybytes()


# ---- packed ---------------------------------------------------------------------------------------------------------

PACKED = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zst}


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("ending, content", [
    (".jsonl", LINES), (".ndjson", LINES), (".json", json.dumps(ROWS)), (".csv", CSV), (".tsv", CSV.replace(",", "\t")), (".JSONL", LINES),
])  # fmt: skip
def test_packed_texts(packing, ending, content, tmp_path):
    path = write(tmp_path / f"rows{ending}{packing}", PACKED[packing](content.encode()))
    assert list(read_rows(path)) == list(diskrows.rows_at(path)) == list(read_rows(str(path))) == ROWS
    with pytest.raises(t0.DataError, match=f"{path}: packed, so its rows cannot be left on the disk: unpack it"):
        t0.open_rows(path)


@pytest.mark.parametrize("packing", [".gz", ".zst"])
def test_packed_tables(packing, tmp_path):
    content = parquet(tmp_path / "rows.parquet").read_bytes()
    assert list(read_rows(write(tmp_path / f"rows.parquet{packing}", PACKED[packing](content)))) == ROWS


def test_what_pandas_and_polars_packed(tmp_path):
    pandas, polars = needed("pandas", HAVE), needed("polars", HAVE)
    frame = pandas.DataFrame(ROWS)
    names = [f"p.csv{packing}" for packing in ("", ".gz", ".bz2", ".xz", ".zip")]
    for name in names:
        frame.to_csv(tmp_path / name, index=False)
    for name in ("p.jsonl", "p.jsonl.gz", "q.json.zip"):
        frame.to_json(tmp_path / name, orient="records", lines=True)
    polars.DataFrame(ROWS).write_csv(tmp_path / "l.csv")
    polars.DataFrame(ROWS).write_ndjson(tmp_path / "l.ndjson")
    polars.DataFrame(ROWS).write_parquet(tmp_path / "l.parquet")
    polars.DataFrame(ROWS).write_ipc(tmp_path / "l.arrow")
    polars.DataFrame(ROWS).write_ipc(tmp_path / "z.feather", compression="zstd")
    frame.to_feather(tmp_path / "p.feather")
    names += ["p.jsonl", "p.jsonl.gz", "q.json.zip", "l.csv", "l.ndjson", "l.parquet", "l.arrow", "z.feather", "p.feather"]
    for name in names:
        assert list(read_rows(tmp_path / name)) == ROWS, name


def test_archives(tmp_path):
    assert list(read_rows(zipped(tmp_path / "a.zip", a_csv=CSV, README_md="hello"))) == ROWS
    assert list(read_rows(zipped(tmp_path / "b.jsonl.zip", b_jsonl=LINES))) == ROWS
    for name, members, message in (
        ("c.zip", {"a_csv": CSV, "b_csv": CSV}, "2 files of rows (a.csv, b.csv) in it; there must be one"),
        ("d.zip", {"readme_txt": "x"}, "no file of rows (readme.txt) in it"),
        ("e.zip", {}, "no file of rows (nothing) in it"),
    ):
        with pytest.raises(t0.DataError) as error:
            read_rows(zipped(tmp_path / name, **members))
        assert f"{tmp_path / name}: {message}" in str(error.value)


@pytest.mark.parametrize("packing", [*PACKED, ".zip"])
def test_broken_packings(packing, tmp_path):
    write(tmp_path / f"a.jsonl{packing}", LINES)
    sound = zipped(tmp_path / "z.zip", a_jsonl=LINES * 50).read_bytes() if packing == ".zip" else PACKED[packing](LINES.encode() * 50)
    write(tmp_path / f"b.jsonl{packing}", sound[: len(sound) // 2])
    for name in "ab":
        with pytest.raises(t0.DataError, match=f"{tmp_path}/{name}.jsonl{packing}: broken, or no {packing} file"):
            read_rows(tmp_path / f"{name}.jsonl{packing}")
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / f"none.jsonl{packing}")
    with pytest.raises(
        t0.DataError, match="a.jsonl, line 2, column 2: not JSON" if packing == ".zip" else f"a.jsonl{packing}, line 2, column 2: not JSON"
    ):
        bad = b'{"a": 1}\n{b}\n'
        path = zipped(tmp_path / "c.zip", a_jsonl=bad) if packing == ".zip" else write(tmp_path / f"a.jsonl{packing}", PACKED[packing](bad))
        try:
            read_rows(path)
        except t0.DataError as error:
            raise t0.DataError(str(error).replace("c.zip", "a.jsonl")) from None


def test_other_texts_are_told(tmp_path):
    for name, content in (("a.csv", CSV), ("a.jsonl", LINES), ("a.json", json.dumps(ROWS)), ("a.tsv", CSV)):
        for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
            with pytest.raises(t0.DataError, match=f"{name}, line 1: UTF-16, or no text; write it as UTF-8: iconv"):
                read_rows(write(tmp_path / name, content.encode(encoding)))
        assert list(read_rows(write(tmp_path / name, content.replace(",", "\t" if name == "a.tsv" else ",").encode("utf-8-sig")))) == ROWS
    write(tmp_path / "a.parquet", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    needed("pyarrow", HAVE)
    with pytest.raises(t0.DataError, match="a.parquet: not a parquet file that pyarrow can read .a pointer of Git LFS"):
        read_rows(tmp_path / "a.parquet")


# ---- JSON -------------------------------------------------------------------------------------------------------------

JSON = {
    "a list": json.dumps(ROWS),
    "a list over lines": json.dumps(ROWS, indent=1),
    "lines": LINES,
    "lines and blank ones": "\n" + LINES.replace("\n", "\r\n\n"),
    "data": json.dumps({"version": "1", "data": ROWS}),
    "Instances": json.dumps({"Contributors": ["Ann"], "Instances": ROWS, "n": 3}),
    "examples": json.dumps({"examples": ROWS}, indent=2),
    "rows": json.dumps({"rows": ROWS, "features": [{"name": "text"}]}),
    "columns": json.dumps({"text": [row["text"] for row in ROWS], "label": [row["label"] for row in ROWS]}),
    "columns by numbers": json.dumps({name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ROWS[0]}),
    "rows by numbers": json.dumps({str(i): row for i, row in enumerate(ROWS)}),
    "split": json.dumps({"columns": ["text", "label"], "index": list(range(7)), "data": [list(row.values()) for row in ROWS]}),
}


@pytest.mark.parametrize("name", JSON)
def test_forms_of_json(name, tmp_path):
    assert read_rows(write(tmp_path / "a.json", JSON[name])) == ROWS


@pytest.mark.parametrize("orient", ["records", "columns", "index", "split"])
def test_json_that_pandas_wrote(orient, tmp_path):
    pandas = needed("pandas", HAVE)
    pandas.DataFrame(ROWS, index=range(3, 10)).to_json(tmp_path / "a.json", orient=orient)
    assert read_rows(tmp_path / "a.json") == ROWS


@pytest.mark.parametrize("content, message", [
    ({"text": "a", "label": 0}, "must be a list of objects, is an object with text (a string), label (a number); or"),
    ({"train": ROWS, "test": ROWS}, "is an object with train (a list), test (a list); or"),
    ({"data": ROWS, "examples": ROWS}, "is an object with data (a list), examples (a list); or"),
    ({"text": ["a"], "label": [0, 1]}, "is an object with text (a list), label (a list); or"),
    ({"text": {"0": "a"}, "label": {"1": 0}}, "is an object with text (an object), label (an object); or"),
    ({"a": {"x": 1}, "b": {"y": 1}}, "is an object with a (an object), b (an object); or"),
    ({"data": []}, "a.json: no rows"),
    ("rows", "must be a list of objects, is a string; or"),
    ([1], "a.json, element 0: a row must be an object, this is a number"),
])  # fmt: skip
def test_json_that_is_no_rows(content, message, tmp_path):
    with pytest.raises(t0.DataError) as error:
        read_rows(write(tmp_path / "a.json", json.dumps(content)))
    assert message in str(error.value)


def test_broken_lines_under_json_are_told_with_their_line(tmp_path):
    with pytest.raises(t0.DataError, match=r"a.json, line 3, column 7: not JSON \(Expecting value\): '{\"a\": }'"):
        read_rows(write(tmp_path / "a.json", '{"a": 1}\n\n{"a": }\n'))


# ---- folders ----------------------------------------------------------------------------------------------------------


def shards(folder, split, n, suffix=""):
    for i in range(n):
        parquet(folder / f"{split}-{i:05d}-of-{n:05d}{suffix}.parquet", ROWS[i * 7 // n : (i + 1) * 7 // n])


def saved(folder, split):
    dataset = needed("datasets", HAVE).Dataset.from_list(ROWS, split=split)
    dataset.save_to_disk(str(folder), num_shards=3)


def saved_dict(folder):
    datasets = needed("datasets", HAVE)
    datasets.DatasetDict({"validation": datasets.Dataset.from_list(ROWS), "train": datasets.Dataset.from_list(ROWS[:1])}).save_to_disk(
        str(folder)
    )


def cached(folder):
    datasets = needed("datasets", HAVE)
    write(folder / "in" / "rows.jsonl", LINES)
    datasets.load_dataset("json", data_files={"validation": str(folder / "in/rows.jsonl")}, cache_dir=str(folder / "cache"))
    (arrow,) = (folder / "cache").rglob("json-validation.arrow")
    for file in arrow.parent.iterdir():
        shutil.copy(file, folder)
    shutil.rmtree(folder / "in")
    shutil.rmtree(folder / "cache")


def several(folder, ending, make):
    for i in range(3):
        make(folder / f"validation-{i:05d}-of-00003{ending}", ROWS[i * 7 // 3 : (i + 1) * 7 // 3])


LAYOUTS = {
    "one file": lambda folder: write(folder / "validation.jsonl", LINES),
    "packed": lambda folder: write(folder / "validation.csv.gz", gzip.compress(CSV.encode())),
    "the hub's one shard": lambda folder: shards(folder, "validation", 1),
    "the hub's shards": lambda folder: shards(folder, "validation", 4),
    "fingerprints": lambda folder: shards(folder, "validation", 2, "-0123456789abcdef"),
    "data/": lambda folder: shards(folder / "data", "validation", 2),
    "plain_text/": lambda folder: shards(folder / "plain_text", "validation", 1),
    "default/validation/0000.parquet": lambda folder: [parquet(folder / f"default/validation/{i:04d}.parquet", ROWS[i : i + 1]) for i in range(7)],
    "a folder of the split": lambda folder: several(folder / "validation", ".jsonl", lambda path, rows: write(path, "".join(json.dumps(row) + "\n" for row in rows))),
    "shards of CSV": lambda folder: several(folder, ".csv", lambda path, rows: write(path, "text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in rows))),
    "save_to_disk of the split": lambda folder: saved(folder / "validation", "train"),
    "save_to_disk": lambda folder: saved(folder, "validation"),
    "save_to_disk of several splits": saved_dict,
    "a cache": cached,
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout, tmp_path, monkeypatch):
    folder = tmp_path / "DATA" / "mine"
    folder.mkdir(parents=True)
    LAYOUTS[layout](folder)
    assert list(find_rows(tmp_path / "DATA", "mine", None, "validation")()) == ROWS
    assert find_rows(tmp_path / "DATA", "mine", None, "test") is None
    if layout not in ("data/", "plain_text/", "default/validation/0000.parquet"):
        assert list(read_rows(folder / "validation" if "several" in layout or "the split" in layout else folder)) == ROWS
    if "/" not in layout and layout != "save_to_disk":
        assert list(read_rows(folder / "validation")) == ROWS  # a table by its name, without numbers
    monkeypatch.chdir(tmp_path)
    assert list(find_rows("DATA", "mine", None, "validation")()) == ROWS  # relative names
    monkeypatch.setattr(diskrows, "BIG", 10)
    rows = find_rows(tmp_path / "DATA", "mine", None, "validation")()
    assert list(rows) == ROWS and [rows[i] for i in range(-7, 0)] == ROWS
    in_memory = ("packed", "shards of CSV", "save_to_disk of the split", "save_to_disk", "save_to_disk of several splits", "a cache")
    assert (type(rows).__name__ in ("DiskRows", "ParquetRows", "JoinedRows")) == (layout not in in_memory)


def test_names_of_the_hub_and_subsets(tmp_path):
    parquet(tmp_path / "aps/super_glue/rte/validation-00000-of-00001.parquet", [{"premise": "a", "hypothesis": "b", "label": 0}])
    assert list(find_rows(tmp_path, "super_glue", "rte", "validation")())[0]["label"] == 0
    parquet(tmp_path / "imdb/plain_text/train-00000-of-00001.parquet", [{"text": "a", "label": 1}])
    assert list(find_rows(tmp_path, "imdb")()) == [{"text": "a", "label": 1}]
    assert find_rows(tmp_path, "super_glue", None, "validation") is None
    rows = t0.open_rows(tmp_path / "imdb/plain_text/train-00000-of-00001.parquet")
    assert list(rows) == [{"text": "a", "label": 1}] and (tmp_path / "imdb/plain_text/.train-00000-of-00001.parquet.rows").exists()
    assert list(find_rows(tmp_path, "imdb")()) == [{"text": "a", "label": 1}]  # the copy beside is none of the rows


def test_columns_of_shards_are_decided_by_all_of_them(tmp_path):
    write(tmp_path / "train-00000-of-00002.csv", "a,b,c\n1,1,1\n")
    write(tmp_path / "train-00001-of-00002.csv", "a,b,c\n,x,2\n")
    assert read_rows(tmp_path) == [{"a": 1, "b": "1", "c": 1}, {"a": None, "b": "x", "c": 2}]
    write(tmp_path / "train-00001-of-00002.csv", "a,b,d\n,x,2\n")
    with pytest.raises(t0.DataError, match="train-00001-of-00002.csv: its fields are not those of .*train-00000-of-00002.csv: c, d"):
        read_rows(tmp_path)
    for i, rows in enumerate(([{"a": 1.0}, {"a": None}], [{"a": 2.0}])):
        parquet(tmp_path / f"p/train-{i:05d}-of-00002.parquet", rows)
    assert list(read_rows(tmp_path / "p")) == [{"a": 1}, {"a": None}, {"a": 2}]


def test_what_is_not_taken_is_named(tmp_path):
    (tmp_path / "mine").mkdir()
    write(tmp_path / "mine/val.parquet", b"x")
    write(tmp_path / "mine/rows.xlsx", b"x")
    text = missing_text([("mine", None, "validation"), ("other", None, "train")], tmp_path)
    assert (
        f"; {tmp_path}/mine has rows.xlsx, val.parquet: validation would be validation.jsonl, .csv, .parquet, ... or validation-00000-of-00001.parquet"
        in text
    )
    assert "other/train.jsonl: hub id other\n" in text + "\n"
    (tmp_path / "empty").mkdir()
    write(tmp_path / "texts/a.txt", "x")
    shards(tmp_path / "gap", "train", 3)
    (tmp_path / "gap/train-00001-of-00003.parquet").unlink()
    shards(tmp_path / "two", "train", 1)
    write(tmp_path / "two/train.jsonl", LINES)
    saved(tmp_path / "lost", "train")
    next((tmp_path / "lost").glob("*00001*.arrow")).unlink()
    write(tmp_path / "mixed/train/a.jsonl", LINES)
    write(tmp_path / "mixed/train/b.csv", CSV)
    for call, message in (
        (lambda: read_rows(tmp_path / "empty"), "empty: a folder without rows; expected <split>.jsonl, .csv"),
        (lambda: read_rows(tmp_path / "texts"), "texts: a folder without rows (there are a.txt); expected <split>.jsonl"),
        (lambda: read_rows(tmp_path / "gap"), "gap: shard 1 of 3 is missing (there are train-00000-of-00003.parquet, train-00002"),
        (lambda: find_rows(tmp_path, "gap"), "gap: shard 1 of 3 is missing"),
        (lambda: find_rows(tmp_path, "two"), "are both the train split of two; leave one"),
        (lambda: read_rows(tmp_path / "two"), "two: a folder of several tables; name one of them: "),
        (lambda: files_at(tmp_path / "two/train.jsonl", "x") and files_at(tmp_path / "two", "train"), "are both train of"),
        (lambda: read_rows(tmp_path / "lost"), "lost: state.json promises data-00001-of-00003.arrow, which is not there"),
        (lambda: read_rows(tmp_path / "mixed/train"), "train: a folder of several tables; name one of them: "),
    ):
        with pytest.raises(t0.DataError) as error:
            call()
        assert message in str(error.value)


def test_a_choice_of_rows_that_was_saved_beside_its_data_is_refused(tmp_path):
    saved(tmp_path / "a", "train")
    state = json.loads((tmp_path / "a/state.json").read_text())
    write(tmp_path / "a/state.json", json.dumps(state | {"_indices_data_files": [{"filename": "indices.arrow"}]}))
    with pytest.raises(t0.DataError, match="saved with a choice of rows beside its data; save it again"):
        read_rows(tmp_path / "a")
    for files in ([{"filename": "../b.arrow"}], [3], []):
        write(tmp_path / "a/state.json", json.dumps(state | {"_data_files": files}))
        with pytest.raises(t0.DataError, match="state.json promises"):
            read_rows(tmp_path / "a")
    datasets = needed("datasets", HAVE)
    datasets.Dataset.from_list(ROWS).select([2, 0, 5]).save_to_disk(str(tmp_path / "b"))
    assert list(read_rows(tmp_path / "b")) == [ROWS[2], ROWS[0], ROWS[5]]


def test_a_suite_reads_the_hubs_layout(tmp_path):
    shards(tmp_path / "DATA/mine", "validation", 3)
    write(tmp_path / "P/mine/templates.yaml", "dataset: mine\ntemplates: {}\n")
    prompt = t0.Prompt("p", "{{ text }} ||| {{ answer_choices[label] }}", "no ||| yes")
    task = t0.Task("t", find_rows(tmp_path / "DATA", "mine", None, "validation")(), prompt)
    assert [task.render("p", i).target for i in range(7)] == ["no", "yes"] * 3 + ["no"]
