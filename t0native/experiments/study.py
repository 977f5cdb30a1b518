"""`t0native demo --full`: every model of the experiment trained anew over three seeds, and the paper's Figures 4, 6 and 7.

    Figure 4    untrained, unprompted (p = 0), one prompt (p = 1), all prompts                    on 11 datasets
    Figure 6    p = 0, 1, 2, 4, all prompts of each dataset                                       on 11 datasets
    Figure 7    d = 5, 8, 11 training datasets                                                    with all prompts

The models of Figure 4 come first. Every model of a seed is written to OUT/seed-S/<name>/report.json as soon as it is evaluated, so an
interrupted study leaves what it has and goes on from there. Means are over seeds; every seed is printed, the failed ones too."""

import json as json_module
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from textwrap import indent

import numpy as np

from t0native.base.errors import ConfigError
from t0native.base.files import write_bytes, write_text
from t0native.evaluation.evaluate import evaluate
from t0native.experiments import training
from t0native.experiments.baselines import ALL, BARE, BASELINES, NEEDED, ONE, UNTRAINED, judge
from t0native.experiments.wordrules import measure_parts, rules_text
from t0native.mini import curriculum
from t0native.mini import tasks as mini_tasks
from t0native.reports.bootstrap import interval_of_mean_gain, interval_of_mean_median
from t0native.reports.figures import figure4, figure6, figure7, pooled
from t0native.reports.report import Report

SEEDS = 3
PROMPTS = {BARE: 0, ONE: 1, "two prompts": 2, "four prompts": 4, ALL: None}
DATASETS = {f"{size} datasets": size for size in mini_tasks.DATASET_LISTS if size != len(mini_tasks.DATASETS)}


def run_study(out, seed, wordings, say, seeds=SEEDS, json=False) -> int:
    """Train and evaluate all models; return 0 if the effect shows on average over the seeds, else 1.

    json: prints {"shown", "reports": {seed: {label: report}}}."""
    folder = Path(out) if out is not None else Path(tempfile.mkdtemp(prefix="t0native-study-"))
    began = time.monotonic()
    say(f"{seeds} seeds, {1 + len(PROMPTS) + len(DATASETS)} models each; results in {folder}")
    reports = {}  # (seed, label) -> Report
    tasks = mini_tasks.heldout_tasks(wordings)
    for label in (UNTRAINED, ALL, ONE, BARE, *(name for name in (*PROMPTS, *DATASETS) if name not in (ALL, ONE, BARE))):
        for number in range(seed, seed + seeds):
            reports[number, label] = _make_report(folder / f"seed-{number}" / label.replace(" ", "-"), number, label, tasks, say)
    text, shown = conclude(reports, list(range(seed, seed + seeds)))
    text += "\n" + compare_word_rules(reports, list(range(seed, seed + seeds)), tasks)
    write_text(folder / "results.md", text + "\n")
    say(f"\n{text}")
    draw(reports, folder, say)
    say(f"\n{(time.monotonic() - began) / 60:.0f} minutes in all.")
    if json:
        _print_json(reports, shown)
    return 0 if shown else 1


def _print_json(reports, shown):
    by_seed = {}
    for (seed, label), report in reports.items():
        by_seed.setdefault(str(seed), {})[label] = {"cells": report.cells, "summary": report.summary, "about": report.about}
    print(json_module.dumps({"shown": shown, "reports": by_seed}, indent=1))


def _make_report(folder, seed, label, tasks, say):
    """The report of one model: read if it is there already, of this very recipe and these tasks; else made."""
    datasets = mini_tasks.DATASET_LISTS[DATASETS[label]] if label in DATASETS else mini_tasks.DATASETS
    digest = training.digest_of_recipe(seed, PROMPTS.get(label), datasets, tasks)
    if (folder / "report.json").is_file():
        return _check_report(Report.load(folder), digest, folder)
    if label == UNTRAINED:
        model, facts = mini_tasks.new_model(seed), {}
    else:
        trained = training.train_model(seed, PROMPTS.get(label), datasets)
        model, facts = trained.model, trained.facts()
        model.save(folder / "model")
    report = evaluate(model, tasks, label=label)
    report.about["demo"] = facts | {"seed": seed, "plan": digest}
    report.save(folder / "report.json")
    medians = ", ".join(f"{entry['task']} {100 * entry['median']:.1f}" for entry in report.summary)
    steps = f"{facts['steps']} steps, passed at {facts['passed']}" if facts else "0 steps"
    say(f"seed {seed}, {label}: {steps}; medians: {medians}")
    return report


def _check_report(report, digest, folder):
    """The report, where it is of the recipe with this digest."""
    if report.about.get("demo", {}).get("plan") != digest:
        raise ConfigError(
            f"{folder}: its report is of another recipe, other rows or other wordings than these; name another folder by --out, or "
            "remove it"
        )
    return report


