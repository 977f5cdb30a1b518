"""String arrays in Arrow's memory, sound ones and liars, given to the tokenizer: the ids are those of the texts, or the error is the one
that the lie deserves.

    python tests/fuzz_arrow.py [--inputs 1000000] [--from 0] [--seconds S]
    bash tests/sanitized tests/fuzz_arrow.py --inputs 1000000        under AddressSanitizer and UndefinedBehaviorSanitizer

Input number i is the same wherever a run begins, so --from goes on, and repeats one. An input is one array or a stream of several, of any
of the six formats, with entries in front and behind that do not count, a bitmap or none, texts in up to three buffers; one in three has a lie
of those that can be checked, in any of its arrays. The model has a piece a byte, so that an id is a byte + 3. Exit code 1 where
anything differs, or an array is not given back once. test_tokenizer_inputs.py runs a slice."""

import argparse
import random
import re
import struct
import sys
import time

from arrow_arrays import FILL, FORMATS, RELEASE, Chunks, Column, buffers_of, live, released
from spiece_files import ABSENT, BYTES, SWITCHES, field, model_file

from t0native import Tokenizer

PIECES = ["a", "cat", " ", "é", "日", "😀", "\0", "b" * 12, "c" * 13, "the tea is cold", "x" * 40]
MANY = [2, -1, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 63)]
BEYOND = [(1 << 61) + 1, 1 << 62, (1 << 63) - 1]
NOT_TEXT = ["n", "b", "i", "l", "g", "w:4", "+l", "+L", "+s", "+m", "+ud:0", "+r", "tdD", "d:9,2", "", "uu", "v", "vw", "U ", "\xff" * 40]


def tokenizer():
    """One of which the ids of a text are its bytes + 3."""
    normalizer = b"".join(field(number, False) for number in SWITCHES.values())
    return Tokenizer.from_bytes(model_file([*BYTES, ABSENT], trainer=field(35, True), normalizer=normalizer), extra_ids=0)


class Input:
    """Number i. column: what is given.  texts: its entries, bytes or None, that count.  error: a pattern of the error's message that is due,
    or None.  options: of encode_batch."""

    def __init__(self, i):
        self.rng = rng = random.Random(f"arrow {i}")
        self.format, self.error = rng.choice(FORMATS), None
        self.streamed = streamed = rng.random() < 0.4
        sizes = [rng.choice([0, 1, 1, 2, 3, 9, 17]) for _ in range(rng.choice([0, 1, 2, 5]) if streamed else 1)]
        self.options = {"add_eos": rng.random() < 0.3, "threads": rng.choice([1, 1, 1, 2]), "errors": rng.choice(["strict", "replace"])}
        self.options["max_length"] = rng.choice([None, None, 0, 1, 7])
        self.parts, self.texts = [], []
        lies = rng.random()
        liar = rng.randrange(len(sizes)) if sizes and lies < 0.3 else -1
        for k, n in enumerate(sizes):
            self.parts.append(self._column(n, liar == k))
        self.column = Chunks(*self.parts, format=self.format.encode()) if streamed else self.parts[0]
        if lies > 0.95:
            rng.choice(_OF_STREAMS if streamed else _OF_PAIRS)(self, self.column)

    def _column(self, n, lies):
        """An array of n texts, made whole; then, of a liar, one fact of it is changed."""
        rng = self.rng
        texts = ["".join(rng.choices(PIECES, k=rng.choice([0, 1, 2, 4]))).encode() for _ in range(n)]
        before, behind = rng.choice([0, 0, 1, 7, 8, 9]), rng.choice([0, 0, 1, 3])
        outside = [rng.choice([b"", b"??", None, b"\xff" * 14]) for _ in range(before + behind)]
        rows = [*outside[:before], *texts, *outside[before:]]
        buffers = buffers_of(rows, self.format, rng.choice([0, 0, 5]), rng.choice([1, 2, 3]))
        null_count = -1
        if all(row is not None for row in rows) and rng.random() < 0.5:
            buffers[0], null_count = rng.choice([buffers[0], None]), rng.choice([0, -1])
        if n == 0 and self.format[0] != "v" and not rows and rng.random() < 0.3:
            buffers = [None, None, None]
        lie = rng.choice(_IN_BUFFERS + _OF_ARRAYS) if lies else None
        if lie in _IN_BUFFERS:
            lie(self, texts, buffers, before)
        column = Column.of_buffers(buffers, self.format, n, before, null_count)
        if lie in _OF_ARRAYS:
            lie(self, column, n, before)
        self.texts += texts
        return column

    def due(self, error):
        """The message of the first error; an earlier one goes before."""
        self.error = self.error or error

    def wanted(self):
        """Lists of ids, or a pattern."""
        if self.error is not None:
            return self.error
        wanted = []
        for i, text in enumerate(self.texts):
            if self.options["errors"] == "replace":
                text = text.decode("utf-8", "replace").encode()
            ids = [byte + 3 for byte in text] + [1] * self.options["add_eos"]
            wanted.append(ids[: self.options["max_length"]])
        return wanted

    def given(self, tok):
        try:
            return [ids.tolist() for ids in tok.encode_batch(self.column, **self.options)]
        except Exception as error:  # of another kind than is due, too
            return f"{type(error).__name__}: {error}"
        finally:
            for part in [self.column, *self.parts]:
                part.release()


