"""Calibration: the papers' equations in plain NumPy on random tables, a biased model whose truth is known, tuning against scikit-learn and
scipy, selection of wordings, and what a report says before and after."""

import logging

import numpy as np
import pytest
from dog_rows import ASK, NAMES, RIGHT, TEXTS

import t0native as t0
from t0native.classification import fitting
from t0native.classification.calibration import batch_prior, contextual_prior, pmi_prior, without_prior
from t0native.classification.combining import log_normalize
from t0native.classification.quality import Judged
from t0native.classification.selection import select_wordings
from t0native.classification.tuning import fit_tuner


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


def softmax(z):
    shares = np.exp(z - z.max(axis=-1, keepdims=True))
    return shares / shares.sum(axis=-1, keepdims=True)


def ece_of(p, right):
    confidence, hit = p.max(axis=1), p.argmax(axis=1) == right
    bins = np.minimum(np.ceil(confidence * 15).astype(int) - 1, 14)
    return sum(abs((hit[bins == k] - confidence[bins == k]).sum()) for k in range(15)) / len(right)


# ---- without labels -------------------------------------------------------------------------------------------------------


def test_the_equations_of_the_papers_on_a_thousand_tables():
    rng = np.random.default_rng(0)
    for _ in range(1000):
        n_labels, n_empty, n_texts = rng.integers(2, 8), rng.integers(1, 4), rng.integers(2, 12)
        s, empty = rng.normal(-5, rng.uniform(0.5, 4), (n_texts, n_labels)), rng.normal(-5, 2, (n_empty, n_labels))
        p, p_cf = softmax(s), softmax(empty).mean(axis=0)
        # Zhao et al. 2021: W p + b with W = diag(p_cf)^-1, b = 0
        weight, shift = np.linalg.inv(np.diag(p_cf)), np.zeros(n_labels)
        q = np.array([weight @ row + shift for row in p])
        found = np.exp(without_prior(s[:, None], contextual_prior(empty[:, None])))[:, 0]
        np.testing.assert_allclose(found, q / q.sum(axis=1, keepdims=True), rtol=1e-9)
        assert (found.argmax(axis=1) == q.argmax(axis=1)).all()
        # Holtzman et al. 2021: log P(y | x) - log P(y | domain)
        pmi = s - empty[0]
        found = without_prior(s[:, None], pmi_prior(empty[:1]))[:, 0]
        np.testing.assert_allclose(found - found[:, :1], pmi - pmi[:, :1], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(np.exp(found), softmax(pmi), rtol=1e-9)
        # Zhou et al. 2024: W = I, b = - the mean over the batch, of log-probabilities
        shifted = np.log(p) - np.log(p).mean(axis=0)
        found = without_prior(s[:, None], batch_prior(s[:, None]))[:, 0]
        np.testing.assert_allclose(np.exp(found), softmax(shifted), rtol=1e-9)
        assert (found.argmax(axis=1) == shifted.argmax(axis=1)).all()


def test_an_input_without_content_is_then_undecided():
    empty = np.log([[[0.7, 0.2, 0.1]]])
    np.testing.assert_allclose(np.exp(without_prior(empty, contextual_prior(empty))), 1 / 3)
    np.testing.assert_allclose(np.exp(without_prior(empty, pmi_prior(empty[0]))), 1 / 3)


@pytest.mark.parametrize("bias", [[1.5, -1.0], [1.5, 0.0, -1.0, 0.5], [3.0, 0.0, -2.0, 0.0]])
@pytest.mark.parametrize("spread", [1, 2, 4])
def test_batch_calibration_mends_a_bias_whose_truth_is_known(bias, spread):
    rng = np.random.default_rng(1)
    truth = rng.normal(0, spread, (4000, len(bias)))
    p = softmax(truth)
    right = (p.cumsum(axis=1) > rng.random((len(p), 1))).argmax(axis=1)
    seen = truth + np.array(bias)
    before, after = softmax(seen), np.exp(without_prior(seen[:, None], batch_prior(seen[:500, None])))[:, 0]  # of texts beside
    of = lambda q: (q.argmax(axis=1) == right).mean()
    assert of(before) < of(p) - 0.03 and abs(of(after) - of(p)) < 0.01
    assert ece_of(after, right) <= 0.05 and ece_of(after, right) < ece_of(before, right)


def test_the_classifier_takes_each_prior_of_its_own_inputs(model):
    labels, prompts = sorted(NAMES), [ASK, "Who keeps the dog? {{ text }}"]
    c = t0.Classifier(model, labels, prompts)
    scores = lambda texts: np.array([one.scores for one in model.rank(texts, labels)])
    raw = np.array([[scores([p.replace("{{ text }}", text).strip()])[0] for p in prompts] for text in TEXTS[:3]])
    empty = np.array([[scores([p.replace("{{ text }}", text).strip()])[0] for p in prompts] for text in ("N/A", "[MASK]", "")])
    wanted = {"contextual": np.log(softmax(empty).mean(axis=0)), "pmi": empty[2], "batch": np.log(softmax(raw)).mean(axis=0)}
    for method, prior in wanted.items():
        q = softmax(np.log(softmax(raw - prior)).mean(axis=1))
        for fitted in (c.calibrate(TEXTS[:3], method=method), t0.Classifier(model, labels, prompts, calibration=method).fit(TEXTS[:3])):
            np.testing.assert_allclose(fitted.predict_proba(TEXTS[:3]), q, rtol=1e-7)
            assert fitted.calibration_ == method
        if method != "batch":
            assert (
                t0.Classifier(model, labels, prompts, calibration=method).predict_proba(TEXTS[:3]) == fitted.predict_proba(TEXTS[:3])
            ).all()
    found = t0.Classifier(model, labels, prompts, calibration="pmi", domain="Who keeps it?").predict_proba(TEXTS[:3])
    np.testing.assert_allclose(found, softmax(np.log(softmax(raw - scores(["Who keeps it?"])[0])).mean(axis=1)), rtol=1e-7)


@pytest.mark.parametrize("method", ["contextual", "pmi", "batch"])
def test_order_company_and_repetition_change_no_bit(model, method):
    c = t0.Classifier(model, NAMES, [ASK], calibration=method).fit(TEXTS)
    again = t0.Classifier(model, NAMES[::-1], [ASK], calibration=method).fit(TEXTS)
    wanted = c.predict_proba(TEXTS[:4])
    assert again.predict_proba(TEXTS[:4]).tobytes() == wanted.tobytes()
    assert np.concatenate([c.predict_proba([text]) for text in TEXTS[:4]]).tobytes() == wanted.tobytes()


def test_calibration_of_several_labels_a_text(model):
    c = t0.Classifier(model, ["tea", "milk"], multi_label=True)
    for method in ("contextual", "pmi", "batch"):
        found = c.calibrate(TEXTS[:3], method=method).predict_proba(TEXTS[:3])
        assert c.prior_.shape == (2, 3, 2) and ((found > 0) & (found < 1)).all()
    raw = t0.Classifier(model, ["tea"], "{{ text }} {{ label }}?", multi_label=True)
    odds = lambda p: np.log(p) - np.log1p(-p)
    before = odds(raw.predict_proba(TEXTS[:3])[:, 0])
    after = odds(raw.calibrate(TEXTS[:3]).predict_proba(TEXTS[:3])[:, 0])
    np.testing.assert_allclose(after, before - before.mean(), rtol=1e-7)


def test_what_calibration_needs(model):
    c = t0.Classifier(model, NAMES, ASK, calibration="batch")
    with pytest.raises(t0.DataError, match="calibration 'batch': texts without labels are needed"):
        c.predict(TEXTS)
    with pytest.raises(t0.DataError, match="calibration 'batch': texts without labels are needed"):
        c.calibrate([])
    with pytest.raises(t0.ConfigError, match="calibration 'bach': must be"):
        c.calibrate(TEXTS, method="bach")
    bare = "{{ text }}"
    with pytest.raises(t0.ConfigError, match="calibration 'pmi': the prompt 'wording' is empty without its text; domain= names"):
        t0.Classifier(model, NAMES, bare, calibration="pmi").predict(TEXTS)
    assert t0.Classifier(model, NAMES, bare, calibration="contextual").predict(TEXTS).shape == (len(TEXTS),)  # "N/A" and "[MASK]" serve
    with pytest.raises(t0.ConfigError, match=r"content_free \('',\): none gives the prompt 'wording' an input"):
        t0.Classifier(model, NAMES, bare, calibration="contextual", content_free=("",)).predict(TEXTS)
    with pytest.raises(t0.ConfigError, match="content_free 'N/A': must be a list of texts"):
        t0.Classifier(model, NAMES, ASK, calibration="contextual", content_free="N/A").predict(TEXTS)


def test_what_was_learned_for_other_labels_is_not_used(model):
    c = t0.Classifier(model, NAMES, ASK).calibrate(TEXTS)
    with pytest.raises(t0.ConfigError, match="have changed since fit or calibrate"):
        c.set_params(labels=["Anna", "Ben", "Kim"]).predict(TEXTS)
    assert c.fit(TEXTS).predict(TEXTS).shape == (len(TEXTS),)


# ---- with a few labels ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def doubtful():
    """(log q [B, 3], right [B, 3]) of a model that is too sure."""
    rng = np.random.default_rng(2)
    truth = rng.normal(0, 1.5, (400, 3))
    right = (softmax(truth).cumsum(axis=1) > rng.random((400, 1))).argmax(axis=1)
    return log_normalize(3 * truth + [0.5, 0, -0.5]), np.eye(3, dtype=bool)[right]


@pytest.mark.parametrize("apart", [False, True])
def test_temperature_is_the_best_there_is(doubtful, apart):
    logs, right = doubtful
    found = fit_tuner("temperature", logs, right, apart)

    rest = 1 / (len(logs) + 2)

    def loss(beta):
        if not apart:
            return -(np.where(right, 1 - rest, rest / 2) * np.log(softmax(beta * logs))).mean()
        odds, target = beta * (logs - np.log1p(-np.exp(logs))), np.where(right, 1 - rest, rest)
        return (target * np.logaddexp(0, -odds) + (1 - target) * np.logaddexp(0, odds)).mean()

    betas = np.exp(np.linspace(-3, 1, 2001))
    best = betas[np.argmin([loss(beta) for beta in betas])]
    assert found.beta == pytest.approx(best, rel=3e-3) and loss(found.beta) <= min(map(loss, betas)) + 1e-9
    assert found.temperature == 1 / found.beta and found.temperature > 2
    wanted = softmax(found.beta * logs) if not apart else 1 / (1 + np.exp(-found.beta * (logs - np.log1p(-np.exp(logs)))))
    np.testing.assert_allclose(np.exp(found.apply(logs)), wanted, rtol=1e-9)


@pytest.mark.parametrize("apart", [False, True])
def test_a_model_that_was_right_on_all_of_a_few_texts_is_not_certain_for_it(apart):
    logs, right = np.log([[0.9, 0.1]] * 5), np.array([[True, False]] * 5)
    assert np.exp(fit_tuner("temperature", logs, right, apart).apply(logs))[0, 0] == pytest.approx(6 / 7, rel=1e-6)
    assert np.exp(fit_tuner("platt", logs, right, apart).apply(logs))[0, 0] < 0.95


def test_platt_is_that_of_scikit_learn(doubtful):
    calibration = pytest.importorskip("sklearn.calibration")
    logs, right = doubtful
    found = fit_tuner("platt", logs, right, False)
    odds = logs - np.log1p(-np.exp(logs))
    for c in range(3):
        a, b = calibration._sigmoid_calibration(odds[:, c], right[:, c].astype(float))
        assert (found.a[c], found.b[c]) == (pytest.approx(-a, rel=1e-3), pytest.approx(-b, rel=1e-3, abs=1e-3))
    shares = 1 / (1 + np.exp(-(found.a * odds + found.b)))
    np.testing.assert_allclose(np.exp(found.apply(logs)), shares / shares.sum(axis=1, keepdims=True), rtol=1e-9)


def test_platt_ends_where_labels_are_apart_or_missing():
    logs, right = np.log([[0.9, 0.1], [0.2, 0.8], [0.99, 0.01]]), np.eye(2, dtype=bool)[[0, 1, 0]]
    for of in (right, np.eye(2, dtype=bool)[[0, 0, 0]]):
        found = np.exp(fit_tuner("platt", logs, of, False).apply(logs))
        assert np.isfinite(found).all() and (found > 0).all()


def test_isotonic_is_that_of_scikit_learn(doubtful):
    isotonic = pytest.importorskip("sklearn.isotonic")
    logs, right = doubtful
    found = np.exp(fit_tuner("isotonic", logs[:200], right[:200], False).apply(logs[200:]))
    shares = np.stack(
        [
            isotonic.IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
            .fit(np.exp(logs[:200, c]), right[:200, c])
            .predict(np.exp(logs[200:, c]))
            for c in range(3)
        ],
        axis=1,
    )
    np.testing.assert_allclose(found, shares / shares.sum(axis=1, keepdims=True), rtol=1e-9)


def test_isotonic_says_what_it_needs(model, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "sklearn.isotonic", None)
    with pytest.raises(t0.ConfigError, match="tune='isotonic' needs scikit-learn: pip install scikit-learn"):
        t0.Classifier(model, NAMES, ASK, tune="isotonic").fit(TEXTS, RIGHT)


@pytest.mark.parametrize("tune", ["temperature", "platt", "isotonic", "wordings"])
def test_fit_is_deterministic_and_leaves_the_model_alone(model, tune):
    if tune == "isotonic":
        pytest.importorskip("sklearn")
    before = model.score(TEXTS[:2], RIGHT[:2])
    ask = lambda labels: t0.Classifier(model, labels, [ASK, "{{ text }} Who?"], tune=tune, calibration="batch").fit(TEXTS, RIGHT)
    c = ask(NAMES)
    assert ask(NAMES[::-1]).predict_proba(TEXTS).tobytes() == c.predict_proba(TEXTS).tobytes()
    np.testing.assert_allclose(c.predict_proba(TEXTS).sum(axis=1), 1, rtol=1e-12)
    assert np.concatenate([c.predict_proba([text]) for text in TEXTS[:3]]).tobytes() == c.predict_proba(TEXTS[:3]).tobytes()
    assert (model.score(TEXTS[:2], RIGHT[:2]) == before).all()
    lists = [["Ben", "Tom"]] * 2
    np.testing.assert_allclose(c.predict_proba(TEXTS[:2], lists)[:, 0], 0)
    np.testing.assert_allclose(c.predict_proba(TEXTS[:2], lists).sum(axis=1), 1)


def test_tuning_of_several_labels_a_text(model):
    several = [[name, "Kim"] for name in RIGHT]
    for tune in ("temperature", "platt"):
        c = t0.Classifier(model, ["Anna", "Ben", "Tom", "Kim"], "{{ text }} Does {{ label }} keep the dog?", multi_label=True, tune=tune)
        found = c.fit(TEXTS, several).predict_proba(TEXTS)
        assert found.shape == (len(TEXTS), 4) and ((found >= 0) & (found <= 1)).all()
        report = c.report(TEXTS, several).statistics()
        assert report[1]["log_loss"] < report[0]["log_loss"]


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (RIGHT[:-1], f"y: {len(TEXTS) - 1} labels for {len(TEXTS)} texts"),
        ([*RIGHT[:-1], "Bn"], f"y\\[{len(TEXTS) - 1}\\]: 'Bn' is no label; did you mean 'Ben'"),
        ([*RIGHT[:-1], None], f"y\\[{len(TEXTS) - 1}\\]: is missing"),
        ([*RIGHT[:-1], float("nan")], f"y\\[{len(TEXTS) - 1}\\]: is missing"),
    ],
)
def test_labels_of_fit_that_cannot_serve(model, y, told):
    for tune in (None, "temperature"):
        with pytest.raises(t0.DataError, match=told):
            t0.Classifier(model, NAMES, ASK, tune=tune).fit(TEXTS, y)


