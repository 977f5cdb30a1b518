"""Generation by hand: searches, rules, keywords, texts, batches. tests/test_generation_hub.py compares with transformers."""

import json
import logging
import re

import numpy as np
import pytest
from fakes import Terminal, ctrl_c
from table_models import ASKED, END, FORKED, Core, ids_of, model_of, small_t5, table

import t0native as t0
from t0native.generation import generation
from t0native.generation import options as generation_options
from t0native.generation.options import options_of
from t0native.generation.warpers import log_softmax


@pytest.fixture(scope="module")
def model():
    return small_t5()


# ---- by hand -------------------------------------------------------------------------------------------------------------


def test_greedy_follows_the_likeliest_token_and_beams_the_likeliest_answer():
    model = model_of(FORKED)
    assert ids_of(model.generate([3], max_new_tokens=5, stop_strings=None, repetition_penalty=1.0000001)) == [2, 5]
    assert ids_of(model.generate([3], max_new_tokens=5, num_beams=2)) == [3, 4]
    found = model.generate([3], max_new_tokens=3, num_beams=4, num_return_sequences=4, length_penalty=0.0, output_scores=True)
    assert [one.ids.tolist() for one in found] == [[3, 4, END], [2, 5, END], [2, END], [2, 2, 5]]  # 4 END never was among the first four
    assert [one.score for one in found] == pytest.approx(np.log([0.4 * 0.9 * 0.9, 0.5 * 0.4 * 0.8, 0.5 * 0.3, 0.5 * 0.3 * 0.4]), abs=1e-5)
    assert all(one.text is None for one in found)


def test_length_penalty_chooses_between_short_and_long():
    two = table({0: {2: 0.55, 3: 0.45}, 2: {END: 1.0}, 3: {4: 1.0}, 4: {5: 1.0}, 5: {END: 1.0}})
    for penalty, answer in ((0.0, [2]), (2.0, [3, 4, 5]), (-1.0, [2])):
        assert ids_of(model_of(two).generate([3], max_new_tokens=6, num_beams=2, length_penalty=penalty)) == answer


def test_an_answer_that_a_penalty_puts_behind_all_is_an_answer():
    model = model_of(table({0: {2: 0.9, 3: 0.1}, 2: {2: 0.9, 3: 0.1}, 3: {2: 0.9, 3: 0.1}}))
    assert ids_of(model.generate([3], max_new_tokens=300, num_beams=2, length_penalty=-5.0)) == [2] * 300


def test_early_stopping_takes_the_first_answers():
    # Longer answers are better by their length: by so much that a search goes on, or by what only "never" waits for.
    soon = table({0: {2: 0.34, 3: 0.33, 4: 0.33}, 2: {END: 1.0}, 3: {END: 0.9, 5: 0.1}, 4: {5: 1.0}, 5: {5: 0.9, END: 0.1}})
    late = table({0: {2: 0.4, 3: 0.35, 4: 0.25}, 2: {END: 1.0}, 3: {END: 0.9, 5: 0.1}, 4: {5: 1.0}, 5: {5: 0.9, END: 0.1}})
    for follow, beams, lengths in ((soon, 3, [2, 12, 12]), (late, 2, [1, 1, 12])):
        options = dict(max_new_tokens=12, num_beams=beams, length_penalty=3.0)
        assert [len(model_of(follow).generate([3], early_stopping=early, **options)) for early in (True, False, "never")] == lengths


