"""The studio's store: revisions, locking, review; P3's files in and out byte for byte."""

import io
import sqlite3
import threading
import zipfile

import pytest
import yaml

import t0native as t0
from t0native.promptsource import DatasetTemplates
from t0native.studio.exchange import check_dataset_name, export_folder, export_text, export_zip, import_folder, import_zip
from t0native.studio.forms import content_of, form_of
from t0native.studio.store import Stale, Store

TEXT = {"name": "one", "jinja": "{{ text }} ||| {{ label }}", "answer_choices": None, "reference": "", "metadata": {"original_task": True}}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "prompts.sqlite")
    yield store
    store.close()


def new(store, **fields):
    return store.create("anna", store.dataset_named("d")["id"], TEXT | fields)


def test_every_revision_is_kept_and_can_come_back(store):
    number = new(store)
    first = store.prompt(number)["content"]
    assert store.save("ben", number, 1, first | {"jinja": "{{ a }} ||| b"}) == 2
    assert store.save("ben", number, 2, first | {"jinja": "{{ a }} ||| b"}) == 2, "nothing has changed: no revision"
    store.delete("ben", number, 2)
    assert store.prompts(1) == [] and len(store.prompts(1, deleted=True)) == 1
    assert store.restore("anna", number, 3, 1) == 4
    assert store.prompt(number)["content"] == first and not store.prompt(number)["deleted"]
    told = [(row["number"], row["author"], row["action"]) for row in store.history(number)]
    assert told == [(4, "anna", "restore 1"), (3, "ben", "delete"), (2, "ben", "edit"), (1, "anna", "create")]


def test_a_stale_save_changes_nothing(store):
    number = new(store)
    content = store.prompt(number)["content"]
    store.save("ben", number, 1, content | {"reference": "ben's"})
    for late in (
        lambda: store.save("anna", number, 1, content),
        lambda: store.delete("anna", number, 1),
        lambda: store.review("anna", number, 1, "accepted"),
    ):
        with pytest.raises(Stale) as told:
            late()
        assert told.value.prompt["content"]["reference"] == "ben's"
    assert store.prompt(number)["revision"] == 2


def test_names_differ_within_a_dataset_while_they_live(store):
    number = new(store)
    with pytest.raises(t0.DataError, match="is named 'one'"):
        new(store)
    store.delete("anna", number, 1)
    second = new(store)
    with pytest.raises(t0.DataError, match="is named 'one'"):
        store.restore("anna", number, 2, 1)
    assert store.prompt(second)["revision"] == 1


def test_review_has_states_and_comments_and_an_edit_makes_a_draft_again(store):
    number = new(store)
    store.review("anna", number, 1, "in review", "please look")
    store.review("rita", number, 1, "accepted")
    assert store.prompt(number)["state"] == "accepted"
    assert [(row["author"], row["text"], row["revision"]) for row in store.comments(number)] == [("anna", "please look", 1)]
    store.save("ben", number, 1, TEXT | {"id": store.prompt(number)["uuid"], "reference": "r"})
    assert store.prompt(number)["state"] == "draft"
    with pytest.raises(t0.DataError, match="must be one of"):
        store.review("rita", number, 2, "great")
    assert [row["action"] for row in store.ask("SELECT action FROM audit ORDER BY id")] == [
        "create",
        "in review",
        "comment",
        "accepted",
        "edit",
    ]


def test_a_transaction_that_fails_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError), store.writing() as db:
        store.add_prompt(db, "anna", store.find_or_add_dataset(db, "e")["id"], TEXT)
        1 / 0  # noqa: B018
    assert store.ask("SELECT * FROM prompt") == [] and store.ask("SELECT * FROM dataset") == []


