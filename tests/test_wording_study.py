"""The study of wordings: variance by factor, the distribution from a part of the cells, choice without labels, choice among equals."""

import itertools

import numpy as np
import pytest
import wording_grids

import t0native as t0
from t0native.reports.factors import explained
from t0native.reports.rasch import RandomNumbers, estimate_accuracies, one_hot, sample_cells
from t0native.reports.report import CELL_KEYS
from t0native.reports.unlabeled import criteria, log_shares

# ---- factors -------------------------------------------------------------------------------------------------------------


def test_in_a_balanced_design_shares_are_the_classical_ones():
    rng = np.random.default_rng(0)
    rows = list(itertools.product("ab", "xyz", "12"))
    levels = {name: [row[f] for row in rows] for f, name in enumerate(("A", "B", "C"))}
    values = rng.normal(size=len(rows))
    total, shares, alone, last, rest = explained(values, levels)
    for f, of in enumerate(levels.values()):
        means = {level: values[[one == level for one in of]].mean() for level in of}
        classical = sum((means[level] - values.mean()) ** 2 for level in of) / total
        assert shares[f] == pytest.approx(classical) and alone[f] == pytest.approx(classical) and last[f] == pytest.approx(classical)
    assert shares.sum() + rest == pytest.approx(1) and total == pytest.approx(((values - values.mean()) ** 2).sum())


def test_in_an_unbalanced_design_shares_are_means_over_orders():
    """Against a plain statement: every order of the factors, each fit by least squares on dummies."""
    rng = np.random.default_rng(1)
    levels = {name: rng.choice(list("pqr"), 14).tolist() for name in "ABC"}
    values = rng.normal(size=14)

    def ss(names):
        columns = [np.ones(14)] + [np.array(levels[n]) == level for n in names for level in "pqr"]
        design = np.array(columns, float).T
        return ((design @ np.linalg.lstsq(design, values, rcond=None)[0] - values.mean()) ** 2).sum()

    expected = dict.fromkeys("ABC", 0.0)
    for order in itertools.permutations("ABC"):
        for k, name in enumerate(order):
            expected[name] += (ss(order[: k + 1]) - ss(order[:k])) / 6
    total, shares, alone, last, rest = explained(values, levels)
    assert shares * total == pytest.approx(list(expected.values()))
    assert alone * total == pytest.approx([ss("A"), ss("B"), ss("C")])
    assert last * total == pytest.approx([ss("ABC") - ss("BC"), ss("ABC") - ss("AC"), ss("ABC") - ss("AB")])
    assert rest == pytest.approx(1 - ss("ABC") / total)


def report_of(correct, factors):
    """A Report of cells with these values [P, N] and factors."""
    cells = []
    for p, of in enumerate(factors):
        cell = dict.fromkeys(CELL_KEYS) | {"model": "m", "task": "t", "prompt": str(p), "status": "ok", "metric": "accuracy"}
        cells.append(cell | ({"factors": of} if of else {}))
    return t0.Report.of_cells(cells, list(correct), [0.5] * len(cells), seed=0, about={"seed": 0})


def test_a_report_tells_which_factor_it_is():
    rng = np.random.default_rng(2)
    factors = [{"place": place, "words": words} for place, words in itertools.product(("first", "last"), ("yes", "true", "right"))]
    correct = np.array([rng.random(4000) < (0.9 if of["place"] == "first" else 0.6) for of in factors], float)
    split = report_of(correct, factors).factors("t", "m")[0]
    place, words = split.factors
    assert (place["factor"], split.balanced, split.wordings) == ("place", True, 6) and place["share"] > 0.98 and words["share"] < 0.01
    assert place["low"] <= place["share"] <= place["high"] and place["levels"]["first"]["wordings"] == 3
    assert place["levels"]["first"]["mean"] == pytest.approx(0.9, abs=0.01)
    assert "place" in str(split) and "not balanced" not in str(split)
    alike = report_of((rng.random((6, 400)) < 0.7).astype(float), factors).factors()[0]
    assert 0.3 < alike.chance <= 1 and 0 <= alike.rest <= 1
    missing = report_of(correct[:5], factors[:5]).factors()[0]
    assert not missing.balanced and "not balanced" in str(missing)


