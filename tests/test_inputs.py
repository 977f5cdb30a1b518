"""What counts as a text, as ids, and as several of them: in rank, score, generate, encode and logits alike."""

import array
import collections
import sys

import numpy as np
import pytest
from table_models import ASKED, small_t5

import t0native as t0
from t0native.text.sequences import as_list, inputs_of

TEXTS = ASKED[:4]
CHOICES = ["Anna", "Ben, the dog", "tea"]


@pytest.fixture(scope="module")
def model():
    return small_t5()


class Capsules:
    """A column of which nothing is known but that it speaks Arrow."""

    def __init__(self, column):
        self._column = column

    def __arrow_c_array__(self, requested_schema=None):
        return self._column.__arrow_c_array__(requested_schema)


class Streams:
    def __init__(self, column):
        self._column = column

    def __arrow_c_stream__(self, requested_schema=None):
        return self._column.__arrow_c_stream__(requested_schema)


def columns():
    """{name: function of texts that makes a column of them}."""
    found = {
        "numpy object": lambda texts: np.array(texts, object),
        "numpy str": lambda texts: np.array(texts),
        "numpy StringDType": lambda texts: np.array(texts, np.dtypes.StringDType()),
        "tuple": tuple,
        "generator": iter,
        "deque": collections.deque,
        "values of a mapping": lambda texts: dict(enumerate(texts)).values(),
    }

    def of(module, **makers):
        for name, make in makers.items():
            found[f"{module} {name}"] = lambda texts, make=make: make(pytest.importorskip(module), texts)

    of(
        "pyarrow",
        array=lambda pa, texts: pa.array(texts),
        large=lambda pa, texts: pa.array(texts, pa.large_string()),
        view=lambda pa, texts: pa.array(texts, pa.string_view()),
        dictionary=lambda pa, texts: pa.array(texts).dictionary_encode(),
        chunked=lambda pa, texts: pa.chunked_array([texts[:1], texts[1:]]),
        slice=lambda pa, texts: pa.array(["x", *texts, "y"])[1:-1],
        column=lambda pa, texts: pa.table({"a": texts})["a"],
        capsule=lambda pa, texts: Capsules(pa.array(texts)),
        stream=lambda pa, texts: Streams(pa.chunked_array([texts])),
    )
    of(
        "pandas",
        series=lambda pd, texts: pd.Series(texts),
        object=lambda pd, texts: pd.Series(texts, dtype=object, index=range(7, 7 + len(texts))),
        category=lambda pd, texts: pd.Series(texts, dtype="category"),
        index=lambda pd, texts: pd.Index(texts),
    )
    of("polars", series=lambda pl, texts: pl.Series(texts), column=lambda pl, texts: pl.DataFrame({"a": texts})["a"])
    of("datasets", column=lambda ds, texts: ds.Dataset.from_dict({"a": list(texts)})["a"])
    return found


COLUMNS = columns()


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_of_texts_is_texts_in_every_method(name, model):
    make = COLUMNS[name]
    assert model.score(make(TEXTS), make(CHOICES + ["no"])).tolist() == model.score(TEXTS, CHOICES + ["no"]).tolist()
    assert model.generate(make(TEXTS), max_new_tokens=3) == model.generate(TEXTS, max_new_tokens=3)
    assert [states.tobytes() for states in model.encode(make(TEXTS))] == [states.tobytes() for states in model.encode(TEXTS)]
    for found, want in zip(model.rank(make(TEXTS), [make(CHOICES) for _ in TEXTS]), model.rank(TEXTS, [CHOICES] * len(TEXTS))):
        assert found.scores.tolist() == want.scores.tolist() and found.choice == want.choice
    assert model.rank("Who drinks tea?", make(CHOICES)).scores.tolist() == model.rank("Who drinks tea?", CHOICES).scores.tolist()
    assert model.generate(TEXTS, decoder_input=make(TEXTS), max_new_tokens=2) == model.generate(
        TEXTS, decoder_input=TEXTS, max_new_tokens=2
    )


def test_a_column_of_lists_is_a_list_of_choices_for_each_input(model):
    pa = pytest.importorskip("pyarrow")
    want = [ranking.scores.tolist() for ranking in model.rank(TEXTS[:2], [CHOICES, CHOICES[:1]])]
    for choices in (pa.array([CHOICES, CHOICES[:1]]), pa.chunked_array([[CHOICES], [CHOICES[:1]]])):
        assert [ranking.scores.tolist() for ranking in model.rank(TEXTS[:2], choices)] == want
    square = np.array([CHOICES, CHOICES[::-1]])
    assert [r.scores.tolist() for r in model.rank(TEXTS[:2], square)] == [r.scores.tolist() for r in model.rank(TEXTS[:2], square.tolist())]


IDS = {
    "list": [5, 6, 7],
    "tuple": (5, 6, 7),
    "numbers of NumPy": [np.int64(5), np.int8(6), 7],
    "int64": np.array([5, 6, 7]),
    "uint8": np.array([5, 6, 7], np.uint8),
    "uint64": np.array([5, 6, 7], np.uint64),
    "every second": np.array([5, 0, 6, 0, 7, 0], np.int16)[::2],
}


