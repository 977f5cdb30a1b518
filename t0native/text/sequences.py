"""From texts to ragged batches: what counts as text and what as ids, tokenising each different text once.

    text      str
    ids       a list or tuple of int, a NumPy array of an integer type, a torch tensor of one; of one dimension
    several   a list, tuple or other iterable of these; a column of texts (Arrow's, pandas', polars', a NumPy array of texts);
              an array or tensor [n, length] of ids, a sequence a row

Everything else is refused by its kind: a mapping or a set, whose order says nothing, bytes, which may be either, a table, and numbers
that are no ids."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping

import numpy as np

from t0native.base.arguments import FLAG, check, whole
from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import shown
from t0native.text.tokenizer import Ragged

__all__ = ["KEEP_END", "Sequences", "as_list", "check_ids", "inputs_of", "is_one"]

_BYTES = (bytes, bytearray, memoryview)
_LISTS = ("to_pylist", "to_list", "tolist")  # how Arrow's, polars' and pandas' columns give their values as Python's own
_IDS_ARE = "ids are a list or tuple of int, a NumPy array of integers or a torch tensor of them"


def inputs_of(inputs, what="inputs"):
    """(whether it is a single one, list of inputs).

    >>> inputs_of("a text"), inputs_of((5, 6)), inputs_of(np.array(["a", "b"], object))
    ((True, ['a text']), (True, [(5, 6)]), (False, ['a', 'b']))
    """
    inputs, single = _without_torch(inputs), is_one(inputs)
    return single, [inputs] if single else as_list(what, inputs)


def is_one(value):
    """Whether it is one item, a text or a sequence of ids; nothing of it is read but its first element.

    >>> is_one("a text"), is_one([5, 6]), is_one(["a", "b"])
    (True, True, False)
    """
    return isinstance(value, str) or _are_ids(_without_torch(value))


def as_list(what, values):
    """The items of a list, a column, an array or another iterable, as a list. ConfigError for what has none, or none in an order."""
    values = _without_torch(values)
    if isinstance(values, (list, tuple)):
        return values
    if isinstance(values, np.ndarray):
        return _of_array(what, values)
    _refuse(what, values)
    if _is_column(values):
        return _of_column(what, values)
    if not hasattr(values, "__iter__"):
        raise ConfigError(f"{what} {shown(values)}: must be a text, a sequence of ids, or a list of them")
    return list(values)


def check_ids(what, ids, vocabulary):
    """One sequence of ids as int32 [length]. ConfigError for anything else, and for an id outside of the vocabulary."""
    array = _without_torch(ids)
    if isinstance(array, (list, tuple)):
        for one in array:
            if not _is_id(one):
                raise ConfigError(
                    f"{what}: a {type(ids).__name__} with {shown(one)} in it; a text or a one-dimensional sequence of ids is needed"
                )
        array = np.array(array, np.int64 if all(-(2**63) <= one < 2**63 for one in array) else object)
    if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind not in "iuO":
        raise ConfigError(f"{what}: {_kind_of(ids)}; a text or a one-dimensional sequence of ids is needed, and {_IDS_ARE}")
    outside = array[(array < 0) | (array >= vocabulary)]
    if outside.size:
        raise ConfigError(f"{what}: the id {outside[0]} is outside of the vocabulary, which has {vocabulary}")
    return array.astype(np.int32)


def _are_ids(value):
    """Whether it is one sequence of ids, by its kind and its first element."""
    if isinstance(value, np.ndarray):
        return value.ndim == 1 and value.dtype.kind in "iu"
    return isinstance(value, (list, tuple)) and len(value) > 0 and _is_id(value[0])


def _are_checked(items, vocabulary):
    """Whether all items are arrays of ids of one type, none outside of the vocabulary: looked at together, for one by one takes longer than
    to score a short label."""
    if len(items) < 2 or not all(type(item) is np.ndarray and item.ndim == 1 for item in items):
        return False
    if items[0].dtype.kind not in "iu" or any(item.dtype != items[0].dtype for item in items):
        return False
    flat = np.concatenate(items)
    return flat.size == 0 or bool(flat.min() >= 0 and flat.max() < vocabulary)


def _is_id(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _without_torch(value):
    """A torch tensor as the NumPy array of the same numbers; torch is not imported, for whoever has a tensor has done so."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, getattr(torch, "Tensor", ())):
        return value
    value = value.detach().cpu()
    return (value.float() if value.dtype == torch.bfloat16 else value).numpy()


