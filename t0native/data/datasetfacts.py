"""The table of facts about the 66 datasets and subsets behind T0: t0_datasets.json, made by tests/make_t0_tables.py."""

import json
from functools import cache
from pathlib import Path

__all__ = ["dataset_facts", "hub_name", "types_of"]


@cache
def _table():
    content = json.loads((Path(__file__).parent / "t0_datasets.json").read_text(encoding="utf-8"))
    facts = [dict(zip(content["columns"], row)) for row in content["rows"]]
    return {(fact["dataset"], fact["subset"]): fact for fact in facts}, content["renamed"]


@cache
def _old_names():
    return {new: old for old, new in _table()[1].items()}


def dataset_facts():
    """{(dataset, subset or None): its facts} of the 66 datasets and subsets behind T0, in t-zero's order.

    >>> fact = dataset_facts()["super_glue", "rte"]
    >>> fact["prompts"], fact["splits"]["validation"]
    (10, 277)
    """
    return _table()[0]


def hub_name(dataset):
    """The name that the hub gives to the dataset today; the same name where no other is known.

    >>> hub_name("super_glue"), hub_name("my_own")
    ('aps/super_glue', 'my_own')
    """
    return _table()[1].get(dataset, dataset)


def types_of(dataset):
    """{field: type} of a dataset's features, as the hub had them in 2022, by P3's name of it or the hub's; {} of one that T0 does not know.
    A type is "text", "int", "float" or "bool", {"names": [...]} of numbers with names, {"list": type} or {"fields": {name: type}}.

    >>> types_of("aps/super_glue/rte")["label"], types_of("winogrande/winogrande_xl")["answer"], types_of("mine")
    ({'names': ['entailment', 'not_entailment']}, 'text', {})
    """
    if not dataset:
        return {}
    parts = str(dataset).split("/")
    for owner in (2, 1):  # the words of a name of the hub, owner/name; P3's is one
        name, subset = "/".join(parts[:owner]), "/".join(parts[owner:]) or None
        fact = dataset_facts().get((_old_names().get(name, name), subset))
        if fact is not None:
            return fact["types"]
    return {}
