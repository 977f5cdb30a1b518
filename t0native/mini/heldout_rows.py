"""Writes the rows of the five held-out tasks and of the development group, as JSON lines.

    python -m t0native.mini.heldout_rows           writes t0native/mini/{heldout,development}/rows/<task>.jsonl

The held-out rows were written once, before anything could train on the miniature's tasks, and tests/test_mini_heldout.py
holds their hash: this file says how they came about. The development group is for tuning and is never reported.
Labels and the places of right answers are balanced exactly; no row occurs twice.
"""

from pathlib import Path
from random import Random

from t0native.base.jsontext import json_text
from t0native.mini.world import AMBIGUOUS, NAMES, Passage, falsify, other, passage, people, pick, retell, says, stream, topic_sentence

FOLDER = Path(__file__).parent
HELDOUT_ROWS, DEVELOPMENT_ROWS = 500, 300

# Sentences with which `blanks` takes up a fact; their verbs occur in no training text.
CARRIERS = {
    "drink": ("{n} bought some more {v} at the shop.", "{n} poured another cup of {v}."),
    "town": ("{n} walked through {v} this morning.", "{n} knows every street of {v}."),
    "pet": ("{n} fed the {v} this morning.", "{n} went out to find food for the {v}."),
    "job": ("{n} was hired as a {v} last year.", "{n} is proud to be a {v}."),
    "music": ("{n} tuned the {v} last night.", "{n} carried the {v} to a lesson."),
}


def true_and_false(rng: Random, story: Passage) -> tuple[str, str]:
    """A sentence that retells a fact of the passage, and one of the same form that contradicts it or is not told."""
    fact = retell(rng, pick(rng, story.facts))
    return says(fact), says(falsify(rng, story, fact))


def inference(rng: Random, label: int) -> dict:
    story = passage(rng)
    return {"premise": story.text, "hypothesis": true_and_false(rng, story)[label], "label": label}


def pronouns(rng: Random, label: int) -> dict:
    """`answer`: the option that the pronoun stands for; `label`: 0 if `candidate` is that person, 1 if not."""
    story = passage(rng, mixed=1.0, third=1.0)
    right = story.facts[-1].person
    wrong = next(person for person in people(story) if person != right)
    answer = 1 + int(rng.random() * 2)
    options = (right, wrong) if answer == 1 else (wrong, right)
    candidate = (right, wrong)[label]
    return {
        "text": story.text,
        "pronoun": story.pronoun,
        "option1": options[0],
        "option2": options[1],
        "answer": answer,
        "candidate": candidate,
        "label": label,
    }


def blanks(rng: Random, label: int) -> dict:
    """The blank hides a person or a value, each in half of the rows."""
    story = passage(rng, same_relation=1.0)
    which = int(rng.random() * 2)
    fact, rival = story.facts[which], story.facts[1 - which]
    carrier = pick(rng, CARRIERS[fact.relation.name])
    if rng.random() < 0.5:
        hidden, right, wrong = carrier.format(n="_", v=fact.value), fact.person, rival.person
    else:
        hidden, right, wrong = carrier.format(n=fact.person, v="_"), fact.value, rival.value
    options = (right, wrong) if label == 0 else (wrong, right)
    return {"sentence": f"{story.text} {hidden}", "option1": options[0], "option2": options[1], "answer": label + 1}


def completion(rng: Random, label: int) -> dict:
    story = passage(rng)
    right, wrong = true_and_false(rng, story)
    endings = (right, wrong) if label == 0 else (wrong, right)
    return {"context": story.text, "ending1": endings[0], "ending2": endings[1], "label": label}


def sense(rng: Random, label: int) -> dict:
    word = pick(rng, tuple(AMBIGUOUS))
    first = pick(rng, AMBIGUOUS[word])
    second = first if label == 0 else other(rng, AMBIGUOUS[word], first)
    one = two = topic_sentence(rng, word, first)
    while two == one:
        two = topic_sentence(rng, word, second)
    return {"word": word, "sentence1": one, "sentence2": two, "label": label}


def claims(rng: Random, label: int) -> dict:
    story = passage(rng)
    return {"text": story.text, "claim": true_and_false(rng, story)[label], "label": label}


def riddles(rng: Random, label: int) -> dict:
    story = passage(rng)
    fact = retell(rng, pick(rng, story.facts))
    wrong = next((person for person in people(story) if person != fact.person), None) or other(rng, NAMES, fact.person)
    options = (fact.person, wrong) if label == 0 else (wrong, fact.person)
    habit = fact.relation.asks[fact.form].format(fact.value)
    return {"text": story.text, "habit": habit, "option1": options[0], "option2": options[1], "answer": label + 1}


# The same for the development group's `gaps`; none of these is a sentence of CARRIERS.
OTHER_CARRIERS = {
    "drink": ("{n} spilled {v} on the carpet.", "{n} paid for a glass of {v}."),
    "town": ("{n} sent us a card from {v}.", "{n} grew up in {v}."),
    "pet": ("{n} bought a toy for the {v}.", "{n} took the {v} to the doctor's."),
    "job": ("{n} wants to stay a {v} forever.", "{n} was trained as a {v}."),
    "music": ("{n} repaired the {v} yesterday.", "{n} dropped the {v}."),
}


def gaps(rng: Random, label: int) -> dict:
    """As `blanks`, with other sentences and another mark."""
    story = passage(rng, same_relation=1.0)
    which = int(rng.random() * 2)
    fact, rival = story.facts[which], story.facts[1 - which]
    carrier = pick(rng, OTHER_CARRIERS[fact.relation.name])
    if rng.random() < 0.5:
        line, right, wrong = carrier.format(n="###", v=fact.value), fact.person, rival.person
    else:
        line, right, wrong = carrier.format(n=fact.person, v="###"), fact.value, rival.value
    options = (right, wrong) if label == 0 else (wrong, right)
    return {"text": story.text, "line": line, "option1": options[0], "option2": options[1], "answer": label + 1}


def pointers(rng: Random, label: int) -> dict:
    """As `pronouns`, for other wordings."""
    row = pronouns(rng, label)
    return {key: row[key] for key in ("text", "pronoun", "option1", "option2", "answer")}


HELDOUT = {"inference": inference, "pronouns": pronouns, "blanks": blanks, "completion": completion, "sense": sense}
DEVELOPMENT = {"claims": claims, "riddles": riddles, "summaries": completion, "gaps": gaps, "pointers": pointers}


def rows(task: str, make, count: int) -> list[dict]:
    """`count` different rows in a mixed order, as many of each pair of `label` and `answer` as of any other."""
    distinct: dict[str, dict] = {}
    seen: dict[tuple, int] = {}
    strata = 4 if task == "pronouns" else 2
    index = 0
    while len(distinct) < count:
        rng = stream(0, f"held out: {task}", index)
        index += 1
        row = make(rng, int(rng.random() * 2))
        stratum = (row.get("label"), row.get("answer"))
        if seen.get(stratum, 0) < count // strata and distinct.setdefault(json_text(row), row) is row:
            seen[stratum] = seen.get(stratum, 0) + 1
    return list(distinct.values())


def write() -> None:
    for group, tasks, count in (("heldout", HELDOUT, HELDOUT_ROWS), ("development", DEVELOPMENT, DEVELOPMENT_ROWS)):
        for task, make in tasks.items():
            path = FOLDER / group / "rows" / f"{task}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(json_text(row) + "\n" for row in rows(task, make, count)), encoding="utf-8")


if __name__ == "__main__":
    write()
