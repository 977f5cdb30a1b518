"""The readers that fuzz_readers.py tries: for each a maker of small sound cases, and what reads one through.

Reader(name, make(rng) -> {name of a file: bytes}, read(folder))"""

import bz2
import contextlib
import csv
import gzip
import io
import json
import lzma
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

import gguf_files
import numpy as np
from checkpoint_files import in_pieces, save_zarr
from reader_inputs import safetensors, t5x_file, torch_file, zipped

import t0native as t0
from t0native.base import jsontext
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.gguffile import read_gguf
from t0native.checkpoints.packedfile import read_packed
from t0native.checkpoints.safetensorfiles import read_header
from t0native.checkpoints.t5x import derive_config, read_t5x
from t0native.checkpoints.torchfiles import read_torch
from t0native.data.diskrows import open_rows
from t0native.prompts.check import check_file
from t0native.promptsource import read_content
from t0native.suites.suitefiles import read_suite
from t0native.text.tokenizerjson import read_tokenizer_json
from t0native.training.recipe import read_recipe

CONFIG = t0.Config(vocab_size=5, d_model=3, d_ff=2, num_layers=1, num_heads=1, d_kv=2)
WIDE = t0.Config(vocab_size=5, d_model=32, d_ff=32, num_layers=1, num_heads=1, d_kv=32)  # rows are whole blocks of Q8_0
LARGEST = 1 << 20  # bytes of a tensor that is read; sizes beyond are compared with the configuration before, in a real load
NOW = 1_600_000_000_000_000_000


class Reader(NamedTuple):
    name: str
    make: object
    read: object


class _Made:
    """What is made once."""

    def __init__(self):
        model = t0.Model.init(CONFIG, seed=1)
        self.tensors = {name: model.core.tensor(name).copy() for name in CONFIG.tensors()}
        with tempfile.TemporaryDirectory() as folder:
            model.save(Path(folder) / "model")
            model.to("int8").save(Path(folder) / "packed")
            self.folder = {path.name: path.read_bytes() for path in (Path(folder) / "model").iterdir()}
            self.packed = (Path(folder) / "packed/model.t0packed").read_bytes()
            self.zarr = {}
            for i, compressor in enumerate(("gzip", "zlib", None)):
                save_zarr(Path(folder) / f"z{i}", np.arange(30, dtype=np.float32).reshape(5, 6), (2, 4), compressor)
                self.zarr[i] = {path.name: path.read_bytes() for path in (Path(folder) / f"z{i}").iterdir()}


_made = []


def made():
    if not _made:
        _made.append(_Made())
    return _made[0]


def some(rng, tensors):
    return {name: array for name, array in tensors.items() if rng.random() < 0.4} or tensors


def go_through(entries):
    for entry in entries:
        if entry.holds_weights and 1 <= len(entry.shape) <= 2 and entry.size < LARGEST:
            assert sum(chunk.size for chunk in entry) == np.prod(entry.shape)


# ---- tensors --------------------------------------------------------------------------------------------------------------------------


def read_t5x_through(file):
    entries = read_t5x(file)
    go_through(entries.values())
    gin = (file.parent / "config.gin").exists()
    derive_config(file, entries, [file.parent], {} if gin else {"feed_forward_proj": "gated-gelu", "relative_attention_max_distance": 128})


def make_t5x_folder(rng):
    case, leaves = {}, {}
    for name in ("encoder.layers_0.mlp.wo.kernel", "decoder.layers_0.mlp.wo.kernel")[: rng.randint(1, 2)]:
        case |= {f"target.{name}/{file}": content for file, content in made().zarr[rng.randrange(3)].items()}
        store = {"driver": "file", "path": f"target.{name}/"}
        leaves[name] = rng.choice([f"PLACEHOLDER://target.{name}", {"driver": "zarr", "kvstore": store}])
    leaves["encoder.encoder_norm.scale"] = in_pieces(np.arange(9, dtype=np.float32).reshape(3, 3), 4)
    gin = b"from t5x import models\nVOCAB = 5\nnetwork.T5Config:\n  emb_dim = 3\n  vocab_size = %VOCAB\n  mlp_activations = ('relu',)\n"
    return {"checkpoint": t5x_file(rng, made().tensors, leaves), "config.gin": gin, **case}


