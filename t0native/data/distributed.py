"""Datasets as their authors distribute them, in the columns of the hub, which P3's prompts read.

    dataset                     as distributed                                          in the hub's columns
    super_glue/wsc.fixed, wsc   target: {span1_text, span1_index, ...}, label of truth  span1_text, span1_index, ..., label 0 1
    super_glue/wic, boolq       label false true                                        label 0 1
    super_glue/rte, axg, axb, cb  label in words                                        label, its number
    super_glue/copa             XML: <item asks-for most-plausible-alternative>         premise choice1 choice2 question label
    super_glue/axg              WinoGender's templates.tsv                              premise hypothesis label (winogender_rows)
    super_glue/multirc          passage: {text, questions: [{question, answers: []}]}   a row an answer: paragraph question answer label
    super_glue/record           passage: {text, entities: [{start, end}]}, qas: []      a row a query: passage query entities answers
    wino_bias/type1_pro, ...    1 [The cook] ... [he] ... [his] ...                     tokens, coreference_clusters
    crows_pairs                 CSV, stereo_antistereo and bias_type in words           their numbers
    anli                        R1, R2, R3: context, label e n c                        premise, label 0 1 2
    story_cloze/2016            CSV: InputSentence1, ...                                input_sentence_1, ...
    piqa                        valid.jsonl, and valid-labels.lst beside it             label 0 1
    cos_e                       *_rand_split.jsonl, and cose_*_processed.jsonl          question choices answer, explanations

Rows of JSON Lines and CSV in these forms are converted wherever rows are read (`convert_rows`), and rows in other columns stay as they
are. `convert_data` does so for every form, refuses what is in neither (`check_columns`), and writes the file where a folder of data has
it (datafolder.py)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from t0native.base.errors import DataError
from t0native.base.showing import listed, shown
from t0native.data.lines import lines_of, read_jsonl

__all__ = ["BESIDE", "COLUMNS", "HIDDEN", "ROW_FORMS", "check_columns", "convert_one", "convert_row", "convert_rows", "holds_many"]

ENTAILMENT = {"entailment": 0, "not_entailment": 1}
COMMITMENT = {"entailment": 0, "contradiction": 1, "neutral": 2}
ROUNDS = {"e": 0, "n": 1, "c": 2}
STEREO = {"stereo": 0, "antistereo": 1}
KINDS = "race-color socioeconomic gender disability nationality sexual-orientation physical-appearance religion age".split()
BIAS = {kind: number for number, kind in enumerate(KINDS)}
HIDDEN = -1  # the hub's label where there is none


# ---- rows -----------------------------------------------------------------------------------------------------------


def _wsc(row):
    """The spans of `target` become fields. They count words of the text split at spaces, as the hub's do; words of a span that
    lack a comma or a quotation mark of the text stay as distributed."""
    spans = {key: row["target"][key] for key in ("span1_index", "span2_index", "span1_text", "span2_text")}
    return {"text": row["text"], **spans, "idx": row.get("idx"), **({"label": int(row["label"])} if "label" in row else {})}


def _number_truth(row):
    return {**{key: value for key, value in row.items() if key != "version"}, "label": int(row["label"])}


def _number_label(numbers):
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


def _multirc(row):
    passage, rows = row["passage"], []
    for question in passage["questions"]:
        for answer in question["answers"]:
            label = answer.get("label")
            rows.append(
                {
                    "paragraph": passage["text"], "question": question["question"], "answer": answer["text"],
                    "idx": {"paragraph": row["idx"], "question": question["idx"], "answer": answer["idx"]},
                    "label": HIDDEN if label is None else int(bool(label)),
                }
            )  # fmt: skip
    return rows


def _record(row):
    """Places of entities count characters, the last one among them; the hub's end after it. Each text stands once, in the text's order."""
    passage = row["passage"]
    text = passage["text"]
    places = sorted((entity["start"], entity["end"] + 1) for entity in passage["entities"])
    texts = [text[start:end] for start, end in places]
    spans = {"text": texts, "start": [start for start, _ in places], "end": [end for _, end in places]}
    entities = list(dict.fromkeys(texts))
    return [
        {
            "passage": text, "query": query["query"], "entities": entities, "entity_spans": spans,
            "answers": list(dict.fromkeys(answer["text"] for answer in query.get("answers", ()))),
            "idx": {"passage": row["idx"], "query": query["idx"]},
        }
        for query in row["qas"]
    ]  # fmt: skip


class _Form(NamedTuple):
    """is_raw: whether a row is in the distributed form.  convert: such a row in the hub's columns; where `many`, a list of rows."""

    is_raw: Callable
    convert: Callable
    many: bool = False


