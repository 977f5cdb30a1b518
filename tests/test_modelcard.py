"""The model card: README.md of what is saved, trained and converted."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import t0native as t0
from t0native.checkpoints.modelcard import Card, card_text, code, is_hub_name, read_card
from t0native.cli.main import main
from t0native.training.stepfolders import check_files, read_manifest, steps_in
from t0native.training.stepfolders import step_folder as folder_of_step

HOSTILE = [
    'x"\nlicense: mit\n---\n# owned',
    "- a\n- b",
    "a | b\\| c",
    "`rm` <script>alert(1)</script>",
    "-->",
    "\x1b[2J",
    "\u202etxt.exe",
    "[click](http://example.org)",
    "n" * 100_000,
    "## Training",
    "\ud800",
]


def task_of(name, *, dataset=None, prompts=("plain",)):
    rows = [{"text": f"line {i}", "label": i % 2} for i in range(8)]
    return t0.Task(
        name,
        rows,
        [t0.Prompt(prompt, "{{ text }}? ||| {{ answer_choices[label] }}", answer_choices="yes ||| no") for prompt in prompts],
        dataset=dataset,
    )


def train(model, tasks, out=None, steps=2, **more):
    return t0.train(model, tasks, steps=steps, batch_size=2, out=out, progress=False, **more)


def metadata_of(text):
    """What the front matter says, as YAML reads it, and the rest."""
    opening, front, body = re.split(r"^---\n", text, maxsplit=2, flags=re.M)
    assert opening == ""
    return yaml.safe_load(front), body


def used(folder):
    """What the card's own program prints in its folder, in a process of its own."""
    program = re.search(r"^```python\n(.*?)^```$", (folder / "README.md").read_text(), flags=re.S | re.M)[1]
    environment = {**os.environ, "PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    ran = subprocess.run([sys.executable, "-P", "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_what_is_trained_and_saved_has_a_card_that_the_hub_reads(tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    model = t0.mini.new_model(1)
    tasks = [task_of("rte", dataset="super_glue", prompts=("one", "two")), task_of("mine", dataset="reviews")]
    train(model, tasks, tmp_path / "run", validate=task_of("valid"), validate_every=1)
    model.card = Card("google/t5-small-lm-adapt", datasets=model.card.datasets, trainings=model.card.trainings)
    model.save(tmp_path / "saved")
    card = hub.ModelCard.load(tmp_path / "saved/README.md")
    assert (card.data.library_name, card.data.pipeline_tag, card.data.license) == ("t0native", "text2text-generation", None)
    assert card.data.base_model == "google/t5-small-lm-adapt" and card.data.language is None
    assert card.data.datasets == ["aps/super_glue"]  # as the hub calls it; "reviews" is nobody's there but by chance
    for name in [card.data.base_model, *card.data.datasets]:
        hub.utils.validate_repo_id(name)
    assert f"Made by t0native {t0.__version__}" in card.text and "\n# license: " in (tmp_path / "saved/README.md").read_text()
    assert "| `rte` | `super_glue` |" in card.text and "| 2 | `one`, `two` |" in card.text and "| steps | 2 |" in card.text
    assert "| learning_rate | `0.001` |" in card.text and "| `valid` |" in card.text and "step 2" in card.text
    assert hub.ModelCard.load(tmp_path / "run/README.md").data.datasets == ["aps/super_glue"]


def test_the_program_of_a_card_runs_as_it_stands(tmp_path):
    model = t0.Model.mini()
    model.to("int8").save(tmp_path / "packed")
    ids = t0.Model.init(t0.Config(vocab_size=40, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2))
    ids.save(tmp_path / "ids")
    assert used(tmp_path / "packed").splitlines()[0] in ("positive", "negative") and used(tmp_path / "ids").splitlines()[0] in (
        "[0]",
        "[39]",
    )


def test_a_readme_of_somebody_is_never_written_over(tmp_path):
    model, folder = t0.mini.new_model(1), tmp_path / "m"
    model.save(folder)
    written = (folder / "README.md").read_bytes()
    for changed in (b"mine\n", written + b"One more line.\n", written.replace(b"Made by", b"made by"), b"", b"\xff" + written):
        (folder / "README.md").write_bytes(changed)
        model.save(folder)
        train(model, task_of("a"), folder / "run")
        assert (folder / "README.md").read_bytes() == changed
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to("nowhere")
    model.save(folder)
    assert os.readlink(folder / "README.md") == "nowhere" and not (folder / "nowhere").exists()
    (folder / "README.md").unlink()
    (folder / "README.md").mkdir()
    model.save(folder)
    assert (folder / "README.md").is_dir() and (folder / "model.safetensors").is_file()


def test_a_card_that_nobody_touched_is_that_of_the_last_model_saved(tmp_path):
    t0.mini.new_model(1).save(tmp_path)
    t0.mini.new_model(2).save(tmp_path)
    assert "of seed 2" in (tmp_path / "README.md").read_text()


def test_a_run_that_went_on_has_the_cards_of_one_that_did_not(tmp_path):
    """Of the run, of its best model and of each checkpoint: broken off at any step, gone on with by the first model or by the saved one."""
    options = {"validate": task_of("v"), "validate_every": 2, "select": True, "checkpoint_every": 2, "keep": 9}
    tasks = [task_of("v", prompts=("a", "b")), task_of("other")]
    options["validate"].rows = [{"text": f"new {i}", "label": i % 2} for i in range(6)]
    train(t0.mini.new_model(4), tasks, tmp_path / "whole", steps=6, **options)
    train(t0.mini.new_model(4), tasks, tmp_path / "twice", steps=4, **options)
    assert "| steps | 4 |" in (tmp_path / "twice/README.md").read_text()
    train(t0.Model.from_pretrained(tmp_path / "twice/checkpoints/step-000004"), tasks, tmp_path / "twice", steps=5, **options)
    train(t0.mini.new_model(4), tasks, tmp_path / "twice", steps=6, **options)
    cards = {path.relative_to(tmp_path / "whole"): path.read_bytes() for path in (tmp_path / "whole").rglob("README.md")}
    assert len(cards) == 5 and set(map(str, cards)) >= {"README.md", "best/README.md", "checkpoints/step-000006/README.md"}
    for path, card in cards.items():
        assert (tmp_path / "twice" / path).read_bytes() == card, path
    text = cards[Path("README.md")].decode()
    assert text.count("## Training") == 1 and "random numbers of seed 4" in text and "| steps | 6 |" in text


def test_a_checkpoints_card_may_be_changed(tmp_path):
    """It is not in the manifest: the checkpoint is whole without it, and a run goes on from it."""
    model = t0.mini.new_model(1)
    train(model, task_of("a"), tmp_path)
    place = folder_of_step(tmp_path, steps_in(tmp_path)[-1])
    assert (place / "README.md").is_file() and "README.md" not in read_manifest(place)["files"]
    (place / "README.md").write_text("mine")
    check_files(place, read_manifest(place)["files"])
    assert train(model, task_of("a"), tmp_path, steps=3).steps == 3


def test_each_training_of_a_model_is_told(tmp_path):
    model = t0.mini.new_model(1)
    train(model, task_of("first"))
    train(model, task_of("second"))
    train(model, task_of("second"))
    model.to("bfloat16").save(tmp_path)
    text = (tmp_path / "README.md").read_text()
    assert re.findall(r"^\| `(first|second)` \|", text, flags=re.M) == ["first", "second", "second"]
    assert text.count("| weights from | the model of the training above |") == 2
    assert read_card(tmp_path).trainings == model.card.trainings


def test_conversion_keeps_its_own_cards_trainings_and_copies_no_others(tmp_path, capfd):
    model = t0.mini.new_model(1)
    train(model, task_of("glue", dataset="glue"), tmp_path / "run")
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "half")]) == 0
    text = (tmp_path / "half/README.md").read_text()
    assert "| `glue` |" in text and "| weights | bfloat16 |" in text and metadata_of(text)[0]["datasets"] == ["nyu-mll/glue"]
    assert "README.md" not in capfd.readouterr().err
    (tmp_path / "run/README.md").write_text("Licence: mine alone.\n")
    assert main(["convert", str(tmp_path / "run"), str(tmp_path / "again"), "--dtype", "int8"]) == 0
    assert "run/README.md: is not copied" in capfd.readouterr().err
    text = (tmp_path / "again/README.md").read_text()
    assert "mine alone" not in text and "## Training" not in text and 'from_pretrained(".", "int8")' in text
    assert used(tmp_path / "again")