# ---- lies -----------------------------------------------------------------------------------------------------------
# Of buffers: (input, texts, buffers, entries in front).  Of an array: (input, column, n, entries in front).


def _at(input, texts):
    """(which of these texts, the pattern of its place), or None where there are none."""
    if not texts:
        return None
    k = input.rng.randrange(len(texts))
    return k, rf"ValueError: texts\[{len(input.texts) + k}\]"


def _null(input, texts, buffers, before):
    if (at := _at(input, texts)) and buffers[0] is not None:
        bits = bytearray(buffers[0])
        bits[(before + at[0]) // 8] &= ~(1 << (before + at[0]) % 8)
        buffers[0] = bytes(bits)
        input.due(rf"{at[1]} is null")


def _no_utf8(input, texts, buffers, before):
    if at := _at(input, texts):
        text = texts[at[0]]
        place = input.rng.randrange(len(text)) if text else None
        if place is None or input.format[0] == "v":
            return
        begin = _offset(input, buffers, before + at[0])
        buffers[2] = buffers[2][: begin + place] + b"\xff" + buffers[2][begin + place + 1 :]
        text = text[:place] + b"\xff" + text[place + 1 :]
        texts[at[0]] = text
        if input.options["errors"] == "strict":
            input.due(rf"{at[1]}: byte 0x.. at offset \d+ is not UTF-8")


def _width(input):
    return 4 if input.format in "uz" else 8


def _offset(input, buffers, i):
    return struct.unpack_from("<i" if _width(input) == 4 else "<q", buffers[1], i * _width(input))[0]


def _descend(input, texts, buffers, before):
    if input.format[0] == "v" or not (at := _at(input, texts)) or buffers[1] is None:
        return
    code, k = "<i" if _width(input) == 4 else "<q", at[0]
    changed = bytearray(buffers[1])
    begin = _offset(input, buffers, before + k)
    value = input.rng.choice([begin - 1, -1, -(1 << 31)])  # the end of text k, before its beginning
    struct.pack_into(code, changed, (before + k + 1) * _width(input), value)
    buffers[1] = bytes(changed)
    input.due(rf"{at[1]}: offsets that do not ascend")


def _no_bytes(input, texts, buffers, before):
    if input.format[0] != "v" and any(texts):
        buffers[2] = None
        k = next(k for k, text in enumerate(texts) if text)
        input.due(rf"ValueError: texts\[{len(input.texts) + k}\]: offsets that do not ascend")


def _no_views(input, texts, buffers, before):
    if texts:
        buffers[1] = None
        input.due(rf"ValueError: texts\[{len(input.texts)}\]: no (offsets|views)")


def _view(input, texts, buffers, before):
    """A view that points elsewhere than into its buffer."""
    long = [k for k, text in enumerate(texts) if len(text) > 12]
    if input.format[0] != "v" or not texts:
        return
    views, rng = bytearray(buffers[1]), input.rng
    k = rng.choice(long) if long else rng.randrange(len(texts))
    at, place = (before + k) * 16, rf"ValueError: texts\[{len(input.texts) + k}\]"
    if not long or rng.random() < 0.2:
        struct.pack_into("<i", views, at, rng.choice([-1, -13, -(1 << 31)]))
        input.due(rf"{place}: a negative size")
    else:
        _bend(input, buffers, views, at, place)
    buffers[1] = bytes(views)


def _bend(input, buffers, views, at, place):
    """One of the numbers of a long view at byte `at`."""
    rng, n = input.rng, len(buffers) - 3
    number, begin = struct.unpack_from("<ii", views, at + 8)
    what = rng.randrange(4)
    if what == 0:
        struct.pack_into("<i", views, at + 8, rng.choice([n, -1, 1 << 30, -(1 << 31)]))
    elif what == 1:
        struct.pack_into("<i", views, at + 12, rng.choice([-1, len(buffers[2 + number]), (1 << 31) - 1, -(1 << 31)]))
    elif what == 2:
        struct.pack_into("<i", views, at, rng.choice([len(buffers[2 + number]) - begin + 1, (1 << 31) - 1]))
    else:
        views[at + 4 + rng.randrange(4)] ^= 1 << rng.randrange(8)
    input.due(rf"{place}: a view (beyond its buffer|that does not begin as its text does)")


def _sizes(input, texts, buffers, before):
    """Of the buffers that views lie in: none, or one that is no size."""
    first = next((k for k, text in enumerate(texts) if len(text) > 12), None)
    if input.format[0] != "v" or first is None:
        return
    place = rf"ValueError: texts\[{len(input.texts) + first}\]"
    if input.rng.random() < 0.5:
        buffers[-1] = None
        input.due(rf"{place}: no sizes")
    else:
        buffers[-1] = struct.pack("<q", input.rng.choice([0, -1, -(1 << 63)])) * (len(buffers) - 3)
        input.due(rf"{place}: a view beyond its buffer")


def _negative(input, column, n, before):
    setattr(column.array, input.rng.choice(["length", "offset"]), -input.rng.choice([1, 1 << 31, 1 << 63]))
    _due_whole(input, "a negative length or offset")


def _beyond(input, column, n, before):
    setattr(column.array, input.rng.choice(["length", "offset"]), input.rng.choice(BEYOND))
    _due_whole(input, "a length and offset beyond what memory can hold")


def _nulls(input, column, n, before):
    column.array.null_count = input.rng.choice([-2, n + 1, 1 << 62, -(1 << 63)])
    _due_whole(input, "a number of nulls that cannot be")


def _nulls_that_are_not(input, column, n, before):
    if n:
        column.array.null_count = input.rng.randrange(1, n + 1)
        _due_whole(input, "a number of nulls(, and no text that is null| that cannot be)")


def _counts(input, column, n, before):
    if input.rng.random() < 0.5:
        column.array.n_buffers = input.rng.choice([0, 1, *MANY])
    else:
        column.array.buffers = None
    _due_whole(input, "too few buffers, or too many")


def _children(input, column, n, before):
    if input.rng.random() < 0.5:
        column.array.n_children = input.rng.choice([1, *MANY])
    else:
        column.array.dictionary = 8
    _due_whole(input, "children or a dictionary")


def _due_whole(input, what):
    input.due(rf"ValueError: texts\[{len(input.texts)}\]: {what}")


def _taken(input, column, n, before):
    """By somebody else, in the one way that an array of a stream cannot be: there it is the end."""
    if input.streamed:
        return
    column.release()
    input.due("ValueError: texts: the Arrow array was consumed already")


# Of what is given: (input, Column or Chunks).


def _schema(input, column):
    what = input.rng.randrange(5)
    column.schema.format = input.format.encode()
    if what == 0:
        column.schema.format = input.rng.choice(NOT_TEXT).encode()
        input.due("TypeError: texts: an Arrow (array of format|table)")
    elif what == 1:
        column.schema.dictionary = 8
        input.due("TypeError: texts: a dictionary-encoded")
    elif what == 2:
        column.schema.n_children = input.rng.choice(MANY)
        input.due("ValueError: texts: an Arrow schema of strings with children")
    elif what == 3:
        column.schema.format = None
        input.due("ValueError: texts: the Arrow schema has no format")
    else:
        column.schema.release = RELEASE()
        input.due("ValueError: texts: the Arrow schema was consumed already")


def _pair(input, column):
    column.names = input.rng.choice(
        [(b"arrow_schema", b"arrow_schema"), (b"arrow_array", b"arrow_schema"), (b"", b""), (b"x", b"arrow_array")]
    )
    input.due("TypeError: texts: __arrow_c_array__ must return two PyCapsules")


def _fail_at_the_end(input, chunks):
    chunks.error.value = b"disk on fire"
    input.due("ValueError: texts: the Arrow stream failed: disk on fire")


def _no_schema(input, chunks):
    chunks.code = 5
    input.due("ValueError: texts: the Arrow stream has no schema")


def _no_stream(input, chunks):
    setattr(chunks.stream, *input.rng.choice([("release", RELEASE()), ("get_schema", FILL()), ("get_next", FILL())]))
    input.due("ValueError: texts: the Arrow stream was consumed already")


def _other_name(input, chunks):
    chunks.name = input.rng.choice([b"arrow_stream", b"arrow_array", b""])
    input.due("TypeError: texts: __arrow_c_stream__ must return a PyCapsule")


_IN_BUFFERS = [_null, _no_utf8, _descend, _no_bytes, _no_views, _view, _sizes]
_OF_ARRAYS = [_negative, _beyond, _nulls, _nulls_that_are_not, _counts, _children, _taken]
_OF_PAIRS = [_schema, _pair]
_OF_STREAMS = [_schema, _fail_at_the_end, _no_schema, _no_stream, _other_name]


# ---- runs -----------------------------------------------------------------------------------------------------------


def fuzz(first, n, seconds=float("inf"), tell=lambda done, lies: None):
    """Inputs first ... first + n - 1, as many as there are seconds for: [(number, what was wanted, what came)] of those that differ."""
    tok, wrong, began, lies = tokenizer(), [], time.monotonic(), 0
    for i in range(first, first + n):
        before = set(live)
        input = Input(i)
        wanted = input.wanted()
        have = input.given(tok)
        fits = re.match(wanted, have) if isinstance(wanted, str) and isinstance(have, str) else wanted == have
        if not fits or set(live) - before:
            wrong.append((i, wanted, have if not fits else "an array was not given back"))
        lies += input.error is not None
        released.clear()
        if i % 1000 == 999:
            tell(i + 1 - first, lies)
            if time.monotonic() - began > seconds:
                break
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    options = parser.parse_args()
    began, last = time.monotonic(), [0, 0]

    def tell(done, lies):
        last[:] = done, lies
        if done % 50_000 == 0:
            print(f"{options.first + done:,}: {done / (time.monotonic() - began):,.0f} a second", flush=True)

    wrong = fuzz(options.first, options.inputs, options.seconds, tell)
    for difference in wrong[:10]:
        print("input {}\n   want {!r}\n   have {!r}".format(*difference))
    print(f"{last[0]:,} inputs from {options.first:,}, {last[1]:,} of them lie, {time.monotonic() - began:.0f} s; {len(wrong)} differ")
    return len(wrong) > 0


if __name__ == "__main__":
    sys.exit(main())
