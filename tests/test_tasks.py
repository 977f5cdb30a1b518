"""Tasks and rows: what is read, converted and refused."""

import json

import pytest
from fakes import FakePrompt, rows_of, yes_no

import t0native as t0
from t0native.data.distributed import convert_rows
from t0native.data.lines import read_jsonl
from t0native.data.rows import read_csv, read_rows, sequence_of
from t0native.prompts.prompt import prompt_as_written


def write(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_jsonl_rows_come_as_written(tmp_path):
    path = write(tmp_path, "a.jsonl", '\ufeff{"text": "a\\u00e9", "n": 1.5}\n\n{"text": null}\n')
    assert read_jsonl(path) == [{"text": "aé", "n": 1.5}, {"text": None}] == read_rows(path)


@pytest.mark.parametrize(
    "content, message",
    [
        ('{"a": 1}\n{"a": }\n', "a.jsonl, line 2, column 7: not JSON (Expecting value): '{\"a\": }'"),
        ("[1, 2]\n", "a.jsonl, line 1: a row must be an object {...}, this is a list: '[1, 2]'"),
        ("", "a.jsonl: no rows"),
        ("\n\n", "a.jsonl: no rows"),
        (
            b'{"a": "\xff"}\n',
            "a.jsonl, line 1, byte 8 (offset 7 of the file): not UTF-8 (0xff); in Windows-1252 it would be "
            "'{\"a\": \"ÿ\"}': iconv -f WINDOWS-1252 -t UTF-8 FOLDER/a.jsonl > a.utf8.jsonl, or in Python read_rows(..., encoding='cp1252')",
        ),
        ("[" * 100_000, "a.jsonl, line 1: nested too deeply: more than 100 levels"),
        ('{"a": 1}\n{"a": ' + "9" * 5000 + "}\n", "a.jsonl, line 2: a number of more than 4300 digits; write it as a text"),
        ('{"a": 1,\n', "a.jsonl, line 1, column 9: not JSON (Expecting property name enclosed in double quotes): '{\"a\": 1,'"),
    ],
)
def test_broken_jsonl_names_file_and_line(tmp_path, content, message):
    path = write(tmp_path, "a.jsonl", content)
    with pytest.raises(t0.DataError) as error:
        read_jsonl(path)
    assert str(error.value) == f"{tmp_path}/{message.replace('FOLDER', str(tmp_path))}"


def test_csv_rows(tmp_path):
    path = write(tmp_path, "a.csv", 'text,label\n"one, two",1\n"a\nb",0\n')
    assert read_csv(path) == [{"text": "one, two", "label": 1}, {"text": "a\nb", "label": 0}]
    path = write(tmp_path, "a.tsv", "id\tzero\tx\tmixed\n7\t07\t1.5\t1\n-8\t10\t2.0\tone\n")
    assert read_rows(path) == [{"id": 7, "zero": "07", "x": 1.5, "mixed": "1"}, {"id": -8, "zero": "10", "x": 2.0, "mixed": "one"}]


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "a.csv: empty; the first line must hold the field names"),
        ("a,b\n", "a.csv: no rows"),
        ('a,b\n1,2\n"x,3\n4,5\n', "a.csv: a quotation mark opens in the row of line 3 and is never closed"),
        ("a,b\r1,2\r", "a.csv, line 1: a carriage return alone ends no line; write line ends as \\n or \\r\\n"),
        ("a,a\n1,2\n", "a.csv, line 1: the field 'a' stands twice"),
        (
            ",".join(f"f{i}" for i in range(80_000)) + ",f3\n",
            "a.csv, line 1: the field 'f3' stands twice",
        ),  # by a look at each, not at each pair
        ("a,b\n1,2\n1,2,3\n", "a.csv, line 3: 3 cells, but line 1 names 2 fields; quote cells that hold the delimiter or a line end"),
    ],
)
def test_broken_csv_names_file_and_line(tmp_path, content, message):
    with pytest.raises(t0.DataError) as error:
        read_csv(write(tmp_path, "a.csv", content))
    assert str(error.value) == f"{tmp_path}/{message}"


def test_quotation_marks_in_tables_with_tabs_are_characters(tmp_path):
    path = write(tmp_path, "a.tsv", 'text\tlabel\n"Hello there\t1\nWorld"\t0\n')
    assert read_rows(path) == [{"text": '"Hello there', "label": 1}, {"text": 'World"', "label": 0}]


