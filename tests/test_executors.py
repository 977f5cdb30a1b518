"""Evaluations whose cells others answer: executors of Python's kind here; Dask, where it is installed, at the end (at size: dask_at_size.py)."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import needed
from slow_model import Slow, begun, files_of, tasks_of

import t0native as t0
from t0native.base.executors import SMALL, Pool, opened, parse_executor
from t0native.base.files import write_bytes
from t0native.evaluation import workers
from t0native.evaluation.workers import Reply, answer_call, end_children
from t0native.models import sharing
from t0native.models.sharing import SharedModel

HERE = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(t0.__file__).parents[1]), str(Path(__file__).parent)])}


@pytest.fixture(autouse=True)
def no_child_is_left():
    yield
    end_children()


def tasks():
    return t0.mini.held_out_tasks()[:2]


def test_a_pool_of_processes_gives_the_bytes_of_one(tmp_path):
    model = t0.Model.mini()
    t0.evaluate(model, tasks(), out=tmp_path / "alone", limit=6, progress=False, write_examples=True)
    with ThreadPoolExecutor(2) as two:
        t0.evaluate(model, tasks(), out=tmp_path / "two", limit=6, progress=False, write_examples=True, executor=two)
    assert files_of(tmp_path / "two") == files_of(tmp_path / "alone")
    names = [{path.relative_to(out): path.read_bytes() for path in out.rglob("*.jsonl")} for out in (tmp_path / "alone", tmp_path / "two")]
    assert names[0] == names[1] and len(names[0]) > 20


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8"])
def test_a_model_that_is_shared_has_the_same_bits_and_one_file(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    question = ("Does Anna drink tea?", ["Yes", "No"])
    t0.mini.new_model(3).save(tmp_path / "m")
    for model in (t0.Model.from_pretrained(tmp_path / "m", dtype), t0.mini.new_model(3).to(dtype)):
        again = pickle.loads(pickle.dumps(SharedModel(model)))
        assert again.rank(*question).scores.tolist() == model.rank(*question).scores.tolist()
    assert len(list(tmp_path.glob(f"t0native-{os.getuid()}/*.block"))) == 1


def test_a_shared_model_whose_files_hold_other_weights_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    t0.mini.new_model(4).save(tmp_path / "m")
    data = pickle.dumps(SharedModel(t0.Model.from_pretrained(tmp_path / "m")))
    os.utime(tmp_path / "m" / "model.safetensors", ns=(5, 5))  # as a copy on another host
    pickle.loads(data)
    end_children(), __import__("t0native.models.sharing").models.sharing.leave_shared()
    t0.mini.new_model(5).save(tmp_path / "m")
    with pytest.raises(t0.FormatError, match="other weights"):
        pickle.loads(data)


def test_a_block_that_another_process_removes_at_once_is_written_again(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    written = []

    def write(path, block):
        written.append(path)
        write_bytes(path, block)
        if len(written) == 1:
            sharing.remove_unused()  # as one does that leaves

    monkeypatch.setattr(sharing, "write_bytes", write)
    model = t0.mini.new_model(3).to("float32")
    again = pickle.loads(pickle.dumps(SharedModel(model)))
    assert len(written) == 2 and again.rank("Tea?", ["Yes", "No"]).scores.tolist() == model.rank("Tea?", ["Yes", "No"]).scores.tolist()


def test_what_a_killed_process_left_of_a_block_goes_and_what_is_being_made_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    places = [sharing._folder() / name for name in (".a.block.7.tmp", "a.making", ".b.block.8.tmp", "b.making")]
    for place in places:
        place.write_bytes(b"half")
    with sharing._turn(sharing._folder() / "b.block"):
        sharing.remove_unused()
        assert [place.exists() for place in places] == [False, False, True, True]


def test_kernels_that_a_host_lacks_are_told(monkeypatch):
    data = pickle.dumps(SharedModel(t0.Model.mini()))
    monkeypatch.setattr("t0native.models.sharing.available", lambda: ["portable"])
    if t0.Model.mini().core.kernels != "portable":
        with pytest.raises(t0.ConfigError, match="no kernels .*T0NATIVE_KERNELS"):
            pickle.loads(data)


def test_a_cell_that_ends_its_process_fails_and_no_other(tmp_path):
    bad = {"2: Row 0 of 0.": "segmentation fault"}
    began = time.monotonic()
    with ThreadPoolExecutor(2) as two:
        report = t0.evaluate(Slow(0.0, tmp_path / "log", bad), next(tasks_of(10)), progress=False, executor=two)
    failed = [cell for cell in report.cells if cell["status"] == "failed"]
    assert [cell["prompt"] for cell in failed] == ["p2"] and "was ended by SIGSEGV" in failed[0]["reason"]
    assert [what for _, what in begun(tmp_path / "log")].count("2: Row 0 of 0.") == 2  # what ended the first may have been another's fault
    assert time.monotonic() - began < 30


def test_cells_that_share_inputs_are_asked_apart_once_they_are_lost(tmp_path):
    prompts = [
        t0.Prompt(f"p{k}", "{{ text }} ||| {{ answer_choices[label] }}", choices) for k, choices in enumerate(["no ||| yes", "0 ||| 1"])
    ]
    task = t0.Task("twins", [{"text": "poison", "label": 1}, {"text": "water", "label": 0}], prompts)
    with ThreadPoolExecutor(1) as one:
        report = t0.evaluate(Slow(0.0, tmp_path / "log", {"poison": "segmentation fault"}), task, progress=False, executor=one)
    assert [cell["status"] for cell in report.cells] == ["failed", "failed"]
    assert len(begun(tmp_path / "log")) == 5  # together, and each twice


class Refusing(Slow):
    def rank(self, inputs, choices, **options):
        if any("Row 3" in text for text in inputs):
            raise t0.DataError("no row 3")
        return super().rank(inputs, choices, **options)


def test_a_row_that_the_model_refuses_is_dropped_alone_as_here(tmp_path):
    (task,) = tasks_of(10)
    reports = []
    with ThreadPoolExecutor(2) as two:
        for executor in (None, two):
            reports.append(t0.evaluate(Refusing(0.0, tmp_path / "log"), task, progress=False, executor=executor))
    assert reports[0].cells == reports[1].cells and reports[0].cells[0]["dropped"] == 1
    assert "DataError: no row 3" in reports[1].cells[0]["reason"]


class Interrupting(ThreadPoolExecutor):
    """Interrupts the main thread once so many calls were made."""

    left = 8

    def submit(self, *arguments):
        self.left -= 1
        if not self.left:
            threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGINT]).start()
        return super().submit(*arguments)


def test_ctrl_c_tells_what_is_kept_and_the_next_goes_on(tmp_path):
    model = Slow(0.2, tmp_path / "log")
    with Interrupting(2) as two, pytest.raises(KeyboardInterrupt) as error:
        t0.evaluate(model, list(tasks_of(20)), out=tmp_path / "run", progress=False, executor=two)
    assert "of 20 cells are kept in" in error.value.told and "goes on from there" in error.value.told
    before = len({what for _, what in begun(tmp_path / "log")})
    model.seconds = 0.0
    with ThreadPoolExecutor(2) as two:
        t0.evaluate(model, list(tasks_of(20)), out=tmp_path / "run", progress=False, executor=two)
    assert 4 <= before < 20 and len(begun(tmp_path / "log")) <= 20 + 2
    t0.evaluate(Slow(0.0, tmp_path / "log2"), list(tasks_of(20)), out=tmp_path / "alone", progress=False)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "alone")


def test_answers_of_a_long_cell_are_noted_and_gone_on_from(tmp_path, monkeypatch):
    """A cell of several calls: what was answered before the interruption is not asked again."""
    monkeypatch.setattr("t0native.evaluation.cellpart.EVERY", 0.0)
    monkeypatch.setattr("t0native.evaluation.answering.FIRST", 2)
    monkeypatch.setattr("t0native.evaluation.answering.SHORT", 0.0)
    (task,), model = tasks_of(10, rows=20), Slow(0.05, tmp_path / "log")
    task.prompts = {"p0": task.prompts["p0"]}

    class Soon(Interrupting):
        left = 5

    with Soon(1) as one, pytest.raises(KeyboardInterrupt) as error:
        t0.evaluate(model, task, out=tmp_path / "run", progress=False, executor=one)
    assert "answers of the next" in error.value.told
    with ThreadPoolExecutor(1) as one:
        t0.evaluate(model, task, out=tmp_path / "run", progress=False, executor=one)
    assert len(begun(tmp_path / "log")) <= 11  # of ten calls
    t0.evaluate(Slow(0.0, tmp_path / "log2"), task, out=tmp_path / "alone", progress=False)
    assert files_of(tmp_path / "run") == files_of(tmp_path / "alone")


def test_a_worker_of_another_version_is_refused_by_name():
    with opened(ThreadPoolExecutor(1)) as pool:
        reply = pool.submit(answer_call, "0.0.1", "name", b"", 1, b"").result()
    assert isinstance(reply, Reply) and reply.kind == "refused" and "0.0.1" in reply.value


def test_a_model_that_cannot_be_opened_there_ends_the_evaluation_with_the_reason(tmp_path):
    t0.mini.new_model(6).save(tmp_path / "m")
    model = t0.Model.from_pretrained(tmp_path / "m")

    class Moving(ThreadPoolExecutor):
        def submit(self, *arguments):
            (tmp_path / "m").rename(tmp_path / "n") if (tmp_path / "m").exists() else None
            return super().submit(*arguments)

    with Moving(1) as one, pytest.raises(t0.ConfigError, match="executor: worker process .*FileNotFoundError"):
        t0.evaluate(model, tasks()[0], progress=False, executor=one, limit=2)


@pytest.mark.parametrize("wrong", ["local", "local:0", "local:999", "10.0.0.1:8786", "http://x"])
def test_what_is_no_executor_is_told(wrong):
    with pytest.raises(t0.ConfigError, match="tcp://HOST:PORT of a Dask scheduler, or local:N"):
        parse_executor(wrong)
    with pytest.raises(t0.ConfigError, match="must have submit"):
        t0.evaluate(t0.Model.mini(), tasks(), executor=3)


def test_a_model_without_files_goes_to_other_processes_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = t0.mini.new_model(3)
    with ThreadPoolExecutor(1) as one:
        reports = [t0.evaluate(model, tasks()[0], progress=False, executor=executor, limit=2) for executor in (None, one)]
    assert reports[0].cells == reports[1].cells and not list(tmp_path.glob("t0native-*-*"))


def test_a_model_for_which_there_is_no_room_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))  # which Python meets as an OSError
    try:
        with pytest.raises(OSError):
            Pool(None).carry("model", bytes(SMALL + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_model_that_does_not_pickle_is_told():
    model = Slow(0.0, "log")
    model.lock = threading.Lock()
    with ProcessPoolExecutor(1) as one, pytest.raises(t0.ConfigError, match="the model cannot be sent to other processes: TypeError"):
        t0.evaluate(model, tasks(), executor=one, progress=False)


# ---- Dask -------------------------------------------------------------------------------------------------------------

HOW = "pip install dask distributed"
EVALUATION = """
import sys
import t0native as t0
from slow_model import Slow, tasks_of
if __name__ == "__main__":
    out, log, where = sys.argv[1:]
    t0.evaluate(Slow(0.1, log), list(tasks_of(30)), out=out, progress=False, executor=where)
