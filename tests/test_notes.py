"""Notes of a rendering: what its text does not show, and when its target is no answer. The text stays as it is without them."""

import json
import math

import numpy as np
import pytest

import t0native as t0

MOOD = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")


def noted(template, choices=None, **row):
    return t0.Prompt("p", template, choices).render_noted({"text": "Tea."} | row)


def told(rendering):
    return [(note.kind, note.part, note.of, note.size, note.key, note.field) for note in rendering.notes]


@pytest.mark.parametrize("label, kind, key, target", [
    (2, "out of range", 2, "<NO LABEL>"), (-3, "out of range", -3, "<NO LABEL>"), ("1", "out of range", "1", "<NO LABEL>"), (None, "out of range", None, "<NO LABEL>"),
    (1.0, "out of range", 1.0, "<NO LABEL>"), ("", "out of range", "", "<NO LABEL>"), (-1, "negative", -1, "good"), (-2, "negative", -2, "bad"),
    (np.int64(-1), "negative", -1, "good"), (np.int32(7), "out of range", 7, "<NO LABEL>"), (np.float64(0), "out of range", 0.0, "<NO LABEL>"), (10**30, "out of range", 10**30, "<NO LABEL>"),
])  # fmt: skip
def test_a_label_that_is_no_place_of_the_choices(label, kind, key, target):
    rendering = MOOD.render_noted({"text": "Tea.", "label": label})
    assert told(rendering) == [(kind, 1, "answer_choices", 2, key, "label")] and rendering.notes[0].value is label
    assert rendering.example.target == target == MOOD.render({"text": "Tea.", "label": label}).target
    assert (
        type(label).__name__ in rendering.no_answer
        and repr(label)[:9] in rendering.no_answer
        and "answer_choices[label]" in rendering.no_answer
    )


@pytest.mark.parametrize("label", [0, 1, True, np.int64(1), np.bool_(0) if hasattr(np.bool_(0), "__index__") else 0])
def test_a_label_that_is_one_has_no_note(label):
    rendering = MOOD.render_noted({"text": "Tea.", "label": label})
    assert rendering.notes == () and rendering.no_answer is None and rendering.dropped is None and not rendering.cut


@pytest.mark.parametrize("template, row, kinds", [
    ("{{ text }} ||| {{ answer_choices[label - 1] }}", {"label": 0}, [("negative", 1, "answer_choices", 2, -1, "label")]),
    ("{{ text }} ||| {{ answer_choices[label|int] }}", {"label": "9"}, [("out of range", 1, "answer_choices", 2, 9, "label")]),
    ("{{ text }} ||| {{ ['x', 'y'][label] }}", {"label": 5}, [("out of range", 1, None, 2, 5, "label")]),
    ("{{ text }} ||| {{ ['x', 'y'][label] }}", {"label": -1}, [("negative", 1, None, 2, -1, "label")]),
    ("{{ text }} ||| {{ answers[label]|lower }}", {"label": 5, "answers": ["A"]}, [("out of range", 1, "answers", 1, 5, "label")]),
    ("{{ text }} ||| {{ (a, b)[label] ~ '.' }}", {"label": 5, "a": 1, "b": 2}, [("out of range", 1, None, 2, 5, "label")]),
    ("{{ text }} ||| {{ answers[label] }}", {"label": 5, "answers": np.array(["A", "B"])}, [("out of range", 1, "answers", 2, 5, "label")]),
    ("{{ text }} ||| {{ {'a': 'b'}[label] }}", {"label": "c"}, [("undefined", 1, None, None, "c", "label")]),
    ("{{ text }} ||| {{ missing }}", {}, [("undefined", 1, None, None, "missing", "missing")]),
    ("{{ text }} ||| {{ answer.text }}", {"answer": {"a": 1}}, [("undefined", 1, None, None, "text", "answer")]),
    ("{{ text }} ||| {{ 'a' if label == 1 }}", {"label": 2}, [("undefined", 1, None, None, None, None)]),
    ("{{ text }} ||| {{ answer }}", {"answer": None}, [("none", 1, None, None, None, "answer")]),
    ("{{ text }} ||| {{ answer.a[0] }}", {"answer": {"a": [None]}}, [("none", 1, None, None, None, "answer")]),
    ("{{ text }} ||| {{ 'a ' ~ answer }}", {"answer": None}, [("none", 1, None, None, None, "answer")]),
    ("{{ text }} ||| {{ answers|join(', ') }}", {"answers": ["a", None]}, [("none", 1, None, None, None, "answers")]),
    ("{{ text }} ||| {{ answer }}", {"answer": math.nan}, [("nan", 1, None, None, None, "answer")]),
    ("{{ text }} ||| {{ answer|lower }}", {"answer": np.float32("nan")}, [("nan", 1, None, None, None, "answer")]),
    ("{{ text }} ||| {{ answer }}", {"answer": np.datetime64("NaT", "s")}, [("nan", 1, None, None, None, "answer")]),
])  # fmt: skip
def test_each_kind_in_a_target(template, row, kinds):
    for prompt in (t0.Prompt("p", template, "bad ||| good"), t0.Prompt("p", template, "{{ 'bad' }} ||| good{{ text[:0] }}")):
        rendering = prompt.render_noted({"text": "Tea."} | row)
        assert told(rendering) == kinds and str(rendering.notes[0]) == rendering.no_answer
        assert rendering.example == prompt.render({"text": "Tea."} | row)


