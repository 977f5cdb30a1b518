"""Prompt rendering against Jinja2: 1,200 mixed P3 rows, apply + choices, one pinned thread, paired rounds, medians; processor
time of the thread, so that other work on the machine does not count.

    python benchmarks/templates.py [--data FOLDER] [--rounds 9]

FOLDER holds promptsource/templates and promptsource/cases.jsonl (default: $T0NATIVE_TEST_DATA, else ../shared).
Rivals: Jinja2 that compiles at every call, as promptsource's Template does; Jinja2 with compiled templates cached, doing the
same apply; and its bare rendering of a compiled template (no escape, split, choices)."""

import argparse
import json
import os
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from jinja_oracle import Rival  # noqa: E402

import t0native as t0  # noqa: E402

ROWS = 1200
TITLE = ("work", "rival", "t0native", "rival's", "ratio", "reach")


def load(folder):
    """(prompt, its rival, its template as compiled, example) of 1,200 rows."""
    p3 = t0.PromptCollection.load(folder / "promptsource" / "templates")
    lines = (folder / "promptsource" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if not row.get("random")]
    chosen = rows[:: len(rows) // ROWS][:ROWS]
    prompts = [p3[row["dataset"], row["subset"]][row["template"]] for row in chosen]
    jobs = [
        (prompt, Rival(prompt.jinja, prompt.answer_choices), prompt._template(True, False), row["example"])
        for prompt, row in zip(prompts, chosen)
    ]
    for prompt, rival, _, example in jobs:
        assert prompt.apply(example) == rival.apply(example) and prompt.choices(example) == rival.choices(example)
    return jobs


def seconds(work, jobs):
    began = time.thread_time()
    for job in jobs:
        work(*job)
    return time.thread_time() - began


def ours(prompt, rival, template, example):
    prompt.apply(example)
    prompt.choices(example)


def cached(prompt, rival, template, example):
    rival.apply(example)
    rival.choices(example)


def compiling(prompt, rival, template, example):
    rival = Rival(prompt.jinja, prompt.answer_choices, cut_alone=True)
    rival.apply(example)
    rival.choices(example)


def bare(prompt, rival, template, example):
    rival.cut.render(**example)


def ours_bare(prompt, rival, template, example):
    template.render(example)


def compare(mine, other, jobs, rounds, share=1):
    """Medians over rounds: rows a second of ours and of the other's, and their ratio. share: the other does one row in so many."""
    pairs = []
    for _ in range(rounds):
        a, b = seconds(mine, jobs) / len(jobs), seconds(other, jobs[::share]) / len(jobs[::share])
        pairs.append((1 / a, 1 / b, b / a))
    return [statistics.median(values) for values in zip(*pairs)]


def measure(folder, rounds=9):
    """Rows of the table under TITLE."""
    jobs = load(folder)
    plain = [job for job in jobs if "answer_choices" not in job[2].names]  # whose bare rendering needs no choices
    work = f"{len(jobs):,} mixed P3 rows, apply + choices"
    for name, rival, mine, other, rows, share, reach in [
        (work, "Jinja2 compiling at every call", ours, compiling, jobs, 20, "600 x"),
        (work, "Jinja2, compiled templates cached", ours, cached, jobs, 1, "15 x"),
        (f"bare rendering ({len(plain)} rows)", "Jinja2, compiled", ours_bare, bare, plain, 1, "12 x"),
    ]:
        a, b, ratio = compare(mine, other, rows, rounds, share)
        yield name, rival, f"{a:,.0f} rows/s", f"{b:,.0f}", f"{ratio:.1f} x", reach


def show(rows):
    print("| " + " | ".join(TITLE) + " |\n" + "|---" * len(TITLE) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |", flush=True)


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", ROOT.parent / "shared")))
    parser.add_argument("--rounds", type=int, default=9)
    return parser.parse_args()


def main():
    args = arguments(__doc__)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    show(measure(args.data, args.rounds))


if __name__ == "__main__":
    main()