def test_the_rules_by_hand():
    loop = table({0: {2: 0.9, 3: 0.1}, 2: {3: 0.8, 4: 0.2}, 3: {2: 0.7, 4: 0.2, END: 0.1}, 4: {2: 0.6, END: 0.4}})
    asked = lambda **options: ids_of(model_of(loop).generate([3], max_new_tokens=6, **options))
    assert asked(no_repeat_ngram_size=6) == [2, 3, 2, 3, 2, 3]
    assert asked(no_repeat_ngram_size=2) == [2, 3, 2, 4, 2, 0]  # 2 3 and 2 4 were there, so 2 goes on by the first of the rest
    assert asked(no_repeat_ngram_size=1) == [2, 3, 4]
    assert asked(bad_words_ids=[[3]]) == [2, 4, 2, 4, 2, 4]
    assert asked(bad_words_ids=[[2, 3]]) == [2, 4, 2, 4, 2, 4]
    assert asked(bad_words_ids=[[END]], no_repeat_ngram_size=1) == [2, 3, 4]  # the end token alone cannot be forbidden, as in the hub
    assert asked(bad_words_ids=[[3, 2]]) == [2, 3, 4, 2, 3, 4]
    assert asked(repetition_penalty=20.0) == [2, 3, 4]
    assert asked(min_new_tokens=3, no_repeat_ngram_size=1)[:3] == [2, 3, 4]
    one_of_two = lambda number, ids: [3, 4, END] if len(ids) < 3 else [END]
    assert asked(prefix_allowed_tokens_fn=one_of_two) == [3, 4]
    assert asked(prefix_allowed_tokens_fn=lambda number, ids: [4] if len(ids) < 3 else [END], bad_words_ids=[[4]]) == [
        4,
        4,
    ]  # it wins over the others
    stuck = model_of(table({0: {0: 0.9, 2: 0.1}, 2: {END: 1.0}}))
    assert ids_of(stuck.generate([3], no_repeat_ngram_size=1)) == [2]  # 0, the start token, was there


def test_the_function_is_told_the_input_and_the_ids_with_the_start():
    told = []

    def allow(number, ids):
        told.append((number, ids.tolist()))
        return np.array([2, 5, END])

    model_of(FORKED).generate([[3], [4], [3]], max_new_tokens=2, prefix_allowed_tokens_fn=allow)
    assert sorted(told) == [(0, [0]), (0, [0, 2]), (1, [0]), (1, [0, 2]), (2, [0]), (2, [0, 2])]


def test_fewer_answers_where_the_rules_leave_fewer():
    only = {(0,): [2, 3], (0, 2): [END], (0, 3): [END]}
    found = model_of(FORKED).generate(
        [3], num_beams=4, num_return_sequences=3, prefix_allowed_tokens_fn=lambda n, ids: only[tuple(ids.tolist())]
    )
    assert ids_of(found) == [[2], [3]]


def test_the_function_is_never_asked_behind_an_end():
    def one_short_one_long(number, ids):
        assert END not in ids
        return {0: [2, 3], 2: [END]}.get(int(ids[-1]), [3] if len(ids) < 7 else [END])

    found = model_of(FORKED).generate([3], num_beams=4, num_return_sequences=4, prefix_allowed_tokens_fn=one_short_one_long)
    assert sorted(ids_of(found)) == [[2], [3] * 6]


def test_lengths_as_the_hub_counts_them():
    model = model_of(table({0: {2: 1.0}, 2: {2: 0.9, END: 0.1}}))
    count = lambda **options: len(model.generate([3], decoder_input=[2, 2], no_repeat_ngram_size=99, **options)) - 2
    assert count() == 20 and count(max_new_tokens=5) == 5
    assert count(max_length=8) == 5  # with the start token and the beginning
    assert count(max_length=4, max_new_tokens=5) == 5
    ended = model_of(table({0: {END: 0.9, 2: 0.1}, 2: {END: 0.9, 2: 0.1}}))
    for options, length in (({}, 0), ({"min_new_tokens": 3}, 3), ({"min_length": 3}, 2), ({"min_length": 9, "min_new_tokens": 1}, 1)):
        assert len(ended.generate([3], no_repeat_ngram_size=99, **options)) == length
    with pytest.raises(
        t0.ConfigError, match="max_length 3: must be above 3, the tokens that an answer begins with; max_new_tokens counts new ones"
    ):
        count(max_length=3)


def test_other_ends_and_another_start():
    model = model_of(FORKED)
    assert ids_of(model.generate([3], eos_token_id=[5, END])) == [2] and ids_of(model.generate([3], eos_token_id=4, num_beams=2)) == [3]
    assert ids_of(model.generate([3], decoder_start_token_id=3)) == [4]


