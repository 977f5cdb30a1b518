"""Adapter folders that are broken, hostile or of a method that is not computed: each is refused with the error that docs/reference/adapters.md has,
and none executes anything or takes long."""

import json
import struct
import time

import adapter_folders as made
import numpy as np
import pytest
from checkpoint_files import save_torch, write_torch

import t0native as t0

C, F, N = t0.ConfigError, t0.FormatError, t0.NumericError
CONFIG = made.small_model().config
Q = "base_model.model.encoder.block.0.layer.0.SelfAttention.q.lora_A.weight"


def keys(**changes):
    """A LoRA whose configuration is changed."""
    return lambda folder: made.write(folder, *made.lora(CONFIG, **changes))


def tensors(change, about=made.lora):
    """An adapter whose tensors are changed."""

    def make(folder):
        own, values = about(CONFIG)
        made.write(folder, own, change(values))

    return make


def config_bytes(content):
    def make(folder):
        made.write(folder, *made.lora(CONFIG))
        (folder / "adapter_config.json").write_bytes(content)

    return make


def weight_bytes(change):
    def make(folder):
        made.write(folder, *made.lora(CONFIG))
        file = folder / "adapter_model.safetensors"
        file.write_bytes(change(file.read_bytes()))

    return make


def without(name):
    def make(folder):
        made.write(folder, *made.lora(CONFIG))
        (folder / name).unlink()

    return make


def pickled(program):
    """A folder whose weights are a file of torch with this program."""

    def make(folder):
        without("adapter_model.safetensors")(folder)
        write_torch(folder / "adapter_model.bin", program, {})

    return make


def tfew(values, name="adapter.pt"):
    return lambda folder: (folder.mkdir(), save_torch(folder / name, values), folder / name)[-1]


def shaped(rows, columns):
    return lambda values: values | {Q: np.ones((rows, columns), np.float32)}


def with_value(value):
    def change(values):
        values[Q][1, 2] = value
        return values

    return change


