"""What every request must bring, and what every answer says.

Host          a name that the studio was told to trust (DNS rebinding)
session       a signed cookie, HttpOnly, SameSite=Strict: user, mark of the password, token, when it ends; logging out ends it, and
              every copy of the cookie with it
POST          the session's token in the form, and no other site as its origin (Origin, Sec-Fetch-Site)
role          readers look; read-only mode takes no change from anybody
answers       Content-Security-Policy without inline script or style, no framing, no sniffing, nothing cached"""

import hmac
import secrets
import time
from functools import wraps

from flask import abort, g, redirect, request, session, url_for

from t0native.base.files import write_bytes
from t0native.studio.accounts import LOCAL, for_owner
from t0native.studio.rowfiles import MAX_UPLOAD_BYTES

__all__ = ["guard", "log_in", "log_out", "needs", "secret_key"]

SESSION_SECONDS = 12 * 3600
POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
OPEN = ("login", "static")  # pages for those who are not logged in
HARMLESS = ("login", "logout")  # POSTs that change nothing: read-only mode lets them pass

LARGE = ("upload", "import_prompts")


def secret_key(folder):
    """The key that signs cookies; made once, kept in a file for its owner alone."""
    path = folder / "secret"
    if not path.exists():
        with for_owner():
            write_bytes(path, secrets.token_bytes(32))
    return path.read_bytes()


def needs(right):
    """A page for those alone who may: "write" or "review"."""

    def decorate(page):
        @wraps(page)
        def checked(*arguments, **names):
            if not getattr(g.user, f"may_{right}"):
                abort(403, f"Here your role is {g.user.role}: ask who runs this studio for one that may {right}.")
            return page(*arguments, **names)

        return checked

    return decorate


def guard(app, studio):
    """Puts the checks before every page, and the headers behind it."""

    @app.before_request
    def check_request():
        if host_name(request.host) not in studio.hosts:
            abort(400, "This address is not one that the studio was told to trust: open it under its own, or start it with --host-name.")
        if request.method not in ("GET", "HEAD", "OPTIONS", "POST"):
            abort(405)
        if request.endpoint in LARGE:
            request.max_content_length = request.max_form_memory_size = MAX_UPLOAD_BYTES + (64 << 10)
        g.user = _who(studio)
        if g.user is not None and studio.read_only:
            g.user = g.user._replace(role="reader")
        if "token" not in session:
            session["token"] = secrets.token_urlsafe(24)
        g.lane = session["token"] if studio.accounts is None else g.user and g.user.name  # whose previews wait for each other
        if request.method == "POST":
            _check_post(studio)
        if g.user is None and request.endpoint not in OPEN:
            if request.method == "POST":
                abort(401, "You are not logged in any more: log in, then send the page again.")
            return redirect(url_for("login", to=request.path))
        return None

    @app.after_request
    def add_headers(response):
        for name, value in HEADERS.items():
            response.headers[name] = value
        if request.endpoint != "static":
            response.headers["Cache-Control"] = "no-store"
        return response


def host_name(host):
    """The name in a Host header, without its port.

    Of "[::1]:8765" it is "[::1]"; what is no host at all is "".
    """
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()


def _who(studio):
    if studio.accounts is None:
        return LOCAL
    if session.get("until", 0) < time.time():
        session.pop("name", None)
    name = session.get("name")
    user = studio.accounts.user(name, session.get("mark")) if name else None
    return None if user is None or studio.store.has_ended(session.get("token", "")) else user


def _check_post(studio):
    origin = request.headers.get("Origin")
    elsewhere = origin is not None and host_name(origin.partition("://")[2]) not in studio.hosts
    if elsewhere or request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403, "This form was sent from another site. Open the page here and send it again.")
    if not hmac.compare_digest(request.form.get("token", "").encode(), session["token"].encode()):
        abort(403, "This form is too old, or from elsewhere: go back, load the page anew and send it again.")
    if studio.read_only and request.endpoint not in HARMLESS:
        abort(403, "This studio is read-only: nothing can be changed here.")


def log_out(studio):
    """Ends this session; a copy of its cookie opens nothing any more."""
    if session.get("name"):
        studio.store.end_session(session["token"], session["until"])
    session.clear()


def log_in(studio, user):
    session.clear()
    session.update(
        name=user.name, mark=studio.accounts.mark(user.name), until=time.time() + SESSION_SECONDS, token=secrets.token_urlsafe(24)
    )
