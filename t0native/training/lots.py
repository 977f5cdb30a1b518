"""Gradients summed in lots: bits that do not depend on how many processes share a batch.

    A batch of B examples is cut into L lots, runs of whole examples with about as many tokens each, from the lengths alone (cut_lots).
    g(l) = the share of lot l in the gradients of the batch's mean loss;  g = the sum over a binary tree of adjacent pairs:

        node(0, l) = g(l);    node(k + 1, i) = node(k, 2 i) + node(k, 2 i + 1), in float32;    g = node(log2 L, 0)

    A lot without examples (B < L) is left out: the other one of its pair stands for both.

Processes have runs of lots, each sums the nodes that lie in its run, and who owns a tensor finishes the tree (ranks.py): every sum is
of the same two numbers whoever makes it. One process alone keeps a set of gradients for every level at most."""

import numpy as np

__all__ = ["MOST", "LotSums", "add_tree", "count_blocks", "cut_lots", "lots_of_rank"]

MOST = 64  # lots


def cut_lots(source_offsets, target_offsets, lots):
    """Examples [begin, end) of each of the lots, by the offsets [B + 1] of inputs and targets: lot l begins with the first example before
    which at least l / L of all tokens lie, and each has one at least where there are so many; the last are empty where there are not.

    >>> cut_lots([0, 9, 10, 11, 12], [0, 1, 2, 3, 4], 2), cut_lots([0, 3], [0, 1], 2)
    ([(0, 1), (1, 4)], [(0, 1), (1, 1)])
    """
    ends = [int(source) + int(target) for source, target in zip(source_offsets, target_offsets)]
    examples = len(ends) - 1
    used = min(lots, examples)
    begins = [0]
    for lot in range(1, used):
        at = begins[-1] + 1
        while at < examples - (used - lot) and ends[at] * used < ends[-1] * lot:
            at += 1
        begins.append(at)
    begins += [examples] * (lots + 1 - used)
    return list(zip(begins, begins[1:]))


def lots_of_rank(lots, ranks, rank):
    """The run of lots of one of the ranks, as a range.

    >>> [lots_of_rank(8, 3, rank) for rank in range(3)]
    [range(0, 2), range(2, 5), range(5, 8)]
    """
    return range(lots * rank // ranks, lots * (rank + 1) // ranks)


def add_tree(nodes, level, index=0, add=None):
    """The node (level, index) from {(level, index): array}, arrays of one shape, or None where it has no lot. Arrays are added in place
    and taken out of `nodes`. add: called with ([first, second], the level of their sum) in the place of first += second.

    >>> add_tree({(0, 0): np.float32([1]), (0, 1): np.float32([2]), (1, 1): np.float32([4])}, 2)
    array([7.], dtype=float32)
    """
    if (level, index) in nodes:
        return nodes.pop((level, index))
    if level == 0:
        return None
    first, second = (add_tree(nodes, level - 1, 2 * index + side, add) for side in (0, 1))
    if first is None or second is None:
        return second if first is None else first
    if add is None:
        first += second
    else:
        add([first, second], level)
    return first


class LotSums:
    """The nodes of a run of lots, summed as their lots come: {(level, index): float32 [n]}, the largest there are, each a block that
    is lent and is free again once it was added to another."""

    def __init__(self, own, add):
        """own: the block [n] that the first lot's gradients go to.  add: called with (blocks, level): the first one becomes the node of
        that level, the sum of all from the last on, which has a lot's gradients."""
        self._own, self._add, self._free = own, add, []
        self.nodes = {}

    def begin(self):
        """Forgets the sums of the batch before."""
        self._free += [block for block in self.nodes.values() if block is not self._own]
        self.nodes = {}
        self._lent = False

    def block(self):
        """Where the next lot's gradients go."""
        if not self._lent:
            self._lent = True
            return self._own
        return self._free.pop() if self._free else np.empty_like(self._own)

    def add(self, lot, block):
        """The gradients of a lot, which lie in a block. Lots come in order."""
        self._add(*self.place(lot, block))

    def place(self, lot, block):
        """(blocks, level) that are to be added: the first of them is a node then. The last one is the lot's own."""
        level, index, chain = 0, lot, [block]
        while index % 2 and (level, index - 1) in self.nodes:
            chain.append(self.nodes.pop((level, index - 1)))
            level, index = level + 1, index // 2
        self._free += chain[:-1]
        self.nodes[level, index] = chain[-1]
        return chain[::-1], level

    @property
    def peak(self):
        """Blocks that were ever needed beside the trainer's own."""
        return len(self._free) + sum(block is not self._own for block in self.nodes.values())


def count_blocks(lots, ranks=1):
    """Sets of gradients that a rank takes at most, beside the trainer's own.

    >>> count_blocks(8), count_blocks(8, 2), count_blocks(8, 3), count_blocks(8, 8)
    (3, 2, 2, 0)
    """
    most = 0
    for rank in range(ranks):
        sums = LotSums(np.empty(0, np.float32), lambda blocks, level: None)
        sums.begin()
        for lot in lots_of_rank(lots, ranks, rank):
            sums.add(lot, sums.block())
        most = max(most, sums.peak)
    return most
