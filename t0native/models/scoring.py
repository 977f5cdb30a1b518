"""Scoring: the log-likelihood of targets given inputs, each different pair once, in calls of a token budget."""

import numpy as np

from t0native.base.arguments import check, whole
from t0native.base.progress import BAR_DELAY, Progress
from t0native.text.tokenizer import Ragged

__all__ = ["score_pairs", "usual_batch_tokens"]

SECONDS_WORK = 3e9  # about the tokens x layers x d_model^2 that one processor does in a second


def usual_batch_tokens(config):
    """Tokens of a call of the core where nothing else is asked: about a second's work."""
    return int(min(16384, max(512, SECONDS_WORK / config.d_model**2 / config.num_layers)))


def score_pairs(model, sources, targets, owners, batch_tokens, progress, of_tokens):
    """(log-likelihood of every target given its source, float64 [targets]; with of_tokens the same of its tokens, a list of float32
    arrays, else None).

    owners[t]: the source of target t, non-decreasing. Identical pairs are computed once, and what targets of a source begin alike with
    once too (csrc/t5/choices.h); sources go in order of length, in calls of at most batch_tokens tokens, or of one source.
    progress(done, total); None: a bar for what lasts.
    """
    if batch_tokens is None:
        batch_tokens = usual_batch_tokens(model.config)
    check(whole(1), "batch_tokens", batch_tokens)
    if len(owners) == 0:
        return np.empty(0), [] if of_tokens else None
    pairs, back = np.unique(sources.number[owners] * len(targets.entries) + targets.number, return_inverse=True)
    distinct = np.stack(np.divmod(pairs, len(targets.entries)), axis=1)  # of entries, ordered by source
    first = np.searchsorted(distinct[:, 0], np.arange(len(sources.entries) + 1))
    scores, tokens = np.empty(len(distinct)), [None] * len(distinct) if of_tokens else []
    done, total = 0, len(sources)
    times = np.bincount(sources.number, minlength=len(sources.entries))  # how many items an entry serves
    with Progress("score", total, on=progress is None, delay=BAR_DELAY) as bar:
        for group in _groups(sources, targets, distinct, first, batch_tokens):
            group = group if sources.keys is None else sorted(group)  # those of one adapter side by side
            rows = np.concatenate([np.arange(first[s], first[s + 1]) for s in group])
            inputs = Ragged.of(sources.entries[s] for s in group)
            outputs = Ragged.of(targets.entries[t] for t in distinct[rows, 1])
            source_of = np.repeat(np.arange(len(group), dtype=np.int32), [first[s + 1] - first[s] for s in group])
            scores[rows], parts = model.core.score(
                inputs.ids, inputs.offsets, outputs.ids, outputs.offsets, source_of, model.threads, sources.keys_of(group)
            )
            if of_tokens:
                for row, part in zip(rows, np.split(parts, outputs.offsets[1:-1])):
                    tokens[row] = part
            done += int(times[list(group)].sum())
            bar.update(done) if progress is None else progress(done, total)
    return scores[back], [tokens[row] for row in back] if of_tokens else None


def _groups(sources, targets, distinct, first, batch_tokens):
    """Lists of source entries, short ones first, each list's tokens (with its targets') within the budget."""
    lengths = np.array([len(entry) for entry in targets.entries], np.int64)
    sums = np.concatenate([[0], np.cumsum(lengths[distinct[:, 1]])])
    group, tokens = [], 0
    for s in sorted(range(len(sources.entries)), key=lambda s: len(sources.entries[s])):
        cost = len(sources.entries[s]) + int(sums[first[s + 1]] - sums[first[s]])
        if group and tokens + cost > batch_tokens:
            yield group
            group, tokens = [], 0
        group.append(s)
        tokens += cost
    if group:
        yield group
