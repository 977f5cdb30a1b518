"""The trainer of a batch that is summed in lots, by one process or by several (lots.py, ranks.py), with the same bits.

    gradients   shares of this rank's lots --> nodes --> each tensor's sum, in its owner's block; while the last share's backward pass
                runs, tensors that it has left behind are summed and set out, on a thread of their own
    apply       squared norms of all tensors, from their owners --> clip and optimiser, each owner its tensors --> weights to all

`state_parts`, `load_state` and the writing of weights are rank 0's, as of one process; meanwhile the others `send_parts`; `spread` is
everybody's, after rank 0 has read a checkpoint."""

import threading
from contextlib import contextmanager, nullcontext

import numpy as np

from t0native.base.errors import ConfigError
from t0native.training.exchange import share_out
from t0native.training.lots import LotSums, add_tree, cut_lots, lots_of_rank
from t0native.training.ranks import ALONE
from t0native.training.trainer import Trainer

__all__ = ["LotTrainer"]

PAUSE = 0.002  # seconds between two looks at what is final, and at what is on its way


class LotTrainer(Trainer):
    """A Trainer of so many lots. wire: "float32", or "bfloat16": every node of the tree below its root is rounded to one.
    ConfigError for more ranks than lots."""

    def __init__(self, model, *, lots, wire="float32", ranks=ALONE, **options):
        if ranks.size > lots:
            raise ConfigError(f"{ranks.size} ranks and {lots} lots: a rank needs one at least; begin with lots={_power_from(ranks.size)}")
        model.make_trainable()
        tensors = model.core.tensors()
        sizes = [int(np.prod(shape)) for _, shape in tensors]
        self._owners = share_out(sizes, ranks.size)
        elsewhere = [name for (name, _), owner in zip(tensors, self._owners) if owner != ranks.rank]
        super().__init__(model, elsewhere=elsewhere, **options)
        self.lots, self.ranks, self._rounded, self._whole = lots, ranks, wire == "bfloat16", None
        self._block = self._core.block()
        self._sums = LotSums(self._block, self._add)
        if ranks.size > 1:
            ends = np.cumsum([0, *sizes])
            self._tensors = [(owner, int(begin), int(end)) for owner, begin, end in zip(self._owners, ends, ends[1:])]
            self._exchange = ranks.exchange(self._tensors, lots, wire, self._add_aside)
        self._state_sizes = ranks.add(np.array(self._core.state_sizes())) if ranks.size > 1 else self._core.state_sizes()

    def gradients(self, sources, targets, step):
        """Mean loss of the batch (two Ragged), of which all ranks have the same. Changes no weight."""
        cuts = cut_lots(sources.offsets, targets.offsets, self.lots)
        filled, losses = sum(begin < end for begin, end in cuts), np.zeros(self.lots)
        several, mine = self.ranks.size > 1, lots_of_rank(self.lots, self.ranks.size, self.ranks.rank)
        mine = range(mine.start, min(mine.stop, filled))
        self._sums.begin()
        if several:
            self._exchange.begin(self._sums.nodes, filled, self._block)
        for lot in mine:
            block = self._sums.block()
            blocks, level = self._sums.place(lot, block)
            last = several and lot == mine[-1]
            with self._sending(blocks, level) if last else nullcontext():
                losses[lot] = self._core.share(sources.ids, sources.offsets, targets.ids, targets.offsets, step, *cuts[lot], block)
            if not last:
                self._add(blocks, level)
        self._finish_sums(sent=len(mine) > 0)
        loss = self._sum_losses(losses, filled)
        self._core.check_loss(loss, step)
        return loss

    def _sum_losses(self, losses, filled):
        losses = self.ranks.add(losses) if self.ranks.size > 1 else losses
        parts = {(0, lot): losses[lot : lot + 1] for lot in range(filled)}
        return float(add_tree(parts, self.lots.bit_length() - 1)[0])

    def _add(self, parts, level, aside=False):
        """The first part becomes the node of this level, the sum of all. aside: while a share runs."""
        root = level == self.lots.bit_length() - 1
        if len(parts) > 1 or (self._rounded and not root):
            self._core.sum(parts, self._rounded, root, aside)

    def _add_aside(self, parts, level):
        self._add(parts, level, aside=True)

    @contextmanager
    def _sending(self, blocks, level):
        """While the last share runs inside: tensors whose gradients are final are added to those of the lots before, and set out."""
        left, errors = threading.Event(), []

        def send():
            try:
                self._send(blocks, level, left)
            except BaseException as error:
                errors.append(error)

        self._core.tell_final()
        thread = threading.Thread(target=send if self.ranks.threads else lambda: None, daemon=True)
        thread.start()
        try:
            yield
        except BaseException:
            left.set()  # who leaves with an error ends the others
            raise
        thread.join()
        if not self.ranks.threads:
            send()
        if errors:
            raise errors[0]

    def _send(self, blocks, level, left):
        for i in reversed(range(len(self._tensors))):  # as the backward pass leaves them behind
            _, begin, end = self._tensors[i]
            while self._core.final_from > begin:
                if left.wait(PAUSE):
                    return
                self._exchange.progress()
            self._add_aside([block[begin:end] for block in blocks], level)
            self._exchange.start(i)

    def _finish_sums(self, sent):
        """The sums of all lots; sent: whether this rank's have set out."""
        if self.ranks.size > 1:
            for i in reversed(range(0 if sent else len(self._tensors))):
                self._exchange.start(i)
            self._exchange.finish()
        else:
            total = add_tree(dict(self._sums.nodes), self.lots.bit_length() - 1, add=self._add)
            assert total.ctypes.data == self._block.ctypes.data  # the first lot's block, to which all others are added

    def apply(self, learning_rate, step):
        if self.ranks.size == 1:
            return super().apply(learning_rate, step)
        norm = self._core.apply(learning_rate, step, abandon=True, norms=self.ranks.add(self._core.norms()))
        self._spread_weights()
        return norm

    def _spread_weights(self):
        self.ranks.spread(list(self.writable_weights().values()), self._owners)

    # ---- between a rank and rank 0 --------------------------------------------------------------------------------------

    def state(self):
        """The state of the tensors that this rank owns."""
        return super().state()

    def state_size(self):
        return int(sum(self._state_sizes))

    def state_parts(self):
        if self.ranks.size == 1:
            return super().state_parts()
        return self.ranks.take_parts(self._parts(self._core.state()), self._state_sizes)

    def send_parts(self):
        self.ranks.send_parts(self._parts(self._core.state()))

    def load_state(self, state):
        if self.ranks.size == 1:
            super().load_state(state)
        else:
            self._whole = np.array(state, np.float32)

    def spread(self):
        """Everybody gets rank 0's weights and what rank 0 has of the state that they own."""
        if self.ranks.size > 1:
            self._spread_weights_from(0)
            mine = np.array(self._core.state())
            whole = np.zeros(self.state_size(), np.float32) if self._whole is None else self._whole
            self.ranks.hand_out(self._parts(mine), self._slices(whole) if self.ranks.rank == 0 else None)
            self._core.load_state(mine)
            self._whole = None

    def _spread_weights_from(self, rank):
        self.ranks.spread(list(self.writable_weights().values()), [rank] * len(self._owners))

    def _parts(self, mine):
        """(owner, this rank's part of `mine` or None) of each tensor's state."""
        parts, at = [], 0
        for owner, size in zip(self._owners, self._state_sizes):
            own = owner == self.ranks.rank
            parts.append((owner, mine[at : at + size] if own else None))
            at += size if own else 0
        return parts

    def _slices(self, whole):
        ends = np.cumsum([0, *self._state_sizes])
        return [whole[begin:end] for begin, end in zip(ends, ends[1:])]


def _power_from(n):
    """The smallest power of two that is at least n.

    >>> _power_from(5), _power_from(8)
    (8, 8)
    """
    return 1 << (n - 1).bit_length()
