"""Tables as Excel, pandas and others write them: what divides their cells, in which encoding, under which first line; read right, or told."""

import json
import os
import subprocess
import threading

import pytest
from conftest import needed

import t0native as t0
from t0native.data import diskrows
from t0native.data.csvrows import count_csv_rows
from t0native.data.dialects import Dialect, find_dialect
from t0native.data.rowstream import stream_rows

HAVE = "pip install pandas pyarrow"
ROWS = [{"text": "Tea, please.", "label": 1}, {"text": "Two\nlines; “café”", "label": 0}]
TABLE = 'text;label\r\nTea, please.;1\r\n"Two\nlines; “café”";0\r\n'


def readings(path, **options):
    """The rows of a file from every reader of tables: in memory, on the disk, as a stream."""
    readers = [t0.read_rows(path, **options), list(t0.open_rows(path, index=path.parent / "index", **options))]
    readers += [t0.read_csv(path, **options)] + ([] if options else [list(stream_rows(path))])
    assert all(rows == readers[0] for rows in readers)
    assert options or count_csv_rows(path) == len(readers[0])
    return readers[0]


@pytest.mark.parametrize(
    "content, said",
    [
        (TABLE, "fields divided by ';', label is int"),
        ("\ufeff" + TABLE, "fields divided by ';', label is int"),
        ("sep=;\r\n" + TABLE, "fields divided by ';', label is int"),
        ('\ufeff"sep=;"\r\n' + TABLE, "fields divided by ';', label is int"),
        ("sep=,\n" + 'text,label\n"Tea, please.",1\n"Two\nlines; “café”",0\n', "label is int"),
        (TABLE.replace("“café”", "|").replace("; |", "; “café”").replace(".;", ".\t").replace("t;l", "t\tl").replace('";', '"\t'),
         "fields divided by a tab, label is int"),
        ("sep=\t\n" + 'text\tlabel\nTea, please.\t1\n"Two\nlines; “café”"\t0\n', "fields divided by a tab, label is int"),
        ('text|label\nTea, please.|1\n"Two\nlines; “café”"|0\n', "fields divided by '|', label is int"),
        ("sep=^\n" + 'text^label\nTea, please.^1\n"Two\nlines; “café”"^0\n', "fields divided by '^', label is int"),
    ],
    ids=["semicolon", "mark", "sep", "mark and sep", "sep comma", "tab", "sep tab", "bar", "sep other"],
)  # fmt: skip
def test_a_delimiter_that_the_ending_does_not_say(content, said, tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_bytes(content.encode())
    assert readings(path) == ROWS
    assert {record.getMessage() for record in caplog.records} == {f"{path}: {said}"}
    again = t0.open_rows(path, index=tmp_path / "index")  # by its index
    assert list(again) == ROWS and caplog.records[-1].getMessage() == f"{path}: {said}"


@pytest.mark.parametrize(
    "content, rows, said",
    [
        ("text; raw\nTea; please.\nNo; no; no.\n", [{"text; raw": "Tea; please."}, {"text; raw": "No; no; no."}],
         "one field, 'text; raw', for ';' does not divide all rows alike"),
        ('"text; raw"\nTea; please.\nNo; no.\n', [{"text; raw": "Tea; please."}, {"text; raw": "No; no."}], None),
        ("text\nTea; please.\nNo; no.\n", [{"text": "Tea; please."}, {"text": "No; no."}], None),
        ("a;b,c\n1;2,x\n", [{"a;b": "1;2", "c": "x"}], None),
        ("sep=\nTea\n", [{"sep=": "Tea"}], None),
        ("sep=;x\nTea;x\n", [{"sep=": "Tea", "x": "x"}], "fields divided by ';'"),
    ],
)  # fmt: skip
def test_what_else_stands_in_a_first_line(content, rows, said, tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    assert readings(path) == rows
    assert {record.getMessage() for record in caplog.records} == ({f"{path}: {said}"} if said else set())


def test_a_delimiter_that_is_told(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text("text;label\nTea;1\n")
    assert readings(path, delimiter=",") == [{"text;label": "Tea;1"}] and not caplog.records
    assert readings(path, delimiter=";") == [{"text": "Tea", "label": 1}]
    path.write_text("a#b\n1#2\n")
    assert readings(path, delimiter="#") == [{"a": 1, "b": 2}]
    for wrong in ("", ";;", '"', "\n", 3):
        with pytest.raises(t0.ConfigError, match="^delimiter .*: must be one character, as ';', and no quotation mark, or None$"):
            t0.read_rows(path, delimiter=wrong)
    (tmp_path / "rows.jsonl").write_text('{"a": 1}\n')
    for read in (t0.read_rows, t0.open_rows):
        with pytest.raises(t0.ConfigError, match="^delimiter ';': of CSV and TSV files alone, .*rows.jsonl is .jsonl$"):
            read(tmp_path / "rows.jsonl", delimiter=";")
    with pytest.raises(TypeError, match="unexpected keyword argument 'sep': say delimiter="):
        t0.read_rows(path, sep=";")


def test_a_tsv_with_commas_and_a_form_that_is_told(tmp_path):
    path = tmp_path / "rows.tsv"
    path.write_text("text,label\nTea,1\n")
    assert readings(path) == [{"text": "Tea", "label": 1}]
    path = tmp_path / "rows.dat"
    path.write_text("text;label\nTea;1\n")
    assert list(stream_rows(path, form="csv")) == [{"text": "Tea", "label": 1}]
    path.write_text("text, all\tlabel\nTea, x\t1\n")
    assert list(stream_rows(path, form="tsv")) == [{"text, all": "Tea, x", "label": 1}]


def test_rows_that_do_not_fit_are_told_with_what_may_divide_them(tmp_path):
    path = tmp_path / "rows.csv"
    for content, message in (
        ("text;label\n" + "Tea;1\n" * 100 + "Tea; please;1\n",
         "line 102: 3 cells, but line 1 names 2 fields; quote cells that hold the delimiter or a line end (the delimiter is ';')"),
        ("sep=;\ntext;label\nTea\n",
         "line 3: 1 cells, but line 2 names 2 fields; quote cells that hold the delimiter or a line end (the delimiter is ';')"),
        ("id;text, all;label\n1;a;2\n",
         "line 2: 1 cells, but line 1 names 2 fields; quote cells that hold the delimiter or a line end, or tell what divides the fields: "
         "delimiter=';'"),
        ('sep=;\ntext;label\n"Tea;1\n', "a quotation mark opens in the row of line 3 and is never closed"),
        ("sep=;\ntext;text\nTea;1\n", "line 2: the field 'text' stands twice"),
        ("sep=;\n", "empty; the first line must hold the field names"),
    ):  # fmt: skip
        path.write_text(content)
        for read in (t0.read_rows, t0.open_rows, stream_rows):
            with pytest.raises(t0.DataError) as told:
                read(path)
            assert str(told.value) in (f"{path}, {message}", f"{path}: {message}")


def test_decimal_commas_stay_text(tmp_path, caplog):
    path = tmp_path / "rows.csv"
    path.write_text("score;text\n0,5;Tea\n1,25;Rain\n")
    assert readings(path) == [{"score": "0,5", "text": "Tea"}, {"score": "1,25", "text": "Rain"}]
    assert caplog.records[0].getMessage() == f"{path}: fields divided by ';'; score stays text ('0,5')"


def test_a_dialect_is_decided_by_the_first_rows_alone():
    lines = ["a;b\n", *["1;2\n"] * 50_000]
    taken = []

    def opened():
        for line in lines:
            taken.append(line)
            yield line

    assert find_dialect(opened, ",") == Dialect(";", True, 1, "fields divided by ';'")
    assert len(taken) <= 20_000


# ---- encodings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rows.csv", "my rows.csv", "rows.jsonl"])
def test_a_file_of_western_windows_is_told_with_a_remedy_that_works(name, tmp_path):
    """iconv's command is taken out of the message and run, and so is the keyword."""
    lines = ['{"text": "a"}', '{"text": "naïve – €5"}'] if name.endswith("l") else ["text,label", "naïve – €5,1"]
    path = tmp_path / name
    path.write_bytes("\n".join([*lines, ""]).encode("cp1252"))
    at = len(lines[0]) + 1 + lines[1].index("ï")
    with pytest.raises(t0.DataError) as told:
        t0.read_rows(path)
    place, command = str(told.value).partition(": not UTF-8 (0xef); in Windows-1252 it would be ")[::2]
    assert place == f"{path}, line 2, byte {lines[1].index('ï') + 1} (offset {at} of the file)"
    shown, command = command.split(": iconv ")
    assert "naïve – €5" in shown
    command, keyword = command.split(", or in Python ")
    assert keyword == "read_rows(..., encoding='cp1252')"
    expected = t0.read_rows(path, encoding="cp1252")
    assert expected[-1]["text"] == "naïve – €5"
    try:
        subprocess.run(f"iconv {command}", shell=True, cwd=tmp_path, check=True)
    except subprocess.CalledProcessError:
        pytest.skip("no iconv here")
    assert t0.read_rows(tmp_path / f"{path.stem}.utf8{path.suffix}") == expected


def test_encodings(tmp_path):
    path = tmp_path / "rows.csv"
    for encoding in ("latin-1", "cp1252", "cp1250", "mac-roman", "utf-16", "utf-16-le", "utf-8-sig", "utf-8", "shift-jis"):
        text = "日本" if encoding == "shift-jis" else "bon mot, ça" if encoding != "cp1250" else "dobrý den"
        path.write_bytes(f"text;label\r\n{text};1\r\n".encode(encoding))
        assert t0.read_rows(path, encoding=encoding) == [{"text": text, "label": 1}], encoding
    for wrong in ("utf8x", 3, "hex", ""):
        with pytest.raises(t0.ConfigError, match="^encoding .*: must be one that Python has, as 'utf-8', 'cp1252', 'latin-1' or 'utf-16'$"):
            t0.read_rows(path, encoding=wrong)
    path.write_bytes(b"text\nab\x81\n")  # which Windows-1252 has not
    with pytest.raises(t0.DataError, match=r"offset 7 of the file\): not UTF-8 \(0x81\); write it as UTF-8: iconv -f ENCODING -t UTF-8 /"):
        t0.read_rows(path)
    with pytest.raises(t0.DataError, match="behind line 0: not ascii .*; name the encoding that it is written in"):
        t0.read_rows(path, encoding="ascii")
    with pytest.raises(t0.ConfigError, match="^encoding 'latin-1': of files alone; these rows are a list$"):
        t0.read_rows([{}], encoding="latin-1")
    (tmp_path / "rows.json").write_bytes('[{"text": "ça"}]'.encode("latin-1"))
    assert t0.read_rows(tmp_path / "rows.json", encoding="latin-1") == [{"text": "ça"}]


# ---- what pandas writes -------------------------------------------------------------------------------------------------


@pytest.fixture
def pandas():
    return needed("pandas", HAVE)


def test_csv_of_pandas_is_read_as_pandas_reads_it(pandas, tmp_path):
    """Every delimiter, with the index and without, with the mark of UTF-8 and without."""
    frame = pandas.DataFrame({"text": ["Tea, a", 'She said "no"; yes', "two\nlines", "|", "a\tb"], "label": [0, 1, 0, 1, 1]})
    for sep in ",;\t|":
        for index in (False, True):
            for encoding in ("utf-8", "utf-8-sig"):
                path = tmp_path / "rows.csv"
                frame.to_csv(path, sep=sep, index=index, encoding=encoding)
                expected = pandas.read_csv(path, sep=sep).rename(columns={"Unnamed: 0": ""}).to_dict("records")
                assert readings(path) == expected, (sep, index, encoding)


def test_csv_of_pandas_in_other_encodings(pandas, tmp_path):
    frame = pandas.DataFrame({"text": ["bon mot, ça", "naïve"], "label": [0, 1]})
    for encoding in ("latin-1", "cp1252", "utf-16"):
        path = tmp_path / "rows.csv"
        frame.to_csv(path, sep=";", index=False, encoding=encoding)
        assert t0.read_rows(path, encoding=encoding) == frame.to_dict("records")
        with pytest.raises(t0.DataError, match="iconv -f"):
            t0.read_rows(path)


@pytest.mark.parametrize("options", [{"orient": o} for o in ("split", "records", "index", "columns", "values", "table")]
    + [{"orient": "records", "lines": True}], ids=str)  # fmt: skip
def test_json_of_pandas_in_every_orientation(pandas, options, tmp_path):
    """But for `values`, which has no names: that is told."""
    frame = pandas.DataFrame({"text": ["Tea", "Rain"], "label": [1, 0]}, index=[3, 7])
    path = tmp_path / "rows.json"
    frame.to_json(path, **options)
    if options["orient"] == "values":
        with pytest.raises(t0.DataError, match="element 0: a row must be an object, this is a list"):
            t0.read_rows(path)
        return
    expected = frame.to_dict("records")
    if options["orient"] == "table":
        expected = [{"index": index} | row for index, row in zip(frame.index, expected)]
    assert t0.read_rows(path) == expected


def test_parquet_of_pandas_with_its_index(pandas, tmp_path):
    needed("pyarrow", HAVE)
    frame = pandas.DataFrame({"text": ["Tea", "Rain"], "label": [1, 0]}, index=pandas.Index(["a", "b"], name="id"))
    path = tmp_path / "rows.parquet"
    frame.to_parquet(path)
    assert list(t0.read_rows(path)) == list(t0.open_rows(path)) == frame.reset_index()[["text", "label", "id"]].to_dict("records")
    frame.reset_index(drop=True).to_parquet(path)  # a range is kept as three numbers, no column
    assert list(t0.read_rows(path)) == frame.to_dict("records")
    frame.set_axis([5, 3]).to_parquet(path)  # but not where rows were left out
    assert list(t0.read_rows(path)) == [row | {"__index_level_0__": i} for row, i in zip(frame.to_dict("records"), (5, 3))]


def test_an_index_of_an_older_version_is_made_anew(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("text;label\nTea;1\n")
    rows = t0.open_rows(path)
    place = tmp_path / ".rows.csv.rows"
    assert place.read_bytes().startswith(diskrows.MAGIC) and b'"dialect"' in place.read_bytes()
    place.write_bytes(place.read_bytes().replace(diskrows.MAGIC, b"T0ROWS3\n"))
    assert list(t0.open_rows(path)) == list(rows) == [json.loads('{"text": "Tea", "label": 1}')]
    assert place.read_bytes().startswith(diskrows.MAGIC)


@pytest.mark.parametrize("delimiter", ",;\t", ids=["comma", "semicolon", "tab"])
def test_a_pipe_is_read_once(delimiter, tmp_path):
    path, lines = tmp_path / "rows.csv", [f"row {i}{delimiter}{i}" for i in range(20_000)]
    os.mkfifo(path)
    content = "\n".join([f"text{delimiter}label", *lines])
    writer = threading.Thread(target=path.write_text, args=(content,), daemon=True)
    writer.start()
    found = t0.read_csv(path)
    writer.join(10)
    assert len(found) == len(lines) and found[0] == {"text": "row 0", "label": 0} and found[-1] == {"text": "row 19999", "label": 19999}
