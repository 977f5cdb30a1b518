"""The verb bench."""

from t0native.base.arguments import check, one_of
from t0native.base.errors import ConfigError
from t0native.base.kernels import available
from t0native.cli.verbs import FINE, json_option, print_json, verb

__all__ = ["add_bench"]


def add_bench(verbs):
    examples = ["", "--size large --dtype int8", "--model my-t0 --threads 2", "--kernels avx2 --json"]
    parser = verb(verbs, "bench", _run_bench, "how fast this machine is, and a model on it", examples)
    parser.add_argument("--model", metavar="DIR", help="a checkpoint (docs/reference/checkpoints.md), or owner/name on the hub")
    parser.add_argument("--size", metavar="NAME", help="random weights of T5 v1.1's shape: small (the default), base, large, xl, xxl")
    parser.add_argument("--dtype", nargs="+", metavar="TYPE", help="float32, bfloat16, int8 (default: all three)")
    parser.add_argument("--kernels", metavar="SET", help="a set of t0native.kernels.available()")
    parser.add_argument("--threads", type=int, metavar="N", help="of the model; peaks and products are of one core")
    json_option(parser)


def _run_bench(args):
    from t0native.checkpoints.sizes import DTYPES
    from t0native.models.machine import measure_machine, measure_model

    if args.model is not None and args.size is not None:
        raise ConfigError("bench: --model and --size: give one of them")
    dtypes = [check(one_of(*DTYPES), "--dtype", dtype) for dtype in args.dtype or DTYPES]
    if args.kernels is not None:
        check(one_of(*available()), "--kernels", args.kernels)
    make = _maker(args)
    machine = measure_machine(args.kernels, dtypes)
    if not args.json:
        print("\n".join(_machine_lines(machine)), flush=True)
    models = []
    for dtype in dtypes:
        models.append(measure_model(make(dtype)))
        if not args.json:
            print(_model_line(models[-1]), flush=True)
    if args.json:
        print_json({"machine": machine, "model": args.model or args.size or "small", "models": models})
    return FINE


def _maker(args):
    """A function of the number type that makes the model; what is wrong is told now."""
    from t0native.checkpoints.checkpoint import open_checkpoint
    from t0native.checkpoints.config import Config
    from t0native.checkpoints.hub import locate
    from t0native.models.model import Model

    if args.model is not None:
        open_checkpoint(locate(args.model, None)).check()
        return lambda dtype: Model.from_pretrained(args.model, dtype, kernels=args.kernels)
    config = Config.t5_v1_1(args.size or "small")
    return lambda dtype: Model.init(config, dtype="bfloat16", kernels=args.kernels).to(dtype)


def _machine_lines(machine):
    yield "one core's peak, G op/s (2 a multiplication with its addition)"
    yield f"  {'kernels':<14}{'float32':>9}{'bfloat16':>9}{'int8':>9}"
    for name, peaks in machine["peaks"].items():
        yield f"  {name:<14}" + "".join(f"{'-' if peak is None else format(peak, '.0f'):>9}" for peak in peaks.values())
    yield f"one core reads {machine['read_gb']:.1f} GB/s"
    if machine["products"]:
        yield f"products with weights from memory, kernels {machine['kernels']}, one thread: G op/s and share of the peak by rows"
        rows = next(iter(machine["products"].values()))
        yield f"  {'':<9}" + "".join(f"{count:>12}" for count in rows)
    for dtype, rates in machine["products"].items():
        yield f"  {dtype:<9}" + "".join(f"{entry['rate']:>6.0f} {entry['share']:>4.0%}".rjust(12) for entry in rates.values())


def _model_line(facts):
    """One line of a model's rates."""
    about = (
        f"{facts['parameters'] / 1e6:,.0f} M weights, {facts['dtype']}, {facts['kernels']}, {facts['threads']} "
        f"thread{'s' * (facts['threads'] > 1)}"
    )
    return (
        f"{about}: encodes {facts['encoded_tokens']:,.0f} tokens/s, scores {facts['scored_examples']:,.1f} examples/s (80 "
        "tokens, 2 choices), "
        f"decodes {facts['decoded_tokens']:,.1f} tokens/s, {facts['decoded_tokens_8']:,.1f} for 8 inputs at once"
    )
