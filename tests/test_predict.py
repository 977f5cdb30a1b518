"""predict: rows through prompts, labelled or not, by Python."""

import json

import numpy as np
import pytest

import t0native as t0
from t0native.prediction.answers import answer_all
from t0native.prediction.asks import Ask, asks_of_fields, choices_of
from t0native.prompts.check import check_file
from t0native.tasks.sifting import sift

MOOD = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
WHO = t0.Prompt("who", "{{ text }} Who? ||| {{ answers.text[0] }}")
ROWS = [{"text": f"Anna drinks {drink}.", "label": i % 2} for i, drink in enumerate(["tea", "milk", "juice", "water"] * 5)]


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


PICK = t0.Prompt("pick", "{{ text }} ||| {{ answer_choices[0] }}", "{{ my_options }}")


@pytest.mark.parametrize(
    "cell, why",
    [
        ("a ||| b ||| c", "||| within a field divides nothing"),
        ('["a", "b"]', "a list that is written as a text is one"),
        ("a; b", None),
        ("a", None),
    ],
)
def test_choices_that_are_one_text_of_a_field(model, cell, why, caplog):
    """predict gives no answer to such a row; an evaluation keeps it, as T0's did, and tells it once. Both remedies give several choices."""
    rows = [{"text": "Tea or milk?", "my-options": cell, "label": i % 2} for i in range(2)]
    found = list(t0.predict(model, PICK, rows, progress=False))
    sentence = (
        f'one choice alone, {cell!r}: {why}; a list in the row, by {{{{ my_options | join("|||") }}}}, or another sign between the choices, '
        'by {{ my_options.split(";") | join("|||") }}, gives several'
    )
    assert [answer["reason"] for answer in found] == [sentence if why else None] * 2
    assert [answer["prediction"] for answer in found] == [None if why else cell] * 2
    task = t0.Task("t", rows, t0.Prompt("pick", "{{ text }} ||| {{ my_options[0] }}", "{{ my_options }}"))
    for i in range(2):
        sift(task, "pick", i)
    told = [record.getMessage() for record in caplog.records if "one choice alone" in record.getMessage()]
    assert told == ([f"task 't', prompt 'pick', row 0: {sentence}; such rows are kept, as in T0"] if why else [])
    for remedy, value in (('{{ my_options | join("|||") }}', ["a", "b", "c"]), ('{{ my_options.split(";") | join("|||") }}', "a; b; c")):
        assert not why or remedy in sentence
        prompt = t0.Prompt("pick", PICK.jinja, remedy)
        (answer,) = t0.predict(model, prompt, [{"text": "Tea or milk?", "my-options": value}], progress=False)
        assert answer["choices"] == ["a", "b", "c"]


def test_a_choice_that_holds_the_separator_is_named_where_it_divides(model, tmp_path):
    prompt = t0.Prompt("pick", "{{ text }} ||| {{ answer_choices[label] }}", "{{ options }}")
    rendering = prompt.render_noted({"text": "t", "options": "a ||| b ||| c", "label": 0})
    assert rendering.dropped == "the template gives 4 parts; 2, separated by |||, are needed: a choice that holds ||| is printed"
    assert prompt.why_dropped({"text": "t", "options": "a ||| b ||| c", "label": 0}) == rendering.dropped
    (tmp_path / "templates.yaml").write_text(
        f"templates:\n  pick: !Template\n    id: pick\n    jinja: '{prompt.jinja}'\n    answer_choices: '{prompt.answer_choices}'\n"
    )
    rows = [{"text": "t", "options": "a ||| b", "label": i} for i in range(2)]
    (said,) = (problem.what for problem in check_file(tmp_path / "templates.yaml", rows) if "row" in problem.what)
    assert said.startswith("1 of 2 rows: there is nothing to choose from; row 1: one choice alone, 'a ||| b': ||| within a field")


