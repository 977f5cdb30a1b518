"""One file of prompts in promptsource's layout (P3), read by PyYAML's safe C loader, which knows its two tags and no others.

    dataset: super_glue
    subset: rte                          absent where the dataset has none
    templates:
      <uuid>: !Template
        name, jinja, answer_choices, reference, id
        metadata: !TemplateMetadata      original_task, choices_in_prompt, metrics, languages; factors, of a wording that vary made

As in the reference, an entry whose key stands twice counts as it stands last, in the first one's place. A file written by hand may leave
out tags, ids, names (then its key is its name) and metadata, templates may be a list, an entry its text alone, answer_choices a list, and
texts may be what YAML takes for numbers or truth; `Remarks` say where one did, for `prompt check`. What YAML takes otherwise is told with
the line that was meant (handwritten.py).
What aliases may repeat, and how much a file may hold, says base/yamltext.py."""

import io
import logging
import re
from dataclasses import dataclass, field

import yaml

from t0native.base.errors import DataError, FormatError, nearest
from t0native.base.showing import named, printable, shown
from t0native.base.yamltext import MAX_BYTES, SafeLoader, load_document, problem_of
from t0native.data.lines import text_lines
from t0native.prompts.handwritten import cut_by_a_comment, lines_of_yaml, quoted_line, what_was_meant
from t0native.prompts.prompt import PromptMetadata, prompt_as_written

__all__ = ["FILE", "FORM", "LANGUAGES", "METRICS", "MetadataTag", "PromptLoader", "Remarks", "TemplateTag", "read_file", "warn_once"]

FILE = "templates.yaml"
TEMPLATE_FIELDS = ("name", "jinja", "answer_choices", "reference", "id", "metadata")
FORM = (
    "as in templates: {1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b: !Template {id: 1b0f5d4c-5f56-4d9c-8f3c-7d5d6f1c2a3b, name: mood, "
    "jinja: '{{ text }} Good or bad? ||| {{ answer_choices[label] }}', answer_choices: bad ||| good}}"
)
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
_MAP, _TEXT = "tag:yaml.org,2002:map", "tag:yaml.org,2002:str"
_NOT_QUOTED = {f"tag:yaml.org,2002:{kind}" for kind in ("bool", "int", "float", "timestamp")}
_OF_SYNTAX = (yaml.scanner.ScannerError, yaml.parser.ParserError, yaml.composer.ComposerError)
_OTHER_NAMES = ("template", "prompt", "text", "question", "Jinja", "jinja2")  # of jinja
_log = logging.getLogger("t0native")
_warned = set()


def warn_once(what, place):
    """Logs `PLACE: WHAT`, for each `what` once."""
    if what not in _warned:
        _warned.add(what)
        _log.warning("%s: %s", place, what)


@dataclass
class Remarks:
    """What was read though promptsource wants it otherwise. twice, unknown: sentences, of keys that stand twice and of fields.  untagged,
    without_id: keys of entries.  otherwise: {key: sentences}, of values of an entry.  listed: templates is a list; keys are the numbers of
    its entries, from 1."""

    twice: list = field(default_factory=list)
    untagged: set = field(default_factory=set)
    without_id: set = field(default_factory=set)
    unknown: list = field(default_factory=list)
    otherwise: dict = field(default_factory=dict)
    listed: bool = False


