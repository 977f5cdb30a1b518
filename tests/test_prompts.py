"""Prompts and their files: against the reference output of real Jinja2, against Jinja2 itself, and hostile files."""

import copy
import json
import logging
import pickle
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeModel
from jinja_oracle import Rival

import t0native as t0
from t0native.prompts.collection import PromptCollection, PromptSet
from t0native.prompts.prompt import Prompt, PromptedExample, PromptMetadata

SEED_TEXT = "a|||b {{ x }} long " + "word " * 600


def test_every_reference_row_is_equal(public_data):
    """cases.jsonl: real Jinja2's parts and choices; 0 rows refused, 0 wrong."""
    p3 = PromptCollection.load(public_data / "promptsource" / "templates")
    rows = compared = 0
    with open(public_data / "promptsource" / "cases.jsonl") as lines:
        for line in lines:
            row = json.loads(line)
            prompt = p3[row["dataset"], row["subset"]][row["template"]]
            rows += 1
            if row.get("random"):
                todo = [({"pick": how}, row[how]["parts"], row[how]["choices"]) for how in ("first", "last")]
            else:
                todo = [({}, row["expected_parts"], row["expected_choices"])]
            if "untruncated" in row:
                todo.append(({"truncate": False}, row["untruncated"], row["expected_choices"]))
            for how, parts, choices in todo:
                assert prompt.apply(row["example"], **how) == parts, (row["dataset"], row["template"])
                assert prompt.choices(row["example"]) == choices, (row["dataset"], row["template"])
                compared += 1
    assert rows == 4683 and compared > rows


def test_all_installed_prompts_load_and_compile(promptsource_folder):
    p3 = PromptCollection.load(promptsource_folder)
    assert len(p3) == 279 and len(PromptCollection.promptsource()) == 279
    began = time.process_time()
    prompts = [prompt for key in p3 for prompt in p3[key].values()]
    took = time.process_time() - began
    assert len(prompts) == 2085 and len({prompt.id for prompt in prompts}) == 2085
    assert took < 5  # about 0.2 s on an idle core; a bound against accidents only
    for prompt in prompts:
        assert prompt.fields or prompt.fixed_choices or prompt.answer_choices is None
        prompt._template(True, False), prompt._template(True, True), prompt.random
    assert sum(prompt.fixed_choices is not None for prompt in prompts) == 911
    assert sum(prompt.random for prompt in prompts) == 246
    assert sum(prompt.answer_choices is None for prompt in prompts) == 940
    assert "promptsource" not in sys.modules


def _read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def _rows(public_data):
    data = public_data / "data"
    copa = _read(data / "superglue-val" / "COPA.val.jsonl")
    wic = _read(data / "superglue-val" / "WiC.val.jsonl")
    wsc = _read(data / "superglue-val" / "WSC.val.jsonl")
    piqa = _read(data / "piqa-val" / "valid.jsonl")
    labels = (data / "piqa-val" / "valid-labels.lst").read_text().split()
    return {
        ("super_glue", "copa"): copa,
        ("super_glue", "wic"): [{**row, "label": int(row["label"])} for row in wic],
        ("super_glue", "wsc.fixed"): [{**row, **row["target"], "label": int(row["label"])} for row in wsc],
        ("piqa", None): [{**row, "label": int(label)} for row, label in zip(piqa, labels)],
    }


def test_evaluation_tasks_equal_jinja(public_data, promptsource_folder):
    p3 = PromptCollection.load(promptsource_folder)
    compared = 0
    for key, rows in _rows(public_data).items():
        for prompt in p3[key].values():
            rival = Rival(prompt.jinja, prompt.answer_choices)
            for row in rows[:60]:
                assert prompt.apply(row) == rival.apply(row), (key, prompt.name)
                assert prompt.choices(row) == rival.choices(row), (key, prompt.name)
                compared += 1
    assert compared > 2000