def test_names_of_files_are_texts_in_a_card(tmp_path):
    def trained(names):
        model = t0.mini.new_model(1)
        tasks = [task_of(name, dataset=f"owner/{name}", prompts=(name,)) for name in names]
        train(model, tasks, steps=1, validate=[task_of(name) for name in names])
        return model

    trained(HOSTILE).save(tmp_path)
    text, plain = (tmp_path / "README.md").read_text(encoding="utf-8"), trained([f"a {i}" for i in range(len(HOSTILE))])
    other = card_text(plain.card, plain.config, "float32")
    (metadata, body), (other_metadata, other_body) = metadata_of(text), metadata_of(other)
    assert metadata == other_metadata and body.count("\n") == other_body.count("\n")
    assert re.findall(r"^#.*", body, flags=re.M) == re.findall(r"^#.*", other_body, flags=re.M)
    assert "<" not in outside_of_code(body) and "](" not in outside_of_code(body) and "\x1b" not in text and "\u202e" not in text
    bars = [[line.count("|") for line in outside_of_code(card).splitlines()] for card in (body, other_body)]
    assert bars[0] == bars[1] and len(text) < 20_000  # no cell ends within a name


def outside_of_code(text):
    """What of a card's trainings Markdown could take for more than text."""
    return re.sub(r"`[^`\n]*`|<code>[a-zA-Z0-9 &#;]*</code>", "", text.split("\n## Training\n")[1].split("\n## Licence\n")[0])