@pytest.mark.parametrize("template, row", [
    ("{{ text }} ||| {{ answer_choices[-1] }}", {}), ("{{ text }} ||| {{ answer_choices[1] }}", {}), ("{{ text[-n] }} ||| a", {"n": 1}),
    ("{{ text }} ||| {{ answers[7] | default('a') }}", {"answers": []}), ("{{ text }} ||| {{ a.b or 'none' }}", {"a": {}}),
    ("{{ text }} ||| {% if answers[label] is defined %}b{% else %}a{% endif %}", {"answers": [], "label": 3}),
    ("{{ text }} ||| {{ 'None' }}", {}), ("{{ text }} ||| {{ answer }}", {"answer": "nan"}), ("{{ text }} ||| {{ answer }}", {"answer": np.str_("nan")}),
    ("{{ text }} ||| {% set xs = [1] %}{{ xs.append(2) }}{{ none }}", {}), ("{{ text }} ||| {{ 1.5 }}{{ 0 }}{{ false }}", {}),
])  # fmt: skip
def test_what_an_author_means_has_no_note(template, row):
    rendering = noted(template, "bad ||| good", **row)
    assert told(rendering) == [] and rendering.no_answer is None


def test_parts_are_told_apart_and_only_the_targets_spoil_it():
    rendering = noted("{{ gap }} {{ xs[9] }} ||| {{ text }}", gap=None, xs=[1])
    assert [note.part for note in rendering.notes] == [0, 0] and rendering.no_answer is None
    rendering = noted("{{ answer_choices[label] }}: write ||| {{ text }}", "bad ||| good", label=-1)
    assert rendering.notes[0].part == 0 and "counts from the end" in rendering.no_answer  # a hidden label wherever it stands
    rendering = noted("{% set answer = answer_choices[label]|lower %}{{ text }} ||| {{ answer }}", "bad ||| good", label=5)
    assert rendering.notes[0].part == 0 and rendering.no_answer.startswith(
        "answer_choices[label] is undefined"
    )  # the target is empty for it
    rendering = noted("{% set answer = answer_choices[label] %}{{ text }} ||| {{ answer }}", "bad ||| good", label=5)
    assert rendering.notes[0].part == 1
    assert noted("{{ text }} ||| {{ a }}", a="").no_answer == "the target is empty (<NO LABEL>)"
    assert noted("{{ text }} {{ gap }}", gap=None).no_answer is None and noted("{{ text }}").dropped.startswith("the template gives 1 part")


def test_a_gap_among_the_choices_spoils_the_row_whose_answer_it_is():
    prompt = t0.Prompt("p", "{{ text }} ||| {{ answer_choices[label] }}", "{{ a }} ||| {{ b }}")
    first, second = (prompt.render_noted({"text": "t", "a": "x", "b": None, "label": label}) for label in (0, 1))
    assert first.notes[0].part == second.notes[0].part == -1 and first.example.choices == ["x", "None"]
    assert first.no_answer is None and second.no_answer == "b is a gap, printed as None: fill it or drop the row"


