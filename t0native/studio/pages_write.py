"""The writer: create, edit, preview, merge, delete, history, undo."""

from flask import abort, flash, g, redirect, render_template, request, url_for

from t0native.base.errors import DataError
from t0native.studio.checks import twins
from t0native.studio.drafts import ask_model, judge_draft
from t0native.studio.forms import blank, content_of, differences, form_of, merge, read_form
from t0native.studio.lookup import dataset_or_404, number, prompt_or_404
from t0native.studio.security import needs
from t0native.studio.store import Stale
from t0native.studio.workers import Busy

__all__ = ["add", "preview"]

ROWS = 5
NOT_YOURS = (
    "This is a fault of the studio, not of the template, which could not be tried and is not saved. What you wrote is still in the form: "
    "tell who runs this studio, then try again."
)


def preview(studio, content, file, offset=0, count=ROWS, asked=None):
    """What a content makes of `count` rows of a file from `offset` on: the renderer's answer with rows, file, offset, total.
    asked: "answers" for the model's answers to them too, "accuracy" for its accuracy on more rows (drafts.py)."""
    rows, total = studio.data.rows(file, offset, count) if file else ([], 0)
    answer = studio.workers.render(g.lane, {"content": content, "rows": rows, "first": offset})
    if "rows_error" in answer:  # the rows are to blame: the template is tried without
        answer = studio.workers.render(g.lane, {"content": content}) | answer
    shown = {**answer, "examples": rows, "file": file, "offset": offset, "total": total, "count": count}
    if asked and studio.answers is not None and answer.get("rows"):
        if asked == "accuracy":
            shown |= {key: value for key, value in judge_draft(studio, g.lane, content, file, offset).items() if key != "rows"}
        else:
            shown |= ask_model(studio.answers, answer["rows"])
    return shown


def _asked():
    """What the button that was pressed asks of the model."""
    return next((name for name in ("accuracy", "answers") if name in request.form), None)


def _try_form(studio, home, form, old=None, asked=None, but=None):
    """(content or None, errors by field, preview or None) of a form: compiled and tried, not saved."""
    content, errors = content_of(form, old)
    files = studio.data.files(home["id"])
    known = {file["id"] for file in files}
    file = number(request.form.get("file")) or (files[0]["id"] if files else None)
    if file not in known:
        file = files[0]["id"] if files else None
    tried = content
    if tried is None:  # a name that is still missing does not keep the template from being tried
        sound = {field: "unnamed" if field == "name" else blank()[field] for field in errors if field not in ("jinja", "answer_choices")}
        tried = content_of(form | sound, None)[0]
    if tried is None:
        return None, errors, None
    try:
        shown = preview(studio, tried, file, number(request.form.get("offset")) or 0, asked=asked)
    except DataError as error:  # the rows cannot be read: the template is tried without
        shown = preview(studio, tried, None) | {"rows_error": str(error)}
    except Busy as error:
        return content, errors | {"studio": str(error)}, None
    if old is not None:
        shown["changed"] = differences(form_of(old), form)
    if "error" in shown:
        field = "answer_choices" if shown["of"] == "answer choices" else "jinja"
        errors[field] = f"does not compile: {shown['error']}"
    elif "limit" in shown:
        errors["jinja"] = shown["limit"]
    elif "failed" in shown:
        errors["studio"] = f"{shown['failed']}. {NOT_YOURS}"
    if "warnings" in shown:
        others = [other for key, other in studio.store.contents(home["id"]).items() if key != but]
        alike = twins(tried, others)
        if alike:
            shown["warnings"] = [*shown["warnings"], f"nearly the same words as {', '.join(map(repr, alike[:3]))}"]
    return content, errors, shown


