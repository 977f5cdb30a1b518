"""Training one model of the miniature by its recipe, and the digest by which two trainings are told apart."""

from dataclasses import dataclass
from hashlib import sha256

from t0native.evaluation.evaluate import evaluate
from t0native.mini import curriculum
from t0native.mini.curriculum import Curriculum, Rate, validation_tasks, watched
from t0native.mini.tasks import DATASETS, new_model
from t0native.tasks.mixture import Mixture
from t0native.tasks.task import Task
from t0native.training.train import train

__all__ = ["Trained", "digest_of_recipe", "train_model"]


def digest_of_recipe(seed: int, prompts: int | None, datasets, tasks: list[Task]) -> str:
    """SHA-256 of all that decides a trained model's report: recipe, training rows and prompts, vocabulary, what is evaluated."""
    constants = (
        curriculum.STEPS,
        curriculum.BATCH,
        curriculum.LEARNING_RATE,
        curriculum.WARMUP,
        curriculum.CLIP,
        curriculum.CONSTANT,
        curriculum.LAST_RATE,
        curriculum.ONE_FACT,
        curriculum.MIXED,
        curriculum.PATIENCE,
        curriculum.PASS,
        curriculum.VALIDATION_ROWS,
        curriculum.VALIDATE_EVERY,
    )
    mixtures = [stage.digest() for stage in Curriculum(prompts, seed, tuple(datasets), curriculum.STEPS).stages]
    facts = [constants, seed, mixtures, new_model(seed).tokenizer.fingerprint, Mixture(tasks).digest()]
    return sha256(repr(facts).encode()).hexdigest()


@dataclass
class Trained:
    """A trained model and how it came about. solved: task -> mean over prompts on fresh rows of the trained tasks."""

    model: object
    seed: int
    prompts: int | None
    datasets: tuple
    steps: int
    examples: int
    passed: int | None  # the step at which the watched tasks passed
    seconds: float
    tokens: int
    solved: dict

    def facts(self) -> dict:
        """All but the model, for reports."""
        names = ("seed", "prompts", "steps", "examples", "tokens", "passed", "solved")
        return {name: getattr(self, name) for name in names} | {"datasets": list(self.datasets), "seconds": round(self.seconds, 1)}


def train_model(seed=0, prompts=None, datasets=DATASETS, *, steps=None, progress=True) -> Trained:
    """Train one model by the recipe. prompts: p of each dataset, None for all, 0 for the unprompted model."""
    steps = steps or curriculum.STEPS
    model = new_model(seed)
    mixture_at = Curriculum(prompts, seed, tuple(datasets), steps)
    rate = Rate(steps, prompts)
    watched_tasks = validation_tasks(model.tokenizer, prompts, seed, watched(datasets)) if prompts != 0 else None
    run = train(
        model,
        mixture_at.stages[-1],
        mixture_at=mixture_at,
        steps=rate.longest,
        batch_size=curriculum.BATCH,
        learning_rate=curriculum.LEARNING_RATE,
        schedule=rate,
        warmup=curriculum.WARMUP,
        clip=curriculum.CLIP,
        seed=seed,
        dropout=0.0,
        validate=watched_tasks,
        validate_every=curriculum.VALIDATE_EVERY,
        stop=rate.check,
        progress=progress,
    )
    solved = {}
    if prompts != 0:
        report = evaluate(model, validation_tasks(model.tokenizer, prompts, seed, datasets), progress=False)
        solved = {entry["task"]: entry["mean"] for entry in report.summary}
    return Trained(
        model,
        seed,
        prompts,
        () if prompts == 0 else tuple(datasets),
        run.steps,
        run.steps * curriculum.BATCH,
        rate.passed,
        run.seconds,
        run.tokens,
        solved,
    )
