"""Lots and ranks: sums on a tree, and processes under MPI that give the bits of one."""

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import lacking, needed

import t0native as t0
from t0native import _core
from t0native.base.interrupts import Interrupts, Terminated
from t0native.evaluation import answering
from t0native.training import exchange
from t0native.training.exchange import share_out
from t0native.training.lots import LotSums, add_tree, cut_lots, lots_of_rank
from t0native.training.lottrainer import LotTrainer
from t0native.training.ranks import ALONE, Alone, Ranks, _SharedRows, settle_lots
from t0native.training.settings import Settings
from t0native.training.train import _Loop
from t0native.training.trainer import Trainer

OPTIONS = {"optimizer": "adafactor", "clip_norm": 1.0, "dropout": 0.1, "seed": 3, "threads": 1, "options": {}}
HOW = "pip install mpi4py mpich"


# ---- lots --------------------------------------------------------------------------------------------------------------


def test_lots_are_runs_of_whole_examples():
    draw = np.random.default_rng(0)
    for _ in range(300):
        examples, lots = int(draw.integers(1, 40)), 1 << int(draw.integers(0, 7))
        lengths = [draw.integers(1, 50, examples) for _ in range(2)]
        source, target = (np.concatenate([[0], np.cumsum(each)]) for each in lengths)
        cuts = cut_lots(source, target, lots)
        assert len(cuts) == lots and cuts[0][0] == 0 and cuts[-1][1] == examples
        assert all(end == begin for (_, end), (begin, _) in zip(cuts, cuts[1:]))
        filled = [begin < end for begin, end in cuts]
        assert filled == sorted(filled, reverse=True) and sum(filled) == min(examples, lots)
        if lots <= examples // 4:
            tokens = [int((source + target)[end] - (source + target)[begin]) for begin, end in cuts]
            assert max(tokens) <= sum(tokens) / lots + 2 * int(np.max(lengths[0] + lengths[1])) + 1


def plain_tree(leaves):
    """The same sums by the definition: pairs of neighbours, one that is alone stands for both."""
    while len(leaves) > 1:
        pairs = [leaves[i : i + 2] for i in range(0, len(leaves), 2)]
        leaves = [pair[0] + pair[1] if len(pair) == 2 else pair[0] for pair in pairs]
    return leaves[0]


def add_up(blocks, level):
    """blocks[0] becomes blocks[0] + (blocks[1] + ...)."""
    for i in reversed(range(1, len(blocks))):
        blocks[i - 1] += blocks[i]


@pytest.mark.parametrize("lots, filled", [(1, 1), (2, 1), (2, 2), (8, 8), (8, 5), (16, 13), (64, 64), (64, 33)])
def test_any_number_of_ranks_sums_the_same_tree(lots, filled):
    draw = np.random.default_rng(lots + filled)
    leaves = [draw.normal(size=7).astype(np.float32) for _ in range(filled)]
    wanted = plain_tree(list(leaves))
    for ranks in {1, 2, 3, 5, lots} - set(range(lots + 1, 6)):
        nodes, most = {}, 0
        for rank in range(ranks):
            sums = LotSums(np.empty(7, np.float32), add_up)
            for _ in range(2):  # the second batch uses the blocks of the first
                sums.begin()
                for lot in lots_of_rank(lots, ranks, rank):
                    if lot < filled:
                        block = sums.block()
                        block[:] = leaves[lot]
                        sums.add(lot, block)
            nodes |= sums.nodes
            most = max(most, sums.peak)
        assert (add_tree(dict(nodes), lots.bit_length() - 1) == wanted).all()
        assert most <= max(1, lots.bit_length() - 1)


def rounded(x):
    """The nearest bfloat16s, ties to even."""
    bits = x.view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


@pytest.mark.parametrize("n", [1, 5, 4096, 20000])
@pytest.mark.parametrize("parts", [1, 2, 4])
def test_a_chain_is_summed_from_its_end(n, parts):
    core, draw = _core.Trainer(t0.mini.new_model(0).core, threads=2), np.random.default_rng(n + parts)
    arrays = [draw.normal(size=n).astype(np.float32) for _ in range(parts)]
    for rounds, root in ((False, True), (True, True), (True, False)):
        wanted = rounded(arrays[-1]) if rounds and (parts > 1 or not root) else arrays[-1]
        for i in reversed(range(parts - 1)):
            wanted = arrays[i] + wanted
            wanted = rounded(wanted) if rounds and not (root and i == 0) else wanted
        given = [array.copy() for array in arrays]
        core.sum(given, rounds, root)
        assert (given[0] == wanted).all()
        assert all((after == before).all() for after, before in zip(given[1:], arrays[1:]))