def _of_array(what, array):
    """The rows of an array, or the texts of one; a 0-dimensional one and floats have neither."""
    if array.size == 0 and array.ndim == 1:
        return []
    if array.ndim == 0 or array.dtype.kind not in "iuOUT":
        raise ConfigError(f"{what}: {_kind_of(array)}; texts are needed, or ids, and {_IDS_ARE}")
    return array.tolist() if array.ndim == 1 else list(array)


def _is_column(value):
    return (
        hasattr(value, "__arrow_c_array__")
        or hasattr(value, "__arrow_c_stream__")
        or type(value).__module__.partition(".")[0] in ("pandas", "polars", "pyarrow")
    )


def _of_column(what, column):
    """The texts of a column, or the lists of them where it is one of lists."""
    turn = next((getattr(column, name) for name in _LISTS if hasattr(column, name)), None)
    with _naming_column(what, column):
        if type(column).__module__.partition(".")[0] == "pyarrow" and hasattr(column, "validate"):
            column.validate(full=True)
        values = turn() if turn is not None else None
    if turn is None:
        values = _of_capsule(what, column)
    if not isinstance(values, list):  # of a scalar, or of a column that is none
        raise ConfigError(f"{what}: {_kind_of(column)}; a text is a str, and several are a list or a column of them")
    for i, value in enumerate(values):
        if not isinstance(value, (str, list, np.ndarray)):
            raise ConfigError(
                f"{what} {i}: {shown(value)} in {_kind_of(column)}; a column must hold texts, none of them missing, and {_IDS_ARE}"
            )
    return values


def _of_capsule(what, column):
    """The values of a column of which nothing is known but that it speaks Arrow."""
    try:
        import pyarrow
    except ImportError:
        raise ConfigError(f"{what}: {_kind_of(column)}, which pyarrow would read, and it is not installed; give a list of texts") from None
    with _naming_column(what, column):
        read = (pyarrow.array if hasattr(column, "__arrow_c_array__") else pyarrow.chunked_array)(column)
        read.validate(full=True)  # whoever made it may be wrong about it
        return read.to_pylist()


@contextlib.contextmanager
def _naming_column(what, column):
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:  # of whatever kind: texts that are no UTF-8, dates that Python has not, offsets that lie
        text = str(error).split("\n")[0][:300]
        raise ConfigError(f"{what}: {_kind_of(column)}: {text}; give a column of texts, or a list") from None


def _refuse(what, value):
    """ConfigError for the kinds that have items but say not what is meant by them."""
    if isinstance(value, Mapping):
        keys = ", ".join(map(shown, list(value)[:3]))
        remedy = "inputs['input_ids'], say" if "input_ids" in value else "list(inputs.values()), say"
        raise ConfigError(f"{what}: {_kind_of(value)} with the keys {keys}; give what is meant by itself: {remedy}")
    if isinstance(value, (set, frozenset)):
        raise ConfigError(f"{what}: {_kind_of(value)}, which has no order; give a list")
    if isinstance(value, _BYTES):
        raise ConfigError(f"{what}: {_kind_of(value)}; a text is a str (decode it: .decode()), and {_IDS_ARE}")
    if hasattr(value, "column_names") or hasattr(value, "columns"):
        raise ConfigError(f"{what}: {_kind_of(value)}, a table; give one of its columns, as table['text']")


def _kind_of(value):
    """What a value is, in words that name its type."""
    name = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
    dtype = getattr(value, "dtype", getattr(value, "type", None))
    shape = getattr(value, "shape", None)
    of = f" of {dtype}" if dtype is not None and not callable(dtype) else ""
    return f"{name}{of}" + (f" of shape {list(shape)}" if isinstance(shape, tuple) and len(shape) != 1 else "")


