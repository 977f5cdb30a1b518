"""The examples of a cell in words: what the model read, what was right, what it said, a line a row in a file that a person finds.

    RUN/examples/MODEL/TASK/PROMPT.jsonl    {"model", "task", "prompt", "row", "right", "value", "input", "choices", "target",
                                            "prediction", "index", "scores", "lengths"}
                                            and a line a row that the model could not answer: {..., "row", "dropped", "detail"}

    prediction    in words: the choice that ranks highest, or the text written; what `value` judges
    index         that choice's number, or null
    right         whether the value is the best there is; null where the row has none (of a question's answers, all but the first)

Each file is written whole or not at all, row by row, once its cell is finished; a call that finds a cell in the journal writes its file
too. A name is that of the model, task or prompt with _ for what file systems and shells mind; where two would be one, or differ by
capitals alone, each gets eight digits of its SHA-256."""

import hashlib
import re
import unicodedata
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from t0native.base.files import make_folder, remove_leftovers, replacing
from t0native.base.jsontext import json_text
from t0native.evaluation.answers import pack_rankings
from t0native.reports.examples import EXAMPLES, in_words

__all__ = ["CellAnswers", "TextFiles", "example_records", "safe_names"]

MOST_BYTES = 100  # of a name in UTF-8, before the digits
_UNSAFE = re.compile(r"[^\w.+=,@-]+")


def example_records(rows, answers, values):
    """(RenderedRow, dict) of each row: row, target, choices, scores, lengths, prediction (a choice's number, or a text), value, and text
    where a row is judged both ways.

    rows: a sequence [n] of RenderedRow.  answers: the Answers to them.  values: float64 [rows of the task], NaN where there is none."""
    rankings, texts = (repeat(None) if them is None else them for them in (answers.rankings, answers.texts))
    for row, ranking, text in zip(rows, rankings, texts):
        value = values[row.index]
        record = {"row": row.index, "target": row.target, "choices": None, "scores": None, "lengths": None, "prediction": text}
        if ranking is not None:
            record |= {"choices": row.ranked, "prediction": int(ranking.index)} | _numbers(ranking)
            if text is not None:
                record["text"] = text
        yield row, record | {"value": None if np.isnan(value) else float(value)}


def _numbers(ranking):
    return {name: np.asarray(getattr(ranking, name)).tolist() for name in ("scores", "lengths") if hasattr(ranking, name)}


# ---- files ------------------------------------------------------------------------------------------------------------


class TextFiles:
    """The files of an evaluation's examples in words.

    folder: that of the evaluation, whose journal is held.  label: the model's name.  tasks: all that are evaluated."""

    def __init__(self, folder, label, tasks):
        self.folder, self._cleaned = Path(folder), set()
        (model,), of_tasks = safe_names([label]).values(), safe_names([task.name for task in tasks])
        self._names = {
            (task.name, prompt): f"{EXAMPLES}/{model}/{of_tasks[task.name]}/{name}.jsonl"
            for task in tasks
            for prompt, name in safe_names(task.prompts).items()
        }

    def write(self, cell, answers):
        """Writes the file of a judged cell; returns its name in the folder. OSError leaves what was there before."""
        record, name = cell.record, self._names[cell.task.name, cell.prompt]
        path = self.folder / name
        make_folder(path.parent)
        if path.parent not in self._cleaned:
            remove_leftovers(path.parent)
            self._cleaned.add(path.parent)
        of = {"model": record.model, "task": record.task, "prompt": record.prompt}
        with replacing(path) as file:
            for row, example in example_records(cell.rows.kept, answers, record.correct):
                file.write(_line(of | in_words(example, row.input, record.metric)))
            for index, reason, detail in cell.rows.later:
                file.write(_line(of | {"row": index, "dropped": reason, "detail": detail}))
        return name


def _line(record):
    return json_text(record, ensure_ascii=False) + "\n"


def safe_names(names):
    """{name: what stands for it in a path}, different for different names, whatever the names are.

    >>> safe_names(["super_glue/rte", "must be true", "../..", "GPT-3", "gpt-3"])
    {'super_glue/rte': 'super_glue_rte', 'must be true': 'must_be_true', '../..': '_', 'GPT-3': 'GPT-3-e2409fef', 'gpt-3': 'gpt-3-b7a292cf'}
    """
    plain = {name: _safe(name) for name in names}
    folded = [name.casefold() for name in plain.values()]
    return {name: safe if folded.count(safe.casefold()) == 1 else f"{safe}-{_digits(name)}" for name, safe in plain.items()}


def _safe(name):
    text = _UNSAFE.sub("_", unicodedata.normalize("NFC", str(name))).lstrip(".-").rstrip(".")
    return text.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore") or "_"


def _digits(name):
    return hashlib.sha256(str(name).encode("utf-8", "surrogatepass")).hexdigest()[:8]


# ---- memory -----------------------------------------------------------------------------------------------------------


class CellAnswers:
    """What a model said of the rows of a judged cell, held small; texts are rendered again when they are asked for.

    cell: judged, with its rows.  answers: the Answers to them.  seed: of the evaluation."""

    def __init__(self, cell, answers, seed):
        kept = cell.rows.kept
        self._task, self._prompt, self._metric, self._seed = cell.task, cell.prompt, cell.record.metric, seed
        self._values, self._texts = cell.record.correct, answers.texts
        self._rows, self._ranked = kept.indices, kept.n_ranked
        self._rankings = pack_rankings(answers.rankings) if isinstance(answers.rankings, list) else answers.rankings

    def examples(self, rows=None):
        """Dicts of the rows in words, with their inputs. rows: a set of numbers in the task; None: all. Errors as Task.render's, where
        the task's rows are no longer what they were."""
        for place, index in enumerate(self._rows):
            if rows is None or index in rows:
                text, target, choices = self._task.render(self._prompt, index, seed=self._seed)
                ranked = None if choices is None else choices[: self._ranked[place]]
                row = SimpleNamespace(index=index, target=target, ranked=ranked)
                ((_, record),) = example_records([row], self._answers(place), self._values)
                yield in_words(record, text, self._metric)

    def _answers(self, place):
        return SimpleNamespace(
            rankings=None if self._rankings is None else [self._rankings[place]],
            texts=None if self._texts is None else [self._texts[place]],
        )
