"""Answers to many asks in their order, a chunk at a time: memory is that of a chunk.

    asks --chunks of about a second or two--> ranked where there are choices, else written --> answers, in the order of the asks

No answer depends on how the asks are cut into chunks: a model's numbers do not depend on the company, and what is drawn is a function of
the seed and the row's number. A row that the model cannot answer (too long, not to be tokenized) is found by halving and gives its
reason; where the first ones all fail so, it is not they that are wrong, and the error is raised."""

import time
from itertools import islice
from typing import NamedTuple

from t0native.base.errors import ConfigError, Error
from t0native.generation.generation import tell_cut
from t0native.generation.options import PART, Part

__all__ = ["Answer", "answer_all"]

FIRST, MOST = 8, 4096  # asks of a chunk
SECONDS = 1.0  # shorter chunks are followed by longer ones, those four times as long by shorter ones
AT_FIRST = 8  # rows that may fail before one is answered
FAILURES = (Error, ValueError, ArithmeticError)


class Answer(NamedTuple):
    """ask: the Ask.  ranking: a Ranking, or None.  text: what was written (a list where there are several), or None.  reason: why there is
    neither, or None."""

    ask: object
    ranking: object = None
    text: object = None
    reason: str | None = None


def answer_all(model, asks, ranking=None, generation=None, progress=None):
    """Lists of Answer, chunk by chunk.

    asks: an iterable of Ask.  ranking, generation: keywords of model.rank and model.generate.  progress: a function that is called with
    how many asks of the chunk are done.  ConfigError for keywords; any error where nothing can be answered."""
    asks, size, answered = iter(asks), FIRST, False
    work = _Work(model, ranking or {}, generation or {}, progress or (lambda done: None))
    while chunk := list(islice(asks, size)):
        began = time.monotonic()
        answers = work.answer(chunk, answered)
        answered = answered or any(answer.reason is None for answer in answers)
        seconds = time.monotonic() - began
        yield answers
        size = min(MOST, 2 * size) if seconds < SECONDS else max(1, size // 2) if seconds > 4 * SECONDS else size
    tell_cut(work.part.cut, work.part.answers, work.part.limit)


class _Work:
    def __init__(self, model, ranking, generation, progress):
        self._model, self._ranking, self._generation, self._progress = model, ranking, generation, progress
        self.part = Part()

    def answer(self, chunk, answered):
        """The Answers of a chunk. answered: whether any row was answered before."""
        answers = [Answer(ask, reason=ask.reason) for ask in chunk]
        ranked = [i for i, ask in enumerate(chunk) if ask.input is not None and ask.choices is not None]
        written = [i for i, ask in enumerate(chunk) if ask.input is not None and ask.choices is None]
        self._done, self._answered, self._failed = len(chunk) - len(ranked) - len(written), answered, 0
        for places, solve in ((ranked, self._rank), (written, self._write)):
            for i, answer in zip(places, self._apart(solve, [chunk[i] for i in places])):
                answers[i] = answer
        return answers

    def _apart(self, solve, asks):
        """solve(asks), by halves where that fails."""
        if not asks:
            return []
        try:
            answers = solve(asks)
        except ConfigError:
            raise
        except FAILURES as error:
            if len(asks) == 1:
                self._failed += 1
                if not self._answered and self._failed >= AT_FIRST:
                    raise
                return [Answer(asks[0], reason=str(error).removeprefix("input 0: "))]
            middle = len(asks) // 2
            return self._apart(solve, asks[:middle]) + self._apart(solve, asks[middle:])
        self._answered = True
        self._done += len(asks)
        return answers

    def _rank(self, asks):
        rankings = self._model.rank([ask.input for ask in asks], [ask.choices for ask in asks], progress=self._tell, **self._ranking)
        return [Answer(ask, ranking=ranking) for ask, ranking in zip(asks, rankings)]

    def _write(self, asks):
        options = dict(self._generation)
        if options.get("do_sample") or getattr(self._model, "generation", {}).get("do_sample"):
            options["places"] = [ask.number for ask in asks]
        token = PART.set(self.part)
        try:
            texts = self._model.generate([ask.input for ask in asks], progress=self._tell, **options)
        finally:
            PART.reset(token)
        return [Answer(ask, text=text) for ask, text in zip(asks, texts)]

    def _tell(self, done, total):
        self._progress(self._done + done)
