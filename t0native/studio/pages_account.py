"""Login and logout."""

from flask import abort, flash, g, redirect, render_template, request, url_for

from t0native.studio.security import log_in, log_out

__all__ = ["add"]


def add(app, studio):
    @app.route("/login", methods=["GET", "POST"])
    def login():
        if studio.accounts is None or g.user is not None:
            return redirect(url_for("overview"))
        if request.method == "GET":
            return render_template("login.html", failed=None, name="", to=_inside(request.args.get("to", "")))
        name, address = request.form.get("name", ""), request.remote_addr
        with studio.attempts.turn(name):
            user = _enter(name, {(name[:64], address): 5, name[:64]: 50, ("from", address): 100})  # a proxy makes one address of all
        if user is None:
            studio.store.log(name[:64], "failed login")
            failed = "No user of this name has this password."
            return render_template("login.html", failed=failed, name=name, to=_inside(request.form.get("to", ""))), 403
        log_in(studio, user)
        studio.store.log(user.name, "login")
        return redirect(request.script_root + (_inside(request.form.get("to", "")) or "/"))

    def _enter(name, keys):
        wait = studio.attempts.wait(keys)
        if wait:
            abort(429, f"Too many failed logins. Try again in {wait} seconds.")
        studio.attempts.record(keys)  # counted before the slow hash, so that attempts at once count too
        user = studio.accounts.enter(name, request.form.get("password", ""))
        if user is not None:
            studio.attempts.forget(keys)
        return user

    @app.post("/logout")
    def logout():
        log_out(studio)
        flash("You are logged out.")
        return redirect(url_for("login" if studio.accounts is not None else "overview"))


def _inside(path):
    """A path of this site, or "": never another site's address."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else ""
