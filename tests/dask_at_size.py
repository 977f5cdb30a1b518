"""An evaluation on Dask at the size at which it is promised, by hand: python tests/dask_at_size.py [speed] [workers] [drivers] [poison] [pause] [link]

    speed     one and two workers against this process, each pinned to a processor, one thread, cells of a second and more
    workers   SIGKILL of a worker at 20 random moments of runs of 200 cells of 0.1 s
    drivers   SIGKILL of the evaluation at 20 random moments of such a run
    poison    10 cells that end their process (a segmentation fault, memory without end) among 30
    pause     a worker stopped for 20 s
    link      a worker in a network namespace of its own whose link is cut for 20 s (as root)

Each prints what it found and fails where a promise does not hold: the same report.json and report.md as of a run of one process, and at most
one cell begun twice a kill of a worker (of the evaluation: one a worker)."""

import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from slow_model import Slow, begun, files_of, tasks_of

import t0native as t0
from t0native.evaluation.cells import Cell

CELLS, KILLS, PAUSE = 200, 20, 20.0
SEED = 1


def run_alone(folder, log):
    t0.evaluate(Slow(0.0, log), list(tasks_of(CELLS)), out=folder, progress=False)
    return files_of(folder)


def again(log):
    """[(time before, time, cell)] of those that were begun when they had been begun before."""
    last, found = {}, []
    for when, what in begun(log):
        if what in last:
            found.append((last[what], when, what))
        last[what] = when
    return found


def after_kills(log, moments):
    """Of each kill, [cells that it had begun again, those of them that had been answered when it came]."""
    found = [[0, 0] for _ in moments]
    ends = begun(f"{log}.ends")
    for before, when, cell in again(log):  # a call that was on its way at a kill may begin after it
        kill = next((i for i, moment in enumerate(moments) if before <= moment <= when), sum(moment <= when for moment in moments) - 1)
        found[kill][0] += 1
        found[kill][1] += any(what == cell and before < when < moments[kill] for when, what in ends)
    return found


@contextmanager
def cluster(n=2, **options):
    from distributed import Client, LocalCluster

    local = LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL", **options)
    client = Client(local)
    client.wait_for_workers(n)
    try:
        yield client
    finally:
        for thing in (client, local):
            with suppress(Exception):  # workers that were killed
                thing.close(timeout=10)


def check(what, fine):
    print(("holds: " if fine else "FAILS: ") + what, flush=True)
    assert fine, what


# ---- kills ------------------------------------------------------------------------------------------------------------


def kill_workers(work):
    """20 kills, one at a time: each at a random moment while both workers are there."""
    want, chance, kills, repeated = run_alone(work / "alone", work / "log-alone"), random.Random(SEED), 0, []
    run = 0
    while kills < KILLS:
        log, out, moments, stop = work / f"log{run}", work / f"workers{run}", [], threading.Event()
        with cluster() as client:

            def killer():
                while not stop.is_set() and kills + len(moments) < KILLS:
                    time.sleep(chance.uniform(0.2, 2.0))
                    pids = sorted(client.run(os.getpid, on_error="ignore").values())  # noqa: B023
                    if stop.is_set() or len(pids) < 2:
                        continue
                    pid = chance.choice(pids)
                    moments.append(time.time())  # noqa: B023
                    os.kill(pid, signal.SIGKILL)
                    time.sleep(0.5)

            thread = threading.Thread(target=killer, daemon=True)
            thread.start()
            t0.evaluate(Slow(0.1, log), list(tasks_of(CELLS)), out=out, progress=False, executor=client)
            stop.set()
            thread.join()
        assert files_of(out) == want, out
        repeated += after_kills(log, moments)
        kills, run = kills + len(moments), run + 1
        print(f"run {run}: {len(moments)} kills, cells begun again: {len(again(log))}", flush=True)
    print(f"begun again, and of these already answered, a kill: {repeated}")
    check(f"{kills} kills of workers in {run} runs: every report the local one's; at most one cell again", max(repeated)[0] <= 1)