@pytest.mark.parametrize("label", [True, False])
def test_rows_are_answered_under_each_prompt_labelled_or_not(model, label):
    rows = ROWS if label else [{"text": row["text"]} for row in ROWS]
    found = list(t0.predict(model, [MOOD, WHO], rows, progress=False))
    assert [(answer["row"], answer["prompt"]) for answer in found] == [(i, name) for i in range(20) for name in ("mood", "who")]
    rankings = model.rank([f"{row['text']} Good or bad?" for row in ROWS], ["bad", "good"])
    assert [(a["prediction"], a["index"], a["scores"]) for a in found[::2]] == [(r.choice, r.index, r.scores.tolist()) for r in rankings]
    assert [answer["prediction"] for answer in found[1::2]] == model.generate([f"{row['text']} Who?" for row in ROWS])
    assert all(answer["reason"] is None for answer in found) and found[1]["choices"] is None
    json.dumps(found)


def test_files_frames_generators_and_prompt_files(model, tmp_path):
    (tmp_path / "rows.csv").write_text("text\n" + "".join(row["text"] + "\n" for row in ROWS))
    (tmp_path / "templates.yaml").write_text(
        f"dataset: mine\ntemplates:\n  mood:\n    jinja: '{MOOD.jinja}'\n    answer_choices: bad ||| good\n"
    )
    want = list(t0.predict(model, MOOD, ROWS))
    for rows in (tmp_path / "rows.csv", str(tmp_path / "rows.csv"), iter(ROWS), {"text": [row["text"] for row in ROWS]}):
        assert list(t0.predict(model, tmp_path / "templates.yaml", rows)) == want


def test_a_row_that_cannot_be_asked_or_answered_gives_its_reason(model):
    rows = [*ROWS[:9], {"label": 1}, {"text": "long " * 300, "label": 0}, {"text": "half \ud800", "label": 0}, ROWS[0]]
    long = t0.Prompt("long", "{{ text }}{{ text }} ||| a", "a ||| b")
    found = list(t0.predict(model, [MOOD], rows, max_input_length=1024, progress=False))
    assert found[9]["reason"] == "no field 'text' (the row has: label)" and found[9]["prediction"] is None
    assert "half" in found[11]["reason"] or "surrogate" in found[11]["reason"]
    assert [answer["reason"] is None for answer in found] == [True] * 9 + [False, True, False, True]
    refused = list(answer_all(model, asks_of_fields(rows, "text"), generation={"max_input_length": 50}))
    reasons = [answer.reason for answers in refused for answer in answers]
    assert reasons[10].startswith("300 tokens, but max_input_length is 50") and reasons[9] == "no field 'text' (the row has: label)"
    assert long.name == "long"


def test_what_is_wrong_with_all_rows_is_an_error(model):
    with pytest.raises(t0.DataError, match="rows, prompt 'mood', row 0: no field 'text'; nearest is 'texts' "):
        t0.predict(model, MOOD, [{"texts": "a"}])
    with pytest.raises(t0.DataError, match="tokens, but max_input_length is 1"):
        list(answer_all(model, asks_of_fields(ROWS, "text"), generation={"max_input_length": 1}))
    with pytest.raises(t0.ConfigError, match="max_new_tokens 0: must be"):
        list(t0.predict(model, WHO, ROWS, generation={"max_new_tokens": 0}))
    for prompts, told in (
        ([MOOD, MOOD], "two prompts are named 'mood'"),
        ("nowhere.yaml", "nowhere.yaml"),
        (5, "prompts 5: must be a Prompt, several"),
        ([], "there are none"),
        ([t0.Prompt("p", "a ||| {{ answer_choices[0] }}")], "reads answer_choices, but the prompt has none"),
        ({"a": {"b": MOOD}}, "choose one set of the collection"),
    ):
        with pytest.raises((t0.Error, OSError), match=told):
            t0.predict(model, prompts, ROWS)


def test_a_template_whose_bar_stands_in_a_tag(model):
    inside = t0.Prompt("inside", "{% if label %}Is it {{ text }}? ||| yes{% else %}Is it {{ text }}? ||| no{% endif %}", "no ||| yes")
    found = list(t0.predict(model, inside, [{"text": "tea"}, {"text": "milk", "label": 1}]))
    assert [answer["choices"] for answer in found] == [["no", "yes"]] * 2


