"""T0's eight mixtures and the folder that their data lie in: counts and rates of the paper's code, and what is told where data lack."""

import csv
import json

import make_t0_tables
import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.data.arrowrows import read_arrow
from t0native.data.datafolder import dataset_facts, find_rows, hub_name, missing_text
from t0native.tasks.t0mixtures import MIXTURES

COUNTS = {
    "t0_train": (313, 17_277_798),
    "t0+_train": (392, 20_672_671),
    "t0++_train": (464, 23_118_591),
    "one_og_prompt": (35, None),
    "all_og_prompts": (222, None),
    "t0_eval": (116, None),
    "t0_train_score_eval": (87, None),
    "bias": (16, None),
}


def test_every_mixture_is_known():
    assert tuple(COUNTS) == MIXTURES


@pytest.mark.parametrize("name", COUNTS)
def test_components_and_rates(name, promptsource_0_1_0):
    mixture = t0.Mixture.t0(name, promptsource_0_1_0)
    count, total = COUNTS[name]
    assert len(mixture) == len({component.name for component in mixture.components}) == count
    if total is not None:
        assert sum(component.rate for component in mixture.components) == total
    assert mixture.describe().splitlines()[-1].endswith(mixture.digest())


def test_held_out_cells_are_figure_4s(promptsource_0_1_0):
    counts = {}
    for component in t0.Mixture.t0("t0_eval_score_eval", promptsource_0_1_0).components:
        key = component.task_name, component.task.split, component.size
        counts[key] = counts.get(key, 0) + 1
    assert counts == {
        ("super_glue/wsc.fixed", "validation", 104): 10,
        ("winogrande/winogrande_xl", "validation", 1267): 5,
        ("super_glue/cb", "validation", 56): 15,
        ("super_glue/rte", "validation", 277): 10,
        ("anli_r1", "dev_r1", 1000): 15,
        ("anli_r2", "dev_r2", 1000): 15,
        ("anli_r3", "dev_r3", 1200): 15,
        ("super_glue/copa", "validation", 100): 12,
        ("story_cloze/2016", "validation", 1871): 5,
        ("hellaswag", "validation", 10042): 4,
        ("super_glue/wic", "validation", 638): 10,
    }


def test_a_million_draws_fit_the_rates(promptsource_0_1_0):
    from scipy.stats import chisquare

    mixture = t0.Mixture.t0("t0_train", promptsource_0_1_0)
    which, rows = mixture.draw(0, 0, 1_000_000)
    expected = 1e6 * np.array([component.share for component in mixture.components])
    assert expected.min() > 90
    assert chisquare(np.bincount(which, minlength=313), expected).pvalue > 1e-3
    sizes = np.array([component.size for component in mixture.components])
    assert rows.min() >= 0 and (rows < sizes[which]).all() and rows.max() > 3_000_000


def test_the_table_is_what_the_sources_say(public_data, promptsource_0_1_0):
    facts = public_data / "data" / "t0-mixture"
    made = make_t0_tables.text(make_t0_tables.table(facts, promptsource_0_1_0))
    assert made == make_t0_tables.TABLE.read_text(encoding="utf-8")
    with (facts / "t0_templates.tsv").open(encoding="utf-8", newline="") as file:
        counts = {}
        for row in csv.DictReader(file, delimiter="\t"):
            key = row["dataset"], row["subset"] or None
            old = counts.get(key, (0, 0))
            counts[key] = old[0] + 1, old[1] + (row["original_task"] == "True")
    assert counts == {key: (fact["prompts"], fact["original"]) for key, fact in dataset_facts().items() if fact["prompts"]}


def test_other_prompts_are_told():
    held_out = t0.PromptCollection.load(t0.mini.__path__[0] + "/heldout/prompts")
    with pytest.raises(t0.ConfigError) as error:
        t0.Mixture.t0("bias", held_out)
    assert str(error.value) == (
        f"mixture 'bias' is made of promptsource 0.1.0's prompts; {held_out.folder} has others for 2 of its 2 datasets (crows_pairs, super_glue/axg); "
        "get 0.1.0's: pip install --no-deps --ignore-requires-python --target P3 promptsource==0.1.0, and prompts='P3'"
    )


