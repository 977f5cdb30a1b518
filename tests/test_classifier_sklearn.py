"""The classifier as scikit-learn sees it: its checks, clones, pickles, pipelines, grids, calibration; and without scikit-learn."""

import copy
import os
import pickle
import subprocess
import sys
import unittest
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import needed
from dog_rows import ASK, NAMES, RIGHT, TEXTS

import t0native as t0
from t0native.classification.estimator import _Alone

sklearn = needed("sklearn", "pip install scikit-learn", module_level=True)
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier  # noqa: E402
from sklearn.calibration import CalibratedClassifierCV  # noqa: E402
from sklearn.model_selection import GridSearchCV, cross_val_score  # noqa: E402
from sklearn.pipeline import Pipeline, make_pipeline  # noqa: E402
from sklearn.preprocessing import FunctionTransformer  # noqa: E402
from sklearn.utils.estimator_checks import estimator_checks_generator  # noqa: E402


@pytest.fixture(scope="module")
def model():
    return t0.Model.mini()


# ---- scikit-learn's own checks --------------------------------------------------------------------------------------------


class Numbers:
    """A model for the numbers of scikit-learn's checks: a text is "x0 x1 ...", a label a word of digits; both are turned into scores."""

    def rank(self, inputs, choices, progress=None):
        rows = [[float(word) for word in text.split() if word.lstrip("-").replace(".", "", 1).isdigit()] for text in inputs]
        return [
            SimpleNamespace(scores=np.array([np.cos(sum(row) + len(c) + sum(map(ord, c))) for c in of]), lengths=np.ones(len(of)))
            for row, of in zip(rows, choices)
        ]

    def __deepcopy__(self, memo):
        return self


class OfNumbers(t0.Classifier):
    """A classifier whose texts are rows of numbers and whose labels are those of y, for the checks bring both: what is left is ours."""

    def __init__(self, model=Numbers(), labels=None, prompts="{{ text }}"):  # noqa: B008 - the same for all, as a loaded model is
        super().__init__(model, labels, prompts)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.requires_fit, tags.target_tags.required, tags.no_validation = True, True, True, False
        return tags

    def _engine(self, calibration=None):
        own = copy.copy(self)
        own.labels = {int(name) if isinstance(name, float) else name: f"l{name}" for name in self.names_}
        return super(OfNumbers, own)._engine(calibration)

    def fit(self, X, y=None):
        from sklearn.utils.multiclass import check_classification_targets
        from sklearn.utils.validation import validate_data

        X, y = validate_data(self, X, y)
        check_classification_targets(y)
        self.names_ = np.unique(y).tolist()
        if len(self.names_) < 2:
            raise ValueError("y has one class")
        return super().fit(texts_of(X), y)

    def predict(self, X, labels=None):
        return super().predict(self._texts(X))

    def predict_proba(self, X, labels=None):
        return super().predict_proba(self._texts(X))

    def _texts(self, X):
        from sklearn.utils.validation import check_is_fitted, validate_data

        if isinstance(X, list) and X and isinstance(X[0], str):
            return X
        check_is_fitted(self, "names_")
        return texts_of(validate_data(self, X, reset=False))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "names_")


def texts_of(X):
    return [" ".join(f"{value:.6f}" for value in row) for row in np.asarray(X, float)]


INAPPLICABLE = {  # check -> why
    "check_parameters_default_constructible": "a classifier has no default model and labels; those of this test are no plain values",
    "check_classifiers_train": "it asks for 83 % accuracy after learning; fit learns nothing of a model that ranks words",
}


def test_checks_of_scikit_learn():
    failed = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checks = list(estimator_checks_generator(OfNumbers()))
        for estimator, check in checks:
            name = check.func.__name__ if hasattr(check, "func") else check.__name__
            try:
                check(estimator)
            except unittest.SkipTest:
                pass
            except Exception as error:  # noqa: BLE001 - whatever it says
                failed[name] = f"{type(error).__name__}: {error}"
    assert len(checks) > 40
    assert {name: told for name, told in failed.items() if name not in INAPPLICABLE} == {}
    assert set(INAPPLICABLE) == set(failed), "a check that applies now: take it out of the table"


def test_without_the_stand_in_only_the_kind_of_input_keeps_checks_away(model):
    with pytest.warns(Warning, match="Can't test estimator Classifier which requires input"):
        checks = [check.func.__name__ for _, check in estimator_checks_generator(t0.Classifier(model, NAMES))]
    assert checks == ["check_estimator_cloneable"]


# ---- clones, pickles ------------------------------------------------------------------------------------------------------


def test_it_is_an_estimator(model):
    c = t0.Classifier(model, NAMES, ASK)
    assert isinstance(c, BaseEstimator) and isinstance(c, ClassifierMixin) and is_classifier(c)
    assert c.get_params()["combine"] == "mean" and c.set_params(combine="vote").combine == "vote"
    with pytest.raises(ValueError, match="combin"):
        c.set_params(combin="vote")
    assert "combine='vote'" in repr(c)


