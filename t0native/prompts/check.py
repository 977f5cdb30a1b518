"""What is wrong with files of prompts: promptsource's own repository test, and whether a target ever comes out.

file     can be read; every entry is a template; no key stands twice
entry    tagged !Template; its key is its id, a UUID that no other has; a name, and one that no other of the file has; a
         text that no other of the file has
text     compiles, and so do its answer choices; has the separator ||| and something behind it; has answer choices
         where it reads them
rows     (where they are given) have every field that the prompt reads; can be rendered; their target is an answer, and
         one of the choices, where there are some; one of them at least gives a target"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, NamedTuple

from t0native.base.errors import DataError, FormatError, TemplateError
from t0native.base.showing import shown
from t0native.prompts.prompt import Prompt
from t0native.prompts.promptfile import TemplateTag, read_file
from t0native.prompts.targets import half_a_character, one_choice_alone, tell_choices

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Iterator

    from t0native.base.annotations import PathName, Row
    from t0native.prompts.collection import PromptCollection
    from t0native.prompts.prompt import Prompt

__all__ = ["Problem", "check_collection", "check_file", "text_problems"]


CANNOT, NO_ANSWER, NO_CHOICE = "it cannot be rendered", "the target is no answer", "the target is not among the choices"
ONE_CHOICE = "there is nothing to choose from"


class Problem(NamedTuple):
    """file: text.  prompt: its name, None where the file itself is meant.  what: a sentence.

    >>> str(Problem("a/templates.yaml", "who", "the separator ||| is missing"))
    "a/templates.yaml: prompt 'who': the separator ||| is missing"
    """

    file: str
    prompt: str | None
    what: str

    def __str__(self):
        return f"{self.file}: {self.what}" if self.prompt is None else f"{self.file}: prompt {shown(self.prompt)}: {self.what}"


def check_collection(
    collection: PromptCollection, keys: Iterable[str | tuple[str, str | None]] | None = None, rows: Iterable[Row] | None = None
) -> list[Problem]:
    """The problems of every file of a PromptCollection, or of those of `keys`; rows: of the dataset they are for.

    >>> held_out = t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts")
    >>> check_collection(held_out)
    []
    """
    ids = {}
    return [problem for key in (collection if keys is None else keys) for problem in check_file(collection.path(key), rows, ids)]


def check_file(path: PathName, rows: Iterable[Row] | None = None, ids: dict[str, str] | None = None) -> list[Problem]:
    """The problems of one file, a list of Problem. ids: {id: place} of the files before, which grows.

    >>> check_file(Path(t0.__file__).parent / "mini/heldout/prompts/inference/templates.yaml")
    []
    """
    ids = {} if ids is None else ids
    try:
        content, remarks = read_file(path)
    except FormatError as error:
        return [Problem(str(path), None, str(error).removeprefix(f"{path}: "))]
    entries, names, texts = content["templates"], {}, {}
    problems = [Problem(str(path), None, what) for what in (*remarks.twice, *remarks.unknown)]
    if remarks.listed:
        problems.append(Problem(str(path), None, "templates is a list; promptsource wants a mapping, id: !Template"))
    for key, prompt in entries.items():
        if not isinstance(prompt, Prompt):
            problems.append(
                Problem(str(path), None, f"entry {shown(key)} is {type(prompt).__name__}, must be a mapping tagged {TemplateTag.name}")
            )
            continue
        sentences = [
            *_form(key, prompt, remarks),
            *_identity(path, key, prompt, ids, remarks),
            *_twins(prompt, names, texts),
            *text_problems(prompt),
        ]
        if rows is not None and not any(what.startswith("does not compile") for what in sentences):
            sentences += _rows(prompt, rows)
        problems += [Problem(str(path), prompt.name, what) for what in sentences]
    return problems


def _form(key, prompt, remarks):
    if str(key) in remarks.untagged:
        yield f"not tagged: promptsource reads it as `{prompt.id}: {TemplateTag.name}`"
    yield from remarks.otherwise.get(str(key), ())


def _identity(path, key, prompt, ids, remarks):
    if str(key) in remarks.without_id:
        yield f"no id: write a UUID that stays, such as `id: {prompt.id}`, and the same as the entry's key"
    elif str(key) != prompt.id and not remarks.listed:
        yield f"its key is {shown(key)}, its id {shown(prompt.id)}: they must be the same"
    try:
        uuid.UUID(prompt.id)
    except ValueError:
        own = uuid.uuid5(uuid.NAMESPACE_OID, repr((prompt.name, prompt.jinja, prompt.answer_choices)))
        yield f"its id {shown(prompt.id)} is no UUID: write one that stays, such as `id: {own}`, and the same as the entry's key"
    place = f"{shown(prompt.name)} of {path}"
    if ids.setdefault(prompt.id, place) != place:
        yield f"its id {prompt.id} is also that of {ids[prompt.id]}"


def _twins(prompt, names, texts):
    if not prompt.name.strip():
        yield "its name is empty"
    if names.setdefault(prompt.name, prompt) is not prompt:
        yield "another prompt of the file has its name"
    if texts.setdefault(prompt.jinja, prompt) is not prompt:
        yield f"its text is that of {shown(texts[prompt.jinja].name)}"


def text_problems(prompt: Prompt) -> Iterator[str]:
    """What is wrong with the text of a prompt alone: sentences."""
    try:
        prompt.fields  # noqa: B018 - compiles template and choices
    except TemplateError as error:
        yield f"does not compile: {str(error).removeprefix(f'prompt {shown(prompt.name)}, ')}"
        return
    if "|||" not in prompt.jinja:
        yield "the separator ||| is missing: it has no target"
    elif not prompt.jinja.rpartition("|||")[2].strip() and prompt.jinja.count("|||") == 1:
        yield "there is nothing behind the separator |||: its target is always empty"
    if prompt.lacks_choices:
        yield "reads answer_choices and has none"


def _rows(prompt, rows):
    known = {key.replace("-", "_") for row in rows for key in row}
    unknown = [field for field in prompt.fields if field not in known and field not in prompt.optional_fields]
    if unknown:
        yield f"reads {', '.join(unknown)}, which no row has; there are {', '.join(sorted(known))}"
        return
    faults, targets = {}, 0  # what is wrong -> [rows, the first, what is particular to it]
    for index, row in enumerate(rows):
        what, detail = _fault(prompt, row, index)
        targets += what in (None, NO_CHOICE, ONE_CHOICE)
        faults.setdefault(what, [0, index, detail])[0] += 1
    if not targets:
        _, index, detail = min(faults.values(), key=lambda fault: fault[1] if fault[2] else len(rows))
        yield f"none of {len(rows)} rows gives a target" + (f"; row {index}: {detail}" if detail else "")
        return
    for what in (CANNOT, ONE_CHOICE, NO_ANSWER, NO_CHOICE):
        if what in faults:
            count, index, detail = faults[what]
            yield f"{count} of {len(rows)} rows: {what}; row {index}: {detail}"


def _fault(prompt, row, index):
    """(What is wrong with a row under the prompt, or None; what is particular to this row, or None)."""
    try:
        rendering = prompt.render_noted(row, index=index)
    except (DataError, TemplateError) as error:
        return CANNOT, str(error)
    example = rendering.example
    if example is None:
        return "dropped", rendering.dropped if "a choice " in rendering.dropped else None
    if (alone := one_choice_alone(prompt, row, example.choices)) is not None:
        return ONE_CHOICE, alone
    if (half := half_a_character(example)) is not None:
        return CANNOT, half
    if (why := rendering.no_answer) is not None:
        return NO_ANSWER, why
    if example.choices is not None and example.target not in example.choices:
        return NO_CHOICE, tell_choices(prompt, row, example.target, example.choices)
    return None, None
