"""What a model has said of a cell that is not finished, so that an evaluation that ends in the middle of it goes on there.

    RUN/examples/KEY.part    a line a row: the rankings first, {"index", "scores", "lengths"}, of the rows kept in their order; then the
                             texts, {"text"}, in the order of answering.py; {"row", "dropped", "detail"} where a row has no answer

It begins once a cell has taken EVERY seconds, grows as often, and goes when the cell is finished (journal.py). A kill loses no line that
was noted (base/partfile.py); the key stands for the model, the rows as rendered and the settings, so lines fit their rows."""

import json
import operator
import time
from types import SimpleNamespace

import numpy as np

from t0native.base.errors import ConfigError
from t0native.base.jsontext import json_text
from t0native.base.partfile import PartFile

__all__ = ["CellPart"]

EVERY = 20.0  # seconds
_AT_ONCE = 8192  # lines


class CellPart:
    """path: of the file, without .part.  key: of the cell.  check_place: called before each writing.  anew: whether what is there is left
    aside."""

    def __init__(self, path, key, check_place, anew=False):
        self._path, self._job, self._check_place, self._file = path, {"cell": key}, check_place, None
        self._noted_at = time.monotonic()
        if path.with_name(path.name + ".part").exists():
            self._open(anew)

    def read_into(self, work):
        """Adds to an answering.Work what was said of its first rows."""
        if self.noted:
            try:
                self._read(work)
                if work.done != self.noted:
                    raise ValueError(self._path)
            except (KeyError, TypeError, ValueError):  # the disk lost what it had promised
                work.begin()
                self._open(anew=True)

    def _read(self, work):
        records, n = map(json.loads, self._file.lines()), len(work.kept) if work.ranks else 0
        for batch in _batches(records, n):
            first = len(work.rankings)
            for i, record in enumerate(batch):
                if "dropped" in record:
                    work.dropped.append((work.kept.indices[first + i], record["dropped"], record["detail"]))
            work.add_rankings([None if "dropped" in record else _ranking(record) for record in batch])
        for batch in _batches(records, None):
            work.dropped += [(record["row"], record["dropped"], record["detail"]) for record in batch if "dropped" in record]
            work.add_texts([None if "dropped" in record else record["text"] for record in batch])

    def note(self, work, now=False):
        """Adds what was said since. now: without waiting until it is worth it; what an interrupted call has added already is told anew."""
        if not work.done or not now and (work.done == self.noted or time.monotonic() - self._noted_at < EVERY):
            return
        self._check_place()
        if self._file is None:
            self._open(anew=False)
        why = {index: (reason, detail) for index, reason, detail in work.dropped}
        lines = [json_text(record, "keep") + "\n" for record in _records(work, self.noted, why)]
        self._file.write("".join(lines).encode(), len(lines))
        self._noted_at = time.monotonic()

    @property
    def noted(self):
        """How many answers are kept."""
        return 0 if self._file is None else self._file.rows

    def close(self):
        """What is noted stays, to be gone on from."""
        if self._file is not None:
            self._file.close()

    def remove(self):
        """The cell is finished."""
        if self._file is not None:
            self._file.remove()

    def _open(self, anew):
        self.close()
        try:
            self._file = PartFile(self._path, self._job, anew)
        except ConfigError:  # nothing tells what is there
            self._file = PartFile(self._path, self._job, True)


def _batches(records, n):
    """Lists of the next n records, of all where n is None; no record more is taken."""
    while n is None or n > 0:
        batch = [record for _, record in zip(range(_AT_ONCE if n is None else min(n, _AT_ONCE)), records)]
        if not batch:
            return
        n = None if n is None else n - len(batch)
        yield batch


def _ranking(record):
    numbers = {name: np.array(record[name]) for name in ("scores", "lengths") if record.get(name) is not None}
    return SimpleNamespace(index=record["index"], **numbers)


def _records(work, first, why):
    """Of what was said behind the first records."""
    n = len(work.rankings)
    for i in range(first, n):
        ranking = work.rankings[i]
        if ranking is None:
            yield _dropped(work.kept.indices[i], why)
            continue
        numbers = {name: np.asarray(getattr(ranking, name)).tolist() for name in ("scores", "lengths") if hasattr(ranking, name)}
        yield {"index": operator.index(ranking.index)} | numbers
    for i in range(max(first - n, 0), len(work.texts)):
        index = work.kept.indices[work.order[i]]
        yield _dropped(index, why) if index in why else {"text": work.texts[i]}


def _dropped(index, why):
    reason, detail = why[index]
    return {"row": index, "dropped": reason, "detail": detail}
