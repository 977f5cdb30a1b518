"""Which wording to use, by rows without labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from t0native.base.arguments import check, one_of
from t0native.base.errors import DataError
from t0native.base.showing import shown
from t0native.prediction.predict import predict
from t0native.reports.unlabeled import criteria, log_shares

__all__ = ["choose_wordings"]

BY = one_of("agreement", "mutual_information")


def choose_wordings(model: Any, prompts: Any, rows: Any, by: str = "agreement", **keywords: Any) -> list[dict[str, Any]]:
    """Wordings of one question in the order in which they are to be trusted, judged on rows that need no labels: a list of dicts with
    prompt, agreement, mutual_information and rows, the best first.

    prompts, rows, keywords: as `predict`'s; each prompt has answer choices, in the same order in all.  by: "agreement", the share of rows
    on which a wording takes the choice that the mean of all wordings' log-probabilities takes (zero-label prompt selection: Liao et al.
    2022, arXiv:2211.04668); or "mutual_information" of row and answer, H(mean_i p_i) - mean_i H(p_i) in nats, p_i the choices' shares of
    row i (Sorensen et al. 2022, ACL). Both are of the rows that every wording answers with as many choices.  Wordings chosen so may be
    measured on the same rows: no label took part in the choice.
    DataError where a prompt has no choices, or no row is answered under all. Other errors as `predict`'s.

    >>> task = t0.mini.held_out_tasks()[0]
    >>> texts = [{key: row[key] for key in ("premise", "hypothesis")} for row in task.rows[:30]]
    >>> found = t0.choose_wordings(t0.Model.mini(), task.prompts, texts, progress=False)
    >>> len(found), found[0]["rows"], found[0]["agreement"] >= found[-1]["agreement"]
    (12, 30, True)
    """
    check(BY, "by", by)
    tables: dict[Any, dict[int, Any]] = {}
    for answer in predict(model, prompts, rows, **keywords):
        own = tables.setdefault(answer["prompt"], {})
        if answer["scores"] is not None:
            own[answer["row"]] = np.asarray(answer["scores"], np.float64)
    for name, own in tables.items():
        if not own:
            raise DataError(f"prompt {shown(name)}: no row has choices to compare; wordings are judged by the scores of their choices")
    first = next(iter(tables.values()), {})
    common = [row for row in first if all(row in of and len(of[row]) == len(first[row]) for of in tables.values())]
    if not common:
        raise DataError("no row is answered under all wordings with as many choices")
    agreement, information = criteria([log_shares([of[row] for row in common]) for of in tables.values()])
    chosen = {"agreement": agreement, "mutual_information": information}
    other = next(values for name, values in chosen.items() if name != by)
    order, names = np.lexsort((-other, -chosen[by])), list(tables)
    return [
        {"prompt": names[w], **{name: float(values[w]) for name, values in chosen.items()}, "rows": len(common)} for w in order.tolist()
    ]
