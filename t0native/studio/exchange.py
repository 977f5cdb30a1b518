"""P3's files into a store and out of it: <dataset>[/<subset>]/templates.yaml.

A file that nobody has changed here goes out byte for byte as promptsource writes it: fields that are not known stay, and so
does what two templates share (PyYAML writes it once, as an anchor). An import that meets a prompt of the same id makes a
revision of it; nothing is lost."""

import io
import json
import math
import re
import tempfile
import zipfile
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

from t0native.base.errors import ConfigError, DataError, FormatError
from t0native.base.files import write_text
from t0native.base.jsontext import json_text
from t0native.base.showing import shown
from t0native.prompts.collection import find_files
from t0native.prompts.promptfile import FILE
from t0native.promptsource import Template, read_content, yaml_text
from t0native.studio.confined import read_confined

__all__ = [
    "counts_in_words",
    "check_dataset_name",
    "export_folder",
    "export_text",
    "export_zip",
    "import_folder",
    "import_zip",
    "read_folder",
    "read_zip",
]

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.+-]{0,99}){0,2}")
MAX_ZIP_FILES, MAX_ZIP_BYTES = 5_000, 16_000_000
RESERVED = {"con", "nul", "prn", "aux"}


def check_dataset_name(name):
    """A name that can be a folder's on any machine: letters, digits and _ . + -, with at most two /.

    >>> check_dataset_name("super_glue/rte")
    'super_glue/rte'
    >>> check_dataset_name("../etc")
    Traceback (most recent call last):
    t0native.DataError: dataset name '../etc': must be letters, digits, _ . + -, ... as in super_glue/rte
    """
    if not NAME.fullmatch(name) or any(part.split(".")[0].lower() in RESERVED or part.endswith(".") for part in name.split("/")):
        raise DataError(
            f"dataset name {shown(name[:80])}: must be letters, digits, _ . + -, at most 100 a part and two /, as in super_glue/rte"
        )
    return name


# ---- in -------------------------------------------------------------------------------------------------------------


def import_folder(store, folder, author):
    """All prompt files below a folder: {"files", "new", "changed", "unchanged"}. DataError, FormatError with the file; then
    nothing has been imported."""
    return _import(store, read_folder(folder), author)