_is_truth, _is_word = (lambda row: isinstance(row.get("label"), bool)), (lambda row: isinstance(row.get("label"), str))
_is_wsc = lambda row: isinstance(row.get("target"), Mapping)  # noqa: E731
ROW_FORMS = {
    "super_glue/wsc.fixed": _Form(_is_wsc, _wsc),
    "super_glue/wsc": _Form(_is_wsc, _wsc),
    "super_glue/wic": _Form(_is_truth, _number_truth),
    "super_glue/boolq": _Form(_is_truth, _number_truth),
    "super_glue/rte": _Form(_is_word, _number_label(ENTAILMENT)),
    "super_glue/axg": _Form(_is_word, _number_label(ENTAILMENT)),
    "super_glue/axb": _Form(_is_word, _number_label(ENTAILMENT)),
    "super_glue/cb": _Form(_is_word, _number_label(COMMITMENT)),
    "super_glue/multirc": _Form(lambda row: isinstance(row.get("passage"), Mapping), _multirc, many=True),
    "super_glue/record": _Form(lambda row: "qas" in row, _record, many=True),
    "anli": _Form(lambda row: "context" in row, _anli),
    "crows_pairs": _Form(lambda row: isinstance(row.get("stereo_antistereo"), str), _crows_pairs),
    "story_cloze/2016": _Form(lambda row: "InputStoryid" in row, _story_cloze),
}


def convert_rows(dataset, rows, path=None):
    """Rows in the columns that the public prompts of `dataset` read. Rows that have them already, and datasets without a known
    raw form, come back as they are; a row of multirc or record becomes several.  path: the file that the rows are of; piqa and cos_e
    have another one beside it. DataError names the row whose distributed form is broken.

    >>> convert_rows("super_glue/wic", [{"word": "pen", "label": True}])
    [{'word': 'pen', 'label': 1}]
    """
    if dataset in BESIDE:
        return BESIDE[dataset](rows, path)
    if dataset not in ROW_FORMS:
        return rows
    is_raw, convert, many = ROW_FORMS[dataset]
    made = []
    for i, row in enumerate(rows):
        if not (isinstance(row, Mapping) and is_raw(row)):
            made.append(row)
        elif many:
            made += convert_one(convert, row, dataset, path, i)
        else:
            made.append(convert_one(convert, row, dataset, path, i))
    return made


def convert_row(dataset, row, path=None):
    """One row, where rows are asked for by number. DataError for one that becomes several."""
    if holds_many(dataset, row):
        raise DataError(
            f"{path}: a row of {dataset} as it is distributed holds several, so rows have no numbers; read it by read_rows, or convert "
            f"the file first: t0native data convert {dataset} {path} --data DIR"
        )
    return convert_rows(dataset, [row], path)[0]


def holds_many(dataset, row):
    """Whether this row, as it is distributed, becomes several.

    >>> holds_many("super_glue/multirc", {"passage": {"text": "It rains.", "questions": []}})
    True
    """
    form = ROW_FORMS.get(dataset)
    return form is not None and form.many and isinstance(row, Mapping) and form.is_raw(row)


def convert_one(convert, row, dataset, path, i):
    """convert(row); DataError with file and row where it is not in the distributed form after all."""
    try:
        return convert(row)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        place = f"{path}, row {i}" if path else f"row {i}"
        raise DataError(f"{place}: not {dataset} in its distributed form ({type(error).__name__}: {error})") from None


# ---- the hub's columns ----------------------------------------------------------------------------------------------


def check_columns(dataset, rows, path=None):
    """The rows, each of which has the columns that the hub gives to `dataset`; a row without a label gets -1, as the hub's test splits
    have it. DataError names file, row and field of the first that has not.

    >>> check_columns("piqa", [{"goal": "eat", "sol1": "a", "sol2": "b"}])
    [{'goal': 'eat', 'sol1': 'a', 'sol2': 'b', 'label': -1}]
    >>> check_columns("piqa", [{"goal": "eat"}], "x.csv")
    Traceback (most recent call last):
    t0native.DataError: x.csv, row 0: neither piqa as its authors distribute it nor in the hub's columns: no field 'sol1' (it has: goal)
    """
    columns = COLUMNS[dataset]
    made = []
    for i, row in enumerate(rows):
        whole = row if "label" in row or "label" not in columns else {**row, "label": HIDDEN}
        wrong = next((name for name, (_, fits) in columns.items() if name not in whole or not fits(whole[name])), None)
        if wrong is not None:
            missing = f"no field {shown(wrong)} (it has: {listed(row)})"
            found = f"field {shown(wrong)} is {shown(row[wrong])}, must be {columns[wrong][0]}" if wrong in row else missing
            place = f"{path}, row {i}" if path else f"row {i}"
            raise DataError(f"{place}: neither {dataset} as its authors distribute it nor in the hub's columns: {found}")
        made.append(whole)
    return made


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
        raise DataError(f"{labels}, line {bad + 1}: {shown(values[bad])}: must be 0 or 1")
    return [{**row, "label": int(value)} for row, value in zip(rows, values)]


