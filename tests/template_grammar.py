"""Random templates of the whole language: the generator behind fuzz_templates.py.

Operands are chosen by type, so that most templates render. Each rule notes the constructs that it uses by name, as `if`,
`filter:sort` or `method:split`: the fuzzer counts them over the pairs that both engines render."""

import copy
import random

EXAMPLE = {
    "s": "It's a “test”, of ǆ ß İ ﬁne things", "title": "the quick-brown (fox) o'neil  [jumps] ab_cd 3rd", "text": "one two  three\nfour\n\nfive-six",
    "u": "日本 😀 é|||x", "n": 3, "k": 7, "neg": -2, "f": 3.8, "g": 0.25, "t": True, "no": None, "empty": "",
    "xs": ["b", "B", "a", "it's", "a"], "ys": ["one", "two", "Two words", "x-y"], "nums": [3, 1, 2, 2], "floats": [0.5, 2.0, -1.25],
    "d": {"k": "v", "z": "w", "title": "T"}, "rows": [{"a": "x", "b": 1, "c": {"e": "p"}}, {"a": "y", "b": 2, "c": {"e": "q"}}, {"a": "X", "b": 3, "c": {"e": "p"}}],
    "pairs": [["l", 1], ["m", 2], ["n", 3]], "tree": [{"v": "r", "c": [{"v": "s", "c": []}, {"v": "t", "c": [{"v": "u", "c": []}]}]}, {"v": "w", "c": []}],
}  # fmt: skip
ATTRIBUTES, SHARES, CONDITIONS = ['"a"', '"c.e"'], ["2", "3, '-'", "1"], [' != "a"', "|length > 1", " in xs", ""]
LOOP_NUMBERS = ["index", "index0", "length", "revindex", "revindex0", "depth", "depth0"]
UNTYPED = ["lower", "title", "trim", "string", "length", "list", "first", "last", "int", "float", "abs", "round", "sum", "sort", "unique|list", "min", "max", "reverse|list", "join('-')",
           "replace('a', 'z')", "default('d', true)", "choice", "map('upper')|list", "map(attribute='a')|list", "select|list", "reject('none')|list", "truncate(8)", "most_frequent",
           "wordcount", "center(9)", "items|list", "groupby('a')", "batch(2)|list", "slice(2)|list", "indent", "wordwrap(5)", "tojson", "dictsort", "filesizeformat", "urlencode", "striptags", "attr('a')"]  # fmt: skip
TEXTS = ["s", "title", "text", "u", "empty"]
WORDS = [
    "a",
    "It's",
    "the",
    "",
    " ",
    "-",
    "two",
    "日本",
    "😀",
    "İ",
    "X y",
    "a|||b",
    "\\n",
    "<b>",
    "3",
    "__class__",
    "}}",
    "{{ a }}",
    "%} {%",
]


def example(rng, wild):
    """EXAMPLE with other values of the same types; where `wild`, two fields have some other field's value or are missing."""
    out = copy.deepcopy(EXAMPLE)
    for name in rng.sample(TEXTS[:4], 2):
        out[name] = " ".join(rng.choice(WORDS).replace("\\n", "\n") for _ in range(rng.randint(1, 9)))
    out["n"], out["k"], out["neg"] = rng.randint(1, 5), rng.choice([2, 7, 10**20]), -rng.randint(1, 4)
    out["f"], out["xs"] = rng.choice([3.8, 1e16, 1e-05, 0.1]), rng.choices(EXAMPLE["xs"] + WORDS[:6], k=rng.randint(2, 6))
    if wild:
        for name in rng.sample(sorted(out), 2):
            out[name] = out[rng.choice(sorted(out))]
        del out[rng.choice(sorted(out))]
    return out