def test_what_tuning_needs(model):
    c = t0.Classifier(model, NAMES, ASK, tune="temperature")
    for call in (lambda: c.fit(TEXTS), lambda: c.predict(TEXTS)):
        with pytest.raises(t0.ConfigError, match="tune='temperature' learns of labels"):
            call()
    with pytest.raises(t0.DataError, match="tune='wordings': 4 texts with labels; an honest split needs 10"):
        t0.Classifier(model, NAMES, ASK, tune="wordings").fit(TEXTS[:4], RIGHT[:4])
    with pytest.raises(t0.DataError, match="tune='isotonic': no text has the label Kim, which would never be given again"):
        t0.Classifier(model, [*NAMES, "Kim"], ASK, tune="isotonic").fit(TEXTS, RIGHT)


# ---- wordings -------------------------------------------------------------------------------------------------------------


def test_the_better_wordings_are_kept(model):
    prompts = [t0.Prompt("deaf", "{{ text[:4] }} Who?"), t0.Prompt("who", ASK), t0.Prompt("other", "{{ text }} Which one keeps the dog?")]
    c = t0.Classifier(model, NAMES, prompts, tune="wordings").fit(TEXTS, RIGHT)
    assert c.wording_weights_["deaf"] == 0.0 and c.wording_weights_["who"] == 1.0 and c.selection_.rows == len(TEXTS)
    assert c.score(TEXTS, RIGHT) == c.selection_.same >= c.selection_.honest > 0.9
    assert c.explain(TEXTS[0]).votes[0].weight == 0.0 and "deaf (left out)" in str(c.explain(TEXTS[0]))


