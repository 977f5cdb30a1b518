"""A draft's accuracy by the loaded model, rows that are counted, times as people read them."""

import json
import re
import time
from datetime import datetime, timedelta, timezone

import pytest
from conftest import needed
from studio_client import Browser, main_of, make_folder

needed("flask", "pip install '.[studio]'", module_level=True)

import t0native as t0  # noqa: E402
from t0native.studio import drafts  # noqa: E402
from t0native.studio.app import Studio, create_app  # noqa: E402
from t0native.studio.drafts import accuracy  # noqa: E402
from t0native.studio.times import when  # noqa: E402

KEEPERS = "{{ text }} Who keeps the dog? ||| {{ answer_choices[label] }}"
FORM = {"name": "p", "jinja": KEEPERS, "answer_choices": "Anna ||| Ben", "languages": "en"}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A studio with the miniature, and 60 rows of which it knows the answers; the label of every tenth is wrong."""
    place = tmp_path_factory.mktemp("drafts")
    folder = make_folder(place / "rows")
    rows = [{"text": "Anna keeps a cat. Ben keeps a dog.", "label": int(i % 10 != 9)} for i in range(60)]
    (folder / "mine/first/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    t0.Model.mini().save(place / "model")
    studio = Studio(folder, workers=1, model=place / "model")
    yield studio, Browser(create_app(studio))
    studio.close()


@pytest.mark.parametrize("path", ["/preview", "/dataset/1/new"])
def test_a_draft_is_judged_on_fifty_rows_and_every_answer_is_shown(asked, path):
    _, browser = asked
    answer = browser.post(path, 200, dataset="1", accuracy="1", **FORM)
    page = main_of(answer) if "<main" in answer.text else re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))
    assert "Accuracy on 50 rows 90% 45 of 50 right; 95% interval 79% to 96%. Always “Ben” would have 90%." in page
    table = answer.text.partition("<tbody>")[2].partition("</tbody>")[0]
    assert (
        table.count("<tr") == 50
        and table.count('<tr class="wrong"') == 5
        and '<td class="n">49</td><td>no</td><td>Ben</td><td>Anna</td>' in table
    )
    assert answer.text.count("The model answers <strong>Ben</strong>: right") == 5
    assert "judged" not in browser.post(path, 200, dataset="1", answers="1", **FORM).text


def test_rows_from_the_offset_on_and_rows_without_an_answer(asked):
    _, browser = asked
    text = browser.post(
        "/preview",
        200,
        dataset="1",
        accuracy="1",
        offset="55",
        **FORM | {"jinja": KEEPERS.replace("{{ text", "{% if label %}{{ text").replace(" |||", "{% endif %} |||")},
    ).text
    assert (
        "Accuracy on 5 rows" in text
        and "4 of 4 right" in text
        and "1 of these rows are dropped" in text
        and '<td class="n">59</td><td>–</td>' in text
    )


def test_what_keeps_a_draft_from_being_judged_is_told(asked, monkeypatch):
    studio, browser = asked
    text = browser.post("/preview", 200, dataset="1", accuracy="1", **FORM | {"jinja": "{{ text | sort( ||| b"}).text
    assert "does not compile" in text and "Accuracy on" not in text
    monkeypatch.setattr(studio.answers, "ask", lambda *_: None)
    assert "others are asking the model" in browser.post("/preview", 200, dataset="1", answers="1", **FORM).text

    def fail(*_):
        raise t0.DataError("no room for 9 GB")

    monkeypatch.setattr(studio.answers, "ask", fail)
    for button in ("answers", "accuracy"):
        text = browser.post("/preview", 200, dataset="1", **{button: "1"}, **FORM).text
        assert "The model gave no answer: DataError: no room for 9 GB" in text and "<mark>Ben</mark>" in text and "Template:" not in text


def test_time_that_is_over_leaves_the_rest_unasked(asked, monkeypatch):
    _, browser = asked
    monkeypatch.setattr(drafts, "SECONDS", 0.0)
    text = browser.post("/preview", 200, dataset="1", accuracy="1", **FORM).text
    told = re.search(r"The time was over after (\d+) of 50 rows", text)
    assert told and int(told[1]) < 50


def test_accuracy_by_hand():
    rows = [{"input_text": str(i), "target_text": "a" if i < 3 else "b"} for i in range(4)]
    told = accuracy(rows, [{"answer": "a", "right": i < 3} for i in range(4)], 10)
    assert (told["right"], told["judged"], told["share"], told["constant"]) == (3, 4, 0.75, ("a", 0.75))
    assert (round(told["low"], 3), round(told["high"], 3)) == (0.301, 0.954)  # Wilson's interval of 3 of 4
    assert [one["row"] for one in told["each"]] == [10, 11, 12, 13] and accuracy([], [])["judged"] == 0


def test_a_studio_without_a_model_has_no_button(tmp_path):
    studio = Studio(make_folder(tmp_path / "rows"), workers=1)
    try:
        browser = Browser(create_app(studio))
        assert 'name="accuracy"' not in browser.get("/dataset/1/new").text
        assert "Accuracy on" not in browser.post("/preview", 200, dataset="1", accuracy="1", **FORM).text
    finally:
        studio.close()


def test_rows_of_csv_files_are_counted_before_they_are_opened(tmp_path):
    folder = make_folder(tmp_path / "rows")
    (folder / "quoted.csv").write_text('text,label\n"two\nlines",1\n\nb,0\n')
    (folder / "tabs.tsv").write_text('text\tlabel\n"said\t1\nb\t0\nc\t1\n')
    (folder / "broken.csv").write_text("text,label\na\n")
    (folder / "empty.csv").write_text("")
    studio = Studio(folder, workers=0)
    counts = {
        row["full"]: row["n_rows"] for row in studio.store.ask("SELECT full, n_rows FROM file JOIN dataset ON dataset.id = dataset_id")
    }
    assert counts == {"mine/first": 60, "single": 2, "quoted": 2, "tabs": 3, "broken": None, "empty": None}
    number = studio.store.one("SELECT file.id FROM file JOIN dataset ON dataset.id = dataset_id WHERE full = 'quoted'")["id"]
    assert len(studio.data.rows(number)[0]) == 2
    with studio.store.writing() as db:
        db.execute("UPDATE file SET n_rows = NULL")  # as a studio of 0.1.0 left them
    studio.data.scan()
    assert studio.store.one("SELECT n_rows FROM file WHERE id = ?", number)["n_rows"] == 2
    studio.close()


def test_times_are_told_as_people_say_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TZ", "Europe/Paris")
    time.tzset()
    try:
        at = datetime.now(timezone.utc) - timedelta(minutes=3, seconds=5)
        text = when(f"{at:%Y-%m-%dT%H:%M:%SZ}")
        assert text.startswith(f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}" title="') and text.endswith(">3 minutes ago</time>")
        assert 'title="1 February 2025, 00:30:00 UTC+0100">1 February 2025</time>' in when("2025-01-31T23:30:00Z")
        assert 'title="1 August 2020, 00:30:00 UTC+0200">1 August 2020</time>' in when("2020-07-31T22:30:00Z")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert when(None) == "" and when("<b>") == "<b>"
    studio = Studio(make_folder(tmp_path / "rows"), workers=0)
    studio.store.create("local", 1, {"name": "p", "jinja": "a ||| b", "metadata": None})
    browser = Browser(create_app(studio))
    for path in ("/dataset/1", "/prompt/1/history", "/log", "/contributors", "/review?state=draft"):
        assert re.search(r'<time datetime="20[-0-9]{8}T[0-9:]{8}Z" title="[^"]+">just now</time>', browser.get(path).text), path
    studio.close()
