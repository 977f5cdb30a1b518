"""Prompts as a file in promptsource's layout (promptfile.py reads it): the fields as promptsource names and orders them."""

import yaml

from t0native.base.files import write_text
from t0native.prompts.prompt import Prompt, PromptMetadata
from t0native.prompts.promptfile import MetadataTag, TemplateTag

__all__ = ["write_prompts"]


class _Dumper(yaml.SafeDumper):
    """Knows the two tags."""


def _represent_prompt(dumper, prompt):
    names = ("answer_choices", "id", "jinja", "metadata", "name", "reference")
    return dumper.represent_mapping(TemplateTag.name, {name: getattr(prompt, name) for name in names})


def _represent_metadata(dumper, metadata):
    said = {key: value for key, value in metadata._asdict().items() if key != "factors" or value is not None}
    return dumper.represent_mapping(MetadataTag.name, said)


_Dumper.add_representer(Prompt, _represent_prompt)
_Dumper.add_representer(PromptMetadata, _represent_metadata)


def write_prompts(path, dataset, subset, prompts):
    """Writes the file; OSError leaves what was there before."""
    content = {"dataset": dataset} | ({"subset": subset} if subset else {}) | {"templates": {prompt.id: prompt for prompt in prompts}}
    write_text(path, yaml.dump(content, Dumper=_Dumper, allow_unicode=True))
