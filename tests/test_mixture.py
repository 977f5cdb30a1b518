"""Mixtures: T0's rates, sampling as a pure function of (seed, k), and what is refused."""

from fractions import Fraction

import numpy as np
import pytest
from fakes import FakePrompt, rows_of, yes_no

import t0native as t0
from t0native._core import random_bits


class Many:
    """So many rows, without their memory."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return {"text": f"row {i}", "label": i % 2}


def task(name, n, n_prompts):
    return t0.Task(name, Many(n), {f"p{i}": yes_no(f"p{i}") for i in range(n_prompts)})


def test_rates_are_t0s():
    # sizes and templates of amazon_polarity, yelp_review_full, wiki_bio, dbpedia_14 and super_glue/copa: t-zero's caps
    sizes = {"amazon": (3_600_000, 9, 55_555), "yelp": (650_000, 7, 71_428), "bio": (582_659, 5, 100_000), "dbpedia": (560_000, 4, 125_000)}
    tasks = [task(name, n, k) for name, (n, k, _) in sizes.items()] + [task("copa", 400, 12), task("edge", 500_000, 3)]
    mixture = t0.Mixture(tasks)
    rates = {c.task_name: c.rate for c in mixture.components}
    assert rates == {name: rate for name, (_, _, rate) in sizes.items()} | {"copa": 400, "edge": 500_000}
    assert len(mixture) == 9 + 7 + 5 + 4 + 12 + 3
    assert sum(c.share for c in mixture.components) == pytest.approx(1, abs=1e-12)


def test_explicit_rates_and_weights():
    tasks = [task("a", 10, 2), task("b", 30, 1)]
    rates = {(c.task_name, c.prompt): c.rate for c in t0.Mixture(tasks, rates={"a": 5, ("b", "p0"): 2}).components}
    assert rates == {("a", "p0"): 5, ("a", "p1"): 5, ("b", "p0"): 2}
    shares = {(c.task_name, c.prompt): c.share for c in t0.Mixture(tasks, weights={"a": 1, "b": 3}).components}
    assert shares == {("a", "p0"): 0.125, ("a", "p1"): 0.125, ("b", "p0"): 0.75}
    assert [c.rate for c in t0.Mixture(tasks, rates=lambda c: c.size**0.5).components] == [10**0.5, 10**0.5, 30**0.5]


def test_mixtures_nest():
    inner = t0.Mixture([task("a", 10, 1)], rates={"a": 3})
    assert [c.rate for c in t0.Mixture([inner, task("b", 7, 1)]).components] == [3, 7]
    levels = t0.Mixture([t0.Mixture([task("a", 10, 1)]), t0.Mixture([task("a", 30, 1)])])  # the same task in two forms
    assert [c.share for c in levels.components] == [0.25, 0.75]


def test_a_nested_mixture_shares_the_rate_of_its_name():
    inner = t0.Mixture([task("a", 10, 1), task("b", 30, 1)], name="inner")
    assert [c.rate for c in t0.Mixture([inner, task("c", 7, 1)], rates={"inner": 8, "c": 2}).components] == [2, 6, 2]
    assert [c.rate for c in t0.Mixture([inner, task("c", 7, 1)], rates={"a": 1}).components] == [1, 30, 7]


def test_maximum_and_temperature_are_seqios():
    tasks = [task("a", 400, 1), task("b", 100, 2), task("c", 9, 1)]
    assert [c.rate for c in t0.Mixture(tasks, maximum=144).components] == [144, 100, 100, 9]
    assert [c.rate for c in t0.Mixture(tasks, maximum=144, temperature=2).components] == [12, 10, 10, 3]
    assert [c.share for c in t0.Mixture(tasks, maximum=144, temperature=2).components] == [12 / 35, 10 / 35, 10 / 35, 3 / 35]
    flat = t0.Mixture([t0.Mixture(tasks)], temperature=1e6).components
    assert [c.share for c in flat] == pytest.approx([0.25] * 4, abs=1e-5)


def test_dropped_rows_are_counted():
    odd = FakePrompt("odd", lambda row: (row["text"], "yes", None) if row["label"] else None)
    mixture = t0.Mixture([t0.Task("t", rows_of(40), {"odd": odd, "all": yes_no("all")})])
    assert mixture.dropped() == mixture.dropped(sample=99) == {"t/odd": (40, 20), "t/all": (40, 0)}
    assert mixture.dropped(sample=13)["t/odd"][0] == 13


def test_examples_are_a_pure_function_of_seed_and_number():
    mixture = t0.Mixture([task("a", 1000, 3), task("b", 300, 2)])
    together = mixture.examples(7, 100, 50)
    assert together == [mixture.example(7, 100 + i) for i in range(50)]
    assert together[20:30] == mixture.examples(7, 120, 10)
    assert together != mixture.examples(8, 100, 50)
    for k, drawn in enumerate(together, 100):  # by hand: rates 1000 x 3 then 300 x 2, of 3600
        [bits] = random_bits(7, 3, k, 1)
        place = Fraction(int(bits) >> 11, 2**53) * 3600
        expected = int(place // 1000) if place < 3000 else 3 + int((place - 3000) // 300)
        assert drawn.component == mixture.components[expected]
        assert drawn.row == int(random_bits(7, 4, k, 1)[0]) % drawn.component.size
    # frozen: a change of the order would make old runs unrepeatable
    assert [(d.component.name, d.row) for d in together[:3]] == [("a/p1", 35), ("a/p2", 15), ("a/p1", 667)]


def test_draws_fit_the_rates():
    from scipy.stats import chisquare

    mixture = t0.Mixture([task("a", 1000, 3), task("b", 300, 2), task("c", 77, 1)])
    n = 200_000
    which, rows = mixture.draw(3, 0, n)
    counts = np.bincount(which, minlength=6)
    assert chisquare(counts, n * np.array([c.share for c in mixture.components])).pvalue > 1e-3
    assert chisquare(np.bincount(rows[which == 5], minlength=77)).pvalue > 1e-3
    assert rows.min() == 0 and all(rows[which == c].max() < mixture.components[c].size for c in range(6))


def test_dropped_rows_are_drawn_anew():
    odd = FakePrompt("odd", lambda row: (row["text"], "yes", None) if row["label"] else None)
    mixture = t0.Mixture([t0.Task("t", rows_of(40), {"odd": odd})])
    drawn = mixture.examples(0, 0, 200)
    assert all(rows_of(40)[d.row]["label"] for d in drawn)
    assert {d.attempt for d in drawn} > {0, 1}
    assert len({d.row for d in drawn}) == 20


def test_a_prompt_that_drops_everything_is_named():
    never = FakePrompt("never", lambda row: None)
    mixture = t0.Mixture([t0.Task("t", rows_of(4), {"never": never})])
    with pytest.raises(t0.DataError, match="task 't', prompt 'never': 100 rows drawn one after the other gave no example"):
        mixture.example(0, 0)


def test_describe_tells_sizes_rates_epochs_and_hash():
    mixture = t0.Mixture([task("a", 1000, 2), task("bb", 500, 1)])
    lines = mixture.describe(examples=5000).splitlines()
    assert lines[0].split() == ["component", "rows", "rate", "share", "epochs"]
    assert lines[1].split() == ["a/p0", "1,000", "1,000", "40.000%", "2.00"]
    assert lines[4] == f"3 components, sum of rates 2,500, sha256 {mixture.digest()}"
    assert mixture.digest() == t0.Mixture([task("a", 1000, 2), task("bb", 500, 1)]).digest()
    others = [t0.Mixture([task("a", 1001, 2), task("bb", 500, 1)]), t0.Mixture([task("a", 1000, 2), task("bb", 500, 1)], rates={"a": 2})]
    assert len({mixture.digest(), *(m.digest() for m in others)}) == 3


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: t0.Mixture([]), "mixture 'mixture': no tasks"),
        (lambda: t0.Mixture(["rte"]), "a mixture is made of tasks and mixtures, not of str"),
        (lambda: t0.Mixture([task("rte", 5, 1)], rates={"rtf": 1}), "rate for unknown task 'rtf'; did you mean 'rte'?"),
        (lambda: t0.Mixture([task("a", 5, 1), task("b", 5, 1)], weights={"a": 1}), "no weight for task 'b'; weights must name every task"),
        (
            lambda: t0.Mixture([task("a", 5, 1)], rates={"a": 0}),
            "component 'a/p0': rate 0: must be a positive number; leave the task out instead of 0",
        ),
        (lambda: t0.Mixture([task("a", 5, 1), task("a", 5, 1)]), "two tasks are called 'a'; give them different names"),
        (lambda: t0.Mixture([task("a", 5, 1)], temperature=0), "temperature 0: must be a positive number"),
        (lambda: t0.Mixture([task("a", 5, 1)], temperature=float("nan")), "temperature nan: must be a positive number"),
        (lambda: t0.Mixture([task("a", 5, 1)], maximum="5"), "maximum '5': must be a positive number"),
        (lambda: t0.Mixture([t0.Mixture([task("a", 5, 1)], name="in")], rates={"in": -1}), "rate of 'in' -1: must be a positive number"),
        (
            lambda: t0.Mixture([t0.Mixture([task("a", 5, 1)], name="in")], rates={"inn": 1}),
            "rate for unknown task 'inn'; did you mean 'in'?",
        ),
        (lambda: t0.Mixture([task("a", 5, 1)]).dropped(sample=0), "sample 0: must be a whole number, at least 1"),
        (lambda: t0.Mixture([task("a", 5, 1)], rates={}, weights={}), "give rates or weights, not both"),
    ],
)
def test_mixtures_that_cannot_be(make, message):
    with pytest.raises(t0.ConfigError) as error:
        make()
    assert str(error.value) == message
