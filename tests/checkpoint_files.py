"""Writers of checkpoints in other layouts, by hand, so that they can lie: PyTorch's zip with its pickle."""

import struct
import zipfile

import numpy as np

STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "uint16": "BFloat16Storage", "int64": "LongStorage", "float64": "DoubleStorage"}
ORDERED = b"ccollections\nOrderedDict\n)R"


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value) if -(2**31) <= value < 2**31 else b"\x8a\x08" + struct.pack("<q", value)


def numbers(values):
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor_program(dtype, key, count, shape, strides=None, offset=0, parameter=False):
    """The instructions that leave one tensor on the stack."""
    if strides is None:
        strides = [int(np.prod(shape[i + 1 :], dtype=np.int64)) for i in range(len(shape))]
    storage = b"(" + text("storage") + b"ctorch\n" + STORAGES[dtype].encode() + b"\n" + text(key) + text("cpu") + number(count) + b"tQ"
    made = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + ORDERED + b"tR"
    return b"ctorch._utils\n_rebuild_parameter\n" + made + b"\x88" + ORDERED + b"\x87R" if parameter else made


def state_dict_program(parts, metadata=True):
    """parts: {name: instructions that leave its tensor}."""
    items = b"".join(text(name) + part for name, part in parts.items())
    tail = b"}" + text("_metadata") + ORDERED + text("") + b"}" + text("version") + b"K\x01sssb" if metadata else b""
    return b"\x80\x02" + ORDERED + b"q\x00(" + items + b"u" + tail + b"."


def torch_program(tensors):
    """(program, {storage key: bytes}) of {name: array}; uint16 holds bfloat16."""
    parts, storages = {}, {}
    for i, (name, array) in enumerate(tensors.items()):
        parts[name] = tensor_program(array.dtype.name, str(i), array.size, array.shape, parameter=bool(i % 2))
        storages[str(i)] = array.tobytes()
    return state_dict_program(parts), storages


def write_torch(path, program, storages, folder="archive", extra=(), compression=zipfile.ZIP_STORED):
    """A zip as torch.save makes it. extra: (member, bytes) further ones."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(f"{folder}/data.pkl", program)
        for key, content in storages.items():
            archive.writestr(f"{folder}/data/{key}", content)
        for name, content in (("version", b"3\n"), *extra):
            archive.writestr(f"{folder}/{name}", content)


def save_torch(path, tensors):
    write_torch(path, *torch_program(tensors))
