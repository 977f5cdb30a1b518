"""Whether a checkpoint reads its inputs with the end token behind them: a property of how it was trained, and no file of the hub tells it.

    1   the keyword of whoever loads it
    2   the folder's own key, "add_eos_to_inputs" in config.json: save, train and convert write it, transformers keeps and ignores it
    3   a folder that version 0.1 wrote, by the six keys of its tokenizer_config.json: without
    4   a name bigscience/T0*: without, for T0 was trained so
    5   else with, as transformers does

The first that says something counts. Where it was no key, one line tells what was decided and why."""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from t0native.base.arguments import FLAG
from t0native.base.errors import FormatError
from t0native.base.jsontext import parse_json

__all__ = ["END_TOKEN", "EndToken", "decide_end_token", "describe_end_token", "with_end_token", "without_end_token"]
_log = logging.getLogger("t0native")

END_TOKEN = "add_eos_to_inputs"
_OF_0_1 = {"tokenizer_class", "eos_token", "unk_token", "pad_token", "extra_ids", "legacy"}
_T0 = re.compile(r"(^|/)(bigscience/|models--bigscience--)T0[^/]*(/|$)")


class EndToken(NamedTuple):
    """What was decided. assumed: whether nothing told it, neither a key nor where the folder is from."""

    added: bool
    assumed: bool = False


def decide_end_token(name, folder, config, keyword=None, tell=True):
    """The EndToken of a checkpoint. name: by which it was asked for.  config: its Config, as its files have it.  keyword: of the caller.
    tell: whether the line is given, which says nothing to whoever gives ids alone.

    FormatError where the key is neither true nor false.

    >>> config = t0.Config.t5_v1_1("small")
    >>> [decide_end_token("my-t5", Path("my-t5"), config, keyword) for keyword in (True, None)]
    [EndToken(added=True, assumed=False), EndToken(added=True, assumed=True)]
    >>> decide_end_token("bigscience/T0_3B", Path("anywhere"), config).added
    False
    """
    if keyword is not None:
        return EndToken(keyword)
    found, why, by_key = _by_files(name, folder, config)
    if not by_key:
        _log.log(
            logging.WARNING if tell else logging.DEBUG,
            "%s: %s, so inputs are read %s the end token; add_eos_to_inputs=%s is the other way, and save and convert keep the choice",
            name,
            why,
            _word(found),
            not found.added,
        )
    return found


def describe_end_token(name, folder, config):
    """What decide_end_token finds without a keyword, and why, in words; FormatError alike.

    >>> describe_end_token("bigscience/T0_3B", Path("anywhere"), t0.Config.t5_v1_1("small"))
    'inputs are read without it (T0 was trained without)'
    """
    found, why, _ = _by_files(name, folder, config)
    return f"inputs are read {_word(found)} it ({why})"


def _word(end):
    return "with" if end.added else "without"


def _by_files(name, folder, config):
    """(EndToken, why, whether the folder's own key told it)."""
    key = config.extra.get(END_TOKEN)
    if problem := FLAG.or_none().problem(END_TOKEN, key):
        raise FormatError(f"{folder}/config.json: {problem}")
    if key is not None:
        return EndToken(key), f"{END_TOKEN} in config.json", True
    return *_by_origin(name, folder), False


def _by_origin(name, folder):
    """(EndToken, why) by where the folder is from."""
    file = folder / "tokenizer_config.json"
    content = parse_json(file, file.read_bytes()) if file.is_file() else None
    if isinstance(content, dict) and set(content) == _OF_0_1:
        return EndToken(False), "written by version 0.1 of this program, which trained without"
    if any(_T0.search(Path(place).as_posix()) for place in (name, folder)):
        return EndToken(False), "T0 was trained without"
    return EndToken(True, assumed=True), "no key tells how it was trained, and transformers adds it"


def with_end_token(config, added):
    """The Config whose file tells it."""
    return replace(config, extra={**config.extra, END_TOKEN: added})


def without_end_token(config):
    """The Config without the key, as a model holds it: what is computed of ids does not hang on it."""
    if END_TOKEN not in config.extra:
        return config
    return replace(config, extra={key: value for key, value in config.extra.items() if key != END_TOKEN})
