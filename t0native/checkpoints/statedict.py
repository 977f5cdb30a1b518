"""A pickled state dict of PyTorch, read without unpickling.

A pickle is a program for a stack machine. Of its opcodes a state dict needs those in the table at the end; here they build
records of what the program names, and nothing that it names is imported or called:

    {"shared.weight": Tensor(Storage("F32", "0", 64), offset 0, shape (8, 8), strides (8, 1)), ...}

Four globals are known by name: collections.OrderedDict, torch._utils._rebuild_tensor_v2 and _rebuild_parameter, and the
storage types. Any other, or any other opcode, is a FormatError that names it. Each opcode makes at most one object of
bounded size, keys are only texts and numbers, and no nested value is ever compared, hashed or printed, so that time and memory are
bounded by the length of the program, which is bounded too. Format: Python's pickletools."""

from __future__ import annotations

import struct
from typing import NamedTuple

from t0native.base.errors import FormatError
from t0native.base.showing import shown
from t0native.checkpoints.tensorfiles import is_count, is_shape

__all__ = ["LONGEST", "Storage", "Tensor", "read_state_dict"]

LONGEST = 1 << 21  # bytes; a T5 with 11 billion weights has 0.3 million
_STORAGES = {
    "FloatStorage": "F32",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "DoubleStorage": "F64",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
}


class Global(NamedTuple):
    module: str
    name: str


class Storage(NamedTuple):
    dtype: str
    key: str  # names the member of the archive that holds the elements
    count: int  # elements


class Tensor(NamedTuple):
    storage: Storage
    offset: int  # elements
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # elements


_ORDERED = Global("collections", "OrderedDict")
_TENSOR = Global("torch._utils", "_rebuild_tensor_v2")
_PARAMETER = Global("torch._utils", "_rebuild_parameter")
_KNOWN = {_ORDERED, _TENSOR, _PARAMETER, *(Global("torch", name) for name in _STORAGES)}


def read_state_dict(where, program):
    """{name: Tensor} of the bytes of a pickle; FormatError, which begins with `where`, for anything else."""
    if len(program) > LONGEST:
        raise FormatError(f"{where}: a pickle of {len(program)} bytes; at most {LONGEST} are read")
    state = _Machine(where, program).run()
    if type(state) is not dict:
        raise FormatError(f"{where}: holds {_kind(state)}, not a state dict of names and tensors")
    for name, value in state.items():
        if type(name) is not str:
            raise FormatError(f"{where}: key {shown(name)}: must be the name of a tensor")
        if type(value) is not Tensor:
            raise FormatError(f"{where}: key {shown(name)} holds {_kind(value)}, not a tensor; save the model's state_dict() alone")
    return state


def _kind(value):
    """What a value is, without looking inside it."""
    return {dict: "a mapping", Global: "a global", Storage: "a storage", Tensor: "a tensor"}.get(type(value), f"a {type(value).__name__}")


