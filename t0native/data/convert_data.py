"""Files of datasets as their authors distribute them, written where a folder of data has them (datafolder.py)."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.files import make_folder, write_text
from t0native.base.jsontext import json_text
from t0native.base.showing import shown
from t0native.data.distributed import COLUMNS, HIDDEN, check_columns, convert_one
from t0native.data.lines import lines_of
from t0native.data.rows import read_csv, read_rows

if TYPE_CHECKING:  # of annotations alone
    from typing import Any

    from t0native.base.annotations import PathName

__all__ = ["convert_data", "winogender_rows"]

PRONOUNS = {"$NOM_PRONOUN": ("he", "she"), "$POSS_PRONOUN": ("his", "her"), "$ACC_PRONOUN": ("him", "her")}
HE_OR_SHE = {"he", "she", "him", "her", "his", "hers", "himself", "herself"}
_log = logging.getLogger("t0native")


def _copa_xml(path):
    """The items of copa-dev.xml. Entities are refused, for they may expand without end."""
    text = "".join(line for _, line in lines_of(path))
    if "<!ENTITY" in text:
        raise DataError(f"{path}: declares entities; COPA's files have none")
    try:
        items = ElementTree.fromstring(text.encode("utf-8")).findall("item")
    except ElementTree.ParseError as error:
        raise DataError(f"{path}, line {error.position[0]}: not XML ({error})") from None

    def convert(item):
        texts = {part.tag: (part.text or "").strip() for part in item}
        label = {"1": 0, "2": 1}[item.attrib["most-plausible-alternative"]]
        return {
            "premise": texts["p"], "choice1": texts["a1"], "choice2": texts["a2"],
            "question": item.attrib["asks-for"], "idx": int(item.attrib["id"]), "label": label,
        }  # fmt: skip

    return [convert_one(convert, item, "super_glue/copa", path, i) for i, item in enumerate(items)]


def winogender_rows(path: PathName) -> list[dict[str, Any]]:
    """Rows like AX-g's, made of WinoGender's templates.tsv (Rudinger et al. 2018): premise, hypothesis, label 0 (entailed) or 1.

    A template names an occupation, a participant and the one of them that its pronoun stands for. Each gives four rows: the
    premise with "he" and with "she"; as hypothesis the premise with either of the two in the pronoun's place. SuperGLUE's own AX-g
    is another recasting, of 356 rows, where this gives 480: their figures cannot be compared.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "templates.tsv")
    ...     line = "cook\\tguest\\t1\\tThe $OCCUPATION served the $PARTICIPANT before $NOM_PRONOUN sat down.\\n"
    ...     _ = path.write_text("occupation(0)\\tother-participant(1)\\tanswer\\tsentence\\n" + line)
    ...     row = winogender_rows(path)[0]
    >>> row["premise"], row["hypothesis"], row["label"]
    ('The cook served the guest before he sat down.', 'The cook served the guest before the cook sat down.', 1)
    """
    rows = []
    for i, template in enumerate(read_csv(path, "\t")):
        for row in convert_one(_rows_of_template, template, "winogender", path, i):
            rows.append({**row, "idx": len(rows)})
    return rows


def _rows_of_template(row):
    people = row["occupation(0)"], row["other-participant(1)"]
    text = row["sentence"].replace("$OCCUPATION", people[0]).replace("$PARTICIPANT", people[1])
    place = next((place for place in PRONOUNS if place in text), None)
    if place is None:
        raise ValueError(f"no {' or '.join(PRONOUNS)} in the sentence")
    right = {"0": 0, "1": 1}[str(row["answer"])]
    rows = []
    for pronoun in PRONOUNS[place]:
        for i, person in enumerate(people):
            stands = f"the {person}'s" if place == "$POSS_PRONOUN" else f"the {person}"
            hypothesis = text.replace(place, stands)
            rows.append(
                {"premise": text.replace(place, pronoun), "hypothesis": hypothesis[:1].upper() + hypothesis[1:], "label": int(i != right)}
            )
    return rows


def _wino_bias(path):
    """Sentences with the person and the pronouns that stand for it in brackets: "12 [The cook] asked ... if [he] ... [his] ...". The
    cluster has the person first, then the pronouns in their order; the public prompts read the first two."""
    rows = []
    for number, line in lines_of(path):
        if not line.strip():
            continue
        pieces = re.split(r"\[([^\[\]]*)\]", re.sub(r"^\s*\d+\s+", "", line.strip()))
        marked = pieces[1::2]
        people = [text for text in marked if text.lower() not in HE_OR_SHE]
        if any(mark in piece for piece in pieces for mark in "[]") or len(marked) < 2 or (len(people) != 1 and len(marked) != 2):
            raise DataError(f"{path}, line {number}: must have a person and a pronoun in brackets, as 1 [The cook] asked if [he] ...")
        tokens, people, pronouns = [], [], []
        for i, piece in enumerate(pieces):
            words = re.findall(r"\w+(?:[-’']\w+)*|[^\w\s]", piece)
            if i % 2:
                (pronouns if piece.lower() in HE_OR_SHE else people).extend([str(len(tokens)), str(len(tokens) + len(words) - 1)])
            tokens += words
        rows.append({"document_id": f"{Path(path).name}/{number}", "tokens": tokens, "coreference_clusters": people + pronouns})
    return rows


def _axg(path):
    """WinoGender's templates, or a table in the hub's columns."""
    rows = read_csv(path, "\t")
    return winogender_rows(path) if "occupation(0)" in rows[0] else rows


def _reader(dataset, path):
    """The reader of a file that is no file of rows, or None."""
    suffix = path.suffix.lower()
    if dataset == "super_glue/copa" and suffix == ".xml":
        return _copa_xml
    if dataset == "super_glue/axg" and suffix == ".tsv":
        return _axg
    return _wino_bias if dataset.startswith("wino_bias/") and ".txt" in path.suffixes else None


def convert_data(dataset: str, raw: PathName, data: PathName, split: str | None = None, *, replace: bool = True) -> Path:
    """Convert a file as its authors distribute it, and write it to DATA/<dataset>/<subset>/<split>.jsonl; returns that path.

    dataset: "super_glue/wsc.fixed", ...: the table at the head of distributed.py.  raw: the file.  data: the folder of data.
    split: unless given, that on which T0 is evaluated: "test" for crows_pairs and super_glue/axg, "dev_r1" and so on for the
        rounds of anli, from the names of file and folder (R1/dev.jsonl), "validation" for the others.
    replace: False refuses, by a ConfigError, to put other rows in the place of a file that is there.
    A file in the hub's columns is written as it is; labels that a test split hides are -1, as the hub's. ConfigError for a dataset that
    has no known raw form, DataError with file and row for a file in neither form, and then nothing is written; OSError where one cannot
    be read or written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     raw = Path(folder, "pro_stereotyped_type1.txt.dev")
    ...     _ = raw.write_text("1 [The cook] thanked the guest because [she] was happy.\\n")
    ...     made = t0.convert_data("wino_bias/type1_pro", raw, folder)
    ...     made.relative_to(folder).as_posix(), t0.read_jsonl(made)[0]["coreference_clusters"]
    ('wino_bias/type1_pro/validation.jsonl', ['0', '1', '6', '6'])
    """
    if dataset not in COLUMNS:
        raise ConfigError(f"dataset {shown(dataset)}: no raw form is known; {suggest(str(dataset), COLUMNS)}")
    raw = Path(raw)
    reader = _reader(dataset, raw)
    place = Path(data, dataset, f"{split or _usual_split(dataset, raw)}.jsonl")
    rows = check_columns(dataset, reader(raw) if reader else read_rows(raw, dataset), raw)
    if all(row.get("label") == HIDDEN for row in rows):
        _log.warning("%s: no row has a label; -1 is written, as the hub does, and such rows can be neither trained on nor judged", raw)
    text = "".join(json_text(row, "null", ensure_ascii=False) + "\n" for row in rows)
    if not replace and place.is_file() and place.read_bytes() != text.encode():
        raise ConfigError(f"{place}: is there already, with other rows; --force replaces it")
    make_folder(place.parent)
    write_text(place, text)
    return place


def _usual_split(dataset, raw):
    if dataset != "anli":
        return "test" if dataset in ("crows_pairs", "super_glue/axg") else "validation"
    rounds = re.fullmatch(r"R([123])", raw.parent.name)
    if not rounds or raw.stem not in ("train", "dev", "test"):
        raise ConfigError(f"{raw}: of which round and split? name it R1/dev.jsonl, or give split='dev_r1'")
    return f"{raw.stem}_r{rounds[1]}"
