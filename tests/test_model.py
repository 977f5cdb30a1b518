"""Rank classification, likelihoods, generation, loading and saving, threads, interruption (parity: test_parity.py)."""

import dataclasses
import logging
import signal
import threading

import numpy as np
import pytest
from conftest import needed
from engine_models import build, golden, ragged
from engine_models import stored as stored_results

import t0native as t0
from t0native import _core
from t0native.base.memory import available_memory

WORDS = [f"{a}{b}{c}" for a in "bdk" for b in "aeiou" for c in ("", "n", "r")]


def text(seed, words):
    """A sentence of made-up words."""
    return " ".join(WORDS[int(i)] for i in golden.bits("text", words, seed) % np.uint64(len(WORDS)))


@pytest.fixture(scope="session")
def tokenizer(tmp_path_factory):
    spm = needed("sentencepiece", "pip install '.[test]'")
    folder = tmp_path_factory.mktemp("vocab")
    (folder / "text.txt").write_text("\n".join(text(i, 12) for i in range(400)))
    spm.SentencePieceTrainer.train(
        input=str(folder / "text.txt"), model_prefix=str(folder / "m"), vocab_size=60, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        hard_vocab_limit=False, minloglevel=5,
    )  # fmt: skip
    return t0.Tokenizer.from_file(folder / "m.model", extra_ids=0)


@pytest.fixture(scope="session")
def model(tokenizer):
    config = t0.Config(vocab_size=tokenizer.vocab_size + 3, d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8)
    return t0.Model.init(config, tokenizer, seed=4)


@pytest.fixture(scope="module")
def stored():
    return stored_results()


# ---- the golden models ---------------------------------------------------------------------------


@pytest.mark.parametrize("case", golden.CASES)
def test_greedy_generation_token_for_token(stored, case):
    model = build(case)
    sources, _ = golden.batch(case)
    ids, lengths, scores = model.core.generate(*ragged(sources), golden.GENERATED_TOKENS)
    for b, row in enumerate(stored[f"{case}/generated"]):
        expected = row[row >= 0]
        assert ids[b, : lengths[b]].tolist() == expected.tolist()
        assert scores[b] == pytest.approx(float(model.core.score(*ragged([sources[b]]), *ragged([expected]), [0])[0][0]), abs=1e-4)


# ---- rank classification and likelihoods ---------------------------------------------------------


def test_a_ranking(model):
    one = model.rank(text(1, 8), ["ba", "den kor", "bin"])
    assert isinstance(one, t0.Ranking) and one.choice == ["ba", "den kor", "bin"][one.index]
    assert one.index == int(np.argmax(one.scores)) and one.scores.dtype == np.float64 and len(one.scores) == 3
    assert one.lengths.tolist() == [len(model.tokenizer.encode(choice)) + 1 for choice in ["ba", "den kor", "bin"]]


def test_scores_are_sums_of_log_softmax_over_tokens_and_the_end(model):
    source, target = text(2, 6), "kan bo"
    ids = [*model.tokenizer.encode(target), 1]
    logits = model.logits(model.tokenizer.encode(source), [0, *ids[:-1]]).astype(np.float64)
    logp = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = logp[np.arange(len(ids)), ids].sum()
    assert model.score(source, target) == pytest.approx(expected, abs=1e-4)
    assert model.rank(source, [target, "x"]).scores[0] == pytest.approx(expected, abs=1e-4)


def test_many_inputs_in_the_callers_order_whatever_the_batches(model):
    inputs = [text(i % 17, 1 + i * 7 % 23) for i in range(60)]
    choices = [[text(i + 100, 1 + k % 4) for k in range(1 + i % 5)] for i in range(60)]
    alone = [model.rank(one, row) for one, row in zip(inputs, choices)]
    for batch_tokens in (1, 37, 100_000):
        together = model.rank(inputs, choices, batch_tokens=batch_tokens)
        for a, b in zip(alone, together):
            assert a.index == b.index and np.abs(a.scores - b.scores).max() <= 1e-5 and a.lengths.tolist() == b.lengths.tolist()


