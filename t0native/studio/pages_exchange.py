"""P3's files in and out."""

import time

from flask import Response, abort, flash, g, redirect, render_template, request, url_for

from t0native.base.errors import DataError
from t0native.studio.exchange import counts_in_words, export_text, export_zip, import_zip
from t0native.studio.lookup import dataset_or_404
from t0native.studio.rowfiles import MAX_UPLOAD_BYTES
from t0native.studio.security import needs

__all__ = ["add"]


def add(app, studio):
    store = studio.store

    @app.get("/exchange")
    def exchange():
        counts = store.one(
            "SELECT count(*) AS prompts, count(DISTINCT dataset_id) AS files, sum(state = 'accepted') AS accepted FROM prompt "
            "WHERE NOT deleted"
        )
        return render_template("exchange.html", counts=counts)

    @app.post("/import")
    @needs("write")
    def import_prompts():
        upload = request.files.get("zip")
        if upload is None or not upload.filename:
            raise DataError("no file was chosen: choose a zip of <dataset>/<subset>/templates.yaml files")
        counts = import_zip(store, upload.read(MAX_UPLOAD_BYTES + 1), g.user.name)
        flash(f"{counts_in_words(counts)}.")
        return redirect(url_for("exchange"))

    @app.get("/export.zip")
    def export():
        accepted = request.args.get("accepted") == "1"
        return _file(export_zip(store, accepted), f"prompts-{time.strftime('%Y-%m-%d')}.zip", "application/zip")

    @app.get("/dataset/<int:dataset>/templates.yaml")
    def export_one(dataset):
        text = export_text(store, dataset_or_404(store, dataset)["id"])
        if text is None:
            abort(404, "This dataset has no prompts yet.")
        return _file(text.encode(), "templates.yaml", "application/yaml")


def _file(data, name, kind):
    return Response(data, mimetype=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