def test_a_chain_of_what_cannot_be_summed_is_refused():
    core = _core.Trainer(t0.mini.new_model(0).core)
    three = np.zeros(3, np.float32)
    for parts in ([], [three] * 17):
        with pytest.raises(ValueError, match=f"parts: {len(parts)}, must be 1 to 16"):
            core.sum(parts)
    for other in (np.zeros(4, np.float32), np.zeros(3), np.zeros(6, np.float32)[::2], [0.0] * 3):
        with pytest.raises(ValueError, match="parts: must be writable float32 arrays, each of as many numbers"):
            core.sum([three, other])
    with pytest.raises(TypeError, match="parts: must be a sequence of arrays"):
        core.sum(5)


def test_owners_have_about_as_much():
    sizes = [1000, 1, 7, 300, 300, 300, 100]
    owners = share_out(sizes, 3)
    assert set(owners) == {0, 1, 2} and owners == share_out(sizes, 3)
    loads = [sum(size for size, owner in zip(sizes, owners) if owner == rank) for rank in range(3)]
    assert max(loads) == 1000 and min(loads) >= 400
    assert share_out(sizes, 1) == [0] * 7


class Post:
    """Messages between threads, as far as Exchange asks mpi4py for them; who sends waits until it is received, as MPI may."""

    class Request:
        @staticmethod
        def Waitall(requests):
            for request in requests:
                request()

    def __init__(self, size):
        self.size, self._boxes, self._lock = size, defaultdict(queue.Queue), threading.Lock()

    def box(self, *of):
        with self._lock:  # two threads that miss one at once would make two
            return self._boxes[of]

    def of(self, rank):
        def send(array, to, tag):
            taken = threading.Event()
            self.box(rank, to, tag).put((array, taken))
            return lambda: taken.wait(20) or pytest.fail("nobody receives")

        def receive(array, source, tag):
            def wait():
                sent, taken = self.box(source, rank, tag).get(timeout=20)
                array[:] = sent
                taken.set()

            return wait

        return SimpleNamespace(size=self.size, rank=rank, Isend=send, Irecv=receive)


@pytest.mark.parametrize("wire", ["float32", "bfloat16"])
@pytest.mark.parametrize("ranks, filled", [(2, 8), (2, 7), (3, 8), (5, 6), (8, 3)])
def test_owners_get_the_sums_of_all_lots_through_little_room(monkeypatch, wire, ranks, filled):
    monkeypatch.setattr(exchange, "ROOM", 4096)
    draw, sizes = np.random.default_rng(ranks), [3, 700, 5, 64, 200, 1, 300, 700, 16]
    ends = np.cumsum([0, *sizes])
    leaves = [draw.normal(size=ends[-1]).astype(np.float32) for _ in range(filled)]
    owners, core = share_out(sizes, ranks), _core.Trainer(t0.mini.new_model(0).core)
    lock = threading.Lock()  # of the one core that sums for all

    def add(parts, level):
        with lock:
            if len(parts) > 1 or (wire == "bfloat16" and level < 3):
                core.sum(parts, wire == "bfloat16", level == 3)

    def sums_of(lots):
        sums = LotSums(np.empty(ends[-1], np.float32), add)
        sums.begin()
        for lot in lots:
            if lot < filled:
                block = sums.block()
                block[:] = leaves[lot]
                sums.add(lot, block)
        return sums.nodes

    post, blocks = Post(ranks), [np.full(ends[-1], np.nan, np.float32) for _ in range(ranks)]

    def exchanged(rank):
        tensors = [(owner, begin, end) for owner, begin, end in zip(owners, ends, ends[1:])]
        way = exchange.Exchange(Post, post.of(rank), tensors, 8, wire, add)
        for _ in range(3):
            way.begin(sums_of(lots_of_rank(8, ranks, rank)), filled, blocks[rank])
            for i in range(len(sizes)):
                way.start(i)
            way.finish()

    with ThreadPoolExecutor(ranks) as pool:
        list(pool.map(exchanged, range(ranks)))
    wanted = add_tree(sums_of(range(8)), 3, add=add)
    for owner, begin, end in zip(owners, ends, ends[1:]):
        assert (blocks[owner][begin:end] == wanted[begin:end]).all()
    if wire == "float32":
        assert (wanted == plain_tree(list(leaves))).all()


