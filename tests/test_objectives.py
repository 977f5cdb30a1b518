"""Objectives on plain text: what comes out puts the text together again, by T5's rules and T0's trimming."""

import inspect

import numpy as np
import pytest

import t0native as t0
from t0native.base.errors import ConfigError, DataError
from t0native.training.batches import make_batch
from t0native.training.recipe import read_recipe


class Sentinels:  # all that an objective asks of a tokenizer
    kind, n_pieces, extra_ids, eos_id = "unigram", 1000, 100, 1


LAST = Sentinels.n_pieces + Sentinels.extra_ids - 1


def _together(source, target):
    """(ids, spans): the text that source and target were made of; fails where sentinels are out of order."""
    spans = {}
    for token in target:
        if token >= Sentinels.n_pieces:
            assert token == LAST - len(spans)
            spans[int(token)] = []
        else:
            spans[LAST - len(spans) + 1].append(int(token))
    ids = []
    for token in source:
        ids += spans[int(token)] if token >= Sentinels.n_pieces else [int(token)]
    sentinels = [int(token) for token in source if token >= Sentinels.n_pieces]
    assert sentinels == list(spans)  # each once, descending from the last id
    return ids, list(spans.values())


@pytest.mark.parametrize("n", [2, 3, 7, 20, 100, 512, 568])
@pytest.mark.parametrize("density, mean", [(0.15, 3.0), (0.5, 3.0), (0.5, 10.0), (0.9, 1.0)])
def test_spans_put_the_text_together_again(n, density, mean):
    objective, ids = t0.SpanCorruption(density=density, mean=mean), np.arange(3, 3 + n, dtype=np.int32)
    for key in range(20):
        source, target = objective.pair(ids, Sentinels, seed=1, key=key)
        again, spans = _together(source, target)
        noise = min(max(round(n * density), 1), n - 1)
        assert again == ids.tolist()
        assert sum(map(len, spans)) == noise and all(spans)
        assert len(spans) == max(1, min(round(noise / mean), noise, n - noise, 100))
        assert source[0] < Sentinels.n_pieces <= source[-1] and source.dtype == target.dtype == np.int32
        is_sentinel = source >= Sentinels.n_pieces
        assert not (is_sentinel[1:] & is_sentinel[:-1]).any()  # kept tokens between any two spans


def test_t5s_lengths():
    """568 tokens become 511 and, with the end of a text, 512, as T5 computes for inputs of 512; targets 113 and 114."""
    source, target = t0.SpanCorruption().pair(np.arange(568, dtype=np.int32), Sentinels, 0, 0)
    assert (len(source), len(target)) == (568 - 85 + 28, 85 + 28)


def test_a_text_of_two_tokens_by_hand():
    source, target = t0.SpanCorruption().pair(np.array([5, 6], np.int32), Sentinels, 0, 0)
    assert source.tolist() == [5, 1099] and target.tolist() == [1099, 6]
    assert t0.SpanCorruption().pair(np.array([5], np.int32), Sentinels, 0, 0) is None


def test_every_cutting_is_equally_likely():
    """5 noise tokens of 10 in 2 spans: 4 cuttings of the kept, 4 of the noise, 16 pairs; chi-square of 15, p = 0.001 at 37.7."""
    objective, counts = t0.SpanCorruption(density=0.5, mean=2.5), {}
    for key in range(1600):
        source = tuple(objective.pair(np.arange(10, dtype=np.int32), Sentinels, 7, key)[0].tolist())
        counts[source] = counts.get(source, 0) + 1
    assert len(counts) == 16
    assert sum((count - 100) ** 2 / 100 for count in counts.values()) < 37.7


def test_windows_of_long_texts():
    ids, starts = np.arange(200, dtype=np.int32), set()
    for key in range(100):
        source, target = t0.PrefixLM(length=190).pair(ids, Sentinels, 0, key)
        both = np.concatenate([source, target])
        assert np.array_equal(both, np.arange(both[0], both[0] + 190)) and len(source) and len(target)
        starts.add(int(both[0]))
    assert starts == set(range(11))


def test_examples_depend_on_seed_and_number_alone():
    objective, ids = t0.SpanCorruption(), np.arange(60, dtype=np.int32)
    one = [objective.pair(ids, Sentinels, seed, key)[0].tolist() for seed in (0, 1) for key in range(10)]
    again = [objective.pair(ids, Sentinels, seed, key)[0].tolist() for seed in (0, 1) for key in range(10)]
    assert one == again and len({tuple(source) for source in one}) == 20


def _mixed(tokenizer, **how):
    prompted = t0.Task("prompted", [{"text": "hey"}], [t0.Prompt("p", "{{ text }} ||| yes")])
    rows = [{"text": "a text of some words, number %d, and a few more of them" % i} for i in range(8)] + [{"text": " "}, {"text": "a"}]
    plain = t0.Task("plain", rows, [t0.SpanCorruption(), t0.PrefixLM(), t0.LM()])
    mixture = t0.Mixture([prompted, plain], weights={"prompted": 1, "plain": 3})
    return make_batch(mixture, tokenizer, 2, **{"seed": 4, "batch_size": 64, "max_source": 64, "max_target": 64} | how)


