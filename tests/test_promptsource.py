"""The drop-in for promptsource: its classes over our templates, and files that PyYAML writes for promptsource byte for byte."""

import copy
import json
import pickle
import random
import sys
from types import SimpleNamespace

import pytest

import t0native as t0
from t0native.promptsource import DatasetTemplates, Template, TemplateCollection, removeHyphen

FILE = """dataset: d
subset: s
templates:
  1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b: !Template
    answer_choices: "no ||| \\xE9t\\xE9"
    id: 1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b
    jinja: '{{ text }}

      Is it so? |||

      {{ answer_choices[label] }}'
    metadata: &id001 !TemplateMetadata
      choices_in_prompt: true
      languages:
      - en
      metrics:
      - Accuracy
      original_task: true
    name: one
    reference: ''
  2b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b: !Template
    answer_choices: null
    id: 2b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b
    jinja: '{{ ["a", "b", "c", "d", "e", "f", "g", "h"] | choice }} ||| {{ text }}'
    metadata: *id001
    name: two
    reference: ours
    task_template: false
"""


@pytest.fixture()
def folder(tmp_path):
    place = tmp_path / "d" / "s"
    place.mkdir(parents=True)
    (place / "templates.yaml").write_text(FILE, encoding="utf-8")
    return tmp_path


def test_a_file_is_written_back_byte_for_byte(folder):
    templates = DatasetTemplates("d", "s", folder)
    assert templates.all_template_names == ["one", "two"] and len(templates) == 2
    one, two = templates["one"], templates["two"]
    assert one.metadata is two.metadata and two.task_template is False
    templates.write_to_file()
    assert (folder / "d/s/templates.yaml").read_text(encoding="utf-8") == FILE


def test_every_public_file_is_written_as_pyyaml_writes_it(public_data):
    """The files of promptsource's last commit are its own dumps; nothing of them may change."""
    collection = TemplateCollection(public_data / "promptsource" / "templates")
    assert len(collection) == len(collection.keys) == 210 and sum(collection.get_templates_count().values()) == 1561
    from t0native.promptsource import yaml_text

    for key in collection.keys[::9]:
        templates = collection.get_dataset(*key)
        with open(templates.yaml_path, encoding="utf-8") as file:
            assert yaml_text(templates.format_for_dump()) == file.read(), key


def test_public_rows_through_the_drop_in(public_data):
    collection = TemplateCollection(public_data / "promptsource" / "templates")
    with open(public_data / "promptsource" / "cases.jsonl", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines][::40]
    for row in rows:
        template = collection.get_dataset(row["dataset"], row["subset"])[row["template"]]
        if not row.get("random"):
            assert template.apply(row["example"]) == row["expected_parts"]
            assert template.get_answer_choices_list(row["example"]) == row["expected_choices"]


def test_templates_are_added_changed_and_removed(folder):
    mine = DatasetTemplates("new", folder=folder)
    assert len(mine) == 0 and not (folder / "new").exists()
    made = Template("ask", "{{ text }} ||| {{ answer_choices[label] }}", "ours", answer_choices="no ||| yes")
    mine.add_template(made)
    assert DatasetTemplates("new", folder=folder)["ask"] == made
    mine.update_template("ask", "tell", "{{ text }}! ||| {{ label }}", "", Template.Metadata(original_task=False), None)
    again = DatasetTemplates("new", folder=folder)["tell"]
    assert (again.id, again.get_name(), again.get_answer_choices_expr()) == (made.id, "tell", None)
    assert again.apply({"text": "so", "label": 1}) == ["so!", "1"] and again.metadata.original_task is False
    assert t0.PromptCollection.load(folder)["new"]["tell"].jinja == again.jinja
    with pytest.raises(ValueError, match="templates.yaml: no template is named 'ask'"):
        mine.remove_template("ask")
    mine.remove_template("tell")
    assert not (folder / "new").exists() and (folder / "d/s/templates.yaml").exists()


def test_removing_the_last_template_leaves_other_files_alone(folder):
    templates = DatasetTemplates("d", "s", folder)
    (folder / "d/s/notes.txt").write_text("kept")
    templates.remove_template("one")
    templates.remove_template("two")
    assert [path.name for path in (folder / "d/s").iterdir()] == ["notes.txt"]


def test_a_changed_template_is_compiled_anew(folder):
    template = DatasetTemplates("d", "s", folder)["one"]
    example = {"text": "x", "label": 1}
    assert template.apply(example) == ["x\nIs it so?", "été"] and template.get_fixed_answer_choices_list() == ["no", "été"]
    template.answer_choices = "no ||| yes"
    assert template.apply(example)[1] == "yes"
    template.jinja = "{{ text }} ||| {{ nothing.at.all }}"
    with pytest.raises(t0.TemplateError, match="prompt 'one', line 1"):
        template.apply(example)
    with pytest.raises(ValueError, match="reserved key 'answer_choices'"):
        template.apply({"answer_choices": []})


def test_random_choices_follow_the_seed_of_random(folder):
    template = DatasetTemplates("d", "s", folder)["two"]

    def draws():
        random.seed(3)
        return [template.apply({"text": "x"})[0] for _ in range(40)]

    assert draws() == draws() and len(set(draws())) > 3


def test_templates_are_copied_compared_and_pickled(folder):
    template = DatasetTemplates("d", "s", folder)["one"]
    template.apply({"text": "x", "label": 0})
    for other in (copy.deepcopy(template), pickle.loads(pickle.dumps(template))):
        assert other == template and hash(other) == hash(template) and other is not template
        assert other.apply({"text": "x", "label": 0}) == ["x\nIs it so?", "no"]
    assert Template("a", "b", "") != Template("a", "b", "") and template != template.metadata


@pytest.mark.parametrize("broken, problem", [
    (FILE.replace("jinja: '{{ [", "jinja: [a]\n    ignored: '{{ ["), "line 21: a template's jinja must be text, is list"),
    (FILE.replace("!Template\n    answer_choices: null", "!!python/object:os.system\n    answer_choices: null"), "line 21: could not determine a constructor"),
    (FILE.replace("2b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b: !Template", "b:"), "every entry of templates must be tagged !Template"),
])  # fmt: skip
def test_broken_files(folder, broken, problem):
    assert broken != FILE
    (folder / "d/s/templates.yaml").write_text(broken)
    with pytest.raises(t0.FormatError, match=problem):
        DatasetTemplates("d", "s", folder)


def test_a_full_disk_leaves_the_old_file(folder, monkeypatch):
    templates = DatasetTemplates("d", "s", folder)

    def refuse(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="no space left on the disk"):
        templates.add_template(Template("n", "a ||| b", ""))
    assert [path.name for path in (folder / "d/s").iterdir()] == ["templates.yaml"]
    assert (folder / "d/s/templates.yaml").read_text(encoding="utf-8") == FILE


def test_hyphens():
    assert removeHyphen({"a-b-c": "x-y", "d": 1}) == {"a_b_c": "x-y", "d": 1}


def test_the_table(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=list))
    one, two = TemplateCollection(folder).get_templates_data_frame()
    assert list(one) == "id dataset subset name reference original_task choices_in_prompt metrics languages answer_choices jinja".split()
    assert (one["subset"], one["metrics"], one["answer_choices"], two["reference"]) == ("s", ["Accuracy"], "no ||| été", "ours")
