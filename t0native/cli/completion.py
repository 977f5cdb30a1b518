"""The verb completion: a script for bash, zsh or fish that completes verbs, options and the words that they may have; else files.

The script is made of the parsers themselves, so it knows what this version knows:

    eval "$(t0native completion bash)"         in ~/.bashrc
    eval "$(t0native completion zsh)"          in ~/.zshrc, behind compinit
    t0native completion fish > ~/.config/fish/completions/t0native.fish"""

import re

from t0native.cli.parsing import options_of, subparsers_of
from t0native.cli.verbs import FINE, verb

__all__ = ["add_completion", "script_of"]

SHELLS = ("bash", "zsh", "fish")


def add_completion(verbs):
    examples = ["bash >> ~/.bashrc", "zsh >> ~/.zshrc", "fish > ~/.config/fish/completions/t0native.fish"]
    parser = verb(verbs, "completion", _run_completion, "print a script by which a shell completes verbs and options", examples)
    parser.add_argument("shell", choices=SHELLS)


def _run_completion(args):
    print(script_of(args.whole, args.shell), end="")
    return FINE


def script_of(parser, shell):
    """The script for a shell of a parser that has verbs."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](_Words(parser))


class _Words:
    """What can be typed. verbs: {verb: help}.  options: {verb: {option: help}}, "" of none.  values: {verb: {option: words}}, for those
    that have a value, () where it is any.  first: {verb: words} of the first argument behind the verb."""

    def __init__(self, parser):
        self.verbs, self.options, self.values, self.first = {}, {"": _helps(parser)}, {"": {}}, {}
        helps = {action.dest: action.help for action in parser._subparsers._group_actions[0]._choices_actions}
        for name, sub in subparsers_of(parser).items():
            self.verbs[name] = helps[name]
            self.options[name] = _helps(sub)
            self.values[name] = {
                option: tuple(map(str, action.choices or ())) for option, action in options_of(sub).items() if action.nargs != 0
            }
            places = [action for action in sub._actions if not action.option_strings]
            self.first[name] = tuple(places[0].choices) if places and places[0].choices else ()


def _helps(parser):
    return {option: _plain(action.help) for option, action in options_of(parser).items()}


def _plain(text):
    """A help text as one line without what shells take for their own."""
    return " ".join(re.sub(r"[\"'`$\\\[\]():]", " ", (text or "").replace("%%", "%")).split())


def _bash(words):
    cases = [f'    *) words="{" ".join([*words.verbs, *words.options[""]])}" ;;']
    for name in words.verbs:
        values = "".join(
            f'\n        {option}) words="{" ".join(of)}"; [ -n "$words" ] || return 0 ;;' for option, of in words.values[name].items()
        )
        rest = f'words="{" ".join([*words.options[name], *words.first[name]])}"'
        body = f'case "$last" in{values}\n        *) {rest} ;;\n      esac' if values else rest
        cases.insert(-1, f"    {name})\n      {body} ;;")
    lines = "\n".join(cases)
    return f"""# t0native completion for bash
_t0native() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}" last="" verb="" words=""
  [ "$COMP_CWORD" -gt 0 ] && last="${{COMP_WORDS[COMP_CWORD-1]}}"
  [ "$COMP_CWORD" -gt 1 ] && verb="${{COMP_WORDS[1]}}"
  COMPREPLY=()
  case "$verb" in
{lines}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}}
complete -o default -o bashdefault -F _t0native t0native
"""


def _zsh(words):
    cases = []
    for name in words.verbs:
        specs = []
        for option, help in words.options[name].items():
            of = words.values[name].get(option)
            value = "" if of is None else f":value:({' '.join(of)})" if of else ":value:_files"
            specs.append(f"'*{option}[{help}]{value}'")
        first = words.first[name]
        specs.append(f"'1:what:({' '.join(first)})'" if first else "'*:file:_files'")
        specs += ["'*:file:_files'"] if first else []
        cases.append(f"    {name}) _arguments {' '.join(specs)} ;;")
    verbs = " ".join(f"'{name}:{_plain(help)}'" for name, help in words.verbs.items())
    lines = "\n".join(cases)
    return f"""#compdef t0native
# t0native completion for zsh
_t0native() {{
  local -a verbs=({verbs})
  if (( CURRENT == 2 )); then
    _describe verb verbs
    return
  fi
  local verb="$words[2]"
  shift words
  (( CURRENT-- ))
  case "$verb" in
{lines}
  esac
}}
compdef _t0native t0native
"""


def _fish(words):
    lines = ["# t0native completion for fish"]
    for name, help in words.verbs.items():
        lines.append(f"complete -c t0native -n __fish_use_subcommand -f -a {name} -d '{_plain(help)}'")
    for name in words.verbs:
        seen = f"-n '__fish_seen_subcommand_from {name}'"
        for option, help in words.options[name].items():
            flag = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            of = words.values[name].get(option)
            value = "" if of is None else f" -x -a '{' '.join(of)}'" if of else " -r"
            lines.append(f"complete -c t0native {seen} {flag}{value} -d '{help}'")
        if words.first[name]:
            lines.append(f"complete -c t0native {seen} -f -a '{' '.join(words.first[name])}'")
    return "\n".join(lines) + "\n"
