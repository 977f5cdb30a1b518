"""The verbs on checkpoints: info, convert."""

from collections import Counter
from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.base.jsontext import parse_json
from t0native.cli.targets import check_folder, force_option
from t0native.cli.verbs import FAILED, FINE, json_option, print_json, verb

__all__ = ["add_convert", "add_info"]


def _source_options(parser):
    parser.add_argument("path", metavar="MODEL", help="a checkpoint (docs/reference/checkpoints.md), or owner/name on the hub")
    parser.add_argument("--config", metavar="JSON", help="keys that the checkpoint's own configuration lacks, or that replace its own")
    parser.add_argument("--revision", help="of a model on the hub")


def _read_source(args):
    """(place of the checkpoint, its configuration's changes)."""
    from t0native.checkpoints.hub import locate

    config = None if args.config is None else parse_json("--config", args.config.encode())
    return locate(args.path, args.revision), config


def add_info(verbs):
    examples = ["my-t0", "my-t0 --tensors", "my-t0 --json", "bigscience/T0_3B"]
    parser = verb(verbs, "info", _run_info, "what a checkpoint holds and needs: configuration, tensors, memory", examples)
    _source_options(parser)
    parser.add_argument("--tensors", action="store_true", help="name, type and shape of each tensor too (--json has them always)")
    json_option(parser)


def _run_info(args):
    from t0native.models.inspection import describe_model, memory_lines

    facts = describe_model(*_read_source(args))
    code = FAILED if facts["loads"].startswith("no") else FINE
    if args.json:
        print_json(facts)
        return code
    for key, value in facts.items():
        if key == "tensors":
            types = ", ".join(f"{count:,} of {dtype}" for dtype, count in Counter(dtype for _, dtype, _ in value).items())
            print(f"{key:<20} {types}" + ("" if args.tensors else "; --tensors names each"))
            for name, dtype, shape in value if args.tensors else ():
                print(f"  {name:<70} {dtype:<5} {shape}")
        elif key == "config":
            print("\n".join(f"  {name:<34} {entry}" for name, entry in value.items()))
        elif key == "memory":
            print("\n".join(f"{name:<20} {text}" for name, text in memory_lines(value)))
        else:
            print(f"{key:<20} {value:,}" if isinstance(value, int) else f"{key:<20} {value}")
    return code


def add_convert(verbs):
    examples = [
        "bigscience/T0_3B t0-3b --dtype bfloat16",
        'run/checkpoint_1000 mine --dtype float32 --config \'{"feed_forward_proj": "gated-gelu"}\'',
    ]
    parser = verb(verbs, "convert", _run_convert, "write a checkpoint of any kind as a folder in the hub's layout", examples)
    _source_options(parser)
    parser.add_argument("out", metavar="DIR", help="the folder to write")
    help = "float32, bfloat16 (the default), or int8: a packed file that is mapped, for this program alone"
    parser.add_argument("--dtype", default="bfloat16", metavar="TYPE", help=help)
    force_option(parser, "a folder that holds something already is written into")
    json_option(parser, "print what was written as JSON")


def _run_convert(args):
    from t0native.checkpoints.checkpoint import open_checkpoint
    from t0native.checkpoints.conversion import convert

    place, config = _read_source(args)
    checkpoint = open_checkpoint(place, config)
    _check_out(args.out, checkpoint.folder, args.force)
    convert(checkpoint, args.out, args.dtype, args.path)
    files = sorted(path for path in Path(args.out).iterdir() if path.is_file())
    size = sum(path.stat().st_size for path in files)
    if args.json:
        print_json({"path": args.out, "dtype": args.dtype, "bytes": size, "files": [path.name for path in files]})
    else:
        print(f"{args.out}: {args.path} in {args.dtype}, {size / 1e6:,.1f} MB in {len(files)} files")
    return FINE


def _check_out(out, source, force):
    """ConfigError where the conversion would destroy what is there."""
    out = Path(out)
    if out.is_file():
        raise ConfigError(f"{out}: a file; name the folder to write")
    check_folder(out)
    if out.resolve() == Path(source).resolve():
        raise ConfigError(f"{out}: is the model itself, whose weights the conversion would replace by others; name another folder")
    if not force and out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ConfigError(f"{out}: holds something already; name another folder, or --force writes into it")
