"""`t0native prompt check`: every kind of problem is told, with its file and prompt, and sound files have none."""

import json
import shutil

import pytest

import t0native as t0
from t0native.cli.main import main
from t0native.prompts.check import check_collection

FIRST, SECOND = "1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b", "2b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b"


def entry(key=SECOND, id=None, name="two", jinja="{{ text }}! ||| {{ label }}", choices="null", tag="!Template"):
    return f"  {key}: {tag}\n    id: {id or key}\n    name: {name}\n    jinja: {json.dumps(jinja)}\n    answer_choices: {choices}\n"


def checked(folder, *entries, rows=None):
    place = folder / "d"
    place.mkdir(exist_ok=True)
    (place / "templates.yaml").write_text("dataset: d\ntemplates:\n" + "".join(entries), encoding="utf-8")
    problems = check_collection(t0.PromptCollection.load(folder), rows=rows)
    assert all(problem.file == str(place / "templates.yaml") for problem in problems)
    return [(problem.prompt, problem.what) for problem in problems]


SOUND = entry(FIRST, name="one", jinja="{{ text }}? ||| {{ answer_choices[label] }}", choices="no ||| yes")


def test_sound_files_have_no_problems(tmp_path):
    assert checked(tmp_path, SOUND, entry(), rows=[{"text": "a", "label": 1}]) == []


@pytest.mark.parametrize("second, problem", [
    (entry(id=FIRST), ("two", f"its key is '{SECOND}', its id '{FIRST}': they must be the same")),
    (entry("b"), ("two", "its id 'b' is no UUID: write one that stays, such as `id: 451eaf9c-0c20-5a48-b31e-2c0a7f0429ea`, and the same as the entry's key")),
    (entry(name="one"), ("one", "another prompt of the file has its name")),
    (entry(name='" "'), (" ", "its name is empty")),
    (entry(jinja="{{ text }}? ||| {{ answer_choices[label] }}", choices="a ||| b"), ("two", "its text is that of 'one'")),
    (entry(jinja="{{ text }}"), ("two", "the separator ||| is missing: it has no target")),
    (entry(jinja="{{ text }} |||\n"), ("two", "there is nothing behind the separator |||: its target is always empty")),
    (entry(jinja="{{ text } ||| a"), ("two", "does not compile: line 1, column 9: unexpected '}': nothing is open")),
    (entry(choices="'{{ a.b( }}'"), ("two", "does not compile: answer_choices of prompt 'two', line 1, column 9: unexpected '}', expected ')'")),
    (entry(jinja="{{ answer_choices[0] }} ||| a"), ("two", "reads answer_choices and has none")),
    (entry(tag=""), ("two", f"not tagged: promptsource reads it as `{SECOND}: !Template`")),
    (f"  {SECOND}: 7\n", (None, f"entry '{SECOND}' is int, must be a mapping tagged !Template")),
    (f"  {SECOND}: text\n", (SECOND, "the separator ||| is missing: it has no target")),
    (entry(FIRST, name="three"), (None, f"line 8: entry '{FIRST}' stands twice, first in line 3; the last one counts")),
    (entry() + "    name: again\n", (None, "line 13: 'name' stands twice, first in line 10")),
])  # fmt: skip
def test_each_problem_is_told(tmp_path, second, problem):
    told = checked(tmp_path, SOUND, second)
    assert problem in told


@pytest.mark.parametrize("jinja, rows, problem", [
    ("{{ txt }} ||| {{ label }}", [{"text": "a", "label": 1}], "reads txt, which no row has; there are label, text"),
    ("{{ a_b }} ||| {{ label }}", [{"a-b": "a", "label": 1}], None),
    ("{% if label == 3 %}{{ text }} ||| yes{% endif %}", [{"text": "a", "label": 1}] * 4, "none of 4 rows gives a target"),
    ("{{ text }} ||| {{ label.x.y }}", [{"text": "a", "label": "x"}],
     "none of 1 rows gives a target; row 0: prompt 'two', line 1, column 27: RuntimeError: 'x' is undefined"),
])  # fmt: skip
def test_rows_show_what_a_text_alone_cannot(tmp_path, jinja, rows, problem):
    assert checked(tmp_path, entry(jinja=jinja), rows=rows) == ([] if problem is None else [("two", problem)])


def test_the_command(tmp_path, capsys):
    checked(tmp_path, SOUND, entry())
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "label": 1}\n')
    command = ["prompt", "check", "--prompts", str(tmp_path)]
    assert main(command) == 0 and capsys.readouterr().out == "0 problems\n"
    checked(tmp_path, SOUND, entry(jinja="{{ words }} ||| {{ label }}"))
    assert main([*command[:2], "d", *command[2:], "--data", str(tmp_path / "rows.jsonl")]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{tmp_path}/d/templates.yaml: prompt 'two': reads words, which no row has; there are label, text", "1 problem",
    ]  # fmt: skip
    assert main([*command[:2], "d", "one", *command[2:], "--data", str(tmp_path / "rows.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main([*command[:2], "d", "ones", *command[2:]]) == 2
    assert "d has no prompt 'ones'; did you mean 'one'?" in capsys.readouterr().err
    assert main([*command, "--data", str(tmp_path / "rows.jsonl")]) == 1  # whose rows they are is plain: the prompts are of one dataset
    assert capsys.readouterr().out.endswith("1 problem\n")
    shutil.copytree(tmp_path / "d", tmp_path / "f")
    assert main([*command, "--data", str(tmp_path / "rows.jsonl")]) == 2
    assert "--data needs a dataset" in capsys.readouterr().err
    assert main([*command[:2], "e", *command[2:]]) == 2
    assert "no prompts for 'e'" in capsys.readouterr().err


def test_public_prompts_compile_and_are_named_apart(promptsource_folder):
    """What promptsource's own test holds of its files, and what ours finds beyond it."""
    problems = check_collection(t0.PromptCollection.load(promptsource_folder))
    allowed = ("its text is that of", "the separator ||| is missing", "there is nothing behind", "reads answer_choices and has none")
    assert [problem for problem in problems if not problem.what.startswith(allowed)] == []
