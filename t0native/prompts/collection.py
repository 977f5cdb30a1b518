"""Files of prompts in promptsource's layout (P3): <folder>/<dataset>[/<subset>]/templates.yaml, and <user>/<dataset> too.

    dataset: super_glue
    subset: rte                          absent where the dataset has none
    templates:
      <uuid>: !Template
        name, jinja, answer_choices, reference, id
        metadata: !TemplateMetadata      original_task, choices_in_prompt, metrics, languages

Opening a folder only lists it; a file is read when its prompts are asked for, by PyYAML's safe C loader, which knows these
two tags and no others. An alias costs nothing here: fields must be text, so that nothing is ever expanded."""

import importlib.util
import logging
from collections.abc import Mapping
from pathlib import Path

import yaml

from t0native.base.errors import ConfigError, DataError, FormatError, nearest, suggest
from t0native.base.yamltext import SafeLoader
from t0native.prompts.prompt import Prompt, PromptMetadata

FILE = "templates.yaml"
MAX_BYTES = 32_000_000
TEMPLATE_FIELDS = ("name", "jinja", "answer_choices", "reference", "id", "metadata")
METRICS = frozenset(
    "BLEU,ROUGE,Squad,Trivia QA,Accuracy,Pearson Correlation,Spearman Correlation,MultiRC,AUC,COQA F1,Edit Distance,"
    "Mean Reciprocal Rank,Other".split(",")
)
LANGUAGES = frozenset(  # ISO 639-1
    "ab aa af ak sq am ar an hy as av ae ay az bm ba eu be bn bi bs br bg my ca ch ce ny zh cu cv kw co cr hr cs da dv nl dz en "
    "eo et ee fo fj fi fr fy ff gd gl lg ka de el kl gn gu ht ha he hz hi ho hu is io ig id ia ie iu ik ga it ja jv kn kr ks kk "
    "km ki rw ky kv kg ko kj ku lo la lv li ln lt lu lb mk mg ms ml mt gv mi mr mh mn na nv nd nr ng ne no nb nn ii oc oj or om "
    "os pi ps fa pl pt pa qu ro rm rn ru se sm sg sa sc sr sn sd si sk sl so st es su sw ss sv tl ty tg ta tt te th bo ti to ts "
    "tn tr tk tw ug uk ur uz ve vi vo wa cy wo xh yi yo za zu bh sh".split()
)
_log = logging.getLogger("t0native")
_warned = set()


def _warn_once(kind, value, place, near=None):
    if (kind, value) not in _warned:
        _warned.add((kind, value))
        _log.warning("%s: unknown %s %r%s", place, kind, value, f"; did you mean {near!r}?" if near else "")


class PromptLoader(SafeLoader):
    """The safe loader of prompt files; what its two tags become, a subclass says."""


class MetadataTag:
    """!TemplateMetadata: what is known of its fields, and what must hold."""

    name = "!TemplateMetadata"
    known = PromptMetadata._fields

    @classmethod
    def fields(cls, loader, node):
        """A tagged mapping as a dict. A field that is not known is told once, and left alone."""
        place = f"{loader.name}: line {node.start_mark.line + 1}"
        if not isinstance(node, yaml.MappingNode):
            raise FormatError(f"{place}: {node.tag} must be a mapping")
        fields = loader.construct_mapping(node, deep=True)
        for key in fields:
            if key not in cls.known:
                _warn_once("field", key, place, nearest(str(key), cls.known))
        return fields

    @staticmethod
    def check(fields, place, metadata_type):
        """FormatError where a field has not the type it must have; unknown metrics and languages are told once."""
        for key in ("metrics", "languages"):
            values = fields.get(key)
            if values is None:
                continue
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise FormatError(f"{place}: {key} must be a list of text")
            known = METRICS if key == "metrics" else LANGUAGES
            for value in values:
                if value not in known:
                    _warn_once(key[:-1], value, place)


class TemplateTag(MetadataTag):
    """!Template, the same."""

    name = "!Template"
    known = TEMPLATE_FIELDS

    @staticmethod
    def check(fields, place, metadata_type):
        """FormatError where a field has not the type it must have."""
        for key in ("name", "jinja"):
            if not isinstance(fields.get(key), str):
                raise FormatError(f"{place}: a template's {key} must be text, is {type(fields.get(key)).__name__}")
        choices, metadata = fields.get("answer_choices"), fields.get("metadata")
        if not isinstance(choices, (str, type(None))):
            raise FormatError(f"{place}: template {fields['name']!r}: answer_choices must be text or null, is {type(choices).__name__}")
        if not isinstance(metadata, (metadata_type, type(None))):
            raise FormatError(f"{place}: template {fields['name']!r}: metadata must be tagged {MetadataTag.name}")


