"""Sums of gradients between processes: each tensor's nodes (lots.py) go to its owner, who finishes the tree.

    for each tensor in order:   owner    room for the others' nodes, receives
                                others   send theirs, as they lie; of bfloat16 their upper halves alone, from room of their own
    where there is no room      wait for the oldest tensor; its owner adds it up

All go through the tensors in one order, and the oldest that is not done is never waited for by a process that has not come to it: none
waits for ever. Room is a ring of ROOM bytes, or what the largest tensor needs: most of a batch with fewer examples than lots, whose tree
has gaps."""

from collections import deque

import numpy as np

from t0native.training.lots import add_tree, lots_of_rank

__all__ = ["Exchange", "room_of", "share_out"]

ROOM = 64 << 20  # bytes of nodes on their way
ALIGNED = 64
AT_ONCE = 1 << 16  # numbers that are widened together
TAGS = 1 << 15


def share_out(sizes, ranks):
    """The owner of each of the tensors of these sizes: the largest first, each to who has least.

    >>> share_out([5, 9, 4, 1], 2)
    [1, 0, 1, 0]
    """
    loads, owners = [0] * ranks, [0] * len(sizes)
    for i in sorted(range(len(sizes)), key=lambda i: (-sizes[i], i)):
        owners[i] = loads.index(min(loads))
        loads[owners[i]] += sizes[i]
    return owners


def keys_of_rank(lots, filled, ranks, rank):
    """Which nodes (level, index) a rank has, the largest in its run of lots, in order; filled: lots that have examples, the first ones.

    >>> keys_of_rank(8, 8, 3, 1), keys_of_rank(8, 3, 3, 1)
    ([(1, 1), (0, 4)], [(0, 2)])
    """
    mine = lots_of_rank(lots, ranks, rank)
    keys, at = [], mine.start
    while at < min(mine.stop, filled):
        level = 0
        while at % (2 << level) == 0 and at + (2 << level) <= min(mine.stop, filled):
            level += 1
        keys.append((level, at >> level))
        at += 1 << level
    return keys


def room_of(sizes, lots, ranks, wire="float32", filled=None):
    """Bytes of room that a rank takes at most for tensors of these sizes. filled: lots that have examples (None: all).

    >>> room_of([1000, 10], 8, 1), room_of([1000, 10], 8, 2) == ROOM, room_of([1 << 24] * 3, 8, 3)
    (0, True, 268435456)
    >>> [room_of([1 << 24] * 2, 8, 2, filled=filled) >> 20 for filled in (8, 7, 6)]
    [64, 128, 64]
    """
    if ranks == 1:
        return 0
    filled = lots if filled is None else filled
    counts, owners = [len(keys_of_rank(lots, filled, ranks, rank)) for rank in range(ranks)], share_out(sizes, ranks)
    return max(_room_of_rank(sizes, owners, counts, rank, wire) for rank in range(ranks))


def _room_of_rank(sizes, owners, counts, rank, wire):
    """Bytes. counts: nodes of each rank."""
    received, sent = sum(counts) - counts[rank], counts[rank] if wire == "bfloat16" else 0
    needs = (received * _aligned(4 * size) if owner == rank else sent * _aligned(2 * size) for size, owner in zip(sizes, owners))
    return max(ROOM, *needs)


