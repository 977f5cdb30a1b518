"""A model's adapters: loaded under names, chosen for a call or for each of its inputs.

    model.load_adapter("lora-folder", "a")
    model.rank(texts, choices, adapter="a")              all inputs through it
    model.rank(texts, choices, adapter=["a", None, "b"]) one for each input; None: the model alone
    model.adapter = "a"                                  what calls use that do not say

The model's own weights stay as they are, and so do the bits of every row that has no adapter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t0native.adapters.adapter import Adapter
from t0native.adapters.peftfolder import CONFIG, read_folder, write_folder
from t0native.adapters.tfewfile import read_tfew
from t0native.base.arguments import FOLDER, TEXT, check
from t0native.base.errors import ConfigError, suggest
from t0native.base.showing import shown
from t0native.models.merging import check_merging, merged_tensors
from t0native.text.sequences import as_list

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Callable
    from typing import Literal, Self

    from t0native import _core
    from t0native.base.annotations import PathName
    from t0native.checkpoints.config import Config

__all__ = ["ACTIVE", "Adapting"]

_FILES = (".pt", ".bin", ".pth")  # of T-Few


class _Active:
    """The value of `adapter` of calls that do not say: as model.adapter has it."""

    def __repr__(self) -> str:
        return "model.adapter"


ACTIVE: Any = _Active()


class Adapting:
    """What a Model does with adapters.

    adapters: {name: Adapter}; `del model.adapters[name]` lets one go.  adapter: the name of the one that calls use which do not say, or
    None.
    """

    adapters: dict[str, Adapter]
    adapter: str | None = None
    config: Config
    core: _core.Model
    dtype: Literal["float32", "bfloat16", "int8"]
    to: Callable[..., Self]

    def load_adapter(self, folder: PathName, name: str = "default") -> Adapter:
        """Reads an adapter and keeps it under a name, in the place of one that had it; the model's weights are not touched.

        folder: of PEFT (adapter_config.json with adapter_model.safetensors or .bin): LoRA, (IA)3 or prompt tuning; or a file of T-Few's
        (IA)3 (.pt, .bin). FormatError for a broken one, ConfigError for what does not fit this model or is not computed, NumericError
        for a number that is not finite; the message names the key or tensor.  docs/reference/adapters.md.

        >>> t0.Model.mini().load_adapter("no-such-folder")
        Traceback (most recent call last):
        FileNotFoundError: no-such-folder: no such folder or file; an adapter is a folder of PEFT, or a .pt or .bin file of T-Few
        """
        check(TEXT, "name", name)
        path = Path(check(FOLDER, "folder", folder))
        if path.is_file() and path.suffix in _FILES:
            adapter = read_tfew(path, self.config)
        elif path.is_file() and path.name != CONFIG:
            raise ConfigError(f"{path}: a file; name the folder of PEFT that holds it, or a {', '.join(_FILES)} file of T-Few")
        elif not path.exists():
            what = "an adapter is a folder of PEFT, or a .pt or .bin file of T-Few"
            raise FileNotFoundError(f"{path}: no such folder or file; {what}")
        else:
            adapter = read_folder(path.parent if path.is_file() else path, self.config, self.core)
        self.adapters[name] = adapter
        return adapter

    def save_adapter(self, folder: PathName, name: str | None = None) -> None:
        """Writes an adapter as a folder of PEFT. name: None for the one in use. OSError where it cannot be written.

        >>> t0.Model.mini().save_adapter("folder")
        Traceback (most recent call last):
        t0native.ConfigError: save_adapter: the model uses no adapter; give the name of one
        """
        name = self.adapter if name is None else name
        if name is None:
            raise ConfigError("save_adapter: the model uses no adapter; give the name of one")
        write_folder(os.fspath(check(FOLDER, "folder", folder)), self._named(name))

    def merge_adapter(self, name: str | None = None, dtype: Literal["float32", "bfloat16", "int8"] | None = None) -> Self:
        """A copy of the model with the adapter in its weights: a plain one, that other libraries load once it is saved.

        name: None for the one in use.  dtype: None for the model's own; int8 is packed anew, with more error than the int8 model with the
        adapter beside it: of int8 the merged model is not the same function.  ConfigError for prompts, which are no weights.

        >>> t0.Model.mini().merge_adapter("a")
        Traceback (most recent call last):
        t0native.ConfigError: adapter 'a': no adapter of this name; none is loaded: load_adapter(folder, name) does that
        """
        name = self.adapter if name is None else name
        if name is None:
            raise ConfigError("merge_adapter: the model uses no adapter; give the name of one")
        adapter = self._named(name)
        check_merging(adapter, self.config)
        other = self.to(self.dtype if dtype is None else dtype)
        for tensor, values in merged_tensors(self.core, adapter):
            other.core.put(tensor, 0, values)
        other.adapters, other.adapter = {}, None
        return other

    def _named(self, name: str) -> Adapter:
        if not isinstance(name, str) or name not in self.adapters:
            there = suggest(name, self.adapters) if self.adapters else "none is loaded: load_adapter(folder, name) does that"
            raise ConfigError(f"adapter {shown(name)}: no adapter of this name; {there}")
        return self.adapters[name]

    def _adapters_of(self, adapter: Any, n: int) -> list[_core.Adapter | None] | None:
        """The core's adapter of each of n inputs, or None where none has one. adapter: as calls take it."""
        if adapter is ACTIVE:
            adapter = self.adapter
        if adapter is None:
            return None
        if isinstance(adapter, str):
            return [self._named(adapter).core] * n
        if not hasattr(adapter, "__iter__"):
            raise ConfigError(
                f"adapter {shown(adapter)}: must be the name of an adapter, None, or a list with a name or None for each input"
            )
        names = as_list("adapter", adapter)
        if len(names) != n:
            raise ConfigError(f"adapter: {len(names)} names for {n} inputs; give one for each, or one for all")
        cores = [None if name is None else self._named(name).core for name in names]
        return cores if any(core is not None for core in cores) else None
