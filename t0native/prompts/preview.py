"""Prompted examples, prompts and tasks as HTML for notebooks; every text escaped, white space kept, fields of the row coloured.

Prompt.preview(example)   Preview: input, target and choices, each part as pieces (text, is it a field's value)"""

from html import escape
from typing import Any

from t0native.base.errors import TemplateError
from t0native.base.htmltext import facts_table

__all__ = ["Preview", "colour_fields", "example_html", "preview", "prompt_html", "task_html"]

OPENING, CLOSING = "<span style='color: #F08080'>", "</span>"  # what the filter `highlight` puts around a value
_FIELD = '<span style="color:#b3261e">'
_ROWS = 3  # of a task


class Preview:
    """An example as a prompt gives it, for the eyes. parts: lists of (text, is it a field's value); choices: list or None;
    dropped: why T0's pipeline drops the row, or None.

    >>> shown = t0.Prompt("p", "Hello {{ name }} ||| {{ name }}").preview({"name": "Anna"})
    >>> shown.parts[0], shown.dropped
    ([['Hello ', False], ['Anna', True]], None)
    """

    def __init__(self, parts: list[list[Any]], choices: list[str] | None, dropped: str | None) -> None:
        self.parts, self.choices, self.dropped = parts, choices, dropped

    def __str__(self):
        texts = ["".join(text for text, _ in part) for part in self.parts]
        return "\n".join(f"{name}: {value}" for name, value in _name_parts(texts, self.choices, self.dropped))

    __repr__ = __str__

    def _repr_html_(self):
        texts = ["".join(_FIELD + escape(text) + "</span>" if field else escape(text) for text, field in part) for part in self.parts]
        choices = None if self.choices is None else [escape(choice) for choice in self.choices]
        return facts_table(_name_parts(texts, choices, self.dropped and escape(self.dropped)))


def preview(prompt, example, seed=0, index=0):
    """See Prompt.preview."""
    example, parts = prompt._render_parts(example, seed, index)
    choices = prompt.choices(example)
    return Preview(colour_fields(prompt, example, index, parts, seed), choices or None, prompt.why_dropped(example, seed=seed, index=index))


def colour_fields(prompt, example, index, parts, seed=0):
    """Each part as pieces [text, is it a field's value]; as one piece where marking values would change what the template gives."""
    plain = [[[part, False]] for part in parts]
    try:
        marked = prompt.apply(example, highlight_variables=True, seed=seed, index=index)
    except TemplateError:
        return plain
    pieces = [_pieces(part) for part in marked]
    same = ["".join(text for text, _ in part).strip() for part in pieces] == parts
    return pieces if same else plain


def _pieces(text):
    pieces = []
    for number, piece in enumerate(text.split(OPENING)):
        field, closed, rest = piece.partition(CLOSING)
        pieces += [[field, True], [rest, False]] if number and closed else [[piece, False]]
    return [piece for piece in pieces if piece[0]]


def example_html(example):
    """A PromptedExample as a table."""
    choices = None if example.choices is None else [escape(choice) for choice in example.choices]
    return facts_table(_name_parts([escape(example.input), escape(example.target)], choices, None))


def prompt_html(prompt):
    """A prompt as a table: its template and answer choices as they are written."""
    rows = [("prompt", prompt.name), ("template", prompt.jinja), ("answer choices", prompt.answer_choices), ("reference", prompt.reference)]
    return facts_table([(name, escape(str(value))) for name, value in rows if value])


def task_html(task):
    """What a task is, and its first rows under its first prompt."""
    name = next(iter(task.prompts))
    facts = [
        ("task", task.name),
        ("dataset", task.full_dataset or "-"),
        ("split", task.split or "-"),
        ("rows", len(task)),
        ("prompts", len(task.prompts)),
    ]
    html = facts_table([(key, escape(str(value))) for key, value in facts]) + f"<p>First rows, prompt {escape(str(name))}:</p>"
    for index in range(min(_ROWS, len(task))):
        try:
            html += _row_html(task, name, index)
        except (TemplateError, ValueError) as error:
            html += f"<p>row {index}: {escape(str(error))}</p>"
    return html


def _row_html(task, name, index):
    example, prompt = task.render(name, index), task.prompts[name]
    if example is None:
        return f"<p>row {index}: {escape(task.why_dropped(name, index))}</p>"
    return prompt.preview(task.rows[index], index=index)._repr_html_() if hasattr(prompt, "preview") else example_html(example)


def _name_parts(texts, choices, dropped):
    names = ["input", "target", *(f"part {i + 1}" for i in range(2, len(texts)))]
    rows = list(zip(names, texts))
    if choices is not None:
        rows.append(("choices", " | ".join(choices)))
    return rows + ([("dropped", dropped)] if dropped else [])
