"""What Python holds in the place of rows: read as rows, or told with the remedy, by Task, predict, read_rows and a prompt alike; and parts of
rows, which are rows."""

import collections
import dataclasses
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.data import datafolder, diskrows
from t0native.mini.datasets import Rows

HAVE = "pip install pandas polars pyarrow datasets"
ROWS = [{"text": "Tea.", "label": 1}, {"text": "Rain.", "label": 0}]
MOOD = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
MODEL = t0.Model.mini()
COLUMN = "one column, {} of str, and no rows; the field needs its name: {{'text': values}}, or give the whole table"
TEXTS = 'row 0: a row must be a mapping of fields, is str; texts are rows under the name of their field: {"text": [...]}'


def readings(make):
    """The rows that each place makes of what make() gives, a list of lists."""
    task = t0.Task("t", make(), MOOD)
    yield [dict(task.rows[i]) for i in range(len(task))]
    yield [dict(row) for row in t0.read_rows(make())]
    inputs = [answer["row"] for answer in t0.predict(MODEL, MOOD, make(), progress=False)]
    yield [ROWS[number] for number in inputs]
    yield ROWS if [example.input for example in MOOD.render_all(make())] == ["Tea. Good or bad?", "Rain. Good or bad?"] else None


def told(make):
    """What each place says of it, the place's own name taken away: one sentence."""
    said = set()
    for call in (lambda rows: t0.Task("t", rows, MOOD), t0.read_rows, lambda rows: list(t0.predict(MODEL, MOOD, rows, progress=False))):
        with pytest.raises(t0.DataError) as error:
            call(make())
        said.add(re.sub(r"^(task 't'|rows)[:,] ", "", str(error.value)))
    assert len(said) == 1, said
    with pytest.raises((t0.DataError, t0.ConfigError)):
        MOOD.render_all(make())
    return said.pop()


def check_rows(**made):
    for name, make in made.items():
        assert all(rows == ROWS for rows in readings(make)), name


# ---- rows ---------------------------------------------------------------------------------------------------------------


def test_what_is_rows():
    columns = {"text": ["Tea.", "Rain."], "label": [1, 0]}
    records = np.array([("Tea.", 1), ("Rain.", 0)], dtype=[("text", "U9"), ("label", "i4")])
    check_rows(
        list=lambda: ROWS,
        tuple=lambda: tuple(ROWS),
        generator=lambda: (row for row in ROWS),
        values=lambda: dict(enumerate(ROWS)).values(),
        deque=lambda: collections.deque(ROWS),
        columns=lambda: columns,
        arrays=lambda: {name: np.array(values) for name, values in columns.items()},
        objects=lambda: np.array(ROWS, object),
        records=lambda: records,
    )
    assert [type(value) for value in t0.read_rows(records)[0].values()] == [str, int]


def test_frames_and_tables_are_rows():
    pandas, polars, pyarrow, datasets = (needed(name, HAVE) for name in ("pandas", "polars", "pyarrow", "datasets"))
    frame = pandas.DataFrame(ROWS)
    check_rows(
        pandas=lambda: frame,
        series=lambda: {"text": frame["text"], "label": frame["label"]},
        dicts=lambda: pandas.Series(ROWS),
        records=lambda: frame.to_records(index=False),
        polars=lambda: polars.DataFrame(ROWS),
        structs=lambda: polars.Series(ROWS),
        table=lambda: pyarrow.table(frame),
        batch=lambda: pyarrow.table(frame).to_batches()[0],
        pyarrow_structs=lambda: pyarrow.array(ROWS),
        dataset=lambda: datasets.Dataset.from_list(ROWS),
        iterable=lambda: datasets.Dataset.from_list(ROWS).to_iterable_dataset(),
    )


def test_read_rows_of_rows_has_types_and_a_dataset():
    assert t0.read_rows({"label": ["1", "2"]}, types={"label": int}) == [{"label": 1}, {"label": 2}]
    assert t0.read_rows([{"word": "pen", "label": True}], "super_glue/wic") == [{"word": "pen", "label": 1}]
    assert t0.read_rows({"a": [1.0, float("nan")]}) == [{"a": 1}, {"a": None}]
    with pytest.raises(t0.DataError, match="^rows: no rows$"):
        t0.read_rows([])


# ---- what is none, with the remedy ----------------------------------------------------------------------------------------


@dataclasses.dataclass
class Example:
    text: str = "Tea."
    label: int = 1


