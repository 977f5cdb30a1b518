"""Tokenizer against sentencepiece (list call) and HF tokenizers (encode_batch_fast), T5's own model: one pinned thread, paired
runs, medians; processor time (sentencepiece works in a thread of its own), so that other work on the machine does not count.

    python benchmarks/tokenizer.py [--data ../shared] [--repeats 9] [--threads 2]

Texts: the lines of botchan.txt and the rendered prompts of promptsource/cases.jsonl. "never seen": the first text that a
tokenizer is given; "warm": it has encoded these texts before, and does so eight times for the rival's once, which takes
about as long. Rates are of UTF-8 bytes in. A rival that is not installed
(sentencepiece; tokenizers with transformers) is left out."""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"  # before the package is imported: one thread

import t0native as t0  # noqa: E402

MODEL = "data/t5-spiece/spiece.model"
REACH = {("sentencepiece", "warm"): 10, ("sentencepiece", "never seen"): 4, ("tokenizers", "warm"): 60, ("tokenizers", "never seen"): 60}


def read_texts(data):
    lines = (data / "data/botchan/botchan.txt").read_text(encoding="utf-8").split("\n")
    prompts = []
    with open(data / "promptsource/cases.jsonl", encoding="utf-8") as rows:
        for row in rows:
            prompts += [part for part in json.loads(row)["expected_parts"] or [] if isinstance(part, str)]
    return {"English lines (botchan)": lines, "rendered prompts": prompts}


def rivals(data):
    """name -> a function of a list of texts."""
    found = {}
    try:
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_file=str(data / MODEL))
        found["sentencepiece"] = lambda texts: processor.encode(texts, num_threads=1)
    except ImportError:
        print("sentencepiece is not installed")
    try:
        import tokenizers  # noqa: F401
        from transformers import T5Tokenizer

        hub = T5Tokenizer.from_pretrained(str((data / MODEL).parent)).backend_tokenizer
        found["tokenizers"] = lambda texts: hub.encode_batch_fast(texts, add_special_tokens=False)
    except ImportError:
        print("tokenizers and transformers are not installed")
    return found


def seconds(work, clock=time.process_time):
    start = clock()
    work()
    return clock() - start


def compare(data, texts, case, rival, repeats):
    """Medians over repeats: seconds of ours, of the rival's, and their ratio."""
    warm, times = t0.Tokenizer.from_file(data / MODEL), []
    warm.encode_batch(texts)
    for _ in range(repeats):
        ours, calls = (warm, 8) if case == "warm" else (t0.Tokenizer.from_file(data / MODEL), 1)
        a = seconds(lambda ours=ours, calls=calls: [ours.encode_batch(texts) for _ in range(calls)]) / calls
        b = seconds(lambda: rival(texts))
        times.append((a, b, b / a))
    return [statistics.median(column) for column in zip(*times)]


def rows(data, repeats):
    """(work, case, rival, our MB/s, the rival's MB/s, ratio, ratio to reach) of each comparison on one thread."""
    for name, texts in read_texts(data).items():
        size = sum(len(text.encode()) for text in texts) / 1e6
        for rival, encode in rivals(data).items():
            for case in ("never seen", "warm"):
                a, b, ratio = compare(data, texts, case, encode, repeats)
                yield name, case, rival, size / a, size / b, ratio, REACH[rival, case]


def thread_ratio(data, threads, repeats):
    """How many times as fast `threads` threads are as one, by the clock on the wall; cores must be free."""
    texts = [text for group in read_texts(data).values() for text in group] * 8
    tok, times = t0.Tokenizer.from_file(data / MODEL), []
    tok.encode_batch(texts, threads=threads)
    for _ in range(repeats):
        one = seconds(lambda: tok.encode_batch(texts), time.perf_counter)
        times.append(one / seconds(lambda: tok.encode_batch(texts, threads=threads), time.perf_counter))
    return statistics.median(times)


def pin(cores):
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}
    pin({min(cores)})
    print(f"{'texts':24} {'case':10} {'rival':13} {'ours MB/s':>9} {'rival MB/s':>10} {'ratio':>6} {'reach':>5}")
    for name, case, rival, ours, theirs, ratio, reach in rows(args.data, args.repeats):
        print(f"{name:24} {case:10} {rival:13} {ours:9.1f} {theirs:10.1f} {ratio:6.1f} {reach:5}", flush=True)
    pin(cores)
    print(f"{args.threads} threads against one: {thread_ratio(args.data, args.threads, args.repeats):.2f} x (reach 1.85 x)")


if __name__ == "__main__":
    main()
