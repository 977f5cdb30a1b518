"""Statistics of a report: quartiles over prompts, and bootstrap intervals over rows and prompts (Efron 1979).

X [P, N] holds 1 where prompt p is right on row i, 0 where it is wrong, NaN where the prompt dropped the row.
Replicate r draws N rows with replacement (the same rows for all prompts: they answer the same questions) and P prompts:

    w[r, i]  = how often row i was drawn            v[r, p] = sum_i w x[p, i] / sum_i w over rows that p keeps
    interval of a cell     percentiles 2.5 and 97.5 of v[:, p]
    interval of the median percentiles 2.5 and 97.5 over r of median_j v[r, q_j],  q: the P prompts drawn

A metric that is no mean over rows (corpusmetrics.py) gives v[r, p] from the counts w[r] of the rows that p keeps.

Rows and prompts come from the counter-based generator: equal seeds, equal intervals, on any machine and in any order of
tasks, and two models on the same rows meet the same replicates, so their intervals can be compared."""

import numpy as np

from t0native._core import RANDOM_BOOTSTRAP, random_bits

__all__ = [
    "bootstrap",
    "bootstrap_means",
    "corpus_draws",
    "interval_of_mean_gain",
    "interval_of_mean_median",
    "intervals",
    "percentile_interval",
    "quartiles",
    "resampled_medians",
    "row_counts",
]

PROMPT_INDEX = 1 << 60  # index of the draws of prompts; those of rows begin at 0
REPLICATES = 1000
_CELLS_AT_ONCE = 4_000_000
_CORPUS_CELLS_AT_ONCE = 500_000  # a corpus metric holds a few arrays of this many numbers


def quartiles(values):
    """(median, q1, q3), by linear interpolation between order statistics.

    >>> quartiles([0.1, 0.2, 0.4, 0.8])
    (0.3, 0.175, 0.5)
    """
    q1, median, q3 = np.percentile(np.asarray(values, np.float64), [25, 50, 75])
    return _round_last_bit(median), _round_last_bit(q1), _round_last_bit(q3)


def bootstrap(correct, seed=0, replicates=REPLICATES):
    """(low [P], high [P] of each prompt's mean; low, high of the median over prompts): 95 % intervals.

    correct: float64 [P, N] as above; every prompt keeps at least one row."""
    return intervals(bootstrap_means(np.asarray(correct, np.float64), seed, replicates), seed)


def intervals(values, seed=0):
    """(low [P], high [P], low, high) as `bootstrap` gives, of v [replicates, P]."""
    lows, highs = percentile_interval(values)
    return lows, highs, *percentile_interval(resampled_medians(values, seed))


def corpus_draws(weigh, kept, n_rows, value, seed=0, replicates=REPLICATES):
    """v [replicates] of one cell whose metric is no mean over rows.

    weigh: W [R, N], how often each row kept was drawn, -> [R].  kept: [N], their numbers among n_rows.  value: the metric of all
    rows, which also stands for a replicate on which the metric is not defined (no row kept, one class alone)."""
    values = np.empty(replicates)
    step = max(1, _CORPUS_CELLS_AT_ONCE // n_rows)
    for first in range(0, replicates, step):
        counts = row_counts(seed, first, min(step, replicates - first), n_rows)[:, kept].astype(np.float64)
        not_empty = counts.sum(axis=1) > 0
        drawn = np.full(len(counts), np.nan)
        drawn[not_empty] = weigh(counts[not_empty])
        values[first : first + len(counts)] = np.where(np.isfinite(drawn), drawn, value)
    return values


def interval_of_mean_median(runs, seed=0, replicates=REPLICATES):
    """(low, high): 95 % interval of the mean over runs of their medians over prompts; the runs answer the same rows under the
    same prompts, so every replicate draws one set of rows and prompts for all of them.

    runs: a list of float64 [P, N] as above."""
    medians = [resampled_medians(bootstrap_means(np.asarray(run, np.float64), seed, replicates), seed) for run in runs]
    return percentile_interval(np.mean(medians, axis=0))


def interval_of_mean_gain(gains, seed=0, replicates=10 * REPLICATES):
    """(low, high): 95 % interval of a mean over training seeds and tasks, both drawn with replacement; rows and prompts stay as they are.

    gains: float64 [seeds, tasks], as of one median over another.

    >>> interval_of_mean_gain([[0.1, 0.1], [0.1, 0.1]])
    (0.1, 0.1)
    """
    gains = np.asarray(gains, np.float64)
    n_seeds, n_tasks = gains.shape
    seeds = (random_bits(seed, RANDOM_BOOTSTRAP, 0, replicates * n_seeds) % np.uint64(n_seeds)).reshape(replicates, n_seeds, 1)
    tasks = (random_bits(seed, RANDOM_BOOTSTRAP, PROMPT_INDEX, replicates * n_tasks) % np.uint64(n_tasks)).reshape(replicates, 1, n_tasks)
    return percentile_interval(gains[seeds, tasks].mean(axis=(1, 2)))


def resampled_medians(means, seed):
    """median_j v[r, q_j], [replicates]."""
    replicates, n_prompts = means.shape
    bits = random_bits(seed, RANDOM_BOOTSTRAP, PROMPT_INDEX, replicates * n_prompts)
    picked = (bits % np.uint64(n_prompts)).astype(np.int64).reshape(replicates, n_prompts)
    return np.median(np.take_along_axis(means, picked, axis=1), axis=1)


def row_counts(seed, first, n_replicates, n_rows):
    """[n_replicates, n_rows]: how often each row was drawn in replicates first, first + 1, ..."""
    bits = random_bits(seed, RANDOM_BOOTSTRAP, first * n_rows, n_replicates * n_rows)
    rows = (bits % np.uint64(n_rows)).astype(np.int64) + np.repeat(np.arange(n_replicates) * n_rows, n_rows)
    return np.bincount(rows, minlength=n_replicates * n_rows).reshape(n_replicates, n_rows)


def bootstrap_means(correct, seed=0, replicates=REPLICATES):
    """v [replicates, P]. A replicate that drew none of the rows that a prompt keeps has that prompt's plain mean."""
    n_prompts, n_rows = correct.shape
    kept = ~np.isnan(correct)
    right = np.where(kept, correct, 0.0).T
    plain = right.sum(axis=0) / kept.sum(axis=1)
    means = np.empty((replicates, n_prompts))
    step = max(1, _CELLS_AT_ONCE // n_rows)
    for first in range(0, replicates, step):
        counts = row_counts(seed, first, min(step, replicates - first), n_rows).astype(np.float64)
        total = counts @ kept.T.astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            means[first : first + len(counts)] = np.where(total > 0, (counts @ right) / total, plain)
    return means


def percentile_interval(values):
    """(low, high), 95 %, of replicates [R] or [R, P]: floats, or [P] each."""
    low, high = np.percentile(values, [2.5, 97.5], axis=0)
    return (low, high) if np.ndim(low) else (_round_last_bit(low), _round_last_bit(high))


def _round_last_bit(value):
    """A float that prints short: 15 significant digits take away the last bit's noise of interpolation."""
    return float(f"{float(value):.15g}")
