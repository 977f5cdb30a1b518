"""The labels of a classifier, and the words by which a model is asked for each.

    ["sports", "politics"]                          a label is its own words
    {0: "bad", 1: "good"}                           words of one's own
    {"sports": ["sports", "football"], ...}         several: the label has the mean of their likelihoods

Labels are held sorted, as scikit-learn has classes, and the words of a label too: whatever is summed is summed in that order, so that the
order in which they are given changes no bit. Where a text names a label, it is by the first of its words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.showing import shown
from t0native.text.sequences import as_list

__all__ = ["Labels", "is_missing", "read_labels"]

SEPARATOR = "|||"  # of choices in a prompt


class Labels(NamedTuple):
    """names: sorted.  words: a tuple of texts of each, sorted.  shown: the first that was given of each: what stands for it in a text.
    place: {name: its number}."""

    names: tuple[Any, ...]
    words: tuple[tuple[str, ...], ...]
    shown: tuple[str, ...]
    place: dict[Any, int]

    @property
    def array(self) -> np.ndarray:
        """The names as scikit-learn's classes_: an array [C] of their own type."""
        return np.array(self.names)

    def find(self, what: str, name: object) -> int:
        """The number of a label. DataError where there is no such label. what: where the name stands."""
        if is_missing(name):
            raise DataError(f"{what}: is missing; each row of a text needs its label")
        try:
            return self.place[name]
        except (KeyError, TypeError):
            raise DataError(f"{what}: {shown(_plain(name))} is no label; {suggest(_plain(name), self.names)}") from None


def read_labels(labels: Any, least: int = 2, tokenizer: Any = None) -> Labels:
    """Labels of a list or a mapping. ConfigError for none, fewer than `least`, one twice, words that are blank, have no token or stand for
    two labels. tokenizer: of the model, where it has one.

    >>> read_labels({1: "good", 0: ["bad", "awful"]}).words
    (('awful', 'bad'), ('good',))
    """
    pairs = _pairs_of(labels)
    if len(pairs) < least:
        told = f"{shown(pairs[0][0])} alone; a second one is needed" if pairs else "there are none; give a list of words"
        raise ConfigError(f"labels: {told}, as ['sports', 'politics']")
    kinds = {str if isinstance(name, str) else int: name for name, _ in pairs}
    if len(kinds) > 1:
        raise ConfigError(f"labels: {shown(kinds[str])} is a text and {shown(kinds[int])} a number: all must be of one kind")
    pairs = sorted(pairs, key=lambda pair: pair[0])
    for (name, _), (other, _) in zip(pairs, pairs[1:]):
        if name == other:
            raise ConfigError(f"labels: {shown(name)} stands twice")
    names = tuple(name for name, _ in pairs)
    given = [_words_of(name, words) for name, words in pairs]
    words = tuple(tuple(sorted(texts)) for texts in given)
    _check_apart(names, words, tokenizer)
    return Labels(names, words, tuple(texts[0] for texts in given), {name: i for i, name in enumerate(names)})


def _pairs_of(labels):
    """[(name, words)] as they are given; words are not looked at yet."""
    if isinstance(labels, str):
        raise ConfigError(f"labels {shown(labels)}: a text; give a list of words, as ['sports', 'politics']")
    if labels is None:
        return []
    if isinstance(labels, Mapping):
        return [(_check_name(name), words) for name, words in labels.items()]
    names = [_check_name(name) for name in as_list("labels", labels)]
    number = next((name for name in names if not isinstance(name, str)), None)
    if number is not None:
        raise ConfigError(f"labels: {shown(number)} is no word; a mapping says its words, as {{{shown(number)}: 'bad', ...}}")
    return [(name, name) for name in names]


def _check_name(name):
    name = _plain(name)
    if not isinstance(name, (str, int)):
        raise ConfigError(f"labels: {shown(name)} is {type(name).__name__}; a label is a text or a whole number")
    return name


def is_missing(value: object) -> bool:
    """Whether a value is a gap, as Python, NumPy and pandas have them.

    >>> is_missing(None), is_missing(float("nan")), is_missing(np.float32("nan")), is_missing("nan")
    (True, True, True, False)
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(value != value)


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _words_of(name, words):
    """One label's words, each once."""
    several = [words] if isinstance(words, str) else as_list(f"labels: the words of {shown(name)}", words)
    for text in several:
        if not isinstance(text, str):
            raise ConfigError(f"labels: the words of {shown(name)} are {shown(text)}; must be a text, or a list of texts")
        if not text.strip():
            raise ConfigError(f"labels: {shown(name)} has blank words; give what a model could answer, as {{{shown(name)}: 'good'}}")
        if SEPARATOR in text:
            raise ConfigError(f"labels: the words of {shown(name)} hold |||, which stands between choices: {shown(text)}")
    if len(several) == 0:
        raise ConfigError(f"labels: {shown(name)} has no words; give a text, or a list of texts")
    return list(dict.fromkeys(text.strip() for text in several))


def _check_apart(names, words, tokenizer):
    """ConfigError where the model cannot tell two labels apart, for their words are the same texts or tokens, or there are no tokens."""
    owners = {}
    for name, texts in zip(names, words):
        for text in texts:
            ids = tuple(tokenizer.encode(text)) if tokenizer is not None else (text,)
            if tokenizer is not None and not tokenizer.decode([one for one in ids if one != tokenizer.unk_id]).strip():
                raise ConfigError(f"labels: {shown(name)}: the tokenizer has no token for {shown(text)}; give words that it knows")
            if owners.setdefault(ids, (name, text))[0] != name:
                other, its = owners[ids]
                why = f"the text {shown(text)}" if its == text else f"the tokens of {shown(its)} and {shown(text)} in common"
                raise ConfigError(f"labels: {shown(other)} and {shown(name)} have {why}: a model cannot tell them apart")
