"""By hand: the miniature's full grid of 120 wordings, and how often an estimate from a part of it is within its stated error.

    python tests/wording_grids.py grid FILE.npz [--rows 200]            every cell of five tasks, once (minutes)
    python tests/wording_grids.py cover FILE.npz [--samplings 100] [--tasks inference,sense] [--shares 0.05,0.1]
    python tests/wording_grids.py choose [--runs 1000]                   what choosing among equal wordings does to accuracy

The tables of benchmarks/RESULTS.md are what these print."""

import argparse

import numpy as np

import t0native as t0
from t0native.classification.combining import combine
from t0native.classification.selection import FIVE, choose_weights, select_wordings
from t0native.reports.rasch import estimate_accuracies, one_hot, sample_cells

WORDINGS, QUANTILES = 120, (0.05, 0.25, 0.5, 0.75, 0.95)


def make_grid(path, rows):
    """Saves right or wrong of each task, bool [120, rows], under its name, and the factors' levels."""
    model, grid = t0.Model.mini(), {}
    for task in t0.mini.held_out_tasks():
        varied = t0.Task(task.name, task.rows[:rows], t0.vary(task.prompts, limit=WORDINGS))
        report = t0.evaluate(model, varied)
        grid[task.name] = np.stack(report.correct) == 1
        print(task.name, np.quantile(grid[task.name].mean(axis=1), QUANTILES).round(3).tolist(), flush=True)
    np.savez_compressed(path, **grid)


def designs():
    """{task: x}."""
    return {
        task.name: one_hot([wording.metadata.factors for wording in t0.vary(task.prompts, limit=WORDINGS).values()])
        for task in t0.mini.held_out_tasks()
    }


def cover(grid, x, share, samplings):
    """A dict of arrays [quantiles]: truth, covered (share of samplings), error (mean absolute), half (half of the stated interval), raw (mean
    absolute error of the quantiles of the wordings' own means of the cells seen)."""
    truth, found, raw = np.quantile(grid.mean(axis=1), QUANTILES), [], []
    for seed in range(samplings):
        cells = sample_cells(*grid.shape, share, seed)
        estimate = estimate_accuracies(np.where(cells, grid, np.nan), x, seed)
        found.append([estimate.quantile(q) for q in QUANTILES])
        raw.append(np.quantile((grid & cells).sum(axis=1) / cells.sum(axis=1), QUANTILES))
    middle, low, high = np.array(found).transpose(2, 0, 1)
    return {
        "truth": truth,
        "covered": ((low <= truth + 1e-9) & (truth - 1e-9 <= high)).mean(axis=0),
        "error": np.abs(middle - truth).mean(axis=0),
        "half": (high - low).mean(axis=0) / 2,
        "raw": np.abs(np.array(raw) - truth).mean(axis=0),
    }


def choose_among_equals(runs, rows=100, wordings=10, accuracy=0.7):
    """{how: (mean bias, its standard error)} over runs in which every wording is right with the same probability, whatever the row.

    nested: `honest` of select_wordings, of classifiers that vote.  naive: the accuracy of the best wording on the rows by which it is the
    best.  same: that of the wordings kept by select_wordings on the rows by which they were kept, less what these are worth on other rows:
    their vote may be better than one wording, which is no bias, so each is compared with its own worth on 4,000 new rows."""
    found, rng = {"nested": [], "same rows": [], "naive": []}, np.random.default_rng(0)
    for _ in range(runs):
        logs, right = _equal_wordings(rng, rows, wordings, accuracy)
        new_logs, new_right = _equal_wordings(rng, 4000, wordings, accuracy)
        selection = select_wordings(logs, right, "mean")
        worth = (combine(new_logs, "mean", selection.weights).argmax(axis=1) == new_right).mean()
        found["nested"].append(selection.honest - _worth_of_nested(logs, right, new_logs, new_right))
        found["same rows"].append(selection.same - worth)
        found["naive"].append((logs.argmax(axis=2) == right[:, None]).mean(axis=0).max() - accuracy)
    return {how: (np.mean(values), np.std(values, ddof=1) / np.sqrt(runs)) for how, values in found.items()}


def _equal_wordings(rng, rows, wordings, accuracy):
    """(log-probabilities [rows, wordings, 2], right [rows])."""
    right = rng.integers(2, size=rows)
    said = right[:, None] ^ (rng.random((rows, wordings)) >= accuracy)
    sure = rng.uniform(0.55, 0.95, (rows, wordings))
    return np.log(np.where(np.arange(2) == said[:, :, None], sure[:, :, None], 1 - sure[:, :, None])), right


def _worth_of_nested(logs, right, new_logs, new_right):
    """Mean accuracy on new rows of what is chosen without each of the five parts: what `honest` estimates."""
    parts = np.empty(len(right), int)
    parts[np.argsort(right, kind="stable")] = np.arange(len(right)) % FIVE
    chosen = [choose_weights(logs[parts != k], right[parts != k], "mean") for k in range(FIVE)]
    return np.mean([(combine(new_logs, "mean", weights).argmax(axis=1) == new_right).mean() for weights in chosen])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("grid", "cover", "choose"))
    parser.add_argument("path", nargs="?")
    parser.add_argument("--rows", type=int, default=200)
    parser.add_argument("--samplings", type=int, default=100)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--tasks")
    parser.add_argument("--shares", default="0.05,0.1")
    args = parser.parse_args()
    if args.what == "grid":
        make_grid(args.path, args.rows)
    elif args.what == "cover":
        grids, x = np.load(args.path), designs()
        for share in map(float, args.shares.split(",")):
            for name in args.tasks.split(",") if args.tasks else grids:
                found = cover(grids[name].astype(bool), x[name], share, args.samplings)
                print(name, share, *(f"{key} {np.round(value, 3).tolist()}" for key, value in found.items()), sep=" | ", flush=True)
    else:
        for how, (bias, error) in choose_among_equals(args.runs).items():
            print(f"{how}: {bias:+.5f}, standard error {error:.5f}, {bias / error:+.1f} of them")


if __name__ == "__main__":
    main()
