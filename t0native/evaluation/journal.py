"""The journal of an evaluation's folder: what is finished is never lost and never done twice.

    RUN/journal.sqlite       a row a finished cell:  key, task, prompt, model, file, sha256, rows, seconds, finished, runs
    RUN/examples/KEY.jsonl   a line a row that the prompt kept: {"row", "input_sha256", "target", "choices", "scores", "lengths",
                             "prediction", "value"}, and "text" where a cell is judged both by choices and by what is generated;
                             and a line a row that the model could not answer, or that cannot be scored: {"row", "dropped", "detail"}
                             (in words: texts.py)
    RUN/examples/KEY.part    of a cell that is not finished (cellpart.py)

    key = SHA-256(format, version of the answers, model, number type, kernels, settings, prompt text, metrics, rows as rendered, rows)

A cell's file is written, synced and renamed before its row is committed, so a row tells of a whole file, and its SHA-256 is checked.
sqlite's write-ahead log makes the commit last. The database is held exclusively until the process ends, in whatever way: a second
process on the folder is refused. Failed cells are not in it, and are tried again."""

import errno
import hashlib
import json
import sqlite3
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from t0native.base.digests import digest_of_value
from t0native.base.errors import ConfigError, FormatError
from t0native.base.files import FileSet, make_folder, remove_leftovers
from t0native.base.jsontext import json_text
from t0native.base.locks import HeldFolder
from t0native.evaluation.answers import Answers, PackedRankings, PackedTexts
from t0native.evaluation.cellpart import CellPart
from t0native.evaluation.rendered import rendered_digest
from t0native.evaluation.texts import example_records
from t0native.generation.options import IDS, is_greedy
from t0native.models.digests import digest_for_cells
from t0native.reports.examples import EXAMPLES

__all__ = ["Journal", "cell_keys", "model_fingerprints"]

FILE = "journal.sqlite"
FORMAT = 1
_AT_ONCE = 8192  # rows read
VERSIONS = ("0.1.0", "0.1.1")  # of this program that give the same answers as this one: its cells go on; the first stands in new keys
_TABLE = """CREATE TABLE IF NOT EXISTS cells (
    key TEXT PRIMARY KEY, task TEXT NOT NULL, prompt TEXT NOT NULL, model TEXT NOT NULL, file TEXT NOT NULL, sha256 TEXT NOT NULL,
    rows INTEGER NOT NULL, seconds REAL NOT NULL, finished TEXT NOT NULL, runs INTEGER NOT NULL)"""
_FINISH = """INSERT INTO cells VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 1) ON CONFLICT (key) DO UPDATE SET task = excluded.task,
    prompt = excluded.prompt, model = excluded.model, sha256 = excluded.sha256, rows = excluded.rows, seconds = excluded.seconds,
    finished = excluded.finished, runs = runs + 1"""