PROMPT = Prompt(
    "made up",
    "{{ text }} {{ n }}? ||| {% if label is not none %}{{ answer_choices[label] }}{% endif %}",
    "no ||| yes {{ extra }}",
    id="made-up",
)


@pytest.mark.parametrize(
    "example",
    [
        {"text": "plain", "n": 1, "label": 1, "extra": "x"},
        {"text": SEED_TEXT, "n": SEED_TEXT, "label": 0, "extra": "c|||d"},
        {"text": "||||", "n": None, "label": None, "extra": ""},
        {"text": "\u2003 wide \x1c", "n": ["a|||b"], "label": 0, "extra": "3ed2dface8203c4c9dfb1a5dc58e41e0"},
        {"text": "x" * 2053, "n": "y" * 2054, "label": 1, "extra": " "},
        {"text": " " + "x" * 3000, "n": "a" * 2044 + " bbbbbbbbbbbb", "label": 1},
        {},
    ],
)
@pytest.mark.parametrize("truncate", [True, False])
def test_separators_truncation_and_choices_are_promptsources(example, truncate):
    rival = Rival(PROMPT.jinja, PROMPT.answer_choices)
    try:
        expected = rival.apply(example, truncate)
    except Exception:
        with pytest.raises(t0.TemplateError, match="prompt 'made up', line"):
            PROMPT.apply(example, truncate)
        return
    assert PROMPT.apply(example, truncate) == expected
    assert PROMPT.choices(example) == rival.choices(example)


CELLS = [
    "a ||| b ||| c",
    "a|||b",
    '["a", "b"]',
    ["a", "b"],
    ["a ||| b", "c"],
    "a; b; c",
    "x",
    "",
    {"k": "a ||| b"},
    "a |||| b",
    " ||| ",
    None,
]
EXPRESSIONS = [
    "{{ options }}", "{{ options | join('|||') }}", "{{ options.split('|||') | join('|||') }}", "{{ options | replace('|||', ';') }}",
    "{{ options.split('; ') | join('|||') }}", "{{ options ~ ' ||| d' }}", "{{ options | lower }}", "{{ [options, 'z'] | join(' ||| ') }}",
    "yes ||| {{ options }}", "{% for o in options %}{{ o }} ||| {% endfor %}", "{{ options[0] }} ||| {{ options[1] }}", "{{ options | tojson }}",
]  # fmt: skip


@pytest.mark.parametrize("cell", CELLS, ids=range(len(CELLS)))
def test_choices_that_a_field_holds_are_promptsources(cell):
    """||| within the text of a field divides nothing there: the cell is one choice, and so it is here."""
    example = {"text": "t", "options": cell, "label": 0}
    for expression in EXPRESSIONS:
        prompt, rival = (kind("{{ text }} {{ options }} ||| {{ answer_choices[label] }}", expression) for kind in (made_up, Rival))
        try:
            expected = rival.choices(example), rival.apply(example)
        except Exception:
            with pytest.raises(t0.TemplateError):
                prompt.apply(example)
            continue
        assert (prompt.choices(example), prompt.apply(example)) == expected, expression
    if cell == "a ||| b ||| c":
        assert made_up("", "{{ options }}").choices(example) == [cell]


def made_up(jinja, choices):
    return Prompt("made up", jinja, choices)


def test_highlight_marks_what_is_printed():
    assert Prompt("p", "a {{ x }}").apply({"x": "y"}, highlight_variables=True) == ["a <span style='color: #F08080'>y</span>"]
    assert Prompt("p", "").apply({}) == [""] and Prompt("p", "a ||| ||| b").apply({}) == ["a", "", "b"]


