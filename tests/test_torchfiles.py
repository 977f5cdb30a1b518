"""PyTorch's weight files: what torch writes is read bit for bit; nothing in a file is imported, called or believed unchecked."""

import builtins
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from checkpoint_files import (
    ORDERED,
    number,
    numbers,
    save_t5x,
    save_torch,
    state_dict_program,
    tensor_program,
    text,
    torch_program,
    write_torch,
)

import t0native as t0
from t0native.checkpoints.torchfiles import read_torch

CONFIG = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3, num_decoder_layers=2)
TIED = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=2, d_kv=3, feed_forward_proj="relu", tie_word_embeddings=True)


def weights_of(model):
    return {name: model.core.tensor(name).copy() for name in model.config.tensors()}


def folder_of(path, config):
    path.mkdir(exist_ok=True)
    (path / "config.json").write_text(json.dumps(config.to_dict()))
    return path


@pytest.fixture(params=[CONFIG, TIED], ids=["untied", "tied"])
def model(request):
    return t0.Model.init(request.param, seed=3)


def same(model, folder):
    again = t0.Model.from_pretrained(folder)
    return all(np.array_equal(again.core.tensor(name).view(np.uint32), value.view(np.uint32)) for name, value in weights_of(model).items())


def test_one_file_and_shards(model, tmp_path):
    folder, tensors = folder_of(tmp_path / "one", model.config), weights_of(model)
    save_torch(folder / "pytorch_model.bin", tensors)
    assert same(model, folder)
    folder, names = folder_of(tmp_path / "shards", model.config), sorted(tensors)
    weight_map = {name: f"pytorch_model-{i % 3 + 1:05}-of-00003.bin" for i, name in enumerate(names)}
    for shard in set(weight_map.values()):
        save_torch(folder / shard, {name: tensors[name] for name in names if weight_map[name] == shard})
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert same(model, folder)


def test_half_precision(tmp_path):
    model = t0.Model.init(CONFIG, seed=3)
    for kind in ("float16", "bfloat16"):
        folder, halves = folder_of(tmp_path / kind, CONFIG), {}
        for name, value in weights_of(model).items():
            halves[name] = value.astype(np.float16) if kind == "float16" else (value.view(np.uint32) >> 16).astype(np.uint16)
        save_torch(folder / "pytorch_model.bin", halves)
        again = t0.Model.from_pretrained(folder)
        for name, value in halves.items():
            wide = value.astype(np.float32) if kind == "float16" else (value.astype(np.uint32) << 16).view(np.float32)
            assert np.array_equal(again.core.tensor(name), wide), name


