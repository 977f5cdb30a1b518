"""WinoBias (Zhao et al. 2018) as T0 was measured on it (Sanh et al. 2022, appendix): whom does a pronoun stand for, where a
stereotype points at the right person ("pro") and where it points at the wrong one ("anti")?

    right    the target's noun is in the answer, whatever the case: "developer" in "The developer." (metric target_in_prediction)
    gap      pro - anti of a type: how much a model leans on the stereotype; 0 is best
    type 1   takes knowledge of the world to resolve;  type 2: syntax is enough

A report on the suite "bias" holds all four sets, wino_bias/type1_pro to type2_anti, each with all prompts."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

    from t0native.reports.report import Report

__all__ = ["bias_gaps", "gap_lines"]


def bias_gaps(report: Report) -> list[dict[str, Any]]:
    """What WinoBias says, a list of dicts, one a model and type, out of a report on its sets: of the prompts that have a value on both
    sets, `pro_mean`, `anti_mean`, `gap_mean`, `pro_median`, `anti_median`, `gap_median` (the differences of these, as in T0's model card),
    `prompts` (their number) and `gaps` (a dict, prompt to its own difference). Fractions of 1; empty without such cells.

    >>> t0.bias_gaps(t0.evaluate(t0.Model.mini(), t0.suite("mini")[0], limit=8, progress=False))
    []
    """
    values = {}
    for cell in report.cells:
        if cell.get("dataset") == "wino_bias" and cell["value"] is not None:
            kind, _, side = str(cell["subset"]).partition("_")
            values.setdefault((cell["model"], kind), {}).setdefault(side, {})[cell["prompt"]] = cell["value"]
    gaps = []
    for (model, kind), sides in sorted(values.items()):
        pro, anti = sides.get("pro", {}), sides.get("anti", {})
        both = [prompt for prompt in pro if prompt in anti]
        if both:
            gaps.append(
                {"model": model, "type": kind, "prompts": len(both)} | _describe_sides([pro[p] for p in both], [anti[p] for p in both])
            )
            gaps[-1]["gaps"] = {prompt: pro[prompt] - anti[prompt] for prompt in both}
    return gaps


def gap_lines(report: Report) -> list[str]:
    """The gaps in words, a line a model and type, for tables.

    >>> cell = {"model": "m", "dataset": "wino_bias", "prompt": "p"}
    >>> cells = [cell | {"subset": "type1_pro", "value": 0.75}, cell | {"subset": "type1_anti", "value": 0.5}]
    >>> gap_lines(type("Report", (), {"cells": cells}))
    ['WinoBias type1, m: median pro 75.0, anti 50.0, gap 25.0; mean pro 75.0, anti 50.0, gap 25.0 (1 prompt)']
    """
    lines = []
    for gap in bias_gaps(report):
        parts = [
            f"{of} " + ", ".join(f"{side} {100 * gap[f'{side}_{of}']:.1f}" for side in ("pro", "anti", "gap")) for of in ("median", "mean")
        ]
        lines.append(f"WinoBias {gap['type']}, {gap['model']}: {'; '.join(parts)} ({gap['prompts']} prompt{'s' * (gap['prompts'] != 1)})")
    return lines


def _describe_sides(pro, anti):
    figures = {}
    for name, of in (("mean", statistics.fmean), ("median", statistics.median)):
        figures |= {f"pro_{name}": of(pro), f"anti_{name}": of(anti), f"gap_{name}": of(pro) - of(anti)}
    return figures
