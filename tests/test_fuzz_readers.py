"""Every reader that is written in Python, tried with changed files: a slice of fuzz_readers.py, and that it sees what it looks for."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzed_readers import READERS

import t0native as t0

SLICE = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import fuzz_readers
from fuzzed_readers import READERS, Reader
fuzz_readers.prepare()
name, inputs = sys.argv[2], int(sys.argv[3])
readers = {reader.name: reader for reader in READERS}
if name in readers:
    chosen = [readers[name]]
else:
    chosen = [Reader(name, lambda rng: {"a.json": b"[1, 2, 3]"}, lambda folder: ODD[name](folder / "a.json"))]

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

def fail(path):
    path.read_bytes()[8]

ODD = {"memory": grow, "hang": spin, "foreign": steal, "IndexError": fail, "message": refuse("{path}: \\x1b[2J"), "message ": refuse("broken")}
fuzz_readers.HANG = 1
for reader in chosen:
    with tempfile.TemporaryDirectory() as folder:
        reading = fuzz_readers.fuzz(reader, inputs, 0, Path(folder))
    assert reading.met.total() > inputs and len(reading.lines.met) > 50 or not name in readers, (len(reading.lines.met), reading.met)
    for (kind, what), (case, fault) in reading.faults.items():
        print(kind, "|", what)
"""


def faults(name, inputs):
    """A line for each fault, of a process of its own: it has a limit of memory and a signal's handler."""
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    command = [sys.executable, "-P", "-c", SLICE, str(Path(__file__).parent), name, str(inputs)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("reader", [reader.name for reader in READERS])
def test_a_slice_of_the_fuzzing(reader):
    """tests/fuzz_readers.py tries 50,000 files of each."""
    assert faults(reader, 100) == []


@pytest.mark.parametrize("kind", ["memory", "hang", "foreign", "IndexError", "message", "message "])
def test_the_fuzzer_sees_each_kind_of_fault(kind):
    found = faults(kind, 30)
    assert found and all(line.startswith(kind.strip() + " ") for line in found)
