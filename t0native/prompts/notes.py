"""What a rendering met that its text does not show: notes beside the text, which stays as promptsource gives it.

    Prompt.render_noted(example)  ──▶  Rendering(example, dropped, notes)       notes: Note(kind, part, of, size, key, field, value)

    cut            a printed value was longer than 2,048 characters and was cut
    out of range   answer_choices[label], or another list, has no item there: nothing is printed
    undefined      a name, a key or an attribute that is not there: nothing is printed
    negative       an index below 0 took an item from the end of a list; one that the template itself writes, [-1], is none
    none, nan      None is printed as "None", a number that is none (pandas' gaps too) as "nan"

A rendering whose target such a note spoils has no answer to learn or to judge: `Rendering.no_answer` says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from t0native.base.showing import shown

if TYPE_CHECKING:  # of annotations alone
    from t0native.base.annotations import Row
    from t0native.prompts.prompt import Prompt, PromptedExample

__all__ = ["GAPS", "INPUT", "NO_LABEL", "Note", "Rendering", "cut_sentence", "render_noted"]

NO_LABEL = "<NO LABEL>"
CHOICES, INPUT, TARGET = -1, 0, 1  # Note.part
GAPS = ("none", "nan")  # kinds


class Note(NamedTuple):
    """kind: "cut", "out of range", "undefined", "negative", "none" or "nan".  part: 0 in the input, 1 in the target, -1 in the
    answer choices.  of: the name of the list that was indexed, or None.  size: how many items it has, or None.  key: the index,
    or the name that is not there.  field: the field or variable that the index, or what was printed, is made from, or None.
    value: its value in the row, else key.

    >>> mood = t0.Prompt("mood", "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> note, = mood.render_noted({"text": "Tea.", "label": "1"}).notes
    >>> note.kind, note.part, note.of, note.size, note.key, note.field, note.value
    ('out of range', 1, 'answer_choices', 2, '1', 'label', '1')
    >>> print(note)
    answer_choices[label] is undefined: label is '1' (str), the 2 items need a whole number (int) from 0 to 1
    """

    kind: str
    part: int
    of: str | None
    size: int | None
    key: object
    field: str | None
    value: object

    def __str__(self):
        place = f"{self.of or 'a list'}[{self.field or shown(self.key)}]"
        value = f"{self.field or 'the index'} is {shown(self.value)} ({type(self.value).__name__})"
        if not isinstance(self.value, (int, float, str, type(None))) or shown(self.key) != shown(self.value):
            value += f", the index {shown(self.key)}"
        if self.kind == "out of range":
            need = f"the {self.size} items need a whole number (int) from 0 to {self.size - 1}" if self.size else "there are no items"
            return f"{place} is undefined: {value}, {need}"
        if self.kind == "negative":
            return f"{place} counts from the end: {value}; below 0 a label is hidden or missing: drop the row or map its labels"
        if self.kind == "undefined":
            return f"{'the value' if self.key is None else shown(self.key)} is undefined: nothing is printed for it"
        if self.kind == "cut":
            return f"{self.field or 'a value'} was cut at 2,048 characters: truncate=False keeps it whole"
        return f"{self.field or 'a value'} is a gap, printed as {'None' if self.kind == 'none' else 'nan'}: fill it or drop the row"


class Rendering(NamedTuple):
    """What Prompt.render_noted gives.  example: the PromptedExample of Prompt.render, or None.  dropped: why T0's pipeline drops the row,
    or None.  notes: tuple of Note, in the order in which they were met; of more than 16 the first and the last 8.

    >>> mood = t0.Prompt("mood", "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> hidden = mood.render_noted({"text": "long " * 1000, "label": -1})
    >>> hidden.example.target, hidden.cut
    ('good', True)
    >>> print(hidden.no_answer)
    answer_choices[label] counts from the end: label is -1 (int); below 0 a label is hidden or missing: drop the row or map its labels
    """

    example: PromptedExample | None
    dropped: str | None
    notes: tuple[Note, ...]

    @property
    def cut(self) -> bool:
        """Whether a printed value was cut at 2,048 characters."""
        return any(note.kind == "cut" for note in self.notes)

    @property
    def no_answer(self) -> str | None:
        """Why the target is no answer, in words with the value, its type and the remedy; None where it is one, and where example is None.

        The target prints what is undefined, out of range, None or nan; answer_choices are indexed from their end; the target is empty."""
        if self.example is None:
            return None
        target = self.example[1]  # a prompt of one's own may give a plain tuple
        for note in self.notes:
            if _spoils(note, target):
                return str(note)
        return f"the target is empty ({NO_LABEL})" if target == NO_LABEL else None


def render_noted(prompt: Prompt, row: Row, seed: int = 0, index: int | str = 0, truncate: bool = True) -> Rendering:
    """A Rendering by a prompt of any kind: one that has no render_noted keeps no notes, and cuts nothing.

    >>> render_noted(t0.LM(), {"text": "Anna drinks tea."}).example.input
    'Anna drinks tea.'
    """
    if hasattr(prompt, "render_noted"):
        return prompt.render_noted(row, seed=seed, index=index, truncate=truncate)
    example = prompt.render(row, seed=seed, index=index)
    return Rendering(example, None if example is not None else prompt.why_dropped(row, seed=seed, index=index), ())


def cut_sentence(cut: int, rows: int) -> str:
    """What is said once of rows that were cut.

    >>> cut_sentence(2, 100)
    '2 of 100 rows were cut at 2,048 characters; truncate=False (--no-truncate) keeps them whole'
    """
    return f"{cut:,} of {rows:,} rows were cut at 2,048 characters; truncate=False (--no-truncate) keeps them whole"


def _spoils(note, target):
    if note.kind == "cut":
        return False
    if note.kind == "negative":
        return note.of == "answer_choices" or note.part >= TARGET
    if note.part == CHOICES:  # that choice may not be the one that is asked for
        return note.kind in GAPS and target.lower() in ("none", "nan", "nat", "<na>")
    return note.part >= TARGET or (target == NO_LABEL and note.kind in ("undefined", "out of range"))
