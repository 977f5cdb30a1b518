"""What C files say without a compiler: their code, their comments, and which file calls a function of which other."""

import re

PIECES = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", flags=re.S)
DEFINITION = re.compile(r"^(?!static\b|typedef\b)[A-Za-z_][\w *]*?\b(\w+)\s*\([^;{}]*\)\s*\{", flags=re.M)
STATIC = re.compile(r"^static\b[^;{}()=]*?\b(\w+)\s*\(", flags=re.M)
INLINE = re.compile(
    r"^static inline [^;{}()]*?\b(\w+)\s*\([^;{}]*\)\s*\{(.*?\}$)", flags=re.M | re.S
)  # in headers: what it names, its users name
MACRO = re.compile(
    r"^#define (\w+)\((\w+)\) (?!static\b)[^\n]*?\b(\w+)##\2\(", flags=re.M
)  # that begins a function named after its argument


def code_of(file):
    """The file without comments and literals."""
    return PIECES.sub(" ", file.read_text())


def comments_of(file):
    return [piece for piece in PIECES.findall(file.read_text()) if piece.startswith("/")]


def words_of(code):
    return set(re.findall(r"\w+", code))


def functions_of(code, macros):
    """Names of the functions that are not static. macros: {name: prefix} of those that begin a function."""
    names = {name for name in DEFINITION.findall(code) if name not in macros}
    return names | {prefix + name for macro, prefix in macros.items() for name in re.findall(rf"^{macro}\((\w+)\)\s*\{{", code, flags=re.M)}


def calls(files):
    """{file: files with a function that it names, itself or through an inline function of a header}, of the .c files among `files`."""
    codes = {file: code_of(file) for file in files}
    macros = {name: prefix for code in codes.values() for name, _, prefix in MACRO.findall(code)}
    inline = {name: words_of(body) for file, code in codes.items() if file.suffix == ".h" for name, body in INLINE.findall(code)}
    codes = {file: code for file, code in codes.items() if file.suffix == ".c"}
    homes = {name: file for file, code in codes.items() for name in functions_of(code, macros)}
    graph = {}
    for file, code in codes.items():
        named, left = set(), [words_of(code) - set(STATIC.findall(code))]
        while left:
            new = left.pop() - named
            named |= new
            left += [inline[word] for word in new if word in inline]
        graph[file] = {homes[word] for word in named if word in homes} - {file}
    return graph


def circles(graph):
    """The strongly connected components of more than one node, as sets."""
    reach = {}
    for start in graph:
        reach[start], left = set(), [start]
        while left:
            for node in graph.get(left.pop(), set()) - reach[start]:
                reach[start].add(node)
                left.append(node)
    rings = {frozenset(node for node in reach[start] if start in reach.get(node, ())) for start in graph}
    return [set(ring) for ring in rings if len(ring) > 1]
