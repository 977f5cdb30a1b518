"""From texts to ragged batches: tokenising each different text once, cutting work into calls by a token budget."""

from __future__ import annotations

import numpy as np

from t0native.base.arguments import FLAG, check, shown, whole
from t0native.base.errors import ConfigError, DataError
from t0native.text.tokenizer import Ragged

__all__ = ["Sequences", "as_list", "inputs_of"]


def inputs_of(inputs, what="inputs"):
    """(whether it is a single one, list of inputs)."""
    single = _is_one(inputs)
    return single, [inputs] if single else as_list(what, inputs)


def as_list(what, values):
    """Generators and other iterables as lists."""
    if not hasattr(values, "__iter__"):
        raise ConfigError(f"{what} {shown(values)}: must be a text, a sequence of ids, or a list of them")
    return values if hasattr(values, "__len__") and hasattr(values, "__getitem__") else list(values)


def _is_one(inputs):
    """True for a text or a sequence of ids, false for a list of them."""
    if isinstance(inputs, str):
        return True
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 1 and inputs.dtype.kind in "iu"
    return isinstance(inputs, (list, tuple)) and len(inputs) > 0 and isinstance(inputs[0], (int, np.integer))


class Sequences:
    """Items (texts, or ids) as token ids; identical items share one entry.

    items[i] is entry number[i]; entries are int32 arrays. add_eos appends the end token to texts (never to ids).
    Longer than `most`: DataError, or with `truncate` cut there, after the end token was appended, as T0 does; inputs with
    truncate="start" at their beginning.
    sentinels: <extra_id_k> in a text is that sentinel.
    """

    def __init__(self, model, what, items, add_eos, most, truncate, sentinels=False):
        check(whole(1), "max_input_length" if what == "input" else "max_target_length", most)
        self.entries, self.number = [], np.empty(len(items), np.int64)
        seen, texts = {}, []
        for i, item in enumerate(items):
            key = item if isinstance(item, str) else _ids(what, i, item, model.config.vocab_size).tobytes()
            place = seen.get((type(key), key))
            if place is None:
                place = seen[type(key), key] = len(self.entries)
                self.entries.append(None if isinstance(item, str) else np.frombuffer(key, np.int32))
                if isinstance(item, str):
                    texts.append((place, i, item))
            self.number[i] = place
        self._tokenize(model, what, texts, add_eos, check(FLAG, "sentinels", sentinels))
        self._check(what, most, truncate)
        self.lengths = np.array([len(entry) for entry in self.entries], np.int64)[self.number] if len(items) else np.empty(0, np.int64)

    def __len__(self):
        return len(self.number)

    def _tokenize(self, model, what, texts, add_eos, sentinels):
        if not texts:
            return
        if model.tokenizer is None:
            raise ConfigError(f"{what} {texts[0][1]}: a text, but the model has no tokenizer; give ids, or a tokenizer to the model")
        threads = model.threads
        try:
            ragged = model.tokenizer.encode_batch([text for _, _, text in texts], threads=threads, sentinels=sentinels)
        except ValueError as error:
            raise _first_failure(model.tokenizer, what, texts, error) from None
        end = np.array([model.config.eos_token_id] if add_eos else [], np.int32)
        for k, (place, _, _) in enumerate(texts):
            self.entries[place] = np.concatenate([ragged[k], end])

    def _check(self, what, most, truncate):
        for place, entry in enumerate(self.entries):
            if len(entry) == 0:
                raise DataError(f"{what} {self._first(place)}: it has no tokens, so there is nothing to compute on")
            if len(entry) <= most:
                continue
            if not truncate:
                keyword = "max_input_length" if what == "input" else "max_target_length"
                raise DataError(
                    f"{what} {self._first(place)}: {len(entry)} tokens, but {keyword} is {most}: raise it, or cut with truncate=True"
                )
            self.entries[place] = entry[-most:] if truncate == "start" and what == "input" else entry[:most]

    def _first(self, place):
        return int(np.flatnonzero(self.number == place)[0])

    def ragged(self, numbers):
        """These items, in this order: a Ragged."""
        return Ragged.of(self.entries[self.number[i]] for i in numbers)


def _first_failure(tokenizer, what, texts, whole):
    """The error of the first text that cannot be tokenized, with the caller's number of it; else the whole batch's."""
    for _, i, text in texts:
        try:
            tokenizer.encode(text)
        except ValueError as error:
            return DataError(f"{what} {i}: {error}")
    return whole


def _ids(what, i, item, vocabulary):
    array = np.asarray(item)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ConfigError(f"{what} {i}: {type(item).__name__}; a text or a one-dimensional sequence of ids is needed")
    outside = array[(array < 0) | (array >= vocabulary)]
    if outside.size:
        raise ConfigError(f"{what} {i}: the id {outside[0]} is outside of the vocabulary, which has {vocabulary}")
    return array.astype(np.int32)
