"""Models, rows, prompts, runs and evaluations of the fixtures of version 0.1.0: the same code under 0.1.0, which made them
(make_0_1_0.py), and under today's version, which goes on with them (tests/test_since_0_1_0.py). Public names alone.

    FOLDER/rows.csv, rows.jsonl, flags.csv    rows, in the forms that people have them
    FOLDER/spiece.model, prompts/, recipe.yaml   a vocabulary of 61 pieces, a recipe with its prompts
    FOLDER/model, model-bfloat16, model-int8  a model as 0.1.0 saved and converted it
    FOLDER/runs/NAME, evaluation, finished    runs cut at step 3 of 6, an evaluation cut after three cells, one that ended
    FOLDER/expected.json, expected/           what 0.1.0 found without a cut: scores, losses, cells; the runs' weights
"""

import json
from pathlib import Path

import t0native as t0

KERNELS = "portable"  # of this size, its sums are its own on every machine: OpenBLAS is asked from 32 rows and columns on
STEPS, CUT, SEED = 6, 3, 5
INPUTS, CHOICES = ["the cat sat on the mat", "is it rain", "a dog"], ["yes", "no", "the cat"]
PROMPTS = {  # name: (template, answer choices)
    "is it": ("{{ text }} is it so? ||| {{ answer_choices[label] }}", "no ||| yes"),
    "so": ("so, {{ text }} ||| {{ answer_choices[label] }}", "false ||| true"),
}
FREE = {"say": ("say {{ text }} ||| {{ text }}", None)}  # answered by generation
FLAGGED = {"flag": ("{{ text }}{% if flag == 'True' %} indeed{% endif %}? ||| {{ answer_choices[label] }}", "no ||| yes")}
_RUN = {"steps": STEPS, "batch_size": 4, "learning_rate": 0.02, "seed": SEED, "log_every": 1, "progress": False, "threads": 1}
RUNS = {  # name: keywords of t0.train
    "adafactor": {},
    "adamw": {"optimizer": "adamw", "schedule": "linear", "warmup": 2, "batch_size": 2, "accumulate": 2, "freeze": ["*.layer_norm.weight"]},
    "ended": {"add_eos_to_inputs": True},
    "flags": {},
}
WORDS = "the cat sat on a mat and dog is it so rain yes no true false indeed say".split()


def spiece(write_model):
    """Bytes of the vocabulary. write_model: model_file of spiece_files.py."""
    pieces = [(f"\u2581{word}", -3.0 - i / 10) for i, word in enumerate(WORDS)]
    pieces += [(letter, -9.0 - i / 10) for i, letter in enumerate("\u2581abcdefghijklmnopqrstuvwxyz0123456789?,.")]
    return write_model(pieces)


def rows():
    """[{"text", "label"}]"""
    texts = [f"the {a} sat on the {b}" for a in ("cat", "dog", "rain") for b in ("mat", "cat", "rain", "dog")]
    return [{"text": text, "label": (3 * i + 1) % 4 // 2} for i, text in enumerate(texts)]


def write_rows(folder):
    made = rows()
    lines = "".join(f"{row['text']},{row['label']}\n" for row in made)
    (folder / "rows.csv").write_text("text,label\n" + lines)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row | {"note": "so"}) + "\n" for row in made[::-1]))
    flags = "".join(f"{row['text']},{row['label']},{i % 2 == 0}\n" for i, row in enumerate(made))
    (folder / "flags.csv").write_text("text,label,flag\n" + flags)


def tokenizer(folder):
    return t0.Tokenizer.from_file(folder / "spiece.model")


def new_model(folder):
    """The model that a script makes; the same weights whatever the version."""
    vocabulary = tokenizer(folder)
    sizes = {"d_model": 4, "d_kv": 2, "d_ff": 6, "num_layers": 1, "num_heads": 2, "dropout_rate": 0.1}
    config = t0.Config(vocab_size=vocabulary.vocab_size, **sizes)
    return t0.Model.init(config, vocabulary, seed=SEED, kernels=KERNELS, threads=1)


def prompts(texts=PROMPTS):
    return [t0.Prompt(name, text, choices, id=name) for name, (text, choices) in texts.items()]


def mixture(folder, name, **reading):
    """Of rows of a CSV file with whole numbers as labels, and of JSON Lines; that of "flags" has True and False in a CSV file.
    reading: keywords of t0.read_rows."""
    if name == "flags":
        return t0.Mixture([t0.Task("flags", t0.read_rows(folder / "flags.csv", **reading), prompts(FLAGGED))])
    csv, lines = (t0.read_rows(folder / file, **reading) for file in ("rows.csv", "rows.jsonl"))
    return t0.Mixture([t0.Task("table", csv, prompts()), t0.Task("lines", lines, prompts())])


def train(folder, name, out, model=None, reading=None, **options):
    """(Run, model) of the run of that name."""
    model = model or new_model(folder)
    return t0.train(model, mixture(folder, name, **(reading or {})), out=out, **_RUN | RUNS[name] | options), model


def tasks(folder):
    """Of both files; one has a prompt that is answered by generation."""
    csv, lines = t0.read_rows(folder / "rows.csv"), t0.read_rows(folder / "rows.jsonl")
    return [t0.Task("table", csv, prompts()), t0.Task("lines", lines, prompts(PROMPTS | FREE))]


def evaluate(folder, out, **options):
    return t0.evaluate(load(folder / "model"), tasks(folder), out=out, seed=SEED, progress=False, **options)


def load(path, dtype="float32"):
    return t0.Model.from_pretrained(path, dtype, kernels=KERNELS, threads=1)


def scores(model):
    """[inputs, choices], and the ids of greedy answers."""
    ranking = [model.rank(text, CHOICES).scores.tolist() for text in INPUTS]
    return {"rank": ranking, "generate": list(model.generate(INPUTS, max_new_tokens=5))}


def weights_of(model):
    """{name: array}"""
    return {name: model.core.tensor(name) for name, _ in model.core.tensors()}


def open_folder(archive, place):
    """The fixtures, unpacked into the folder `place`."""
    import tarfile

    with tarfile.open(archive) as packed:
        packed.extractall(place, filter="data")
    return Path(place)
