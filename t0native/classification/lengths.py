"""Texts that are longer than a model reads: what of them is put into a wording, so that the question stays whole.

    head      the longest beginning of the text with which the input has at most N tokens
    tail      the longest end
    pieces    beginnings of what is left, until nothing is: the text's scores are the mean of its pieces'

Cuts fall between words where there is a space in the half before. The mean of the pieces' log-likelihoods is, but for a constant that no
probability sees, the mean of the log-probabilities that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from t0native.base.arguments import one_of
from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.classification.wordings import Wording

__all__ = ["LONG_TEXTS", "Shortener", "token_counter"]

LONG_TEXTS = one_of("head", "tail", "pieces")


def token_counter(model: Any) -> Callable[[str], int] | None:
    """A function of an input: the tokens that `model.rank` makes of it; None of a model that has no tokenizer."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        return None
    end = 1 if getattr(model, "add_eos_to_inputs", False) else 0
    return lambda text: len(tokenizer.encode(text)) + end


class Shortener:
    """Inputs of rows, none longer than `most` tokens.

    count: a function of an input, its tokens; None: all are short.  how: one of LONG_TEXTS."""

    def __init__(self, count: Callable[[str], int] | None, most: int, how: str) -> None:
        self._count, self._most, self._how = count, most, how

    @property
    def counts(self) -> bool:
        """Whether inputs are counted: the model takes texts and tells their tokens."""
        return self._count is not None

    def inputs(self, wording: Wording, row: Mapping[str, Any], words: list[str]) -> tuple[list[str], bool]:
        """(the inputs of a row: one, or one a piece; whether the row was too long). DataError where the wording alone is too long, or gives
        no input."""
        whole = _needed(wording, wording.render(row, words))
        if self._fits(whole):
            return [whole], False
        field = max((name for name in wording.fields if isinstance(row[name], str)), key=lambda name: len(row[name]), default=None)
        text = "" if field is None else row[field].strip()
        make = lambda part: _needed(wording, wording.render({**row, field: part}, words))  # noqa: E731
        if not text or not self._fits(make(text[:1])):
            alone = self._count(whole if field is None else make(text[:1]))
            raise DataError(f"prompt {shown(wording.name)}: it has {alone} tokens without the text, and max_input_length is {self._most}")
        if self._how == "tail":
            size = self._longest(lambda size: make(text[-size:]), len(text))
            return [make(text[_start_of_word(text, len(text) - size) :].lstrip())], True
        pieces = []
        while text and (not pieces or self._how == "pieces"):
            size = self._longest(lambda size: make(text[:size]), len(text))  # noqa: B023 - called here
            end = _end_of_word(text, size)
            pieces.append(make(text[:end].rstrip()))
            text = text[end:].lstrip()
        return pieces, True

    def _fits(self, text):
        if self._count is None or (text.isascii() and len(text) + 2 <= self._most):  # at most a token a character, and two at the ends
            return True
        return self._count(text) <= self._most

    def _longest(self, make, most):
        """The largest size up to `most` whose input fits, by doubling and halving."""
        low, high = 1, min(most, 4 * self._most)
        while high < most and self._fits(make(high)):
            low, high = high, min(most, 2 * high)
        if self._fits(make(high)):
            return high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._fits(make(middle)) else (low, middle)
        return low


def _needed(wording, text):
    if text is None:
        raise DataError(f"prompt {shown(wording.name)}: it gives an empty input")
    return text


def _end_of_word(text, size):
    """Where to cut at most `size` characters from the beginning."""
    if size >= len(text) or text[size].isspace():
        return size
    at = next((i for i in range(size, size // 2, -1) if text[i - 1].isspace()), 0)
    return at or size


def _start_of_word(text, start):
    """Where to begin the end of a text that begins at `start` or behind."""
    if start <= 0 or text[start - 1].isspace():
        return max(0, start)
    last = start + (len(text) - start) // 2
    return next((i + 1 for i in range(start, last) if text[i].isspace()), start)
