"""The command line in the hands of somebody who types it for the first time: what is where, what is printed, what is kept."""

import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from conftest import needed
from test_commands import place, run  # noqa: F401  fixtures

import t0native as t0
from t0native.base.places import ROWS, what_is
from t0native.data.unpacking import ROW_ENDINGS

FILE = "templates/mine/templates.yaml"
TRAIN = ("train", "rows.jsonl", "--model", "model", "--prompts", FILE, "--batch-size", 4)


# ---- what lies where ------------------------------------------------------------------------------------------------


def test_what_lies_at_a_path(run, place):  # noqa: F811
    assert run("evaluate", "--model", "model", "--data", "rows.csv", "--prompts", FILE, "--limit", 2, "--out", "judged")[0] == 0
    assert run(*TRAIN, "--steps", 1, "--out", "trained")[0] == 0
    (place / "suite.yaml").write_text("tasks:\n- {dataset: mine, file: rows.csv}\n")
    (place / "list.json").write_text('[{"text": "a"}]')
    (place / "packed.csv.gz").write_bytes(b"")
    (place / "flow.yaml").write_text("dataset: a\ntemplates: {x: !Template {name: a, jinja: b}}\n")
    kinds = {
        "rows.csv": "a file of rows", "list.json": "a file of rows", "packed.csv.gz": "a file of rows", "folder/some": "a folder of rows",
        FILE: "a file of prompts", "flow.yaml": "a file of prompts", "templates": "a folder of prompts", "good.yaml": "a recipe of a training",
        "suite.yaml": "a suite of tasks", "model": "a model's folder", "judged": "the folder of an evaluation",
        "judged/report.json": "a saved report", "trained": "the folder of a training", "model/config.json": None, "other.md": None,
        "nowhere": None, "a" * 5000: None, "a\0b": None,
    }  # fmt: skip
    assert {name: what_is(place / name) for name in kinds} == kinds
    assert set(ROWS) == {*ROW_ENDINGS, ".txt"} - {".json"}


def test_an_evaluation_without_its_end_is_told(run, place):  # noqa: F811
    (place / "begun").mkdir(exist_ok=True)
    (place / "begun/journal.sqlite").write_bytes(b"")
    with pytest.raises(t0.FormatError, match="begun: no report.json yet: this evaluation has not come to its end"):
        t0.Report.load(place / "begun")
    assert run("report", "begun")[0] == 2


@pytest.mark.parametrize("prompts", [FILE, "templates", "templates/mine"])
def test_prompts_come_from_a_file_or_a_folder_everywhere(run, place, prompts, tmp_path):  # noqa: F811
    code, out, err = run("evaluate", "--model", "model", "--data", "rows.csv", "--prompts", prompts, "--json")
    assert code == 0, err
    assert {cell["prompt"] for cell in json.loads(out)["cells"]} == {"is it so", "true or false"}
    assert run("evaluate", "--model", "model", "--task", "mine=rows.csv", "--prompts", prompts, "--limit", 1)[0] == 0
    assert run("predict", "rows.csv", "--model", "model", "--prompts", prompts, "--limit", 1)[1].count("\n") == 2
    assert run("prompt", "list", "mine", "--prompts", prompts)[1] == "is it so\ntrue or false\n"
    assert run("prompt", "apply", "--prompts", prompts, "--data", "rows.csv")[1].count("== ") == 2
    assert run("prompt", "check", "--prompts", prompts, "--data", "rows.csv")[:2] == (0, "0 problems\n")
    recipe = f"model: {place}/model\ntasks: [{{dataset: mine, data: {place}/rows.csv, prompts: {place / prompts}}}]\nsteps: 1\n"
    (tmp_path / "recipe.yaml").write_text(recipe)
    assert run("train", tmp_path / "recipe.yaml", "--show", 1)[0] == 0
    answers = list(t0.predict(t0.Model.from_pretrained(place / "model"), place / prompts, [{"text": "a"}]))
    assert [answer["prompt"] for answer in answers] == ["is it so", "true or false"]