class PromptLoader(SafeLoader):
    """The safe loader of prompt files; what its two tags become, a subclass says. quiet: nothing is logged.  lenient: whether entries
    may lack tags and names."""

    lenient = False

    def __init__(self, stream, name="", quiet=False, remarks=None):
        super().__init__(stream)
        self.name, self.quiet, self.remarks = name, quiet, Remarks() if remarks is None else remarks
        self.lines = lines_of_yaml(stream)

    def get_single_node(self):
        root = super().get_single_node()
        for i, (key, templates) in enumerate(root.value if isinstance(root, yaml.MappingNode) else ()):
            if key.value != "templates":
                continue
            if self.lenient and isinstance(templates, yaml.SequenceNode):
                self.remarks.listed = True
                root.value[i] = key, templates = key, _numbered(templates)
            if isinstance(templates, yaml.MappingNode):
                self._drop_repeated(templates)
                if self.lenient:
                    templates.value = [(_key_as_text(entry), self._complete(entry, value)) for entry, value in templates.value]
        return root

    def warn(self, kind, value, place, near=None):
        """Tells once of a value that is not known."""
        if not self.quiet:
            warn_once(f"unknown {kind} {shown(value)}" + (f"; did you mean {shown(near)}?" if near else ""), place)

    def _drop_repeated(self, templates):
        entries = {}
        for key, value in templates.value:
            if isinstance(key, yaml.ScalarNode) and key.value in entries:
                line, last = entries[key.value][0].start_mark.line + 1, key.start_mark.line + 1
                self.remarks.twice.append(f"line {last}: entry {shown(key.value)} stands twice, first in line {line}; the last one counts")
            entries[key.value if isinstance(key, yaml.ScalarNode) else id(key)] = key, value
        templates.value = list(entries.values())

    def _complete(self, key, entry):
        """The entry with the tags and the name that it lacks, and with texts where texts must be."""
        if not isinstance(key, yaml.ScalarNode):
            return entry
        if isinstance(entry, yaml.ScalarNode) and entry.tag == _TEXT and not self.remarks.listed:
            _refuse_glued(self.name, entry)
            self._check_uncut(key, entry)
            entry = yaml.MappingNode(_MAP, [(_text("jinja", entry), entry)], entry.start_mark, entry.end_mark)
        if not isinstance(entry, yaml.MappingNode):
            return entry
        pairs = [(name, self._as_text(key, name, value)) for name, value in entry.value]
        entry = yaml.MappingNode(entry.tag, pairs, entry.start_mark, entry.end_mark)  # an alias of it stands under another key
        fields = {name.value: value for name, value in entry.value if isinstance(name, yaml.ScalarNode)}
        if entry.tag == _MAP:
            entry.tag = TemplateTag.name
            self.remarks.untagged.add(key.value)
        if "id" not in fields:
            self.remarks.without_id.add(key.value)
        if "name" not in fields and not self.remarks.listed:
            entry.value.insert(0, (_text("name", entry), _text(key.value, key)))
        metadata = fields.get("metadata")
        if isinstance(metadata, yaml.MappingNode) and metadata.tag == _MAP:
            metadata.tag = MetadataTag.name
        return entry

    def _as_text(self, key, name, value):
        """What a field of an entry is: a list of choices as a text with ||| between them, a number or a truth value as the text it is."""
        if not isinstance(name, yaml.ScalarNode) or name.value not in ("name", "jinja", "answer_choices"):
            return value
        if isinstance(value, yaml.ScalarNode):
            self._check_uncut(name, value)
        if name.value == "answer_choices" and isinstance(value, yaml.SequenceNode):
            texts = _texts_of(self.name, value)
            self._remark(key, name, f"is a list; promptsource wants a text: {quoted_line(name.value, texts)}")
            return yaml.ScalarNode(_TEXT, texts, value.start_mark, value.end_mark)
        if isinstance(value, yaml.ScalarNode) and value.tag in _NOT_QUOTED:
            self._remark(key, name, f"is no text to YAML; in quotation marks it is: {quoted_line(name.value, value.value)}")
            return yaml.ScalarNode(_TEXT, value.value, value.start_mark, value.end_mark)
        return value

    def _check_uncut(self, name, value):
        cut = cut_by_a_comment(self.lines, name, value)
        if cut is not None:
            raise FormatError(f"{self.name}: line {cut[0]}: {cut[1]}")

    def _remark(self, key, name, what):
        self.remarks.otherwise.setdefault(key.value, []).append(f"{name.value} {what}")


