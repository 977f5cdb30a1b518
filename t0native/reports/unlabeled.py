"""Wordings judged without labels, by the probabilities that they give the choices of the same rows.

    p[w, i, c]            exp(score) of choice c of row i under wording w, divided by their sum over c
    mutual information    H(mean_i p[w, i]) - mean_i H(p[w, i]),  H(q) = -sum_c q[c] log q[c], in nats: the choices are sure of each row and
                          differ over rows                                              Sorensen et al. 2022, ACL
    agreement             the share of rows on which w takes the choice that the mean over all wordings of log p takes: pseudo labels of the
                          ensemble, and a wording's accuracy against them               Liao et al. 2022, arXiv:2211.04668 (ZPS)

Choices are compared by their places: wordings whose choices stand in the same order mean the same by them, whatever their words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.reports.analysis import kendall_tau

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["criteria", "judge_without_labels", "log_shares"]

LEAST = np.log(1e-12)


def log_shares(scores: Sequence[Floats]) -> list[Floats]:
    """log p of each row's scores [C].

    >>> np.exp(log_shares([np.log([1.0, 3.0])])[0]).tolist()
    [0.25, 0.75]
    """
    return [row - np.max(row) - np.log(np.exp(row - np.max(row)).sum()) for row in map(np.asarray, scores)]


def criteria(logs: list[list[Floats]]) -> tuple[Floats, Floats]:
    """(agreement [W], mutual information [W]) of log p, a list of rows [C] a wording; the same rows, with as many choices, for each.

    >>> sure = [np.log([0.99, 0.01]), np.log([0.01, 0.99])]
    >>> [part.round(2).tolist() for part in criteria([sure, sure, [np.log([0.5, 0.5])] * 2])]
    [[1.0, 1.0, 0.5], [0.64, 0.64, 0.0]]
    """
    ensemble = [int(np.mean([np.maximum(of[i], LEAST) for of in logs], axis=0).argmax()) for i in range(len(logs[0]))]
    agreement = [np.mean([int(row.argmax()) == label for row, label in zip(of, ensemble)]) for of in logs]
    return np.array(agreement), np.array([_information(of) for of in logs])


def _information(rows):
    """Rows of other numbers of choices are other questions: the mean of each number's, by its rows."""
    found = 0.0
    for n in {len(row) for row in rows}:
        p = np.exp(np.stack([row for row in rows if len(row) == n]))
        found += len(p) * (_entropy(p.mean(axis=0)) - _entropy(p).mean())
    return max(0.0, float(found / len(rows)))


def _entropy(p):
    return -(p * np.log(np.maximum(p, 1e-300))).sum(axis=-1)


def judge_without_labels(report: Any, task: str | None, model: str | None) -> list[dict[str, Any]]:
    """See Report.unlabeled."""
    for what, name in (("task", task), ("model", model)):
        known = list(dict.fromkeys(cell[what] for cell in report.cells))
        if name is not None and name not in known:
            raise ConfigError(f"no {what} {shown(name)} in the report; {suggest(name, known)}")
    groups: dict[tuple[str, str], list[Any]] = {}
    for cell in report.cells:
        if cell["status"] == "ok" and task in (None, cell["task"]) and model in (None, cell["model"]):
            groups.setdefault((cell["model"], cell["task"]), []).append(cell)
    found = [_judge_group(report, *key, cells) for key, cells in groups.items()]
    if not any(entry["wordings"] for entry in found):
        raise ConfigError("unlabeled: no scores of choices are at hand: evaluate now, or load the folder of evaluate(out=)")
    return found


def _judge_group(report, model, task, cells):
    tables = {}
    for cell in cells:
        rows = report.examples(cell)
        scores = {row["row"]: np.asarray(row["scores"], np.float64) for row in rows or () if row.get("scores") is not None}
        if scores:
            tables[cell["prompt"]] = scores, cell["value"]
    entry = {"model": model, "task": task, "rows": 0, "wordings": [], "tau_agreement": None, "tau_information": None}
    if not tables:
        return entry
    first = next(iter(tables.values()))[0]
    rows = [row for row in first if all(row in of and len(of[row]) == len(first[row]) for of, _ in tables.values())]
    if not rows:
        return entry
    agreement, information = criteria([log_shares([of[row] for row in rows]) for of, _ in tables.values()])
    values = np.array([value for _, value in tables.values()])
    order = np.lexsort((-information, -agreement))
    names = list(tables)
    entry["wordings"] = [
        {"prompt": names[w], "agreement": float(agreement[w]), "mutual_information": float(information[w]), "value": float(values[w])}
        for w in order
    ]
    taus = {"tau_agreement": kendall_tau(agreement, values), "tau_information": kendall_tau(information, values)}
    return entry | {"rows": len(rows)} | {name: None if np.isnan(tau) else float(tau) for name, tau in taus.items()}
