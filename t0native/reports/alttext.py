"""Pictures in words, for who does not see them: alternative texts of pages, descriptions inside of picture files.

Each says what kind of picture it is, of what, and the numbers that it shows; long ones end in how many more there are."""

import numpy as np

__all__ = ["by_prompt_in_words", "curve_in_words", "heatmap_in_words", "summary_in_words"]

_MOST = 30  # numbers told of a picture


def summary_in_words(report, kind="Box plots"):
    """Of what draws a task and model each.

    >>> report = t0.evaluate(t0.mini.new_model(0), t0.mini.held_out_tasks()[0], limit=2, label="new", progress=False)
    >>> print(summary_in_words(report))
    Box plots, values in percent, chance dashed. inference: new 50.0 (median of 12 prompts, 0.0 to 100.0; chance 50.0).
    """
    parts = []
    for e in report.summary:
        if e["median"] is not None:
            chance = "" if e["chance"] is None else f"; chance {_percent(e['chance'])}"
            spread = f"{_percent(e['min'])} to {_percent(e['max'])}"
            parts.append(f"{e['task']}: {e['model']} {_percent(e['median'])} (median of {e['prompts']} prompts, {spread}{chance})")
    return f"{kind}, values in percent, chance dashed. {_join(parts)}."


def by_prompt_in_words(cells):
    """Of figures.by_prompt. cells: those that it draws, in its order.

    >>> cell = {"task": "rte", "prompt": "must be true", "model": "m", "value": 0.8, "low": 0.75, "high": 0.85}
    >>> by_prompt_in_words([cell])
    'Values by prompt with 95 % intervals, in percent. rte, must be true, m: 80.0 (75.0 to 85.0).'
    """
    parts = [
        f"{c['task']}, {c['prompt']}, {c['model']}: {_percent(c['value'])} ({_percent(c['low'])} to {_percent(c['high'])})" for c in cells
    ]
    return f"Values by prompt with 95 % intervals, in percent. {_join(parts)}."


def heatmap_in_words(task, model, prompts, rows):
    """Of figures.heatmap. prompts: [P] in its order.  rows: float64 [P, N], NaN where dropped.

    >>> heatmap_in_words("rte", "m", ["p", "q"], np.array([[1.0, 1.0], [1.0, 0.0]]))
    'Prompts by examples: which prompt is right on which of 2 examples of rte, m. Right, in percent: p 100.0; q 50.0.'
    """
    shares = [f"{prompt} {_percent(_mean(values))}" for prompt, values in zip(prompts, rows)]
    return (
        f"Prompts by examples: which prompt is right on which of {rows.shape[1]} examples of {task}, {model}. "
        f"Right, in percent: {_join(shares)}."
    )


def curve_in_words(steps, losses, validations):
    """Of a loss curve. steps, losses: [n].  validations: (step, percent) pairs.

    >>> curve_in_words([1, 2], [3.0, 2.5], [(2, 50.0)])
    'Loss over steps: 3.000 at step 1, 2.500 at step 2, lowest 2.500 at step 2. Validation, percent: 50.0 at step 2.'
    """
    lowest = int(np.argmin(losses))
    told = ", ".join(f"{losses[i]:.3f} at step {steps[i]}" for i in (0, -1)) + f", lowest {losses[lowest]:.3f} at step {steps[lowest]}"
    found = _join([f"{value:.1f} at step {step}" for step, value in validations])
    return f"Loss over steps: {told}." + (f" Validation, percent: {found}." if found else "")


def _join(parts):
    more = len(parts) - _MOST
    return "; ".join([*parts[:_MOST], *([f"and {more} more"] if more > 0 else [])])


def _percent(value):
    return "-" if value is None else f"{100 * value:.1f}"


def _mean(values):
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if len(kept) else None
