"""The model card: README.md of a saved model, as the Hugging Face hub reads it.

    ---                 the hub's metadata, YAML: library_name, pipeline_tag, tags, and base_model and datasets where they are known;
    ...                 the licence stands there as a comment, for the owner to fill in
    ---
    # T5 with 1,234 parameters
    ## Use              a program that runs in the model's folder
    ## Model            its shape
    ## Training         one for each that is known, oldest first: what was trained on, for how long, with what settings, validations
    ## Licence
    <!-- t0native: ... SHA-256 of all that stands above -->

The last line tells a card that nobody has touched since it was written: it is written anew with the model, and `read_card` reads it.
Any other README.md is its author's: it is never written over, and nothing is taken from it. A card has no date and no path, so the same
model has the same card. Names come from files, whose authors may mean harm: in the metadata stand those alone that the hub could have,
in quotes, everywhere else they are code, cut and escaped (base/showing.py)."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from t0native.base.errors import FormatError
from t0native.base.files import FileSet
from t0native.base.jsontext import json_text, parse_json
from t0native.base.showing import named
from t0native.base.version import __version__
from t0native.checkpoints.hub import hub_model

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterable

    from t0native.base.annotations import PathName
    from t0native.checkpoints.config import Config

__all__ = [
    "CARD", "Card", "add_card", "card_of", "card_text", "code", "has_foreign_card", "is_hub_name", "markdown_rows", "read_card",
    "write_card",
]  # fmt: skip

CARD = "README.md"
MOST_BYTES = 4 << 20  # of a README.md that is looked at
_PART = r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9_])?"
_HUB_NAME = re.compile(rf"(?:{_PART}/)?{_PART}", re.ASCII)
_LAST_LINE = re.compile(
    rb"<!-- t0native: written by t0native, unchanged while this is the SHA-256 of what stands above: ([0-9a-f]{64}) -->\n"
)


@dataclass(frozen=True)
class Card:
    """What is known of where a model is from, for the card that `Model.save` writes.

    base_model: its name on the Hugging Face hub, or None.  origin: what its weights were before any training told of here, in Markdown, or
    "".  datasets: names on the hub of what it was trained on.  trainings: Markdown of each training, oldest first.

    >>> Card().trainings
    ()
    """

    base_model: str | None = None
    origin: str = ""
    datasets: tuple[str, ...] = ()
    trainings: tuple[str, ...] = ()

    def with_training(self, section: str, datasets: Iterable[str]) -> Card:
        """The card after one more training."""
        return replace(self, datasets=tuple(sorted({*self.datasets, *datasets})), trainings=(*self.trainings, section))


# ---- writing ---------------------------------------------------------------------------------------------------------


def card_text(card: Card, config: Config, dtype: str, reads_texts: bool = True) -> str:
    """The file's text. dtype: of the weights beside it.  reads_texts: whether a tokenizer lies beside it, too.

    >>> print(card_text(Card("google/t5-v1_1-small"), t0.mini.config(), "float32").splitlines()[6])
    base_model: "google/t5-v1_1-small"
    """
    blocks = [
        _metadata(card, config, dtype),
        f"# T5 with {config.parameters:,} parameters",
        f"Made by t0native {__version__}. What it is for, and where it fails, is its owner's to tell.",
        _use(config, dtype, reads_texts),
        "## Model\n\n" + markdown_rows(["what", ""], _shape(card, config, dtype)),
        *card.trainings,
        "## Licence\n\nNot known to the program that wrote this card: its owner fills it in, here and as `license:` above.",
    ]
    text = "\n\n".join(blocks) + "\n\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    return f"{text}<!-- t0native: written by t0native, unchanged while this is the SHA-256 of what stands above: {digest} -->\n"


def _metadata(card, config, dtype):
    use, task = ("sentence-embedding", "feature-extraction") if config.encoder_only else ("rank-classification", "text2text-generation")
    tags = ["t5", use, *(["multitask-prompted-training"] if card.trainings else [])]
    lines = ["---", "library_name: t0native", f"pipeline_tag: {task}", "tags:", *(f"- {tag}" for tag in tags)]
    if card.base_model is not None:
        lines.append(f"base_model: {json_text(card.base_model)}")
        relation = "finetune" if card.trainings else "quantized" if dtype == "int8" else None
        lines += [f"base_model_relation: {relation}"] if relation else []
    if card.datasets:
        lines += ["datasets:", *(f"- {json_text(name)}" for name in card.datasets)]
    lines.append("# license: the owner's to fill in, as apache-2.0 (https://huggingface.co/docs/hub/repositories-licenses)")
    return "\n".join([*lines, "---"])


def _use(config, dtype, reads_texts):
    chosen = ', "int8"' if dtype == "int8" else ""
    lines = [
        "import t0native as t0",
        "",
        f'model = t0.Model.from_pretrained("."{chosen})  # the folder of this file, or "owner/name" of the hub',
    ]
    if config.encoder_only:
        text = '"a text"' if reads_texts else f"[{config.vocab_size - 1}]"
        return "\n".join(["## Use", "", "```python", *lines, f"print(model.encode({text}).shape)  # an encoder alone", "```"])
    if reads_texts:
        lines.append('text = "Review: the soup was warm and the waiter kind. Is this review positive or negative?"')
        lines.append('print(model.rank(text, ["positive", "negative"]).choice)')
    else:
        last = config.vocab_size - 1
        lines.append(f"text = [{last}]  # token ids: no tokenizer lies here")
        lines.append(f"print(model.rank(text, [[0], [{last}]]).choice)")
    return "\n".join(["## Use", "", "```python", *lines, "print(model.generate(text, max_new_tokens=20))", "```"])


def _shape(card, config, dtype):
    decoder = "no decoder" if config.encoder_only else f"{config.num_decoder_layers} of the decoder"
    layers = f"{config.num_layers} of the encoder, {decoder}, {config.num_heads} heads"
    facts = [("layers", layers), ("d_model, d_ff", f"{config.d_model}, {config.d_ff}"), ("vocabulary", f"{config.vocab_size:,}")]
    return [*facts, ("weights", dtype), *([("weights from", card.origin)] if card.origin and not card.trainings else [])]


def markdown_rows(head, rows):
    """A table in Markdown. Cells are Markdown already: texts of files stand in them as `code` has them."""
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def code(text: object) -> str:
    """A text of a file as code in a table's cell: short, printable, and nothing in it is Markdown or HTML.

    >>> code("glue"), code("a`b"), code("c|d")
    ('`glue`', '<code>a&#96;b</code>', '<code>c&#124;d</code>')
    """
    text = named(text)
    if not re.search(r"[`|\\]", text):  # which could end the code or the cell
        return f"`{text}`"
    return f"<code>{re.sub('[^a-zA-Z0-9 ]', lambda sign: f'&#{ord(sign[0])};', text)}</code>"


def is_hub_name(name: object) -> bool:
    """Whether a model or a dataset could have this name on the hub.

    >>> is_hub_name("google/flan-t5-base"), is_hub_name("../x"), is_hub_name("a: [b]")
    (True, False, False)
    """
    return isinstance(name, str) and len(name) <= 96 and _HUB_NAME.fullmatch(name) is not None and not re.search(r"--|\.\.|\.git$", name)


def add_card(files: FileSet, text: str) -> None:
    """Adds a card to a FileSet, unless a README.md lies there that is not as this program wrote it."""
    if not has_foreign_card(files.folder):
        files.add(CARD, text.encode())


def has_foreign_card(folder: PathName) -> bool:
    """Whether a README.md lies there that is not as this program wrote it, of whatever kind of file.

    >>> has_foreign_card("nowhere")
    False
    """
    return os.path.lexists(Path(folder) / CARD) and _own(Path(folder) / CARD) is None


def write_card(folder: PathName, text: str) -> None:
    """Writes a card into a folder, as add_card."""
    with FileSet(folder) as files:
        add_card(files, text)


# ---- reading ---------------------------------------------------------------------------------------------------------


def card_of(asked: PathName, folder: PathName) -> Card:
    """The Card of a model that was asked for by this name or path, and lies in this folder: what the folder's own tells, and where it is.

    >>> card_of("google/flan-t5-base", "nowhere")
    Card(base_model='google/flan-t5-base', origin='`google/flan-t5-base` of the Hugging Face hub', datasets=(), trainings=())
    """
    own = read_card(folder)
    if os.path.exists(asked):
        return replace(own, origin=f"the folder {code(Path(asked).resolve().name)}")
    name = str(hub_model(asked))
    return replace(own, base_model=name if is_hub_name(name) else None, origin=f"{code(name)} of the Hugging Face hub")


def read_card(folder: PathName) -> Card:
    """What the card of a folder tells of where the model is from; nothing where there is none, or one that was changed.

    >>> read_card("nowhere")
    Card(base_model=None, origin='', datasets=(), trainings=())
    """
    text = _own(Path(folder) / CARD)
    if text is None:
        return Card()
    _, metadata, body = text.split("---\n", 2) if text.count("---\n") >= 2 else ("", "", "")
    base = [name for name in map(_quoted, re.findall(r"^base_model: (.*)$", metadata, flags=re.M)) if is_hub_name(name)]
    datasets = [name for name in map(_quoted, re.findall(r"^- (\".*)$", metadata, flags=re.M)) if is_hub_name(name)]
    sections = re.split(r"^(?=## )", body, flags=re.M)
    return Card(
        base[0] if base else None, "", tuple(datasets), tuple(part.strip() for part in sections if part.startswith("## Training\n"))
    )


def _own(place):
    """The text of a card that is as it was written; None of any other file, and of none."""
    try:
        if not place.is_file() or place.stat().st_size > MOST_BYTES:
            return None
        text, last = place.read_bytes(), b""
    except OSError:
        return None
    text, last = text[: text.rfind(b"\n", 0, -1) + 1], text[text.rfind(b"\n", 0, -1) + 1 :]
    found = _LAST_LINE.fullmatch(last)
    if found is None or hashlib.sha256(text).hexdigest().encode() != found[1]:
        return None
    try:
        return text.decode()
    except UnicodeDecodeError:
        return None


def _quoted(text):
    try:
        return parse_json(CARD, text.encode())
    except FormatError:
        return None
