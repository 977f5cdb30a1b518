"""How long the gradients of a step are on their way between ranks, before there are any: exchange.py by a clock of our own.

    tensors go in order, from the last to the first; a rank comes to tensor i as soon as its gradient is final, it has come to the one
    before, and, where it owns it, its room has place; until then it waits for its oldest tensor
    a node goes from its rank to the owner when both have come to the tensor, and nothing else is in the way: of two hosts the sender's link
    out and the owner's in, one after another; within a host at the rate of a copy

Gradients become final while the last lot's backward pass goes on: of the head first, then of each block of the decoder and of the encoder,
as its operations are done; those of the embedding in the end."""

from collections import deque

import numpy as np

from t0native.training.exchange import ROOM

__all__ = ["final_shares", "simulate"]


def final_shares(names, operations):
    """float64 [n]: which part of the backward pass is done when the gradient of each of the tensors is final. names: in the model's order;
    operations: {"encoder", "decoder", "head"}.

    >>> names = ["shared.weight", "encoder.block.0.a", "encoder.block.1.a", "decoder.block.0.a", "decoder.norm.weight", "lm_head.weight"]
    >>> final_shares(names, {"encoder": 6.0, "decoder": 3.0, "head": 1.0}).round(2).tolist()
    [1.0, 1.0, 0.7, 0.4, 0.1, 0.1]
    """
    total = sum(operations.values())
    before = {"decoder": operations["head"] / total, "encoder": (operations["head"] + operations["decoder"]) / total}
    shares = np.zeros(len(names))
    for stack, begin in before.items():
        blocks = [_block_of(name) if name.startswith(f"{stack}.block.") else None for name in names]
        n = 1 + max(block for block in blocks if block is not None)
        for i, block in enumerate(blocks):
            if block is not None:
                shares[i] = begin + operations[stack] / total * (n - block) / n
    for i, name in enumerate(names):
        if not name.startswith(("encoder.", "decoder.")):
            shares[i] = before["decoder"] if name.startswith("lm_head.") else 1.0
    return np.maximum.accumulate(shares[::-1])[::-1]  # none sets out before those behind it


def _block_of(name):
    return int(name.split(".")[2])


def simulate(sizes, owners, counts, final, host_of, link, inside, number=4, latency=0.0, room=ROOM):
    """Seconds from 0 until all nodes of all tensors are with their owners.

    sizes, owners: of the tensors in the model's order; counts: nodes of each rank; final: seconds at which each tensor's gradient is (as
    all begin at once, below 0 where the backward pass ends at 0); host_of: of each rank; link, inside: bytes a second between hosts and
    within one; number: bytes of a number on its way; latency: seconds of a message; room: bytes, or what the largest tensor needs.

    >>> both = {"sizes": [25, 25], "owners": [0, 1], "counts": [1, 1], "host_of": [0, 1], "link": 100.0, "inside": 1e3}
    >>> simulate(**both, final=[0.0, 0.0]), simulate(**both, final=[0.0, -1.0], room=0), simulate(**both, final=[0.0, 0.0], number=2)
    (1.0, 1.0, 0.5)
    """
    ranks = range(len(counts))
    begin = min(0.0, *final)
    out, into = ([begin] * (1 + max(host_of)) for _ in range(2))
    at = [begin] * len(counts)  # where each rank is
    rooms = [_Room(max(room, _largest(sizes, owners, counts, rank))) for rank in ranks]
    for i in reversed(range(len(sizes))):
        owner = owners[i]
        for rank in ranks:
            at[rank] = max(at[rank], final[i])
        needed = 4 * sizes[i] * (sum(counts) - counts[owner])
        at[owner] = rooms[owner].wait(at[owner], needed)
        done = at[owner]
        for rank in ranks:
            if rank == owner:
                continue
            bytes_, start = number * sizes[i] * counts[rank], max(at[rank], at[owner]) + latency
            source, target = host_of[rank], host_of[owner]
            if source == target:
                done = max(done, start + bytes_ / inside)
                continue
            start = max(start, out[source], into[target])
            out[source] = into[target] = start + bytes_ / link
            done = max(done, out[source])
        rooms[owner].take(needed, done)
    return max(*(done for each in rooms for done in each.all()), *out, *into, 0.0)


def _largest(sizes, owners, counts, rank):
    """Bytes that the nodes of the largest tensor of a rank need."""
    return max((4 * size * (sum(counts) - counts[rank]) for size, owner in zip(sizes, owners) if owner == rank), default=0)


class _Room:
    """Bytes that are taken by tensors on their way, the oldest of which is waited for where there is no more."""

    def __init__(self, size):
        self._free, self._ahead = size, deque()

    def wait(self, at, needed):
        """When so many bytes are free, at the earliest."""
        while self._free < needed:
            size, done = self._ahead.popleft()
            self._free, at = self._free + size, max(at, done)
        return at

    def take(self, size, until):
        self._free -= size
        self._ahead.append((size, until))

    def all(self):
        return [done for _, done in self._ahead]
