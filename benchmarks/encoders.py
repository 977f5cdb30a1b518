"""One prompt through an encoder alone, as image and video models call T5's: ours beside torch's and ONNX Runtime's, on one core.

    python benchmarks/encoders.py [--shape xxl] [--tokens 128] [--runs 9] [--pairs int8:torch ...] [--folder DIR]

Random weights in bfloat16 are written shard by shard into DIR (the xxl encoder's take 9.5 GB there, and 4.8 GB packed), and every side
reads them in a process of its own, pinned to one processor with one thread. The two sides of a pair take turns; the ratio is the median
over the turns. Peak memory is the process's own (VmHWM), of loading and encoding. Ours in int8 reads the packed file; that of ONNX
Runtime is torch's export, quantised dynamically (int8 weights of matrix products, float32 between)."""

import argparse
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import sidebyside

import numpy as np  # after sidebyside, which sets the number of threads  # isort: skip

import t0native as t0

SHAPES = {"xxl": (4096, 10240, 64, 24), "xl": (2048, 5120, 32, 24), "large": (1024, 2816, 16, 24), "small": (512, 1024, 6, 8)}
SIDES = ("int8", "bfloat16", "float32", "torch", "onnx")


def config_of(shape):
    d_model, d_ff, heads, layers = SHAPES[shape]
    return t0.Config(vocab_size=32128, d_model=d_model, d_ff=d_ff, num_heads=heads, num_layers=layers, encoder_only=True)


# ---- the weights -------------------------------------------------------------------------------------------------------


def write(folder, config):
    """A folder in the hub's layout, a shard of about a gigabyte at a time."""
    folder.mkdir(parents=True)
    keys = config.to_dict() | {"architectures": ["T5EncoderModel"]}
    (folder / "config.json").write_text(json.dumps(keys))
    rng, shards, size = np.random.default_rng(0), [[]], 0
    for name, shape in config.tensors().items():
        if size > 1 << 30:
            shards.append([])
            size = 0
        shards[-1].append((name, shape))
        size += 2 * int(np.prod(shape))
    places = {}
    for number, shard in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        places |= dict.fromkeys((name for name, _ in shard), file)
        _write_shard(folder / file, shard, rng)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def _write_shard(path, shard, rng):
    header, at = {}, 0
    for name, shape in shard:
        header[name] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [at, at + 2 * int(np.prod(shape))]}
        at = header[name]["data_offsets"][1]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape in shard:
            scale = 1.0 if len(shape) == 1 else shape[-1] ** -0.5
            for first in range(0, shape[0], 4096):
                rows = (min(4096, shape[0] - first), *shape[1:])
                values = np.ones(rows, np.float32) if len(shape) == 1 else rng.standard_normal(rows, np.float32) * scale
                file.write((values.view(np.uint32) >> 16).astype(np.uint16).tobytes())


# ---- the sides -----------------------------------------------------------------------------------------------------------


def of_ours(folder, side):
    t0.set_num_threads(1)
    model = t0.Model.from_pretrained(folder / "int8" if side == "int8" else folder / "model", side, tokenizer=False)
    return lambda ids: model.encode([ids])[0]


def of_torch(folder, side):
    import torch
    import transformers

    torch.set_num_threads(1)
    model = transformers.T5EncoderModel.from_pretrained(folder / "model", dtype=torch.bfloat16).eval()

    def run(ids):
        with torch.inference_mode():
            return model(input_ids=torch.tensor([ids])).last_hidden_state[0].float().numpy()

    return run


def export(folder):
    """ONNX Runtime's model of the same weights, in a process of its own."""
    import onnxruntime.quantization as quantization
    import torch
    import transformers

    class Encoder(torch.nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    model = transformers.T5EncoderModel.from_pretrained(folder / "model", dtype=torch.float32, attn_implementation="eager").eval()
    ids = torch.ones((1, 8), dtype=torch.int64)
    names = ["input_ids", "attention_mask"]
    axes = {name: {0: "batch", 1: "tokens"} for name in names}
    (folder / "onnx").mkdir()
    out = folder / "onnx/float32.onnx"
    torch.onnx.export(Encoder(model), (ids, ids), out, input_names=names, output_names=["states"], dynamic_axes=axes, dynamo=False)
    del model
    quantization.quantize_dynamic(out, folder / "onnx/int8.onnx", weight_type=quantization.QuantType.QInt8)


def of_onnx(folder, side):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "onnx/int8.onnx", options, providers=["CPUExecutionProvider"])

    def run(ids):
        ids = np.array([ids], np.int64)
        return session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]

    return run