def test_an_answer_begins_as_it_is_told():
    model = model_of(FORKED)
    assert ids_of(model.generate([3], decoder_input=[3])) == [3, 4] == ids_of(model.generate([3], decoder_input=[0, 3], num_beams=3))
    together = model.generate([[3], [3], [3]], decoder_input=[[3], [2, 2, 5], [3]], output_scores=True)
    assert [one.ids.tolist() for one in together] == [[3, 4, END], [2, 2, 5, END], [3, 4, END]]
    assert [one.score for one in together] == pytest.approx(np.log([0.81, 0.8, 0.81]), abs=1e-5)  # of the new tokens alone
    assert len(model.core.decoders[-1].sources) == 1 and model.core.decoders[-1].steps[0] == 2  # equal ones are answered once
    with pytest.raises(t0.ConfigError, match="decoder_input: 2 for 3 inputs; give one for each, or a text or ids for all"):
        model.generate([[3], [3], [3]], decoder_input=[[3], [2]])


def test_what_has_ended_leaves_the_batch():
    long = table({0: {2: 1.0}, 2: {2: 0.9, END: 0.1}})
    model = model_of(FORKED, long)  # the sources' first ids choose between them
    model.generate([[2], [3], [4]], max_new_tokens=9, no_repeat_ngram_size=99)
    assert model.core.decoders[0].steps == [3, 3, 3, 1, 1, 1, 1, 1, 1]


def test_numbers_that_are_not_finite_and_rules_that_leave_nothing():
    broken = FORKED.copy()
    broken[2, 3] = np.nan
    for options in ({"num_beams": 2}, {"do_sample": True, "top_k": 1}):
        with pytest.raises(t0.NumericError, match="input 1: the logits are not finite"):
            model_of(FORKED, broken).generate([[2], [3]], **options)
    everything = [[i] for i in range(6)]
    for options, place in (
        ({}, ", token 0"),
        ({"num_beams": 2}, ""),
        ({"do_sample": True}, ", token 0"),
        ({"do_sample": True, "num_beams": 2}, ""),
    ):
        with pytest.raises(t0.ConfigError, match=rf"input 0{place}: the rules of this call .* allow no token at all"):
            model_of(FORKED).generate([3], bad_words_ids=everything, min_new_tokens=1, **options)


@pytest.mark.parametrize(
    "answer, message",
    [
        ([], "gave no id for input 0 behind 1 ids; allow the end token"),
        ([60], "gave something else than ids from 0 to 5"),
        (["a"], "gave something else"),
        ([-1], "gave some"),
    ],
)
def test_what_the_callers_function_may_give(answer, message):
    with pytest.raises(t0.ConfigError, match=f"prefix_allowed_tokens_fn {message}"):
        model_of(FORKED).generate([3], prefix_allowed_tokens_fn=lambda number, ids: answer)


# ---- keywords and generation_config.json ---------------------------------------------------------------------------------

REFUSED = [
    (
        {"force_words_ids": [[5]]},
        "force_words_ids=[[5]]: not available here; use prefix_allowed_tokens_fn, or begin the answer by decoder_input",
    ),
    ({"num_beam_groups": 2}, "num_beam_groups=2: not available here; use num_beams with num_return_sequences, or do_sample=True"),
    ({"penalty_alpha": 0.6}, "penalty_alpha=0.6: not available here; use do_sample=True with top_k or typical_p"),
    (
        {"return_dict_in_generate": True},
        "return_dict_in_generate=True: not available here; use output_scores=True, which gives texts, ids and scores",
    ),
    ({"assistant_model": 5}, "assistant_model=5: not available here; leave it out"),
    ({"num_beams": 0}, "num_beams 0: must be a whole number from 1 to 1024"),
    ({"num_beams": True}, "num_beams True: must be a whole number from 1 to 1024"),
    ({"do_sample": 1}, "do_sample 1: must be true or false"),
    ({"temperature": 0}, "temperature 0: must be a number above 0 (the most likely tokens: do_sample=False)"),
    ({"top_k": -1}, "top_k -1: must be a whole number, at least 0"),
    ({"top_p": 1.5}, "top_p 1.5: must be a number from 0 to 1"),
    ({"min_p": float("nan")}, "min_p nan: must be a number from 0 to 1"),
    ({"typical_p": 0}, "typical_p 0: must be a number above 0, at most 1"),
    ({"repetition_penalty": 0.0}, "repetition_penalty 0.0: must be a number above 0"),
    ({"no_repeat_ngram_size": 1.0}, "no_repeat_ngram_size 1.0: must be a whole number, at least 0"),
    ({"length_penalty": float("inf")}, "length_penalty inf: must be a number"),
    ({"early_stopping": "always"}, "early_stopping 'always': must be True, False or 'never'"),
    ({"bad_words_ids": [3]}, "bad_words_ids [3]: must be a list of lists of ids, none of them empty"),
    ({"bad_words_ids": [[99999]]}, "bad_words_ids: the id 99999 is outside of the vocabulary, which has 6"),
    ({"stop_strings": ""}, "stop_strings '': must be a text or a list of texts, none of them empty"),
    (
        {"stop_strings": "a"},
        "stop_strings: the model has no tokenizer, so its answers are no texts; give one to the model, or bad_words_ids",
    ),
    (
        {"prefix_allowed_tokens_fn": 3},
        "prefix_allowed_tokens_fn 3: must be a function of an input's number and the ids so far that gives the ids allowed next",
    ),
    ({"seed": -1}, "seed -1: must be a whole number from 0 to 18446744073709551615"),
    ({"num_return_sequences": 2}, "num_return_sequences=2: greedy generation has one answer; add num_beams=2 or do_sample=True"),
    ({"num_return_sequences": 3, "num_beams": 2}, "num_return_sequences=3: must be at most num_beams, which is 2"),
    ({"max_new_tokens": 2, "min_new_tokens": 3}, "min_new_tokens 3: must be a whole number from 0 to 2"),
    ({"max_new_tokens": 2, "min_length": 4}, "min_length 4: must be a whole number from 0 to 3"),
]


