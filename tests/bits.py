"""What the package computes, a line `NAME SHA256` each: two versions give the same lines on one machine, or behaviour has changed.

    python tests/bits.py [--only PART ...] > NEW      every line is computed by one thread and, where threads are used, by two;
                                                      exits 1 and names what they do not agree on
    python tests/bits.py --compare OLD NEW            exits 1 and names what differs

    NAME    models/MODEL/KERNELS/DTYPE/WHAT     scores, token scores, ranks, generation, encoder states, logits, saved files
            train/KERNELS/RUN/WHAT              losses, and the files of the run: weights, optimiser state, plan, log
            evaluate/KERNELS/WHAT               the report: cells, summary, rows, tables
            tokenizer/MODEL/WHAT  prompts/DATASET  tasks/TASK

Public names of t0native alone are used, so that one script runs on every layout of its inside. What is absent (a kernel set that
does not multiply bfloat16, the public promptsource folder) is a line `# skipped NAME: why`. The package is the one that Python finds
first (PYTHONPATH, then what is installed), else the checkout's own. Times, versions and paths are left out of what is hashed."""

import argparse
import gc
import hashlib
import json
import logging
import os
import random
import sys
from dataclasses import is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT))

import spiece_files  # noqa: E402  found beside this file

try:
    import t0native as t0
except ImportError:
    if "--compare" not in sys.argv:
        raise

PUBLIC = Path(os.environ.get("T0NATIVE_TEST_DATA", ROOT.parent / "shared"))
DTYPES = ("float32", "bfloat16", "int8")
STEPS, ANSWER = 50, 6


class Skipped(Exception):
    """What cannot be computed here, and why."""


# ---- a value as a digest --------------------------------------------------------------------------------------------------


def feed(digest, value):
    """Adds a value to a SHA-256: every part with its type, arrays with their number type and shape, floats by their bits."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype.str}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        digest.update(b"{%d" % len(value))
        for key, part in value.items():
            feed(digest, key)
            feed(digest, part)
    elif isinstance(value, (list, tuple, np.ndarray)):
        digest.update(b"[%d" % len(value))
        for part in value:
            feed(digest, part)
    elif is_dataclass(value):
        feed(digest, dict(vars(value)))
    elif isinstance(value, (float, np.floating)):
        digest.update(b"f" + np.float64(value).tobytes())
    elif isinstance(value, bytes):
        digest.update(b"b%d:" % len(value) + value)
    elif isinstance(value, (str, bool, int, np.integer, type(None))):
        text = repr(value.item() if isinstance(value, np.integer) else value)
        digest.update(b"r%d:" % len(text) + text.encode("utf-8", "surrogatepass"))
    else:
        raise TypeError(f"{type(value).__name__}: a value of this type has no digest")


def digest_of(value):
    digest = hashlib.sha256()
    feed(digest, value)
    return digest.hexdigest()


def files_of(folder):
    """{name: bytes} of a folder's files, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def without(value, *names):
    """A JSON value without the entries of these names, at any depth."""
    if isinstance(value, dict):
        return {key: without(part, *names) for key, part in value.items() if key not in names}
    return [without(part, *names) for part in value] if isinstance(value, list) else value


# ---- models and texts -----------------------------------------------------------------------------------------------------


