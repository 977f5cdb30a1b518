"""Generation against transformers, where it is installed: token for token, under options drawn by seed."""

import inspect
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from table_models import END, FORKED, model_of

import t0native as t0
from t0native import _core
from t0native.generation import options as generation_options
from t0native.generation.options import options_of

sys.path.insert(0, str(Path(__file__).parent / "golden"))
import golden_models as golden  # noqa: E402

LIVE = {
    "gated": golden.config(53, 16, 2, 8, 24, 1, 1),
    "prime, unequal depths": golden.config(37, 13, 3, 5, 17, 1, 2, 7, 20),
    "relu, tied": golden.config(43, 16, 4, 4, 32, 1, 1, proj="relu", tied=True),
}
CONFIGURATIONS = 70  # drawn for each model


def drawn(seed, vocabulary):
    """(options of a call, the inputs, what the answers begin with or None), drawn by the seed."""
    random = np.random.default_rng(seed)
    pick = lambda *values: values[random.integers(len(values))]
    often = lambda share: random.random() < share
    options = {"max_new_tokens": int(random.integers(1, 13))}
    if often(0.25):
        options["min_new_tokens"] = int(random.integers(0, options["max_new_tokens"] + 1))
    if (beams := pick(1, 1, 2, 3, 4, 5, 6)) > 1:
        options |= {"num_beams": beams, "num_return_sequences": int(random.integers(1, beams + 1))}
        options |= {"length_penalty": pick(1.0, 0.0, 0.6, 2.0, -1.0), "early_stopping": pick(True, False, "never")}
    if often(0.35):
        options["repetition_penalty"] = pick(1.3, 2.0, 0.7)
    if often(0.35):
        options["no_repeat_ngram_size"] = int(random.integers(1, 4))
    if often(0.35):
        options["bad_words_ids"] = [random.integers(0, vocabulary, size=pick(1, 2)).tolist() for _ in range(pick(1, 3, 5))]
    if often(0.25):
        most, key = pick(1, 2, 3), int(random.integers(1000))
        options["prefix_allowed_tokens_fn"] = lambda number, ids: [
            t for t in range(vocabulary) if t == 1 or (7 * t + 3 * int(ids[-1]) + key) % 4 <= most
        ]
    inputs = [random.integers(3, vocabulary, size=random.integers(1, 9)).tolist() for _ in range(1 + seed % 2)]
    begin = [random.integers(3, vocabulary, size=random.integers(1, 4)).tolist() for _ in inputs] if often(0.3) else None
    return options, inputs, begin


def theirs_of(theirs, source, begin, options):
    """The hub's answers to one input: lists of ids up to their end, without the start token."""
    import torch

    more = {} if begin is None else {"decoder_input_ids": torch.tensor([[0, *begin]])}
    with torch.no_grad():  # the hub's cache has places for the encoder's layers only, so it cannot be used for unequal depths
        rows = theirs.generate(torch.tensor([source]), do_sample=False, use_cache=False, **options, **more)[:, 1:].tolist()
    behind = 0 if begin is None else len(begin)
    return [row[: row.index(END, behind) + 1] if END in row[behind:] else row for row in rows]


