"""Random templates of the whole language (template_grammar.py) against Jinja2, in promptsource's environment.

    python tests/fuzz_templates.py [--pairs 200000] [--seed 0] [--broken SHARE, 0] [--state FILE]

Seeds are told apart by block of 3,000 pairs; --state keeps what was counted after each, so that a run that was ended goes on, with more pairs if told so.
Under sanitizers: bash tests/sanitized tests/fuzz_templates.py. A share of `--broken` of the templates has tokens dropped, doubled or
moved: these are equal, or one engine or both refuse; only two different texts are a difference.

A pair is a template and an example. A part of the templates is compiled with `truncate`: Jinja2 then gets the filters of promptsource before
the end of every print, which its own lexer finds. With notes a template gives the same parts as without. A pair is equal where both engines print the same, refused where both refuse, intended where
ours refuses for a reason of docs/reference/templates.md, and different otherwise. The run prints how many equal pairs each construct
was in; it fails on a difference, on more than 15 % that are not equal, and on a construct in fewer
than one pair of 1,000 (of 60,000 pairs or more: less is a slice)."""

import argparse
import copy
import json
import random
import sys
import time
import warnings
from collections import Counter
from pathlib import Path

from jinja2 import pass_eval_context
from jinja_oracle import _pick, environment
from template_grammar import Grammar, example

from t0native._core import Template
from t0native.base.errors import TemplateError

LONG = "long words, " * 200  # so that values are cut
BLOCK, ENOUGH = 3000, 60_000
EXAMPLES, PICKS, SHARE_REFUSED, SHARE_OF_EACH = 3, {"first": 1, "last": 2}, 0.15, 0.001
FOREIGN = ["{{", "}}", "{%", "%}", "{#", "#}", "(", ")", "[", "]", "{", "}", "|", ".", ",", ":", "-", "is", "in", "not", "if", "else", "endif", "endfor", "'", '"', "\\", "0x1f", "1e400",
           "1_0", "9" * 30, "loop", "ns.x", "caller", "\x00", "\ud800", "é", "recursive", "set", "raw", "endraw", "~", "**", "//", "=="]  # fmt: skip
INTENDED = {  # what ours says where it alone refuses: the reasons of docs/reference/templates.md
    "may change only what it made itself": "the example is read-only",
    "cannot be printed": "what Jinja prints as an address",
    "cannot be used like this": "attributes of data",
    "raise max_": "budgets",
    "a width of more than": "budgets",
    "unhashable type: 'slice'": "constants folded",
    "is not subscriptable": "constants folded",
}


ENV = environment()
_tojson = ENV.filters["tojson"]  # gives Markup; docs/reference/templates.md: ours is a plain text
ENV.filters["tojson"] = pass_eval_context(lambda context, *arguments, **keywords: str(_tojson(context, *arguments, **keywords)))


def with_cuts(source):
    """The source with `| string | truncate(2048)` before the end of every print; behind a comma, where none can stand, over the print."""
    out, begin = [], 0
    for _, kind, text in ENV.lex(source):
        if kind == "variable_begin":
            begin = len(out) + 1
        if kind == "variable_end":
            last = next((token for token in reversed(out[begin:]) if token.strip()), "")
            if last == ",":
                out[begin:] = ["(", *out[begin:], ")"]
            out.append(" | string | truncate(2048) ")
        out.append(text)
    return "".join(out)


def broken(rng, source):
    """The source with one to three of its tokens dropped, doubled or moved; or itself, where Jinja2 might compute for hours (a ** b ** c)."""
    lexed = answer(lambda: [text for _, _, text in ENV.lex(source)])
    tokens = lexed if isinstance(lexed, list) else list(source)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(tokens)) if tokens else 0
        moved = tokens[at : at + 1]
        how = rng.choice(["drop", "double", "move", "foreign"])
        tokens[at : at + 1] = {"drop": [], "double": moved * 2, "move": [], "foreign": [" ", rng.choice(FOREIGN), " "]}[how]
        if how == "move":
            tokens[(to := rng.randint(0, len(tokens))) : to] = moved
    out = "".join(tokens)
    return source if out.count("**") > 1 else out


def answer(call, *arguments):
    try:
        return call(*arguments)
    except RecursionError:
        raise
    except Exception as error:
        return error


def judge(expected, got):
    """equal, refused, intended or different"""
    if isinstance(expected, str) and isinstance(got, str):
        return "equal" if expected == got else "intended" if " at 0x" in expected else "different"
    if isinstance(got, TemplateError) and not isinstance(expected, str):
        return "refused"
    if isinstance(got, TemplateError) and (" at 0x" in expected or any(words in str(got) for words in INTENDED)):
        return "intended"
    return "different"


def judge_broken(expected, got):
    both = isinstance(expected, str) and isinstance(got, str)
    if both:
        return judge(expected, got)
    return "different" if not isinstance(got, str | TemplateError) else "broken"


