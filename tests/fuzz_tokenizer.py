"""Random texts: the tokenizer against the sentencepiece package, in ids, pieces, places and decoded text.

    python tests/fuzz_tokenizer.py [--data ../shared] [--texts 2000000] [--seed 0]

Models: T5's own, the two small public ones, and two trained here (nfkc_cf with byte fallback; identity with user-defined
symbols, spaces kept). Exit code 1 and the first differing texts where something differs. test_tokenizer.py runs a slice."""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece
from spiece_files import ODD, SENTENCES, train_model

from t0native import Tokenizer

PUBLIC = ["t5-spiece/spiece.model", "hf-test-sentencepiece/test_sentencepiece.model", "seqio-sentencepiece/sentencepiece.model"]
TRAINED = {
    "trained: nfkc_cf, bytes": {"normalization_rule_name": "nfkc_cf", "byte_fallback": True, "vocab_size": 400, "character_coverage": 0.98},
    "trained: identity, user symbols": {
        "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "vocab_size": 200,
        "user_defined_symbols": ["[SEP]", "user sym", "▁▁", "cat"], "control_symbols": ["<2en>"],
    },
}  # fmt: skip
BATCH = 1000
SPACES = [*(" " * 8), "  ", "   ", "\t", "\n", "\r\n", "\u3000", "\u00a0", "\u2009", "\u2028", "▁", "▁▁", "\x0b", "\x0c", "\x85"]
CONTROLS = [*map(chr, range(32)), "\x7f", "\x80", "\x9f", "\u200b", "\u200d", "\u202e", "\ufeff", "\ufffe", "\ufffd", "\U000e0001"]
NAMES = ["<pad>", "</s>", "<unk>", "<0x41>", "<0xE2>", "<extra_id_>", "<extra_id_100>", "<2en>", "[SEP]", "user sym", "▁<extra_id_3>"]
SCRIPTS = [(0x00C0, 0x0250), (0x0300, 0x0370), (0x0370, 0x0400), (0x0400, 0x0530), (0x0590, 0x0700), (0x0900, 0x0980), (0x0E00, 0x0E80),
           (0x1100, 0x1200), (0x1E00, 0x2000), (0x2000, 0x2300), (0x2460, 0x2500), (0x3040, 0x3100), (0x3200, 0x3400), (0x4E00, 0x9FFF),
           (0xAC00, 0xD7A4), (0xF900, 0xFB50), (0xFB50, 0xFE00), (0xFE00, 0x10000), (0x1D400, 0x1D800), (0x1F300, 0x1FA00),
           (0x80, 0xD800), (0x10000, 0x110000)]  # fmt: skip


class Texts:
    """Random texts for one model. kinds: how many of each kind were made; all but "plain" are rich in what breaks tokenizers."""

    def __init__(self, oracle, corpus, seed):
        self.rng, self.kinds, self.corpus = random.Random(seed), Counter(), corpus
        usable = (i for i in range(oracle.get_piece_size()) if not (oracle.is_control(i) or oracle.is_unknown(i) or oracle.is_byte(i)))
        self.pieces = [oracle.id_to_piece(i).replace("▁", " ") for i in usable]
        self.makers = [
            self.plain,
            self.scripts,
            self.spaces,
            self.controls,
            self.sentinels,
            self.ties,
            self.far_ties,
            self.mutated,
            self.odd,
        ]
        self.weights = [30, 15, 10, 8, 8, 12, 1, 10, 6]

    def batch(self, n):
        makers = self.rng.choices(self.makers, self.weights, k=n)
        self.kinds.update(maker.__name__ for maker in makers)
        return [maker() for maker in makers]

    def some(self, options, most):
        return self.rng.choices(options, k=self.rng.randrange(1, most))

    def plain(self):
        words = self.rng.choice(self.corpus)
        begin = self.rng.randrange(len(words))
        return " ".join(words[begin : begin + self.rng.randrange(1, 16)])

    def scripts(self):
        low, high = self.rng.choice(SCRIPTS)
        letters = [chr(self.rng.randrange(low, high)) for _ in range(6)] + [" "]
        return "".join(c for c in self.some(letters, 20) if not "\ud800" <= c < "\ue000")

    def spaces(self):
        return "".join(
            self.rng.choice(SPACES) if self.rng.random() < 0.6 else self.rng.choice(self.pieces) for _ in range(self.rng.randrange(1, 12))
        )

    def controls(self):
        return "".join(
            self.rng.choice(CONTROLS) if self.rng.random() < 0.5 else self.rng.choice(ODD) for _ in range(self.rng.randrange(1, 12))
        )

    def sentinels(self):
        names = [f"<extra_id_{self.rng.randrange(100)}>", self.rng.choice(NAMES)]
        return self.rng.choice(["", " "]).join(self.some([*names, self.plain(), self.rng.choice(ODD)], 6))

    def ties(self):
        """Pieces run together, few of them and often: many cuts of about the same score."""
        return "".join(self.some([self.rng.choice(self.pieces) for _ in range(3)], 14))

    def far_ties(self):
        """The same far from the beginning, where the running sum has lost digits, and each word again and again."""
        words = ["".join(self.rng.choices(self.pieces, k=self.rng.randrange(1, 5))) for _ in range(40)]
        return " ".join(self.rng.choices(words, k=self.rng.choice([100, 400])))

    def mutated(self):
        """An English text with a few characters changed, put in, doubled or taken away."""
        text = list(self.plain())
        for _ in range(self.rng.randrange(1, 5)):
            at = self.rng.randrange(len(text) + 1)
            text[at : at + self.rng.randrange(3)] = self.rng.choice(
                [self.rng.choice(ODD), self.rng.choice(CONTROLS), self.scripts()[:2], "  "]
            )
        return "".join(text)

    def odd(self):
        return "".join(self.some(ODD, 30))