class _Loader(PromptLoader):
    """Makes Prompt and PromptMetadata."""


def _construct_metadata(loader, node):
    fields = MetadataTag.fields(loader, node)
    MetadataTag.check(fields, f"{loader.name}: line {node.start_mark.line + 1}", PromptMetadata)
    return PromptMetadata(**{key: fields.get(key) for key in PromptMetadata._fields})


def _construct_template(loader, node):
    fields = TemplateTag.fields(loader, node)
    TemplateTag.check(fields, f"{loader.name}: line {node.start_mark.line + 1}", PromptMetadata)
    id = fields.get("id")
    texts = fields["name"], fields["jinja"], fields.get("answer_choices"), fields.get("reference") or ""
    return Prompt(*texts, fields.get("metadata"), None if id is None else str(id))


_Loader.add_constructor(TemplateTag.name, _construct_template)
_Loader.add_constructor(MetadataTag.name, _construct_metadata)


def read_file(path, loader_type=_Loader):
    """The content of one file: a dict with dataset, subset and templates (key -> what the loader makes of them)."""
    try:
        raw = path.read_bytes()
        if len(raw) > MAX_BYTES:
            raise FormatError(f"{path}: {len(raw)} bytes, at most {MAX_BYTES}")
        loader = loader_type(raw)
        loader.name = str(path)
        try:
            content = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}: " if mark else ""
        raise FormatError(f"{path}: {place}{getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise FormatError(f"{path}: nested too deeply") from error
    if not isinstance(content, dict) or not isinstance(content.get("templates"), dict):
        raise FormatError(f"{path}: must be a mapping with dataset and templates")
    return content


class PromptSet(Mapping):
    """The prompts of one dataset (and subset), in the order of the file: a mapping name -> Prompt.

    Attributes dataset, subset (or None), path (of the file, or None). KeyError with the nearest name for an unknown one.

    >>> prompts = t0.PromptSet("demo", None, [t0.Prompt("who", "{{ text }} Who? ||| {{ who }}")])
    >>> prompts, prompts["who"].jinja
    (PromptSet('demo', 1 prompts), '{{ text }} Who? ||| {{ who }}')
    """

    def __init__(self, dataset, subset, prompts, path=None):
        self.dataset, self.subset, self.path = dataset, subset, path
        self._prompts = {}
        for prompt in prompts:
            if prompt.name in self._prompts:
                raise FormatError(f"{path or dataset}: two prompts are named {prompt.name!r}: names must differ")
            self._prompts[prompt.name] = prompt

    @classmethod
    def read(cls, path, dataset=None, subset=None):
        """The prompts of one templates.yaml. FormatError with file and line where it is broken, OSError where it cannot be
        opened. Only plain YAML and promptsource's tags are read.

        >>> t0.PromptSet.read(Path(t0.__file__).parent / "mini/heldout/prompts/inference/templates.yaml")
        PromptSet('inference', 12 prompts)
        """
        path = Path(path)
        content = read_file(path)
        templates = content["templates"].values()
        wrong = next((value for value in templates if not isinstance(value, Prompt)), None)
        if wrong is not None:
            raise FormatError(f"{path}: every entry of templates must be tagged !Template, one is {type(wrong).__name__}")
        return cls(dataset or content.get("dataset"), subset if dataset else content.get("subset"), templates, path)

    def __getitem__(self, name):
        try:
            return self._prompts[name]
        except KeyError:
            raise KeyError(f"no prompt {name!r} for {self.full_name}; {suggest(name, self._prompts)}") from None

    def __iter__(self):
        return iter(self._prompts)

    def __len__(self):
        return len(self._prompts)

    @property
    def full_name(self):
        """dataset, or dataset/subset.

        >>> t0.PromptSet("super_glue", "rte", []).full_name
        'super_glue/rte'
        """
        return f"{self.dataset}/{self.subset}" if self.subset else str(self.dataset)

    def render_one(self, example, seed=0, index=0):
        """One example through every prompt: a dict name -> PromptedExample, or None where T0's pipeline drops the row. Errors as
        Prompt.render's.

        >>> t0.PromptSet("d", None, [t0.Prompt("p", "{{ a }}? ||| b")]).render_one({"a": "x"})
        {'p': PromptedExample(input='x?', target='b', choices=None)}
        """
        return {name: prompt.render(example, seed, index) for name, prompt in self._prompts.items()}

    def __repr__(self):
        return f"PromptSet({self.full_name!r}, {len(self)} prompts)"


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


class PromptCollection(Mapping):
    """Prompt sets by (dataset, subset); "dataset/subset" and "dataset" work as keys too. Files are read when asked for,
    and FormatError is raised then; KeyError with the nearest name for an unknown one. Files: Bach et al. 2022.

    >>> held_out = t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts")
    >>> held_out["inference"]["does it follow"].fields
    ('premise', 'hypothesis', 'label')
    """

    def __init__(self, files, folder=None):
        self.folder = folder
        self._files, self._sets = dict(files), {}
        self._by_name = {f"{dataset}/{subset}" if subset else dataset: (dataset, subset) for dataset, subset in self._files}

    @classmethod
    def load(cls, folder):
        """The prompt files of a folder in promptsource's layout. Raises DataError where there are none.

        >>> len(t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts"))
        5
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder of prompts")
        files = find_files(folder)
        if not files and (folder / FILE).is_file():
            one = PromptSet.read(folder / FILE)
            files = {(one.dataset, one.subset): folder / FILE}
        if not files:
            raise DataError(f"{folder}: no {FILE} below it; expected <dataset>/{FILE} or <dataset>/<subset>/{FILE}")
        return cls(files, folder)

    @classmethod
    def promptsource(cls, path=None):
        """The prompts of an installed promptsource, or of one unpacked at `path`; its code is never imported. DataError
        where there is none, with how to get it.

        >>> t0.PromptCollection.promptsource("nowhere")
        Traceback (most recent call last):
        t0native.DataError: nowhere: no such folder of prompts
        """
        if path is not None:
            folder = Path(path)
            inside = [folder / "promptsource" / "templates", folder / "templates", folder]
            return cls.load(next((place for place in inside if place.is_dir()), folder))
        return cls.load(promptsource_folder())

    def path(self, key):
        """The file of a key, a Path. KeyError as for the prompts.

        >>> t0.PromptCollection.load(Path(t0.__file__).parent / "mini/heldout/prompts").path("inference").name
        'templates.yaml'
        """
        return self._files[self._find_key(key)]

    def _key(self, key):
        if isinstance(key, str):
            return self._by_name.get(key)
        if not isinstance(key, (tuple, list)):
            return None
        key = tuple(key)
        key = (*key, None) if len(key) == 1 else (key[0], key[1] or None) if len(key) == 2 else key
        return key if key in self._files else None

    def _find_key(self, key):
        known = self._key(key)
        if known is None:
            name = "/".join(str(part) for part in key if part) if isinstance(key, (tuple, list)) else key
            raise KeyError(f"no prompts for {name!r}; {suggest(name, self._by_name)}")
        return known

    def __getitem__(self, key):
        known = self._find_key(key)
        if known not in self._sets:
            self._sets[known] = PromptSet.read(self._files[known], *known)
        return self._sets[known]

    def __contains__(self, key):
        try:
            return self._key(key) is not None
        except TypeError:
            return False

    def __iter__(self):
        return iter(self._files)

    def __len__(self):
        return len(self._files)

    def __repr__(self):
        return f"PromptCollection({str(self.folder)!r}, {len(self)} datasets and subsets)"


def load_prompts(where):
    """The PromptCollection of a folder, or of the installed promptsource."""
    return PromptCollection.promptsource() if where == "promptsource" else PromptCollection.load(where)


def prompts_of(collection, dataset):
    """The prompts of "dataset" or "dataset/subset"; ConfigError with the nearest name where there are none."""
    try:
        return collection[dataset]
    except KeyError:
        raise ConfigError(f"no prompts for {dataset!r}; {suggest(dataset, map(dataset_name, collection))}") from None


def dataset_name(key):
    """A collection's key as "dataset" or "dataset/subset"."""
    return key if isinstance(key, str) else "/".join(part for part in key if part)
