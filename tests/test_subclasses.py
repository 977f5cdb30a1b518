"""Values of subclasses of str, dict, list in rows: what Jinja2 prints, and a row that no rendering changes."""

import collections
import enum

import numpy as np
import pytest
from jinja_oracle import render as jinja

import t0native as t0
from t0native._core import Template


class Mood(str, enum.Enum):
    GOOD = "good day"


class Place(enum.StrEnum):
    HERE = "right here"


class Words(list):
    pass


class Loud(str):
    def upper(self):
        return "LOUD"


class Pairs(dict):
    def items(self):
        return "none"


class Tree(dict):
    def __missing__(self, key):
        value = self[key] = Tree()
        return value


class Echo(dict):
    def __missing__(self, key):
        return key


Point = collections.namedtuple("Point", "a b")


def fields():
    instance = Words([1])
    instance.index = lambda item: "own"
    return {
        "s": np.str_("x y"), "mood": Mood.GOOD, "place": Place.HERE, "words": Words([3, 1]), "loud": Loud("ab"), "own": instance,
        "od": collections.OrderedDict(a=1, b=2), "dd": collections.defaultdict(list, a=[1]), "ints": collections.defaultdict(int),
        "bare": collections.defaultdict(None), "counts": collections.Counter("aab"), "tree": Tree(), "echo": Echo(x=1), "pairs": Pairs(a=1),
        "array": np.array([1, 2, 3]), "zero": np.array(5), "point": Point(1, 2), "key": "q", "nested": [collections.defaultdict(list)],
        "long": np.str_("word " * 600), "mood2": [Mood.GOOD],
    }  # fmt: skip


EQUAL = [
    "{{ s.split(' ')[0] }}", "{{ s.upper() }}{{ s|upper }}{{ s.title() }}{{ s }}{{ s.join(['a', 'b']) }}", "{{ s.replace('x', 'z').count('z') }}",
    "{{ mood.upper() }}|{{ mood|upper }}|{{ mood }}|{{ mood|title }}|{{ mood.split()[1] }}|{{ mood ~ '' }}|{{ mood|length }}",
    "{{ mood|center(12) }}|{{ mood|wordcount }}|{{ mood|trim }}|{{ mood|replace('o', 'z') }}|{{ mood|capitalize }}|{{ mood|format }}|{{ mood|urlencode }}",
    "{{ place.upper() }}|{{ place }}|{{ place|title }}", "{{ words.index(1) }}{{ words.count(3) }}{{ words.copy() }}", "{{ point.index(2) }}{{ point.count(1) }}",
    "{{ od.items()|list }}{{ od.keys()|list }}{{ od.get('a') }}{{ od.values()|list }}{{ od.copy() }}{{ od.a }}", "{{ od|dictsort }}{{ od|items|list }}",
    "{{ dd.items()|list }}{{ dd.get('z') }}{{ dd.a }}{{ dd.keys()|list }}{{ 'z' in dd }}", "{{ dd['q'] }}{{ dd.q2 }}{{ dd[key] }}", "{{ ints['q'] + 1 }}{{ ints.z }}",
    "{{ bare['q'] }}{{ bare.q }}", "{{ counts['z'] }}{{ counts.a }}{{ counts.items()|sort }}", "{{ tree['a']['b'] }}{{ tree.c.d }}", "{{ echo['zz'] }}{{ echo.yy }}{{ echo[key] }}",
    "{{ array[nosuch] }}{{ array[0] }}{{ array * 2 }}", "{{ 5 * zero }}{{ zero * 5 }}{{ zero + 1 }}{{ zero ** 2 }}", "{{ nested|map(attribute='q')|list }}{{ nested[0]['q'] }}",
    "{{ dd['q']|default('no') }}", "{{ '%(q)s %(a)s' % dd }}", "{{ ints|length }}{{ ints|list }}", "{{ mood2|join }}{{ mood in mood2 }}{{ mood == 'good day' }}",
    "{{ loud.lower() }}{{ loud|lower }}{{ loud }}", "{{ (dd, 1)[0]['q'] }}{% for name in ['x', 'a'] %}{{ dd[name] }}{% endfor %}",
]  # fmt: skip


@pytest.mark.parametrize("source", EQUAL)
def test_jinja2_prints_the_same_and_the_row_stays(source):
    row = fields()
    before = repr({name: value for name, value in row.items() if name != "own"})
    assert Template(source).render(row) == jinja(source, fields())
    prompt = t0.Prompt("p", source + " ||| b")
    assert prompt.apply(row, truncate=False)[0] == jinja(source, fields()).strip()
    prompt.render_noted(row, truncate=False), t0.Prompt("p", "a", source).choices(row)
    assert repr({name: value for name, value in row.items() if name != "own"}) == before


def test_a_text_of_a_subclass_is_cut_as_a_text():
    assert t0.Prompt("p", "{{ long }}{{ s }}").apply(fields()) == t0.Prompt("p", "{{ long }}{{ s }}").apply(
        {"long": "word " * 600, "s": "x y"}
    )


@pytest.mark.parametrize("source, message", [
    ("{{ loud.upper() }}", "Loud has no method upper that a template may call"), ("{{ loud|upper }}", "Loud has a method upper of its own"),
    ("{{ pairs.items() }}", "Pairs has no method items"), ("{{ own.index(1) }}", "Words has no method index"),
    ("{{ words.append(1) }}", "may change only what it made itself"), ("{{ dd.setdefault('q', 1) }}", "may change only what it made itself"),
    ("{{ od.popitem() }}", "may change only what it made itself"), ("{{ dd.default_factory }}", "nothing else is reachable"),
    ("{{ point.a }}", "nothing else is reachable"), ("{{ s.upper }}", "a method must be called"), ("{{ mood.value }}", "nothing else is reachable"),
])  # fmt: skip
def test_what_a_subclass_has_of_its_own_is_refused(source, message):
    row = fields()
    with pytest.raises(t0.TemplateError, match=message):
        Template(source).render(row)
    assert row["dd"] == {"a": [1]} and row["words"] == [3, 1] and row["od"] == {"a": 1, "b": 2}


def test_choices_drawn_from_a_dict_that_grows_leave_it_alone():
    counts = collections.defaultdict(int, a=1)
    assert Template("{{ d|choice }}").render({"d": counts}, None, 0, 0, 1) == "0" and counts == {"a": 1}


def test_a_copy_that_fails_is_an_error_with_its_place():
    class Stuck(dict):
        def __missing__(self, key):
            return 0

        def __reduce_ex__(self, protocol):
            raise ValueError("no copies")

    with pytest.raises(t0.TemplateError, match="line 1, column 5: ValueError: no copies"):
        Template("{{ d['q'] }}").render({"d": Stuck()})
    assert Template("{{ d['q'] }}").render({"d": Stuck(q=1)}) == "1"


@pytest.mark.parametrize("example", [{5: "x", "a": 1}, {"a": 1, None: 2}, {"a": 1, b"a": 2}, {("a",): 1}])
def test_names_that_are_no_texts_are_refused_alike(example):
    prompt = t0.Prompt("p", "{{ a }} ||| b")
    prompt.apply({"a": 1})  # from now on the quick path
    for call in (prompt.apply, prompt.render, prompt.render_noted, prompt.why_dropped, lambda row: prompt.apply(row, truncate=False)):
        with pytest.raises(t0.DataError, match="^example: the field name .* must be text$"):
            call(example)
    assert prompt.apply({np.str_("a"): 1, Place.HERE: 2}) == ["1", "b"]
