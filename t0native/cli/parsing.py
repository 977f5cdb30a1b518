"""How the command line is parsed: errors in one line, with what was probably meant.

a verb, an option or a value that is not there      the nearest that is
an option of other programs                         the one of ours (hints.py)"""

import argparse
import itertools
import re
import sys

from t0native.base.errors import nearest, suggest
from t0native.base.showing import listed, shown
from t0native.cli.hints import FOREIGN

__all__ = ["BAD_INPUT", "Parser", "options_of", "subparsers_of", "tell"]

BAD_INPUT = 2  # exit code


def tell(text, code):
    """One line on stderr; returns the exit code."""
    print("t0native: " + " ".join(str(text).split()), file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """argparse, with such errors."""

    words = ()  # that were last parsed

    def parse_known_args(self, args=None, namespace=None):
        self.words = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message):
        if message.startswith("the following arguments are required"):
            known = options_of(self)
            for word in itertools.takewhile(lambda word: word != "--", self.words):
                option = word.partition("=")[0]
                if re.match("--?[a-zA-Z]", option) and option[:2] not in known and not any(name.startswith(option) for name in known):
                    message = _unknown_text(word, self)  # more likely misspelt than forgotten
                    break
        sys.exit(tell(f"error: {message} (see {self.prog} --help)", BAD_INPUT))

    def parse_args(self, args=None, namespace=None):
        """As argparse's, but for what is said of options that nobody knows."""
        words = sys.argv[1:] if args is None else list(args)
        option = words[0].partition("=")[0] if words else ""
        if subparsers_of(self) and option.startswith("-") and not any(known.startswith(option) for known in options_of(self)):
            self.error(f"{option} stands behind the verb, as in t0native VERB {option} ...")
        args, unknown = self.parse_known_args(args, namespace)
        verb = subparsers_of(self).get(getattr(args, "verb", None)) or self
        if unknown and not any(word.startswith("-") for word in unknown):
            unknown = _fill(verb, args, unknown)
        if unknown:
            verb.error(_unknown_text(unknown[0], verb))
        return args

    def _check_value(self, action, value):
        if action.choices is not None and value not in action.choices:
            what = "verb" if isinstance(action, argparse._SubParsersAction) else "choice"
            raise argparse.ArgumentError(None, f"no {what} {shown(value)} here; {_meant(value, action.choices)}")


def _fill(parser, args, words):
    """Gives words that stand behind options to the arguments that may still take some: argparse lets them all end at the first option.
    Returns those that are too many."""
    words = list(words)
    for action in [action for action in parser._actions if not action.option_strings and action.nargs in ("?", "*")]:
        if action.nargs == "*":
            setattr(args, action.dest, [*(getattr(args, action.dest) or ()), *words])
            return []
        if words and getattr(args, action.dest) is action.default:
            setattr(args, action.dest, words.pop(0))
    return words


def _meant(value, choices):
    near = nearest(value, choices)
    return f"did you mean {shown(near)}?" if near else f"there are: {listed(choices, 24)}"


def _unknown_text(argument, parser):
    """What is said of an argument that the parser does not know."""
    option = argument.partition("=")[0]
    if not option.startswith("-"):
        return f"{shown(argument)} is one argument too many; text with spaces stands in quotation marks"
    known = options_of(parser)
    for hint in FOREIGN.get(option.lstrip("-").replace("_", "-").lower(), ()):
        if hint.option is None or hint.option in known:
            return f"no option {option} here; {hint.text}"
    near = nearest(option.replace("_", "-"), [name for name in known if name not in ("-h", "--help")])
    if near is None and "--set" in known:
        return f"no option {option} here; a keyword of the library's is given as --set {option.lstrip('-').replace('-', '_')}=VALUE"
    own = [name for name in known if name.startswith("--") and name not in ("--help", "--quiet", "--verbose")]
    return f"no option {option} here; {suggest(option, own) if near is None else f'did you mean {near}?'}"


def options_of(parser):
    """{option: action} of a parser.

    >>> parser = Parser()
    >>> _ = parser.add_argument("--model", metavar="DIR")
    >>> list(options_of(parser))
    ['-h', '--help', '--model']
    """
    return {option: action for action in parser._actions for option in action.option_strings}


def subparsers_of(parser):
    """{verb: parser} of a parser that has verbs, else an empty dict."""
    found = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0].choices) if found else {}
