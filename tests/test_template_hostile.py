"""Hostile templates: escapes, bombs and changes of the example. Each ends with a TemplateError within 2 s of processor time
and 128 MB, many in one child process, which must live on."""

import json
import os
import subprocess
import sys

import pytest

import t0native
from t0native._core import Template
from t0native.base.errors import TemplateError

READERS = ["map(attribute='{0}')|list", "map(attribute='{0}', default=1)|list", "map('attr', '{0}')|list", "selectattr('{0}')|list", "rejectattr('{0}')|list",
           "selectattr('{0}', 'eq', 1)|list", "sort(attribute='{0}')", "sort(attribute='a,{0}')", "sum(attribute='{0}')", "join('', attribute='{0}')",
           "unique(attribute='{0}')|list", "min(attribute='{0}')", "max(attribute='{0}')", "groupby('{0}')", "first|attr('{0}')", "batch(2)|map('map', attribute='{0}')|map('list')|list"]  # fmt: skip
CONSUMERS = ["list", "join", "sum", "sort", "unique|list", "min", "max", "batch(2)|list", "slice(3)|list", "map('string')|list", "select('string')|list", "reject('number')|list",
             "groupby('a')", "map(attribute='a')|list", "most_frequent", "urlencode", "map('map', 'abs')|list", "last|string|center(10**9)", "reverse|list"]  # fmt: skip
CHANGES = ["xs.append(1)", "xs.extend([1])", "xs.insert(0, 1)", "xs.pop()", "xs.remove('a')", "xs.reverse()", "xs.clear()", "xs.sort()", "d.update({'a': 1})", "d.setdefault('q', 1)",
           "d.pop('k')", "d.popitem()", "d.clear()", "rows[0].update(a=1)", "(rows|first).clear()", "(xs or [1]).append(1)", "[xs][0].append(1)", "dict(a=xs).a.append(1)",
           "namespace(a=xs).a.append(1)", "(rows|map(attribute='b')|list)[0].append(1)", "(d.items()|list)[0][1].append(1)", "(rows|groupby('a'))[0].list[0].clear()"]  # fmt: skip