def test_identical_inputs_are_encoded_once(model, monkeypatch):
    encoded = []

    class Spy:
        def score(self, source_ids, source_offsets, *rest):
            encoded.append(len(source_offsets) - 1)
            return model.core.score(source_ids, source_offsets, *rest)

    spied = t0.Model(Spy(), model.config, model.tokenizer)
    rankings = spied.rank([text(1, 5), text(2, 5), text(1, 5)], [["ba", "bo"], ["ba", "bo"], ["bo", "ken"]])
    assert sum(encoded) == 2
    assert rankings[0].scores[1] == rankings[2].scores[0]


def test_a_thousand_choices(model):
    choices = [text(i, 1 + i % 9) for i in range(1000)]
    ranking = model.rank(text(3, 9), choices)
    assert len(ranking.scores) == 1000
    for i in (0, 499, 999):
        assert ranking.scores[i] == pytest.approx(model.score(text(3, 9), choices[i]), abs=1e-5)


def test_progress_and_nothing_to_do(model):
    seen = []
    model.rank([text(i, 5) for i in range(9)], [["ba", "bo"]] * 9, batch_tokens=30, progress=lambda done, total: seen.append((done, total)))
    assert len(seen) > 1 and seen == sorted(seen) and seen[-1] == (9, 9)
    assert model.rank([], []) == [] and model.score([], []).shape == (0,) and model.generate([]) == [] and model.encode([]) == []


def test_inputs_have_no_end_token_by_default_and_ids_are_taken_as_they_are(model):
    ids = model.tokenizer.encode(text(5, 4))
    target = [*model.tokenizer.encode("bo"), 1]
    assert model.score(text(5, 4), "bo") == pytest.approx(model.score(ids, target), abs=1e-5)
    assert model.score(text(5, 4), "bo", add_eos_to_inputs=True) == pytest.approx(model.score([*ids, 1], np.array(target)), abs=1e-5)


def test_long_texts_are_refused_or_cut_as_t0_cuts_them(model):
    long = text(6, 40)
    ids = model.tokenizer.encode(long)
    with pytest.raises(t0.DataError, match=f"input 1: {len(ids)} tokens, but max_input_length is 20.*truncate=True"):
        model.rank(["ba", long], [["bo"], ["bo"]], max_input_length=20)
    assert model.score(long, "bo", max_input_length=20, truncate=True) == pytest.approx(
        model.score(ids[:20], [*model.tokenizer.encode("bo"), 1])
    )
    cut = model.rank("ba", [long, "bo"], max_target_length=7, truncate=True)  # the end token goes first, then the cut
    assert cut.lengths[0] == 7 and cut.scores[0] == pytest.approx(model.score(model.tokenizer.encode("ba"), ids[:7]))
    with pytest.raises(t0.DataError, match="max_target_length"):
        model.score("ba", long, max_target_length=7)


BAD_RANKS = [
    (("ba", []), "at least one choice"),
    (("ba", "bo"), "at least one choice"),
    ((["ba"], [["bo"], ["bo"]]), "each of the 1 inputs"),
    ((["ba", ""], [["bo"], ["bo"]]), "input 1: it has no tokens"),
    ((["ba", 5], [["bo"], ["bo"]]), "input 1"),
    (([[1.5, 2.5]], [["bo"]]), "input 0"),
    (([[3, 5000]], [["bo"]]), "id 5000"),
    (([[3, -5]], [["bo"]]), "id -5 is outside of the vocabulary, which has"),
    ((None, [["bo"]]), "inputs None: must be a text, a sequence of ids, or a list of them"),
    (("ba", 3), "choices of input 0 3: must be"),
]


