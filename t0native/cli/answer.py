"""The verbs that ask a model: rank, generate, predict."""

from t0native.base.arguments import FLAG, TEXT, Kind, whole
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.jsontext import json_text
from t0native.base.places import what_is
from t0native.base.showing import listed, shown
from t0native.cli.rowfiles import AnswerFile, output_options, rows_options
from t0native.cli.sets import parse_sets, set_option
from t0native.cli.verbs import FINE, load_model, model_options, note, print_json, prompts_option, verb

__all__ = ["add_generate", "add_predict", "add_rank"]

TRUNCATE = Kind(lambda value: value in (True, False, "start"), "true, false or 'start'")
OF_INPUTS = {"max_input_length": whole(1), "truncate": TRUNCATE, "sentinels": FLAG}
OF_RANK = OF_INPUTS | {"max_target_length": whole(1), "length_normalize": FLAG, "batch_tokens": whole(1)}
OF_GENERATE = OF_INPUTS | {"decoder_input": TEXT}
GENERATION = ("max_new_tokens", "num_beams", "do_sample", "temperature", "top_k", "top_p", "seed")


def _length_options(parser):
    parser.add_argument("--max-input-length", type=int, default=1024, metavar="N", help="tokens of an input at most (default 1024, as T0)")
    parser.add_argument("--truncate", action="store_true", help="cut longer texts instead of refusing them")
    parser.add_argument("--sentinels", action="store_true", help="<extra_id_0> in a text is T5's sentinel")


def _lengths(args):
    return {"max_input_length": args.max_input_length, "truncate": args.truncate, "sentinels": args.sentinels}


def _source_options(parser):
    help = "rows instead of one input: .jsonl, .csv, .tsv, .parquet, .txt, ..., or - for stdin"
    parser.add_argument("--data", metavar="FILE", help=help).dash = True
    parser.add_argument("--field", metavar="NAME", help="with --data: the field that is the input (default: text, input, or the only one)")
    rows_options(parser)


def _open(args, verb):
    """(the RowStream of --data, its field of inputs)."""
    from t0native.data.rowstream import stream_rows
    from t0native.data.types import parse_types

    stream = stream_rows(args.data, types=parse_types(args.types), form=args.form)
    return stream, lambda row: _field_of(args, row, stream.name, verb)


def _field_of(args, row, name, verb):
    if args.field is not None:
        if args.field not in row:
            raise ConfigError(f"--field {args.field}: no field of {name}; {suggest(args.field, row)}")
        return args.field
    texts = [field for field, value in row.items() if isinstance(value, str)]
    field = next((field for field in ("text", "input", "inputs", "sentence", "question") if field in texts), None)
    if field is None and len(texts) == 1:
        field = texts[0]
    if field is None:
        raise ConfigError(f"{verb}: which field of {name} is the input? --field NAME; there are: {listed(row)}")
    return field


def _read_limit(args):
    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit {args.limit}: must be a whole number, at least 1")


# ---- rank -----------------------------------------------------------------------------------------------------------


def add_rank(verbs):
    examples = [
        '--model my-t0 "Review: I loved it. Is this review positive or negative?" positive negative',
        "--model my-t0 --data reviews.csv --field review positive negative --out ranked.csv",
        "--model my-t0 --data questions.jsonl --choices-field options --json",
    ]
    parser = verb(verbs, "rank", _run_rank, "which of these choices answers the input best, or each input of a file", examples)
    model_options(parser)
    parser.add_argument("input", nargs="?", help="a text; with --data the first choice")
    parser.add_argument("choices", nargs="*", metavar="choice")
    parser.add_argument("--choice", action="append", default=[], metavar="TEXT", dest="more", help="a choice; may be given again")
    _source_options(parser)
    parser.add_argument("--choices-field", metavar="NAME", help="with --data: a field with each row's choices, a list or a ||| b")
    _length_options(parser)
    set_option(parser, "of Model.rank (length_normalize=true, max_target_length=N, ...)", lambda: OF_RANK)
    output_options(parser, "text; with --json jsonl")


def _run_rank(args):
    options = _lengths(args) | parse_sets(args.sets, OF_RANK)
    if args.data is not None:
        return _rank_rows(args, options)
    choices = [*args.choices, *args.more]
    if args.input is None:
        raise ConfigError("rank: no input; give a text and its choices, or --data FILE and the choices")
    if not choices:
        raise ConfigError("rank: no choices; give them behind the input, as in t0native rank --model my-t0 TEXT yes no")
    ranking = load_model(args).rank(args.input, choices, **options)
    _tell_odd(args.input, choices)
    scores, lengths = [float(score) for score in ranking.scores], [int(length) for length in ranking.lengths]
    if args.json:
        print_json({"choice": ranking.choice, "index": int(ranking.index), "scores": scores, "lengths": lengths})
        return FINE
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        print(f"{scores[i]:12.4f}  {choices[i]}")
    return FINE


