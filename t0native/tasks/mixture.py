"""Mixtures of prompted tasks, with T0's rates (Sanh et al. 2022, appendix; bigscience t-zero seqio_tasks).

    component   one dataset x one prompt
    rate        rows of the dataset, or 500,000 // prompts of the dataset where it has more than 500,000 rows
    share       rate / sum of rates

Example k of a run is a pure function of (seed, k), by the counter-based generator of csrc/base/random.h:
    component = the one whose cumulative share holds bits(seed, MIXTURE, k)
    row       = bits(seed, ROW, k + attempt 2^40) mod rows     drawn with replacement; for a row that serves not, another is drawn
    template  = its choice/random see (seed, k)
so a run can be resumed, split or repeated anywhere."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from t0native._core import RANDOM_MIXTURE, RANDOM_ROW, random_bits
from t0native.base.arguments import SEED, check, number, whole
from t0native.base.digests import digest_of_value
from t0native.base.errors import ConfigError, DataError, suggest
from t0native.base.showing import shown
from t0native.tasks.sifting import NO_ANSWER, sift, warn_once
from t0native.tasks.task import Task

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Callable, Iterable
    from typing import Any

    from numpy.typing import NDArray

    from t0native.base.annotations import PathName
    from t0native.prompts.collection import PromptCollection

__all__ = ["Component", "Drawn", "Mixture", "sample_of"]

MAX_EXAMPLES_PER_DATASET = 500_000
ATTEMPT_SHIFT = 40
MAX_ATTEMPTS = 100
_POSITIVE = number(lambda value: 0 < value < float("inf"), "a positive number")


@dataclass(frozen=True)
class Component:
    """One dataset x one prompt. size: rows; rate: its weight in the mixture; share: rate over the sum of rates.

    >>> component = Mixture(t0.mini.held_out_tasks()).components[0]
    >>> component.task_name, component.size, component.rate
    ('inference', 500, 500)
    """

    task_name: str
    dataset: str | None
    subset: str | None
    prompt: str
    size: int
    rate: float
    share: float = 0.0
    task: Task = field(default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Task and prompt, as mixtures and runs name the component: TASK/PROMPT."""
        return f"{self.task_name}/{self.prompt}"


@dataclass(frozen=True)
class Drawn:
    """Example k of a run: where it came from and what it says. attempt: rows drawn before were dropped by the prompt. cut: whether
    a value was cut at 2,048 characters. passed: names of the components of those rows."""

    component: Component
    row: int
    attempt: int
    input: str
    target: str
    cut: bool = False
    passed: tuple = ()


