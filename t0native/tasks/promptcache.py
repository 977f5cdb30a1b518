"""A task's rows under all its prompts, rendered once and kept in shards; again, it goes on where it was.

    OUT/prompted-00000-of-00012.jsonl    an object an example, {"row", "prompt", "input", "target", "choices"}: the rows in their order, and
                                         of each the prompts in theirs
    OUT/.markers/00000.json              {"rows", "rows_sha256", "bytes", "sha256", "examples", "dropped": {reason: n}}: the shard is whole
    OUT/.markers/plan.json               what the shards are of: prompts, seed, rows a shard ...

    rows first .. last --render_shard, here or by an executor--> lines --one writer, shard before marker--> OUT

What an example is does not depend on who renders it, nor when. A shard whose marker, size, SHA-256 or rows do not fit is rendered again;
every one is where a prompt has no `jinja`, being a class of somebody's own: whether its code is the same cannot be told."""

from __future__ import annotations

import contextlib
import hashlib
import json
import queue
from collections import Counter
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from t0native.base.arguments import FLAG, FOLDER, SEED, check, whole
from t0native.base.digests import digest_of_rows
from t0native.base.errors import ConfigError, DataError
from t0native.base.executors import opened
from t0native.base.files import FileSet, make_folder, remove_leftovers, write_json
from t0native.base.foreign import hint_keywords
from t0native.base.jsontext import json_text
from t0native.base.locks import FolderLock
from t0native.base.progress import Progress
from t0native.base.showing import listed
from t0native.data.diskrows import JoinedRows, open_rows
from t0native.tasks.sifting import sift
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

    from t0native.base.annotations import PathName, RowSequence

__all__ = ["PromptCache", "cache_prompts", "open_prompted", "render_shard"]

FORMAT, MARKERS, PLAN = 1, ".markers", "plan.json"
EXAMPLES = 10_000  # of a shard, about
MOST_SHARDS = 999_999
AHEAD = 2  # shards that are rendered, or wait, for each worker


class PromptCache(NamedTuple):
    """What `cache_prompts` made. path: the folder, which t0.open_prompted reads.  examples: in all shards.  dropped: {reason: how many rows
    under a prompt}.  rendered: shards that this call made; the others were there.

    >>> PromptCache(Path("cache"), 2, 100, {}, 1).rendered
    1
    """

    path: Path
    shards: int
    examples: int
    dropped: dict[str, int]
    rendered: int