def fuzz(pairs, seed, report=print, share_broken=0.0):
    """(how many pairs of each verdict, in how many equal pairs each construct was, the differing pairs)"""
    rng = random.Random(seed)
    grammar, verdicts, constructs, different = Grammar(rng), Counter(), Counter(), []
    while verdicts.total() < pairs:
        source = grammar.template()
        used, pick = grammar.used, rng.choice(list(PICKS))
        breaks = share_broken > 0 and rng.random() < share_broken
        source = broken(rng, source) if breaks else source
        _pick["how"] = pick  # Jinja may choose while it compiles
        with warnings.catch_warnings(action="ignore"):  # of Python, on the code that Jinja writes
            cuts = not breaks and rng.random() < 0.3
            lexed = answer(with_cuts, source) if cuts else source
            ours = answer(lambda: Template(source, truncate=cuts))
            unread = breaks and isinstance(ours, Exception)
            theirs = ours if unread else answer(ENV.from_string, lexed) if isinstance(lexed, str) else lexed
            used = used | ({"truncate"} if cuts else set())
        for number in range(EXAMPLES):
            fields = example(rng, wild=number == 2 and rng.random() < 0.3)
            if cuts and rng.random() < 0.3:
                fields |= {name: LONG + value for name, value in fields.items() if isinstance(value, str)}
            got = ours if isinstance(ours, Exception) else answer(ours.render, fields, None, 0, 0, PICKS[pick])
            if breaks and isinstance(got, Exception):
                expected = got  # a loop that ours leaves by its budget may have no end in Jinja
            elif isinstance(theirs, Exception):
                expected = theirs
            else:
                expected = answer(lambda: theirs.render(**copy.deepcopy(fields)))  # it may change them
            verdict = (judge_broken if breaks else judge)(expected, got)
            verdicts[verdict] += 1
            if verdict == "equal":
                constructs.update(used)
            if number == 0 and isinstance(got, str):
                parts, noted = (answer(render, fields, None, 0, 0, PICKS[pick]) for render in (ours.parts, ours.noted_parts))
                same = str(parts) == str(noted) if isinstance(parts, Exception) else parts == noted[0]
                verdict = verdict if same else "different"
            if verdict == "different":
                different.append((source, fields, expected, got))
                report(f"DIFFERENT {source!r}\n  Jinja2: {expected!r}\n  ours:   {got!r}")
    return verdicts, constructs, different


def documented():
    """The constructs that docs/reference/templates.md lists: filters, tests, functions and methods."""
    text = (Path(__file__).parent.parent / "docs" / "reference" / "templates.md").read_text(encoding="utf-8")
    for kind in ("filter", "test", "function", "method"):
        for name in text.split(f"<!-- {kind}s -->")[1].split("<!-- end -->")[0].split():
            yield f"{kind}:{name}"


def fuzz_blocks(pairs, seed, share_broken, state):
    """fuzz by blocks, each with a seed of its own; after each the counts go to the file `state`, from which a later run goes on."""
    counts = {"blocks": 0, "verdicts": {}, "constructs": {}, "different": 0, "seconds": 0.0}
    asked = {"seed": seed, "broken": share_broken}
    if state and state.exists():
        counts = json.loads(state.read_text())
        if counts["asked"] != asked:
            sys.exit(f"{state} was begun with {counts['asked']}")
    while counts["blocks"] * BLOCK < pairs:
        begun = time.monotonic()
        verdicts, constructs, different = fuzz(BLOCK, f"{seed}.{counts['blocks']}", share_broken=share_broken)
        counts = {
            "asked": asked,
            "blocks": counts["blocks"] + 1,
            "verdicts": dict(verdicts + Counter(counts["verdicts"])),
            "constructs": dict(constructs + Counter(counts["constructs"])),
            "different": counts["different"] + len(different),
            "seconds": counts["seconds"] + time.monotonic() - begun,
        }
        print(f"{counts['blocks'] * BLOCK} pairs, {counts['seconds']:.0f} s, {counts['different']} different", flush=True)
        if state:
            state.write_text(json.dumps(counts))
    return counts


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--broken", type=float, default=0.0)
    parser.add_argument("--state", type=Path)
    asked = parser.parse_args(arguments)
    counts = fuzz_blocks(asked.pairs, asked.seed, asked.broken, asked.state)
    verdicts, constructs = Counter(counts["verdicts"]), dict.fromkeys(documented(), 0) | counts["constructs"]
    for name, count in sorted(constructs.items(), key=lambda item: (item[1], item[0])):
        print(f"{count:8} {name}")
    sound = verdicts.total() - verdicts["broken"]
    rare = [name for name, count in constructs.items() if count < SHARE_OF_EACH * sound and asked.pairs >= ENOUGH]
    refused = 1 - verdicts["equal"] / sound
    print(
        f"{verdicts.total()} pairs of {verdicts.total() // EXAMPLES} templates, seed {asked.seed}, {counts['seconds']:.0f} s: {dict(verdicts)}; "
        f"{100 * refused:.1f} % not equal; {len(constructs)} constructs, {len(rare)} too rare: {rare}"
    )
    return 1 if counts["different"] or rare or refused > SHARE_REFUSED else 0


if __name__ == "__main__":
    sys.exit(main())
