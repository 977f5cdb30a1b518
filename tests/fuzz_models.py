"""Model files made up at random, sound and broken: the tokenizer against the sentencepiece package, and no error but FormatError.

    python tests/fuzz_models.py [--models 50000] [--seed 0]

Each model has pieces of every kind (shared beginnings, U+2581 anywhere, scores up to 1e30 either way, ties), switches, bytes, rules of a
character map and of a denormaliser. Sound ones: both load them, or both refuse; and ids, pieces and decoded texts agree on texts of the model's
own pieces. Broken ones (bytes changed, cut, put in) are given to ours alone. tests/c/fuzz_models.c makes a million under the sanitizers;
test_tokenizer.py runs a slice of this."""

import argparse
import random
import struct
import sys
import time
from collections import Counter

import sentencepiece
from spiece_files import BYTES, CONTROL, NORMAL, SWITCHES, UNKNOWN, UNUSED, USER, field, piece

import t0native as t0

ATOMS = ["a", "b", "ab", "c", "▁", "▁", "é", "日", "😀", "<", ">", "1", "e", "\u0301", "A", "Ａ", "\u3000", ".", "aa"]
FEW, FAR = [-1.0, -2.0, -2.0, -3.0, -0.5, 0.0], [-1e5, 99999.0, -100001.0, -3e7, -33333.3, 1e-42, -0.0]
FARTHEST = [1e30, -1e30, -1e29]