def test_chunks_change_nothing_and_are_not_all_of_the_rows(model):
    rows = ROWS * 20
    seen = []

    def endless():
        for row in rows:
            seen.append(row)
            yield row

    asks = (Ask(i, row, None, row["text"], None) for i, row in enumerate(endless()))
    options = {"do_sample": True, "seed": 5, "max_new_tokens": 4}
    chunks = answer_all(model, asks, generation=options)
    first = next(chunks)
    assert len(first) == len(seen) == 8
    texts = [answer.text for answers in (first, *chunks) for answer in answers]
    assert texts == model.generate([row["text"] for row in rows], **options)
    assert len(set(texts)) > 8


def test_places_are_what_is_drawn_by(model):
    texts, options = [row["text"] for row in ROWS], {"do_sample": True, "max_new_tokens": 5}
    whole = model.generate(texts, **options)
    assert model.generate(texts[10:], places=range(10, 20), **options) == whole[10:]
    assert model.generate(texts[10:], **options) != whole[10:]
    for places, told in ([0], "places: 1 for 20 inputs"), ([-1] * 20, r"places\[0\] -1: must be a whole number"):
        with pytest.raises(t0.ConfigError, match=told):
            model.generate(texts, places=places, **options)


def test_cut_answers_and_idle_options_are_told_once(model, caplog):
    list(t0.predict(model, WHO, ROWS * 5, generation={"max_new_tokens": 1, "temperature": 0.5}))
    assert [record.getMessage() for record in caplog.records] == [
        "temperature=0.5 has no effect without do_sample=True",
        "100 of 100 answers reached max_new_tokens=1 and may be cut off",
    ]


def test_choices_of_a_field():
    assert choices_of({"a": ["x", "y"]}, "a") == choices_of({"a": "x ||| y"}, "a") == choices_of({"a": '["x", "y"]'}, "a") == ["x", "y"]
    for alone in ("tea,stone,hat", "tea|stone", '["tea"]', "[tea"):
        with pytest.raises(t0.DataError, match=r"a: .* is one choice alone; write \|\|\| between the choices"):
            choices_of({"a": alone}, "a")
    for row in ({"b": 1}, {"a": []}, {"a": ""}, {"a": 5}, {"a": ["x", 1]}):
        with pytest.raises(t0.DataError):
            choices_of(row, "a")
    asks = list(asks_of_fields([{"t": "x", "a": "p|||q"}, {"t": 5}, {"t": "y"}], "t", lambda row: choices_of(row, "a")))
    assert asks[0].choices == ["p", "q"] and asks[1].reason == "t is int, must be text" and asks[2].reason.startswith("no field 'a'")
    assert np.all([ask.input is None for ask in asks[1:]])


@pytest.mark.parametrize("how", ["csv", "jsonl", "rows", "pandas"])
def test_a_row_whose_input_has_a_gap_is_not_read_as_the_word_none(model, tmp_path, how):
    rows = [{"text": "Anna drinks tea.", "note": None}, {"text": None, "note": "x"}]
    if how == "pandas":
        rows = pytest.importorskip("pandas").DataFrame(rows)
    elif how != "rows":
        texts = {"csv": "text,note\nAnna drinks tea.,\n,x\n", "jsonl": "".join(json.dumps(row) + "\n" for row in rows)}
        (tmp_path / f"rows.{how}").write_text(texts[how])
        rows = tmp_path / f"rows.{how}"
    filled = t0.Prompt("filled", "{{ text or 'Nobody.' }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
    found = list(t0.predict(model, [MOOD, filled], rows, progress=False))
    assert [answer["prediction"] is None for answer in found] == [False, False, True, False]  # what a prompt does not print is no matter
    assert found[2]["reason"].startswith("text is a gap, printed as") and found[2]["scores"] is None


def test_a_gap_in_an_input_is_told_once_a_prompt_and_kept(caplog):
    rows = [{"text": text, "label": 1} for text in ("Tea.", None, None)]
    task = t0.Task("moods", rows, [MOOD, t0.Prompt("short", "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good")])
    report = t0.evaluate(t0.mini.new_model(0), task, progress=False)
    assert [cell["n"] for cell in report.cells] == [3, 3]
    lines = [record.getMessage() for record in caplog.records if "is a gap" in record.getMessage()]
    assert len(lines) == 2 and lines[0].startswith("task 'moods', prompt 'mood', row 1, input: text is a gap, printed as None")
