"""Evaluation is greedy whatever a checkpoint's file says; what is chosen instead is told, and is part of what a cell hangs on."""

import json
import logging
import sqlite3

import pytest
from fakes import FakeModel, FakePrompt, rows_of
from table_models import small_t5

import t0native as t0
from t0native.generation import options as generation_options

TEXT = "Anna keeps a cat. Ben keeps a dog. Who keeps the dog?"
IDS = {"decoder_start_token_id": 0, "eos_token_id": 1, "pad_token_id": 0}
SAID = [
    {"do_sample": True, "temperature": 9.0},
    {"do_sample": True, "num_return_sequences": 3, "top_k": 0},
    {"num_beams": 4, "length_penalty": -3.0, "num_return_sequences": 4},
    {"num_beams": 2, "num_return_sequences": 5},  # which generate refuses
    {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1},
    {"min_new_tokens": 9},
    {"max_length": 2, "min_length": 2},
    {"max_new_tokens": 1},
    {"bad_words_ids": [[i] for i in range(30)]},
    {"stop_strings": "e"},
    {"forced_bos_token_id": 5, "suppress_tokens": [5], "force_words_ids": [[5]], "num_beams": 2},
    {"output_scores": True},
    {"temperature": "hot", "top_h": 3, "mine": 1},
]


@pytest.fixture(scope="module")
def mini():
    return t0.Model.mini()


def with_file(mini, tmp_path, said):
    mini.save(tmp_path / "model")
    (tmp_path / "model/generation_config.json").write_text(json.dumps(IDS | said))
    return t0.Model.from_pretrained(tmp_path / "model")


def say(model, n=8, metric=None):
    """A task whose target is what the model answers greedily."""
    rows = [{"text": TEXT, "said": model.generate(TEXT)}] * n
    return t0.Task("say", rows, [t0.Prompt("say", "{{ text }} ||| {{ said }}", id="s")], metric)


@pytest.mark.parametrize("said", SAID, ids=lambda said: str(said)[:60])
def test_of_the_models_file_the_ids_alone_count(said, mini, tmp_path):
    model = with_file(mini, tmp_path, said)
    report = t0.evaluate(model, say(mini), progress=False)
    assert report.cells[0]["status"] == "ok" and report.cells[0]["value"] == 1.0
    assert report.about["generation"] == {"do_sample": False, "num_beams": 1, **IDS}
    whole = t0.evaluate(model, say(mini, metric="rouge"), progress=False) if said == SAID[0] else report  # answers that are judged whole
    assert whole.cells[0]["value"] == 1.0
    assert model.generation == IDS | said  # as it was


def test_the_ids_of_the_file_count(mini, tmp_path):
    model = with_file(mini, tmp_path, {"do_sample": True, "eos_token_id": [1, mini.tokenizer.encode(mini.generate(TEXT))[0]]})
    report = t0.evaluate(model, say(mini), progress=False)
    assert report.cells[0]["value"] == 0.0 and report.about["generation"]["eos_token_id"] == model.generation["eos_token_id"]


def test_validation_in_training_is_greedy_too(tmp_path):
    for said in ({}, SAID[1]):
        model = t0.mini.new_model(0)
        model.generation = dict(said)
        held = t0.Task("say", [{"text": TEXT, "said": ""}] * 3, [t0.Prompt("say", "{{ text }} ||| tea", id="s")])
        run = t0.train(model, t0.mini.training_tasks(["values"]), steps=1, batch_size=2, validate=held, validate_every=1, progress=False)
        assert run.reports[0].cells[0]["status"] == "ok" and run.reports[0].about["generation"] == {
            "do_sample": False,
            "num_beams": 1,
            **IDS,
        }


def test_options_that_are_given_are_used_told_and_kept_apart(tmp_path):
    model, asked, generate = small_t5(), [], small_t5().generate
    model.generate = lambda inputs, **options: asked.append(options) or generate(inputs, **{**options, "progress": lambda *_: None})
    task = t0.Task(
        "t",
        [{"text": TEXT}] * 3,
        [t0.Prompt("free", "{{ text }} ||| the dog", id="a"), t0.Prompt("rank", "{{ text }} ||| a", "a ||| b", id="b")],
    )

    def cells(generation=None):
        del asked[:]
        report = t0.evaluate(model, task, out=tmp_path, progress=False, generation=generation)
        return report.about["generation"], [{k: v for k, v in options.items() if k not in ("truncate", "progress")} for options in asked]

    length = {"max_new_tokens": len(model.tokenizer.encode("the dog")) + 4}
    assert cells() == ({"do_sample": False, "num_beams": 1, **IDS}, [length])
    beams = {"num_beams": 3, "num_return_sequences": 2}
    assert cells(beams) == ({"do_sample": False, **beams, **IDS} | {"num_beams": 3}, [length | beams])
    sampled = {"do_sample": True, "seed": 4, "max_new_tokens": 2}
    assert cells(sampled)[1] == [sampled] and cells({"max_length": 3})[1] == [{"max_length": 3}]
    for again in (None, beams, sampled):
        assert cells(again)[1] == []
    database = sqlite3.connect(tmp_path / "journal.sqlite")
    assert sorted(prompt for (prompt,) in database.execute("SELECT prompt FROM cells")) == ["free"] * 4 + ["rank"]  # ranks hang on none
    database.close()


