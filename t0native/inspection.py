"""What a model folder holds, read from its headers: no weight is loaded."""

import math
from dataclasses import asdict

from t0native.checkpoint import open_checkpoint
from t0native.errors import DataError
from t0native.memory import training_bytes

__all__ = ["describe_model"]


def describe_model(folder):
    """Facts of a folder in the hub's layout, as a dict: configuration, parameters, memory, tensors (name, dtype, shape),
    and whether configuration and tensors agree. FormatError and FileNotFoundError as for loading the model."""
    if not folder.exists():
        raise DataError(f"{folder}: no such folder; name a model folder (config.json, model.safetensors, spiece.model)")
    found = open_checkpoint(folder)
    config, entries = found.config, found.entries
    files = sorted({entry.path for entry in entries.values()})
    shapes = found.own_shapes()
    parameters = sum(map(math.prod, shapes))
    fits = parameters == config.parameters
    training = {name: (4 * parameters + training_bytes(shapes, name)) / 1e6 for name in ("adafactor", "adamw")}
    return {
        "folder": str(folder),
        "files": ", ".join(f"{file.name} ({file.stat().st_size:,} bytes)" for file in files),
        "loads": "yes" if fits else f"no: config.json asks for {config.parameters:,} weights",
        "tokenizer": "spiece.model" if (folder / "spiece.model").is_file() else "none",
        "parameters": parameters,
        "memory": f"{4 * parameters / 1e6:,.1f} MB of weights in float32",
        "memory_training": f"{training['adafactor']:,.1f} MB with gradients and Adafactor, {training['adamw']:,.1f} MB with AdamW, "
        "activations aside",
        "config": {key: value for key, value in asdict(config).items() if key != "extra"},
        "tensors": [[entry.name, entry.dtype, list(entry.shape)] for entry in entries.values()],
    }

