"""Types of fields: told, or by the one rule for the rest; the same of CSV, TSV, files on the disk and data frames, and one line about it."""

import csv
import datetime
import io
import json
import random

import pytest
from conftest import needed
from fakes import yes_no

import t0native as t0
from t0native.cli.main import main
from t0native.data import diskrows
from t0native.data.columns import RULES
from t0native.data.csvrows import read_csv
from t0native.data.datafolder import find_rows
from t0native.data.datasetfacts import dataset_facts, types_of
from t0native.data.dialects import is_quoted
from t0native.data.frames import sequence_of
from t0native.data.rows import read_rows
from t0native.data.types import parse_types, read_types

COLUMNS = {  # name -> (cells, values, what is told)
    "whole": (["1", "-8", "0"], [1, -8, 0], "whole is int"),
    "whole, one missing": (["1", "", "0"], [1, None, 0], "whole, one missing is int"),
    "of a data frame": (["1.0", "", "-2.0"], [1, None, -2], "of a data frame is int"),
    "decimals": (["1.0", "0.5", "-2.25"], [1.0, 0.5, -2.25], "decimals is float"),
    "all .0, none missing": (["1.0", "2.0", "3.0"], [1.0, 2.0, 3.0], "all .0, none missing is float"),
    "decimals, one missing": (["1.0", "", "0.5"], [1.0, None, 0.5], "decimals, one missing is float"),
    "truth": (["True", "False", "True"], [True, False, True], "truth is bool"),
    "truth, one missing": (["true", "", "false"], [True, None, False], "truth, one missing is bool"),
    "text": (["a", "b", ""], ["a", "b", None], None),
    "blank": (["", "", ""], [None, None, None], None),
    "leading zero": (["01", "2", "3"], ["01", "2", "3"], "leading zero stays text ('01')"),
    "plus": (["+1", "2", "3"], ["+1", "2", "3"], "plus stays text ('+1')"),
    "minus nothing": (["-0", "2", "3"], ["-0", "2", "3"], "minus nothing stays text ('-0')"),
    "exponent": (["0.5", "1e-05", "2.5"], ["0.5", "1e-05", "2.5"], "exponent stays text ('1e-05')"),
    "trailing zero": (["0.5", "0.50", ""], ["0.5", "0.50", None], "trailing zero stays text ('0.50')"),
    "mixed": (["1", "0.5", "2"], ["1", "0.5", "2"], "mixed stays text (whole numbers and decimals)"),
    "spaced": (["1", " 2", "3"], ["1", " 2", "3"], "spaced stays text (' 2')"),
    "other digits": (["\u0661", "2", "3"], ["\u0661", "2", "3"], None),
    "capital truth": (["TRUE", "FALSE", "TRUE"], ["TRUE", "FALSE", "TRUE"], "capital truth stays text ('TRUE')"),
    "two truths": (["True", "false", "True"], ["True", "false", "True"], "two truths stays text ('false')"),
    "not a number": (["nan", "inf", "1.5"], ["nan", "inf", "1.5"], None),
    "huge": (["9" * 30, "1", "2"], [int("9" * 30), 1, 2], "huge is int"),
}


def table(columns, delimiter=",", **options):
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n", **options)
    writer.writerow(["n", *columns])  # a first cell, for a line of blanks alone is no row
    writer.writerows([str(i), *cells] for i, cells in enumerate(zip(*columns.values())))
    return out.getvalue()


def typed(rows):
    return [[(name, type(value), value) for name, value in row.items()] for row in rows]


@pytest.fixture
def told(caplog):
    """A function that gives the lines told since it was called."""

    def lines():
        messages = [record.getMessage() for record in caplog.records if record.name == "t0native"]
        caplog.clear()
        return messages

    return lines


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_a_column_by_the_rule(name, ending, tmp_path, told):
    cells, values, line = COLUMNS[name]
    path = tmp_path / f"rows.{ending}"
    path.write_text(table({name: cells}, "," if ending == "csv" else "\t"))
    expected = typed([{"n": i, name: value} for i, value in enumerate(values)])
    assert typed(read_rows(path)) == expected
    (sentence,) = told()
    blanks = cells.count("")
    parts = [f"{path}: n is int" + (f", {line}" if line and "stays" not in line else "")]
    parts += [f"{blanks} blank cell{'s are' if blanks > 1 else ' is'} None"] * (blanks > 0)
    parts += [line] if line and "stays" in line else []
    assert sentence == "; ".join(parts)
    for _ in range(2):  # on the disk, the index made and found: the same rows and the same line
        assert typed(t0.open_rows(path)) == expected
        assert told() == [sentence]