def test_what_cannot_be_split_is_told():
    plain = report_of(np.ones((2, 5)), [None, None])
    with pytest.raises(t0.ConfigError, match="no model and task of the report has two wordings or more with factors; t0.vary"):
        plain.factors()
    with pytest.raises(t0.ConfigError, match="no task 'x' in the report"):
        plain.factors("x")
    equal = report_of(np.ones((2, 5)), [{"a": "x"}, {"a": "y"}]).factors()[0]
    assert equal.variance == 0 and equal.factors[0]["share"] == 0 and equal.chance is None
    many = report_of(np.ones((2, 5)), [{str(f): level for f in range(11)} for level in "xy"])
    with pytest.raises(t0.ConfigError, match="11 factors; at most 10"):
        many.factors()


# ---- the distribution from a part of the cells --------------------------------------------------------------------------


def rasch_grid(rng, n_wordings=60, n_rows=100):
    easy, rows = rng.normal(1, 1, n_wordings), rng.normal(0, 1.5, n_rows)
    return rng.random((n_wordings, n_rows)) < 1 / (1 + np.exp(-(easy[:, None] + rows)))


def test_estimates_of_a_grid_as_the_model_has_it():
    """Within the stated error far more often than nine times in ten, and much nearer than the means of the cells that were seen."""
    covered, error, raw = [], [], []
    for seed in range(5):
        found = wording_grids.cover(rasch_grid(np.random.default_rng(seed)), np.zeros((60, 0)), 0.1, 1)
        covered.append(found["covered"]), error.append(found["error"]), raw.append(found["raw"])
    assert np.mean(covered) >= 0.95
    assert np.mean(error) < 0.6 * np.mean(raw) and np.mean(error) < 0.035


def test_cells_are_dealt_out_evenly_and_the_same_each_time():
    cells = sample_cells(37, 50, 0.1, seed=3)
    assert (cells.sum(axis=1) == 5).all() and set(cells.sum(axis=0)) <= {3, 4}
    assert (cells == sample_cells(37, 50, 0.1, seed=3)).all() and (cells != sample_cells(37, 50, 0.1, seed=4)).any()
    assert sample_cells(3, 10, 1.0).all() and (sample_cells(3, 10, 1e-9).sum(axis=1) == 1).all()


def test_random_numbers_are_what_they_are_called():
    random = RandomNumbers(0, 5)
    for draw, mean, spread in ((random.uniform(40_000), 0.5, 12**-0.5), (random.exponential(40_000), 1, 1), (random.normal(40_001), 0, 1)):
        assert draw.mean() == pytest.approx(mean, abs=0.02) and draw.std() == pytest.approx(spread, abs=0.02)


def test_with_all_cells_the_estimate_is_the_grid():
    grid = rasch_grid(np.random.default_rng(0), 20, 30).astype(float)
    estimate = estimate_accuracies(grid, np.zeros((20, 0)))
    assert (estimate.accuracies == grid.mean(axis=1)).all() and estimate.quantile(0.5) == (np.median(grid.mean(axis=1)),) * 3
    assert one_hot([{"a": "x", "b": "1"}, {"a": "y"}]).tolist() == [[1, 0, 1], [0, 1, 0]]  # b: a level, or none


def test_a_model_is_asked_a_part_of_the_cells(tmp_path):
    task = t0.mini.held_out_tasks()[0]
    few = t0.Task("few", task.rows[:40], t0.vary(task.prompts, limit=30))
    found = t0.estimate_wordings(t0.Model.mini(), few, share=0.2, out=tmp_path, progress=False)
    full = np.stack(t0.evaluate(t0.Model.mini(), few, progress=False).correct).mean(axis=1)
    assert (found.asked, found.cells) == (240, 1200)
    for q in (0.25, 0.5, 0.75):
        middle, low, high = found.quantile(q)
        assert low <= np.quantile(full, q) <= high and 0 <= low <= middle <= high <= 1
    assert found.mean()[0] == pytest.approx(full.mean(), abs=0.05)
    assert str(found).splitlines()[0] == "few: accuracy over 30 wordings, by 240 of 1,200 cells"
    again = t0.estimate_wordings(t0.Model.mini(), few, share=0.2, out=tmp_path, progress=False)
    assert again.quantile(0.5) == found.quantile(0.5)


