"""BIG-bench's JSON tasks (Srivastava et al. 2022), each under the prompt that its authors wrote; 14 of them are T0's figure 5.

    DATA/bigbench/<task>/task.json            as distributed, or <task>/<subtask>/task.json, whose examples are taken together
    DATA/bigbench/<task>.jsonl                {"query": text, "choices": [text, ...], "gold": number}, an object a line
    DATA/bigbench/<task>/default.jsonl        the hub's columns: inputs, targets, multiple_choice_targets, multiple_choice_scores; without
                                              that split train.jsonl and validation.jsonl together

    input           task_prefix  example_input_prefix input  choice_prefix choice ...  example_output_prefix
    with k shots    task_prefix  (shot answer few_shot_example_separator) x k  input, from example_input_prefix on

    multiple_choice_grade   what target_scores gives the choice that ranks first
    exact_str_match         1 where the answer, cut at its stop, is a target; it stops at stop_string, else at . ? ! ; or the line's end

Choices stand in the input where append_choices_to_input says so, and it is true unless said, in an order drawn for each example.
What a file leaves out has BIG-bench's own default. Examples that stand twice count once, as there: winowhy has 2862, not 2865.
Rows are dicts: input, choices and worth (a mapping of choices to their values), both None where answers are written, answers (those
that are right, or best) and subtask."""

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from t0native._core import RANDOM_ROW, random_bits
from t0native.base.arguments import FLAG, NAMES, TEXT, Kind
from t0native.base.errors import DataError, suggest
from t0native.base.jsontext import json_text
from t0native.base.showing import listed, shown
from t0native.data.datafolder import ARROW_ENDINGS, TEXT_ENDINGS, find_rows
from t0native.data.lines import lines_of, parse_example
from t0native.data.rows import read_rows
from t0native.prompts.prompt import PromptedExample, PromptMetadata
from t0native.tasks.metrics import Metric, find_metric

__all__ = ["T0_TASKS", "BigBenchPrompt", "cut_at_stop", "find_task", "read_task"]

T0_TASKS = (
    "code_line_description", "conceptual_combinations", "formal_fallacies_syllogisms_negation", "hindu_knowledge", "known_unknowns",
    "language_identification", "logic_grid_puzzle", "logical_deduction", "misconceptions", "movie_dialog_same_or_different",
    "novel_concepts",
    "strategyqa", "vitaminc_fact_verification", "winowhy",
)  # fmt: skip
METRICS = ("multiple_choice_grade", "exact_str_match")
GRADE = find_metric(METRICS[0])
FOLDER, FILE, HUB_SPLITS = "bigbench", "task.json", ("default", "train", "validation")
_ORDER = RANDOM_ROW + (9 << 8)  # the stream of the order of choices; index (example << 20) + choice
_TEXT_OR_NONE, _TEXTS = TEXT.or_none(), Kind(NAMES.fits, "a list of texts")
_LIST = Kind(lambda value: isinstance(value, (list, tuple)), "a list of numbers")


class Form(NamedTuple):
    """What a task.json says about its prompt, under BIG-bench's names and with its defaults."""

    task_prefix: str = ""
    example_input_prefix: str = "\nQ: "
    example_output_prefix: str = "\nA: "
    choice_prefix: str = "\n  choice: "
    append_choices_to_input: bool = True
    few_shot_example_separator: str = "\n"
    stop_string: str | None = None


PLAIN = Form("", "", "", "", False)  # of files whose inputs have their prompt already
_KINDS = {name: TEXT for name in Form._fields} | {"append_choices_to_input": FLAG, "stop_string": _TEXT_OR_NONE}
_KINDS |= {"preferred_score": TEXT, "metrics": NAMES}


