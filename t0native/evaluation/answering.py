"""Cells answered by a model, in parts: memory is that of a part, and what is answered can be kept while a cell goes on.

    cells that share inputs, or are small --group_cells--> lists of cells
    to rank    rows of these numbers of all cells, first to last, in parts of a minute's work at most --model.rank--> rankings
    to write   rows of a cell by the length of their targets, ROWS_AT_ONCE at a time --model.generate--> texts

Cells of a task that share inputs are answered together, so that the model encodes each of them once, and small ones too, until
they fill a call of the model. What a model says of a row does not depend on its company, so neither do the cells, nor on the parts."""

import logging
import time
from contextlib import contextmanager
from itertools import islice

import numpy as np

from t0native.base.errors import ConfigError, DataError
from t0native.base.interrupts import Terminated
from t0native.base.showing import shown
from t0native.evaluation.answers import Answers, PackedRankings, PackedTexts
from t0native.evaluation.isolation import answer_apart
from t0native.evaluation.judging import FAILURES
from t0native.evaluation.rendered import HELD
from t0native.models.scoring import usual_batch_tokens

__all__ = ["NO_TOKENIZER", "answer", "group_cells", "group_sharing"]

ROWS_AT_ONCE = 128
LONGEST = 256  # tokens generated where a whole answer is judged: T0's longest target
SLACK = 4  # tokens generated beyond a target
CHARACTERS = 4  # of a token, about
CALLS = 4  # of the core, the first part that is ranked is worth
FIRST, LEAST = 1024, 8  # rows of the first part where a call's worth is not known, and of any part
SHORT, LONG = 10.0, 60.0  # seconds: a part that took less is followed by one twice as large, one that took more by half
NO_TOKENIZER = (
    "the model has no tokenizer, and tasks are texts: put its spiece.model or tokenizer.json into its folder, or name "
    "it: from_pretrained(..., tokenizer=FILE)"
)


# ---- which cells are answered together --------------------------------------------------------------------------------


def group_cells(cells, model):
    """Lists of cells to be answered together: those that share an input, and small ones until they fill a call of the model."""
    full = _characters_of_a_call(model)
    for parts in _sharing_parts(cells):
        yield from _fill_calls(parts, full)


def group_sharing(cells):
    """Lists of cells that share an input."""
    return [group for parts in _sharing_parts(cells) for group, _ in parts]


def _sharing_parts(cells):
    """What _join_sharing gives of the cells that are cut alike."""
    for truncate in dict.fromkeys(cell.rows.truncate for cell in cells):
        yield _join_sharing([cell for cell in cells if cell.rows.truncate == truncate])


def _characters_of_a_call(model):
    """0 where it is not known."""
    return CHARACTERS * usual_batch_tokens(model.config) if hasattr(getattr(model, "config", None), "d_model") else 0


def _join_sharing(cells):
    """[(cells, their inputs)], no input in two of them. Of cells with many rows the first ones are looked at."""
    parts = []
    for cell in cells:
        inputs = {row.input for row in islice(cell.rows.kept, HELD)}
        sharing = [part for part in parts if not inputs.isdisjoint(part[1])]
        parts = [part for part in parts if part not in sharing]
        parts.append(([c for part in sharing for c in part[0]] + [cell], inputs.union(*(part[1] for part in sharing))))
    return parts


def _fill_calls(parts, full):
    """Lists of the cells of parts, each of `full` characters or more, but the last."""
    group, size = [], 0
    for members, inputs in parts:
        group, size = group + members, size + sum(map(len, inputs))
        if size >= full:
            yield group
            group, size = [], 0
    if group:
        yield group


# ---- one cell while it is answered ------------------------------------------------------------------------------------


