"""What people type who know other programs, and what is typed here; and Python's keywords in messages, as the command line has them."""

import re
from typing import NamedTuple

__all__ = ["FOREIGN", "Hint", "hints_for", "in_words_of_the_command_line"]


class Hint(NamedTuple):
    """text: what is said.  option: said where the verb has this option; None: everywhere."""

    text: str
    option: str | None = None


def _use(option, example=None):
    return Hint(f"use {example or option}", option)


_DEVICE = (Hint("it runs on the processor, with as many threads as --threads N says", "--threads"), Hint("it runs on the processor"))
_INT8 = (_use("--dtype", "--dtype int8"),)
_BFLOAT16 = (_use("--steps", "--set precision=bfloat16"), _use("--dtype", "--dtype bfloat16"))  # a training's, any other's
_FIELD = (_use("--field"), Hint("which fields are read stands in the prompts, as {{ field }}", "--prompts"))
_OUT = (
    _use("--out", "--out NAME"),
    Hint("use --html FILE, --csv FILE, --latex FILE or --markdown FILE", "--latex"),
    Hint("results go to standard output: > FILE"),
)
_EPOCHS = (
    _use("--epochs", "--epochs N"),
    Hint("a training is so many steps: --steps N (--dry-run tells what it takes)", "--steps"),
    Hint("epochs are a training's: t0native train"),
)
_BATCH = (_use("--batch-size"), _use("--batch-tokens"), Hint("batches are made by themselves, and change no number"))
_LABELS = (_use("--labels", "--labels A,B"), Hint("use --choice LABEL, once for each", "--choice"))
_TEMPLATE = Hint('use --prompts "{{ text }} ...?", or --prompts FILE', "--labels")
_MODEL = (_use("--model", "--model DIR"), Hint("the model is an argument by itself"))

FOREIGN = {  # an option without its dashes, with hyphens -> Hints, the first that fits is said
    "device": _DEVICE, "device-map": _DEVICE, "gpu": _DEVICE, "gpus": _DEVICE, "cuda": _DEVICE, "cpu": _DEVICE, "no-cuda": _DEVICE,
    "load-in-8bit": _INT8, "int8": _INT8, "8bit": _INT8, "quantize": _INT8, "load-in-4bit": _INT8,
    "fp16": _BFLOAT16, "bf16": _BFLOAT16, "half": _BFLOAT16, "torch-dtype": (_use("--dtype", "--dtype float32, bfloat16 or int8"),),
    "precision": (_use("--set", "--set precision=bfloat16"), _use("--dtype")),
    "epochs": _EPOCHS, "num-epochs": _EPOCHS, "num-train-epochs": _EPOCHS, "max-steps": (_use("--steps", "--steps N"),),
    "lr": (_use("--learning-rate"),),
    "batch-size": _BATCH, "per-device-train-batch-size": _BATCH, "per-device-eval-batch-size": _BATCH, "bs": _BATCH, "b": _BATCH,
    "gradient-accumulation-steps": (_use("--set", "--set accumulate=N"),),
    "valid": (_use("--validate", "--validate FILE"),), "dev": (_use("--validate", "--validate FILE"),),
    "validation-file": (_use("--validate", "--validate FILE"),), "eval-file": (_use("--validate", "--validate FILE"),),
    "train-file": (_use("--data", "--data FILE"),), "train-data": (_use("--data", "--data FILE"),),
    "select": (Hint("use --set select=true, with --validate FILE or a recipe's validate", "--validate"),),
    "weight-decay": (Hint("it is one of the recipe's optimizer_options", "--steps"),),
    "warmup-steps": (_use("--set", "--set warmup=N"),), "warmup-ratio": (Hint("use --set warmup=N, a number of steps", "--set"),),
    "output": _OUT, "output-dir": _OUT, "output-file": _OUT, "output-path": _OUT, "o": _OUT, "save": _OUT, "save-to": _OUT,
    "model-name-or-path": _MODEL, "model-name": _MODEL, "model-path": _MODEL, "pretrained": _MODEL, "m": _MODEL, "checkpoint": _MODEL,
    "max-length": (_use("--max-new-tokens", "--max-new-tokens N, which counts an answer's tokens"), _use("--max-input-length")),
    "max-tokens": (_use("--max-new-tokens"),), "max-seq-length": (_use("--max-input-length"), _use("--set", "--set max_source=N")),
    "max-source-length": (_use("--max-input-length"), _use("--set", "--set max_source=N")),
    "beams": (_use("--num-beams"),), "beam-size": (_use("--num-beams"),), "n-beams": (_use("--num-beams"),),
    "do-sample": (_use("--sample"),), "temp": (_use("--temperature"),), "t": (_use("--temperature"),),
    "labels": (Hint("use --choice LABEL, once for each", "--choice"),
    Hint("the choices stand in the prompt, as answer_choices: no ||| yes; t0native classify takes labels")),
    "candidate-labels": _LABELS, "classes": _LABELS, "label": _LABELS, "choice": _LABELS,
    "choices": (_use("--labels", "--labels A,B"), Hint("use --choice TEXT, once for each, or --choices-field FIELD", "--choice"),
    Hint("the choices stand in the prompt, as answer_choices: no ||| yes", "--prompts")),
    "multi-class": (_use("--multi-label"),), "hypothesis-template": (_use("--prompts", '--prompts "{{ text }} ...?"'),),
    "calibration": (_use("--calibrate"),), "min-confidence": (_use("--threshold"),),
    "n": (Hint("use --set num_return_sequences=N for several answers, --limit N for fewer rows", "--num-beams"),
    _use("--limit", "--limit N")),
    "template": (_use("--prompt", "--prompt NAME"), _TEMPLATE, _use("--prompts", "--prompts DIR")),
    "templates": (_TEMPLATE, _use("--prompts", "--prompts DIR")),
    "prompt": (_TEMPLATE, Hint("every prompt of --prompts is evaluated, and t0native report --prompt NAME shows one", "--suite"),
    Hint("every prompt of --prompts is trained on", "--steps"), Hint("the input is an argument by itself", "--max-new-tokens"),
    _use("--prompts", "--prompts FILE")),
    "model": (_MODEL[1],), "out": (Hint("the folder to write is an argument by itself, behind the model's", "--config"),
    *_OUT[1:]),
    "format": (Hint("use --json, --csv -, --latex - or --markdown", "--latex"), _use("--to"), _use("--json")),
    "metric": (Hint("each prompt names its metrics: docs/reference/metrics.md", "--prompts"),),
    "metrics": (Hint("each prompt names its metrics: docs/reference/metrics.md", "--prompts"),),
    "dtype": (Hint("a training is in float32; --set precision=bfloat16 rounds its products", "--steps"),),
    "shell": (Hint("the shell is an argument by itself"),), "limit": (Hint("--steps or --epochs say how much is trained on", "--steps"),),
    "tasks": (Hint("use --task DATASET=FILE, once for each, or --suite NAME", "--task"),), "num-fewshot": (_use("--shots"),),
    "few-shot": (_use("--shots"),), "log-samples": (Hint("--out DIR keeps every example and its answer", "--out"),),
    "input": (Hint("an input is an argument by itself, a file of them --data FILE", "--data"),),
    "input-file": (_use("--data", "--data FILE"),),
    "file": (_use("--data", "--data FILE"),), "column": _FIELD, "text-column": _FIELD, "field": _FIELD,
    "resume-from-checkpoint": (Hint("use --resume must; the same command goes on by itself", "--resume"),),
    "overwrite": (_use("--force"),), "overwrite-output-dir": (_use("--force"), Hint("use --resume never, which begins anew", "--resume")),
    "overwrite-cache": (_use("--force"),), "num-workers": (_use("--threads"),), "j": (_use("--threads"),), "jobs": (_use("--threads"),),
    "n-threads": (_use("--threads"),), "num-threads": (_use("--threads"),),
    "trust-remote-code": (Hint("nothing of a checkpoint is executed here; leave it out"),),
    "debug": (Hint("use --verbose, which shows where an error came from"),), "version": (Hint("it stands alone: t0native --version"),),
    "silent": (Hint("use --quiet"),), "no-progress": (Hint("use --quiet"),), "yes": (_use("--force"),), "y": (_use("--force"),),
    "f": (_use("--force"),),
}  # fmt: skip