# ---- shares of a batch -------------------------------------------------------------------------------------------------


def batch_of(model, seed=0, examples=9):
    draw = np.random.default_rng(seed)
    arrays = []
    for most in (12, 6):
        lengths = draw.integers(1, most, examples)
        arrays += [draw.integers(2, 100, lengths.sum()).astype(np.int32), np.concatenate([[0], np.cumsum(lengths)])]
    return arrays


@pytest.mark.parametrize("broadcast", [False, True])
def test_shares_add_up_to_the_gradients_of_the_batch(broadcast):
    model = t0.mini.new_model(0)
    core = _core.Trainer(model.core, dropout=0.3, seed=5, broadcast_dropout=broadcast)
    batch = batch_of(model)
    loss = core.gradients(*batch, 4)[0]
    whole = np.array(core.block())
    assert core.share(*batch, 4, 0, 9) == loss and (core.block() == whole).all()
    parts = [np.empty_like(whole) for _ in range(3)]
    losses = [core.share(*batch, 4, begin, end, part) for (begin, end), part in zip([(0, 2), (2, 7), (7, 9)], parts)]
    assert sum(losses) == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(sum(part.astype(float) for part in parts), whole, rtol=0, atol=2e-6 * np.abs(whole).max())
    assert core.norms() == pytest.approx([float((core.gradient(name).astype(float) ** 2).sum()) for name, _ in model.core.tensors()])


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_told_to_be_final_stays(tied):
    sizes = {"d_model": 128, "d_kv": 16, "d_ff": 256, "num_layers": 2, "num_heads": 4}
    model = t0.Model.init(t0.Config(vocab_size=40_000 if tied else 16_000, tie_word_embeddings=tied, **sizes), None, seed=1)
    core = _core.Trainer(model.core, dropout=0.1)
    batch, told, seen = batch_of(model, examples=60), [], threading.Event()
    out = core.block()

    def look():
        while not seen.is_set():
            at = core.final_from
            if not told or at < told[-1][0]:
                told.append((at, out[at:].copy()))

    core.share(*batch, 1, 0, 30)
    for _ in range(20):  # on a busy machine the thread that looks may come too late
        told.clear(), seen.clear(), core.tell_final()
        assert core.final_from == len(out)
        with ThreadPoolExecutor(1) as pool:
            looking = pool.submit(look)
            core.share(*batch, 1, 30, 60)
            seen.set()
            looking.result()
        assert core.final_from == 0
        if len(told) >= 2:
            break
    assert len(told) >= 2
    starts = {0, *np.cumsum([np.prod(shape) for _, shape in model.core.tensors()]).tolist()}
    for at, values in told:
        assert at in starts and (out[at:] == values).all()


def test_shares_refuse_what_is_no_part_of_the_batch():
    model = t0.mini.new_model(0)
    core, batch = _core.Trainer(model.core), batch_of(model)
    for begin, end in [(0, 10), (3, 3), (5, 2)]:
        with pytest.raises(ValueError, match=f"examples {begin} to {end} of a batch of 9: at least one, of the batch"):
            core.share(*batch, 1, begin, end)
    with pytest.raises(ValueError, match="examples -1 to 2: they count from 0"):
        core.share(*batch, 1, -1, 2)
    for out in (np.empty(3, np.float32), np.empty(len(core.block())), np.empty(2 * len(core.block()), np.float32)[::2], [1.0]):
        with pytest.raises(ValueError, match="out: must be a writable float32 array of [0-9]+ numbers, one behind another"):
            core.share(*batch, 1, 0, 2, out)
    with pytest.raises(ValueError, match="norms: 2, must be those of [0-9]+ tensors"):
        core.apply(0.1, 1, norms=[1.0, 2.0])
    with pytest.raises(ValueError, match="elsewhere: there is no tensor 'x'"):
        _core.Trainer(model.core, elsewhere=["x"])
    with pytest.raises(ValueError, match="freeze: there is no tensor 3"):
        _core.Trainer(model.core, freeze=[3])
    with pytest.raises(TypeError, match="freeze: must be a sequence of names of tensors"):
        _core.Trainer(model.core, freeze=5)
    with pytest.raises(t0.NumericError, match="step 3: the loss is not finite; all weights are finite, but too large for this batch"):
        core.check_loss(float("inf"), 3)