def test_the_honest_accuracy_is_not_flattered():
    """Of wordings that are all as good as coins, the rows by which one is chosen say more than a half, those that took no part do not."""
    honest, same = [], []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = select_wordings(log_normalize(rng.normal(0, 1, (40, 8, 2))), rng.integers(0, 2, 40), "mean")
        honest.append(found.honest)
        same.append(found.same)
    error = np.std(honest) / np.sqrt(len(honest))
    assert abs(np.mean(honest) - 0.5) < 2 * error and np.mean(same) > 0.5 + 5 * error


def test_a_prior_is_learned_of_rows_that_do_not_judge():
    """Each row's scores carry its number: what `shares` may learn of never holds what it is asked to share out, unless that is all of it."""
    scores = np.arange(30.0)[:, None, None] + np.zeros((30, 3, 2))
    seen = []

    def shares(learned, others):
        seen.append((set(learned[:, 0, 0]), set(others[:, 0, 0])))
        return log_normalize(others)

    select_wordings(scores, np.arange(30) % 2, "mean", shares)
    assert all(learned == others or not learned & others for learned, others in seen)
    judged = [others for learned, others in seen if not learned & others and len(learned) == 24]
    assert len(judged) == 5 and set.union(*judged) == set(range(30))  # the five parts that judge