class Mixture:
    """Prompted tasks mixed by rate.

    tasks: Tasks and Mixtures (whose components keep their rates).
    rates: None for T0's rule; a mapping task name or (task name, prompt name) -> rate of each component; or a callable
        component -> rate.  Names that are not in the mapping keep T0's rate.
    weights: instead of rates, a mapping task name -> weight of the whole task, shared evenly by its prompts; names all.
    cap: rows above which a dataset counts as `cap` rows in all.
    maximum, temperature: every rate r becomes min(r, maximum)^(1 / temperature), as seqio's mixing_rate_num_examples does it
        (Raffel et al. 2020, 3.5.2): a temperature above 1 evens the components out.
    A mixture among the tasks keeps its rates; with its name in `rates` its components share that rate as they did, as in seqio.
    Raises ConfigError for unknown names and for rates, maxima and temperatures that are not positive numbers.

    >>> task = t0.Task("big", [{}] * 6, [t0.Prompt("a", "1 ||| 2"), t0.Prompt("b", "3 ||| 4")])
    >>> [component.rate for component in Mixture([task], cap=5).components]
    [2, 2]
    """

    name: str
    components: list[Component]

    def __init__(
        self,
        tasks: Task | Mixture | Iterable[Task | Mixture],
        *,
        rates: Mapping[Any, float] | Callable[[Component], float] | None = None,
        weights: Mapping[str, float] | None = None,
        cap: int = MAX_EXAMPLES_PER_DATASET,
        maximum: float | None = None,
        temperature: float = 1.0,
        name: str = "mixture",
    ) -> None:
        if rates is not None and weights is not None:
            raise ConfigError("give rates or weights, not both")
        tasks = _as_list(tasks)
        plain = [component for task in tasks for component in _make_components(task, cap, rates)]
        if not plain:
            raise ConfigError(f"mixture {shown(name)}: no tasks")
        check(_POSITIVE, "temperature", temperature)
        if maximum is not None:
            check(_POSITIVE, "maximum", maximum)
        own = [task.name for task in tasks if isinstance(task, Task)]
        if len(set(own)) < len(own):
            twice = next(name for name in own if own.count(name) > 1)
            raise ConfigError(f"two tasks are called {shown(twice)}; give them different names")
        _check_names(rates, weights, plain, [task.name for task in tasks if isinstance(task, Mixture)])
        rated = [_temper(self._set_rate(component, rates, weights, plain), maximum, temperature) for component in plain]
        self._hold(name, rated)

    def _hold(self, name, rated):
        self.name = name
        total = sum(component.rate for component in rated)
        self.components = [_replace(component, share=component.rate / total) for component in rated]
        self._ends = np.cumsum([float(component.rate) for component in rated])

    @classmethod
    def t0(cls, name: str, prompts: PromptCollection | PathName | None = None, data: PathName | Mapping[Any, Any] | None = None) -> Mixture:
        """A mixture of the T0 paper, with the paper's components and rates: t0_train, t0+_train, t0++_train, one_og_prompt,
        all_og_prompts, t0_eval, t0_train_score_eval or bias (t0native/tasks/t0mixtures.py says what each is).

        prompts: promptsource 0.1.0's, a PromptCollection or the folder of an unpacked one; None is the installed promptsource.
        data: a folder DATA/<dataset>/<subset>/<split>.jsonl, or a mapping (t0native/data/datafolder.py). Without it the mixture can be
            counted, described and drawn from, and an example is a DataError that tells the source of its rows.
        Raises ConfigError for another name and for other prompts than 0.1.0's, DataError with the list of what `data` lacks.

        >>> from t0native.tasks.t0mixtures import MIXTURES
        >>> MIXTURES[:3]
        ('t0_train', 't0+_train', 't0++_train')
        """
        from t0native.tasks.t0mixtures import t0_tasks  # which reads YAML; other mixtures need none of it

        mixture = cls.__new__(cls)
        tasks = t0_tasks(name, prompts, data)
        for task, _, _ in tasks:
            task.check()
        mixture._hold(name, [Component(t.name, t.dataset, t.subset, p, size, rate, task=t) for t, rate, size in tasks for p in t.prompts])
        return mixture

    def __repr__(self):
        return f"Mixture({len(self.components)} components of {len({c.task_name for c in self.components})} tasks)"

    def __len__(self) -> int:
        return len(self.components)

    @staticmethod
    def _set_rate(component, rates, weights, plain):
        rate = component.rate
        if callable(rates):
            rate = rates(component)
        elif rates is not None:
            rate = rates.get((component.task_name, component.prompt), rates.get(component.task_name, rate))
        elif weights is not None:
            siblings = sum(other.task_name == component.task_name for other in plain)
            rate = weights[component.task_name] / siblings
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 < rate < float("inf"):
            raise ConfigError(
                f"component {shown(component.name)}: rate {shown(rate)}: must be a positive number; leave the task out instead of 0"
            )
        return _replace(component, rate=rate)

    # ---- drawing ----------------------------------------------------------------------------------------------------

    def draw(self, seed: int, first: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(component numbers, row numbers) of examples first .. first + n - 1, int64 [n] each, at the first attempt.
        seed: from 0 to 2**64 - 1, else ConfigError.

        >>> mixture = Mixture(t0.mini.training_tasks())
        >>> [numbers[1:].tolist() == again.tolist() for numbers, again in zip(mixture.draw(0, 0, 4), mixture.draw(0, 1, 3))]
        [True, True]
        """
        seed = check(SEED, "seed", seed)
        bits = random_bits(seed, RANDOM_MIXTURE, first, n)
        unit = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
        which = np.minimum(np.searchsorted(self._ends, unit * self._ends[-1], side="right"), len(self._ends) - 1)
        sizes = np.array([component.size for component in self.components], np.uint64)[which]
        rows = random_bits(seed, RANDOM_ROW, first, n) % sizes
        return which.astype(np.int64), rows.astype(np.int64)

    def example(self, seed: int, k: int, attempt: int = 0, *, answers: bool = True) -> Drawn:
        """Example k of the run with this seed, a Drawn. Rows that the prompt drops, or whose target is no answer, or that cannot be
        rendered (sifting.py), are drawn anew, at most 100 times; then DataError names task, prompt and the last row. A warning tells the
        first row of a task that is not dropped by its prompt. answers=False: a target that is no answer is taken as promptsource prints it.

        >>> task = t0.Task("demo", [{"text": "hey"}], [t0.Prompt("shout", "{{ text }}! ||| yes")])
        >>> drawn = Mixture(task).example(seed=0, k=7)
        >>> drawn.input, drawn.target
        ('hey!', 'yes')
        """
        which, rows = self.draw(seed, k, 1)
        return self._render(self.components[which[0]], seed, k, attempt, int(rows[0]), answers)

    def examples(self, seed: int, first: int, n: int, *, answers: bool = True) -> list[Drawn]:
        """Examples first .. first + n - 1, a list of Drawn; the same as one by one.

        >>> mixture = Mixture(t0.mini.training_tasks())
        >>> mixture.examples(0, 5, 2)[1] == mixture.example(0, 6)
        True
        """
        which, rows = self.draw(seed, first, n)
        return [self._render(self.components[c], seed, first + i, 0, int(rows[i]), answers) for i, c in enumerate(which)]

    def _render(self, component, seed, k, attempt, row, answers):
        def candidate(attempt):
            if not attempt:
                return component, row
            return component, int(random_bits(int(seed), RANDOM_ROW, k + (attempt << ATTEMPT_SHIFT), 1)[0] % np.uint64(component.size))

        return take_example(candidate, seed, k, attempt, answers)

    def uncut(self) -> Mixture:
        """The same mixture of tasks under `truncate=False` (Task.uncut).

        >>> mixture = Mixture(t0.mini.training_tasks())
        >>> {component.task.truncate for component in mixture.uncut().components}
        {False}
        """
        mixture = copy.copy(self)
        tasks = {id(c.task): c.task.uncut() for c in self.components}
        mixture.components = [_replace(c, task=tasks[id(c.task)]) for c in self.components]
        return mixture

    # ---- telling ----------------------------------------------------------------------------------------------------

    def describe(self, examples: int | None = None) -> str:
        """A table of the components with sizes, rates, shares and, for a run of that many examples, expected epochs; then
        the sum of rates and the SHA-256 of the definition.

        >>> task = t0.Task("demo", [{}] * 6, [t0.Prompt("a", "1 ||| 2")])
        >>> Mixture(task).describe(examples=60).splitlines()[1].split()
        ['demo/a', '6', '6', '100.000%', '10.00']
        """
        epochs = "" if examples is None else "    epochs"
        width = max(len(component.name) for component in self.components)
        lines = [f"{'component':<{width}}  {'rows':>10}  {'rate':>12}  {'share':>8}{epochs}"]
        for c in self.components:
            last = "" if examples is None else f"  {c.share * examples / c.size:8,.2f}"
            lines.append(f"{c.name:<{width}}  {c.size:>10,}  {_plain(c.rate):>12}  {c.share:>8.3%}{last}")
        total = sum(c.rate for c in self.components)
        lines.append(f"{len(self.components)} components, sum of rates {_plain(total)}, sha256 {self.digest()}")
        return "\n".join(lines)

    def dropped(self, sample: int | None = None, seed: int = 0) -> dict[str, tuple[int, int]]:
        """Rows that are not drawn (the prompt gives fewer than two parts or an empty input, as in T0's pipeline; the target is no answer;
        they cannot be rendered): a dict component name -> (rows looked at, rows dropped). sample: rows looked at of each component, spread
        evenly; None is every row.

        >>> task = t0.Task("demo", [{"n": i} for i in range(6)], [t0.Prompt("odd", "{% if n % 2 %}{{ n }}?{% endif %} ||| yes")])
        >>> Mixture(task).dropped()
        {'demo/odd': (6, 3)}
        """
        if sample is not None:
            check(whole(1), "sample", sample)
        counts = {}
        for c in self.components:
            rows = range(c.size) if sample is None or sample >= c.size else [i * c.size // sample for i in range(sample)]
            counts[c.name] = len(rows), sum(sift(c.task, c.prompt, row, seed).reason is not None for row in rows)
        return counts

    def digest(self) -> str:
        """SHA-256 of the definition: names, rates, sizes, templates, and a sample of each task's rows (64 of them).

        >>> one, two = ([t0.Task("demo", [{}], [t0.Prompt("a", text)])] for text in ("1 ||| 2", "1 ||| 3"))
        >>> Mixture(one).digest() == Mixture(two).digest()
        False
        """
        tasks = {id(c.task): sample_of(c.task) for c in self.components}
        facts = [
            [c.task_name, c.prompt, repr(c.rate), c.size, _describe_prompt(c.task.prompts[c.prompt]), tasks[id(c.task)]]
            + ([] if c.task.truncate else ["uncut"])
            for c in self.components
        ]
        return digest_of_value(facts)


def take_example(candidate, seed, k, attempt, answers):
    """Example k, a Drawn: that of the first candidate(attempt), a Component and a number of a row, which serves; DataError where none of
    MAX_ATTEMPTS does."""
    passed = [candidate(earlier)[0].name for earlier in range(attempt)]
    why = None
    for attempt in range(attempt, MAX_ATTEMPTS):
        component, row = candidate(attempt)
        task, prompt = component.task, component.prompt
        sifted = sift(task, prompt, row, seed, k, answers=answers)
        if sifted.reason is None:
            if not answers and sifted.rendering.no_answer:
                warn_once(
                    task, f"prompt {shown(prompt)}, row {row}: {NO_ANSWER}, and is trained on: {sifted.rendering.no_answer}", NO_ANSWER
                )
            return Drawn(component, row, attempt, *sifted.rendering.example[:2], sifted.rendering.cut, tuple(passed))
        passed.append(component.name)
        why = f"row {row}: {sifted.reason}" + (f": {sifted.detail}" if sifted.detail else "")
        if sifted.told:
            warn_once(task, f"prompt {shown(prompt)}, {why}; another row is drawn for each such, and Run.dropped counts them", "drawn")
    component = candidate(0)[0]
    raise DataError(
        f"task {shown(component.task.name)}, prompt {shown(component.prompt)}: {MAX_ATTEMPTS} rows drawn one after the other gave no "
        f"example (the last, {why or 'they have no token'}); mend them, or leave this prompt out"
    )


def _as_list(tasks):
    return [tasks] if isinstance(tasks, (Task, Mixture)) else list(tasks)


def _make_components(task, cap, rates):
    """Components of a task with T0's rates; those of a mixture as they are, or sharing the rate of the mixture's name."""
    if isinstance(task, Mixture):
        whole = rates.get(task.name) if isinstance(rates, Mapping) else None
        if whole is None:
            return task.components
        check(_POSITIVE, f"rate of {shown(task.name)}", whole)
        return [_replace(c, rate=whole * c.share) for c in task.components]
    if not isinstance(task, Task):
        raise ConfigError(f"a mixture is made of tasks and mixtures, not of {type(task).__name__}")
    task.check()
    size, n_prompts = len(task.rows), len(task.prompts)
    rate = max(1, cap // n_prompts) if size > cap else size
    return [Component(task.name, task.dataset, task.subset, name, size, rate, task=task) for name in task.prompts]


def _replace(component, **changes):
    return Component(**{**{name: getattr(component, name) for name in Component.__dataclass_fields__}, **changes})


def _temper(component, maximum, temperature):
    rate = component.rate if maximum is None else min(component.rate, maximum)
    return _replace(component, rate=rate if temperature == 1 else float(rate) ** (1 / temperature))


def _check_names(rates, weights, components, mixtures):
    names = {c.task_name for c in components}
    pairs = {(c.task_name, c.prompt) for c in components}
    for table in (rates, weights):
        for key in table if isinstance(table, Mapping) else ():
            if key not in names and key not in pairs and not (table is rates and key in mixtures):
                raise ConfigError(f"rate for unknown task {shown(key)}; {suggest(key, sorted({*names, *mixtures}))}")
    if weights is not None and (missing := sorted(names - set(weights))):
        raise ConfigError(f"no weight for task {shown(missing[0])}; weights must name every task")


def _describe_prompt(prompt):
    return [getattr(prompt, "jinja", None), getattr(prompt, "answer_choices", None)]


def sample_of(task: Task, limit: int = 64) -> str:
    """SHA-256 of so many of a task's rows, spread evenly."""
    step = max(1, len(task.rows) // limit)
    sample = [task.rows[i] for i in range(0, len(task.rows), step)][:limit]
    return digest_of_value(sample)


def _plain(rate):
    """A rate without an exponent where it is large."""
    return f"{rate:,.0f}" if rate >= 1e6 else f"{rate:,.6g}"