def test_one_lot_is_the_batch_and_more_are_near_it():
    batches = [batch_of(None, seed) for seed in range(3)]
    results = {}
    for lots in (None, 1, 8, 64):
        model = t0.mini.new_model(0)
        trainer = Trainer(model, **OPTIONS) if lots is None else LotTrainer(model, lots=lots, **OPTIONS)
        losses = []
        for step, (a, b, c, d) in enumerate(batches, 1):
            losses.append(trainer.gradients(t0.Ragged(a, b), t0.Ragged(c, d), step))
            trainer.apply(0.01, step)
        results[lots] = losses, {name: np.array(model.core.tensor(name)) for name, _ in model.core.tensors()}
    assert results[1][0] == results[None][0]
    assert all((results[1][1][name] == results[None][1][name]).all() for name in results[1][1])
    for lots in (8, 64):
        assert results[lots][0] == pytest.approx(results[None][0], rel=1e-4)


def test_tensors_that_are_applied_elsewhere_keep_their_bits_and_have_no_state():
    model = t0.mini.new_model(0)
    names = [name for name, _ in model.core.tensors()]
    whole, part = _core.Trainer(model.core), _core.Trainer(model.core, elsewhere=names[1::2])
    assert part.state_sizes() == [0 if i % 2 else size for i, size in enumerate(whole.state_sizes())]
    assert len(part.state()) == sum(part.state_sizes())
    batch, before = batch_of(model), {name: np.array(model.core.tensor(name)) for name in names}
    part.gradients(*batch, 1)
    assert (part.norms()[1::2] == 0).all() and (part.norms()[::2] > 0).any()
    norm = part.apply(0.1, 1, norms=np.ones(len(names)))
    assert norm == pytest.approx(len(names) ** 0.5)
    changed = [bool((model.core.tensor(name) != before[name]).any()) for name in names]
    assert not any(changed[1::2]) and any(changed[::2])


@pytest.mark.parametrize("value", [0, 3, 128, "8", True, 2.0])
def test_lots_are_powers_of_two(value):
    with pytest.raises(t0.ConfigError, match=r"lots .*: must be a power of two, at most 64"):
        t0.train(t0.mini.new_model(0), t0.mini.training_tasks(["values"]), steps=1, lots=value)


def test_a_run_goes_on_with_the_lots_it_began_with(tmp_path):
    train = lambda model, **options: t0.train(
        model, t0.mini.training_tasks(["values"]), batch_size=6, out=tmp_path, progress=False, **options
    )
    model = t0.mini.new_model(0)
    train(model, steps=2, lots=4)
    assert train(model, steps=3).steps == 3
    with pytest.raises(t0.ConfigError, match="lots was 4, is 8"):
        train(model, steps=4, lots=8)
    with pytest.raises(t0.ConfigError, match="wire was 'float32', is 'bfloat16'"):
        train(model, steps=4, wire="bfloat16")
    with pytest.raises(t0.ConfigError, match="wire 'bfloat16': it rounds sums of lots, and the run has none; give lots, as 8"):
        t0.train(model, t0.mini.training_tasks(["values"]), steps=1, wire="bfloat16", progress=False)


def test_one_process_is_no_ranks(monkeypatch):
    from t0native.training import ranks

    for name in ranks.STARTED:
        monkeypatch.delenv(name, raising=False)
    assert ranks.started_ranks() is ALONE
    monkeypatch.setenv("PMI_SIZE", "1")
    assert ranks.started_ranks().size == 1 and ranks.started_ranks().started
    monkeypatch.delenv("PMI_SIZE")
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "4")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(t0.ConfigError, match=r"MPI started this process \(OMPI_COMM_WORLD_SIZE is set\), but mpi4py cannot be imported"):
        ranks.started_ranks()