def _texts_of(name, choices):
    """The text that a list of choices stands for; each choice as it is written."""
    for choice in choices.value:
        if not isinstance(choice, yaml.ScalarNode) or "|||" in choice.value or not choice.value:
            place = f"{name}: line {choice.start_mark.line + 1}"
            what = "holds |||" if isinstance(choice, yaml.ScalarNode) and choice.value else "is no text"
            raise FormatError(f"{place}: a choice {what}; write the choices as one text: answer_choices: 'bad ||| good'")
    return " ||| ".join(choice.value for choice in choices.value)


def _refuse_glued(name, entry):
    """FormatError for an entry whose field has no space behind its colon, which makes one text of both."""
    glued = re.match(r"(name|jinja|answer_choices|reference|id|metadata):(?=\S)", entry.value)
    if glued:
        raise FormatError(f"{name}: line {entry.start_mark.line + 1}: a space is missing behind {glued[0]} YAML reads one text otherwise")


def _key_as_text(key):
    """A key that YAML takes for a number or a truth value as the text it is: as a value, 1 is true."""
    return _text(key.value, key) if isinstance(key, yaml.ScalarNode) and key.tag in _NOT_QUOTED else key


def _text(value, node):
    """A node that is this text, at the place of another."""
    return yaml.ScalarNode(_TEXT, value, node.start_mark, node.end_mark)


def _numbered(entries):
    """A list of entries as a mapping from their numbers, from 1."""
    pairs = [(_text(str(number), entry), entry) for number, entry in enumerate(entries.value, 1)]
    return yaml.MappingNode(_MAP, pairs, entries.start_mark, entries.end_mark)


class MetadataTag:
    """!TemplateMetadata: what is known of its fields, and what must hold."""

    name = "!TemplateMetadata"
    known = PromptMetadata._fields

    @classmethod
    def fields(cls, loader, node):
        """(A tagged mapping as a dict, its place in words). A field that is not known is told once, and left alone."""
        place = f"{loader.name}: line {node.start_mark.line + 1}"
        if not isinstance(node, yaml.MappingNode):
            raise FormatError(f"{place}: {named(node.tag)} must be a mapping")
        fields = loader.construct_mapping(node, deep=True)
        for key in fields:
            if key not in cls.known:
                near = nearest(str(key), cls.known)
                loader.warn("field", key, place, near)
                if near:
                    line = node.start_mark.line + 1
                    loader.remarks.unknown.append(f"line {line}: unknown field {shown(key)} of a {cls.name}; did you mean {shown(near)}?")
        return fields, place

    @staticmethod
    def check(loader, fields, place, metadata_type):
        """FormatError where a field has not the type it must have; unknown metrics and languages are told once."""
        factors = fields.get("factors")
        if factors is not None and not (
            isinstance(factors, dict) and all(isinstance(text, str) for pair in factors.items() for text in pair)
        ):
            raise FormatError(f"{place}: factors must be a mapping of texts to texts, as factors: {{question: first}}")
        for key in ("metrics", "languages"):
            values = fields.get(key)
            if values is None:
                continue
            if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
                raise FormatError(f"{place}: {key} must be a list of text, as {key}: [{'en' if key == 'languages' else 'Accuracy'}]")
            known = METRICS if key == "metrics" else LANGUAGES
            for value in values:
                if value not in known:
                    loader.warn(key[:-1], value, place)


class TemplateTag(MetadataTag):
    """!Template, the same."""

    name = "!Template"
    known = TEMPLATE_FIELDS

    @staticmethod
    def check(loader, fields, place, metadata_type):
        """FormatError where a field has not the type it must have."""
        for key in ("name", "jinja"):
            if not isinstance(fields.get(key), str):
                what = f"{place}: a template's {key} must be text, is {type(fields.get(key)).__name__}"
                raise FormatError(f"{what}; {_nearest_field(fields) if key == 'jinja' and fields.get(key) is None else FORM}")
        for key in ("id", "reference"):
            check_plain(fields.get(key), f"{place}: template {shown(fields['name'])}: {key}")
        choices, metadata = fields.get("answer_choices"), fields.get("metadata")
        if not isinstance(choices, (str, type(None))):
            raise FormatError(
                f"{place}: template {shown(fields['name'])}: answer_choices must be text or null, is {type(choices).__name__}; "
                "write the choices as one text: answer_choices: 'bad ||| good'"
            )
        if not isinstance(metadata, (metadata_type, type(None))):
            form = f"{MetadataTag.name} {{languages: [en]}}"
            raise FormatError(f"{place}: template {shown(fields['name'])}: metadata must be a mapping tagged so: {form}")


