"""The studio in a real browser (Chromium by Playwright): the flows of those who write, on a desk, on a phone, in the dark, by keys alone.

Pictures of each flow go to $T0NATIVE_SCREENSHOTS, where it names a folder."""

import io
import json
import os
import re
import shutil
import urllib.request
import zipfile
from pathlib import Path

import pytest
from attack_studio import WATCH, attack_scripts
from conftest import needed
from load_studio import Server
from studio_client import CHOICES, make_folder

HOW = "pip install '.[browser]'"
needed("flask", "pip install '.[studio]'", module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason=f"playwright is not installed: {HOW}", exc_type=ImportError)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
if CHROMIUM is None:
    pytest.skip("Chromium is not installed: apt-get install chromium", allow_module_level=True)

from t0native.promptsource import DatasetTemplates  # noqa: E402
from t0native.studio.accounts import Accounts  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def chromium():
    with sync_api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    """The address of a studio for one local user."""
    yield from _served(make_folder(tmp_path_factory.mktemp("desk")))


@pytest.fixture(scope="module")
def group(tmp_path_factory):
    folder = make_folder(tmp_path_factory.mktemp("group"))
    accounts = Accounts(folder / "users.json")
    for name, role in (("wanda", "writer"), ("rita", "reviewer"), ("read", "reader")):
        accounts.add(name, f"password of {name}", role)
    yield from _served(folder, "--users", str(folder / "users.json"), "--base-path", "/studio")


def _served(folder, *options):
    running = Server(folder, *options)
    yield f"http://127.0.0.1:{running.port}" + ("/studio" if "--base-path" in options else "")
    running.stop()


