"""String arrays as Arrow's C data interface hands them over, made by ctypes, so that no package is needed, and lied about at will.

    Column   one array: __arrow_c_array__        Chunks   arrays one after another: __arrow_c_stream__

Buffers are malloc's, each as long as what is in it, and free's once the array is released: a reader that goes too far, or on after
that, is seen by a sanitizer."""

import ctypes
import itertools
import struct

P, I64 = ctypes.c_void_p, ctypes.c_int64
RELEASE = ctypes.CFUNCTYPE(None, P)
FILL = ctypes.CFUNCTYPE(ctypes.c_int, P, P)
LAST = ctypes.CFUNCTYPE(P, P)
FORMATS = ("u", "z", "U", "Z", "vu", "vz")

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype, new_capsule.argtypes = ctypes.py_object, [P, ctypes.c_char_p, P]
_libc = ctypes.CDLL(None)
_malloc, _free = _libc.malloc, _libc.free
_malloc.restype, _malloc.argtypes, _free.restype, _free.argtypes = P, [ctypes.c_size_t], None, [P]

live = {}  # number of an array that is not released yet: the addresses of its buffers
released = []  # a number an array that was given back
_numbers = itertools.count(1)


class Schema(ctypes.Structure):
    _fields_ = [("format", ctypes.c_char_p), ("name", ctypes.c_char_p), ("metadata", ctypes.c_char_p), ("flags", I64),
                ("n_children", I64), ("children", P), ("dictionary", P), ("release", RELEASE), ("private", P)]  # fmt: skip


class Array(ctypes.Structure):
    _fields_ = [("length", I64), ("null_count", I64), ("offset", I64), ("n_buffers", I64), ("n_children", I64),
                ("buffers", ctypes.POINTER(P)), ("children", P), ("dictionary", P), ("release", RELEASE), ("private", P)]  # fmt: skip


class Stream(ctypes.Structure):
    _fields_ = [("get_schema", FILL), ("get_next", FILL), ("get_last_error", LAST), ("release", RELEASE), ("private", P)]


@RELEASE
def release_schema(at):
    Schema.from_address(at).release = RELEASE()


@RELEASE
def release_array(at):
    array = Array.from_address(at)
    for buffer in live.pop(array.private):
        _free(buffer)
    released.append(array.private)
    array.release = RELEASE()


def _placed(data):
    at = _malloc(len(data))
    ctypes.memmove(at, data, len(data))
    return at


def bits_of(rows):
    """The validity of entries, of which None is a null."""
    return bytes(sum((row is not None) << k for k, row in enumerate(rows[i : i + 8])) for i in range(0, len(rows), 8))


def buffers_of(rows, format, begin=0, bodies=1):
    """[validity, offsets or views, bytes ...] of entries, bytes or None.  begin: of the first in the bytes.  bodies: how many buffers the
    texts of views lie in."""
    plain = [row or b"" for row in rows]
    if format in ("vu", "vz"):
        parts, views = [b""] * bodies, []
        for i, row in enumerate(plain):
            place = len(parts[i % bodies])
            short = len(row) <= 12
            views.append(struct.pack("<i12s", len(row), row) if short else struct.pack("<i4sii", len(row), row[:4], i % bodies, place))
            parts[i % bodies] += b"" if short else row
        return [bits_of(rows), b"".join(views), *parts, struct.pack(f"<{bodies}q", *map(len, parts))]
    ends = list(itertools.accumulate(map(len, plain), initial=begin))
    return [bits_of(rows), struct.pack(f"<{len(ends)}{'i' if format in 'uz' else 'q'}", *ends), b"?" * begin + b"".join(plain)]


class Column:
    """Texts as an Arrow array of this format. offset: entries in front that do not count; None in texts: null.  buffers: in place of
    those that are made of the texts."""

    def __init__(self, texts, format="u", offset=0, buffers=None, null_count=-1):
        rows = [b"?"] * offset + [t if t is None or isinstance(t, bytes) else t.encode() for t in texts]
        self.fill(buffers or buffers_of(rows, format), format, len(texts), offset, null_count)

    @classmethod
    def of_buffers(cls, buffers, format, length, offset=0, null_count=-1):
        column = cls.__new__(cls)
        column.fill(buffers, format, length, offset, null_count)
        return column

    def fill(self, buffers, format, length, offset, null_count):
        number = next(_numbers)
        places = [None if data is None else _placed(data) for data in buffers]
        live[number] = [place for place in places if place is not None]
        self.pointers = (P * len(places))(*places)
        self.schema = Schema(format.encode(), release=release_schema)
        self.array = Array(length, null_count, offset, len(places), buffers=self.pointers, release=release_array, private=number)
        self.names = b"arrow_schema", b"arrow_array"

    def release(self):
        """For an array that nobody took."""
        if self.array.release:
            release_array(ctypes.addressof(self.array))

    def __arrow_c_array__(self, requested_schema=None):
        return tuple(new_capsule(ctypes.addressof(of), name, None) for of, name in zip((self.schema, self.array), self.names))


class Chunks:
    """Columns as an Arrow stream; fails with `error` at its end when given."""

    def __init__(self, *columns, format=b"u", error=None):
        self.left, self.seen, self.error, self.schema = (
            list(columns)[::-1],
            [],
            ctypes.create_string_buffer(error or b"", 100),
            Schema(format),
        )
        self.schema.release = release_schema
        self.calls = FILL(self.fill_schema), FILL(self.fill_array), LAST(lambda _: ctypes.addressof(self.error)), RELEASE(lambda _: None)
        self.stream, self.name, self.code = Stream(*self.calls), b"arrow_array_stream", 0

    def fill_schema(self, _, at):
        ctypes.memmove(at, ctypes.byref(self.schema), ctypes.sizeof(Schema))
        return self.code

    def fill_array(self, _, at):
        if self.error.value and not self.left:
            return 5
        if self.left:
            column = self.left.pop()
            self.seen.append(column)  # its pointers are in use
            ctypes.memmove(at, ctypes.byref(column.array), ctypes.sizeof(Array))
            column.array.release = RELEASE()  # moved
        return 0

    def release(self):
        for column in self.left:
            column.release()

    def __arrow_c_stream__(self, requested_schema=None):
        return new_capsule(ctypes.addressof(self.stream), self.name, None)