@pytest.mark.parametrize("arguments, message", BAD_RANKS, ids=[message for _, message in BAD_RANKS])
def test_bad_arguments_of_rank(model, arguments, message):
    with pytest.raises(ValueError, match=message) as error:
        model.rank(*arguments)
    assert isinstance(error.value, t0.Error)


def test_generators_and_numpys_numbers_are_taken(model):
    inputs, options = ["ba", "bo ken"], {"max_input_length": np.int64(30)}
    assert model.score(iter(inputs), iter(["bo", "ba"]), **options).tolist() == model.score(inputs, ["bo", "ba"]).tolist()
    (one, two), listed = model.rank(iter(inputs), (iter(["bo", "ken"]) for _ in inputs), **options), model.rank(inputs, [["bo", "ken"]] * 2)
    assert [one.scores.tolist(), two.scores.tolist()] == [ranking.scores.tolist() for ranking in listed] and one == one != two
    assert model.generate(iter(inputs), max_new_tokens=np.int64(2), **options) == model.generate(inputs, max_new_tokens=2)
    assert t0.Model.init(model.config, seed=np.int64(3), threads=np.int64(1)).threads == 1
    with pytest.raises(t0.ConfigError, match="targets 'xy': a text; a list of 2 targets is needed, one for each input"):
        model.score(inputs, "xy")


def test_scores_that_are_not_finite_never_make_a_ranking(model):
    broken = t0.Model.init(model.config, model.tokenizer)
    broken.core._writable("decoder.final_layer_norm.weight")[3] = np.inf
    with pytest.raises(t0.NumericError, match="^decoder, final norm: its result is not finite"):
        broken.rank("ba", ["bo", "ken"])
    with pytest.raises(t0.NumericError, match="not finite"):
        broken.generate("ba")


def test_a_model_without_a_tokenizer(model):
    bare = t0.Model(model.core, model.config)
    with pytest.raises(t0.ConfigError, match="no tokenizer"):
        bare.rank("ba", ["bo"])
    assert isinstance(bare.generate([3, 4], max_new_tokens=2), np.ndarray)


# ---- generation ----------------------------------------------------------------------------------


def test_generation_gives_texts_and_warns_when_cut(model, caplog):
    inputs = [text(i, 5) for i in range(4)]
    with caplog.at_level(logging.WARNING, "t0native"):
        answers = model.generate(inputs, max_new_tokens=3)
    ids, lengths, _ = model.core.generate(*ragged([model.tokenizer.encode(one) for one in inputs]), 3)
    assert answers == [model.tokenizer.decode([i for i in row[:length].tolist() if i != 1]) for row, length in zip(ids, lengths)]
    cut = sum(row[length - 1] != 1 for row, length in zip(ids, lengths))
    assert (f"{cut} of 4 answers reached max_new_tokens=3" in caplog.text) == (cut > 0)
    assert model.generate(inputs[0], max_new_tokens=3, num_beams=1, do_sample=False) == answers[0]


def test_min_new_tokens_forbids_the_end():
    model = build("gated-tied-few-buckets")  # ends after 2 and 1 tokens by itself
    sources, _ = golden.batch("gated-tied-few-buckets")
    ids, lengths, _ = model.core.generate(*ragged(sources), 8, 5)
    assert (lengths > 5).all() and not (ids[:, :5] == 1).any()


@pytest.mark.parametrize(
    "keywords, error, message",
    [
        ({"max_new_token": 5}, TypeError, "did you mean 'max_new_tokens'"),
        ({"max_new_tokens": 0}, t0.ConfigError, "max_new_tokens 0"),
        ({"max_new_tokens": 2.5}, ValueError, "max_new_tokens 2.5"),
        ({"max_new_tokens": 2, "min_new_tokens": 3}, t0.ConfigError, "min_new_tokens 3: must be a whole number from 0 to 2"),
    ],
)
def test_keywords_of_generate(model, keywords, error, message):
    with pytest.raises(error, match=message):
        model.generate("ba", **keywords)


