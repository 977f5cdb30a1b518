"""Each metric against the library that defines it, and against cases computed by hand."""

import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import needed
from fakes import FakeModel, FakePrompt

import t0native as t0
from t0native.prompts.promptfile import METRICS as PROMPTSOURCE_NAMES
from t0native.reports.bootstrap import bootstrap, corpus_draws, row_counts
from t0native.tasks.metrics import METRICS, Metric, find_metric

INSTALL = "pip install '.[metrics]'"
CASES = [  # metric, prediction, targets, value
    ("exact_match", " yes\n", ["yes"], 1), ("exact_match", "yes", ["no", "yes"], 1), ("exact_match", "Yes", ["yes"], 0),
    ("squad_em", "The Cat.", ["a cat"], 1), ("squad_em", "cats", ["cat", "dog"], 0), ("squad_em", "half-life", ["halflife"], 1),
    ("squad_f1", "the black cat", ["a cat", "dog"], 2 / 3), ("squad_f1", "cat cat", ["cat dog"], 1 / 2), ("squad_f1", "", ["cat"], 0),
    ("squad_f1", "the", ["a"], 1),
    ("trivia_qa_em", "half-life", ["half life"], 1), ("trivia_qa_em", "half-life", ["halflife"], 0), ("trivia_qa_em", "the ‘sun’", ["Sun"], 1),
    ("trivia_qa_f1", "half-life two", ["life"], 1 / 2),
    ("coqa_f1", "white cat", ["a white cat sat", "dog"], 4 / 5),
    ("edit_distance", "the cat sat", ["The cat sat!"], 0), ("edit_distance", "a b c", ["a x c d"], 2 / 4), ("edit_distance", "", ["a b"], 1),
    ("edit_distance", "kitten", ["kitten", "dog"], 0), ("edit_distance", "", [""], 0),
    ("record_em", "Paris", ["Paris!"], 1), ("record_f1", "New York City", ["York", "Paris"], 1 / 2),
    ("accuracy", 1, np.array([0.0, 1, 1]), 1), ("accuracy", 0, np.array([0.0, 1, 1]), 0), ("accuracy", 1, np.array([1.0, 0.4]), 0),
    ("multiple_choice_grade", 1, np.array([1.0, 0.4]), 0.4),
    ("mean_reciprocal_rank", [-3.0, -1.0, -2.0], np.array([1.0, 0, 0]), 1 / 3), ("mean_reciprocal_rank", [-1.0, -1.0], np.array([0.0, 1]), 1 / 2),
    ("rouge1", "the cat sat", ["the cat"], 4 / 5), ("rouge2", "the cat sat", ["the cat"], 2 / 3), ("rougeL", "sat the cat", ["the cat sat"], 2 / 3),
    ("rouge1", "dog", ["cat", "dog"], 1),
]  # fmt: skip


