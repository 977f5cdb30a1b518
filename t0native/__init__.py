"""T0 on ordinary CPUs, whole: prompt templates, T5 training and zero-shot evaluation over many wordings.

    import t0native as t0
    p3 = t0.PromptCollection.load("templates")
    task = t0.Task("rte", t0.read_jsonl("rte.jsonl"), p3["super_glue", "rte"])
    model = t0.Model.from_pretrained("folder")
    print(t0.evaluate(model, [task]))

The names below are the public face; each is loaded when it is first used. Examples in docstrings begin after
`import t0native as t0`, `import numpy as np` and `from pathlib import Path`."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

__version__ = "0.1.1"

try:
    from t0native import _core
except ImportError:
    if any(Path(__file__).parent.glob("_core.*.so")) or any(Path(__file__).parent.glob("_core*.pyd")):
        raise
    from importlib.metadata import distributions

    _places = [Path(found.locate_file("t0native")) for found in distributions(name="t0native")]
    if any(place.is_dir() and place.resolve() != Path(__file__).resolve().parent for place in _places):
        raise ImportError(
            f"t0native is installed, but the sources in {Path(__file__).parent.parent} hide it: start Python in another folder, or "
            "`pip install -e .` there, which builds the sources in place"
        ) from None
    raise ImportError(
        f"t0native is not built: {Path(__file__).parent} has no compiled module _core. Install it with `pip install .` "
        "(or, to work on the sources, `python setup.py build_clib build_ext --inplace`) in the folder that holds setup.py"
    ) from None

# evaluate and train are loaded at once: a later import of the modules of these names would hide the functions.
try:
    from t0native.errors import ConfigError, DataError, Error, FormatError, NumericError, TemplateError
    from t0native.evaluate import evaluate
    from t0native.train import train
except (AttributeError, ImportError) as error:
    if "t0native._core" not in str(error):
        raise
    raise ImportError(
        f"{_core.__file__} was built from other sources than {Path(__file__).parent} has ({error}): build it again, by `pip install .` or "
        "`pip install -e .`, in the folder that holds setup.py"
    ) from None

if TYPE_CHECKING:  # what __getattr__ gives, for editors and type checkers
    from t0native import figures, kernels, mini
    from t0native.config import Config
    from t0native.converters import convert_data
    from t0native.diskrows import open_rows
    from t0native.fewshot import few_shot
    from t0native.generation import Generation
    from t0native.mixture import Component, Mixture
    from t0native.model import Model, Ranking
    from t0native.objectives import LM, PrefixLM, SpanCorruption
    from t0native.prompts import Prompt, PromptCollection, PromptedExample, PromptSet
    from t0native.publications import published
    from t0native.report import Report
    from t0native.rows import read_csv, read_jsonl, read_rows
    from t0native.suites import Suite, suite
    from t0native.tasks import Task
    from t0native.threads import get_num_threads, set_num_threads
    from t0native.tokenizer import Ragged, Tokenizer
    from t0native.train import Run
    from t0native.winobias import bias_gaps

_HOME = {
    "Tokenizer": "tokenizer",
    "Ragged": "tokenizer",
    "Prompt": "prompts",
    "PromptSet": "prompts",
    "PromptCollection": "prompts",
    "PromptedExample": "prompts",
    "Config": "config",
    "Model": "model",
    "Ranking": "model",
    "Generation": "generation",
    "get_num_threads": "threads",
    "set_num_threads": "threads",
    "Task": "tasks",
    "Mixture": "mixture",
    "Component": "mixture",
    "Suite": "suites",
    "suite": "suites",
    "few_shot": "fewshot",
    "bias_gaps": "winobias",
    "Run": "train",
    "loss_curve": "curves",
    "Report": "report",
    "published": "publications",
    "SpanCorruption": "objectives",
    "PrefixLM": "objectives",
    "LM": "objectives",
    "open_rows": "diskrows",
    "convert_data": "converters",
    "read_jsonl": "rows",
    "read_csv": "rows",
    "read_rows": "rows",
}
_MODULES = ("figures", "files", "kernels", "metrics", "mini", "plot", "rows")

__all__ = sorted(
    ["ConfigError", "DataError", "Error", "FormatError", "NumericError", "TemplateError", "evaluate", "train"]
    + [*_HOME, "figures", "kernels", "mini"]
)


def __getattr__(name):
    if name in _HOME:
        value = getattr(importlib.import_module(f"t0native.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = importlib.import_module(f"t0native.{name}")
    else:
        from t0native.errors import suggest

        raise AttributeError(f"module 't0native' has no attribute {name!r}; {suggest(name, __all__)}")
    globals()[name] = value
    return value


def __dir__():
    return sorted(set(globals()) | set(__all__))
