"""The store of a studio: one sqlite file (WAL) that keeps every revision of every prompt.

    dataset    a name that prompts and files of rows belong to
    prompt     what it is now: the number of its newest revision, its state, the fields that lists show
    revision   what it has been: (prompt, number) -> content, who, when, how. Never altered
    comment    what was said in review, and of which revision
    audit      who did what
    file       rows: their dataset, split and place
    ended      sessions that logged out before their time was over: SHA-256 of a session's token, and when that time is

A content is the fields of a template as P3's file has them, metadata as a mapping in it. States: draft -> in review ->
accepted; an edit makes a draft again. Whoever saves says which revision they saw; Stale where it is not the newest any more."""

import hashlib
import json
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager

from t0native.base.errors import DataError, FormatError
from t0native.base.jsontext import json_text
from t0native.base.showing import shown

__all__ = ["STATES", "Stale", "Store"]

VERSION = 1
STATES = ("draft", "in review", "accepted")
SCHEMA = """
CREATE TABLE dataset (id INTEGER PRIMARY KEY, full TEXT NOT NULL UNIQUE, dataset TEXT NOT NULL, subset TEXT, header TEXT NOT NULL);
CREATE TABLE prompt (
  id INTEGER PRIMARY KEY, dataset_id INTEGER NOT NULL REFERENCES dataset, uuid TEXT NOT NULL, revision INTEGER NOT NULL,
  state TEXT NOT NULL, deleted INTEGER NOT NULL, name TEXT NOT NULL, original_task INTEGER, shared TEXT, author TEXT NOT NULL, at TEXT NOT
  NULL,
  UNIQUE (dataset_id, uuid));
CREATE UNIQUE INDEX prompt_name ON prompt (dataset_id, name) WHERE NOT deleted;
CREATE TABLE revision (
  prompt_id INTEGER NOT NULL REFERENCES prompt, number INTEGER NOT NULL, at TEXT NOT NULL, author TEXT NOT NULL, action TEXT NOT NULL,
  content TEXT NOT NULL, PRIMARY KEY (prompt_id, number)) WITHOUT ROWID;
CREATE INDEX revision_author ON revision (author);
CREATE TABLE comment (
  id INTEGER PRIMARY KEY, prompt_id INTEGER NOT NULL REFERENCES prompt, revision INTEGER NOT NULL, at TEXT NOT NULL, author TEXT NOT NULL,
  text TEXT NOT NULL);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at TEXT NOT NULL, author TEXT NOT NULL, action TEXT NOT NULL, prompt_id INTEGER, dataset_id INTEGER, detail TEXT);
CREATE TABLE file (
  id INTEGER PRIMARY KEY, dataset_id INTEGER NOT NULL REFERENCES dataset, split TEXT NOT NULL, place TEXT NOT NULL UNIQUE, size INTEGER
  NOT NULL,
  changed INTEGER NOT NULL, n_rows INTEGER, card TEXT);
"""
ENDED = "CREATE TABLE IF NOT EXISTS ended (token TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID"


