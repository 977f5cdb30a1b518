"""The verb report. What it needs is imported when it runs: no other verb, and no --help, waits for it."""

from argparse import ArgumentTypeError

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.cli.targets import PICTURE_MARK, check_target, force_option, tell_written
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_report", "rows_of", "rows_options", "show_report"]


def add_report(verbs):
    examples = [
        "run/",
        "run-a/ run-b/ --plot boxes.png",
        "run/report.json --markdown",
        "run/ --html report.html --published",
        "run/ --errors 10 --prompt 'my prompt'",
    ]
    parser = verb(verbs, "report", _run_report, "show saved reports, several side by side", examples)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a folder with report.json, or the file")
    parser.add_argument("--markdown", nargs="?", const="-", metavar="FILE", help="Markdown, to FILE or printed")
    parser.add_argument("--latex", metavar="FILE", help="the summary as a LaTeX table; with --errors and --confusion theirs too")
    parser.add_argument("--html", metavar="FILE", help="one page with tables and pictures, which needs no network")
    parser.add_argument("--csv", metavar="FILE", help="every cell, a line each, values as fractions of 1")
    parser.add_argument("--plot", metavar="FILE", help="box plots (.png, .svg, .pdf; needs matplotlib)")
    parser.add_argument("--by-prompt", metavar="FILE", help="each prompt's value with its 95 %% interval, as a picture")
    parser.add_argument("--bars", metavar="FILE", help="bars of the medians, as for BIG-bench")
    force_option(parser)
    rows_options(parser)
    parser.add_argument("--task", metavar="T", help="with --errors, --confusion and --by-prompt: this task alone")
    parser.add_argument("--prompt", metavar="P", help="with --errors and --confusion: this prompt alone")
    parser.add_argument("--published", action="store_true", help="published figures on the same datasets beside these, and what differs")
    json_option(parser)


def _run_report(args):
    from t0native.base.files import write_text
    from t0native.reports.published import beside_text
    from t0native.reports.report import Report
    from t0native.reports.tables import csv_text

    report = Report.merge([Report.load(path) for path in args.runs])
    if args.errors is None and not args.confusion and (args.prompt or (args.task and args.by_prompt is None)):
        raise ConfigError("report: --prompt goes with --errors and --confusion, --task with --by-prompt too")
    of_rows = rows_of(report, args, args.task, args.prompt)
    _check_targets(report, args)
    _draw(report, args)
    if args.latex is not None:
        write_text(args.latex, "\n".join([report.to_latex(), *(them.to_latex() for them in of_rows.values())]))
    if args.csv is not None:
        write_text(args.csv, csv_text(report))
    if args.html is not None:
        report.to_html(args.html, args.published)
    if args.markdown is not None:
        tables = "\n".join([report.to_markdown(), *(them.to_markdown() for them in of_rows.values())])
        print(tables, end="") if args.markdown == "-" else write_text(args.markdown, tables)
    tell_written(args.plot, args.by_prompt, args.bars, args.latex, args.csv, args.html, args.markdown)
    if args.markdown == "-":
        return FINE
    show_report(report, args.json, of_rows)
    if args.published and not args.json:
        print(f"\n{beside_text(report)}")
    return FINE


def _count(text):
    """A number of rows, told before the work whose rows it is of."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{shown(text)}: must be a whole number from 1")
    return int(text)


def rows_options(parser):
    parser.add_argument(
        "--errors", nargs="?", const=5, type=_count, metavar="N", help="rows answered wrong, N a cell (5), with their texts"
    )
    parser.add_argument("--confusion", action="store_true", help="which choice was taken for which; precision, recall and F1 of each")


def rows_of(report, args, task=None, prompt=None):
    """{"errors", "confusion": what is asked for of them}."""
    found = {} if args.errors is None else {"errors": report.errors(task, prompt, limit=args.errors)}
    return found | ({"confusion": report.confusion(task, prompt)} if args.confusion else {})


def _check_targets(report, args):
    """Before anything is written: what is there already must be of this verb."""
    from t0native.reports.htmlpage import STYLE
    from t0native.reports.report import Report
    from t0native.reports.tables import csv_text

    marks = {
        "plot": PICTURE_MARK,
        "by_prompt": PICTURE_MARK,
        "bars": PICTURE_MARK,
        "html": STYLE[:40].encode(),
        "csv": csv_text(Report([], [], {})).encode(),
        "latex": "\n".join(report.to_latex().splitlines()[:3]).encode(),
        "markdown": report.to_markdown().splitlines()[0].encode(),
    }
    for name, mark in marks.items():
        if getattr(args, name) not in (None, "-"):
            check_target(getattr(args, name), args.force, mark)


def _draw(report, args):
    from t0native.reports.figures import by_prompt, figure4, figure5

    if args.plot is not None:
        figure4(report, args.plot, published=args.published)
    if args.by_prompt is not None:
        by_prompt(report, args.task, path=args.by_prompt)
    if args.bars is not None:
        figure5(report, args.bars)


def show_report(report, as_json, of_rows):
    """Prints a report, and what rows_of found."""
    if as_json:
        found = {name: [one if name == "errors" else one.to_dict() for one in them] for name, them in of_rows.items()}
        print_json({"cells": report.cells, "summary": report.summary, "about": report.about} | found)
    else:
        print("\n\n".join([str(report), report.boxes(), *map(str, of_rows.values())]))
