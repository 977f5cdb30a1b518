"""The eight mixtures of the T0 paper (Sanh et al. 2022; bigscience-workshop/t-zero 7a699e3, t0/seqio_tasks), of prompts as
promptsource 0.1.0 has them. The facts are data/t0_datasets.json, made by tests/make_t0_tables.py; the prompts are read at run time.

    mixture                what is in it                                                                    components
    t0_train               every prompt of the 38 datasets that train T0                                          313
    t0+_train              and of those that GPT-3 was evaluated on                                               392
    t0++_train             and of SuperGLUE, but RTE and CB                                                       464
    one_og_prompt          of each dataset of t0_train the first prompt of the original task, by name             35
    all_og_prompts         all its prompts of the original task                                                   222
    t0_eval                Figure 4: held-out sets, prompts of the original task with choices; ANLI three times   116
    t0_train_score_eval    prompts with choices of t0_train that select a checkpoint                               87
    bias                   CrowS-Pairs and WinoGender (super_glue/axg), prompts with choices                       16

    rate (training)     training rows, or 500,000 // prompts of the dataset where it has more than 500,000
    rate (evaluation)   rows of the split, at most 500,000; these are evaluated whole, and drawn from by nobody
"t0_train_one_og_prompt" and the other names of t-zero work too."""

import hashlib
from importlib.metadata import PackageNotFoundError, version

from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.jsontext import json_text
from t0native.base.showing import shown
from t0native.data.datafolder import dataset_facts, find_rows, missing_text
from t0native.prompts.collection import PromptCollection
from t0native.tasks.task import Task

__all__ = ["MIXTURES", "AbsentTask", "is_t0_mixture", "prompts_hash", "t0_tasks"]

TRAINING = {"t0_train": ("BASE",), "t0+_train": ("BASE", "GPT_EVAL"), "t0++_train": ("BASE", "GPT_EVAL", "SGLUE")}
MIXTURES = (*TRAINING, "one_og_prompt", "all_og_prompts", "t0_eval", "t0_train_score_eval", "bias")
_ALIASES = {
    "t0_train_one_og_prompt": "one_og_prompt",
    "t0_train_all_og_prompts": "all_og_prompts",
    "t0_eval_score_eval": "t0_eval",
    "bias_fairness_eval_score_eval": "bias",
}
BIAS = (("crows_pairs", None), ("super_glue", "axg"))  # WinoBias has no prompts with choices, Jigsaw none at all
WINO_BIAS = "wino_bias"  # no mixture, but for the suite: its four sets with all their prompts, whose answers are generated
MAX_EXAMPLES_PER_DATASET = 500_000
_REMEDY = "pip install --no-deps --ignore-requires-python --target P3 promptsource==0.1.0, and prompts='P3'"


class AbsentTask:
    """A task whose rows are not here: its prompts can be counted and described; to render is a DataError that says what is
    missing. rows is empty; name, dataset, subset, split and prompts are a Task's."""

    rows, truncate = (), True

    def __init__(self, name, prompts, dataset, subset, split):
        self.name, self.prompts, self.dataset, self.subset, self.split = name, prompts, dataset, subset, split

    def check(self):
        """Nothing can be wrong with rows that are not here."""

    def render(self, prompt, index, seed=0, key=None):
        """Raises DataError with the source of the rows; so does render_noted."""
        raise DataError(
            f"task {shown(self.name)}, prompt {shown(prompt)}: " + missing_text([(self.dataset, self.subset, self.split)], None)
        )

    render_noted = render

    def uncut(self):
        """Itself: it renders nothing."""
        return self


def is_t0_mixture(name):
    """Whether it names one of the eight, here or in t-zero.

    >>> is_t0_mixture("t0_eval"), is_t0_mixture("t0_eval_score_eval"), is_t0_mixture("t0")
    (True, True, False)
    """
    return _ALIASES.get(name, name) in MIXTURES


def t0_tasks(name, prompts=None, data=None, partial=False):
    """[(Task or AbsentTask, rate of each of its prompts, rows)] of a T0 mixture, in t-zero's order.
    Without data, every task is absent; with data, DataError lists what is missing before anything is read, or, where
    `partial` is set, the tasks without rows are absent."""
    name = _ALIASES.get(name, name)
    if name not in MIXTURES and name != WINO_BIAS:
        raise ConfigError(f"no T0 mixture {shown(name)}; {suggest(str(name), MIXTURES)}")
    collection = _load_collection(prompts)
    parts = [part for fact in dataset_facts().values() if _is_in(name, fact) for part in _list_splits(name, fact)]
    facts = {(fact["dataset"], fact["subset"]): fact for fact, _, _ in parts}
    sets = _check_prompts(name, collection, facts, prompts is None)
    readers = {}
    if data is not None:
        readers = {(key := (*_key(fact), split)): find_rows(data, *key) for fact, split, _ in parts}
        missing = [key for key, reader in readers.items() if reader is None]
        if missing and not partial:
            raise DataError(f"mixture {shown(name)}: " + missing_text(missing, data))
    return [_make_task(name, fact, split, suffix, sets[_key(fact)], readers) for fact, split, suffix in parts]


