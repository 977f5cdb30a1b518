"""The checkpoints of a run: a folder for a step, which is there as a whole or not at all.

    RUN/checkpoints/step-000200/
        config.json  spiece.model  model.safetensors ...   the model in the hub's layout: the folder loads as any model's does
        README.md           its card, which is no part of the manifest: whoever shares the folder may change it
        trainer.safetensors   optimizer float32 [n], the optimiser's state; losses float64 [step]; of an adapter its numbers
        manifest.json         {"plan": {...}, "state": {"step": 200, ...}, "files": {name: {"bytes", "sha256"}}, "sha256": of all that}

Written as .step-000200.PID.tmp, every file synced, then the folder, which is renamed, and the folder above synced. A folder
serves where its manifest fits every byte of it; FormatError says what does not."""

import hashlib
import os
from pathlib import Path

import numpy as np

from t0native.base.arguments import MAPPING, TEXT, number, whole
from t0native.base.digests import digest_of_value
from t0native.base.errors import FormatError
from t0native.base.files import new_folder, write_bytes
from t0native.base.interrupts import Interrupts
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import shown
from t0native.checkpoints.checkpoint import WEIGHTS
from t0native.checkpoints.modelcard import CARD, card_text, write_card
from t0native.checkpoints.safetensorfiles import header_of, read_header
from t0native.checkpoints.tensorfiles import read_exactly

__all__ = ["change_state", "check_files", "load_step", "read_manifest", "same_weights", "step_folder", "steps_in", "write_step"]

FOLDER, MANIFEST, TRAINER = "checkpoints", "manifest.json", "trainer.safetensors"
_STATE = {  # what a manifest's state must be: runfolder.State but for losses
    "step": whole(0),
    "examples": whole(0),
    "tokens": whole(0),
    "seconds": number(lambda value: value >= 0, "a number, at least 0"),
    "dropped": MAPPING,
    "validated": whole(0),
    "stopped": TEXT.or_none(),
    "cut": whole(0),
}
_FILE = {"bytes": whole(0), "sha256": TEXT}
_AT_ONCE = 1 << 20  # bytes


def step_folder(run, step):
    """
    >>> step_folder("run", 200).as_posix()
    'run/checkpoints/step-000200'
    """
    return Path(run) / FOLDER / f"step-{step:06d}"


def steps_in(run):
    """Steps of which a run has a folder, whole or not, ascending."""
    names = (path.name.removeprefix("step-") for path in (Path(run) / FOLDER).glob("step-*"))
    return sorted(int(name) for name in names if name.isdecimal() and step_folder(run, int(name)).is_dir())


def write_step(path, plan, state, losses, model, trainer, written):
    """plan, state: of JSON values.  written(): called when all is on the disk and only the name is missing."""
    digests = {}
    with new_folder(path, digests) as files:
        with files.opened(TRAINER) as file:
            losses, numbers = np.asarray(losses, np.float64), trainer.numbers()
            shapes = {"optimizer": ("F32", (trainer.state_size(),)), "losses": ("F64", losses.shape)}
            file.write(header_of(shapes | {name: ("F32", array.shape) for name, array in numbers.items()}))
            for part in trainer.state_parts():
                file.write(part.view(np.uint8))
            for array in (losses, *numbers.values()):
                file.write(array.view(np.uint8))
        model.add_to(files)
        digests.pop(CARD, None)  # which its owner may change
        files.add(MANIFEST, _manifest(plan, state, dict(digests)))
        written()


def change_state(path, plan, state, model):
    """The same step under another state: weights, optimiser and losses stay as they are; the model's card tells of it."""
    if hasattr(model, "card"):
        write_card(path, card_text(model.card, model.config, model.dtype, model.tokenizer is not None))
    write_bytes(path / MANIFEST, _manifest(plan, state, read_manifest(path)["files"]))


def _manifest(plan, state, files):
    content = {"plan": plan, "state": state, "files": files}
    return (json_text(content | {"sha256": digest_of_value(content)}, indent=1) + "\n").encode()


# ---- reading ---------------------------------------------------------------------------------------------------------