@pytest.mark.parametrize("name, prediction, targets, value", CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_by_hand(name, prediction, targets, value):
    if METRICS[name].library == "rouge-score":
        needed("rouge_score", INSTALL)
    assert find_metric(name).of_row(prediction, targets) == pytest.approx(value, abs=1e-12)


def test_every_name_of_promptsource_and_ours_finds_its_metric():
    needed("sacrebleu", INSTALL), needed("rouge_score", INSTALL)
    for name in [*PROMPTSOURCE_NAMES, *METRICS]:
        assert find_metric(name) is find_metric(name.upper()) is METRICS[find_metric(name).name]
    assert (
        find_metric("Squad").name == "squad_f1" and find_metric("ROUGE").name == "rougeLsum" and find_metric("Other").name == "exact_match"
    )
    assert {metric.library for metric in METRICS.values()} == {"numpy", "ours", "rouge-score", "sacrebleu"}


def worths(labels, choices):
    return list(np.eye(choices)[labels])


def test_f1_and_macro_f1_are_scikit_learns():
    sklearn = needed("sklearn.metrics", INSTALL)
    for seed, choices in [(0, 2), (1, 3), (2, 3), (3, 4)]:
        random = np.random.default_rng(seed)
        said, true = random.integers(0, choices, 57), random.integers(0, min(choices, 3), 57)  # the fourth choice is never true
        expected = sklearn.f1_score(true, said, average="macro", zero_division=0)
        assert METRICS["f1_macro"].of_rows(said.tolist(), worths(true, choices)) == pytest.approx(expected, abs=1e-12)
        expected = sklearn.f1_score(true == 1, said == 1)
        for name in ("f1", "multirc_f1"):
            assert METRICS[name].of_rows(said.tolist(), worths(true, choices)) == pytest.approx(expected, abs=1e-12)
    assert METRICS["f1_macro"].of_rows([0, 0, 1, 1], worths([0, 1, 1, 2], 3)) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert METRICS["f1"].of_rows([0, 0], worths([0, 0], 2)) == 0


def test_auc_is_scikit_learns():
    sklearn = needed("sklearn.metrics", INSTALL)
    random = np.random.default_rng(4)
    true, scores = random.integers(0, 2, 83), random.integers(-4, 5, (83, 2)).astype(float)  # many ties
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    expected = sklearn.roc_auc_score(true, np.round(shares[:, 1], 12))
    assert METRICS["auc"].of_rows(list(scores), worths(true, 2)) == pytest.approx(expected, abs=1e-12)
    assert METRICS["auc"].of_rows([[0.0, 1.0], [0.0, 0.5], [1.0, 0.0], [0.0, 0.5]], worths([1, 1, 0, 0], 2)) == pytest.approx(3.5 / 4)
    with pytest.raises(t0.DataError, match="auc needs rows of both choices, and the target of all is the same"):
        METRICS["auc"].of_rows([[0.0, 1.0]], worths([1], 2))
    with pytest.raises(t0.DataError, match="auc needs exactly two answer choices a row"):
        METRICS["auc"].of_rows([[0.0, 1.0, 2.0]], worths([1], 3))


def test_correlations_are_scipys():
    stats = needed("scipy.stats", "pip install '.[test]'")
    random = np.random.default_rng(5)
    true = random.integers(0, 6, 91)
    said = true + random.integers(-2, 3, 91) / 2
    texts, targets = [str(value) for value in said], [[str(value)] for value in true]
    for name, oracle in (("pearson", stats.pearsonr), ("spearman", stats.spearmanr)):
        assert METRICS[name].of_rows(texts, targets) == pytest.approx(oracle(said, true)[0], abs=1e-12)
        words = ["what", *texts[1:]]  # no number: -1
        assert METRICS[name].of_rows(words, targets) == pytest.approx(oracle([-1, *said[1:]], true)[0], abs=1e-12)
        assert METRICS[name].of_rows(["3.3"] * 91, targets) == 0
        assert METRICS[name].of_rows(["1", "2", "3"], [["3"], ["2"], ["1"]]) == pytest.approx(-1, abs=1e-12)
        with pytest.raises(t0.DataError, match="target 'three' is no number, and a correlation needs one"):
            METRICS[name].of_rows(["1", "2"], [["three"], ["2"]])


def sentences(seed, n, words="the a cat dog sat ran on under mat red , .".split()):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(words, random.integers(4, 12))) for _ in range(n)]


def test_bleu_is_sacrebleus():
    sacrebleu = needed("sacrebleu", INSTALL)
    said, true, other = sentences(0, 40), sentences(1, 40), sentences(2, 40)
    options = {"smooth_method": "exp", "tokenize": "intl", "use_effective_order": False}
    expected = sacrebleu.corpus_bleu(said, [true], **options).score
    assert 100 * METRICS["bleu"].of_rows(said, [[text] for text in true]) == pytest.approx(expected, abs=1e-9)
    expected = sacrebleu.corpus_bleu(said, [true, other], **options).score
    assert 100 * METRICS["bleu"].of_rows(said, [list(pair) for pair in zip(true, other)]) == pytest.approx(expected, abs=1e-9)
    assert METRICS["bleu"].of_rows(true, [[text] for text in true]) == pytest.approx(1)