NONE = {
    "texts": (lambda: ["Tea.", "Rain."], TEXTS),
    "texts, one after the other": (lambda: iter(["Tea."]), TEXTS),
    "names": (lambda: [Path("a.csv")], f"row 0: a row must be a mapping of fields, is {type(Path()).__name__}; read the file first: t0native.read_rows(name)"),
    "one row": (lambda: ROWS[0], "one row, with the fields text, label; put it into a list: [row]"),
    "rows by numbers": (lambda: dict(enumerate(ROWS)), "a mapping of rows; list(rows.values()) is a list of them"),
    "splits": (lambda: {"train": ROWS, "test": ROWS[:1]}, "a mapping, not rows; choose one of its parts: train, test"),
    "named tuples": (lambda: [collections.namedtuple("Row", "text label")("Tea.", 1)], "row 0: a row must be a mapping of fields, is Row; row._asdict() is one"),
    "data classes": (lambda: [Example()], "row 0: a row must be a mapping of fields, is Example; dataclasses.asdict(row) is one"),
    "lists": (lambda: [["Tea.", 1]], "row 0: a row must be a mapping of fields, is list; dict(zip(names, row)) names its values"),
    "tuples": (lambda: [("Tea.", 1)], "row 0: a row must be a mapping of fields, is tuple; dict(zip(names, row)) names its values"),
    "bytes": (lambda: b"Tea.", "row 0: a row must be a mapping of fields, is int"),
    "array": (lambda: np.array(["Tea.", "Rain."]), COLUMN.format("ndarray")),
    "matrix": (lambda: np.zeros((2, 3)), "an array of shape (2, 3), and no rows; its columns need names: {'text': values[:, 0], ...}"),
}  # fmt: skip


@pytest.mark.parametrize("name", NONE)
def test_what_is_no_rows(name):
    make, sentence = NONE[name]
    assert told(make) == sentence


def test_columns_of_frames_are_no_rows():
    pandas, polars, pyarrow, datasets = (needed(name, HAVE) for name in ("pandas", "polars", "pyarrow", "datasets"))
    frame = pandas.DataFrame({"text": ["Tea.", "Rain."], "label": [1, 0]})
    assert told(lambda: frame["text"]) == told(lambda: polars.from_pandas(frame)["text"]) == COLUMN.format("Series")
    assert told(lambda: frame["text"].rename("words")) == COLUMN.format("Series").replace("'text'", "'words'")
    assert told(lambda: frame["text"].rename(7)) == told(lambda: frame["text"])
    assert told(lambda: frame["label"]) == COLUMN.format("Series").replace("of str", "of int").replace("'text'", "'label'")
    assert told(lambda: pyarrow.table(frame)["text"]) == COLUMN.format("ChunkedArray")
    assert told(lambda: pyarrow.array(["Tea."])) == COLUMN.format("StringArray")
    assert told(lambda: datasets.Dataset.from_pandas(frame)["text"]) == TEXTS
    assert told(lambda: [frame.iloc[0]]) == "row 0: a row must be a mapping of fields, is Series; row.to_dict() is one"
    assert told(lambda: list(frame.itertuples())) == "row 0: a row must be a mapping of fields, is Pandas; row._asdict() is one"
    assert told(frame.iterrows) == "row 0: a row must be a mapping of fields, is tuple; the data frame itself serves as rows"
    assert told(lambda: polars.from_pandas(frame).lazy()) == "a LazyFrame is no sequence of rows; LazyFrame.collect() gives a data frame"
    groups = told(lambda: frame.groupby("label"))
    assert groups.startswith("a DataFrameGroupBy is no sequence of rows: rows[0] fails (KeyError: ")
    splits = datasets.DatasetDict({"train": datasets.Dataset.from_pandas(frame)})
    assert told(lambda: splits) == "a mapping, not rows; choose one of its parts: train"


def test_rows_of_a_database_are_told_how_they_become_mappings():
    with sqlite3.connect(":memory:") as database:
        database.row_factory = sqlite3.Row
        rows = database.execute("SELECT 'Tea.' AS text, 1 AS label").fetchall()
    database.close()
    assert told(lambda: rows) == "row 0: a row must be a mapping of fields, is Row; dict(row) is one"
    assert t0.Task("t", [dict(row) for row in rows], MOOD).render("mood", 0).input == "Tea. Good or bad?"


def test_one_odd_row_among_others_has_its_reason():
    answers = list(t0.predict(MODEL, MOOD, ["Tea.", *ROWS], progress=False))
    assert answers[0]["reason"] == TEXTS.removeprefix("row 0: ") and [answer["row"] for answer in answers] == [0, 1, 2]
    assert answers[0]["prediction"] is None and None not in (answers[1]["prediction"], answers[2]["prediction"])
    with pytest.raises(t0.DataError, match="^rows, prompt 'mood', row 1: no field 'text'; nearest is 'texts' "):
        list(t0.predict(MODEL, MOOD, ["Tea.", {"texts": "Tea."}], progress=False))


