"""Wordings by factors: every prompt with another instruction, order of its options, words of its labels, end, and place of its question.

    factor        levels (the first that a prompt has itself; others where they can be made of it)
    prompt        the name of the prompt that was varied
    instruction   none; or a line before everything
    question      first, last: where the question stands                        (parts.py says what is taken for one)
    words         Yes/No, True/False, ...: the answer choices, also where the question enumerates them
    options       in order, reversed: the choices where the question enumerates them; not listed; or listed in a line of their own
    punctuation   as written, no end mark, answer line

A level that a prompt cannot have is left out, and so is what would be the same text: factors of several prompts are therefore rarely
balanced. What was made stands in each Prompt's metadata.factors, {factor: level}, and goes with it into files, journals and reports."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from t0native._core import RANDOM_BOOTSTRAP, random_bits
from t0native.base.arguments import SEED, check, whole
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.prompts.collection import PromptSet
from t0native.prompts.parts import TAG, find_enumeration, move_question, place_of_question, without_end_mark
from t0native.prompts.prompt import Prompt

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

__all__ = ["vary"]

SEPARATOR = "|||"
AS_WRITTEN = "as written"
INSTRUCTIONS = {"none": "", "answer": "Answer the question.", "read": "Read the text, then answer the question."}
WORDS = (("Yes", "No"), ("True", "False"), ("Correct", "Wrong"))  # each stands for the others
PUNCTUATION = (AS_WRITTEN, "no end mark", "answer line")
OPTIONS = ("not listed", "in order", "reversed")
PLACES = ("first", "last")
FACTORS = ("instruction", "question", "words", "options", "punctuation")
DRAWS = 3 << 60  # index of the draws that `limit` takes, behind those of reports


class _Made(NamedTuple):
    """An input and its choices, half made."""

    text: str
    choices: str | None


def vary(
    prompts: Prompt | Iterable[Prompt] | Mapping[str, Prompt],
    *,
    instruction: Mapping[str, str] | Sequence[str] | None = None,
    options: Sequence[str] | None = None,
    words: Sequence[Sequence[str]] | None = None,
    punctuation: Sequence[str] | None = None,
    question: Sequence[str] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> PromptSet:
    """Wordings of prompts by factors (above): a PromptSet, the prompts themselves first, then what was made of each.

    instruction: lines, or {name of a level: line}.  words: lists of words for the same choices, in their order, as [["Yes", "No"],
    ["Right", "Wrong"]]; a prompt whose choices are one of them has the others.  options, punctuation, question: of "not listed",
    "in order", "reversed"; of "as written", "no end mark", "answer line"; of "first", "last". None: our own levels; []: the factor is
    left alone.
    limit: wordings at most; the prompts themselves and then, prompt by prompt in turn, some drawn by `seed`.
    ConfigError for a level that is none, no prompts, and two of one name.  Which of a text's properties move a model's score: Sclar et al.
    2024, ICLR (punctuation, spaces, order); Lu et al. 2022, ACL (order).

    >>> prompt = t0.Prompt("follows", "{{a}} Does it follow that {{b}}? Yes or no? ||| {{answer_choices[label]}}", "Yes ||| No")
    >>> wordings = t0.vary(prompt, instruction=[], punctuation=[], words=[])
    >>> for name, wording in wordings.items(): print(name, wording.metadata.factors["options"], wording.jinja, sep=" | ")
    follows | in order | {{a}} Does it follow that {{b}}? Yes or no? ||| {{answer_choices[label]}}
    follows, reversed | reversed | {{a}} Does it follow that {{b}}? No or yes? ||| {{answer_choices[label]}}
    follows, question first | in order | Does it follow that {{b}}? Yes or no?
    {{a}} ||| {{answer_choices[label]}}
    follows, question first, reversed | reversed | Does it follow that {{b}}? No or yes?
    {{a}} ||| {{answer_choices[label]}}
    >>> len(t0.vary(t0.mini.held_out_tasks()[0].prompts, limit=100))
    100
    """
    prompts = _listed(prompts)
    levels = {
        "instruction": _instructions(instruction),
        "options": _levels("options", options, OPTIONS),
        "words": _words(words),
        "punctuation": _levels("punctuation", punctuation, PUNCTUATION),
        "question": _levels("question", question, PLACES),
    }
    seed, limit = check(SEED, "seed", seed), check(whole(1).or_none(), "limit", limit)
    made = [list(_wordings_of(prompt, levels)) for prompt in prompts]
    chosen = [row[0] for row in made] + [wording for row in made for wording in row[1:]]
    if limit is not None and limit < len(chosen):
        chosen = _choose(made, limit, seed)
    _check_names(chosen)
    return PromptSet("varied", None, chosen)


# ---- what is asked for ---------------------------------------------------------------------------------------------------


def _listed(prompts):
    given = [prompts] if isinstance(prompts, Prompt) else _items("prompts", prompts.values() if isinstance(prompts, Mapping) else prompts)
    if not given:
        raise ConfigError("vary: no prompts")
    for prompt in given:
        if not isinstance(prompt, Prompt):
            raise ConfigError(f"vary: {shown(prompt)} is {type(prompt).__name__}, must be a Prompt")
    names = [prompt.name for prompt in given]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"vary: two prompts are named {shown(repeated)}: names must differ")
    return given


def _check_names(chosen):
    names = set()
    for wording in chosen:
        if wording.name in names:
            raise ConfigError(
                f"vary: two wordings would be named {shown(wording.name)}: vary the prompts themselves and not wordings of them, or give a "
                "prompt another name"
            )
        names.add(wording.name)


def _items(what, given):
    """The items of what is to be a list."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"{what} {shown(given)}: must be a list")
    return list(given)