def test_what_cannot_be_estimated_is_told():
    task, model = t0.mini.held_out_tasks()[0], t0.Model.mini()
    one = t0.Task("one", task.rows[:5], [task.prompts["does it follow"]])
    with pytest.raises(t0.ConfigError, match="one Task with several wordings"):
        t0.estimate_wordings(model, one)
    for share in (0, 1.5, "x"):
        with pytest.raises(t0.ConfigError, match="share"):
            t0.estimate_wordings(model, task, share=share)
    written = [t0.Prompt(name, "{{text}} ||| Anna and a cat") for name in ("one", "another")]
    half_right = {"text": "Anna keeps a cat. Ben keeps a dog. Who keeps the cat?"}  # the model says Anna
    f1 = t0.Task("f1", [half_right] * 2, written, metric="squad_f1")
    report = t0.evaluate(model, f1, progress=False)
    assert not np.isin(report.correct[0], (0, 1)).all()
    with pytest.raises(t0.DataError, match="not right or wrong alone"):
        t0.estimate_wordings(model, f1, share=1, progress=False)


def test_a_wording_that_failed_is_no_part_of_the_estimate(caplog):
    task, model = t0.mini.held_out_tasks()[0], t0.Model.mini()
    sound = [task.prompts[name] for name in list(task.prompts)[:3]]
    broken = t0.Prompt("broken", "{{nosuch}} ||| Yes", "Yes ||| No")
    found = t0.estimate_wordings(model, t0.Task("mixed", task.rows[:10], [*sound, broken], strict=False), share=0.5, progress=False)
    assert found.prompts == [prompt.name for prompt in sound] and len(found.accuracies) == 3 and found.cells == 30
    assert "estimate_wordings: mixed: broken failed, and is left out: " in caplog.text


def test_shares_of_nothing_are_no_less_than_nothing():
    """In a balanced design the fits of a factor differ by rounding alone where it explains nothing."""
    levels = {name: [row[f] for row in itertools.product("ab", "cd", "ef")] for f, name in enumerate("xyz")}
    values = np.array([0.1, 0.3, 0.7, 0.2] * 2) / 3 + np.random.default_rng(0).normal(size=(200, 1))
    total, shares, alone, last, rest = explained(values, levels)
    assert (shares >= 0).all() and (last >= 0).all() and shares.sum(axis=0) + rest == pytest.approx(1)


# ---- without labels -----------------------------------------------------------------------------------------------------


def test_criteria_equal_a_plain_statement_of_their_papers():
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], size=(5, 40))  # [W, N, C]
    agreement, information = criteria([list(np.log(of)) for of in p])
    entropy = lambda q: -(q * np.log(q)).sum(axis=-1)  # noqa: E731
    assert information == pytest.approx(entropy(p.mean(axis=1)) - entropy(p).mean(axis=1))
    pseudo = np.log(p).mean(axis=0).argmax(axis=1)
    assert agreement == pytest.approx((p.argmax(axis=2) == pseudo).mean(axis=1))
    assert np.exp(log_shares([np.array([-1000.0, -1001.0])])[0]).sum() == pytest.approx(1)


def test_wordings_are_chosen_without_labels():
    task, model = t0.mini.held_out_tasks()[0], t0.Model.mini("one prompt")
    rows = [{key: row[key] for key in ("premise", "hypothesis")} for row in task.rows[:60]]
    found = t0.choose_wordings(model, task.prompts, rows, progress=False)
    told = t0.evaluate(model, task, limit=60, progress=False).unlabeled()[0]
    assert [one["prompt"] for one in found] == [one["prompt"] for one in told["wordings"]]
    assert [one["agreement"] for one in found] == [one["agreement"] for one in told["wordings"]]
    by_other = t0.choose_wordings(model, task.prompts, rows, by="mutual_information", progress=False)
    information = [one["mutual_information"] for one in by_other]
    assert information == sorted(information, reverse=True) and -1 <= told["tau_agreement"] <= 1
    with pytest.raises(t0.ConfigError, match="by 'best'"):
        t0.choose_wordings(model, task.prompts, rows, by="best")
    with pytest.raises(t0.DataError, match="prompt 'written': no row has choices to compare"):
        t0.choose_wordings(model, [t0.Prompt("written", "{{premise}} Who? ||| x")], rows, progress=False)


def test_a_report_without_scores_says_so():
    with pytest.raises(t0.ConfigError, match="no scores of choices are at hand"):
        report_of(np.ones((2, 5)), [None, None]).unlabeled()


# ---- choice among equals ------------------------------------------------------------------------------------------------


def test_nested_choice_among_equal_wordings_is_not_biased_and_naive_choice_is():
    found = wording_grids.choose_among_equals(40, rows=50)
    bias, error = found["nested"]
    assert abs(bias) <= 3 * error  # 2 over 1,000 runs: benchmarks/RESULTS.md
    for how in ("naive", "same rows"):
        assert found[how][0] > 3 * found[how][1]