# ---- results ---------------------------------------------------------------------------------------------------------


def entries_of(reports, seeds, label) -> dict:
    """task -> its summary entry under each of the seeds."""
    rows = {}
    for seed in seeds:
        for entry in reports[seed, label].summary:
            rows.setdefault(entry["task"], []).append(entry)
    return rows


def conclude(reports, seeds) -> tuple[str, bool]:
    """Markdown of all results, and whether the mean over seeds shows the effect."""
    labels = (UNTRAINED, *PROMPTS, *DATASETS)
    tasks = list(entries_of(reports, seeds, ALL))
    lines = ["Median over wordings (interquartile range), %, each seed; chance 50.", ""]
    head = ["model", "seed", *tasks, "steps", "passed at", "yes/no", "questions"]
    rows = [_format_row(reports[seed, label], label, seed, tasks) for label in labels for seed in seeds]
    lines += _format_table(head, rows)
    lines += ["", "Mean of the medians over the seeds [95 % interval over rows and wordings], %.", ""]
    lines += _format_table(["model", *tasks], [[label, *(_format_mean(reports, seeds, label, task) for task in tasks)] for label in labels])
    lines.append("")
    for seed in seeds:
        merged = Report.merge([reports[seed, label] for label in (UNTRAINED, BARE, ONE, ALL)])
        verdict = judge(merged)
        lines.append(
            f"- seed {seed}: {'shown' if verdict.shown else 'NOT shown'}, on {len(verdict.counting)} of {len(tasks)} tasks "
            f"({', '.join(verdict.counting) or 'none'})"
        )
    higher = [task for task in tasks if _mean(reports, seeds, ALL, task) > _mean(reports, seeds, ONE, task)]
    more = [task for task in tasks if _mean(reports, seeds, ALL, task) > _mean(reports, seeds, next(iter(DATASETS)), task)]
    reasons = {task: _explain_failure(reports, seeds, task) for task in tasks}
    counting = [task for task in tasks if reasons[task] is None]
    lines += [
        f"- on average over seeds: {'shown' if len(counting) >= NEEDED else 'NOT shown'}, on {len(counting)} of {len(tasks)} "
        f"tasks ({', '.join(counting) or 'none'})",
        *(f"  - not on {task}: {reason}" for task, reason in reasons.items() if reason is not None),
        f"- more prompts (all against one) raise the mean median on {len(higher)} of {len(tasks)} ({', '.join(higher) or 'none'}), "
        f"{tell_gain(_gains(reports, seeds, tasks))}",
        f"- more datasets (11 against 5) raise it on {len(more)} of {len(tasks)} ({', '.join(more) or 'none'})",
    ]
    return "\n".join(lines), len(counting) >= NEEDED


def _gains(reports, seeds, tasks):
    """[seeds, tasks]: median with all prompts less that with one."""
    of = {(seed, label): {e["task"]: e["median"] or 0.0 for e in reports[seed, label].summary} for seed in seeds for label in (ALL, ONE)}
    return np.array([[of[seed, ALL].get(task, 0.0) - of[seed, ONE].get(task, 0.0) for task in tasks] for seed in seeds])


def tell_gain(gains):
    """In words. gains: [seeds, tasks].

    >>> tell_gain([[0.1, 0.2], [0.1, 0.3]])
    'by 17.5 points on average [10.0, 30.0], in 4 of 4 pairs of seed and task'
    """
    gains = np.asarray(gains)
    low, high = (100 * value for value in interval_of_mean_gain(gains))
    pairs = f"in {(gains > 0).sum()} of {gains.size} pairs of seed and task"
    return f"by {100 * gains.mean():.1f} points on average [{low:.1f}, {high:.1f}], {pairs}"


def compare_word_rules(reports, seeds, tasks) -> str:
    """Markdown: what rules of words get right, and the fully prompted models' parts, of each seed."""
    rows = [
        [part.task, part.name, str(seed), f"{part.median:.1f}", f"{min(part.values):.1f} to {max(part.values):.1f}",
         "-" if part.fewer is None else f"{part.fewer:.1f}"]
        for seed in seeds
        for part in measure_parts(reports[seed, ALL], tasks)
    ]  # fmt: skip
    head = ["task", "part", "seed", "median", "wordings", "takes the ending with fewer words of the text"]
    lines = ["", "Rules that only read words, % right on the same rows:", "", indent(rules_text(tasks), "    "), ""]
    return "\n".join([*lines, f"{ALL}: median over wordings, %, by parts.", "", *_format_table(head, rows)])


def _mean(reports, seeds, label, task) -> float:
    values = [entry["median"] or 0.0 for entry in entries_of(reports, seeds, label).get(task, [])]
    return sum(values) / max(1, len(values))