def test_cells_may_be_long_and_a_number_is_no_file(tmp_path):
    import csv

    before = csv.field_size_limit()
    assert len(read_csv(write(tmp_path, "a.csv", "text\n" + "x" * 200_000 + "\n"))[0]["text"]) == 200_000
    assert csv.field_size_limit() == before
    for read in (read_jsonl, read_csv):
        with pytest.raises(t0.DataError, match="^3: must be the name of a file"):
            read(3)


def test_files_that_are_no_rows(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_rows(tmp_path / "none.jsonl")
    with pytest.raises(t0.DataError, match="unknown kind of file '.xml'; known are .jsonl"):
        read_rows(write(tmp_path, "a.xml", "<a/>"))
    write(tmp_path, "b.jsonl", "{}")
    write(tmp_path, "c.csv", "a\n1\n")
    with pytest.raises(t0.DataError, match=f"a folder of several tables; name one of them: {tmp_path}/b, {tmp_path}/c"):
        read_rows(tmp_path)
    for content, message in (
        ("{}", "a.json: must be a list of objects, is an object"),
        ("[" * 100_000, "a.json: nested too deeply: more than 100 levels"),
        ("[" + "9" * 5000 + "]", "a.json: a number of more than 4300 digits; write it as a text"),
        ('[{"a": 1},\n {"a": }]', "a.json, line 2, column 8: not JSON \\(Expecting value\\): '{\"a\": }\\]'"),
    ):
        with pytest.raises(t0.DataError, match=message):
            read_rows(write(tmp_path, "a.json", content))


def test_sequences_of_many_kinds():
    class Dataset:  # as the objects of the library datasets
        column_names = ["text", "label"]

        def __len__(self):
            return 2

        def __getitem__(self, i):
            return {"text": "a", "label": i}

    assert sequence_of([1]) == [1] and sequence_of(iter([{"a": 1}])) == [{"a": 1}]
    task = t0.Task("t", Dataset(), {"p": yes_no()})
    assert len(task) == 2 and task.render("p", 1).__getitem__(1) == "yes"
    with pytest.raises(t0.DataError, match="task 't', prompt 'p', row 0: no field 'lable'; nearest is 'label'"):
        t0.Task("t", Dataset(), {"p": FakePrompt("p", None, ["lable"])})
    with pytest.raises(t0.DataError, match="a mapping, not rows; choose one of its parts: train, test"):
        sequence_of({"train": [], "test": []})
    with pytest.raises(t0.DataError, match="'rows.jsonl' is a name; read the file first"):
        sequence_of("rows.jsonl")


def test_a_table_is_rows_and_a_prompt_is_prompts():
    class Table:  # as pyarrow's
        def __len__(self):
            return 1

        def __getitem__(self, i):
            return "a column"

        def to_pylist(self):
            return rows_of(1)

    assert list(t0.Task("t", Table(), yes_no("is it")).prompts) == ["is it"]


def test_a_row_without_a_field_is_named():
    odd = {"texts": "x", "label": 0}
    message = "task 'rte', prompt 'is it', row {}: no field 'text'; nearest is 'texts' (the row has: texts, label)"
    with pytest.raises(t0.DataError) as error:
        t0.Task("rte", [odd] * 3, {"is it": yes_no()})
    assert str(error.value) == message.format(0)
    for rows in ([*rows_of(3), odd], [odd, *rows_of(3)], [odd] * 98 + rows_of(2)):  # one row that serves is enough
        task = t0.Task("rte", rows, {"is it": yes_no()})
        task.check()
        with pytest.raises(t0.DataError) as error:
            task.render("is it", index := rows.index(odd))
        assert str(error.value) == message.format(index)


def test_columns_with_hyphens_serve_as_underscores():
    t0.Task("t", [{"a-b": 1}], {"p": FakePrompt("p", None, ["a_b"])})


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (([], {"p": yes_no()}), t0.DataError, "task 't': no rows"),
        ((rows_of(1), {}), t0.DataError, "task 't': no prompts"),
        ((rows_of(1), {"p": yes_no()}, "acuracy"), t0.ConfigError, "task 't': unknown metric 'acuracy'; did you mean 'accuracy'?"),
        (
            (rows_of(1), "all"),
            t0.ConfigError,
            "task 't': prompts 'all': must be a PromptSet, a Prompt, prompts of different names, a mapping or '*'",
        ),
        (
            (rows_of(1), 3),
            t0.ConfigError,
            "task 't': prompts 3: must be a PromptSet, a Prompt, prompts of different names, a mapping or '*'",
        ),
        ((rows_of(1), [yes_no("p"), yes_no("p")]), t0.ConfigError, "task 't': two prompts are named 'p': names must differ"),
        (
            (rows_of(1), {"p": "a"}),
            t0.ConfigError,
            "task 't', prompt 'p': str, must be a Prompt; a text becomes one by t0native.Prompt(name, text)",
        ),
        (
            (rows_of(1), {("super_glue", "rte"): t0.PromptSet("super_glue", "rte", [])}),
            t0.ConfigError,
            "task 't', prompt ('super_glue', 'rte'): PromptSet, must be a Prompt; choose one of the collection, as in "
            'collection["super_glue", "rte"]',
        ),
        ((rows_of(1), "*"), t0.ConfigError, "task 't': prompts '*' needs dataset=\"dataset/subset\""),
        (
            ([["no mapping"]], {"p": yes_no()}),
            t0.DataError,
            "task 't', row 0: a row must be a mapping of fields, is list; dict(zip(names, row)) names its values",
        ),
        (([rows_of(1)[0] | {3: "x"}], {"p": yes_no()}), t0.DataError, "task 't', row 0: the field name 3 is int, must be text"),
    ],
)
def test_tasks_that_cannot_be(arguments, error, message):
    with pytest.raises(error) as caught:
        t0.Task("t", *arguments)
    assert str(caught.value) == message


