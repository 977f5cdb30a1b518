"""The verb classify: texts, or a file of any size, to labels with probabilities.

    labels A,B     words;  a=WORDS,b=WORDS   labels and their words;  a file: a label a line, or what JSON makes of it
    FILE           rows in, answers out (rowfiles.py); any other arguments are texts

A row's answer is a line with label, probability, margin and abstained, in the order of the rows. Calibration "batch" takes the first
rows."""

import os
import re
from pathlib import Path
from types import SimpleNamespace

from t0native.base.arguments import FLAG, NAMES, TEXT, Kind, whole
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import listed, shown
from t0native.cli.rowfiles import AnswerFile, facts_of, output_options, rows_options
from t0native.cli.sets import parse_sets, set_option
from t0native.cli.verbs import FINE, load_model, model_options, note, verb

__all__ = ["add_classify"]

ROWS_OF_BATCH = 1000
TEXT_FIELDS = ("text", "input", "inputs", "sentence", "question", "review")
PAIR = Kind(lambda value: NAMES.fits(value) and len(value) == 2, 'two texts, as ["Yes", "No"]')
SETS = {"length_normalize": FLAG, "content_free": NAMES, "domain": TEXT, "yes_no": PAIR, "batch_tokens": whole(1)}
FIELDS = ["row", "label", "probability", "margin", "abstained"]


def add_classify(verbs):
    examples = [
        '--model my-t0 --labels positive,negative "I loved it." "It was cold and late."',
        "reviews.csv --model my-t0 --labels good,bad --out labelled.csv --threshold 0.6",
        'reviews.csv --model my-t0 --labels 1=good,0=bad --prompts "{{ review }} Was it good or bad?" --calibrate batch --keep none',
        "reviews.csv --model my-t0 --labels 1=good,0=bad --tune temperature --labelled reviews.csv --out tuned.jsonl   (again: goes on)",
        "articles.jsonl --model my-t0 --labels sports,politics,weather --multi-label --long-texts pieces",
        "questions.txt --model my-t0 --labels yes,no --combine median --to csv",
    ]
    parser = verb(
        verbs, "classify", _run_classify, "label texts, or each row of a file, in words of your own, with probabilities", examples
    )
    parser.description += (
        ".\n\nNothing is trained: the model ranks the labels of each text in several wordings, and these are combined. A line for each\n"
        "row: its own fields, then row, label, probability, margin (the lead over the second label), abstained, and reason, which says\n"
        "why there is no label. docs/reference/classification.md."
    )
    help = "one file (.jsonl, .csv, .txt, ..., or - for stdin), or texts"
    parser.add_argument("texts", nargs="*", metavar="FILE|TEXT", help=help).dash = True
    model_options(parser)
    parser.add_argument("--labels", required=True, metavar="A,B", help="words; a=WORDS,b=WORDS; or a file with a label a line, or .json")
    parser.add_argument("--labels-field", metavar="NAME", help="a field with the labels that a row may have, a list or a ||| b")
    help = 'topics, sentiment, yes/no, a template "{{ text }} ...?" (again for another), or a file or folder of prompts'
    parser.add_argument("--prompts", action="append", metavar="P", help=help)
    parser.add_argument("--dataset", metavar="D", help="whose prompts, where a folder has those of several")
    parser.add_argument("--field", metavar="NAME", help="the field that is the text (default: text, input, or the only one)")
    parser.add_argument("--combine", choices=("mean", "median", "vote"), default="mean", help="how wordings are combined (default mean)")
    parser.add_argument("--calibrate", choices=("contextual", "pmi", "batch"), help="take away what is said of labels whatever the text is")
    parser.add_argument("--calibrate-rows", type=int, default=ROWS_OF_BATCH, metavar="N", help="rows of batch, the first (default 1000)")
    parser.add_argument("--tune", choices=("temperature", "platt", "isotonic", "wordings"), help="learn of the rows of --labelled")
    parser.add_argument("--labelled", metavar="FILE", help="with --tune: rows that have a label")
    parser.add_argument("--label-field", default="label", metavar="NAME", help="their field with the label (default label)")
    parser.add_argument("--threshold", type=float, metavar="X", help="a smaller probability gives no label")
    parser.add_argument("--margin", type=float, metavar="X", help="a smaller lead over the second label gives none")
    parser.add_argument("--multi-label", action="store_true", help="several labels a text, each asked for by itself")
    parser.add_argument("--long-texts", choices=("head", "tail", "pieces"), default="head", help="what is read of long ones (default head)")
    parser.add_argument("--max-input-length", type=int, default=1024, metavar="N", help="tokens of an input at most (default 1024)")
    parser.add_argument("--probabilities", action="store_true", help="a field with the probability of each label")
    rows_options(parser)
    set_option(parser, "of Classifier (length_normalize, content_free, domain, yes_no, batch_tokens)", lambda: SETS)
    output_options(parser, "jsonl")


