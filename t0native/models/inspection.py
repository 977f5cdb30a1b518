"""What a checkpoint holds and needs, read from its headers: no weight is loaded."""

from dataclasses import asdict

from t0native.base.errors import FormatError
from t0native.base.memory import available_memory
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.endtoken import describe_end_token
from t0native.checkpoints.family import describe_family
from t0native.checkpoints.sizes import DTYPES, scoring_bytes, training_bytes, weights_bytes
from t0native.models.scoring import usual_batch_tokens
from t0native.models.tokenizing import describe_tokenizer

__all__ = ["describe_model", "memory_lines"]


def describe_model(path, config=None):
    """Facts of a checkpoint (docs/reference/checkpoints.md) as a dict: files, whether it loads, what its head is and why, whether
    inputs are read with the end token and why, number of weights, memory (bytes, by number type), configuration, tensors
    (name, dtype, shape). FormatError and FileNotFoundError as for loading the model."""
    checkpoint = open_checkpoint(path, config)
    tokenizer, for_texts = describe_tokenizer(checkpoint.folder, checkpoint.config)
    loads = _loads(checkpoint)
    return {
        "folder": str(path),
        "files": _files(checkpoint.entries.values()),
        "loads": for_texts if loads == "yes" else loads,
        "family": describe_family(checkpoint.config, str(path)),
        "tokenizer": tokenizer,
        "head": checkpoint.head,
        "end_token": describe_end_token(path, checkpoint.folder, checkpoint.config),
        "notes": "; ".join(note.text for note in checkpoint.notes) or "none",
        "parameters": checkpoint.config.parameters,
        "memory": _memory(checkpoint.config),
        "config": {key: value for key, value in asdict(checkpoint.config).items() if key != "extra"}
        | {"scale_decoder_outputs": checkpoint.config.scaled},
        "tensors": [[entry.name, entry.dtype, list(entry.shape)] for entry in checkpoint.entries.values()],
    }


def _loads(checkpoint):
    try:
        checkpoint.check()
    except FormatError as error:
        return "no: " + "; ".join(line.strip() for line in str(error).splitlines()[1:])
    return "yes"


def _files(entries):
    """Names and sizes; only their sum where they are many."""
    sizes = {path: _size(path) for path in sorted({entry.path for entry in entries})}
    if len(sizes) > 4:
        return f"{len(sizes)} ({sum(sizes.values()):,} bytes)"
    return ", ".join(f"{path.name} ({size:,} bytes)" for path, size in sizes.items())


def _size(path):
    """Bytes of a file, or of a folder of chunks."""
    return sum(file.stat().st_size for file in path.rglob("*")) if path.is_dir() else path.stat().st_size


def _memory(config):
    free, scoring = available_memory(), scoring_bytes(config, usual_batch_tokens(config))
    memory = {"available": free}
    for dtype in DTYPES:
        weights = weights_bytes(config, dtype)
        memory[dtype] = {"weights": weights, "scoring": scoring, "fits": None if free is None else weights + scoring <= free}
    for optimizer in () if config.encoder_only else ("adafactor", "adamw"):
        taken = training_bytes(config, optimizer=optimizer)
        memory[f"training_{optimizer}"] = weights_bytes(config, "float32") + taken["gradients"] + taken["states"]
    return memory


def memory_lines(memory):
    """The same for readers: (heading, text)."""
    for dtype in DTYPES:
        part = memory[dtype]
        fits = {True: "fits now", False: "does not fit now", None: ""}[part["fits"]]
        yield (
            f"memory {dtype}",
            f"{_format_bytes(part['weights'])} of weights, {_format_bytes(part['scoring'])} while scoring" + (f": {fits}" if fits else ""),
        )
    if "training_adafactor" in memory:
        adafactor, adamw = _format_bytes(memory["training_adafactor"]), _format_bytes(memory["training_adamw"])
        yield "memory training", f"{adafactor} with gradients and Adafactor, {adamw} with AdamW, activations aside"
    if memory["available"] is not None:
        yield "memory available", _format_bytes(memory["available"])


def _format_bytes(size):
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"