def test_rouge_is_that_of_t5s_test_data(public_data):
    """T5's expected values are the middle of a bootstrap of its own: as far from the mean as 1000 random draws are."""
    needed("rouge_score", INSTALL)
    folder = public_data / "data" / "t5-rouge-testdata"
    targets, said = ((folder / f"{name}_large.txt").read_text().splitlines() for name in ("target", "prediction"))
    expected = json.loads((folder / "expected_bootstrap_results.json").read_text())
    for name in ("rouge1", "rouge2", "rougeLsum"):
        values = np.array([[METRICS[name].of_row(prediction, [target]) for prediction, target in zip(said, targets)]])
        lows, highs, _, _ = bootstrap(values)
        error = (highs[0] - lows[0]) / (2 * 1.96)  # the standard error of the mean; a median of 1000 draws has 0.04 of it
        assert abs(values.mean() - expected[name] / 100) < 0.15 * error, name
        assert error < 0.02


def test_a_corpus_metrics_replicates_are_the_metric_of_the_rows_drawn():
    needed("sacrebleu", INSTALL)
    random = np.random.default_rng(7)
    numbers = [str(value) for value in random.integers(0, 5, 30)]
    inputs = {
        "f1": (random.integers(0, 2, 30).tolist(), worths(random.integers(0, 2, 30), 2)),
        "f1_macro": (random.integers(0, 3, 30).tolist(), worths(random.integers(0, 3, 30), 3)),
        "auc": (list(random.integers(0, 4, (30, 2)).astype(float)), worths(random.integers(0, 2, 30), 2)),
        "ece": (list(random.normal(0, 2, (30, 2))), worths(random.integers(0, 2, 30), 2)),
        "pearson": (numbers, [[text] for text in numbers[::-1]]),
        "spearman": (numbers, [[text] for text in numbers[::-1]]),
        "bleu": (sentences(3, 30), [[text] for text in sentences(4, 30)]),
    }
    assert inputs.keys() | {"multirc_f1"} == {name for name, metric in METRICS.items() if metric.weigh}
    kept, counts = np.delete(np.arange(33), [0, 8, 32]), row_counts(6, 0, 40, 33)
    for name, (predictions, targets) in inputs.items():
        metric = METRICS[name]
        draws = corpus_draws(metric.weigh(predictions, targets), kept, 33, 0.5, seed=6, replicates=40)
        for value, drawn in zip(draws, counts[:, kept]):
            rows = np.repeat(np.arange(30), drawn)
            again = metric.of_rows([predictions[i] for i in rows], [targets[i] for i in rows])
            assert value == pytest.approx(again, abs=1e-12), name


# ---- in an evaluation ------------------------------------------------------------------------------------------------


class Scorer(FakeModel):
    """Ranks by scores that a row tells in its text."""

    def rank(self, inputs, choices, truncate=False, progress=None):
        scores = [np.array([float(word) for word in text.split()]) for text in inputs]
        return [SimpleNamespace(index=int(np.argmax(s)), scores=s, lengths=np.arange(1, len(s) + 1)) for s in scores]


def scored(rows, metric, choices=("no", "yes")):
    prompt = FakePrompt("p", lambda row: (row["scores"], choices[row["label"]], list(choices)), fields=("scores", "label"))
    return t0.evaluate(Scorer(), t0.Task("t", rows, {"p": prompt}, metric), progress=False)


def test_multirc_is_judged_by_question():
    answers = [(0, 0, 1, 1), (0, 0, 0, 0), (0, 1, 1, 0), (1, 0, 1, 1), (0, 1, 0, 1)]  # paragraph, question, label, said
    rows = [{"scores": ["1 0", "0 1"][said], "label": label, "idx": {"paragraph": p, "question": q}} for p, q, label, said in answers]
    report = scored(rows, ["multirc_em", "multirc_f1", "accuracy"])
    cell = report.cells[0]
    assert cell["metrics"] == {"multirc_em": 2 / 3, "multirc_f1": pytest.approx(2 / 3), "accuracy": 3 / 5}
    assert (cell["value"], cell["n"], cell["dropped"]) == (pytest.approx(2 / 3), 3, 0)
    np.testing.assert_array_equal(report.correct[0], [1, np.nan, 0, 1, np.nan])
    del rows[3]["idx"]["question"]
    cell = scored(rows, "multirc_em").cells[0]
    assert (cell["n"], cell["dropped"]) == (2, 1) and "metric 'multirc_em', row 3: no field 'question' of 'idx.question'" in cell["reason"]