def test_lots_of_a_run_that_says_nothing():
    class Several(Alone):
        size, started = 3, True

        def __init__(self):
            pass

    quiet, told = t0_settings(), t0_settings(lots=2)
    one = Alone(started=True)
    assert settle_lots(quiet, ALONE, None, goes_on=False) is None and settle_lots(quiet, ALONE, 4, goes_on=True) == 4
    assert settle_lots(quiet, one, None, goes_on=False) == 8 and settle_lots(quiet, one, None, goes_on=True) is None
    assert settle_lots(quiet, Several(), None, goes_on=False) == 8 and settle_lots(told, Several(), None, goes_on=True) == 2
    with pytest.raises(t0.ConfigError, match="run: the run began in one process without lots, and 3 cannot go on with it to the bit"):
        settle_lots(quiet, Several(), None, goes_on=True)


def t0_settings(**keywords):
    return Settings(steps=1, out="run", **keywords)


# ---- rows that are shared out -------------------------------------------------------------------------------------------


class Threads:
    """Ranks in one process, each on a thread."""

    def __init__(self, rank, barrier, values):
        self.size, self.rank, self._barrier, self._values = len(values), rank, barrier, values

    def all(self, value):
        self._values[self.rank] = value
        self._barrier.wait(timeout=20)
        found = list(self._values)
        self._barrier.wait(timeout=20)
        return found

    def tell(self, value):
        return self.all(value)[0]

    ask_first = Ranks.ask_first


class Fallible:
    """Gives the first choice, or the second of rows of even length, and refuses those with bad in them."""

    def rank(self, inputs, choices, **options):
        bad = next((source for source in inputs if "bad" in source), None)
        if bad is not None:
            raise t0.DataError(f"{bad} is refused")
        return [SimpleNamespace(index=int(len(source) % 2 == 0)) for source in inputs]


def in_threads(work, size):
    """[work(rank's Threads)] of so many ranks."""
    barrier, values = threading.Barrier(size), [None] * size
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(Threads(rank, barrier, values)), range(size)))


def outcome(model, texts):
    """(share of the rows whose answer is that of Fallible, rows, dropped rows)"""
    rows = [{"text": text, "label": "ab"[len(text) % 2 == 0]} for text in texts]
    (cell,) = t0.evaluate(model, t0.Task("few", rows, [t0.Prompt("p", "{{ text }} ||| {{ label }}", "a ||| b")]), progress=False).cells
    return cell["value"], cell["n"], cell["dropped"]


@pytest.mark.parametrize("size", [2, 3])
def test_a_row_that_one_rank_cannot_answer_is_left_out_in_all(size):
    texts = ["bad" if i in (3, 11) else "x" * (i % 7 + 1) for i in range(30)]
    assert outcome(Fallible(), texts) == (1.0, 28, 2)
    assert in_threads(lambda ranks: outcome(_SharedRows(Fallible(), ranks), texts), size) == [(1.0, 28, 2)] * size


def test_ranks_whose_clocks_differ_ask_about_the_same_rows(monkeypatch):
    """One rank finds that a part took long, the other that it took no time."""
    texts, clock, clocks = ["x" * (i % 7 + 1 + 7 * (i % 3)) for i in range(100)], time.monotonic, threading.local()

    def begin(ranks):
        clocks.pace = 1_000_000 * ranks.rank
        return outcome(_SharedRows(Fallible(), ranks), texts)

    monkeypatch.setattr(answering, "FIRST", 8)
    monkeypatch.setattr(answering, "LEAST", 2)
    monkeypatch.setattr(answering, "time", SimpleNamespace(monotonic=lambda: clock() * (1 + getattr(clocks, "pace", 0))))
    assert in_threads(begin, 2) == [(1.0, 100, 0)] * 2


