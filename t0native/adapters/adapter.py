"""An adapter as it is in memory, whatever file it came from: its method, its configuration under PEFT's keys, its tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from t0native import _core
from t0native.adapters.sites import Site
from t0native.base.errors import ConfigError

if TYPE_CHECKING:  # of annotations alone
    import numpy as np
    from numpy.typing import NDArray

    from t0native.checkpoints.config import Config

__all__ = ["METHODS", "PROMPTS", "Adapter", "Part", "name_of"]

METHODS = {"LORA": "LoRA", "IA3": "(IA)3", "PROMPT_TUNING": "prompt tuning"}  # PEFT's peft_type: what people call it
PROMPTS = "prompt_embeddings"
_ENDS = {"lora_A": "lora_A.weight", "lora_B": "lora_B.weight", "in": "ia3_l", "out": "ia3_l"}


class Part(NamedTuple):
    """A tensor of an adapter.  site: its layer, None for prompts.  role: lora_A [r, in], lora_B [out, r], in [1, in], out [1, out], or
    prompt [n, D].  scale: of LoRA, told with A."""

    site: Site | None
    role: str
    values: NDArray[np.float32]
    scale: float = 1.0


def name_of(part: Part) -> str:
    """PEFT's name of the tensor, without what stands before all of them."""
    return PROMPTS if part.site is None else f"{part.site.module}.{_ENDS[part.role]}"


@dataclass(eq=False)
class Adapter:
    """An adapter for models of one shape; Model.load_adapter makes one of files, `train` of numbers.

    method: "LORA", "IA3" or "PROMPT_TUNING".  keys: its adapter_config.json.  core: its tensors, which a training changes in place.
    parts: a Part each, of which `values` are views of the core's.  config: of the models that it fits.  source: where it came from.
    unused: rows of prompts that are written back, and that PEFT computes nothing of.
    """

    method: str
    keys: dict[str, Any]
    parts: tuple[Part, ...]
    core: _core.Adapter
    config: Config
    source: str = ""
    unused: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, config: Config, method: str, keys: dict[str, Any], parts: list[Part], source: str = "", unused: Any = None) -> Adapter:
        """Takes the values of the parts into a core of its own. ConfigError where they do not fit a model of this configuration."""
        try:
            core = _core.Adapter(config.core(), [_spec(part) for part in parts])
        except ValueError as error:
            raise ConfigError(f"{source}: {error}" if source else str(error)) from None
        views = []
        for part in parts:
            view = core._writable(name_of(part) + _MARKS.get(part.role, ""))
            view[...] = part.values
            views.append(part._replace(values=core.tensor(name_of(part) + _MARKS.get(part.role, ""))))
        return cls(method, keys, tuple(views), core, config, source, unused)

    def __reduce__(self) -> Any:
        """For pickle: its numbers."""
        parts = [part._replace(values=part.values.copy()) for part in self.parts]
        return Adapter.of, (self.config, self.method, self.keys, parts, self.source, self.unused)

    @property
    def parameters(self) -> int:
        """Number of its weights."""
        return self.core.parameters

    @property
    def modules(self) -> list[str]:
        """Names of the layers that it changes."""
        return [*dict.fromkeys(part.site.module for part in self.parts if part.site is not None)]

    def __repr__(self) -> str:
        where = f"{len(self.modules)} layers" if self.modules else f"{len(self.parts[0].values)} rows"
        return f"<Adapter {METHODS[self.method]} of {where}, {self.parameters:,} weights{f', from {self.source}' if self.source else ''}>"


_MARKS = {"in": ".in", "out": ".out"}  # T-Few's layers may have both


def _spec(part):
    rows, columns = part.values.shape
    name = name_of(part) + _MARKS.get(part.role, "")
    if part.site is None:
        return name, False, 0, "prompts", "prompt", rows, columns, 1.0
    return name, part.site.decoder, part.site.block, part.site.part, part.role, rows, columns, part.scale
