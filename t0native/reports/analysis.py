"""What many wordings and two models tell, beyond each cell's value. X [P, N] are the values of N rows under P prompts, NaN where dropped.

    paired bootstrap    replicates of median_p B - median_p A, both models on the same rows and prompts drawn      (Efron 1979)
    permutation test    the models' answers to a row, under all prompts, may be swapped: s_i = +-1, and of a prompt
                            B'_p - A'_p = sum_i s_i (b[p, i] - a[p, i]) / N,    B'_p + A'_p = B_p + A_p
                        p = share of the s with |median B' - median A'| as large as found; all 2^n of them where they are few, else
                        (1 + as large) / (1 + drawn)                                                   (Fisher 1935; Phipson & Smyth 2010)
    rank stability      rows fall into two halves by coins; Kendall's tau-b between the prompts' values on the halves, mean over 1000
                        splits: 1 where the order of prompts is a fact of the prompts, 0 where it is chance            (Kendall 1945)
    agreement           P(two prompts judge a row alike, right or wrong); kappa: beyond chance, (agreement - e) / (1 - e),
                        e = right^2 + wrong^2                                                             (Fleiss 1971)

Draws come from the counter-based generator, as in bootstrap.py: equal seeds, equal numbers."""

import numpy as np

from t0native._core import RANDOM_BOOTSTRAP, random_bits
from t0native.base.arguments import SEED
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.reports.bootstrap import bootstrap_means, percentile_interval, quartiles, resampled_medians
from t0native.tasks.metrics import METRICS

__all__ = ["agreement", "compare", "describe", "fleiss_kappa", "kendall_tau", "paired_bootstrap", "permutation_test", "rank_stability"]

SWAP_INDEX, SPLIT_INDEX = 1 << 61, 1 << 62  # indices of these draws; those of rows and prompts lie below
PERMUTATIONS, SPLITS = 9999, 1000
_AT_ONCE = 4_000_000  # numbers held at once


# ---- one model: its prompts -----------------------------------------------------------------------------------------


def describe(report):
    """A list of dicts, one a model and task: see Report.statistics."""
    statistics = []
    for (model, task), cells in _group_cells(report).items():
        summary = next(entry for entry in report.summary if (entry["model"], entry["task"]) == (model, task))
        rows = np.stack([report.correct[i] for i in cells])
        described = [report.cells[i] for i in cells]
        statistics.append(
            {"model": model, "task": task, "metric": described[0]["metric"]}
            | {key: summary[key] for key in ("prompts", "chance", "median", "q1", "q3", "low", "high", "mean", "min", "max")}
            | {"iqr": summary["q3"] - summary["q1"]}
            | {"cells": [{key: cell[key] for key in ("prompt", "value", "low", "high", "n")} for cell in described]}
            | {"rank_stability": rank_stability(rows, _seed(report)) if report.draws[cells[0]] is None else None}
            | dict(zip(("agreement", "kappa"), agreement(rows)))
            | _calibration(report, described)
        )
    return statistics


def _calibration(report, cells):
    """{"ece", "brier"}: medians over the cells that have the scores of their choices in their examples (of ece also those that have it as a
    metric); None where none has."""
    eces, briers = [], []
    for cell in cells:
        examples = [one for one in report.examples(cell) or () if one["choices"] and one["scores"]]
        right = [np.array([choice == one["target"] for choice in one["choices"]], np.float64) for one in examples]
        scores = [np.asarray(one["scores"], np.float64) for one in examples]
        if "ece" in (cell["metrics"] or {}):
            eces.append(cell["metrics"]["ece"])
        elif examples:
            eces.append(METRICS["ece"].of_rows(scores, right))
        if examples:
            briers.append(float(np.mean([((_shares(of_one) - one) ** 2).sum() for of_one, one in zip(scores, right)])))
    return {"ece": _median(eces), "brier": _median(briers)}


def _shares(scores):
    """The choices' shares of the likelihood of all."""
    shares = np.exp(scores - scores.max())
    return shares / shares.sum()


def _group_cells(report, models=None):
    """{(model, task): numbers of the cells that its summary is of}."""
    by_metric = {}
    for i, cell in enumerate(report.cells):
        if cell["status"] == "ok" and report.correct[i] is not None and (models is None or cell["model"] in models):
            by_metric.setdefault((cell["model"], cell["task"]), {}).setdefault(cell["metric"], []).append(i)
    return {key: cells["accuracy"] if "accuracy" in cells else next(iter(cells.values())) for key, cells in by_metric.items()}


def _seed(report):
    seed = report.about.get("seed")
    return seed if SEED.fits(seed) else 0


