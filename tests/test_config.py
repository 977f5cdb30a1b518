"""Configurations: the hub's files in and out; what would change a number is refused by name."""

import dataclasses
import json
from pathlib import Path

import pytest

import t0native as t0
from t0native import _core

T0_3B = {  # the keys of a T5 1.1 config.json on the hub
    "_name_or_path": "google/t5-xl-lm-adapt",
    "architectures": ["T5ForConditionalGeneration"],
    "d_ff": 5120,
    "d_kv": 64,
    "d_model": 2048,
    "decoder_start_token_id": 0,
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "gradient_checkpointing": False,
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "t5",
    "num_decoder_layers": 24,
    "num_heads": 32,
    "num_layers": 24,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.17.0.dev0",
    "use_cache": True,
    "vocab_size": 32128,
}
WEIGHTS = {"small": 76_961_152, "base": 247_577_856, "large": 783_150_080, "xl": 2_849_757_184, "xxl": 11_135_332_352}


def test_the_hubs_file_of_t0_3b():
    config = t0.Config.from_dict(T0_3B)
    assert dataclasses.replace(config, extra={}) == t0.Config.t5_v1_1("xl")
    again = config.to_dict()
    assert {key: again[key] for key in T0_3B} == T0_3B
    assert t0.Config.from_dict(again) == config


@pytest.mark.parametrize("size", WEIGHTS)
def test_published_sizes(size):
    assert t0.Config.t5_v1_1(size).parameters == WEIGHTS[size]


@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, {"feed_forward_proj": "relu"}, {"num_decoder_layers": 1}])
def test_the_core_has_as_many_weights(changes):
    config = t0.Config(vocab_size=30, d_model=8, d_ff=12, num_layers=3, num_heads=2, d_kv=5, **changes)
    assert _core.Model(config.core()).parameters == config.parameters


def test_defaults_are_the_hubs():
    needed = {key: T0_3B[key] for key in ("vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads")}
    config = t0.Config.from_dict(needed)
    assert (config.feed_forward_proj, config.tie_word_embeddings, config.num_decoder_layers) == ("relu", True, 24)
    assert (config.relative_attention_num_buckets, config.relative_attention_max_distance) == (32, 128)


V4, V5, MT5 = {"transformers_version": "4.49.0"}, {"transformers_version": "5.24.0"}, {"model_type": "mt5"}
DERIVED = {"dense_act_fn": "gelu_new", "is_gated_act": True}  # which transformers writes, and 0.1.0 did not


@pytest.mark.parametrize(
    "tie, scale, others, tied, scaled",
    [
        *((False, None, which, False, False) for which in ({}, V4, V5, MT5, MT5 | V4, MT5 | V5)),
        *((True, None, which, True, True) for which in ({}, V4, V5, MT5, MT5 | V4)),
        (True, None, MT5 | V5 | DERIVED, True, False),  # transformers 5 never scales mT5
        (True, True, MT5 | V5 | DERIVED, True, False),
        (True, None, MT5 | V5, True, True),  # 0.1.0 scaled what was tied
        (True, False, MT5, True, False),
        (True, False, {}, True, False),
        (True, False, V5, True, False),
        (True, False, V4, True, True),  # transformers 4 does not know the key
        (True, True, {}, True, True),
        (True, True, V5, True, True),
        (False, False, {}, False, False),
        (False, True, {}, False, True),
        (False, True, V5, False, True),
        (False, True, V4, False, False),
    ],
)
def test_what_the_programs_mean_by_the_keys_of_the_head(tie, scale, others, tied, scaled):
    config = t0.Config.from_dict(
        {**T0_3B, "transformers_version": None, "tie_word_embeddings": tie, "scale_decoder_outputs": scale, **others}
    )
    assert (config.tie_word_embeddings, config.scaled) == (tied, scaled)
    again = t0.Config.from_dict(config.to_dict())
    assert dataclasses.replace(again, extra={}) == dataclasses.replace(config, extra={})
    assert again == config or scaled != tied  # then what would contradict is left out
    assert ("scale_decoder_outputs" in config.to_dict()) is (scaled != tied)


@pytest.mark.parametrize("version", [None, "", "4", "5", "five", "5.0.0.dev0", "55.1", 5, [4], "4.30.0"])
def test_a_version_of_any_kind(version):
    config = t0.Config.from_dict({**T0_3B, **MT5, **DERIVED, "tie_word_embeddings": True, "transformers_version": version})
    assert config.scaled is (version not in ("5.0.0.dev0", "55.1"))


def test_an_mt5_by_its_architecture_and_without_any_key():
    bare = {key: value for key, value in T0_3B.items() if key not in ("model_type", "tie_word_embeddings", "transformers_version")}
    config = t0.Config.from_dict(bare | {"architectures": ["MT5ForConditionalGeneration"]})
    assert (config.tie_word_embeddings, config.scaled) == (True, False)
    assert t0.Config.from_dict(bare).scaled


