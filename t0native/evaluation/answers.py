"""What a model said of the rows of a cell, held small where they are many.

    up to HELD rows    lists of what the model gave
    more of them       arrays: of a ranking its index, scores and lengths; of a text its UTF-8

What is read from the arrays has the bits that were put in."""

import operator
from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np

__all__ = ["Answers", "PackedRankings", "PackedTexts", "pack_rankings"]


@dataclass
class Answers:
    """What a model said to the n rows that a prompt kept; None where no metric asks for it.

    rankings: a sequence [n], each with index (and scores and lengths, which only some metrics need).  texts: a sequence [n] of str.
    dropped: (row, reason, detail) of rows that the prompt kept and that have no answer here."""

    rankings: object = None
    texts: object = None
    dropped: list = field(default_factory=list)

    def of_rows(self, places):
        """Those of some rows alone, by their places here."""
        rankings, texts = (None if them is None else _at(them, places) for them in (self.rankings, self.texts))
        return Answers(rankings, texts, self.dropped)


def _at(items, places):
    if isinstance(items, list):
        return [items[i] for i in places]
    return items.at(places)


class _Sequence:
    """Items in parts, one behind the other; iterated and taken by place."""

    def __init__(self):
        self._parts, self._ends = [], [0]

    def extend(self, items):
        """Adds what `pack` makes of items, a list."""
        part = self.pack(items)
        self._parts.append(part)
        self._ends.append(self._ends[-1] + len(part))

    def __len__(self):
        return self._ends[-1]

    def __iter__(self):
        for part, first, end in zip(self._parts, self._ends, self._ends[1:]):
            for i in range(end - first):
                yield part[i]

    def __getitem__(self, place):
        part = bisect_right(self._ends, place) - 1
        return self._parts[part][place - self._ends[part]]

    def at(self, places):
        """The items at these places, in their order."""
        picked = type(self)()
        for first in range(0, len(places), _PART):
            picked.extend([self[i] for i in places[first : first + _PART]])
        return picked


_PART = 8192


class PackedRankings(_Sequence):
    """Rankings, each read back as an object with index and, where it had them, scores and lengths."""

    @staticmethod
    def pack(rankings):
        return pack_rankings(rankings)


class PackedTexts(_Sequence):
    """Texts."""

    @staticmethod
    def pack(texts):
        return _Texts(texts)


def pack_rankings(rankings):
    """A sequence of the same in arrays; the list itself where one of them is no number and arrays of one kind."""
    try:
        index = np.array([operator.index(ranking.index) for ranking in rankings], np.int32)
    except (AttributeError, OverflowError, TypeError, ValueError):
        return rankings
    ragged = {}
    for name in ("scores", "lengths"):
        values = [getattr(ranking, name, None) for ranking in rankings]
        if any(value is not None for value in values):
            arrays = [np.asarray(value) for value in values]
            if {(part.ndim, part.dtype) for part in arrays} != {(1, arrays[0].dtype)} or arrays[0].dtype.kind not in "iuf":
                return rankings
            ragged[name] = _Ragged(arrays)
    return _Rankings(index, ragged)


class _Rankings:
    """index: int32 [n].  ragged: {name: _Ragged of n}."""

    def __init__(self, index, ragged):
        self._index, self._ragged = index, ragged

    def __len__(self):
        return len(self._index)

    def __getitem__(self, place):
        numbers = {name: ragged[place] for name, ragged in self._ragged.items()}
        return SimpleNamespace(index=int(self._index[place]), **numbers)


class _Ragged:
    """Arrays of different lengths as one."""

    def __init__(self, arrays):
        self._flat = np.concatenate(arrays)
        widths = {len(part) for part in arrays}
        self._width = widths.pop() if len(widths) == 1 else None  # of each
        self._ends = None if self._width is not None else np.cumsum([len(part) for part in arrays])
        if self._flat.dtype.kind == "i" and len(self._flat) and 0 <= self._flat.min() and self._flat.max() < 1 << 15:
            self._dtype, self._flat = self._flat.dtype, self._flat.astype(np.int16)
        else:
            self._dtype = self._flat.dtype

    def __getitem__(self, place):
        if self._width is not None:
            first, end = place * self._width, (place + 1) * self._width
        else:
            first, end = (self._ends[place - 1] if place else 0), self._ends[place]
        return self._flat[first:end].astype(self._dtype)


class _Texts:
    """Texts as their UTF-8, halves of surrogate pairs among them."""

    def __init__(self, texts):
        parts = [text.encode("utf-8", "surrogatepass") for text in texts]
        self._bytes, self._ends = b"".join(parts), array("q")
        at = 0
        for part in parts:
            at += len(part)
            self._ends.append(at)

    def __len__(self):
        return len(self._ends)

    def __getitem__(self, place):
        first = self._ends[place - 1] if place else 0
        return self._bytes[first : self._ends[place]].decode("utf-8", "surrogatepass")
