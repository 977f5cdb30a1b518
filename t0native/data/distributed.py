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

Rows of JSON Lines and CSV in these forms are converted wherever rows are read (`convert_rows`); `convert_data` does so for every
form, and writes the file where a folder of data has it (datafolder.py). Rows in the hub's columns stay as they are."""

from collections.abc import Mapping
from pathlib import Path

from t0native.base.errors import DataError
from t0native.data.lines import lines_of, read_jsonl

__all__ = ["BESIDE", "ROW_FORMS", "convert_one", "convert_rows"]

ENTAILMENT = {"entailment": 0, "not_entailment": 1}
COMMITMENT = {"entailment": 0, "contradiction": 1, "neutral": 2}
ROUNDS = {"e": 0, "n": 1, "c": 2}
STEREO = {"stereo": 0, "antistereo": 1}
KINDS = "race-color socioeconomic gender disability nationality sexual-orientation physical-appearance religion age".split()
BIAS = {kind: number for number, kind in enumerate(KINDS)}


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


_is_truth, _is_word = (lambda row: isinstance(row.get("label"), bool)), (lambda row: isinstance(row.get("label"), str))
_is_wsc = lambda row: isinstance(row.get("target"), Mapping)  # noqa: E731
ROW_FORMS = {  # dataset -> (is a row in the distributed form, its converter)
    "super_glue/wsc.fixed": (_is_wsc, _wsc),
    "super_glue/wsc": (_is_wsc, _wsc),
    "super_glue/wic": (_is_truth, _number_truth),
    "super_glue/boolq": (_is_truth, _number_truth),
    "super_glue/rte": (_is_word, _number_label(ENTAILMENT)),
    "super_glue/axg": (_is_word, _number_label(ENTAILMENT)),
    "super_glue/cb": (_is_word, _number_label(COMMITMENT)),
    "anli": (lambda row: "context" in row, _anli),
    "crows_pairs": (lambda row: isinstance(row.get("stereo_antistereo"), str), _crows_pairs),
    "story_cloze/2016": (lambda row: "InputStoryid" in row, _story_cloze),
}


def convert_rows(dataset, rows, path=None):
    """Rows in the columns that the public prompts of `dataset` read. Rows that have them already, and datasets without a known
    raw form, come back as they are.  path: the file that the rows are of; piqa and cos_e have another one beside it.
    DataError names the row that is in neither form.

    >>> convert_rows("super_glue/wic", [{"word": "pen", "label": True}])
    [{'word': 'pen', 'label': 1}]
    """
    if dataset in BESIDE:
        return BESIDE[dataset](rows, path)
    if dataset not in ROW_FORMS:
        return rows
    is_raw, convert = ROW_FORMS[dataset]
    return [convert_one(convert, row, dataset, path, i) if isinstance(row, Mapping) and is_raw(row) else row for i, row in enumerate(rows)]


def convert_one(convert, row, dataset, path, i):
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
