"""A model of this package in EleutherAI's lm-evaluation-harness (pip install lm-eval), which looks for no plug-ins: `t0native lm-eval`
tells it of this one, and so does `register()`.

    loglikelihood(context, continuation)   log p of the target given the input, and whether greedy search would say it (pairs.py)
    loglikelihood_rolling(text)            log p of the text and the end token as a target, given the end token alone as input
    generate_until(context, options)       what the model says, up to the first of the texts to stop at

The scores of the harness's own backend for encoder-decoders (`--model hf --model_args backend=seq2seq`) are others, for one reason: it
makes ids of a continuation with add_special_tokens=False, so the end token is left out of the sum. "The" is then a part of "The cat", and
what the model knows about where an answer ends counts for nothing. That rule is the option scoring="hf":

                                     scoring="t0" (default)                        scoring="hf"
    target                           the continuation and the end token            the continuation
    end token behind the input       as the model has it (T0's: none)              always: so the tokenizer of transformers makes it
    a space before a continuation    taken away: the harness puts one, for         left; spaces that end the context go before it
                                     models that go on writing the context
    input too long                   its end is kept                               its end is kept

T5's SentencePiece drops spaces at the ends of a text anyway; where a tokenizer keeps them, T0's targets had none. Where the end token
goes behind a text, a token that the tokenizer begins texts with, as CodeT5's, goes before it. An empty context is the end token alone. A
text of more than max_length tokens is scored in windows of max_length: the first given the end token, each next given the token before
it; the last, a shorter one, given as many before it as fit, as that backend has them."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from t0native.base.arguments import check, one_of, whole
from t0native.base.errors import ConfigError
from t0native.base.showing import shown
from t0native.frameworks.pairs import score_pairs_greedily
from t0native.generation.options import take_back
from t0native.models.model import Model

if TYPE_CHECKING:  # of annotations alone
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    class _LM:
        """lm_eval.api.model.LM."""

        cache_hook: Any

else:
    try:
        from lm_eval.api.model import LM as _LM
    except ImportError:
        _LM = None  # then a HarnessModel cannot be made, and says why

__all__ = ["HarnessModel", "register", "run_harness"]

NAME = "t0native"
SCORING = one_of("t0", "hf")
LACKING = "t0native.lm_eval needs the harness: pip install lm-eval"
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # the harness's names of one option
NEW_TOKENS = 256  # its default


class HarnessModel(_LM or object):
    """A Model as lm-evaluation-harness asks one: an lm_eval.api.model.LM.

    pretrained: a folder or a name on the hub, or a Model.  dtype, tokenizer, revision, threads, add_eos_to_inputs: as those of
    Model.from_pretrained.  scoring: "t0" or "hf" (above).  max_length: tokens of an input at most, of longer ones the last are kept.
    batch_size, max_batch_size, device: the harness gives them to every model ("cuda:0" is its own default); here they do nothing, for no
    number depends on the company, and the processor computes.  ImportError where lm-eval is not installed, ConfigError for values that
    cannot serve.

        results = lm_eval.simple_evaluate(t0native.lm_eval.HarnessModel("my-t0"), tasks=["copa"])
    """

    model: Model
    scoring: str
    max_length: int

    def __init__(
        self,
        pretrained: Model | str,
        dtype: Any = "float32",
        *,
        tokenizer: str | None = None,
        revision: str | None = None,
        threads: int | None = None,
        add_eos_to_inputs: bool | None = None,
        scoring: str = "t0",
        max_length: int = 1024,
        batch_size: Any = None,
        max_batch_size: Any = None,
        device: Any = None,
    ) -> None:
        if _LM is None:
            raise ImportError(LACKING)
        super().__init__()
        self.scoring, self.max_length = check(SCORING, "scoring", scoring), check(whole(1), "max_length", max_length)
        if not isinstance(pretrained, Model):
            pretrained = Model.from_pretrained(
                pretrained, dtype, tokenizer=tokenizer, revision=revision, threads=threads, add_eos_to_inputs=add_eos_to_inputs
            )
        if pretrained.tokenizer is None:
            raise ConfigError("the harness gives texts, and this model has no tokenizer: load it with tokenizer=FILE")
        self.model = pretrained
        own_end = pretrained.add_eos_to_inputs if add_eos_to_inputs is None else add_eos_to_inputs
        self._end_of_inputs = scoring == "hf" or own_end
        self._end = np.array([pretrained.config.eos_token_id], np.int32)

    # ---- what the harness asks for ------------------------------------------------------------------------------------------

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        """(log-likelihood in nats, is_greedy) of each request's (context, continuation). is_greedy: every token that is summed is the most
        likely one given those before it, the first of equal ones.  ConfigError for a continuation without tokens."""
        found = score_pairs_greedily(self.model, [self._pair_of(*request.args) for request in requests])
        for request, answer in zip(requests, found):
            self.cache_hook.add_partial("loglikelihood", request.args, answer)
        return found

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood in nats of each request's (text,): the end token alone is the input, the text and the end token are the target, by
        either way of scoring; a long one in windows (above)."""
        windows = [list(self._windows_of(*request.args)) for request in requests]
        scores = iter(score_pairs_greedily(self.model, [pair for of_text in windows for pair in of_text]))
        found = [float(sum(next(scores)[0] for _ in of_text)) for of_text in windows]
        for request, answer in zip(requests, found):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, answer)
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model says to each request's (context, options), cut before the first of options["until"]: at most max_gen_toks tokens
        (256), greedily, unless options say else: do_sample, temperature, num_beams and the others of `generate`. What the checkpoint's own
        file says of sampling, beams or penalties does not count."""
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(repr(sorted(request.args[1].items())), []).append(i)
        answers = [""] * len(requests)
        for numbers in groups.values():
            said = self._generate([requests[i].args[0] for i in numbers], dict(requests[numbers[0]].args[1]))
            for i, text in zip(numbers, said):
                answers[i] = text
                self.cache_hook.add_partial("generate_until", requests[i].args, text)
        return answers

    @property
    def tokenizer_name(self) -> str:
        """What stands for the tokenizer where the harness keeps requests."""
        return self.model.name or NAME

    # ---- inside -------------------------------------------------------------------------------------------------------------

    def _encode(self, text: str) -> NDArray[np.int32]:
        assert self.model.tokenizer is not None  # __init__ has asked
        return np.array(self.model.tokenizer.encode(text), np.int32)

    def _ended(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """The ids of a text between what the tokenizer puts before one, where it does, and the end token."""
        start = self.model.tokenizer.start_id  # type: ignore[union-attr]
        return np.concatenate([np.array([] if start is None else [start], np.int32), ids, self._end])

    def _input_of(self, text: str) -> NDArray[np.int32]:
        ids = self._encode(text)
        if not len(ids):
            return self._end
        if self._end_of_inputs:
            ids = self._ended(ids)
        return ids[-self.max_length :]

    def _pair_of(self, context: str, continuation: str) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ids of an input and of a target."""
        if self.scoring == "t0":
            return self._input_of(context), self._ended(self._encode(continuation.lstrip(" ")))
        kept = context.rstrip()
        target = self._encode(context[len(kept) :] + continuation)
        if not len(target):
            raise ConfigError(f"continuation {shown(continuation)}: has no tokens, and scoring='hf' adds none; scoring='t0' does")
        return (self._input_of(kept) if kept else self._end), target

    def _windows_of(self, text: str) -> Iterator[tuple[NDArray[np.int32], NDArray[np.int32]]]:
        """(input, target) of each window of a text; every token of the text, and the end token, stands in one target."""
        ids, length = np.concatenate([self._encode(text), self._end]), self.max_length
        yield self._end, ids[:length]
        for first in range(length, len(ids), length):
            target = ids[first : first + length]
            yield ids[first + len(target) - length - 1 : first], target

    def _generate(self, contexts: list[str], options: dict[str, Any]) -> list[str]:
        """Answers to contexts under the same options of the harness."""
        until = options.pop("until", None) or []
        stops = [text for text in ([until] if isinstance(until, str) else until) if text]
        given = {name: options.pop(name) for name in LENGTHS if name in options}
        length = next((value for value in given.values() if value is not None), NEW_TOKENS)
        temperature = options.pop("temperature", None)
        if temperature and options.setdefault("do_sample", True):
            options["temperature"] = temperature
        asked = take_back(self.model) | {"max_new_tokens": int(length)} | options | ({"stop_strings": stops} if stops else {})
        said = self.model.generate([self._input_of(context) for context in contexts], max_input_length=self.max_length, **asked)
        return [_cut(text, stops) for text in said]


