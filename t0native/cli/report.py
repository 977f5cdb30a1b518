"""The verb report. What it needs is imported when it runs: no other verb, and no --help, waits for it."""

from argparse import ArgumentTypeError
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.cli.targets import PICTURE_MARK, check_target, force_option, tell_written
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_report", "rows_of", "rows_options", "show_report"]

PRINTABLE = {  # option -> what it writes, or prints
    "markdown": "the tables in Markdown",
    "latex": "the summary as a LaTeX table; with --errors and --confusion theirs too",
    "html": "one page with tables and pictures, which needs no network",
    "csv": "every cell, a line each, values as fractions of 1",
}


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
    for name, help in PRINTABLE.items():
        optional = {"nargs": "?", "const": "-"} if name == "markdown" else {}
        parser.add_argument(f"--{name}", metavar="FILE", help=f"{help}; -: printed", **optional).dash = True
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

    printed = [f"--{name}" for name in PRINTABLE if getattr(args, name) == "-"] + ["--json"] * args.json
    if len(printed) > 1:
        raise ConfigError(f"report: {printed[0]} and {printed[1]}: one of them is printed; name a file for the other")
    report = _read_reports(args.runs)
    if args.errors is None and not args.confusion and (args.prompt or (args.task and args.by_prompt is None)):
        raise ConfigError("report: --prompt goes with --errors and --confusion, --task with --by-prompt too")
    of_rows = rows_of(report, args, args.task, args.prompt)
    _check_targets(report, args)
    _draw(report, args)
    for name in PRINTABLE:
        if (place := getattr(args, name)) is not None:
            text = _text_of(name, report, of_rows, args.published)
            print(text, end="") if place == "-" else write_text(place, text)
    tell_written(args.plot, args.by_prompt, args.bars, args.latex, args.csv, args.html, args.markdown)
    if any(getattr(args, name) == "-" for name in PRINTABLE):
        return FINE
    show_report(report, args.json, of_rows)
    if args.published and not args.json:
        print(f"\n{beside_text(report)}")
    return FINE


def _read_reports(paths):
    """One Report of all."""
    from t0native.reports.report import Report

    lost = next((path for path in paths if not Path(path).exists()), None)
    if lost is not None:
        raise ConfigError(f"{lost}: no such report; a report is the folder into which evaluate wrote, or the report.json in it")
    reports = [Report.load(path) for path in paths]
    try:
        return Report.merge(reports)
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("Report.merge: ").replace("label=NAME", "t0native evaluate --label NAME")) from None


def _text_of(name, report, of_rows, published):
    """What one of PRINTABLE writes."""
    from t0native.reports.tables import csv_text

    if name == "html":
        return report.to_html(published=published)
    if name == "csv":
        return csv_text(report)
    return "\n".join(getattr(them, f"to_{name}")() for them in (report, *of_rows.values()))


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
