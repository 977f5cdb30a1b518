"""The miniature's recipe: what is trained on what, for how long, and what is evaluated.

    mixture      the training datasets by SHARES, each shared evenly by its prompts; 10 % denoising
    curriculum   passages of one fact for 17.5 % of the planned steps, mixed until 35 %, then of two or three facts
    rate         warm-up over 50 steps, then constant; linear to 3 % over the last 40 % of the planned steps. The fall begins only
                 when the trained tasks' validation rows have passed (97 % of yes/no and of extractive questions), at most
                 PATIENCE times the planned steps later
    prompts      p of each training dataset: a seeded draw, the same for smaller p within larger; 0: denoising alone

Nothing here reads the held-out folder but `heldout_tasks`, whose tasks cannot be put into `mixture`: it takes names of
training datasets and looks into the training folder only."""

from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from t0native.errors import ConfigError
from t0native.mini.datasets import UNPROMPTED, Rows
from t0native.mini.strays import Strewn
from t0native.mini.world import stream
from t0native.mixture import Mixture
from t0native.rows import read_jsonl
from t0native.tasks import Task

FOLDER = Path(__file__).parent
VOCABULARY = FOLDER / "spiece.model"
HELDOUT = ("inference", "pronouns", "blanks", "completion", "sense")
DEVELOPMENT = ("claims", "riddles", "summaries", "gaps", "pointers")

SHARES = {
    "values": 1.2,
    "persons": 1.6,
    "value_choices": 1.0,
    "person_choices": 1.4,
    "yes_no": 3.0,
    "statements": 3.0,
    "questions": 1.5,
    "topics": 0.5,
    "opinions": 0.4,
    "tell": 1.0,
    "records": 0.4,
}
DENOISING_SHARE = 0.1
DATASETS = tuple(SHARES)
DATASET_LISTS = {  # Figure 7: each holds the one before
    5: ("values", "persons", "topics", "opinions", "tell"),
    8: ("values", "persons", "topics", "opinions", "tell", "records", "value_choices", "person_choices"),
    11: DATASETS,
}

STEPS, QUICK_STEPS, BATCH = 6000, 1500, 64
LEARNING_RATE, WARMUP, CLIP = 0.01, 50, 1.0
CONSTANT, LAST_RATE = 0.6, 0.03
ONE_FACT, MIXED = 0.175, 0.35
PATIENCE = 2.0
PASS = 0.97
EXTRACTIVE, YES_NO = ("values", "persons"), ("yes_no",)
VALIDATION_ROWS, VALIDATE_EVERY = 40, 200


def config(vocabulary_size: int):
    """T5 1.1, small enough to be trained in minutes."""
    from t0native.config import Config

    return Config(
        vocab_size=vocabulary_size,
        d_model=64,
        d_kv=16,
        d_ff=256,
        num_layers=3,
        num_decoder_layers=2,
        num_heads=4,
        dropout_rate=0.0,
    )


def tokenizer():
    """The miniature's vocabulary; sentinels are pieces of its file."""
    from t0native.tokenizer import Tokenizer

    return Tokenizer.from_file(VOCABULARY, extra_ids=0)


def new_model(seed: int):
    """An untrained model with the miniature's vocabulary and matching heads (docs/miniature.md says what these are)."""
    from t0native.model import Model

    vocabulary = tokenizer()
    return Model.init(config(vocabulary.vocab_size), vocabulary, seed=seed, initializer="matching")


# ---- prompts and tasks -----------------------------------------------------------------------------------------------


def collection(folder: Path):
    from t0native.prompts import PromptCollection

    return PromptCollection.load(folder)


def answers_by_letter(prompt) -> bool:
    return (prompt.answer_choices or "").startswith("A |||")


def drawn(dataset: str, prompts, count: int | None, seed: int) -> dict:
    """`count` of a dataset's prompts (None: all), by a draw of its own for every (seed, dataset). Smaller draws lie within
    larger ones, and the first prompt never is one that answers with an option's letter."""
    names = sorted(prompts)
    if count is None or count >= len(names):
        return {name: prompts[name] for name in names}
    rng = stream(seed, f"prompts of {dataset}", 0)
    order = [name for _, name in sorted((rng.random(), name) for name in names)]
    first = next(name for name in order if not answers_by_letter(prompts[name]))
    order.remove(first)
    return {name: prompts[name] for name in [first, *order][:count]}


def training_tasks(level: int, prompts: int | None = None, seed: int = 0, datasets=DATASETS) -> list[Task]:
    """Prompted tasks of the training datasets, strewn with stray words; `prompts` 0: only the text with holes."""
    unknown = set(datasets) - set(DATASETS)
    if unknown:
        raise ValueError(f"{sorted(unknown)}: not among the training datasets {', '.join(DATASETS)}")
    found = collection(FOLDER / "prompts")
    names = () if prompts == 0 else tuple(datasets)
    tasks = [
        Strewn(name, Rows(name, level, seed), drawn(name, found[name], prompts, seed), dataset=name, split="train")
        for name in names
    ]
    return [*tasks, Strewn(UNPROMPTED, Rows(UNPROMPTED, level, seed), found[UNPROMPTED], dataset=UNPROMPTED, split="train")]


