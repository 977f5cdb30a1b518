"""The studio's pages as a client without JavaScript sees them: every page, every refusal."""

import io
import json
import random
import re
import shutil
import time
import zipfile

import pytest
from conftest import needed
from studio_client import CHOICES, ROWS, Browser, main_of, make_folder

needed("flask", "pip install '.[studio]'", module_level=True)

import t0native as t0  # noqa: E402
from t0native.studio.accounts import Accounts  # noqa: E402
from t0native.studio.answers import Answers  # noqa: E402
from t0native.studio.app import Studio, create_app  # noqa: E402
from t0native.studio.forms import blank, differences, merge  # noqa: E402
from t0native.studio.renderer import work  # noqa: E402


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    studio = Studio(make_folder(tmp_path_factory.mktemp("studio")), workers=1)
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def app(studio):
    return create_app(studio)


@pytest.fixture
def browser(studio, app):
    with studio.store.writing() as db:  # each test begins with rows and no prompts
        for table in ("comment", "revision", "prompt", "audit"):
            db.execute(f"DELETE FROM {table}")
    studio.read_only = False
    studio.attempts._failed.clear()
    return Browser(app)


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    path = tmp_path_factory.mktemp("users") / "users.json"
    for role in ("reader", "writer", "reviewer"):
        Accounts(path).add(role, f"password of {role}", role)
    return path


@pytest.fixture
def group(studio, app, users, tmp_path, browser):
    """A function: the browser of a user of that name, who has this role."""
    shutil.copy(users, tmp_path)
    studio.accounts = Accounts(tmp_path / users.name)

    def enter(role):
        one = Browser(app)
        one.log_in(role, f"password of {role}")
        return one

    yield enter
    studio.accounts = None


def number_of(studio, full):
    return studio.store.one("SELECT id FROM dataset WHERE full = ?", full)["id"]


@pytest.fixture
def first(studio):
    return number_of(studio, "mine/first")


def current(studio, number):
    return studio.store.prompt(number)


# ---- looking --------------------------------------------------------------------------------------------------------


def test_overview_counts_what_there_is(browser, first):
    browser.write(first, name="one", original_task="yes")
    page = main_of(browser.get("/"))
    assert "Training rows 60" in page and "Prompts 1" in page and "mine first 60 1 1 0 one" in page and "single" in page


def test_a_dataset_shows_files_schema_card_and_prompts(browser, first):
    browser.write(first)
    answer = browser.get(f"/dataset/{first}")
    page = main_of(answer)
    assert "train : 60 rows" in page and "text text" in page and "label whole number" in page and "note nothing" in page
    assert "&lt;b&gt;bold&lt;/b&gt;" in answer.text and "1 prompts" in page


def test_rows_stand_beside_what_a_prompt_makes_of_them(browser, first):
    number = browser.write(first)
    assert "Anna drinks tea" in main_of(browser.get(f"/dataset/{first}/rows"))
    answer = browser.get(f"/dataset/{first}/rows?prompt={number}&offset=50")
    assert answer.text.count('<section class="example') == 10 and "Row 59" in main_of(answer)
    assert "<mark>Anna drinks juice</mark>. True or false?" in answer.text
    assert "No rows here: the file has 60" in main_of(browser.get(f"/dataset/{first}/rows?offset=999"))
    browser.get(f"/dataset/{first}/rows?file=999", 404)
    browser.get(f"/dataset/{first}/rows?prompt=999", 404)


def test_search_finds_every_word_and_takes_signs_for_themselves(browser, first):
    browser.write(first, name="100% sure", reference="from Ben")
    browser.write(first, name="other", jinja="{{ text }} ||| no")
    assert "100% sure" in main_of(browser.get("/search?q=sure+Ben")) and "other" not in main_of(browser.get("/search?q=%25"))
    assert "0 found" in main_of(browser.get("/search?q=metadata")) and "2 found" in main_of(browser.get("/search?state=draft&author=local"))


