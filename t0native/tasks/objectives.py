"""Objectives on plain text, which stand where a prompt stands: Task("book", rows, t0.SpanCorruption("text")).

    ids      tokens of row[field]; of a longer text, a window of `length` tokens at a drawn place
    LM       ()                         -> ids
    prefix   ids[:c]                    -> ids[c:]                                  c drawn from 1 .. n - 1
    spans    a <0> b <1> ...            -> <0> x <1> y ...      where ids = a x b y ...: kept and noise spans in turn
    noise = clip(round(density n), 1, n - 1);  spans = clip(round(noise / mean), 1, min(noise, n - noise, sentinels))

Both the noise and the kept tokens are cut into `spans` parts of at least one token, every such cutting equally likely, as T5 does
(Raffel et al. 2020, 3.1.4 and 3.3.4); <k> is sentinel k of the tokenizer, or of bytes, as ByT5 was pre-trained, the id 258 - k, the last
byte values from above, which no text in UTF-8 has (Xue et al. 2022, 3). Text is not joined across rows, for batches are
not padded. Example k of a run depends on (seed, k) alone, by the counter-based generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from t0native._core import RANDOM_ROW, random_bits
from t0native.base.arguments import TEXT, check, number, whole
from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.prompts.prompt import PromptedExample

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

    from t0native._core import Tokenizer
    from t0native.base.annotations import Row

__all__ = ["LM", "Objective", "PrefixLM", "SpanCorruption"]

_SITE, _DRAWS_SHIFT = 7 << 8, 20  # streams of this file: RANDOM_ROW + _SITE; index (example << 20) + number of the draw
_DENSITY = number(lambda value: 0 < value < 1, "a number between 0 and 1")
_MEAN = number(lambda value: value >= 1, "a number, at least 1")


class Objective:
    """What the kinds share. field: the column of the text; length: the most tokens of a row that one example has; of the usual 255
    nothing is lost where `train` trims targets to its usual 256, the end token among them.

    `render` gives the text as the input, and `pair` makes ids of sources and targets out of its ids."""

    answer_choices = None
    optional_fields = ()
    least = 2  # tokens that a text must have; shorter ones are drawn anew

    field: str
    length: int

    def __init__(self, field: str = "text", length: int = 255) -> None:
        self.field, self.length = check(TEXT, "field", field), check(whole(2, (1 << _DRAWS_SHIFT) - 2), "length", length)
        self.fields = (self.field,)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._facts().items())})"

    @property
    def jinja(self) -> str:
        """What a mixture's digest knows it by.

        >>> LM(length=64).jinja
        "LM(field='text', length=64)"
        """
        return repr(self)

    def _facts(self):
        return {"field": self.field, "length": self.length}

    def render(self, row: Row, seed: int = 0, index: int | str = 0) -> PromptedExample | None:
        """The row's text as a PromptedExample without target or choices; None where it is empty. DataError for what is no text.

        >>> LM().render({"text": "Anna drinks tea."}).input
        'Anna drinks tea.'
        """
        text = row[self.field]
        if not isinstance(text, str):
            raise DataError(f"field {shown(self.field)}: {type(text).__name__}, must be text")
        return PromptedExample(text, "", None) if text.strip() else None

    def why_dropped(self, row: Row, seed: int = 0, index: int | str = 0) -> str:
        """Why `render` gives None.

        >>> LM().why_dropped({"text": " "})
        'the text is empty'
        """
        return "the text is empty"

    def pair(
        self, ids: NDArray[np.int32], tokenizer: Tokenizer | None, seed: int, key: int
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
        """(source ids, target ids), int32, of a text's ids; None where it is too short.

        >>> [part.tolist() for part in PrefixLM().pair(np.array([5, 6], np.int32), None, seed=0, key=0)]
        [[5], [6]]
        """
        if len(ids) < self.least:
            return None
        if len(ids) > self.length:
            start = int(_draw(seed, key, 0, 1)[0] % np.uint64(len(ids) - self.length + 1))
            ids = ids[start : start + self.length]
        return self._split(ids, tokenizer, seed, key)


class SpanCorruption(Objective):
    """T5's objective: spans of the text are replaced by sentinels, and the target tells what they were.

    density: share of tokens that are noise; mean: tokens of a span on average.

    >>> tokenizer = t0.mini.new_model(0).tokenizer
    >>> ids = np.arange(10, 30, dtype=np.int32)
    >>> source, target = SpanCorruption().pair(ids, tokenizer, seed=0, key=0)
    >>> len(source), len(target)
    (18, 4)
    """

    name = "span_corruption"

    def __init__(self, field: str = "text", length: int = 568, density: float = 0.15, mean: float = 3.0) -> None:
        super().__init__(field, length)
        self.density, self.mean = check(_DENSITY, "density", density), check(_MEAN, "mean", mean)

    def _facts(self):
        return super()._facts() | {"density": self.density, "mean": self.mean}

    def _split(self, ids, tokenizer, seed, key):
        n, (last, marks) = len(ids), _marks(tokenizer)
        noise = min(max(round(n * self.density), 1), n - 1)
        spans = max(1, min(round(noise / self.mean), noise, n - noise, marks))
        bits = _draw(seed, key, 1, n)
        kept, gone = _cut(n - noise, spans, bits[noise:]), _cut(noise, spans, bits[:noise])
        source, target, at = [], [], 0
        for k in range(spans):
            begins, ends = at + kept[k], at + kept[k] + gone[k]
            source += [ids[at:begins], [last - k]]
            target += [[last - k], ids[begins:ends]]
            at = ends
        return _join(source), _join(target)


class PrefixLM(Objective):
    """The beginning of a text is the input, the rest the target; where it is cut is drawn.

    >>> source, target = PrefixLM().pair(np.arange(9, dtype=np.int32), None, seed=0, key=3)
    >>> np.concatenate([source, target]).tolist() == list(range(9)), len(source) > 0, len(target) > 0
    (True, True, True)
    """

    name = "prefix_lm"

    def _split(self, ids, tokenizer, seed, key):
        cut = 1 + int(_draw(seed, key, 1, 1)[0] % np.uint64(len(ids) - 1))
        return ids[:cut], ids[cut:]


class LM(Objective):
    """The whole text is the target; the input is one token, the end of a text, since an encoder must have one.

    >>> tokenizer = t0.mini.new_model(0).tokenizer
    >>> source, target = LM().pair(np.arange(5, 9, dtype=np.int32), tokenizer, seed=0, key=0)
    >>> source.tolist() == [tokenizer.eos_id], target.tolist()
    (True, [5, 6, 7, 8])
    """

    name, least = "lm", 1

    def _split(self, ids, tokenizer, seed, key):
        return np.array([tokenizer.eos_id], np.int32), ids


_BYTE_MARKS = 125  # as many as ByT5 has sentinels


def _marks(tokenizer):
    """(the id that stands for the first span, how many there are): each next one is one less."""
    if tokenizer.kind == "bytes":
        return tokenizer.n_pieces - 1, _BYTE_MARKS
    return tokenizer.n_pieces + tokenizer.extra_ids - 1, tokenizer.extra_ids


OBJECTIVES = {kind.name: kind for kind in (SpanCorruption, PrefixLM, LM)}


def _draw(seed, key, first, n):
    """uint64 [n]: draws first .. first + n - 1 of example `key`."""
    return random_bits(int(seed), RANDOM_ROW + _SITE, (int(key) << _DRAWS_SHIFT) + first, n)


def _cut(n, parts, bits):
    """int64 [parts], positive, of sum n; every such cutting equally likely. bits: uint64 [>= n - 1]."""
    cuts = np.sort(np.argsort(bits[: n - 1], kind="stable")[: parts - 1]) + 1
    return np.diff(np.concatenate([[0], cuts, [n]]))


def _join(parts):
    return np.concatenate([np.asarray(part, np.int32) for part in parts])
