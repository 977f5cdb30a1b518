"""The verb evaluate. What it needs is imported when it runs: no other verb, and no --help, waits for it."""

import json
from pathlib import Path

from t0native.base.errors import ConfigError, DataError
from t0native.base.places import what_is
from t0native.base.showing import listed, shown
from t0native.cli.report import rows_of, rows_options, show_report
from t0native.cli.sets import parse_sets, set_option
from t0native.cli.targets import PICTURE_MARK, check_folder, check_target, tell_written
from t0native.cli.verbs import (
    FAILED,
    FINE,
    check_dask,
    dask_option,
    json_option,
    load_model,
    model_options,
    prompts_option,
    types_option,
    verb,
)

__all__ = ["add_evaluate"]


def add_evaluate(verbs):
    examples = [
        "--model my-t0 --task super_glue/copa=COPA.val.jsonl",
        "--model my-t0 --task super_glue/copa=COPA.val.jsonl --task piqa=valid.jsonl --out run/ --plot run/boxes.png",
        "--model my-t0 --prompts my/templates/mine/templates.yaml --data rows.csv --limit 200",
        "--model my-t0 --prompts my/templates --dataset mine --data rows.csv --limit 200",
        "--model my-t0 --dataset super_glue --subset wic --split val --data DATA   (reads DATA/super_glue/wic/val.jsonl)",
        "--model my-t0 --suite t0 --data DATA --out run/    (again: goes on where it was)",
        "--model my-t0 --suite my/suite.yaml --out run/",
        "--model my-t0 --suite t0 --data DATA --out run/ --dask local:4",
    ]
    help = "zero-shot evaluation: every prompt of every task, by rank classification"
    parser = verb(verbs, "evaluate", _run_evaluate, help, examples)
    parser.description += (
        "\n\nRows come as .jsonl, .json, .csv, .tsv, .parquet, .arrow or .feather, packed or not, in shards or in a folder"
        "\n(docs/reference/rows.md), in the columns that the prompts read. Rows as distributed are converted for"
        "\nsuper_glue/wsc.fixed (target.span1_text, ...), super_glue/wic (label true or false) and piqa (NAME.jsonl with"
        "\nNAME-labels.lst beside it)."
    )
    model_options(parser)
    parser.add_argument(
        "--task", action="append", default=[], metavar="DATASET[/SUBSET]=FILE", help="rows of a dataset; may be given again"
    )
    parser.add_argument(
        "--data",
        metavar="FILE|DIR",
        help="rows of --dataset: a file, or a folder DIR/<dataset>/<subset>/<split>.jsonl; of --suite: the folder",
    )
    parser.add_argument(
        "--suite",
        metavar="NAME",
        help="t0, t0-train-selection, bias, bigbench-t0, instruction-free, mini, or a YAML file (docs/reference/suites.md)",
    )
    parser.add_argument("--dataset", metavar="D", help="dataset whose prompts are used on --data, where --prompts has those of several")
    parser.add_argument("--subset", metavar="S")
    parser.add_argument("--split", default="validation", help="named in the report, and the file's name where --data is a folder")
    prompts_option(parser)
    types_option(parser)
    parser.add_argument("--shots", type=int, metavar="K", help="with --suite: examples with their answers before each row")
    parser.add_argument("--no-truncate", dest="truncate", action="store_false", help="values longer than 2,048 characters stay whole")
    parser.add_argument(
        "--generation",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of generate, as num_beams=4, in the place of greedy search; may be given again",
    )
    _result_options(parser)
    json_option(parser)


def _result_options(parser):
    """How many rows, and where results go."""
    parser.add_argument("--limit", type=int, metavar="N", help="rows a task at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label", help="the model's name in the report")
    parser.add_argument(
        "--out", metavar="DIR", help="folder that keeps every finished cell, to go on from; report.json and report.md go there"
    )
    parser.add_argument(
        "--force", action="store_true", help="do all cells of --out again; replace a file of --plot that another program wrote"
    )
    parser.add_argument(
        "--write-examples",
        "--log-samples",
        action="store_true",
        help="with --out: every row in words, input to answer, in OUT/examples/MODEL/TASK/PROMPT.jsonl",
    )
    parser.add_argument("--compat", metavar="WHAT", help="t0-2021: with the errors of t-zero's evaluation script")
    dask_option(parser)
    parser.add_argument("--batch-tokens", type=int, metavar="N", help="tokens computed at once (default: about a second's work)")
    rows_options(parser)
    set_option(parser, "of evaluate, or of generation in the place of greedy search (num_beams=4)", _names)
    parser.add_argument("--plot", metavar="FILE", help="box plots (.png, .svg, .pdf; needs matplotlib)")


def _run_evaluate(args):
    from t0native.evaluation.evaluate import check_out, evaluate
    from t0native.reports.plot import check_picture

    if args.out is not None:
        check_out(args.out)
        check_folder(args.out)
    if args.plot is not None:
        check_picture(args.plot)
        check_target(args.plot, args.force, PICTURE_MARK)
    if args.force and args.out is None and args.plot is None:
        raise ConfigError("evaluate: --force needs --out, whose cells are done again, or --plot")
    if args.write_examples and args.out is None:
        raise ConfigError("evaluate: --write-examples needs --out, the folder that they go to")
    names = ("out", "force", "write_examples", "compat", "seed", "limit", "batch_tokens", "label", "truncate")
    keywords = {name: getattr(args, name) for name in names} | ({"force": False} if args.out is None else {})
    check_dask(args.dask)
    sets = _read_sets(args.sets)
    options, tasks = _read_options(args.generation) | sets.pop("generation"), _read_tasks(args)
    report = evaluate(load_model(args), tasks, generation=options, executor=args.dask, **keywords | sets)
    show_report(report, args.json, rows_of(report, args))
    if args.out is not None:
        tell_written(Path(args.out, "report.json"), Path(args.out, "report.md"))
    if args.plot is not None and any(entry["median"] is not None for entry in report.summary):
        report.plot(args.plot)
        tell_written(args.plot)
    return FAILED if report.failed else FINE