@pytest.mark.parametrize("options, message", REFUSED, ids=[message[:40] for _, message in REFUSED])
def test_refused_values(options, message):
    with pytest.raises(t0.ConfigError) as error:
        model_of(FORKED).generate([3], **options)
    assert str(error.value) == message


@pytest.mark.parametrize("name", generation_options._UNAVAILABLE)
def test_every_other_option_of_the_hub_is_refused_or_off(name):
    off, remedy = generation_options._UNAVAILABLE[name]
    for value in (True, 7, "x", [[3]]):
        if value not in off:
            with pytest.raises(t0.ConfigError) as error:
                options_of(model_of(FORKED), {name: value})
            assert str(error.value) == f"{name}={value!r}: not available here; {remedy}"
    for value in off:
        options_of(model_of(FORKED), {name: value})
    for other in re.findall(r"[a-z]+_[a-z_]+", remedy):  # what it says to use is there
        assert other in {*generation_options._KINDS, "decoder_input", "generation_config"}


@pytest.mark.parametrize(
    "name, near",
    [
        ("max_new_token", "max_new_tokens"),
        ("num_beam", "num_beams"),
        ("topk", "top_k"),
        ("decoder_inputs", "decoder_input"),
        ("add_eos", None),
        ("zzz", None),
    ],
)
def test_unknown_keywords(name, near):
    model = model_of(FORKED)
    for call in (model.generate, model.stream):
        with pytest.raises(TypeError) as error:
            call([3], **{name: 3})
        assert str(error.value) == f"generate has no keyword {name!r}" + (f"; did you mean {near!r}?" if near else "")


def test_the_hubs_ways_to_say_off_are_taken():
    off = dict(
        num_beam_groups=1,
        use_cache=False,
        pad_token_id=0,
        return_dict_in_generate=False,
        force_words_ids=None,
        encoder_repetition_penalty=1.0,
        guidance_scale=None,
    )
    nothing = dict(top_k=None, temperature=None, num_beams=None, bad_words_ids=None, max_new_tokens=None, do_sample=None, min_p=None)
    assert ids_of(model_of(FORKED).generate([3], no_repeat_ngram_size=np.int64(9), **off, **nothing)) == [2, 5]
    options = options_of(model_of(FORKED), nothing)
    assert (options.top_k, options.temperature, options.num_beams) == (0, 1.0, 1) and options_of(model_of(FORKED), {}).top_k == 50


