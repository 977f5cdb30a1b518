"""The verb data: datasets as their authors distribute them."""

from t0native.base.errors import ConfigError
from t0native.cli.targets import force_option
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_data"]


def add_data(verbs):
    examples = [
        "list",
        "convert super_glue/wsc.fixed WSC/val.jsonl --data DATA",
        "convert anli anli_v1.0/R2/dev.jsonl --data DATA",
        "convert wino_bias/type1_pro pro_stereotyped_type1.txt.test --data DATA --split test",
    ]
    parser = verb(verbs, "data", _run_data, "convert a dataset's file from the form of its authors to the hub's columns", examples)
    parser.add_argument("what", choices=("list", "convert"), help="list: the datasets whose form is known")
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="dataset or dataset/subset")
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="as its authors distribute it (docs/reference/suites.md), or in the hub's columns"
    )
    parser.add_argument("--data", metavar="DIR", help="the folder of data; DIR/<dataset>/<subset>/<split>.jsonl is written")
    parser.add_argument("--split", metavar="S", help="unless given, that on which T0 is evaluated")
    force_option(parser, "rows that are there already are replaced by others")
    json_option(parser)


def _run_data(args):
    from t0native.data.convert_data import convert_data
    from t0native.data.distributed import COLUMNS
    from t0native.data.lines import read_jsonl

    if args.what == "list":
        facts = {dataset: list(columns) for dataset, columns in COLUMNS.items()}
        print_json(facts) if args.json else print("\n".join(f"{name:<24} {', '.join(columns)}" for name, columns in facts.items()))
        return FINE
    for name, value in (("DATASET", args.dataset), ("FILE", args.file), ("--data DIR", args.data)):
        if value is None:
            raise ConfigError(f"data convert: no {name}; as in t0native data convert super_glue/rte RTE/val.jsonl --data DATA")
    place = convert_data(args.dataset, args.file, args.data, args.split, replace=args.force)
    count = len(read_jsonl(place))
    print_json({"path": str(place), "rows": count}) if args.json else print(f"{place}: {count} row{'s' * (count != 1)}")
    return FINE
