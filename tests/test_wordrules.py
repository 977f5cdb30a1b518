"""Rules that only read words, beside the miniature's models: the rules by hand, and the figures of docs/miniature/results.md and README."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native.cli.main import main
from t0native.experiments import study
from t0native.experiments.wordrules import INSIDE, LISTED, RULES, SUBJECT, UNLISTED, measure_parts, measure_rules, rules_line, rules_text
from t0native.mini import tasks as mini_tasks
from t0native.reports.bootstrap import interval_of_mean_gain
from t0native.reports.report import CELL_KEYS, Report

ROOT = Path(__file__).parent.parent
RESULTS = re.sub(r"^    ", "", (ROOT / "docs/miniature/results.md").read_text(encoding="utf-8"), flags=re.M)  # blocks are indented

TOLD = "Anna keeps a cat. Ben plays the drum."
BY_HAND = [
    ("inference", 0, {"premise": TOLD, "hypothesis": "Anna looks after a cat.", "label": 0}, 1.0),
    ("inference", 0, {"premise": TOLD, "hypothesis": "Anna looks after a cat.", "label": 1}, 0.0),
    ("inference", 0, {"premise": TOLD, "hypothesis": "Anna plays the drum.", "label": 1}, 1.0),
    ("pronouns", 0, {"text": TOLD + " He works.", "option1": "Anna", "option2": "Ben", "answer": 2}, 1.0),
    ("pronouns", 0, {"text": TOLD + " She works.", "option1": "Anna", "option2": "Ben", "answer": 1}, 0.0),
    ("blanks", 0, {"sentence": TOLD + " _ tuned the drum.", "option1": "Anna", "option2": "Ben", "answer": 2}, 1.0),
    ("blanks", 0, {"sentence": TOLD + " Anna fed the _.", "option1": "drum", "option2": "cat", "answer": 1}, 0.5),  # "the", and "anna"
    ("completion", 0, {"context": TOLD, "ending1": "Anna keeps a cat.", "ending2": "Anna keeps a dog.", "label": 0}, 1.0),
    ("completion", 0, {"context": TOLD, "ending1": "Anna keeps a drum.", "ending2": "Anna keeps a cat.", "label": 1}, 0.5),
    ("completion", 1, {"context": TOLD, "ending1": "Anna keeps a drum.", "ending2": "Anna keeps a cat.", "label": 1}, 1.0),
]


@pytest.mark.parametrize("task, number, row, wins", BY_HAND)
def test_rules_by_hand(task, number, row, wins):
    assert RULES[task][number][1](row) == wins


def test_the_rule_of_sense_leaves_out_the_words_of_the_form():
    """Which stand in all sentences; a word that both have besides decides."""
    rows = [{"word": "bass", "sentence1": "the bass and the song", "sentence2": "the bass and the river", "label": 1}]
    rows += [{"word": f"w{i}", "sentence1": f"the w{i} and the a{i}", "sentence2": f"the w{i} and the a{i}", "label": 0} for i in range(19)]
    ((_, _, percent),) = measure_rules([t0.Task("sense", rows, [t0.Prompt("p", "{{ word }} ||| yes")])])
    assert percent == 100.0


def test_docs_have_the_rules_that_the_command_prints(monkeypatch, capsys):
    tasks = mini_tasks.heldout_tasks()
    assert rules_text(tasks) in RESULTS and rules_line(tasks) in (ROOT / "README.md").read_text()
    few = [t0.Task(task.name, task.rows[:20], list(task.prompts.values())[:2]) for task in tasks]
    monkeypatch.setattr(mini_tasks, "heldout_tasks", lambda wordings=None: few)
    assert main(["demo", "--word-rules", "--json"]) == 0
    printed = capsys.readouterr()
    facts = json.loads(printed.out)
    assert rules_text(few) in printed.err and [entry["percent"] for entry in facts["rules"]] == [
        percent for _, _, percent in measure_rules(few)
    ]
    assert {(part["task"], len(part["values"])) for part in facts["parts"]} >= {("blanks", 2)}


def test_docs_have_the_carried_models_parts():
    """Wordings at the ends of what docs/miniature/results.md tells, which `t0native demo --word-rules` prints whole; a few rows may differ with other
    kernels."""
    wordings = {"blanks": ("open question", "complete, options"), "completion": ("what comes next", "finish the story")}
    tasks = [task for task in mini_tasks.heldout_tasks() if task.name in wordings]
    chosen = [t0.Task(task.name, task.rows, [task.prompts[name] for name in wordings[task.name]]) for task in tasks]
    report = t0.evaluate(t0.Model.mini(), chosen, label="all prompts", progress=False)
    ends = {(SUBJECT, 0), (SUBJECT, 1), (INSIDE, 0), (LISTED, 0), (UNLISTED, 1)}
    for part in measure_parts(report, chosen):
        told = re.search(rf"^{part.task} +[\d.]+  {part.name}: \d+ wordings, ([\d.]+) to ([\d.]+)", RESULTS, flags=re.M)
        for end, found in enumerate((min(part.values), max(part.values))):
            assert (part.name, end) not in ends or found == pytest.approx(float(told[1 + end]), abs=2), part


def made_up(task, corrects):
    """A report on a task whose prompts have these rows right."""
    cells = [
        dict.fromkeys(CELL_KEYS) | {"model": "m", "task": task.name, "prompt": prompt, "metric": "accuracy", "status": "ok"}
        for prompt in task.prompts
    ]
    return Report.of_cells(cells, corrects, [0.5] * len(cells), seed=0, about={"models": ["m"]})


def test_parts_of_made_up_answers():
    """Of rows that came first, of rows that a prompt drops, and of wordings that list the endings or not."""
    rows = [
        {"sentence": f"{TOLD} {last}", "option1": "Anna", "option2": "Ben", "answer": 1} for last in ("_ works.", "She fed _.", "_ runs.")
    ]
    blanks = t0.Task("blanks", rows, [t0.Prompt(name, "{{ sentence }} ||| {{ option1 }}", "a ||| b") for name in "xy"])
    report = made_up(blanks, [np.array([1.0, 0.0]), np.array([np.nan, 1.0])])  # of the first two rows alone
    subject, inside = measure_parts(report, [blanks], "m")
    assert (subject.name, subject.values, inside.name, inside.values, inside.median) == (SUBJECT, [100.0], INSIDE, [0.0, 100.0], 50.0)
    ends = [("Anna keeps a cat.", "Anna owns a dog."), ("Ben has one flute.", "Ben plays the drum."), ("Anna a cat.", "Ben a drum.")]
    rows = [{"context": TOLD, "ending1": one, "ending2": two, "label": int(i == 1)} for i, (one, two) in enumerate(ends)]
    shown, hidden = "{{ context }} {{ ending1 }} {{ ending2 }} ||| {{ ending1 }}", "{{ context }} ||| {{ ending1 }}"
    completion = t0.Task("completion", rows, [t0.Prompt("l", shown, "a ||| b"), t0.Prompt("u", hidden, "a ||| b")])
    listed, unlisted = measure_parts(made_up(completion, [np.array([0.0, 1.0, 1.0]), np.ones(3)]), [completion], "m")
    assert (listed.name, listed.fewer, unlisted.name, unlisted.fewer) == (LISTED, 50.0, UNLISTED, 0.0)
    assert measure_parts(report, [blanks], "another model") == []


def test_what_more_prompts_are_worth_is_that_of_the_table():
    found = re.findall(r"^\| (one prompt|all prompts) \| (\d) \| (.*?) \|$", RESULTS, flags=re.M)
    medians = {(label, seed): [float(cell.split()[0]) for cell in cells.split("|")[:5]] for label, seed, cells in found}
    gains = np.array([np.subtract(medians["all prompts", seed], medians["one prompt", seed]) / 100 for seed in "789"])
    assert f"(inference, pronouns, blanks, completion, sense), {study.tell_gain(gains)}\n" in RESULTS


def test_the_interval_of_a_mean_gain_draws_seeds_and_tasks():
    assert interval_of_mean_gain(np.full((3, 5), 0.25)) == (0.25, 0.25)
    seeds_alone = interval_of_mean_gain(np.repeat([[0.0], [0.3], [0.6]], 5, axis=1))
    assert seeds_alone == pytest.approx((0.0, 0.6), abs=0.1001) and interval_of_mean_gain(np.repeat([[0.0, 1.0]], 3, axis=0)) == (0.0, 1.0)


def test_a_study_tells_rules_and_parts():
    tasks = [task for task in mini_tasks.heldout_tasks() if task.name == "completion"]
    report = made_up(tasks[0], [np.ones(500)] * len(tasks[0].prompts))
    for cell in report.cells:
        cell["model"] = "all prompts"
    text = study.compare_word_rules({(3, "all prompts"): report}, [3], tasks)
    assert rules_text(tasks) in text.replace("\n    ", "\n") and f"| completion | {LISTED} | 3 | 100.0 | 100.0 to 100.0 | 0.0 |" in text