# ---- loading, saving, views ----------------------------------------------------------------------


def test_a_vocabulary_with_many_unused_rows_is_told(model, tmp_path, caplog):
    for unused in (127, 128):
        config = t0.Config(vocab_size=model.tokenizer.n_pieces + unused, d_model=8, d_ff=8, num_layers=1, num_heads=1, d_kv=8)
        t0.Model.init(config, model.tokenizer).save(tmp_path)
        with caplog.at_level(logging.WARNING, "t0native"):
            t0.Model.from_pretrained(tmp_path)
        assert [
            record.getMessage().endswith(" 128 rows of the vocabulary without one: was the file cut off?") for record in caplog.records
        ] == [True] * (unused - 127)


def test_a_saved_model_answers_alike(model, tmp_path):
    model.save(tmp_path / "saved")
    again = t0.Model.from_pretrained(tmp_path / "saved")
    assert again.tokenizer.model_bytes == model.tokenizer.model_bytes and again.tokenizer.extra_ids == 0
    assert again.rank(text(1, 5), ["ba", "bo"]).scores.tolist() == model.rank(text(1, 5), ["ba", "bo"]).scores.tolist()


def test_initialisation_depends_on_the_seed_alone():
    config = t0.Config(vocab_size=300, d_model=64, d_ff=100, num_layers=2, num_heads=3, d_kv=16)
    a, b, c = (t0.Model.init(config, seed=seed).core for seed in (1, 1, 2))
    assert all(np.array_equal(a.tensor(name), b.tensor(name)) for name, _ in a.tensors())
    assert not np.array_equal(a.tensor("shared.weight"), c.tensor("shared.weight"))
    expected = {
        "shared.weight": 1.0,
        "encoder.block.1.layer.0.SelfAttention.q.weight": (64 * 16) ** -0.5,
        "encoder.block.1.layer.0.SelfAttention.k.weight": 64**-0.5,
        "encoder.block.1.layer.0.SelfAttention.o.weight": (3 * 16) ** -0.5,
        "decoder.block.0.layer.2.DenseReluDense.wo.weight": 100**-0.5,
        "lm_head.weight": 64**-0.5,
    }
    for name, deviation in expected.items():
        assert a.tensor(name).std() == pytest.approx(deviation, rel=0.05), name
    matching = t0.Model.init(config, seed=1, initializer="matching").core
    name = "encoder.block.0.layer.0.SelfAttention.k.weight"
    assert not np.array_equal(matching.tensor(name), a.tensor(name))
    with pytest.raises(ValueError, match="'matching'"):
        t0.Model.init(config, initializer="zero")


def test_views_are_read_only_and_keep_the_model_alive():
    view = t0.Model.init(t0.Config(vocab_size=30, d_model=8, d_ff=8, num_layers=1, num_heads=2)).core.tensor("shared.weight")
    with pytest.raises(ValueError, match="read-only"):
        view[0, 0] = 1.0
    assert np.isfinite(view).all() and view.shape == (30, 8) and view.std() > 0.5


def test_other_precisions_and_unknown_kernels(tmp_path, model, monkeypatch):
    model.save(tmp_path)
    with pytest.raises(t0.ConfigError, match="^dtype 'float16': must be 'float32', 'bfloat16' or 'int8'"):
        t0.Model.from_pretrained(tmp_path, dtype="float16")
    with pytest.raises(t0.ConfigError, match="^kernels 'quantum': must be a set that this processor runs: portable"):
        t0.Model.from_pretrained(tmp_path, kernels="quantum")
    monkeypatch.setenv("T0NATIVE_KERNELS", "foo")
    with pytest.raises(t0.ConfigError, match="^T0NATIVE_KERNELS 'foo': must be a set that this processor runs: portable"):
        t0.Model.from_pretrained(tmp_path)
    with pytest.raises(t0.ConfigError, match="config {'d_model': 8}: must be a Config"):
        t0.Model.init({"d_model": 8})
    assert t0.Model.from_pretrained(tmp_path, kernels="portable").core.kernels == "portable"


