"""Stray words, which the miniature has in place of pre-training.

T0 begins with a model that has read English and passes over what does not matter. The miniature begins with nothing: a word
that training never meets is a vector at random, and it is read as a signal. So most training inputs, whatever their prompt,
are strewn with words that tell nothing there:

    a share CLEAN of the inputs stays as it is; each other one draws a chance r, uniform from 0 to 2 RATE
    before each of its words, with chance r, stands a stray: a made-up one in MADE_UP of the cases (three to eight letters),
    else one of the common English words (english.txt) that the training side itself never uses

Targets, validation rows, development and held-out tasks are never strewn. Words of a held-out wording may occur as strays
(the held-out files are not read, so they cannot be left out); they stand anywhere and mean nothing."""

import re
from functools import cache
from pathlib import Path
from random import Random

from t0native.mini.datasets import MAKERS, Rows
from t0native.mini.world import pick, stream
from t0native.prompts.collection import PromptCollection
from t0native.tasks.task import Task

FOLDER = Path(__file__).parent
RATE, CLEAN, MADE_UP = 0.2, 0.2, 0.5
LETTERS = "etaoinshrdlucmfwypvbgk"
ROWS_READ = 100  # of each dataset: four thousand hold no other word


class Strewn(Task):
    """A task whose inputs carry stray words; which ones is a function of (seed, task, prompt, example)."""

    def render_noted(self, prompt, index, seed=0, key=None):
        rendering = super().render_noted(prompt, index, seed, key)
        example = rendering.example
        if example is None:
            return rendering
        rng = stream(seed, f"strays: {self.name} {prompt}", index if key is None else key)
        return rendering._replace(example=example._replace(input=strew(rng, example.input)))


def strew(rng: Random, text: str) -> str:
    """The text with strays before some of its words."""
    if rng.random() < CLEAN:
        return text
    chance = 2 * RATE * rng.random()
    kept: list[str] = []
    for word in text.split(" "):
        if rng.random() < chance:
            kept.append(make_up_word(rng) if rng.random() < MADE_UP else pick(rng, stray_words()))
        kept.append(word)
    return " ".join(kept)


def make_up_word(rng: Random) -> str:
    return "".join(pick(rng, LETTERS) for _ in range(3 + int(rng.random() * 6)))


@cache
def stray_words() -> tuple[str, ...]:
    """The common English words that no training prompt and no training row holds."""
    known = training_words()
    return tuple(word for word in english_words() if word not in known)


def english_words() -> list[str]:
    return (FOLDER / "english.txt").read_text(encoding="utf-8").split()


def training_words() -> set[str]:
    """Every word that the training side holds: fields of rows, the fixed text of prompts and answer choices."""
    prompts = PromptCollection.load(FOLDER / "prompts")
    collected: set[str] = set()
    for dataset in MAKERS:
        for prompt in prompts[dataset].values():
            text = f"{prompt.jinja} {prompt.answer_choices or ''}"
            collected |= words(re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text, flags=re.DOTALL))
            collected |= {word for text in re.findall(r'"([^"]*)"', " ".join(re.findall(r"\{\{.*?\}\}", text))) for word in words(text)}
        for index in range(ROWS_READ):
            collected |= words(str(list(Rows(dataset)[index].values())))
    return collected


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"<extra_id_\d+>|\\n", " ", text).lower()))