def kill_drivers(work):
    """20 kills of the process that evaluates; the cluster stays."""
    want, chance, log, out = run_alone(work / "alone", work / "log-alone"), random.Random(SEED), work / "log", work / "drivers"
    log.touch()
    with cluster() as client:
        moments = []
        for kill in range(KILLS + 1):
            before = len(begun(log))
            command = [sys.executable, __file__, "--drive", str(out), str(log), client.scheduler.address]
            process = subprocess.Popen(command)
            if kill == KILLS:
                assert process.wait(300) == 0
                break
            while len(begun(log)) == before and process.poll() is None:
                time.sleep(0.01)
            time.sleep(chance.uniform(0.0, 0.8))
            assert process.poll() is None, "the run ended before it was killed: make the moments earlier"
            moments.append(time.time())
            process.kill()
            process.wait()
    assert files_of(out) == want
    repeated = after_kills(log, moments)
    print(f"begun again, and of these already answered, a kill: {repeated}")
    check(f"{KILLS} kills of the evaluation: at most one cell again a worker, of two", max(repeated)[0] <= 2)


def drive(out, log, address):
    t0.evaluate(Slow(0.1, log), list(tasks_of(CELLS)), out=out, progress=False, executor=address)


# ---- cells that end their process -------------------------------------------------------------------------------------


def poison(work):
    tasks, bad = list(tasks_of(30)), [f"{k}: Row 0 of {n}." for n in (0, 1) for k in (0, 2, 4, 6, 8)]
    log, failed_at, fail = work / "log", {}, Cell.fail

    def noting(cell, error):
        failed_at[f"{cell.prompt[1:]}: Row 0 of {int(cell.task.name[5:])}."] = time.time()
        fail(cell, error)

    Cell.fail = noting
    poisons = {text: ("segmentation fault", "memory")[i % 2] for i, text in enumerate(bad)}
    with cluster(memory_limit="1GiB") as client:
        report = t0.evaluate(Slow(0.1, log, poisons), tasks, out=work / "out", progress=False, executor=client)
    Cell.fail = fail
    print("\n".join(sorted({cell["reason"] for cell in report.cells if cell["status"] == "failed"})))
    first = {}
    for when, what in begun(log):
        first.setdefault(what, when)
    seconds = {text: failed_at[text] - first[text] for text in failed_at}
    for ending in ("segmentation fault", "memory"):
        print(f"{ending}: seconds from begin to failed row", [round(seconds[text], 1) for text in bad if poisons[text] == ending])
    check(f"10 cells of 30 failed, and no other: {len(failed_at)}", sorted(failed_at) == sorted(bad))
    check(f"each within 5 s: at most {max(seconds.values()):.1f} s", max(seconds.values()) <= 5.0)


# ---- workers that are silent ------------------------------------------------------------------------------------------


def pause(work):
    want, log, out = run_alone(work / "alone", work / "log-alone"), work / "log", work / "out"
    with cluster() as client:
        pid = sorted(client.run(os.getpid).values())[0]

        def stop():
            time.sleep(2.0)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(PAUSE)
            os.kill(pid, signal.SIGCONT)

        thread = threading.Thread(target=stop)
        thread.start()
        began = time.monotonic()
        t0.evaluate(Slow(0.2, log), list(tasks_of(CELLS)), out=out, progress=False, executor=client)
        seconds = time.monotonic() - began
        thread.join()
    check(f"a worker stopped for {PAUSE:.0f} s: complete after {seconds:.0f} s, {len(again(log))} begun again", files_of(out) == want)


def cut_link(work):
    """The scheduler here, a worker in a namespace behind a pair of virtual links; the pair is down for 20 s."""
    from distributed import Client, LocalCluster

    want, log, out, name = run_alone(work / "alone", work / "log-alone"), work / "log", work / "out", f"t0d{os.getpid()}"
    ours, theirs, net = f"{name}a", f"{name}b", "10.213.77"

    def ip(*words):
        subprocess.run(["ip", *words], check=True)

    ip("netns", "add", name)
    try:
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("addr", "add", f"{net}.1/24", "dev", ours)
        ip("link", "set", ours, "up")
        for words in (("addr", "add", f"{net}.2/24", "dev", theirs), ("link", "set", theirs, "up"), ("link", "set", "lo", "up")):
            ip("-n", name, *words)
        with LocalCluster(n_workers=0, host=f"{net}.1", dashboard_address=":0", silence_logs="CRITICAL") as local, Client(local) as client:
            worker = (
                f"from distributed.cli.dask_worker import main; main(['{local.scheduler_address}', '--nthreads', '1', '--no-dashboard'])"
            )
            place = ["unshare", "-u", "sh", "-c", 'hostname far && exec "$@"', "-"]
            here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            far = [
                subprocess.Popen(
                    ["ip", "netns", "exec", name, *place, sys.executable, "-c", worker], stderr=subprocess.DEVNULL, cwd=work, env=here
                )
                for _ in range(2)
            ]
            client.wait_for_workers(2, timeout=60)
            cut = threading.Thread(
                target=lambda: (time.sleep(2), ip("link", "set", ours, "down"), time.sleep(PAUSE), ip("link", "set", ours, "up"))
            )
            cut.start()
            began = time.monotonic()
            t0.evaluate(Slow(0.2, log), list(tasks_of(CELLS)), out=out, progress=False, executor=client)
            seconds = time.monotonic() - began
            cut.join()
        for process in far:
            process.terminate()
            process.wait(20)
    finally:
        ip("netns", "del", name)
    check(f"the link cut for {PAUSE:.0f} s: complete after {seconds:.0f} s, {len(again(log))} begun again", files_of(out) == want)


