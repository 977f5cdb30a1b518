"""Folders of sentence-transformers: modules.json with Pooling, Dense and Normalize over an encoder alone, and vectors as it makes them."""

import json

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native.checkpoints.checkpoint import open_checkpoint
from t0native.checkpoints.conversion import convert
from t0native.checkpoints.safetensorfiles import header_of
from t0native.checkpoints.sentences import Dense, Sentence, read_sentence

CONFIG = t0.Config(vocab_size=61, d_model=14, d_kv=3, d_ff=20, num_layers=2, num_heads=3, encoder_only=True)
POOLING = {"word_embedding_dimension": 14, "pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}
KINDS = ("Transformer", "Pooling", "Dense", "Normalize")
ROWS = [[5, 9, 1], [7, 1], [33, 12, 60, 2, 8, 1]]


def save_file(tensors, path):
    content = header_of({name: ("F32", array.shape) for name, array in tensors.items()})
    path.write_bytes(content + b"".join(array.tobytes() for array in tensors.values()))


def write(folder, kinds=KINDS, prefix="sentence_transformers.models.", bias=False, activation="torch.nn.modules.linear.Identity", at=""):
    """A folder as sentence-transformers writes it, with a random encoder; returns (model, the Dense's weight and bias)."""
    rng = np.random.default_rng(3)
    model = t0.Model.init(CONFIG, seed=2)
    model.save(folder / at)
    names = [at, *(f"{i}_{kind}" for i, kind in enumerate(kinds) if i)]
    modules = [{"idx": i, "name": str(i), "path": name, "type": prefix + kind} for i, (name, kind) in enumerate(zip(names, kinds))]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / at / "sentence_bert_config.json").write_text('{"max_seq_length": 4, "do_lower_case": false}')
    weight, offset = rng.normal(size=(9, 14)).astype(np.float32), rng.normal(size=9).astype(np.float32)
    for name, kind in zip(names[1:], kinds[1:]):
        (folder / name).mkdir()
        if kind == "Pooling":
            (folder / name / "config.json").write_text(json.dumps(POOLING))
        if kind == "Dense":
            about = {"in_features": 14, "out_features": 9, "bias": bias, "activation_function": activation}
            (folder / name / "config.json").write_text(json.dumps(about))
            save_file({"linear.weight": weight} | ({"linear.bias": offset} if bias else {}), folder / name / "model.safetensors")
    return model, weight, offset


@pytest.mark.parametrize("at", ["", "0_Transformer"])
@pytest.mark.parametrize("bias", [False, True])
def test_vectors_are_those_of_the_modules(tmp_path, bias, at):
    activation = "torch.nn.modules.activation.Tanh" if bias else "torch.nn.modules.linear.Identity"
    encoder, weight, offset = write(tmp_path, bias=bias, activation=activation, at=at)
    model = t0.Model.from_pretrained(tmp_path)
    assert model.config.encoder_only and model.sentence.max_length == 4
    cut = [row[:4] for row in ROWS]
    found = model.encode(ROWS, pooling="sentence", truncate=True)
    exact = np.stack([encoder.encode(row).astype(np.float64).mean(axis=0) for row in cut]) @ weight.T.astype(np.float64)
    exact = np.tanh(exact + offset) if bias else exact
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    assert found.shape == (3, 9) and found.dtype == np.float32
    assert ((found * exact).sum(axis=1) >= 0.99999).all() and np.allclose(found, exact, atol=1e-6)
    for row, vector in zip(ROWS, found):  # alone, and in other number types
        assert (model.encode(row, pooling="sentence", truncate=True) == vector).all()
    assert ((model.to("int8").encode(ROWS, pooling="sentence", truncate=True) * exact).sum(axis=1) >= 0.9).all()
    with pytest.raises(t0.DataError, match="input 2: 6 tokens, but max_input_length is 4"):
        model.encode(ROWS, pooling="sentence")
    assert model.encode([], pooling="sentence").shape == (0, 9)


