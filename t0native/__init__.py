"""T0 on ordinary CPUs, whole: prompt templates, T5 training and zero-shot evaluation over many wordings.

    import t0native as t0
    p3 = t0.PromptCollection.load("templates")
    task = t0.Task("rte", t0.read_jsonl("rte.jsonl"), p3["super_glue", "rte"])
    model = t0.Model.from_pretrained("folder")
    print(t0.evaluate(model, [task]))

The names below are the public face; each is loaded when it is first used. Examples in docstrings begin after
`import t0native as t0`, `import numpy as np` and `from pathlib import Path`."""

import importlib
import os
import sys
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING

_FOLDER = os.path.dirname(__file__)

try:
    from t0native import _core
except ImportError as _error:
    if "subinterpreters" in str(_error):
        raise ImportError(
            "t0native works in the main interpreter alone, and so does NumPy: in place of subinterpreters use threads or processes "
            "(InterpreterPoolExecutor: ThreadPoolExecutor or ProcessPoolExecutor; mod_wsgi: WSGIApplicationGroup %{GLOBAL})"
        ) from None
    if any(name.startswith("_core.") and name.endswith((".so", ".pyd")) for name in os.listdir(_FOLDER)):
        raise
    from importlib.metadata import distributions

    _places = [str(distribution.locate_file("t0native")) for distribution in distributions(name="t0native")]
    if any(os.path.isdir(place) and os.path.realpath(place) != os.path.realpath(_FOLDER) for place in _places):
        raise ImportError(
            f"t0native is installed, but the sources in {os.path.dirname(_FOLDER)} hide it: start Python in another folder, or "
            "`pip install -e .` there, which builds the sources in place"
        ) from None
    raise ImportError(
        f"t0native is not built: {_FOLDER} has no compiled module _core. Install it with `pip install .` "
        "(or, to work on the sources, `python setup.py build_clib build_ext --inplace`) in the folder that holds setup.py"
    ) from None

if TYPE_CHECKING:  # what __getattr__ gives, for editors and type checkers; a name as itself is one that the package gives away
    from t0native import mini as mini
    from t0native.adapters.methods import IA3 as IA3
    from t0native.adapters.methods import LoRA as LoRA
    from t0native.adapters.methods import PromptTuning as PromptTuning
    from t0native.base import files as files
    from t0native.base import kernels as kernels
    from t0native.base.errors import ConfigError as ConfigError
    from t0native.base.errors import DataError as DataError
    from t0native.base.errors import Error as Error
    from t0native.base.errors import FormatError as FormatError
    from t0native.base.errors import NumericError as NumericError
    from t0native.base.errors import TemplateError as TemplateError
    from t0native.base.threads import get_num_threads as get_num_threads
    from t0native.base.threads import set_num_threads as set_num_threads
    from t0native.base.version import __version__ as __version__
    from t0native.checkpoints.config import Config as Config
    from t0native.classification.classifier import Classifier as Classifier
    from t0native.data import rows as rows
    from t0native.data.convert_data import convert_data as convert_data
    from t0native.data.diskrows import open_rows as open_rows
    from t0native.data.lines import read_jsonl as read_jsonl
    from t0native.data.rows import read_csv as read_csv
    from t0native.data.rows import read_rows as read_rows
    from t0native.evaluation.estimate import estimate_wordings as estimate_wordings
    from t0native.evaluation.evaluate import evaluate as evaluate
    from t0native.frameworks import harness as lm_eval
    from t0native.generation.generation import Generation as Generation
    from t0native.models.model import Model as Model
    from t0native.models.model import Ranking as Ranking
    from t0native.models.reranking import Reranker as Reranker
    from t0native.models.reranking import Reranking as Reranking
    from t0native.prediction.choose import choose_wordings as choose_wordings
    from t0native.prediction.mapping import mapper as mapper
    from t0native.prediction.predict import predict as predict
    from t0native.prompts import check as promptcheck
    from t0native.prompts.collection import PromptCollection as PromptCollection
    from t0native.prompts.collection import PromptSet as PromptSet
    from t0native.prompts.prompt import Prompt as Prompt
    from t0native.prompts.prompt import PromptedExample as PromptedExample
    from t0native.prompts.vary import vary as vary
    from t0native.reports import figures as figures
    from t0native.reports import plot as plot
    from t0native.reports.published import published as published
    from t0native.reports.report import Report as Report
    from t0native.reports.winobias import bias_gaps as bias_gaps
    from t0native.suites.parts import Suite as Suite
    from t0native.suites.suite import suite as suite
    from t0native.tasks import metrics as metrics
    from t0native.tasks.fewshot import few_shot as few_shot
    from t0native.tasks.mixture import Component as Component
    from t0native.tasks.mixture import Mixture as Mixture
    from t0native.tasks.objectives import LM as LM
    from t0native.tasks.objectives import PrefixLM as PrefixLM
    from t0native.tasks.objectives import SpanCorruption as SpanCorruption
    from t0native.tasks.promptcache import PromptCache as PromptCache
    from t0native.tasks.promptcache import cache_prompts as cache_prompts
    from t0native.tasks.promptcache import open_prompted as open_prompted
    from t0native.tasks.task import Task as Task
    from t0native.text.tokenizer import Ragged as Ragged
    from t0native.text.tokenizer import Tokenizer as Tokenizer
    from t0native.training.curves import loss_curve as loss_curve
    from t0native.training.train import Run as Run
    from t0native.training.train import train as train