def test_a_clone_has_the_same_model_and_nothing_that_was_learned(model):
    c = t0.Classifier(model, NAMES, [t0.Prompt("p", ASK)], tune="temperature").fit(TEXTS, RIGHT)
    for again in (clone(c), clone(clone(c))):
        assert again.model is model and again.model.core is model.core and not hasattr(again, "tuner_")
        assert again.get_params().keys() == c.get_params().keys() and again.prompts == c.prompts
        assert again.fit(TEXTS, RIGHT).predict_proba(TEXTS).tobytes() == c.predict_proba(TEXTS).tobytes()
    assert copy.deepcopy(c).model is model


def test_a_pickled_one_gives_the_same_bits(tmp_path):
    t0.Model.mini().save(tmp_path / "m")
    model = t0.Model.from_pretrained(tmp_path / "m")
    for tune in (None, "temperature", "platt", "isotonic", "wordings"):
        c = t0.Classifier(model, NAMES, [ASK, "{{ text }} Who?"], tune=tune, calibration="batch").fit(TEXTS, RIGHT)
        data = pickle.dumps(c)
        assert len(data) < 300_000  # the model by its place
        assert pickle.loads(data).predict_proba(TEXTS).tobytes() == c.predict_proba(TEXTS).tobytes()


# ---- pipelines, grids, calibration ----------------------------------------------------------------------------------------


def test_pipelines(model):
    strip = FunctionTransformer(lambda texts: [text.strip() for text in texts])
    pipe = make_pipeline(strip, t0.Classifier(model, NAMES, ASK)).fit([f"  {text} " for text in TEXTS])
    assert pipe.classes_.tolist() == NAMES and pipe.score(TEXTS, RIGHT) == t0.Classifier(model, NAMES, ASK).score(TEXTS, RIGHT)
    named = Pipeline([("label", t0.Classifier(model, NAMES, ASK))]).set_params(label__combine="vote")
    assert named.predict_proba(TEXTS).shape == (len(TEXTS), 3)


def test_a_grid_over_wordings(model):
    deaf, good = t0.Prompt("deaf", "{{ text[:4] }} Who?"), t0.Prompt("good", ASK)
    grid = {"prompts": [[deaf], [good], [deaf, good], "{{ text }} Which one?"], "calibration": [None, "batch"]}
    for scoring in ("accuracy", "neg_log_loss"):
        found = GridSearchCV(t0.Classifier(model, NAMES), grid, cv=2, scoring=scoring, error_score="raise").fit(TEXTS, RIGHT)
        assert found.best_params_["prompts"] != [deaf] and found.best_estimator_.model is model
        assert found.predict(TEXTS[:2]).tolist() == RIGHT[:2]
    alone = t0.Classifier(model, NAMES, [good]).predict_proba(TEXTS)
    place = [sorted(NAMES).index(name) for name in RIGHT]
    found = cross_val_score(t0.Classifier(model, NAMES[::-1], [good]), TEXTS, RIGHT, cv=2, scoring="neg_log_loss").mean()
    assert found == pytest.approx(np.log(alone[np.arange(len(place)), place]).mean(), rel=1e-6)  # columns are as it takes them


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibrated_by_scikit_learn(model, method):
    c = CalibratedClassifierCV(t0.Classifier(model, NAMES, ASK), method=method, cv=2).fit(TEXTS, RIGHT)
    found = c.predict_proba(TEXTS)
    assert found.shape == (len(TEXTS), 3) and c.classes_.tolist() == NAMES
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (c.predict(TEXTS) == np.array(RIGHT)).mean() > 0.9


# ---- without scikit-learn -------------------------------------------------------------------------------------------------


def test_without_scikit_learn(tmp_path):
    code = f"""
import sys
sys.modules["sklearn"] = None
import copy, pickle
import t0native as t0
texts, right = {TEXTS!r}, {RIGHT!r}
c = t0.Classifier(t0.Model.mini(), {NAMES!r}, {ASK!r}, tune="temperature", calibration="batch").fit(texts, right)
again = pickle.loads(pickle.dumps(c))
assert (again.predict_proba(texts) == c.predict_proba(texts)).all() and copy.deepcopy(c).model is c.model
assert c.get_params()["tune"] == "temperature" and c.score(texts, right) > 0.9 and c.set_params(combine="vote").combine == "vote"
try:
    c.set_params(combin="vote")
except t0.ConfigError as error:
    print(error)
print(repr(c)[:30])
print(c.fit(texts, right).predict_proba(texts)[:2].tolist())
"""
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0] == "set_params: no parameter 'combin'; did you mean 'combine'?" and told[1].startswith("Classifier(batch_tokens=None")
    c = t0.Classifier(t0.Model.mini(), NAMES, ASK, tune="temperature", calibration="batch", combine="vote").fit(TEXTS, RIGHT)
    assert told[2] == str(c.predict_proba(TEXTS)[:2].tolist())


def test_the_stand_in_has_the_parameters_of_scikit_learn(model):
    assert _Alone._names.__func__(t0.Classifier) == sorted(t0.Classifier(model, NAMES).get_params())
