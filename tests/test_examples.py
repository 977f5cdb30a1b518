"""Every example of the docstrings runs as it stands."""

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native import promptsource

ROOT = Path(__file__).parent.parent
IMPORTS = {"t0": t0, "np": np, "Path": Path}  # what t0native's docstring says that examples begin after


def modules_with_examples():
    folder = Path(t0.__file__).parent
    for found in pkgutil.walk_packages([str(folder)], "t0native."):
        file = folder.parent / Path(*found.name.split("."))
        source = file / "__init__.py" if found.ispkg else file.with_suffix(".py")
        if source.is_file() and ">>>" in source.read_text(encoding="utf-8"):
            yield found.name


def run(examples):
    """Runs doctest's examples and fails with what doctest prints."""
    told = []
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    for example in examples:
        runner.run(example, out=told.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(told)
    return runner.tries


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_of_a_module(name):
    module = importlib.import_module(name)
    assert run(doctest.DocTestFinder().find(module, extraglobs=IMPORTS)) > 0


@pytest.mark.parametrize(("public", "least"), [(t0.Tokenizer, 10), (t0.Prompt, 2)])
def test_examples_of_the_extension(public, least):
    """Methods of the extension's types, which doctest passes by when it looks through modules."""
    names = {**IMPORTS, public.__name__: public}
    assert run(doctest.DocTestFinder().find(public.__base__, public.__name__, module=False, globs=names)) >= least


def public_things():
    """(name, object) of every public function, class and method."""
    for name in t0.__all__:
        thing = getattr(t0, name)
        if inspect.ismodule(thing):
            yield from ((f"{name}.{inner}", getattr(thing, inner)) for inner in thing.__all__)
        elif inspect.isclass(thing) and issubclass(thing, Exception):
            continue
        else:
            yield name, thing
        if inspect.isclass(thing):
            for base in thing.__mro__[:-1]:
                if base.__module__.startswith("t0native"):
                    yield from ((f"{name}.{inner}", value) for inner, value in vars(base).items() if not inner.startswith("_"))


def test_every_public_thing_says_what_it_is():
    things = [*public_things(), *((f"promptsource.{name}", getattr(promptsource, name)) for name in promptsource.__all__)]
    described = (property, classmethod, staticmethod)
    lacking = [name for name, thing in things if (callable(thing) or isinstance(thing, described)) and not inspect.getdoc(thing)]
    assert len(things) > 100 and lacking == []


WITHOUT = {  # attributes, told in the docstring of their class; what needs matplotlib or pandas
    "Report.plot", "Report.to_pandas", "Reranker.transform", "Ragged.ids", "Ragged.offsets", "Ragged.lengths", "Model.threads", "Model.parameters", "Config.parameters", "Component.name", "Tokenizer.fingerprint", "Config.core",
}  # fmt: skip


def test_every_public_function_and_method_shows_an_example():
    lacking = []
    for name, thing in public_things():
        thing = thing.fget if isinstance(thing, property) else thing
        if (inspect.isclass(thing) or callable(thing) or isinstance(thing, (classmethod, staticmethod))) and name not in WITHOUT:
            text = inspect.getdoc(getattr(thing, "__func__", thing)) or ""
            if ">>>" not in text:
                lacking.append(name)
    assert not lacking
