"""Makes 0.1.0.tar.xz with version 0.1.0 of the package, built in place in a checkout of that version:

    PYTHONPATH=CHECKOUT-OF-0.1.0 python tests/golden/make_0_1_0.py

What lies in it: cases_0_1_0.py. The runs and the evaluation are cut by Ctrl-C, so that they are left as 0.1.0 leaves them."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))

import cases_0_1_0 as cases  # noqa: E402  beside this file
import spiece_files  # noqa: E402

import t0native as t0  # noqa: E402
from t0native import convert, journal  # noqa: E402  of 0.1.0

ARCHIVE = HERE / "0.1.0.tar.xz"
RECIPE = """\
model: {config: model/config.json, tokenizer: spiece.model, seed: 5}
tasks:
  - {name: table, dataset: mine, data: rows.csv, prompts: prompts}
  - {name: lines, dataset: mine, data: rows.jsonl, prompts: prompts}
steps: 3
batch_size: 4
learning_rate: 0.02
seed: 5
out: runs/recipe
"""
TEMPLATES = """\
dataset: mine
templates:
  11111111-1111-1111-1111-111111111111: !Template
    answer_choices: no ||| yes
    id: 11111111-1111-1111-1111-111111111111
    jinja: '{{ text }} is it so? ||| {{ answer_choices[label] }}'
    metadata: !TemplateMetadata
      choices_in_prompt: false
      metrics: [Accuracy]
      original_task: true
    name: is it
    reference: ''
"""


def interrupt(*unused):
    raise KeyboardInterrupt


def cut(call, *arguments, **options):
    try:
        call(*arguments, **options)
    except KeyboardInterrupt:
        return
    raise AssertionError("it was not cut")


def make(folder):
    cases.write_rows(folder)
    (folder / "spiece.model").write_bytes(cases.spiece(spiece_files.model_file))
    (folder / "prompts/mine").mkdir(parents=True)
    (folder / "prompts/mine/templates.yaml").write_text(TEMPLATES)
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "runs").mkdir()
    (folder / "expected").mkdir()
    expected = {"version": t0.__version__} | make_models(folder) | {"runs": make_runs(folder)} | make_evaluations(folder)
    (folder / "expected.json").write_text(json.dumps(expected, indent=1))


def make_models(folder):
    model = cases.new_model(folder)
    model.save(folder / "model")
    for dtype in ("bfloat16", "int8"):
        convert.convert(t0.model.open_checkpoint(folder / "model"), folder / f"model-{dtype}", dtype)
    found = {dtype: cases.scores(cases.load(folder / f"model-{dtype}", dtype)) for dtype in ("bfloat16", "int8")}
    return {"scores": found | {"float32": cases.scores(cases.load(folder / "model"))}}


def make_runs(folder):
    found = {}
    for name in cases.RUNS:
        with TemporaryDirectory() as place:
            run, model = cases.train(folder, name, place)
            found[name] = {"losses": [float(loss) for loss in run.losses]}
            (folder / f"expected/{name}.safetensors").write_bytes((Path(place) / "model.safetensors").read_bytes())
        out = folder / "runs" / name
        cut(cases.train, folder, name, out, stop=lambda report, log: interrupt() if log[-1]["step"] == cases.CUT else None)
    command = [sys.executable, "-m", "t0native", "train", "recipe.yaml"]
    options = {"cwd": folder, "check": True, "capture_output": True, "env": os.environ | {"T0NATIVE_KERNELS": cases.KERNELS}}
    subprocess.run([*command, "--steps", str(cases.STEPS), "--out", "whole"], **options)
    subprocess.run(command, **options)
    (folder / "whole/model.safetensors").rename(folder / "expected/recipe.safetensors")
    shutil.rmtree(folder / "whole")
    (folder / "runs/recipe/loss.png").unlink(missing_ok=True)
    return found


def make_evaluations(folder):
    report = cases.evaluate(folder, folder / "finished")
    answers = {}
    for cell in report.cells:
        answers[f"{cell['task']}/{cell['prompt']}"] = [json.loads(line) for line in open(folder / "finished" / cell["examples"])]
    finish, finished = journal.Journal.finish, []

    def finish_some(self, cell, *rest):
        if len(finished) == 3:
            interrupt()
        finished.append(f"{cell.task.name}/{cell.prompt}")
        return finish(self, cell, *rest)

    journal.Journal.finish = finish_some
    cut(cases.evaluate, folder, folder / "evaluation")
    return {"cells": report.cells, "answers": answers, "finished": finished}


def pack(folder):
    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return entry

    with tarfile.open(ARCHIVE, "w:xz", preset=9) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, path.name, filter=plain)
    print(ARCHIVE.name, ARCHIVE.stat().st_size, "bytes")


if __name__ == "__main__":
    if t0.__version__ != "0.1.0":
        sys.exit(f"this is version {t0.__version__} ({t0.__file__}); PYTHONPATH must name a checkout of 0.1.0, built in place")
    with TemporaryDirectory() as place:
        make(Path(place))
        pack(Path(place))
