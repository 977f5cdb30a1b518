"""The cut at 2,048 characters: in the compiled form, as promptsource's text has it; a switch everywhere; counted."""

import json
import logging

import pytest
from fakes import FakeModel
from fuzz_templates import with_cuts
from jinja_oracle import ENV, Rival
from jinja_oracle import render as jinja

import t0native as t0
from t0native._core import Template
from t0native.cli.main import main
from t0native.tasks.mixture import Mixture

LONG = "word " * 600  # 3,000 characters
CUT = LONG[:2045].rpartition(" ")[0] + "..."
FIELDS = {"x": LONG, "s": "short", "n": 7, "xs": ["a", LONG], "none": None, "solid": "x" * 3000, "just": "y" * 2053, "over": "y" * 2054}

WHOLE = [  # promptsource's own text of these works, and says what the template says
    "{{ x }}", "{{x}}|{{ s }}", "{{ s + x }}", "{{ x + s }}", "{{ x ~ s }}", "{{ x if n == 7 else s }}", "{{ s if n == 8 else x }}",
    "{{ not s }}", "{{ n == 7 }}", "{{ -n }}", "{{ n }}{{ none }}{{ missing }}", "{{ xs[1] }}", "{{ xs }}", "{{ x|upper }}", "{{ x[:9] }}",
    "{{ x is defined }}", "{{ s, x }}", "{{ solid }}", "{{ just }}", "{{ over }}", "{% for i in xs %}{{ i }};{% endfor %}",
    "{% set a = x %}{{ a|length }}{{ a }}", "{% filter upper %}{{ x }}{% endfilter %}", "{% macro f(a) %}{{ a }}{% endmacro %}{{ f(x) }}",
    "{{- x }}", "{{+ x }}", "{{ x | truncate(9) }}", "{{ x | string | truncate(2048) }}", "{{ [x]|join }}", "{{ x.upper().lower() }}", "{{\nx\n}}",
]  # fmt: skip
OURS = {  # and of these it does not: it breaks, or changes another text
    "{{ x -}}  b": CUT + "b", "a  {{- x -}}  b": "a" + CUT + "b", "{{ '}}' }}": "}}", "{{ 'a}}b' ~ s }}": "a}}bshort", "{{ '{{ x }}' }}": "{{ x }}",
    "{{ {'a': {}} }}": "{'a': {}}", "{{ {'a': {'b': n}}['a']['b'] }}": "7", "{{ {'a': {'b': n}} }}": "{'a': {'b': 7}}",
    "{{ {'a': {'b': x}}.a.b }}": CUT, "{{ {'a': {}}}}": "{'a': {}}", "{% set d = {'a': {'b': n}} %}{% set e = d.a.b + 1 %}{{ e }}": "8",
    "{% set d = {'a': {'b': n}} %}{% if d.a.b == 7 %}yes{% endif %}": "yes", "a }} b": "a }} b", "{% raw %}{{ x }}{% endraw %}": "{{ x }}",
    "{# }} #}{{ s }}": "short", "{{ s, }}": "('short',)", "{{ x, }}": str((LONG,))[:2045].rpartition(" ")[0] + "...",
    "{% if '}}' in s %}a{% else %}b{% endif %}": "b", "{{ s ~ '}}' -}} \n z": "short}}z", "{{ xs[{'k': {'i': 0}}['k']['i']] }}": "a",
}  # fmt: skip


@pytest.mark.parametrize("source", WHOLE)
def test_where_promptsources_text_holds_the_bytes_are_its_own(source):
    for end in ("", " ||| {{ s }}"):
        for truncate in (True, False):
            assert t0.Prompt("p", source + end).apply(FIELDS, truncate=truncate) == Rival(source + end).apply(FIELDS, truncate)
    assert Template(source, truncate=True).render(FIELDS) == jinja(source.replace("}}", " | string | truncate(2048) }}"), FIELDS)


@pytest.mark.parametrize("source, printed", OURS.items())
def test_where_it_does_not_only_what_is_printed_is_cut(source, printed):
    prompt = t0.Prompt("p", source + " ||| b")
    assert prompt.apply(FIELDS) == [printed.strip(), "b"]
    assert prompt.apply(FIELDS, truncate=False) == [jinja(source, FIELDS).strip(), "b"]
    assert jinja(with_cuts(source), FIELDS) == Template(source, truncate=True).render(FIELDS) == printed


def test_marked_values_stand_in_the_cut_ones():
    for source in ("{{ x }}", "{{ s + x }}", "{{ x if n == 7 }}"):
        text = source.replace("}}", " | string | truncate(2048) }}").replace("}}", " | highlight }}")
        assert t0.Prompt("p", source).apply(FIELDS, highlight_variables=True) == [ENV.from_string(text).render(**FIELDS).strip()]
    assert t0.Prompt("p", "{{ s -}} {{ '}}' }}").apply(FIELDS, highlight_variables=True)[0].count("</span>") == 2


