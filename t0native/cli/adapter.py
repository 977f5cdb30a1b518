"""The verb adapter: what an adapter is, in another form, in its model's weights."""

from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.cli.targets import check_folder, force_option
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_adapter"]

_TORCH = (".pt", ".bin")


def add_adapter(verbs):
    examples = [
        "info my-lora --model my-t0",
        "merge my-lora merged --model my-t0 --dtype bfloat16",
        "convert my-ia3 finish.pt --model my-t0",
        "convert finish.pt my-ia3-again --model my-t0",
    ]
    parser = verb(verbs, "adapter", _run_adapter, "LoRA, (IA)3 and prompts: what one is, into another form, into its model", examples)
    parser.add_argument(
        "what", choices=("info", "merge", "convert"), help="info; merge: a plain model; convert: PEFT's folder, or T-Few's file"
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="a folder of PEFT, or a .pt or .bin file of T-Few")
    parser.add_argument("out", nargs="?", metavar="OUT", help="the folder to write; of convert a .pt or .bin file for T-Few's form")
    parser.add_argument(
        "--model", metavar="MODEL", required=True, help="the model that it belongs to; of info and convert no weights are read"
    )
    parser.add_argument(
        "--dtype", metavar="TYPE", default="float32", help="of merge: float32 (the default), bfloat16, or int8, packed anew"
    )
    force_option(parser, "what is there already is replaced")
    json_option(parser)


def _run_adapter(args):
    if args.what != "info" and args.out is None:
        raise ConfigError(f"adapter {args.what}: no OUT; as in t0native adapter {args.what} ADAPTER OUT --model MODEL")
    facts = {"info": _info, "merge": _merge, "convert": _convert}[args.what](args)
    print_json(facts) if args.json else print("\n".join(f"{key:<16} {_shown(value)}" for key, value in facts.items()))
    return FINE


def _shown(value):
    return f"{value:,}" if isinstance(value, int) else ", ".join(value) if isinstance(value, list) else value


def _read(args):
    """The Adapter, of which nothing but its fit to the model's configuration is judged."""
    from t0native.adapters.peftfolder import read_folder
    from t0native.adapters.tfewfile import read_tfew
    from t0native.checkpoints.checkpoint import open_checkpoint
    from t0native.checkpoints.hub import locate

    config = open_checkpoint(locate(args.model, None)).config
    path = Path(args.adapter)
    return read_tfew(path, config) if path.is_file() and path.suffix in _TORCH else read_folder(path, config)


def _info(args):
    from t0native.adapters.adapter import METHODS, name_of

    adapter = _read(args)
    ends = sorted({module.rsplit(".", 1)[-1] for module in adapter.modules})
    facts = {"path": args.adapter, "method": METHODS[adapter.method], "weights": adapter.parameters, "layers": len(adapter.modules)}
    facts |= {"kinds": ends} if ends else {"rows": len(adapter.parts[0].values)}
    keys = {key: value for key, value in adapter.keys.items() if value not in (None, False, [], {}, "")}
    facts["keys"] = keys if args.json else ", ".join(f"{key} {value}" for key, value in sorted(keys.items()))
    if args.json:
        facts["tensors"] = [[name_of(part), list(part.values.shape), part.scale] for part in adapter.parts]
    return facts


def _merge(args):
    from t0native.models.model import Model

    _check_out(args, Path(args.out))
    model = Model.from_pretrained(args.model, "float32", adapter=args.adapter)
    model.merge_adapter(dtype=args.dtype).save(args.out)
    return {"path": args.out, "dtype": args.dtype, "layers": len(model.adapters["default"].modules)}


def _convert(args):
    from t0native.adapters.peftfolder import write_folder
    from t0native.adapters.tfewfile import write_tfew

    out = Path(args.out)
    adapter = _read(args)
    if out.suffix in _TORCH:
        if out.exists() and not args.force:
            raise ConfigError(f"{out}: is there already; name another file, or --force replaces it")
        write_tfew(out, adapter)
    else:
        _check_out(args, out)
        write_folder(out, adapter)
    return {"path": args.out, "form": "T-Few" if out.suffix in _TORCH else "PEFT", "weights": adapter.parameters}


def _check_out(args, out):
    if out.is_file():
        raise ConfigError(f"{out}: a file; name the folder to write")
    check_folder(out)
    if not args.force and out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir()):
        raise ConfigError(f"{out}: holds something already; name another folder, or --force writes into it")