def test_of_many_notes_the_first_and_the_last_stay():
    template = (
        "{% for x in xs %}{{ x }}{{ none_ }}{% endfor %} ||| {{ answer_choices[label] }}{% for i in range(n) %}{{ none_ }}{% endfor %}"
    )
    for n in (0, 3, 7):
        rendering = noted(template, "a ||| b", xs=[1] * 40, none_=None, label=4, n=n)
        assert len(rendering.notes) == 16 and ("out of range", 1, "answer_choices", 2, 4, "label") in told(rendering)
        assert [note.part for note in rendering.notes] == sorted(note.part for note in rendering.notes)


def test_what_was_undefined_elsewhere_tells_its_own_origin():
    rendering = noted("{% set xs = [missing, 2] %}{{ text }} ||| {{ xs[label] }}", label=0)
    assert told(rendering)[0][:5] == ("undefined", 1, None, None, "missing")
    rendering = noted("{{ text }} ||| {% for row in rows %}{{ row[key] }}{% endfor %}", rows=[{"a": 1}, {}], key="a")
    assert told(rendering) == [("undefined", 1, "row", None, "a", "key")]


def test_notes_change_no_byte(public_data):
    p3 = t0.PromptCollection.load(public_data / "promptsource" / "templates")
    with open(public_data / "promptsource" / "cases.jsonl") as lines:
        for number, row in enumerate(map(json.loads, lines)):
            prompt = p3[row["dataset"], row["subset"]][row["template"]]
            rendering = prompt.render_noted(row["example"], seed=3, index=number)
            assert rendering.example == prompt.render(row["example"], seed=3, index=number)
            assert rendering.dropped == prompt.why_dropped(row["example"], seed=3, index=number)


def test_choices_of_a_rendering_are_its_own():
    prompt = t0.Prompt("p", "{{ answer_choices.append('z') or '' }}{{ answer_choices|length }} ||| {{ answer_choices[0] }}", "a ||| b")
    for example in ({"text": "t"}, {"te-xt": "t"}):
        for truncate in (True, False):
            rendering = prompt.render_noted(example, truncate=truncate)
            assert rendering.example == ("3", "a", ["a", "b"])
            rendering.example.choices.append("c")


def test_errors_are_those_of_apply():
    for call in (MOOD.apply, MOOD.render, MOOD.render_noted, MOOD.why_dropped):
        with pytest.raises(t0.DataError, match="^example: the field name 5 is int, must be text$"):
            call({"text": "t", "label": 0, 5: "x"})
        with pytest.raises(t0.DataError, match="reserved key 'answer_choices'"):
            call({"text": "t", "answer_choices": []})
        with pytest.raises(t0.DataError, match="^example: list, must be a mapping"):
            call(["t"])
        with pytest.raises(t0.ConfigError, match="^seed -1: "):
            call({"text": "t", "label": 0}, seed=-1)
    broken = t0.Prompt("p", "{{ (1 / n) }} ||| b", "{{ 1 / m }}")
    for row, message in (
        ({"n": 0, "m": 1}, "^prompt 'p', line 1, column 7: ZeroDivisionError"),
        ({"n": 1, "m": 0}, "^answer_choices of prompt 'p', line 1"),
    ):
        for call in (broken.apply, broken.render, broken.render_noted):
            with pytest.raises(t0.TemplateError, match=message):
                call(row)


def test_a_task_and_prompts_of_other_kinds_give_renderings():
    task = t0.Task("t", [{"text": "Tea.", "label": -1}], {"mood": MOOD, "lm": t0.LM()})
    assert task.render_noted("mood", 0).notes[0].kind == "negative" and task.render("mood", 0).target == "good"
    assert task.render_noted("lm", 0).notes == () and task.render_noted("lm", 0).example.input == "Tea."
    empty = t0.Task("t", [{"text": " "}], {"lm": t0.LM()})
    assert empty.render_noted("lm", 0) == (None, "the text is empty", ())
    shots = t0.few_shot(t0.Task("t", [{"text": f"Tea {i}.", "label": i - 1} for i in range(3)], MOOD), 1)
    assert [note.kind for note in shots.render_noted("mood", 0).notes] == ["negative"] and "Tea 0." in shots.render_noted(
        "mood", 0
    ).example.input
