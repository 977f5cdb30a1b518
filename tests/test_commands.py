"""Commands as people type them: wrong ones with their hints, those of every help text, files of rows in and answers out."""

import json
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from test_cli import RECIPE, TEMPLATES

import t0native as t0
from t0native.adapters.peftfolder import write_folder
from t0native.cli.main import main, make_parser
from t0native.cli.parsing import subparsers_of
from t0native.cli.rowfiles import LOOKED_AT, AnswerFile
from t0native.data.rowstream import stream_rows

GOLDEN = Path(__file__).parent / "golden/wrong_commands.txt"  # T0NATIVE_WRITE_GOLDEN=1 writes its answers anew: look at what changed
ROWS = [{"text": f"Anna drinks {drink}", "label": i % 2} for i, drink in enumerate(["tea", "milk", "juice", "water"] * 3)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with templates, rows and a small random model."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "templates/mine").mkdir(parents=True)
    (folder / "templates/mine/templates.yaml").write_text(TEMPLATES)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"{row['text']},{row['label']}\n" for row in ROWS))
    (folder / "other.jsonl").write_text('{"texts": "a"}\n')
    (folder / "rows.xlsx").write_text("PK")
    (folder / "taken.jsonl").write_text("mine\n")
    (folder / "empty.jsonl").write_text("\n")
    (folder / "good.yaml").write_text(RECIPE)
    (folder / "other.md").write_text("# Tea\n")
    (folder / "folder/some").mkdir(parents=True)
    (folder / "folder/some/mine.csv").write_text("text,label\na,1\n")
    (folder / "corpus.txt").write_text("tea\n")
    tokenizer = t0.Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model")
    config = t0.Config(vocab_size=tokenizer.vocab_size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    t0.Model.init(config, tokenizer=tokenizer, seed=1).save(folder / "model")
    return folder


@pytest.fixture
def run(capfd, place, monkeypatch):
    """run(*arguments, stdin=None) -> (exit code, stdout, stderr), inside the folder."""

    def call(*arguments, stdin=None, cwd=place):
        monkeypatch.chdir(cwd)
        with open(stdin or os.devnull) as file:
            monkeypatch.setattr(sys, "stdin", file)
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as stop:  # argparse
                code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return call


PREDICT = ("predict", "--model", "model", "--prompts", "templates")


def lines_of(out):
    return [json.loads(line) for line in out.splitlines()]


# ---- what is typed wrong --------------------------------------------------------------------------------------------


def test_wrong_commands_get_their_hints(run):
    pairs = re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", GOLDEN.read_text(encoding="utf-8"), flags=re.M)
    assert len(pairs) >= 40
    told = {}
    for command, _ in pairs:
        code, out, err = run(*shlex.split(command)[1:])
        assert (code, out) == (2, ""), command
        told[command] = err
    if os.environ.get("T0NATIVE_WRITE_GOLDEN"):
        GOLDEN.write_text("".join(f"$ {command}\n{err}" for command, err in told.items()), encoding="utf-8")
    assert told == dict(pairs)


def test_t0native_alone_shows_its_help(run):
    code, out, err = run()
    assert code == 0 and out.startswith("usage: t0native") and "predict" in out and err == ""


def test_words_behind_options_are_taken(run, place):
    plain = run("rank", "--model", "model", "Is it tea?", "yes", "no", "--truncate")
    assert plain[0] == 0 and run("rank", "--model", "model", "Is it tea?", "--truncate", "yes", "no") == plain
    assert run("rank", "Is it tea?", "yes", "--model", "model", "no") == plain
    assert run("prompt", "show", "mine", "--prompts", "templates", "is it so")[1].count("==") == 1


def test_every_verb_has_json_but_those_that_print_a_script():
    lacking = [verb for verb, parser in subparsers_of(make_parser()).items() if "--json" not in parser.format_help()]
    assert lacking == ["lm-eval", "completion"]  # whose words are the harness's


def test_hints_of_the_library_are_in_the_words_of_the_verb():
    from t0native.cli.hints import in_words_of_the_command_line
    from t0native.cli.parsing import options_of

    parsers = subparsers_of(make_parser())
    for verb, text, told in (
        ("train", "name another folder, or use resume='never' to begin anew", "name another folder, or use --resume never to begin anew"),
        ("train", "use optimizer='adafactor', which needs less", "use --set optimizer=adafactor, which needs less"),
        ("train", "recompute=True takes less", "--set recompute=true takes less"),
        ("generate", "add num_beams=3 or do_sample=True", "add --num-beams 3 or --sample"),
        ("rank", "load it with tokenizer=FILE", "load it with --tokenizer FILE"),
        ("info", "load it with tokenizer=FILE", "load it with tokenizer=FILE"),
        ("predict", "the row has x=5, 'top_k=3' and num_beam=4", "the row has x=5, 'top_k=3' and num_beam=4"),
    ):
        assert in_words_of_the_command_line(text, options_of(parsers[verb])) == told


# ---- what the help texts show ---------------------------------------------------------------------------------------

NOT_RUN = {  # of the examples
    "demo": "takes minutes; tests/test_mini_demo.py",
    "bench": "takes minutes; tests/test_bench.py",
    "lm-eval": "needs the harness; tests/test_lm_eval.py",
    "studio": "serves until it is stopped; tests/test_studio_server.py",
}
OF_OTHERS = (
    "bigscience/T0_3B",
    "anli_v1.0",
    "pro_stereotyped",
    "--suite t0",
    "--subset wic",
    "piqa=",
    "vocab train",
    "rows.parquet",
    "suite.yaml",
)


def examples():
    for verb, parser in subparsers_of(make_parser()).items():
        for line in parser.epilog.splitlines()[1:]:
            yield verb, re.sub(r"\s+\((again|reads).*\)$", "", line.strip().removeprefix("t0native "))


def test_every_example_of_a_help_text_is_a_command():
    parser, count = make_parser(), 0
    for _, example in examples():
        words = shlex.split(example)
        words = words[: next((i for i, word in enumerate(words) if word in ("<", ">", ">>")), len(words))]
        parser.parse_args(words)
        count += 1
    assert count > 45


@pytest.fixture
def as_shown(place, tmp_path, monkeypatch):
    """A folder in which the examples' files are."""
    import shutil

    shutil.copytree(place / "model", tmp_path / "my-t0")
    shutil.copytree(place / "model", tmp_path / "run/checkpoint_1000")
    wording = TEMPLATES.replace("name: is it so", "name: first wording").replace("name: true or false", "name: my prompt")
    wording = wording.replace("True or false? ||| {{answer_choices[label]}}", "True or false? ||| true")
    for folder, dataset, text in (
        ("my/templates/mine", "mine", wording),
        (
            "site/promptsource/templates/super_glue/copa",
            "super_glue",
            wording.replace("dataset: mine", "dataset: super_glue\nsubset: copa"),
        ),
    ):
        (tmp_path / folder).mkdir(parents=True)
        text = text.replace("first wording", "exercise") if dataset != "mine" else text
        (tmp_path / folder / "templates.yaml").write_text(text.replace("{{text}}", "{{premise}}") if dataset != "mine" else text)
    (tmp_path / "site/promptsource/__init__.py").write_text("")
    model = t0.Model.from_pretrained(tmp_path / "my-t0")
    for name, method in (("my-lora", t0.LoRA(r=2)), ("my-ia3", t0.IA3())):
        write_folder(str(tmp_path / name), method.make(model.config, seed=1))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    copa = {"premise": "It rains.", "choice1": "a", "choice2": "b", "question": "cause", "idx": 0, "label": 1}
    wsc = {
        "text": "Anna and Ben met her",
        "target": {"span1_index": 0, "span1_text": "Anna", "span2_index": 4, "span2_text": "her"},
        "label": True,
    }
    files = {
        "rows.jsonl": (place / "rows.jsonl").read_text(),
        "rows.csv": (place / "rows.csv").read_text(),
        "reviews.csv": "review,label\n" + "I loved it.,1\nDull.,0\n" * 5,
        "questions.jsonl": '{"question": "Tea?", "options": ["yes", "no"]}\n',
        "questions.txt": "Tea?\nMilk?\n",
        "articles.jsonl": '{"article": "It rained."}\n',
        "COPA.val.jsonl": (json.dumps(copa) + "\n") * 4,
        "WSC/val.jsonl": json.dumps(wsc | {"idx": 0}) + "\n",
        "recipe.yaml": RECIPE.replace("model: model", "model: my-t0").replace("prompts: templates", "prompts: my/templates"),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_the_page_about_commands_names_every_verb():
    page = (Path(__file__).parent.parent / "docs/reference/commands.md").read_text(encoding="utf-8")
    assert [verb for verb in subparsers_of(make_parser()) if f"`{verb}" not in page] == []


@pytest.mark.parametrize("form", ["relative", "absolute"])
def test_examples_do_as_they_are_shown(run, as_shown, form):
    order = list(dict.fromkeys(verb for verb, _ in examples()))
    order = sorted(order, key=lambda verb: verb == "report")  # of runs that evaluate has made
    todo = [(verb, example) for name in order for verb, example in examples() if verb == name and verb not in NOT_RUN]
    count = 0
    for verb, example in todo:
        if any(other in example for other in OF_OTHERS):
            continue
        if verb == "report" and not (as_shown / "run-a").exists():
            for folder in ("run", "run-a", "run-b"):
                own = ["--task", "mine=rows.jsonl", "--prompts", "my/templates", "--label", folder, "--out", folder]
                assert run("evaluate", "--model", "my-t0", *own, "--limit", 2, cwd=as_shown)[0] == 0
        words = shlex.split(example)
        stdin = as_shown / words[words.index("<") + 1] if "<" in words else None
        words = words[: next((i for i, word in enumerate(words) if word in ("<", ">", ">>")), len(words))]
        if "--plot" in words or "--html" in words:
            pytest.importorskip("matplotlib")
        if form == "absolute":
            words = [_absolute(as_shown, word, words) for word in words]
        code, out, err = run(*words, stdin=stdin, cwd=as_shown)
        assert code == (1 if words[0] == "prompt" and words[1] == "check" and "2 problems" in out else 0), f"{example}: {err}"
        assert out or "--out" in words or verb == "report", example
        count += 1
    assert count > 24


def _absolute(folder, word, words):
    """A word that names a file or folder which is there, or which an option says is to be made, with the folder before it."""
    if word in ("mine", "reviews", "run") and words[0] == "prompt":
        return word
    made = words[words.index(word) - 1] in ("--out", "--html", "--plot", "--data") if word in words[1:] else False
    dataset, equals, file = word.partition("=")
    if equals and (folder / file).exists() and "/" in dataset:
        return f"{dataset}={folder / file}"
    return str(folder / word) if word != "-" and ((folder / word).exists() or made) else word


# ---- rows in, answers out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["rows.jsonl", "rows.csv"])
def test_predict_gives_what_the_library_gives(run, place, source):
    code, out, err = run(*PREDICT, source, "-q")
    prompts = t0.PromptSet.read(place / "templates/mine/templates.yaml")
    want = list(t0.predict(t0.Model.from_pretrained(place / "model"), prompts, place / "rows.jsonl"))
    assert code == 0 and err == "" and lines_of(out) == [ROWS[answer["row"]] | answer for answer in want]
    code, out, _ = run(*PREDICT, source, "--prompt", "is it so", "--keep", "label", "--limit", 5, "--to", "csv")
    assert code == 0 and out.splitlines()[0] == "label,row,prompt,prediction,index,choices,scores,reason" and out.count("\n") == 6


def test_answers_go_to_a_file_in_the_form_that_it_is_named_for(run, place):
    for name in ("answers.jsonl", "answers.csv", "answers.tsv"):
        code, out, err = run(*PREDICT, "rows.jsonl", "--out", name)
        assert (code, out) == (0, "") and f"{name}: 24 answers" in err
        rows = t0.read_rows(place / name)
        assert [row["prediction"] for row in rows] == [row["prediction"] for row in t0.read_rows(place / "answers.jsonl")]
        assert run(*PREDICT, "rows.jsonl", "--out", name)[2].endswith(f"error: {name}: is there already; --force replaces it\n")
    code, out, _ = run(*PREDICT, "rows.jsonl", "--out", "answers.csv", "--force", "--json")
    assert json.loads(out) == {"path": "answers.csv", "answers": 24, "without": 0}
    assert not list(place.glob("*.part*"))


def test_fields_that_have_the_names_of_answers_stay(run, place):
    (place / "clash.jsonl").write_text('{"text": "a", "prompt": "mine", "row": 7}\n')
    line = lines_of(run(*PREDICT, "clash.jsonl", "--prompt", "is it so")[1])[0]
    assert (line["row.prompt"], line["row.row"], line["prompt"], line["row"]) == ("mine", 7, "is it so", 0)


@pytest.mark.parametrize("to", ["jsonl", "csv"])
def test_no_field_of_a_row_is_ever_overwritten(run, place, to):
    """Not even one that is called as another is renamed, nor of a row that has more fields than the first ones."""
    first = {"text": "a", "prediction": "mine", "row.prediction": "older", "row": 7, "row.row": 8, "reason": "because"}
    rows = [first] * 100 + [first | ({"index": 3, "row.index": 4, "choices": "c"} if to == "jsonl" else {})]
    (place / "clash.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, err = run(*PREDICT, "clash.jsonl", "--prompt", "is it so", "--out", f"clashed.{to}", "--force")
    lines = t0.read_rows(place / f"clashed.{to}")
    assert code == 0 and len(lines) == 101, err
    for row, line in zip(rows, lines):
        values = list(line.values())
        assert all(value in values for value in row.values())
        assert line["row.row.prediction"] == "mine" and line["row.prediction"] == "older" and line["prediction"] in ("yes", "no")
    if to == "jsonl":
        assert (lines[-1]["row.row.index"], lines[-1]["row.index"], lines[-1]["row.choices"]) == (3, 4, "c")


def test_rank_and_generate_over_files(run, place):
    model = t0.Model.from_pretrained(place / "model")
    texts = [row["text"] for row in ROWS]
    rankings = model.rank(texts, ["yes", "no"])
    code, out, _ = run("rank", "--model", "model", "--data", "rows.csv", "yes", "no")
    assert code == 0 and out.splitlines() == [ranking.choice for ranking in rankings]
    code, out, _ = run("rank", "--model", "model", "--data", "rows.csv", "--field", "text", "--choice", "yes", "--choice", "no", "--json")
    assert [line["scores"] for line in lines_of(out)] == [ranking.scores.tolist() for ranking in rankings] and lines_of(out)[1][
        "label"
    ] == 1
    (place / "own.jsonl").write_text('{"text": "a", "options": ["x", "y"]}\n{"text": "a", "options": "x ||| y ||| z"}\n{"text": "a"}\n')
    code, out, err = run("rank", "--model", "model", "--data", "own.jsonl", "--choices-field", "options", "--json")
    assert code == 0 and [line["choices"] for line in lines_of(out)] == [["x", "y"], ["x", "y", "z"], None]
    assert "1 of 3 without an answer; the first, row 2: no field 'options'" in err
    (place / "texts.txt").write_text("\n".join(texts) + "\n\n")
    options = dict(max_new_tokens=3, num_beams=2, length_penalty=0.5)
    words = ["generate", "--model", "model", "--max-new-tokens", 3, "--num-beams", 2, "--set", "length_penalty=0.5"]
    want = [" ".join(text.split()) for text in model.generate(texts, **options)]
    assert run(*words, "--data", "texts.txt")[1].splitlines() == want
    assert run(*words, stdin=place / "texts.txt")[1].splitlines() == want
    assert [line["output"] for line in lines_of(run(*words, "--data", "rows.jsonl", "--json")[1])] == model.generate(texts, **options)


def test_samples_over_a_file_are_those_of_one_call(run, place):
    words = ["generate", "--model", "model", "--data", "rows.jsonl", "--sample", "--seed", 4, "--max-new-tokens", 3, "--json"]
    want = t0.Model.from_pretrained(place / "model").generate([row["text"] for row in ROWS], do_sample=True, seed=4, max_new_tokens=3)
    assert [line["output"] for line in lines_of(run(*words)[1])] == want


def test_rows_that_cannot_be_answered_are_told_and_files_that_break_keep_what_was_done(run, place):
    (place / "gaps.jsonl").write_text('{"text": "a"}\n{"label": 1}\n')
    code, out, err = run(*PREDICT, "gaps.jsonl", "--prompt", "is it so")
    assert code == 0 and lines_of(out)[1]["reason"] == "no field 'text' (the row has: label)"
    assert "1 of 2 without an answer; the first, row 1: no field 'text'" in err
    (place / "torn.jsonl").write_text((place / "rows.jsonl").read_text() * 20 + "oops\n")
    code, out, err = run(*PREDICT, "torn.jsonl", "--out", "torn.out.jsonl")
    assert code == 2 and "torn.jsonl, line 241, column 1: not JSON" in err
    part = (place / "torn.out.jsonl.part").read_text()
    assert f"{part.count(chr(10)):,} of 482 answers are in torn.out.jsonl.part; the same command goes on from there" in err


LONG = {
    "predict": (*PREDICT, "long.jsonl", "--prompt", "is it so"),
    "rank": ("rank", "--model", "model", "--data", "long.jsonl", "tea", "milk"),
    "generate": ("generate", "--model", "model", "--data", "long.jsonl", "--max-new-tokens", "2"),
}


@pytest.mark.parametrize("verb, number, code, told", [
    ("predict", signal.SIGINT, 130, "stopped"),
    ("predict", signal.SIGTERM, 143, "ended by SIGTERM"),
    ("rank", signal.SIGINT, 130, "stopped"),
    ("generate", signal.SIGINT, 130, "stopped"),
])  # fmt: skip
def test_an_interrupted_run_leaves_whole_lines_and_goes_on(place, verb, number, code, told):
    out = place / f"{verb}{code}.jsonl"
    (place / "long.jsonl").write_text("".join(json.dumps({"text": f"Anna drinks {i}"}) + "\n" for i in range(3000)))
    command = [sys.executable, "-P", "-m", "t0native", *LONG[verb], "--out", out.name]
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    process = subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part, deadline = Path(f"{out}.part"), time.monotonic() + 120  # met by a hang alone
    while not (part.exists() and part.read_bytes().count(b"\n") > 20) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    err = process.communicate(timeout=120)[1].splitlines()[-1]
    if process.returncode == 0:
        pytest.skip("this machine was done before the signal came")
    lines = part.read_text().splitlines()
    assert (
        process.returncode == code and f"t0native: {told}: {len(lines):,} of 3,000 answers are in {out.name}.part; the same command" in err
    )
    assert [json.loads(line)["row"] for line in lines] == list(range(len(lines)))
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and f"{len(lines):,} answers are there; going on" in done.stderr
    rows = lines_of(out.read_text())
    assert [row["row"] for row in rows] == list(range(3000)) and not part.exists()
    assert f"{out.name}: 3,000 answers ({len(lines):,} of an earlier run)" in done.stderr


@pytest.mark.parametrize("verb", LONG)
def test_the_reader_of_a_pipe_may_go(place, verb):
    (place / "long.jsonl").write_text("".join(json.dumps({"text": f"Anna drinks {i}"}) + "\n" for i in range(3000)))
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent), "T0NATIVE_PROGRESS": "0"}
    command = [sys.executable, "-P", "-m", "t0native", *LONG[verb], "--json"]
    with subprocess.Popen(command, cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert json.loads(process.stdout.readline())["row"] == 0
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_a_disk_that_is_full_at_once_leaves_nothing_in_the_way(place):
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    command = [sys.executable, "-P", "-m", "t0native", *PREDICT, "rows.jsonl", "--out", "limited.jsonl"]

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16, resource.RLIM_INFINITY))

    full = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, preexec_fn=limit)
    assert full.returncode == 2 and "cannot write: File too large" in full.stderr and "Traceback" not in full.stderr
    assert list(place.glob("limited.jsonl*")) == []
    assert subprocess.run(command, cwd=place, env=environment, capture_output=True).returncode == 0