def test_objectives_are_mixed_by_rate_with_prompts():
    tokenizer = t0.mini.new_model(0).tokenizer
    batch = _mixed(tokenizer)
    kinds = {name: batch.components.count(name) for name in set(batch.components)}
    assert set(kinds) == {"prompted/p", "plain/span_corruption", "plain/prefix_lm", "plain/lm"} and all(
        8 <= n <= 26 for n in kinds.values()
    )
    for name, source, target in zip(batch.components, batch.sources, batch.targets):
        assert len(source) and target[-1] == tokenizer.eos_id
        if name == "plain/lm":
            assert source.tolist() == [tokenizer.eos_id]
        elif name.startswith("plain"):
            assert tokenizer.eos_id not in source
    again = _mixed(tokenizer)
    assert np.array_equal(batch.sources.ids, again.sources.ids) and np.array_equal(batch.targets.ids, again.targets.ids)
    short = _mixed(tokenizer, max_source=3, max_target=5)
    for long_target, target, source in zip(batch.targets, short.targets, short.sources):
        assert len(source) <= 3 and target.tolist() == long_target[:5].tolist()


def test_the_end_tokens_of_objectives_have_their_switches():
    tokenizer = t0.mini.new_model(0).tokenizer
    usual, other = _mixed(tokenizer), _mixed(tokenizer, add_eos_to_inputs=True, add_eos_to_targets=False)
    for before, after in zip(usual.sources, other.sources):
        assert after.tolist() == [*before, tokenizer.eos_id][:64]
    for before, after in zip(usual.targets, other.targets):
        assert after.tolist() == before[:-1].tolist()


def test_an_objective_is_not_evaluated():
    task, model = t0.Task("book", [{"text": "some words"}], t0.LM()), t0.mini.new_model(0)
    message = "task 'book': 'lm' is an objective, which can be trained on but not evaluated; give a prompt with answer choices, or one"
    with pytest.raises(ConfigError, match=message):
        t0.evaluate(model, task, progress=False)
    with pytest.raises(ConfigError, match=message):
        t0.train(model, task, steps=1, validate=task, progress=False)


def test_training_on_an_objective():
    task = t0.Task("plain", [{"text": "words that are learnt by heart"}] * 2, t0.SpanCorruption())
    run = t0.train(t0.mini.new_model(0), task, steps=3, batch_size=2, progress=False)
    assert len(run.losses) == 3 and np.isfinite(run.losses).all()


def test_refusals():
    for arguments in ({"density": 0}, {"density": 1.0}, {"mean": 0.5}, {"length": 1}, {"field": 3}):
        with pytest.raises(ConfigError, match=next(iter(arguments))):
            t0.SpanCorruption(**arguments)
    with pytest.raises(DataError, match="no field 'text'"):
        t0.Task("plain", [{"body": "a"}], t0.SpanCorruption())
    with pytest.raises(DataError, match="row 0: field 'text': int, must be text"):
        t0.Task("plain", [{"text": 3}], t0.LM()).render("lm", 0)
    one, two = (t0.Mixture(t0.Task("plain", [{"text": "a"}], t0.SpanCorruption(density=d))) for d in (0.15, 0.2))
    assert one.digest() != two.digest()


def test_recipes_name_objectives(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"body": "some words of a text"}\n')
    recipe = tmp_path / "run.yaml"
    entry = "model: M\nsteps: 1\ntasks:\n- {dataset: book, data: rows.jsonl, field: body, objective: %s}\n"
    for name in ("span_corruption", "prefix_lm", "lm"):
        recipe.write_text(entry % name)
        assert [c.name for c in read_recipe(recipe).mixture.components] == [f"book/{name}"]
    for bad, told in (("spans", "objective"), ("lm, prompts: P", "not both")):
        recipe.write_text(entry % bad)
        with pytest.raises(ConfigError, match=told):
            read_recipe(recipe)


@pytest.mark.parametrize("objective, context", [(t0.LM(), 1), (t0.PrefixLM(), 0)])
def test_at_trains_own_lengths_nothing_of_a_window_is_lost(objective, context):
    """context: tokens of the input that are not of the text."""
    usual = {name: parameter.default for name, parameter in inspect.signature(t0.train).parameters.items()}
    task = t0.Task("book", [{"text": "Anna drinks tea. " * 400}], objective)
    tokenizer = t0.mini.new_model(0).tokenizer
    lengths = {name: usual[name] for name in ("max_source", "max_target")}
    batch = make_batch(t0.Mixture(task), tokenizer, 0, seed=0, batch_size=8, **lengths)
    for source, target in zip(batch.sources, batch.targets):
        assert target[-1] == tokenizer.eos_id and len(source) - context + len(target) - 1 == objective.length == 255
