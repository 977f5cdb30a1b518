"""What the verbs of the command line share.

A verb's function imports the stages that it runs: whoever asks for --help, or for another verb, waits for none of them."""

import argparse
import logging
import os
import sys
import time
from contextlib import contextmanager

from t0native.base.jsontext import json_text
from t0native.cli.hints import in_words_of_the_command_line
from t0native.cli.parsing import BAD_INPUT, options_of

__all__ = [
    "BAD_INPUT",
    "FAILED",
    "FINE",
    "INTERRUPTED",
    "check_dask",
    "dask_option",
    "end_token_option",
    "json_option",
    "load_model",
    "model_options",
    "note",
    "prompts_option",
    "print_json",
    "speaking",
    "types_option",
    "verb",
]

FINE, FAILED, INTERRUPTED = 0, 1, 130  # exit codes, beside BAD_INPUT
_log = logging.getLogger("t0native")
_notes = logging.getLogger("t0native.notes")  # what a verb tells beside its results: on stderr, but for --quiet


def verb(verbs, name, run, help, examples):
    """A verb's parser; its --help ends in examples."""
    lines = "\n".join(f"  t0native {name} {example}".rstrip() for example in examples)
    parser = verbs.add_parser(
        name, help=help, description=help, epilog=f"examples:\n{lines}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-q", "--quiet", action="store_true", help="results and errors alone: no progress, notes or warnings")
    loudness.add_argument("-v", "--verbose", action="store_true", help="tell more, and of an error where it came from")
    return parser


def json_option(parser, help="print JSON instead of text"):
    parser.add_argument("--json", action="store_true", help=help)


def prompts_option(parser):
    parser.add_argument(
        "--prompts",
        metavar="FILE|DIR",
        help="one templates.yaml, or a folder of them (default: the installed promptsource; `t0native prompt new` writes a first one)",
    )


def types_option(parser):
    parser.add_argument(
        "--types",
        metavar="T",
        help="what fields are: label=int,id=text,mood=bad|good, or text, or 0.1.0 as that version had it (docs/reference/rows.md)",
    )


def dask_option(parser):
    parser.add_argument(
        "--dask",
        metavar="WHERE",
        help="tcp://HOST:PORT of a Dask cluster's scheduler, whose workers do it, or local:N for N processes of this host "
        "(docs/how-to/cluster-dask.md)",
    )


def check_dask(text):
    """ConfigError where --dask names no place; asked before anything is read."""
    if text is not None:
        from t0native.base.executors import parse_executor

        parse_executor(text)


def print_json(value):
    print(json_text(value, "null", indent=1, ensure_ascii=False))


def note(text):
    """A line beside the results, on stderr."""
    _notes.info("%s", text)


class _Lines(logging.Handler):
    """Warnings and notes as lines of stderr, in the command line's own words."""

    def __init__(self, options):
        super().__init__()
        self._options = options

    def emit(self, record):
        try:
            print(in_words_of_the_command_line(record.getMessage(), self._options), file=sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads it
            pass


@contextmanager
def speaking(args, parser):
    """While the block lasts: what the library logs goes to stderr as --quiet and --verbose say. parser: the verb's."""
    handler, progress = _Lines(options_of(parser)), os.environ.get("T0NATIVE_PROGRESS")
    levels = {log: log.level for log in (_log, _notes)}
    quiet, verbose = getattr(args, "quiet", False), getattr(args, "verbose", False)
    _log.addHandler(handler)
    _notes.setLevel(logging.CRITICAL if quiet else logging.INFO)
    if quiet:
        _log.setLevel(logging.ERROR)
        os.environ["T0NATIVE_PROGRESS"] = "0"
    elif verbose:
        _log.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        _log.removeHandler(handler)
        for log, level in levels.items():
            log.setLevel(level)
        if quiet:
            os.environ.pop("T0NATIVE_PROGRESS")
            if progress is not None:
                os.environ["T0NATIVE_PROGRESS"] = progress


def model_options(parser):
    parser.add_argument(
        "--model", required=True, metavar="DIR", help="folder of a model (docs/reference/checkpoints.md), or owner/name on the hub"
    )
    parser.add_argument("--revision", help="of a model on the hub")
    parser.add_argument("--dtype", default="float32", metavar="TYPE", help="of weights and products: float32 (default), bfloat16 or int8")
    parser.add_argument("--tokenizer", metavar="FILE", help="a tokenizer's file or folder, or bytes, in the place of the model's own")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that compute (default: the processors)")
    end_token_option(parser)


def end_token_option(parser):
    parser.add_argument(
        "--add-eos-to-inputs",
        action=argparse.BooleanOptionalAction,
        help="the end token behind inputs, as T5 was trained and T0 was not (default: as the model has it)",
    )


def load_model(args):
    from t0native.models.model import Model

    began = time.monotonic()
    model = Model.from_pretrained(
        args.model, args.dtype, revision=args.revision, tokenizer=args.tokenizer, add_eos_to_inputs=args.add_eos_to_inputs
    )
    if args.verbose:
        note(f"{model}, {model.threads} threads: loaded in {time.monotonic() - began:.1f} s")
    return model
