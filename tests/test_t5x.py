"""Checkpoints of T5X, and all loaders against each other: one model in every layout gives the same bits."""

import gzip
import json
import struct

import numpy as np
import pytest
from checkpoint_files import Ext, array_ext, in_pieces, pack, save_t5x, save_t5x_folder, save_torch, t5x_arrays, t5x_tree
from conftest import lacking, needed

import t0native as t0
from t0native.checkpoints.msgpackfiles import Array, read_msgpack

UNTIED = t0.Config(vocab_size=19, d_model=6, d_ff=10, num_layers=3, num_heads=2, d_kv=3, num_decoder_layers=2)
TIED = t0.Config(
    vocab_size=19, d_model=6, d_ff=10, num_layers=1, num_heads=3, d_kv=2, feed_forward_proj="relu", tie_word_embeddings=True,
    relative_attention_num_buckets=5, relative_attention_max_distance=7,
)  # fmt: skip
GIN = """
from __gin__ import dynamic_registration
DROPOUT_RATE = 0.05
# Parameters for network.T5Config:
network.T5Config.vocab_size = 19  # rounded
network.T5Config.dropout_rate = %DROPOUT_RATE
network.T5Config.mlp_activations = \\
    ('gelu', 'linear')
network.T5Config.logits_via_embedding = False
train.total_steps = 1000
"""


@pytest.fixture(params=[UNTIED, TIED], ids=["untied", "tied"])
def model(request):
    return t0.Model.init(request.param, seed=3)


def weights_of(model):
    return {name: model.core.tensor(name).copy() for name in model.config.tensors()}


def load(path, **options):
    return t0.Model.from_pretrained(path, **options)


def needed_of(config):
    return {name: getattr(config, name) for name in ("feed_forward_proj", "relative_attention_max_distance")}


def shards(folder, write, end, tensors):
    """Writes the tensors as three files NAME-0000i-of-00003.END with their index."""
    stem = {"safetensors": "model", "bin": "pytorch_model"}[end]
    weight_map = {name: f"{stem}-{i % 3 + 1:05}-of-00003.{end}" for i, name in enumerate(sorted(tensors))}
    for shard in set(weight_map.values()):
        write(folder / shard, {name: value for name, value in tensors.items() if weight_map[name] == shard})
    (folder / f"{stem}.{end}.index.json").write_text(json.dumps({"weight_map": weight_map}))


def in_every_layout(model, root):
    """{layout: path} of one model's weights."""
    save_file = needed("safetensors.numpy", "pip install '.[test]'").save_file

    tensors, about = weights_of(model), json.dumps(model.config.to_dict())
    places = {
        name: root / name
        for name in (
            "one safetensors",
            "safetensors",
            "one bin",
            "bin",
            "msgpack",
            "pieces",
            "zarr gzip",
            "zarr plain",
            "zarr placeholders",
        )
    }
    for name in ("one safetensors", "safetensors", "one bin", "bin", "msgpack", "pieces"):
        places[name].mkdir(parents=True)
        (places[name] / "config.json").write_text(about)
    save_file(tensors, places["one safetensors"] / "model.safetensors")
    shards(places["safetensors"], lambda path, part: save_file(part, path), "safetensors", tensors)
    save_torch(places["one bin"] / "pytorch_model.bin", tensors)
    shards(places["bin"], save_torch, "bin", tensors)
    save_t5x(places["msgpack"] / "checkpoint_7", tensors)
    pieces = {name: in_pieces(array, 7) for name, array in t5x_arrays(tensors).items()}
    (places["pieces"] / "mine.checkpoint_12").write_bytes(pack(t5x_tree(pieces)))
    save_t5x_folder(places["zarr gzip"] / "checkpoint_90", {name: value * 2 for name, value in tensors.items()})
    save_t5x_folder(places["zarr gzip"] / "checkpoint_100", tensors)
    save_t5x_folder(places["zarr plain"], tensors, grid=(100, 3), compressor=None)
    save_t5x_folder(places["zarr placeholders"], tensors, grid=(2, 100), compressor="zlib", placeholders=True, inside=lambda name: False)
    for name in ("zarr gzip", "zarr plain", "zarr placeholders"):
        (places[name] / "config.json").write_text(about)
    return places


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_loaders_agree_bit_for_bit(model, tmp_path, dtype):
    as_loaded = model.to(dtype)
    tensors = weights_of(as_loaded)
    inputs, choices = [[3, 4, 5, 6], [7]], [[[8], [9, 10]], [[11, 2], [4]]]
    expected = [ranking.scores for ranking in as_loaded.rank(inputs, choices)]
    for layout, path in in_every_layout(model, tmp_path).items():
        again = load(path, dtype=dtype)
        assert again.config == model.config and again.dtype == dtype, layout
        for name, value in tensors.items():
            assert np.array_equal(again.core.tensor(name).view(np.uint32), value.view(np.uint32)), (layout, name)
        assert all(np.array_equal(a, b.scores) for a, b in zip(expected, again.rank(inputs, choices))), layout


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(tmp_path, dtype):
    halves = {}
    for name, value in weights_of(t0.Model.init(UNTIED, seed=3)).items():
        halves[name] = value.astype(np.float16) if dtype == "float16" else (value.view(np.uint32) >> 16).astype(np.uint16)
    save_t5x(tmp_path / "one", halves)
    save_t5x_folder(tmp_path / "many", halves)
    for path in (tmp_path / "one", tmp_path / "many"):
        again = load(path, config=UNTIED)
        for name, value in halves.items():
            wide = value.astype(np.float32) if dtype == "float16" else (value.astype(np.uint32) << 16).view(np.float32)
            assert np.array_equal(again.core.tensor(name), wide), name


