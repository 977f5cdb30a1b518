"""YAML that takes memory, or that PyYAML's constructors cannot make values of: an error of ours, with file and line, at once."""

import resource
import subprocess
import sys

import pytest

import t0native as t0
from t0native.base import yamltext
from t0native.promptsource import read_content

FILE = "dataset: d\ntemplates:\n  i: !Template {{name: n, jinja: a, answer_choices: null, metadata: null, reference: '', id: {}}}\n"
LEVELS = "abcdefghij"


def bomb(width=9, levels=10, form="[{}]"):
    """Each line stands for `width` of the line before."""
    lines = [f"x0: &a {form.format(','.join(['x'] * width))}\n"]
    for before, name in zip(LEVELS, LEVELS[1:levels]):
        lines.append(f"x{name}: &{name} {form.format(','.join([f'*{before}'] * width))}\n")
    return "".join(lines)


def read(folder, text):
    (folder / "templates.yaml").write_text(text)
    return t0.PromptSet.read(folder / "templates.yaml")


def problem(folder, text, read_file=t0.PromptSet.read):
    path = folder / "templates.yaml"
    path.write_text(text)
    with pytest.raises(t0.FormatError) as caught:
        read_file(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and len(told) < 400
    return told.removeprefix(f"{path}: ")


@pytest.mark.parametrize("field", ["id", "reference", "dataset", "subset", "extra"])
@pytest.mark.parametrize("read_file", [t0.PromptSet.read, read_content])
def test_aliases_that_stand_for_much_are_refused_wherever_they_are(tmp_path, field, read_file):
    text = bomb() + FILE.format("*j" if field == "id" else "i")
    if field in ("dataset", "subset"):
        text = text.replace("dataset: d", {"dataset": "dataset: *j", "subset": "dataset: d\nsubset: *j"}[field])
    elif field != "id":
        text = text.replace("reference: ''", "reference: *j" if field == "reference" else "reference: '', extra: *j")
    assert len(text) < 600
    assert problem(tmp_path, text, read_file) == "line 6: aliases repeat more than 1,000,000 values and characters: write them out"


def test_the_bomb_takes_no_memory(tmp_path):
    """Within 400 MB of addresses and 20 s of processor time, in a process of its own."""
    (tmp_path / "templates.yaml").write_text(bomb() + FILE.format("*j"))
    code = "import sys, t0native\ntry: t0native.PromptSet.read(sys.argv[1])\nexcept t0native.FormatError: print('refused')"
    limits = lambda: [
        resource.setrlimit(limit, (most,) * 2) for limit, most in ((resource.RLIMIT_DATA, 400 << 20), (resource.RLIMIT_CPU, 20))
    ]  # noqa: E731
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, str(tmp_path / "templates.yaml")], preexec_fn=limits, capture_output=True, text=True
    )
    assert done.stdout == "refused\n", done.stderr[-500:]


@pytest.mark.parametrize("text, told", [
    (bomb(form="{{<<: [{}]}}").replace("&a {<<: [x,x,x,x,x,x,x,x,x]}", "&a {k: v}"), "line 7: aliases repeat more than"),
    ("x: &a [*a]\n", "line 1: an alias to what it stands in"),
    ("x: &a {k: [*a]}\n", "line 1: an alias to what it stands in"),
    (f"x: &a {'y' * 600_000}\nz: [*a, *a]\n", "line 1: aliases repeat more than"),
    (f"x: [{'[],' * 300_000}]\n", "line 1: more than 250,000 values in one file"),
    (f"x: {'- ' * 200}1\n".replace("x: ", "x:\n  "), "line 2: nested too deeply: more than 100 levels"),
    (f"x: {'[' * 200}", "line 1: nested too deeply: more than 100 levels"),
], ids=range(7))  # fmt: skip
def test_other_bombs(tmp_path, text, told):
    assert problem(tmp_path, text + FILE.format("i")).startswith(told)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "templates.yaml", "wb") as file:
        file.truncate(1 << 40)  # a hole, without a byte on the disk
    with pytest.raises(t0.FormatError, match="32,000,001 bytes, at most 32,000,000"):
        t0.PromptSet.read(tmp_path / "templates.yaml")
    with open(tmp_path / "templates.yaml", "rb") as file, pytest.raises(t0.ConfigError, match="not YAML: 32,000,001 bytes, at most"):
        yamltext.parse_yaml("a.yaml", file)


