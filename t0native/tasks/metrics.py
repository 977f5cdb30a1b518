"""The metrics by which a cell is judged, by name. Values are fractions of 1, and most is best, but for edit_distance and ece.

    name                   promptsource's name    of     a mean over  computed by   what it is
    accuracy               Accuracy               choices  rows       numpy         the choice of highest score is right
    multiple_choice_grade                         choices  rows       numpy         the worth of that choice (BIG-bench)
    f1                                            choices  -          numpy         F1 of choice 1
    f1_macro                                      choices  -          numpy         F1 of each choice, averaged (CB)
    multirc_f1             MultiRC                choices  -          numpy         f1, over the answers to all questions
    multirc_em                                    choices  questions  numpy         all answers to a question are judged right
    auc                    AUC                    scores   -          numpy         area under the ROC curve of choice 1
    ece                                           scores   -          numpy         expected calibration error: 0 is best
    mean_reciprocal_rank   Mean Reciprocal Rank   scores   rows       numpy         1 / the rank of the first right choice
    exact_match            Other                  text     rows       ours          the text is the target, but for spaces at its ends
    squad_em, squad_f1     -, Squad               text     rows       ours          SQuAD's: words normalised, equal or F1
    trivia_qa_em, _f1      Trivia QA, -           text     rows       ours          TriviaQA's: other marks are normalised
    record_em, record_f1                          text     rows       ours          SQuAD's, against all of the row's `answers`
    coqa_f1                COQA F1                text     rows       ours          squad_f1
    target_in_prediction                          text     rows       ours          the target's noun is in the text (WinoBias)
    edit_distance          Edit Distance          text     rows       ours          word edits / words of the longer: 0 is best
    rouge1, 2, L, Lsum     -, -, -, ROUGE         text     rows       rouge-score   F1 of n-grams or longest common subsequence
    bleu                   BLEU                   text     -          sacrebleu     corpus BLEU, tokenizer "intl" (T5's)
    pearson                Pearson Correlation    text     -          numpy         of the numbers that texts are (-1 for no number)
    spearman               Spearman Correlation   text     -          numpy         the same of their ranks

What the functions of a Metric get, a row:

    of choices  prediction: number of the best choice;  targets: the worth of each choice, float64 [choices], 1 right, 0 wrong
    of scores   prediction: score of each choice, float64 [choices];  targets: as above
    of text     prediction: the generated text;  targets: texts, any of which is right

Right is the prompt's target. "NAME:field.inner", as in "squad_f1:answers.text" or "accuracy:answers", judges by a field of the row
instead: a text or a list of texts; for choices, also a mapping from text to worth or a list of one worth a choice."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.tasks import corpusmetrics, textmetrics

__all__ = ["METRICS", "Metric", "accuracy", "exact_match", "find_metric"]

_NEEDS = ("choices", "scores", "text")
_PACKAGES = {"rouge-score": "rouge_score", "sacrebleu": "sacrebleu"}  # library -> what is imported


@dataclass(frozen=True)
class Metric:
    """One way to judge a cell: a mean over rows (of_row), over groups of rows (of_group), or of all rows at once (of_rows).

    name: in reports.  needs: "choices", "scores" or "text": what the functions get, as the table above says.
    of_row(prediction, targets) -> float.  of_group(predictions, targets) -> float, of the rows whose fields `group` are equal.
    of_rows(predictions, targets) -> float;  weigh(predictions, targets) -> (weights [R, N] -> values [R]) does the same for R
        weightings of the rows at once; without it, of_rows is called once a replicate of the bootstrap.
    targets: the row's field that says what is right, "field.inner"; None is the prompt's target.
    library: whose code computes it.  short: an answer longer than every target is wrong anyway, and need not be generated whole.
    no_answer: where `targets` is an empty list the row has no answer, as in SQuAD 2.0: what is empty is right, and the prompt's target.
    check_target: called with a row's first target, or the worth of its choices; the row is left out where it raises a DataError.

    >>> Metric("contains", "text", of_row=lambda text, targets: float(any(target in text for target in targets))).mean_over
    'rows'
    """

    name: str
    needs: str
    of_row: Callable | None = None
    of_group: Callable | None = None
    weigh: Callable | None = None
    of_rows: Callable | None = None
    targets: str | None = None
    group: tuple[str, ...] = ()
    library: str = "ours"
    short: bool = False
    no_answer: bool = False
    check_target: Callable | None = None

    def __post_init__(self) -> None:
        ways = [self.of_row, self.of_group, self.weigh or self.of_rows]
        if self.needs not in _NEEDS or sum(way is not None for way in ways) != 1 or bool(self.of_group) != bool(self.group):
            raise ConfigError(
                f"metric {shown(self.name)}: needs {' or '.join(map(repr, _NEEDS))}, and one of of_row, of_group (with group) and of_rows"
            )
        if self.weigh is not None and self.of_rows is None:
            object.__setattr__(self, "of_rows", self._unweighted)

    def _unweighted(self, predictions, targets):
        return float(self.weigh(predictions, targets)(np.ones((1, len(predictions))))[0])

    @property
    def mean_over(self) -> str | None:
        """'rows', 'groups', or None where a cell's value is no mean."""
        return "rows" if self.of_row else "groups" if self.of_group else None

    @property
    def by_choices(self) -> bool:
        """Whether the model ranks choices for it; else it generates."""
        return self.needs != "text"


