"""How often bfloat16 and int8 choose the answer that float32 chooses, and how far their scores are off.

    python benchmarks/accuracy.py [--models random,mini,golden] [--dtypes bfloat16,int8] [--kernels avx2] [--inputs 2000] [--rows 100]

random   198 million random weights (T5 1.1's base with 9 layers), --inputs inputs of 8 to 60 tokens with 2 to 4 choices each
mini     the carried miniature on its held-out tasks: the first --rows rows in every wording
golden   the small models of tests/golden, --inputs inputs in all; few columns a row, so that each rounding weighs more

A margin is the distance of the best score from the second. Inputs whose float32 margin is below 1 % of the margins' standard
deviation are left out of "agree"; "of all" counts them too. Errors of scores are in nats, their root mean square in standard
deviations of the margins as well. One thread."""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import sidebyside  # sets the thread variables before NumPy is loaded

import t0native as t0

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "golden"))
WANTED = {"bfloat16": 0.99, "int8": 0.985}  # of the inputs that are not left out
RANDOM = t0.Config(vocab_size=32128, d_model=768, d_ff=2048, num_layers=9, num_heads=12)


def random_inputs(rng, vocab, n, most=60):
    """(inputs, choices): 2 to 4 choices of 1 to 4 tokens for each, as ids."""

    def ids(lengths):
        return [rng.integers(3, vocab, length).astype(np.int32) for length in lengths]

    return ids(rng.integers(8, most + 1, n)), [ids(rng.integers(1, 5, count)) for count in rng.integers(2, 5, n)]


def random_cases(options):
    model = t0.Model.init(RANDOM, seed=1, kernels=options.kernels, threads=1)
    yield model, *random_inputs(np.random.default_rng(1), RANDOM.vocab_size, options.inputs)


def mini_cases(options):
    inputs, choices = [], []
    for task in t0.mini.held_out_tasks():
        for prompt in task.prompts:
            rendered = [task.render(prompt, index) for index in range(options.rows)]
            inputs += [example.input for example in rendered if example is not None]
            choices += [example.choices for example in rendered if example is not None]
    yield t0.Model.mini(kernels=options.kernels, threads=1), inputs, choices


def golden_cases(options):
    import golden_models as golden

    for case, (shape, *_) in golden.CASES.items():
        config = t0.Config(**shape)
        model = t0.Model.init(config, kernels=options.kernels, threads=1)
        for name, value in golden.weights(case, config.tensors().items()).items():
            model.core.put(name, 0, np.atleast_2d(value))
        yield model, *random_inputs(np.random.default_rng(1), config.vocab_size, options.inputs // len(golden.CASES))


CASES = {"random": random_cases, "mini": mini_cases, "golden": golden_cases}


def compare(cases, dtypes):
    """({dtype: (float32's margins, whether the same is chosen, errors of the scores, the same errors)}, seconds); margins and the
    last errors are in standard deviations of their model's margins."""
    found = {dtype: ([], [], [], []) for dtype in dtypes}
    seconds = dict.fromkeys(["float32", *dtypes], 0.0)
    for model, inputs, choices in cases:
        exact, seconds["float32"] = timed(model.to("float32"), inputs, choices, seconds["float32"])
        margins = np.array([np.diff(np.sort(ranking.scores)[-2:])[0] for ranking in exact])
        for dtype, (all_margins, same, errors, shares) in found.items():
            rounded, seconds[dtype] = timed(model.to(dtype), inputs, choices, seconds[dtype])
            all_margins.append(margins / margins.std())
            same.append([a.index == b.index for a, b in zip(exact, rounded)])
            errors.append(np.concatenate([b.scores - a.scores for a, b in zip(exact, rounded)]))
            shares.append(errors[-1] / margins.std())
    return {dtype: tuple(map(np.concatenate, parts)) for dtype, parts in found.items()}, seconds


def timed(model, inputs, choices, before):
    start = time.process_time()
    return model.rank(inputs, choices), before + time.process_time() - start


def root_mean_square(values):
    return np.sqrt((values**2).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", default="random,mini,golden")
    parser.add_argument("--dtypes", default="bfloat16,int8")
    parser.add_argument("--kernels", default=None)
    parser.add_argument("--inputs", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=100)
    options = parser.parse_args()
    print(sidebyside.machine())
    sidebyside.pin()
    kernels = options.kernels or t0.Model.mini().core.kernels
    print(
        f"kernels {kernels}\n\n| model | dtype | inputs | agree | left out | of all | largest error | RMS | RMS in deviations | "
        "processor seconds (float32) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    short = []
    for name in options.models.split(","):
        found, seconds = compare(CASES[name](options), options.dtypes.split(","))
        for dtype, (margins, same, errors, shares) in found.items():
            clear = margins >= 0.01
            agree = same[clear].mean()
            if agree < WANTED[dtype]:
                short.append(f"{name} {dtype}: {100 * agree:.2f} %, wanted {100 * WANTED[dtype]} %")
            choice = f"{100 * agree:.2f} % | {(~clear).sum()} | {100 * same.mean():.2f} %"
            error = f"{np.abs(errors).max():.3g} | {root_mean_square(errors):.3g} | {root_mean_square(shares):.3g}"
            print(f"| {name} | {dtype} | {len(same)} | {choice} | {error} | {seconds[dtype]:.0f} ({seconds['float32']:.0f}) |", flush=True)
    print("".join(f"\nbelow the aim: {text}" for text in short))


if __name__ == "__main__":
    main()