class _Machine:
    def __init__(self, where, program):
        self.where, self.program, self.at = where, program, 0
        self.stack, self.marks, self.memo = [], [], {}

    def run(self):
        """Runs the program to its end; what is left on the stack."""
        while True:
            self.start = self.at
            opcode = self.take(1)
            if opcode == b".":
                break
            step = _OPCODES.get(opcode)
            if step is None:
                self.fail(f"opcode {shown(opcode)}, which no state dict needs; it was not run")
            step(self)
        if self.marks or len(self.stack) != 1 or self.at != len(self.program):
            self.fail("the pickle does not end with one object")
        return self.stack.pop()

    def fail(self, what):
        raise FormatError(f"{self.where}: offset {self.start}: {what}")

    # ---- the program's bytes and the stack ---------------------------------------------------------

    def take(self, count):
        if count > len(self.program) - self.at:
            self.fail("the pickle ends inside an instruction")
        self.at += count
        return self.program[self.at - count : self.at]

    def number(self, form):
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, data):
        try:
            return data.decode()
        except UnicodeDecodeError:
            self.fail("a text that is not UTF-8")

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.fail("an instruction finds nothing on the stack")
        return self.stack.pop()

    def top(self):
        value = self.pop()
        self.push(value)
        return value

    def pop_mark(self):
        """What was pushed since the last mark."""
        if not self.marks:
            self.fail("an instruction finds no mark")
        first = self.marks.pop()
        values = self.stack[first:]
        del self.stack[first:]
        return values

    # ---- instructions -------------------------------------------------------------------------------

    def proto(self):
        version = self.number("<B")
        if version != 2:
            self.fail(f"pickle protocol {version}; torch.save writes 2: save it again with pickle_protocol=2")

    def long1(self):
        length = self.number("<B")
        if length > 8:
            self.fail(f"a number of {length} bytes; 8 are enough for any size")
        self.push(int.from_bytes(self.take(length), "little", signed=True))

    def find_global(self):
        end = self.program.find(b"\n", self.at)
        last = self.program.find(b"\n", end + 1) if end >= 0 else -1
        if last < 0:
            self.fail("the pickle ends inside an instruction")
        module, name = self.text(self.take(end + 1 - self.at)[:-1]), self.text(self.take(last + 1 - self.at)[:-1])
        if Global(module, name) not in _KNOWN:
            full_name = f"{module}.{name}"
            self.fail(f"it names {shown(full_name)}, which is not part of a state dict of tensors and was neither imported nor called")
        self.push(Global(module, name))

    def put(self, index):
        self.memo[index] = self.top()

    def get(self, index):
        if index not in self.memo:
            self.fail(f"memo {index}: nothing was put there")
        self.push(self.memo[index])

    def tuple_of(self, count):
        values = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(values)))

    def set_items(self, items):
        if len(items) % 2:
            self.fail("a key without a value")
        into = self.top()
        if type(into) is not dict:
            self.fail(f"it sets a key of {_kind(into)}")
        for key, value in zip(items[::2], items[1::2]):
            if type(key) not in (str, int):
                self.fail(f"{_kind(key)} as a key")
            if key in into:
                self.fail(f"key {shown(key)} stands twice")
            into[key] = value

    def build(self):
        """Attributes of an OrderedDict: _metadata, which torch writes beside the tensors, is left out."""
        state = self.pop()
        if type(self.top()) is not dict or type(state) is not dict or set(state) - {"_metadata"}:
            self.fail("it sets attributes, which no state dict needs")

    def persistent(self):
        reference = self.pop()
        if type(reference) is not tuple or len(reference) != 5 or type(reference[0]) is not str or reference[0] != "storage":
            self.fail("a persistent id that is no storage")
        _, kind, key, location, count = reference
        if (
            type(kind) is not Global
            or kind.name not in _STORAGES
            or type(key) is not str
            or type(location) is not str
            or not is_count(count)
        ):
            self.fail("a storage must have a type, a key, a place and a number of elements")
        self.push(Storage(_STORAGES[kind.name], key, count))

    def reduce(self):
        arguments, call = self.pop(), self.pop()
        if type(call) is not Global or type(arguments) is not tuple:
            self.fail(f"it calls {_kind(call)} with {_kind(arguments)}")
        if call == _ORDERED and not arguments:
            self.push({})
        elif call == _TENSOR and len(arguments) in (6, 7):
            self.push(self.tensor(*arguments[:4]))
        elif call == _PARAMETER and len(arguments) == 3 and type(arguments[0]) is Tensor:
            self.push(arguments[0])
        else:
            self.fail(f"it calls {call.module}.{call.name} with {len(arguments)} arguments that no state dict needs")

    def tensor(self, storage, offset, shape, strides):
        sound = type(shape) is type(strides) is tuple and is_shape(shape) and len(shape) == len(strides) and all(map(is_count, strides))
        if type(storage) is not Storage or not is_count(offset) or not sound:
            self.fail("a tensor must have a storage, an offset, a shape and strides, none negative")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides))
        if all(shape) and last >= storage.count:
            self.fail(f"a tensor of shape {list(shape)} reaches element {last} of a storage of {storage.count}")
        return Tensor(storage, offset, shape, strides)


_OPCODES = {
    b"\x80": _Machine.proto,
    b"(": lambda self: self.marks.append(len(self.stack)),
    b"N": lambda self: self.push(None),
    b"\x88": lambda self: self.push(True),
    b"\x89": lambda self: self.push(False),
    b"K": lambda self: self.push(self.number("<B")),
    b"M": lambda self: self.push(self.number("<H")),
    b"J": lambda self: self.push(self.number("<i")),
    b"\x8a": _Machine.long1,
    b"X": lambda self: self.push(self.text(self.take(self.number("<I")))),
    b"}": lambda self: self.push({}),
    b"s": lambda self: self.set_items([self.pop(), self.pop()][::-1]),
    b"u": lambda self: self.set_items(self.pop_mark()),
    b")": lambda self: self.push(()),
    b"t": lambda self: self.push(tuple(self.pop_mark())),
    b"\x85": lambda self: self.tuple_of(1),
    b"\x86": lambda self: self.tuple_of(2),
    b"\x87": lambda self: self.tuple_of(3),
    b"q": lambda self: self.put(self.number("<B")),
    b"r": lambda self: self.put(self.number("<I")),
    b"h": lambda self: self.get(self.number("<B")),
    b"j": lambda self: self.get(self.number("<I")),
    b"c": _Machine.find_global,
    b"Q": _Machine.persistent,
    b"R": _Machine.reduce,
    b"b": _Machine.build,
}