def charsmap(rules):
    """The compiled map of {text: result}: a double array of darts-clone, as csrc/text/charsmap.c describes it."""
    nodes, results = {(): None}, bytearray(b"\0")
    for key, result in rules.items():
        whole = tuple(key.encode())
        for end in range(1, len(whole) + 1):
            nodes.setdefault(whole[:end], None)
        nodes[whole] = len(results)
        results += result.encode() + b"\0"
    places, taken, bases, units = {(): 0}, {0}, set(), {}
    for node in sorted(nodes, key=len):  # parents first
        labels = sorted({n[-1] for n in nodes if n and n[:-1] == node})
        slots = [*labels, *([0] if nodes[node] is not None else [])]
        base = next(b for b in range(256, 1 << 20) if b not in bases and not any(b ^ c in taken for c in slots))
        bases.add(base)
        for label in labels:
            places[(*node, label)] = base ^ label
        taken.update(base ^ c for c in slots)
        leaf = nodes[node] is not None
        if leaf:
            units[base] = 1 << 31 | nodes[node]
        units[places[node]] = (node[-1] if node else 0) | leaf << 8 | (places[node] ^ base) << 10
    n = (max([*taken, *bases]) // 256 + 1) * 256
    return struct.pack(f"<{n + 1}I", 4 * n, *(units.get(i, 1 << 31) for i in range(n))) + bytes(results)


class Maker:
    def __init__(self, seed):
        self.rng = random.Random(seed)

    def chance(self, share):
        return self.rng.random() < share

    def atoms(self, most):
        return "".join(self.rng.choices(ATOMS, k=self.rng.randrange(1, most + 1)))

    def texts_of_pieces(self, n):
        found = []
        while len(found) < n:
            text = self.atoms(4) if self.chance(0.9) else self.rng.choice(ATOMS) * self.rng.randrange(1, 40)
            if found and self.chance(0.4):
                text = self.rng.choice(found) + text
            if text not in found and len(text) < 500:
                found.append(text)
        return found

    def spec(self, with_map):
        switches = b"".join(field(number, self.chance(0.4)) for number in SWITCHES.values() if self.chance(0.3))
        rules = {self.atoms(2).replace("▁", "z"): self.rng.choice(["", " ", self.atoms(3)]) for _ in range(self.rng.randrange(1, 8))}
        return switches + (field(2, charsmap(rules)) if with_map else b"")

    def model(self):
        """(bytes, texts of the pieces)."""
        scores = self.rng.choice([FEW, FEW, None, FEW + FAR, FAR + FARTHEST])
        kinds = [NORMAL] * 16 + [UNUSED, CONTROL] + [USER] * (3 if self.chance(0.4) else 0)
        texts = self.texts_of_pieces(self.rng.randrange(1, 30))
        entries = [("<pad>", 0, CONTROL), ("</s>", 0, CONTROL)] if self.chance(0.7) else []
        entries += [(text, self.rng.choice(scores) if scores else -15 * self.rng.random(), self.rng.choice(kinds)) for text in texts]
        entries.insert(self.rng.randrange(len(entries) + 1), ("<unk>", 0, UNKNOWN))
        with_bytes = self.chance(0.1)
        trainer = field(3, 1) + (field(24, True) if self.chance(0.1) else b"") + (field(35, True) if with_bytes else b"")
        normal, denormal = self.spec(self.chance(0.5)), self.spec(True) if self.chance(0.15) else b""
        body = b"".join(piece(*entry) for entry in [*entries, *(BYTES if with_bytes else [])])
        return body + field(2, trainer) + field(3, normal) + (field(5, denormal) if denormal else b""), texts

    def text(self, texts):
        parts = [
            self.rng.choice([" ", self.atoms(1), "<unk>"]) if self.chance(0.3) else self.rng.choice(texts)
            for _ in range(self.rng.randrange(12))
        ]
        text = "".join(parts)
        return text.replace("▁", " ") if self.chance(0.7) else text

    def broken(self, model):
        """The model with some bytes changed, cut off or put in."""
        data = bytearray(model)
        for _ in range(self.rng.randrange(1, 4)):
            at = self.rng.randrange(len(data))
            data[at : at + self.rng.randrange(2)] = self.rng.choice([b"", bytes([self.rng.randrange(256)]), b"\xff", b"\0\0"])
            if self.chance(0.1):
                del data[at:]
            if not data:
                break
        return bytes(data)


def differences(oracle, tok, texts):
    ids, pieces = oracle.encode(texts), oracle.encode(texts, out_type=str)
    batch = tok.encode_batch(texts)
    for text, theirs, named, ours in zip(texts, ids, pieces, batch, strict=True):
        spans = tok.spans(text)[1]
        for kind, want, have in (
            ("ids", theirs, ours.tolist()), ("ids again", theirs, tok.encode(text)), ("ids of spans", theirs, [span[1] for span in spans]),
            ("pieces", named, [span[0] for span in spans]), ("decode", oracle.decode(theirs), tok.decode(theirs)),
        ):  # fmt: skip
            if want != have:
                yield kind, text, want, have


def loaded(make):
    """What `make` gives, or None where it says that the file is broken."""
    try:
        return make()
    except (t0.FormatError, RuntimeError) as error:
        assert (
            isinstance(error, t0.FormatError) or "sentencepiece" in str(type(error)) or "src/" in str(error) or "INTERNAL" in str(error)
        ), error
        return None


def fuzz(count, seed):
    """(Counter of what became of the models, list of (seed, difference))."""
    met, found = Counter(), []
    for number in range(seed, seed + count):
        maker = Maker(number)
        model, texts = maker.model()
        tok = loaded(lambda model=model: t0.Tokenizer.from_bytes(model))
        oracle = loaded(lambda model=model: sentencepiece.SentencePieceProcessor(model_proto=model))
        met["loaded" if tok else "refused"] += 1
        if bool(tok) != bool(oracle):
            found.append((number, ("loading", model, bool(oracle), bool(tok))))
        elif tok:
            found += [(number, difference) for difference in differences(oracle, tok, [maker.text(texts) for _ in range(6)])]
        broken = loaded(lambda maker=maker, model=model: t0.Tokenizer.from_bytes(maker.broken(model)))
        met["broken, loaded" if broken else "broken, refused"] += 1
        if broken:
            try:
                for text in [maker.text(texts) for _ in range(3)]:
                    broken.decode(broken.encode(text, sentinels=True))
                    broken.explain(text)
            except ValueError as error:
                assert "by the model's rules" in str(error), error
    return met, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    met, wrong, start = Counter(), 0, time.monotonic()
    for at in range(0, args.models, 1000):
        done = min(at + 1000, args.models)
        counts, found = fuzz(done - at, args.seed + at)
        met, wrong = met + counts, wrong + len(found)
        for number, difference in found[:3]:
            print("seed {}: {}\n      of   {!r}\n      want {!r}\n      have {!r}".format(number, *difference), flush=True)
        rate = done / (time.monotonic() - start)
        print(f"{done} models, {rate:.0f} a second, {wrong} differences; {dict(met)}; next seed {args.seed + done}", flush=True)
    return wrong > 0


if __name__ == "__main__":
    sys.exit(main())