def test_a_metric_of_all_rows_has_replicates_and_is_saved(tmp_path):
    random = np.random.default_rng(8)
    rows = [{"scores": " ".join(map(str, random.random(3))), "label": int(random.integers(3))} for _ in range(50)]
    report = scored(rows, ["f1_macro", "accuracy"], ("a", "b", "c"))
    cell, draws = report.cells[0], report.draws[0]
    assert cell["value"] == cell["metrics"]["f1_macro"] and cell["metrics"]["accuracy"] == report.correct[0].mean()
    assert (cell["low"], cell["high"]) == pytest.approx(tuple(np.percentile(draws, [2.5, 97.5]))) and cell["low"] < cell["value"] < cell[
        "high"
    ]
    said = [int(np.argmax(np.array(row["scores"].split(), float) / [1, 2, 3])) for row in rows]
    assert cell["normalized"] == np.mean([choice == row["label"] for choice, row in zip(said, rows)])
    again = t0.Report.load(report.save(tmp_path))
    assert (again.cells, again.summary) == (report.cells, report.summary)
    np.testing.assert_array_equal(again.draws[0], draws)
    other = scored([row | {"label": (row["label"] + 1) % 3} for row in rows], ["f1_macro", "accuracy"], ("a", "b", "c"))
    other.cells[0]["prompt"] = "q"
    both = t0.Report.merge([again, other])
    assert both.summary[0]["prompts"] == 2 and both.summary[0]["median"] == pytest.approx((cell["value"] + other.cells[0]["value"]) / 2)


def test_rows_that_are_no_bits_are_saved_as_numbers(tmp_path):
    model = FakeModel()
    model.generate = lambda inputs, max_new_tokens, **options: [f"{text} {max_new_tokens}" for text in inputs]
    prompt = FakePrompt("p", lambda row: None if row["n"] == 2 else (row["text"], "the black cat", None), fields=("text",))
    rows = [{"text": text, "n": i} for i, text in enumerate(["black", "cat dog", "", "cow"])]
    report = t0.evaluate(model, t0.Task("t", rows, {"p": prompt}, "Squad"), progress=False)
    np.testing.assert_allclose(report.correct[0], [1 / 2, 2 / 5, np.nan, 0])  # "black 256": answers are generated whole
    again = t0.Report.load(report.save(tmp_path))
    np.testing.assert_array_equal(again.correct[0], report.correct[0])
    assert again.draws == [None] and again.cells == report.cells


def numbers(*values):
    return base64.b64encode(np.array(values, "<f8").tobytes()).decode()


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("values", numbers(0.5, 1.5), "rows[0]: values hold 1.5: must be numbers from -1 to 1"),
        ("values", numbers(0.5, float("nan")), "rows[0]: values hold nan: must be numbers from -1 to 1"),
        ("values", numbers(0.5), "rows[0]: values holds 8 bytes, but 2 numbers take 16"),
        ("values", [0.5, 1], "rows[0]: values [0.5, 1]: must be text"),
        ("draws", numbers(0.5), "rows[0]: draws holds 8 bytes, but 1000 numbers take 8000"),
        ("draws", 7, "rows[0]: draws 7: must be text"),
    ],
)
def test_saved_numbers_that_cannot_be_are_told(tmp_path, key, value, message):
    path = scored([{"scores": "1 0", "label": 0}, {"scores": "0 1", "label": 0}], "f1_macro").save(tmp_path)
    data = json.loads(path.read_text())
    data["rows"][0] |= {"values": numbers(0.5, 1), key: value}
    path.write_text(json.dumps(data))
    with pytest.raises(t0.FormatError) as error:
        t0.Report.load(path)
    assert str(error.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    "metric, right, expected",
    [
        ("accuracy:ok", "yes", 1), ("accuracy:ok", ["no", "maybe"], 0), ("accuracy:ok.inner", {"inner": ["yes"]}, 1),
        ("multiple_choice_grade:ok", {"yes": 0.25, "no": 1}, 0.25), ("multiple_choice_grade:ok", [0.5, 1.0, 0.0], 1),
    ],
)  # fmt: skip
def test_a_field_of_the_row_may_say_what_is_right(metric, right, expected):
    report = scored([{"scores": "0 1 0", "label": 0, "ok": right}], metric, ("no", "yes", "maybe"))
    assert (report.cells[0]["value"], report.cells[0]["metric"], report.cells[0]["metrics"]) == (expected, metric, {metric: expected})


