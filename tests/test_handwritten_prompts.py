"""Prompt files as people write them: read where one reading is meant, else told with the line that says it; `prompt check` the same."""

import re

import pytest
import yaml

import t0native as t0
from t0native.cli.main import main
from t0native.prompts.check import check_file
from t0native.prompts.handwritten import quoted_line

HEAD = "dataset: mine\ntemplates:\n  mood: !Template\n    name: mood\n"
TEXT = "{{ text }} ||| {{ label }}"


def told(tmp_path, text, capsys):
    """What reading the file says of it, behind its name; check says the same, and its command."""
    path = tmp_path / "mine/templates.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(t0.FormatError) as error:
        t0.PromptSet.read(path)
    said = str(error.value).removeprefix(f"{path}: ")
    assert [(problem.prompt, problem.what) for problem in check_file(path)] == [(None, said)]
    assert main(["prompt", "check", "--prompts", str(tmp_path)]) == 1
    assert said.partition("{")[0][:200] in capsys.readouterr().out
    return said


UNQUOTED = {
    "{{ text }} Good? ||| {{ answer_choices[label] }}": "{ begins a mapping",
    "{{ text }}": "{ begins a mapping",
    "{% if text %}{{ text }}{% endif %} ||| it's": "{ begins a mapping",
    "{# a note #}{{ text }} ||| x": "{ begins a mapping",
    "Question: {{ text }} ||| x": "a colon with a space behind it makes a mapping",
    "The text: {{ text }}. Good: yes? ||| x": "a colon with a space behind it makes a mapping",
    '"{{ text }}" is good? ||| x': "its quotation marks do not enclose one text",
    "'{{ text }}' is good? ||| x": "its quotation marks do not enclose one text",
    "[{{ text }}] is good? ||| x": "[ begins a list",
    "*{{ text }}* ||| x": "* begins an alias",
    "&{{ text }} ||| x": "& begins an anchor",
    "!{{ text }} ||| x": "! begins a tag",
    "%{{ text }} ||| x": "% cannot begin a text",
    "@{{ text }} ||| x": "@ cannot begin a text",
    "`{{ text }}` ||| x": "` cannot begin a text",
    "- {{ text }} ||| x": "- begins a list",
    "? {{ text }} ||| x": "? begins a key",
    "||| x": "| begins a block of lines",
    "> {{ text }} ||| x": "> begins a block of lines",
    "Is it # 1? {{ text }} ||| x": "# begins a comment",
}  # fmt: skip


@pytest.mark.parametrize("field", ["jinja", "answer_choices"])
@pytest.mark.parametrize("behind", ["", "    reference: mine\n  other:\n    jinja: 'a ||| b'\n"], ids=["last", "not last"])
@pytest.mark.parametrize("value", UNQUOTED)
def test_a_text_without_quotation_marks(value, field, behind, tmp_path, capsys):
    """The line of the message, in the place of the one in the file, is read as it was meant."""
    text = HEAD + ("    jinja: 'a ||| b'\n" if field != "jinja" else "") + f"    {field}: {value}\n{behind}"
    number = text.splitlines().index(f"    {field}: {value}") + 1
    said = told(tmp_path, text, capsys)
    place, why, line = re.fullmatch(r"(line \d+): (.*) in YAML.*; in quotation marks it is text: (.*?)( \([^()]*\))?", said).groups()[:3]
    assert (place, why.partition(" in YAML")[0]) == (f"line {number}", UNQUOTED[value])
    lines = text.splitlines()
    lines[number - 1] = "    " + line
    (tmp_path / "mine/templates.yaml").write_text("\n".join(lines))
    assert getattr(t0.PromptSet.read(tmp_path / "mine/templates.yaml")["mood"], field) == value


