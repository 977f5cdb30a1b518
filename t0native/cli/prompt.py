"""The verb prompt: list, show, apply, check prompts, write a first file of them, and keep what they make of rows."""

import re
import shlex
from itertools import islice
from pathlib import Path

from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.places import what_is
from t0native.base.showing import shown
from t0native.cli.targets import check_target, force_option
from t0native.cli.verbs import FAILED, FINE, check_dask, dask_option, json_option, note, print_json, types_option, verb

__all__ = ["add_prompt"]

FIRST_ROWS = 1000  # that `new` looks at
OPTIONS_OF = {"a file of rows": "--data", "a file of prompts": "--prompts", "a folder of prompts": "--prompts"}  # by which they are named


def add_prompt(verbs):
    examples = [
        "new reviews --data reviews.csv --prompts my/templates",
        "list",
        "list super_glue/copa",
        'show super_glue/copa "exercise"',
        'apply super_glue/copa "exercise" --data COPA.val.jsonl --row 3',
        'apply mine "my prompt" --prompts my/templates --example \'{"text": "..."}\'',
        "check --prompts my/templates",
        "check mine --prompts my/templates --data rows.jsonl",
        "cache mine --prompts my/templates --data rows.jsonl --out cached/    (again: goes on where it was)",
    ]
    help = "begin, list, show, apply, check and cache prompts of a P3 folder or of the installed promptsource"
    parser = verb(verbs, "prompt", _run_prompt, help, examples)
    parser.add_argument(
        "what",
        choices=("new", "list", "show", "apply", "check", "cache"),
        help="new: write a first file of prompts for the fields of --data; cache: all rows under the prompts, in shards",
    )
    parser.add_argument("dataset", nargs="?", help="dataset or dataset/subset")
    parser.add_argument("name", nargs="?", help="name of a prompt; all of the dataset's when left out")
    parser.add_argument(
        "--prompts",
        default="promptsource",
        metavar="FILE|DIR",
        help="one templates.yaml, or a folder of them (default: the installed promptsource; of new: ./templates)",
    )
    parser.add_argument("--data", metavar="FILE", help="rows: a file or a folder of one table (docs/reference/rows.md)")
    types_option(parser)
    parser.add_argument("--row", type=int, default=0, metavar="N", help="which row of --data (default 0)")
    parser.add_argument("--example", metavar="JSON", help="one row, given here")
    parser.add_argument("--seed", type=int, default=0, help="of randomness inside templates")
    parser.add_argument("--no-truncate", dest="truncate", action="store_false", help="values longer than 2,048 characters stay whole")
    parser.add_argument("--out", metavar="DIR", help="of cache: the folder of shards, to go on from")
    parser.add_argument("--limit", type=int, metavar="N", help="of cache: rows at most")
    parser.add_argument("--shard-rows", type=int, metavar="N", help="of cache: rows a shard (default: as many as make 10,000 examples)")
    dask_option(parser)
    force_option(parser, "of new: a file that is there is replaced; of cache: a folder of another one")
    json_option(parser)


def _run_prompt(args):
    from t0native.prompts.collection import load_prompts

    _check_options(args)
    if args.what == "new":
        return _write_first(args)
    where, quiet = args.prompts, args.what == "list"
    if args.what == "list" and args.dataset is None:
        return _list_datasets(load_prompts(where, quiet), args.json)
    if args.what == "check":
        return _check_prompts(_telling_places(args, lambda: load_prompts(where)), args)
    prompts = _choose_prompts(args, quiet)
    args.dataset = args.dataset or prompts.full_name
    chosen = prompts if args.name is None else {args.name: _find_prompt(prompts, args.dataset, args.name)}
    {"list": _list_prompts, "show": _show_prompts, "apply": _apply_prompts, "cache": _cache_prompts}[args.what](chosen, args)
    return FINE


def _check_options(args):
    """ConfigError for an option of cache with another word."""
    odd = next((name for name in ("out", "limit", "shard_rows", "dask") if getattr(args, name) is not None), None)
    if odd is not None and args.what != "cache":
        hint = "; --prompts names the file or the folder that new writes" if (args.what, odd) == ("new", "out") else ""
        raise ConfigError(f"prompt {args.what}: --{odd.replace('_', '-')} goes with cache{hint}")


def _choose_prompts(args, quiet=False):
    """The PromptSet that is asked for."""
    from t0native.prompts.collection import choose_prompts

    where = None if args.prompts == "promptsource" else args.prompts
    return _telling_places(args, lambda: choose_prompts(where, args.dataset, quiet=quiet))