def read_manifest(path):
    """The manifest, which is what was written; its files are not looked at."""
    manifest = parse_json(path / MANIFEST, (path / MANIFEST).read_bytes())
    content = {key: manifest.get(key) for key in ("plan", "state", "files")} if isinstance(manifest, dict) else {}
    if not content or manifest.get("sha256") != digest_of_value(content):
        raise FormatError(f"{path / MANIFEST}: it is not as it was written: its own SHA-256 differs")
    for key in content:
        _check(path, {key: MAPPING}, content)
    _check(path, _STATE, {"cut": 0} | content["state"])  # which 0.1.0 did not count
    weights = [WEIGHTS] if content["plan"].get("adapter") is None else []
    for name in (*weights, TRAINER, *content["files"]):
        if os.sep in name or not isinstance(content["files"].get(name), dict):
            raise FormatError(f"{path / MANIFEST}: file {shown(name)}: its size and SHA-256 must be there, under a plain name")
        _check(path, _FILE, content["files"][name])
    return content


def _check(path, kinds, values):
    for key, kind in kinds.items():
        problem = kind.problem(key, values[key]) if key in values else f"there is no {shown(key)}"
        if problem:
            raise FormatError(f"{path / MANIFEST}: {problem}")


def check_files(path, files):
    """FormatError for the first of the files {name: {"bytes", "sha256"}} that is not as it was written."""
    for name, wanted in files.items():
        with open(path / name, "rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            if size != wanted["bytes"]:
                raise FormatError(f"{path / name}: {size} bytes, expected {wanted['bytes']}")
            digest = hashlib.sha256()
            while chunk := file.read(_AT_ONCE):
                digest.update(chunk)
        if digest.hexdigest() != wanted["sha256"]:
            raise FormatError(f"{path / name}: not as it was written: its SHA-256 differs")


def same_weights(path, weights):
    """Whether the folder holds these weights {name: float32 array}, to the bit."""
    return (path / WEIGHTS).is_file() and all(
        np.array_equal(chunk.view(np.uint32), weights[entry.name][row : row + len(chunk)].view(np.uint32))
        for entry in read_header(path / WEIGHTS)
        if entry.name in weights  # a tied head may stand there once more
        for row, chunk in _rows(entry)
    )


def _rows(entry):
    row = 0
    for chunk in entry:
        yield row, chunk
        row += len(chunk)


def load_step(path, manifest, trainer):
    """The losses; weights and optimiser are written in place, once every byte is known to be as it was written. Ctrl-C finds them
    written as a whole or not at all."""
    check_files(path, manifest["files"])
    weights, state, step = trainer.writable_weights(), np.empty(trainer.state_size(), np.float32), manifest["state"]["step"]
    of_model = _read_entries(path / WEIGHTS, {name: ("F32", array.shape) for name, array in weights.items()}) if weights else {}
    numbers = {name: np.empty_like(array) for name, array in trainer.numbers().items()}
    expected = {"optimizer": ("F32", state.shape), "losses": ("F64", (step,))}
    of_trainer = _read_entries(path / TRAINER, expected | {name: ("F32", array.shape) for name, array in numbers.items()})
    for name, array in numbers.items():
        _fill(of_trainer[name], array)
    losses = np.empty(step, np.float64)
    _fill(of_trainer["losses"], losses)
    _fill(of_trainer["optimizer"], state)
    with Interrupts():
        trainer.load_state(state)
        trainer.load_numbers(numbers)
        for name, array in weights.items():
            _fill(of_model[name], array)
    return losses.tolist()


def _read_entries(path, expected):
    """{name: Entry} of a file; FormatError where one of {name: (dtype, shape)} is not there as expected."""
    entries = {entry.name: entry for entry in read_header(path)}
    for name, (dtype, shape) in expected.items():
        entry = entries.get(name)
        if entry is None or (entry.dtype, entry.shape) != (dtype, tuple(shape)):
            actual = "nothing" if entry is None else f"{entry.dtype} {list(entry.shape)}"
            raise FormatError(f"{path}: tensor {name}: expected {dtype} {list(shape)}, found {actual}")
    return entries


def _fill(entry, array):
    with open(entry.path, "rb", buffering=0) as file:
        read_exactly(file, entry.begin, memoryview(array.reshape(-1).view(np.uint8)), entry.what)