def test_prompts_of_several_datasets_need_a_name(run, tmp_path, place):  # noqa: F811
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "templates.yaml").write_text((place / FILE).read_text().replace("dataset: mine", f"dataset: {name}"))
    code, _, err = run("evaluate", "--model", "model", "--data", "rows.csv", "--prompts", tmp_path)
    assert code == 2 and err.endswith(" has prompts for several datasets; --dataset NAME names one: one, two\n")
    with pytest.raises(t0.ConfigError, match="dataset=NAME names one: one, two"):
        t0.predict(None, tmp_path, [{"text": "a"}])


def test_prompts_that_are_not_named_are_told_how_to_be(run, monkeypatch):  # noqa: F811
    from t0native.prompts import collection

    named = "no prompts: name your own by --prompts FILE, a templates.yaml or a folder of them (`t0native prompt new` writes a first one)"
    monkeypatch.setattr(collection, "promptsource_folder", lambda: Path(t0.__file__).parent / "mini/heldout/prompts")
    for words in (
        ["evaluate", "--model", "model", "--data", "rows.csv", "--dataset", "inferense"],
        ["predict", "rows.csv", "--model", "model", "--dataset", "inferense"],
        ["prompt", "show", "inferense"],
        ["train", "rows.csv", "--model", "model", "--dataset", "inferense", "--steps", 1],
    ):
        told = run(*words)
        assert told[:2] == (2, "") and f"{named}; the installed promptsource has none for 'inferense'; did you mean 'inference'?" in told[2]


# ---- training without a recipe ---------------------------------------------------------------------------------------


def test_options_train_what_a_recipe_trains(run, place, tmp_path):  # noqa: F811
    text = f"model: {place}/model\ntasks: [{{dataset: mine, data: {place}/rows.jsonl, prompts: {place / FILE}}}]\n"
    text += f"validate: [{{dataset: mine, data: {place}/rows.csv, prompts: {place / FILE}}}]\nepochs: 2\nbatch_size: 4\nout: a\n"
    (tmp_path / "recipe.yaml").write_text(text)
    assert run("train", tmp_path / "recipe.yaml")[0] == 0
    code, out, err = run(*TRAIN, "--epochs", 2, "--out", tmp_path / "b", "--validate", "rows.csv")
    assert code == 0 and "best validation" in out, err
    a, b = ((tmp_path / name / "model.safetensors").read_bytes() for name in "ab")
    assert a == b
    assert run(*TRAIN, "--epochs", 2, "--out", tmp_path / "b", "--validate", "rows.csv")[0] == 0  # again: nothing is left to do


def test_the_command_that_a_training_answers_with_is_one(run, place, tmp_path):  # noqa: F811
    told = run("train", "rows.jsonl", "--prompts", FILE)[2]
    words = shlex.split(re.search(r"as here: t0native (.+)", told)[1])
    words = [{"MODEL": "model", "run": str(tmp_path / "run")}.get(word, word) for word in words]
    code, out, err = run(*words)
    assert code == 0 and out.startswith("Run(1 step, last loss") and (tmp_path / "run/model.safetensors").exists(), err


def test_no_training_writes_over_a_model_of_no_run(run, place, tmp_path):  # noqa: F811
    shutil.copytree(place / "model", tmp_path / "model")
    before = (tmp_path / "model/model.safetensors").read_bytes()
    for more in ((), ("--resume", "never")):
        code, _, err = run(*TRAIN, "--steps", 1, "--out", tmp_path / "model", *more)
        assert code == 2 and "model: holds a model that is of no run, and the trained one would replace it; name another folder" in err
    assert (tmp_path / "model/model.safetensors").read_bytes() == before


