"""The text core against its rivals, one table: prompt rendering (templates.py) and tokenization (tokenizer.py).

    python benchmarks/text.py [--data FOLDER] [--rounds 9]

One pinned thread, processor time, medians of paired rounds. Needs the public data (docs/test-data.md) and jinja2; sentencepiece,
tokenizers and transformers where they are to be compared."""

import os
import platform

import templates
import tokenizer


def rows(data, rounds):
    yield from templates.measure(data, rounds)
    for texts, case, rival, ours, theirs, ratio, reach in tokenizer.rows(data, rounds):
        yield f"tokenization, {texts}, {case}", rival, f"{ours:.0f} MB/s", f"{theirs:.1f}", f"{ratio:.1f} x", f"{reach} x"


def main():
    args = templates.arguments(__doc__)
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[-1:])
    print(f"{platform.processor() or platform.machine()}, {len(cores)} cores, Python {platform.python_version()}\n")
    templates.show(rows(args.data, args.rounds))
    os.sched_setaffinity(0, cores)
    if len(cores) > 1:
        print(f"\ntokenization, two threads against one: {tokenizer.thread_ratio(args.data, 2, args.rounds):.2f} x (reach: 1.85 x)")


if __name__ == "__main__":
    main()
