"""Prompt rendering against Jinja2: 1,200 mixed P3 rows, apply + choices, one pinned thread, paired rounds,
CPU time of the thread (other work on the machine does not count).

    python benchmarks/templates.py [--data FOLDER] [--rounds 9]

FOLDER holds promptsource/templates and promptsource/cases.jsonl (default: $T0NATIVE_TEST_DATA, else ../shared).
Rivals: Jinja2 with compiled templates cached doing the same apply, and bare Jinja2 rendering (no escape, split, choices)."""

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


def load(folder):
    p3 = t0.PromptCollection.load(folder / "promptsource" / "templates")
    lines = (folder / "promptsource" / "cases.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if not row.get("random")]
    chosen = rows[:: len(rows) // ROWS][:ROWS]
    prompts = [p3[row["dataset"], row["subset"]][row["template"]] for row in chosen]
    return [(prompt, Rival(prompt.jinja, prompt.answer_choices), row["example"]) for prompt, row in zip(prompts, chosen)]


def seconds(work, jobs):
    began = time.thread_time()
    for job in jobs:
        work(*job)
    return time.thread_time() - began


def ours(prompt, rival, example):
    prompt.apply(example)
    prompt.choices(example)


def theirs(prompt, rival, example):
    rival.apply(example)
    rival.choices(example)


def bare(prompt, rival, example):
    rival.cut.render(**example)


def ours_bare(prompt, rival, example):
    prompt._template(True, False).render(example)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", ROOT.parent / "shared")))
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    jobs = load(args.data)
    plain = []  # rows whose bare rendering needs no answer_choices
    for prompt, rival, example in jobs:
        assert prompt.apply(example) == rival.apply(example) and prompt.choices(example) == rival.choices(example)
        if "answer_choices" not in prompt._template(True, False).names:
            plain.append((prompt, rival, example))
    pairs = [("apply + choices", ours, theirs, jobs), ("bare rendering", ours_bare, bare, plain)]
    for name, mine, other, work in pairs:
        ratios, rates = [], []
        for _ in range(args.rounds):
            a, b = seconds(mine, work), seconds(other, work)
            ratios.append(b / a)
            rates.append((len(work) / a, len(work) / b))
        print(
            f"{name}: {len(work)} rows, t0native {statistics.median(r[0] for r in rates):,.0f} rows/s, "
            f"cached Jinja2 {statistics.median(r[1] for r in rates):,.0f} rows/s, ratio {statistics.median(ratios):.1f} (median of {args.rounds})"
        )


if __name__ == "__main__":
    main()