def test_pages_that_are_not_there_say_so(browser):
    for path in (
        "/dataset/99",
        "/prompt/99",
        "/prompt/99/edit",
        "/prompt/99/history",
        "/nothing",
        "/prompt/" + "9" * 30,
        "/dataset/1/../../etc/passwd",
        "/static/../app.py",
    ):
        assert "404" in browser.get(path, 404).text
    browser.get("/review?state=great", 400)
    assert "405" in browser.get("/preview", 405).text


# ---- writing --------------------------------------------------------------------------------------------------------


def test_a_prompt_is_written_edited_undone_and_deleted(browser, studio, first):
    number = browser.write(first, metrics=["Accuracy", "Other"], original_task="yes", choices_in_prompt="no")
    content = current(studio, number)["content"]
    assert content["metadata"] == {"original_task": True, "choices_in_prompt": False, "metrics": ["Accuracy", "Other"], "languages": ["en"]}
    form = {"name": "one ", "jinja": CHOICES + "\r\nx", "answer_choices": "", "languages": "en, fr", "base": "1", "save": "1"}
    browser.post(f"/prompt/{number}/edit", **form)
    content = current(studio, number)["content"]
    assert (content["name"], content["jinja"], content["answer_choices"]) == ("one ", CHOICES + "\nx", None)
    page = browser.get(f"/prompt/{number}/history").text
    assert "<ins>" in page and "edit" in page
    browser.post(f"/prompt/{number}/restore", base="2", to="1")
    assert current(studio, number)["content"]["name"] == "one" and current(studio, number)["revision"] == 3
    browser.post(f"/prompt/{number}/restore", 409, base="2", to="1")
    browser.post(f"/prompt/{number}/restore", 404, base="3", to="77")
    browser.post(f"/prompt/{number}/delete", 409, base="1")
    browser.post(f"/prompt/{number}/delete", base="3")
    assert "This prompt is deleted" in main_of(browser.get(f"/prompt/{number}/history")) and "1 deleted" in main_of(
        browser.get(f"/dataset/{first}")
    )
    browser.post(f"/prompt/{number}/restore", base="4", to="3")
    assert not current(studio, number)["deleted"]


def test_a_form_that_says_the_same_makes_no_revision(browser, studio, first):
    number = browser.write(first, metrics=["Accuracy"])
    page = browser.get(f"/prompt/{number}/edit").text
    assert 'value="Accuracy" checked' in page
    form = {
        "name": "one",
        "jinja": CHOICES,
        "answer_choices": "false ||| true",
        "reference": "",
        "metrics": "Accuracy",
        "languages": "en",
        "base": "1",
        "save": "1",
    }
    answer = browser.post("/preview", 200, dataset=str(first), prompt=str(number), **form | {"jinja": "New: " + CHOICES})
    assert "Difference to the saved version" in answer.text and "<ins>New: </ins>" in answer.text
    assert "Nothing has changed" in browser.post(f"/prompt/{number}/edit", follow=True, **form).text
    assert current(studio, number)["revision"] == 1


@pytest.mark.parametrize("fields, told", [
    ({"name": " "}, "give the prompt a name"),
    ({"name": "a\tb"}, "control characters"),
    ({"name": "x" * 201}, "201 characters, at most 200"),
    ({"jinja": ""}, "write a template"),
    ({"jinja": "a\nb {{ text | sort( ||| c"}, "does not compile: line 2, column 19"),
    ({"answer_choices": "{{ a.b( }}"}, "does not compile: line 1, column 9"),
    ({"jinja": "{{ ''.__class__ }} ||| a"}, "attributes that begin with _"),
    ({"jinja": "x" * 20_001}, "20,001 characters, at most 20,000"),
    ({"languages": "en, english"}, "&#39;english&#39; is no ISO 639-1 tag"),
    ({"metrics": "Luck"}, "is no metric"),
    ({"original_task": "perhaps"}, "must be yes, no or not said"),
])  # fmt: skip
def test_what_cannot_be_saved_is_told_beside_its_field_and_the_text_stays(browser, studio, first, fields, told):
    page = browser.write(first, 422, reference="kept as typed", **fields)
    assert told in page.text.replace("\n", " ") or told in main_of(page)
    assert "kept as typed" in page.text and studio.store.prompts(first) == []