class BigBenchPrompt:
    """The prompt of a task's authors, standing where a Prompt stands.

    name; forms: {subtask: Form}.

    >>> prompt = BigBenchPrompt("sums", {"": Form(append_choices_to_input=False)})
    >>> prompt.render({"input": "2 + 2", "choices": ["4", "5"], "worth": {"4": 1, "5": 0}, "answers": ["4"], "subtask": ""}).input
    '\\nQ: 2 + 2\\nA: '
    """

    answer_choices, reference, fields, optional_fields = None, "the task's authors", ("input", "choices", "worth", "answers", "subtask"), ()

    def __init__(self, name, forms):
        self.name, self.forms = name, forms
        self.metadata = PromptMetadata(True, all(form.append_choices_to_input for form in forms.values()), list(METRICS))

    @property
    def jinja(self):
        """What a run's record knows the prompt by: its forms.

        >>> BigBenchPrompt("sums", {"": Form()}).jinja[:20]
        '{"": {"task_prefix":'
        """
        return json_text({subtask: form._asdict() for subtask, form in self.forms.items()})

    @property
    def id(self):
        """A UUID made of the forms.

        >>> BigBenchPrompt("sums", {"": Form()}).id
        '1bb4560f-3155-5d82-8b40-b1c81e27ca93'
        """
        return str(uuid.uuid5(uuid.NAMESPACE_OID, self.jinja))

    def render(self, row, seed=0, index=0):
        """A row as a PromptedExample; None where its input is empty."""
        form = self.forms[row["subtask"]]
        text, choices = form.example_input_prefix + row["input"], row["choices"]
        if not row["input"].strip():
            return None
        if choices is not None and form.append_choices_to_input:
            drawn = sorted(choices)
            order = np.argsort(random_bits(int(seed), _ORDER, int(index) << 20, len(drawn)), kind="stable")
            text += "".join(form.choice_prefix + drawn[i] for i in order)
        return PromptedExample(form.task_prefix + text + form.example_output_prefix, row["answers"][0], choices)

    def why_dropped(self, row, seed=0, index=0):
        """Why `render` gives None, in words; None where it does not."""
        return None if row["input"].strip() else "the input is empty"

    def shots(self, row):
        """How shots before this row are joined: (text before them all, between input and answer, between shots), and by which field
        rows are of one kind."""
        form = self.forms[row["subtask"]]
        return form.task_prefix, "", form.few_shot_example_separator, "subtask"


def cut_at_stop(text, stop_string=None):
    """An answer cut where it ends: before stop_string, or, without one, the first run of characters without . ? ! ; and line
    ends, as BIG-bench does; white space at its ends goes.

    >>> cut_at_stop(" Paris. It is"), cut_at_stop("a; b", stop_string="b")
    ('Paris', 'a;')
    """
    if stop_string:
        return text.partition(stop_string)[0].strip()
    match = re.search(r"[^.?!;\n]+", text)
    return match[0].strip() if match else ""


# ---- where a task is ------------------------------------------------------------------------------------------------


def find_task(data, task):
    """A function that reads (rows, {subtask: Form}, Metric) of a BIG-bench task, or None where `data` lacks it. data: a folder, or
    a mapping, as datafolder.py's. DataError for two files of one task.

    >>> rows, forms, metric = find_task({"bigbench/sums": [{"query": "2 + 2 =", "choices": ["4", "5"], "gold": 0}]}, "sums")()
    >>> rows[0]["worth"], metric.name
    ({'4': 1.0, '5': 0.0}, 'multiple_choice_grade')
    """
    by_split = {split: find_rows(data, FOLDER, task, split) for split in HUB_SPLITS}  # which checks `data`
    readers = [by_split["default"]] if by_split["default"] else list(filter(None, by_split.values()))
    files = [] if isinstance(data, Mapping) else _find_files(Path(data, FOLDER, task), bool(readers))
    if files:
        return lambda: _read_files(files)
    return (
        (lambda: _join_parts({"": _read_prompted_rows(f"{FOLDER}/{task}", [row for read in readers for row in read()])}))
        if readers
        else None
    )


def _find_files(folder, in_splits):
    """The task.json files of a task, its own or those of its parts, else its one file of rows. DataError where it is there in two ways."""
    whole = [file for file in (folder / FILE, *sorted(folder.glob(f"*/{FILE}"))) if file.is_file()]
    plain = [file for end in TEXT_ENDINGS + ARROW_ENDINGS if (file := folder.with_name(folder.name + end)).is_file()]
    if bool(whole) + len(plain) + in_splits > 1:
        names = [*(file.relative_to(folder.parent).as_posix() for file in whole[:1] + plain), *(["rows in splits"] if in_splits else [])]
        raise DataError(f"{folder.parent}: {folder.name} is there more than once ({listed(names)}); leave one")
    return whole or plain


