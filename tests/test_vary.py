"""Wordings by factors: what is made of a prompt, and that its factors go along into files, journals and reports."""

import json

import numpy as np
import pytest

import t0native as t0
from t0native.prompts.parts import find_enumeration, move_question, place_of_question, without_end_mark
from t0native.prompts.prompt import PromptMetadata
from t0native.prompts.vary import FACTORS

FOLLOWS = t0.Prompt(
    "follows",
    "{{premise}} Does it follow that {{hypothesis}}? Yes or no? ||| {{answer_choices[label]}}",
    "Yes ||| No",
    "our own",
    PromptMetadata(original_task=True, metrics=["Accuracy"]),
)
ROW = {"premise": "Rain fell.", "hypothesis": "it was wet", "label": 0}


@pytest.mark.parametrize(
    "text, place, first",
    [
        ("{{a}} Does it follow that {{b}}? Yes or no?", "last", "Does it follow that {{b}}? Yes or no?\n{{a}}"),
        ("{{a}}\n{{b}}\nIs it so?", "last", "Is it so?\n{{a}}\n{{b}}"),
        ("Who is it?\n{{text}}", "first", "Who is it?\n{{text}}"),
        ("Text: {{a}}\nWho is it?\nName: {{b}}", "inside", "Who is it?\nText: {{a}}\nName: {{b}}"),
        ("Is {{a}} like {{b}}? {{c}}", "first", "Is {{a}} like {{b}}?\n{{c}}"),
        ("{{a}} {{b}}? yes or no", None, None),  # nothing begins anew
        ("Is this so in the text below?\n{{a}}", None, None),
        ("{% if a %}{{a}}\nIs it so?{% endif %}", None, None),
        ("{{a ~ '? '}}", None, None),
        ("Is it so? {{a}}?", None, None),
        ("Nothing to read.\nIs it so?", None, None),
    ],
)
def test_where_a_question_stands_and_is_moved(text, place, first):
    assert place_of_question(text) == place
    if place:
        assert move_question(text, "first") == first
        assert place_of_question(move_question(text, "last")) == "last"


def test_choices_in_a_row_are_found_and_put_otherwise():
    text = "There is no doubt. Is it so, yes, or no?"
    found = find_enumeration(text, ["Yes", "No"])
    assert [text[a:b] for a, b in found.spans] == ["yes", "no"] and found.put(
        text, ["False", "True"]
    ) == "There is no doubt. Is it so, false, or true?"
    assert find_enumeration("It is {{b}} or {{a}}.", ["{{a}}", "{{b}}"]).order == [1, 0]
    assert find_enumeration("A, B or C?", ["A", "B", "C"]).put("A, B or C?", ["x", "y", "z"]) == "X, Y or Z?"
    for text in ("Yes? Then tell why not.", "yes or maybe", "eyes or no", "yes or yes"):
        assert find_enumeration(text, ["Yes", "No"]) is None
    assert find_enumeration("yes or no", ["Yes", "yes"]) is None
    assert without_end_mark("{{ text }}: ") == "{{ text }}"


def test_every_wording_has_its_factors_and_renders():
    wordings = t0.vary(FOLLOWS)
    assert len(wordings) == 3 * 3 * 2 * (3 + 2)  # a question in front leaves no mark at the end
    assert len({p.jinja + p.answer_choices for p in wordings.values()}) == len(wordings)
    assert next(iter(wordings.values())).jinja == FOLLOWS.jinja and wordings["follows"].id == FOLLOWS.id
    for wording in wordings.values():
        factors = wording.metadata.factors
        assert list(factors) == ["prompt", *FACTORS] and wording.metadata.metrics == ["Accuracy"] and wording.reference == "our own"
        example = wording.render(ROW)
        yes, no = factors["words"].split("/")
        assert example.choices == [yes, no] and example.target == yes
        assert (example.input.lower().index(yes.lower()) < example.input.lower().index(f" {no}".lower())) == (
            factors["options"] == "in order"
        )
        assert example.input.endswith("Answer:") == (factors["punctuation"] == "answer line")
        assert example.input.index("Rain fell.") > example.input.index("Does it") if factors["question"] == "first" else True
    told = t0.vary(FOLLOWS, instruction={"short": "Be brief."}, words=[], options=[], punctuation=[], question=[])
    assert [wording.render(ROW).input for wording in told.values()][1].startswith("Be brief.\nRain fell. Does")


def test_options_are_listed_where_the_question_has_none():
    bare = t0.Prompt("bare", "{{text}} How is it? ||| {{answer_choices[label]}}", "bad ||| good")
    wordings = t0.vary(bare, instruction=[], punctuation=[], question=[], words=[["bad", "good"], ["poor", "fine"]])
    row = {"text": "It rains.", "label": 1}
    assert [(w.metadata.factors["options"], w.render(row).input.split("\n")[-1], w.render(row).target) for w in wordings.values()] == [
        ("not listed", "It rains. How is it?", "good"), ("in order", "Options: bad, good", "good"), ("reversed", "Options: good, bad", "good"),
        ("not listed", "It rains. How is it?", "fine"), ("in order", "Options: poor, fine", "fine"), ("reversed", "Options: fine, poor", "fine"),
    ]  # fmt: skip
    of_rows = t0.Prompt("rows", "{{text}} {{a}} or {{b}}? ||| {{answer_choices[0]}}", "{{a}} ||| {{b}}")
    turned = t0.vary(of_rows, instruction=[], punctuation=[], question=[])["rows, reversed"]
    assert turned.render({"text": "Who?", "a": "Anna", "b": "Ben"}) == ("Who? Ben or Anna?", "Anna", ["Anna", "Ben"])