def test_more_memory_than_there_is(monkeypatch):
    free = available_memory()
    assert free is None or free > 1e6
    monkeypatch.setattr("t0native.base.memory.available_memory", lambda: 20e9)
    with pytest.raises(MemoryError, match=r"44\.5 GB in float32, but 20\.0 GB"):
        t0.Model.init(t0.Config.t5_v1_1("xxl"))


def test_a_lone_surrogate_is_told_with_its_place(model):
    with pytest.raises(t0.DataError, match="input 2: "):
        model.rank(["ba", "ba", "b\ud800"], [["bo"]] * 3)


def test_a_tokenizer_larger_than_the_vocabulary(model, tmp_path):
    with pytest.raises(t0.ConfigError, match="pieces"):
        t0.Model.init(t0.Config(vocab_size=10, d_model=8, d_ff=8, num_layers=1, num_heads=2), model.tokenizer)


def test_a_tokenizer_with_another_end_token(model, tmp_path):
    config = dataclasses.replace(model.config, eos_token_id=5)
    with pytest.raises(t0.ConfigError, match="does not fit the model: its end token is 1, but eos_token_id is 5"):
        t0.Model.init(config, model.tokenizer)
    t0.Model.init(config).save(tmp_path)
    (tmp_path / "spiece.model").write_bytes(model.tokenizer.model_bytes)
    with pytest.raises(t0.FormatError, match=r"spiece\.model: it does not fit config\.json: its end token is 1, but eos"):
        t0.Model.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "text, message",
    [
        ("[1]", "must hold an object"),
        ("{", "its JSON is broken"),
        ('{"extra_ids": 4}', "extra_ids 4: must be a whole number from 0 to 3, the rows of the vocabulary behind the pieces"),
        ('{"extra_ids": true}', "extra_ids True: must be a whole number"),
    ],
)
def test_broken_tokenizer_configurations(model, tmp_path, text, message):
    model.save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(text)
    with pytest.raises(t0.FormatError, match=f"tokenizer_config.json: {message}"):
        t0.Model.from_pretrained(tmp_path)


@pytest.mark.parametrize("options", [{"max_new_tokens": value} for value in (0, 2**20 + 1, 10**11, True, 2.5)] + [{"min_new_tokens": -1}])
def test_numbers_of_new_tokens_out_of_range(model, options):
    [(name, value)] = options.items()
    with pytest.raises(t0.ConfigError, match=f"{name} {value}: must be a whole number from [01] to (64|1048576)"):
        model.generate("ba", **options)


# ---- arrays of the core --------------------------------------------------------------------------

BAD_BATCHES = [
    (([1, 2, 3], [0, 2]), ValueError),
    (([1, 2, 3], [1, 3]), ValueError),
    (([1, 2, 3], []), ValueError),
    (([1, 2, 3], [0, 5, 3]), ValueError),
    (([1, 2, 3], [0, -1, 3]), ValueError),
    (([1, 2, 3], [0, 0, 3]), ValueError),
    (([[1, 2, 3]], [0, 3]), ValueError),
    (([1.0, 2.5], [0, 2]), TypeError),
    (([1, 2**40], [0, 2]), ValueError),
    ((["a"], [0, 1]), TypeError),
    ((None, [0, 1]), (TypeError, ValueError)),
]


@pytest.mark.parametrize("arrays, error", BAD_BATCHES, ids=[str(arrays) for arrays, _ in BAD_BATCHES])
def test_bad_arrays(arrays, error):
    core = build("gated-untied").core
    for call in (lambda: core.encode(*arrays), lambda: core.generate(*arrays, 3), lambda: core.score(*arrays, [1], [0, 1], [0])):
        with pytest.raises(error):
            call()
    assert core.encode([1, 2], [0, 2]).shape == (2, 16)


