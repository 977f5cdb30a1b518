"""What was meant by a line of a prompt file that YAML takes otherwise: a sentence with the line that says it.

    jinja: {{ text }} Good?        {{ begins a mapping          jinja: '{{ text }} Good?'
    jinja: Question: {{ text }}    so does a colon              jinja: 'Question: {{ text }}'
    jinja: "{{ a }}" or not?       text behind the marks        jinja: '"{{ a }}" or not?'
    jinja: 'It isn't'              a mark within the marks      jinja: 'It isn''t'
    jinja: Is it # 1? ||| yes      a comment, silently          jinja: 'Is it # 1? ||| yes'
    <tab>jinja: a ||| b            no tabs in indentation       spaces

The line is looked for from where YAML stopped backwards: the first whose text alone YAML does not read as a text."""

import re

import yaml

from t0native.base.showing import named, printable
from t0native.base.yamltext import SafeLoader

__all__ = ["cut_by_a_comment", "lines_of_yaml", "quoted_line", "what_was_meant"]

LOOKED_BACK, LONGEST, MOST = 12, 160, 4_000  # lines; characters of a line that is written out, and of one whose key may be any
_FIELD = re.compile(r"(\s*(?:- +)?)(name|jinja|answer_choices|reference)[ ]*:(?=\s|$)[ ]*(.*)")
_OTHER = re.compile(r"(\s*(?:- +)?)([^\s:#'\"{}\[\]][^:#{}\[\]]*?)[ ]*:(?=\s|$)[ ]*(\{[{%#].*)")
_FIRST = {
    "{": "{ begins a mapping", "[": "[ begins a list", "*": "* begins an alias", "&": "& begins an anchor", "!": "! begins a tag",
    "|": "| begins a block of lines", ">": "> begins a block of lines", "%": "% cannot begin a text", "@": "@ cannot begin a text",
    "`": "` cannot begin a text", '"': "its quotation marks do not enclose one text", "'": "its quotation marks do not enclose one text",
    "-": "- begins a list", "?": "? begins a key", "#": "# begins a comment",
}  # fmt: skip


def what_was_meant(content, error):
    """(line from 1, a sentence) about the line of a file that a YAMLError is owed to, or None where it is none of these.

    >>> try: yaml.safe_load(b"jinja: {{ text }}, really? ||| {{ label }}")
    ... except yaml.YAMLError as error: print(what_was_meant(b"jinja: {{ text }}, really? ||| {{ label }}", error)[1])
    { begins a mapping in YAML; in quotation marks it is text: jinja: '{{ text }}, really? ||| {{ label }}'
    """
    mark, lines = getattr(error, "problem_mark", None), lines_of_yaml(content)
    if mark is None or not lines:
        return None
    last = min(mark.line, len(lines) - 1)
    indent = re.match(r"\s*", lines[last])[0]
    if "\t" in indent:
        return last + 1, f"a tab in the indentation, where YAML takes spaces alone: {shown_line(lines[last].expandtabs(4))}"
    for number in range(last, max(-1, last - LOOKED_BACK), -1):
        match = _FIELD.fullmatch(lines[number]) or (len(lines[number]) <= MOST and _OTHER.fullmatch(lines[number]))
        if match and not _is_text(lines, number, last, match):
            return number + 1, _quote(lines, number, match)
    return _other_column(lines, last)


def lines_of_yaml(content):
    """The lines of a file's bytes, as YAML counts them: UTF-8, or UTF-16 behind its mark."""
    return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace").splitlines()


def quoted_line(key, value):
    """A field with its text in quotation marks, as YAML reads it.

    >>> quoted_line("jinja", "It isn't {{ x }}")
    "jinja: 'It isn''t {{ x }}'"
    """
    doubled = value.replace("'", "''")
    return f"{key}: '{doubled}'"


def shown_line(line):
    return printable(line) if len(line) <= LONGEST else f"{printable(line[:LONGEST])} ..."