def test_names_differ_within_a_dataset(browser, first):
    browser.write(first)
    assert "another prompt of this dataset is named" in main_of(browser.write(first, 422))


def test_the_preview_shows_input_target_choices_cuts_and_warnings(browser, studio, first):
    form = {
        "dataset": str(first),
        "name": "p",
        "jinja": CHOICES,
        "answer_choices": "No ||| Yes",
        "languages": "en",
        "choices_in_prompt": "yes",
    }
    answer = browser.post("/preview", 200, **form)
    assert (
        answer.text.count('<section class="example') == 5
        and "<mark>Anna drinks milk</mark>. True or false?" in answer.text
        and "<mark>Yes</mark>" in answer.text
    )
    assert "5 of 5 rows: choices in the prompt are said to be listed, and are not all in the input" in main_of_fragment(answer)
    answer = browser.post("/preview", 200, **form | {"jinja": "{{ txt }} ||| {{ text }}"})
    assert "reads txt, which no row has" in answer.text and "Fields longer than 2048" not in answer.text
    answer = browser.post("/preview", 200, **form | {"jinja": "{{ (text ~ 'x' * 3000) }} ||| maybe"})
    assert "Fields longer than 2048" in answer.text and "none of the answer choices" in answer.text
    answer = browser.post("/preview", 200, **form | {"name": "", "languages": "?", "metrics": "Luck", "original_task": "perhaps"})
    assert "<mark>Anna drinks milk</mark>" in answer.text, "before it has a name"
    answer = browser.post("/preview", 200, **form | {"jinja": "{{ ("})
    assert "line 1, column" in answer.text
    browser.write(first, name="first")
    answer = browser.post("/preview", 200, **form | {"answer_choices": "false ||| true"})
    assert "nearly the same words as &#39;first&#39;" in answer.text
    answer = browser.post(f"/dataset/{first}/new", 200, preview="1", offset="58", **form)
    assert "Row 59" in answer.text and studio.store.one("SELECT count(*) AS n FROM prompt")["n"] == 1


def main_of_fragment(answer):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text))


def test_a_stale_save_gets_both_versions_and_a_merge(browser, studio, first):
    number = browser.write(first, jinja="one\ntwo\nthree ||| four")
    form = {
        "name": "one",
        "jinja": "one\ntwo\nTHREE ||| four",
        "answer_choices": "false ||| true",
        "languages": "en",
        "base": "1",
        "save": "1",
    }
    browser.post(f"/prompt/{number}/edit", **form)
    answer = browser.post(f"/prompt/{number}/edit", 409, **form | {"jinja": "ONE\ntwo\nthree ||| four", "reference": "mine"})
    assert "Somebody saved this prompt while you were writing" in answer.text and ">\nONE\ntwo\nTHREE ||| four</textarea>" in answer.text
    assert 'name="base" value="2"' in answer.text and current(studio, number)["revision"] == 2
    answer = browser.post(f"/prompt/{number}/edit", 409, **form | {"jinja": "one\ntwo\n3 ||| four"})
    assert (
        "except where you changed the same thing" in answer.text
        and "<strong>jinja</strong>" in answer.text
        and ">\none\ntwo\n3 ||| four</textarea>" in answer.text
    )
    browser.post(f"/prompt/{number}/edit", **form | {"jinja": "ONE\ntwo\nTHREE ||| four", "base": "2"})
    assert current(studio, number)["revision"] == 3


