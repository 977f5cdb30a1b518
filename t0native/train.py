"""Multitask prompted training (Sanh et al. 2022, section 5; t-zero's recipe): maximum likelihood of targets given inputs.

    step:  batch of (seed, step) --gradients--> clip --Adafactor or AdamW--> weights, in place

The next batch is prepared on a background thread. Every number is a function of the plan: a run that was stopped (Ctrl-C,
kill -9, a full disk) goes on bit for bit from its last checkpoint. T0's settings are the defaults; its batches had 1024
sequences."""

import json
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field

from t0native.batches import Batches, make_batch
from t0native.errors import ConfigError, NumericError, suggest
from t0native.evaluate import evaluate
from t0native.mixture import Mixture
from t0native.progress import Progress
from t0native.runs import RunFolder
from t0native.schedules import check_schedule, rate_at
from t0native.tasks import Task
from t0native.trainer import Trainer

__all__ = ["Run", "train"]

OPTIMIZERS = ("adafactor", "adamw")
CHECKPOINT_SECONDS = 600.0
SMOOTHING = 0.95  # of the loss on the progress bar


@dataclass
class Run:
    """What a training did; see `train`. losses: one a step; stopped: why it ended before `steps`, or None; tokens: sources and targets;
    path: its folder, or None; log: the log's entries; reports: of the validations of this call.

    >>> Run(steps=2, losses=[3.5, 3.25], stopped=None, seconds=0.5, tokens=1200)
    Run(2 steps, last loss 3.2500, 1,200 tokens, 0.5 s, path='None')
    """

    steps: int
    losses: list
    stopped: str | None
    seconds: float
    tokens: int
    path: object = None
    log: list = field(default_factory=list, repr=False)
    reports: list = field(default_factory=list, repr=False)

    def __repr__(self):
        last = f", last loss {self.losses[-1]:.4f}" if self.losses else ""
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        return f"Run({self.steps} steps{last}, {self.tokens:,} tokens, {self.seconds:.1f} s{stopped}, path={str(self.path)!r})"


