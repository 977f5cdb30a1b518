"""tokenizer.json as transformers 5 writes it, against the spiece.model that it was made from and against the tokenizers package.

    python tests/fuzz_tokenizer_json.py [--data ../shared] [--texts 200000] [--seed 0]

For each vocabulary transformers writes a folder. Ours of it is compared with sentencepiece on random texts of every kind (no difference is
allowed), and with the tokenizers package on sentences of ten languages, with sentinels and with added tokens in them (at most 1 in 1,000), and
on hostile texts, where differences are counted by the kinds of docs/reference/checkpoints.md. test_tokenizer_files.py runs a slice."""

import argparse
import json
import logging
import random
import re
import sys
import tempfile
from collections import Counter
from pathlib import Path

import sentencepiece
from fuzz_tokenizer import PUBLIC, TRAINED, Texts, corpus_of
from spiece_files import train_model

from t0native import Tokenizer

# Articles 1 to 3 of the Universal Declaration of Human Rights.
SENTENCES = {
    "English": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience and should act "
    "towards one another in a spirit of brotherhood. Everyone has the right to life, liberty and security of person.",
    "German": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt und sollen einander "
    "im Geist der Brüderlichkeit begegnen. Jeder hat das Recht auf Leben, Freiheit und Sicherheit der Person.",
    "French": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de conscience et doivent "
    "agir les uns envers les autres dans un esprit de fraternité. Tout individu a droit à la vie, à la liberté et à la sûreté de sa personne.",
    "Spanish": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y conciencia, deben "
    "comportarse fraternalmente los unos con los otros. Todo individuo tiene derecho a la vida, a la libertad y a la seguridad de su persona.",
    "Romanian": "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele sunt înzestrate cu rațiune și conștiință și "
    "trebuie să se comporte unele față de altele în spiritul fraternității. Orice ființă umană are dreptul la viață și la libertate.",
    "Polish": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem i sumieniem i powinni "
    "postępować wobec innych w duchu braterstwa. Każdy człowiek ma prawo do życia, wolności i bezpieczeństwa swej osoby.",
    "Russian": "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью и должны поступать в "
    "отношении друг друга в духе братства. Каждый человек имеет право на жизнь, на свободу и на личную неприкосновенность.",
    "Chinese": "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。人人有权享有生命、自由和人身安全。",
    "Arabic": "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلًا وضميرًا وعليهم أن يعامل بعضهم بعضًا بروح الإخاء. "
    "لكل فرد الحق في الحياة والحرية وسلامة شخصه.",
    "Hindi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और अन्तरात्मा की देन प्राप्त है।",
}
ADDED = [
    ("<sep>", {}),
    ("[NLU]", {"special": True, "normalized": False}),
    ("{", {"normalized": False}),
    ("}", {"normalized": False}),
    ("newword", {}),
]
MOST = 1000  # sentences a difference in which one is allowed


def folder_of(spiece, place, **options):
    """(the folder that transformers 5 writes of a model file, its tokenizer)."""
    from transformers import T5Tokenizer

    logging.getLogger("transformers").setLevel(logging.ERROR)
    (place / "from").mkdir(parents=True)
    (place / "from/spiece.model").write_bytes(spiece)
    theirs = T5Tokenizer.from_pretrained(str(place / "from"), **options)
    theirs.save_pretrained(str(place / "saved"))
    return place / "saved", theirs


def sentences(rng, n):
    """Sentences of ten languages: one of the declaration's, or words of it in another order, with numbers and punctuation."""
    whole = [[part.strip() for part in re.split(r"(?<=[.。।])", text) if part.strip()] for text in SENTENCES.values()]
    for _ in range(n):
        parts = rng.choice(whole)
        if rng.random() < 0.3:
            yield rng.choice(parts)
            continue
        words = " ".join(parts).split() if len(parts[0].split()) > 1 else ["".join(parts)[i : i + 4] for i in range(0, 60, 4)]
        begin = rng.randrange(len(words))
        chosen = words[begin : begin + rng.randrange(1, 16)]
        rng.shuffle(chosen)
        yield " ".join([*chosen, *rng.choices(["", str(rng.randrange(3000)), "(1948)", "?", "3.5 %"], [8, 1, 1, 1, 1])]).strip()


