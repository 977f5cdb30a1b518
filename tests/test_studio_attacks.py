"""What broke a studio once: prompts that are bombs or no JSON, copied cookies, many logins, uploads and half sent requests at once."""

import html
import io
import sqlite3
import threading
import time

import pytest
from attack_studio import PROMPT, attack_half_open, attack_imports, attack_logout, yaml_attacks, zip_of
from conftest import needed
from studio_client import Browser, make_folder

needed("flask", "pip install '.[studio]'", module_level=True)
needed("waitress", "pip install '.[studio]'", module_level=True)

import t0native as t0  # noqa: E402
from t0native.studio import confined  # noqa: E402
from t0native.studio.accounts import Accounts  # noqa: E402
from t0native.studio.app import Studio, create_app  # noqa: E402
from t0native.studio.connections import MOST  # noqa: E402
from t0native.studio.exchange import import_folder  # noqa: E402
from t0native.studio.workers import Busy  # noqa: E402


@pytest.fixture
def studio(tmp_path):
    studio = Studio(make_folder(tmp_path / "d"), workers=1)
    yield studio
    studio.close()


@pytest.fixture
def browser(studio):
    return Browser(create_app(studio))


def send(browser, text, code):
    data = zip_of("d/templates.yaml", text.encode())
    return html.unescape(browser.post("/import", code, files={"zip": (io.BytesIO(data), "p.zip")}).text)


def test_imports_by_http_leave_the_server_as_it_was(tmp_path):
    assert max(attack_imports(make_folder(tmp_path / "d")).values()) < 30


@pytest.mark.parametrize("name", yaml_attacks())
def test_an_import_by_the_command_line_is_told_too(studio, tmp_path, name):
    text, told = yaml_attacks()[name]
    (tmp_path / "p/d").mkdir(parents=True)
    (tmp_path / "p/d/templates.yaml").write_text(text)
    if told is None:
        assert import_folder(studio.store, tmp_path / "p", "anna")["new"] == 1
        return
    with pytest.raises(t0.FormatError) as caught:
        import_folder(studio.store, tmp_path / "p", "anna")
    assert told in str(caught.value) and "templates.yaml" in str(caught.value) and studio.store.ask("SELECT * FROM prompt") == []


@pytest.mark.parametrize("value", [".nan", ".inf", "[1, .nan]", "{k: -.inf}"])
def test_numbers_that_are_no_json_are_refused_with_their_place(browser, value):
    told = send(browser, PROMPT.format("a", "a", 1, f"extra: {value}"), 400)
    assert "d/templates.yaml: template 'n1': extra" in told and "must be a finite number, or text, in quotes" in told
    assert browser.get("/search?q=text").status_code == 200


def test_a_store_that_has_such_a_number_is_searched_all_the_same(browser, studio):
    """As version 0.1.0 wrote it."""
    send(browser, PROMPT.format("a", "a", 1, "extra: 1"), 302)
    send(browser, PROMPT.format("b", "b", 2, "extra: 1").replace("y |||", "needle |||"), 302)
    with sqlite3.connect(studio.home / "prompts.sqlite") as db:
        db.execute("""UPDATE revision SET content = '{"id": "a", "name": "n1", "jinja": "y ||| z", "extra": NaN}' WHERE prompt_id = 1""")
    db.close()
    assert "needle" in browser.get("/search?q=needle").text
    assert "/prompt/1" in browser.get("/search?state=draft").text


def test_a_fault_of_the_reading_process_is_told(browser, monkeypatch):
    monkeypatch.setattr(confined, "SECONDS", 0.01)
    assert "took more than 0.01 s to read" in send(browser, PROMPT.format("a", "a", 1, "extra: 1"), 400)
    monkeypatch.setattr("t0native.studio.children.sys.executable", "/bin/false")
    monkeypatch.setattr(confined, "SECONDS", 10)
    assert "ended with status 1" in send(browser, PROMPT.format("a", "a", 1, "extra: 1"), 503)
    monkeypatch.setattr(confined, "command", lambda *_: ["/bin/sh", "-c", "kill -9 $$"])
    assert "too much time or memory, or is broken (its reader was ended by SIGKILL)" in send(
        browser, PROMPT.format("a", "a", 1, "extra: 1"), 400
    )


def test_files_wait_for_their_turn_and_many_are_sent_away(browser, monkeypatch):
    turns = confined._Turns(2, 1, 30.0)
    monkeypatch.setattr(confined, "_turns", turns)
    inside, most, done, lock, go = [0], [0], [], threading.Lock(), threading.Event()

    def read():
        try:
            with turns.turn():
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                go.wait(30)
                with lock:
                    inside[0] -= 1
            done.append("read")
        except Busy:
            done.append("busy")

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    while done.count("busy") < 3:
        time.sleep(0.01)
    assert "many files are being read" in send(browser, PROMPT.format("a", "a", 1, "extra: 1"), 429)
    go.set()
    for thread in threads:
        thread.join()
    assert sorted(done) == ["busy"] * 3 + ["read"] * 3 and most == [2]
    send(browser, PROMPT.format("a", "a", 1, "extra: 1"), 302)


def test_a_copied_cookie_ends_with_its_session(tmp_path):
    assert attack_logout(make_folder(tmp_path / "d"), count=4) == [2, 0]


def test_sessions_that_are_over_are_forgotten(studio):
    studio.store.end_session("old", time.time() - 10)
    assert studio.store.has_ended("old")
    studio.store.end_session("new", time.time() + 100)
    assert not studio.store.has_ended("old") and studio.store.has_ended("new") and not studio.store.has_ended("other")


def test_logins_at_once_with_the_right_password_all_come_in(tmp_path):
    Accounts(tmp_path / "users.json").add("anna", "a good long one", "writer")
    studio = Studio(make_folder(tmp_path / "d"), tmp_path / "users.json", workers=1)
    app, codes = create_app(studio), []
    browsers = [Browser(app) for _ in range(12)]

    def enter(browser):
        codes.append(
            browser.client.post("/login", data={"token": browser.token, "name": "anna", "password": "a good long one"}).status_code
        )

    threads = [threading.Thread(target=enter, args=[browser]) for browser in browsers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    studio.close()
    assert codes == [302] * 12


@pytest.mark.parametrize("origin, code", [
    ("https://evil.example", 403), ("null", 403), ("http://localhost.evil:80", 403), ("http://localhost", 302), ("http://LOCALHOST:8765", 302),
    ("http://[::1]:1", 302), ("", 403),
])  # fmt: skip
def test_a_form_from_another_origin_is_refused(browser, origin, code):
    assert browser.post("/datasets", code, headers={"Origin": origin}, name="mine/x").status_code == code


def test_pages_are_served_beside_half_sent_requests(tmp_path):
    took = attack_half_open(make_folder(tmp_path / "d"), count=540, seconds=4.0)
    assert MOST < 540 and took and max(took) < 10