def test_strips_that_are_smaller_than_a_chunk(tmp_path, monkeypatch):
    """A chunk of many rows is gone through once for each strip of rows that memory allows."""
    from t0native.checkpoints import tensorfiles, zarrfiles

    monkeypatch.setattr(zarrfiles, "_STRIP", 100)
    monkeypatch.setattr(zarrfiles, "_PIECE", 30)
    monkeypatch.setattr(tensorfiles, "CHUNK", 60)
    monkeypatch.setattr(tensorfiles, "STRIP", 130)
    model = t0.Model.init(UNTIED, seed=3)
    for layout, path in in_every_layout(model, tmp_path).items():
        again = load(path)
        assert all(np.array_equal(again.core.tensor(name), value) for name, value in weights_of(model).items()), layout


# ---- configuration ----------------------------------------------------------------------------------------------------


def test_what_the_tensors_do_not_tell_must_be_given(model, tmp_path):
    save_t5x(tmp_path / "checkpoint_0", weights_of(model))
    with pytest.raises(
        t0.ConfigError,
        match="feed_forward_proj and relative_attention_max_distance; give .* config={'feed_forward_proj': '(gated-gelu|relu)', ",
    ):
        load(tmp_path)
    with pytest.raises(t0.ConfigError, match="do not tell relative_attention_max_distance; give"):
        load(tmp_path, config={"feed_forward_proj": "relu"})
    assert load(tmp_path, config=needed_of(model.config)).config == model.config
    assert load(tmp_path, config=model.config).config == model.config
    with pytest.raises(t0.FormatError, match=r"DenseReluDense.wi(_0)?.weight: missing"):
        other = {"relu": "gated-gelu", "gated-gelu": "relu"}[model.config.feed_forward_proj]
        load(tmp_path, config=needed_of(model.config) | {"feed_forward_proj": other})
    with pytest.raises(t0.ConfigError, match="no_such_key"):
        load(tmp_path, config=needed_of(model.config) | {"no_such_key": 1})
    with pytest.raises(t0.ConfigError, match="config 3: must be a Config, or a mapping"):
        load(tmp_path, config=3)


@pytest.mark.parametrize(
    "text", [GIN, "network.T5Config:\n  mlp_activations = ('gelu', 'linear')\n  dropout_rate = 0.05\n  emb_dim = 6\nOTHER = 1\n"]
)
def test_a_gin_file_tells_the_rest(tmp_path, text):
    save_t5x_folder(tmp_path / "checkpoint_5", weights_of(t0.Model.init(UNTIED)))
    (tmp_path / "config.gin").write_text(text)
    config = load(tmp_path).config
    assert config == t0.Config.from_dict(UNTIED.to_dict() | {"dropout_rate": 0.05})
    assert load(tmp_path / "checkpoint_5").config == config
    assert load(tmp_path, config={"relative_attention_max_distance": 20}).config.relative_attention_max_distance == 20