def test_what_is_tied_is_scaled_unless_it_is_said():
    config = t0.Config.t5_v1_1("small", tie_word_embeddings=True)
    assert config.scale_decoder_outputs is None and config.scaled and config.core()["scale_decoder_outputs"] is True
    assert config == t0.Config.t5_v1_1("small", tie_word_embeddings=True, scale_decoder_outputs=True)
    assert not dataclasses.replace(config, tie_word_embeddings=False).scaled
    assert not dataclasses.replace(config, scale_decoder_outputs=False).scaled


def test_several_end_tokens():
    assert t0.Config.from_dict({**T0_3B, "eos_token_id": [7]}).eos_token_id == 7
    several = t0.Config.from_dict({**T0_3B, "eos_token_id": [1, 2]})  # the first is the tokenizer's, and all end an answer
    assert several.eos_token_id == 1 and several.to_dict()["eos_token_id"] == [1, 2]
    for wrong in ([], [[1]], ["1"], [True], [1.0]):
        with pytest.raises(t0.ConfigError, match="eos_token_id"):
            t0.Config.from_dict({**T0_3B, "eos_token_id": wrong})


REFUSED = {
    "feed_forward_proj": "gated-mish",
    "is_encoder_decoder": False,
    "model_type": "longt5",
    "architectures": ["T5Model"],
    "vocab_size": 0,
    "d_model": -1,
    "d_kv": 2**24,
    "num_heads": True,
    "num_layers": "24",
    "num_decoder_layers": 5000,
    "d_ff": 10**400,
    "layer_norm_epsilon": 10**400,
    "dropout_rate": 1.0,
    "pad_token_id": 40000,
    "eos_token_id": [True, 2],
    "tie_word_embeddings": "no",
    "relative_attention_num_buckets": 2,
    "relative_attention_max_distance": 10,
    "hidden_size": 512,
    "local_radius": 127,
    "num_sparse_encoder_layers": 3,
    "auto_map": {"AutoModel": "modeling.Mine"},
    "decoder": {"model_type": "t5"},
    "quantization_config": {"bits": 8},
    "dense_act_fn": 1,
    "is_gated_act": "no",
    "scale_decoder_outputs": "yes",
    "encoder_attention_type": "local",
}


@pytest.mark.parametrize("key", REFUSED)
def test_what_matters_is_refused_by_name(key, tmp_path):
    with pytest.raises(t0.ConfigError, match=key):
        t0.Config.from_dict({**T0_3B, key: REFUSED[key]})
    (tmp_path / "config.json").write_text(json.dumps({**T0_3B, key: REFUSED[key]}))
    with pytest.raises(t0.FormatError, match=key):
        t0.Config.from_file(tmp_path / "config.json")


def test_a_list_of_end_tokens():
    """The first is the model's; of several, the file's list is kept, for generation ends at any of them."""
    one, two = (t0.Config.from_dict({**T0_3B, "eos_token_id": ids}) for ids in ([1], [1, 7]))
    assert one == t0.Config.from_dict(T0_3B) and one.to_dict()["eos_token_id"] == 1
    assert two.eos_token_id == 1 and two.to_dict()["eos_token_id"] == [1, 7] and t0.Config.from_dict(two.to_dict()) == two
    for ids in ([], [-1], ["1"], [40000]):
        with pytest.raises(t0.ConfigError, match="eos_token_id"):
            t0.Config.from_dict({**T0_3B, "eos_token_id": ids})


