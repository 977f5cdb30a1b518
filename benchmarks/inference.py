"""Rank classification of T5-large's shape in float32 against transformers with torch, on one pinned thread.

    python benchmarks/inference.py [--size large] [--source 80] [--target 2] [--choices 2] [--examples 4] [--repeats 5] [--generate 16]

transformers is driven as well as its users can: the encoder runs once for the whole batch (no padding, as all sources are
of one length), its output is repeated for the choices by hand, and all choices are decoded in one batch. Scores are
compared first. --generate N measures greedy generation of N tokens as well.
"""

import argparse

import sidebyside  # sets the thread variables before torch and NumPy are loaded

import numpy as np
import torch
from training import in_torch

import t0native as t0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", default="large")
    for name, value in (
        ("source", 80),
        ("target", 2),
        ("choices", 2),
        ("examples", 4),
        ("repeats", 5),
        ("generate", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(sidebyside.machine())
    sidebyside.pin()
    torch.set_num_threads(1)

    model = t0.Model.init(t0.Config.t5_v1_1(options.size), seed=1, threads=1)
    theirs = in_torch(model, 0.0).eval()
    rng = np.random.default_rng(0)
    sources = rng.integers(3, 32000, (options.examples, options.source)).astype(np.int32)
    targets = rng.integers(3, 32000, (options.examples, options.choices, options.target)).astype(np.int32)
    targets[..., -1] = 1

    def ours():
        rankings = model.rank(list(sources), [list(row) for row in targets])
        return np.array([ranking.scores for ranking in rankings])

    @torch.inference_mode()
    def reused():
        states = theirs.encoder(input_ids=torch.from_numpy(sources).long()).last_hidden_state
        labels = torch.from_numpy(targets.reshape(-1, options.target)).long()
        repeated = (states.repeat_interleave(options.choices, 0),)
        logp = theirs(encoder_outputs=repeated, labels=labels).logits.log_softmax(-1)
        return logp.gather(-1, labels[..., None])[..., 0].sum(-1).numpy().reshape(options.examples, options.choices)

    a, b = ours(), reused()
    print(
        f"T5 {options.size}, S {options.source}, T {options.target}, C {options.choices}, B {options.examples}, "
        f"kernels {model.core.kernels}, torch {torch.__version__}"
    )
    print(f"largest difference of scores: {np.abs(a - b).max():.2e}")
    assert np.abs(a - b).max() <= 1e-2, "the two sides do not compute the same"
    runs = {"t0native": ours, "transformers, encoder reused": reused}
    sidebyside.report(sidebyside.alternate(runs, options.repeats), "t0native", " an example", options.examples)
    if options.generate:
        compare_generation(model, theirs, sources, options)


def compare_generation(model, theirs, sources, options):
    n = options.generate
    offsets = np.arange(options.examples + 1) * options.source
    ids = torch.from_numpy(sources).long()

    @torch.inference_mode()
    def transformers_generate():
        return theirs.generate(ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, num_beams=1)

    runs = {
        "t0native generate": lambda: model.core.generate(sources.ravel(), offsets, n, n),
        "transformers generate": transformers_generate,
    }
    seconds = sidebyside.alternate(runs, options.repeats)
    sidebyside.report(seconds, "t0native generate", " a token", n * options.examples)


if __name__ == "__main__":
    main()
