"""For code that imported promptsource: its classes, over our templates.

    from promptsource.templates import DatasetTemplates  ->  from t0native.promptsource import DatasetTemplates

    DatasetTemplates("super_glue", "rte")["must be true"].apply(example)      [input, target]
    TemplateCollection().get_dataset("super_glue", "rte")

Names, arguments, return types and the files written are promptsource 0.2.3's (Bach et al. 2022). Different on purpose: the
rendering is ours, so errors are TemplateError; files are read by a loader that builds nothing but these two classes and are
replaced whole; a template's random choices take their seed from Python's `random`, whose seed therefore repeats them, but the
draws are not promptsource's own; `folder` says where the files are: by default in an installed promptsource."""

from __future__ import annotations

import logging
import random
import uuid
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from t0native.base.errors import FormatError
from t0native.base.files import write_text
from t0native.base.showing import shown
from t0native.prompts.collection import find_files, promptsource_folder
from t0native.prompts.prompt import prompt_as_written
from t0native.prompts.promptfile import FILE, MetadataTag, PromptLoader, TemplateTag, read_file, warn_once

if TYPE_CHECKING:  # of annotations alone
    from pandas import DataFrame

    from t0native.base.annotations import PathName, Row

__all__ = ["INCLUDED_USERS", "DatasetTemplates", "Template", "TemplateCollection", "removeHyphen"]

INCLUDED_USERS = frozenset({"Zaid", "craffel"})
_log = logging.getLogger("t0native")


class _Fields:
    """Attributes as a file has them, known or not: they are written back."""

    __slots__ = ("__dict__",)

    def __eq__(self, other):
        return self.__dict__ == other.__dict__ if type(self) is type(other) else NotImplemented

    def __getstate__(self):
        return dict(self.__dict__)

    def __setstate__(self, state):
        self.__dict__.update(state)


class Template(_Fields):
    """A prompt, open to change. Attributes id, name, jinja, reference, metadata, answer_choices.

    >>> template = Template("who", "{{ text }} Who? ||| {{ who }}", "")
    >>> template.apply({"text": "Anna drinks tea.", "who": "Anna"})
    ['Anna drinks tea. Who?', 'Anna']
    """

    __slots__ = ("_prompt",)  # compiled, of the texts that it was compiled from

    class Metadata(_Fields):
        """What the author says: original_task, choices_in_prompt, metrics, languages; None where nothing is said.

        >>> Template.Metadata(original_task=True).metrics is None
        True
        """

        __slots__ = ()
        __hash__ = None

        def __init__(
            self,
            original_task: bool | None = None,
            choices_in_prompt: bool | None = None,
            metrics: list[str] | None = None,
            languages: list[str] | None = None,
        ) -> None:
            self.original_task, self.choices_in_prompt, self.metrics, self.languages = original_task, choices_in_prompt, metrics, languages

    def __init__(
        self, name: str, jinja: str, reference: str, metadata: Template.Metadata | None = None, answer_choices: str | None = None
    ) -> None:
        self.id = str(uuid.uuid4())
        self.name, self.jinja, self.reference, self.answer_choices = name, jinja, reference, answer_choices
        self.metadata = metadata if metadata is not None else Template.Metadata()

    def __hash__(self):
        return hash(self.id)

    def __repr__(self):
        return f"Template({self.name!r}, id={self.id!r})"

    def _compile(self):
        prompt = getattr(self, "_prompt", None)
        if prompt is None or (prompt.name, prompt.jinja, prompt.answer_choices, prompt.id) != (
            self.name,
            self.jinja,
            self.answer_choices,
            self.id,
        ):
            prompt = self._prompt = prompt_as_written(self.name, self.jinja, self.answer_choices, id=self.id)
        return prompt

    def get_id(self) -> str:
        """The UUID, text.

        >>> len(Template("a", "b ||| c", "").get_id())
        36
        """
        return self.id

    def get_name(self) -> str:
        """The name.

        >>> Template("a", "b ||| c", "").get_name()
        'a'
        """
        return self.name

    def get_reference(self) -> str:
        """Where the wording comes from.

        >>> Template("a", "b ||| c", "our own").get_reference()
        'our own'
        """
        return self.reference

    def get_answer_choices_expr(self) -> str | None:
        """The expression of the answer choices, or None.

        >>> Template("a", "b ||| c", "", answer_choices="c ||| d").get_answer_choices_expr()
        'c ||| d'
        """
        return self.answer_choices

    def get_answer_choices_list(self, example: Row) -> list[str] | None:
        """The answer choices of an example, or None where the template has none.

        >>> Template("a", "b ||| c", "", answer_choices="{{ x }} ||| d").get_answer_choices_list({"x": "c"})
        ['c', 'd']
        """
        return self._compile().choices(example)

    def get_fixed_answer_choices_list(self) -> list[str] | None:
        """The answer choices where they depend on no field, else None.

        >>> Template("a", "b ||| c", "", answer_choices="c ||| d").get_fixed_answer_choices_list()
        ['c', 'd']
        """
        return self._compile().fixed_choices

    def apply(self, example: Row, truncate: bool = True, highlight_variables: bool = False) -> list[str]:
        """The rendered parts between the separators |||, a list of text. TemplateError where the rendering fails.

        >>> Template("a", "{{ x | upper }} ||| c", "").apply({"x": "b"})
        ['B', 'c']
        """
        prompt = self._compile()
        seed = random.getrandbits(64) if prompt.random else 0
        return prompt.apply(example, truncate, highlight_variables, seed)