# ---- speed ------------------------------------------------------------------------------------------------------------


def speed(work, pairs=7, rows=96):
    """Cells of a second and more of a model of T5-small's size: this process, one worker, two; each its own processor, one thread."""
    config = t0.Config(vocab_size=t0.mini.tokenizer().vocab_size, d_model=512, d_kv=64, d_ff=1024, num_layers=8, num_heads=6)
    t0.Model.init(config, t0.mini.tokenizer(), seed=0).save(work / "model")
    model = t0.Model.from_pretrained(work / "model", threads=1)
    words = [" ".join(random.Random(i).choices("Anna Ben tea milk likes drinks the a green old house".split(), k=60)) for i in range(rows)]
    data = [{"text": text, "label": i % 2} for i, text in enumerate(words)]
    prompts = [t0.Prompt(f"p{k}", f"{k}: {{{{ text }}}} ||| {{{{ answer_choices[label] }}}}", "no ||| yes") for k in range(8)]
    tasks, all_of_it = [t0.Task("task", data, prompts)], os.sched_getaffinity(0)
    first, second = sorted(all_of_it)[:2]

    def timed(executor):
        began, used = time.monotonic(), processor_seconds(executor)
        report = t0.evaluate(model, tasks, progress=False, executor=executor)
        return time.monotonic() - began, processor_seconds(executor) - used, [cell["value"] for cell in report.cells]

    found, values = {"alone": [], "one": [], "two": []}, []
    with cluster(1) as one, cluster(2) as two:
        for client, cores in ((one, [first]), (two, [first, second])):
            for pid, core in zip(sorted(client.run(os.getpid).values()), cores):
                os.sched_setaffinity(pid, {core})
            timed(client)
        for _ in range(pairs):
            for name, executor, cores in (("alone", None, {first}), ("one", one, all_of_it), ("two", two, all_of_it)):
                os.sched_setaffinity(0, cores)
                *seconds, value = timed(executor)
                found[name].append(seconds)
                values.append(value)
    assert all(value == values[0] for value in values)

    def ratio(above, below, k):
        return statistics.median(a[k] / b[k] for a, b in zip(found[above], found[below]))

    print({name: [f"{wall:.2f} s ({cpu:.2f} of a processor)" for wall, cpu in seconds] for name, seconds in found.items()})
    print(f"cells of {statistics.median(wall for wall, _ in found['alone']) / 8:.2f} s")
    print(
        f"one worker beside this process: {ratio('one', 'alone', 0) - 1:+.1%} of wall time, {ratio('one', 'alone', 1) - 1:+.1%} of processors'"
    )
    print(f"two workers: {ratio('one', 'two', 0):.2f} x one (children are started anew for each run)")


def processor_seconds(client):
    """Of this process, of a client's workers, and of the children of both that have ended: each run ends its own."""
    import psutil

    def of(pid):
        return sum(psutil.Process(pid).cpu_times()[:4])  # user, system, and both of children that have ended

    return of(os.getpid()) + (sum(map(of, client.run(os.getpid).values())) if client is not None else 0.0)


PARTS = {"speed": speed, "workers": kill_workers, "drivers": kill_drivers, "poison": poison, "pause": pause, "link": cut_link}

if __name__ == "__main__":
    if sys.argv[1:2] == ["--drive"]:
        drive(*sys.argv[2:])
        sys.exit()
    for name in sys.argv[1:] or PARTS:
        work = Path(tempfile.mkdtemp(prefix="t0native-dask-"))
        try:
            began = time.monotonic()
            PARTS[name](work)
            print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        finally:
            shutil.rmtree(work, ignore_errors=True)
