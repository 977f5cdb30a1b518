"""A first file of prompts for rows of one's own: valid as it stands, with comments that tell what to change.

fields of the rows --what each seems to be--> texts to read, one that is the answer --two wordings--> templates.yaml

the answer     numbers 0, 1, ..., or True and False     answer_choices[label]: words in that order, to be changed
               few different texts or numbers           these are the choices
               the number of a choice among fields      choice1, choice2, ... or a list `choices`
               texts that differ, answers.text          what is to be written
               none of these                            the rows have no label, and predict needs none"""

import re
import uuid
from typing import NamedTuple

from t0native.base.errors import TemplateError
from t0native.base.jsontext import json_text
from t0native.prompts.prompt import Prompt

__all__ = ["FirstFile", "first_file"]

MOST_CHOICES, MOST_LENGTH, MOST_TEXTS = 20, 60, 6
_LABELS = (
    "label", "labels", "class", "category", "target", "gold", "sentiment", "mood", "opinion", "polarity", "emotion", "topic", "intent",
    "rating", "stars", "answer", "correct", "y",
)  # fmt: skip
_WRITTEN = ("target", "summary", "answer", "response", "output", "completion", "translation", "headline", "title")
_NUMBERED = re.compile(r"(choice|option|ending|sol|solution|alternative|answer|candidate)[_-]?([0-9]|[a-e])", re.IGNORECASE)
_IDS = re.compile(r"(.*_)?(id|idx|index|uuid|guid|url|key)s?", re.IGNORECASE)


class FirstFile(NamedTuple):
    """text: of the file.  texts: the fields that are read.  answer: the field that is the answer, or None.  kind: what that is, in words.
    unnamed: fields that no template can name."""

    text: str
    texts: tuple
    answer: str | None
    kind: str
    unnamed: tuple


class _Answer(NamedTuple):
    """What the answer is: its field, in words, the target's Jinja, answer_choices or None, and a comment on these."""

    field: str | None
    kind: str
    target: str
    choices: str | None = None
    comment: str = ""


def first_file(rows, dataset, source="the rows"):
    """The FirstFile for some rows (a list of mappings, a thousand say). dataset: "mine" or "mine/part".  source: what they are called in
    its first comment.

    >>> file = first_file([{"text": "I loved it.", "label": 1}, {"text": "Dull.", "label": 0}] * 9, "reviews")
    >>> file.texts, file.answer, file.kind
    (('text',), 'label', 'numbers from 0 to 1')
    >>> "jinja: |-\\n      {{ text }}" in file.text and "answer_choices: \\"no ||| yes\\"" in file.text
    True
    """
    columns = {}
    for row in rows:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    unnamed = tuple(name for name in columns if not _can_be_named(name))
    columns = {name.replace("-", "_"): [v for v in values if v is not None] for name, values in columns.items() if name not in unnamed}
    numbered = _numbered_fields(columns)
    answer = _find_answer(columns, numbered)
    beside = {answer.field, *numbered, "choices"}
    texts = [name for name, values in columns.items() if name not in beside and _are(str, values) and not _IDS.fullmatch(name)]
    texts = tuple(texts[:MOST_TEXTS] or [name for name in columns if name not in beside][:1])
    return FirstFile(_file_text(dataset, source, texts, answer, unnamed), texts, answer.field, answer.kind, unnamed)


# ---- what fields are ------------------------------------------------------------------------------------------------


def _can_be_named(name):
    if not isinstance(name, str) or name == "answer_choices":
        return False
    try:
        return Prompt("name", f"{{{{ {name.replace('-', '_')} }}}} ||| -").fields == (name.replace("-", "_"),)
    except TemplateError:
        return False


def _are(kind, values):
    return bool(values) and all(type(value) is kind for value in values)


def _numbered_fields(columns):
    """Fields that are choices by their names: choice1, choice2."""
    groups = {}
    for name, values in columns.items():
        match = _NUMBERED.fullmatch(name)
        if match and _are(str, values):
            groups.setdefault(match[1].lower(), []).append(name)
    return next((tuple(group) for group in groups.values() if len(group) > 1), ())


def _find_answer(columns, numbered):
    by_name = sorted((name for name in columns if name.lower() in _LABELS), key=lambda name: _LABELS.index(name.lower()))
    lists = columns.get("choices", [])
    if numbered or (lists and all(_are(str, value) for value in lists)):
        given = " ||| ".join(f"{{{{ {name} }}}}" for name in numbered) or '{{ choices | join("|||") }}'
        found = next((answer for name in by_name if (answer := _number_among(name, columns[name], len(numbered), given))), None)
        if found:
            return found
    for name in [*by_name, *(name for name in reversed(columns) if name not in by_name and not _IDS.fullmatch(name))]:
        answer = _few_values(name, columns[name], name in by_name)
        if answer is not None:
            return answer
    answers = columns.get("answers", [])
    if answers and all(isinstance(value, dict) and isinstance(value.get("text"), list) for value in answers):
        return _Answer("answers", "texts to be written", "{{ answers.text[0] }}")
    for name in _WRITTEN:
        if name in columns and _are(str, columns[name]) and len(columns) > 1:
            return _Answer(name, "texts to be written", f"{{{{ {name} }}}}")
    comment = "The rows have no label. Write the answers that there may be; `t0native predict` says which of them it is."
    return _Answer(None, "no field", "{{ label | default('') }}", "no ||| yes", comment)


