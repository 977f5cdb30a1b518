"""Writers of checkpoints in other layouts, by hand, so that they can lie: PyTorch's zip with its pickle, T5X's msgpack and zarr."""

import gzip
import json
import struct
import zipfile
import zlib

import numpy as np

STORAGES = {
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "uint16": "BFloat16Storage",
    "int64": "LongStorage",
    "float64": "DoubleStorage",
}
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
    made = (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + numbers(shape) + numbers(strides) + b"\x89" + ORDERED + b"tR"
    )
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


# ---- T5X --------------------------------------------------------------------------------------------------------------


class Ext(bytes):
    """The content of a msgpack extension of type 1, Flax's array."""


def pack(value):
    """msgpack, in its longest forms where that is simplest."""
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    if isinstance(value, int):
        return b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\xdb" + struct.pack(">I", len(value.encode())) + value.encode()
    if isinstance(value, Ext):
        return b"\xc9" + struct.pack(">Ib", len(value), 1) + value
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, np.ndarray):
        return pack(array_ext(value.shape, value.dtype.name.replace("uint16", "bfloat16"), value.tobytes()))
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    return b"\xdf" + struct.pack(">I", len(value)) + b"".join(pack(key) + pack(item) for key, item in value.items())


def array_ext(shape, dtype, content):
    return Ext(b"\x93" + pack(list(shape)) + pack(dtype) + pack(content))


def in_pieces(array, size):
    flat = array.reshape(-1)
    pieces = {str(i): flat[at : at + size] for i, at in enumerate(range(0, len(flat), size))}
    return {
        "__msgpack_chunked_array__": True,
        "shape": {str(i): n for i, n in enumerate(array.shape)},
        "chunks": dict(sorted(pieces.items())),
    }


def t5x_arrays(tensors):
    """{T5X's dotted name: array} of {the hub's name: array}."""
    letters = {"q": "query", "k": "key", "v": "value", "o": "out"}
    found = {}
    for name, array in tensors.items():
        parts = name.removesuffix(".weight").split(".")
        if name == "shared.weight":
            found["token_embedder.embedding"] = array
        elif name == "lm_head.weight":
            found["decoder.logits_dense.kernel"] = array.T
        elif parts[1] == "final_layer_norm":
            found[f"{parts[0]}.{parts[0]}_norm.scale"] = array
        elif parts[-1] == "relative_attention_bias":
            found[f"{parts[0]}.relpos_bias.rel_embedding"] = array.T
        else:
            encoder, layer = parts[0] == "encoder", f"{parts[0]}.layers_{parts[2]}."
            what = ["attention", "mlp"][int(parts[4])] if encoder else ["self_attention", "encoder_decoder_attention", "mlp"][int(parts[4])]
            if parts[-1] == "layer_norm":
                norm = {"encoder_decoder_attention": "cross_attention"}.get(what, what)
                found[f"{layer}pre_{norm}_layer_norm.scale"] = array
            else:
                found[f"{layer}{what}.{letters.get(parts[-1], parts[-1])}.kernel"] = array.T
    return {name: np.ascontiguousarray(array) for name, array in found.items()}


def t5x_tree(leaves):
    """The whole content of a checkpoint whose target has these leaves, an optimiser's state with it."""
    target = {}
    for name, leaf in leaves.items():
        *path, last = name.split(".")
        place = target
        for part in path:
            place = place.setdefault(part, {})
        place[last] = leaf
    state = {"step": np.array(1000, np.int32), "param_states": {"encoder": {"v": np.zeros(3, np.float32)}}}
    return {"version": 3, "optimizer": {"state": state, "target": target, "flax_mutables": {}, "params_axes": None}}


def save_t5x(path, tensors):
    path.write_bytes(pack(t5x_tree(t5x_arrays(tensors))))


def save_t5x_folder(folder, tensors, grid=(5, 4), compressor="gzip", placeholders=False, inside=lambda name: name.endswith(".scale")):
    """inside: which arrays stand in the msgpack file itself."""
    folder.mkdir(parents=True)
    leaves = {}
    for name, array in t5x_arrays(tensors).items():
        if inside(name):
            leaves[name] = array
            continue
        save_zarr(folder / f"target.{name}", array, grid, compressor)
        store = {"driver": "file", "path": f"target.{name}/"}
        leaves[name] = (
            f"PLACEHOLDER://target.{name}"
            if placeholders
            else {"driver": "zarr", "dtype": "float32", "kvstore": store, "metadata": {"shape": list(array.shape)}}
        )
    (folder / "checkpoint").write_bytes(pack(t5x_tree(leaves)))


def save_zarr(folder, array, grid, compressor):
    folder.mkdir()
    grid = [min(step, size) for step, size in zip(grid, array.shape)]
    dtype = "bfloat16" if array.dtype == np.uint16 else array.dtype.str
    about = {
        "zarr_format": 2,
        "shape": array.shape,
        "chunks": grid,
        "dtype": dtype,
        "compressor": compressor and {"id": compressor, "level": 1},
    }
    (folder / ".zarray").write_text(json.dumps(about | {"fill_value": None, "filters": None, "order": "C"}))
    full = np.zeros([-(-size // step) * step for size, step in zip(array.shape, grid)], array.dtype)
    full[tuple(map(slice, array.shape))] = array
    for index in np.ndindex(*(size // step for size, step in zip(full.shape, grid))):
        part = full[tuple(slice(i * step, (i + 1) * step) for i, step in zip(index, grid))].tobytes()
        content = {"gzip": gzip.compress, "zlib": zlib.compress, None: bytes}[compressor](part)
        (folder / ".".join(map(str, index))).write_bytes(content)