def test_the_installed_version_is_told(promptsource_folder):
    with pytest.raises(t0.ConfigError, match=r"promptsource 0\.2\.3\) has others for 1 of its 38 datasets \(wiqa\)"):
        t0.Mixture.t0("t0_train")
    assert len(t0.Mixture.t0("t0_eval")) == 116  # the same in both versions


def test_no_promptsource_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        t0.DataError, match="^promptsource is not installed; T0's mixtures need 0.1.0's prompts: pip install .*promptsource==0.1.0"
    ):
        t0.Mixture.t0("t0_train")


def test_unknown_mixture():
    with pytest.raises(t0.ConfigError, match="^no T0 mixture 't0_tain'; did you mean 't0_train'"):
        t0.Mixture.t0("t0_tain")


# ---- the bias mixture, small enough to have data for ------------------------------------------------------------------

AXG = [{"premise": "Ann met Ben.", "hypothesis": f"Ann met Ben {i}.", "label": i % 2, "idx": i} for i in range(4)]
CROWS = [{"sent_more": "a", "sent_less": "b", "stereo_antistereo": 0, "bias_type": 0} for _ in range(3)]


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_without_data_an_example_tells_the_source(promptsource_0_1_0):
    with pytest.raises(t0.DataError) as error:
        t0.Mixture.t0("bias", promptsource_0_1_0).example(0, 0)
    assert str(error.value).splitlines()[0].endswith("1 split of a dataset is missing (no data was given: data= names its folder):")
    assert "hub id " in str(error.value)


def test_a_folder_of_data(tmp_path, promptsource_0_1_0):
    write(tmp_path / "aps" / "super_glue" / "axg" / "test.jsonl", AXG)
    with pytest.raises(t0.DataError) as error:
        t0.Mixture.t0("bias", promptsource_0_1_0, tmp_path)
    assert str(error.value) == (
        f"mixture 'bias': 1 split of a dataset is missing in {tmp_path}:\n"
        "  crows_pairs/test.jsonl: hub id nyu-mll/crows_pairs; https://github.com/nyu-mll/crows-pairs"
    )
    write(tmp_path / "crows_pairs" / "test.jsonl", CROWS)
    mixture = t0.Mixture.t0("bias", promptsource_0_1_0, tmp_path)
    assert {(c.task_name, c.size, c.rate) for c in mixture.components} == {("super_glue/axg", 4, 356), ("crows_pairs", 3, 1508)}
    assert any(drawn.component.dataset == "super_glue" and "Ann met Ben" in drawn.input for drawn in mixture.examples(0, 0, 40))
    assert mixture.dropped()["super_glue/axg/GPT-3 style"] == (4, 0)
    held = {"nyu-mll/crows_pairs": CROWS, ("super_glue", "axg"): {"test": AXG}}
    assert t0.Mixture.t0("bias", promptsource_0_1_0, held).digest() == mixture.digest()


# ---- the folder -------------------------------------------------------------------------------------------------------


def test_find_rows(tmp_path):
    assert find_rows(tmp_path, "imdb") is None
    write(tmp_path / "imdb" / "train.jsonl", [{"text": "good", "label": 1}])
    assert find_rows(str(tmp_path), "imdb")() == [{"text": "good", "label": 1}]
    (tmp_path / "imdb" / "test.csv").write_text("text,label\nbad,0\n")
    assert find_rows(tmp_path, "imdb", None, "test")() == [{"text": "bad", "label": 0}]
    raw = {"text": "a b", "target": {"span1_index": 0, "span2_index": 1, "span1_text": "a", "span2_text": "b"}, "label": True, "idx": 0}
    write(tmp_path / "super_glue" / "wsc.fixed" / "validation.jsonl", [raw])
    assert find_rows(tmp_path, "super_glue", "wsc.fixed", "validation")()[0]["span1_text"] == "a"
    assert find_rows({"super_glue/wsc.fixed": [raw]}, "super_glue", "wsc.fixed")()[0]["label"] == 1
    assert find_rows({"imdb": {"test": []}}, "imdb") is None