class Grammar:
    """One template a call of template(); `used` then holds the constructs in it."""

    def __init__(self, rng: random.Random):
        self.rng = rng

    def template(self):
        self.used, self.depth, self.loops, self.macros, self.count = set(), 0, [], [], 0
        self.known = {"text": list(TEXTS), "number": ["n", "k", "neg", "f", "g"], "texts": ["xs", "ys"]}
        return "".join(self.statement() for _ in range(self.rng.randint(1, 4)))

    # ---- choosing

    def pick(self, *rules):
        """One rule: (construct names, a function that gives its text)."""
        names, make = self.rng.choice(rules)
        self.used.update(names.split(" "))
        self.depth += 1
        out = make()
        self.depth -= 1
        return out

    def of(self, kind, atom, *rules):
        """An expression of a type: a rule while it is not too deep, now and then a wild one, else an atom."""
        if self.rng.random() < 0.004:
            self.used.add("wild")
            return self.rng.choice(["missing", "none", "n", "s", "xs", "d", "missing.x", "nums"])
        if self.depth > 5 or self.rng.random() < 0.12 + 0.1 * self.depth:
            return atom()
        return self.pick(*rules)

    def flip(self, p=0.5):
        return self.rng.random() < p

    def maybe(self, name, text, otherwise=""):
        if self.flip():
            self.used.add(name)
            return text() if callable(text) else text
        return otherwise

    def maybe_rarely(self, name, text):
        if self.flip(0.03):
            self.used.add(name)
            return text
        return ""

    def word(self):
        self.used.add("literal:str")
        word = self.rng.choice(WORDS)
        if self.flip(0.1):
            self.used.add("literal:escape")
            return self.rng.choice(["'\\t'", "'\\x41'", "'\\u00e9'", '"\\"q\\""', "'\\\\'", "'it\\'s'"])
        if self.flip(0.05):
            self.used.add("literal:adjacent")
            return "'ad' \"jacent\" 'x'"
        return f'"{word}"'

    def fresh(self, kind):
        self.count += 1
        name = f"{kind[0]}{self.count}"
        return name

    # ---- expressions by type

    def any(self):
        return self.rng.choice(
            [self.text, self.text, self.text, self.number, self.boolean, self.texts, self.numbers, self.mapping, self.odd, self.odd]
        )()

    def text_atom(self):
        if self.flip(0.5):
            self.used.add("name")
            return self.rng.choice(self.known["text"])
        return self.word()

    def filtered(self, source, *filters):
        """source | one filter: (its name, its arguments or a function that gives them)"""
        name, arguments = self.rng.choice(filters)
        self.used.add(f"filter:{name}")
        return f"{source}|{name}{arguments() if callable(arguments) else arguments}"

    def method(self, source, *methods):
        name, arguments = self.rng.choice(methods)
        self.used.add(f"method:{name}")
        return f"{source}.{name}({arguments() if callable(arguments) else arguments})"

    def text(self):
        two, one, n = (lambda: f"({self.word()}, {self.text()})"), (lambda: f"({self.word()})"), self.small
        base = lambda: f"({self.text()})"  # noqa: E731
        rules = [
            (
                "filters",
                lambda: self.filtered(
                    base(),
                    ("lower", ""),
                    ("upper", ""),
                    ("capitalize", ""),
                    ("title", ""),
                    ("trim", ""),
                    ("trim", one),
                    ("replace", two),
                    ("replace", lambda: f"({self.word()}, {self.text()}, {n()})"),
                    ("string", ""),
                    ("highlight", ""),
                    ("reverse", ""),
                    ("default", one),
                    ("d", lambda: f"({self.word()}, {self.keyword('boolean', 'true')})"),
                    ("center", lambda: f"({n()})"),
                    ("truncate", lambda: f"({self.rng.randint(3, 30)}{self.maybe('positional', ', true')})"),
                    ("truncate", lambda: f"(9, {self.keyword('leeway', '0')})"),
                    ("indent", lambda: self.rng.choice(["", "(2)", "('> ', true)", "(1, blank=true)"])),
                    ("wordwrap", lambda: self.rng.choice(["(8)", "(5, false)", "(9, wrapstring='/')", "(4, break_on_hyphens=false)"])),
                    ("striptags", ""),
                    ("urlencode", ""),
                ),
            ),
            (
                "methods",
                lambda: self.method(
                    base(),
                    ("lower", ""),
                    ("upper", ""),
                    ("title", ""),
                    ("capitalize", ""),
                    ("swapcase", ""),
                    ("casefold", ""),
                    ("strip", ""),
                    ("strip", self.word),
                    ("lstrip", self.word),
                    ("rstrip", self.word),
                    ("replace", lambda: f"{self.word()}, {self.text()}"),
                    ("center", n),
                    ("ljust", lambda: f"{n()}, '*'"),
                    ("rjust", n),
                    ("zfill", n),
                    ("removeprefix", self.word),
                    ("removesuffix", self.word),
                ),
            ),
            ("methods", lambda: self.method(self.word(), ("join", self.texts))),
            (
                "filters",
                lambda: (
                    self.filtered(
                        self.texts(),
                        ("join", one),
                        ("join", ""),
                        ("first", ""),
                        ("last", ""),
                        ("min", ""),
                        ("max", ""),
                        ("random", ""),
                        ("choice", ""),
                    )
                    + self.end()
                ),
            ),
            ("filters", lambda: self.filtered("rows", ("join", f"('-', attribute={self.rng.choice(ATTRIBUTES)})"))),
            ("filters filter:string", lambda: f"({self.any()})|string"),
            ("filters filter:tojson", lambda: f"({self.plain()})|tojson"),
            ("filters filter:format", lambda: f"'%s %r %5s'|format({self.any_simple()}, {self.number()}, {self.word()})"),
            ("filters filter:format keyword", lambda: f"'%(a)s-%(b)s'|format(a={self.text()}, b={self.number()})"),
            ("filters filter:filesizeformat", lambda: f"({self.number()})|filesizeformat{self.maybe('positional', '(true)')}"),
            ("op:%", lambda: f"'%s|%d|%.2f' % ({self.text()}, {self.integer()}, {self.number()})"),
            ("op:+", lambda: f"({self.text()} + {self.text()})"),
            ("op:*", lambda: f"({self.text()} * {self.rng.randint(-1, 3)})"),
            ("op:~", lambda: f"({self.any_simple()} ~ {self.text()} ~ {self.number()})"),
            ("index", lambda: f"({self.text()})[{self.rng.randint(-2, 2)}]"),
            ("slice", lambda: f"({self.text()})[{self.bounds()}]"),
            ("if-else", lambda: f"({self.text()} if {self.boolean()} else {self.text()})"),
            ("if-alone", lambda: f"('' ~ ({self.text()} if {self.boolean()}))"),
            ("op:or", lambda: f"({self.text()} or {self.text()})"),
            ("attribute", lambda: self.rng.choice(["d.k", "d.z", "rows[0].a", "rows.1.c.e", "d.title"])),
            ("item", lambda: self.rng.choice(["d['k']", "xs[0]", "ys[-1]", "rows[-1]['a']", "d['title']", "pairs[0][0]"])),
            ("index", lambda: f"({self.texts()})[{self.rng.choice(['0', 'neg', 'n'])}]{self.end()}"),
        ]
        if self.macros:
            rules.append(("macro-call", self.call_macro))
        return self.of("text", self.text_atom, *rules)

    def end(self):
        """What makes an item that may be undefined a text."""
        self.used.add("filter:default")
        return "|default('?')"

    def keyword(self, name, value):
        self.used.add("keyword")
        return f"{name}={value}"

    def small(self):
        self.used.add("literal:int")
        return str(self.rng.randint(0, 12))

    def any_simple(self):
        return self.rng.choice([self.text_atom, self.small, lambda: "f", lambda: "xs", lambda: "none", lambda: "d"])()

    def plain(self):
        return self.rng.choice(
            [self.text, self.number, self.texts, self.mapping, lambda: "rows", lambda: "none", lambda: "[xs, nums, t]"]
        )()

    def bounds(self):
        a, b = str(self.rng.randint(-5, 5)), self.rng.choice([str(self.rng.randint(-5, 9)), "n"])
        step = self.maybe("slice-step", ":" + self.rng.choice(["2", "-1", "3"]))
        return self.rng.choice([f"{a}:{b}", f"{a}:", f":{b}", ":", f"none:{b}"]) + (step if self.flip() or not step else step)

    def integer(self):
        return self.of("integer", lambda: self.rng.choice(["n", "neg", self.small(), "0x1F", "0b11", "0o17", "1_000", "k"]),
            ("filters", lambda: self.filtered(f"({self.texts()})", ("length", ""), ("count", ""))),
            ("filters", lambda: self.filtered(f"({self.text()})", ("length", ""), ("wordcount", ""), ("int", ""), ("int", "(7)"), ("count", ""))),
            ("filters", lambda: self.filtered(f"({self.number()})", ("int", ""))), ("filters filter:abs", lambda: f"({self.integer()})|abs"),
            ("filters", lambda: self.filtered("nums", ("min", ""), ("max", ""), ("sum", ""), ("first", ""), ("last", ""), ("random", ""))),
            ("filters filter:sum", lambda: f"rows|sum(attribute='b'{self.maybe('keyword', ', start=1')})"),
            ("op:+", lambda: f"({self.integer()} + {self.integer()})"), ("op:-", lambda: f"({self.integer()} - {self.integer()})"),
            ("op:*", lambda: f"({self.integer()} * {self.small()})"), ("op:%", lambda: f"({self.integer()} % {self.rng.choice(['2', '7', '-3'])})"),
            ("op://", lambda: f"({self.integer()} // {self.rng.choice(['2', '7', '-3'])})"), ("op:**", lambda: f"({self.small()} ** {self.rng.randint(0, 3)})"),
            ("op:neg", lambda: f"-{self.rng.choice(['n', '3', 'k'])}"), ("op:pos", lambda: f"+{self.rng.choice(['n', '3'])}"),
            ("methods", lambda: self.method(f"({self.text()})", ("find", self.word), ("rfind", self.word), ("count", self.word))),
            ("methods", lambda: self.method(self.rng.choice(["nums", "range(3)", "(1, 2)"]), ("count", "1"), ("index", "1"))),
            ("methods", lambda: self.method(self.rng.choice(["n", "true", "(255)"]), ("bit_length", ""))),
            ("methods", lambda: self.method("'abcabc'", ("index", "'b'"), ("rindex", "'c'"))),
            ("item", lambda: self.rng.choice(["nums[0]", "rows[1]['b']", "pairs[1][1]", "nums[-1]"])),
            ("attribute", lambda: self.rng.choice(["rows[0].b", "pairs.0.1"])),
            ("if-else", lambda: f"({self.integer()} if {self.boolean()} else {self.integer()})"),
            ("loop-attribute", self.loop_number),
        )  # fmt: skip

    def loop_number(self):
        if not self.loops:
            return self.small()
        name = self.rng.choice(LOOP_NUMBERS)
        self.used.add(f"loop.{name}")
        return f"{self.rng.choice(self.loops)}.{name}"

    def number(self):
        return self.of("number", lambda: self.rng.choice(["f", "g", "2.5", "1e3", "1.5e-3", "n", "neg"]),
            ("int", self.integer), ("filters", lambda: self.filtered(f"({self.number()})", ("float", ""), ("round", ""), ("round", "(1)"), ("abs", ""),
             ("round", "(1, 'ceil')"), ("round", "(method='floor')"))),
            ("op:/", lambda: f"({self.number()} / {self.rng.choice(['2', '-3', '0.5'])})"), ("op:-", lambda: f"({self.number()} - {self.number()})"),
            ("filters filter:float", lambda: f"({self.text()})|float{self.maybe('positional', '(1.5)')}"),
            ("filters", lambda: self.filtered("floats", ("min", ""), ("max", ""), ("sum", ""), ("first", ""), ("choice", ""))),
        )  # fmt: skip

    def boolean(self):
        compare = lambda: self.rng.choice(["==", "!=", "<", "<=", ">", ">="])  # noqa: E731
        return self.of("boolean", lambda: self.rng.choice(["true", "false", "t", "True", "none", "no"]),
            ("compare", lambda: f"({self.number()} {self.compare(compare())} {self.number()})"), ("compare", lambda: f"({self.text()} {self.compare(compare())} {self.text()})"),
            ("compare-chained", lambda: f"({self.number()} < {self.number()} <= {self.number()})"),
            ("compare", lambda: f"({self.any_simple()} {self.compare(self.rng.choice(['==', '!=']))} {self.any_simple()})"),
            ("op:in", lambda: f"({self.word()} in {self.text()})"), ("op:in", lambda: f"({self.any_simple() if self.flip() else self.word()} in {self.texts()})"),
            ("op:not-in", lambda: f"({self.word()} not in {self.rng.choice(['d', 'xs', 's'])})"), ("op:not", lambda: f"(not {self.boolean()})"),
            ("op:and", lambda: f"({self.boolean()} and {self.boolean()})"), ("op:or", lambda: f"({self.boolean()} or {self.boolean()})"),
            ("methods", lambda: self.method(f"({self.text()})", ("startswith", self.word), ("endswith", lambda: "('s', 'e')"), *((f"is{name}", "") for name in
             ("digit", "alpha", "alnum", "numeric", "decimal", "upper", "lower", "space", "title", "ascii", "identifier", "printable")))),
            ("methods", lambda: self.method(f"(2.5 * {self.integer()})", ("is_integer", ""))),
            ("test", self.test), ("test", self.test), ("test", self.test),
        )  # fmt: skip

    def compare(self, operator):
        self.used.add(f"op:{operator}")
        return operator

    def test(self):
        name = self.rng.choice(["defined", "undefined", "none", "true", "false", "boolean", "integer", "float", "number", "string", "mapping", "iterable", "sequence", "odd", "even",
                                "divisibleby", "lower", "upper", "in", "eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge", "sameas", "callable", "escaped", "filter", "test"])  # fmt: skip
        self.used.add(f"test:{name}")
        argument = {"divisibleby": " 2", "in": " xs", "sameas": " none"}.get(name, f"({self.integer()})" if name in
                   ("eq", "equalto", "ne", "lt", "lessthan", "le", "gt", "greaterthan", "ge") else "")  # fmt: skip
        numeric = name in ("odd", "even", "divisibleby") or argument.startswith("(")
        operand = (
            self.integer()
            if numeric
            else self.text()
            if name in ("lower", "upper", "in", "filter", "test")
            else self.rng.choice([self.any_simple(), "missing", "t", "rows", "2.0"])
        )
        return f"(({operand}) is {self.maybe('is-not', 'not ')}{name}{argument})"

    def texts(self):
        lazy = lambda: self.rng.choice(["|list", "|list", "|list|sort", "|join(',')|list"])  # noqa: E731
        ending = self.rng.choice(["|list", "|list", "|list|sort"])
        base = lambda: f"({self.texts()})"  # noqa: E731
        return self.of("texts", lambda: self.rng.choice(self.known["texts"]),
            ("literal:list", lambda: f"[{', '.join(self.text() for _ in range(self.rng.randint(1, 3)))}{self.rng.choice(['', ','])}]"),
            ("op:+", lambda: f"({self.texts()} + {self.rng.choice(['xs', 'ys'])})"), ("op:*", lambda: f"({self.texts()} * 2)"),
            ("slice", lambda: f"{base()}[{self.bounds()}]"), ("range filter:list", lambda: f"({self.text()})|list"),
            ("methods", lambda: self.method(f"({self.text()})", ("split", ""), ("split", "' '"), ("split", "'-', 1"), ("rsplit", "' ', 1"), ("splitlines", ""),
             ("split", lambda: self.keyword("maxsplit", "1")), ("partition", "' '"), ("rpartition", "'-'")) + "|list"),
            ("filters", lambda: self.filtered(base(), ("sort", ""), ("sort", "(reverse=true)"), ("sort", "(case_sensitive=true)"), ("list", ""))),
            ("filters", lambda: self.filtered(base(), ("unique", ""), ("unique", "(true)"), ("reverse", ""), ("reject", "('equalto', 'a')"), ("select", "('ne', '')"),
             ("select", ""), ("reject", "('in', ['b'])"), ("map", "('upper')"), ("map", "('replace', 'a', 'zz')"), ("map", "('trim', '.')"), ("map", "('default', 'x')"),
             ("select", "('string')"), ("map", "('title')")) + ending),
            ("lazy-in-lazy", lambda: f"({self.texts()})|map('list')|map('map', 'upper')|map('join'){ending}"),
            ("lazy-in-lazy", lambda: f"[({self.texts()})]|map('{self.rng.choice(['select', 'reject', 'unique'])}')|map('join', '+')|list"),
            ("filters", lambda: self.filtered("rows", ("map", "(attribute='a')"), ("map", "(attribute='c.e')"), ("map", "(attribute='zz', default='?')"))+ lazy()),
            ("filters filter:map", lambda: self.filtered("rows", ("selectattr", "('a')"), ("selectattr", "('b', 'gt', 1)"), ("rejectattr", "('a', 'equalto', 'x')"), ("rejectattr", "('c.e', 'in', 'pq')"),
             ("sort", "(attribute='b', reverse=true)"), ("unique", "(attribute='a')"), ("sort", "(attribute='c.e,a')")) + "|map(attribute='a')|list"),
            ("filters filter:batch", lambda: f"{base()}|batch({self.rng.choice(SHARES)})|map('join', '+')|list"),
            ("filters filter:slice", lambda: f"{base()}|slice({self.rng.choice(SHARES)})|map('join', '+')|list"),
            ("filters filter:most_frequent", lambda: f"({self.texts()} + ['q'])|most_frequent"),
            ("methods", lambda: self.method("d", ("keys", ""), ("values", "")) + "|list"),
            ("if-else", lambda: f"({self.texts()} if {self.boolean()} else {self.texts()})"),
        )  # fmt: skip

    def numbers(self):
        return self.of("numbers", lambda: self.rng.choice(["nums", "floats"]),
            ("literal:list", lambda: f"[{self.number()}, {self.number()}]"), ("function:range filter:list", lambda: f"range({self.rng.choice(['n', '1, n', '7, 1, -2', 'xs|length'])})|list"),
            ("filters", lambda: self.filtered(f"({self.numbers()})", ("sort", ""), ("sort", "(reverse=true)"), ("list", ""))),
            ("filters", lambda: self.filtered("nums", ("select", "('odd')"), ("reject", "('divisibleby', 2)"), ("map", "('string')"), ("select", "('>', 1)"), ("select", "('<=', 2)"),
             ("reject", "('==', 2)"), ("select", "('!=', 2)"), ("reject", "('<', 2)"), ("select", "('>=', 2)"), ("unique", "")) + "|list"),
            ("filters", lambda: self.filtered("rows", ("map", "(attribute='b')")) + "|list"), ("literal:tuple", lambda: f"({self.number()}, {self.number()})"),
            ("op:+", lambda: f"(nums + [{self.number()}])"), ("literal:tuple", lambda: "(1, 'x') + (2,)"),
        )  # fmt: skip

    def mapping(self):
        return self.of("mapping", lambda: self.rng.choice(["d", "rows[0]", "rows|first"]),
            ("literal:dict", lambda: f"{{{self.word()}: {self.text()}, 'n': {self.number()}}}"), ("literal:dict", lambda: "{1: 'i', 2.5: [1], true: 'T'}"),
            ("function:dict keyword", lambda: f"dict(a={self.text()}, b={self.number()})"), ("function:dict", lambda: "dict([['p', 1]], q=2)"),
            ("literal:braces", lambda: f"{{'k': {{'z': {self.text()}}}}}['k']"), ("literal:braces", lambda: f"{{'k': {{}}, 'z': {{1: {{{self.word()}: {self.number()}}}}}}}"),
            ("methods", lambda: self.method("d", ("copy", ""))), ("item", lambda: f"rows[{self.rng.choice(['0', '-1', 'n % 2'])}]"),
        )  # fmt: skip

    def odd(self):
        """Values of other kinds, which are only printed."""
        return self.pick(
            ("filters filter:dictsort", lambda: f"({self.mapping()})|dictsort{self.rng.choice(['', '(true)', '(reverse=true)'])}" if self.flip() else "d|dictsort(by='value')"),
            ("filters filter:items", lambda: f"({self.mapping()})|items|list"), ("filters", lambda: self.filtered("rows", ("groupby", "('a')"), ("groupby", "('c.e', default='-')"), ("groupby", "('zz', '-')"))),
            ("function:zip", lambda: f"zip(xs, {self.texts()}, nums)|list"), ("methods", lambda: self.method("d", ("items", "")) + "|list"),
            ("methods", lambda: self.method("d", ("get", "'k'"), ("get", "'zz', 5"), ("keys", ""), ("items", ""))), ("undefined", lambda: self.rng.choice(["missing", "d.zz", "xs[99]", "n.foo", "none[0]", "[missing]", "missing|length", "missing|join(',')"])),
            ("untyped", lambda: f"({self.any()})|{self.rng.choice(UNTYPED)}"), ("untyped", lambda: f"({self.any()} {self.rng.choice(['+', '*', '%', '<', 'in', '==', '~', 'or', '//'])} {self.any()})"),
            ("untyped", lambda: f"({self.any()}){self.rng.choice(['[0]', '[n]', '.a', '[1:]', '[s]', '.0', '[none]', '[-1:n]'])}"), ("untyped", lambda: f"({self.any()}) is {self.rng.choice(['odd', 'lower', 'sequence', 'mapping', 'in xs', 'divisibleby 2'])}"),
            ("undefined", lambda: f"(missing == {self.any_simple()})"), ("literal:none", lambda: "none"), ("function:range", lambda: "range(n)"),
            ("filters filter:attr", lambda: self.rng.choice(["n|attr('foo')", "d|attr('k')"])), ("literal:tuple", lambda: f"{self.small()}, {self.text()}"), ("filters filter:urlencode", lambda: "d|urlencode"),
            ("filters filter:batch", lambda: f"nums|batch({self.rng.choice(['2', '3, 0', '1'])})|list"), ("filters filter:slice", lambda: f"nums|slice({self.rng.choice(['2', '3, 0', '1'])})|list"),
        )  # fmt: skip

    # ---- statements

    def tag(self, inside):
        signs = {"{%-": "left", "{%+": "plus-left", "{%": ""}
        begin = self.rng.choice(["{%"] * 8 + ["{%-", "{%+"])
        end = self.rng.choice(["%}"] * 8 + ["-%}", "+%}"])
        self.used.update(name for name in (f"space:{begin}" if signs[begin] else "", f"space:{end}" if end != "%}" else "") if name)
        return f"{begin} {inside} {end}"

    def show(self, value=None):
        begin, end = self.rng.choice(["{{"] * 8 + ["{{-", "{{+"]), self.rng.choice(["}}"] * 8 + ["-}}"])
        self.used.update(f"space:{sign}" for sign in (begin, end) if len(sign) == 3)
        comma = self.maybe_rarely("print:comma", ",")
        return f"{begin} {value or self.any()}{comma}{self.rng.choice([' ', ' ', ''])}{end}"

    def body(self):
        outer = {kind: list(names) for kind, names in self.known.items()}
        macros = list(self.macros)
        self.depth += 1
        out = "".join(self.statement() for _ in range(self.rng.randint(1, 2)))
        self.depth -= 1
        self.known, self.macros = outer, macros
        return out

    def statement(self):
        if self.depth > 2 or self.flip(0.4):
            return self.rng.choice(["", " ", "\n", "a ", "|||", " <p>\n", "}} "]) + self.show()
        return self.pick(
            ("if", lambda: f"{self.tag('if ' + self.boolean())}{self.body()}{self.maybe('elif', self.elif_part)}{self.maybe('else', self.else_part)}{self.tag('endif')}"),
            ("for", self.for_statement), ("for", self.for_statement), ("for", self.for_rows), ("for-recursive", self.for_tree),
            ("set", self.set_statement), ("set", self.set_statement), ("set-tuple", self.set_tuple), ("set-block", self.set_block),
            ("function:namespace set-attribute", self.namespace), ("mutation", self.mutation), ("mutation", self.mutation),
            ("filter-block", lambda: f"{self.tag('filter ' + self.text_filters())}{self.body()}{self.tag('endfilter')}"),
            ("with", self.with_statement), ("macro", self.macro), ("print", lambda: self.tag(f"print {self.any()}{self.maybe('print-list', lambda: ', ' + self.text())}")),
            ("raw", lambda: f"{self.tag('raw')}{{{{ raw }}}} {{% x %}} {self.rng.choice(['a', ' {# '])}{self.tag('endraw')}"),
            ("comment", lambda: self.rng.choice(["{# c #}", "{#- c #}", "{# c -#}", " {#- {{ x }} -#} "])),
            ("function:joiner", self.joiner), ("function:cycler", self.cycler),
        )  # fmt: skip

    def elif_part(self):
        return self.tag("elif " + self.boolean()) + self.body()

    def else_part(self):
        return self.tag("else") + self.body()

    def text_filters(self):
        return "|".join(
            self.rng.choice(["upper", "lower", "trim", "replace('a', 'z')", "title", "truncate(20)", "indent(2)", "string"])
            for _ in range(self.rng.randint(1, 2))
        )

    def inside_loop(self, name="loop"):
        self.loops.append(name)
        out = self.body() + self.maybe("loop-text", self.loop_text)
        self.loops.pop()
        return out

    def loop_text(self):
        name, after = self.rng.choice(
            [
                *((number, "") for number in LOOP_NUMBERS),
                ("first", ""),
                ("last", ""),
                ("previtem", ""),
                ("nextitem", ""),
                ("cycle", "('a', 'b')"),
                ("changed", f"({self.text()})"),
            ]
        )
        self.used.add(f"loop.{name}")
        return f"{{{{ loop.{name}{after} }}}}"

    def for_statement(self):
        name, source = self.fresh("item"), self.texts()
        test = self.maybe("for-if", lambda: f" if {name}{self.rng.choice(CONDITIONS)}")
        outer = ""
        self.known["text"].append(name)
        if self.loops == [] and self.flip(0.2):
            self.used.add("loop-kept")
            outer = self.tag("set outer = loop")
        kept = self.loops
        self.loops = self.loops + (["outer"] if outer else [])
        inside = outer + self.inside_loop()
        self.loops = kept
        self.known["text"].remove(name)
        return f"{self.tag(f'for {name} in {source}{test}')}{inside}{self.maybe('for-else', self.else_part)}{self.tag('endfor')}"

    def for_rows(self):
        source, names = self.rng.choice(
            [
                ("rows|groupby('a')", "g, members"),
                ("d.items()", "key, value"),
                ("pairs", "a, b"),
                ("zip(xs, ys)", "a, b"),
                ("d|dictsort", "key, value"),
                ("xs|batch(2, '')", "a, b"),
            ]
        )
        if self.flip(0.2):
            self.used.update(("group", "filter:groupby"))
            return (
                self.tag("for g in rows|groupby('c.e')")
                + "{{ g.grouper }}={{ g.list|length }}{{ g['list'][0].a }}{{ g[0] }}"
                + self.tag("endfor")
            )
        self.used.update(
            (
                "for-tuple",
                *(f"filter:{name}" for name in ("groupby", "dictsort", "batch") if name in source),
                *(["function:zip"] if "zip" in source else []),
            )
        )
        first, second = names.split(", ")
        return f"{self.tag(f'for {names} in {source}')}{{{{ {first} }}}}:{{{{ {second} }}}}{self.inside_loop()}{self.tag('endfor')}"

    def for_tree(self):
        test = self.maybe("for-recursive-if", " if node.v != 's'")
        return (f"{self.tag(f'for node in tree{test} recursive')}{{{{ loop.depth }}}}{{{{ node.v }}}}{self.inside_loop()}"
                f"({{{{ loop(node.c){self.maybe('filters', '|upper')} }}}}){self.tag('endfor')}")  # fmt: skip

    def set_statement(self):
        kind, make = self.rng.choice([("text", self.text), ("number", self.number), ("texts", self.texts)])
        value = make()
        name = self.rng.choice(self.known[kind]) if self.flip(0.3) and kind == "text" else self.fresh(kind)
        self.known[kind].append(name)
        return self.tag(f"set {name} = {value}")

    def set_tuple(self):
        a, b = self.fresh("text"), self.fresh("number")
        out = self.tag(f"set {a}, {b} = {self.text()}, {self.number()}") if self.flip() else self.tag(f"set ({a}, {b}) = pairs[0]")
        self.known["text"].append(a)
        self.known["number"].append(b)
        return out

    def set_block(self):
        name = self.fresh("text")
        filters = self.maybe("set-block-filter", lambda: " | " + self.text_filters())
        out = f"{self.tag(f'set {name}{filters}')}{self.body()}{self.tag('endset')}"
        self.known["text"].append(name)
        return out

    def namespace(self):
        name = self.fresh("space")
        return (f"{self.tag(f'set {name} = namespace(a={self.integer()}, b={self.text()})')}{self.tag('for i in nums')}{self.tag(f'set {name}.a = {name}.a + i')}"
                f"{self.tag('endfor')}{{{{ {name}.a }}}}{{{{ {name}.b }}}}{{{{ {name}['a'] }}}}{{{{ {name}.zz }}}}")  # fmt: skip

    def mutation(self):
        name = self.fresh("list")
        changes = [("append", self.text), ("extend", self.texts), ("insert", lambda: f"0, {self.text()}"), ("reverse", ""), ("pop", ""), ("pop", "0"), ("copy", ""), ("clear", ""),
                   ("remove", f"{name}[0]"), ("count", "'a'"), ("index", f"{name}[0]"), ("sort", ""), ("sort", "reverse=true")]  # fmt: skip
        if self.flip(0.3):
            changes = [
                ("update", self.mapping),
                ("update", lambda: f"k={self.text()}"),
                ("setdefault", "'q', 1"),
                ("popitem", ""),
                ("pop", "'k'"),
                ("pop", "'zz', 0"),
                ("get", "'k'"),
                ("copy", ""),
                ("clear", ""),
            ]
            value = f"set {name} = {{'k': {self.text()}}}"
            return f"{self.tag(value)}{{{{ {self.method(name, *changes)} }}}}{{{{ {name} }}}}"
        items = ", ".join([self.text(), self.text()])
        return f"{self.tag(f'set {name} = [{items}]')}{{{{ {self.method(name, *changes)} or '' }}}}{{{{ {name} }}}}"

    def with_statement(self):
        a, b = self.fresh("text"), self.fresh("number")
        head = f"with {a} = {self.text()}, {b} = {self.number()}" if self.flip(0.8) else "with"
        if head == "with":
            return f"{self.tag(head)}{self.body()}{self.tag('endwith')}"
        self.known["text"].append(a)
        out = f"{self.tag(head)}{{{{ {b} }}}}{self.body()}{self.tag('endwith')}"
        self.known["text"].remove(a)
        return out

    def macro(self):
        name, loops, self.loops = self.fresh("macro"), self.loops, []
        self.known["text"] += ["p", "q"]
        default = self.text()
        inside = self.body()
        self.known["text"] = [known for known in self.known["text"] if known not in ("p", "q")]
        self.loops = loops
        self.macros.append(name)
        return f"{self.tag(f'macro {name}(p, q={default})')}{inside}{self.tag('endmacro')}{{{{ {self.call_macro()} }}}}"

    def call_macro(self):
        name = self.rng.choice(self.macros)
        arguments = self.rng.choice(
            [
                lambda: self.text(),
                lambda: f"{self.text()}, {self.text()}",
                lambda: f"q={self.text()}, p={self.word()}",
                lambda: f"{self.word()}, q={self.word()}",
            ]
        )()
        return f"{name}({arguments})"

    def joiner(self):
        name, glue = self.fresh("join"), self.maybe("positional", self.word)
        return f"{self.tag(f'set {name} = joiner({glue})')}{self.tag('for i in xs')}{{{{ {name}() }}}}{{{{ i }}}}{self.tag('endfor')}"

    def cycler(self):
        name = self.fresh("cycle")
        self.used.update(("method:next", "method:reset"))
        return f"{self.tag(f'set {name} = cycler({self.word()}, {self.text()}, 3)')}{self.tag('for i in xs')}{{{{ {name}.next() }}}}{self.tag('endfor')}{{{{ {name}.current }}}}{{{{ {name}.reset() }}}}{{{{ {name}.current }}}}"
