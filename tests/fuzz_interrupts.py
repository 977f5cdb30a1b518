"""Ctrl-C at a random moment of a training run, again and again: how soon the step is abandoned, and what is kept.

    python tests/fuzz_interrupts.py [--size tiny|base] [--moments 50] [--phases gradients,apply,batch,validate,save] [--seed 0] [--threads 1]
        [--optimizer adafactor] [--batch 8] [--signal SIGINT] [--twice]

    phases   what goes on around the moment: gradients, the optimiser's step, waiting for batches (of slow rows, two workers), validation,
             a checkpoint
    told     processor time from the signal until the line on stderr
    late     processor time from the signal until the run begins to save, or, where it is saving already, until it has saved; by what was
             really going on
    ended    processor time of the whole rest: the checkpoint, the model and the exception

Each time the run must end with the signal's exception, and its checkpoint must hold the model in memory, which must be that of a run
of so many steps. With --twice a second signal follows the line by up to 0.15 s (tiny: 0.01 s): `again` is the processor time from it until the run has
ended, and the last checkpoint, if there is one, must be whole. Exit code 1 where it is not so; the times are told, not judged."""

import argparse
import logging
import os
import signal
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from fakes import FakePrompt, rows_of, yes_no
from test_runs import bytes_of, model

import t0native as t0
from t0native.base import interrupts
from t0native.training import batches, runfolder, train
from t0native.training.stepfolders import check_files, read_manifest, step_folder, steps_in
from t0native.training.trainer import Trainer

PHASES = ("gradients", "apply", "batch", "validate", "save")
BASE = {"vocab_size": 32128, "d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_heads": 12, "feed_forward_proj": "gated-gelu"}


class Watched:
    """Knows which phase the run is in, and sends a signal so many seconds after the k-th beginning of the phase `name`, and, where
    `again` is no None, another so many seconds after it was told."""

    def __init__(self, name, k, after, number, again):
        self.name, self.left, self.after, self.number, self.again = name, k, after, number, again
        self.sent = self.told = self.left_phase = self.hit = self.sent_again = self.timer = None
        self.within = ["between"]

    @contextmanager
    def phase(self, name):
        if self.sent is not None and self.left_phase is None and name == "save":
            self.left_phase = time.process_time()  # the step was abandoned
        if name == self.name and self.sent is None:
            self.left -= 1
            if self.left == 0:
                threading.Timer(self.after, self.send).start()
        self.within.append(name)
        try:
            yield
        finally:
            self.within.pop()
            if name == "save" and self.sent is not None and self.left_phase is None:
                self.left_phase = time.process_time()

    def send(self):
        self.hit = self.within[-1]
        self.sent = time.process_time()
        os.kill(os.getpid(), self.number)

    def send_again(self):
        self.sent_again = time.process_time()
        os.kill(os.getpid(), signal.SIGINT)

    def tell(self, number):
        """In the place of Interrupts._tell."""
        self.told = time.process_time()
        if self.again is not None:
            self.timer = threading.Timer(self.again, self.send_again)
            self.timer.start()

    def wrap(self, owner, attribute, name):
        inner = getattr(owner, attribute)

        def outer(*given, **named):
            with self.phase(name):
                return inner(*given, **named)

        setattr(owner, attribute, outer)
        return owner, attribute, inner


def slowly(row):
    time.sleep(0.03)
    return f"is it: {row['text']}", ("no", "yes")[row["label"]], ["no", "yes"]


def interrupted(begun, out, options, watched):
    """When a run that a signal ended had ended, in processor time."""
    places = (
        (Trainer, "gradients", "gradients"),
        (Trainer, "apply", "apply"),
        (batches.Batches, "next", "batch"),
        (train, "evaluate", "validate"),
    )
    undone = [watched.wrap(*place) for place in (*places, (runfolder.RunFolder, "save", "save"))]
    undone.append((interrupts.Interrupts, "_tell", interrupts.Interrupts._tell))
    interrupts.Interrupts._tell = lambda self, number: watched.tell(number)
    try:
        t0.train(begun, out=out, steps=100_000, progress=False, **options)
        raise AssertionError("the run ended by itself")
    except (KeyboardInterrupt, interrupts.Terminated):
        ended = time.process_time()
        if watched.timer is not None:
            watched.timer.cancel()
        return ended
    finally:
        for owner, attribute, inner in undone:
            setattr(owner, attribute, inner)


