"""The rows of a studio: files below its folder, and uploaded ones.

    DIR/<dataset>[/<subset>]/<split>.jsonl      also .json .csv .tsv .parquet; a README.md beside them is the dataset's card
    DIR/<name>.jsonl                            the dataset <name>, split "rows"
    DIR/.studio/                                what the studio keeps: prompts.sqlite, secret, uploads/

A page knows a file by its number in the store's table; no name in a request ever becomes a path."""

import os
import tempfile
import threading
from array import array
from collections import OrderedDict
from pathlib import Path

from t0native.base.errors import DataError
from t0native.base.jsontext import json_text
from t0native.base.showing import shown
from t0native.data.csvrows import count_csv_rows
from t0native.data.lines import parse_example
from t0native.data.rows import read_rows
from t0native.data.types import read_types
from t0native.studio.confined import read_confined
from t0native.studio.exchange import check_dataset_name
from t0native.studio.intake import plain

__all__ = ["DataFolder", "schema"]

KINDS = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
HOME = ".studio"
MAX_UPLOAD_BYTES, MAX_UPLOAD_ROWS, MAX_WHOLE, MAX_CARD = 32 << 20, 200_000, 64 << 20, 20_000
MAX_COUNTED_LINES, MAX_COUNTED_CELLS = 64 << 20, 16 << 20
OPEN_FILES = 4


class DataFolder:
    """root: the folder.  store: its Store."""

    def __init__(self, root, store):
        self.root, self.store = Path(root).resolve(), store
        self._lock, self._open = threading.Lock(), OrderedDict()

    def scan(self):
        """Brings the table of files up to date with the folder; how many there are, and sentences about those left out."""
        files, left_out = {}, []
        for path in sorted(self.root.rglob("*")):
            place = path.relative_to(self.root)
            if path.suffix.lower() not in KINDS or any(part.startswith(".") for part in place.parts) or not path.is_file():
                continue
            if not path.resolve().is_relative_to(self.root):
                left_out.append(f"{place}: a link out of the folder")
                continue
            names = place.parts[:-1] or (path.stem,)
            try:
                check_dataset_name("/".join(names))
            except DataError as error:
                left_out.append(f"{place}: {error}")
                continue
            files["folder:" + place.as_posix()] = (path, names, path.stem if place.parts[:-1] else "rows")
        registered = self.store.ask("SELECT * FROM file WHERE place LIKE 'folder:%'")
        known = {row["place"]: (row["size"], row["changed"]) for row in registered}
        about = {place: (path.stat().st_size, path.stat().st_mtime_ns) for place, (path, _, _) in files.items()}
        fresh = [
            (place, *files[place], *about[place], _quick_count(files[place][0])) for place in files if known.get(place) != about[place]
        ]
        uncounted = [row for row in registered if row["n_rows"] is None and known[row["place"]] == about.get(row["place"])]
        counted = [(_quick_count(files[row["place"]][0]), row["id"]) for row in uncounted]
        with self.store.writing() as db:
            for entry in fresh:
                self._register(db, *entry)
            db.executemany("UPDATE file SET n_rows = ? WHERE id = ?", counted)
            for row in db.execute("SELECT id, place FROM file WHERE place LIKE 'folder:%'").fetchall():
                if row["place"] not in files:
                    db.execute("DELETE FROM file WHERE id = ?", [row["id"]])
        return len(files), left_out

    def _register(self, db, place, path, names, split, size, changed, count):
        home = db.execute("SELECT id FROM dataset WHERE full = ?", ["/".join(names)]).fetchone()
        home = home or self.store.find_or_add_dataset(db, names[0], "/".join(names[1:]) or None)
        db.execute("DELETE FROM file WHERE place = ?", [place])
        db.execute(
            "INSERT INTO file (dataset_id, split, place, size, changed, n_rows, card) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [home["id"], split, place, size, changed, count, _card(path)],
        )

    def files(self, dataset):
        """A dataset's files, train first."""
        return self.store.ask("SELECT * FROM file WHERE dataset_id = ? ORDER BY split <> 'train', split, id", dataset)

    def _path(self, file):
        where, _, place = file["place"].partition(":")
        return (self.root / HOME / "uploads" if where == "upload" else self.root) / place

    def rows(self, number, offset=0, count=50):
        """(rows, how many there are) of a file. KeyError without one; DataError where it cannot be read."""
        file = self.store.one("SELECT * FROM file WHERE id = ?", number)
        if file is None:
            raise KeyError(f"there is no file {number}")
        path = self._path(file)
        try:
            opened = self._open_rows(path, self.store.one("SELECT full FROM dataset WHERE id = ?", file["dataset_id"])["full"])
            rows = [plain(row) for row in opened.page(max(0, offset), count)]
        except OSError as error:
            raise DataError(f"{file['split']}: {error.strerror}: look for changed files on the data page") from None
        except ValueError as error:
            raise DataError(str(error).replace(str(path), file["split"] + path.suffix)) from None
        if file["n_rows"] != len(opened):
            with self.store.writing() as db:
                db.execute("UPDATE file SET n_rows = ? WHERE id = ?", [len(opened), number])
        return rows, len(opened)

    def _open_rows(self, path, dataset):
        about = path.stat()
        key = str(path), about.st_size, about.st_mtime_ns
        with self._lock:
            opened = self._open.get(key)
        if opened is None:  # made without the lock: a large file takes seconds, and others read meanwhile
            opened = _LinesFile(path) if path.suffix.lower() in (".jsonl", ".ndjson") else _WholeFile(path, dataset)
        with self._lock:
            self._open[key] = opened
            self._open.move_to_end(key)
            while len(self._open) > OPEN_FILES:
                self._open.popitem(last=False)
        return opened

    def upload(self, dataset, split, name, data, author):
        """An uploaded file (its name, for the kind; its bytes) as rows of a dataset. DataError says what is wrong with it."""
        kind = Path(name).suffix.lower()
        if kind not in KINDS:
            raise DataError(f"kind of file {shown(kind[:20])}: must be one of {', '.join(KINDS)}")
        if len(data) > MAX_UPLOAD_BYTES:
            raise DataError(f"{len(data):,} bytes, at most {MAX_UPLOAD_BYTES:,}: upload fewer rows, or put the file into the folder")
        check_dataset_name(split)
        folder = self.root / HOME / "uploads"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".in-") as inside:
            source, target = Path(inside, "in"), Path(inside, "out")
            source.write_bytes(data)
            full = self.store.one("SELECT full FROM dataset WHERE id = ?", dataset)["full"]
            count = read_confined(kind.strip(".").replace("ndjson", "jsonl"), source, target, MAX_UPLOAD_ROWS, full)
            with self.store.writing() as db:
                values = [dataset, split, target.stat().st_size, count]
                number = db.execute(
                    "INSERT INTO file (dataset_id, split, place, size, changed, n_rows) VALUES (?, ?, 'upload:', ?, 0, ?)", values
                ).lastrowid
                place = folder / f"{number}.jsonl"
                with open(target, "rb") as file:
                    os.fsync(file.fileno())
                os.replace(target, place)
                db.execute("UPDATE file SET place = ? WHERE id = ?", [f"upload:{number}.jsonl", number])
                self.store.add_log(db, author, "upload", None, dataset, f"{split}: {count} rows")
        return number