@pytest.mark.parametrize(
    "text, said",
    [
        (HEAD + "    jinja: '{{ text }} isn't it? ||| x'\n",
         r"line 5: the quotation marks in the text, or its \, are not written so in YAML; in quotation marks it is text: "
         "jinja: '{{ text }} isn''t it? ||| x' (did not find expected key)"),
        (HEAD + '    jinja: "{{ text }} \\d ||| x"\n',
         r"line 5: the quotation marks in the text, or its \, are not written so in YAML; in quotation marks it is text: "
         r"jinja: '{{ text }} \d ||| x' (found unknown escape character)"),
        (HEAD + '    jinja: "{{ text }} ||| x\n    answer_choices: a\n',
         "line 5: the quotation mark at its beginning is not closed in YAML; in quotation marks it is text: jinja: '{{ text }} ||| x' "
         "(found unexpected end of stream)"),
        (HEAD + "    jinja: {{ text }}\n      Good? ||| x\n",
         "line 5: { begins a mapping in YAML; write jinja: |- and the text in the lines below it, indented (did not find expected key)"),
        (HEAD + "    jinja: {{ text }} " + "word " * 60 + "||| x\n",
         "line 5: { begins a mapping in YAML; write jinja: |- and the text in the lines below it, indented "
         "(did not find expected key)"),
        ("templates:\n  mood: {{ text }} ||| x\n",
         "line 2: { begins a mapping in YAML; in quotation marks it is text: mood: {jinja: '{{ text }} ||| x'} "
         "(did not find expected comment or line break)"),
        (HEAD + f"\tjinja: '{TEXT}'\n",
         f"line 5: a tab in the indentation, where YAML takes spaces alone:     jinja: '{TEXT}' "
         "(found a tab character that violates indentation)"),
        ("templates:\n\tmood:\n\t\tjinja: 'a ||| b'\n",
         "line 2: a tab in the indentation, where YAML takes spaces alone:     mood: (found character that cannot start any token)"),
        (HEAD + f"  \tjinja: '{TEXT}'\n",
         f"line 5: a tab in the indentation, where YAML takes spaces alone:     jinja: '{TEXT}' "
         "(found a tab character that violates indentation)"),
        (HEAD + "   jinja: 'a ||| b'\n",
         "line 5: 3 spaces before jinja, and 4 before name; fields of one template begin in one column:     jinja: 'a ||| b' "
         "(did not find expected key)"),
        ("templates:\n  mood:\n    jinja:'a ||| b'\n", "line 3: a space is missing behind jinja: YAML reads one text otherwise"),
        ("templates:\n  mood:\n    template: 'a ||| b'\n",
         "line 3: a template's jinja must be text, is NoneType; the field 'template' is called jinja here: jinja: 'a ||| b'"),
        ("templates:\n  mood:\n    input: '{{ text }}'\n    target: yes it is\n",
         "line 3: a template's jinja must be text, is NoneType; input and target are one text with ||| between them: "
         "jinja: '{{ text }} ||| yes it is'"),
        (HEAD + "    jinja: 'a ||| b'\n    answer_choices: [{{ a }}, {{ b }}]\n",
         "line 6: a choice is no text; write the choices as one text: answer_choices: 'bad ||| good'"),
        (HEAD + "    jinja: 'a ||| b'\n    answer_choices:\n    - a\n    - b ||| c\n",
         "line 8: a choice holds |||; write the choices as one text: answer_choices: 'bad ||| good'"),
        (HEAD + "    jinja: 'a ||| b'\n    answer_choices: {0: bad, 1: good}\n",
         "line 3: template 'mood': answer_choices must be text or null, is dict; write the choices as one text: answer_choices: 'bad ||| good'"),
        (HEAD + "    jinja: 'a ||| b'\n    metadata: {languages: en}\n", "line 6: languages must be a list of text, as languages: [en]"),
        (HEAD + "    jinja: 'a ||| b'\n    metadata: none\n",
         "line 3: template 'mood': metadata must be a mapping tagged so: !TemplateMetadata {languages: [en]}"),
        (HEAD.replace("!T", "!t") + "    jinja: 'a ||| b'\n",
         "line 3: could not determine a constructor for the tag '!template'; known are !Template and !TemplateMetadata"),
        ((HEAD + "    jinja: 'café ||| b'\n").encode("cp1252"),
         "line 5, byte 16 (offset 73 of the file): not UTF-8 (0xe9); in Windows-1252 it would be \"jinja: 'café ||| b'\": "
         "iconv -f WINDOWS-1252 -t UTF-8 FILE > templates.utf8.yaml"),
    ],
    ids=range(20),
)  # fmt: skip
def test_other_slips(text, said, tmp_path, capsys):
    assert told(tmp_path, text, capsys) == said.replace("FILE", str(tmp_path / "mine/templates.yaml"))


