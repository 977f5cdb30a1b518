"""What judging the choices of an input gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from t0native.models.notebook import ranking_html, ranking_text

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

__all__ = ["Choice", "Ranking", "rankings_of"]

Choice = TypeVar("Choice")  # as it was given: a text or ids


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Generic[Choice]):
    """The choices of one input, judged. Scores are summed log-likelihoods (nats), lengths count tokens with the end token;
    normalized: scores divided by lengths. In a notebook it shows itself, with each choice's share of the likelihood of all.

    >>> ranking = t0.mini.new_model(0).rank("Does Anna drink tea?", ["Yes", "No"])
    >>> ranking.choice == ["Yes", "No"][ranking.index], ranking.scores.shape, ranking.lengths.tolist()
    (True, (2,), [2, 2])
    """

    choice: Choice  # the best one, as it was given
    index: int
    scores: NDArray[np.float64]  # [choices]
    lengths: NDArray[np.int64]  # [choices]
    token_scores: list[NDArray[np.float32]] | None = None  # on request: of each choice, [length], the log-likelihoods of its tokens
    choices: list[Choice] | None = None  # all of them, as they were given

    @property
    def normalized(self) -> NDArray[np.float64]:
        """float64 [choices]: mean log-likelihood of a choice's tokens.

        >>> ranking = t0.mini.new_model(0).rank("Is it tea?", ["Yes", "No"])
        >>> (ranking.normalized * ranking.lengths == ranking.scores).all().item()
        True
        """
        return self.scores / self.lengths

    def __repr__(self) -> str:
        return ranking_text(self)

    def _repr_html_(self) -> str:
        return ranking_html(self)


def rankings_of(choices, scores, lengths, tokens, length_normalize):
    """A Ranking of each row of choices. scores, lengths [choices of all rows], tokens: a list beside them, or None.  length_normalize:
    the best is that of the highest score a token."""
    rankings, at = [], 0
    for row in choices:
        own = slice(at, at := at + len(row))
        best = int(np.argmax(scores[own] / lengths[own] if length_normalize else scores[own]))
        rankings.append(Ranking(row[best], best, scores[own], lengths[own], None if tokens is None else tokens[own], row))
    return rankings