GROW = "{% set ns = namespace(x=START) %}{% for i in range(100000) %}{% set ns.x = STEP %}{% endfor %}{{ ns.x }}"
CYCLE = "{% set l = [] %}{{ l.append(l) }}{% set k = [] %}{{ k.append(k) }}"
TABLE = {
    "attributes by a filter": [f"{{{{ xs|{reader.format('__class__')} }}}}" for reader in READERS],
    "attributes of an attribute": [f"{{{{ rows|{reader.format('a.__class__.__mro__')} }}}}" for reader in READERS if "attr('{0}" not in reader and "'attr', '" not in reader],
    "attributes by an index": [
        *(f"{{{{ ({value})['__class__'] }}}}" for value in ["''", "[]", "{}", "()", "1", "1.5", "true", "none", "range(1)", "missing", "[1]|map('abs')", "zip([1])", "d.items()", "rows|groupby('a')"]),
        *(f"{{{{ ({value})['__class__']['__mro__'] }}}}" for value in ["namespace(a=1)", "cycler(1)", "joiner()", "rows|groupby('a')|first"]),
        "{% macro f() %}{% endmacro %}{{ f['__globals__'] }}", "{% macro f() %}{% endmacro %}{{ f.__call__ }}", "{% for x in xs %}{{ loop['__class__']['a'] }}{% endfor %}",
        "{{ xs['append'] }}", "{{ s['format'] }}", "{{ d['get'] }}",
    ],
    "attributes by a dot": ["{{ s.__class__ }}", "{{ xs._x }}", "{{ s.format }}", "{{ range.__init__ }}", "{{ range }}", "{{ namespace }}", "{{ self }}", "{{ self._TemplateReference__context }}",
                            "{{ xs.append }}", "{{ n.real }}", "{{ d.fromkeys }}", "{{ xs.sort.__self__ }}", "{{ cycler.__init__.__globals__ }}", "{{ joiner().used }}", "{{ cycler(1).items }}"],
    "formats": ["{{ '{0.__class__}'.format(s) }}", "{{ '{0}'.format(s) }}", "{{ s.format_map(d) }}", "{{ '%(__class__)s' % d }}", "{{ '%999999999d' % 1 }}", "{{ '%.999999999f' % f }}", "{{ '%*d' % (9, 1) }}",
                "{{ '%999999d'|format(1) }}", "{{ '%(a)999999d'|format(a=1) }}", "{{ ['%999999d']|map('format', 1)|list }}", "{{ ('%99999d' * 10000) % ((1,) * 10000) }}", "{{ '%c' % -1 }}", "{{ '%s' % (1, 2) }}"],
    "sizes": ["{{ 'x' * 10**10 }}", "{{ 10**10 * 'x' }}", "{{ [0] * 999999999 }}", "{{ (1,) * 10**9 }}", "{{ 10 ** (10 ** 10) }}", "{{ 2 ** 999999 }}", "{{ (2 ** 9999) * (2 ** 19999) }}", "{{ 'x'.center(10**9) }}",
              "{{ 'x'|center(10**9) }}", "{{ 'x'.ljust(10**9) }}", "{{ 'x'.rjust(10**9) }}", "{{ 'x'.zfill(10**9) }}", "{{ s|indent(10**9) }}", "{{ ('x\n' * 100000)|indent('y' * 100000) }}",
              "{{ ('a ' * 100000)|wordwrap(1, wrapstring='y' * 100000) }}", "{{ ('a' * 3000000)|wordwrap(1) }}", "{{ ('a-' * 1500000)|wordwrap(3) }}", "{{ [[1] * 100000] * 10000 |tojson }}", "{{ [1]|tojson(indent=10**9) }}",
              "{{ [[0] * 1000000]|tojson(indent=100) }}", "{{ ('x' * 3000000)|replace('x', 'y' * 1000) }}", "{{ ('x' * 3000000)|replace('', 'yy') }}", "{{ ('x' * 3000000).replace('x', s * 100) }}",
              "{{ [1]|batch(10**9, 0)|list }}", "{{ [1]|slice(10**9)|list }}", "{{ 5|round(-10**9) }}", "{{ 5|round(10**9, 'ceil') }}", "{{ 'y'.join(('x' * 3000000)|list) }}", "{{ ('日' * 3000000)|urlencode }}",
              "{{ 'x'|truncate(3, end='y' * 9) }}", "{{ ('<a>' * 1300000)|striptags ~ 'x' * 10**8 }}", "{{ ('f' * 3900000)|int(0, 16) }}", "{{ 1e400|int }}", "{{ '9' * 100000 % 7 }}"],
    "long ranges": [f"{{{{ range(10**9)|{consumer} }}}}" for consumer in CONSUMERS] + ["{{ 0.5 in range(10**9) }}", "{{ zip(range(10**9), range(10**9))|list }}", "{{ 'x'.join(range(10**9)|map('string')) }}",
                                                                                       "{{ dict(zip(range(10**9), range(10**9))) }}", "{{ range(10**9).count('a') }}", "{{ [1].extend(range(10**9)) }}"],
    "loops": ["{% for i in range(10**9) %}{% endfor %}", "{% for i in range(10**9) %}x{% endfor %}", "{% for i in range(1000) %}{% for j in range(1000) %}{% for k in range(1000) %}{% endfor %}{% endfor %}{% endfor %}",
              "{% for i in range(10**9) if false %}{% endfor %}", "{% for i in range(10**9)|map('abs') %}{{ loop.length }}{% endfor %}", "{% set l = [1] %}{% for i in l %}{{ l.append(1) or '' }}{% endfor %}",
              "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}", "{% macro f(x=1) %}{{ g(x) }}{% endmacro %}{% macro g(x) %}{{ f(x) }}{% endmacro %}{{ f() }}",
              "{% macro f(n, d=f(n)) %}{% endmacro %}{{ f(1) }}", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}", "{% for x in [1, 2] recursive %}{{ loop([x, x]) }}{% endfor %}",
              "{% for x in [1] if f is defined recursive %}{{ loop(range(10**9)) }}{% endfor %}", "{% macro f(n) %}{% if n %}{{ f(n - 1) ~ f(n - 1) }}{% else %}xxxxxxxx{% endif %}{% endmacro %}{{ f(40) }}",
              "{% for x in [1] %}{{ loop([2]) }}{% endfor %}", "{% set ns = namespace() %}{% for x in [1] recursive %}{% set ns.l = loop %}{% endfor %}{% set g = ns.l %}{% for i in range(10**6) %}{{ g(range(1000)) }}{% endfor %}",
              "{% macro f() %}{% for x in [1] recursive %}{{ f() }}{{ loop([1]) }}{% endfor %}{% endmacro %}{{ f() }}", "{% macro f() %}" + "{% if 1 %}" * 90 + "{{ f() }}" + "{% endif %}" * 90 + "{% endmacro %}{{ f() }}",
              "{% macro f(x) %}{{ " + "[" * 60 + "f(x)" + "]" * 60 + " }}{% endmacro %}{{ f(1) }}", "{% set c = cycler(1, 2) %}{% for i in range(10**9) %}{{ c.next() }}{% endfor %}", "{% filter f %}{% endfilter %}"],
    "values that grow": [GROW.replace("START", start).replace("STEP", step) for start, step in
                         [("'x'", "ns.x + ns.x"), ("'x'", "ns.x ~ ns.x"), ("[1]", "ns.x + ns.x"), ("3", "ns.x * ns.x"), ("[]", "[ns.x, ns.x]"), ("()", "(ns.x, ns.x)"), ("1", "namespace(a=ns.x, b=ns.x)"),
                          ("1", "{'a': ns.x, 'b': ns.x}"), ("[1]", "zip(ns.x)"), ("[1]", "ns.x|map('abs')"), ("[1]", "[ns.x]"), ("'a'", "ns.x|replace('a', 'aaaaaaaaaa')"), ("'a'", "ns.x|tojson"), ("'é'", "ns.x|urlencode"),
                          ("'a'", "'%s%s' % (ns.x, ns.x)"), ("'a'", "ns.x|indent(100, true)"), ("[1]", "[ns.x]|groupby(0)"), ("[1]", "[ns.x]|batch(9, ns.x)|list"), ("1", "cycler(ns.x, ns.x)")]],
    "cycles": [CYCLE + use for use in ["{{ l }}", "{{ l == k }}", "{{ l < k }}", "{{ [l, k]|sort }}", "{{ l|join }}", "{{ l|tojson }}", "{{ k in l }}", "{{ l.index(k) }}", "{{ l.count(k) }}", "{{ (l, k)|min }}", "{{ '%s' % l }}",
                                       "{{ l|string }}", "{{ l ~ '' }}", "{{ l|unique|list }}", "{{ [l]|groupby(0) }}", "{{ l is eq(k) }}", "{{ {'a': l}|dictsort(by='value') ~ '' }}"]] +
              ["{% set d = {} %}{{ d.update(a=d) }}{{ d }}", "{% set n = namespace() %}{% set n.a = n %}{{ n }}", "{% set d = {} %}{{ d.update(a=d) }}{{ [d]|map(attribute='a.' * 9999 ~ 'a.__class__')|list }}"],
    "changes of the example": [f"{{{{ {change} }}}}" for change in CHANGES] + ["{% macro f(x) %}{{ x.append(1) }}{% endmacro %}{{ f(xs) }}", "{% for r in rows %}{{ r.clear() }}{% endfor %}", "{% with y = xs %}{{ y.pop() }}{% endwith %}",
                                                                               "{% set y = xs %}{{ y.append(1) }}", "{% set xs.a = 1 %}", "{% set d.k = 1 %}", "{% set rows = rows %}{{ rows.clear() }}"],
    "names that are set": ["{% set ns.a = 1 %}", "{% set loop = 1 %}{% for x in xs %}{% set loop = 2 %}{% endfor %}", "{% for x in xs %}{% set loop.index = 9 %}{% endfor %}", "{% macro f() %}{% endmacro %}{% set f.x = 1 %}", "{% set true = 1 %}",
                           "{% set ns = namespace(xs) %}", "{% set ns = namespace() %}{% set ns.a.b = 1 %}", "{% macro self() %}{% endmacro %}", "{% macro caller() %}{% endmacro %}", "{% macro f(varargs) %}{% endmacro %}", "{{ f(1) }}", "{{ s() }}",
                           "{% set g = s %}{{ g() }}", "{% include '/etc/passwd' %}", "{% import 'os' as os %}", "{% extends s %}", "{% call f() %}{% endcall %}", "{{ lipsum() }}", "{{ lipsum.__globals__ }}", "{{ dict.__base__ }}", "{{ [1].sort(key=s) }}", "{{ [1].sort(reverse=true, key=none) }}"],
    "deep nesting": ["{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "{{ " + "[" * 5000 + "]" * 5000 + " }}", "{{ " + "-" * 5000 + "1 }}", "{{ " + "1+" * 5000 + "1 }}", "{{ x" + "|string" * 5000 + " }}", "{{ x" + ".a" * 5000 + " }}",
                     "{{ " + "not " * 5000 + "1 }}", "{{ 1" + " if 1 else 1" * 5000 + " }}", "{% if 1 %}" * 5000 + "{% endif %}" * 5000, "{% for i in [1] %}" * 500 + "{% endfor %}" * 500, "{% if 0 %}" + "{% elif 0 %}" * 50000 + "{% endif %}",
                     "{{ " + "9" * 5000 + " }}", "{{ x[" * 400 + "0" + "]" * 400 + " }}", "{% with %}" * 5000 + "{% endwith %}" * 5000, "{% filter upper %}" * 5000 + "{% endfilter %}" * 5000, "{% set x %}" * 5000 + "{% endset %}" * 5000,
                     "{% macro f() %}" * 5000 + "{% endmacro %}" * 5000, "{{ f(" * 5000 + ")" * 5000, "{{ x|map(" + "'map', " * 5000 + "'abs') }}", "{{ " + "{1: " * 5000 + "}" * 5000 + " }}", "{{ '" + "x" * 5000, "{{ 'a' is in " * 300, "{{ " + "a ~ " * 200000 + "}}"],
}  # fmt: skip

