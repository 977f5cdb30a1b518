"""The command `t0native`: one verb a stage, each a few lines over the library.

Exit codes: 0 fine; 1 a result that failed (the demo's claim was not shown, cells failed); 2 bad usage or bad input, told
in one line without a traceback; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP. Results go to stdout, progress and errors
to stderr."""

import argparse
import io
import os
import signal
import sys
from contextlib import nullcontext

from t0native.base.arguments import SEED, check
from t0native.base.errors import ConfigError, DataError, Error, suggest
from t0native.base.interrupts import Terminated, ended_by_signals
from t0native.base.showing import shown
from t0native.base.threads import set_num_threads
from t0native.base.version import __version__
from t0native.cli.bench import add_bench
from t0native.cli.checkpoints import add_convert, add_info
from t0native.cli.data import add_data
from t0native.cli.evaluate import add_evaluate
from t0native.cli.report import add_report
from t0native.cli.studio import add_studio
from t0native.cli.train import add_train
from t0native.cli.verbs import BAD_INPUT, FAILED, FINE, INTERRUPTED, json_option, load_model, model_options, print_json, types_option, verb

__all__ = ["main"]

DEAF = ("vocab",)  # another library's call, which looks for no signal: there they end the process as they always do


def main(argv=None):
    """Runs one command; returns its exit code."""
    try:
        _check_streams()
        args = _parser().parse_args(argv)
        _check_common(args)
        with nullcontext() if args.verb in DEAF else ended_by_signals():
            code = args.run(args)
        sys.stdout.flush()
        return code
    except (KeyboardInterrupt, Terminated) as error:
        if argv is None:  # the process ends now, and another signal shall not change how
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
        return _tell("stopped", INTERRUPTED) if isinstance(error, KeyboardInterrupt) else _tell(error, error.code)
    except BrokenPipeError:  # the reader of a pipe has gone, as in `t0native ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINE
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        return _tell(f"error: {where}{error.strerror or error}", BAD_INPUT)
    except MemoryError as error:
        return _tell(f"error: not enough memory: {error}", BAD_INPUT)
    except (Error, ValueError, ArithmeticError, ImportError) as error:
        return _tell(f"error: {error}", BAD_INPUT)
    except Exception as error:
        if os.environ.get("T0NATIVE_TRACE"):
            raise
        message = f"error: {type(error).__name__}: {error}; this should not happen: T0NATIVE_TRACE=1 before the command shows where it did"
        return _tell(message, BAD_INPUT)


def _check_streams():
    """Python has None for a stream that the shell has closed."""
    sys.stdin, sys.stderr = sys.stdin or io.StringIO(), sys.stderr or io.StringIO()
    if sys.stdout is None:
        raise ConfigError("standard output is closed, and results go there; send them to a file or to /dev/null")


def _check_common(args):
    """Options that several verbs have, before anything is read."""
    if getattr(args, "seed", None) is not None:
        check(SEED, "--seed", args.seed)
    if getattr(args, "threads", None) is not None:
        set_num_threads(args.threads)