def test_writers_at_once_lose_nothing(store):
    number = new(store)
    content = store.prompt(number)["content"]

    def write(name):
        for turn in range(15):
            while True:
                base = store.prompt(number)["revision"]
                try:
                    store.save(name, number, base, content | {"reference": f"{name} {turn}"})
                    break
                except Stale:
                    continue

    threads = [threading.Thread(target=write, args=[f"writer{i}"]) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = {store.revision(number, row["number"])["reference"] for row in store.history(number)}
    assert store.prompt(number)["revision"] == 91 and kept == {f"writer{i} {turn}" for i in range(6) for turn in range(15)} | {""}


def test_a_file_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "a.sqlite").write_text("prompts " * 200)
    with pytest.raises(t0.FormatError, match=r"a\.sqlite: no store of a studio"):
        Store(tmp_path / "a.sqlite")
    with sqlite3.connect(tmp_path / "b.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(t0.FormatError, match="version 99"):
        Store(tmp_path / "b.sqlite")


# ---- P3's files -----------------------------------------------------------------------------------------------------

SHARED = """\
dataset: d
note: kept
templates:
  11111111-1111-1111-1111-111111111111: !Template
    answer_choices: null
    id: 11111111-1111-1111-1111-111111111111
    jinja: "a \\u2019 ||| b"
    metadata: &id001 !TemplateMetadata
      choices_in_prompt: null
      languages:
      - en
      metrics: []
      original_task: true
    name: 'one '
    reference: ''
    task_template: true
  22222222-2222-2222-2222-222222222222: !Template
    answer_choices: null
    id: 22222222-2222-2222-2222-222222222222
    jinja: c ||| d
    metadata: *id001
    name: two
    reference: ''
"""


def folder_of(tmp_path, text=SHARED, place="d"):
    (tmp_path / "in" / place).mkdir(parents=True)
    (tmp_path / "in" / place / "templates.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "in"


def test_an_unchanged_file_goes_out_byte_for_byte(store, tmp_path):
    folder = folder_of(tmp_path)
    assert import_folder(store, folder, "anna") == {"files": 1, "new": 2, "changed": 0, "unchanged": 0}
    assert export_text(store, 1) == SHARED
    assert import_folder(store, folder, "anna") == {"files": 1, "new": 0, "changed": 0, "unchanged": 2}
    one = store.prompt(1)
    store.save("ben", 1, 1, one["content"] | {"metadata": one["content"]["metadata"] | {"original_task": False}})
    assert "&id001" not in export_text(store, 1), "the other prompt keeps its own metadata"
    assert import_folder(store, folder, "anna")["changed"] == 1 and export_text(store, 1) == SHARED
    assert export_text(store, 1, accepted=True) is None
    store.review("rita", 2, 1, "accepted")
    assert "two" in export_text(store, 1, accepted=True) and "one" not in export_text(store, 1, accepted=True)


def test_odd_fields_come_in_are_edited_around_and_go_out(store, tmp_path):
    odd = SHARED.replace("original_task: true", "original_task:\n      - 1").replace(
        "choices_in_prompt: null", "choices_in_prompt: perhaps"
    )
    odd = odd.replace("name: two\n    reference: ''", "name: two\n    reference: 7").replace("jinja: c ||| d", 'jinja: "c\\r\\nc ||| d"')
    import_folder(store, folder_of(tmp_path, odd), "anna")
    for number in (1, 2):
        content = store.prompt(number)["content"]
        assert content_of(form_of(content), content) == (content, {}), "an unchanged form changes nothing"
        changed, _ = content_of(form_of(content) | {"name": f"new {number}"}, content)
        assert changed == content | {"name": f"new {number}"}
    assert export_text(store, 1) == odd


def test_the_first_file_names_a_dataset_that_rows_have_made(store, tmp_path):
    store.dataset_named("user", "d")
    folder = folder_of(tmp_path, SHARED.replace("dataset: d", "dataset: user/d"), "user/d")
    import_folder(store, folder, "anna")
    assert export_text(store, 1) == (folder / "user/d/templates.yaml").read_text() and store.dataset(1)["dataset"] == "user/d"


def test_a_zip_goes_round(store, tmp_path):
    import_folder(store, folder_of(tmp_path), "anna")
    data = export_zip(store)
    assert zipfile.ZipFile(io.BytesIO(data)).namelist() == ["templates/d/templates.yaml"] and export_zip(store) == data
    other = Store(tmp_path / "other.sqlite")
    assert import_zip(other, data, "ben")["new"] == 2 and export_text(other, 1) == SHARED
    assert export_folder(other, tmp_path / "out") == 1 and (tmp_path / "out/d/templates.yaml").read_text() == SHARED
    other.close()


@pytest.mark.parametrize("text, told", [
    (SHARED.replace("name: two", "name: 'one '"), "is named 'one '"),
    (SHARED.replace("id: 22222222-2222-2222-2222-222222222222", "id: x"), "must be the same"),
    (SHARED.replace("note: kept", "note: 2020-01-01"), "note is a date: write it as text"),
    (SHARED.replace("note: kept", "note: !!python/object:os.system {}"), "could not determine a constructor"),
    (SHARED.replace("!Template\n", "\n"), "must be tagged !Template"),
    ("- a", "must be a mapping"),
])  # fmt: skip
def test_a_broken_file_is_refused_whole(store, tmp_path, text, told):
    folder = folder_of(tmp_path, text)
    (folder / "a").mkdir()
    (folder / "a/templates.yaml").write_text(SHARED.replace("dataset: d", "dataset: a"))
    with pytest.raises(t0.Error, match=told):
        import_folder(store, folder, "anna")
    assert store.ask("SELECT * FROM prompt") == []


def zip_of(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, SHARED)
    return out.getvalue()


@pytest.mark.parametrize("data", [
    b"", b"PK\x03\x04 broken", zip_of("../d/templates.yaml"), zip_of("/etc/templates.yaml"), zip_of("a/b/c/d/templates.yaml"), zip_of("d/other.yaml"),
    zip_of("d/templates.yaml")[:-30], zip_of("d/templates.yaml")[9:], zip_of("d/templates.yaml", "d/templates.yaml/templates.yaml"), zip_of("C:/templates.yaml"), zip_of(".git/templates.yaml"),
])  # fmt: skip
def test_malformed_zips_are_refused(store, data):
    with pytest.raises(t0.Error):
        import_zip(store, data, "anna")
    assert store.ask("SELECT * FROM dataset") == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a",
        "a/../b",
        "/a",
        "a/",
        "a//b",
        "a b",
        "a\\b",
        "a\0",
        "con",
        "nul.txt",
        "a/b/c/d",
        ".hidden",
        "ü",
        "a\n",
        "x" * 101,
        "~",
        "-a",
        "a.",
    ],
)
def test_hostile_names_of_datasets(name):
    with pytest.raises(t0.DataError, match="dataset name"):
        check_dataset_name(name)


class _Loader(yaml.CSafeLoader):
    pass


class _Template(yaml.YAMLObject):
    """As promptsource declares it."""

    yaml_tag, yaml_loader = "!Template", _Loader


class _Metadata(yaml.YAMLObject):
    yaml_tag, yaml_loader = "!TemplateMetadata", _Loader


def test_all_of_p3_goes_round(store, tmp_path, promptsource_folder):
    told = import_folder(store, promptsource_folder, "anna")
    assert (told["files"], told["new"]) == (279, 2085)
    assert export_folder(store, tmp_path / "out") == 279
    folded = 0  # files whose lines somebody's other YAML writer has folded
    for path in promptsource_folder.rglob("templates.yaml"):
        out, there = (tmp_path / "out" / path.relative_to(promptsource_folder)).read_bytes(), path.read_bytes()
        if out != there:
            folded += 1
            if folded < 7:  # a dump by Python takes its time
                assert out == yaml.dump(yaml.load(there, _Loader)).encode(), path  # noqa: S506 - a safe loader
    assert folded == 31
    rte = [DatasetTemplates("super_glue", "rte", folder=folder).templates for folder in (tmp_path / "out", promptsource_folder)]
    assert rte[0] == rte[1] and len(rte[0]) > 9