def test_review_by_roles(studio, group, first):
    writer, reviewer, reader = group("writer"), group("reviewer"), group("reader")
    number = writer.write(first)
    writer.post(f"/prompt/{number}/review", base="1", state="in review", comment="please <b>look</b>")
    assert "one" in main_of(reviewer.get("/review"))
    writer.post(f"/prompt/{number}/review", 403, base="1", state="accepted")
    reviewer.post(f"/prompt/{number}/review", 400, base="1", state="great")
    reviewer.post(f"/prompt/{number}/review", 409, base="9", state="accepted")
    reviewer.post(f"/prompt/{number}/review", base="1", state="accepted", comment="")
    writer.post(f"/prompt/{number}/review", 403, base="1", state="draft")
    writer.post(f"/prompt/{number}/comment", comment="thanks")
    writer.post(f"/prompt/{number}/comment", 400, comment="x" * 5001)
    page = reader.get(f"/prompt/{number}")
    assert "please &lt;b&gt;look&lt;/b&gt;" in page.text and "thanks" in page.text and "accepted" in page.text and "Delete" not in page.text
    for path in (
        f"/prompt/{number}/comment",
        f"/prompt/{number}/delete",
        f"/prompt/{number}/edit",
        f"/dataset/{first}/new",
        "/import",
        f"/dataset/{first}/upload",
        "/preview",
        "/rescan",
        "/datasets",
    ):
        assert "Here your role is reader" in reader.post(path, 403).text
    reader.get(f"/prompt/{number}/edit", 403)
    page = main_of(reader.get("/contributors"))
    assert "writer 1 0 0 0 2" in page and "reviewer 0 0 0 1 0" in page
    assert "failed login" not in main_of(reader.get("/log")) and "in review" in main_of(reader.get("/log"))


# ---- in and out -----------------------------------------------------------------------------------------------------


def test_export_and_import_through_the_pages(browser, studio, first):
    number = browser.write(first)
    text = browser.get(f"/dataset/{first}/templates.yaml").text
    assert text.startswith("dataset: mine\nsubset: first\ntemplates:\n") and "!TemplateMetadata" in text
    data = browser.get("/export.zip").data
    assert zipfile.ZipFile(io.BytesIO(data)).read("templates/mine/first/templates.yaml").decode() == text
    assert zipfile.ZipFile(io.BytesIO(browser.get("/export.zip?accepted=1").data)).namelist() == []
    browser.post(f"/prompt/{number}/delete", base="1")
    page = browser.post("/import", follow=True, files={"zip": (io.BytesIO(data), "p.zip")})
    assert "1 file: 0 new prompts, 1 changed" in page.text and not current(studio, number)["deleted"]
    assert browser.get(f"/dataset/{first}/templates.yaml").text == text
    assert "no zip file" in browser.post("/import", 400, files={"zip": (io.BytesIO(b"no"), "p.zip")}).text
    assert "no file was chosen" in browser.post("/import", 400).text
    browser.get(f"/dataset/{number_of(studio, 'single')}/templates.yaml", 404)


@pytest.mark.parametrize("name, data, told", [
    ("a.jsonl", b'{"a": 1}\n{"a": }\n', "line 2, column 7"),
    ("a.csv", b"a,b\n1\n", "line 2: 1 cells"),
    ("a.exe", b"MZ", "kind of file"),
    ("../../a", b"x", "kind of file"),
    ("a.parquet", b"PAR1 broken", ""),
    ("a.jsonl", b'{"a":' + b"[" * 50 + b"]" * 50 + b"}", "nested more than 32 deep"),
])  # fmt: skip
def test_malformed_uploads_are_told(browser, studio, first, name, data, told):
    page = browser.post(f"/dataset/{first}/upload", 400, split="test", files={"rows": (io.BytesIO(data), name)})
    assert told in main_of(page).replace("&#39;", "'") and len(studio.data.files(first)) == 1
    assert not [path for path in (studio.home / "uploads").glob("*.jsonl")]