@pytest.mark.parametrize("activation, meant", [("silu", "gated-silu"), ("swish", "gated-silu"), ("relu", "gated-relu")])
def test_a_gin_file_tells_the_activation(tmp_path, activation, meant):
    save_t5x_folder(tmp_path / "checkpoint_5", weights_of(t0.Model.init(UNTIED)))
    (tmp_path / "config.gin").write_text(f"{GIN}network.T5Config.mlp_activations = ('{activation}', 'linear')\n")
    assert load(tmp_path).config.feed_forward_proj == meant


@pytest.mark.parametrize(
    "line, message",
    [
        ("network.T5Config.emb_dim = 7", "emb_dim = 7: the tensors have 6"),
        ("network.T5Config.mlp_activations = ('tanh', 'linear')", r"\('tanh', 'linear'\) are not supported; relu, gelu and silu are"),
        ("network.T5Config.mlp_activations = __import__('os').system('touch ran')", "None are not supported"),
        ("network.T5Config.logits_via_embedding = True", "logits_via_embedding = True, but decoder.logits_dense is here"),
        ("network.T5Config.max_distance = 3", "relative_attention_max_distance 3: must be above 16"),
    ],
)
def test_a_gin_file_may_not_contradict(tmp_path, line, message):
    save_t5x(tmp_path / "checkpoint_5", weights_of(t0.Model.init(UNTIED)))
    (tmp_path / "config.gin").write_text(f"{GIN}{line}\n")
    with pytest.raises((t0.FormatError, t0.ConfigError), match=message):
        load(tmp_path)


def test_the_public_tiny_checkpoint(public_data):
    path = public_data / "data/t5x-tiny-checkpoint/test_t5_tiny.checkpoint_0"
    if not path.is_file():
        lacking(f"{path} is not there; docs/test-data.md names its source")
    model = load(path, config={"feed_forward_proj": "gated-gelu", "relative_attention_max_distance": 128})
    c = model.config
    shape = (c.vocab_size, c.d_model, c.d_ff, c.num_heads, c.d_kv, c.num_layers, c.num_decoder_layers, c.tie_word_embeddings)
    assert shape == (32128, 8, 16, 4, 3, 2, 2, False)
    content = path.read_bytes()  # where each tensor's bytes are found must be in the order of T5X's names, by which the file is sorted
    arrays = {name: array for name, array in t5x_arrays(weights_of(model)).items() if array.ndim == 2}
    places = [content.index(arrays[name].tobytes()) for name in sorted(arrays, key=lambda name: name.split("."))]
    assert len(places) == 2 * 4 + 2 * 4 + 2 * 4 + 4 * 3 + 4 and places == sorted(places)
    assert np.isfinite(model.logits([5, 6, 7, 1], [0, 4])).all()


# ---- broken files -----------------------------------------------------------------------------------------------------

