"""Which rows of a task can be learned from and judged, and why each other is left out.

row --Task.render_noted--> example --sift--> kept, or a reason that is counted, and what is particular to this row

cannot be rendered          the template fails on it, or it lacks a field
dropped by the prompt       as T0's pipeline drops it: not two parts, or an empty input
half a character            a text holds half of a surrogate pair, which no tokenizer takes
the target is no answer     it prints what is undefined, out of range, None or nan, or takes answer_choices from their end (label -1)
not among the choices       where the row is to be judged by its choices

A row whose input prints a gap as None or nan is kept, for T0 was trained so, and one whose choices are one text of a field; once a prompt,
a line tells it."""

import logging
from typing import NamedTuple

from t0native.base.errors import DataError, TemplateError
from t0native.base.showing import shown
from t0native.prompts.notes import GAPS, INPUT, NO_LABEL
from t0native.prompts.targets import half_a_character, one_choice_alone, tell_choices

__all__ = ["CANNOT_RENDER", "HALF", "NO_ANSWER", "NO_CHOICE", "NO_LABEL", "Sifted", "sift", "warn_once"]

CANNOT_RENDER, HALF = "it cannot be rendered", "half a character is no text"
NO_ANSWER, NO_CHOICE = "the target is no answer", "the target is not among the choices"
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
        of_row = f"task {shown(task.name)}, prompt {shown(prompt)}, row {index}: "
        if not str(error).startswith(of_row):  # a file that has changed, rows that are not here
            raise
        return Sifted(None, CANNOT_RENDER, str(error).removeprefix(of_row))
    example = rendering.example
    if example is None:
        return Sifted(rendering, rendering.dropped, told=False)
    half = half_a_character(example)
    if half is not None:
        return Sifted(rendering, HALF, half)
    gap = next((note for note in rendering.notes if note.part == INPUT and note.kind in GAPS), None)
    if gap is not None:
        warn_once(task, f"prompt {shown(prompt)}, row {index}, input: {gap}; such rows are kept, as in T0", f"gap of {prompt}")
    if (alone := one_choice_alone(task.prompts[prompt], task.rows[index], example[2])) is not None:
        warn_once(task, f"prompt {shown(prompt)}, row {index}: {alone}; such rows are kept, as in T0", f"choice of {prompt}")
    if answers and (why := rendering.no_answer) is not None:
        return Sifted(rendering, NO_ANSWER, why)
    if choices and example[2] is not None and example[1] not in example[2]:
        return Sifted(rendering, NO_CHOICE, tell_choices(task.prompts[prompt], task.rows[index], *example[1:]))
    return Sifted(rendering)


def warn_once(task, what, kind=None):
    """Logs `task 'NAME', WHAT`, once for this task; of one kind, where one is given, the first alone."""
    warned = task.__dict__.setdefault("_warned", set())
    if (kind or what) not in warned:
        warned.add(kind or what)
        _log.warning("task %r, %s", task.name, what)