@pytest.mark.parametrize("name", IDS)
def test_what_counts_as_ids(name, model):
    ids = IDS[name]
    assert model.encode(ids).tobytes() == model.encode([5, 6, 7]).tobytes() == model.encode([ids])[0].tobytes()
    assert model.score(ids, ids) == model.score([5, 6, 7], [5, 6, 7])
    assert model.logits(ids, ids).tobytes() == model.logits([5, 6, 7], [5, 6, 7]).tobytes()


def test_rows_of_ids_and_tensors(model):
    want = [states.tobytes() for states in model.encode([[5, 6, 7], [8, 9, 10]])]
    rows = np.array([[5, 6, 7], [8, 9, 10]])
    assert [states.tobytes() for states in model.encode(rows)] == want
    assert model.logits(rows[:1], rows[1:]).tobytes() == model.logits([5, 6, 7], [8, 9, 10]).tobytes()
    with pytest.raises(t0.ConfigError, match="^input_ids: 2 sequences of ids; one is needed$"):
        model.logits(rows, [5])
    torch = pytest.importorskip("torch")
    tensor = torch.tensor(rows)
    for given in (tensor, tensor.int(), list(tensor), tensor.to(torch.uint8)):
        assert [states.tobytes() for states in model.encode(given)] == want
    assert model.score(tensor[0], tensor[1]) == model.score([5, 6, 7], [8, 9, 10])
    assert model.logits(tensor[:1], tensor[1:]).tobytes() == model.logits([5, 6, 7], [8, 9, 10]).tobytes()
    with pytest.raises(t0.ConfigError, match="^input 0: torch.Tensor of torch.float32; a text or a one-dimensional sequence of ids"):
        model.encode([tensor[0].float()])
    with pytest.raises(t0.ConfigError, match="^inputs: numpy.ndarray of float32"):
        model.encode(tensor.bfloat16())


def refused():
    """{name: (function that makes it, what the error says)}."""
    found = {
        "mapping": (lambda: {"input_ids": [5, 6]}, r"inputs: dict with the keys 'input_ids'; give .*: inputs\['input_ids'\]"),
        "mapping of texts": (lambda: {"a": "tea"}, r"inputs: dict with the keys 'a'; give .* list\(inputs.values\(\)\)"),
        "user's mapping": (lambda: collections.UserDict(x=1), "inputs: collections.UserDict with the keys 'x'"),
        "set": (lambda: {"tea"}, "inputs: set, which has no order; give a list"),
        "frozenset": (lambda: frozenset(["tea"]), "inputs: frozenset, which has no order"),
        "bytes": (lambda: b"tea", r"inputs: bytes; a text is a str \(decode it"),
        "bytearray": (lambda: bytearray(b"tea"), "inputs: bytearray; a text is a str"),
        "memoryview": (lambda: memoryview(b"tea"), "inputs: memoryview; a text is a str"),
        "bytes in a list": (lambda: [b"tea"], "input 0: bytes; a text or a one-dimensional sequence of ids is needed"),
        "bytearray in a list": (lambda: [bytearray(b"tea")], "input 0: bytearray; a text or"),
        "array": (lambda: array.array("i", [5]), "input 0: int; a text or"),
        "range": (lambda: range(4, 5), "input 0: int; a text or"),
        "None": (lambda: [None], "input 0: NoneType; a text or"),
        "number": (lambda: 5, "inputs 5: must be a text"),
        "floats": (lambda: np.zeros(3), "inputs: numpy.ndarray of float64; texts are needed, or ids"),
        "rows of floats": (lambda: np.zeros((2, 3)), r"inputs: numpy.ndarray of float64 of shape \[2, 3\]"),
        "flags": (lambda: np.array([True, False]), "inputs: numpy.ndarray of bool"),
        "a list of flags": (lambda: [[True, False]], "input 0: a list with True in it"),
        "a float among ids": (lambda: [[5, 6.0]], "input 0: a list with 6.0 in it"),
        "a text among ids": (lambda: [5, "6"], "input 0: a list with '6' in it"),
        "None among ids": (lambda: [5, None], "input 0: a list with None in it"),
        "bytes of NumPy": (lambda: np.array([b"tea"]), r"inputs: numpy.ndarray of \|S3"),
        "no dimension": (lambda: np.array("tea"), r"inputs: numpy.ndarray of <U3 of shape \[\]"),
        "three dimensions": (lambda: np.zeros((1, 1, 2), int), r"input 0: numpy.ndarray of int64 of shape \[1, 2\]"),
        "huge id": (lambda: [[2**70]], "input 0: the id 1180591620717411303424 is outside of the vocabulary"),
        "negative id": (lambda: (5, -1), "input 0: the id -1 is outside"),
    }

    def of(module, **more):
        for name, (make, message) in more.items():
            found[f"{module} {name}"] = (lambda make=make: make(pytest.importorskip(module)), message)

    of(
        "pyarrow",
        ids=(lambda pa: pa.array([5, 6]), "inputs 0: 5 in pyarrow.lib.Int64Array of int64; a column must hold texts"),
        gap=(lambda pa: pa.array(["tea", None]), "inputs 1: None in pyarrow.lib.StringArray of string; .* none of them missing"),
        binary=(lambda pa: pa.array([b"tea"]), "inputs 0: b'tea' in pyarrow.lib.BinaryArray of binary"),
        table=(lambda pa: pa.table({"text": ["tea"]}), r"inputs: pyarrow.lib.Table.*, a table; give one of its columns"),
        scalar=(lambda pa: pa.scalar("tea"), "inputs: pyarrow.lib.StringScalar of string"),
        scalars=(lambda pa: list(pa.array(["tea"])), "input 0: pyarrow.lib.StringScalar of string"),
        capsule=(lambda pa: Capsules(pa.array([1.5])), "inputs 0: 1.5 in .*Capsules; a column must hold texts"),
        reader=(lambda pa: Streams(pa.table({"text": ["tea"]})), "inputs 0: {'text': 'tea'} in .*Streams"),
    )
    of(
        "pandas",
        ids=(lambda pd: pd.Series([5, 6]), "inputs 0: 5 in pandas.*Series of int64; a column must hold texts"),
        gap=(lambda pd: pd.Series(["tea", None], dtype=object), "inputs 1: None in pandas"),
        frame=(lambda pd: pd.DataFrame({"text": ["tea"]}), r"inputs: pandas.*DataFrame.*, a table; give one of its columns"),
    )
    of(
        "polars",
        ids=(lambda pl: pl.Series([5, 6]), "inputs 0: 5 in polars.*Series of Int64"),
        gap=(lambda pl: pl.Series([None, "tea"]), "inputs 0: None in polars"),
        frame=(lambda pl: pl.DataFrame({"text": ["tea"]}), "inputs: polars.*DataFrame.*, a table"),
    )
    of("datasets", rows=(lambda ds: ds.Dataset.from_dict({"a": ["tea"]}), "inputs: datasets.*Dataset.*, a table"))
    return found


