"""Learning on real text: span corruption (Raffel et al. 2020) with our trainer and with transformers on torch, from the same weights,
on the same batches in the same order, on one pinned thread each, for the same time on the clock.

    python benchmarks/learning.py --text botchan.txt --spiece spiece.model [--minutes 5] [--size small] [--precision float32]
        [--picture curves.png]

Both run AdamW at one learning rate without dropout. Every tenth of the time a row of the table: steps and the mean loss of the last
batches of either. One side runs after the other, on the same processor; batches are made before the clock starts."""

import argparse
import time

import numpy as np
import sidebyside  # sets the thread variables before torch and NumPy are loaded
import torch
from training import in_torch

import t0native as t0
from t0native import _core
from t0native.training.batches import make_batch

BATCH, LENGTH, LEARNING_RATE, LAST = 8, 128, 3e-4, 20


def batches_of(options, tokenizer, n):
    with open(options.text, encoding="utf-8") as file:
        text = [" ".join(part.split()) for part in file.read().split("\n\n")]
    lines = [line for line in text if len(line) > 200] or [" ".join(" ".join(text).split()[i : i + 120]) for i in range(0, 30000, 120)]
    task = t0.Task("text", [{"text": line} for line in lines], t0.SpanCorruption("text", length=LENGTH))
    mixture = t0.Mixture(task)
    how = {"seed": 0, "batch_size": BATCH, "max_source": LENGTH, "max_target": LENGTH}
    return [make_batch(mixture, tokenizer, step, **how) for step in range(n)]


def ours(model, precision):
    trainer = _core.Trainer(model.core, optimizer="adamw", threads=1, precision=precision)

    def step(batch, number):
        return trainer.step(batch.sources.ids, batch.sources.offsets, batch.targets.ids, batch.targets.offsets, LEARNING_RATE, number)[0]

    return step


def theirs(model, precision):
    torch.set_num_threads(1)
    network = in_torch(model)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.0, foreach=True)

    def padded(ragged, fill):
        rows = list(ragged)
        out = torch.full((len(rows), max(map(len, rows))), fill)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.from_numpy(np.asarray(row, np.int64))
        return out

    def step(batch, number):
        ids, labels = padded(batch.sources, 0), padded(batch.targets, -100)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16"):
            loss = network(input_ids=ids, attention_mask=(ids != 0).long(), labels=labels).loss
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def run(step, batches, seconds):
    """[(seconds since the beginning, loss)] of each step."""
    curve, start = [], time.perf_counter()
    for number, batch in enumerate(batches, 1):
        loss = step(batch, number)
        curve.append((time.perf_counter() - start, loss))
        if curve[-1][0] > seconds:
            break
    return curve


def at(curve, seconds):
    """(steps, mean of the last losses) when so much time had passed."""
    losses = [loss for when, loss in curve if when <= seconds]
    return len(losses), float(np.mean(losses[-LAST:])) if losses else float("nan")


def draw(curves, path):
    from matplotlib.figure import Figure

    figure = Figure((6, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in curves.items():
        when, losses = np.array(curve).T
        smooth = np.convolve(losses, np.ones(LAST) / LAST, "valid")
        axes.plot(when[LAST - 1 :] / 60, smooth, label=name)
    axes.set(xlabel="minutes", ylabel=f"loss, mean of {LAST} batches")
    axes.legend()
    figure.savefig(path, dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("text", "spiece"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--size", default="small")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--picture")
    options = parser.parse_args()
    print(sidebyside.machine())
    sidebyside.pin()
    tokenizer, seconds = t0.Tokenizer.from_file(options.spiece), 60 * options.minutes
    batches = batches_of(options, tokenizer, max(40, int(6 * seconds)))
    curves = {}
    for name, side in (("t0native", ours), ("transformers and torch", theirs)):
        model = t0.Model.init(t0.Config.t5_v1_1(options.size), tokenizer=tokenizer, seed=1, threads=1)
        curves[name] = run(side(model, options.precision), batches, seconds)
        if len(curves[name]) == len(batches):
            raise SystemExit(f"{name}: {len(batches)} batches were not enough")
    print(f"\nT5 {options.size}, {options.precision}, {BATCH} texts of at most {LENGTH} tokens, AdamW {LEARNING_RATE}\n")
    print("| minutes | t0native steps | loss | transformers and torch steps | loss |\n|---|---|---|---|---|")
    for tenth in range(1, 11):
        row = [at(curve, seconds * tenth / 10) for curve in curves.values()]
        print(f"| {options.minutes * tenth / 10:.1f} | " + " | ".join(f"{steps} | {loss:.3f}" for steps, loss in row) + " |")
    if options.picture:
        draw(curves, options.picture)


if __name__ == "__main__":
    main()