def test_rows_are_uploaded(browser, studio):
    browser.post("/datasets", name="uploaded/here")
    number = number_of(studio, "uploaded/here")
    row = {"text": "caf\u00e9 \ud800", "spans": [1, None]}
    browser.post(f"/dataset/{number}/upload", split="test", files={"rows": (io.BytesIO(json.dumps(row).encode() + b"\n"), "x.jsonl")})
    page = main_of(browser.get(f"/dataset/{number}/rows"))
    assert "caf\u00e9 ?" in page and "[1, None]" in page
    browser.post(f"/dataset/{number}/upload", 400, split="../up", files={"rows": (io.BytesIO(b"{}"), "x.jsonl")})
    browser.post("/datasets", 400, name="../../etc")


def test_rows_that_cannot_be_read_are_told_and_do_not_stop_the_writer(browser, studio):
    place = studio.data.root / "broken" / "train.jsonl"
    place.parent.mkdir()
    place.write_text('{"text": "a"}\n{"text": \n')
    browser.post("/rescan")
    number = number_of(studio, "broken")
    assert (
        "line 2, column" in main_of(browser.get(f"/dataset/{number}"))
        and str(studio.data.root) not in browser.get(f"/dataset/{number}").text
    )
    browser.get(f"/dataset/{number}/rows", 400)
    assert browser.write(number) and "Save" in browser.get(f"/dataset/{number}/new").text
    place.unlink()
    assert "look for changed files" in main_of(browser.get(f"/dataset/{number}"))
    browser.post("/rescan")
    assert studio.data.files(number) == []


# ---- safe -----------------------------------------------------------------------------------------------------------


def test_every_answer_carries_the_headers(browser):
    for path in ("/", "/nothing", "/static/studio.css", "/help"):
        headers = browser.get(path, None).headers
        policy = headers["Content-Security-Policy"]
        assert (
            "default-src 'self'" in policy
            and "unsafe" not in policy
            and "frame-ancestors 'none'" in policy
            and headers["X-Content-Type-Options"] == "nosniff"
        )
    cookie = browser.client.application.test_client().get("/").headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie


def test_what_the_studio_keeps_is_for_its_owner(studio, browser):
    assert studio.home.stat().st_mode & 0o777 == 0o700 and (studio.home / "secret").stat().st_mode & 0o777 == 0o600


def test_no_page_has_inline_script_or_style_or_another_site(browser, studio, first):
    number = browser.write(first)
    for path in (
        "/",
        f"/dataset/{first}",
        f"/prompt/{number}",
        f"/prompt/{number}/edit",
        "/search?q=a",
        "/log",
        "/help",
        "/exchange",
        f"/prompt/{number}/history",
    ):
        text = browser.get(path).text
        assert not re.search(r"<style|style=|\son\w+=|javascript:|(?:src|href|action)=\"(?:https?:)?//", text), path
        assert len(re.findall(r"<script", text)) == len(re.findall(r'<script src="/static/\w+\.js\?v=[^"]+" defer></script>', text)) > 0, (
            path
        )


def test_forms_from_elsewhere_are_refused(browser, app, studio, first):
    form = {"name": "x", "jinja": "a ||| b", "languages": "en", "save": "1"}
    other = Browser(app)
    attacks = [
        ({}, {}), ({"token": ""}, {}), ({"token": "guess"}, {}), ({"token": other.token}, {}), ({"token": "\u00e9\0"}, {}),
        ({"token": browser.token}, {"Sec-Fetch-Site": "cross-site"}), ({"token": browser.token}, {"Sec-Fetch-Site": "same-site"}),
    ]  # fmt: skip
    for extra, headers in attacks:
        answer = browser.client.post(f"/dataset/{first}/new", data=form | extra, headers=headers)
        assert answer.status_code == 403, extra
    assert browser.client.get(f"/dataset/{first}/new", query_string=form | {"token": browser.token}).status_code == 200
    assert browser.client.put(f"/dataset/{first}/new").status_code == 405
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil", "", "[::2]", "evil@localhost"):
        assert browser.client.get("/", headers={"Host": host}).status_code == 400, host
    assert browser.client.get("/", headers={"Host": "LOCALHOST:9"}).status_code == 200
    assert studio.store.prompts(first) == []


