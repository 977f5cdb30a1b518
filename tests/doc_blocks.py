"""The code blocks of README.md and docs/, and a folder with what they take for granted: rows, prompts, models under the names they use.

```csv title="reviews.csv"      a file that the page shows: it is written
```sh                           commands: each line is typed, `<` and `>` lead from and into files
```python                       run, one after the other, with the names of the blocks before
```yaml, ```json                a file's content
```text                         what comes out, or a form: nothing is done"""

import json
import re
import shlex
from pathlib import Path
from typing import NamedTuple

from spiece_files import NORMAL, model_file

import t0native as t0

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(ROOT.glob("docs/**/*.md"))
FENCE = re.compile(r"^( *)```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^\1```", flags=re.S | re.M)
FILES = {"csv": "reviews.csv", "yaml": "templates/reviews/templates.yaml"}  # of README's blocks, whose titles an index page would not show


class Block(NamedTuple):
    page: str
    line: int
    kind: str
    title: str | None
    text: str


def blocks_of(page):
    """Blocks of a page in their order."""
    source = page.read_text(encoding="utf-8")
    found = []
    for match in FENCE.finditer(source):
        indent, kind, title, text = match.groups()
        text = re.sub(rf"^{indent}", "", text, flags=re.M)
        found.append(Block(str(page.relative_to(ROOT)), source[: match.start()].count("\n") + 1, kind, title, text))
    return found


def commands(text):
    """The commands of a ```sh block: lists of words without the comment, (words, file of standard input, file of standard output)."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            places = {sign: words[words.index(sign) + 1] if sign in words else None for sign in "<>"}
            end = min((words.index(sign) for sign in "<>" if sign in words), default=len(words))
            yield words[:end], places["<"], places[">"]


def make_world(folder):
    """Fills a folder with what pages name: rows, prompts, and small random models in the places of those on the hub."""
    for block in [*blocks_of(ROOT / "docs/quickstart.md"), *blocks_of(ROOT / "docs/how-to/fine-tune.md")]:
        if block.title:
            write(folder / block.title, block.text)
    letters = [("▁", -3.0, NORMAL), *((chr(code), -5.0, NORMAL) for code in range(33, 127))]
    tokenizer = t0.Tokenizer(model_file(letters))
    config = t0.Config(vocab_size=tokenizer.vocab_size, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    model = t0.Model.init(config, tokenizer=tokenizer, seed=1)
    for name in ("my-t0", "google/flan-t5-base", "google/t5-small-lm-adapt", "bigscience/T0_3B", "bigscience/T0pp", "run/checkpoint_1000"):
        model.save(folder / name)
    write(folder / "unlabelled.csv", "id,review\n1,The tea was hot.\n2,Nobody came.\n3,A fine evening!\n")
    write(folder / "questions.jsonl", '{"question": "Is tea a drink?", "options": ["yes", "no"]}\n')
    write(folder / "questions.txt", "Is tea a drink?\nIs milk a drink?\n")
    write(folder / "articles.jsonl", '{"article": "It rained all day, and the river rose."}\n')
    write(
        folder / "anli_v1.0/R2/dev.jsonl",
        _lines({"uid": "1", "context": "Tea is hot.", "hypothesis": "Tea is warm.", "label": "e", "reason": ""}),
    )
    spans = {"span1_index": 0, "span1_text": "Anna", "span2_index": 4, "span2_text": "her"}
    write(folder / "WSC/val.jsonl", _lines({"text": "Anna said that tea suits her.", "target": spans, "label": True, "idx": 0}))
    question = {
        "question": "What is hot?",
        "idx": 0,
        "answers": [{"text": "Tea", "idx": 0, "label": 1}, {"text": "Ice", "idx": 1, "label": 0}],
    }
    write(folder / "MultiRC/val.jsonl", _lines({"idx": 0, "version": 1.1, "passage": {"text": "Tea is hot.", "questions": [question]}}))
    for kind, word in (("pro", "she"), ("anti", "he")):
        file = folder / f"{kind}_stereotyped_type1.txt.test"
        write(file, f"1 [The cook] thanked the guest because [{word}] was kind.\n")
        t0.convert_data(f"wino_bias/type1_{kind}", file, folder / "DATA", split="validation")
    write(folder / "my/rows/reviews.csv", (folder / "reviews.csv").read_text())
    copa = {"premise": "It rains.", "choice1": "The street is wet.", "choice2": "It is dry.", "question": "effect", "idx": 0, "label": 0}
    rows = [{**copa, "idx": i, "question": ("effect", "cause")[i % 2]} for i in range(4)]
    write(folder / "DATA/super_glue/copa/validation.jsonl", _lines(*rows))


def write(file, text):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)
