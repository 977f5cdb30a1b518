"""What `generate` and `stream` may be asked, by the names of the hub's GenerationConfig: kinds, defaults, refusals.

    the hub's defaults  <  generation_config.json of the model  <  keywords of the call        the later one wins

None as a keyword takes an option back: what the model's file says of it is then not used. A keyword that nobody knows is a
TypeError with the nearest name; one of the hub's that would change the answers and is not available is a ConfigError that
names what serves instead, where it is asked for, be it by a keyword or by the file.

What the file says of an option that is idle, since nothing that the call does looks at it (a temperature without sampling, a length
penalty without beams), is not judged: files are full of them. Where a model has no such file, the options that its config.json holds
take its place, as in the hub."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, fields

import numpy as np

from t0native.base.arguments import FLAG, MAPPING, NUMBER, SEED, Kind, check, number, one_of, whole
from t0native.base.errors import ConfigError, suggest
from t0native.base.foreign import find_keyword_hint
from t0native.base.showing import shown

__all__ = [
    "GENERATION_FILE",
    "IDS",
    "MOST_NEW_TOKENS",
    "NEW_TOKENS",
    "PART",
    "Options",
    "Part",
    "check_options",
    "is_greedy",
    "option_names",
    "options_in_config",
    "options_of",
    "take_back",
]
_log = logging.getLogger("t0native")

GENERATION_FILE = "generation_config.json"
IDS = ("decoder_start_token_id", "eos_token_id", "pad_token_id")  # of the file, what says how the model is made
NEW_TOKENS, MOST_NEW_TOKENS = 20, 2**20  # the hub's default where nothing is said; ours at most
MOST_SEQUENCES = 1024
_PLACES = (
    "inputs",
    "decoder_input",
    "add_eos_to_inputs",
    "max_input_length",
    "truncate",
    "sentinels",
    "places",
    "progress",
)  # generate's other arguments


@dataclass
class Part:
    """What calls that are parts of one work have told and found, so that it is told once and in one sum."""

    idle_told: bool = False
    cut: int = 0
    answers: int = 0
    limit: str = ""


PART: ContextVar[Part | None] = ContextVar("part", default=None)  # set around such calls


@dataclass(frozen=True, eq=False)
class Options:
    """The options of one call, checked. A field's default means that the option is off, or that nothing was said."""

    max_new_tokens: int | None = None
    min_new_tokens: int | None = None
    max_length: int | None = None  # as the hub's: with the start token and decoder_input
    min_length: int | None = None
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool | str = False
    num_return_sequences: int = 1
    do_sample: bool = False
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    seed: int = 0
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    bad_words_ids: tuple = ()  # of tuples of ids
    prefix_allowed_tokens_fn: Callable | None = None
    stop_strings: tuple = ()
    eos_token_id: tuple = ()  # ids that end an answer
    decoder_start_token_id: int = 0
    output_scores: bool = False

    @property
    def plain(self):
        """Whether an answer is the greedy one and nothing but its length is bound."""
        beside = (
            "max_new_tokens",
            "min_new_tokens",
            "max_length",
            "min_length",
            "seed",
            "output_scores",
            "eos_token_id",
            "decoder_start_token_id",
        )
        beside += (
            "length_penalty",
            "early_stopping",
            "temperature",
            "top_k",
            "top_p",
            "min_p",
            "typical_p",
        )  # which need beams or sampling
        return all(getattr(self, field.name) == field.default for field in fields(self) if field.name not in beside)

    def room(self, beginning):
        """(fewest, most) new tokens behind a beginning of that many tokens, the start token included."""
        most = self.max_new_tokens
        if most is None:
            most = NEW_TOKENS if self.max_length is None else self.max_length - beginning
            if most < 1:
                raise ConfigError(
                    f"max_length {self.max_length}: must be above {beginning}, the tokens that an answer begins with; "
                    "max_new_tokens counts new ones"
                )
        if self.min_new_tokens is not None:
            return check(whole(0, most), "min_new_tokens", self.min_new_tokens), most
        if self.min_length is not None:
            return max(0, check(whole(0, most + beginning), "min_length", self.min_length) - beginning), most
        return 0, most


def _listing(item):
    """Whether a value is a non-empty list of such items."""
    return lambda value: isinstance(value, (list, tuple)) and len(value) > 0 and all(map(item, value))


