"""The classifier: labels and wordings, probabilities, abstention, several labels a text, lists of labels, long texts, and what is refused."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

import t0native as t0
from t0native.classification.combining import combine, log_normalize
from t0native.classification.labels import read_labels
from t0native.classification.tuning import Isotonic
from t0native.classification.wordings import SETS, read_wordings

ASK = "{{ text }} Who keeps the dog?"
TEXTS = ["Anna keeps a cat. Ben keeps a dog.", "Ben keeps a cat. Anna keeps a dog.", "Tom keeps a dog. Anna keeps a bird."]
PROMPTS = [
    t0.Prompt("plain", "{{ text }} Who keeps the dog? ||| {{ who }}", "Zoe ||| Kim"),
    t0.Prompt("listed", "{{ text }} Who keeps the dog, {{ answer_choices | join(' or ') }}? ||| {{ who }}", "Zoe ||| Kim"),
    t0.Prompt("first", "Who keeps the dog? {{ text }}"),
]


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


class Table:
    """A model that gives scores by hand: {text in the input: {choice: score}}."""

    def __init__(self, scores):
        self.scores, self.asked = scores, []

    def rank(self, inputs, choices, progress=None):
        self.asked += inputs
        rows = [next(of for text, of in self.scores.items() if text in source) for source in inputs]
        return [
            SimpleNamespace(scores=np.array([of[choice] for choice in row]), lengths=np.ones(len(row))) for of, row in zip(rows, choices)
        ]


# ---- numbers --------------------------------------------------------------------------------------------------------------


def test_probabilities_are_those_of_the_scores_by_hand(model):
    labels = ["Tom", "Anna", "Ben"]
    c = t0.Classifier(model, labels, ASK)
    rankings = model.rank([f"{text} Who keeps the dog?" for text in TEXTS], sorted(labels))
    by_hand = np.array([np.exp(one.scores) / np.exp(one.scores).sum() for one in rankings])
    assert c.classes_.tolist() == sorted(labels)
    np.testing.assert_allclose(c.predict_proba(TEXTS), by_hand, rtol=1e-12)
    np.testing.assert_allclose(c.predict_proba(TEXTS).sum(axis=1), 1, rtol=1e-15)
    assert c.predict(TEXTS).tolist() == [one.choice for one in rankings] and c.score(TEXTS, ["Ben", "Anna", "Tom"]) == 1.0
    assert (c.predict_log_proba(TEXTS) == np.log(c.predict_proba(TEXTS))).all()


@pytest.mark.parametrize("how", ["mean", "median", "vote"])
def test_wordings_are_combined_as_it_says(model, how):
    c = t0.Classifier(model, ["Anna", "Ben", "Tom"], PROMPTS, combine=how)
    alone = np.array([t0.Classifier(model, ["Anna", "Ben", "Tom"], [prompt]).predict_proba(TEXTS) for prompt in PROMPTS])
    if how == "vote":
        wanted = np.eye(3)[alone.argmax(axis=2)].mean(axis=0)
    else:
        wanted = np.exp(getattr(np, how)(np.log(alone), axis=0))
        wanted /= wanted.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(c.predict_proba(TEXTS), wanted, rtol=1e-9)


@pytest.mark.parametrize("how", ["mean", "median", "vote"])
def test_order_of_labels_company_batches_and_threads_change_no_bit(model, how):
    labels, texts = ["Tom", "Anna", "Ben", "a cat", "the old bird"], TEXTS * 3
    c = t0.Classifier(model, labels, PROMPTS, combine=how)
    wanted = c.predict_proba(texts)
    other = t0.Model.mini(threads=2 if model.threads == 1 else 1)
    for again in (
        t0.Classifier(model, labels[::-1], PROMPTS, combine=how).predict_proba(texts),
        t0.Classifier(model, {name: name for name in labels[2:] + labels[:2]}, PROMPTS, combine=how).predict_proba(texts),
        np.concatenate([c.predict_proba([text]) for text in texts]),
        t0.Classifier(model, labels, PROMPTS, combine=how, batch_tokens=1).predict_proba(texts),
        t0.Classifier(other, labels, PROMPTS, combine=how).predict_proba(texts),
        np.array([list(answer["probabilities"].values()) for answer in c.classify(texts)]),
    ):
        assert again.tobytes() == wanted.tobytes()


def test_a_label_of_several_words_has_the_mean_of_their_likelihoods():
    model = Table({"x": {"good": np.log(0.2), "fine": np.log(0.4), "bad": np.log(0.1)}})
    c = t0.Classifier(model, {1: ["good", "fine"], 0: "bad"}, "{{ text }}?")
    np.testing.assert_allclose(c.predict_proba(["x"]), [[0.25, 0.75]])
    assert c.predict(["x"]).tolist() == [1] and c.predict(["x"]).dtype.kind == "i"


def test_length_normalize_divides_by_tokens(model):
    labels = ["Anna", "the old bird in the garden"]
    (ranking,) = model.rank([f"{TEXTS[0]} Who keeps the dog?"], labels)
    found = t0.Classifier(model, labels, ASK, length_normalize=True).predict_proba(TEXTS[:1])
    np.testing.assert_allclose(np.diff(np.log(found[0])), np.diff(ranking.normalized), rtol=1e-9)


def test_equal_labels_share_a_vote():
    assert np.exp(combine(np.log([[0.4, 0.4, 0.2], [0.1, 0.2, 0.7]]), "vote", np.ones(2))).tolist() == [0.25, 0.25, 0.5]
    assert np.exp(combine(log_normalize(np.array([[0.0, -np.inf], [0.0, -np.inf]])), "mean", np.ones(2))).tolist() == [1.0, 0.0]


# ---- decisions ------------------------------------------------------------------------------------------------------------


def test_doubtful_texts_get_no_label():
    of = lambda p: {"a": np.log(p), "b": np.log(1 - p)}
    model = Table({"sure": of(0.95), "so": of(0.7), "even": of(0.55)})
    ask = lambda **options: t0.Classifier(model, ["a", "b"], "{{ text }}?", **options)
    texts = ["sure", "so", "even"]
    assert ask().predict(texts).tolist() == ["a"] * 3
    assert ask(threshold=0.6).predict(texts).tolist() == ["a", "a", None]
    assert ask(margin=0.5).predict(texts).tolist() == ["a", None, None]
    answers = list(ask(threshold=0.6, margin=0.5).classify(texts))
    assert [answer["abstained"] for answer in answers] == [False, True, True] and [answer["label"] for answer in answers] == [
        "a",
        None,
        None,
    ]
    np.testing.assert_allclose([answer["probability"] for answer in answers], [0.95, 0.7, 0.55])
    np.testing.assert_allclose([answer["margin"] for answer in answers], [0.9, 0.4, 0.1])
    assert ask(threshold=0.6).score(texts, ["a", "a", "a"]) == pytest.approx(2 / 3)
    report = ask(threshold=0.6).report(texts, ["a", "b", "b"]).statistics()[0]
    assert (report["coverage"], report["accuracy_given"]) == (pytest.approx(2 / 3), 0.5)


def test_several_labels_a_text():
    of = lambda p: {"Yes": np.log(p), "No": np.log(1 - p)}
    model = Table({"t about tea": of(0.9), "t about milk": of(0.3), "u about tea": of(0.2), "u about milk": of(0.6)})
    ask = lambda **options: t0.Classifier(model, ["tea", "milk"], "{{ text }} about {{ label }}?", multi_label=True, **options)
    np.testing.assert_allclose(ask().predict_proba(["t", "u"]), [[0.3, 0.9], [0.6, 0.2]])  # milk, tea
    assert ask().predict(["t", "u"]).tolist() == [[0, 1], [1, 0]]
    assert ask(threshold={"milk": 0.25, "tea": 0.95}).predict(["t", "u"]).tolist() == [[1, 0], [1, 0]]
    assert [answer["label"] for answer in ask(threshold=0.2).classify(["t", "u"])] == [["tea", "milk"], ["milk", "tea"]]
    assert ask().score(["t", "u"], [["tea"], ["milk", "tea"]]) == 0.5 and ask().score(["t", "u"], np.array([[0, 1], [1, 0]])) == 1.0
    assert ask().explain("t").votes["tea"][0].label == "Yes"
    one = t0.Classifier(model, ["tea"], "{{ text }} about {{ label }}?", multi_label=True)
    assert one.predict(["t", "u"]).tolist() == [[1], [0]]


def test_of_several_labels_our_own_wordings_ask_for_each(model):
    c = t0.Classifier(model, ["tea", "milk"], multi_label=True)
    found = c.predict_proba(TEXTS)
    assert found.shape == (3, 2) and ((found > 0) & (found < 1)).all()
    (ranking,) = model.rank([f"{TEXTS[0]}\n\nIs this text about milk?"], ["No", "Yes"])
    share = np.exp(ranking.scores[1]) / np.exp(ranking.scores).sum()
    assert c.explain(TEXTS[0]).votes["milk"][0].probabilities["Yes"] == pytest.approx(share, rel=1e-9)


@pytest.mark.parametrize("how", ["mean", "median", "vote"])
def test_lists_of_labels_of_each_text(model, how):
    c = t0.Classifier(model, ["Anna", "Ben", "Tom"], PROMPTS, combine=how)
    lists = [["Tom", "Anna"], ["Ben"], ["Tom", "Anna", "Ben"]]
    found = c.predict_proba(TEXTS, lists)
    assert (found[0, 1], found[1].tolist()) == (0.0, [0.0, 1.0, 0.0])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    two = t0.Classifier(model, ["Anna", "Tom"], PROMPTS, combine=how).predict_proba(TEXTS[:1])
    assert found[0, [0, 2]].tolist() == two[0].tolist()  # its prompt lists its own labels
    assert (c.predict_proba(TEXTS[2:], [["Ben", "Tom", "Anna"]]) == c.predict_proba(TEXTS[2:])).all()
    assert c.predict(TEXTS, lists)[1] == "Ben" and c.explain(TEXTS[0], ["Tom", "Anna"]).votes[0].scores.keys() == {"Anna", "Tom"}
    for wrong, told in (
        ([["Tom"]], "1 given; a list of labels for each of the 3 texts"),
        (["Tom"] * 3, "a list of labels for each"),
        ([["Tm"]] * 3, "labels of text 0: 'Tm' is no label; did you mean 'Tom'"),
        ([[], ["Tom"], ["Tom"]], "labels of text 0: there are none"),
    ):
        with pytest.raises((t0.ConfigError, t0.DataError), match=told):
            c.predict(TEXTS, wrong)


def test_an_explanation_tells_votes_and_differences(model):
    c = t0.Classifier(model, ["Anna", "Ben", "Tom"], PROMPTS)
    found = c.explain(TEXTS[0])
    assert found.label == "Ben" and list(found.probabilities.values()) == c.predict_proba(TEXTS[:1])[0].tolist()
    assert [vote.prompt for vote in found.votes] == ["plain", "listed", "first"]
    assert found.votes[1].inputs == [f"{TEXTS[0]} Who keeps the dog, Anna or Ben or Tom?"]
    ranking = model.rank(found.votes[0].inputs[0], ["Anna", "Ben", "Tom"])
    assert list(found.votes[0].scores.values()) == ranking.scores.tolist()
    assert found.votes[0].differences["Anna"] == pytest.approx(ranking.scores[0] - ranking.scores.max())
    assert str(found).startswith("Ben: probability ") and "\n  plain: Ben, then " in str(found)


# ---- wordings -------------------------------------------------------------------------------------------------------------


def test_our_own_wordings_suit_the_labels(model):
    for labels, kind in ((["positive", "negative"], "sentiment"), (["yes", "no"], "yes/no"), (["sports", "tea"], "topics")):
        for prompts in (None, kind):
            c = t0.Classifier(model, labels, prompts)
            assert [vote.prompt for vote in c.explain("Anna drinks tea.").votes] == list(SETS[kind])
    inputs = [vote.inputs[0] for vote in t0.Classifier(model, ["tea", "sports", "law"]).explain("Anna.").votes]
    assert "Is this text about law, sports or tea?" in inputs[1] and all("Anna." in text for text in inputs)
    many = read_wordings(None, [f"topic {i}" for i in range(30)], False)
    assert [wording.name for wording in many] == ["what is it about", "topic first"]


def test_prompts_of_every_form(model, tmp_path):
    (tmp_path / "mine").mkdir()
    text = (
        "dataset: mine\ntemplates:\n  8bdb4061-3b5e-5c9e-88c4-fa9272f4f02e: !Template\n    id: 8bdb4061-3b5e-5c9e-88c4-fa9272f4f02e\n"
        "    name: who\n    jinja: '{{ text }} Who keeps the dog? ||| {{ who }}'\n    answer_choices: null\n    reference: ''\n    metadata: !TemplateMetadata {}\n"
    )
    (tmp_path / "mine/templates.yaml").write_text(text)
    wanted = t0.Classifier(model, ["Anna", "Ben"], ASK).predict_proba(TEXTS)
    prompts = t0.PromptSet.read(tmp_path / "mine/templates.yaml")
    (listed,) = t0.Classifier(model, ["Anna", "Ben"], ["{{ text }} Is it {{ answer_choices | join(' or ') }}?"]).explain(TEXTS[0]).votes
    assert listed.inputs == [f"{TEXTS[0]} Is it Anna or Ben?"]  # without choices of its own
    for form in (
        tmp_path,
        str(tmp_path / "mine/templates.yaml"),
        tmp_path / "mine/templates.yaml",
        prompts,
        prompts["who"],
        [prompts["who"]],
        [ASK],
    ):
        assert (t0.Classifier(model, ["Anna", "Ben"], form).predict_proba(TEXTS) == wanted).all()


def test_rows_where_prompts_read_several_fields(model):
    prompt = t0.Prompt("two", "{{ first }} {{ second }} Who keeps the dog? ||| {{ label }}", "a ||| b")
    rows = [{"first": "Anna keeps a cat.", "second": "Ben keeps a dog.", "label": None}]
    c = t0.Classifier(model, ["Anna", "Ben"], prompt)
    assert (c.predict_proba(rows) == t0.Classifier(model, ["Anna", "Ben"], ASK).predict_proba(TEXTS[:1])).all()
    assert c.predict({"first": ["Anna keeps a cat."], "second": ["Ben keeps a dog."]}).tolist() == ["Ben"]
    with pytest.raises(t0.DataError, match="text 0: the prompt 'two' reads first, second: rows with these fields are needed, not texts"):
        c.predict(TEXTS)
    with pytest.raises(t0.DataError, match="text 1: no field 'second'; nearest is 'secnd'"):
        c.predict([rows[0], {"first": "a", "secnd": "b"}])
    assert c.predict([rows[0] | {"second": np.array(["Ben", "keeps a dog."])}]).shape == (1,)  # whatever a template makes of it
    with pytest.raises(t0.DataError, match="text 0: second is missing"):
        c.predict([rows[0] | {"second": float("nan")}])


def test_texts_in_every_form(model):
    c = t0.Classifier(model, ["Anna", "Ben"], ASK)
    wanted = c.predict_proba(TEXTS)
    for form in (tuple(TEXTS), np.array(TEXTS), np.array(TEXTS, object), np.array(TEXTS, object)[:, None], (text for text in TEXTS)):
        assert (c.predict_proba(form) == wanted).all()
    assert c.predict([]).tolist() == [] and c.predict_proba([]).shape == (0, 2)


def test_columns_of_pandas(model):
    pandas = pytest.importorskip("pandas")
    c, frame = t0.Classifier(model, ["Anna", "Ben"], "{{ said }} Who keeps the dog?"), pandas.DataFrame({"said": TEXTS})
    for kind in ("string", object):
        with pytest.raises(t0.DataError, match="text 1: is missing"):
            c.predict(pandas.Series(["Anna", pandas.NA], dtype=kind))
        with pytest.raises(t0.DataError, match=r"y\[1\]: is missing"):
            c.fit(["Anna", "Ben"], pandas.Series(["Anna", pandas.NA], dtype=kind))
    assert (c.predict_proba(frame["said"]) == c.predict_proba(TEXTS)).all() and (c.predict_proba(frame) == c.predict_proba(TEXTS)).all()


# ---- long texts -----------------------------------------------------------------------------------------------------------


def test_long_texts_keep_the_question(model, caplog):
    long = "Ben keeps a dog. " + "Tom drinks tea. " * 60 + "Anna keeps a dog."
    read = {}
    for how in ("head", "tail", "pieces"):
        c = t0.Classifier(model, ["Anna", "Ben"], ASK, long_texts=how, max_input_length=64)
        with caplog.at_level(logging.WARNING, "t0native"):
            caplog.clear()
            c.predict([long, "Ben keeps a dog."])
        assert (
            f"1 of 2 inputs had more than 64 tokens: the texts{' were asked' if how == 'pieces' else ''}" in caplog.text
            and how in caplog.text
        )
        read[how] = c.explain(long).votes[0].inputs
        assert all(len(model.tokenizer.encode(text)) <= 64 and text.endswith("Who keeps the dog?") for text in read[how])
        assert (
            c.predict_proba(["Ben keeps a dog."]) == t0.Classifier(model, ["Anna", "Ben"], ASK).predict_proba(["Ben keeps a dog."])
        ).all()
    assert read["head"][0].startswith("Ben keeps a dog. Tom") and read["tail"][0].endswith("tea. Anna keeps a dog. Who keeps the dog?")
    assert len(model.tokenizer.encode(read["head"][0])) > 56  # and not much less than it may be
    texts = [text.removesuffix(" Who keeps the dog?") for text in read["pieces"]]
    assert len(texts) > 3 and " ".join(texts) == long
    c = t0.Classifier(model, ["Anna", "Ben"], ASK, long_texts="pieces", max_input_length=64)
    scores = np.mean([ranking.scores for ranking in model.rank(read["pieces"], ["Anna", "Ben"])], axis=0)
    np.testing.assert_allclose(c.predict_proba([long])[0], np.exp(scores) / np.exp(scores).sum(), rtol=1e-12)


def test_a_text_of_one_long_word_is_cut_within_it(model):
    c = t0.Classifier(model, ["Anna", "Ben"], ASK, long_texts="pieces", max_input_length=40)
    texts = [text.removesuffix(" Who keeps the dog?") for text in c.explain("dog" * 200).votes[0].inputs]
    assert len(texts) > 2 and "".join(texts) == "dog" * 200


def test_a_wording_that_is_too_long_by_itself(model):
    with pytest.raises(t0.DataError, match="text 0: prompt 'wording': it has [0-9]+ tokens without the text, and max_input_length is 5"):
        t0.Classifier(model, ["Anna", "Ben"], ASK, max_input_length=5).predict(["Ben keeps a dog, and Anna a cat."])


def test_the_end_token_is_counted(model):
    other = t0.Model.mini()
    other.add_eos_to_inputs = True
    long = "Tom drinks tea. " * 60
    for one in (model, other):
        (text,) = t0.Classifier(one, ["Anna", "Ben"], ASK, max_input_length=64).explain(long).votes[0].inputs
        one.rank(text, ["Anna"], max_input_length=64)  # it fits


# ---- what is refused ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ([], "labels: there are none"),
        (None, "labels: there are none"),
        ({}, "labels: there are none"),
        (["tea"], "labels: 'tea' alone; a second one is needed"),
        (["tea", "milk", "tea"], "labels: 'tea' stands twice"),
        ("tea", "labels 'tea': a text; give a list of words"),
        (["tea", " "], "labels: ' ' has blank words"),
        (["tea", None], "labels: None is NoneType"),
        ([0, 1], "labels: 0 is no word; a mapping says its words"),
        ({"a": "tea", 1: "milk"}, "labels: 'a' is a text and 1 a number"),
        ({"a": "tea", "b": "tea"}, "labels: 'a' and 'b' have the text 'tea': a model cannot tell them apart"),
        ({"a": ["tea", "milk"], "b": " milk"}, "labels: 'a' and 'b' have the text 'milk'"),
        (["tea", "tea  "], "labels: 'tea' and 'tea  ' have the text 'tea'"),
        ({"a": [], "b": "tea"}, "labels: 'a' has no words"),
        ({"a": 5, "b": "tea"}, "words of 'a'"),
        (["no ||| yes", "tea"], r"hold \|\|\|"),
        (["\u200b\u200b", "tea"], "the tokenizer has no token for "),
        (["\U0001f642", "tea"], "the tokenizer has no token for "),
        (["a\u00a0b", "a b"], "have the tokens of .* in common: a model cannot tell them apart"),
    ],
)
def test_labels_that_cannot_serve(model, labels, told):
    with pytest.raises(t0.ConfigError, match=told):
        t0.Classifier(model, labels).fit(["Anna."])


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["tea", None], "text 1: is missing"),
        (["tea", float("nan")], "text 1: is missing"),
        (["tea", "  \n"], "text 1: it is blank"),
        (["tea", 5], "text 1: 5 is int; a text or a row is needed"),
        (["tea \ud83d"], r"text 0: lone surrogate U\+d83d at index 4"),
        ("tea", r"X 'tea': one text; give a list of them, as \['tea'\]"),
        (np.zeros((2, 2)), r"X: an array of float64 of shape \[2, 2\]"),
        ({"tea", "milk"}, "X: set"),
    ],
)
def test_texts_that_have_no_label(model, texts, told):
    c = t0.Classifier(model, ["Anna", "Ben"])
    for ask in (c.predict, c.predict_proba, c.fit, c.calibrate):
        with pytest.raises((t0.DataError, t0.ConfigError), match=told):
            ask(texts)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"combine": "max"}, "combine 'max': must be 'mean', 'median' or 'vote'"),
        ({"calibration": "platt"}, "calibration 'platt': must be 'contextual', 'pmi' or 'batch', or None"),
        ({"tune": "adapter"}, "tune='adapter': there are no adapters yet"),
        ({"tune": "temp"}, "tune 'temp': must be 'temperature', 'platt', 'isotonic' or 'wordings', or None"),
        ({"threshold": 2}, "threshold 2: must be a number from 0 to 1, or None"),
        ({"margin": -1}, "margin -1: must be a number from 0 to 1, or None"),
        ({"long_texts": "middle"}, "long_texts 'middle': must be 'head', 'tail' or 'pieces'"),
        ({"max_input_length": 0}, "max_input_length 0: must be a whole number, at least 1"),
        ({"prompts": "topic"}, "prompts 'topic': no set of wordings; did you mean 'topics'?"),
        ({"prompts": "Is it tea?"}, "prompts 'Is it tea.*no set of wordings"),
        ({"prompts": "{{ a | nofilter }}"}, "prompt 'wording', line 1, column"),
        ({"prompts": t0.Prompt("q", "Is it tea? ||| {{ label }}")}, "prompt 'q': its input reads no field"),
        (
            {"prompts": t0.Prompt("q", "{{ text }} {% if a %} ||| x {% endif %}")},
            r"prompt 'q': its template up to \|\|\| is none by itself",
        ),
        ({"prompts": [t0.LM()]}, "must be a Prompt|a classifier takes Prompts|names must differ|is LM"),
        ({"multi_label": True, "prompts": ASK}, "prompt 'wording': with multi_label=True .* print {{ label }}"),
        ({"multi_label": True, "prompts": "topics"}, "give None, or prompts that read label"),
        ({"multi_label": True, "margin": 0.1}, "margin: is between a text's best two labels"),
        ({"multi_label": True, "yes_no": "yes"}, "yes_no 'yes': must be two texts"),
        ({"multi_label": True, "threshold": {"Bn": 0.5}}, "threshold: 'Bn' is no label; did you mean 'Ben'"),
        ({"multi_label": "yes"}, "multi_label 'yes': must be true or false"),
    ],
)
def test_options_that_cannot_serve(model, options, told):
    with pytest.raises((t0.ConfigError, t0.DataError, t0.TemplateError), match=told):
        t0.Classifier(model, ["Anna", "Ben"], **options).predict(TEXTS)


def test_a_model_that_is_none():
    with pytest.raises(t0.ConfigError, match="model 'google/flan-t5-base': must be a Model, which has rank; Model.from_pretrained"):
        t0.Classifier("google/flan-t5-base", ["a", "b"]).predict(TEXTS)


def test_the_first_word_that_is_given_stands_for_a_label(model):
    c = t0.Classifier(model, {"b": ["Tom", "Ben"], "a": "Anna"}, PROMPTS[1])
    assert c.explain(TEXTS[0]).votes[0].inputs == [f"{TEXTS[0]} Who keeps the dog, Anna or Tom?"]


def test_parts_of_a_call_change_no_bit(model, monkeypatch):
    from t0native.classification import engine, tables

    c = t0.Classifier(model, ["Anna", "Ben", "Tom"], PROMPTS)
    wanted = c.predict_proba(TEXTS * 3)
    for name, value, module in (("MOST", 2, engine), ("PART", 1, engine), ("AT_ONCE", 4, tables)):
        monkeypatch.setattr(module, name, value)
        assert c.predict_proba(TEXTS * 3).tobytes() == wanted.tobytes()


def test_labels_are_found_by_what_they_are():
    labels = read_labels({np.int64(1): "good", np.int64(0): "bad"})
    assert labels.names == (0, 1) and labels.array.dtype.kind == "i" and labels.find("y", np.int64(1)) == 1
    assert read_labels(np.array(["b", "a"])).names == ("a", "b")


@pytest.mark.parametrize("change", [{"labels": {"Anna": ["Anne", "Anna"], "Ben": "Ben"}}, {"yes_no": ("No", "Yes"), "multi_label": True}])
def test_what_was_learned_belongs_to_the_words_that_were_asked(model, change):
    c = t0.Classifier(model, {"Anna": ["Anna", "Anne"], "Ben": "Ben"}, "{{ text }} {{ label }}?", multi_label="yes_no" in change)
    rows = [{"text": text, "label": "Anna"} for text in TEXTS]
    c.calibrate(rows)
    c.predict(rows)
    c.set_params(**change)
    with pytest.raises(t0.ConfigError, match="labels, prompts or how they are asked have changed since fit or calibrate: call it again"):
        c.predict(rows)


def test_an_error_of_several_labels_names_the_text(model):
    c = t0.Classifier(model, ["tea", "milk", "wine"], "{{ text | replace('x', '') }}{{ label[:2 if text == 'x' else 9] | replace('mi', '') }}",
                      multi_label=True)  # fmt: skip
    with pytest.raises(t0.DataError, match="^text 1: prompt 'wording': it gives an empty input"):
        c.predict(["tea?", "x"])


def test_lists_of_labels_that_a_tuner_gives_nothing_have_the_same():
    words = ["a", "b", "c"]
    c = t0.Classifier(Table({"x": dict.fromkeys(words, 0.0)}), words, "{{ text }}")
    engine, fitted = c._ready()
    none, some = (np.array([0.0, 1.0]), np.array([0.0, 0.0])), (np.array([0.0, 1.0]), np.array([0.5, 1.0]))
    fitted = fitted._replace(tuner=Isotonic((none, none, some), False))
    scores = np.array([[[0.0, 0.0, -np.inf]], [[0.0, -np.inf, 0.0]]])
    assert engine.probabilities(scores, fitted).tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]


@pytest.mark.parametrize("score", [-np.inf, np.inf, np.nan])
@pytest.mark.parametrize("how", ["mean", "median", "vote"])
def test_a_foreign_model_whose_score_is_not_finite_is_refused_by_the_text(score, how):
    c = t0.Classifier(Table({"x A": {"a": -1.0, "b": score}, "x B": {"a": score, "b": -1.0}, "y": {"a": -1.0, "b": -2.0}}), ["a", "b"],
                      ["{{ text }} A", "{{ text }} B"], combine=how)  # fmt: skip
    with pytest.raises(t0.DataError, match="^text 1: the model gives .* for its labels; a score is a finite log-likelihood"):
        c.predict_proba(["y", "x"])


def test_of_a_labels_words_some_may_be_impossible():
    words = {"x": {"good": -np.inf, "fine": np.log(0.5), "bad": np.log(0.25)}}
    c = t0.Classifier(Table(words), {0: ["good", "fine"], 1: "bad"}, "{{ text }}")
    np.testing.assert_allclose(c.predict_proba(["x"]), [[0.5, 0.5]])


def test_a_report_counts_a_label_of_one_half_as_given():
    c = t0.Classifier(Table({"x": {"Yes": 0.0, "No": 0.0}}), ["a", "b"], "{{ text }} {{ label }}", multi_label=True)
    assert c.predict(["x"]).tolist() == [[1, 1]] and c.score(["x"], [["a", "b"]]) == 1.0
    assert c.report(["x"], [["a", "b"]]).statistics()[0]["accuracy"] == 1.0
