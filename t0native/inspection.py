"""What a model folder holds, read from its headers: no weight is loaded."""

from dataclasses import asdict

from t0native.checkpoint import read_header
from t0native.config import Config
from t0native.errors import DataError

__all__ = ["describe_model", "state_floats"]

MIN_FACTORED = 128  # Adafactor keeps rows and columns from this size on


def describe_model(folder):
    """Facts of a folder in the hub's layout, as a dict: configuration, parameters, memory, tensors (name, dtype, shape)."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name a model folder (config.json, model.safetensors, spiece.model)")
    config = Config.from_file(folder / "config.json")
    files = sorted(folder.glob("*.safetensors"))
    entries = [entry for file in files for entry in read_header(file)]
    shapes = [entry.shape for entry in entries]
    parameters = sum(_size(shape) for shape in shapes)
    return {
        "folder": str(folder),
        "files": ", ".join(f"{file.name} ({file.stat().st_size:,} bytes)" for file in files) or "no weights",
        "tokenizer": "spiece.model" if (folder / "spiece.model").is_file() else "none",
        "parameters": parameters,
        "memory": f"{4 * parameters / 1e6:,.1f} MB of weights in float32",
        "memory_training": f"{4 * (2 * parameters + state_floats(shapes)) / 1e6:,.1f} MB with gradients and Adafactor, "
        f"{16 * parameters / 1e6:,.1f} MB with AdamW, activations aside",
        "config": {key: value for key, value in asdict(config).items() if key != "extra"},
        "tensors": [[entry.name, entry.dtype, list(entry.shape)] for entry in entries],
    }


def state_floats(shapes):
    """Floats of Adafactor's state: rows + columns of matrices with both at least 128, else one an element."""
    return sum(sum(shape) if len(shape) == 2 and min(shape) >= MIN_FACTORED else _size(shape) for shape in shapes)


def _size(shape):
    size = 1
    for dim in shape:
        size *= dim
    return size