@pytest.mark.parametrize("source, line, column", [
    ("{{ x }}{{ y | nosuch }}", 1, 15), ("{{ x }}{{ x }}\n{{ x -}} {{ a b }}", 2, 15), ("{{ x }}{{ }}", 1, 11), ("{{ x }} {{ x + }}", 1, 16),
])  # fmt: skip
def test_places_of_errors_are_those_of_the_authors_text(source, line, column):
    with pytest.raises(t0.TemplateError) as error:
        t0.Prompt("p", source).apply({"x": 1})
    assert (error.value.line, error.value.column) == (line, column) and f"line {line}, column {column}: " in str(error.value)


def test_whether_something_was_cut_is_told():
    prompt = t0.Prompt("p", "{{ x }} {{ s }} ||| {{ n }}")
    assert prompt.render_noted(FIELDS).cut and not prompt.render_noted(FIELDS, truncate=False).cut
    assert prompt.render_noted(FIELDS).notes == (("cut", 0, None, None, None, "x", LONG),)
    assert not prompt.render_noted(FIELDS | {"x": "y" * 2053}).cut and prompt.render_noted(FIELDS | {"x": "y" * 2054}).cut
    own = t0.Prompt("p", "{{ x | truncate(9) }} {{ x | string | truncate(2048) | length }} ||| b")
    assert not own.render_noted(FIELDS).cut  # the author's wish
    for source in ("{{ s + x }} ||| b", "{% set t %}{{ x }}{% endset %}a{{ t|length }} ||| b", "{{ xs }} ||| b", "a ||| {{ x, }}"):
        assert t0.Prompt("p", source).render_noted(FIELDS).cut, source


def test_rows_rendered_at_once_are_counted(caplog):
    caplog.set_level(logging.WARNING, "t0native")
    prompt, rows = t0.Prompt("p", "{{ x }} ||| b"), [{"x": "a"}, {"x": LONG}, {"x": LONG}]
    assert [len(example.input) for example in prompt.render_all(rows)] == [1, 2047, 2047]
    assert messages(caplog) == ["2 of 3 rows were cut at 2,048 characters; truncate=False (--no-truncate) keeps them whole"]
    caplog.clear()
    assert [len(example.input) for example in prompt.render_all(rows, truncate=False)] == [1, 2999, 2999] and messages(caplog) == []


def task(**options):
    rows = [{"text": "word " * n, "label": n % 2} for n in (3, 600, 4, 700, 5, 600)]
    prompts = {
        "a": t0.Prompt("a", "{{ text }}Yes? ||| {{ answer_choices[label] }}", "no ||| yes"),
        "b": t0.Prompt("b", "{{ label }} ||| {{ answer_choices[label] }}", "no ||| yes"),
    }
    return t0.Task("t", rows, prompts, **options)


def test_a_task_has_the_switch():
    assert [len(task().render("a", i).input) for i in (0, 1)] == [19, 2051]
    whole = task(truncate=False)
    assert len(whole.render("a", 1).input) == len(task().uncut().render("a", 1).input) == 3004 and task().truncate
    assert len(t0.few_shot(whole, 1).render("a", 1).input) > 3004 and t0.few_shot(whole, 1).truncate is False
    assert "..." in t0.few_shot(task(), 4).render("a", 0).input and "..." not in t0.few_shot(task(), 4).uncut().render("a", 0).input
    with pytest.raises(t0.ConfigError, match="^truncate 'no': must be true or false"):
        task(truncate="no")


def messages(caplog):
    return [record.getMessage() for record in caplog.records if "2,048" in record.getMessage()]


def test_an_evaluation_counts_and_says_once(caplog):
    seen = []
    model = FakeModel(lambda text, choices: seen.append(len(text)) or 0)
    caplog.set_level(logging.WARNING, "t0native")
    other = t0.Task("u", [{"a": "x"}], [t0.Prompt("c", "{{ a }} ||| x", "x ||| y")])
    report = t0.evaluate(model, [task(), other], progress=False)
    assert [cell["cut"] for cell in report.cells] == [3, 0, 0] and max(seen) == 2051 and report.about["truncate"] is True
    assert messages(caplog) == ["3 of 13 rows were cut at 2,048 characters; truncate=False (--no-truncate) keeps them whole"]
    caplog.clear()
    report = t0.evaluate(model, task(), progress=False, truncate=False)
    assert [cell["cut"] for cell in report.cells] == [0, 0] and max(seen) == 3504 and report.about["truncate"] is False
    assert messages(caplog) == []
    with pytest.raises(t0.ConfigError, match="^truncate 1: "):
        t0.evaluate(model, task(), truncate=1)


def test_a_journal_of_cut_rows_does_not_serve_whole_ones(tmp_path):
    asked = []
    model = FakeModel(lambda text, choices: asked.append(text) or 0)
    model.fingerprint = "one"
    for truncate, asks in ((True, True), (True, False), (False, True), (False, False)):
        before = len(asked)
        report = t0.evaluate(model, task(), progress=False, out=tmp_path, truncate=truncate)
        assert (len(asked) > before) is asks
        assert [cell["cut"] for cell in report.cells] == ([3, 0] if truncate else [0, 0])


