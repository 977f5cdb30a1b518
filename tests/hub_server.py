"""The Hugging Face hub on loopback, as far as huggingface_hub's HfApi.model_info, hf_hub_download and snapshot_download ask for it.

    GET  /api/models/{id}  and  /api/models/{id}/revision/{revision}       what the model is: sha, siblings
    GET  /api/models/{id}/tree/{revision}                                  its files: path, size, oid, and lfs where they are large
    HEAD /{id}/resolve/{revision}/{file}                                   ETag, X-Repo-Commit, sizes; large files are sent on:
    GET  /cdn/{sha256}  and  /{id}/resolve/{revision}/{file}               bytes, with Range from where the client stopped

Errors as the hub gives them: 401 RepoNotFound for what is missing or private, 403 GatedRepo for files of gated models (their listing
is public), 404 RevisionNotFound and EntryNotFound, 401 for a token that it does not know. The files of `breaks` stop half-way."""

import hashlib
import json
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

TOKEN = "hf_abcdefghijklmnop"
LARGE = (".safetensors", ".bin", ".model")  # kept outside the repository, as git-lfs does


@dataclass
class Repository:
    revisions: dict  # {name of a branch or tag: {file: bytes}}
    private: bool = False
    gated: bool = False

    def commit(self, revision):
        """The commit of a name or a commit; None where there is none."""
        commits = {name: _commit(files) for name, files in self.revisions.items()}
        return commits.get(revision, revision if revision in commits.values() else None)

    def files(self, commit):
        return next(files for files in self.revisions.values() if _commit(files) == commit)


@dataclass
class Hub:
    """repositories: {"owner/name": Repository}.  asked: (method, file, first byte) of each request for a file.  listed: names of
    models whose listing was asked for.  breaks: {file: "drop" (once, half-way), "hang" (half-way), 500 (always)}."""

    url: str = ""
    repositories: dict = field(default_factory=dict)
    asked: list = field(default_factory=list)
    listed: list = field(default_factory=list)
    breaks: dict = field(default_factory=dict)
    hanging: Event = field(default_factory=Event)  # a request has come half-way and goes no further
    ended: Event = field(default_factory=Event)

    def add(self, name, files, revision="main", **options):
        self.repositories.setdefault(name, Repository({}, **options)).revisions[revision] = dict(files)

    def fetched(self):
        """Names of the files whose bytes were asked for."""
        return sorted({file for method, file, _ in self.asked if method == "GET"})


@contextmanager
def serving():
    """A Hub that answers at its url."""
    hub = Hub()
    handler = type("OfThisHub", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        hub.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub = None

    def log_message(self, *unused):
        pass

    def do_HEAD(self):
        self._answer()

    def do_GET(self):
        self._answer()

    def _answer(self):
        path = urlsplit(self.path).path  # a revision may hold "/", as refs/pr/1 does, quoted
        if listing := re.fullmatch(r"/api/models/([^/]+(?:/[^/]+)?)(?:/(revision|tree)/([^/]+))?", path):
            return self._list(listing[1], listing[2], unquote(listing[3] or "main"))
        if large := re.fullmatch(r"/cdn/(.+)/([0-9a-f]{64})/(.+)", path):
            return self._send_file(unquote(large[3]), self._content(large[1], large[2], unquote(large[3])))
        file = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        return self._resolve(*map(unquote, file.groups())) if file else self._refuse(404, "EntryNotFound")

    def _open(self, name, revision, of_file):
        """(repository, commit) where the caller may have it; else the refusal is sent, and None."""
        token, repository = self.headers.get("Authorization"), self.hub.repositories.get(name)
        if token not in (None, f"Bearer {TOKEN}"):
            return self._refuse(401, None, "Invalid credentials in Authorization header")
        if repository is None or (repository.private and token is None):
            return self._refuse(404 if repository is None and token else 401, "RepoNotFound", "Invalid username or password.")
        if repository.gated and of_file and token is None:
            return self._refuse(401, "GatedRepo", f"Access to model {name} is restricted.")
        commit = repository.commit(revision)
        return (repository, commit) if commit else self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")

    def _list(self, name, what, revision):
        self.hub.listed.append(name)
        if found := self._open(name, revision, False):
            repository, commit = found
            files = repository.files(commit)
            if what == "tree":
                return self._send_json([_entry(file, content) for file, content in files.items()])
            return self._send_json({"id": name, "sha": commit, "siblings": [{"rfilename": file} for file in files]})

    def _resolve(self, name, revision, file):
        if not (found := self._open(name, revision, True)):
            return
        repository, commit = found
        content = repository.files(commit).get(file)
        if content is None:
            return self._refuse(404, "EntryNotFound", "Entry not found", commit)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{_blob(content)}"'}
        if file.endswith(LARGE):
            sha = hashlib.sha256(content).hexdigest()
            elsewhere = self.hub.url.replace("127.0.0.1", "localhost")  # the client follows no further than to another host
            location = f"{elsewhere}/cdn/{name}/{sha}/{file}"
            return self._send(302, b"", headers | {"Location": location, "X-Linked-ETag": f'"{sha}"', "X-Linked-Size": str(len(content))})
        self._send_file(file, content, headers)

    def _content(self, name, sha, file):
        contents = (files.get(file) for files in self.hub.repositories[name].revisions.values())
        return next(content for content in contents if content is not None and hashlib.sha256(content).hexdigest() == sha)

    def _send_file(self, file, content, headers=None):
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(asked[1]) if asked else 0
        self.hub.asked.append((self.command, file, start))
        how = self.hub.breaks.get(file) if self.command == "GET" else None
        if how == 500:
            return self._refuse(500, None, "Internal Error - We're working hard to fix this as soon as possible!")
        headers = dict(headers or {})
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        self._send(206 if asked else 200, rest, headers, how)

    def _send_json(self, value):
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _refuse(self, status, code, message="", commit=None):
        headers = {"X-Error-Code": code, "X-Error-Message": message, "X-Repo-Commit": commit}
        self._send(status, b"", {key: value for key, value in headers.items() if value})

    def _send(self, status, content, headers, how=None):
        self.send_response(status)
        for key, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(content if how is None else content[: len(content) // 2])
        self.wfile.flush()
        if how == "drop":
            self.hub.breaks.clear()
            self.close_connection = True
        elif how == "hang":
            self.hub.hanging.set()
            self.hub.ended.wait(60)
            self.close_connection = True


def _entry(file, content):
    entry = {"type": "file", "path": file, "size": len(content), "oid": _blob(content)}
    if file.endswith(LARGE):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


def _blob(content):
    """git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _commit(files):
    return hashlib.sha1(repr(sorted((file, _blob(content)) for file, content in files.items())).encode()).hexdigest()