def serve(pipe, folder, side, ids):
    """A process of one side: answers each message with (seconds, seconds of the processor, VmHWM in MB)."""
    sidebyside.pin()
    began = time.perf_counter()
    run = (of_torch if side == "torch" else of_onnx if side == "onnx" else of_ours)(folder, side)
    loaded = time.perf_counter() - began
    run(ids)
    pipe.send(loaded)
    while pipe.recv():
        wall, busy = time.perf_counter(), time.process_time()
        run(ids)
        pipe.send((time.perf_counter() - wall, time.process_time() - busy, peak()))


def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


# ---- a pair --------------------------------------------------------------------------------------------------------------


def compare(folder, pair, ids, runs):
    context, sides = multiprocessing.get_context("spawn"), {}
    for side in pair:
        pipe, end = context.Pipe()
        process = context.Process(target=serve, args=(end, folder, side, ids), daemon=True)
        process.start()
        sides[side] = (process, pipe, pipe.recv())
    found = {side: [] for side in pair}
    for _ in range(runs):
        for side, (_, pipe, _) in sides.items():
            pipe.send(True)
            found[side].append(pipe.recv())
    for process, pipe, _ in sides.values():
        pipe.send(False)
        process.join()
    ratios = {what: [b[i] / a[i] for a, b in zip(*(found[side] for side in pair))] for i, what in ((0, "wall"), (1, "processor"))}
    for side in pair:
        seconds, busy = ([one[i] for one in found[side]] for i in (0, 1))
        print(
            f"  {side:9} {statistics.median(seconds):8.3f} s ({min(seconds):.3f} to {max(seconds):.3f}), processor "
            f"{statistics.median(busy):.3f} s, peak {found[side][-1][2]:,.0f} MB, loaded in {sides[side][2]:.1f} s"
        )
    told = ", ".join(f"{what} {statistics.median(each):.2f} x ({min(each):.2f} to {max(each):.2f})" for what, each in ratios.items())
    memory = found[pair[0]][-1][2] / found[pair[1]][-1][2]
    print(f"  {pair[0]} is faster than {pair[1]} by {told}; its memory is {memory:.2f} x", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="large")
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--pairs", nargs="+", default=["int8:torch", "bfloat16:torch"], help=f"two of {', '.join(SIDES)} each")
    parser.add_argument("--folder", help="where the weights are kept (default: a temporary one)")
    given = parser.parse_args()
    pairs = [tuple(pair.split(":")) for pair in given.pairs]
    if any(len(pair) != 2 or not set(pair) <= set(SIDES) for pair in pairs):
        parser.error(f"--pairs: two of {', '.join(SIDES)} each, as int8:torch")
    with tempfile.TemporaryDirectory() as temporary:
        folder, config = Path(given.folder or temporary), config_of(given.shape)
        prepare(folder, config, {side for pair in pairs for side in pair})
        packed = sum(path.stat().st_size for path in (folder / "int8").glob("*.t0packed")) / 1e6
        print(f"{given.shape}, {config.parameters:,} weights, {given.tokens} tokens, packed {packed:,.0f} MB; {sidebyside.machine()}")
        ids = np.random.default_rng(1).integers(3, 32000, given.tokens).tolist()
        for pair in pairs:
            compare(folder, pair, ids, given.runs)


def prepare(folder, config, sides):
    if not (folder / "model").exists():
        write(folder / "model", config)
    if "int8" in sides and not (folder / "int8").exists():
        subprocess.run([sys.executable, "-m", "t0native", "convert", folder / "model", folder / "int8", "--dtype", "int8"], check=True)
    if "onnx" in sides and not (folder / "onnx").exists():
        process = multiprocessing.get_context("spawn").Process(target=export, args=(folder,))
        process.start()
        process.join()


if __name__ == "__main__":
    main()
