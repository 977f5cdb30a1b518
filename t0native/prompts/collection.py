"""Collections of prompt files in promptsource's layout (P3): <folder>/<dataset>[/<subset>]/templates.yaml, and <user>/<dataset> too; or one
such file.

Opening a folder only lists it; a file (promptfile.py) is read when its prompts are asked for."""

from __future__ import annotations

import importlib.util
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from t0native.base.errors import ConfigError, DataError, FormatError, nearest, suggest
from t0native.base.places import what_is
from t0native.base.showing import listed, printable, shown
from t0native.prompts.prompt import Prompt
from t0native.prompts.promptfile import FILE, FORM, read_file, warn_once
from t0native.prompts.promptwriter import write_prompts

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable, Iterator
    from typing import Self

    from t0native.base.annotations import PathName, Row
    from t0native.prompts.prompt import PromptedExample

__all__ = [
    "PromptCollection",
    "PromptSet",
    "choose_prompts",
    "dataset_name",
    "find_files",
    "load_prompts",
    "promptsource_folder",
    "prompts_of",
]

PROMPTS = "prompts are a templates.yaml, or a folder of them; `t0native prompt new NAME --data FILE` writes a first one"


class PromptSet(Mapping[str, Prompt]):
    """The prompts of one dataset (and subset), in the order of the file: a mapping name -> Prompt.

    Attributes dataset, subset (or None), path (of the file, or None). KeyError with the nearest name for an unknown one.

    >>> prompts = t0.PromptSet("demo", None, [t0.Prompt("who", "{{ text }} Who? ||| {{ who }}")])
    >>> prompts, prompts["who"].jinja
    (PromptSet('demo', 1 prompts), '{{ text }} Who? ||| {{ who }}')
    """

    dataset: str | None
    subset: str | None
    path: Path | None

    def __init__(self, dataset: str | None, subset: str | None, prompts: Iterable[Prompt], path: Path | None = None) -> None:
        self.dataset, self.subset, self.path = dataset, subset, path
        self._prompts = {}
        for prompt in prompts:
            if prompt.name in self._prompts:
                raise FormatError(f"{path or dataset}: two prompts are named {shown(prompt.name)}: names must differ")
            self._prompts[prompt.name] = prompt

    @classmethod
    def read(cls, path: PathName, dataset: str | None = None, subset: str | None = None, *, quiet: bool = False) -> Self:
        """The prompts of one templates.yaml. FormatError with file and line where it is broken, OSError where it cannot be
        opened. Only plain YAML and promptsource's tags are read. Of prompts whose key or name stands twice the last counts, as in
        promptsource, and a warning tells it; a prompt without id gets the one that its text gives. quiet: no warnings.

        >>> t0.PromptSet.read(Path(t0.__file__).parent / "mini/heldout/prompts/inference/templates.yaml")
        PromptSet('inference', 12 prompts)
        """
        path = Path(path)
        content, remarks = read_file(path, quiet=quiet)
        templates = content["templates"].values()
        wrong = [type(value).__name__ for value in templates if not isinstance(value, Prompt)]
        if wrong:
            raise FormatError(f"{path}: an entry of templates is {wrong[0]}, must be a mapping tagged !Template, {FORM}")
        prompts = {prompt.name: prompt for prompt in templates}
        twice = [f"prompt {shown(name)} stands twice; the last one counts" for name in _repeated(prompt.name for prompt in templates)]
        for what in () if quiet else (*remarks.twice, *twice):
            warn_once(f"{what}, as in promptsource", path)
        return cls(dataset or content.get("dataset"), subset if dataset else content.get("subset"), prompts.values(), path)

    def __getitem__(self, name: str) -> Prompt:
        try:
            return self._prompts[name]
        except KeyError:
            raise KeyError(f"no prompt {shown(name)} for {self.full_name}; {suggest(name, self._prompts)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._prompts)

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def full_name(self) -> str:
        """dataset, or dataset/subset.

        >>> t0.PromptSet("super_glue", "rte", []).full_name
        'super_glue/rte'
        """
        return f"{self.dataset}/{self.subset}" if self.subset else str(self.dataset)

    def render_one(self, example: Row, seed: int = 0, index: int | str = 0) -> dict[str, PromptedExample | None]:
        """One example through every prompt: a dict name -> PromptedExample, or None where T0's pipeline drops the row. Errors as
        Prompt.render's.

        >>> t0.PromptSet("d", None, [t0.Prompt("p", "{{ a }}? ||| b")]).render_one({"a": "x"})
        {'p': PromptedExample(input='x?', target='b', choices=None)}
        """
        return {name: prompt.render(example, seed, index) for name, prompt in self._prompts.items()}

    def save(self, path: PathName) -> None:
        """Writes a templates.yaml, which `read` and promptsource read: texts, ids, metadata and factors; budgets of prompts are not kept.
        DataError for what is no Prompt, and for two with one id; OSError leaves what was there before.

        >>> from tempfile import TemporaryDirectory
        >>> prompts = t0.PromptSet("demo", None, [t0.Prompt("who", "{{ text }} Who? ||| {{ who }}")])
        >>> with TemporaryDirectory() as folder:
        ...     prompts.save(Path(folder) / "templates.yaml")
        ...     dict(t0.PromptSet.read(Path(folder) / "templates.yaml")) == dict(prompts)
        True
        """
        ids = Counter(getattr(prompt, "id", None) for prompt in self._prompts.values())
        for name, prompt in self._prompts.items():
            if not isinstance(prompt, Prompt):
                raise DataError(f"prompt {shown(name)}: is {type(prompt).__name__}; a file holds Prompts")
            if ids[prompt.id] > 1:
                raise DataError(f"prompt {shown(name)}: another has its id {shown(prompt.id)}: ids must differ in a file")
        write_prompts(path, self.dataset, self.subset, self._prompts.values())

    def __repr__(self):
        return f"PromptSet({self.full_name!r}, {len(self)} prompts)"


def _key_of_file(path, quiet):
    """{(dataset, subset or None): path} of one file; a file that names no dataset has the name of its folder."""
    one = PromptSet.read(path, quiet=quiet)
    return {(one.dataset or path.resolve().parent.name, one.subset if one.dataset else None): path}


def _repeated(names):
    """Those that stand more than once, each once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _peek_dataset(path):
    """The value of `dataset:` at the beginning of a file, without reading it all; None where it stands elsewhere."""
    with open(path, "rb") as file:
        head = file.read(300).decode("utf-8", "replace")
    for line in head.splitlines():
        if line.startswith("dataset:"):
            return line.removeprefix("dataset:").strip().strip("'\"")
    return None


def find_files(folder):
    """{(dataset, subset or None): path} of the prompt files under a folder."""
    files = {}
    for path in sorted(folder.glob(f"*/{FILE}")) + sorted(folder.glob(f"*/*/{FILE}")) + sorted(folder.glob(f"*/*/*/{FILE}")):
        parts = path.relative_to(folder).parts[:-1]
        if any(part.startswith(".") for part in parts):
            continue
        if len(parts) == 3 or (len(parts) == 2 and _peek_dataset(path) == "/".join(parts)):
            parts = ("/".join(parts[:2]), *parts[2:])
        files[parts[0], parts[1] if len(parts) == 2 else None] = path
    return dict(sorted(files.items(), key=lambda item: (item[0][0], item[0][1] or "")))


def promptsource_folder():
    """The folder of an installed promptsource's prompts; its code is not imported. DataError where there is none."""
    spec = importlib.util.find_spec("promptsource")
    places = list(spec.submodule_search_locations or []) if spec else []
    folder = next((Path(place, "templates") for place in places if Path(place, "templates").is_dir()), None)
    if folder is None:
        raise DataError(
            "promptsource is not installed: `pip install --no-deps --ignore-requires-python promptsource==0.2.3` brings its "
            "prompts (its code is not used), or give the path of an unpacked one"
        )
    return folder


class PromptCollection(Mapping[Any, PromptSet]):
    """Prompt sets by (dataset, subset); "dataset/subset" and "dataset" are the same keys, however the file itself divides the name.
    Files are read when asked for, and FormatError is raised then; KeyError with the nearest name for an unknown one. Files: Bach et al.
    2022.

    >>> held_out = t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts")
    >>> held_out["inference"]["does it follow"].fields
    ('premise', 'hypothesis', 'label')
    """

    folder: Path | None

    def __init__(self, files: Mapping[tuple[str, str | None], Path], folder: Path | None = None, *, quiet: bool = False) -> None:
        self.folder, self._quiet = folder, quiet
        self._files, self._sets = dict(files), {}
        self._by_name = {dataset_name(key): key for key in self._files}

    @classmethod
    def load(cls, folder: PathName, *, quiet: bool = False) -> Self:
        """The prompt files of a folder in promptsource's layout, or the one file that is named. Raises DataError where there are none.
        quiet: reading them gives no warnings.

        >>> len(t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts"))
        5
        """
        folder = Path(folder)
        what = what_is(folder)
        if os.path.isfile(folder) and what in (None, "a file of prompts"):
            return cls(_key_of_file(folder, quiet), folder, quiet=quiet)
        if not os.path.isdir(folder):
            wrong = f"{what}, which holds no prompts; {PROMPTS}" if os.path.isfile(folder) else "no such folder of prompts"
            raise DataError(f"{printable(str(folder))}: {wrong}")
        files = find_files(folder)
        if not files and (folder / FILE).is_file():
            files = _key_of_file(folder / FILE, quiet)
        if not files:
            told = f"{what}, which holds no prompts: no" if what else "no"
            raise DataError(f"{folder}: {told} {FILE} below it; expected <dataset>/{FILE} or <dataset>/<subset>/{FILE}")
        return cls(files, folder, quiet=quiet)

    @classmethod
    def promptsource(cls, path: PathName | None = None) -> Self:
        """The prompts of an installed promptsource, or of one unpacked at `path`; its code is never imported. What its own files have
        that is not known gives no warning. DataError where there is none, with how to get it.

        >>> t0.PromptCollection.promptsource("nowhere")
        Traceback (most recent call last):
        t0native.DataError: nowhere: no such folder of prompts
        """
        if path is not None:
            folder = Path(path)
            inside = [folder / "promptsource" / "templates", folder / "templates", folder]
            return cls.load(next((place for place in inside if place.is_dir()), folder), quiet=True)
        return cls.load(promptsource_folder(), quiet=True)

    def path(self, key: str | tuple[str, str | None]) -> Path:
        """The file of a key, a Path. KeyError as for the prompts.

        >>> t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts").path("inference").name
        'templates.yaml'
        """
        return self._files[self._find_key(key)]

    def _key(self, key):
        if isinstance(key, (tuple, list)):
            key = "/".join(part for part in key if part) if all(isinstance(part, (str, type(None))) for part in key) else None
        return self._by_name.get(key) if isinstance(key, str) else None

    def _find_key(self, key):
        known = self._key(key)
        if known is None:
            name = "/".join(str(part) for part in key if part) if isinstance(key, (tuple, list)) else key
            raise KeyError(f"no prompts for {shown(name)}; {suggest(name, self._by_name)}")
        return known

    def __getitem__(self, key: str | tuple[str, str | None]) -> PromptSet:
        known = self._find_key(key)
        if known not in self._sets:
            self._sets[known] = PromptSet.read(self._files[known], *known, quiet=self._quiet)
        return self._sets[known]

    def __contains__(self, key: object) -> bool:
        return self._key(key) is not None

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self):
        return f"PromptCollection({str(self.folder)!r}, {len(self)} datasets and subsets)"