def _median(values):
    return float(np.median(values)) if values else None


def rank_stability(rows, seed=0, splits=SPLITS):
    """Mean tau-b of `splits` splits, or None where it is defined on none (one prompt, or all alike).

    rows: float64 [P, N], NaN where dropped.

    >>> rank_stability(np.array([[0.0] * 40, [1.0] * 40, [0.0, 1.0] * 20])) > 0.9
    True
    """
    kept = ~np.isnan(rows)
    values, kept = np.where(kept, rows, 0.0).T, kept.T.astype(np.float64)
    taus = []
    step = max(1, _AT_ONCE // (len(values) + values.shape[1] ** 2))
    for first in range(0, splits, step):
        half = _throw_coins(seed, SPLIT_INDEX, first, min(step, splits - first), len(values))
        with np.errstate(invalid="ignore", divide="ignore"):
            one, other = ((side @ values) / (side @ kept) for side in (half, 1 - half))
        taus.append(kendall_tau(one, other))
    taus = np.concatenate(taus)
    taus = taus[~np.isnan(taus)]
    return float(taus.mean()) if len(taus) else None


def kendall_tau(x, y):
    """tau-b of x and y [..., P]: [...], NaN where all of a side are equal (Kendall 1945).

    >>> float(kendall_tau(np.array([1, 2, 3]), np.array([1, 3, 2])))
    0.3333333333333333
    """
    i, j = np.triu_indices(x.shape[-1], 1)
    over_x, over_y = np.sign(x[..., i] - x[..., j]), np.sign(y[..., i] - y[..., j])
    pairs = np.sqrt((over_x**2).sum(axis=-1) * (over_y**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (over_x * over_y).sum(axis=-1) / pairs


def agreement(rows):
    """(share of pairs of prompts that judge a row alike, Fleiss' kappa), over the rows that every prompt keeps; (None, None) where values
    are not 0 and 1, there is one prompt, or no such row. kappa is None where all is right, or all wrong.

    >>> agreement(np.array([[1.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]]))
    (0.75, 0.4666666666666667)
    """
    rows = rows[:, ~np.isnan(rows).any(axis=0)]
    if len(rows) < 2 or not rows.size or not np.isin(rows, (0, 1)).all():
        return None, None
    right = rows.sum(axis=0)
    return fleiss_kappa(np.stack([right, len(rows) - right], axis=1))


def fleiss_kappa(counts):
    """(agreement of pairs of raters, kappa or None) of counts [subjects, categories], how many raters put a subject where; two raters
    or more a subject, as many for each.

    >>> fleiss_kappa(np.array([[3, 0], [0, 3]]))
    (1.0, 1.0)
    """
    raters = counts[0].sum()
    alike = float(((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))).mean())
    by_chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return alike, (alike - by_chance) / (1 - by_chance) if by_chance < 1 else None


# ---- two models -----------------------------------------------------------------------------------------------------


def compare(report, model_a, model_b):
    """A list of dicts, one a task of both: see Report.compare."""
    models = list(dict.fromkeys(cell["model"] for cell in report.cells))
    for model in (model_a, model_b):
        if model not in models:
            raise ConfigError(f"no model {shown(model)} in the report; {suggest(model, models)}")
    cells = _group_cells(report, (model_a, model_b))
    tasks = [task for model, task in cells if model == model_a and (model_b, task) in cells]
    compared = [_compare_task(report, task, *_pair_cells(report, task, cells[model_a, task], cells[model_b, task])) for task in tasks]
    if not compared:
        raise ConfigError(f"models {shown(model_a)} and {shown(model_b)} have no task in common that both were judged on")
    return compared


def _pair_cells(report, task, cells_a, cells_b):
    """Numbers of cells of a and of b, a pair a prompt that both have."""
    by_prompt = {(report.cells[i]["prompt"], report.cells[i]["metric"]): i for i in cells_b}
    pairs = [(i, by_prompt[key]) for i in cells_a if (key := (report.cells[i]["prompt"], report.cells[i]["metric"])) in by_prompt]
    if not pairs:
        raise ConfigError(f"task {shown(task)}: the models have no prompt in common under one metric")
    lengths = {len(report.correct[i]) for pair in pairs for i in pair}
    if len(lengths) > 1:
        raise ConfigError(
            f"task {shown(task)}: the models were judged on {' and '.join(map(str, sorted(lengths)))} rows; evaluate them alike"
        )
    return zip(*pairs)


def _compare_task(report, task, cells_a, cells_b):
    a, b = ([report.cells[i] for i in cells] for cells in (cells_a, cells_b))
    values_a, values_b = (np.array([cell["value"] for cell in cells]) for cells in (a, b))
    seed, corpus = _seed(report), report.draws[cells_a[0]] is not None
    median_a, median_b = quartiles(values_a)[0], quartiles(values_b)[0]
    entry = {"task": task, "metric": a[0]["metric"], "prompts": len(a), "a": median_a, "b": median_b, "difference": median_b - median_a}
    if corpus:
        means = [np.stack([report.draws[i] for i in cells], axis=1) for cells in (cells_a, cells_b)]
    else:
        rows = [np.stack([report.correct[i] for i in cells]) for cells in (cells_a, cells_b)]
        means = [bootstrap_means(side, seed) for side in rows]
    for name, over in (("interval", "both"), ("over_rows", "rows"), ("over_prompts", "prompts")):
        entry[name] = list(_interval_of_difference(means, (values_a, values_b), seed, over))
    entry["p"] = None if corpus else permutation_test(*rows, seed)
    entry["better"] = int((values_b > values_a).sum())
    tau = kendall_tau(values_a, values_b)
    return entry | {"tau": None if np.isnan(tau) else float(tau)}


def paired_bootstrap(a, b, seed=0, over="both", replicates=1000):
    """(low, high): 95 % interval of the difference of the models' medians over prompts, b's minus a's.

    a, b: float64 [P, N], of the same rows and prompts.  over: what is drawn anew, "rows", "prompts" or "both".

    >>> a = np.array([[0.0, 1.0] * 50] * 3)
    >>> paired_bootstrap(a, np.ones_like(a), over="prompts")
    (0.5, 0.5)
    """
    means = [bootstrap_means(side, seed, replicates) for side in (a, b)]
    return _interval_of_difference(means, [np.nanmean(side, axis=1) for side in (a, b)], seed, over)


def _interval_of_difference(means, values, seed, over):
    """means: of a and b, [replicates, P].  values: of a and b, [P]."""
    if over == "rows":
        medians = [np.median(side, axis=1) for side in means]
    else:
        drawn = means if over == "both" else [np.broadcast_to(side, means[0].shape) for side in values]
        medians = [resampled_medians(side, seed) for side in drawn]
    return percentile_interval(medians[1] - medians[0])


def permutation_test(a, b, seed=0, permutations=PERMUTATIONS):
    """The two-sided p-value of the difference of the models' medians over prompts.

    a, b: float64 [P, N], of the same rows and prompts. Exact where the rows on which the models differ are so few that all swaps
    are at most `permutations` + 1.

    >>> permutation_test(np.zeros((1, 5)), np.ones((1, 5)))
    0.0625
    """
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b, kept = (side[kept.any(axis=1)] for side in (a, b, kept))  # a prompt without a row that both kept says nothing
    if not len(kept):
        return 1.0
    a, b = np.where(kept, a, 0.0), np.where(kept, b, 0.0)
    n, middle = kept.sum(axis=1), (a + b).sum(axis=1) / (2 * kept.sum(axis=1))
    half = ((b - a) / (2 * n[:, None])).T  # [N, P]
    differs = half.any(axis=1)
    half = half[differs]
    observed = abs(float(_difference_of_medians(middle, half.sum(axis=0)))) - 1e-12
    exact = 1 << len(half) <= permutations + 1
    total = 1 << len(half) if exact else permutations
    step, as_large = max(1, _AT_ONCE // max(1, len(half))), 0
    for first in range(0, total, step):
        count = min(step, total - first)
        signs = _list_signs(first, count, len(half)) if exact else 2 * _throw_coins(seed, SWAP_INDEX, first, count, len(half)) - 1
        as_large += int((np.abs(_difference_of_medians(middle, signs @ half)) >= observed).sum())
    return as_large / total if exact else (1 + as_large) / (1 + total)


def _difference_of_medians(middle, half):
    """median_p (middle + half) - median_p (middle - half), [...] of half [..., P]."""
    return np.median(middle + half, axis=-1) - np.median(middle - half, axis=-1)


def _list_signs(first, count, n):
    """Rows first, first + 1, ... of the 2^n patterns of +-1, [count, n]."""
    return 2.0 * ((np.arange(first, first + count)[:, None] >> np.arange(n)) & 1) - 1


def _throw_coins(seed, base, first, count, n):
    """[count, n] of 0.0 and 1.0: throws of rows first, first + 1, ..."""
    words = -(-n // 64)
    bits = random_bits(seed, RANDOM_BOOTSTRAP, base + first * words, count * words).astype("<u8").view(np.uint8)
    return np.unpackbits(bits.reshape(count, 8 * words), axis=1, count=n).astype(np.float64)
