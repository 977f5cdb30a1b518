"""Processes that train one model together, as MPI starts them: `mpiexec -n 8 t0native train recipe.yaml`, or srun.

    rank r    has a run of the batch's lots (lots.py) and owns some of the tensors: it finishes the sums of their gradients, keeps their
              optimiser state and applies them; then everybody gets their weights
    volume    of a rank and step, R ranks, N weights: N (R - 1) / R x 4 bytes out and in for gradients, where R is a power of two that
              divides the lots (else some more, at most log2 L nodes a rank), half of it on a wire of bfloat16s; and N (R - 1) / R x 4
              bytes for weights

What one rank alone does (reading and writing of the run's folder, the screen) rank 0 does, and tells the others. An error that all
meet ends each in its own way; one that a rank meets alone ends all within seconds (`leaving`): the others wait for it, and would for ever.

MPI is asked for where an environment tells that it started this process (STARTED); mpi4py is needed for that alone."""

import logging
import os
import sys
import time
from contextlib import contextmanager, nullcontext

import numpy as np

from t0native.base.errors import ConfigError
from t0native.base.interrupts import code_of, write_to_stderr
from t0native.base.showing import shown
from t0native.base.threads import get_num_threads, set_num_threads
from t0native.training.exchange import Exchange

__all__ = ["ALONE", "Alone", "Ranks", "settle_lots", "started_ranks"]

LOTS = 8  # of a run that several begin
SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")  # of Hydra (MPICH, Intel) and PMI-2; of Open MPI
STARTED = (*SIZES, "PMIX_RANK", "PMI_RANK")
MEANWHILE = "meanwhile"  # what rank 0 tells the others who wait for what its call gives
STATE = 1  # tag of parts of the optimiser's state, which go in order
LEAVING = 5.0  # seconds that a rank in error waits for the others to be in error too
_started = None  # MPI starts a process once
_excepthook = sys.excepthook


def started_ranks():
    """The Ranks of this process, or ALONE; ConfigError where MPI started it and mpi4py is missing."""
    if not any(name in os.environ for name in STARTED):
        return ALONE
    if any(os.environ.get(name) == "1" for name in SIZES):
        return Alone(started=True)
    global _started
    if _started is not None:
        return _started
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ConfigError(
            f"MPI started this process ({next(name for name in STARTED if name in os.environ)} is set), but mpi4py cannot be imported "
            f"({error}): pip install mpi4py mpich"
        ) from None
    _started = Ranks(MPI) if MPI.COMM_WORLD.size > 1 else Alone(started=True)
    return _started


def settle_lots(settings, ranks, began, goes_on):
    """The lots of a run: as told, as it began, or 8 where MPI begins one; None for a process that nobody else joins.

    began: the lots of the run that goes on, or None; goes_on: whether one does. ConfigError where several ranks cannot share it."""
    lots = settings.lots or began
    if lots is not None or not ranks.started or (goes_on and ranks.size == 1):
        return lots
    if goes_on:
        raise ConfigError(
            f"{settings.out}: the run began in one process without lots, and {ranks.size} cannot go on with it to the bit: go on in one, "
            f"or begin anew with resume: never and lots: {LOTS}"
        )
    return LOTS


class Alone:
    """One process: what Ranks does, without anybody to tell. started: whether MPI started it, as one of one."""

    size, rank = 1, 0

    def __init__(self, started=False):
        self.started = started

    def tell(self, value):
        return value

    def ask_first(self, call, meanwhile=None):
        return call()

    def meet(self, interrupts):
        pass

    def share_rows(self, model):
        return model

    def one_tells(self):
        return nullcontext()

    def leaving(self):
        return nullcontext()


ALONE = Alone()


