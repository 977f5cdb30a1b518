"""The process that renders previews; workers.py starts it and speaks to it: frames of JSON behind their length (4 bytes).

It loads what is needed once. For every request it makes a child, which gives up everything else before it looks at the
template, answers into a pipe and ends: nothing that a template does outlasts it.

    processor time   100 ms     timer of the kernel: its signal ends the child
    time             3 s        the same (for what waits; a busy machine is slow)
    memory           64 MB more than it has
    files, sockets   none: it may open no descriptor
    the evaluator's own budgets come first, and name the line

Only the first three are told as a limit that the template met. A child that ends in another way has failed: {"failed": sentence}."""

import gc
import hashlib  # noqa: F401  uuid5, by which a prompt gets its id, imports it when called: a child can open no file
import json
import os
import re
import resource
import signal
import struct
import sys
from pathlib import Path

from t0native.base.errors import DataError, TemplateError
from t0native.base.jsontext import json_text
from t0native.base.showing import printable, shown
from t0native.prompts.preview import colour_fields
from t0native.prompts.prompt import prompt_as_written
from t0native.studio.checks import row_warnings
from t0native.studio.children import how_it_ended
from t0native.text.tokenizer import Tokenizer

__all__ = ["main", "read_frame", "work", "write_frame"]

CPU, WALL, MEMORY = 0.1, 3.0, 64 << 20
MAX_TEXT, MAX_ANSWER = 20_000, 8 << 20
BUDGETS = {"max_steps": 300_000, "max_output": 200_000, "max_memory": 32_000_000}
ENDS = {
    signal.SIGPROF: f"used up {CPU * 1000:.0f} ms of processor time: make the template simpler",
    signal.SIGALRM: f"did not end within {WALL:.0f} s: try again, or make the template simpler",
}
NO_MEMORY = b'{"limit": "used up its memory: make the template simpler"}'


def main():
    """Serves frames until the input ends."""
    tokenizer = None
    if len(sys.argv) > 1:
        place = Path(sys.argv[1])
        tokenizer = Tokenizer.from_folder(place) if place.is_dir() else Tokenizer.from_file(place)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the server says when to end
    gc.freeze()
    while (request := read_frame(0)) is not None:
        write_frame(1, _in_child(json.loads(request), tokenizer))


def read_frame(descriptor):
    """The next frame's bytes, None at the end."""
    head = _read(descriptor, 4)
    return _read(descriptor, struct.unpack("<I", head)[0]) if head else None


def _read(descriptor, count):
    data = bytearray()
    while len(data) < count:
        piece = os.read(descriptor, min(count - len(data), 1 << 20))
        if not piece:
            return None
        data += piece
    return bytes(data)


def write_frame(descriptor, data):
    view = memoryview(struct.pack("<I", len(data)) + data)
    while view:
        view = view[os.write(descriptor, view) :]


def _in_child(request, tokenizer):
    """The answer of a child, as bytes of JSON; what ended it, where it gave none."""
    size = _address_space()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _answer_and_end(request, tokenizer, writing, size)
    os.close(writing)
    answer = read_frame(reading)
    os.close(reading)
    _, status = os.waitpid(child, 0)
    if answer is not None:
        return answer
    code = os.waitstatus_to_exitcode(status)
    if -code in ENDS:
        return json_text({"limit": ENDS[-code]}).encode()
    return json_text({"failed": f"The process of this preview {how_it_ended(code)}, without an answer"}).encode()


def _answer_and_end(request, tokenizer, writing, size):
    """What the child does; it never returns."""
    try:
        for descriptor in (0, 1, 2):
            os.dup2(writing, descriptor)
        _confine(size)
        answer = json_text(work(request, tokenizer), "null").encode()
    except MemoryError:
        answer = NO_MEMORY
    except BaseException as error:  # noqa: BLE001 - whatever it is, nobody above could tell it
        answer = json_text({"failed": printable(f"The preview failed: {type(error).__name__}: {error}")}).encode()
    try:
        write_frame(1, answer)
    except MemoryError:
        os.write(1, struct.pack("<I", len(NO_MEMORY)) + NO_MEMORY)
    finally:
        os._exit(0)


