"""The verb evaluate."""

from pathlib import Path

from t0native.cli_report import show_report
from t0native.errors import ConfigError, DataError
from t0native.verbs import FAILED, FINE, json_option, load_model, model_options, verb

__all__ = ["add_evaluate"]


def add_evaluate(verbs):
    examples = [
        "--model my-t0 --task super_glue/copa=COPA.val.jsonl",
        "--model my-t0 --task super_glue/copa=COPA.val.jsonl --task piqa=valid.jsonl --out run/ --plot run/boxes.png",
        "--model my-t0 --prompts my/templates --dataset mine --data rows.csv --limit 200",
        "--model my-t0 --dataset super_glue --subset wic --split val --data DATA   (reads DATA/super_glue/wic/val.jsonl)",
    ]
    help = "zero-shot evaluation: every prompt of every task, by rank classification"
    parser = verb(verbs, "evaluate", _run_evaluate, help, examples)
    parser.description += (
        "\n\nRows come as .jsonl, .json, .csv or .tsv in the columns that the prompts read. Rows as distributed are converted for"
        "\nsuper_glue/wsc.fixed (target.span1_text, ...), super_glue/wic (label true or false) and piqa (NAME.jsonl with"
        "\nNAME-labels.lst beside it)."
    )
    model_options(parser)
    parser.add_argument("--task", action="append", default=[], metavar="DATASET[/SUBSET]=FILE", help="rows of a dataset; may be given again")
    parser.add_argument("--data", metavar="FILE|DIR", help="rows of --dataset: a file, or a folder DIR/<dataset>/<subset>/<split>.jsonl")
    parser.add_argument("--dataset", metavar="D", help="dataset whose prompts are used on --data")
    parser.add_argument("--subset", metavar="S")
    parser.add_argument("--split", default="validation", help="named in the report, and the file's name where --data is a folder")
    parser.add_argument("--prompts", default="promptsource", metavar="DIR", help="folder of templates (default: the installed promptsource)")
    parser.add_argument("--limit", type=int, metavar="N", help="rows a task at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--label", help="the model's name in the report")
    parser.add_argument("--out", metavar="DIR", help="where report.json and report.md go")
    parser.add_argument("--plot", metavar="FILE", help="box plots (.png, .svg, .pdf; needs matplotlib)")
    json_option(parser)


def _run_evaluate(args):
    from t0native.evaluate import evaluate
    from t0native.files import write_text

    _check_results(args)
    tasks = list(_tasks_given(args))
    if not tasks:
        raise ConfigError("evaluate: no rows; give --task DATASET=FILE, or --data and --dataset")
    report = evaluate(load_model(args), tasks, seed=args.seed, limit=args.limit, label=args.label)
    show_report(report, args.json)
    if args.out is not None:
        report.save(Path(args.out) / "report.json")
        write_text(Path(args.out) / "report.md", report.to_markdown())
    if args.plot is not None and any(entry["median"] is not None for entry in report.summary):
        report.plot(args.plot)
    return FAILED if report.failed else FINE


def _check_results(args):
    """Where results would go, before the work is done."""
    from t0native.files import check_place

    if args.out is not None:
        for name in ("report.json", "report.md"):
            check_place(Path(args.out) / name)
    if args.plot is not None:
        from t0native.plot import check_picture

        check_picture(args.plot)


def _tasks_given(args):
    from t0native.recipe import load_prompts, prompts_of
    from t0native.rows import read_rows
    from t0native.tasks import Task

    given = []
    for text in args.task:
        dataset, equals, file = text.partition("=")
        if not equals or not dataset or not file:
            raise ConfigError(f"--task {text!r}: must be DATASET=FILE or DATASET/SUBSET=FILE, as in super_glue/copa=rows.jsonl")
        given.append((dataset, Path(file)))
    if args.data is not None:
        if args.dataset is None:
            raise ConfigError("--data needs --dataset, which says whose prompts are used")
        dataset = f"{args.dataset}/{args.subset}" if args.subset else args.dataset
        given.append((dataset, _data_file(Path(args.data), dataset, args.split)))
    collection = load_prompts(args.prompts) if given else None
    for dataset, file in given:
        prompts = prompts_of(collection, dataset)
        yield Task(dataset, read_rows(file, dataset), prompts, dataset=dataset, split=args.split)


def _data_file(data, dataset, split):
    if not data.is_dir():
        return data
    folder = data / dataset
    found = sorted(folder.glob(f"{split}.*")) if folder.is_dir() else []
    if not found:
        raise DataError(f"{folder}: no {split}.jsonl there; --data DIR reads DIR/<dataset>/<subset>/<split>.jsonl (or .csv, .tsv, .json)")
    return found[0]
