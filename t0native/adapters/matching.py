"""Which modules the words of an adapter's configuration mean, as PEFT matches them.

    target_modules   a list: names, or their ends behind a dot;  "all-linear": all but the head;  else a regular expression of a whole name
    rank_pattern     {regular expression of a name, or of its end behind a dot: rank}; the first that matches; alpha_pattern likewise

Regular expressions come from files, and Python's engine takes exponential time for some. So they are run only where they are simple: at
most MOST_REPEATS stars and pluses, none of them behind a group."""

from __future__ import annotations

import re
import warnings

from t0native.base.errors import ConfigError
from t0native.base.showing import shown

__all__ = ["ALL_LINEAR", "check_pattern", "ends_with", "is_simple", "matched", "names_of", "of_pattern"]

ALL_LINEAR = "all-linear"
MOST_REPEATS, LONGEST = 3, 500
_ESCAPES = re.compile(r"\\[dw.]|\\\.")


def is_simple(pattern):
    """Whether a regular expression is one, and takes little time whatever the name.

    >>> is_simple(r".*decoder.*\\.(q|v)"), is_simple("(a+)+b"), is_simple("(")
    (True, False, False)
    """
    if len(pattern) > LONGEST:
        return False
    plain = _ESCAPES.sub("x", pattern)
    if (
        "\\" in plain
        or re.search(r"\(\?(?!:)|\)[*+{]|[*+?}]\+", plain)
        or plain.count("*") + plain.count("+") + plain.count("{") > MOST_REPEATS
    ):
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def check_pattern(place, pattern):
    """ConfigError where it is not simple; place: the key that has it, for the message."""
    if not is_simple(pattern):
        raise ConfigError(
            f"{place} {shown(pattern)}: must be a simple regular expression: of at most {MOST_REPEATS} stars, pluses and braces, none "
            f"behind a group, no look-around, {LONGEST} characters; or a list of names"
        )


def ends_with(module, name):
    """Whether a name of a list means a module.

    >>> ends_with("decoder.block.0.layer.0.SelfAttention.q", "q"), ends_with("lm_head", "head")
    (True, False)
    """
    return module == name or module.endswith(f".{name}")


def matched(target, sites, exclude=None):
    """The modules of sites that `target` means, in their order. target: a list of names, "all-linear", or a simple regular expression;
    exclude: what of them is not meant, a list or an expression, or None."""
    if isinstance(target, str) and target.lower() == ALL_LINEAR:
        found = [module for module, site in sites.items() if site.part != "head"]
    else:
        found = [module for module in sites if _means(target, module)]
    return [module for module in found if not exclude or not _means(exclude, module)]


def names_of(modules, sites):
    """A list of names that means these modules and no others: their last names where these do, else the whole ones.

    >>> sites = {"encoder.q": None, "decoder.q": None, "decoder.v": None}
    >>> names_of(["encoder.q", "decoder.q"], sites), names_of(["decoder.q"], sites)
    (['q'], ['decoder.q'])
    """
    ends = [*dict.fromkeys(module.rsplit(".", 1)[-1] for module in modules)]
    return ends if {module for module in sites if _means(ends, module)} == {*modules} else [*modules]


def _means(target, module):
    if isinstance(target, str):
        return re.fullmatch(target, module) is not None
    return any(ends_with(module, name) for name in target)


def of_pattern(patterns, module, default):
    """The value of the first pattern that means the module, else the default.

    >>> of_pattern({"SelfAttention.q": 4}, "encoder.block.0.layer.0.SelfAttention.q", 8)
    4
    """
    for pattern, value in patterns.items():
        if re.match(rf"(.*\.)?({pattern})$", module):
            return value
    return default