CHILD = """
import json, resource, sys, time
from t0native._core import Template
from t0native.base.errors import TemplateError
example = {"s": "It's", "n": 3, "f": 2.5, "xs": ["b", "a"], "d": {"k": ["v"]}, "rows": [{"a": "x", "b": [1]}, {"a": "y", "b": [2]}]}
before, limited = repr(example), json.loads(sys.argv[1])
for source in json.load(sys.stdin):
    if limited:
        pages = int(open("/proc/self/statm").read().split()[0]) if sys.platform == "linux" else 0
        limit = pages * resource.getpagesize() + (128 << 20) if pages else resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(time.process_time()) + 10, resource.RLIM_INFINITY))
    began = time.process_time()
    try: outcome = "rendered " + Template(source).render(example)[:60]
    except TemplateError as error: outcome = "refused: " + str(error)
    except BaseException as error: outcome = repr(error)
    print(json.dumps([outcome, time.process_time() - began, repr(example) == before]), flush=True)
"""


def outcomes(templates):
    """(what came of it, seconds, whether the example is as it was) of each template; fewer where the child died."""
    path = os.path.dirname(os.path.dirname(t0native.__file__))
    limited = "libasan" not in os.environ.get("LD_PRELOAD", "")  # its shadow memory is terabytes
    done = subprocess.run([sys.executable, "-P", "-c", CHILD, json.dumps(limited)], input=json.dumps(templates), capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}, timeout=600)  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()], done