def config_of(**changes):
    shape = {"vocab_size": 101, "d_model": 8, "d_kv": 4, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    return t0.Config(**shape | changes)


def shapes():
    """{name: Config} of models whose sizes fit no tile: with the miniature's vocabulary and some rows more, or one for ids alone."""
    n = t0.mini.tokenizer().vocab_size
    return {
        "odd": config_of(vocab_size=n + 12, d_model=37, d_kv=5, d_ff=51, num_layers=2, num_decoder_layers=1, num_heads=3),
        "relu": config_of(
            vocab_size=n + 1, d_model=72, d_kv=24, d_ff=131, num_layers=2, num_heads=5, feed_forward_proj="relu", tie_word_embeddings=True
        ),
        "wide": config_of(vocab_size=n + 50, d_model=256, d_kv=64, d_ff=640, num_layers=1, num_heads=4, relative_attention_num_buckets=16),
        "ids": config_of(num_layers=1, num_decoder_layers=3, num_heads=1, d_kv=1, relative_attention_max_distance=33),
    }


def models(kernels):
    """(name, Model in float32) of the models that are asked."""
    yield "mini", t0.Model.mini(kernels=kernels)
    for seed, (name, config) in enumerate(shapes().items()):
        tokenizer = None if name == "ids" else t0.mini.tokenizer()
        yield name, t0.Model.init(config, tokenizer, seed=seed, initializer="matching" if name == "relu" else "t5", kernels=kernels)


def examples(n):
    """n prompted examples with choices, of all held-out tasks and prompts of the miniature in turn."""
    found, tasks = [], t0.mini.held_out_tasks()
    for i in range(n):
        task = tasks[i % len(tasks)]
        found.append(task.render(list(task.prompts)[i // len(tasks) % len(task.prompts)], i))
    return found


def questions(model):
    """(inputs, lists of choices): texts short and long, equal and cut, ids, a list of one choice; for a model without tokenizer, ids."""
    draw = random.Random(7)

    def ids(length):
        return [draw.randrange(2, model.config.vocab_size) for _ in range(length)]

    if model.tokenizer is None:
        return [ids(length) for length in (1, 2, 5, 33, 64, 130)], [[ids(1 + (i + j) % 4) for j in range(i % 3 + 1)] for i in range(6)]
    found = examples(11)
    inputs = [one.input for one in found] + ["tea", found[0].input, " ".join(one.input for one in found * 2), ids(19)]
    choices = [list(one.choices) for one in found]
    choices += [["yes"], ["no", "a longer answer than the others", ids(3)], ["Anna", "Ben"], [ids(1), "tea"]]
    return inputs, choices


# ---- what a model answers -------------------------------------------------------------------------------------------------


def answers(model):
    """(what, value) of each way to ask a model."""
    inputs, choices = questions(model)
    short = inputs[:ANSWER]
    ranks = model.rank(inputs, choices, token_scores=True, truncate=True, progress=quiet)
    yield "rank", [[one.index, one.scores, one.lengths] for one in ranks]
    yield "rank token scores", [one.token_scores for one in ranks]
    ended = model.rank(short, choices[:ANSWER], add_eos_to_inputs=True, length_normalize=True, batch_tokens=40, progress=quiet)
    yield "rank in small batches", [[one.index, one.scores] for one in ended]
    scores, tokens = model.score(inputs, [row[-1] for row in choices], token_scores=True, truncate="start", progress=quiet)
    yield "score", scores
    yield "score token scores", tokens
    yield "encode", model.encode(short)
    draw = random.Random(3)
    ids = [[draw.randrange(model.config.vocab_size) for _ in range(length)] for length in (21, 9)]
    yield "logits", model.logits(*ids)
    yield "greedy", model.generate(short, max_new_tokens=9, output_scores=True, progress=quiet)
    beams = {"num_beams": 3, "num_return_sequences": 2, "length_penalty": 0.7}
    yield "beams", model.generate(short, max_new_tokens=7, output_scores=True, progress=quiet, **beams)
    drawn = {"do_sample": True, "seed": 11, "num_return_sequences": 2, "output_scores": True, "progress": quiet}
    yield "samples", model.generate(short, max_new_tokens=7, temperature=0.9, top_k=40, top_p=0.95, **drawn)
    yield "samples, other rules", model.generate(short[:2], max_new_tokens=5, min_p=0.01, typical_p=0.9, top_k=0, **drawn)
    rules = {"min_new_tokens": 3, "repetition_penalty": 1.2, "no_repeat_ngram_size": 2, "bad_words_ids": [[5], [7, 8]]}
    yield "greedy with rules", model.generate(short[:3], max_new_tokens=8, progress=quiet, **rules)
    yield "stream", list(model.stream(short[0], max_new_tokens=8))


def quiet(done, total):
    """A progress that shows nothing."""


def asked(kernels):
    """Every model in every number type, and the files that it is saved in."""
    for name, model in models(kernels):
        for dtype in DTYPES:
            own = model if dtype == "float32" else model.to(dtype)
            for what, value in answers(own):
                yield f"models/{name}/{kernels}/{dtype}/{what}", value
            with TemporaryDirectory() as folder:
                own.save(folder)
                for file, content in files_of(folder).items():
                    yield f"models/{name}/{kernels}/{dtype}/saved {file}", content
                if name in ("mini", "odd"):
                    again = t0.Model.from_pretrained(folder, dtype, kernels=kernels)
                    ranks = again.rank(*(part[:4] for part in questions(again)), progress=quiet)
                    yield f"models/{name}/{kernels}/{dtype}/loaded", [one.scores for one in ranks]
                del own
                gc.collect()  # a packed file is mapped


# ---- training -------------------------------------------------------------------------------------------------------------

SAME = ("float32", "resumed", "recompute", "accumulate")  # runs that must end in the same bits
TRAININGS = {  # run -> keywords of t0.train beside those of `trained`
    "float32": {"checkpoint_every": 25},
    "resumed": {"first": 20},
    "recompute": {"recompute": True},
    "accumulate": {"accumulate": 2, "batch_size": 2},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16 recompute": {"precision": "bfloat16", "recompute": True},
    "adamw": {
        "optimizer": "adamw", "optimizer_options": {"weight_decay": 0.01, "label_smoothing": 0.1},
        "steps": 10, "schedule": "cosine", "warmup": 3,
    },
    "sgd": {
        "optimizer": "sgd", "optimizer_options": {"momentum": 0.9},
        "steps": 10, "freeze": ["shared.*"], "learning_rate": 0.05,
    },
    "broadcast": {
        "broadcast_dropout": True, "optimizer_options": {"z_loss": 1e-4, "step_offset": 1000},
        "steps": 10, "add_eos_to_inputs": True,
    },
    "tokens": {"steps": 10, "batch_tokens": 150, "batch_size": None, "schedule": "rsqrt", "clip": 0.0},
}  # fmt: skip
SHAPES_TRAINED = {"odd": {"steps": 6}, "relu": {"steps": 6}, "large": {"steps": 3, "batch_size": 12, "max_source": 128}}
ONE_THREAD = "train/portable/large/"  # where OpenBLAS takes the products of a model of 4 million weights: its threads move last bits


def mixture():
    return t0.Mixture(t0.mini.training_tasks(["yes_no", "values"], seed=5))


def trained(model, first=None, **changes):
    """The losses of a run, and (file, its content without times). first: steps after which the run ends, and goes on in another call."""
    settings = {"steps": STEPS, "batch_size": 4, "max_source": 64, "max_target": 24, "dropout": 0.1, "seed": 9, "log_every": 5} | changes
    with TemporaryDirectory() as out:
        for steps in (first, settings.pop("steps")):
            if steps is not None:
                run = t0.train(model, mixture(), steps=steps, out=out, progress=False, **settings)
        yield "losses", [run.losses, run.tokens, run.examples, run.dropped]
        for file, content in files_of(out).items():
            if file.endswith(("manifest.json", "log.jsonl")):
                entries = content.splitlines() if file.endswith(".jsonl") else [content]
                content = [without(json.loads(entry), "seconds", "sha256") for entry in entries]
            yield file, content


def trainings(kernels):
    for what, settings in TRAININGS.items():
        name = f"train/{kernels}/{what}"
        model = t0.Model.init(t0.mini.config(), t0.mini.tokenizer(), seed=1, kernels=kernels)
        try:
            for file, value in trained(model, **settings):
                yield f"{name}/{file}", value
        except t0.ConfigError as error:
            if "bfloat16" not in str(error) or settings.get("precision") != "bfloat16":
                raise
            yield name, Skipped(f"the kernels {kernels} do not multiply it")
    large = config_of(vocab_size=t0.mini.tokenizer().vocab_size, d_model=512, d_kv=64, d_ff=768, num_heads=6)
    for what, settings in SHAPES_TRAINED.items():
        model = t0.Model.init({**shapes(), "large": large}[what], t0.mini.tokenizer(), seed=2, kernels=kernels)
        for file, value in trained(model, **settings):
            yield f"train/{kernels}/{what}/{file}", value


# ---- evaluation, tasks ----------------------------------------------------------------------------------------------------


def tasks_judged():
    """Held-out tasks, and two more: with answers that are written, with a prompt that fails and with rows that are dropped."""
    rows = [{"text": text, "label": i % 2} for i, text in enumerate(("I loved it.", "", "It was bad.", "Anna keeps a cat.", "tea"))]
    prompts = [
        t0.Prompt("choose", "{{ text }} Good or bad? ||| {{ answer_choices[label] }}", "bad ||| good"),
        t0.Prompt("write", "{{ text }} What is it? ||| {{ ['bad', 'good'][label] }}"),
        t0.Prompt("drop", "{% if text %}{{ text }} ||| {{ label }}{% endif %}"),
        t0.Prompt("fail", "{{ text }} ||| {{ label.missing.deeper }}"),
        t0.Prompt("draw", "{{ ['Is it', 'Was it'] | choice }} {{ text }} ||| {{ answer_choices[label] }}", "no ||| yes"),
    ]
    written = [prompt for prompt in prompts if prompt.answer_choices is None]
    return [
        *t0.mini.held_out_tasks(),
        t0.Task("judged", rows, prompts, dataset="demo/judged", split="test"),
        t0.Task("metrics", rows, written, metric=["squad_f1", "exact_match", "rougeL"]),
    ]


def evaluations(kernels):
    model = t0.Model.mini(kernels=kernels)
    with TemporaryDirectory() as out:
        t0.evaluate(model, tasks_judged(), limit=6, seed=3, out=out, progress=False)
        report = json.loads(Path(out, "report.json").read_bytes())
        about = without(report.pop("about"), "versions", "time", "seconds", "machine", "threads")
        for part, value in {**without(report, "examples"), "about": about}.items():  # examples: names made of the version too
            yield f"evaluate/{kernels}/report {part}", value
        yield f"evaluate/{kernels}/report.md", Path(out, "report.md").read_text().replace(t0.__version__, "VERSION")
    other = {"add_eos_to_inputs": True, "label": "ended", "compat": "t0-2021"}
    wordings = t0.evaluate(model, t0.mini.development_tasks()[0], limit=4, progress=False, **other)
    yield f"evaluate/{kernels}/ended inputs", [wordings.cells, wordings.summary]


def tasks():
    """Rows of the miniature through its prompts, training and held out."""
    for task in [*t0.mini.training_tasks(seed=2), *t0.mini.held_out_tasks(), *t0.mini.development_tasks()]:
        rendered = [[prompt, task.render(prompt, i, seed=4)] for prompt in task.prompts for i in range(0, 12, 4)]
        yield f"tasks/{task.name}", [[prompt, None if one is None else tuple(one)] for prompt, one in rendered]


# ---- text -----------------------------------------------------------------------------------------------------------------


def tokenizers():
    """(name, Tokenizer): the miniature's, small ones with every switch and kind of piece, T5's own where it is here."""
    yield "mini", t0.mini.tokenizer()
    texts = [text for text in dict.fromkeys(spiece_files.ODD) if text.strip() and "<" not in text and "\0" not in text]
    odd = [(text, -1.0 - i / 7) for i, text in enumerate(texts)]
    kinds = {"plain": (odd, {}), "bytes": ([*odd, *spiece_files.BYTES], {}), "user": ([*odd, ("ab", 0.0, spiece_files.USER)], {})}
    kinds |= {name: (odd, {name: False}) for name in spiece_files.SWITCHES}
    for name, (pieces, switches) in kinds.items():
        normalizer = b"".join(spiece_files.field(spiece_files.SWITCHES[switch], value) for switch, value in switches.items())
        yield name, t0.Tokenizer.from_bytes(spiece_files.model_file(pieces, spiece_files.field(35, int(name == "bytes")), normalizer))
    public = PUBLIC / "data/t5-spiece/spiece.model"
    yield "t5", t0.Tokenizer.from_file(public) if public.is_file() else Skipped(f"no {public.name} of T5")


def tokenized():
    texts = [*spiece_files.ODD, *spiece_files.SENTENCES, *spiece_files.odd_texts(1500, seed=3), "", "a" * 5000, "the cat " * 900]
    for name, tokenizer in tokenizers():
        if isinstance(tokenizer, Skipped):
            yield f"tokenizer/{name}", tokenizer
            continue
        batch = tokenizer.encode_batch(texts, add_eos=tokenizer.eos_id is not None, threads=t0.get_num_threads())
        yield f"tokenizer/{name}/ids", [batch.ids, batch.offsets]
        yield f"tokenizer/{name}/decoded", [tokenizer.decode(row.tolist()) for row in batch]
        cut = tokenizer.encode_batch(texts, max_length=5, sentinels=True, threads=t0.get_num_threads())
        yield f"tokenizer/{name}/cut, with sentinels", [cut.ids, cut.offsets]
        yield f"tokenizer/{name}/explained", [repr(tokenizer.explain(text)) for text in texts[:200]]


def rendered(prompt, row, index):
    """What a prompt makes of a row: parts, choices, the example; of each that fails, the kind of error."""
    ways = (
        lambda: prompt.apply(row, seed=1, index=index),
        lambda: prompt.apply(row, truncate=False, highlight_variables=True, seed=1, index=index),
        lambda: prompt.choices(row),
        lambda: tuple(prompt.render(row, seed=2, index=index) or ()),
    )
    for way in ways:
        try:
            yield way()
        except (t0.TemplateError, t0.DataError) as error:
            yield type(error).__name__


def public_prompts():
    """Every prompt of the public promptsource folder: what it says of itself, and what it makes of the rows that are there for it."""
    folder = PUBLIC / "promptsource"
    if not folder.is_dir():
        yield "prompts", Skipped("no public promptsource folder: docs/test-data.md")
        return
    rows = {}
    with open(folder / "cases.jsonl", encoding="utf-8") as lines:
        for line in lines:
            case = json.loads(line)
            rows.setdefault((case["dataset"], case["subset"], case["template"]), []).append(case["example"])
    collection = t0.PromptCollection.load(folder / "templates")
    for key in sorted(collection, key=str):
        prompts, found = collection[key], []
        for name, prompt in prompts.items():
            about = [name, prompt.id, prompt.jinja, prompt.answer_choices, prompt.reference, list(prompt.metadata)]
            about += [prompt.fields, prompt.optional_fields]
            made = dict.fromkeys(prompt.fields, "a text") | {"label": 0}  # a row of the fields alone
            for index, row in enumerate([made, *rows.get((prompts.dataset, prompts.subset, name), ())]):
                about.append(list(rendered(prompt, row, index)))
            found.append(about)
        yield f"prompts/{prompts.full_name}", found


# ---- lines ----------------------------------------------------------------------------------------------------------------


def on_all_kernels(part):
    return lambda: (line for kernels in t0.kernels.available() for line in part(kernels))


PARTS = {
    "tokenizer": tokenized,
    "models": on_all_kernels(asked),
    "train": on_all_kernels(trainings),
    "evaluate": on_all_kernels(evaluations),
    "tasks": tasks,
    "prompts": public_prompts,
}
THREADED = ("tokenizer", "models", "train", "evaluate")


def lines(parts, threads):
    """{name: digest, or Skipped} of these parts, computed by so many threads."""
    t0.set_num_threads(threads)
    found = {}
    for part in parts:
        for name, value in PARTS[part]():
            name = name.replace(" ", "_")
            assert name not in found, name
            found[name] = value if isinstance(value, Skipped) else digest_of(value)
    return found


def disagreements(one, two):
    """What does not hold among the lines of one thread and of two, a sentence each."""
    for name, value in two.items():
        if str(one[name]) != str(value) and not name.startswith(ONE_THREAD):
            yield f"{name}: two threads give other bits than one"
    for kernels in t0.kernels.available():
        for run in SAME[1:]:
            names = [f"train/{kernels}/{way}/model.safetensors" for way in (run, SAME[0])]
            if names[0] in one and one[names[0]] != one[names[1]]:
                yield f"{names[0]}: other bits than {names[1]}"


def show(parts):
    """Prints the lines; 1 where there are disagreements."""
    one = lines(parts, threads=1)
    two = lines([part for part in parts if part in THREADED], threads=2)
    for name, value in sorted(one.items()):
        print(f"# skipped {name}: {value}" if isinstance(value, Skipped) else f"{name} {value}")
    found = list(disagreements(one, two))
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


def read_lines(path):
    text = Path(path).read_text(encoding="utf-8")
    found = dict(line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    if not found:
        raise SystemExit(f"{path}: no lines NAME SHA256")
    return found


def compare(old, new):
    """Prints the names whose lines differ or stand in one file alone; 1 where there are any."""
    old, new = read_lines(old), read_lines(new)
    names = sorted({*old, *new})
    differ = [name for name in names if old.get(name) != new.get(name)]
    for name in differ:
        print(f"{name}: {'gone' if name not in new else 'new' if name not in old else 'other bits'}")
    print(f"{len(differ)} of {len(names)} lines differ")
    return 1 if differ else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"))
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS, metavar="PART", help=", ".join(PARTS))
    args = parser.parse_args()
    if args.compare:
        return compare(*args.compare)
    logging.disable(logging.WARNING)  # answers that their length cut, and the like
    print(f"# t0native {t0.__version__}, NumPy {np.__version__}, kernels {', '.join(t0.kernels.available())}")
    print(Path(t0.__file__).parent, file=sys.stderr)
    return show(args.only)


if __name__ == "__main__":
    sys.exit(main())
