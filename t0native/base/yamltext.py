"""YAML read safely: plain values only, no key twice in one mapping, and limits by values, not by bytes.

    a file       at most MAX_BYTES
    nodes        at most MAX_NODES as they are parsed, MAX_DEPTH deep
    aliases      repeat at most MAX_REPEATED characters and values in all, merge keys (<<) too: ten lines of nine aliases each to
                 the line before are some 500 bytes that stand for a thousand million values
    numbers      of at most MAX_NUMBER characters, and so what else is no text

In recipes numbers are as YAML 1.2 and Python write them, and dates are the text they are: YAML 1.1, which PyYAML reads, takes
1e-3 for a text (it wants 1.0e-3) and 2024-01-31 for a date."""

import re

import yaml

from t0native.base.errors import ConfigError, Error
from t0native.base.showing import named, printable, shown

__all__ = ["SafeLoader", "load_document", "parse_yaml", "problem_of"]

MAX_BYTES, MAX_NODES, MAX_DEPTH, MAX_REPEATED, MAX_NUMBER = 32_000_000, 250_000, 100, 1_000_000, 1_000
_TEXT = "tag:yaml.org,2002:str"


class SafeLoader(yaml.CSafeLoader):
    """PyYAML's safe loader in C, under the limits above. What PyYAML's constructors raise of a value (a month 13, a number of 5,000
    digits, a list as a key) becomes YAML's own error, with its line. A key that stands twice is refused; YAML would keep the last."""

    def __init__(self, stream):
        super().__init__(stream)
        self._nodes = self._depth = 0

    # While nodes are made: PyYAML calls these two around each

    def descend_resolver(self, current_node, current_index):
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise _fault(f"more than {MAX_NODES:,} values in one file: cut it into several", current_node)
        if self._depth > MAX_DEPTH:
            raise _fault(f"nested too deeply: more than {MAX_DEPTH} levels", current_node)
        super().descend_resolver(current_node, current_index)

    def ascend_resolver(self):
        self._depth -= 1
        super().ascend_resolver()

    # Before values are made of them

    def get_single_node(self):
        node = super().get_single_node()
        if node is not None:
            _check_repeated(node)
        return node

    # Values

    def construct_object(self, node, deep=False):
        if isinstance(node, yaml.ScalarNode) and node.tag != _TEXT and len(node.value) > MAX_NUMBER:
            raise _fault(f"{shown(node.value)}: {len(node.value):,} characters, and no text: write it in quotes where it is one", node)
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, Error):
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            what = shown(node.value) if isinstance(node, yaml.ScalarNode) else f"this {node.id}"
            raise _fault(f"{what} is no {named(node.tag)}: write it in quotes where it is meant as text", node) from None

    def construct_mapping(self, node, deep=False):
        seen = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and seen.setdefault(key.value, key) is not key:
                raise _fault(f"{shown(key.value)} stands twice, first in line {seen[key.value].start_mark.line + 1}", key)
        try:
            return super().construct_mapping(node, deep)
        except TypeError:
            raise _fault("a key of this mapping is a list or a mapping: keys must be text", node) from None


def _fault(problem, node):
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark if node is not None else None)


def _check_repeated(root):
    """Refuses aliases that stand for too much, without following any twice: each node is weighed once, and counts wherever it stands.

    weight(node) = 1 + characters of a scalar, or + weights of what is in a collection"""
    weights, own, stack = {}, 0, [(root, False)]
    while stack:
        node, done = stack.pop()
        inner = _children(node)
        if done:
            weights[id(node)] = 1 + sum(weights[id(child)] for child in inner)
            if weights[id(node)] - own > MAX_REPEATED:
                raise _fault(f"aliases repeat more than {MAX_REPEATED:,} values and characters: write them out", node)
        elif id(node) not in weights:
            weights[id(node)] = 1 + len(node.value) if isinstance(node, yaml.ScalarNode) else None
            own += weights[id(node)] or 1
            if inner:
                stack.append((node, True))
                stack += [(child, False) for child in inner]
            elif weights[id(node)] is None:
                weights[id(node)] = 1
        elif weights[id(node)] is None:
            raise _fault("an alias to what it stands in", node)


def _children(node):
    if isinstance(node, yaml.ScalarNode):
        return ()
    return [child for pair in node.value for child in pair] if isinstance(node, yaml.MappingNode) else node.value


def load_document(path, content, loader_type=SafeLoader):
    """The one document of bytes from the file `path`; yaml.YAMLError where it is none, or beyond a limit.

    >>> load_document("a.yaml", b"a: &x [1, 2]\\nb: *x")
    {'a': [1, 2], 'b': [1, 2]}
    """
    if len(content) > MAX_BYTES:
        raise _fault(f"{len(content):,} bytes, at most {MAX_BYTES:,}", None)
    loader = loader_type(content)
    loader.name = str(path)
    try:
        return loader.get_single_data()
    except RecursionError:
        raise _fault("nested too deeply", None) from None
    finally:
        loader.dispose()


def problem_of(error):
    """(What a YAMLError says, on one line; its mark, or None)."""
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    return printable(problem), getattr(error, "problem_mark", None)


class _RecipeLoader(SafeLoader):
    """But for floats and dates."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_RecipeLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789"))


def parse_yaml(path, file):
    """The one document of a file opened for bytes; ConfigError with file, line and column where it is none.

    >>> from io import BytesIO
    >>> parse_yaml("a.yaml", BytesIO(b"learning_rate: 1e-3"))
    {'learning_rate': 0.001}
    """
    try:
        return load_document(path, file.read(MAX_BYTES + 1), _RecipeLoader)
    except yaml.YAMLError as error:
        problem, mark = problem_of(error)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not YAML: {problem}") from None