def test_the_choice_of_wordings_under_batch_calibration_learns_the_prior_of_its_own_rows(model, monkeypatch):
    asked = []
    monkeypatch.setattr(fitting, "batch_prior", lambda scores: asked.append(len(scores)) or batch_prior(scores))
    texts, right = TEXTS[:10], RIGHT[:10]
    t0.Classifier(model, NAMES, [ASK, "{{ text }} Who?"], tune="wordings", calibration="batch").fit(texts, right)
    assert asked.count(8) >= 5 and max(asked) == 10 and min(asked) < 8


# ---- reports --------------------------------------------------------------------------------------------------------------


def test_a_report_before_and_after(model, tmp_path):
    c = t0.Classifier(model, NAMES, ASK).calibrate(TEXTS)
    report = c.report(TEXTS, RIGHT)
    before, after = report.statistics()
    assert (before["stage"], after["stage"], after["n"]) == ("before", "after", len(TEXTS))
    place = np.array([sorted(NAMES).index(name) for name in RIGHT])
    for stage, found in ((before, t0.Classifier(model, NAMES, ASK).predict_proba(TEXTS)), (after, c.predict_proba(TEXTS))):
        assert stage["accuracy"] == (found.argmax(axis=1) == place).mean() and stage["ece"] == pytest.approx(ece_of(found, place))
        assert stage["brier"] == pytest.approx(((found - np.eye(3)[place]) ** 2).sum(axis=1).mean())
        assert stage["log_loss"] == pytest.approx(-np.log(found[np.arange(len(place)), place]).mean())
    assert "before" in str(report) and report.to_markdown().startswith("| stage |") and "after: accuracy of" in report.reliability()
    assert len(t0.Classifier(model, NAMES, ASK).report(TEXTS, RIGHT).statistics()) == 1


