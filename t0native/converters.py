"""Datasets as their authors distribute them, in the columns of the hub, which P3's prompts read.

    dataset                     as distributed                                          in the hub's columns
    super_glue/wsc.fixed, wsc   target: {span1_text, span1_index, ...}, label of truth  span1_text, span1_index, ..., label 0 1
    super_glue/wic, boolq       label false true                                        label 0 1
    super_glue/rte, axg, cb     label in words                                          label, its number
    super_glue/copa             XML: <item asks-for most-plausible-alternative>         premise choice1 choice2 question label
    super_glue/axg              WinoGender's templates.tsv                              premise hypothesis label (winogender_rows)
    wino_bias/type1_pro, ...    1 [The cook] ... [he] ...                               tokens, coreference_clusters
    crows_pairs                 CSV, stereo_antistereo and bias_type in words           their numbers
    anli                        R1, R2, R3: context, label e n c                        premise, label 0 1 2
    story_cloze/2016            CSV: InputSentence1, ...                                input_sentence_1, ...
    piqa                        valid.jsonl, and valid-labels.lst beside it             label 0 1
    cos_e                       *_rand_split.jsonl, and cose_*_processed.jsonl          question choices answer, explanations

Rows of JSON Lines and CSV in these forms are converted wherever rows are read (`converted`); `convert_data` does so for every
form, and writes the file where a folder of data has it (datafolder.py). Rows in the hub's columns stay as they are."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

from t0native.arguments import shown
from t0native.errors import ConfigError, DataError, suggest
from t0native.rows import lines_of, read_csv, read_rows

__all__ = ["BESIDE", "convert_data", "converted", "winogender_rows"]

ENTAILMENT = {"entailment": 0, "not_entailment": 1}
COMMITMENT = {"entailment": 0, "contradiction": 1, "neutral": 2}
ROUNDS = {"e": 0, "n": 1, "c": 2}
STEREO = {"stereo": 0, "antistereo": 1}
KINDS = "race-color socioeconomic gender disability nationality sexual-orientation physical-appearance religion age".split()
BIAS = {kind: number for number, kind in enumerate(KINDS)}
PRONOUNS = {"$NOM_PRONOUN": ("he", "she"), "$POSS_PRONOUN": ("his", "her"), "$ACC_PRONOUN": ("him", "her")}
HE_OR_SHE = {"he", "she", "him", "her", "his", "hers"}


# ---- rows -----------------------------------------------------------------------------------------------------------


def _wsc(row):
    """The spans of `target` become fields. They count words of the text split at spaces, as the hub's do; words of a span that
    lack a comma or a quotation mark of the text stay as distributed."""
    spans = {key: row["target"][key] for key in ("span1_index", "span2_index", "span1_text", "span2_text")}
    return {"text": row["text"], **spans, "idx": row.get("idx"), **({"label": int(row["label"])} if "label" in row else {})}


def _truth(row):
    return {**{key: value for key, value in row.items() if key != "version"}, "label": int(row["label"])}


def _in_words(numbers):
    """A converter of a label in words."""
    return lambda row: {**row, "label": numbers[row["label"]]}


def _anli(row):
    return {
        "uid": row["uid"], "premise": row["context"], "hypothesis": row["hypothesis"],
        "label": ROUNDS[row["label"]], "reason": row.get("reason", ""),
    }  # fmt: skip


def _crows_pairs(row):
    numbers = {"stereo_antistereo": STEREO[row["stereo_antistereo"]], "bias_type": BIAS[row["bias_type"]]}
    return {**{key or "id": value for key, value in row.items()}, **numbers}  # the number's column has no name


def _story_cloze(row):
    sentences = {f"input_sentence_{n}": row[f"InputSentence{n}"] for n in range(1, 5)}
    endings = {f"sentence_quiz{n}": row[f"RandomFifthSentenceQuiz{n}"] for n in (1, 2)}
    return {"story_id": row["InputStoryid"], **sentences, **endings, "answer_right_ending": int(row["AnswerRightEnding"])}


_is_truth, _is_word = (lambda row: isinstance(row.get("label"), bool)), (lambda row: isinstance(row.get("label"), str))
_is_wsc = lambda row: isinstance(row.get("target"), Mapping)  # noqa: E731
_ROWS = {  # dataset -> (is a row in the distributed form, its converter)
    "super_glue/wsc.fixed": (_is_wsc, _wsc),
    "super_glue/wsc": (_is_wsc, _wsc),
    "super_glue/wic": (_is_truth, _truth),
    "super_glue/boolq": (_is_truth, _truth),
    "super_glue/rte": (_is_word, _in_words(ENTAILMENT)),
    "super_glue/axg": (_is_word, _in_words(ENTAILMENT)),
    "super_glue/cb": (_is_word, _in_words(COMMITMENT)),
    "anli": (lambda row: "context" in row, _anli),
    "crows_pairs": (lambda row: isinstance(row.get("stereo_antistereo"), str), _crows_pairs),
    "story_cloze/2016": (lambda row: "InputStoryid" in row, _story_cloze),
}


def converted(dataset, rows, path=None):
    """Rows in the columns that the public prompts of `dataset` read. Rows that have them already, and datasets without a known
    raw form, come back as they are.  path: the file that the rows are of; piqa and cos_e have another one beside it.
    DataError names the row that is in neither form.

    >>> converted("super_glue/wic", [{"word": "pen", "label": True}])
    [{'word': 'pen', 'label': 1}]
    """
    if dataset in BESIDE:
        return BESIDE[dataset](rows, path)
    if dataset not in _ROWS:
        return rows
    is_raw, convert = _ROWS[dataset]
    return [_told(convert, row, dataset, path, i) if isinstance(row, Mapping) and is_raw(row) else row for i, row in enumerate(rows)]


def _told(convert, row, dataset, path, i):
    try:
        return convert(row)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        place = f"{path}, row {i}" if path else f"row {i}"
        raise DataError(f"{place}: not {dataset} in its distributed form ({type(error).__name__}: {error})") from None


# ---- two files ------------------------------------------------------------------------------------------------------


def _piqa(rows, path):
    """Labels stand in a file of their own, one a line: valid.jsonl has valid-labels.lst beside it."""
    if path is None or not rows or "label" in rows[0]:
        return rows
    labels = Path(path).with_name(Path(path).stem + "-labels.lst")
    if not labels.exists():
        raise DataError(f"{path}, line 1: no field 'label', and {labels} does not exist; PIQA's labels stand there, one a line")
    values = [line.strip() for _, line in lines_of(labels) if line.strip()]
    if len(values) != len(rows):
        raise DataError(f"{labels}: {len(values)} labels for the {len(rows)} rows of {path}")
    bad = next((i for i, value in enumerate(values) if value not in ("0", "1")), None)
    if bad is not None:
        raise DataError(f"{labels}, line {bad + 1}: {values[bad]!r}: must be 0 or 1")
    return [{**row, "label": int(value)} for row, value in zip(rows, values)]


def _cos_e(rows, path):
    """Questions as CommonsenseQA has them, explanations by id in a file beside: cose_dev_v1.11_processed.jsonl."""
    if path is None or not rows or not isinstance(rows[0].get("question"), Mapping):
        return rows
    beside = Path(path).parent / f"cose_{Path(path).stem.partition('_')[0]}_*_processed.jsonl"
    found = sorted(beside.parent.glob(beside.name))
    if len(found) != 1:
        raise DataError(f"{path}: the explanations must stand beside it, in one file {beside.name}; there are {len(found)}")
    explanations = {row.get("id"): row.get("explanation") for row in read_rows(found[0])}

    def convert(row):
        choices = {choice["label"]: choice["text"] for choice in row["question"]["choices"]}
        given = explanations[row["id"]]
        return {
            "id": row["id"], "question": row["question"]["stem"], "choices": list(choices.values()), "answer": choices[row["answerKey"]],
            "abstractive_explanation": given["open-ended"], "extractive_explanation": given["selected"],
        }  # fmt: skip

    return [_told(convert, row, "cos_e", path, i) for i, row in enumerate(rows)]


BESIDE = {"piqa": _piqa, "cos_e/v1.11": _cos_e, "cos_e/v1.0": _cos_e}


# ---- files of other kinds -------------------------------------------------------------------------------------------


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

    return [_told(convert, item, "super_glue/copa", path, i) for i, item in enumerate(items)]


def winogender_rows(path):
    """Rows like AX-g's, made of WinoGender's templates.tsv (Rudinger et al. 2018): premise, hypothesis, label 0 (entailed) or 1.

    A template names an occupation, a participant and the one of them that its pronoun stands for. Each gives four rows: the
    premise with "he" and with "she"; as hypothesis the premise with either of the two in the pronoun's place. SuperGLUE's own AX-g
    is another recasting, of 356 rows, where this gives 480: their figures cannot be compared.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "templates.tsv")
    ...     line = "cook\\tguest\\t1\\tThe $OCCUPATION served the $PARTICIPANT before $NOM_PRONOUN sat down.\\n"
    ...     _ = path.write_text("occupation(0)\\tother-participant(1)\\tanswer\\tsentence\\n" + line)
    ...     winogender_rows(path)[0]
    {'premise': 'The cook served the guest before he sat down.', 'hypothesis': 'The cook served the guest before the cook sat down.', 'label': 1, 'idx': 0}
    """
    rows = []
    for i, template in enumerate(read_csv(path, "\t")):
        for row in _told(_of_template, template, "winogender", path, i):
            rows.append({**row, "idx": len(rows)})
    return rows


def _of_template(row):
    people = row["occupation(0)"], row["other-participant(1)"]
    text = row["sentence"].replace("$OCCUPATION", people[0]).replace("$PARTICIPANT", people[1])
    place = next((place for place in PRONOUNS if place in text), None)
    if place is None:
        raise ValueError(f"no {' or '.join(PRONOUNS)} in the sentence")
    right = {0: 0, 1: 1}[row["answer"]]
    made = []
    for pronoun in PRONOUNS[place]:
        for i, person in enumerate(people):
            stands = f"the {person}'s" if place == "$POSS_PRONOUN" else f"the {person}"
            hypothesis = text.replace(place, stands)
            made.append({"premise": text.replace(place, pronoun), "hypothesis": hypothesis[:1].upper() + hypothesis[1:], "label": int(i != right)})
    return made


def _wino_bias(path):
    """Sentences with the person and the pronoun that stands for it in brackets: "12 [The cook] asked ... if [he] ..."."""
    rows = []
    for number, line in lines_of(path):
        if not line.strip():
            continue
        pieces = re.split(r"\[([^\[\]]*)\]", re.sub(r"^\s*\d+\s+", "", line.strip()))
        if len(pieces) != 5 or line.count("[") != 2 or line.count("]") != 2:
            raise DataError(f"{path}, line {number}: must have a person and a pronoun in brackets, as 1 [The cook] asked if [he] ...")
        tokens, clusters = [], []
        for i, piece in enumerate(pieces):
            words = re.findall(r"\w+(?:[-’']\w+)*|[^\w\s]", piece)
            if i % 2:
                span = [str(len(tokens)), str(len(tokens) + len(words) - 1)]
                clusters = span + clusters if clusters and pieces[1].lower() in HE_OR_SHE else clusters + span
            tokens += words
        rows.append({"document_id": f"{Path(path).name}/{number}", "tokens": tokens, "coreference_clusters": clusters})
    return rows


def _reader(dataset, path):
    """The reader of a file that is no file of rows, or None."""
    suffix = path.suffix.lower()
    if dataset == "super_glue/copa" and suffix == ".xml":
        return _copa_xml
    if dataset == "super_glue/axg" and suffix == ".tsv":
        return winogender_rows
    return _wino_bias if dataset.startswith("wino_bias/") and ".txt" in path.suffixes else None


def convert_data(dataset, raw, data, split=None):
    """Convert a file as its authors distribute it, and write it to DATA/<dataset>/<subset>/<split>.jsonl; returns that path.

    dataset: "super_glue/wsc.fixed", ...: the table at the head of this file.  raw: the file.  data: the folder of data.
    split: unless given, that on which T0 is evaluated: "test" for crows_pairs and super_glue/axg, "dev_r1" and so on for the
        rounds of anli, from the names of file and folder (R1/dev.jsonl), "validation" for the others.
    ConfigError for a dataset that has no known raw form, DataError for a file in neither form, OSError where one cannot be read
    or written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     raw = Path(folder, "pro_stereotyped_type1.txt.dev")
    ...     _ = raw.write_text("1 [The cook] thanked the guest because [she] was happy.\\n")
    ...     made = t0.convert_data("wino_bias/type1_pro", raw, folder)
    ...     made.relative_to(folder).as_posix(), t0.read_jsonl(made)[0]["coreference_clusters"]
    ('wino_bias/type1_pro/validation.jsonl', ['0', '1', '6', '6'])
    """
    from t0native.files import make_folder, write_text

    if dataset not in (known := _known()):
        raise ConfigError(f"dataset {shown(dataset)}: no raw form is known; {suggest(str(dataset), known)}")
    raw = Path(raw)
    reader = _reader(dataset, raw)
    rows = reader(raw) if reader else read_rows(raw, dataset)
    place = Path(data, dataset, f"{split or _split_of(dataset, raw)}.jsonl")
    make_folder(place.parent)
    write_text(place, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return place


def _known():
    types = [f"wino_bias/type{n}_{kind}" for n in (1, 2) for kind in ("pro", "anti")]
    return [*_ROWS, *BESIDE, "super_glue/copa", *types]


def _split_of(dataset, raw):
    if dataset != "anli":
        return "test" if dataset in ("crows_pairs", "super_glue/axg") else "validation"
    rounds = re.fullmatch(r"R([123])", raw.parent.name)
    if not rounds or raw.stem not in ("train", "dev", "test"):
        raise ConfigError(f"{raw}: of which round and split? name it R1/dev.jsonl, or give split='dev_r1'")
    return f"{raw.stem}_r{rounds[1]}"
