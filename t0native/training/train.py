"""Multitask prompted training (Sanh et al. 2022, section 5; t-zero's recipe): maximum likelihood of targets given inputs.

    step:  batch of (seed, step) --gradients--> clip --Adafactor, AdamW or SGD--> weights, in place

The next batches are prepared on background threads. Every number is a function of the plan: a run that was stopped (Ctrl-C,
kill -9, a full disk) goes on bit for bit from its last checkpoint.

The defaults are T0's where it says what it used: Adafactor without momentum or weight decay, a constant rate of 1e-3,
dropout 0.1 (from the configuration), inputs of 1024 tokens and targets of 256. They are not T0's in add_eos_to_inputs (the model's own;
T0: false), in batch_size (T0: 1024
sequences of several examples each), clip (none is told of) and in what T0 presumably inherited from T5 1.1,
optimizer_options={"z_loss": 1e-4, "step_offset": 1_100_000}: a step counter that goes on from pre-training."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from t0native.base.digests import digest_of_package
from t0native.base.errors import ConfigError, NumericError
from t0native.base.foreign import Hinting, hint_keywords
from t0native.base.interrupts import Interrupts, Terminated, write_to_stderr
from t0native.base.progress import Progress, duration
from t0native.base.showing import shown
from t0native.evaluation.evaluate import NO_TOKENIZER, check_scorable, evaluate
from t0native.models.digests import digest_for_runs, digest_of_weights
from t0native.tasks.mixture import Mixture
from t0native.tasks.task import Task, cut_sentence
from t0native.training.adaptertrainer import AdapterOfRun, AdapterTrainer, check_adapter_settings
from t0native.training.batches import CHUNK, Batches, TokenBatches, add_counts, examples_of, make_batch
from t0native.training.card import CardOfRun
from t0native.training.lottrainer import LotTrainer
from t0native.training.notebook import run_html
from t0native.training.plan import plan_of
from t0native.training.ranks import settle_lots, started_ranks
from t0native.training.runfolder import BEST, RunFolder, planned
from t0native.training.scalars import Scalars, check_tensorboard
from t0native.training.schedules import rate_at
from t0native.training.selection import check_selection, tell_shared_rows
from t0native.training.settings import Settings
from t0native.training.trainer import Trainer
from t0native.training.validations import best_validation, tell_best, tell_validation, validations_of

if TYPE_CHECKING:  # of annotations alone
    import os
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path
    from typing import Literal

    from t0native.adapters.methods import IA3, LoRA, PromptTuning
    from t0native.models.model import Model
    from t0native.reports.report import Report

__all__ = ["Run", "train"]

_log = logging.getLogger("t0native")
CHECKPOINT_SECONDS = 600.0
SMOOTHING = 0.95  # of the loss on the progress bar
FEW_STEPS = 20  # fewer, of a run by epochs, are told to be few


@dataclass
class Run(Hinting):
    """What a training did; see `train`. losses: one a step; stopped: why it ended before `steps`, or None; tokens: sources and targets;
    path: its folder, or None; log: the log's entries; reports: of the validations of this call; best: step and mean of the
    validation whose model is kept in path/best, or None; examples: trained on; dropped: {component: rows drawn in vain, which its
    prompt drops, whose target is no answer, which cannot be rendered or have no token}; cut: examples of which a value was cut at
    2,048 characters.

    >>> Run(steps=2, losses=[3.5, 3.25], stopped=None, seconds=0.5, tokens=1200)
    Run(2 steps, last loss 3.2500, 1,200 tokens, 0.5 s, path='None')
    """

    steps: int
    losses: list[float]
    stopped: str | None
    seconds: float
    tokens: int
    path: Path | None = None
    log: list[dict[str, Any]] = field(default_factory=list, repr=False)
    reports: list[Report] = field(default_factory=list, repr=False)
    best: tuple[int, float] | None = field(default=None, repr=False)
    examples: int = 0
    dropped: dict[str, int] = field(default_factory=dict, repr=False)
    cut: int = 0

    def __repr__(self):
        last = f", last loss {self.losses[-1]:.4f}" if self.losses else ""
        stopped = f", stopped: {self.stopped}" if self.stopped else ""
        dropped = f", {sum(self.dropped.values()):,} rows dropped" if self.dropped else ""
        best = f", {told}" if (told := tell_best(self.log)) else ""
        steps, took = f"{self.steps:,} step{'s' * (self.steps != 1)}", duration(self.seconds)
        return f"Run({steps}{last}{best}, {self.tokens:,} tokens{dropped}, {took}{stopped}, path={str(self.path)!r})"

    def _repr_html_(self):
        return run_html(self)


@hint_keywords
def train(
    model: Model,
    mixture: Mixture | Task | Iterable[Task | Mixture],
    *,
    steps: int | None = None,
    epochs: int | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: Literal["auto", "must", "never"] | bool = "auto",
    batch_size: int | None = None,
    accumulate: int = 1,
    batch_tokens: int | None = None,
    lots: int | None = None,
    wire: Literal["float32", "bfloat16"] = "float32",
    optimizer: Literal["adafactor", "adamw", "sgd"] = "adafactor",
    optimizer_options: dict[str, Any] | None = None,
    learning_rate: float = 1e-3,
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] | Callable[[int, int], float] = "constant",
    warmup: float = 0,
    clip: float = 1.0,
    seed: int = 0,
    dropout: float | None = None,
    broadcast_dropout: bool = False,
    freeze: list[str] | tuple[str, ...] | None = None,
    adapter: LoRA | IA3 | PromptTuning | None = None,
    recompute: bool = False,
    precision: Literal["float32", "bfloat16"] = "float32",
    max_source: int = 1024,
    max_target: int = 256,
    add_eos_to_inputs: bool | None = None,
    add_eos_to_targets: bool = True,
    truncate: bool = True,
    unanswered: Literal["drop", "keep"] | None = None,
    threads: int | None = None,
    workers: int = 1,
    log_every: int = 10,
    checkpoint_every: int | None = None,
    keep: int = 2,
    validate: Task | Sequence[Task] | None = None,
    validate_every: int | None = None,
    select: bool = False,
    stop: Callable[[Report | None, list[dict[str, Any]]], object] | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    mixture_at: Callable[[int], Mixture] | None = None,
) -> Run:
    """Train a float32 model in place on a mixture; returns a Run. Until then no other thread may use the model: it would see half
    of a step.

    mixture: a Mixture, a Task or a list of tasks.  mixture_at: callable step -> Mixture, for curricula (else `mixture`).
    steps, or epochs: steps of the optimiser; or how often every row is trained on, each time in another order, by the seed, and under a
        prompt that is drawn anew. The last batch has what is left. Of one task, or of several of whose rows none comes more often than
        another: of other mixtures, of batch_tokens and of mixture_at ConfigError. A row that no prompt serves is replaced by others.
    out: folder of the run: checkpoints/step-NNNNNN, log.jsonl and, when it ends or is stopped, the model in the hub's layout.
    resume: "auto" goes on from out's last checkpoint if there is one, "must" demands one, "never" begins anew. A checkpoint
        with another plan is refused with what changed, and so is a model that has neither the weights that the run began
        with nor those of the checkpoint.
    batch_size, or batch_tokens: examples of a batch, 64 where neither is given; or tokens of a batch at most, inputs and targets after
        trimming: as many examples, in their order, as fit, and one at least.
    accumulate: batches whose gradients make one step: the step is, to the bit, that of one batch of batch_size (batch_tokens) x
        accumulate. Memory is the same either way, since gradients of any batch are summed over pieces of some 500 tokens.
    lots: a power of two, at most 64: the batch is cut into so many runs of whole examples, whose gradients are summed on a tree, so that
        1 to `lots` processes (`mpiexec -n 4`) give the same bits; a process takes up to log2(lots) more sets of gradients. None: 8 where
        MPI begins a run, as the run in `out` began, else none.
    wire: of lots, "bfloat16" halves what processes send of gradients: every sum of the tree below the last is rounded to one, so that any
        number of processes, one too, gives the same bits, which are others than those of "float32".
    schedule: "constant", "linear", "cosine", "rsqrt", or a callable (step, steps) -> factor; where it has an attribute
        `expected`, the progress bar counts to that step instead of the last one possible.  warmup: steps.
    clip: global norm of the gradients, 0 for none.  dropout: None for the model's own rate.  broadcast_dropout: one mask for
        all tokens of a sequence, and in attention for all its queries, as T5X draws it.
    optimizer: "adafactor", "adamw" or "sgd".  optimizer_options: its keywords (step_offset; beta1, beta2, epsilon,
        weight_decay; momentum) and those of the loss (z_loss, label_smoothing).
    freeze: patterns of names of tensors that stay as they are, as ["shared.*", "*.layer_norm.weight"]: they do not count in
        the norm that is clipped and take no optimiser state.
    adapter: t0.LoRA(...), t0.IA3(...) or t0.PromptTuning(...), trained in the place of the model's weights, which are only read: float32,
        bfloat16 or int8. The model uses it afterwards, as "default"; `out` and its checkpoints are folders of PEFT
        (docs/reference/adapters.md).
    recompute: activations take a quarter of the memory or so (T5-base, 4 examples of 256 + 64 tokens: 128 MB, not 455) and a step a fifth
        more time; not a bit of the results changes.
    precision: of matrix products, "float32" or, where the processor multiplies it (AVX-512 BF16), "bfloat16", 1.7 times as fast;
        weights, gradients and everything else stay float32.
    truncate: values that prompts print are cut at 2,048 characters, as T0's were; False: of no task, in validation neither.
    unanswered: "drop" rows whose target is no answer (a label out of range, -1, None or nan; an empty target), and draw others for them, or
        "keep" them as promptsource prints them. None: "drop", or as the run in `out` began; those of 0.1.0 kept them. Rows that cannot be
        rendered or tokenized are dropped either way. A warning tells the first row of each task, and Run.dropped counts them.
    add_eos_to_inputs, add_eos_to_targets: whether the end token is appended, before texts are trimmed. Of inputs, None: as the model has
        it, or where nothing told it, as the run in `out` began; the trained model has it so. Of targets T0's choice is the default.
    checkpoint_every: steps between checkpoints; None: every ten minutes. One is always made at the end and when stopped.
    keep: so many of the last checkpoints stay; each loads as a model does. From one that the disk damaged, none goes on but the one before.
    validate: tasks, evaluated after every validate_every steps.  stop: callable (report, log) -> reason to end the run, or
        None; asked after each validation, or, where nothing is validated, at each logged step with report None.
    select: T0's choice of a checkpoint: the model with the best mean over the validated tasks (of each, the mean over its prompts;
        the earlier where two are equal) is kept in out/best. Tasks of datasets that the mixture does not train on are refused,
        and so are those of whose rows it trains on more than a tenth; fewer are told.
    tensorboard: write the log to out/tensorboard too, by tensorboardX (pip install tensorboardX).
    seed: from 0 to 2**64 - 1.  workers: threads that prepare batches ahead; the batches are the same with any number.
    Ctrl-C: the step under way is abandoned (or finished, once the optimiser has begun), the run is saved, KeyboardInterrupt goes on;
    a line on stderr says so at once, and another at the end where the run stands and what goes on. A second one ends the run where it
    is: the last checkpoint is whole, and the model in memory may be that of no step. SIGTERM and SIGHUP do the same with
    SystemExit(143) and (129). NumericError names step and components, after saving the state before that step. OSError where the folder
    cannot be written, or was renamed meanwhile: the last checkpoint is whole. ConfigError for an argument or a changed plan, MemoryError
    where gradients and optimiser state do not fit.

    >>> run = train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=2, batch_size=4, progress=False)
    >>> run.steps, len(run.losses), run.stopped
    (2, 2, None)
    """
    settings = Settings(
        steps=steps, epochs=epochs, out=out, resume=resume, batch_size=batch_size, accumulate=accumulate, batch_tokens=batch_tokens,
        lots=lots, wire=wire,
        optimizer=optimizer, optimizer_options=optimizer_options, learning_rate=learning_rate, schedule=schedule, warmup=warmup, clip=clip,
        seed=seed, dropout=dropout, broadcast_dropout=broadcast_dropout, freeze=freeze, adapter=adapter,
        recompute=recompute, precision=precision,
        max_source=max_source, max_target=max_target, add_eos_to_inputs=add_eos_to_inputs, add_eos_to_targets=add_eos_to_targets,
        truncate=truncate, unanswered=unanswered, threads=threads, workers=workers, log_every=log_every,
        checkpoint_every=checkpoint_every, keep=keep,
        validate=[validate] if isinstance(validate, Task) else validate, validate_every=validate_every, select=select, stop=stop,
        progress=progress, tensorboard=tensorboard, mixture_at=mixture_at,
    )  # fmt: skip
    return run_training(model, mixture, settings, "the same call" + (" with resume='auto'" if settings.resume == "never" else ""))


def run_training(model, mixture, settings, again, ranks=None):
    """`train` by Settings. again: what goes on with the run after it was stopped, in words.  ranks: of this process; None: as it was
    started."""
    ranks = started_ranks() if ranks is None else ranks
    _check_model(model, settings)
    mixture = mixture if isinstance(mixture, Mixture) else Mixture(mixture)
    mixture = mixture if settings.truncate else mixture.uncut()
    with ranks.leaving(), ranks.one_tells():
        check_scorable(settings.validate or ())
        if settings.select:
            check_selection(mixture, settings)
        else:
            tell_shared_rows(mixture, settings)
        if settings.tensorboard:
            check_tensorboard(settings.out)
        return _run(model, mixture, _settle(model, settings, ranks), again, ranks)


def _settle(model, settings, ranks):
    """The settings with what the run in `out` decides, where they leave it open: unanswered, lots, add_eos_to_inputs."""
    began = ranks.ask_first(lambda: {name: _planned(settings, name) for name in ("seed", "unanswered", "lots", "add_eos_to_inputs")})
    lots = settle_lots(settings, ranks, began["lots"], goes_on=began["seed"] is not None)
    if lots is None and settings.wire != Settings.wire:
        raise ConfigError(f"wire {shown(settings.wire)}: it rounds sums of lots, and the run has none; give lots, as 8")
    settings = replace(settings, unanswered=settings.unanswered or began["unanswered"] or "drop", lots=lots)
    return _settle_end_token(model, settings, began["add_eos_to_inputs"])


def _planned(settings, name):
    """What the run that goes on in `out` has of a setting; None where none does."""
    return planned(settings.out, name) if settings.out is not None and settings.resume != "never" else None


def _settle_end_token(model, settings, began):
    """The settings with a decided add_eos_to_inputs, which is the model's from now on. began: the run's that goes on, or None."""
    added = settings.add_eos_to_inputs
    if added is None:
        added = getattr(model, "add_eos_to_inputs", False)
        if began not in (None, added) and getattr(model, "end_token_assumed", False):
            how = "with" if began else "without"
            _log.warning("%s: the run goes on %s the end token behind inputs, as it began; add_eos_to_inputs tells it", settings.out, how)
            added = began
    model.add_eos_to_inputs, model.end_token_assumed = added, False
    return replace(settings, add_eos_to_inputs=added)


def _run(model, mixture, settings, again, ranks):
    """The Run of settled settings."""
    examples, steps = examples_of(mixture, settings)
    trainer = _make_trainer(model, settings, ranks)
    plan, weights = plan_of(model, mixture, settings), None
    if settings.out is not None or ranks.size > 1:
        weights = digest_for_runs(model, trainer.weights()) if settings.adapter is None else digest_of_weights(model)
    if ranks.size > 1:
        ranks.check_same({"package": digest_of_package(), **plan, "weights": weights, "length": (settings.steps, settings.epochs)})
    out = settings.out if ranks.rank == 0 else None
    folder = RunFolder(out, plan if settings.out is None else plan | {"weights": weights}, settings.keep)
    state = _open(folder, settings, trainer, ranks)
    card = CardOfRun(_kept(model, trainer), mixture, plan, state.step > 0)
    loop = _Loop(settings, model, examples, steps, trainer, folder, state, card, ranks)
    done = loop.state.step
    if done > steps:
        _log.warning("%s: the run has %d steps already, more than the %d asked for: nothing is done", settings.out, done, steps)
    try:
        if settings.tensorboard and ranks.rank == 0:
            folder.scalars = Scalars(folder.path, folder.log)
        loop.run()
    except (KeyboardInterrupt, Terminated):
        if ranks.rank == 0:
            write_to_stderr(_tell_stop(loop.state.step, steps, folder, again))
        raise
    finally:
        folder.close()
    return loop.summarize()


def _kept(model, trainer):
    """What a run writes: its model, or its adapter."""
    return AdapterOfRun(trainer.adapter) if isinstance(trainer, AdapterTrainer) else model


def _make_trainer(model, settings, ranks):
    if settings.adapter is not None:
        check_adapter_settings(settings, ranks)
        return AdapterTrainer(model, settings.adapter, **settings.trainer_options)
    if settings.lots is None:
        return Trainer(model, **settings.trainer_options)
    return LotTrainer(model, lots=settings.lots, wire=settings.wire, ranks=ranks, **settings.trainer_options)


def _open(folder, settings, trainer, ranks):
    """The State from which all ranks go on, which rank 0 reads."""
    state, folder.log, folder.plan = ranks.ask_first(lambda: (folder.open(settings.resume, trainer), folder.log, folder.plan))
    trainer.spread()
    return state


def _tell_start(step, steps, settings, folder):
    """Where a run goes on, or that it is a short one; None where there is nothing to tell."""
    if step == 0:
        if settings.epochs is None or steps >= FEW_STEPS or not settings.batch_size:
            return None
        size = settings.batch_size * settings.accumulate
        told = f"{steps:,} step{'' if steps == 1 else 's'} of {f'at most {size:,} examples' if size > 1 else 'one example'}"
        return f"{told}: few to learn from; {'a smaller batch_size gives' if size > 1 else 'more epochs give'} more"
    if step < steps:
        return f"{folder.path}: goes on after step {step:,} of {steps:,}"
    return f"{folder.path}: has all of its {steps:,} steps already; nothing is trained" if step == steps else None


def _tell_end(step, settings, folder):
    """The best validation of a run, and where its model is."""
    best = best_validation(validations_of(folder.log)[0])
    if best is None:
        return "no validation has a mean"
    if settings.select:
        return tell_best(folder.log) + (f"; its model is in {folder.path / BEST}" if folder.path else "")
    return tell_best(folder.log) + ("; that model is not kept: `select: true` keeps it" if best[0] < step and folder.path else "")


def _tell_stop(step, steps, folder, again):
    """Where a signal has stopped a run, and what goes on."""
    stopped, saved = f"stopped after step {step:,} of {steps:,}", folder.saved_step
    if folder.path is None:
        return f"{stopped}; nothing is saved: out= names a folder that keeps a run"
    if saved is None:
        return f"{stopped}; {folder.path} has no checkpoint yet: {again} begins anew"
    place = f"saved in {folder.path}" if saved == step else f"{folder.path} has the checkpoint of step {saved:,}"
    return f"{stopped}; {place}: {again} goes on from there"


class _Loop:
    """The steps of one call of `train`, and what happens between them."""

    def __init__(self, settings, model, examples, steps, trainer, folder, state, card, ranks):
        self.ranks = ranks
        self.settings, self.model, self.examples, self.steps = settings, model, examples, steps
        self.trainer, self.folder, self.state, self.card = trainer, folder, state, card
        self.kept = _kept(model, trainer)
        self.validate_every = settings.validate_every or max(1, self.steps // 10)
        self.reports = []
        self.interrupts = Interrupts("the run is saved first")
        self.whole = True  # weights and state are those of one step
        self.saved_at = time.monotonic()
        self.seconds_before, self.began = state.seconds, time.monotonic()
        self.tokens_before = state.tokens
        self.smooth_loss = None
        self.validation_seconds = 0.0  # which the shown speed leaves out

    def summarize(self):
        """The Run of the steps so far."""
        state, folder = self.state, self.folder
        dropped, cut = dict(state.dropped), state.cut
        for entry in folder.log:
            add_counts(dropped, entry.get("dropped", {}).items())
            cut += entry.get("cut", 0)
        if cut:
            _log.warning("%s", cut_sentence(cut, state.examples))
        return Run(
            state.step,
            state.losses,
            state.stopped,
            state.seconds,
            state.tokens,
            folder.path,
            log=folder.log,
            reports=self.reports,
            best=folder.best(),
            examples=state.examples,
            dropped=dropped,
            cut=cut,
        )

    def _batches(self):
        state, settings = self.state, self.settings
        if settings.batch_tokens is None:
            size = settings.batch_size * settings.accumulate
            return Batches(lambda step: self._make_batch(step, size), state.step, self.steps, settings.workers)
        tokens = settings.batch_tokens * settings.accumulate
        return TokenBatches(lambda chunk: self._make_batch(chunk, CHUNK), state.step, state.examples, tokens, settings.workers)

    def _make_batch(self, step, size):
        """The batch of a step; called on the threads of Batches."""
        settings = self.settings
        examples = self.examples if settings.mixture_at is None else settings.mixture_at(step)
        examples = examples if settings.truncate or settings.mixture_at is None else examples.uncut()
        return make_batch(examples, self.model.tokenizer, step, batch_size=size, **settings.batch_options)

    def run(self):
        state, settings = self.state, self.settings
        self.bar = bar = Progress("train", self.steps, on=settings.progress and self.ranks.rank == 0, done=state.step)
        with self.interrupts, bar, self._batches() as batches:
            try:
                if told := _tell_start(state.step, self.steps, settings, self.folder):
                    bar.tell(told)
                self._validate_if_due()
                while state.step < self.steps and state.stopped is None:
                    self.ranks.meet(self.interrupts)
                    self._step(batches.next(self.interrupts.check if self.ranks.size == 1 else lambda: None))
                    bar.total = max(state.step, getattr(settings.schedule, "expected", self.steps))
                    bar.update(state.step, *self._speed())
                    self._validate_if_due()
                    self._save_if_due()
            except (KeyboardInterrupt, Terminated, NumericError) as error:
                if self.whole and not self.interrupts.at_once:
                    self._save(with_model=not isinstance(error, NumericError))
                raise
            self._save(with_model=True)
            if self.reports:
                bar.tell(_tell_end(state.step, settings, self.folder))

    def _step(self, batch):
        """One step, or none: gradients may be interrupted, for they change nothing; the rest only at once, and then it is not saved."""
        number, settings = batch.step + 1, self.settings
        learning_rate = rate_at(batch.step, self.steps, settings.learning_rate, settings.schedule, settings.warmup)
        try:
            with self._interruptible():
                loss = self.trainer.gradients(batch.sources, batch.targets, number)
            self.whole = False
            grad_norm = self.trainer.apply(learning_rate, number)
        except NumericError as error:
            self.whole = True  # nothing was changed
            kept = f"; the state after step {batch.step} is kept" + (f" in {self.folder.path}" if self.folder.path else "")
            message = str(error).removeprefix(f"step {number}: ")
            raise NumericError(f"step {number}: {message}; the batch: {batch.composition()}{kept}") from error
        state = self.state
        state.step = number
        state.losses.append(loss)
        state.examples += len(batch)
        state.tokens += batch.n_tokens
        add_counts(state.dropped, batch.dropped.items())
        state.cut += sum(batch.cuts)
        state.seconds = self.seconds_before + time.monotonic() - self.began
        self.whole = True
        self.smooth_loss = loss if self.smooth_loss is None else SMOOTHING * self.smooth_loss + (1 - SMOOTHING) * loss
        if number % settings.log_every == 0 or number == self.steps:
            self._log_step(loss, grad_norm, learning_rate)

    def _log_step(self, loss, grad_norm, learning_rate):
        state = self.state
        entry = {"step": state.step, "loss": loss, "grad_norm": grad_norm, "tokens": state.tokens, "seconds": round(state.seconds, 3)}
        counts = {name: count for name in ("dropped", "cut") if (count := getattr(state, name))}
        self.folder.note(**entry, lr=learning_rate, **counts)
        state.dropped, state.cut = {}, 0
        if self.settings.validate is None:
            self._stop_if_asked(None)

    def _speed(self):
        """Two short texts for the progress bar."""
        state = self.state
        speed = (state.tokens - self.tokens_before) / max(1e-9, state.seconds - self.seconds_before - self.validation_seconds)
        return f"loss {self.smooth_loss:.3f}", f"{speed:,.0f} tokens/s"

    def _interruptible(self):
        """Where a signal may act at once: one process alone; several meet between two steps, for one would leave the others waiting."""
        return self.interrupts.allowed() if self.ranks.size == 1 else nullcontext()

    def _validate_if_due(self):
        state, settings = self.state, self.settings
        due = state.step > 0 and (state.step % self.validate_every == 0 or state.step == self.steps)
        if settings.validate is None or not due or state.validated >= state.step:
            return
        began = time.monotonic()
        with self._interruptible():
            report = evaluate(
                self.ranks.share_rows(self.model),
                settings.validate,
                progress=False,
                label=f"step {state.step}",
                add_eos_to_inputs=settings.add_eos_to_inputs,
                truncate=settings.truncate,
            )
        self.validation_seconds += time.monotonic() - began
        for earlier in self.reports[-1:]:
            earlier.answers = [None] * len(earlier.cells)  # memory does not grow with the validations
        self.reports.append(report)
        medians, means = ({entry["task"]: entry[name] for entry in report.summary} for name in ("median", "mean"))
        state.validated = state.step
        self.folder.note(step=state.step, validation=medians, **self._select(report, medians))
        self.bar.tell(tell_validation(state.step, means if settings.select else medians, self.folder.log))
        self._stop_if_asked(report)

    def _select(self, report, medians):
        """Keeps the best model, before the log tells of it: a run killed in between writes the same bytes again."""
        if not self.settings.select:
            return {}
        means = [entry["mean"] for entry in report.summary]
        if None in means:  # no cell of a task has a value
            return {"mean": None}
        mean = sum(means) / len(means)
        best = self.folder.best()
        if best is None or mean > best[1]:
            self.card.write(self.state, [*self.folder.log, {"step": self.state.step, "validation": medians, "mean": mean}])
            self.folder.save_model(self.kept, BEST)
        return {"mean": mean}

    def _stop_if_asked(self, report):
        if self.settings.stop is None:
            return
        reason = self.ranks.ask_first(lambda: self.settings.stop(report, self.folder.log))
        self.state.stopped = None if reason is None else str(reason)  # a checkpoint keeps it as text

    def _save_if_due(self):
        now, every = time.monotonic(), self.settings.checkpoint_every
        if self.state.step % every == 0 if every else self.ranks.tell(now - self.saved_at > CHECKPOINT_SECONDS):
            self._save(with_model=False)
            self.saved_at = now

    def _save(self, with_model):
        """The checkpoint, from which the run goes on, and, with_model, the model as other programs read it. Rank 0 writes, and the others
        wait for it: one that left with an error meanwhile would end it."""

        def write():
            self.folder.save(self.state, self.kept, self.trainer)
            if with_model:
                self.folder.save_model(self.kept)

        self.card.write(self.state, self.folder.log)
        self.ranks.ask_first(write, self.trainer.send_parts)


def _check_model(model, settings):
    if not hasattr(model, "config"):
        raise ConfigError(f"model {shown(model)}: must be a Model, as t0native.Model.from_pretrained(folder) gives")
    if getattr(model, "dtype", "float32") != "float32" and settings.adapter is None:
        raise ConfigError(f"a model in {model.dtype} cannot be trained; load it with dtype='float32', or train an adapter beside it")
    if getattr(model, "tokenizer", None) is None:
        raise ConfigError(NO_TOKENIZER)