def test_bad_arguments_of_the_core():
    core = build("gated-untied").core
    for owners in ([1], [-1], [0, 0]):
        with pytest.raises(ValueError, match="source"):
            core.score([1, 2], [0, 2], [1], [0, 1], owners)
    for threads in (0, -1, 5000):
        with pytest.raises(ValueError, match="threads"):
            core.encode([1, 2], [0, 2], threads)
    with pytest.raises(ValueError, match="one for each"):
        core.logits([1, 2], [0, 2], [1, 1], [0, 1, 2])
    with pytest.raises(KeyError, match="nothing"):
        core.tensor("nothing")
    with pytest.raises(TypeError):
        _core.Model([])
    with pytest.raises(KeyError, match="d_model"):
        _core.Model({"vocab_size": 5})
    with pytest.raises((MemoryError, ValueError)):
        _core.Model({**golden.MODELS["gated-untied"][0], "vocab_size": 2**31 - 1, "d_model": 2**31 - 1})


# ---- threads and signals -------------------------------------------------------------------------


def test_many_threads_use_one_model(model):
    inputs = [text(i, 3 + i % 7) for i in range(12)]
    expected = [model.rank(one, ["ba", "bo", "ken"]).scores.tolist() for one in inputs]
    found = [None] * 48

    def work(k):
        found[k] = model.rank(inputs[k % 12], ["ba", "bo", "ken"]).scores.tolist()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(48)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected * 4


def test_thread_numbers(monkeypatch):
    monkeypatch.setattr("t0native.base.threads._chosen", None)
    monkeypatch.setenv("T0NATIVE_NUM_THREADS", "3")
    assert t0.get_num_threads() == 3
    t0.set_num_threads(2)
    assert t0.get_num_threads() == 2
    for bad in (0, -1, 1.5, True, "2"):
        with pytest.raises(t0.ConfigError, match="threads"):
            t0.set_num_threads(bad)
    monkeypatch.setattr("t0native.base.threads._chosen", None)
    monkeypatch.setenv("T0NATIVE_NUM_THREADS", "many")
    with pytest.raises(t0.ConfigError, match="T0NATIVE_NUM_THREADS 'many'"):
        t0.get_num_threads()


# ---- live comparisons ----------------------------------------------------------------------------

LIVE = {
    "gated": t0.Config(vocab_size=71, d_model=24, d_ff=40, num_layers=2, num_heads=3, d_kv=8, num_decoder_layers=3),
    "relu-tied": t0.Config(
        vocab_size=71, d_model=24, d_ff=40, num_layers=2, num_heads=3, d_kv=8, feed_forward_proj="relu", tie_word_embeddings=True
    ),
    "wide": t0.Config(vocab_size=331, d_model=192, d_ff=256, num_layers=1, num_heads=6, d_kv=32),
}


def in_transformers(folder):
    """(model, loading report) of a folder, as transformers loads it."""
    from transformers import T5ForConditionalGeneration

    loaded, report = T5ForConditionalGeneration.from_pretrained(folder, output_loading_info=True)
    return loaded.eval(), report