class _LinesFile:
    """A file of JSON Lines: where each line begins."""

    def __init__(self, path):
        self.path, self.starts, self.numbers = path, array("Q"), array("L")
        with open(path, "rb") as file:
            place = 0
            for number, line in enumerate(file, 1):
                if not line.isspace():
                    self.starts.append(place)
                    self.numbers.append(number)
                place += len(line)

    def __len__(self):
        return len(self.starts)

    def page(self, offset, count):
        rows = []
        with open(self.path, "rb") as file:
            for at in range(offset, min(offset + count, len(self))):
                file.seek(self.starts[at])
                text = file.readline().decode("utf-8", "replace").removeprefix("\ufeff")
                row = parse_example(text.rstrip("\r\n"), self.path, self.numbers[at])
                if not isinstance(row, dict):
                    raise DataError(f"{self.path}, line {self.numbers[at]}: a row must be an object {{...}}")
                rows.append(row)
        return rows


class _WholeFile:
    """Another kind of file, in memory; a CSV file of a dataset of T0's has the types of its features."""

    def __init__(self, path, dataset):
        if path.stat().st_size > MAX_WHOLE:
            raise DataError(f"{path}: more than {MAX_WHOLE:,} bytes: make it .jsonl, which is read page by page")
        self.rows = list(read_rows(path, types=read_types(None, dataset)))

    def __len__(self):
        return len(self.rows)

    def page(self, offset, count):
        return self.rows[offset : offset + count]


def _quick_count(path):
    """Rows of a file that is counted within a second or so; None otherwise, and of a broken one, until somebody opens it."""
    kind, size = path.suffix.lower(), path.stat().st_size
    try:
        if kind in (".jsonl", ".ndjson") and size <= MAX_COUNTED_LINES:
            with open(path, "rb") as file:
                return sum(not line.isspace() for line in file)
        if kind in (".csv", ".tsv") and size <= MAX_COUNTED_CELLS:
            return count_csv_rows(path)
    except (OSError, ValueError):
        pass  # whoever opens the file is told
    return None


def _card(path):
    for name in ("README.md", "dataset_card.md"):
        if (path.parent / name).is_file():
            with open(path.parent / name, "rb") as file:
                return file.read(MAX_CARD).decode("utf-8", "replace")
    return None


def schema(rows):
    """{field: kind} of rows, in order; kinds that differ are all named.

    >>> schema([{"text": "a", "label": 1, "spans": [{"at": 3}]}, {"text": None}])
    {'text': 'text or nothing', 'label': 'whole number', 'spans': 'list of {at: whole number}'}
    """
    kinds = {}
    for row in rows:
        for field, value in row.items():
            kinds.setdefault(field, {})[_kind(value)] = None
    return {field: " or ".join(sorted(names, key=lambda kind: kind == "nothing")) for field, names in kinds.items()}


def _kind(value, depth=0):
    if isinstance(value, list):
        inside = " or ".join(dict.fromkeys(_kind(inner, depth + 1) for inner in value[:20])) if depth < 3 else ""
        return f"list of {inside}" if inside else "list"
    if isinstance(value, dict):
        inside = ", ".join(f"{key}: {_kind(inner, depth + 1)}" for key, inner in list(value.items())[:20]) if depth < 3 else ""
        return "{" + inside + "}"
    names = {str: "text", bool: "true or false", int: "whole number", float: "number", type(None): "nothing"}
    return names.get(type(value), json_text(type(value).__name__))
