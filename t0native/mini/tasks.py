"""The miniature's tasks, its vocabulary and the shape of its models: what is trained on, and what is evaluated.

    mixture      the training datasets by SHARES, each shared evenly by its prompts; 10 % denoising
    prompts      p of each training dataset: a seeded draw, the same for smaller p within larger; 0: denoising alone

For how long, and in what order, says curriculum.py.

Nothing here reads the held-out folder but `heldout_tasks`, whose tasks cannot be put into `mixture`: it takes names of
training datasets and looks into the training folder only."""

from pathlib import Path

from t0native.base.errors import ConfigError
from t0native.checkpoints.config import Config
from t0native.data.lines import read_jsonl
from t0native.mini.datasets import UNPROMPTED, Rows
from t0native.mini.strays import Strewn
from t0native.mini.world import stream
from t0native.models.model import Model
from t0native.prompts.collection import PromptCollection
from t0native.tasks.task import Task
from t0native.text.tokenizer import Tokenizer

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


def config(vocabulary_size: int):
    """T5 1.1, small enough to be trained in minutes."""
    return Config(
        vocab_size=vocabulary_size, d_model=64, d_kv=16, d_ff=256, num_layers=3, num_decoder_layers=2, num_heads=4, dropout_rate=0.0
    )


def tokenizer():
    """The miniature's vocabulary; sentinels are pieces of its file."""
    return Tokenizer.from_file(VOCABULARY, extra_ids=0)


def new_model(seed: int):
    """An untrained model with the miniature's vocabulary and matching heads (docs/miniature/experiment.md says what these are)."""
    vocabulary = tokenizer()
    return Model.init(config(vocabulary.vocab_size), vocabulary, seed=seed, initializer="matching")


# ---- prompts and tasks -----------------------------------------------------------------------------------------------


def collection(folder: Path):
    return PromptCollection.load(folder)


def answers_by_letter(prompt) -> bool:
    return (prompt.answer_choices or "").startswith("A |||")


def draw_prompts(dataset: str, prompts, count: int | None, seed: int) -> dict:
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
    prompt_sets = collection(FOLDER / "prompts")
    names = () if prompts == 0 else tuple(datasets)
    tasks = [
        Strewn(name, Rows(name, level, seed), draw_prompts(name, prompt_sets[name], prompts, seed), dataset=name, split="train")
        for name in names
    ]
    return [*tasks, Strewn(UNPROMPTED, Rows(UNPROMPTED, level, seed), prompt_sets[UNPROMPTED], dataset=UNPROMPTED, split="train")]


# ---- what is evaluated -----------------------------------------------------------------------------------------------


def _group(group: str, names, wordings: Path | None) -> list[Task]:
    prompt_sets = collection(wordings or FOLDER / group / "prompts")
    present = [name for name in names if name in prompt_sets]
    if not present:
        raise ConfigError(f"{wordings}: no prompts for any of {', '.join(names)}; it must hold <task>/templates.yaml")
    tasks = []
    for name in present:
        rows = read_jsonl(FOLDER / group / "rows" / f"{name}.jsonl")
        tasks.append(Task(name, rows, prompt_sets[name], dataset=name, split="held out"))
    return tasks


def heldout_tasks(wordings: Path | None = None) -> list[Task]:
    """The five held-out tasks; `wordings`: a P3 folder with other prompts for them."""
    return _group("heldout", HELDOUT, wordings)


def development_tasks() -> list[Task]:
    """Held out too, for tuning; never reported."""
    return _group("development", DEVELOPMENT, None)