def test_login_and_logout(studio, app, group):
    one = Browser(app)
    assert one.client.get("/log").location == "/login?to=/log"
    assert one.post("/datasets", 401, name="a").status_code == 401
    assert "No user of this name has this password" in one.log_in("writer", "wrong", 403).text
    one.get("/login", None)
    for to, landed in (("/log", "/log"), ("//evil.example", "/"), ("https://evil.example", "/"), ("/\\evil", "/"), ("/a\r\nX: y", "/")):
        entered = Browser(app)
        assert entered.log_in("writer", "password of writer", to=to).location == landed
    assert "writer (writer)" in entered.get("/").text
    entered.post("/logout")
    assert entered.client.get("/").location.startswith("/login")
    with pytest.raises(AssertionError):
        entered.write(1)
    entered = group("writer")
    studio.accounts.add("writer", "a new password", "reader")  # which ends the old sessions
    assert entered.client.get("/").location.startswith("/login")


def test_logins_are_limited(studio, app, group):
    one = Browser(app)
    for _ in range(5):
        one.log_in("reader", "guess", 403)
    answer = one.log_in("reader", "password of reader", 429)
    assert "Try again in" in answer.text
    studio.attempts._failed.clear()
    one.log_in("reader", "password of reader")


def test_read_only_takes_nothing(browser, studio, first):
    number = browser.write(first)
    studio.read_only = True
    page = browser.get(f"/prompt/{number}")
    assert "Read-only" in page.text and "Delete" not in page.text
    browser.get(f"/prompt/{number}/edit", 403)
    for path in (f"/dataset/{first}/new", f"/prompt/{number}/edit", f"/prompt/{number}/delete", f"/prompt/{number}/restore", f"/prompt/{number}/review",
                 f"/prompt/{number}/comment", "/import", "/datasets", "/rescan", f"/dataset/{first}/upload"):  # fmt: skip
        assert "read-only" in browser.post(path, 403).text
    assert current(studio, number)["revision"] == 1


HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'-alert(1)-'",
    "{{7*7}}",
    "{% raw %}",
    "javascript:alert(1)",
    "</textarea><script>",
    "</title><svg/onload=x>",
    "&lt;",
    "\u202e\u2066",
    "a" * 200,
]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_text_on_every_page(browser, studio, first, text):
    number = browser.write(
        first,
        name=text,
        jinja="{% raw %}" + text.replace("{% raw %}", "") + "{% endraw %} ||| b",
        reference=text,
        answer_choices="{% raw %}" + text.replace("{% raw %}", "") + "{% endraw %}",
    )
    browser.post(f"/prompt/{number}/comment", comment=text)
    for path in ("/", f"/dataset/{first}", f"/prompt/{number}", f"/prompt/{number}/edit", "/search?q=" + text, "/log"):
        page = browser.get(path).text
        assert not re.search(
            r"<script(?! src=\"/static)|<img|<svg/|onerror=alert\(1\)>(?<!&gt;)", page.replace("&lt;", "").replace("&#34;", "")
        ), path
    assert current(studio, number)["content"]["name"] == text


def test_too_much_at_once_is_refused(browser, first):
    assert browser.client.post("/preview", data={"jinja": "x" * 2_000_000}).status_code == 413
    assert browser.client.post("/preview", data={str(i): "a" for i in range(600)}, content_type="multipart/form-data").status_code == 413
    assert browser.client.post("/preview", data=b"\xff\xfe%%%=&&", content_type="application/x-www-form-urlencoded").status_code == 403