def _number_among(name, values, n, choices):
    """The answer is the number of a choice; n: how many there are, 0 where the rows differ."""
    comment = "The choices are fields of the row."
    if not _are(int, values) or min(values) < -1:
        return None
    first = 1 if 0 not in values and max(values) == n > 0 else 0
    return _Answer(name, "the number of a choice", f"{{{{ answer_choices[{name}{' - 1' if first else ''}] }}}}", choices, comment)


def _few_values(name, values, named):
    """The answer is one of few values, or None where it is not."""
    try:
        distinct = set(values)
    except TypeError:
        return None
    few = 2 <= len(distinct) <= MOST_CHOICES and (len(values) >= 3 * len(distinct) or (named and len(values) >= len(distinct)))
    if not few:
        return None
    if _are(bool, values):
        return _Answer(
            name, "True and False", f"{{{{ answer_choices[{name} | int] }}}}", "no ||| yes", f"What False and True of `{name}` mean."
        )
    shown = f"{{{{ {name} }}}}"
    if _are(int, values):
        numbers = sorted(distinct - {-1})
        if numbers == list(range(len(numbers))) and len(numbers) > 1:
            words = "no ||| yes" if len(numbers) == 2 else " ||| ".join(f"class {i}" for i in numbers)
            comment = f"What {', '.join(map(str, numbers))} of `{name}` mean, in this order: write words that a person would say."
            return _Answer(name, f"numbers from 0 to {len(numbers) - 1}", f"{{{{ answer_choices[{name}] }}}}", words, comment)
        return _Answer(name, "few numbers", shown, " ||| ".join(map(str, sorted(distinct))), f"The values of `{name}`.")
    texts = sorted(text.strip() for text in distinct) if _are(str, values) else []
    if (
        not texts
        or not all(texts)
        or len(set(texts)) < 2
        or any(len(text) > MOST_LENGTH or "|||" in text or "\n" in text for text in texts)
    ):
        return None
    if any("{{" in text or "{%" in text or "{#" in text for text in texts):
        return None
    return _Answer(name, "few texts", shown, " ||| ".join(dict.fromkeys(texts)), f"The values of `{name}` in the rows that were looked at.")


# ---- the file -------------------------------------------------------------------------------------------------------


def _file_text(dataset, source, texts, answer, unnamed):
    name, _, part = dataset.partition("/")
    lines = [
        f"# Prompts for {source}, made of its fields: a first draft. What is to be changed stands in comments.".replace("\n", " "),
        "#   {{ field }} is what a row has there; ||| stands between what the model reads and what it is to answer.",
        "#   More wordings: copy an entry, with a name and an id (a UUID, the same as its key) of its own. docs/reference/templates.md",
    ]
    lines += [f"# No template can name the field {_quoted(field)}: rename it where it is to be read." for field in map(str, unnamed)]
    lines += [f"dataset: {_quoted(name)}"] + ([f"subset: {_quoted(part)}"] if part else []) + ["templates:"]
    body = "{{ " + texts[0] + " }}" if len(texts) == 1 else "\n".join(f"{field.replace('_', ' ')}: {{{{ {field} }}}}" for field in texts)
    if answer.choices is None:
        wordings = {"first wording": f"{body}\nWhat is the answer?", "second wording": f"Read this and answer.\n\n{body}"}
    else:
        wordings = {
            "first wording": f"{body}\nWhat is it: {{{{ answer_choices | join(' or ') }}}}?",
            "second wording": f"Here is a text.\n\n{body}\n\nSay what it is.",
        }
    for title, wording in wordings.items():
        lines += _entry_lines(dataset, title, f"{wording} |||\n{answer.target}", answer, "join" in wording)
    return "\n".join(lines) + "\n"


def _entry_lines(dataset, title, jinja, answer, shows_choices):
    id = str(uuid.uuid5(uuid.NAMESPACE_OID, repr((dataset, title, jinja, answer.choices))))
    yield f"  {id}: !Template"
    yield f"    id: {id}"
    yield f"    name: {title}"
    yield "    # The question: write one of your own, in words that fit these rows."
    yield "    jinja: |-"
    yield from (f"      {line}".rstrip() for line in jinja.split("\n"))
    if answer.choices is not None:
        yield f"    # {answer.comment}"
        yield f"    answer_choices: {_quoted(answer.choices)}"
    yield "    reference: ''"
    yield "    metadata: !TemplateMetadata"
    yield f"      choices_in_prompt: {'true' if shows_choices else 'false'}"
    yield f"      metrics: [{'Accuracy' if answer.choices is not None else 'Other'}]"
    yield "      original_task: true"


def _quoted(text):
    """A text as YAML's, which JSON's is."""
    return json_text(text)