class Journal:
    """The journal of the folder `path`, or none where path is None; to be used in a `with`.

    ConfigError for a folder that another process evaluates into, FormatError for a file that is no journal, OSError where the disk
    is full or cannot be written: what was finished stays."""

    def __init__(self, path):
        self.path = None if path is None else Path(path)
        self._database = self._held = None
        self._lock = threading.Lock()  # of the database, where several threads keep cells (dispatch.py)

    def __enter__(self):
        if self.path is None:
            return self
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"{self.path}: a file; out must name a folder")
        make_folder(self.path / EXAMPLES)
        self._held = HeldFolder(self.path, "is evaluating")
        try:
            with self._translating_errors():
                self._database = sqlite3.connect(self.path / FILE, timeout=0, isolation_level=None, check_same_thread=False)
                self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
                self._database.execute("PRAGMA journal_mode = WAL")
                self._database.execute("PRAGMA synchronous = FULL")
                self._database.execute("BEGIN IMMEDIATE")
                self._check_format()
                self._database.execute(_TABLE)
                self._database.execute(f"PRAGMA user_version = {FORMAT}")
                self._database.execute("COMMIT")
        except BaseException:
            self._close()
            raise
        for folder in (self.path, self.path / EXAMPLES):
            remove_leftovers(folder)
        return self

    def __exit__(self, *unused):
        self._close()

    def _close(self):
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._held is not None:
            self._held.release()
            self._held = None

    def check_place(self):
        """FileNotFoundError where the folder was renamed meanwhile."""
        if self._held is not None:
            self._held.check_place()

    def _check_format(self):
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version not in (0, FORMAT):
            raise FormatError(f"{self.path / FILE}: a journal of format {version}, this version knows {FORMAT}; name another folder")

    def find(self, key):
        """The Answers of a finished cell, or None. A file that the disk damaged counts as none."""
        if self._database is None:
            return None
        with self._translating_errors():
            row = self._database.execute("SELECT file, sha256 FROM cells WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        try:
            with open(self.path / row[0], "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != row[1]:
                    return None
                file.seek(0)
                return _read_answers(map(json.loads, file))
        except FileNotFoundError:
            return None

    def has(self, key):
        """Whether a cell of this key is finished."""
        if self._database is None:
            return False
        with self._translating_errors():
            return self._database.execute("SELECT 1 FROM cells WHERE key = ?", (key,)).fetchone() is not None

    @staticmethod
    def file_of(cell):
        """Name of the cell's examples in the folder."""
        return f"{EXAMPLES}/{cell.key}.jsonl"

    def part_of(self, cell, anew=False):
        """The CellPart of a cell that is to be answered, or None without a journal. anew: what an earlier call left is left aside."""
        return None if self._database is None else CellPart(self.path / EXAMPLES / cell.key, cell.key, self.check_place, anew)

    def finish(self, cell, answers, seconds):
        """Writes a judged cell's examples, then its row; returns the name of the file in the folder, or None without a journal."""
        if self._database is None:
            return None
        self.check_place()
        name, digests = self.file_of(cell), {}
        with FileSet(self.path / EXAMPLES, digests) as files, files.opened(Path(name).name) as file:
            for record in _make_records(cell, answers):
                file.write((json_text(record, ensure_ascii=False) + "\n").encode())
        ((_, digest),) = digests.items()
        row = (cell.key, cell.task.name, cell.prompt, cell.record.model, name, digest["sha256"], len(cell.rows.kept))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self._translating_errors():
            self._database.execute(_FINISH, (*row, seconds, now))
        return name

    @contextmanager
    def _translating_errors(self):
        """sqlite's errors as ours; one thread at a time."""
        place = self.path / FILE
        try:
            with self._lock:
                yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                message = f"{self.path}: another process is evaluating into this folder; wait for it, stop it, or name another"
                raise ConfigError(message) from None
            code = errno.ENOSPC if "full" in str(error) else errno.EACCES if "readonly" in str(error) else errno.EIO
            raise OSError(code, f"cannot write: {error}; the cells that are finished are kept", str(place)) from error
        except sqlite3.DatabaseError as error:
            raise FormatError(f"{place}: not a journal of evaluations ({error}); remove it to begin anew, or name another folder") from None


# ---- records --------------------------------------------------------------------------------------------------------


def _make_records(cell, answers):
    """A dict a row that the prompt kept, and one a row that was left out later."""
    for row, example in example_records(cell.rows.kept, answers, cell.record.correct):
        yield {"row": row.index, "input_sha256": _sha256(row.input)} | example
    for index, reason, detail in cell.rows.later:
        yield {"row": index, "dropped": reason, "detail": detail}


def _read_answers(records):
    """The Answers that records were written of, with the same bits."""
    rankings, texts, dropped, waiting = PackedRankings(), PackedTexts(), [], ([], [])
    for record in records:
        if "dropped" in record:
            dropped.append((record["row"], record["dropped"], record["detail"]))
            continue
        if record["choices"] is not None:
            numbers = {name: np.array(record[name]) for name in ("scores", "lengths") if record[name] is not None}
            waiting[0].append(SimpleNamespace(index=record["prediction"], **numbers))
        if record["choices"] is None or "text" in record:
            waiting[1].append(record.get("text", record["prediction"]))
        if max(map(len, waiting)) == _AT_ONCE:
            _move(waiting, (rankings, texts))
    _move(waiting, (rankings, texts))
    return Answers(rankings if len(rankings) else None, texts if len(texts) else None, dropped)


def _move(lists, sequences):
    for items, sequence in zip(lists, sequences):
        if items:
            sequence.extend(items[:])
            items.clear()


# ---- keys -----------------------------------------------------------------------------------------------------------


def cell_keys(fingerprints, settings, cell, rows_hash):
    """What a cell hangs on, as 64 hexadecimal digits for each of the fingerprints of a model.

    settings: a JSON value.  rows_hash: of the rows."""
    prompt = cell.task.prompts[cell.prompt]
    texts = [getattr(prompt, name, None) for name in ("jinja", "answer_choices")]
    rendered = rendered_digest(cell.rows)
    metrics = [[metric.name, metric.needs, metric.short] for metric in cell.metrics]
    return [digest_of_value([FORMAT, fingerprint, settings, texts, metrics, rendered, rows_hash]) for fingerprint in fingerprints]


def _sha256(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def model_fingerprints(model):
    """{whether a cell's answers are generated: what they hang on}: lists of JSON values [version, number type, kernels, SHA-256 of
    configuration, generation and tokenizer, SHA-256 of weights]. The first of a list is that of new cells, the others are those of
    cells that an earlier version has finished with the same answers.

    Another object than a Model has a text `fingerprint` that tells its answers apart. ConfigError without one."""
    if isinstance(getattr(model, "fingerprint", None), str):
        return dict.fromkeys((False, True), [[version, model.fingerprint] for version in VERSIONS])
    core = getattr(model, "core", None)
    if not hasattr(core, "tensors"):
        raise ConfigError(
            "out= keeps what a model said by what the model is: give it a text `fingerprint`, another for other answers, or leave out= away"
        )
    config, tokenizer = model.config.to_dict(), getattr(model.tokenizer, "fingerprint", None)
    about, weights = [core.dtype, str(core.kernels)], digest_for_cells(model)
    found = {}
    for generates in (False, True):
        digests = [digest_of_value([config, generation, tokenizer]) for generation in _generations_alike(model, generates)]
        found[generates] = [[version, *about, digest, weights] for digest in digests for version in VERSIONS]
    return found


def _generations_alike(model, generates):
    """What an evaluation sees of the model's generation, its ids, and what version 0.1 saw, where its answers were the same: all of it,
    for choices, and where it is greedy; and nothing, where the ids are the configuration's."""
    ids = {name: value for name, value in model.generation.items() if name in IDS}
    alike = [ids]
    if not generates or is_greedy(model):
        alike.append(dict(model.generation))
    if all(value == getattr(model.config, name) for name, value in ids.items()):
        alike.append({})
    return [generation for i, generation in enumerate(alike) if generation not in alike[:i]]