def _read_files(files):
    """Of the files of a task, each of them a subtask, by its folder's name, where there are several."""
    return _join_parts({file.parent.name if len(files) > 1 else "": read_task(file) for file in files})


def _join_parts(parts):
    """(rows of all parts, their forms, their one Metric). parts: {subtask: (rows, Form, name of the metric)}."""
    rows = [{**row, "subtask": subtask} for subtask, (part, _, _) in parts.items() for row in part]
    forms = {subtask: form for subtask, (_, form, _) in parts.items()}
    ways = {subtask: (metric, form.stop_string) if metric == METRICS[1] else (metric,) for subtask, (_, form, metric) in parts.items()}
    if len(set(ways.values())) > 1:
        differences = "; ".join(
            f"{subtask} by {way[0]}" + "".join(f" until {shown(stop)}" for stop in way[1:] if stop) for subtask, way in ways.items()
        )
        raise DataError(
            f"the parts of one task are judged differently, by preferred_score and stop_string ({differences}); evaluate them apart"
        )
    metric, *stop = next(iter(ways.values()))
    return rows, forms, replace(GRADE, targets="worth") if metric == METRICS[0] else _make_exact_match(*stop)


def _make_exact_match(stop):
    def equal(text, targets):
        return float(cut_at_stop(text, stop) in {target.strip() for target in targets})

    return Metric(METRICS[1], "text", of_row=equal, targets="answers", short=True)


def read_task(path):
    """(rows, Form, metric) of a file: a task.json, or rows in one of the two other forms. DataError with file, example and field.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "task.json")
    ...     example = {"input": "2 + 2", "target_scores": {"4": 1, "5": 0}}
    ...     _ = path.write_text(json_text({"examples": [example, example], "example_input_prefix": "Sum: "}))
    ...     rows, form, metric = read_task(path)
    >>> len(rows), form.example_input_prefix, form.example_output_prefix, metric
    (1, 'Sum: ', '\\nA: ', 'multiple_choice_grade')
    """
    path = Path(path)
    if path.suffix != ".json":
        return _read_prompted_rows(path, read_rows(path))
    content = parse_example("".join(line for _, line in lines_of(path)), path)
    return _read_prompted_rows(path, content) if isinstance(content, list) else _read_json(path, content)


# ---- what a file says -----------------------------------------------------------------------------------------------


def _read_json(path, content):
    """Of the content of a task.json."""
    if not isinstance(content, dict):
        raise DataError(f"{path}: must be an object with 'examples', as BIG-bench's task.json, or a list of rows")
    for name, kind in _KINDS.items():
        if name in content and (problem := kind.problem(name, content[name])):
            raise DataError(f"{path}: {problem}")
    examples = content.get("examples")
    if not isinstance(examples, list) or not examples:
        near = "" if "examples" in content else f"; {suggest('examples', content)}"
        raise DataError(f"{path}: 'examples' must be a list of at least one example{near}")
    rows = [
        _make_row(f"{path}, example {i}", example, "input", "target", "target_scores") for i, example in enumerate(_drop_repeated(examples))
    ]
    form = Form(**{name: content[name] for name in Form._fields if name in content})
    return rows, form, _choose_metric(path, rows, content)


def _choose_metric(path, rows, content):
    """The preferred score, or for a file without one the first of `metrics` that is known, or what the examples allow."""
    by_choices = [row["choices"] is not None for row in rows]
    usual = METRICS[0] if all(by_choices) else METRICS[1]
    metric = content.get("preferred_score", next((name for name in content.get("metrics", ()) if name in METRICS), usual))
    if metric not in METRICS:
        raise DataError(f"{path}: preferred_score {shown(metric)}: must be {' or '.join(METRICS)}; others are not computed here")
    if metric == METRICS[0] and not all(by_choices):
        raise DataError(f"{path}, example {by_choices.index(False)}: no target_scores, which multiple_choice_grade needs")
    if metric == METRICS[1]:
        if content.get("output_regex") is not None:
            raise DataError(f"{path}: output_regex {shown(content['output_regex'])}: must be null; answers are cut by stop_string alone")
        for row in rows:
            row["choices"] = row["worth"] = None
    return metric


