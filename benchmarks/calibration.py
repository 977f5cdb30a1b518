"""What calibration is worth on held-out tasks of the miniature: accuracy, ECE and Brier before and after each method.

    python benchmarks/calibration.py [--seeds 3] [--fit 150] [--out TABLE.md]

Tasks with one pair of labels (inference, sense), every wording that answers by that pair, combined by the mean of log-probabilities. A
seed deals the rows: FIT of them calibrate (without their labels) or tune (with them), the others are judged. Behind the change of a number
stands its 95 % interval by the paired bootstrap: 2,000 draws of judged rows, the same rows before and after."""

import argparse
from collections import Counter

import numpy as np

import t0native as t0
from t0native.base.files import write_text
from t0native.classification.calibration import batch_prior
from t0native.classification.engine import Engine, Settings
from t0native.classification.fitting import calibrated, untrained
from t0native.classification.quality import Judged
from t0native.classification.selection import select_wordings
from t0native.classification.tuning import fit_tuner
from t0native.reports.reliability import BINS

MODELS, TASKS = ("one prompt", "all prompts"), ("inference", "sense")
METHODS = ("none", "contextual", "pmi", "batch", "temperature", "platt", "isotonic", "wordings", "batch, temperature")
DRAWS = 2000


def table_of(label, task):
    """(Engine, scores [B, W, 2], label of each row) of a task under the wordings that share the most frequent pair of choices."""
    pairs = {name: tuple(prompt.fixed_choices or ()) for name, prompt in task.prompts.items()}
    ((pair, _),) = Counter(pair for pair in pairs.values() if len(pair) == 2).most_common(1)
    prompts = [task.prompts[name] for name in pairs if pairs[name] == pair]
    engine = Engine(t0.Model.mini(label), dict(enumerate(pair)), prompts, Settings(progress=False))
    return engine, engine.score([task.rows[i] for i in range(len(task.rows))]).scores, np.array([row["label"] for row in task.rows])


def fitted_by(method, engine, scores, right):
    """What a method learns of rows: their scores, and for some their labels."""
    fitted = untrained(engine)
    for part in method.split(", "):
        if part in ("contextual", "pmi"):
            fitted = calibrated(engine, fitted, part, None)
        elif part == "batch":
            fitted = fitted._replace(prior=batch_prior(scores))
        elif part == "wordings":
            fitted = fitted._replace(weights=select_wordings(engine.log_shares(scores, fitted.prior), right, "mean").weights)
        elif part != "none":
            fitted = fitted._replace(tuner=fit_tuner(part, engine.combine(scores, fitted), np.eye(2, dtype=bool)[right], False))
    return fitted


def numbers_of(probabilities, right, weights):
    """float64 [draws, 3]: accuracy, ECE, Brier of weightings [draws, rows] of the rows."""
    judged = Judged("", probabilities, np.eye(2, dtype=bool)[right], np.ones(len(right), bool))
    hits, confidence, brier = judged.hits.astype(float), judged.confidence, ((probabilities - judged.right) ** 2).sum(axis=1)
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)[:, None] == np.arange(BINS)
    apart = np.abs(weights @ ((hits - confidence)[:, None] * bins)).sum(axis=1)
    return np.stack([weights @ hits, apart, weights @ brier], axis=1) / weights.sum(axis=1, keepdims=True)


def interval(before, after, right, rng):
    """95 % intervals [2, 3] of the changes."""
    n = len(right)
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(DRAWS)]).astype(float)
    return np.percentile(numbers_of(after, right, weights) - numbers_of(before, right, weights), [2.5, 97.5], axis=0)


def measure(label, task, seeds, n_fit):
    """A row of the table a method: mean over seeds of each number, and of the changes' intervals."""
    engine, scores, right = table_of(label, task)
    found = {method: [] for method in METHODS}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(right))
        fit, judged = order[:n_fit], order[n_fit:]
        before = engine.probabilities(scores[judged], untrained(engine))
        for method in METHODS:
            after = engine.probabilities(scores[judged], fitted_by(method, engine, scores[fit], right[fit]))
            low, high = interval(before, after, right[judged], rng) if method != "none" else (np.zeros(3), np.zeros(3))
            found[method].append([numbers_of(after, right[judged], np.ones((1, len(judged))))[0], low, high])
    for method, rows in found.items():
        (accuracy, ece, brier), low, high = np.mean(rows, axis=0)
        base = np.mean(found["none"], axis=0)[0]
        cells = [f"{100 * accuracy:.1f}", f"{ece:.3f}", f"{brier:.3f}"]
        if method != "none":
            cells[0] += f" ({100 * (accuracy - base[0]):+.1f}: {100 * low[0]:+.1f} to {100 * high[0]:+.1f})"
            cells[1] += f" ({ece - base[1]:+.3f}: {low[1]:+.3f} to {high[1]:+.3f})"
            cells[2] += f" ({brier - base[2]:+.3f}: {low[2]:+.3f} to {high[2]:+.3f})"
        yield [task.name, label, str(len(engine.wordings)), method, *cells]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fit", type=int, default=150)
    parser.add_argument("--out")
    options = parser.parse_args()
    lines = ["| task | model | wordings | method | accuracy, % | ECE | Brier |", "|---|---|---|---|---|---|---|"]
    for task in t0.mini.held_out_tasks():
        if task.name in TASKS:
            for label in MODELS:
                lines += [f"| {' | '.join(row)} |" for row in measure(label, task, options.seeds, options.fit)]
    print("\n".join(lines))
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
