"""A task: rows of one dataset split together with the prompts that turn each row into (input, target, choices).

    row (a mapping) --prompt.render(row, seed, index)--> PromptedExample, or None where T0's pipeline drops the row

Every prompt of a task is used; none is selected (Sanh et al. 2022, section 4)."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from t0native.base.arguments import FLAG, check
from t0native.base.errors import ConfigError, DataError, TemplateError, nearest, with_place
from t0native.base.foreign import hint_keywords
from t0native.base.showing import listed, shown
from t0native.data.rows import columns_of, sequence_of, why_no_row
from t0native.prompts.head import without_target
from t0native.prompts.notes import cut_sentence, render_noted
from t0native.prompts.preview import task_html
from t0native.tasks.metrics import find_metric

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Sequence
    from typing import Any, Literal

    from t0native.base.annotations import PromptLike, Row, Rows
    from t0native.prompts.notes import Rendering
    from t0native.prompts.prompt import Prompt, PromptedExample
    from t0native.tasks.metrics import Metric

__all__ = ["Task", "cut_sentence"]

LOOKED_AT = 100  # rows of a sequence that is no list, before any is rendered
_PROMPTS = "a PromptSet, a Prompt, prompts of different names, a mapping or '*'"


class Task:
    """Rows with prompts.

    name: shown in reports.
    rows: sequence of mappings (a list of dicts, a `datasets` split, anything with a length and rows by number), a data frame, a table, or
        columns (a mapping of lists).
    prompts: a PromptSet, a Prompt or several, a mapping name -> Prompt, or "*" for all prompts that the installed promptsource has for
    `dataset`.
    metric: a name of t0native.metrics ("accuracy", "squad_f1", "rougeL", ...), a Metric, or several, of which the first is the
        one that is summarised; None: accuracy by rank classification for prompts with answer choices, exact match of what is
        generated for the others.  metrics: those found, a tuple; metric: the first one's name, or None.
    dataset: "dataset" or "dataset/subset"; taken from a PromptSet when not given.  split: shown in reports.
    problems: {prompt: why it cannot be used}, a TemplateError for a template that cannot be compiled or that reads answer_choices
        and has none, a DataError where no row has the fields that the prompt reads: it names task, prompt, row, field and the
        nearest field. In an evaluation these cells fail and the others go on; training refuses the task. Rows that lack a field
        which others have are left out and counted (sifting.py).
    truncate: values that prompts print are cut at 2,048 characters, as promptsource and T0 have it.
    types: what the fields are, as t0native.read_rows' (docs/reference/rows.md); unless given, the types of `dataset`'s features where that
        is one of T0's, of data frames and tables.
    strict: raise the first of them where no prompt is without one, for then there is nothing to do; suites are not strict.
    Raises DataError for no rows or no prompts too; ConfigError for what is no prompt, or for two of one name.

    >>> shout = t0.Prompt("shout", "{{ text }}! ||| yes", "yes ||| no")
    >>> Task("demo", [{"text": "hey"}], {"shout": shout})
    Task('demo', 1 rows, 1 prompts)
    >>> Task("demo", [{"texts": "hey"}], {"shout": shout})
    Traceback (most recent call last):
    t0native.DataError: task 'demo', prompt 'shout', row 0: no field 'text'; nearest is 'texts' (the row has: texts)
    """

    name: str
    rows: Sequence[Row]
    prompts: Mapping[str, Prompt]
    dataset: str | None
    subset: str | None
    split: str | None
    truncate: bool
    metrics: tuple[Metric, ...]
    metric: str | None
    problems: dict[str, Exception]

    @hint_keywords
    def __init__(
        self,
        name: str,
        rows: Rows,
        prompts: PromptLike | Mapping[str, PromptLike] | Iterable[PromptLike] | Literal["*"],
        metric: str | Metric | list[str | Metric] | list[str] | tuple[str | Metric, ...] | None = None,
        dataset: str | tuple[str | None, str | None] | None = None,
        split: str | None = None,
        *,
        types: Mapping[str, Any] | str | None = None,
        truncate: bool = True,
        strict: bool = True,
    ) -> None:
        self.name = str(name)
        self.dataset, self.subset = _split_dataset(dataset, prompts)
        self.rows = sequence_of(rows, f"task {shown(self.name)}", self.full_dataset, types)
        self.prompts = self._read_prompts(prompts)
        self.split = split
        self.truncate = check(FLAG, "truncate", truncate)
        self.metrics = self._find_metrics(metric)
        self.metric = self.metrics[0].name if self.metrics else None
        if len(self.rows) == 0:
            raise DataError(f"task {shown(self.name)}: no rows")
        self._fields, self.problems = {}, {}
        for prompt in self.prompts:
            try:
                self._fields[prompt] = self._find_fields(prompt)
            except TemplateError as error:
                self.problems[prompt] = error
        self._check_fields()
        if strict and len(self.problems) == len(self.prompts):
            self.check()

    def __repr__(self):
        return f"Task({self.name!r}, {len(self.rows)} rows, {len(self.prompts)} prompts)"

    def __len__(self) -> int:
        return len(self.rows)

    def _repr_html_(self):
        return task_html(self)

    def check(self) -> None:
        """Raises the first of `problems`, where there are any.

        >>> Task("demo", [{"text": "hey"}], [t0.Prompt("shout", "{{ text }}! ||| yes")]).check()
        """
        for error in self.problems.values():
            raise error

    @property
    def full_dataset(self) -> str | None:
        """'dataset/subset', 'dataset', or None.

        >>> Task("rte", [{}], [t0.Prompt("p", "a ||| b")], dataset="super_glue/rte").full_dataset
        'super_glue/rte'
        """
        return f"{self.dataset}/{self.subset}" if self.subset else self.dataset

    def render(self, prompt: str, index: int, seed: int = 0, key: int | str | None = None) -> PromptedExample | None:
        """Row `index` through the prompt of that name: a PromptedExample or None. Randomness inside a template depends on
        (seed, key) alone; key is the row's index unless given. DataError and TemplateError name task, prompt and row.

        >>> task = Task("demo", [{"text": "hey"}], [t0.Prompt("shout", "{{ text }}! ||| yes", "yes ||| no")])
        >>> task.render("shout", 0)
        PromptedExample(input='hey!', target='yes', choices=['yes', 'no'])
        """
        return self.render_noted(prompt, index, seed, key).example

    def render_noted(self, prompt: str, index: int, seed: int = 0, key: int | str | None = None) -> Rendering:
        """`render` with what its text does not show: a Rendering (t0native/prompts/notes.py). What `render` gives is made here.

        >>> mood = t0.Prompt("mood", "{{ text }} ||| {{ answer_choices[label] }}", "bad ||| good")
        >>> Task("demo", [{"text": "hey", "label": -1}], [mood]).render_noted("mood", 0).notes[0].kind
        'negative'
        """
        if prompt in self.problems and prompt not in self._fields:
            raise self.problems[prompt]
        row = self.rows[index]
        self._check_row(prompt, row, index)
        key = index if key is None else key
        return self._call_prompt(prompt, index, lambda chosen: render_noted(chosen, row, seed, key, self.truncate))

    def uncut(self) -> Task:
        """The same task under `truncate=False`: what its prompts print is never cut.

        >>> task = Task("demo", [{"text": "hey " * 1000}], [t0.Prompt("shout", "{{ text }}! ||| yes")])
        >>> len(task.render("shout", 0).input), len(task.uncut().render("shout", 0).input)
        (2047, 4001)
        """
        task = copy.copy(self)
        task.truncate = False
        return task

    def why_dropped(self, prompt: str, index: int, seed: int = 0) -> str | None:
        """Why `render` gives None for that row, in words.

        >>> Task("demo", [{"text": "hey"}], [t0.Prompt("bare", "{{ text }}!")]).why_dropped("bare", 0)
        'the template gives 1 part; 2, separated by |||, are needed'
        """
        return self._call_prompt(prompt, index, lambda chosen: chosen.why_dropped(self.rows[index], seed=seed, index=index))

    def _find_metrics(self, metric):
        """The Metrics of a name, a Metric, a list of these, or None."""
        wanted = metric if isinstance(metric, (list, tuple)) else () if metric is None else [metric]
        try:
            metrics = tuple(map(find_metric, wanted))
        except ConfigError as error:
            raise ConfigError(f"task {shown(self.name)}: {error}") from None
        names = [metric.name for metric in metrics]
        if len(set(names)) < len(names):
            raise ConfigError(f"task {shown(self.name)}: metric {shown(max(names, key=names.count))} stands twice")
        return metrics

    def _call_prompt(self, prompt, index, call):
        """call(the prompt); its errors with task, prompt and row."""
        try:
            return call(self.prompts[prompt])
        except (TemplateError, DataError) as error:
            what = str(error).removeprefix(f"prompt {shown(prompt)}, ").removeprefix(f"prompt {shown(prompt)}: ")
            raise with_place(error, f"task {shown(self.name)}, prompt {shown(prompt)}, row {index}: {what}") from error

    def _read_prompts(self, prompts):
        if isinstance(prompts, str):
            if prompts != "*":
                raise ConfigError(f"task {shown(self.name)}: prompts {shown(prompts)}: must be {_PROMPTS}")
            if self.dataset is None:
                raise ConfigError(f"task {shown(self.name)}: prompts '*' needs dataset=\"dataset/subset\"")
            from t0native.prompts.collection import PromptCollection  # which reads YAML; other tasks need none of it

            try:
                prompts = PromptCollection.promptsource()[self.full_dataset]
            except KeyError as error:
                raise ConfigError(f"task {shown(self.name)}: {error.args[0]}") from None
        if not isinstance(prompts, Mapping) and not (hasattr(prompts, "keys") and hasattr(prompts, "__getitem__")):
            prompts = self._name_prompts([prompts] if hasattr(prompts, "render") else prompts)
        if len(prompts) == 0:
            raise DataError(f"task {shown(self.name)}: no prompts")
        for name in prompts:
            self._check_prompt(name, prompts[name])
        return prompts

    def _name_prompts(self, prompts):
        if not isinstance(prompts, Iterable):
            raise ConfigError(f"task {shown(self.name)}: prompts {shown(prompts)}: must be {_PROMPTS}")
        named = {}
        for place, prompt in enumerate(prompts):
            self._check_prompt(place, prompt)
            if prompt.name in named:
                raise ConfigError(f"task {shown(self.name)}: two prompts are named {shown(prompt.name)}: names must differ")
            named[prompt.name] = prompt
        return named

    def _check_prompt(self, name, prompt):
        if not hasattr(prompt, "render"):
            hint = "; a text becomes one by t0native.Prompt(name, text)" if isinstance(prompt, str) else ""
            hint = '; choose one of the collection, as in collection["super_glue", "rte"]' if isinstance(prompt, Mapping) else hint
            raise ConfigError(f"task {shown(self.name)}, prompt {shown(name)}: {type(prompt).__name__}, must be a Prompt{hint}")

    def _find_fields(self, name):
        """The fields that a prompt needs. TemplateError where it cannot be compiled, or reads choices that it has not."""
        prompt, file = self.prompts[name], getattr(self.prompts, "path", None)
        place = f"{file}: task {shown(self.name)}" if file else f"task {shown(self.name)}"
        try:
            optional = set(getattr(prompt, "optional_fields", ()))
            fields = tuple(field for field in getattr(prompt, "fields", ()) if field not in optional)
        except TemplateError as error:
            raise with_place(error, f"{place}, {error}") from error.__cause__
        if getattr(prompt, "lacks_choices", False):
            raise TemplateError(
                f"{place}, prompt {shown(name)}: the template reads answer_choices, but the prompt has none; give it answer_choices"
            )
        return fields

    def _check_fields(self):
        """All rows of a list are looked at; of other sequences, the common columns, else the first ones. A prompt has a problem where
        none of them will do."""
        columns = columns_of(self.rows)
        if columns is not None:
            rows = [dict.fromkeys(columns)]
        else:
            rows = self.rows if isinstance(self.rows, (list, tuple)) else [self.rows[i] for i in range(min(len(self.rows), LOOKED_AT))]
        waiting = {name: None for name in self._fields if name not in self.problems}  # prompts that no row has served yet: the first error
        for index, row in enumerate(rows):
            for name in list(waiting):
                try:
                    self._check_row(name, row, index)
                    del waiting[name]
                except DataError as error:
                    waiting[name] = waiting[name] or error
            if not waiting:
                break
        self.problems |= waiting
        odd = [next((field for field in row if not isinstance(field, str)), None) for row in rows if isinstance(row, Mapping)]
        if odd and None not in odd:
            message = f"task {shown(self.name)}, row 0: the field name {shown(odd[0])} is {type(odd[0]).__name__}, must be text"
            self.problems = {name: DataError(message) for name in self._fields} | self.problems

    def _check_row(self, name, row, index):
        if (why := why_no_row(row)) is not None:
            raise DataError(f"task {shown(self.name)}, row {index}: {why}")
        fields = self._fields[name]
        if all(field in row for field in fields):
            return
        present = {str(key).replace("-", "_") for key in row}  # as T0: a hyphen in a column's name becomes an underscore
        missing = sorted(field for field in fields if field not in present)
        if missing:
            near = nearest(missing[0], row)
            hint = f"; nearest is {shown(near)}" if near else ""
            place = f"task {shown(self.name)}, prompt {shown(name)}, row {index}"
            raise DataError(f"{place}: no field {shown(missing[0])}{hint} (the row has: {listed(row)}){self._of_answer(name, missing)}")

    def _of_answer(self, name, missing):
        """What to do with rows that have all that a prompt's input reads."""
        head = without_target(self.prompts[name])
        if head is None or set(missing) & set(head.fields):
            return ""
        return "; only the answer reads it: rows without answers are for predict"


def _split_dataset(dataset, prompts):
    """(dataset, subset) from "a/b", ("a", "b") or a PromptSet's own."""
    if dataset is None:
        return getattr(prompts, "dataset", None), getattr(prompts, "subset", None)
    if isinstance(dataset, str):
        first, _, rest = dataset.partition("/")
        return first, rest or None
    first, rest = dataset
    return first, rest or None