def test_every_prompt_of_the_installed_promptsource(promptsource_folder):
    row = {"premise": "a", "choice1": "b", "choice2": "c", "question": "cause", "label": 0}
    assert len(t0.Task("copa", [row], "*", dataset="super_glue/copa").prompts) == 12
    with pytest.raises(t0.ConfigError, match="task 'copa': no prompts for 'super_glue/copaa'; did you mean 'super_glue/copa'?"):
        t0.Task("copa", [row], "*", dataset="super_glue/copaa")


def test_a_broken_template_is_told_when_the_task_is_made(tmp_path):
    with pytest.raises(t0.TemplateError, match="^task 't', prompt 'bad', line 1, column 11: ") as error:
        t0.Task("t", [{"text": "a"}], prompt_as_written("bad", "{{ text | nothing }} ||| yes"))
    assert (error.value.line, error.value.column) == (1, 11)
    with pytest.raises(t0.TemplateError, match="^some/templates.yaml: task 't', answer_choices of prompt 'p', line 1"):
        t0.Task(
            "t", [{"text": "a"}], t0.PromptSet("d", None, [prompt_as_written("p", "a ||| b", "{{ a | nothing }}")], "some/templates.yaml")
        )
    with pytest.raises(t0.TemplateError, match="task 't', prompt 'p': the template reads answer_choices, but the prompt has none; give it"):
        t0.Task("t", [{"label": 0}], t0.Prompt("p", "a ||| {{ answer_choices[label] }}"))


def test_template_errors_name_task_prompt_and_row():
    def fails(row):
        error = t0.TemplateError("line 1, column 4: no such filter")
        error.line, error.column = 1, 4
        raise error

    task = t0.Task("t", rows_of(1), {"p": FakePrompt("p", fails)})
    with pytest.raises(t0.TemplateError) as error:
        task.render("p", 0)
    assert str(error.value) == "task 't', prompt 'p', row 0: line 1, column 4: no such filter"
    assert (error.value.line, error.value.column) == (1, 4)


def test_rows_that_come_one_by_one_are_checked_when_rendered():
    class Lazy:
        """No list to look through at once, as a `datasets` split is none."""

        def __init__(self, rows):
            self.rows = rows

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, index):
            return self.rows[index]

    task = t0.Task("t", Lazy([{"text": "a"}, {"text": "b", 7: 1}]), {"p": t0.Prompt("p", "{{ text }} ||| x")})
    with pytest.raises(t0.DataError, match="task 't', prompt 'p', row 1: example: the field name 7 is int, must be text"):
        task.render("p", 1)


def test_dataset_and_subset():
    assert t0.Task("t", rows_of(1), {"p": yes_no()}, dataset="super_glue/rte").subset == "rte"
    task = t0.Task("t", rows_of(1), {"p": yes_no()}, dataset=("anli", None))
    assert (task.dataset, task.subset, task.full_dataset) == ("anli", None, "anli")