def _telling_places(args, call):
    """What call() gives; its error tells it where the place of a dataset's name has something else."""
    try:
        return call()
    except (ConfigError, DataError) as error:
        if option := OPTIONS_OF.get(what_is(args.dataset or "")):
            raise ConfigError(f"prompt {args.what}: {option} {args.dataset}?") from None
        name, sign, rows = (args.dataset or "").partition("=")  # as --task of evaluate has them
        if sign:
            raise ConfigError(f"prompt {args.what}: rows stand behind --data: t0native prompt {args.what} {name} --data {rows}") from None
        raise error from None


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
    metadata = prompt.metadata._asdict()
    return facts | {"metadata": {key: value for key, value in metadata.items() if key != "factors" or value is not None}}


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


def _cache_prompts(prompts, args):
    from t0native.data.diskrows import rows_at
    from t0native.data.types import parse_types
    from t0native.tasks.promptcache import cache_prompts
    from t0native.tasks.task import Task

    for option, value in (("--data FILE", args.data), ("--out DIR", args.out)):
        if value is None:
            raise ConfigError(
                f"prompt cache: no {option}; as in t0native prompt cache mine --prompts templates --data rows.jsonl --out cached"
            )
    check_dask(args.dask)
    rows = rows_at(args.data, args.dataset, parse_types(args.types))
    task = Task(args.dataset, rows, prompts, dataset=args.dataset, truncate=args.truncate)
    options = {"seed": args.seed, "limit": args.limit, "shard_rows": args.shard_rows, "force": args.force, "executor": args.dask}
    cache = cache_prompts(task, args.out, **options)
    if args.json:
        print_json(cache._asdict() | {"path": str(cache.path)})
        return
    there = f", {cache.shards - cache.rendered} of them there already" if cache.rendered < cache.shards else ""
    print(f"{cache.path}: {cache.examples:,} examples in {cache.shards} shard{'s' * (cache.shards != 1)}{there}")
    for reason, count in cache.dropped.items():
        print(f"left out, a row under a prompt: {count:,}: {reason}")


def _find_prompt(prompts, dataset, name):
    if name not in prompts:
        raise ConfigError(f"{dataset} has no prompt {shown(name)}; {suggest(name, prompts)}")
    return prompts[name]


def _check_prompts(collection, args):
    from t0native.data.rows import read_rows
    from t0native.data.types import parse_types
    from t0native.prompts.check import check_collection
    from t0native.prompts.collection import dataset_name

    if args.dataset is None and args.data is not None:
        if len(collection) > 1:
            options = [*(["--prompts", args.prompts] if args.prompts else []), "--data", args.data]
            first = shlex.join(["t0native", "prompt", "check", dataset_name(next(iter(collection))), *options])
            raise ConfigError(f"prompt check: --data needs a dataset, whose rows they are, as in {first}")
        args.dataset = next(map(dataset_name, collection))
    if args.dataset is not None and args.dataset not in collection:
        _choose_prompts(args)  # which says what there is
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


def _write_first(args):
    from t0native.base.files import make_folder, write_text
    from t0native.data.rowstream import stream_rows
    from t0native.data.types import parse_types
    from t0native.prompts.collection import PromptSet
    from t0native.prompts.firstfile import first_file
    from t0native.prompts.promptfile import FILE

    if args.data is None:
        example = args.dataset if what_is(args.dataset or "") == "a file of rows" else "FILE"
        raise ConfigError(f"prompt new: --data {example} names the rows whose fields the prompts will read")
    dataset = args.dataset or re.sub(r"[^\w.-]+", "_", Path(args.data).name.partition(".")[0]) or "mine"
    if not re.fullmatch(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", dataset):
        raise ConfigError(
            f"prompt new: {shown(dataset)} is no name for a dataset: letters, digits, - and _, or two such with / between them"
        )
    folder = "templates" if args.prompts == "promptsource" else args.prompts
    place = Path(folder) if Path(folder).suffix in (".yaml", ".yml") else Path(folder, dataset, FILE)
    check_target(place, args.force)
    file = first_file(list(islice(stream_rows(args.data, None, parse_types(args.types)), FIRST_ROWS)), dataset, args.data)
    make_folder(place.parent)
    write_text(place, file.text)
    prompts = PromptSet.read(place)
    if args.json:
        facts = {
            "path": str(place),
            "prompts": list(prompts),
            "texts": list(file.texts),
            "answer": file.answer,
            "unnamed": list(file.unnamed),
        }
        print_json(facts)
        return FINE
    answer = f"the answer {file.answer} ({file.kind})" if file.answer else "no field seems to be an answer: predict needs none"
    print(f"{place}: {len(prompts)} prompts; they read {', '.join(file.texts)}; {answer}")
    for field in file.unnamed:
        note(f"no template can name the field {shown(field)}: rename it where it is to be read")
    named = f"{shlex.quote(dataset)} --prompts {shlex.quote(str(folder))} --data {shlex.quote(args.data)}"
    note(f"change its words, then:\n  t0native prompt apply {named}\n  t0native prompt check {named}")
    return FINE


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