def joined(rng, texts, names):
    """Texts with names between their words."""
    for text in texts:
        words = text.split()
        for _ in range(rng.randrange(1, 4)):
            words.insert(rng.randrange(len(words) + 1), rng.choice(names))
        yield rng.choice([" ", " ", ""]).join(words) if len(words) < 4 else " ".join(words)


def kind_of(text, ours, unk_differs):
    """Why the tokenizers package gives a text other ids; the kinds of docs/reference/checkpoints.md."""
    ids, normal = ours.encode(text), ours.spans(text)[0]
    kinds = {ours.kind_of(i) for i in ids if i < ours.n_pieces}
    if any(name in text or name in normal for name in ("<pad>", "</s>", "<unk>", "<s>", "<2en>", "<extra_id_", "<0x")):
        return "name of a control piece"
    if "user" in kinds:
        return "user-defined symbol"
    if "byte" in kinds:
        return "bytes"
    if "unknown" in kinds and unk_differs:
        return "unk_id"
    if "\u2581" in text:
        return "U+2581 in the text"
    if not text.isascii():
        return "character map"
    return "spaces and control characters" if not text.isprintable() else "equal scores"


def compare(ours, theirs, texts, sentinels):
    """Texts with other ids than the tokenizers package's."""
    batch = ours.encode_batch(texts, sentinels=sentinels)
    wanted = theirs(texts, add_special_tokens=False)["input_ids"]
    return [text for text, have, want in zip(texts, batch, wanted, strict=True) if have.tolist() != want]


def run(name, spiece, place, n, seed, corpus):
    """Prints the differences of one vocabulary; returns those that there may not be."""
    oracle = sentencepiece.SentencePieceProcessor(model_proto=spiece)
    folder, theirs = folder_of(spiece, place)
    ours = Tokenizer.from_folder(folder)
    forbidden, maker, rng = 0, Texts(oracle, corpus, seed), random.Random(seed)
    for at in range(0, n, 1000):
        texts = maker.batch(min(1000, n - at))
        wanted = oracle.encode(texts)
        different = [text for text, have, want in zip(texts, ours.encode_batch(texts), wanted, strict=True) if have.tolist() != want]
        for text in different[: 3 - forbidden]:
            print(f"    {text!r}")
        forbidden += len(different)
    print(f"{name}: {n} texts against sentencepiece, {forbidden} different")
    number = json.loads((folder / "tokenizer.json").read_text())["model"]["unk_id"]
    unk_differs = number != ours.unk_id
    hostile = Counter(kind_of(text, ours, unk_differs) for text in compare(ours, theirs, maker.batch(n // 10), True))
    natural = list(sentences(rng, n // 10))
    count = {"sentences": len(compare(ours, theirs, natural, True))}
    count["sentinels"] = len(compare(ours, theirs, list(joined(rng, natural, [f"<extra_id_{k}>" for k in range(100)])), True))
    from transformers import AddedToken

    theirs.add_tokens([AddedToken(text, **options) for text, options in ADDED])
    theirs.save_pretrained(str(place / "added"))
    added = list(joined(rng, natural, [text for text, _ in ADDED]))
    count["added tokens"] = len(compare(Tokenizer.from_folder(place / "added"), theirs, added, True))
    print(f"    against tokenizers, of {n // 10} each: {json.dumps(count)}; hostile: {json.dumps(dict(hostile))}")
    alike = not unk_differs and not any(ours.kind_of(i) in ("user", "byte") for i in range(ours.n_pieces))
    return forbidden, alike and sum(count.values()) * MOST > 3 * (n // 10)


def vocabularies(place, data):
    for file in PUBLIC if data else []:
        yield file, (data / "data" / file).read_bytes()
    for n, name in enumerate(["trained: nfkc_cf, bytes"]):
        yield name, train_model(place / f"trained{n}", **TRAINED[name])
    options = {"vocab_size": 200, "user_defined_symbols": ["[SEP]", "cat"], "control_symbols": ["<2en>"]}
    yield "trained: user symbols", train_model(place / "trained-user", **options)
    yield "trained", train_model(place / "trained-plain", vocab_size=300)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    parser.add_argument("--texts", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for n, (name, spiece) in enumerate(vocabularies(Path(folder), args.data)):
            forbidden, much = run(name, spiece, Path(folder) / str(n), args.texts, args.seed + n, corpus_of(args.data))
            failed += forbidden + much
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
