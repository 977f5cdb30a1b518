"""The application of a studio: what its pages share, and the pages by their files.

    pages_overview      counts, sizes, table; search; contributors; log; help
    pages_data          a dataset: files, rows beside what a prompt makes of them, upload
    pages_write         the writer: create, edit, preview, merge, delete, history
    pages_review        a prompt as it is read; comments, states, the queue
    pages_exchange      import and export
    pages_account       login and logout

Pages are whole without JavaScript; static/studio.js adds the live preview and keys."""

import logging
from pathlib import Path

from flask import Flask, g, render_template, request, session
from werkzeug.exceptions import HTTPException

from t0native.base.errors import Error
from t0native.base.files import FileSet
from t0native.base.version import __version__
from t0native.prompts.promptfile import METRICS
from t0native.studio import pages_account, pages_data, pages_exchange, pages_overview, pages_review, pages_write
from t0native.studio.accounts import Accounts, Attempts
from t0native.studio.answers import Answers
from t0native.studio.children import Failed
from t0native.studio.rowfiles import HOME, MAX_UPLOAD_BYTES, DataFolder
from t0native.studio.security import guard, secret_key
from t0native.studio.store import STATES, Store
from t0native.studio.times import when
from t0native.studio.workers import Busy, Workers
from t0native.text.tokenizer import Tokenizer
from t0native.text.tokenizerfiles import TOKENIZER_FILES, tokenizer_in

__all__ = ["Studio", "create_app"]

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MAX_FORM = 1 << 20
REMEDIES = {
    400: "Go back and change what was sent.",
    404: "It may have been deleted: look for it on the overview, or in the search.",
    405: "Go back and use the buttons of the page.",
    413: f"A form may have {MAX_FORM:,} bytes, an upload {MAX_UPLOAD_BYTES:,}: send less at once.",
    429: "Wait a moment, then send it again.",
    503: "A fault of the studio, not of what you sent; its log has it. Nothing was kept: tell who runs this studio, then try again.",
    500: "This is a fault of the studio, and is in its log. Nothing of what you sent was kept: go back, copy it, and try again.",
}
_log = logging.getLogger("t0native")


class Studio:
    """All that the pages use: store, data, workers, accounts (or None), attempts, answers, hosts, read_only.

    folder: of the data; what the studio keeps lies in its .studio/.  users: a file of users, or None for one local user.
    hosts: names that a request may address.  model: a checkpoint's path, whose answers are shown, or None.  add_eos_to_inputs: of the
    model, None for its own.
    OSError where the folder is none; FormatError where the store or the users are broken."""

    def __init__(self, folder, users=None, read_only=False, hosts=(), model=None, workers=3, add_eos_to_inputs=None):
        folder = Path(folder)
        if not folder.is_dir():
            raise NotADirectoryError(20, "no such folder; make it, and put rows into it where there are some", str(folder))
        folder = folder.absolute()  # renderers and readers of files stand in another one than this process
        self.home = folder / HOME
        self.home.mkdir(exist_ok=True)
        self.home.chmod(0o700)
        self.accounts, self.attempts = Accounts(users) if users is not None else None, Attempts()
        self.read_only, self.hosts = read_only, {*LOOPBACK, *map(str.lower, hosts)}
        self.answers = Answers(model, add_eos_to_inputs) if model is not None else None
        self.store = Store(self.home / "prompts.sqlite")
        self.data = DataFolder(folder, self.store)
        self.left_out = self.data.scan()[1]
        self.workers = Workers(workers, self._tokenizer(folder))

    def _tokenizer(self, folder):
        """The folder of the tokenizer whose view of a text is shown: the model's, else the one whose files lie in the folder, else None."""
        if self.answers is not None and self.answers.tokenizer is not None:
            own = self.home / "tokenizer"
            for name in TOKENIZER_FILES:  # of another model, perhaps
                (own / name).unlink(missing_ok=True)
            with FileSet(own) as files:
                for name, content in self.answers.tokenizer.files_to_save():
                    files.add(name, content)
            return own
        if tokenizer_in(folder):
            Tokenizer.from_folder(folder)  # which says what is wrong with it
            return folder
        return None

    def close(self):
        self.workers.close()
        self.store.close()


def create_app(studio, https=False, base_path=""):
    """The Flask application of a Studio. https: cookies travel over TLS alone.  base_path: where they are sent."""
    app = Flask("t0native.studio")
    app.secret_key = secret_key(studio.home)
    app.config.update(
        SESSION_COOKIE_NAME="t0native_studio", SESSION_COOKIE_HTTPONLY=True, SESSION_COOKIE_SAMESITE="Strict", SESSION_COOKIE_SECURE=https,
        SESSION_COOKIE_PATH=base_path or "/",
        MAX_CONTENT_LENGTH=MAX_FORM, MAX_FORM_MEMORY_SIZE=MAX_FORM, MAX_FORM_PARTS=500, SEND_FILE_MAX_AGE_DEFAULT=86400,
    )  # fmt: skip
    app.jinja_env.autoescape = True
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.finalize = _printable
    app.jinja_env.filters["when"] = when
    guard(app, studio)
    _tell_errors(app)

    @app.context_processor
    def names():
        return {
            "user": g.get("user"), "token": session.get("token", ""), "studio": studio, "states": STATES, "all_metrics": sorted(METRICS,
            key=str.lower),
            "version": __version__, "may_write": g.get("user") is not None and g.user.may_write,
        }  # fmt: skip

    for pages in (pages_overview, pages_data, pages_write, pages_review, pages_exchange, pages_account):
        pages.add(app, studio)
    return app


def _printable(value):
    """Texts as UTF-8 can carry them; rows may hold lone surrogates."""
    return value.encode("utf-8", "replace").decode() if type(value) is str and not value.isascii() else value


def _tell_errors(app):
    def page(code, what, remedy):
        return render_template("error.html", code=code, what=what, remedy=remedy), code

    @app.errorhandler(HTTPException)
    def of_http(error):
        if error.code is not None and error.code < 400:
            return error
        own = type(error).description != error.description
        return page(error.code, error.name, error.description if own else REMEDIES.get(error.code, "Go back."))

    @app.errorhandler(Error)
    def of_input(error):
        return page(400, str(error), REMEDIES[400])

    @app.errorhandler(Busy)
    def of_queue(error):
        return page(429, str(error), REMEDIES[429])

    @app.errorhandler(Failed)
    def of_a_child(error):
        _log.error("studio: %s", error)
        return page(503, str(error), REMEDIES[503])

    @app.errorhandler(Exception)
    def of_us(error):
        _log.exception("studio: %s %s", request.method, request.path, exc_info=error)
        return page(500, "Something went wrong here", REMEDIES[500])
