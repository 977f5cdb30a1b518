"""`t0native studio` as people start it: typed as its help shows, in a folder of their own, by relative and by absolute paths; and what
the pages and the log say where one of its own processes cannot be started or has ended."""

import logging
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import needed
from studio_client import CHOICES, ROWS, Browser, main_of, make_folder

needed("flask", "pip install '.[studio]'", module_level=True)
needed("waitress", "pip install '.[studio]'", module_level=True)

from load_studio import Client  # noqa: E402

import t0native as t0  # noqa: E402
from t0native.cli.main import main  # noqa: E402
from t0native.studio import children  # noqa: E402
from t0native.studio.app import Studio, create_app  # noqa: E402
from t0native.studio.children import Failed  # noqa: E402
from t0native.studio.confined import read_confined  # noqa: E402
from t0native.studio.workers import Busy, Workers  # noqa: E402

PACKAGE = Path(t0.__file__).parent
FORM = {"name": "typed", "jinja": CHOICES, "answer_choices": "false ||| true", "languages": "en"}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with my/rows, my/templates and my-t0, as the help's examples name them."""
    place = tmp_path_factory.mktemp("place")
    make_folder(place / "my/rows")
    (place / "my/templates").symlink_to(PACKAGE / "mini/heldout/prompts")
    t0.Model.mini().save(place / "my-t0")
    return place


def start(place, arguments):
    """The command, typed in `place` by somebody whose PYTHONPATH is relative."""
    variables = {**os.environ, "PYTHONPATH": os.path.relpath(PACKAGE.parent, place)}
    command = [sys.executable, "-P", "-m", "t0native", "studio", *arguments]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, cwd=place, env=variables, text=True, **pipes)


class Opened:
    """A studio that was started so; `said` is its log once it has ended."""

    def __init__(self, place, *arguments):
        self.process = start(place, [*arguments, "--port", "0"])
        line = self.process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)(\S*)/ ", line)
        assert address, line + self.process.stderr.read()
        self.port, self.base = int(address[1]), address[2]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        _, self.said = self.process.communicate(timeout=30)


def tried(text):
    return "<mark>Anna drinks tea</mark>. True or false?" in text and "<mark>false</mark>" in text


def preview_and_save(port, name, with_tokens):
    """What a writer does first; nothing of it is an error."""
    client = Client(port)
    dataset = client.post("/datasets", name="mine/first")[2].rsplit("/", 1)[1]
    status, text, _ = client.post("/preview", dataset=dataset, **FORM)
    assert status == 200 and tried(text) and 'role="alert"' not in text and ("tokens</span>" in text) == with_tokens
    status, text, saved = client.post(f"/dataset/{dataset}/new", save="1", **(FORM | {"name": name}))
    assert status == 302, text
    assert tried(client.get(saved)[1])
    client.close()


def test_absolute_paths(place):
    with Opened(place, "--data", str(place / "my/rows"), "--model", str(place / "my-t0")) as studio:
        preview_and_save(studio.port, "by absolute paths", True)
    assert studio.said == ""


def test_every_example_of_the_help_does_what_it_says(place, capsys):
    with pytest.raises(SystemExit):
        main(["studio", "--help"])
    examples = [shlex.split(line)[2:] for line in capsys.readouterr().out.splitlines() if line.strip().startswith("t0native studio ")]
    opening = [example for example in examples if example[0] == "--data"]
    assert len(opening) == 4 and len(examples) == 7
    for example in sorted((one for one in examples if one not in opening), key=lambda one: one[0]):  # adduser, export, import
        done = start(place, example)
        _, said = done.communicate("a good long one\n", timeout=60)
        assert (done.returncode, said) == (0, ""), (example, said)
    for number, example in enumerate(opening):
        with Opened(place, *example) as studio:
            if "--users" in example or "--read-only" in example:
                client = Client.__new__(Client)
                client.connection, client.cookie, client.token = Client.connect(studio.port), "", ""
                status, text, where = client.get(studio.base + "/")
                assert (status == 200 and "Read-only" in text) if "--read-only" in example else where.startswith("/studio/login")
                assert status == 200 or 'name="password"' in client.get(where)[1]
                client.close()
            else:
                preview_and_save(studio.port, f"example {number}", "--model" in example)
        assert studio.said == ""


def test_a_tokenizer_in_a_relative_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(make_folder(tmp_path / "rows").parent)
    Path("rows/spiece.model").write_bytes(t0.mini.tokenizer().model_bytes)
    studio = Studio("rows", workers=1)
    try:
        (row,) = studio.workers.render("a", {"content": FORM, "rows": ROWS[:1]})["rows"]
        assert row["input_tokens"]["count"] > 1
    finally:
        studio.close()


