"""Answers to many inputs at once: batches within a budget of memory, searches fed together, texts.

    inputs -> jobs (identical ones once) -> batches -> searches in one decoder -> answers, in the order of the inputs

A batch's decoder encodes its sources once; each step decodes one token of every search that goes on, and those that have
ended leave. Greedy search without any rule is the core's own loop, which gives the same tokens."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from t0native.base.arguments import check, whole
from t0native.base.errors import ConfigError, NumericError
from t0native.base.memory import available_memory
from t0native.base.progress import BAR_DELAY, Progress
from t0native.generation.beams import Beams
from t0native.generation.options import MOST_NEW_TOKENS, NEW_TOKENS, PART
from t0native.generation.search import Answer, Chains, Ends, Job
from t0native.text.sequences import Sequences, inputs_of
from t0native.text.tokenizer import Ragged

if TYPE_CHECKING:  # of annotations alone
    from numpy.typing import NDArray

__all__ = ["Generation", "generate", "results_of", "stream", "tell_cut", "warn_cut"]
_log = logging.getLogger("t0native")

MOST_BATCH_BYTES = 2**31  # of one batch's keys, values and logits
MOST_BATCH_SEQUENCES = 128  # more make nothing faster, and all of a batch are done late


@dataclass(frozen=True, eq=False)
class Generation:
    """One answer, as `generate` gives it where output_scores=True asks for more than its text.

    >>> answer = t0.mini.new_model(0).generate("Who drinks tea?", max_new_tokens=3, output_scores=True)
    >>> type(answer.text), answer.ids.dtype, answer.score < 0
    (<class 'str'>, dtype('int32'), True)
    """

    text: str | None  # None where the model has no tokenizer
    ids: NDArray[np.int32]  # [tokens]: those of decoder_input, the new ones, the end token where it was reached
    score: float  # log-likelihood (nats) of the new tokens under the model itself, summed: what Model.score gives of ids


def generate(model, sources, decoder_input, options, progress, places=None):
    """For each of the sources (Sequences), in their order, its answers: a list of Answer. places: their numbers, unless from 0 on.

    progress(done, total) is called as inputs are finished; None: a bar for what lasts longer than two seconds.
    """
    ends = Ends(options, model.tokenizer)
    jobs, job_of = _jobs(sources, _beginnings(model, decoder_input, len(sources), options), options, _check_places(places, len(sources)))
    served = np.bincount(job_of, minlength=len(jobs))  # inputs for which a job stands
    results = [None] * len(jobs)
    with Progress("generate", len(sources), delay=BAR_DELAY) as bar:
        done = 0

        def finish(place, answers):
            nonlocal done
            results[place] = answers
            done += int(served[place])
            bar.update(done) if progress is None else progress(done, len(sources))

        for batch in _batches(model, sources, jobs, options):
            run = _run_plain if _is_plain(model, options, jobs) else _run
            run(model, sources, [(place, jobs[place]) for place in batch], options, ends, finish)
    return [results[place] for place in job_of]


def stream(model, source, decoder_input, options):
    """Yields the one answer to the one source (Sequences) in pieces, as its tokens are chosen: texts, or ids of a model
    without tokenizer. A piece never ends inside a character."""
    ends = Ends(options, model.tokenizer)
    (job,), _ = _jobs(source, _beginnings(model, decoder_input, 1, options), options, [0])
    return _pieces(model, source, Chains(job, options, ends), options)


def _pieces(model, source, search, options):
    decoder = _new_decoder(model, source, [search.source])
    shown = 0
    while not search.done:
        _step(decoder, [search], [0])
        if search.fed < len(search.beginning):
            continue
        text = decode_answer(model, search.answers[0].ids if search.done else search.ids[0], options)
        if model.tokenizer is not None and not search.done:
            text = text.rstrip("\ufffd")  # which may be the first bytes of a character
        piece, shown = text[shown:], max(shown, len(text))
        if model.tokenizer is None:
            yield from piece.tolist()
        elif piece:
            yield piece
    warn_cut([search.answers], options)


# ---- what is to be done --------------------------------------------------------------------------------------------------


def _beginnings(model, decoder_input, n, options):
    """For each of n inputs the ids that its answer begins with: int32, the start token first."""
    start = np.array([options.decoder_start_token_id], np.int32)
    if decoder_input is None:
        return [start] * n
    single, items = inputs_of(decoder_input, "decoder_input")
    if not single and len(items) != n:
        raise ConfigError(f"decoder_input: {len(items)} for {n} inputs; give one for each, or a text or ids for all")
    sequences = Sequences(model, "decoder_input", items, False, MOST_NEW_TOKENS, False)
    beginnings = [sequences.entries[number] for number in sequences.number]
    beginnings = [ids if ids[0] == start[0] else np.concatenate([start, ids]) for ids in beginnings]
    return beginnings * n if single else beginnings


def _check_places(places, n):
    if places is None:
        return range(n)
    places = list(places)
    if len(places) != n:
        raise ConfigError(f"places: {len(places)} for {n} inputs; give one for each")
    return [check(whole(0, 2**54), f"places[{i}]", place) for i, place in enumerate(places)]


def _jobs(sources, beginnings, options, places):
    """(jobs, which of them answers each input). Equal inputs share one unless chance or the caller's function may differ."""
    own = options.do_sample or options.prefix_allowed_tokens_fn is not None
    jobs, job_of, seen = [], np.empty(len(sources), np.int64), {}
    for i, (source, beginning) in enumerate(zip(sources.number.tolist(), beginnings)):
        key = (source, beginning.tobytes(), i if own else None)
        if key not in seen:
            seen[key] = len(jobs)
            least, most = options.room(len(beginning))
            jobs.append(Job(places[i], source, beginning, least, most))
        job_of[i] = seen[key]
    return jobs, job_of