def load_prompts(where, quiet=False):
    """The PromptCollection of a folder or file, or of the installed promptsource. quiet: as PromptCollection.load's."""
    return PromptCollection.promptsource() if where == "promptsource" else PromptCollection.load(where, quiet=quiet)


def prompts_of(collection, dataset):
    """The prompts of "dataset" or "dataset/subset"; ConfigError with the nearest name where there are none."""
    try:
        return collection[dataset]
    except KeyError:
        raise ConfigError(f"no prompts for {shown(dataset)}; {suggest(dataset, map(dataset_name, collection))}") from None


def choose_prompts(where, dataset=None, named="prompts=FILE", quiet=False):
    """The PromptSet of one dataset. where: a templates.yaml, a folder of them, or None for the installed promptsource.  dataset:
    "dataset" or "dataset/subset"; None where there is only one.  named: how the caller is given a `where`, for messages.  quiet: as
    PromptCollection.load's. ConfigError for a name that is not there, for several to choose from, and where neither is given."""
    own = f"name your own by {named}, a templates.yaml or a folder of them (`t0native prompt new` writes a first one)"
    if where is None:
        if dataset is None:
            raise ConfigError(f"no prompts: {own}, or a dataset of the installed promptsource")
        try:
            collection = load_prompts("promptsource")
        except DataError as error:
            raise DataError(f"no prompts: {own}; {error}") from None
        if dataset not in collection:
            near = nearest(dataset, map(dataset_name, collection))
            raise ConfigError(
                f"no prompts: {own}; the installed promptsource has none for {shown(dataset)}"
                + (f"; did you mean {shown(near)}?" if near else "")
            )
        return collection[dataset]
    if not os.path.exists(where):
        raise DataError(f"{printable(str(where))}: no such file or folder of prompts; {PROMPTS}")
    collection = load_prompts(where, quiet)
    names = list(map(dataset_name, collection))
    if dataset is None and len(names) > 1:
        raise ConfigError(f"{where} has prompts for several datasets; dataset=NAME names one: {listed(names, 8)}")
    return prompts_of(collection, dataset or names[0])


def dataset_name(key):
    """A collection's key as "dataset" or "dataset/subset"."""
    return key if isinstance(key, str) else "/".join(part for part in key if part)
