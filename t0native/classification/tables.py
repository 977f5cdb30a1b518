"""Tables of scores: what a model says of each label, of each text, in each wording.

    s[b, w, c] = mean over pieces of  log mean over words of  p(words of c | wording w with piece of text b)       float64 [B, W, C], nats
    several labels a text:  items are (text, label), and C is 2: no, yes

A label that a text is not to have is -inf; of those that it may have every score is finite, or the text is refused: of a label's words some
may be impossible (-inf), not all. All inputs of a call go to the model together, as far as memory stays small: no score depends on
which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.classification.lengths import Shortener
from t0native.classification.texts import row_of
from t0native.classification.wordings import Wording

__all__ = ["Item", "Scored", "score_items"]

AT_ONCE = 200_000  # choices of one call of the model


class Item(NamedTuple):
    """What is scored.  number: of the text, as errors name it.  text: a text or a row.  label: what the wording's field `label` is, or
    None.  among: the numbers of the choices, or None for all."""

    number: int
    text: Any
    label: str | None = None
    among: tuple[int, ...] | None = None


class Scored(NamedTuple):
    """scores: float64 [B, W, C].  pieces: int64 [B, W].  long: how many (item, wording) were too long."""

    scores: NDArray[np.float64]
    pieces: NDArray[np.int64]
    long: int


class _Asked(NamedTuple):
    item: int
    number: int
    wording: int
    inputs: list[str]
    choices: list[str]
    among: tuple[int, ...]


def score_items(
    model: Any,
    items: Sequence[Item],
    wordings: Sequence[Wording],
    words: Sequence[tuple[str, ...]],
    shown: Sequence[str],
    shortener: Shortener,
    normalize: bool,
    ranking: dict[str, Any],
    tell: Callable[[int], object],
) -> Scored:
    """words: of each choice.  shown: what stands for each in a wording.  normalize: whether scores are divided by their tokens.  ranking:
    keywords of model.rank.  tell(items done). Errors as Model.rank's; DataError names the text."""
    scores = np.full((len(items), len(wordings), len(words)), -np.inf)
    pieces, long, at_hand, choices = np.ones((len(items), len(wordings)), np.int64), 0, [], 0
    everything = tuple(range(len(words))), [text for of_one in words for text in of_one]
    for i, item in enumerate(items):
        among = everything[0] if item.among is None else item.among
        flat = everything[1] if item.among is None else [text for c in among for text in words[c]]
        for w, wording in enumerate(wordings):
            row = row_of(item.text, wording)
            try:
                inputs, cut = shortener.inputs(
                    wording, row if item.label is None else {**row, "label": item.label}, [shown[c] for c in among]
                )
            except DataError as error:
                raise DataError(f"text {item.number}: {error}") from None
            pieces[i, w], long, choices = len(inputs), long + cut, choices + len(inputs) * len(flat)
            at_hand.append(_Asked(i, item.number, w, inputs, flat, among))
        if choices >= AT_ONCE or i + 1 == len(items):
            _fill(scores, model, at_hand, words, normalize, ranking)
            at_hand, choices = [], 0
            tell(i + 1)
    return Scored(scores, pieces, long)


def _fill(scores, model, asked, words, normalize, ranking):
    inputs = [text for one in asked for text in one.inputs]
    choices = [one.choices for one in asked for _ in one.inputs]
    rankings = iter(model.rank(inputs, choices, progress=lambda done, total: None, **ranking))
    for one in asked:
        found = [_of_labels(next(rankings), one.among, words, normalize) for _ in one.inputs]
        mean = found[0] if len(found) == 1 else np.sum(found, axis=0) / len(found)
        if not np.isfinite(mean).all():
            raise DataError(
                f"text {one.number}: the model gives {shown(mean.tolist())} for its labels; a score is a finite log-likelihood, and what "
                "a text is not to have is left out by labels="
            )
        scores[one.item, one.wording, list(one.among)] = mean


def _of_labels(ranking, among, words, normalize):
    """float64 [labels of `among`]: of a label of several words the log of their mean likelihood."""
    flat = np.asarray(ranking.scores, np.float64)
    flat = flat / ranking.lengths if normalize else flat
    if len(flat) == len(among):
        return flat
    ends = np.cumsum([len(words[c]) for c in among])
    return np.array([_log_mean(part) for part in np.split(flat, ends[:-1])])


def _log_mean(values):
    top = values.max()
    return top if len(values) == 1 or top == -np.inf else top + np.log(np.exp(values - top).sum() / len(values))