def test_aliases_that_cost_little_are_read(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\nd: {<<: *x, l: 3}\ne: {<<: [*x, *x]}\n")
    with open(tmp_path / "a.yaml", "rb") as file:
        content = yamltext.parse_yaml("a.yaml", file)
    one = {"k": [1, 2]}
    assert content == {"a": one, "b": one, "c": [one, one], "d": {"k": [1, 2], "l": 3}, "e": one}


QUOTES = "write it in quotes where it is meant as text"


@pytest.mark.parametrize("value, told", [
    ("2024-13-45", f"'2024-13-45' is no tag:yaml.org,2002:timestamp: {QUOTES}"),
    ("2024-01-31T25:61:61Z", f"'2024-01-31T25:61:61Z' is no tag:yaml.org,2002:timestamp: {QUOTES}"),
    ("9" * 5000, f"'{'9' * 37}...{'9' * 38}': 5,000 characters, and no text: write it in quotes where it is one"),
    ("1" + ":1" * 20_000, "40,001 characters, and no text"),
    ("!!int abc", f"'abc' is no tag:yaml.org,2002:int: {QUOTES}"),
    ("!!int ''", f"'' is no tag:yaml.org,2002:int: {QUOTES}"),
    ("!!float ''", f"'' is no tag:yaml.org,2002:float: {QUOTES}"),
    ("!!bool xyz", f"'xyz' is no tag:yaml.org,2002:bool: {QUOTES}"),
    ("!!timestamp x", f"'x' is no tag:yaml.org,2002:timestamp: {QUOTES}"),
    ("2024-01-31", "id must be text or a number, is date: write it in quotes where it is text"),
    ("[1]", "id must be text or a number, is list: write it in quotes where it is text"),
    ("{? !TemplateMetadata {languages: [en]} : 1}", "a key of this mapping is a list or a mapping: keys must be text"),
    ("{? [a] : 1}", "found unhashable key"),
    ("!!python/name:os.system x", "could not determine a constructor for the tag"),
])  # fmt: skip
@pytest.mark.parametrize("read_file", [t0.PromptSet.read, read_content])
def test_values_that_cannot_be_made_are_told_with_their_line(tmp_path, value, told, read_file):
    if read_file is read_content and "Metadata" in value:
        told = "found unhashable key"  # promptsource's class says itself that it is none
    text = problem(tmp_path, FILE.format(value), read_file)
    assert text.startswith("line 3: ") and told in text


def test_a_mapping_as_a_key_outside_of_templates(tmp_path):
    told = problem(tmp_path, "a: 1\n? !TemplateMetadata {languages: [en]}\n: 2\n" + FILE.format("i"))
    assert told == "line 1: a key of this mapping is a list or a mapping: keys must be text"


def test_an_entry_that_is_none_is_told(tmp_path):
    told = problem(tmp_path, "dataset: d\ntemplates: {a: null}\n")
    assert told.startswith("an entry of templates is NoneType, must be a mapping tagged !Template")
    assert problem(tmp_path, "dataset: 2024-01-31\ntemplates: {}\n").startswith("dataset must be text or a number, is date")


def test_a_recipe_tells_the_same(tmp_path, capsys):
    from t0native.cli.main import main

    (tmp_path / "r.yaml").write_text(bomb())
    assert main(["train", str(tmp_path / "r.yaml")]) == 2
    assert "r.yaml, line 6, column 5: not YAML: aliases repeat more than 1,000,000" in capsys.readouterr().err