def test_broken_folders(tmp_path):
    write(tmp_path / "imdb" / "train.jsonl", [{}])
    write(tmp_path / "stanfordnlp" / "imdb" / "train.jsonl", [{}])
    (tmp_path / "sciq").mkdir()
    (tmp_path / "sciq" / "train.jsonl").write_text('{"a": 1}\n{"a": \n')
    two = f"{tmp_path}/imdb/train.jsonl and {tmp_path}/stanfordnlp/imdb/train.jsonl are both the train split of imdb; leave one"
    cases = [
        (lambda: find_rows(tmp_path, "imdb"), t0.DataError, two),
        (lambda: find_rows(tmp_path / "no", "imdb"), t0.DataError, "no: no such folder of data; expected"),
        (lambda: find_rows(7, "imdb"), t0.ConfigError, "data 7: must be a folder, or a mapping of dataset names to rows"),
        (find_rows(tmp_path, "sciq"), t0.DataError, f"{tmp_path}/sciq/train.jsonl, line 2, column"),
    ]
    for call, kind, message in cases:
        with pytest.raises(kind) as error:
            call()
        assert message in str(error.value)


def test_missing_is_at_most_ten_lines():
    text = missing_text([(*key, "train") for key in dataset_facts()], "data").splitlines()
    assert len(text) == 10
    assert text[0] == "66 splits of datasets are missing in data:" and text[-1] == "  and 58 more"
    assert missing_text([("mine", None, "train")], "data").splitlines()[1] == "  mine/train.jsonl: hub id mine"


def test_renamed_hub_ids():
    assert hub_name("super_glue") == "aps/super_glue" and hub_name("wiki_hop") == "wiki_hop"
    assert set(make_t0_tables.RENAMED) >= {hub_name(dataset) for dataset, _ in dataset_facts()} - {"wiki_hop"}


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_arrow_files(tmp_path, kind):
    pyarrow = needed("pyarrow", "pip install pyarrow")
    from pyarrow import ipc, parquet

    rows = [{"text": f"row {i}", "choices": {"label": ["A"], "text": [str(i)]}} for i in range(5)]
    table = pyarrow.Table.from_pylist(rows)
    path = tmp_path / "mine" / ("train.parquet" if kind == "parquet" else "train.arrow")
    path.parent.mkdir()
    if kind == "parquet":
        parquet.write_table(table, path, row_group_size=2)
    else:
        with (ipc.new_file if kind == "arrow" else ipc.new_stream)(str(path), table.schema) as sink:
            sink.write_table(table, max_chunksize=2)
    found = find_rows(tmp_path, "mine")()
    assert [found[i] for i in range(-5, 5)] == rows * 2 and len(found) == 5
    with pytest.raises(IndexError):
        found[5]
    assert t0.Task("mine", found, [t0.Prompt("p", "{{ text }} ||| {{ choices.text[0] }}")]).render("p", 3).target == "3"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(t0.DataError, match=f"^{path}: not a {path.suffix[1:]} file that pyarrow can read"):
        read_arrow(path)
    with pytest.raises(FileNotFoundError):
        read_arrow(tmp_path / "no.parquet")


# ---- recipes and batches ----------------------------------------------------------------------------------------------