def make_gguf(rng):
    config = CONFIG if rng.random() < 0.5 else WIDE
    keys, kind = gguf_files.keys_of(config), rng.choice(list(gguf_files.TYPES))
    texts = ["<pad>", "</s>", "<unk>", "\u2581a", "[PAD4]"]
    if rng.random() < 0.8:
        keys |= {"tokenizer.ggml.model": rng.choice(["t5", "t5", "llama"]), "tokenizer.ggml.tokens": texts}
        keys |= {"tokenizer.ggml.scores": np.array([0, 0, 0, -1, -1e4], np.float32)}
        keys |= {"tokenizer.ggml.token_type": np.array([3, 3, 2, 1, 5], np.int32), "tokenizer.ggml.add_space_prefix": True}
    tensors = made().tensors if config is CONFIG else {name: np.zeros(shape, np.float32) for name, shape in WIDE.tensors().items()}
    return {"a.gguf": gguf_files.gguf_bytes(keys, tensors, kind, rng.choice([2, 3]))}


def read_gguf_through(folder):
    go_through(read_gguf(folder / "a.gguf").entries)
    assert t0.Model.from_pretrained(folder / "a.gguf", allow_nonfinite=True).config.vocab_size


def make_packed(rng):
    return {"model.t0packed": made().packed}


def make_model(rng):
    case = {"config.json": made().folder["config.json"]}
    content = {
        "num_beams": 1,
        "eos_token_id": [1, 2],
        "max_new_tokens": 2,
        "bad_words_ids": [[1, 2]],
        "do_sample": False,
        "temperature": 0.5,
    }
    if rng.random() < 0.5:
        case["generation_config.json"] = json.dumps({key: value for key, value in content.items() if rng.random() < 0.7}).encode()
    how = rng.randrange(3)
    if how == 0:
        case["model.safetensors"] = safetensors(rng, made().tensors) if rng.random() < 0.5 else made().folder["model.safetensors"]
    elif how == 1:
        case["pytorch_model.bin"] = torch_file(rng, made().tensors, odd=0)
    else:
        names = list(made().tensors)
        shards = {"a.safetensors": names[:9], "b.safetensors": names[9:]}
        case |= {file: safetensors(rng, {name: made().tensors[name] for name in part}) for file, part in shards.items()}
        weight_map = {name: file for file, part in shards.items() for name in part}
        case["model.safetensors.index.json"] = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}).encode()
    if rng.random() < 0.2:
        case["adapter_config.json"] = b'{"base_model_name_or_path": "google/t5", "peft_type": "LORA"}'
    return case


def read_model(folder):
    checkpoint = open_checkpoint(folder)
    jsontext.json_text(checkpoint.config.to_dict(), "keep")
    assert checkpoint.head is not None and isinstance([note.text for note in checkpoint.notes], list)
    checkpoint.check()
    if checkpoint.config.parameters < 10_000:
        model = t0.Model.from_pretrained(folder)
        with contextlib.suppress(t0.NumericError):  # of what was computed
            model.generate([[3, 1]], max_new_tokens=1)


# ---- tokenizers -----------------------------------------------------------------------------------------------------------------------


