"""What calibration is worth on held-out tasks of the miniature: accuracy, ECE and Brier before and after each method.

    python benchmarks/calibration.py [--models FOLDER ...] [--deals 3] [--fit 150] [--out TABLE.md]

Tasks with one pair of labels (inference, sense), every wording that answers by that pair, combined by the mean of log-probabilities.
--models: trained models of other seeds, as `python benchmarks/calibration.py --train SEED FOLDER` makes them (four minutes, idle);
numbers of "all prompts" are then means over these and the carried one. A deal shuffles the rows: FIT of them calibrate (without their
labels) or tune (with them), the others are judged. Behind the change of a number stands its 95 % interval by the paired bootstrap: 2,000
draws of judged rows, the same rows before and after and in all models. Behind the number before: the least and the most of the models."""

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
from t0native.experiments.training import train_model
from t0native.reports.reliability import BINS

MODELS, TASKS = ("one prompt", "all prompts"), ("inference", "sense")
METHODS = ("none", "contextual", "pmi", "batch", "temperature", "platt", "isotonic", "wordings", "batch, temperature")
DRAWS = 2000


def train(seed, folder):
    """A model of "all prompts" by the recipe of the carried ones."""
    train_model(int(seed)).model.save(folder)


def table_of(model, task):
    """(Engine, scores [B, W, 2], label of each row) of a task under the wordings that share the most frequent pair of choices."""
    pairs = {name: tuple(prompt.fixed_choices or ()) for name, prompt in task.prompts.items()}
    ((pair, _),) = Counter(pair for pair in pairs.values() if len(pair) == 2).most_common(1)
    prompts = [task.prompts[name] for name in pairs if pairs[name] == pair]
    engine = Engine(model, dict(enumerate(pair)), prompts, Settings(progress=False))
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
    """95 % intervals [2, 3] of the changes' means over models. before, after: a table of probabilities a model."""
    n = len(right)
    weights = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(DRAWS)]).astype(float)
    changes = [numbers_of(new, right, weights) - numbers_of(old, right, weights) for old, new in zip(before, after)]
    return np.percentile(np.mean(changes, axis=0), [2.5, 97.5], axis=0)


def measure(label, models, task, deals, n_fit):
    """A row of the table a method: mean over models and deals of each number, and over deals of the changes' intervals."""
    tables = [table_of(model, task) for model in models]
    right, found = tables[0][2], {method: [] for method in METHODS}
    for deal in range(deals):
        rng = np.random.default_rng(deal)
        order = rng.permutation(len(right))
        fit, judged = order[:n_fit], order[n_fit:]
        before = [engine.probabilities(scores[judged], untrained(engine)) for engine, scores, _ in tables]
        for method in METHODS:
            after = [
                engine.probabilities(scores[judged], fitted_by(method, engine, scores[fit], right[fit])) for engine, scores, _ in tables
            ]
            low, high = interval(before, after, right[judged], rng) if method != "none" else (np.zeros(3), np.zeros(3))
            one = np.ones((1, len(judged)))
            found[method].append([[numbers_of(of_one, right[judged], one)[0] for of_one in after], [low], [high]])
    for method, rows in found.items():
        of_models = np.mean([numbers for numbers, _, _ in rows], axis=0)
        low, high = (np.mean([row[i][0] for row in rows], axis=0) for i in (1, 2))
        base = np.mean([numbers for numbers, _, _ in found["none"]], axis=(0, 1))
        yield [task.name, label, str(len(models)), str(len(tables[0][0].wordings)), method, *cells_of(of_models, base, low, high, method)]


def cells_of(of_models, base, low, high, method):
    """Accuracy, ECE and Brier with their changes; of_models: float64 [models, 3]."""
    cells = []
    for i, (scale, digits, sign) in enumerate(((100, "{:.1f}", "{:+.1f}"), (1, "{:.3f}", "{:+.3f}"), (1, "{:.3f}", "{:+.3f}"))):
        numbers, mean = scale * of_models[:, i], scale * of_models[:, i].mean()
        text = digits.format(mean)
        if method == "none" and len(numbers) > 1:
            text += f" ({digits.format(numbers.min())} to {digits.format(numbers.max())})"
        if method != "none":
            change = round(mean - scale * base[i], 6) + 0.0  # which leaves no -0.0
            text += f" ({sign.format(change)}: {sign.format(scale * low[i])} to {sign.format(scale * high[i])})"
        cells.append(text)
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=[])
    parser.add_argument("--train", nargs=2, metavar=("SEED", "FOLDER"))
    parser.add_argument("--deals", type=int, default=3)
    parser.add_argument("--fit", type=int, default=150)
    parser.add_argument("--out")
    options = parser.parse_args()
    if options.train:
        return train(*options.train)
    lines = ["| task | model | seeds | wordings | method | accuracy, % | ECE | Brier |", "|---|---|---|---|---|---|---|---|"]
    for task in t0.mini.held_out_tasks():
        if task.name in TASKS:
            for label in MODELS:
                models = [t0.Model.mini(label)]
                if label == "all prompts":
                    models += [t0.Model.from_pretrained(folder, add_eos_to_inputs=False) for folder in options.models]
                lines += [f"| {' | '.join(row)} |" for row in measure(label, models, task, options.deals, options.fit)]
    print("\n".join(lines))
    if options.out:
        write_text(options.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