def test_the_models_file_goes_before_the_defaults_and_keywords_before_the_file(tmp_path):
    config = t0.Config(vocab_size=20, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)
    t0.Model.init(config).save(tmp_path)
    file = tmp_path / "generation_config.json"
    given = json.loads(file.read_text()) | {
        "num_beams": 3,
        "max_new_tokens": 7,
        "top_k": 9,
        "transformers_version": "5.24.0",
        "mine": [1],
        "bos_token_id": None,
    }
    file.write_text(json.dumps(given))
    model = t0.Model.from_pretrained(tmp_path)
    assert model.generation == given
    options = options_of(model, {"num_beams": None, "max_length": 5, "min_new_tokens": 2})
    assert (options.num_beams, options.max_new_tokens, options.max_length, options.top_k) == (1, None, 5, 9)
    assert options_of(model, {}).num_beams == 3 and len(model.generate([4, 5], min_new_tokens=7)) == 7
    model.save(tmp_path / "again")
    assert t0.Model.from_pretrained(tmp_path / "again").generation == given


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("num_beams", 0, "generation_config.json: num_beams 0: must be a whole number from 1 to 1024"),
        ("forced_eos_token_id", 1, "generation_config.json: forced_eos_token_id=1: not available here; use prefix_allowed_tokens_fn"),
        ("eos_token_id", [1, 99], "generation_config.json: eos_token_id: the id 99 is outside of the vocabulary, which has 6"),
    ],
)
def test_what_the_file_asks_for_is_refused_when_it_is_used(key, value, message):
    model = model_of(FORKED)
    model.generation[key] = value
    with pytest.raises(t0.ConfigError) as error:
        model.generate([3])
    assert str(error.value) == message
    model.generate([3], **{key: None}, no_repeat_ngram_size=9)


def test_what_is_idle_in_the_file_is_not_judged_and_what_works_is():
    model = model_of(FORKED)
    model.generation = {"temperature": 0, "top_k": -1, "min_p": 7, "epsilon_cutoff": 3, "early_stopping": "soon", "penalty_alpha": None}
    assert ids_of(model.generate([3])) == [2, 5]
    for options, message in (
        ({"do_sample": True}, "generation_config.json: temperature 0: must be a number above 0"),
        ({"num_beams": 2}, "generation_config.json: early_stopping 'soon': must be True, False or 'never'"),
        ({"temperature": 0}, "temperature 0: must be a number above 0"),  # whoever writes it in a call means it
    ):
        with pytest.raises(t0.ConfigError, match=f"^{message}"):
            model.generate([3], **options)
    assert ids_of(model.generate([3], num_beams=2, early_stopping=True)) == [3, 4]
    model.generation = {"do_sample": True, "epsilon_cutoff": 3e-4, "num_return_sequences": 2}
    with pytest.raises(t0.ConfigError, match="epsilon_cutoff=0.0003: not available here; use min_p"):
        model.generate([3])
    assert ids_of(model.generate([3], do_sample=False, num_return_sequences=None)) == [2, 5]
    model.generation = {"penalty_alpha": 0.6}  # of contrastive search, which is greedy
    with pytest.raises(t0.ConfigError, match="penalty_alpha=0.6: not available here"):
        model.generate([3])
    assert ids_of(model.generate([3], num_beams=2)) == [3, 4]


def test_a_length_penalty_beyond_the_range_of_numbers_is_the_largest():
    for penalty in (400.0, 1e9, -400.0, -1e9):
        (best, other) = model_of(FORKED).generate([3], max_new_tokens=5, num_beams=2, num_return_sequences=2, length_penalty=penalty)
        assert 0 < len(best) <= 5 and 0 < len(other) <= 5


def test_a_broken_file_is_told(tmp_path):
    t0.Model.init(t0.Config(vocab_size=20, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)).save(tmp_path)
    (tmp_path / "generation_config.json").write_text("[]")
    with pytest.raises(t0.FormatError, match=r"generation_config\.json: must hold an object"):
        t0.Model.from_pretrained(tmp_path)


def test_warnings_of_cut_answers_and_of_keywords_that_do_nothing(caplog):
    def told(**options):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "t0native"):
            model_of(FORKED).generate([[3], [4]], no_repeat_ngram_size=9, **options)
        return [record.getMessage() for record in caplog.records]

    assert told() == [] == told(temperature=1, top_k=50, early_stopping=False, length_penalty=1.0)
    assert told(max_new_tokens=1) == ["2 of 2 answers reached max_new_tokens=1 and may be cut off"]
    assert told(max_length=3) == ["2 of 2 answers reached max_length=3 and may be cut off"]
    assert told(num_beams=2, max_new_tokens=2, num_return_sequences=2) == ["4 of 4 answers reached max_new_tokens=2 and may be cut off"]
    assert told(temperature=0.5, top_p=0.5) == [
        "temperature=0.5 has no effect without do_sample=True",
        "top_p=0.5 has no effect without do_sample=True",
    ]
    assert told(length_penalty=2.0) == ["length_penalty=2.0 has no effect without num_beams above 1"]


