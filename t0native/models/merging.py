"""An adapter put into a model's weights for good.

    W' = W + s B A   (LoRA)        W' = diag(out) W diag(in)   ((IA)3)

in float64 from the weights as the model holds them, rounded once to float32, then to the number type that is asked for; int8 is packed
anew, a scale a row. Weights of no layer of the adapter keep their bits, but for int8's: those of another number type are converted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from t0native.adapters.sites import HEAD
from t0native.base.errors import ConfigError

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from t0native import _core
    from t0native.adapters.adapter import Adapter
    from t0native.checkpoints.config import Config

__all__ = ["check_merging", "merged_tensors"]


def check_merging(adapter: Adapter, config: Config) -> None:
    """ConfigError for an adapter that no weights of such a model have the form of."""
    if adapter.method == "PROMPT_TUNING":
        raise ConfigError("merge: prompts are rows before the inputs, which no weights can be; load the model with the adapter")
    if config.tie_word_embeddings and HEAD in adapter.modules:
        raise ConfigError(
            "merge: the adapter changes the head, which in this model is the embedding, that it does not change; load the model with it"
        )


def merged_tensors(core: _core.Model, adapter: Adapter) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """(name, new values [rows, columns]) of each weight that the adapter changes."""
    for module in adapter.modules:
        own = {part.role: part for part in adapter.parts if part.site is not None and part.site.module == module}
        weight = core.tensor(f"{module}.weight").astype(np.float64)
        if "lora_A" in own:
            a, b = (own[role].values.astype(np.float64) for role in ("lora_A", "lora_B"))
            weight += own["lora_A"].scale * (b @ a)
        if "in" in own:
            weight *= own["in"].values
        if "out" in own:
            weight *= own["out"].values.reshape(-1, 1)
        yield f"{module}.weight", weight.astype(np.float32)
