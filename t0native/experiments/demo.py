"""`t0native demo`: T0's experiment in small, from random weights to a zero-shot evaluation, in front of the user.

    untrained      the model as it begins
    unprompted     trained on text with holes only, as many examples            carried in mini/baselines
    one prompt     trained on every training dataset by one prompt each         likewise
    all prompts    trained on every training dataset by all its prompts         trained here

All four answer the five held-out tasks under every held-out wording. Shown is what the intervals show: a task counts when
the lower end of the fully prompted model's 95 % interval (of the median over wordings) lies above chance and above the
upper ends of the untrained and of the unprompted model. Three of five tasks must count (all of them where --wordings brings
fewer than three); nothing is repeated in silence."""

import errno
import json as json_module
import os
import sys
import time
from pathlib import Path

from t0native.base.arguments import FOLDER, check
from t0native.base.errors import ConfigError
from t0native.base.files import write_text
from t0native.base.threads import set_num_threads
from t0native.evaluation.evaluate import evaluate
from t0native.experiments import training
from t0native.experiments.baselines import ALL, BARE, NEEDED, ONE, QUICK_NEEDED, QUICK_ROWS, SEED, UNTRAINED, judge, load_baseline
from t0native.experiments.study import run_study
from t0native.experiments.wordrules import measure_parts, measure_rules, parts_text, rules_line, rules_text
from t0native.mini import curriculum
from t0native.mini import tasks as mini_tasks
from t0native.mini.datasets import GROUPS, UNPROMPTED
from t0native.reports.report import Report

__all__ = ["run"]

ABOUT = {
    "inference": "does one text follow from another",
    "pronouns": "whom does he or she mean",
    "blanks": "which word belongs in the blank",
    "completion": "which ending fits",
    "sense": "is a word used in the same sense",
}
EXAMPLES = (
    (
        "inference",
        "Premise: Clara drinks tea. Oscar drinks milk.\nHypothesis: Oscar orders milk.\nDoes the premise imply the hypothesis? Yes or no?",
        ("Yes", "No"),
        0,
    ),
    (
        "pronouns",
        "Vera keeps a goat. Hugo keeps a cat. He works as a baker.\n"
        'In the last sentence, who does the pronoun "he" refer to, Vera or Hugo?',
        ("Vera", "Hugo"),
        1,
    ),
    (
        "blanks",
        "Fill in the blank: Julia plays the drum. Tom plays the flute. Tom tuned the _ last night.\nChoose between drum and flute.",
        ("drum", "flute"),
        1,
    ),
)


def run(out=None, seed=SEED, threads=None, quick=False, full=False, word_rules=False, wordings=None, json=False) -> int:
    """Run the demo and return the exit code: 0 if the effect was shown, 1 if not.

    out: folder for report.json, report.md, pictures and the trained model.  wordings: a P3 folder with other prompts for the
    held-out tasks.  quick: a smaller claim.  full: every model trained anew over three seeds, all figures.  word_rules: nothing is
    trained; what rules that only read words get right, and 0.  json: print the report as JSON, and the story on stderr."""
    if quick + full + word_rules > 1:
        raise ConfigError("--quick, --full and --word-rules: choose one")
    if threads is not None:
        set_num_threads(threads)
    say = _make_say(sys.stderr if json else sys.stdout)
    folder = None if out is None else _make_folder(Path(check(FOLDER, "out", out)))
    if word_rules:
        return _tell_word_rules(mini_tasks.heldout_tasks(wordings), json, say)
    if full:
        return run_study(folder, seed, wordings, say, json=json)
    return _run_demo(folder, seed, quick, wordings, json, say)


def _make_folder(folder):
    """The folder, made and writable: found out before a training of minutes, not after it."""
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, "nothing can be written into this folder; name another by --out", str(folder))
    return folder


def _make_say(stream):
    def say(text=""):
        print(text, file=stream, flush=True)

    return say


def _run_demo(out, seed, quick, wordings, json, say) -> int:
    began = time.monotonic()
    tasks = mini_tasks.heldout_tasks(wordings)
    limit = QUICK_ROWS if quick else None
    _introduce(tasks, quick, wordings, say)
    trained = training.train_model(seed, steps=curriculum.QUICK_STEPS if quick else curriculum.STEPS)
    _describe_training(trained, say)
    if out is not None:
        trained.model.save(out / "model")
    models = {UNTRAINED: mini_tasks.new_model(seed)}
    if not quick:
        models |= {label: load_baseline(label) for label in (BARE, ONE)}
    models[ALL] = trained.model
    report = Report.merge([evaluate(model, tasks, label=label, limit=limit) for label, model in models.items()])
    report.about |= {"demo": trained.facts(), "quick": quick, "demo_seconds": round(time.monotonic() - began, 1)}
    verdict = judge(report, min(QUICK_NEEDED if quick else NEEDED, len(tasks)))
    report.about["shown"] = verdict.shown
    say(f"\n{report}\n\n{report.boxes()}\n")
    _answer_examples(models[UNTRAINED], trained.model, say)
    _conclude(verdict, trained, report, quick, say)
    _compare_word_rules(report, tasks, say)
    if out is not None:
        report.save(out / "report.json")
        write_text(out / "report.md", report.to_markdown())
        _draw(report, out / "figure4.png", say)
        say(f"\nIn {out}: report.json, report.md, model/ (hub layout), and figure4.png where matplotlib is installed.")
    say(f"\n{time.monotonic() - began:.0f} seconds in all.")
    if json:
        print(json_module.dumps({"cells": report.cells, "summary": report.summary, "about": report.about}, indent=1))
    return 0 if verdict.shown else 1