def test_what_cannot_be_told_is_left_as_it_is():
    loop = t0.Prompt("loop", "{% for c in answer_choices %}{{c}} {% endfor %}{{text}} ||| {{answer_choices[label]}}", "a ||| b")
    computed = t0.Prompt("computed", "{{text}} Good? ||| {{answer_choices[label]}}", "{{ c | join('|||') }}")
    fixed = t0.Prompt("fixed", "{{text}} Yes or no? ||| {{'Yes' if label else 'No'}}", "Yes ||| No")
    assert {w.metadata.factors["options"] for w in t0.vary(loop).values()} == {"as written"}
    assert {(w.metadata.factors["options"], w.metadata.factors["words"]) for w in t0.vary(computed).values()} == {
        ("as written", "as written")
    }
    assert {w.metadata.factors["words"] for w in t0.vary(fixed).values()} == {"Yes/No"}  # the target would not follow


def test_a_part_of_all_wordings_is_the_same_each_time_and_fair():
    prompts = t0.mini.held_out_tasks()[0].prompts
    some, again, other = (t0.vary(prompts, limit=60, seed=seed) for seed in (1, 1, 2))
    assert list(some) == list(again) != list(other) and list(some)[:12] == list(prompts)
    counts = [sum(w.metadata.factors["prompt"] == name for w in some.values()) for name in prompts]
    assert counts == [5] * 12


def test_bad_arguments_are_told():
    for keywords, message in (
        ({"options": ["backwards"]}, "options: no level 'backwards'; there are: not listed, in order, reversed"),
        ({"question": "first"}, "question 'first': must be a list of levels"),
        ({"words": ["Yes", "No"]}, "must be a list of lists of words"),
        ({"instruction": "Do it."}, "must be a list of lines"),
        ({"instruction": [3]}, "must be texts"),
        ({"instruction": 3}, "instruction 3: must be a list of lines"),
        ({"instruction": ["Do it. ||| Well."]}, "has |||, which ends a prompt's input"),
        ({"instruction": {"none": "Do it."}}, "instruction 'none': is the name of the level without a line"),
        ({"options": 3}, "options 3: must be a list of levels"),
        ({"punctuation": [3]}, "punctuation: no level 3; there are: "),
        ({"words": 3}, "words 3: must be a list of lists of words"),
        ({"words": [3]}, "words [3]: must be a list of lists of words"),
        ({"words": [["Yes", "No"], ["Right", "right"]]}, "two are the same"),
        ({"words": [["Yes", "No"], ["True/Right", "Wrong"]]}, "'True/Right' must be a word without"),
        ({"words": [["Yes", "No"], ["Right ||| So", "Wrong"]]}, "must be a word without"),
        ({"words": [["Yes", "No"], ["Right", ""]]}, "'' must be a word without"),
        ({"limit": 0}, "limit 0: "),
    ):
        with pytest.raises(t0.ConfigError) as error:
            t0.vary(FOLLOWS, **keywords)
        assert message in str(error.value)
    wordings = t0.vary(FOLLOWS, instruction=[], punctuation=[])
    with pytest.raises(t0.ConfigError, match="two wordings would be named .*: vary the prompts themselves and not wordings of them"):
        t0.vary(wordings, words=[])
    for prompts, message in (
        ([], "no prompts"),
        (None, "prompts None: must be a list"),
        ([FOLLOWS, FOLLOWS], "two prompts are named 'follows'"),
        (["x"], "must be a Prompt"),
    ):
        with pytest.raises(t0.ConfigError, match=message):
            t0.vary(prompts)


def test_factors_go_into_files_and_back(tmp_path):
    wordings = t0.vary(FOLLOWS, limit=4)
    path = tmp_path / "templates.yaml"
    wordings.save(path)
    back = t0.PromptSet.read(path)
    assert dict(back) == dict(wordings) and back["follows"].metadata.factors["question"] == "last"
    from t0native.promptsource import read_content

    assert len(read_content(path)["templates"]) == 4
    path.write_text(path.read_text().replace("question: last", "question: [last]", 1))
    with pytest.raises(t0.FormatError, match="factors must be a mapping of texts to texts"):
        t0.PromptSet.read(path)


def test_factors_go_into_journals_and_reports(tmp_path):
    task = t0.Task("rain", [ROW, ROW | {"hypothesis": "it was dry", "label": 1}], t0.vary(FOLLOWS, limit=6))
    model = t0.Model.mini()
    report = t0.evaluate(model, task, out=tmp_path, progress=False)
    again = t0.evaluate(model, task, out=tmp_path, progress=False)
    loaded = t0.Report.load(tmp_path)
    for one in (report, again, loaded):
        assert [cell["factors"] for cell in one.cells] == [wording.metadata.factors for wording in task.prompts.values()]
    assert json.loads((tmp_path / "report.json").read_text())["cells"][0]["factors"]["prompt"] == "follows"
    plain = t0.evaluate(model, t0.Task("rain", [ROW], FOLLOWS), progress=False)
    assert "factors" not in plain.cells[0]
    plain.save(tmp_path / "plain.json")
    assert t0.Report.load(tmp_path / "plain.json").cells == plain.cells
    assert np.array_equal(loaded.correct[3], report.correct[3])