@pytest.mark.parity
def test_files_of_torch_itself(model, tmp_path):
    """Parameters, tied weights in one storage, a transposed and a cut matrix, and transformers' own shards."""
    import torch

    folder = folder_of(tmp_path / "m", model.config)
    state = {name: torch.nn.Parameter(torch.from_numpy(value)) for name, value in weights_of(model).items()}
    for copy in ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"):
        state[copy] = state["shared.weight"]
    first = "encoder.block.0.layer.0.SelfAttention."
    state[first + "q.weight"] = state[first + "q.weight"].data.t().contiguous().t()
    wide = torch.cat([state[first + "k.weight"].data] * 2, 1)
    state[first + "k.weight"] = wide[:, : wide.shape[1] // 2]
    torch.save(state, folder / "pytorch_model.bin")
    assert same(model, folder)
    by_elements = torch.empty(12, 12)[::2, ::2][:6, :6]
    by_elements.copy_(state[first + "v.weight"].data)
    torch.save(state | {first + "v.weight": by_elements}, folder / "pytorch_model.bin")
    with pytest.raises(t0.FormatError, match=r"neither its rows nor its columns lie end to end; save it \.contiguous\(\)"):
        t0.Model.from_pretrained(folder)
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    with pytest.raises(t0.FormatError, match=r"before 1\.6; save it again with a newer PyTorch"):
        t0.Model.from_pretrained(folder)


def test_safetensors_come_first_and_a_tied_head_may_share_its_storage(tmp_path):
    model = t0.Model.init(TIED, seed=3)
    model.save(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    assert same(model, tmp_path)
    program, storages = torch_program(weights_of(model))
    parts = {name: tensor_program("float32", str(i), value.size, value.shape) for i, (name, value) in enumerate(weights_of(model).items())}
    (tmp_path / "model.safetensors").unlink()
    write_torch(tmp_path / "pytorch_model.bin", state_dict_program(parts | {"lm_head.weight": parts["shared.weight"]}), storages)
    assert same(model, tmp_path)
    write_torch(
        tmp_path / "pytorch_model.bin",
        state_dict_program(parts | {"lm_head.weight": tensor_program("float32", "0", 114, (19, 6), (1, 19))}),
        storages,
    )
    with pytest.raises(t0.FormatError, match="ties the head"):
        t0.Model.from_pretrained(tmp_path)


def test_sizes_beyond_four_gigabytes_are_told_in_zip64(model, tmp_path, monkeypatch):
    """Python's writer takes the long form from a limit on, here a small one; the sizes stand in extra fields then."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 20)
    folder = folder_of(tmp_path / "m", model.config)
    save_torch(folder / "pytorch_model.bin", weights_of(model))
    assert b"PK\6\6" in (folder / "pytorch_model.bin").read_bytes() and same(model, folder)


# ---- files that lie ---------------------------------------------------------------------------------------------------

GOOD = tensor_program("float32", "0", 6, (2, 3))
DATA = {"0": bytes(24)}


def program_of(*instructions):
    return b"\x80\x02" + b"".join(instructions) + b"."


def tensor(**changes):
    return state_dict_program({"a": tensor_program(**{"dtype": "float32", "key": "0", "count": 6, "shape": (2, 3)} | changes)})


def persistent(*parts):
    return program_of(b"(", *parts, b"tQ")


STORAGE = (text("storage"), b"ctorch\nFloatStorage\n", text("0"), text("cpu"), number(6))
# name: (program, message)
BAD_PROGRAMS = {
    "empty": (b"", "ends inside an instruction"),
    "no end": (b"\x80\x02}", "ends inside an instruction"),
    "bytes behind": (program_of(b"}") + b"N", "does not end with one object"),
    "two objects": (program_of(b"}}"), "does not end with one object"),
    "a mark left": (program_of(b"}("), "does not end with one object"),
    "nothing left": (b"\x80\x02.", "does not end with one object"),
    "not a mapping": (program_of(text("a")), "holds a str, not a state dict"),
    "a tensor alone": (program_of(GOOD), "holds a tensor, not a state dict"),
    "protocol 4": (b"\x80\x04}.", "pickle protocol 4"),
    "protocol 0": (b"(dp0\n.", "opcode b'd'"),
    "a number as key": (program_of(b"}K\x01", GOOD, b"s"), "key 1: must be the name of a tensor"),
    "a tuple as key": (program_of(b"})", GOOD, b"s"), "a tuple as a key"),
    "a value that is no tensor": (program_of(b"}", text("epoch"), b"K\x01s"), "key 'epoch' holds a int, not a tensor"),
    "a nested state dict": (program_of(b"}", text("state_dict"), b"}s"), r"holds a mapping, not a tensor; save the model's state_dict\(\) alone"),
    "a key twice": (program_of(b"}", text("a"), GOOD, b"s", text("a"), GOOD, b"s"), "key 'a' stands twice"),
    "itself as value": (program_of(b"}q\x00", text("a"), b"h\x00s"), "key 'a' holds a mapping"),
    "odd items": (program_of(b"}(", text("a"), b"u"), "a key without a value"),
    "items of a text": (program_of(text("x"), b"(", text("a"), b"Nu"), "sets a key of a str"),
    "unset memo": (program_of(b"h\x07"), "memo 7: nothing was put there"),
    "huge memo": (program_of(b"}r\xff\xff\xff\xffj\xfe\xff\xff\xff"), "memo 4294967294: nothing"),
    "below the mark": (program_of(b"}(s"), "finds nothing on the stack"),
    "empty stack": (program_of(b"q\x00"), "finds nothing on the stack"),
    "no mark": (program_of(b"Nt"), "finds no mark"),
    "text longer than the file": (b"\x80\x02X\xff\xff\xff\xff.", "ends inside an instruction"),
    "text not UTF-8": (b"\x80\x02X\x01\0\0\0\xff.", "not UTF-8"),
    "a number of 255 bytes": (program_of(b"\x8a\xff" + bytes(255)), "a number of 255 bytes"),
    "global without end": (b"\x80\x02cos", "ends inside an instruction"),
    "a persistent text": (program_of(text("storage"), b"Q"), "persistent id that is no storage"),
    "persistent id of another kind": (persistent(text("module"), *STORAGE[1:]), "persistent id that is no storage"),
    "a storage of nothing": (persistent(STORAGE[0], ORDERED, *STORAGE[2:]), "a storage must have a type"),
    "a storage of a function": (persistent(STORAGE[0], b"ctorch._utils\n_rebuild_tensor_v2\n", *STORAGE[2:]), "a storage must have a type"),
    "a storage with a number as key": (persistent(*STORAGE[:2], number(0), *STORAGE[3:]), "a storage must have a type"),
    "a negative count": (persistent(*STORAGE[:4], number(-6)), "a storage must have a type"),
    "a call of a tensor": (program_of(GOOD, b")R"), "it calls a tensor"),
    "a call of a storage": (program_of(b"ctorch\nFloatStorage\n", b"(", number(1 << 40), b"tR"), "calls torch.FloatStorage with 1 arguments"),
    "OrderedDict of a list of pairs": (program_of(b"ccollections\nOrderedDict\n(", text("a"), b"tR"), "calls collections.OrderedDict with 1 arguments"),
    "arguments that are no tuple": (program_of(b"ccollections\nOrderedDict\n}R"), "with a mapping"),
    "a parameter of a text": (program_of(b"ctorch._utils\n_rebuild_parameter\n", text("a"), b"\x88N\x87R"), "_rebuild_parameter with 3 arguments"),
    "too few arguments": (program_of(b"ctorch._utils\n_rebuild_tensor_v2\n)R"), "_rebuild_tensor_v2 with 0 arguments"),
    "attributes": (program_of(b"}}", text("__class__"), b"Nsb"), "it sets attributes"),
    "attributes of a text": (program_of(text("a"), b"}b"), "it sets attributes"),
    "a shape of texts": (program_of(tensor()[2:-1].replace(numbers((2, 3)), b"(" + text("2") + b"t", 1)), "must have a storage, an offset"),
    "a shape of booleans": (program_of(tensor()[2:-1].replace(numbers((2, 3)), b"(\x88\x88t", 1)), "must have a storage, an offset"),
    "a negative shape": (tensor(shape=(-2, 3), strides=(3, 1)), "none negative"),
    "a negative stride": (tensor(strides=(-3, 1), offset=3), "none negative"),
    "a negative offset": (tensor(offset=-1), "none negative"),
    "nine dimensions": (tensor(shape=(1,) * 9), "must have a storage, an offset"),
    "strides of another length": (tensor(strides=(3, 1, 1)), "must have a storage, an offset"),
    "beyond the storage": (tensor(offset=1), "reaches element 6 of a storage of 6"),
    "a stride beyond the storage": (tensor(strides=(1 << 62, 1)), "reaches element"),
    "a shape beyond the storage": (tensor(shape=(1 << 30, 1 << 29), strides=(1, 1)), "reaches element"),
    "a shape beyond numbers": (tensor(shape=(1 << 62, 1 << 62), strides=(1, 1)), "must have a storage"),
    "a storage larger than its member": (tensor(count=7), r"has 24 bytes, but 7 elements of F32 take 28"),
    "a storage smaller than its member": (tensor(count=1, shape=(1,)), r"has 24 bytes, but 1 elements of F32 take 4"),
    "a huge storage": (tensor(count=1 << 61), r"has 24 bytes, but"),
    "another type": (tensor(dtype="float64"), "6 elements of F64 take 48"),
    "a storage that is not there": (tensor(key="1"), "its storage data/1 is not in the file"),
    "a storage elsewhere": (tensor(key="../../etc/passwd"), r"data/\.\./\.\./etc/passwd is not in the file"),
    "steps of two": (tensor(shape=(1, 2), strides=(2, 2)), "neither its rows nor its columns"),
    "deep tuples": (program_of(b")", b"\x85" * 200_000), "holds a tuple"),
    "tuples of tuples": (program_of(b"}", b")q\x00" + b"h\x00\x86q\x00" * 5000, b"Ns"), "a tuple as a key"),
    "deep mappings": (program_of(b"}", text("a"), (b"}" + text("a")) * 20_000, b"N", b"s" * 20_001), "holds a mapping"),
    "a bomb of marks": (program_of(b"(" * 200_000), "does not end with one object"),
    "too long": (b"\x80\x02" + b"N" * (1 << 21), "at most 2097152 are read"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_PROGRAMS)
def test_broken_programs(tmp_path, name):
    program, message = BAD_PROGRAMS[name]
    write_torch(tmp_path / "x.bin", program, DATA)
    with pytest.raises(t0.FormatError, match=message) as caught:
        read_torch(tmp_path / "x.bin")
    assert len(str(caught.value)) < 400


def test_the_unbroken_file_is_read(tmp_path):
    write_torch(tmp_path / "x.bin", tensor(), {"0": np.arange(6, dtype=np.float32).tobytes()})
    (entry,) = read_torch(tmp_path / "x.bin")
    assert [(entry.name, entry.dtype, entry.shape)] == [("a", "F32", (2, 3))]
    assert np.concatenate(list(entry)).tolist() == [[0, 1, 2], [3, 4, 5]]
    write_torch(tmp_path / "x.bin", tensor(shape=(2, 2), strides=(1, 3), offset=1), {"0": np.arange(6, dtype=np.float32).tobytes()})
    (entry,) = read_torch(tmp_path / "x.bin")
    assert np.concatenate(list(entry)).tolist() == [[1, 4], [2, 5]]


def good(path):
    write_torch(path, tensor(), DATA)
    return path.read_bytes()


def patched(data, at, form, value):
    return data[:at] + struct.pack(form, value) + data[at + struct.calcsize(form) :]


def central(data, name):
    """Offset of the directory's entry of a member."""
    return data.index(name, data.index(b"PK\1\2")) - 46


BAD_ZIPS = {
    "empty": (lambda data: b"", "not a PyTorch weight file"),
    "not a zip": (lambda data: b"weights" * 9, "not a PyTorch weight file"),
    "a bare pickle": (lambda data: tensor(), "a bare pickle"),
    "before 1.6": (lambda data: b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19." + bytes(99), r"before 1\.6"),
    "a pointer of Git LFS": (lambda data: b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    "a web page": (lambda data: b"<!DOCTYPE html><html>", "web page"),
    "only the beginning": (lambda data: data[:40], "a zip without its end"),
    "cut off": (lambda data: data[:-1], "a zip without its end"),
    "a comment": (lambda data: patched(data, len(data) - 2, "<H", 3) + b"abc", "a zip without its end"),
    "bytes before the directory's end": (lambda data: data[:-22] + b"hidden" + data[-22:], "does not reach its end"),
    "members that are not there": (lambda data: patched(patched(data, len(data) - 14, "<H", 9), len(data) - 12, "<H", 9), "ends inside an entry"),
    "fewer members": (lambda data: patched(patched(data, len(data) - 14, "<H", 2), len(data) - 12, "<H", 2), "belong to none"),
    "on two disks": (lambda data: patched(data, len(data) - 18, "<H", 1), "does not reach its end"),
    "encrypted": (lambda data: patched(data, central(data, b"archive/data/0") + 8, "<H", 1), "is encrypted"),
    "a method unknown": (lambda data: patched(data, central(data, b"archive/data/0") + 10, "<H", 99), "compressed by method 99"),
    "two sizes": (lambda data: patched(data, central(data, b"archive/data/0") + 20, "<I", 23), "23 bytes stored, but 24"),
    "header and directory differ": (lambda data: patched(data, data.index(b"archive/data/0") - 30 + 22, "<I", 23), "contradicts the directory"),
    "another name in the header": (lambda data: data.replace(b"archive/data/0", b"archive/data/1", 1), "contradicts the directory"),
    "compressed by the header": (lambda data: patched(data, data.index(b"archive/data/0") - 30 + 8, "<H", 8), "contradicts the directory"),
    "a header elsewhere": (lambda data: patched(data, central(data, b"archive/data/0") + 42, "<I", 1), "contradicts the directory"),
    "a header behind the end": (lambda data: patched(data, central(data, b"archive/data/0") + 42, "<I", 1 << 30), "are not in the zip"),
    "two members in one place": (lambda data: lapped(data), "overlaps the one before"),
    "a size not told": (lambda data: patched(patched(data, central(data, b"archive/data/0") + 20, "<I", 0xFFFFFFFF), central(data, b"archive/data/0") + 24, "<I", 0xFFFFFFFF), "its size is not told"),
    "a name not UTF-8": (lambda data: data.replace(b"archive/data/0", b"archive/data/\xff"), "not UTF-8"),
}  # fmt: skip


def lapped(data):
    """The member version, grown over the header that follows; both places say so."""
    first, second = data.index(b"archive/data/0") - 30, central(data, b"archive/data/0")
    for at in (first + 18, first + 22, second + 20, second + 24):
        data = patched(data, at, "<I", 60)
    return data


@pytest.mark.parametrize("name", BAD_ZIPS)
def test_broken_zips(tmp_path, name):
    change, message = BAD_ZIPS[name]
    (tmp_path / "x.bin").write_bytes(change(good(tmp_path / "good.bin")))
    with pytest.raises(t0.FormatError, match=message):
        read_torch(tmp_path / "x.bin")


def test_archives_of_something_else(tmp_path):
    path = tmp_path / "x.bin"
    write_torch(path, tensor(), DATA, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(t0.FormatError, match="compressed by method 8"):
        read_torch(path)
    write_torch(path, tensor(), DATA, extra=[("byteorder", b"big")])
    with pytest.raises(t0.FormatError, match="only little-endian"):
        read_torch(path)
    write_torch(path, tensor(), DATA, extra=[("constants.pkl", b"")])
    with pytest.raises(t0.FormatError, match="a TorchScript program"):
        read_torch(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", tensor())
        archive.writestr("b/data/0", bytes(24))
    with pytest.raises(t0.FormatError, match="do not lie in one folder"):
        read_torch(path)
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        for _ in range(2):
            archive.writestr("a/data.pkl", tensor())
    with pytest.raises(t0.FormatError, match="'a/data.pkl' stands twice"):
        read_torch(path)
    inner = good(tmp_path / "inner.bin")
    write_torch(path, inner, DATA)
    with pytest.raises(t0.FormatError, match="opcode b'P'"):
        read_torch(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/weights", b"")
    with pytest.raises(t0.FormatError, match=r"no data\.pkl"):
        read_torch(path)


def test_every_truncation_and_every_changed_byte_is_an_error_or_another_file(tmp_path):
    data, path = good(tmp_path / "good.bin"), tmp_path / "x.bin"
    for size in range(len(data)):
        path.write_bytes(data[:size])
        with pytest.raises(t0.FormatError):
            read_torch(path)
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])
        try:
            entries = read_torch(path)
        except t0.FormatError:
            continue
        assert all(sum(size for _, size in entry.places) <= len(data) for entry in entries)


# ---- pickles that want to run something --------------------------------------------------------------------------------


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class WithState:
    """Pickles as an object whose attributes are set."""

    def __init__(self):
        self.state = Calls(os.system, "touch ran")


def malicious():
    """{name: program}: each would leave the file `ran` if it were unpickled."""
    touch, code = "touch ran", "open('ran', 'w').close()"
    calls = {
        "os.system": (os.system, touch),
        "os.popen": (os.popen, touch),
        "subprocess.Popen": (subprocess.Popen, touch, -1, None, None, None, None, None, True, True),
        "subprocess.check_output": (subprocess.check_output, ["touch", "ran"]),
        "eval": (eval, code),
        "exec": (exec, code),
        "compile": (compile, code, "x", "exec"),
        "__import__": (builtins.__import__, "antigravity"),
        "getattr": (getattr, "a", "upper"),
        "open": (open, "ran", "w"),
        "os.remove": (os.remove, "config.json"),
        "pickle.loads": (pickle.loads, pickle.dumps(Calls(os.system, touch))),
        "breakpoint": (breakpoint,),
        "sys.exit": (sys.exit, 3),
    }
    programs = {f"{name}, protocol {p}": pickle.dumps({"a": Calls(*call)}, p) for name, call in calls.items() for p in (0, 1, 2, 4)}
    programs["an object with a state"] = pickle.dumps({"a": WithState()}, 2)
    system = b"cos\nsystem\n(" + text(touch) + b"t"
    hidden = {
        "as the state dict itself": system + b"R",
        "beside a good tensor": b"}(" + text("a") + GOOD + text("b") + system + b"Ru",
        "thrown away": system + b"R0}",
        "as an argument": b"ctorch._utils\n_rebuild_tensor_v2\n(" + system + b"R" + b"NNNNNtR",
        "as hooks of a tensor": GOOD[:-2].replace(ORDERED, system + b"R") + b"tR",
        "as metadata": b"}}" + text("_metadata") + system + b"Rsb",
        "as a state": b"}" + system + b"Rb",
        "by the memo": b"cos\nsystem\nq\x000h\x00(" + text(touch) + b"tR",
        "an object": b"(" + text(touch) + b"ios\nsystem\n",
        "an old object": b"(cos\nsystem\n" + text(touch) + b"o",
        "a new object": b"cos\nsystem\n(" + text(touch) + b"t\x81",
        "by an extension code": b"\x82\x01)R",
        "by names on the stack": b"\x8c\x02os\x8c\x06system\x93\x8c\x09touch ran\x85R",
        "a storage of a class": b"(" + text("storage") + b"cos\nsystem\n" + text("0") + text("cpu") + number(6) + b"tQ",
        "a persistent text": b"Pcos\nsystem\n",
        "another function of torch": b"ctorch.hub\nload\n(" + text("a/b") + b"tR",
        "a deeper name": b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n)R",
        "a name with dots": b"ctorch\n_utils._rebuild_tensor_v2\n)R",
        "numpy's object loader": b"cnumpy.core.multiarray\n_reconstruct\n)R",
        "a subclass": b"ctorch._tensor\n_rebuild_from_type_v2\n)R",
        "with the alphabet of another": "cоs\nsystem\n)R".encode(),
        "a module path": b"c../../evil\nrun\n)R",
        "an empty name": b"c\n\n)R",
    }  # fmt: skip
    return programs | {name: program_of(program) for name, program in hidden.items()}


CHILD = """
import json, os, sys
from pathlib import Path
import t0native as t0
t0.Model.from_pretrained("good")
files, count, seen = sorted(Path("bad").iterdir()), 0, []
sys.addaudithook(lambda event, arguments: seen.append((event, str(arguments[0]) if arguments else "")))
for file in files:
    try:
        t0.Model.from_pretrained(file)
    except t0.FormatError:
        count += 1
loading = list(seen)
os.system("true")
try:
    import this_is_not_there
except ImportError:
    pass
print(json.dumps({"refused": count, "loading": loading, "control": [event for event, _ in seen[len(loading):]]}))
"""


def test_nothing_is_executed_or_imported(tmp_path):
    """By an audit hook, which sees every import, call of the system, compilation and opened file; that it does is shown at the end."""
    folder_of(tmp_path / "good", CONFIG)
    save_torch(tmp_path / "good/pytorch_model.bin", weights_of(t0.Model.init(CONFIG)))
    programs = malicious()
    for i, program in enumerate(programs.values()):
        folder = tmp_path / "bad" / f"{i:03}"
        folder.mkdir(parents=True)
        write_torch(folder_of(folder, CONFIG) / "pytorch_model.bin", program, DATA)
    gin = folder_of(tmp_path / "bad/gin", CONFIG)  # of T5X, whose text is Python's too
    (gin / "config.json").unlink()
    save_t5x(gin / "checkpoint_0", weights_of(t0.Model.init(CONFIG)))
    (gin / "config.gin").write_text("T5Config.mlp_activations = __import__('os').system('touch ran')\n")
    done = subprocess.run([sys.executable, "-c", CHILD], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    told = json.loads(done.stdout)
    assert told["refused"] == len(programs) + 1 >= 70
    assert {"os.system", "import"} <= set(told["control"])
    events = {tuple(event) for event in told["loading"]}
    assert {kind for kind, _ in events} - {"os.listdir", "os.scandir"} == {"open"}  # folders are listed one way or the other
    assert {name.split("/")[0] for _, name in events} == {"bad"}
    assert not list(tmp_path.rglob("ran"))
