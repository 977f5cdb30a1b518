"""Who may use a studio: a file of users, passwords as scrypt hashes, roles, and a limit to attempts.

    {"users": {"anna": {"role": "writer", "scrypt": "<salt>$<hash>"}}}

Roles: a reader looks; a writer also writes, imports and uploads; a reviewer also accepts. Without a file there is one user,
`local`, who may do everything. Hash: scrypt (RFC 7914), N = 2^14, r = 8, p = 1, 16 bytes of salt."""

import hashlib
import hmac
import json
import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from t0native.base.errors import DataError, FormatError
from t0native.base.files import write_json
from t0native.base.showing import shown

__all__ = ["LOCAL", "ROLES", "Accounts", "Attempts", "User", "for_owner"]

ROLES = ("reader", "writer", "reviewer")
SHORTEST, LONGEST = 8, 1024
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}")


class User(NamedTuple):
    name: str
    role: str

    @property
    def may_write(self):
        return self.role in ("writer", "reviewer")

    @property
    def may_review(self):
        return self.role == "reviewer"


LOCAL = User("local", "reviewer")


def _hash(password, salt):
    return hashlib.scrypt(password.encode("utf-8", "replace"), salt=salt, n=2**14, r=8, p=1, maxmem=64 << 20).hex()


@contextmanager
def for_owner():
    """Files made in the block are for their owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


class Accounts:
    """path: of the file; read again when it changes. FormatError where it is broken.

    >>> from tempfile import TemporaryDirectory
    >>> folder = TemporaryDirectory()
    >>> accounts = Accounts(Path(folder.name, "users.json"))
    >>> accounts.add("anna", "a good long one", "writer")
    >>> accounts.enter("anna", "a good long one"), accounts.enter("anna", "another")
    (User(name='anna', role='writer'), None)
    >>> folder.cleanup()
    """

    def __init__(self, path):
        self.path, self._seen, self._users = Path(path), None, {}
        self._hashing = threading.BoundedSemaphore(2)  # 16 MB each

    def _read(self):
        try:
            about = self.path.stat()
        except FileNotFoundError:
            return {}
        seen = about.st_mtime_ns, about.st_size
        if seen != self._seen:
            try:
                users = json.loads(self.path.read_text(encoding="utf-8"))["users"]
                for name, user in users.items():
                    if (
                        not NAME.fullmatch(name)
                        or user["role"] not in ROLES
                        or not re.fullmatch(r"[0-9a-f]{32}\$[0-9a-f]{128}", user["scrypt"])
                    ):
                        raise ValueError(name)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise FormatError(f"{self.path}: no file of users ({error}); `t0native studio adduser` writes it") from None
            self._seen, self._users = seen, users
        return self._users

    def __len__(self):
        return len(self._read())

    def add(self, name, password, role):
        """Adds a user or changes one. DataError for a name, a password or a role that cannot be."""
        if not NAME.fullmatch(name):
            raise DataError(f"user name {shown(name[:80])}: must be at most 64 letters, digits, _ . @ -")
        if role not in ROLES:
            raise DataError(f"role {shown(role)}: must be one of {', '.join(ROLES)}")
        if not SHORTEST <= len(password) <= LONGEST:
            raise DataError(f"the password has {len(password)} characters: must be {SHORTEST} to {LONGEST}")
        salt = os.urandom(16)
        users = {**self._read(), name: {"role": role, "scrypt": f"{salt.hex()}${_hash(password, salt)}"}}
        with for_owner():
            write_json(self.path, {"users": users})

    def enter(self, name, password):
        """The User of a name and password, or None; it takes as long for a name that is not there."""
        user = self._read().get(name)
        salt, _, known = user["scrypt"].partition("$") if user else ("00" * 16, "", "")
        with self._hashing:
            digest = _hash(password[:LONGEST], bytes.fromhex(salt))
        return User(name, user["role"]) if user and hmac.compare_digest(digest, known) else None

    def user(self, name, mark):
        """The User whose session says (name, mark), or None where the user has gone or the password is another now."""
        user = self._read().get(name)
        return User(name, user["role"]) if user and hmac.compare_digest(str(mark), self.mark(name)) else None

    def mark(self, name):
        """What a session keeps of a password: a new one ends the sessions of the old."""
        return hashlib.sha256(self._read()[name]["scrypt"].encode()).hexdigest()[:16]


class Attempts:
    """Failed logins. keys: {key: how many may fail within `window` seconds}; then the next must wait.

    >>> attempts = Attempts()
    >>> [attempts.wait({"anna": 2}) or attempts.record({"anna": 2}) for _ in range(2)], attempts.wait({"anna": 2}) > 0
    ([None, None], True)
    """

    def __init__(self, window=300, clock=time.monotonic):
        self._window, self._clock = window, clock
        self._failed, self._lock = {}, threading.Lock()
        self._turns = [threading.Lock() for _ in range(16)]

    def turn(self, name):
        """A lock to hold from `wait` to `record` or `forget`: logins of one name come one after the other, so that one which is right does
        not count for one that comes at the same time."""
        return self._turns[hash(name) % len(self._turns)]

    def wait(self, keys):
        """Seconds until the next attempt; 0 where it may come now."""
        with self._lock:
            now, waits = self._clock(), [0]
            for key, most in keys.items():
                times = [at for at in self._failed.get(key, ()) if now - at < self._window]
                if len(times) >= most:
                    waits.append(int(self._window - (now - times[-most])) + 1)
        return max(waits)

    def record(self, keys):
        """A failed login under each of these keys."""
        with self._lock:
            now = self._clock()
            if len(self._failed) > 10_000:
                self._failed = {key: times for key, times in self._failed.items() if now - times[-1] < self._window}
            for key, most in keys.items():
                self._failed.setdefault(key, []).append(now)
                del self._failed[key][:-most]

    def forget(self, keys):
        """A login that has worked: its own key is forgotten."""
        with self._lock:
            for key in keys:
                self._failed.pop(key, None)