TEMPLATES = """dataset: mine
templates:
  11111111-1111-1111-1111-111111111111: !Template
    name: a
    id: 11111111-1111-1111-1111-111111111111
    jinja: '{{ text }}Yes? ||| {{ answer_choices[label] }}'
    answer_choices: no ||| yes
    metadata: !TemplateMetadata {}
    reference: ''
"""
OPTIONS = {"batch_size": 4, "progress": False, "seed": 3}


def test_a_training_counts_and_has_the_switch(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "t0native")
    options = OPTIONS | {"steps": 4, "log_every": 2}
    run = t0.train(t0.mini.new_model(0), task(), out=tmp_path / "a", **options)
    assert run.cut == sum(example.cut for example in Mixture(task()).examples(3, 0, 16)) > 0 and run.examples == 16
    lines = [json.loads(line) for line in (tmp_path / "a/log.jsonl").read_text().splitlines()]
    assert sum(line.get("cut", 0) for line in lines) == run.cut
    assert messages(caplog) == [f"{run.cut} of 16 rows were cut at 2,048 characters; truncate=False (--no-truncate) keeps them whole"]
    caplog.clear()
    whole = t0.train(t0.mini.new_model(0), task(), out=tmp_path / "b", truncate=False, **options)
    assert whole.cut == 0 and messages(caplog) == []
    assert Mixture(task()).uncut().examples(3, 0, 16) != Mixture(task()).examples(3, 0, 16)
    assert whole.losses == t0.train(t0.mini.new_model(0), task(truncate=False), **options).losses
    with pytest.raises(t0.ConfigError, match="mixture was"):
        t0.train(t0.mini.new_model(0), task(), out=tmp_path / "a", truncate=False, **options | {"steps": 6})


def test_counts_of_a_run_that_was_stopped_go_on(tmp_path):
    options = OPTIONS | {"log_every": 5}
    whole = t0.train(t0.mini.new_model(0), task(), steps=8, out=tmp_path / "a", **options)
    t0.train(t0.mini.new_model(0), task(), steps=3, out=tmp_path / "b", **options)
    again = t0.train(t0.mini.new_model(0), task(), steps=8, out=tmp_path / "b", **options)
    assert again.cut == whole.cut > 0 and again.losses == whole.losses
    tokens = t0.train(t0.mini.new_model(0), task(), steps=3, batch_tokens=2000, progress=False, seed=3)
    assert tokens.cut == sum(example.cut for example in Mixture(task()).examples(3, 0, tokens.examples))


def test_a_recipe_a_suite_and_the_commands_have_the_switch(tmp_path, capsys):
    (tmp_path / "prompts/mine").mkdir(parents=True)
    (tmp_path / "prompts/mine/templates.yaml").write_text(TEMPLATES)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in task().rows))
    suite = "truncate: {}\ntasks:\n  - {{dataset: mine, file: rows.jsonl, templates: prompts{}}}\n"
    for top, entry, whole in (
        ("true", "", False),
        ("false", "", True),
        ("false", ", truncate: true", False),
        ("true", ", truncate: false", True),
    ):
        (tmp_path / "suite.yaml").write_text(suite.format(top, entry))
        (one,) = t0.suite(str(tmp_path / "suite.yaml"))
        assert one.truncate is not whole
    prompts, rows = str(tmp_path / "prompts"), str(tmp_path / "rows.jsonl")
    for more, length in ([], 2051), (["--no-truncate"], 3004):
        assert main(["prompt", "apply", "mine", "a", "--prompts", prompts, "--data", rows, "--row", "1", "--json", *more]) == 0
        assert len(json.loads(capsys.readouterr().out)[0]["input"]) == length
    recipe = "model: mini\ntasks:\n  - {dataset: mine, data: rows.jsonl, prompts: prompts}\nsteps: 2\nbatch_size: 8\nprogress: false\n"
    for keys, more, whole in (("", [], False), ("truncate: false\n", [], True), ("", ["--no-truncate"], True)):
        (tmp_path / "recipe.yaml").write_text(recipe + keys)
        out = str(tmp_path / f"run{len(keys)}{len(more)}")
        assert main(["train", str(tmp_path / "recipe.yaml"), "--out", out, "--json", *more]) == 0
        assert (json.loads(capsys.readouterr().out)["cut"] == 0) is whole
    (tmp_path / "suite.yaml").write_text(suite.format("true", ""))
    for more, cut in ([], 2), (["--no-truncate"], 0):
        assert main(["evaluate", "--model", out, "--suite", str(tmp_path / "suite.yaml"), "--json", "--limit", "4", *more]) == 0
        assert json.loads(capsys.readouterr().out)["cells"][0]["cut"] == cut
