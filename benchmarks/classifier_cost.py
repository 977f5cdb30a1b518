"""What a text costs with 10, 100 and 840 labels: ours in flan-t5-base's shape against transformers' zero-shot pipeline in
BART-large-MNLI's and GLiClass in DeBERTa-v3-base's, random weights, one pinned thread, processor time, as Markdown.

    python benchmarks/classifier_cost.py [--labels 10 100 840] [--side int8 float32 bart gliclass] [--texts 200] [--minutes 5] [--least 2]

Needs torch and transformers for bart, and the package gliclass for gliclass (`pip install --no-deps --target DIR gliclass`, DIR in
PYTHONPATH). Texts have 64 words and labels 2, and all sides' tokenizers give a token a word; no two labels begin with the same word, so
that nothing is shared. A side answers to texts one by one until it has had TEXTS of them or MINUTES are over, but to LEAST of them. Ours:
one wording, Classifier.classify, all texts at once, as many as fit; the pipeline: as it is called by default, a pass for each pair;
GLiClass: its model's pass alone, with all labels before the text, as its pipeline joins them."""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import sidebyside  # sets the thread variables

import t0native as t0

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from spiece_files import NORMAL, model_file  # noqa: E402

WORDS = [f"w{i}" for i in range(9000)]
TEXT, LABEL = 64, 2
BASE = {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 12, "num_decoder_layers": 12, "num_heads": 12}


def texts_of(count):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(WORDS, TEXT)) for _ in range(count)]


def labels_of(count):
    rng = np.random.default_rng(1)
    return [f"{first} {second}" for first, second in zip(rng.permutation(WORDS)[:count], rng.choice(WORDS, count))]


# ---- sides: a function of (texts, labels) that answers to each text -------------------------------------------------------


def ours(dtype):
    tokenizer = t0.Tokenizer(model_file([(f"▁{word}", -9.0, NORMAL) for word in WORDS] + [("▁", -12.0, NORMAL), ("?", -12.0, NORMAL)]))
    model = t0.Model.init(t0.Config(vocab_size=32128, **BASE), tokenizer, dtype=dtype, threads=1)

    def answer(texts, labels):
        return list(t0.Classifier(model, labels, "{{ text }} w1 w2 w3?", progress=False).classify(texts))

    return answer, 16  # texts at once


def word_tokenizer(special, pair):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: i for i, word in enumerate([*special, *WORDS, "This", "example", "is", "."])}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ids = [("<s>", vocabulary["<s>"]), ("</s>", vocabulary["</s>"])]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair=pair, special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>")


def bart():
    import torch
    from transformers import BartConfig, BartForSequenceClassification, pipeline

    torch.set_num_threads(1)
    shape = {"d_model": 1024, "encoder_layers": 12, "decoder_layers": 12, "encoder_attention_heads": 16, "decoder_attention_heads": 16}
    shape |= {"encoder_ffn_dim": 4096, "decoder_ffn_dim": 4096, "vocab_size": 50265, "num_labels": 3}
    names = {0: "contradiction", 1: "neutral", 2: "entailment"}
    config = BartConfig(**shape, id2label=names, label2id={name: i for i, name in names.items()})
    tokenizer = word_tokenizer(["<s>", "<pad>", "</s>", "<unk>"], "<s> $A </s> </s> $B </s>")
    classify = pipeline("zero-shot-classification", model=BartForSequenceClassification(config).eval(), tokenizer=tokenizer)
    return (lambda texts, labels: [classify(text, labels) for text in texts]), 1


def gliclass():
    import torch
    from gliclass import GLiClassModel, GLiClassModelConfig
    from transformers import DebertaV2Config

    torch.set_num_threads(1)
    shape = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072, "vocab_size": 128100}
    shape |= {
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "type_vocab_size": 0,
    }
    shape |= {"pos_att_type": ["p2c", "c2p"], "layer_norm_eps": 1e-7, "max_position_embeddings": 512, "position_biased_input": False}
    label, separator = 128001, 128002  # <<LABEL>> and <<SEP>>, added to the vocabulary
    tokens = {"class_token_index": label, "text_token_index": separator, "max_num_classes": 1000, "prompt_first": True}
    config = GLiClassModelConfig(encoder_config=DebertaV2Config(**shape), encoder_model="none", **tokens)
    model = GLiClassModel(config, from_pretrained=False).eval()
    number = {word: i + 3 for i, word in enumerate(WORDS)}

    def answer(texts, labels):
        found = []
        for text in texts:
            ids = [1, *(i for one in labels for i in (label, *(number[word] for word in one.split()))), separator]
            ids += [*(number[word] for word in text.split()), 2]
            with torch.no_grad():
                given = torch.tensor([ids])
                found.append(model(input_ids=given, attention_mask=torch.ones_like(given)).logits[0, : len(labels)].tolist())
        assert all(len(one) == len(labels) for one in found)
        return found

    return answer, 1


SIDES = {
    "int8": ("ours, flan-t5-base's shape, int8", lambda: ours("int8")),
    "float32": ("ours, flan-t5-base's shape, float32", lambda: ours("float32")),
    "bart": ("zero-shot pipeline, BART-large-MNLI's shape", bart),
    "gliclass": ("GLiClass, DeBERTa-v3-base's shape", gliclass),
}


def measure(answer, at_once, texts, labels, seconds, least):
    """(processor seconds of each text, median over the calls; texts answered)."""
    found, done, start = [], 0, time.process_time()
    while done < len(texts) and (time.process_time() - start < seconds or done < least):
        part = texts[done : done + at_once]
        began = time.process_time()
        answer(part, labels)
        found.append((time.process_time() - began) / len(part))
        done += len(part)
    return statistics.median(found), done


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--labels", nargs="+", type=int, default=[10, 100, 840])
    parser.add_argument("--side", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--texts", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--least", type=int, default=2)
    options = parser.parse_args()
    sidebyside.pin()
    print(sidebyside.machine())
    print("\n| labels | what | s a text | texts | to the first |\n|---|---|---|---|---|")
    sides = {name: SIDES[name][1]() for name in options.side}
    for count in options.labels:
        first = None
        for name, (answer, at_once) in sides.items():
            answer(texts_of(1), labels_of(min(count, 10)))  # once unmeasured
            seconds, done = measure(answer, at_once, texts_of(options.texts), labels_of(count), 60 * options.minutes, options.least)
            first = first or seconds
            print(f"| {count} | {SIDES[name][0]} | {seconds:.4g} | {done} | {seconds / first:.3g} x |", flush=True)


if __name__ == "__main__":
    main()