def test_nothing_is_told_where_nothing_is_converted(tmp_path, told):
    (tmp_path / "a.csv").write_text("text\na\nb\n")
    assert read_rows(tmp_path / "a.csv") == [{"text": "a"}, {"text": "b"}] and told() == []


def test_types_that_are_told(tmp_path, told):
    path = tmp_path / "a.csv"
    path.write_text("id,label,score,flag,mood\n007,1.0,1e-3,TRUE,good\n008,,2,0,bad\n,0,,,\n")
    types = {"id": str, "label": "int", "score": float, "flag": "bool", "mood": ["bad", "good"]}
    expected = [
        {"id": "007", "label": 1, "score": 0.001, "flag": True, "mood": 1},
        {"id": "008", "label": None, "score": 2.0, "flag": False, "mood": 0},
        {"id": "", "label": 0, "score": None, "flag": None, "mood": None},
    ]
    line = f"{path}: label is int, score is float, flag is bool, mood is int (by name); 4 blank cells are None"
    for read in (read_csv, read_rows, t0.open_rows, t0.open_rows):
        assert typed(read(path, types=types)) == typed(expected) and told() == [line]
    assert typed(t0.open_rows(path, types="text")) == typed(read_rows(path, types="text"))
    assert read_rows(path, types="text")[1] == {"id": "008", "label": "", "score": "2", "flag": "0", "mood": "bad"} and told() == []
    assert t0.open_rows(path)[2]["id"] is None and t0.open_rows(path, types=types)[2]["id"] == ""  # an index is of its types


