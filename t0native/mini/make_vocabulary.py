"""Writes t0native/mini/spiece.model, the miniature's vocabulary. Needs the sentencepiece package, at development time only.

    python -m t0native.mini.make_vocabulary [OUT]

A SentencePiece unigram model of four kinds of pieces:

    every word of the training prompts and rows, whole
    every word of english.txt, whole: two thousand common English words, so that most of anybody's wording is one piece a word
    parts of English words and letters, as the trainer finds them in english.txt: any other word can be spelled
    every printable ASCII sign, with and without a space before it

Whole words matter: a word in pieces is a row of letters that the model has met among other letters, and it reads them as
signal; a whole word that training never met is one thing to pass over. The held-out files are never read.

Normalisation folds A-Z to a-z, so that "Is" and "is" are one piece; sets quotes, brackets, dashes and other signs apart,
so that "Anna" in quotes is the same piece as elsewhere; and writes typographic signs and accented letters in ASCII.
"""

import struct
import sys
import tempfile
from pathlib import Path

from t0native.mini.datasets import SENTINELS
from t0native.mini.strays import english_words, training_words

FOLDER = Path(__file__).parent
ENGLISH_PIECES = 640
PRICE = 6.0
WHOLE = -4.0  # log-probability of a whole word: above that of its parts, as a check makes sure
APART = "\"'()[]{}*_/\\-|<>=&+#~^`@$%"  # a space on both sides
AFTER = ".,:;!?"  # a space behind
TYPOGRAPHIC = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u00ab": '"', "\u00bb": '"', "\u2013": "-", "\u2014": "-"}
ACCENTED = {"a": "àáâãäå", "c": "ç", "e": "èéêë", "i": "ìíîï", "n": "ñ", "o": "òóôõöø", "u": "ùúûü", "y": "ýÿ", "ss": "ß"}


def rules() -> dict[str, str]:
    """What the normaliser replaces, and by what."""
    replacements = {chr(code): chr(code + 32) for code in range(ord("A"), ord("Z") + 1)}
    replacements |= {sign: f" {sign} " for sign in APART} | {sign: f"{sign} " for sign in AFTER}
    replacements |= {sign: f" {plain} " for sign, plain in TYPOGRAPHIC.items()}
    replacements |= {space: " " for space in "\t\n\r\u00a0\u2009\u202f"} | {"\u2026": "... "}
    for plain, letters in ACCENTED.items():
        replacements |= {letter: plain for letter in letters + (letters.upper() if plain != "ss" else "")}
    return replacements


def rule_table() -> str:
    """The rules in the trainer's form: code points in hexadecimal, a tab, the replacement's."""

    def hexadecimal(text: str) -> str:
        return " ".join(f"{ord(character):X}" for character in text)

    return "".join(f"{hexadecimal(source)}\t{hexadecimal(target)}\n" for source, target in sorted(rules().items()))


def train_english(folder: Path) -> tuple[dict[str, float], bytes]:
    """Pieces with log-probabilities, and normalizer_spec, of a unigram model of english.txt alone; with our normaliser, specials and
    sentinels."""
    import sentencepiece

    table, text, prefix = folder / "rules.tsv", folder / "words.tsv", folder / "english"
    table.write_text(rule_table(), encoding="utf-8")
    text.write_text("".join(f"{word}\t100\n" for word in english_words()), encoding="utf-8")
    sentencepiece.SentencePieceTrainer.train(
        input=str(text),
        input_format="tsv",
        model_prefix=str(prefix),
        model_type="unigram",
        vocab_size=ENGLISH_PIECES,
        character_coverage=1.0,
        normalization_rule_tsv=str(table),
        user_defined_symbols=[f"<extra_id_{k}>" for k in range(SENTINELS + 2)],
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    processor = sentencepiece.SentencePieceProcessor(model_file=str(prefix.with_suffix(".model")))
    scores = {processor.id_to_piece(i): processor.get_score(i) for i in range(processor.get_piece_size())}
    return scores, normalizer_of(prefix.with_suffix(".model").read_bytes())


# A model file is a protocol buffer: field 1 each piece {1 text, 2 score, 3 type}, 2 trainer_spec, 3 normalizer_spec.
NORMAL, UNKNOWN, CONTROL, USER_DEFINED = 1, 2, 3, 4


def varint(value: int) -> bytes:
    encoded = b""
    while value > 127:
        encoded, value = encoded + bytes([value & 127 | 128]), value >> 7
    return encoded + bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def number_field(number: int, value: int) -> bytes:
    return varint(number << 3) + varint(value)


def fields_of(data: bytes):
    """(number, bytes of the whole field, its content) of each field of a protocol buffer without fixed-size numbers."""
    at = 0

    def read() -> int:
        nonlocal at
        value = shift = 0
        while True:
            at += 1
            value |= (data[at - 1] & 127) << shift
            shift += 7
            if data[at - 1] < 128:
                return value

    while at < len(data):
        start = at
        key, value = read(), read()
        content = b""
        if key & 7 == 2:
            content, at = data[at : at + value], at + value
        yield key >> 3, data[start:at], content


def normalizer_of(data: bytes) -> bytes:
    """The normalizer_spec of a model file, without its field 6: the path that the rules were read from."""
    spec = next(content for number, _, content in fields_of(data) if number == 3)
    return b"".join(whole for number, whole, _ in fields_of(spec) if number != 6)


def model_file(scores: dict[str, float], normalizer: bytes) -> bytes:
    """The model file of these pieces, in their order. The trainer_spec tells the ids and nothing of this machine."""
    kinds = {"<pad>": CONTROL, "</s>": CONTROL, "<unk>": UNKNOWN}
    pieces = b""
    for piece, score in scores.items():
        kind = kinds.get(piece, USER_DEFINED if piece.startswith("<extra_id_") else NORMAL)
        number = varint(2 << 3 | 5) + struct.pack("<f", score)
        pieces += field(1, field(1, piece.encode()) + number + number_field(3, kind))
    spec = number_field(3, 1) + number_field(4, len(scores)) + number_field(40, 2) + number_field(42, 1) + number_field(43, 0)
    no_bos = varint(41 << 3) + varint((1 << 64) - 1)
    return pieces + field(2, spec + no_bos) + field(3, normalizer)


def write(out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scores, normalizer = train_english(Path(folder))
    lowest = min(scores.values())
    for piece in scores:
        if piece[0] != "<":  # a price on every piece: fewer, longer ones for unseen words
            scores[piece] -= PRICE
    for word in sorted(training_words() | set(english_words())):
        scores["\u2581" + word] = WHOLE
    for sign in sorted(APART + AFTER + "0123456789"):
        scores |= {sign: WHOLE - 1.0, "\u2581" + sign: WHOLE}
    for letter in (chr(code) for code in range(ord("a"), ord("z") + 1)):
        for piece in (letter, "\u2581" + letter):
            scores.setdefault(piece, lowest - 1.0)
    scores.setdefault("\u2581", lowest - 2.0)
    out.write_bytes(model_file(scores, normalizer))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "spiece.model")