@pytest.fixture
def visit(chromium):
    """visit(address, **context options) -> a page; what it logs as an error, or shows as a dialog, fails the test."""
    contexts, wrong = [], []

    def opened(address, **options):
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(WATCH)
        page.on(
            "dialog",
            lambda dialog: (
                (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()) if dialog.type != "beforeunload" else dialog.accept()
            ),
        )
        page.on(
            "console", lambda message: wrong.append(message.text) if message.type == "error" and "status of 4" not in message.text else None
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def picture(page, name):
    if folder := os.environ.get("T0NATIVE_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder, f"{name}.png"), full_page=False)


def write(page, name, jinja=CHOICES, choices="false ||| true", save=True):
    """From the overview to a new prompt of mine/first."""
    page.get_by_role("row", name="mine first").get_by_role("link").first.click()
    page.get_by_role("link", name="New prompt").click()
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Template").fill(jinja)
    page.get_by_label("Answer choices").fill(choices)
    if save:
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()


def enter(page, name):
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"password of {name}")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text(f"{name} (").wait_for()


def axe(page):
    """What axe-core finds on a page."""
    base = pytest.importorskip("axe_playwright_python.base", reason=f"axe-playwright-python is not installed: {HOW}")
    page.evaluate(Path(base.__file__).with_name("axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found]


def test_create_with_a_live_preview(visit, desk):
    page = visit(desk)
    write(page, "live", "{{ text }} Is it? ||| {{ answer_choices[label] }}", save=False)
    page.locator("#preview mark", has_text="Anna drinks tea").first.wait_for()
    page.get_by_label("Template").fill("Think: {{ text }} ||| {{ answer_choices[label] }}")
    page.locator("#preview pre", has_text="Think: Anna drinks tea").first.wait_for()
    picture(page, "writer")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="live").wait_for()
    assert axe(page) == []


def test_an_error_is_told_with_its_place_and_the_text_stays(visit, desk):
    page = visit(desk)
    write(page, "with error", "{{ text | sort( ||| b", save=False)
    page.locator("#preview [role=alert]", has_text="line 1, column 17").wait_for()
    page.get_by_role("button", name="Save").click()
    page.locator("#jinja-error", has_text="line 1, column 17").wait_for()
    assert (
        page.get_by_label("Template").input_value() == "{{ text | sort( ||| b"
        and page.get_by_label("Template").get_attribute("aria-invalid") == "true"
    )
    page.get_by_label("Template").fill(CHOICES)
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()


def test_conflict_shows_both_versions(visit, desk):
    first = visit(desk)
    write(first, "contested", "one\ntwo\nthree ||| a")
    second = visit(first.url)
    for page, text in ((first, "one\ntwo\n3 ||| a"), (second, "1\ntwo\nthree ||| a")):
        page.get_by_role("link", name="Edit").click()
        page.get_by_label("Template").fill(text)
    first.get_by_role("button", name="Save").click()
    first.get_by_text("revision 2").wait_for()
    second.get_by_role("button", name="Save").click()
    second.get_by_role("heading", name="Somebody saved this prompt while you were writing").wait_for()
    assert second.get_by_label("Template").input_value() == "1\ntwo\n3 ||| a" and axe(second) == []
    picture(second, "conflict")
    second.get_by_role("button", name="Save").click()
    second.get_by_text("revision 3").wait_for()


def test_history_and_undo(visit, desk):
    page = visit(desk)
    write(page, "with history", "first ||| a")
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Template").fill("second ||| a")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="Undo the last change").click()
    page.get_by_text("Restored, as a new revision.").wait_for()
    page.get_by_role("link", name="History").click()
    assert (
        page.locator("ins").inner_text() == "first"
        and page.locator("del").inner_text() == "second"
        and page.locator("tbody tr").count() == 3
    )
    picture(page, "history")
    page.go_back()
    page.get_by_role("button", name="Delete").click()
    page.get_by_text("This prompt is deleted").wait_for()
    page.get_by_role("button", name="Restore 3").click()
    page.get_by_role("heading", name="with history").wait_for()


def test_import_and_export(visit, desk, tmp_path):
    page = visit(desk)
    write(page, "exported")
    page.get_by_role("link", name="Import and export").click()
    with page.expect_download() as waited:
        page.get_by_role("link", name="All prompts").click()
    with zipfile.ZipFile(waited.value.path()) as archive:
        archive.extractall(tmp_path)
    templates = DatasetTemplates("mine", "first", folder=tmp_path / "templates")
    assert templates["exported"].apply({"text": "a", "label": 1}) == ["a. True or false?", "true"]
    text = Path(templates.yaml_path).read_text().replace("subset: first\n", "").replace("dataset: mine", "dataset: imported")
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("imported/templates.yaml", text)
    page.get_by_label("A zip of prompt files").set_input_files({"name": "p.zip", "mimeType": "application/zip", "buffer": out.getvalue()})
    page.get_by_role("button", name="Import").click()
    page.get_by_text("1 file:").wait_for()
    page.get_by_role("link", name="Prompt studio").click()
    page.get_by_role("row", name="imported ∅").wait_for()


def test_upload_and_browse_rows(visit, desk):
    page = visit(desk)
    page.get_by_label("New dataset").fill("uploaded")
    page.get_by_role("button", name="Create").click()
    page.get_by_label("File").set_input_files(
        {
            "name": "r.jsonl",
            "mimeType": "text/plain",
            "buffer": b"".join(json.dumps({"a": f"row {i}"}).encode() + b"\n" for i in range(120)),
        }
    )
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("link", name="Look at the rows").click()
    page.get_by_role("link", name="Later").click()
    page.get_by_text("row 99", exact=True).wait_for()
    assert page.locator(".example").count() == 50 and axe(page) == []
    picture(page, "rows")


def test_search_by_a_key(visit, desk):
    page = visit(desk)
    write(page, "needle in a haystack")
    page.keyboard.press("/")
    page.keyboard.type("needle HAYSTACK")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="needle in a haystack").wait_for()
    assert axe(page) == []


def test_keyboard_alone(visit, desk):
    page = visit(desk)

    def tab_to(name):
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate("(document.activeElement.labels?.[0]?.innerText || document.activeElement.innerText || '').trim()") == name:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", f"{name}: no focus to be seen"
                return
        raise AssertionError(f"Tab does not reach {name}")

    tab_to("Skip to content")
    page.keyboard.press("Enter")
    for link in ("mine", "New prompt"):
        tab_to(link)
        with page.expect_navigation():
            page.keyboard.press("Enter")
    tab_to("Name")
    page.keyboard.type("by keys")
    tab_to("Template")
    page.keyboard.type("{{ text }} ||| yes")
    tab_to("Accuracy")
    page.keyboard.press("Space")
    page.keyboard.press("Control+s")
    page.get_by_role("heading", name="by keys").wait_for()
    assert page.get_by_text("Accuracy").is_visible()


def test_without_javascript(visit, desk):
    page = visit(desk, java_script_enabled=False)
    write(page, "plain", save=False)
    page.get_by_role("button", name="Preview").click()
    page.locator("#preview mark", has_text="Anna drinks tea").first.wait_for()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="plain").wait_for()