def _tell_odd(text, choices=("yes", "no")):
    """Notes about an input and its choices that are probably meant otherwise."""
    if text is not None and what_is(text) == "a file of rows":
        note(f"the text {shown(text)} itself is read; --data {text} reads the rows of that file")
    if len(choices) == 1:
        note("one choice alone is always the best; each is an argument by itself")


def _rank_rows(args, options):
    from t0native.prediction.asks import asks_of_fields, choices_of

    _read_limit(args)
    choices = [*([] if args.input is None else [args.input]), *args.choices, *args.more]
    if (not choices) == (args.choices_field is None):
        raise ConfigError("rank --data: give the choices, as positive negative, or --choices-field NAME, one of the two")
    stream, field_of = _open(args, "rank")
    field, find = None, (lambda row: choices) if choices else (lambda row: choices_of(row, args.choices_field))

    def asks(rows, first):
        return asks_of_fields(rows, field, find, first)

    def record(answer):
        ask, ranking = answer.ask, answer.ranking
        facts = {
            "row": ask.number,
            "input": ask.input,
            "choice": None,
            "index": None,
            "choices": ask.choices,
            "scores": None,
            "lengths": None,
        }
        if ranking is not None:
            facts |= {
                "choice": ranking.choice,
                "index": ranking.index,
                "scores": ranking.scores.tolist(),
                "lengths": ranking.lengths.tolist(),
            }
        return facts | {"reason": answer.reason}

    fields = ["row", "input", "choice", "index", "choices", "scores", "lengths", "reason"]
    file = AnswerFile(args, stream, 1, asks, record, fields, "choice")
    field = file.leave_out(field_of(file.first[0]))
    if args.choices_field is not None:
        try:
            choices_of(file.first[0], args.choices_field)
        except DataError as error:
            raise DataError(f"{stream.name}, row 0: {error}") from None
    code = file.run(options, {}, {"verb": "rank", "asked": [field, choices, args.choices_field], "options": options})
    _tell_odd(None, choices or ("of", "fields"))
    return code


# ---- generate -------------------------------------------------------------------------------------------------------


def add_generate(verbs):
    examples = [
        '--model my-t0 "Is the earth flat?" --max-new-tokens 8',
        "--model my-t0 --num-beams 4 < questions.txt",
        '--model my-t0 "Write about tea." --sample --temperature 0.7 --seed 3',
        "--model my-t0 --data articles.jsonl --field article --out summaries.jsonl --set length_penalty=0.6 --num-beams 4",
    ]
    parser = verb(
        verbs, "generate", _run_generate, "write the answer to an input, to each line of stdin, or to each row of a file", examples
    )
    model_options(parser)
    parser.add_argument("input", nargs="?")
    _source_options(parser)
    _generation_options(parser)
    _length_options(parser)
    set_option(parser, "of Model.generate (docs/reference/generation.md)", _names)
    output_options(parser, "text; with --json jsonl")


def _names():
    from t0native.generation.options import option_names

    return {*OF_RANK, *OF_GENERATE, *option_names()}


def _generation_options(parser):
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        metavar="N",
        help="tokens of an answer at most (default: what the model's generation_config.json says, else 20)",
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="search with so many beams")
    parser.add_argument(
        "--sample",
        dest="do_sample",
        action="store_true",
        default=None,
        help="draw tokens by their probability instead of taking the likeliest",
    )
    parser.add_argument("--temperature", type=float, metavar="X", help="with --sample: above 1 bolder, below 1 more careful")
    parser.add_argument("--top-k", type=int, metavar="N", help="with --sample: from the N likeliest tokens (default 50; 0: from all)")
    parser.add_argument("--top-p", type=float, metavar="X", help="with --sample: from the likeliest that have this probability together")
    parser.add_argument("--seed", type=int, metavar="N", help="with --sample: another seed, other answers (default 0)")


def _generation_of(args, sets):
    """The options of generation that were given by name, and those of --set."""
    named = {name: value for name in GENERATION if (value := getattr(args, name)) is not None}
    return named | {name: value for name, value in sets.items() if name not in OF_INPUTS}


def _run_generate(args):
    from t0native.generation.options import check_options

    _read_limit(args)
    sets = parse_sets(args.sets, OF_GENERATE, check_options)
    lengths = _lengths(args) | {name: value for name, value in sets.items() if name in OF_INPUTS}
    options = _generation_of(args, sets)
    if args.input is not None and args.data is not None:
        raise ConfigError("generate: an input and --data: give one of them")
    if args.input is None:
        args.data = args.data or "-"
        return _generate_rows(args, lengths | options)
    output = load_model(args).generate(args.input, **options, **lengths)
    _tell_odd(args.input)
    if args.json or not isinstance(output, str):
        print(json_text({"input": args.input, "output": output}, "null", ensure_ascii=False))
    else:
        print(output)
    return FINE


