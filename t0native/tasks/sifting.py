"""Which rows of a task can be learned from and judged, and why each other is left out.

row --Task.render_noted--> example --sift--> kept, or a reason that is counted, and what is particular to this row

cannot be rendered          the template fails on it, or it lacks a field
dropped by the prompt       as T0's pipeline drops it: not two parts, or an empty input
half a character            a text holds half of a surrogate pair, which no tokenizer takes
the target is no answer     it prints what is undefined, out of range, None or nan, or takes answer_choices from their end (label -1)
not among the choices       where the row is to be judged by its choices"""

import logging
from typing import NamedTuple

from t0native.base.arguments import shown
from t0native.base.errors import DataError, TemplateError
from t0native.prompts.notes import NO_LABEL

__all__ = ["CANNOT_RENDER", "HALF", "NO_ANSWER", "NO_CHOICE", "NO_LABEL", "Sifted", "half_a_character", "sift", "warn_once"]

CANNOT_RENDER, HALF = "it cannot be rendered", "half a character is no text"
NO_ANSWER, NO_CHOICE = "the target is no answer", "the target is not among the choices"
_LABELS = ("label", "labels", "answer", "gold", "target", "class")  # names of fields that a message names where no value is the target
_log = logging.getLogger("t0native")


class Sifted(NamedTuple):
    """rendering: what the prompt gives, or None where it fails.  reason: why the row is left out, one of a few sentences, or None.
    detail: what is particular to this row, "" where nothing is.  told: whether that is worth a warning, which what T0's own pipeline
    drops is not."""

    rendering: object
    reason: str | None = None
    detail: str = ""
    told: bool = True


def sift(task, prompt, index, seed=0, key=None, *, answers=True, choices=False):
    """Row `index` under a prompt of a task, a Sifted. seed, key: as Task.render's.

    answers: leave out rows whose target is no answer.  choices: leave out those whose target is not among their choices.

    >>> mood = t0.Prompt("mood", "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> task = t0.Task("moods", [{"text": "Tea.", "label": 1}, {"text": "Rain.", "label": -1}], [mood])
    >>> sift(task, "mood", 0).reason, sift(task, "mood", 1).reason
    (None, 'the target is no answer')
    """
    try:
        rendering = task.render_noted(prompt, index, seed=seed, key=key)
    except (DataError, TemplateError) as error:
        return Sifted(None, CANNOT_RENDER, str(error).removeprefix(f"task {task.name!r}, prompt {prompt!r}, row {index}: "))
    example = rendering.example
    if example is None:
        return Sifted(rendering, rendering.dropped, told=False)
    half = half_a_character(example)
    if half is not None:
        return Sifted(rendering, HALF, half)
    if answers and (why := rendering.no_answer) is not None:
        return Sifted(rendering, NO_ANSWER, why)
    if choices and example[2] is not None and example[1] not in example[2]:
        return Sifted(rendering, NO_CHOICE, _tell_choices(task, prompt, index, *example[1:]))
    return Sifted(rendering)


def half_a_character(example):
    """Where (input, target, choices) hold half of a surrogate pair, in words; None where they do not."""
    texts = [("input", example[0]), ("target", example[1]), *(("choice", choice) for choice in example[2] or ())]
    for name, text in texts:
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError as error:
                where = f"lone surrogate U+{ord(text[error.start]):04x} at index {error.start}"
                return f"{name}: {where}; repair the row's text"
    return None


def _tell_choices(task, prompt, index, target, choices):
    """The target and the choices; the field that the target is made of, with its value, its type and the remedy."""
    row = task.rows[index]
    told = f"target {shown(target)}, choices {shown(choices)}"
    read = [name for name in getattr(task.prompts[prompt], "fields", ()) if name in row]
    made_of = [name for name in read if str(row[name]).strip() == target] or [name for name in read if name.lower() in _LABELS]
    if not made_of:
        return told
    value = row[made_of[0]]
    told += f"; {made_of[0]} is {shown(value)} ({type(value).__name__})"
    if str(value).strip() != target:
        return told
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    number = int(number) if isinstance(number, str) and number.isdecimal() else number
    if isinstance(number, int) and 0 <= number < len(choices):
        what = "" if type(value) is int else f", with {made_of[0]} as a whole number (int)"
        return f"{told}: write answer_choices[{made_of[0]}] as the target{what}"
    return f"{told}: it must be one of the choices, or their place, written as answer_choices[{made_of[0]}]"


def warn_once(task, what):
    """Logs `task 'NAME', WHAT`, once for this task."""
    warned = task.__dict__.setdefault("_warned", set())
    if what not in warned:
        warned.add(what)
        _log.warning("task %r, %s", task.name, what)