def _nearest_field(fields):
    """What stands where a template's jinja is missing."""
    name = next((name for name in _OTHER_NAMES if isinstance(fields.get(name), str)), None)
    if name is not None:
        return f"the field {shown(name)} is called jinja here: {printable(quoted_line('jinja', fields[name]))}"
    target = next((name for name in ("target", "output", "answer", "completion") if isinstance(fields.get(name), str)), None)
    source = next((name for name in ("input", "source") if isinstance(fields.get(name), str)), None)
    if source and target:
        text = f"{fields[source]} ||| {fields[target]}"
        return f"{source} and {target} are one text with ||| between them: {printable(quoted_line('jinja', text))}"
    return FORM


def check_plain(value, what):
    """FormatError where a value is no text, number, truth value or null: of others, a message or a file can be of any size."""
    if not isinstance(value, (str, int, float, type(None))):
        raise FormatError(f"{what} must be text or a number, is {type(value).__name__}: write it in quotes where it is text")


class _Loader(PromptLoader):
    """Makes Prompt and PromptMetadata."""

    lenient = True


def _construct_metadata(loader, node):
    fields, place = MetadataTag.fields(loader, node)
    MetadataTag.check(loader, fields, place, PromptMetadata)
    return PromptMetadata(**{key: fields.get(key) for key in PromptMetadata._fields})


def _construct_template(loader, node):
    fields, place = TemplateTag.fields(loader, node)
    TemplateTag.check(loader, fields, place, PromptMetadata)
    id = fields.get("id")
    texts = fields["name"], fields["jinja"], fields.get("answer_choices"), fields.get("reference") or ""
    return prompt_as_written(*texts, fields.get("metadata"), None if id is None else str(id))


_Loader.add_constructor(TemplateTag.name, _construct_template)
_Loader.add_constructor(MetadataTag.name, _construct_metadata)


def _tell(path, raw, error):
    """What is wrong with a file that is no YAML, with its line, and what was meant where that can be said."""
    problem, mark = problem_of(error)
    if mark is None and isinstance(error, yaml.reader.ReaderError):
        try:
            for _ in text_lines(path, io.BytesIO(raw)):
                pass
        except DataError as told:
            return str(told).removeprefix(f"{path}, ")
    meant = what_was_meant(raw, error) if isinstance(error, _OF_SYNTAX) or "unhashable" in problem else None
    if meant is not None:
        return f"line {meant[0]}: {meant[1]} ({problem})"
    if "for the tag '!" in problem:
        problem += f"; known are {TemplateTag.name} and {MetadataTag.name}"
    return f"line {mark.line + 1}: {problem}" if mark else problem


def read_file(path, loader_type=_Loader, quiet=False):
    """(The content of one file: a dict with dataset, subset and templates, key -> what the loader makes of them; its Remarks).
    FormatError with file and line where it is broken. quiet: what is not known in it is not told."""
    remarks = Remarks()
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
        content = load_document(path, raw, lambda raw: loader_type(raw, str(path), quiet, remarks))
    except yaml.YAMLError as error:
        raise FormatError(f"{path}: {_tell(path, raw, error)}") from error
    if not isinstance(content, dict) or not isinstance(content.get("templates"), dict):
        raise FormatError(f"{path}: must be a mapping with dataset and templates, {FORM}")
    for key in ("dataset", "subset"):
        check_plain(content.get(key), f"{path}: {key}")
    return content, remarks