# ---- what is asked for ----------------------------------------------------------------------------------------------------


def _run_classify(args):
    from t0native.classification.engine import Engine, Settings

    for name, value in (("--limit", args.limit), ("--calibrate-rows", args.calibrate_rows)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} {value}: must be a whole number, at least 1")
    if (args.tune is None) != (args.labelled is None):
        raise ConfigError("classify: --tune METHOD and --labelled FILE go together: it learns of rows that have a label")
    named = {name: getattr(args, name) for name in ("combine", "multi_label", "threshold", "margin", "long_texts", "max_input_length")}
    settings = Settings(calibration=args.calibrate, **named, **parse_sets(args.sets, SETS))
    labels, prompts = _labels_of(args.labels), _prompts_of(args.prompts, args.dataset)
    plan = Engine(SimpleNamespace(rank=None), labels, prompts, settings)  # before the model is loaded, what needs none
    make = lambda model: Engine(model, labels, prompts, settings)  # noqa: E731
    if not args.texts:
        raise ConfigError("classify: no texts; give a FILE, - for standard input, or texts in quotation marks")
    file = _file_of(args.texts)
    if file is None and args.out is None and args.to is None and not args.json:
        return _print_texts(args, make)
    return _Run(args, plan, make, file).run()


def _labels_of(text):
    """What Classifier takes as labels."""
    from t0native.data.lines import lines_of

    if "," not in text and os.path.isfile(text):
        if Path(text).suffix.lower() == ".json":
            return _whole_numbers(parse_json(text, Path(text).read_bytes()))
        return [line.strip() for _, line in lines_of(text) if line.strip()]
    if text.lstrip()[:1] in ("{", "["):
        return _whole_numbers(parse_json("--labels", text.encode("utf-8", "surrogatepass")))
    parts = [part.strip() for part in text.split(",")]
    if not all("=" in part for part in parts):
        return [part for part in parts if part]
    pairs = [tuple(half.strip() for half in part.split("=", 1)) for part in parts]
    twice = next((name for i, (name, _) in enumerate(pairs) if name in [other for other, _ in pairs[:i]]), None)
    if twice is not None:
        raise ConfigError(
            f"--labels: {shown(twice)} stands twice; several words of one label are given as JSON, {{{json_text(twice)}: [...]}}"
        )
    return _whole_numbers(dict(pairs))


def _whole_numbers(labels):
    """A mapping whose names are whole numbers as Python writes them, all of them, with these; 007 is a text."""
    if isinstance(labels, dict) and labels and all(re.fullmatch("0|-?[1-9][0-9]*", name) for name in labels):
        return {int(name): words for name, words in labels.items()}
    return labels


def _prompts_of(given, dataset):
    """What Classifier takes as prompts."""
    from t0native.prompts.collection import choose_prompts

    if given is None and dataset is None:
        return None
    if given is None or (len(given) == 1 and "{{" not in given[0] and os.path.exists(given[0])):
        return choose_prompts(given and given[0], dataset)
    if len(given) == 1:
        return given[0]
    odd = next((text for text in given if "{{" not in text), None)
    if odd is not None:
        raise ConfigError(f"--prompts {odd}: several must each be a template, with {{{{ text }}}}; a file of prompts stands alone")
    return given