REFUSED = refused()


@pytest.mark.parametrize("name", REFUSED)
def test_the_rest_is_refused_by_its_kind(name, model):
    make, message = REFUSED[name]
    for call in (lambda given: model.rank(given, [["Yes"]]), lambda given: model.score(given, ["Yes"]), model.generate, model.encode):
        with pytest.raises(t0.ConfigError, match=f"^{message}"):
            call(make())


def test_choices_and_targets_are_refused_by_their_kind_too(model):
    for given in ({"a": 1}, {"tea"}, b"tea", bytearray(b"tea")):
        with pytest.raises(t0.ConfigError, match=f"^choices of input 0: {type(given).__name__}"):
            model.rank("tea", given)
        with pytest.raises(t0.ConfigError, match=f"^choices: {type(given).__name__}"):
            model.rank(["tea"], given)
        with pytest.raises(t0.ConfigError, match=f"^targets: {type(given).__name__}"):
            model.score(["tea"], given)
    with pytest.raises(t0.ConfigError, match="^target 0: bytearray; a text or"):
        model.score("tea", bytearray(b"tea"))
    with pytest.raises(t0.ConfigError, match="^decoder_input: dict with the keys"):
        model.generate("tea", decoder_input={"a": [5]})
    with pytest.raises(t0.ConfigError, match="^decoder_input_ids: str; a text or a one-dim"):
        model.logits([5], "tea")


def test_a_column_needs_no_pyarrow_where_it_gives_its_values(monkeypatch):
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    column, bare = pl.Series(["tea"]), Capsules(pa.array(["tea"]))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert inputs_of(column) == (False, ["tea"])
    with pytest.raises(t0.ConfigError, match="Capsules, which pyarrow would read, and it is not installed; give a list of texts$"):
        as_list("inputs", bare)


def test_one_list_of_choices_serves_all_inputs(model):
    ids = [[*model.tokenizer.encode(choice), model.config.eos_token_id] for choice in CHOICES]
    want = [model.rank(text, CHOICES).scores.tolist() for text in TEXTS[:2]]
    for shared in (CHOICES, tuple(CHOICES), np.array(CHOICES, object), ids, [np.array(one) for one in ids]):
        assert [ranking.scores.tolist() for ranking in model.rank(TEXTS[:2], shared)] == want
    assert [ranking.choice for ranking in model.rank(TEXTS[:2], [["one"], ["another"]])] == ["one", "another"]  # lists: one an input
    assert [ranking.choice for ranking in model.rank(TEXTS[:2], (iter(["one"]), iter(["another"])))] == ["one", "another"]
    assert model.rank([], CHOICES) == model.rank([], []) == []
    for given, told in (
        ([CHOICES[0], CHOICES], "the first is .* number 1 is .*: must be choices for all inputs, or lists of choices, one for each input"),
        ([CHOICES], "1 lists of choices; one for each of the 2 inputs is needed, or one list for all"),
        ([], r"\[\]: must be a list of choices for all inputs, or a list of such lists"),
        ("yes", "'yes': must be a list of choices for all inputs"),
    ):
        with pytest.raises(t0.ConfigError, match=f"^choices:? ?{told}"):
            model.rank(TEXTS[:2], given)
