"""No number comes from a weight or a value that is not finite: every call tells the layer instead."""

import re

import engine_models as engine
import numpy as np
import pytest
from engine_models import golden

import t0native as t0

DTYPES = ("float32", "float32-flat", "bfloat16", "int8")
CASES = ("gated-untied", "relu-tied")
LAYERS = {"encoder": ("self-attention", "feed-forward"), "decoder": ("self-attention", "cross-attention", "feed-forward")}
# Where minus infinity may come out and means something: a key that is not seen, a unit that is shut, a token that cannot be.
MASKS = ("relative_attention_bias.weight", "DenseReluDense.wi.weight", "lm_head.weight")
SOURCE, TARGET = [5, 3, 6], [4, 1]


def layer_of(name):
    """What an error must call the layer of a tensor."""
    if name in ("shared.weight", "lm_head.weight"):
        return "encoder, embedding" if name == "shared.weight" else "head"
    stack, rest = name.split(".", 1)
    if rest == "final_layer_norm.weight":
        return f"{stack}, final norm"
    block, layer = re.match(r"block\.(\d+)\.layer\.(\d)\.", rest).groups()
    return f"{stack}, block {block}, {LAYERS[stack][int(layer)]}"


def planted(case, name, value, at, kernels=None, dtype="float32"):
    """A model of a golden case with one weight changed."""
    weights = dict(engine.golden_weights(case))
    weights[name] = weights[name].copy()
    weights[name].reshape(-1)[at] = value
    core = engine.core_with(golden.CASES[case][0], weights, kernels, dtype)
    return t0.Model(core, t0.Config(**golden.CASES[case][0]))


def calls(core):
    return {
        "encode": lambda: core.encode(SOURCE, [0, 3]),
        "score": lambda: core.score(SOURCE, [0, 3], TARGET, [0, 2], [0]),
        "logits": lambda: core.logits(SOURCE, [0, 3], [0, 4], [0, 2]),
        "generate": lambda: core.generate(SOURCE, [0, 3], 3),
        "step": lambda: core.decoder(SOURCE, [0, 3]).step([0], [0], [-1]),
    }


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_every_call_names_the_layer(case, dtype, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    for name, value in engine.golden_weights(case).items():
        at = 3 * value.shape[-1] + 2 if name == "shared.weight" else value.size // 2 if name == "lm_head.weight" else 0
        for bad in (np.nan,) if name.endswith(MASKS) else (np.nan, np.inf, -np.inf):
            core = planted(case, name, bad, at, kernels, dtype).core
            for call, run in calls(core).items():
                if call == "encode" and (name.startswith(("decoder", "lm_head"))):
                    continue  # has no part in it
                with pytest.raises(t0.NumericError, match=f"^{layer_of(name)}: .*not finite"):
                    run()
                    pytest.fail(f"{call} gave a number, though {name} holds {bad}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_row_of_the_table_that_nothing_uses(dtype):
    """Untied, it has no part in the result; tied, it is the head's."""
    fine = engine.build("gated-untied", None, dtype).core
    row = 9 * golden.CASES["gated-untied"][0]["d_model"]
    assert calls(planted("gated-untied", "shared.weight", np.nan, row, None, dtype).core)["score"]()[0] == calls(fine)["score"]()[0]
    with pytest.raises(t0.NumericError, match="^head: "):
        calls(planted("relu-tied", "shared.weight", np.nan, row, None, dtype).core)["score"]()


@pytest.mark.parametrize("kernels", t0.kernels.all())
@pytest.mark.parametrize("dtype", DTYPES)
def test_finite_weights_whose_products_are_not(dtype, kernels):
    if kernels not in t0.kernels.available():
        pytest.skip(f"no {kernels} on this machine")
    for case in CASES:
        for layer in ("encoder.block.1.layer.1.", "decoder.block.0.layer.2."):
            weights = dict(engine.golden_weights(case))
            for name in weights:
                if name.startswith(f"{layer}DenseReluDense.w"):
                    weights[name] = weights[name] * np.float32(1e30)
            core = engine.core_with(golden.CASES[case][0], weights, kernels, dtype)
            assert all(np.isfinite(value).all() for value in weights.values())
            with pytest.raises(t0.NumericError, match=f"^{layer_of(layer)}: .*not finite"):
                calls(core)["score"]()


@pytest.mark.parametrize("dtype", ("float32", "bfloat16", "int8"))
def test_a_checkpoint_with_such_weights(tmp_path, dtype):
    """Refused with the tensor's name; loaded all the same on request, the layer is named by what uses it."""
    name = "decoder.block.1.layer.1.EncDecAttention.k.weight"
    planted("gated-untied", name, np.nan, 21, dtype="float32-flat").save(tmp_path)
    with pytest.raises(t0.NumericError, match=re.escape(name)):
        t0.Model.from_pretrained(tmp_path, dtype=dtype)
    model = t0.Model.from_pretrained(tmp_path, dtype=dtype, allow_nonfinite=True)
    with pytest.raises(t0.NumericError, match="^decoder, block 1, cross-attention: "):
        model.rank([SOURCE], [[TARGET, [7, 1]]])
