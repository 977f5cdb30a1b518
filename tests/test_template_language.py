"""Macros, blocks, recursive loops and the filters that no public prompt uses, against Jinja2 itself."""

import gc
import sys

import pytest
from jinja_oracle import render as jinja

from t0native._core import Template
from t0native.base.errors import TemplateError

EXAMPLE = {
    "s": "It's a test", "n": 3, "xs": ["b", "B", "a", "a"], "rows": [{"a": "x", "b": 1}, {"a": "y", "b": 2}, {"a": "X", "b": 3}, {"b": 4}],
    "d": {"k": "v", "z": [1, {"q": None}]}, "t": "one two-three  four five\n\nsix  seven", "html": "a <b>x</b> <!-- c <i> --> &amp; d",
    "tree": [{"v": 1, "c": [{"v": 2, "c": [{"v": 3, "c": []}]}, {"v": 4, "c": []}]}, {"v": 5, "c": []}],
}  # fmt: skip

FEATURES = """
{% macro f(a, b=2, c=a) %}<{{ a }}-{{ b }}-{{ c }}>{% endmacro %}{{ f(1) }}{{ f(1, 3) }}{{ f(b=5, a=4) }}{{ f() }}{{ f }}
{% macro f(n) %}{{ n }}{% if n %}{{ f(n-1) }}{% endif %}{{ n }}{% endmacro %}{{ f(5) }}
{% macro f(n) %}{% if n %}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(100) }}
{% macro f() %}{{ s }}{% set s = 1 %}{{ s }}{% endmacro %}{{ f() }}{{ s }}{{ f() }}
{% set k = 1 %}{% macro f() %}{{ k }}{% endmacro %}{{ f() }}{% set k = 2 %}{{ f() }}
{% for x in xs %}{% macro f(y) %}{{ x }}{{ y }}{{ loop.index }}{% endmacro %}{{ f(1) }}{% endfor %}
{% for x in tree recursive %}{{ loop.depth }}.{{ loop.depth0 }}:{{ x.v }}[{{ loop(x.c) }}]{% if not loop.last %},{% endif %}{{ loop.index }}{% else %}-{% endfor %}
{% for x in tree if x.v != 4 recursive %}{{ x.v }}{% if x.c %}({{ loop(x.c)|upper }}){% endif %}{% set y = x.v %}{{ y }}{% endfor %}
{% with a=1, b=n %}{{ a }}{{ b }}{% set n = 9 %}{{ n }}{% endwith %}{{ a }}{{ n }}
{% with %}{% set q = 1 %}{{ q }}{% endwith %}{{ q }}
{% with a, b = [1, 2] %}{{ a }}{{ b }}{% endwith %}
{% with n = n + 1 %}{{ n }}{% with n = n + 1, m = n %}{{ n }}{{ m }}{% endwith %}{{ n }}{% endwith %}{{ n }}
{% filter upper|replace('S', n) %}abc {{ s }}{% endfilter %}
{% set x | upper | list %}abc{{ n }}{% endset %}{{ x }}
{% set ns = namespace() %}{% set ns.x | upper %}abc{% endset %}{{ ns.x }}
{% filter trim %} {% filter upper %}a{% endfilter %} {% endfilter %}
{% print n, s %}{% print %}{% print n ~ 1 %}{% print (1,2) %}
{% set c = cycler('a', 'b', 'c') %}{{ c.next() }}{{ c.next() }}{{ c.current }}{{ c.reset() }}{{ c.next() }}{% for x in xs %}{{ c.next() }}{% endfor %}
{{ xs|batch(2)|list }}{{ xs|batch(3, 'z')|list }}{{ xs|batch(0)|list }}{{ xs|batch(-1, 0)|list }}{{ []|batch(2)|list }}{% for r in xs|batch(2) %}{{ r|join }};{% endfor %}
{{ xs|slice(-1)|list }}{{ 'abcdefg'|slice(3)|list }}
{{ rows[:3]|groupby('a') }}{% for g in rows[:3]|groupby('a') %}{{ g.grouper }}={{ g.list|length }}{{ g[0] }}{{ g['list']|length }}{% endfor %}{% for k, v in rows|groupby('a', default='none') %}{{ k }}:{{ v|map(attribute='b')|join(',') }} {% endfor %}{{ rows[:3]|groupby('a', case_sensitive=true)|length }}
{{ t|indent(width=1, blank=true) }}|{{ ''|indent }}|{{ ''|indent(first=true) }}|{{ 'a\\n'|indent }}
{{ t|wordwrap(6) }}|{{ t|wordwrap(4, false) }}|{{ t|wordwrap(7, wrapstring='/') }}|{{ t|wordwrap(5, break_on_hyphens=false) }}|{{ t|wordwrap }}
{{ d|tojson }} {{ "<a href='x'>&</a>"|tojson }} {{ d|tojson(indent=2) }} {{ [1,2.5,none,true]|tojson }} {{ 'é😀'|tojson }}{{ d|tojson(indent='--') }}
{{ 1|filesizeformat }} {{ 999|filesizeformat }} {{ 1234567|filesizeformat }} {{ 1234567|filesizeformat(true) }} {{ '12'|filesizeformat }} {{ -5|filesizeformat }} {{ 1e30|filesizeformat }} {{ 1e24|filesizeformat }}
{{ s|urlencode }} {{ 'a/b c?é'|urlencode }} {{ d|urlencode }} {{ [('a b', 1), ('/', 'é')]|urlencode }} {{ n|urlencode }} {{ none|urlencode }}
{{ html|striptags }} {{ 'a < b'|striptags }} {{ '<<!-- x -->!-- y -->z'|striptags }} {{ n|striptags }}
{{ d|items|list }}{{ missing|items|list }}{% for k, v in d|items %}{{ k }}{% endfor %}
{{ 2.34|round(1, 'ceil') }} {{ 2.34|round(1, 'floor') }} {{ -2.5|round(method='ceil') }} {{ 3|round(0, 'floor') }} {{ 1234|round(-2, 'ceil') }}
{{ '%(a)s-%(b)d'|format(a='x', b=3) }}
{{ d|attr('k') }}|{{ 'x'|attr('foo') }}|{{ none|attr('a') }}
{{ [xs, xs]|map('map', 'upper')|map('join')|list }} {{ [[1,2],[3]]|map('select', 'odd')|map('list')|list }} {{ [rows]|map('map', attribute='a')|map('list')|list }} {{ [rows]|map('selectattr', 'a', 'equalto', 'x')|map('list')|list }} {{ [rows]|map('map', attribute='a', default='?')|map('join', '-')|list }}{{ [[[1]]]|map('map', 'map', 'string')|map('map','list')|map('list')|list }}{{ [[2,1]]|map('reject')|map('list')|list }}{{ [xs]|map('unique')|map('list')|list }}
{{ 'upper' is filter }}{{ 'zz' is filter }}{{ 'odd' is test }}{{ 3 is test }}{{ n is callable }}{{ missing is callable }}{{ s is escaped }}
{% set l = [3,1,2] %}{{ l.sort() }}{{ l }}{{ l.sort(reverse=true) }}{{ l }}{{ {'a': 1}.popitem() }}{{ (2.0).is_integer() }}{{ n.bit_length() }}
{{ namespace(a=1)|attr('a') }}{% set c = cycler(1) %}{{ c|attr('current') }}{{ c['current'] }}
{% for i in [1,2] %}{% set loop_ = loop %}{% with i = i * 2 %}{{ i }}{{ loop.index }}{% endwith %}{% endfor %}
{% macro outer(x) %}{% macro inner(y) %}{{ x }}{{ y }}{% endmacro %}{{ inner(1) }}{{ inner(2) }}{% endmacro %}{{ outer('a') }}{{ outer('b') }}
{% macro f(xs) %}{% for x in xs %}{{ x if x is string else f(x) }}{% endfor %}{% endmacro %}{{ f(['a', ['b', ['c']], 'd']) }}
{% if n %}{% macro f() %}yes{% endmacro %}{% else %}{% macro f() %}no{% endmacro %}{% endif %}{{ f() }}
{% macro range(x) %}mine{{ x }}{% endmacro %}{{ range(3) }}
{% macro f(a, b='x') %}{{ a }}{{ b }}{% endmacro %}{{ f(missing) }}{{ f(none, missing) }}
""".strip().splitlines()