def accuracy(index: int, target_index: int) -> float:
    """index: the choice that ranks first; target_index: the choice that is right.

    >>> accuracy(1, 1), accuracy(0, 1)
    (1.0, 0.0)
    """
    return float(index == target_index)


def exact_match(prediction: str, target: str) -> float:
    """
    >>> exact_match(" yes\\n", "yes"), exact_match("Yes", "yes")
    (1.0, 0.0)
    """
    return textmetrics.exact_match(prediction, [target])


def _worth(prediction, targets):
    return float(targets[prediction])


def _is_best(prediction, targets):
    return float(targets[prediction] > 0 and targets[prediction] == np.max(targets))


def _all_right(predictions, targets):
    return float(all(map(_is_best, predictions, targets)))


def _reciprocal_rank(scores, targets):
    """Of equal scores the first choice ranks first, as where one is chosen."""
    order = np.argsort(-np.asarray(scores, np.float64), kind="stable")
    return 1.0 / (1 + int(np.argmax(np.asarray(targets)[order] == np.max(targets))))


def _make_table():
    def rows(name, needs, of_row, **more):
        return Metric(name, needs, of_row=of_row, **more)

    def corpus(name, needs, weigh, library="numpy", **more):
        return Metric(name, needs, weigh=weigh, library=library, **more)

    text, question = textmetrics, ("idx.paragraph", "idx.question")
    return [
        rows("accuracy", "choices", _is_best, library="numpy"),
        rows("multiple_choice_grade", "choices", _worth, library="numpy"),
        corpus("f1", "choices", corpusmetrics.f1),
        corpus("f1_macro", "choices", corpusmetrics.macro_f1),
        corpus("multirc_f1", "choices", corpusmetrics.f1),
        Metric("multirc_em", "choices", of_group=_all_right, group=question, library="numpy"),
        corpus("auc", "scores", corpusmetrics.auc, check_target=corpusmetrics.check_pair),
        corpus("ece", "scores", corpusmetrics.ece),
        rows("mean_reciprocal_rank", "scores", _reciprocal_rank, library="numpy"),
        rows("exact_match", "text", text.exact_match, short=True),
        rows("squad_em", "text", text.squad_em, no_answer=True),
        rows("squad_f1", "text", text.squad_f1, no_answer=True),
        rows("trivia_qa_em", "text", text.trivia_qa_em),
        rows("trivia_qa_f1", "text", text.trivia_qa_f1),
        rows("record_em", "text", text.squad_em, targets="answers"),
        rows("record_f1", "text", text.squad_f1, targets="answers"),
        rows("coqa_f1", "text", text.squad_f1),
        rows("target_in_prediction", "text", text.target_in_prediction),
        rows("edit_distance", "text", text.edit_distance),
        *(rows(kind, "text", partial(text.rouge, kind), library="rouge-score") for kind in ("rouge1", "rouge2", "rougeL", "rougeLsum")),
        corpus("bleu", "text", corpusmetrics.bleu, "sacrebleu"),
        corpus("pearson", "text", corpusmetrics.pearson, check_target=text.number_of_target),
        corpus("spearman", "text", corpusmetrics.spearman, check_target=text.number_of_target),
    ]


METRICS = {metric.name: metric for metric in _make_table()}
_OTHER_NAMES = {
    "squad": "squad_f1", "trivia_qa": "trivia_qa_em", "record": "record_f1", "multirc": "multirc_f1", "rouge": "rougeLsum",
    "other": "exact_match",
    "macro_f1": "f1_macro", "pearson_correlation": "pearson", "spearman_correlation": "spearman", "mrr": "mean_reciprocal_rank",
}  # fmt: skip
_BY_NAME = {name.lower(): name for name in METRICS} | _OTHER_NAMES


def find_metric(name: str | Metric) -> Metric:
    """The Metric of a name, ours or promptsource's, whatever its case; a Metric is given back. "NAME:field" judges by a field of
    the row. ConfigError with the nearest name; ImportError where its library is not installed.

    >>> find_metric("Squad").name, find_metric("Mean Reciprocal Rank").needs, find_metric("accuracy:answers").targets
    ('squad_f1', 'scores', 'answers')
    >>> find_metric("acuracy")
    Traceback (most recent call last):
    t0native.ConfigError: unknown metric 'acuracy'; did you mean 'accuracy'?
    """
    if isinstance(name, Metric):
        return name
    if not isinstance(name, str):
        raise ConfigError(f"metric {shown(name)}: must be a name or a Metric")
    plain, _, field = name.partition(":")
    key = _BY_NAME.get(plain.strip().lower().replace(" ", "_"))
    if key is None:
        raise ConfigError(f"unknown metric {shown(name)}; {suggest(plain, METRICS)}")
    metric = METRICS[key]
    _check_installed(metric)
    return replace(metric, name=f"{key}:{field}", targets=field) if field else metric


def _check_installed(metric):
    package = _PACKAGES.get(metric.library)
    if package is not None and importlib.util.find_spec(package) is None:
        raise ImportError(f"the metric {metric.name} is computed by {metric.library}: pip install {metric.library}")