A = np.arange(6, dtype=np.float32).reshape(2, 3)
BAD_MSGPACK = {
    "empty": (b"", "1 bytes are announced, 0 are left"),
    "bytes behind": (pack({"a": A}) + b"\xc0", "1 bytes behind the value"),
    "an unused byte": (b"\xc1", "byte 0xc1 begins no value"),
    "a huge text": (b"\xdb\xff\xff\xff\xff", "a text of 4294967295 bytes"),
    "a text cut off": (b"\xda\x0f\x00a", "3840 bytes are announced, 1 are left"),
    "a text not UTF-8": (b"\xa1\xff", "not UTF-8"),
    "a huge list": (b"\xdd\xff\xff\xff\xff" + b"\xc0" * 50, "are left"),
    "a huge mapping": (b"\xdf\xff\xff\xff\xff" + pack("a"), "are left"),
    "a number as key": (b"\x81\x01\x02", "a key that is no text"),
    "a mapping as key": (b"\x81\x80\x02", "a key that is no text"),
    "a key twice": (b"\x82\xa1a\x01\xa1a\x02", "key 'a' stands twice"),
    "deep": (b"\x91" * 100_000, "nested deeper than 32"),
    "loose bytes": (pack(b"abc"), "bytes that belong to no array"),
    "a foreign extension": (b"\xd4\x07\x00", "extension type 7"),
    "an extension cut off": (b"\xc9\xff\xff\xff\xff\x01", "4294967295 bytes are announced"),
    "an array of two": (pack(Ext(b"\x92\x90\xc0")), "a list of shape, dtype and bytes"),
    "an array longer than its place": (pack(Ext(array_ext((6,), "float32", A.tobytes())[:-1])) + b"\0", "takes 24 bytes, found bytes of 24, and 23 are left"),
    "an array shorter than its place": (pack(Ext(array_ext((6,), "float32", A.tobytes()) + b"\0")), "does not fill its place"),
    "a lying shape": (pack(array_ext((7,), "float32", A.tobytes())), r"float32 \[7\] takes 28 bytes, found bytes of 24"),
    "a huge shape": (pack(array_ext((1 << 62, 1 << 62), "float32", A.tobytes())), r"of at most 8 numbers, none negative, of fewer than 2\*\*63 bytes"),
    "a negative shape": (pack(array_ext((-6,), "float32", A.tobytes())), "none negative"),
    "a shape of texts": (pack(array_ext(("6",), "float32", A.tobytes())), "none negative"),
    "nine dimensions": (pack(array_ext((1,) * 9, "float32", bytes(4))), "a shape must be"),
    "an object array": (pack(array_ext((6,), "object", A.tobytes())), "dtype object is unknown"),
    "a dtype that is a list": (pack(Ext(b"\x93\x90\x90\xc4\x00")), "dtype list is unknown"),
    "bytes that are a text": (pack(Ext(b"\x93" + pack([6]) + pack("float32") + pack("x" * 24))), "found text of 24"),
    "pieces of two dtypes": (pack(in_pieces(A, 3) | {"chunks": {"0": A, "1": A.astype(np.float16)}}), "pieces of one dtype"),
    "pieces missing": (pack(in_pieces(A, 3) | {"chunks": {"0": A[0]}}), "do not make its shape"),
    "no pieces": (pack(in_pieces(A, 3) | {"chunks": {}}), "pieces of one dtype"),
    "pieces in no order": (pack(in_pieces(A, 3) | {"chunks": {"1": A, "2": A}}), "pieces of one dtype"),
    "pieces without a shape": (pack({"__msgpack_chunked_array__": True}), "a shape must be"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_MSGPACK)
def test_broken_msgpack(tmp_path, name):
    content, message = BAD_MSGPACK[name]
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(t0.FormatError, match=message):
        read_msgpack(tmp_path / "x")


def test_every_truncation_is_an_error(tmp_path):
    content, path = pack(t5x_tree(t5x_arrays(weights_of(t0.Model.init(TIED))))), tmp_path / "x"
    for size in [*range(0, 300), *range(300, len(content), 61)]:
        path.write_bytes(content[:size])
        with pytest.raises(t0.FormatError):
            read_msgpack(path)


def test_short_forms_are_read(tmp_path):
    small = b"\x8b" + b"".join(
        b"\xa1" + bytes([97 + i]) + value
        for i, value in enumerate(
            [
                b"\x07",
                b"\xff",
                b"\xcc\xff",
                b"\xcd\1\0",
                b"\xd0\x80",
                b"\xca\x3f\x80\0\0",
                b"\x91\xc0",
                b"\xc2",
                b"\xd9\x01x",
                b"\xd8\x02" + bytes(16),
                b"\xdc\0\0",
            ]
        )
    )
    (tmp_path / "x").write_bytes(small)
    assert list(read_msgpack(tmp_path / "x").values()) == [7, -1, 255, 256, -128, 1.0, [None], False, "x", None, []]
    (tmp_path / "x").write_bytes(pack(A))
    assert read_msgpack(tmp_path / "x") == Array("F32", (2, 3), (((tmp_path / "x").stat().st_size - 24, 24),))


def changed_tree(change):
    leaves = t5x_arrays(weights_of(t0.Model.init(UNTIED)))
    tree = t5x_tree(leaves)
    return change(tree) or tree


def drop(tree, *keys):
    *path, last = keys
    for key in path:
        tree = tree[key]
    del tree[last]


def put(tree, value, *keys):
    *path, last = keys
    for key in path:
        tree = tree.setdefault(key, {})
    tree[last] = value


LAYER = ("optimizer", "target", "encoder", "layers_0")
BAD_TREES = {
    "no optimizer": (lambda tree: {"version": 3}, "no optimizer.target"),
    "no target": (lambda tree: drop(tree, "optimizer", "target"), "no optimizer.target"),
    "a list": (lambda tree: [1, 2], "no optimizer.target"),
    "a missing kernel": (lambda tree: drop(tree, *LAYER, "attention", "query", "kernel"), "SelfAttention.q.weight: missing"),
    "a missing embedding": (lambda tree: drop(tree, "optimizer", "target", "token_embedder"), "shared.weight: missing"),
    "another tensor": (lambda tree: put(tree, A, *LAYER, "attention", "query", "bias"), r"encoder.layers_0.attention.query.bias: unexpected"),
    "a number as tensor": (lambda tree: put(tree, 3, *LAYER, "attention", "query", "kernel"), "neither an array nor the place of one"),
    "three dimensions": (lambda tree: put(tree, np.zeros((6, 2, 3), np.float32), *LAYER, "attention", "key", "kernel"), r"expected shape \[6, 6\], found \[6, 2, 3\]"),
    "scanned layers": (lambda tree: put(tree, np.zeros((6, 3, 6), np.float32), "optimizer", "target", "encoder", "encoder", "mlp", "wi", "kernel"), "encoder.encoder.mlp.wi.kernel: unexpected"),
    "integers": (lambda tree: put(tree, np.zeros((6, 6), np.int32), *LAYER, "attention", "key", "kernel"), "expected F32, F16, BF16 or F64, found I32"),
    "not finite": (lambda tree: put(tree, np.full((6, 6), np.nan, np.float32), *LAYER, "attention", "key", "kernel"), "SelfAttention.k.weight, element 0 is nan"),
    "a place elsewhere": (lambda tree: put(tree, "PLACEHOLDER://../../etc", *LAYER, "attention", "key", "kernel"), r"its place is '\.\./\.\./etc', expected 'target.encoder"),
    "a place that is empty": (lambda tree: put(tree, "PLACEHOLDER://target.encoder.layers_0.attention.key.kernel", *LAYER, "attention", "key", "kernel"), "with its .zarray is not here"),
    "another driver": (lambda tree: put(tree, {"driver": "n5", "kvstore": {}}, *LAYER, "attention", "key", "kernel"), "neither an array nor the place of one"),
    "a place that is a number": (lambda tree: put(tree, {"driver": "zarr", "kvstore": 5}, *LAYER, "attention", "key", "kernel"), "neither an array nor the place of one"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_TREES)
def test_broken_trees(tmp_path, name):
    change, message = BAD_TREES[name]
    (tmp_path / "checkpoint_0").write_bytes(pack(changed_tree(change)))
    with pytest.raises((t0.FormatError, t0.NumericError), match=message):
        load(tmp_path, config=UNTIED)


def test_a_head_for_each_key_or_none_of_the_shapes(tmp_path):
    """The sizes that are derived must be sizes: five columns of queries cannot serve two heads."""
    tree = changed_tree(lambda tree: put(tree, np.zeros((6, 5), np.float32), *LAYER, "attention", "query", "kernel"))
    (tmp_path / "checkpoint_0").write_bytes(pack(tree))
    with pytest.raises(t0.FormatError, match="queries of 5 columns for 2 heads"):
        load(tmp_path, config=needed_of(UNTIED))


def test_files_of_other_kinds(tmp_path):
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "model.ckpt-1000000"\n')
    with pytest.raises(t0.FormatError, match="a checkpoint of TensorFlow"):
        load(tmp_path, config=UNTIED)
    t0.Model.init(UNTIED).save(tmp_path / "hub")
    with pytest.raises(NotADirectoryError, match="name the folder that holds it"):
        load(tmp_path / "hub/model.safetensors")


KERNEL = "target.encoder.layers_0.attention.key.kernel"


def rewritten(**changes):
    return lambda folder: (folder / ".zarray").write_text(json.dumps(json.loads((folder / ".zarray").read_text()) | changes))


def content(name, change):
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes()))


