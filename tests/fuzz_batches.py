"""Random batches: a score, a state, a logit has the bits that it has alone, whatever the batch, its order, the neighbours, the
other choices, the threads, where the batch is cut, or which rows a decoder is given together.

    python tests/fuzz_batches.py [--batches 10000] [--dtypes float32,trainable,bfloat16,int8] [--kernels portable,avx2] [--seed 0] [--families]

"trainable" is float32 as training lays it out. Each number type and kernel set gets so many batches of 1 to 64 inputs, on two small models by turns,
or with --families on one of each family of T5. Choices of an input often begin alike. Exit code 1, with the first differing batches, where a bit differs.
test_batches.py runs a slice."""

import argparse
import sys
import time
from collections import Counter

import numpy as np
from engine_models import decoded, ragged

import t0native as t0

DTYPES = ("float32", "trainable", "bfloat16", "int8")
MODELS = {
    # Sizes that no panel, tile or group divides.
    "primes": t0.Config(vocab_size=541, d_model=37, d_kv=7, d_ff=53, num_layers=2, num_decoder_layers=3, num_heads=5),
    # Sums longer than a block of the products; wide enough for threads to share a product.
    "long sums": t0.Config(
        vocab_size=300, d_model=40, d_kv=16, d_ff=801, num_layers=1, num_heads=2, feed_forward_proj="relu", tie_word_embeddings=True
    ),
}
_SMALL = dict(vocab_size=211, d_model=37, d_kv=7, d_ff=53, num_layers=2, num_decoder_layers=3, num_heads=5)
FAMILIES = {
    "umT5": t0.Config(**_SMALL, relative_attention_every_layer=True),
    "UL2": t0.Config(**_SMALL, feed_forward_proj="gated-silu"),
    "gated-relu": t0.Config(**_SMALL, feed_forward_proj="gated-relu", tie_word_embeddings=True, scale_decoder_outputs=False),
    "gelu": t0.Config(**_SMALL, feed_forward_proj="gelu", tie_word_embeddings=True),
    "gelu_new": t0.Config(**_SMALL, feed_forward_proj="gelu_new"),
    "silu": t0.Config(**_SMALL, feed_forward_proj="silu", relative_attention_every_layer=True),
    "encoder": t0.Config(**_SMALL, encoder_only=True, relative_attention_every_layer=True),
}
INPUTS, MOST = 80, 64


class Bits:
    """One model, some inputs with choices, and what each of them gives alone on one thread."""

    def __init__(self, config, dtype, kernels, seed=0, inputs=INPUTS):
        rng = np.random.default_rng(seed)
        first = t0.Model.init(config, seed=seed, kernels=kernels, threads=1)
        first = first if dtype == "trainable" else first.to(dtype)
        self.by_threads = {n: t0.Model(first.core, config, threads=n) for n in (1, 2)}
        lengths = np.where(rng.random(inputs) < 0.04, rng.integers(40, 160, inputs), rng.integers(1, 24, inputs))
        self.inputs = [self.ids(rng, n) for n in lengths]
        self.states = [first.encode(ids) for ids in self.inputs]
        self.kinds = ("encode",) if config.encoder_only else ("rank", "rank", "rank", "rank", "one token", "encode", "logits", "decoder")
        if config.encoder_only:
            return
        self.choices = [self.alike(rng) for _ in self.inputs]
        self.scores = [first.rank(*pair).scores for pair in zip(self.inputs, self.choices)]
        self.logits = [first.logits(ids, choices[0]) for ids, choices in zip(self.inputs, self.choices)]
        self.steps = [decoded(first.core, [ids], [choices[0]])[0] for ids, choices in zip(self.inputs, self.choices)]

    def ids(self, rng, n):
        return rng.integers(2, self.by_threads[1].config.vocab_size, n).astype(np.int32)

    def alike(self, rng):
        """1 to 5 choices of 1 to 8 tokens, of which some begin as one before."""
        choices = []
        for n in rng.integers(1, 9, rng.integers(1, 6)):
            begin = choices[rng.integers(len(choices))][: rng.integers(n + 1)] if choices and rng.random() < 0.5 else choices[:0]
            choices.append(np.concatenate([np.array(begin, np.int32), self.ids(rng, n - len(begin))]))
        return choices

    def check(self, rng):
        """(what a random batch was, whether every bit is right)"""
        threads, picked = int(rng.integers(1, 3)), rng.integers(0, len(self.inputs), rng.integers(1, MOST + 1))
        what = self.kinds[rng.integers(len(self.kinds))]
        model, inputs = self.by_threads[threads], [self.inputs[i] for i in picked]
        batch_tokens = (None, None, int(rng.integers(1, 100)), int(rng.integers(100, 2000)))[rng.integers(4)]
        if what == "encode":
            equal = all(map(np.array_equal, model.encode(inputs), [self.states[i] for i in picked]))
        elif what == "logits":
            decoder = [self.choices[i][0] for i in picked]
            found = model.core.logits(*ragged(inputs), *ragged(decoder), threads)
            equal = np.array_equal(found, np.concatenate([self.logits[i] for i in picked]))
        elif what == "decoder":
            found = decoded(model.core, inputs, [self.choices[i][0] for i in picked], threads, rng)
            equal = all(map(np.array_equal, found, [self.steps[i] for i in picked]))
        else:
            chosen = [self.some_choices(rng, i, what == "one token") for i in picked]
            pairs = [(i, rows) for i, rows in zip(picked, chosen) if len(rows)]
            found = model.rank(
                [self.inputs[i] for i, _ in pairs], [[self.choices[i][c] for c in rows] for i, rows in pairs], batch_tokens=batch_tokens
            )
            equal = all(np.array_equal(ranking.scores, self.scores[i][rows]) for ranking, (i, rows) in zip(found, pairs))
        return f"{what}, {threads} threads, batch_tokens {batch_tokens}, inputs {picked.tolist()}", equal

    def some_choices(self, rng, i, of_one_token):
        """Numbers of some choices of input i, in a random order."""
        fitting = [c for c, choice in enumerate(self.choices[i]) if len(choice) == 1 or not of_one_token]
        return rng.permutation(fitting)[: rng.integers(1, len(fitting) + 1)] if fitting else np.empty(0, int)


def fuzz(batches, dtype, kernels, seed=0, inputs=INPUTS, configs=MODELS):
    """(batches of each kind, descriptions of those with a differing bit)"""
    models = {name: Bits(config, dtype, kernels, seed, inputs) for name, config in configs.items()}
    rng, kinds, different = np.random.default_rng(seed), Counter(), []
    for number in range(batches):
        name = list(models)[number % len(models)]
        what, equal = models[name].check(rng)
        kinds[what.split(",")[0]] += 1
        if not equal:
            different.append(f"batch {number}, {name}: {what}")
    return kinds, different


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", type=int, default=10_000)
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--kernels", default=",".join(t0.kernels.available()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", action="store_true", help="models of each family, by turns")
    options, failed = parser.parse_args(), 0
    for kernels in options.kernels.split(","):
        for dtype in options.dtypes.split(","):
            start = time.perf_counter()
            kinds, different = fuzz(options.batches, dtype, kernels, options.seed, configs=FAMILIES if options.families else MODELS)
            failed += len(different)
            print(
                f"{kernels}, {dtype}: {dict(kinds)}; {len(different)} with a differing bit; {time.perf_counter() - start:.0f} s", flush=True
            )
            print("".join(f"  DIFFERENT {text}\n" for text in different[:5]), end="", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
