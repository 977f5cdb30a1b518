"""Answers as columns: what `datasets` calls for each batch of a Dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from t0native.base.arguments import FLAG, TEXT, check
from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.prediction.predict import predict, read_prompts

__all__ = ["Mapper", "mapper"]

OF_CLASSIFIER = {"prediction": "label", "probability": "probability", "margin": "margin", "abstained": "abstained"}


def mapper(model: Any, prompt: Any = None, *, prefix: str = "", scores: bool = False, **keywords: Any) -> Mapper:
    """A callable for `Dataset.map(..., batched=True)` of `datasets`: columns in, columns of answers out.

    model: a Classifier, which gives prediction (its label, or None where it abstains), probability, margin and abstained; or a Model with a
    prompt, which gives prediction (None where a row has no answer), and with scores=True choices and scores too.  prefix: of the new
    columns' names.  keywords: as `predict`'s. What it gives for a row does not depend on the batch. ConfigError for a batch that is none
    and for a column that is there already: `map` would replace it.

    >>> give = t0.mapper(t0.Classifier(t0.Model.mini(), ["Anna", "Ben"], "{{ text }} Who keeps the dog?"))
    >>> batch = give({"text": ["Anna keeps a cat. Ben keeps a dog."]})
    >>> list(batch), batch["prediction"]
    (['prediction', 'probability', 'margin', 'abstained'], ['Ben'])
    """
    return Mapper(model, prompt, prefix, scores, keywords)


class Mapper:
    """What `mapper` gives; it pickles where its model does, so that `num_proc` works."""

    def __init__(self, model: Any, prompt: Any, prefix: str, scores: bool, keywords: Mapping[str, Any]) -> None:
        self.model, self.prefix, self.scores = model, check(TEXT, "prefix", prefix), check(FLAG, "scores", scores)
        self.keywords, self.prompts, self.classifies = dict(keywords), None, hasattr(model, "classify")
        if self.classifies:
            unwanted = [
                name for name, given in (("prompt", prompt is not None), ("scores", scores), *((name, True) for name in keywords)) if given
            ]
            if unwanted:
                raise ConfigError(f"mapper: {unwanted[0]}: is for a model and a prompt; a classifier has its own prompts")
            return
        if not hasattr(model, "rank"):
            raise ConfigError(f"mapper: {shown(model)} is neither a Model nor a Classifier")
        if "progress" in keywords:
            raise ConfigError("mapper: progress: is that of map, which calls it a batch at a time; leave it out")
        if prompt is None:
            raise ConfigError("mapper: a model needs the prompt that it answers: mapper(model, prompt); a Classifier has its own")
        self.prompts = read_prompts([prompt] if hasattr(prompt, "render") else prompt)
        if len(self.prompts) != 1:
            raise ConfigError(f"mapper: {len(self.prompts)} prompts; a column of answers is of one: map once for each, with prefix=")

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The new columns of a batch: a mapping of columns of one length.

        >>> prompt = t0.Prompt("mood", "{{ text }} Good or bad?|||x", "bad ||| good")
        >>> columns = t0.mapper(t0.Model.mini(), prompt, prefix="t0_", scores=True)({"text": ["Anna likes tea.", "Ben fell."]})
        >>> list(columns), columns["t0_choices"]
        (['t0_prediction', 't0_choices', 't0_scores'], [['bad', 'good'], ['bad', 'good']])
        """
        rows = _rows_of(batch)
        columns = self._of_classifier(rows) if self.classifies else self._of_prompt(rows)
        for name in columns:
            if name in batch:
                raise ConfigError(f"mapper: the batch has a column {shown(name)} already, which map would replace: give prefix=, as 't0_'")
        return columns

    def _of_classifier(self, rows):
        answers = list(self.model.classify(rows)) if rows else []
        return {self.prefix + name: [answer[key] for answer in answers] for name, key in OF_CLASSIFIER.items()}

    def _of_prompt(self, rows):
        answers = list(predict(self.model, self.prompts, rows, progress=False, **self.keywords)) if rows else []
        names = ("prediction", "choices", "scores") if self.scores else ("prediction",)
        return {self.prefix + name: [answer[name] for answer in answers] for name in names}


def _rows_of(batch):
    """The rows of a mapping of columns."""
    if not isinstance(batch, Mapping):
        raise ConfigError(f"mapper: {shown(batch)} is no batch; it takes columns: dataset.map(..., batched=True)")
    columns = {name: batch[name] for name in batch}
    if any(isinstance(values, (str, bytes)) or not hasattr(values, "__len__") for values in columns.values()):
        raise ConfigError("mapper: this is a row; it takes columns, many rows at once: dataset.map(..., batched=True)")
    lists = {name: values.tolist() if hasattr(values, "tolist") else list(values) for name, values in columns.items()}
    if len({len(values) for values in lists.values()}) > 1:
        raise ConfigError(f"mapper: columns of different lengths: { ({name: len(values) for name, values in lists.items()}) }")
    return [dict(zip(lists, values)) for values in zip(*lists.values())]