def _names():
    from t0native.generation.options import option_names

    return option_names()


def _read_sets(texts):
    """{keyword of evaluate: value} of --set, options of generation among them under "generation"."""
    from t0native.base.arguments import FLAG, SEED, TEXT, whole
    from t0native.generation.options import check_options

    own = {"seed": SEED, "limit": whole(1), "batch_tokens": whole(1), "label": TEXT, "truncate": FLAG, "compat": TEXT}
    sets = parse_sets(texts, own, check_options)
    return {name: value for name, value in sets.items() if name in own} | {
        "generation": {name: value for name, value in sets.items() if name not in own}
    }


def _read_options(texts):
    """{name: value} of KEY=VALUE, values as JSON writes them or else as texts; checked before a model is loaded."""
    from t0native.generation.options import check_options

    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name or name in options:
            raise ConfigError(f"--generation {shown(text)}: must be KEY=VALUE, each key once, as in num_beams=4")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = {"True": True, "False": False}.get(value, value)
    return check_options(options)


def _read_tasks(args):
    """The suite, or a list of tasks."""
    if args.suite is not None:
        from t0native.suites.suite import suite

        odd = next((name for name in ("task", "dataset", "subset") if getattr(args, name)), None)
        if odd is not None:
            raise ConfigError(f"evaluate: --suite and --{odd}: give one of them")
        if args.types is not None:
            raise ConfigError("evaluate: --types goes with --task or --data; in a suite of your own, types stands with each task")
        if args.suite == "mini" and (given := next((name for name in ("data", "prompts") if getattr(args, name)), None)):
            raise ConfigError(f"evaluate: --{given} goes with no --suite mini, whose rows and prompts are carried; leave one out")
        return suite(args.suite, args.data, args.prompts, shots=args.shots, seed=None if args.shots is None else args.seed)
    if args.shots is not None:
        raise ConfigError("evaluate: --shots goes with --suite, whose tasks know their train split")
    tasks = list(_make_tasks(args))
    if not tasks:
        raise ConfigError("evaluate: no rows; give --data FILE and --prompts FILE, --task DATASET=FILE, or --suite NAME")
    return tasks


def _make_tasks(args):
    from t0native.data.diskrows import rows_at
    from t0native.data.types import parse_types
    from t0native.prompts.collection import choose_prompts
    from t0native.tasks.task import Task

    types, readers = parse_types(args.types), []
    for text in args.task:
        dataset, equals, file = text.partition("=")
        if not equals or not dataset or not file:
            raise ConfigError(f"--task {shown(text)}: must be DATASET=FILE or DATASET/SUBSET=FILE, as in super_glue/copa=rows.jsonl")
        readers.append((dataset, lambda dataset=dataset, file=file: rows_at(file, dataset, types, args.split)))
    if args.data is not None:
        if args.subset and not args.dataset:
            raise ConfigError("evaluate: --subset goes with --dataset")
        dataset = f"{args.dataset}/{args.subset}" if args.subset else args.dataset or choose_prompts(args.prompts).full_name
        readers.append((dataset, _find_reader(args.data, dataset, args.split, types)))
    for dataset, read in readers:
        prompts = choose_prompts(args.prompts, dataset)
        yield Task(dataset, read(), prompts, dataset=dataset, split=args.split, strict=len(readers) == 1)


def _find_reader(data, dataset, split, types):
    """A function that reads --data: a file, a folder of datasets, or the folder of one."""
    from t0native.data.datafolder import find_rows
    from t0native.data.diskrows import rows_at
    from t0native.data.layouts import FORMS, find_split, seen_in
    from t0native.data.unpacking import is_rows

    if not Path(data).is_dir():
        return lambda: rows_at(data, dataset, types)
    first, _, rest = dataset.partition("/")
    reader = find_rows(data, first, rest or None, split, types)
    if reader is None and find_split(data, split):
        return lambda: rows_at(data, dataset, types, split)
    if reader is None:
        folder = Path(data, dataset)
        rows = sorted(path for pattern in ("*", "*/*", "*/*/*") for path in Path(data).glob(pattern) if path.is_file() and is_rows(path))
        if (what := what_is(data)) not in (None, "a folder of rows"):
            raise DataError(f"{data}: {what}, which holds no rows; name a file of rows, .csv, .jsonl, ...")
        if rows:
            raise DataError(f"{folder}: no {split}.jsonl there; rows lie in {listed(map(str, rows), 4)}: --data {rows[0]} reads them")
        form = f"DIR/<dataset>/<subset>/<split>.jsonl, or another of {FORMS}"
        raise DataError(f"{folder}: no {split}.jsonl there; --data DIR reads {form}{seen_in(folder)}")
    return reader
