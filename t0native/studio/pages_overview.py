"""Counts, sizes and the table of datasets; search, contributors, log, help."""

import math

from flask import render_template, request, url_for

from t0native.studio.lookup import number
from t0native.studio.store import STATES

__all__ = ["add"]

FOUND, LOGGED = 100, 200
CONTENT = "CASE WHEN json_valid(content) THEN content ELSE '{}' END"  # 0.1.0 could write NaN, for which sqlite refuses the search
SEARCHED = (
    "(full || ' ' || "
    + " || ' ' || ".join(f"ifnull(json_extract({CONTENT}, '$.{name}'), '')" for name in ("name", "jinja", "answer_choices", "reference"))
    + ")"
)
BARS, BAR_WIDTH, WIDEST, BAR_HEIGHT = 280, 3, 24, 90


def add(app, studio):
    store = studio.store

    @app.get("/")
    def overview():
        with store.reading() as db:
            rows = db.execute(
                "SELECT dataset.*, count(prompt.id) AS prompts, total(original_task = 1) AS original, total(state = 'accepted') AS "
                "accepted, "
                "group_concat(prompt.name, char(10)) AS names FROM dataset LEFT JOIN prompt ON dataset_id = dataset.id AND NOT deleted "
                "GROUP BY dataset.id ORDER BY prompts DESC, full"
            ).fetchall()  # fmt: skip
            files = db.execute("SELECT * FROM file").fetchall()
        sizes = {}
        for file in files:
            kind = "train" if file["split"] == "train" else "validation" if file["split"].startswith(("val", "dev")) else "other"
            counts = sizes.setdefault(file["dataset_id"], {})
            counts[kind] = counts.get(kind, 0) + (file["n_rows"] or 0)
        return render_template("overview.html", rows=rows, sizes=sizes, place=url_for("dataset", dataset=0)[:-1], **_totals(rows, sizes))

    @app.get("/search")
    def search():
        words, state, author = request.args.get("q", "")[:200], request.args.get("state", ""), request.args.get("author", "")[:64]
        offset = number(request.args.get("offset")) or 0
        where, values = ["NOT deleted"], []
        for word in words.split()[:8]:
            where.append(f"{SEARCHED} LIKE ? ESCAPE '\\'")
            values.append("%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%")
        if state in STATES:
            where.append("state = ?")
            values.append(state)
        if author:
            where.append("prompt.author = ?")
            values.append(author)
        rows = store.ask(
            f"SELECT prompt.*, full, ifnull(json_extract({CONTENT}, '$.jinja'), '') AS jinja "
            "FROM prompt JOIN dataset ON dataset.id = dataset_id "
            "JOIN revision "
            f"ON prompt_id = prompt.id AND number = prompt.revision WHERE {' AND '.join(where)} ORDER BY full, prompt.name LIMIT ? "
            "OFFSET ?",
            *values, FOUND + 1, offset,
        )  # fmt: skip
        asked = bool(words or state or author)
        return render_template(
            "search.html",
            q=words,
            state=state,
            author=author,
            found=rows[:FOUND],
            more=len(rows) > FOUND,
            offset=offset,
            asked=asked,
            page=FOUND,
        )

    _add_lists(app, store)


def _add_lists(app, store):
    @app.get("/contributors")
    def contributors():
        rows = store.ask(
            "SELECT author, total(action = 'create') AS created, total(action = 'edit') AS edited, total(action = 'import') AS imported, "
            "total(action = 'accepted') AS accepted, total(action = 'comment') AS comments, max(at) AS last FROM audit WHERE "
            "prompt_id IS NOT NULL "
            "GROUP BY author ORDER BY created + edited DESC, author"
        )  # fmt: skip
        return render_template("contributors.html", rows=rows)

    @app.get("/log")
    def log():
        before = number(request.args.get("before"))
        rows = store.ask(
            "SELECT audit.*, prompt.name FROM audit LEFT JOIN prompt ON prompt.id = prompt_id WHERE audit.id < ? ORDER BY audit.id "
            "DESC LIMIT ?",
            before or 2**62, LOGGED,
        )  # fmt: skip
        return render_template("log.html", rows=rows, page=LOGGED)

    @app.get("/help")
    def help_page():
        return render_template("help.html")


def _totals(rows, sizes):
    """Numbers above the table, and the bars of training sizes."""
    trained = [(row, sizes[row["id"]]["train"]) for row in rows if sizes.get(row["id"], {}).get("train")]
    trained.sort(key=lambda entry: -entry[1])
    total = sum(size for _, size in trained)
    bars, width = [], max(BAR_WIDTH, min(WIDEST, BARS * BAR_WIDTH // max(1, len(trained))))
    for place, (row, size) in enumerate(trained[:BARS]):
        height = round(BAR_HEIGHT * math.log10(size + 1) / math.log10(trained[0][1] + 1), 1)
        title = f"{row['full']}: {size:,} rows, {row['prompts']} prompts"
        bars.append({"x": place * width, "y": BAR_HEIGHT - height, "height": height, "title": title})
    return {
        "n_datasets": sum(row["prompts"] > 0 for row in rows),
        "n_prompts": sum(row["prompts"] for row in rows),
        "n_rows": total,
        "top_share": sum(size for _, size in trained[:3]) / total if total else None,
        "biggest": trained[0] if trained else None,
        "smallest": trained[-1] if trained else None,
        "bars": bars,
        "bar": {"width": width, "height": BAR_HEIGHT, "all": max(len(bars) * width, 60)},
    }