def test_sizes_and_their_limits_are_told():
    """Kinds first; then all that is out of its range."""
    wrong = {"vocab_size": 2**28 + 1, "d_kv": 0, "relative_attention_num_buckets": 2}
    with pytest.raises(t0.ConfigError) as error:
        t0.Config.t5_v1_1("small", **wrong)
    assert str(error.value) == (
        "configuration: vocab_size 268435457: must be a whole number from 1 to 268435456; d_kv 0: must be a whole number from 1 to "
        "16777216; relative_attention_num_buckets 2: must be a whole number from 4 to 65536 (with fewer the buckets' formula divides by zero)"
    )
    with pytest.raises(t0.ConfigError) as error:
        t0.Config.t5_v1_1("small", **wrong | {"d_kv": 64.0, "tie_word_embeddings": 1})
    assert str(error.value) == "configuration: d_kv 64.0: must be a whole number; tie_word_embeddings 1: must be true or false"


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"relative_attention_max_distance": 16}, "relative_attention_max_distance 16: must be above 16, half of the 32 buckets"),
        ({"num_heads": 2**13, "d_kv": 2**12}, "num_heads 8192 x d_kv 4096: must be at most 16777216"),
        (
            {"pad_token_id": 32128, "eos_token_id": -1, "decoder_start_token_id": 0},
            "pad_token_id 32128: must be a whole number from 0 to 32127, which is vocab_size - 1; "
            "eos_token_id -1: must be a whole number from 0 to 32127, which is vocab_size - 1",
        ),
        ({"dropout_rate": 1}, "dropout_rate 1: must be at least 0 and less than 1"),
        ({"layer_norm_epsilon": 0.0}, "layer_norm_epsilon 0: must be above 0 and less than 1"),
        ({"layer_norm_epsilon": 10**400}, "layer_norm_epsilon inf: must be above 0 and less than 1"),
        (
            {"feed_forward_proj": "gated-"},
            "feed_forward_proj 'gated-': must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these behind 'gated-', as 'gated-gelu'",
        ),
        (
            {"feed_forward_proj": "\ud800"},
            "feed_forward_proj '\\ud800': must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these behind 'gated-', as 'gated-gelu'",
        ),
        (
            {"feed_forward_proj": "relu\0"},
            "feed_forward_proj 'relu\\x00': must be 'relu', 'gelu', 'gelu_new' or 'silu', or one of these behind 'gated-', as 'gated-gelu'",
        ),
        ({"d_ff": 2**31}, "d_ff 2147483648: must be a whole number from 1 to 16777216"),
        ({"d_ff": 10**5000}, "d_ff of thousands of digits: must be a whole number from 1 to 16777216"),
        (
            {
                **dict.fromkeys(("d_model", "d_ff"), 2**24),
                **dict.fromkeys(("num_layers", "num_decoder_layers"), 2**12),
                "vocab_size": 2**28,
            },
            "the weights would not fit into this machine's addresses; take smaller sizes",
        ),
    ],
)
def test_the_core_judges_ranges(changes, message):
    with pytest.raises(t0.ConfigError) as error:
        t0.Config.t5_v1_1("small", **changes)
    assert str(error.value) == f"configuration: {message}"


def test_the_core_tells_what_is_missing_or_of_another_kind():
    core = t0.Config.t5_v1_1("small").core()
    for name in core:
        with pytest.raises(KeyError, match=f"configuration: missing {name}"):
            _core.check_config({key: value for key, value in core.items() if key != name})
        with pytest.raises(TypeError, match=rf"configuration: {name} \[\]: must be "):
            _core.check_config(core | {name: []})
    assert _core.check_config(core) is None


def test_a_lack_of_memory_is_not_a_missing_key():
    testcapi = pytest.importorskip("_testcapi", reason="this Python has no _testcapi")
    core, told, n = t0.Config.t5_v1_1("small").core(), set(), 0
    while n < 100 and None not in told:
        n += 1
        try:
            testcapi.set_nomemory(n, n + 1)
            _core.check_config(core)
            told.add(None)
        except BaseException as error:
            told.add(type(error))
        finally:
            testcapi.remove_mem_hooks()
    assert told == {MemoryError, None}


@pytest.mark.parametrize("key, value", [("scale_decoder_outputs", True), ("scale_decoder_outputs", False)])
def test_a_tie_that_is_no_truth_value_is_refused_beside_any_other_key(key, value):
    with pytest.raises(t0.ConfigError, match="tie_word_embeddings 'no': must be true or false"):
        t0.Config.from_dict({**T0_3B, "tie_word_embeddings": "no", key: value})


@pytest.mark.parametrize(
    "kind, meant",
    [
        ("longt5", "LongT5, whose encoder attends to neighbours alone"),
        ("switch_transformers", "Switch Transformers, whose feed-forwards are experts"),
        ("t5gemma", "T5Gemma, which is made of Gemma's layers"),
    ],
)
def test_relatives_are_named_before_a_key_is_missed(kind, meant):
    with pytest.raises(t0.ConfigError) as error:
        t0.Config.from_dict({"model_type": kind, "architectures": ["T5GemmaForConditionalGeneration"], "encoder": {"hidden_size": 8}})
    assert str(error.value) == f"configuration: model_type '{kind}' is not supported: {meant}; T5, mT5 and umT5 are read"