class Stale(Exception):
    """Somebody else has saved meanwhile. prompt: as it is now."""

    def __init__(self, prompt):
        super().__init__(f"revision {prompt['revision']} is the newest")
        self.prompt = prompt


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class Store:
    """path: of the sqlite file, made where it is not there. Threads share a Store. FormatError where the file is none of ours.

    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> store = Store(Path(folder.name, "prompts.sqlite"))
    >>> reviews = store.dataset_named("reviews")["id"]
    >>> number = store.create("anna", reviews, {"name": "good or bad", "jinja": "{{ text }} ||| {{ label }}"})
    >>> store.save("ben", number, 1, {**store.prompt(number)["content"], "reference": "ours"})
    2
    >>> [(revision["author"], revision["action"]) for revision in store.history(number)]
    [('ben', 'edit'), ('anna', 'create')]
    >>> store.close(); folder.cleanup()
    """

    def __init__(self, path):
        self.path = path
        self._local, self._open, self._lock = threading.local(), [], threading.Lock()
        try:
            with self.writing() as db:
                version = db.execute("PRAGMA user_version").fetchone()[0]
                if version == 0:
                    for statement in filter(str.strip, SCHEMA.split(";")):
                        db.execute(statement)
                    db.execute(f"PRAGMA user_version = {VERSION}")
                if version <= VERSION:
                    db.execute(ENDED)  # which stores of 0.1.0 lack, and programs of 0.1.0 pass over
        except sqlite3.DatabaseError as error:
            self.close()
            raise FormatError(f"{path}: no store of a studio ({error})") from None
        if version > VERSION:
            self.close()
            raise FormatError(f"{path}: version {version}, this t0native knows {VERSION}; use a newer one")

    # Connections: one a thread, kept open

    def _connection(self):
        db = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
            db.row_factory = sqlite3.Row
            with self._lock:
                self._open.append(db)
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")  # what was accepted survives a power cut too
            db.execute("PRAGMA foreign_keys = ON")
        return db

    @contextmanager
    def writing(self):
        """A transaction, alone: it is written whole or not at all."""
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    @contextmanager
    def reading(self):
        """Several questions to one state of the store."""
        db = self._connection()
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("COMMIT")

    def ask(self, question, *values):
        """All rows of a SELECT."""
        return self._connection().execute(question, values).fetchall()

    def one(self, question, *values):
        return self._connection().execute(question, values).fetchone()

    def close(self):
        with self._lock:
            while self._open:
                self._open.pop().close()
        self._local = threading.local()

    # Datasets

    def dataset_named(self, dataset, subset=None, header=None):
        """The dataset of a name, made where it is not there. header: what its file holds besides templates."""
        with self.writing() as db:
            return self.find_or_add_dataset(db, dataset, subset, header)

    def find_or_add_dataset(self, db, dataset, subset=None, header=None):
        """As `dataset_named`, within a transaction, as are all methods that take `db`: what `writing` gives."""
        full = f"{dataset}/{subset}" if subset else dataset
        values = [dataset, subset, json_text(header or {"dataset": dataset} | ({"subset": subset} if subset else {}))]
        row = db.execute("SELECT * FROM dataset WHERE full = ?", [full]).fetchone()
        if row is None:
            db.execute("INSERT INTO dataset (dataset, subset, header, full) VALUES (?, ?, ?, ?)", [*values, full])
        elif header and not db.execute("SELECT 1 FROM prompt WHERE dataset_id = ?", [row["id"]]).fetchone():
            db.execute(
                "UPDATE dataset SET dataset = ?, subset = ?, header = ? WHERE id = ?", [*values, row["id"]]
            )  # its first file names it
        return db.execute("SELECT * FROM dataset WHERE full = ?", [full]).fetchone()

    def dataset(self, number):
        """The dataset of a number; KeyError where there is none."""
        return _require_row(self.one("SELECT * FROM dataset WHERE id = ?", number), "dataset", number)

    # Prompts

    def prompt(self, number, db=None):
        """A prompt as it is now, a dict: the columns of its table, full (its dataset's name) and content. KeyError without one."""
        row = (db or self._connection()).execute(
            "SELECT prompt.*, full, content, action FROM prompt JOIN dataset ON dataset.id = dataset_id "
            "JOIN revision ON prompt_id = prompt.id AND number = prompt.revision WHERE prompt.id = ?", [number]
        ).fetchone()  # fmt: skip
        row = dict(_require_row(row, "prompt", number))
        return row | {"content": json.loads(row["content"])}

    def prompts(self, dataset, deleted=False):
        """The prompts of a dataset by name, as rows of their table."""
        return self.ask("SELECT * FROM prompt WHERE dataset_id = ? AND deleted = ? ORDER BY name", dataset, deleted)

    def contents(self, dataset):
        """{number: content} of a dataset's prompts."""
        rows = self.ask(
            "SELECT id, content FROM prompt JOIN revision ON prompt_id = id AND number = revision WHERE dataset_id = ? AND NOT deleted",
            dataset,
        )
        return {row["id"]: json.loads(row["content"]) for row in rows}

    def history(self, number):
        """Every revision of a prompt, the newest first."""
        return self.ask("SELECT * FROM revision WHERE prompt_id = ? ORDER BY number DESC", number)

    def revision(self, prompt, number):
        """The content of one revision. KeyError without one."""
        row = self.one("SELECT content FROM revision WHERE prompt_id = ? AND number = ?", prompt, number)
        return json.loads(_require_row(row, "revision", number)["content"])

    def create(self, author, dataset, content, action="create", shared=None):
        """A new prompt; its number. DataError where another of the dataset has its name."""
        with self.writing() as db:
            return self.add_prompt(db, author, dataset, content, action, shared)

    def add_prompt(self, db, author, dataset, content, action="create", shared=None):
        """As `create`."""
        content = {"id": str(uuid.uuid4()), **content}
        self.check_name(db, dataset, content["name"])
        number = db.execute(
            "INSERT INTO prompt (dataset_id, uuid, revision, state, deleted, name, shared, author, at) VALUES (?, ?, 0, 'draft', "
            "0, '', ?, ?, '')",
            [dataset, content["id"], shared, author],
        ).lastrowid
        self.add_revision(db, author, number, 1, content, action)
        return number

    def save(self, author, number, base, content, action="edit"):
        """A new revision; its number. base: the revision that the author saw. Stale, DataError (a name that stands twice)."""
        with self.writing() as db:
            now = self._current(db, number, base)
            if now["content"] == content and not now["deleted"]:
                return now["revision"]
            self.check_name(db, now["dataset_id"], content["name"], number)
            return self.add_revision(db, author, number, base + 1, content, action)

    def delete(self, author, number, base):
        """Takes a prompt out of the collection. Its history stays, and `restore` brings it back."""
        with self.writing() as db:
            now = self._current(db, number, base)
            self.add_revision(db, author, number, base + 1, now["content"], "delete")

    def restore(self, author, number, base, to):
        """Makes an earlier revision the newest one."""
        return self.save(author, number, base, self.revision(number, to), f"restore {to}")

    def _current(self, db, number, base):
        now = self.prompt(number, db)
        if now["revision"] != base:
            raise Stale(now)
        return now

    def check_name(self, db, dataset, name, but=None):
        """DataError where another prompt of the dataset than number `but` has the name."""
        other = db.execute("SELECT id FROM prompt WHERE dataset_id = ? AND name = ? AND NOT deleted", [dataset, name]).fetchone()
        if other and other["id"] != but:
            raise DataError(f"another prompt of this dataset is named {shown(name)}: names must differ")

    def add_revision(self, db, author, number, revision, content, action):
        """Writes the content as the newest revision of a prompt, which is a draft again; its number."""
        at, deleted = _now(), action == "delete"
        text = json_text(content, ensure_ascii=False)
        db.execute("INSERT INTO revision VALUES (?, ?, ?, ?, ?, ?)", [number, revision, at, author, action, text])
        original = (content.get("metadata") or {}).get("original_task")
        original_task = original if isinstance(original, bool) else None
        db.execute(
            "UPDATE prompt SET revision = ?, state = 'draft', deleted = ?, name = ?, original_task = ?, author = ?, at = ? WHERE id = ?",
            [revision, deleted, content["name"], original_task, author, at, number],
        )
        self.add_log(db, author, action, number, None, f"revision {revision}")
        return revision

    # Review

    def review(self, author, number, base, state, text=""):
        """Moves a prompt to a state, with a comment. Stale where the revision that was read is not the newest."""
        if state not in STATES:
            raise DataError(f"state {shown(state)}: must be one of {', '.join(STATES)}")
        with self.writing() as db:
            self._current(db, number, base)
            db.execute("UPDATE prompt SET state = ? WHERE id = ?", [state, number])
            self.add_log(db, author, state, number, None, f"revision {base}")
            self._comment(db, author, number, base, text)

    def comment(self, author, number, text):
        with self.writing() as db:
            self._comment(db, author, number, self.prompt(number, db)["revision"], text)

    def _comment(self, db, author, number, revision, text):
        if text.strip():
            db.execute(
                "INSERT INTO comment (prompt_id, revision, at, author, text) VALUES (?, ?, ?, ?, ?)",
                [number, revision, _now(), author, text.strip()],
            )
            self.add_log(db, author, "comment", number, None, f"revision {revision}")

    def comments(self, number):
        return self.ask("SELECT * FROM comment WHERE prompt_id = ? ORDER BY id", number)

    # Sessions

    def end_session(self, token, until):
        """A session, by its token, is over, though its cookie says that it lasts until then (seconds since 1970)."""
        with self.writing() as db:
            db.execute("DELETE FROM ended WHERE until < ?", [int(time.time())])
            db.execute("INSERT OR REPLACE INTO ended VALUES (?, ?)", [_digest(token), int(until) + 1])

    def has_ended(self, token):
        """Whether the session of this token was ended."""
        return self.one("SELECT 1 FROM ended WHERE token = ?", _digest(token)) is not None

    # Log

    def log(self, author, action, detail="", dataset=None):
        with self.writing() as db:
            self.add_log(db, author, action, None, dataset, detail)

    def add_log(self, db, author, action, prompt, dataset, detail):
        """As `log`, about a prompt or a dataset, or None."""
        values = [_now(), author, action, prompt, dataset, detail]
        db.execute("INSERT INTO audit (at, author, action, prompt_id, dataset_id, detail) VALUES (?, ?, ?, ?, ?, ?)", values)


def _digest(token):
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _require_row(row, what, number):
    if row is None:
        raise KeyError(f"there is no {what} {number}")
    return row