def _instructions(given):
    if given is None:
        return INSTRUCTIONS
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"instruction {shown(given)}: must be a list of lines, or a mapping from names to lines")
    lines = list(given.items()) if isinstance(given, Mapping) else [(line, line) for line in given]
    for name, line in lines:
        if not isinstance(name, str) or not isinstance(line, str):
            raise ConfigError(f"instruction {shown(name)}: {shown(line)}, must be texts")
        if SEPARATOR in line:
            raise ConfigError(f"instruction {shown(name)}: {shown(line)} has {SEPARATOR}, which ends a prompt's input: take it out")
        if name == "none" and line:
            raise ConfigError(f"instruction {shown(name)}: is the name of the level without a line: name this line otherwise")
    return {"none": ""} | {name: line for name, line in lines if line}


def _levels(factor, given, known):
    if given is None:
        return known
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise ConfigError(f"{factor} {shown(given)}: must be a list of levels")
    given = tuple(given)
    for level in given:
        if level not in known:
            raise ConfigError(f"{factor}: no level {shown(level)}; {suggest(level, known)}")
    return given


def _words(given):
    if given is None:
        return WORDS
    lists = given if not isinstance(given, Iterable) else list(given)
    if isinstance(given, str) or not isinstance(lists, list) or not all(map(_are_words, lists)):
        raise ConfigError(
            f"words {shown(given)}: must be a list of lists of words, each list of two or more, as [['Yes', 'No'], ['True', 'False']]"
        )
    for of in lists:
        if len({word.strip().lower() for word in of}) < len(of):
            raise ConfigError(f"words {shown(of)}: two are the same, so answers could not be told apart")
        for word in of:
            if not word.strip() or any(mark in word for mark in (SEPARATOR, "/", "{{", "{%", "{#")):
                raise ConfigError(f"words {shown(of)}: {shown(word)} must be a word without {SEPARATOR}, / and tags")
    return tuple(map(tuple, lists))


def _are_words(of):
    return isinstance(of, list | tuple) and len(of) > 1 and all(isinstance(word, str) for word in of)


# ---- what is made --------------------------------------------------------------------------------------------------------


def _wordings_of(prompt, levels):
    """The prompt as it is, then every other wording of it, each text once."""
    head, bar, target = prompt.jinja.partition(SEPARATOR)
    base, seen = _Made(head.strip(), prompt.answer_choices), set()
    own = _own_levels(prompt, base, target, levels)
    for row in itertools.product(*(own[factor] for factor in FACTORS)):
        factors = dict(zip(FACTORS, row))
        changed = {factor: level for factor, level in factors.items() if level != own[factor][0]}
        made = _make(base, factors, own, levels["instruction"]) if changed else base
        key = " ".join(made.text.split()), made.choices
        if key in seen:
            continue
        seen.add(key)
        name = ", ".join([prompt.name, *(_spoken(factor, level) for factor, level in changed.items())])
        jinja = f"{made.text} {bar}{target}" if changed and bar else prompt.jinja if not changed else made.text
        metadata = prompt.metadata._replace(factors={"prompt": prompt.name} | factors)
        yield Prompt(name, jinja, made.choices, prompt.reference, metadata, None if changed else prompt.id, **prompt.budgets)


