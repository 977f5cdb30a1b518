"""Stand-ins for prompt, tokenizer and model: small enough to compute by hand, with the interfaces of the real ones."""

import io
import os
import signal
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np

from t0native.base.errors import NumericError
from t0native.checkpoints.safetensorfiles import header_of
from t0native.text.tokenizer import Ragged
from t0native.training.stepfolders import MANIFEST, _manifest, read_manifest, step_folder, steps_in


def last_step(run):
    """(folder, manifest) of a run's last checkpoint."""
    folder = step_folder(run, steps_in(run)[-1])
    return folder, read_manifest(folder)


def change_manifest(run, change):
    """change(manifest) alters that of the last checkpoint, as if it had been written so."""
    folder, manifest = last_step(run)
    change(manifest)
    (folder / MANIFEST).write_bytes(_manifest(*(manifest[key] for key in ("plan", "state", "files"))))


@contextmanager
def ctrl_c(after, reached=lambda: True):
    """Sends SIGINT so many seconds after the block has reached something, but not once it has ended: a late one would stop pytest itself."""
    ended = threading.Event()

    def send():
        while not reached():
            if ended.wait(0.01):
                return
        if not ended.wait(after):
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


class FakePrompt:
    """Renders by a Python function row -> (input, target, choices) or None."""

    def __init__(self, name, render, fields=("text", "label")):
        self.name, self.id, self.fields, self._render = name, f"id of {name}", set(fields), render
        self.jinja, self.answer_choices = f"jinja of {name}", None

    def render(self, row, seed=0, index=0):
        return self._render(row)

    def why_dropped(self, row, seed=0, index=0):
        return "the template gives an empty input"


def yes_no(name="is it", words=("no", "yes")):
    return FakePrompt(name, lambda row: (f"{name}: {row['text']}", words[row["label"]], list(words)))


def rows_of(n, period=2):
    return [{"text": f"row {i}", "label": int(i % period == 0)} for i in range(n)]


class FakeTokenizer:
    """A token a byte, 3 + byte; EOS 1."""

    fingerprint = "bytes"

    def encode(self, text):
        return [3 + byte for byte in text.encode()]

    def encode_batch(self, texts, add_eos=False, max_length=None):
        return Ragged.of(([3 + byte for byte in text.encode()] + [1] * add_eos)[:max_length] for text in texts)


class FakeModel:
    """One weight a token: loss = mean over target tokens of (w[token] - 1)^2, momentum as optimiser state."""

    dtype, name = "float32", "fake"

    def __init__(self, answer=None, delay=0.0, fail_at=None):
        self.tokenizer, self.config = FakeTokenizer(), {"kind": "fake"}
        self.w = np.zeros(300, np.float32)
        self.answer, self.delay, self.fail_at, self.saved = answer, delay, fail_at, []

    def rank(self, inputs, choices, truncate=False, progress=None):
        picks = [self.answer(text, c) if self.answer else 0 for text, c in zip(inputs, choices)]
        return [SimpleNamespace(choice=c[i], index=i) for c, i in zip(choices, picks)]

    def generate(self, inputs, max_new_tokens=20, truncate=False, progress=None):
        return [" yes " for _ in inputs]

    def save(self, folder):
        self.saved.append(folder)

    def add_to(self, files):
        files.add("model.safetensors", header_of({"w": ("F32", self.w.shape)}), self.w)


class FakeTrainer:
    """In the place of t0native.training.trainer.Trainer."""

    def __init__(self, model, **options):
        self.model, self.options, self.momentum = model, options, np.zeros(300, np.float32)

    def gradients(self, sources, targets, step):
        time.sleep(self.model.delay)
        if step == self.model.fail_at:
            raise NumericError("tensor w: gradient is not finite")
        self.gradient = np.zeros(300, np.float32)
        difference = self.model.w[targets.ids] - 1
        np.add.at(self.gradient, targets.ids, 2 * difference / len(targets.ids))
        return float(np.mean(difference**2))

    def apply(self, learning_rate, step):
        self.momentum[...] = 0.9 * self.momentum + self.gradient
        self.model.w -= np.float32(learning_rate) * self.momentum
        return float(np.sqrt(np.sum(self.gradient**2)))

    def weights(self):
        return {"w": self.model.w}

    writable_weights = weights

    def numbers(self):
        return {}

    def load_numbers(self, numbers):
        pass

    def state(self):
        return self.momentum.copy()

    def state_size(self):
        return len(self.momentum)

    def state_parts(self):
        yield self.momentum

    def send_parts(self):
        pass

    def load_state(self, state):
        self.momentum[...] = state

    def spread(self):
        pass
