"""Random templates of the whole language (template_grammar.py) against Jinja2, in promptsource's environment.

    python tests/fuzz_templates.py [pairs, 200000] [seed, 0]

A pair is a template and an example. A part of the templates is compiled with `truncate`: Jinja2 then gets the filters of promptsource before
the end of every print, which its own lexer finds. With notes a template gives the same parts as without. A pair is equal where both engines print the same, refused where both refuse, intended where
ours refuses for a reason of docs/templates.md, and different otherwise. The run prints how many equal pairs each construct
was in; it fails on a difference, on more than 15 % that are not equal, and on a construct in fewer than one pair of 1,000."""

import copy
import random
import sys
import warnings
from collections import Counter
from pathlib import Path

from jinja2 import pass_eval_context
from jinja_oracle import _pick, environment
from template_grammar import Grammar, example

from t0native._core import Template
from t0native.base.errors import TemplateError

LONG = "long words, " * 200  # so that values are cut
EXAMPLES, PICKS, SHARE_REFUSED, SHARE_OF_EACH = 3, {"first": 1, "last": 2}, 0.15, 0.001
INTENDED = {  # what ours says where it alone refuses: the reasons of docs/templates.md
    "may change only what it made itself": "the example is read-only",
    "cannot be printed": "what Jinja prints as an address",
    "cannot be used like this": "attributes of data",
    "raise max_": "budgets",
    "a width of more than": "budgets",
    "unhashable type: 'slice'": "constants folded",
    "is not subscriptable": "constants folded",
}


ENV = environment()
_tojson = ENV.filters["tojson"]  # gives Markup; docs/templates.md: ours is a plain text
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


def fuzz(pairs, seed, report=print):
    """(how many pairs of each verdict, in how many equal pairs each construct was, the differing pairs)"""
    rng = random.Random(seed)
    grammar, verdicts, constructs, different = Grammar(rng), Counter(), Counter(), []
    while verdicts.total() < pairs:
        source = grammar.template()
        used, pick = grammar.used, rng.choice(list(PICKS))
        _pick["how"] = pick  # Jinja may choose while it compiles
        with warnings.catch_warnings(action="ignore"):  # of Python, on the code that Jinja writes
            cuts = rng.random() < 0.3
            lexed = answer(with_cuts, source) if cuts else source
            theirs = answer(ENV.from_string, lexed) if isinstance(lexed, str) else lexed
            ours = answer(lambda: Template(source, truncate=cuts))
            used = used | ({"truncate"} if cuts else set())
        for number in range(EXAMPLES):
            fields = example(rng, wild=number == 2 and rng.random() < 0.3)
            if cuts and rng.random() < 0.3:
                fields |= {name: LONG + value for name, value in fields.items() if isinstance(value, str)}
            expected = (
                theirs if isinstance(theirs, Exception) else answer(lambda: theirs.render(**copy.deepcopy(fields)))
            )  # it may change them
            got = ours if isinstance(ours, Exception) else answer(ours.render, fields, None, 0, 0, PICKS[pick])
            verdict = judge(expected, got)
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
    """The constructs that docs/templates.md lists: filters, tests, functions and methods."""
    text = (Path(__file__).parent.parent / "docs" / "templates.md").read_text(encoding="utf-8")
    for kind in ("filter", "test", "function", "method"):
        for name in text.split(f"<!-- {kind}s -->")[1].split("<!-- end -->")[0].split():
            yield f"{kind}:{name}"


def main(pairs=200_000, seed=0):
    verdicts, constructs, different = fuzz(pairs, seed)
    for name in documented():
        constructs.setdefault(name, 0)
    for name, count in sorted(constructs.items(), key=lambda item: (item[1], item[0])):
        print(f"{count:8} {name}")
    rare = [name for name, count in constructs.items() if count < SHARE_OF_EACH * pairs]
    refused = 1 - verdicts["equal"] / verdicts.total()
    print(
        f"{verdicts.total()} pairs, seed {seed}: {dict(verdicts)}; {100 * refused:.1f} % not equal; {len(constructs)} constructs, {len(rare)} too rare: {rare}"
    )
    return 1 if different or rare or refused > SHARE_REFUSED else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