@pytest.mark.parametrize(
    "metric, right, reason",
    [
        ("accuracy:ok", "perhaps", "metric 'accuracy:ok', row {}: 'perhaps' names no right one of the choices ['no', 'yes']"),
        ("accuracy:ok", [1.0], "metric 'accuracy:ok', row {}: [1.0] names no right one of the choices ['no', 'yes']"),
        ("accuracy:ok", 3, "metric 'accuracy:ok', row {}: its target is 3, must be a text or a list of texts"),
        ("accuracy:other", 3, "metric 'accuracy:other', row {}: no field 'other' of 'other'; the row has: scores, label, ok"),
        (Metric("much", "choices", of_row=lambda index, targets: 3.0), 0, "metric 'much' gives 3.0: must be a fraction of 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_dropped_and_where_nothing_is_left_the_cell_fails(metric, right, reason):
    bad = {"scores": "0 1", "label": 0, "ok": right}
    assert reason.format(0) in scored([bad], metric).cells[0]["reason"]
    sound = {"scores": "0 1", "label": 0, "ok": "no", "other": ["no"]}
    cell = scored([sound, bad], metric).cells[0]
    if isinstance(metric, Metric):  # which judges no row
        assert (cell["status"], cell["n"], cell["dropped"]) == ("failed", 0, 2)
    else:
        assert (cell["status"], cell["n"], cell["dropped"], cell["value"]) == ("ok", 1, 1, 0)
    assert reason.format(1 if cell["dropped"] == 1 else 0) in cell["reason"]


def test_metrics_of_ones_own():
    contains = Metric("contains", "text", of_row=lambda text, targets: float(any(target in text for target in targets)))
    prompt = FakePrompt("p", lambda row: (row["text"], row["text"], None), fields=("text",))
    report = t0.evaluate(FakeModel(), t0.Task("t", [{"text": "ye"}, {"text": "no"}], {"p": prompt}, [contains, "Other"]), progress=False)
    assert report.cells[0]["metrics"] == {"contains": 0.5, "exact_match": 0.0}
    share = replace(METRICS["f1"], name="share", weigh=None, of_rows=lambda said, targets: float(np.mean(said)))
    report = scored([{"scores": ["0 1", "1 0"][i % 2], "label": 1} for i in range(20)], share)
    assert report.cells[0]["value"] == 0.5 and report.draws[0].std() == pytest.approx((0.25 / 20) ** 0.5, rel=0.15)
    with pytest.raises(t0.ConfigError, match="metric 'x': needs 'choices' or 'scores' or 'text', and one of of_row, of_group"):
        Metric("x", "text")


@pytest.mark.parametrize(
    "metric, message",
    [
        ("rouge3", "task 't': unknown metric 'rouge3'; did you mean 'rouge"),
        (7, "task 't': metric 7: must be a name or a Metric"),
        (["accuracy", "Accuracy"], "task 't': metric 'accuracy' stands twice"),
    ],
)
def test_metrics_that_are_none(metric, message):
    with pytest.raises(t0.ConfigError) as error:
        scored([{"scores": "0 1", "label": 0}], metric)
    assert str(error.value).startswith(message)


def test_a_metric_whose_library_is_absent_names_the_extra(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"the metric bleu is computed by sacrebleu: pip install sacrebleu"):
        find_metric("BLEU")