@pytest.mark.parametrize("error", [None, OSError("no room")])
def test_all_ranks_wait_until_a_checkpoint_is_written(error):
    """Else one that is stopped leaves, and five seconds later ends the one that writes."""
    written = threading.Event()

    class Folder:
        def __init__(self, rank):
            self.rank, self.log = rank, ()

        def save(self, *parts):
            if self.rank:  # who has no folder
                return
            time.sleep(0.3)
            written.set()
            if error is not None:
                raise error

    def save(ranks):
        loop = object.__new__(_Loop)
        loop.ranks, loop.folder, loop.state, loop.model, loop.kept = ranks, Folder(ranks.rank), None, None, None
        loop.trainer, loop.card = SimpleNamespace(send_parts=lambda: None), SimpleNamespace(write=lambda *parts: None)
        if error is not None:
            with pytest.raises(OSError, match="no room"):
                loop._save(with_model=False)
        else:
            loop._save(with_model=False)
        return written.is_set()

    assert in_threads(save, 3) == [True] * 3


def test_a_signal_that_comes_while_ranks_meet_is_not_lost():
    interrupts = Interrupts()

    def most(number):
        answers.append(number)
        if len(answers) == 1:
            interrupts.pending = signal.SIGTERM  # as its handler does, behind what this rank has told
        return max(answers)

    answers, ranks = [], SimpleNamespace(most=most)
    Ranks.meet(ranks, interrupts)
    with pytest.raises(Terminated):
        Ranks.meet(ranks, interrupts)
    assert answers == [0, signal.SIGTERM]


def test_a_second_signal_waits_for_no_other_rank(capfd):
    waited, interrupts = [], Interrupts("the run is saved first")
    ranks = SimpleNamespace(_all_leave=lambda seconds: waited.append(seconds) or True)
    interrupts._handle(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt), Ranks.leaving(ranks):
        interrupts._handle(signal.SIGINT, None)
    with pytest.raises(KeyboardInterrupt), Ranks.leaving(ranks):
        raise KeyboardInterrupt
    assert waited[0] == 0.0 and waited[1] >= 1.0


def test_others_are_rid_of_their_parts_where_the_first_cannot_write_them():
    sizes, owners, received, told = [3, 1, 4, 2], [1, 0, 2, 1], [], []

    def receive(room, owner, tag):
        received.append((owner, len(room)))
        room[:] = owner

    ranks = SimpleNamespace(tell=told.append, _comm=SimpleNamespace(Recv=receive))
    parts = [(owner, None if owner else np.zeros(size, np.float32)) for owner, size in zip(owners, sizes)]
    assert [part.tolist() for part in Ranks.take_parts(ranks, parts, sizes)] == [[1] * 3, [0], [2] * 4, [1] * 2]
    assert received == [(1, 3), (2, 4), (1, 2)] and len(told) == 1
    received.clear()
    taken = Ranks.take_parts(ranks, parts, sizes)
    next(taken)
    taken.close()
    assert received == [(1, 3), (2, 4), (1, 2)]


# ---- several processes -------------------------------------------------------------------------------------------------


OPEN_MPI = {  # which else asks root, and who starts more ranks than there are processors, whether they are sure
    "OMPI_ALLOW_RUN_AS_ROOT": "1",
    "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    "PRTE_MCA_rmaps_default_mapping_policy": ":oversubscribe",
    "OMPI_MCA_mpi_yield_when_idle": "1",
}