OS_SYSTEM = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00trueq\x00\x85R."
BAD = {
    "no configuration": (without("adapter_config.json"), FileNotFoundError, "no adapter_config.json here"),
    "no weights": (without("adapter_model.safetensors"), FileNotFoundError, "neither adapter_model.safetensors nor adapter_model.bin"),
    "configuration that is no JSON": (config_bytes(b"{"), F, "adapter_config.json: its JSON is broken"),
    "configuration that is a list": (config_bytes(b"[]"), F, "must be an object"),
    "configuration nested deep": (config_bytes(b'{"a":' * 200 + b"1" + b"}" * 200), F, "nested deeper than 100"),
    "configuration of megabytes": (config_bytes(b" " * (1 << 20) + b"{}"), F, "at most 1048576 are read"),
    "configuration with a name twice": (config_bytes(b'{"r": 1, "r": 2}'), F, "'r' stands twice"),
    "no method": (config_bytes(b"{}"), C, "peft_type None"),
    "another method": (keys(peft_type="LOHA"), C, "peft_type 'LOHA': not computed here"),
    "method that is no text": (keys(peft_type=[1]), C, "peft_type"),
    "DoRA": (keys(use_dora=True), C, "use_dora True: not computed here"),
    "QALoRA": (keys(use_qalora=True), C, "use_qalora"),
    "BD-LoRA": (keys(use_bdlora={"a": 1}), C, "use_bdlora"),
    "biases": (keys(bias="all"), C, "bias 'all': must be 'none'"),
    "biases of its own": (keys(lora_bias=True), C, "lora_bias"),
    "layers repeated": (keys(layer_replication=[[0, 2]]), C, "layer_replication"),
    "layers by number": (keys(layers_to_transform=[0]), C, "layers_to_transform"),
    "parameters": (keys(target_parameters=["a.b"]), C, "target_parameters"),
    "tokens": (keys(trainable_token_indices=[1]), C, "trainable_token_indices"),
    "saved modules": (keys(modules_to_save=["lm_head"]), C, "modules_to_save .*merge_and_unload"),
    "Megatron": (keys(megatron_config={"a": 1}), C, "megatron_config"),
    "activated LoRA": (keys(alora_invocation_tokens=[1]), C, "alora_invocation_tokens"),
    "EVA's configuration": (keys(eva_config={"rho": 2}), C, "eva_config"),
    "PiSSA, which changes the model": (keys(init_lora_weights="pissa"), C, "init_lora_weights 'pissa'"),
    "a key of the future": (keys(use_magic=True), C, "use_magic True: not known"),
    "rank that is text": (keys(r="8"), C, "r '8': must be a whole number"),
    "rank of a million": (keys(r=10**6), C, "r 1000000"),
    "alpha that is nothing": (keys(lora_alpha=0), C, "lora_alpha 0"),
    "targets that match nothing": (keys(target_modules=["query"]), C, "'query' is no layer of this model; there are: k, lm_head, o, q, v"),
    "an expression that matches nothing": (keys(target_modules=r".*\.query"), C, "means no layer of this model"),
    "no targets": (keys(target_modules=None), C, "no target_modules"),
    "targets beyond the tensors": (keys(target_modules=["q", "v", "wo"]), F, "wo: target_modules means it, but it has no tensor"),
    "tensors beyond the targets": (keys(target_modules=["q"]), F, "v: has a tensor here, but target_modules does not mean it"),
    "a pattern that takes for ever": (keys(alpha_pattern={"(e+)+n+c+o+d+e+r+": 2}), C, "must be a simple regular expression"),
    "a pattern that is broken": (keys(rank_pattern={"(": 2}), C, "must be a simple regular expression"),
    "another rank than the tensors": (keys(rank_pattern={"q": 2}), F, r"shape \[4, 32\], expected \[2, 32\]"),
    "tensor of another shape": (tensors(shaped(4, 31)), F, r"shape \[4, 31\], expected \[4, 32\]"),
    "half of a pair": (tensors(lambda v: {n: x for n, x in v.items() if n != Q}), C, "the other matrix of its layer is not there"),
    "unknown tensor": (tensors(lambda v: v | {"base_model.model.magic": np.ones((2, 2), np.float32)}), F, "unexpected"),
    "layer that is not there": (tensors(lambda v: v | {Q.replace("block.0", "block.7"): v[Q]}), F, "this model has no layer"),
    "table": (tensors(lambda v: v | {"base_model.model.shared.lora_embedding_A": np.ones((4, 90), np.float32)}), C, "LoRA of a table"),
    "other head": (tensors(lambda v: v | {"base_model.model.lm_head.base_layer.weight": np.ones((90, 32), np.float32)}), F, "is not the model's lm_head"),
    "not a number": (tensors(with_value(np.nan)), N, "element 34 is nan"),
    "infinity": (tensors(with_value(np.inf)), N, "element 34 is inf"),
    "factors in the wrong form": (tensors(lambda v: {n: x.T for n, x in v.items()}, made.ia3), F, "factors of what"),
    "LoRA's tensors in (IA)3": (lambda folder: made.write(folder, made.ia3(CONFIG)[0], made.lora(CONFIG)[1]), F, "of another method"),
    "prompts of another width": (tensors(lambda v: {"prompt_embeddings": np.ones((6, 31), np.float32)}, made.prompts), F, r"expected \[6, 32\]"),
    "prompts of another number": (tensors(lambda v: {"prompt_embeddings": np.ones((5, 32), np.float32)}, made.prompts), F, r"expected \[6, 32\]"),
    "no prompts": (lambda folder: made.write(folder, {**made.prompts(CONFIG)[0], "num_virtual_tokens": 0}, {}), C, "num_virtual_tokens 0"),
    "file cut off": (weight_bytes(lambda b: b[:-100]), F, "was it cut off"),
    "header of a lie": (weight_bytes(lambda b: struct.pack("<Q", 1 << 62) + b[8:]), F, "header of"),
    "shape of a lie": (weight_bytes(lambda b: b.replace(b'"shape": [4, 32]', b'"shape": [9, 32]', 1)), F, "bytes, but"),
    "nothing in it": (tensors(lambda v: {}), F, "has no tensor here"),
    "program in the place of weights": (pickled(OS_SYSTEM), F, "os.system|system"),
    "T-Few: program": (lambda folder: (folder.mkdir(), write_torch(folder / "a.pt", OS_SYSTEM, {}), folder / "a.pt")[-1], F, "system"),
    "T-Few: other tensors": (tfew({"encoder.block.0.layer.0.SelfAttention.k.weight": np.ones((32, 32), np.float32)}), F, "multi_lora_b alone"),
    "T-Few: other sizes": (tfew({"encoder.block.0.layer.0.SelfAttention.k.multi_lora_b": np.ones((31, 1), np.float32)}), F, r"expected \[32, 1\]"),
    "T-Few: other layers": (tfew({"encoder.block.9.layer.0.SelfAttention.k.multi_lora_b": np.ones((32, 1), np.float32)}), F, "no layer"),
    "a file of another kind": (tfew({"a": np.ones((2, 2), np.float32)}, "adapter.gguf"), C, "a file; name the folder"),
}  # fmt: skip


def test_there_are_more_than_forty():
    assert len(BAD) >= 40


@pytest.mark.parametrize("name", BAD)
def test_each_is_refused_with_what_is_wrong(tmp_path, name):
    make, error, message = BAD[name]
    place = make(tmp_path / "a")
    model, begin = made.small_model(), time.process_time()
    with pytest.raises(error, match=message):
        model.load_adapter(place if place is not None and place.is_file() else tmp_path / "a", "a")
    assert time.process_time() - begin < 2 and not model.adapters


def test_an_expression_that_is_not_simple_is_not_run(tmp_path):
    """The tensors say what it meant."""
    about, values = made.lora(CONFIG, target_modules="(.+)+\\.(q|v)(.*)*$")
    model = made.small_model()
    begin = time.process_time()
    model.load_adapter(made.write(tmp_path / "a", about, values), "a")
    assert time.process_time() - begin < 2 and len(model.adapters["a"].modules) == 12


def test_a_copy_of_the_models_head_is_taken_where_it_is_one(tmp_path):
    for dtype in ("float32", "bfloat16", "int8"):
        model, own = made.small_model(dtype=dtype), made.small_model()
        about, values = made.lora(CONFIG, ("lm_head", "q"))
        values["base_model.model.lm_head.base_layer.weight"] = own.core.tensor("lm_head.weight")
        model.load_adapter(made.write(tmp_path / dtype, about, values), "a")
        assert "lm_head" in model.adapters["a"].modules


def test_keys_that_say_nothing_are_kept(tmp_path):
    about, values = made.lora(CONFIG, use_dora=False, modules_to_save=None, loftq_config={}, use_magic=None, base_model_name_or_path="x")
    model = made.small_model()
    model.load_adapter(made.write(tmp_path / "a", about, values), "a")
    model.save_adapter(tmp_path / "b", "a")
    assert json.loads((tmp_path / "b" / "adapter_config.json").read_text()) == about
