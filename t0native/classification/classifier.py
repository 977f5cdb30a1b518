"""A zero-shot classifier: labels in words, one wording or several, probabilities, and a way to say "not sure".

    c = Classifier(model, ["sports", "politics"])         no training: the model ranks the labels of each text in each wording
    c.predict(texts);  c.predict_proba(texts);  c.explain(text)
    c.calibrate(texts, method="batch")                    without labels (calibration.py)
    Classifier(..., tune="temperature").fit(texts, y)     with a few (tuning.py, selection.py)

The equations stand in combining.py, calibration.py, tuning.py, selection.py and quality.py; the model is never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.errors import ConfigError
from t0native.base.foreign import hint_keywords
from t0native.classification.calibration import CONTENT_FREE
from t0native.classification.engine import Engine, Fitted, Settings
from t0native.classification.estimator import Estimator
from t0native.classification.explanation import Explanation, Vote
from t0native.classification.fitting import calibrated, check_tune, tuned, untrained
from t0native.classification.quality import ClassifierReport, Judged

if TYPE_CHECKING:  # of annotations alone
    from typing import Literal, Self

    from numpy.typing import ArrayLike, NDArray

    from t0native.base.annotations import Ranks

__all__ = ["Classifier"]


class Classifier(Estimator):
    """Texts in, labels with probabilities out, by one model and wordings. An estimator of scikit-learn where that is installed (Pipeline,
    GridSearchCV, CalibratedClassifierCV, clone, pickle), and the same without it.

    model: a Model, or what has its `rank`; a clone of the classifier has the same one, not a copy.  labels: words, or a mapping of labels
    (texts or whole numbers) to their words, a text or several.  prompts: None (our own for topics, sentiment or yes and no, as the words
    are), "topics", "sentiment" or "yes/no", a template ("{{ text }} Good or bad?"), a Prompt, several, a PromptSet, or the path of a
    templates.yaml: what stands before ||| is asked, with the labels' words as answer_choices.  combine: of wordings, "mean" of their
    log-probabilities, "median" of them, or "vote".  calibration: None, or what `fit` calibrates by: "contextual", "pmi", "batch".
    tune: None, or what `fit` learns of labels: "temperature", "platt", "isotonic" or "wordings".  multi_label: several labels a text, each
    asked for by itself; prompts print {{ label }}.  threshold: a smaller probability gives no label (None; of several labels a text a
    number or {label: number} from where a label is given, 0.5).  margin: a smaller lead over the second label gives none.  long_texts:
    "head", "tail" or "pieces" of a text with which an input would have more than max_input_length tokens; a warning tells how many.
    length_normalize: log-likelihoods a token.  content_free: inputs of "contextual".  domain: input of "pmi", unless the prompt without its
    text.  yes_no: the words of several labels a text.  batch_tokens: as Model.rank's.  progress: False for no bar.

    classes_ are the labels, sorted as scikit-learn has them, and so are the columns of `predict_proba`. No number depends on the order of
    labels, the company of a text, batches or threads. As scikit-learn has it, what cannot serve is told by the first method that is called,
    not here: ConfigError for arguments, DataError for texts and labels by their number.

    >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?")
    >>> texts = ["Anna keeps a cat. Ben keeps a dog.", "Ben keeps a cat. Anna keeps a dog."]
    >>> c.predict(texts).tolist(), c.predict_proba(texts).sum(axis=1).round(12).tolist()
    (['Ben', 'Anna'], [1.0, 1.0])
    """

    @hint_keywords
    def __init__(
        self,
        model: Ranks,
        labels: Any,
        prompts: Any = None,
        *,
        combine: Literal["mean", "median", "vote"] = "mean",
        calibration: Literal["contextual", "pmi", "batch"] | None = None,
        tune: Literal["temperature", "platt", "isotonic", "wordings", "adapter"] | None = None,
        multi_label: bool = False,
        threshold: float | Mapping[Any, float] | None = None,
        margin: float | None = None,
        long_texts: Literal["head", "tail", "pieces"] = "head",
        max_input_length: int = 1024,
        length_normalize: bool = False,
        content_free: Sequence[str] = CONTENT_FREE,
        domain: str | None = None,
        yes_no: Sequence[str] = ("Yes", "No"),
        batch_tokens: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.model, self.labels, self.prompts = model, labels, prompts
        self.combine, self.calibration, self.tune = combine, calibration, tune
        self.multi_label, self.threshold, self.margin = multi_label, threshold, margin
        self.long_texts, self.max_input_length, self.length_normalize = long_texts, max_input_length, length_normalize
        self.content_free, self.domain, self.yes_no = content_free, domain, yes_no
        self.batch_tokens, self.progress = batch_tokens, progress

    # ---- learning --------------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any = None) -> Self:
        """Checks texts and labels, calibrates and tunes as `calibration` and `tune` say; with neither it learns nothing. Returns itself;
        the same X and y give the same numbers, and the model is not changed.

        X: texts or rows.  y: a label of each, which tune= needs; of several labels a text lists of them, or an array of 0 and 1, [B, C].

        >>> texts = ["Anna keeps a cat. Ben keeps a dog.", "Ben keeps a cat. Anna keeps a dog."] * 4
        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?", tune="temperature")
        >>> c.fit(texts, ["Ben", "Anna"] * 4).tuner_.temperature > 1  # eight texts do not make it more certain
        True
        """
        engine, fitted = self._engine(), None
        texts = engine.read(X)
        right = None if y is None else engine.read_right(y, len(texts))
        if self.tune is not None and (right is None or not len(texts)):
            raise ConfigError(f"tune='{self.tune}' learns of labels: fit(X, y) with a label of each text")
        fitted = untrained(engine)
        if self.calibration is not None:
            fitted = calibrated(engine, fitted, self.calibration, texts)
        if self.tune is not None:
            fitted = tuned(engine, fitted, self.tune, texts, right)
        engine.tell_long()
        return self._keep(engine, fitted)

    def calibrate(self, X: Any = None, method: Literal["contextual", "pmi", "batch"] = "batch") -> Self:
        """Takes away what the model says of the labels whatever the text is; no labels are needed. Returns itself. What was tuned before is
        forgotten, for it was tuned to other numbers.

        X: texts, of which "batch" takes the mean; "contextual" and "pmi" need none.

        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?").calibrate(method="pmi")
        >>> c.prior_.shape, c.predict(["Anna keeps a cat. Ben keeps a dog."]).tolist()
        ((1, 2), ['Ben'])
        """
        engine = self._engine(method)
        fitted = calibrated(engine, untrained(engine), method, None if X is None else engine.read(X))
        engine.tell_long()
        return self._keep(engine, fitted)

    def _keep(self, engine, fitted):
        self.calibration_, self.prior_, self.tuner_, self.selection_ = fitted.calibration, fitted.prior, fitted.tuner, fitted.selection
        self.wording_weights_ = dict(zip([wording.name for wording in engine.wordings], fitted.weights.tolist()))
        self.fitted_to_ = _asked_of(engine)
        return self

    # ---- answers ---------------------------------------------------------------------------------------------------------

    @property
    def classes_(self) -> NDArray[Any]:
        """The labels, sorted: what the columns of `predict_proba` are, an array [C].

        >>> t0.Classifier(t0.Model.mini(), ["sports", "politics"]).classes_.tolist()
        ['politics', 'sports']
        """
        return self._engine().labels.array

    def predict_proba(self, X: Any, labels: Any = None) -> NDArray[np.float64]:
        """Probabilities, float64 [B, C], columns as classes_; rows sum to 1. Of several labels a text each is P(yes) by itself.

        labels: of each text the list of those that it may have; the others get 0.

        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben", "Tom"], "{{ text }} Who keeps the dog?")
        >>> c.predict_proba(["Anna keeps a cat. Ben keeps a dog."], [["Anna", "Tom"]])[0, 1].item()
        0.0
        """
        return self._answer(X, labels)[1]

    def predict_log_proba(self, X: Any, labels: Any = None) -> NDArray[np.float64]:
        """The logarithm of `predict_proba`.

        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who?")
        >>> (c.predict_log_proba(["Ben ran."]) <= 0).all().item()
        True
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X, labels))

    def predict(self, X: Any, labels: Any = None) -> NDArray[Any]:
        """The label of each text: an array [B] of labels, with None where it abstains. Of several labels a text an array [B, C] of 0 and 1,
        as scikit-learn has them. labels: as `predict_proba`'s.

        >>> c = t0.Classifier(t0.Model.mini(), {0: "Anna", 1: "Ben"}, "{{ text }} Who keeps the dog?")
        >>> c.predict(["Anna keeps a cat. Ben keeps a dog."]).tolist()
        [1]
        """
        engine, probabilities = self._answer(X, labels)
        if self.multi_label:
            return (probabilities >= engine.thresholds).astype(np.int64)
        given = [answer["label"] for answer in engine.answers(probabilities)]
        if self.threshold is None and self.margin is None:
            return np.array(given, engine.labels.array.dtype)
        out = np.empty(len(given), object)
        out[:] = given
        return out

    def classify(self, X: Any, labels: Any = None) -> Iterator[dict[str, Any]]:
        """A dict a text, one after the other: label (of several labels a text a list; None where it abstains), probability, margin,
        abstained, probabilities {label: probability}.

        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?", margin=0.1)
        >>> answer = next(c.classify(["Anna keeps a cat. Ben keeps a dog."]))
        >>> answer["label"], answer["abstained"], list(answer)[-1]
        ('Ben', False, 'probabilities')
        """
        engine, fitted = self._ready()
        texts = engine.read(X)
        among = engine.read_among(labels, len(texts))
        return self._in_parts(engine, fitted, texts, among)

    def _in_parts(self, engine, fitted, texts, among):
        for probabilities in engine.all_probabilities(texts, among, fitted):
            for answer, row in zip(engine.answers(probabilities), probabilities):
                yield answer | {"probabilities": dict(zip(engine.labels.names, row.tolist()))}
        engine.tell_long()

    def explain(self, text: Any, labels: Any = None) -> Explanation:
        """Why one text gets its label: an Explanation with each wording's vote, the scores of the labels and how far each lies behind the
        best; print it. text: a text or a row.  labels: those that it may have.

        >>> found = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?").explain("Anna naps. Ben keeps a dog.")
        >>> found.label, found.votes[0].label, found.votes[0].differences["Ben"]
        ('Ben', 'Ben', 0.0)
        """
        engine, fitted = self._ready()
        (item,) = engine.read([text])
        among = engine.read_among(None if labels is None else [labels], 1)
        scores = engine.score([item], among).scores
        probabilities = engine.probabilities(scores, fitted)
        (answer,) = engine.answers(probabilities)
        votes = self._votes(engine, fitted, item, scores, None if among is None else among[0])
        engine.tell_long()
        return Explanation(item, **answer, probabilities=dict(zip(engine.labels.names, probabilities[0].tolist())), votes=votes)

    def _votes(self, engine, fitted, item, scores, among):
        shares = engine.log_shares(scores, fitted.prior)
        if not self.multi_label:
            words = engine.labels.shown if among is None else [engine.labels.shown[c] for c in among]
            return _votes_of(engine, fitted, engine.inputs(item, words), engine.labels.names, scores[0], shares[0])
        no_yes = [self.yes_no[1], self.yes_no[0]]
        return {
            name: _votes_of(engine, fitted, engine.inputs(item, no_yes, word), no_yes, scores[i], shares[i])
            for i, (name, word) in enumerate(zip(engine.labels.names, engine.labels.shown))
        }

    # ---- how good --------------------------------------------------------------------------------------------------------

    def report(self, X: Any, y: Any) -> ClassifierReport:
        """How right the classifier is on texts with labels, and how far its probabilities can be believed, before calibration and after:
        accuracy, ECE, Brier; `statistics()`, `plot()`, `reliability()`. Texts that it was fitted on flatter it.

        >>> texts = ["Anna keeps a cat. Ben keeps a dog.", "Ben keeps a cat. Anna keeps a dog."] * 5
        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?").calibrate(texts)
        >>> [(stage["stage"], stage["accuracy"]) for stage in c.report(texts, ["Ben", "Anna"] * 5).statistics()]
        [('before', 1.0), ('after', 1.0)]
        """
        engine, fitted = self._ready()
        texts = engine.read(X)
        right = engine.read_right(y, len(texts))
        if not len(texts):
            raise ConfigError("report: no texts")
        scores = engine.score(texts).scores
        stages, before = [], untrained(engine)
        for name, state in (("before", before), ("after", fitted)):
            if name == "after" and fitted.prior is None and fitted.tuner is None and fitted.selection is None:
                continue
            found = engine.probabilities(scores, state)
            given = np.array([not answer["abstained"] for answer in engine.answers(found)], bool)
            stages.append(Judged(name, found, right, given, self.multi_label))
        engine.tell_long()
        return ClassifierReport(stages)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None) -> float:
        """Share of the texts whose label is right (of several labels a text: all of them); one that abstains is not.

        >>> c = t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?")
        >>> c.score(["Anna keeps a cat. Ben keeps a dog."], ["Ben"])
        1.0
        """
        engine, given = self._engine(), self.predict(X)
        right = engine.read_right(y, len(given))
        if self.multi_label:
            hits = (given == right).all(axis=1)
        else:
            hits = np.array([name is not None and of_one[engine.labels.place[name]] for name, of_one in zip(given.tolist(), right)], bool)
        return float(np.average(hits, weights=sample_weight))

    # ---- inside ----------------------------------------------------------------------------------------------------------

    def _engine(self, calibration=None):
        check_tune(self.tune)
        named = {name: getattr(self, name) for name in Settings._fields}
        if calibration is not None:
            named["calibration"] = calibration
        return Engine(self.model, self.labels, self.prompts, Settings(**named))

    def _ready(self):
        """(the Engine, what was learned for it). ConfigError where that was for other labels or prompts, or is needed and was not."""
        engine = self._engine()
        if hasattr(self, "fitted_to_"):
            if self.fitted_to_ != _asked_of(engine):
                raise ConfigError("labels, prompts or how they are asked have changed since fit or calibrate: call it again")
            weights = np.array(list(self.wording_weights_.values()))
            return engine, Fitted(self.calibration_, self.prior_, weights, self.tuner_, self.selection_)
        if self.tune is not None:
            raise ConfigError(f"tune='{self.tune}' learns of labels: call fit(X, y) first")
        fitted = untrained(engine)
        return engine, fitted if self.calibration is None else calibrated(engine, fitted, self.calibration, None)

    def _answer(self, X, labels):
        engine, fitted = self._ready()
        texts = engine.read(X)
        parts = list(engine.all_probabilities(texts, engine.read_among(labels, len(texts)), fitted))
        engine.tell_long()
        return engine, np.concatenate(parts) if parts else np.empty((0, len(engine.labels.names)))

    def __sklearn_is_fitted__(self) -> bool:
        """True: it answers without fit, unless it is to learn something there."""
        return hasattr(self, "fitted_to_") or (self.tune is None and self.calibration != "batch")


def _asked_of(engine):
    """What a prior and weights belong to."""
    wordings = [(wording.name, wording.prompt.jinja) for wording in engine.wordings]
    settings = engine.settings
    return [
        list(zip(engine.labels.names, engine.labels.words, engine.labels.shown)),
        wordings,
        tuple(settings.yes_no) if settings.multi_label else None,
        settings.length_normalize,
        settings.combine,
    ]


def _votes_of(engine, fitted, inputs, names, scores, shares):
    """A Vote a wording. scores, shares: [W, C]."""
    votes = []
    for w, wording in enumerate(engine.wordings):
        asked = [c for c in range(len(names)) if np.isfinite(scores[w, c])]
        best = max(asked, key=lambda c: (shares[w, c], -c))  # noqa: B023 - called here
        of = lambda values: {names[c]: float(values[c]) for c in asked}  # noqa: E731, B023
        votes.append(
            Vote(
                wording.name, names[best], inputs[w], of(scores[w]), of(np.exp(shares[w])), of(shares[w] - shares[w, best]),
                float(fitted.weights[w]),
            )
        )  # fmt: skip
    return votes
