"""The miniature's recipe: the order of what is trained, the learning rate, and when a training ends.

curriculum   passages of one fact for 17.5 % of the planned steps, mixed until 35 %, then of two or three facts
rate         warm-up over 50 steps, then constant; linear to 3 % over the last 40 % of the planned steps. The fall begins only
             when the trained tasks' validation rows have passed (97 % of yes/no and of extractive questions), at most
             PATIENCE times the planned steps later"""

from dataclasses import dataclass, field

from t0native.mini.datasets import UNPROMPTED, Rows
from t0native.mini.tasks import DATASETS, DENOISING_SHARE, FOLDER, SHARES, collection, draw_prompts, training_tasks
from t0native.tasks.mixture import Mixture
from t0native.tasks.task import Task

__all__ = ["Curriculum", "Folded", "Rate", "passes", "shares", "validation_tasks", "watched"]

STEPS, QUICK_STEPS, BATCH = 6000, 1500, 64
LEARNING_RATE, WARMUP, CLIP = 0.01, 50, 1.0
CONSTANT, LAST_RATE = 0.6, 0.03
ONE_FACT, MIXED = 0.175, 0.35
PATIENCE = 2.0
PASS = 0.97
EXTRACTIVE, YES_NO = ("values", "persons"), ("yes_no",)
VALIDATION_ROWS, VALIDATE_EVERY = 40, 200


def shares(tasks: list[Task]) -> dict[str, float]:
    """Weights of the tasks by name; denoising is 10 % of the whole, or the whole where it is alone."""
    weights = {task.name: SHARES[task.name] for task in tasks if task.name != UNPROMPTED}
    weights[UNPROMPTED] = sum(weights.values()) * DENOISING_SHARE / (1 - DENOISING_SHARE) or 1.0
    return weights


@dataclass
class Curriculum:
    """step -> Mixture, for train(mixture_at=...)."""

    prompts: int | None = None
    seed: int = 0
    datasets: tuple = DATASETS
    steps: int = STEPS
    stages: list = field(init=False)

    def __post_init__(self):
        one, two = (training_tasks(level, self.prompts, self.seed, self.datasets) for level in (1, 2))
        easy, hard = (Mixture(tasks, weights=shares(tasks), name=f"level {i + 1}") for i, tasks in enumerate((one, two)))
        self.stages = [easy, Mixture([easy, hard], name="both levels"), hard]

    def __call__(self, step: int) -> Mixture:
        done = step / self.steps
        return self.stages[0 if done < ONE_FACT else 1 if done < MIXED else 2]


class Rate:
    """The learning rate's factor, (step, steps) -> float, and the rule that ends the run.

    The fall begins at 60 % of the planned steps, or where the trained tasks pass, if that is later; it takes 40 % of the
    planned steps. `check` is train's `stop`."""

    def __init__(self, steps: int = STEPS, prompts: int | None = None):
        self.steps, self.passed, self.unprompted = steps, None, prompts == 0
        self.earliest, self.falling = round(CONSTANT * steps), steps - round(CONSTANT * steps)
        self.latest = round(PATIENCE * steps) - self.falling
        self.fall = self.earliest if self.unprompted else self.latest

    @property
    def longest(self) -> int:
        """Steps at most."""
        return self.latest + self.falling if not self.unprompted else self.steps

    @property
    def end(self) -> int:
        return self.fall + self.falling

    @property
    def expected(self) -> int:
        """Where the progress bar ends: the end as planned, until the trained tasks have passed later than that allows."""
        return self.steps if self.passed is None else self.end

    def __call__(self, step: int, steps: int) -> float:
        done = max(0.0, (step - self.fall) / self.falling)
        return max(LAST_RATE, 1.0 - done * (1.0 - LAST_RATE))

    def check(self, report, log):
        step = log[-1]["step"]
        if self.passed is None and report is not None and passes(report):
            self.passed = step
            self.fall = max(step, self.earliest)
        if step >= self.end:
            return f"the trained tasks passed by step {self.passed}; the rate has fallen" if self.passed else "the most steps"
        return None


class Folded(Task):
    """A task whose targets are what the vocabulary makes of them (it folds capitals), so that exact match is fair."""

    tokenizer = None

    def render_noted(self, prompt, index, seed=0, key=None):
        rendering = super().render_noted(prompt, index, seed, key)
        example = rendering.example
        if example is None or example.choices is not None:
            return rendering
        target = self.tokenizer.decode(self.tokenizer.encode(example.target))
        folded = example._replace(target=target) if hasattr(example, "_replace") else type(example)(example.input, target, None)
        return rendering._replace(example=folded)


def validation_tasks(tokenizer, prompts: int | None = None, seed: int = 0, datasets=DATASETS, rows: int | None = None) -> list[Task]:
    """Fresh rows of training datasets under the prompts that are trained."""
    prompt_sets = collection(FOLDER / "prompts")
    tasks = []
    for name in datasets:
        fresh = [Rows(name, 2, seed, "validation")[index] for index in range(rows or VALIDATION_ROWS)]
        task = Folded(name, fresh, draw_prompts(name, prompt_sets[name], prompts, seed), dataset=name, split="validation")
        task.tokenizer = tokenizer
        tasks.append(task)
    return tasks


def watched(datasets=DATASETS) -> tuple[str, ...]:
    """The training datasets whose validation decides."""
    return tuple(name for name in (*EXTRACTIVE, *YES_NO) if name in datasets)


def passes(report) -> bool:
    """Whether the mean over prompts of each watched task is 97 % or more."""
    return all(entry["mean"] is not None and entry["mean"] >= PASS for entry in report.summary)
