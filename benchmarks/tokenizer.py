"""Tokenizer against sentencepiece (list call, one thread) and, where installed, HF tokenizers: paired runs, medians.

    python benchmarks/tokenizer.py [--data ../shared] [--repeats 9] [--threads 2]

Texts: the lines of botchan.txt and the rendered prompts of promptsource/cases.jsonl, T5's own model. "cold" is a
tokenizer that has seen no text; "warm" one that has encoded this text before. Rates are of UTF-8 bytes in."""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import t0native as t0


def read_texts(data):
    lines = (data / "data/botchan/botchan.txt").read_text(encoding="utf-8").split("\n")
    prompts = []
    with open(data / "promptsource/cases.jsonl", encoding="utf-8") as rows:
        for row in rows:
            prompts += [part for part in json.loads(row)["expected_parts"] or [] if isinstance(part, str)]
    return {"botchan lines": lines, "rendered prompts": prompts}


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def compare(ours, rival, repeats):
    """Median seconds of each and the median of the paired ratios rival / ours; each call of ours gets a fresh setup."""
    times = []
    for _ in range(repeats):
        call = ours()
        times.append((seconds(call), seconds(rival)))
    return (
        statistics.median(a for a, _ in times),
        statistics.median(b for _, b in times),
        statistics.median(b / a for a, b in times),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    model = arguments.data / "data/t5-spiece/spiece.model"
    if hasattr(os, "sched_getaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:1])
    warm = t0.Tokenizer.from_file(model)
    rivals = {}
    try:
        import sentencepiece

        processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
        rivals["sentencepiece"] = lambda texts: processor.encode(texts, num_threads=1)
    except ImportError:
        print("sentencepiece is not installed")
    print(f"{'texts':18} {'case':6} {'ours MB/s':>10} {'rival':>14} {'rival MB/s':>10} {'ratio':>6}")
    for name, texts in read_texts(arguments.data).items():
        size = sum(len(text.encode()) for text in texts) / 1e6
        for rival, encode in rivals.items():
            for case in ("cold", "warm"):

                def prepared(case=case, texts=texts):
                    tok = warm if case == "warm" else t0.Tokenizer.from_file(model)
                    if case == "warm":
                        tok.encode_batch(texts)
                    return lambda: tok.encode_batch(texts)

                a, b, ratio = compare(prepared, lambda texts=texts, encode=encode: encode(texts), arguments.repeats)
                print(f"{name:18} {case:6} {size / a:10.1f} {rival:>14} {size / b:10.1f} {ratio:6.2f}")
    if hasattr(os, "sched_getaffinity"):
        os.sched_setaffinity(0, cores)
    texts = [text for group in read_texts(arguments.data).values() for text in group] * 4
    one = statistics.median(seconds(lambda: warm.encode_batch(texts)) for _ in range(arguments.repeats))
    many = statistics.median(seconds(lambda: warm.encode_batch(texts, threads=arguments.threads)) for _ in range(arguments.repeats))
    print(f"{arguments.threads} threads against one: {one / many:.2f} x")


if __name__ == "__main__":
    main()
