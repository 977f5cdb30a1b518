"""Forward and backward of T5-base's shape in float32 against transformers with torch, on one pinned thread.

    python benchmarks/training.py [--size base] [--source 256] [--target 64] [--batch 4] [--repeats 5] [--step]

Both sides hold the same random weights and get the same batch; losses are compared first. With --step, an Adafactor step
(transformers' own there) is added to each side.
"""

import argparse

import sidebyside  # sets the thread variables before torch and NumPy are loaded

import numpy as np
import torch

import t0native as t0
from t0native import _core


def in_torch(model, dropout):
    """transformers' model with the same weights."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = {**model.config.core(), "dropout_rate": dropout}
    with torch.device("meta"):
        theirs = T5ForConditionalGeneration(T5Config(**config))
    theirs = theirs.to_empty(device="cpu")
    theirs.encoder.embed_tokens = theirs.decoder.embed_tokens = theirs.shared
    if not model.config.tie_word_embeddings:
        theirs.lm_head.weight = torch.nn.Parameter(torch.empty_like(theirs.lm_head.weight))
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(torch.from_numpy(model.core.tensor(name).copy()))
    return theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="base")
    for name, value in (("source", 256), ("target", 64), ("batch", 4), ("repeats", 5)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--step", action="store_true", help="add an optimiser step to each side")
    options = parser.parse_args()
    print(sidebyside.machine())
    sidebyside.pin()
    torch.set_num_threads(1)

    model = t0.Model.init(t0.Config.t5_v1_1(options.size), seed=1, threads=1)
    theirs = in_torch(model, options.dropout).train()
    rng = np.random.default_rng(0)
    sources = rng.integers(3, 32000, (options.batch, options.source)).astype(np.int32)
    targets = rng.integers(3, 32000, (options.batch, options.target)).astype(np.int32)
    trainer = _core.Trainer(model.core, dropout=options.dropout, threads=1)
    batch = (
        sources.ravel(),
        np.arange(options.batch + 1) * options.source,
        targets.ravel(),
        np.arange(options.batch + 1) * options.target,
    )
    ids, labels = torch.from_numpy(sources).long(), torch.from_numpy(targets).long()
    optimizer = None
    if options.step:
        from transformers.optimization import Adafactor

        optimizer = Adafactor(
            theirs.parameters(), lr=1e-6, scale_parameter=True, relative_step=False, warmup_init=False
        )
    steps = iter(range(1, 1_000_000))

    def ours():
        step = next(steps)
        loss = trainer.gradients(*batch, step)[0]
        if options.step:
            trainer.apply(1e-6, step)
        return loss

    def torch_eager():
        theirs.zero_grad(set_to_none=True)
        loss = theirs(input_ids=ids, labels=labels).loss
        loss.backward()
        if optimizer is not None:
            optimizer.step()
        return loss.item()

    a, b = ours(), torch_eager()
    print(
        f"T5 {options.size}, S {options.source}, T {options.target}, B {options.batch}, kernels {model.core.kernels}, torch {torch.__version__}"
    )
    print(f"loss: t0native {a:.6f}, transformers {b:.6f}")
    assert options.dropout > 0 or abs(a - b) <= 1e-3 * abs(b), "the two sides do not compute the same"
    seconds = sidebyside.alternate({"t0native": ours, "transformers": torch_eager}, options.repeats)
    sidebyside.report(seconds, "t0native", " a batch")
    tokens = options.batch * (options.source + options.target)
    print(f"t0native: {tokens / sorted(seconds['t0native'])[len(seconds['t0native']) // 2]:,.0f} tokens/s")


if __name__ == "__main__":
    main()
