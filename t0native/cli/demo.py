"""The verb demo."""

from t0native.cli.verbs import json_option, verb

__all__ = ["add_demo"]


def add_demo(verbs):
    examples = ["", "--quick", "--out run/ --seed 1", "--wordings my/templates", "--full --out results/", "--word-rules"]
    parser = verb(verbs, "demo", _run_demo, "train a small T0 here and now, and evaluate it on tasks it has never seen", examples)
    parser.add_argument("--quick", action="store_true", help="a smaller claim in less time")
    parser.add_argument("--full", action="store_true", help="train every baseline anew over several seeds; draws all figures")
    help = "train nothing: what rules that only read words get right, and the parts of two tasks by the carried model"
    parser.add_argument("--word-rules", action="store_true", help=help)
    parser.add_argument("--seed", type=int, help="of weights, rows and prompts; without it, the one in docs/miniature/experiment.md")
    parser.add_argument("--threads", type=int, metavar="N", help="threads that compute (default: the processors)")
    parser.add_argument("--out", metavar="DIR", help="where models, report.json and pictures go")
    parser.add_argument("--wordings", metavar="DIR", help="a folder of prompts (P3 layout) for the held-out tasks, instead of ours")
    json_option(parser)


def _run_demo(args):
    from t0native.experiments.demo import run

    names = ("out", "seed", "threads", "quick", "full", "word_rules", "wordings", "json")
    return run(**{name: value for name in names if (value := getattr(args, name)) is not None})
