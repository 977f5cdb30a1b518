"""Rows that a model cannot answer, found by halving where rows of a cell fail together: one row never fails a cell.

    rows --ask--> answers
      or, where that fails, each half by itself; a row that fails alone is dropped with the error

Where the first rows all fail alone it is not they that are wrong: the error is the cell's."""

from t0native.evaluation.judging import FAILURES

__all__ = ["answer_apart"]

AT_FIRST = 8  # rows that may fail before one is answered
AT_MOST = 100  # rows that may fail


def answer_apart(ask, rows, error, answered=False, n_failed=0):
    """([n] answers, None for a row that fails alone; [(row, reason, detail)] of those).

    ask: a list of rows -> a list of answers.  rows: [n] of RenderedRow, which ask refused together.  error: how; raised again where no
    row is answered, or too few are.  answered, n_failed: whether other rows of the cell were, and how many failed."""
    answers, dropped, any_answered = [], [], answered

    def solve(part, failure):
        nonlocal any_answered
        if len(part) == 1:
            answers.append(None)
            dropped.append((part[0].index, "the model cannot answer it", f"{type(failure).__name__}: {failure}"))
            if n_failed + len(dropped) >= (AT_MOST if any_answered else AT_FIRST):
                raise error
            return
        middle = len(part) // 2
        for half in (part[:middle], part[middle:]):
            try:
                found = ask(half)
            except FAILURES as failed:
                solve(half, failed)
            else:
                answers.extend(found)
                any_answered = True

    solve(rows, error)
    if not any_answered:
        raise error
    return answers, dropped