def test_cells_of_code():
    """Outside of code, a sign that ends it or the cell is a character reference."""
    for text in HOSTILE:
        cell = code(text)
        inner = cell[1:-1] if cell[0] == "`" else re.fullmatch("<code>(.*)</code>", cell)[1]
        assert not re.search(r"[`|\n]", inner) and ("\\" not in inner or cell[0] != "`")


def test_hub_names():
    hub = pytest.importorskip("huggingface_hub")
    names = [
        "glue",
        "aps/super_glue",
        "a" * 96,
        "a.b",
        "x_",
        "1",
        "null",
        "a--b",
        "a..b",
        "a.git",
        "a/b/c",
        "-a",
        "a-",
        ".",
        "",
        "a b",
        "a\n",
    ]
    for name in [*names, *HOSTILE]:
        try:
            hub.utils.validate_repo_id(name)
        except hub.errors.HFValidationError:
            assert not is_hub_name(name), name
        else:
            assert is_hub_name(name), name


def test_a_card_that_pretends_to_be_its_own_brings_nothing_but_texts(tmp_path):
    """Anybody can write its last line; what is read back are names that the hub could have, and sections as they stand."""
    from hashlib import sha256

    text = '---\nbase_model: "../../etc"\ndatasets:\n- "a: b"\n- {x: y}\n- "glue"\n---\n## Other\n## Training\nhello\n## Licence\n'
    last = f"<!-- t0native: written by t0native, unchanged while this is the SHA-256 of what stands above: {sha256(text.encode()).hexdigest()} -->\n"
    (tmp_path / "README.md").write_text(text + last)
    assert read_card(tmp_path) == Card(None, "", ("glue",), ("## Training\nhello",))
    for broken in (last, "---\n" + last, text, last + text):
        (tmp_path / "README.md").write_text(broken)
        assert read_card(tmp_path) == Card()
