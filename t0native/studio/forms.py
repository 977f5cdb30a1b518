"""The writer's form: text fields to a template's content and back, and what two writers' forms become together.

A field that the form does not show stays as it is in the file; a value that is said in other words but means the same stays
as it was, so that saving an unchanged form changes no byte."""

import difflib
import re

from t0native.base.showing import shown
from t0native.prompts.promptfile import LANGUAGES, METRICS

__all__ = ["FIELDS", "blank", "content_of", "differences", "form_of", "merge", "read_form"]

FIELDS = {  # of the form, in its order -> as the page calls them
    "name": "Name",
    "jinja": "Template",
    "answer_choices": "Answer choices",
    "reference": "Reference",
    "original_task": "Original task",
    "choices_in_prompt": "Choices in prompt",
    "metrics": "Metrics",
    "languages": "Languages",
}
TRUTH = {"yes": True, "no": False, "": None}
MANY_WORDS, MANY_LINES = 3_000, 1_000
LIMITS = {"name": 200, "jinja": 20_000, "answer_choices": 20_000, "reference": 2_000}


def blank():
    """The form of a new prompt."""
    return dict.fromkeys(FIELDS, "") | {"metrics": [], "languages": "en"}


def form_of(content):
    """A content as the form's fields: text, and a list for metrics.

    >>> form_of({"name": "a", "jinja": "b ||| c", "metadata": {"original_task": True, "languages": ["en"]}})["original_task"]
    'yes'
    """
    metadata = content.get("metadata") or {}
    words = {value: word for word, value in TRUTH.items()}
    return {
        **{name: _lines(str(content.get(name) or "")) for name in ("name", "jinja", "answer_choices", "reference")},
        **{name: words[metadata[name]] if isinstance(metadata.get(name), bool) else "" for name in ("original_task", "choices_in_prompt")},
        "metrics": list(metadata.get("metrics") or []),
        "languages": ", ".join(metadata.get("languages") or []),
    }


def _lines(text):
    """A browser ends lines in CR LF, templates end them in LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_form(data):
    """The fields of a request's form."""
    form = {name: _lines(data.get(name, "")) for name in FIELDS if name != "metrics"}
    return form | {"metrics": data.getlist("metrics")}


def content_of(form, old=None):
    """(content, errors) of a form: errors is a dict field -> sentence. old: the content that was edited, or None.

    >>> content_of(blank())[1]["name"]
    'give the prompt a name'
    """
    errors = {}
    for name, most in LIMITS.items():
        if len(form[name]) > most:
            errors[name] = f"{len(form[name]):,} characters, at most {most:,}"
        elif re.search("\0" if name != "name" else "[\0-\x1f\x7f-\x9f]", form[name]):
            errors[name] = "control characters cannot be in it"
    if not form["name"].strip():
        errors["name"] = "give the prompt a name"
    if not form["jinja"].strip():
        errors["jinja"] = "write a template: input ||| target"
    languages = [tag for tag in re.split(r"[\s,;]+", form["languages"]) if tag]
    before = form_of(old) if old is not None else blank()
    known = set(LANGUAGES) | set(re.split(r", ", before["languages"]))
    if unknown := [tag for tag in languages if tag not in known]:
        errors["languages"] = f"{shown(unknown[0][:20])} is no ISO 639-1 tag: write tags as in: en, fr"
    wrong = [metric for metric in form["metrics"] if metric not in METRICS and metric not in before["metrics"]]
    if wrong:
        errors["metrics"] = f"{shown(wrong[0][:40])} is no metric of promptsource's list"
    for name in ("original_task", "choices_in_prompt"):
        if form[name] not in TRUTH:
            errors[name] = "must be yes, no or not said"
    return (None, errors) if errors else (_fill_content(form, before, old, languages), errors)