@pytest.mark.parametrize(
    "example, remedy",
    [
        ([ROWS[0]], "; apply_all and render_all take rows"),
        (iter(ROWS), "; apply_all and render_all take rows"),
        ("Tea.", '; texts are rows under the name of their field: {"text": [...]}'),
        (Example(), "; dataclasses.asdict(row) is one"),
        (None, ""),
        (7, ""),
    ],
    ids=range(6),
)
def test_a_prompt_wants_one_row(example, remedy):
    for call in (MOOD.apply, MOOD.render, MOOD.choices, MOOD.render_noted, MOOD.preview):
        with pytest.raises(t0.DataError) as error:
            call(example)
        assert str(error.value) == f"example: {type(example).__name__}, must be a mapping of field names to values{remedy}"


# ---- parts of rows ------------------------------------------------------------------------------------------------------


def check_parts(rows, expected):
    n = len(expected)
    for part in (
        slice(None),
        slice(2),
        slice(-2, None),
        slice(None, None, -1),
        slice(1, 100),
        slice(3, 1),
        slice(0, n, 2),
        slice(-100, -1),
    ):
        assert list(rows[part]) == expected[part] and len(rows[part]) == len(expected[part])
    assert list(rows[1:][::2][:1]) == expected[1:][::2][:1] and rows[1:][-1] == expected[-1]
    assert [rows[i] for i in (np.int64(1), np.int32(-1), True)] == [expected[1], expected[-1], expected[1]]
    assert list(rows) == expected == list(reversed(list(reversed(rows)))) and expected[1] in rows and rows.index(expected[1]) == 1
    for wrong in (n, -n - 1):
        for some in (rows, rows[:]):
            with pytest.raises(IndexError, match=f"^row {wrong} of {n}$"):
                some[wrong]
    with pytest.raises(
        TypeError, match=r"^rows are taken by number, 'text' is a field: rows\[0\]\['text'\] is a value, \[row\['text'\] for row in "
    ):
        rows["text"]
    for wrong in (1.0, None, (0, 1)):
        with pytest.raises(TypeError):
            rows[wrong]
    task = t0.Task("t", rows[1:], MOOD)
    assert len(task) == n - 1 and task.render("mood", 0) == MOOD.render(expected[1])
    assert len(list(t0.predict(MODEL, MOOD, rows[:2], progress=False))) == 2
    assert "of 5 rows)" in repr(rows[:2])


@pytest.fixture
def five():
    return [{"text": f"Tea {i}.", "label": i % 2} for i in range(5)]


def test_parts_of_files_that_stay_on_the_disk(tmp_path, five, monkeypatch):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in five))
    (tmp_path / "a.jsonl").write_text("".join(f'{{"text": "{row["text"]}", "label": {row["label"]}}}\n' for row in five))
    for name in ("a.csv", "a.jsonl"):
        check_parts(t0.open_rows(tmp_path / name), five)
    monkeypatch.setattr(diskrows, "BIG", 0)
    for i in range(2):
        lines = (tmp_path / "a.jsonl").read_text().splitlines(True)
        (tmp_path / f"b-0000{i}-of-00002.jsonl").write_text("".join(lines[3 * i : 3 * i + 3]))
    check_parts(diskrows.rows_at(tmp_path / "b"), five)


def test_parts_of_tables(tmp_path, five):
    pyarrow = needed("pyarrow", HAVE)
    from pyarrow import feather, parquet

    table = pyarrow.Table.from_pylist(five)
    parquet.write_table(table, tmp_path / "a.parquet")
    feather.write_feather(table, tmp_path / "a.arrow")
    for name in ("a.parquet", "a.arrow"):
        for read in (t0.read_rows, t0.open_rows):
            check_parts(read(tmp_path / name), five)
    rows = t0.read_rows(tmp_path / "a.parquet")[1:3]
    assert rows.column_names == ["text", "label"]
    with pytest.raises(t0.DataError, match="no field 'texts'; nearest is 'text'"):
        t0.Task("t", rows, t0.Prompt("p", "{{ texts }} ||| x"))


def test_parts_of_typed_datasets_and_of_made_rows(five):
    datasets = needed("datasets", HAVE)
    dataset = datasets.Dataset.from_list([row | {"label": float(row["label"])} for row in five] + [{"text": "x", "label": None}])
    rows = t0.read_rows(dataset)  # whole numbers beside a gap
    assert list(rows[:5]) == five and rows[-1] == {"text": "x", "label": None}
    made = Rows("values", count=5)
    assert list(made[1:3]) == [made[1], made[2]] and len(made[::2]) == 3


def test_names_of_folders_that_no_system_takes_are_told_in_short(tmp_path):
    with pytest.raises(t0.DataError, match="File name too long$") as error:
        t0.read_rows(tmp_path / ("9" * 5000 + ".jsonl"))
    assert len(str(error.value)) < 400
    with pytest.raises(t0.DataError, match=r"\\x1b\[2J: no such folder of data") as error:
        datafolder.find_rows(str(tmp_path / "\x1b[2J"), "rte")
    assert str(error.value).isprintable()
