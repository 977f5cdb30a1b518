"""Where in a T5 an adapter can stand: its linear layers, under the hub's names of modules.

encoder.block.3.layer.0.SelfAttention.q       part q of block 3
decoder.block.3.layer.1.EncDecAttention.v     part cross_v
decoder.block.3.layer.2.DenseReluDense.wo     part wo; wi is part wi_0
lm_head                                       part head"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # of annotations alone
    from t0native.checkpoints.config import Config

__all__ = ["HEAD", "Site", "sites_of"]

HEAD = "lm_head"
_MODULE = re.compile(
    r"(encoder|decoder)\.block\.(\d+)\.layer\.\d\.(SelfAttention|EncDecAttention|DenseReluDense)\.(q|k|v|o|wi|wi_0|wi_1|wo)"
)


class Site(NamedTuple):
    """A linear layer: y [rows] = W x [columns]."""

    module: str
    decoder: bool
    block: int
    part: str  # the core's name
    rows: int
    columns: int


def sites_of(config: Config) -> dict[str, Site]:
    """{module: Site} of a model's linear layers, in the order of its tensors; the head last.

    >>> [*sites_of(t0.Config.t5_v1_1("small"))][:2]
    ['encoder.block.0.layer.0.SelfAttention.q', 'encoder.block.0.layer.0.SelfAttention.k']
    """
    sites = {}
    for name, shape in config.tensors().items():
        module = name.removesuffix(".weight")
        if found := _MODULE.fullmatch(module):
            stack, block, layer, part = found.groups()
            part = "cross_" + part if layer == "EncDecAttention" else "wi_0" if part == "wi" else part
            sites[module] = Site(module, stack == "decoder", int(block), part, *shape)
    if not config.encoder_only:
        sites[HEAD] = Site(HEAD, False, 0, "head", config.vocab_size, config.d_model)
    return sites
