"""How the command line is parsed: errors in one line, with what was probably meant.

a verb, an option or a value that is not there      the nearest that is
an option of other programs                         the one of ours (hints.py)"""

import argparse
import itertools
import re
import sys

from t0native.base.errors import nearest
from t0native.base.places import what_is
from t0native.base.showing import listed, shown
from t0native.cli.hints import hints_for

__all__ = ["BAD_INPUT", "Parser", "options_of", "subparsers_of", "tell"]

BAD_INPUT = 2  # exit code
MODELS = ("a model's folder", "the folder of a training")


def tell(text, code):
    """One line on stderr; returns the exit code."""
    print("t0native: " + " ".join(str(text).split()), file=sys.stderr)
    return code


class Parser(argparse.ArgumentParser):
    """argparse, with such errors."""

    words = ()  # that were last parsed
    elsewhere = frozenset()  # options of other verbs: they abbreviate none of this one's, as --prompt would --prompts
    takes_all = None  # the name of the argument that has all words behind the verb, options too, or None

    def _get_option_tuples(self, option_string):
        return [] if option_string.partition("=")[0] in self.elsewhere else super()._get_option_tuples(option_string)

    def parse_known_args(self, args=None, namespace=None):
        self.words = sys.argv[1:] if args is None else list(args)
        if self.takes_all is None or self.words in (["-h"], ["--help"]):
            return super().parse_known_args(args, namespace)
        namespace, _ = super().parse_known_args([], namespace)
        setattr(namespace, self.takes_all, self.words)
        return namespace, []

    def error(self, message):
        if message.startswith("the following arguments are required"):
            known = options_of(self)
            words = list(itertools.takewhile(lambda word: word != "--", self.words))
            options = [word.partition("=")[0] for word in words]
            for word, option in zip(words, options):
                near = option not in self.elsewhere and any(name.startswith(option) for name in known)
                if re.match("--?[a-zA-Z]", option) and option[:2] not in known and option not in known and not near:
                    message = _unknown_text(word, self)  # more likely misspelt than forgotten
                    break
            else:
                message = self._required_text(message, words)
        sys.exit(tell(f"error: {message} (see {self.prog} --help)", BAD_INPUT))

    def _required_text(self, message, words):
        """The message about what is required and not there, with what that may be, or where it stands."""
        for action in self._actions:
            if action.choices and not action.option_strings:
                message = re.sub(rf"\b{action.dest}\b", f"{action.dest} ({listed(action.choices, 24)})", message, count=1)
        model = next((word for word in words if what_is(word) in MODELS), None)
        return message + (f"; --model {model}?" if model and "--model" in options_of(self) and "--model" not in words else "")

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
            is_verb = isinstance(action, argparse._SubParsersAction)
            meant = (_verb_for(value) if is_verb else None) or _meant(value, action.choices)
            raise argparse.ArgumentError(None, f"no {'verb' if is_verb else 'choice'} {shown(value)} here; {meant}")


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


_VERBS = {  # what lies at a path that stands in the place of a verb -> what can be done with it
    "a file of rows": "predict {} --model DIR --prompts FILE",
    "a file of prompts": "prompt show --prompts {}",
    "a folder of prompts": "prompt list --prompts {}",
    "a recipe of a training": "train {}",
    "a suite of tasks": "evaluate --model DIR --suite {}",
    "a model's folder": "info {}",
    "the folder of a training": "info {}",
    "the folder of an evaluation": "report {}",
    "a saved report": "report {}",
}


def _verb_for(word):
    """What was probably meant by a word that is no verb, a path or "help"; None where nothing is known."""
    if word == "help":
        return "t0native --help, or t0native VERB --help"
    what = what_is(word)
    return f"{what}; the verb comes first, as in t0native {_VERBS[what].format(word)}" if what in _VERBS else None


def _meant(value, choices):
    near = nearest(value, choices)
    return f"did you mean {shown(near)}?" if near else f"there are: {listed(choices, 24)}"


def _unknown_text(argument, parser):
    """What is said of an argument that the parser does not know."""
    option, known = argument.partition("=")[0], options_of(parser)
    if not option.startswith("-"):
        what = what_is(argument)
        named = "--model" if what in MODELS else {"a file of rows": "--data", "a file of prompts": "--prompts"}.get(what)
        hint = f"{named} {argument}?" if named in known else "text with spaces stands in quotation marks"
        return f"{shown(argument)} is one argument too many; {hint}"
    for hint in hints_for(option):
        if hint.option is None or hint.option in known:
            return f"no option {option} here; {hint.text}"
    word, keywords = option.lstrip("-").replace("_", "-"), list(getattr(known.get("--set"), "names", tuple)())
    key = word.replace("-", "_")
    if key in keywords:
        return f"no option {option} here; a keyword of the library's is given as --set {key}=VALUE"
    own = [name[2:] for name in known if name.startswith("--") and name not in ("--help", "--quiet", "--verbose")]
    if near := nearest(word, [*own, "quiet", "verbose"]):
        return f"no option {option} here; did you mean --{near}?"
    if near := nearest(key, keywords):
        return f"no option {option} here; did you mean --set {near}=VALUE?"
    return f"no option {option} here; there are: {listed([f'--{name}' for name in own])}"


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
