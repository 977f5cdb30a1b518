"""Evaluation end to end, against its own scoring calls and against t-zero's loop in transformers: a random T5 of T5-large's shape, COPA
and WiC rows under P3's prompts, one pinned thread, paired runs, processor seconds.

    python benchmarks/evaluation.py [--part overhead rival] [--rows 8] [--prompts 5] [--size large] [--data DIR] [--kernels SET]

    overhead   t0.evaluate with its journal, int8: rendering, tokenizing, batching, statistics, journal and report beside the calls
               of the core; both are timed in the same run, so that the machine's moods fall on both.  At most 1.06
    rival      a re-statement of t-zero's evaluation script: float32, the input repeated for each choice, padded batches of 8 rows, all
               logits; paired prompt by prompt with t0.evaluate in int8 and in float32.  At least 6 x and 3.5 x with kernels avx2

With 8 rows and 5 prompts the rival takes about two minutes on an AVX2 core; --rows 8 --prompts 1 gives a first figure. Needs torch,
transformers, sentencepiece, promptsource's files and the public data (docs/test-data.md). Kernels avx2 keep torch to AVX2 too."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import sidebyside  # sets the thread variables

import t0native as t0

SETS = {"super_glue/copa": "COPA.val.jsonl", "super_glue/wic": "WiC.val.jsonl"}
BATCH = 8
OVERHEAD, REACH = 1.06, {"int8": 6.0, "float32": 3.5}


class TimedCore:
    """A core whose scoring calls are timed."""

    def __init__(self, core):
        self._core, self.seconds = core, 0.0

    def __getattr__(self, name):
        return getattr(self._core, name)

    def score(self, *arguments):
        started = time.process_time()
        try:
            return self._core.score(*arguments)
        finally:
            self.seconds += time.process_time() - started


class Script:
    """t-zero's loop. Weights are random, as ours; its time does not hang on them."""

    def __init__(self, size, vocabulary):
        import sentencepiece
        import torch
        from transformers import T5Config, T5ForConditionalGeneration

        torch.set_num_threads(1)
        keys = ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads")
        ours = t0.Config.t5_v1_1(size).to_dict()
        config = T5Config(
            **{key: ours[key] for key in keys}, feed_forward_proj="gated-gelu", tie_word_embeddings=False, decoder_start_token_id=0
        )
        self.torch, self.model = torch, T5ForConditionalGeneration(config).eval()
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(vocabulary))

    def padded(self, lists):
        longest = max(map(len, lists))
        return self.torch.tensor([ids + [0] * (longest - len(ids)) for ids in lists]), self.torch.tensor(
            [[1] * len(ids) + [0] * (longest - len(ids)) for ids in lists]
        )

    def accuracy(self, examples):
        right = 0
        for first in range(0, len(examples), BATCH):
            batch = examples[first : first + BATCH]
            inputs, mask = self.padded([self.pieces.encode(text)[:1024] for text, _, choices in batch for _ in choices])
            labels, counted = self.padded([self.pieces.encode(choice)[:255] + [1] for _, _, choices in batch for choice in choices])
            with self.torch.no_grad():
                logits = self.model(input_ids=inputs, attention_mask=mask, labels=labels).logits
            scores = (self.torch.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1)).squeeze(-1) * counted).sum(-1)
            picked = scores.view(len(batch), -1).argmax(-1).tolist()
            right += sum(choices.index(target) == i for (_, target, choices), i in zip(batch, picked))
        return right / len(examples)


def tasks_of(data, rows, prompts):
    """Two tasks of so many prompts with choices each, whose first rows none of them drops."""
    collection, tasks = t0.PromptCollection.promptsource(), []
    for dataset, file in SETS.items():
        named = {name: prompt for name, prompt in collection[dataset].items() if prompt.answer_choices}
        all_rows = t0.read_rows(data / "data/superglue-val" / file, dataset)
        asked = [row for row in all_rows if row.get("question", "effect") == "effect"][
            : max(rows, 1)
        ]  # half of COPA's prompts are for effects
        whole = t0.Task(dataset, asked, named, dataset=dataset)
        kept = [name for name in named if all(whole.render(name, i) is not None for i in range(len(asked)))][:prompts]
        tasks.append(t0.Task(dataset, asked, {name: named[name] for name in kept}, dataset=dataset))
    return tasks


def timed(call):
    """(result, processor seconds)."""
    started = time.process_time()
    return call(), time.process_time() - started


def overhead(model, tasks):
    model.core = core = TimedCore(model.core)
    with tempfile.TemporaryDirectory() as run:
        report, seconds = timed(lambda: t0.evaluate(model, tasks, out=run, progress=False))
    model.core = core._core
    assert not report.failed
    told = f"{len(report.cells)} cells of {len(tasks[0].rows)} rows, end to end {seconds:.2f} s, calls of the core {core.seconds:.2f} s"
    print(f"{told}: {seconds / core.seconds:.4f} x (to be reached: {OVERHEAD})", flush=True)


def rival(models, script, tasks):
    """Prompt by prompt: the script, then ours in each number type."""
    spent = dict.fromkeys(["script", *models], 0.0)
    for task in tasks:
        for name in task.prompts:
            examples = [task.render(name, i) for i in range(len(task.rows))]
            spent["script"] += timed(lambda: script.accuracy(examples))[1]
            one = t0.Task(task.name, task.rows, {name: task.prompts[name]}, dataset=task.full_dataset)
            for dtype, model in models.items():
                spent[dtype] += timed(lambda: t0.evaluate(model, one, progress=False))[1]
    for dtype in models:
        ratio = spent["script"] / spent[dtype]
        told = f"{dtype}: {spent[dtype]:.2f} s, the script in float32 {spent['script']:.2f} s"
        print(f"{told}: {ratio:.2f} x (to be reached with avx2: {REACH[dtype]})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", nargs="+", choices=("overhead", "rival"), default=("overhead", "rival"))
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--size", default="large")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("T0NATIVE_TEST_DATA", "../shared")))
    parser.add_argument("--kernels")
    args = parser.parse_args()
    sidebyside.pin()
    if args.kernels == "avx2":
        os.environ.update({"ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"})
    t0.set_num_threads(1)
    vocabulary = args.data / "data/t5-spiece/spiece.model"
    drawn = t0.Model.init(t0.Config.t5_v1_1(args.size), t0.Tokenizer.from_file(vocabulary), dtype="bfloat16", kernels=args.kernels)
    print(f"T5-{args.size}'s shape, kernels {drawn.core.kernels}; {sidebyside.machine()}", flush=True)
    tasks = tasks_of(args.data, args.rows, args.prompts)
    models = {"int8": drawn.to("int8")}
    models["int8"].rank("warm", ["up", "down"])
    if "overhead" in args.part:
        overhead(models["int8"], tasks)
    if "rival" in args.part:
        models["float32"] = drawn.to("float32")
        del drawn
        script = Script(args.size, vocabulary)
        script.accuracy([("warm", "up", ["up", "down"])])
        rival(models, script, tasks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