# ---- texts ---------------------------------------------------------------------------------------------------------------


class Bytes:
    """A tokenizer of bytes: id 3 + byte. 0, 1 and 2 are silent."""

    vocab_size, eos_id = 259, 1

    def decode(self, ids):
        return bytes(int(id) - 3 for id in ids if id > 2).decode(errors="replace")


def writer(text, start=0):
    """A model that writes this text, whose bytes all differ."""
    rows = [start, *(3 + byte for byte in text.encode()), END]
    assert len(set(rows)) == len(rows)
    found = np.zeros((259, 259))
    found[rows[:-1], rows[1:]] = 9.0
    shape = dict(vocab_size=259, d_model=4, d_ff=4, num_layers=1, num_heads=1, d_kv=4)
    return t0.Model(Core(found), t0.Config(**shape), Bytes())


def test_stop_strings_end_an_answer_when_they_are_complete():
    model = writer("one_day: €5!")
    asked = lambda *strings, **more: model.generate([3], stop_strings=list(strings), **more)
    assert asked("day") == "one_day" == asked("zzz", "day", "€") == model.generate([3], stop_strings="ay", num_beams=2)
    assert asked("€") == "one_day: €" and asked("zzz") == "one_day: €5!"
    assert asked("ne_d", decoder_input=[3 + ord("o"), 3 + ord("n")]) == "one_d"  # across the beginning, but not within it
    assert asked("on", decoder_input=[3 + ord("o"), 3 + ord("n")]) == "one_day: €5!"


def test_streams_never_end_inside_a_character(caplog):
    model = writer("aé€\U0001f600\ufffd")
    assert list(model.stream([3])) == ["a", "é", "€", "\U0001f600", "\ufffd"]
    with caplog.at_level(logging.WARNING, "t0native"):
        assert "".join(model.stream([3], max_new_tokens=4)) == model.generate([3], max_new_tokens=4) == "aé\ufffd"
    assert caplog.text.count("1 of 1 answers reached max_new_tokens=4 and may be cut off") == 2
    assert list(model.stream([3], decoder_input=[3 + ord("a")]))[0].startswith("a")


@pytest.mark.parametrize(
    "options",
    [{}, {"do_sample": True, "seed": 3}, {"repetition_penalty": 1.7}, {"stop_strings": "e"}, {"decoder_input": "Tom is"}],
    ids=str,
)
def test_the_pieces_of_a_stream_are_what_generate_gives(model, options):
    for text in ASKED:
        pieces = list(model.stream(text, max_new_tokens=12, **options))
        assert "".join(pieces) == model.generate(text, max_new_tokens=12, **options) and all(pieces)
    bare = t0.Model(model.core, model.config)
    options.pop("stop_strings", None), options.pop("decoder_input", None)
    assert list(bare.stream([5, 6, 7], max_new_tokens=12, **options)) == bare.generate([5, 6, 7], max_new_tokens=12, **options).tolist()


@pytest.mark.parametrize(
    "arguments, options, message",
    [
        ([3], {"num_beams": 2}, "stream: num_beams=2: there is one text, given while it is written; use generate"),
        ([3], {"do_sample": True, "num_return_sequences": 2}, "stream: num_return_sequences=2: there is one text"),
        ([3], {"output_scores": True}, "stream: output_scores=True: there is one text"),
        ([[3], [4]], {}, "stream: 2 inputs: it takes one; use generate"),
    ],
)
def test_what_cannot_be_streamed_is_told_at_once(arguments, options, message):
    with pytest.raises(t0.ConfigError, match=message):
        model_of(FORKED).stream(arguments, **options)