BAD_ZARR = {
    "no description": (lambda folder: (folder / ".zarray").unlink(), "with its .zarray is not here"),
    "not JSON": (lambda folder: (folder / ".zarray").write_text("{"), "JSON is broken"),
    "a list": (lambda folder: (folder / ".zarray").write_text("[]"), "shape and chunks must be"),
    "another version": (rewritten(zarr_format=3), "zarr_format 3: only 2"),
    "columns first": (rewritten(order="F"), "order 'F': only 'C'"),
    "filters": (rewritten(filters=[{"id": "delta"}]), "filters .*: only None"),
    "blosc": (rewritten(compressor={"id": "blosc"}), "compressor 'blosc': only gzip, zlib and none"),
    "a compressor that is a list": (rewritten(compressor=[1]), r"compressor \[1\]"),
    "a big-endian dtype": (rewritten(dtype=">f4"), "dtype '>f4': must be one of"),
    "a structured dtype": (rewritten(dtype=[["a", "<f4"]]), "dtype .*: must be one of"),
    "no shape": (rewritten(shape=None), "shape and chunks must be"),
    "a negative shape": (rewritten(shape=[-6, 6]), "shape and chunks must be"),
    "chunks of nothing": (rewritten(chunks=[0, 6]), "shape and chunks must be"),
    "chunks larger than the array": (rewritten(chunks=[1 << 40, 6]), "none may be larger"),
    "a huge shape": (rewritten(shape=[1 << 40, 1 << 40]), "shape and chunks must be lists"),
    "many chunks": (rewritten(shape=[1 << 40, 1 << 10]), "more than 1000000 chunks"),
    "another shape": (rewritten(shape=[6, 5]), r"expected shape \[6, 6\], found \[5, 6\]"),
    "another separator": (rewritten(dimension_separator="../"), "dimension_separator"),
    "a chunk is missing": (lambda folder: (folder / "1.0").unlink(), r"its chunk 1\.0 is not there"),
    "a chunk cut off": (content("0.1", lambda data: data[:20]), r"its chunk 0\.1 ends"),
    "a chunk without its check": (content("0.1", lambda data: data[:-6]), r"its chunk 0\.1 is longer than its shape says, or was cut off"),
    "a changed check": (content("0.1", lambda data: data[:-5] + b"\1" + data[-4:]), r"its chunk 0\.1 is not what its compressor writes"),
    "not compressed": (content("0.1", lambda data: bytes(80)), r"its chunk 0\.1 is not what its compressor writes"),
    "bytes behind": (content("0.1", lambda data: data + b"more"), r"its chunk 0\.1 is longer"),
    "a bomb": (content("0.1", lambda data: gzip.compress(bytes(1 << 24))), r"its chunk 0\.1 is longer"),
    "a short chunk": (content("0.1", lambda data: gzip.compress(bytes(40))), r"its chunk 0\.1 ends 40 bytes too early"),
    "not finite": (content("0.0", lambda data: gzip.compress(struct.pack("<20f", *[0, 0, np.inf] + [0] * 17))), "SelfAttention.k.weight, element 12 is inf"),
    "a folder that nothing names": (lambda folder: folder.with_name("target.encoder.extra").mkdir(), "folder target.encoder.extra: checkpoint does not name it"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_ZARR)
def test_broken_zarr(tmp_path, name):
    change, message = BAD_ZARR[name]
    save_t5x_folder(tmp_path / "m", weights_of(t0.Model.init(UNTIED)))
    change(tmp_path / "m" / KERNEL)
    with pytest.raises((t0.FormatError, t0.NumericError), match=message):
        load(tmp_path / "m", config=UNTIED)


def test_no_layout_is_held_in_memory(tmp_path, monkeypatch):
    """What loading takes beside the model is a few chunks, whatever the size of the checkpoint."""
    import tracemalloc

    from t0native.checkpoints import tensorfiles, zarrfiles
    from t0native.checkpoints.checkpoint import open_checkpoint

    monkeypatch.setattr(tensorfiles, "CHUNK", 1 << 16)
    monkeypatch.setattr(tensorfiles, "STRIP", 1 << 17)
    monkeypatch.setattr(zarrfiles, "_STRIP", 1 << 17)
    monkeypatch.setattr(zarrfiles, "_PIECE", 1 << 16)
    config = t0.Config(vocab_size=4000, d_model=64, d_ff=256, num_layers=1, num_heads=2, d_kv=32)
    model = t0.Model.init(config, seed=3)
    tensors = weights_of(model)
    save_t5x(tmp_path / "one", tensors)
    save_t5x_folder(tmp_path / "many", tensors, grid=(2000, 64))
    (tmp_path / "bin").mkdir()
    save_torch(tmp_path / "bin/pytorch_model.bin", tensors)
    model.save(tmp_path / "safetensors")
    for name in ("one", "many", "bin", "safetensors"):
        again = t0.Model.init(config, seed=4)
        tracemalloc.start()
        open_checkpoint(tmp_path / name, config).load(again.core)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert 2 * peak < 4 * model.parameters, (name, peak)  # half of the weights' bytes
        assert all(np.array_equal(again.core.tensor(name), value) for name, value in tensors.items()), name