class Ranks:
    """size: processes; rank: the number of this one. Threads of each, where nobody chose a number: the processors that it may use, by the
    ranks that may use the same."""

    started = True

    def __init__(self, mpi):
        self._mpi, self._comm, self._leaving = mpi, mpi.COMM_WORLD.Dup(), mpi.COMM_WORLD.Dup()
        self.size, self.rank = self._comm.size, self._comm.rank
        self.threads = mpi.Query_thread() == mpi.THREAD_MULTIPLE  # whether another thread than the main one may ask MPI too
        cores = sorted(os.sched_getaffinity(0))
        sharing = self._comm.Split_type(mpi.COMM_TYPE_SHARED).allgather(cores).count(cores)
        if sharing > 1 and get_num_threads() >= len(cores):  # which is so where nobody chose a number
            set_num_threads(max(1, len(cores) // sharing))
        sys.excepthook = self._end_all

    @contextmanager
    def one_tells(self):
        """Inside, rank 0 alone logs: all know the same."""
        logger = logging.getLogger("t0native")
        told = self._tells if self.rank else None
        if told:
            logger.addFilter(told)
        try:
            yield
        finally:
            if told:
                logger.removeFilter(told)

    @staticmethod
    def _tells(record):
        return False

    def ask_first(self, call, meanwhile=None):
        """What rank 0's call() gives, in all ranks; or what it raises, of Exception, in all ranks. meanwhile: called in the others as often
        as rank 0 asks them to, within its call (take_parts)."""
        outcome = None
        if self.rank == 0:
            try:
                outcome = call(), None
            except Exception as error:
                outcome = None, error
        while (outcome := self.tell(outcome)) == MEANWHILE:
            meanwhile()
        result, error = outcome
        if error is not None:
            raise error
        return result

    def meet(self, interrupts):
        """A signal that any rank has kept is raised in all. One that comes while they meet is kept until they meet again."""
        number = self.most(interrupts.pending or 0)
        if number:
            interrupts.keep(number)
            interrupts.check()

    def share_rows(self, model):
        """The model, whose `rank` and `generate` each rank does for some of the rows."""
        return _SharedRows(model, self)

    def tell(self, value):
        """Rank 0's value, which pickles, in all ranks."""
        return self._comm.bcast(value)

    def most(self, number):
        """The largest of all ranks' numbers."""
        return self._comm.allreduce(number, self._mpi.MAX)

    def all(self, value):
        """All ranks' values, in all ranks."""
        return self._comm.allgather(value)

    def add(self, array):
        """The array becomes the sum of all ranks', of which at each place one alone is not 0: exact."""
        self._comm.Allreduce(self._mpi.IN_PLACE, array)
        return array

    def check_same(self, facts):
        """ConfigError in all ranks where a fact {name: value} of one differs from rank 0's."""
        everyone = self.all((self._mpi.Get_processor_name(), facts))
        for rank, (host, theirs) in enumerate(everyone):
            for name, value in everyone[0][1].items():
                if theirs.get(name) != value:
                    raise ConfigError(
                        f"rank {rank} (on {host}): {name} {shown(theirs.get(name))}, rank 0 has {shown(value)}: all ranks must have the "
                        "same package, files and settings"
                    )

    @contextmanager
    def leaving(self):
        """An error inside: where all ranks meet one, each goes on with its own. What one alone meets is told, and ends all of them: the
        others would wait for it."""
        try:
            yield
        except BaseException as error:
            if not self._all_leave(0.0 if getattr(error, "at_once", False) else LEAVING):
                write_to_stderr(f"rank {self.rank} of {self.size} (on {self._mpi.Get_processor_name()}): {_words_of(error)}; all are ended")
                self._comm.Abort(code_of(error))
            raise

    def _all_leave(self, seconds):
        """Whether the others come here too, within these."""
        request, until = self._leaving.Ibarrier(), time.monotonic() + seconds
        while not (done := request.Test()) and time.monotonic() < until:
            time.sleep(0.01)
        return done

    def _end_all(self, kind, error, trace):
        """Of an exception that ends this process."""
        _excepthook(kind, error, trace)
        self._comm.Abort(code_of(error))

    # ---- tensors ------------------------------------------------------------------------------------------------------

    def exchange(self, tensors, lots, wire, add):
        """The Exchange of these tensors."""
        return Exchange(self._mpi, self._comm, tensors, lots, wire, add)

    def spread(self, arrays, owners):
        """Each array becomes its owner's, in all ranks."""
        self._mpi.Request.Waitall([self._comm.Ibcast(array, owner) for array, owner in zip(arrays, owners)])

    def take_parts(self, parts, sizes):
        """In rank 0, within ask_first: the arrays of all tensors in order, each of which is whole until the next one is taken.
        parts: (owner, this rank's array or None) of each; sizes: of all. The others send theirs meanwhile (send_parts)."""
        self.tell(MEANWHILE)
        room, taken = np.empty(max(sizes), np.float32), 0
        try:
            for (owner, part), size in zip(parts, sizes):
                taken += 1
                if owner:
                    part = room[:size]
                    self._comm.Recv(part, owner, STATE)
                yield part
        finally:  # the others wait until all is taken
            for (owner, _), size in list(zip(parts, sizes))[taken:]:
                if owner:
                    self._comm.Recv(room[:size], owner, STATE)

    def send_parts(self, parts):
        for owner, part in parts:
            if owner == self.rank:
                self._comm.Send(part, 0, STATE)

    def hand_out(self, parts, whole):
        """Each part becomes the array of rank 0's `whole`, which has one of each tensor."""
        for i, (owner, part) in enumerate(parts):
            if owner == self.rank == 0:
                part[:] = whole[i]
            elif self.rank == 0:
                self._comm.Send(whole[i], owner, STATE)
            elif owner == self.rank:
                self._comm.Recv(part, 0, STATE)


def _words_of(error):
    return "stopped" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"


class _SharedRows:
    """A model whose rows are shared out among ranks: each asks it about a run of them, and all get all answers, in order. What one of them
    raises, all do: they go on alike, as by asking the rows apart."""

    def __init__(self, model, ranks):
        self._model, self._ranks = model, ranks

    def __getattr__(self, name):
        return getattr(self._model, name)

    def rank(self, inputs, choices, **options):
        return self._share(len(inputs), lambda mine: self._model.rank(inputs[mine], choices[mine], **options))

    def generate(self, inputs, **options):
        return self._share(len(inputs), lambda mine: self._model.generate(inputs[mine], **options))

    def agree_on_rows(self, n):
        """Rank 0's number of rows, in all ranks: each has its own clock, and all must ask about the same rows."""
        return self._ranks.tell(n)

    def _share(self, n, ask):
        """The answers of n rows. ask: a function of a slice of them."""
        mine = slice(n * self._ranks.rank // self._ranks.size, n * (self._ranks.rank + 1) // self._ranks.size)
        answers, error = [], None
        try:
            answers = ask(mine) if mine.start < mine.stop else []
        except Exception as raised:
            error = raised
        parts = self._ranks.all((answers, error))
        for _, raised in parts:
            if raised is not None:
                raise raised
        return [answer for part, _ in parts for answer in part]
