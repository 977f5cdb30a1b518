"""The accuracies of hundreds of wordings from a few of their cells (PromptEval: Maia Polo et al. 2024, NeurIPS).

A cell is a wording p and a row i; y[p, i] is 1 where it is right. P wordings, N rows, D levels of factors x[p] (0 or 1 each).

    Rasch model      P(y[p, i] = 1) = 1 / (1 + exp(-(t[p] + b[i])))          t: how easy a wording makes it, b: how easy a row is
                     t[p] = a + x[p] . w + u[p],  w ~ N(0, s_w^2),  u ~ N(0, s_u^2),  b ~ N(0, s_b^2),  each s half-Cauchy(1)
    draws            of a, w, u, b, s given the cells seen: Gibbs sampling by Polya-Gamma variables (Polson, Scott & Windle 2013, JASA)
    accuracy         S[p] = (sum of y over rows seen + sum of drawn y over the others) / N, in every draw
    quantile         its median over draws; so is a wording's accuracy
    error            STRETCH times the reach of the 95 % interval of the draws to either side of the median, within 0 and 1

PromptEval's own estimate takes one best (t, b) for certain, which makes a distribution over wordings too narrow or too wide; the draws
keep how little a few cells say of each wording. The reach is doubled because wordings and rows do not only add up, as the model has it: one
that always says yes is right on other rows than one that understands. tests/wording_grids.py measures what is then covered."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from t0native._core import RANDOM_BOOTSTRAP, random_bits

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Estimate", "RandomNumbers", "estimate_accuracies", "one_hot", "sample_cells"]

DRAWS, BURN = 150, 100
STRETCH = 2.0
TERMS = 12  # of the sum that a Polya-Gamma variable is; the mean of the rest is added
ESTIMATE_INDEX, CELLS_INDEX = (
    5 << 59,
    11 << 58,
)  # of the random numbers of this file: behind those of the bootstrap's rows, prompts and swaps


class RandomNumbers:
    """Random numbers one after the other, the same for a seed on any machine."""

    def __init__(self, seed: int, index: int) -> None:
        self._seed, self._index = seed, index

    def uniform(self, *shape: int) -> Floats:
        """In (0, 1)."""
        n = int(np.prod(shape))
        bits = random_bits(self._seed, RANDOM_BOOTSTRAP, self._index, n)
        self._index += n
        return (((bits >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52).reshape(shape)

    def exponential(self, *shape: int) -> Floats:
        """Of mean 1."""
        return -np.log(self.uniform(*shape))

    def normal(self, n: int) -> Floats:
        """Of mean 0 and variance 1 (Box & Muller 1958)."""
        u = self.uniform(2, -(-n // 2))
        return (np.sqrt(-2 * np.log(u[0])) * np.stack([np.cos(2 * np.pi * u[1]), np.sin(2 * np.pi * u[1])])).ravel()[:n]


class Estimate(NamedTuple):
    """What a part of the cells says. accuracies: draws of S [R, P], float64.  seen: how many cells."""

    accuracies: Floats
    seen: int

    def quantile(self, q: float) -> tuple[float, float, float]:
        """(estimate, low, high) of a quantile, q from 0 to 1, of the accuracies over wordings."""
        return _with_error(np.quantile(self.accuracies, q, axis=1))

    def mean(self) -> tuple[float, float, float]:
        """(estimate, low, high) of their mean."""
        return _with_error(self.accuracies.mean(axis=1))


def _with_error(draws):
    low, middle, high = np.quantile(draws, [0.025, 0.5, 0.975])
    return float(middle), float(max(0.0, middle - STRETCH * (middle - low))), float(min(1.0, middle + STRETCH * (high - middle)))


def sample_cells(n_wordings: int, n_rows: int, share: float, seed: int = 0) -> NDArray[np.bool_]:
    """Which cells to look at, bool [P, N]: as many of each wording, and each row about equally often.

    >>> cells = sample_cells(40, 100, 0.05)
    >>> cells.sum(axis=1).tolist() == [5] * 40, cells.sum(axis=0).tolist() == [2] * 100
    (True, True)
    """
    random, each = RandomNumbers(seed, CELLS_INDEX), min(n_rows, max(1, round(share * n_rows)))
    cells, seen = np.zeros((n_wordings, n_rows), bool), np.zeros(n_rows)
    for p in np.argsort(random.uniform(n_wordings)):
        rows = np.lexsort((random.uniform(n_rows), seen))[:each]
        cells[p, rows] = True
        seen[rows] += 1
    return cells


def one_hot(factors: list[dict[str, str]]) -> Floats:
    """x [P, D]: a column a level of each factor that has several; a wording without a factor has no level of it.

    >>> one_hot([{"place": "first"}, {"place": "last"}]).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    columns = []
    for name in dict.fromkeys(name for of in factors for name in of):
        levels = list(dict.fromkeys(of.get(name) for of in factors))
        columns += [[of.get(name) == level for of in factors] for level in levels if len(levels) > 1 and level is not None]
    return np.array(columns, np.float64).T.reshape(len(factors), len(columns))