class _Loader(PromptLoader):
    """The loader of prompt files, with our two classes behind its tags."""


def _construct(kind, tag):
    def build(loader, node):
        fields, place = tag.fields(loader, node)
        tag.check(loader, fields, place, Template.Metadata)
        made = kind.__new__(kind)
        made.__dict__.update(fields)
        return made

    _Loader.add_constructor(tag.name, build)


class _Dumper(yaml.SafeDumper):
    """Writes what yaml.dump writes for promptsource's objects, byte for byte."""


_construct(Template, TemplateTag)
_construct(Template.Metadata, MetadataTag)
_Dumper.add_representer(Template, lambda dumper, template: dumper.represent_mapping(TemplateTag.name, template.__dict__))
_Dumper.add_representer(Template.Metadata, lambda dumper, metadata: dumper.represent_mapping(MetadataTag.name, metadata.__dict__))


def read_content(path: PathName, quiet: bool = False) -> dict[str, Any]:
    """All that a file holds: a dict whose "templates" are {id: Template}. FormatError with file and line where it is broken; of an entry
    that stands twice the last counts, and a warning tells it, unless `quiet`."""
    content, remarks = read_file(path, _Loader, quiet)
    if not all(isinstance(template, Template) for template in content["templates"].values()):
        raise FormatError(f"{path}: every entry of templates must be tagged {TemplateTag.name}")
    for what in () if quiet else remarks.twice:
        warn_once(what, path)
    return content


def yaml_text(content: dict[str, Any]) -> str:
    """The file of such a content, as promptsource writes it.

    >>> yaml_text({"dataset": "d", "templates": {}})
    'dataset: d\\ntemplates: {}\\n'
    """
    return yaml.dump(content, Dumper=_Dumper)


class DatasetTemplates:
    """The templates of one dataset (and subset), and the file they are kept in.

    Attributes dataset_name, subset_name (or None), templates (dict id -> Template), name_to_id_mapping.
    A dataset without a file gives an empty collection and a warning. FormatError where the file is broken.

    >>> mine = Path(t0.__file__).parent / "mini/heldout/prompts"
    >>> len(DatasetTemplates("inference", folder=mine))
    12
    """

    def __init__(self, dataset_name: str, subset_name: str | None = None, folder: PathName | None = None) -> None:
        self.dataset_name, self.subset_name = dataset_name, subset_name
        self._root = Path(folder) if folder is not None else promptsource_folder()
        self._quiet = folder is None  # an installed promptsource's own files are nobody's to mend
        self.templates = self.read_from_file()
        self.name_to_id_mapping = {}
        self.sync_mapping()

    def sync_mapping(self) -> None:
        """Brings name_to_id_mapping up to date with the templates' names."""
        self.name_to_id_mapping = {template.name: template.id for template in self.templates.values()}

    @property
    def all_template_names(self) -> list[str]:
        """The names, sorted."""
        return sorted(template.name for template in self.templates.values())

    @property
    def folder_path(self) -> str:
        """The folder of the file, text."""
        return str(self._root.joinpath(self.dataset_name, self.subset_name or ""))

    @property
    def yaml_path(self) -> str:
        """The file, text."""
        return str(Path(self.folder_path, FILE))

    def format_for_dump(self) -> dict[str, Any]:
        """What the file holds: a dict with dataset, templates and, where there is one, subset."""
        content = {"dataset": self.dataset_name, "templates": self.templates}
        return content | {"subset": self.subset_name} if self.subset_name else content

    def read_from_file(self) -> dict[str, Template]:
        """The templates of the file: a dict id -> Template; empty, with a warning, where there is no file."""
        path = Path(self.yaml_path)
        if not path.is_file():
            _log.warning(
                "%s: no such file, so there are no prompts for %s yet", path, " ".join(filter(None, (self.dataset_name, self.subset_name)))
            )
            return {}
        return read_content(path, quiet=self._quiet)["templates"]

    def write_to_file(self) -> None:
        """Replaces the file, whole; OSError where that cannot be done, and the old one stays."""
        self.sync_mapping()
        write_text(self.yaml_path, yaml_text(self.format_for_dump()))

    def add_template(self, template: Template) -> None:
        """Adds a template and writes the file."""
        self.templates[template.get_id()] = template
        self.write_to_file()

    def remove_template(self, template_name: str) -> None:
        """Removes a template and writes the file; with the last one the file goes. ValueError for an unknown name."""
        if template_name not in self.all_template_names:
            raise ValueError(f"{self.yaml_path}: no template is named {shown(template_name)}")
        self.sync_mapping()
        del self.templates[self.name_to_id_mapping[template_name]]
        if self.templates:
            self.write_to_file()
        else:
            self.delete_folder()

    def update_template(
        self,
        current_template_name: str,
        new_template_name: str,
        jinja: str,
        reference: str,
        metadata: Template.Metadata,
        answer_choices: str | None,
    ) -> None:
        """Changes everything but the id of a template and writes the file. KeyError for an unknown name."""
        template = self[current_template_name]
        template.name, template.jinja, template.reference = new_template_name, jinja, reference
        template.metadata, template.answer_choices = metadata, answer_choices
        self.write_to_file()

    def delete_folder(self) -> None:
        """Removes the file, and its folder and the dataset's where nothing else lies in them."""
        self.sync_mapping()
        Path(self.yaml_path).unlink()
        for folder in [Path(self.folder_path), *([Path(self.folder_path).parent] if self.subset_name else [])]:
            if not any(folder.iterdir()):
                folder.rmdir()

    def __getitem__(self, template_key: str) -> Template:
        return self.templates[self.name_to_id_mapping[template_key]]

    def __len__(self) -> int:
        return len(self.templates)