def _batches(model, sources, jobs, options):
    """Ranges of jobs, each within the budget of memory."""
    config, sequences = model.config, max(options.num_beams, options.num_return_sequences)
    row = 8 * config.num_decoder_layers * config.num_heads * config.d_kv  # bytes: float32 keys and values
    state = 4 * (2 * config.d_model + config.d_ff)  # of an encoder's row
    free = available_memory()
    budget = MOST_BATCH_BYTES if free is None else min(MOST_BATCH_BYTES, free // 4)
    first, taken, most = 0, 0, max(1, MOST_BATCH_SEQUENCES // sequences)
    for place, job in enumerate(jobs):
        length, rows = len(sources.entries[job.source]), len(job.beginning) + sequences * job.most
        cost = length * (row + state) + rows * row + 16 * sequences * config.vocab_size
        if place > first and (taken + cost > budget or place - first == most):
            yield range(first, place)
            first, taken = place, 0
        taken += cost
    if jobs:
        yield range(first, len(jobs))


# ---- doing it ------------------------------------------------------------------------------------------------------------


def _is_plain(model, options, jobs):
    """Whether the core's own greedy loop gives the answers."""
    start = model.config.decoder_start_token_id
    ends_alike = options.eos_token_id == (model.config.eos_token_id,)
    return options.plain and ends_alike and all(job.beginning.tolist() == [start] for job in jobs)


def _run_plain(model, sources, batch, options, ends, finish):
    inputs, first = Ragged.of(sources.entries[job.source] for _, job in batch), batch[0][1]
    try:
        tokens, lengths, scores = model.core.generate(
            inputs.ids, inputs.offsets, first.most, first.least, model.threads, sources.keys_of(job.source for _, job in batch)
        )
    except NumericError as error:
        raise NumericError(f"a batch of {len(batch)} from input {first.number} on: {error}") from None
    for (place, job), row, length, score in zip(batch, tokens, lengths, scores):
        ids = np.concatenate([job.beginning, row[:length]])
        finish(place, [Answer(ids, float(score), bool(ids[-1] == model.config.eos_token_id))])


def _run(model, sources, batch, options, ends, finish):
    """The searches of a batch through one decoder, until all have ended."""
    distinct, source_of = np.unique([job.source for _, job in batch], return_inverse=True)
    decoder = _new_decoder(model, sources, distinct)
    kind = Beams if options.num_beams > 1 else Chains
    going = [(place, source, kind(job, options, ends)) for (place, job), source in zip(batch, source_of)]
    while going:
        _step(decoder, [search for _, _, search in going], [source for _, source, _ in going])
        for place, _, search in going:
            if search.done:
                finish(place, search.results())
        going = [one for one in going if not one[2].done]


def _new_decoder(model, sources, numbers):
    """A decoder of the core that has encoded these entries of the sources."""
    inputs = Ragged.of(sources.entries[number] for number in numbers)
    return model.core.decoder(inputs.ids, inputs.offsets, model.threads, sources.keys_of(numbers))


def _step(decoder, searches, source_of):
    """Decodes what is pending in these searches, and gives each its logits."""
    pending = [search.pending() for search in searches]
    counts = [len(ids) for ids, _ in pending]
    ids, parents = (np.concatenate(arrays) for arrays in zip(*pending))
    numbers, logits = decoder.step(ids.astype(np.int32), np.repeat(source_of, counts).astype(np.int32), parents.astype(np.int64))
    with np.errstate(invalid="ignore", over="ignore"):
        fine = np.isfinite(logits.sum(axis=1))
    begin = 0
    for search, count in zip(searches, counts):
        end = begin + count
        if not fine[begin:end].all():
            raise NumericError(f"input {search.number}: the logits are not finite")
        search.take(numbers[begin:end], logits[begin:end])
        begin = end


# ---- what came out -------------------------------------------------------------------------------------------------------


def decode_answer(model, ids, options):
    """The text of an answer's ids, start token first, or its ids where the model has no tokenizer; neither has the end token."""
    ids = ids[1:-1] if len(ids) > 1 and ids[-1] in options.eos_token_id else ids[1:]
    return ids if model.tokenizer is None else model.tokenizer.decode(ids)


def results_of(model, answers, options):
    """What `generate` returns for one input, of its answers."""
    results = [decode_answer(model, answer.ids, options) for answer in answers]
    if options.output_scores:
        texts = [None] * len(results) if model.tokenizer is None else results
        results = [Generation(text, answer.ids[1:], answer.score) for text, answer in zip(texts, answers)]
    return results[0] if options.num_return_sequences == 1 else results


def warn_cut(answers, options):
    """A warning where answers were cut, but for calls that are parts of one work (PART), which counts. answers: a list of Answer for each
    input."""
    cut, total, part = sum(not one.complete for row in answers for one in row), sum(map(len, answers)), PART.get()
    if part is not None:
        part.cut, part.answers, part.limit = part.cut + cut, part.answers + total, _limit_of(options)
    else:
        tell_cut(cut, total, _limit_of(options))


def tell_cut(cut, total, limit):
    """The warning that `cut` of so many answers reached the limit, where any did."""
    if cut:
        _log.warning("%d of %d answers reached %s and may be cut off", cut, total, limit)


def _limit_of(options):
    limit = "max_length" if options.max_new_tokens is None and options.max_length is not None else "max_new_tokens"
    return f"{limit}={getattr(options, limit) or NEW_TOKENS}"