def test_answers_have_scores_on_request(model):
    for options in (
        {},
        {"num_beams": 3},
        {"do_sample": True, "top_p": 0.5},
        {"num_beams": 2, "do_sample": True, "temperature": 3.0},
        {"repetition_penalty": 2.0},
    ):
        for text, found in zip(ASKED, model.generate(ASKED, max_new_tokens=6, output_scores=True, **options)):
            assert isinstance(found, t0.Generation) and found.text == model.tokenizer.decode(found.ids) and isinstance(found.score, float)
            assert found.score == pytest.approx(model.score(text, found.ids), abs=1e-3)
        assert [found.text for found in model.generate(ASKED, max_new_tokens=6, output_scores=True, **options)] == model.generate(
            ASKED, max_new_tokens=6, **options
        )


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_the_cores_own_greedy_loop_gives_the_tokens_and_scores_of_a_search(model, dtype):
    inputs = [" ".join(ASKED[: 1 + i % 3]) + " Who?" * (i % 7) for i in range(20)]
    for kernels in t0.kernels.available():
        other = t0.Model.init(model.config, model.tokenizer, seed=5, dtype=dtype, kernels=kernels)
        for least in (0, 4):
            plain, searched = (
                other.generate(inputs, max_new_tokens=8, min_new_tokens=least, output_scores=True, no_repeat_ngram_size=size)
                for size in (0, 99)
            )
            assert [one.ids.tolist() for one in plain] == [one.ids.tolist() for one in searched]
            assert [one.score for one in plain] == pytest.approx([one.score for one in searched], abs=1e-4)


# ---- many at once --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [{}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True, "temperature": 3.0}, {"no_repeat_ngram_size": 2}],
    ids=str,
)
def test_batches_change_nothing(model, options, monkeypatch):
    inputs = [" ".join(ASKED[: 1 + i % 3]) + " Who?" * (i % 7) for i in range(40)]
    options = dict(options, max_new_tokens=7)
    together, seen = model.generate(inputs, **options), []
    a_row = 8 * model.config.num_decoder_layers * model.config.num_heads * model.config.d_kv
    monkeypatch.setattr(generation, "MOST_BATCH_BYTES", 300_000 + 40 * a_row)
    assert model.generate(inputs, progress=lambda done, total: seen.append((done, total)), **options) == together
    assert seen[-1] == (40, 40) and seen == sorted(seen) and len(seen) > 3
    if "do_sample" not in options:
        assert together == [model.generate(text, **options) for text in inputs]


def test_a_batch_stays_within_its_budget(monkeypatch):
    long = table({0: {2: 1.0}, 2: {2: 0.9, END: 0.1}})
    model = model_of(long)
    a_row, a_search = 8 * 4, 16 * 6
    model.generate([[2]] * 300, max_new_tokens=1, do_sample=True)
    assert [decoder.rows for decoder in model.core.decoders] == [128, 128, 44]
    model.core.decoders.clear()
    monkeypatch.setattr(generation, "MOST_BATCH_BYTES", 10 * (a_row + 4 * 12 + 11 * a_row + a_search))
    answers = model.generate([[2 + i % 4] for i in range(100)], max_new_tokens=10, no_repeat_ngram_size=99, do_sample=True, top_k=1)
    assert ids_of(answers) == [[2] * 10] * 100
    assert [decoder.rows for decoder in model.core.decoders] == [100] * 10


def test_a_bar_is_shown_where_it_takes_long(model, monkeypatch):
    monkeypatch.delenv("T0NATIVE_PROGRESS", raising=False)
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    now = [100.0]
    monkeypatch.setattr("t0native.base.progress.time.monotonic", lambda: now[0])
    model.generate(ASKED, max_new_tokens=2, num_beams=2)
    assert stream.getvalue() == ""

    def slow(number, ids):
        now[0] += 0.3
        return range(model.config.vocab_size)

    model.generate(ASKED, max_new_tokens=2, prefix_allowed_tokens_fn=slow)
    assert stream.getvalue().endswith("\n") and "generate  [####################]  5/5" in stream.getvalue()
    shown = len(stream.getvalue())
    model.generate(ASKED, max_new_tokens=2, prefix_allowed_tokens_fn=slow, progress=lambda done, total: None)
    assert len(stream.getvalue()) == shown


