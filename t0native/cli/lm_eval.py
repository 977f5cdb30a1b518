"""The verb lm-eval: the harness's own command line, with the models of this package in it."""

from t0native.cli.verbs import FINE, verb

__all__ = ["add_lm_eval"]


def add_lm_eval(verbs):
    examples = ["--model_args pretrained=my-t0,dtype=int8 --include_path my-tasks --tasks reviews", "ls tasks", "run --help"]
    parser = verb(
        verbs, "lm-eval", _run_lm_eval, "run EleutherAI's lm-evaluation-harness with models of this package (pip install lm-eval)", examples
    )
    parser.takes_all = "arguments"
    parser.add_argument("arguments", nargs="*", metavar="ARGUMENT", help="the harness's own; --model is t0native unless it names another")


def _run_lm_eval(args):
    from t0native.frameworks.harness import run_harness

    if not args.arguments:
        args.whole.parse_args(["lm-eval", "--help"])
    run_harness(args.arguments)
    return FINE
