"""The wordings in which a classifier asks: three sets of our own, and any prompt.

    a prompt's template up to its first |||, with answer_choices = the words of the labels, sorted     --row--> the input of the model

What stands behind ||| is not read, and the labels' words take the place of the prompt's own choices. A text is the one field that the
input reads; where it reads several, rows with these fields are needed. Where there are several labels a text, the input reads `label`, and
the choices are two words for yes and no.

Our own are short questions of the kinds on which T0 was trained, one half of them with the labels in the question and one half without
(only without where there are more labels than fit a question)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from t0native.base.errors import ConfigError, TemplateError, suggest
from t0native.base.showing import listed, shown
from t0native.prediction.predict import read_prompts
from t0native.prompts.collection import choose_prompts
from t0native.prompts.prompt import Prompt

__all__ = ["SETS", "Wording", "domain_wording", "kind_of_labels", "read_wordings"]

SEPARATOR = "|||"
WORDS = "words_of_the_labels"  # a field that is added to rows
_JOINED = f"{{{{ {WORDS} | join(' {SEPARATOR} ') }}}}"
MOST_LISTED = 24  # labels that our own wordings have in the question
_LISTED = "{{ answer_choices[:-1] | join(', ') }} or {{ answer_choices[-1] }}"

SETS = {  # name -> {name of a wording: (template, whether the labels stand in it)}
    "topics": {
        "what is it about": ("{{ text }}\n\nWhat is this text about?", False),
        "about which": (f"{{{{ text }}}}\n\nIs this text about {_LISTED}?", True),
        "topic first": ("What is the topic of this text?\n\n{{ text }}", False),
        "choose the topic": (f"Choose the topic of the text: {_LISTED}.\n\n{{{{ text }}}}", True),
    },
    "sentiment": {
        "how does the writer feel": ("{{ text }}\n\nHow does the writer feel about it?", False),
        "which opinion": (f"{{{{ text }}}}\n\nIs the opinion of the writer {_LISTED}?", True),
        "sentiment of the text": ("{{ text }}\n\nWhat is the sentiment of this text?", False),
        "opinion first": (f"Is this review {_LISTED}?\n\n{{{{ text }}}}", True),
    },
    "yes/no": {
        "as it stands": ("{{ text }}", False),
        "yes or no": (f"{{{{ text }}}}\n\n{_LISTED}?", True),
        "question and answer": ("Question: {{ text }}\nAnswer:", False),
        "answer by": (f"Answer the question by {_LISTED}.\n\n{{{{ text }}}}", True),
    },
}
OF_EACH_LABEL = {
    "is it about": "{{ text }}\n\nIs this text about {{ label }}?",
    "does it concern": "Does this text concern {{ label }}?\n\n{{ text }}",
    "label of the text": '{{ text }}\n\nCould "{{ label }}" be a label of this text?',
}
_SENTIMENT = {
    "positive",
    "negative",
    "neutral",
    "good",
    "bad",
    "great",
    "terrible",
    "mixed",
    "happy",
    "unhappy",
    "satisfied",
    "dissatisfied",
}
_YES_NO = {"yes", "no", "true", "false", "maybe", "unknown"}


class Wording(NamedTuple):
    """name: of the prompt.  prompt: a Prompt that gives the input alone.  fields: that its input reads and needs.  text: the one of them
    that a text is, or None where a row is needed."""

    name: str
    prompt: Prompt
    fields: tuple[str, ...]
    text: str | None

    def render(self, row: Mapping[str, Any], words: list[str]) -> str | None:
        """The input of a row with these words as its choices; None where it is empty. TemplateError names the prompt and the place."""
        example = self.prompt.render({**row, WORDS: words}, truncate=False)
        return None if example is None else example.input


def kind_of_labels(words: Any) -> str:
    """Which of our own wordings suit these words.

    >>> kind_of_labels(["good", "bad"]), kind_of_labels(["Yes", "No"]), kind_of_labels(["sports", "politics"])
    ('sentiment', 'yes/no', 'topics')
    """
    plain = {text.strip().lower() for text in words}
    for kind, known in (("yes/no", _YES_NO), ("sentiment", _SENTIMENT)):
        if plain <= known:
            return kind
    return "topics"


def read_wordings(prompts: Any, words: list[str], multi_label: bool) -> list[Wording]:
    """The Wordings of what a classifier takes as prompts. words: of each label, the first.  ConfigError for what is none, for names that
    stand twice, and for prompts that read what texts have not.

    >>> [wording.text for wording in read_wordings("{{ review }} Good or bad?", ["good", "bad"], False)]
    ['review']
    """
    if prompts is None or (isinstance(prompts, str) and prompts in SETS):
        named = _own(prompts, words, multi_label)
    elif isinstance(prompts, str) and "{{" in prompts:
        named = {"wording": Prompt("wording", prompts)}
    elif isinstance(prompts, str) and not os.path.exists(prompts) and "/" not in prompts.replace("yes/no", "") and "." not in prompts:
        raise ConfigError(
            f"prompts {shown(prompts)}: no set of wordings; {suggest(prompts, SETS)} (or a template with {{{{ text }}}}, or a file)"
        )
    elif isinstance(prompts, (str, Path)):
        named = read_prompts(choose_prompts(prompts), given=True)
    else:
        named = read_prompts(_with_texts(prompts), given=True)
    return [_wording_of(name, prompt, multi_label) for name, prompt in named.items()]


def domain_wording() -> Wording:
    """The one whose input is a text as it stands, by the field `domain`."""
    return Wording("domain", Prompt("domain", f"{{{{ domain }}}}{SEPARATOR} -", _JOINED), ("domain",), "domain")


def _own(kind, words, multi_label):
    if multi_label:
        if kind is not None:
            raise ConfigError(
                f"prompts {shown(kind)}: of several labels a text each is asked for by itself: give None, or prompts that read label"
            )
        return {name: Prompt(name, text) for name, text in OF_EACH_LABEL.items()}
    wordings = SETS[kind or kind_of_labels(words)]
    return {name: Prompt(name, text) for name, (text, lists) in wordings.items() if not lists or len(words) <= MOST_LISTED}


def _with_texts(prompts):
    """The same, with templates (texts) among several as Prompts."""
    if isinstance(prompts, Mapping) or hasattr(prompts, "render") or not hasattr(prompts, "__iter__"):
        return prompts
    given = list(prompts)
    return [Prompt(_short(text), text) if isinstance(text, str) and "{{" in text else text for text in given]


def _short(text):
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _wording_of(name, prompt, multi_label):
    if not isinstance(prompt, Prompt):
        raise ConfigError(f"prompt {shown(name)}: is {type(prompt).__name__}; a classifier takes Prompts, whose choices are the labels")
    head = prompt.jinja.partition(SEPARATOR)[0]
    try:
        asking = Prompt(prompt.name, f"{head}{SEPARATOR} -", _JOINED, id=prompt.id, **prompt.budgets)
        fields = tuple(field for field in asking.fields if field != WORDS and field not in asking.optional_fields)
    except TemplateError as error:
        raise ConfigError(
            f"prompt {shown(name)}: its template up to ||| is none by itself, and that is what a text is put into: {error}"
        ) from None
    if multi_label and "label" not in asking.fields:
        raise ConfigError(
            f"prompt {shown(name)}: with multi_label=True each label is asked for by itself: the input must print {{{{ label }}}}"
        )
    own = tuple(field for field in fields if field != "label") if multi_label else fields
    if not own:
        raise ConfigError(
            f"prompt {shown(name)}: its input reads no field: nothing of a text would be asked (it reads: {listed(fields) or 'nothing'})"
        )
    return Wording(str(name), asking, own, own[0] if len(own) == 1 else None)
