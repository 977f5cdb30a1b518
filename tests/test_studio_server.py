"""`t0native studio` as it is started: a server of its own, several clients at once, kill -9 between two edits."""

import http.client
import io
import json
import signal
import socket
from types import SimpleNamespace

import pytest
from attack_studio import attack_names, attack_uploads
from conftest import needed
from load_studio import Client, edits, kills, server
from studio_client import make_folder

needed("flask", "pip install '.[studio]'", module_level=True)
needed("waitress", "pip install '.[studio]'", module_level=True)

from t0native.base.interrupts import Terminated  # noqa: E402
from t0native.cli.main import main  # noqa: E402
from t0native.studio.accounts import Accounts  # noqa: E402


def test_edits_at_once_are_all_kept(tmp_path):
    _, conflicts = edits(make_folder(tmp_path / "d"), clients=5, turns=5, prompts=1)
    assert conflicts > 0, "the clients never met"


def test_accepted_edits_outlive_kill_9(tmp_path):
    assert kills(make_folder(tmp_path / "d"), count=1, clients=2) > 0


def test_hostile_names_and_broken_files_change_nothing(tmp_path):
    assert set(attack_names(make_folder(tmp_path / "d"), count=4)) <= {302, 400}
    (tmp_path / "e").mkdir()
    assert 400 in attack_uploads(make_folder(tmp_path / "e/d"), count=6)


def test_base_path_and_read_only(tmp_path):
    with server(make_folder(tmp_path / "d"), "--base-path", "/studio", "--read-only") as running:
        client = Client.__new__(Client)
        client.connection, client.cookie, client.token = Client.connect(running.port), "", ""
        status, text, _ = client.get("/studio/dataset/1")
        assert status == 200 and 'href="/studio/static/studio.css' in text and "Read-only" in text
        assert client.get("/elsewhere")[0] == 404
        client.close()
        assert running.stop(signal.SIGINT) == 0


def test_the_address_that_is_printed_can_be_opened(tmp_path):
    """127.0.0.2 stands for a machine's address in a network: it is none of the loopback names that are always trusted."""
    with server(make_folder(tmp_path / "d"), "--listen", "127.0.0.2") as running:
        for host, status in {f"127.0.0.2:{running.port}": 200, "192.0.2.7": 400}.items():
            connection = http.client.HTTPConnection("127.0.0.2", running.port, timeout=60)
            connection.request("GET", "/", headers={"Host": host})
            assert connection.getresponse().status == status
            connection.close()


def test_who_listens_everywhere_hears_what_others_need(tmp_path, capsys, monkeypatch):
    import t0native.studio.server as serving

    monkeypatch.setattr(serving.waitress, "create_server", lambda *args, sockets, **options: SimpleNamespace(run=sockets[0].close))
    Accounts(tmp_path / "users.json").add("anna", "a good long one", "writer")
    said = {}
    for hosts in ((), ("192.0.2.7",)):
        serving.serve(tmp_path, port=0, listen="0.0.0.0", users=tmp_path / "users.json", hosts=hosts)
        said[hosts] = capsys.readouterr().out
    assert "http://127.0.0.1:" in said[()] and "other machines are refused until --host-name says" in said[()]
    assert "http://192.0.2.7:" in said["192.0.2.7",] and "refused" not in said["192.0.2.7",]


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), Terminated(signal.SIGTERM)])
def test_a_signal_before_the_server_runs_is_a_good_end_too(tmp_path, capsys, monkeypatch, ended):
    import t0native.studio.server as serving

    def run(sockets):
        sockets[0].close()
        raise ended

    monkeypatch.setattr(serving.waitress, "create_server", lambda *args, sockets, **options: SimpleNamespace(run=lambda: run(sockets)))
    assert main(["studio", "--data", str(tmp_path), "--port", "0"]) == 0 and capsys.readouterr().out.startswith("prompt studio: http://")


@pytest.mark.parametrize("options, told", [
    ([], "--data DIR says where rows are"),
    (["--data", "{}/none"], "no such folder"),
    (["--data", "{}", "--port", "70000"], "--port 70000: must be a whole number from 0 to 65535"),
    (["--data", "{}", "--base-path", "studio/"], "must be as in /studio"),
    (["--data", "{}", "--listen", "0.0.0.0"], "give --users FILE too"),
    (["--data", "{}", "--users", "{}/users.json"], "no users in it"),
    (["--data", "{}", "--users", "{}/broken.json"], "no file of users"),
    (["--data", "{}", "--model", "{}/none"], "no such folder"),
    (["adduser", "anna"], "--users FILE"),
    (["adduser"], "adduser whom? as in t0native studio adduser anna"),
    (["adduser", "a/b", "--users", "{}/users.json"], "user name 'a/b'"),
    (["adduser", "anna", "--users", "{}/users.json", "--role", "king"], "role 'king'"),
    (["import", "{}", "--data", "{}/"], "no templates.yaml below it"),
])  # fmt: skip
def test_what_is_wrong_is_told_in_one_line(tmp_path, capsys, monkeypatch, options, told):
    (tmp_path / "broken.json").write_text('{"users": {"anna": {"role": "writer", "scrypt": "x"}}}')
    monkeypatch.setattr("sys.stdin", io.StringIO("a good long one\n"))
    assert main(["studio", *(option.format(tmp_path) for option in options)]) == 2
    said = capsys.readouterr().err
    assert told in said and said.count("\n") == 1


def test_a_port_that_is_taken_is_told(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["studio", "--data", str(tmp_path), "--port", str(taken.getsockname()[1])]) == 2
    assert "choose another --port" in capsys.readouterr().err


def test_users_import_and_export_by_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a good long one\nshort\n"))
    users = tmp_path / "users.json"
    assert main(["studio", "adduser", "anna", "--users", str(users), "--role", "reviewer"]) == 0
    assert users.stat().st_mode & 0o777 == 0o600 and "good" not in users.read_text()
    assert Accounts(users).enter("anna", "a good long one").may_review
    assert main(["studio", "adduser", "ben", "--users", str(users)]) == 2 and list(json.loads(users.read_text())["users"]) == ["anna"]
    import t0native

    prompts = str(t0native.__path__[0]) + "/mini/heldout/prompts"
    capsys.readouterr()
    assert main(["studio", "import", prompts, "--data", str(tmp_path)]) == 0 and capsys.readouterr().out.startswith(
        "5 files: 60 new prompts"
    )
    assert main(["studio", "export", str(tmp_path / "out"), "--data", str(tmp_path)]) == 0
    assert (tmp_path / "out/inference/templates.yaml").exists()
    capsys.readouterr()
    assert main(["studio", "export", str(tmp_path / "done"), "--data", str(tmp_path), "--accepted"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/done: 0 files: no prompt is accepted yet\n"