def import_zip(store, data, author):
    """The same from the bytes of a zip file, which a confined process reads (read_zip); Busy where too many files are being read."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.write_bytes(data)
        read_confined("prompts", source, target, MAX_ZIP_FILES)
        files = json.loads(target.read_bytes())
    return _import(store, files, author)


def read_folder(folder):
    """What the prompt files below a folder hold, as JSON has it: a list of {"place", "dataset", "subset", "header", "templates"}.

    header: what a file holds besides templates.  templates: a list of [fields, shared], shared: the number of the metadata among those of
    the file that several templates share, or None."""
    folder = Path(folder)
    files = find_files(folder) if folder.is_dir() else {}
    if not files:
        raise DataError(f"{folder}: no {FILE} below it; expected <dataset>/{FILE} or <dataset>/<subset>/{FILE}")
    return [_read_file(path, path.relative_to(folder), *key) for key, path in files.items()]


def read_zip(path, most=MAX_ZIP_FILES):
    """The same of a zip file, which is unpacked beside it; paths in it are read as names, never followed."""
    with tempfile.TemporaryDirectory(dir=Path(path).parent) as folder:
        try:
            _unpack(path, folder, most)
        except (DataError, MemoryError):
            raise
        except Exception as error:  # whatever zipfile raises is about the file
            raise DataError(f"no zip file that can be read ({error}): make one of a folder of prompts") from None
        try:
            return read_folder(folder)
        except (DataError, FormatError) as error:
            raise type(error)(str(error).replace(f"{folder}/", "").replace(folder, "the zip")) from None


def _unpack(path, folder, most):
    """The prompt files of a zip, below a folder. A folder templates/ or prompts/ around them all is left out."""
    with zipfile.ZipFile(path) as archive:
        members = [member for member in archive.infolist() if PurePosixPath(member.filename).name == FILE]
        if len(members) > most or sum(member.file_size for member in members) > MAX_ZIP_BYTES:
            raise DataError(f"the zip holds more than {most} prompt files or {MAX_ZIP_BYTES:,} bytes: import it in parts")
        places = [PurePosixPath(member.filename).parts for member in members]
        top = 1 if places and all(len(place) > 2 and place[0] in ("templates", "prompts") for place in places) else 0
        for member, place in zip(members, places):
            check_dataset_name("/".join(place[top:-1]))
            target = Path(folder, *place[top:])
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source:
                target.write_bytes(source.read(member.file_size))


def _read_file(path, place, dataset, subset):
    check_dataset_name(f"{dataset}/{subset}" if subset else dataset)
    header = read_content(path)
    templates = header.pop("templates")
    _check_plain(header, place)
    uses = {}
    for template in templates.values():
        uses.setdefault(id(template.__dict__.get("metadata")), []).append(template)
    shared = {key: str(number) for number, (key, users) in enumerate(uses.items()) if len(users) > 1}
    read = []
    for key, template in templates.items():
        fields = dict(template.__dict__)
        metadata = fields.get("metadata")
        fields["metadata"] = None if metadata is None else dict(metadata.__dict__)
        if str(key) != fields.get("id"):
            raise FormatError(f"{place}: the key {shown(key)} and its template's id {shown(fields.get('id'))} must be the same")
        _check_plain(fields, f"{place}: template {shown(template.name)}")
        read.append([fields, shared.get(id(metadata))])
    return {"place": str(place), "dataset": dataset, "subset": subset, "header": header, "templates": read}


def _check_plain(value, place, depth=0):
    """JSON keeps texts, finite numbers, truth values, lists and mappings of them; YAML has more kinds."""
    if depth > 8:
        raise FormatError(f"{place}: nested too deeply")
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise FormatError(f"{place}: field names must be text")
        for key, inner in value.items():
            _check_plain(inner, f"{place}: {shown(key)[1:-1]}", depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _check_plain(inner, place, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise FormatError(f"{place} is {value}: must be a finite number, or text, in quotes")
    elif not isinstance(value, (str, int, float, bool, type(None))):
        raise FormatError(f"{place} is a {type(value).__name__}: write it as text, in quotes")


def _import(store, files, author):
    """What `read_folder` has read, into a store, in one transaction."""
    counts = {"files": len(files), "new": 0, "changed": 0, "unchanged": 0}
    with store.writing() as db:
        for file in files:
            home = store.find_or_add_dataset(db, file["dataset"], file["subset"], file["header"])
            for fields, shared in file["templates"]:
                _import_template(store, db, home["id"], fields, shared, author, counts)
        store.add_log(db, author, "import", None, None, counts_in_words(counts))
    return counts


def counts_in_words(counts):
    """
    >>> counts_in_words({"files": 1, "new": 2, "changed": 0, "unchanged": 3})
    '1 file: 2 new prompts, 0 changed, 3 as they were'
    """
    files, new = (f"{counts[name]:,} {what}{'s' * (counts[name] != 1)}" for name, what in (("files", "file"), ("new", "new prompt")))
    return f"{files}: {new}, {counts['changed']:,} changed, {counts['unchanged']:,} as they were"


def _import_template(store, db, dataset, fields, shared, author, counts):
    """One template, new or known."""
    row = db.execute("SELECT id FROM prompt WHERE dataset_id = ? AND uuid = ?", [dataset, fields["id"]]).fetchone()
    if row is None:
        store.add_prompt(db, author, dataset, fields, "import", shared)
        counts["new"] += 1
        return
    now = store.prompt(row["id"], db)
    db.execute("UPDATE prompt SET shared = ? WHERE id = ?", [shared, now["id"]])
    if now["content"] == fields and not now["deleted"]:
        counts["unchanged"] += 1
        return
    store.check_name(db, dataset, fields["name"], now["id"])
    store.add_revision(db, author, now["id"], now["revision"] + 1, fields, "import")
    counts["changed"] += 1


# ---- out ------------------------------------------------------------------------------------------------------------


def export_text(store, dataset, accepted=False, db=None):
    """The templates.yaml of one dataset (its number), as promptsource writes it; None where there is no prompt for it.
    accepted: those alone that a reviewer has accepted."""
    with nullcontext(db) if db else store.reading() as db:
        home = db.execute("SELECT * FROM dataset WHERE id = ?", [dataset]).fetchone()
        rows = db.execute(
            "SELECT shared, content FROM prompt JOIN revision ON prompt_id = id AND number = revision WHERE dataset_id = ? AND NOT deleted"
            + (" AND state = 'accepted'" if accepted else ""), [dataset]
        ).fetchall()  # fmt: skip
    if not rows:
        return None
    templates, groups = {}, {}
    for row in rows:
        fields = json.loads(row["content"])
        if isinstance(fields.get("metadata"), dict):
            metadata = _make(Template.Metadata, fields["metadata"])
            key = (row["shared"], json_text(fields["metadata"], sort_keys=True)) if row["shared"] is not None else fields["id"]
            fields["metadata"] = groups.setdefault(key, metadata)
        templates[fields["id"]] = _make(Template, fields)
    return yaml_text({**json.loads(home["header"]), "templates": templates})


def _make(kind, fields):
    made = kind.__new__(kind)
    made.__dict__.update(fields)
    return made


def _export_texts(store, accepted):
    """(full name, text) of every file, of one state of the store."""
    with store.reading() as db:
        for row in db.execute("SELECT id, full FROM dataset ORDER BY full").fetchall():
            text = export_text(store, row["id"], accepted, db)
            if text is not None:
                yield row["full"], text


def export_folder(store, folder, accepted=False, replace=True):
    """Writes every file; each is replaced whole. The number of files. replace: False refuses, before anything is written, to put other
    prompts in the place of a file that is there."""
    texts = [(Path(folder, *check_dataset_name(full).split("/"), FILE), text) for full, text in _export_texts(store, accepted)]
    for place, text in texts if not replace else ():
        if place.is_file() and place.read_bytes() != text.encode():
            raise ConfigError(f"{place}: is there already, with other prompts; --force replaces it")
    for place, text in texts:
        write_text(place, text)
    return len(texts)


def export_zip(store, accepted=False):
    """The same as the bytes of one zip; the same prompts give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for full, text in _export_texts(store, accepted):
            archive.writestr(zipfile.ZipInfo(f"templates/{full}/{FILE}", (1980, 1, 1, 0, 0, 0)), text, zipfile.ZIP_DEFLATED)
    return out.getvalue()
