"""Rows that a model cannot answer, found by halving where the rows of a cell fail together: one row never fails a cell.

    rows --ask--> answers
      or, where that fails, each half by itself; a row that fails alone is dropped with the error

Where the first rows all fail alone it is not they that are wrong: the error is the cell's."""

from t0native.evaluation.judging import FAILURES, Answers

__all__ = ["answer_apart"]

AT_FIRST = 8  # rows that may fail before one is answered
AT_MOST = 100  # rows that may fail


def answer_apart(ask, rows, error):
    """The Answers of rows, with those `dropped` that fail alone.

    ask: a list of rows -> Answers.  rows: [n] of cells.RenderedRow, which ask refused together.  error: how; raised again where no row is
    answered, or too few are."""
    parts, dropped = [], []

    def solve(part, failure):
        if len(part) == 1:
            dropped.append((part[0].index, "the model cannot answer it", f"{type(failure).__name__}: {failure}"))
            if len(dropped) >= (AT_MOST if parts else AT_FIRST):
                raise error
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            try:
                answers = ask(half)
            except FAILURES as failed:
                solve(half, failed)
            else:
                parts.append(answers)

    solve(rows, error)
    if not parts:
        raise error
    return Answers(*(_join([getattr(part, name) for part in parts]) for name in ("rankings", "texts")), dropped)


def _join(lists):
    return None if lists[0] is None else [item for items in lists for item in items]
