"""The verb train."""

import shlex
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.interrupts import code_of
from t0native.base.places import what_is
from t0native.cli.sets import parse_sets, set_option
from t0native.cli.targets import PICTURE_MARK, check_folder, check_target, force_option, tell_written
from t0native.cli.verbs import BAD_INPUT, FINE, json_option, print_json, prompts_option, types_option, verb
from t0native.training.settings import KINDS, SETTINGS

__all__ = ["add_train"]

OPTIONS = {name: setting for name, setting in SETTINGS.items() if setting.option is not None}  # settings that go before the recipe's

OF_ONE_TASK = ("model", "data", "prompts", "dataset", "validate", "types")  # options in the place of a recipe

USUAL = ("MODEL", "rows.csv", "templates.yaml")  # their first three, where a command is shown


def add_train(verbs):
    examples = [
        "--model my-t0 --data rows.csv --prompts my/templates/mine/templates.yaml --epochs 3 --out tuned/",
        "recipe.yaml --out run/",
        "recipe.yaml --out run/            (again: goes on where it was)",
        "recipe.yaml --dry-run",
    ]
    parser = verb(
        verbs, "train", _run_train, "train a model on a file of rows, or on a mixture that a recipe, a YAML file, describes", examples
    )
    parser.add_argument(
        "config", nargs="?", metavar="RECIPE.yaml", help="what is trained on what (docs/reference/training.md); or rows, as --data"
    )
    parser.add_argument("--model", metavar="DIR", help="without a recipe: the model to begin with, a folder or owner/name on the hub")
    parser.add_argument("--data", metavar="FILE", help="without a recipe: rows to train on")
    prompts_option(parser)
    parser.add_argument("--validate", metavar="FILE", help="without a recipe: rows to validate on, under the same prompts")
    parser.add_argument("--dataset", metavar="D", help="without a recipe: whose prompts, where --prompts has those of several")
    types_option(parser)
    parser.add_argument("--dtype", metavar="TYPE", help="of the model beside which --adapter is trained: float32, bfloat16 or int8")
    for name, setting in OPTIONS.items():
        flag = ("no-" if setting.option.get("action") == "store_false" else "") + name.replace("_", "-")
        parser.add_argument(f"--{flag}", dest=name, help=setting.help.replace("`", ""), **setting.option)
    set_option(parser, "of train, in the place of the recipe's (docs/reference/training.md)", lambda: KINDS)
    force_option(parser, "with --plot: a picture that is there is replaced, whoever made it")
    parser.add_argument("--dry-run", action="store_true", help="print what it takes, memory and time, and do nothing else")
    parser.add_argument("--show", type=int, metavar="N", help="print N examples as the model will see them, and do nothing")
    parser.add_argument(
        "--plot", metavar="FILE", help="the loss curve as a picture (.png, .svg, .pdf; default OUT/loss.png where matplotlib is there)"
    )
    json_option(parser)


def _run_train(args):
    from t0native.training.ranks import started_ranks

    ranks = started_ranks()
    try:
        with ranks.leaving():
            return _train(args, ranks)
    except BaseException as error:
        if ranks.rank == 0:
            raise
        raise SystemExit(code_of(error, BAD_INPUT)) from None  # rank 0 tells it