def _tell(text, code):
    print("t0native: " + " ".join(str(text).split()), file=sys.stderr)
    return code


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in one line."""

    def error(self, message):
        sys.exit(_tell(f"error: {message} (see {self.prog} --help)", BAD_INPUT))


def _parser():
    parser = _Parser(
        prog="t0native",
        description="T0 on ordinary CPUs: prompts, multitask training, zero-shot evaluation over many wordings.",
        epilog="`t0native VERB --help` has examples. Exit codes: 0 fine, 1 a result failed, 2 bad input, 130 after Ctrl-C, 143 after "
        "SIGTERM, 129 after SIGHUP.",
    )
    parser.add_argument("--version", action="version", version=f"t0native {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True, parser_class=_Parser)
    for add in (
        _add_demo,
        add_data,
        _add_prompt,
        _add_rank,
        _add_generate,
        add_train,
        add_evaluate,
        add_report,
        add_info,
        add_convert,
        add_bench,
        _add_vocab,
        add_studio,
    ):
        add(verbs)
    return parser


def _length_options(parser):
    parser.add_argument("--max-input-length", type=int, default=1024, metavar="N", help="tokens of an input at most (default 1024, as T0)")
    parser.add_argument("--truncate", action="store_true", help="cut longer texts instead of refusing them")
    parser.add_argument("--sentinels", action="store_true", help="<extra_id_0> in a text is T5's sentinel")


def _lengths(args):
    return {"max_input_length": args.max_input_length, "truncate": args.truncate, "sentinels": args.sentinels}


# ---- demo -----------------------------------------------------------------------------------------------------------


def _add_demo(verbs):
    examples = ["", "--quick", "--out run/ --seed 1", "--wordings my/templates", "--full --out results/"]
    parser = verb(verbs, "demo", _run_demo, "train a small T0 here and now, and evaluate it on tasks it has never seen", examples)
    parser.add_argument("--quick", action="store_true", help="a smaller claim in less time")
    parser.add_argument("--full", action="store_true", help="train every baseline anew over several seeds; draws all figures")
    parser.add_argument("--seed", type=int, help="of weights, rows and prompts; without it, the one in docs/miniature.md")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--out", metavar="DIR", help="where models, report.json and pictures go")
    parser.add_argument("--wordings", metavar="DIR", help="a folder of prompts (P3 layout) for the held-out tasks, instead of ours")
    json_option(parser)


def _run_demo(args):
    from t0native.experiments.demo import run

    names = ("out", "seed", "threads", "quick", "full", "wordings", "json")
    return run(**{name: value for name in names if (value := getattr(args, name)) is not None})


# ---- prompt ---------------------------------------------------------------------------------------------------------


def _add_prompt(verbs):
    examples = [
        "list",
        "list super_glue/copa",
        'show super_glue/copa "exercise"',
        'apply super_glue/copa "exercise" --data COPA.val.jsonl --row 3',
        'apply mine "my prompt" --prompts my/templates --example \'{"text": "..."}\'',
        "check --prompts my/templates",
        "check mine --prompts my/templates --data rows.jsonl",
    ]
    parser = verb(
        verbs, "prompt", _run_prompt, "list, show, apply and check prompts of a P3 folder or of the installed promptsource", examples
    )
    parser.add_argument("what", choices=("list", "show", "apply", "check"))
    parser.add_argument("dataset", nargs="?", help="dataset or dataset/subset")
    parser.add_argument("name", nargs="?", help="name of a prompt; all of the dataset's when left out")
    parser.add_argument(
        "--prompts", default="promptsource", metavar="DIR", help="folder of templates (default: the installed promptsource)"
    )
    parser.add_argument("--data", metavar="FILE", help="rows: a file or a folder of one table (docs/rows.md)")
    types_option(parser)
    parser.add_argument("--row", type=int, default=0, metavar="N", help="which row of --data (default 0)")
    parser.add_argument("--example", metavar="JSON", help="one row, given here")
    parser.add_argument("--seed", type=int, default=0, help="of randomness inside templates")
    parser.add_argument("--no-truncate", dest="truncate", action="store_false", help="values longer than 2,048 characters stay whole")
    json_option(parser)


def _run_prompt(args):
    from t0native.prompts.collection import load_prompts, prompts_of

    collection = load_prompts(args.prompts)
    if args.what == "list" and args.dataset is None:
        return _list_datasets(collection, args.json)
    if args.what == "check":
        return _check_prompts(collection, args)
    if args.dataset is None:
        raise ConfigError(f"prompt {args.what}: name a dataset, as in super_glue/copa")
    prompts = prompts_of(collection, args.dataset)
    chosen = prompts if args.name is None else {args.name: _find_prompt(prompts, args.dataset, args.name)}
    {"list": _list_prompts, "show": _show_prompts, "apply": _apply_prompts}[args.what](chosen, args)
    return FINE


def _list_datasets(collection, as_json):
    from t0native.prompts.collection import dataset_name

    counts = {dataset_name(key): len(collection[key]) for key in collection}
    if as_json:
        print_json(counts)
    else:
        print("\n".join(f"{count:4}  {name}" for name, count in counts.items()))
        print(f"{sum(counts.values())} prompts for {len(counts)} datasets")
    return FINE


def _facts(prompt):
    facts = {
        "name": prompt.name,
        "id": prompt.id,
        "jinja": prompt.jinja,
        "answer_choices": prompt.answer_choices,
        "reference": prompt.reference,
    }
    return facts | {"metadata": prompt.metadata._asdict()}


def _list_prompts(prompts, args):
    if args.json:
        print_json(list(prompts))
    else:
        print("\n".join(prompts))


def _show_prompts(prompts, args):
    if args.json:
        print_json([_facts(prompt) for prompt in prompts.values()])
        return
    for prompt in prompts.values():
        facts = _facts(prompt)
        print(f"== {facts.pop('name')}")
        print(facts.pop("jinja"))
        facts |= facts.pop("metadata")
        print("\n".join(f"-- {key}: {_plain_text(value)}" for key, value in facts.items() if value not in (None, "")) + "\n")


def _plain_text(value):
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else {True: "yes", False: "no"}.get(value, value)


def _apply_prompts(prompts, args):
    from t0native.tasks.task import Task

    row = _read_row(args)
    Task(args.dataset, [row], prompts).check()
    results = []
    for name, prompt in prompts.items():
        example = prompt.render(row, seed=args.seed, index=args.row, truncate=args.truncate)
        dropped = {"dropped": prompt.why_dropped(row, seed=args.seed, index=args.row)} if example is None else {}
        results.append({"prompt": name} | (dropped or dict(zip(("input", "target", "choices"), example))))
    if args.json:
        print_json(results)
        return
    for result in results:
        print(f"== {result['prompt']}")
        if "dropped" in result:
            print(f"(this row is dropped: {result['dropped']})\n")
        else:
            print(f"{result['input']}\n-- target: {result['target']}")
            print(f"-- choices: {' | '.join(result['choices'])}\n" if result["choices"] is not None else "")


def _find_prompt(prompts, dataset, name):
    if name not in prompts:
        raise ConfigError(f"{dataset} has no prompt {shown(name)}; {suggest(name, prompts)}")
    return prompts[name]


def _check_prompts(collection, args):
    from t0native.data.rows import read_rows
    from t0native.data.types import parse_types
    from t0native.prompts.check import check_collection
    from t0native.prompts.collection import prompts_of

    if args.dataset is None and args.data is not None:
        raise ConfigError("prompt check: --data needs a dataset, whose rows they are")
    if args.dataset is not None and args.dataset not in collection:
        prompts_of(collection, args.dataset)  # which says what there is
    rows = None if args.data is None else read_rows(args.data, args.dataset, parse_types(args.types))
    problems = check_collection(collection, None if args.dataset is None else [args.dataset], rows)
    if args.name is not None:
        problems = [problem for problem in problems if problem.prompt in (args.name, None)]
        if not problems:  # a file without any is read
            _find_prompt(collection[args.dataset], args.dataset, args.name)
    if args.json:
        print_json([problem._asdict() for problem in problems])
    else:
        print("\n".join([*map(str, problems), f"{len(problems)} problem{'s' * (len(problems) != 1)}"]))
    return FAILED if problems else FINE


def _read_row(args):
    if (args.example is None) == (args.data is None):
        raise ConfigError("prompt apply: give a row by --data FILE or by --example JSON")
    from t0native.data.lines import parse_example
    from t0native.data.rows import read_rows
    from t0native.data.types import parse_types

    if args.example is not None:
        row = parse_example(args.example, "--example")
        if not isinstance(row, dict):
            raise DataError("--example: must be an object {...}")
        return row
    rows = read_rows(args.data, args.dataset, parse_types(args.types))
    if not 0 <= args.row < len(rows):
        raise DataError(f"{args.data}: --row {args.row}: it has rows 0 to {len(rows) - 1}")
    return rows[args.row]


# ---- rank, generate -------------------------------------------------------------------------------------------------


def _add_rank(verbs):
    examples = ['--model my-t0 "Review: I loved it. Is this review positive or negative?" positive negative']
    parser = verb(verbs, "rank", _run_rank, "which of these choices answers the input best", examples)
    model_options(parser)
    parser.add_argument("input")
    parser.add_argument("choices", nargs="+", metavar="choice")
    _length_options(parser)
    json_option(parser)


def _run_rank(args):
    ranking = load_model(args).rank(args.input, args.choices, **_lengths(args))
    scores, lengths = [float(score) for score in ranking.scores], [int(length) for length in ranking.lengths]
    if args.json:
        print_json({"choice": ranking.choice, "index": int(ranking.index), "scores": scores, "lengths": lengths})
        return FINE
    for i in sorted(range(len(scores)), key=lambda i: -scores[i]):
        print(f"{scores[i]:12.4f}  {args.choices[i]}")
    return FINE


def _add_generate(verbs):
    examples = [
        '--model my-t0 "Is the earth flat?" --max-new-tokens 8',
        "--model my-t0 --num-beams 4 < questions.txt",
        '--model my-t0 "Write about tea." --sample --temperature 0.7 --seed 3',
    ]
    parser = verb(verbs, "generate", _run_generate, "write the answer to an input (or to each line of stdin)", examples)
    model_options(parser)
    parser.add_argument("input", nargs="?")
    parser.add_argument(
        "--max-new-tokens",
        type=int,
        metavar="N",
        help="tokens of an answer at most (default: what the model's generation_config.json says, else 20)",
    )
    parser.add_argument("--num-beams", type=int, metavar="N", help="search with so many beams")
    parser.add_argument(
        "--sample",
        dest="do_sample",
        action="store_true",
        default=None,
        help="draw tokens by their probability instead of taking the likeliest",
    )
    parser.add_argument("--temperature", type=float, metavar="X", help="with --sample: above 1 bolder, below 1 more careful")
    parser.add_argument("--top-k", type=int, metavar="N", help="with --sample: from the N likeliest tokens (default 50; 0: from all)")
    parser.add_argument("--top-p", type=float, metavar="X", help="with --sample: from the likeliest that have this probability together")
    parser.add_argument("--seed", type=int, metavar="N", help="with --sample: another seed, other answers (default 0)")
    _length_options(parser)
    json_option(parser)


def _run_generate(args):
    inputs = [args.input] if args.input is not None else [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not inputs:
        raise DataError("generate: no input; give it as an argument or on stdin, one a line")
    names = ("max_new_tokens", "num_beams", "do_sample", "temperature", "top_k", "top_p", "seed")
    options = {name: value for name in names if (value := getattr(args, name)) is not None}
    outputs = load_model(args).generate(inputs, **options, **_lengths(args))
    if args.json:
        print_json([{"input": text, "output": output} for text, output in zip(inputs, outputs)])
    else:
        print("\n".join(outputs))
    return FINE


# ---- vocab ----------------------------------------------------------------------------------------------------------


def _add_vocab(verbs):
    examples = ["train corpus.txt more.txt --out spiece.model --size 8000"]
    parser = verb(verbs, "vocab", _run_vocab, "make a vocabulary of texts (by the sentencepiece package, the extra [vocab])", examples)
    parser.add_argument("action", choices=("train",))
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="UTF-8 files, a sentence or paragraph a line")
    parser.add_argument("--out", required=True, metavar="FILE", help="the SentencePiece model to write")
    parser.add_argument("--size", type=int, default=32000, metavar="N", help="pieces (default 32000, as T5)")
    parser.add_argument("--byte-fallback", action="store_true", help="256 pieces for bytes: no character is unknown")


def _run_vocab(args):
    from t0native.text.vocabulary import train_vocabulary

    tokenizer = train_vocabulary(args.texts, args.out, size=args.size, byte_fallback=args.byte_fallback)
    print(f"{args.out}: {tokenizer.n_pieces} pieces, SHA-256 {tokenizer.fingerprint}")
    return FINE
