"""Where the rows of a public dataset are: in a folder, or in a mapping of what Python already holds.

    DATA/<dataset>/<subset>/<split>.jsonl      or any other layout of layouts.py: .csv, .parquet, shards, packed, save_to_disk, ...
    DATA/<dataset>/<split>.jsonl               of a dataset without subsets
    {"super_glue/rte": {"train": rows, "validation": rows}, "imdb": rows_of_any_split}

<dataset> is the name that P3 uses (super_glue) or the one that the hub uses today (aps/super_glue); `renamed` of
data/t0_datasets.json has both. Rows in a known raw form are converted (distributed.py), and fields have the types of the dataset's
features where it is one of T0's (types.py)."""

from collections.abc import Mapping
from pathlib import Path

from t0native.base.errors import ConfigError, DataError
from t0native.base.showing import printable, shown
from t0native.data.datasetfacts import dataset_facts, hub_name
from t0native.data.diskrows import rows_at
from t0native.data.distributed import convert_rows
from t0native.data.frames import are_columns, sequence_of
from t0native.data.layouts import INNER_FOLDERS, find_split, seen_in
from t0native.data.unpacking import ARROW_ENDINGS, TEXT_ENDINGS

__all__ = ["ARROW_ENDINGS", "TEXT_ENDINGS", "dataset_facts", "find_rows", "hub_name", "missing_text"]

SHOWN_MISSING = 8


def find_rows(data, dataset, subset=None, split="train", types=None):
    """A function that reads the rows of a split, or None where `data` lacks them; nothing is read yet.
    data: a folder, or a mapping, as above.  types: what fields are, as `read_rows`'. ConfigError where `data` is neither; DataError for
    a split that is there twice, or of which a shard is missing.

    >>> find_rows({"super_glue/rte": {"train": [{"label": 0}]}}, "super_glue", "rte")()
    [{'label': 0}]
    """
    names = _names(dataset, subset)
    if isinstance(data, Mapping):
        return _find_in_mapping(data, names, split, types)
    if not isinstance(data, (str, Path)):
        raise ConfigError(f"data {shown(data)}: must be a folder, or a mapping of dataset names to rows")
    if not Path(data).is_dir():
        where = printable(str(data))
        raise DataError(f"{where}: no such folder of data; expected {where}/<dataset>/<subset>/<split>.jsonl below it")
    ways = [files for folder in _folders(data, names, subset) for files in find_split(folder, split)]
    if len(ways) > 1:
        raise DataError(f"{ways[0][0]} and {ways[1][0]} are both the {split} split of {names[0]}; leave one")
    return (lambda: rows_at(ways[0], names[0], types)) if ways else None


def _names(dataset, subset):
    """P3's name and the hub's of a dataset with its subset; one where they are the same."""
    return ["/".join(filter(None, (name, subset))) for name in dict.fromkeys((dataset, hub_name(dataset)))]


def _folders(data, names, subset):
    """The folders in which a split may lie."""
    for name in names:
        yield Path(data, name)
        for inner in INNER_FOLDERS if subset is None else INNER_FOLDERS[:1]:
            yield Path(data, name, inner)


def _find_in_mapping(data, names, split, types):
    keys = {"/".join(filter(None, key)) if isinstance(key, tuple) else key: key for key in data}
    rows = next((data[keys[name]] for name in names if name in keys), None)
    if isinstance(rows, Mapping) and (split in rows or not are_columns(rows)):
        rows = rows.get(split)
    return None if rows is None else lambda: convert_rows(names[0], sequence_of(rows, names[0], names[0], types))


def missing_text(missing, data):
    """What is missing, what lies in its place, and where its source is, in at most ten lines. missing: [(dataset, subset, split)].

    >>> print(missing_text([("super_glue", "rte", "validation")], "data"))
    1 split of a dataset is missing in data:
      super_glue/rte/validation.jsonl: hub id aps/super_glue, config rte; https://aclweb.org/aclwiki/Recognizing_Textual_Entailment
    """
    place = (
        "(no data was given: data= names its folder)" if data is None else "in the mapping" if isinstance(data, Mapping) else f"in {data}"
    )
    lines = [("1 split of a dataset is" if len(missing) == 1 else f"{len(missing)} splits of datasets are") + f" missing {place}:"]
    lines += [_source(*key) + _seen(data, *key) for key in missing[:SHOWN_MISSING]]
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


def _seen(data, dataset, subset, split):
    """What lies in the folder of a dataset whose split is missing, and what it would have to be called."""
    if not isinstance(data, (str, Path)):
        return ""
    folders = [Path(data, name) for name in _names(dataset, subset)]
    seen = "".join(seen_in(folder).replace(" (there are", f"; {folder} has").rstrip(")") for folder in folders)
    return f"{seen}: {split} would be {split}.jsonl, .csv, .parquet, ... or {split}-00000-of-00001.parquet" if seen else ""