@pytest.mark.parametrize("what", TABLE)
def test_hostile_templates_end_with_an_error_soon(what):
    results, done = outcomes(TABLE[what])
    wrong = [(source[:300], result) for source, result in zip(TABLE[what], results, strict=False)
             if not result[0].startswith("refused: line ") or result[1] > 2 or not result[2]]  # fmt: skip
    assert not wrong, wrong
    assert len(results) == len(TABLE[what]) and done.returncode == 0, (
        TABLE[what][len(results)][:300],
        done.returncode,
        done.stderr[-2000:],
    )


class Cycle(list):
    """A list that holds itself, and calls what it is asked to."""

    def __init__(self):
        self.append(self)

    def __call__(self, *arguments):
        raise SystemExit("called")


@pytest.mark.parametrize(
    "source",
    [
        "{{ x|tojson(indent=2) }}",
        "{{ x|tojson }}",
        "{{ [2, 1].sort(key=x) }}",
        "{{ x() }}",
        "{% set y = x %}{{ y() }}",
        "{{ [x]|map('x')|list }}",
        "{{ {'a': x}.a() }}",
    ],
)
def test_objects_of_the_example_are_not_called(source):
    with pytest.raises(TemplateError):
        Template(source).render({"x": Cycle()})


class Watched(type):
    """A class whose objects note each attribute that is asked for, in any of Python's ways."""

    ran = []

    def __getattribute__(cls, name):
        Watched.ran.append(("class", name))
        return super().__getattribute__(name)


