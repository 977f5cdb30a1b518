"""What the verbs of the command line share.

A verb's function imports the stages that it runs: whoever asks for --help, or for another verb, waits for none of them."""

import argparse

from t0native.base.jsontext import json_text

__all__ = [
    "BAD_INPUT",
    "FAILED",
    "FINE",
    "INTERRUPTED",
    "end_token_option",
    "json_option",
    "load_model",
    "model_options",
    "print_json",
    "types_option",
    "verb",
]

FINE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130  # exit codes


def verb(verbs, name, run, help, examples):
    """A verb's parser; its --help ends in examples."""
    lines = "\n".join(f"  t0native {name} {example}" for example in examples)
    parser = verbs.add_parser(
        name, help=help, description=help, epilog=f"examples:\n{lines}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    return parser


def json_option(parser):
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def types_option(parser):
    parser.add_argument(
        "--types",
        metavar="T",
        help="what fields are: label=int,id=text,mood=bad|good, or text, or 0.1.0 as that version had it (docs/rows.md)",
    )


def print_json(value):
    print(json_text(value, "null", indent=1, ensure_ascii=False))


def model_options(parser):
    parser.add_argument("--model", required=True, metavar="DIR", help="folder of a model (docs/checkpoints.md), or owner/name on the hub")
    parser.add_argument("--revision", help="of a model on the hub")
    parser.add_argument("--dtype", default="float32", metavar="TYPE", help="of weights and products: float32 (default), bfloat16 or int8")
    parser.add_argument("--threads", type=int, metavar="N")
    end_token_option(parser)


def end_token_option(parser):
    parser.add_argument(
        "--add-eos-to-inputs",
        action=argparse.BooleanOptionalAction,
        help="the end token behind inputs, as T5 was trained and T0 was not (default: as the model has it)",
    )


def load_model(args):
    from t0native.models.model import Model

    return Model.from_pretrained(args.model, args.dtype, revision=args.revision, add_eos_to_inputs=args.add_eos_to_inputs)
