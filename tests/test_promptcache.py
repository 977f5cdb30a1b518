"""Prompted data in shards with markers: resumed, repaired, refused, read back, trained on."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import t0native as t0
from t0native.base.executors import Pool
from t0native.data.diskrows import rows_at
from t0native.tasks import promptcache

PROMPTS = [
    t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good"),
    t0.Prompt("drawn", "{{ ['So', 'Now'] | choice }}: {{ text }} ||| {{ answer_choices[label] }}", "no ||| yes"),
]


def task_of(n, **options):
    rows = [{"text": f"Text {i}.", "label": -1 if i % 7 == 3 else i % 2} for i in range(n)]
    return t0.Task("moods", rows, PROMPTS, **options)


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.json*"))}


def test_what_is_read_back_is_what_the_prompts_give(tmp_path):
    task = task_of(20)
    cache = t0.cache_prompts(task, tmp_path / "c", seed=5, shard_rows=6, progress=False)
    assert cache[1:] == (4, 34, {"the target is no answer": 6}, 4)
    expected = []
    for row in range(20):
        for prompt in task.prompts:
            if row % 7 != 3:
                text, target, choices = task.render(prompt, row, seed=5)
                expected.append({"row": row, "prompt": prompt, "input": text, "target": target, "choices": choices})
    assert list(t0.open_prompted(tmp_path / "c")) == expected == list(rows_at(tmp_path / "c"))
    assert len({row["input"].split(":")[0] for row in expected if row["prompt"] == "drawn"}) == 2


@pytest.mark.parametrize("harm", ["marker gone", "shard gone", "shard cut", "shard changed", "marker broken"])
def test_a_shard_that_is_not_whole_is_made_again_and_no_other(tmp_path, harm):
    out = tmp_path / "c"
    t0.cache_prompts(task_of(20), out, shard_rows=6, progress=False)
    before = files_of(out)
    shard, marker = out / "prompted-00002-of-00004.jsonl", out / ".markers" / "00002.json"
    data = shard.read_bytes()
    {
        "marker gone": marker.unlink,
        "shard gone": shard.unlink,
        "shard cut": lambda: shard.write_bytes(data[:-9]),
        "shard changed": lambda: shard.write_bytes(data.replace(b"T", b"t")),
        "marker broken": lambda: marker.write_text("{"),
    }[harm]()
    assert t0.cache_prompts(task_of(20), out, shard_rows=6, progress=False).rendered == 1
    assert files_of(out) == before
    assert t0.cache_prompts(task_of(20), out, shard_rows=6, progress=False).rendered == 0


def test_a_changed_row_changes_its_shard_alone(tmp_path):
    t0.cache_prompts(task_of(20), tmp_path / "c", shard_rows=6, progress=False)
    task = task_of(20)
    task.rows[13]["text"] = "Another."
    cache = t0.cache_prompts(task, tmp_path / "c", shard_rows=6, progress=False)
    assert cache.rendered == 1 and any(row["input"].startswith("Another.") for row in t0.open_prompted(tmp_path / "c"))


@pytest.mark.parametrize("options", [{"seed": 1}, {"shard_rows": 5}, {"limit": 8}])
def test_a_folder_of_another_cache_is_refused_and_replaced_by_force(tmp_path, options):
    t0.cache_prompts(task_of(20), tmp_path / "c", progress=False, **{"shard_rows": 6})
    with pytest.raises(t0.ConfigError, match="another plan .*force"):
        t0.cache_prompts(task_of(20), tmp_path / "c", progress=False, **({"shard_rows": 6} | options))
    t0.cache_prompts(task_of(20), tmp_path / "c", progress=False, force=True, **({"shard_rows": 6} | options))
    t0.cache_prompts(task_of(20), tmp_path / "d", progress=False, **({"shard_rows": 6} | options))
    assert files_of(tmp_path / "c") == files_of(tmp_path / "d")


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / ".theirs.7.tmp").write_text("another program's")
    with pytest.raises(t0.ConfigError, match="no cache of prompts, but it holds .*mine.txt"):
        t0.cache_prompts(task_of(4), tmp_path, progress=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".theirs.7.tmp", "mine.txt"]


@pytest.mark.parametrize("harm", ["shard cut", "shard gone", "marker is a list", "plan without rows", "a file"])
def test_a_cache_that_was_harmed_is_told_where_it_is_opened(tmp_path, harm):
    out = tmp_path / "c"
    t0.cache_prompts(task_of(20), out, shard_rows=6, progress=False)
    shard, plan = out / "prompted-00002-of-00004.jsonl", out / ".markers" / "plan.json"
    lines = shard.read_bytes().splitlines(keepends=True)
    told = {
        "shard cut": (lambda: shard.write_bytes(b"".join(lines[:-1])), "prompted-00002-of-00004.jsonl: .* bytes, .* again goes on"),
        "shard gone": (shard.unlink, "1 of 4 shards are missing"),
        "marker is a list": (lambda: (out / ".markers" / "00002.json").write_text("[]"), "prompted-00002-of-00004.jsonl: .* bytes"),
        "plan without rows": (lambda: plan.write_text('{"format": 1}'), "no folder of cached prompts"),
        "a file": (lambda: None, "no folder of cached prompts"),
    }
    told[harm][0]()
    with pytest.raises(t0.DataError, match=told[harm][1]):
        t0.open_prompted(shard if harm == "a file" else out)


class Shouted:
    """A prompt of one's own, whose words no plan tells."""

    name, answer_choices = "shouted", None

    def __init__(self, ending):
        self.ending = ending

    def render(self, row, seed=0, index=0):
        return row["text"] + self.ending, "yes", None