def _format_mean(reports, seeds, label, task) -> str:
    low, high = _interval(reports, seeds, label, task)
    return f"{100 * _mean(reports, seeds, label, task):.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _explain_failure(reports, seeds, task) -> str | None:
    """Why the effect does not stand on average: the interval of the fully prompted models' mean median must begin above
    chance and above the ends of the untrained and the unprompted models'. None where it does."""
    chance = entries_of(reports, seeds, ALL)[task][0]["chance"]
    if chance is None:
        return "none of its prompts has answer choices, so there is no chance level to compare with"
    rivals = {"chance": chance} | {f"the {label} models": _interval(reports, seeds, label, task)[1] for label in (UNTRAINED, BARE)}
    low = _interval(reports, seeds, ALL, task)[0]
    above = [f"{name} ({100 * value:.1f})" for name, value in rivals.items() if low <= value]
    return f"the interval begins at {100 * low:.1f}, not above {' and '.join(above)}" if above else None


def _interval(reports, seeds, label, task) -> tuple[float, float]:
    """95 % interval of the mean over these seeds, over rows and wordings drawn jointly."""
    runs = []
    for seed in seeds:
        report = reports[seed, label]
        runs.append([rows for cell, rows in zip(report.cells, report.correct) if cell["task"] == task and cell["status"] == "ok"])
    return interval_of_mean_median(runs)


def _format_row(report, label, seed, tasks) -> list[str]:
    entries = {entry["task"]: entry for entry in report.summary}
    facts = report.about.get("demo", {})
    solved = facts.get("solved") or {}
    cells = [
        f"{100 * e['median']:.1f} ({100 * (e['q3'] - e['q1']):.0f})" if (e := entries.get(task)) and e["median"] is not None else "-"
        for task in tasks
    ]
    asked = [solved[name] for name in curriculum.EXTRACTIVE if name in solved]
    tail = [str(facts.get("steps", 0)), str(facts.get("passed") or "-")]
    tail.append(f"{100 * solved['yes_no']:.0f}" if "yes_no" in solved else "-")
    tail.append(f"{100 * min(asked):.0f}" if asked else "-")
    return [label, str(seed), *cells, *tail]


def _format_table(head, rows) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def draw(reports, folder, say):
    """Figures 4, 6 and 7 as pictures, the prompts of all seeds in one box."""

    def runs(label):
        return [report for (_, name), report in reports.items() if name == label]

    figures = {
        4: partial(figure4, [pooled(runs(label), label) for label in (UNTRAINED, BARE, ONE, ALL)]),
        6: partial(figure6, {_count_prompts(number): runs(label) for label, number in PROMPTS.items()}),
        7: partial(figure7, {size: runs(label) for label, size in (DATASETS | {ALL: len(mini_tasks.DATASETS)}).items()}),
    }
    for number, figure in figures.items():
        try:
            figure(path=folder / f"figure{number}.png")
        except ImportError:
            say(f"Figure {number} (matplotlib is not installed):\n{figure(text=True)}")


def _count_prompts(number):
    """Prompts a training dataset; the mean over datasets where a model has them all."""
    if number is not None:
        return number
    prompts = mini_tasks.collection(mini_tasks.FOLDER / "prompts")
    return round(sum(len(prompts[name]) for name in mini_tasks.DATASETS) / len(mini_tasks.DATASETS), 2)


def halve(path) -> None:
    """Rewrite a safetensors file of float32 in bfloat16 (rounded to nearest, ties to even): 8 bytes of length, a JSON header,
    then the tensors one behind the other."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json_module.loads(data[8 : 8 + size])
    halved, parts, at = {}, [], 0
    for name, entry in header.items():
        if name == "__metadata__":
            halved[name] = entry
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, not F32")
        first, last = entry["data_offsets"]
        bits = np.frombuffer(data[8 + size + first : 8 + size + last], "<u4").astype(np.uint64)
        part = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()
        halved[name] = entry | {"dtype": "BF16", "data_offsets": [at, at + len(part)]}
        parts.append(part)
        at += len(part)
    text = json_module.dumps(halved, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    write_bytes(Path(path), len(text).to_bytes(8, "little") + text + b"".join(parts))


def write_baselines(folder, seed) -> None:
    """The two models that the demo carries, and the fully prompted one of `Model.mini()`, in bfloat16, with how they were made.

    python -m t0native.experiments.study baselines SEED"""
    for label in (BARE, ONE, ALL):
        trained = training.train_model(seed, PROMPTS[label])
        place = Path(folder) / label.replace(" ", "-")
        trained.model.save(place)
        (place / "README.md").unlink()  # a card of weights in float32; about.json has what is known
        halve(place / "model.safetensors")
        facts = trained.facts() | {"label": label, "command": f"python -m t0native.experiments.study baselines {seed}"}
        write_text(place / "about.json", json_module.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] != "baselines":
        sys.exit("usage: python -m t0native.experiments.study baselines SEED      (all else: t0native demo --full)")
    write_baselines(BASELINES, int(sys.argv[2]))