@pytest.mark.parametrize("kind", ["t5", "mt5", "umt5"])
@pytest.mark.parametrize("alone", [False, True])
def test_kinds_are_told_by_model_type_and_architectures(kind, alone):
    prefix = {"t5": "T5", "mt5": "MT5", "umt5": "UMT5"}[kind]
    keys = {"model_type": kind, "architectures": [prefix + ("EncoderModel" if alone else "ForConditionalGeneration")]}
    config = t0.Config.from_dict(T0_3B | keys | {"is_encoder_decoder": not alone, "scalable_attention": True})
    assert (config.relative_attention_every_layer, config.encoder_only) == (kind == "umt5", alone)
    again = config.to_dict()
    assert {key: again[key] for key in keys} == keys and again["is_encoder_decoder"] is not alone and again["scalable_attention"] is True
    assert not {"relative_attention_every_layer", "encoder_only"} & set(again)
    assert t0.Config.from_dict(again).core() == config.core()
    tables = [name for name in config.tensors() if "relative_attention_bias" in name]
    assert len(tables) == (24 if kind == "umt5" else 1) * (1 if alone else 2)
    assert any(name.startswith(("decoder", "lm_head")) for name in config.tensors()) is not alone
    assert _core.model_bytes(config.core(), "float32-flat") == 4 * config.parameters


def test_an_encoder_alone_may_say_that_it_is_an_encoder_and_decoder():
    """As the pipelines of images have it."""
    config = t0.Config.from_dict(T0_3B | {"architectures": ["T5EncoderModel"], "is_encoder_decoder": True})
    assert config.encoder_only and config.to_dict()["is_encoder_decoder"] is False


@pytest.mark.parametrize(
    "proj, activation, gated, meant",
    [
        ("relu", "gelu_new", True, "gated-gelu_new"),
        ("gated-gelu", "gelu_new", True, "gated-gelu"),
        ("gated-gelu", "gelu", True, "gated-gelu_python"),  # the exact form, for which "gated-gelu" does not stand
        ("gated-gelu", "silu", None, "gated-silu"),
        ("gated-gelu", None, False, "gelu_new"),
        ("gelu", None, True, "gated-gelu_python"),
        ("gated-silu", "silu", True, "gated-silu"),
        ("gelu", None, None, "gelu"),
    ],
)
def test_the_keys_that_the_hub_derives_decide_as_in_its_program(proj, activation, gated, meant):
    keys = {"feed_forward_proj": proj, "dense_act_fn": activation, "is_gated_act": gated}
    config = t0.Config.from_dict(T0_3B | keys)
    assert config.feed_forward_proj == meant and config.gated is meant.startswith("gated-")
    again = config.to_dict()
    assert again["feed_forward_proj"] == meant and not {"dense_act_fn", "is_gated_act"} & set(again)
    assert t0.Config.from_dict(again) == config
    assert t0.Config.from_dict(T0_3B | keys | {"feed_forward_proj": "relu"}, ["feed_forward_proj"]).feed_forward_proj == "relu"


def test_keys_that_change_nothing_are_kept():
    harmless = {
        "classifier_dropout": 0.0, "dtype": "float32", "hidden_size": 2048, "id2label": {"0": "A"}, "max_length": 20, "n_positions": 512,
        "num_beams": 4, "scalable_attention": True, "task_specific_params": {"a": {"prefix": "b"}}, "of_my_own": [1],
    }  # fmt: skip
    kept = t0.Config.from_dict({**T0_3B, **harmless}).to_dict()
    assert {key: kept[key] for key in harmless} == harmless


@pytest.mark.parity
def test_every_key_that_transformers_t5_reads_is_decided_here():
    """Its code, not its documentation, says which keys can change a number."""
    import re

    from transformers.models.t5 import modeling_t5

    from t0native.checkpoints import config

    read = set(re.findall(r"config\.([a-z_]\w*)", Path(modeling_t5.__file__).read_text()))
    ours = {field.name for field in dataclasses.fields(t0.Config)} | {
        *config._ONLY,
        *config._DERIVED,
        *config._ALIASES,
        "is_encoder_decoder",
    }
    how = {"_attn_implementation", "use_cache"}  # how it is computed, not what
    elsewhere = {"initializer_factor", "classifier_dropout", "num_labels", "problem_type"}  # random weights; classification heads
    assert {"d_model", "dense_act_fn"} < read and read <= ours | how | elsewhere


@pytest.mark.parametrize("key", ["vocab_size", "d_model", "d_kv", "d_ff", "num_layers", "num_heads"])
def test_no_default_stands_in_for_a_shape(key):
    with pytest.raises(t0.ConfigError, match=f"missing {key}"):
        t0.Config.from_dict({name: value for name, value in T0_3B.items() if name != key})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"d_model": 1, "d_model": 2}', '"x"', "[" * 100_000, '{"d_model": NaN}'])
def test_broken_files(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(t0.FormatError, match=r"config\.json"):
        t0.Config.from_file(tmp_path / "config.json")


def test_frozen_and_sizes_by_name():
    with pytest.raises(dataclasses.FrozenInstanceError):
        t0.Config.t5_v1_1("small").d_model = 5
    with pytest.raises(t0.ConfigError, match="size 'medium': must be 'small', 'base', "):
        t0.Config.t5_v1_1("medium")
    with pytest.raises(t0.ConfigError, match="must be 'small'"):
        t0.Config.t5_v1_1([1])