def test_a_recipe_names_a_mixture(tmp_path, promptsource_0_1_0):
    from t0native.training.recipe import read_recipe

    write(tmp_path / "DATA" / "super_glue" / "axg" / "test.jsonl", AXG)
    write(tmp_path / "DATA" / "crows_pairs" / "test.jsonl", CROWS)
    (tmp_path / "P3").symlink_to(promptsource_0_1_0)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: m\nmixture: bias\ndata: DATA\nprompts: P3\nvalidate: bias_fairness_eval_score_eval\n")
    made = read_recipe(recipe)
    assert len(made.mixture) == 16 == sum(len(task.prompts) for task in made.validate)
    tasks = "tasks: [{dataset: mine, data: DATA/crows_pairs/test.jsonl, objective: lm, field: sent_more}]\n"
    recipe.write_text(f"model: m\n{tasks}data: DATA\nprompts: P3\nvalidate: t0_train_score_eval\n")
    with pytest.raises(t0.DataError, match="mixture 't0_train_score_eval': .* splits of datasets are missing in .*DATA:"):
        read_recipe(recipe)


def test_a_recipe_validates_on_a_suite(tmp_path):
    from t0native.training.recipe import read_recipe

    write(tmp_path / "rows.jsonl", [{"text": "Anna drinks tea."}])
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("model: m\ntasks: [{dataset: mine, data: rows.jsonl, objective: lm}]\nvalidate: mini\n")
    made = read_recipe(recipe)
    assert [task.name for task in made.validate] == [task.name for task in t0.suite("mini")]


@pytest.mark.parametrize(
    "lines, message",
    [
        ("mixture: bias", "'mixture' without 'data'; it must name the folder of its rows, DATA/<dataset>/<subset>/<split>.jsonl"),
        ("mixture: bias\ndata: DATA\ntasks: [{}]", "'mixture' and 'tasks'; give one of them"),
        ("prompts: P3", "'prompts' without 'mixture'; it belongs to one of T0's mixtures, or into an entry of 'tasks'"),
        ("mixture: t0_tran\ndata: DATA", "no T0 mixture 't0_tran'; did you mean 't0_train'?"),
        ("mixture: 7\ndata: DATA", "mixture 7: must be text"),
        (
            "tasks: [{dataset: mine, data: rows.jsonl, objective: lm}]\nvalidate: t0_eval",
            "validate 't0_eval' without 'data'; it must name the folder of its rows, DATA/<dataset>/<subset>/<split>.jsonl",
        ),
        (
            "tasks: [{dataset: mine, data: rows.jsonl, objective: lm}]\nvalidate: t0_train_selectoin",
            "no suite 't0_train_selectoin'; did you mean 't0-train-selection'?",
        ),
        ("validate: 3", "validate 3: must be a list of tasks, or the name of a T0 mixture or of a suite"),
        ("steps: 3", "no 'tasks'; it must name the tasks to train on"),
    ],
)
def test_recipes_that_cannot_be(tmp_path, lines, message):
    from t0native.training.recipe import read_recipe

    write(tmp_path / "rows.jsonl", [{"text": "Anna drinks tea."}])
    (tmp_path / "recipe.yaml").write_text(f"model: m\n{lines}\n")
    with pytest.raises(t0.ConfigError) as error:
        read_recipe(tmp_path / "recipe.yaml")
    assert str(error.value) == f"{tmp_path}/recipe.yaml: {message}"


def test_a_batch_tells_the_rows_that_were_dropped():
    from t0native.training.batches import make_batch

    odd = t0.Prompt("odd", "{% if n % 2 %}{{ n }}?{% endif %} ||| yes")
    rows = [{"n": i} for i in range(50)]
    mixture = t0.Mixture([t0.Task("t", rows, [odd]), t0.Task("u", rows, [t0.Prompt("all", "{{ n }}? ||| yes")])])
    batch = make_batch(mixture, t0.Model.mini().tokenizer, 3, seed=0, batch_size=64, max_source=9, max_target=9)
    again = [mixture.example(0, 3 * 64 + i) for i in range(64)]
    assert batch.dropped == {"t/odd": sum(drawn.attempt for drawn in again)} and batch.dropped["t/odd"] > 9
