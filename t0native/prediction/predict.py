"""Rows through prompts: what a model answers to each, labelled or not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from t0native.base.arguments import FLAG, SEED, check
from t0native.base.errors import ConfigError, DataError
from t0native.base.foreign import hint_keywords
from t0native.base.progress import BAR_DELAY, Progress
from t0native.base.showing import shown
from t0native.data.frames import sequence_of
from t0native.data.rowstream import stream_rows
from t0native.prediction.answers import answer_all
from t0native.prediction.asks import asks_of_prompts, check_fields
from t0native.prompts.collection import PromptSet, choose_prompts

__all__ = ["FIELDS", "predict", "prediction_of", "read_prompts"]

FIELDS = ("row", "prompt", "prediction", "index", "choices", "scores", "reason")  # of what `predict` gives
LOOKED_AT = 100  # rows, before any is asked


@hint_keywords
def predict(
    model: Any,
    prompts: Any,
    rows: Any,
    *,
    types: Any = None,
    seed: int = 0,
    truncate: bool = True,
    generation: Mapping[str, Any] | None = None,
    progress: bool | None = None,
    add_eos_to_inputs: bool | None = None,
    max_input_length: int = 1024,
    sentinels: bool = False,
    length_normalize: bool = False,
) -> Iterator[dict[str, Any]]:
    """What a model answers to rows under prompts: a generator of dicts, row by row, and of each row prompt by prompt. Where a prompt has
    answer choices they are ranked; else the answer is written. Rows need no label.

    prompts: a Prompt, several, a PromptSet or another mapping, or the path of a templates.yaml, or of the folder of
    one.  rows: a path (a file of any size is read
    as it is needed: .jsonl, .csv, .tsv, .parquet, .txt, ...), rows as Task takes them, or any iterable of mappings.  types: as
    `read_rows`'.  seed, truncate: as Prompt.render's.  generation: options of Model.generate, a mapping.  add_eos_to_inputs,
    max_input_length (longer inputs are cut, as T0's), sentinels, length_normalize: as Model.rank's.  progress: False for no bar.

    A dict has row (from 0), prompt, prediction (a text; a list of them where generation asks for several), index, choices and scores
    (log-likelihoods in nats; None where an answer was written) and reason (None, or why there is no prediction). ConfigError for
    arguments; DataError for a file that is broken where it is read, and where none of the first rows has what a prompt's input reads.

    >>> mood = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> answers = list(t0.predict(t0.Model.mini(), mood, [{"text": "Anna likes tea."}, {"text": "Ben fell."}]))
    >>> [(answer["row"], answer["prompt"], answer["choices"]) for answer in answers]
    [(0, 'mood', ['bad', 'good']), (1, 'mood', ['bad', 'good'])]
    """
    prompts = choose_prompts(prompts) if isinstance(prompts, (str, Path)) else prompts
    dataset = prompts.full_name if isinstance(prompts, PromptSet) and prompts.dataset else None
    prompts, seed, truncate = list(read_prompts(prompts).values()), check(SEED, "seed", seed), check(FLAG, "truncate", truncate)
    name, total, rows = _rows_of(rows, types, dataset)
    rows = iter(rows)
    first = _take(rows, LOOKED_AT)
    check_fields(prompts, first, name)
    common = {"add_eos_to_inputs": add_eos_to_inputs, "max_input_length": max_input_length, "sentinels": sentinels, "truncate": True}
    ranking, written = common | {"length_normalize": length_normalize}, common | dict(generation or {})
    asks = asks_of_prompts(prompts, _chain(first, rows), seed, truncate)
    return _answers(model, asks, ranking, written, None if total is None else total * len(prompts), progress)


def _answers(model, asks, ranking, generation, total, progress):
    done = 0
    with Progress("predict", total or 0, on=progress is not False and total is not None, delay=BAR_DELAY) as bar:
        for answers in answer_all(model, asks, ranking, generation, lambda now: bar.update(done + now)):
            done += len(answers)
            bar.update(done)
            yield from map(prediction_of, answers)


def prediction_of(answer):
    """The dict that `predict` gives of an Answer."""
    ranking, ask = answer.ranking, answer.ask
    facts = {"row": ask.number, "prompt": ask.prompt, "prediction": answer.text, "index": None, "choices": None, "scores": None}
    if ranking is not None:
        facts |= {"prediction": ranking.choice, "index": ranking.index, "choices": ask.choices, "scores": ranking.scores.tolist()}
    return facts | {"reason": answer.reason}


def read_prompts(prompts, given=False):
    """{name: prompt} of what `predict` takes. given: whether choices are given beside, so that the prompts need have none of their own.
    ConfigError where it is none, or two have one name.

    >>> list(read_prompts([t0.Prompt("a", "x ||| y")]))
    ['a']
    """
    if not hasattr(prompts, "render") and not hasattr(prompts, "__iter__"):
        raise ConfigError(f"prompts {shown(prompts)}: must be a Prompt, several, a PromptSet, or the name of a file of them")
    if isinstance(prompts, Mapping):
        named = dict(prompts)
    else:
        named = {}
        for prompt in [prompts] if hasattr(prompts, "render") else prompts:
            if getattr(prompt, "name", None) in named:
                raise ConfigError(f"two prompts are named {shown(prompt.name)}: names must differ")
            named[getattr(prompt, "name", None)] = prompt
    odd = next((prompt for prompt in named.values() if not hasattr(prompt, "render")), None)
    if odd is not None:
        hint = "; choose one set of the collection" if isinstance(odd, Mapping) else ""
        raise ConfigError(f"prompts: {shown(odd)} is {type(odd).__name__}, must be a Prompt{hint}")
    if not named:
        raise DataError("prompts: there are none")
    for prompt in named.values():
        if not given and getattr(prompt, "lacks_choices", False):
            raise DataError(
                f"prompt {shown(prompt.name)}: the template reads answer_choices, but the prompt has none; give it answer_choices"
            )
    return named


def _rows_of(rows, types, dataset):
    """(a name for messages, how many or None, an iterable of them)."""
    if isinstance(rows, (str, Path)):
        stream = stream_rows(rows, dataset, types)
        return stream.name, stream.total, stream
    if hasattr(rows, "__len__") or hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "collect"):
        sequence = sequence_of(rows, "rows", dataset, types)
        return "rows", len(sequence), (sequence[i] for i in range(len(sequence)))
    if not hasattr(rows, "__iter__"):
        raise ConfigError(f"rows {shown(rows)}: must be a file, rows, or an iterable of them")
    return "rows", None, rows


def _take(rows, n):
    return [row for _, row in zip(range(n), rows)]


def _chain(first, rows):
    yield from first
    yield from rows