def _key_of(parts):
    """(dataset, subset or None) of the folders above a file, as promptsource divides them: below a user's name two belong together."""
    of_user = len(parts) == 3 or (len(parts) == 2 and parts[0] in INCLUDED_USERS)
    dataset, rest = ("/".join(parts[:2]), parts[2:]) if of_user else (parts[0], parts[1:])
    return dataset, rest[0] if rest else None


class TemplateCollection:
    """All templates below a folder. Attribute datasets_templates: dict (dataset, subset or None) -> DatasetTemplates.

    >>> TemplateCollection(Path(t0.__file__).parent / "mini/heldout/prompts").get_templates_count()["inference"]
    12
    """

    def __init__(self, folder: PathName | None = None) -> None:
        self._root = Path(folder) if folder is not None else promptsource_folder()
        places = [path.relative_to(self._root).parts[:-1] for path in find_files(self._root).values()]
        keys = sorted(map(_key_of, places), key=lambda key: (key[0], key[1] or ""))
        self.datasets_templates = {key: DatasetTemplates(*key, folder=folder) for key in keys}

    @property
    def keys(self) -> list[tuple[str, str | None]]:
        """The (dataset, subset or None) pairs, a list."""
        return list(self.datasets_templates)

    def remove(self, dataset_name: str, subset_name: str | None = None) -> None:
        """Forgets a dataset's templates; its file stays. KeyError where there are none."""
        del self.datasets_templates[dataset_name, subset_name]

    def get_dataset(self, dataset_name: str, subset_name: str | None = None) -> DatasetTemplates:
        """The DatasetTemplates of a dataset and subset: an empty one, with a warning, where there is no file."""
        key = dataset_name, subset_name or None
        if key not in self.datasets_templates:
            self.datasets_templates[key] = DatasetTemplates(*key, folder=self._root)
        return self.datasets_templates[key]

    def get_templates_count(self) -> dict[str, int]:
        """The number of templates of each dataset, its subsets together: a dict."""
        counts = Counter()
        for (dataset, _), templates in self.datasets_templates.items():
            counts[dataset] += len(templates)
        return dict(counts)

    def get_templates_data_frame(self) -> DataFrame:
        """A pandas table, one template a row: id, dataset, subset, name, reference, original_task, choices_in_prompt,
        metrics, languages, answer_choices, jinja. Needs pandas."""
        import pandas

        rows = []
        for (dataset, subset), templates in self.datasets_templates.items():
            for template in templates.templates.values():
                metadata = template.metadata
                rows.append(
                    {"id": template.id, "dataset": dataset, "subset": subset or "", "name": template.name, "reference": template.reference}
                    | {key: getattr(metadata, key, None) for key in ("original_task", "choices_in_prompt", "metrics", "languages")}
                    | {"answer_choices": template.answer_choices, "jinja": template.jinja}
                )
        return pandas.DataFrame(rows)

    def __len__(self) -> int:
        return len(self.datasets_templates)


def removeHyphen(example: Row) -> dict[str, Any]:
    """A copy of an example in whose field names - has become _, which templates can name.

    >>> removeHyphen({"label-coarse": 1})
    {'label_coarse': 1}
    """
    return {key.replace("-", "_"): value for key, value in example.items()}