# ---- prompt new -----------------------------------------------------------------------------------------------------

KINDS = {  # rows -> (fields that are read, the answer, its kind, the first row's target)
    "numbers": ([{"text": f"a {i}", "label": i % 2} for i in range(20)], ("text",), "label", "numbers from 0 to 1", "no"),
    "texts": ([{"id": f"x{i}", "review": f"a {i}", "mood": ["good", "bad"][i % 2]} for i in range(20)], ("review",), "mood", "few texts", "good"),
    "truth": ([{"a": f"a {i}", "b": f"b {i}", "label": i % 2 == 0} for i in range(20)], ("a", "b"), "label", "True and False", "yes"),
    "stars": ([{"text": f"a {i}", "stars": i % 5 + 1} for i in range(20)], ("text",), "stars", "few numbers", "1"),
    "choices": ([{"q": f"a {i}", "choice1": f"x{i}", "choice2": f"y{i}", "label": i % 2} for i in range(20)], ("q",), "label", "the number of a choice", "x0"),
    "list": ([{"q": f"a {i}", "choices": [f"x{i}", f"y{i}"], "label": 1} for i in range(9)], ("q",), "label", "the number of a choice", "y0"),
    "squad": ([{"context": f"a {i}", "question": f"b {i}", "answers": {"text": [f"c{i}"]}} for i in range(9)], ("context", "question"), "answers", "texts to be written", "c0"),
    "written": ([{"article": f"a {i}", "summary": f"b {i}"} for i in range(9)], ("article",), "summary", "texts to be written", "b 0"),
    "none": ([{"text": f"a {i}"} for i in range(9)], ("text",), None, "no field", "<NO LABEL>"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_first_file_of_prompts_is_sound(run, place, tmp_path, kind):
    rows, texts, answer, what, target = KINDS[kind]
    (tmp_path / "my rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, out, err = run("prompt", "new", "--data", "my rows.jsonl", "--json", cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out) == {
        "path": "templates/my_rows/templates.yaml", "prompts": ["first wording", "second wording"], "texts": list(texts), "answer": answer, "unnamed": [],
    }  # fmt: skip
    assert run("prompt", "check", "--prompts", "templates", cwd=tmp_path)[:2] == (0, "0 problems\n")
    code, out, _ = run("prompt", "check", "my_rows", "--prompts", "templates", "--data", "my rows.jsonl", cwd=tmp_path)
    assert (code, "none of 9 rows gives a target" in out) == ((0, False) if answer else (1, True)), out
    code, out, _ = run("prompt", "apply", "my_rows", "--prompts", "templates", "--data", "my rows.jsonl", "--json", cwd=tmp_path)
    assert [entry["target"] for entry in json.loads(out)] == [target] * 2
    assert "== first wording" in run("prompt", "show", "my_rows", "--prompts", "templates", cwd=tmp_path)[1]
    words = ["predict", "my rows.jsonl", "--model", place / "model", "--prompts", "templates", "--limit", 3]
    code, out, err = run(*words, cwd=tmp_path)
    assert code == 0 and len(lines_of(out)) == 6, err


def test_a_first_file_is_never_put_over_another(run, tmp_path):
    (tmp_path / "rows.csv").write_text("text,label,my field\n" + "a,x,1\nb,y,2\n" * 9)
    code, out, err = run("prompt", "new", "mine/part", "--data", "rows.csv", "--prompts", "p", cwd=tmp_path)
    place = tmp_path / "p/mine/part/templates.yaml"
    assert code == 0 and out == "p/mine/part/templates.yaml: 2 prompts; they read text; the answer label (few texts)\n"
    assert "no template can name the field 'my field'" in err and "t0native prompt check mine/part --prompts p --data rows.csv" in err
    assert t0.PromptSet.read(place).full_name == "mine/part"
    place.write_text("my own work")
    assert run("prompt", "new", "mine/part", "--data", "rows.csv", "--prompts", "p", cwd=tmp_path)[0] == 2
    assert place.read_text() == "my own work"
    assert run("prompt", "new", "mine/part", "--data", "rows.csv", "--prompts", "p", "--force", cwd=tmp_path)[0] == 0


def test_prompt_list_is_silent_about_what_is_in_the_files(run, tmp_path):
    from t0native.prompts import promptfile

    (tmp_path / "p/mine").mkdir(parents=True)
    (tmp_path / "p/mine/templates.yaml").write_text(TEMPLATES.replace("metrics: [Accuracy]", "metrics: [Goodness]"))
    promptfile._warned.clear()
    assert run("prompt", "list", "--prompts", "p", cwd=tmp_path) == (0, "   2  mine\n2 prompts for 1 datasets\n", "")
    assert run("prompt", "list", "mine", "--prompts", "p", cwd=tmp_path)[2] == ""
    assert "unknown metric 'Goodness'" in run("prompt", "show", "mine", "--prompts", "p", cwd=tmp_path)[2]


# ---- what is there already ------------------------------------------------------------------------------------------


def test_nothing_of_others_is_replaced_without_force(run, place, tmp_path):
    (tmp_path / "data").mkdir()
    words = ["--task", "mine=rows.jsonl", "--prompts", "templates", "--limit", 2]
    assert run("evaluate", "--model", "model", *words, "--out", tmp_path / "run")[0] == 0
    kinds = ["html", "csv", "latex", "markdown"]
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        pass
    else:
        kinds += ["plot", "bars", "by-prompt"]
    for kind in kinds:
        for ending in ("png", "svg", "pdf") if kind in ("plot", "bars", "by-prompt") else (kind,):
            target = tmp_path / f"{kind}.{ending}"
            target.write_text("my own work")
            code, _, err = run("report", tmp_path / "run", f"--{kind}", target)
            assert code == 2 and f"{target}: is there already, and another program wrote it; --force replaces it" in err
            assert target.read_text() == "my own work"
            code, _, err = run("report", tmp_path / "run", f"--{kind}", target, "--force")
            assert code == 0 and f"{target}: written, {target.stat().st_size:,} bytes" in err
            assert run("report", tmp_path / "run", f"--{kind}", target)[0] == 0  # its own
    rte = tmp_path / "rte.jsonl"
    rte.write_text('{"premise": "It rains.", "hypothesis": "It is wet.", "label": "entailment", "idx": 0}\n')
    words = ["data", "convert", "super_glue/rte", rte, "--data", tmp_path / "data"]
    assert run(*words)[0] == run(*words)[0] == 0
    made = tmp_path / "data/super_glue/rte/validation.jsonl"
    made.write_text("other\n")
    assert "is there already, with other rows; --force replaces it" in run(*words)[2] and run(*words, "--force")[0] == 0


def test_a_conversion_destroys_nothing(run, place, tmp_path):
    before = {path.name: path.read_bytes() for path in (place / "model").iterdir()}
    for out in ("model", "./model/", place / "model", "templates/../model"):
        for force in ((), ("--force",)):
            code, _, err = run("convert", "model", out, *force)
            assert code == 2 and "is the model itself, whose weights the conversion would replace" in err
    assert before == {path.name: path.read_bytes() for path in (place / "model").iterdir()}
    code, out, _ = run("convert", "model", tmp_path / "new")
    assert code == 0 and re.fullmatch(rf"{tmp_path}/new: model in bfloat16, [\d.]+ MB in \d files\n", out)
    assert "holds something already; name another folder, or --force writes into it" in run("convert", "model", tmp_path / "new")[2]
    code, out, _ = run("convert", "model", tmp_path / "new", "--dtype", "float32", "--force", "--json")
    assert code == 0 and json.loads(out)["dtype"] == "float32" and "model.safetensors" in json.loads(out)["files"]


# ---- loudness, --set, completion ------------------------------------------------------------------------------------


def test_quiet_and_verbose(run, place, monkeypatch):
    monkeypatch.setenv("T0NATIVE_PROGRESS", "1")
    words = ["generate", "--model", "model", "--max-new-tokens", 1, "a"]
    assert "answers reached max_new_tokens=1" in run(*words)[2] or "--max-new-tokens 1" in run(*words)[2]
    assert run(*words, "--quiet")[2] == "" and os.environ["T0NATIVE_PROGRESS"] == "1"
    assert re.search(r"<Model .+>, \d+ threads: loaded in [\d.]+ s\n", run(*words, "-v")[2])
    assert "Traceback" in run("generate", "--model", "none", "a", "-v")[2] and "Traceback" not in run("generate", "--model", "none", "a")[2]
    assert "not allowed with argument" in run(*words, "-q", "-v")[2]


def test_set_reaches_trainings_and_evaluations(run, place, tmp_path):
    plan = run("train", "good.yaml", "--dry-run", "--json", "--set", "accumulate=2", "--set", "warmup=1", "--batch-size", 2)[1]
    assert json.loads(plan)["examples"] == 3 * 2 * 2
    words = ["evaluate", "--model", "model", "--task", "mine=rows.jsonl", "--prompts", "templates", "--out", tmp_path / "run"]
    assert run(*words, "--set", "limit=1", "--set", "num_beams=2", "--set", "seed=3")[0] == 0
    about = t0.Report.load(tmp_path / "run").about
    assert about["generation"]["num_beams"] == 2 and about["seed"] == 3 and about["limit"] == 1


def test_bash_completes_verbs_options_and_words(run, tmp_path):
    (tmp_path / "t0.bash").write_text(run("completion", "bash")[1])

    def complete(*words):
        array = " ".join(map(shlex.quote, words))
        script = f"source t0.bash; COMP_WORDS=({array}); COMP_CWORD={len(words) - 1}; _t0native; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return done.stdout.split()

    assert complete("t0native", "pre") == ["predict"] and set(complete("t0native", "")) >= set(subparsers_of(make_parser()))
    assert complete("t0native", "predict", "--max-new") == ["--max-new-tokens"]
    assert complete("t0native", "predict", "--to", "") == ["jsonl", "csv", "tsv", "text"]
    assert complete("t0native", "prompt", "ch") == ["check"] and complete("t0native", "predict", "--out", "x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_of_shells_know_every_verb_and_option(run, tmp_path, shell):
    import shutil

    script = run("completion", shell)[1]
    for verb, parser in subparsers_of(make_parser()).items():
        assert re.search(rf"\b{verb}\b", script)
        for action in parser._actions:
            long = [option for option in action.option_strings if option.startswith("--")]
            assert all((f"-l {option[2:]} " if shell == "fish" else option) in script for option in long), long
    if shutil.which(shell):
        (tmp_path / "script").write_text(script)
        assert (
            subprocess.run([shell, "-n" if shell != "fish" else "--no-execute", tmp_path / "script"], capture_output=True).returncode == 0
        )


def test_a_part_belongs_to_its_rows_all_of_them(tmp_path):
    """To each shard of a folder, and to the form that they are read in."""
    common = ("out", "to", "limit", "types", "model", "revision", "dtype", "tokenizer", "add_eos_to_inputs")

    def job(path, form=None):
        args = SimpleNamespace(**dict.fromkeys(common), json=False, keep="none", form=form)
        args.model = "model"
        return AnswerFile(args, stream_rows(path, form=form), 1, None, None, ["row"], "row")._job({}, "jsonl")

    for i in range(2):
        (tmp_path / f"train-0000{i}-of-00002.csv").write_text(f"text\na\tb{i}\n")
    os.mkfifo(tmp_path / "pipe")
    source = os.open(tmp_path / "pipe", os.O_RDWR)  # so that nobody waits for the other end
    jobs = [job(tmp_path / "pipe", "text") for _ in range(2) if os.write(source, b"a line\n" * LOOKED_AT)]
    assert jobs[0] != jobs[1]
    os.close(source)
    os.remove(tmp_path / "pipe")
    first, table = job(tmp_path), tmp_path / "train-00000-of-00002.csv"
    assert job(tmp_path) == first and job(table) != first
    (tmp_path / "train-00001-of-00002.csv").write_text("text\nanother\n")
    assert job(tmp_path) != first and job(table) == job(table) != job(table, "text")