def test_lower_case_is_refused(tmp_path):
    write(tmp_path)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 4, "do_lower_case": true}')
    with pytest.raises(t0.FormatError, match="do_lower_case True: texts are read as they stand; only false is read"):
        t0.Model.from_pretrained(tmp_path)


@pytest.mark.parity
def test_vectors_are_those_of_torch(tmp_path):
    """The modules' own arithmetic, in torch, over transformers' encoder in one padded and masked batch."""
    import torch
    import transformers

    _, weight, offset = write(tmp_path, bias=True, activation="torch.nn.modules.activation.Tanh")
    encoder = transformers.T5EncoderModel.from_pretrained(tmp_path).eval()
    most = max(map(len, ROWS))
    mask = torch.tensor([[1] * len(row) + [0] * (most - len(row)) for row in ROWS])
    ids = torch.tensor([row + [0] * (most - len(row)) for row in ROWS])
    with torch.no_grad():
        states = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        means = (states * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        wanted = torch.nn.functional.normalize(
            torch.tanh(torch.nn.functional.linear(means, torch.tensor(weight), torch.tensor(offset)))
        ).numpy()
    (tmp_path / "sentence_bert_config.json").unlink()
    found = t0.Model.from_pretrained(tmp_path).encode(ROWS, pooling="sentence")
    assert ((found * wanted).sum(axis=1) >= 0.99999).all() and np.allclose(found, wanted, atol=1e-5)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("length", [None, 6])
def test_a_folder_of_sentence_transformers_itself(tmp_path, length):
    """As GTR's was made: an encoder, its mean, a Dense without a bias, Normalize."""
    theirs = needed("sentence_transformers", "pip install sentence-transformers")
    import torch
    import transformers
    from sentence_transformers import models

    t0.mini.new_model(0).save(tmp_path / "t5")
    keys = json.loads((tmp_path / "t5/config.json").read_text())
    keys.pop("add_eos_to_inputs")
    (tmp_path / "t5/config.json").write_text(json.dumps(keys))
    transformers.T5EncoderModel.from_pretrained(tmp_path / "t5").save_pretrained(tmp_path / "encoder")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "t5").save_pretrained(tmp_path / "encoder")
    encoder, width = models.Transformer(str(tmp_path / "encoder")), keys["d_model"]
    made = theirs.SentenceTransformer(
        modules=[
            encoder,
            models.Pooling(width, pooling_mode="mean"),
            models.Dense(width, 48, bias=False, activation_function=torch.nn.Identity()),
            models.Normalize(),
        ]
    )
    if length is not None:
        made.max_seq_length = length
    made.save(str(tmp_path / "gtr"))
    texts = ["Tom drinks tea.", "Anna keeps a cat and a dog in the garden.", "", "a b c " * 40, "  two  spaces "]
    wanted = theirs.SentenceTransformer(str(tmp_path / "gtr")).encode(texts)
    model = t0.Model.from_pretrained(tmp_path / "gtr")
    assert model.sentence.max_length == length
    found = model.encode(texts, pooling="sentence", truncate=True)
    assert found.shape == (5, 48) and ((found * wanted).sum(axis=1) >= 0.99999).all()


def test_a_prompt_that_goes_before_every_text_is_told(tmp_path, caplog):
    write(tmp_path)
    about = {"default_prompt_name": "query", "prompts": {"query": "find: "}}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(about))
    t0.Model.from_pretrained(tmp_path)
    assert "sentence-transformers puts 'find: ' before every text; here it is yours to put" in caplog.text
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps(about | {"prompts": {}}))
    with pytest.raises(t0.FormatError, match="default_prompt_name 'query': must be the name of a text in `prompts`, or null"):
        t0.Model.from_pretrained(tmp_path)