def _generate_rows(args, options):
    from t0native.prediction.asks import asks_of_fields

    stream, field_of = _open(args, "generate")
    field = None

    def record(answer):
        return {"row": answer.ask.number, "input": answer.ask.input, "output": answer.text, "reason": answer.reason}

    try:
        file = AnswerFile(
            args,
            stream,
            1,
            lambda rows, first: asks_of_fields(rows, field, None, first),
            record,
            ["row", "input", "output", "reason"],
            "output",
        )
    except DataError as error:
        if args.data == "-" and str(error).endswith(": no rows"):
            raise DataError("generate: no input; give it as an argument or on stdin, one a line") from None
        raise
    field = file.leave_out(field_of(file.first[0]))
    return file.run({}, options, {"verb": "generate", "asked": field, "options": options})


# ---- predict --------------------------------------------------------------------------------------------------------


def add_predict(verbs):
    examples = [
        "rows.csv --model my-t0 --prompts my/templates --dataset mine --out answers.csv",
        'rows.jsonl --model my-t0 --prompts my/templates/mine/templates.yaml --prompt "first wording"',
        "rows.parquet --model my-t0 --prompts my/templates --dataset mine --keep id --out answers.jsonl   (again: goes on)",
        "- --from jsonl --model my-t0 --prompts my/templates --dataset mine < rows.jsonl",
    ]
    help = "put rows, labelled or not, through one prompt or each of a file's"
    parser = verb(verbs, "predict", _run_predict, help, examples)
    parser.description += (
        ".\n\nWhere a prompt has answer choices the best one is the prediction; else what the model writes. A line for each row and\n"
        "prompt, in their order: the row's own fields, then row, prompt, prediction, index, choices, scores and reason, which says\n"
        "why there is no prediction (a field of the row that has such a name is row.NAME there). docs/reference/commands.md."
    )
    help = ".jsonl, .csv, .tsv, .parquet, .txt (a row a line: text), ..., or - for stdin"
    parser.add_argument("rows", nargs="?", metavar="FILE", help=help).dash = True
    parser.add_argument("--data", metavar="FILE", help="the same, by name").dash = True
    model_options(parser)
    prompts_option(parser)
    parser.add_argument("--dataset", metavar="D", help="whose prompts, where a folder has those of several")
    parser.add_argument("--prompt", action="append", default=[], metavar="NAME", help="this one alone; may be given again")
    rows_options(parser)
    _generation_options(parser)
    parser.add_argument("--max-input-length", type=int, default=1024, metavar="N", help="tokens at which an input is cut (default 1024)")
    parser.add_argument("--no-truncate", dest="truncate", action="store_false", help="values longer than 2,048 characters stay whole")
    set_option(parser, "of Model.generate (docs/reference/generation.md) or Model.rank (length_normalize=true, ...)", _names)
    output_options(parser, "jsonl")


def _run_predict(args):
    from t0native.data.rowstream import stream_rows
    from t0native.data.types import parse_types
    from t0native.generation.options import check_options
    from t0native.prediction.asks import asks_of_prompts, check_fields
    from t0native.prediction.predict import FIELDS, prediction_of, read_prompts

    _read_limit(args)
    if (args.rows is None) == (args.data is None):
        raise ConfigError(
            "predict: no rows; name their file, or - for stdin" if args.rows is None else "predict: a file and --data: give one"
        )
    args.rows = args.rows or args.data
    sets = parse_sets(args.sets, OF_RANK | OF_GENERATE, check_options)
    prompts, dataset = _prompts_of(args)
    prompts = list(read_prompts(prompts).values())
    stream = stream_rows(args.rows, dataset, parse_types(args.types), args.form)
    common = {"max_input_length": args.max_input_length, "truncate": True}
    ranking = common | {name: value for name, value in sets.items() if name in OF_RANK}
    generation = (
        common | {name: value for name, value in sets.items() if name not in OF_RANK or name in OF_INPUTS} | _generation_of(args, {})
    )
    seed = 0 if args.seed is None else args.seed
    asks = lambda rows, first: asks_of_prompts(prompts, rows, seed, args.truncate, first)  # noqa: E731
    file = AnswerFile(args, stream, len(prompts), asks, prediction_of, list(FIELDS), "prediction")
    check_fields(prompts, file.first, stream.name)
    texts = [[prompt.name, prompt.id, prompt.jinja, prompt.answer_choices] for prompt in prompts]
    return file.run(ranking, generation, {"verb": "predict", "prompts": texts, "options": [ranking, generation, seed, args.truncate]})


def _prompts_of(args):
    """(the prompts that are asked for, {name: Prompt}; the dataset whose they are)."""
    from t0native.prompts.collection import choose_prompts

    prompts = choose_prompts(args.prompts, args.dataset)
    for name in args.prompt:
        if name not in prompts:
            raise ConfigError(f"{prompts.full_name} has no prompt {shown(name)}; {suggest(name, prompts)}")
    chosen = {name: prompts[name] for name in prompts if not args.prompt or name in args.prompt}
    return chosen, prompts.full_name
