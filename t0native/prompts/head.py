"""A prompt without its target: what the input alone reads."""

from t0native.base.errors import TemplateError
from t0native.prompts.prompt import Prompt

__all__ = ["SEPARATOR", "without_target"]

SEPARATOR = "|||"


def without_target(prompt):
    """The prompt up to its first |||, or None where that is no template (a tag around |||), or the prompt is none of ours.

    >>> without_target(t0.Prompt("mood", "{{ text }} Good or bad? ||| {{ label }}")).fields
    ('text',)
    """
    if not isinstance(prompt, Prompt) or SEPARATOR not in prompt.jinja:
        return None
    text = prompt.jinja.partition(SEPARATOR)[0]
    try:
        return Prompt(prompt.name, f"{text}{SEPARATOR} -", prompt.answer_choices, id=prompt.id, **prompt.budgets)
    except TemplateError:
        return None
