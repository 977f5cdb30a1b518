"""The studio under load, by HTTP: `python tests/load_studio.py [edits kills paint preview bombs]` does it at full size and prints what came
out; test_studio_server.py does it in small.

    edits     20 clients x 500 edits of shared prompts: every accepted one is a revision, none is lost
    kills     200 x kill -9 of the server while clients write: every accepted edit is there, the database is whole
    paint     the time of the overview with all of P3 imported (279 files, 2,085 prompts)
    preview   20 editors, each a preview after another
    bombs     10 clients send bombs while another edits: how long that one waits"""

import http.client
import json
import os
import random
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from studio_client import CHOICES, make_folder  # noqa: E402

FORM = {"jinja": CHOICES, "answer_choices": "false ||| true", "languages": "en"}
BOMBS = [
    "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}{{ n.x }}",
    "{{ 'a' * 199999 }}" * 50,
    "{{ 10 ** 99999 }}",
    "{% macro m(a) %}{{ m(a) }}{{ m(a) }}{% endmacro %}{{ m(1) }}",
    "{{ range(99999) | list | string | length }}" * 40,
    "{{ (range(99999) | list | sort(reverse=true))[0] }}" * 40,
    "{{ ('ab' * 90000).replace('a', 'ba') | length }}" * 60,
    "{{ ('ab,' * 60000).split(',') | unique | join | length }}" * 60,
    "{{ [[1] * 50000] * 50000 }}",
]


