"""What a prompt made of a task's rows, and why others were left out.

    up to HELD rows    their texts stay in memory
    more of them       8 bytes a row stay; its texts are rendered again whenever it is asked for

A rendering is a function of row, prompt and seed, so it is the same each time; memory does not grow with the texts."""

import hashlib
import tempfile
from array import array
from bisect import bisect_left
from dataclasses import dataclass, field

from t0native.base.digests import json_bytes
from t0native.base.errors import DataError
from t0native.base.showing import shown

__all__ = ["HELD", "KeptRows", "RenderedRow", "RenderedRows", "make_renderer", "rendered_digest"]

HELD = 8192  # rows of a cell whose texts stay in memory
_COLUMNS = ("input", "target", "choices", "ranked")  # of a RenderedRow, behind its index
_IN_MEMORY = 1 << 20  # bytes of a column before it goes to a temporary file


@dataclass(slots=True)
class RenderedRow:
    """A row that a prompt kept: its number in the task, what the prompt made of it, and the choices that are ranked: all of them, but
    where `compat` leaves some out."""

    index: int
    input: str
    target: str
    choices: list | None
    ranked: list | None


class KeptRows:
    """A sequence of RenderedRow, in the order of their numbers.

    indices, n_ranked: arrays of int, the rows' numbers, and how many choices each has that are ranked (-1: it has none).  render: a
    function of a number that gives the RenderedRow."""

    def __init__(self, render, indices=(), n_ranked=(), held=()):
        self.indices, self.n_ranked, self._render = array("I", indices), array("i", n_ranked), render
        self._held = None if held is None else list(held)

    def append(self, row):
        self.indices.append(row.index)
        self.n_ranked.append(-1 if row.ranked is None else len(row.ranked))
        if self._held is not None:
            self._held.append(row)
            if len(self._held) > HELD:
                self._held = None

    @property
    def held(self):
        """Whether the texts are in memory."""
        return self._held is not None

    def __len__(self):
        return len(self.indices)

    def __iter__(self):
        return iter(self._held) if self._held is not None else map(self._made, range(len(self)))

    def __getitem__(self, place):
        """The row at a place; of a slice, a list."""
        if self._held is not None:
            return self._held[place]
        return [self._made(i) for i in range(len(self))[place]] if isinstance(place, slice) else self._made(range(len(self))[place])

    def _made(self, place):
        row = self._render(self.indices[place])
        row.ranked = None if row.choices is None else row.choices[: self.n_ranked[place]]
        return row

    def below(self, end):
        """How many rows have a number below `end`."""
        return bisect_left(self.indices, end)

    def of_places(self, places):
        """KeptRows of some of the places alone."""
        held = None if self._held is None else [self._held[i] for i in places]
        return KeptRows(self._render, (self.indices[i] for i in places), (self.n_ranked[i] for i in places), held)

    def rank_first(self, counts):
        """Ranks the first so many choices of each row. counts: an iterable of int."""
        self.n_ranked = array("i", counts)
        for row, n in zip(self._held or (), self.n_ranked):
            row.ranked = row.choices[:n]


@dataclass
class RenderedRows:
    """What a prompt made of a task's first n rows: those kept, in order, and why the others were dropped. told: the reasons that are worth
    a warning.  later: (row, reason, detail) of those that were kept at first."""

    n: int
    kept: KeptRows
    truncate: object = True  # as Model.rank's
    cut: int = 0  # of those kept, rows with a value that was cut at 2,048 characters
    bare: int = 0  # of those kept at first, rows without choices
    dropped: dict = field(default_factory=dict)  # reason -> [rows, the first of them in words]
    told: set = field(default_factory=set)
    later: list = field(default_factory=list)

    def keep(self, row, cut):
        """Adds a row that is kept. cut: whether a value of it was cut."""
        self.kept.append(row)
        self.cut += cut
        self.bare += row.choices is None

    def drop(self, index, reason, detail="", told=True):
        """Counts a row that is left out."""
        self.dropped.setdefault(reason, [0, f"first row {index}" + (f": {detail}" if detail else "")])[0] += 1
        if told:
            self.told.add(reason)

    def leave_out(self, later, answers=None):
        """Drops rows that were kept, [(row, reason, detail)]; the Answers of the others."""
        if not later:
            return answers
        gone = {index for index, _, _ in later}
        places = [i for i, index in enumerate(self.kept.indices) if index not in gone]
        self.kept = self.kept.of_places(places)
        self.later += later
        for index, reason, detail in later:
            self.drop(index, reason, detail)
        return None if answers is None else answers.of_rows(places)

    @property
    def n_dropped(self):
        return sum(count for count, _ in self.dropped.values())

    @property
    def reason(self):
        """Why rows were dropped, in words, or None."""
        return self._tell(self.dropped)

    @property
    def warning(self):
        """Those of the reasons that are worth a warning, or None."""
        return self._tell(reason for reason in self.dropped if reason in self.told)

    def _tell(self, reasons):
        counts = ((reason, *self.dropped[reason]) for reason in reasons)
        return "; ".join(f"{n} row{'s' * (n != 1)} dropped: {reason} ({first})" for reason, n, first in counts) or None


def make_renderer(task, prompt, seed):
    """The function by which KeptRows render a row of a task again. DataError where a prompt no longer gives anything."""

    def render(index):
        example = task.render(prompt, index, seed=seed)
        if example is None:
            raise DataError(
                f"task {shown(task.name)}, prompt {shown(prompt)}, row {index}: rendered again, it gives nothing; rows and prompts must "
                "not change during an evaluation"
            )
        text, target, choices = example
        return RenderedRow(index, text, target, choices, choices)

    return render


def rendered_digest(rows):
    """SHA-256 of RenderedRows, 64 hexadecimal digits: that of [n, indices, inputs, targets, choices, ranked, truncate] as digest_of_value
    has it. Columns that do not fit in a little memory wait in temporary files for those before them."""
    digest, files = hashlib.sha256(), [tempfile.SpooledTemporaryFile(_IN_MEMORY) for _ in _COLUMNS]  # noqa: SIM115 - closed below
    digest.update(f"[{rows.n}, [".encode())
    try:
        for i, row in enumerate(rows.kept):
            before = ", " if i else ""
            digest.update(f"{before}{row.index}".encode())
            for name, file in zip(_COLUMNS, files):
                file.write(before.encode() + json_bytes(getattr(row, name)))
        for file in files:
            digest.update(b"], [")
            file.seek(0)
            while chunk := file.read(_IN_MEMORY):
                digest.update(chunk)
    finally:
        for file in files:
            file.close()
    digest.update(b"], " + json_bytes(rows.truncate) + b"]")
    return digest.hexdigest()
