"""Statistics of prompts and of two models against scipy, nltk and plain loops, to 1e-12."""

import copy

import numpy as np
import pytest
from conftest import needed

import t0native as t0
from t0native._core import random_bits
from t0native.reports.analysis import agreement, fleiss_kappa, kendall_tau, paired_bootstrap, permutation_test, rank_stability
from t0native.reports.report import CELL_KEYS
from t0native.tasks.metrics import METRICS

CLOSE = {"rel": 0, "abs": 1e-12}
EXTRA = "pip install '.[test]'"


def rows_of(seed, prompts, rows, shares=None, dropped=0):
    random = np.random.default_rng(seed)
    found = (
        random.random((prompts, rows)) < (np.linspace(0.3, 0.8, prompts) if shares is None else np.full(prompts, shares))[:, None]
    ).astype(float)
    found[random.integers(0, prompts, dropped), random.integers(0, rows, dropped)] = np.nan
    return found


def report_of(values, seed=3, metric="accuracy", draws=None):
    """values: {(model, task): [P, N]}."""
    fixed = dict.fromkeys(CELL_KEYS) | {"metric": metric, "status": "ok", "dropped": 0}
    cells = [fixed | {"model": m, "task": t, "prompt": f"p{p}", "metrics": {}} for (m, t), rows in values.items() for p in range(len(rows))]
    return t0.Report.of_cells(
        cells, [row for rows in values.values() for row in rows], [0.5] * len(cells), draws, seed=seed, about={"seed": seed}
    )


def medians_apart(a, b):
    return np.median(np.nanmean(b, axis=1)) - np.median(np.nanmean(a, axis=1))


@pytest.mark.parametrize("prompts, rows", [(1, 8), (3, 9), (4, 10)])
def test_a_small_permutation_test_is_scipys_exact_one(prompts, rows):
    stats = needed("scipy.stats", EXTRA)
    a, b = rows_of(1, prompts, rows), rows_of(2, prompts, rows, 0.85)
    both = np.concatenate([a, b], axis=1)

    def statistic(i, j):
        return medians_apart(both[:, i], both[:, j])

    numbers = np.arange(rows)
    oracle = stats.permutation_test((numbers, numbers + rows), statistic, permutation_type="samples", n_resamples=np.inf)
    p = np.mean(np.abs(oracle.null_distribution) >= abs(oracle.statistic) - 1e-12)
    assert permutation_test(a, b) == pytest.approx(p, **CLOSE)
    assert p == pytest.approx(oracle.pvalue, **CLOSE)
    assert permutation_test(b, a) == permutation_test(a, b)