def _train(args, ranks):
    # Here and below what only this verb needs: it would make the start of each other one slower.
    from dataclasses import replace
    from importlib.util import find_spec

    from t0native.base.arguments import check, one_of, whole
    from t0native.reports.plot import check_picture
    from t0native.training.curves import loss_curve
    from t0native.training.train import run_training

    recipe = _read_recipe(args)
    recipe.override({name: value for name in OPTIONS if (value := getattr(args, name)) is not None} | parse_sets(args.sets, KINDS))
    if args.dtype is not None:
        recipe.dtype = check(one_of("float32", "bfloat16", "int8"), "--dtype", args.dtype)
        if recipe.dtype != "float32" and recipe.options.get("adapter") is None:
            remedy = "--set precision=bfloat16 rounds its products; --adapter lora trains an adapter beside a model of this type"
            raise ConfigError(f"train: --dtype {args.dtype}: a training of all weights is in float32; {remedy}")
    if args.config is None and recipe.options.get("steps") is None and recipe.options.get("epochs") is None:
        raise ConfigError("train: how long? --epochs 3 goes three times through the rows; or --steps N")
    settings = recipe.settings()
    if args.show is not None:
        if ranks.rank:
            return FINE
        examples = recipe.render_examples(check(whole(1), "--show", args.show))
        print_json(examples) if args.json else print("\n".join(examples))
        return FINE
    if args.dry_run:
        return FINE if ranks.rank else _print_forecast(recipe, args.json)
    if settings.out is None:
        named = "--out" if args.config is None else "'out' or --out"
        raise ConfigError(f"{args.config or 'train'}: no 'out': the trained model would be lost; name a folder with {named}")
    check_folder(settings.out)
    if args.plot is not None:
        check_picture(args.plot)
        check_target(args.plot, args.force, PICTURE_MARK)
    settings = replace(settings, validate=recipe.validate)
    run = run_training(recipe.model(), recipe.mixture, settings, _name_command(args.words, settings), ranks)
    if ranks.rank:
        return FINE  # rank 0 tells and draws
    has_losses = any("loss" in entry for entry in run.log)
    if has_losses and (args.plot is not None or find_spec("matplotlib")):
        loss_curve(run, run.path / "loss.png" if args.plot is None else args.plot)
        tell_written(args.plot)
    if args.json:
        print_json(_facts_of(run))
        return FINE
    print(run)
    if sum("loss" in entry for entry in run.log) > 1:  # one is in the line above
        print(loss_curve(run, text=True))
    if run.cut:
        print(f"cut at 2,048 characters: {run.cut:,} of {run.examples:,} examples")
    for name, rows in sorted(run.dropped.items(), key=lambda item: (-item[1], item[0])):
        print(f"dropped {rows:>8,} rows of {name}")
    return FINE


def _read_recipe(args):
    """The Recipe of the file, or of the options that stand in its place."""
    from t0native.data.types import parse_types
    from t0native.training.recipe import read_recipe, recipe_of

    dry_run = args.dry_run and args.show is None
    if args.config is not None and args.data is None and what_is(args.config) == "a file of rows":
        args.config, args.data = None, args.config
    given = [f"--{name}" for name in OF_ONE_TASK if getattr(args, name) is not None]
    if args.config is not None:
        if given and not Path(args.config).exists():
            open(args.config, "rb").close()  # an OSError that names it
        if given:
            raise ConfigError(f"train: {args.config} and {given[0]}: a recipe names its model, rows and prompts itself; leave one out")
        return read_recipe(args.config, dry_run)
    for name in ("model", "data"):
        if getattr(args, name) is None:
            places = [shlex.quote(given or usual) for given, usual in zip((args.model, args.data, args.prompts), USUAL)]
            shown = "--model {} --data {} --prompts {} --epochs 3 --out run".format(*places)
            raise ConfigError(f"train: no --{name}; give a recipe, or, as here: t0native train {shown}")
    types = parse_types(args.types)
    return recipe_of(args.model, args.data, args.prompts, args.dataset, types, args.validate, dry_run)


def _name_command(words, settings):
    """The command that goes on with a run of these words."""
    again = ["--resume", "auto"] if settings.resume == "never" else []
    return shlex.join(["t0native", *map(str, words), *again])


def _facts_of(run):
    """The Run as a JSON object."""
    return {
        "steps": run.steps,
        "loss": run.losses[-1] if run.losses else None,
        "stopped": run.stopped,
        "examples": run.examples,
        "tokens": run.tokens,
        "seconds": round(run.seconds, 1),
        "path": str(run.path) if run.path else None,
        "dropped": run.dropped,
        "cut": run.cut,
    }


def _print_forecast(recipe, as_json):
    from t0native.training.forecast import forecast_lines

    facts = recipe.forecast()
    if as_json:
        print_json(facts)
    else:
        told = "components         cannot be told before all of their rows and prompts are here"
        print("\n".join([recipe.mixture.describe(facts["examples"]) if recipe.mixture else told, *forecast_lines(facts)]))
    return FINE
