"""The trainer of an adapter beside a frozen model, and what a run of one keeps.

weights       the model's are only read, flat or packed; a checkpoint's plan has their digest, and its folder the adapter alone
checkpoint    adapter_config.json, adapter_model.safetensors   as PEFT has them
              trainer.safetensors                              with the optimiser's state the adapter's numbers, float32 [n]"""

from __future__ import annotations

import numpy as np

from t0native import _core
from t0native.adapters.methods import LoRA
from t0native.adapters.peftfolder import add_adapter_files, write_folder
from t0native.base.errors import ConfigError
from t0native.checkpoints.sizes import weights_bytes
from t0native.training.trainer import Trainer

__all__ = ["AdapterOfRun", "AdapterTrainer", "adapter_bytes", "check_adapter_settings"]

PANELS = 384  # columns of packed weights that the way back holds as floats (csrc/nn/gemm.h)


def check_adapter_settings(settings, ranks):
    """ConfigError for what is not done beside an adapter."""
    if settings.freeze:
        raise ConfigError("freeze: beside adapter= the model's tensors are frozen, all of them")
    if settings.lots is not None or ranks.size > 1:
        raise ConfigError("adapter: is trained by one process, without lots; begin it without mpiexec, and leave lots= out")


def adapter_bytes(config, method, dtype, settings, beside):
    """{what for: bytes} of a run beside a model in this number type. beside: what sizes.training_bytes says of a whole training."""
    adapter, n_sets = method.make(config, 0), max(1, beside["gradients"] // (4 * config.parameters))
    moments = {"adamw": 2, "sgd": int((settings.optimizer_options or {}).get("momentum", 0.0) > 0)}.get(settings.optimizer, 1)
    widest = max(config.d_model, config.d_ff, config.num_heads * config.d_kv)
    rank = max((len(part.values) for part in adapter.parts if part.role == "lora_A"), default=0)
    scratch = 4 * beside["tokens"] * (2 * rank + 2 * widest) + 4 * n_sets * widest * PANELS
    return {
        "weights": weights_bytes(config, dtype),
        "gradients": 4 * n_sets * adapter.parameters,
        "optimiser states": 4 * moments * adapter.parameters,
        "activations": beside["activations"] + scratch,
    }


class AdapterTrainer(Trainer):
    """Of the adapter that `settings.adapter` makes; the model, whose weights stay, uses it from now on, under the name "default"."""

    def __init__(self, model, method, *, optimizer, clip_norm, dropout, seed, threads, options, freeze=None, **switches):
        rate = model.config.dropout_rate if dropout is None else dropout
        self.adapter = method.make(model.config, seed, model.core)
        model.adapters["default"], model.adapter = self.adapter, "default"
        fixed = {"optimizer": optimizer, "clip": clip_norm, "dropout": rate, "seed": seed, **switches}
        fixed |= {"threads": model.threads if threads is None else threads}
        fixed |= {"adapter_dropout": method.dropout} if isinstance(method, LoRA) else {}
        try:
            self._core = _core.Trainer(model.core, adapter=self.adapter.core, **fixed, **options)
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def weights(self):
        """None of the model's is trained."""
        return {}

    def writable_weights(self):
        return {}

    def numbers(self):
        """{"adapter": float32 [n]} for a checkpoint: the adapter's tensors, end to end."""
        core = self.adapter.core
        return {"adapter": np.concatenate([core.tensor(name).reshape(-1) for name, _ in core.tensors()])}

    def load_numbers(self, numbers):
        core, at = self.adapter.core, 0
        for name, (rows, columns) in core.tensors():
            core._writable(name)[...] = numbers["adapter"][at : at + rows * columns].reshape(rows, columns)
            at += rows * columns


class AdapterOfRun:
    """What a run of an adapter writes in the place of its model: a folder of PEFT."""

    def __init__(self, adapter):
        self.adapter = adapter

    def add_to(self, files):
        add_adapter_files(files, self.adapter)

    def save(self, folder):
        write_folder(folder, self.adapter)