def start(ranks, out, options, *fault):
    """The process of mpiexec, or of one rank without it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PMI", "OMPI", "HYDI", "MPI"))}
    environment |= {"PYTHONPATH": str(Path(t0.__file__).parent.parent), "T0NATIVE_NUM_THREADS": "1", "PYTHONSAFEPATH": "1"}
    environment |= OPEN_MPI
    command = [sys.executable, str(Path(__file__).with_name("ranked.py")), str(out), json.dumps(options), *fault]
    if ranks > 1:
        command = [mpiexec(), "-n", str(ranks), *command]
    return subprocess.Popen(
        command, cwd=out.parent, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def mpiexec():
    needed("mpi4py", HOW)
    beside = Path(sys.executable).with_name("mpiexec")
    return str(beside) if beside.exists() else shutil.which("mpiexec") or lacking(f"there is no mpiexec: {HOW}")


def run(ranks, out, options, *fault):
    """(exit code, stdout, stderr, seconds)"""
    began, process = time.monotonic(), start(ranks, out, options, *fault)
    try:
        texts = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, *texts, time.monotonic() - began


def facts(out, step):
    """What a run has left: its bytes, and its log without seconds."""
    folder = out / "checkpoints" / f"step-{step:06d}"
    log = re.sub(r'"seconds": [0-9.e+-]+', "", (out / "log.jsonl").read_text())
    return (folder / "model.safetensors").read_bytes(), (folder / "trainer.safetensors").read_bytes(), log


CASES = {
    "adafactor": {"lots": 8, "batch_size": 16, "validate": True, "validate_every": 3},
    "adamw": {
        "lots": 4,
        "batch_tokens": 300,
        "accumulate": 2,
        "optimizer": "adamw",
        "freeze": ["*layer_norm*"],
        "broadcast_dropout": True,
        "wire": "bfloat16",
        "kind": "wide",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_ranks_give_the_bits_of_one_process(tmp_path, name):
    options = CASES[name]
    code, output, errors, _ = run(1, tmp_path / "one", options)
    assert code == 0, errors
    for ranks in (2, 3):
        code, text, errors, _ = run(ranks, tmp_path / f"of-{ranks}", options)
        assert code == 0, errors
        assert sorted(text.split("\n"))[1:] == [output.strip().replace("0 ", f"{rank} ", 1) for rank in range(ranks)]
        assert facts(tmp_path / f"of-{ranks}", 6) == facts(tmp_path / "one", 6)


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_ranks(tmp_path):
    options = CASES["adafactor"]
    for ranks, steps in ((3, 2), (1, 4), (2, 6)):
        code, _, errors, _ = run(ranks, tmp_path / "parts", options | {"steps": steps})
        assert code == 0, errors
    assert run(1, tmp_path / "whole", options)[0] == 0
    of_parts, of_whole = facts(tmp_path / "parts", 6), facts(tmp_path / "whole", 6)
    assert of_parts[:2] == of_whole[:2]


@pytest.mark.slow
def test_errors_of_one_rank_end_all_and_those_of_all_are_told_once(tmp_path):
    code, _, errors, seconds = run(3, tmp_path / "fault", {"lots": 4, "batch_size": 8}, "error")
    assert code != 0 and "rank 1 of 3 (on " in errors and "): RuntimeError: rank 1 has a fault; all are ended" in errors and seconds < 60
    code, _, errors, seconds = run(2, tmp_path / "seed", {"lots": 4, "batch_size": 8}, "seed")
    assert code != 0 and "): seed 99, rank 0 has 0: all ranks must have the same package, files and settings" in errors
    assert not (tmp_path / "seed" / "checkpoints").exists()
    code, _, errors, _ = run(3, tmp_path / "few", {"lots": 2, "batch_size": 8})
    assert code != 0 and "3 ranks and 2 lots: a rank needs one at least; begin with lots=4" in errors


@pytest.mark.slow
def test_a_killed_rank_ends_all_and_the_last_checkpoint_is_whole(tmp_path):
    options = {"lots": 4, "batch_size": 8, "checkpoint_every": 1}
    code, _, _, seconds = run(2, tmp_path / "killed", options, "kill")
    assert code != 0 and seconds < 60
    assert run(2, tmp_path / "killed", options)[0] == 0
    assert run(1, tmp_path / "whole", options)[0] == 0
    assert facts(tmp_path / "killed", 6)[:2] == facts(tmp_path / "whole", 6)[:2]


@pytest.mark.slow
def test_sigterm_saves_in_all_ranks(tmp_path):
    process = start(2, tmp_path / "run", {"lots": 4, "batch_size": 8, "steps": 500, "log_every": 1}, "slow")
    log = tmp_path / "run" / "log.jsonl"
    until = time.monotonic() + 60
    while time.monotonic() < until and not (log.exists() and log.stat().st_size):
        time.sleep(0.05)
    for child in ranks_of(process.pid):
        os.kill(child, signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors
    assert errors.count("stopped after step ") == 1 and (tmp_path / "run" / "checkpoints").exists()


def ranks_of(pid):
    """Processes of Python below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
            words = (path.parent / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(fields[3]) and any(word.endswith(b"ranked.py") for word in words) and b"python" in words[0]:
            found.append((int(path.parent.name), int(fields[1])))
    parents = {child: parent for child, parent in found}
    return [child for child in parents if below(child, pid)]


def below(child, ancestor):
    while child > 1:
        if child == ancestor:
            return True
        try:
            child = int(Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            return False
    return False