PAGES = (
    "/",
    "/dataset/1",
    "/dataset/1/rows",
    "/dataset/1/rows?prompt=1",
    "/dataset/1/new",
    "/prompt/1",
    "/prompt/1/edit",
    "/prompt/1/history",
    "/review?state=draft",
    "/search?q=a",
    "/contributors",
    "/log",
    "/exchange",
    "/help",
    "/nothing",
)


@pytest.mark.parametrize("scheme, width", [("light", 1440), ("dark", 360)])
def test_every_page_light_and_dark_on_desk_and_phone(visit, desk, scheme, width):
    page = visit(desk, color_scheme=scheme, viewport={"width": width, "height": 800}, has_touch=width < 500)
    for path in PAGES:
        page.goto(desk + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert axe(page) == [], path
        picture(page, f"{scheme}-{width}{re.sub('[/?=]', '-', path)}")


def test_phone_writes_too(visit, desk):
    page = visit(desk, viewport={"width": 360, "height": 740}, has_touch=True)
    write(page, "from a phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


# ---- a group --------------------------------------------------------------------------------------------------------


def test_login_and_review(visit, group):
    page = visit(group + "/log")
    page.get_by_label("Name").fill("wanda")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_text("No user of this name has this password").wait_for()
    assert axe(page) == []
    enter(page, "wanda")
    assert page.url == group + "/log"
    page.get_by_role("link", name="Prompt studio").click()
    write(page, "to review")
    page.get_by_label("Comment").fill("please look")
    page.get_by_role("button", name="Submit for review").click()
    other = visit(group)
    enter(other, "rita")
    other.get_by_role("link", name="Review", exact=True).click()
    other.get_by_role("link", name="to review").click()
    other.get_by_text("please look").wait_for()
    picture(other, "review")
    other.get_by_role("button", name="Accept").click()
    other.get_by_text("Now accepted.").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("You are logged out.").wait_for()
    reader = visit(group)
    enter(reader, "read")
    reader.get_by_role("row", name="mine first").get_by_role("link").first.click()
    assert reader.get_by_role("link", name="New prompt").count() == 0


def test_read_only(visit, tmp_path):
    folder = make_folder(tmp_path / "data")
    for address in _served(folder, "--read-only"):
        page = visit(address + "/dataset/1")
        page.get_by_text("Read-only: nothing can be changed here.").wait_for()
        assert page.locator("form[method=post]").count() == 0


# ---- attacks --------------------------------------------------------------------------------------------------------


def test_another_site_can_do_nothing(chromium, desk):
    """A page of another origin: posts in two ways as two types, reads, frames."""
    page = chromium.new_page()
    page.goto("data:text/html,<p>elsewhere")
    evil = page.evaluate(
        """async (desk) => {
        const tries = ["text/plain", "application/x-www-form-urlencoded"].flatMap((type) => ["cors", "no-cors"].map((mode) =>
            fetch(desk + "/datasets", {method: "POST", mode, credentials: "include", headers: {"Content-Type": type}, body: "name=evil"}).then((answer) => answer.type + answer.status, (error) => "refused")));
        const read = fetch(desk + "/", {credentials: "include"}).then((answer) => answer.text(), () => "refused");
        const frame = document.createElement("iframe");
        frame.src = desk + "/";
        document.body.append(frame);
        await new Promise((done) => { frame.onload = done; setTimeout(done, 1000); });
        let inside = "refused";
        try { inside = frame.contentDocument?.body.innerText ?? "refused"; } catch {}
        return [...await Promise.all(tries), await read, inside];
    }""",
        desk,
    )
    assert "200" not in "".join(evil) and evil[-2:] == ["refused", "refused"]
    page.close()
    with urllib.request.urlopen(desk + "/") as answer:
        assert "evil" not in answer.read().decode()


def test_scripts_in_texts_are_texts(chromium, tmp_path):
    (tmp_path / "data").mkdir()
    assert attack_scripts(make_folder(tmp_path / "data"), chromium, count=6) == []