def _spoken(factor, level):
    return {"instruction": f"told: {level}", "question": f"question {level}", "options": level}.get(factor, level)


def _own_levels(prompt, base, target, levels):
    """{factor: its levels for this prompt, its own first}."""
    place, choices = place_of_question(base.text), _choices_of(base)
    listed = find_enumeration(base.text, choices) if choices else None
    reads = "answer_choices" in base.text
    words = "/".join(choices) if choices and prompt.fixed_choices else AS_WRITTEN
    others = ["/".join(of) for of in _same_words(choices, levels["words"])] if "answer_choices" in target and not reads else []
    if reads or not choices:
        options = (AS_WRITTEN,)
    elif listed is None:
        options = ("not listed", "in order", "reversed")
    else:
        options = ("in order", "reversed") if listed.order == sorted(listed.order) else ("reversed", "in order")
    return {
        "instruction": tuple(levels["instruction"]),
        "question": _first(place or AS_WRITTEN, levels["question"] if place else ()),
        "words": _first(words, others),
        "options": _first(options[0], [level for level in options[1:] if level in levels["options"]]),
        "punctuation": _first(AS_WRITTEN, levels["punctuation"]),
    }


def _first(own, others):
    return (own, *(level for level in others if level != own))


def _choices_of(made):
    """The choices as the template has them, words or tags; [] where they are no plain list."""
    if made.choices is None or "{%" in made.choices:
        return []
    choices = [choice.strip() for choice in made.choices.split(SEPARATOR)]
    whole = all(choice and not set("{}") & set(TAG.sub("", choice)) for choice in choices)
    return choices if len(choices) > 1 and whole and "[" not in made.choices else []


def _same_words(choices, known):
    """The lists of words that may stand for these choices, in their order."""
    for of in known:
        order = {word.lower(): i for i, word in enumerate(of)}
        if len(of) == len(choices) and {choice.lower() for choice in choices} == set(order):
            places = [order[choice.lower()] for choice in choices]
            return [tuple(other[i] for i in places) for other in known if len(other) == len(of) and other != of]
    return []


def _make(base, factors, own, instructions):
    """The wording of these levels."""
    text, choices = base
    if factors["question"] != own["question"][0]:
        text = move_question(text, factors["question"])
    old = _choices_of(base)
    new = old if factors["words"] == own["words"][0] else factors["words"].split("/")
    listed = find_enumeration(text, old)
    if listed is not None:
        order = listed.order if factors["options"] == own["options"][0] else listed.order[::-1]
        text = listed.put(text, [new[i] for i in order]) if (new, order) != (old, listed.order) else text
    if new != old:
        choices = f" {SEPARATOR} ".join(new)
    if factors["punctuation"] == "no end mark":
        text = without_end_mark(text)
    if listed is None and factors["options"] not in ("not listed", AS_WRITTEN):
        text += f"\nOptions: {', '.join(new if factors['options'] == 'in order' else new[::-1])}"
    if factors["punctuation"] == "answer line":
        text += "\nAnswer:"
    line = instructions[factors["instruction"]]
    return _Made(f"{line}\n{text}" if line else text, choices)


def _choose(made, limit, seed):
    """The prompts themselves, then one after the other in turn, each one's wordings in an order that is drawn."""
    orders = [_order(len(row) - 1, i, seed) for i, row in enumerate(made)]
    rounds = itertools.zip_longest(*([row[1 + i] for i in order] for row, order in zip(made, orders)))
    rest = (wording for turn in rounds for wording in turn if wording is not None)
    return list(itertools.islice(itertools.chain((row[0] for row in made), rest), limit))


def _order(n, number, seed) -> NDArray[np.int64]:
    return np.argsort(random_bits(seed, RANDOM_BOOTSTRAP, DRAWS + (number << 32), n), kind="stable")