ERRORS = """
{% macro f(n) %}{% if n %}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(10000) }}
{{ f(1) }}{% macro f(n) %}{% endmacro %}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1,2) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(y=2) }}
{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1, x=2) }}
{% for x in xs %}{{ loop(x) }}{% endfor %}
{% set j = joiner('; ') %}{% for x in xs %}{{ j() }}{{ x }}{% endfor %}{% set j = joiner() %}{{ j() }}{{ j() }}{{ j(1) }}
{{ cycler() }}
{{ xs|slice(3)|list }}{{ xs|slice(3, 'z')|list }}{{ xs|slice(0)|list }}
{{ rows|groupby('a')|list }}
{{ t|indent }}|{{ t|indent(2, true) }}|{{ t|indent('> ', true, true) }}|{{ n|indent }}
{{ t|wordwrap(0) }}
{{ missing|tojson }}
{{ {'b': none, 'a': none}|dictsort(by='value') }}
{{ {'b': missing, 'a': missing}|dictsort(by='value') }}
{% macro f(x=1, y) %}{% endmacro %}
{{ f() }}{% macro f() %}{% endmacro %}
{% filter length %}abc{% endfilter %}
{{ {}|list is filter }}{{ {} is filter }}
{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}
{% for x in [[]] recursive %}{{ loop(1) }}{% endfor %}
{% set j = joiner(1, 2) %}
""".strip().splitlines()


@pytest.mark.parametrize("line", range(len(FEATURES)))
def test_every_feature_prints_what_jinja_prints(line):
    assert Template(FEATURES[line]).render(EXAMPLE) == jinja(FEATURES[line], EXAMPLE)


@pytest.mark.parametrize("source", ERRORS)
def test_what_jinja_refuses_is_refused(source):
    with pytest.raises(Exception) as caught:  # noqa: PT011
        jinja(source, EXAMPLE)
    assert not isinstance(caught.value, TemplateError)
    with pytest.raises(TemplateError, match="line 1, column "):
        Template(source).render(EXAMPLE)


def test_no_reference_is_leaked():
    templates = [Template(source) for source in FEATURES]
    failing = [source for source in ERRORS if " f(10000)" not in source]

    def render_all():
        for template in templates:
            template.render(EXAMPLE)
        for source in failing:
            with pytest.raises(TemplateError):
                Template(source).render(EXAMPLE)
        gc.collect()

    def grown(rounds):
        before = sys.getallocatedblocks()
        for _ in range(rounds):
            render_all()
        return sys.getallocatedblocks() - before

    assert min(grown(20) for _ in range(3)) < 20  # caches of Python's fill at first