def test_a_prompt_of_ones_own_that_was_changed_is_not_taken_for_the_old_one(tmp_path):
    rows = [{"text": "Tea"}, {"text": "Rain"}]
    for ending in ("!", "?"):
        t0.cache_prompts(t0.Task("own", rows, Shouted(ending)), tmp_path / "c", shard_rows=1, progress=False)
        assert [row["input"] for row in t0.open_prompted(tmp_path / "c")] == [f"Tea{ending}", f"Rain{ending}"]


def test_calls_that_a_cluster_forgets_are_told(tmp_path):
    class Forgetful(ThreadPoolExecutor):
        def submit(self, function, *arguments):
            future = Future()
            future.cancel()
            return future

    pool = Pool(Forgetful(1))
    pool.lost = lambda future: "the scheduler is gone"
    with pytest.raises(ConnectionError, match="the scheduler is gone; the shards that are finished are kept"):
        list(promptcache._rendered(task_of(4), [(0, 0, 4)], 0, pool))


def test_an_executor_makes_the_same_files(tmp_path):
    t0.cache_prompts(task_of(40), tmp_path / "a", shard_rows=3, progress=False)
    with ThreadPoolExecutor(3) as three:
        t0.cache_prompts(task_of(40), tmp_path / "b", shard_rows=3, progress=False, executor=three)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_shards_without_examples_are_read_over_and_a_cache_that_is_not_whole_is_told(tmp_path):
    task = t0.Task("moods", [{"text": f"Text {i}.", "label": 1 if i > 3 else -1} for i in range(6)], PROMPTS)
    t0.cache_prompts(task, tmp_path / "c", shard_rows=2, progress=False)
    assert [row["row"] for row in t0.open_prompted(tmp_path / "c")] == [4, 4, 5, 5] == [row["row"] for row in rows_at(tmp_path / "c")]
    (tmp_path / "c" / ".markers" / "00001.json").unlink()
    with pytest.raises(t0.DataError, match="1 of 3 shards are missing"):
        t0.open_prompted(tmp_path / "c")


def test_a_run_on_the_cache_of_a_prompt_has_the_bits_of_one_on_its_rows(tmp_path):
    rows = [{"text": f"Text {i}.", "label": i % 2} for i in range(12)]
    asked = t0.Task("moods", rows, PROMPTS[0])
    t0.cache_prompts(asked, tmp_path / "c", progress=False)
    cached = t0.Task("moods", t0.open_prompted(tmp_path / "c"), t0.Prompt("mood", "{{ input }} ||| {{ target }}"), truncate=False)
    weights = []
    for task in (asked, cached):
        model = t0.mini.new_model(0)
        t0.train(model, t0.Mixture([task]), steps=2, batch_size=4, progress=False)
        weights.append(model.core.tensor("shared.weight").tobytes())
    assert weights[0] == weights[1] != t0.mini.new_model(0).core.tensor("shared.weight").tobytes()


def test_a_command_that_is_killed_goes_on(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(Path(t0.__file__).parents[1]), "T0NATIVE_PROGRESS": "0"}
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"text": f"Text {i}.", "label": i % 2}) + "\n" for i in range(600)))
    subprocess.run(
        [sys.executable, "-P", "-m", "t0native", "prompt", "new", "mine", "--data", "rows.jsonl"], cwd=tmp_path, env=environment, check=True
    )
    command = [sys.executable, "-P", "-m", "t0native", "prompt", "cache", "mine", "--prompts", "templates", "--data", "rows.jsonl"]
    command += ["--shard-rows", "10", "--json", "--out"]
    process = subprocess.Popen([*command, "killed"], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while not (tmp_path / "killed" / ".markers" / "00008.json").exists():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    told = [
        json.loads(subprocess.run([*command, out], cwd=tmp_path, env=environment, check=True, capture_output=True).stdout)
        for out in ("killed", "whole")
    ]
    assert 0 < told[0]["rendered"] <= told[0]["shards"] - 8 and told[1]["rendered"] == told[1]["shards"] == 60
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "whole")
    promptcache.open_prompted(tmp_path / "killed")