def test_raw_superglue_rows_get_the_public_columns(public_data):
    wsc = read_rows(public_data / "data/superglue-val/WSC.val.jsonl", "super_glue/wsc.fixed")
    assert len(wsc) == 104
    assert set(wsc[0]) == {"text", "span1_index", "span2_index", "span1_text", "span2_text", "idx", "label"}
    assert (wsc[1]["span1_text"], wsc[1]["span2_text"], wsc[1]["span2_index"], wsc[1]["label"]) == ("Mr. Moncrieff", "his", 39, 1)
    wic = read_rows(public_data / "data/superglue-val/WiC.val.jsonl", "super_glue/wic")
    assert len(wic) == 638 and {type(row["label"]) for row in wic} == {int} and "version" not in wic[0]
    piqa = read_rows(public_data / "data/piqa-val/valid.jsonl", "piqa")
    assert len(piqa) == 1838 and [row["label"] for row in piqa[:3]] == [0, 1, 1]
    assert convert_rows("super_glue/wsc.fixed", wsc) == wsc  # already converted


def test_piqa_without_fitting_labels_is_refused(tmp_path):
    rows = write(tmp_path, "valid.jsonl", json.dumps({"goal": "g", "sol1": "a", "sol2": "b"}) + "\n")
    with pytest.raises(t0.DataError, match="valid-labels.lst does not exist; PIQA's labels stand there"):
        read_rows(rows, "piqa")
    write(tmp_path, "valid-labels.lst", "0\n1\n")
    with pytest.raises(t0.DataError, match="valid-labels.lst: 2 labels for the 1 rows"):
        read_rows(rows, "piqa")
    write(tmp_path, "valid-labels.lst", "2\n")
    with pytest.raises(t0.DataError, match="valid-labels.lst, line 1: '2': must be 0 or 1"):
        read_rows(rows, "piqa")


def test_raw_rows_that_are_not_what_they_claim():
    with pytest.raises(t0.DataError, match=r"row 0: not super_glue/wsc.fixed in its distributed form \(KeyError: 'span1_index'\)"):
        convert_rows("super_glue/wsc.fixed", [{"text": "x", "target": {}}])


def test_fields_that_the_prompt_provides_for_may_be_missing():
    prompt = t0.Prompt(
        "p", "{{ text }}{% if note is defined %} ({{ note }}){% endif %} ||| {{ label | default('?') }}", "{{ a | d('x') }} ||| y"
    )
    assert prompt.fields == ("text", "note", "label", "a") and prompt.optional_fields == ("note", "label", "a")
    task = t0.Task("d", [{"text": "a"}, {"text": "b", "note": "c", "label": 1}], [prompt])
    assert [task.render("p", index)[:2] for index in (0, 1)] == [("a", "?"), ("b (c)", "1")]
    with pytest.raises(t0.DataError, match="no field 'text'"):
        t0.Task("d", [{"note": "a"}], [prompt])


def test_a_prompt_that_cannot_be_used_is_kept_as_a_problem_where_others_can():
    prompts = [
        t0.Prompt("good", "{{ text }} ||| yes"),
        prompt_as_written("bad", "{{ text | nothing }} ||| yes"),
        t0.Prompt("other", "{{ label }} ||| a"),
    ]
    prompts.append(t0.Prompt("plain", "a? ||| yes"))
    task = t0.Task("t", [{"text": "a"}, {"texts": "b"}], prompts)
    assert list(task.problems) == ["bad", "other"]  # templates first, then fields that no row has
    with pytest.raises(t0.TemplateError, match="task 't', prompt 'bad', line 1"):
        task.render("bad", 0)
    with pytest.raises(t0.TemplateError, match="task 't', prompt 'bad', line 1"):
        t0.Mixture([task])
    assert task.render("plain", 1).input == "a?"
    with pytest.raises(t0.TemplateError, match="prompt 'bad'"):
        t0.Task("t", [{"text": "a"}], prompts[1])
    assert list(t0.Task("t", [{"text": "a"}], prompts[1], strict=False).problems) == ["bad"]


def test_rows_that_lack_the_answer_alone_are_sent_to_predict():
    prompt = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ label }}")
    for row, sent in ({"text": "a"}, True), ({"label": "good"}, False), ({"other": 1}, False):
        with pytest.raises(t0.DataError, match="no field") as error:
            t0.Task("moods", [row], prompt)
        assert str(error.value).endswith("; only the answer reads it: rows without answers are for predict") == sent