@pytest.mark.parametrize(
    "jinja, choices, message, line, column",
    [
        ("{{ broken", None, "prompt 'p', line 1, column 10: ", 1, 10),
        ("a\n{{ text | nothing }} ||| b", None, "prompt 'p', line 2, column 11: ", 2, 11),
        ("{% if text %}a ||| b", None, "prompt 'p', line 1, column ", 1, None),
        ("a ||| b", "yes ||| {{ no", "answer_choices of prompt 'p', line 1, column ", 1, None),
        ("{% include 'x' %}", None, "prompt 'p', line 1, column ", 1, None),
    ],
)
def test_a_broken_template_is_refused_when_the_prompt_is_made(tmp_path, jinja, choices, message, line, column):
    """But one of a file is loaded, beside others: whoever uses it is told, and `prompt check` lists it."""
    with pytest.raises(t0.TemplateError) as told:
        Prompt("p", jinja, choices)
    assert str(told.value).startswith(message) and told.value.line == line and column in (None, told.value.column)
    path = tmp_path / "templates.yaml"
    path.write_text(
        json.dumps({"dataset": "d", "templates": {"p": {"jinja": jinja, "answer_choices": choices}, "q": {"jinja": "a ||| b"}}})
    )
    prompts = t0.PromptSet.read(path)
    for prompt in (prompts["p"], pickle.loads(pickle.dumps(prompts["p"])), copy.copy(prompts["p"])):
        assert prompt == prompts["p"]
        with pytest.raises(t0.TemplateError) as later:
            prompt.apply({"text": "x"})
        assert str(later.value) == str(told.value)
    assert prompts["q"].apply({}) == ["a", "b"]


def test_what_a_prompt_costs_to_make():
    """Some 0.1 ms: a comprehension of thousands is fine."""
    started = time.process_time()
    for i in range(1000):
        Prompt(f"p{i}", "{{ text }} Good or bad? {% if a %}{{ a }}{% endif %} ||| {{ answer_choices[label] }}", "bad ||| good")
    assert time.process_time() - started < 2


def test_render_is_t0s_pipeline():
    prompt = Prompt("p", "{{ a_b }} ||| {{ c }}", "x ||| y")
    assert prompt.render({"a-b": "in", "c": ""}) == PromptedExample("in", "<NO LABEL>", ["x", "y"])
    assert prompt.render({"a_b": " ", "c": "t"}) is None
    assert Prompt("p", "one part").render({}) is None and Prompt("p", "a ||| b ||| c").render({}) is None
    assert Prompt("p", "a ||| b").render({}) == ("a", "b", None)
    assert [r and r.input for r in prompt.render_all([{"a-b": "1", "c": ""}, {"a-b": "", "c": ""}])] == ["1", None]


def test_fields_and_fixed_choices():
    assert PROMPT.fields == ("text", "n", "label", "extra") and PROMPT.fixed_choices is None
    prompt = Prompt("p", "{% for x in range(n) %}{{ x }}{{ answer_choices }}{% endfor %}", "a|||b")
    assert prompt.fields == ("n",) and prompt.fixed_choices == ["a", "b"]
    prompt.fixed_choices.append("spoilt")
    prompt.choices({}).append("spoilt")
    assert prompt.fixed_choices == prompt.choices({}) == ["a", "b"]
    assert Prompt("p", "x").fixed_choices is None and Prompt("p", "x").choices({}) is None
    assert Prompt("p", "{{ answer_choices.append('z') or answer_choices|join }}", "a|||b").apply({}, truncate=False) == ["abz"]


def test_random_choices_depend_on_prompt_seed_and_index_alone():
    text = "{{ range(1000)|choice }} {{ range(1000)|random }}"
    prompt, other = Prompt("p", text, id="one"), Prompt("p", text, id="two")
    first = [prompt.apply({}, seed=3, index=k) for k in range(50)]
    assert (
        first
        == [prompt.apply({}, seed=3, index=k) for k in reversed(range(50))][::-1]
        == [Prompt("q", text, id="one").apply({}, seed=3, index=k) for k in range(50)]
    )
    assert len({part for parts in first for part in parts}) > 45
    assert first != [other.apply({}, seed=3, index=k) for k in range(50)] != [prompt.apply({}, seed=4, index=k) for k in range(50)]
    draws = [int(number) for k in range(2000) for number in prompt.apply({}, index=k)[0].split()]
    assert abs(sum(draws) / len(draws) - 499.5) < 20
    assert prompt.apply({}, pick="first") == ["0 0"] and prompt.apply({}, pick="last") == ["999 999"]
    assert prompt.apply({}, seed=5, index=2**70) == prompt.apply({}, seed=5, index=2**70)


