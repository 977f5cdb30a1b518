"""Jinja2 itself, set up as promptsource sets it up: the oracle of the template tests and the rival of the benchmark."""

import random
from collections import Counter

import jinja2

MARKER = "3ed2dface8203c4c9dfb1a5dc58e41e0"
_pick = {"how": "first"}


def _choice(sequence):
    if len(sequence) == 0:
        raise IndexError("empty")
    return sequence[{"first": 0, "last": len(sequence) - 1}[_pick["how"]] if _pick["how"] else random.randrange(len(sequence))]


@jinja2.pass_context
def _random(context, sequence):
    try:
        return _choice(sequence)
    except IndexError:
        return context.environment.undefined("no item")


def _most_frequent(items):
    if not items:
        return None
    counts = Counter(items).most_common()
    return [item for item, count in counts if count == counts[0][1]]


def environment():
    env = jinja2.Environment()
    env.globals["zip"] = zip
    env.filters["choice"], env.filters["most_frequent"], env.filters["random"] = _choice, _most_frequent, _random
    env.filters["highlight"] = lambda text: "<span style='color: #F08080'>" + text + "</span>"
    return env


ENV = environment()


def render(source, example, pick="first"):
    _pick["how"] = pick
    return ENV.from_string(source).render(**example)


class Rival:
    """promptsource's Template with its compiled templates kept: what a user of Jinja2 can do at best."""

    def __init__(self, jinja, answer_choices=None, cut_alone=False):
        self.full = None if cut_alone else ENV.from_string(jinja)
        self.cut = ENV.from_string(jinja.replace("}}", " | string | truncate(2048) }}"))
        self.expression = None if answer_choices is None else ENV.from_string(answer_choices)

    @staticmethod
    def _escaped(example):
        return {key: value.replace("|||", MARKER) if isinstance(value, str) else value for key, value in example.items()}

    def choices(self, example):
        if self.expression is None:
            return None
        rendered = self.expression.render(**self._escaped(example))
        return [part.strip().replace(MARKER, "|||") for part in rendered.split("|||")]

    def apply(self, example, truncate=True, pick="first"):
        _pick["how"] = pick
        escaped = self._escaped(example)
        escaped["answer_choices"] = self.choices(example)
        rendered = (self.cut if truncate else self.full).render(**escaped)
        return [part.replace(MARKER, "|||").strip() for part in rendered.split("|||")]
