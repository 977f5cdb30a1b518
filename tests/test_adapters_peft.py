"""Adapters against PEFT itself: 30 folders that it writes, computed by both, and read back by it from folders that are written here."""

import json

import numpy as np
import pytest
from conftest import needed

import t0native as t0

torch = needed("torch", "pip install '.[parity]'", module_level=True)
transformers = needed("transformers", "pip install '.[parity]'", module_level=True)
peft = needed("peft", "pip install peft==0.21.2", module_level=True)
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]  # theirs

SHAPE = {"vocab_size": 100, "d_model": 32, "d_kv": 8, "d_ff": 40, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
IDS, INPUTS = [5, 6, 7, 8, 9, 1, 33], [0, 7, 8, 20]
EVERY = ["q", "k", "v", "o", "wi_0", "wi_1", "wo"]
LORA = [
    *(("v1.1", {"r": r, "lora_alpha": 16}) for r in (1, 3, 8, 64)),
    ("v1.1", {"use_rslora": True, "lora_alpha": 7}),
    ("v1.0", {}),
    ("mt5", {}),
    ("v1.1", {"target_modules": "all-linear"}),
    ("v1.0", {"target_modules": "all-linear"}),
    ("v1.1", {"target_modules": EVERY, "rank_pattern": {"SelfAttention.q": 2, "wo": 6}, "alpha_pattern": {"wo": 3, "encoder.*k": 5}}),
    ("v1.1", {"target_modules": r".*decoder.*(SelfAttention|EncDecAttention)\.(q|v)$"}),
    ("v1.1", {"target_modules": ["lm_head", "q"]}),
    ("v1.0", {"target_modules": ["lm_head", "q"]}),
    *(("v1.1", {"target_modules": names}) for names in (["o"], ["wo"], ["wi_0"], ["wi_1", "k"])),
    ("v1.0", {"target_modules": ["wi", "wo"]}),
    ("v1.1", {"exclude_modules": ["EncDecAttention.q"]}),
    ("v1.1", {"target_modules": ["EncDecAttention.k", "block.1.layer.0.SelfAttention.q"], "use_rslora": True, "rank_pattern": {"q": 9}}),
]
IA3 = [
    ("v1.1", {}),
    ("v1.0", {}),
    ("mt5", {}),
    ("v1.1", {"target_modules": ["k", "v", "wi_1"], "feedforward_modules": []}),
    ("v1.1", {"target_modules": ["q", "k", "wi_0", "o", "wo"], "feedforward_modules": ["q", "wi_0"]}),
    ("v1.1", {"target_modules": ["k", "v", "wi_1", "o", "wo"], "feedforward_modules": ["k", "v", "wi_1", "o"]}),
    ("v1.1", {"target_modules": ["lm_head", "v", "wo"], "feedforward_modules": ["wo"]}),
]
PROMPTS = [
    ("v1.1", {"num_virtual_tokens": 3}),
    ("v1.1", {"num_virtual_tokens": 5, "num_transformer_submodules": 1}),
    ("mt5", {"num_virtual_tokens": 1}),
]
CASES = [
    *((kind, peft.LoraConfig, {"r": 4, **keys}) for kind, keys in LORA),
    *((kind, peft.IA3Config, keys) for kind, keys in IA3),
    *((kind, peft.PromptTuningConfig, keys) for kind, keys in PROMPTS),
]


def base(kind):
    torch.manual_seed(0)
    name = "MT5" if kind == "mt5" else "T5"
    form = {"feed_forward_proj": "relu"} if kind == "v1.0" else {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    config = getattr(transformers, f"{name}Config")(**SHAPE, **form, decoder_start_token_id=0)
    return getattr(transformers, f"{name}ForConditionalGeneration")(config).eval()


def adapted(kind, method, keys):
    """PEFT's model with random adapters."""
    model = peft.get_peft_model(base(kind), method(task_type="SEQ_2_SEQ_LM", **keys))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_" in name:
                weights.copy_(0.1 * torch.randn_like(weights))
            elif "ia3_" in name:
                weights.copy_(1 + 0.3 * torch.randn_like(weights))
            elif "prompt" in name:
                weights.copy_(torch.randn_like(weights))
    return model.eval()


@torch.no_grad()
def theirs(model):
    """Logits of PEFT's model."""
    return model(input_ids=torch.tensor([IDS]), decoder_input_ids=torch.tensor([INPUTS])).logits[0].numpy()


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    folders = {kind: tmp_path_factory.mktemp(kind.replace(".", "")) for kind in ("v1.1", "v1.0", "mt5")}
    for kind, folder in folders.items():
        base(kind).save_pretrained(folder)
    return folders


def test_there_are_thirty():
    assert len(CASES) == 30


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_folder_of_peft_is_read_computed_and_written_as_it_does(bases, tmp_path, number):
    kind, method, keys = CASES[number]
    reference = adapted(kind, method, keys)
    reference.save_pretrained(tmp_path / "theirs")
    model = t0.Model.from_pretrained(bases[kind], adapter=tmp_path / "theirs", tokenizer=False)
    wanted, plain = theirs(reference), model.logits(IDS, INPUTS, adapter=None)
    answer = reference.generate(input_ids=torch.tensor([IDS]), max_new_tokens=5, do_sample=False)[0].tolist()
    assert model.generate(IDS, max_new_tokens=5, output_scores=True).ids.tolist() == answer[1:]
    assert np.abs(model.logits(IDS, INPUTS) - wanted).max() <= 1e-5 * np.abs(wanted).max() < np.abs(wanted - plain).max()

    model.save_adapter(tmp_path / "ours")
    own, other = (json.loads((tmp_path / name / "adapter_config.json").read_text()) for name in ("ours", "theirs"))
    assert own == other
    again = peft.PeftModel.from_pretrained(base(kind), tmp_path / "ours")
    assert [problem for problem in again.load_adapter(tmp_path / "ours", "again").missing_keys if ".again" in problem] == []
    found, there = again.state_dict(), reference.state_dict()
    changed = [name for name in there if "lora_" in name or "ia3_" in name or "prompt_encoder" in name]
    assert changed and all(torch.equal(found[name], there[name]) for name in changed)