def shares(tasks: list[Task]) -> dict[str, float]:
    """Weights of the tasks by name; denoising is 10 % of the whole, or the whole where it is alone."""
    found = {task.name: SHARES[task.name] for task in tasks if task.name != UNPROMPTED}
    found[UNPROMPTED] = sum(found.values()) * DENOISING_SHARE / (1 - DENOISING_SHARE) or 1.0
    return found


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

    def render(self, prompt, index, seed=0, key=None):
        example = super().render(prompt, index, seed, key)
        if example is None or example.choices is not None:
            return example
        target = self.tokenizer.decode(self.tokenizer.encode(example.target))
        return example._replace(target=target) if hasattr(example, "_replace") else type(example)(example.input, target, None)


def validation_tasks(tokenizer, prompts: int | None = None, seed: int = 0, datasets=DATASETS, rows: int | None = None) -> list[Task]:
    """Fresh rows of training datasets under the prompts that are trained."""
    found = collection(FOLDER / "prompts")
    tasks = []
    for name in datasets:
        fresh = [Rows(name, 2, seed, "validation")[index] for index in range(rows or VALIDATION_ROWS)]
        task = Folded(name, fresh, drawn(name, found[name], prompts, seed), dataset=name, split="validation")
        task.tokenizer = tokenizer
        tasks.append(task)
    return tasks


def watched(datasets=DATASETS) -> tuple[str, ...]:
    """The training datasets whose validation decides."""
    return tuple(name for name in (*EXTRACTIVE, *YES_NO) if name in datasets)


def passes(report) -> bool:
    """Whether the mean over prompts of each watched task is 97 % or more."""
    return all(entry["mean"] is not None and entry["mean"] >= PASS for entry in report.summary)


# ---- what is evaluated -----------------------------------------------------------------------------------------------


def _group(group: str, names, wordings: Path | None) -> list[Task]:
    found = collection(wordings or FOLDER / group / "prompts")
    present = [name for name in names if name in found]
    if not present:
        raise ConfigError(f"{wordings}: no prompts for any of {', '.join(names)}; it must hold <task>/templates.yaml")
    tasks = []
    for name in present:
        rows = read_jsonl(FOLDER / group / "rows" / f"{name}.jsonl")
        tasks.append(Task(name, rows, found[name], dataset=name, split="held out"))
    return tasks


def heldout_tasks(wordings: Path | None = None) -> list[Task]:
    """The five held-out tasks; `wordings`: a P3 folder with other prompts for them."""
    return _group("heldout", HELDOUT, wordings)


def development_tasks() -> list[Task]:
    """Held out too, for tuning; never reported."""
    return _group("development", DEVELOPMENT, None)


def plan(seed: int, prompts: int | None, datasets, tasks: list[Task]) -> str:
    """SHA-256 of all that decides a trained model's report: recipe, training rows and prompts, vocabulary, what is evaluated."""
    recipe = (STEPS, BATCH, LEARNING_RATE, WARMUP, CLIP, CONSTANT, LAST_RATE, ONE_FACT, MIXED, PATIENCE, PASS, VALIDATION_ROWS, VALIDATE_EVERY)
    mixtures = [stage.digest() for stage in Curriculum(prompts, seed, tuple(datasets), STEPS).stages]
    facts = [recipe, seed, mixtures, new_model(seed).tokenizer.fingerprint, Mixture(tasks).digest()]
    return sha256(repr(facts).encode()).hexdigest()


# ---- training --------------------------------------------------------------------------------------------------------


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
    """Trains one model by the recipe. prompts: p of each dataset, None for all, 0 for the unprompted model."""
    from t0native.evaluate import evaluate
    from t0native.train import train

    steps = steps or STEPS
    model = new_model(seed)
    curriculum = Curriculum(prompts, seed, tuple(datasets), steps)
    rate = Rate(steps, prompts)
    watch = validation_tasks(model.tokenizer, prompts, seed, watched(datasets)) if prompts != 0 else None
    run = train(
        model,
        curriculum.stages[-1],
        mixture_at=curriculum,
        steps=rate.longest,
        batch_size=BATCH,
        learning_rate=LEARNING_RATE,
        schedule=rate,
        warmup=WARMUP,
        clip=CLIP,
        seed=seed,
        dropout=0.0,
        validate=watch,
        validate_every=VALIDATE_EVERY,
        stop=rate.check,
        progress=progress,
    )
    solved = {}
    if prompts != 0:
        report = evaluate(model, validation_tasks(model.tokenizer, prompts, seed, datasets), progress=False)
        solved = {entry["task"]: entry["mean"] for entry in report.summary}
    return Trained(model, seed, prompts, () if prompts == 0 else tuple(datasets), run.steps, run.steps * BATCH, rate.passed, run.seconds, run.tokens, solved)