def test_a_large_permutation_test_swaps_rows():
    """The same coins, a permutation at a time; rows on which the models agree are not thrown for."""
    a, b = rows_of(3, 3, 120, 0.5, dropped=9), rows_of(4, 3, 120, 0.65)
    kept = ~np.isnan(a)
    differs = (np.where(kept, a, b) != b).any(axis=0)
    n, count = int(differs.sum()), 0
    words = -(-n // 64)
    found = abs(medians_apart(a, np.where(kept, b, np.nan)))
    for r in range(999):
        bits = random_bits(7, 9, (1 << 61) + r * words, words)
        swap = np.zeros(120, bool)
        swap[differs] = [not (int(bits[i // 64]) >> (i % 64 // 8 * 8 + 7 - i % 8)) & 1 for i in range(n)]
        x, y = np.where(swap, b, a), np.where(swap, a, b)
        x, y = np.where(kept, x, np.nan), np.where(kept, y, np.nan)
        count += abs(medians_apart(x, y)) >= found - 1e-12
    assert permutation_test(a, b, seed=7, permutations=999) == pytest.approx((1 + count) / 1000, **CLOSE)


def test_permutation_tests_of_equal_models_are_rarely_small():
    assert permutation_test(rows_of(1, 4, 50), rows_of(1, 4, 50)) == 1
    small = sum(permutation_test(rows_of(seed, 3, 60, 0.6), rows_of(seed + 500, 3, 60, 0.6), seed, 199) <= 0.1 for seed in range(200))
    assert 8 <= small <= 34  # 10 % of 200, standard deviation 4.2; medians are coarse, so fewer
    a, b = rows_of(1, 3, 200, 0.5), rows_of(2, 3, 200, 0.75)
    assert permutation_test(a, b) == 1 / 10_000
    a[1, ::2] = b[1, 1::2] = np.nan  # no row that both kept
    assert permutation_test(a, b) == permutation_test(a[[0, 2]], b[[0, 2]]) and permutation_test(a[1:2], b[1:2]) == 1


@pytest.mark.parametrize("over", ["both", "rows", "prompts"])
def test_the_paired_bootstrap_is_a_plain_loop(over):
    a, b = rows_of(5, 4, 30, dropped=5), rows_of(6, 4, 30, 0.7)
    differences = []
    for r in range(200):
        rows = [int(bits) % 30 for bits in random_bits(2, 9, r * 30, 30)] if over != "prompts" else slice(None)
        prompts = [int(bits) % 4 for bits in random_bits(2, 9, (1 << 60) + r * 4, 4)] if over != "rows" else slice(None)
        differences.append(medians_apart(a[prompts][:, rows], b[prompts][:, rows]))
    assert paired_bootstrap(a, b, 2, over, 200) == pytest.approx(tuple(np.percentile(differences, [2.5, 97.5])), **CLOSE)


def test_paired_intervals_are_narrower_than_those_of_models_apart():
    a = rows_of(8, 5, 300, 0.5)
    b = np.where(np.random.default_rng(9).random(a.shape) < 0.05, 1.0, a)  # a, and a little better
    low, high = paired_bootstrap(a, b)
    apart = report_of({("a", "t"): a, ("b", "t"): b}).summary
    assert 0 < low < high and high - low < 0.5 * sum(entry["high"] - entry["low"] for entry in apart) / 2


def test_kendalls_tau_is_scipys():
    stats = needed("scipy.stats", EXTRA)
    random = np.random.default_rng(0)
    x, y = random.integers(0, 6, (20, 9)), random.integers(0, 6, (20, 9))
    expected = [stats.kendalltau(*pair).statistic for pair in zip(x, y)]
    np.testing.assert_allclose(kendall_tau(x, y), expected, rtol=0, atol=1e-12)
    assert np.isnan(kendall_tau(np.ones(3), np.arange(3)))


def test_rank_stability_is_the_tau_of_halves():
    stats = needed("scipy.stats", EXTRA)
    rows, taus = rows_of(3, 5, 70, dropped=12), []
    for r in range(50):
        bits = np.array(
            [
                int(word) >> k & 1
                for word in random_bits(4, 9, (1 << 62) + 2 * r, 2)
                for byte in range(8)
                for k in range(8 * byte + 7, 8 * byte - 1, -1)
            ]
        )
        half = bits[:70].astype(bool)
        taus.append(stats.kendalltau(np.nanmean(rows[:, half], axis=1), np.nanmean(rows[:, ~half], axis=1)).statistic)
    assert rank_stability(rows, seed=4, splits=50) == pytest.approx(np.nanmean(taus), **CLOSE)
    assert rank_stability(rows_of(0, 6, 4000)) > 0.95 and abs(rank_stability(rows_of(0, 12, 400, 0.5))) < 0.35
    assert rank_stability(rows[:1]) is None and rank_stability(np.ones((3, 9))) is None


def test_fleiss_kappa_is_that_of_its_paper_and_of_nltk():
    agree = needed("nltk.metrics.agreement", "pip install '.[metrics]'")
    rows = rows_of(2, 5, 40)
    triples = [(p, i, value) for p, row in enumerate(rows) for i, value in enumerate(row)]
    alike, kappa = agreement(rows)
    assert kappa == pytest.approx(agree.AnnotationTask(data=triples).pi(), **CLOSE)
    pairs = [np.mean(rows[i] == rows[j]) for i in range(5) for j in range(i)]
    assert alike == pytest.approx(np.mean(pairs), **CLOSE)
    counts = [
        [0, 0, 0, 0, 14],
        [0, 2, 6, 4, 2],
        [0, 0, 3, 5, 6],
        [0, 3, 9, 2, 0],
        [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0],
        [3, 2, 6, 3, 0],
        [2, 5, 3, 2, 2],
        [6, 5, 2, 1, 0],
        [0, 2, 2, 3, 7],
    ]
    assert fleiss_kappa(np.array(counts)) == (
        pytest.approx(0.378, abs=5e-4),
        pytest.approx(0.210, abs=5e-4),
    )  # a worked example with 14 raters
    rows[0, 3] = np.nan
    assert agreement(rows) == agreement(np.delete(rows, 3, axis=1))
    assert agreement(rows[:1]) == agreement(rows * 0.5) == agreement(np.full((2, 3), np.nan)) == (None, None)
    assert agreement(np.ones((3, 4))) == (1, None)


def test_calibration_error_by_hand_and_by_a_loop():
    sharp = [np.log([0.9, 0.1])] * 10  # confidence 0.9, right 7 times of 10
    worth = [np.array([1.0, 0])] * 7 + [np.array([0, 1.0])] * 3
    assert METRICS["ece"].of_rows(sharp, worth) == pytest.approx(0.2, **CLOSE)
    random = np.random.default_rng(1)
    scores, true = random.normal(0, 3, (200, 3)), random.integers(0, 3, 200)
    shares = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    confidence, right, expected = shares.max(axis=1), shares.argmax(axis=1) == true, 0
    for k in range(15):
        inside = (confidence > k / 15) & (confidence <= (k + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert METRICS["ece"].of_rows(list(scores), list(np.eye(3)[true])) == pytest.approx(expected, **CLOSE)


def test_a_report_tells_its_statistics():
    rows = rows_of(1, 5, 80)
    report = report_of({("a", "t"): rows, ("a", "u"): rows[:1]})
    for cell in report.cells[:5]:
        cell["metrics"]["ece"] = 0.1 + 0.1 * int(cell["prompt"][1])
    t, u = report.statistics()
    values = rows.mean(axis=1)
    assert [cell["value"] for cell in t["cells"]] == pytest.approx(values, **CLOSE) and t["cells"][0]["low"] < values[0] < t["cells"][0][
        "high"
    ]
    q1, median, q3 = np.quantile(values, [0.25, 0.5, 0.75], method="linear")
    oracle = {"median": median, "q1": q1, "q3": q3, "iqr": q3 - q1, "mean": values.mean(), "min": values.min(), "max": values.max()}
    assert {key: t[key] for key in oracle} == pytest.approx(oracle, **CLOSE)
    assert (t["rank_stability"], t["ece"]) == (rank_stability(rows, 3), pytest.approx(0.3)) and (t["agreement"], t["kappa"]) == agreement(
        rows
    )
    assert (u["rank_stability"], u["agreement"], u["kappa"], u["ece"], u["prompts"], u["iqr"]) == (None, None, None, None, 1, 0)


def test_a_report_compares_two_models():
    a, b = rows_of(1, 4, 60), rows_of(2, 5, 60, 0.75)
    report = report_of({("a", "t"): a, ("b", "t"): b, ("a", "only a"): a})
    (found,) = report.compare("a", "b")
    values_a, values_b = a.mean(axis=1), b[:4].mean(axis=1)
    assert (found["task"], found["prompts"], found["better"]) == ("t", 4, (values_b > values_a).sum())
    assert found["difference"] == pytest.approx(medians_apart(a, b[:4]), **CLOSE) and found["b"] - found["a"] == found["difference"]
    for key, over in (("interval", "both"), ("over_rows", "rows"), ("over_prompts", "prompts")):
        assert tuple(found[key]) == paired_bootstrap(a, b[:4], 3, over)
    assert found["p"] == permutation_test(a, b[:4], 3) and found["tau"] == pytest.approx(kendall_tau(values_a, values_b), **CLOSE)


def test_metrics_that_are_no_means_are_compared_by_their_replicates():
    rows, random = rows_of(1, 3, 20), np.random.default_rng(0)
    draws = [random.random(1000) / 2 + 0.2 * (i > 2) for i in range(6)]
    report = report_of({("a", "t"): rows, ("b", "t"): rows}, metric="other")
    for i, cell in enumerate(report.cells):
        cell["metrics"] = {"other": 0.2 + 0.1 * i}
    report = t0.Report.of_cells(report.cells, report.correct, [None] * 6, draws, seed=3, about={"seed": 3})
    (found,) = report.compare("a", "b")
    assert (found["p"], found["difference"]) == (None, pytest.approx(0.3))
    apart = np.median(draws[3:], axis=0) - np.median(draws[:3], axis=0)
    assert found["over_rows"] == pytest.approx(np.percentile(apart, [2.5, 97.5]), **CLOSE)
    assert report.statistics()[0]["rank_stability"] is None


@pytest.mark.parametrize(
    "values, models, message",
    [
        ({("a", "t"): 5}, ("a", "c"), "no model 'c' in the report; there are: a"),
        ({("a", "t"): 5, ("b", "u"): 5}, ("a", "b"), "models 'a' and 'b' have no task in common that both were judged on"),
        ({("a", "t"): 5, ("b", "t"): 7}, ("a", "b"), "task 't': the models were judged on 5 and 7 rows; evaluate them alike"),
    ],
)
def test_models_that_cannot_be_compared(values, models, message):
    report = report_of({key: rows_of(0, 2, n) for key, n in values.items()})
    with pytest.raises(t0.ConfigError) as error:
        report.compare(*models)
    assert str(error.value) == message


def test_calibration_is_read_from_the_examples_of_a_run(tmp_path):
    model, task = t0.mini.new_model(0), t0.mini.held_out_tasks()[0]
    report = t0.evaluate(model, task, limit=12, out=tmp_path, progress=False)
    as_metric = t0.evaluate(model, t0.Task("t", task.rows, task.prompts, ["accuracy", "ece"]), limit=12, progress=False)
    (found,) = as_metric.statistics()
    errors = [cell["metrics"]["ece"] for cell in as_metric.cells]
    assert found["ece"] == np.median(errors) and len(set(errors)) > 1
    for again in (report, t0.Report.load(tmp_path), t0.Report.merge([t0.Report.load(tmp_path), as_metric])):
        assert again.statistics()[0]["ece"] == pytest.approx(found["ece"], **CLOSE)
        assert [one["value"] for one in again.examples(again.cells[3])] == report.correct[3].tolist()
    assert [one["value"] for one in as_metric.examples(as_metric.cells[0])] == as_metric.correct[0].tolist()  # from memory
    assert copy.copy(as_metric).examples(as_metric.cells[0]) is None
