"""A draft as the loaded model answers it: the answers to the rows of a preview, or the accuracy on more rows, with every row's answer.

accuracy   right / judged; an answer is right where it is the target, letter for letter
interval   Wilson's of 95 % (1927), z = 1.96:  (p + z^2/2n +- z sqrt(p(1-p)/n + z^2/4n^2)) / (1 + z^2/n)
constant   what the most frequent target alone would have right: a draft is worth something above it"""

import logging
import math
from collections import Counter

from t0native.base.errors import Error
from t0native.base.showing import printable

__all__ = ["accuracy", "ask_model", "judge_draft"]

JUDGED, CHUNK, SECONDS = 50, 10, 20.0  # rows, rows a request to a renderer, what the model may take
NO_TURN = "others are asking the model: try again in a moment"
_log = logging.getLogger("t0native")


def ask_model(answers, rows, seconds=None):
    """{"answers": as Answers.ask} of rows of a preview, or {"answers_error": why there are none}."""
    try:
        found = answers.ask(rows, seconds)
    except (Error, MemoryError, ValueError) as error:
        _log.error("studio: the model gave no answer: %s", error)
        return {"answers_error": printable(f"{type(error).__name__}: {error}")}
    return {"answers_error": NO_TURN} if found is None else {"answers": found}


def judge_draft(studio, author, content, file, offset):
    """{"judged": accuracy(...), "answers": of all these rows} of a content on JUDGED rows of a file; what kept it from being found where
    something did: keys as in workers.py and above, and "error", "line", "column", "of" of a template that does not compile."""
    rows, _ = studio.data.rows(file, offset, JUDGED)
    made = []
    for at in range(0, len(rows), CHUNK):
        answer = studio.workers.render(author, {"content": content, "rows": rows[at : at + CHUNK], "first": offset + at})
        if "rows" not in answer:
            return answer
        made += answer["rows"]
    told = ask_model(studio.answers, made, SECONDS)
    if "answers" in told:
        told["judged"] = accuracy(made, told["answers"], offset)
    return told


def accuracy(rows, answers, first=0):
    """rows: of a preview.  answers: of the first of them.  first: the number of the first.
    A dict: right, judged, share, low, high, constant (target, share) where something was judged; asked and all (rows), left_out (rows that
    are dropped or fail), each: a list of {"row", "input", "target", "answer", "right"}.

    >>> rows = [{"input_text": "a", "target_text": "yes"}, {"input_text": "b", "target_text": "no"}, {"error": "no field c"}]
    >>> told = accuracy(rows, [{"answer": "yes", "right": True}, {"answer": "yes", "right": False}, None])
    >>> told["right"], told["judged"], round(told["low"], 2), round(told["high"], 2), told["left_out"], told["constant"]
    (1, 2, 0.09, 0.91, 1, ('yes', 0.5))
    """
    each = [_judgement(first + i, row, answer) for i, (row, answer) in enumerate(zip(rows, answers))]
    judged = [one for one in each if one["answer"] is not None]
    told = {"each": each, "asked": len(each), "all": len(rows), "left_out": len(each) - len(judged), "judged": len(judged)}
    if judged:
        right = sum(one["right"] for one in judged)
        low, high = _interval(right, len(judged))
        ((target, count),) = Counter(one["target"] for one in judged).most_common(1)
        told |= {"right": right, "share": right / len(judged), "low": low, "high": high, "constant": (target, count / len(judged))}
    return told


def _judgement(number, row, answer):
    if answer is None:
        why = row.get("error") or f"dropped: {row.get('dropped')}"
        return {"row": number, "input": row.get("input_text", ""), "target": "", "answer": None, "right": False, "why": why}
    return {"row": number, "input": row["input_text"], "target": row["target_text"], "answer": answer["answer"], "right": answer["right"]}


def _interval(right, n):
    z, share = 1.96, right / n
    middle, half = share + z * z / (2 * n), z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)
