"""The verb plan."""

from pathlib import Path

from t0native.base.arguments import check, number, whole
from t0native.base.errors import ConfigError
from t0native.cli.sets import parse_sets, set_option
from t0native.cli.targets import PICTURE_MARK, check_target, force_option, tell_written
from t0native.cli.verbs import FINE, json_option, note, print_json, verb
from t0native.training.settings import KINDS, SETTINGS

__all__ = ["add_plan"]

OPTIONS = {name: SETTINGS[name] for name in ("steps", "epochs", "batch_size", "lots")}
RATE = number(lambda value: value > 0, "a positive number")
LATENCY = number(lambda value: value >= 0, "a number, at least 0")
STEPS = 12_200  # where nobody tells: those of T0
OF_T0 = {f"bigscience/{name}": size for size, names in {"xl": ["T0_3B"], "xxl": ["T0", "T0p", "T0pp"]}.items() for name in names}


def add_plan(verbs):
    examples = [
        "recipe.yaml --hosts 4 --cores 32 --gbit 10",
        "recipe.yaml --hosts 1 --cores 64 --ranks 2 --plot scaling.png",
        "--model small --batch-size 16 --set max_source=128 --hosts 2 --cores 1 --gbit 1 --wire bfloat16",
    ]
    parser = verb(verbs, "plan", _run_plan, "what a training takes on a cluster: time, memory and wire by number of hosts", examples)
    parser.add_argument("config", nargs="?", metavar="RECIPE.yaml", help="a recipe of train; its rows and model need not be here")
    parser.add_argument(
        "--model",
        metavar="NAME",
        help="small, base, large, xl or xxl of T5 v1.1, a model's folder or config.json, or owner/name: no weights are read",
    )
    parser.add_argument("--hosts", type=int, default=1, metavar="N", help="the table goes up to so many, all alike (default 1)")
    parser.add_argument("--cores", type=int, metavar="C", help="of a host (default: those of this machine)")
    parser.add_argument(
        "--gbit", type=float, default=10.0, metavar="G", help="the link of a host, 10^9 bits a second each way (default 10)"
    )
    parser.add_argument("--ranks", type=int, default=1, metavar="R", help="processes of a host, which share its cores (default 1)")
    parser.add_argument("--latency", type=float, default=50.0, metavar="US", help="microseconds of a message (default 50)")
    parser.add_argument("--wire", metavar="TYPE", help="number type of gradients between processes: float32 (the default) or bfloat16")
    for name, setting in OPTIONS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, help=setting.help.replace("`", ""), **setting.option)
    set_option(parser, "of train, in the place of the recipe's (docs/reference/training.md)", lambda: KINDS)
    parser.add_argument("--plot", metavar="FILE", help="tokens a second over hosts as a picture (.png, .svg, .pdf)")
    force_option(parser, "with --plot: a picture that is there is replaced, whoever made it")
    json_option(parser)


def _run_plan(args):
    from t0native.reports.plot import check_picture
    from t0native.training.cluster import plan_cluster
    from t0native.training.scaling import draw_scaling, scaling_lines

    if args.config is None and args.model is None:
        raise ConfigError("plan: of what? Name a recipe, or a model: t0native plan --model base --hosts 4 --cores 32 --gbit 10")
    if args.plot is not None:
        check_picture(args.plot)
        check_target(args.plot, args.force, PICTURE_MARK)
    recipe, settings = _read(args)
    cluster = _cluster_of(args, settings)
    config = None if args.model is None else _config_of(args.model)
    note("measuring this machine: half a minute for large models; nothing else should run")
    facts = plan_cluster(settings, cluster, recipe, config, args.model)
    if args.plot is not None:
        draw_scaling(facts, args.plot)
        tell_written(args.plot)
    print_json(facts) if args.json else print("\n".join(scaling_lines(facts)))
    return FINE


def _read(args):
    """(the Recipe, or None; the Settings of its run)."""
    from t0native.training.recipe import read_recipe
    from t0native.training.settings import Settings

    options = {name: value for name in OPTIONS if (value := getattr(args, name)) is not None} | parse_sets(args.sets, KINDS)
    if args.config is None:
        if options.get("epochs") is not None:
            raise ConfigError("plan: epochs are of rows, which a recipe names; without one give --steps")
        return None, Settings(**{"steps": STEPS} | options)
    recipe = read_recipe(args.config, dry_run=True)
    recipe.override(options)
    return recipe, recipe.settled() if args.model is None else recipe.settings()


def _cluster_of(args, settings):
    from t0native.base.arguments import one_of
    from t0native.base.threads import get_num_threads
    from t0native.training.cluster import WIRES, Cluster

    for name in ("hosts", "cores", "ranks"):
        if getattr(args, name) is not None:
            check(whole(1), f"--{name}", getattr(args, name))
    check(RATE, "--gbit", args.gbit)
    check(LATENCY, "--latency", args.latency)
    wire = args.wire or getattr(settings, "wire", None) or "float32"
    check(one_of(*WIRES), "--wire", wire)
    return Cluster(args.hosts, args.cores or get_num_threads(), args.gbit, args.ranks, args.latency / 1e6, wire)


def _config_of(name):
    """The Config of a model, without its weights."""
    from t0native.checkpoints.checkpoint import open_checkpoint
    from t0native.checkpoints.config import T5_V1_1_SIZE, Config
    from t0native.checkpoints.hub import locate

    size = OF_T0.get(name, name)
    if T5_V1_1_SIZE.fits(size) and not Path(name).exists():
        return Config.t5_v1_1(size)
    return Config.from_file(name) if Path(name).is_file() else open_checkpoint(locate(name, None)).config