def _aligned(n_bytes):
    return -(-n_bytes // ALIGNED) * ALIGNED


class Exchange:
    """The way of the gradients of a trainer, whose ranks are `comm`, of mpi4py."""

    def __init__(self, mpi, comm, tensors, lots, wire, add):
        """tensors: (owner, begin, end) of each in a block of gradients.  add: as of add_tree."""
        self._mpi, self._comm, self._tensors, self._lots, self._wire, self._add = mpi, comm, tensors, lots, wire, add
        self._sizes = [end - begin for _, begin, end in tensors]
        self._ring = _Ring(room_of(self._sizes, lots, comm.size, wire))

    def begin(self, nodes, filled, block):
        """nodes: LotSums.nodes of this rank;  filled: lots that have examples;  block: where its tensors' sums go."""
        self._nodes, self._block, self._ahead = nodes, block, deque()  # (requests, what is done behind them)
        self._keys = [keys_of_rank(self._lots, filled, self._comm.size, rank) for rank in range(self._comm.size)]
        needed = room_of(self._sizes, self._lots, self._comm.size, self._wire, filled)
        if needed > self._ring.size:
            self._ring = _Ring(needed)

    def start(self, i):
        """Tensor i, whose nodes are as they stay, sets out."""
        owner, begin, end = self._tensors[i]
        if owner == self._comm.rank:
            parts = {key: self._nodes[key][begin:end] for key in self._keys[owner]}
            self._receive(i, parts, begin, end)
        else:
            self._send(i, owner, [self._nodes[key][begin:end] for key in self._keys[self._comm.rank]])

    def progress(self):
        """Looks after what is on its way: MPI moves some of it only then."""
        if self._ahead and self._mpi.Request.Testall(self._ahead[0][0]):
            self._finish_oldest()

    def finish(self):
        """All that set out is there."""
        while self._ahead:
            self._finish_oldest()

    def _receive(self, i, parts, begin, end):
        others = [(rank, key) for rank in range(self._comm.size) if rank != self._comm.rank for key in self._keys[rank]]
        room = self._take(len(others), 4 * (end - begin)) if others else []
        requests = []
        for place, (rank, key) in zip(room, others):
            parts[key] = place.view(np.float32)
            wire = parts[key] if self._wire == "float32" else _second_half(parts[key])
            requests.append(self._comm.Irecv(wire, rank, i % TAGS))

        def sum_up():
            if self._wire == "bfloat16":
                for _, key in others:
                    _widen(parts[key])
            total = add_tree(parts, self._lots.bit_length() - 1, add=self._add)
            if total.ctypes.data != self._block[begin:end].ctypes.data:
                self._block[begin:end] = total

        self._ahead.append((requests, len(room), sum_up))

    def _send(self, i, owner, nodes):
        room = []
        if self._wire == "bfloat16" and nodes:
            room = self._take(len(nodes), 2 * len(nodes[0]))
            nodes = [_narrow(node, place.view(np.uint16)) for node, place in zip(nodes, room)]
        self._ahead.append(([self._comm.Isend(node, owner, i % TAGS) for node in nodes], len(room), None))

    def _take(self, n, n_bytes):
        """n places of so many bytes, as soon as there is room."""
        places = []
        while len(places) < n:
            place = self._ring.take(n_bytes)
            if place is not None:
                places.append(place)
            else:
                self._ring.give_back_last(len(places))
                places = []
                self._finish_oldest()
        return places

    def _finish_oldest(self):
        requests, n_places, act = self._ahead.popleft()
        self._mpi.Request.Waitall(requests)
        if act is not None:
            act()
        self._ring.give_back(n_places)


def _second_half(floats):
    return floats.view(np.uint16)[len(floats) :]


def _narrow(floats, halves):
    """Upper halves of floats that are bfloat16s."""
    halves[:] = floats.view(np.uint16)[1::2]
    return halves


def _widen(floats):
    """The way back, in place: floats from the halves that lie in their second half."""
    words, halves = floats.view(np.uint32), _second_half(floats)
    for at in range(0, len(words), AT_ONCE):  # writing stays behind what is still to be read
        words[at : at + AT_ONCE] = halves[at : at + AT_ONCE].astype(np.uint32) << 16


class _Ring:
    """Room that is taken in an order and given back in the same.

    >>> ring = _Ring(256)
    >>> [len(ring.take(100)), len(ring.take(100)), ring.take(1)]
    [100, 100, None]
    >>> ring.give_back(1)
    >>> len(ring.take(128)), ring.take(1)
    (128, None)
    """

    def __init__(self, size):
        self.size, self._bytes, self._live = size, np.empty(size, np.uint8), deque()  # (begin, end), aligned

    def take(self, n_bytes):
        """So many bytes, or None where they do not lie free in one piece."""
        size, most = _aligned(n_bytes), len(self._bytes)
        if not self._live:
            begin = 0
        else:
            first, begin = self._live[0][0], self._live[-1][1]
            if begin <= first:
                most = first  # it has come round
            elif begin + size > most:
                begin, most = 0, first
        if begin + size > most:
            return None
        self._live.append((begin, begin + size))
        return self._bytes[begin : begin + n_bytes]

    def give_back(self, n):
        """The n oldest."""
        for _ in range(n):
            self._live.popleft()

    def give_back_last(self, n):
        """The n youngest."""
        for _ in range(n):
            self._live.pop()
