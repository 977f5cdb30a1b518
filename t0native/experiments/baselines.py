"""The models of the demo: the labels, the carried ones, and what counts as shown."""

from pathlib import Path

from t0native.models.model import Model

__all__ = ["Verdict", "format_percent", "judge", "load_baseline"]

BASELINES = Path(__file__).parents[1] / "mini" / "baselines"
UNTRAINED, BARE, ONE, ALL = "untrained", "unprompted", "one prompt", "all prompts"
SEED = 3  # chosen among 0 to 3 by the development group (docs/miniature/experiment.md), before any held-out score of this recipe
NEEDED = 3  # of the five tasks
QUICK_ROWS, QUICK_NEEDED = 200, 2


def load_baseline(label):
    """A model that the same recipe trained beforehand; baselines/<label>/about.json says with which seed and command."""
    return Model.from_pretrained(BASELINES / label.replace(" ", "-"))


def format_percent(value) -> str:
    return "no value" if value is None else f"{100 * value:.1f}"


class Verdict:
    """counting: tasks where the effect shows; failing: task -> reason; shown: whether enough of them do."""

    def __init__(self, counting, failing, needed):
        self.counting, self.failing, self.needed = counting, failing, needed

    @property
    def shown(self) -> bool:
        return len(self.counting) >= self.needed


def judge(report, needed=NEEDED, label=ALL) -> Verdict:
    """Compares the fully prompted model's intervals with chance and with the untrained and unprompted models' intervals."""
    entries = {(entry["model"], entry["task"]): entry for entry in report.summary}
    counting, failing = [], {}
    for (model, task), entry in entries.items():
        if model != label:
            continue
        rivals = {"chance": entry["chance"]}
        rivals |= {f"the {other} model": entries[other, task]["high"] for other in (UNTRAINED, BARE) if (other, task) in entries}
        if entry["low"] is None:
            failing[task] = "no cell has a value"
            continue
        if entry["chance"] is None:
            failing[task] = "none of its prompts has answer choices, so there is no chance level to compare with"
            continue
        above = [f"{name} ({format_percent(value)})" for name, value in rivals.items() if value is None or entry["low"] <= value]
        if above:
            failing[task] = f"the interval begins at {100 * entry['low']:.1f}, not above {' and '.join(above)}"
        else:
            counting.append(task)
    return Verdict(counting, failing, needed)
