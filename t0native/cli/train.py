"""The verb train."""

from t0native.base.errors import ConfigError
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_train"]


def add_train(verbs):
    examples = ["recipe.yaml --out run/", "recipe.yaml --out run/            (again: goes on where it was)", "recipe.yaml --dry-run"]
    parser = verb(verbs, "train", _run_train, "train on a mixture that a YAML file describes", examples)
    parser.add_argument("config", metavar="CONFIG.yaml")
    parser.add_argument("--out", metavar="DIR", help="folder of the run")
    parser.add_argument("--steps", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N")
    parser.add_argument("--threads", type=int, metavar="N")
    parser.add_argument("--resume", choices=("auto", "must", "never"))
    parser.add_argument("--dry-run", action="store_true", help="print the plan, with memory and hours, and do nothing else")
    parser.add_argument("--show", type=int, metavar="N", help="print N examples as the model will see them, and do nothing")
    parser.add_argument(
        "--plot", metavar="FILE", help="the loss curve as a picture (.png, .svg, .pdf; default OUT/loss.png where matplotlib is there)"
    )
    parser.add_argument(
        "--tensorboard", action="store_true", default=None, help="scalars for TensorBoard in OUT/tensorboard (the extra [tensorboard])"
    )
    json_option(parser)


def _run_train(args):
    from t0native.base.arguments import check, whole
    from t0native.reports.plot import check_picture
    from t0native.training.curves import loss_curve
    from t0native.training.recipe import read_recipe
    from t0native.training.settings import check_settings
    from t0native.training.train import train

    recipe = read_recipe(args.config, planning=args.dry_run)
    given = {name: getattr(args, name) for name in ("out", "steps", "seed", "threads", "resume", "tensorboard")}
    recipe.options.update({name: value for name, value in given.items() if value is not None})
    check_settings(recipe.options)
    if "steps" not in recipe.options:
        raise ConfigError(f"{args.config}: no 'steps'; add it, or give --steps")
    if args.show is not None:
        examples = recipe.shown(check(whole(1), "--show", args.show))
        print_json(examples) if args.json else print("\n".join(examples))
        return FINE
    if recipe.options.get("out") is None and not args.dry_run:
        raise ConfigError(f"{args.config}: no 'out': the trained model would be lost; name a folder with 'out' or --out")
    if args.dry_run:
        return _show_plan(recipe, args.json)
    if args.plot is not None:
        check_picture(args.plot)
    run = train(recipe.model(), recipe.mixture, validate=recipe.validate, **recipe.options)
    facts = {"steps": run.steps, "loss": run.losses[-1] if run.losses else None, "stopped": run.stopped}
    facts |= {"examples": run.examples, "tokens": run.tokens, "seconds": round(run.seconds, 1), "path": str(run.path) if run.path else None}
    facts |= {"dropped": run.dropped}
    _plot(run, args.plot)
    if args.json:
        print_json(facts)
    else:
        print(run)
        if any("loss" in entry for entry in run.log):
            print(loss_curve(run, text=True))
        for name, rows in sorted(run.dropped.items(), key=lambda item: (-item[1], item[0])):
            print(f"dropped {rows:>8,} rows of {name}")
    return FINE


def _show_plan(recipe, as_json):
    from t0native.training.forecast import forecast_lines

    plan = recipe.plan()
    if as_json:
        print_json(plan)
    else:
        print("\n".join([recipe.mixture.describe(plan["examples"]), *forecast_lines(plan)]))
    return FINE


def _plot(run, path):
    """The loss curve, where asked for, or where it costs nobody anything."""
    from importlib.util import find_spec

    from t0native.training.curves import loss_curve

    if any("loss" in entry for entry in run.log) and (path is not None or find_spec("matplotlib")):
        loss_curve(run, run.path / "loss.png" if path is None else path)