class Noting(metaclass=Watched):
    __slots__ = ("__dict__",)
    p = property(lambda self: Watched.ran.append("property"))
    __html__ = upper = items = p
    __class__ = property(lambda self: Watched.ran.append("__class__"))


class Asked(dict, metaclass=Watched):
    def __getattr__(self, name):
        Watched.ran.append(name)
        return 1


class AskedFirst(str, metaclass=Watched):
    def __getattribute__(self, name):
        Watched.ran.append(name)
        return super().__getattribute__(name)


class HidesItsDict(metaclass=Watched):
    __dict__ = property(lambda self: Watched.ran.append("__dict__"))


class OwnText(str, metaclass=Watched):
    upper = property(lambda self: Watched.ran.append("upper"))


def kept():
    """An object with an attribute of its own, in a dict that its class hides."""
    out = HidesItsDict()
    object.__setattr__(out, "p", 1)
    return out


LOOKUPS = ["{{ x.p }}", "{{ x['p'] }}", "{{ x|attr('p') }}", "{{ [x]|map(attribute='p')|list }}", "{{ [x]|selectattr('p')|list|length }}", "{{ [x]|sort(attribute='p')|length }}",
           "{{ [x]|sum(attribute='p') }}", "{{ [x]|groupby('p')|length }}", "{{ x.p.q }}", "{{ x.upper() }}", "{{ x.items() }}", "{{ x.p() }}"]  # fmt: skip


@pytest.mark.parametrize("source", LOOKUPS)
@pytest.mark.parametrize("make", [Noting, Asked, lambda: AskedFirst("a"), kept], ids=["property", "getattr", "getattribute", "hidden dict"])
def test_attributes_are_refused_before_any_code_of_the_object_runs(make, source):
    value = make()
    Watched.ran.clear()
    with pytest.raises(TemplateError):
        Template(source).render({"x": value})
    assert Watched.ran == []


@pytest.mark.parametrize("source", ["{{ x is number }}{{ x is string }}{{ x is callable }}{{ x is mapping }}", "{{ x is escaped }}", "{{ x.nosuch }}{{ x['nosuch'] }}"])  # fmt: skip
def test_questions_about_an_object_run_no_code_of_it(source):
    values = {name: make() for name, make in [("a", Noting), ("b", kept)]}
    Watched.ran.clear()
    texts = [Template(source).render({"x": value}) for value in values.values()]
    assert (
        Watched.ran == []
        and texts == {"{{ x is n": ["FalseFalseFalseFalse"] * 2, "{{ x is e": ["True", "False"], "{{ x.nosu": ["", ""]}[source[:9]]
    )


def test_filters_on_texts_with_methods_of_their_own_run_none():
    text = OwnText("a")
    Watched.ran.clear()
    for source in ("{{ x|upper }}", "{{ x.upper() }}"):
        with pytest.raises(TemplateError, match="upper"):
            Template(source).render({"x": text})
    assert Watched.ran == [] and Template("{{ x|lower }}").render({"x": OwnText("A")}) == "a"


def test_a_dict_that_grows_is_told_without_asking_its_class():
    class Grows(dict, metaclass=Watched):
        def __missing__(self, key):
            return key

    row = Grows(a=1)
    Watched.ran.clear()
    assert Template("{{ x['a'] }}").render({"x": row}) == "1" and Watched.ran == []


def test_budgets_name_their_keyword():
    results, _ = outcomes(TABLE["long ranges"][:12] + TABLE["values that grow"][:4])
    assert all("raise max_" in outcome or "bits" in outcome for outcome, _, _ in results), results


def test_the_table_is_long():
    assert sum(map(len, TABLE.values())) >= 150 and sum(len(set(rows)) for rows in TABLE.values()) == sum(map(len, TABLE.values()))