def test_the_picture_of_reliability(model, tmp_path):
    pytest.importorskip("matplotlib")
    report = t0.Classifier(model, NAMES, ASK).calibrate(TEXTS).report(TEXTS, RIGHT)
    ax = report.plot(tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    assert [text.get_text()[:6] for text in ax.get_legend().get_texts()] == ["as sur", "before", "after:"]


def test_ece_is_that_of_evaluations():
    rng = np.random.default_rng(3)
    p = softmax(rng.normal(0, 2, (300, 4)))
    right = np.eye(4, dtype=bool)[rng.integers(0, 4, 300)]
    found = Judged("before", p, right, np.ones(300, bool)).numbers()
    assert found["ece"] == pytest.approx(t0.metrics.METRICS["ece"].of_rows(list(np.log(p)), list(right.astype(float))), rel=1e-9)


def test_statistics_of_an_evaluation_have_brier(model):
    task = t0.mini.held_out_tasks()[0]
    report = t0.evaluate(model, task, limit=20, progress=False)
    found, values = report.statistics()[0], []
    for cell in report.cells:
        rows = report.examples(cell)
        values.append(
            np.mean([((softmax(np.array(row["scores"])) - [c == row["target"] for c in row["choices"]]) ** 2).sum() for row in rows])
        )
    assert found["brier"] == pytest.approx(np.median(values)) and 0 <= found["ece"] <= 1


def test_nothing_is_told_where_nothing_is_long(model, caplog):
    with caplog.at_level(logging.WARNING, "t0native"):
        t0.Classifier(model, NAMES, ASK).calibrate(TEXTS).report(TEXTS, RIGHT)
    assert caplog.text == ""
