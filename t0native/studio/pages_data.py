"""A dataset: its prompts and files, its rows beside what a prompt makes of them, upload."""

from flask import abort, flash, g, redirect, render_template, request, url_for

from t0native.base.errors import DataError
from t0native.studio.exchange import check_dataset_name
from t0native.studio.lookup import dataset_or_404, number, prompt_or_404
from t0native.studio.pages_write import preview
from t0native.studio.rowfiles import schema
from t0native.studio.security import needs

__all__ = ["add"]

PAGE = 50


def add(app, studio):
    store = studio.store

    @app.get("/dataset/<int:dataset>")
    def dataset(dataset):
        home = dataset_or_404(store, dataset)
        files = studio.data.files(dataset)
        try:
            fields, broken = schema(studio.data.rows(files[0]["id"], 0, PAGE)[0]) if files else {}, None
        except DataError as error:
            fields, broken = {}, str(error)
        card = next((file["card"] for file in files if file["card"]), None)
        about = {"fields": fields, "broken": broken, "card": card}
        about |= {"prompts": store.prompts(dataset), "deleted": store.prompts(dataset, deleted=True)}
        subsets = store.ask("SELECT id, full FROM dataset WHERE dataset = ? AND id <> ? ORDER BY full", home["dataset"], dataset)
        return render_template("dataset.html", home=home, files=files, subsets=subsets, **about)

    @app.get("/dataset/<int:dataset>/rows")
    def rows(dataset):
        home, files = dataset_or_404(store, dataset), studio.data.files(dataset)
        if not files:
            abort(404, "This dataset has no rows here: upload a file of them on its page, or put one into the folder.")
        file = number(request.args.get("file")) or files[0]["id"]
        if file not in {known["id"] for known in files}:
            abort(404, "This dataset has no such split.")
        chosen, offset = number(request.args.get("prompt")), number(request.args.get("offset")) or 0
        prompt = prompt_or_404(store, chosen) if chosen else None
        if prompt is None:
            examples, total = studio.data.rows(file, offset, PAGE)
            shown = {"examples": examples, "total": total, "offset": offset}
        else:
            shown = preview(studio, prompt["content"], file, offset, PAGE)
        about = {"prompts": store.prompts(dataset), "fields": schema(shown["examples"]), "page": PAGE}
        return render_template("rows.html", home=home, files=files, file=file, prompt=prompt, preview=shown, **about)

    @app.post("/dataset/<int:dataset>/upload")
    @needs("write")
    def upload(dataset):
        home, file = dataset_or_404(store, dataset), request.files.get("rows")
        if file is None or not file.filename:
            raise DataError("no file was chosen: choose one of rows (.jsonl, .json, .csv, .tsv, .parquet)")
        studio.data.upload(home["id"], request.form.get("split", "").strip() or "train", file.filename, file.read(), g.user.name)
        flash("The rows are here.")
        return redirect(url_for("dataset", dataset=dataset))

    @app.post("/datasets")
    @needs("write")
    def new_dataset():
        name = check_dataset_name(request.form.get("name", "").strip())
        first, _, rest = name.partition("/")
        made = store.one("SELECT * FROM dataset WHERE full = ?", name) or store.dataset_named(first, rest or None)
        store.log(g.user.name, "dataset", name, made["id"])
        return redirect(url_for("dataset", dataset=made["id"]))

    @app.post("/rescan")
    @needs("write")
    def rescan():
        count, studio.left_out = studio.data.scan()
        left_out = f" Left out: {'; '.join(studio.left_out[:5])[:1000]}" if studio.left_out else ""
        flash(f"{count} files of rows are in the folder.{left_out}")
        return redirect(url_for("overview"))