@hint_keywords
def cache_prompts(
    task: Task,
    out: PathName,
    *,
    seed: int = 0,
    limit: int | None = None,
    shard_rows: int | None = None,
    executor: Any = None,
    force: bool = False,
    progress: bool = True,
) -> PromptCache:
    """Renders a task's rows under all its prompts into the shards of a folder; the same call again makes those that are missing.

    out: the folder. t0.open_prompted(out) reads the examples back, as rows with the fields row, prompt, input, target and choices.
    seed: of randomness inside templates, which else hangs on the row's number alone.  limit: rows at most.  shard_rows: rows a shard
        (None: as many as make 10,000 examples).  executor: as evaluate's (docs/how-to/cluster-dask.md); None: this process.
    force: a folder of another cache is replaced.  Prompts of a class of your own are rendered anew by every call.
    Rows that a prompt drops, whose target is no answer, or that cannot be rendered are
    left out and counted, as in training. TemplateError and DataError for a prompt that serves no row; ConfigError for an argument, for a
    folder of another cache, and for one that another process writes into; OSError where it cannot be written, with what is there kept.

    >>> from tempfile import TemporaryDirectory
    >>> mood = t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good")
    >>> task = t0.Task("moods", [{"text": "Tea.", "label": 1}, {"text": "Rain.", "label": 0}], mood)
    >>> with TemporaryDirectory() as folder:
    ...     cache = t0.cache_prompts(task, folder + "/moods", progress=False)
    ...     cache.examples, t0.open_prompted(cache.path)[1]["target"]
    (2, 'bad')
    """
    if not isinstance(task, Task):
        raise ConfigError("cache_prompts: the first argument must be a Task; one call makes the folder of one")
    task.check()
    n = len(task.rows) if check(whole(1).or_none(), "limit", limit) is None else min(limit, len(task.rows))
    size = check(whole(1).or_none(), "shard_rows", shard_rows) or max(1, EXAMPLES // len(task.prompts))
    shards = [(first, min(n, first + size)) for first in range(0, n, size)]
    if len(shards) > MOST_SHARDS:
        raise ConfigError(f"shard_rows {size}: makes {len(shards):,} shards, at most {MOST_SHARDS:,} are numbered; take more rows a shard")
    folder, plan = Path(check(FOLDER, "out", out)), _plan(task, n, size, check(SEED, "seed", seed))
    with opened(executor) as pool, _held(folder, plan, check(FLAG, "force", force)):
        with Progress("prompt cache", n, on=progress, estimate="rows") as bar:
            markers, rendered = _make_shards(folder, task, shards, plan["seed"], pool, bar)
    dropped = sum((Counter(marker["dropped"]) for marker in markers), Counter())
    return PromptCache(folder, len(shards), sum(marker["examples"] for marker in markers), dict(dropped), rendered)


def open_prompted(folder: PathName) -> RowSequence:
    """The examples of a folder of `cache_prompts`, left on the disk: a sequence of dicts with row, prompt, input, target and choices.

    DataError where it is no such folder, or where shards are missing or have another size than they were written with: the call that makes
    it was not ended, or something has harmed them since.

    >>> open_prompted("nowhere")
    Traceback (most recent call last):
    t0native.DataError: nowhere: no folder of cached prompts; t0native prompt cache makes one
    """
    folder = Path(folder)
    plan = _read_json(folder / MARKERS / PLAN)
    if not isinstance(plan, dict) or plan.get("format") != FORMAT or not {"rows", "shard_rows"} <= plan.keys():
        raise DataError(f"{folder}: no folder of cached prompts; t0native prompt cache makes one")
    n = -(-plan["rows"] // plan["shard_rows"])
    markers = [_read_json(folder / MARKERS / f"{number:05}.json") for number in range(n)]
    there = [_size_of(folder / _name(number, n)) for number in range(n)]
    again = "the same t0native prompt cache again goes on"
    if missing := sum(marker is None or size is None for marker, size in zip(markers, there)):
        raise DataError(f"{folder}: {missing:,} of {n:,} shards are missing; {again}")
    for number, (marker, size) in enumerate(zip(markers, there)):
        if not isinstance(marker, dict) or not isinstance(marker.get("examples"), int) or marker.get("bytes") != size:
            raise DataError(f"{folder / _name(number, n)}: {size:,} bytes, which is not what its marker in {MARKERS} says; {again}")
    parts = [open_rows(folder / _name(number, n)) for number in range(n) if markers[number]["examples"]]
    if not parts:
        raise DataError(f"{folder}: no examples: every row was left out")
    return parts[0] if len(parts) == 1 else JoinedRows(parts)


def _size_of(place):
    """Bytes, or None where there is no such file."""
    try:
        return place.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def render_shard(task: Task, first: int, seed: int) -> tuple[bytes, dict[str, Any]]:
    """(the lines of a shard, its marker). task: of the shard's rows alone.  first: the number of its first row."""
    lines, dropped = [], Counter()
    for i in range(len(task.rows)):
        for prompt in task.prompts:
            sifted = sift(task, prompt, i, seed, key=first + i)
            if sifted.reason is not None:
                dropped[sifted.reason] += 1
                continue
            text, target, choices = sifted.rendering.example
            record = {"row": first + i, "prompt": prompt, "input": text, "target": target, "choices": choices}
            lines.append(json_text(record, ensure_ascii=False) + "\n")
    data = "".join(lines).encode()
    facts = {"rows": len(task.rows), "rows_sha256": digest_of_rows(task.rows), "examples": len(lines), "dropped": dict(dropped)}
    return data, facts | {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


# ---- the folder -------------------------------------------------------------------------------------------------------


def _plan(task, n, size, seed):
    prompts = [[name, *(getattr(task.prompts[name], part, None) for part in ("jinja", "answer_choices"))] for name in task.prompts]
    about = {"format": FORMAT, "dataset": task.full_dataset, "prompts": prompts, "truncate": task.truncate}
    return about | {"rows": n, "shard_rows": size, "seed": seed}


@contextlib.contextmanager
def _held(folder, plan, force):
    """The folder is of this plan and held. ConfigError where it is of another, and force is false: nothing changes then."""
    make_folder(folder)
    lock = FolderLock(folder, "is caching prompts")
    try:
        _check_folder(folder, plan, force)
        make_folder(folder / MARKERS)
        for place in (folder, folder / MARKERS):
            remove_leftovers(place)
        _begin(folder, plan)
        yield
    finally:
        lock.release()


def _check_folder(folder, plan, force):
    was = _read_json(folder / MARKERS / PLAN)
    others = sorted(path.name for path in folder.iterdir() if path.name not in (MARKERS, ".lock"))
    if was == plan or force or (was is None and not others):
        return
    odd = [name for name in plan if was.get(name) != plan[name]] if isinstance(was, dict) else others
    what = "a cache of another plan" if isinstance(was, dict) else "no cache of prompts, but it holds"
    raise ConfigError(f"{folder}: {what} ({listed(odd, 6)}); name another folder, or replace it with --force (force=True)")


def _begin(folder, plan):
    """What another plan has left goes."""
    if _read_json(folder / MARKERS / PLAN) == plan:
        return
    for path in (*(folder / MARKERS).glob("*.json"), *folder.glob("prompted-*.jsonl")):
        path.unlink()
    write_json(folder / MARKERS / PLAN, plan)


def _make_shards(folder, task, shards, seed, pool, bar):
    """([marker of each shard], how many were made now)."""
    markers, waiting, done = [None] * len(shards), [], 0
    known = all(getattr(task.prompts[name], "jinja", None) is not None for name in task.prompts)
    for number, (first, end) in enumerate(shards):
        markers[number] = _find_whole(folder, number, len(shards), task, first, end) if known else None
        if markers[number] is None:
            waiting.append(number)
        else:
            done += end - first
    bar.begin(done)
    for number, (data, marker) in _rendered(task, [(number, *shards[number]) for number in waiting], seed, pool):
        with FileSet(folder) as files:
            files.add(_name(number, len(shards)), data)
            files.add(f"{MARKERS}/{number:05}.json", (json_text(marker, indent=1) + "\n").encode())
        markers[number] = marker
        done += marker["rows"]
        bar.update(done)
    return markers, len(waiting)


def _rendered(task, jobs, seed, pool):
    """(number, what render_shard gives) of each (number, first row, end), in any order."""
    if pool is None:
        for number, first, end in jobs:
            yield number, render_shard(_part_of(task, first, end), first, seed)
        return
    finished, left, running = queue.SimpleQueue(), iter(jobs), {}
    try:
        while True:
            while len(running) < AHEAD * max(1, pool.slots()) and (job := next(left, None)) is not None:
                number, first, end = job
                running[number] = pool.submit(render_shard, _part_of(task, first, end), first, seed)
                running[number].add_done_callback(lambda future, number=number: finished.put(number))
            if not running:
                return
            with contextlib.suppress(queue.Empty):
                number = finished.get(timeout=1.0)
                yield number, _result_of(running.pop(number), pool)
    finally:
        for future in running.values():
            future.cancel()


def _result_of(future, pool):
    try:
        return future.result()
    except CancelledError:
        if why := pool.lost(future):
            raise ConnectionError(f"{why}; the shards that are finished are kept") from None
        raise


def _part_of(task, first, end):
    """The task of some of its rows, which pickles: rows as plain mappings."""
    part = Task.__new__(Task)
    part.__dict__.update(task.__dict__)
    part.rows = [
        row if type(row) is dict else {name: row[name] for name in row.keys()} for row in map(task.rows.__getitem__, range(first, end))
    ]
    part.__dict__.pop("_warned", None)
    return part


def _name(number, n):
    return f"prompted-{number:05}-of-{n:05}.jsonl"


def _find_whole(folder, number, n, task, first, end):
    """The marker of a shard that is there as it was written, of these rows; else None."""
    marker, place = _read_json(folder / MARKERS / f"{number:05}.json"), folder / _name(number, n)
    if marker is None:
        return None
    try:
        if marker["bytes"] != place.stat().st_size or marker["rows_sha256"] != digest_of_rows(_part_of(task, first, end).rows):
            return None
        with open(place, "rb") as file:
            return marker if hashlib.file_digest(file, "sha256").hexdigest() == marker["sha256"] else None
    except (FileNotFoundError, KeyError, TypeError):
        return None


def _read_json(place):
    """The value of a file, or None where there is none, or it is broken."""
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
