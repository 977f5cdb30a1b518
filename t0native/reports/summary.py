"""Summaries: an entry a model and task, of those of its cells that have a value by one metric.

    value of a cell     mean over the rows that its prompt keeps; of a metric that is no mean, what the metric gave
    low, high           95 % intervals of the bootstrap (bootstrap.py)
    entry               median, quartiles, interval of the median, mean, min and max over the cells; chance, mean of theirs

An entry covers accuracy where any cell has it, else the metric of the first cell. Cells of other metrics get values and intervals too."""

import numpy as np

from t0native.base.arguments import SEED, TEXT
from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.reports.bootstrap import bootstrap_means, intervals, quartiles
from t0native.reports.cell import COUNT, SHARE, CellRecord

__all__ = ["DISTRIBUTION", "ENTRY", "merge_summaries", "summarize"]

DISTRIBUTION = ("median", "q1", "q3", "low", "high", "mean", "min", "max")
ENTRY = {"model": TEXT, "task": TEXT, "chance": SHARE, **dict.fromkeys(DISTRIBUTION, SHARE), "prompts": COUNT}  # key -> its Kind
_GUESSED = ("accuracy", "multiple_choice_grade")  # metrics that have a chance level


def summarize(records, seed):
    """Fills in value, low, high and n of the records; returns their entries, a list, in the order of their first cells.

    records: CellRecords, judged or failed.  seed: of the bootstrap.

    >>> record = CellRecord(model="m", task="t", prompt="p", metric="accuracy", correct=np.array([1.0, 0.0]), chance=0.5)
    >>> summarize([record], seed=0)[0]["median"], record.value, record.n
    (0.5, 0.5, 2)
    """
    return [_summarize_group(*key, group, seed) for key, group in _group(records).items()]


def _group(records):
    """{(model, task): its records}, in the order of their first cells."""
    groups = {}
    for record in records:
        groups.setdefault((record.model, record.task), []).append(record)
    return groups


def _summarize_group(model, task, group, seed):
    by_metric = {}
    for record in group:
        record.value, record.low, record.high, record.n = None, None, None, 0
        if record.ok:
            by_metric.setdefault(record.metric, []).append(record)
    median_intervals = {metric: _measure(records, seed) for metric, records in by_metric.items()}
    entry = dict.fromkeys(ENTRY) | {"model": model, "task": task, "prompts": 0}
    if not by_metric:
        return entry
    metric = "accuracy" if "accuracy" in by_metric else next(iter(by_metric))
    return entry | _describe(by_metric[metric], *median_intervals[metric])


def _measure(records, seed):
    """Fills in value, low, high and n of records of one metric; returns (low, high) of their median."""
    for record in records:
        kept = record.correct[~np.isnan(record.correct)]
        record.value = float(kept.mean()) if record.draws is None else record.metrics[record.metric]
        record.n = len(kept)
    lows, highs, low, high = intervals(_replicate(records, seed), seed)
    for record, cell_low, cell_high in zip(records, lows, highs):
        record.low, record.high = float(cell_low), float(cell_high)
    return low, high


def _replicate(records, seed):
    """float64 [replicates, records]: values of records of one metric in each replicate of the bootstrap."""
    if records[0].draws is not None:
        return np.stack([record.draws for record in records], axis=1)
    return bootstrap_means(np.stack([record.correct for record in records]), seed)


def _describe(records, low, high):
    """The distribution of the records' values; low, high: interval of their median."""
    values = [record.value for record in records]
    chances = [record.chance for record in records if record.chance is not None]
    median, q1, q3 = quartiles(values)
    return {
        "chance": float(np.mean(chances)) if chances else None,
        **{"median": median, "q1": q1, "q3": q3, "low": low, "high": high},
        **{"mean": float(np.mean(values)), "min": min(values), "max": max(values), "prompts": len(values)},
    }


# ---- several reports --------------------------------------------------------------------------------------------------


def merge_summaries(reports):
    """(records of all cells, summary) of several reports. The entries are the reports' own, but of a (model, task) that several of them
    have: its cells are measured and summarised anew, from all its rows. ConfigError where these do not fit together."""
    records, entries = [], {}
    for report in reports:
        own = {(entry["model"], entry["task"]): entry for entry in report.summary}
        for cell, correct, draws in zip(report.cells, report.correct, report.draws):
            chance = own.get((cell["model"], cell["task"]), {}).get("chance") if cell["metric"] in _GUESSED else None
            records.append(CellRecord.from_dict(cell, correct, chance, draws))
        for key, entry in own.items():
            entries.setdefault(key, []).append(entry)
    seed, groups, summary = reports[0].about.get("seed"), _group(records), []
    for (model, task), of_reports in entries.items():
        if len(of_reports) > 1:
            group = groups.get((model, task), [])
            _check_rows(model, task, [record.correct for record in group if record.ok])
            summary.append(_summarize_group(model, task, group, seed if SEED.fits(seed) else 0))
        else:
            summary += of_reports
    return records, summary


def _check_rows(model, task, rows):
    lengths = sorted({None if values is None else len(values) for values in rows}, key=str)
    if len(lengths) > 1 or None in lengths:
        counts = " and ".join("no rows" if n is None else f"{n} rows" for n in lengths)
        raise ConfigError(
            f"Report.merge: model {shown(model)}, task {shown(task)}: its prompts were judged on {counts}, saved in several reports; "
            "evaluate them alike"
        )