_HOME = {  # public name -> the module that holds it
    "Classifier": "classification.classifier",
    "IA3": "adapters.methods",
    "LoRA": "adapters.methods",
    "PromptTuning": "adapters.methods",
    "Component": "tasks.mixture",
    "Config": "checkpoints.config",
    "ConfigError": "base.errors",
    "DataError": "base.errors",
    "Error": "base.errors",
    "FormatError": "base.errors",
    "Generation": "generation.generation",
    "LM": "tasks.objectives",
    "Mixture": "tasks.mixture",
    "Model": "models.model",
    "NumericError": "base.errors",
    "PrefixLM": "tasks.objectives",
    "Prompt": "prompts.prompt",
    "PromptCache": "tasks.promptcache",
    "PromptCollection": "prompts.collection",
    "PromptSet": "prompts.collection",
    "PromptedExample": "prompts.prompt",
    "Ragged": "text.tokenizer",
    "Ranking": "models.model",
    "Report": "reports.report",
    "Reranker": "models.reranking",
    "Reranking": "models.reranking",
    "Run": "training.train",
    "SpanCorruption": "tasks.objectives",
    "Suite": "suites.parts",
    "Task": "tasks.task",
    "TemplateError": "base.errors",
    "Tokenizer": "text.tokenizer",
    "__version__": "base.version",
    "bias_gaps": "reports.winobias",
    "cache_prompts": "tasks.promptcache",
    "choose_wordings": "prediction.choose",
    "convert_data": "data.convert_data",
    "estimate_wordings": "evaluation.estimate",
    "evaluate": "evaluation.evaluate",
    "few_shot": "tasks.fewshot",
    "get_num_threads": "base.threads",
    "loss_curve": "training.curves",
    "mapper": "prediction.mapping",
    "open_prompted": "tasks.promptcache",
    "open_rows": "data.diskrows",
    "predict": "prediction.predict",
    "published": "reports.published",
    "read_csv": "data.rows",
    "read_jsonl": "data.lines",
    "read_rows": "data.rows",
    "set_num_threads": "base.threads",
    "suite": "suites.suite",
    "train": "training.train",
    "vary": "prompts.vary",
}
_MODULES = {  # public module -> where it stands: `t0native.figures` and `import t0native.figures` both give it
    "figures": "reports.figures",
    "files": "base.files",
    "kernels": "base.kernels",
    "lm_eval": "frameworks.harness",
    "metrics": "tasks.metrics",
    "mini": "mini",
    "plot": "reports.plot",
    "promptcheck": "prompts.check",
    "rows": "data.rows",
}

__all__ = sorted([*(name for name in _HOME if name != "__version__"), "figures", "kernels", "mini"])


if not TYPE_CHECKING:  # for whom any name would then be one

    def __getattr__(name):
        if name in _HOME:
            value = getattr(_load(_HOME[name]), name)
        elif name in _MODULES:
            value = _load(_MODULES[name])
        else:
            from t0native.base.errors import suggest  # here, as all of ours but the core, which a mere import need not load
            from t0native.base.foreign import ATTRIBUTES
            from t0native.base.showing import shown

            hint = ATTRIBUTES["t0native"].get(name)
            raise AttributeError(
                f"module 't0native' has no attribute {shown(name)}" + (f": {hint}" if hint else f"; {suggest(name, __all__)}")
            )
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


def _load(home):
    try:
        return importlib.import_module(f"t0native.{home}")
    except (AttributeError, ImportError) as error:
        if "t0native._core" not in str(error):
            raise
        raise ImportError(
            f"{_core.__file__} was built from other sources than {_FOLDER} has ({error}): build it again, by `pip "
            "install .` or "
            "`pip install -e .`, in the folder that holds setup.py"
        ) from None


class _PublicModules:
    """Finds a public module under its public name in import statements, as the module object that it is under its own."""

    def find_spec(self, name, path=None, target=None):
        public = name.removeprefix("t0native.")
        if public != name and _MODULES.get(public, public) != public:
            return ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        module = _load(_MODULES[spec.name.removeprefix("t0native.")])
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module):
        module.__spec__ = module.__spec__.loader_state  # import has put the public name's there


sys.meta_path.append(_PublicModules())