def test_saved_and_read_again(tmp_path):
    write(tmp_path / "one", bias=True)
    model = t0.Model.from_pretrained(tmp_path / "one")
    for dtype in ("float32", "int8"):
        same = model.to(dtype)
        same.save(tmp_path / dtype)
        again = t0.Model.from_pretrained(tmp_path / dtype, dtype)
        vectors = [each.encode(ROWS, pooling="sentence", truncate=True) for each in (same, again)]
        assert (vectors[0] == vectors[1]).all()
        convert(open_checkpoint(tmp_path / "one"), tmp_path / f"{dtype}-converted", dtype)
        converted = t0.Model.from_pretrained(tmp_path / f"{dtype}-converted", dtype)
        assert (converted.encode(ROWS, pooling="sentence", truncate=True) == vectors[0]).all()
    modules = json.loads((tmp_path / "int8/modules.json").read_text())
    assert [module["type"] for module in modules] == [f"sentence_transformers.models.{kind}" for kind in KINDS]


def test_a_model_without_modules_says_so():
    with pytest.raises(t0.ConfigError, match="pooling 'sentence': this model's folder has no modules.json"):
        t0.Model.init(CONFIG).encode([[1]], pooling="sentence")
    with pytest.raises(t0.ConfigError, match="pooling 'mean' beside pad 'zeros': a vector an input has no pads"):
        t0.Model.init(CONFIG).encode([[1]], pooling="mean", pad="zeros")
    with pytest.raises(t0.ConfigError, match="^pad 'max': must be 'attend' or 'zeros', or None"):
        t0.Model.init(CONFIG).encode([[1]], pad="max")


BROKEN = {
    "no list": ("modules.json", "{}", r"modules\.json: must hold a list"),
    "no JSON": ("modules.json", "[", r"modules\.json"),
    "a number": ("modules.json", "[1]", "1: a module has a type and the path of a folder"),
    "elsewhere": ("modules.json", '[{"type": "a.Transformer", "path": "../x"}]', "a module has a type and the path of a folder beside"),
    "other kinds": ("modules.json", '[{"type": "a.Transformer", "path": ""}, {"type": "a.LSTM", "path": "1_LSTM"}]', "a Transformer, a Pooling"),
    "the class token": ("1_Pooling/config.json", '{"word_embedding_dimension": 14, "pooling_mode_cls_token": true}', "only the mean over tokens"),
    "no width": ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true}', "word_embedding_dimension None: must be"),
    "another width": ("1_Pooling/config.json", '{"pooling_mode_mean_tokens": true, "word_embedding_dimension": 15}', "takes 14 numbers, but 15 come"),
    "a function": ("2_Dense/config.json", '{"in_features": 14, "out_features": 9, "activation_function": "os.system"}', "Identity and Tanh are read"),
    "a bias": ("2_Dense/config.json", '{"in_features": 14, "out_features": 9, "bias": true}', "expected linear.weight and linear.bias"),
    "a shape": ("2_Dense/config.json", '{"in_features": 14, "out_features": 10, "bias": false}', r"shape \[10, 14\], found F32 \[9, 14\]"),
    "a length": ("sentence_bert_config.json", '{"max_seq_length": 0}', "max_seq_length 0: must be a whole number from 1"),
    "cut off": ("2_Dense/model.safetensors", "", r"model\.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_broken_folders(tmp_path, what):
    name, text, message = BROKEN[what]
    write(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(t0.FormatError, match=message):
        t0.Model.from_pretrained(tmp_path)


def test_weights_that_are_missing_or_not_finite(tmp_path):
    write(tmp_path)
    save_file({"linear.weight": np.full((9, 14), np.nan, np.float32)}, tmp_path / "2_Dense/model.safetensors")
    with pytest.raises(t0.FormatError, match="linear.weight: holds what is not finite"):
        read_sentence(tmp_path)
    (tmp_path / "2_Dense/model.safetensors").unlink()
    with pytest.raises(t0.FormatError, match="a Dense has its weights in model.safetensors or pytorch_model.bin"):
        read_sentence(tmp_path)


def test_a_vector_of_zeros_stays_one():
    sentence = Sentence("", (Dense(np.zeros((2, 3), np.float32), None, "Identity"), "Normalize"), None)
    assert (sentence.apply(np.ones((1, 3), np.float32)) == 0).all()