_ID = whole(0)
_COUNT, _LENGTH = whole(1, MOST_SEQUENCES), whole(1, MOST_NEW_TOKENS)
_SHARE = number(lambda value: 0 <= value <= 1, "a number from 0 to 1")
_KINDS = {
    "max_new_tokens": _LENGTH,
    "min_new_tokens": whole(0, MOST_NEW_TOKENS),
    "max_length": _LENGTH,
    "min_length": whole(0, MOST_NEW_TOKENS),
    "num_beams": _COUNT,
    "length_penalty": NUMBER,
    "early_stopping": one_of(True, False, "never"),
    "num_return_sequences": _COUNT,
    "do_sample": FLAG,
    "temperature": number(lambda value: value > 0, "a number above 0 (the most likely tokens: do_sample=False)"),
    "top_k": whole(0),
    "top_p": _SHARE,
    "min_p": _SHARE,
    "typical_p": number(lambda value: 0 < value <= 1, "a number above 0, at most 1"),
    "seed": SEED,
    "repetition_penalty": number(lambda value: value > 0, "a number above 0"),
    "no_repeat_ngram_size": whole(0),
    "bad_words_ids": Kind(_listing(_listing(_ID.fits)), "a list of lists of ids, none of them empty"),
    "prefix_allowed_tokens_fn": Kind(callable, "a function of an input's number and the ids so far that gives the ids allowed next"),
    "stop_strings": Kind(
        lambda value: (isinstance(value, str) and value) or _listing(lambda text: isinstance(text, str) and text)(value),
        "a text or a list of texts, none of them empty",
    ),
    "eos_token_id": Kind(lambda value: _ID.fits(value) or _listing(_ID.fits)(value), "an id or a list of ids"),
    "decoder_start_token_id": _ID,
    "output_scores": FLAG,
}
_DEFAULTS = {"top_k": 50}  # of the hub, where it is not "off"

_NOTHING, _PENALTY = "leave it out", "use repetition_penalty or no_repeat_ngram_size"
# The hub's other options: the values that mean "off", and what to do instead of another.
_UNAVAILABLE = {
    "force_words_ids": ((None,), "use prefix_allowed_tokens_fn, or begin the answer by decoder_input"),
    "constraints": ((None,), "use prefix_allowed_tokens_fn"),
    "num_beam_groups": ((1, None), "use num_beams with num_return_sequences, or do_sample=True"),
    "diversity_penalty": ((0.0, None), "use num_return_sequences with do_sample=True"),
    "penalty_alpha": ((0.0, None), "use do_sample=True with top_k or typical_p"),
    "encoder_repetition_penalty": ((1.0, None), _PENALTY),
    "encoder_no_repeat_ngram_size": ((0, None), _PENALTY),
    "sequence_bias": ((None,), "use bad_words_ids or prefix_allowed_tokens_fn"),
    "suppress_tokens": ((None, []), "use bad_words_ids, each id a list of its own"),
    "begin_suppress_tokens": ((None, []), "use prefix_allowed_tokens_fn"),
    "forced_bos_token_id": ((None,), "begin the answer by decoder_input"),
    "forced_eos_token_id": ((None,), "use prefix_allowed_tokens_fn"),
    "exponential_decay_length_penalty": ((None,), "use num_beams with length_penalty"),
    "epsilon_cutoff": ((0.0, None), "use min_p"),
    "eta_cutoff": ((0.0, None), "use typical_p or min_p"),
    "top_h": ((None,), "use top_p or typical_p"),
    "renormalize_logits": ((False, None), _NOTHING),
    "remove_invalid_values": ((False, None), "numbers that are not finite are errors here"),
    "guidance_scale": ((1, None), _NOTHING),
    "watermarking_config": ((None,), _NOTHING),
    "token_healing": ((False, None), _NOTHING),
    "max_time": ((None,), "use max_new_tokens; Ctrl-C stops at once"),
    "dola_layers": ((None,), _NOTHING),
    "prompt_lookup_num_tokens": ((None,), _NOTHING),
    "assistant_model": ((None,), _NOTHING),
    "assistant_early_exit": ((None,), _NOTHING),
    "assistant_ensemble_weight": ((None,), _NOTHING),
    "speculation_type": ((None,), _NOTHING),
    "use_mtp": ((False, None), _NOTHING),
    "custom_generate": ((None,), _NOTHING),
    "negative_prompt_ids": ((None,), _NOTHING),
    "negative_prompt_attention_mask": ((None,), _NOTHING),
    "low_memory": ((False, None), "inputs are cut into batches that fit"),
    "return_dict_in_generate": ((False, None), "use output_scores=True, which gives texts, ids and scores"),
    "output_logits": ((False, None), "use Model.logits"),
    "output_attentions": ((False, None), _NOTHING),
    "output_hidden_states": ((False, None), "use Model.encode for the encoder's"),
    "streamer": ((None,), "use Model.stream"),
    "logits_processor": ((None, []), "use prefix_allowed_tokens_fn"),
    "stopping_criteria": ((None, []), "use stop_strings"),
    "generation_config": ((None,), "give its values as keywords, or put them into the model's generation_config.json"),
    "tokenizer": ((None,), "the model has its own"),
    "decoder_input_ids": ((None,), "use decoder_input"),
    "attention_mask": ((None,), "inputs are not padded, so there is nothing to mask"),
}
# Those that change how the hub computes, not what: taken, and nothing is done. Nothing is padded here, keys and values are always kept.
_IDLE = {
    "pad_token_id",
    "bos_token_id",
    "use_cache",
    "synced_gpus",
    "cache_implementation",
    "cache_config",
    "max_cache_len",
    "compile_config",
}
_IDLE |= {
    "disable_compile",
    "prefill_chunk_size",
    "continuous_batching_config",
    "is_assistant",
    "num_assistant_tokens",
    "num_assistant_tokens_schedule",
}
_IDLE |= {"assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind", "max_matching_ngram_size"}
_SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p")
_BEAMS = ("length_penalty", "early_stopping")
# Of a file: what nothing looks at unless there is sampling, unless there are beams, where there is either; and what changes the form
# of the hub's answers, or would change them where numbers are not finite, which is an error here.
_IDLE_UNLESS_SAMPLED = {*_SAMPLING, "epsilon_cutoff", "eta_cutoff", "top_h"}
_IDLE_UNLESS_BEAMS = {*_BEAMS, "num_beam_groups", "diversity_penalty", "renormalize_logits"}
_IDLE_UNLESS_GREEDY = {"penalty_alpha"}
_IDLE_IN_A_FILE = {"return_dict_in_generate", "output_logits", "output_attentions", "output_hidden_states", "low_memory"}
_IDLE_IN_A_FILE |= {"remove_invalid_values", "speculation_type", "assistant_ensemble_weight"}
# Arguments of a call, which no file holds.
_OF_A_CALL = {"seed", "prefix_allowed_tokens_fn", "assistant_model", "custom_generate", "negative_prompt_ids", "tokenizer", "streamer"}
_OF_A_CALL |= {"negative_prompt_attention_mask", "logits_processor", "stopping_criteria", "generation_config", "decoder_input_ids"}
_OF_A_CALL |= {"attention_mask"}