def _cut(text: str, stops: list[str]) -> str:
    for stop in stops:
        text = text.split(stop)[0]
    return text


def register() -> None:
    """Tells the harness of "t0native", for this process: lm_eval.simple_evaluate(model="t0native", model_args="pretrained=my-t0", ...).
    ImportError where lm-eval is not installed."""
    if _LM is None:
        raise ImportError(LACKING)
    import lm_eval.models  # noqa: F401 - which registers the harness's own, and does so no more once there is any
    from lm_eval.api.registry import register_model

    register_model(NAME)(HarnessModel)


def run_harness(words: Sequence[str]) -> None:
    """The harness's own command line with these words behind its name; the model is this package's unless they name another.
    ImportError where lm-eval is not installed; SystemExit as the harness has it."""
    register()
    from lm_eval.__main__ import cli_evaluate

    words = list(words)
    others = {"ls", "validate"}
    named = any(word.partition("=")[0] in ("--model", "-M", "--config", "-C", "-h", "--help") for word in words)
    if words and words[0] not in others and not named:
        words += ["--model", NAME]
    with _as_command("lm-eval", words):
        cli_evaluate()


@contextlib.contextmanager
def _as_command(name: str, words: list[str]) -> Iterator[None]:
    """The process's own command line is this one while the block lasts."""
    before, sys.argv = sys.argv, [name, *words]
    try:
        yield
    finally:
        sys.argv = before