_JOINED = {option.replace("-", ""): hints for option, hints in FOREIGN.items()}


def hints_for(option):
    """The Hints of an option, however its words are joined.

    >>> hints_for("--batchsize") == hints_for("--batch_size") == FOREIGN["batch-size"]
    True
    """
    return _JOINED.get(option.lower().replace("-", "").replace("_", ""), ())


_KEYWORD = re.compile(r"(?<!as in )(?<![\w.\"'(\[{-])([a-z][a-z0-9_]*)=(True|False|FILE|[A-Z]+|'[^']*'|\"[^\"]*\"|-?[0-9][0-9.]*)(?![\w(])")
_JUDGED = re.compile(r"([a-z][a-z_]*) (?=[^ ].*: must be )")
_OTHER_NAMES = {"do_sample": "sample"}


def in_words_of_the_command_line(text, options):
    """A message of the library with its keywords as options, or as --set. options: {option: action} of the verb. What the verb knows in
    neither way stays.

    >>> from t0native.cli.parsing import Parser, options_of
    >>> parser = Parser()
    >>> for option in ("--truncate", "--sample"): _ = parser.add_argument(option, action="store_true")
    >>> for option in ("--num-beams", "--set"): _ = parser.add_argument(option)
    >>> in_words_of_the_command_line("cut with truncate=True, or add num_beams=3, do_sample=True, top_h=1", options_of(parser))
    'cut with --truncate, or add --num-beams 3, --sample, top_h=1'
    """
    names = getattr(options.get("--set"), "names", tuple)
    text = re.sub(r"from_pretrained\(\.\.\., (\w+=\w+)\)", r"\1", text)

    def option_of(match):
        name, value = match[1], match[2].strip("'\"")
        option = "--" + _OTHER_NAMES.get(name, name).replace("_", "-")
        if value in ("True", "False"):
            option, value = option if value == "True" else f"--no-{option[2:]}", value.lower()
            if option in options and options[option].nargs == 0:
                return option
        elif option in options and options[option].nargs != 0:
            return f"{option} {value}"
        return f"--set {name}={value}" if name in names() else match[0]

    return _KEYWORD.sub(option_of, _of_an_option(text, options))


def _of_an_option(text, options):
    """A message `keyword VALUE: must be ...` as that of the option of this name, which takes no None."""
    if found := _JUDGED.match(text):
        option = "--" + _OTHER_NAMES.get(found[1], found[1]).replace("_", "-")
        if option in options and options[option].nargs != 0:
            return f"{option} {text[found.end(1) :].strip().removesuffix(', or None')}"
    return text
