"""Calibration with a few labels: what was found of B texts with known labels y, put to log-probabilities q of all later ones.

temperature  q'[c] = softmax(beta log q)[c], beta = 1 / T from 1/1000 to 1000, least sum_b sum_c -t[b, c] log q'[b, c]: it is convex in
             beta, and its slope sum_b sum_c (q'[b, c] - t[b, c]) log q[b, c] is halved to nought.       Guo et al. 2017, ICML, section 4.2
             t is (B + 1) / (B + 2) for the right label, and the other labels share the rest, as Platt's targets are: a model that is right
             on all of a few texts does not become certain for it.
platt        each label against the others: p[c] = 1 / (1 + exp(-(a[c] x[c] + b[c]))), x[c] = log q[c] - log(1 - q[c]), least cross entropy
             against (N+ + 1) / (N+ + 2) where c is right and 1 / (N- + 2) where it is not; by Newton's steps, halved where they would not
             descend. Then q' = p / sum_c p.                                       Platt 1999; Lin, Lin & Weng 2007, Machine Learning 68
isotonic     each label against the others: the monotone function of q[c] of least squares, from 0 to 1, straight between its steps
             (scikit-learn's IsotonicRegression). Then q' = p / sum_c p; 1 / C each where all are 0.      Zadrozny & Elkan 2002, KDD

Of several labels a text, each is a yes or no by itself: nothing is divided by a sum, and the temperature is that of the odds.
Log-probabilities below log 1e-300 count as that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from t0native.base.arguments import one_of
from t0native.base.errors import ConfigError
from t0native.classification.combining import log_normalize

__all__ = ["TUNERS", "Isotonic", "Platt", "Temperature", "fit_tuner"]

Floats = NDArray[np.float64]
TUNERS = one_of("temperature", "platt", "isotonic")
LEAST = np.log(1e-300)
STEPS, SLIGHT = 100, 1e-10  # of Newton's, and a slope that is none


class Temperature(NamedTuple):
    """beta: 1 / T.  apart: whether each label is a yes or no by itself."""

    beta: float
    apart: bool

    @property
    def temperature(self) -> float:
        return 1 / self.beta

    def apply(self, logs: Floats) -> Floats:
        """log q' [B, C] of log q [B, C]."""
        logs = np.maximum(logs, LEAST)
        return _log_sigmoid(self.beta * _odds(logs)) if self.apart else log_normalize(self.beta * logs)


class Platt(NamedTuple):
    """a, b: float64 [C]."""

    a: Floats
    b: Floats
    apart: bool

    def apply(self, logs: Floats) -> Floats:
        shares = _log_sigmoid(self.a * _odds(logs) + self.b)
        return shares if self.apart else log_normalize(shares)


class Isotonic(NamedTuple):
    """steps: of each label (q [n], p [n]), where the function bends."""

    steps: tuple[tuple[Floats, Floats], ...]
    apart: bool

    def apply(self, logs: Floats) -> Floats:
        shares = np.stack([np.interp(np.exp(logs[:, c]), *steps) for c, steps in enumerate(self.steps)], axis=1)
        if not self.apart:
            shares = np.where(shares.sum(axis=1, keepdims=True) > 0, shares, 1.0)
        with np.errstate(divide="ignore"):
            return np.log(shares) if self.apart else log_normalize(np.log(shares))


def fit_tuner(how: str, logs: Floats, right: NDArray[np.bool_], apart: bool) -> Any:
    """The Temperature, Platt or Isotonic of log-probabilities [B, C]. right: whether a label is one of the text's, bool [B, C].

    >>> logs, right = np.log([[0.9, 0.1]] * 400), np.eye(2, dtype=bool)[[0] * 300 + [1] * 100]
    >>> np.exp(fit_tuner("temperature", logs, right, False).apply(logs))[0].round(2).tolist()
    [0.75, 0.25]
    """
    return {"temperature": _fit_temperature, "platt": _fit_platt, "isotonic": _fit_isotonic}[how](logs, right, apart)


# ---- temperature ----------------------------------------------------------------------------------------------------------


def _fit_temperature(logs, right, apart):
    logs = np.maximum(logs, LEAST)
    low, high, rest = np.log(1e-3), np.log(1e3), 1 / (len(logs) + 2)
    target = np.where(right, 1 - rest, rest if apart else rest / max(1, logs.shape[1] - 1))
    for _ in range(60):
        middle = (low + high) / 2
        if _slope(np.exp(middle), logs, target, apart) > 0:
            high = middle
        else:
            low = middle
    return Temperature(float(np.exp((low + high) / 2)), apart)


def _slope(beta, logs, target, apart):
    """Of the cross entropy of q' and the targets [B, C], by beta."""
    if apart:
        odds = _odds(logs)
        return float(((np.exp(_log_sigmoid(beta * odds)) - target) * odds).sum())
    return float(((np.exp(log_normalize(beta * logs)) - target) * logs).sum())


# ---- platt ----------------------------------------------------------------------------------------------------------------


def _fit_platt(logs, right, apart):
    odds = _odds(logs)
    pairs = np.array([_sigmoid_of(odds[:, c], right[:, c]) for c in range(odds.shape[1])])
    return Platt(pairs[:, 0], pairs[:, 1], apart)


def _sigmoid_of(x, right):
    """(a, b) of one label."""
    yes = int(right.sum())
    no = len(right) - yes
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    scale = max(1.0, float(np.abs(x).max(initial=0.0)))
    x, at = x / scale, np.array([0.0, np.log((yes + 1) / (no + 1))])
    cost = lambda at: float((np.logaddexp(0.0, at[0] * x + at[1]) - target * (at[0] * x + at[1])).sum())  # noqa: E731
    for _ in range(STEPS):
        share = np.exp(_log_sigmoid(at[0] * x + at[1]))
        slope = np.array([((share - target) * x).sum(), (share - target).sum()])
        if np.abs(slope).max() < SLIGHT:
            break
        bend = share * (1 - share)
        cross = (bend * x).sum()
        step = np.linalg.solve(np.array([[(bend * x * x).sum() + 1e-12, cross], [cross, bend.sum() + 1e-12]]), slope)
        size, now = 1.0, cost(at)
        while size > 1e-10 and cost(at - size * step) > now - 1e-4 * size * float(slope @ step):
            size /= 2
        if size <= 1e-10:
            break
        at = at - size * step
    return at[0] / scale, at[1]


# ---- isotonic -------------------------------------------------------------------------------------------------------------


def _fit_isotonic(logs, right, apart):
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError:
        raise ConfigError("tune='isotonic' needs scikit-learn: pip install scikit-learn (or tune='platt', 'temperature')") from None
    steps = []
    for c in range(logs.shape[1]):
        found = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(np.exp(logs[:, c]), right[:, c].astype(np.float64))
        steps.append((np.asarray(found.X_thresholds_, np.float64), np.asarray(found.y_thresholds_, np.float64)))
    return Isotonic(tuple(steps), apart)


# ---- inside ---------------------------------------------------------------------------------------------------------------


def _odds(logs):
    """log q - log(1 - q), both within what a float has of them."""
    logs = np.clip(logs, LEAST, -1e-16)
    return logs - np.log(-np.expm1(logs))


def _log_sigmoid(x):
    return -np.logaddexp(0.0, -x)