def train(
    model,
    mixture,
    *,
    steps,
    out=None,
    resume="auto",
    batch_size=64,
    optimizer="adafactor",
    optimizer_options=None,
    learning_rate=1e-3,
    schedule="constant",
    warmup=0,
    clip=1.0,
    seed=0,
    dropout=None,
    max_source=1024,
    max_target=256,
    threads=None,
    log_every=10,
    checkpoint_every=None,
    validate=None,
    validate_every=None,
    stop=None,
    progress=True,
    mixture_at=None,
):
    """Train a float32 model in place on a mixture; returns a Run.

    mixture: a Mixture, a Task or a list of tasks.  mixture_at: callable step -> Mixture, for curricula (else `mixture`).
    out: folder of the run: checkpoint.npz, log.jsonl and, at the end, the model in the hub's layout.
    resume: "auto" goes on from out's checkpoint if there is one, "must" demands one, "never" begins anew. A checkpoint
        with another plan is refused with what changed.
    schedule: "constant", "linear", "cosine", "rsqrt", or a callable (step, steps) -> factor.  warmup: steps.
    clip: global norm of the gradients, 0 for none.  dropout: None for the model's own rate.
    optimizer_options: keywords of the optimiser (step_offset, beta1, weight_decay, ...).
    checkpoint_every: steps between checkpoints; None: every ten minutes. One is always made at the end and when stopped.
    validate: tasks, evaluated after every validate_every steps.  stop: callable (report, log) -> reason to end the run, or
        None; asked after each validation, or, where nothing is validated, at each logged step with report None.
    Ctrl-C: the step under way is abandoned, the run is saved, KeyboardInterrupt goes on. NumericError names step and
    components, after saving the state before that step. ConfigError for an argument or a changed plan.

    >>> run = train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=2, batch_size=4, progress=False)
    >>> run.steps, len(run.losses), run.stopped
    (2, 2, None)
    """
    given = dict(locals())
    _check(given)
    mixture = mixture if isinstance(mixture, Mixture) else Mixture(mixture)
    plan = _plan(model, mixture, given)
    validate = [validate] if isinstance(validate, Task) else validate
    options = {"seed": seed, "threads": threads, "options": optimizer_options or {}}
    trainer = Trainer(model, optimizer=optimizer, clip_norm=clip, dropout=dropout, **options)
    folder = RunFolder(out, plan)
    state = folder.open({True: "must", False: "never"}.get(resume, resume), trainer)

    def make(step):
        chosen = mixture if mixture_at is None else mixture_at(step)
        lengths = {"max_source": max_source, "max_target": max_target}
        return make_batch(chosen, model.tokenizer, step, seed=seed, batch_size=batch_size, **lengths)

    def rate(step):
        return rate_at(step, steps, learning_rate, schedule, warmup)

    loop = _Loop(model, trainer, folder, state, rate, steps=steps, log_every=log_every, checkpoint_every=checkpoint_every)
    loop.validation(validate, validate_every or max(1, steps // 10), stop)
    try:
        loop.run(make, progress)
        if folder.path is not None:
            model.save(folder.path)
    finally:
        folder.close()
    return Run(state.step, state.losses, state.stopped, state.seconds, state.tokens, folder.path, folder.log, loop.reports)


class _Loop:
    """The steps of one call of `train`, and what happens between them."""

    def __init__(self, model, trainer, folder, state, rate, *, steps, log_every, checkpoint_every):
        self.model, self.trainer, self.folder, self.state, self.rate = model, trainer, folder, state, rate
        self.steps, self.log_every, self.checkpoint_every = steps, log_every, checkpoint_every
        self.reports = []
        self.interrupts = _Interrupts()
        self.saved_at = time.monotonic()
        self.seconds_before, self.began = state.seconds, time.monotonic()
        self.tokens_before = state.tokens
        self.smooth = None
        self.aside = 0.0  # seconds of validation, which the shown speed leaves out

    def validation(self, tasks, every, stop):
        self.tasks, self.validate_every, self.stop = tasks, every, stop

    def run(self, make, progress):
        state = self.state
        bar = Progress("train", self.steps, on=progress, done=state.step)
        with self.interrupts, bar, Batches(make, state.step, self.steps) as batches:
            try:
                self._validate_if_due()
                while state.step < self.steps and state.stopped is None:
                    self._step(batches.next(self.interrupts.check))
                    bar.update(state.step, *self._facts())
                    self._validate_if_due()
                    self._save_if_due()
            except (KeyboardInterrupt, NumericError):
                self.folder.save(state, self.trainer)
                raise
            self.folder.save(state, self.trainer)

    def _step(self, batch):
        """One step, or none: gradients may be interrupted, for they change nothing; the rest may not."""
        number = batch.step + 1
        learning_rate = self.rate(batch.step)
        try:
            with self.interrupts.allowed():
                loss = self.trainer.gradients(batch.sources, batch.targets, number)
            grad_norm = self.trainer.apply(learning_rate, number)
        except NumericError as error:
            kept = f"; the state after step {batch.step} is kept" + (f" in {self.folder.path}" if self.folder.path else "")
            raise NumericError(f"step {number}: {error}; the batch: {batch.composition()}{kept}") from error
        state = self.state
        state.step = number
        state.losses.append(loss)
        state.tokens += batch.n_tokens
        state.seconds = self.seconds_before + time.monotonic() - self.began
        self.smooth = loss if self.smooth is None else SMOOTHING * self.smooth + (1 - SMOOTHING) * loss
        if number % self.log_every == 0 or number == self.steps:
            facts = {"loss": loss, "grad_norm": grad_norm, "tokens": state.tokens, "seconds": round(state.seconds, 3)}
            self.folder.note(step=number, **facts, lr=learning_rate)
            if self.stop is not None and self.tasks is None:
                state.stopped = self.stop(None, self.folder.log)

    def _facts(self):
        state = self.state
        speed = (state.tokens - self.tokens_before) / max(1e-9, state.seconds - self.seconds_before - self.aside)
        return f"loss {self.smooth:.3f}", f"{speed:,.0f} tokens/s"

    def _validate_if_due(self):
        state = self.state
        due = state.step > 0 and (state.step % self.validate_every == 0 or state.step == self.steps)
        if self.tasks is None or not due or state.validated >= state.step:
            return
        began = time.monotonic()
        with self.interrupts.allowed():
            report = evaluate(self.model, self.tasks, progress=False, label=f"step {state.step}")
        self.aside += time.monotonic() - began
        self.reports.append(report)
        medians = {entry["task"]: entry["median"] for entry in report.summary}
        state.validated = state.step
        self.folder.note(step=state.step, validation=medians)
        if self.stop is not None:
            state.stopped = self.stop(report, self.folder.log)

    def _save_if_due(self):
        now = time.monotonic()
        due = self.state.step % self.checkpoint_every == 0 if self.checkpoint_every else now - self.saved_at > CHECKPOINT_SECONDS
        if due:
            self.folder.save(self.state, self.trainer)
            self.saved_at = now


class _Interrupts:
    """Ctrl-C acts inside `allowed()` and at `check()`; elsewhere it is kept until then, so that a step's bookkeeping and
    the writing of a checkpoint are never torn. Where signals cannot be handled (not the main thread), it does nothing."""

    def __enter__(self):
        self.pending, self.open, self.old = False, False, None
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.old = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, kind, error, trace):
        if self.old is not None:
            signal.signal(signal.SIGINT, self.old)
            if self.pending and kind is None:
                raise KeyboardInterrupt

    def _handle(self, number, frame):
        self.pending = True
        if self.open:
            self.check()

    def check(self):
        if self.pending:
            self.pending = self.open = False
            raise KeyboardInterrupt

    @contextmanager
    def allowed(self):
        self.open = True
        try:
            self.check()
            yield
        finally:
            self.open = False


def _check(given):
    """Refuses arguments out of range, with the range."""
    for name in ("steps", "batch_size", "max_source", "max_target", "log_every"):
        if not isinstance(given[name], int) or isinstance(given[name], bool) or given[name] < 1:
            raise ConfigError(f"{name} {given[name]!r}: must be a whole number, at least 1")
    for name in ("checkpoint_every", "validate_every"):
        if given[name] is not None and (not isinstance(given[name], int) or given[name] < 1):
            raise ConfigError(f"{name} {given[name]!r}: must be a whole number, at least 1, or None")
    for name in ("warmup", "clip"):
        if not isinstance(given[name], (int, float)) or not 0 <= given[name] < float("inf"):
            raise ConfigError(f"{name} {given[name]!r}: must be a number, at least 0")
    if not isinstance(given["learning_rate"], (int, float)) or not 0 < given["learning_rate"] < float("inf"):
        raise ConfigError(f"learning_rate {given['learning_rate']!r}: must be a positive number")
    if given["dropout"] is not None and not 0 <= given["dropout"] < 1:
        raise ConfigError(f"dropout {given['dropout']!r}: must be at least 0 and below 1, or None")
    if given["optimizer"] not in OPTIMIZERS:
        raise ConfigError(f"optimizer {given['optimizer']!r}: {suggest(given['optimizer'], OPTIMIZERS)}")
    check_schedule(given["schedule"])
    model = given["model"]
    if getattr(model, "dtype", "float32") != "float32":
        raise ConfigError(f"a {model.dtype} model cannot be trained; load it with dtype='float32'")
    if getattr(model, "tokenizer", None) is None:
        raise ConfigError("the model has no tokenizer; load one beside it (spiece.model) or give it: Model.init(config, tokenizer=...)")


_PLANNED = (
    "batch_size", "optimizer", "optimizer_options", "learning_rate", "warmup", "clip", "seed", "dropout", "max_source", "max_target",
)  # fmt: skip


def _plan(model, mixture, given):
    """All that decides the numbers of a run, as JSON values. A longer run is the same plan while the rate is constant."""
    schedule = given["schedule"]
    plan = {name: given[name] for name in _PLANNED}
    plan["schedule"] = "a function" if callable(schedule) else schedule
    if schedule != "constant":
        plan["steps"] = given["steps"]
    plan["mixture"] = mixture.digest()
    plan["curriculum"] = given["mixture_at"] is not None
    plan["model"] = _digest(model.config)
    return json.loads(json.dumps(plan))


def _digest(config):
    import hashlib

    facts = config.to_dict() if hasattr(config, "to_dict") else config
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()