def test_errors_name_the_prompt():
    with pytest.raises(t0.TemplateError, match="prompt 'bad', line 2, column 21: TypeError") as caught:
        Prompt("bad", "x\n{{ x }} {{ y }}{{ 1 / x }}").apply({"x": 0}, highlight_variables=True)
    assert (caught.value.line, caught.value.column) == (2, 21)
    with pytest.raises(t0.TemplateError, match="prompt 'bad', line 2, column 17: test 'is' does not exist"):
        Prompt("bad", "x\n{{ x }} {{ y is is z }}").apply({})
    with pytest.raises(t0.TemplateError, match="answer_choices of prompt 'bad'"):
        Prompt("bad", "x", "{{ 1 / 0 }}").apply({})
    with pytest.raises(t0.DataError, match="reserved key 'answer_choices'"):
        Prompt("p", "x").apply({"answer_choices": []})
    with pytest.raises(t0.DataError, match="jinja is NoneType"):
        Prompt("p", None)
    for call in (Prompt("p", "x").apply, Prompt("p", "x").render):
        with pytest.raises(t0.DataError, match="must be a mapping"):
            call([1])
    with pytest.raises(t0.DataError, match="example: the field name 3 is int, must be text"):
        Prompt("p", "x").render({"a": 1, 3: 2})


