"""Tables in HTML, for notebooks and pages; what is a text is escaped here, or by who calls where it says so."""

from html import escape

__all__ = ["facts_table", "html_rows"]


def facts_table(facts):
    """A table of (name, value) pairs, white space kept. Values are HTML already: texts are to be escaped before.

    >>> facts_table([("rows", "3")])[:39]
    '<table><tr><th style="text-align:left">'
    """
    cells = (
        f'<tr><th style="text-align:left">{name}</th><td style="white-space:pre-wrap;text-align:left">{value}</td></tr>'
        for name, value in facts
    )
    return f"<table>{''.join(cells)}</table>"


def html_rows(head, rows, classes=None):
    """A table whose every text is escaped; classes: of the rows.

    >>> html_rows(["a"], [["<b>"]])
    '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    titles = "".join(f"<th>{escape(str(name))}</th>" for name in head)
    marks = [f' class="{name}"' if name else "" for name in classes] if classes else [""] * len(rows)
    body = "".join(f"<tr{mark}>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for mark, row in zip(marks, rows))
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"
