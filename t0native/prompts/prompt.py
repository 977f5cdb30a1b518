"""Prompts: a template (Jinja text), its answer choices and metadata; collections of them in promptsource's files.

    example ──choices──▶ ["no", "yes"]       the answer_choices expression, rendered and split at |||
    example ──apply────▶ [part, ...]         the template, rendered with answer_choices beside the fields, split at |||
    example ──render───▶ PromptedExample     T0's pipeline: two parts or the row is dropped; an empty target is "<NO LABEL>"
    example ──render_noted▶ Rendering        the same, with notes of what the text does not show (notes.py)

`apply` gives what promptsource's Template.apply gives, byte for byte (Bach et al. 2022); its `|||` inside a string field
does not split. Values are cut at 2,048 characters while they are printed: the compiler adds what promptsource writes into
the text. Random choices inside a template depend on (prompt id, seed, index, draw) alone."""

from __future__ import annotations

import logging
import operator
import uuid
from collections.abc import Mapping
from os import PathLike
from typing import TYPE_CHECKING, NamedTuple

from t0native import _core
from t0native._core import Template
from t0native.base.arguments import SEED, check, number, one_of, whole
from t0native.base.errors import ConfigError, DataError, TemplateError, with_place
from t0native.base.foreign import Hinting
from t0native.base.showing import shown
from t0native.data.rows import row_remedy, rows_of
from t0native.prompts.notes import CHOICES, NO_LABEL, Note, Rendering, cut_sentence
from t0native.prompts.preview import example_html, preview, prompt_html

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

    from t0native.base.annotations import Row, Rows
    from t0native.prompts.preview import Preview

__all__ = ["Prompt", "PromptMetadata", "PromptedExample", "prompt_as_written"]

_log = logging.getLogger("t0native")
_PICKS = {None: 0, "first": 1, "last": 2}
_PICK, _SEPARATOR = one_of("first", "last").or_none(), one_of("rendered", "template")
_BUDGETS = {
    "max_steps": whole(1, 2**63 - 1),
    "max_output": whole(1, 2**30),
    "max_memory": whole(1, 2**63 - 1),
    "max_seconds": number(lambda value: 0 < value <= 1e9, "a number above 0, at most 1e9").or_none(),
}
_MASK = (1 << 64) - 1
_FIELDS = ("name", "jinja", "answer_choices", "reference", "metadata", "id", "budgets", "_compiled")


class PromptedExample(NamedTuple):
    """One row as T0 sees it: choices is a list of str, or None where the prompt has none.

    >>> t0.PromptedExample("Is it tea?", "Yes", ["Yes", "No"]).target
    'Yes'
    """

    input: str
    target: str
    choices: list[str] | None

    def _repr_html_(self):
        return example_html(self)


class PromptMetadata(NamedTuple):
    """What the author says about a prompt; None where nothing is said. factors: {factor: level}, of a wording that t0.vary made."""

    original_task: bool | None = None
    choices_in_prompt: bool | None = None
    metrics: list[str] | None = None
    languages: list[str] | None = None
    factors: dict[str, str] | None = None


def _fnv(text):
    """64-bit FNV-1a of the UTF-8 bytes: a stable number for a prompt's id."""
    value = 0xCBF29CE484222325
    for byte in text.encode("utf-8", "surrogatepass"):
        value = (value ^ byte) * 0x100000001B3 & _MASK
    return value


def _number(index):
    """What stands for the example in random choices: its number, or that of its id where it is a text."""
    if isinstance(index, str):
        return _fnv(index)
    try:
        return operator.index(index)  # NumPy's integers too
    except TypeError:
        raise ConfigError(f"index {shown(index)}: must be the row's number, or its id as a text") from None


def _as_dict(example):
    if isinstance(example, dict):
        return example
    if isinstance(example, Mapping):
        return dict(example)
    is_one = (
        isinstance(example, (str, bytes, PathLike)) or hasattr(example, "_asdict") or (hasattr(example, "iloc") and not _are_rows(example))
    )
    if not is_one and (_are_rows(example) or hasattr(example, "__iter__")):
        remedy = "; apply_all and render_all take rows"
    else:
        remedy = row_remedy(example)
    raise DataError(f"example: {type(example).__name__}, must be a mapping of field names to values{remedy}")