@pytest.fixture
def one_torch_thread():
    """Models as small as these are several times slower with two."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", LIVE)
def test_the_hubs_answers_token_for_token(name, tmp_path, one_torch_thread):
    from transformers import T5ForConditionalGeneration

    core = _core.Model(LIVE[name])
    for tensor, shape in core.tensors():
        core._writable(tensor)[...] = golden.weight(tensor, shape, 20 + list(LIVE).index(name))
    model = t0.Model(core, t0.Config(**LIVE[name]))
    model.save(tmp_path)
    theirs = T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    lengths = set()
    for seed in range(CONFIGURATIONS):
        options, inputs, begin = drawn(seed, model.config.vocab_size)
        found = model.generate(inputs, decoder_input=begin, output_scores=True, **options)
        for i, answers in enumerate(found):
            answers = [one.ids.tolist() for one in (answers if options.get("num_return_sequences", 1) > 1 else [answers])]
            assert answers == theirs_of(theirs, inputs[i], begin and begin[i], options), (seed, options)
            lengths |= set(map(len, answers))
    assert len(lengths) > 8  # they were not all of one length


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_all_names_of_the_hub_are_known():
    from transformers import GenerationConfig, GenerationMixin

    theirs = {name for name in vars(GenerationConfig()) if not name.startswith("_")} | set(
        inspect.signature(GenerationMixin.generate).parameters
    )
    ours = {*generation_options._KINDS, *generation_options._UNAVAILABLE, *generation_options._IDLE, "inputs"}
    assert theirs - ours == {"self", "kwargs", "transformers_version"}
    defaults = {name: value for name, value in GenerationConfig._get_default_generation_params().items() if name != "max_length"}
    options_of(model_of(FORKED), defaults)  # none of which is refused
    assert {name: value for name, value in defaults.items() if name in generation_options._DEFAULTS} == generation_options._DEFAULTS


FILES = [  # what lies in a generation_config.json and is idle, or is not
    {"temperature": 0.0, "do_sample": False, "max_length": 12},
    {"temperature": -3, "top_k": 0, "top_p": 0.0, "typical_p": 0.0, "min_p": -1.0, "max_new_tokens": 7, "epsilon_cutoff": 0.4},
    {
        "top_h": 0.4,
        "eta_cutoff": 0.3,
        "max_new_tokens": 5,
        "length_penalty": 10.0,
        "renormalize_logits": True,
        "assistant_ensemble_weight": 0.5,
    },
    {"num_beams": 3, "length_penalty": 10.0, "max_length": 12},
    {"num_beams": 3, "length_penalty": 40.0, "max_length": 30, "early_stopping": "never"},
    {"num_beams": 2, "length_penalty": -6.5, "max_new_tokens": 9, "penalty_alpha": 0.6},
    {"num_beams": 4, "temperature": 0, "no_repeat_ngram_size": 2, "max_length": 9, "output_hidden_states": False},
    {"max_new_tokens": 6, "max_length": -4, "min_new_tokens": 3, "min_length": -1},
    {"max_new_tokens": 6, "remove_invalid_values": True, "low_memory": True},
    {"max_new_tokens": 6, "eos_token_id": [1, 7, 9]},
    {"max_length": 14, "repetition_penalty": 1.4, "early_stopping": True},
]


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("place", ["generation_config.json", "config.json"])
@pytest.mark.parametrize("said", FILES, ids=str)
def test_what_a_folder_says_counts_as_in_the_hub(said, place, tmp_path, one_torch_thread):
    """The ids that transformers gives for the folder, where the options lie in either file; where in both, in the first alone."""
    import torch
    from transformers import T5ForConditionalGeneration

    config = golden.config(53, 16, 2, 8, 24, 1, 1)
    core = _core.Model(config)
    for tensor, shape in core.tensors():
        core._writable(tensor)[...] = golden.weight(tensor, shape, 31)
    t0.Model(core, t0.Config(**config)).save(tmp_path)
    if place == "config.json":
        (tmp_path / "generation_config.json").unlink()
    file = tmp_path / place
    file.write_text(json.dumps(json.loads(file.read_text()) | said))
    model, theirs = t0.Model.from_pretrained(tmp_path), T5ForConditionalGeneration.from_pretrained(tmp_path).eval()
    for seed in range(4):
        source = np.random.default_rng(seed).integers(3, 53, 5 + seed).tolist()
        with torch.no_grad():
            row = theirs.generate(torch.tensor([source]))[0, 1:].tolist()
        ends = said.get("eos_token_id", [END])
        stop = next((i for i, id in enumerate(row) if id in ends), len(row))
        assert model.generate(source).tolist() == row[:stop]
    model.save(tmp_path / "again")
    assert t0.Model.from_pretrained(tmp_path / "again").generate(source).tolist() == row[:stop]
    if place == "config.json":
        (tmp_path / "generation_config.json").write_text('{"max_new_tokens": 2, "eos_token_id": 1}')
        assert len(t0.Model.from_pretrained(tmp_path).generate(source)) <= 2