class Work:
    """A cell, and what a model has said of it so far.

    part: a CellPart that keeps it, or None.  rankings: of the first rows kept; of one that cannot be answered, None stands there.  texts:
    of the first rows in `order`, their places, without those of `unwritten` numbers.  dropped: (row, reason, detail).  error: why the cell
    fails, or None."""

    def __init__(self, cell, part):
        self.cell, self.part, self.kept, self.error = cell, part, cell.rows.kept, None
        self.ranks = any(metric.by_choices for metric in cell.metrics)
        self.writing = [metric for metric in cell.metrics if not metric.by_choices]
        self.begin()
        if part is not None:
            part.read_into(self)

    def begin(self):
        """Nothing is said yet."""
        held = self.kept.held
        self.rankings, self.texts, self.order = [] if held else PackedRankings(), [] if held else PackedTexts(), None
        self.dropped, self.unwritten = [], set()

    def add_rankings(self, rankings):
        """Of the next rows; None for one that cannot be answered."""
        first = len(self.rankings)
        self.unwritten.update(self.kept.indices[first + i] for i, ranking in enumerate(rankings) if ranking is None)
        self.rankings.extend(rankings)

    def add_texts(self, texts):
        """Of the next rows in order; None for one that cannot be answered."""
        self.texts.extend(["" if text is None else text for text in texts])

    @property
    def done(self):
        """Rows that were answered, counted for rankings and for texts."""
        return len(self.rankings) + len(self.texts)

    def note(self, now=False):
        """Keeps what was said, where there is a place for it and it is time."""
        if self.part is not None and self.error is None:
            self.part.note(self, now)

    def answers(self):
        """The Answers, once all is said."""
        gone = {index for index, _, _ in self.dropped}
        places = [i for i, index in enumerate(self.kept.indices) if index not in gone] if gone else range(len(self.kept))
        rankings, texts = self.rankings if self.ranks else None, None
        if gone and self.ranks:
            rankings = Answers(rankings).of_rows(places).rankings
        if self.writing:
            position = np.empty(len(self.kept), np.int32)  # of a place in `order`
            position[self.order] = np.arange(len(self.order), dtype=np.int32)
            texts = Answers(texts=self.texts).of_rows(position[places if gone else slice(None)]).texts
        return Answers(rankings, texts, sorted(self.dropped))


def answer(model, cells, batch_tokens, show_progress, parts):
    """The Answers of cells, in their order; in the place of a cell's that fails, its error.

    show_progress(n): called with the number of rows answered so far.  parts: of each cell its CellPart, or None."""
    works = [Work(cell, part) for cell, part in zip(cells, parts)]
    try:
        _rank_all(model, [work for work in works if work.ranks], batch_tokens, lambda n: show_progress(_done(works) + n))
        for work in works:
            if work.writing and work.error is None:
                _write_all(model, work, lambda n: show_progress(_done(works) + n))
    except (KeyboardInterrupt, Terminated):
        for work in works:
            work.note(now=True)
        raise
    return [work.answers() if work.error is None else work.error for work in works]


def _done(works):
    return sum(work.done for work in works)


def _solve(works, parts, ask):
    """[answers of the rows, None for one that cannot be answered] for each of `works`; None for one that fails. Where they fail together,
    each is asked by itself, and where one does, its rows apart.

    parts: a list of RenderedRows for each.  ask(works, parts): a list of lists of answers."""
    try:
        return ask(works, parts)
    except FAILURES as error:
        if len(works) > 1:
            return [_solve([work], [part], ask)[0] for work, part in zip(works, parts)]
        (work,), (part,) = works, parts
        try:
            answers, dropped = answer_apart(lambda rows: ask(works, [rows])[0], part, error, work.done > 0, len(work.dropped))
        except FAILURES as failure:
            work.error = failure
            return [None]
        work.dropped += dropped
        return [answers]


# ---- ranking ----------------------------------------------------------------------------------------------------------


