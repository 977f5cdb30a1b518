"""Why a text got its label: each wording's vote, with the scores of the labels and how far each lies behind the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["Explanation", "Vote"]


@dataclass(frozen=True)
class Vote:
    """prompt: the wording's name.  label: the one it would give.  inputs: what the model read, one a piece.  scores: {label: log-likelihood
    in nats}, as the model gives them.  probabilities: {label: its share in this wording}, calibrated.  differences: {label: score less that
    of the best label}, calibrated: 0 for the best.  weight: of the wording in the combination."""

    prompt: str
    label: Any
    inputs: list[str]
    scores: dict[Any, float]
    probabilities: dict[Any, float]
    differences: dict[Any, float]
    weight: float


@dataclass(frozen=True)
class Explanation:
    """text: what was asked.  label: the answer, None where it abstains.  probability, margin, abstained: of the answer.  probabilities:
    {label: probability}.  votes: a Vote a wording; of several labels a text {label: votes for yes and no}. Print it."""

    text: Any
    label: Any
    probability: float
    margin: float
    abstained: bool
    probabilities: dict[Any, float]
    votes: Any

    def __str__(self) -> str:
        best = sorted(self.probabilities, key=lambda name: -self.probabilities[name])
        doubt = " (abstained)" if self.abstained else ""
        lines = [f"{self.label}{doubt}: probability {self.probability:.3f}, margin {self.margin:.3f}"]
        wide = max(len(str(name)) for name in best)
        lines += [f"  {str(name):<{wide}}  {self.probabilities[name]:.3f}" for name in best[:10]]
        groups = self.votes.items() if isinstance(self.votes, dict) else [(None, self.votes)]
        for name, votes in groups:
            lines.append("votes" if name is None else f"votes on {name}")
            lines += [_line(vote) for vote in votes]
        return "\n".join(lines)


def _line(vote):
    order = sorted(vote.differences, key=lambda name: -vote.differences[name])[:4]
    rest = ", ".join(f"{name} {vote.differences[name]:+.2f}" for name in order[1:])
    pieces = f" ({len(vote.inputs)} pieces)" if len(vote.inputs) > 1 else ""
    left = "" if vote.weight else " (left out)"
    return f"  {vote.prompt}{pieces}{left}: {vote.label}, then {rest}" if rest else f"  {vote.prompt}{pieces}{left}: {vote.label}"