# ---- the story -------------------------------------------------------------------------------------------------------


def _introduce(tasks, quick, wordings, say):
    heldout = ", ".join(f"{task.name} ({ABOUT[task.name]})" for task in tasks)
    groups = "; ".join(f"{group}: {', '.join(names)}" for group, names in GROUPS.items())
    prompts = f"prompts from {wordings}" if wordings else "wordings of its own"
    say(
        "T0's claim in small: a model that is trained on many tasks, each put into words in several ways, can answer tasks that\n"
        "it was never trained on.\n\n"
        f"Trained here, from random weights: a T5 of {mini_tasks.new_model(0).parameters:,} weights on eleven datasets in seven "
        f"groups\n  ({groups}),\n"
        f"  each in all its wordings; and, for a tenth, text with holes ({UNPROMPTED}).\n"
        f"Held out, with rows, wordings and task forms that training never sees:\n  {heldout}.\n"
        f"  Each has {min(len(task.prompts) for task in tasks)} or more {prompts}.\n"
    )
    steps = curriculum.QUICK_STEPS if quick else curriculum.STEPS
    say(f"{steps:,} steps are planned; up to {round(curriculum.PATIENCE * steps):,} if the trained tasks take longer to be solved.\n")
    if quick:
        say(f"Quick form: a shorter training, {QUICK_ROWS} rows a task, and the untrained model alone beside it.\n")


def _describe_training(trained, say):
    solved = ", ".join(f"{name} {100 * value:.0f}" for name, value in trained.solved.items())
    say(
        f"\nTrained on {trained.examples:,} examples ({trained.tokens:,} tokens) in {trained.seconds:.0f} s, {trained.steps} "
        f"steps, seed {trained.seed}."
    )
    if trained.passed is None:
        say("The trained tasks did NOT pass on fresh rows within the most steps allowed.")
    else:
        say(f"The trained tasks passed on fresh rows by step {trained.passed}.")
    say(f"Fresh rows of the trained tasks, % right: {solved}.")


def _answer_examples(before, after, say):
    say("Three questions of kinds that were never trained:")
    for task, text, choices, right in EXAMPLES:
        first, now = (model.rank(text, list(choices)).choice for model in (before, after))
        mark = "right" if now == choices[right] else "wrong"
        indented = text.replace("\n", "\n    ")
        say(f"\n  {task}\n    {indented}\n    -> {now} ({mark}); the untrained model says {first}")
    say()


# ---- the verdict -----------------------------------------------------------------------------------------------------


def _conclude(verdict, trained, report, quick, say):
    tasks = len(verdict.counting) + len(verdict.failing)
    if verdict.shown:
        beside = "the untrained model" if quick else "the untrained and the unprompted model"
        say(f"SHOWN on {len(verdict.counting)} of {tasks} held-out tasks ({', '.join(verdict.counting)}): after multitask prompted")
        say(f"training the median over wordings lies above chance and above {beside}, 95 % intervals apart.")
    else:
        say(f"NOT SHOWN: the effect stands on {len(verdict.counting)} of {tasks} held-out tasks; {verdict.needed} are needed.")
        if trained.passed is None:
            say("The trained tasks themselves were not solved, and then nothing can transfer; another --seed may do better.")
    for task, reason in verdict.failing.items():
        say(f"  not on {task}: {reason}")
    if not quick:
        _compare_prompts(report, say)
    say(
        "This is a toy: a small world, one training run, a few hundred rows a task. It shows the effect, not T0's numbers;\n"
        "other seeds give other levels (docs/miniature/results.md lists several, failed ones too)."
    )


def _compare_prompts(report, say):
    medians = {(entry["model"], entry["task"]): entry["median"] for entry in report.summary}
    tasks = [task for model, task in medians if model == ALL]
    higher = [task for task in tasks if (medians[ALL, task] or 0) > (medians.get((ONE, task)) or 0)]
    say(f"More prompts: all of them beat one prompt a dataset on {len(higher)} of {len(tasks)} tasks ({', '.join(higher) or 'none'});")
    say("  one pair of runs, so an indication only: --full averages over seeds.")


def _compare_word_rules(report, tasks, say):
    say(
        f"\n{rules_line(tasks)}\n"
        "Whoever wrote them had seen the tasks, which the model never has; but what it learned need be no more than such rules."
    )
    if parts := measure_parts(report, tasks):
        say(f"Its answers in parts, median over wordings (docs/miniature/results.md):\n{parts_text(parts)}")


def _tell_word_rules(tasks, json, say):
    """The table of the rules, and the carried model's parts, which takes seconds."""
    say(f"{rules_text(tasks)}\n")
    parted = [task for task in tasks if task.name in ("blanks", "completion")]
    parts = measure_parts(evaluate(load_baseline(ALL), parted, label=ALL), tasks) if parted else []
    say(f"The carried model, {ALL}: median over wordings\n{parts_text(parts)}")
    if json:
        names = ("task", "rule", "percent")
        rules = [dict(zip(names, found)) for found in measure_rules(tasks)]
        print(json_module.dumps({"rules": rules, "parts": [part._asdict() for part in parts]}, indent=1))
    return 0


def _draw(report, path, say):
    try:
        report.plot(path)
    except ImportError:
        say("(no picture: matplotlib is not installed)")