def options_of(model, keywords):
    """The Options of a call: `keywords` of the caller, over what model.generation says, over the hub's defaults.

    >>> options_of(t0.mini.new_model(0), {"num_beams": 4, "top_k": None}).num_beams
    4
    """
    for name in keywords:
        if not (name in _KINDS or name in _UNAVAILABLE or name in _IDLE):
            known = [*_KINDS, *_UNAVAILABLE, *_PLACES]
            raise TypeError(f"generate has no keyword {shown(name)}{find_keyword_hint('generate', name, known)}")
    config = model.config
    values = {**_DEFAULTS, "eos_token_id": (config.eos_token_id,), "decoder_start_token_id": config.decoder_start_token_id}
    filed = {name: value for name, value in model.generation.items() if value is not None and name not in keywords}
    for new, whole_length in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if keywords.get(whole_length) is not None:  # else the file's number of new tokens would win, as it does within one source
            filed.pop(new, None)
    values |= _check_values(filed, config, f"{GENERATION_FILE}: ", _idle_in(filed, keywords))
    values |= _check_values({name: value for name, value in keywords.items() if value is not None}, config, "")
    for name, value in keywords.items():
        if value is None and name not in ("eos_token_id", "decoder_start_token_id"):
            values.pop(name, None)
    options = Options(**values)
    _check_together(options)
    _warn_idle(options, {name for name, value in keywords.items() if value is not None})
    return options


def options_in_config(extra):
    """What a config.json says of generation, for a model without generation_config.json. extra: the keys that are not the shape's.

    >>> options_in_config({"num_beams": 4, "top_k": None, "task_specific_params": {"translation": {"num_beams": 2}}})
    {'num_beams': 4}
    """
    names = {*_KINDS, *_UNAVAILABLE} - _OF_A_CALL
    return {name: value for name, value in extra.items() if name in names and value is not None}