def make_pairs(rng):
    """Byte-pair encoding, as vocab.json and merges.txt or as a tokenizer.json, or ByT5's settings."""
    how, sentinels = rng.randrange(4), rng.choice([0, 2])
    space = "\u0120" if how < 2 else "\u2581"
    pieces = ["<pad>", "<s>", "</s>", "<unk>", space, "a", "b", "c", "t", "ab", "at", "cat", f"{space}a"]
    pieces += [f"<0x{byte:02X}>" for byte in range(256)] if how == 2 and rng.random() < 0.2 else []
    n = len(pieces)
    merges = [("a", "b"), ("a", "t"), ("c", "at"), (space, "a")]
    tokens = {
        n + sentinels - 1 - k: {"content": f"<extra_id_{k}>", "special": True, "lstrip": rng.random() < 0.5} for k in range(sentinels)
    }
    tokens |= {i: {"content": pieces[i], "special": True, "normalized": False} for i in range(4)}
    settings = {"tokenizer_class": "RobertaTokenizer", "add_prefix_space": rng.random() < 0.5}
    settings |= {"added_tokens_decoder": {str(i): token for i, token in tokens.items()}}
    if how == 0:
        text = "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right in merges)
        case = {"vocab.json": json.dumps({piece: i for i, piece in enumerate(pieces)}).encode(), "merges.txt": text.encode()}
        return case | ({"tokenizer_config.json": json.dumps(settings).encode()} if rng.random() < 0.8 else {})
    if how == 3:
        settings = {"tokenizer_class": "ByT5Tokenizer", "pad_token": "<pad>", "extra_ids": 0}
        settings |= {"added_tokens_decoder": {str(259 + k): {"content": f"<extra_id_{k}>"} for k in range(sentinels)}}
        return {"tokenizer_config.json": json.dumps(settings).encode()}
    fallback = len(pieces) > 256
    model = {"type": "BPE", "vocab": {piece: i for i, piece in enumerate(pieces)}, "merges": [list(pair) for pair in merges]}
    model |= {"unk_token": rng.choice([None, "<unk>"]), "fuse_unk": rng.random() < 0.5, "byte_fallback": fallback, "dropout": None}
    around = [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}]
    content = {"model": model | {"ignore_merges": rng.random() < 0.3}, "added_tokens": [{"id": i, **token} for i, token in tokens.items()]}
    if how == 1:
        content |= {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}, "decoder": {"type": "ByteLevel"}}
        content["post_processor"] = {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]}
    else:
        steps = [{"type": "Replace", "pattern": {"String": space}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
        space_step = {
            "type": "Metaspace",
            "replacement": space,
            "prepend_scheme": rng.choice(["always", "first"]),
            "split": rng.random() < 0.5,
        }
        content |= {"pre_tokenizer": space_step, "decoder": {"type": "Sequence", "decoders": steps}}
        content["post_processor"] = {"type": "TemplateProcessing", "single": around[rng.randrange(2) :]}
    return {"tokenizer.json": json.dumps(content).encode()}


def make_tokenizer(rng):
    if rng.random() < 0.5:
        return make_pairs(rng)
    pieces = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], ["\u2581", -2.0], ["\u2581a", -3.0], ["b", -2.5], ["ab", -4.25], ["cat", 0.0]]
    pieces += [[f"<0x{byte:02X}>", 0.0] for byte in range(256)] if rng.random() < 0.1 else []
    n, sentinels = len(pieces), rng.choice([0, 2])
    pieces += [[f"<extra_id_{k}>", 0.0] for k in reversed(range(sentinels))]
    special = [{"id": i, "content": pieces[i][0], "special": True, "normalized": False} for i in range(3)]
    special += [{"id": n + k, "content": pieces[n + k][0], "special": True} for k in range(sentinels)]
    extra = [{"id": n + sentinels, "content": "<sep>", "special": False, "lstrip": rng.random() < 0.5, "single_word": True}]
    single = [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    normal = [{"type": "Precompiled", "precompiled_charsmap": rng.choice([None, ""])}]
    normal += [
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"},
        {"type": "Strip", "strip_left": False, "strip_right": True},
    ]
    split = [{"type": "Split", "pattern": {"Regex": "cat"}, "behavior": "Isolated"}] if rng.random() < 0.3 else []
    content = {
        "version": "1.0",
        "added_tokens": special + extra,
        "normalizer": {"type": "Sequence", "normalizers": normal[rng.randrange(2) :]},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [*split, {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always"}],
        },
        "post_processor": {"type": "TemplateProcessing", "single": single},
        "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces},
    }
    case = {"tokenizer.json": json.dumps(content).encode()}
    if rng.random() < 0.3:
        case["spiece.model"] = read_tokenizer_json(Path("tokenizer.json"), case["tokenizer.json"]).spiece
    if rng.random() < 0.7:
        settings = {"eos_token": "</s>", "pad_token": {"content": "<pad>"}, "extra_ids": sentinels, "extra_special_tokens": ["<sep>"]}
        settings |= {"added_tokens_decoder": {str(token["id"]): token for token in special + extra}} if rng.random() < 0.5 else {}
        case["tokenizer_config.json"] = json.dumps(settings).encode()
    if rng.random() < 0.4:
        case["added_tokens.json"] = json.dumps({"<sep>": n + sentinels}).encode()
        case["special_tokens_map.json"] = json.dumps({"unk_token": "<unk>", "additional_special_tokens": ["<sep>"]}).encode()
    return case


def read_tokenizer(folder):
    rows = 300 if len(os.listdir(folder)) % 2 else None
    tokenizer = t0.Tokenizer.from_folder(folder, rows)
    tokenizer.decode(tokenizer.encode("a cat <sep> bab <extra_id_0>"))
    tokenizer.encode("a <extra_id_1> b", sentinels=True)


# ---- YAML -----------------------------------------------------------------------------------------------------------------------------


TEMPLATES = """dataset: d
subset: s
templates:
  1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b: !Template
    answer_choices: bad ||| good
    id: 1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b
    jinja: '{{ text }} Good or bad? ||| {{ answer_choices[label] }}'
    metadata: &m !TemplateMetadata
      choices_in_prompt: true
      languages: [en]
      metrics:
      - Accuracy
      original_task: true
    name: mood
    reference: ''
  other: !Template
    answer_choices: null
    id: other
    jinja: "{{ text }}|||x"
    metadata: *m
    name: other
    reference: 2
"""
HAND = "dataset: d\ntemplates:\n- {name: n, jinja: 'a ||| b'}\n- name: m\n  jinja: |\n    {{ text }} |||\n    b\n"
ROWS = b'{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n{"text": "c", "label": 1}\n'
SUITE = """name: mine
data: .
templates: p
shots: 1
seed: 7
tasks:
- {dataset: d/s, file: rows.jsonl, prompts: [mood], metrics: [accuracy], types: {label: int}}
- dataset: d/s
  file: rows.jsonl
  name: other
  prompts: "*"
  shots: 0
"""
RECIPE = """model: {config: config.json, tokenizer: spiece.model, seed: 0}
tasks:
- {dataset: d/s, data: rows.jsonl, prompts: p, rate: 500, types: {label: int}}
- {name: mine, dataset: mine, data: rows.jsonl, objective: lm}
validate:
- {dataset: d/s, data: rows.jsonl, prompts: p}
steps: 10
learning_rate: 1e-3
optimizer: adafactor
batch_size: 2
max_source: 8
schedule: cosine
warmup: 2.5
"""


def make_prompts(rng):
    return {"templates.yaml": rng.choice([TEMPLATES, TEMPLATES, HAND]).encode()}


def read_prompts(folder):
    path = folder / "templates.yaml"
    check_file(path)
    prompts = t0.PromptSet.read(path)
    for prompt in prompts.values():
        try:
            prompt.render({"text": "a", "label": 1})
        except (t0.TemplateError, t0.DataError):  # told with the prompt's name, by whoever has the file
            pass
    if b"!Template" in path.read_bytes():
        read_content(path)


def make_suite(rng):
    return {"suite.yaml": SUITE.encode(), "rows.jsonl": ROWS, "p/d/s/templates.yaml": TEMPLATES.encode()}


def make_recipe(rng):
    case = {"recipe.yaml": RECIPE.encode(), "rows.jsonl": ROWS, "p/d/s/templates.yaml": TEMPLATES.encode()}
    return case | {"config.json": made().folder["config.json"]}


def read_recipe_through(folder):
    recipe = read_recipe(folder / "recipe.yaml", dry_run=True)
    recipe.model_name()
    if "steps" in recipe.options:
        recipe.settings()
    recipe.config()


# ---- rows -----------------------------------------------------------------------------------------------------------------------------


_LIST = [{"text": "a", "label": 1, "score": 0.5}, {"text": 'b "c"', "label": 0, "score": None}]
_JSON = [
    _LIST,
    {"version": 1, "data": _LIST},
    {"text": ["a", "b"], "label": [0, 1]},
    {"text": {"0": "a", "1": "b"}, "label": {"0": 1, "1": 2}},
    {"0": _LIST[0], "1": _LIST[1]},
    {"columns": ["text", "label"], "index": [0, 1], "data": [["a", 1], ["b", 2]]},
]


def make_json(rng):
    return {"rows.json": json.dumps(rng.choice(_JSON)).encode()} if rng.random() < 0.6 else {"rows.jsonl": ROWS}


def read_only_file(folder):
    (path,) = folder.iterdir()
    rows = t0.read_rows(path, types={"label": int} if path.stat().st_size % 2 else None)
    assert len(rows) >= 1 and dict(rows[0]) is not None


def make_table(rng):
    out = io.StringIO(newline="")
    writer = csv.writer(
        out,
        delimiter=(delimiter := rng.choice(",\t")),
        quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
        lineterminator=rng.choice(["\n", "\r\n"]),
    )
    writer.writerow(["text", "label", "score", "told"])
    for _ in range(rng.randint(1, 4)):
        writer.writerow(
            [
                rng.choice(["a", 'b "c"', "two\nlines", "", "d, e"]),
                rng.randrange(3),
                rng.choice(["0.5", "1", ""]),
                rng.choice(["True", "false", "x"]),
            ]
        )
    return {f"rows.{'csv' if delimiter == ',' else 'tsv'}": out.getvalue().encode()}


def make_packed_rows(rng):
    ending, packing = rng.choice(
        [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zip", lambda content: zipped({"rows.jsonl": content}))]
    )
    return {"rows.zip" if ending == "zip" else f"rows.jsonl.{ending}": packing(ROWS)}


def make_disk_rows(rng):
    case = {"rows.jsonl": ROWS} if rng.random() < 0.5 else make_table(rng)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in case.items():
            (Path(folder) / name).write_bytes(content)
            os.utime(Path(folder) / name, ns=(NOW, NOW))
            open_rows(Path(folder) / name)
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def read_disk_rows(folder):
    for path in [path for path in folder.iterdir() if not path.name.startswith(".")]:
        rows = open_rows(path)
        for i in range(min(len(rows), 20)):
            assert isinstance(rows[i], dict)


READERS = [
    Reader(
        "safetensors",
        lambda rng: {"a.safetensors": safetensors(rng, some(rng, made().tensors))},
        lambda folder: go_through(read_header(folder / "a.safetensors")),
    ),
    Reader(
        "torch", lambda rng: {"a.bin": torch_file(rng, some(rng, made().tensors))}, lambda folder: go_through(read_torch(folder / "a.bin"))
    ),
    Reader("msgpack", lambda rng: {"a.msgpack": t5x_file(rng, made().tensors)}, lambda folder: read_t5x_through(folder / "a.msgpack")),
    Reader("t5x", make_t5x_folder, lambda folder: read_t5x_through(folder / "checkpoint")),
    Reader("gguf", make_gguf, read_gguf_through),
    Reader("packed", make_packed, lambda folder: read_packed(folder / "model.t0packed").open(verify=folder.stat().st_mtime_ns % 2 == 0)),
    Reader("model", make_model, read_model),
    Reader("tokenizer", make_tokenizer, read_tokenizer),
    Reader("prompts", make_prompts, read_prompts),
    Reader("suite", make_suite, lambda folder: read_suite(folder / "suite.yaml")),
    Reader("recipe", make_recipe, read_recipe_through),
    Reader("json", make_json, read_only_file),
    Reader("table", make_table, read_only_file),
    Reader("unpacking", make_packed_rows, read_only_file),
    Reader("diskrows", make_disk_rows, read_disk_rows),
]
