"""Random texts: the tokenizers beside unigram against the libraries whose models they read, in ids, ids of spans and decoded text.

    python tests/fuzz_tokenizer_kinds.py [--kind "byte-level BPE"] [--texts 1000000] [--seed 0] [--data ../shared]

A kind's texts are shared by its cases (tokenizer_kinds.py); 70 of 100 are rich in what breaks tokenizers. Names of the end token, pad,
<s> and <unk> are texts here, as on the models' training data; the libraries find them, so in the oracles they are no added tokens, and of
ByT5, whose class always finds them, texts that hold such a name beside a sentinel's are left out. Exit code 1 where something differs.
test_tokenizer_kinds.py runs a slice."""

import argparse
import os
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from fuzz_tokenizer import Texts, corpus_of
from tokenizer_kinds import KINDS

BATCH = 1000


class _Pieces:
    """What Texts asks of a tokenizer, of ours."""

    def __init__(self, tok):
        self.tok = tok
        self.texts = [
            tok.decode([i], skip_special=False) if tok.kind == "byte-level BPE" else tok.id_to_piece(i) for i in range(tok.n_pieces)
        ]
        self.texts = [text or " " for text in self.texts]

    def get_piece_size(self):
        return len(self.texts)

    def is_control(self, number):
        return self.tok.kind_of(number) == "control" and self.tok.kind != "bytes"

    def is_unknown(self, number):
        return self.tok.kind_of(number) == "unknown" and self.tok.kind != "bytes"

    def is_byte(self, number):
        return self.tok.kind_of(number) == "byte" and self.tok.kind != "bytes"

    def id_to_piece(self, number):
        return self.texts[number]


def differences(case, texts, rng):
    """What differs, as (kind, text or ids, the library's, ours)."""
    ours = case.ours
    wanted = case.encode(texts)
    batch, again = (ours.encode_batch(texts, **case.options) for _ in range(2))  # the second time from the cache of words
    if batch.ids.tobytes() != again.ids.tobytes():
        yield "ids of the second time", texts[:1], batch.ids, again.ids
    kept = [i for i, want in enumerate(wanted) if want is not None]
    decoded = case.decode([wanted[i] for i in kept], True)
    for i, text_of_ids in zip(kept, decoded, strict=True):
        have = batch[i].tolist()
        if have != wanted[i]:
            yield "ids", texts[i], wanted[i], have
        elif ours.decode(have) != text_of_ids:
            yield "decode", texts[i], text_of_ids, ours.decode(have)
    for text, plain in zip(texts, ours.encode_batch(texts), strict=True):
        if plain.tolist() != (spans := [number for _, number, _, _ in ours.spans(text)[1]]):
            yield "ids of spans", text, plain.tolist(), spans
    noise = [rng.choices(range(ours.n_pieces), k=rng.randrange(1, 9)) for _ in range(len(texts) // 10)]
    for skip in (True, False):
        for row, theirs in zip(noise, case.decode(noise, skip), strict=True):
            if theirs != (text := ours.decode(row, skip_special=skip or ours.kind == "BPE")):
                yield f"decode of any ids, skip_special {skip}", row, theirs, text


def fuzz(case, corpus, n, seed):
    """n texts through one case: (Counter of kinds of texts, list of differences)."""
    texts, rng, found = Texts(_Pieces(case.ours), corpus, seed), random.Random(f"ids {seed}"), []
    for begin in range(0, n, BATCH):
        found += differences(case, texts.batch(min(BATCH, n - begin)), rng)
    return texts.kinds, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kind", choices=KINDS, action="append")
    parser.add_argument("--texts", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    args = parser.parse_args()
    corpus, wrong = corpus_of(args.data), 0
    for kind in args.kind or KINDS:
        with tempfile.TemporaryDirectory() as folder:
            cases, total = list(KINDS[kind](Path(folder))), Counter()
            for case in cases:
                met, found = fuzz(case, corpus, -(-args.texts // len(cases)), args.seed)
                print(f"{case.name}: {met.total()} texts, {len(found)} differences", flush=True)
                for difference in found[:5]:
                    print("   {}\n      of   {!r}\n      want {!r}\n      have {!r}".format(*difference))
                total, wrong = total + met, wrong + len(found)
            rich = 1 - total["plain"] / total.total()
            print(f"{kind}: {total.total()} texts, {rich:.0%} rich in what breaks tokenizers", flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