def test_validated_rows_that_are_trained_on_are_told_once(run, place, tmp_path):  # noqa: F811
    (tmp_path / "half.jsonl").write_text("".join((place / "rows.jsonl").read_text().splitlines(True)[:3]) + '{"text": "b", "label": 1}\n')
    words = [*TRAIN, "--steps", 4, "--set", "validate_every=1", "--validate", tmp_path / "half.jsonl", "--out", tmp_path / "run"]
    code, _, err = run(*words)
    told = (
        "validate 'mine': 3 of its 4 rows are among those that the mixture trains on: the values are better than those of new rows would be"
    )
    assert code == 0 and err.count("rows are among") == 1 and told in err
    (tmp_path / "new.jsonl").write_text('{"text": "b", "label": 1}\n')
    assert "rows are among" not in run(*words[:-3], tmp_path / "new.jsonl", "--out", tmp_path / "other")[2]


def test_figures_of_a_dry_run_can_be_read(run, place):  # noqa: F811
    for steps in (1, 1000, 10**9):
        out = run(*TRAIN, "--dry-run", "--steps", steps)[1]
        assert re.search(r"^a step takes +[\d.,]+ (ms|s) ?", out, flags=re.M) and not re.search(r"\de[+-]?\d", out.split("sha256")[0]), out
        assert re.search(r"^all steps take +[\d.,]+ (ms|s|minutes|hours|days|years) \(", out, flags=re.M) and not re.search(
            r" \d\.?\d*e[+-]", out
        )


# ---- what is printed --------------------------------------------------------------------------------------------------


def test_a_report_prints_each_of_its_texts(run, place):  # noqa: F811
    assert run("evaluate", "--model", "model", "--data", "rows.csv", "--prompts", FILE, "--limit", 2, "--out", "printed")[0] == 0
    report = t0.Report.load(place / "printed")
    starts = {"latex": report.to_latex(), "markdown": report.to_markdown(), "csv": "model,task,dataset", "html": "<!doctype html>"}
    for name, start in starts.items():
        code, out, err = run("report", "printed", f"--{name}", "-")
        assert code == 0 and out.startswith(start) and err == "" and not (place / "-").exists()
    assert run("report", "printed", "--csv", "-", "--json")[0] == 2
    both = run("report", "printed", "printed")[2]
    assert both.endswith(
        "stands in two reports; evaluate one of them again with another name for its model, t0native evaluate --label NAME\n"
    )


JSON = [
    "info model",
    "convert model {}/converted",
    "rank --model model text a b",
    "rank --model model --data rows.csv a b",
    "rank --model model --data rows.csv a b --out {}/ranked.csv",
    "generate --model model text --max-new-tokens 1",
    "generate --model model text --max-new-tokens 1 --set num_beams=2 --set num_return_sequences=2",
    "generate --model model --data rows.csv --max-new-tokens 1 --limit 2",
    "predict rows.csv --model model --prompts templates --limit 2",
    "predict rows.csv --model model --prompts templates --limit 2 --out {}/predicted.csv",
    "evaluate --model model --data rows.csv --prompts templates --limit 3 --errors --confusion --out {}/run",
    "report {}/run",
    "report {}/run --errors 2 --confusion --published",
    "train rows.csv --model model --prompts templates --steps 2 --out {}/trained",
    "train rows.csv --model model --prompts templates --steps 2 --dry-run",
    "train rows.csv --model model --prompts templates --show 1 --steps 2",
    "prompt list --prompts templates",
    "prompt list mine --prompts templates",
    "prompt show mine --prompts templates",
    "prompt apply mine --prompts templates --data rows.csv",
    "prompt check mine --prompts templates --data rows.csv",
    "prompt new again --prompts {}/new --data rows.csv",
    "data list",
    "studio import templates --data {}",
    "studio export {}/out --data {}",
]


