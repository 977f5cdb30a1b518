"""Models whose logits are a table's, so that what they answer can be worked out by hand; and a small T5 of decided answers."""

import numpy as np

import t0native as t0

END = 1


class Decoder:
    """Answers by a table: what follows a token, whatever stood before it and whatever the source is but its first id."""

    def __init__(self, tables, ids, offsets):
        self.tables, self.sources = tables, [ids[a:b] for a, b in zip(offsets, offsets[1:])]
        self.rows, self.steps = 0, []

    def step(self, ids, source_of, parents):
        assert (ids.dtype, source_of.dtype, parents.dtype) == (np.int32, np.int32, np.int64) and (parents < self.rows).all()
        self.steps.append(len(ids))
        first, self.rows = self.rows, self.rows + len(ids)
        logits = [self.tables[self.sources[source][0] % len(self.tables)][id] for id, source in zip(ids, source_of)]
        return np.arange(first, self.rows), np.array(logits, np.float32)


class Core:
    """A core whose logits are a table's: [the last token, V]."""

    kernels = "none"

    def __init__(self, *tables):
        self.tables, self.decoders = tables, []

    def decoder(self, ids, offsets, threads, adapters=None):
        assert adapters is None
        self.decoders.append(Decoder(self.tables, ids, offsets))
        return self.decoders[-1]

    def generate(self, ids, offsets, most, least, threads, adapters=None):
        assert adapters is None
        found, lengths = np.zeros((len(offsets) - 1, most), np.int32), []
        for row, first in zip(found, ids[offsets[:-1]]):
            at, length = 0, 0
            while length < most and (length == 0 or at != END):
                at = row[length] = self.tables[first % len(self.tables)][at].argmax()
                length += 1
            lengths.append(length)
        return found, np.array(lengths, np.int32), np.zeros(len(lengths))


def table(rows, size=6):
    """log p of tokens [size, size] from {token: {next: probability}}; what is not named has next to none, and 0 stands for <start>."""
    found = np.full((size, size), -50.0)
    for token, follow in rows.items():
        for after, probability in follow.items():
            found[token, after] = np.log(probability)
    return found


def model_of(*tables, **changes):
    shape = dict(vocab_size=len(tables[0]), d_model=4, d_ff=4, num_layers=1, num_heads=1, d_kv=4)
    return t0.Model(Core(*tables), t0.Config(**shape | changes))


# The likeliest first token is 2 (0.5), but the best whole answer is 3 4 <end> (0.4 x 0.9 x 0.9).
FORKED = table(
    {0: {2: 0.5, 3: 0.4, 4: 0.1}, 2: {5: 0.4, END: 0.3, 2: 0.3}, 3: {4: 0.9, 5: 0.1}, 4: {END: 0.9, 5: 0.1}, 5: {END: 0.8, 2: 0.2}}
)


def ids_of(answer):
    return answer.tolist() if isinstance(answer, np.ndarray) else [one.tolist() for one in answer]


ASKED = ["Anna keeps a cat.", "Who drinks tea?", "Is it Ben?", "Tom and Nora walk home.", "Anna keeps a cat."]


def small_t5():
    """A small T5 with the miniature's vocabulary, its weights large enough for decided answers of several lengths."""
    config = t0.Config(vocab_size=t0.mini.tokenizer().vocab_size, d_model=16, d_ff=24, num_layers=1, num_heads=2, d_kv=8)
    made = t0.Model.init(config, t0.mini.tokenizer(), seed=4)
    made.core._writable("lm_head.weight")[...] *= 3
    return made
