"""The command `t0native`: one verb a stage, each a few lines over the library.

Exit codes: 0 fine; 1 a result that failed (the demo's claim was not shown, cells failed, no row has an answer); 2 bad usage or bad input,
told in one line without a traceback; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. Results go to stdout, progress and errors
to stderr."""

import io
import os
import signal
import sys
import traceback
from contextlib import nullcontext

from t0native.base.arguments import SEED, check
from t0native.base.errors import ConfigError, Error
from t0native.base.interrupts import Terminated, ended_by_signals
from t0native.base.threads import set_num_threads
from t0native.base.version import __version__
from t0native.cli.adapter import add_adapter
from t0native.cli.answer import add_generate, add_predict, add_rank
from t0native.cli.bench import add_bench
from t0native.cli.checkpoints import add_convert, add_info
from t0native.cli.classify import add_classify
from t0native.cli.completion import add_completion
from t0native.cli.data import add_data
from t0native.cli.demo import add_demo
from t0native.cli.evaluate import add_evaluate
from t0native.cli.hints import in_words_of_the_command_line
from t0native.cli.lm_eval import add_lm_eval
from t0native.cli.parsing import Parser, options_of, subparsers_of, tell
from t0native.cli.plan import add_plan
from t0native.cli.prompt import add_prompt
from t0native.cli.report import add_report
from t0native.cli.studio import add_studio
from t0native.cli.targets import check_dashes
from t0native.cli.train import add_train
from t0native.cli.verbs import BAD_INPUT, FINE, INTERRUPTED, speaking
from t0native.cli.vocab import add_vocab

__all__ = ["main", "make_parser"]

DEAF = ("vocab",)  # another library's call, which looks for no signal: there they end the process as they always do
VERBS = (
    add_demo,
    add_data,
    add_prompt,
    add_rank,
    add_generate,
    add_predict,
    add_classify,
    add_train,
    add_plan,
    add_evaluate,
    add_report,
    add_lm_eval,
    add_info,
    add_convert,
    add_adapter,
    add_bench,
    add_vocab,
    add_studio,
    add_completion,
)


def main(argv=None):
    """Runs one command; returns its exit code."""
    args = verb = None
    try:
        _check_streams()
        parser = make_parser()
        args = parser.parse_args(argv)
        if args.verb is None:
            parser.print_help()
            return FINE
        verb, args.whole = subparsers_of(parser)[args.verb], parser
        args.words = sys.argv[1:] if argv is None else argv
        _check_common(args)
        check_dashes(args, verb._actions)
        with speaking(args, verb), nullcontext() if args.verb in DEAF else ended_by_signals():
            code = args.run(args)
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, Terminated) as error:
        if argv is None:  # the process ends now, and another signal shall not change how
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        what = "stopped" if isinstance(error, KeyboardInterrupt) else error
        more = f": {error.told}" if getattr(error, "told", None) else ""
        return tell(f"{what}{more}", INTERRUPTED if isinstance(error, KeyboardInterrupt) else error.code)
    except BrokenPipeError:  # the reader of a pipe has gone, as in `t0native ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except Exception as error:
        return _tell_error(error, verb, getattr(args, "verbose", False))


def _tell_error(error, verb, verbose):
    """One line; of what should not happen, with how to see more. Returns the exit code."""
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        text = f"{where}{error.strerror or error}"
    elif isinstance(error, MemoryError):
        text = f"not enough memory: {error}"
    elif isinstance(error, (Error, ValueError, ArithmeticError, ImportError)):
        text = str(error)
    elif os.environ.get("T0NATIVE_TRACE"):
        raise error
    else:
        text = f"{type(error).__name__}: {error}; this should not happen: T0NATIVE_TRACE=1 before the command shows where it did"
    if verbose:
        traceback.print_exception(error)
    return tell(f"error: {in_words_of_the_command_line(text, options_of(verb)) if verb else text}", BAD_INPUT)


def _check_streams():
    """Python has None for a stream that the shell has closed."""
    sys.stdin, sys.stderr = sys.stdin or io.StringIO(), sys.stderr or io.StringIO()
    if sys.stdout is None:
        raise ConfigError("standard output is closed, and results go there; send them to a file or to /dev/null")


def _check_common(args):
    """Options that several verbs have, before anything is read."""
    if getattr(args, "seed", None) is not None:
        check(SEED, "--seed", args.seed)
    if getattr(args, "threads", None) is not None:
        set_num_threads(args.threads)


def make_parser():
    """The whole command line: verbs with their options."""
    parser = Parser(
        prog="t0native",
        description="T0 on ordinary CPUs: prompts, multitask training, zero-shot evaluation over many wordings.",
        epilog="`t0native VERB --help` has examples. Exit codes: 0 fine, 1 a result failed, 2 bad input, 130 after Ctrl-C, 143 after "
        "SIGTERM, 129 after SIGHUP.",
    )
    parser.add_argument("--version", action="version", version=f"t0native {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    for add in VERBS:
        add(verbs)
    options = {option for verb in verbs.choices.values() for option in options_of(verb)}
    for verb in verbs.choices.values():
        verb.elsewhere = options - set(options_of(verb))
    return parser
