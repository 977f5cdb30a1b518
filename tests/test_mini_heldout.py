"""The miniature's held-out side: frozen, whole, balanced, and what its own script writes."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import jinja2
import pytest
import yaml

from t0native.mini import heldout_rows

MINI = Path(heldout_rows.__file__).parent

# SHA-256 over every file of t0native/mini/heldout (path, NUL, length, NUL, bytes; sorted by path). It was committed before
# anything could train on the miniature's tasks. If this test fails, restore the files: the hash never changes.
FROZEN = "6a5a6dfb2cbfdecfb3ecee7681ec90504c86d77066f5b0245661556cf8378757"

TASKS = {"inference", "pronouns", "blanks", "completion", "sense"}


def digest(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".jsonl", ".yaml")):
        data = path.read_bytes()
        found.update(f"{path.relative_to(folder).as_posix()}\0{len(data)}\0".encode() + data)
    return found.hexdigest()


class _Tagged(yaml.SafeLoader):
    """Reads !Template and !TemplateMetadata as plain mappings, with none of our own code."""


for _tag in ("!Template", "!TemplateMetadata"):
    _Tagged.add_constructor(_tag, lambda loader, node: loader.construct_mapping(node, deep=True))


def prompts_of(path: Path) -> list[dict]:
    return list(yaml.load(path.read_text(encoding="utf-8"), _Tagged)["templates"].values())


def prompts(group: str, task: str) -> list[dict]:
    return prompts_of(MINI / group / "prompts" / task / "templates.yaml")


def rows(group: str, task: str) -> list[dict]:
    text = (MINI / group / "rows" / f"{task}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_held_out_side_is_what_was_frozen():
    assert digest(MINI / "heldout") == FROZEN


def test_five_tasks_of_ten_wordings_and_five_hundred_rows():
    assert {path.parent.name for path in (MINI / "heldout" / "prompts").rglob("templates.yaml")} == TASKS
    assert {path.stem for path in (MINI / "heldout" / "rows").iterdir()} == TASKS
    for task in TASKS:
        assert len(prompts("heldout", task)) >= 10
        assert len(rows("heldout", task)) >= 500


GROUPS = [("heldout", task) for task in sorted(TASKS)] + [
    ("development", task) for task in ("claims", "riddles", "summaries", "gaps", "pointers")
]


@pytest.mark.parametrize("group, task", GROUPS)
def test_rows_are_balanced_and_come_from_their_script(group, task):
    found = rows(group, task)
    assert len({json.dumps(row) for row in found}) == len(found)
    for field in ("label", "answer"):
        counts = Counter(row[field] for row in found if field in row)
        assert not counts or (len(counts) == 2 and len(set(counts.values())) == 1)
    make = (heldout_rows.HELDOUT | heldout_rows.DEVELOPMENT)[task]
    assert heldout_rows.rows(task, make, len(found)) == found


@pytest.mark.parametrize("group, task", GROUPS)
def test_every_prompt_gives_one_of_two_choices_in_balance(group, task):
    """By Jinja2 itself; that ours gives the same is test_mini's matter."""
    env = jinja2.Environment(undefined=jinja2.StrictUndefined)
    for prompt in prompts(group, task):
        template, choices_template = env.from_string(prompt["jinja"]), env.from_string(prompt["answer_choices"])
        places: Counter = Counter()
        for row in rows(group, task):
            choices = [choice.strip() for choice in choices_template.render(**row).split("|||")]
            text, target = (part.strip() for part in template.render(answer_choices=choices, **row).split("|||"))
            assert len(set(choices)) == 2 and target in choices and text
            places[choices.index(target)] += 1
        assert len(places) == 2 and len(set(places.values())) == 1, prompt["name"]