@pytest.mark.parity
@pytest.mark.parametrize("name", LIVE)
@pytest.mark.filterwarnings("ignore")
def test_transformers_loads_what_we_save_and_agrees(name, tmp_path):
    import torch

    model = t0.Model.init(LIVE[name], seed=11)
    model.save(tmp_path / "m")
    theirs, report = in_transformers(tmp_path / "m")
    assert not report["missing_keys"] and not report["unexpected_keys"] and not report["mismatched_keys"]
    source = golden.sequences("live", (90,), 71, 3)[0]
    inputs = [0, *golden.sequences("live target", (17,), 71, 3)[0]]
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([source]), decoder_input_ids=torch.tensor([inputs])).logits[0].numpy()
        generated = theirs.generate(torch.tensor([source]), max_new_tokens=12, do_sample=False, num_beams=1, use_cache=False)[
            0, 1:
        ].tolist()
    assert np.abs(model.logits(source, inputs) - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())
    ids, lengths, _ = model.core.generate(*ragged([source]), 12)
    assert ids[0, : lengths[0]].tolist() == generated


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("proj, tied", [("gated-gelu", False), ("relu", True)])
def test_we_load_what_transformers_saves(proj, tied, tmp_path):
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    shape = golden.config(50, 16, 2, 8, 24, 2, 1, proj=proj, tied=tied)
    torch.manual_seed(0)
    theirs = T5ForConditionalGeneration(T5Config(**shape)).eval()
    if not tied:
        theirs.lm_head.weight = torch.nn.Parameter(torch.randn_like(theirs.lm_head.weight))
    theirs.save_pretrained(tmp_path)
    model = t0.Model.from_pretrained(tmp_path)
    assert model.config.tie_word_embeddings is tied
    with torch.no_grad():
        expected = theirs(input_ids=torch.tensor([[5, 6, 7]]), decoder_input_ids=torch.tensor([[0, 9]])).logits[0].numpy()
    assert np.abs(model.logits([5, 6, 7], [0, 9]) - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())


@pytest.mark.parity
@pytest.mark.filterwarnings("ignore")
def test_transformers_reads_our_tokenizer_folder(model, tmp_path):
    needed("google.protobuf", "transformers reads spiece.model with it (pip install '.[parity]')")
    from transformers import AutoTokenizer

    model.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    for seed in range(5):
        assert theirs(text(seed, 9)).input_ids == [*model.tokenizer.encode(text(seed, 9)), 1]


def test_signals_are_python_again_after_a_call(model):
    """The core installs no handler of its own."""
    before = signal.getsignal(signal.SIGINT)
    model.rank("ba", ["bo"])
    assert signal.getsignal(signal.SIGINT) is before


def test_scores_of_tokens_and_by_length(model):
    inputs, choices = ["ba bo", "ken"], [["bo", "ken ba ba"], ["ba", "bo", "ba"]]
    plain, full = model.rank(inputs, choices), model.rank(inputs, choices, token_scores=True, length_normalize=True)
    for one, other in zip(plain, full):
        assert one.token_scores is None and (one.scores == other.scores).all()
        assert [len(part) for part in other.token_scores] == other.lengths.tolist()
        assert np.allclose([part.sum(dtype=float) for part in other.token_scores], other.scores, rtol=1e-6)
        assert other.index == np.argmax(other.normalized) and one.index == np.argmax(one.scores)
    mean, parts = model.score(inputs, ["bo", "ba"], length_normalize=True, token_scores=True)
    assert np.allclose(mean, [part.mean(dtype=float) for part in parts], rtol=1e-6)
    alone, part = model.score("ken", "ba", token_scores=True)
    assert alone == model.score("ken", "ba") and (part == parts[1]).all()
    with pytest.raises(t0.ConfigError, match="length_normalize 'yes': must be true or false"):
        model.score("ken", "ba", length_normalize="yes")


def test_sentinels_are_taken_on_request(model, tmp_path):
    model.save(tmp_path)
    with_three = t0.Tokenizer.from_file(tmp_path / "spiece.model", extra_ids=3)
    model = t0.Model(model.core, model.config, with_three)
    ids = with_three.encode_batch(["ba <extra_id_0> bo"], sentinels=True).ids
    assert with_three.vocab_size - 1 in ids
    assert model.score("ba <extra_id_0> bo", "ken", sentinels=True) == model.score(ids, "ken") != model.score("ba <extra_id_0> bo", "ken")
    taken = [model.encode("ba <extra_id_0> bo", sentinels=True), model.generate("ba <extra_id_0> bo", sentinels=True, max_new_tokens=3)]
    assert (taken[0] == model.encode(ids)).all() and taken[1] == model.generate(ids, max_new_tokens=3)