def _are_rows(example):
    return hasattr(type(example), "columns") or hasattr(type(example), "column_names")


def _join_names(example):
    """The names of an example's fields one after the other. DataError for one that is no text."""
    try:
        return "".join(example)
    except TypeError:
        key = next(key for key in example if not isinstance(key, str))
        raise DataError(f"example: the field name {shown(key)} is {type(key).__name__}, must be text") from None


def _with_underscores(example):
    """The example under names that a template can write: hyphens become underscores. DataError for a name that is no text."""
    example = _as_dict(example)
    return {key.replace("-", "_"): value for key, value in example.items()} if "-" in _join_names(example) else example


class Prompt(_core.Prompt, Hinting):
    """A template with its answer choices and metadata.

    name: str.  jinja: the template's text.  answer_choices: an expression that gives the choices separated by |||, or None.
    reference: where the wording comes from.  metadata: PromptMetadata.  id: str; unless given, a UUID made of name, jinja and
    answer_choices.
    max_steps, max_output, max_memory, max_seconds: budgets of one rendering in steps of work, characters, bytes and, unless
    None, seconds (which make results depend on the machine); kept as the dict `budgets`. TemplateError names the one to raise.

    The template and the answer choices are compiled at once; TemplateError names the prompt, the line and the column. A prompt of a file is
    compiled when it is first used, so that a broken one hides no other.

    >>> prompt = Prompt("sentiment", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> prompt.render({"text": "I loved it.", "label": 1})
    PromptedExample(input='I loved it. Good or bad?', target='good', choices=['bad', 'good'])
    """

    __slots__ = _FIELDS
    name: str
    jinja: str
    answer_choices: str | None
    reference: str
    metadata: PromptMetadata
    id: str
    budgets: dict[str, Any]

    def __init__(
        self,
        name: str,
        jinja: str,
        answer_choices: str | None = None,
        reference: str = "",
        metadata: PromptMetadata | None = None,
        id: str | None = None,
        *,
        max_steps: int = 1_000_000,
        max_output: int = 4_000_000,
        max_memory: int = 64_000_000,
        max_seconds: float | None = None,
    ) -> None:
        for field, value, kinds in (("name", name, str), ("jinja", jinja, str), ("answer_choices", answer_choices, (str, type(None)))):
            if not isinstance(value, kinds):
                raise DataError(f"prompt {shown(name)}: {field} is {type(value).__name__}, must be text")
        budgets = {"max_steps": max_steps, "max_output": max_output, "max_memory": max_memory, "max_seconds": max_seconds}
        budgets = {budget: check(_BUDGETS[budget], f"prompt {shown(name)}: {budget}", value) for budget, value in budgets.items()}
        self._fill(name, jinja, answer_choices, reference, metadata, id, budgets)
        self._template(True, False)
        if answer_choices is not None:
            self._choices_template  # noqa: B018 - compiles

    def _fill(self, name, jinja, answer_choices, reference, metadata, id, budgets):
        id = id if id is not None else str(uuid.uuid5(uuid.NAMESPACE_OID, repr((name, jinja, answer_choices))))
        values = name, jinja, answer_choices, reference, metadata or PromptMetadata(), id, budgets, {}
        for field, value in zip(_FIELDS, values):
            object.__setattr__(self, field, value)

    def __setattr__(self, field, value):
        raise AttributeError(f"prompt {shown(self.name)}: {field} cannot be set, a Prompt never changes: make another")

    def __reduce__(self):
        return prompt_as_written, (self.name, self.jinja, self.answer_choices, self.reference, self.metadata, self.id, self.budgets)

    def __repr__(self):
        return f"Prompt({self.name!r}, id={self.id!r})"

    def _repr_html_(self):
        return prompt_html(self)

    def __eq__(self, other):
        return self.__reduce__() == other.__reduce__() if isinstance(other, Prompt) else NotImplemented

    def __hash__(self):
        return hash((self.id, self.jinja))

    # What a template needs

    @property
    def fields(self) -> tuple[str, ...]:
        """Names of the example's fields that the template or the answer choices read, as a tuple in order.

        >>> Prompt("topic", "{{ text }} ||| {{ answer_choices[label] }}", "nature ||| money").fields
        ('text', 'label')
        """
        names = dict.fromkeys(self._template(False, False).names)
        if self.answer_choices is not None:
            names.update(dict.fromkeys(self._choices_template.names))
        names.pop("answer_choices", None)
        return tuple(names)

    @property
    def optional_fields(self) -> tuple[str, ...]:
        """Those of `fields` that an example may lack: the text asks whether they are defined, or gives a default.

        >>> Prompt("note", "{{ text }}{% if note is defined %} ({{ note }}){% endif %} ||| {{ label | default('?') }}").optional_fields
        ('note', 'label')
        """
        templates = [self._template(False, False), *([] if self.answer_choices is None else [self._choices_template])]
        guarded = {name for template in templates for name in template.guarded}
        return tuple(name for name in self.fields if name in guarded)

    @property
    def lacks_choices(self) -> bool:
        """Whether the template reads answer_choices and the prompt has none.

        >>> Prompt("topic", "{{ text }} ||| {{ answer_choices[label] }}").lacks_choices
        True
        """
        return self.answer_choices is None and "answer_choices" in self._template(False, False).names

    @property
    def random(self) -> bool:
        """Whether the template draws at random (choice, random).

        >>> Prompt("any", "{{ ['Who?', 'Which?'] | choice }} ||| {{ a }}").random
        True
        """
        return self._template(False, False).random

    @property
    def fixed_choices(self) -> list[str] | None:
        """The choices where they depend on no field, else None.

        >>> Prompt("a", "{{ text }} ||| x", "Yes ||| No").fixed_choices
        ['Yes', 'No']
        """
        if self.answer_choices is None or self._choices_template.names:
            return None
        return self._render_fixed()

    # Rendering: `apply`, `choices` and `_noted` are in C (csrc/py/py_prompt.c), which calls methods below

    def _choices(self, example):
        """choices, before the prompt is compiled or for a mapping that is no dict."""
        self._compile_all()
        return self.choices(dict(_as_dict(example)))

    def _apply(self, example, truncate=True, highlight_variables=False, seed=0, index=0, pick=None, separator="rendered"):
        """apply, where it is asked for more than the quick path does."""
        seed, pick, separator = check(SEED, "seed", seed), check(_PICK, "pick", pick), check(_SEPARATOR, "separator", separator)
        example = self._check_example(example)
        self._compile_all()
        choices = self.choices(example)
        template = self._template(truncate, highlight_variables)
        split = template.parts if separator == "rendered" else template.own_parts
        try:
            return split(example, choices, seed ^ self._compiled["key"], _number(index), _PICKS[pick])
        except TemplateError as error:
            raise self._name_error(error) from error.__cause__

    def _check_example(self, example):
        example = _as_dict(example)
        _join_names(example)
        if "answer_choices" in example:
            raise DataError(f"prompt {shown(self.name)}: the example has the reserved key 'answer_choices': rename the field")
        return example

    _apply.__qualname__, _choices.__qualname__ = "Prompt.apply", "Prompt.choices"  # as Python names them in errors

    def _explained(self, error, of_choices):
        """The TemplateError of a rendering in C, as one that names the prompt."""
        named = self._name_error(error, "answer_choices of " if of_choices else "")
        named.__cause__ = error.__cause__
        return named

    def render(self, example: Row, seed: int = 0, index: int | str = 0, truncate: bool = True) -> PromptedExample | None:
        """The example as T0 sees it: PromptedExample(input, target, choices), or None where T0's pipeline drops the row.

        Hyphens in the names of fields become underscores; a rendering that has not exactly two parts, or whose input is
        empty, gives None; an empty target becomes "<NO LABEL>". truncate: printed values are cut at 2,048 characters. Errors as
        `apply`'s. Method: t-zero's seqio_tasks.

        >>> Prompt("who", "{{ text }} Who? ||| {{ who }}").render({"text": "Anna drinks tea.", "who": ""})
        PromptedExample(input='Anna drinks tea. Who?', target='<NO LABEL>', choices=None)
        """
        example, parts = self._render_parts(example, seed, index, truncate)
        if _find_problem(parts) is not None:
            return None
        return PromptedExample(parts[0], parts[1] or NO_LABEL, self.choices(example) or None)

    def render_noted(self, example: Row, seed: int = 0, index: int | str = 0, truncate: bool = True) -> Rendering:
        """`render` with what its text does not show: a Rendering (notes.py). Errors as `apply`'s.

        >>> prompt = Prompt("sentiment", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
        >>> prompt.render_noted({"text": "I loved it.", "label": 1}).notes
        ()
        >>> gap = prompt.render_noted({"text": "I loved it.", "label": None})
        >>> gap.example.target, gap.notes[0].kind, gap.notes[0].value
        ('<NO LABEL>', 'out of range', None)
        >>> gap.no_answer
        'answer_choices[label] is undefined: label is None (NoneType), the 2 items need a whole number (int) from 0 to 1'
        """
        example = _with_underscores(example)
        parts, choices, of_choices, of_parts = self._noted(example, seed, index, truncate)
        notes = ()
        if of_choices or of_parts:
            raw = [(kind, CHOICES, *rest) for kind, _, *rest in of_choices] + list(of_parts)
            notes = tuple(Note(*note, example.get(note[-1], note[-2])) for note in raw)
        dropped = _find_problem(parts, choices)
        rendered = None if dropped else PromptedExample(parts[0], parts[1] or NO_LABEL, choices or None)
        return Rendering(rendered, dropped, notes)

    def _note(self, example, seed, index, truncate):
        """_noted (csrc/py/py_prompt.c), where it is asked for more than the quick path does."""
        example = self._check_example(example)
        self._compile_all()
        seed = check(SEED, "seed", seed) ^ self._compiled["key"]
        choices, of_choices = self._compiled["fixed"], ()
        try:
            if choices is not None:
                choices = list(choices)
            elif self.answer_choices is not None:
                choices, of_choices = self._choices_template.noted_parts(example)
        except TemplateError as error:
            raise self._name_error(error, "answer_choices of ") from error.__cause__
        try:
            given = choices and list(choices)  # which the template may change
            parts, of_parts = self._template(truncate, False).noted_parts(example, given, seed, _number(index))
        except TemplateError as error:
            raise self._name_error(error) from error.__cause__
        return parts, choices, of_choices, of_parts

    def why_dropped(self, example: Row, seed: int = 0, index: int | str = 0) -> str | None:
        """Why `render` gives None for an example, in words; None where it does not.

        >>> Prompt("who", "{{ text }} Who?").why_dropped({"text": "Anna drinks tea."})
        'the template gives 1 part; 2, separated by |||, are needed'
        """
        return self.render_noted(example, seed, index).dropped

    def preview(self, example: Row, seed: int = 0, index: int | str = 0) -> Preview:
        """The example for the eyes: input, target and choices, with what comes from the row's fields in colour in a notebook.
        Returns a Preview, also of what T0's pipeline drops; errors as `apply`'s.

        >>> Prompt("who", "{{ text }} Who? ||| {{ who }}").preview({"text": "Anna drinks tea.", "who": "Anna"})
        input: Anna drinks tea. Who?
        target: Anna
        """
        return preview(self, example, seed, index)

    def _render_parts(self, example, seed, index, truncate=True):
        example = _with_underscores(example)
        if truncate:
            return example, self.apply(example, seed=seed, index=index)
        return example, self.apply(example, False, seed=seed, index=index)

    def render_all(self, rows: Rows, seed: int = 0, truncate: bool = True) -> list[PromptedExample | None]:
        """Every row rendered, row number = index: a list of PromptedExample or None.

        rows: a sequence of mappings, a table of pyarrow or pandas, or columns (a mapping of equally long lists). truncate: as
        `render`'s; one warning tells how many rows were cut. Errors as `apply`'s, with the number of the row.

        >>> Prompt("p", "{{ a }} ||| b").render_all({"a": ["x", ""]})
        [PromptedExample(input='x', target='b', choices=None), None]
        """
        renderings = self._map_rows(rows, lambda row, index: self.render_noted(row, seed, index, truncate))
        cut = sum(rendering.cut for rendering in renderings)
        if cut:
            _log.warning("%s", cut_sentence(cut, len(renderings)))
        return [rendering.example for rendering in renderings]

    def apply_all(self, rows: Rows, **options: Any) -> list[list[str]]:
        """`apply` of every row, row number = index: a list of lists of parts. rows: as for `render_all`. options: as `apply`'s.

        >>> Prompt("p", "{{ a }} ||| b").apply_all([{"a": "x"}, {"a": "y"}], truncate=False)
        [['x', 'b'], ['y', 'b']]
        """
        return self._map_rows(rows, lambda row, index: self.apply(row, index=index, **options))

    def _map_rows(self, rows, call):
        rows, results = rows_of(rows), []
        try:
            for row in rows:
                results.append(call(row, len(results)))
        except (DataError, TemplateError) as error:
            raise with_place(error, f"row {len(results)}: {error}") from error
        return results

    # Compiling

    def _compile(self, source, what="", **added):
        try:
            return Template(source, **added, **self.budgets)
        except TemplateError as error:
            raise self._name_error(error, what) from error.__cause__

    def _template(self, truncate, highlight):
        key = (bool(truncate), bool(highlight))
        if key not in self._compiled:
            self._compiled[key] = self._compile(self.jinja, truncate=key[0], highlight=key[1])
        return self._compiled[key]

    @property
    def _choices_template(self):
        if "choices" not in self._compiled:
            self._compiled["choices"] = self._compile(self.answer_choices, "answer_choices of ")
        return self._compiled["choices"]

    def _compile_all(self):
        """Compiles what the quick path in C needs, once."""
        if "key" in self._compiled:
            return
        choices = fixed = None
        if self.answer_choices is not None:
            choices = self._choices_template
            if not choices.names and not choices.random:
                fixed = self._render_fixed()
        key = _fnv(self.id)
        self._prepare(self._template(True, False), choices, fixed, key)
        self._compiled.update(fixed=fixed, key=key)

    def _render_fixed(self):
        try:
            return self._choices_template.parts({})
        except TemplateError as error:
            raise self._name_error(error, "answer_choices of ") from error.__cause__

    def _name_error(self, error, what=""):
        """The error with the prompt's name before its line and column."""
        named = TemplateError(f"{what}prompt {shown(self.name)}, {error}")
        named.line, named.column = getattr(error, "line", 0), getattr(error, "column", 0)
        return named


def _find_problem(parts, choices=None):
    """Why T0's pipeline drops these parts, or None."""
    if len(parts) != 2:
        told = f"the template gives {len(parts)} part{'s' * (len(parts) != 1)}; 2, separated by |||, are needed"
        held = len(parts) > 2 and any("|||" in choice for choice in choices or ())
        return f"{told}: a choice that holds ||| is printed" if held else told
    return None if parts[0] else "the template gives an empty input"


def prompt_as_written(name, jinja, answer_choices=None, reference="", metadata=None, id=None, budgets=None):
    """A Prompt of texts as a file has them: compiled when it is first used, so that a broken one can be loaded, listed and told."""
    prompt = Prompt.__new__(Prompt)
    prompt._fill(name, jinja, answer_choices, reference, metadata, id, Prompt.__init__.__kwdefaults__ | (budgets or {}))
    return prompt
