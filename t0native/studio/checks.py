"""What the contribution guide asks of a prompt, looked at on a few rows that it has rendered. Warnings, never errors.

text      separator, target, answer choices: the sentences of prompts/check.py
fields    the rows have what the prompt reads
choices   the target is one of them; they stand in the input where the author says so, and do not where not
leak      the target stands in the input although no choices are listed there
empty     rows that T0's pipeline drops, targets without text
twins     another prompt of the dataset that has nearly the same words"""

import re
from collections import Counter

from t0native.prompts.check import text_problems
from t0native.prompts.prompt import NO_LABEL

__all__ = ["row_warnings", "twins"]

MOST = 200_000


def row_warnings(prompt, rows, rendered, in_prompt=None):
    """rows: what was rendered.  rendered: PromptedExample, None where the row is dropped, or an exception.  in_prompt: what
    the author says about the choices. A list of sentences.

    >>> from t0native.prompts.prompt import Prompt
    >>> prompt = Prompt("p", "{{ text }} ||| {{ label }}", "good ||| bad")
    >>> row_warnings(prompt, [{"text": "a", "label": "Bad"}], [prompt.render({"text": "a", "label": "Bad"})])
    ['1 of 1 rows: the target is none of the answer choices']
    """
    sentences = list(text_problems(prompt))
    if rows:
        known = {key.replace("-", "_") for row in rows for key in row}
        unknown = [field for field in prompt.fields if field not in known and field not in prompt.optional_fields]
        if unknown:
            sentences.append(f"reads {', '.join(unknown)}, which no row has; there are {', '.join(sorted(known))}")
    seen = [example for example in rendered if example is not None and not isinstance(example, Exception)]
    listed = [
        bool(example.choices) and all(choice.casefold() in example.input.casefold() for choice in example.choices) for example in seen
    ]
    chosen = [example for example in seen if example.choices]
    counted = {
        "the target is none of the answer choices": sum(example.target not in example.choices for example in chosen),
        "T0's pipeline drops the row: it has not an input and a target": sum(example is None for example in rendered),
        "the target is empty": sum(example.target == NO_LABEL for example in seen),
        "two answer choices are the same": sum(len(set(example.choices)) < len(example.choices) for example in chosen),
    }
    if in_prompt:
        counted["choices in the prompt are said to be listed, and are not all in the input"] = sum(not inside for inside in listed)
    sentences += [f"{count} of {len(rendered)} rows: {what}" for what, count in counted.items() if count]
    if in_prompt is False and listed and all(listed):
        sentences.append("choices are said not to be in the prompt, and stand in every input")
    leaks = [len(example.target) > 1 and example.target in example.input and not inside for example, inside in zip(seen, listed)]
    if leaks and all(leaks):
        sentences.append("the target stands in every input: right where the answer is a span of the text, a leak otherwise")
    return sentences


def twins(content, others):
    """Names of the prompts among `others` (contents) that share nine tenths of their words with `content`. Looks at MOST characters.

    >>> twins({"jinja": "Is {{ a }} good? ||| b"}, [{"name": "x", "jinja": "Is {{ a }} good ? ||| b"}, {"name": "y", "jinja": "c"}])
    ['x']
    """
    text, names, room = _text(content), [], MOST
    mine = _words(text)
    for other in others:
        theirs = _text(other)
        if 0.8 * len(text) <= len(theirs) <= 1.25 * len(text) and room > 0:
            room -= len(theirs)
            words = _words(theirs)
            if (mine & words).total() >= 0.9 * (mine | words).total():
                names.append(other["name"])
    return names


def _text(content):
    return f"{content['jinja']} {content.get('answer_choices') or ''}"


def _words(text):
    return Counter(re.findall(r"\w+|[^\w\s]", text))
