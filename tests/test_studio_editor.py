"""The writer in a real browser: Jinja in colour, fields by a click, a draft's accuracy, a studio that was started in a relative folder."""

import re

import pytest
from conftest import needed
from studio_client import CHOICES, make_folder

needed("flask", "pip install '.[studio]'", module_level=True)
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[browser]'", exc_type=ImportError)

from test_studio_browser import axe, chromium, picture, visit  # noqa: E402, F401 - fixtures
from test_studio_started import Opened  # noqa: E402

import t0native as t0  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
JINJA = "{# note #}{% for t in [1, 'a'] if not label %}{{ {'k': {}} }}{% endfor %}{% raw %}{{ x }}{% endraw %}\n{{ text }} <b> ||| {{ answer_choices[label] }}"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The address of a studio with a model, by relative paths."""
    place = tmp_path_factory.mktemp("editor")
    make_folder(place / "my/rows")
    t0.Model.mini().save(place / "my-t0")
    with Opened(place, "--data", "my/rows", "--model", "my-t0") as studio:
        yield f"http://127.0.0.1:{studio.port}"


def behind(page):
    return page.evaluate("[...document.querySelector('.editor pre').childNodes].map((node) => [node.className || '', node.textContent])")


def test_jinja_is_coloured_and_the_text_is_the_text(visit, place):  # noqa: F811
    page = visit(place + "/dataset/1/new")
    page.get_by_label("Template").fill(JINJA)
    found = behind(page)
    assert "".join(text for _, text in found) == JINJA + "\n" and page.get_by_label("Template").input_value() == JINJA
    kinds = {
        kind: [text for name, text in found if name == f"jinja-{kind}"] for kind in ("comment", "tag", "keyword", "string", "number", "bar")
    }
    assert kinds["comment"] == ["{# note #}"] and kinds["string"] == ["'a'", "'k'"] and kinds["number"] == ["1"] and kinds["bar"] == ["|||"]
    assert kinds["keyword"] == ["for", "in", "if", "not", "endfor", "raw", "endraw"]
    assert kinds["tag"].count("{{") == kinds["tag"].count("}}") == 3 and kinds["tag"].count("{%") == kinds["tag"].count("%}") == 4
    page.get_by_label("Template").fill("a long line of words " * 60 + "\n" * 30 + CHOICES)
    page.get_by_label("Template").press("Control+End")
    page.wait_for_timeout(100)
    heights = page.evaluate(
        "['.editor pre', '#jinja'].map((name) => document.querySelector(name)).map((e) => [e.scrollTop, e.clientWidth, e.scrollHeight])"
    )
    assert heights[0][0] == heights[1][0] > 0 and heights[0][1] == heights[1][1] and abs(heights[0][2] - heights[1][2]) <= 30, heights
    for broken in ("{{", "{% if 'a", "{{ } }}", "}} %} #}", "{#", "{% raw %}{{ a", "\U0001f600{{ \U0001f600 }}", "|||||||", "{{ '\\"):
        page.get_by_label("Template").fill(broken)
        assert "".join(text for _, text in behind(page)) == broken + "\n", broken


def test_fields_are_inserted_by_a_click(visit, place):  # noqa: F811
    page = visit(place + "/dataset/1/new")
    group = page.get_by_role("group", name="Insert a field")
    assert group.get_by_role("button").all_inner_texts() == ["text", "label", "note", "answer_choices[label]", "|||"]
    for name in ("text", "|||", "answer_choices[label]"):
        group.get_by_role("button", name=name, exact=True).click()
    assert page.get_by_label("Template").input_value() == "{{ text }} ||| {{ answer_choices[label] }}"
    page.locator("#preview mark", has_text="Anna drinks tea").first.wait_for()
    page.keyboard.press("Control+z")
    assert page.get_by_label("Template").input_value() == "{{ text }} ||| "
    page.keyboard.type("{% if ")
    group.get_by_role("button", name="label", exact=True).click()
    assert page.get_by_label("Template").input_value().endswith("{% if label")


@pytest.mark.parametrize("scheme, width", [("light", 1440), ("dark", 390)])
def test_accuracy_of_a_draft_beside_it(visit, place, scheme, width):  # noqa: F811
    page = visit(place + "/dataset/1/new", color_scheme=scheme, viewport={"width": width, "height": 900}, has_touch=width < 500)
    page.get_by_label("Template").fill(
        "{# how sure? #}{% if text %}{{ text | upper }}{% endif %}. True or false? ||| {{ answer_choices[label] }}"
    )
    page.get_by_label("Answer choices").fill("false ||| true")
    page.get_by_role("button", name="Accuracy on 50 rows").click()
    page.get_by_role("heading", name="Accuracy on 50 rows").wait_for()
    assert page.locator(".judged tbody tr").count() == 50 and page.get_by_label("Answer choices").input_value() == "false ||| true"
    assert re.search(r"\d+% \d+ of 50 right; 95% interval", page.locator(".judged p").first.inner_text())
    assert page.evaluate("document.documentElement.scrollWidth") <= width and axe(page) == []
    picture(page, f"accuracy-{scheme}-{width}")
    page.get_by_role("button", name="Ask the model").click()
    page.locator(".judged").wait_for(state="detached")
    assert page.get_by_text("The model answers").count() == 5


def test_times_are_the_browsers_own(visit, place):  # noqa: F811
    page = visit(place + "/dataset/1/new", timezone_id="Asia/Tokyo")
    page.get_by_label("Name", exact=True).fill("timed")
    page.get_by_label("Template").fill("{{ text }} ||| a")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    told = page.locator("time").first
    assert told.inner_text() == "just now" and "GMT+9" in told.get_attribute("title")