def _file_of(texts):
    """The name of the one file, or None where the arguments are texts. What is named as a file is one, also where it is not there."""
    from t0native.data.unpacking import ROW_ENDINGS

    if len(texts) != 1:
        return None
    (text,) = texts
    named = Path(text).suffix.lower() in (*ROW_ENDINGS, ".txt", ".text", ".gz") and " " not in text
    return text if text == "-" or named or os.path.exists(text) else None


def _print_texts(args, make):
    """Texts of the command line, a line each for the eyes."""
    from t0native.classification.fitting import calibrated, untrained

    engine = make(load_model(args))
    fitted, texts = untrained(engine), engine.read(args.texts)
    fitted = fitted if args.calibrate is None else calibrated(engine, fitted, args.calibrate, texts)
    fitted = _tune(args, engine, fitted)
    answers = engine.answers(engine.probabilities(engine.score(texts).scores, fitted))
    engine.tell_long()
    for answer, text in zip(answers, texts):
        label = ",".join(map(str, answer["label"])) if isinstance(answer["label"], list) else answer["label"]
        print(f"{'(not sure)' if answer['abstained'] else label or '(none)'}\t{answer['probability']:.3f}\t{' '.join(text.split())}")
    return FINE


def _tune(args, engine, fitted):
    """What --tune learns of the rows of --labelled."""
    from t0native.classification.fitting import tuned
    from t0native.data.rows import read_rows

    if args.tune is None:
        return fitted
    all_rows = read_rows(args.labelled)
    if len(all_rows) and args.label_field not in all_rows[0]:
        raise ConfigError(f"--label-field {args.label_field}: no field of {args.labelled}; {suggest(args.label_field, all_rows[0])}")
    rows = [row for i in range(len(all_rows)) if (row := all_rows[i]).get(args.label_field) not in (None, "")]
    if len(rows) < len(all_rows):
        note(f"{args.labelled}: {len(rows):,} of {len(all_rows):,} rows have a label")
    try:
        texts = engine.read([_item_of(row, _field_of(args, engine, row, args.labelled)) for row in rows])
        right = engine.read_right([_label_in(engine, row[args.label_field]) for row in rows], len(rows))
        if not rows:
            raise DataError(f"no row has a label in its field {shown(args.label_field)}")
        found = tuned(engine, fitted, args.tune, texts, right)
    except DataError as error:
        raise DataError(f"{args.labelled}: {error}") from None
    if found.selection is not None:
        kept = [wording.name for wording, weight in zip(engine.wordings, found.weights) if weight]
        honest = f"accuracy {found.selection.honest:.3f} on rows that took no part"
        note(f"{len(kept)} of {len(engine.wordings)} wordings are kept: {listed(kept)}; {honest}")
    return found


def _label_in(engine, value):
    """A label as a file of rows has it: of another type where that is its name."""
    if isinstance(value, (str, int)) and value not in engine.labels.place:
        return next((name for name in engine.labels.names if str(name) == str(value)), value)
    return value


# ---- rows -----------------------------------------------------------------------------------------------------------------


def _field_of(args, engine, row, name):
    """The field that is the text, or None where the prompts read the row's own fields."""
    needed = {field for wording in engine.wordings for field in wording.fields}
    if args.field is None and needed <= set(row):
        return None
    several = next((wording for wording in engine.wordings if wording.text is None), None)
    if several is not None:
        raise ConfigError(f"classify: prompt {shown(several.name)} reads {listed(several.fields)}; the rows of {name} have: {listed(row)}")
    if args.field is not None:
        if args.field not in row:
            raise ConfigError(f"--field {args.field}: no field of {name}; {suggest(args.field, row)}")
        return args.field
    texts = [field for field, value in row.items() if isinstance(value, str) and field != args.label_field]
    field = next((field for field in TEXT_FIELDS if field in texts), texts[0] if len(texts) == 1 else None)
    if field is None:
        raise ConfigError(f"classify: which field of {name} is the text? --field NAME; there are: {listed(row)}")
    return field


def _item_of(row, field):
    return row if field is None else row.get(field)