def check_options(options):
    """Options given apart from a call, as {name: plain value}. ConfigError for a name that is none, for a value of another kind, and for
    what only a call can have: a function, or another form of the answers."""
    options = check(MAPPING, "generation", options)
    known = option_names()
    for name in options:
        if name in _UNAVAILABLE:
            raise ConfigError(f"generation.{name}: not available here; {_UNAVAILABLE[name][1]}")
        if name not in known:
            raise ConfigError(f"generation: no option {shown(name)} here; {suggest(str(name), known)}")
    return {name: check(_KINDS[name], f"generation.{name}", value) for name, value in options.items()}


def option_names():
    """The names that `check_options` takes."""
    return _KINDS.keys() - {"prefix_allowed_tokens_fn", "output_scores"}


def is_greedy(model):
    """Whether the model's file asks for nothing but the likeliest tokens."""
    try:
        options = options_of(model, {"max_new_tokens": 1})
    except ConfigError:
        return False
    return options.plain and not (options.min_new_tokens or options.min_length or options.output_scores)


def take_back(model):
    """The keywords by which a call takes back all that the model's file says but for the ids."""
    names = {*_KINDS, *_UNAVAILABLE}
    return {name: None for name in getattr(model, "generation", None) or () if name in names and name not in IDS}


def _idle_in(filed, keywords):
    """Names of the file's options that are idle in a call with these keywords."""

    def asked(name, default):
        return keywords[name] if keywords.get(name) is not None else filed.get(name, default)

    sampled, beams = asked("do_sample", False) is True, asked("num_beams", 1) != 1
    idle = set(_IDLE_IN_A_FILE)
    idle |= set() if sampled else _IDLE_UNLESS_SAMPLED
    idle |= set() if beams else _IDLE_UNLESS_BEAMS
    idle |= _IDLE_UNLESS_GREEDY if sampled or beams else set()
    for new, whole_length in (("max_new_tokens", "max_length"), ("min_new_tokens", "min_length")):
        if asked(new, None) is not None:
            idle.add(whole_length)
    return idle


def _check_values(values, config, where, idle=()):
    """Those that are options, checked; other options of the hub must be off; anything else is none of generation's.

    idle: names whose values are left out where they are not acceptable."""
    checked = {}
    for name, value in values.items():
        if name in idle and (name in _UNAVAILABLE or _KINDS[name].problem(name, value)):
            continue
        if name in _UNAVAILABLE:
            off, remedy = _UNAVAILABLE[name]
            if not any(value is one or (type(value) in (int, float, list) and value == one) for one in off):
                raise ConfigError(f"{where}{name}={shown(value)}: not available here; {remedy}")
        elif name in _KINDS:
            if problem := _KINDS[name].problem(name, value):
                raise ConfigError(where + problem)
            checked[name] = _plain_value(name, value, config, where)
    return checked


def _plain_value(name, value, config, where):
    """An option's value as Options has it."""
    if name == "stop_strings":
        return (value,) if isinstance(value, str) else tuple(value)
    if name == "bad_words_ids":
        return tuple(tuple(_check_id(name, id, config, where) for id in word) for word in value)
    if name == "eos_token_id":
        return tuple(_check_id(name, id, config, where) for id in (value if isinstance(value, (list, tuple)) else [value]))
    if name == "decoder_start_token_id":
        return _check_id(name, value, config, where)
    return value.item() if isinstance(value, np.generic) else value


def _check_id(name, id, config, where):
    if id >= config.vocab_size:
        raise ConfigError(f"{where}{name}: the id {shown(id)} is outside of the vocabulary, which has {config.vocab_size}")
    return int(id)


def _check_together(options):
    n, beams = options.num_return_sequences, options.num_beams
    if n > 1 and beams == 1 and not options.do_sample:
        raise ConfigError(f"num_return_sequences={n}: greedy generation has one answer; add num_beams={n} or do_sample=True")
    if n > beams > 1:
        raise ConfigError(f"num_return_sequences={n}: must be at most num_beams, which is {beams}")


def _warn_idle(options, keywords):
    """A warning about keywords that do nothing, as the hub gives."""
    part = PART.get()
    if part is not None:
        if part.idle_told:
            return
        part.idle_told = True
    for names, works, without in ((_SAMPLING, options.do_sample, "do_sample=True"), (_BEAMS, options.num_beams > 1, "num_beams above 1")):
        for name in names:
            if (
                name in keywords
                and not works
                and getattr(options, name) not in (Options.__dataclass_fields__[name].default, _DEFAULTS.get(name))
            ):
                _log.warning("%s=%r has no effect without %s", name, getattr(options, name), without)