class Server:
    """A studio in a process of its own."""

    def __init__(self, folder, *options):
        command = [sys.executable, "-P", "-m", "t0native", "studio", "--data", str(folder), "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r"http://127\.0\.0\.\d:(\d+)", line).group(1))

    def stop(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        code = self.process.wait(20)
        self.process.stdout.close()
        return code


@contextmanager
def server(folder, *options):
    started = Server(folder, *options)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.stop()


class Client:
    def __init__(self, port):
        self.connection = self.connect(port)
        self.cookie, self.token = "", ""
        try:
            self.token = re.search(r'name="token" value="([^"]+)"', self.get("/")[1]).group(1)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def connect(port):
        return http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def _ask(self, method, path, body=None):
        headers = {"Cookie": self.cookie}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        self.connection.request(method, path, body, headers)
        with self.connection.getresponse() as answer:
            text = answer.read().decode()
        if set_cookie := answer.getheader("Set-Cookie"):
            self.cookie = set_cookie.partition(";")[0]
        return answer.status, text, answer.getheader("Location")

    def get(self, path):
        """A page; on a connection that was kept and has been closed since, asked again on a new one, as browsers do."""
        kept = self.connection.sock is not None
        try:
            return self._ask("GET", path)
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            if not kept:
                raise
            self.connection.close()
            return self._ask("GET", path)

    def post(self, path, **form):
        return self._ask("POST", path, urllib.parse.urlencode({"token": self.token, **form}))

    def close(self):
        self.connection.close()

    def new_prompts(self, count):
        status, _, place = self.post("/datasets", name="mine/first")
        assert status == 302
        dataset = place.rsplit("/", 1)[1]
        made = [self.post(f"/dataset/{dataset}/new", name=f"prompt {i}", save="1", **FORM) for i in range(count)]
        assert {status for status, _, _ in made} == {302}, made[0]
        return dataset, [int(place.rsplit("/", 1)[1]) for _, _, place in made]


def edit(client, prompt, name, reference):
    """One accepted edit: tried again after each conflict. How many conflicts there were."""
    base, conflicts = int(re.search(r'name="base" value="(\d+)"', client.get(f"/prompt/{prompt}/edit")[1]).group(1)), 0
    while True:
        status, text, _ = client.post(f"/prompt/{prompt}/edit", name=name, reference=reference, base=base, save="1", **FORM)
        if status == 302:
            return conflicts
        assert status == 409, (status, text[-600:])
        conflicts += 1
        base = int(re.search(r'name="base" value="(\d+)"', text).group(1))


def in_threads(count, work):
    """work(number) in `count` threads; the first error of one is raised."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def kept(folder):
    """The references of all revisions, after a check of the whole database."""
    db = sqlite3.connect(Path(folder, ".studio/prompts.sqlite"))
    try:
        assert db.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        gaps = db.execute(
            "SELECT count(*) FROM (SELECT prompt_id FROM revision GROUP BY prompt_id HAVING max(number) <> count(*))"
        ).fetchone()[0]
        behind = db.execute(
            "SELECT count(*) FROM prompt WHERE revision <> (SELECT max(number) FROM revision WHERE prompt_id = id)"
        ).fetchone()[0]
        assert gaps == 0 and behind == 0
        return [json.loads(content)["reference"] for (content,) in db.execute("SELECT content FROM revision WHERE number > 1")]
    finally:
        db.close()


def edits(folder, clients=20, turns=500, prompts=20):
    """(seconds, conflicts); AssertionError where an edit was lost."""
    with server(folder) as running:
        first = Client(running.port)
        _, numbers = first.new_prompts(prompts)
        first.close()
        conflicts = [0] * clients

        def write(who):
            client, chosen = Client(running.port), random.Random(who)
            for turn in range(turns):
                place = chosen.randrange(prompts)
                conflicts[who] += edit(client, numbers[place], f"prompt {place}", f"{who} {turn}")
            client.close()

        started = time.monotonic()
        in_threads(clients, write)
        seconds = time.monotonic() - started
    found = kept(folder)
    assert sorted(found) == sorted(f"{who} {turn}" for who in range(clients) for turn in range(turns)), "edits were lost, or counted twice"
    return seconds, sum(conflicts)


def kills(folder, count=200, clients=4):
    """How many edits were accepted; AssertionError where one is not there."""
    with server(folder) as running:
        first = Client(running.port)
        _, numbers = first.new_prompts(clients)
        first.close()
    accepted = set()
    for turn in range(count):
        running, begun = Server(folder), threading.Event()

        def write(who, port=running.port, turn=turn, begun=begun):
            client = None
            try:
                client = Client(port)
                for step in range(10_000):
                    reference = f"{turn} {who} {step}"
                    edit(client, numbers[who], f"prompt {who}", reference)
                    accepted.add(reference)
                    begun.set()
            except (OSError, http.client.HTTPException):
                pass  # the server has gone
            finally:
                if client is not None:
                    client.close()

        def kill(running=running, turn=turn, begun=begun):
            begun.wait(30)
            time.sleep(random.Random(turn).uniform(0, 0.4))
            running.stop()

        killer = threading.Thread(target=kill)
        killer.start()
        in_threads(clients, write)
        killer.join()
        missing = accepted - set(kept(folder))
        assert not missing, f"accepted and lost after kill {turn}: {sorted(missing)[:5]}"
    return len(accepted)


def paint(folder, times=100):
    """Milliseconds of the overview: the first one, then median and 95th percentile."""
    with server(folder) as running:
        client, taken = Client(running.port), []
        for _ in range(times):
            started = time.perf_counter()
            assert client.get("/")[0] == 200
            taken.append(1000 * (time.perf_counter() - started))
        client.close()
    return taken[0], statistics.median(taken), sorted(taken)[int(times * 0.95)]


def previews(folder, editors=20, each=50, pause=0.5):
    """Milliseconds of a preview, 20 people typing: median, 95th percentile, most."""
    taken = []
    with server(folder) as running:
        first = Client(running.port)
        dataset, _ = first.new_prompts(1)
        first.close()

        def type_on(who):
            client, chosen = Client(running.port), random.Random(who)
            for turn in range(each):
                time.sleep(chosen.uniform(0, 2 * pause))
                started = time.perf_counter()
                status, text, _ = client.post("/preview", dataset=dataset, name="p", **FORM | {"jinja": f"{turn} {CHOICES}"})
                taken.append(1000 * (time.perf_counter() - started))
                assert status in (200, 429) and ("Anna drinks" in text or status == 429)
            client.close()

        in_threads(editors, type_on)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)], taken[-1]


def bombs(folder, users, bombers=10, count=100):
    """Milliseconds that another one's preview takes meanwhile: median, most; every bomb is an error for its author."""
    names = [f"bomber{i}" for i in range(bombers)] + ["anna"]
    accounts = json.dumps({"users": dict.fromkeys(names, users)})
    Path(folder, "users.json").write_text(accounts)
    taken, done = [], threading.Event()
    with server(folder, "--users", str(Path(folder, "users.json"))) as running:
        clients = [_entered(running.port, name) for name in names]
        dataset, _ = clients[-1].new_prompts(1)

        def work(who):
            client = clients[who]
            if who == bombers:
                while not done.is_set():
                    time.sleep(0.05)
                    started = time.perf_counter()
                    status, text, _ = client.post("/preview", dataset=dataset, name="p", **FORM)
                    taken.append(1000 * (time.perf_counter() - started))
                    assert status == 200 and text.count("True or false") == 5, text[:500]
                return
            try:
                for turn in range(count // bombers):
                    status, text, _ = client.post(
                        "/preview", dataset=dataset, name="p", **FORM | {"jinja": BOMBS[(who + turn) % len(BOMBS)] + " ||| a"}
                    )
                    assert status in (200, 429) and 'class="error"' in text or status == 429, (
                        BOMBS[(who + turn) % len(BOMBS)],
                        status,
                        text[:300],
                    )
            finally:
                left.discard(who)
                if not left:
                    done.set()

        left = set(range(bombers))
        in_threads(bombers + 1, work)
        for client in clients:
            client.close()
    return statistics.median(taken), max(taken), len(taken)


def _entered(port, name):
    client = Client.__new__(Client)
    client.connection, client.cookie = Client.connect(port), ""
    for _ in range(2):  # the form, and after it the token of the session
        client.token = re.search(r'name="token" value="([^"]+)"', client.get("/login" if not client.cookie else "/")[1]).group(1)
        if _ == 0:
            assert client.post("/login", name=name, password="a good long one")[0] == 302
    return client


def main():
    import importlib.util

    from t0native.studio.accounts import Accounts
    from t0native.studio.exchange import import_folder
    from t0native.studio.store import Store

    asked = sys.argv[1:] or ["edits", "kills", "paint", "preview", "bombs"]
    with tempfile.TemporaryDirectory() as home:
        for what in asked:
            folder = make_folder(Path(home, what))
            if what == "edits":
                seconds, conflicts = edits(folder)
                print(f"20 clients x 500 edits: {seconds:.0f} s, {10_000 / seconds:.0f} edits/s, {conflicts} conflicts, none lost")
            elif what == "kills":
                print(f"200 x kill -9: {kills(folder)} accepted edits, none lost, database whole")
            elif what == "paint":
                (folder / ".studio").mkdir()
                store = Store(folder / ".studio/prompts.sqlite")
                place = Path(importlib.util.find_spec("promptsource").submodule_search_locations[0], "templates")
                print("imported:", import_folder(store, place, "p3"))
                store.close()
                print("overview with P3: first {:.0f} ms, median {:.0f} ms, 95 % {:.0f} ms".format(*paint(folder)))
            elif what == "preview":
                print("previews, 20 editors: median {:.0f} ms, 95 % {:.0f} ms, most {:.0f} ms".format(*previews(folder)))
            elif what == "bombs":
                Accounts(folder / "one.json").add("anna", "a good long one", "writer")
                print(
                    "100 bombs from 10 clients; another's preview: median {:.0f} ms, most {:.0f} ms of {}".format(
                        *bombs(folder, json.loads((folder / "one.json").read_text())["users"]["anna"])
                    )
                )
            sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONPATH", str(Path(__file__).parent.parent))
    main()
