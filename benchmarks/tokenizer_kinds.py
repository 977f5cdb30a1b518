"""The tokenizers beside unigram against the `tokenizers` library on the same models: one pinned thread, paired runs, medians; processor
time, so that other work on the machine does not count.

    python benchmarks/tokenizer_kinds.py [--data ../shared] [--repeats 9] [--pieces 8000]

The models are trained on the texts of benchmarks/tokenizer.py. "never seen": the first texts that a tokenizer is given; "warm": it has
encoded them before, and does so eight times for the rival's once. The rival of BPE is the tokenizer that transformers 5 makes of the same
model file, of bytes transformers' own class, which is Python's, on a twentieth of the texts."""

import argparse
import json
import os
import statistics
import tempfile
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the package is imported: one thread

from tokenizer import pin, read_texts, seconds  # noqa: E402
from tokenizers import ByteLevelBPETokenizer, Tokenizer  # noqa: E402

import t0native as t0  # noqa: E402

REACH = {"never seen": 3, "warm": 10}


def make_bpe(folder, texts, pieces):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "tokenizer"), vocab_size=pieces, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, hard_vocab_limit=False,
        pad_id=0, eos_id=1, unk_id=2, bos_id=3, minloglevel=5, num_threads=1,
    )  # fmt: skip


def sides(folder, texts, pieces):
    """(name, a function that makes ours anew, the rival's encode of a list of texts, share of the texts)."""
    from transformers import ByT5Tokenizer, LlamaTokenizer

    make_bpe(folder, texts, pieces)
    llama = LlamaTokenizer.from_pretrained(str(folder))
    llama.save_pretrained(str(folder / "saved"))
    trainer = ByteLevelBPETokenizer()
    trainer.train_from_iterator(texts, vocab_size=pieces, special_tokens=["<pad>", "<s>", "</s>", "<unk>"], show_progress=False)
    (folder / "code").mkdir()
    trainer.save_model(str(folder / "code"))
    (folder / "code/tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "RobertaTokenizer"}))
    byt5 = ByT5Tokenizer()

    def rival(hub):
        return lambda texts: hub.encode_batch_fast(texts, add_special_tokens=False)

    saved = folder / "saved/tokenizer.json"
    yield "BPE", lambda: t0.Tokenizer.from_file(folder / "tokenizer.model"), rival(llama.backend_tokenizer), 1
    yield "merges", lambda: t0.Tokenizer.from_file(saved), rival(Tokenizer.from_file(str(saved))), 1
    yield "byte-level BPE", lambda: t0.Tokenizer.from_folder(folder / "code"), rival(trainer._tokenizer), 1
    yield "bytes", t0.Tokenizer.of_bytes, lambda texts: byt5(texts, add_special_tokens=False), 20


def compare(make, encode, texts, case, repeats):
    """Medians: seconds of ours, of the rival's, and their ratio."""
    warm, times = make(), []
    warm.encode_batch(texts)
    for _ in range(repeats):
        ours, calls = (warm, 8) if case == "warm" else (make(), 1)
        a = seconds(lambda ours=ours, calls=calls: [ours.encode_batch(texts) for _ in range(calls)]) / calls
        b = seconds(lambda: encode(texts))
        times.append((a, b, b / a))
    return [statistics.median(column) for column in zip(*times)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--pieces", type=int, default=8000)
    args = parser.parse_args()
    if hasattr(os, "sched_getaffinity"):
        pin({min(os.sched_getaffinity(0))})
    print(f"load {os.getloadavg()[0]:.1f}\n{'kind':16}{'texts':26}{'case':12}{'ours MB/s':>9} {'rival MB/s':>10} {'ratio':>6} {'reach':>5}")
    groups = read_texts(args.data)
    with tempfile.TemporaryDirectory() as folder:
        for kind, make, encode, share in sides(Path(folder), [line for group in groups.values() for line in group], args.pieces):
            for name, texts in groups.items():
                some = texts[::share]
                size = sum(len(text.encode()) for text in some) / 1e6
                for case, reach in REACH.items():
                    a, b, ratio = compare(make, encode, some, case, args.repeats)
                    print(f"{kind:16}{name:26}{case:12}{size / a:9.1f} {size / b:10.2f} {ratio:6.1f} {reach:5}", flush=True)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