def cut_by_a_comment(lines, key, value):
    """(line from 1, a sentence) about a field's text that a comment cuts off, in which there is a part of a template. None where there is
    nothing of the kind. lines: of the file.  key, value: nodes."""
    line = value.end_mark.line
    if line >= len(lines) or value.style:
        return None
    whole = lines[line]
    rest = whole[value.end_mark.column :]
    if not re.match(r"\s+#", rest) or not re.search(r"\|\|\||\{\{|\}\}|\{%", rest):
        return None
    if line != key.start_mark.line:
        return line + 1, f"# begins a comment in YAML, and cuts the text of {named(key.value)} off; {_block(key.value)}"
    text = whole[key.end_mark.column :].lstrip(" :")
    return line + 1, f"# begins a comment in YAML, and cuts the text off; {_or_block(key.value, text)}"


# ---- inside ---------------------------------------------------------------------------------------------------------


def _block(key):
    return f"write {named(key)}: |- and the text in the lines below it, indented"


def _or_block(key, text):
    line = quoted_line(key, text)
    return f"in quotation marks it is text: {printable(line)}" if len(line) <= LONGEST else _block(key)


def _is_text(lines, number, last, match):
    """Whether YAML reads a text, or nothing, behind this key: of this line, or with the lines behind it up to the last."""
    if match[3][:1] in ("|", ">") and re.fullmatch(r"[|>][-+0-9]*\s*(#.*)?", match[3]):
        return True
    text = f"x: {match[3]}"
    for line in ("", *lines[number + 1 : last + 1]):
        text += f"\n  {line.strip()}" if line else ""
        try:
            value = yaml.compose(text, SafeLoader).value[0][1]
        except yaml.YAMLError:
            continue
        return isinstance(value, yaml.ScalarNode) or (match[2] == "answer_choices" and isinstance(value, yaml.SequenceNode))
    return False


def _quote(lines, number, match):
    indent, key, text = match.groups()
    text = text.rstrip()
    why = _FIRST.get(text[:1], "a colon with a space behind it makes a mapping")
    marks = text[:1] if text[:1] in "'\"" and len(text) > 1 and text.endswith(text[0]) else ""
    if marks:
        text, why = text[1:-1], "the quotation marks in the text, or its \\, are not written so"
    elif text[:1] in ("'", '"') and text.count(text[0]) == 1 and not _goes_on(lines, number, indent):
        text, why = text[1:], "the quotation mark at its beginning is not closed"
    if _goes_on(lines, number, indent):
        return f"{why} in YAML; {_block(key)}"
    if key not in _FIELD.pattern:
        line = f"{key}: {{{quoted_line('jinja', text)}}}"
        return f"{why} in YAML; in quotation marks it is text: {shown_line(line)}"
    return f"{why} in YAML; {_or_block(key, text)}"


def _goes_on(lines, number, indent):
    """Whether the line behind it is a part of its text: deeper, and no field."""
    if number + 1 >= len(lines):
        return False
    line = lines[number + 1]
    depth = len(line) - len(line.lstrip())
    return bool(line.strip()) and depth > len(indent.replace("-", " ")) and not re.match(r"\s*[\w-]+:(\s|$)", line)


def _other_column(lines, last):
    """About a field that does not begin in the column of the one before it."""
    mine = _FIELD.fullmatch(lines[last])
    before = next((m for line in reversed(lines[max(0, last - LOOKED_BACK) : last]) if (m := _FIELD.fullmatch(line))), None)
    if mine is None or before is None or len(mine[1]) == len(before[1]):
        return None
    text = shown_line(f"{' ' * len(before[1])}{lines[last].strip()}")
    told = f"{len(mine[1])} spaces before {mine[2]}, and {len(before[1])} before {before[2]}"
    return last + 1, f"{told}; fields of one template begin in one column: {text}"
