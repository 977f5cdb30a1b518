"""predict, classify, rank, generate and evaluate over a million made rows by a tiny model: memory and time, by hand.

    python tests/million_rows.py [--rows N] [--folder DIR] [verb ...]

Each verb runs once over N / 100 rows and once over N. Its greatest memory (VmHWM of /proc) must not grow by more than GROWTH between the
two, for evaluate by A_ROW bytes a row and the arrays of the BOOTSTRAP more; the lines that came out must be as many as the rows, in their order."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import t0native as t0

GROWTH = 48 << 20  # bytes: allocators keep some of what larger chunks took
BOOTSTRAP = 160 << 20  # bytes, whatever the rows, but for some hundreds of them
A_ROW = 80  # bytes: what an evaluation keeps of a row with two choices: number, scores, lengths, value
TEMPLATES = """\
dataset: made
templates:
  11111111-1111-1111-1111-111111111111: !Template
    id: 11111111-1111-1111-1111-111111111111
    name: mood
    jinja: '{{ text }} Good or bad? ||| {{ answer_choices[label] }}'
    answer_choices: bad ||| good
    metadata: !TemplateMetadata {}
    reference: ''
"""


def make(folder, n):
    """A tiny model, a prompt, and n rows as JSON Lines, CSV and lines."""
    tokenizer = t0.Tokenizer.from_file(Path(t0.__file__).parent / "mini/spiece.model")
    config = t0.Config(vocab_size=tokenizer.vocab_size, d_model=8, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    t0.Model.init(config, tokenizer=tokenizer, seed=1).save(folder / "model")
    (folder / "templates.yaml").write_text(TEMPLATES)
    (folder / "prompts/made").mkdir(parents=True, exist_ok=True)
    (folder / "prompts/made/templates.yaml").write_text(TEMPLATES)
    with open(folder / f"labelled{n}.csv", "w") as file:
        file.write("id,text,label\n")
        file.writelines(f"{i},Anna has {i % 100} cats and Ben has {i % 7} dogs.,{i % 2}\n" for i in range(n))
    for name, head, line in (("jsonl", "", '{{"id": {0}, "text": "{1}"}}\n'), ("csv", "id,text\n", "{0},{1}\n"), ("txt", "", "{1}\n")):
        with open(folder / f"rows{n}.{name}", "w") as file:
            file.write(head)
            file.writelines(line.format(i, f"Anna has {i % 100} cats and Ben has {i % 7} dogs.") for i in range(n))


def command(folder, verb, n):
    common = ["--model", "model", "--threads", "2", "--out", f"{verb}{n}" + ".jsonl" * (verb != "evaluate"), "--force"]
    return {
        "predict": ["predict", f"rows{n}.csv", "--prompts", "templates.yaml", *common],
        "classify": ["classify", f"rows{n}.csv", "--labels", "good,bad", "--calibrate", "batch", "--keep", "id", *common],
        "rank": ["rank", "--data", f"rows{n}.jsonl", "good", "bad", *common],
        "generate": ["generate", "--data", f"rows{n}.txt", "--max-new-tokens", "2", "--set", "min_new_tokens=0", *common],
        "evaluate": ["evaluate", "--prompts", "prompts", "--dataset", "made", "--data", f"labelled{n}.csv", *common],
    }[verb]


def peak_of(folder, verb, n):
    """(greatest memory in bytes, seconds) of the verb over n rows."""
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    began = time.monotonic()
    with open(folder / f"{verb}{n}.log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "t0native", *command(folder, verb, n)], cwd=folder, env=environment, stdout=log, stderr=log
        )
        peak = 0
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text()
            except OSError:
                break
            peak = max(peak, *(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM")), 0)
            time.sleep(0.05)
    if process.wait() != 0:
        sys.exit((folder / f"{verb}{n}.log").read_text())
    (answers,) = (folder / f"evaluate{n}/examples").glob("*.jsonl") if verb == "evaluate" else [folder / f"{verb}{n}.jsonl"]
    with open(answers) as lines:
        for i, line in enumerate(lines):
            if f'"row": {i},' not in line:
                sys.exit(f"{verb}: line {i} is of another row: {line}")
    if i + 1 != n:
        sys.exit(f"{verb}: {i + 1} lines for {n} rows")
    return peak, time.monotonic() - began


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("verbs", nargs="*", default=["predict", "classify", "rank", "generate", "evaluate"])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        folder, few = Path(folder), max(1, args.rows // 100)
        for n in (few, args.rows):
            make(folder, n)
        for verb in args.verbs:
            (small, _), (large, seconds) = peak_of(folder, verb, few), peak_of(folder, verb, args.rows)
            print(f"{verb:<9} {few:,} rows: {small / 1e6:.0f} MB; {args.rows:,} rows: {large / 1e6:.0f} MB, {seconds:.0f} s", flush=True)
            if large - small > GROWTH + (BOOTSTRAP + A_ROW * args.rows if verb == "evaluate" else 0):
                sys.exit(f"{verb}: memory grows with the rows")


if __name__ == "__main__":
    main()
