"""Previews in confined processes: what they show, what stops them, and that nobody else waits for it."""

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from load_studio import BOMBS
from studio_client import CHOICES, ROWS

import t0native as t0
from t0native.studio.renderer import work
from t0native.studio.workers import Busy, Workers


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "spiece.model"
    path.write_bytes(t0.mini.tokenizer().model_bytes)
    workers = Workers(2, path)
    yield workers
    workers.close()


def content(jinja=CHOICES, choices="false ||| true", **metadata):
    return {"name": "p", "jinja": jinja, "answer_choices": choices, "metadata": metadata}


def test_a_row_shows_fields_tokens_and_losses(workers):
    (row,) = workers.render("a", {"content": content("{{ text }}\nIs it so? ||| {{ answer_choices[label] }}"), "rows": ROWS[:1]})["rows"]
    assert (
        row["input"] == [["Anna drinks tea", True], ["\nIs it so?", False]]
        and row["target"] == [["false", True]]
        and row["choices"] == ["false", "true"]
    )
    assert row["input_tokens"]["count"] == len(t0.mini.tokenizer().encode(row["input_text"], add_eos=True))
    assert row["input_tokens"]["lost"] == ["1 line break: became a space"] and not row["cut"] and row["dropped"] is None


def test_colours_never_change_a_text():
    jinja = "{% set x %}{{ a }}{% endset %}{{ x | length }} ||| b"  # highlighting would count its marks
    (row,) = work({"content": content(jinja, None), "rows": [{"a": "xyz"}]})["rows"]
    assert row["input"] == [["3", False]]
    hostile = "</span><span style='color: #F08080'>"
    (row,) = work({"content": content("{{ a }} ||| b", None), "rows": [{"a": hostile}]})["rows"]
    assert row["input_text"] == hostile and "".join(text for text, _ in row["input"]) == hostile


@pytest.mark.parametrize("jinja, choices, metadata, told", [
    ("{{ text }}", None, {}, "the separator ||| is missing"),
    ("{{ text }} ||| maybe", "no ||| yes", {}, "4 of 4 rows: the target is none of the answer choices"),
    ("{{ text }} ||| {{ answer_choices[label] }}", "no ||| yes", {"choices_in_prompt": True}, "are said to be listed, and are not all in the input"),
    ("{{ text }} no or yes? ||| {{ answer_choices[label] }}", "no ||| yes", {"choices_in_prompt": False}, "are said not to be in the prompt"),
    ("{{ text }} ||| {{ text }}", None, {}, "the target stands in every input"),
    ("{% if label %}{{ text }}{% endif %} ||| a", None, {}, "2 of 4 rows: T0's pipeline drops the row"),
    ("{{ text }} ||| {{ note or '' }}", None, {}, "4 of 4 rows: the target is empty"),
    ("{{ text }} ||| a", "a ||| a", {}, "two answer choices are the same"),
    ("{{ txt }} ||| a", None, {}, "reads txt, which no row has"),
])  # fmt: skip
def test_the_guide_warns(jinja, choices, metadata, told):
    warnings = work({"content": content(jinja, choices, **metadata), "rows": ROWS[:4]})["warnings"]
    assert any(told in sentence for sentence in warnings), warnings
    sound = content("{{ text }}. no or yes? ||| {{ answer_choices[label] }}", "no ||| yes", choices_in_prompt=True)
    assert work({"content": sound, "rows": ROWS[:4]})["warnings"] == []


@pytest.mark.parametrize("bomb", BOMBS, ids=lambda bomb: bomb[:30])
def test_bombs_cost_their_author_an_error(workers, bomb):
    answer = workers.render(f"author of {bomb}", {"content": content(bomb + " ||| a", None), "rows": ROWS[:5]})
    assert "limit" in answer or "error" in answer or all("error" in row for row in answer["rows"]), answer
    assert workers.render("another", {"content": content(), "rows": ROWS[:5]})["rows"][4]["target_text"] == "false"


