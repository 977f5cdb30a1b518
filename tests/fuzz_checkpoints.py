"""Changed checkpoint files: every reader reads them or refuses them with its documented errors.

    python tests/fuzz_checkpoints.py [--files 200000] [--seed 0]

Bits, bytes, lengths and pieces of small files of every kind are changed at random. Exit code 1 and a traceback for any error
but FormatError and NumericError. test_checkpoint.py runs a slice."""

import argparse
import random
import struct
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
from checkpoint_files import pack, save_torch, save_zarr, t5x_arrays, t5x_tree, torch_program

import t0native as t0
from t0native.checkpoints.packedfile import read_packed
from t0native.checkpoints.safetensorfiles import read_header
from t0native.checkpoints.statedict import read_state_dict
from t0native.checkpoints.t5x import read_t5x
from t0native.checkpoints.tensorfiles import FLOATS
from t0native.checkpoints.torchfiles import read_torch
from t0native.checkpoints.zarrfiles import read_zarr

CONFIG = t0.Config(vocab_size=5, d_model=3, d_ff=2, num_layers=1, num_heads=1, d_kv=2)
NUMBERS = [0, 1, 127, 128, 255, 0xFFFF, 2**31, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1]
LARGEST = 1 << 20  # bytes of a tensor that is read; sizes beyond are compared with the configuration before, in a real load


class Files:
    """An unbroken file of each kind, and what reads a changed one."""

    def __init__(self, folder):
        self.folder = folder
        model = t0.Model.init(CONFIG, seed=1)
        tensors = {name: model.core.tensor(name).copy() for name in list(CONFIG.tensors())[:4]}
        model.save(folder / "st")
        model.to("int8").save(folder / "packed")
        save_torch(folder / "bin", tensors)
        save_zarr(folder / "zarr", np.arange(30, dtype=np.float32).reshape(5, 6), (2, 4), "gzip")
        packed = (folder / "packed/model.t0packed").read_bytes()
        (length,) = struct.unpack("<Q", packed[8:16])
        self.good = {
            "state dict": torch_program(tensors)[0],
            "torch": (folder / "bin").read_bytes(),
            "msgpack": pack(t5x_tree(t5x_arrays(tensors))),
            "safetensors": (folder / "st/model.safetensors").read_bytes(),
            "packed": packed[: 16 + length],
            "zarray": (folder / "zarr/.zarray").read_bytes(),
            "chunk": (folder / "zarr/0.0").read_bytes(),
        }
        self.block = packed[4096:]

    def read(self, kind, content):
        path = self.folder / "changed"
        if kind == "state dict":
            read_state_dict("x", content)
        elif kind in ("torch", "safetensors", "msgpack"):
            path.write_bytes(content)
            found = read_t5x(path).values() if kind == "msgpack" else (read_torch if kind == "torch" else read_header)(path)
            self.go_through(found)
        elif kind == "packed":
            path.write_bytes(content.ljust(4096, b"\0") + self.block)
            read_packed(path).open(verify=True)
        else:
            (self.folder / "zarr/.zarray").write_bytes(content if kind == "zarray" else self.good["zarray"])
            (self.folder / "zarr/0.0").write_bytes(content if kind == "chunk" else self.good["chunk"])
            self.go_through([read_zarr(self.folder / "zarr", "a", transposed) for transposed in (False, True)])

    def go_through(self, entries):
        for entry in entries:
            if entry.dtype in FLOATS and 1 <= len(entry.shape) <= 2 and entry.size < LARGEST:
                assert sum(chunk.size for chunk in entry) == np.prod(entry.shape)


def changed(content, rng):
    """The content with one to four changes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, how = rng.randrange(len(data)), rng.randrange(6)
        if how == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at] = rng.randrange(256)
        elif how == 2:
            del data[at : at + rng.randint(1, 9)]
        elif how == 3:
            data[at:at] = rng.randbytes(rng.randint(1, 5))
        elif how == 4:
            size = rng.choice([1, 2, 4, 8])
            data[at : at + size] = (rng.choice(NUMBERS) % 256**size).to_bytes(size, rng.choice(["little", "big"]))
        else:
            other = rng.randrange(len(data))
            data[at:at] = data[other : other + rng.randint(1, 20)]
        data = data or bytearray(b"\0")
    return bytes(data)


def fuzz(folder, count, seed):
    """{(kind, "read" or the error's name): how often} of `count` changed files."""
    files, rng, met = Files(folder), random.Random(seed), Counter()
    for kind, content in files.good.items():
        files.read(kind, content)
    for _ in range(count):
        kind = rng.choice(list(files.good))
        try:
            files.read(kind, changed(files.good[kind], rng))
            met[kind, "read"] += 1
        except (t0.FormatError, t0.NumericError) as error:
            met[kind, type(error).__name__] += 1
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        met = fuzz(Path(folder), given.files, given.seed)
    print("\n".join(f"{count:8,}  {kind}: {what}" for (kind, what), count in sorted(met.items())))


if __name__ == "__main__":
    sys.exit(main())
