"""A model that ranks by a hash of the input and takes its time, for evaluations whose processes are killed (test_executors.py, dask_at_size.py)."""

import ctypes
import hashlib
import time
from types import SimpleNamespace

import numpy as np

import t0native as t0


class Slow:
    """seconds: of a call.  log: a file that gets a line a call when it begins: the time, and its first input; LOG.ends one when it ends.
    poisons: {text: how a call ends whose inputs hold it}."""

    def __init__(self, seconds, log, poisons=None):
        self.seconds, self.log, self.poisons, self.name, self.fingerprint = seconds, str(log), poisons or {}, "slow", "slow"

    def rank(self, inputs, choices, truncate=True, progress=None):
        self._note("", inputs[0])
        for text, ending in self.poisons.items():
            if any(text in one for one in inputs):
                fall(ending)
        time.sleep(self.seconds)
        self._note(".ends", inputs[0])
        return [self._ranking(text, row) for text, row in zip(inputs, choices)]

    def _note(self, ending, what):
        with open(self.log + ending, "a") as file:
            file.write(f"{time.time():.4f}\t{what}\n")

    def _ranking(self, text, row):
        scores = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)[: len(row)].astype(np.float32)
        return SimpleNamespace(index=int(np.argmax(scores)), scores=scores, lengths=np.ones(len(row), np.int32))


def fall(ending):
    if ending == "segmentation fault":
        ctypes.string_at(0)
    held = []
    while True:  # memory without end
        held.append(np.ones(1 << 24))


def tasks_of(cells, rows=5):
    """Tasks of ten prompts each, no two cells of which share an input."""
    for n in range(cells // 10):
        data = [{"text": f"Row {i} of {n}.", "label": (i + n) % 2} for i in range(rows)]
        prompts = [t0.Prompt(f"p{k}", f"{k}: {{{{ text }}}} ||| {{{{ answer_choices[label] }}}}", "no ||| yes") for k in range(10)]
        yield t0.Task(f"task {n:02}", data, prompts)


def files_of(folder):
    """What two evaluations that find the same have the same of."""
    return [(folder / name).read_bytes() for name in ("report.json", "report.md")]


def begun(log):
    """[(time, first input)] of the calls."""
    with open(log) as file:
        return [(float(when), what) for when, what in (line.rstrip("\n").split("\t") for line in file)]