def test_ctrl_c_leaves_the_model_usable(model):
    before, reached = model.generate(ASKED, num_beams=2, max_new_tokens=5), []

    def forever(number, ids):
        reached.append(1)
        return [5]

    with pytest.raises(KeyboardInterrupt), ctrl_c(0.05, lambda: reached):
        model.generate(ASKED, max_new_tokens=2**20, prefix_allowed_tokens_fn=forever)
    assert model.generate(ASKED, num_beams=2, max_new_tokens=5) == before


# ---- whatever the options ------------------------------------------------------------------------------------------------


def any_options(random, size):
    """Options as they come, the extreme ones too."""
    pick = lambda *values: values[random.integers(len(values))]
    often = lambda share: random.random() < share
    sample, beams, most = pick(True, False), pick(1, 1, 2, 3, 7, 16), int(random.integers(1, 15))
    options = {"do_sample": sample, "num_beams": beams, "max_new_tokens": most, "seed": int(random.integers(99))}
    if sample or beams > 1:
        options["num_return_sequences"] = int(random.integers(1, (beams if beams > 1 else 4) + 1))
    if sample:
        options |= {"temperature": pick(0.01, 0.7, 1.0, 100.0), "top_k": pick(0, 1, 2, 50), "top_p": pick(0.0, 0.1, 0.9, 1.0)}
        options |= {"min_p": pick(0.0, 0.5, 1.0), "typical_p": pick(0.01, 0.5, 1.0)}
    if beams > 1:
        options |= {"length_penalty": pick(-5.0, -1.0, 0.0, 1.0, 5.0), "early_stopping": pick(True, False, "never")}
    if often(0.4):
        options["min_new_tokens"] = int(random.integers(0, most + 1))
    if often(0.5):
        options["repetition_penalty"] = pick(0.01, 0.5, 1.5, 100.0)
    if often(0.5):
        options["no_repeat_ngram_size"] = pick(1, 2, 3)
    if often(0.5):
        options["bad_words_ids"] = [random.integers(2, size, size=random.integers(1, 4)).tolist() for _ in range(pick(1, 10, 20))]
    return options


def holds(options, begin, ids):
    """Whether the ids of an answer, which begins so, keep to the options."""
    new, full = ids[len(begin) :], [0, *ids]
    words, n = options.get("bad_words_ids", []), options.get("no_repeat_ngram_size", 0)
    spelt = [full[at - len(word) : at] == word for word in words for at in range(len(begin) + 2, len(full) + 1) if at >= len(word)]
    grams = [tuple(full[at : at + n]) for at in range(len(full) - n + 1)] if n else []
    repeated = [gram in grams[:at] for at, gram in enumerate(grams) if at + n - 1 > len(begin)]
    long_enough = len(new) - (new[-1] == END) >= options.get("min_new_tokens", 0)
    ended = new[-1] == END or len(new) == options["max_new_tokens"]
    return ids[: len(begin)] == begin and END not in new[:-1] and ended and long_enough and not any(spelt) and not any(repeated)


def test_answers_keep_to_any_options_and_do_not_see_each_other():
    config = t0.Config(vocab_size=30, d_model=16, d_ff=24, num_layers=1, num_heads=2, d_kv=8)
    model = t0.Model.init(config, seed=4)
    model.core._writable("lm_head.weight")[...] *= 3
    for seed in range(40):
        random = np.random.default_rng(seed)
        options = any_options(random, 30)
        inputs, begins = ([random.integers(2, 30, size=random.integers(1, 6)).tolist() for _ in range(3)] for _ in range(2))
        as_list = (lambda found: [found]) if options.get("num_return_sequences", 1) == 1 else list
        found = [as_list(answers) for answers in model.generate(inputs, decoder_input=begins, output_scores=True, **options)]
        for source, begin, answers in zip(inputs, begins, found):
            assert 1 <= len(answers) <= options.get("num_return_sequences", 1)
            for answer in answers:
                assert holds(options, begin, answer.ids.tolist()), (seed, options, answer.ids)
                log_p = log_softmax(model.logits(source, [0, *answer.ids[:-1]]))[np.arange(len(answer.ids)), answer.ids]
                assert answer.score == pytest.approx(log_p[len(begin) :].sum(), rel=1e-3, abs=1e-3)
        alone = as_list(model.generate(inputs[0], decoder_input=begins[0], output_scores=True, **options))
        assert [one.ids.tolist() for one in alone] == [one.ids.tolist() for one in found[0]]