class _Run:
    """One run over a file, or over texts as rows."""

    def __init__(self, args, plan, make, file):
        from t0native.data.rowstream import RowStream, stream_rows
        from t0native.data.types import parse_types

        self.args, self.plan, self.make = args, plan, make
        if file is None:
            rows = [{"text": text} for text in args.texts]
            self.stream = RowStream("arguments", len(rows), lambda: iter(rows))
        else:
            self.stream = stream_rows(file, types=parse_types(args.types), form=args.form)
        fields = [*FIELDS, *(["probabilities"] if args.probabilities else []), "reason"]
        self.file = AnswerFile(args, self.stream, 1, self._asks, self._record, fields, "label")
        self.field = _field_of(args, plan, self.file.first[0], self.stream.name)
        self._check_rows()

    def _check_rows(self):
        """DataError where none of the first rows can be asked."""
        reasons = [ask.reason for ask in self._asks(self.file.first, 0)]
        if None not in reasons:
            raise DataError(f"{self.stream.name}, row 0: {reasons[0]}")

    def run(self):
        args, plan = self.args, self.plan
        prompts = [[wording.name, wording.prompt.jinja] for wording in plan.wordings]
        job = {
            "verb": "classify",
            "labels": [list(plan.labels.names), plan.labels.words, plan.labels.shown, args.labels_field],
            "prompts": prompts,
            "options": [*plan.settings, self.field, args.probabilities, args.calibrate_rows if args.calibrate == "batch" else None],
            "tune": None if args.tune is None else [args.tune, args.label_field, *facts_of(args.labelled)],
            "texts": args.texts,
        }
        code = self.file.run({}, {}, job, self._ready)
        self.engine.tell_long()
        return code

    def _asks(self, rows, first):
        from t0native.classification.texts import problem_of
        from t0native.prediction.asks import Ask, choices_of

        for number, row in enumerate(rows, first):
            item = _item_of(row, self.field)
            reason = problem_of(item, self.plan.wordings)
            if reason is not None and self.field is not None:
                reason = f"{self.field}{'' if reason.startswith(('is ', 'it ')) else ':'} {reason.removeprefix('it ')}"
            among = []
            if reason is None and self.args.labels_field is not None:
                try:
                    among = [_label_in(self.plan, name) for name in choices_of(row, self.args.labels_field)]
                    self.plan.read_among([among], 1)
                except DataError as error:
                    reason = str(error).replace("labels of text 0", self.args.labels_field, 1)
            yield Ask(number, row, None, None if reason else item, among, reason)

    def _record(self, answer):
        facts = dict.fromkeys(FIELDS) | {"row": answer.ask.number, "abstained": answer.reason is not None}
        if answer.ranking is not None:
            found, probabilities = answer.ranking
            facts |= found
        if self.args.probabilities:
            names = map(str, self.plan.labels.names)
            facts["probabilities"] = None if answer.ranking is None else dict(zip(names, probabilities.tolist()))
        return facts | {"reason": answer.reason}

    def _ready(self, model):
        """The Engine, calibrated and tuned, in the model's place."""
        from t0native.classification.fitting import calibrated, untrained

        self.engine = self.make(model)
        fitted = untrained(self.engine)
        if self.args.calibrate is not None:
            rows = self.file.look(self.args.calibrate_rows) if self.args.calibrate == "batch" else []
            fitted = calibrated(self.engine, fitted, self.args.calibrate, [ask.input for ask in self._asks(rows, 0) if ask.reason is None])
        return _Asked(self.engine, _tune(self.args, self.engine, fitted))


class _Asked:
    """What is asked as a model's rank is: (answer, probabilities) of each text."""

    def __init__(self, engine, fitted):
        self._engine, self._fitted = engine, fitted

    def rank(self, inputs, choices, progress):
        engine = self._engine
        among = engine.read_among(choices, len(inputs)) if any(choices) else None
        try:
            scored = engine.score(inputs, among, progress=lambda done: progress(done, len(inputs)))
        except DataError as error:
            raise DataError(str(error).removeprefix("text 0: ")) from None
        probabilities = engine.probabilities(scored.scores, self._fitted)
        return list(zip(engine.answers(probabilities), probabilities))
