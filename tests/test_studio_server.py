"""`t0native studio` as it is started: a server of its own, several clients at once, kill -9 between two edits."""

import io
import json
import signal
import socket

import pytest
from attack_studio import attack_names, attack_uploads
from conftest import needed
from load_studio import Client, edits, kills, server
from studio_client import make_folder

needed("flask", "pip install '.[studio]'", module_level=True)
needed("waitress", "pip install '.[studio]'", module_level=True)

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