def _confine(size):
    """No more files, sockets or children; little time and memory. Only the pipe of the answer stays open."""
    os.closerange(3, 256)
    for limit in (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC):
        resource.setrlimit(limit, (3 if limit == resource.RLIMIT_NOFILE else 0,) * 2)
    if size is not None:
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY,) * 2)
    signal.setitimer(signal.ITIMER_PROF, CPU)
    signal.setitimer(signal.ITIMER_REAL, WALL)


# ---- what a child does ----------------------------------------------------------------------------------------------


def work(request, tokenizer=None):
    """request: content (a template's fields), rows, first (the number of the first row), coloured.

    {"error", "line", "column", "of"} where the template does not compile; else {"rows": one dict a row, "warnings"}.

    >>> answer = work({"content": {"name": "p", "jinja": "{{ a }}? ||| b"}, "rows": [{"a": "x"}]})
    >>> answer["rows"][0]["input"], answer["rows"][0]["target"], answer["warnings"]
    ([['x', True], ['?', False]], [['b', False]], [])
    """
    content = request["content"]
    texts = content["name"], content["jinja"], content.get("answer_choices")
    prompt = prompt_as_written(*texts, id=content.get("id"), budgets=BUDGETS)
    try:
        prompt.fields  # noqa: B018 - compiles template and choices
    except TemplateError as error:
        of = "answer choices" if str(error).startswith("answer_choices of") else "template"
        return {"error": _error_text(error, prompt), "line": getattr(error, "line", 0), "column": getattr(error, "column", 0), "of": of}
    rows, first = request.get("rows", []), request.get("first", 0)
    rendered = [_render_row(prompt, row, first + i) for i, row in enumerate(rows)]
    shown = [_describe_row(prompt, row, first + i, example, tokenizer) for i, (row, example) in enumerate(zip(rows, rendered))]
    in_prompt = (content.get("metadata") or {}).get("choices_in_prompt")
    return {"rows": shown, "warnings": row_warnings(prompt, rows, rendered, in_prompt)}


def _error_text(error, prompt):
    text = str(error).removeprefix("answer_choices of ").removeprefix(f"prompt {shown(prompt.name)}, ")
    return re.sub(r": raise max_\w+$", ": make the template simpler", text)


def _render_row(prompt, row, index):
    try:
        return prompt.render(row, index=index)
    except (DataError, TemplateError) as error:
        return error


def _describe_row(prompt, row, index, example, tokenizer):
    """One row for the page: input and target as pieces [text, whether it came from a field]."""
    if isinstance(example, Exception):
        return {"error": _error_text(example, prompt)}
    row = {key.replace("-", "_"): value for key, value in row.items()}
    parts = prompt.apply(row, index=index)
    shown = {
        "parts": len(parts),
        "dropped": prompt.why_dropped(row, index=index) if example is None else None,
        "choices": prompt.choices(row),
    }
    if example is None:
        example = (parts[0], parts[1] if len(parts) > 1 else "", None)
    shown["cut"] = prompt.apply(row, truncate=False, index=index) != parts
    marked = colour_fields(prompt, row, index, parts)
    pieces = marked if len(marked) == 2 else [[[example[0], False]], [[example[1], False]]]
    for name, text, side in zip(("input", "target"), example, pieces):
        shown[name] = _cut_pieces(side) if text else []
        shown[f"{name}_text"] = text[:MAX_TEXT]
        if tokenizer is not None and text:
            shown[f"{name}_tokens"] = _tokens(tokenizer, text[:MAX_TEXT])
    return shown


def _cut_pieces(pieces):
    """As many pieces as MAX_TEXT characters are; the first and last without outer white space."""
    kept, room = [], MAX_TEXT
    for text, field in pieces[:2000]:
        kept.append([text[:room], field])
        room -= len(text)
        if room <= 0:
            break
    if kept:
        kept[0][0], kept[-1][0] = kept[0][0].lstrip(), kept[-1][0].rstrip()
    return [piece for piece in kept if piece[0]]


def _tokens(tokenizer, text):
    explanation = tokenizer.explain(text.encode("utf-8", "replace").decode())
    return {"count": len(explanation.pieces) + 1, "lost": explanation.lost, "decoded": explanation.decoded if explanation.lost else None}


def _address_space():
    """Bytes; None on systems that do not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return None


if __name__ == "__main__":
    main()