@pytest.mark.parametrize(
    "generation, message",
    [
        ([], r"generation \[\]: must be a mapping of names to values"),
        ({"num_beam": 2}, "generation: no option 'num_beam' here; did you mean 'num_beams'"),
        ({"output_scores": True}, "generation: no option 'output_scores' here"),
        ({"prefix_allowed_tokens_fn": print}, "generation: no option 'prefix_allowed_tokens_fn' here"),
        ({"penalty_alpha": 0.6}, "generation.penalty_alpha: not available here; use do_sample=True with top_k"),
        ({"num_beams": 0}, "generation.num_beams 0: must be a whole number from 1 to 1024"),
        ({"temperature": 0, "do_sample": True}, "generation.temperature 0: must be a number above 0"),
        ({"num_return_sequences": 2}, "num_return_sequences=2: greedy generation has one answer"),
        ("beams", "generation 'beams': must be a mapping of names to values"),
    ],
)
def test_options_that_cannot_be_used_are_told_before_the_work(generation, message, mini):
    with pytest.raises(t0.ConfigError, match=f"^{message}"):
        t0.evaluate(mini, say(mini, 1), progress=False, generation=generation)


def test_a_model_of_ones_own_is_asked_as_before_and_its_first_answer_counts():
    free = {"free": FakePrompt("free", lambda row: (row["text"], "yes", None))}
    for answer, value in (("yes", 1.0), (["yes", "no"], 1.0), (("no", "yes"), 0.0)):
        model = FakeModel()
        model.generate = lambda inputs, max_new_tokens, truncate, progress, answer=answer: [answer for _ in inputs]
        report = t0.evaluate(model, t0.Task("t", rows_of(3), free), progress=False)
        assert report.cells[0]["value"] == value
        assert report.about["generation"] == {"do_sample": False, "num_beams": 1} and report.about["add_eos_to_inputs"] is False
    asked = []
    model.generate = lambda inputs, **options: asked.append(options) or ["yes" for _ in inputs]
    model.rank = lambda inputs, choices, **options: asked.append(options) or [type("R", (), {"index": 0})] * len(inputs)
    t0.evaluate(model, t0.Task("t", rows_of(3), free), progress=False, add_eos_to_inputs=True, generation={"num_beams": 2})
    assert asked[0]["add_eos_to_inputs"] is True and asked[0]["num_beams"] == 2


@pytest.mark.parametrize("answer", [None, 5, [], [["yes"]], b"yes"])
def test_an_answer_that_is_no_text_fails_its_cell_alone(answer):
    model = FakeModel(answer=lambda text, choices: 0)
    model.generate = lambda inputs, **options: [answer for _ in inputs]
    prompts = {
        "free": FakePrompt("free", lambda row: (row["text"], "yes", None)),
        "rank": FakePrompt("rank", lambda row: (row["text"], "a", ["a", "b"])),
    }
    report = t0.evaluate(model, t0.Task("t", rows_of(3), prompts), progress=False)
    assert [cell["status"] for cell in report.cells] == ["failed", "ok"]
    assert report.cells[0]["reason"].startswith(f"DataError: row 0: the model's answer is {answer!r}: must be a text")


def test_what_a_file_says_is_idle_only_where_nothing_looks_at_it():
    """Each name that is left out unjudged is an option of the hub's, and none of them changes a greedy answer here."""
    unless = generation_options._IDLE_UNLESS_SAMPLED | generation_options._IDLE_UNLESS_BEAMS | generation_options._IDLE_IN_A_FILE
    known = {*generation_options._KINDS, *generation_options._UNAVAILABLE}
    assert unless | generation_options._IDLE_UNLESS_GREEDY <= known and generation_options._OF_A_CALL <= known


def test_cut_answers_are_no_news_in_an_evaluation(mini, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "t0native")
    t0.evaluate(with_file(mini, tmp_path, SAID[4]), say(mini), progress=False)
    assert not [record for record in caplog.records if "has no effect" in record.getMessage() or "cut off" in record.getMessage()]