def differences(oracle, tok, texts, rng):
    """What differs, as (kind, text or ids, sentencepiece's, ours)."""
    ids, pieces = oracle.encode(texts), oracle.encode(texts, out_type=str)
    places = oracle.encode(texts, return_type="offset_mapping")
    decoded = oracle.decode(ids)
    noise = [rng.choices(range(oracle.get_piece_size()), k=rng.randrange(1, 8)) for _ in range(len(texts) // 10)]
    batch, again = tok.encode_batch(texts), tok.encode_batch(texts)  # the second time from the cache of words
    if batch.ids.tobytes() != again.ids.tobytes():
        yield "ids of the second time", texts[:1], batch.ids, again.ids
    for text, i, p, place, d, have in zip(texts, ids, pieces, places, decoded, batch, strict=True):
        spans = tok.spans(text)[1]
        explained = [(span[2], span[3]) for span in spans]
        want = [tuple(len(text[:at].encode()) for at in pair) for pair in place["offsets"]] if len(text) < 200 else explained
        for kind, theirs, ours in (
            ("ids", i, have.tolist()), ("ids of spans", i, [span[1] for span in spans]), ("pieces", p, [span[0] for span in spans]),
            ("places", want, explained), ("decode", d, tok.decode(have)),
        ):  # fmt: skip
            if theirs != ours:
                yield kind, text, theirs, ours
    for row, theirs in zip(noise, oracle.decode(noise), strict=True):
        if theirs != (ours := tok.decode(row)):
            yield "decode of any ids", row, theirs, ours


def models(folder, data):
    """(name, bytes) of each model; data: the folder of public files, or None for the trained ones alone."""
    for file in PUBLIC if data else []:
        yield file, (data / "data" / file).read_bytes()
    for n, (name, options) in enumerate(TRAINED.items()):
        yield name, train_model(Path(folder) / f"fuzz{n}", **options)


def corpus_of(data):
    """Lists of words, for plain texts."""
    lines = (data / "data/botchan/botchan.txt").read_text(encoding="utf-8").split("\n\n") if data else SENTENCES
    return [words for line in lines if (words := line.split())]


def fuzz(model, corpus, n, seed):
    """n texts through one model: (Counter of kinds of texts, list of differences)."""
    oracle, tok = sentencepiece.SentencePieceProcessor(model_proto=model), Tokenizer.from_bytes(model)
    texts, rng, found = Texts(oracle, corpus, seed), random.Random(f"ids {seed}"), []
    for begin in range(0, n, BATCH):
        found += differences(oracle, tok, texts.batch(min(BATCH, n - begin)), rng)
    return texts.kinds, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    parser.add_argument("--texts", type=int, default=2_000_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    total, wrong = Counter(), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, model in models(folder, args.data):
            kinds, found = fuzz(model, corpus_of(args.data), args.texts // (len(PUBLIC) + len(TRAINED)), args.seed)
            print(f"{name}: {kinds.total()} texts, {len(found)} differences", flush=True)
            for difference in found[:5]:
                print("   {}\n      of   {!r}\n      want {!r}\n      have {!r}".format(*difference))
            total, wrong = total + kinds, wrong + len(found)
    rich = 1 - total["plain"] / total.total()
    print(f"{total.total()} texts, {rich:.0%} rich in what breaks tokenizers, {wrong} differences; {dict(total)}")
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