def add(app, studio):
    store = studio.store

    def page(home, form, errors=(), shown=None, code=200, **more):
        files = studio.data.files(home["id"])
        return render_template("write.html", home=home, form=form, errors=errors or {}, preview=shown, files=files, **more), code

    def example(home):
        """Rows to look at before anything is written."""
        files = studio.data.files(home["id"])
        try:
            rows, total = studio.data.rows(files[0]["id"], 0, ROWS) if files else ([], 0)
        except DataError:
            return None
        return {"examples": rows, "file": files[0]["id"] if files else None, "offset": 0, "total": total, "count": ROWS}

    @app.route("/dataset/<int:dataset>/new", methods=["GET", "POST"])
    @needs("write")
    def new_prompt(dataset):
        home = dataset_or_404(store, dataset)
        if request.method == "GET":
            return page(home, blank(), shown=example(home), prompt=None)
        form = read_form(request.form)
        content, errors, shown = _try_form(studio, home, form, asked=_asked())
        if "save" not in request.form or errors:
            return page(home, form, errors, shown, _status(errors) if "save" in request.form else 200, prompt=None)
        try:
            made = store.create(g.user.name, home["id"], content)
        except DataError as error:
            return page(home, form, {"name": str(error)}, shown, 422, prompt=None)
        flash("Saved.")
        return redirect(url_for("prompt", number=made))

    @app.route("/prompt/<int:number>/edit", methods=["GET", "POST"])
    @needs("write")
    def edit_prompt(number):
        prompt = prompt_or_404(store, number)
        home = store.dataset(prompt["dataset_id"])
        if request.method == "GET":
            return page(home, form_of(prompt["content"]), shown=example(home), prompt=prompt, base=prompt["revision"])
        return _edit(studio, page, home, prompt)

    @app.post("/preview")
    @needs("write")
    def preview_fragment():
        """For studio.js: the part of the page that shows what the form gives."""
        home = dataset_or_404(store, _form_number("dataset"))
        prompt = _form_number("prompt")
        old = prompt_or_404(store, prompt)["content"] if prompt else None
        _, errors, shown = _try_form(studio, home, read_form(request.form), old, _asked(), prompt)
        return render_template("preview.html", errors=errors, preview=shown)

    _add_changes(app, store)


def _add_changes(app, store):
    """Delete, restore, history."""

    @app.post("/prompt/<int:number>/delete")
    @needs("write")
    def delete_prompt(number):
        prompt = prompt_or_404(store, number)
        try:
            store.delete(g.user.name, number, _form_number("base") or 0)
        except Stale:
            abort(409, "Somebody has saved this prompt since you loaded the page: look at it again before you delete it.")
        flash("Deleted. Its history stays: restore it from there.")
        return redirect(url_for("history", number=prompt["id"]))

    @app.post("/prompt/<int:number>/restore")
    @needs("write")
    def restore_prompt(number):
        prompt_or_404(store, number)
        try:
            store.restore(g.user.name, number, _form_number("base") or 0, _form_number("to") or 0)
        except Stale:
            abort(409, "Somebody has saved this prompt since you loaded the page: look at its history again.")
        except KeyError:
            abort(404, "There is no such revision.")
        flash("Restored, as a new revision.")
        return redirect(url_for("prompt", number=number))

    @app.get("/prompt/<int:number>/history")
    def history(number):
        prompt = prompt_or_404(store, number)
        revisions = store.history(number)
        new = _revision_number("new", prompt["revision"])
        old = _revision_number("old", max(1, new - 1))
        try:
            changed = differences(form_of(store.revision(number, old)), form_of(store.revision(number, new)))
        except KeyError:
            abort(404, "There is no such revision.")
        return render_template("history.html", prompt=prompt, revisions=revisions, old=old, new=new, changed=changed)


def _status(errors):
    """Of a page that says why nothing was saved."""
    return 200 if not errors else 503 if "studio" in errors else 422


def _form_number(name):
    return number(request.form.get(name))


def _revision_number(name, default):
    return number(request.args.get(name)) or default


def _edit(studio, page, home, prompt):
    """A form that was sent about a prompt: preview, save, or the page of both versions where it is stale."""
    form, base = read_form(request.form), _form_number("base") or 0
    about = {"prompt": prompt, "base": base}
    content, errors, shown = _try_form(studio, home, form, prompt["content"], _asked(), prompt["id"])
    if "save" not in request.form:
        return page(home, form, errors, shown, **about)
    if base != prompt["revision"]:
        return _stale(studio, page, home, prompt, form, base)
    if errors:
        return page(home, form, errors, shown, _status(errors), **about)
    try:
        saved = studio.store.save(g.user.name, prompt["id"], base, content)
    except Stale as stale:
        return _stale(studio, page, home, stale.prompt, form, base)
    except DataError as error:
        return page(home, form, {"name": str(error)}, shown, 422, **about)
    flash("Saved." if saved > base else "Nothing has changed.")
    return redirect(url_for("prompt", number=prompt["id"]))


def _stale(studio, page, home, now, form, base):
    """Both versions and what they become together; nothing is saved."""
    theirs = form_of(now["content"])
    try:
        before = form_of(studio.store.revision(now["id"], base))
    except KeyError:
        before = theirs
    merged, conflicts = merge(before, theirs, form)
    both = {"theirs": differences(before, theirs), "mine": differences(before, form), "conflicts": conflicts, "their": theirs, "my": form}
    return page(home, merged, {}, None, 409, prompt=now, base=now["revision"], both=both)
