"""evaluate() against loops that share nothing with it: Jinja2 renders, sentencepiece tokenizes, transformers' T5 in float32 scores.

    python tests/evaluation_parity.py [--rows 100] [--dataset super_glue/copa]

All prompts of P3 on COPA, WSC and WiC as they are distributed (the public data of tests/conftest.py), by a random tiny T5: the prediction on
every example must be the same, and every score within 1e-4. Exit code 1 where not. test_evaluation_parity.py runs a slice, and
compares compat="t0-2021" with `ScriptLoop`."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
from jinja_oracle import Rival

import t0native as t0
from t0native.reports.examples import read_examples

SETS = {"super_glue/copa": "COPA.val.jsonl", "super_glue/wsc.fixed": "WSC.val.jsonl", "super_glue/wic": "WiC.val.jsonl"}
TOLERANCE = 1e-4
BATCH = 8


def tiny_model(public_data, folder):
    """A random T5 1.1 with T5's vocabulary, and its folder in the hub's layout."""
    tokenizer = t0.Tokenizer.from_file(public_data / "data/t5-spiece/spiece.model")
    config = t0.Config(vocab_size=32128, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    model = t0.Model.init(config, tokenizer=tokenizer, seed=11)
    model.save(folder)
    return model


class Scorer:
    """transformers' T5, the input repeated for each choice, padded batches."""

    def __init__(self, folder):
        import sentencepiece
        import torch
        from transformers import T5ForConditionalGeneration

        torch.set_num_threads(1)
        self.torch = torch
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=str(Path(folder) / "spiece.model"))
        self.model = T5ForConditionalGeneration.from_pretrained(folder).eval()

    def padded(self, lists, left=False):
        longest = max(map(len, lists))
        fill = [[0] * (longest - len(ids)) for ids in lists]
        ids = [pad + own if left else own + pad for pad, own in zip(fill, lists)]
        mask = [[0] * len(pad) + [1] * len(own) if left else [1] * len(own) + [0] * len(pad) for pad, own in zip(fill, lists)]
        return self.torch.tensor(ids), self.torch.tensor(mask)

    def scores(self, pairs, left=False):
        """Summed log-likelihoods of (input, choice) texts."""
        torch = self.torch
        inputs, mask = self.padded([self.pieces.encode(text)[:1024] for text, _ in pairs], left)
        labels, counted = self.padded([self.pieces.encode(choice)[:255] + [1] for _, choice in pairs])
        with torch.no_grad():
            logits = self.model(input_ids=inputs, attention_mask=mask, labels=labels).logits
        found = logits.log_softmax(-1).gather(-1, labels[..., None])[..., 0] * counted
        return found.double().sum(-1).tolist()


class ScriptLoop(Scorer):
    """What t-zero's evaluation script does with (input, target, choices) of rows, in our words: accuracy, or the error that stops it."""

    def predictions(self, examples):
        for _, target, choices in examples:
            assert target in choices
        found = []
        for first in range(0, len(examples), BATCH):
            batch = examples[first : first + BATCH]
            count = len(batch[0][2])
            pairs = [(text, choices[i]) for text, _, choices in batch for i in range(count)]
            found += np.argmax(np.reshape(self.scores(pairs, left=True), (len(batch), count)), axis=1).tolist()
        return found

    def right(self, examples):
        return [choices.index(target) == i for (_, target, choices), i in zip(examples, self.predictions(examples))]


def raw_rows(public_data, dataset):
    """Rows as distributed, in the hub's columns: ours to write anew, for this shares nothing with the package."""
    import json

    lines = (public_data / "data/superglue-val" / SETS[dataset]).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for row in rows:
        row.update(row.pop("target", {}))
        row["label"] = int(row["label"])
    return rows


def compare(public_data, templates, folder, datasets=SETS, limit=None):
    """(examples, predictions that differ, the largest difference of a score)."""
    import yaml

    class Loader(yaml.CSafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, suffix, node: loader.construct_mapping(node, deep=True))
    model = tiny_model(public_data, folder / "model")
    scorer = Scorer(folder / "model")
    examples = differ = 0
    worst = 0.0
    for dataset in datasets:
        rows = raw_rows(public_data, dataset)
        prompts = t0.PromptCollection.load(templates)[dataset]
        task = t0.Task(dataset, t0.read_rows(public_data / "data/superglue-val" / SETS[dataset], dataset), prompts, dataset=dataset)
        run = folder / dataset
        report = t0.evaluate(model, task, limit=limit, progress=False, out=run)
        texts = yaml.load((Path(templates) / dataset / "templates.yaml").read_bytes(), Loader)["templates"].values()
        written = {text["name"]: Rival(text["jinja"], text["answer_choices"]) for text in texts}
        assert len(report.cells) == len(written)
        for cell in report.cells:
            rival = written[cell["prompt"]]
            ours = {example["row"]: example for example in read_examples(run, cell) or ()}
            if ours and all(example["choices"] is None for example in ours.values()):
                continue  # answered by generation
            theirs = {}
            for number, row in enumerate(rows[:limit]):
                parts = rival.apply(row)
                if len(parts) == 2 and parts[0]:
                    theirs[number] = (parts[0], rival.choices(row))
            assert ours.keys() == theirs.keys(), (dataset, cell["prompt"])
            for scores, (number, example) in zip(_scored(scorer, theirs.values()), ours.items()):
                assert example["choices"] == theirs[number][1]
                examples += 1
                worst = max(worst, float(np.abs(np.subtract(scores, example["scores"])).max()))
                differ += int(np.argmax(scores)) != example["prediction"]
    return examples, differ, worst


def _scored(scorer, rows):
    """The scores of each row's choices, 16 rows of like lengths at a time."""
    rows = list(rows)
    found = [None] * len(rows)
    order = sorted(range(len(rows)), key=lambda i: len(rows[i][0]))
    for first in range(0, len(order), 16):
        part = order[first : first + 16]
        scores = iter(scorer.scores([(rows[i][0], choice) for i in part for choice in rows[i][1]]))
        for i in part:
            found[i] = [next(scores) for _ in rows[i][1]]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="of each set at most")
    parser.add_argument("--dataset", action="append", choices=SETS)
    args = parser.parse_args()
    data = Path(os.environ.get("T0NATIVE_TEST_DATA", Path(__file__).parent.parent.parent / "shared"))
    with tempfile.TemporaryDirectory() as folder:
        examples, differ, worst = compare(data, t0.PromptCollection.promptsource().folder, Path(folder), args.dataset or SETS, args.rows)
    print(f"{examples} examples: {differ} predictions differ, the largest difference of a score is {worst:.1e}")
    return 1 if differ or worst > TOLERANCE else 0


if __name__ == "__main__":
    sys.exit(main())
