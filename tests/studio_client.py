"""A browser's part for tests of the studio without one: a client that sends the session's token with its forms."""

import json
import re

ROWS = [{"text": f"Anna drinks {drink}", "label": i % 2, "note": None} for i, drink in enumerate(["tea", "milk", "juice", "water"] * 15)]
CHOICES = "{{ text }}. True or false? ||| {{ answer_choices[label] }}"


def make_folder(folder):
    """Rows of two datasets, of which one has a card."""
    (folder / "mine/first").mkdir(parents=True)
    (folder / "mine/first/train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (folder / "mine/first/README.md").write_text("# About these rows\n<b>bold</b>")
    (folder / "single.csv").write_text("text,label\nI loved it.,1\nI did not.,0\n")
    return folder


class Browser:
    def __init__(self, app):
        self.client = app.test_client()
        self.get("/")

    def get(self, path, code=200, **options):
        answer = self.client.get(path, **options)
        answer.get_data()
        answer.close()
        assert answer.status_code == code or code is None or (code == 200 and answer.status_code == 302), (
            f"{path}: {answer.status_code} {answer.text[:600]}"
        )
        return answer

    @property
    def token(self):
        with self.client.session_transaction() as session:
            return session.get("token", "")

    def post(self, path, code=302, follow=False, headers=None, files=None, **form):
        data = {"token": self.token, **form, **(files or {})}
        kind = {"content_type": "multipart/form-data"} if files else {}
        answer = self.client.post(path, data=data, follow_redirects=follow, headers=headers, **kind)
        assert answer.status_code == (200 if follow else code), f"{path}: {answer.status_code} {main_of(answer)[:1500]}"
        return answer

    def log_in(self, name, password, code=302, **form):
        self.get("/login", None)
        return self.post("/login", code, name=name, password=password, **form)

    def write(self, dataset, code=302, **fields):
        """Saves a new prompt; its number, or the page where it is refused."""
        form = {"name": "one", "jinja": CHOICES, "answer_choices": "false ||| true", "languages": "en", "save": "1"} | fields
        answer = self.post(f"/dataset/{dataset}/new", code, **form)
        return int(answer.location.rsplit("/", 1)[1]) if code == 302 else answer


def main_of(answer):
    """The text of a page's content."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text.partition("<main")[2]))