@pytest.mark.parametrize("seed", [-1, 2**64, True, 1.0, "1", None])
def test_seeds_out_of_range_are_refused_wherever_one_is_taken(seed):
    prompt, message = Prompt("p", "{{ [1, 2] | choice }} ||| x"), r"^seed .*: must be a whole number from 0 to 18446744073709551615$"
    task = t0.Task("t", [{}], [prompt])
    mixture = t0.Mixture(task)
    calls = [
        lambda: prompt.apply({}, seed=seed), lambda: prompt.render({}, seed=seed), lambda: prompt.render_all([{}], seed=seed),
        lambda: task.render("p", 0, seed=seed), lambda: mixture.draw(seed, 0, 1), lambda: mixture.example(seed, 0),
        lambda: t0.Model.init(t0.Config(vocab_size=9, d_model=4, d_ff=4, num_layers=1, num_heads=1), seed=seed),
        lambda: t0.Report.of_cells([], [], [], seed=seed, about={}),
        lambda: t0.evaluate(FakeModel(), task, seed=seed), lambda: t0.train(FakeModel(), task, steps=1, seed=seed),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(t0.ConfigError, match=message):
            call()


def test_prompts_are_picklable():
    metadata = PromptMetadata(True, False, ["Accuracy"], ["en"])
    prompt = Prompt("p", "{{ x }} ||| y", "a|||b", "ref", metadata, max_steps=99)
    prompt.apply({"x": 1})
    again = pickle.loads(pickle.dumps(prompt))
    assert again == prompt and again.metadata == metadata and again.budgets["max_steps"] == 99 and again.apply({"x": 2}) == ["2", "y"]


FILE = """dataset: {dataset}
{subset}templates:
  11111111-1111-4111-8111-111111111111: !Template
    answer_choices: null
    id: 11111111-1111-4111-8111-111111111111
    jinja: '{{{{ text }}}} ||| {{{{ label }}}}'
    metadata: &id001 !TemplateMetadata
      choices_in_prompt: false
      languages:
      - en
      metrics:
      - {metric}
      original_task: true
    name: first
    reference: ours
  22222222-2222-4222-8222-222222222222: !Template
    answer_choices: a ||| b
    id: 22222222-2222-4222-8222-222222222222
    jinja: "{{{{ text }}}}\\n|||\\\\
      \\\\ {{{{ answer_choices[label] }}}}"
    metadata: *id001
    name: another
    reference: ''
"""


@pytest.fixture
def folder(tmp_path):
    for parts in (["alone"], ["super", "one"], ["super", "two"], ["Someone", "set"], ["Someone", "big", "sub"]):
        file = tmp_path.joinpath(*parts, "templates.yaml")
        file.parent.mkdir(parents=True)
        users = parts[0] == "Someone"
        dataset = "/".join(parts[:2]) if users else parts[0]
        subset = parts[2:] if users else parts[1:]
        text = FILE.format(dataset=dataset, subset=f"subset: {subset[0]}\n" if subset else "", metric="Accuracy")
        file.write_text(text.replace("\\\\", "\\").replace("\\n|||\\\n", "\\n|||\\\n"))
    (tmp_path / "notes").mkdir()
    return tmp_path


def test_a_folder_in_promptsources_layout(folder):
    p3 = PromptCollection.load(folder)
    assert list(p3) == [("Someone/big", "sub"), ("Someone/set", None), ("alone", None), ("super", "one"), ("super", "two")]
    assert p3["alone"] is p3["alone", None] is p3[("alone",)] and p3["super/one"] is p3["super", "one"]
    assert p3["Someone/set"].dataset == "Someone/set" and p3["Someone/big/sub"].subset == "sub"
    assert ("super", "one") in p3 and "super/zero" not in p3 and 5 not in p3
    prompts = p3["super/two"]
    assert list(prompts) == ["first", "another"] and prompts.dataset == "super" and prompts.subset == "two"
    prompt = prompts["another"]
    assert prompt.id.startswith("2222") and prompt.reference == "" and prompt.metadata == PromptMetadata(True, False, ["Accuracy"], ["en"])
    assert prompt.render({"text": "t", "label": 1}) == ("t", "b", ["a", "b"])
    with pytest.raises(KeyError, match="did you mean 'super/two'"):
        p3["super/twa"]
    with pytest.raises(KeyError, match="did you mean 'another'"):
        prompts["anothr"]
    assert isinstance(PromptSet.read(folder / "alone" / "templates.yaml"), PromptSet)
    assert list(PromptCollection.load(folder / "alone")) == [("alone", None)]


@pytest.mark.parametrize(
    "text,words",
    [
        ("a: [", "did not find expected node content"),
        ("dataset: x\n", "must be a mapping with dataset and templates"),
        ("templates:\n  a: !Other {}\n", "line 2: could not determine a constructor for the tag '!Other'"),
        ("templates:\n  a: !!python/object/apply:os.system ['true']\n", "could not determine a constructor"),
        ("templates:\n  a: !Template [1]\n", "line 2: !Template must be a mapping"),
        ("templates:\n  a: !Template {name: x}\n", "line 2: a template's jinja must be text"),
        (
            "templates:\n  a: !Template {name: x, jinja: y, answer_choices: {0: a}}\n",
            "answer_choices must be text or null, is dict; write the choices as one text: answer_choices: 'bad ||| good'",
        ),
        (
            "templates:\n  a: !Template {name: x, jinja: y, metadata: text}\n",
            "must be a mapping tagged so: !TemplateMetadata {languages: [en]}",
        ),
        ("templates:\n  a: !Template {name: x, jinja: y, metadata: !TemplateMetadata {metrics: Accuracy}}\n", "metrics must be a list"),
        ("templates:\n  a: {name: x}\n", "line 2: a template's jinja must be text, is NoneType; as in templates: {"),
        ("templates:\n  a: 7\n", "an entry of templates is int, must be a mapping tagged !Template, as in templates: {"),
        ("templates: text\n", "must be a mapping with dataset and templates, as in templates: {"),
        ("- {name: x, jinja: y}\n", "must be a mapping with dataset and templates, as in templates: {"),
        ("templates: " + "[" * 3000, "templates.yaml"),
        ("templates: {a: !Template {name: x, jinja: \x01}}", "templates.yaml"),
        (
            "a: &a [x,x]\nb: &b [*a,*a]\n" + "".join(f"c{i}: &c{i} [*{'b' if i == 0 else f'c{i - 1}'}, *b]\n" for i in range(60)),
            "must be a mapping",
        ),
    ],
)
def test_broken_files_name_file_and_place(tmp_path, text, words):
    file = tmp_path / "d" / "templates.yaml"
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(t0.FormatError) as caught:
        PromptCollection.load(tmp_path)["d"]
    assert str(file) in str(caught.value) and words in str(caught.value)


def test_unknown_metrics_and_languages_warn_once(tmp_path, caplog, capsys):
    for name in ("d", "e"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "templates.yaml").write_text(
            FILE.format(dataset=name, subset="", metric="Vibes " + tmp_path.name).replace("\\\\", "\\")
        )
    with caplog.at_level(logging.WARNING):
        p3 = PromptCollection.load(tmp_path)
        p3["d"], p3["e"]
    assert [record.getMessage().split(": ")[-1] for record in caplog.records] == [f"unknown metric 'Vibes {tmp_path.name}'"]
    assert capsys.readouterr().out == ""


def test_absent_folders_say_what_to_do(tmp_path):
    with pytest.raises(t0.DataError, match="no such folder"):
        PromptCollection.load(tmp_path / "x")
    with pytest.raises(t0.DataError, match="no templates.yaml below"):
        PromptCollection.load(tmp_path)
    code = "import t0native as t0\ntry: t0.PromptCollection.promptsource()\nexcept t0.DataError as e: print(e)"
    root = Path(t0.__file__).parent.parent
    site = [path for path in sys.path if "site-packages" in path]
    shim = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n, *a: None if n == 'promptsource' else f(n, *a)\n"
    done = subprocess.run(
        [sys.executable, "-P", "-c", f"import sys; sys.path[:0] = {[str(root), *site]!r}\n{shim}{code}"], capture_output=True, text=True
    )
    assert "pip install --no-deps --ignore-requires-python promptsource==0.2.3" in done.stdout, done.stderr


def test_promptsource_from_an_unpacked_folder(folder):
    assert len(PromptCollection.promptsource(folder)) == 5


def test_a_prompt_without_an_id_draws_alike_in_every_process():
    text = "{{ ['Who?', 'Which?', 'What?'] | choice }} ||| a"
    assert t0.Prompt("any", text).id == t0.Prompt("any", text).id == "b073906a-73a3-5ed8-99d7-272a25e13653"
    assert len({t0.Prompt(*given).id for given in (("any", text), ("other", text), ("any", text + "b"), ("any", text, "a ||| b"))}) == 4


def test_keys_that_are_no_names_are_not_there():
    collection = t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts")
    with pytest.raises(KeyError, match="no prompts for 3; there are"):
        collection[3]
    assert 3 not in collection


def test_dropped_rows_have_a_reason():
    assert t0.Prompt("p", "a ||| b ||| c").why_dropped({}) == "the template gives 3 parts; 2, separated by |||, are needed"
    assert t0.Prompt("p", "{{ a }} ||| b").why_dropped({"a": ""}) == "the template gives an empty input"
    assert t0.Prompt("p", "a ||| b").why_dropped({}) is None


# ---- many rows, many prompts, separators, budgets -----------------------------------------------------------------------


class Table:
    """What a table of pyarrow offers, as far as rows are concerned."""

    def to_pylist(self):
        return [{"a": "x"}, {"a": "y"}]


@pytest.mark.parametrize("rows", [[{"a": "x"}, {"a": "y"}], {"a": ["x", "y"]}, Table(), ({"a": c} for c in "xy")])
def test_rows_may_be_rows_columns_or_a_table(rows):
    assert [row.input for row in Prompt("p", "{{ a }} ||| b").render_all(rows)] == ["x", "y"]


def test_all_rows_are_numbered_as_their_index():
    prompt = Prompt("p", "{{ ['a', 'b', 'c', 'd'] | choice }} ||| {{ n }}")
    rows = [{"n": n} for n in range(50)]
    assert prompt.apply_all(rows, seed=3) == [prompt.apply(row, seed=3, index=index) for index, row in enumerate(rows)]
    assert prompt.render_all(rows, seed=3) == [prompt.render(row, 3, index) for index, row in enumerate(rows)]
    assert {parts[0] for parts in prompt.apply_all(rows)} == {"a", "b", "c", "d"}
    assert prompt.apply_all(rows, pick="last")[7] == ["d", "7"]


@pytest.mark.parametrize("rows, problem", [
    ([{"a": {"b": 1}}, {"a": 2}, {}], r"row 2: prompt 'p', line 1, column 6: RuntimeError: 'a' is undefined"),
    ([{"a": {}}, 7], "row 1: example: int, must be a mapping"),
    ({"a": [{}], "b": [1, 2]}, "columns of different lengths: 'a' 1, 'b' 2"),
    ({"a": "xyz"}, "column 'a': a string, must be a list of values"),
])  # fmt: skip
def test_errors_among_many_rows_name_the_row(rows, problem):
    with pytest.raises(ValueError, match=problem) as told:
        Prompt("p", "{{ a.b }} ||| b").render_all(rows)
    if isinstance(told.value, t0.TemplateError):
        assert (told.value.line, told.value.column) == (1, 6)


def test_one_example_through_every_prompt():
    prompts = PromptSet("d", None, [Prompt("p", "{{ a }} ||| b"), Prompt("q", "{{ a }}")])
    assert prompts.render_one({"a": "x"}) == {"p": PromptedExample("x", "b", None), "q": None}


@pytest.mark.parametrize("jinja, rendered, template", [
    ("{{ s }} ||| {{ xs[0] }}", ["a|||b", "c", "d"], ["a|||b", "c|||d"]),
    ("{{ xs[0] }} |||", ["c", "d", ""], ["c|||d", ""]),
    ("{% if s %}{{ s }} ||| 1{% else %}2 ||| 3{% endif %}", ["a|||b", "1"], ["a|||b", "1"]),
    ("{% set t %}x ||| y{% endset %}{{ t }} ||| z", ["x", "y", "z"], ["x ||| y", "z"]),
    ("{% for x in 'ab' %}{{ x }}|||{% endfor %}\u4e2d", ["a", "b", "中"], ["a", "b", "中"]),
    ("|||| \u00e9", ["", "| é"], ["", "| é"]),
    ("{{ answer_choices | join(', ') }} ||| q", ["p|||, r", "q"], ["p|||, r", "q"]),
    ("", [""], [""]),
])  # fmt: skip
def test_separators_of_the_template_alone(jinja, rendered, template):
    prompt, example = Prompt("p", jinja, "{{ u }} ||| r"), {"s": "a|||b", "xs": ["c|||d"], "u": "p"}
    if "answer_choices" in jinja:
        example["u"] = "p|||"
        rendered = ["p", ", r", "q"]  # a choice's own ||| is bare again and splits
    assert prompt.apply(example) == rendered
    assert prompt.apply(example, separator="template") == template
    assert prompt.apply(example, truncate=False, separator="template") == template


@pytest.mark.parametrize("option, problem", [
    ({"separator": "data"}, "separator 'data': must be 'rendered' or 'template'"), ({"pick": "middle"}, "pick 'middle': must be 'first' or 'last', or None"),
])  # fmt: skip
def test_wrong_options_of_apply(option, problem):
    with pytest.raises(t0.ConfigError, match=problem):
        Prompt("p", "a ||| b").apply({}, **option)


BOMB = "{% for i in range(100000) %}{% for j in range(1000) %}{% set a = 'xx' * 300 %}{% endfor %}{{ 'yyy' * 30 }}{% endfor %}"


@pytest.mark.parametrize("budget, keyword", [
    ({}, "1000000 steps: raise max_steps"), ({"max_steps": 100}, "100 steps: raise max_steps"),
    ({"max_memory": 5000}, "5000 bytes of memory: raise max_memory"), ({"max_output": 50}, "50 items: raise max_output"),
    ({"max_seconds": 0.01, "max_steps": 10**12, "max_memory": 10**12}, "0.01 seconds: raise max_seconds"),
    ({"max_steps": 10**12}, "64000000 bytes of memory: raise max_memory"),
])  # fmt: skip
def test_every_budget_has_its_keyword(budget, keyword):
    prompt = pickle.loads(pickle.dumps(Prompt("bomb", BOMB, **budget)))
    with pytest.raises(t0.TemplateError, match=rf"prompt 'bomb', line 1, column \d+: .*{keyword}"):
        prompt.apply({}, truncate=False)


@pytest.mark.parametrize(
    "budget", [{"max_memory": 0}, {"max_seconds": 0}, {"max_seconds": float("nan")}, {"max_output": 2**40}, {"max_steps": "x"}]
)
def test_a_budget_has_its_bounds(budget):
    with pytest.raises(t0.ConfigError, match=f"prompt 'p': {next(iter(budget))} .*: must be a "):
        Prompt("p", "a ||| b", **budget)


def test_errors_of_the_call_itself_name_apply():
    with pytest.raises(TypeError, match=r"^Prompt.apply\(\) got an unexpected keyword argument 'truncat'"):
        Prompt("p", "a ||| b").apply({}, truncat=True)


def test_a_prompt_is_made_ready_once(monkeypatch):
    prompt, made = Prompt("p", "{{ a }} ||| b", "c ||| d"), []
    monkeypatch.setattr(Prompt, "_render_fixed", lambda self: made.append(self) or ["c", "d"])
    for _ in range(3):
        assert prompt.apply({"a": 1}, truncate=False) == prompt.apply({"a": 1}) == ["1", "b"]
    assert len(made) == 1


def test_a_prompt_cannot_be_changed():
    prompt = Prompt("p", "a ||| b")
    for field in ("jinja", "name", "budgets", "anything"):
        with pytest.raises(AttributeError, match=f"prompt 'p': {field} cannot be set"):
            setattr(prompt, field, "x")


def test_threads_share_a_prompt():
    """8 threads, 100,000 calls: every one equal to the first."""
    prompt = Prompt("p", "{{ a | upper }} {{ ['x', 'y', 'z'] | choice }} ||| {{ answer_choices[n % 2] }}", "{{ b }} ||| no")
    rows = [{"a": f"row {n}", "b": f"yes {n}", "n": n} for n in range(50)]
    expected = [(prompt.apply(row, index=n), prompt.choices(row)) for n, row in enumerate(rows)]

    def work():
        return all((prompt.apply(row, index=n), prompt.choices(row)) == expected[n] for _ in range(125) for n, row in enumerate(rows))

    with ThreadPoolExecutor(8) as pool:
        assert all(done.result() for done in [pool.submit(work) for _ in range(8)])


def test_an_example_may_be_known_by_its_id():
    prompt = Prompt("p", "{{ ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'] | choice }} ||| x")
    drawn = [prompt.apply({}, index=f"row-{n}")[0] for n in range(60)]
    assert drawn == [prompt.apply({}, index=f"row-{n}")[0] for n in range(60)] and len(set(drawn)) > 5
    assert drawn != [prompt.apply({}, index=n)[0] for n in range(60)]
    assert prompt.apply({}, index=np.int32(7)) == prompt.apply({}, index=7)
    assert prompt.apply({}, index=-1) == prompt.apply({}, index=2**64 - 1)
    with pytest.raises(t0.ConfigError, match=r"index 1\.5: must be the row's number, or its id as a text"):
        prompt.apply({}, index=1.5)
