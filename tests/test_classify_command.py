"""The verb classify: the library's answers as lines, files and texts, labels in every form, what is left out, and going on after a kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import t0native as t0
from t0native.base.partfile import PartFile
from t0native.cli.main import main

ASK = "{{ text }} Who keeps the dog?"
PEOPLE, ANIMALS = ["Anna", "Ben", "Tom"], ["cat", "bird", "fish", "horse"]
ROWS = [
    {"id": i, "text": f"{a} keeps a {pet}. {b} keeps a dog.", "who": b}
    for i, (a, b, pet) in enumerate((a, b, pet) for a in PEOPLE for b in PEOPLE if a != b for pet in ANIMALS)
]
TEXTS = [row["text"] for row in ROWS]
WORDS = ("--model", "model", "--labels", "Anna,Ben,Tom", "--prompts", ASK)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classify")
    t0.Model.mini().save(folder / "model")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "rows.csv").write_text("id,text,who\n" + "".join(f"{row['id']},{row['text']},{row['who']}\n" for row in ROWS))
    (folder / "texts.txt").write_text("\n".join(TEXTS) + "\n")
    return folder


@pytest.fixture
def run(capfd, place, monkeypatch):
    def call(*arguments, stdin=None):
        monkeypatch.chdir(place)
        with open(stdin or os.devnull) as file:
            monkeypatch.setattr(sys, "stdin", file)
            try:
                code = main(["classify", *map(str, arguments)])
            except SystemExit as stop:
                code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


def lines_of(text):
    return [json.loads(line) for line in text.splitlines()]


def classifier(place, **options):
    return t0.Classifier(t0.Model.from_pretrained(place / "model"), PEOPLE, ASK, **options)


# ---- answers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["rows.jsonl", "rows.csv", "texts.txt"])
def test_it_gives_what_the_library_gives(run, place, source):
    code, out, err = run(source, *WORDS, "-q", "--probabilities")
    assert (code, err) == (0, "")
    rows = [{"text": text} for text in TEXTS] if source == "texts.txt" else ROWS
    want = [row | {"row": i} | answer | {"reason": None} for i, (row, answer) in enumerate(zip(rows, classifier(place).classify(TEXTS)))]
    assert lines_of(out) == want


@pytest.mark.parametrize("how", ["contextual", "pmi", "batch"])
def test_calibration_and_tuning_are_the_library_s(run, place, how):
    code, out, _ = run("rows.jsonl", *WORDS, "--calibrate", how, "--calibrate-rows", 7, "--keep", "none")
    c = classifier(place).calibrate(TEXTS[:7], method=how)
    assert code == 0 and [line["probability"] for line in lines_of(out)] == c.predict_proba(TEXTS).max(axis=1).tolist()
    tune = ["--tune", "temperature", "--labelled", "rows.csv", "--label-field", "who"]
    code, out, _ = run("rows.jsonl", *WORDS, "--calibrate", how, "--keep", "none", *tune)
    c = classifier(place, calibration=how, tune="temperature").fit(TEXTS, [row["who"] for row in ROWS])
    assert [line["probability"] for line in lines_of(out)] == c.predict_proba(TEXTS).max(axis=1).tolist()


def test_the_choice_of_wordings_is_told(run, place):
    words = ["--model", "model", "--labels", "Anna,Ben,Tom", "--prompts", "{{ text[:4] }} Who?", "--prompts", ASK]
    code, out, err = run("rows.jsonl", *words, "--tune", "wordings", "--labelled", "rows.jsonl", "--label-field", "who", "--to", "text")
    assert code == 0 and out.splitlines() == classifier(place).predict(TEXTS).tolist()
    assert "1 of 2 wordings are kept: {{ text }} Who keeps the dog?; accuracy 1.000 on rows that took no part" in err


def test_doubtful_rows_have_no_label(run):
    code, out, _ = run("rows.jsonl", *WORDS, "--threshold", 0.9999, "--keep", "none")
    lines = lines_of(out)
    assert code == 0 and {line["abstained"] for line in lines} == {True, False}
    assert all((line["label"] is None) == line["abstained"] == (line["probability"] < 0.9999) for line in lines)


def test_several_labels_a_text(run, place):
    words = ["--model", "model", "--labels", "tea,milk", "--multi-label", "--threshold", 0.05, "--set", 'yes_no=["Yes", "No"]']
    code, out, _ = run("rows.jsonl", *words, "--keep", "none", "--limit", 5)
    c = t0.Classifier(t0.Model.from_pretrained(place / "model"), ["tea", "milk"], multi_label=True, threshold=0.05)
    assert code == 0 and [line["label"] for line in lines_of(out)] == [answer["label"] for answer in c.classify(TEXTS[:5])]
    assert (
        json.loads(run("rows.jsonl", *words, "--limit", 1, "--keep", "none", "--to", "csv")[1].splitlines()[1].split(",")[1] or "[]") == []
    )


def test_texts_are_shown_in_a_line_each(run):
    code, out, err = run(*WORDS, TEXTS[0], "Tom keeps\na dog.")
    assert (code, err) == (0, "") and out.splitlines() == [f"Ben\t1.000\t{TEXTS[0]}", "Tom\t1.000\tTom keeps a dog."]
    assert run(*WORDS, "--threshold", 1, TEXTS[0])[1].startswith("(not sure)\t")
    code, out, _ = run(*WORDS, TEXTS[0], "--json")
    assert lines_of(out)[0]["label"] == "Ben" and lines_of(out)[0]["text"] == TEXTS[0]
    assert run("-", *WORDS, stdin="texts.txt")[1].count('"label": ') == len(TEXTS)


def test_a_long_text_is_no_file(run):
    code, out, err = run(*WORDS, " ".join(TEXTS[:20]))
    assert code == 0 and len(out.splitlines()) == 1, err
    code, _, err = run(*WORDS[:4], "--prompts", "is it so? " * 50, TEXTS[0])
    assert code == 2 and "no set of wordings" in err
    code, _, err = run(*WORDS[:2], "--labels", "Anna or Ben " * 30, TEXTS[0])
    assert code == 2 and "File name too long" not in err
    code, _, err = run("--model", "model", "--labels", "Anna,Ben", "--dataset", "x", "--prompts", "is it so? " * 50, TEXTS[0])
    assert code == 2 and "File name too long" not in err


def test_a_file_of_labels_is_read_as_it_is_written_or_refused(run, place):
    (place / "words.txt").write_bytes("très bon\nmauvais\n".encode("cp1252"))
    code, _, err = run("--model", "model", "--labels", "words.txt", TEXTS[0])
    assert code == 2 and "words.txt, line 1, byte 3" in err and "not UTF-8" in err


def test_labels_of_every_form(run, place):
    (place / "labels.txt").write_text("Anna\n\nBen\nTom\n")
    (place / "labels.json").write_text('{"0": ["Anna", "Anne"], "1": "Ben", "2": "Tom"}')
    for labels, names in (
        ("labels.txt", PEOPLE),
        ("a=Anna, b=Ben,c=Tom", list("abc")),
        ("0=Anna,1=Ben,2=Tom", [0, 1, 2]),
        ("labels.json", [0, 1, 2]),
        ("007=Anna,08=Ben,10=Tom", ["007", "08", "10"]),  # codes, not numbers
    ):
        code, out, _ = run("rows.jsonl", *WORDS[:2], "--labels", labels, *WORDS[4:], "--keep", "none")
        assert code == 0 and [line["label"] for line in lines_of(out)] == [names[PEOPLE.index(row["who"])] for row in ROWS]


def test_rows_with_lists_of_labels_and_rows_that_have_no_label(run, place):
    rows = [
        {"text": TEXTS[0], "may": ["Anna", "Tom"], "label": "old"},
        {"text": TEXTS[0], "may": "Anna ||| Ben"},
        {"text": "  ", "may": ["Anna"]},
        {"text": TEXTS[0], "may": ["Kim"]},
        {"text": None, "may": ["Anna"]},
    ]
    (place / "lists.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = run("lists.jsonl", *WORDS, "--labels-field", "may", "--probabilities")
    lines = lines_of(out)
    assert code == 0 and [line["label"] for line in lines[1:]] == ["Ben", None, None, None] and lines[0]["label"] in ("Anna", "Tom")
    assert lines[0]["row.label"] == "old" and lines[0]["probabilities"]["Ben"] == 0.0
    assert [line["reason"] for line in lines] == [
        None,
        None,
        "text is blank",
        "may: 'Kim' is no label; there are: Anna, Ben, Tom",
        "text is missing",
    ]
    assert "3 of 5 without an answer; the first, row 2: text is blank" in err


def test_rows_whose_text_is_a_field_that_is_named(run, place):
    (place / "said.jsonl").write_text(json.dumps({"said": TEXTS[0], "by": "me"}) + '\n{"said": ""}\n{"said": 5}\n')
    code, out, _ = run("said.jsonl", *WORDS, "--field", "said")
    told = [(line["label"], line["reason"]) for line in lines_of(out)]
    assert code == 0 and told == [("Ben", None), (None, "said is blank"), (None, "said: 5 is int; a text or a row is needed")]


def test_long_texts_are_told_once(run, place):
    (place / "long.jsonl").write_text((json.dumps({"text": "Tom drinks tea. " * 60 + "Anna keeps a dog."}) + "\n") * 30)
    code, out, err = run("long.jsonl", *WORDS, "--max-input-length", 64, "--long-texts", "pieces")
    assert code == 0 and err.count("30 of 30 inputs had more than 64 tokens: the texts were asked in pieces") == 1


# ---- going on -------------------------------------------------------------------------------------------------------------


def test_it_goes_on_after_a_kill_to_the_same_bytes(place):
    (place / "many.jsonl").write_text("".join(json.dumps(ROWS[i % len(ROWS)] | {"id": i}) + "\n" for i in range(3000)))
    command = [sys.executable, "-P", "-m", "t0native", "classify", "many.jsonl", *WORDS, "--calibrate", "batch", "--calibrate-rows", "20"]
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    part, deadline = place / "killed.jsonl.part", time.monotonic() + 120
    process = subprocess.Popen([*command, "--out", "killed.jsonl"], cwd=place, env=environment, stderr=subprocess.DEVNULL)
    while not (part.exists() and part.read_bytes().count(b"\n") > 20) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait(timeout=120) == 0:
        pytest.skip("this machine was done before the signal came")
    other = subprocess.run([*command[:-1], "19", "--out", "killed.jsonl"], cwd=place, env=environment, capture_output=True, text=True)
    assert other.returncode == 2 and "is a part of another command's results (options differ" in other.stderr
    done = subprocess.run([*command, "--out", "killed.jsonl"], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "answers are there; going on" in done.stderr
    whole = subprocess.run([*command, "--out", "whole.jsonl", "--threads", "1"], cwd=place, env=environment, capture_output=True)
    assert whole.returncode == 0 and (place / "killed.jsonl").read_bytes() == (place / "whole.jsonl").read_bytes()
    assert np.array_equal([line["id"] for line in lines_of((place / "killed.jsonl").read_text())], np.arange(3000))


def test_it_does_not_go_on_with_other_words_in_the_question(run, monkeypatch):
    """The first word of a label stands in the question: another first one is another command."""
    one, other = '{"a": ["Anna", "Anne"], "b": ["Ben"]}', '{"a": ["Anne", "Anna"], "b": ["Ben"]}'
    command = ["rows.jsonl", *WORDS[:2], "--prompts", "{{ text }} {{ answer_choices | join(' or ') }}?", "--out", "words.jsonl", "--labels"]
    with monkeypatch.context() as patched:
        patched.setattr(PartFile, "finish", lambda self: (_ for _ in ()).throw(OSError("no room")))
        assert run(*command, one)[0] == 2
    code, _, err = run(*command, other)
    assert code == 2 and "is a part of another command's results (labels differ" in err
    code, _, err = run(*command, one)
    assert code == 0 and f"{len(ROWS)} answers are there; going on" in err
