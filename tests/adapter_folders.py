"""Adapters in PEFT's files made of random numbers, written by hand, and the weights that they make of a model's."""

import json
import re
import struct

import numpy as np
from numpy_t5 import NumpyT5

import t0native as t0
from t0native.adapters.sites import sites_of

PREFIX = "base_model.model."
SHAPE = {"vocab_size": 90, "d_model": 32, "d_kv": 8, "d_ff": 44, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
KINDS = {
    "v1.1": {"tie_word_embeddings": False},
    "v1.0": {"feed_forward_proj": "relu", "tie_word_embeddings": True},
    "umT5": {"tie_word_embeddings": False, "relative_attention_every_layer": True},
}


def small_model(kind="v1.1", dtype="float32", seed=0, **more):
    return t0.Model.init(t0.Config(**{**SHAPE, **KINDS[kind], **more}), seed=seed, dtype=dtype)


def modules_of(config, *ends):
    """Names of the layers with these last names; none given: all but the head."""
    return [name for name in sites_of(config) if (name.rsplit(".", 1)[-1] in ends if ends else name != "lm_head")]


def safetensors(tensors):
    """The bytes of a file of {name: float32 array}."""
    header, at = {}, 0
    for name, values in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(values.astype("<f4").tobytes() for values in tensors.values())


def write(folder, keys, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps(keys))
    (folder / "adapter_model.safetensors").write_bytes(safetensors(tensors))
    return folder


def lora(config, targets=("q", "v"), rank=4, seed=0, size=0.2, **keys):
    """(keys, tensors) of a LoRA with lora_alpha 8."""
    random, tensors = np.random.default_rng(seed), {}
    for module in modules_of(config, *targets):
        site = sites_of(config)[module]
        tensors[f"{PREFIX}{module}.lora_A.weight"] = random.normal(0, size, (rank, site.columns)).astype(np.float32)
        tensors[f"{PREFIX}{module}.lora_B.weight"] = random.normal(0, size, (site.rows, rank)).astype(np.float32)
    about = {"peft_type": "LORA", "task_type": "SEQ_2_SEQ_LM", "r": rank, "lora_alpha": 8, "target_modules": list(targets)}
    return about | keys, tensors


def ia3(config, targets=("k", "v", "wo"), feedforward=("wo",), seed=0):
    """(keys, tensors) of an (IA)3."""
    random, tensors = np.random.default_rng(seed), {}
    for module in modules_of(config, *targets):
        site = sites_of(config)[module]
        shape = (1, site.columns) if module.endswith(tuple(feedforward)) else (site.rows, 1)
        tensors[f"{PREFIX}{module}.ia3_l"] = random.normal(1, 0.3, shape).astype(np.float32)
    keys = {"peft_type": "IA3", "task_type": "SEQ_2_SEQ_LM", "target_modules": list(targets), "feedforward_modules": list(feedforward)}
    return keys, tensors


def prompts(config, n=3, submodules=2, seed=0):
    values = np.random.default_rng(seed).normal(0, 1, (n * submodules, config.d_model)).astype(np.float32)
    keys = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM", "num_virtual_tokens": n, "num_transformer_submodules": submodules}
    return keys, {"prompt_embeddings": values}


def changed_weights(model, tensors, scale):
    """{tensor name: float64 values} of the model's weights with the adapter in them: W + s B A, or diag(out) W diag(in)."""
    weights = {}
    for name, values in tensors.items():
        module, role = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.(lora_A|lora_B|ia3_l)(?:\.weight)?", name).groups()
        weight = f"{module}.weight"
        own = weights.get(weight, model.core.tensor(weight).astype(np.float64))
        if role == "lora_B":
            own = own + scale * values.astype(np.float64) @ tensors[name.replace("lora_B", "lora_A")].astype(np.float64)
        elif role == "ia3_l":
            own = own * values.astype(np.float64)
        weights[weight] = own
    return weights


def with_weights(model, weights):
    """A float32 model with other values in some of its tensors."""
    other = model.to("float32")
    for name, values in weights.items():
        other.core.put(name, 0, values.astype(np.float32))
    return other


class AdaptedT5(NumpyT5):
    """numpy_t5 with an adapter applied to numbers that are not rounded, beside products that are. by_module: {module: its tensors}."""

    def __init__(self, *about, tensors, scale, **more):
        super().__init__(*about, **more)
        self.scale, self.by_module = scale, {}
        for name, values in tensors.items():
            module, role = re.fullmatch(rf"{re.escape(PREFIX)}(.+)\.(lora_A|lora_B|ia3_l)(?:\.weight)?", name).groups()
            self.by_module.setdefault(module, {})[role] = values.astype(np.float64)

    def linear(self, x, name):
        own = self.by_module.get(name, {})
        factors = own.get("ia3_l", np.ones(1))
        if factors.shape[0] == 1 and factors.size > 1:
            return super().linear(x * factors, name)
        y = super().linear(x, name)
        if "lora_A" in own:
            y = y + self.scale * (x @ own["lora_A"].T) @ own["lora_B"].T
        return y * factors.reshape(-1) if factors.size > 1 else y