KEEP_END = "keep the end token"  # a way to cut, of callers that stand for another program


class Sequences:
    """Items (texts, or ids) as token ids; identical items share one entry.

    items[i] is entry number[i]; entries are int32 arrays. add_eos appends the end token to texts (never to ids), and puts
    the tokenizer's start_id before them where it has one.
    Longer than `most`: DataError, or with `truncate` cut there, after the end token was appended, as T0 does; inputs with
    truncate="start" at their beginning; with KEEP_END before the end token, as transformers' tokenizers do.
    sentinels: <extra_id_k> in a text is that sentinel.
    """

    def __init__(self, model, what, items, add_eos, most, truncate, sentinels=False):
        check(whole(1), "max_input_length" if what == "input" else "max_target_length", most)
        self.entries, self.number, self._ended = [], np.empty(len(items), np.int64), set()
        seen, texts, good = {}, [], _are_checked(items, model.config.vocab_size)
        for i, item in enumerate(items):
            if isinstance(item, str):
                key = item
            else:
                key = (item.astype(np.int32) if good else check_ids(f"{what} {i}", item, model.config.vocab_size)).tobytes()
            place = seen.get((type(key), key))
            if place is None:
                place = seen[type(key), key] = len(self.entries)
                self.entries.append(None if isinstance(item, str) else np.frombuffer(key, np.int32))
                if isinstance(item, str):
                    texts.append((place, i, item))
            self.number[i] = place
        self._tokenize(model, what, texts, add_eos, check(FLAG, "sentinels", sentinels))
        self._check(what, most, truncate)
        self.keys = None  # of each entry, where `split` was asked for
        self.lengths = np.array([len(entry) for entry in self.entries], np.int64)[self.number] if len(items) else np.empty(0, np.int64)

    def __len__(self):
        return len(self.number)

    def _tokenize(self, model, what, texts, add_eos, sentinels):
        if not texts:
            return
        if model.tokenizer is None:
            raise ConfigError(f"{what} {texts[0][1]}: a text, but the model has no tokenizer: give ids, or load it with tokenizer=FILE")
        threads = model.threads
        try:
            ragged = model.tokenizer.encode_batch([text for _, _, text in texts], threads=threads, sentinels=sentinels)
        except ValueError as error:
            raise _first_failure(model.tokenizer, what, texts, error) from None
        ids, offsets = ragged.ids, ragged.offsets
        if add_eos:
            ids, offsets = np.insert(ids, offsets[1:], model.config.eos_token_id), offsets + np.arange(len(offsets))
            if (start := model.tokenizer.start_id) is not None:
                ids, offsets = np.insert(ids, offsets[:-1], start), offsets + np.arange(len(offsets))
        ends = offsets.tolist()
        for k, (place, _, _) in enumerate(texts):
            self.entries[place] = ids[ends[k] : ends[k + 1]]
        self._ended = {place for place, _, _ in texts} if add_eos else set()

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
            if truncate == KEEP_END and place in self._ended:
                self.entries[place] = np.concatenate([entry[: most - 1], entry[-1:]])

    def _first(self, place):
        return int(np.flatnonzero(self.number == place)[0])

    def split(self, keys):
        """Items with different keys share no entry from now on; entries of one key stand side by side, and self.keys has the key of each.
        keys: one an item, told apart by identity; None: nothing changes."""
        if keys is None:
            return self
        orders = {key: order for order, key in enumerate({id(key): None for key in keys})}
        pairs = np.stack([[orders[id(key)] for key in keys], self.number], axis=1).reshape(-1, 2)
        distinct, number = np.unique(pairs, axis=0, return_inverse=True)
        of_order = [key for _, key in sorted({orders[id(key)]: key for key in keys}.items())]
        self.entries = [self.entries[entry] for _, entry in distinct.tolist()]
        self.keys = [of_order[order] for order, _ in distinct.tolist()]
        self.number = number.reshape(-1)
        return self

    def keys_of(self, numbers):
        """The keys of these entries, or None where there are none."""
        return None if self.keys is None else [self.keys[number] for number in numbers]

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
