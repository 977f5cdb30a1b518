"""How a training shows itself in notebooks: what it did, what validation found, the loss in text. Every text escaped."""

from html import escape

from t0native.base.htmltext import facts_table
from t0native.base.progress import duration
from t0native.reports.alttext import curve_in_words
from t0native.training.curves import loss_curve, read_points
from t0native.training.validations import best_validation, validations_of

__all__ = ["run_html"]


def run_html(run):
    """A Run as a table of facts, the last validation's summary, and the loss over its steps."""
    facts = [
        ("steps", f"{run.steps:,}" + (f", stopped: {run.stopped}" if run.stopped else "")),
        ("loss of the last", f"{run.losses[-1]:.4f} nats a target token" if run.losses else "-"),
        ("examples", f"{run.examples:,}, {run.tokens:,} tokens" + (f", {run.cut:,} with a value that was cut" if run.cut else "")),
        ("rows dropped", f"{sum(run.dropped.values()):,}"),
        ("time", duration(run.seconds)),
        ("folder", "-" if run.path is None else str(run.path)),
    ]
    best = best_validation(validations_of(run.log)[0])
    if best is not None:
        facts.insert(1, ("best", f"step {best[0]:,}, mean {best[1]:.1f} %"))
    parts = [facts_table([(name, escape(value)) for name, value in facts])]
    if run.reports:
        parts.append(f"<p>Validation, {escape(_label(run.reports[-1]))}:</p>{run.reports[-1]._repr_html_()}")
    return "".join([*parts, _curve(run)])


def _label(report):
    return ", ".join(dict.fromkeys(str(cell["model"]) for cell in report.cells))


def _curve(run):
    steps, losses = read_points(run)
    if len(steps) < 2:
        return ""
    words = curve_in_words(steps.tolist(), losses, [])
    return f'<pre role="img" aria-label="{escape(words)}">{escape(loss_curve(run, text=True))}</pre>'
