"""How much of the variance over wordings each factor takes: an analysis of variance of the cells' values, without interactions.

    value of wording p    v[p] = m + sum over factors f of e[f, level of p] + rest
    SS(F)                 sum of squares of the least-squares fit of v by the levels of the factors F, about the mean; SS = sum (v - m)^2
    alone  of f           SS({f}) / SS
    last   of f           (SS(all) - SS(all but f)) / SS
    share  of f           mean over all orders of the factors of what f adds to those before it, / SS (Lindeman, Merenda & Gold 1980;
                          Shapley's value): shares and rest sum to 1. In a balanced design alone = last = share, the classical SS_f / SS
    rest                  1 - SS(all) / SS: what factors do together (interactions), and chance
    chance                what SS would be, / SS, if the wordings were all alike: (P - 1) s^2 / N, s^2 the mean square of what is left of
                          x[p, i], a row's value under a wording, when the wording's and the row's means are taken away; None of a metric
                          that is no mean over rows

Designs are rarely balanced: not every prompt can have every level. Then levels of two factors stand together more often than not; what
they explain in common is divided between them by `share`, and `alone` - `last` says how much that is. Intervals: 95 %, of the bootstrap
over rows (bootstrap.py); what it draws has the chance of the rows twice, so small shares are drawn larger than they are."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.arguments import SEED
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.reports.bootstrap import bootstrap_means, percentile_interval

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["FactorSplit", "explained", "split_by_factors"]

MOST_FACTORS = 10  # all their subsets are fitted


@dataclass(frozen=True, repr=False)
class FactorSplit:
    """The variance over wordings of one model and task, split. It prints itself.

    model, task, metric: texts.  wordings: how many.  variance: of their values (the sum of squares / wordings).  factors: a list of dicts,
    the largest share first: factor, share, low, high (of the share), alone, last, levels ({level: {"wordings", "mean"}}).
    rest, chance: shares.  balanced: whether every combination of levels that the factors have is there equally often."""

    model: str
    task: str
    metric: str
    wordings: int
    variance: float
    factors: list[dict[str, Any]]
    rest: float
    chance: float | None
    balanced: bool

    def __repr__(self) -> str:
        chance = "" if self.chance is None else f", of which chance over rows would give {self.chance:.1%}"
        lines = [
            f"{self.task}, {self.model}: {self.wordings} wordings, standard deviation of {self.metric} "
            f"{100 * math.sqrt(self.variance):.1f} points{'' if self.balanced else '; not balanced'}",
            f"{'factor':<14}{'share':>8}  {'95 % interval':<16}{'alone':>7}{'last':>7}  means of levels",
        ]
        for one in self.factors:
            order = sorted(one["levels"].items(), key=lambda item: -item[1]["mean"])
            means = ", ".join(f"{level} {100 * of['mean']:.1f}" for level, of in (order if len(order) <= 4 else [order[0], order[-1]]))
            means = means if len(order) <= 4 else f"{means} (best and worst of {len(order)})"
            interval = "" if one["low"] is None else f"{one['low']:.1%} to {one['high']:.1%}"
            lines.append(f"{one['factor']:<14}{one['share']:>8.1%}  {interval:<16}{one['alone']:>7.1%}{one['last']:>7.1%}  {means}")
        return "\n".join([*lines, f"{'rest':<14}{self.rest:>8.1%}  interactions and chance{chance}"])


def split_by_factors(report: Any, task: str | None = None, model: str | None = None) -> list[FactorSplit]:
    """See Report.factors."""
    for what, name in (("task", task), ("model", model)):
        known = list(dict.fromkeys(cell[what] for cell in report.cells))
        if name is not None and name not in known:
            raise ConfigError(f"no {what} {shown(name)} in the report; {suggest(name, known)}")
    groups: dict[tuple[str, str, str], list[int]] = {}
    for i, cell in enumerate(report.cells):
        if cell["status"] == "ok" and cell.get("factors") and task in (None, cell["task"]) and model in (None, cell["model"]):
            groups.setdefault((cell["model"], cell["task"], cell["metric"]), []).append(i)
    found = [_split(report, key, cells) for key, cells in groups.items() if len(cells) > 1]
    if not found:
        raise ConfigError("factors: no model and task of the report has two wordings or more with factors; t0.vary makes such prompts")
    return found


def _split(report, key, cells):
    factors = [report.cells[i]["factors"] for i in cells]
    values = np.array([report.cells[i]["value"] for i in cells])
    seed = report.about.get("seed")
    draws = _replicates(report, cells, seed if SEED.fits(seed) else 0)
    levels = _levels(factors)
    if len(levels) > MOST_FACTORS:
        raise ConfigError(f"factors: {len(levels)} factors; at most {MOST_FACTORS} can be split")
    total, shares, alone, last, rest = explained(values, levels)
    drawn = None if draws is None else explained(draws, levels)[1]
    rows = [
        {
            "factor": name,
            "share": float(shares[f]),
            **dict(zip(("low", "high"), (None, None) if drawn is None else percentile_interval(drawn[f]))),
            "alone": float(alone[f]),
            "last": float(last[f]),
            "levels": {level: _of_level(values, of, level) for level in dict.fromkeys(of)},
        }
        for f, (name, of) in enumerate(levels.items())
    ]
    chance = _chance(report, cells, float(total))
    rows.sort(key=lambda row: -row["share"])
    return FactorSplit(*key, len(cells), float(total) / len(cells), rows, float(rest), chance, _is_balanced(levels))


def _of_level(values, of, level):
    own = values[[one == level for one in of]]
    return {"wordings": len(own), "mean": float(own.mean())}


def _levels(factors):
    """{factor: level of each wording}, of those with several levels; a wording without it has the level "-"."""
    names = dict.fromkeys(name for of in factors for name in of)
    levels = {name: [of.get(name, "-") for of in factors] for name in names}
    return {name: of for name, of in levels.items() if len(set(of)) > 1}


def _is_balanced(levels):
    counts: dict[tuple[str, ...], int] = {}
    for row in zip(*levels.values()):
        counts[row] = counts.get(row, 0) + 1
    return len(counts) == math.prod(len(set(of)) for of in levels.values()) and len(set(counts.values())) == 1


def _replicates(report, cells, seed):
    """Values of the wordings in each replicate of the bootstrap, [R, P]; None where the report has no rows."""
    if report.draws[cells[0]] is not None:
        return np.stack([report.draws[i] for i in cells], axis=1)
    rows = [report.correct[i] for i in cells]
    if any(row is None for row in rows) or len({len(row) for row in rows}) > 1:
        return None
    return bootstrap_means(np.stack(rows), seed)


def _chance(report, cells, total):
    if report.draws[cells[0]] is not None or any(report.correct[i] is None for i in cells) or total <= 0:
        return None
    rows = np.stack([report.correct[i] for i in cells])
    rows = rows[:, ~np.isnan(rows).any(axis=0)]
    if min(rows.shape) < 2:
        return None
    left = rows - rows.mean(axis=0) - rows.mean(axis=1, keepdims=True) + rows.mean()
    square = (left**2).sum() / ((rows.shape[0] - 1) * (rows.shape[1] - 1))
    return min(1.0, float((rows.shape[0] - 1) * square / rows.shape[1] / total))


def explained(values: Floats, levels: dict[str, list[str]]) -> tuple[Any, Any, Any, Any, Any]:
    """(SS, shares [F, ...], alone [F, ...], last [F, ...], rest) of v [..., P], as above; shares are 0 where all of v are equal.

    >>> levels = {"a": ["x", "x", "y", "y"], "b": ["1", "2", "1", "2"]}
    >>> [part.round(2).tolist() for part in explained(np.array([0.0, 1.0, 2.0, 3.0]), levels)]
    [5.0, [0.8, 0.2], [0.8, 0.2], [0.8, 0.2], 0.0]
    """
    values = values - values.mean(axis=-1, keepdims=True)
    total, n = (values**2).sum(axis=-1), len(levels)
    columns = [np.array([[one == level for one in of] for level in set(of)], np.float64).T for of in levels.values()]
    fitted = {subset: _fit(values, [columns[f] for f in subset]) for k in range(n + 1) for subset in itertools.combinations(range(n), k)}
    per = np.where(total > 1e-12, total, np.inf)
    shares = []
    for f in range(n):
        others = [subset for subset in fitted if f not in subset]
        weight = {k: math.factorial(k) * math.factorial(n - k - 1) / math.factorial(n) for k in range(n)}
        shares.append(sum(weight[len(s)] * (fitted[tuple(sorted((*s, f)))] - fitted[s]) for s in others) / per)
    whole = tuple(range(n))
    alone = np.array([fitted[f,] / per for f in range(n)])
    last = np.array([(fitted[whole] - fitted[tuple(g for g in whole if g != f)]) / per for f in range(n)])
    return total, np.maximum(shares, 0.0), alone, np.maximum(last, 0.0), 1 - fitted[whole] / per  # what is below 0 is rounding


def _fit(values, columns):
    """Sum of squares of the fit of centred v [..., P] by these columns."""
    if not columns:
        return np.zeros(values.shape[:-1])
    design = np.concatenate(columns, axis=1)
    design -= design.mean(axis=0)
    left, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis = left[:, sizes > 1e-9 * max(1.0, sizes[0])]
    return ((values @ basis) ** 2).sum(axis=-1)