def _find_best(worth):
    top = max(worth.values())
    return [answer for answer, value in worth.items() if value == top]


def _read_prompted_rows(path, raw_rows):
    """Of rows of query, choices, gold, or of the hub's columns; both have their prompt in them."""
    raw_rows = list(raw_rows)
    if not raw_rows:
        raise DataError(f"{path}: no rows")
    rows = []
    for i, row in enumerate(raw_rows):
        place = f"{path}, row {i}"
        if not isinstance(row, Mapping):
            raise DataError(f"{place}: must be an object {{...}}, is {shown(row)}")
        if "query" in row:
            rows.append(_read_query_row(place, row))
        elif "inputs" in row:
            rows.append(_read_hub_row(place, row))
        else:
            raise DataError(f"{place}: neither query, choices, gold nor inputs, targets, multiple_choice_targets; it has: {listed(row)}")
    return rows, PLAIN, _choose_metric(path, rows, {})


def _read_query_row(place, row):
    query, choices, gold = row["query"], row.get("choices"), row.get("gold")
    if not isinstance(query, str):
        raise DataError(f"{place}: query {shown(query)}: must be text")
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, str) for choice in choices):
        raise DataError(f"{place}: choices {shown(choices)}: must be a list of texts")
    if isinstance(gold, bool) or not isinstance(gold, int) or not 0 <= gold < len(choices):
        raise DataError(f"{place}: gold {shown(gold)}: must be the number of a choice, from 0 to {len(choices) - 1}")
    worth = {choice: float(choice == choices[gold]) for choice in choices}
    return {"input": query, "choices": choices, "worth": worth, "answers": [choices[gold]]}


def _read_hub_row(place, row):
    choices, scores = row.get("multiple_choice_targets") or [], row.get("multiple_choice_scores") or []
    for name, values, kind in (("multiple_choice_targets", choices, _TEXTS), ("multiple_choice_scores", scores, _LIST)):
        if problem := kind.problem(f"{place}: {name}", values):
            raise DataError(problem)
    if len(choices) != len(scores):
        raise DataError(f"{place}: {len(choices)} multiple_choice_targets and {len(scores)} multiple_choice_scores; each needs one")
    worth = {"multiple_choice_scores": dict(zip(choices, scores))} if choices else {}
    return _make_row(
        place, {"inputs": row["inputs"], "targets": row.get("targets"), **worth}, "inputs", "targets", "multiple_choice_scores"
    )


def _make_row(place, example, text, target, scores):
    """A row out of an example, whose fields have these names. DataError names place, field and value."""
    if not isinstance(example, Mapping):
        raise DataError(f"{place}: must be an object with {text} and {target} or {scores}, is {shown(example)}")
    if not isinstance(example.get(text), str):
        raise DataError(f"{place}: {text} {shown(example.get(text))}: must be text")
    worth = example.get(scores)
    if worth is not None:
        if not isinstance(worth, Mapping) or not worth or not all(map(_is_number, worth.values())):
            raise DataError(f"{place}: {scores} {shown(worth)}: must be an object of choices and their numbers")
        return {"input": example[text], "choices": list(worth), "worth": dict(worth), "answers": _find_best(worth)}
    answers = [example.get(target)] if isinstance(example.get(target), str) else example.get(target)
    if not isinstance(answers, list) or not answers or not all(isinstance(answer, str) for answer in answers):
        raise DataError(f"{place}: {target} {shown(answers)}: must be text or a list of texts, or {scores} be there")
    return {"input": example[text], "choices": None, "worth": None, "answers": answers}


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _drop_repeated(examples):
    """Without those that stood before."""
    seen = set()
    return [example for example in examples if (text := json_text(example, "keep")) not in seen and not seen.add(text)]
