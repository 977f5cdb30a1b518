"""Published figures of T0 and its rivals (data/published.json), and how a user's own differ from them.

    published(...)      the figures, each with model, dataset, statistic, prompts, shots, source
    beside(report)      each summary of a report with the figures on its dataset, and in words what was measured otherwise
    beside_text(report) the same as text

The file's values are percents as printed; here they are fractions of 1. None of them was measured by this program."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

__all__ = ["beside", "beside_text", "published"]

_FILE = Path(__file__).parents[1] / "data" / "published.json"
_STATISTICS = ("median", "mean", "max")  # those that a summary has too
_USUAL_SPLIT = {"crows_pairs": "test", "super_glue/axg": "test"}
_BIAS_METRIC = {"wino_bias": "target_in_prediction"}


def published(model: str | None = None, dataset: str | None = None) -> list[dict[str, Any]]:
    """Published figures, a list of dicts: model, dataset ("dataset/subset", a name such as "mmlu", or "average"), split, rows, metric,
    statistic ("median", "mean" or "max" over prompts, "one prompt", "as printed"), value, and where they are known low and high (least
    and greatest over prompts), iqr, prompts (how many), shots (0, "several" in the input, "trained" on some), source, note.
    Values are fractions of 1; None is what a source does not say.

    model, dataset: only those of this name ("anli" has three splits). ConfigError for a name that none has.

    >>> [(fact["value"], fact["statistic"]) for fact in t0.published("T0 11B", "super_glue/cb")]
    [(0.786, 'median'), (0.701, 'mean'), (0.701, 'mean'), (0.768, 'median')]
    >>> t0.published("T0 11B", "super_glue/cb")[0]["source"]
    'Liu et al. 2022 (T-Few), arXiv:2205.05638v2'
    """
    facts = _read_facts()
    for key, wanted in (("model", model), ("dataset", dataset)):
        names = list(dict.fromkeys(fact[key] for fact in facts))
        if wanted is not None and wanted not in names:
            raise ConfigError(f"no published figure of {key} {shown(wanted)}; {suggest(wanted, names)}")
    return [dict(fact) for fact in facts if model in (None, fact["model"]) and dataset in (None, fact["dataset"])]


@cache
def _read_facts():
    data = json.loads(_FILE.read_text(encoding="utf-8"))
    return [fact for table in data["tables"] for fact in _read_table(data, table)] + list(_read_bias(data))


def _read_table(data, table):
    for key, value in table["values"].items():
        dataset, _, split = key.partition("@")
        known = data["sets"].get(key, {})
        if "split" in table:  # not said; of ANLI the round alone
            known, split = {}, split[-2:]
        numbers = value if isinstance(value, dict) else {"median": value}
        yield {
            "model": table["model"],
            "dataset": dataset,
            "split": known.get("split", split or None),
            "rows": known.get("rows"),
            "metric": table.get("metric", "accuracy"),
            "statistic": table["statistic"],
            "value": _fraction(numbers["median"]),
            **{ours: _fraction(numbers.get(theirs)) for ours, theirs in (("low", "min"), ("high", "max"), ("iqr", "iqr"))},
            "prompts": known.get("prompts") if table["prompts"] == "paper" else table["prompts"],
            "shots": table["shots"],
            "source": data["sources"][table["source"]],
            "section": table["section"],
            "note": table.get("notes", {}).get(dataset, table.get("note")),
        }


def _read_bias(data):
    bias = data["bias"]
    for model, values in bias["rows"].items():
        for column, value in zip(bias["columns"], values, strict=True):
            dataset, statistic = column.split()
            yield {
                "model": model,
                "dataset": dataset,
                "split": _USUAL_SPLIT.get(dataset, "validation"),
                "rows": None,
                "metric": _BIAS_METRIC.get(dataset.partition("/")[0], "accuracy"),
                "statistic": statistic,
                "value": _fraction(value),
                "low": None,
                "high": None,
                "iqr": None,
                "prompts": 6 if dataset.startswith("wino_bias") else None,
                "shots": 0,
                "source": data["sources"][bias["source"]],
                "section": "bias",
                "note": None,
            }


def _fraction(percent):
    return None if percent is None else float(f"{percent / 100:.15g}")


def beside(report, model=None):
    """See Report.published."""
    comparisons = []
    for entry in report.summary:
        cells = [c for c in report.cells if (c["model"], c["task"], c["status"]) == (entry["model"], entry["task"], "ok")]
        if entry["median"] is None or not cells or cells[0]["dataset"] is None:
            continue
        names = {cells[0]["dataset"], f"{cells[0]['dataset']}/{cells[0]['subset']}"}
        for fact in published(model):
            if fact["dataset"] in names and _has_same_rows(fact, cells[0]["split"]):
                statistic = fact["statistic"] if fact["statistic"] in _STATISTICS else "median"
                own = {"task": entry["task"], "model": entry["model"], "own": entry[statistic]}
                comparisons.append(own | {"published": fact, "differs": list(_list_differences(fact, entry, cells))})
    return comparisons


def beside_text(report, model=None):
    """Lines of percents: the user's own of the same statistic, the published one, whose, and what differs."""
    lines, before = [], None
    for comparison in beside(report, model):
        fact, head = comparison["published"], f"{comparison['task']}, {comparison['model']}"
        lines += [] if head == before else [head, "   own  published"]
        before = head
        line = f"  {100 * comparison['own']:4.1f}       {100 * fact['value']:4.1f}  {fact['model']} ({fact['statistic']}; {fact['source']})"
        lines.append(line + (": " + "; ".join(comparison["differs"]) if comparison["differs"] else ""))
    return "\n".join(lines) or "nothing was published on these datasets"


def _has_same_rows(fact, split):
    """ANLI's rounds are sets of their own; of other datasets, any split is shown, and named where it differs."""
    return fact["dataset"] != "anli" or (fact["split"] or "")[-2:] == str(split)[-2:]


def _list_differences(fact, entry, cells):
    """What was measured otherwise, in words, theirs first."""
    if fact["statistic"] not in _STATISTICS:
        known = "which statistic over prompts is not said" if fact["statistic"] == "as printed" else fact["statistic"]
        yield f"{known}; yours is the median"
    if fact["prompts"] is None:
        yield f"which prompts is not said; yours {entry['prompts']}"
    elif fact["prompts"] != entry["prompts"]:
        yield f"{fact['prompts']} prompt{'s' * (fact['prompts'] != 1)}; yours {entry['prompts']}"
    if fact["shots"]:
        yield {"several": "with examples in the input", "trained": "after training on examples of the dataset"}[fact["shots"]]
    split = cells[0]["split"]
    if fact["split"] is None or fact["split"] == str(split)[-2:]:
        yield f"which split is not said; yours {split}"
    elif fact["split"] != split:
        yield f"split {fact['split']}; yours {split}"
    n = max(cell["n"] + (cell["dropped"] or 0) for cell in cells)
    if fact["rows"] is not None and fact["rows"] != n:
        yield f"{fact['rows']} rows; yours {n}"
    metrics = list(dict.fromkeys(cell["metric"] for cell in cells))
    if fact["metric"] not in metrics:
        yield f"metric {fact['metric']}; yours {metrics[0]}"
    if fact["note"]:
        yield fact["note"]
