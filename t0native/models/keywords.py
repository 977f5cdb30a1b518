"""The keywords of a model's methods, as type checkers know them: each method's overloads take one of these tables.

Reading     how inputs become ids: encode
Judging     of rank and score besides
Generating  of generate and stream: options of the hub under its names, None to take back what the model's file says"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, TypedDict

from t0native.base.annotations import Item, Progress

__all__ = ["Encoding", "Generating", "Judging", "Pooling", "Reading", "Streaming"]

Pooling: TypeAlias = Literal["mean", "sentence"]


class Reading(TypedDict, total=False):
    """What is told where `rank` is."""

    add_eos_to_inputs: bool | None
    max_input_length: int
    truncate: bool | Literal["start"]
    sentinels: bool
    adapter: str | Sequence[str | None] | None


class Encoding(Reading, total=False):
    """Of `encode` besides, but for pooling."""

    pad: Literal["attend", "zeros"] | None


class Judging(Reading, total=False):
    """What is told where `rank` is, but for token_scores, which changes the results' form."""

    max_target_length: int
    length_normalize: bool
    batch_tokens: int | None
    progress: Progress | None


class Streaming(Reading, total=False):
    """The options of one answer (generation/options.py), but for num_return_sequences and output_scores, which change the form."""

    decoder_input: Item | Sequence[Item] | None
    max_new_tokens: int | None
    min_new_tokens: int | None
    max_length: int | None
    min_length: int | None
    do_sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    typical_p: float | None
    seed: int | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    bad_words_ids: Sequence[Sequence[int]] | None
    prefix_allowed_tokens_fn: Callable[[int, Any], Sequence[int]] | None
    stop_strings: str | Sequence[str] | None
    eos_token_id: int | Sequence[int] | None
    decoder_start_token_id: int | None
    pad_token_id: int | None  # taken, and nothing is done: nothing is padded
    use_cache: bool | None  # taken, and nothing is done: keys and values are always kept


class Generating(Streaming, total=False):
    """Of `generate` besides."""

    num_beams: int | None
    length_penalty: float | None
    early_stopping: bool | Literal["never"] | None
    places: Sequence[int] | None
    progress: Progress | None
