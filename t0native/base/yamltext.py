"""YAML read safely: plain values only, no key twice in one mapping.

In recipes numbers are as YAML 1.2 and Python write them, and dates are the text they are: YAML 1.1, which PyYAML reads, takes
1e-3 for a text (it wants 1.0e-3) and 2024-01-31 for a date."""

import re

import yaml

from t0native.base.arguments import shown
from t0native.base.errors import ConfigError

__all__ = ["SafeLoader", "parse_yaml"]


class SafeLoader(yaml.CSafeLoader):
    """PyYAML's safe loader in C; a key that stands twice is refused, where YAML would keep the last."""

    def construct_mapping(self, node, deep=False):
        seen = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and seen.setdefault(key.value, key) is not key:
                what = f"{shown(key.value)} stands twice, first in line {seen[key.value].start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(None, None, what, key.start_mark)
        return super().construct_mapping(node, deep)


class _RecipeLoader(SafeLoader):
    """But for floats and dates; what a tag cannot hold is an error with its line."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node, deep=False):
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise yaml.constructor.ConstructorError(None, None, f"{shown(node.value)} is no {node.tag}", node.start_mark) from None


_RecipeLoader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+\Z"), list("-+.0123456789"))


def parse_yaml(path, file):
    """The one document of a file opened for bytes; ConfigError with file, line and column where it is none.

    >>> from io import BytesIO
    >>> parse_yaml("a.yaml", BytesIO(b"learning_rate: 1e-3"))
    {'learning_rate': 0.001}
    """
    try:
        loader = _RecipeLoader(file)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{place}: not YAML: {getattr(error, 'problem', None) or error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not YAML: nested too deeply") from None