def test_a_preview_needs_no_module_that_its_process_has_not_loaded():
    """The child that renders may open no file, so what it uses must be there before it is made."""
    script = """if True:
        import sys
        import t0native.studio.renderer as renderer
        tokenizer = renderer.Tokenizer.from_file(sys.argv[1])
        before = set(sys.modules)
        rows = [{"a-b": "x\u00e9", "label": 1}, {"a-b": "", "label": 0}, {"label": 5}]
        contents = [
            {"name": "p", "jinja": "{{ a_b | upper }} {{ [1, 2] | choice }} ||| {{ answer_choices[label] }}", "answer_choices": "no ||| yes"},
            {"name": "broken", "jinja": "{{ a | sort("},
            {"name": "unknown", "jinja": "{{ a | uppper }} ||| b"},
            {"name": "endless", "jinja": "{% for i in range(10**9) %}x{% endfor %} ||| b"},
            {"name": "no target", "jinja": "{{ a_b }}"},
        ]
        answers = [renderer.work({"content": content, "rows": rows}, tokenizer) for content in contents]
        print(*sorted(set(sys.modules) - before), sum("rows" in answer for answer in answers))
    """
    vocabulary = Path(t0.__file__).parent / "mini/spiece.model"
    done = subprocess.run([sys.executable, "-P", "-c", script, str(vocabulary)], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("3\n", "")


def test_the_kernel_stops_what_the_evaluator_does_not(monkeypatch):
    """Each limit of a child, met by code instead of a template."""
    script = """if True:
        import json, os, socket, sys, time
        from t0native.studio import renderer
        def attempt(request, tokenizer):
            what = request["what"]
            if what == "time": time.sleep(30)
            if what == "processor":
                while True: pass
            if what == "memory": return {"got": len(bytearray(1 << 30))}
            if what == "exit": os._exit(3)
            if what == "broken": 1 / 0
            if what == "killed": os.kill(os.getpid(), 11)
            try:
                {"file": lambda: open("/etc/passwd"), "write": lambda: open("/tmp/x", "w"), "socket": lambda: socket.socket(), "pipe": os.pipe}[what]()
            except OSError as error:
                return {"refused": error.strerror}
            return {"got": what}
        renderer.work, renderer.WALL = attempt, 1.5
        renderer.main()
    """
    started = subprocess.Popen([sys.executable, "-P", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    from t0native.studio.renderer import read_frame, write_frame

    told = {}
    for what in ("file", "write", "socket", "pipe", "processor", "memory", "exit", "broken", "killed", "time"):
        write_frame(started.stdin.fileno(), b'{"what": "%s"}' % what.encode())
        told[what] = read_frame(started.stdout.fileno()).decode()
    started.stdin.close()
    started.wait(20)
    started.stdout.close()
    assert all("Too many open files" in told[what] for what in ("file", "write", "socket", "pipe")), told
    assert "100 ms of processor time" in told["processor"] and "used up its memory" in told["memory"]
    assert json.loads(told["exit"])["failed"] == "The process of this preview ended with status 3, without an answer"
    assert json.loads(told["broken"])["failed"] == "The preview failed: ZeroDivisionError: division by zero"
    assert json.loads(told["killed"])["failed"] == "The process of this preview was ended by SIGSEGV, without an answer"
    assert "did not end within" in told["time"]


def test_a_renderer_that_dies_is_replaced(workers):
    for renderer in workers._renderers:
        renderer._process.send_signal(signal.SIGKILL)
        renderer._process.wait()
    answers = [workers.render("a", {"content": content(), "rows": ROWS[:1]}) for _ in range(4)]
    assert all("rows" in answer for answer in answers)


def test_an_author_has_one_turn_and_a_short_queue(monkeypatch):
    workers, release, running = Workers(0), threading.Event(), []

    class Slow:
        def ask(self, data):
            running.append(threading.current_thread().name)
            release.wait(10)
            return {"rows": []}

    for _ in range(3):
        workers._free.put(Slow())
    threads = [threading.Thread(target=workers.render, args=["anna", {}]) for _ in range(6)]
    for thread in threads:
        thread.start()
    while workers._authors.get("anna") is None or workers._authors["anna"].waiting < 6:
        time.sleep(0.005)
    assert len(running) <= 1
    with pytest.raises(Busy, match="your earlier previews"):
        workers.render("anna", {})
    release.set()
    assert workers.render("ben", {}) == {"rows": []}
    for thread in threads:
        thread.join()
    assert len(running) == 7 and workers.render("anna", {}) == {"rows": []}


def test_rows_too_large_are_told(workers):
    assert "choose other rows" in workers.render("a", {"content": content(), "rows": [{"text": "x" * (9 << 20)}]})["rows_error"]
