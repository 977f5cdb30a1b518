"""Every reader that is written in Python, tried with changed files: a slice of fuzz_readers.py, and that it sees what it looks for."""

import os
import subprocess
import sys
from pathlib import Path

from fuzzed_readers import READERS

import t0native as t0

SLICE = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fuzz_readers
from fuzzed_readers import READERS, Reader

def grow(path):
    len(path.read_bytes()) == 9 or bytearray(b"x") * (400 << 20)

def spin(path):
    while len(path.read_bytes()) != 9:
        pass

def steal(path):
    open("/etc/hostname").close() if len(path.read_bytes()) != 9 else None

def refuse(text):
    def read(path):
        if len(path.read_bytes()) != 9:
            raise fuzz_readers.t0.FormatError(text.format(path=path))
    return read

ODD = {"memory": grow, "hang": spin, "foreign": steal, "IndexError": lambda path: path.read_bytes()[8]}
ODD |= {"message": refuse("{path}: \\x1b[2J"), "message too": refuse("broken")}
fuzz_readers.prepare()
usual = fuzz_readers.HANG
inputs = int(sys.argv[2])
for reader in READERS if sys.argv[3:] == ["READERS"] else [
    Reader(name, lambda rng: {"a.json": b"[1, 2, 3]"}, lambda folder, name=name: ODD[name](folder / "a.json")) for name in ODD
]:
    fuzz_readers.HANG = 0.5 if reader.name == "hang" else usual  # to fill memory takes long on a busy machine
    with tempfile.TemporaryDirectory() as folder:
        reading = fuzz_readers.fuzz(reader, inputs, 0, Path(folder))
    print(reader.name, reading.met.total(), len(reading.lines.met), sorted({kind for kind, _ in reading.faults}), *reading.faults, sep="|")
"""


def run(*arguments):
    """{name of a reader: (inputs, lines met, faults)} of a process of its own: it has a limit of memory and a signal's handler."""
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    command = [sys.executable, "-P", "-c", SLICE, str(Path(__file__).parent), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return {name: rest for name, *rest in (line.split("|") for line in done.stdout.splitlines())}


def test_a_slice_of_the_fuzzing():
    """tests/fuzz_readers.py tries 50,000 files of each."""
    found = run("25", "READERS")
    assert set(found) == {reader.name for reader in READERS}
    for name, (inputs, lines, *faults) in found.items():  # the fewest lines are those of unpacking: 106, from CPython 3.12 on 98
        assert faults == ["[]"] and int(inputs) > 30 and int(lines) > 90, (name, faults)


def test_the_fuzzer_sees_each_kind_of_fault():
    found = run("6")
    assert {name: faults for name, (_, _, faults, *_) in found.items()} == {
        name: str([name.split()[0]]) for name in ("memory", "hang", "foreign", "IndexError", "message", "message too")
    }
