"""Cells of an evaluation answered by many workers at once; journal and judging stay here, with one process.

    tasks --largest first--> cells planned a task at a time, a little ahead of the workers
    cells --largest first--> a thread each, as many as there are workers, which asks them call by call (answering.py, remote.py)
    Answers ----------------> judged and kept, before the thread asks for the next: a kill costs each worker one cell at most

A cell whose process ends is failed, with how it ended. Cells that share inputs are asked together, and each by itself where they are
lost together. What comes out does not depend on the workers, nor on the order."""

import heapq
import itertools
import queue
import threading
import time

from t0native.base.errors import ConfigError
from t0native.evaluation.answering import answer, group_sharing
from t0native.evaluation.remote import CellLost, Refused

__all__ = ["Dispatch"]

AHEAD = 4  # groups of cells that wait for each worker before another task is planned
LOOKS = 0.25  # seconds between two looks at how far the answers are
SLOTS_EVERY = 1.0  # seconds between two looks at how many workers there are
JOINING = 10.0  # seconds that threads have to end once they are stopped


class Dispatch:
    """run: the evaluation's _Run (evaluate.py).  pool: a Pool.  remote: the RemoteModel that run.model asks."""

    def __init__(self, run, pool, remote, journal, bar):
        self.run, self.pool, self.remote, self.journal, self.bar = run, pool, remote, journal, bar
        self._lock, self._keeping, self._finished = threading.Lock(), threading.Lock(), queue.SimpleQueue()
        self._waiting, self._numbers = [], itertools.count()  # a heap of (-size, number, task, group)
        self._running = {}  # number of a group that is being answered -> rows of it so far
        self._keys, self._threads, self._slots, self._looked_at = set(), 0, 0, 0.0
        self._stopped = False
        self._tasks = {}  # task name -> [cells, how many groups are not finished]

    def evaluate(self, tasks):
        """All cells, in the order of tasks and of their prompts."""
        left, cells, whole = _by_size(tasks), {}, False
        try:
            while True:
                self._look_at_slots()
                while left and self._needs_more():
                    task = left.pop(0) if not self.run.model.open else _take_first(left, tasks)
                    cells[task.name] = self._plan(task)
                self._start_threads()
                if not left and not self._tasks:
                    break
                self._take_finished()
            whole = True
            return [cell for task in tasks for cell in cells[task.name]]
        finally:
            self._stop(whole)

    # ---- the main thread ----------------------------------------------------------------------------------------------

    def _look_at_slots(self):
        now = time.monotonic()
        if now - self._looked_at >= SLOTS_EVERY:
            self._slots, self._looked_at = self.pool.slots(), now

    def _needs_more(self):
        return len(self._waiting) < AHEAD * max(1, self._slots)

    def _plan(self, task):
        cells, waiting = self.run.begin(task, self.journal, self.bar)
        groups = list(group_sharing(waiting))
        with self._lock:
            for group in groups:
                heapq.heappush(self._waiting, (-_size(group), next(self._numbers), task, group))
        if groups:
            self._tasks[task.name] = [cells, len(groups)]
        else:
            self.run.end(task, cells)
        self._start_threads()
        return cells

    def _start_threads(self):
        with self._lock:
            n = min(self._slots, self._threads + len(self._waiting)) - self._threads
            self._threads += max(0, n)
        for _ in range(n):
            threading.Thread(target=self._work, daemon=True).start()

    def _take_finished(self):
        """Counts a group of cells that is kept; shows how far the others are."""
        try:
            number, task, group, error = self._finished.get(timeout=LOOKS)
        except queue.Empty:
            return self._show()
        if isinstance(error, Refused):
            raise ConfigError(str(error))
        if error is not None:
            raise error
        with self._lock:
            self._running.pop(number)
        self.run.done += self.run.n_rows(task) * len(group)
        state = self._tasks[task.name]
        state[1] -= 1
        if not state[1]:
            del self._tasks[task.name]
            self.run.end(task, state[0])
        self._show()

    def _show(self):
        with self._lock:
            rows = sum(self._running.values())
        rates = self.remote.tell_rates() if self._slots else "waiting for workers"
        self.bar.update(self.run.done + rows, rates)

    def _stop(self, whole):
        """Ends the calls that are being answered; what was said of their cells is noted by their threads."""
        self._stopped = True
        self.remote.close(stop=not whole)
        end = time.monotonic() + JOINING
        while not whole and self._threads and time.monotonic() < end:
            time.sleep(0.01)
        for part, _ in self.run.parts:
            part.close()

    # ---- a thread of a worker -----------------------------------------------------------------------------------------

    def _work(self):
        try:
            while (job := self._next()) is not None:
                error = None
                try:
                    self._do(*job)
                except BaseException as ended:
                    error = ended
                self._finished.put((*job, error))
        finally:
            with self._lock:
                self._threads -= 1

    def _next(self):
        """The largest group that waits; None where there is none, or more threads than workers."""
        with self._lock:
            if self._stopped or not self._waiting or self._threads > max(1, self._slots):
                return None
            _, number, task, group = heapq.heappop(self._waiting)
            self._running[number] = 0
            return number, task, group

    def _do(self, number, task, group):
        """Answers, judges and keeps cells."""
        began, parts = time.monotonic(), self._parts_of(group)

        def show(rows):
            self._running[number] = rows

        try:
            found = self._ask(group, show, parts, once=len(group) > 1)
            if found is None:
                found = [self._ask([cell], show, [part], once=False)[0] for cell, part in zip(group, parts)]
            for cell, answers in zip(group, found):
                with self._keeping:
                    self.run.finish(cell, answers, self.journal, (time.monotonic() - began) / len(group))
        finally:
            kept = [part for part in parts if part is not None]
            for part in kept:
                part.close()
        for part in kept:
            part.remove()
        with self._lock:
            self._keys.difference_update(cell.key for cell in group)
            self.run.parts = [(part, n) for part, n in self.run.parts if part not in parts]

    def _ask(self, group, show, parts, once):
        """Answers, or an error, of each cell; None where several are lost together."""
        try:
            with self.remote.asking(once):
                return answer(self.run.model, group, self.run.batch_tokens, show, parts)
        except CellLost as lost:
            return [lost] if len(group) == 1 else None

    def _parts_of(self, group):
        """The CellPart of each cell; None where another of the same key has it."""
        parts = []
        for cell in group:
            with self._lock:
                twice = cell.key in self._keys
                self._keys.add(cell.key)
            parts.append(None if twice else self.journal.part_of(cell, self.run.force))
        with self._lock:
            self.run.parts += [(part, len(cell.rows.kept)) for part, cell in zip(parts, group) if part is not None]
        return parts


def _by_size(tasks):
    """The tasks, those with the most rows under prompts first."""
    return sorted(tasks, key=lambda task: -len(task.rows) * len(task.prompts))


def _take_first(left, tasks):
    """The first of `tasks` that is left, taken out: how inputs end is settled by the first cells of an evaluation, in its own order."""
    task = next(task for task in tasks if task in left)
    left.remove(task)
    return task


def _size(group):
    """Characters of what is asked, of the first rows."""
    rows = [row for cell in group for row in itertools.islice(cell.rows.kept, 8)]
    length = sum(len(row.input) + sum(map(len, row.ranked or [row.target])) for row in rows) / max(1, len(rows))
    return length * sum(len(cell.rows.kept) for cell in group)