def _rank_all(model, works, batch_tokens, show_progress):
    """Fills in the rankings of works, part by part."""
    size, agree = None, getattr(model, "agree_on_rows", lambda n: n)  # of processes that share the rows, and have each its clock
    while waiting := [work for work in works if work.error is None and len(work.rankings) < len(work.kept)]:
        began, first = time.monotonic(), min(work.kept.indices[len(work.rankings)] for work in waiting)
        size = agree(size or _first_size(model, waiting, first))
        parts = [_next_rows(work, first + size) for work in waiting]
        asked = [(work, part) for work, part in zip(waiting, parts) if part]
        ask = lambda works, parts: _rank(model, works, parts, batch_tokens, show_progress)  # noqa: E731
        for (work, _), rankings in zip(asked, _solve(*map(list, zip(*asked)), ask)):
            if rankings is not None:
                work.add_rankings(rankings)
                work.note()
        show_progress(0)
        seconds = time.monotonic() - began
        size = min(HELD, 2 * size) if seconds < SHORT else max(LEAST, size // 2) if seconds > LONG else size


def _first_size(model, works, first):
    """How many numbers of rows the first part has, by the length of those that come first."""
    full = CALLS * _characters_of_a_call(model)
    if not full:
        return FIRST
    parts = [_next_rows(work, first + LEAST) for work in works]
    length = sum(len(row.input) + sum(map(len, row.ranked)) for part in parts for row in part)
    return max(LEAST, min(HELD, LEAST * full // max(1, length)))


def _next_rows(work, end):
    """The rows that are to be ranked next, with numbers below `end`."""
    return work.kept[len(work.rankings) : max(len(work.rankings), work.kept.below(end))]


def _rank(model, works, parts, batch_tokens, show_progress):
    """The rankings of the rows of each of `parts`; each different (input, choices) is ranked once."""
    numbers = {}  # (input, *choices) -> its number among those that are ranked
    for rows in parts:
        for row in rows:
            numbers.setdefault((row.input, *row.ranked), len(numbers))
    share = sum(map(len, parts)) / max(1, len(numbers))
    options = {} if batch_tokens is None else {"batch_tokens": batch_tokens}
    inputs, choices = [key[0] for key in numbers], [list(key[1:]) for key in numbers]
    truncate = works[0].cell.rows.truncate
    rankings = model.rank(inputs, choices, truncate=truncate, progress=lambda done, total: show_progress(int(done * share)), **options)
    return [[rankings[numbers[row.input, *row.ranked]] for row in rows] for rows in parts]


# ---- writing ----------------------------------------------------------------------------------------------------------


def _write_all(model, work, show_progress):
    """Fills in the texts of a work. Where its metrics take short answers they are generated a little further than the target, for a longer
    one is wrong anyway; rows of like targets together."""
    tokenizer = getattr(model, "tokenizer", None)
    if tokenizer is None:
        work.error = ConfigError(NO_TOKENIZER)
        return
    short = all(metric.short for metric in work.writing)
    lengths = _target_lengths(tokenizer, work)
    if work.error is not None:
        return
    order = np.argsort(lengths, kind="stable").astype(np.int32)
    work.order = order[[work.kept.indices[i] not in work.unwritten for i in order]] if work.unwritten else order
    with _silencing_warnings():
        for first in range(len(work.texts), len(work.order), ROWS_AT_ONCE):
            places = work.order[first : first + ROWS_AT_ONCE]
            longest = int(lengths[places[-1]]) + SLACK if short else LONGEST
            rows = [work.kept[int(i)] for i in places]
            ask = lambda works, parts, n=longest: [_generate(model, works[0], parts[0], n, show_progress)]  # noqa: E731
            (texts,) = _solve([work], [rows], ask)
            if texts is None:
                return
            work.add_texts(texts)
            work.note()
            show_progress(0)


def _target_lengths(tokenizer, work):
    """Tokens of the rows' targets, int32 [n]. A row whose target the tokenizer refuses is dropped; where it refuses all, the cell fails."""
    known, lengths, refused = {}, np.zeros(len(work.kept), np.int32), []
    for i, row in enumerate(work.kept):
        n = known.get(row.target)
        if n is None:
            try:
                n = len(tokenizer.encode(row.target))
            except FAILURES as error:
                refused.append((row.index, "the model cannot answer it", f"{type(error).__name__}: {error}"))
                if len(refused) == len(work.kept):
                    work.error = error
                continue
            if len(known) < HELD:
                known[row.target] = n
        lengths[i] = n
    work.unwritten.update(index for index, _, _ in refused)
    work.dropped += [drop for drop in refused if drop[0] not in {index for index, _, _ in work.dropped}]
    return lengths


def _generate(model, work, rows, longest, show_progress):
    """A text a row."""
    options = {"max_new_tokens": longest, "truncate": work.cell.rows.truncate, "progress": lambda done, total: show_progress(done)}
    answers = model.generate([row.input for row in rows], **options)
    return [_first_text(said, row.index) for said, row in zip(answers, rows)]


def _first_text(answers, row):
    """The answer of a row, the first where a model gives several."""
    first = answers[0] if isinstance(answers, (list, tuple)) and answers else answers
    if not isinstance(first, str):
        raise DataError(f"row {row}: the model's answer is {shown(answers)}: must be a text")
    return first


@contextmanager
def _silencing_warnings():
    """Silences the warning about answers that were cut, which are simply wrong here."""
    logger = logging.getLogger("t0native")

    def refuse(record):
        return record.levelno != logging.WARNING

    logger.addFilter(refuse)
    try:
        yield
    finally:
        logger.removeFilter(refuse)
