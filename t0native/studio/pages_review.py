"""A prompt as it is read, comments and states; the queue of those in review."""

from flask import abort, flash, g, redirect, render_template, request, url_for

from t0native.studio.forms import differences, form_of
from t0native.studio.lookup import number as number_of
from t0native.studio.lookup import prompt_or_404
from t0native.studio.pages_write import preview
from t0native.studio.security import needs
from t0native.studio.store import STATES, Stale

__all__ = ["add"]

MAX_COMMENT, QUEUE = 5_000, 500
STALE = "Somebody has saved this prompt since you loaded the page: read it again first."


def add(app, studio):
    store = studio.store

    @app.get("/prompt/<int:number>")
    def prompt(number):
        current = prompt_or_404(store, number)
        content, revision = current["content"], current["revision"]
        form = form_of(content)
        changed = differences(form_of(store.revision(number, revision - 1)), form) if revision > 1 else []
        files = studio.data.files(current["dataset_id"])
        shown = preview(studio, content, files[0]["id"]) if files and not current["deleted"] else None
        parts = content["jinja"].split("|||", 1)
        return render_template(
            "prompt.html",
            prompt=current,
            form=form,
            parts=parts,
            changed=changed,
            preview=shown,
            files=files,
            comments=store.comments(number),
        )

    @app.post("/prompt/<int:number>/comment")
    @needs("write")
    def comment(number):
        prompt_or_404(store, number)
        store.comment(g.user.name, number, _comment())
        return redirect(url_for("prompt", number=number) + "#comments")

    @app.post("/prompt/<int:number>/review")
    @needs("write")
    def review(number):
        current, state = prompt_or_404(store, number), request.form.get("state")
        if state not in STATES:
            abort(400, f"A prompt's state is one of {', '.join(STATES)}.")
        if not g.user.may_review and (state == "accepted" or current["state"] == "accepted"):
            abort(403, "Accepting, and taking back, is for reviewers.")
        try:
            store.review(g.user.name, number, number_of(request.form.get("base")) or 0, state, _comment())
        except Stale:
            abort(409, STALE)
        flash(f"Now {state}.")
        return redirect(url_for("prompt", number=number))

    @app.get("/review")
    def queue():
        state = request.args.get("state", "in review")
        if state not in STATES:
            abort(400, f"A prompt's state is one of {', '.join(STATES)}.")
        rows = store.ask(
            "SELECT prompt.*, full, (SELECT count(*) FROM comment WHERE prompt_id = prompt.id) AS comments FROM prompt "
            "JOIN dataset ON dataset.id = dataset_id WHERE state = ? AND NOT deleted ORDER BY at LIMIT ?", state, QUEUE
        )  # fmt: skip
        total = store.one("SELECT count(*) AS n FROM prompt WHERE state = ? AND NOT deleted", state)["n"]
        return render_template("review.html", rows=rows, state=state, total=total)


def _comment():
    text = request.form.get("comment", "").replace("\r\n", "\n").replace("\0", "")
    if len(text) > MAX_COMMENT:
        abort(400, f"A comment may have {MAX_COMMENT:,} characters, this has {len(text):,}.")
    return text