def test_places_in_the_environment_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["mine", "", "/theirs"]))
    monkeypatch.setenv("LD_LIBRARY_PATH", "lib")
    monkeypatch.setenv("SECRET", "x")
    kept = children.environment(["PATH"])
    assert kept["PYTHONPATH"].split(os.pathsep) == [str(PACKAGE.parent.resolve()), str(tmp_path / "mine"), "/theirs"]
    assert kept["LD_LIBRARY_PATH"] == str(tmp_path / "lib") and "SECRET" not in kept and children.environment()["SECRET"] == "x"


# ---- processes that end -----------------------------------------------------------------------------------------------


def no_interpreter(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")


def no_vocabulary(monkeypatch):
    monkeypatch.setattr(children, "command", lambda *_: [sys.executable, "-c", "import os; os.read(0, 1); raise OSError('no such thing')"])
    monkeypatch.setattr("t0native.studio.workers.command", children.command)


def killed(monkeypatch):
    monkeypatch.setattr(
        "t0native.studio.workers.command", lambda *_: [sys.executable, "-c", "import os; os.read(0, 1); os.kill(os.getpid(), 9)"]
    )


@pytest.mark.parametrize("broken, told", [
    (no_interpreter, "The process that renders previews cannot be started: [Errno 2] No such file or directory: '/nowhere/python'"),
    (no_vocabulary, "The process that renders previews ended with status 1: OSError: no such thing"),
    (killed, "The process that renders previews was ended by SIGKILL"),
])  # fmt: skip
def test_a_renderer_that_ends_says_why_and_blames_no_template(tmp_path, monkeypatch, caplog, broken, told):
    broken(monkeypatch)
    studio = Studio(make_folder(tmp_path / "rows"), workers=1)
    try:
        browser = Browser(create_app(studio))
        with caplog.at_level(logging.ERROR, "t0native"):
            fragment = browser.post("/preview", 200, dataset="1", **FORM).text
        assert caplog.messages[-1] == f"studio: {told}"
        page = browser.write(1, 503)
        for text in (fragment, page.text):
            assert told in text.replace("&#39;", "'") and "a fault of the studio, not of the template" in text
            assert "jinja-error" not in text and "Template:" not in text and "This template" not in text and "aria-invalid" not in text
        assert CHOICES in page.text.replace("&#39;", "'")
        assert studio.store.ask("SELECT * FROM prompt") == []
        number = studio.store.create("local", 1, FORM | {"metadata": None})
        for path in (f"/prompt/{number}", f"/dataset/1/rows?prompt={number}"):
            assert told in main_of(browser.get(path)).replace("&#39;", "'")
    finally:
        studio.close()


def test_a_renderer_that_cannot_read_its_tokenizer_says_which(tmp_path):
    workers = Workers(1, tmp_path / "gone.model")
    try:
        told = [workers.render("a", {"content": FORM})["failed"] for _ in range(2)]
    finally:
        workers.close()
    assert told[0].startswith("The process that renders previews ended with status 1: ") and str(tmp_path / "gone.model") in told[0]
    assert told[1] == told[0]


def test_a_queue_that_is_full_blames_no_template(tmp_path):
    studio = Studio(make_folder(tmp_path / "rows"), workers=0)

    def busy(*_):
        raise Busy("many previews wait: try again in a few seconds")

    studio.workers.render = busy
    page = Browser(create_app(studio)).write(1, 503)
    studio.close()
    assert "many previews wait" in main_of(page) and "jinja-error" not in page.text and "Template:" not in page.text


def test_rows_that_are_too_large_keep_no_prompt_from_being_saved(tmp_path):
    folder = make_folder(tmp_path / "rows")
    (folder / "mine/first/train.jsonl").write_text('{"text": "%s", "label": 1}\n' % ("x" * (9 << 20)))
    studio = Studio(folder, workers=1)
    try:
        browser = Browser(create_app(studio))
        text = browser.post("/preview", 200, dataset="1", **FORM).text
        assert "are tried at once: choose other rows" in text and "This template" not in text and "Template:" not in text
        assert browser.write(1) == 1
    finally:
        studio.close()


def test_a_reader_of_files_that_ends_blames_no_file(tmp_path, monkeypatch, caplog):
    studio = Studio(make_folder(tmp_path / "rows"), workers=0)
    browser = Browser(create_app(studio))
    monkeypatch.setattr("t0native.studio.confined.command", lambda *_: [sys.executable, "-c", "raise SystemExit('no room')"])
    with pytest.raises(Failed, match="The process that reads files ended with status 1: no room"):
        read_confined("csv", tmp_path / "a.csv", tmp_path / "out", 10)
    no_interpreter(monkeypatch)
    monkeypatch.setattr("t0native.studio.confined.command", children.command)
    with caplog.at_level(logging.ERROR, "t0native"):
        page = browser.post("/dataset/1/upload", 503, files={"rows": (open(tmp_path / "rows/single.csv", "rb"), "a.csv")}, split="train")
    studio.close()
    assert "cannot be started" in main_of(page) and "fault of the studio" in main_of(page) and "cannot be started" in caplog.messages[-1]
