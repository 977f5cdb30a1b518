"""One process at a time writes into a folder, also where the file system has no locks: then a file says who."""

import errno
import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import t0native as t0
from t0native.base import locks
from t0native.base.locks import FolderLock

WAITING = """
import errno, fcntl, sys
def refuse(*arguments):
    raise OSError(errno.ENOLCK, "No locks available")
fcntl.flock = refuse
from t0native.base.locks import FolderLock
lock = FolderLock(sys.argv[1], "is training")
print("held", flush=True)
sys.stdin.read()
lock.release()
"""


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def other(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(Path(t0.__file__).parent.parent)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-P", "-c", WAITING, str(tmp_path)], env=environment, **pipes)
    assert process.stdout.readline() == "held\n"
    yield process
    process.communicate()


def refused(folder):
    with pytest.raises(t0.ConfigError) as caught:
        FolderLock(folder, "is training")
    return str(caught.value)


def test_a_second_process_is_refused_until_the_first_has_ended(tmp_path, no_locks, other):
    told = refused(tmp_path)
    assert told.startswith(f"{tmp_path}: another process is training there, which {tmp_path}/.lock says of ")
    assert f" {other.pid} " in told and told.endswith("where it has ended without removing that file, remove it and .lock.taken")
    other.communicate()
    assert not (tmp_path / ".lock").exists()
    FolderLock(tmp_path, "is training").release()
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_a_killed_process_is_taken_over(tmp_path, no_locks, other):
    other.kill()
    other.wait()
    lock = FolderLock(tmp_path, "is training")
    assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    assert str(os.getpid()) in refused(tmp_path), "the same process holds it once"
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_another_process_has_now_is_no_holder(tmp_path, no_locks):
    host, number, born = locks.socket.gethostname(), os.getpid(), locks._born(os.getpid())
    (tmp_path / ".lock").write_text(f"{host} {number} {int(born) - 1}")
    FolderLock(tmp_path, "is training").release()
    for holder in (f"{host} {number} {born}", f"another-{host} 1 1", "", "\x1b[2J" * 100):
        (tmp_path / ".lock").write_text(holder)
        told = refused(tmp_path)
        assert "\x1b" not in told and len(told) < 500
        assert (tmp_path / ".lock").read_text() == holder, "a lock that may be held stays"


def test_of_many_that_take_over_one_wins(tmp_path, no_locks):
    for _ in range(20):
        (tmp_path / ".lock").write_text(f"{locks.socket.gethostname()} 4194399 1")
        held, start = [], threading.Barrier(8)

        def take(start=start, held=held):
            start.wait()
            try:
                held.append(FolderLock(tmp_path, "is training"))
            except t0.ConfigError:
                pass

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(held) == 1
        held[0].release()


def test_a_training_without_locks_is_one_at_a_time(tmp_path, no_locks, other):
    model, mixture = t0.mini.new_model(0), t0.mini.training_tasks(["values"])
    options = {"steps": 1, "batch_size": 2, "progress": False, "out": tmp_path}
    with pytest.raises(t0.ConfigError, match="another process is training there"):
        t0.train(model, mixture, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock"]
    other.communicate()
    t0.train(model, mixture, **options)
    assert not (tmp_path / ".lock").exists() and (tmp_path / "model.safetensors").exists()
