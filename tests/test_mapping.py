"""mapper: batches of columns in, columns of answers out, and through datasets' own map."""

import numpy as np
import pytest

import t0native as t0

TEXTS = ["Anna keeps a cat. Ben keeps a dog.", "Ben keeps a cat. Anna keeps a dog.", "Tom keeps a dog. Anna keeps a bird."]
ASK = "{{ text }} Who keeps the dog?"


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


@pytest.fixture(scope="module")
def classifier(model):
    return t0.Classifier(model, ["Anna", "Ben", "Tom"], ASK, margin=0.1)


def test_a_classifier_gives_four_columns_whatever_the_batch(classifier):
    give = t0.mapper(classifier)
    together = give({"text": TEXTS, "label": [0, 1, 2]})
    expected = list(classifier.classify(TEXTS))
    assert together["prediction"] == [one["label"] for one in expected] == ["Ben", "Anna", "Tom"]
    assert together["probability"] == [one["probability"] for one in expected] and together["abstained"] == [False] * 3
    alone = [give({"text": [text]}) for text in TEXTS]
    assert {name: [one[name][0] for one in alone] for name in together} == together
    assert give({"text": np.array(TEXTS, object)}) == together and give({"text": []}) == {name: [] for name in together}


def test_a_model_and_a_prompt_give_predictions(model):
    prompt = t0.Prompt("who", ASK + "|||{{ who }}", "Anna ||| Ben ||| Tom")
    found = t0.mapper(model, prompt, prefix="t0_", scores=True)({"text": TEXTS})
    rankings = model.rank([f"{text} Who keeps the dog?" for text in TEXTS], ["Anna", "Ben", "Tom"])
    assert found["t0_prediction"] == [one.choice for one in rankings] and list(found) == ["t0_prediction", "t0_choices", "t0_scores"]
    np.testing.assert_array_equal(found["t0_scores"], [one.scores for one in rankings])


def test_what_is_refused(model, classifier):
    prompt = t0.Prompt("who", ASK + "|||{{ who }}", "Anna ||| Ben")
    for refused, message in (
        (lambda: t0.mapper(model), "a model needs the prompt"),
        (lambda: t0.mapper(classifier, prompt), "prompt: is for a model and a prompt"),
        (lambda: t0.mapper(classifier, seed=1), "seed: is for a model and a prompt"),
        (lambda: t0.mapper(classifier, seed=0), "seed: is for a model and a prompt"),
        (lambda: t0.mapper(5, prompt), "5 is neither a Model nor a Classifier"),
        (lambda: t0.mapper(model, prompt, progress=True), "progress: is that of map"),
        (lambda: t0.mapper(model, [prompt, t0.Prompt("other", "{{ text }}|||x")]), "2 prompts; a column of answers is of one"),
        (lambda: t0.mapper(classifier)({"text": TEXTS[0]}), "this is a row; .* batched=True"),
        (lambda: t0.mapper(classifier)(TEXTS), "is no batch; .* batched=True"),
        (lambda: t0.mapper(classifier)({"text": TEXTS, "n": [1]}), "columns of different lengths"),
        (lambda: t0.mapper(classifier)({"text": TEXTS, "prediction": TEXTS}), "a column 'prediction' already.*prefix="),
    ):
        with pytest.raises(t0.ConfigError, match=message):
            refused()


def test_through_datasets(classifier, model, tmp_path):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"text": TEXTS * 3, "label": list(range(9))})
    mapped = dataset.map(t0.mapper(classifier), batched=True, batch_size=2)
    assert mapped["prediction"] == ["Ben", "Anna", "Tom"] * 3 and mapped["label"] == list(range(9))
    with pytest.raises(t0.ConfigError, match="this is a row"):
        dataset.map(t0.mapper(classifier))
    prompt = t0.Prompt("who", ASK + "|||{{ who }}", "Anna ||| Ben ||| Tom")
    assert dataset.map(t0.mapper(model, prompt, scores=True), batched=True)["prediction"] == mapped["prediction"]