@pytest.mark.parametrize(
    "text, choices",
    [("[bad, good]", "bad ||| good"), ("\n    - no\n    - yes", "no ||| yes"), ("[0, 1.50, 007]", "0 ||| 1.50 ||| 007"),
     ("['a, b', \"c\"]", "a, b ||| c"), ("yes", "yes"), ("1", "1"), ("2024-01-31", "2024-01-31"), ("null", None), ("", None)],
    ids=range(9),
)  # fmt: skip
def test_choices_that_are_a_list_or_no_text_are_read_as_they_are_written(text, choices, tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text(HEAD + f"    jinja: '{TEXT}'\n    answer_choices: {text}\n")
    prompt = t0.PromptSet.read(path)["mood"]
    assert prompt.answer_choices == choices
    if choices is None:
        return
    assert prompt.choices({}) == choices.split(" ||| ")
    problems = [problem.what for problem in check_file(path) if problem.what.startswith("answer_choices ")]
    kind = "is a list; promptsource wants a text" if "|||" in choices else "is no text to YAML; in quotation marks it is"
    assert problems == [f"answer_choices {kind}: {quoted_line('answer_choices', choices)}"]
    assert yaml.safe_load(problems[0].rpartition(": answer_choices")[1][2:] + problems[0].rpartition(": answer_choices")[2]) == {
        "answer_choices": choices
    }


def test_an_entry_may_be_its_text_alone_and_names_may_be_numbers(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text(f"templates:\n  mood: '{TEXT}'\n  block: |-\n    {TEXT}\n  7:\n    name: yes\n    jinja: 'a ||| b'\n")
    prompts = t0.PromptSet.read(path)
    assert {name: prompt.jinja for name, prompt in prompts.items()} == {"mood": TEXT, "block": TEXT, "yes": "a ||| b"}
    told = [(problem.prompt, problem.what) for problem in check_file(path)]
    assert ("yes", "name is no text to YAML; in quotation marks it is: name: 'yes'") in told
    assert ("mood", f"not tagged: promptsource reads it as `{prompts['mood'].id}: !Template`") in told


def test_a_slip_in_the_name_of_a_field_is_a_problem(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text(HEAD + f"    jinja: '{TEXT}'\n    choices: a ||| b\n")
    assert "line 3: unknown field 'choices' of a !Template; did you mean 'answer_choices'?" in [p.what for p in check_file(path)]


@pytest.mark.parametrize(
    "text",
    [
        f"    jinja: {TEXT.replace('{{ text }}', 'A {{ text }}')}  # a note\n",
        f"    jinja: '{TEXT}'  # {{{{ a }}}} ||| as it was\n",
        '    jinja: "{{ text }}\n      goes on: here" \n',
        "    jinja: |-\n      name: {{ text }}: # 1\n      jinja: {{ label }} ||| x\n",
        "    jinja: >-\n      {{ text }}\n      ||| x\n",
    ],
    ids=range(5),
)
def test_what_is_sound_stays_as_it_is(text, tmp_path):
    """A note behind a text, a text over several lines and a block hide nothing, and are taken for no slip."""
    path = tmp_path / "templates.yaml"
    path.write_text(HEAD + text)
    expected = yaml.safe_load("mood:\n" + text)["mood"]["jinja"]
    assert t0.PromptSet.read(path)["mood"].jinja == expected
    path.write_text(HEAD + text + "    answer_choices: {{ a }}\n")
    with pytest.raises(t0.FormatError, match=r"answer_choices: '\{\{ a \}\}'"):
        t0.PromptSet.read(path)


@pytest.mark.parametrize(
    "entry",
    [
        '"\\e[31mred":\n    text of mine # {{ text }}',
        "x\u202ey: {{ text }} no? ||| z\n    more: {{ text }}",
        f"{'long' * 900}: {{{{ a }}}} b\n    c: d",
    ],
    ids=["escape", "right to left", "long"],
)
def test_a_name_of_an_entry_is_shown_safely(tmp_path, entry):
    path = tmp_path / "templates.yaml"
    path.write_text(f"dataset: mine\ntemplates:\n  {entry}\n", encoding="utf-8")
    with pytest.raises(t0.FormatError) as error:
        t0.PromptSet.read(path)
    said = str(error.value).removeprefix(str(path))
    assert said.isprintable() and len(said) < 400 and "in YAML" in said


def test_each_entry_of_a_file_is_one_prompt(tmp_path):
    path = tmp_path / "templates.yaml"
    path.write_text("dataset: mine\ntemplates:\n  1: a ||| b\n  yes: c ||| d\n  x: &x {jinja: e ||| f}\n  y: *x\n")
    assert {name: prompt.jinja for name, prompt in t0.PromptSet.read(path).items()} == {
        "1": "a ||| b", "yes": "c ||| d", "x": "e ||| f", "y": "e ||| f",
    }  # fmt: skip


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_comment_that_cuts_a_text_is_found_in_every_encoding(tmp_path, encoding):
    path = tmp_path / "templates.yaml"
    content = "dataset: mine\ntemplates:\n  mood:\n    jinja: Good? # {{ text }}\n"
    path.write_bytes((("\ufeff" if encoding == "utf-16-be" else "") + content).encode(encoding))
    with pytest.raises(t0.FormatError, match="line 4: # begins a comment in YAML"):
        t0.PromptSet.read(path)