def prompts_hash(prompts):
    """SHA-256, 16 hexadecimal digits, of what prompts say: name, template, choices and original_task, in any order."""
    texts = sorted(
        [name, prompt.jinja, prompt.answer_choices or "", bool(prompt.metadata.original_task)] for name, prompt in prompts.items()
    )
    return hashlib.sha256(json_text(texts).encode()).hexdigest()[:16]


def _key(fact):
    return fact["dataset"], fact["subset"]


def _is_in(name, fact):
    if name in TRAINING:
        return fact["train"] in TRAINING[name]
    if name in ("one_og_prompt", "all_og_prompts"):
        return fact["train"] == "BASE" and fact["original"] > 0
    if name == "t0_train_score_eval":
        return fact["selects"]
    if name == WINO_BIAS:
        return fact["dataset"] == WINO_BIAS
    return fact["evaluate"] == "BASE" if name == "t0_eval" else (fact["dataset"], fact["subset"]) in BIAS


def _list_splits(name, fact):
    """[(fact, split, suffix of the task's name)]: one, but ANLI's three rounds are evaluated apart."""
    if name in TRAINING or name.endswith(("og_prompt", "og_prompts")):
        return [(fact, "train", "")]
    if fact["dataset"] == "anli":
        return [(fact, f"dev_r{n}", f"_r{n}") for n in (1, 2, 3)]
    return [(fact, "validation" if "validation" in fact["splits"] else "test", "")]


def _choose_prompts(name, prompts):
    """The prompts of a dataset that a mixture takes, by name, as t-zero goes through them."""
    ordered = {key: prompts[key] for key in sorted(prompts)}
    if name in TRAINING or name == WINO_BIAS:
        return ordered
    original = {key: prompt for key, prompt in ordered.items() if prompt.metadata.original_task}
    if name == "one_og_prompt":
        return dict(list(original.items())[:1])
    if name == "all_og_prompts":
        return original
    return {key: prompt for key, prompt in (ordered if name == "bias" else original).items() if prompt.answer_choices}


def _load_collection(prompts):
    if isinstance(prompts, PromptCollection):
        return prompts
    try:
        return PromptCollection.promptsource(prompts)
    except DataError as error:
        what = error if prompts is not None else "promptsource is not installed"
        raise DataError(f"{what}; T0's mixtures need 0.1.0's prompts: {_REMEDY}") from None


def _check_prompts(name, collection, facts, installed):
    """{(dataset, subset): its prompts}; ConfigError where they are not promptsource 0.1.0's, for counts and order hang on them."""
    sets = {key: collection[key] if key in collection else {} for key in facts}
    other = ["/".join(filter(None, key)) for key, fact in facts.items() if prompts_hash(sets[key]) != fact["sha256"]]
    if other:
        which = f" (promptsource {_find_version()})" if installed else ""
        examples = ", ".join(other[:4]) + (", ..." if len(other) > 4 else "")
        raise ConfigError(
            f"mixture {shown(name)} is made of promptsource 0.1.0's prompts; {collection.folder}{which} has others for "
            f"{len(other)} of its {len(facts)} datasets ({examples}); get 0.1.0's: {_REMEDY}"
        )
    return sets


def _find_version():
    try:
        return version("promptsource")
    except PackageNotFoundError:
        return "of unknown version"


def _make_task(name, fact, split, suffix, prompts, readers):
    """(task, rate, rows)."""
    dataset, subset = _key(fact)
    chosen = _choose_prompts(name, prompts)
    full = "/".join(filter(None, (dataset, subset))) + suffix
    size = fact["train_size"] if split == "train" else fact["splits"][split]
    rate = min(size, MAX_EXAMPLES_PER_DATASET)
    if split == "train" and size > MAX_EXAMPLES_PER_DATASET:
        rate = MAX_EXAMPLES_PER_DATASET // len(prompts)
    reader = readers.get((dataset, subset, split))
    if reader is None:
        return AbsentTask(full, chosen, dataset, subset, split), rate, size
    rows = reader()
    metric = "target_in_prediction" if dataset == WINO_BIAS else None
    return Task(full, rows, chosen, metric, (dataset, subset), split, strict=False), rate, len(rows)
