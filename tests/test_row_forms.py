"""The same rows from eight forms give the same prompts: every public prompt of every dataset whose fields are flat, on rows made from the
types of its features, written by pandas, polars, pyarrow and `datasets`. T0's datasets have their types; of the others, whose types the
public examples show, `types` tells them."""

import json
import random

import pytest
from conftest import needed

import t0native as t0
from t0native.data.datasetfacts import dataset_facts
from t0native.data.distributed import BESIDE
from t0native.data.frames import sequence_of
from t0native.data.rows import read_rows

HAVE = "pip install pyarrow pandas polars datasets"
TEXTS = [
    "Anna drinks tea.",
    "007",
    "12",
    "1.0",
    "True",
    "",
    "a\tb, c",
    'She said "no".',
    "two\nlines",
    "nan",
    "-3",
    " 1",
    "Café \u2028 x",
    "None",
    "5e-1",
]
N = 12
FORMS = ("JSON Lines", "CSV", "TSV", "Parquet", "Arrow", "datasets", "pandas", "polars")


def is_flat(types):
    return all(isinstance(of, str) or "names" in of for of in types.values())


def make_rows(types, seed, gaps):
    """gaps: whether a value of numbers and truth may be missing."""
    random_ = random.Random(seed)
    rows = []
    for i in range(N):
        row = {}
        for name, of in types.items():
            if of == "text":
                row[name] = random_.choice(TEXTS) + random_.choice(["", f" {i}"])
            elif of == "bool":
                row[name] = random_.random() < 0.5
            elif of == "float":
                row[name] = round(random_.uniform(-2, 2), 3)
            else:
                row[name] = random_.randrange(len(of["names"]) if isinstance(of, dict) else 5)
            if gaps and of != "text" and i and random_.random() < 0.3:  # the first row's are there
                row[name] = None
        rows.append(row)
    return rows


def write_forms(folder, rows, types):
    """{form: rows in memory, or the file that a library wrote}."""
    pandas, polars, datasets = needed("pandas", HAVE), needed("polars", HAVE), needed("datasets", HAVE)
    frame = pandas.DataFrame(rows)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame.to_csv(folder / "rows.csv", index=False)
    frame.to_csv(folder / "rows.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "rows.parquet")
    polars.DataFrame(rows).write_ipc(folder / "rows.arrow")
    files = {"JSON Lines": "rows.jsonl", "CSV": "rows.csv", "TSV": "rows.tsv", "Parquet": "rows.parquet", "Arrow": "rows.arrow"}
    forms = {form: folder / name for form, name in files.items()}
    return forms | {"datasets": datasets.Dataset.from_pandas(frame), "pandas": frame, "polars": polars.from_pandas(frame)}


def render(prompt, row, index):
    try:
        return prompt.apply(row, index=index), prompt.choices(row) if prompt.answer_choices else None
    except t0.Error as error:
        return str(error)


def check(name, prompts, table, types, tmp_path):
    """The parts of every prompt are those of the rows themselves, from each of the eight forms, in memory and on the disk; how many."""
    count = 0
    for seed, gaps in ((1, False), (2, True)):
        rows = make_rows(table, seed, gaps)
        folder = tmp_path / f"{name.replace('/', '-')}-{seed}"
        folder.mkdir()
        expected = [[render(prompt, row, i) for i, row in enumerate(rows)] for prompt in prompts.values()]
        for form, source in write_forms(folder, rows, table).items():
            assert form in FORMS
            if hasattr(source, "suffix"):
                dataset = None if types else name
                readings = [read_rows(source, dataset, types)]
                readings += [] if dataset in BESIDE else [t0.open_rows(source, dataset, types=types)]
            else:
                readings = [sequence_of(source, form, None if types else name, types)]
            for read in readings:
                read = [read[i] for i in range(len(read))]
                assert [[(key, type(value), value) for key, value in row.items()] for row in read] == [
                    [(key, type(value), value) for key, value in row.items()] for row in rows
                ], (name, form)
                assert [[render(prompt, row, i) for i, row in enumerate(read)] for prompt in prompts.values()] == expected, (name, form)
        count += len(prompts) * len(rows)
    return count


@pytest.fixture(scope="module")
def collection(promptsource_folder):
    return t0.PromptCollection.promptsource()


def test_t0s_datasets_with_flat_fields(collection, tmp_path, record_property):
    sets = {
        key: {field: of for field, of in fact["types"].items()}
        for key, fact in dataset_facts().items()
        if is_flat(fact["types"]) and key in collection
    }
    prompts = renderings = 0
    for key, table in sets.items():
        prompts += len(collection[key])
        renderings += check("/".join(filter(None, key)), collection[key], table, None, tmp_path)
    record_property("prompts", f"{len(sets)} datasets, {prompts} prompts, {renderings} renderings a form, {len(FORMS)} forms")
    assert len(sets) >= 31 and prompts >= 286, (len(sets), prompts)


def test_other_datasets_with_flat_fields(collection, public_data, tmp_path, record_property):
    examples = {}
    with open(public_data / "promptsource" / "cases.jsonl", encoding="utf-8") as file:
        for case in map(json.loads, file):
            examples.setdefault((case["dataset"], case["subset"]), []).append(case["example"])
    kinds = {str: "text", bool: "bool", int: "int", float: "float"}
    prompts = sets = renderings = 0
    for key, rows in examples.items():
        seen = {}
        for name, value in (item for row in rows for item in row.items() if item[1] is not None):
            seen.setdefault(name, []).append(kinds.get(type(value)))
        if key in dataset_facts() or key not in collection or any(None in of for of in seen.values()):
            continue
        table = {name: max(sorted(set(of)), key=of.count) for name, of in seen.items()}  # that of most examples
        sets, prompts = sets + 1, prompts + len(collection[key])
        renderings += check("/".join(filter(None, key)), collection[key], table, table, tmp_path)
    record_property("prompts", f"{sets} datasets, {prompts} prompts, {renderings} renderings a form, {len(FORMS)} forms")
    assert sets > 5 and prompts > 50, (sets, prompts)


def test_a_form_that_cannot_says_so(tmp_path, caplog):
    """Without types a text that looks like a number becomes one in a CSV file, and a list is a text there: both are told."""
    pandas = needed("pandas", HAVE)
    pandas.DataFrame([{"code": "12", "parts": ["a"]}, {"code": None, "parts": ["b"]}]).to_csv(tmp_path / "a.csv", index=False)
    assert read_rows(tmp_path / "a.csv") == [{"code": 12, "parts": "['a']"}, {"code": None, "parts": "['b']"}]
    assert [record.getMessage() for record in caplog.records] == [f"{tmp_path}/a.csv: code is int; 1 blank cell is None"]