def estimate_accuracies(answers: Floats, x: Floats, seed: int = 0, draws: int = DRAWS) -> Estimate:
    """The Estimate of y [P, N], NaN where a cell was not looked at, with x [P, D].

    >>> cells = sample_cells(60, 100, 0.1)
    >>> right = (np.arange(60)[:, None] + np.arange(100) * 7) % 100 < 70
    >>> low, high = estimate_accuracies(np.where(cells, right, np.nan), np.zeros((60, 0))).mean()[1:]
    >>> low < 0.7 < high
    True
    """
    seen = ~np.isnan(answers)
    y, random = np.where(seen, answers, 0.0), RandomNumbers(seed, ESTIMATE_INDEX)
    total, others = y.sum(axis=1), seen.shape[1] - seen.sum(axis=1)
    found = np.empty((draws, len(y)))
    for r, (easy, rows) in enumerate(_gibbs(y, seen, x, draws, random)):
        chance = np.where(seen, 0.0, 1 / (1 + np.exp(-(easy[:, None] + rows))))
        spread = np.sqrt((chance * (1 - chance)).sum(axis=1))  # of a sum of coins, taken as normal
        drawn = np.clip(np.round(chance.sum(axis=1) + spread * random.normal(len(y))), 0, others)
        found[r] = (total + drawn) / seen.shape[1]
    return Estimate(found, int(seen.sum()))


def _gibbs(y, seen, x, draws, random):
    """(t [P], b [N]) of each draw."""
    n, d = y.shape, x.shape[1]
    p_of, i_of = np.nonzero(seen)
    design = np.concatenate([np.ones((n[0], 1)), x, np.eye(n[0])], axis=1)  # of a, w, u
    half = np.where(seen, y - 0.5, 0.0)
    at, rows = np.zeros(design.shape[1]), np.zeros(n[1])
    at[0] = np.log((y.sum() + 0.5) / (seen.sum() - y.sum() + 0.5))
    spreads = [_Spread(random), _Spread(random), _Spread(random)]
    weights = np.zeros(n)
    for step in range(BURN + draws):
        easy = design @ at
        weights[p_of, i_of] = _polya_gamma(easy[p_of] + rows[i_of], random)
        prior = np.concatenate([[0.01], np.full(d, 1 / spreads[0].square), np.full(n[0], 1 / spreads[1].square)])
        of_rows = weights.sum(axis=0) + 1 / spreads[2].square
        shared = weights / of_rows
        core = np.diag(weights.sum(axis=1)) - shared @ weights.T  # rows are summed out
        root = np.linalg.cholesky(design.T @ core @ design + np.diag(prior))
        side = np.linalg.solve(root, design.T @ (half.sum(axis=1) - shared @ half.sum(axis=0)))
        at = np.linalg.solve(root.T, side + random.normal(len(at)))
        rows = (half.sum(axis=0) - weights.T @ (design @ at)) / of_rows + random.normal(n[1]) / np.sqrt(of_rows)
        for spread, values in zip(spreads, (at[1 : 1 + d], at[1 + d :], rows)):
            spread.draw(values)
        if step >= BURN:
            yield design @ at, rows


class _Spread:
    """s^2 of values ~ N(0, s^2), s half-Cauchy(1), by two inverse gammas: s^2 | z ~ IG(1/2, 1/z), z ~ IG(1/2, 1) (Makalic & Schmidt
    2016)."""

    def __init__(self, random):
        self.square, self._mixed, self._random = 1.0, 1.0, random

    def draw(self, values):
        rate = values @ values / 2 + 1 / self._mixed
        self.square = float(rate / ((self._random.normal(len(values) + 1) ** 2).sum() / 2))
        self._mixed = float((1 / self.square + 1) / self._random.exponential(1)[0])


def _polya_gamma(c, random):
    """PG(1, c) = sum_k e[k] / (2 pi^2 ((k - 1/2)^2 + c^2 / (4 pi^2))), e exponential; of the terms behind the first their mean."""
    c = np.abs(c)
    terms = 1 / (2 * np.pi**2 * ((np.arange(TERMS) + 0.5) ** 2 + (c[:, None] / (2 * np.pi)) ** 2))
    mean = np.where(c < 1e-6, 0.25, np.tanh(c / 2) / (2 * np.maximum(c, 1e-6)))
    return (terms * random.exponential(*terms.shape)).sum(axis=1) + mean - terms.sum(axis=1)