def _fill_content(form, before, old, languages):
    content = dict(old or {"answer_choices": None, "reference": "", "metadata": None})
    for name in ("name", "jinja", "answer_choices", "reference"):
        if form[name] != before[name] or old is None:
            content[name] = form[name] if form[name] or name == "reference" else None
    metadata = dict(content.get("metadata") or dict.fromkeys(("original_task", "choices_in_prompt", "metrics", "languages")))
    for name in ("original_task", "choices_in_prompt"):
        if form[name] != before[name] or old is None:
            metadata[name] = TRUTH[form[name]]
    if set(form["metrics"]) != set(before["metrics"]) or old is None:
        kept = [metric for metric in before["metrics"] if metric in form["metrics"]]
        metadata["metrics"] = kept + [metric for metric in form["metrics"] if metric not in kept]
    if form["languages"] != before["languages"] or old is None:
        metadata["languages"] = languages
    if old is None or metadata != (old.get("metadata") or dict.fromkeys(metadata)):
        content["metadata"] = metadata
    return content


# ---- two forms ------------------------------------------------------------------------------------------------------


def merge(base, theirs, mine):
    """Three forms -> (the merged form, fields in conflict). Where both changed a template, lines are merged; a field in
    conflict has mine.

    >>> a = blank() | {"jinja": "one\\ntwo\\nthree"}
    >>> form, conflicts = merge(a, a | {"jinja": "one\\ntwo\\n3"}, a | {"jinja": "1\\ntwo\\nthree", "name": "x"})
    >>> form["jinja"], form["name"], conflicts
    ('1\\ntwo\\n3', 'x', [])
    """
    merged, conflicts = {}, []
    for name in FIELDS:
        if mine[name] in (base[name], theirs[name]):
            merged[name] = theirs[name]
        elif theirs[name] == base[name]:
            merged[name] = mine[name]
        else:
            lines = _merge_lines(base[name], theirs[name], mine[name]) if name == "jinja" else None
            merged[name] = mine[name] if lines is None else lines
            if lines is None:
                conflicts.append(name)
    return merged, conflicts


def _merge_lines(base, theirs, mine):
    """Both changes to a text, where they touch different lines; else None."""
    base, sides = base.split("\n"), [text.split("\n") for text in (theirs, mine)]
    if max(map(len, (base, *sides))) > MANY_LINES:
        return None
    changes = []
    for lines in sides:
        opcodes = difflib.SequenceMatcher(None, base, lines).get_opcodes()
        changes.append([(begin, end, lines[at:to]) for kind, begin, end, at, to in opcodes if kind != "equal"])
    for begin, end, _ in changes[0]:
        if any(begin <= other_end and other_begin <= end for other_begin, other_end, _ in changes[1]):
            return None  # neighbours too: whether two inserted lines agree, only their writers know
    for begin, end, lines in sorted(changes[0] + changes[1], key=lambda change: change[0], reverse=True):
        base[begin:end] = lines
    return "\n".join(base)


def differences(old, new):
    """What lies between two forms: a list of (field's name, pieces); a piece is (kind, text), kind "same", "gone", "new".

    >>> differences(blank() | {"name": "a b"}, blank() | {"name": "a c"})
    [('Name', [('same', 'a '), ('gone', 'b'), ('new', 'c')])]
    """
    return [(title, _pieces(_text(old[name]), _text(new[name]))) for name, title in FIELDS.items() if old[name] != new[name]]


def _text(value):
    return ", ".join(value) if isinstance(value, list) else value


def _pieces(old, new):
    """By words; by lines where there are many words, and as a whole where there are many lines: comparing takes their product."""
    for pattern, most in ((r"\w+|\s+|[^\w\s]", MANY_WORDS), (r"[^\n]*\n|[^\n]+", MANY_LINES)):
        before, after = re.findall(pattern, old), re.findall(pattern, new)
        if max(len(before), len(after)) <= most:
            break
    else:
        before, after = [old], [new]
    pieces = []
    for kind, begin, end, at, to in difflib.SequenceMatcher(None, before, after).get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(before[begin:end])))
            continue
        pieces += [(name, "".join(words)) for name, words in (("gone", before[begin:end]), ("new", after[at:to])) if words]
    return pieces
