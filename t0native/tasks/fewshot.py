"""Prompted few-shot: k examples before the row, each under the row's own prompt, with its answer.

    input = (input of a shot  target of it  blank line) x k  input of the row

The shots of row i are the first k of a random order of the rows to draw from, which (seed, i) decide: the same under every prompt. Left
out are
the row itself (one equal to it, field by field) and rows that the prompt drops, or whose target is no answer or not among their choices.
Brown et al. 2020 (GPT-3) draw so, anew for every row; T0 was trained without shots (Sanh et al. 2022).

Inputs of more than 1024 tokens lose their beginning when they are evaluated, the first shots first."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from t0native._core import RANDOM_ROW, random_bits
from t0native.base.arguments import SEED, check, whole
from t0native.base.digests import digest_of_rows
from t0native.base.errors import DataError
from t0native.prompts.notes import render_noted
from t0native.tasks.sifting import sift
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from t0native.base.annotations import Rows

__all__ = ["SHOTS", "FewShotPrompt", "few_shot"]

SHOTS = whole(0, 1000)
_DRAW = RANDOM_ROW + (8 << 8)  # the stream of the order of rows; index (row << 20) + draw
PERMUTED = 1024  # rows; of more, so many are drawn with repeats, which are passed over


class FewShotPrompt:
    """A prompt with shots before it, standing where the prompt stands; it has the prompt's other attributes.

    prompt; key: its name in `source`; source: the Task whose rows are drawn from; shots: how many; seed.

    >>> shout = t0.Prompt("shout", "{{ text }}! ||| {{ label }}")
    >>> source = t0.Task("train", [{"text": "hey", "label": "yes"}], [shout])
    >>> FewShotPrompt(shout, "shout", source, shots=1).render({"text": "ho", "label": "no"}).input
    'hey! yes\\n\\nho!'
    """

    truncate = "start"  # of Model.rank

    def __init__(self, prompt, key, source, shots, seed=0):
        self.prompt, self.key, self.source, self.shots_before, self.seed = prompt, key, source, shots, seed

    def __getattr__(self, name):
        if name.startswith("__") or name == "prompt":
            raise AttributeError(name)
        return getattr(self.prompt, name)

    @property
    def jinja(self):
        """The prompt's template after what says which shots stand before it.

        >>> shout = t0.Prompt("shout", "{{ text }}! ||| yes")
        >>> FewShotPrompt(shout, "shout", t0.Task("train", [{"text": "hey"}], [shout]), shots=1).jinja
        '{# 1 shot, seed 0, of rows 5a08e904 #}{{ text }}! ||| yes'
        """
        many = f"{self.shots_before} shot{'s' * (self.shots_before != 1)}"
        return f"{{# {many}, seed {self.seed}, of rows {_hash_rows(self.source)} #}}{self.prompt.jinja}"

    def render(self, row, seed=0, index=0):
        """The row as the prompt gives it, with its shots before the input; None where the prompt drops it. DataError where
        too few rows serve as shots."""
        return self.render_noted(row, seed, index).example

    def render_noted(self, row, seed=0, index=0, truncate=True):
        """The same with the notes of the row's own rendering: a Rendering. truncate: as Prompt.render's, of the shots too."""
        rendering = render_noted(self.prompt, row, seed, index, truncate)
        example = rendering.example
        if example is None:
            return rendering
        join = getattr(self.prompt, "shots", None)
        head, between, after, kind = join(row) if join else ("", " ", "\n\n", None)
        text = head
        for shot in self._draw_shots(row, seed, index, kind, self.source if truncate else self.source.uncut()):
            text += shot.input.removeprefix(head) + between + shot.target + after
        own = example.input.removeprefix(head)
        return rendering._replace(example=example._replace(input=text + own))

    def _draw_shots(self, row, seed, index, kind, source):
        shots = []
        for i in _draw_order(self.seed, index, len(source.rows)):
            if len(shots) == self.shots_before:
                break
            other = source.rows[i]
            if other == row or (kind is not None and other[kind] != row[kind]):
                continue
            sifted = sift(source, self.key, i, seed, choices=True)
            if sifted.reason is None:
                shots.append(sifted.rendering.example)
        if len(shots) < self.shots_before:
            raise DataError(
                f"{self.shots_before} shots are asked for, but only {len(shots)} of the {len(source.rows)} rows drawn from serve"
            )
        return shots


def few_shot(task: Task, shots: int, rows: Rows | None = None, seed: int = 0) -> Task:
    """The same task with so many shots before each row; a Task.

    shots: 0 to 1000; 0 gives the task itself.  rows: to draw from, in the columns of the task's; its own rows unless given, where a row
    is never its
    own shot.  seed: of the drawing.  ConfigError for a number out of range, DataError for rows that lack a field.

    >>> task = t0.mini.held_out_tasks()[0]
    >>> t0.few_shot(task, 2).render("does it follow", 0).input.count("\\n\\n")
    2
    """
    shots, seed = check(SHOTS, "shots", shots), check(SEED, "seed", seed)
    if shots == 0:
        return task
    prompts = {name: task.prompts[name] for name in task.prompts}
    source = (
        task if rows is None else Task(f"{task.name}, shots", rows, prompts, dataset=(task.dataset, task.subset), truncate=task.truncate)
    )
    wrapped = {name: FewShotPrompt(prompt, name, source, shots, seed) for name, prompt in prompts.items()}
    return Task(task.name, task.rows, wrapped, task.metrics, (task.dataset, task.subset), task.split, truncate=task.truncate, strict=False)


def _draw_order(seed, index, n):
    """Numbers of rows, each once, in the order of row `index`."""
    bits = random_bits(int(seed), _DRAW, int(index) << 20, min(n, PERMUTED))
    if n <= PERMUTED:
        return np.argsort(bits, kind="stable").tolist()
    return list(dict.fromkeys((bits % np.uint64(n)).tolist()))


@lru_cache(maxsize=64)  # prompts of one task share their rows
def _hash_rows(task):
    """SHA-256, 8 hexadecimal digits, of a task's rows."""
    return digest_of_rows(task.rows)[:8]