"""


@pytest.fixture(scope="module")
def cluster():
    distributed = needed("distributed", HOW)
    local = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL")
    client = distributed.Client(local, set_as_default=False)
    yield client
    for thing in (client, local):
        try:
            thing.close(timeout=10)
        except Exception as error:  # workers were killed
            print(error)


def test_workers_of_a_cluster_may_be_killed(cluster, tmp_path):
    log = tmp_path / "log"
    log.touch()

    def kill():
        while len(begun(log)) < 8:
            time.sleep(0.01)
        os.kill(min(cluster.run(os.getpid).values()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    t0.evaluate(Slow(0.1, log), list(tasks_of(30)), out=tmp_path / "dask", progress=False, executor=cluster)
    thread.join()
    t0.evaluate(Slow(0.0, tmp_path / "log2"), list(tasks_of(30)), out=tmp_path / "alone", progress=False)
    assert files_of(tmp_path / "dask") == files_of(tmp_path / "alone")
    assert 30 <= len(begun(log)) <= 31


def test_a_scheduler_that_ends_ends_the_evaluation_and_what_is_finished_is_kept(tmp_path):
    distributed, log = needed("distributed", HOW), tmp_path / "log"
    log.touch()
    place = tmp_path / "scheduler.json"
    program = "import sys; from distributed.cli.dask_scheduler import main; main(sys.argv[1:])"
    scheduler = subprocess.Popen(
        [sys.executable, "-c", program, "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", place],
        env=HERE,
        cwd=tmp_path,
    )
    program = program.replace("scheduler", "worker")
    while not place.exists():
        time.sleep(0.05)
    options = ["--scheduler-file", place, "--nthreads", "1", "--no-dashboard", "--no-nanny", "--death-timeout", "5"]
    worker = subprocess.Popen([sys.executable, "-c", program, *options], env=HERE, cwd=tmp_path)

    def kill():
        while len(begun(log)) < 4:
            time.sleep(0.01)
        scheduler.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    soon = needed("dask", HOW).config.set({"distributed.comm.timeouts.connect": "2s"})  # that it looks for the scheduler again
    with soon, distributed.Client(scheduler_file=str(place), set_as_default=False) as client, pytest.raises(OSError, match="the scheduler"):
        t0.evaluate(Slow(0.1, log), list(tasks_of(30)), out=tmp_path / "out", progress=False, executor=client)
    thread.join()
    scheduler.wait(), worker.terminate(), worker.wait()
    assert len(list((tmp_path / "out" / "examples").glob("*.jsonl"))) >= 3


def test_an_evaluation_on_a_cluster_may_be_killed(cluster, tmp_path):
    (tmp_path / "run.py").write_text(EVALUATION)
    log, out = tmp_path / "log", tmp_path / "dask"
    log.touch()
    command = [sys.executable, "-P", tmp_path / "run.py", out, log, cluster.scheduler.address]
    process = subprocess.Popen(command, env=HERE, cwd=tmp_path)
    while len(begun(log)) < 8:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert subprocess.run(command, env=HERE, cwd=tmp_path).returncode == 0
    t0.evaluate(Slow(0.0, tmp_path / "log2"), list(tasks_of(30)), out=tmp_path / "alone", progress=False)
    assert files_of(out) == files_of(tmp_path / "alone")
    assert 30 <= len(begun(log)) <= 32


def test_a_cluster_evaluates_and_caches_as_one_process_does(cluster, tmp_path):
    model = t0.Model.mini()
    reports = [t0.evaluate(model, tasks()[:1], limit=6, progress=False, executor=executor) for executor in (None, cluster)]
    assert reports[0].cells == reports[1].cells
    assert set(cluster.run(lambda: len(workers._idle)).values()) == {0}  # no model is held once it is not needed
    caches = [
        t0.cache_prompts(tasks()[0], tmp_path / name, shard_rows=100, executor=executor) for name, executor in (("a", None), ("b", cluster))
    ]
    files = [{path.name: path.read_bytes() for path in cache.path.rglob("*.json*")} for cache in caches]
    assert files[0] == files[1] and caches[0].shards > 3


def test_the_command_starts_its_own_processes(cluster, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "Tea.", "label": 1}\n{"text": "Rain.", "label": 0}\n')
    model = Path(t0.__file__).parent / "mini" / "baselines" / "all-prompts"
    commands = [
        ["prompt", "new", "mine", "--data", "rows.jsonl"],
        ["evaluate", "--model", model, "--prompts", "templates", "--data", "rows.jsonl"],
    ]
    commands += [[*commands[1], "--dask", "local:1"]]
    told = [
        subprocess.run([sys.executable, "-P", "-m", "t0native", *words], env=HERE, capture_output=True, text=True, cwd=tmp_path)
        for words in commands
    ]
    assert [run.returncode for run in told] == [0, 0, 0], told[2].stderr
    assert told[1].stdout == told[2].stdout and "mine" in told[1].stdout


def test_ctrl_c_is_not_for_workers_of_its_own():
    needed("distributed", HOW)
    with opened("local:1") as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result(timeout=30) == signal.SIG_IGN


@pytest.mark.parametrize("where", ["tcp://127.0.0.1:9", "tcp://localhost", "tcp://localhost:port", "tls://127.0.0.1:9"])
def test_a_scheduler_that_is_not_there_is_told(monkeypatch, where):
    needed("distributed", HOW)
    monkeypatch.setattr("t0native.base.executors.ANSWERING", 0.5)
    with pytest.raises(t0.ConfigError, match="no Dask scheduler answers there"):
        t0.evaluate(t0.Model.mini(), tasks(), executor=where)
