"""What a model is asked of rows: an input, and choices to rank where there are any, else an answer to write.

    row --prompt--> Ask(input, choices)           each prompt of several, in their order
    row --a field, choices or a field of them--> Ask

A row need not have a label. The input and the choices are what counts: where the target cannot be rendered, for the row lacks what it
prints, the part before ||| is rendered alone. A row that has no input all the same
gives an Ask with the reason, and so does one whose input prints a gap: it would read the word None."""

import contextlib
from typing import NamedTuple

from t0native.base.errors import DataError, FormatError, TemplateError, nearest, suggest
from t0native.base.jsontext import parse_json
from t0native.base.showing import listed, shown
from t0native.data.rows import why_no_row
from t0native.prompts.head import SEPARATOR, without_target
from t0native.prompts.notes import GAPS, INPUT, render_noted
from t0native.prompts.targets import half_a_character, one_choice_alone

__all__ = ["Ask", "asks_of_fields", "asks_of_prompts", "check_fields", "choices_of"]


class Ask(NamedTuple):
    """number: of the row, from 0.  row: the row.  prompt: a name, or None.  input: a text, or None where `reason` tells why there is
    none.  choices: texts to rank, or None where an answer is to be written."""

    number: int
    row: object
    prompt: str | None
    input: str | None
    choices: list | None
    reason: str | None = None


class _Asker:
    """A prompt, and the same without its target."""

    def __init__(self, prompt, seed, truncate):
        self.prompt, self._seed, self._truncate = prompt, seed, truncate
        self.name = prompt.name
        self._head = without_target(prompt)
        read = self.prompt if self._head is None else self._head
        optional = set(getattr(read, "optional_fields", ()))
        self.fields = tuple(name for name in getattr(read, "fields", ()) if name not in optional) if self._head is not None else ()

    def missing(self, row):
        """The first field of the input that a row lacks, or None."""
        if all(name in row for name in self.fields):
            return None
        present = {str(name).replace("-", "_") for name in row}
        return next((name for name in self.fields if name not in present), None)

    def ask(self, number, row):
        if (why := why_no_row(row)) is not None:
            return Ask(number, row, self.name, None, None, why)
        name = self.missing(row)
        if name is not None:
            return Ask(number, row, self.name, None, None, _no_field(name, row))
        try:
            example, dropped, notes = render_noted(self.prompt, row, self._seed, number, self._truncate)
        except (DataError, TemplateError) as error:
            if self._head is None:
                return Ask(number, row, self.name, None, None, str(error))
            example, dropped, notes = None, str(error), ()
        if example is None and self._head is not None:
            try:
                example, dropped, notes = render_noted(self._head, row, self._seed, number, self._truncate)
            except (DataError, TemplateError) as error:
                dropped = str(error)
        if example is None:
            return Ask(number, row, self.name, None, None, dropped)
        gap = next((str(note) for note in notes if note.part == INPUT and note.kind in GAPS), None)
        reason = gap or half_a_character(example) or one_choice_alone(self.prompt, row, example[2])
        return Ask(number, row, self.name, None if reason else example[0], example[2], reason)


def _no_field(name, row):
    near = nearest(name, row)
    return f"no field {shown(name)}{f'; nearest is {shown(near)}' if near else ''} (the row has: {listed(row)})"


def asks_of_prompts(prompts, rows, seed=0, truncate=True, first=0):
    """An Ask for each row under each prompt, row by row.

    prompts: a list of prompts.  rows: an iterable of mappings.  seed, truncate: as Prompt.render's.  first: the number of the first row.

    >>> mood = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> next(asks_of_prompts([mood], [{"text": "I loved it."}]))[3:5]
    ('I loved it. Good or bad?', ['bad', 'good'])
    """
    askers = [_Asker(prompt, seed, truncate) for prompt in prompts]
    for number, row in enumerate(rows, first):
        for asker in askers:
            yield asker.ask(number, row)


def check_fields(prompts, rows, name):
    """DataError where none of these rows is a mapping, or has what the input of one of the prompts reads. name: of the rows."""
    odd = [why_no_row(row) for row in rows]
    if rows and None not in odd:
        raise DataError(f"{name}, row 0: {odd[0]}")
    numbers = [number for number, why in enumerate(odd) if why is None]
    for prompt in prompts:
        asker = _Asker(prompt, 0, True)
        missing = [asker.missing(rows[number]) for number in numbers]
        if rows and None not in missing:
            first = numbers[0]
            raise DataError(f"{name}, prompt {shown(prompt.name)}, row {first}: {_no_field(missing[0], rows[first])}")


def asks_of_fields(rows, field, choices=None, first=0):
    """An Ask for each row, whose input a field holds.

    choices: None for answers to be written; a function of a row that gives its choices (`choices_of`)."""
    for number, row in enumerate(rows, first):
        text = row.get(field)
        if not isinstance(text, str):
            reason = _no_field(field, row) if field not in row else f"{field} is {type(text).__name__}, must be text"
            yield Ask(number, row, None, None, None, reason)
            continue
        try:
            yield Ask(number, row, None, text, None if choices is None else choices(row))
        except DataError as error:
            yield Ask(number, row, None, None, None, str(error))


def choices_of(row, field):
    """The choices that a field of a row holds: a list of texts, or a text with ||| between them or with a JSON list, as `--out FILE.csv`
    writes it. DataError where there are none, and for a text that names one alone, of which there is nothing to rank.

    >>> choices_of({"options": "no ||| yes"}, "options"), choices_of({"options": '["no", "yes"]'}, "options")
    (['no', 'yes'], ['no', 'yes'])
    """
    if field not in row:
        raise DataError(f"no field {shown(field)}; {suggest(field, row)}")
    value = row[field]
    values = _split(field, value) if isinstance(value, str) else value
    if not isinstance(values, (list, tuple)) or not values or not all(isinstance(text, str) and text for text in values):
        raise DataError(f"{field}: must be a list of texts, or a text with ||| between the choices")
    if isinstance(value, str) and len(values) == 1:
        raise DataError(f"{field}: {shown(value)} is one choice alone; write ||| between the choices, as no ||| yes, or a JSON list")
    return list(values)


def _split(field, text):
    if text.lstrip().startswith("[") and SEPARATOR not in text:
        with contextlib.suppress(FormatError):
            return parse_json(field, text.encode("utf-8", "surrogatepass"))
    return [part.strip() for part in text.split(SEPARATOR)]
