"""Keywords and names of other libraries are answered with what there is here, in the words of golden/foreign_names.txt."""

import inspect
from pathlib import Path

import pytest

import t0native as t0
from t0native.base.foreign import ATTRIBUTES, KEYWORDS, Hinting, hint_keywords

GOLDEN = Path(__file__).parent / "golden/foreign_names.txt"
FUNCTIONS = {
    "train": t0.train,
    "evaluate": t0.evaluate,
    "predict": t0.predict,
    "read_csv": t0.read_csv,
    "read_rows": t0.read_rows,
    "open_rows": t0.open_rows,
    "generate": t0.Model.generate,
}


def cases():
    """(what is typed, the answer) of each pair of lines."""
    lines = [line for line in GOLDEN.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return list(zip(lines[::2], lines[1::2], strict=True))


@pytest.fixture(scope="module")
def names():
    model, task = t0.mini.new_model(0), t0.mini.held_out_tasks()[0]
    run = t0.Run(steps=2, losses=[3.5, 3.25], stopped=None, seconds=0.5, tokens=1200)
    return {"t0": t0, "model": model, "tokenizer": model.tokenizer, "task": task, "run": run, "report": t0.Report([], [], {}), "ids": [5]}


@pytest.mark.parametrize(("typed", "answer"), cases(), ids=[typed for typed, _ in cases()])
def test_what_other_libraries_call_it(names, typed, answer):
    with pytest.raises((TypeError, AttributeError)) as error:
        eval(typed, dict(names))
    assert f"{type(error.value).__name__}: {error.value}" == answer


def test_there_are_enough_of_them():
    keywords = [typed for typed, answer in cases() if answer.startswith("TypeError")]
    assert len(keywords) >= 25 and len(cases()) - len(keywords) >= 15


def function_of(name):
    kind, _, member = name.rpartition(".")
    return getattr(getattr(t0, kind), member) if kind else FUNCTIONS[name]


@pytest.mark.parametrize("name", KEYWORDS)
def test_hints_are_of_functions_that_give_them_and_of_keywords_that_are_not_there(name):
    """What `generate` takes by its options is told there, by its own check."""
    function = function_of(name)
    if name != "generate":
        assert function.__wrapped__ or inspect.ismethod(function)
    assert not set(KEYWORDS[name]) & set(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_hints_are_of_attributes_that_are_not_there(name):
    owner = t0 if name == "t0native" else getattr(t0, name)
    assert owner is t0 or issubclass(owner, Hinting)
    assert [attribute for attribute in ATTRIBUTES[name] if hasattr(owner, attribute)] == []


def test_subclasses_are_answered_too_and_may_be_abstract():
    from abc import ABC

    class Mine(t0.Tokenizer, ABC):
        pass

    with pytest.raises(AttributeError, match="^type object 'Mine' has no attribute 'from_pretrained': say Tokenizer.from_folder"):
        Mine.from_pretrained("t5-base")
    with pytest.raises(AttributeError, match="^'Mine' object has no attribute 'zzz'$") as error:
        Mine(t0.mini.tokenizer().model_bytes, 0).zzz
    assert (error.value.name, type(error.value.obj)) == ("zzz", Mine)  # by which Python tells the nearest name


def test_functions_keep_their_signature_and_name():
    @hint_keywords
    def function(a, /, b: int = 2, *, c: str = "x") -> str:
        """What it does."""
        return f"{a}{b}{c}"

    assert function(1, b=3, c="y") == "13y" and (function.__name__, function.__doc__) == ("function", "What it does.")
    assert str(inspect.signature(function)) == "(a, /, b: int = 2, *, c: str = 'x') -> str"