def test_json_is_json_and_nothing_else(run, place, tmp_path):  # noqa: F811
    for line in JSON:
        code, out, err = run(*line.replace("{}", str(tmp_path)).split(), "--json")
        assert code == 0, f"{line}: {err}"
        several = line.startswith(("predict", "rank", "generate")) and "--out" not in line and ("--data" in line or "predict" in line)
        assert [json.loads(text) for text in (out.splitlines() if several else [out])], line
    for line in ("info nowhere", "report nowhere", "predict nowhere --model model --prompts templates", "rank --model model text"):
        assert run(*line.split(), "--json")[:2] == (2, "")


def test_rank_and_generate_keep_the_field_that_was_asked(run, place):  # noqa: F811
    for words in (["rank", "a", "b"], ["generate", "--max-new-tokens", 1]):
        words = [words[0], "--model", "model", "--data", "rows.csv", "--limit", 1, "--json", *words[1:]]
        line = json.loads(run(*words)[1])
        assert list(line)[:4] == ["text", "label", "row", "input"] and line["text"] == line["input"]
        assert "text" not in json.loads(run(*words, "--keep", "label")[1])
    (place / "inputs.jsonl").write_text('{"input": "a", "n": 1}\n')
    line = json.loads(run("rank", "--model", "model", "--data", "inputs.jsonl", "a", "b", "--json")[1])
    assert list(line)[:3] == ["n", "row", "input"]  # which is the field itself


def test_answers_go_to_standard_output_by_its_name(run, place):  # noqa: F811
    words = ["predict", "--data", "rows.csv", "--model", "model", "--prompts", "templates", "--limit", 1]
    assert run(*words, "--out", "-")[1] == run(*words)[1] and not (place / "-").exists()


def test_what_is_probably_meant_otherwise_is_told(run):  # noqa: F811
    code, out, err = run("rank", "--model", "model", "rows.csv", "yes, no")
    assert (
        code == 0
        and out.endswith("  yes, no\n")
        and "the text 'rows.csv' itself is read; --data rows.csv reads the rows of that file" in err
    )
    assert "one choice alone is always the best; each is an argument by itself" in err
    assert "--data rows.csv reads the rows" in run("generate", "--model", "model", "rows.csv", "--max-new-tokens", 1)[2]
    assert "one choice alone" not in run("rank", "--model", "model", "tea", "yes", "no")[2]


def test_options_of_other_verbs_abbreviate_nothing(run, place):  # noqa: F811
    words = ["rank", "--model", "model", "--data", "rows.csv", "a", "b", "--limit", 1]
    assert run(*words, "--fie", "text")[1] == run(*words, "--field", "text")[1]
    told = run("evaluate", "--model", "model", "--data", "rows.csv", "--prompt", FILE)[2]
    assert "no option --prompt here; every prompt of --prompts is evaluated" in told


def test_a_first_prompt_file_goes_where_it_is_named(run, tmp_path, place):  # noqa: F811
    file = tmp_path / "some/mine.yaml"
    assert run("prompt", "new", "mine", "--data", "rows.csv", "--prompts", file)[0] == 0
    assert t0.PromptSet.read(file).full_name == "mine"
    assert run("predict", "rows.csv", "--model", "model", "--prompts", file, "--limit", 1)[0] == 0


def test_info_lists_tensors_where_they_are_asked_for(run):  # noqa: F811
    short, long = run("info", "model")[1], run("info", "model", "--tensors")[1]
    count = json.loads(run("info", "model", "--json")[1])["tensors"]
    assert f"{len(count)} of F32; --tensors names each" in short and "shared.weight" not in short
    assert long.count("  F32   [") == len(count)


def test_a_studio_that_is_not_there_is_not_made(run, tmp_path):  # noqa: F811
    for words in (["import", "templates"], ["export", tmp_path / "out"]):
        assert run("studio", *words, "--data", tmp_path / "none")[0] == 2 and not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_studio_that_is_ended_ends_well(tmp_path, number):
    needed("waitress", "pip install '.[studio]'")
    needed("flask", "pip install '.[studio]'")
    from load_studio import server

    with server(tmp_path) as running:
        assert running.stop(number) == 0
