"""Training against transformers with torch: random weights of T5-base's shape, one pinned thread, paired runs, medians, as Markdown.

    python benchmarks/training.py [--part step lengths optimizer memory threads] [--precision float32 bfloat16] [--size base]
        [--repeats 7] [--kernels SET]

    step       forward and backward of 4 examples, 256 tokens to 64; bfloat16 against torch's autocast
    lengths    the same of 8 examples whose lengths are log-normal (mean 256, coefficient of variation 0.5; targets a quarter),
               ragged here, padded to the longest there
    optimizer  a step of Adafactor against transformers', of AdamW against torch's (foreach)
    memory     peak of a process that trains with Adafactor, 3 steps
    threads    a step on two threads against one

Both sides hold the same weights and get the same batch; losses are compared first. Times are of the processor, except of two
threads. Shares of peak count the operations of the products alone, 2 a multiplication with its addition, the backward pass twice the
forward; shares of bandwidth count each pass over weights, gradients and states once."""

import argparse
import multiprocessing
import resource
import statistics
import time

import numpy as np
import sidebyside  # sets the thread variables before torch and NumPy are loaded

import t0native as t0
from t0native import _core

REACH = {"step": "1.5 x", "lengths": "2 x", "adafactor": "3 x, 70 %", "adamw": "2 x, 70 %", "memory": "0.65 x", "threads": "1.85 x"}
PASSES = {"adafactor": 24, "adamw": 28}  # bytes a weight: g; g, w; g, w, w again | w, m, v twice and g
LEARNING_RATE = 1e-6


# ---- the two sides ---------------------------------------------------------------------------------------------------


def in_torch(model, dropout=0.0):
    """transformers' model with the same weights."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    config = {**model.config.core(), "dropout_rate": dropout}
    with torch.device("meta"):
        theirs = T5ForConditionalGeneration(T5Config(**config))
    theirs = theirs.to_empty(device="cpu")
    theirs.encoder.embed_tokens = theirs.decoder.embed_tokens = theirs.shared
    if model.config.tie_word_embeddings:
        theirs.lm_head.weight = theirs.shared.weight
    else:
        theirs.lm_head.weight = torch.nn.Parameter(torch.empty_like(theirs.lm_head.weight))
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(torch.from_numpy(model.core.tensor(name).copy()))
    return theirs.train()


def lengths_of(part, rng):
    """Source and target lengths of a batch."""
    if part != "lengths":
        return [256] * 4, [64] * 4
    sigma = np.sqrt(np.log(1 + 0.5**2))
    sources = np.clip(rng.lognormal(np.log(256) - sigma**2 / 2, sigma, 8), 16, 1024).astype(int)
    return sources.tolist(), (sources // 4).tolist()


class Ours:
    def __init__(self, model, precision, threads=1, **options):
        self.trainer = _core.Trainer(model.core, threads=threads, precision=precision, **options)
        self.steps = 0

    def gradients(self, batch):
        self.steps += 1
        return self.trainer.gradients(*(part for side in batch for part in _ragged(side)), self.steps)[0]

    def apply(self):
        self.trainer.apply(LEARNING_RATE, max(1, self.steps))


def _ragged(sequences):
    return np.concatenate(sequences).astype(np.int32), np.cumsum([0, *map(len, sequences)])


class Theirs:
    def __init__(self, model, precision, optimizer=None):
        import torch
        from transformers.optimization import Adafactor

        torch.set_num_threads(1)
        self.torch, self.half, self.model = torch, precision == "bfloat16", in_torch(model)
        if optimizer == "adafactor":
            how = {"scale_parameter": True, "relative_step": False, "warmup_init": False}
            self.optimizer = Adafactor(self.model.parameters(), lr=LEARNING_RATE, **how)
        elif optimizer == "adamw":
            self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE, foreach=True)

    def gradients(self, batch):
        ids, labels = (self._padded(side, fill) for side, fill in zip(batch, (0, -100)))
        self.model.zero_grad(set_to_none=True)
        with self.torch.autocast("cpu", dtype=self.torch.bfloat16, enabled=self.half):
            loss = self.model(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
        loss.backward()
        return loss.item()

    def _padded(self, sequences, fill):
        out = np.full((len(sequences), max(map(len, sequences))), fill, np.int64)
        for row, sequence in zip(out, sequences):
            row[: len(sequence)] = sequence
        return self.torch.from_numpy(out)

    def apply(self):
        self.optimizer.step()


# ---- measuring -------------------------------------------------------------------------------------------------------


def paired(ours, theirs, repeats, clock=time.process_time):
    """Seconds of each, alternating, after one run unmeasured."""
    seconds = ([], [])
    for i in range(repeats + 1):
        for side, run in zip(seconds, (ours, theirs)):
            start = clock()
            run()
            if i:
                side.append(clock() - start)
    return seconds


def told(seconds):
    """Both medians, and the ratio with its range."""
    ratios = [theirs / ours for ours, theirs in zip(*seconds)]
    ours, theirs = map(statistics.median, seconds)
    return ours, theirs, f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} to {max(ratios):.2f})"


def operations(config, sources, targets):
    """Of the forward pass, twice that backward: each weight with each row it meets, and attention."""
    d, inner, f = config.d_model, config.num_heads * config.d_kv, config.d_ff * (3 if config.gated else 2)
    s, t = sum(sources), sum(targets)
    encoder = config.num_layers * (4 * d * inner + d * f) * s
    decoder = config.num_decoder_layers * ((6 * d * inner + d * f) * t + 2 * d * inner * s) + config.vocab_size * d * t
    pairs = config.num_layers * sum(n * n for n in sources)
    pairs += config.num_decoder_layers * sum(n * (n + 1) / 2 + n * m for n, m in zip(targets, sources))
    return 6 * (encoder + decoder + 2 * inner * pairs)


def compare(part, precision, options):
    rng = np.random.default_rng(0)
    model = t0.Model.init(t0.Config.t5_v1_1(options.size), seed=1, threads=1, kernels=options.kernels)
    lengths = lengths_of(part, rng)
    batch = [[rng.integers(3, 32000, n) for n in side] for side in lengths]
    ours, theirs = Ours(model, precision), Theirs(model, precision)
    a, b = ours.gradients(batch), theirs.gradients(batch)
    assert abs(a - b) <= (1e-3 if precision == "float32" else 1e-2) * abs(b), f"not the same: losses {a} and {b}"
    peak = _core.probe(precision, model.core.kernels, 0.3)
    one, other, ratio = told(paired(lambda: ours.gradients(batch), lambda: theirs.gradients(batch), options.repeats))
    share = operations(model.config, *lengths) / one / peak
    print(
        f"| {part} | {precision} | {model.core.kernels} | {one:.3f} s | {share:.0%} of the peak | {other:.3f} s | {ratio} | {REACH[part]} |"
    )


def compare_optimizers(options):
    model = t0.Model.init(t0.Config.t5_v1_1(options.size), seed=1, threads=1, kernels=options.kernels)
    rng = np.random.default_rng(0)
    batch = [[rng.integers(3, 32000, n) for n in side] for side in ([16], [8])]
    read = _core.probe_read(np.ones(1 << 28, np.uint8), model.core.kernels, 0.3)
    for optimizer in ("adafactor", "adamw"):
        ours, theirs = Ours(model, "float32", optimizer=optimizer), Theirs(model, "float32", optimizer)
        ours.gradients(batch), theirs.gradients(batch)
        one, other, ratio = told(paired(ours.apply, theirs.apply, options.repeats))
        share = PASSES[optimizer] * model.parameters / one / read
        print(
            f"| {optimizer} | float32 | {model.core.kernels} | {one:.3f} s | {share:.0%} of the bandwidth | {other:.3f} s | {ratio} "
            f"| {REACH[optimizer]} |"
        )
        del ours, theirs


def peak_of(side, precision, size, kernels, queue):
    sidebyside.pin()
    model = t0.Model.init(t0.Config.t5_v1_1(size), seed=1, threads=1, kernels=kernels)
    if side == "theirs":
        trainer = Theirs(model, precision, "adafactor")
        del model
    else:
        trainer = Ours(model, precision)
    rng = np.random.default_rng(0)
    batch = [[rng.integers(3, 32000, n) for n in lengths] for lengths in lengths_of("step", rng)]
    own = _reset_peak()
    for _ in range(3):
        trainer.gradients(batch)
        trainer.apply()
    queue.put((_peak(), own))


def _reset_peak():
    """Linux: the peak counts from now on. What the process holds, in bytes."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def _peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def compare_memory(precision, options):
    context, peaks = multiprocessing.get_context("spawn"), {}
    for side in ("ours", "theirs"):
        queue = context.Queue()
        process = context.Process(target=peak_of, args=(side, precision, options.size, options.kernels, queue))
        process.start()
        peaks[side], _ = queue.get()
        process.join()
    one, other = peaks["ours"] / 1e9, peaks["theirs"] / 1e9
    print(
        f"| memory | {precision} | {options.kernels or 'best'} | {one:.2f} GB | - | {other:.2f} GB | {one / other:.2f} x its | "
        f"{REACH['memory']} |"
    )


