"""Metrics of one generated text against its targets; where there are several targets, the best counts.

    squad, trivia_qa    words after the official scripts' normalisation: small letters, without punctuation and articles
                        (TriviaQA puts a space for a mark, SQuAD nothing)
    F1 of two bags of words    2 * common / (words of one + words of the other); where either is empty, 1 if both are, else 0
    target_in_prediction    WinoBias': the target, without an article before it, stands in the text, whatever the case
    edit_distance       least number of words inserted, deleted or replaced (Levenshtein 1966) / words of the longer text: 0 is
                        best. T5's metric of this name is the plain number.
    rouge               F1 of rouge-score, without stemming; as in T5, " . " ends a sentence for rougeLsum

Sources: t5/evaluation (Raffel et al. 2020), Rajpurkar et al. 2016, Joshi et al. 2017, Lin 2004."""

import re
import string
from collections import Counter
from functools import lru_cache

from t0native.base.errors import DataError
from t0native.base.showing import shown

__all__ = [
    "edit_distance",
    "exact_match",
    "number_in",
    "number_of_target",
    "rouge",
    "squad_em",
    "squad_f1",
    "target_in_prediction",
    "trivia_qa_em",
    "trivia_qa_f1",
]

_ARTICLE = re.compile(r"\b(?:a|an|the)\b")
_FIRST_ARTICLE = re.compile(r"^(?:a|an|the) (?=.)")
_SQUAD = str.maketrans("", "", string.punctuation)
_TRIVIA = str.maketrans(dict.fromkeys(string.punctuation + "‘’´`_", " "))


def exact_match(prediction, targets):
    return float(prediction.strip() in {target.strip() for target in targets})


def target_in_prediction(prediction, targets):
    text = " ".join(prediction.lower().split())
    nouns = [_FIRST_ARTICLE.sub("", " ".join(target.lower().split())) for target in targets]
    return float(any(noun in text for noun in nouns))


def _split_words(text, marks):
    return _ARTICLE.sub(" ", text.lower().translate(marks)).split()


def _overlap(words, others):
    if not words or not others:
        return float(words == others)
    return 2 * (Counter(words) & Counter(others)).total() / (len(words) + len(others))


def _score_best(compare, prediction, targets, marks):
    words = _split_words(prediction, marks)
    return max(float(compare(words, _split_words(target, marks))) for target in targets)


def squad_em(prediction, targets):
    return _score_best(list.__eq__, prediction, targets, _SQUAD)


def squad_f1(prediction, targets):
    return _score_best(_overlap, prediction, targets, _SQUAD)


def trivia_qa_em(prediction, targets):
    return _score_best(list.__eq__, prediction, targets, _TRIVIA)


def trivia_qa_f1(prediction, targets):
    return _score_best(_overlap, prediction, targets, _TRIVIA)


def edit_distance(prediction, targets):
    words = re.findall(r"\w+", prediction.lower())
    return min(_distance(words, re.findall(r"\w+", target.lower())) for target in targets)


def _distance(words, others):
    row = list(range(len(others) + 1))  # row[j]: edits that make the first i words the first j others
    for i, word in enumerate(words, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(others, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1] / max(len(words), len(others), 1)


def rouge(kind, prediction, targets):
    """kind: "rouge1", "rouge2", "rougeL" or "rougeLsum"."""
    texts = [text.replace(" . ", " .\n") for text in targets]
    return float(_make_scorer(kind).score_multi(texts, prediction.replace(" . ", " .\n"))[kind].fmeasure)


@lru_cache(maxsize=None)
def _make_scorer(kind):
    from rouge_score.rouge_scorer import RougeScorer  # which is optional

    return RougeScorer([kind])


def number_in(text):
    """The number that a text is, else -1 (as T5 reads what a model says where a number is asked).

    >>> number_in(" 3.5"), number_in("three"), number_in("nan")
    (3.5, -1.0, -1.0)
    """
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if abs(value) < float("inf") else -1.0


def number_of_target(text):
    value = number_in(text)
    if value == -1.0 and text.strip() not in {"-1", "-1.0"}:
        raise DataError(f"target {shown(text)} is no number, and a correlation needs one")
    return value
