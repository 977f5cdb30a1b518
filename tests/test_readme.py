"""README runs as it stands: the files that it shows are written, its commands are typed, its Python is run, in this order.

The model that it names lies on the hub; here a folder of that name, the carried small one, is in its place."""

import os
import re
import shlex
from pathlib import Path

import pytest
from doc_blocks import FILES

import t0native as t0
from t0native.cli.main import main

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks():
    """[(kind, text)] of README's blocks, but for what is installed, which .ci/run types."""
    found = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.S | re.M)
    return [(kind, text) for kind, text in found if not text.startswith("pip install")]


def test_readme(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    t0.Model.mini().save("google/flan-t5-base")
    for number, (kind, text) in enumerate(blocks(), 1):
        if kind in FILES:
            file = tmp_path / FILES[kind]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        elif kind == "python":
            exec(compile(text, f"README.md, block {number}", "exec"), {})
        else:
            assert kind == "sh"
            for line in text.splitlines():
                program, *words = shlex.split(line)
                if "--by-prompt" in words:
                    pytest.importorskip("matplotlib", reason="README's picture needs matplotlib")
                assert (program, main(words)) == ("t0native", 0), line
    out = capsys.readouterr().out
    assert "what did they think" in out and "rows, accuracy" in out and "of 4 rows wrong" in out
    assert {"answers.csv", "wordings.png", "run"} <= set(os.listdir())
    assert Path("answers.csv").read_text().count("\n") > 4


def test_what_readme_shows_is_sound(tmp_path, monkeypatch):
    """`prompt check` finds nothing in its prompts, and `prompt new` goes from its rows to prompts of its own."""
    monkeypatch.chdir(tmp_path)
    texts = dict(blocks())
    Path("reviews.csv").write_text(texts["csv"])
    Path("templates/reviews").mkdir(parents=True)
    Path("templates/reviews/templates.yaml").write_text(texts["yaml"])
    assert main(["prompt", "check", "reviews", "--prompts", "templates", "--data", "reviews.csv"]) == 0
    assert main(["prompt", "new", "reviews", "--data", "reviews.csv", "--prompts", "mine"]) == 0
    assert main(["prompt", "check", "reviews", "--prompts", "mine", "--data", "reviews.csv"]) == 0
    assert len(t0.PromptSet.read("mine/reviews/templates.yaml")) == 2
