"""Where the rows of a public dataset are: in a folder, or in a mapping of what Python already holds.

    DATA/<dataset>/<subset>/<split>.jsonl      or .ndjson, .json, .csv, .tsv, .parquet, .arrow (the last two need pyarrow: the extra [data])
    DATA/<dataset>/<split>.jsonl               of a dataset without subsets
    {"super_glue/rte": {"train": rows, "validation": rows}, "imdb": rows_of_any_split}

<dataset> is the name that P3 uses (super_glue) or the one that the hub uses today (aps/super_glue); `renamed` of
data/t0_datasets.json has both. Rows in a known raw form are converted (distributed.py)."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from t0native.base.arguments import shown
from t0native.base.errors import ConfigError, DataError
from t0native.data.diskrows import rows_at
from t0native.data.distributed import convert_rows
from t0native.data.rows import sequence_of

__all__ = ["dataset_facts", "find_rows", "hub_name", "missing_text"]

TEXT_ENDINGS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
ARROW_ENDINGS = (".parquet", ".arrow")
SHOWN_MISSING = 8


@cache
def _table():
    content = json.loads((Path(__file__).parent / "t0_datasets.json").read_text(encoding="utf-8"))
    facts = [dict(zip(content["columns"], row)) for row in content["rows"]]
    return {(fact["dataset"], fact["subset"]): fact for fact in facts}, content["renamed"]


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


def find_rows(data, dataset, subset=None, split="train"):
    """A function that reads the rows of a split, or None where `data` lacks them; nothing is read yet.
    data: a folder, or a mapping, as above. ConfigError where it is neither; DataError for two files of one split.

    >>> find_rows({"super_glue/rte": {"train": [{"label": 0}]}}, "super_glue", "rte")()
    [{'label': 0}]
    """
    names = ["/".join(filter(None, (name, subset))) for name in dict.fromkeys((dataset, hub_name(dataset)))]
    if isinstance(data, Mapping):
        return _find_in_mapping(data, names, split)
    if not isinstance(data, (str, Path)):
        raise ConfigError(f"data {shown(data)}: must be a folder, or a mapping of dataset names to rows")
    if not Path(data).is_dir():
        raise DataError(f"{data}: no such folder of data; expected {data}/<dataset>/<subset>/<split>.jsonl below it")
    files = [Path(data, name, split + ending) for name in names for ending in TEXT_ENDINGS + ARROW_ENDINGS]
    files = [file for file in files if file.is_file()]
    if len(files) > 1:
        raise DataError(f"{files[0]} and {files[1]} are both the {split} split of {names[0]}; leave one")
    return (lambda: rows_at(files[0], names[0])) if files else None


def _find_in_mapping(data, names, split):
    keys = {"/".join(filter(None, key)) if isinstance(key, tuple) else key: key for key in data}
    rows = next((data[keys[name]] for name in names if name in keys), None)
    if isinstance(rows, Mapping):
        rows = rows.get(split)
    return None if rows is None else lambda: convert_rows(names[0], sequence_of(rows, names[0]))


def missing_text(missing, data):
    """What is missing and where its source is, in at most ten lines. missing: [(dataset, subset, split)].

    >>> print(missing_text([("super_glue", "rte", "validation")], "data"))
    1 split of a dataset is missing in data:
      super_glue/rte/validation.jsonl: hub id aps/super_glue, config rte; https://aclweb.org/aclwiki/Recognizing_Textual_Entailment
    """
    place = "(no data was given)" if data is None else "in the mapping" if isinstance(data, Mapping) else f"in {data}"
    lines = [("1 split of a dataset is" if len(missing) == 1 else f"{len(missing)} splits of datasets are") + f" missing {place}:"]
    lines += [_source(*key) for key in missing[:SHOWN_MISSING]]
    if len(missing) > SHOWN_MISSING:
        lines.append(f"  and {len(missing) - SHOWN_MISSING} more")
    return "\n".join(lines)


def _source(dataset, subset, split):
    """The line of a missing split."""
    place = "/".join(filter(None, (dataset, subset, split)))
    if dataset == "bigbench":
        return f"  {place}: https://github.com/google/BIG-bench, bigbench/benchmark_tasks/{subset}"
    fact = dataset_facts().get((dataset, subset), {})
    source = f"hub id {hub_name(dataset)}" + (f", config {subset}" if subset else "")
    return f"  {place}.jsonl: {source}" + (f"; {fact['homepage']}" if fact else "")
