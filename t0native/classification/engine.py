"""A model, labels and wordings made ready: texts in, probabilities out. What a classifier has learned comes beside them, as a Fitted.

    texts --read--> items --score--> tables [B, W, C] --prior, combine--> log q [B, C] --tuner--> probabilities --decide--> answers

Of several labels a text an item is a text and a label, and C is 2 (no, yes), until the wordings are combined: then column c is
log q of "label c is one of the text's"."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.base.arguments import FLAG, check, number, whole
from t0native.base.errors import ConfigError, DataError
from t0native.base.progress import BAR_DELAY, Progress
from t0native.base.showing import shown
from t0native.classification.calibration import CALIBRATIONS, without_prior
from t0native.classification.combining import COMBINE, combine, decide
from t0native.classification.labels import Labels, read_labels
from t0native.classification.lengths import LONG_TEXTS, Shortener, token_counter
from t0native.classification.tables import Item, Scored, score_items
from t0native.classification.texts import read_texts, row_of
from t0native.classification.wordings import Wording, read_wordings
from t0native.text.sequences import as_list

__all__ = ["Engine", "Fitted", "Settings"]
_log = logging.getLogger("t0native")

Floats = NDArray[np.float64]
SHARE = number(lambda value: 0 <= value <= 1, "a number from 0 to 1")
PART, MOST = 4_000_000, 4096  # scores, and texts, of a part
HALF = 0.5  # from where a label is one of the text's, where nothing else is asked for


class Settings(NamedTuple):
    """What a Classifier is made with beside its model, labels and prompts; its docstring tells each."""

    combine: str = "mean"
    calibration: str | None = None
    multi_label: bool = False
    threshold: Any = None
    margin: float | None = None
    long_texts: str = "head"
    max_input_length: int = 1024
    length_normalize: bool = False
    content_free: Sequence[str] = ("N/A", "[MASK]", "")
    domain: str | None = None
    yes_no: Sequence[str] = ("Yes", "No")
    batch_tokens: int | None = None
    progress: bool | None = None


class Fitted(NamedTuple):
    """What was learned. calibration: the method, or None.  prior: [W, C]; of several labels a text [C, W, 2]; or None.  weights: of the
    wordings, [W].  tuner: with apply(log q), or None.  selection: how wordings were chosen, or None."""

    calibration: str | None
    prior: Floats | None
    weights: Floats
    tuner: Any = None
    selection: Any = None


class Engine:
    """model: a Model, or what has its `rank`.  labels, prompts: as Classifier's.  ConfigError for each that cannot serve."""

    def __init__(self, model: Any, labels: Any, prompts: Any, settings: Settings) -> None:
        if not hasattr(model, "rank"):
            raise ConfigError(f"model {shown(model)}: must be a Model, which has rank; Model.from_pretrained(folder) loads one")
        self.model, self.settings = model, settings
        self._check_settings()
        self.labels: Labels = read_labels(labels, 1 if settings.multi_label else 2, getattr(model, "tokenizer", None))
        self.wordings: list[Wording] = read_wordings(prompts, self.labels.shown, settings.multi_label)
        self.thresholds = self._read_thresholds()
        self._shortener = Shortener(token_counter(model), settings.max_input_length, settings.long_texts)
        self._words, self._shown = self._choices()
        self.asked = self.long = 0

    def _check_settings(self):
        settings = self.settings
        check(COMBINE, "combine", settings.combine)
        check(CALIBRATIONS.or_none(), "calibration", settings.calibration)
        check(LONG_TEXTS, "long_texts", settings.long_texts)
        check(whole(1), "max_input_length", settings.max_input_length)
        for name in ("multi_label", "length_normalize"):
            check(FLAG, name, getattr(settings, name))
        check(SHARE.or_none(), "margin", settings.margin)
        if settings.multi_label and settings.margin is not None:
            raise ConfigError("margin: is between a text's best two labels; with multi_label=True each label has its threshold")

    def _choices(self):
        """(the words of each choice, what stands for it in a text): of the labels, or of no and yes."""
        if not self.settings.multi_label:
            return self.labels.words, self.labels.shown
        yes_no = self.settings.yes_no
        if isinstance(yes_no, str) or len(yes_no) != 2:
            raise ConfigError(f"yes_no {shown(yes_no)}: must be two texts, the words for yes and for no")
        read = read_labels({0: yes_no[1], 1: yes_no[0]}, 2, getattr(self.model, "tokenizer", None))
        return read.words, read.shown

    def _read_thresholds(self):
        """A threshold, or None; of several labels a text one of each, [C]."""
        given = self.settings.threshold
        if not self.settings.multi_label:
            return check(SHARE.or_none(), "threshold", given)
        if not isinstance(given, Mapping):
            return np.full(len(self.labels.names), HALF if given is None else check(SHARE, "threshold", given), np.float64)
        of_each = np.full(len(self.labels.names), HALF)
        for name, value in given.items():
            of_each[self.labels.find("threshold", name)] = check(SHARE, f"threshold of {shown(name)}", value)
        return of_each

    # ---- texts and labels ------------------------------------------------------------------------------------------------

    def read(self, X: Any) -> list[Any]:
        """Texts and rows, checked."""
        return read_texts(X, self.wordings)

    def read_among(self, among: Any, n: int) -> list[tuple[int, ...]] | None:
        """Of each of n texts the numbers of the labels that it may have, or None for all. ConfigError for what is none of that."""
        if among is None:
            return None
        if self.settings.multi_label:
            raise ConfigError("labels: of several labels a text each is asked for by itself; leave out what a text is not to have")
        lists = as_list("labels", among)
        if len(lists) != n or any(isinstance(of_one, str) for of_one in lists):
            raise ConfigError(f"labels: {len(lists)} given; a list of labels for each of the {n} texts is needed")
        read = []
        for i, of_one in enumerate(lists):
            numbers = sorted({self.labels.find(f"labels of text {i}", name) for name in of_one})
            if not numbers:
                raise DataError(f"labels of text {i}: there are none")
            read.append(tuple(numbers))
        return read

    def read_right(self, y: Any, n: int) -> NDArray[np.bool_]:
        """Whether a label is one of the text's, bool [B, C], of y. DataError for labels that are not there or missing."""
        rows = y.tolist() if hasattr(y, "tolist") else list(as_list("y", y))
        if len(rows) != n:
            raise DataError(f"y: {len(rows)} labels for {n} texts: there must be one for each")
        right = np.zeros((n, len(self.labels.names)), bool)
        for i, value in enumerate(rows):
            if not self.settings.multi_label:
                value = value[0] if isinstance(value, list) and len(value) == 1 else value
                right[i, self.labels.find(f"y[{i}]", value)] = True
            elif isinstance(y, np.ndarray) and y.ndim == 2:
                right[i] = self._of_indicator(i, value)
            else:
                for name in [value] if isinstance(value, (str, int)) else as_list(f"y[{i}]", value):
                    right[i, self.labels.find(f"y[{i}]", name)] = True
        return right

    def _of_indicator(self, i, row):
        if len(row) != len(self.labels.names) or any(value not in (0, 1) for value in row):
            raise DataError(f"y[{i}]: {shown(row)}; an array of y has 0 or 1 for each of the {len(self.labels.names)} labels, sorted")
        return np.array(row, bool)

    # ---- scores ----------------------------------------------------------------------------------------------------------

    def score(self, texts: Iterable[Any], among: Any = None, what: str = "classify", progress: Any = None, wordings: Any = None) -> Scored:
        """The Scored of texts: [B, W, C], or of several labels a text [B x labels, W, 2]. progress(texts done); None: a bar where it
        lasts.  wordings: others than the engine's."""
        texts, wordings = list(texts), self.wordings if wordings is None else wordings
        per = len(self.labels.names) if self.settings.multi_label else 1
        if self.settings.multi_label:
            items = [Item(i, text, label) for i, text in enumerate(texts) for label in self.labels.shown]
        else:
            items = [Item(i, text, None, None if among is None else among[i]) for i, text in enumerate(texts)]
        ranking = {} if self.settings.batch_tokens is None else {"batch_tokens": self.settings.batch_tokens}
        if self._shortener.counts:
            ranking["max_input_length"] = self.settings.max_input_length
        on = progress is None and self.settings.progress is not False
        with Progress(what, len(texts), on=on, delay=BAR_DELAY) as bar:
            tell = (lambda done: bar.update(done // per)) if progress is None else (lambda done: progress(done // per))
            scored = score_items(
                self.model, items, wordings, self._words, self._shown, self._shortener, self.settings.length_normalize, ranking, tell
            )
        self.asked, self.long = self.asked + len(items) * len(wordings), self.long + scored.long
        return scored

    def tell_long(self) -> None:
        """One line about inputs that were too long, since it was told last."""
        if self.long:
            what = {
                "head": "the texts' ends were cut",
                "tail": "the texts' beginnings were cut",
                "pieces": "the texts were asked in pieces",
            }
            settings = self.settings
            _log.warning(
                "%d of %d inputs had more than %d tokens: %s (long_texts='%s')", self.long, self.asked, settings.max_input_length,
                what[settings.long_texts], settings.long_texts,
            )  # fmt: skip
        self.asked = self.long = 0

    # ---- probabilities ---------------------------------------------------------------------------------------------------

    def log_shares(self, scores: Floats, prior: Floats | None) -> Floats:
        """Log-probabilities [B, W, C], or [B x labels, W, 2], without the prior."""
        if prior is not None and self.settings.multi_label:
            prior = np.tile(prior, (len(scores) // len(prior), 1, 1))
        return without_prior(scores, prior)

    def combine(self, scores: Floats, fitted: Fitted) -> Floats:
        """log q [B, C] of scores."""
        logs = combine(self.log_shares(scores, fitted.prior), self.settings.combine, fitted.weights)
        return logs[:, 1].reshape(-1, len(self.labels.names)) if self.settings.multi_label else logs

    def probabilities(self, scores: Floats, fitted: Fitted) -> Floats:
        """[B, C]; rows sum to 1 but of several labels a text."""
        logs = self.combine(scores, fitted)
        if fitted.tuner is not None:
            logs = fitted.tuner.apply(logs)
            logs = _among(logs, np.isneginf(scores).all(axis=1)) if self._some_left_out(scores) else logs
        shares = np.exp(logs)
        return shares if self.settings.multi_label else shares / shares.sum(axis=1, keepdims=True)

    def all_probabilities(self, texts: list[Any], among: Any, fitted: Fitted) -> Iterator[Floats]:
        """[part, C] of parts of the texts, one after the other, so that no more scores than PART are held; among: of `read_among`."""
        size = max(1, min(MOST, PART // (len(self.labels.names) * len(self.wordings))))
        with Progress("classify", len(texts), on=self.settings.progress is not False, delay=BAR_DELAY) as bar:
            for first in range(0, len(texts), size):
                part = slice(first, first + size)
                tell = lambda done: bar.update(first + done)  # noqa: E731, B023 - called in this round
                yield self.probabilities(self.score(texts[part], among and among[part], progress=tell).scores, fitted)

    def _some_left_out(self, scores):
        return not self.settings.multi_label and bool(np.isneginf(scores).any())

    def inputs(self, text: Any, words: list[str], label: str | None = None) -> list[list[str]]:
        """What the model reads of a text in each wording, one a piece. label: what the field `label` is."""
        rows = [row_of(text, wording) for wording in self.wordings]
        rows = rows if label is None else [{**row, "label": label} for row in rows]
        return [self._shortener.inputs(wording, row, words)[0] for wording, row in zip(self.wordings, rows)]

    def answers(self, probabilities: Floats) -> list[dict[str, Any]]:
        """A dict a text: label (of several labels a text a list, by their probability), probability, margin, abstained; of several labels a
        text the probability is that of the least sure of the answers, and margin is how far that lies from its threshold."""
        if self.settings.multi_label:
            return [self._several(row) for row in probabilities]
        best, top, lead, abstained = decide(probabilities, self.thresholds, self.settings.margin)
        facts = zip(best.tolist(), top.tolist(), lead.tolist(), abstained.tolist())
        return [{"label": None if no else self.labels.names[i], "probability": p, "margin": m, "abstained": no} for i, p, m, no in facts]

    def _several(self, row):
        given = row >= self.thresholds
        order = np.argsort(-row, kind="stable")
        sure, far = np.where(given, row, 1 - row), np.abs(row - self.thresholds)
        least = int(np.argmin(far))
        return {
            "label": [self.labels.names[i] for i in order.tolist() if given[i]],
            "probability": float(sure[least]),
            "margin": float(far[least]),
            "abstained": False,
        }


def _among(logs, left_out):
    """log q [B, C] without the labels that are left out, bool [B, C]; where that leaves no probability, the others have the same."""
    logs = np.where(left_out, -np.inf, logs)
    return np.where(np.isneginf(logs).all(axis=1, keepdims=True) & ~left_out, 0.0, logs)
