"""Adapters in their model's weights, in other forms, and on the command line."""

import json

import adapter_folders as made
import numpy as np
import pytest

import t0native as t0
from t0native.adapters.tfewfile import read_tfew, write_tfew
from t0native.cli.main import main

SOURCE, INPUTS = [5, 6, 7, 8, 1], [0, 11, 12, 13]
ABOUT = {
    "lora": lambda c: made.lora(c, use_rslora=True),
    "head": lambda c: made.lora(c, ("lm_head", "q", "wi_0")),
    "ia3": lambda c: made.ia3(c),
    "ia3 of inputs": lambda c: made.ia3(c, ("q", "v", "wi_0"), ("q",)),
}


@pytest.mark.parametrize("about", ABOUT)
def test_merged_is_unmerged(tmp_path, about):
    model = made.small_model()
    keys, tensors = ABOUT[about](model.config)
    model.load_adapter(made.write(tmp_path / "a", keys, tensors), "a")
    merged, wanted = model.merge_adapter("a"), model.logits(SOURCE, INPUTS, adapter="a")
    assert np.abs(merged.logits(SOURCE, INPUTS) - wanted).max() <= 1e-5 * np.abs(wanted).max()
    assert not merged.adapters and merged.adapter is None
    changed = made.changed_weights(model, tensors, 8 / (4**0.5 if keys.get("use_rslora") else 4))
    for name, _ in model.core.tensors():
        values = changed.get(name, model.core.tensor(name)).astype(np.float32)
        assert merged.core.tensor(name).tobytes() == values.tobytes(), name


@pytest.mark.parametrize("dtype", ["bfloat16", "int8"])
def test_merged_into_fewer_bits_is_the_float32_one_converted(tmp_path, dtype):
    model = made.small_model()
    model.load_adapter(made.write(tmp_path / "a", *made.lora(model.config)), "a")
    merged, wanted = model.merge_adapter("a", dtype), model.merge_adapter("a").to(dtype)
    assert merged.dtype == dtype and merged.core.panels().tobytes() == wanted.core.panels().tobytes()
    packed = model.to(dtype)
    assert packed.merge_adapter("a").dtype == dtype  # from what the model holds
    merged.save(tmp_path / "out")
    again = t0.Model.from_pretrained(tmp_path / "out", dtype, tokenizer=False)
    assert again.logits(SOURCE, INPUTS).tobytes() == merged.logits(SOURCE, INPUTS).tobytes()


def test_what_no_weights_can_be_is_refused(tmp_path):
    model, tied = made.small_model(), made.small_model("v1.0")
    model.load_adapter(made.write(tmp_path / "p", *made.prompts(model.config)), "p")
    tied.load_adapter(made.write(tmp_path / "h", *made.lora(tied.config, ("lm_head",))), "h")
    with pytest.raises(t0.ConfigError, match="prompts are rows"):
        model.merge_adapter("p")
    with pytest.raises(t0.ConfigError, match="the head, which in this model is the embedding"):
        tied.merge_adapter("h")
    with pytest.raises(t0.ConfigError, match="uses no adapter"):
        model.merge_adapter()


def test_pefts_form_of_ia3_becomes_tfews_and_computes_the_same(tmp_path):
    model = made.small_model()
    model.load_adapter(made.write(tmp_path / "peft", *made.ia3(model.config)), "peft")
    write_tfew(tmp_path / "a.pt", model.adapters["peft"])
    model.load_adapter(tmp_path / "a.pt", "tfew")
    one, other = (model.logits(SOURCE, INPUTS, adapter=name) for name in ("peft", "tfew"))
    assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    assert {module.rsplit(".", 1)[-1] for module in model.adapters["tfew"].modules} == {"k", "v", "wi_1"}
    write_tfew(tmp_path / "b.pt", model.adapters["tfew"])
    assert (tmp_path / "b.pt").stat().st_size == (tmp_path / "a.pt").stat().st_size
    for part, same in zip(read_tfew(tmp_path / "b.pt", model.config).parts, model.adapters["tfew"].parts):
        assert part.values.tobytes() == same.values.tobytes()
    model.load_adapter(made.write(tmp_path / "lora", *made.lora(model.config)), "lora")
    with pytest.raises(t0.ConfigError, match="\\(IA\\)3 alone"):
        write_tfew(tmp_path / "c.pt", model.adapters["lora"])


def test_torch_reads_the_file(tmp_path):
    torch = pytest.importorskip("torch")
    model = made.small_model()
    adapter = model.load_adapter(made.write(tmp_path / "peft", *made.ia3(model.config)))
    write_tfew(tmp_path / "a.pt", adapter)
    vectors = torch.load(tmp_path / "a.pt", weights_only=True)
    assert len(vectors) == len(adapter.parts)
    assert vectors["encoder.block.0.layer.0.SelfAttention.k.multi_lora_b"].numpy().tobytes() == adapter.parts[0].values.tobytes()


def test_the_command(tmp_path, capsys):
    model = made.small_model()
    model.save(tmp_path / "base")
    keys, tensors = made.ia3(model.config)
    made.write(tmp_path / "a", keys, tensors)
    model.load_adapter(tmp_path / "a", "a")
    base = ["--model", str(tmp_path / "base")]
    assert main(["adapter", "info", str(tmp_path / "a"), *base, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["method"], facts["layers"], facts["kinds"]) == ("(IA)3", 16, ["k", "v", "wo"])
    assert main(["adapter", "info", str(tmp_path / "a"), *base]) == 0 and "(IA)3" in capsys.readouterr().out
    assert main(["adapter", "merge", str(tmp_path / "a"), str(tmp_path / "merged"), *base]) == 0
    merged = t0.Model.from_pretrained(tmp_path / "merged", tokenizer=False)
    assert merged.logits(SOURCE, INPUTS).tobytes() == model.merge_adapter("a").logits(SOURCE, INPUTS).tobytes()
    assert main(["adapter", "convert", str(tmp_path / "a"), str(tmp_path / "t.pt"), *base]) == 0
    assert main(["adapter", "convert", str(tmp_path / "t.pt"), str(tmp_path / "again"), *base]) == 0
    model.load_adapter(tmp_path / "again", "again")
    one, other = (model.logits(SOURCE, INPUTS, adapter=name) for name in ("a", "again"))
    assert np.abs(one - other).max() <= 1e-5 * np.abs(one).max()
    capsys.readouterr()
    assert main(["adapter", "convert", str(tmp_path / "a"), str(tmp_path / "t.pt"), *base]) == 2
    assert "is there already" in capsys.readouterr().err
    assert main(["adapter", "merge", str(tmp_path / "a"), str(tmp_path / "merged"), *base]) == 2
    assert "holds something already" in capsys.readouterr().err
    assert main(["adapter", "merge", str(tmp_path / "a"), *base]) == 2 and "no OUT" in capsys.readouterr().err
