"""What rules that only read words get right of the held-out tasks, and where a model's own answers stand by the same words.

    rule    (row) -> whether the right answer wins: 1, 0, or one half where the rule cannot choose
    part    rows of a task (blanks: the gap is the subject, or inside) or wordings of it (completion: both endings are listed, or not)

A word is a run of letters, whatever its case; sentences end in a full stop. Whoever wrote the rules had seen the rows, which no model has:
they tell how far the words alone lead, and so what a model's level can mean. The carried rows are five hundred a task; chance is 50 %."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from t0native.experiments.baselines import ALL

__all__ = ["Part", "measure_parts", "measure_rules", "parts_text", "rules_line", "rules_text"]

SUBJECT, INSIDE = "the gap is the subject", "the gap is inside"
LISTED, UNLISTED = "both endings are listed", "the endings are not listed"
RARE = 0.1  # of a task's sentences: words that stand in fewer are no words of the form


def words(text):
    """
    >>> words("Anna keeps a cat.")
    ['anna', 'keeps', 'a', 'cat']
    """
    return re.findall(r"\w+", text.lower())


def _sentences(text):
    return [words(sentence) for sentence in re.split(r"(?<=\.)\s+", text)]


def _prefer(right, wrong):
    """How often the right answer wins, by a number for each."""
    return 1.0 if right > wrong else 0.5 if right == wrong else 0.0


def _ends_meet(text, sentence):
    """Whether the first and the last word of the sentence stand in one sentence of the text."""
    ends = {words(sentence)[0], words(sentence)[-1]}
    return any(ends <= set(other) for other in _sentences(text))


def _shared(text, sentence):
    return len(set(words(text)) & set(words(sentence)))


def _judge_inference(row):
    return float(_ends_meet(row["premise"], row["hypothesis"]) == (row["label"] == 0))


def _options(row):
    """(the right one, the wrong one)."""
    options = row["option1"], row["option2"]
    return options if row["answer"] == 1 else options[::-1]


def _judge_pronouns(row):
    named = words(row["text"])
    return _prefer(*(max(i for i, word in enumerate(named) if word == option.lower()) for option in _options(row)))


def _judge_blanks(row):
    *told, last = map(set, _sentences(row["sentence"]))
    return _prefer(*(max((len(told_in & last) for told_in in told if option.lower() in told_in), default=-1) for option in _options(row)))


def _endings(row):
    """(the right one, the wrong one)."""
    endings = row["ending1"], row["ending2"]
    return endings if row["label"] == 0 else endings[::-1]


def _judge_completion(row):
    return _prefer(*(_shared(row["context"], ending) for ending in _endings(row)))


def _judge_completion_by_ends(row):
    return _prefer(*(_ends_meet(row["context"], ending) for ending in _endings(row)))


def _judge_sense(row, rare):
    both = set(words(row["sentence1"])) & set(words(row["sentence2"])) & rare
    return float(bool(both - {row["word"]}) == (row["label"] == 0))


def _rare_words(rows):
    """Words that stand in fewer than a tenth of the sentences of the task `sense`."""
    counts = Counter(word for row in rows for name in ("sentence1", "sentence2") for word in set(words(row[name])))
    return {word for word, count in counts.items() if count < RARE * 2 * len(rows)}


RULES = {  # the last of a task's is the best
    "inference": (("yes where the first and last word of the hypothesis stand in one sentence of the premise", _judge_inference),),
    "pronouns": (("the person named last", _judge_pronouns),),
    "blanks": (("the option out of the sentence that has more of the words around the gap", _judge_blanks),),
    "completion": (
        ("the ending with more words of the text", _judge_completion),
        ("the ending whose first and last word stand in one sentence of the text", _judge_completion_by_ends),
    ),
    "sense": (("the same where both sentences share a word, of those in fewer than a tenth of all sentences", _judge_sense),),
}


def measure_rules(tasks):
    """[(task, rule, % right)] of those tasks for which there are rules.

    >>> [(task, percent) for task, _, percent in measure_rules(t0.mini.held_out_tasks())][:2]
    [('inference', 94.2), ('pronouns', 51.0)]
    """
    found = []
    for task in tasks:
        rows = list(task.rows)
        more = (_rare_words(rows),) if task.name == "sense" else ()
        for rule, judge in RULES.get(task.name, ()):
            found.append((task.name, rule, 100 * sum(judge(row, *more) for row in rows) / len(rows)))
    return found


def rules_line(tasks):
    """The best rule of each task, in a line."""
    best = {task: percent for task, _, percent in measure_rules(tasks)}
    return "Rules that only read words, on the same rows: " + ", ".join(f"{task} {percent:.1f}" for task, percent in best.items()) + "."


def rules_text(tasks):
    """The table of all rules, a line each."""
    lines = [f"{'task':<12}{'% right':>7}  rule that only reads words"]
    return "\n".join([*lines, *(f"{task:<12}{percent:>7.1f}  {rule}" for task, rule, percent in measure_rules(tasks))])


# ---- a model's answers by the same words -----------------------------------------------------------------------------


class Part(NamedTuple):
    """A model's accuracy on a part of a task. values: % of each wording.  fewer: of wordings of completion, how often the ending was taken
    that has fewer words of the text, in % of the rows in which one has fewer; else None."""

    task: str
    name: str
    values: list[float]
    fewer: float | None = None

    @property
    def median(self) -> float:
        return float(np.median(self.values))


def measure_parts(report, tasks, label=ALL):
    """Parts of blanks and completion of the model with this label, those that there are."""
    cells = {}
    for cell, correct in zip(report.cells, report.correct):
        if cell["model"] == label and cell["status"] == "ok":
            cells.setdefault(cell["task"], []).append((cell["prompt"], np.asarray(correct, np.float64)))
    measures = {"blanks": _parts_of_blanks, "completion": _parts_of_completion}
    return [part for task in tasks if task.name in measures and task.name in cells for part in measures[task.name](task, cells[task.name])]


def _parts_of_blanks(task, cells):
    subject = np.array([row["sentence"].split(". ")[-1].startswith("_") for row in task.rows])[: len(cells[0][1])]
    corrects = [correct for _, correct in cells]
    parts = [Part(task.name, name, _means(corrects, rows)) for name, rows in ((SUBJECT, subject), (INSIDE, ~subject))]
    return [part for part in parts if part.values]


def _parts_of_completion(task, cells):
    pairs = [_endings(row) for row in task.rows][: len(cells[0][1])]
    shared = np.array([[_shared(row["context"], ending) for ending in pair] for row, pair in zip(task.rows, pairs)])
    right_has_fewer, one_has_fewer = shared[:, 0] < shared[:, 1], shared[:, 0] != shared[:, 1]
    groups = {LISTED: [], UNLISTED: []}
    for name, correct in cells:
        example = task.render(name, 0)
        listed = example is not None and all(ending in example.input for ending in pairs[0])
        groups[LISTED if listed else UNLISTED].append(correct)
    parts = []
    for name, corrects in groups.items():
        fewer = _means([np.where(right_has_fewer, correct, 1 - correct) for correct in corrects], one_has_fewer)
        parts += [Part(task.name, name, _means(corrects), float(np.median(fewer)) if fewer else None)] if corrects else []
    return parts


def _means(corrects, rows=slice(None)):
    """% of each wording on these rows; none of a wording that drops them all."""
    return [100 * float(np.nanmean(correct[rows])) for correct in corrects if not np.isnan(correct[rows]).all()]


def parts_text(parts):
    """A line each: the median over wordings, the lowest and the highest."""
    return "\n".join(f"{part.task:<12}{part.median:>7.1f}  {part.name}: {_wordings(part)}" for part in parts)


def _wordings(part):
    told = f"{len(part.values)} wordings, {min(part.values):.1f} to {max(part.values):.1f}"
    if part.fewer is None:
        return told
    return f"{told}; takes the ending with fewer words of the text in {part.fewer:.1f} % of the rows where one has fewer"