def compare_threads(precision, options):
    rng = np.random.default_rng(0)
    batch = [[rng.integers(3, 32000, n) for n in lengths] for lengths in lengths_of("step", rng)]
    model = t0.Model.init(t0.Config.t5_v1_1(options.size), seed=1, kernels=options.kernels)
    one, two = Ours(model, precision), Ours(model, precision, threads=2)

    def step(side):
        side.gradients(batch)
        side.apply()

    seconds = paired(lambda: step(two), lambda: step(one), options.repeats, time.perf_counter)
    a, b, ratio = told(seconds)
    print(f"| two threads | {precision} | {model.core.kernels} | {a:.3f} s | - | one thread {b:.3f} s | {ratio} | {REACH['threads']} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = ("step", "lengths", "optimizer", "memory", "threads")
    parser.add_argument("--part", nargs="+", choices=parts, default=parts)
    parser.add_argument("--precision", nargs="+", choices=("float32", "bfloat16"), default=("float32", "bfloat16"))
    parser.add_argument("--size", default="base")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--kernels", choices=t0.kernels.available())
    options = parser.parse_args()
    print(sidebyside.machine() + f"\n\nT5 {options.size}\n")
    print("| work | precision | kernels | ours | share | transformers and torch | ratio | reach |\n|---|---|---|---|---|---|---|---|")
    if "threads" in options.part:  # before this process is pinned to one
        for precision in options.precision:
            compare_threads(precision, options)
    sidebyside.pin()
    for part in (part for part in ("step", "lengths") if part in options.part):
        for precision in options.precision:
            compare(part, precision, options)
    if "optimizer" in options.part:
        compare_optimizers(options)
    if "memory" in options.part:
        for precision in options.precision:
            compare_memory(precision, options)


if __name__ == "__main__":
    main()