@pytest.mark.parametrize("types, message", [
    ({"lable": int}, "types has 'lable', no field of these rows; did you mean 'label'?"),
    ({"label": int}, "line 3: label is 'x', must be int, as types says"),
    ({"label": ["no", "yes"]}, "line 2: label is '2', must be one of 'no', 'yes' or its number, as types says"),
    ({"text": float}, "line 2: text is 'a', must be float, as types says"),
    ({"text": "bool"}, "line 2: text is 'a', must be bool, as types says"),
])  # fmt: skip
def test_rows_that_are_not_of_the_types_told(types, message, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("text,label\na,2\nb,x\n")
    for read in (read_rows, t0.open_rows):
        with pytest.raises(t0.DataError) as error:
            read(path, types=types)
        assert str(error.value) == f"{path}{', ' if message.startswith('line') else ': '}{message}"


@pytest.mark.parametrize("types, message", [
    ("txt", "types 'txt': must be 'text', '0.1.0', or a mapping"),
    (3, "types 3: must be"),
    ({"a": "integer"}, "types: 'a' is 'integer', must be 'text', 'int', 'float', 'bool' or a list of different names"),
    ({"a": ["x", "x"]}, "types: 'a' is ['x', 'x'], must be"),
    ({"a": []}, "types: 'a' is [], must be"),
    ({3: "int"}, "types: field 3: must be text"),
])  # fmt: skip
def test_types_that_are_none(types, message):
    with pytest.raises(t0.ConfigError) as error:
        read_types(types)
    assert message in str(error.value)


def test_types_of_the_command_line():
    assert parse_types(None) is None and parse_types("0.1.0") == "0.1.0"
    assert parse_types("a=int, b=no|yes") == {"a": "int", "b": ["no", "yes"]}
    for text in ("a", "a=", "=int", "a=int,", "a=int,a=text", "a=number"):
        with pytest.raises(t0.ConfigError):
            parse_types(text)


def test_rows_as_0_1_0_read_them(tmp_path, told):
    path = tmp_path / "a.csv"
    path.write_text("n,gap,flag,small,zip\n1,1,True,1e-05,01\n2,,False,0.5,02\n")
    expected = [
        {"n": 1, "gap": "1", "flag": "True", "small": 1e-05, "zip": "01"},
        {"n": 2, "gap": "", "flag": "False", "small": 0.5, "zip": "02"},
    ]
    assert typed(read_rows(path, types="0.1.0")) == typed(t0.open_rows(path, types="0.1.0")) == typed(expected) and told() == []


def test_random_tables_are_the_same_on_the_disk_and_in_memory(tmp_path):
    random_ = random.Random(5)
    kinds = [["1", "2", "-3", "1.0", "0.5", "True", "false", "", "01", "1e3", "x", 'q"', "a\tb", "c\nd"]]
    kinds += [["1", "2", ""], ["1.0", "3.0", ""], ["0.5", "1.5"], ["True", "False", ""], ["a\tb", 'say "x"', "plain"]]
    for number in range(150):
        columns = {f"c{i}": [random_.choice(cells) for _ in range(3)] for i, cells in enumerate(random_.choices(kinds, k=3))}
        for ending, delimiter in (("csv", ","), ("tsv", "\t")):
            path = tmp_path / f"{number}.{ending}"
            path.write_text(table(columns, delimiter))
            rows = read_rows(path)
            assert typed(t0.open_rows(path)) == typed(rows)
            back = [[("" if row[name] is None else row[name]) for name in columns] for row in rows]
            assert [len(row) for row in back] == [3, 3, 3]
            for i, cells in enumerate(columns.values()):  # nothing is lost but how a missing whole number is written
                for row, cell in zip(back, cells):
                    assert str(row[i]) in (cell, cell.removesuffix(".0"), cell.capitalize() if cell in ("true", "false") else cell)


def test_many_rows_are_decided_by_all_of_them(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n" + "1,1,1\n" * 5000 + "2,x,\n")
    rows = read_rows(path)
    assert rows[0] == {"a": 1, "b": "1", "c": 1} and rows[-1] == {"a": 2, "b": "x", "c": None}
    monkeypatch.setattr(diskrows, "BIG", 100)
    again = diskrows.rows_at(path)
    assert isinstance(again, diskrows.DiskRows) and list(again) == rows


# ---- T0's datasets ----------------------------------------------------------------------------------------------------


def test_every_dataset_has_types():
    assert all(fact["types"] for fact in dataset_facts().values())
    assert types_of("allenai/winogrande/winogrande_xl")["answer"] == types_of("winogrande/winogrande_xl")["answer"] == "text"
    assert types_of("anli")["label"] == {"names": ["entailment", "neutral", "contradiction"]} and types_of("mine") == types_of(None) == {}


@pytest.mark.parametrize("dataset, text, row, line", [
    ("winogrande/winogrande_xl", "sentence,option1,option2,answer\n_ ran.,a,b,1\n", {"sentence": "_ ran.", "option1": "a", "option2": "b", "answer": "1"}, None),
    ("social_i_qa", "context,label\nc,2\n", {"context": "c", "label": "2"}, None),
    ("hellaswag", "ctx,ind,label\nc,7,\n", {"ctx": "c", "ind": 7, "label": ""}, "ind is int"),
    ("allenai/social_i_qa", "context,label\n12,3\n", {"context": "12", "label": "3"}, None),
    ("paws/labeled_final", "id,sentence1,label\n1,5,0\n", {"id": 1, "sentence1": "5", "label": 0}, "id is int, label is int"),
    ("anli", "premise,label\np,neutral\n", {"premise": "p", "label": 1}, "label is int (by name)"),
    ("super_glue/boolq", "passage,label\np,True\n", {"passage": "p", "label": 1}, "label is int (by name)"),
    ("super_glue/boolq", "passage,label\np,true\n", {"passage": "p", "label": 1}, "label is bool; label is not super_glue/boolq's one of 'False', 'True' or its number (line 2 has 'true')"),
    ("super_glue/rte", "premise,label\n12,not_entailment\n", {"premise": "12", "label": 1}, None),  # distributed.py's
    ("super_glue/axg", "premise,hypothesis,label\n,12,0\n", {"premise": "", "hypothesis": "12", "label": 0}, "label is int"),
    ("super_glue/cb", "premise,label\np,\nq,2\n", {"premise": "p", "label": None}, "label is int; 1 blank cell is None"),
    ("super_glue/copa", "premise,label\np,-1\n", {"premise": "p", "label": -1}, "label is int"),
    ("yelp_review_full", "text,label\ng,5\n", {"text": "g", "label": 5}, "label is int; label is not yelp_review_full's one of '1 star', '2 star', '3 stars', '4 stars', ... or its number (line 2 has '5')"),
    ("squad_v2", 'id,answers\n1,"{\'text\': []}"\n', {"id": "1", "answers": "{'text': []}"}, "answers stays text, in squad_v2 it is no flat value: use JSON Lines or Parquet"),
    ("story_cloze/2016", "story_id,answer_right_ending\n7,2.0\n", {"story_id": "7", "answer_right_ending": 2}, "answer_right_ending is int"),
    ("mine", "story_id,answer\n7,2\n", {"story_id": 7, "answer": 2}, "story_id is int, answer is int"),
])  # fmt: skip
def test_a_csv_file_of_a_dataset_has_the_types_of_its_features(dataset, text, row, line, tmp_path, told):
    path = tmp_path / "a.csv"
    path.write_text(text)
    for read in (read_rows, t0.open_rows, t0.open_rows):  # the index made, and found
        assert typed(read(path, dataset))[:1] == typed([row]) and told() == ([f"{path}: {line}"] if line else [])


def test_names_become_numbers_as_the_library_datasets_has_it(tmp_path):
    datasets = needed("datasets", "pip install datasets")
    names = ["entailment", "neutral", "contradiction"]
    label = datasets.ClassLabel(names=names)
    for text in (*names, "0", "2", "-1", " neutral", "neutral "):
        assert read_types({"label": label}).told["label"].convert(text) == label.str2int(text) if text != "-1" else -1
    for text in ("3", "Neutral", "yes", "-2", "1.5"):
        with pytest.raises(ValueError):
            label.str2int(text)
        with pytest.raises(ValueError):
            read_types({"label": label}).told["label"].convert(text)
    features = datasets.Features({"text": datasets.Value("string"), "n": datasets.Value("int32"), "x": datasets.Value("float64"), "flag": datasets.Value("bool"), "mood": datasets.ClassLabel(names=["bad", "good"])})  # fmt: skip
    path = tmp_path / "a.csv"
    path.write_text("text,n,x,flag,mood\n01,1,2,True,good\nb,2,0.5,False,0\n")
    cache = str(tmp_path / "cache")
    theirs = datasets.load_dataset("csv", data_files=str(path), features=features, cache_dir=cache, split="train")
    assert typed(read_rows(path, types=features)) == typed(theirs)
    nested = datasets.Features({"text": datasets.Value("string"), "list": datasets.List(datasets.Value("string"))})
    assert list(read_types(nested).told) == ["text"]


def test_a_file_as_its_authors_distribute_it_has_no_types_of_the_hub(tmp_path):
    path = tmp_path / "crows.csv"
    path.write_text(",sent_more,sent_less,stereo_antistereo,bias_type\n0,a,b,antistereo,age\n")
    row = {"id": 0, "sent_more": "a", "sent_less": "b", "stereo_antistereo": 1, "bias_type": 8}
    assert list(read_rows(path, "crows_pairs")) == list(t0.open_rows(path, "crows_pairs")) == [row]


# ---- data frames, tables, `datasets` ----------------------------------------------------------------------------------

GAPS = {"label": [1, None, 0], "score": [0.5, None, 2.0], "text": ["a", None, "b"], "flag": [True, None, False], "n": [1, 2, 3]}
GAP_ROWS = [{name: values[i] for name, values in GAPS.items()} for i in range(3)]


def in_pandas():
    return needed("pandas", "pip install pandas").DataFrame(GAPS)


def in_polars():
    polars = needed("polars", "pip install polars")
    nan = float("nan")
    return polars.DataFrame(GAPS | {"label": [1.0, nan, 0.0], "score": [0.5, nan, 2.0]})


def in_arrow():
    return needed("pyarrow", "pip install pyarrow").Table.from_pandas(in_pandas())


class Stream:
    """Whatever else speaks Arrow, as duckdb's relations."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


FRAMES = {
    "pandas": in_pandas,
    "pandas, its own gaps": lambda: in_pandas().convert_dtypes(),
    "polars": in_polars,
    "a table": in_arrow,
    "a batch": lambda: in_arrow().to_batches()[0],
    "a reader of batches": lambda: in_arrow().to_reader(),
    "a stream": lambda: Stream(in_arrow()),
    "datasets": lambda: needed("datasets", "pip install datasets").Dataset.from_pandas(in_pandas()),
    "columns": lambda: GAPS | {"label": [1.0, float("nan"), 0.0]},
    "columns of arrays": lambda: {name: in_pandas()[name].to_numpy() for name in GAPS},
}


@pytest.mark.parametrize("form", FRAMES)
def test_gaps_of_a_data_frame(form, told):
    rows = sequence_of(FRAMES[form](), "mine")
    assert typed(rows) == typed(GAP_ROWS)
    (line,) = told() or [None]
    if form == "pandas, its own gaps":  # whose whole numbers stayed whole
        assert line == "mine: 4 gaps are None"
    else:
        assert line.startswith("mine: label is int; ") and line.endswith("gaps are None")


def test_gaps_as_0_1_0_had_them(told):
    first, second, third = sequence_of(in_pandas(), "mine", types="0.1.0")
    assert first["label"] == 1.0 and second["label"] != second["label"] and type(first["label"]) is float and told() == []
    assert typed(sequence_of(in_pandas(), "mine", types="text")) == typed(GAP_ROWS)


def test_gaps_in_files_of_arrow(tmp_path, told):
    pandas, pyarrow = needed("pandas", "pip install pandas"), needed("pyarrow", "pip install pyarrow")
    frame = in_pandas()
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_feather(tmp_path / "a.feather")
    with pyarrow.ipc.new_stream(str(tmp_path / "a.arrow"), in_arrow().schema) as sink:
        sink.write_table(in_arrow())
    for name in ("a.parquet", "a.feather", "a.arrow"):
        path = tmp_path / name
        for read in (read_rows, t0.open_rows, t0.open_rows):
            assert typed(read(path)) == typed(GAP_ROWS) and told() == [f"{path}: label is int; 2 gaps are None"]
    assert typed(t0.open_rows(tmp_path / "a.parquet", types={"label": "float", "n": str}))[1][0] == ("label", type(None), None)
    assert typed(t0.open_rows(tmp_path / "a.parquet", types={"label": "float", "n": str}))[0][::4] == [
        ("label", float, 1.0),
        ("n", str, "1"),
    ]
    with pytest.raises(t0.DataError, match="a.parquet, row 0: text is 'a', must be int, as types says"):
        t0.open_rows(tmp_path / "a.parquet", types={"text": int})
    pandas.DataFrame({"x": [1.0, 2.0]}).to_parquet(tmp_path / "b.parquet")  # without a gap a float is a float
    assert typed(read_rows(tmp_path / "b.parquet")) == typed([{"x": 1.0}, {"x": 2.0}])


def test_values_of_a_data_frame_that_are_no_numbers_stay():
    pandas = needed("pandas", "pip install pandas")
    at = datetime.datetime(2020, 1, 2)
    frame = pandas.DataFrame({"at": [at, None], "list": [["a"], None], "code": ["01", "2"], "big": [1e300, None]}, index=[7, 9])
    assert sequence_of(frame) == [
        {"at": at, "list": ["a"], "code": "01", "big": 1e300},
        {"at": None, "list": None, "code": "2", "big": None},
    ]
    assert sequence_of(pandas.DataFrame(index=[1, 2])) == [{}, {}]


def test_a_data_frame_of_a_dataset_has_the_types_of_its_features(told):
    pandas = needed("pandas", "pip install pandas")
    csv_text = "sentence,option1,option2,answer\n_ ran.,a,b,1\n_ sat.,c,d,2\n"
    prompt = t0.Prompt(
        "w", "{{ sentence }} ||| {% if answer == '1' %}{{ option1 }}{% else %}{{ option2 }}{% endif %}", "{{ option1 }} ||| {{ option2 }}"
    )
    task = t0.Task("w", pandas.read_csv(io.StringIO(csv_text)), prompt, dataset="winogrande/winogrande_xl")
    assert [task.render("w", i).target for i in range(2)] == ["a", "d"] and told() == ["task 'w': answer is text"]
    held = find_rows({"winogrande/winogrande_xl": pandas.read_csv(io.StringIO(csv_text))}, "winogrande", "winogrande_xl")()
    assert [row["answer"] for row in held] == ["1", "2"]


def test_types_of_lists_and_of_json_lines(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": "a", "correct": "0"}\n{"id": "b", "correct": 1.0}\n')
    expected = [{"id": "a", "correct": 0}, {"id": "b", "correct": 1}]
    assert typed(read_rows(path, types={"correct": int})) == typed(t0.open_rows(path, types={"correct": int})) == typed(expected)
    assert typed(sequence_of(read_rows(path), types={"correct": int})) == typed(expected)
    rows = read_rows(path)
    assert sequence_of(rows) is rows and rows[0]["correct"] == "0"  # what lists hold they keep
    path.write_text('{"id": "a", "correct": "x"}\n')
    for read, place in ((read_rows, f"{path}, row 0"), (lambda *a, **b: t0.open_rows(*a, **b)[0], f"{path}, line 1")):
        with pytest.raises(t0.DataError) as error:
            read(path, types={"correct": int})
        assert str(error.value) == f"{place}: correct is 'x', must be int, as types says"
    assert t0.Task("t", [{"text": "a", "label": "1"}], yes_no(), types={"label": int}).rows == [{"text": "a", "label": 1}]


def test_columns_and_splits_are_told_apart():
    assert sequence_of({"text": ("a", "b"), "spans": [[1], [2]]}) == [{"text": "a", "spans": [1]}, {"text": "b", "spans": [2]}]
    assert sequence_of({"text": ["a"], "who": [{"name": "Ann"}]}) == [{"text": "a", "who": {"name": "Ann"}}]
    for splits, told in (
        ({"train": [{"a": 1}], "test": [{"a": 2}]}, "a mapping, not rows; choose one of its parts: train, test"),
        ({"train": [], "test": []}, "a mapping, not rows; choose one of its parts"),
        ({"train": [{"a": 1}], "test": [{"a": 2}, {"a": 3}]}, "a mapping, not rows; choose one of its parts"),
        ({"a": [1], "b": [1, 2]}, "columns of different lengths: 'a' 1, 'b' 2"),
        ({"text": "abc", "label": 1}, r"one row, with the fields text, label; put it into a list: \[row\]"),
        ({"text": b"abc"}, "one row, with the fields text; put it"),
        ({0: {"text": "abc"}}, r"a mapping of rows; list\(rows.values\(\)\) is a list of them"),
    ):
        with pytest.raises(t0.DataError, match=told):
            sequence_of(splits)
    assert find_rows({"mine": {"text": ["a"], "label": [1]}}, "mine", None, "test")() == [{"text": "a", "label": 1}]
    assert find_rows({"mine": {"train": [{"a": 1}]}}, "mine", None, "test") is None


# ---- two columns of one name ------------------------------------------------------------------------------------------


def test_two_columns_of_one_name_are_one_error_in_every_reader(tmp_path):
    pandas, pyarrow = needed("pandas", "pip install pandas"), needed("pyarrow", "pip install pyarrow")
    twice = pyarrow.table([[1], [2]], names=["a", "a"])
    (tmp_path / "a.csv").write_text("a,b,a\n1,2,3\n")
    (tmp_path / "a.tsv").write_text("a\ta\n1\t2\n")
    (tmp_path / "a.jsonl").write_text('{"a": 1, "a": 2}\n')
    (tmp_path / "list.json").write_text('[{"b": 1}, {"a": 1, "a": 2}]')
    (tmp_path / "lines.json").write_text('{"b": 1}\n{"a": 1, "a": 2}\n')
    (tmp_path / "split.json").write_text('{"columns": ["a", "a"], "data": [[1, 2]]}')
    (tmp_path / "columns.json").write_text('{"a": [1], "a": [2]}')
    pyarrow.parquet.write_table(twice, tmp_path / "a.parquet")
    with pyarrow.ipc.new_file(str(tmp_path / "a.arrow"), twice.schema) as sink:
        sink.write_table(twice)
    calls = {name: (lambda path=path: list(read_rows(path))) for path in tmp_path.iterdir() if (name := path.name)}
    calls |= {
        f"{name} on the disk": (lambda path=tmp_path / name: list(t0.open_rows(path)))
        for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet")
    }
    calls |= {
        "pandas": lambda: sequence_of(pandas.DataFrame([[1, 2]], columns=["a", "a"])),
        "table": lambda: sequence_of(twice),
        "stream": lambda: sequence_of(Stream(twice)),
    }
    for name, call in calls.items():
        with pytest.raises(t0.DataError) as error:
            call()
        assert "the field 'a' stands twice" in str(error.value), name
    assert len(calls) == 16


# ---- tables with tabs -------------------------------------------------------------------------------------------------

RAW = {
    "one mark": 'text\tlabel\n"Hello there\t1\nBye\t0\n',
    "marks that meet over lines": 'text\tlabel\n"Hello there\t1\nWorld"\t0\n',
    "a whole text in marks": 'text\tlabel\n"Hello there."\t1\nBye\t0\n',
    "a text that begins with marks": 'text\tlabel\n"Hello," she said.\t1\nBye\t0\n',
    "marks in the midst": 'text\tlabel\nSo "good" it is\t1\n',
    "marks and doubled ones": 'text\tlabel\n"a ""b"" c"\t1\nthe 5" nail\t0\n',
    "inches": 'text\tlabel\n5"\t1\n7"\t0\n',
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_table_with_quotation_marks(name, tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text(RAW[name])
    expected = [line.split("\t") for line in RAW[name].splitlines()[1:]]
    for read in (read_rows, t0.open_rows):
        assert [[row["text"], str(row["label"])] for row in read(path)] == expected


@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC], ids=["minimal", "all", "texts"])
def test_a_table_that_a_library_quoted(quoting, tmp_path):
    pandas = needed("pandas", "pip install pandas")
    texts = ['He said "hi"', "a\tb", "plain", "two\nlines", "", '"', '""', "end\r\nin", 'x"\t"y']
    frame = pandas.DataFrame({"text": texts, "label": range(len(texts))})
    path = tmp_path / "a.tsv"
    frame.to_csv(path, sep="\t", index=False, quoting=quoting)
    expected = [{"text": text or None, "label": i} for i, text in enumerate(texts)]
    assert list(read_rows(path)) == expected == list(t0.open_rows(path)) == list(t0.open_rows(path))


def test_random_tables_of_pandas_come_back(tmp_path):
    pandas = needed("pandas", "pip install pandas")
    random_ = random.Random(3)
    for number in range(200):
        texts = ["".join(random_.choices('ab"\t\n ', k=random_.randrange(6))) + "z" for _ in range(4)]
        path = tmp_path / f"{number}.tsv"
        pandas.DataFrame({"text": texts, "label": range(4)}).to_csv(path, sep="\t", index=False)
        raw = [line.split("\t") for line in path.read_text().splitlines()[1:]]
        rows = [row["text"] for row in read_rows(path)]
        assert rows == texts or all(len(cells) == 2 for cells in raw), path.read_text()  # a table that is raw as well
        assert [row["text"] for row in t0.open_rows(path)] == rows


def test_whether_a_table_is_quoted():
    assert is_quoted(['"a"\t"b"', '"x"\t1']) and is_quoted(["a\tb", '""\t1', '"x\ty"\t2'])
    for lines in (["a\tb", '""\t1'], ["a\tb", "x\t1"], ['"a"\tb', '"x"\t1'], ["a\tb", '"x\t1'], []):
        assert not is_quoted(lines)


# ---- where types are given --------------------------------------------------------------------------------------------

TEMPLATES = """dataset: mine
templates:
  0a1b2c3d-0000-4000-8000-000000000001: !Template
    id: 0a1b2c3d-0000-4000-8000-000000000001
    name: say
    jinja: "{{ text }} ||| {{ answer_choices[label] }}"
    answer_choices: no ||| yes
    reference: ''
    metadata: !TemplateMetadata
      original_task: true
      choices_in_prompt: false
      metrics: [Accuracy]
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "P/mine").mkdir(parents=True)
    (tmp_path / "P/mine/templates.yaml").write_text(TEMPLATES)
    (tmp_path / "rows.csv").write_text("text,label\n007,yes\n008,no\n")
    return tmp_path


def test_types_in_a_suite_and_a_recipe(mine):
    types = "types: {text: text, label: ['no', 'yes']}"
    (mine / "suite.yaml").write_text(f"{{templates: P, tasks: [{{dataset: mine, file: rows.csv, {types}}}]}}")
    (task,) = t0.suite("suite.yaml")
    assert [task.render("say", i)[:2] for i in range(2)] == [("007", "yes"), ("008", "no")]
    (mine / "DATA/mine").mkdir(parents=True)
    (mine / "DATA/mine/validation.csv").write_text("text,label\n1,1\n2,0\n")
    (mine / "suite.yaml").write_text(
        "{data: DATA, templates: P, tasks: [{dataset: mine, types: '0.1.0'}, {dataset: mine, name: b, types: {text: text}}]}"
    )
    assert [task.rows[0] for task in t0.suite("suite.yaml")] == [{"text": 1, "label": 1}, {"text": "1", "label": 1}]
    (mine / "suite.yaml").write_text("{templates: P, tasks: [{dataset: mine, file: rows.csv, types: {label: number}}]}")
    with pytest.raises(t0.ConfigError, match="tasks.0..types .*: must be 'text', '0.1.0', or a mapping"):
        t0.suite("suite.yaml")
    (mine / "recipe.yaml").write_text(f"{{model: mini, steps: 1, tasks: [{{dataset: mine, data: rows.csv, prompts: P, {types}}}]}}")
    assert main(["train", "recipe.yaml", "--show", "1", "--json"]) == 0


def test_types_on_the_command_line(mine, capsys):
    apply = ["prompt", "apply", "mine", "say", "--prompts", "P", "--data", "rows.csv", "--json"]
    assert main([*apply, "--types", "label=no|yes"]) == 0
    (result,) = json.loads(capsys.readouterr().out)
    assert (result["input"], result["target"]) == ("007", "yes")
    assert main([*apply, "--types", "lable=no|yes"]) == 2 and "did you mean 'label'?" in capsys.readouterr().err
    assert main(["prompt", "check", "mine", "--prompts", "P", "--data", "rows.csv", "--types", "label=no|yes"]) == 0
    for options in (["--suite", "t0"], ["--data", "rows.csv", "--dataset", "mine", "--prompts", "P"]):
        assert main(["evaluate", "--model", "none", *options, "--types", "label=yes"]) == 2
        assert "types" in capsys.readouterr().err


def test_a_run_of_other_rows_says_how_to_read_them_as_before(tmp_path):
    (tmp_path / "a.csv").write_text("text,label,flag\n" + "x,1,True\ny,0,False\n" * 4)
    model = t0.mini.new_model(0) if hasattr(t0.mini, "new_model") else t0.Model.mini()
    prompt = t0.Prompt("p", "{{ text }} {{ flag }} ||| {{ answer_choices[label] }}", "no ||| yes")
    options = {"steps": 1, "batch_size": 2, "out": tmp_path / "run", "progress": False}
    t0.train(model, t0.Mixture([t0.Task("t", read_rows(tmp_path / "a.csv", types="0.1.0"), prompt)]), **options)
    with pytest.raises(t0.ConfigError, match='another plan: mixture was .* types: "0.1.0" reads CSV files as that version did'):
        t0.train(model, t0.Mixture([t0.Task("t", read_rows(tmp_path / "a.csv"), prompt)]), **options | {"steps": 2})
    again = t0.Mixture([t0.Task("t", read_rows(tmp_path / "a.csv", types="0.1.0"), prompt)])
    assert t0.train(model, again, **options | {"steps": 2}).steps == 2


def test_the_rules_are_about_texts_alone():
    assert all(isinstance(rule("1"), bool) for rule in RULES.values())