def test_a_bomb_is_an_error_on_the_page(browser, first):
    form = {"dataset": str(first), "name": "p", "languages": "en"}
    answer = browser.post(
        "/preview", 200, jinja="{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %} ||| a", **form
    )
    assert "make the template simpler" in answer.text
    assert browser.write(first) > 0


def test_a_fault_of_ours_is_a_page_without_a_trace(browser, studio, monkeypatch, caplog):
    monkeypatch.setattr(studio.store, "ask", lambda *_: 1 / 0)
    answer = browser.get("/contributors", 500)
    assert "a fault of the studio" in answer.text and "ZeroDivision" not in answer.text and "ZeroDivisionError" in caplog.text


def test_comparing_hostile_texts_takes_no_time():
    chosen, taken = random.Random(0), time.process_time()
    for letters in ("a ", "ab\n", "\n\t", ".,;:!?-+*/=()[]{}<>@#$%^&|~"):
        one, two = ("".join(chosen.choices(letters, k=20_000)) for _ in range(2))
        (told,) = differences(blank() | {"jinja": one}, blank() | {"jinja": two})
        assert (
            "".join(text for kind, text in told[1] if kind != "new") == one
            and "".join(text for kind, text in told[1] if kind != "gone") == two
        )
        merge(blank() | {"jinja": one[:-9]}, blank() | {"jinja": two}, blank() | {"jinja": one})
    assert time.process_time() - taken < 5  # minutes, where every word is compared with every other


def test_a_model_ranks_choices_or_writes(tmp_path):
    t0.Model.mini().save(tmp_path / "model")
    answers = Answers(tmp_path / "model")
    rows = work(
        {
            "content": {"name": "p", "jinja": "{{ text }} Who keeps the dog? ||| Ben", "answer_choices": "Anna ||| Ben"},
            "rows": [{"text": "Anna keeps a cat. Ben keeps a dog."}],
        }
    )["rows"]
    (told,) = answers.ask(rows)
    assert told["answer"] == "Ben" and told["right"] and [choice for choice, _ in told["choices"]] == ["Anna", "Ben"]
    (told,) = answers.ask([rows[0] | {"choices": None}])
    assert isinstance(told["answer"], str) and told["choices"] == []
    assert answers.ask([{"error": "line 1"}]) == [None] and answers.tokenizer.fingerprint == t0.mini.tokenizer().fingerprint


def test_the_model_is_asked_with_the_end_token_that_it_has(tmp_path):
    model = t0.Model.mini()
    model.generation = {"num_beams": 2, "num_return_sequences": 2}
    row = {"dropped": False, "choices": ["Anna", "Ben"], "input_text": "Anna keeps a cat. Who keeps the cat?", "target_text": "Anna"}
    for own in (False, True):
        model.add_eos_to_inputs = own
        model.save(tmp_path / str(own))
        for given in (None, False, True):
            answers, ended = Answers(tmp_path / str(own), given), own if given is None else given
            want = model.rank(row["input_text"], row["choices"], add_eos_to_inputs=ended).scores.tolist()
            assert [score for _, score in answers.ask([row])[0]["choices"]] == want
            (told,) = answers.ask([row | {"choices": None}])
            assert told["answer"] == model.generate(row["input_text"], max_new_tokens=16, add_eos_to_inputs=ended)[0]


def test_the_model_answers(browser, studio, first):
    class Said:
        def ask(self, rows, seconds=None):
            return [
                {"answer": row["choices"][0], "right": row["choices"][0] == row["target_text"], "choices": [("false", -1.5)]}
                for row in rows
            ]

    studio.answers = Said()
    try:
        answer = browser.post(
            f"/dataset/{first}/new", 200, name="p", jinja=CHOICES, answer_choices="false ||| true", languages="en", answers="1"
        )
    finally:
        studio.answers = None
    assert answer.text.count("The model answers <strong>false</strong>: right") == 3 and "false -1.50" in answer.text
    assert len(ROWS) == 60