def _cos_e(rows, path):
    """Questions as CommonsenseQA has them, explanations by id in a file beside: cose_dev_v1.11_processed.jsonl."""
    if path is None or not rows or not isinstance(rows[0].get("question"), Mapping):
        return rows
    beside = Path(path).parent / f"cose_{Path(path).stem.partition('_')[0]}_*_processed.jsonl"
    files = sorted(beside.parent.glob(beside.name))
    if len(files) != 1:
        raise DataError(f"{path}: the explanations must stand beside it, in one file {beside.name}; there are {len(files)}")
    explanations = {row.get("id"): row.get("explanation") for row in read_jsonl(files[0])}

    def convert(row):
        choices = {choice["label"]: choice["text"] for choice in row["question"]["choices"]}
        explanation = explanations[row["id"]]
        return {
            "id": row["id"], "question": row["question"]["stem"], "choices": list(choices.values()), "answer": choices[row["answerKey"]],
            "abstractive_explanation": explanation["open-ended"], "extractive_explanation": explanation["selected"],
        }  # fmt: skip

    return [convert_one(convert, row, "cos_e", path, i) for i, row in enumerate(rows)]


BESIDE = {"piqa": _piqa, "cos_e/v1.11": _cos_e, "cos_e/v1.0": _cos_e}


# ---- what the hub's columns hold ------------------------------------------------------------------------------------


def _one_of(first, last):
    return f"a whole number from {first} to {last}", lambda value: type(value) is int and first <= value <= last


_TEXT = "a text", lambda value: isinstance(value, str)
_NUMBER = "a whole number", lambda value: type(value) is int
_LIST = "a list of texts", lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value)
_MAPPING = "a mapping", lambda value: isinstance(value, Mapping)


def _columns(texts, **others):
    return dict.fromkeys(texts.split(), _TEXT) | others


_PAIR = _columns("premise hypothesis", label=_one_of(HIDDEN, 1))
_WSC = _columns("text span1_text span2_text", span1_index=_NUMBER, span2_index=_NUMBER, label=_one_of(HIDDEN, 1))
_COS_E = _columns("question answer abstractive_explanation extractive_explanation", choices=_LIST)
_SENTENCES = "input_sentence_1 input_sentence_2 input_sentence_3 input_sentence_4 sentence_quiz1 sentence_quiz2"
COLUMNS = {  # dataset -> {field: (what it must hold, in words; whether a value is such)}: those that prompts read, of each known dataset
    "super_glue/wsc.fixed": _WSC,
    "super_glue/wsc": _WSC,
    "super_glue/wic": _columns(
        "word sentence1 sentence2", **dict.fromkeys(("start1", "start2", "end1", "end2"), _NUMBER), label=_one_of(HIDDEN, 1)
    ),
    "super_glue/boolq": _columns("question passage", label=_one_of(HIDDEN, 1)),
    "super_glue/rte": _PAIR,
    "super_glue/axg": _PAIR,
    "super_glue/axb": _columns("sentence1 sentence2", label=_one_of(HIDDEN, 1)),
    "super_glue/cb": _PAIR | {"label": _one_of(HIDDEN, 2)},
    "super_glue/copa": _columns("premise choice1 choice2 question", label=_one_of(HIDDEN, 1)),
    "super_glue/multirc": _columns("paragraph question answer", idx=_MAPPING, label=_one_of(HIDDEN, 1)),
    "super_glue/record": _columns("passage query", entities=_LIST, answers=_LIST),
    "anli": _PAIR | {"label": _one_of(HIDDEN, 2)},
    "crows_pairs": _columns("sent_more sent_less", stereo_antistereo=_one_of(0, 1), bias_type=_one_of(0, len(KINDS) - 1)),
    "story_cloze/2016": _columns(_SENTENCES, answer_right_ending=_one_of(1, 2)),
    "piqa": _columns("goal sol1 sol2", label=_one_of(HIDDEN, 1)),
    "cos_e/v1.11": _COS_E,
    "cos_e/v1.0": _COS_E,
    **{f"wino_bias/type{n}_{kind}": {"tokens": _LIST, "coreference_clusters": _LIST} for n in (1, 2) for kind in ("pro", "anti")},
}