def options_for(phase, size, threads, batch, optimizer):
    slow = t0.Task("a", rows_of(60), {"p": FakePrompt("p", slowly) if phase == "batch" else yes_no("is it")})
    held = t0.Task("a", rows_of(40 if size == "base" else 400), {"p": yes_no("is it")})
    options = {
        "mixture": slow,
        "batch_size": batch,
        "optimizer": optimizer,
        "threads": threads,
        "workers": 2 if phase == "batch" else 1,
        "seed": 3,
    }
    if phase == "validate":
        options |= {"validate": held, "validate_every": 1}
    return options | ({"checkpoint_every": 1} if phase == "save" else {})


def new_model(size):
    return model() if size == "tiny" else t0.Model.init(t0.Config(**BASE), model().tokenizer, seed=1, threads=1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=("tiny", "base"), default="tiny")
    for name, default in (("moments", 50), ("seed", 0), ("threads", 1), ("batch", 8)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--optimizer", default="adafactor")
    parser.add_argument("--signal", default="SIGINT")
    parser.add_argument("--twice", action="store_true")
    args = parser.parse_args()
    logging.getLogger("t0native").setLevel(logging.ERROR)  # the tokenizer is smaller than T5-base's vocabulary
    random, begun, times = np.random.default_rng(args.seed), new_model(args.size), {}
    for phase in args.phases.split(","):
        for _ in range(args.moments):
            after = random.uniform(0, 0.02 if args.size == "tiny" else {"gradients": 1, "save": 4, "validate": 4}.get(phase, 0.3))
            again = random.uniform(0, 0.15 if args.size == "base" else 0.01) if args.twice else None
            watched = Watched(phase, int(random.integers(1, 3)), after, signal.Signals[args.signal], again)
            one_moment(args, begun, phase, watched, times)
    for (phase, what), found in sorted(times.items()):
        print(
            f"{args.size}, {phase}: {len(found)} signals, {what} {1000 * np.median(found):,.0f} ms (at most {1000 * max(found):,.0f})",
            flush=True,
        )


def one_moment(args, begun, phase, watched, times):
    """Adds times to those of the phase that was hit; AssertionError where another model is kept."""
    options = options_for(phase, args.size, args.threads, args.batch, args.optimizer)
    trained = begun if args.size == "base" else new_model("tiny")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        ended = interrupted(trained, out, options, watched)
        times.setdefault((watched.hit, "told"), []).append(watched.told - watched.sent)
        if args.size == "base":
            print(f"{watched.hit}: told after {1000 * (watched.told - watched.sent):,.0f} ms", flush=True)
        if watched.sent_again is not None:
            times.setdefault((watched.hit, "again"), []).append(ended - watched.sent_again)
            for kept in map(lambda step: step_folder(out, step), steps_in(out)):
                check_files(kept, read_manifest(kept)["files"])
            return
        times.setdefault((watched.hit, "late"), []).append(watched.left_phase - watched.sent)
        times.setdefault((watched.hit, "ended"), []).append(ended - watched.sent)
        (step,) = steps_in(out)[-1:]
        kept = t0.Model.from_pretrained(step_folder(out, step))
    assert bytes_of(kept) == bytes_of(trained), "another model"
    if args.size == "tiny":
        fresh = model()
        if step:
            t0.train(fresh, steps=step, progress=False, **{**options, "validate": None, "checkpoint_every": None})
        assert bytes_of(fresh) == bytes_of(trained), "not the run of so many steps"


if __name__ == "__main__":
    main()
