"""The parts of a prompt's input, as its template has them: what can be put elsewhere, and where its choices stand in a row.

{{premise}} | Does it follow that {{hypothesis}}? | Yes or no?      cut at line breaks, behind . ? ! and behind }} where a capital follows;
--- rest --   ------------------ question ----------------          never inside a tag or a block; the question: from the first part with
                                                                    a question mark to the last one
Yes or no                                                           the choices, each once, between commas, or, and: an enumeration"""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["TAG", "Enumeration", "find_enumeration", "move_question", "place_of_question", "without_end_mark"]

TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_OPENS = re.compile(r"\{%-?\s*(?:if|for|macro|filter|call|raw|set\s+\w+\s*%)")
_CLOSES = re.compile(r"\{%-?\s*end")
_ENDED = re.compile(r"(?:[.?!]|\}\})[\"')]*$")
_POINTS = re.compile(
    r"\b(?:below|above|following|previous|preceding|first|last)\b", re.IGNORECASE
)  # a question that says where the text is
_BETWEEN = r"[\s,/|?\"'-]+(?:(?:or|and)\s+(?:by\s+)?[\"']?)?"


def _inside(text):
    """[length] of bool: which characters stand in a tag or in a block."""
    inside, depth, at = bytearray(len(text)), 0, 0
    for tag in TAG.finditer(text):
        inside[at : tag.start()] = bytes([depth > 0]) * (tag.start() - at)
        inside[tag.start() : tag.end()] = b"\x01" * (tag.end() - tag.start())
        depth += bool(_OPENS.match(tag.group())) - bool(_CLOSES.match(tag.group()))
        at = tag.end()
    inside[at:] = bytes([depth > 0]) * (len(text) - at)
    return inside


def _parts(text):
    """The parts of an input, texts."""
    inside, cuts = _inside(text), []
    for space in re.finditer(r"\s+", text):
        first, end = space.span()
        if any(inside[first:end]) or end == len(text) or first == 0:
            continue
        before, after = text[:first], text[end:]
        starts = after[0].isupper() or after[0] in "\"'(" or (after.startswith("{{") and before[-1] in ".?!")
        if "\n" in space.group() or (_ENDED.search(before) and starts):
            cuts.append((first, end))
    edges = [0, *(edge for cut in cuts for edge in cut), len(text)]
    return [part for part in (text[a:b].strip() for a, b in zip(edges[::2], edges[1::2])) if part]


def _question(parts):
    """(first, last) of the parts that are the question; None where none is, all are, or it says where the text stands."""
    asking = [i for i, part in enumerate(parts) if "?" in TAG.sub("", part)]
    if not asking or (asking[0], asking[-1]) == (0, len(parts) - 1):
        return None
    own, rest = parts[asking[0] : asking[-1] + 1], parts[: asking[0]] + parts[asking[-1] + 1 :]
    said = " ".join(own) + " " + " ".join(part for part in rest if "{{" not in part)
    if _POINTS.search(TAG.sub("", said)) or "{{" not in " ".join(rest):
        return None
    return asking[0], asking[-1]


def place_of_question(text: str) -> str | None:
    """Where an input asks: "first", "last" or "inside"; None where that cannot be told, or nothing else could be before or behind it.

    >>> place_of_question("{{premise}} Does it follow that {{hypothesis}}? Yes or no?"), place_of_question("{{text}}")
    ('last', None)
    """
    parts = _parts(text)
    found = _question(parts)
    return None if found is None else "first" if found[0] == 0 else "last" if found[1] == len(parts) - 1 else "inside"


def move_question(text: str, place: str) -> str:
    """The input with its question "first" or "last", the parts a line each; it has one (place_of_question).

    >>> move_question("{{premise}} Does it follow that {{hypothesis}}? Yes or no?", "first")
    'Does it follow that {{hypothesis}}? Yes or no?\\n{{premise}}'
    """
    parts = _parts(text)
    found = _question(parts)
    if found is None:
        return text
    own, rest = parts[found[0] : found[1] + 1], parts[: found[0]] + parts[found[1] + 1 :]
    question, others = " ".join(own), "\n".join(rest)
    return f"{question}\n{others}" if place == "first" else f"{others}\n{question}"


def without_end_mark(text: str) -> str:
    """The input without the marks that end it.

    >>> without_end_mark("{{text}} Good or bad?"), without_end_mark("Who? {{text}}")
    ('{{text}} Good or bad', 'Who? {{text}}')
    """
    return text.rstrip(" .?!:\n")


class Enumeration(NamedTuple):
    """An input's choices in a row. spans: (begin, end) of each, as they stand.  order: the number of the choice that stands there."""

    spans: list[tuple[int, int]]
    order: list[int]

    def put(self, text: str, choices: list[str]) -> str:
        """The text with these in their places, in the case that stood there."""
        for (begin, end), choice in reversed(list(zip(self.spans, choices))):
            text = text[:begin] + _as_case(text[begin:end], choice) + text[end:]
        return text


def find_enumeration(text: str, choices: list[str]) -> Enumeration | None:
    """Where the choices, words or tags of a template, stand in a row, each once and in any case; None where they do not.

    >>> find_enumeration("Is it so? Yes or no?", ["Yes", "No"])
    Enumeration(spans=[(10, 13), (17, 19)], order=[0, 1])
    """
    if len(choices) < 2 or len({choice.lower() for choice in choices}) < len(choices):
        return None
    one = "|".join(f"(?<!\\w){re.escape(choice)}(?!\\w)" for choice in sorted(choices, key=len, reverse=True))
    number = {choice.lower(): i for i, choice in enumerate(choices)}
    for found in re.finditer(f"(?:{one})(?:{_BETWEEN}(?:{one})){{{len(choices) - 1}}}", text, re.IGNORECASE):
        spans = [match.span() for match in re.finditer(one, text[found.start() : found.end()], re.IGNORECASE)]
        spans = [(found.start() + begin, found.start() + end) for begin, end in spans]
        order = [number[text[begin:end].lower()] for begin, end in spans]
        if sorted(order) == list(range(len(choices))):
            return Enumeration(spans, order)
    return None


def _as_case(old, new):
    """The new word written as the old one was: small, capital at its beginning, or as it is."""
    if "{" in old or "{" in new:
        return new
    return new.lower() if old.islower() else new[:1].upper() + new[1:] if old[:1].isupper() and not old[1:].isupper() else new
